"""The experiment on boundaries: what it measures is true, and its sentences come from its tables."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")

import sigdeconv
from experiments import boundaries, common

SIZE = 64


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """All of `boundaries` on small frames of one scene, and where it was written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boundaries, "SCENES", {"camera": boundaries.SCENES["camera"]})
        patch.setitem(common.STYLE, "savefig.dpi", 40)
        study = common.Study(tmp_path_factory.mktemp("results"), size=SIZE, quiet=True)
        return boundaries.run(study), study.out


@pytest.fixture
def case():
    return boundaries.observe("coins", "defocus, radius 5 px", size=SIZE, rng=np.random.default_rng(3))


def rows(chapter, name):
    return next(part for part in chapter[0].parts if isinstance(part, common.Table) and part.name == name).rows


def test_every_method_is_measured_under_every_boundary(chapter):
    found = {(row["blur"], row["key"], row["boundary"]) for row in rows(chapter, "boundaries")}
    wanted = {
        (blur, key, b)
        for blur in boundaries.BLURS
        for key in boundaries.METHODS
        for b in (*boundaries.BOUNDARIES, *([boundaries.PEERS[key]] if key in boundaries.PEERS else []))
    }
    assert found == wanted
    assert len(rows(chapter, "boundaries")) == len(wanted)
    assert all(np.isfinite([row["border"], row["inside"], row["light"]]).all() for row in rows(chapter, "boundaries"))
    assert sum(row["marked"] for row in rows(chapter, "boundaries-summary")) == len(boundaries.METHODS)


def test_the_unknown_surrounding_has_the_least_error_at_the_border(chapter):
    for blur in boundaries.BLURS:
        for key in boundaries.METHODS:
            mine = {
                row["boundary"]: row for row in rows(chapter, "boundaries") if (row["blur"], row["key"]) == (blur, key)
            }
            free = mine.pop("free")
            others = [row["border"] for row in mine.values()]
            assert free["border"] > max(others)
            assert free["border"] > 5 + np.mean(others)
            assert abs(free["border"] - free["inside"]) < 6
            assert free["light"] == pytest.approx(100, abs=4)
            assert mine["zero"]["border"] < 0.6 * free["border"]


def test_the_finding_is_computed_from_the_rows(chapter):
    table = [dict(row) for row in rows(chapter, "boundaries")]
    assert chapter[0].finding == boundaries.finding(table)
    assert "“free” in 6 of 6" in chapter[0].finding
    for row in table:
        row["border"], row["inside"] = (33.0, 34.0) if row["boundary"] == "zero" else (-2.5, 12.0)
    text = boundaries.finding(table)
    assert "“zero” in 6 of 6" in text
    assert "zero 33.0 dB at the border and 34.0 dB inside" in text
    assert "free −2.5 dB at the border" in text


def test_figures_are_written(chapter):
    found, out = chapter
    figures = [part for part in found.parts if isinstance(part, common.Figure)]
    assert [figure.file for figure in figures] == ["boundaries-maps.png", "boundaries-distance.png"]
    assert all((out / figure.file).stat().st_size > 1000 for figure in figures)


def test_distance_from_the_edge():
    assert boundaries.distance((3, 4)).tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_rings_add_up_to_the_whole_error(case):
    estimate = case.truth + np.random.default_rng(0).normal(0, 5, case.truth.shape)
    counts = np.bincount(boundaries.distance(case.truth.shape).ravel())
    squares = boundaries.rings(case, estimate)
    assert squares.shape == (SIZE // 2,)
    assert np.sum(squares * counts) == pytest.approx(np.sum((estimate - case.truth) ** 2))


def test_border_and_inside_are_told_apart(case):
    estimate = case.truth + np.float32(0.125)
    estimate[:2] = case.truth[:2] + 10
    (row,) = boundaries.measure(case, {("tv", "free"): estimate})
    border = boundaries.distance(case.truth.shape) < 5
    assert case.reach == 5
    assert row["border"] == pytest.approx(10 * np.log10(255**2 / (100 * 2 * SIZE / border.sum())), abs=0.01)
    assert row["inside"] == pytest.approx(20 * np.log10(255 / 0.125), abs=0.01)
    assert row["light"] == pytest.approx(100 * estimate[border].sum() / case.truth[border].sum(), rel=1e-5)


def test_the_boundary_alone_differs(case):
    estimates = boundaries.restore(case)
    chosen = {}
    sigdeconv.wiener(case.image, case.psf, callback=lambda iteration: chosen.update(iteration.chosen))
    same = sigdeconv.wiener(case.image, case.psf, balance=chosen["balance"], boundary="periodic")
    assert np.array_equal(estimates["wiener", "periodic"], same)
    # scikit-image's filter is the periodic one, with the same penalty but for its rounding.
    peer = estimates["wiener", boundaries.PEERS["wiener"]]
    assert np.sqrt(np.mean((peer - same) ** 2)) < 0.02 * same.std()


def test_the_image_is_part_of_a_larger_blurred_scene(case):
    assert case.image.shape == case.truth.shape == (SIZE, SIZE)
    inside = (slice(5, -5), slice(5, -5))
    for boundary in ("reflect", "zero", "periodic"):
        guess = sigdeconv.Convolution(case.psf, case.truth.shape, boundary=boundary)(case.truth)
        error = np.abs(guess - case.image)
        assert error[inside].mean() < 0.7 * error.mean()
