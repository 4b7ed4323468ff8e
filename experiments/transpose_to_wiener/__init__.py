"""One linear transposed convolution, trained to undo a blur: where it arrives, how fast, and what it cannot do.

With squared error this is a convex problem, and its optimum has been known since 1949: Wiener's filter, cut to so many
taps. Training can be watched arriving there. What it cannot get past, a larger kernel, a longer look at the problem
(told the blur, nothing has to be learned) or a nonlinear method may.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

import sigdeconv

from ..common import Chapter, Study, learning
from . import figures, fits, tables, training
from .fits import Numbers, Pairs

TITLE = "Training a transposed convolution to undo a blur: it arrives at Wiener's filter"

Rows = list[dict[str, Any]]

BSNR = 40.0  # dB
SIZE = 15  # taps of the kernel whose training is watched, on each axis
SIZES = (3, 5, 7, 9, 11, 15, 21, 31, 47, 63)
LONG = 31  # taps of a kernel that reaches farther than the blur
NOISES = (20.0, 30.0, 40.0, 50.0)  # dB
NOISE_SIZES = (9, SIZE, LONG)
OWN = "box, 9 px"
BLURS = {
    OWN: np.full((9, 9), 1 / 81),
    "disk, radius 4 px": sigdeconv.psf.disk(4.0),
    "motion, 15 px at 30°": sigdeconv.psf.motion(15, 30),
    "Gaussian, 2 px": sigdeconv.psf.gaussian((15, 15), sigma=2.0),
}
OTHER = "disk, radius 4 px"  # to which the networks that learned the first are applied
BEHIND = 5  # taps of the first layer of a network behind the linear kernel, which has reached far already
#: Steps at which the kernel is looked at.
MARKS = {
    "descent": (0, *np.unique(np.geomspace(1, 1e8, 49).astype(int))),
    "adam": (0, *np.unique(np.geomspace(1, 5000, 31).astype(int))),
    "conjugate": (0, *np.unique(np.geomspace(1, 500, 31).astype(int))),
}


class Setting(NamedTuple):
    """What is learned from and what is tested on, under one blur."""

    psf: Numbers
    learned: Pairs
    tested: Pairs
    power: Numbers  #: of the photographs that are learned from, by frequency
    noise: float  #: variance, in squared grey levels; mean over the tested pictures

    def gain(self, estimates: Numbers) -> float:
        """By how many dB tested pictures are nearer the scenes than the blurred ones, on average."""
        return fits.psnr(self.tested.scenes, estimates) - fits.psnr(self.tested.scenes, self.tested.images)

    def kernel_gain(self, kernel: Numbers) -> float:
        return self.gain(fits.applied(kernel, self.tested.images))


def setting(side: int, rng: np.random.Generator, *, blur: str = OWN, bsnr: float = BSNR) -> Setting:
    """Photographs of `side` x `side` pixels, blurred."""
    psf = BLURS[blur]
    learned = fits.observed(fits.photographs(fits.LEARNED_FROM, side), psf, bsnr, rng)
    tested = fits.observed(fits.photographs(fits.TESTED_ON, side), psf, bsnr, rng)
    blurred = sigdeconv.Convolution(psf, (side, side), boundary="periodic").forward(tested.scenes)
    noise = float(np.mean(blurred.var(axis=(-2, -1)))) * 10 ** (-bsnr / 10)
    return Setting(psf, learned, tested, fits.spectrum(learned.scenes), noise)


def distance(kernel: Numbers, wanted: Numbers) -> float:
    """Relative, in the 2-norm."""
    return float(np.linalg.norm(kernel - wanted) / np.linalg.norm(wanted))


def distances(here: Setting, size: int = SIZE) -> tuple[Numbers, dict[str, Numbers], Rows]:
    """The closed form, the last kernel of each descent on exact gradients, and a row a look at one on its way."""
    problem = fits.quadratic(here.learned, size)
    best = fits.closed_form(problem)
    least, reached = problem.error(best), here.kernel_gain(best)
    last: dict[str, Numbers] = {}
    rows: Rows = []
    for key, marks in MARKS.items():
        for step, kernel in zip(marks, fits.DESCENTS[key](problem, fits.start(here.psf, size), marks), strict=True):
            last[key] = kernel
            rows.append(
                {
                    "key": key,
                    "step": int(step),
                    "distance": distance(kernel, best),
                    "learned": 10 * np.log10(problem.error(kernel) / least),
                    "tested": reached - here.kernel_gain(kernel),
                }
            )
    return best, last, rows


def by_torch(here: Setting, rng: np.random.Generator, *, size: int, at_once: int, batches: int) -> Rows:
    """The layer itself under torch's optimisers: on a few patches at once, and on all pictures in small batches."""
    first, rows = fits.start(here.psf, size), []
    patches = training.cut(here.learned, training.corners(here.learned, training.COUNT, rng), training.PATCH, size // 2)
    of_patches, of_all = training.exact(patches, size), fits.closed_form(fits.quadratic(here.learned, size))

    def error(kernel: Numbers, these: Pairs | training.Patches) -> float:
        out, r = fits.applied(kernel, these.images), size // 2
        inner = out[:, r:-r, r:-r] if isinstance(these, training.Patches) else out  # what no edge has part in
        return float(np.mean((inner - these.scenes) ** 2))

    def watcher(key: str, best: Numbers, these: Any, every: int) -> Any:
        least, reached = error(best, these), here.kernel_gain(best)

        def watch(step: int, kernel: Numbers) -> None:
            if step % every == 0:
                excess = 10 * np.log10(error(kernel, these) / least)
                row = {"key": key, "step": step, "distance": distance(kernel, best), "learned": excess}
                rows.append(row | {"tested": reached - here.kernel_gain(kernel)})

        return watch

    watch = watcher("lbfgs", of_patches, patches, 5)
    last = training.trained_at_once(patches, first, at_once, watch)
    watch(at_once - at_once % 5, last)
    watch = watcher("batches", of_all, here.learned, 25)
    training.trained_in_batches(here.learned, first, batches, rng, watch)
    return rows


def sizes(here: Setting) -> Rows:
    """What kernels of each size gain: learned from all photographs, from one of them, and told the blur."""
    one = Pairs(*(part[:1] for part in here.learned))
    before = fits.psnr(here.learned.scenes, here.learned.images)
    rows: Rows = []
    for size in SIZES:
        if size > here.learned.images.shape[-1] // 3:
            continue  # small pictures cannot teach it
        kernels = {
            "all": fits.closed_form(fits.quadratic(here.learned, size)),
            "one": fits.closed_form(fits.quadratic(one, size)),
            "told": fits.closed_form(fits.told(here.psf, here.power, here.noise, size)),
        }
        row = {"size": size, **{key: here.kernel_gain(kernel) for key, kernel in kernels.items()}}
        seen = fits.psnr(here.learned.scenes, fits.applied(kernels["all"], here.learned.images)) - before
        rows.append(row | {"seen": seen})
    return rows


def told_gain(here: Setting) -> float:
    """What Wiener's filter without an end gains, told the blur, the noise and how photographs are on average."""
    return here.gain(fits.unbounded(here.tested.images, here.psf, here.power, here.noise))


def noises(side: int, study: Study) -> Rows:
    """What kernels gain under each level of noise, and how ill-conditioned their training is."""
    rows: Rows = []
    for index, bsnr in enumerate(NOISES):
        here = setting(side, study.rng(1, index), bsnr=bsnr)
        problems = {size: fits.quadratic(here.learned, size) for size in NOISE_SIZES}
        best = {size: fits.closed_form(problem) for size, problem in problems.items()}
        marks = MARKS["conjugate"]
        tries = fits.conjugate_gradients(problems[SIZE], fits.start(here.psf, SIZE), marks)
        near = next((t for t, w in zip(marks, tries, strict=True) if distance(w, best[SIZE]) < tables.WITHIN), None)
        row = {"bsnr": bsnr, "condition": fits.condition(problems[SIZE]), "steps": str(near or f"over {marks[-1]}")}
        rows.append(row | {f"size{k}": here.kernel_gain(w) for k, w in best.items()} | {"unbounded": told_gain(here)})
    return rows


def blurs(side: int, study: Study) -> Rows:
    """Kernels learned for one blur, applied to each."""
    places = {name: setting(side, study.rng(2, i), blur=name) for i, name in enumerate(BLURS)}
    rows: Rows = []
    for name, here in places.items():
        kernel = fits.closed_form(fits.quadratic(here.learned, LONG))
        rows.append({"blur": f"learned on {name}", **{on: there.kernel_gain(kernel) for on, there in places.items()}})
    rows.append({"blur": "not learned: told the blur", **{on: told_gain(there) for on, there in places.items()}})
    return rows


def opponents(here: Setting, other: Setting, study: Study, steps: int) -> tuple[Rows, dict[str, Numbers]]:
    """Linear kernels, small networks on the same pairs, and methods that are told the blur; on both blurs.

    `other` has another blur. What has learned does not know of it; what is told is told of it.
    """
    scale = float(here.learned.scenes.std())
    rows: Rows = []
    shown: dict[str, Numbers] = {}

    def add(key: str, numbers: int, restore: Any, seconds: float) -> None:
        began = time.process_time()
        shown[key] = restore(here)
        seconds += time.process_time() - began
        row = {"key": key, "method": tables.METHODS[key], "numbers": numbers, "seconds": seconds}
        rows.append(row | {"own": here.gain(shown[key]), "other": other.gain(restore(other))})

    linear = {}
    for key, size in (("linear", SIZE), ("long", LONG)):
        began = time.process_time()
        kernel = linear[size] = fits.closed_form(fits.quadratic(here.learned, size))
        took = time.process_time() - began
        add(key, size**2, lambda there, w=kernel: fits.applied(w, there.tested.images), took)
    for index, (key, first) in enumerate((("net", SIZE), ("long-net", LONG), ("behind", BEHIND))):
        filtered = key == "behind"
        began = time.process_time()
        pairs = training.filtered(here.learned, linear[LONG]) if filtered else here.learned
        model = training.trained_network(pairs, first, steps, study.seed, study.rng(3, index))
        took = time.process_time() - began
        numbers = sum(p.numel() for p in model.parameters()) + (LONG**2 if filtered else 0)

        def restore(there: Setting, model: Any = model, filtered: bool = filtered) -> Numbers:
            seen = training.filtered(there.tested, linear[LONG]) if filtered else there.tested
            return training.restored(model, seen.images, scale)

        add(key, numbers, restore, took)
    add("told", 0, lambda there: fits.unbounded(there.tested.images, there.psf, there.power, there.noise), 0.0)
    add("edges", 0, _few_edges, 0.0)
    return rows, shown


def _few_edges(there: Setting) -> Numbers:
    """Told the blur, and that photographs have few edges."""
    found = sigdeconv.hyper_laplacian(there.tested.images, there.psf, boundary="periodic", sigma=there.noise**0.5)
    return np.asarray(found)


def run(study: Study) -> Chapter:
    """Watch the training arrive; then size, noise, other blurs and nonlinear networks."""
    with learning():
        return _run(study)


def _run(study: Study) -> Chapter:
    side = study.size
    progress = iter(study.track(["descents", "torch", "sizes", "noise", "blurs", "networks"], "transpose to Wiener"))
    next(progress)
    here = setting(side, study.rng(0))
    best, kernels, steps = distances(here)
    next(progress)
    steps += by_torch(here, study.rng(4), size=SIZE, at_once=study.pick(260, 500), batches=study.pick(300, 3000))
    next(progress)
    by_size, limit = sizes(here), told_gain(here)
    next(progress)
    by_noise = noises(side, study)
    next(progress)
    by_blur = blurs(side, study)
    next(progress)
    other = setting(side, study.rng(5), blur=OTHER)
    rows, shown = opponents(here, other, study, study.pick(300, 3000))
    next(progress, None)
    condition = fits.condition(fits.quadratic(here.learned, SIZE))
    return Chapter(
        "transpose_to_wiener",
        TITLE,
        tables.finding(steps, by_size, limit, rows),
        [
            tables.introduction(SIZE, condition, steps, BSNR),
            figures.descents(study, steps, fits.start(here.psf, SIZE), best, kernels, condition),
            tables.descents(steps),
            figures.responses(study, here, {SIZE: best, LONG: fits.closed_form(fits.quadratic(here.learned, LONG))}),
            figures.ceilings(study, by_size, limit, by_noise, NOISE_SIZES, rows),
            *tables.ceilings(by_size, by_noise, NOISE_SIZES),
            tables.beaten(rows, by_blur),
            figures.pictures(study, here, shown, rows),
            *tables.others(rows, by_blur, list(BLURS), OTHER),
            figures.matrix(study, by_blur, list(BLURS)),
        ],
    )
