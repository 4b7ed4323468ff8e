"""Averaging beads: windows on a common origin, which of them agree, and their mean."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._finding import BACKGROUND_FROM, FWHM, SPAN, _grid

Numbers = np.ndarray[Any, Any]

NEIGHBOUR_SHARE = 0.8  # a sample counts where its own bead is nearer than this part of the distance to any other
TRIM = 1e-3  # of the light; what the default shape may leave outside, axis by axis
ENOUGH = 8  # beads for which the window need not shrink any more
SPLINE_MARGIN = 8  # samples; a quintic spline remembers 0.1 % of what lies farther away
UNLIKE = 0.02  # 1 - correlation: two beads 0.8 widths apart differ that much from one
CLIP = 4.0  # robust sigma of a sample among the beads


def _default_shape(centres: Numbers, width: Numbers, frame: tuple[int, ...]) -> tuple[int, ...]:
    """Odd; five widths, or less where that keeps beads and there are few."""
    edge = np.minimum(centres, np.array(frame) - 1 - centres)
    halves = [np.ceil(span / 2 * width).astype(int) for span in np.linspace(*SPAN, 9)]
    counts = [int((edge >= half).all(axis=1).sum()) for half in halves]
    best = next((i for i, n in enumerate(counts) if n >= min(ENOUGH, max(counts))))
    inside = edge[(edge >= halves[best]).all(axis=1)]
    half = np.minimum(halves[0], inside.min(axis=0)) if len(inside) else halves[-1]
    return tuple(int(h) for h in 2 * half + 1)


def _window(image: Numbers, centre: Numbers, plane: Numbers, size: tuple[int, ...]) -> Numbers:
    """The bead without its background, its centre on sample ``n // 2``."""
    nearest = np.rint(centre).astype(int)
    start = nearest - np.array(size) // 2 - SPLINE_MARGIN
    stop = start + size + 2 * SPLINE_MARGIN
    index = [np.arange(a, b).clip(0, n - 1) for a, b, n in zip(start, stop, image.shape, strict=True)]
    values = image[np.ix_(*index)].astype(np.float64)
    values -= plane[0] + np.stack(np.meshgrid(*index, indexing="ij"), axis=-1) @ plane[1:]
    return _shifted(values, centre - nearest)[(slice(SPLINE_MARGIN, -SPLINE_MARGIN),) * image.ndim]


def _shifted(values: Numbers, fraction: Numbers) -> Numbers:
    """Quintic spline through `values` at index + `fraction`; axis by axis, tens of times faster than ndimage.shift."""
    from scipy import ndimage

    for axis, part in enumerate(fraction):
        # The quintic B-spline, a sum of truncated fifth powers, at the seven nearest knots.
        powers = np.maximum(part - np.arange(-3, 4)[:, None] + 3 - np.arange(7), 0.0) ** 5
        taps = powers @ np.array([1, -6, 15, -20, 15, -6, 1]) / 120
        values = ndimage.correlate1d(ndimage.spline_filter1d(values, 5, axis, mode="mirror"), taps, axis, mode="mirror")
    return values


def _from_origin(size: tuple[int, ...], width: Numbers) -> Numbers:
    """Distance of each sample of the window from its origin, in widths."""
    half = np.array(size) // 2
    distances: Numbers = np.linalg.norm(_grid(-half, np.array(size) - half) / width, axis=-1)
    return distances


def _owned(k: int, centres: Numbers, width: Numbers, size: tuple[int, ...]) -> Numbers:
    """Where in the window of bead k its own light dominates."""
    half = np.array(size) // 2
    at = _grid(-half, np.array(size) - half) / width
    own = np.linalg.norm(at, axis=-1)
    result = np.ones(size, dtype=bool)
    offsets = np.delete(centres, k, axis=0) - centres[k]
    for offset in offsets[(np.abs(offsets) < 2 * np.array(size)).all(axis=1)]:
        result &= own <= NEIGHBOUR_SHARE * np.linalg.norm(at - offset / width, axis=-1)
    return result


def _brightness(windows: list[Numbers], core: Numbers) -> Numbers:
    return np.array([w[core].sum() for w in windows])


def _alike(windows: list[Numbers], owned: list[Numbers], middle: Numbers, width: Numbers) -> Numbers:
    """Which beads correlate with their median; all of them if there are fewer than three."""
    from scipy import ndimage

    core = middle <= 1.25
    bright = _brightness(windows, middle <= 0.75)
    if len(windows) < 3:
        return bright > 0
    smooth = [ndimage.gaussian_filter(w, width / FWHM / 2) for w in windows]
    unit = [(s / max(b, 1e-300))[core] for s, b in zip(smooth, bright, strict=True)]
    median = np.median(unit, axis=0)
    unlike = np.empty(len(unit))
    for i, (values, mine) in enumerate(zip(unit, owned, strict=True)):
        a, b = values[mine[core]], median[mine[core]]
        unlike[i] = 1 - (a @ b) / max(math.sqrt((a @ a) * (b @ b)), 1e-300)
    result: Numbers = (bright > 0) & (unlike <= max(UNLIKE, 5 * float(np.median(unlike))))
    return result


def _average(windows: list[Numbers], owned: list[Numbers], middle: Numbers, noise: Numbers) -> Numbers:
    """Sum of the beads over the sum of their brightness, without samples that are foreign or disagree."""
    bright = _brightness(windows, middle <= 0.75)
    stack, weight = np.stack(windows), np.stack(owned).astype(np.float64)
    each = bright.reshape(-1, *(1,) * middle.ndim)
    if len(windows) >= 5:
        unit = stack / each
        median = np.median(unit, axis=0)
        spread = 1.4826 * np.median(np.abs(unit - median), axis=0)
        weight *= np.abs(unit - median) <= CLIP * np.maximum(spread, (noise / bright).reshape(each.shape))
    total = (weight * each).sum(axis=0)
    # Where no bead may speak, the background does.
    result: Numbers = np.divide((weight * stack).sum(axis=0), total, out=np.zeros(middle.shape), where=total > 0)
    return result


def _cleaned(mean: Numbers, middle: Numbers, width: Numbers) -> Numbers:
    """The part of the mean that stands out of its noise and hangs together with the core, not negative."""
    from scipy import ndimage

    positive = np.maximum(mean, 0.0)
    far = middle > BACKGROUND_FROM
    if far.sum() < 50:
        return positive
    smooth = ndimage.gaussian_filter(mean, width / FWHM / 2)
    noise = 1.4826 * float(np.median(np.abs(smooth[far])))
    # Bridges over dark rings: parts half a width apart still belong together.
    bridge = np.maximum(np.rint(width / 2), 1).astype(int)
    spread = ndimage.maximum_filter(smooth > 3 * noise, tuple(bridge | 1))
    marks = ndimage.label(spread)[0]
    core = marks[tuple(n // 2 for n in mean.shape)]
    return np.where(marks == core, positive, 0.0) if core else positive


def _trimmed(psf: Numbers) -> Numbers:
    """The smallest odd box about the origin that keeps the light."""
    keep = []
    for axis, n in enumerate(psf.shape):
        profile = psf.sum(axis=tuple(k for k in range(psf.ndim) if k != axis))
        outward = np.cumsum(profile[: n // 2 + 1]) + np.cumsum(profile[::-1][: n // 2 + 1])
        cut = int(np.searchsorted(outward[:-1], TRIM * profile.sum()))
        keep.append(slice(cut, n - cut))
    return psf[tuple(keep)]
