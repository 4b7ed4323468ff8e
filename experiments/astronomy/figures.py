"""Figures of the two frames: the frames themselves, their corners enlarged, and errors against the distance."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ..common import COLOURS, Figure, Study, box, pyplot, show
from . import cluster, field, measures

Numbers = np.ndarray[Any, Any]

#: Okabe and Ito's palette again; all but the first two are Richardson-Lucy, with different PSFs.
OWN = {
    "recorded": COLOURS["blurred"],
    "transpose": COLOURS["transpose"],
    "formula": COLOURS["rl"],
    "middle": COLOURS["rl"],
    "mean": COLOURS["inverse"],
    "tiles": COLOURS["rl-stopped"],
    "true": COLOURS["wiener"],
    "varying": COLOURS["wiener"],
}
SHORT = {
    "recorded": "as recorded",
    "transpose": "transpose Aᴴy",
    "formula": "PSF of the middle",
    "middle": "PSF of the middle",
    "mean": "mean PSF",
    "tiles": "stars' PSFs in tiles",
    "true": "PSF of each place",
    "varying": "PSF of each place",
}
ZOOM = 56  # pixels of the made-up frame
REAL_ZOOM = 64  # pixels of the real one
SHOWN_PSFS = 5  # an axis
BINS = 6  # of the distance, for the medians
MAP = "inferno"


def stretch(image: Any, soft: float) -> Any:
    """arcsinh: linear for the faint, logarithmic for the bright."""
    return np.arcsinh(np.maximum(image, 0) / soft)


def _ticks(bar: Any, soft: float, top: float, unit: str) -> None:
    values = [v for v in (0, 100, 300, 1000, 3000, 10_000, 30_000, 100_000) if stretch(v, soft) <= top]
    bar.set_ticks([float(stretch(v, soft)) for v in values], labels=[f"{v:,}".replace(",", " ") for v in values])
    bar.set_label(f"{unit} (asinh scale)")


def _sky_axes(axes: Any, shape: tuple[int, ...], pixel: float) -> None:
    """Ticks in arcsec from the middle of an image that is drawn in pixels."""
    for axis, n in ((axes.xaxis, shape[1]), (axes.yaxis, shape[0])):
        half = n * pixel / 2
        step = next(s for s in (1, 2, 5, 10, 20, 50) if half / s <= 3)
        values = np.arange(-(half // step) * step, half, step)
        axis.set_ticks((n - 1) / 2 + values / pixel, labels=[f"{v:g}".replace("-", "−") for v in values])
    axes.set(xlabel="arcsec", ylabel="arcsec")


def frames(study: Study, frame: field.Frame, images: dict[str, Numbers], blur: Any) -> Figure:
    """The PSFs over the field, the frame, and what was restored with them."""
    plt = pyplot()
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 5.0), gridspec_kw={"width_ratios": (0.86, 1, 1)})
    side = len(frame.image)
    places = (np.arange(SHOWN_PSFS) + 0.5) * side / SHOWN_PSFS
    inner = slice(field.BOX // 2 - 11, field.BOX // 2 + 12)
    psfs = [[blur.psf_at((y, x))[inner, inner] for x in places] for y in places]
    peak = max(float(np.max(p)) for row in psfs for p in row)
    drawn = show(left, np.log10(np.maximum(np.block(psfs), 1e-9) / peak), vmin=-3, vmax=0, cmap=MAP, origin="lower")
    for k in range(1, SHOWN_PSFS):
        left.axhline(23 * k - 0.5, color="white", linewidth=0.5)
        left.axvline(23 * k - 0.5, color="white", linewidth=0.5)
    left.set_title(f"The PSF at {SHOWN_PSFS} × {SHOWN_PSFS} places, each 2.3 arcsec wide")
    figure.colorbar(drawn, ax=left, label="log₁₀ (PSF / largest peak)", extend="min", shrink=0.8)
    soft = 100.0
    top = float(stretch(3e4, soft))
    for axes, key, title in (
        (middle, "recorded", "as recorded, sky subtracted"),
        (right, "true", "restored with the PSF of each place"),
    ):
        drawn = axes.imshow(stretch(images[key], soft), vmin=0, vmax=top, cmap=MAP, origin="lower")
        _sky_axes(axes, frame.image.shape, field.PIXEL)
        axes.set_title(title)
        for start in _enlarged(frame):
            box(axes, start, (ZOOM, ZOOM), "white")
    _ticks(figure.colorbar(drawn, ax=(middle, right), extend="max", shrink=0.8), soft, top, "electrons")
    figure.suptitle("Points in the middle, comets in the corners: the PSF depends on the place", weight="bold")
    caption = (
        "Left: what a star looks like, from the middle to the corners. Boxes: the parts that are enlarged below. The "
        "dark column of the recorded frame is dead, and was mended for the picture only; the restoration gives it the "
        "weight 0."
    )
    return study.save(figure, "astronomy-frames", caption)


def _enlarged(frame: field.Frame) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """First pixels of the enlarged parts: about a bright star near the middle, and about one near a corner."""
    side = len(frame.image)
    r = measures.radius(frame.places, side)
    parts = []
    for zone in (r < measures.INNER, (r > 0.75) & (r < 0.9)):
        light = np.where(zone & ~frame.saturated, frame.fluxes, 0)
        start = np.rint(frame.places[light.argmax()]).astype(int) - ZOOM // 2
        parts.append(tuple(int(v) for v in np.clip(start, 0, side - ZOOM)))
    return parts[0], parts[1]


def cutouts(study: Study, frame: field.Frame, images: dict[str, Numbers]) -> Figure:
    """The middle and a corner, with each method, beside what is true."""
    plt = pyplot()
    keys = ("recorded", "transpose", "formula", "tiles", "true")
    figure, axes = plt.subplots(2, len(keys) + 1, figsize=(15, 5.0))
    soft = 100.0
    top = float(stretch(3e4, soft))
    truth = measures.scene(frame)
    for row, start, name in zip(axes, _enlarged(frame), ("middle", "corner"), strict=True):
        part = tuple(slice(s, s + ZOOM) for s in start)
        inside = np.all((frame.places >= start) & (frame.places < np.array(start) + ZOOM - 1), axis=1)
        for ax, key in zip(row, ("truth", *keys), strict=True):
            image = truth if key == "truth" else images[key]
            drawn = show(ax, stretch(image[part], soft), vmin=0, vmax=top, cmap=MAP, origin="lower")
            if name == "middle":
                ax.set_title("stars and galaxies, σ = 1 px" if key == "truth" else SHORT[key])
                ax.title.set_color(OWN.get(key, "black"))
            if key != "truth":
                y, x = (frame.places[inside] - start).T
                bright = frame.fluxes[inside] > measures.LIGHT
                ax.scatter(x[bright], y[bright], s=60, facecolors="none", edgecolors="#7fd0ff", linewidths=0.7)
        row[0].set_ylabel(f"{name}, {ZOOM * field.PIXEL:.1f} arcsec")
    _ticks(figure.colorbar(drawn, ax=axes, extend="max", shrink=0.8), soft, top, "electrons")
    figure.suptitle("What becomes of a bright star in the middle, and of one near a corner", weight="bold")
    caption = (
        "Blue circles: where the brighter stars truly are. One stretch for all pictures. What a star sends farther "
        f"than {field.BOX // 2} pixels is left out of the frame and of the PSFs alike, hence the square edges."
    )
    return study.save(figure, "astronomy-cutouts", caption)


def errors(study: Study, found: dict[str, measures.Errors]) -> Figure:
    """Errors of brightness and place against the distance from the middle."""
    plt = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(14, 4.8))
    edges = np.linspace(0, 1, BINS + 1)
    for key in ("recorded", "formula", "mean", "tiles", "true"):
        stars = found[key]
        for axes, values in ((left, 100 * stars.flux), (right, 1000 * field.PIXEL * stars.place)):
            axes.scatter(stars.radius, values, s=7, color=OWN[key], alpha=0.35, linewidths=0)
            inside = [(stars.radius >= a) & (stars.radius < b) for a, b in pairwise(edges)]
            line = [(float(np.median(stars.radius[i])), float(np.median(values[i]))) for i in inside if i.sum() >= 3]
            axes.plot(*np.array(line).T, color=OWN[key], linewidth=2, marker="o", markersize=4, label=SHORT[key])
    left.axhline(0, color="black", linewidth=0.8)
    left.set(ylim=(-50, 30), ylabel="error of the brightness [%]", xlabel="distance from the middle [1 = corner]")
    right.set(yscale="log", ylim=(0.3, 300), ylabel="error of the place [mas]")
    right.set_yticks([1, 10, 100], labels=["1", "10", "100"])
    right.set(xlabel="distance from the middle [1 = corner]")
    one, each = (measures.zones(found[key]) for key in ("formula", "true"))
    left.set_title(
        f"Brightness: near the corners {one['flux_far']:.0f} % off with one PSF, {each['flux_far']:.1f} % with each "
        "place's",
        weight="bold",
    )
    mas = [1000 * field.PIXEL * zone["place_far"] for zone in (one, each)]
    right.set_title(
        f"Place: {mas[0]:.0f} mas off with one PSF, {mas[1]:.0f} mas with each place's",
        weight="bold",
    )
    for axes in (left, right):
        axes.set_axisbelow(True)
        axes.grid(axis="y")
    left.legend(loc="lower left")
    caption = (
        f"Points: stars without a neighbour that matters; lines: medians. Brightness within {measures.APERTURE:.0f} "
        "pixels of the star, relative to that of stars near the middle. mas: thousandths of an arcsec; a pixel has "
        f"{1000 * field.PIXEL:.0f}."
    )
    return study.save(figure, "astronomy-errors", caption)


def cluster_frames(study: Study, found: cluster.Cluster, core: tuple[float, float]) -> Figure:
    """The real frame, and parts of it with one PSF and with all; `core`: light within a pixel before and after."""
    plt = pyplot()
    figure, axes = plt.subplots(2, 4, figsize=(15, 7.4))
    colours = plt.get_cmap(MAP).with_extremes(bad="#3a4048")
    soft = float(np.median(found.image))
    top = float(stretch(np.percentile(found.image, 99.9), soft))
    options = {"vmin": 0, "vmax": top, "cmap": colours, "origin": "lower"}
    near = tuple(round(cluster.MIDDLE - c - REAL_ZOOM / 2) for c in cluster.CORNER)
    n = found.image.shape
    far = (n[0] - REAL_ZOOM - 20, n[1] - REAL_ZOOM - 20)
    images = {k: np.where(found.weights > 0, v, np.nan) for k, v in found.images.items()}
    for row, whole, (y, x), name in zip(axes, ("recorded", "varying"), (near, far), ("middle", "corner"), strict=True):
        row[0].imshow(stretch(images[whole], soft), **options)
        _sky_axes(row[0], n, cluster.PIXEL)
        row[0].set_title(SHORT[whole])
        for start in (near, far):
            box(row[0], start, (REAL_ZOOM, REAL_ZOOM), "white")
        for ax, key in zip(row[1:], ("recorded", "middle", "varying"), strict=True):
            part = images[key][y : y + REAL_ZOOM, x : x + REAL_ZOOM]
            drawn = show(ax, stretch(part, soft), f"{name}: {SHORT[key]}", **options)
            ax.title.set_color(OWN[key])
    _ticks(figure.colorbar(drawn, ax=axes[:, 3], extend="max", shrink=0.8), soft, top, "counts")
    figure.suptitle(
        f"Hubble's frame: far from the middle {core[0]:.0f} % of a star's light lie within a pixel, restored "
        f"{core[1]:.0f} %",
        weight="bold",
    )
    caption = (
        f"White boxes: the parts enlarged, {REAL_ZOOM * cluster.PIXEL:.1f} arcsec wide. Grey: full wells, weight 0. "
        "The fine web between the stars of the core is light that was not resolved, not structure."
    )
    return study.save(figure, "astronomy-hubble", caption)


def cluster_stars(study: Study, found: cluster.Cluster, places: Numbers, fits: dict[str, Numbers]) -> Figure:
    """How the PSF changes over the detector, what it explains of single stars, and how their light is gathered."""
    plt = pyplot()
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.7))
    varying: Any = found.blurs["varying"]
    half = 8
    inner = slice(cluster.PSF_SIDE // 2 - half, cluster.PSF_SIDE // 2 + half + 1)
    fixed = np.asarray(found.blurs["middle"].psf)[inner, inner]
    ends = [np.array(found.image.shape) * e for e in ((0.02, 0.02), (0.02, 0.98), (0.98, 0.02), (0.98, 0.98))]
    changes = [100 * (varying.psf_at(e)[inner, inner] - fixed) / fixed.max() for e in ends]
    board = np.block([[changes[0], changes[1]], [changes[2], changes[3]]])
    limit = float(np.abs(board).max())
    drawn = show(left, board, vmin=-limit, vmax=limit, cmap="PuOr", origin="lower")
    left.axhline(2 * half + 0.5, color="black", linewidth=0.8)
    left.axvline(2 * half + 0.5, color="black", linewidth=0.8)
    left.set_title("PSF in the four corners\nless that of the middle")
    figure.colorbar(drawn, ax=left, label="% of the middle's peak", shrink=0.85)
    gain = fits["middle"] - fits["varying"]
    away = cluster.distance(places) * cluster.PIXEL
    middle.scatter(away, gain, s=20, color=OWN["varying"])
    middle.axhline(0, color="black", linewidth=0.8)
    middle.set(
        xlabel="distance from the middle of the detector [arcsec]", ylabel="more light explained [% of the star's]"
    )
    middle.set_title(
        f"The PSF of its place explains {100 * np.mean(gain > 0):.0f} % of {len(places)} stars\n"
        "better than that of the middle"
    )
    _, far = cluster.thirds(places)
    for key in ("recorded", "transpose", "middle", "varying"):
        curve = 100 * cluster.encircled(found.images[key], far)
        right.plot(cluster.RADII * cluster.PIXEL, curve, color=OWN[key], linewidth=2, label=SHORT[key])
    right.set(xlim=(0, cluster.RADII[-1] * cluster.PIXEL), ylim=(0, None))
    right.set(xlabel="distance from the star [arcsec]", ylabel="light within [%]")
    right.set_title("A star's light, gathered\n(the third farthest from the middle)")
    right.legend(loc="lower right")
    for axes in (middle, right):
        axes.set_axisbelow(True)
        axes.grid(axis="y")
    caption = (
        "Left: 17 × 17 pixels each. Middle: bright stars without a near neighbour; each PSF was moved and scaled to "
        "fit the recorded star. Right: medians, relative to the light within "
        f"{cluster.RADII[-1] * cluster.PIXEL:.2f} arcsec."
    )
    return study.save(figure, "astronomy-hubble-stars", caption)
