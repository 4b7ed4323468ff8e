"""Cost of a Richardson-Lucy iteration against the four real FFTs that it cannot avoid, and against other libraries."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterator

import numpy as np
import scipy.fft

import sigdeconv
from sigdeconv._parallel import workers

from .common import Row, per_iteration, ratio, together

JOBS = {"2048 x 2048": ((2048, 2048), (25, 25)), "64 x 256 x 256": ((64, 256, 256), (17, 25, 25))}
FEW, MANY = 2, 10
ROUNDS = 7


def job(shape: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Counts and a PSF in float32."""
    rng = np.random.default_rng(0)
    psf = np.ones(1)
    for k in kernel:
        line = np.exp(-0.5 * ((np.arange(k) - k // 2) / (k / 6)) ** 2)
        psf = np.multiply.outer(psf, line)
    psf = (psf[0] / psf.sum()).astype(np.float32)
    return rng.poisson(100, shape).astype(np.float32), psf


def four_transforms(grid: tuple[int, ...]) -> Callable[[], object]:
    """Two pairs of real FFTs on a grid, as fast as `scipy.fft` gives them: warm memory, all cores."""
    x = np.random.default_rng(0).random(grid, dtype=np.float32)

    def run() -> None:
        for _ in range(2):
            spectrum = scipy.fft.rfftn(x, workers=workers())
            scipy.fft.irfftn(spectrum, s=grid, workers=workers(), overwrite_x=True)

    return run


@contextlib.contextmanager
def fftw() -> Iterator[bool]:
    """FFTW as SciPy's backend, where pyfftw is installed."""
    try:
        import pyfftw
    except ImportError:
        yield False
        return
    pyfftw.interfaces.cache.enable()
    pyfftw.interfaces.cache.set_keepalive_time(60)
    effort, pyfftw.config.PLANNER_EFFORT = pyfftw.config.PLANNER_EFFORT, "FFTW_MEASURE"
    scipy.fft.set_global_backend(pyfftw.interfaces.scipy_fft)
    try:
        yield True
    finally:
        scipy.fft.set_global_backend("scipy")
        pyfftw.config.PLANNER_EFFORT = effort


def peers(image: np.ndarray, psf: np.ndarray, num_iter: int) -> dict[str, Callable[[], object]]:
    """The same job as other libraries do it, as far as they are installed."""
    found: dict[str, Callable[[], object]] = {}
    with contextlib.suppress(ImportError):
        from skimage import restoration

        found["scikit-image"] = lambda: restoration.richardson_lucy(image, psf, num_iter=num_iter, clip=False)
    with contextlib.suppress(ImportError):
        import diplib

        found["DIPlib"] = lambda: diplib.RichardsonLucy(
            diplib.Image(image), diplib.Image(psf), regularization=0, nIterations=num_iter, options=set()
        )
    with contextlib.suppress(ImportError):
        import SimpleITK

        data, kernel = SimpleITK.GetImageFromArray(image), SimpleITK.GetImageFromArray(psf)
        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(workers())
        found["SimpleITK"] = lambda: SimpleITK.RichardsonLucyDeconvolution(data, kernel, numberOfIterations=num_iter)
    return found


def rows() -> Iterator[Row]:
    """All comparisons."""
    for name, (shape, kernel) in JOBS.items():
        image, psf = job(shape, kernel)
        for boundary in ("periodic", "free"):
            blur = sigdeconv.Convolution(psf, shape, boundary=boundary)
            yield from _against_transforms(name, image, blur)
        yield from _against_peers(name, image, psf)


def _runs(image: np.ndarray, blur: sigdeconv.Convolution, accelerate: object) -> dict[str, Callable[[], object]]:
    return {
        f"{accelerate} {n}": lambda n=n: sigdeconv.richardson_lucy(image, blur, num_iter=n, accelerate=accelerate)
        for n in (FEW, MANY)
    }


def milliseconds(times: list[float]) -> str:
    """The median, to be read."""
    return f"{1e3 * statistics.median(times):.0f} ms"


def _against_transforms(name: str, image: np.ndarray, blur: sigdeconv.Convolution) -> Iterator[Row]:
    kinds = (False, "biggs-andrews", "conjugate")
    runs = {key: run for kind in kinds for key, run in _runs(image, blur, kind).items()}
    times = together(ROUNDS, transforms=four_transforms(blur.grid), **runs)
    best = None
    for kind in kinds:
        one = per_iteration(times[f"{kind} {MANY}"], times[f"{kind} {FEW}"], MANY - FEW)
        cost = ratio(one, times["transforms"])
        best = cost if best is None else min(best, cost)
        label = "plain" if kind is False else kind
        yield Row(
            f"RL {name} {blur.boundary}: {label} iteration / four FFTs on its grid {blur.grid}",
            f"{cost:.2f} ({milliseconds(one)} / {milliseconds(times['transforms'])})",
        )
    yield Row(f"RL {name} {blur.boundary}: best of these", f"{best:.2f}", "<= 1.3", best <= 1.3)


def _against_peers(name: str, image: np.ndarray, psf: np.ndarray) -> Iterator[Row]:
    blur = sigdeconv.Convolution(psf, image.shape)
    others = {key: run for n in (1, 3) for key, run in ((f"{k} {n}", r) for k, r in peers(image, psf, n).items())}
    ours = {**_runs(image, blur, False), **_runs(image, blur, "conjugate")}
    times = together(3, **ours, **others)
    plain = per_iteration(times[f"False {MANY}"], times[f"False {FEW}"], MANY - FEW)
    fast = per_iteration(times[f"conjugate {MANY}"], times[f"conjugate {FEW}"], MANY - FEW)
    peer = {}
    for key in {k.rsplit(" ", 1)[0] for k in others}:
        peer[key] = per_iteration(times[f"{key} 3"], times[f"{key} 1"], 2)
        goal = (">= 2.5", ratio(peer[key], plain) >= 2.5) if key == "scikit-image" else ("", None)
        yield Row(
            f"RL {name}: {key} / plain iteration with unknown boundary",
            f"{ratio(peer[key], plain):.1f} (conjugate: {ratio(peer[key], fast):.1f})",
            *goal,
        )
    with fftw() as available:
        if not available:
            yield Row(f"RL {name}: with the fftw extra", "pyfftw is not installed", ">= 4", None)
            return
        times = together(5, **_runs(image, blur, False))
        plain = per_iteration(times[f"False {MANY}"], times[f"False {FEW}"], MANY - FEW)
    speed = statistics.median(peer["scikit-image"]) / statistics.median(plain)
    yield Row(
        f"RL {name}: scikit-image / plain iteration with the fftw extra",
        f"{speed:.1f} ({milliseconds(plain)})",
        ">= 4",
        speed >= 4,
    )
