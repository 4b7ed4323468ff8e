"""The same layer trained by torch as networks are, and small nonlinear networks on the same pairs of pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import fits
from .fits import Numbers, Pairs

if TYPE_CHECKING:
    import torch

PATCH, COUNT = 28, 8  # pixels of a patch's side that are judged, and patches in a batch (or in all, at once)
RATE = 3e-3  # of Adam at the start, for kernels and networks
WHOLE = 225  # gradients that L-BFGS remembers at most: as many as a 15 x 15 kernel has taps
CHANNELS = 16
THEN = 3  # taps of a network's kernels after the first
PRELU = 0.25  # torch's first slope


class Patches(NamedTuple):
    """Images with a margin around what is judged, and the scenes; shape (count, y, x)."""

    images: Numbers
    scenes: Numbers


def cut(pairs: Pairs, corners: Numbers, side: int, margin: int) -> Patches:
    """Patches at corners (picture, row, column); the pictures repeat past their frames."""

    def part(pictures: Numbers, around: int) -> Numbers:
        rows = (corners[:, 1, None] + np.arange(-around, side + around)) % pictures.shape[-2]
        columns = (corners[:, 2, None] + np.arange(-around, side + around)) % pictures.shape[-1]
        return np.asarray(pictures[corners[:, 0, None, None], rows[:, :, None], columns[:, None, :]])

    return Patches(part(pairs.images, margin), part(pairs.scenes, 0))


def corners(pairs: Pairs, count: int, rng: np.random.Generator) -> Numbers:
    """Of patches anywhere in the pictures."""
    return rng.integers(0, pairs.images.shape, (count, 3))


def exact(patches: Patches, size: int) -> Numbers:
    """The kernel of least squared error on these patches, by a design matrix: every window of them is a row."""
    windows = np.lib.stride_tricks.sliding_window_view(patches.images, (size, size), axis=(-2, -1))
    rows = windows[..., ::-1, ::-1].reshape(-1, size**2)  # a convolution flips
    found: Numbers = np.linalg.lstsq(rows, patches.scenes.ravel(), rcond=None)[0]
    return found.reshape(size, size)


def layer(images: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """A transposed convolution of stride 1; cropped to the samples that no edge of the patch has part in."""
    from torch.nn import functional

    return functional.conv_transpose2d(images, weight, padding=[k - 1 for k in weight.shape[-2:]])


def trained_at_once(patches: Patches, kernel: Numbers, steps: int, watch: Callable[[int, Numbers], None]) -> Numbers:
    """The layer trained on all patches at once by L-BFGS; `watch` is shown the kernel at each gradient."""
    import torch
    from torch.nn import functional

    scale = patches.scenes.std()
    images, scenes = (torch.as_tensor(part / scale)[:, None] for part in patches)
    weight = torch.tensor(kernel)[None, None].requires_grad_(True)
    # It begins with a step of its rate along the gradient, which the search along the line corrects.
    optimizer = torch.optim.LBFGS(
        [weight],
        max_iter=steps,
        max_eval=steps,
        history_size=WHOLE,
        line_search_fn="strong_wolfe",
        tolerance_grad=0.0,
        tolerance_change=0.0,
    )
    count = 0

    def closure() -> torch.Tensor:
        nonlocal count
        watch(count, weight.detach()[0, 0].numpy().copy())
        count += 1
        optimizer.zero_grad()
        loss = functional.mse_loss(layer(images, weight), scenes)
        torch.autograd.backward(loss)
        return loss

    with torch.enable_grad():
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    return np.asarray(weight.detach()[0, 0].numpy())


def trained_in_batches(
    pairs: Pairs, kernel: Numbers, steps: int, rng: np.random.Generator, watch: Callable[[int, Numbers], None]
) -> Numbers:
    """The layer trained by Adam on a few random patches a step, its rate falling to nothing."""
    import torch

    weight = torch.tensor(kernel, dtype=torch.float32)[None, None].requires_grad_(True)

    def seen(step: int) -> None:
        watch(step, weight.detach()[0, 0].double().numpy())

    _adam(lambda images: layer(images, weight), [weight], pairs, kernel.shape[0] // 2, steps, rng, seen)
    return np.asarray(weight.detach()[0, 0].double().numpy())


def _adam(
    model: Callable[..., torch.Tensor],
    parameters: Any,
    pairs: Pairs,
    margin: int,
    steps: int,
    rng: np.random.Generator,
    watch: Callable[[int], None],
) -> None:
    import torch
    from torch.nn import functional

    scale = pairs.scenes.std()
    optimizer = torch.optim.Adam(parameters, lr=RATE)
    with torch.enable_grad():
        for step in range(steps):
            watch(step)
            for group in optimizer.param_groups:
                group["lr"] = RATE * (1 + math.cos(math.pi * step / steps)) / 2
            patches = cut(pairs, corners(pairs, COUNT, rng), PATCH, margin)
            images, scenes = (torch.as_tensor(part / scale, dtype=torch.float32)[:, None] for part in patches)
            optimizer.zero_grad()
            loss = functional.mse_loss(model(images), scenes)
            torch.autograd.backward(loss)
            optimizer.step()
    watch(steps)


def network(first: int, seed: int) -> Any:
    """Three layers with rectifiers between them, and the input added; in units of the scenes' deviation.

    With stride 1 a transposed convolution is a convolution with the kernel flipped. Here it is written as the latter,
    which torch computes up to 16 times as fast: the same networks, found in the same way.
    """
    import torch
    from torch import nn

    draws = torch.Generator().manual_seed(seed)

    class Network(nn.Module):
        margin = first // 2 + 2 * (THEN // 2)

        def __init__(self) -> None:
            super().__init__()
            body: Any = nn.Sequential(
                nn.Conv2d(1, CHANNELS, first),
                nn.PReLU(CHANNELS),
                nn.Conv2d(CHANNELS, CHANNELS, THEN),
                nn.PReLU(CHANNELS),
                nn.Conv2d(CHANNELS, 1, THEN),
            )
            for part in body[::2]:
                nn.init.kaiming_normal_(part.weight, a=PRELU, generator=draws)
                nn.init.zeros_(part.bias)
            with torch.no_grad():
                body[4].weight *= 0.1  # it starts close to handing its input through
            self.body = body

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            m = self.margin
            return x[..., m:-m, m:-m] + self.body(x)  # type: ignore[no-any-return]

    return Network()


def trained_network(pairs: Pairs, first: int, steps: int, seed: int, rng: np.random.Generator) -> Any:
    """A network after so many steps."""
    model = network(first, seed)
    _adam(model, model.parameters(), pairs, model.margin, steps, rng, lambda step: None)
    return model.requires_grad_(False)


def restored(model: Any, images: Numbers, scale: float) -> Numbers:
    """By a network; the images repeat past their frames."""
    import torch

    m = model.margin
    around = np.pad(images / scale, [(0, 0), (m, m), (m, m)], mode="wrap")
    with torch.no_grad():
        out = model(torch.as_tensor(around, dtype=torch.float32)[:, None])
    return np.asarray(scale * out[:, 0].double().numpy())


def filtered(pairs: Pairs, kernel: Numbers) -> Pairs:
    """The pairs after a linear kernel has done what it can."""
    return Pairs(pairs.scenes, fits.applied(kernel, pairs.images))
