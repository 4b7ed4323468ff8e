"""Volumes on disk, restored piece by piece: time a voxel and peak memory against size, beside the same in memory.

By default a quarter and half a GiB. `SIZES=0.25,2,8` goes up to 8 GiB, which takes twice as much on the disk (`TMPDIR`)
and half an hour.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import sigdeconv

from .common import Row

SHAPES = {0.25: (128, 512, 1024), 0.5: (128, 1024, 1024), 1: (256, 1024, 1024), 2: (512, 1024, 1024)}
SHAPES |= {4: (512, 1024, 2048), 8: (512, 2048, 2048)}  #: GiB of float32
SMALLEST = 0.25  # GiB: the size that is restored in one piece as well
TILE = (64, 128, 128)  # a scene that repeats, so that a volume of any size is made in little memory
MEMORY = 1.4 * 2**30  # bytes a worker
WORKERS = 2
NEAR = 16  # voxels from a cut
PROGRAM = """
import json, sys, time
import numpy as np
import sigdeconv
def main():
    volume, out, memory, cluster, workers, chunks = sys.argv[1:7]
    psf = sigdeconv.psf.gaussian((31, 31, 31), 4.0)
    options = {"num_iter": 10, "accelerate": False}
    started = time.perf_counter()
    if out.endswith("whole.npy"):
        restored = sigdeconv.richardson_lucy(np.load(volume), psf, **options)
        np.save(out, restored)
        report = {}
    else:
        _, report = sigdeconv.map_chunks(
            sigdeconv.richardson_lucy, volume, psf, out=out, memory=float(memory), cluster=cluster,
            workers=int(workers), chunks=json.loads(chunks), overwrite=True, **options
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


def measured(
    volume: Path, out: Path, *, cluster: str = "threads", workers: int = WORKERS, chunks: str | list[int] = "auto"
) -> dict:
    """Seconds, peak memory and report of a run in a process of its own."""
    threads = {"OMP_NUM_THREADS": "1"} if out.stem != "whole" else {}
    words = [sys.executable, "-c", PROGRAM, str(volume), str(out), str(MEMORY), cluster, str(workers)]
    words.append(json.dumps(chunks))
    done = subprocess.run(words, env=os.environ | threads, capture_output=True, text=True, check=True)
    found: dict = json.loads(done.stdout)
    return found


def differences(whole: Path, pieces: Path, core: list[int]) -> tuple[float, float, float]:
    """The largest difference, relative to the peak; and the rms near the planes where pieces meet, and elsewhere."""
    a, b = np.load(whole, mmap_mode="r"), np.load(pieces, mmap_mode="r")
    near = np.zeros((1, 1, 1), bool)
    for axis, (n, c) in enumerate(zip(a.shape, core, strict=True)):
        away = np.full(n, n)
        for cut in range(c, n, c):
            away = np.minimum(away, np.abs(np.arange(n) - cut + 0.5))
        near = near | np.reshape(away < NEAR, [-1 if k == axis else 1 for k in range(3)])
    near = np.broadcast_to(near, a.shape)
    peak, largest, sums, counts = float(a.max()), 0.0, np.zeros(2), np.zeros(2)
    for z in range(len(a)):
        gap = np.asarray(b[z], np.float64) - a[z]
        largest = max(largest, float(np.abs(gap).max()))
        for k, where in enumerate((near[z], ~near[z])):
            sums[k] += np.sum(gap[where] ** 2)
            counts[k] += np.count_nonzero(where)
    rms = np.sqrt(sums / np.maximum(counts, 1))
    return largest / peak, float(rms[0]) / peak, float(rms[1]) / peak


class Smallest:
    """The smallest size, in pieces and in memory, measured again before and after each larger one.

    A large volume takes minutes, in which what else the machine does changes.
    """

    def __init__(self, folder: Path) -> None:
        self.volume, self.out, self.whole = (folder / f"{name}.npy" for name in ("small", "small_out", "whole"))
        write_volume(self.volume, SHAPES[SMALLEST])
        self.voxels = float(np.prod(SHAPES[SMALLEST]))
        self.last: tuple[float, float] | None = None
        self.report: dict = {}

    def seconds(self) -> tuple[float, float]:
        """For each voxel, in pieces and in memory: medians of three runs in turn."""
        found = [(measured(self.volume, self.out), measured(self.volume, self.whole)) for _ in range(3)]
        self.report = found[0][0]["report"]
        pieces, whole = (float(np.median([run[k]["seconds"] for run in found])) / self.voxels for k in (0, 1))
        return pieces, whole

    def around(self, run: Callable[[], dict]) -> tuple[dict, float, float]:
        """What a run finds, and the means of what the smallest takes before and after it."""
        before = self.last or self.seconds()
        found = run()
        self.last = self.seconds()
        pieces, whole = np.mean([before, self.last], axis=0)
        return found, float(pieces), float(whole)


def seams(small: Smallest) -> Iterator[Row]:
    """How much pieces differ from the whole, and where."""
    largest, near, far = differences(small.whole, small.out, small.report["chunks"]["core"])
    yield Row("pieces differ from the whole, of the peak", f"{largest:.1e}", "<= 1e-3", largest <= 1e-3)
    told = f"{near / max(far, 1e-30):.1f} ({near:.1e} / {far:.1e} rms)"
    yield Row("difference near the cuts over elsewhere", told, "<= 3", near <= 3 * far)


def two_workers(small: Smallest) -> Iterator[Row]:
    """Two workers over one, each with a single thread, on the same pieces: the median of three runs in turn."""
    core = small.report["chunks"]["core"]
    for cluster in ("threads", "processes"):
        ratios = []
        for _ in range(3):
            one, two = (
                measured(small.volume, small.out, cluster=cluster, workers=n, chunks=core)["report"]["seconds"]
                for n in (1, 2)
            )
            ratios.append(one / two)
        told = f"{np.median(ratios):.2f} x as fast ({', '.join(f'{r:.2f}' for r in ratios)})"
        yield Row(f"two single-threaded {cluster} over one, the same pieces", told, ">= 1.6", np.median(ratios) >= 1.6)


def rows() -> Iterator[Row]:
    """The sizes that are asked for, from the smallest."""
    sizes = [float(size) for size in os.environ.get("SIZES", "0.25,0.5").split(",")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        volume, out = folder / "volume.npy", folder / "out.npy"
        small = Smallest(folder)
        small.last = small.seconds()
        yield from seams(small)
        yield from two_workers(small)
        for size in sorted({SMALLEST, *sizes}):
            write_volume(volume, SHAPES[size])
            run, first, whole = small.around(lambda: measured(volume, out))
            each, chunks = run["seconds"] / float(np.prod(SHAPES[size])), run["report"]["chunks"]
            text = f"{run['seconds']:.0f} s, {1e9 * each:.0f} ns a voxel; {chunks['number']} pieces of {chunks['core']}"
            yield Row(f"{size} GiB, 10 plain iterations, {WORKERS} single threads", text)
            peak, change, halo, seam = run["peak"] / 2**30, each / first, each / whole, run["report"]["seam"]
            yield Row(f"{size} GiB: peak memory", f"{peak:.2f} GiB", "<= 3 GiB", peak <= 3)
            even = 0.85 <= change <= 1.15
            yield Row(f"{size} GiB: time a voxel over the smallest", f"{change:.2f}", "0.85 to 1.15", even)
            yield Row(f"{size} GiB: time a voxel over in memory", f"{halo:.2f}", "<= 1.6", halo <= 1.6)
            if seam is not None:
                yield Row(f"{size} GiB: neighbours differ, of the largest value", f"{seam:.1e}")
