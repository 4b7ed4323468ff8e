"""Features led back to the picture by transposing, and features inverted: two answers to two questions.

Zeiler and Fergus's "deconvnet" leads an activation back through transposed convolutions. That answers what in the
picture the activation depends on. It is no inverse: the picture with these features is another question, and is
answered here by searching for it (Mahendran and Vedaldi).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import sigdeconv
from sigdeconv.transposed import receptive_field

if TYPE_CHECKING:
    import torch

Numbers = np.ndarray[Any, Any]

SEARCH = 100  # steps of L-BFGS
# It starts from soft noise: from nothing, deep rectifiers may never wake up. Its contrast is half a picture's, its
# grains are 4 pixels wide.
START, GRAIN = 0.5, 4
SMOOTH = 1e-3  # weight of the mean squared difference of neighbours, beside the relative error of the features
GAINS = np.geomspace(1e-4, 10, 41)  # tried, so that a transpose is not blamed for its size
SHOWN = 3  # features of a layer


class Found(NamedTuple):
    """A strong activation: the patch that it saw, and what leads back from it."""

    patch: Numbers
    projection: Numbers
    likeness: float  #: correlation of the two
    answer: float  #: the activation that the projection, shown to the network, gives; in units of the one asked for


class Answer(NamedTuple):
    """A picture made from features."""

    pixels: Numbers
    snr: float  #: dB, after the best gain and offset
    residual: float  #: of its features, relative; after the best gain where it is a transpose
    unscaled: float  #: the same as it is
    seconds: float


class Depth(NamedTuple):
    """Both answers from the features of one layer."""

    name: str
    numbers: float  #: of features for a pixel
    transposed: Answer
    inverted: Answer


def correlation(a: Numbers, b: Numbers) -> float:
    if not np.ptp(a) or not np.ptp(b):
        return 0.0  # of a flat one; there is no pattern to be like
    return float(np.corrcoef(np.ravel(a), np.ravel(b))[0, 1])


def likeness_in_decibels(truth: Numbers, estimate: Numbers) -> float:
    """Signal to error after the best gain and offset: -10 log10 (1 - r²)."""
    a, b = (np.ravel(x).astype(np.float64) - np.mean(x, dtype=np.float64) for x in (truth, estimate))
    if not b.any():
        return 0.0
    error = a - b * (a @ b) / (b @ b)
    return float(10 * np.log10((a @ a) / max(error @ error, np.finfo(float).tiny)))


def led_back(encoder: Any, stages: Any, layer: int, features: torch.Tensor | None = None) -> torch.Tensor:
    """All features of a layer at once through the steps of `deconvnet_projection`: unpool, rectify, transpose."""
    from torch.nn import functional

    back = stages[layer].pooled if features is None else features
    kernels = [convolution.get_parameter("weight") for convolution in encoder.convolutions[: layer + 1]]
    for stage, kernel in zip(reversed(stages[: layer + 1]), reversed(kernels), strict=True):
        fine = functional.max_unpool2d(back, stage.switches, (2, 2), output_size=list(stage.rectified.shape[-2:]))
        back = functional.conv_transpose2d(functional.relu(fine), kernel, padding=encoder.kernel_size // 2)
    return back


def residual(features: torch.Tensor, wanted: torch.Tensor) -> float:
    """Relative, in the 2-norm."""
    return float((features - wanted).norm() / wanted.norm())


def searched(encoder: Any, wanted: torch.Tensor, layer: int, shape: Sequence[int], seed: int = 0) -> torch.Tensor:
    """A picture with these features, by descent from noise; it knows neither the picture nor the switches."""
    import torch
    from torch.nn import functional

    grains = torch.randn(*shape[:2], *(n // GRAIN for n in shape[2:]), generator=torch.Generator().manual_seed(seed))
    x = functional.interpolate(grains, size=tuple(shape[2:]), mode="bicubic")
    x = (START * x / x.std()).requires_grad_(True)
    optimizer = torch.optim.LBFGS(
        [x], max_iter=SEARCH, history_size=20, line_search_fn="strong_wolfe", tolerance_change=0.0, tolerance_grad=0.0
    )
    energy = wanted.square().sum()

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        rough = sum(x.diff(dim=axis).square().mean() for axis in (-2, -1))
        loss = (encoder.stages(x)[layer].pooled - wanted).square().sum() / energy + SMOOTH * rough
        torch.autograd.backward(loss)
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return x.detach()


def depths(encoder: Any, picture: torch.Tensor, seed: int = 0) -> list[Depth]:
    """Transpose and inverse from the pooled features of each layer."""
    import torch

    truth = picture[0, 0].numpy()
    with torch.no_grad():
        stages = encoder.stages(picture)
    results = []
    for layer, stage in enumerate(stages):
        began = time.perf_counter()
        with torch.no_grad():
            back = led_back(encoder, stages, layer)
            took = time.perf_counter() - began
            again = [encoder.stages(float(gain) * back)[layer].pooled for gain in (1.0, *GAINS)]
        misses = [residual(features, stage.pooled) for features in again]
        pixels = back[0, 0].numpy()
        transposed = Answer(pixels, likeness_in_decibels(truth, pixels), min(misses), misses[0], took)
        began = time.perf_counter()
        x = searched(encoder, stage.pooled, layer, picture.shape, seed)
        took = time.perf_counter() - began
        with torch.no_grad():
            miss = residual(encoder.stages(x)[layer].pooled, stage.pooled)
        pixels = x[0, 0].numpy()
        inverted = Answer(pixels, likeness_in_decibels(truth, pixels), miss, miss, took)
        numbers = stage.pooled.numel() / picture.numel()
        results.append(Depth(f"after layer {layer + 1}", numbers, transposed, inverted))
    return results


def filters_alone(
    encoder: Any, picture: Numbers, inner: tuple[slice, slice], *, noise: float, rng: np.random.Generator
) -> Depth:
    """The first filters without rectifier and pooling: one linear operator A, its transpose, and its inverse.

    The transpose gives Aᵀ A x: the picture convolved with the sum of the filters' autocorrelations. That is a blur with
    a known kernel, which `sigdeconv.wiener` undoes. The frame `inner` is judged. `noise` is the standard deviation of
    what is added to the maps, relative to theirs.
    """
    import torch
    from scipy.signal import correlate2d
    from torch.nn import functional

    kernels = encoder.convolutions[0].get_parameter("weight").double()
    x = torch.as_tensor(picture, dtype=torch.float64)[None, None]
    pad = encoder.kernel_size // 2
    began = time.perf_counter()
    clean = functional.conv2d(x, kernels, padding=pad)
    maps = clean + torch.as_tensor(noise * float(clean.std()) * rng.standard_normal(clean.shape))
    back = functional.conv_transpose2d(maps, kernels, padding=pad)[0, 0].numpy()
    took = time.perf_counter() - began
    began = time.perf_counter()
    auto = sum(correlate2d(k, k) for k in kernels[:, 0].numpy())
    restored = sigdeconv.wiener(back, auto)
    longer = time.perf_counter() - began

    whole = (..., *inner)
    wanted = clean[whole]

    def answer(pixels: Numbers, seconds: float, *, scaled: bool) -> Answer:
        features = functional.conv2d(torch.as_tensor(pixels)[None, None], kernels, padding=pad)[whole]
        gain = float((features * wanted).sum() / features.square().sum()) if scaled else 1.0
        snr = likeness_in_decibels(picture[inner], pixels[inner])
        return Answer(pixels[inner], snr, residual(gain * features, wanted), residual(features, wanted), seconds)

    transposed, inverted = answer(back, took, scaled=True), answer(np.asarray(restored), longer, scaled=False)
    name = "filters of layer 1 alone" + (f", {100 * noise:g} % noise" if noise else "")
    return Depth(name, float(len(kernels)), transposed, inverted)


def field(encoder: Any, layer: int, position: Sequence[int]) -> tuple[slice, slice]:
    """The part of a picture that a pooled feature sees; it may begin before the picture, or end after it."""
    seen = receptive_field(encoder.path()[: 2 * layer + 2])
    corners = [start + at * int(jump) for start, at, jump in zip(seen.start, position, seen.jump, strict=True)]
    rows, columns = (slice(corner, corner + size) for corner, size in zip(corners, seen.size, strict=True))
    return rows, columns


def within(encoder: Any, layer: int, shape: Sequence[int]) -> tuple[slice, slice]:
    """The pooled features of a layer that see nothing past the frame."""
    seen = receptive_field(encoder.path()[: 2 * layer + 2])
    slices = []
    for start, jump, size, n in zip(seen.start, seen.jump, seen.size, shape, strict=True):
        step = int(jump)
        slices.append(slice(-(start // step), (n - size - start) // step + 1))
    return slices[0], slices[1]


def strongest(encoder: Any, pictures: dict[str, torch.Tensor], layer: int) -> dict[int, list[Found]]:
    """For the most selective features of a layer, the strongest activation in each picture, away from its frame."""
    import torch

    from sigdeconv.transposed.models import deconvnet_projection

    maps, inner = [], []
    for picture in pictures.values():
        inner.append(within(encoder, layer, picture.shape[-2:]))
        with torch.no_grad():
            maps.append(encoder.stages(picture)[layer].pooled[0][(..., *inner[-1])])
    # Selective: its peaks stand out of its own mean, in all pictures.
    peaks = torch.stack([m.amax((1, 2)) / m.mean((1, 2)).clamp_min(1e-6) for m in maps]).amin(dim=0)
    chosen = peaks.argsort(descending=True)[:SHOWN].tolist()
    result: dict[int, list[Found]] = {}
    for channel in chosen:
        result[channel] = []
        for picture, map_, (rows, columns) in zip(pictures.values(), maps, inner, strict=True):
            row, column = divmod(int(map_[channel].argmax()), map_.shape[-1])
            place = (rows.start + row, columns.start + column)
            found = deconvnet_projection(encoder, picture, layer, channel, position=place)
            with torch.no_grad():
                again = encoder.stages(found.pixels)[layer].pooled[(0, channel, *place)]
            window = field(encoder, layer, place)
            patch, back = (x[0, 0][window].numpy() for x in (picture, found.pixels))
            ratio = float(again / found.activation[0].clamp_min(1e-6))
            result[channel].append(Found(patch, back, correlation(patch, back), ratio))
    return result
