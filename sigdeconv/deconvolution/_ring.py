"""The blur on a ring: a periodic grid on which it is one product per frequency, of which the frame sees a part.

Every boundary and every stride is the same problem, ``y = M H x`` on the ring with ``M`` the trust in each sample (zero
past the frame, between strided samples and at bad pixels) and with ``x`` in a set of scenes: all of them, those that
are dark past the frame, or those that are mirrored there. The frame is the first samples of the ring.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .. import _fft
from .._array import Array, choice, namespace
from ..convolution import BOUNDARIES, Convolution, psf_for, signed_otf, sole_boundary
from ..varying import VaryingConvolution
from ._periodic import SEAM, continued
from ._varying import around, average_otf

Projection = Callable[[Array], Array]  #: the nearest scene of a set


@dataclass(frozen=True)
class Ring:
    """``y = M H x + noise``."""

    data: Array  #: ``y``, shape ``(..., *grid)``, zero where the trust is
    trust: Array | None  #: ``M``, broadcast against the data; None if all samples are known alike
    otf: Array  #: half spectrum on `grid`
    grid: tuple[int, ...]
    frame: tuple[slice, ...]  #: what the result shows
    project: Projection | None  #: onto the scenes that the boundary allows; None if it allows all
    first: Array  #: a first guess of the scene: the data, and a smooth continuation where nothing is known
    gain: float  #: largest modulus of the transfer function, negative if the PSF is
    copies: int = 1  #: how often the scene lies on the ring; its mirror images cost no extra
    sparse: bool = False  #: there are samples between the data, by a stride
    varying: VaryingConvolution | None = None  #: ``H``, where it is no product per frequency; `otf` is an average then

    @classmethod
    def of(cls, image: Array, psf: Array | Convolution, boundary: str, weights: Array | None = None) -> Ring:
        """The problem for an image and a PSF or a ready operator; `weights` has the image's shape."""
        boundary = choice(boundary, BOUNDARIES, "boundary")
        center: Any = None
        stride: tuple[int, ...] | None = None
        kernel = psf
        if isinstance(psf, Convolution):
            if psf.ndim > image.ndim or tuple(image.shape[image.ndim - psf.ndim :]) != psf.shape:
                raise ValueError(
                    f"image has shape {tuple(image.shape)} but the Convolution observes {psf.shape}; "
                    "build it for this shape"
                )
            boundary, center, stride, kernel = sole_boundary(psf), psf.center, psf.stride, psf.psf
            if kernel is None:
                otf = psf.transfer_like(image)
                return cls._around(image, otf, psf.grid, psf.shape, psf.frame, (1,) * psf.ndim, None, weights)
        kernel = psf_for(kernel, image, signed=True)
        ndim = kernel.ndim
        stride = (1,) * ndim if stride is None else stride
        sizes = tuple(n * s for n, s in zip(image.shape[image.ndim - ndim :], stride, strict=True))
        shown = tuple(slice(n) for n in sizes)
        if isinstance(psf, Convolution):  # its scene may be up to a stride shorter or longer
            sizes = sizes if boundary == "free" else psf.domain_shape
            shown = tuple(slice(f.stop - f.start) for f in psf.frame)
        if boundary == "periodic":
            grid = sizes
        elif boundary == "reflect":
            grid = tuple(2 * n for n in sizes)
        else:
            seam = SEAM if boundary == "free" else 0
            reach = [n + k - 1 + (seam if k > 1 else 0) for n, k in zip(sizes, kernel.shape, strict=True)]
            grid = tuple(_fft.fast_length(n, real=i == ndim - 1) for i, n in enumerate(reach))
        project: Projection | None = None
        if boundary == "zero":
            inside = _inside(image, sizes, grid)

            def project(x: Array) -> Array:
                return x * inside

        elif boundary == "reflect":

            def project(x: Array) -> Array:
                for axis in range(-ndim, 0):
                    x = 0.5 * (x + namespace(x).flip(x, axis=axis))
                return x

        if isinstance(psf, VaryingConvolution):
            otf = average_otf(psf, grid, image)
            ring = cls._around(image, otf, grid, sizes, shown, stride, project, weights)
            return replace(ring, varying=around(psf, grid))
        otf = signed_otf(kernel, grid, center=center)
        return cls._around(image, otf, grid, sizes, shown, stride, project, weights)

    @classmethod
    def _around(
        cls,
        image: Array,
        otf: Array,
        grid: tuple[int, ...],
        sizes: tuple[int, ...],
        frame: tuple[slice, ...],
        stride: tuple[int, ...],
        project: Projection | None,
        weights: Array | None,
    ) -> Ring:
        """Lay image and trust on the ring."""
        xp, ndim = namespace(image), len(grid)
        batch = tuple(image.shape[: image.ndim - ndim])
        strided = (..., *(slice(None, n, s) for n, s in zip(sizes, stride, strict=True)))
        first = image
        if max(stride) > 1:
            for axis, s in enumerate(stride, start=-ndim):
                first = xp.repeat(first, s, axis=axis)
            first = first[(..., *(slice(n) for n in sizes))]
        peak, middle = float(xp.max(xp.abs(otf))), float(xp.real(otf[(0,) * ndim]))
        # The sum of a signed PSF is a small remainder, of either sign.
        gain = -peak if middle < -0.5 * peak else peak
        mirrored = grid == tuple(2 * n for n in sizes) and project is not None
        known = max(stride) == 1 and grid == sizes and weights is None
        if known:
            return cls(image, None, otf, grid, frame, project, image / gain, gain)
        thin = (1,) * len(batch) if weights is None else batch
        trust = xp.zeros((*thin, *grid), dtype=image.dtype, device=image.device)
        trust[strided] = 1.0 if weights is None else weights
        data = xp.zeros((*batch, *grid), dtype=image.dtype, device=image.device)
        data[strided] = image if weights is None else xp.where(weights > 0, image, xp.zeros_like(image))
        if weights is not None:
            first = _filled(first, data, trust, sizes, stride)
        if mirrored:
            first = _mirrored_out(first, ndim)
        elif grid != sizes:
            first = continued(first, sizes, grid, dark=project is not None)
        copies = 2**ndim if mirrored else 1
        return cls(data, trust, otf, grid, frame, project, first / gain, gain, copies, max(stride) > 1)

    @property
    def ndim(self) -> int:
        """Axes of the frame."""
        return len(self.grid)

    @property
    def count(self) -> float:
        """Samples that are trusted, of all items together."""
        xp = namespace(self.data)
        if self.trust is None:
            return float(math.prod(self.data.shape))
        items: float = math.prod(self.data.shape) / math.prod(self.trust.shape)
        return float(xp.sum(xp.astype(self.trust > 0, xp.float64))) * items

    @property
    def mean_trust(self) -> float:
        """Of the samples that are trusted."""
        if self.trust is None:
            return 1.0
        xp = namespace(self.data)
        return float(xp.sum(self.trust)) / float(xp.sum(xp.astype(self.trust > 0, xp.float64)))

    @property
    def energy(self) -> float:
        """Sum of the squared samples of the PSF."""
        xp, half = namespace(self.otf), self.otf
        power = xp.astype(xp.real(half) ** 2 + xp.imag(half) ** 2, half.dtype)
        return float(_fft.inverse(power, self.grid)[(0,) * self.ndim])

    def matched(self) -> Array:
        """The height that a spike at each sample would have, were it the only one: the data through ``H^T``."""
        return self.returned(self.data) / self.energy

    def blurred(self, x: Array) -> Array:
        """``H x`` on the whole ring."""
        if self.varying is not None:
            return self.varying.forward(x)
        return _fft.filter(x, self.otf, self.grid, self.grid)

    def returned(self, y: Array) -> Array:
        """``H^T y``."""
        if self.varying is not None:
            return self.varying.adjoint(y)
        return _fft.filter(y, self.otf, self.grid, self.grid, conjugate=True)


def _inside(image: Array, sizes: tuple[int, ...], grid: tuple[int, ...]) -> Array:
    xp = namespace(image)
    inside = xp.zeros(grid, dtype=image.dtype, device=image.device)
    inside[tuple(slice(n) for n in sizes)] = 1.0
    return inside


def _mirrored_out(x: Array, ndim: int) -> Array:
    xp = namespace(x)
    for axis in range(-ndim, 0):
        x = xp.concat([x, xp.flip(x, axis=axis)], axis=axis)
    return x


def _filled(first: Array, data: Array, trust: Array, sizes: tuple[int, ...], stride: tuple[int, ...]) -> Array:
    """The first guess with the mean of the good samples in place of the bad ones."""
    xp, ndim = namespace(data), len(sizes)
    axes = tuple(range(-ndim, 0))
    light = xp.sum(data * xp.astype(trust > 0, data.dtype), axis=axes, keepdims=True)
    number = xp.sum(xp.astype(trust > 0, data.dtype), axis=axes, keepdims=True)
    good = trust[(..., *(slice(None, n, s) for n, s in zip(sizes, stride, strict=True)))] > 0
    for axis, s in enumerate(stride, start=-ndim):
        good = xp.repeat(good, s, axis=axis) if s > 1 else good
    good = good[(..., *(slice(n) for n in sizes))]
    return xp.where(good, first, light / xp.maximum(number, xp.ones_like(number)))
