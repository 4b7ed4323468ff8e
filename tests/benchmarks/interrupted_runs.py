"""Runs over chunks that are killed at random moments, and end with the bytes of one that was not."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import sigdeconv

from .common import Row

KILLS = 20
PROGRAM = """
import sys
import numpy as np
import sigdeconv
volume, psf, out, cluster = sys.argv[1:5]
sigdeconv.map_chunks(
    sigdeconv.richardson_lucy, volume, np.load(psf), out=out, chunks=(16, 24, 24), cluster=cluster,
    workers=int(sys.argv[5]), memory=1e9, num_iter=int(sys.argv[6]), accelerate=False,
    callback=lambda progress: print(progress.done, flush=True),
)
"""


def write_input(folder: Path, shape: tuple[int, int, int] = (32, 72, 72), *, pyramid: bool = False) -> Path:
    """A volume and a PSF; as an OME-Zarr image of two levels if a pyramid is wanted."""
    rng = np.random.default_rng(0)
    np.save(folder / "psf.npy", sigdeconv.psf.gaussian((5, 7, 7), 1.2).astype(np.float32))
    volume = rng.poisson(50 + 500 * (rng.random(shape) > 0.99)).astype(np.uint16)
    if not pyramid:
        np.save(folder / "in.npy", volume)
        return folder / "in.npy"
    import zarr

    group = zarr.create_group(folder / "in.zarr")
    levels = []
    for i, step in enumerate((1, 2)):
        group.create_array(str(i), data=volume[:, ::step, ::step], chunks=(16, 16, 16))
        scale = [{"type": "scale", "scale": [1.0, float(step), float(step)]}]
        levels.append({"path": str(i), "coordinateTransformations": scale})
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}
    return folder / "in.zarr"


def digest(path: Path) -> str:
    """Of all bytes of a file, or of all files of a folder with their names."""
    found = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            found.update(str(file.relative_to(path)).encode() + b"\0" + file.read_bytes())
    return found.hexdigest()


def killed_and_resumed(
    source: Path, suffix: str, kills: int, seed: int, *, cluster: str = "threads", workers: int = 1, num_iter: int = 20
) -> dict[str, int]:
    """Kill a run `kills` times, each time when a random number of chunks is done and a bit, then let it end.

    Returns
    -------
    dict
        ``wrong`` (ends whose bytes differ), ``left`` (files left over), ``resumed`` (runs that found something done).
    """
    folder, rng = source.parent, random.Random(seed)
    found = {"wrong": 0, "left": 0, "resumed": 0, "kills": 0}

    def start(out: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM, source, folder / "psf.npy", out, cluster, workers, num_iter]
        return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)

    def ended(out: Path) -> list[str]:
        process = start(out)
        told = process.communicate()[0].split()
        if process.returncode:
            raise RuntimeError(f"the run ended with {process.returncode}")
        return told

    whole = folder / f"whole{suffix}"
    total = int(ended(whole)[-1])
    report = json.loads((folder / f"whole{suffix}.json").read_text())
    chunk = report["seconds"] / total
    right, out, since = digest(whole), folder / f"out{suffix}", 0
    while found["kills"] < kills:
        process = start(out)
        assert process.stdout is not None
        wanted, more = rng.randint(since, total), rng.uniform(0, 2 * chunk)
        for line in process.stdout:
            if int(line) >= wanted:
                break
        time.sleep(more)
        process.send_signal(signal.SIGKILL)
        found["kills"] += process.wait() == -signal.SIGKILL
        process.stdout.close()
        if out.exists():
            # Killed when all was there, or ended before: that must be whole, and the next one begins anew.
            if (folder / f"out{suffix}.part").exists():
                ended(out)
        else:
            told = ended(out)
            found["resumed"] += int(told[0]) > 0
        found["wrong"] += digest(out) != right
        found["left"] += len([p for p in folder.iterdir() if p.name.startswith(f"out{suffix}")]) - 2
        json.loads((folder / f"out{suffix}.json").read_text())
        (shutil.rmtree if out.is_dir() else Path.unlink)(out)
        (folder / f"out{suffix}.json").unlink()
    return found


def rows() -> Iterator[Row]:
    """The figures of this benchmark."""
    for suffix, options in ((".zarr", {}), (".npy", {"workers": 2}), (".tif", {}), (".zarr", {"cluster": "processes"})):
        with tempfile.TemporaryDirectory() as name:
            source = write_input(Path(name), pyramid=suffix == ".zarr")
            found = killed_and_resumed(source, suffix, KILLS, 0, **options)  # type: ignore[arg-type]
        yield Row(
            f"killed {found['kills']} times, {suffix}{', ' + options['cluster'] if 'cluster' in options else ''}",
            f"{found['wrong']} ends with other bytes, {found['left']} files left over, {found['resumed']} resumed",
            "0 and 0",
            found["wrong"] == found["left"] == 0,
        )


if __name__ == "__main__":
    for row in rows():
        print(row.what, row.measured, sep=": ", flush=True)
