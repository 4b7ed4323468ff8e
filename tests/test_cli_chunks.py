"""Commands on volumes that are restored piece by piece, on a device, or with a PSF that is cropped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

import sigdeconv
from sigdeconv import cli, io
from sigdeconv._cli_chunks import duration
from sigdeconv._cli_values import Size

SHAPE = (16, 40, 36)
PSF = "gaussian:1,1.2,1.2"
PLAIN = ("--num-iter", "4", "--no-accelerate")


@pytest.fixture(autouse=True)
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Counts, in a file of the working folder."""
    monkeypatch.chdir(tmp_path)
    scene = 20 + 200 * sigdeconv.simulate.hollow_spheres(SHAPE, num=6, radius=4, rng=1)
    blurred = sigdeconv.simulate.blur(scene, sigdeconv.psf.gaussian((7, 9, 9), (1, 1.2, 1.2)))
    counts = np.random.default_rng(2).poisson(np.maximum(blurred, 0)).astype(np.float32)
    np.save("cells.npy", counts)
    return counts


def run(*args: object, code: int = 0) -> Result:
    """Run the command; an error is one line, and leaves nothing new behind."""
    before = sorted(Path().rglob("*"))
    result = CliRunner().invoke(cli.cli, [str(arg) for arg in args], prog_name="sigdeconv")
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    if code:
        assert result.stderr.splitlines()[-1].startswith("sigdeconv: error: ")
        assert result.stderr.count("error: ") == 1
        assert sorted(Path().rglob("*")) == before
    return result


def psf_of(text: str = PSF) -> Any:
    from sigdeconv._cli_psf import gaussian_psf

    return gaussian_psf(tuple(float(part) for part in text.partition(":")[2].split(",")), None)


def test_pieces_are_the_function_and_the_run_is_told(volume: Any) -> None:
    done = run("richardson-lucy", "cells.npy", "--psf", PSF, "-o", "out.npy", *PLAIN, "--chunks", "16,20,36")
    whole = sigdeconv.richardson_lucy(volume, psf_of(), num_iter=4, accelerate=False)
    restored = np.load("out.npy")
    assert np.abs(restored - whole).max() < 2e-3 * whole.max()
    assert "2 pieces of 16x20x36 with" in done.stderr
    assert "wrote out.npy, (16, 40, 36) float32" in done.stderr
    assert json.loads(Path("out.npy.json").read_text(encoding="utf-8"))["chunks"]["number"] == 2


def test_an_accelerated_run_agrees_where_pieces_meet() -> None:
    run("richardson-lucy", "cells.npy", "--psf", PSF, "-o", "out.npy", "--num-iter", 6, "--chunks", "16,20,36")
    report = json.loads(Path("out.npy.json").read_text(encoding="utf-8"))
    assert len(report["chosen"]["steps"]) == 6
    assert report["seam"] < 5e-3


def test_what_is_chosen_is_chosen_once_and_said() -> None:
    done = run("wiener", "cells.npy", "--psf", PSF, "-o", "out.npy", "--chunks", 20, "--workers", 2)
    report = json.loads(Path("out.npy.json").read_text(encoding="utf-8"))
    assert f"from the data: balance {report['chosen']['balance']:.4g}" in done.stderr
    assert report["workers"] == 2


def test_counts_are_made_ready_in_each_piece(volume: Any) -> None:
    np.save("below.npy", volume - 5)
    words = ("--psf", PSF, "-o", "out.npy", *PLAIN, "--chunks", "16,20,36")
    run("richardson-lucy", "below.npy", *words, "--pedestal", 5)
    whole = sigdeconv.richardson_lucy(volume, psf_of(), num_iter=4, accelerate=False, background=5)
    assert np.abs(np.load("out.npy") - whole).max() < 2e-3 * whole.max()
    np.save("negative.npy", np.where(np.arange(36) == 3, -40, volume).astype(np.float32))
    failed = run("richardson-lucy", "negative.npy", *words[:3], "no.npy", *words[4:], code=2)
    assert "--clip-negative" in failed.stderr


def test_bad_samples_get_no_weight(volume: Any) -> None:
    volume[5, 20, 18] = np.nan
    np.save("bad.npy", volume)
    words = ("--psf", PSF, *PLAIN, "--chunks", "16,20,36")
    run("richardson-lucy", "bad.npy", *words, "-o", "finite.npy", "--weights", "finite")
    np.save("weights.npy", np.isfinite(volume).astype(np.float32))
    run("richardson-lucy", "bad.npy", *words, "-o", "weighted.npy", "--weights", "weights.npy")
    assert np.isfinite(np.load("finite.npy")).all()
    np.testing.assert_allclose(np.load("finite.npy"), np.load("weighted.npy"), rtol=1e-5)


def test_a_zarr_folder_is_restored_in_pieces_and_described(volume: Any) -> None:
    zarr = pytest.importorskip("zarr", reason="Zarr needs the extra chunked: pip install sigdeconv[chunked]")
    stored = zarr.create_array("cells.zarr", shape=volume.shape, chunks=(16, 20, 20), dtype="float32")
    stored[:] = volume
    told = run("info", "cells.zarr").stdout
    assert "shape       (16, 40, 36)" in told
    assert "stored in   pieces of (16, 20, 20)" in told
    run("richardson-lucy", "cells.zarr", "--psf", PSF, "-o", "out.zarr", *PLAIN)
    whole = sigdeconv.richardson_lucy(volume, psf_of(), num_iter=4, accelerate=False)
    np.testing.assert_allclose(zarr.open_array("out.zarr")[:], whole, atol=1e-3 * whole.max())


def test_errors_are_one_line(volume: Any) -> None:
    words = ("richardson-lucy", "cells.npy", "--psf", PSF)
    assert "pass a path that ends in" in run(*words, "-o", "out.png", "--chunks", 20, code=2).stderr
    assert "float32 or float64" in run(*words, "-o", "o.tif", "--chunks", 20, "--dtype", "uint16", code=2).stderr
    assert "chunks is 0" in run(*words, "-o", "o.npy", "--chunks", 0, code=2).stderr
    assert "'big'" in run(*words, "-o", "o.npy", "--chunks", "big", code=2).stderr
    assert "bytes is wanted" in run(*words, "-o", "o.npy", "--memory", "much", code=2).stderr
    assert "pass more" in run(*words, "-o", "o.npy", "--memory", "1M", code=1).stderr
    io.write("photo.png", volume[0].astype(np.uint8))
    missing = run("wiener", "photo.png", "--psf", "disk:2", "-o", "o.npy", "--chunks", 20, code=2)
    assert "cannot be read piece by piece" in missing.stderr


def test_on_a_device_the_result_is_the_same(volume: Any) -> None:
    pytest.importorskip("torch", reason="--device needs torch: pip install sigdeconv[learned]")
    words = ("richardson-lucy", "cells.npy", "--psf", PSF, *PLAIN)
    run(*words, "-o", "here.npy")
    run(*words, "-o", "there.npy", "--device", "cpu")
    run(*words, "-o", "pieces.npy", "--device", "cpu", "--chunks", "16,20,36", "--overlap", 12)
    here = np.load("here.npy")
    np.testing.assert_allclose(np.load("there.npy"), here, rtol=1e-4)
    np.testing.assert_allclose(np.load("pieces.npy"), here, atol=1e-3 * here.max())
    assert "device is 'moon'" in run(*words, "-o", "no.npy", "--device", "moon", code=2).stderr


def test_a_psf_is_cropped_by_its_energy(volume: Any) -> None:
    io.write("psf.tif", sigdeconv.psf.gaussian((15, 31, 31), 1.2).astype(np.float32))
    words = ("richardson-lucy", "cells.npy", "--psf", "psf.tif", *PLAIN)
    run(*words, "-o", "whole.npy")
    done = run(*words, "-o", "cropped.npy", "--psf-energy", 0.999)
    assert "the PSF is cropped from (15, 31, 31) to (9, 9, 9), which holds 99.9" in done.stderr
    whole = np.load("whole.npy")
    assert 0 < np.abs(np.load("cropped.npy") - whole).max() < 0.01 * whole.max()


@pytest.mark.parametrize(("text", "size"), [("4GiB", 2**32), ("800M", 800 * 2**20), ("1.5g", 1.5 * 2**30), ("64", 64)])
def test_sizes(text: str, size: float) -> None:
    assert Size().convert(text, None, None) == size


def test_no_size() -> None:
    with pytest.raises(click.UsageError, match="a number of bytes is wanted"):
        Size().convert("lots", None, None)


@pytest.mark.parametrize(("seconds", "text"), [(7.4, "7 s"), (130, "2 min"), (9000, "2.5 h")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
