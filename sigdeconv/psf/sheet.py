"""A microscope in which light is made in the plane in focus only: the specimen is lit from the side, by a sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .._array import number
from ._diffraction import intensity
from ._objective import light, number_or_inf, objective, origin_plane, window
from .kernels import Kernel, _whole

SHEET_DETAIL = 1.97  # cycles in a width of the sheet, beyond which a Gaussian has no more than 1e-6 of its spectrum
THINNEST_SHEET = 0.25  # wavelengths of the detected light
DARK = 6.0  # widths; past so many from the middle of the sheet there is no light, to 1e-43


def light_sheet(
    shape: int | Sequence[int],
    *,
    wavelength: float,
    na: float,
    pixel_size: float | Sequence[float],
    thickness: float,
    offset: float = 0.0,
    depth: float = 0.0,
    sample_index: float = 1.33,
    immersion_index: float = 1.33,
    design_immersion_index: float | None = None,
    coverslip_index: float = 1.52,
    design_coverslip_index: float = 1.52,
    coverslip_thickness: float = 0.0,
    design_coverslip_thickness: float = 0.0,
    working_distance: float = 2000.0,
    origin: str = "best",
) -> Kernel:
    """PSF of a microscope whose specimen is lit from the side by a sheet of light.

    Parameters
    ----------
    shape : int or (int, int, int)
        Shape of the PSF (z, y, x); an integer gives a cube, ``(1, y, x)`` a plane.
    wavelength : float
        Vacuum wavelength of the detected light in micrometre.
    na : float
        Numerical aperture of the detecting objective.
    pixel_size : float or (float, float, float)
        Size of a voxel in micrometre in the specimen, one for all axes or (z, y, x).
    thickness : float
        Full width at half maximum of the sheet in micrometre, along the axis of detection; ``math.inf`` is widefield.
        The full width between the points of 1/e² is 1.699 times that.
    offset : float
        How far beyond the plane in focus the sheet lies, in micrometre; 0 is well aligned.
    depth, sample_index, immersion_index, design_immersion_index : float
        Place of the particle and media, as in `gibson_lanni`. By default the objective dips into water.
    coverslip_index, design_coverslip_index, coverslip_thickness, design_coverslip_thickness, working_distance : float
        Coverslip and objective, as in `gibson_lanni`. By default there is no coverslip.
    origin : {"best", "nominal"}
        The plane at sample ``n // 2`` along z, as in `gibson_lanni`. The sheet goes with the plane in focus.

    Returns
    -------
    ndarray of float64, `shape`
        Sum 1, origin at sample ``n // 2`` of every axis.

    Raises
    ------
    TypeError, ValueError
        As `gibson_lanni`, `thickness` is below a quarter of the wavelength, or `offset` puts the sheet outside of the
        window.

    Notes
    -----
    The PSF is that of the detection, after Gibson and Lanni, times the Gaussian profile of the sheet [1]_. A Gaussian
    beam is as thin as that at its waist only: at the distance x from it the thickness is
    ``t sqrt(1 + (0.441 λ x / (n t²))²)``, λ the wavelength of the laser in vacuum. Give the thickness where the PSF is
    wanted.

    References
    ----------
    .. [1] J. Huisken, J. Swoger, F. Del Bene, J. Wittbrodt and E. H. K. Stelzer, "Optical sectioning deep inside live
       embryos by selective plane illumination microscopy", Science 305, 1007-1009 (2004).
       https://doi.org/10.1126/science.1100035

    Examples
    --------
    >>> psf = light_sheet((21, 31, 31), wavelength=0.52, na=0.8, pixel_size=(0.4, 0.15, 0.15), thickness=2.0)
    >>> psf.shape, round(float(psf.sum()), 6)
    ((21, 31, 31), 1.0)
    """
    wave = light(wavelength)
    lens = objective(
        na,
        depth=depth,
        sample_index=sample_index,
        immersion_index=immersion_index,
        design_immersion_index=design_immersion_index,
        coverslip_index=coverslip_index,
        design_coverslip_index=design_coverslip_index,
        coverslip_thickness=coverslip_thickness,
        design_coverslip_thickness=design_coverslip_thickness,
        working_distance=working_distance,
    )
    width = number_or_inf(thickness, "thickness", above=0.0)
    if width < THINNEST_SHEET * wave:
        raise ValueError(
            f"thickness is {width:g} µm; no sheet of light is thinner than a quarter of its wavelength, give "
            f"micrometres"
        )
    aside = number(offset, "offset")
    place = window(shape, pixel_size, lens, wave, along=SHEET_DETAIL / width)
    centre = origin_plane(lens, origin, wave)
    middle = origin_plane(lens, "best", wave) + aside
    planes = centre + place.pixel[0] * (np.arange(place.shape[0]) - place.shape[0] // 2)
    if np.abs(planes - middle).min() > DARK * width + place.pixel[0] / 2:
        raise ValueError(f"offset is {aside:g} µm, where the sheet lights no plane of the window; pass a smaller one")
    radii = place.radii()

    def brightness(focus: Kernel) -> Kernel:
        sheet = np.exp(-4 * math.log(2) * ((focus - middle) / width) ** 2)
        product: Kernel = intensity(lens, wave, radii, focus) * sheet
        return product

    return _whole(place.mean(centre, brightness))
