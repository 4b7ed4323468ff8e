"""How good a restored field is from the middle to the corners: brightness and place of stars, and decibels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .field import Frame, isolated, radius

Numbers = np.ndarray[Any, Any]

APERTURE, RING = 3.0, (5.0, 8.0)  # pixels, about a star: where its light is added up, and where its ground is taken
TURNS = 4  # of moving the aperture to the light's centre of mass
LIGHT = 2e4  # electrons; fainter stars are not measured
INNER, OUTER = 1 / 3, 2 / 3  # of the way to the corner
RESOLUTION = 1.0  # pixels, the standard deviation at which scenes are compared
GLARE = 16.0  # pixels about a saturated star that are not compared


class Photometry(NamedTuple):
    """What was measured of stars in one image."""

    flux: Numbers
    offset: Numbers  # (y, x) in pixels, from where the star is


def photometry(image: Numbers, places: Numbers) -> Photometry:
    """Light in a circle about each star, less the median of a ring, and the centre of mass of it."""
    reach = int(np.ceil(RING[1])) + 2
    fluxes, offsets = [], []
    for place in places:
        first = np.rint(place).astype(int) - reach
        rows, columns = (slice(max(a, 0), a + 2 * reach + 1) for a in first)
        window = image[rows, columns].astype(np.float64)
        y, x = (np.arange(n) + s.start - p for n, s, p in zip(window.shape, (rows, columns), place, strict=True))
        distance = np.hypot(y[:, None], x[None, :])
        window -= np.median(window[(distance > RING[0]) & (distance < RING[1])])
        found = np.zeros(2)
        for _ in range(TURNS):
            inside = window * np.clip(APERTURE + 0.5 - np.hypot(y[:, None] - found[0], x[None, :] - found[1]), 0, 1)
            flux = float(inside.sum())
            moved = np.array([y @ inside.sum(axis=1), x @ inside.sum(axis=0)]) / max(flux, 1e-9)
            found = np.clip(moved, -APERTURE, APERTURE)
        fluxes.append(flux)
        offsets.append(found)
    return Photometry(np.array(fluxes), np.array(offsets))


class Errors(NamedTuple):
    """Errors of the stars that serve for a measurement."""

    radius: Numbers  # 1 at the corner
    flux: Numbers  # relative; stars near the middle have the median 0, as an observer would calibrate it
    place: Numbers  # pixels


def errors(image: Numbers, frame: Frame) -> Errors:
    """Errors of brightness and place of the unsaturated stars without a neighbour."""
    measured = isolated(frame) & (frame.fluxes > LIGHT) & ~frame.saturated
    found = photometry(image, frame.places[measured])
    r = radius(frame.places[measured], len(frame.image))
    ratio = found.flux / frame.fluxes[measured]
    return Errors(r, ratio / np.median(ratio[r < INNER]) - 1, np.linalg.norm(found.offset, axis=1))


def saturated(image: Numbers, frame: Frame) -> Numbers:
    """Relative errors of the brightness of the lonely stars that filled a well, uncalibrated."""
    measured = isolated(frame) & frame.saturated
    result: Numbers = photometry(image, frame.places[measured]).flux / frame.fluxes[measured] - 1
    return result


def scene(frame: Frame) -> Numbers:
    """Stars and galaxies as a telescope with a Gaussian PSF of `RESOLUTION` would show them, in electrons."""
    from scipy.ndimage import gaussian_filter
    from scipy.special import ndtr

    light = gaussian_filter(frame.galaxies, RESOLUTION)
    edges = [np.arange(n + 1) - 0.5 for n in light.shape]
    for place, flux in zip(frame.places, frame.fluxes, strict=True):
        y, x = (np.diff(ndtr((e - p) / RESOLUTION)) for e, p in zip(edges, place, strict=True))
        light += flux * y[:, None] * x[None, :]
    result: Numbers = light
    return result


def decibels(image: Numbers, frame: Frame) -> tuple[float, float]:
    """PSNR near the middle and near the corners; the peak is that of the brightest star that filled no well."""
    truth = scene(frame)
    compared = np.ones(truth.shape, dtype=bool)
    y, x = (np.arange(n) for n in truth.shape)
    for place in frame.places[frame.saturated]:
        compared &= np.hypot(y[:, None] - place[0], x[None, :] - place[1]) > GLARE
    peak = truth[compared].max()
    r = radius(np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1), len(truth))
    near, far = (
        float(10 * np.log10(peak**2 / np.mean((image - truth)[compared & zone] ** 2)))
        for zone in (r < INNER, r > OUTER)
    )
    return near, far


def zones(found: Errors) -> dict[str, float]:
    """Median sizes of the errors near the middle and near the corners, in percent and pixels."""
    near, far = found.radius < INNER, found.radius > OUTER
    return {
        "flux_near": 100 * float(np.median(np.abs(found.flux[near]))),
        "flux_far": 100 * float(np.median(np.abs(found.flux[far]))),
        "bias_far": 100 * float(np.median(found.flux[far])),
        "place_near": float(np.median(found.place[near])),
        "place_far": float(np.median(found.place[far])),
    }
