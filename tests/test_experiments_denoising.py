"""The experiment on denoising: what each method is told, and one small run with networks that nobody trained."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")

from experiments import denoising as experiment
from experiments.common import SkippedError, Study
from sigdeconv import metrics

CLASSICAL = [key for key in experiment.METHODS if not key.startswith("learned")]


def flats(side: int) -> np.ndarray:
    y, x = np.indices((side, side)) // 12
    return (50 + 120 * ((x + y) % 2)).astype(np.float32)


def test_an_inverse_has_nothing_to_undo():
    noisy = flats(24) + np.random.default_rng(0).normal(0, 25, (24, 24)).astype(np.float32)
    np.testing.assert_allclose(experiment.METHODS["inverse"].restore(noisy, 25.0), noisy, atol=1e-4)


@pytest.mark.parametrize("key", [key for key in CLASSICAL if key != "inverse"])
def test_classical_methods_take_noise_off(key):
    truth = flats(48)
    noisy = truth + np.random.default_rng(0).normal(0, 25, truth.shape).astype(np.float32)
    restored = experiment.METHODS[key].restore(noisy, 25.0)
    least = 1 if key == "wiener" else 4  # edges pass all frequencies: division can do little
    assert metrics.isnr(truth, noisy, restored) > least


def test_scenes_are_photographs_without_their_noise():
    for name in experiment.SCENES:
        image = experiment.scene(name, 40)
        assert image.shape in ((40, 40), (40, 40, 3))
        assert 0 <= image.min() < image.max() <= 255
        assert experiment.grey(image).shape == (40, 40)
    white = np.full((4, 4, 3), 255.0, np.float32)
    np.testing.assert_allclose(experiment.grey(white), 255, rtol=1e-6)


def test_without_torch_it_is_skipped(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SkippedError, match=r"pip install sigdeconv\[learned\]"):
        experiment.run(Study(out=tmp_path, quiet=True))


def test_a_small_run(stand_ins, monkeypatch, tmp_path):
    monkeypatch.setattr(experiment, "SIGMAS", (15.0, 25.0))
    chapter = experiment.run(Study(out=tmp_path, size=32, quiet=True))
    files = {part.file for part in chapter.parts if hasattr(part, "file")}
    assert files == {f"denoising-{name}.png" for name in ("images", "curves", "colour")}
    assert all((tmp_path / file).stat().st_size > 10_000 for file in files)
    tables = {part.name: part for part in chapter.parts if hasattr(part, "rows")}
    rows = {row["method"]: row for row in tables["denoising"].rows}
    assert rows["inverse filter"]["psnr15"] == pytest.approx(20 * np.log10(255 / 15), abs=0.3)
    assert rows["collaborative filter"]["psnr25"] > rows["inverse filter"]["psnr25"] + 3
    assert len(tables["denoising-colour"].rows) == 4
    assert "inverse filter changes no sample" in chapter.finding
