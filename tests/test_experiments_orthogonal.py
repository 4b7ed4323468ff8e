"""The experiment on orthogonal operators: singular values, errors and bounds against dense matrices and torch."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")

import sigdeconv
from experiments import common, orthogonal, orthogonal_operators

SIZE = 12


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """All of `orthogonal` on a small picture and few random operators, and where it was written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(common.STYLE, "savefig.dpi", 40)
        patch.setattr(common.Study, "pick", lambda self, quick, full: min(quick, 8))
        study = common.Study(tmp_path_factory.mktemp("results"), size=64, quiet=True)
        return orthogonal.run(study), study.out


def rows(chapter, name):
    return next(part for part in chapter[0].parts if isinstance(part, common.Table) and part.name == name).rows


def everything(chapter):
    return [*rows(chapter, "orthogonal-paths"), *rows(chapter, "orthogonal-random")]


def dense(operator, size=SIZE):
    """The matrix, column by column, from what the operator does to single bright samples."""
    columns = [operator.forward(unit.reshape(size, size)).ravel() for unit in np.eye(size * size)]
    return np.stack(columns, axis=1)


def some_operators():
    rng = np.random.default_rng(5)
    found = dict(orthogonal_operators.cases(SIZE, rng))
    found["half way"] = orthogonal_operators.part_way(rng.standard_normal((3, 4)), 0.5, SIZE, unit=True)
    found["bank"] = orthogonal_operators.rows_part_way(rng.standard_normal((4, 4)), 0.7, SIZE)
    found |= {family: orthogonal_operators.draw(family, 0.6, SIZE, rng) for family in ("bank", "blurs", "layer")}
    return found


@pytest.mark.parametrize("name", some_operators())
def test_singular_values_and_transpose_are_those_of_the_dense_matrix(name):
    operator = some_operators()[name]
    A = dense(operator)
    # The matrix may have fewer rows than columns: what is missing is seen with 0. Fewer are said than there are.
    sigma = np.zeros(SIZE * SIZE)
    true = np.linalg.svd(A, compute_uv=False)
    sigma[: true.size] = true
    said = np.repeat(operator.sigma, sigma.size // operator.sigma.size)
    np.testing.assert_allclose(np.sort(said), np.sort(sigma), atol=1e-12)
    y = np.random.default_rng(0).standard_normal(operator.forward(np.zeros((SIZE, SIZE))).shape)
    np.testing.assert_allclose(operator.adjoint(y).ravel(), A.T @ y.ravel(), atol=1e-12)


def test_half_way_is_the_polar_decomposition_of_the_dense_matrix():
    scipy_linalg = pytest.importorskip("scipy.linalg")
    kernel = np.random.default_rng(2).standard_normal((3, 3))
    whole = dense(orthogonal_operators.part_way(kernel, 1.0, SIZE, unit=False))
    half = dense(orthogonal_operators.part_way(kernel, 0.5, SIZE, unit=False))
    U, P = scipy_linalg.polar(whole)
    values, vectors = np.linalg.eigh(P)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    np.testing.assert_allclose(half, U @ root, atol=1e-6)  # the root of rounding near 0


def test_four_operators_are_orthogonal_and_three_are_not():
    operators = orthogonal_operators.cases(SIZE, np.random.default_rng(0))
    for key, operator in operators.items():
        A = dense(operator)
        off = np.abs(A.T @ A - np.eye(SIZE * SIZE)).max()
        assert (off < 1e-12) == (key in ("delta", "minus", "haar", "allpass"))
    A = dense(operators["minus"])
    np.testing.assert_allclose(A, -np.eye(SIZE * SIZE), atol=1e-14)
    P = dense(operators["lowpass"])
    P = P.T @ P
    np.testing.assert_allclose(P @ P, P, atol=1e-14)  # a projection
    x = np.random.default_rng(1).standard_normal((SIZE, SIZE))
    means = x.reshape(SIZE // 2, 2, SIZE // 2, 2).mean(axis=(1, 3))
    np.testing.assert_allclose((P @ x.ravel()).reshape(SIZE, SIZE), np.kron(means, np.ones((2, 2))), atol=1e-14)


def test_the_table_says_which_are_undone(chapter):
    shown = rows(chapter, "orthogonal")
    assert [row["key"] for row in shown if row["exact"]] == ["delta", "minus", "haar", "allpass"]
    for row in shown:
        assert (row["raw"] < 1e-12) == (row["bound"] < 1e-11) == row["exact"]
        assert row["exact"] or row["scaled"] > 0.05
    assert next(row for row in shown if row["key"] == "lowpass")["condition"] == math.inf


def test_torch_layers_with_haar_weights_are_undone_by_their_transpose():
    torch = pytest.importorskip("torch", reason="layers need torch: pip install sigdeconv[learned]")
    weight = torch.tensor(orthogonal_operators.HAAR.reshape(4, 1, 2, 2))
    x = torch.tensor(np.random.default_rng(0).standard_normal((1, 1, SIZE, SIZE)))
    y = torch.nn.functional.conv2d(x, weight, stride=2)
    back = torch.nn.functional.conv_transpose2d(y, weight, stride=2)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-13)
    low = torch.nn.functional.conv_transpose2d(y[:, :1], weight[:1], stride=2)
    operator = orthogonal_operators.cases(SIZE, np.random.default_rng(0))["lowpass"]
    ours = operator.adjoint(operator.forward(x.numpy()[0, 0]))
    np.testing.assert_allclose(ours, low.numpy()[0, 0], atol=1e-13)


def test_a_layer_is_drawn_as_torch_draws_it():
    torch = pytest.importorskip("torch", reason="layers need torch: pip install sigdeconv[learned]")
    torch.manual_seed(0)
    for side in (2, 5):
        weights = torch.cat([torch.nn.ConvTranspose2d(1, 1, side).weight.detach().ravel() for _ in range(200)])
        assert float(weights.abs().max()) == pytest.approx(1 / side, rel=0.03)
        assert float(weights.var()) == pytest.approx(1 / (3 * side**2), rel=0.15)
    powers = [
        np.mean(orthogonal_operators.draw("layer", 1.0, SIZE, np.random.default_rng(i)).sigma ** 2) for i in range(200)
    ]
    assert np.mean(powers) == pytest.approx(1 / 3, rel=0.1)  # the sum of the squares of the weights


def test_the_error_keeps_its_bounds_and_the_theory_of_white_noise(chapter):
    found = everything(chapter)
    assert len(found) == 2 * (3 * len(orthogonal_operators.STEPS) + 4 * 2 * 8)
    for row in found:
        assert row["raw"] <= row["bound"] * (1 + 1e-9) + 1e-13
        assert row["scaled"] <= min(row["kantorovich"], row["raw"]) * (1 + 1e-9) + 1e-13
        if row["scene"] == "noise" and row["bound"] > 1e-9:
            spread = row["spread"]
            assert row["scaled"] == pytest.approx(spread / math.hypot(1, spread), rel=0.15)
            assert row["raw"] == pytest.approx(row["rms"], rel=0.15)
        if row["t"] == 0:
            assert row["raw"] < 1e-12


def test_the_error_of_a_photograph_is_told_by_the_power_in_each_of_its_waves():
    x = orthogonal.scenes(64, np.random.default_rng(0))["photograph"]
    assert abs(x.mean()) < 1e-10
    kernel = np.random.default_rng(1).standard_normal((3, 3))
    operator = orthogonal_operators.part_way(kernel, 0.8, 64, unit=True)
    power = np.abs(np.fft.fft2(x)).ravel() ** 2
    off = operator.sigma**2 - 1
    assert orthogonal.errors(operator, x)["raw"] == pytest.approx(math.sqrt(power @ off**2 / power.sum()))


def test_the_error_grows_on_the_way_from_orthogonal(chapter):
    for family in ("blur", "random", "bank"):
        mine = [r for r in rows(chapter, "orthogonal-paths") if (r["family"], r["scene"]) == (family, "noise")]
        assert [row["t"] for row in mine] == list(orthogonal_operators.STEPS)
        assert np.all(np.diff([row["scaled"] for row in mine]) > 0)


def test_whole_kernels_are_what_was_drawn():
    kernel = np.random.default_rng(4).standard_normal((3, 3))
    x = np.random.default_rng(5).standard_normal((SIZE, SIZE))
    ours = orthogonal_operators.part_way(kernel, 1.0, SIZE, unit=False).forward(x)[0]
    np.testing.assert_allclose(ours, sigdeconv.simulate.blur(x, kernel, boundary="periodic"), atol=1e-12)
    unit = orthogonal_operators.part_way(kernel, 1.0, SIZE, unit=True)
    np.testing.assert_allclose(unit.forward(x)[0], ours / np.linalg.norm(kernel), atol=1e-12)


def test_rank_correlation_is_spearmans(chapter):
    stats = pytest.importorskip("scipy.stats")
    for scene in ("noise", "photograph"):
        mine = [row for row in everything(chapter) if row["scene"] == scene and row["t"] > 0]
        ours = orthogonal.rank_correlation(mine, scene)
        theirs = stats.spearmanr([row["spread"] for row in mine], [row["scaled"] for row in mine])
        assert ours == pytest.approx(theirs.statistic)
    assert orthogonal.rank_correlation(everything(chapter), "noise") > 0.99


def test_the_finding_is_computed_from_the_rows(chapter):
    shown, found = [dict(row) for row in rows(chapter, "orthogonal")], [dict(row) for row in everything(chapter)]
    assert chapter[0].finding == orthogonal.finding(shown, found)
    assert "never above" in chapter[0].finding
    assert "just those" in chapter[0].finding
    for row in shown:
        row["exact"] = row["key"] == "blur"
    for row in found:
        row["raw"] = 2 * row["bound"]
        row["scaled"] = 1 / (1 + row["spread"])
    text = orthogonal.finding(shown, found)
    assert "undid 1 of 7 operators (Gaussian blur, σ = 1.5 px), which is told by" in text
    assert "in only 2 cases" in text
    assert "up to 2.00 times max" in text
    assert "was −" in text


def test_figures_are_written_and_a_run_repeats(chapter):
    found, out = chapter
    figures = [part.file for part in found.parts if isinstance(part, common.Figure)]
    assert figures == ["orthogonal-photographs.png", "orthogonal-spread.png"]
    assert all((out / file).stat().st_size > 1000 for file in figures)
    study = common.Study(out, size=64, quiet=True)
    pictures = orthogonal.scenes(64, study.rng(0))
    assert orthogonal.path_rows(study, pictures) == rows(chapter, "orthogonal-paths")
