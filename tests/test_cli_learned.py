"""The commands `upscale` and `denoise`, with weights that nobody trained: files in, the library's results out."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

torch = pytest.importorskip("torch", reason="torch is not installed: pip install sigdeconv[learned]")

from sigdeconv import cli, io  # noqa: E402
from sigdeconv.transposed import bicubic, denoise, upscale, weights  # noqa: E402
from sigdeconv.transposed.models import FastUpscaler  # noqa: E402

STORY = {"seed": 0, "data": [], "results": {}, "learning_curve": []}


@pytest.fixture(autouse=True)
def folder(stand_ins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and weights where the packaged ones are looked for."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def run(*args: object, code: int = 0) -> Result:
    """Run the command; an error must be one line and leave nothing behind."""
    before = sorted(Path().rglob("*"))
    result = CliRunner().invoke(cli.cli, [str(arg) for arg in args], prog_name="sigdeconv")
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    if code:
        assert result.stderr.splitlines()[-1].startswith("sigdeconv: error: ")
        assert len(result.stderr.splitlines()) == 1
        assert sorted(Path().rglob("*")) == before
    return result


def picture(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    smooth = np.kron(
        rng.random(tuple(-(-n // 8) for n in shape[:2]) + shape[2:]), np.ones((8, 8) + (1,) * len(shape[2:]))
    )
    return np.round(40 + 170 * smooth[: shape[0], : shape[1]] + 3 * rng.standard_normal(shape)).astype(np.uint8)


def test_a_photograph_is_enlarged():
    x = picture(31, 44, 3)
    io.write("a.png", x)
    result = run("upscale", "a.png", "--network", "fast", "-o", "b.png")
    large = io.read("b.png")
    expected = upscale(x, 2, network="fast", channel_axis=-1)
    assert large.data.dtype == np.uint8
    np.testing.assert_array_equal(large.data, np.clip(np.rint(expected), 0, 255).astype(np.uint8))
    assert "wrote b.png, (62, 88, 3) uint8" in result.stderr


def test_pixels_get_smaller_and_planes_keep_their_distance():
    x = np.stack([picture(20, 24), picture(20, 24)]).astype(np.float32)
    io.write("a.tif", x, like=io.Picture(x, "ZYX", {"Z": 0.3, "Y": 0.1, "X": 0.1}))
    run("upscale", "a.tif", "--network", "fast", "--data-range", 255, "-o", "b.tif")
    large = io.read("b.tif")
    assert large.data.shape == (2, 40, 48)
    assert large.spacing == pytest.approx({"Z": 0.3, "Y": 0.05, "X": 0.05})
    np.testing.assert_allclose(large.data, upscale(x, 2, network="fast", data_range=255), atol=1e-3)


def test_opacity_is_enlarged_with_the_picture():
    from PIL import Image

    alpha = np.zeros((16, 20), np.uint8)
    alpha[:, 10:] = 255
    Image.fromarray(np.dstack([picture(16, 20, 3), alpha])).save("a.png")
    run("upscale", "a.png", "--network", "fast", "-o", "b.png")
    found = np.asarray(Image.open("b.png"))
    assert found.shape == (32, 40, 4)
    np.testing.assert_allclose(found[..., 3], np.rint(bicubic.imresize(alpha, 2)).clip(0, 255), atol=1)


def test_noise_is_estimated_and_told():
    x = picture(48, 56)
    io.write("a.png", x)
    result = run("denoise", "a.png", "-o", "b.tif", "--dtype", "float32")
    np.testing.assert_allclose(io.read("b.tif").data, denoise(x), atol=1e-3)
    assert "from the data: sigma" in result.stderr
    told = run("denoise", "a.png", "-o", "c.tif", "--sigma", 5)
    assert "from the data" not in told.stderr
    np.testing.assert_allclose(io.read("c.tif").data, denoise(x, 5), atol=1e-3)
    assert run("denoise", "a.png", "-o", "d.tif", "--quiet").stderr == ""


def test_colours_are_denoised_together():
    x = picture(40, 48, 3)
    io.write("a.png", x)
    run("denoise", "a.png", "--sigma", 5, "-o", "b.tif", "--dtype", "float32")
    np.testing.assert_allclose(io.read("b.tif").data, denoise(x, 5, channel_axis=-1), atol=1e-3)


def test_weights_of_one_s_own(tmp_path):
    net = FastUpscaler(3, generator=3).collapse()
    own = weights.save(tmp_path / "own.safetensors", net, {"recipe": {"model": "fast", "scale": 3}, **STORY})
    io.write("a.png", picture(16, 20))
    run("upscale", "a.png", "--scale", 3, "--network", own, "-o", "b.png")
    assert io.read("b.png").data.shape == (48, 60)
    assert (
        "weights of an upscaler by 2 are wanted"
        in run("upscale", "a.png", "--network", own, "-o", "c.png", code=2).stderr
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("upscale a.png --network best -o b.png", "network is 'best'; pass 'fast', 'strong'"),
        ("upscale a.png --network none.safetensors -o b.png", "none.safetensors does not exist"),
        ("upscale a.png --scale 5 -o b.png", "Invalid value for '--scale'"),
        ("upscale f.tif --network fast -o b.tif", "image reaches 255 but its white is 1"),
        ("upscale f.tif --network fast -o f.tif", "exists"),
        ("upscale line.npy --network fast -o b.npy", "(..., y, x) is wanted"),
        ("upscale nan.tif --network fast -o b.tif", "NaN"),
        ("denoise a.png --sigma -1 -o b.png", "sigma is -1"),
        ("denoise tiny.npy --data-range 255 -o b.npy", "samples"),
        ("denoise missing.png -o b.png", "missing.png"),
    ],
)
def test_what_is_wrong_is_one_line(line, message):
    io.write("a.png", picture(16, 20))
    io.write("f.tif", np.full((16, 20), 255.0, np.float32))
    np.save("line.npy", np.ones(9, np.float32))
    np.save("tiny.npy", np.ones((2, 3), np.float32))
    nan = np.ones((16, 20), np.float32)
    nan[3, 4] = np.nan
    io.write("nan.tif", nan)
    assert message in run(*line.split(), code=2).stderr


def test_without_torch_it_says_what_to_install(monkeypatch):
    io.write("a.png", picture(16, 20))
    for name in [name for name in sys.modules if name.startswith("sigdeconv.transposed.pretrained")]:
        monkeypatch.delitem(sys.modules, name)
    import sigdeconv.transposed

    monkeypatch.delitem(vars(sigdeconv.transposed), "upscale", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "pip install sigdeconv[learned]" in run("upscale", "a.png", "-o", "b.png", code=2).stderr


def test_the_learned_prior_of_plug_and_play():
    x = picture(32, 40)
    io.write("a.png", x)
    line = "plug-and-play a.png --psf gaussian:1 --denoiser learned --num-iter 2 --sigma 3 -o b.tif --dtype float32"
    run(*line.split())
    import sigdeconv

    psf = sigdeconv.psf.gaussian((9, 9), 1.0)
    expected = sigdeconv.plug_and_play(x, psf, denoiser=sigdeconv.transposed.prior, num_iter=2, sigma=3)
    np.testing.assert_allclose(io.read("b.tif").data, expected, atol=0.5)


@pytest.mark.parametrize(("command", "function"), [("upscale", upscale), ("denoise", denoise)])
def test_defaults_and_names_are_those_of_the_library(command, function):
    told = cli.cli.commands[command].make_context(command, ["a.png", "-o", "b.png"]).params
    for name, parameter in inspect.signature(function).parameters.items():
        if name in ("image", "callback", "channel_axis"):
            continue
        wanted = 2 if name == "scale" else parameter.default  # the command has a default for it
        assert told[name] == wanted, name
