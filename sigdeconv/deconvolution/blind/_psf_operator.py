"""The blur as a linear operator of its PSF: the scene is what is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import _fft
from ..._array import Array, namespace


@dataclass(frozen=True)
class PSFOperator:
    """``forward``: the frame that a PSF makes of the scene; ``adjoint``: its transpose, summed over the batch.

    On each axis the scene, continued past its ends as far as the PSF reaches, is ``x`` of length ``n + k - 1``. Sample
    ``i`` of the frame is ``sum_j h[j] x[i + k - 1 - j]``, and sample ``j`` of the transpose is ``sum_i y[i] x[i + k - 1
    - j]``, a correlation of which only the ``k`` lags are kept.
    """

    spectrum: Array  #: of the continued scene on `grid`
    grid: tuple[int, ...]
    taps: tuple[int, ...]  #: shape of the PSF
    frame: tuple[int, ...]

    @classmethod
    def of(cls, x: Array, taps: Sequence[int], frame: Sequence[int], boundary: str) -> PSFOperator:
        """From a scene on the domain of `Convolution`."""
        xp, ndim = namespace(x), len(taps)
        for axis, (n, k) in enumerate(zip(frame, taps, strict=True), start=x.ndim - ndim):
            if boundary == "free":
                break
            at = np.arange(k // 2 - k + 1, n + k // 2)  # in samples of the scene
            index = at % n
            if boundary == "reflect":
                index = np.where(at % (2 * n) < n, at % (2 * n), 2 * n - 1 - at % (2 * n))
            x = xp.take(x, xp.asarray(index, device=x.device), axis=axis)
            if boundary == "zero":
                lit = np.reshape((at >= 0) & (at < n), (-1,) + (1,) * (x.ndim - 1 - axis))
                x = x * xp.asarray(lit, dtype=x.dtype, device=x.device)
        reach = [n + k - 1 for n, k in zip(frame, taps, strict=True)]
        grid = tuple(_fft.fast_length(n, real=i == ndim - 1) for i, n in enumerate(reach))
        return cls(_fft.transform(x, grid), grid, tuple(taps), tuple(frame))

    def forward(self, h: Array) -> Array:
        """The blurred scene on the frame, shape ``(..., *frame)``."""
        y = _fft.inverse(self.spectrum * _fft.transform(h, self.grid), self.grid, overwrite=True)
        return y[(..., *(slice(k - 1, k - 1 + n) for n, k in zip(self.frame, self.taps, strict=True)))]

    def adjoint(self, y: Array) -> Array:
        """The transpose: from ``(..., *frame)`` to the shape of the PSF."""
        xp, ndim = namespace(y), len(self.taps)
        product = self.spectrum * xp.conj(_fft.transform(y, self.grid))
        product = xp.sum(xp.reshape(product, (-1, *product.shape[product.ndim - ndim :])), axis=0)
        lags: Any = _fft.inverse(product, self.grid, overwrite=True)[tuple(slice(k) for k in self.taps)]
        return xp.flip(lags, axis=tuple(range(ndim)))
