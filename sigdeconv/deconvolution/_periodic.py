"""The periodic problem behind the closed forms: a frame extended to a periodic grid, and the part of it that counts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _fft
from .._array import Array, choice, namespace
from .._parallel import each, total
from ..convolution import BOUNDARIES, Convolution, psf_for, psf_to_otf


@dataclass(frozen=True)
class Periodic:
    """``Y = H X`` for each frequency of `grid`; the frame is its first samples."""

    image: Array  #: the extended image, ``(..., *grid)``
    otf: Array  #: half spectrum of the PSF on `grid`
    frame: tuple[int, ...]
    grid: tuple[int, ...]
    unknown: bool  #: past the frame the data are a first guess

    @classmethod
    def of(cls, image: Array, psf: Array | Convolution, boundary: str) -> Periodic:
        """The periodic problem for an image and a PSF or ready operator."""
        center: Any = None
        boundary = choice(boundary, BOUNDARIES, "boundary")
        if isinstance(psf, Convolution):
            blur = psf
            if blur.ndim > image.ndim or tuple(image.shape[image.ndim - blur.ndim :]) != blur.shape:
                raise ValueError(
                    f"image has shape {tuple(image.shape)} but the Convolution observes {blur.shape}; "
                    "build it for this shape"
                )
            if set(blur.stride) != {1}:
                raise ValueError(f"psf is a Convolution of stride {blur.stride}; a closed form needs stride 1")
            boundary, center = blur.boundary, blur.center
            if blur.psf is None:
                return cls(image, blur.transfer_like(image), blur.shape, blur.grid, False)
            psf = blur.psf
        psf = psf_for(psf, image)
        ndim = psf.ndim
        frame = tuple(image.shape[image.ndim - ndim :])
        if boundary == "periodic":
            grid = frame
        elif boundary == "reflect":
            grid = tuple(2 * n for n in frame)
            for axis in range(-ndim, 0):
                image = namespace(image).concat([image, namespace(image).flip(image, axis=axis)], axis=axis)
        else:
            reach = [n + k - 1 for n, k in zip(frame, psf.shape, strict=True)]
            grid = tuple(_fft.fast_length(n, real=i == ndim - 1) for i, n in enumerate(reach))
            image = continued(image, frame, grid, dark=boundary == "zero")
        return cls(image, psf_to_otf(psf, grid, center=center), frame, grid, boundary == "free")

    def filtered(self, transfer: Array) -> Array:
        """The frame of the extended image after a transfer function."""
        return _fft.filter(self.image, transfer, self.grid, self.frame)

    def mask(self) -> Array:
        """One within the frame and zero past it."""
        xp = namespace(self.image)
        mask = xp.ones((1,) * self.image.ndim, dtype=self.image.dtype, device=self.image.device)
        for axis, (n, period) in enumerate(zip(self.frame, self.grid, strict=True), start=-len(self.grid)):
            shape = [1] * self.image.ndim
            shape[axis] = period
            line = xp.astype(xp.arange(period, device=self.image.device) < n, self.image.dtype)
            mask = mask * xp.reshape(line, tuple(shape))
        return mask

    def completed(self, hat: Array, *, num_iter: int, tol: float) -> Periodic:
        """The problem with the data past the frame that the regularised solution itself predicts.

        `hat` is the filter from data to predicted data, ``H W``. Where it is applied to data that it leaves as they are
        past the frame, the closed form on the grid is the minimiser of the problem whose data end at the frame (Reeves
        2005). That is a linear system for the data past the frame alone; conjugate gradients solve it, one filter each.
        """
        xp, ndim = namespace(self.image), len(self.grid)
        outside = xp.ones_like(self.image) - self.mask()

        def system(u: Array) -> Array:
            beyond = (lambda predicted, u, outside: (u - predicted) * outside), u, outside
            return _fft.filter(u, hat, self.grid, self.grid, then=beyond)

        u = self.image * outside
        r = (_fft.filter(self.image, hat, self.grid, self.grid) - self.image) * outside
        p, power = r, total(lambda r: r * r, r, ndim=ndim)
        image, enough = self.image, tol**2 * total(lambda u: u * u, u, ndim=ndim)
        for _ in range(num_iter):
            going = power > enough  # each item of a batch stops where it would stop alone
            if not bool(xp.any(going)):
                break
            q = system(p)
            bend = total(lambda p, q: p * q, p, q, ndim=ndim)
            going = going & (bend > 0)
            step = xp.where(going, power / xp.where(going, bend, xp.ones_like(bend)), xp.zeros_like(bend))
            image = each(lambda image, p, step: image + step * p, image, p, step)
            r = each(lambda r, q, step: r - step * q, r, q, step)
            before, power = power, total(lambda r: r * r, r, ndim=ndim)
            ratio = xp.where(before > 0, power / xp.where(before > 0, before, xp.ones_like(before)), before)
            p = each(lambda r, p, ratio: r + ratio * p, r, p, ratio)
        return replace(self, image=image)


def continued(image: Array, frame: tuple[int, ...], grid: tuple[int, ...], *, dark: bool) -> Array:
    """The image on the grid: dark past the frame, or passing smoothly from its end into its beginning.

    The gap is a cross-fade of the two mirror images that continue the two ends.
    """
    xp = namespace(image)
    for axis, (n, period) in enumerate(zip(frame, grid, strict=True), start=-len(grid)):
        gap = period - n
        if gap == 0:
            continue
        if dark:
            shape = list(image.shape)
            shape[axis] = gap
            image = xp.concat([image, xp.zeros(tuple(shape), dtype=image.dtype, device=image.device)], axis=axis)
            continue
        steps = np.arange(gap)
        after, before = _mirrored(n + steps, n), _mirrored(steps - gap, n)
        fade = np.sin(0.5 * math.pi * (steps + 0.5) / gap) ** 2
        shape = [1] * image.ndim
        shape[axis] = gap
        weight = xp.reshape(xp.asarray(fade, dtype=image.dtype, device=image.device), tuple(shape))
        ends = [xp.take(image, xp.asarray(i, device=image.device), axis=axis) for i in (after, before)]
        image = xp.concat([image, (1 - weight) * ends[0] + weight * ends[1]], axis=axis)
    return image


def _mirrored(index: np.ndarray[Any, Any], n: int) -> np.ndarray[Any, Any]:
    """Samples of a scene of length `n` that is mirrored at its ends."""
    index = index % (2 * n)
    return np.where(index < n, index, 2 * n - 1 - index)
