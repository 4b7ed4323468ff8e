"""The periodic problem behind the closed forms: a frame extended to a periodic grid, and the part of it that counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _fft
from .._array import Array, choice, namespace
from ..convolution import BOUNDARIES, Convolution, psf_for, signed_otf, sole_boundary

SEAM = 4  # samples past all that the frame sees, so that the ends of the scene need not meet within what it does see


@dataclass(frozen=True)
class Periodic:
    """``Y = H X`` for each frequency of `grid`; the frame is its first samples."""

    image: Array  #: the extended image, ``(..., *grid)``
    otf: Array  #: half spectrum of the PSF on `grid`
    frame: tuple[int, ...]
    grid: tuple[int, ...]
    unknown: bool  #: past the frame the data are a first guess

    @classmethod
    def of(cls, image: Array, psf: Array | Convolution, boundary: str, *, seam: int = 0) -> Periodic:
        """The periodic problem for an image and a PSF or ready operator.

        A free scene has `seam` samples more than the frame sees, where its ends meet.
        """
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
            boundary, center = sole_boundary(blur), blur.center
            if blur.psf is None:
                return cls(image, blur.transfer_like(image), blur.shape, blur.grid, False)
            psf = blur.psf
        psf = psf_for(psf, image, signed=True)
        ndim = psf.ndim
        frame = tuple(image.shape[image.ndim - ndim :])
        if boundary == "periodic":
            grid = frame
        elif boundary == "reflect":
            grid = tuple(2 * n for n in frame)
            for axis in range(-ndim, 0):
                image = namespace(image).concat([image, namespace(image).flip(image, axis=axis)], axis=axis)
        else:
            seam = seam if boundary == "free" else 0
            reach = [n + k - 1 + (seam if k > 1 else 0) for n, k in zip(frame, psf.shape, strict=True)]
            grid = tuple(_fft.fast_length(n, real=i == ndim - 1) for i, n in enumerate(reach))
            image = continued(image, frame, grid, dark=boundary == "zero")
        return cls(image, signed_otf(psf, grid, center=center), frame, grid, boundary == "free")

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
