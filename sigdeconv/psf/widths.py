"""How wide a PSF is: read off its profiles, or from a Gaussian or a Moffat function that is fitted to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._array import Array
from ._fitting import FLATTEST, _fitted, _gaussian, _moffat, _widths
from ._host import host
from .kernels import _numbers

Numbers = np.ndarray[Any, Any]


class GaussianFit(NamedTuple):
    """What `fit_gaussian` found.

    Parameters
    ----------
    fwhm : tuple of float
        Full width at half maximum along each axis, in the units of `pixel_size`, the pixel not included.
    offset : tuple of float
        Centre of the Gaussian less the origin ``n // 2``, in samples.
    residual : float
        Norm of what the fit leaves over the norm of the PSF: 0 for a Gaussian.
    """

    fwhm: tuple[float, ...]
    offset: tuple[float, ...]
    residual: float


class MoffatFit(NamedTuple):
    """What `fit_moffat` found.

    Parameters
    ----------
    fwhm : tuple of float
        Full width at half maximum along each axis, in the units of `pixel_size`, the pixel not included.
    beta : float
        The exponent: the smaller, the farther the wings reach. The largest is 1000, which is a Gaussian.
    offset : tuple of float
        Centre of the Moffat function less the origin ``n // 2``, in samples.
    residual : float
        Norm of what the fit leaves over the norm of the PSF: 0 for a Moffat function.
    """

    fwhm: tuple[float, ...]
    beta: float
    offset: tuple[float, ...]
    residual: float


def fwhm(psf: Array, pixel_size: float | Sequence[float] = 1.0) -> tuple[float, ...]:
    """Full width at half maximum of a PSF along each axis, read off its profiles without a model.

    Parameters
    ----------
    psf : array
        PSF of one to three axes.
    pixel_size : float or sequence of float, default 1
        Size of a sample, one for all axes or one an axis; the unit of the result.

    Returns
    -------
    tuple of float
        A width for each axis, in the units of `pixel_size`. NaN along an axis on which the profile does not fall to
        half its maximum to both sides.

    Raises
    ------
    TypeError, ValueError
        The PSF is empty, not real or not finite, has more than three axes or no positive sample, or `pixel_size` is not
        larger than 0.

    Notes
    -----
    The profiles are the lines through the brightest sample. A quintic spline through the samples gives the height of
    the maximum and where half of it is crossed first, on both sides [1]_. Wherever between samples the centre of a
    Gaussian is, it errs by 1.5 % at most for σ = 1 sample, by 7 % for 0.8; sharper PSFs are undersampled. What is
    measured is the width of the samples as they are: a pixel that integrates the light adds to it, for a Gaussian
    ``FWHM² = FWHM₀² + 0.46 pixel²``. `fit_gaussian` and `fit_moffat` give the width without the pixel. A single line is
    as noisy as its samples; of a noisy PSF the fits say more.

    References
    ----------
    .. [1] R. W. Cole, T. Jinadasa and C. M. Brown, "Measuring and interpreting point spread functions to determine
       confocal microscope resolution and ensure quality control", Nature Protocols 6, 1929-1941 (2011).
       https://doi.org/10.1038/nprot.2011.407

    Examples
    --------
    >>> from sigdeconv.psf import gaussian
    >>> [round(width, 2) for width in fwhm(gaussian((41, 41, 41), (4, 2, 2)), (0.3, 0.1, 0.1))]
    [2.83, 0.48, 0.48]
    """
    _, samples, _ = host(psf)
    sizes = _numbers(pixel_size, samples.ndim, "pixel_size", above=0.0)
    return tuple(width * size for width, size in zip(_widths(samples), sizes, strict=True))


def fit_gaussian(psf: Array, pixel_size: float | Sequence[float] = 1.0) -> GaussianFit:
    """Fit a Gaussian, integrated over the pixels, to a PSF.

    Parameters
    ----------
    psf : array
        PSF of one to three axes, each of at least three samples; without background.
    pixel_size : float or sequence of float, default 1
        Size of a sample, one for all axes or one an axis; the unit of the widths.

    Returns
    -------
    GaussianFit
        ``(fwhm, offset, residual)``; divide a width by 2.3548 for the standard deviation.

    Raises
    ------
    TypeError, ValueError
        The PSF is empty, not real or not finite, has more than three axes, fewer than three samples on one of them, or
        no positive sample, or `pixel_size` is not larger than 0.

    Notes
    -----
    Least squares over height, centre and one width an axis, all samples weighted alike. The Gaussian is integrated
    over the pixels, so its width is that of the light before the detector; the pixel widens it to
    ``FWHM² + 0.46 pixel²``. Widths below a third of a sample cannot be told apart. The axes of the Gaussian are those
    of the array: a PSF that is tilted, as by spherical aberration or a misaligned pinhole, gets the widths of its
    sections, and a larger residual. The core of a microscope's PSF is Gaussian to a few percent [1]_; its rings and a
    widefield PSF out of focus are not. Samples farther than four widths from the peak are left out.

    References
    ----------
    .. [1] B. Zhang, J. Zerubia and J.-C. Olivo-Marin, "Gaussian approximations of fluorescence microscope point-spread
       function models", Applied Optics 46(10), 1819-1829 (2007). https://doi.org/10.1364/AO.46.001819

    Examples
    --------
    >>> from sigdeconv.psf import gaussian
    >>> fit = fit_gaussian(gaussian((31, 31), (2.0, 1.5)), pixel_size=0.1)
    >>> [round(width, 4) for width in fit.fwhm], round(fit.residual, 6)
    ([0.471, 0.3532], 0.0)
    """
    _, samples, _ = host(psf)
    sizes = _numbers(pixel_size, samples.ndim, "pixel_size", above=0.0)
    widths, _, centre, residual, _ = _fitted(samples, _gaussian, [])
    return GaussianFit(_scaled(widths, sizes), _from_origin(centre, samples), residual)


def fit_moffat(psf: Array, pixel_size: float | Sequence[float] = 1.0) -> MoffatFit:
    """Fit a Moffat function, integrated over the pixels, to a PSF: a core with wings, as stars have.

    Parameters
    ----------
    psf : array
        PSF of one to three axes, each of at least three samples; without background.
    pixel_size : float or sequence of float, default 1
        Size of a sample, one for all axes or one an axis; the unit of the widths.

    Returns
    -------
    MoffatFit
        ``(fwhm, beta, offset, residual)``.

    Raises
    ------
    TypeError, ValueError
        The PSF is empty, not real or not finite, has more than three axes, fewer than three samples on one of them, or
        no positive sample, or `pixel_size` is not larger than 0.

    Notes
    -----
    The profile is ``(1 + Σ (xₖ / αₖ)²)^-β`` [1]_ with ``FWHM = 2 α √(2^(1/β) - 1)``, of any height. Seeing
    through the atmosphere gives β of 2.5 to 4.8 [2]_; β below half the number of axes, where the light would be
    infinite, is not allowed. Pixels are integrated by Gauss-Legendre quadrature with a number of nodes that follows the
    width. Least squares weigh the core far more than the wings, which are faint: β is that of the part down to about a
    hundredth of the peak. The axes of the function are those of the array; an ellipse at an angle gets a larger
    residual. Samples farther than four widths from the peak are left out.

    References
    ----------
    .. [1] A. F. J. Moffat, "A theoretical investigation of focal stellar images in the photographic emulsion and
       application to photographic photometry", Astronomy and Astrophysics 3, 455-461 (1969).
       https://ui.adsabs.harvard.edu/abs/1969A&A.....3..455M
    .. [2] I. Trujillo, J. A. L. Aguerri, J. Cepa and C. M. Gutiérrez, "The effects of seeing on Sérsic profiles - II.
       The Moffat PSF", Monthly Notices of the Royal Astronomical Society 328, 977-985 (2001).
       https://doi.org/10.1046/j.1365-8711.2001.04937.x

    Examples
    --------
    >>> import numpy as np
    >>> y, x = np.mgrid[-30:31, -30:31]
    >>> fit = fit_moffat((1 + (x / 4) ** 2 + (y / 4) ** 2) ** -3.0)
    >>> round(fit.beta, 1), round(fit.fwhm[0], 1)  # of light that a pixel has not yet widened
    (2.9, 4.0)
    """
    _, samples, _ = host(psf)
    sizes = _numbers(pixel_size, samples.ndim, "pixel_size", above=0.0)
    widths, extra, centre, residual, _ = _fitted(samples, _moffat, [(FLATTEST, 1 / 3, 1.99 / samples.ndim)])
    return MoffatFit(_scaled(widths, sizes), float(1 / extra[0]), _from_origin(centre, samples), residual)


def _scaled(widths: Numbers, sizes: list[float]) -> tuple[float, ...]:
    return tuple(float(width * size) for width, size in zip(widths, sizes, strict=True))


def _from_origin(centre: Numbers, samples: Numbers) -> tuple[float, ...]:
    return tuple(float(c - n // 2) for c, n in zip(centre, samples.shape, strict=True))
