"""How many accelerated iterations reach the likelihood of 100 plain ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import sigdeconv

from .common import Row

PLAIN = 100
LIMIT = 60


def scenes() -> dict[str, np.ndarray]:
    """Photographs from the scikit-image wheel, and a field of stars; peak 1."""
    from skimage import data

    rng = np.random.default_rng(0)
    stars = np.full((240, 240), 2e-3)
    stars[rng.integers(0, 240, 120), rng.integers(0, 240, 120)] = rng.gamma(1.0, 0.2, 120)
    photographs = {"camera": data.camera(), "moon": data.moon(), "coins": data.coins(), "cell": data.cell()}
    crops = {name: image[60:300, 60:300] / 255.0 for name, image in photographs.items()}
    return crops | {
        "stars": sigdeconv.Convolution(sigdeconv.psf.gaussian((9, 9), 0.7), (240, 240), boundary="zero")(stars)
    }


def rows() -> Iterator[Row]:
    """Each acceleration, over scenes and light levels."""
    psf = sigdeconv.psf.gaussian((21, 21), 2.5)
    needed: dict[str, list[int]] = {"conjugate": [], "biggs-andrews": [], "heavy-ball": []}
    for scene in scenes().values():
        for photons in (50, 1000):
            blur = sigdeconv.Convolution(psf, tuple(n - 20 for n in scene.shape))
            clean = blur(scene)
            counts = np.random.default_rng(1).poisson(np.maximum(clean, 0) * photons / clean.max()).astype(float)
            target = _divergences(counts, blur, False, PLAIN)[-1]
            for kind, found in needed.items():
                reached = np.nonzero(np.array(_divergences(counts, blur, kind, LIMIT)) <= target)[0]
                found.append(int(reached[0]) + 1 if reached.size else LIMIT + 1)
    for kind, found in needed.items():
        goal = ("<= 20", max(found) <= 20) if kind == "conjugate" else ("", None)
        shown = ", ".join(str(n) if n <= LIMIT else f"> {LIMIT}" for n in found)
        yield Row(
            f"iterations to the I-divergence of {PLAIN} plain ones: {kind}",
            f"{shown} (median {np.median(found):.0f})",
            *goal,
        )


def _divergences(counts: np.ndarray, blur: sigdeconv.Convolution, accelerate: object, num_iter: int) -> list[float]:
    """I-divergence of the whole model, past the frame included, after each iteration."""
    from sigdeconv.deconvolution._likelihood import PoissonLikelihood, conjugate, extrapolated

    problem = PoissonLikelihood.of(blur, counts, np.zeros((1, 1)), None, 0.0)
    start = problem.flat()
    steps = (
        conjugate(problem, start)
        if accelerate == "conjugate"
        else extrapolated(problem, start, rule=str(accelerate or "none"))
    )
    return [
        sigdeconv.metrics.i_divergence(counts, np.maximum(blur(x), 1e-12))
        for x, _ in zip(steps, range(num_iter), strict=False)
    ]
