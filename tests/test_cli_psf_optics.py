"""The commands that make a PSF from an instrument: their examples parse, and files hold what the functions give."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from sigdeconv import _cli_psf_optics, cli, io, psf

COMMANDS = (
    "born-wolf",
    "gibson-lanni",
    "confocal",
    "spinning-disk",
    "light-sheet",
    "telescope",
    "moffat",
    "kolmogorov",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: object, code: int = 0) -> Result:
    """Run the command; an error must be one line and leave no file behind."""
    result = CliRunner().invoke(cli.cli, ["psf", *(str(arg) for arg in args)], prog_name="sigdeconv")
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    if code:
        assert result.stderr.count("\n") == 1
        assert result.stderr.startswith("sigdeconv: error: ")
        assert not list(Path().iterdir())
    return result


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_that_parse(name: str) -> None:
    assert name in _cli_psf_optics.psf.commands
    said = run(name, "--help").stdout
    examples = re.findall(r"^ +sigdeconv psf (.*)$", said, re.MULTILINE)
    assert examples
    for example in examples:
        command, *args = example.split()
        node = _cli_psf_optics.psf.commands[command]
        assert isinstance(node, click.Command)
        with node.make_context("sigdeconv", args):
            pass


LENS: dict[str, Any] = {"shape": (6, 8, 7), "wavelength": 0.52, "na": 1.3, "pixel_size": (0.2, 0.08, 0.1)}
WATER = LENS | {"na": 0.8}
LASER = LENS | {"excitation_wavelength": 0.488}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("born-wolf", LENS | {"immersion_index": 1.4, "defocus": "paraxial"}),
        ("gibson-lanni", LENS),
        ("gibson-lanni", LENS | {"depth": 5, "sample_index": 1.38, "coverslip_thickness": 175, "origin": "nominal"}),
        ("confocal", LASER | {"pinhole": 0.7, "depth": 2}),
        ("confocal", LASER | {"pinhole": float("inf")}),
        ("spinning-disk", LASER | {"pinhole": 1.2, "spacing": 4}),
        ("light-sheet", WATER | {"thickness": 1.5, "offset": 0.3}),
        ("light-sheet", WATER | {"thickness": float("inf")}),
    ],
)
def test_microscopes_are_the_functions_with_their_voxel_sizes(name: str, options: dict[str, Any]) -> None:
    given = [
        part
        for key, value in options.items()
        for part in (f"--{key.replace('_', '-')}", ",".join(map(str, np.atleast_1d(value))))
    ]
    said = run(name, *given, "-o", "psf.tif").stderr
    assert ("of the light" in said) == (name in ("born-wolf", "gibson-lanni"))
    found = io.read("psf.tif")
    expected = getattr(psf, name.replace("-", "_"))(**options)
    np.testing.assert_allclose(found.data, expected, rtol=1e-5)
    assert found.axes == "ZYX"
    assert found.spacing == pytest.approx({"Z": 0.2, "Y": 0.08, "X": 0.1})


def test_one_number_is_for_all_axes_and_the_share_in_the_window_is_said() -> None:
    options = ("--shape", 9, "--wavelength", 0.52, "--na", 1.2, "--pixel-size", 0.1)
    said = run("gibson-lanni", *options, "-o", "a.npy").stderr
    assert io.read("a.npy").data.shape == (9, 9, 9)
    inside = psf.gibson_lanni(9, wavelength=0.52, na=1.2, pixel_size=0.1, normalize=False).sum(axis=(1, 2))
    assert f"holds {inside.mean():.0%} of the light: {inside[4]:.0%} of the plane at the origin" in said
    assert f"{inside.min():.0%} of the faintest" in said
    assert run("born-wolf", *options, "-o", "b.npy", "--quiet").stderr == ""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "telescope --shape 21 --wavelength 0.6 --diameter 2.4 --obstruction 0.3 --pixel-size 0.03",
            psf.telescope(21, wavelength=0.6, diameter=2.4, obstruction=0.3, pixel_size=0.03),
        ),
        ("moffat --shape 9,12 --fwhm 3", psf.moffat((9, 12), fwhm=3)),
        (
            "moffat --shape 9 --fwhm 1 --beta 2.5 --pixel-size 0.3,0.4",
            psf.moffat(9, fwhm=1, beta=2.5, pixel_size=(0.3, 0.4)),
        ),
        ("kolmogorov --shape 9 --fwhm 3", psf.kolmogorov(9, fwhm=3)),
        (
            "kolmogorov --shape 9 --r0 0.1 --wavelength 0.5 --pixel-size 0.4",
            psf.kolmogorov(9, r0=0.1, wavelength=0.5, pixel_size=0.4),
        ),
        (
            "airy --shape 9 --wavelength 0.5 --na 0.5 --pixel-size 0.1 --obstruction 0.4",
            psf.airy(9, wavelength=0.5, na=0.5, pixel_size=0.1, obstruction=0.4),
        ),
    ],
)
def test_planes_are_the_functions(line: str, expected: np.ndarray) -> None:
    run(*line.split(), "-o", "psf.npy", "--dtype", "float64")
    np.testing.assert_array_equal(io.read("psf.npy").data, expected)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("gibson-lanni --shape 9 --wavelength 520 --na 1.2 --pixel-size 0.1", "wavelength is 520 µm"),
        ("gibson-lanni --shape 9,9 --wavelength 0.52 --na 1.2 --pixel-size 0.1", "shape has 2 entries; 3 are wanted"),
        (
            "gibson-lanni --shape 9 --wavelength 0.52 --na 1.6 --pixel-size 0.1",
            "na is 1.6 but immersion_index is 1.515",
        ),
        ("gibson-lanni --shape 9 --wavelength 0.52 --na 1.2 --pixel-size 0.1 --depth -3", "depth is -3"),
        ("born-wolf --shape 9 --wavelength 0.52 --na 1.2 --pixel-size 0.1,0.2", "pixel_size has 2 entries"),
        ("kolmogorov --shape 9", "neither fwhm nor r0 is given"),
        ("kolmogorov --shape 9 --r0 0.1 --wavelength 0.5", "--r0 is given without --pixel-size"),
        ("moffat --shape 9 --fwhm 3 --beta 0.5", "beta is 0.5; it must be larger than 1"),
    ],
)
def test_errors_are_one_line(line: str, words: str) -> None:
    assert words in run(*line.split(), "-o", "psf.tif", code=2).stderr
