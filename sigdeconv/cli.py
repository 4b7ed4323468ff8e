"""The command ``sigdeconv``: files in, files out. What is heavy loads when a command needs it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click
import numpy as np

from . import (
    __version__,
    _cli_psf_optics,  # noqa: F401 (it adds commands to psf)
    _cli_psf_shape,  # noqa: F401 (as well)
    io,
)
from ._cli_axes import opened
from ._cli_blind import blind_camera_shake, blind_parametric, blind_richardson_lucy
from ._cli_console import FILE, QUIET, Commands
from ._cli_frames import super_resolve
from ._cli_job import CHANNEL_AXIS, PSF_PLANE, Job
from ._cli_kernel import PSF_SPEC, read_psf
from ._cli_learned import denoise, upscale
from ._cli_linear import inverse, landweber, tikhonov, unsupervised_wiener, van_cittert, wiener
from ._cli_photons import richardson_lucy
from ._cli_priors import (
    hessian_schatten,
    hyper_laplacian,
    plug_and_play,
    sparse_spikes,
    total_variation,
    wavelet_sparse,
)
from ._cli_psf import psf


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sigdeconv")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Undo a blur in signals, images and volumes.

    Files may be PNG, JPEG, TIFF, FITS or NPY; the extension decides. Intensities are never rescaled. Results are
    float32 unless asked otherwise; PNG and JPEG, which hold integers only, keep the type of the input. What is not
    given (weight, noise, iterations) is chosen from the data, and said.

    \b
    Examples:
      sigdeconv psf beads beads.tif -o psf.tif
      sigdeconv richardson-lucy cells.tif --psf psf.tif -o restored.tif
      sigdeconv wiener photo.png --psf disk:3 -o sharp.png

    Exit codes: 0 done, 1 the work failed, 2 wrong input, 130 interrupted.
    """


@click.command()
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE...")
def info(files: tuple[Path, ...]) -> None:
    """Say what files hold. Shape, type, axes, voxel size, range.

    \b
    Example:
      sigdeconv info cells.tif psf.tif
    """
    for path in files:
        if path.is_dir():
            from ._cli_chunks import described
            from ._volumes import open_volume

            click.echo(f"{path}")
            for line in described(open_volume(path)):
                click.echo(f"  {line}")
            continue
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


@click.command("estimate-noise")
@click.argument("image", type=FILE)
@click.option(
    "--model",
    type=click.Choice(("gaussian", "poisson-gaussian")),
    default="gaussian",
    show_default=True,
    help="White noise; or photons, whose noise rises with the light, and readout.",
)
@click.option("--psf", metavar="FILE|SPEC", help=f"The blur, if it is known; it helps with motion: {PSF_SPEC}")
@PSF_PLANE
@click.option("--ndim", type=click.IntRange(1, 3), help="Axes that an image has; by default those called z, y and x.")
@CHANNEL_AXIS
@QUIET
def estimate_noise(
    image: Path,
    model: str,
    psf: str | None,
    psf_plane: int | None,
    ndim: int | None,
    channel_axis: int | str | None,
    quiet: bool,
) -> None:
    """The level of the noise in an image. Printed as lines of name and value: sigma, gain, read_noise, offset.

    In units of the image; gain is that of one photon, and 0 with the Gaussian model.

    \b
    Examples:
      sigdeconv estimate-noise photo.png
      sigdeconv estimate-noise cells.tif --model poisson-gaussian
    """
    from sigdeconv import estimate_noise

    source = opened(image, channel_axis, quiet)
    kernel = None
    if psf is not None:
        kernel = read_psf(Job(image, image, channel_axis, None, False, True, psf, psf_plane), source)
    elif ndim is None:
        ndim = max(1, sum(letter in "ZYX" for letter in source.picture.axes))
    level = estimate_noise(source.picture.data, model=model, psf=kernel, ndim=ndim, channel_axis=source.channel_axis)
    for name, value in level._asdict().items():
        click.echo(f"{name} {value:.6g}")


cli.add_section("Photographs, Gaussian noise", wiener, total_variation, hyper_laplacian, plug_and_play)
cli.add_section("Photon counts", richardson_lucy, super_resolve)
cli.add_section("Filaments, spikes, smooth scenes", hessian_schatten, wavelet_sparse, sparse_spikes)
cli.add_section("Least squares", tikhonov, landweber, van_cittert, unsupervised_wiener, inverse)
cli.add_section("The blur is not known", blind_camera_shake, blind_parametric, blind_richardson_lucy)
cli.add_section("Trained networks", upscale, denoise)
cli.add_section("Blur, noise, files", psf, estimate_noise, info)


def main() -> None:
    """The entry point: `cli`, which a SIGTERM ends as cleanly as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    cli(prog_name="sigdeconv")
