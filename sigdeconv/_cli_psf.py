"""The commands ``sigdeconv psf ...``: point spread functions from a formula, or measured from beads."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from . import io
from ._cli_console import FILE, OUTPUT, OVERWRITE, QUIET, done, note, read_noting, refuse_same
from ._cli_values import Numbers

REACH = 4  # standard deviations of a Gaussian PSF that is given by its width alone


@click.group()
def psf() -> None:
    """Make a point spread function. From a formula, or measured from beads.

    \b
    Examples:
      sigdeconv psf gaussian --sigma 3,1.5,1.5 -o psf.tif
      sigdeconv psf beads beads.tif -o psf.tif
    """


def _making(command: Any) -> Any:
    precise = click.option(
        "--dtype", type=click.Choice(("float32", "float64")), default="float32", help="Of the output."
    )
    for decorate in (QUIET, OVERWRITE, precise, OUTPUT):
        command = decorate(command)
    return command


_SHAPE = Numbers(int, "15,31,31")


@psf.command()
@click.option(
    "--sigma", type=Numbers(float, "3,1.5,1.5"), required=True, help="Standard deviation in pixels, one an axis."
)
@click.option("--shape", type=_SHAPE, help="By default as wide as four standard deviations to each side.")
@_making
def gaussian(sigma: tuple[float, ...], shape: tuple[int, ...] | None, **target: Any) -> None:
    """A Gaussian; one number gives a 2-D round one.

    \b
    Examples:
      sigdeconv psf gaussian --sigma 2.5 -o psf.tif
      sigdeconv psf gaussian --sigma 3,1.5,1.5 --shape 25,13,13 -o psf.tif
    """
    _save_psf(gaussian_psf(sigma, shape), **target)


@psf.command()
@click.option("--radius", type=float, required=True, help="In pixels.")
@_making
def disk(radius: float, **target: Any) -> None:
    """A uniform disk: defocus.

    \b
    Example:
      sigdeconv psf disk --radius 3.5 -o psf.tif
    """
    from sigdeconv.psf import disk

    _save_psf(disk(radius), **target)


@psf.command()
@click.option("--length", type=float, required=True, help="In pixels.")
@click.option(
    "--angle", type=float, default=0.0, show_default=True, help="In degrees, counter-clockwise from the x axis."
)
@_making
def motion(length: float, angle: float, **target: Any) -> None:
    """A straight line: camera shake, or a subject that moves.

    \b
    Example:
      sigdeconv psf motion --length 15 --angle 30 -o psf.tif
    """
    from sigdeconv.psf import motion

    _save_psf(motion(length, angle), **target)


@psf.command()
@click.option("--shape", type=_SHAPE, required=True, help="In pixels: one number, or two.")
@click.option("--wavelength", type=float, required=True, help="Of the light, in micrometres.")
@click.option("--na", type=float, required=True, help="Numerical aperture.")
@click.option("--pixel-size", type=Numbers(float, "0.1,0.1"), required=True, help="In micrometres: one number, or y,x.")
@click.option(
    "--obstruction", type=float, default=0.0, show_default=True, help="Of the aperture's middle, by diameter: 0 to 1."
)
@_making
def airy(
    shape: tuple[int, ...],
    pixel_size: tuple[float, ...],
    wavelength: float,
    na: float,
    obstruction: float,
    **target: Any,
) -> None:
    """The pattern of a perfect lens in focus.

    \b
    Examples:
      sigdeconv psf airy --shape 31 --wavelength 0.52 --na 0.5 --pixel-size 0.1 -o psf.tif
      sigdeconv psf airy --shape 31 --wavelength 0.52 --na 0.5 --pixel-size 0.1 --obstruction 0.3 -o psf.tif
    """
    from sigdeconv.psf import airy

    sizes = pixel_size * 2 if len(pixel_size) == 1 else pixel_size
    made = airy(
        shape * 2 if len(shape) == 1 else shape,
        wavelength=wavelength,
        na=na,
        pixel_size=sizes,
        obstruction=obstruction,
    )
    _save_psf(made, like=io.Picture(made, "YX", dict(zip("YX", sizes, strict=True))), **target)


@psf.command()
@click.argument("stack", type=FILE)
@click.option("--shape", type=_SHAPE, help="Of the PSF, in voxels; by default as large as the light reaches.")
@click.option("--threshold", type=float, help="Least height of a bead, background included.")
@click.option("--max-beads", type=int, help="Use the brightest ones only.")
@_making
def beads(stack: Path, shape: tuple[int, ...] | None, quiet: bool, **rest: Any) -> None:
    """Measure the PSF from an image of beads that are smaller than it.

    \b
    Examples:
      sigdeconv psf beads beads.tif -o psf.tif
      sigdeconv psf beads beads.tif -o psf.tif --shape 31,41,41 --max-beads 10
    """
    from sigdeconv.psf import from_beads

    picture = replace(read_noting(stack, quiet), header=None)
    target = {name: rest.pop(name) for name in ("output", "dtype", "overwrite")}
    refuse_same(target["output"], stack, "STACK")
    io.check_output(target["output"], picture.data, like=picture, dtype=target["dtype"], overwrite=target["overwrite"])
    measured = from_beads(picture.data, shape, **rest)
    places = "; ".join(", ".join(f"{x:.1f}" for x in place) for place in measured.positions)
    note(f"{measured.num_used} beads used, centred at {places} ({', '.join(picture.axes.lower())} in samples)", quiet)
    _save_psf(measured.psf, like=picture, quiet=quiet, **target)


def gaussian_psf(sigma: tuple[float, ...], shape: tuple[int, ...] | None, ndim: int = 2) -> NDArray[Any]:
    """A Gaussian from one number for all axes, of which there are then `ndim`, or one an axis."""
    from sigdeconv.psf import gaussian

    ndim = max(len(sigma), len(shape or ())) if max(len(sigma), len(shape or ())) > 1 else ndim
    sigma = sigma * ndim if len(sigma) == 1 else sigma
    if not all(0 <= s < np.inf for s in sigma):
        raise ValueError(f"sigma is {sigma}; 0 or more pixels are wanted, one number an axis")
    if shape is None:
        shape = tuple(2 * int(np.ceil(REACH * s)) + 1 for s in sigma)
    return gaussian(shape * ndim if len(shape) == 1 else shape, sigma)


def _save_psf(
    psf: NDArray[Any], output: Path, dtype: str, overwrite: bool, quiet: bool, like: io.Picture | None = None
) -> None:
    started = time.perf_counter()
    written = io.write(output, psf, like=like, dtype=dtype, overwrite=overwrite)
    done(output, psf.shape, written.dtype, quiet, started)
