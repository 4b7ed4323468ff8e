"""The recipes for training: what is held out, what a run leaves, and that an interrupted one goes on."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="networks need torch: pip install sigdeconv[learned]")
pytest.importorskip("safetensors", reason="weights need safetensors: pip install sigdeconv[learned]")

import torch

from experiments import train_denoising, train_super_resolution, training_runs
from sigdeconv import io
from sigdeconv.transposed import bicubic, weights


class Enlarge(torch.nn.Module):
    """The smallest upsampler."""

    def __init__(self, scale):
        super().__init__()
        self.layer = torch.nn.ConvTranspose2d(1, 1, scale, stride=scale)

    def forward(self, x):
        return self.layer(x)


class Gain(torch.nn.Module):
    """The smallest denoiser that is told the noise."""

    def __init__(self, channels):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x, sigma):
        assert sigma.shape == x.shape[:1]
        return self.gain * x


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "kodak24").mkdir()
    for name in ("kodim01", "kodim04", "kodim19", "camera"):
        io.write(tmp_path / "kodak24" / f"{name}.png", rng.integers(0, 256, (150, 160, 3)).astype(np.uint8))
    return tmp_path


def test_what_is_held_out_is_never_learned_from(folder):
    ours, more = training_runs.gather(), training_runs.gather([folder])
    assert not set(training_runs.HELD_OUT) & {*ours.learned, *ours.judged, *more.learned, *more.judged}
    assert set(ours.judged) == set(training_runs.JUDGES_OF_OURS)
    assert set(more.judged) == {"kodim04", "kodim19"}
    assert "kodim01" in more.learned
    assert "chelsea" in more.learned
    assert not set(ours.learned) & set(ours.judged)
    assert ours.told() == training_runs.gather().told()
    assert ours.told()["digest"] != more.told()["digest"]


def test_every_photograph_is_there():
    assert {*training_runs.gather().learned, *training_runs.gather().judged} == set(training_runs.OURS)


@pytest.mark.parametrize("scale", [2, 3])
def test_judging_by_the_protocol(folder, scale):
    pictures = training_runs.gather([folder]).judged
    net = Enlarge(scale)
    torch.nn.init.ones_(net.layer.weight)
    torch.nn.init.zeros_(net.layer.bias)
    with torch.no_grad():
        found = train_super_resolution.judge(pictures, scale)(net)
    wanted = []
    for image in pictures.values():
        y = bicubic.eight_bits(bicubic.luminance(image.astype(float)))
        blocks = np.kron(bicubic.low_resolution(y, scale), np.ones((scale, scale)))
        wanted.append(bicubic.psnr_y(y, blocks, scale=scale))
    assert found["score"] == pytest.approx(np.mean(wanted), abs=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_judging_the_denoiser(channels):
    """One that does nothing is told the noise itself; mid-grey pictures leave it room."""
    rng = np.random.default_rng(1)
    pictures = {name: rng.integers(118, 138, (200, 300, 3)).astype(np.uint8) for name in "ab"}
    with torch.no_grad():
        found = train_denoising.judge(pictures, channels)(Gain(channels))
    assert found["sigma 15"] == pytest.approx(20 * np.log10(255 / 15), abs=0.05)
    assert found["sigma 25"] == pytest.approx(20 * np.log10(255 / 25), abs=0.05)
    assert found["score"] == pytest.approx(np.mean([found[f"sigma {s}"] for s in (15, 25, 50)]))


@pytest.mark.parametrize(
    ("recipe", "arguments", "name"),
    [
        (train_super_resolution, ["--scale", "3", "--size", "12"], "upscale_fast_x3"),
        (train_super_resolution, ["--strong", "--size", "12", "--dtype", "float16"], "upscale_strong_x2"),
        (train_denoising, ["--size", "16"], "denoise_grey"),
        (train_denoising, ["--size", "16", "--colour", "--loss", "mse"], "denoise_colour"),
    ],
)
def test_a_recipe_in_pieces_leaves_weights_with_their_record(recipe, arguments, name, folder, monkeypatch):
    def network(told, seed):
        return Enlarge(told.scale) if recipe is train_super_resolution else Gain(told.channels)

    monkeypatch.setattr(recipe, "network", network)
    monkeypatch.setattr(training_runs, "OURS", ("chelsea",))
    out = folder / "out"
    call = ["--data", str(folder), "--out", str(out), "--steps", "12", "--count", "2", "--rate", "0.01"]
    call += ["--device", "cpu", *arguments]
    first = CliRunner().invoke(recipe.main, [*call, "--max-seconds", "1e-9"])
    assert first.exit_code == 0, first.output
    assert "step 1 (to be continued, with the same call), best not judged yet" in first.output
    second = CliRunner().invoke(recipe.main, call)
    assert second.exit_code == 0, second.output
    assert "step 12 (all steps done), best" in second.output
    upsampler = Enlarge(3 if "3" in arguments else 2)
    net = upsampler if recipe is train_super_resolution else Gain(3 if "--colour" in arguments else 1)
    told = weights.load(out / f"{name}.safetensors", net)
    assert told["step"] == 12
    assert told["learning_curve"][-1][0] == 12
    assert told["data"]["validation"] == ["kodim04", "kodim19"]
    assert told["recipe"]["count"] == 2
    assert told["recipe"]["plan"]["steps"] == 12
    assert np.isfinite(told["results"]["score"])
    if "float16" in arguments:
        judge = train_super_resolution.judge(training_runs.gather([folder]).judged, 2)
        with torch.no_grad():
            assert told["results"]["score"] == pytest.approx(judge(net)["score"], abs=1e-4)
    lines = [json.loads(line) for line in (out / name / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 12
    other = CliRunner().invoke(recipe.main, [*call, "--seed", "1"])
    assert other.exit_code == 1
    assert "belongs to another run: seed 0, now 1" in other.output


def test_wrong_options_end_in_one_line(tmp_path):
    wrong = [["--scale", "5"], ["--data", str(tmp_path / "none")], ["--steps", "0"]]
    for arguments in wrong:
        assert CliRunner().invoke(train_super_resolution.main, arguments).exit_code == 2
    empty = CliRunner().invoke(train_super_resolution.main, ["--data", str(tmp_path), "--out", str(tmp_path / "o")])
    assert empty.exit_code == 1
    assert "holds no photograph" in empty.output


def test_a_run_that_begins_with_another_remembers_it(folder, monkeypatch):
    monkeypatch.setattr(train_denoising, "network", lambda told, seed: Gain(told.channels))
    monkeypatch.setattr(training_runs, "OURS", ("chelsea",))

    def call(out, *more):
        wanted = ["--data", str(folder), "--out", str(out), "--size", "16", "--count", "2", "--device", "cpu", *more]
        done = CliRunner().invoke(train_denoising.main, wanted)
        assert done.exit_code == 0, done.output
        return weights.record(out / "denoise_grey.safetensors")

    first = call(folder / "out", "--steps", "5", "--rate", "0.9")
    assert first["before"] == []
    (folder / "out" / "denoise_grey").rename(folder / "out" / "base")
    gain = torch.load(folder / "out" / "base" / "checkpoint.pt", weights_only=True)["average"]["gain"].item()
    assert abs(gain - 1) > 2e-4
    call(folder / "out", "--steps", "3", "--rate", "1e-6", "--start", "base")
    began = torch.load(folder / "out" / "denoise_grey" / "checkpoint.pt", weights_only=True)["average"]["gain"].item()
    assert began == pytest.approx(gain, abs=5e-5)
    (folder / "out" / "denoise_grey").rename(folder / "out" / "second")
    third = call(folder / "out", "--steps", "2", "--rate", "1e-6", "--start", "second")
    assert [(stage["run"], stage["steps"]) for stage in third["before"]] == [("base", 5), ("second", 3)]
    assert all(stage["seconds"] > 0 for stage in third["before"])
    none = CliRunner().invoke(train_denoising.main, ["--out", str(folder / "out2"), "--start", "nobody"])
    assert none.exit_code == 1
    assert "does not exist; pass the folder of a run that has saved its state" in none.output
