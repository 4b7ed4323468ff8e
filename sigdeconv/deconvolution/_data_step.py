"""The data's half of a splitting: the scene nearest to a guess that explains the frame."""

from __future__ import annotations

import math

from .. import _fft
from .._array import Array, like, namespace
from .._parallel import each, total
from ..convolution import Convolution, psf_to_otf
from ..varying import VaryingConvolution
from ._varying import average_otf

ITERATIONS = 30  # conjugate gradients at most
TOLERANCE = 1e-3  # of the right-hand side: what is left is far below the noise, and the next step starts from there


class DataStep:
    """``argmin |A x - y|^2 + rho |x - z|^2`` for any boundary and stride, time and again.

    For a periodic blur it is one division a frequency. Otherwise conjugate gradients solve for ``x - z``, with that
    division as the preconditioner: it is right inside the frame, and the iteration has to mend the rim only.

    Parameters
    ----------
    blur : Convolution
    observed : array, shape (..., *blur.shape)
    """

    def __init__(self, blur: Convolution, observed: Array) -> None:
        self.blur, self.observed = blur, observed
        xp = namespace(observed)
        stride = math.prod(blur.stride)
        self.closed = blur.boundary == "periodic" and stride == 1
        if isinstance(blur, VaryingConvolution):
            self.closed = False
            self.otf = average_otf(blur, blur.grid, observed)
        elif self.closed and blur.grid != blur.shape and blur.psf is not None:
            # The operator wraps by hand on a grid of a faster length; one division a frequency needs the circle itself.
            self.otf = psf_to_otf(like(blur.psf, observed, "psf"), blur.shape, center=blur.center)
        else:
            self.otf = blur.transfer_like(observed)
        #: squared modulus of the transfer function of the blur, for samples as dense as those observed
        self.power = (xp.real(self.otf) ** 2 + xp.imag(self.otf) ** 2) / stride

    def start(self) -> Array:
        """The frame itself as a scene, its outermost samples continued past it."""
        xp, x = namespace(self.observed), self.observed
        gain = float(xp.max(self.power)) ** 0.5 * math.prod(self.blur.stride) ** 0.5
        for axis, (size, inside, step) in enumerate(
            zip(self.blur.domain_shape, self.blur.frame, self.blur.stride, strict=True), start=-self.blur.ndim
        ):
            index = (xp.arange(size, device=x.device) - inside.start) // step
            x = xp.take(x, xp.clip(index, 0, x.shape[axis] - 1), axis=axis)
        return x / gain

    def solve(self, z: Array, rho: float) -> Array:
        """The minimiser for a guess `z`, shape ``(..., *blur.domain_shape)``."""
        blur = self.blur
        residual = blur.forward(z, then=(lambda Az, y: y - Az, self.observed))
        passes = 1 / (self.power + rho)
        if self.closed:
            step = namespace(z).conj(self.otf) * passes
            return each(lambda z, d: z + d, z, _fft.filter(residual, step, blur.shape, blur.shape))
        passes = passes + 0 * self.otf  # complex, as a transfer function is
        return each(lambda z, d: z + d, z, self._conjugate(blur.adjoint(residual), passes, rho))

    def _conjugate(self, r: Array, passes: Array, rho: float) -> Array:
        """``d`` with ``(A^H A + rho) d = r``; each item of the batch stops where it would stop alone."""
        blur, ndim, xp = self.blur, self.blur.ndim, namespace(r)
        d = xp.zeros_like(r)
        enough = TOLERANCE**2 * total(lambda r: r * r, r, ndim=ndim)
        p = s = _fft.filter(r, passes, blur.grid, blur.domain_shape)
        power = total(lambda r, s: r * s, r, s, ndim=ndim)
        for _ in range(ITERATIONS):
            going = (total(lambda r: r * r, r, ndim=ndim) > enough) & (power > 0)
            if not bool(xp.any(going)):
                break
            q = blur.adjoint(blur.forward(p), then=(lambda q, p: q + rho * p, p))
            bend = total(lambda p, q: p * q, p, q, ndim=ndim)
            going = going & (bend > 0)
            step = xp.where(going, power / xp.where(going, bend, xp.ones_like(bend)), xp.zeros_like(bend))
            d = each(lambda d, p, step: d + step * p, d, p, step)
            r = each(lambda r, q, step: r - step * q, r, q, step)
            s = _fft.filter(r, passes, blur.grid, blur.domain_shape)
            before, power = power, total(lambda r, s: r * s, r, s, ndim=ndim)
            ratio = xp.where(before > 0, power / xp.where(before > 0, before, xp.ones_like(before)), before)
            p = each(lambda s, p, ratio: s + ratio * p, s, p, ratio)
        return d
