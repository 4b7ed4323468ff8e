"""One transposed convolution of stride 2, learned from pairs: in closed form, and by torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from .inverses import STRIDE, Case, Numbers

TAPS = 16  # of the kernel on each axis of the large grid
PATCH, COUNT = 20, 8  # samples of a patch's side, and patches in a batch
RATE = 0.01  # of Adam at the start


def closed_kernel(case: Case, taps: int = TAPS) -> Numbers:
    """The kernel of least squared error of a transposed convolution of stride 2: one small problem for each phase.

    The layer cuts ``(taps - 2) // 2`` pixels off its frame, so that of the kernel tap ``2 m + p + (taps - 2) // 2``
    takes sample ``i - m`` to pixel ``2 i + p``. Pixels of one phase ``p`` share their taps, and no others.
    """
    off = case.images.mean(axis=(-2, -1), keepdims=True)
    images, scenes = case.images - off, case.scenes - off
    cut = (taps - STRIDE) // 2
    kernel = np.zeros((taps, taps))
    for phase in np.ndindex(STRIDE, STRIDE):
        own = [np.arange((p + cut) % STRIDE, taps, STRIDE) for p in phase]
        # Sample i - m for each of them; pictures repeat past their frames.
        shifts = [(tap - p - cut) // STRIDE for tap, p in zip(own, phase, strict=True)]
        rows = np.stack([np.roll(images, (m, n), axis=(-2, -1)).ravel() for m in shifts[0] for n in shifts[1]])
        wanted = scenes[:, phase[0] :: STRIDE, phase[1] :: STRIDE].ravel()
        weights = np.linalg.solve(rows @ rows.T, rows @ wanted)
        kernel[np.ix_(*own)] = weights.reshape(own[0].size, own[1].size)
    return kernel


def layer(kernel: Numbers) -> Any:
    """The layer with this kernel: `sigdeconv.transposed.TransposedUpsample`, its input repeated past the frame."""
    import torch

    from sigdeconv.transposed import TransposedUpsample

    made = TransposedUpsample(
        1, 1, kernel.shape, scale=STRIDE, padding_mode="circular", bias=False, dtype=torch.float64
    )
    with torch.no_grad():
        made.weight.copy_(torch.as_tensor(kernel)[None, None])
    return made


def enlarged(kernel: Numbers, images: Numbers) -> Numbers:
    """By the layer; the mean of each image goes around it."""
    import torch

    off = images.mean(axis=(-2, -1), keepdims=True)
    with torch.no_grad():
        out = layer(kernel)(torch.as_tensor(images - off)[:, None])
    return np.asarray(off + out[:, 0].numpy())


def trained_kernel(case: Case, steps: int, rng: np.random.Generator, taps: int = TAPS) -> Numbers:
    """The layer trained by Adam on random patches, from bilinear interpolation, its rate falling to nothing."""
    import torch
    from torch.nn import functional

    from sigdeconv.transposed import TransposedUpsample

    model = TransposedUpsample(1, 1, taps, scale=STRIDE, bias=False, initialisation="bilinear")
    off = case.images.mean(axis=(-2, -1), keepdims=True)
    scale = float(case.scenes.std())
    images, scenes = ((part - off) / scale for part in (case.images, case.scenes))
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    edge = taps // 2  # pixels that the frame of a patch has part in
    with torch.enable_grad():
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = RATE * (1 + np.cos(np.pi * step / steps)) / 2
            corners = [rng.integers(0, n, COUNT) for n in (len(images), *(m - PATCH + 1 for m in images.shape[1:]))]
            where = list(zip(*corners, strict=True))
            y = np.stack([images[k, i : i + PATCH, j : j + PATCH] for k, i, j in where])
            large = STRIDE * PATCH
            x = np.stack([scenes[k, 2 * i : 2 * i + large, 2 * j : 2 * j + large] for k, i, j in where])
            out = model(torch.as_tensor(y, dtype=torch.float32)[:, None])[:, 0]
            inner = np.s_[:, edge:-edge, edge:-edge]
            optimizer.zero_grad()
            loss = functional.mse_loss(out[inner], torch.as_tensor(x, dtype=torch.float32)[inner])
            torch.autograd.backward(loss)
            optimizer.step()
    return model.weight.detach()[0, 0].double().numpy()
