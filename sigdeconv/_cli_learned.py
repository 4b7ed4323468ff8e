"""The commands that run a trained network: ``upscale`` and ``denoise``."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import click
import numpy as np

from . import io
from ._cli_axes import Opened, finer, opened
from ._cli_console import OUTPUT, tiled
from ._cli_job import CHANNEL_AXIS, IMAGE, WRITING, Job, given, save
from ._cli_options import SHOWN

picturing = given((IMAGE, OUTPUT), (CHANNEL_AXIS, *WRITING))

DATA_RANGE = click.option(
    "--data-range",
    type=float,
    help="The value of white. By default the largest of integers of 8 and 16 bits, and 1 of floating point.",
)


@click.command()
@picturing
@click.option("--scale", type=click.IntRange(2, 4), default=2, show_default=True, help="Pixels for one, along y and x.")
@click.option(
    "--network",
    default="strong",
    show_default=True,
    metavar="strong|fast|FILE",
    help="fast is 20 times faster; a .safetensors file has weights of your own.",
)
@DATA_RANGE
@SHOWN
def upscale(job: Job, scale: int, network: str, data_range: float | None, shown: bool | None) -> None:
    """Enlarge photographs by a trained network. It undoes shrinking, neither blur nor noise.

    \b
    Examples:
      sigdeconv upscale photo.png --scale 2 -o big.png
      sigdeconv upscale scan.tif --scale 3 --network fast --data-range 4095 -o big.tif
    """
    from sigdeconv.transposed import upscale

    started = time.perf_counter()
    image = opened(job.image, job.channel_axis, job.quiet)
    large = _with_opacity(finer(image, (scale,), 2), image, scale)
    io.check_output(job.output, large.source.data, like=large.source, dtype=job.dtype, overwrite=job.overwrite)
    with tiled(shown, job.quiet) as callback:
        result = upscale(
            image.picture.data,
            scale,
            network=network,
            data_range=data_range,
            channel_axis=image.channel_axis,
            callback=callback,
        )
    save(job, large, result, started)


@click.command()
@picturing
@click.option(
    "--sigma",
    type=float,
    help="Standard deviation of the noise, in units of the image; by default estimated from each image.",
)
@click.option("--network", metavar="FILE", help="A .safetensors file with weights of your own.")
@DATA_RANGE
@SHOWN
def denoise(job: Job, sigma: float | None, network: str | None, data_range: float | None, shown: bool | None) -> None:
    """Take white Gaussian noise off photographs by a trained network.

    \b
    Examples:
      sigdeconv denoise photo.png -o clean.png
      sigdeconv denoise stack.tif --sigma 120 --data-range 4095 -o clean.tif
    """
    from sigdeconv.transposed import denoise

    started = time.perf_counter()
    image = opened(job.image, job.channel_axis, job.quiet)
    io.check_output(job.output, image.source.data, like=image.source, dtype=job.dtype, overwrite=job.overwrite)
    with tiled(shown, job.quiet) as callback:
        result = denoise(
            image.picture.data,
            sigma=sigma,
            network=network,
            data_range=data_range,
            channel_axis=image.channel_axis,
            callback=callback,
        )
    save(job, image, result, started)


def learned_prior(plane: Any, sigma: float) -> Any:
    """The packaged denoiser as the prior of plug-and-play; it loads when it is first asked."""
    from sigdeconv.transposed import prior

    return prior(plane, sigma)


def _with_opacity(large: Opened, image: Opened, scale: int) -> Opened:
    """The opacity of the pixels, interpolated."""
    from sigdeconv.transposed.bicubic import imresize

    alpha = image.source.alpha
    if alpha is None:
        return large
    finer_alpha = np.rint(imresize(alpha, scale)).clip(0, np.iinfo(alpha.dtype).max).astype(alpha.dtype)
    return large._replace(source=replace(large.source, alpha=finer_alpha))
