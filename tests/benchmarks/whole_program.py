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
psf = tifffile.imread(psf)
if len(sys.argv) > 5:
    psf = sigdeconv.psf.crop(psf, float(sys.argv[5])).psf
restored = sigdeconv.richardson_lucy(tifffile.imread(image), psf, num_iter=int(sys.argv[4]))
tifffile.imwrite(out, restored)
print(own, peak())
"""
# A process counts what it was forked from to its own peak, so a small one starts the peer.
LAUNCH = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(child, 0)
print(used.ru_maxrss)
sys.exit(status)
"""
ENERGY = 0.999  # of the PSF, where it is cropped


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

        cropped: list[int] = []
        theirs: list[int] = []

        def run(command: list[str]) -> list[int]:
            done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
            return [int(word) for word in done.stdout.split()[-2:] if word.isdigit()]

        def ours() -> None:
            own, peak = run([sys.executable, "-c", PROGRAM, "image.tif", "psf.tif", "ours.tif", str(NUM_ITER)])
            memory.append((own, peak))

        def with_crop() -> None:
            files = ["image.tif", "psf.tif", "cropped.tif"]
            cropped.append(run([sys.executable, "-c", PROGRAM, *files, str(NUM_ITER), str(ENERGY)])[1])

        programs = {"ours": ours, "cropped": with_crop}
        binary = os.environ.get("DECONWOLF")
        if binary:
            arguments = ["--iter", str(NUM_ITER), "--threads", "2", "--xyfactor", "0", "--overwrite"]
            peer = [binary, *arguments, "--out", "peer.tif", "image.tif", "psf.tif"]
            programs["peer"] = lambda: theirs.append(run([sys.executable, "-c", LAUNCH, *peer])[-1])
        times = together(5, **programs)
        whole, small = (tifffile.imread(folder / name) for name in ("ours.tif", "cropped.tif"))
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
    error = float(np.sqrt(np.mean((small - whole) ** 2, dtype=np.float64) / np.mean(whole**2, dtype=np.float64)))
    crop = f"{what}, PSF cropped at {ENERGY:.1%} of its energy"
    yield Row(f"{crop}: error against uncropped", f"{error:.2%}", "<= 1 %", error <= 0.01)
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
    share = statistics.median(a / b for a, b in zip(times["cropped"], times["peer"], strict=True))
    yield Row(f"{crop}: ours / deconwolf", f"{share:.2f}", "<= 0.35", share <= 0.35)
    peak, peer_peak = statistics.median(cropped) / 1024, statistics.median(theirs) / 1024
    yield Row(
        f"{crop}: peak memory, ours / deconwolf",
        f"{peak:.0f} / {peer_peak:.0f} MiB",
        "<= 1",
        peak <= peer_peak,
    )
