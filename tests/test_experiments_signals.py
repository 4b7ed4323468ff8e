"""The experiment on signals: what it measures is true, and its sentences come from its tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")

from experiments import common, signals, signals_records


def small(patch):
    patch.setattr(signals_records, "SECONDS", 0.5)
    patch.setattr(signals, "LEVELS", (0.0, 1e-6))


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """All of `signals` on shorter sounds, and where it was written."""
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        patch.setitem(common.STYLE, "savefig.dpi", 40)
        study = common.Study(tmp_path_factory.mktemp("results"), quiet=True)
        return signals.run(study), study.out


@pytest.fixture(scope="module")
def cases():
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        return signals_records.records(common.Study(None, quiet=True))


def rows(chapter, name):
    return next(part for part in chapter[0].parts if isinstance(part, common.Table) and part.name == name).rows


def gain(chapter):
    return {(row["case"], row["key"]): row["gain"] for row in rows(chapter, "signals")}


def test_every_method_is_measured_on_its_records(chapter):
    wanted = [(name, key) for name, keys in signals.USED.items() for key in keys]
    assert [(row["case"], row["key"]) for row in rows(chapter, "signals")] == wanted
    assert sum(row["marked"] for row in rows(chapter, "signals")) == len(signals.USED)
    assert len(rows(chapter, "signals-noise")) == 2 * len(wanted)
    for name in signals.USED:
        assert gain(chapter)[name, "recorded"] == 0


def test_polynomials_divide_exactly_only_where_the_first_tap_outweighs_the_others(chapter):
    snr = {(row["case"], row["key"], row["level"]): row["snr"] for row in rows(chapter, "signals-noise")}
    assert snr["line echo", "deconvolve", 0.0] > 250
    assert 100 < snr["line echo", "deconvolve", 1e-6] < 140
    for name in ("room", "spectrum", "seismic trace"):
        assert snr[name, "deconvolve", 1e-6] < -10  # worse than silence, at a millionth of noise
    assert snr["room", "inverse", 1e-6] > 80


def test_a_leading_zero_is_refused_by_scipy_and_not_by_wiener(chapter):
    first, weak, silent = rows(chapter, "signals-first-tap")
    assert first["divided"] > 250
    assert weak["divided"] < 0
    assert silent["divided"].startswith("ValueError")
    assert min(row["filtered"] for row in (first, weak, silent)) > 200


def test_each_record_is_restored_by_the_method_made_for_it(chapter):
    found = gain(chapter)
    assert found["room", "wiener-power"] > 20
    assert found["spectrum", "rl"] > found["spectrum", "wiener"] + 3
    assert found["seismic trace", "spikes"] > found["seismic trace", "wiener-power"]
    lines = {row["key"]: row for row in rows(chapter, "signals-lines")}
    assert lines["scene"]["area"] == 0
    assert lines["recorded"]["dip"] < 20 < 40 < lines["rl"]["dip"]
    assert lines["rl"]["area"] < 3 < lines["recorded"]["area"]
    layers = {row["key"]: row for row in rows(chapter, "signals-layers")}
    assert layers["spikes"]["found"] >= 14
    assert layers["spikes"]["false"] < layers["inverse"]["false"]


def test_the_finding_is_computed_from_the_rows(chapter):
    tables = [[dict(row) for row in rows(chapter, name)] for name in ("signals", "signals-lines", "signals-first-tap")]
    assert chapter[0].finding == signals.finding(*tables)
    for row in tables[0]:
        row["gain"] = 1.25 if row["key"] == "inverse" else -3.0
    for row in tables[1]:
        row["dip"] = 12.0 if row["key"] == "inverse" else 3.0
    for row in tables[2]:
        row["divided"] = 5.0
    text = signals.finding(*tables)
    assert "gained −3 dB (line echo)" in text
    assert "refused 0 of 3" in text
    assert text.count("(FFT division)") == 4
    assert "3 % as recorded and by 12 % after FFT division" in text


def test_figures_are_written(chapter):
    found, out = chapter
    figures = [part for part in found.parts if isinstance(part, common.Figure)]
    assert [figure.file for figure in figures] == ["signals-traces.png", "signals-noise.png"]
    assert all((out / figure.file).stat().st_size > 1000 for figure in figures)


@pytest.mark.parametrize("name", signals.USED)
def test_a_record_is_its_model(cases, name):
    case = cases[name]
    assert case.image.size == case.clean.size == case.truth.size
    through = case.blur(np.pad(case.truth, [(f.start, d - f.stop) for f, d in zip(*_domain(case), strict=True)]))
    assert through == pytest.approx(case.clean, abs=1e-9 * np.abs(case.clean).max())
    off = case.image - case.clean - case.background
    if name == "spectrum":
        assert np.array_equal(case.image, np.rint(case.image))
        assert np.mean(off**2 / (case.clean + case.background)) == pytest.approx(1, abs=0.2)
    else:
        decibels = 20 * math.log10(case.clean.std() / off.std())
        assert decibels == pytest.approx(26 if name == "seismic trace" else 35, abs=0.6)


def _domain(case):
    return case.blur.frame, case.blur.domain_shape


def test_a_run_repeats_and_depends_on_the_seed(cases):
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        again, other = (signals_records.records(common.Study(None, seed=seed, quiet=True)) for seed in (0, 1))
    for name, case in cases.items():
        assert np.array_equal(case.image, again[name].image)
        assert not np.array_equal(case.image, other[name].image)


def test_signal_to_error_in_decibels_however_large(cases):
    case = cases["seismic trace"]
    assert signals_records.snr(case, 1.1 * case.truth) == pytest.approx(20)
    assert signals_records.snr(case, np.zeros_like(case.truth)) == pytest.approx(0)
    assert signals_records.snr(case, case.truth) == math.inf
    huge = signals_records.snr(case, case.truth + 1e300 * np.sign(case.truth + 0.5))
    assert -6100 < huge < -5900
    assert signals_records.snr(case, np.full_like(case.truth, np.nan)) == -math.inf


def test_layers_are_counted(cases):
    case = cases["seismic trace"]
    truth = case.truth
    strong = np.abs(truth) >= signals_records.FOUND
    assert strong.sum() == np.count_nonzero(truth)
    assert signals_records.layers_found(case, -truth)["found"] == 0
    only = np.zeros_like(truth)
    at = np.flatnonzero(truth)
    away = next(i for i in range(truth.size) if np.abs(at - i).min() > 5)
    only[at[0]], only[away] = 0.5 * truth[at[0]], 0.5 * truth[at[0]]
    assert signals_records.layers_found(case, only) == {"found": 1, "false": 1, "height": 0.0}


def test_the_dip_of_a_doublet():
    (left, _), (right, _) = signals_records.DOUBLET
    spectrum = np.zeros(signals_records.CHANNELS)
    spectrum[left : right + 1] = 4.0
    assert signals_records.doublet_dip(spectrum) == 0
    spectrum[(left + right) // 2] = 1.0
    assert signals_records.doublet_dip(spectrum) == pytest.approx(75)
