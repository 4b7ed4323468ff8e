"""The command ``sigdeconv``: files in, files out. Algorithms load when their command runs."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from . import __version__, io
from ._array import floating
from ._cli_console import FILE, Commands, note, progress
from ._cli_job import Job, Samples, restore, restoring
from ._cli_psf import psf

ROUNDING = 1e-6  # of the largest sample
BOUNDARIES = ("free", "periodic", "zero", "reflect")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sigdeconv")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Undo a known blur in signals, images and volumes.

    Files may be PNG, JPEG, TIFF, FITS or NPY; the extension decides. Intensities are never rescaled. Results are
    float32 unless asked otherwise; PNG and JPEG, which hold integers only, keep the type of the input.

    \b
    Examples:
      sigdeconv psf beads beads.tif -o psf.tif
      sigdeconv richardson-lucy cells.tif --psf psf.tif -o restored.tif
      sigdeconv wiener photo.png --psf disk:3 -o sharp.png

    Exit codes: 0 done, 1 the work failed, 2 wrong input, 130 interrupted.
    """


def _boundary(default: str) -> Callable[[Any], Any]:
    return click.option(
        "--boundary",
        type=click.Choice(BOUNDARIES),
        default=default,
        show_default=True,
        help="The scene past the frame; free: unknown.",
    )


@cli.command()
@restoring
@click.option("--balance", type=float, help="Strength of the regularisation; by default chosen from the image alone.")
@click.option(
    "--regularizer",
    type=click.Choice(("laplacian", "identity")),
    default="laplacian",
    show_default=True,
    help="What is kept small: roughness, or the values themselves.",
)
@_boundary("free")
def wiener(job: Job, balance: float | None, regularizer: str, boundary: str) -> None:
    """Wiener-Hunt: one regularised division per frequency. Fast; may undershoot below zero.

    \b
    Examples:
      sigdeconv wiener photo.png --psf disk:3 -o sharp.png
      sigdeconv wiener stack.tif --psf psf.tif -o sharp.tif --balance 0.01
    """
    from sigdeconv import wiener

    restore(
        job,
        lambda image, psf, channel_axis, _: wiener(
            image, psf, balance=balance, regularizer=regularizer, boundary=boundary, channel_axis=channel_axis
        ),
    )


@cli.command("richardson-lucy")
@restoring
@click.option("--num-iter", type=click.IntRange(min=1), default=10, show_default=True, help="Iterations.")
@_boundary("free")
@click.option(
    "--accelerate/--no-accelerate", default=True, help="One accelerated iteration counts about seven plain ones."
)
@click.option("--background", type=float, default=0.0, show_default=True, help="Counts that did not pass the blur.")
@click.option(
    "--tv-weight",
    type=float,
    default=0.0,
    show_default=True,
    help="Total-variation prior; 0.0005 (bright) to 0.01 (30 photons).",
)
@click.option(
    "--weights",
    metavar="FILE|finite",
    help="A file of the image's shape: 0 for bad pixels, 1 for good ones. finite: 0 where the image is NaN or inf.",
)
@click.option("--pedestal", type=float, default=0.0, help="Counts that were subtracted from the image (sky, bias).")
@click.option("--clip-negative", is_flag=True, help="Take samples below zero for 0, and say how many.")
@click.option(
    "--tol", type=float, default=0.0, show_default=True, help="Stop when an iteration changes less (relative)."
)
@click.option("--progress/--no-progress", "shown", default=None, help="Show a progress bar; by default on a terminal.")
def richardson_lucy(
    job: Job,
    num_iter: int,
    background: float,
    weights: str | None,
    pedestal: float,
    clip_negative: bool,
    shown: bool | None,
    **options: Any,
) -> None:
    """Richardson-Lucy: maximum likelihood under photon noise. Nothing turns negative.

    \b
    Examples:
      sigdeconv richardson-lucy cells.tif --psf psf.tif -o restored.tif
      sigdeconv richardson-lucy stars.fits --psf psf.fits --psf-plane 0 -o sharp.fits --background 12
      sigdeconv richardson-lucy cells.tif --psf gaussian:3,1.5,1.5 -o restored.tif --num-iter 40 --tv-weight 0.005
    """
    from sigdeconv import richardson_lucy

    def work(image: Samples, psf: Samples, channel_axis: int | None, trust: Samples | None) -> Samples:
        image = floating(image, "image", finite=False) + pedestal if pedestal else image
        if trust is None or clip_negative:  # bad pixels may hold anything
            image = _not_negative(image, job.image, clip_negative, "pass --pedestal F, the counts that were subtracted")
        # Rounding leaves as much below zero in a computed PSF, and the library allows for it.
        psf = _not_negative(
            psf, "the PSF", clip_negative, "subtract less background", allowed=ROUNDING * float(psf.max())
        )
        with progress(num_iter, shown, job.quiet) as callback:
            result: Samples = richardson_lucy(
                image,
                psf,
                num_iter=num_iter,
                background=background + pedestal,
                weights=trust,
                callback=callback,
                channel_axis=channel_axis,
                **options,
            )
        return result

    restore(job, work, weights)


def _not_negative(x: Samples, name: object, clip: bool, remedy: str, allowed: float = 0.0) -> Samples:
    """Light does not subtract: samples below zero are refused, or, when asked, taken for zero."""
    lowest = float(np.fmin.reduce(x, axis=None))  # leaves NaN aside
    if not lowest < -allowed:
        return x
    found = f"{name} has {np.count_nonzero(x < 0)} of {x.size} samples below zero (down to {lowest:g})"
    if not clip:
        raise ValueError(f"{found}, but photon counts are wanted; {remedy}, or --clip-negative, or use wiener")
    note(f"warning: {found}, which are taken for 0")
    return np.maximum(x, 0)


@cli.command()
@restoring
@click.option(
    "--cutoff", type=float, default=1e-3, show_default=True, help="Frequencies below, of the peak, are left out."
)
@_boundary("periodic")
def inverse(job: Job, cutoff: float, boundary: str) -> None:
    """Division in the Fourier domain: for teaching, or for images without noise. It amplifies noise without bounds.

    \b
    Example:
      sigdeconv inverse simulated.npy --psf psf.npy -o restored.npy --cutoff 0.05
    """
    from sigdeconv import inverse_filter

    restore(
        job,
        lambda image, psf, channel_axis, _: inverse_filter(
            image, psf, cutoff=cutoff, boundary=boundary, channel_axis=channel_axis
        ),
    )


@cli.command()
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE...")
def info(files: tuple[Path, ...]) -> None:
    """Say what files hold: shape, type, axes, voxel size, range.

    \b
    Example:
      sigdeconv info cells.tif psf.tif
    """
    for path in files:
        picture = io.read(path)
        data = picture.data
        finite = data[np.isfinite(data)]
        click.echo(f"{path}")
        click.echo(
            f"  shape       {data.shape}, axes {picture.axes}" + (" (Q: unknown)" if "Q" in picture.axes else "")
        )
        click.echo(f"  dtype       {data.dtype}")
        sizes = ", ".join(f"{letter.lower()} {size:g}" for letter, size in picture.spacing.items())
        click.echo(f"  voxel size  {sizes + ' um' if sizes else 'unknown'}")
        if finite.size:
            click.echo(f"  range       {finite.min():g} to {finite.max():g}, mean {finite.mean(dtype=float):g}")
        click.echo(f"  not finite  {data.size - finite.size}")
        for text in picture.notes:
            click.echo(f"  note        {text}")


cli.add_command(psf)


def main() -> None:
    """The entry point: `cli`, which a SIGTERM ends as cleanly as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    cli(prog_name="sigdeconv")
