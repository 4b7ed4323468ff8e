"""What is compared: each method on a stack, what it chose from the data, its scores and its time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import sigdeconv
from sigdeconv import metrics, psf, simulate

from .cases import LENS, PHOTONS, Case, assumptions

Numbers = np.ndarray[Any, Any]
Watch = Callable[[sigdeconv.Iteration], None]
Restore = Callable[[Case, int, Watch], Numbers]  #: of a case, at most so many iterations, and a callback


class Method(NamedTuple):
    label: str
    restore: Restore


class Estimate(NamedTuple):
    """What a method made of a stack, what it chose, and its time in seconds."""

    volume: Numbers
    chosen: dict[str, Any]
    seconds: float


def _transpose(case: Case, steps: int, watch: Watch) -> Numbers:
    boundary = "reflect" if case.boundary == "free" else case.boundary  # the free one answers past the frame
    return np.asarray(sigdeconv.Convolution(case.psf, case.image.shape, boundary=boundary).adjoint(case.image))


def _lucy(case: Case, steps: int, watch: Watch) -> Numbers:
    options: dict[str, Any] = {"background": case.background, "boundary": case.boundary, "callback": watch}
    counts = case.image + np.float32(case.background)
    return np.asarray(sigdeconv.richardson_lucy(counts, case.psf, num_iter=None, **options))


def _bounded(method: Callable[..., Any], slower: int = 1) -> Restore:
    """A method whose scene is not negative; `slower` is how many iterations of the others one of its own is worth."""

    def restore(case: Case, steps: int, watch: Watch) -> Numbers:
        options: dict[str, Any] = {"boundary": case.boundary, "num_iter": max(1, steps // slower), "callback": watch}
        return np.asarray(method(case.image, case.psf, bounds=(0, None), **options))

    return restore


METHODS = {
    "blurred": Method("as recorded", lambda case, steps, watch: case.image),
    "transpose": Method("transpose Aᴴy", _transpose),
    "inverse": Method("division", lambda case, steps, watch: sigdeconv.inverse_filter(case.image, case.psf)),
    "tikhonov": Method("Tikhonov, not negative", _bounded(sigdeconv.tikhonov, slower=10)),
    "rl-stopped": Method("Richardson–Lucy", _lucy),
    "tv": Method("total variation", _bounded(sigdeconv.total_variation)),
    "hessian": Method("Hessian–Schatten", _bounded(sigdeconv.hessian_schatten)),
}


def restore(case: Case, key: str, steps: int = 60) -> Estimate:
    """One method, and what its callback was told that it chose."""
    chosen: dict[str, Any] = {}
    start = time.perf_counter()
    volume = METHODS[key].restore(case, steps, lambda iteration: chosen.update(iteration.chosen))
    return Estimate(volume, chosen, time.perf_counter() - start)


def told(chosen: dict[str, Any]) -> str:
    """What was chosen, in words."""
    if "num_iter" in chosen:
        return f"{chosen['num_iter']} iterations"
    return f"weight {chosen['weight']:.2g}" if "weight" in chosen else ""


def score(case: Case, estimate: Numbers) -> dict[str, float]:
    top = float(case.truth.max())
    return {
        "psnr": metrics.psnr(case.truth, estimate, data_range=top),
        "gain": metrics.isnr(case.truth, case.image, estimate),
        "ssim": metrics.ssim(case.truth, estimate, data_range=top),
    }


def compare_optics(case: Case) -> tuple[list[dict[str, Any]], dict[str, Numbers], dict[str, Numbers]]:
    """Richardson-Lucy with each PSF that might be assumed, stopped by itself: a row each, the PSFs, the estimates."""
    kernels = assumptions(case.psf.shape)
    rows, estimates = [], {}
    for name, kernel in kernels.items():
        found = restore(case._replace(psf=kernel), "rl-stopped")
        row = {"optics": name, "width": psf.fwhm(kernel, LENS["pixel_size"])[0], "steps": found.chosen["num_iter"]}
        rows.append(row | score(case, found.volume))
        estimates[name] = found.volume
    best = max(row["psnr"] for row in rows)
    return [row | {"marked": row["psnr"] == best} for row in rows], kernels, estimates


def pieces(rng: np.random.Generator) -> tuple[int, float]:
    """The number of blocks in which `map_chunks` restores a stack, and how far that is from the whole, in its peak."""
    h = psf.confocal((9, 13, 13), excitation_wavelength=0.488, **LENS).astype(np.float32)
    scene = simulate.hollow_bars((20, 156, 156), num=10).astype(np.float32)
    counts = simulate.poisson_noise(simulate.through_frame(scene, h).blurred.clip(0), photons=PHOTONS, rng=rng)
    plain: dict[str, Any] = {"num_iter": 5, "accelerate": False}
    whole = sigdeconv.richardson_lucy(counts, h, **plain)
    cut = sigdeconv.map_chunks(sigdeconv.richardson_lucy, counts, h, chunks=(12, 72, 72), **plain)
    return int(cut.report["chunks"]["number"]), float(np.abs(cut.result - whole).max() / whole.max())
