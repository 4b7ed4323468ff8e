"""Least squares: the minimum against dense matrices and SciPy, bounds, the frame's edge, and what the data choose."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import lsq_linear, nnls

import sigdeconv
from sigdeconv import Convolution
from sigdeconv.deconvolution._past_frame import PastFrame
from sigdeconv.deconvolution._quadratic import Quadratic, Scene
from sigdeconv.deconvolution._relaxation import power_bound
from sigdeconv.deconvolution.least_squares import landweber, tikhonov, van_cittert

BOUNDARIES = ("free", "periodic", "zero", "reflect")
EXACT = {"tol": 0.0, "num_iter": 400}


def kernel(rng, shape):
    psf = rng.random(shape)
    return psf / psf.sum()


def around(psf, frame, grid):
    """The matrix of a blur seen through a frame on a ring, from the definition, sample by sample."""
    matrix = np.zeros((*frame, *grid))
    for i in np.ndindex(*frame):
        for k in np.ndindex(*psf.shape):
            j = tuple((a + n // 2 - b) % g for a, b, n, g in zip(i, k, psf.shape, grid, strict=True))
            matrix[i + j] += psf[k]
    return matrix.reshape(int(np.prod(frame)), -1)


def differences(grid, regularizer, *, ring):
    """The matrix ``L`` (its rows stacked) of a penalty."""
    n = int(np.prod(grid))
    eye = np.eye(n).reshape(*grid, n)
    steps = []
    for axis, size in enumerate(grid):
        step = np.roll(eye, -1, axis=axis) - eye
        if not ring:
            step[(slice(None),) * axis + (size - 1,)] = 0
        steps.append(step.reshape(n, n))
    if regularizer == "identity":
        return np.eye(n)
    if regularizer == "gradient":
        return np.concatenate(steps)
    return sum(step.T @ step for step in steps)


def dense(psf, y, boundary, regularizer):
    """The stacked system, and the frame of a solution."""
    if boundary in ("zero", "reflect"):
        matrix = np.asarray(Convolution(psf, y.shape, boundary=boundary).to_dense())
        domain = y.shape
    else:
        domain = Scene.of(y, psf, boundary, "laplacian").domain if boundary == "free" else y.shape
        assert all(g >= n + k - 1 for g, n, k in zip(domain, y.shape, psf.shape, strict=True)) or boundary != "free"
        matrix = around(psf, y.shape, domain)
    rough = differences(domain, regularizer, ring=boundary in ("free", "periodic"))

    def frame(x):
        return x.reshape(domain)[tuple(slice(n) for n in y.shape)]

    return matrix, rough, frame


@pytest.mark.parametrize("regularizer", ["laplacian", "gradient", "identity"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_minimum_is_that_of_the_dense_problem(boundary, regularizer):
    rng = np.random.default_rng(1)
    for psf_shape, shape in (((4,), (13,)), ((4, 3), (7, 6))):
        psf, y, weight = kernel(rng, psf_shape), rng.random(shape), 0.02
        trust = rng.random(shape)
        trust[2], trust[4] = 0.0, 1.0
        for w in (None, trust, 3.0 * trust):
            a, rough, frame = dense(psf, y, boundary, regularizer)
            d = np.ones(y.size) if w is None else w.ravel()
            wanted = frame(np.linalg.solve(a.T @ (d[:, None] * a) + weight * rough.T @ rough, a.T @ (d * y.ravel())))
            seen = y.copy()
            if w is not None:
                seen[2] = np.nan
            options = {"weight": weight, "regularizer": regularizer, "weights": w, "boundary": boundary}
            result = tikhonov(seen, psf, **options, **EXACT)
            np.testing.assert_allclose(result, wanted, atol=1e-10)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("bounds", [(0.0, None), (None, 0.6), (0.3, 0.7)])
def test_bounded_minimum_is_scipys(boundary, bounds):
    rng = np.random.default_rng(2)
    psf, y, weight = kernel(rng, (4, 3)), rng.standard_normal((7, 6)), 1e-3
    a, rough, frame = dense(psf, y, boundary, "laplacian")
    stacked = np.concatenate([a, weight**0.5 * rough])
    data = np.concatenate([y.ravel(), np.zeros(len(rough))])
    low, high = (-np.inf if bounds[0] is None else bounds[0]), (np.inf if bounds[1] is None else bounds[1])
    wanted = nnls(stacked, data)[0] if bounds == (0.0, None) else None
    if wanted is None:
        wanted = lsq_linear(stacked, data, (low, high), method="bvls", tol=1e-14, max_iter=1000).x
    result = tikhonov(y, psf, weight=weight, bounds=bounds, boundary=boundary, **EXACT)
    np.testing.assert_allclose(result, frame(wanted), atol=1e-8)
    assert result.min() >= low
    assert result.max() <= high
    assert np.mean((result <= low) | (result >= high)) > 0.1  # the bounds matter


def test_bounds_without_effect_change_nothing():
    rng = np.random.default_rng(3)
    psf, y = kernel(rng, (5, 4)), rng.random((24, 20))
    free = tikhonov(y, psf, weight=0.05, **EXACT)
    np.testing.assert_allclose(tikhonov(y, psf, weight=0.05, bounds=(-9, 9), **EXACT), free, atol=1e-10)


def test_without_weight_bounds_are_nonnegative_least_squares():
    rng = np.random.default_rng(4)
    psf = sigdeconv.psf.gaussian(9, 1.0)
    y = rng.random(30) - 0.2
    a = np.asarray(Convolution(psf, 30, boundary="reflect").to_dense())
    result = tikhonov(y, psf, weight=0, bounds=(0, None), boundary="reflect", tol=0, num_iter=300)
    best = nnls(a, y)[1] ** 2
    assert np.sum((a @ result - y) ** 2) == pytest.approx(best, rel=1e-4)
    assert result.min() == 0


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("regularizer", ["laplacian", "gradient", "identity"])
def test_strided_minimum(boundary, regularizer):
    rng = np.random.default_rng(5)
    psf, weight = kernel(rng, (4, 3)), 0.05
    blur = Convolution(psf, (5, 4), boundary=boundary, stride=(2, 1))
    y = rng.random((5, 4))
    if boundary == "free":
        grid = Scene.of(y, blur, "free", regularizer).domain
        a = around(psf, (10, 4), grid).reshape(10, 4, -1)[::2].reshape(20, -1)
    else:
        grid, a = blur.domain_shape, np.asarray(blur.to_dense())
    rough = differences(grid, regularizer, ring=boundary in ("free", "periodic"))
    wanted = np.linalg.solve(a.T @ a + weight * rough.T @ rough, a.T @ y.ravel()).reshape(grid)[:10, :4]
    result = tikhonov(y, blur, weight=weight, regularizer=regularizer, **EXACT)
    assert result.shape == (10, 4)
    np.testing.assert_allclose(result, wanted, atol=1e-9)


def test_periodic_is_wieners_filter(close):
    rng = np.random.default_rng(6)
    psf, y = kernel(rng, (5, 4)), rng.random((17, 14))
    close(
        tikhonov(y, psf, weight=0.1, boundary="periodic"),
        sigdeconv.wiener(y, psf, balance=0.1, boundary="periodic"),
        10,
    )


@pytest.mark.parametrize("shape", [(64,), (30, 37), (12, 14, 13)])
def test_few_iterations_at_the_frames_edge(shape):
    """Past the frame the near inverse must be nearly the inverse: a broken strip takes hundreds of iterations."""
    rng = np.random.default_rng(7)
    psf = sigdeconv.psf.gaussian((9,) * len(shape), 1.5)
    y = np.cumsum(rng.standard_normal(shape), axis=-1)
    exact = tikhonov(y, psf, weight=1e-2, tol=0, num_iter=200)
    near = tikhonov(y, psf, weight=1e-2, tol=0, num_iter=12)
    assert np.linalg.norm(near - exact) < 1e-3 * np.linalg.norm(exact)


def test_filter_stands_in_for_strips(monkeypatch):
    rng = np.random.default_rng(8)
    psf, y = kernel(rng, (5, 4)), rng.random((21, 20))
    exact = tikhonov(y, psf, weight=1e-2, **EXACT)
    monkeypatch.setattr("sigdeconv.deconvolution._past_frame.STRIPS", 0)
    assert PastFrame(Quadratic(Scene.of(y, psf, "free", "laplacian"), y, None, 1e-2)).strips is None
    np.testing.assert_allclose(tikhonov(y, psf, weight=1e-2, **EXACT), exact, atol=1e-9)


def test_near_inverse_is_symmetric_and_positive():
    rng = np.random.default_rng(9)
    psf, y = kernel(rng, (4, 3)), rng.random((9, 8))
    trust = rng.random((9, 8))
    past = PastFrame(Quadratic(Scene.of(y, psf, "free", "laplacian"), y, trust, 1e-2))
    n = int(np.prod(past.grid))
    unknown = past.unknown.ravel() > 0
    for operator in (past.near_inverse, past.system):
        matrix = np.stack([operator(e.reshape(past.grid)).ravel() for e in np.eye(n)])[np.ix_(unknown, unknown)]
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-9 * np.abs(matrix).max())
        assert np.linalg.eigvalsh(matrix).min() > 0


@pytest.mark.parametrize("method", [tikhonov, landweber, van_cittert])
@pytest.mark.parametrize("boundary", ["free", "reflect", "periodic"])
def test_flat_stays_flat_up_to_the_frame(method, boundary):
    psf = sigdeconv.psf.gaussian((6, 7), 1.0)  # even: its OTF is not real, but its real part is not much below zero
    flat = np.full((20, 18), 100.0)
    options = {"weight": 0.01, "tol": 0.0} if method is tikhonov else {"num_iter": 3}
    result = method(flat, psf, boundary=boundary, **options)
    np.testing.assert_allclose(result, 100.0 / psf.sum(), rtol=1e-6)


@pytest.mark.parametrize("method", [tikhonov, landweber])
@pytest.mark.parametrize("size", [5, 6])
def test_nothing_moves(method, size):
    psf = np.zeros((size, size + 1))
    psf[size // 2, (size + 1) // 2] = 1.0
    psf[0, 0] = 0.2
    scene = np.zeros((33, 32))
    scene[16, 9] = 1.0
    y = Convolution(psf, scene.shape, boundary="zero")(scene)
    result = method(y, psf, **({"weight": 1e-4} if method is tikhonov else {"num_iter": 50}))
    assert np.unravel_index(result.argmax(), result.shape) == (16, 9)
    assert result.max() > 0.9


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_norm_bound_holds(boundary, signed, stride):
    rng = np.random.default_rng(10)
    for shape, n in (((4,), (11,)), ((3, 4), (5, 6))):
        psf = rng.standard_normal(shape) if signed else rng.random(shape) ** 4
        blur = Convolution(psf, n, boundary=boundary, stride=stride)
        norm = np.linalg.norm(np.asarray(blur.to_dense()), 2) ** 2
        bound = power_bound(blur)
        assert norm <= bound * (1 + 1e-9)
        assert signed or bound <= 4 * norm  # safe, and not timid


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("accelerate", [True, False])
def test_landweber_walks_to_least_squares(boundary, accelerate):
    rng = np.random.default_rng(11)
    psf = np.zeros(5)
    psf[2], psf[:2] = 1.0, rng.random(2) * 0.3
    blur = Convolution(psf, 20, boundary=boundary)
    a, y = np.asarray(blur.to_dense()), rng.random(20)
    w = rng.random(20) + 0.1
    costs = []

    def watch(iteration):
        costs.append(np.sum(w * (a @ full(iteration) - y) ** 2) if boundary != "free" else 0.0)

    def full(iteration):
        return iteration.estimate

    result = landweber(y, blur, num_iter=1000, accelerate=accelerate, weights=w, callback=watch)
    if boundary == "free":
        start = np.full(blur.domain_shape, np.sum(w * y) / np.sum(w) / psf.sum())
        d = w**0.5
        wanted = start + np.linalg.pinv(d[:, None] * a) @ (d * (y - a @ start))
        np.testing.assert_allclose(result, wanted[blur.frame], atol=2e-3)
    else:
        wanted = np.linalg.lstsq(w[:, None] ** 0.5 * a, w**0.5 * y)[0]
        np.testing.assert_allclose(result, wanted, atol=2e-3)
        assert accelerate or all(later <= before + 1e-12 for before, later in itertools.pairwise(costs))


def test_plain_landweber_is_the_formula():
    rng = np.random.default_rng(12)
    psf, y = kernel(rng, (3, 4)), rng.random((8, 9))
    blur = Convolution(psf, y.shape)
    x = np.full(blur.domain_shape, y.mean())
    for _ in range(5):
        x = np.clip(x + 0.7 * blur.adjoint(y - blur(x)), 0.3, 0.8)
    result = landweber(y, psf, num_iter=5, step=0.7, accelerate=False, bounds=(0.3, 0.8))
    np.testing.assert_allclose(result, x[blur.frame], atol=1e-12)


def test_projected_landweber_reaches_the_bounded_minimum():
    rng = np.random.default_rng(13)
    psf = np.array([0.2, 0.7, 0.1])
    y = rng.standard_normal(25)
    a = np.asarray(Convolution(psf, 25, boundary="zero").to_dense())
    result = landweber(y, psf, num_iter=1000, bounds=(0, None), boundary="zero")
    np.testing.assert_allclose(result, nnls(a, y)[0], atol=1e-6)


def test_van_cittert_is_the_formula_and_converges():
    rng = np.random.default_rng(14)
    psf, scene = sigdeconv.psf.gaussian(9, 0.7), rng.random(40)
    for boundary in ("free", "reflect", "zero", "periodic"):
        blur = Convolution(psf, 40, boundary="reflect" if boundary == "free" else boundary)
        y = blur(scene)
        x = np.full(40, y.mean() / psf.sum())
        for _ in range(4):
            x = x + (y - blur(x)) / psf.sum()
        np.testing.assert_allclose(van_cittert(y, psf, num_iter=4, boundary=boundary), x, atol=1e-12)
        np.testing.assert_allclose(van_cittert(y, psf, num_iter=800, boundary=boundary), scene, atol=1e-3)


def test_van_cittert_refuses_what_would_explode():
    y = np.random.default_rng(15).random((30, 30))
    box = np.ones((9, 9)) / 81
    with pytest.raises(ValueError, match=r"can make only 3 iterations.*landweber.*num_iter=3"):
        van_cittert(y, box, num_iter=4)
    van_cittert(y, box, num_iter=3)
    with pytest.raises(ValueError, match="landweber"):
        van_cittert(y, box)
    with pytest.raises(ValueError, match="stride"):
        van_cittert(y, Convolution(box, (30, 30), stride=2), num_iter=1)
    with pytest.raises(ValueError, match="landweber"):
        van_cittert(y, sigdeconv.psf.gaussian((9, 9), 2.0), step=2.5, num_iter=10)


def photograph(name, part):
    data = pytest.importorskip("skimage.data")
    return getattr(data, name)()[part].astype(float)


def blurred(scene, psf, sigma):
    blur = Convolution(psf, tuple(n - k + 1 for n, k in zip(scene.shape, psf.shape, strict=True)))
    y = blur(scene) + sigma * np.random.default_rng(16).standard_normal(blur.shape)
    return scene[blur.frame], y


def psnr(a, b):
    return float(10 * np.log10(255**2 / np.mean((a - b) ** 2)))


@pytest.mark.parametrize("regularizer", ["laplacian", "gradient", "identity"])
@pytest.mark.parametrize("known", [False, True])
def test_chosen_weight_is_near_the_best(regularizer, known):
    scene = photograph("camera", np.s_[200:300, 150:256])
    losses = []
    for psf, sigma in itertools.product((sigdeconv.psf.gaussian((13, 13), 1.6), np.ones((5, 9)) / 45), (1.0, 6.0)):
        truth, y = blurred(scene, psf, sigma)
        report = []
        options = {"regularizer": regularizer}
        chosen = tikhonov(y, psf, sigma=sigma if known else None, callback=report.append, **options)
        weight = report[-1].chosen["weight"]
        best = max(psnr(tikhonov(y, psf, weight=weight * 2.0**k, **options), truth) for k in range(-3, 4))
        losses.append(best - psnr(chosen, truth))
    assert max(losses) < 0.5
    assert np.mean(losses) < 0.15


@pytest.mark.parametrize(
    ("boundary", "regularizer"),
    [("periodic", "laplacian"), ("reflect", "laplacian"), ("zero", "laplacian"), ("zero", "identity")],
)
def test_chosen_weight_at_other_boundaries(boundary, regularizer):
    scene = photograph("camera", np.s_[200:290, 150:250])
    options = {"boundary": boundary, "regularizer": regularizer}
    psf = np.ones((5, 7)) / 35
    y = Convolution(psf, scene.shape, boundary=boundary)(scene)
    y = y + 3.0 * np.random.default_rng(17).standard_normal(y.shape)
    report = []
    chosen = tikhonov(y, psf, callback=report.append, **options)
    weight = report[-1].chosen["weight"]
    best = max(psnr(tikhonov(y, psf, weight=weight * 2.0**k, **options), scene) for k in range(-4, 5))
    assert best - psnr(chosen, scene) < 0.2


def test_chosen_weight_with_a_stride_and_with_bad_pixels():
    scene = photograph("camera", np.s_[200:296, 150:246])
    psf = sigdeconv.psf.gaussian((9, 9), 1.3)
    blur = Convolution(psf, (48, 48), stride=2, boundary="reflect")
    rng = np.random.default_rng(18)
    y = blur(scene) + 2.0 * rng.standard_normal((48, 48))
    y[rng.random(y.shape) < 0.03] = np.nan
    weights = np.isfinite(y)
    report = []
    chosen = tikhonov(y, blur, weights=weights, callback=report.append)
    weight = report[-1].chosen["weight"]
    best = max(psnr(tikhonov(y, blur, weights=weights, weight=weight * 2.0**k), scene) for k in range(-4, 5))
    assert best - psnr(chosen, scene) < 0.2


def test_each_of_a_batch_is_chosen_and_restored_alone(close):
    psf = sigdeconv.psf.gaussian((7, 7), 1.2)
    pictures = [photograph("camera", np.s_[200 + 60 * i : 260 + 60 * i, 150:206]) for i in (0, 1)]
    y = np.stack(
        [p + s * np.random.default_rng(19).standard_normal(p.shape) for p, s in zip(pictures, (1, 9), strict=True)]
    )
    report = []
    for bounds in (None, (0.0, 200.0)):
        together = tikhonov(np.moveaxis(y, 0, -1), psf, channel_axis=-1, bounds=bounds, callback=report.append, **EXACT)
        alone = [tikhonov(item, psf, bounds=bounds, **EXACT) for item in y]
        close(np.moveaxis(together, -1, 0), np.stack(alone), 1e4)
    first, second = report[-1].chosen["weight"]
    assert second > 5 * first
    for method in (landweber, van_cittert):
        close(method(y, psf), np.stack([method(item, psf) for item in y]), 1e3)
    given = tikhonov(y, psf, weight=0.1, **EXACT)
    close(given, np.stack([tikhonov(item, psf, weight=0.1, **EXACT) for item in y]), 1e4)


@pytest.mark.parametrize("method", [landweber, van_cittert])
@pytest.mark.parametrize("bounds", [None, (0, 255)])
def test_stops_near_the_best_iteration(method, bounds):
    scene = photograph("camera", np.s_[200:306, 150:260])
    losses = []
    for width, sigma in itertools.product((1.2, 2.0), (1.5, 6.0)):
        truth, y = blurred(scene, sigdeconv.psf.gaussian((13, 13), width), sigma)
        errors = []

        def watch(iteration, truth=truth, errors=errors):
            errors.append(psnr(iteration.estimate, truth))

        method(y, sigdeconv.psf.gaussian((13, 13), width), num_iter=90, bounds=bounds, callback=watch)
        result = method(y, sigdeconv.psf.gaussian((13, 13), width), bounds=bounds)
        losses.append(max(errors) - psnr(result, truth))
    assert max(losses) < 0.5
    assert np.mean(losses) < 0.15


def test_discrepancy_principle_meets_the_noise():
    scene = photograph("camera", np.s_[200:300, 150:260])
    psf = sigdeconv.psf.gaussian((13, 13), 2.0)
    _, y = blurred(scene, psf, 3.0)
    weights = (np.random.default_rng(20).random(y.shape) > 0.1).astype(float)
    blur = Convolution(psf, y.shape, boundary="reflect")
    for w in (None, weights):
        residuals, options = [], {"boundary": "reflect", "weights": w, "accelerate": False}

        def watch(iteration, w=w, residuals=residuals):
            r = (blur(iteration.estimate) - y) ** 2
            residuals.append(np.mean(r) if w is None else np.sum(w * r) / np.sum(w))

        landweber(y, psf, num_iter="discrepancy", sigma=3.0, callback=watch, **options)
        assert residuals[-1] <= 9.0 < residuals[-2]


def test_noise_level_is_estimated_and_reported():
    scene = photograph("camera", np.s_[150:300, 150:300])
    _, y = blurred(scene, sigdeconv.psf.gaussian((9, 9), 1.5), 4.0)
    report = []
    landweber(y, sigdeconv.psf.gaussian((9, 9), 1.5), num_iter="discrepancy", callback=report.append)
    assert report[-1].chosen["sigma"] == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize("method", [tikhonov, landweber, van_cittert])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_array_kinds(kind, method, dtype, close):
    rng = np.random.default_rng(21)
    psf = sigdeconv.psf.gaussian((5, 4), 0.8)
    y = rng.random((2, 9, 8)) + 1
    cases = [{}, {"bounds": (0.9, 1.8)}]
    if method is not van_cittert:
        cases.append({"weights": (np.arange(8) != 4).astype(dtype)})
    for options in cases:
        fixed = {"weight": 0.02, "tol": 0.0, "num_iter": 30} if method is tikhonov else {"num_iter": 5}
        wanted = method(y.astype(dtype), psf, **fixed, **options)
        moved = {k: kind.array(v) if k == "weights" else v for k, v in options.items()}
        result = method(kind.array(y, dtype), kind.array(psf, dtype), **fixed, **moved)
        assert str(result.dtype).endswith(dtype)
        close(kind.numpy(result), wanted, 100)
    chosen = method(kind.array(y[0], dtype), kind.array(psf, dtype))
    close(kind.numpy(chosen), method(y[0].astype(dtype), psf), 1e4 if dtype == "float32" else 1e6)


def test_single_precision_keeps_what_a_faint_prior_says():
    rng = np.random.default_rng(22)
    psf = sigdeconv.psf.gaussian((15, 15), 2.0)
    y = np.cumsum(np.cumsum(rng.standard_normal((40, 50)), 0), 1)
    double = tikhonov(y, psf, weight=1e-4, **EXACT)
    single = tikhonov(y.astype("float32"), psf, weight=1e-4, **EXACT)
    assert single.dtype == np.float32
    assert np.linalg.norm(single - double) < 1e-3 * np.linalg.norm(double)


@pytest.mark.parametrize("weight", [0.0, 1e-6, 1e6])
def test_hard_cases_stay_finite(weight):
    y = np.zeros((12, 11))
    psf = np.ones((4, 4)) / 16
    assert not tikhonov(y, psf, weight=weight).any()
    y[5, 5] = 1.0
    for bounds in (None, (0, None)):
        assert np.isfinite(tikhonov(y, psf, weight=weight, bounds=bounds)).all()
    assert np.isfinite(tikhonov(np.full((9, 9), 3.0), psf)).all()
    assert tikhonov(np.full((9, 9), 3.0), np.ones((1, 1)), weight=weight) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda y, h: tikhonov(y, h, weight=-1), "weight is -1"),
        (lambda y, h: tikhonov(y, h, regularizer="tv"), "regularizer is 'tv'"),
        (lambda y, h: tikhonov(y, h, bounds=(1, 0)), "bounds"),
        (lambda y, h: tikhonov(y, h, sigma=-1), "sigma is -1"),
        (lambda y, h: tikhonov(y, h, weights=np.zeros((8, 8))), "weights"),
        (lambda y, h: tikhonov(y * np.nan, h), "weights=0"),
        (lambda y, h: tikhonov(y, h, boundary="wrap"), "boundary"),
        (lambda y, h: tikhonov(y, Convolution(h, (4, 4))), "observes"),
        (lambda y, h: tikhonov(y, 0 * h), "psf"),
        (lambda y, h: landweber(y, h, num_iter=0), "num_iter is 0"),
        (lambda y, h: landweber(y, h, num_iter="gcv"), "num_iter is 'gcv'"),
        (lambda y, h: landweber(y, h, num_iter=3, step=3.0), "diverge"),
        (lambda y, h: landweber(y, h, num_iter=3, step=3.0, accelerate=False), "below 2"),
        (lambda y, h: landweber(y, h, num_iter=3, step=0), "step is 0"),
        (lambda y, h: landweber(y, h, num_iter="discrepancy", weights=np.ones((8, 8))), "pass sigma"),
        (lambda y, h: van_cittert(y, h, num_iter=True), "num_iter is True"),
    ],
)
def test_wrong_calls_are_refused(call, message):
    with pytest.raises((ValueError, TypeError), match=message) as error:
        call(np.random.default_rng(23).random((8, 8)), np.ones((3, 3)) / 9)
    assert "\n" not in str(error.value)
