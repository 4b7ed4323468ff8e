"""What every restoring command does between its files: axes and PSF are put in order, the result is put back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from . import __version__, io
from ._array import tensor, to_numpy
from ._cli_axes import Opened, opened
from ._cli_console import FILE, OUTPUT, OVERWRITE, QUIET, done, note, refuse_same, watched
from ._cli_kernel import PSF_SPEC, read_psf
from ._cli_values import AxisOrNone, Numbers, NumbersOrAuto, Size

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


Option = Callable[[Any], Any]

IMAGE = click.argument("image", type=FILE)
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
    return samples if device is None else tensor(samples, device)


def refuse_inputs(job: Job, weights: str | None) -> None:
    """The output must not replace what the work is done with; the image it may, if asked."""
    for path, name in ((job.psf, "--psf"), (weights, "--weights")):
        if path is not None:
            refuse_same(job.output, Path(path), name)


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
