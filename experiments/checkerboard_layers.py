"""Single layers, before any training: the checkerboards that their starts and their overlap make."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sigdeconv.transposed import checkerboard

if TYPE_CHECKING:
    import torch

Numbers = np.ndarray[Any, Any]

KERNELS, STRIDES = tuple(range(2, 10)), (2, 3, 4)
GRADIENT_KERNELS = (1, *KERNELS)  # a 1 x 1 kernel at stride 2 is the shortcut of many residual networks
INPUTS, OUTPUTS = 16, 48  # channels: each output channel is a draw
PERIODS, SEEN = 24, 6  # coarse samples of a frame's side; those at each side that see its edge
DOWN = 192  # channels behind the strided convolutions whose gradients are measured

#: What the weights of a transposed convolution start from.
STARTS = {
    "ones": "all ones: overlap alone",
    "torch": "torch's own (uniform)",
    "kaiming": "Kaiming",
    "icnr": "ICNR",
    "bilinear": "bilinear",
    "enforced": "Kaiming, condition enforced",
}
#: What is done to the weights of a strided convolution.
DOWNS = {
    "ones": "all ones: overlap alone",
    "random": "random (torch's own)",
    "sums": "random, condition enforced",
    "hold": "random, then a mean of s × s",
}


class Cover(NamedTuple):
    """What kernel and stride alone predict."""

    even: bool
    share: float  #: of the energy, where a flat signal goes through a kernel of ones
    unevenness: float  #: of the power, where noise goes through random weights of one variance


def cover(kernel: int, stride: int) -> Cover:
    """The prediction by overlap."""
    found = checkerboard.overlap(kernel, stride)
    return Cover(found.even, found.energy / (1 + found.energy), float(found.taps.std() / found.taps.mean()))


def random_share(stride: int) -> float:
    """What is expected of the share where all polyphase sums are independent, of mean zero: whatever the kernel."""
    return 1 - 1 / stride**2


def layer(kernel: int, stride: int, start: str, seed: int, inputs: int = INPUTS, outputs: int = OUTPUTS) -> Any:
    """A transposed convolution without bias; None where the kernel is too small for this start."""
    import torch

    from sigdeconv.transposed.layers import TransposedUpsample

    draw = torch.Generator().manual_seed(seed)
    if kernel < stride or (start == "bilinear" and kernel < 2 * stride - stride % 2):
        return None
    named = start if start in ("icnr", "bilinear") else "kaiming"
    made = TransposedUpsample(
        inputs,
        outputs,
        kernel,
        scale=stride,
        bias=False,
        initialisation=named,
        checkerboard_free=start == "enforced",
        generator=draw,
        dtype=torch.float64,
    )
    with torch.no_grad():
        if start == "ones":
            made.weight.fill_(stride**2 / (inputs * kernel**2))  # a gain of one
        elif start == "torch":
            torch.nn.init.kaiming_uniform_(made.weight, a=math.sqrt(5), generator=draw)
    return made


def heights(channels: int, rng: np.random.Generator) -> Numbers:
    """Flat features, each at its own height, as a rectifier leaves them."""
    return np.abs(rng.standard_normal(channels)) + 0.1


def flat(level: Numbers, side: int) -> torch.Tensor:
    """One flat frame a channel."""
    import torch

    found: torch.Tensor = torch.as_tensor(level)[None, :, None, None].expand(1, -1, side, side)
    return found


def outputs(
    kernels: Sequence[int], strides: Sequence[int], starts: Sequence[str], *, seed: int = 0
) -> list[dict[str, Any]]:
    """A row a stride, kernel and start: the checkerboard of flat features, and of noise.

    ``share`` is that part of the output's energy which flat features leave at the stride's frequency and harmonics;
    ``unevenness`` compares the power of the samples by their place in the period, where the features are noise.
    """
    import torch

    rows: list[dict[str, Any]] = []
    for stride in strides:
        for kernel in kernels:
            rng = np.random.default_rng((seed, stride, kernel))
            level = flat(heights(INPUTS, rng), PERIODS)
            noise = torch.as_tensor(rng.standard_normal((1, INPUTS, PERIODS, PERIODS)))
            wanted = cover(kernel, stride)
            for start in starts:
                made = layer(kernel, stride, start, seed)
                if made is None:
                    continue
                with torch.no_grad():
                    smooth = checkerboard.measure(made(level)[0], stride, border=SEEN)
                    rough = checkerboard.measure(made(noise)[0], stride, border=SEEN)
                rows.append(
                    {
                        "stride": stride,
                        "kernel": kernel,
                        "remainder": kernel % stride,
                        "start": start,
                        "even": wanted.even,
                        "predicted": wanted.share,
                        "share": smooth.share,
                        "unevenness": rough.unevenness,
                    }
                )
    return rows


def strided(kernel: int, stride: int, kind: str, seed: int, channels: int = DOWN) -> Callable[[Any], Any] | None:
    """A strided convolution of one channel to many; None where the kernel is too small for what is asked."""
    import torch
    from torch.nn import functional

    if kind == "sums" and kernel < stride:
        return None
    bound = 1 / kernel  # torch's own, of one input channel
    draw = torch.Generator().manual_seed(seed)
    weight = torch.empty(channels, 1, kernel, kernel, dtype=torch.float64).uniform_(-bound, bound, generator=draw)
    if kind == "ones":
        weight = torch.ones_like(weight)
    elif kind == "sums":
        weight = checkerboard.with_equal_sums(weight, stride)
    elif kind == "hold":
        weight = checkerboard.zero_order_hold(weight, stride)
    return lambda x: functional.conv2d(x, weight, stride=stride, padding=(weight.shape[-1] - 1) // 2)


def gradients(
    kernels: Sequence[int], strides: Sequence[int], kinds: Sequence[str], *, seed: int = 0
) -> list[dict[str, Any]]:
    """A row a stride, kernel and kind of strided convolution: the checkerboard in the gradient by its input.

    ``share`` is for an error that is flat (each channel at its own height), ``unevenness`` for one that is noise.
    """
    import torch

    rows: list[dict[str, Any]] = []
    for stride in strides:
        for kernel in kernels:
            wanted = cover(kernel, stride)
            x = torch.zeros(1, 1, PERIODS * stride, PERIODS * stride, dtype=torch.float64)
            for kind in kinds:
                convolve = strided(kernel, stride, kind, seed)
                if convolve is None:
                    continue
                rng = np.random.default_rng((seed, stride, kernel))
                size = convolve(x).shape[-1]
                noise = torch.as_tensor(rng.standard_normal((1, DOWN, size, size)))
                rough = checkerboard.measure_gradient(convolve, x, stride, error=noise, border=SEEN)
                rows.append(
                    {
                        "stride": stride,
                        "kernel": kernel,
                        "remainder": kernel % stride,
                        "kind": kind,
                        "even": wanted.even,
                        "predicted": wanted.unevenness,
                        "share": _flat_errors(convolve, x, stride, rng),
                        "unevenness": rough.unevenness,
                    }
                )
    return rows


def _flat_errors(convolve: Callable[[Any], Any], x: torch.Tensor, stride: int, rng: np.random.Generator) -> float:
    """The share in the gradients of flat errors, a draw each for groups of channels."""
    import torch

    found = []
    size, group = convolve(x).shape[-1], INPUTS
    for first in range(0, DOWN, group):
        level = np.zeros(DOWN)
        level[first : first + group] = heights(group, rng)
        seen = checkerboard.measure_gradient(convolve, x, stride, error=flat(level, size).contiguous(), border=SEEN)
        found.append((seen.energy, float(seen.power.mean())))
    energy, power = torch.tensor(found, dtype=torch.float64).mean(dim=0).tolist()
    return float(energy / power)


def correlation(rows: Sequence[Mapping[str, Any]], value: str) -> float:
    """How well overlap alone foretells a measured number, as their correlation over kernels and strides.

    Kernels smaller than the stride are left out: the few of them lie so far off that they alone would make it one.
    """
    pairs = [(row["predicted"], row[value]) for row in rows if row["kernel"] >= row["stride"]]
    found = np.corrcoef(np.transpose(pairs))
    return float(found[0, 1])


def pictures(kernel: int, stride: int, start: str, side: int, seed: int) -> tuple[Numbers, float]:
    """What one layer makes of flat features, in units of its root mean square, and the share of the checkerboard."""
    import torch

    made = layer(kernel, stride, start, seed, outputs=1)
    inner = -(-side // stride) + 2 * SEEN
    level = flat(heights(INPUTS, np.random.default_rng(seed)), inner)
    with torch.no_grad():
        whole = made(level)[0, 0].numpy()
    part = whole[SEEN * stride :, SEEN * stride :][:side, :side]
    return part / np.sqrt(np.mean(part**2)), float(checkerboard.measure(whole, stride, border=SEEN).share)
