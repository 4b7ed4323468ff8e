"""Damping against White's formula, and readout noise against what it is made of."""

from __future__ import annotations

from itertools import islice, pairwise

import numpy as np
import pytest

import sigdeconv
from sigdeconv import Convolution, richardson_lucy
from sigdeconv.convolution import BOUNDARIES
from sigdeconv.deconvolution._damping import damped_bend, damped_gap
from sigdeconv.deconvolution._likelihood import SEEN, PoissonLikelihood, conjugate, extrapolated

ACCELERATIONS = (True, False, "biggs-andrews", "heavy-ball")
N = 10


def asymmetric(taps, seed=1):
    kernel = np.random.default_rng(seed).random(taps)
    return kernel / kernel.sum()


def deviance(m, d, damping):
    """White's U, in the form he prints it."""
    logarithm = np.where(d > 0, d * np.log(m / np.maximum(d, 1e-300)), 0.0)
    return -2 / damping**2 * (logarithm - m + d)


def literal(A, d, num_iter, damping, w, b):
    """White's iteration as it is printed, with a matrix; voxels hardly seen move in proportion."""
    shape, d = d.shape, d.ravel()
    w, b = (np.broadcast_to(a, shape).ravel() for a in (w, b))
    s = A.T @ w
    x = np.full(A.shape[1], (w * (d - b)).sum() / w.sum() / A.sum(axis=1).max())
    for _ in range(num_iter):
        m = A @ x + b
        u = np.minimum(deviance(m, d, damping), 1)
        x = x * (1 + A.T @ (w * u ** (N - 1) * (N - (N - 1) * u) * (d - m) / m) / np.maximum(s, SEEN * s.max()))
    return x


def objective(m, d, damping):
    """What the damped iteration minimises: White's f of U, in the units of the log-likelihood."""
    u = np.maximum(deviance(m, d, damping), 0)
    inside = np.minimum(u, 1)
    return damping**2 / 2 * np.sum(np.where(u < 1, (N - 1) / (N + 1) * (1 - inside ** (N + 1)) + inside**N, u))


def test_derivatives_are_those_of_the_objective():
    rng = np.random.default_rng(0)
    d, scale = rng.poisson(40.0, 300).astype(float), np.array(2 / 2.5**2)
    d[:20] = 0
    m, step, one = np.maximum(d + rng.normal(0, 15, 300), 0.5), 1e-5, np.ones(300)

    def each(model):
        return np.array([objective(a, b, 2.5) for a, b in zip(model, d, strict=True)])

    gap = damped_gap(m, d, one, 0 * one, 1e-9 * one, d, scale)
    np.testing.assert_allclose(gap, (each(m + step) - each(m - step)) / (2 * step), rtol=1e-4, atol=1e-6)
    ahead, behind = (damped_gap(m + t, d, one, 0 * one, 1e-9 * one, d, scale) for t in (step, -step))
    bend = damped_bend(m, d, one, 1e-9 * one, d, scale)
    np.testing.assert_allclose(bend, (ahead - behind) / (2 * step), rtol=1e-3, atol=1e-6)
    assert (bend >= 0).all()


def star_field(dtype=np.float64):
    kernel = sigdeconv.psf.gaussian((13, 13), 1.5)
    blur = Convolution(kernel, (48, 48))
    x = np.full(blur.domain_shape, 50.0)
    x[20, 20], x[40, 35] = 2e4, 1e4
    return np.random.default_rng(0).poisson(blur(x)).astype(dtype), kernel


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("extra", ["plain", "background", "weights"])
def test_damping_is_the_formula_on_paper(boundary, extra, close):
    rng = np.random.default_rng(0)
    kernel, d = asymmetric((4, 3)), rng.poisson(3.0, (9, 8)) * rng.integers(1, 20, (9, 8)).astype(float)
    w = rng.random(d.shape) * (rng.random(d.shape) > 0.2) if extra == "weights" else None
    b = 5 * rng.random(d.shape) if extra != "plain" else 0.0
    blur = Convolution(kernel, d.shape, boundary=boundary)
    wanted = literal(blur.to_dense(), d, 8, 2.5, 1.0 if w is None else w, b).reshape(blur.domain_shape)
    options = {"boundary": boundary, "weights": w, "background": b, "num_iter": 8, "accelerate": False}
    close(richardson_lucy(d, kernel, damping=2.5, **options), wanted[blur.frame], slack=1e5)
    undamped = richardson_lucy(d, kernel, **options)
    assert np.abs(undamped - wanted[blur.frame]).max() > 0.01 * wanted.max(), "the case does not tell damping from none"


@pytest.mark.parametrize("damping", [1.0, 3.0, 10.0])
@pytest.mark.parametrize("boundary", ["free", "reflect"])
def test_damped_objective_never_rises_with_conjugate_directions(damping, boundary):
    d, kernel = star_field()
    d += 3
    blur = Convolution(kernel, d.shape, boundary=boundary)
    problem = PoissonLikelihood.of(blur, d, np.full((1, 1), 3.0), None, 0.0, damping)
    trace = [objective(blur(x) + 3, d, damping) for x in islice(conjugate(problem, problem.flat()), 60)]
    assert all(after <= before * (1 + 1e-12) for before, after in pairwise(trace))
    assert trace[-1] < trace[0]


@pytest.mark.parametrize("rule", ["none", "biggs-andrews", "heavy-ball"])
def test_every_acceleration_goes_to_the_damped_minimum(rule):
    d, kernel = star_field()
    blur = Convolution(kernel, d.shape)
    problem = PoissonLikelihood.of(blur, d, np.zeros((1, 1)), None, 0.0, 3.0)
    *_, best = (x for x in islice(conjugate(problem, problem.flat()), 100))
    *_, other = (x for x in islice(extrapolated(problem, problem.flat(), rule=rule), 200))
    start, least, reached = (objective(blur(x), d, 3.0) for x in (problem.flat(), best, other))
    assert reached - least < 0.02 * (start - least)


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
def test_damping_leaves_the_ground_smooth_and_the_stars_bright(accelerate):
    d, kernel = star_field()
    plain, damped = (richardson_lucy(d, kernel, num_iter=60, accelerate=accelerate, damping=t) for t in (0.0, 3.0))
    ground = (slice(20, 44), slice(2, 20))
    assert damped[ground].std() < 0.5 * plain[ground].std()
    assert damped[11:18, 11:18].sum() - 49 * 50 == pytest.approx(2e4, rel=0.08)
    assert np.unravel_index(damped.argmax(), d.shape) == (14, 14)


def test_what_fits_is_left_alone(close):
    kernel = sigdeconv.psf.gaussian((9, 9), 1.5)
    d = 100 + np.random.default_rng(0).uniform(-3, 3, (30, 32))  # a third of the noise
    for accelerate in ACCELERATIONS:
        result = richardson_lucy(d, kernel, num_iter=20, damping=3.0, accelerate=accelerate)
        close(result, np.full(d.shape, d.mean()), slack=1e7)
        assert np.ptp(richardson_lucy(d, kernel, num_iter=20, accelerate=accelerate)) > 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("accelerate", ACCELERATIONS)
def test_damped_extremes_stay_finite(accelerate, dtype):
    kernel = sigdeconv.psf.gaussian((7, 7), 1.5)
    for peak in (0.0, 1e-3, 1.0, 1e7):
        d = np.zeros((24, 24), dtype)
        d[12, 13] = peak
        result = richardson_lucy(d, kernel, num_iter=80, accelerate=accelerate, damping=2.0)
        assert result.dtype == dtype
        assert np.isfinite(result).all()
        assert (result >= 0).all()


# Readout noise


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
def test_readout_noise_adds_its_variance_to_counts_and_model(accelerate, close):
    d, kernel = star_field()
    w = np.random.default_rng(1).random(d.shape)
    options = {"weights": w, "accelerate": accelerate, "num_iter": 8}
    wanted = richardson_lucy(d + 9, kernel, background=11.0, **options)
    close(richardson_lucy(d, kernel, background=2.0, readout_noise=3.0, **options), wanted, slack=1e3)
    chip = np.random.default_rng(2).uniform(1, 4, d.shape)
    each = richardson_lucy(d, kernel, readout_noise=chip, **options)
    close(each, richardson_lucy(d + chip**2, kernel, background=chip**2, **options), slack=1e3)


def test_dark_pixels_may_be_negative():
    rng = np.random.default_rng(0)
    kernel = sigdeconv.psf.gaussian((9, 9), 1.5)
    blur = Convolution(kernel, (64, 64), boundary="periodic")
    x = np.zeros((64, 64))
    x[::16, ::16] = 800
    light = blur(x).clip(0)
    d = rng.poisson(light) + rng.normal(0, 5, light.shape)
    assert d.min() < 0

    def error(image, **options):
        result = richardson_lucy(image, kernel, num_iter=15, boundary="periodic", **options)
        return np.sqrt(np.mean((blur(result) - light) ** 2))

    assert error(d, readout_noise=5.0) < 0.9 * error(d.clip(0))
    with pytest.raises(ValueError, match=r"negative samples .* but counts are wanted"):
        richardson_lucy(d, kernel)
    with pytest.raises(ValueError, match="deeper than 8 times readout_noise"):
        richardson_lucy(d, kernel, readout_noise=0.2)
    with pytest.raises(ValueError, match="1 negative sample deeper"):
        richardson_lucy(np.pad([[-9.0]], 8), kernel, readout_noise=1)


@pytest.mark.parametrize("noise", [0.2, 0.5, 0.7, 1.0, 3.0])
def test_clipping_raises_dark_pixels_by_a_tenth_of_a_count_at_most(noise):
    from scipy.stats import norm

    lifted = noise * (norm.pdf(noise) - noise * norm.cdf(-noise))  # mean of max(0, N + v) - v
    samples = np.random.default_rng(0).normal(0, noise, 200_000)
    assert np.maximum(samples + noise**2, 0).mean() - noise**2 == pytest.approx(lifted, abs=0.01)
    assert lifted < 0.101


def test_dead_pixels_do_not_count_as_negative():
    d, kernel = star_field()
    d[5, 5] = -1e5
    result = richardson_lucy(d, kernel, weights=d >= 0, readout_noise=1.0, damping=2.0)
    assert np.isfinite(result).all()


# Kinds, batches, wrong calls

EXTRAS = ({"damping": 2.0}, {"readout_noise": 2.0}, {"damping": 3.0, "readout_noise": 1.0, "tv_weight": 0.01})


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
def test_every_kind_of_array_gives_the_same(kind, accelerate):
    rng = np.random.default_rng(0)
    d, kernel, w = rng.poisson(40.0, (2, 14, 15)).astype(float), asymmetric((3, 4)), rng.random((2, 14, 15))
    for extra in EXTRAS:
        # Without a line search the abrupt bend of the damped likelihood amplifies rounding from step to step.
        options = {"num_iter": 5 if accelerate is True else 2, "accelerate": accelerate, **extra}
        wanted = richardson_lucy(d, kernel, weights=w, **options)
        for dtype, limit in (("float64", 1e-8), ("float32", 2e-3)):
            image, psf, weights = (kind.array(a, dtype) for a in (d, kernel, w))
            result = kind.numpy(richardson_lucy(image, psf, weights=weights, **options))
            assert result.dtype == dtype
            assert np.abs(result - wanted).max() < limit * wanted.max()


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
def test_batch_equals_its_items(accelerate, close):
    rng = np.random.default_rng(0)
    d = rng.poisson(np.geomspace(3, 1e4, 3).reshape(3, 1, 1), (3, 12, 15)).astype(float)
    options = {"accelerate": accelerate, "damping": 2.0, "readout_noise": rng.uniform(1, 3, (12, 15)), "num_iter": 7}
    result = richardson_lucy(d, asymmetric((3, 4)), **options)
    for item, wanted in zip(d, result, strict=True):
        close(wanted, richardson_lucy(item, asymmetric((3, 4)), **options), slack=1e6)


WRONG = {
    "damping negative": ({"damping": -1.0}, "damping is -1; it must be at least 0"),
    "damping no number": ({"damping": "much"}, "damping is 'much'; a number is wanted"),
    "readout_noise negative": ({"readout_noise": -2.0}, "readout_noise is -2; it must be at least 0"),
    "readout_noise negative somewhere": ({"readout_noise": -np.ones((8, 8))}, "readout_noise has negative samples"),
    "readout_noise of another shape": ({"readout_noise": np.ones(7)}, r"readout_noise has shape \(7,\)"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_wrong_calls_are_told_the_remedy(change, message):
    with pytest.raises((TypeError, ValueError), match=message):
        richardson_lucy(np.ones((8, 8)), np.ones((3, 3)), **change)
