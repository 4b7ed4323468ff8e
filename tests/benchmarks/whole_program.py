"""A large PSF around a small volume, as a whole program: time and peak memory, beside deconwolf where it is at hand.

Name its binary in the environment variable DECONWOLF to measure it in the same run.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

import sigdeconv

from .common import Row, together

IMAGE, PSF, NUM_ITER = (40, 201, 101), (79, 179, 179), 20
PROGRAM = """
import sys
import tifffile
import sigdeconv
def peak():  # kB; unlike the resource usage it does not count what the process was forked from
    return next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
own = peak()
image, psf, out = sys.argv[1:4]
restored = sigdeconv.richardson_lucy(tifffile.imread(image), tifffile.imread(psf), num_iter=int(sys.argv[4]))
tifffile.imwrite(out, restored)
print(own, peak())
"""


def write_job(folder: Path) -> None:
    """Blobs under a PSF that widens away from the focus, with photon noise."""
    rng = np.random.default_rng(0)
    z, y, x = (np.arange(k) - k // 2 for k in PSF)
    width = 2.0 + 0.25 * np.abs(z)
    radius = y[:, None] ** 2 + x[None, :] ** 2
    psf = np.exp(-0.5 * radius / width[:, None, None] ** 2) / width[:, None, None] ** 2
    psf = (psf * np.exp(-0.5 * (z / 15.0) ** 2)[:, None, None]).astype(np.float32)
    psf /= psf.sum()
    scene = np.ones(IMAGE, np.float32)
    scene[tuple(rng.integers(0, n, 60) for n in IMAGE)] = rng.gamma(2.0, 3e3, 60)
    clean = sigdeconv.Convolution(psf, IMAGE, boundary="zero")(scene)
    tifffile.imwrite(folder / "image.tif", rng.poisson(np.maximum(clean, 0)).astype(np.float32))
    tifffile.imwrite(folder / "psf.tif", psf)


def rows() -> Iterator[Row]:
    """Our program, and deconwolf's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_job(folder)
        memory: list[tuple[int, int]] = []

        def ours() -> None:
            files = [str(folder / file) for file in ("image.tif", "psf.tif", "ours.tif")]
            command = [sys.executable, "-c", PROGRAM, *files, str(NUM_ITER)]
            own, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            memory.append((int(own), int(peak)))

        programs = {"ours": ours}
        binary = os.environ.get("DECONWOLF")
        if binary:
            arguments = ["--iter", str(NUM_ITER), "--threads", "2", "--xyfactor", "0", "--overwrite"]
            peer = [binary, *arguments, "--out", "peer.tif", "image.tif", "psf.tif"]
            programs["peer"] = lambda: subprocess.run(peer, cwd=folder, check=True, capture_output=True)
        times = together(5, **programs)
    grid = sigdeconv.Convolution(np.ones(PSF, np.float32), IMAGE).grid
    array = 4 * np.prod(grid) / 1024
    arrays = statistics.median((peak - own) / array for own, peak in memory)
    what = f"RL {IMAGE}, PSF {PSF}, {NUM_ITER} accelerated iterations, whole program"
    yield Row(
        f"{what}: peak memory above the interpreter's, in arrays of the grid {grid}",
        f"{arrays:.2f}",
        "<= 6.5",
        arrays <= 6.5,
    )
    own = statistics.median(times["ours"])
    if not binary:
        yield Row(f"{what}: time", f"{own:.1f} s", "<= half of deconwolf's (set DECONWOLF)", None)
        return
    share = statistics.median(a / b for a, b in zip(times["ours"], times["peer"], strict=True))
    yield Row(
        f"{what}: ours / deconwolf",
        f"{share:.2f} ({own:.1f} s / {statistics.median(times['peer']):.1f} s)",
        "<= 0.5",
        share <= 0.5,
    )
