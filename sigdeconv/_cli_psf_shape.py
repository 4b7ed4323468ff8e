"""More commands ``sigdeconv psf ...``: a PSF from stars, and what is done to a PSF that one has."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from . import io
from ._cli_console import FILE, OUTPUT, OVERWRITE, QUIET, note, read_noting, refuse_same
from ._cli_psf import _SHAPE, _making, _save_psf, psf
from ._cli_values import Numbers

__all__ = ["psf"]

PAGES = (".png", ".pdf", ".svg")  # what a report may be written as
DOTS = 150  # per inch of a report in PNG

_VOXEL = Numbers(float, "0.2,0.1,0.1")


@psf.command()
@click.argument("frame", type=FILE)
@click.option("--shape", type=_SHAPE, help="Of the PSF, in pixels; by default as large as the light reaches.")
@click.option(
    "--pixel-size", type=Numbers(float, "0.05,0.05"), help="In arcsec; the widths that are said are then too."
)
@click.option("--threshold", type=float, help="Least height of a star, background included.")
@click.option("--max-stars", type=int, help="Use the brightest ones only.")
@click.option("--saturation", type=float, help="Level from which a sample is saturated.")
@_making
def stars(
    frame: Path, shape: tuple[int, ...] | None, pixel_size: tuple[float, ...] | None, quiet: bool, **rest: Any
) -> None:
    """Measure the PSF from the isolated stars of an astronomical frame.

    \b
    Examples:
      sigdeconv psf stars frame.fits -o psf.fits
      sigdeconv psf stars frame.fits -o psf.tif --pixel-size 0.0455 --saturation 50000
    """
    from sigdeconv.psf import from_stars

    picture, target = _opened(frame, "FRAME", quiet, rest)
    found = from_stars(picture.data, _each(shape, 2), pixel_size=_each(pixel_size, 2) or 1.0, **rest)
    unit = "pixels" if pixel_size is None else "arcsec"
    left_out = ", ".join(f"{count} {reason}" for reason, count in found.rejected.items())
    widths = ", ".join(f"{width:.4g}" for width in found.fwhm)
    note(f"{found.num_used} stars used, FWHM {widths} {unit} (y, x); not used: {left_out or 'none'}", quiet)
    _save_psf(found.psf, like=picture, quiet=quiet, **target)


@psf.command()
@click.argument("file", type=FILE)
@click.option("--mirror-z", is_flag=True, help="Also average what lies above and below the focus.")
@_making
def radial(file: Path, mirror_z: bool, quiet: bool, **rest: Any) -> None:
    """Average a PSF over all angles about its origin, section by section.

    \b
    Example:
      sigdeconv psf radial psf.tif -o round.tif
    """
    from sigdeconv.psf import radial_average

    picture, target = _opened(file, "FILE", quiet, rest)
    _save_psf(radial_average(picture.data, mirror_z=mirror_z), like=picture, quiet=quiet, **target)


@psf.command()
@click.argument("file", type=FILE)
@click.option(
    "--to", type=_VOXEL, required=True, help="Voxel size that is wanted, in micrometres: one number, or z,y,x."
)
@click.option("--pixel-size", type=_VOXEL, help="Voxel size that the PSF has; by default what the file says.")
@click.option("--shape", type=_SHAPE, help="Of the result; by default just large enough for all of the light.")
@_making
def resample(
    file: Path,
    to: tuple[float, ...],
    pixel_size: tuple[float, ...] | None,
    shape: tuple[int, ...] | None,
    quiet: bool,
    **rest: Any,
) -> None:
    """Bring a PSF from its own voxel size to the image's.

    \b
    Examples:
      sigdeconv psf resample psf.tif -o coarse.tif --to 0.3,0.1,0.1
      sigdeconv psf resample psf.npy -o coarse.tif --pixel-size 0.05 --to 0.1
    """
    from sigdeconv.psf import resample

    picture, target = _opened(file, "FILE", quiet, rest)
    ndim = picture.data.ndim
    old = _each(pixel_size, ndim) or _spacing(picture)
    if old is None:
        raise ValueError(f"{file} does not say its voxel size; pass --pixel-size, in micrometres")
    new = _each(to, ndim) or ()
    made = resample(picture.data, old, new, shape=_each(shape, ndim))
    spacing = dict(zip(picture.axes, new, strict=True)) if set(picture.axes) <= set("ZYX") else {}
    _save_psf(made, like=replace(picture, spacing=spacing), quiet=quiet, **target)


@psf.command()
@click.argument("file", type=FILE)
@click.option("--energy", type=float, default=0.999, show_default=True, help="Share of the energy to keep.")
@_making
def crop(file: Path, energy: float, quiet: bool, **rest: Any) -> None:
    """Cut a PSF down to the smallest box that holds a share of its energy. Restoring with it is faster.

    \b
    Example:
      sigdeconv psf crop psf.tif -o small.tif --energy 0.999
    """
    from sigdeconv.psf import crop

    picture, target = _opened(file, "FILE", quiet, rest)
    cropped = crop(picture.data, energy)
    note(f"{cropped.kept:.4%} of the energy kept, {picture.data.shape} cut to {cropped.psf.shape}", quiet)
    _save_psf(cropped.psf, like=picture, quiet=quiet, **target)


@psf.command()
@click.argument("file", type=FILE)
@click.option("--pixel-size", type=_VOXEL, help="One number, or z,y,x; by default what the file says, in micrometres.")
@click.option("--unit", default="µm", show_default=True, help="What the pixel size is given in.")
@click.option(
    "--scale", type=click.Choice(("sqrt", "log")), default="sqrt", show_default=True, help="Of the brightness."
)
@click.option("--title", help="Line above the page.")
@OUTPUT
@OVERWRITE
@QUIET
def report(
    file: Path,
    pixel_size: tuple[float, ...] | None,
    unit: str,
    scale: str,
    title: str | None,
    output: Path,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Draw a page on a PSF. Sections, profiles with their widths, encircled energy, numbers; as PNG, PDF or SVG.

    \b
    Examples:
      sigdeconv psf report psf.tif -o psf.png
      sigdeconv psf report psf.fits -o psf.pdf --pixel-size 0.0455 --unit arcsec --scale log
    """
    from sigdeconv.psf import report

    _check_page(output, overwrite)
    picture = read_noting(file, quiet)
    sizes = _each(pixel_size, picture.data.ndim) or _spacing(picture)
    figure = report(picture.data, sizes, unit=unit, scale=scale, title=title)
    with io._whole(Path(os.path.realpath(output))) as page:
        figure.savefig(page, format=output.suffix[1:].lower(), dpi=DOTS)
    note(f"wrote {output}", quiet)


def _opened(file: Path, name: str, quiet: bool, options: dict[str, Any]) -> tuple[io.Picture, dict[str, Any]]:
    """The file, and the options of the output, which are checked and taken out of the others."""
    picture = replace(read_noting(file, quiet), header=None)
    target = {key: options.pop(key) for key in ("output", "dtype", "overwrite")}
    refuse_same(target["output"], file, name)
    io.check_output(target["output"], picture.data, like=picture, dtype=target["dtype"], overwrite=target["overwrite"])
    return picture, target


def _each(sizes: tuple[Any, ...] | None, ndim: int) -> tuple[Any, ...] | None:
    """One entry an axis, from one for all."""
    return sizes * ndim if sizes is not None and len(sizes) == 1 else sizes


def _spacing(picture: io.Picture) -> tuple[float, ...] | None:
    """The voxel size, if the file tells that of every axis."""
    known = tuple(picture.spacing[letter] for letter in picture.axes if letter in picture.spacing)
    return known if len(known) == picture.data.ndim else None


def _check_page(output: Path, overwrite: bool) -> None:
    """Refuse before any work what could not be written after it."""
    if output.suffix.lower() not in PAGES:
        raise ValueError(f"{output} is no page; pass a name that ends with {', '.join(PAGES)}")
    if not output.parent.is_dir():
        raise FileNotFoundError(f"{output} lies in a folder that does not exist; make {output.parent} first")
    if output.exists() and not (overwrite and output.is_file()):
        raise FileExistsError(f"{output} exists; pass another name, or overwrite")
