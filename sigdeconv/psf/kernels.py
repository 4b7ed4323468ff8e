"""Point spread functions with a formula: Gaussian, defocus, linear motion, Airy pattern.

All of them are NumPy float64 arrays of sum 1 with their origin at sample ``n // 2`` of every axis, and all of them are
integrated over the pixel, never sampled at its centre: what a detector records, and what keeps small kernels honest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._array import Array, floating, namespace, number, per_axis

Kernel = np.ndarray[Any, Any]

FLAT = 1e6  # sigma in array sizes from which a Gaussian is flat to double precision; beyond, differences cancel
POINT = 1e-6  # sigma in pixels below which a Gaussian lies in one pixel
SMALLEST_DISK = 1e-3  # pixel; a smaller radius lies in one pixel as well
SLIVER = 1e-9  # pixel; extents and areas below are rounding, not coverage
COARSEST_PIXEL = 15.0  # Airy radii; a larger pixel sees a point and is a mistake of units
FIRST_ZERO = 3.8317  # of the Bessel function J1: the radius of the Airy disk in units of v


def gaussian(shape: int | Sequence[int], sigma: float | Sequence[float]) -> Kernel:
    """Gaussian PSF, integrated over the pixels.

    Parameters
    ----------
    shape : int or sequence of int
        Shape of the PSF, one to three axes; an integer gives a 1-D PSF.
    sigma : float or sequence of float
        Standard deviation in pixels, one for all axes or one an axis; 0 means no blur along that axis.

    Returns
    -------
    ndarray of float64, `shape`
        Sum 1, origin at sample ``n // 2`` of every axis.

    Raises
    ------
    TypeError, ValueError
        `shape` has no axis or more than three, an entry is smaller than 1, or `sigma` is negative or not finite.

    Notes
    -----
    A sample is ``Φ((i + ½) / σ) - Φ((i - ½) / σ)``, the mass of the Gaussian in the pixel, with Φ the normal
    distribution. Its variance is σ² + 1/12 pixel² where σ is above half a pixel or so; a Gaussian that is sampled at
    pixel centres would turn into a point below that. What falls outside the array is cut off before the sum is
    made 1: with ``n >= 6 sigma + 1`` less than 0.3 % an axis.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(gaussian(5, 1.0), 4)
    array([0.0614, 0.2448, 0.3877, 0.2448, 0.0614])
    >>> gaussian((9, 15, 15), (1.0, 2.5, 2.5)).shape
    (9, 15, 15)
    """
    from scipy.special import ndtr

    size = _shape(shape)
    result: Kernel = np.ones(())
    for n, width in zip(size, _numbers(sigma, len(size), "sigma", minimum=0.0), strict=True):
        clamped = min(max(width, POINT), FLAT * n)
        distance = np.abs(np.arange(n) - n // 2)
        # On the side of the small tail nothing cancels: far samples keep their relative precision.
        profile = ndtr((0.5 - distance) / clamped) - ndtr((-0.5 - distance) / clamped)
        result = result[..., None] * (profile / profile.sum())
    return result


def disk(radius: float) -> Kernel:
    """Uniform disk: the PSF of a defocused lens with a round aperture, in geometric optics.

    Parameters
    ----------
    radius : float
        Radius of the circle of confusion in pixels; any number above 0.

    Returns
    -------
    ndarray of float64, shape ``(2 m + 1, 2 m + 1)`` with ``m = max(ceil(radius - 1/2), 0)``
        Sum 1, origin at the middle sample. A sample is the exact area that circle and pixel share.

    Raises
    ------
    TypeError, ValueError
        `radius` is not a finite number above 0.

    Notes
    -----
    The geometric model [1]_ holds for defocus of more than about a wavelength; nearer to focus diffraction takes over
    (`airy`). The area is in closed form: under the circle from 0 to x, capped at y, it is an integral of
    ``min(y, sqrt(r² - u²))``, and four of these make a pixel.

    References
    ----------
    .. [1] A. P. Pentland, "A new sense for depth of field", IEEE Trans. Pattern Analysis and Machine Intelligence
       PAMI-9(4), 523-531 (1987). https://doi.org/10.1109/TPAMI.1987.4767940

    Examples
    --------
    >>> import numpy as np
    >>> np.round(disk(1.5), 3)
    array([[0.077, 0.137, 0.077],
           [0.137, 0.141, 0.137],
           [0.077, 0.137, 0.077]])
    """
    r = max(number(radius, "radius", above=0.0), SMALLEST_DISK)
    half = max(math.ceil(r - 0.5), 0)
    corners = np.arange(half + 1) + 0.5
    area = _quarter_disk(corners, r)
    # From the corner areas of one quadrant to its pixels; the pixels on the axes lie in two or four quadrants.
    quadrant = np.diff(np.diff(np.pad(area, ((1, 0), (1, 0))), axis=0), axis=1)
    quadrant[0, 1:] *= 2
    quadrant[1:, 0] *= 2
    quadrant[0, 0] *= 4
    near = np.abs(np.arange(-half, half + 1))
    quadrant = (quadrant + quadrant.T) / 2  # symmetric to the last bit
    return _whole(np.where(quadrant > SLIVER / r**2, quadrant, 0.0)[np.ix_(near, near)])


def _quarter_disk(edge: Kernel, r: float) -> Kernel:
    """Area of the disk of radius r in ``[0, x] × [0, y]`` for all x and y of `edge`, in units of r²."""
    x = np.minimum(edge[None, :] / r, 1.0)
    y = np.minimum(edge[:, None] / r, 1.0)

    def under(u: Kernel) -> Kernel:
        """Area under the unit circle from 0 to u."""
        half: Kernel = 0.5 * (u * np.sqrt(1 - u * u) + np.arcsin(u))
        return half

    meets = np.minimum(np.sqrt(1 - y * y), x)  # where the circle falls below y
    result: Kernel = y * meets + under(x) - under(meets)
    return result


def motion(length: float, angle: float = 0.0) -> Kernel:
    """Uniform linear motion: an antialiased line, one pixel wide.

    Parameters
    ----------
    length : float
        Length of the path in pixels, at least 1: the width of the line, which along an axis is no motion.
    angle : float, default 0
        Direction in degrees, counter-clockwise from the x axis (the last axis) as the image is displayed, that is
        with y pointing up and row 0 on top: 45 is a line from the lower left to the upper right.

    Returns
    -------
    ndarray of float64, 2-D, odd sizes
        Sum 1, just large enough for the line. Origin and centroid are the middle sample.

    Raises
    ------
    TypeError, ValueError
        `length` is below 1, or a value is not finite.

    Notes
    -----
    A camera that moves at constant speed while the shutter is open spreads a point over a straight path [1]_. The path
    is drawn as a rectangle of `length` × 1 pixel about the origin, and a sample is the exact area that rectangle and
    pixel share. Hence ``motion(n)`` for odd n is n equal samples, a turn by 180° changes nothing, and the variance
    along the path is ``length² / 12`` to within 1/6 pixel², which the pixels add.

    References
    ----------
    .. [1] M. M. Sondhi, "Image restoration: the removal of spatially invariant degradations", Proceedings of the IEEE
       60(7), 842-853 (1972). https://doi.org/10.1109/PROC.1972.8783

    Examples
    --------
    >>> motion(3)
    array([[0.33333333, 0.33333333, 0.33333333]])
    >>> motion(9, 90).shape
    (9, 1)
    """
    length = number(length, "length", minimum=1.0)
    turn = math.radians(number(angle, "angle") % 180)
    along, across = np.array([math.cos(turn), -math.sin(turn)]), np.array([math.sin(turn), math.cos(turn)])
    outline = 0.5 * np.array([s * length * along + t * across for s, t in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
    half_x, half_y = (max(math.ceil(e - 0.5 - SLIVER), 0) for e in outline.max(axis=0))
    area = _area_below_left(outline, np.arange(-half_x, half_x + 2) - 0.5, np.arange(-half_y, half_y + 2) - 0.5)
    result = np.diff(np.diff(area, axis=0), axis=1)
    result = result + result[::-1, ::-1]  # symmetric to the last bit
    return _whole(np.where(result > SLIVER, result, 0.0))


def _area_below_left(outline: Kernel, x: Kernel, y: Kernel) -> Any:
    """Area of a polygon's part with abscissa up to x and ordinate up to y, for all x and y; shape (len(y), len(x)).

    Green's theorem: each edge contributes the integral of ``min(v(u), y) du`` over its part left of x.
    """
    area = np.zeros((len(y), len(x)))
    for (u0, v0), (u1, v1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        slope = (v1 - v0) / (u1 - u0) if u1 != u0 else 0.0
        start, stop = np.minimum(u0, x), np.minimum(u1, x)
        below0 = v0 + slope * (start - u0) - y[:, None]
        below1 = v0 + slope * (stop - u0) - y[:, None]
        low0, low1 = np.minimum(below0, 0.0), np.minimum(below1, 0.0)
        crosses = (below0 < 0) != (below1 < 0)
        part = np.divide(np.abs(low1 - low0), np.abs(below1 - below0), out=np.ones_like(low0), where=crosses)
        area += 0.5 * (low0 + low1) * (stop - start) * part
    return np.abs(area)  # the sign is the sense in which the outline runs


def airy(
    shape: int | Sequence[int],
    *,
    wavelength: float,
    na: float,
    pixel_size: float | Sequence[float],
    obstruction: float = 0.0,
) -> Kernel:
    """Airy pattern: the in-focus PSF of a perfect lens with a round aperture, integrated over the pixels.

    Parameters
    ----------
    shape : int or (int, int)
        Shape of the PSF; an integer gives a square.
    wavelength : float
        Vacuum wavelength of the light in micrometre (the emitted light, in fluorescence).
    na : float
        Numerical aperture.
    pixel_size : float or (float, float)
        Pixel size in micrometre in the plane of the specimen, one for both axes or (y, x).
    obstruction : float
        Diameter of a dark disk in the middle of the aperture, as of a mirror lens, as part of that of the aperture:
        from 0, none, to below 1.

    Returns
    -------
    ndarray of float64, 2-D
        Sum 1, origin at sample ``n // 2`` of both axes.

    Raises
    ------
    TypeError, ValueError
        A value is not a finite number above 0, or the pixel is so large against the pattern that a unit is mistaken.

    Notes
    -----
    Intensity ``(2 J₁(v) / v)²`` with ``v = 2π NA r / wavelength`` [1]_: the paraxial, scalar model of incoherent
    light, good to NA of about 0.7 in air; beyond, polarisation makes the true spot slightly wider. The first dark ring
    is at ``r = 0.61 wavelength / NA``. Pixels are integrated by Gauss-Legendre quadrature with a number of nodes
    that follows the pixel size, so that coarse pixels are as exact as fine ones. The pattern's rings fall slowly: of
    its energy the part ``J₀²(v) + J₁²(v) ≈ 2 / (π v)`` lies outside the radius v, which for an array that reaches to
    ten dark rings is 2 %; this part is cut off before the sum is made 1.

    An obstruction ε takes the amplitude ``ε² 2 J₁(ε v) / (ε v)`` away: the core gets narrower, the rings brighter, and
    the part of the light outside is larger by the factor ``1 / (1 - ε)``. `telescope` takes a diameter and angles.

    References
    ----------
    .. [1] M. Born and E. Wolf, "Principles of Optics", 7th ed., sections 8.5.2 and 8.6.2, Cambridge University Press
       (1999). https://doi.org/10.1017/CBO9781139644181

    Examples
    --------
    >>> psf = airy(31, wavelength=0.52, na=0.5, pixel_size=0.1)
    >>> psf.shape, round(float(psf[15, 15]), 4)
    ((31, 31), 0.0304)
    """
    size = _plane(shape)
    wave = number(wavelength, "wavelength", above=0.0)
    aperture = number(na, "na", above=0.0)
    pixel = [2 * math.pi * aperture * p / wave for p in _numbers(pixel_size, 2, "pixel_size", above=0.0)]
    if max(pixel) > COARSEST_PIXEL * FIRST_ZERO:
        raise ValueError(
            f"pixel_size is {pixel_size!r} µm but the Airy disk has a radius of {0.61 * wave / aperture:.3g} µm; "
            f"give wavelength and pixel_size in µm, the latter in the specimen (camera pixel / magnification)"
        )
    return _airy(size, pixel, obstruction)


def _plane(shape: int | Sequence[int]) -> tuple[int, ...]:
    size = _shape((shape, shape) if isinstance(shape, (int, np.integer)) else shape)
    if len(size) != 2:
        raise ValueError(f"shape has {len(size)} entries; 2 are wanted, y and x, or one for a square")
    return size


def _airy(size: Sequence[int], pixel: Sequence[float], obstruction: float) -> Kernel:
    """The Airy pattern on pixels whose size is given in units of v."""
    from scipy.special import j1

    dark = number(obstruction, "obstruction", minimum=0.0)
    if dark >= 1:
        raise ValueError(f"obstruction is {dark:g}; the part of the aperture's diameter is wanted, from 0 to below 1")
    # The intensity has no frequency above 2 NA / wavelength, so the quadrature is exact once it resolves that.
    nodes, weights = np.polynomial.legendre.leggauss(6 + math.ceil(max(pixel)))
    offsets = [(np.arange(n) - n // 2) for n in size]
    result = np.zeros(size)
    for i, weight_y in enumerate(weights):
        vy = pixel[0] * (offsets[0] + nodes[i] / 2)
        for j, weight_x in enumerate(weights):
            vx = pixel[1] * (offsets[1] + nodes[j] / 2)
            v = np.maximum(np.hypot(vy[:, None], vx[None, :]), 1e-12)  # 2 J1(v) / v is 1 to rounding there
            field = 2 * j1(v) / v
            if dark:
                inner = np.maximum(dark * v, 1e-12)
                field -= dark**2 * 2 * j1(inner) / inner
            result += weight_y * weight_x * field**2
    return _whole(result)


def normalize(psf: Array) -> Array:
    """The PSF divided by its sum, so that a blur keeps the total intensity.

    Parameters
    ----------
    psf : array
        PSF of any shape and kind (NumPy, torch, CuPy, ...).

    Returns
    -------
    array
        Of the same kind, sum 1; float32 and float64 are kept. Negative samples are kept as they are.

    Raises
    ------
    TypeError, ValueError
        The PSF is empty, not real or not finite, or its sum is zero or negative.

    Examples
    --------
    >>> import numpy as np
    >>> normalize(np.array([1.0, 2.0, 1.0]))
    array([0.25, 0.5 , 0.25])
    """
    psf = floating(psf, "psf")
    xp = namespace(psf)
    peak = float(xp.max(xp.abs(psf)))
    if peak == 0:
        raise ValueError("psf is zero everywhere; a PSF with a positive sum is wanted")
    scaled = psf / peak  # so that no sum overflows
    total, size = float(xp.sum(scaled)), float(xp.sum(xp.abs(scaled)))
    if abs(total) <= 8 * float(xp.finfo(psf.dtype).eps) * size:
        raise ValueError("psf has a sum of zero; a blur has a positive sum, a filter without one cannot be made sum 1")
    if total < 0:
        raise ValueError(f"psf has a negative sum ({total * peak:g}); subtract its background first, or pass -psf")
    return scaled / total


def _whole(area: Kernel) -> Kernel:
    result: Kernel = area / area.sum()
    return result


def _shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    entries = (shape,) if isinstance(shape, (int, np.integer)) else shape
    ndim = len(entries) if np.ndim(entries) else 1
    if not 1 <= ndim <= 3:
        raise ValueError(f"shape has {ndim} entries; one to three are wanted")
    return per_axis(entries, ndim, "shape", minimum=1)


def _numbers(
    value: float | Sequence[float], ndim: int, name: str, *, minimum: float = -math.inf, above: float = -math.inf
) -> list[float]:
    """One number an axis, from one for all or a sequence."""
    values: list[Any] = [value] * ndim if np.ndim(value) == 0 else list(value)  # type: ignore[arg-type]
    if len(values) != ndim:
        raise ValueError(f"{name} has {len(values)} entries; pass one number, or {ndim}, one an axis")
    return [number(v, name, minimum=minimum, above=above, any_size=True) for v in values]
