"""A real Hubble frame of a globular cluster, restored with the PSF that its own stars were fitted with."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

import sigdeconv
from sigdeconv import io

from .common import COLOURS, Chapter, Column, Figure, SkippedError, Study, Table, box, pyplot, show

TITLE = "A real telescope: the core of a globular cluster, seen by Hubble"

Numbers = np.ndarray[Any, Any]

CORNER, SIDE = (174, 154), 512  # of the part that is restored; the camera's pyramid shades the frame's lower left
PSF_SIDE = 63  # pixels; of the light of a star 2.5 % fall farther away
TRAIL = (8000.0, 9)  # counts, pixels: a run along a column that no star makes, but a full well that bleeds does
ITERATIONS = 8  # chosen by eye among 5 to 30; the PSF removes no frequency that would tell when to stop
SUBPIXELS = 9  # an axis, over which the analytic part of the PSF is averaged
ZOOMS = ((222, 208), (60, 330))  # corners within the part: the core, and a quieter field
ZOOM_SIDE = 84
UNSATURATED = (3000.0, 13000.0)  # counts at the peak of stars that are measured
RADII = np.arange(0.0, 5.01, 0.25)  # pixels, of the encircled light
SKY = (6.0, 8.0)  # pixels from a star: the ring whose lower quartile is taken for the sky
LONELY = 0.12  # of a star's peak: what no pixel 3.5 to 8 pixels away may exceed


class Restoration(NamedTuple):
    """The part of the frame before and after, in counts."""

    image: Numbers
    transpose: Numbers
    restored: Numbers
    psf: Numbers
    weights: Numbers
    offset: float


def daophot_psf(header: Any, table: Numbers) -> Numbers:
    """The PSF at the middle of the frame from a DAOPHOT model: an analytic part and a table of what it left.

    The table (plane 0 of the file) is sampled at half pixels and holds *residuals*, negative ones too: taken for the
    PSF itself it would be twice too wide and hollow. The analytic part is an elliptical Moffat function,

        h (b - 1) / (p1 p2 (1 + a (x²/p1² + y²/p2² + p3 x y))^b),   a = 2^(1/b) - 1,

    with the parameters of the header, averaged over the pixel.

    References
    ----------
    P. B. Stetson, Publ. Astron. Soc. Pac. 99, 191 (1987), doi:10.1086/131977.
    """
    p1, p2, p3, b = (float(header[f"PAR{i}"]) for i in range(1, 5))
    a = 2 ** (1 / b) - 1
    # Half-pixel steps with the star in the middle: whole pixels are every second sample from there.
    middle = table.shape[0] // 2
    residual = table[middle % 2 :: 2, middle % 2 :: 2].astype(np.float64)
    n = residual.shape[0]
    fine = np.arange(n)[:, None] - n // 2 + (np.arange(SUBPIXELS) + 0.5) / SUBPIXELS - 0.5
    x, y = fine.ravel()[None, :], fine.ravel()[:, None]
    moffat = (b - 1) / (p1 * p2 * (1 + a * ((x / p1) ** 2 + (y / p2) ** 2 + p3 * x * y)) ** b)
    moffat = moffat.reshape(n, SUBPIXELS, n, SUBPIXELS).mean(axis=(1, 3))
    psf: Numbers = np.maximum(float(header["PSFHEIGH"]) * moffat + residual, 0.0)
    psf /= psf.sum()
    return psf


def restore(study: Study) -> Restoration:
    """Richardson-Lucy with saturated pixels left out and the few negative samples lifted by an offset."""
    paths = [study.file(name) for name in ("hst_wfpc2.fits", "hst_wfpc2_psf.fits")]
    try:
        frame, model = (io.read(path) for path in paths)
    except ImportError:
        raise SkippedError("FITS files are read with astropy, which is missing: pip install sigdeconv[fits]") from None
    psf = _middle(daophot_psf(model.header, model.data[0]), PSF_SIDE).astype(np.float32)
    psf /= psf.sum()
    (y, x), n = CORNER, SIDE
    image = frame.data[y : y + n, x : x + n].astype(np.float32)
    weights = 1 - bleeding(image)
    offset = max(0.0, -float(image.min()))
    restored = sigdeconv.richardson_lucy(
        image + np.float32(offset), psf, num_iter=ITERATIONS, background=offset, weights=weights
    )
    transpose = sigdeconv.Convolution(psf, image.shape, boundary="reflect").adjoint(image)
    return Restoration(image, transpose, restored, psf, weights, offset)


def _middle(psf: Numbers, side: int) -> Numbers:
    start = psf.shape[0] // 2 - side // 2
    middle: Numbers = psf[start : start + side, start : start + side]
    return middle


def bleeding(image: Numbers) -> Numbers:
    """1 where a full well has spilled along its column, and next to it; 0 elsewhere."""
    from scipy.ndimage import binary_dilation, binary_opening

    level, length = TRAIL
    trails = binary_opening(image > level, np.ones((length, 1), dtype=bool))
    return binary_dilation(trails).astype(image.dtype)


def lonely_stars(found: Restoration) -> Numbers:
    """Centroids (y, x) of bright, unsaturated stars without a neighbour that matters, in the recorded image."""
    from scipy.ndimage import maximum_filter, minimum_filter

    image, reach = found.image, math.ceil(SKY[1])
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    neighbour = maximum_filter(image, footprint=(np.hypot(y, x) > 3.5) & (np.hypot(y, x) <= reach))
    low, high = UNSATURATED
    peak = (image == maximum_filter(image, 5)) & (image > low) & (image < high) & (neighbour < LONELY * image)
    peak &= minimum_filter(found.weights, 2 * reach + 1) > 0
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


def encircled(image: Numbers, places: Numbers) -> Numbers:
    """Share of a star's light within each of `RADII` of that within the last, the median over stars."""
    reach = math.ceil(SKY[1]) + 1
    offsets = np.arange(-reach, reach + 1)
    curves = []
    for place in places:
        row, column = (round(float(v)) for v in place)
        window = image[row - reach : row + reach + 1, column - reach : column + reach + 1].astype(np.float64)
        distance = np.hypot(offsets[:, None] + row - place[0], offsets[None, :] + column - place[1])
        window = window - np.percentile(window[(distance >= SKY[0]) & (distance <= SKY[1])], 25)
        # A pixel that the circle cuts counts in part.
        inside = np.array([(window * np.clip(r - distance + 0.5, 0, 1)).sum() for r in RADII])
        curves.append(inside / inside[-1])
    result: Numbers = np.median(curves, axis=0)
    return result


def radius_of(share: float, curve: Numbers) -> float:
    """Radius in pixels within which that share of the light falls."""
    return float(np.interp(share, np.maximum.accumulate(curve), RADII))


def run(study: Study) -> Chapter:
    """Restore the core of the cluster; before and after, and how tightly the light of a star is held."""
    steps = iter(study.track(["restoring", "drawing"], "hubble"))
    next(steps)
    found = restore(study)
    next(steps)
    places = lonely_stars(found)
    images = {"blurred": found.image, "transpose": found.transpose, "rl-stopped": found.restored}
    curves = {key: encircled(image, places) for key, image in images.items()}
    labels = {"blurred": "as recorded", "transpose": "transpose Aᴴy", "rl-stopped": "Richardson–Lucy"}
    rows = [
        {
            "image": labels[key],
            "half": radius_of(0.5, curves[key]),
            "most": radius_of(0.8, curves[key]),
            "core": 100 * float(np.interp(1.0, RADII, curves[key])),
            "light": 100 * float(images[key][found.weights > 0].sum() / found.image[found.weights > 0].sum()),
        }
        for key in images
    ]
    before, again, after = rows
    list(steps)
    return Chapter(
        "hubble",
        TITLE,
        f"Of the light of a star {before['core']:.0f} % fall within one pixel of its middle as recorded, "
        f"{again['core']:.0f} % after the transpose and {after['core']:.0f} % after Richardson–Lucy "
        f"({len(places)} lonely stars). Half of it falls within {before['half']:.1f}, {again['half']:.1f} and "
        f"{after['half']:.1f} pixels.",
        [
            f"NGC 6293 through the filter F814W of WFPC2: {SIDE} × {SIDE} pixels about the core. The PSF is the "
            "DAOPHOT model at the frame's middle, its analytic part plus its table of residuals. "
            f"{int((found.weights == 0).sum())} pixels of full wells that bled along their columns have the weight 0, "
            "so that they do not speak; samples below zero would be lifted by an offset that the model knows as "
            f"background (here {found.offset:.1f}). {ITERATIONS} accelerated iterations, chosen by eye: this PSF "
            "removes no frequency from which the noise could be read.",
            _images(study, found),
            _light(study, found, curves, labels, len(places)),
            Table(
                "hubble",
                f"Where the light of a star falls, median over {len(places)} bright stars without a near neighbour.",
                (
                    Column("image", "image"),
                    Column("half", "half of the light within", "px", 2),
                    Column("most", "80 % within", "px", 2),
                    Column("core", "light within 1 px", "%", 0),
                    Column("light", "light of all stars and sky", "% of recorded", 1),
                ),
                rows,
            ),
        ],
    )


def stretch(image: Any, soft: float) -> Any:
    """arcsinh: linear for the faint, logarithmic for the bright."""
    return np.arcsinh(np.maximum(image, 0) / soft)


def _images(study: Study, found: Restoration) -> Figure:
    plt = pyplot()
    figure, axes = plt.subplots(2, 3, figsize=(14, 9.1))
    colours = plt.get_cmap("inferno").with_extremes(bad="#3a4048")
    soft = float(np.median(found.image))
    top = float(stretch(np.percentile(found.image, 99.9), soft))
    for row, (image, label, key) in zip(
        axes,
        ((found.image, "as recorded", "black"), (found.restored, "Richardson–Lucy", COLOURS["rl-stopped"])),
        strict=True,
    ):
        image = np.where(found.weights > 0, image, np.nan)
        options = {"vmin": 0, "vmax": top, "cmap": colours, "origin": "lower"}
        drawn = show(row[0], stretch(image, soft), label, **options)
        row[0].title.set_color(key)
        for ax, (y, x), name in zip(row[1:], ZOOMS, ("crowded core", "quieter field"), strict=True):
            box(row[0], (y, x), (ZOOM_SIDE, ZOOM_SIDE), "white")
            show(ax, stretch(image[y : y + ZOOM_SIDE, x : x + ZOOM_SIDE], soft), f"{name}, {label}", **options)
            ax.title.set_color(key)
    bar = figure.colorbar(drawn, ax=axes[:, 2], label="counts (asinh scale)", extend="max", shrink=0.7, pad=0.02)
    ticks = [v for v in (0, 100, 300, 1000, 3000, 10000, 30000) if stretch(v, soft) <= top]
    bar.set_ticks([float(stretch(v, soft)) for v in ticks], labels=[f"{v}" for v in ticks])
    figure.suptitle("Discs with rings become points", weight="bold")
    caption = (
        "One stretch for all images, zero black. White boxes: the parts shown larger. Grey: full wells, weight 0. "
        "The fine web between the stars of the core is light that was not resolved, not structure."
    )
    return study.save(figure, "hubble-images", caption)


def _light(study: Study, found: Restoration, curves: dict[str, Numbers], labels: dict[str, str], count: int) -> Figure:
    plt = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(12.5, 4.3), gridspec_kw={"width_ratios": (1, 1.7)})
    size = 21
    psf = _middle(found.psf, size)
    half = size / 2
    drawn = left.imshow(
        np.log10(psf / psf.max()), vmin=-3, vmax=0, cmap="inferno", extent=(-half, half, -half, half), origin="lower"
    )
    left.set(xlabel="x [pixels]", ylabel="y [pixels]", title="PSF: a core and its diffraction rings")
    figure.colorbar(drawn, ax=left, label="log₁₀ (PSF / peak)", extend="min")
    model = encircled(found.psf, np.array([[PSF_SIDE // 2, PSF_SIDE // 2]]))
    for key, curve in curves.items():
        right.plot(RADII, 100 * curve, color=COLOURS[key], linewidth=2, label=labels[key])
    right.plot(RADII, 100 * model, color="black", linestyle=":", label="the model of the PSF")
    right.set(
        xlabel="distance from the star's middle [pixels]",
        ylabel="light within [%]",
        xlim=(0, RADII[-1]),
        ylim=(0, None),
    )
    right.set_title("A star's light, gathered", weight="bold")
    right.grid(axis="y")
    right.legend(loc="lower right")
    caption = (
        f"Right: light within a circle, relative to that within {RADII[-1]:.0f} pixels, median over {count} stars. "
        "Where the recorded stars follow the model, the PSF fits them."
    )
    return study.save(figure, "hubble-light", caption)
