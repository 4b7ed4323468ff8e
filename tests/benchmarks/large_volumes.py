"""Volumes on disk, restored piece by piece: time a voxel and peak memory against size, beside the same in memory.

By default up to half a GiB. `LARGE=8` goes up to 8 GiB, which takes twice as much on the disk (`TMPDIR`) and half an
hour.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import sigdeconv

from .common import Row

SHAPES = {0.25: (128, 512, 1024), 0.5: (128, 1024, 1024), 1: (256, 1024, 1024), 2: (512, 1024, 1024)}
SHAPES |= {4: (512, 1024, 2048), 8: (512, 2048, 2048)}  #: GiB of float32
IN_MEMORY = 0.25  # GiB: the size that is restored in one piece as well
TILE = (64, 128, 128)  # a scene that repeats, so that a volume of any size is made in little memory
MEMORY = 1.15 * 2**30  # bytes a worker
WORKERS = 2
PROGRAM = """
import json, sys, time
import numpy as np
import sigdeconv
def main():
    volume, out, memory, cluster, workers, overlap = sys.argv[1:7]
    psf = sigdeconv.psf.gaussian((31, 31, 31), 4.0)
    options = {"num_iter": 10, "accelerate": False}
    started = time.perf_counter()
    if out == "memory":
        restored = sigdeconv.richardson_lucy(np.load(volume), psf, **options)
        report = {}
    else:
        _, report = sigdeconv.map_chunks(
            sigdeconv.richardson_lucy, volume, psf, out=out, memory=float(memory), cluster=cluster,
            workers=int(workers), overlap=int(overlap), overwrite=True, **options
        )
    seconds = time.perf_counter() - started
    peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "peak": 1024 * peak, "report": report}))
if __name__ == "__main__":
    main()
"""


def write_volume(path: Path, shape: tuple[int, ...]) -> None:
    """Spheres under the blur of the benchmark, with photon noise, tile by tile."""
    psf = sigdeconv.psf.gaussian((31, 31, 31), 4.0)
    scene = 20 + 400 * sigdeconv.simulate.hollow_spheres(TILE, num=20, radius=9, rng=0)
    clean = np.maximum(sigdeconv.simulate.blur(scene, psf, boundary="periodic"), 0)
    rng = np.random.default_rng(0)
    volume = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    for z in range(0, shape[0], TILE[0]):
        for y in range(0, shape[1], TILE[1]):
            for x in range(0, shape[2], TILE[2]):
                volume[z : z + TILE[0], y : y + TILE[1], x : x + TILE[2]] = rng.poisson(clean)
    volume.flush()


def measured(volume: Path, out: str, *, cluster: str = "threads", workers: int = WORKERS, overlap: int = 23) -> dict:
    """Seconds, peak memory and report of a run in a process of its own."""
    threads = {"OMP_NUM_THREADS": "1"} if out != "memory" else {}
    words = [sys.executable, "-c", PROGRAM, str(volume), out, str(MEMORY), cluster, str(workers), str(overlap)]
    done = subprocess.run(words, env=os.environ | threads, capture_output=True, text=True, check=True)
    found: dict = json.loads(done.stdout)
    return found


def rows() -> Iterator[Row]:
    """From the smallest volume to the largest that is asked for."""
    largest = float(os.environ.get("LARGE", "0.5"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = whole = None
        for size, shape in SHAPES.items():
            if size > largest:
                break
            volume = folder / "volume.npy"
            write_volume(volume, shape)
            voxels = float(np.prod(shape))
            if size == IN_MEMORY:
                whole = measured(volume, "memory")["seconds"] / voxels
                alone = measured(volume, str(folder / "out.npy"), workers=1)["seconds"] / voxels
            run = measured(volume, str(folder / "out.npy"))
            each = run["seconds"] / voxels
            first = first or each
            chunks = run["report"]["chunks"]
            text = f"{run['seconds']:.0f} s, {1e9 * each:.0f} ns a voxel; {chunks['number']} pieces of {chunks['core']}"
            yield Row(f"{size} GiB, 10 plain iterations, {WORKERS} single threads", text)
            peak, change, halo, seam = run["peak"] / 2**30, each / first, each / whole, run["report"]["seam"]
            yield Row(f"{size} GiB: peak memory", f"{peak:.2f} GiB", "<= 3 GiB", peak <= 3)
            yield Row(
                f"{size} GiB: time a voxel over the smallest", f"{change:.2f}", "0.85 to 1.15", 0.85 <= change <= 1.15
            )
            yield Row(f"{size} GiB: time a voxel over in memory", f"{halo:.2f}", "<= 1.6", halo <= 1.6)
            if seam is not None:
                yield Row(
                    f"{size} GiB: neighbours differ, of the largest value", f"{seam:.1e}", "<= 1e-3", seam <= 1e-3
                )
            if size == IN_MEMORY:
                faster = alone / each
                yield Row("two single threads over one", f"{faster:.2f} x as fast", ">= 1.6", faster >= 1.6)
