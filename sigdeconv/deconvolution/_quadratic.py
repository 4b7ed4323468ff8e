"""The quadratic problem: ``1/2 |W^(1/2) (A x - y)|^2 + weight/2 |L x|^2``, where its scene lives, and its near inverse.

With an unknown or a periodic boundary the scene lives on a periodic grid (past the frame it goes on for as many samples
as the PSF reaches and a few more, and then its ends meet), otherwise on the frame's samples alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _fft
from .._array import Array, choice, namespace, scalar
from .._parallel import each, total
from ..convolution import BOUNDARIES, Convolution, psf_for, signed_otf, sole_boundary
from ..differences import gradient, gradient_adjoint, laplacian
from ..varying import VaryingConvolution
from ._krylov import Map
from ._periodic import SEAM
from ._varying import average_otf, seen_around

REGULARIZERS = ("laplacian", "gradient", "identity")
UNSEEN = 1e-6  # of the OTF's peak power: what neither blur nor penalty sees is left to about this in the near inverse


@dataclass(frozen=True)
class Scene:
    """Where the unknown lives, and how it is seen there."""

    domain: tuple[int, ...]
    shape: tuple[int, ...]  #: of what is observed
    frame: tuple[slice, ...]  #: of the domain, what the result shows
    stride: tuple[int, ...]
    forward: Map
    adjoint: Map
    rough: Map  #: ``L^T L``
    otf: Array  #: half spectrum on `grid`
    grid: tuple[int, ...]
    power: Array  #: ``|H|^2``; of a mirrored scene, on average over the mirror images
    penalty: Array  #: ``|L|^2`` on the same frequencies
    filtered: Callable[[Array, Array], Array]  #: a scene after a transfer function on `grid`
    ring: bool  #: the domain is the grid, and the frame its first samples
    boundary: str
    regularizer: str
    varies: bool = False  #: the PSF changes with the place; `otf` and `power` are an average then

    @property
    def ndim(self) -> int:
        """Axes of the frame."""
        return len(self.domain)

    @classmethod
    def of(cls, image: Array, psf: Array | Convolution, boundary: str, regularizer: str) -> Scene:
        """The scene of an image and a PSF or ready operator, which brings its own boundary."""
        boundary = choice(boundary, BOUNDARIES, "boundary")
        choice(regularizer, REGULARIZERS, "regularizer")
        blur = psf if isinstance(psf, Convolution) else None
        if blur is not None:
            if blur.ndim > image.ndim or tuple(image.shape[image.ndim - blur.ndim :]) != blur.shape:
                raise ValueError(
                    f"image has shape {tuple(image.shape)} but the Convolution observes {blur.shape}; "
                    "build it for this shape"
                )
            boundary = sole_boundary(blur)
        samples = blur.psf if blur is not None else psf
        by_otf = blur is not None and samples is None
        kernel: Any = None if by_otf else psf_for(samples, image, signed=True)
        ndim = blur.ndim if blur is not None else kernel.ndim
        shape = tuple(image.shape[image.ndim - ndim :])
        stride = (1,) * ndim if blur is None else blur.stride
        center = None if blur is None else blur.center
        if boundary in ("zero", "reflect"):
            return cls._on_frame(image, kernel, blur or Convolution(kernel, shape, boundary=boundary), regularizer)
        sizes = tuple(n * s for n, s in zip(shape, stride, strict=True))
        if boundary == "periodic":
            grid = sizes = sizes if blur is None else blur.domain_shape
        else:
            reach = [n + k - 1 + (SEAM if k > 1 else 0) for n, k in zip(sizes, kernel.shape, strict=True)]
            grid = tuple(_fft.fast_length(n, real=i == ndim - 1) for i, n in enumerate(reach))
        if isinstance(blur, VaryingConvolution):
            otf = average_otf(blur, grid, image)
        elif blur is not None and kernel is None:
            otf = blur.transfer_like(image)
        else:
            otf = signed_otf(kernel, grid, center=center)
        seen = tuple((n - 1) * s + 1 for n, s in zip(shape, stride, strict=True))
        thin = (..., *(slice(None, None, s) for s in stride))

        def forward(x: Array) -> Array:
            y = _fft.filter(x, otf, grid, seen)
            return y if max(stride) == 1 else y[thin]

        def adjoint(y: Array) -> Array:
            if max(stride) > 1:
                xp = namespace(y)
                zeros = xp.zeros((*y.shape[: y.ndim - ndim], *seen), dtype=y.dtype, device=y.device)
                zeros[thin] = y
                y = zeros
            return _fft.filter(y, otf, grid, grid, conjugate=True)

        maps = seen_around(blur, grid) if isinstance(blur, VaryingConvolution) else (forward, adjoint)
        return cls(
            grid,
            shape,
            tuple(slice(n) for n in sizes) if blur is None else tuple(slice(f.stop - f.start) for f in blur.frame),
            stride,
            *maps,
            lambda x: _rough_around(x, ndim, regularizer),
            otf,
            grid,
            _power(otf),
            _penalty(grid, regularizer, image),
            lambda x, transfer: _fft.filter(x, transfer, grid, grid),
            True,
            boundary,
            regularizer,
            isinstance(blur, VaryingConvolution),
        )

    def with_regularizer(self, regularizer: str) -> Scene:
        """The same scene under another penalty."""
        rough = _rough_around if self.ring else _rough
        return replace(
            self,
            penalty=_penalty(self.grid, regularizer, self.penalty),
            rough=lambda x: rough(x, self.ndim, regularizer),
            regularizer=regularizer,
        )

    @classmethod
    def _on_frame(cls, image: Array, kernel: Array, blur: Convolution, regularizer: str) -> Scene:
        """A scene that is dark or mirrored past the frame."""
        ndim, domain = blur.ndim, blur.domain_shape
        mirrored = blur.boundary == "reflect"
        if mirrored:
            grid = tuple(2 * n for n in domain)
        else:
            reach = [n + k - 1 for n, k in zip(domain, kernel.shape, strict=True)]
            grid = tuple(_fft.fast_length(n, real=i == ndim - 1) for i, n in enumerate(reach))

        def filtered(x: Array, transfer: Array) -> Array:
            if mirrored:
                xp = namespace(x)
                for axis in range(-ndim, 0):
                    x = xp.concat([x, xp.flip(x, axis=axis)], axis=axis)
            return _fft.filter(x, transfer, grid, domain)

        if isinstance(blur, VaryingConvolution):
            otf = average_otf(blur, grid, image)
        else:
            otf = signed_otf(kernel, grid, center=blur.center)
        power, xp = _power(otf), namespace(otf)
        if mirrored:
            for axis in range(ndim - 1):  # the last axis' is in the half spectrum already
                power = 0.5 * (power + xp.roll(xp.flip(power, axis=axis), 1, axis=axis))
        return cls(
            domain,
            blur.shape,
            tuple(slice(part.start, part.stop) for part in blur.frame),
            blur.stride,
            blur.forward,
            blur.adjoint,
            lambda x: _rough(x, ndim, regularizer),
            otf,
            grid,
            power,
            _penalty(grid, regularizer, image),
            filtered,
            False,
            blur.boundary,
            regularizer,
            isinstance(blur, VaryingConvolution),
        )


@dataclass(frozen=True)
class Quadratic:
    """``1/2 <x, Q x> - <b, x>`` with ``Q = A^T W A + weight L^T L`` and ``b = A^T W y``."""

    scene: Scene
    y: Array
    trust: Array | None  #: ``W``, at most one; None if it is one everywhere
    weight: float

    def curvature(self, x: Array) -> Array:
        """``Q x``."""
        seen = self.scene.forward(x)
        q = self.scene.adjoint(seen if self.trust is None else self.trust * seen)
        if self.weight == 0:
            return q
        return each(lambda q, r: q + self.weight * r, q, self.scene.rough(x), out=q)

    def target(self) -> Array:
        """``b``."""
        return self.scene.adjoint(self.y if self.trust is None else self.trust * self.y)

    def cost(self, x: Array) -> tuple[Array, Array]:
        """Misfit ``|W^(1/2) (A x - y)|^2`` and roughness ``|L x|^2``, an item."""
        gap = self.scene.forward(x) - self.y
        ndim = self.scene.ndim
        misfit = total(lambda g: g * g, gap if self.trust is None else gap * self.trust**0.5, ndim=ndim)
        return misfit, total(lambda x, r: x * r, x, self.scene.rough(x), ndim=ndim)

    def flat(self) -> Array:
        """The flat scene that explains the mean of the data; dark where a signed PSF tells nothing of it."""
        xp, scene = namespace(self.y), self.scene
        axes = tuple(range(-scene.ndim, 0))
        trust = xp.ones_like(self.y) if self.trust is None else self.trust
        number = xp.sum(xp.broadcast_to(trust, self.y.shape), axis=axes, keepdims=True)
        mean = xp.sum(self.y * trust, axis=axes, keepdims=True) / xp.where(number > 0, number, xp.ones_like(number))
        gain = scalar(xp.real(scene.otf[(0,) * scene.ndim]))
        level = mean / gain if gain != 0 else xp.zeros_like(mean)
        batch = self.y.shape[: self.y.ndim - scene.ndim]
        return xp.zeros((*batch, *scene.domain), dtype=self.y.dtype, device=self.y.device) + level

    def inverse(self, *, exact: bool = False) -> Array:
        """Real half spectrum of the inverse of `curvature`, were the frame all that there is and every sample trusted.

        With fewer samples than that, and without `exact`, of its average.
        """
        scene, xp = self.scene, namespace(self.y)
        power, share = scene.power, 1.0
        if not exact:
            share = 1 / math.prod(scene.stride)
            if self.trust is not None:
                share *= float(xp.mean(self.trust))
        floor = UNSEEN * share * float(xp.max(power)) if not exact or self.weight == 0 else 0.0
        inverse = 1 / xp.maximum(share * power + self.weight * scene.penalty + floor, _tiny(power))
        mean = (0,) * scene.ndim
        if scalar(power[mean]) == 0 and self.weight * scalar(scene.penalty[mean]) == 0:
            inverse[mean] = 0.0  # what a signed PSF does not tell stays as it was: rounding errors would grow there
        return inverse


def _power(spectrum: Array) -> Array:
    xp = namespace(spectrum)
    return xp.real(spectrum) ** 2 + xp.imag(spectrum) ** 2


def _tiny(like: Array) -> Array:
    xp = namespace(like)
    return xp.full((1,) * like.ndim, float(xp.finfo(like.dtype).smallest_normal), dtype=like.dtype, device=like.device)


def complex_like(real: Array) -> Array:
    """A real transfer function as `_fft.filter` takes it."""
    xp = namespace(real)
    return xp.astype(real, xp.complex64 if real.dtype == xp.float32 else xp.complex128)


def _penalty(grid: tuple[int, ...], regularizer: str, image: Array) -> Array:
    """``|L|^2`` on the half spectrum of a grid."""
    xp = namespace(image)
    bins = (*grid[:-1], grid[-1] // 2 + 1)
    power: Any = np.zeros((1,) * len(grid))
    for axis, (m, n) in enumerate(zip(bins, grid, strict=True)):
        shape = [1] * len(grid)
        shape[axis] = m
        # The difference [-1, 1] has the power 2 - 2 cos(w), the second difference its square.
        power = power + (2.0 - 2.0 * np.cos(2.0 * math.pi * np.arange(m) / n)).reshape(shape)
    power = {"laplacian": power**2, "gradient": power, "identity": np.ones(bins)}[regularizer]
    return xp.asarray(power, dtype=image.dtype, device=image.device)


def _rough(x: Array, ndim: int, regularizer: str) -> Array:
    """``L^T L x`` with differences that end at the ends of the scene."""
    if regularizer == "identity":
        return x
    if regularizer == "gradient":
        return gradient_adjoint(gradient(x, ndim))
    return laplacian(laplacian(x, ndim), ndim)


def _rough_around(x: Array, ndim: int, regularizer: str) -> Array:
    """``L^T L x`` with differences around the ring."""
    if regularizer == "identity":
        return x
    bent = _bend(x, ndim)
    return bent if regularizer == "gradient" else _bend(bent, ndim)


def _bend(x: Array, ndim: int) -> Array:
    """Minus the Laplacian, around the ring."""
    xp = namespace(x)
    result = (2.0 * ndim) * x
    for axis in range(-ndim, 0):
        result -= xp.roll(x, 1, axis=axis)
        result -= xp.roll(x, -1, axis=axis)
    return result
