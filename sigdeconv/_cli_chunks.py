"""Restoring commands on volumes that are larger than memory: piece by piece, on threads, processes or a cluster."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from . import io
from ._cli_axes import arranged, named
from ._cli_console import Failed, Interrupted, done, listed, note, refuse_same
from ._cli_job import Job, Samples
from ._cli_kernel import read_psf
from ._memory import in_words
from ._volumes import Volume, open_volume
from .chunked import ChunkProgress, ChunksFailedError, map_chunks

NOTICED = 2e-3  # of the largest value: seams beyond it are said; either side of one is nearer to the whole


class FiniteOnly:
    """A method that gives samples that are not finite no weight, in a piece."""

    def __init__(self, method: Callable[..., Samples]) -> None:
        self.__wrapped__ = method  # its parameters are those of the method
        self.__module__, self.__qualname__ = method.__module__, f"{method.__qualname__} of finite samples"

    def __call__(self, image: Samples, psf: Samples, **options: Any) -> Samples:
        finite = np.isfinite(image).astype(np.float32)
        return self.__wrapped__(image, psf, weights=finite, **options)


def restore_pieces(
    method: Callable[..., Samples],
    job: Job,
    *,
    weights: str | None = None,
    shown: bool | None = None,
    prepared_psf: Callable[[Samples], Samples] = lambda psf: psf,
    **options: Any,
) -> None:
    """Restore a volume by a function of the library, piece by piece, and say how it went."""
    started = time.perf_counter()
    volume = open_volume(job.image)
    for name in ("psf", "weights"):
        path = job.psf if name == "psf" else weights
        if path is not None:
            refuse_same(job.output, Path(path), f"--{name}")
    if job.dtype is not None and not job.dtype.startswith("float"):
        raise ValueError(
            f"--dtype is {job.dtype}; volumes that are restored piece by piece are written as float32 or float64"
        )
    picture = io.Picture(np.broadcast_to(np.zeros((), volume.dtype), volume.shape), volume.axes, volume.spacing)
    image = arranged(named(picture, job.channel_axis, job.quiet))
    psf = prepared_psf(read_psf(job, image))
    if weights == "finite":
        method = FiniteOnly(method)
    elif weights is not None:
        options["weights"] = open_volume(weights)
    channel = image.source.channel_axis
    axes = [a for a in range(volume.ndim) if a != channel]
    if [a for a in image.order if a != channel] != axes:
        raise ValueError(f"{job.image} has the axes {volume.axes.lower()}; pieces need z, y and x last, in this order")
    with watching(shown, job.quiet) as callback:
        try:
            _, report = map_chunks(
                method,
                volume,
                psf,
                out=job.output,
                chunks="auto" if job.chunks is None else _sides(job.chunks),
                overlap=_sides(job.overlap),
                channel_axis=channel,
                dtype=job.dtype,
                cluster=job.cluster or "threads",
                workers=job.workers,
                memory=job.memory,
                device=job.device,
                resume=job.resume,
                overwrite=job.overwrite,
                callback=callback,
                **options,
            )
        except ChunksFailedError as error:
            raise Failed(str(error)) from error
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted; the same command goes on from {job.output}.part") from None
    if report["seam"] is not None and report["seam"] > NOTICED:
        note(
            f"warning: where pieces meet, neighbours differ by up to {report['seam']:.2%} of the largest value; "
            "pass a larger --overlap" + ("" if options.get("accelerate") is not True else ", or --no-accelerate")
        )
    done(job.output, volume.shape, report["dtype"], job.quiet, started)


def _sides(value: Any) -> Any:
    """One number stands for all axes."""
    return value if not isinstance(value, tuple) else value[0] if len(value) == 1 else value


@contextmanager
def watching(shown: bool | None, quiet: bool) -> Iterator[Callable[[ChunkProgress], object]]:
    """A bar over the pieces with the time left; before it, what the run will take."""
    from tqdm import tqdm

    if shown is None:
        shown = not quiet and sys.stderr.isatty()
    with tqdm(unit="piece", file=sys.stderr, dynamic_ncols=True, disable=not shown) as bar:

        def step(progress: ChunkProgress) -> None:
            if bar.total is None:
                bar.reset(total=progress.total)
                bar.total = progress.total
                for line in introduction(progress):
                    note(line, quiet)
            bar.update(progress.done - bar.n)

        yield step


def introduction(progress: ChunkProgress) -> Iterator[str]:
    """What is known before the first piece."""
    report = progress.report
    chunks, workers = report["chunks"], report["workers"]
    if progress.chosen:
        yield listed(progress.chosen)
    if progress.done:
        yield f"{progress.done} of {progress.total} pieces are there from an interrupted run"
    size, halo = ("x".join(map(str, chunks[name])) for name in ("core", "overlap"))
    cut = f"{progress.total} pieces of {size} with {halo} around, {workers} at a time, "
    each = f"{in_words(report['estimate']['bytes a worker'])}" + (" each" if progress.total > 1 else "")
    yield f"{cut if progress.total > 1 else '1 piece, '}{each}; about {duration(progress.remaining)}"
    if chunks["wasteful"]:
        yield (
            f"warning: the pieces are small beside what they overlap: {chunks['work']:.1f} times the work of the "
            "volume in one piece; pass more --memory, fewer --workers, or crop the PSF (sigdeconv psf crop)"
        )
    if report["dashboard"]:
        yield f"the cluster's page: {report['dashboard']}"


def duration(seconds: float) -> str:
    """A time for people."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def described(volume: Volume) -> Iterator[str]:
    """What ``sigdeconv info`` says of a volume that is not read whole."""
    yield f"shape       {volume.shape}, axes {volume.axes}" + (" (Q: unknown)" if "Q" in volume.axes else "")
    yield f"dtype       {volume.dtype}"
    sizes = ", ".join(f"{letter.lower()} {size:g}" for letter, size in volume.spacing.items())
    yield f"voxel size  {sizes + ' um' if sizes else 'unknown'}"
    if volume.pieces is not None:
        yield f"stored in   pieces of {volume.pieces}"
    levels = volume.meta.get("levels")
    if levels:
        yield f"levels      {', '.join(str(tuple(level)) for level in levels)}"
