"""Impulse responses of both signs, whose sum may be zero: who takes them, and who says why not."""

from __future__ import annotations

import numpy as np
import pytest

import sigdeconv
from sigdeconv import Convolution, simulate
from sigdeconv.convolution import blind_to_mean, psf_for, signed_otf

BOUNDARIES = ("free", "periodic", "zero", "reflect")
T = np.arange(-12, 13)
RICKER = (1 - 0.16 * T**2) * np.exp(-0.08 * T**2)
BLIND = RICKER - RICKER.mean()  # of sum zero but for rounding
EMBOSS = np.array([[-1.0, -1.0, 0.0], [-1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])  # as differential interference contrast has


def trace(wavelet, noise=0.01):
    layers = np.zeros(160)
    layers[[40, 52, 57, 110]] = 1.0, -0.7, 0.5, -0.4
    clean = Convolution(wavelet, 160, boundary="zero")(layers)
    return layers, clean + np.random.default_rng(0).normal(0, noise, 160)


TAKERS = {
    "inverse_filter": lambda y, h, b: sigdeconv.inverse_filter(y, h, cutoff=0.3, boundary=b),
    "wiener": lambda y, h, b: sigdeconv.wiener(y, h, boundary=b),
    "wiener, power": lambda y, h, b: sigdeconv.wiener(y, h, regularizer="identity", boundary=b),
    "unsupervised_wiener": lambda y, h, b: sigdeconv.unsupervised_wiener(y, h, boundary=b, num_iter=20, rng=0).image,
    "tikhonov": lambda y, h, b: sigdeconv.tikhonov(y, h, boundary=b),
    "tikhonov, power": lambda y, h, b: sigdeconv.tikhonov(y, h, regularizer="identity", boundary=b),
    "landweber": lambda y, h, b: sigdeconv.landweber(y, h, boundary=b),
    "total_variation": lambda y, h, b: sigdeconv.total_variation(y, h, boundary=b),
    "hyper_laplacian": lambda y, h, b: sigdeconv.hyper_laplacian(y, h, boundary=b),
    "hessian_schatten": lambda y, h, b: sigdeconv.hessian_schatten(y, h, boundary=b),
    "wavelet_sparse": lambda y, h, b: sigdeconv.wavelet_sparse(y, h, boundary=b),
    "sparse_spikes": lambda y, h, b: sigdeconv.sparse_spikes(y, h, boundary=b),
}
REFUSERS = {
    "richardson_lucy": lambda y, h: sigdeconv.richardson_lucy(y, h, num_iter=2),
    "blind_richardson_lucy": lambda y, h: sigdeconv.blind_richardson_lucy(y, h, num_iter=2),
    "van_cittert": lambda y, h: sigdeconv.van_cittert(y, h),
}


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("name", TAKERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blind_wavelet_gives_a_finite_and_useful_result(name, boundary, dtype):
    layers, y = trace(BLIND)
    restored = TAKERS[name](y.astype(dtype), BLIND, boundary)
    assert restored.dtype == dtype
    assert np.isfinite(restored).all()
    assert np.abs(restored).max() < 4
    # Of the mean nothing is known, and prior knowledge may set it: the rest comes closer to the layers than the trace.
    error = restored - layers
    assert np.std(error) < 0.95 * np.std(y - layers)


@pytest.mark.parametrize("boundary", ["periodic", "reflect", "free"])
def test_the_mean_that_nobody_knows_is_zero(boundary):
    """A flat image tells nothing of a scene behind a wavelet of sum zero."""
    for name in ("wiener", "total_variation", "wavelet_sparse", "tikhonov"):
        restored = TAKERS[name](np.full(64, 5.0), BLIND, boundary)
        assert np.isfinite(restored).all()
        if boundary != "free":
            np.testing.assert_allclose(restored, 0, atol=0.05)


def test_spikes_are_found_with_their_sign():
    for wavelet in (RICKER, BLIND, -BLIND):
        layers, y = trace(wavelet)
        for boundary in BOUNDARIES:
            found = sigdeconv.sparse_spikes(y, wavelet, boundary=boundary)
            assert sorted(np.argsort(-np.abs(found))[:4]) == [40, 52, 57, 110]
            assert np.abs(found - layers).max() < 0.2


def test_spikes_settle_at_the_same_weight_whatever_lies_past_the_frame():
    _, y = trace(RICKER)
    weights = []
    for boundary in ("free", "zero"):
        report = []
        found = sigdeconv.sparse_spikes(y, RICKER, boundary=boundary, callback=report.append)
        weights.append(report[-1].chosen["weight"])
        assert report[-1].index < 200
        settled = sigdeconv.sparse_spikes(y, RICKER, weight=weights[-1], boundary=boundary, num_iter=5000, tol=1e-7)
        assert np.linalg.norm(found - settled) < 0.02 * np.linalg.norm(settled)
    assert 1 / 3 < weights[0] / weights[1] < 3


def test_relief_of_a_microscope_becomes_a_scene():
    """Two dimensions: a response of sum zero, of which the mean of the scene is unknown."""
    scene = np.zeros((40, 44))
    scene[10:25, 12:30] = 10.0
    y = Convolution(EMBOSS, scene.shape, boundary="periodic")(scene)
    y += np.random.default_rng(0).normal(0, 0.3, y.shape)
    blur = Convolution(EMBOSS, scene.shape, boundary="periodic")
    for psf in (EMBOSS, blur):
        restored = sigdeconv.total_variation(y, psf, boundary="periodic")
        assert abs(restored.mean()) < 1e-6
        assert np.std(restored - scene) < 0.2 * np.std(scene)


def test_least_squares_is_the_pseudo_inverse():
    """Against the dense matrix: the shortest of all scenes that explain the data best."""
    rng = np.random.default_rng(3)
    h = np.array([1.0, -2.5, 0.5, 1.0])
    y = rng.standard_normal(21)
    matrix = Convolution(h, 21, boundary="periodic").to_dense()
    wanted = np.linalg.pinv(matrix, rcond=1e-8) @ y
    np.testing.assert_allclose(sigdeconv.wiener(y, h, balance=0.0, boundary="periodic"), wanted, atol=1e-9)
    np.testing.assert_allclose(sigdeconv.inverse_filter(y, h, cutoff=0.0, boundary="periodic"), wanted, atol=1e-9)


def test_zero_frequency_is_exactly_zero_where_the_sum_is_rounding():
    assert signed_otf(BLIND, (64,))[0] == 0
    assert signed_otf(RICKER, (64,))[0] != 0
    np.testing.assert_allclose(signed_otf(BLIND, (64,)), sigdeconv.psf_to_otf(BLIND, 64), atol=1e-12)
    assert blind_to_mean(BLIND)
    assert blind_to_mean(BLIND.astype("float32"))
    assert not blind_to_mean(RICKER)


def test_kinds(kind):
    _, y = trace(BLIND)
    restored = kind.numpy(sigdeconv.total_variation(kind.array(y, "float64"), BLIND, weight=0.01, boundary="periodic"))
    wanted = sigdeconv.total_variation(y, BLIND, weight=0.01, boundary="periodic")
    np.testing.assert_allclose(restored, wanted, atol=1e-6)


@pytest.mark.parametrize("name", REFUSERS)
def test_others_say_why_not(name):
    y = np.abs(trace(BLIND)[1])
    for psf in (BLIND, Convolution(BLIND, y.shape, boundary="reflect"))[: 1 if name.startswith("blind") else 2]:
        with pytest.raises(ValueError, match=r"psf has the sum .* a blur must pass some light: .* or use wiener"):
            REFUSERS[name](y, psf)


@pytest.mark.parametrize("name", [*TAKERS, *REFUSERS])
@pytest.mark.parametrize(
    ("psf", "message"),
    [(np.zeros(5), "psf is zero everywhere"), (np.array([1.0, np.nan, 1.0]), "psf has 1 NaN or infinite sample")],
)
def test_zeros_and_nan_are_refused_by_all(name, psf, message):
    y = np.abs(trace(RICKER)[1])
    with pytest.raises(ValueError, match=message):
        TAKERS[name](y, psf, "periodic") if name in TAKERS else REFUSERS[name](y, psf)


def test_simulation_takes_them_too():
    flat = simulate.blur(np.full(50, 3.0), BLIND)
    np.testing.assert_allclose(flat, 0, atol=1e-12)
    assert simulate.through_frame(np.ones(50), BLIND).blurred.shape == (26,)


def test_check_of_a_psf_tells_the_two_apart():
    y = np.ones(40)
    with pytest.raises(ValueError, match="a blur must pass some light"):
        psf_for(BLIND, y)
    assert psf_for(BLIND, y, signed=True) is not None
