"""Microscopes whose light is not sectioned: the widefield PSF after Born and Wolf, and after Gibson and Lanni.

The intensity against radius and focus is in `_diffraction`, its integration over the voxels in `_voxels`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._array import choice, shown
from ._diffraction import Lens, intensity, plane_light
from ._objective import light, objective, origin_plane, perfect, window
from ._voxels import Window
from .kernels import Kernel, _whole


def born_wolf(
    shape: int | Sequence[int],
    *,
    wavelength: float,
    na: float,
    pixel_size: float | Sequence[float],
    immersion_index: float = 1.515,
    defocus: str = "exact",
    normalize: bool = True,
) -> Kernel:
    """Widefield PSF of a perfect lens in three dimensions, integrated over the voxels.

    Parameters
    ----------
    shape : int or (int, int, int)
        Shape of the PSF (z, y, x); an integer gives a cube, ``(1, y, x)`` a plane.
    wavelength : float
        Vacuum wavelength of the light in micrometre (the emitted light, in fluorescence).
    na : float
        Numerical aperture, below `immersion_index`.
    pixel_size : float or (float, float, float)
        Size of a voxel in micrometre in the specimen, one for all axes or (z, y, x).
    immersion_index : float
        Refractive index of immersion and specimen: 1 in air, 1.33 in water, 1.515 in oil.
    defocus : {"exact", "paraxial"}
        Path of a ray out of focus: "exact" is that of a spherical wave, "paraxial" the parabola that approximates it,
        which Born and Wolf use.
    normalize : bool
        True: sum 1. False: in units of the light of a plane, so that ``psf.sum(axis=(1, 2))`` is the part of each
        plane's light that falls into the window.

    Returns
    -------
    ndarray of float64, `shape`
        Origin, the focus, at sample ``n // 2`` of every axis. Symmetric in z.

    Raises
    ------
    TypeError, ValueError
        A value is not a finite number in its range, `na` is not below `immersion_index`, or a unit is mistaken.

    Notes
    -----
    The intensity is ``|2 ∫ exp(i k f n cos θ) J₀(k NA r ρ) ρ dρ|²`` over the pupil, ρ from 0 to 1, with
    ``n sin θ = NA ρ`` and f the distance to the focus [1]_. In focus it is the Airy pattern ``(2 J₁(v) / v)²`` with
    ``v = k NA r``. For small apertures, or with ``defocus="paraxial"``, it is ``sinc²(u / 4)`` on the axis, with
    ``u = k NA² f / n``; an oil lens of NA 1.4 is a third shallower than that.

    Light is scalar here and the pupil evenly bright; with polarisation, the spot of a lens above NA 1 or so is wider by
    about a tenth.

    Every plane of a widefield image has the same light: to 0.1 % here, in a window that is wide enough. Out of focus it
    spreads over a disk of radius ``|f| tan θ``, and what falls outside the window is cut off before the sum is made 1,
    so that far planes weigh too little. ``normalize=False`` tells how much, and a wider window is the cure.

    References
    ----------
    .. [1] M. Born and E. Wolf, "Principles of Optics", 7th ed., section 8.8, Cambridge University Press (1999).
       https://doi.org/10.1017/CBO9781139644181

    Examples
    --------
    >>> psf = born_wolf((15, 31, 31), wavelength=0.52, na=1.2, pixel_size=(0.2, 0.1, 0.1), immersion_index=1.33)
    >>> psf.shape, round(float(psf.sum()), 6), round(float(psf[7, 15, 15] / psf[8, 15, 15]), 3)
    ((15, 31, 31), 1.0, 1.296)
    """
    wave = light(wavelength)
    lens = perfect(na, immersion_index, choice(defocus, ("exact", "paraxial"), "defocus") == "paraxial")
    return _widefield(window(shape, pixel_size, lens, wave), lens, wave, 0.0, normalize)


def gibson_lanni(
    shape: int | Sequence[int],
    *,
    wavelength: float,
    na: float,
    pixel_size: float | Sequence[float],
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
    normalize: bool = True,
) -> Kernel:
    """Widefield PSF of a particle in a specimen with another refractive index than the lens was made for.

    Parameters
    ----------
    shape : int or (int, int, int)
        Shape of the PSF (z, y, x); an integer gives a cube, ``(1, y, x)`` a plane.
    wavelength : float
        Vacuum wavelength of the light in micrometre (the emitted light, in fluorescence).
    na : float
        Numerical aperture, below the refractive indices of immersion and coverslip.
    pixel_size : float or (float, float, float)
        Size of a voxel in micrometre in the specimen, one for all axes or (z, y, x). Along z it is the step of the
        stage.
    depth : float
        Distance of the particle from the coverslip, in micrometre.
    sample_index : float
        Refractive index around the particle: 1.33 in water, 1.38 in cells, 1.47 in glycerol. Without effect at depth 0.
    immersion_index, design_immersion_index : float
        Refractive index of the immersion medium, and that for which the lens was made; None: the same.
    coverslip_index, design_coverslip_index : float
        Refractive index of the coverslip, and that for which the lens was made.
    coverslip_thickness, design_coverslip_thickness : float
        Thickness of the coverslip, and that for which the lens was made, in micrometre.
    working_distance : float
        Thickness of the immersion in the design, in micrometre; it matters only if that has another index.
    origin : {"best", "nominal"}
        The plane at sample ``n // 2`` along z. "best": where the particle is brightest; a result keeps the places that
        the image shows. "nominal": by `depth` of the stage from where a particle at the coverslip is brightest; a
        result is then in place for particles of that depth, if the peak is still in the window.
    normalize : bool
        True: sum 1. False: in units of the light of a plane, so that ``psf.sum(axis=(1, 2))`` is the part of each
        plane's light that falls into the window.

    Returns
    -------
    ndarray of float64, `shape`
        Origin at sample ``n // 2`` of every axis. Later planes are focused deeper into the specimen; for a stack that
        was taken in the other direction pass ``psf[::-1]`` of an odd number of planes.

    Raises
    ------
    TypeError, ValueError
        A value is not a finite number in its range, `na` is not below the indices of immersion and coverslip, `depth`
        is past the working distance, or a unit is mistaken.

    Notes
    -----
    Light on its way through specimen, coverslip and immersion gets ahead of its path in the design by
    ``d n_s cos θ_s + t_g n_g cos θ_g + t_i n_i cos θ_i`` minus the same for the design [1]_, with ``n sin θ = NA ρ`` in
    every layer; the pupil's phase is k times that. The immersion is as thick as brings the coverslip into focus, less
    the way f of the stage. The integral over the pupil is done in closed form on a series of Bessel functions [2]_,
    fitted to the pupil of each plane; where total reflection puts a kink into the pupil, or the series were longer
    than 500 terms, by Gaussian quadrature. Both agree with adaptive quadrature to 1e-7 of the peak, and the voxels with
    finer ones to 1e-5.

    With `na` above `sample_index` the outer rays leave the specimen only as evanescent waves, which fall by
    ``exp(-k d sqrt(NA² ρ² - n_s²))``: a particle at the coverslip still fills the pupil, one a wavelength deeper does
    not. What scalar theory and the cut at the window's border leave out is said under `born_wolf`; at depth 0 of a
    lens as designed, both are the same.

    The PSF is that of one depth. A stack over which it changes is restored in slabs, each with its own.

    References
    ----------
    .. [1] S. F. Gibson and F. Lanni, "Experimental test of an analytical model of aberration in an oil-immersion
       objective lens used in three-dimensional light microscopy", J. Opt. Soc. Am. A 9(1), 154-166 (1992).
       https://doi.org/10.1364/JOSAA.9.000154
    .. [2] J. Li, F. Xue and T. Blu, "Fast and accurate three-dimensional point spread function computation for
       fluorescence microscopy", J. Opt. Soc. Am. A 34(6), 1029-1034 (2017). https://doi.org/10.1364/JOSAA.34.001029

    Examples
    --------
    >>> import numpy as np
    >>> oil = dict(wavelength=0.52, na=1.3, pixel_size=(0.2, 0.1, 0.1), depth=5.0, sample_index=1.33)
    >>> psf = gibson_lanni((41, 31, 31), **oil)
    >>> np.unravel_index(psf.argmax(), psf.shape) == np.array([20, 15, 15])
    array([ True,  True,  True])
    >>> round(float(psf[14, 15, 15] / psf[26, 15, 15]), 2)  # spherical aberration: not symmetric in z
    0.53
    >>> inside = gibson_lanni((41, 31, 31), **oil, normalize=False).sum(axis=(1, 2))
    >>> np.round(inside[[0, 20, 40]], 2)
    array([0.26, 0.82, 0.23])
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
    place = window(shape, pixel_size, lens, wave)
    return _widefield(place, lens, wave, origin_plane(lens, origin, wave), normalize)


def _widefield(place: Window, lens: Lens, wave: float, centre: float, normalize: bool) -> Kernel:
    if not isinstance(normalize, (bool, np.bool_)):
        raise TypeError(f"normalize is {shown(normalize)}; True or False is wanted")
    radii = place.radii()
    psf = place.mean(centre, lambda focus: intensity(lens, wave, radii, focus))
    if normalize:
        return _whole(psf)
    area = place.pixel[1] * place.pixel[2]
    return psf * (area / plane_light(lens, wave))
