"""The command: the examples of its help run, errors are one line with an exit code, and nothing partial is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner, Result

import sigdeconv
from sigdeconv import cli, io


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(21)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: object, code: int = 0) -> Result:
    """Run the command; unless `code` is 0, what is said must be one line and nothing new may be left behind."""
    before = sorted(Path().rglob("*"))
    result = CliRunner().invoke(cli.cli, [str(arg) for arg in args], prog_name="sigdeconv")
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    if code:
        errors = [line for line in result.stderr.splitlines() if not line.startswith("sigdeconv: ")]
        assert not errors
        assert result.stderr.splitlines()[-1].startswith("sigdeconv: error: ")
        assert result.stderr.count("error: ") == 1
        assert sorted(Path().rglob("*")) == before
    return result


def blurred(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Something that is not negative and not noise."""
    image = rng.random(shape)
    for axis in range(len(shape)):
        image = image + np.roll(image, 1, axis)
    return image * 20


# -------------------------------------------------------------------------------------------------------- restoring


def test_wiener_and_inverse_are_the_functions(rng: Any) -> None:
    image = blurred((40, 50), rng).astype("float32")
    io.write("a.tif", image)
    psf = sigdeconv.psf.gaussian((9, 9), 1.0)
    io.write("psf.npy", psf, dtype="float64")
    run("wiener", "a.tif", "--psf", "psf.npy", "-o", "w.tif", "--balance", 0.01, "--regularizer", "identity")
    wanted = sigdeconv.wiener(image, psf, balance=0.01, regularizer="identity")
    np.testing.assert_allclose(io.read("w.tif").data, wanted, rtol=1e-5, atol=1e-4)
    run("inverse", "a.tif", "--psf", "psf.npy", "-o", "i.npy", "--cutoff", 0.1, "--dtype", "float64")
    np.testing.assert_allclose(
        io.read("i.npy").data, sigdeconv.inverse_filter(image, psf, cutoff=0.1), rtol=1e-5, atol=1e-3
    )
    assert io.read("i.npy").data.dtype == "float64"


def test_richardson_lucy_is_the_function(rng: Any) -> None:
    image = blurred((40, 50), rng).astype("float32")
    weights = (rng.random(image.shape) > 0.1).astype("float32")
    psf = sigdeconv.psf.gaussian((9, 9), 1.0)
    for name, data in (("a.tif", image), ("weights.tif", weights), ("psf.tif", psf)):
        io.write(name, data)
    options = [
        "--num-iter",
        7,
        "--boundary",
        "reflect",
        "--no-accelerate",
        "--background",
        3,
        "--weights",
        "weights.tif",
    ]
    run("richardson-lucy", "a.tif", "--psf", "psf.tif", "-o", "r.tif", *options)
    wanted = sigdeconv.richardson_lucy(
        image, psf, num_iter=7, boundary="reflect", accelerate=False, background=3.0, weights=weights
    )
    np.testing.assert_allclose(io.read("r.tif").data, wanted, rtol=1e-3)


def test_a_volume_keeps_its_voxel_size_and_a_flat_psf_restores_section_by_section(rng: Any) -> None:
    image = blurred((4, 30, 32), rng).astype("float32")
    spacing = {"Z": 0.3, "Y": 0.1, "X": 0.1}
    io.write("a.tif", image, like=io.Picture(image, "ZYX", spacing))
    psf = sigdeconv.psf.gaussian((9, 9), 1.0)
    run("richardson-lucy", "a.tif", "--psf", "gaussian:1", "-o", "r.tif", "--num-iter", 3)
    back = io.read("r.tif")
    assert back.axes == "ZYX"
    assert back.spacing == pytest.approx(spacing)
    for section, source in zip(back.data, image, strict=True):
        np.testing.assert_allclose(section, sigdeconv.richardson_lucy(source, psf, num_iter=3), rtol=1e-3)


@pytest.mark.parametrize("axes", ["CZYX", "ZCYX", "TZCYX", "ZYXS"])
def test_channels_are_found_wherever_the_file_has_them(rng: Any, axes: str) -> None:
    sizes = {"T": 2, "C": 2, "Z": 5, "Y": 16, "X": 18, "S": 3}
    image = blurred(tuple(sizes[letter] for letter in axes), rng).astype("float32")
    io.write("a.tif", image, like=io.Picture(image, axes))
    said = run("wiener", "a.tif", "--psf", "gaussian:1,1,1", "-o", "w.tif", "--boundary", "periodic").stderr
    assert f"{sizes['S' if 'S' in axes else 'C']} channels" in said
    psf = sigdeconv.psf.gaussian((9, 9, 9), (1, 1, 1))
    picture = io.read("w.tif")
    assert picture.axes == axes
    order = [axes.index(letter) for letter in "TCSZYX" if letter in axes]
    volumes = np.transpose(image, order).reshape(-1, 5, 16, 18)
    restored = np.transpose(picture.data, order).reshape(-1, 5, 16, 18)
    for volume, result in zip(volumes, restored, strict=True):
        np.testing.assert_allclose(result, sigdeconv.wiener(volume, psf, boundary="periodic"), rtol=1e-4, atol=1e-3)


def test_a_photograph_keeps_its_type_and_clipping_is_said(rng: Any) -> None:
    photo = np.clip(blurred((40, 50, 3), rng) * 3, 0, 255).astype("uint8")
    io.write("photo.png", photo)
    said = run("wiener", "photo.png", "--psf", "disk:2", "-o", "sharp.png", "--balance", 0.001).stderr
    back = io.read("sharp.png").data
    assert back.dtype == "uint8"
    assert back.shape == photo.shape
    run("wiener", "photo.png", "--psf", "disk:2", "-o", "sharp.tif", "--balance", 0.001)
    exact = io.read("sharp.tif").data
    assert exact.dtype == "float32"
    clipped = int(np.sum(np.rint(exact) < 0) + np.sum(np.rint(exact) > 255))
    assert clipped > 0
    assert f"warning: {clipped} of {photo.size} samples" in said
    np.testing.assert_array_equal(back, np.rint(exact).clip(0, 255))


def test_colours_that_the_file_does_not_name(rng: Any) -> None:
    photo = blurred((30, 32, 3), rng)
    io.write("a.npy", photo)
    command = ("wiener", "a.npy", "--psf", "gaussian:1", "--balance", 0.1, "--overwrite", "-o")
    run(*command, "b.tif", "--channel-axis", -1)
    wanted = sigdeconv.wiener(photo, sigdeconv.psf.gaussian((9, 9), 1.0), balance=0.1, channel_axis=-1)
    assert io.read("b.tif").axes == "YXS"
    np.testing.assert_allclose(io.read("b.tif").data, wanted, rtol=1e-4, atol=1e-3)
    assert "--channel-axis -1" in CliRunner().invoke(cli.cli, [str(c) for c in (*command, "c.npy")]).stderr
    run(*command, "d.npy", "--channel-axis", 5, code=2)
    run(*command, "d.npy", "--channel-axis", "red", code=2)


def test_channels_that_are_none(rng: Any) -> None:
    image = blurred((5, 16, 18), rng).astype("float32")
    io.write("a.tif", image, like=io.Picture(image, "CYX"))  # as ImageJ saves a stack that nobody called one
    run("wiener", "a.tif", "--psf", "gaussian:1,1,1", "-o", "w.tif", code=2)
    run("wiener", "a.tif", "--psf", "gaussian:1,1,1", "-o", "w.tif", "--channel-axis", "none", "--balance", 0.1)
    psf = sigdeconv.psf.gaussian((9, 9, 9), (1, 1, 1))
    np.testing.assert_allclose(io.read("w.tif").data, sigdeconv.wiener(image, psf, balance=0.1), rtol=1e-4, atol=1e-3)


def test_the_sum_of_the_psf(rng: Any) -> None:
    image = blurred((30, 32), rng).astype("float32")
    io.write("a.tif", image)
    io.write("psf.tif", 4 * sigdeconv.psf.gaussian((9, 9), 1.0))
    command = ("inverse", "a.tif", "--psf", "psf.tif", "--cutoff", 0.1, "-o")
    assert "scaled from sum 4 to 1" in run(*command, "b.tif").stderr
    assert io.read("b.tif").data.mean() == pytest.approx(image.mean(), rel=1e-3)
    assert "scaled" not in run(*command, "c.tif", "--keep-psf-sum").stderr
    assert io.read("c.tif").data.mean() == pytest.approx(image.mean() / 4, rel=1e-3)


def test_a_plane_of_the_psf_and_voxels_of_another_size(rng: Any) -> None:
    image = blurred((30, 32), rng).astype("float32")
    io.write("a.tif", image, like=io.Picture(image, "YX", {"Y": 0.1, "X": 0.1}))
    planes = np.stack([sigdeconv.psf.gaussian((9, 9), s) for s in (1.0, 2.0)])
    io.write("psf.tif", planes, like=io.Picture(planes, "ZYX", {"Z": 1.0, "Y": 0.1, "X": 0.2}))
    assert "--psf-plane K" in run("wiener", "a.tif", "--psf", "psf.tif", "-o", "w.tif", code=2).stderr
    said = run("wiener", "a.tif", "--psf", "psf.tif", "--psf-plane", 1, "-o", "w.tif", "--balance", 0.1).stderr
    assert "warning: voxels of the PSF are 0.2 um along x, those of the image 0.1 um" in said
    assert "along y" not in said
    np.testing.assert_allclose(
        io.read("w.tif").data, sigdeconv.wiener(image, planes[1], balance=0.1), rtol=1e-3, atol=1e-3
    )
    assert "has 2 planes" in run("wiener", "a.tif", "--psf", "psf.tif", "--psf-plane", 2, "-o", "v.tif", code=2).stderr


def test_counts_below_zero_and_not_finite(rng: Any) -> None:
    image = blurred((30, 32), rng).astype("float32")
    subtracted = image - 10
    subtracted[3, 4] = -1
    io.write("a.tif", subtracted)
    command = ("richardson-lucy", "a.tif", "--psf", "gaussian:1", "--num-iter", 3, "-o")
    assert "--pedestal" in run(*command, "b.tif", code=2).stderr
    run(*command, "b.tif", "--pedestal", 30)
    psf = sigdeconv.psf.gaussian((9, 9), 1.0)
    wanted = sigdeconv.richardson_lucy(subtracted + 30, psf, num_iter=3, background=30.0)
    np.testing.assert_allclose(io.read("b.tif").data, wanted, rtol=1e-3, atol=1e-3)
    assert f"warning: a.tif has {np.sum(subtracted < 0)} of 960" in run(*command, "c.tif", "--clip-negative").stderr
    image[5, 6] = np.nan
    io.write("a.tif", image, overwrite=True)
    assert "NaN" in run(*command, "d.tif", code=2).stderr
    assert "1 samples are not finite" in run(*command, "d.tif", "--weights", "finite").stderr
    assert np.isfinite(io.read("d.tif").data).all()


# -------------------------------------------------------------------------------------------------- making a PSF, info


def test_psf_from_a_formula() -> None:
    run("psf", "gaussian", "--sigma", "2,1", "-o", "g.tif")
    np.testing.assert_allclose(io.read("g.tif").data, sigdeconv.psf.gaussian((17, 9), (2, 1)), rtol=1e-6)
    run("psf", "gaussian", "--sigma", "1.5", "--shape", "7,9,11", "-o", "h.npy", "--dtype", "float64")
    np.testing.assert_array_equal(io.read("h.npy").data, sigdeconv.psf.gaussian((7, 9, 11), 1.5))
    run("psf", "disk", "--radius", 3.5, "-o", "d.tif")
    np.testing.assert_allclose(io.read("d.tif").data, sigdeconv.psf.disk(3.5), rtol=1e-6)
    run("psf", "motion", "--length", 15, "--angle", 30, "-o", "m.tif")
    np.testing.assert_allclose(io.read("m.tif").data, sigdeconv.psf.motion(15, 30), rtol=1e-6)
    run("psf", "airy", "--shape", 31, "--wavelength", 0.52, "--na", 0.5, "--pixel-size", 0.1, "-o", "a.tif")
    wanted = sigdeconv.psf.airy((31, 31), wavelength=0.52, na=0.5, pixel_size=0.1)
    np.testing.assert_allclose(io.read("a.tif").data, wanted, rtol=1e-6)
    assert io.read("a.tif").spacing == pytest.approx({"Y": 0.1, "X": 0.1})


def test_a_psf_by_its_formula_is_the_one_in_the_file(rng: Any) -> None:
    io.write("a.tif", blurred((30, 32), rng))
    command = ("wiener", "a.tif", "--balance", 0.1, "--quiet", "-o")
    made = {"gaussian:2,1": ("gaussian", "--sigma", "2,1"), "disk:2.5": ("disk", "--radius", 2.5)}
    made["motion:7,-30"] = ("motion", "--length", 7, "--angle", -30)
    for i, (formula, by_command) in enumerate(made.items()):
        run("psf", *by_command, "-o", f"{i}.npy", "--dtype", "float64")
        run(*command, f"a{i}.npy", "--psf", formula)
        run(*command, f"b{i}.npy", "--psf", f"{i}.npy")
        np.testing.assert_array_equal(io.read(f"a{i}.npy").data, io.read(f"b{i}.npy").data)
    assert "pass gaussian:SIGMA" in run(*command, "c.npy", "--psf", "disk:1,2", code=2).stderr


def test_psf_from_beads(rng: Any) -> None:
    z, y, x = np.mgrid[:21, :64, :64]
    stack = rng.normal(10, 0.5, z.shape)
    for centre in ((10, 16, 16), (10.3, 45.6, 20.2), (9.8, 30.1, 48)):
        far = ((z - centre[0]) / 2) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2
        stack += 200 * np.exp(-far / (2 * 1.5**2))
    io.write("beads.tif", stack, like=io.Picture(stack, "ZYX", {"Z": 0.3, "Y": 0.1, "X": 0.1}))
    result = run("psf", "beads", "beads.tif", "-o", "psf.tif", "--shape", "9,11,11")
    assert re.search(r"3 beads used, centred at .*45\.[56], 20\.[12]", result.stderr)
    psf = io.read("psf.tif")
    assert psf.data.shape == (9, 11, 11)
    assert psf.data.sum() == pytest.approx(1, abs=1e-4)
    assert psf.spacing == pytest.approx({"Z": 0.3, "Y": 0.1, "X": 0.1})
    run("psf", "beads", "beads.tif", "-o", "beads.tif", "--overwrite", code=2)


def test_info(rng: Any) -> None:
    data = np.arange(24, dtype="float32").reshape(2, 3, 4)
    data[0, 0, 0] = np.nan
    io.write("a.tif", data, like=io.Picture(data, "ZYX", {"Z": 0.3, "Y": 0.1, "X": 0.1}))
    io.write("b.png", np.full((4, 5), 7, "uint8"))
    said = run("info", "a.tif", "b.png").stdout
    for words in ("a.tif", "(2, 3, 4), axes ZYX", "float32", "z 0.3, y 0.1, x 0.1 um", "1 to 23, mean 12", "finite  1"):
        assert words in said
    for words in ("b.png", "(4, 5), axes YX", "uint8", "unknown", "7 to 7, mean 7", "finite  0"):
        assert words in said


# ----------------------------------------------------------------------------------------------------- manners


def commands() -> list[list[str]]:
    names = [[name] for name in sorted(cli.cli.commands)]
    return [[], *names, *(["psf", name] for name in sorted(cli.psf.commands))]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_help_has_examples_that_parse(command: list[str]) -> None:
    said = run(*command, "--help").stdout
    examples = re.findall(r"^ +(sigdeconv .*)$", said, re.MULTILINE)
    assert examples
    for example in examples:
        node: click.Command = cli.cli
        args = example.split()[1:]
        while isinstance(node, click.Group):
            node = node.commands[args.pop(0)]
        with node.make_context("sigdeconv", args):
            pass


def test_errors_are_one_line(rng: Any) -> None:
    io.write("a.tif", blurred((30, 32), rng))
    io.write("out.tif", np.zeros((3, 3)))
    kept = Path("out.tif").read_bytes()
    Path("broken.tif").write_bytes(Path("a.tif").read_bytes()[:2000])
    good = ("wiener", "a.tif", "--psf", "disk:2", "-o")
    for words, args in {
        "out.tif exists": (*good, "out.tif"),
        "make ": (*good, "nowhere/b.tif"),
        "pass one of .tif": (*good, "b.xyz"),
        "cannot hold float32": (*good, "b.png"),
        "nothing.tif does not exist": ("wiener", "nothing.tif", "--psf", "disk:2", "-o", "b.tif"),
        "psf.tif does not exist": ("wiener", "a.tif", "--psf", "psf.tif", "-o", "b.tif"),
        "broken.tif cannot be read": ("wiener", "broken.tif", "--psf", "disk:2", "-o", "b.tif"),
        "out.tif is what --psf": ("wiener", "a.tif", "--psf", "out.tif", "-o", "out.tif", "--overwrite"),
        "No such command 'blur'": ("blur",),
        "No such option": (*good, "b.tif", "--strength", 3),
        "Missing option": ("wiener", "a.tif"),
        "balance is -1": (*good, "b.tif", "--balance", -1),
        "See: sigdeconv richardson-lucy --help": ("richardson-lucy", "a.tif", "--num-iter", 0),
        "numbers with commas": ("psf", "gaussian", "--sigma", "2,x", "-o", "p.tif"),
    }.items():
        assert words in run(*args, code=2).stderr, words
    assert Path("out.tif").read_bytes() == kept


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MemoryError("Unable to allocate 9 TiB"), 1, "not enough memory: Unable to allocate 9 TiB"),
        (OSError(28, "No space left on device"), 1, "No space left"),
        (KeyboardInterrupt(), 130, "interrupted; no partial file is left"),
        (RuntimeError("two\nlines"), 1, "RuntimeError: two lines; this is a fault of the program"),
        (ValueError("image is odd"), 2, "image is odd"),
    ],
)
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, rng: Any, error: BaseException, code: int, words: str) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    io.write("a.tif", blurred((30, 32), rng))
    monkeypatch.setattr(sigdeconv, "wiener", fail)
    assert words in run("wiener", "a.tif", "--psf", "disk:2", "-o", "b.tif", code=code).stderr
    if isinstance(error, Exception):  # the other is click's to catch
        shown = CliRunner().invoke(cli.cli, ["--debug", "wiener", "a.tif", "--psf", "disk:2", "-o", "b.tif"])
        assert shown.exception is error


def test_quiet_and_progress(rng: Any) -> None:
    io.write("a.tif", blurred((30, 32), rng))
    command = ("richardson-lucy", "a.tif", "--psf", "disk:2", "--num-iter", 5, "-o")
    said = run(*command, "b.tif").stderr
    assert re.fullmatch(r"sigdeconv: wrote b.tif, \(30, 32\) float32, in \d+\.\d s\n", said)
    assert run(*command, "c.tif", "--quiet").stderr == ""
    bar = run(*command, "d.tif", "--progress").stderr
    assert "5/5" in bar
    assert "<" in bar  # the time left
    np.testing.assert_array_equal(io.read("b.tif").data, io.read("d.tif").data)


def test_a_fits_file_says_what_was_done_to_it(rng: Any) -> None:
    """Each command adds its line; the header that was there stays."""
    fits = pytest.importorskip("astropy.io.fits", reason="astropy is not installed")
    unit = fits.PrimaryHDU(blurred((24, 24), rng).astype("float32"))
    unit.header["OBJECT"] = "M15"
    unit.writeto("sky.fits")
    run("richardson-lucy", "sky.fits", "--psf", "gaussian:1.5", "-o", "once.fits", "--num-iter", 3, "--no-accelerate")
    run("wiener", "once.fits", "--psf", "gaussian:1.5", "-o", "twice.fits", "--balance", 0.1, "--overwrite", "--quiet")
    header = fits.getheader("twice.fits")
    told = "".join(str(line) for line in header["HISTORY"]).replace(" ", "")  # long lines are cut at a column
    assert header["OBJECT"] == "M15"
    assert f"sigdeconv{sigdeconv.__version__}:richardson-lucy--psfgaussian:1.5--num-iter3--no-accelerate" in told
    assert f"sigdeconv{sigdeconv.__version__}:wiener--psfgaussian:1.5--balance0.1" in told
    assert "overwrite" not in told


def test_overwrite_in_place(rng: Any) -> None:
    io.write("a.tif", blurred((30, 32), rng))
    before = io.read("a.tif").data
    run("wiener", "a.tif", "--psf", "disk:2", "-o", "a.tif", code=2)
    np.testing.assert_array_equal(io.read("a.tif").data, before)
    run("wiener", "a.tif", "--psf", "disk:2", "-o", "a.tif", "--overwrite")
    assert not np.array_equal(io.read("a.tif").data, before)


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise on Windows")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_no_partial_file(folder: Path, rng: Any, number: signal.Signals, code: int) -> None:
    io.write("a.npy", blurred((60, 70), rng))
    io.write("out.tif", np.zeros((3, 3)))
    kept = Path("out.tif").read_bytes()
    before = sorted(folder.iterdir())
    long_work = ["richardson-lucy", "a.npy", "--psf", "disk:2", "--num-iter", "1000000", "--progress"]
    with subprocess.Popen(
        [sys.executable, "-m", "sigdeconv", *long_work, "-o", "out.tif", "--overwrite"],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(sigdeconv.__file__).parents[1]), *sys.path])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a shell's "&" ignores it
    ) as process:
        assert process.stderr is not None
        said = b""
        while b"/1000000" not in said:  # at work
            said += process.stderr.read(1)
        time.sleep(0.2)
        process.send_signal(number)
        rest = process.stderr.read().decode()
        assert process.wait(20) == code
    assert "Traceback" not in rest
    if number == signal.SIGINT:
        assert rest.splitlines()[-1].endswith("sigdeconv: error: interrupted; no partial file is left")
    assert sorted(folder.iterdir()) == before
    assert Path("out.tif").read_bytes() == kept


def test_importing_the_command_loads_nothing_heavy() -> None:
    code = (
        "import sys, sigdeconv.cli, sigdeconv.io; "
        "print([m for m in ('torch', 'matplotlib', 'skimage', 'tifffile', 'PIL', 'astropy', 'tqdm', 'dask') "
        "if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(sigdeconv.__file__).parents[1]), *sys.path])}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert said.stdout.strip() == "[]"


def test_real_beads_then_the_real_grid() -> None:
    here = Path(os.environ.get("SIGDECONV_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (here / "confocal_beads.tif").exists():
        pytest.skip("the development data are not here (set SIGDECONV_DATA)")
    run("psf", "beads", here / "confocal_beads.tif", "-o", "psf.tif")
    run("richardson-lucy", here / "confocal_grid.tif", "--psf", "psf.tif", "-o", "restored.tif", "--num-iter", 5)
    restored = io.read("restored.tif")
    assert restored.data.shape == (21, 150, 150)
    assert restored.spacing == pytest.approx({"Z": 0.125, "Y": 0.0225, "X": 0.0225}, rel=0.05)
    with tifffile.TiffFile("restored.tif") as tiff:
        assert tiff.is_imagej
