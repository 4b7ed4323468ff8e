"""The experiment on strides: its inverses are those of the matrix, and its sentences come from its tables."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")
pytest.importorskip("torch", reason="the experiment trains a layer with torch: pip install sigdeconv[learned]")

from experiments import common, strided
from experiments.strided import figures, inverses, layer
from experiments.transpose_to_wiener import fits

SIDE = 16


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """All of `strided` on small pictures, and where it was written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(common.STYLE, "savefig.dpi", 40)
        patch.setattr(layer, "PATCH", 12)
        patch.setattr(fits, "LEARNED_FROM", ("chelsea", "coins"))
        patch.setattr(fits, "TESTED_ON", ("camera",))
        study = common.Study(tmp_path_factory.mktemp("results"), size=48, quiet=True)
        patch.setattr(common.Study, "pick", lambda self, quick, full: 20)
        return strided.run(study), study.out


@pytest.fixture(params=strided.BLURS)
def blur(request):
    return strided.operator(request.param, SIDE)


@pytest.fixture
def samples():
    return np.random.default_rng(0).standard_normal((SIDE // 2, SIDE // 2))


def case(side=32):
    return strided.observe("lens", ("camera", "coins"), side, 2.0, np.random.default_rng(1))


def rows(chapter):
    return next(part for part in chapter[0].parts if isinstance(part, common.Table)).rows


def test_the_pseudo_inverse_is_that_of_the_matrix(blur, samples):
    wanted = np.linalg.pinv(blur.to_dense()) @ samples.ravel()
    assert inverses.pseudo_inverse(blur, samples).ravel() == pytest.approx(wanted, abs=1e-9 * np.abs(wanted).max())


def test_the_null_space_is_that_of_the_matrix(blur):
    x = np.random.default_rng(2).standard_normal((SIDE, SIDE))
    parts = inverses.split(blur, x)
    A = blur.to_dense()
    assert np.abs(blur.forward(parts.null)).max() < 1e-12
    assert parts.range + parts.null == pytest.approx(x)
    assert np.vdot(parts.range, parts.null) == pytest.approx(0, abs=1e-9)
    lost = np.eye(SIDE**2) - np.linalg.pinv(A) @ A
    assert parts.null.ravel() == pytest.approx(lost @ x.ravel(), abs=1e-9)
    assert np.trace(lost) == pytest.approx(0.75 * SIDE**2)  # one number of four is kept


def test_the_linear_estimate_is_that_of_the_covariance(blur, samples):
    """``S Aᴴ (A S Aᴴ + noise)⁻¹ y`` with dense matrices."""
    freq = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij"))
    power = 1 / (0.01 + freq**2)
    F = np.fft.fft2(np.eye(SIDE**2).reshape(-1, SIDE, SIDE), norm="ortho").reshape(SIDE**2, -1).T
    S = (F.conj().T @ (power.ravel()[:, None] * F)).real
    A = blur.to_dense()
    centred = samples - samples.mean()
    wanted = S @ A.T @ np.linalg.solve(A @ S @ A.T + 0.3 * np.eye(len(A)), centred.ravel()) + samples.mean()
    found = inverses.linear_estimate(blur, samples, power, 0.3)
    assert found.ravel() == pytest.approx(wanted, abs=1e-9)


def test_zeros_between_samples_then_the_kernel_turned_around_are_the_transpose():
    here = case()
    grid, _, result = figures.zero_insertion_steps(here)
    assert np.count_nonzero(grid) <= here.images[0].size
    assert result == pytest.approx(here.blur.adjoint(here.images[0]), abs=1e-9)


@pytest.mark.parametrize("taps", [4, 6, 8])
def test_the_closed_kernel_is_the_least_squares_of_the_layer(taps):
    """Every tap alone through torch's layer makes a column; NumPy solves."""
    here = case()
    off = here.images.mean(axis=(-2, -1), keepdims=True)
    units = np.eye(taps**2).reshape(-1, taps, taps)
    columns = [(layer.enlarged(unit, here.images) - off).ravel() for unit in units]
    wanted = np.linalg.lstsq(np.stack(columns, axis=1), (here.scenes - off).ravel(), rcond=None)[0]
    assert layer.closed_kernel(here, taps).ravel() == pytest.approx(wanted, abs=1e-8)


def test_training_goes_towards_the_closed_form(monkeypatch):
    monkeypatch.setattr(layer, "PATCH", 10)
    here = case(64)
    best = layer.closed_kernel(here, 8)

    def error(kernel):
        return float(np.mean((layer.enlarged(kernel, here.images) - here.scenes) ** 2))

    few, many = (error(layer.trained_kernel(here, steps, np.random.default_rng(0), 8)) for steps in (1, 60))
    assert error(best) < many < few


def test_errors_add_in_squares(chapter):
    for row in rows(chapter):
        whole = 255 / 10 ** (row["psnr"] / 20)  # of one picture
        assert np.hypot(row["range"], row["null"]) == pytest.approx(whole, rel=1e-6)


def test_transpose_and_pseudo_inverse_win_nothing_in_the_null_space(chapter):
    found = {(row["name"], row["key"]): row for row in rows(chapter)}
    assert len(found) == len(strided.BLURS) * (len(strided.METHODS) - 1)  # plug and play takes longer
    for name in strided.BLURS:
        for key in ("raw", "gain", "pseudo"):
            assert found[name, key]["won"] == pytest.approx(0, abs=1e-6)
        psnr = {key: found[name, key]["psnr"] for key in strided.METHODS if (name, key) in found}
        assert psnr["raw"] == min(psnr.values()) < psnr["gain"] - 5
        assert psnr["gain"] < psnr["linear"]
        assert psnr["gain"] < psnr["edges"]
        assert found[name, "edges"]["won"] > 0.3


def test_the_finding_is_computed_from_the_rows(chapter):
    first = [dict(row) for row in rows(chapter) if row["name"] == "lens"]
    assert chapter[0].finding.startswith(strided.finding(first, 0.5, layer.TAPS)[:60])
    for row in first:
        row["won"], row["psnr"] = (9.0 if row["key"] == "tv" else 0.25), 11.0
    text = strided.finding(first, 0.5, 4)
    assert "total variation) +9.0 dB" in text
    assert "raw transpose gives 11.0 dB" in text
    assert "50.0 %" in text


def test_figures_are_written(chapter):
    found, out = chapter
    named = [part.file for part in found.parts if isinstance(part, common.Figure)]
    assert named == [f"strided-{name}.png" for name in ("zeros", "pictures", "lost", "errors")]
    assert all((out / name).stat().st_size > 1000 for name in named)
