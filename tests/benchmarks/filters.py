"""Wiener's filter against scikit-image's, and the time to import the package."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
from collections.abc import Iterator

import numpy as np

import sigdeconv

from .common import Row, ratio, seconds, together


def rows() -> Iterator[Row]:
    """All comparisons."""
    yield from _wiener()
    yield _import()


def _wiener() -> Iterator[Row]:
    rng = np.random.default_rng(0)
    line = np.exp(-0.5 * (np.arange(-12, 13) / 4.0) ** 2)
    psf = np.outer(line, line) / line.sum() ** 2
    for dtype, goal in (("float32", 2.0), ("float64", None)):
        image, kernel = rng.random((2048, 2048)).astype(dtype), psf.astype(dtype)
        functions = {
            "ours": lambda image=image, kernel=kernel: sigdeconv.wiener(
                image, kernel, balance=0.1, boundary="periodic"
            ),
            "chosen": lambda image=image, kernel=kernel: sigdeconv.wiener(image, kernel, boundary="periodic"),
            "free": lambda image=image, kernel=kernel: sigdeconv.wiener(image, kernel, balance=0.1),
        }
        with contextlib.suppress(ImportError):
            from skimage import restoration

            functions["peer"] = lambda image=image, kernel=kernel: restoration.wiener(image, kernel, 0.1, clip=False)
        times = together(7, **functions)
        speed = ratio(times["peer"], times["ours"])
        yield Row(
            f"Wiener 2048 x 2048 {dtype}, periodic, balance given: scikit-image / ours",
            f"{speed:.1f} ({1e3 * statistics.median(times['ours']):.0f} ms)",
            f">= {goal}" if goal else "",
            speed >= goal if goal else None,
        )
        for name, label in (("chosen", "periodic, balance chosen"), ("free", "unknown boundary, balance given")):
            yield Row(f"Wiener 2048 x 2048 {dtype}, {label}", f"{1e3 * statistics.median(times[name]):.0f} ms")


def _import() -> Row:
    def start(code: str) -> float:
        return seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True))

    times = together(
        7,
        nothing=lambda: start("pass"),
        scipy=lambda: start("import scipy.fft"),
        ours=lambda: start("import sigdeconv"),
    )
    bare = statistics.median(times["nothing"])
    cost = (statistics.median(times["ours"]) - bare) / (statistics.median(times["scipy"]) - bare)
    return Row("import sigdeconv / import scipy.fft", f"{cost:.2f}", "<= 1.5", cost <= 1.5)
