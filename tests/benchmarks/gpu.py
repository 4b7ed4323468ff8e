"""Richardson-Lucy on a GPU: an iteration over its four FFTs, its memory, and a naive loop as peers write it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import sigdeconv

from .common import Row

SHAPE, KERNEL = (128, 1024, 1024), (17, 17, 17)
FEW, MANY, ROUNDS = 2, 12, 5


def rows() -> Iterator[Row]:
    """Nothing but a line where there is no CUDA device."""
    try:
        import torch
    except ImportError:
        yield Row("GPU", "torch is not installed")
        return
    if not torch.cuda.is_available():
        yield Row("GPU", "no CUDA device here: not measured")
        return
    device = torch.device("cuda")
    psf = torch.tensor(sigdeconv.psf.gaussian(KERNEL, 2.0), dtype=torch.float32, device=device)
    counts = torch.poisson(torch.rand(SHAPE, device=device) * 100)
    blur = sigdeconv.Convolution(psf, SHAPE, boundary="free")
    grid = blur.grid

    def timed(work: Callable[[], Any]) -> float:
        torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        return time.perf_counter() - began

    def restored(num_iter: int) -> Any:
        return sigdeconv.richardson_lucy(counts, blur, num_iter=num_iter, accelerate=False)

    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    restored(MANY)
    arrays = (torch.cuda.max_memory_allocated() - before) / (4 * float(np.prod(grid)))
    x = torch.rand(grid, device=device)
    half = torch.fft.rfftn(x)

    def transforms() -> None:
        for _ in range(2):
            torch.fft.rfftn(x)
            torch.fft.irfftn(half, s=grid)

    otf = torch.fft.rfftn(
        torch.nn.functional.pad(psf, [p for n, k in zip(grid[::-1], KERNEL, strict=True) for p in (0, n - k)])
    )

    def naive(num_iter: int) -> Any:
        """Whole arrays, a new one for each operation, padded with zeros: as tutorials have it."""
        padded = torch.zeros(grid, device=device)
        padded[: SHAPE[0], : SHAPE[1], : SHAPE[2]] = counts
        estimate = torch.full(grid, float(counts.mean()), device=device)
        for _ in range(num_iter):
            model = torch.fft.irfftn(torch.fft.rfftn(estimate) * otf, s=grid)
            ratio = padded / torch.clamp(model, min=1e-6)
            estimate = estimate * torch.fft.irfftn(torch.fft.rfftn(ratio) * torch.conj(otf), s=grid)
        return estimate

    for work in (lambda: restored(1), transforms, lambda: naive(1)):
        work()
    fft = statistics.median(timed(transforms) for _ in range(ROUNDS))

    def each(function: Callable[[int], Any]) -> float:
        return statistics.median(
            (timed(lambda: function(MANY)) - timed(lambda: function(FEW))) / (MANY - FEW) for _ in range(ROUNDS)
        )

    ours, theirs = each(restored), each(naive)
    what = f"RL {SHAPE} on {torch.cuda.get_device_name()}"
    yield Row(
        f"{what}: an iteration over its four FFTs",
        f"{ours / fft:.2f} ({1e3 * ours:.0f} ms)",
        "<= 1.3",
        ours <= 1.3 * fft,
    )
    yield Row(f"{what}: naive torch loop over ours", f"{theirs / ours:.2f}", ">= 3", theirs >= 3 * ours)
    yield Row(f"{what}: peak memory in arrays of the grid", f"{arrays:.1f}", "<= 7", arrays <= 7)
