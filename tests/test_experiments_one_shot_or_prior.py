"""One shot or prior: the data of the two uses, and the chapter at a small size."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="networks need torch: pip install sigdeconv[learned]")
pytest.importorskip("safetensors", reason="weights need safetensors: pip install sigdeconv[learned]")
pytest.importorskip("matplotlib", reason="the experiments draw: pip install sigdeconv[plots]")

import sigdeconv
from experiments import one_shot_or_prior as experiment
from experiments.common import Study, Table


@pytest.mark.parametrize("name", experiment.PSFS)
def test_training_blurs_as_the_operator_does(name, torch):
    psf, side = experiment.PSFS[name], experiment.PATCH
    patches = torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(0))
    (blurred, sigma), clean = experiment.blurring(psf)(patches, torch.Generator().manual_seed(1))
    assert torch.equal(clean, patches)
    assert sigma.tolist() == pytest.approx([experiment.SIGMA / 255] * 2)
    wanted = sigdeconv.Convolution(psf, (side, side), boundary="periodic").forward(patches[:, 0].numpy().astype(float))
    noise = blurred[:, 0].numpy() - wanted
    assert noise.std() == pytest.approx(experiment.SIGMA / 255, rel=0.03)
    assert abs(noise.mean()) < 3 * noise.std() / np.sqrt(noise.size)
    other = sigdeconv.Convolution(np.roll(psf, 1, 0), (side, side), boundary="periodic").forward(patches[:, 0].numpy())
    assert (blurred[:, 0].numpy() - other).std() > 1.2 * noise.std()  # a shift would show


def test_a_frame_of_a_scene_that_goes_on():
    (scene,) = experiment.scenes(["camera"])
    seen = experiment.observe(scene, experiment.PSFS["disk, radius 2.5 px"], 1.0, np.random.default_rng(0))
    assert seen.truth.shape == seen.image.shape == (experiment.SIDE,) * 2
    assert scene.shape > seen.truth.shape
    assert 20 < np.std(seen.truth) < 100
    # the frame that is seen is a part of the scene
    windows = np.lib.stride_tricks.sliding_window_view(scene, seen.truth.shape)
    assert (np.abs(windows - seen.truth).max(axis=(-2, -1)) < 1e-3).sum() == 1


def test_the_finding_follows_the_numbers():
    def rows(shot, prior):
        blurs = [{"blur": "own", "wiener": 1.0, "shot": 4.0, "prior": 5.0}]
        blurs += [{"blur": "other", "wiener": 1.0, "shot": shot, "prior": prior}]
        widths = [
            {"width": w, "wiener": 1.0, "shot": 0.5, "prior": p, "right": 3.0} for w, p in ((0.8, -7.0), (2.4, 2.0))
        ]
        return blurs, widths

    said = experiment.finding(*rows(-2.0, 5.0))
    assert "gains +4.0 dB, 1.0 dB behind" in said
    assert "gains −2.0 dB where the prior, told the blur, gains +5.0, and harms 1 of them" in said
    assert "where 0.8 px are true and 1.6 px learned or told" in said
    assert "changes the image by +0.5 dB and the inverse by −7.0" in said
    assert "harms" not in experiment.finding(*rows(0.5, 5.0))


def test_the_chapter_at_a_small_size(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "STEPS", (2, 3))
    monkeypatch.setattr(experiment, "SIDE", 40)
    monkeypatch.setattr(experiment, "PSFS", dict([*experiment.PSFS.items()][:2]))
    monkeypatch.setattr(experiment, "NOISES", (2.55, 10.0))
    monkeypatch.setattr(experiment, "WIDTHS", (1.6, 2.4))
    chapter = experiment.run(Study(out=tmp_path, quiet=True))
    tables = {part.name: part.rows for part in chapter.parts if isinstance(part, Table)}
    assert [row["blur"] for row in tables["one_shot_or_prior-blurs"]] == [*experiment.PSFS]
    assert tables["one_shot_or_prior-noise"][0]["shot"] == tables["one_shot_or_prior-blurs"][0]["shot"]
    assert tables["one_shot_or_prior-widths"][0]["right"] == tables["one_shot_or_prior-widths"][0]["prior"]
    assert tables["one_shot_or_prior-widths"][1]["right"] != tables["one_shot_or_prior-widths"][1]["prior"]
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "one_shot_or_prior-pictures.png",
        "one_shot_or_prior-curves.png",
    }
    assert all(
        np.isfinite(v) for rows in tables.values() for row in rows for v in row.values() if not isinstance(v, str)
    )
