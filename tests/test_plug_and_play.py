"""Plug-and-play: the data step against the dense matrix, known priors against closed forms, and what is promised."""

from __future__ import annotations

import math

import numpy as np
import pytest

import sigdeconv
from sigdeconv import Convolution
from sigdeconv.deconvolution._data_step import DataStep
from sigdeconv.deconvolution.plug_and_play import LAST, _schedule, plug_and_play

PSF = np.array([[1.0, 2.0, 0.5, 0.0], [3.0, 8.0, 2.0, 1.0], [0.5, 2.0, 4.0, 0.5]]) / 24.5


def scene(n: int = 48) -> np.ndarray:
    y, x = np.indices((n, n))
    return 50 + 100.0 * ((x // 12 + y // 12) % 2) + 60.0 * (np.hypot(x - 30, y - 15) < 9)


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def smooth(x, sigma):
    """A denoiser of any array: a mean over neighbours, the more the noisier."""
    a = min(0.2, sigma / 100)
    shifted = sum(np.roll(x, s, axis) for s in (-1, 1) for axis in (-2, -1))
    return (1 - 4 * a) * x + a * shifted


@pytest.mark.parametrize("boundary", ["free", "periodic", "zero", "reflect"])
@pytest.mark.parametrize("rho", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_data_step_is_the_minimiser(boundary, rho, stride):
    rng = np.random.default_rng(0)
    blur = Convolution(PSF, (8, 9), boundary=boundary, stride=stride)
    y, z = rng.standard_normal((2, *blur.shape)), rng.standard_normal((2, *blur.domain_shape))
    x = DataStep(blur, y).solve(z, rho)
    A = blur.to_dense()
    for got, data, guess in zip(x, y, z, strict=True):
        system = A.T @ A + rho * np.eye(A.shape[1])
        wanted = np.linalg.solve(system, A.T @ data.ravel() + rho * guess.ravel())
        # The tolerance is of the gradient; the error may be larger by the condition.
        left = system @ got.ravel() - system @ wanted
        assert np.linalg.norm(left) < 3e-3 * np.linalg.norm(A.T @ (data.ravel() - A @ guess.ravel())) + 1e-12
        if boundary == "periodic" and stride == 1:
            np.testing.assert_allclose(got.ravel(), wanted, atol=1e-10)


@pytest.mark.parametrize("boundary", ["free", "zero", "reflect"])
def test_few_iterations_suffice_for_the_rim(boundary):
    blur = Convolution(sigdeconv.psf.gaussian((11, 11), sigma=1.6), (40, 40), boundary=boundary)
    rng = np.random.default_rng(0)
    step = DataStep(blur, rng.standard_normal((40, 40)))
    z = np.zeros(blur.domain_shape)
    x = step.solve(z, 1e-3)
    gradient = blur.adjoint(blur.forward(x) - step.observed) + 1e-3 * (x - z)
    assert np.linalg.norm(gradient) < 5e-3 * np.linalg.norm(blur.adjoint(step.observed))


def test_start_continues_the_frame():
    blur = Convolution(2 * PSF, (5, 6), boundary="free")
    y = np.arange(30.0).reshape(5, 6)
    start = DataStep(blur, y).start()
    assert start.shape == blur.domain_shape
    np.testing.assert_allclose(start[blur.frame], y / 2)
    assert start.max() == y.max() / 2


def test_the_schedule_falls_from_the_scene_to_the_noise():
    z = np.random.default_rng(0).normal(0, 50, (1, 64, 64))
    schedule = _schedule(z, 2.0, 9)
    assert schedule[0] == pytest.approx(0.8 * z.std())
    assert schedule[-1] == pytest.approx(2.0)
    ratios = np.array(schedule[1:]) / np.array(schedule[:-1])
    np.testing.assert_allclose(ratios, ratios[0])
    assert _schedule(z, 0.0, 9)[-1] == pytest.approx(LAST * schedule[0])
    assert _schedule(z, 500.0, 3) == pytest.approx([500.0] * 3)
    assert _schedule(0 * z, 0.0, 2)[0] > 0


@pytest.mark.parametrize("algorithm", ["hqs", "admm"])
def test_a_denoiser_that_does_nothing_leaves_least_squares(algorithm):
    """With the identity for a denoiser the data decide: the blur is undone where nothing is lost."""
    delta = np.zeros((3, 3))
    delta[1, 1], delta[1, 2] = 0.8, 0.2
    x = scene(24)
    y = Convolution(delta, x.shape, boundary="periodic")(x)
    restored = plug_and_play(
        y, delta, denoiser=lambda x, s: x, sigma=0.1, boundary="periodic", algorithm=algorithm, num_iter=20
    )
    assert rms(restored - x) < 1e-3 * rms(y - x)


def test_hqs_with_a_linear_denoiser_is_its_formula():
    """Three steps, each written as matrices on paper."""
    x = scene(24)
    blur = Convolution(PSF, x.shape, boundary="periodic")
    y = blur(x)
    sigma, A = 3.0, blur.to_dense()
    got = plug_and_play(y, blur, denoiser=lambda z, s: z / (1 + s / 100), sigma=sigma, num_iter=3)
    z = y.ravel() / np.abs(blur.otf).max()
    first = 0.8 * z.std()
    for k in range(3):
        s = first * (max(sigma, LAST * first) / first) ** (k / 2)
        rho = sigma**2 / (4 * s**2)
        z = np.linalg.solve(A.T @ A + rho * np.eye(z.size), A.T @ y.ravel() + rho * z) / (1 + s / 100)
    np.testing.assert_allclose(got.ravel(), z, rtol=1e-8)


@pytest.mark.parametrize("boundary", ["free", "periodic", "zero", "reflect"])
def test_it_restores_with_the_collaborative_filter(boundary):
    psf = sigdeconv.psf.gaussian((9, 9), sigma=1.3)
    x = scene(64)
    blur = Convolution(psf, 64, boundary="reflect" if boundary == "free" else boundary)
    y = blur(x) + np.random.default_rng(0).standard_normal(x.shape)
    restored = plug_and_play(y, psf, sigma=1.0, boundary=boundary, num_iter=12)
    assert rms(restored - x) < 0.4 * rms(y - x)


def test_the_rim_is_as_good_as_the_inside():
    from skimage.data import camera

    whole = camera()[90:202, 190:302].astype(float)
    psf = np.ones((9, 9)) / 81
    blur = Convolution(psf, (104, 104))
    y = blur(whole) + 0.7 * np.random.default_rng(0).standard_normal(blur.shape)
    x = whole[blur.frame]
    rim = np.ones_like(x, dtype=bool)
    rim[8:-8, 8:-8] = False

    def gain(restored):
        return [20 * math.log10(rms((y - x)[m]) / rms((restored - x)[m])) for m in (rim, ~rim)]

    at_rim, inside = gain(plug_and_play(y, psf, sigma=0.7, num_iter=15))
    assert inside > 4
    assert at_rim > 0.6 * inside
    periodic = gain(plug_and_play(y, psf, sigma=0.7, num_iter=15, boundary="periodic"))
    assert at_rim > periodic[0] + 2


def test_it_beats_total_variation_on_a_photograph():
    from skimage.data import camera
    from skimage.transform import downscale_local_mean

    x = downscale_local_mean(camera().astype(float), (2, 2))[40:168, 60:188]
    psf = np.ones((9, 9)) / 81
    y = Convolution(psf, x.shape, boundary="periodic")(x)
    sigma = math.sqrt(y.var() / 1e4)
    y = y + sigma * np.random.default_rng(0).standard_normal(x.shape)
    restored = plug_and_play(y, psf, sigma=sigma, boundary="periodic")
    other = sigdeconv.total_variation(y, psf, sigma=sigma, boundary="periodic")
    assert rms(restored - x) < 0.95 * rms(other - x)


def test_nothing_moves_and_flat_stays_flat():
    even = np.ones((4, 6)) / 24
    flat = np.full((40, 40), 7.0)
    np.testing.assert_allclose(plug_and_play(flat, even, sigma=0.5, num_iter=6), flat, rtol=1e-5)
    point = np.zeros((41, 41))
    point[20, 17] = 1000.0
    y = Convolution(even, point.shape, boundary="zero")(point)
    restored = plug_and_play(y, even, sigma=0.1, num_iter=15)
    assert np.unravel_index(np.argmax(restored), point.shape) == (20, 17)


@pytest.mark.parametrize("gain", [0.01, 50.0])
def test_units_and_the_psfs_sum_only_scale_the_result(gain):
    x = scene(32)
    y = Convolution(PSF, 32, boundary="reflect")(x) + np.random.default_rng(0).standard_normal((32, 32))
    wanted = plug_and_play(y, PSF, denoiser=sigdeconv.denoisers.total_variation_chambolle, sigma=1.0, num_iter=5)
    for image, psf, sigma, factor in [(gain * y, PSF, gain, gain), (gain * y, gain * PSF, gain, 1.0)]:
        got = plug_and_play(image, psf, denoiser=sigdeconv.denoisers.total_variation_chambolle, sigma=sigma, num_iter=5)
        np.testing.assert_allclose(got / factor, wanted, rtol=1e-3)


def test_batches_are_restored_one_by_one_and_colours_together():
    rng = np.random.default_rng(0)
    x = np.stack([scene(32), 3 * scene(32).T])
    y = Convolution(PSF, 32, boundary="reflect")(x) + rng.standard_normal(x.shape)
    together = plug_and_play(y, PSF, sigma=1.0, num_iter=4)
    for got, item in zip(together, y, strict=True):
        np.testing.assert_allclose(got, plug_and_play(item, PSF, sigma=1.0, num_iter=4), atol=1e-3)
    colours = np.moveaxis(np.stack([y, y + 5, y]), 0, -1)  # (2, 32, 32, 3)
    restored = plug_and_play(colours, PSF, sigma=1.0, num_iter=4, channel_axis=-1)
    assert restored.shape == colours.shape
    one = plug_and_play(colours[1], PSF, sigma=1.0, num_iter=4, channel_axis=-1)
    np.testing.assert_allclose(restored[1], one, atol=1e-3)
    assert rms(one[..., 0] - x[1]) < rms(y[1] - x[1])


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_dtype_and_shape_are_kept_and_the_input_too(dtype):
    y = scene(24).astype(dtype)
    before = y.copy()
    result = plug_and_play(y, PSF, sigma=1.0, num_iter=2)
    assert result.dtype == ("float32" if dtype == "uint8" else dtype)
    assert result.shape == y.shape
    np.testing.assert_array_equal(y, before)


@pytest.mark.parametrize("ndim", [1, 3])
def test_a_denoiser_makes_it_serve_signals_and_volumes(ndim):
    x = np.zeros((20,) * ndim)
    x[(slice(6, 13),) * ndim] = 100.0
    psf = sigdeconv.psf.gaussian((7,) * ndim, sigma=1.2)
    y = Convolution(psf, x.shape, boundary="reflect")(x)
    y += 0.5 * np.random.default_rng(0).standard_normal(x.shape)
    restored = plug_and_play(y, psf, denoiser=sigdeconv.denoisers.total_variation_chambolle, sigma=0.5, num_iter=10)
    assert rms(restored - x) < 0.5 * rms(y - x)


def test_every_kind_of_array_passes_to_the_denoiser(kind):
    y = scene(16)
    kinds = []

    def denoise(x, sigma):
        kinds.append(type(x))
        return x * (1 - 0.001 * sigma)

    for boundary in ("free", "periodic"):
        wanted = plug_and_play(y, PSF, denoiser=denoise, sigma=1.0, num_iter=3, boundary=boundary)
        kinds.clear()
        got = plug_and_play(kind.array(y), PSF, denoiser=denoise, sigma=1.0, num_iter=3, boundary=boundary)
        np.testing.assert_allclose(kind.numpy(got), wanted, rtol=1e-6)
        assert set(kinds) == {type(kind.array(y))}


def test_a_stride_makes_the_scene_finer():
    x = scene(48)
    psf = sigdeconv.psf.gaussian((7, 7), sigma=1.2)
    blur = Convolution(psf, (24, 24), boundary="periodic", stride=2)
    y = blur(x) + 0.5 * np.random.default_rng(0).standard_normal(blur.shape)
    restored = plug_and_play(y, blur, sigma=0.5, num_iter=12)
    assert restored.shape == x.shape
    assert rms(restored - x) < 0.7 * rms(np.kron(y, np.ones((2, 2))) - x)


def test_the_noise_is_estimated_and_reported():
    y = Convolution(PSF, 48, boundary="reflect")(scene()) + 4 * np.random.default_rng(0).standard_normal((48, 48))
    seen = []
    estimated = plug_and_play(y, PSF, num_iter=3, callback=lambda i: seen.append(i.chosen))
    assert len(seen) == 3
    assert seen[0]["sigma"] == pytest.approx(4, rel=0.25)
    given = plug_and_play(y, PSF, sigma=seen[0]["sigma"], num_iter=3, callback=lambda i: seen.append(i.chosen))
    np.testing.assert_allclose(estimated, given, atol=1e-6)
    assert seen[-1] == {}


def test_callback_stops_and_sees_the_frame():
    seen = []
    y = scene(32)
    result = plug_and_play(
        y, PSF, sigma=1.0, denoiser=smooth, callback=lambda i: seen.append(i.estimate.copy()) or i.index == 4
    )
    assert len(seen) == 4
    assert seen[0].shape == y.shape
    np.testing.assert_array_equal(result, seen[-1])


def test_more_strength_smoothes_more():
    y = scene(32) + 10 * np.random.default_rng(0).standard_normal((32, 32))
    rough = [
        rms(np.diff(plug_and_play(y, PSF, sigma=10.0, strength=s, num_iter=6, boundary="reflect"))) for s in (0.3, 1, 3)
    ]
    assert rough[0] > rough[1] > rough[2]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"denoiser": "bm3d"}, TypeError, "denoiser is a str; a function"),
        ({"denoiser": lambda x, s: x[1:]}, ValueError, "denoiser gave shape .* it must keep the shape"),
        ({"denoiser": lambda x, s: None}, ValueError, "denoiser gave NoneType"),
        ({"denoiser": lambda x, s: x * np.nan}, ValueError, "denoiser gave NaN"),
        ({"sigma": -1.0}, ValueError, "sigma is -1"),
        ({"strength": 0.0}, ValueError, "strength is 0; it must be larger than 0"),
        ({"algorithm": "fista"}, ValueError, "algorithm is 'fista'; pass one of 'hqs', 'admm'"),
        ({"num_iter": 0}, ValueError, "num_iter is 0"),
        ({"boundary": "wrap"}, ValueError, "boundary is 'wrap'"),
        ({"tol": -1.0}, ValueError, "tol is -1"),
        ({"callback": 3}, TypeError, "callback is a int"),
    ],
)
def test_a_wrong_call_is_told(options, error, message):
    with pytest.raises(error, match=message):
        plug_and_play(scene(16), PSF, **{"sigma": 1.0, "denoiser": smooth, **options})


def test_what_the_collaborative_filter_cannot_do_is_told(torch):
    with pytest.raises(ValueError, match=r"psf has 1 dimension and .* pass another denoiser"):
        plug_and_play(np.ones(32), np.ones(3), sigma=1.0)
    with pytest.raises(ValueError, match="psf has 2 dimensions and the scene the shape"):
        plug_and_play(np.ones((4, 4)), PSF, sigma=1.0, boundary="zero")
    with pytest.raises(TypeError, match=r"torch\.Tensor; the collaborative filter takes NumPy"):
        plug_and_play(torch.ones((16, 16)), PSF, sigma=1.0)
    with pytest.raises(ValueError, match="NaN"):
        plug_and_play(np.full((16, 16), np.nan), PSF, sigma=1.0)


@pytest.mark.parametrize("n", [41, 43, 45])
def test_the_circle_has_the_length_of_the_frame_whatever_the_fast_lengths_are(n):
    """The step on the data against a dense solve, where the FFTs of the operator are longer than the frame."""
    from sigdeconv.deconvolution._data_step import DataStep

    rng = np.random.default_rng(0)
    blur = sigdeconv.Convolution(np.array([0.1, 0.6, 0.3]), n, boundary="periodic")
    y, z, rho = rng.standard_normal(n), rng.standard_normal(n), 0.05
    a = blur.to_dense()
    wanted = np.linalg.solve(a.T @ a + rho * np.eye(n), a.T @ y + rho * z)
    np.testing.assert_allclose(DataStep(blur, y).solve(z, rho), wanted, atol=1e-10)
