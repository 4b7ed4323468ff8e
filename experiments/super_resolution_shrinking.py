"""Ways to shrink a photograph: as the literature does, and as lenses and cameras do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import sigdeconv
from sigdeconv.transposed import bicubic

Numbers = np.ndarray[Any, Any]


class Shrinking(NamedTuple):
    """A way to halve a photograph: the kernel on one axis of the large grid, and the noise in grey levels."""

    label: str
    kernel: Numbers
    sigma: float = 0.0


def bicubic_kernel(scale: int) -> Numbers:
    """The antialiased bicubic kernel on one axis of the large grid."""
    away = 2 * scale - (0.5 if scale % 2 == 0 else 1.0)
    taps = bicubic.cubic(np.arange(-away, away + 1) / scale)
    return taps / taps.sum()


def gaussian_kernel(sigma: float) -> Numbers:
    """A Gaussian centred between two samples."""
    taps = np.exp(-0.5 * (np.arange(-8.5, 9) / sigma) ** 2)
    return taps / taps.sum()


SHRINKINGS = {
    "taught": Shrinking("as taught\n(bicubic kernel)", bicubic_kernel(2)),
    "camera": Shrinking("as a camera does\n(mean of 2 × 2)", np.full(2, 0.5)),
    "blurred": Shrinking("out of focus\n(Gaussian, 1.8 px)", gaussian_kernel(1.8)),
    "noisy": Shrinking("as taught,\nwith noise of 5", bicubic_kernel(2), 5.0),
}


def shrinking_operator(kernel: Numbers, scale: int, shape: Sequence[int]) -> sigdeconv.Convolution:
    """How a small photograph of that shape came from a large one.

    Small sample i lies at ``scale * i + (scale - 1) / 2`` of the large grid, between samples if the scale is even.
    """
    origin = len(kernel) // 2 + (scale - 1) // 2
    psf = np.outer(kernel, kernel).astype(np.float32)
    return sigdeconv.Convolution(psf, shape, stride=scale, center=(origin, origin))
