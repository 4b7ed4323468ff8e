"""What every restoring command does between its files: axes and PSF are put in order, the result is put back."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from . import __version__, io
from ._array import checked_axis, to_numpy
from ._cli_console import FILE, OUTPUT, OVERWRITE, QUIET, done, note, read_noting, refuse_same, watched
from ._cli_psf import gaussian_psf
from ._cli_values import AxisOrNone, Numbers, NumbersOrAuto, Size

SUM_OFF = 1e-3  # a PSF whose sum is nearer to 1 is called normalised
SPACING_OFF = 0.05  # voxel sizes that differ by less are called the same: calibrations do
COLOURS = (3, 4)  # samples on a last axis that look like them
SPECIFIED = re.compile(r"(gaussian|disk|motion):([-+.,\deE]+)")

Samples = NDArray[Any]
Work = Callable[[Samples, Samples, int | None, Samples | None], Samples]


class Job(NamedTuple):
    """What every restoring command is told."""

    image: Path
    output: Path
    channel_axis: int | str | None
    dtype: str | None
    overwrite: bool
    quiet: bool
    psf: str | None = None
    psf_plane: int | None = None
    keep_psf_sum: bool = False
    psf_energy: float | None = None
    chunks: tuple[int, ...] | str | None = None
    overlap: tuple[int, ...] | None = None
    workers: int | None = None
    cluster: str | None = None
    memory: float | None = None
    device: str | None = None
    resume: bool = True

    @property
    def in_chunks(self) -> bool:
        """Whether the image is to be read and restored piece by piece."""
        asked = (self.chunks, self.overlap, self.workers, self.cluster, self.memory)
        return any(value is not None for value in asked) or not self.resume or self.image.is_dir()


class Opened(NamedTuple):
    """An image from a file, in the file's order of axes and in the library's: channels, batch, z, y, x."""

    source: io.Picture
    picture: io.Picture
    order: tuple[int, ...]

    @property
    def channel_axis(self) -> int | None:
        """Of the array that the library is given."""
        return None if self.source.channel_axis is None else 0

    @property
    def ndim(self) -> int:
        """Number of axes without the channels."""
        return self.picture.data.ndim - (self.source.channel_axis is not None)


Option = Callable[[Any], Any]

IMAGE = click.argument("image", type=FILE)
PSF_SPEC = "a file, or gaussian:SIGMA (pixels; one number or one an axis: gaussian:3,1.5,1.5), disk:RADIUS, "
PSF_SPEC += "motion:LENGTH,ANGLE."
PSF = click.option("--psf", required=True, metavar="FILE|SPEC", help=f"The point spread function: {PSF_SPEC}")
PSF_PLANE = click.option("--psf-plane", type=int, help="Take this plane of the PSF file (its first axis, from 0).")
KEEP_PSF_SUM = click.option(
    "--keep-psf-sum", is_flag=True, help="Do not scale the PSF to sum 1; intensities then scale by 1/sum."
)
PSF_ENERGY = click.option(
    "--psf-energy",
    type=click.FloatRange(0, 1, min_open=True),
    help="Crop the PSF to the box with this share of its light, such as 0.999: a wide PSF costs time and memory.",
)
CHANNEL_AXIS = click.option(
    "--channel-axis",
    type=AxisOrNone(),
    help="Axis of colours or channels; by default what the file says. none: there is none.",
)
CHUNKS = (
    click.option(
        "--chunks",
        type=NumbersOrAuto(),
        help="Restore piece by piece, of so many samples a side: auto, 256 or 64,256,256. For volumes larger than "
        "memory; .zarr, .tif and .npy files. A folder (.zarr) is always restored so.",
    ),
    click.option(
        "--overlap",
        type=Numbers(int, "16,32,32"),
        help="Samples that a piece sees beyond itself; by default from the PSF.",
    ),
    click.option(
        "--cluster",
        metavar="threads|processes|ADDRESS",
        help="Who works on the pieces; the address is that of a dask scheduler. By default one thread.",
    ),
    click.option("--workers", type=click.IntRange(1), help="Number of threads or processes that work on pieces."),
    click.option("--memory", type=Size(), help="That one of them may take, such as 4GiB; by default what is free."),
    click.option(
        "--resume/--no-resume", default=True, help="Go on from what an interrupted run has left, or begin anew."
    ),
)
DEVICE = click.option("--device", help="Compute there, by torch: cuda, cuda:1, cpu.")
WRITING = (
    click.option(
        "--dtype",
        type=click.Choice(io.DTYPES),
        help="Of the output; integers are rounded, and clipped with a warning.",
    ),
    OVERWRITE,
    QUIET,
)


def given(first: Sequence[Option], last: Sequence[Option]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command a `Job`, from options of which some are listed before its own and some after."""

    def decorator(command: Callable[..., None]) -> Callable[..., None]:
        def run(**options: Any) -> None:
            job = Job(**{name: options.pop(name) for name in Job._fields if name in options})
            command(job, **options)

        run.__doc__, run.__name__ = command.__doc__, command.__name__
        # click collects them from the last to the first
        for decorate in reversed(last):
            run = decorate(run)
        run.__click_params__ += getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
        for decorate in reversed(first):
            run = decorate(run)
        return run

    return decorator


restoring = given((IMAGE, PSF, OUTPUT), (PSF_PLANE, KEEP_PSF_SUM, PSF_ENERGY, CHANNEL_AXIS, *WRITING))
restoring_pieces = given(
    (IMAGE, PSF, OUTPUT), (PSF_PLANE, KEEP_PSF_SUM, PSF_ENERGY, CHANNEL_AXIS, DEVICE, *CHUNKS, *WRITING)
)


def restore(job: Job, work: Work, weights: str | None = None) -> None:
    """Read, bring the axes into the order that the library wants, restore, bring them back, write."""
    started = time.perf_counter()
    refuse_inputs(job, weights)
    image = opened(job.image, job.channel_axis, job.quiet)
    psf = read_psf(job, image)
    io.check_output(job.output, image.source.data, like=image.source, dtype=job.dtype, overwrite=job.overwrite)
    trust = trusted(weights, image, job.quiet)
    save(job, image, work(image.picture.data, psf, image.channel_axis, trust), started)


def restore_by(
    method: Callable[..., Samples],
    job: Job,
    *,
    weights: str | None = None,
    shown: bool | None = None,
    terms: Mapping[str, str] | None = None,
    **options: Any,
) -> None:
    """Restore by a function of the library, and say what it chose from the data.

    `options` are the function's own, by its names; where it has no ``num_iter`` there is nothing to count.
    `terms` are as in `watched`.
    """

    if job.in_chunks:
        from ._cli_chunks import restore_pieces

        restore_pieces(method, job, weights=weights, shown=shown, **options)
        return

    def work(image: Samples, psf: Samples, channel_axis: int | None, trust: Samples | None) -> Samples:
        number = options.get("num_iter", 1)
        total = number if isinstance(number, int) else None
        extra = {} if trust is None else {"weights": on_device(trust, job.device)}
        with watched(total, options.get("tol", 0.0), shown, job.quiet, terms) as callback:
            image, psf = on_device(image, job.device), on_device(psf, job.device)
            found = method(image, psf, callback=callback, channel_axis=channel_axis, **extra, **options)
        restored: Samples = to_numpy(found)
        return restored

    restore(job, work, weights)


def on_device(samples: Samples, device: str | None) -> Any:
    """The samples as a tensor where a device is asked for."""
    if device is None:
        return samples
    from ._chunks.block import tensor

    return tensor(samples, device)


def refuse_inputs(job: Job, weights: str | None) -> None:
    """The output must not replace what the work is done with; the image it may, if asked."""
    for path, name in ((job.psf, "--psf"), (weights, "--weights")):
        if path is not None:
            refuse_same(job.output, Path(path), name)


def opened(path: Path, channel_axis: int | str | None, quiet: bool) -> Opened:
    """Read an image, and order its axes."""
    return arranged(named(read_noting(path, quiet), channel_axis, quiet))


def trusted(weights: str | None, image: Opened, quiet: bool) -> Samples | None:
    """The weights of the samples, from ``--weights``."""
    if weights is None:
        return None
    trust: Samples
    if weights == "finite":
        trust = np.isfinite(image.picture.data).astype(np.float32)
        note(f"{trust.size - np.count_nonzero(trust)} samples are not finite and get weight 0", quiet)
        return trust
    trust = io.read(weights).data
    return trust.transpose(image.order) if trust.shape == image.source.data.shape else trust


def save(job: Job, image: Opened, result: Samples, started: float) -> None:
    """Write a result with the axes as the image had them."""
    result = np.transpose(result, np.argsort(image.order))
    written = io.write(
        job.output, result, like=image.source, dtype=job.dtype, overwrite=job.overwrite, clip=True, history=history()
    )
    if written.clipped:
        note(
            f"warning: {written.clipped} of {result.size} samples ({result.min():g} to {result.max():g}) "
            f"were clipped to the range of {written.dtype}; write a .tif file as float32 to keep them"
        )
    done(job.output, result.shape, written.dtype, job.quiet, started)


def history() -> str:
    """This command and what it was told, for the header of the result."""
    context = click.get_current_context(silent=True)
    if context is None:
        return ""
    told = []
    for option in context.command.params:
        value = context.params.get(str(option.name))
        typed = context.get_parameter_source(str(option.name)) is click.core.ParameterSource.COMMANDLINE
        if isinstance(option, click.Option) and typed and option.name not in ("output", "overwrite", "quiet"):
            texts = ",".join(f"{v}" for v in value) if isinstance(value, tuple) else f"{value}"
            flag = option.opts[0] if value or not option.secondary_opts else option.secondary_opts[0]
            told.append(flag if option.is_flag else f"{flag} {texts}")
    return " ".join([f"sigdeconv {__version__}: {context.info_name}", *told])


def named(picture: io.Picture, asked: int | str | None, quiet: bool) -> io.Picture:
    """The image with axes that name its channels as the user does."""
    axes, shape = picture.axes, picture.data.shape
    if asked is None:
        if picture.channel_axis is not None:
            axis = picture.channel_axis
            note(f"{shape[axis]} channels are on axis {axis}", quiet)
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


def arranged(picture: io.Picture) -> Opened:
    """The image with its axes as channels, batch, z, y, x."""
    axes, channel = picture.axes, picture.channel_axis
    frame = sorted((i for i, letter in enumerate(axes) if letter in "ZYX"), key=lambda i: "ZYX".index(axes[i]))
    batch = [i for i in range(len(axes)) if i not in frame and i != channel]
    order = (*([] if channel is None else [channel]), *batch, *frame)
    ordered = replace(picture, data=picture.data.transpose(order), axes="".join(axes[i] for i in order))
    return Opened(picture, ordered, order)


def finer(image: Opened, factor: tuple[int, ...], ndim: int) -> Opened:
    """What the result will be like: more samples, which are smaller, along the last `ndim` axes."""
    factor = factor * ndim if len(factor) == 1 else factor
    scale = [1] * len(image.order)
    for axis, times in zip(reversed(image.order), reversed(factor), strict=False):
        scale[axis] = times
    source = image.source
    shape = tuple(n * times for n, times in zip(source.data.shape, scale, strict=True))
    spacing = {letter: size / scale[source.axes.index(letter)] for letter, size in source.spacing.items()}
    # Neither a FITS header, whose coordinates count coarse pixels, nor the opacity of a pixel holds any more.
    return arranged(
        replace(
            source, data=np.broadcast_to(source.data[:1].ravel()[:1], shape), spacing=spacing, header=None, alpha=None
        )
    )


def read_psf(job: Job, image: Opened) -> Samples:
    """The PSF of a job, for an image of at least as many axes without its channels."""
    if job.psf is None:
        raise ValueError(f"--psf is missing; pass {PSF_SPEC}")
    ndim, axes = image.ndim, image.picture.axes
    specified = SPECIFIED.fullmatch(job.psf)
    if specified and not Path(job.psf).exists():
        psf, remedy = _from_specification(specified[1], specified[2], ndim), "one for fewer axes"
    else:
        psf, remedy = _psf_from_file(job, Path(job.psf), image.picture), "--psf-plane K to take one plane of it"
    if psf.ndim > ndim:
        without = " without its channels (--channel-axis none: there are none)" if image.channel_axis == 0 else ""
        raise ValueError(f"{job.psf} has {psf.ndim} dimensions but the image has {ndim}{without}; pass {remedy}")
    if job.psf_energy is not None:
        psf = _cropped(psf, job.psf_energy, job.quiet)
    letters = axes[len(axes) - psf.ndim :]
    if "T" in letters or "C" in letters:
        note(f"warning: the PSF has {psf.ndim} axes, which meet the axes {letters.lower()} of the image")
    return psf


def _cropped(psf: Samples, energy: float, quiet: bool) -> Samples:
    from sigdeconv.psf import crop

    total = psf.sum(dtype=np.float64)
    small = crop(psf / total, energy)
    if small.psf.shape != psf.shape:
        note(
            f"the PSF is cropped from {psf.shape} to {small.psf.shape}, which holds {small.kept:.2%} of its light",
            quiet,
        )
    return np.asarray(small.psf * total)


def _psf_from_file(job: Job, path: Path, image: io.Picture) -> Samples:
    picture = read_noting(path, job.quiet)
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
