"""The command ``super-resolve``: several shifted frames of one scene give one finer image."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

import sigdeconv

from . import io
from ._cli_axes import Opened, arranged, finer, named
from ._cli_console import FILE, OUTPUT, note, progress, read_noting, watched
from ._cli_job import (
    CHANNEL_AXIS,
    KEEP_PSF_SUM,
    PSF,
    PSF_PLANE,
    WRITING,
    Job,
    Samples,
    given,
    refuse_inputs,
    save,
    trusted,
)
from ._cli_kernel import read_psf
from ._cli_options import SHOWN, TV_WEIGHT, WEIGHTS, boundary, num_iter, together, tol
from ._cli_photons import BACKGROUND, CLIP_NEGATIVE, NOISE_OF_COUNTS, PEDESTAL, as_counts, as_light
from ._cli_values import Numbers


def _first(context: click.Context, _: click.Parameter, frames: tuple[Path, ...]) -> tuple[Path, ...]:
    """A job is told one image: the first of them."""
    context.params["image"] = frames[0]
    return frames


FRAMES = click.argument("frames", type=FILE, nargs=-1, required=True, metavar="FRAME...", callback=_first)


@click.command("super-resolve")
@given((FRAMES, PSF, OUTPUT), (PSF_PLANE, KEEP_PSF_SUM, CHANNEL_AXIS, *WRITING))
@click.option(
    "--factor",
    type=Numbers(int, "2,2"),
    default="2",
    show_default=True,
    help="Fine samples a pixel: one number, or one an axis.",
)
@click.option(
    "--shift",
    "shifts",
    type=Numbers(float, "0.5,-0.25"),
    multiple=True,
    help="Where a frame lies relative to the first, in pixels along y, x; once for each frame. By default measured.",
)
@click.option(
    "--pixels",
    type=click.Choice(("area", "points")),
    default="area",
    show_default=True,
    help="points: the PSF has the area of a pixel in it already.",
)
@num_iter(10, "Iterations.")
@boundary()
@together(BACKGROUND, TV_WEIGHT, NOISE_OF_COUNTS, WEIGHTS, PEDESTAL, CLIP_NEGATIVE, tol(0.0), SHOWN)
def super_resolve(
    job: Job,
    frames: tuple[Path, ...],
    factor: tuple[int, ...],
    shifts: tuple[tuple[float, ...], ...],
    num_iter: int,
    tol: float,
    background: float,
    weights: str | None,
    pedestal: float,
    clip_negative: bool,
    shown: bool | None,
    **options: Any,
) -> None:
    """One finer image from several shifted frames. The shifts, by parts of a pixel, are measured and said.

    Frames are files of one shape, or the first axis of a single file. The PSF is sampled on the fine grid.

    \b
    Examples:
      sigdeconv super-resolve a.tif b.tif c.tif d.tif --psf gaussian:2 -o fine.tif
      sigdeconv super-resolve a.tif b.tif --shift 0,0 --shift 0.5,0.25 --psf psf.tif -o fine.tif --factor 3
    """
    started = time.perf_counter()
    refuse_inputs(job, weights)
    names, images = _frames(frames, job)
    # Its voxels are compared with fine ones.
    psf = as_light(read_psf(job, finer(images[0], factor, images[0].ndim)), clip_negative)
    if len(factor) not in (1, psf.ndim):
        raise ValueError(f"--factor has {len(factor)} numbers but the PSF {psf.ndim} axes; pass one, or one an axis")
    fine = finer(images[0], factor, psf.ndim)
    io.check_output(job.output, fine.source.data, like=fine.source, dtype=job.dtype, overwrite=job.overwrite)

    def stacked(arrays: list[Samples]) -> Samples:
        return np.stack(arrays, axis=arrays[0].ndim - psf.ndim)

    frame_trust = [(trusted(weights, image, job.quiet), image) for image in images]
    trust = None if weights is None else stacked([_in_full(w, image) for w, image in frame_trust if w is not None])
    data = stacked([image.picture.data for image in images])
    counts = as_counts(data, job, pedestal, clip_negative, anything=trust is not None or options["readout_noise"] > 0)
    bar = watched(num_iter, tol, shown, job.quiet) if tol > 0 else progress(num_iter, shown, job.quiet)
    with bar as callback:
        found = sigdeconv.super_resolve(
            counts,
            psf,
            factor=factor[0] if len(factor) == 1 else factor,
            shifts=_shifts(shifts, psf.ndim),
            num_iter=num_iter,
            tol=tol,
            background=background + pedestal,
            weights=trust,
            callback=callback,
            channel_axis=images[0].channel_axis,
            **options,
        )
    if not shifts:
        for name, shift in zip(names, found.shifts, strict=True):
            note(f"{name}: measured --shift {','.join(f'{x + 0.0:.3f}' for x in shift)}", job.quiet)
    save(job, fine, found.image, started)


def _frames(paths: tuple[Path, ...], job: Job) -> tuple[list[str], list[Opened]]:
    """The frames, one from each file or all from the only one, and what to call them."""
    first = named(read_noting(paths[0], job.quiet), job.channel_axis, job.quiet)
    if len(paths) > 1:
        pictures = [first, *(named(read_noting(path, True), job.channel_axis, True) for path in paths[1:])]
        for path, picture in zip(paths, pictures, strict=True):
            if picture.data.shape != first.data.shape:
                raise ValueError(
                    f"{path} has shape {picture.data.shape} but {paths[0]} {first.data.shape}; frames of one shape are "
                    "wanted"
                )
        return [str(path) for path in paths], [arranged(picture) for picture in pictures]
    axes = first.axes
    axis = axes.index("T") if "T" in axes else next(i for i in range(len(axes)) if i != first.channel_axis)
    if axes[axis] in "YX":
        raise ValueError(f"{paths[0]} holds one frame, of axes {axes}; pass several files, or one with a stack of them")
    rest = axes[:axis] + axes[axis + 1 :]
    pictures = [
        replace(first, data=frame, axes=rest, header=None, alpha=None) for frame in np.moveaxis(first.data, axis, 0)
    ]
    return [f"{paths[0]}[{i}]" for i in range(len(pictures))], [arranged(picture) for picture in pictures]


def _in_full(trust: Samples, image: Opened) -> Samples:
    """Weights of one frame, a number for each sample."""
    try:
        return np.broadcast_to(trust, image.picture.data.shape)
    except ValueError:
        raise ValueError(
            f"--weights has shape {trust.shape} but a frame {image.source.data.shape}; one shape is wanted"
        ) from None


def _shifts(shifts: tuple[tuple[float, ...], ...], ndim: int) -> Samples | None:
    for shift in shifts:
        if len(shift) != ndim:
            raise ValueError(f"--shift is {','.join(map(str, shift))}; {ndim} numbers are wanted, one an axis")
    return np.array(shifts) if shifts else None
