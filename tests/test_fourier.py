"""The closed forms against dense matrices, NumPy's FFT, torch's gradients, and simulations whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sigdeconv import Convolution, inverse_filter, psf, unsupervised_wiener, wiener
from sigdeconv.deconvolution import fourier

# PSF and frame of one to three dimensions; every PSF is asymmetric.
CASES = {
    "1-D odd": ((5,), (13,)),
    "1-D even": ((4,), (12,)),
    "2-D odd": ((3, 5), (7, 8)),
    "2-D even": ((4, 2), (6, 9)),
    "3-D mixed": ((3, 2, 4), (5, 4, 6)),
    "larger than the frame": ((9, 4), (5, 7)),
}
every_case = pytest.mark.parametrize(("taps", "frame"), CASES.values(), ids=CASES)


def asymmetric(taps: tuple[int, ...], seed: int = 1) -> np.ndarray:
    """A positive PSF of sum 1 without any symmetry, whose transfer function has no zeros."""
    kernel = 0.05 * np.random.default_rng(seed).random(taps)
    kernel[tuple(k // 2 for k in taps)] += 1.0
    return kernel / kernel.sum()


def circulant(kernel: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """Periodic convolution as a matrix, by rolling: sample ``n // 2`` of the kernel is its origin."""
    eye = np.eye(math.prod(grid)).reshape(-1, *grid)
    axes = tuple(range(1, len(grid) + 1))
    matrix = np.zeros_like(eye)
    for index in np.ndindex(kernel.shape):
        shift = tuple(i - k // 2 for i, k in zip(index, kernel.shape, strict=True))
        matrix += kernel[index] * np.roll(eye, shift, axes)
    return matrix.reshape(len(eye), -1).T


def second_difference(grid: tuple[int, ...]) -> np.ndarray:
    """The periodic Laplacian as a matrix."""
    matrix = np.zeros((math.prod(grid),) * 2)
    for axis in range(len(grid)):
        line = np.zeros((1,) * axis + (3,) + (1,) * (len(grid) - axis - 1))
        line.flat[:] = [1, -2, 1]
        matrix += circulant(line, grid)
    return matrix


def textbook(image: np.ndarray, kernel: np.ndarray, balance: float) -> np.ndarray:
    """``conj(H) Y / (|H|^2 + balance |L|^2)`` by the full complex FFT."""
    H = np.fft.fftn(np.reshape(circulant(kernel, image.shape)[:, 0], image.shape))
    L = np.fft.fftn(np.reshape(second_difference(image.shape)[:, 0], image.shape))
    return np.fft.ifftn(np.conj(H) * np.fft.fftn(image) / (np.abs(H) ** 2 + balance * np.abs(L) ** 2)).real


def scene(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Blocks: flat parts with steps on every axis."""
    rng = np.random.default_rng(seed)
    coarse = rng.random([-(-n // 8) for n in shape])
    for axis in range(len(shape)):
        coarse = np.repeat(coarse, 8, axis=axis)
    return 10 + 100 * coarse[tuple(slice(n) for n in shape)]


def observed(shape: tuple[int, ...], kernel: np.ndarray, sigma: float, boundary: str = "periodic") -> tuple:
    """A scene and its blurred and noisy image; past the frame it goes on with "free"."""
    blur = Convolution(kernel, shape, boundary=boundary)
    x = scene(blur.domain_shape)
    y = blur(x) + sigma * np.random.default_rng(1).standard_normal(shape)
    return x[blur.frame], y


# Wiener with a given balance


@every_case
@pytest.mark.parametrize("balance", [0.0, 1e-3, 10.0])
def test_periodic_wiener_is_the_textbook_formula_and_the_least_squares_solution(taps, frame, balance, close):
    kernel, y = asymmetric(taps), np.random.default_rng(2).standard_normal(frame)
    restored = wiener(y, kernel, balance=balance, boundary="periodic")
    close(restored, textbook(y, kernel, balance), slack=100)
    A, L = circulant(kernel, frame), second_difference(frame)
    dense = np.linalg.solve(A.T @ A + balance * L.T @ L, A.T @ y.ravel())
    close(restored, dense.reshape(frame), slack=100)


@every_case
@pytest.mark.parametrize("balance", [0.02, 1.0])
def test_free_wiener_minimises_the_error_within_the_frame_alone(taps, frame, balance, monkeypatch):
    monkeypatch.setattr(fourier, "ENOUGH", 0.0)
    monkeypatch.setattr(fourier, "FILL_ITERATIONS", 400)
    kernel, y = asymmetric(taps), np.random.default_rng(2).standard_normal(frame)
    grid = fourier.Scene.of(y, kernel, "free", "laplacian").grid
    assert all(g >= n + k - 1 for g, n, k in zip(grid, frame, taps, strict=True))
    A, L = circulant(kernel, grid), second_difference(grid)
    seen = np.zeros(grid, dtype=bool)
    seen[tuple(slice(n) for n in frame)] = True
    MA = A[seen.ravel()]
    dense = np.linalg.solve(MA.T @ MA + balance * L.T @ L, MA.T @ y.ravel()).reshape(grid)
    restored = wiener(y, kernel, balance=balance)
    np.testing.assert_allclose(restored, dense[tuple(slice(n) for n in frame)], atol=1e-8)


def slowing_motion(taps: int) -> np.ndarray:
    """Motion along the diagonal that slows down."""
    kernel = np.zeros((taps, taps))
    kernel[np.arange(taps), np.arange(taps)] = np.arange(1, taps + 1)
    return kernel / kernel.sum()


@pytest.mark.parametrize("kernel", [psf.gaussian((15, 15), 2.0), slowing_motion(21)], ids=["gaussian", "motion"])
def test_the_default_filling_is_close_to_the_exact_minimiser(kernel, monkeypatch):
    x, y = observed((64, 64), kernel, 1.0, "free")
    quick = wiener(y, kernel, balance=0.01)
    monkeypatch.setattr(fourier, "ENOUGH", 0.0)
    monkeypatch.setattr(fourier, "FILL_ITERATIONS", 1000)
    exact = wiener(y, kernel, balance=0.01)
    decibels = 10 * np.log10(np.mean((quick - x) ** 2) / np.mean((exact - x) ** 2))
    assert abs(decibels) < 0.05


def test_a_balance_of_zero_or_nearly_none_is_no_explosion_of_rounding():
    kernel = asymmetric((5, 4))
    for boundary in ("zero", "reflect"):
        x, y = observed((24, 30), kernel, 0.0, boundary)
        for balance in (0.0, 1e-16):
            assert np.abs(wiener(y, kernel, balance=balance, boundary=boundary) - x).max() < 1e-4 * x.max()


def ending(kernel: np.ndarray, frame: tuple[int, ...], boundary: str) -> np.ndarray:
    """The blur of a scene that is dark or mirrored past the frame as a matrix, sum by sum."""
    matrix = np.zeros((math.prod(frame),) * 2)
    for row, seen in enumerate(np.ndindex(frame)):
        for tap in np.ndindex(kernel.shape):
            at = [i + k // 2 - j for i, j, k in zip(seen, tap, kernel.shape, strict=True)]
            if boundary == "zero" and any(not 0 <= a < n for a, n in zip(at, frame, strict=True)):
                continue
            at = [min(a % (2 * n), 2 * n - 1 - a % (2 * n)) for a, n in zip(at, frame, strict=True)]
            matrix[row, np.ravel_multi_index(at, frame)] += kernel[tap]
    return matrix


@every_case
@pytest.mark.parametrize("boundary", ["zero", "reflect"])
@pytest.mark.parametrize("regularizer", ["laplacian", "identity", "an array"])
def test_zero_and_reflect_are_about_the_scene(taps, frame, boundary, regularizer, monkeypatch):
    monkeypatch.setattr(fourier, "FRAME_TOLERANCE", 0.0)
    kernel, y = asymmetric(taps), np.random.default_rng(2).standard_normal(frame)
    A = ending(kernel, frame, boundary)
    if regularizer == "identity":
        penalty: np.ndarray = np.eye(len(A))
    elif regularizer == "laplacian":
        lines = ending(np.array([1.0, -2.0, 1.0]).reshape(3, *(1,) * (len(frame) - 1)), frame, "reflect")
        for axis in range(1, len(frame)):
            lines += ending(
                np.array([1.0, -2.0, 1.0]).reshape([3 if a == axis else 1 for a in range(len(frame))]), frame, "reflect"
            )
        penalty = lines.T @ lines
    else:  # of a scene that is mirrored, and so of the array and its mirror images on average
        regularizer = np.random.default_rng(5).standard_normal((2,) * len(frame))
        double = tuple(2 * n for n in frame)
        rough = circulant(regularizer, double)
        mirror = np.zeros((math.prod(double), math.prod(frame)))
        for row, at in enumerate(np.ndindex(double)):
            mirror[
                row, np.ravel_multi_index([min(a, 2 * n - 1 - a) for a, n in zip(at, frame, strict=True)], frame)
            ] = 1
        penalty = mirror.T @ rough.T @ rough @ mirror / 2 ** len(frame)
    dense = np.linalg.solve(A.T @ A + 0.1 * penalty, A.T @ y.ravel()).reshape(frame)
    restored = wiener(y, kernel, balance=0.1, boundary=boundary, regularizer=regularizer)
    np.testing.assert_allclose(restored, dense, atol=1e-9)


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_a_scene_that_ends_is_found_within_a_few_steps(boundary, monkeypatch):
    kernel = slowing_motion(9)
    x, y = observed((64, 64), kernel, 1.0, boundary)
    quick = wiener(y, kernel, balance=0.01, boundary=boundary)
    monkeypatch.setattr(fourier, "FRAME_TOLERANCE", 0.0)
    monkeypatch.setattr(fourier, "FRAME_ITERATIONS", 2000)
    exact = wiener(y, kernel, balance=0.01, boundary=boundary)
    assert abs(10 * np.log10(np.mean((quick - x) ** 2) / np.mean((exact - x) ** 2))) < 0.02


def test_a_mirrored_image_is_that_of_a_mirrored_scene_only_where_the_psf_is_even():
    y = np.random.default_rng(2).standard_normal((10, 12))
    double = np.concatenate([y, y[::-1]])
    double = np.concatenate([double, double[:, ::-1]], axis=1)
    for kernel, even in ((psf.gaussian((5, 7), 1.0), True), (asymmetric((5, 7)), False), (np.ones((4, 4)) / 16, False)):
        mirrored = wiener(double, kernel, balance=0.1, boundary="periodic")[:10, :12]
        assert (np.abs(wiener(y, kernel, balance=0.1, boundary="reflect") - mirrored).max() < 1e-10) == even


@pytest.mark.parametrize("boundary", ["periodic", "free"])
def test_regularizers(boundary, close):
    """The words, their arrays, and their transfer functions are the same filters."""
    kernel, y = asymmetric((3, 4)), np.random.default_rng(3).standard_normal((10, 12))
    laplace = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    options = {"balance": 0.3, "boundary": boundary}
    curved = wiener(y, kernel, **options)
    close(wiener(y, kernel, regularizer=laplace, **options), curved, slack=100)
    close(wiener(y, kernel, regularizer=-laplace, **options), curved, slack=100)
    ridge = wiener(y, kernel, regularizer="identity", **options)
    close(wiener(y, kernel, regularizer=np.ones((1, 1)), **options), ridge, slack=100)
    assert np.abs(ridge - curved).max() > 0.01
    if boundary == "periodic":
        wy, wx = np.fft.fftfreq(10)[:, None], np.fft.rfftfreq(12)
        otf = 2 * np.cos(2 * np.pi * wy) + 2 * np.cos(2 * np.pi * wx) - 4
        close(wiener(y, kernel, regularizer=Convolution.from_otf(otf, (10, 12)), **options), curved, slack=100)
        A = circulant(kernel, y.shape)
        dense = np.linalg.solve(A.T @ A + 0.3 * np.eye(120), A.T @ y.ravel())
        close(ridge, dense.reshape(y.shape), slack=100)


def test_a_transfer_function_keeps_its_phase():
    x = scene((24, 30))
    wy, wx = np.fft.fftfreq(24)[:, None], np.fft.rfftfreq(30)
    otf = np.exp(-20 * (wy**2 + wx**2)) * np.exp(-2j * np.pi * (3 * wy - 2 * wx))  # moves by (3, -2)
    y = Convolution.from_otf(otf, x.shape)(x)
    restored = wiener(y, Convolution.from_otf(otf, x.shape), balance=1e-9)
    assert np.abs(restored - x).max() < 0.02 * np.abs(y - x).max()
    full = np.exp(-20 * (wy**2 + np.fft.fftfreq(30) ** 2)) * np.exp(-2j * np.pi * (3 * wy - 2 * np.fft.fftfreq(30)))
    full[:, 15] = otf[:, 15]  # the highest frequency has two signs; a real PSF takes their mean
    full[12] = 0.5 * (full[12] + np.conj(full[12, -np.arange(30)]))
    full[:, 15] = 0.5 * (full[:, 15] + np.conj(full[-np.arange(24), 15]))
    again = wiener(y, Convolution.from_otf(full, x.shape), balance=1e-9)
    assert np.abs(again - x).max() < 0.02 * np.abs(y - x).max()


# The balance from the data


@pytest.mark.parametrize("boundary", ["periodic", "free", "reflect"])
@pytest.mark.parametrize("sigma", [0.3, 3.0, 15.0])
def test_balance_from_the_data_is_nearly_the_best(boundary, sigma):
    kernel = psf.gaussian((11, 11), 1.5)
    x, y = observed((64, 72), kernel, sigma, boundary)
    found = np.mean((wiener(y, kernel, boundary=boundary) - x) ** 2)
    best = min(np.mean((wiener(y, kernel, balance=b, boundary=boundary) - x) ** 2) for b in np.geomspace(1e-6, 1e2, 25))
    assert found < 1.1 * best
    assert found < 0.8 * np.mean((y - x) ** 2)


SOUNDS = {
    "line": [1.0] + 399 * [0.0] + [0.6],
    "room": np.random.default_rng(4).standard_normal(800) * np.exp(-np.arange(800) / 200),
}


@pytest.mark.parametrize("response", SOUNDS.values(), ids=SOUNDS)
@pytest.mark.parametrize("decibels", [20, 35])
@pytest.mark.parametrize("regularizer", ["laplacian", "identity"])
@pytest.mark.parametrize("colour", [0.0, 0.9, 1.0])
def test_the_balance_of_an_echo_is_nearly_the_best(response, decibels, regularizer, colour):
    rng = np.random.default_rng(7)
    steps = rng.standard_normal(8192)
    x = np.fft.irfft(np.fft.rfft(steps) / np.abs(1.0001 - colour * np.exp(2j * np.pi * np.fft.rfftfreq(8192))))
    blur = Convolution(np.asarray(response), 8192, boundary="periodic", center=0)
    clean = blur(x)
    y = clean + 10 ** (-decibels / 20) * clean.std() * rng.standard_normal(8192)
    found = np.mean((wiener(y, blur, regularizer=regularizer) - x) ** 2)
    tried = [wiener(y, blur, regularizer=regularizer, balance=b) for b in np.geomspace(1e-8, 1e4, 20)]
    best = min(np.mean((each - x) ** 2) for each in tried)
    assert found < 10**0.1 * best  # 1 dB


@pytest.mark.parametrize("boundary", ["zero", "reflect", "free"])
@pytest.mark.parametrize("regularizer", ["laplacian", "identity"])
def test_the_balance_of_a_photograph_is_nearly_the_best_at_every_edge(boundary, regularizer):
    from skimage import data

    kernel = slowing_motion(9)
    blur = Convolution(kernel, (96, 96), boundary=boundary)
    photo = data.camera()[100:, 180:].astype(float)
    x = photo[tuple(slice(n) for n in blur.domain_shape)]
    y = blur(x) + 2 * np.random.default_rng(0).standard_normal((96, 96))
    x = x[blur.frame]
    options = {"boundary": boundary, "regularizer": regularizer}
    found = np.mean((wiener(y, kernel, **options) - x) ** 2)
    best = min(np.mean((wiener(y, kernel, balance=b, **options) - x) ** 2) for b in np.geomspace(1e-4, 1, 13))
    assert found < 10**0.03 * best  # 0.3 dB


def test_balance_does_not_depend_on_the_unit():
    kernel = psf.gaussian((9, 9), 1.5)
    _, y = observed((40, 40), kernel, 2.0)
    np.testing.assert_allclose(wiener(1e4 * y, kernel), 1e4 * wiener(y, kernel), rtol=1e-9)


@pytest.mark.parametrize("balance", [None, 0.05])
@pytest.mark.parametrize("boundary", ["periodic", "free"])
def test_batch_equals_its_items(balance, boundary, close):
    kernel = asymmetric((3, 4))
    y = np.random.default_rng(4).standard_normal((2, 3, 12, 15)) * np.geomspace(1, 100, 6).reshape(2, 3, 1, 1)
    restored = wiener(y, kernel, balance=balance, boundary=boundary)
    for index in np.ndindex(2, 3):
        close(restored[index], wiener(y[index], kernel, balance=balance, boundary=boundary), slack=1000)


@pytest.mark.parametrize("balance", [None, 0.05])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_channel_axis_restores_each_colour(balance, axis, close):
    kernel, y = asymmetric((3, 4)), np.random.default_rng(4).standard_normal((3, 12, 15))
    restored = wiener(np.moveaxis(y, 0, axis), kernel, balance=balance, channel_axis=axis)
    inverted = inverse_filter(np.moveaxis(y, 0, axis), kernel, channel_axis=axis)
    assert restored.shape == inverted.shape == np.moveaxis(y, 0, axis).shape
    for colour, result, divided in zip(y, np.moveaxis(restored, axis, 0), np.moveaxis(inverted, axis, 0), strict=True):
        close(result, wiener(colour, kernel, balance=balance), slack=1000)
        close(divided, inverse_filter(colour, kernel), slack=1000)


# Kinds of arrays


@pytest.mark.parametrize("boundary", ["periodic", "free", "zero", "reflect"])
@pytest.mark.parametrize("balance", [None, 0.05])
def test_every_kind_of_array_gives_the_same(kind, boundary, balance, close):
    kernel, y = asymmetric((3, 4)), observed((2, 12, 15), asymmetric((1, 3, 4)), 1.0)[1]
    wanted = wiener(y, kernel, balance=balance, boundary=boundary)
    close(kind.numpy(wiener(kind.array(y), kernel, balance=balance, boundary=boundary)), wanted, slack=1000)
    divided = kind.numpy(inverse_filter(kind.array(y), kind.array(kernel), boundary=boundary))
    close(divided, inverse_filter(y, kernel, boundary=boundary), slack=1000)


@pytest.mark.parametrize("boundary", ["periodic", "free"])
def test_single_precision_stays_and_is_as_good(kind, boundary):
    kernel = psf.gaussian((9, 9), 1.5)
    _, y = observed((40, 40), kernel, 2.0)
    exact = wiener(y, kernel, boundary=boundary)
    single = wiener(kind.array(y, "float32"), kernel, boundary=boundary)
    assert kind.numpy(single).dtype == np.float32
    assert np.abs(kind.numpy(single) - exact).max() < 1e-2 * exact.std()
    assert kind.numpy(inverse_filter(kind.array(y, "float32"), kernel)).dtype == np.float32
    assert wiener(y.astype(np.uint8), kernel).dtype == np.float32


@pytest.mark.parametrize("boundary", ["periodic", "free", "zero", "reflect"])
def test_gradients_flow_through_image_and_psf(torch, boundary):
    y = torch.asarray(np.random.default_rng(3).standard_normal((5, 6))).requires_grad_()
    kernel = torch.asarray(asymmetric((3, 2))).requires_grad_()
    assert torch.autograd.gradcheck(lambda y, k: wiener(y, k, balance=0.2, boundary=boundary), (y, kernel))
    assert torch.autograd.gradcheck(lambda y, k: inverse_filter(y, k, boundary=boundary), (y, kernel))


def test_gradients_flow_with_a_balance_from_the_data(torch):
    y = torch.asarray(np.random.default_rng(3).standard_normal((12, 12))).requires_grad_()
    wiener(y, asymmetric((3, 3))).square().sum().backward()
    assert y.grad.abs().max() > 0


# The inverse filter


@every_case
def test_division_is_exact_without_noise(taps, frame, close):
    kernel, x = asymmetric(taps), np.random.default_rng(5).standard_normal(frame)
    y = (circulant(kernel, frame) @ x.ravel()).reshape(frame)
    close(inverse_filter(y, kernel, cutoff=0), x, slack=1e3)
    close(inverse_filter(y, kernel), x, slack=1e3)


def test_cutoff_sets_weak_frequencies_to_zero_and_leaves_the_others():
    kernel = psf.gaussian(31, 2.0)
    y = np.random.default_rng(0).standard_normal(64)
    gains = np.abs(np.fft.rfft(circulant(kernel, (64,))[:, 0]))
    for cutoff in (1e-6, 1e-3, 0.5):
        spectrum = np.fft.rfft(inverse_filter(y, kernel, cutoff=cutoff))
        passes = gains >= cutoff * gains.max()
        assert 0 < passes.sum() < len(passes) or cutoff == 1e-6
        np.testing.assert_allclose(np.abs(spectrum[passes]), np.abs(np.fft.rfft(y)[passes]) / gains[passes], rtol=1e-6)
        assert np.abs(spectrum[~passes]).max(initial=0) < 1e-9


def test_frequencies_that_the_blur_removes_stay_dark_rather_than_infinite():
    y = np.random.default_rng(0).standard_normal(12)
    for restored in (
        inverse_filter(y, np.array([0.5, 0.5]), cutoff=0),
        wiener(y, [0.5, 0.5], balance=0.0, boundary="periodic"),
    ):
        assert np.isfinite(restored).all()
    box = np.ones(3) / 3  # H is zero at a third of the sampling frequency, up to rounding
    assert np.abs(inverse_filter(y, box)).max() < 100


# Unsupervised


def drawn(shape: tuple[int, ...], kernel: np.ndarray, noise_precision: float, prior_precision: float) -> tuple:
    """A scene from the prior itself, and its periodic blurred and noisy image."""
    rng = np.random.default_rng(0)
    rough = np.abs(np.fft.fftn(np.reshape(second_difference(shape)[:, 0], shape)))
    rough.flat[0] = 1.0
    x = np.fft.ifftn(np.fft.fftn(rng.standard_normal(shape)) / rough).real / prior_precision**0.5
    y = Convolution(kernel, shape, boundary="periodic")(x) + rng.standard_normal(shape) / noise_precision**0.5
    return x, y


@pytest.mark.parametrize(("shape", "boundary"), [((2048,), "periodic"), ((40, 48), "periodic"), ((40, 48), "free")])
def test_precisions_are_found(shape, boundary):
    kernel = psf.gaussian((7,) * len(shape), 1.0)
    x, y = drawn(shape, kernel, 4.0, 0.01)
    result = unsupervised_wiener(y, kernel, boundary=boundary, rng=0)
    assert result.noise_precision == pytest.approx(4.0, rel=0.15)
    assert result.prior_precision == pytest.approx(0.01, rel=0.4)
    best = wiener(y, kernel, balance=0.01 / 4.0, boundary=boundary)
    assert np.mean((result.image - x) ** 2) < 1.05 * np.mean((best - x) ** 2)


def test_a_seed_repeats_the_result_and_the_chains_hold_every_sample():
    kernel = psf.gaussian((7, 7), 1.0)
    _, y = drawn((24, 30), kernel, 4.0, 0.01)
    options = {"burn_in": 5, "num_iter": 12, "tol": 0.0}
    one, same, other = (unsupervised_wiener(y, kernel, rng=seed, **options) for seed in (3, 3, 4))
    generator = unsupervised_wiener(y, kernel, rng=np.random.default_rng(3), **options)
    for first, second in zip(one, same, strict=True):
        assert np.array_equal(first, second)
    assert np.array_equal(one.image, generator.image)
    assert not np.array_equal(one.image, other.image)
    assert one.image.shape == y.shape
    assert one.noise_precision_chain.shape == one.prior_precision_chain.shape == (17,)
    assert one.noise_precision == pytest.approx(one.noise_precision_chain[5:].mean())
    assert np.ndim(one.noise_precision) == np.ndim(one.prior_precision) == 0


@pytest.mark.parametrize("boundary", ["periodic", "free"])
def test_a_batch_has_precisions_of_its_own(boundary):
    kernel = psf.gaussian((5, 5), 1.0)
    _, y = drawn((24, 30), kernel, 4.0, 0.01)
    options = {"burn_in": 5, "num_iter": 20, "boundary": boundary, "rng": 0}
    result = unsupervised_wiener(np.stack([y, 10 * y]), kernel, **options)
    assert result.image.shape == (2, 24, 30)
    assert result.noise_precision.shape == result.prior_precision.shape == (2,)
    assert result.noise_precision_chain.shape[1:] == (2,)
    assert result.noise_precision[0] / result.noise_precision[1] == pytest.approx(100, rel=0.3)
    colours = unsupervised_wiener(np.stack([y, 10 * y], axis=-1), kernel, channel_axis=-1, **options)
    np.testing.assert_allclose(colours.image, np.moveaxis(result.image, 0, -1), rtol=1e-9)
    np.testing.assert_allclose(colours.noise_precision, result.noise_precision, rtol=1e-9)


@pytest.mark.parametrize("boundary", ["periodic", "free", "zero", "reflect"])
def test_every_kind_of_array_draws_the_same_chain(kind, boundary):
    kernel = psf.gaussian((5, 5), 1.0)
    _, y = drawn((24, 30), kernel, 4.0, 0.01)
    options = {"burn_in": 2, "num_iter": 5, "boundary": boundary, "rng": 0}
    wanted, result = (unsupervised_wiener(a, kernel, **options) for a in (y, kind.array(y)))
    np.testing.assert_allclose(kind.numpy(result.image), wanted.image, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(result.noise_precision_chain, wanted.noise_precision_chain, rtol=1e-6)
    single = unsupervised_wiener(kind.array(y, "float32"), kernel, **options)
    assert kind.numpy(single.image).dtype == np.float32


def test_tolerance_and_callback_stop_the_chain():
    kernel = psf.gaussian((5, 5), 1.0)
    _, y = drawn((24, 30), kernel, 4.0, 0.01)
    seen = []

    def watch(iteration):
        seen.append((iteration.index, iteration.estimate.shape))
        return iteration.index == 4

    result = unsupervised_wiener(y, kernel, burn_in=3, num_iter=50, tol=0.0, rng=0, callback=watch)
    assert seen == [(i, (24, 30)) for i in (1, 2, 3, 4)]
    assert len(result.noise_precision_chain) == 7
    loose = unsupervised_wiener(y, kernel, burn_in=3, num_iter=50, tol=0.1, rng=0)
    assert len(loose.noise_precision_chain) < 10


# Wrong calls

WRONG = {
    "psf larger in dimensions": ({"psf": np.ones((3, 3, 3))}, "psf has 3 dimensions but image has 2"),
    "psf of zeros": ({"psf": np.zeros((2, 3))}, "psf is zero everywhere"),
    "negative balance": ({"balance": -1.0}, "balance is -1; it must be at least 0"),
    "balance no number": ({"balance": "small"}, "balance is 'small'; a number is wanted"),
    "unknown boundary": ({"boundary": "wrap"}, "boundary is 'wrap'; pass one of 'free'"),
    "unknown regularizer": ({"regularizer": "tv"}, "regularizer is 'tv'; pass one of"),
    "regularizer of other dimensions": ({"regularizer": np.ones(3)}, "regularizer has 1 dimensions but the psf has 2"),
    "operator of another frame": ({"psf": Convolution(np.ones((3, 3)), (9, 9))}, r"observes \(9, 9\); build it for"),
    "operator with a stride": ({"psf": Convolution(np.ones((3, 3)), (8, 8), stride=2)}, r"stride \(2, 2\)"),
    "colours on the last axis": ({"image": np.ones((8, 8, 3)), "psf": np.ones((5, 5))}, "pass channel_axis=-1"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_wrong_calls_are_told_the_remedy(change, message):
    call = {"image": np.ones((8, 8)), "psf": np.ones((3, 3)), **change}
    with pytest.raises((TypeError, ValueError), match=message):
        wiener(call.pop("image"), call.pop("psf"), **call)


def test_wrong_calls_of_the_other_two():
    y, kernel = np.ones((8, 8)), np.ones((3, 3))
    with pytest.raises(ValueError, match="cutoff is -1; it must be at least 0"):
        inverse_filter(y, kernel, cutoff=-1)
    for wrong in (-1, 1.5, True, None):
        with pytest.raises((TypeError, ValueError), match="burn_in is"):
            unsupervised_wiener(y, kernel, burn_in=wrong)
    with pytest.raises(ValueError, match="num_iter is 0; at least 1 is wanted"):
        unsupervised_wiener(y, kernel, num_iter=0)
