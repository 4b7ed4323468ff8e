"""The PSF as the telescope and the air made it: averaged from the isolated stars of a frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._array import floating, is_numpy
from .kernels import _numbers
from .measured import _measure, _Words
from .widths import fwhm

Numbers = np.ndarray[Any, Any]


class StarPSF(NamedTuple):
    """What `from_stars` found.

    Parameters
    ----------
    psf : ndarray
        The PSF: not negative, sum 1, origin at sample ``n // 2`` of both axes.
    positions : ndarray of float64, shape (num_used, 2)
        Centres (y, x) of the stars that were used, in pixels, brightest first.
    num_used : int
        How many stars were averaged.
    rejected : dict of str to int
        How many stars were found but not used, by reason.
    fwhm : tuple of float
        Full width at half maximum along y and x, in the units of `pixel_size`, as `fwhm` measures it.
    """

    psf: Numbers
    positions: Numbers
    num_used: int
    rejected: dict[str, int]
    fwhm: tuple[float, ...]


def from_stars(
    image: Numbers,
    shape: int | Sequence[int] | None = None,
    *,
    pixel_size: float | Sequence[float] = 1.0,
    threshold: float | None = None,
    min_distance: float | Sequence[float] | None = None,
    max_stars: int | None = None,
    saturation: float | None = None,
) -> StarPSF:
    """Measure the PSF from the isolated stars of an astronomical frame.

    Parameters
    ----------
    image : ndarray, shape (y, x)
        The frame. NaN and infinite samples are bad pixels; stars with one in their core are not used.
    shape : int or (int, int), optional
        Shape of the PSF. By default odd and as large as the light reaches, up to seven widths (full widths at half
        maximum) an axis; less, down to three, where that keeps stars near the frame and there are fewer than eight.
    pixel_size : float or (float, float), default 1
        Size of a pixel, for example in arcsec, one for both axes or (y, x). It is the unit of the widths that are
        found; all else is in pixels.
    threshold : float, optional
        Least height of a star in units of the image, background included, once it is smoothed by one pixel. By default
        six times the noise and a tenth of the brightest star above the background.
    min_distance : float or (float, float), optional
        Least distance between two stars in pixels, one number or (y, x); nearer ones are not used. By default 2.5
        widths.
    max_stars : int, optional
        Use the brightest ones only. By default all.
    saturation : float, optional
        Level from which a sample counts as saturated: the full well of the detector, less its background. By default
        the largest value of an integer dtype, or the maximum of the image if samples pile up there.

    Returns
    -------
    StarPSF
        ``(psf, positions, num_used, rejected, fwhm)``. The PSF is float32 for images of float32 and of 8- and 16-bit
        integers, otherwise float64.

    Raises
    ------
    TypeError, ValueError
        The image is no NumPy array of two axes or has no finite sample, an option does not fit it, or no star can be
        used; the message then counts the reasons.

    Notes
    -----
    Stars are found, centred, aligned and averaged as `from_beads` does it, on a background that is fitted to each of
    them [1]_. Not used are saturated stars, stars with a neighbour too near, and those unlike the median star: stars
    that bleed along a column, double stars, galaxies, cosmic rays. What neighbours leave in the windows of the others
    is clipped once there are five stars.

    The PSF is one for the whole frame, as an average over it. It is the PSF of the pixels: optics, air and the
    integration over a pixel in one, which is what a deconvolution on the same pixels wants [2]_. Where the width is
    below two pixels the frame is aliased: stars look different from pixel phase to pixel phase, and the average is
    wider than each of them (a Gaussian of σ = 0.7 pixel by 4 %, of 0.5 by 13 %). Background that is made of unresolved
    stars is taken for sky, so faint wings are lost in crowded fields.

    References
    ----------
    .. [1] P. B. Stetson, "DAOPHOT: a computer program for crowded-field stellar photometry", Publications of the
       Astronomical Society of the Pacific 99, 191-222 (1987). https://doi.org/10.1086/131977
    .. [2] J. Anderson and I. R. King, "Toward high-precision astrometry with WFPC2. I. Deriving an accurate
       point-spread function", Publications of the Astronomical Society of the Pacific 112, 1360-1382 (2000).
       https://doi.org/10.1086/316632

    Examples
    --------
    >>> import numpy as np
    >>> y, x = np.mgrid[:64, :64]
    >>> centres = [(20.3, 15.8), (40.1, 44.6)]
    >>> image = 10 + sum(500 * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 8) for a, b in centres)
    >>> image[5, 60] = np.nan
    >>> stars = from_stars(image, 15, pixel_size=0.046)  # arcsec
    >>> stars.num_used, [round(w, 3) for w in stars.fwhm]
    (2, [0.217, 0.217])
    """
    frame = floating(image, "image", finite=False)
    if frame.ndim != 2:
        raise ValueError(f"image has {frame.ndim} dimensions; 2 are wanted, pass one frame (image[k])")
    _numbers(pixel_size, 2, "pixel_size", above=0.0)
    bad = ~np.isfinite(frame) if is_numpy(frame) else np.zeros(frame.shape, dtype=bool)
    if bad.all():
        raise ValueError("image has no finite sample; pass a frame with stars")
    found = _measure(
        _filled(frame, bad) if bad.any() else image,
        shape,
        _Words("image", "star"),
        threshold=threshold,
        min_distance=min_distance,
        most=max_stars,
        saturation=saturation,
        bad=_with_neighbours(bad) if bad.any() else None,
    )
    return StarPSF(*found, fwhm=fwhm(found.psf, pixel_size))


def _filled(frame: Numbers, bad: Numbers) -> Numbers:
    """The frame with its bad pixels like the nearest good ones, over which a spline does not ring."""
    from scipy import ndimage

    nearest = ndimage.distance_transform_edt(bad, return_distances=False, return_indices=True)
    result: Numbers = frame[tuple(nearest)]
    return result


def _with_neighbours(bad: Numbers) -> Numbers:
    """Bad pixels and what a spline between pixels takes from them."""
    from scipy import ndimage

    result: Numbers = ndimage.binary_dilation(bad, iterations=1)
    return result
