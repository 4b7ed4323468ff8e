"""The experiments on chosen parameters: the data are what the papers say, and the findings are the tables'."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments import scenarios, selection
from experiments.common import Figure, Study, Table

TRUTH = scenarios.picture("camera")[64:128, 64:128]


@pytest.fixture
def study(tmp_path):
    return Study(out=tmp_path, quiet=True, size=96)


def test_the_pictures_are_grey_levels_of_256_pixels():
    for name in scenarios.PICTURES:
        image = scenarios.picture(name)
        assert image.shape == (256, 256)
        assert 0 <= image.min() < 30
        assert 200 < image.max() <= 255


@pytest.mark.parametrize("key", scenarios.SCENARIOS)
def test_blurs_are_normalised_and_noise_is_what_it_says(key):
    scenario = scenarios.SCENARIOS[key]
    assert scenario.psf.sum() == pytest.approx(1, abs=1e-12)
    image = scenarios.observe(TRUTH, scenario, np.random.default_rng(0))
    clean = np.fft.irfft2(
        np.fft.rfft2(TRUTH.astype(float)) * scenarios.sigdeconv.psf_to_otf(scenario.psf, TRUTH.shape), TRUTH.shape
    )
    expected = {"S1": 2**0.5, "S2": 8**0.5, "S3": clean.std() / 100, "S4": 7, "S5": 2, "S6": 8}[key]
    assert np.std(image - clean) == pytest.approx(expected, rel=0.05)


def test_the_scenarios_table(study):
    methods = ("transpose", "wiener", "tv")
    rows = scenarios.rows_of({"camera": TRUTH}, study, methods=methods, scenarios=("S3", "S5"))
    assert [(row["scenario"], row["key"]) for row in rows] == [(s, m) for s in ("S3", "S5") for m in methods]
    by = {(row["scenario"], row["key"]): row for row in rows}
    for key in ("S3", "S5"):
        assert by[key, "transpose"]["isnr"] < 0 < by[key, "wiener"]["isnr"] < by[key, "tv"]["isnr"]
        assert math.isnan(by[key, "transpose"]["chosen"])
    for row in rows:
        assert row["loss"] == pytest.approx(row["oracle"] - row["isnr"])
        assert row["loss"] >= 0
        if row["key"] != "transpose":
            assert row["chosen"] > 0
            assert row["loss"] < 0.6
    lines = {line["key"]: line for line in scenarios.summarise(rows)}
    assert lines["tv"]["mean"] == pytest.approx(np.mean([by[s, "tv"]["isnr"] for s in ("S3", "S5")]))
    assert [key for key, line in lines.items() if line["marked"]] == ["tv"]
    text = scenarios.finding(rows)
    assert f"total variation +{lines['tv']['mean']:.1f} dB" in text
    chapter = scenarios.chapter(study, rows)
    assert sum(isinstance(part, Table) for part in chapter.parts) == 2
    for part in chapter.parts:
        assert not isinstance(part, Figure) or (study.out / part.file).stat().st_size > 10_000


def test_the_selection_experiment(study, monkeypatch):
    monkeypatch.setattr(selection, "SIGMAS", (3.0,))
    monkeypatch.setattr(selection, "PHOTONS", (300.0,))
    monkeypatch.setattr(selection, "METHODS", {key: selection.METHODS[key] for key in ("wiener", "tv")})
    rows = selection.rows_of(study)
    assert [row["key"] for row in rows] == ["wiener", "tv", "rl"]
    for row in rows:
        assert (row["best"], row["oracle"]) in row["curve"] or row["best"] == row["chosen"]
        assert 0 <= row["loss"] < 0.5
    assert f"iteration {rows[-1]['chosen']:.0f} (best {rows[-1]['best']:.0f})" in selection.finding(rows)
