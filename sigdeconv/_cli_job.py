"""What every restoring command does between its files: axes and PSF are put in order, the result is put back."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from . import io
from ._array import checked_axis
from ._cli_console import FILE, OUTPUT, OVERWRITE, QUIET, AxisOrNone, done, note, read_noting, refuse_same
from ._cli_psf import gaussian_psf

SUM_OFF = 1e-3  # a PSF whose sum is nearer to 1 is called normalised
SPACING_OFF = 0.05  # voxel sizes that differ by less are called the same: calibrations do
COLOURS = (3, 4)  # samples on a last axis that look like them
SPECIFIED = re.compile(r"(gaussian|disk|motion):([-+.,\deE]+)")

Samples = NDArray[Any]
Work = Callable[[Samples, Samples, int | None, Samples | None], Samples]


class Job(NamedTuple):
    """What every restoring command is told."""

    image: Path
    psf: str
    output: Path
    psf_plane: int | None
    keep_psf_sum: bool
    channel_axis: int | str | None
    dtype: str | None
    overwrite: bool
    quiet: bool


def restoring(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the arguments of a `Job`, and the job."""

    def run(**options: Any) -> None:
        job = Job(**{name: options.pop(name) for name in Job._fields})
        command(job, **options)

    run.__doc__, run.__name__ = command.__doc__, command.__name__
    # click collects them from the last to the first
    for decorate in reversed(_LAST):
        run = decorate(run)
    run.__click_params__ += command.__click_params__  # type: ignore[attr-defined]
    for decorate in reversed(_FIRST):
        run = decorate(run)
    return run


_FIRST = (
    click.argument("image", type=FILE),
    click.option(
        "--psf",
        required=True,
        metavar="FILE|SPEC",
        help="The point spread function: a file, or gaussian:SIGMA (pixels; one number or one an axis: "
        "gaussian:3,1.5,1.5), disk:RADIUS, motion:LENGTH,ANGLE.",
    ),
    OUTPUT,
)
_LAST = (
    click.option("--psf-plane", type=int, help="Take this plane of the PSF file (its first axis, from 0)."),
    click.option(
        "--keep-psf-sum", is_flag=True, help="Do not scale the PSF to sum 1; intensities then scale by 1/sum."
    ),
    click.option(
        "--channel-axis",
        type=AxisOrNone(),
        help="Axis of colours or channels, restored one by one; by default what the file says. none: there is none.",
    ),
    click.option(
        "--dtype",
        type=click.Choice(io.DTYPES),
        help="Of the output; integers are rounded, and clipped with a warning.",
    ),
    OVERWRITE,
    QUIET,
)


def restore(job: Job, work: Work, weights: str | None = None) -> None:
    """Read, bring the axes into the order that the library wants, restore, bring them back, write."""
    started = time.perf_counter()
    for path, name in ((job.psf, "--psf"), (weights, "--weights")):
        if path is not None:
            refuse_same(job.output, Path(path), name)
    source = _with_channels_named(read_noting(job.image, job.quiet), job)
    picture, order = _arrange(source)
    channels = source.channel_axis is not None
    psf = _psf(job, picture.data.ndim - channels, picture)
    io.check_output(job.output, source.data, like=source, dtype=job.dtype, overwrite=job.overwrite)
    trust = None
    if weights == "finite":
        trust = np.isfinite(picture.data).astype(np.float32)
        note(f"{trust.size - np.count_nonzero(trust)} samples are not finite and get weight 0", job.quiet)
    elif weights is not None:
        trust = io.read(weights).data
        trust = trust.transpose(order) if trust.shape == source.data.shape else trust
    result = work(picture.data, psf, 0 if channels else None, trust)
    result = np.transpose(result, np.argsort(order))
    written = io.write(job.output, result, like=source, dtype=job.dtype, overwrite=job.overwrite, clip=True)
    if written.clipped:
        note(
            f"warning: {written.clipped} of {result.size} samples ({result.min():g} to {result.max():g}) "
            f"were clipped to the range of {written.dtype}; write a .tif file as float32 to keep them"
        )
    done(job.output, result.shape, written.dtype, job.quiet, started)


def _with_channels_named(picture: io.Picture, job: Job) -> io.Picture:
    """The image with axes that name its channels as the user does."""
    axes, shape, asked = picture.axes, picture.data.shape, job.channel_axis
    if asked is None:
        if picture.channel_axis is not None:
            axis = picture.channel_axis
            note(f"{shape[axis]} channels (axis {axis}) are restored one by one", job.quiet)
        elif axes.startswith("Q") and shape[-1] in COLOURS:
            note(f"warning: the last axis has {shape[-1]} samples; for colours pass --channel-axis -1")
        return picture
    axes = axes.replace("S", "Q").replace("C", "Q")
    if asked != "none":
        axis = checked_axis(int(asked), len(axes), "--channel-axis", "the image")
        rest = axes[:axis] + axes[axis + 1 :]
        # What was guessed of the other axes was guessed with the channels among them.
        rest = io.default_axes(len(rest)) if "Q" in axes else rest
        letter = "S" if axis == len(axes) - 1 and shape[axis] in COLOURS else "C"
        axes = rest[:axis] + letter + rest[axis:]
    return replace(picture, axes=axes)


def _arrange(picture: io.Picture) -> tuple[io.Picture, tuple[int, ...]]:
    """The image with its axes as channels, batch, z, y, x, and the order in which they were taken."""
    axes, channel = picture.axes, picture.channel_axis
    frame = sorted((i for i, letter in enumerate(axes) if letter in "ZYX"), key=lambda i: "ZYX".index(axes[i]))
    batch = [i for i in range(len(axes)) if i not in frame and i != channel]
    order = (*([] if channel is None else [channel]), *batch, *frame)
    return replace(picture, data=picture.data.transpose(order), axes="".join(axes[i] for i in order)), order


def _psf(job: Job, ndim: int, image: io.Picture) -> Samples:
    """The PSF of a job, for an image of `ndim` axes without its channels."""
    specified = SPECIFIED.fullmatch(job.psf)
    if specified and not Path(job.psf).exists():
        psf, remedy = _from_specification(specified[1], specified[2], ndim), "one for fewer axes"
    else:
        psf, remedy = _psf_from_file(job, image), "--psf-plane K to take one plane of it"
    if psf.ndim > ndim:
        without = " without its channels (--channel-axis none: there are none)" if image.data.ndim > ndim else ""
        raise ValueError(f"{job.psf} has {psf.ndim} dimensions but the image has {ndim}{without}; pass {remedy}")
    letters = image.axes[image.data.ndim - psf.ndim :]
    if "T" in letters or "C" in letters:
        note(f"warning: the PSF has {psf.ndim} axes, which meet the axes {letters.lower()} of the image")
    return psf


def _psf_from_file(job: Job, image: io.Picture) -> Samples:
    picture = read_noting(Path(job.psf), job.quiet)
    psf = picture.data
    if "S" in picture.axes:
        raise ValueError(f"{job.psf} has colours (shape {psf.shape}); pass a PSF of one colour")
    if job.psf_plane is not None:
        if not -len(psf) <= job.psf_plane < len(psf):
            raise ValueError(
                f"--psf-plane is {job.psf_plane} but {job.psf} has {len(psf)} planes; pass 0 to {len(psf) - 1}"
            )
        psf = psf[job.psf_plane]
    for letter in sorted(set(picture.spacing) & set(image.spacing)):
        here, there = picture.spacing[letter], image.spacing[letter]
        if abs(here - there) > SPACING_OFF * there:
            note(f"warning: voxels of the PSF are {here:g} um along {letter.lower()}, those of the image {there:g} um")
    total = float(psf.sum(dtype=np.float64))
    if job.keep_psf_sum or not 0 < total < np.inf:  # the library has the message for a sum that is not positive
        return psf
    if abs(total - 1) > SUM_OFF:
        scaled = f"the PSF is scaled from sum {total:g} to 1, so that intensities are kept"
        note(f"{scaled} (--keep-psf-sum: as it is)", job.quiet)
    return psf / total


def _from_specification(kind: str, text: str, ndim: int) -> Samples:
    from sigdeconv.psf import disk, motion

    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if kind == "gaussian" and numbers:
        return gaussian_psf(numbers, None, ndim=min(2, ndim))
    if kind == "disk" and len(numbers) == 1:
        return disk(*numbers)
    if kind == "motion" and len(numbers) == 2:
        return motion(*numbers)
    raise ValueError(f"--psf is {kind}:{text}; pass gaussian:SIGMA, disk:RADIUS, motion:LENGTH,ANGLE, or a file")
