"""One crop restored under each assumption about what lies past its frame: where does the error live?

Each image is the middle of a larger blurred scene, as every photograph is. A boundary that is not true of it makes an
error at the frame; how far in this reaches is what is measured here, and whether the weight of a method, chosen from
the same data, goes astray as well. "free" is the default of the library; the others are offered for scenes that are
truly dark, mirrored or periodic past the frame. Two functions of scikit-image, used as they are, stand beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

import sigdeconv
from sigdeconv import metrics, simulate

from . import boundaries_figures as figures
from .common import Chapter, Column, Study, Table

TITLE = "Past the frame: one crop under every boundary"

Numbers = np.ndarray[Any, Any]

PEAK = 255.0  # grey levels
BSNR = 40.0  # dB
ITERATIONS = 20  # of Richardson-Lucy, accelerated
PEER_ITERATIONS = 30  # scikit-image's default, not accelerated

#: Pictures that come with scikit-image, and the middle of what is taken of them (row, column).
SCENES = {"camera": (170, 250), "coins": (150, 190)}
BLURS = {
    "defocus, radius 5 px": sigdeconv.psf.disk(5.0),
    "motion, 21 px at 30°": sigdeconv.psf.motion(21, 30),
}
BOUNDARIES = ("free", "reflect", "zero", "periodic")
METHODS = {
    "wiener": "Wiener",
    "rl": f"Richardson–Lucy, {ITERATIONS} iterations",
    "tv": "total variation",
    "wiener-own": "Wiener, balance chosen under that boundary",
}
PEERS = {"wiener": "skimage.restoration.wiener", "rl": "skimage.restoration.richardson_lucy"}


class Case(NamedTuple):
    """One image to restore, in grey levels from 0 to 255; `reach` is half the width of the PSF in pixels."""

    scene: str
    blur: str
    psf: Numbers
    truth: Numbers
    image: Numbers

    @property
    def reach(self) -> int:
        widest: int = max(self.psf.shape)
        return widest // 2


PARTS = ("border", "inside")

Estimates = dict[tuple[str, str], Numbers]  #: by method and boundary; a peer's boundary is its own name

COLUMNS = (
    Column("method", "method"),
    Column("boundary", "boundary"),
    Column("border", "PSNR at the border", "dB", 1),
    Column("inside", "PSNR inside", "dB", 1),
    Column("light", "light at the border", "% of true", 1),
)
ALL_COLUMNS = (Column("scene", "scene"), Column("blur", "blur"), *COLUMNS)


def observe(scene: str, blur: str, *, size: int, rng: np.random.Generator) -> Case:
    """The middle of a blurred scene, of `size` pixels a side, with noise."""
    from skimage import data

    psf = BLURS[blur].astype(np.float32)
    picture = getattr(data, scene)().astype(np.float32)
    window = []
    for n, k, middle in zip(picture.shape, psf.shape, SCENES[scene], strict=True):
        extent = min(size + k - 1, n)
        start = min(max(middle - extent // 2, 0), n - extent)
        window.append(slice(start, start + extent))
    truth, blurred = simulate.through_frame(picture[tuple(window)], psf)
    return Case(scene, blur, psf, truth, simulate.gaussian_noise(blurred, bsnr=BSNR, rng=rng))


def restore(case: Case) -> Estimates:
    """Every method under every boundary.

    The weight is the one that the method chooses under "free" wherever the boundary alone is to differ.
    """
    y, h = case.image, case.psf
    chosen: dict[str, Any] = {}

    def keep(iteration: sigdeconv.Iteration) -> None:
        chosen.update(iteration.chosen)

    result: Estimates = {("wiener", "free"): sigdeconv.wiener(y, h, callback=keep)}
    result["tv", "free"] = sigdeconv.total_variation(y, h, callback=keep)
    result["wiener-own", "free"] = result["wiener", "free"]
    for b in BOUNDARIES:
        result["rl", b] = sigdeconv.richardson_lucy(y.clip(0), h, num_iter=ITERATIONS, boundary=b)
        if b == "free":
            continue
        result["wiener", b] = sigdeconv.wiener(y, h, balance=chosen["balance"], boundary=b)
        result["tv", b] = sigdeconv.total_variation(y, h, weight=chosen["weight"], boundary=b)
        result["wiener-own", b] = sigdeconv.wiener(y, h, boundary=b)
    return result | _peers(case, chosen["balance"])


def _peers(case: Case, balance: float) -> Estimates:
    """scikit-image, without its clipping, which asks for images between 0 and 1."""
    from skimage import restoration as skimage_restoration

    restoration: Any = skimage_restoration
    image, psf = (case.image / PEAK).clip(0), case.psf
    again = restoration.richardson_lucy(image, psf, num_iter=PEER_ITERATIONS, clip=False)
    filtered = restoration.wiener(case.image / PEAK, psf, balance=balance, clip=False)
    return {("rl", PEERS["rl"]): PEAK * again, ("wiener", PEERS["wiener"]): PEAK * filtered}


def distance(shape: tuple[int, ...]) -> Numbers:
    """Of each pixel from the frame's edge: 0 for the outermost."""
    y, x = (np.minimum(np.arange(n), np.arange(n)[::-1]) for n in shape)
    return np.minimum(y[:, None], x[None, :])


def rings(case: Case, estimate: Numbers) -> Numbers:
    """Mean squared error by distance from the frame's edge, in squared grey levels."""
    away = distance(case.truth.shape).ravel()
    squares = ((estimate - case.truth).astype(np.float64) ** 2).ravel()
    total: Numbers = np.bincount(away, squares) / np.bincount(away)
    return total


def measure(case: Case, estimates: Estimates) -> list[dict[str, Any]]:
    """A row a method and boundary: within half a PSF of the frame's edge, and farther in."""
    border = distance(case.truth.shape) < case.reach
    rows = []
    for (key, boundary), estimate in estimates.items():
        at, inside = (metrics.psnr(case.truth[part], estimate[part], data_range=PEAK) for part in (border, ~border))
        light = 100 * float(estimate[border].sum(dtype=float) / case.truth[border].sum(dtype=float))
        rows.append(
            {
                "scene": case.scene,
                "blur": case.blur,
                "key": key,
                "method": METHODS[key],
                "boundary": boundary,
                "border": at,
                "inside": inside,
                "light": light,
            }
        )
    return rows


def summarise(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Means over the images, in the order of methods and boundaries."""
    names = [(key, b) for key in METHODS for b in (*BOUNDARIES, *([PEERS[key]] if key in PEERS else []))]
    result: list[dict[str, Any]] = []
    for key, boundary in names:
        mine = [row for row in rows if (row["key"], row["boundary"]) == (key, boundary)]
        means = {name: float(np.mean([row[name] for row in mine])) for name in ("border", "inside", "light")}
        result.append({"key": key, "method": METHODS[key], "boundary": boundary, **means})
    highest = {key: max(row["border"] for row in result if row["key"] == key) for key in METHODS}
    return [row | {"marked": row["border"] == highest[row["key"]]} for row in result]


def finding(rows: Sequence[Mapping[str, Any]]) -> str:
    """Sentences from the table; which boundary is praised is for the numbers to say."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["boundary"] in BOUNDARIES and row["key"] != "wiener-own":
            groups.setdefault((row["scene"], row["blur"], row["key"]), []).append(row)
    wins = [max(group, key=lambda row: float(row["border"]))["boundary"] for group in groups.values()]
    best = max(BOUNDARIES, key=wins.count)
    means = {
        b: [float(np.mean([r[part] for g in groups.values() for r in g if r["boundary"] == b])) for part in PARTS]
        for b in BOUNDARIES
    }
    listed = ", ".join(f"{b} {at:.1f} dB at the border and {inside:.1f} dB inside" for b, (at, inside) in means.items())
    own = {
        b: float(np.mean([r["inside"] for r in rows if (r["key"], r["boundary"]) == ("wiener-own", b)])) for b in means
    }
    text = (
        f"Within half a PSF of the frame the boundary with the least error was “{best}” in {wins.count(best)} of "
        f"{len(groups)} restorations; mean PSNR: {listed}. Choosing its balance anew under each boundary, Wiener's "
        f"filter reached inside the frame: {', '.join(f'{b} {value:.1f} dB' for b, value in own.items())}."
    )
    return text.replace("-", "−")


def run(study: Study) -> Chapter:
    """All scenes and blurs under all boundaries."""
    rows: list[dict[str, Any]] = []
    curves: dict[tuple[str, str], list[Numbers]] = {}
    closely: tuple[Case, Estimates] | None = None
    for index, names in enumerate(study.track(list(product(SCENES, BLURS)), "boundaries")):
        case = observe(*names, size=study.size, rng=study.rng(index))
        estimates = restore(case)
        rows += measure(case, estimates)
        for name, estimate in estimates.items():
            curves.setdefault(name, []).append(rings(case, estimate))
        closely = closely or (case, estimates)
    assert closely is not None
    reaches = {blur: max(psf.shape) // 2 for blur, psf in BLURS.items()}
    mean = {name: np.sqrt(np.mean(parts, axis=0)) for name, parts in curves.items()}
    return Chapter(
        "boundaries",
        TITLE,
        finding(rows),
        [
            f"{len(SCENES)} pictures under {len(BLURS)} blurs, each image cut from the middle of a larger blurred "
            f"scene, with noise {BSNR:.0f} dB below it. Wiener's filter and total variation use the weight that they "
            "choose with the free boundary, so that the boundary alone differs; the last method chooses anew under "
            "each. scikit-image's functions are shown as they are: its Wiener filter, with the same balance, repeats "
            f"the image, its Richardson–Lucy ({PEER_ITERATIONS} iterations, its default) surrounds it with darkness. "
            "Wiener's closed form continues the image and not the scene: under “zero” and “reflect” it takes the "
            "blurred image for dark or mirrored past the frame. The image of a dark scene is not; that of a mirrored "
            "one is, if the PSF is symmetric along each axis (defocus is, motion at an angle is not).",
            figures.maps(study, *closely, METHODS, PEERS, BOUNDARIES),
            figures.distances(study, mean, METHODS, PEERS, BOUNDARIES, reaches),
            Table(
                "boundaries-summary",
                f"Means over {len(SCENES) * len(BLURS)} images. Border: within half the width of the PSF of the "
                "frame's edge. Light: what the restoration holds there. Bold: the highest PSNR at the border of each "
                "method.",
                COLUMNS,
                summarise(rows),
                marked="marked",
            ),
            Table("boundaries", f"All {len(rows)} results", ALL_COLUMNS, rows, folded=True),
        ],
    )
