"""The experiments on unknown blurs and on colour photographs: what they measure is true."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import sigdeconv

pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")

from experiments import blind, blind_figures, common, kodak


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """All of `blind` on fewer and smaller photographs, and where it was written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blind, "PHOTOGRAPHS", {"camera": blind.PHOTOGRAPHS["camera"]})
        patch.setattr(blind, "SHAKE_TAPS", (9,))
        patch.setitem(common.STYLE, "savefig.dpi", 40)
        study = common.Study(tmp_path_factory.mktemp("results"), size=96, quiet=True)
        return blind.run(study), study.out


def rows(chapter, name):
    return next(part for part in chapter[0].parts if isinstance(part, common.Table) and part.name == name).rows


def test_each_shake_is_measured_without_noise_and_with_some(chapter):
    found = rows(chapter, "blind-shakes")
    assert [row["sigma"] for row in found] == list(blind.SIGMAS)
    for row in found:
        assert row["informed"] < row["blind"] < row["before"]
        assert row["ratio"] == pytest.approx((row["blind"] / row["informed"]) ** 2)


def test_parameters_are_found(chapter):
    found = {row["parameter"]: row for row in rows(chapter, "blind-forms")}
    assert found["radius [px]"]["found"] == pytest.approx(4.3, rel=0.1)
    assert found["length [px]"]["found"] == pytest.approx(14.0, rel=0.1)
    assert found["angle [°]"]["found"] == pytest.approx(35.0, abs=5)
    assert found["length [px]"]["error"].endswith("%")
    assert found["angle [°]"]["error"].endswith("°")


def test_the_finding_speaks_of_the_numbers(chapter):
    found = chapter[0].finding
    share = np.mean([row["ratio"] <= blind.SUCCESS for row in rows(chapter, "blind-shakes")])
    assert f"{100 * share:.0f} % of 2 shaken photographs" in found
    assert "moved by 36 pixels at 2°" in found


def test_every_figure_is_written(chapter):
    figures = [part for part in chapter[0].parts if isinstance(part, common.Figure)]
    assert [figure.file for figure in figures] == ["blind-shakes.png", "blind-stars.png", "blind-clock.png"]
    for figure in figures:
        assert (chapter[1] / figure.file).stat().st_size > 1000


def test_aligned_error_forgives_a_shift_and_nothing_else():
    from scipy.ndimage import gaussian_filter, shift

    truth = gaussian_filter(blind.photograph("camera", 96), 1.5)
    moved = shift(truth, (2.3, -1.6), order=3, mode="nearest")
    plain = float(np.mean((moved - truth)[12:-12, 12:-12] ** 2))
    assert blind.aligned_error(truth, truth) == pytest.approx(0, abs=1e-9)
    assert blind.aligned_error(truth, moved) < 0.02 * plain
    assert blind.aligned_error(truth, truth + 5.0) == pytest.approx(25.0, rel=0.1)  # a shift may take some of it


def test_figures_put_the_origin_of_every_psf_in_one_place():
    for k in (3, 4, 9):
        psf = np.zeros((k, k))
        psf[k // 2, k // 2] = 1
        np.testing.assert_array_equal(np.argwhere(blind_figures.framed(psf, 9)), [[4, 4]])
    lopsided = np.roll(sigdeconv.psf.gaussian((15, 15), 1.5), (1, -2), (0, 1))
    centred = blind_figures.moved_to_origin(lopsided)
    assert np.indices((15, 15))[1].ravel() @ centred.ravel() == pytest.approx(7, abs=0.05)


def test_kodak_takes_every_shake_in_turn_or_all_pairs():
    some, all_pairs = list(kodak.cases(False)), list(kodak.cases(True))
    assert len(set(some)) == 72
    assert len(set(all_pairs)) == 576
    assert {shake for _, shake, _ in some} == set(range(1, 9))
    assert set(some) < set(all_pairs)


def test_kodak_measures_goes_on_and_tells(tmp_path, monkeypatch):
    if common.data_folder() is None:
        pytest.skip("no real data: neither $SIGDECONV_DATA nor ../shared/data beside the repository")
    monkeypatch.setattr(kodak, "PHOTOGRAPHS", 2)
    out = tmp_path / "kodak.jsonl"
    arguments = ["--out", str(out), "--side", "64", "--method", "blurred", "--method", "wiener"]
    result = CliRunner().invoke(kodak.main, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(found) == 6
    assert all(row["wiener"] > row["blurred"] for row in found if row["sigma"] == 2.55)
    mean = np.mean([row["wiener"] for row in found if row["sigma"] == 2.55])
    assert f"| wiener | {mean:.2f} |" in result.output
    out.write_text("\n".join(out.read_text().splitlines()[:4]) + "\n")
    CliRunner().invoke(kodak.main, [str(a) for a in arguments])
    again = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["wiener"] for row in again] == [row["wiener"] for row in found]


def test_kodak_says_that_the_data_are_absent(tmp_path):
    result = CliRunner().invoke(kodak.main, ["--out", str(tmp_path / "a.jsonl"), "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert "kodim01.png" in result.output
