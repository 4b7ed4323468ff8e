"""The commands for a blur that is not known: they restore the image, and can write the PSF that they found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

import sigdeconv

from . import io
from ._cli_axes import Opened, opened
from ._cli_console import FILE, OUTPUT, note, progress, refuse_same, watched
from ._cli_job import CHANNEL_AXIS, IMAGE, PSF_PLANE, WRITING, Job, Samples, given, refuse_inputs, save, trusted
from ._cli_kernel import PSF_SPEC, read_psf
from ._cli_options import SHOWN, TV_WEIGHT, WEIGHTS, boundary, num_iter, together, tol
from ._cli_photons import BACKGROUND, CLIP_NEGATIVE, PEDESTAL, as_counts, as_light
from ._cli_values import Numbers

PSF_OUTPUT = click.option("--psf-output", type=FILE, help="A file for the PSF that is found.")
# What --psf takes, by family; the rest goes through --psf-output.
SPECIFICATIONS = {"gaussian": ("sigma",), "disk": ("radius",), "motion": ("length", "angle")}

restoring_blindly = given((IMAGE, OUTPUT, PSF_OUTPUT), (CHANNEL_AXIS, *WRITING))


class Found(NamedTuple):
    """An image and a PSF, as every blind method of the library returns them, whatever else it does."""

    image: Samples
    psf: Samples


def restore_blindly(
    job: Job,
    psf_output: Path | None,
    ndim: Callable[[Opened], int],
    work: Callable[[Opened, Samples | None], Found],
    weights: str | None = None,
) -> None:
    """Read, restore, write the image and the PSF; `ndim` says how many axes the PSF will have."""
    started = time.perf_counter()
    refuse_inputs(job, weights)
    image = opened(job.image, job.channel_axis, job.quiet)
    io.check_output(job.output, image.source.data, like=image.source, dtype=job.dtype, overwrite=job.overwrite)
    if psf_output is not None:
        _check_psf_output(job, psf_output, ndim(image), weights)
    found = work(image, trusted(weights, image, job.quiet))
    save(job, image, found.image, started)
    if psf_output is not None:
        axes = image.picture.axes[image.picture.data.ndim - found.psf.ndim :]
        spacing = {letter: size for letter, size in image.source.spacing.items() if letter in axes}
        written = io.write(psf_output, found.psf, like=io.Picture(found.psf, axes, spacing), overwrite=job.overwrite)
        note(f"wrote {psf_output}, {found.psf.shape} {written.dtype}, the PSF", job.quiet)


def note_width(psf: Samples, quiet: bool) -> None:
    """Say how large a PSF is that no parameters describe."""
    widths = []
    for axis in range(psf.ndim):
        line = psf.sum(axis=tuple(k for k in range(psf.ndim) if k != axis), dtype=np.float64)
        place = np.arange(line.size)
        mean = np.average(place, weights=line)
        widths.append(float(np.sqrt(np.average((place - mean) ** 2, weights=line))))
    note(f"from the data: a PSF of standard deviation {', '.join(f'{w:.3g}' for w in widths)} samples", quiet)


def _check_psf_output(job: Job, path: Path, ndim: int, weights: str | None) -> None:
    for source, name in ((job.image, "IMAGE"), (job.psf, "--psf"), (weights, "--weights")):
        if source is not None:
            refuse_same(path, Path(source), name)
    if path.resolve() == job.output.resolve():
        raise ValueError(f"--psf-output is {path}, as is --output; pass two files")
    io.check_output(path, np.zeros((1,) * ndim, np.float32), overwrite=job.overwrite)


@click.command("blind-richardson-lucy")
@restoring_blindly
@click.option(
    "--psf-shape",
    type=Numbers(int, "31,31"),
    help="The largest extent of the PSF in samples: one number (two axes), or one an axis. Rather too wide.",
)
@click.option("--psf", metavar="FILE|SPEC", help=f"A first guess in its place, whose zeros stay zero: {PSF_SPEC}")
@PSF_PLANE
@num_iter(20, "Rounds, each of some steps on the image and some on the PSF.")
@click.option("--image-iter", type=click.IntRange(min=1), default=4, show_default=True, help="Steps on the image.")
@click.option("--psf-iter", type=click.IntRange(min=1), default=2, show_default=True, help="Steps on the PSF.")
@click.option(
    "--symmetry",
    type=click.Choice(("none", "point", "axes", "radial")),
    default="none",
    show_default=True,
    help="What is known of the PSF about its origin.",
)
@boundary()
@together(BACKGROUND, TV_WEIGHT, WEIGHTS, PEDESTAL, CLIP_NEGATIVE, tol(0.0), SHOWN)
def blind_richardson_lucy(
    job: Job,
    psf_output: Path | None,
    psf_shape: tuple[int, ...] | None,
    num_iter: int,
    tol: float,
    background: float,
    weights: str | None,
    pedestal: float,
    clip_negative: bool,
    shown: bool | None,
    **options: Any,
) -> None:
    """Photon counts and their PSF in turn. From a first guess of it; for stars, cells, points on dark ground.

    \b
    Examples:
      sigdeconv blind-richardson-lucy stars.tif -o sharp.tif --psf-output psf.tif --psf-shape 15
      sigdeconv blind-richardson-lucy cells.tif -o sharp.tif --psf gaussian:3,1.5,1.5 --symmetry axes --background 100
    """
    if (psf_shape is None) == (job.psf is None):
        raise ValueError("pass either --psf-shape, or a first guess as --psf")

    def guess(image: Opened) -> Samples | tuple[int, ...]:
        if psf_shape is None:
            return as_light(read_psf(job, image), clip_negative)
        return psf_shape * min(2, image.ndim) if len(psf_shape) == 1 else psf_shape

    def work(image: Opened, trust: Samples | None) -> Found:
        counts = as_counts(image.picture.data, job, pedestal, clip_negative, anything=trust is not None)
        bar = watched(num_iter, tol, shown, job.quiet) if tol > 0 else progress(num_iter, shown, job.quiet)
        with bar as callback:
            found = sigdeconv.blind_richardson_lucy(
                counts,
                guess(image),
                num_iter=num_iter,
                tol=tol,
                background=background + pedestal,
                weights=trust,
                callback=callback,
                channel_axis=image.channel_axis,
                **options,
            )
        note_width(found.psf, job.quiet)
        return Found(found.image, found.psf)

    def ndim(image: Opened) -> int:
        start = guess(image)
        return len(start) if isinstance(start, tuple) else start.ndim

    restore_blindly(job, psf_output, ndim, work, weights)


@click.command("blind-parametric")
@restoring_blindly
@click.option(
    "--family",
    type=click.Choice(("gaussian", "disk", "motion", "airy")),
    default="gaussian",
    show_default=True,
    help="Form of the blur. disk: out of focus; motion: a straight line; airy: a lens in focus.",
)
@click.option(
    "--bounds",
    "ranges",
    multiple=True,
    metavar="NAME=LOW,HIGH",
    help="Where to look for a parameter (sigma, radius, length, angle), in pixels or degrees; may be repeated.",
)
@click.option("--sigma", type=float, help="Standard deviation of the noise, in units of the image; else estimated.")
@boundary()
def blind_parametric(
    job: Job, psf_output: Path | None, family: str, ranges: tuple[str, ...], sigma: float | None, boundary: str
) -> None:
    """A blur of known form and unknown size. It is found from the spectrum, said, and undone by wiener.

    What is said can be passed to every other command as --psf.

    \b
    Examples:
      sigdeconv blind-parametric photo.png -o sharp.png --family disk
      sigdeconv blind-parametric photo.png -o sharp.png --family motion --bounds angle=-20,20 --psf-output psf.tif
    """
    bounds = _ranges(ranges)

    def work(image: Opened, _: Samples | None) -> Found:
        found = sigdeconv.blind_parametric(
            image.picture.data,
            family,
            bounds=bounds or None,
            sigma=sigma,
            boundary=boundary,
            channel_axis=image.channel_axis,
        )
        note(f"from the data: {_described(family, found.parameters)}", job.quiet)
        if sigma is None:
            note(f"from the data: noise of sigma {found.noise:.4g}", job.quiet)
        return Found(found.image, found.psf)

    restore_blindly(job, psf_output, lambda image: min(2, image.ndim), work)


@click.command("blind-camera-shake")
@restoring_blindly
@click.option(
    "--psf-shape",
    type=Numbers(int, "31,31"),
    help="Rows and columns that the shake may cover, in pixels (one number: a square). By default several are tried.",
)
@boundary()
def blind_camera_shake(job: Job, psf_output: Path | None, psf_shape: tuple[int, ...] | None, boundary: str) -> None:
    """A photograph that was shaken. The path is found from strong edges, and undone by hyper-laplacian.

    With --psf-output the PSF can be passed to every other command as --psf.

    \b
    Examples:
      sigdeconv blind-camera-shake photo.png -o sharp.png
      sigdeconv blind-camera-shake photo.png -o sharp.png --psf-shape 61 --psf-output shake.tif
    """

    def work(image: Opened, _: Samples | None) -> Found:
        found = sigdeconv.blind_camera_shake(
            image.picture.data,
            psf_shape[0] if psf_shape is not None and len(psf_shape) == 1 else psf_shape,
            boundary=boundary,
            channel_axis=image.channel_axis,
        )
        note_width(found.psf, job.quiet)
        return Found(found.image, found.psf)

    restore_blindly(job, psf_output, lambda _: 2, work)


def _ranges(texts: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """``angle=-20,20`` and the like by name."""
    found = {}
    for text in texts:
        name, _, numbers = text.partition("=")
        try:
            low, high = (float(part) for part in numbers.split(","))
        except ValueError:
            raise ValueError(f"--bounds is {text!r}; NAME=LOW,HIGH is wanted, such as angle=-20,20") from None
        found[name.strip()] = (low, high)
    return found


def _described(family: str, parameters: Mapping[str, float]) -> str:
    """The parameters, and the PSF as --psf takes it."""
    listed = ", ".join(f"{name} {value:.4g}" for name, value in parameters.items())
    if family not in SPECIFICATIONS:
        return listed
    numbers = ",".join(f"{parameters[name]:.4g}" for name in SPECIFICATIONS[family])
    return f"{listed} (--psf {family}:{numbers})"
