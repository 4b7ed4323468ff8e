"""The blur is not known: it is found in the image, and the image is restored with what was found.

Three kinds of ignorance: a shake of any form, a blur whose form is known but not its size, and photon counts through a
PSF of which only the extent is known. Last, a photograph whose blur nobody simulated.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

import sigdeconv
from sigdeconv import simulate

from . import blind_figures as figures
from .common import Chapter, Column, Study, Table

TITLE = "Blind: the blur is found in the image"

Numbers = np.ndarray[Any, Any]

PEAK = 255.0  # grey levels
SHAKE_TAPS = (15, 21)  # pixels a side of the simulated shakes
SIGMAS = (0.0, 2.55)  # of the noise in grey levels: none, and 1 % of the range
WEIGHT = 0.2  # of the prior that restores with the PSF found and with the true one: theirs is compared, not the weight
SUCCESS = 3.0  # error ratio up to which a PSF counts as found (Levin et al. 2009)
MARGIN = 12  # pixels at the frame that errors leave out, and by which an image may be moved to meet the truth
FINEST = 0.02  # pixel, to which the shift is found
PHOTOGRAPHS = {"camera": (150, 250), "astronaut": (150, 250)}  # the middle of what is taken
FORMS = (
    ("defocus", "disk", {"radius": 4.3}),
    ("motion", "motion", {"length": 14.0, "angle": 35.0}),
    ("Gaussian", "gaussian", {"sigma": 2.2}),
)
STARS = 60
STAR_PHOTONS = 1e4  # of the brightest star
STAR_PSF_TAPS = 17


class Shaken(NamedTuple):
    """One shaken photograph, and what became of it."""

    scene: str
    shake: str
    sigma: float
    truth: Numbers
    image: Numbers
    psf: Numbers
    found: Numbers
    blind: Numbers
    informed: Numbers
    ratio: float
    seconds: float


SHAKE_COLUMNS = (
    Column("scene", "photograph"),
    Column("shake", "shake"),
    Column("sigma", "noise σ", "grey levels", 2),
    Column("before", "rms error, blurred", "grey levels", 1),
    Column("blind", "PSF found", "grey levels", 1),
    Column("informed", "PSF known", "grey levels", 1),
    Column("ratio", "error ratio", "", 2),
    Column("seconds", "search", "s", 1),
)
FORM_COLUMNS = (
    Column("scene", "photograph"),
    Column("form", "blur"),
    Column("parameter", "parameter"),
    Column("true", "true", "", 2),
    Column("found", "found", "", 2),
    Column("error", "error"),
)


def photograph(name: str, side: int) -> Numbers:
    """A square of one of scikit-image's photographs, in grey levels."""
    from skimage import color, data

    image = np.asarray(getattr(data, name)(), dtype=float)
    grey = image if image.ndim == 2 else PEAK * color.rgb2gray(image / PEAK)
    y, x = PHOTOGRAPHS[name]
    top, left = max(0, y - side // 2), max(0, x - side // 2)
    result: Numbers = grey[top : top + side, left : left + side]
    return result


def aligned_error(truth: Numbers, estimate: Numbers) -> float:
    """Mean squared error after the shift that makes it least: image and PSF determine each other up to one."""
    from scipy.ndimage import shift, spline_filter
    from scipy.optimize import minimize
    from scipy.signal import fftconvolve

    inner = (slice(MARGIN, -MARGIN),) * 2
    seen = truth[inner]
    # Every shift by whole pixels within the margin at once: |x|^2 - 2 x . truth, summed under the window.
    level = seen.mean()
    x, window = estimate - level, np.ones_like(seen)
    misfits = fftconvolve(x**2, window, "valid") - 2 * fftconvolve(x, (seen - level)[::-1, ::-1], "valid")
    start = MARGIN - np.array(np.unravel_index(int(np.argmin(misfits)), misfits.shape))
    spline = spline_filter(estimate, mode="nearest")

    def error(by: Numbers) -> float:
        return float(np.mean((shift(spline, by, mode="nearest", prefilter=False)[inner] - seen) ** 2))

    corners = start + np.array([[0, 0], [0.4, 0], [0, 0.4]])
    found: Any = minimize(error, start, method="Nelder-Mead", options={"initial_simplex": corners, "xatol": FINEST})
    return min(float(found.fun), error(start))


def shake_case(scene: Numbers, psf: Numbers, sigma: float, rng: np.random.Generator, names: tuple[str, str]) -> Shaken:
    """Blur, find the PSF, restore with it and with the true one."""
    truth, blurred = simulate.through_frame(scene, psf)
    image = simulate.gaussian_noise(blurred, sigma=sigma, rng=rng)

    def restore(y: Numbers, h: Numbers) -> Numbers:
        result: Numbers = sigdeconv.total_variation(y, h, weight=WEIGHT, bounds=(0.0, PEAK))
        return result

    start = time.perf_counter()
    found = sigdeconv.blind_camera_shake(image, restore=lambda y, h: y).psf
    seconds = time.perf_counter() - start
    blind, informed = restore(image, found), restore(image, psf)
    ratio = aligned_error(truth, blind) / aligned_error(truth, informed)
    return Shaken(*names, sigma, truth, image, psf, found, blind, informed, ratio, seconds)


def shakes(study: Study) -> list[Shaken]:
    """Photographs (one in the quick setting) under every shake, without noise and with some."""
    cases = []
    psfs = [sigdeconv.psf.shake(taps, rng=study.rng(0, taps)) for taps in SHAKE_TAPS]
    names_seen = study.pick([*PHOTOGRAPHS][:1], [*PHOTOGRAPHS])
    jobs = [(name, i, sigma) for name in names_seen for i in range(len(psfs)) for sigma in SIGMAS]
    for index, (name, i, sigma) in enumerate(study.track(jobs, "blind: shakes")):
        scene = photograph(name, study.size + SHAKE_TAPS[i] - 1)
        names = name, f"{SHAKE_TAPS[i]} px"
        cases.append(shake_case(scene, psfs[i], sigma, study.rng(1, index), names))
    return cases


def shake_rows(cases: list[Shaken]) -> list[dict[str, Any]]:
    rows = []
    for c in cases:
        rms = {key: aligned_error(c.truth, x) ** 0.5 for key, x in (("before", c.image), ("blind", c.blind))}
        rms["informed"] = aligned_error(c.truth, c.informed) ** 0.5
        rows.append(
            {"scene": c.scene, "shake": c.shake, "sigma": c.sigma, "ratio": c.ratio, "seconds": c.seconds} | rms
        )
    return rows


def form_rows(study: Study) -> list[dict[str, Any]]:
    """Photographs blurred by a PSF with a formula, whose parameters are found."""
    rows = []
    jobs = [(name, form) for name in PHOTOGRAPHS for form in FORMS]
    for index, (name, (label, family, true)) in enumerate(study.track(jobs, "blind: forms")):
        psf = figures.psf_of(family, true)
        scene = photograph(name, study.size + max(psf.shape) - 1)
        image = simulate.gaussian_noise(
            simulate.through_frame(scene, psf).blurred, sigma=SIGMAS[1], rng=study.rng(2, index)
        )
        found = sigdeconv.blind_parametric(image, family, restore=lambda y, h: y).parameters
        for key, value in true.items():
            unit = "°" if key == "angle" else "px"
            off = found[key] - value
            if key == "angle":
                off = (off + 90) % 180 - 90
            error = f"{off:+.1f}°" if key == "angle" else f"{100 * off / value:+.1f} %"
            rows.append(
                {
                    "scene": name,
                    "form": label,
                    "parameter": f"{key} [{unit}]",
                    "true": value,
                    "found": found[key],
                    "error": error.replace("-", "−"),
                    "relative": abs(off) / value if key != "angle" else None,
                }
            )
    return rows


def starfield(study: Study) -> dict[str, Any]:
    """Photon counts of stars through a PSF of which only the extent is known."""
    rng = study.rng(3)
    scene = STAR_PHOTONS * 30 * simulate.stars((96, 96), num=STARS, rng=rng)
    true = 0.7 * sigdeconv.psf.gaussian((STAR_PSF_TAPS,) * 2, (1.2, 2.0)) + 0.3 * np.roll(
        sigdeconv.psf.gaussian((STAR_PSF_TAPS,) * 2, 1.0), (2, -3), (0, 1)
    )
    counts = simulate.poisson_noise(np.maximum(simulate.blur(scene, true, boundary="zero"), 0), background=5.0, rng=rng)
    found = sigdeconv.blind_richardson_lucy(counts, STAR_PSF_TAPS, background=5.0, boundary="zero")
    start = sigdeconv.psf.gaussian((STAR_PSF_TAPS,) * 2, STAR_PSF_TAPS / 5)
    # A shift is shared by image and PSF: the true one is brought to the centroid that the other has.
    moved = figures.moved_to_origin(true)
    return {
        "counts": counts,
        "restored": found.image,
        "psf": found.psf,
        "true": moved,
        "start": start,
        "error": float(np.abs(found.psf - moved).sum()),
        "error before": float(np.abs(start - moved).sum()),
    }


def clock() -> dict[str, Any]:
    """The photograph of a clock that moved: its length and angle, and what the motion hid."""
    from skimage import data

    take: Any = data.clock
    image = np.asarray(take(), dtype=np.float64)
    found = sigdeconv.blind_parametric(image, "motion", restore=sigdeconv.total_variation)
    return {"image": image, "restored": found.image, "psf": found.psf, "parameters": found.parameters}


def run(study: Study) -> Chapter:
    """The experiment."""
    cases = shakes(study)
    rows, forms = shake_rows(cases), form_rows(study)
    stars, timepiece = starfield(study), clock()
    share = float(np.mean([c.ratio <= SUCCESS for c in cases]))
    sizes = [row["relative"] for row in forms if row["relative"] is not None and row["form"] != "Gaussian"]
    widths = [row["relative"] for row in forms if row["form"] == "Gaussian"]
    length, angle = timepiece["parameters"]["length"], timepiece["parameters"]["angle"]
    finding = (
        f"In {100 * share:.0f} % of {len(cases)} shaken photographs the PSF is found well enough that the restored "
        f"image has at most {SUCCESS:g} times the squared error that the true PSF leaves. Radii and lengths are "
        f"found to {100 * max(sizes):.1f} %, Gaussian widths to {100 * max(widths):.0f} %. The clock of scikit-image "
        f"moved by {length:.0f} pixels at {angle:.0f}°."
    )
    chapter = Chapter("blind", TITLE, finding)
    chapter.parts += [
        "A shake has any form. It is read off the strong edges, from coarse to fine; then the image is restored with "
        "it. Both restorations of a row have the same weight, so that they differ by their PSF alone.",
        figures.shakes(study, cases),
        Table(
            "blind-shakes",
            f"Shaken photographs: rms errors after restoring with the PSF that was found and with the true one; the "
            f"ratio is that of squared errors, and up to {SUCCESS:g} counts as success",
            SHAKE_COLUMNS,
            rows,
            folded=True,
        ),
        "Where the form is known, one or two numbers are looked for, in the image's power spectrum. A disk and a line "
        "have dark rings and stripes there; a Gaussian has none, and shares its bend with the scene's own.",
        Table("blind-forms", f"Parameters found at noise σ = {SIGMAS[1]:g} grey levels", FORM_COLUMNS, forms),
        "Stars tell their PSF in every point, if the sky between them is dark. Here Richardson–Lucy steps on the image "
        "and on the PSF take turns, from a round guess that is much too wide.",
        figures.stars(study, stars),
        "And one blur that nobody simulated.",
        figures.clock(study, timepiece),
    ]
    return chapter
