"""Finding beads in a stack: where they are, what lies under them, and how wide they are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._array import number

Numbers = np.ndarray[Any, Any]

FWHM = math.sqrt(8 * math.log(2))  # of a Gaussian, in sigma
SIGNIFICANT = 6.0  # noise sigma; a volume of 1e8 voxels then has no false bead
FAINTEST = 0.1  # of the brightest bead; fainter ones add more noise than signal, and diffraction rings are below it
BACKGROUND_FROM = 2.0  # widths from every bead; light of a Gaussian there: 2e-5
SPAN = (7.0, 3.0)  # widths that the default shape covers: the aim, and the least it shrinks to
HOT = 8.0  # times its neighbours; a PSF of sigma 0.5 on a pixel's centre reaches 4.3


def _ceiling(image: Numbers, dtype: Any, saturation: float | None) -> float | None:
    """The level of saturation: given, or the end of an integer dtype, or where samples pile up at the maximum."""
    if saturation is not None:
        return number(saturation, "saturation")
    top = image.max()
    if isinstance(dtype, np.dtype) and dtype.kind in "iu" and top >= np.iinfo(dtype).max:
        return float(top)
    # A smooth peak meets each of its high levels about equally often; a clipped one meets its last level too often.
    high = image[image > 0.5 * top + 0.5 * np.partition(image, image.size // 2, axis=None)[image.size // 2]]
    levels, counts = np.unique(high, return_counts=True)
    usual = counts[:-1].mean() if len(levels) > 1 else math.inf
    return float(top) if counts.size and counts[-1] >= 4 and counts[-1] > 4 * usual else None


def _find(image: Numbers, threshold: float | None) -> tuple[Numbers, Numbers]:
    """Peaks of the beads, brightest first, as integers (num, ndim), and their common width."""
    from scipy import ndimage

    image = _without_hot_samples(image)
    smooth = ndimage.gaussian_filter(image, 1.0)
    base, floor = _floor(smooth)
    marks = ndimage.label(smooth > (floor if threshold is None else threshold))[0]
    regions = range(1, int(marks.max()) + 1)
    tops = np.array(ndimage.maximum_position(smooth, marks, regions), dtype=int).reshape(-1, image.ndim)
    if not len(tops):
        return tops, np.ones(image.ndim)
    order = np.argsort([-smooth[tuple(p)] for p in tops])[:100]
    profiles = [[_width_along(smooth - base, p, axis) for axis in range(image.ndim)] for p in tops[order]]
    # An axis along which nothing ends has no width; such a bead then leaves every frame.
    known = [[w for w in column if not math.isnan(w)] for column in zip(*profiles, strict=True)]
    width = np.array([np.median(k) if k else 2.0 * n for k, n in zip(known, image.shape, strict=True)])
    width = np.sqrt(np.maximum(width**2 - FWHM**2, 1.0))  # less the smoothing

    matched = ndimage.gaussian_filter(image, width / FWHM)
    base, floor = _floor(matched)
    reach = 2 * np.maximum(np.rint(width / 2), 1).astype(int) + 1
    maxima = (matched == ndimage.maximum_filter(matched, tuple(reach))) & (matched > base)
    if threshold is None:
        maxima &= matched > floor
    else:
        maxima &= ndimage.maximum_filter(smooth, tuple(reach)) > threshold
    # Equal samples side by side are one bead.
    marks, count = ndimage.label(maxima, ndimage.generate_binary_structure(image.ndim, image.ndim))
    peaks = np.array(ndimage.maximum_position(matched, marks, range(1, count + 1)), dtype=int).reshape(-1, image.ndim)
    return peaks[np.argsort([-matched[tuple(p)] for p in peaks], kind="stable")], width


def _without_hot_samples(image: Numbers) -> Numbers:
    """The image with lonely spikes (hot pixels, cosmic rays) at the background level: they would pass for the beads."""
    from scipy import ndimage

    base = float(np.median(image))
    ring = np.ones((3,) * image.ndim, dtype=bool)
    ring[(1,) * image.ndim] = False
    beside = np.maximum(ndimage.maximum_filter(image, footprint=ring) - base, np.abs(image - base).mean())
    return np.where(image - base > HOT * beside, np.asarray(base, image.dtype), image)


def _floor(smooth: Numbers) -> tuple[float, float]:
    """Background level, and the level above which a maximum is a bead."""
    base = float(np.median(smooth))
    noise = 1.4826 * float(np.median(np.abs(smooth - base)))
    return base, base + max(SIGNIFICANT * noise, FAINTEST * (float(smooth.max()) - base), 1e-6 * abs(base))


def _width_along(smooth: Numbers, peak: Numbers, axis: int) -> float:
    """Full width at half maximum of the line through `peak`; NaN if it never falls that low."""
    line: Numbers = np.moveaxis(smooth, axis, -1)[tuple(np.delete(peak, axis))]
    sides = [_half_width(side) for side in (line[peak[axis] :], line[peak[axis] :: -1])]
    known = [s for s in sides if not math.isnan(s)]
    return 2 * sum(known) / len(known) if known else math.nan


def _half_width(side: Numbers) -> float:
    below = np.flatnonzero(side < side[0] / 2)
    if not len(below):
        return math.nan
    j = int(below[0])
    return float(j - 1 + (side[j - 1] - side[0] / 2) / (side[j - 1] - side[j]))


def _crowded(peaks: Numbers, distance: Numbers) -> Numbers:
    """Which peaks have another one within the ellipsoid of half-axes `distance`."""
    from scipy.spatial import cKDTree

    if len(peaks) < 2:
        return np.zeros(len(peaks), dtype=bool)
    distances = np.asarray(cKDTree(peaks / distance).query(peaks / distance, k=2)[0])
    result: Numbers = distances[:, 1] < 1
    return result


def _core(image: Numbers, peak: Numbers, width: Numbers) -> Numbers:
    half = np.maximum(np.rint(width / 2), 1).astype(int)
    return image[tuple(slice(max(p - h, 0), p + h + 1) for p, h in zip(peak, half, strict=True))]


def _grid(start: Numbers, stop: Numbers) -> Numbers:
    """Coordinates of all samples from `start` to `stop`, shape (*stop - start, ndim)."""
    return np.stack(np.meshgrid(*map(np.arange, start, stop), indexing="ij"), axis=-1)


def _around(image: Numbers, peak: Numbers, reach: Numbers) -> tuple[Numbers, Numbers]:
    """Coordinates and samples of the box of half-axes `reach` about `peak`, cut at the frame."""
    start = np.maximum(np.rint(peak - reach), 0).astype(int)
    stop = np.minimum(np.rint(peak + reach) + 1, image.shape).astype(int)
    values = image[tuple(map(slice, start, stop))].astype(np.float64)
    return _grid(start, stop), values


def _background(image: Numbers, k: int, peaks: Numbers, width: Numbers) -> tuple[Numbers, float]:
    """The plane below bead k (value at index 0, slopes) and the noise about it, clipped against light of any bead."""
    at, values = _around(image, peaks[k], SPAN[0] / 2 * width + 1)
    others = peaks[(np.abs(peaks - peaks[k]) < 2 * SPAN[0] * width).all(axis=1)]
    clear = np.min([(((at - p) / width) ** 2).sum(axis=-1) for p in others], axis=0)
    far = clear >= min(BACKGROUND_FROM**2, float(np.quantile(clear, 0.8)))
    at, values = at[far], values[far]
    plane, noise = np.zeros(1 + image.ndim), 0.0
    step = len(at) // 20000 + 1  # as many samples as a plane can need
    at, values = at[::step], values[::step]
    columns = np.column_stack([np.ones(len(at)), at])
    if len(at) < 10 * columns.shape[1]:
        columns[:, 1:] = 0  # too few for slopes
    keep = np.ones(len(at), dtype=bool)
    for _ in range(5):
        plane[:] = np.linalg.lstsq(columns[keep], values[keep], rcond=None)[0]
        rest = values - columns @ plane
        noise = float(rest[keep].std())
        keep = np.abs(rest) <= 3 * noise
        if not keep.any():
            break
    return plane, noise


def _locate(image: Numbers, peak: Numbers, plane: Numbers, width: Numbers) -> Numbers | None:
    """Centre of the bead: fixed point of the centroid under a Gaussian window of the bead's width."""
    at, values = _around(image, peak, 2 * width + 2)
    values = values - plane[0] - at @ plane[1:]
    centre: Numbers = peak.astype(np.float64)
    for _ in range(100):
        offset = at - centre
        weighted = values * np.exp(-0.5 * ((offset / width * FWHM) ** 2).sum(axis=-1))
        total = weighted.sum()
        if total <= 0:
            return None
        # Twice: under a window as wide as the bead the centroid goes half the way.
        step = 2 * (offset * weighted[..., None]).reshape(-1, len(peak)).sum(axis=0) / total
        centre = centre + step
        if (np.abs(centre - peak) > np.maximum(width, 2)).any():
            return None
        if np.abs(step).max() < 1e-4:
            return centre
    return None
