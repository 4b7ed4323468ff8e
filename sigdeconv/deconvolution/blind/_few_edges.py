"""A scene of few edges that explains a blurred image: what is left of it when ever fewer gradients may differ from 0.

The scene ``x`` minimises ``|h * x - y|^2 + weight * #{pixels whose gradient is not 0}`` (Xu, Zheng and Jia 2013), by
half-quadratic splitting: a pixel's gradient is kept or set to 0, then the scene is fitted to what was kept, in closed
form on a periodic grid, under a penalty that grows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ... import _fft
from .._periodic import continued
from ._spectrum import Numbers

FIRST_PENALTY = 2.0  # times the weight
LAST_PENALTY = 1e5
GROWTH = 2.0  # of the penalty from step to step


@dataclass(frozen=True)
class FewEdges:
    """The problem for one image."""

    image: Numbers  #: continued to `grid`
    spectrum: Numbers
    grid: tuple[int, ...]
    slopes: list[Numbers]  #: transfer functions of the forward differences on `grid`
    steepness: Numbers  #: sum of their squared moduli

    @classmethod
    def of(cls, image: Numbers, taps: tuple[int, ...]) -> FewEdges:
        """For an image and PSFs of at most this shape."""
        last = image.ndim - 1
        grid = tuple(
            _fft.fast_length(n + k - 1 + k // 2, real=axis == last)
            for axis, (n, k) in enumerate(zip(image.shape, taps, strict=True))
        )
        filled = continued(image, image.shape, grid, dark=False)
        slopes = []
        for axis, n in enumerate(grid):
            f = (np.fft.rfftfreq if axis == last else np.fft.fftfreq)(n)
            slopes.append((np.exp(2j * np.pi * f) - 1).reshape([-1 if a == axis else 1 for a in range(image.ndim)]))
        steepness = sum(np.abs(s) ** 2 for s in slopes)
        return cls(filled, _fft.transform(filled, grid), grid, slopes, np.asarray(steepness))

    def gradient(self, x: Numbers) -> Numbers:
        """Periodic forward differences, shape ``(ndim, *grid)``."""
        return np.stack([np.roll(x, -1, axis) - x for axis in range(x.ndim)])

    def solve(self, otf: Numbers, weight: float) -> Numbers:
        """The scene on the grid."""
        toward, power = np.conj(otf) * self.spectrum, np.abs(otf) ** 2
        x, penalty = self.image, FIRST_PENALTY * weight
        while penalty < LAST_PENALTY:
            g = self.gradient(x)
            g *= (g * g).sum(axis=0) > weight / penalty
            kept = _fft.transform(g, self.grid)
            pulled = sum(np.conj(s) * k for s, k in zip(self.slopes, kept, strict=True))
            x = _fft.inverse((toward + penalty * pulled) / (power + penalty * self.steepness), self.grid)
            penalty *= GROWTH
        return x
