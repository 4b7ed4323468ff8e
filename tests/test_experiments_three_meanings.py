"""The experiment on three meanings: its gains are those of the dense matrices, its sentences come from its tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")

from experiments import common, three_meanings

SIZE = 64
LEVELS = (0.0, 0.01, 1.0, 30.0)


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """All of `three_meanings` on a small photograph and a few levels of noise, and where it was written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(three_meanings, "LEVELS", LEVELS)
        patch.setitem(common.STYLE, "savefig.dpi", 40)
        study = common.Study(tmp_path_factory.mktemp("results"), size=SIZE, quiet=True)
        return three_meanings.run(study), study.out


@pytest.fixture(scope="module")
def case():
    return three_meanings.observe(SIZE, np.random.default_rng(3))


def rows(chapter, name):
    return next(part for part in chapter[0].parts if isinstance(part, common.Table) and part.name == name).rows


def banded(samples, columns, first):
    """The matrix of the taps written out: row i has them, reversed, from column i + first on."""
    A = np.zeros((samples, columns))
    for i in range(samples):
        for j, tap in enumerate(three_meanings.TAPS[::-1]):
            A[i, (i + first + j) % columns] += tap
    return A


def test_the_matrices_are_the_blur_its_transpose_and_its_least_squares():
    found = three_meanings.operators(0.02)
    A = banded(three_meanings.FRAME, three_meanings.SAMPLES, 0)
    assert A.shape == (19, 24)
    np.testing.assert_allclose(found["blurred"], A, atol=1e-14)
    np.testing.assert_allclose(found["transpose"], A.T, atol=1e-14)
    rng = np.random.default_rng(0)
    y = rng.standard_normal(three_meanings.FRAME)
    np.testing.assert_allclose(found["inverse"] @ y, np.linalg.lstsq(A, y, rcond=None)[0], rtol=1e-9, atol=1e-9)
    # Least squares with a penalty is least squares with more equations.
    stacked = np.vstack([A, math.sqrt(0.02) * np.eye(A.shape[1])])
    penalised = np.linalg.lstsq(stacked, np.concatenate([y, np.zeros(A.shape[1])]), rcond=None)[0]
    np.testing.assert_allclose(found["wiener"] @ y, penalised, atol=1e-12)


def test_the_blur_moves_nothing_and_is_not_its_own_transpose():
    taps = three_meanings.TAPS
    assert taps.sum() == pytest.approx(1)
    assert taps @ (np.arange(taps.size) - taps.size // 2) == pytest.approx(0, abs=1e-15)
    assert not np.allclose(taps[1:], taps[1:][::-1])


def test_singular_values_of_the_periodic_matrix_are_the_transfer_function():
    periodic = three_meanings.singular_values()["periodic"]
    taps = np.zeros(three_meanings.SAMPLES)
    taps[: three_meanings.TAPS.size] = three_meanings.TAPS
    np.testing.assert_allclose(periodic, np.sort(np.abs(np.fft.fft(taps)))[::-1], atol=1e-14)
    dense = banded(three_meanings.SAMPLES, three_meanings.SAMPLES, -2)
    np.testing.assert_allclose(periodic, np.linalg.svd(dense, compute_uv=False), atol=1e-14)


@pytest.mark.parametrize("balance", [1e-4, 0.01, 1.0])
def test_the_filters_of_the_library_have_the_gains_of_the_dense_decomposition(balance):
    """In the basis of the singular vectors each dense operator is diagonal; the library's gains are its diagonal."""
    A = banded(three_meanings.SAMPLES, three_meanings.SAMPLES, -2)
    U, sigma, V = np.linalg.svd(A)
    dense = {
        "transpose": A.T,
        "inverse": np.linalg.inv(A),
        "wiener": np.linalg.inv(A.T @ A + balance * np.eye(len(A))) @ A.T,
    }
    measured, formula = three_meanings.measured_gains(balance), three_meanings.gains(sigma, balance)
    for key, B in dense.items():
        diagonal = V @ B @ U
        np.testing.assert_allclose(diagonal, np.diag(formula[key]), atol=1e-11 * formula[key].max())
        half = measured[key]
        np.testing.assert_allclose(np.sort([*half, *half[1:-1]]), np.sort(formula[key]), rtol=1e-9)
    assert three_meanings.agreement() < 1e-12


def test_the_pseudo_inverse_misses_just_what_the_frame_does_not_see():
    far = {row["key"]: row for row in three_meanings.operator_rows()}
    assert far["inverse"]["distance"] == pytest.approx(100 * math.sqrt(5 / 24))
    assert far["inverse"]["distance"] < far["wiener"]["distance"] < far["transpose"]["distance"]
    assert far["transpose"]["noise"] < 1 < far["wiener"]["noise"] < far["inverse"]["noise"]
    assert far["wiener"]["largest"] <= 0.5 / math.sqrt(three_meanings.BALANCE)
    assert far["inverse"]["largest"] == pytest.approx(1 / three_meanings.singular_values()["free"].min())


def test_what_is_measured_is_what_the_gains_promise(chapter):
    for row in rows(chapter, "three_meanings-noise"):
        if row["sigma"] > 0:
            # The inverse lives on the noise of few waves, so that one draw of it may be far from the mean.
            assert row["psnr"] == pytest.approx(row["promised"], abs=2.0 if row["key"] == "inverse" else 0.5)


def test_the_promise_is_the_mean_over_many_noises(case):
    transfers = three_meanings.restore(case)[1]
    H, X = np.fft.fft2(case.blur(three_meanings._impulse(case.truth.shape))), np.fft.fft2(case.truth)
    rng = np.random.default_rng(1)
    for gain in (transfers["transpose"], transfers["wiener"]):
        squares = []
        for _ in range(100):
            Y = H * X + np.fft.fft2(case.sigma * rng.standard_normal(case.truth.shape))
            squares.append(np.mean((np.fft.ifft2(gain * Y).real - case.truth) ** 2))
        expected = 10 * math.log10(255**2 / np.mean(squares))
        assert three_meanings.promised(case, gain) == pytest.approx(expected, abs=0.02)


def test_the_transpose_loses_the_inverse_explodes_and_wiener_restores(chapter):
    gain = {row["key"]: row["isnr"] for row in rows(chapter, "three_meanings")}
    assert gain["blurred"] == 0
    assert gain["inverse"] < -10
    assert gain["transpose"] <= gain["scaled"] + 1e-9
    assert gain["scaled"] < -0.5
    assert gain["wiener"] > 3
    psnr = {(row["key"], row["sigma"]): row["psnr"] for row in rows(chapter, "three_meanings-noise")}
    assert psnr["inverse", 0.0] > 200
    assert psnr["transpose", 0.0] < psnr["blurred", 0.0] - 1
    assert psnr["transpose", 30.0] > psnr["blurred", 30.0]  # it smooths
    assert psnr["curvature", 30.0] > psnr["transpose", 30.0]


def test_no_other_gain_of_the_transpose_is_better(case):
    estimates, _ = three_meanings.restore(case)
    best = np.linalg.norm(estimates["scaled"] - case.truth)
    for factor in (0.98, 0.999, 1.001, 1.02):
        assert np.linalg.norm(factor * estimates["scaled"] - case.truth) > best
    ratio = estimates["scaled"] / estimates["transpose"]
    assert np.ptp(ratio) < 1e-9


def test_the_finding_is_computed_from_the_rows(chapter):
    photograph, levels = ([dict(r) for r in rows(chapter, f"three_meanings{end}")] for end in ("", "-noise"))
    assert chapter[0].finding == three_meanings.finding(photograph, levels, three_meanings.agreement())
    for row in photograph:
        row["isnr"] = {"transpose": 2.0, "scaled": 2.5, "inverse": 7.0, "wiener": -4.0}.get(row["key"], 0.0)
    for row in levels:
        row["isnr"], row["psnr"] = (1.0, 20.0)
    text = three_meanings.finding(photograph, levels, 0.5)
    assert "by +2.0 dB (transpose; with the best gain +2.5), +7.0 dB (inverse) and −4.0 dB (Wiener)" in text
    assert "inverse was 20.0 dB and the transpose still 20.0 dB" in text
    assert "at no level of noise" in text
    assert "within 5e−01" in text


def test_figures_are_written_and_a_run_repeats(chapter):
    found, out = chapter
    figures = [part.file for part in found.parts if isinstance(part, common.Figure)]
    assert figures == [f"three_meanings-{name}.png" for name in ("matrices", "gains", "photograph", "noise")]
    assert all((out / file).stat().st_size > 1000 for file in figures)
    again = three_meanings.measure(three_meanings.observe(SIZE, common.Study(out).rng(0)))[0]
    assert again == rows(chapter, "three_meanings")
