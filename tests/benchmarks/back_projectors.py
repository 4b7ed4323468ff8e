"""What the unmatched back-projector is worth: quality against iterations, beside plain and conjugate Richardson-Lucy.

The claim (Guo et al. 2020): the quality of tens of plain iterations in one to three. Where it fails is shown as well.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import sigdeconv

from .common import Row

ITERATIONS = (1, 2, 3, 5, 10, 30)
PHOTONS = (100, 1000, None)  # at the peak; None: no noise
WAYS = {
    "plain": {"accelerate": False},
    "conjugate": {"accelerate": "conjugate"},
    "wiener-butterworth": {"accelerate": False, "back_projector": "wiener-butterworth"},
    "wiener-butterworth, line search": {"back_projector": "wiener-butterworth"},
}


def scenes() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Microscope scenes and PSFs: sparse volumes, and a dense plane through a Gaussian and an Airy pattern."""
    from skimage import data

    lens = sigdeconv.psf.gaussian((13, 13, 13), (2.5, 1.6, 1.6))
    cell = data.cell()[100:300, 100:300] / 255.0
    return {
        "spheres": (sigdeconv.simulate.hollow_spheres((24, 72, 72), num=10, radius=5.0, rng=0), lens),
        "bars": (sigdeconv.simulate.hollow_bars((32, 64, 64)), lens),
        "cell, Airy": (cell, sigdeconv.psf.airy((31, 31), wavelength=0.52, na=0.6, pixel_size=0.1)),
        "cell, Gaussian": (cell, sigdeconv.psf.gaussian((17, 17), 2.0)),
    }


def rows() -> Iterator[Row]:
    """PSNR in dB after so many iterations; and which plain or conjugate iteration equals the third unmatched one."""
    for name, (scene, psf) in scenes().items():
        exposure = sigdeconv.simulate.through_frame(scene + 0.02, psf)
        for photons in PHOTONS:
            unit = (photons or 10000) / exposure.blurred.max()
            clean = unit * exposure.blurred.clip(0)
            counts = np.random.default_rng(0).poisson(clean).astype(float) if photons else clean
            traces = {way: _trace(counts, psf, unit * exposure.truth, options) for way, options in WAYS.items()}
            title = f"PSNR, {name}, {photons or 'no noise, 10000'} photons"
            for way, trace in traces.items():
                shown = ", ".join(f"{trace[i - 1]:.1f}" for i in ITERATIONS)
                best = int(np.argmax(trace))
                yield Row(f"{title}: {way}, iterations {ITERATIONS}", f"{shown} (best {trace[best]:.1f} at {best + 1})")
            third = traces["wiener-butterworth"][2]
            equal = ", ".join(f"{way} {_first(traces[way], third)}" for way in ("plain", "conjugate"))
            yield Row(f"{title}: iterations worth three of wiener-butterworth", equal)


def _trace(counts: np.ndarray, psf: np.ndarray, truth: np.ndarray, options: dict[str, object]) -> list[float]:
    found: list[float] = []

    def watch(iteration: sigdeconv.Iteration) -> None:
        found.append(10 * np.log10(truth.max() ** 2 / np.mean((iteration.estimate - truth) ** 2)))

    sigdeconv.richardson_lucy(counts, psf, num_iter=max(ITERATIONS), callback=watch, **options)  # type: ignore[arg-type]
    return found


def _first(trace: list[float], aim: float) -> str:
    reached = np.nonzero(np.array(trace) >= aim)[0]
    return str(int(reached[0]) + 1) if reached.size else f"> {len(trace)}"
