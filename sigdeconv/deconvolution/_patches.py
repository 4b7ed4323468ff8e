"""Small patches of an image seen in a basis that sorts them from coarse to fine, and the variance of the quiet ones.

White noise has the same variance in every direction of an orthonormal basis and is independent from one to the next.
So patches may be *selected* by their energy in the coarse directions and *measured* in the fine ones: no selection
bias arises, whatever share of them is kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._array import to_numpy
from .._fft import fast_length, inverse
from ..convolution import Convolution, psf_to_otf

Real = np.ndarray[Any, Any]

SIDE = {1: 16, 2: 8, 3: 4}  # samples of a patch along an axis: small enough to fit between the edges of a photograph
MOST = 1 << 16  # patches looked at; with more, nothing is won but time is lost
CORNER = 0.02  # cycles per sample, below which the spectrum of scenes is taken as flat
SHARES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05, 0.03, 0.02, 0.012, 0.008)  # of the patches, quietest first
DEPTHS = (1.0, 0.7, 0.5, 0.35, 0.2, 0.1)  # of the fine directions, finest first
FEWEST = 2.0  # patches' worth of independent samples below which a share says too little
CAUTION = 2.0  # standard errors by which an estimate may exceed a less sure one: many are compared


@dataclass(frozen=True)
class Patches:
    """What is known of each patch."""

    fine: Real  #: components along the fine directions, finest first, shape (patches, directions)
    rough: Real  #: energy along the coarse directions, the mean's left out
    mean: Real
    fresh: float  #: independent patches for each that overlaps its neighbours

    def chosen(self, which: Real) -> Patches:
        """Some of them."""
        return Patches(self.fine[which], self.rough[which], self.mean[which], self.fresh)

    def over(self, variance: Real) -> Patches:
        """All of them, each divided by the standard deviation that is expected in it."""
        return Patches(self.fine / np.sqrt(variance)[:, None], self.rough / variance, self.mean, self.fresh)


class Blurred(NamedTuple):
    """What a blur does to scenes, as `directions` wants it."""

    power: Real  #: ``|H|^2`` on a periodic grid, half spectrum
    stride: tuple[int, ...]  #: samples of that grid a sample of the image


def patches(image: Real, ndim: int, blur: Blurred | None, stuck: Sequence[float]) -> Patches:
    """Patches of an image of shape (..., *frame), without those that hold many samples of a value of `stuck`.

    Where hardly any are left, all are taken.
    """
    frame = image.shape[image.ndim - ndim :]
    side = tuple(min(SIDE[ndim], max(n // 2, min(n, 2))) for n in frame)
    batch = math.prod(image.shape[: image.ndim - ndim])
    stride = tuple(max(1, k // 4) for k in side)
    while batch * math.prod((n - k) // s + 1 for n, k, s in zip(frame, side, stride, strict=True)) > MOST and any(
        s < k for s, k in zip(stride, side, strict=True)
    ):
        stride = tuple(min(s + 1, k) for s, k in zip(stride, side, strict=True))
    steps: Any = (..., *(slice(None, None, s) for s in stride), *(slice(None),) * ndim)
    axes = tuple(range(-ndim, 0))
    size = math.prod(side)
    seen = np.lib.stride_tricks.sliding_window_view(image, side, axis=axes)[steps]
    corners = np.arange(math.prod(seen.shape[:-ndim]))
    if corners.size > MOST:
        corners = np.sort(np.random.default_rng(0).choice(corners, MOST, replace=False))
    samples = seen[np.unravel_index(corners, seen.shape[:-ndim])].reshape(-1, size)
    # A border or a saturated area says nothing. A constant of another value does: there is no noise.
    filling = (float(image.min()), float(image.max()), 0.0)
    alive = (np.ptp(samples, axis=1) > 0) | ~np.isin(samples[:, 0], filling)
    for value in stuck:
        alive &= np.count_nonzero(samples == value, axis=1) <= max(2, size // 16)
    if np.count_nonzero(alive) >= min(16, len(alive)):
        samples = samples[alive]
    mean = samples.mean(axis=1)
    components = (samples - mean[:, None]) @ directions(side, blur)
    half = size // 2
    fresh = math.prod(s / k for s, k in zip(stride, side, strict=True))
    return Patches(components[:, :half], np.sum(components[:, half:] ** 2, axis=1), mean, fresh)


def directions(side: tuple[int, ...], blur: Blurred | None) -> Real:
    """Orthonormal basis of a patch as columns, finest first: the principal axes of patches of blurred scenes.

    The scene is taken to have a power spectrum ``1 / f^2``, which a blur (None: none) multiplies by its `power`.
    """
    ndim = len(side)
    power, stride = (1.0, (1,) * ndim) if blur is None else blur
    grid = (64,) * ndim if blur is None else (*blur.power.shape[:-1], 2 * (blur.power.shape[-1] - 1))
    axes = [np.fft.fftfreq(n) for n in grid[:-1]] + [np.fft.rfftfreq(grid[-1])]
    # In cycles a sample of the image.
    square = sum((f * s) ** 2 for f, s in zip(np.meshgrid(*axes, indexing="ij", sparse=True), stride, strict=True))
    covariance = inverse((power / (square + CORNER**2)).astype(complex), grid)
    place = np.stack([a.ravel() for a in np.indices(side)], axis=-1)
    # Samples that are `stride` apart: what is aliased needs no other word.
    lag = (place[:, None] - place[None, :]) * np.array(stride)
    matrix = covariance[tuple(lag[..., axis] for axis in range(ndim))]
    flat = np.full(len(place), 1 / math.sqrt(len(place)))
    # The mean leaves the matrix and comes back as its largest direction, so that all others are free of it.
    matrix = matrix - np.outer(matrix @ flat, flat)
    matrix = matrix - np.outer(flat, flat @ matrix)
    matrix += 2 * np.trace(matrix) * np.outer(flat, flat)
    return np.linalg.eigh(matrix)[1]


def blurred(psf: Any, ndim: int) -> Blurred:
    """A PSF or an operator, as `directions` wants it."""
    stride = (1,) * ndim
    if isinstance(psf, Convolution):
        stride = psf.stride
        if psf.psf is None:
            kernel = np.fft.fftshift(inverse(np.asarray(to_numpy(psf.otf), complex), psf.shape))
        else:
            kernel = np.asarray(to_numpy(psf.psf), dtype=np.float64)
    else:
        kernel = np.asarray(psf, dtype=np.float64)
    grid = tuple(fast_length(2 * max(k, SIDE[ndim] * s)) for k, s in zip(kernel.shape, stride, strict=True))
    grid = tuple(n + n % 2 for n in grid)
    size = np.abs(kernel).sum()
    if not size > 0:
        raise ValueError("psf is zero everywhere; it must have at least one sample that is not zero")
    otf = psf_to_otf(kernel / size, grid)
    return Blurred(np.abs(otf) ** 2, stride)


@dataclass(frozen=True)
class Quiet:
    """The patches, and the directions in them, that show hardly anything but noise."""

    which: Real  #: numbers of the patches
    depth: int  #: of the fine directions, finest first
    variance: float
    error: float  #: standard error of `variance`, relative


def quiet(those: Patches, *, fewest: float = FEWEST) -> Quiet:
    """The quiet ones of patches that share one variance of the noise.

    The variance in a share of the patches, quietest first, and a depth of the fine directions, finest first, errs by
    chance the more the fewer they are, and by texture, upwards only, the more they are. Taken is the surest of those
    that no other contradicts from below. `fewest` independent patches are kept, where there are so many.
    """
    order = np.argsort(those.rough, kind="stable")
    number, directions = those.fine.shape
    energy = np.cumsum(those.fine[order] ** 2, axis=0)
    found: list[Quiet] = []
    for share in SHARES:
        n = math.ceil(share * number)
        if n * those.fresh < fewest and found:
            break
        upto = np.cumsum(energy[n - 1]) / n
        for part in DEPTHS:
            k = max(1, round(part * directions))
            error = math.sqrt(2 / max(n * those.fresh * k, 1.0))
            found.append(Quiet(order[:n], k, float(upto[k - 1]) / k, error))
    # Patches that overlap are the more independent, the fewer and the more scattered they are.
    freedom = [len(one.which) * one.depth * math.sqrt(those.fresh) for one in found]
    bound = min(one.variance * _at_most(n) for one, n in zip(found, freedom, strict=True))
    return min((one for one in found if one.variance <= bound), key=lambda one: one.error)


def _at_most(freedom: float) -> float:
    """The largest variance that a mean of so many squares of 1 allows (Wilson and Hilferty's approximation)."""
    root = 1 - 2 / (9 * freedom) - CAUTION * math.sqrt(2 / (9 * freedom))
    return root**-3 if root > 0 else math.inf
