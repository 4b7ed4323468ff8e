"""The PSF as the instrument made it: averaged from isolated beads in a stack.

Distances between beads are counted in widths: full widths at half maximum of the beads themselves, axis by axis. So the
same rules serve a bead of 2 pixels and one of 7 × 16 × 12 voxels.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._array import floating, is_numpy, kind, number, per_axis

Numbers = np.ndarray[Any, Any]

FWHM = math.sqrt(8 * math.log(2))  # of a Gaussian, in sigma
SIGNIFICANT = 6.0  # noise sigma; a volume of 1e8 voxels then has no false bead
FAINTEST = 0.1  # of the brightest bead; fainter ones add more noise than signal, and diffraction rings are below it
ISOLATION = 2.5  # widths; at half of it a Gaussian has fallen to 1 %
NEIGHBOUR_SHARE = 0.8  # a sample counts where its own bead is nearer than this part of the distance to any other
BACKGROUND_FROM = 2.0  # widths from every bead; light of a Gaussian there: 2e-5
SPAN = (7.0, 3.0)  # widths that the default shape covers: the aim, and the least it shrinks to
TRIM = 1e-3  # of the light; what the default shape may leave outside, axis by axis
ENOUGH = 8  # beads for which the window need not shrink any more
SPLINE_MARGIN = 8  # samples; a quintic spline remembers 0.1 % of what lies farther away
UNLIKE = 0.02  # 1 - correlation: two beads 0.8 widths apart differ that much from one
HOT = 8.0  # times its neighbours; a PSF of sigma 0.5 on a pixel's centre reaches 4.3
CLIP = 4.0  # robust sigma of a sample among the beads


class BeadPSF(NamedTuple):
    """What `from_beads` found.

    Attributes
    ----------
    psf : ndarray
        The PSF: not negative, sum 1, origin at sample ``n // 2`` of every axis.
    positions : ndarray of float64, shape (num_used, ndim)
        Centres of the beads that were used, in samples, brightest first.
    num_used : int
        How many beads were averaged.
    rejected : dict of str to int
        How many beads were found but not used, by reason.
    """

    psf: Numbers
    positions: Numbers
    num_used: int
    rejected: dict[str, int]


def from_beads(
    stack: Numbers,
    shape: int | Sequence[int] | None = None,
    *,
    threshold: float | None = None,
    min_distance: float | Sequence[float] | None = None,
    max_beads: int | None = None,
    saturation: float | None = None,
) -> BeadPSF:
    """Measure the PSF from an image of point-like beads (or stars).

    Parameters
    ----------
    stack : ndarray, shape (y, x) or (z, y, x)
        Image of beads that are smaller than the PSF, brighter than the background.
    shape : int or sequence of int, optional
        Shape of the PSF. By default odd and as large as the light reaches, up to seven bead widths (full widths at half
        maximum) an axis; less, down to three, where that keeps beads near the frame and there are fewer than eight.
    threshold : float, optional
        Least height of a bead in units of the stack, background included, once it is smoothed by one sample. By default
        six times the noise and a tenth of the brightest bead above the background.
    min_distance : float or sequence of float, optional
        Least distance between two beads in samples, one number or one an axis (an ellipsoid); nearer beads are not
        used. By default 2.5 widths.
    max_beads : int, optional
        Use the brightest ones only. By default all.
    saturation : float, optional
        Level from which a sample counts as saturated. By default the largest value of an integer dtype, or the maximum
        of the stack if samples pile up there.

    Returns
    -------
    BeadPSF
        ``(psf, positions, num_used, rejected)``. The PSF is float32 for stacks of float32 and of 8- and 16-bit
        integers, otherwise float64.

    Raises
    ------
    TypeError, ValueError
        The stack is no NumPy array of two or three axes with finite samples, an option does not fit it, or no bead can
        be used; the message then counts the reasons.

    Notes
    -----
    1. *Find.* The width of a bead is measured on the stack itself; maxima of the stack smoothed by a Gaussian of that
       width are beads. Not used are saturated beads, beads with a neighbour too near or whose window leaves the
       frame, and, from three beads on, those unlike the median bead (aggregates, dirt, hot pixels).
    2. *Locate.* A plane, fitted by clipped least squares to samples at least two widths away from every bead, is the
       local background. The centre is the fixed point of a centroid under a Gaussian window as wide as the bead [1]_;
       it is this centre that becomes the origin of the PSF, which matters only if the PSF is not symmetric.
    3. *Align.* Quintic splines shift each bead to the grid. Cubic ones blur (1.9 % error for a Gaussian of σ = 1
       shifted by half a sample, against 1.1 %); Fourier shifts err by 0.6 % but ring from what the window cuts.
       Below σ of about 0.8 samples the data themselves are aliased and no shift is faithful.
    4. *Average.* The beads are added, which weights photons equally, and divided by their brightness. Samples nearer
       to another bead are left out, and, from five beads on, samples that disagree with the other beads.
    5. *Clean.* What does not stand out of the noise is set to zero, since the sum over thousands of samples of
       clipped noise would outweigh the PSF; a halo fainter than that is lost.

    A bead of diameter d widens the PSF: its variance grows by d² / 20 along each axis.

    References
    ----------
    .. [1] E. Bertin and S. Arnouts, "SExtractor: Software for source extraction", Astronomy and Astrophysics
       Supplement 117, 393-404 (1996), windowed positions of its manual. https://doi.org/10.1051/aas:1996164

    Examples
    --------
    >>> import numpy as np
    >>> y, x = np.mgrid[:64, :64]
    >>> centres = [(20.3, 15.8), (40.1, 44.6)]
    >>> image = 10 + sum(500 * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 8) for a, b in centres)
    >>> beads = from_beads(image, 15)
    >>> beads.num_used, beads.psf.shape
    (2, (15, 15))
    >>> np.round(beads.positions, 2)
    array([[20.3, 15.8],
           [40.1, 44.6]])
    """
    image = floating(stack, "stack")
    if not is_numpy(image):
        raise TypeError(f"stack is a {kind(image)}; a NumPy array is wanted, such as np.asarray(stack) on the host")
    if image.ndim not in (2, 3):
        raise ValueError(f"stack has {image.ndim} dimensions; 2 or 3 are wanted, pass one channel or one time point")
    size = None if shape is None else per_axis(shape, image.ndim, "shape", minimum=1)
    if size is not None and any(n > m for n, m in zip(size, image.shape, strict=True)):
        raise ValueError(f"shape is {size} but stack has shape {image.shape}; pass a shape that fits into the stack")
    if max_beads is not None:
        (max_beads,) = per_axis(max_beads, 1, "max_beads", minimum=1)
    distance = None if min_distance is None else _distances(min_distance, image.ndim)
    least = None if threshold is None else number(threshold, "threshold")
    ceiling = _ceiling(image, getattr(stack, "dtype", image.dtype), saturation)
    largest = float(np.abs(image).max()) or 1.0
    image = image / largest  # so that no square overflows
    ceiling, least = (None if level is None else level / largest for level in (ceiling, least))

    peaks, width = _find(image, least)
    if not len(peaks):
        raise ValueError("stack has no bead that stands out of the background; pass a lower threshold")
    fate = np.full(len(peaks), "", dtype=object)
    fate[_crowded(peaks, distance if distance is not None else ISOLATION * width)] = "too near to another bead"
    centres = peaks.astype(np.float64)
    planes: dict[int, tuple[Numbers, float]] = {}
    for k, peak in enumerate(peaks):
        if ceiling is not None and _core(image, peak, width).max() >= ceiling:
            fate[k] = "saturated"
        elif not fate[k]:
            planes[k] = _background(image, k, peaks, width)
            found = _locate(image, peak, planes[k][0], width)
            fate[k], centres[k] = ("", found) if found is not None else ("without a clear centre", peak)
    nearest = np.rint(centres).astype(int)
    if size is None:
        size = _default_shape(nearest[fate == ""], width, image.shape)
    origin = np.array(size) // 2
    outside = ((nearest < origin) | (nearest - origin + size > image.shape)).any(axis=1)
    fate[(fate == "") & outside] = "too near to the frame"

    chosen = [int(k) for k in np.flatnonzero(fate == "")]
    windows = [_window(image, centres[k], planes[k][0], size) for k in chosen]
    owned = [_owned(k, centres, width, size) for k in chosen]
    middle = _from_origin(size, width)
    like = _alike(windows, owned, middle, width)
    fate[np.array(chosen, dtype=int)[~like]] = "unlike the others"
    fine = [k for k, same in zip(range(len(chosen)), like, strict=True) if same]
    if not fine:
        reasons = ", ".join(f"{n} {reason}" for reason, n in Counter(fate).items())
        raise ValueError(
            f"stack has no bead to measure from: of {len(peaks)} found, {reasons}; pass a smaller shape than {size}, "
            f"a smaller min_distance, or a stack with fewer and dimmer beads"
        )
    used = fine[:max_beads]
    noise = np.array([planes[chosen[i]][1] for i in used])
    mean = _average([windows[i] for i in used], [owned[i] for i in used], middle, noise)
    psf = _cleaned(mean, middle, width)
    if shape is None:
        psf = _trimmed(psf)
    fate[[chosen[i] for i in fine[len(used) :]]] = "beyond max_beads"
    rejected = {reason: n for reason, n in Counter(fate).items() if reason}
    return BeadPSF((psf / psf.sum()).astype(image.dtype), centres[[chosen[i] for i in used]], len(used), rejected)


def _distances(value: float | Sequence[float], ndim: int) -> Numbers:
    values: list[Any] = [value] * ndim if np.ndim(value) == 0 else list(value)  # type: ignore[arg-type]
    if len(values) != ndim:
        raise ValueError(f"min_distance has {len(values)} entries; pass one number, or {ndim}, one an axis")
    return np.array([number(v, "min_distance", above=0.0) for v in values])


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
