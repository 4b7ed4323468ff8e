"""More commands ``sigdeconv psf ...``: the PSF of a microscope or a telescope, from what it is built of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from . import io
from ._cli_console import note
from ._cli_psf import _SHAPE, _making, _save_psf, psf
from ._cli_values import Numbers

__all__ = ["psf"]

_DIAMETERS = click.option(
    "--obstruction", type=float, default=0.0, show_default=True, help="Of the aperture's middle, by diameter: 0 to 1."
)
_SKY = click.option(
    "--pixel-size",
    type=Numbers(float, "0.2,0.2"),
    help="In arcsec: one number, or y,x. By default widths are in pixels.",
)
_PLANE = click.option("--shape", type=_SHAPE, required=True, help="In pixels: one number, or two.")


def _microscope(command: Any) -> Any:
    """The options of every microscope."""
    for decorate in (
        click.option("--na", type=float, required=True, help="Numerical aperture."),
        click.option(
            "--wavelength", type=float, required=True, help="Of the light that is detected, in vacuum, in micrometres."
        ),
        click.option(
            "--pixel-size",
            type=Numbers(float, "0.2,0.1,0.1"),
            required=True,
            help="Of a voxel, in micrometres in the specimen: one number, or z,y,x.",
        ),
        click.option("--shape", type=_SHAPE, required=True, help="In voxels: one number, or z,y,x."),
    ):
        command = decorate(command)
    return command


def _mounting(immersion: float, thickness: float, distance: float) -> Callable[[Any], Any]:
    """The options of the specimen and what lies between it and the objective."""

    def number(name: str, default: float | None, text: str) -> Any:
        return click.option(name, type=float, default=default, show_default=default is not None, help=text)

    def decorate(command: Any) -> Any:
        for option in (
            click.option(
                "--origin",
                type=click.Choice(("best", "nominal")),
                default="best",
                show_default=True,
                help="Plane in the middle: where the particle is brightest, or that at its depth by the stage.",
            ),
            number("--working-distance", distance, "Of the objective, in micrometres."),
            number("--design-coverslip-thickness", thickness, "That the objective was made for."),
            number("--coverslip-thickness", thickness, "In micrometres."),
            number("--design-coverslip-index", 1.52, "That the objective was made for."),
            number("--coverslip-index", 1.52, "Refractive index of the coverslip."),
            number("--design-immersion-index", None, "That the objective was made for; by default the same."),
            number("--immersion-index", immersion, "1 for air, 1.33 for water, 1.515 for oil."),
            number("--sample-index", 1.33, "Refractive index around the particle."),
            number("--depth", 0.0, "Of the particle, from the coverslip, in micrometres."),
        ):
            command = option(command)
        return command

    return decorate


_LASER = click.option(
    "--excitation-wavelength", type=float, required=True, help="Of the laser, in vacuum, in micrometres."
)


@psf.command("born-wolf")
@_microscope
@click.option("--immersion-index", type=float, default=1.515, show_default=True, help="Of immersion and specimen.")
@click.option(
    "--defocus",
    type=click.Choice(("exact", "paraxial")),
    default="exact",
    show_default=True,
    help="A spherical wave, or the parabola that most programs take for it.",
)
@_making
def born_wolf(**options: Any) -> None:
    """A widefield microscope with a perfect lens.

    \b
    Example:
      sigdeconv psf born-wolf --shape 41,65,65 --wavelength 0.52 --na 1.4 --pixel-size 0.2,0.1,0.1 -o psf.tif
    """
    from sigdeconv.psf import born_wolf

    _made(born_wolf, options, normalize=False)


@psf.command("gibson-lanni")
@_microscope
@_mounting(1.515, 170.0, 150.0)
@_making
def gibson_lanni(**options: Any) -> None:
    """A widefield microscope, with what depth and oil do to it. After Gibson and Lanni.

    \b
    Examples:
      sigdeconv psf gibson-lanni --shape 41,65,65 --wavelength 0.52 --na 1.4 --pixel-size 0.2,0.1,0.1 -o psf.tif
      sigdeconv psf gibson-lanni --shape 64,128,128 --wavelength 0.61 --na 1.3 --pixel-size 0.2,0.1,0.1 --depth 8 --sample-index 1.38 -o deep.tif
    """  # noqa: E501
    from sigdeconv.psf import gibson_lanni

    _made(gibson_lanni, options, normalize=False)


@psf.command()
@_microscope
@_LASER
@click.option(
    "--pinhole", type=float, default=1.0, show_default=True, help="Diameter in Airy units; inf for none, 0 for a point."
)
@_mounting(1.515, 170.0, 150.0)
@_making
def confocal(**options: Any) -> None:
    """A confocal microscope that scans one spot.

    \b
    Example:
      sigdeconv psf confocal --shape 31,41,41 --wavelength 0.52 --excitation-wavelength 0.488 --na 1.4 --pixel-size 0.15,0.05,0.05 -o psf.tif
    """  # noqa: E501
    from sigdeconv.psf import confocal

    _made(confocal, options)


@psf.command("spinning-disk")
@_microscope
@_LASER
@click.option("--pinhole", type=float, default=1.0, show_default=True, help="Diameter in Airy units.")
@click.option("--spacing", type=float, default=5.0, show_default=True, help="Of the pinholes, in their diameters.")
@_mounting(1.515, 170.0, 150.0)
@_making
def spinning_disk(**options: Any) -> None:
    """A confocal microscope with a disk of pinholes and a camera.

    \b
    Example:
      sigdeconv psf spinning-disk --shape 31,41,41 --wavelength 0.52 --excitation-wavelength 0.488 --na 1.4 --pixel-size 0.2,0.1,0.1 -o psf.tif
    """  # noqa: E501
    from sigdeconv.psf import spinning_disk

    _made(spinning_disk, options)


@psf.command("light-sheet")
@_microscope
@click.option(
    "--thickness",
    type=float,
    required=True,
    help="Full width at half maximum of the sheet, in micrometres; inf for none.",
)
@click.option(
    "--offset",
    type=float,
    default=0.0,
    show_default=True,
    help="Of the sheet beyond the plane in focus, in micrometres.",
)
@_mounting(1.33, 0.0, 2000.0)
@_making
def light_sheet(**options: Any) -> None:
    """A microscope with a sheet of light from the side.

    \b
    Example:
      sigdeconv psf light-sheet --shape 31,41,41 --wavelength 0.52 --na 0.8 --pixel-size 0.4,0.16,0.16 --thickness 2.5 -o psf.tif
    """  # noqa: E501
    from sigdeconv.psf import light_sheet

    _made(light_sheet, options)


@psf.command()
@_PLANE
@click.option("--wavelength", type=float, required=True, help="Of the light, in micrometres.")
@click.option("--diameter", type=float, required=True, help="Of the aperture, in metres.")
@click.option("--pixel-size", type=Numbers(float, "0.05,0.05"), required=True, help="In arcsec: one number, or y,x.")
@_DIAMETERS
@_making
def telescope(**options: Any) -> None:
    """A telescope above the air: its aperture alone.

    \b
    Example:
      sigdeconv psf telescope --shape 63 --wavelength 0.6 --diameter 2.4 --obstruction 0.3 --pixel-size 0.04 -o psf.fits
    """
    from sigdeconv.psf import telescope

    _made(telescope, options)


@psf.command()
@_PLANE
@click.option("--fwhm", type=float, required=True, help="Full width at half maximum.")
@click.option("--beta", type=float, default=3.5, show_default=True, help="How steep the wings fall; above 1.")
@_SKY
@_making
def moffat(**options: Any) -> None:
    """A star, by Moffat's formula.

    \b
    Examples:
      sigdeconv psf moffat --shape 41 --fwhm 3.4 -o psf.tif
      sigdeconv psf moffat --shape 41 --fwhm 0.8 --beta 2.8 --pixel-size 0.2 -o psf.fits
    """
    from sigdeconv.psf import moffat

    _made(moffat, options)


@psf.command()
@_PLANE
@click.option("--fwhm", type=float, help="Full width at half maximum: the seeing.")
@click.option("--r0", type=float, help="Fried's parameter in metres, in place of the width.")
@click.option("--wavelength", type=float, help="Of the light in micrometres, with --r0.")
@_SKY
@_making
def kolmogorov(**options: Any) -> None:
    """A star, by Kolmogorov's turbulence: a long exposure.

    \b
    Examples:
      sigdeconv psf kolmogorov --shape 65 --fwhm 0.8 --pixel-size 0.2 -o psf.fits
      sigdeconv psf kolmogorov --shape 65 --r0 0.15 --wavelength 0.55 --pixel-size 0.2 -o psf.fits
    """
    from sigdeconv.psf import kolmogorov

    if options["r0"] is not None and options["pixel_size"] is None:
        raise ValueError("--r0 is given without --pixel-size; pass the size of a pixel in arcsec")
    _made(kolmogorov, options)


def _made(form: Callable[..., NDArray[Any]], options: dict[str, Any], **extra: Any) -> None:
    """Call the form with the command's options, and write what it gives with its voxel size."""
    target = {name: options.pop(name) for name in ("output", "dtype", "overwrite", "quiet")}
    sizes = options.pop("pixel_size")
    shape = options.pop("shape")
    if sizes is not None:
        options["pixel_size"] = sizes if len(sizes) > 1 else sizes[0]
    made = form(shape if len(shape) > 1 else shape[0], **options, **extra)
    if made.ndim == 3:
        if extra:
            _tell_cut(made, target["quiet"])
        made = made / made.sum()
        each = np.broadcast_to(sizes, 3).tolist()
        like = io.Picture(made, "ZYX", dict(zip("ZYX", each, strict=True)))
    else:
        like = None  # a file has no unit for angles
    _save_psf(made, like=like, **target)


def _tell_cut(psf: NDArray[Any], quiet: bool) -> None:
    inside = psf.sum(axis=(1, 2))
    middle = inside[len(inside) // 2]
    note(
        f"the window holds {inside.mean():.0%} of the light: {middle:.0%} of the plane at the origin, "
        f"{inside.min():.0%} of the faintest; the rest is cut off",
        quiet,
    )
