"""A made-up wide-field telescope: its optics, a frame of stars and galaxies seen through it, and the PSFs of its stars.

The frame is not made by the operator that restores it. Every star is drawn at its own place with the PSF of that
place, computed from the wavefront there; galaxies are drawn in small blocks of which each has its own PSF.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from sigdeconv.psf import from_stars

Numbers = np.ndarray[Any, Any]

PIXEL = 0.1  # arcsec
DIAMETER, OBSTRUCTION = 0.5, 0.3  # metre, and the share of it that the secondary mirror hides
WAVELENGTH = 0.6  # µm
ARCSEC = math.pi / 648_000  # radians

# Errors of the wavefront at the corner of the frame, in wavelengths at the edge of the mirror. Coma grows with the
# distance from the axis, the other two with its square.
COMA, ASTIGMATISM, CURVATURE = 0.8, 0.25, 0.35

_TILT = 2 / 3 * (1 + OBSTRUCTION**2 + OBSTRUCTION**4) / (1 + OBSTRUCTION**2)  # that leaves least of the coma

BOX = 33  # pixels of a PSF; of the light of a star 2 % fall farther away in truth, and are left out on both sides
FINE = 3  # samples of the intensity a pixel and axis
ACROSS = 64  # samples of the wavefront across the mirror
BLOCK = 12  # pixels of a galaxy that share a PSF

SKY = 60.0  # electrons a pixel
READOUT = 5.0  # electrons
FULL_WELL = 100_000.0  # electrons
BAD = 0.003  # of the pixels are dead or hot
DENSITY = 1 / 600  # stars a pixel
FAINT, BRIGHT = 3.5, 6.2  # logarithms of a star's electrons; between them every magnitude has as many stars
DEEP_FIELD = (120, 240)  # first pixel (y, x) of the part of the Hubble Deep Field that gives the galaxies
GALAXIES = 1500.0  # electrons in the brightest pixel of the galaxies
ALONE = 8.0  # pixels, to the next star that matters to a measurement
MATTERS = 0.02  # of a star's light, in a neighbour


class Frame(NamedTuple):
    """What the telescope recorded, and what is true of it. Places are (y, x) in pixels of the frame."""

    image: Numbers  # electrons, with the sky
    weights: Numbers  # 0 for bad and saturated pixels
    places: Numbers
    fluxes: Numbers  # electrons
    galaxies: Numbers  # electrons, on the frame
    saturated: Numbers  # of the stars, which filled a well


def optical_psf(place: Any, side: int, shift: Any = (0.0, 0.0), box: int = BOX) -> Numbers:
    """PSF of the telescope for light from `place` in a frame of `side` pixels, moved by `shift`: both (y, x).

    The intensity is the squared Fourier transform of the wavefront at the mirror, taken at the wanted points only
    [1]_. A tilt of the wavefront goes with the coma such that the PSF's centre of mass stays at its origin.

    References
    ----------
    .. [1] R. Soummer et al., "Fast computation of Lyot-style coronagraph propagation", Optics Express 15(24),
       15935-15951 (2007). https://doi.org/10.1364/OE.15.015935
    """
    middle = (side - 1) / 2
    fy, fx = (np.asarray(place, dtype=float) - middle) / (middle * math.sqrt(2))  # 1 at the corner
    at = (np.arange(ACROSS) + 0.5) * 2 / ACROSS - 1
    y, x = at[:, None], at[None, :]
    r2 = y**2 + x**2
    along = fy * y + fx * x
    waves = (
        COMA * (r2 - _TILT) * along
        + ASTIGMATISM * along**2
        + CURVATURE * (fy**2 + fx**2) * (r2 - 0.5 * (1 + OBSTRUCTION**2))
    )
    pupil = _covered(r2, 1.0) - _covered(r2, OBSTRUCTION)
    field = pupil * np.exp(2j * np.pi * waves)
    # Radii of the mirror per wavelength, for a point of the image at one pixel.
    per_pixel = PIXEL * ARCSEC * DIAMETER / 2 / (WAVELENGTH * 1e-6)
    fine = (np.arange(box * FINE) + 0.5) / FINE - 0.5 - box // 2
    ways = [np.exp(-2j * np.pi * per_pixel * np.outer(fine - s, at)) for s in shift]
    intensity = np.abs(ways[0] @ field @ ways[1].T) ** 2
    psf: Numbers = intensity.reshape(box, FINE, box, FINE).sum(axis=(1, 3))
    return psf / psf.sum()


def _covered(r2: Numbers, radius: float) -> Numbers:
    """How much of a cell of the mirror lies within the radius."""
    covered: Numbers = np.clip((radius - np.sqrt(r2)) * ACROSS / 2 + 0.5, 0, 1)
    return covered


def simulated(side: int, rng: np.random.Generator) -> Frame:
    """A frame of stars, some of them saturated, and of galaxies, with noise and bad pixels."""
    margin = BOX // 2  # light comes from beyond the frame as well
    wide = side + 2 * margin
    count = round(wide**2 * DENSITY)
    places = rng.uniform(-margin, side - 1 + margin, (count, 2))
    fluxes = 10 ** rng.uniform(FAINT, BRIGHT, count)
    galaxies = galaxy_field(wide)
    light = _smeared(galaxies, side)
    for place, flux in zip(places, fluxes, strict=True):
        whole = np.rint(place).astype(int)
        _add(light, flux * optical_psf(place, side, place - whole), whole - margin)
    image = rng.poisson(light + SKY) + READOUT * rng.standard_normal(light.shape)
    full = image >= FULL_WELL
    image = np.minimum(image, FULL_WELL)
    bad = rng.random(image.shape) < BAD
    bad[:, round(0.4 * side)] = True
    image[bad] = rng.choice([0.0, FULL_WELL], int(bad.sum()))
    saturated = np.array([_near(full, place) for place in places])
    inside = np.all((places >= 0) & (places <= side - 1), axis=1)
    inner = np.s_[margin : margin + side, margin : margin + side]
    return Frame(
        image.astype(np.float32),
        (~(bad | full)).astype(np.float32),
        places[inside],
        fluxes[inside],
        galaxies[inner],
        saturated[inside],
    )


def galaxy_field(side: int) -> Numbers:
    """Galaxies of the Hubble Deep Field without its sky, as the scene that is to be blurred, in electrons."""
    from skimage import data
    from skimage.color import rgb2gray

    y, x = DEEP_FIELD
    picture = rgb2gray(data.hubble_deep_field())[y : y + side, x : x + side]
    light = np.maximum(picture - np.percentile(picture, 80), 0.0)
    result: Numbers = GALAXIES * light / light.max()
    return result


def _smeared(scene: Numbers, side: int) -> Numbers:
    """The scene through the telescope, block by block; it reaches `BOX // 2` pixels past the frame."""
    from scipy.signal import fftconvolve

    reach = BOX // 2
    light = np.zeros((side, side))
    for y in range(0, len(scene), BLOCK):
        for x in range(0, len(scene), BLOCK):
            block = scene[y : y + BLOCK, x : x + BLOCK]
            if block.any():
                start = np.array([y, x]) - reach
                psf = optical_psf(start + (np.array(block.shape) - 1) / 2, side)
                _add(light, fftconvolve(block, psf), start - reach)
    return light


def _add(light: Numbers, patch: Numbers, start: Numbers) -> None:
    """Add a patch whose first pixel is at `start`, as far as it lies within the frame."""
    low = np.maximum(start, 0)
    high = np.minimum(start + patch.shape, light.shape)
    if np.all(high > low):
        here, there = (tuple(slice(a, b) for a, b in zip(low - s, high - s, strict=True)) for s in (0, start))
        light[here] += patch[there]


def _near(full: Numbers, place: Numbers) -> bool:
    """Whether a well is full within two pixels of a place."""
    y, x = np.rint(place).astype(int)
    return bool(full[max(y - 2, 0) : max(y + 3, 0), max(x - 2, 0) : max(x + 3, 0)].any())


def mended(frame: Frame) -> Numbers:
    """The image with its bad and saturated pixels replaced by what surrounds them, for methods without weights."""
    from scipy.ndimage import gaussian_filter

    good = np.maximum(gaussian_filter(frame.weights, 1.0), 1e-6)
    image: Numbers = np.where(frame.weights > 0, frame.image, gaussian_filter(frame.image * frame.weights, 1.0) / good)
    return image


def isolated(frame: Frame) -> Numbers:
    """Which stars have no neighbour that matters to a measurement, and lie well inside the frame."""
    distance = np.linalg.norm(frame.places[:, None] - frame.places[None], axis=2)
    near = (distance < ALONE) & (frame.fluxes[None] > MATTERS * frame.fluxes[:, None])
    edge = np.minimum(frame.places, np.array(frame.image.shape) - 1 - frame.places).min(axis=1)
    alone: Numbers = (near.sum(axis=1) == 1) & (edge > ALONE)
    return alone


def radius(places: Numbers, side: int) -> Numbers:
    """Distance from the middle of the frame: 1 at the corner."""
    middle = (side - 1) / 2
    result: Numbers = np.linalg.norm(places - middle, axis=-1) / (middle * math.sqrt(2))
    return result


def optical_mesh(side: int, nodes: int) -> Numbers:
    """PSFs of the telescope at the middles of `nodes` × `nodes` equal parts of the frame."""
    at = (np.arange(nodes) + 0.5) * side / nodes - 0.5
    return np.array([[optical_psf((y, x), side) for x in at] for y in at], dtype=np.float32)


def star_psf(frame: Frame, part: tuple[slice, slice] = np.s_[:, :]) -> tuple[Numbers, int]:
    """The PSF of the stars of a part of the frame, and how many they were."""
    image = np.where(frame.weights > 0, frame.image, np.nan)[part]
    found = from_stars(image, BOX, pixel_size=PIXEL)
    return found.psf, found.num_used


def star_mesh(frame: Frame, tiles: int) -> tuple[Numbers, Numbers]:
    """A PSF from the stars of each of `tiles` × `tiles` parts of the frame, and how many these were.

    A tile reaches half a PSF into its neighbours, so that stars at its edge can be used. One without a star gets the
    PSF of the whole frame.
    """
    side, margin = len(frame.image), BOX // 2
    edges = np.rint(np.linspace(0, side, tiles + 1)).astype(int)
    parts = [slice(max(a - margin, 0), b + margin) for a, b in pairwise(edges)]
    psfs, counts = np.empty((tiles, tiles, BOX, BOX), np.float32), np.zeros((tiles, tiles), int)
    for i, rows in enumerate(parts):
        for j, columns in enumerate(parts):
            try:
                psfs[i, j], counts[i, j] = star_psf(frame, (rows, columns))
            except ValueError:  # it names what was found; there is no star to measure from
                psfs[i, j], _ = star_psf(frame)
    return psfs, counts
