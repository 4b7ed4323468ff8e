"""The real frame: the globular cluster NGC 6293 as Hubble's WFPC2 saw it, and DAOPHOT's model of the camera's PSF."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

import sigdeconv
from sigdeconv import io
from sigdeconv.psf import from_daophot, normalize

from ..common import SkippedError, Study

Numbers = np.ndarray[Any, Any]

CORNER = (64, 64)  # (y, x) of the part that is restored; before it the camera's pyramid shades the detector
MIDDLE = 399.5  # of the detector, in pixels
PIXEL = 0.0455  # arcsec
PSF_SIDE = 63  # pixels; of the light of a star 4 % fall farther away
TRAIL = (8000.0, 9)  # counts, pixels: a run along a column that no star makes, but a full well that bleeds does
ITERATIONS = 10
UNSATURATED = (3000.0, 13000.0)  # counts at the peak of stars that are measured
RADII = np.arange(0.0, 5.01, 0.25)  # pixels, of the encircled light
SKY = (6.0, 8.0)  # pixels from a star: the ring whose lower quartile is taken for the sky
LONELY = 0.12  # of a star's peak: what no pixel 3.5 to 8 pixels away may exceed
FITTED, AROUND = 5, 9  # pixels to each side of a star: those that are fitted, and those of the PSF that is moved there
FLOOR = 50.0  # counts: the variance of a dark pixel, from its sky and the readout
DARK = 25.0  # counts: the same, where models of the whole frame are compared
EDGE = 40  # pixels of the frame whose model depends on what lies outside


class Cluster(NamedTuple):
    """The frame before and after, in counts, and its three PSFs."""

    image: Numbers
    weights: Numbers
    blurs: dict[str, sigdeconv.Convolution]
    images: dict[str, Numbers]
    residuals: dict[str, tuple[float, float]]  # mean chi² near the middle and far from it


def restore(study: Study) -> Cluster:
    """Richardson-Lucy with the PSF of the middle, the mean one, and that of each place."""
    paths = [study.file(name) for name in ("hst_wfpc2.fits", "hst_wfpc2_psf.fits")]
    try:
        frame, model = (io.read(path) for path in paths)
    except ImportError:
        raise SkippedError("FITS files are read with astropy, which is missing: pip install sigdeconv[fits]") from None
    image = frame.data[CORNER[0] :, CORNER[1] :].astype(np.float32)
    # Saturated pixels do not speak; the few samples below zero are lifted by an offset that the model knows.
    weights = 1 - bleeding(image)
    offset = np.float32(max(0.0, -float(image.min())))
    psf = from_daophot(model.header, model.data, image.shape, PSF_SIDE, corner=CORNER)
    varying = sigdeconv.VaryingConvolution(*psf, image.shape)
    middle = varying.psf_at([MIDDLE - c for c in CORNER]).clip(0)
    blurs = {
        "middle": sigdeconv.Convolution(normalize(middle), image.shape),
        "mean": sigdeconv.Convolution(normalize(psf.psfs[0]), image.shape),
        "varying": varying,
    }
    images = {"recorded": image, "transpose": varying.adjoint(image)[varying.frame]}
    residuals = {}
    for name, blur in blurs.items():
        restored = sigdeconv.richardson_lucy(
            image + offset, blur, num_iter=ITERATIONS, background=float(offset), weights=weights
        )
        images[name] = restored
        residuals[name] = _residual(image, restored, blur, weights)
    return Cluster(image, weights, blurs, images, residuals)


def _residual(image: Numbers, restored: Numbers, blur: Any, weights: Numbers) -> tuple[float, float]:
    """Mean of the squared misfit over the counts, near the middle of the detector and far from it."""
    model = blur.forward(np.pad(restored, PSF_SIDE // 2, mode="edge"))
    chi = (image - model) ** 2 / np.maximum(model, DARK)
    y, x = (np.arange(n) + c - MIDDLE for n, c in zip(image.shape, CORNER, strict=True))
    distance = np.hypot(y[:, None], x[None, :])
    counted = weights > 0
    counted[:EDGE] = counted[-EDGE:] = counted[:, :EDGE] = counted[:, -EDGE:] = False
    near, far = (float(chi[counted & zone].mean()) for zone in (distance < MIDDLE / 2, distance > MIDDLE))
    return near, far


def bleeding(image: Numbers) -> Numbers:
    """1 where a full well has spilled along its column, and next to it; 0 elsewhere."""
    from scipy.ndimage import binary_dilation, binary_opening

    level, length = TRAIL
    trails = binary_opening(image > level, np.ones((length, 1), dtype=bool))
    return binary_dilation(trails).astype(image.dtype)


def lonely_stars(image: Numbers, weights: Numbers) -> Numbers:
    """Centroids (y, x) of bright, unsaturated stars without a neighbour that matters, in the recorded image."""
    from scipy.ndimage import maximum_filter, minimum_filter

    reach = math.ceil(SKY[1])
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    neighbour = maximum_filter(image, footprint=(np.hypot(y, x) > 3.5) & (np.hypot(y, x) <= reach))
    low, high = UNSATURATED
    peak = (image == maximum_filter(image, 5)) & (image > low) & (image < high) & (neighbour < LONELY * image)
    peak &= minimum_filter(weights, 2 * reach + 1) > 0
    edge = reach + 2
    peak[:edge] = peak[-edge:] = peak[:, :edge] = peak[:, -edge:] = False
    places = []
    for y, x in np.argwhere(peak):
        window = image[y - 2 : y + 3, x - 2 : x + 3].astype(np.float64)
        window -= window.min()
        rows, columns = window.sum(axis=1), window.sum(axis=0)
        offsets = np.arange(-2, 3)
        places.append((y + rows @ offsets / window.sum(), x + columns @ offsets / window.sum()))
    return np.array(places)


def distance(places: Numbers) -> Numbers:
    """Pixels from the middle of the detector."""
    result: Numbers = np.linalg.norm(places + np.array(CORNER) - MIDDLE, axis=1)
    return result


def thirds(places: Numbers) -> tuple[Numbers, Numbers]:
    """The third of the stars that is nearest to the middle, and the third that is farthest."""
    order, third = np.argsort(distance(places)), len(places) // 3
    return places[order[:third]], places[order[len(places) - third :]]


def encircled(image: Numbers, places: Numbers) -> Numbers:
    """Share of a star's light within each of `RADII` of that within the last, the median over stars."""
    reach = math.ceil(SKY[1]) + 1
    offsets = np.arange(-reach, reach + 1)
    curves = []
    for place in places:
        row, column = (round(float(v)) for v in place)
        window = image[row - reach : row + reach + 1, column - reach : column + reach + 1].astype(np.float64)
        away = np.hypot(offsets[:, None] + row - place[0], offsets[None, :] + column - place[1])
        window = window - np.percentile(window[(away >= SKY[0]) & (away <= SKY[1])], 25)
        # A pixel that the circle cuts counts in part.
        inside = np.array([(window * np.clip(r - away + 0.5, 0, 1)).sum() for r in RADII])
        curves.append(inside / inside[-1])
    result: Numbers = np.median(curves, axis=0)
    return result


def within(pixels: float, curve: Numbers) -> float:
    """Percent of the light within a radius."""
    return 100 * float(np.interp(pixels, RADII, curve))


def unexplained(image: Numbers, place: Numbers, psf: Numbers) -> float:
    """Share of a star's light that a PSF does not explain when it is moved and scaled to fit best."""
    from scipy.ndimage import shift
    from scipy.optimize import least_squares

    whole = np.rint(place).astype(int)
    y, x = (slice(w - FITTED, w + FITTED + 1) for w in whole)
    counts = image[y, x].astype(np.float64)
    noise = np.sqrt(np.maximum(counts, FLOOR)).ravel()
    middle = psf.shape[0] // 2
    around = psf[tuple(slice(middle - AROUND, middle + AROUND + 1) for _ in range(2))].astype(np.float64)

    def fitted(moved: Numbers) -> tuple[Numbers, float]:
        """Residual in counts, and the star's light, with the best brightness and sky for a place."""
        model = shift(around, moved, order=5)[
            AROUND - FITTED : -(AROUND - FITTED), AROUND - FITTED : -(AROUND - FITTED)
        ]
        columns = np.stack([model.ravel(), np.ones(model.size)], axis=1)
        solution = np.linalg.lstsq(columns / noise[:, None], counts.ravel() / noise, rcond=None)[0]
        return columns @ solution - counts.ravel(), float(solution[0])

    best = least_squares(lambda moved: fitted(moved)[0] / noise, place - whole, diff_step=1e-2)
    residual, light = fitted(best.x)
    return float(np.abs(residual).sum() / light)


def star_fits(found: Cluster, places: Numbers) -> dict[str, Numbers]:
    """`unexplained` for each star with each of the three PSFs, in percent."""
    varying = found.blurs["varying"]
    fixed = {name: np.asarray(found.blurs[name].psf) for name in ("middle", "mean")}
    shares: dict[str, list[float]] = {name: [] for name in found.blurs}
    for place in places:
        for name in found.blurs:
            psf = fixed[name] if name in fixed else varying.psf_at(place)  # type: ignore[attr-defined]
            shares[name].append(100 * unexplained(found.image, place, psf))
    return {name: np.array(values) for name, values in shares.items()}
