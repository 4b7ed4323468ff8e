"""The commands on a PSF that one has, and the one that measures stars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from sigdeconv import cli, io
from sigdeconv._cli_psf_shape import psf as commands
from sigdeconv.psf import crop, from_stars, gaussian, radial_average, resample


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: object, code: int = 0) -> Result:
    """Run the command; an error must be one line, and leave nothing behind."""
    assert cli.psf is commands
    before = sorted(Path().rglob("*"))
    result = CliRunner().invoke(cli.cli, ["psf", *(str(arg) for arg in args)], prog_name="sigdeconv")
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    if code:
        assert result.stderr.splitlines()[-1].startswith("sigdeconv: error: ")
        assert sorted(Path().rglob("*")) == before
    return result


@pytest.fixture
def volume() -> np.ndarray:
    psf = gaussian((21, 40, 41), (3.0, 2.0, 1.5)).astype("float32")
    io.write("psf.tif", psf, like=io.Picture(psf, "ZYX", {"Z": 0.3, "Y": 0.1, "X": 0.1}))
    return psf


def test_radial_is_the_function(volume: np.ndarray) -> None:
    run("radial", "psf.tif", "-o", "r.tif", "--mirror-z")
    made = io.read("r.tif")
    np.testing.assert_allclose(made.data, radial_average(volume, mirror_z=True), rtol=1e-6)
    assert made.spacing == pytest.approx({"Z": 0.3, "Y": 0.1, "X": 0.1})


def test_resample_takes_the_voxel_size_of_the_file(volume: np.ndarray) -> None:
    run("resample", "psf.tif", "-o", "r.tif", "--to", "0.3,0.2,0.15")
    made = io.read("r.tif")
    np.testing.assert_allclose(made.data, resample(volume, (0.3, 0.1, 0.1), (0.3, 0.2, 0.15)), rtol=1e-4, atol=1e-9)
    assert made.spacing == pytest.approx({"Z": 0.3, "Y": 0.2, "X": 0.15})
    run("resample", "psf.tif", "-o", "q.npy", "--to", 0.2, "--pixel-size", 0.1, "--shape", 9)
    np.testing.assert_allclose(io.read("q.npy").data, resample(volume, 0.1, 0.2, shape=9), rtol=1e-4, atol=1e-9)
    io.write("psf.npy", volume)
    said = run("resample", "psf.npy", "-o", "s.npy", "--to", 0.2, code=2).stderr
    assert "does not say its voxel size; pass --pixel-size" in said


def test_crop_is_the_function_and_says_what_it_keeps(volume: np.ndarray) -> None:
    said = run("crop", "psf.tif", "-o", "c.tif", "--energy", 0.99).stderr
    wanted = crop(volume, 0.99)
    made = io.read("c.tif")
    np.testing.assert_allclose(made.data, wanted.psf, rtol=1e-6)
    assert f"{wanted.kept:.4%} of the energy kept, (21, 40, 41) cut to {wanted.psf.shape}" in said
    assert made.spacing == pytest.approx({"Z": 0.3, "Y": 0.1, "X": 0.1})
    assert "energy is 2; it must be at most 1" in run("crop", "psf.tif", "-o", "d.tif", "--energy", 2, code=2).stderr


def test_stars_are_measured_and_the_widths_said() -> None:
    y, x = np.mgrid[:64, :64]
    image = 10 + sum(500 * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 8) for a, b in [(20.3, 15.8), (40.1, 44.6)])
    io.write("frame.tif", image)
    said = run("stars", "frame.tif", "-o", "psf.tif", "--shape", 15, "--pixel-size", 0.05).stderr
    assert "2 stars used, FWHM 0.2355, 0.2355 arcsec (y, x); not used: none" in said
    wanted = from_stars(io.read("frame.tif").data, 15).psf
    np.testing.assert_allclose(io.read("psf.tif").data, wanted, rtol=1e-5, atol=1e-9)
    run("stars", "frame.tif", "-o", "frame.tif", "--overwrite", code=2)


@pytest.mark.parametrize("name", ["page.png", "page.svg"])
def test_a_page_is_written_whole_or_not_at_all(name: str) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install sigdeconv[plots]")
    io.write("psf.tif", gaussian(15, 2.0))
    run("report", "psf.tif", "-o", name, "--scale", "log")
    kept = Path(name).read_bytes()
    assert kept[:4] in (b"\x89PNG", b"<?xm")
    assert f"{name} exists" in run("report", "psf.tif", "-o", name, code=2).stderr
    assert Path(name).read_bytes() == kept
    if name == "page.svg":
        assert "fitted Gaussian" in kept.decode()
        run("report", "psf.tif", "-o", name, "--overwrite", "--pixel-size", 0.1, "--unit", "nm", "--title", "T")
        assert Path(name).read_bytes() != kept
    assert "is no page; pass a name that ends with" in run("report", "psf.tif", "-o", "page.tif", code=2).stderr
    assert "does not exist; make" in run("report", "psf.tif", "-o", "no/page.png", code=2).stderr
