"""Microscopes that hold back the light from outside the plane in focus, by a pinhole or by a disk of them.

Each is a product of two intensities, of the light that excites and of the light that is detected, formed against radius
and focus before it is integrated over the voxels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .._array import number
from ._diffraction import Lens, intensity, plane_light
from ._objective import light, number_or_inf, objective, origin_plane, window
from ._voxels import in_disk
from .kernels import Kernel, _whole

AIRY_DIAMETER = 1.2197  # of the Airy disk, in wavelengths over the aperture
WIDEST_PINHOLE = 50.0  # Airy units; a wider one is open
POINT = 1e-3  # Airy units; a smaller one is a point, to 1e-6


def confocal(
    shape: int | Sequence[int],
    *,
    wavelength: float,
    excitation_wavelength: float,
    na: float,
    pixel_size: float | Sequence[float],
    pinhole: float = 1.0,
    depth: float = 0.0,
    sample_index: float = 1.33,
    immersion_index: float = 1.515,
    design_immersion_index: float | None = None,
    coverslip_index: float = 1.52,
    design_coverslip_index: float = 1.52,
    coverslip_thickness: float = 170.0,
    design_coverslip_thickness: float = 170.0,
    working_distance: float = 150.0,
    origin: str = "best",
) -> Kernel:
    """PSF of a confocal microscope that scans one spot and detects through one pinhole.

    Parameters
    ----------
    shape : int or (int, int, int)
        Shape of the PSF (z, y, x); an integer gives a cube, ``(1, y, x)`` a plane.
    wavelength, excitation_wavelength : float
        Vacuum wavelengths of the emitted light and of the laser, in micrometre.
    na : float
        Numerical aperture, which the laser fills evenly.
    pixel_size : float or (float, float, float)
        Size of a voxel in micrometre in the specimen, one for all axes or (z, y, x).
    pinhole : float
        Diameter of the pinhole in Airy units: its diameter in the specimen (pinhole / magnification) over
        ``1.22 wavelength / NA``. 0 is a point, ``math.inf`` no pinhole.
    depth, sample_index, immersion_index, design_immersion_index : float
        Place of the particle and media, as in `gibson_lanni`.
    coverslip_index, design_coverslip_index, coverslip_thickness, design_coverslip_thickness, working_distance : float
        Coverslip and objective, as in `gibson_lanni`.
    origin : {"best", "nominal"}
        The plane at sample ``n // 2`` along z, as in `gibson_lanni`.

    Returns
    -------
    ndarray of float64, `shape`
        Sum 1, origin at sample ``n // 2`` of every axis.

    Raises
    ------
    TypeError, ValueError
        As `gibson_lanni`, or `pinhole` is negative, or above 50 and finite.

    Notes
    -----
    The PSF is ``h_ex · (h_em ⊗ pinhole)`` [1]_: the laser's intensity at the particle, times the part of its light that
    passes the pinhole, both after Gibson and Lanni. With a point for a pinhole it is the product ``h_ex h_em``; without
    one all light is detected and it is the widefield PSF of the laser light. A laser that does not fill the aperture
    has a wider spot.

    References
    ----------
    .. [1] T. Wilson and A. R. Carlini, "Size of the detector in confocal imaging systems", Optics Letters 12(4),
       227-229 (1987). https://doi.org/10.1364/OL.12.000227

    Examples
    --------
    >>> lens = dict(wavelength=0.52, na=1.4, pixel_size=(0.1, 0.05, 0.05))
    >>> psf = confocal((15, 21, 21), excitation_wavelength=0.488, pinhole=1.0, **lens)
    >>> open = confocal((15, 21, 21), excitation_wavelength=0.488, pinhole=float("inf"), **lens)
    >>> bool(psf[7, 10, 10] > 1.5 * open[7, 10, 10])
    True
    """
    wave, laser = light(wavelength), light(excitation_wavelength, "excitation_wavelength")
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
    place = window(shape, pixel_size, lens, wave, laser)
    radius = _pinhole_radius(pinhole, wave, lens)
    centre = origin_plane(lens, origin, *((laser,) if math.isinf(radius) else (wave, laser)))
    radii = place.radii()
    if math.isinf(radius):
        return _whole(place.mean(centre, lambda focus: intensity(lens, laser, radii, focus)))
    wider = place.radii(radius)
    passing = in_disk(len(radii), place.step, radius, 2 * lens.na / wave, len(wider)) if radius else None

    def brightness(focus: Kernel) -> Kernel:
        detected = intensity(lens, wave, wider, focus)
        product: Kernel = intensity(lens, laser, radii, focus) * (detected if passing is None else passing @ detected)
        return product

    return _whole(place.mean(centre, brightness))


def spinning_disk(
    shape: int | Sequence[int],
    *,
    wavelength: float,
    excitation_wavelength: float,
    na: float,
    pixel_size: float | Sequence[float],
    pinhole: float = 1.0,
    spacing: float = 5.0,
    depth: float = 0.0,
    sample_index: float = 1.33,
    immersion_index: float = 1.515,
    design_immersion_index: float | None = None,
    coverslip_index: float = 1.52,
    design_coverslip_index: float = 1.52,
    coverslip_thickness: float = 170.0,
    design_coverslip_thickness: float = 170.0,
    working_distance: float = 150.0,
    origin: str = "best",
) -> Kernel:
    """PSF of a confocal microscope with a disk of many pinholes before a camera.

    Parameters
    ----------
    shape : int or (int, int, int)
        Shape of the PSF (z, y, x); an integer gives a cube, ``(1, y, x)`` a plane.
    wavelength, excitation_wavelength : float
        Vacuum wavelengths of the emitted light and of the laser, in micrometre.
    na : float
        Numerical aperture, which the laser fills evenly.
    pixel_size : float or (float, float, float)
        Size of a voxel in micrometre in the specimen, one for all axes or (z, y, x).
    pinhole : float
        Diameter of a pinhole in Airy units: its diameter in the specimen (pinhole / magnification) over
        ``1.22 wavelength / NA``.
    spacing : float
        Distance between pinholes in diameters of a pinhole; at least 1. Usual disks have 5.
    depth, sample_index, immersion_index, design_immersion_index : float
        Place of the particle and media, as in `gibson_lanni`.
    coverslip_index, design_coverslip_index, coverslip_thickness, design_coverslip_thickness, working_distance : float
        Coverslip and objective, as in `gibson_lanni`.
    origin : {"best", "nominal"}
        The plane at sample ``n // 2`` along z, as in `gibson_lanni`.

    Returns
    -------
    ndarray of float64, `shape`
        Sum 1, origin at sample ``n // 2`` of every axis.

    Raises
    ------
    TypeError, ValueError
        As `gibson_lanni`, or `pinhole` is below 0.001, `spacing` is below 1, or their product is above 50.

    Notes
    -----
    A camera pixel sees a place while a pinhole is before it, and the place is lit through that pinhole and, out of
    focus, through its neighbours. Over a turn of the disk the PSF is ``h_em · Σ (h_ex ⊗ pinhole ⊗ pinhole)``, summed
    over the pinholes [1]_. Here the neighbours are spread evenly over all but the pinhole's own cell, of area
    ``spacing²``: in focus they add nothing, and far from it the light is that of a widefield microscope, dimmer by the
    open part of the disk.

    References
    ----------
    .. [1] S. Inoué and T. Inoué, "Direct-view high-speed confocal scanner: the CSU-10", Methods in Cell Biology 70,
       87-127 (2002). https://doi.org/10.1016/S0091-679X(02)70005-6

    Examples
    --------
    >>> lens = dict(wavelength=0.52, excitation_wavelength=0.488, na=1.4, pixel_size=(0.1, 0.05, 0.05))
    >>> psf = spinning_disk((15, 21, 21), pinhole=1.2, spacing=5, **lens)
    >>> psf.shape, round(float(psf.sum()), 6)
    ((15, 21, 21), 1.0)
    """
    wave, laser = light(wavelength), light(excitation_wavelength, "excitation_wavelength")
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
    place = window(shape, pixel_size, lens, wave, laser)
    units = number(pinhole, "pinhole", minimum=POINT)
    rate = number(spacing, "spacing", minimum=1.0)
    if units * rate > WIDEST_PINHOLE:
        raise ValueError(
            f"pinhole is {units:g} Airy units and spacing {rate:g} times that; at most {WIDEST_PINHOLE:g} Airy units "
            f"are wanted in between. Past that, pass pinhole to confocal"
        )
    radius = _pinhole_radius(units, wave, lens)
    apart = 2 * radius * rate
    cell = apart / math.sqrt(math.pi)
    centre = origin_plane(lens, origin, wave, laser)
    detail = 2 * lens.na / laser
    radii, *wider = (place.radii(further) for further in (0.0, cell, cell + radius, cell + 2 * radius))
    twice = [in_disk(len(wider[n]), place.step, radius, detail, len(wider[n + 1])) for n in (0, 1)]
    around = in_disk(len(radii), place.step, cell, detail, len(wider[0]))
    whole = plane_light(lens, laser) / apart**2

    def brightness(focus: Kernel) -> Kernel:
        own = twice[0] @ (twice[1] @ intensity(lens, laser, wider[2], focus))
        others = whole - around @ own
        product: Kernel = intensity(lens, wave, radii, focus) * (own[: len(radii)] + others)
        return product

    return _whole(place.mean(centre, brightness))


def _pinhole_radius(pinhole: float, wave: float, lens: Lens) -> float:
    """In micrometre in the specimen."""
    units = number_or_inf(pinhole, "pinhole", minimum=0.0)
    if WIDEST_PINHOLE < units < math.inf:
        raise ValueError(
            f"pinhole is {units:g} Airy units; at most {WIDEST_PINHOLE:g} are wanted, or inf for no pinhole: divide "
            f"its diameter by the magnification and by 1.22 wavelength / NA = {AIRY_DIAMETER * wave / lens.na:.3g} µm"
        )
    return units / 2 * AIRY_DIAMETER * wave / lens.na if units >= POINT else 0.0
