"""The PSF as the instrument made it: averaged from isolated beads in a stack.

Distances between beads are counted in widths: full widths at half maximum of the beads themselves, axis by axis. So the
same rules serve a bead of 2 pixels and one of 7 × 16 × 12 voxels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._array import floating, is_numpy, kind, number, per_axis
from ._averaging import _alike, _average, _cleaned, _default_shape, _from_origin, _owned, _trimmed, _window
from ._finding import _background, _ceiling, _core, _crowded, _find, _locate

Numbers = np.ndarray[Any, Any]

ISOLATION = 2.5  # widths; at half of it a Gaussian has fallen to 1 %


class BeadPSF(NamedTuple):
    """What `from_beads` found.

    Parameters
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
    """Measure the PSF from an image of point-like beads; for stars there is `from_stars`.

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
    return _measure(
        stack,
        shape,
        _Words("stack", "bead"),
        threshold=threshold,
        min_distance=min_distance,
        most=max_beads,
        saturation=saturation,
    )


class _Words(NamedTuple):
    """What messages call the image and what is averaged in it."""

    image: str
    source: str


def _measure(
    given: Numbers,
    shape: int | Sequence[int] | None,
    words: _Words,
    *,
    threshold: float | None,
    min_distance: float | Sequence[float] | None,
    most: int | None,
    saturation: float | None,
    bad: Numbers | None = None,
) -> BeadPSF:
    """The PSF from point sources of any kind; the samples that `bad` marks are no data."""
    name, source = words
    image = floating(given, name)
    if not is_numpy(image):
        raise TypeError(f"{name} is a {kind(image)}; a NumPy array is wanted, such as np.asarray({name}) on the host")
    if image.ndim not in (2, 3):
        raise ValueError(f"{name} has {image.ndim} dimensions; 2 or 3 are wanted, pass one channel or one time point")
    size = None if shape is None else per_axis(shape, image.ndim, "shape", minimum=1)
    if size is not None and any(n > m for n, m in zip(size, image.shape, strict=True)):
        raise ValueError(f"shape is {size} but {name} has shape {image.shape}; pass a shape that fits into the {name}")
    if most is not None:
        (most,) = per_axis(most, 1, f"max_{source}s", minimum=1)
    distance = None if min_distance is None else _distances(min_distance, image.ndim)
    least = None if threshold is None else number(threshold, "threshold")
    ceiling = _ceiling(image, getattr(given, "dtype", image.dtype), saturation)
    largest = float(np.abs(image).max()) or 1.0
    image = image / largest  # so that no square overflows
    ceiling, least = (None if level is None else level / largest for level in (ceiling, least))

    peaks, width = _find(image, least)
    if not len(peaks):
        raise ValueError(f"{name} has no {source} that stands out of the background; pass a lower threshold")
    fate = np.full(len(peaks), "", dtype=object)
    fate[_crowded(peaks, distance if distance is not None else ISOLATION * width)] = f"too near to another {source}"
    centres = peaks.astype(np.float64)
    planes: dict[int, tuple[Numbers, float]] = {}
    for k, peak in enumerate(peaks):
        if ceiling is not None and _core(image, peak, width).max() >= ceiling:
            fate[k] = "saturated"
        elif bad is not None and _core(bad, peak, 1.5 * width).any():
            fate[k] = "with bad samples"
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
    if bad is not None:
        corners = (nearest[chosen] - origin).tolist()
        for mine, start in zip(owned, corners, strict=True):
            mine &= ~bad[tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))]
    middle = _from_origin(size, width)
    like = _alike(windows, owned, middle, width)
    fate[np.array(chosen, dtype=int)[~like]] = "unlike the others"
    fine = [k for k, same in zip(range(len(chosen)), like, strict=True) if same]
    if not fine:
        reasons = ", ".join(f"{n} {reason}" for reason, n in Counter(fate).items())
        raise ValueError(
            f"{name} has no {source} to measure from: of {len(peaks)} found, {reasons}; pass a smaller shape than "
            f"{size}, a smaller min_distance, or {'an' if name[0] in 'aeiou' else 'a'} {name} with fewer and dimmer "
            f"{source}s"
        )
    used = fine[:most]
    noise = np.array([planes[chosen[i]][1] for i in used])
    mean = _average([windows[i] for i in used], [owned[i] for i in used], middle, noise)
    psf = _cleaned(mean, middle, width)
    if shape is None:
        psf = _trimmed(psf)
    fate[[chosen[i] for i in fine[len(used) :]]] = f"beyond max_{source}s"
    rejected = {reason: n for reason, n in Counter(fate).items() if reason}
    return BeadPSF((psf / psf.sum()).astype(image.dtype), centres[[chosen[i] for i in used]], len(used), rejected)


def _distances(value: float | Sequence[float], ndim: int) -> Numbers:
    values: list[Any] = [value] * ndim if np.ndim(value) == 0 else list(value)  # type: ignore[arg-type]
    if len(values) != ndim:
        raise ValueError(f"min_distance has {len(values)} entries; pass one number, or {ndim}, one an axis")
    return np.array([number(v, "min_distance", above=0.0) for v in values])
