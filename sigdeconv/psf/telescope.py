"""PSFs on the sky: a telescope's aperture, and the air above it.

Those of the air have long tails and cores that may be narrower than a pixel, so they are integrated over the pixels
exactly, around their borders: a pixel holds ``-∮ T dθ / 2π`` of the light, T(r) being the light outside the radius r.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from .._array import HUGE, number
from .kernels import COARSEST_PIXEL, FIRST_ZERO, Kernel, _airy, _numbers, _plane, _whole

ARCSEC = math.pi / 648_000  # radians
BORDER = 16  # nodes along the border of a square pixel, for 1e-11
LONGEST = 32.0  # height of a pixel against its width, or the other way round
STRUCTURE = 2 * (24 / 5 * math.gamma(6 / 5)) ** (5 / 6)  # 6.88: variance of the phase over a distance r0
KOLMOGOROV_FWHM = 0.975863432579  # of the long exposure, in wavelength / r0
FAR = 10.0  # wavelength / r0; beyond, the tail is a series in inverse powers
FINEST = 4.6  # frequency, in r0 / wavelength, where the transfer function has fallen to 1e-19
TAIL_TERMS = 8


def telescope(
    shape: int | Sequence[int],
    *,
    wavelength: float,
    diameter: float,
    pixel_size: float | Sequence[float],
    obstruction: float = 0.0,
) -> Kernel:
    """Airy pattern of a telescope outside the atmosphere, integrated over the pixels.

    Parameters
    ----------
    shape : int or (int, int)
        Shape of the PSF; an integer gives a square.
    wavelength : float
        Wavelength of the light in micrometre.
    diameter : float
        Diameter of the aperture in metre.
    pixel_size : float or (float, float)
        Size of a pixel on the sky in arcsec, one for both axes or (y, x).
    obstruction : float
        Diameter of the secondary mirror as part of that of the aperture: from 0, none, to below 1.

    Returns
    -------
    ndarray of float64, 2-D
        Sum 1, origin at sample ``n // 2`` of both axes.

    Raises
    ------
    TypeError, ValueError
        A value is not a finite number above 0, `obstruction` is not from 0 to below 1, or a unit is mistaken.

    Notes
    -----
    The pattern of `airy`, with ``v = π diameter θ / wavelength`` [1]_. The spider that holds the secondary mirror, and
    with it the spikes of bright stars, are left out.

    References
    ----------
    .. [1] M. Born and E. Wolf, "Principles of Optics", 7th ed., section 8.6.2, Cambridge University Press (1999).
       https://doi.org/10.1017/CBO9781139644181

    Examples
    --------
    >>> psf = telescope(31, wavelength=0.6, diameter=2.4, pixel_size=0.04, obstruction=0.33)
    >>> psf.shape, round(float(psf[15, 15]), 2)
    ((31, 31), 0.33)
    """
    size = _plane(shape)
    wave = number(wavelength, "wavelength", above=0.0)
    across = number(diameter, "diameter", above=0.0)
    sizes = _numbers(pixel_size, 2, "pixel_size", above=0.0)
    pixel = [math.pi * across * 1e6 / wave * p * ARCSEC for p in sizes]
    if max(pixel) > COARSEST_PIXEL * FIRST_ZERO:
        raise ValueError(
            f"pixel_size is {pixel_size!r} arcsec but the Airy disk has a radius of "
            f"{1.22 * wave / (across * 1e6) / ARCSEC:.3g} arcsec; give wavelength in µm, diameter in m, pixel_size in "
            f"arcsec"
        )
    return _airy(size, pixel, obstruction)


def moffat(
    shape: int | Sequence[int], *, fwhm: float, beta: float = 3.5, pixel_size: float | Sequence[float] = 1.0
) -> Kernel:
    """Moffat function, the usual model of stars seen through the air, integrated over the pixels.

    Parameters
    ----------
    shape : int or (int, int)
        Shape of the PSF; an integer gives a square.
    fwhm : float
        Full width at half maximum, in the unit of `pixel_size`.
    beta : float
        How steep the wings fall, above 1: 2.5 to 4.5 for stars; 4.765 is nearest to Kolmogorov's turbulence; a large
        number is a Gaussian.
    pixel_size : float or (float, float)
        Size of a pixel, such as in arcsec, one for both axes or (y, x). By default `fwhm` is in pixels.

    Returns
    -------
    ndarray of float64, 2-D
        Sum 1, origin at sample ``n // 2`` of both axes.

    Raises
    ------
    TypeError, ValueError
        `beta` is not above 1, where the light would be infinite, or another value is not a finite number above 0.

    Notes
    -----
    Intensity ``(1 + (r / α)²)^-β`` with ``fwhm = 2 α sqrt(2^(1/β) - 1)`` [1]_, of which the part
    ``(1 + (r / α)²)^(1 - β)`` lies outside the radius r: with ``beta=2.5``, 1 % outside of 4 widths. What lies
    outside the array is cut off before the sum is made 1. The pixels are exact, also where the core is narrower.

    References
    ----------
    .. [1] A. F. J. Moffat, "A theoretical investigation of focal stellar images in the photographic emulsion and
       application to photographic photometry", Astronomy and Astrophysics 3, 455-461 (1969).
       https://ui.adsabs.harvard.edu/abs/1969A&A.....3..455M

    Examples
    --------
    >>> import numpy as np
    >>> np.round(moffat(5, fwhm=2.0, beta=3.0)[2], 3)
    array([0.023, 0.091, 0.165, 0.091, 0.023])
    """
    size = _plane(shape)
    power = number(beta, "beta", above=1.0)
    pixel = _pixels(pixel_size)
    alpha = number(fwhm, "fwhm", above=0.0) / (2 * math.sqrt(math.expm1(math.log(2) / power)))
    return _from_tail(size, pixel, lambda r: np.exp((1 - power) * np.log1p(np.minimum(r / alpha, HUGE) ** 2)))


def kolmogorov(
    shape: int | Sequence[int],
    *,
    fwhm: float | None = None,
    r0: float | None = None,
    wavelength: float | None = None,
    pixel_size: float | Sequence[float] = 1.0,
) -> Kernel:
    """Long exposure through turbulent air: the seeing after Kolmogorov, integrated over the pixels.

    Parameters
    ----------
    shape : int or (int, int)
        Shape of the PSF; an integer gives a square.
    fwhm : float, optional
        Full width at half maximum, the seeing, in the unit of `pixel_size`. Either this or `r0` with `wavelength`.
    r0 : float, optional
        Fried's parameter in metre, at `wavelength` and in the direction of the star.
    wavelength : float, optional
        Wavelength of the light in micrometre, with `r0`.
    pixel_size : float or (float, float)
        Size of a pixel, one for both axes or (y, x); with `r0` in arcsec.

    Returns
    -------
    ndarray of float64, 2-D
        Sum 1, origin at sample ``n // 2`` of both axes.

    Raises
    ------
    TypeError, ValueError
        Not one of `fwhm` and `r0` is given, `r0` without `wavelength`, or a value is not a finite number above 0.

    Notes
    -----
    The transfer function is ``exp(-3.44 (λ f / r0)^(5/3))`` at f cycles per radian [1]_, and the width
    ``0.976 λ / r0``. The wings fall as ``r^(-11/3)``: 1 % of the light lies beyond 3.9 widths. What lies outside the
    array is cut off before the sum is made 1. The telescope's own diffraction, errors of its tracking, and the outer
    scale of the turbulence, which makes images of large telescopes in the infrared sharper than this, are left out.

    References
    ----------
    .. [1] D. L. Fried, "Optical resolution through a randomly inhomogeneous medium for very long and very short
       exposures", J. Opt. Soc. Am. 56(10), 1372-1379 (1966). https://doi.org/10.1364/JOSA.56.001372

    Examples
    --------
    >>> psf = kolmogorov(33, fwhm=0.8, pixel_size=0.2)
    >>> psf.shape, round(float(psf[16, 16]), 4)
    ((33, 33), 0.0457)
    """
    size = _plane(shape)
    pixel = _pixels(pixel_size)
    if (fwhm is None) == (r0 is None):
        given = "neither fwhm nor r0" if fwhm is None else "both fwhm and r0"
        raise ValueError(f"{given} is given; pass fwhm, or r0 with wavelength")
    if r0 is None:
        if wavelength is not None:
            raise ValueError("wavelength is given with fwhm; leave it out, the width says it all, or pass r0")
        unit = number(fwhm, "fwhm", above=0.0) / KOLMOGOROV_FWHM  # type: ignore[arg-type]
    else:
        if wavelength is None:
            raise ValueError("r0 is given without wavelength; pass the wavelength in µm")
        metres = number(r0, "r0", above=0.0)
        unit = number(wavelength, "wavelength", above=0.0) * 1e-6 / metres / ARCSEC
    tail = _kolmogorov_tail()
    return _from_tail(size, pixel, lambda r: tail(r / unit))


def _kolmogorov_tail() -> Callable[[Kernel], Kernel]:
    """Light outside a radius in units of wavelength / r0."""
    from scipy.interpolate import CubicSpline
    from scipy.special import gamma, j1, rgamma

    # The light inside is 2πx ∫ exp(-S f^(5/3) / 2) J1(2πfx) df; with f = u³ its integrand is smooth.
    x = np.linspace(0, FAR, 1201)
    panels = 24
    nodes, weights = np.polynomial.legendre.leggauss(24)
    half = FINEST ** (1 / 3) / panels / 2
    u = (half * (2 * np.arange(panels)[:, None] + 1 + nodes)).ravel()
    mass = np.tile(half * weights, panels) * 3 * u**2 * np.exp(-STRUCTURE / 2 * u**5)
    near = CubicSpline(x, 1 - 2 * math.pi * x * (j1(2 * math.pi * np.outer(x, u**3)) @ mass))
    n = np.arange(1, TAIL_TERMS + 1)
    terms = -((-STRUCTURE / 2) ** n) / gamma(n + 1) * gamma(1 + 5 * n / 6) * rgamma(1 - 5 * n / 6)

    def tail(r: Kernel) -> Kernel:
        inverse = (math.pi * np.maximum(r, FAR)) ** (-5 / 3)
        far = inverse * np.polynomial.polynomial.polyval(inverse, terms)
        result: Kernel = np.where(r < FAR, near(np.minimum(r, FAR)), far)
        return result

    return tail


def _pixels(pixel_size: float | Sequence[float]) -> list[float]:
    pixel = [number(p, "pixel_size") for p in _numbers(pixel_size, 2, "pixel_size", above=0.0)]
    if max(pixel) > LONGEST * min(pixel):
        raise ValueError(
            f"pixel_size is {pixel_size!r}; sides that differ by a factor of {LONGEST:g} at most are wanted"
        )
    return pixel


def _from_tail(size: Sequence[int], pixel: Sequence[float], tail: Callable[[Kernel], Kernel]) -> Kernel:
    """PSF from the light outside every radius: around a pixel, ``-∮ T dθ / 2π``, and 1 more where the origin lies."""
    far = [n // 2 + 1 for n in size]
    nodes, weights = np.polynomial.legendre.leggauss(BORDER * math.ceil(max(pixel) / min(pixel)))

    def swept(along: int, across: int) -> Kernel:
        """Integral of T dθ over the sides parallel to one axis, for all pixels of a quadrant; shape (along, across)."""
        edge = ((np.arange(far[across] + 1) - 0.5) * pixel[across])[:, None]
        total = np.empty((far[along], far[across] + 1))
        for i in range(far[along]):
            place = (i + nodes / 2) * pixel[along]
            square = edge**2 + place**2
            total[i] = (edge * tail(np.sqrt(square)) / square) @ weights * (pixel[along] / 2)
        return np.diff(total, axis=1)

    quadrant = -(swept(0, 1) + swept(1, 0).T) / (2 * math.pi)
    quadrant[0, 0] += 1
    near = [np.abs(np.arange(n) - n // 2) for n in size]
    return _whole(np.maximum(quadrant, 0.0)[np.ix_(*near)])
