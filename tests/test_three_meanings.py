"""Four things are called deconvolution. Here they are told apart by numbers, with a real photograph."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import sigdeconv
from sigdeconv import Convolution

RADIUS = np.arange(-7, 8)


def _gaussian(sigma: float) -> np.ndarray:
    profile = np.exp(-0.5 * (RADIUS / sigma) ** 2)
    return np.outer(profile, profile)


# The classical scenarios: PSF and standard deviation of the noise, on a photograph of 0..255.
SCENARIOS = {
    "S1": (1 / (1 + RADIUS[:, None] ** 2 + RADIUS**2), 2**0.5),
    "S2": (1 / (1 + RADIUS[:, None] ** 2 + RADIUS**2), 8**0.5),
    "S3": (np.ones((9, 9)), 0.53),  # 40 dB below the blurred image
    "S4": (np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]), 7.0),
    "S5": (_gaussian(1.6), 2.0),
}


@cache
def photograph() -> np.ndarray:
    """The camera man of scikit-image, 256 x 256."""
    from skimage import data

    return data.camera()[::2, ::2].astype(float)


@cache
def observed(scenario: str) -> tuple[np.ndarray, Convolution, np.ndarray]:
    """PSF, blur and the blurred and noisy photograph."""
    psf, sigma = SCENARIOS[scenario]
    psf = psf / psf.sum()
    A = Convolution(psf, (256, 256), boundary="periodic")
    noise = np.random.default_rng(0).standard_normal((256, 256))
    return psf, A, A(photograph()) + sigma * noise


def psnr(estimate: np.ndarray, truth: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((estimate - truth) ** 2)))


def gained(estimate: np.ndarray, image: np.ndarray) -> float:
    """Decibels by which an estimate is closer to the photograph than the blurred image is."""
    return psnr(estimate, photograph()) - psnr(image, photograph())


# 1. Convolution: A x


def test_convolution_is_the_sum_of_shifted_copies():
    A = Convolution(np.array([1.0, 2.0, 4.0]), 3)
    np.testing.assert_allclose(A(np.array([0.0, 1.0, 0.0, 0.0, 10.0])), [2, 4, 10], atol=1e-14)
    np.testing.assert_allclose(A.to_dense(), [[4, 2, 1, 0, 0], [0, 4, 2, 1, 0], [0, 0, 4, 2, 1]], atol=1e-14)


# 2. Transposed convolution: the shape comes back, the values do not


def test_the_transpose_gives_back_the_shape_and_not_the_values():
    A = Convolution(np.array([0.25, 0.5, 0.25]), 4)
    x = np.array([0.0, 0.0, 16.0, 0.0, 0.0, 0.0])
    back = A.adjoint(A(x))
    assert back.shape == x.shape
    np.testing.assert_allclose(back, [1, 4, 6, 4, 1, 0], atol=1e-13)  # blurred twice


@pytest.mark.parametrize(("scenario", "decibels"), {"S1": -1.7, "S2": -1.6, "S3": -0.5, "S4": -0.6, "S5": -1.2}.items())
def test_the_transpose_used_as_a_deconvolution_loses_decibels(scenario, decibels):
    _, A, y = observed(scenario)
    assert gained(A.adjoint(y), y) == pytest.approx(decibels, abs=0.1)


def test_the_transpose_is_what_networks_call_conv_transpose(torch):
    psf, _, y = observed("S1")
    A = Convolution(psf, y.shape, boundary="zero")
    weight = torch.asarray(psf[::-1, ::-1].copy())[None, None]
    network = torch.nn.functional.conv_transpose2d(torch.asarray(y)[None, None], weight, padding=7)
    np.testing.assert_allclose(A.adjoint(y), network[0, 0], rtol=0, atol=1e-10)


def test_the_transpose_is_the_inverse_for_orthogonal_kernels_only():
    x = photograph()[:64, :64]
    shift = np.zeros((3, 4))
    shift[0, 3] = 1
    A = Convolution(shift, x.shape, boundary="periodic")
    np.testing.assert_allclose(A.adjoint(A(x)), x, atol=1e-11)
    # Haar: none of the four kernels is inverted by its transpose, all four together are.
    low, high = np.array([1.0, 1.0]) / 2**0.5, np.array([1.0, -1.0]) / 2**0.5
    bands = [Convolution(np.outer(a, b), (32, 32), stride=2) for a in (low, high) for b in (low, high)]
    np.testing.assert_allclose(sum(B.adjoint(B(x)) for B in bands), x, atol=1e-11)
    for B in bands:
        assert np.linalg.norm(B.adjoint(B(x)) - x) > 0.01 * np.linalg.norm(x)
        np.testing.assert_allclose(B(B.adjoint(x[::2, ::2])), x[::2, ::2], atol=1e-11)


def test_with_a_stride_the_transpose_is_far_off_and_no_gain_makes_it_the_pseudo_inverse():
    x = photograph()[40:88, 90:138]
    A = Convolution(_gaussian(1.0)[4:11, 4:11] / _gaussian(1.0)[4:11, 4:11].sum(), (24, 24), stride=2, boundary="zero")
    y = A(x)
    raw = A.adjoint(y)
    gain = np.vdot(raw, x) / np.vdot(raw, raw)
    M = A.to_dense()
    inverse = (M.T @ np.linalg.solve(M @ M.T, y.ravel())).reshape(x.shape)
    np.testing.assert_allclose(A(inverse), y, atol=1e-8)
    assert [psnr(raw, x), psnr(gain * raw, x), psnr(inverse, x)] == pytest.approx([9.5, 19.1, 22.2], abs=0.1)


# 3. Deconvolution: an estimate of x


@pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect"])
def test_the_pseudo_inverse_recovers_exactly_where_the_blur_is_invertible(boundary):
    x = photograph()[40:53, 90:101]
    A = Convolution(np.outer([0.1, 0.7, 0.2], [0.2, 0.7, 0.1]), x.shape, boundary=boundary)
    y = A(x)
    recovered = (np.linalg.pinv(A.to_dense()) @ y.ravel()).reshape(x.shape)
    assert np.abs(recovered - x).max() < 1e-10 * 255
    assert np.abs(A.adjoint(y) - x).max() > 0.05 * 255


def test_what_the_blur_removes_nothing_brings_back():
    # A box of 3 on 12 periodic samples is blind to two frequencies; what it sees is recovered, and that is all.
    x = np.random.default_rng(0).standard_normal(12)
    A = Convolution(np.ones(3) / 3, 12, boundary="periodic")
    M = A.to_dense()
    recovered = np.linalg.pinv(M, rcond=1e-10) @ A(x)
    assert np.linalg.matrix_rank(M, tol=1e-10) == 10
    X = np.fft.fft(x)
    X[[4, 8]] = 0
    np.testing.assert_allclose(recovered, np.fft.ifft(X).real, atol=1e-12)
    np.testing.assert_allclose(A(recovered), A(x), atol=1e-12)


@pytest.mark.parametrize(
    ("scenario", "balance", "decibels"),
    [("S1", 1e-3, 4.5), ("S2", 3e-3, 3.1), ("S3", 1e-4, 5.5), ("S4", 3e-2, 1.2), ("S5", 1e-3, 2.1)],
)
def test_deconvolution_gains_decibels(scenario, balance, decibels):
    psf, _, y = observed(scenario)
    estimate = sigdeconv.wiener(y, psf, balance=balance, boundary="periodic")
    assert gained(estimate, y) == pytest.approx(decibels, abs=0.1)


# 4. Learned transposed convolution: Aᴴ with trained weights


def best_weights(y: np.ndarray, x: np.ndarray, k: int, stride: int) -> np.ndarray:
    """Least squares over all transposed convolutions: one column a weight, made by inserting zeros and shifting."""
    padding = (k - 1) // 2
    spread = np.zeros((2 * k + x.shape[0], 2 * k + x.shape[1]))
    spread[k : k + stride * y.shape[0] : stride, k : k + stride * y.shape[1] : stride] = y
    starts = [k + padding - t for t in range(k)]
    columns = [spread[a : a + x.shape[0], b : b + x.shape[1]].ravel() for a in starts for b in starts]
    return np.linalg.lstsq(np.stack(columns, axis=1), x.ravel(), rcond=None)[0].reshape(k, k)


@pytest.mark.parametrize(("k", "stride"), [(5, 1), (6, 2)])
def test_a_trained_transpose_arrives_at_the_wiener_filter_of_its_size(k, stride, torch):
    x = photograph()[40:168, 60:188] / 255
    A = Convolution(
        SCENARIOS["S5"][0] / SCENARIOS["S5"][0].sum(),
        tuple(n // stride for n in x.shape),
        stride=stride,
        boundary="reflect",
    )
    y = A(x) + 0.02 * np.random.default_rng(0).standard_normal(A.shape)
    wanted = best_weights(y, x, k, stride)

    torch.manual_seed(0)
    layer = torch.nn.ConvTranspose2d(1, 1, k, stride=stride, padding=(k - 1) // 2, bias=False, dtype=torch.float64)
    data, truth = torch.asarray(y)[None, None], torch.asarray(x)[None, None]
    optimizer = torch.optim.LBFGS(
        layer.parameters(),
        max_iter=300,
        tolerance_grad=1e-12,
        tolerance_change=0,
        history_size=k * k,
        line_search_fn="strong_wolfe",
    )

    def loss():
        optimizer.zero_grad()
        error = ((layer(data) - truth) ** 2).mean()
        error.backward()
        return error

    optimizer.step(loss)
    weights = layer.weight.detach().numpy()[0, 0]
    np.testing.assert_allclose(weights, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())

    # What was trained is the adjoint of a blur: the one whose PSF is the flipped kernel.
    trained = Convolution(weights[::-1, ::-1], y.shape, stride=stride, boundary="zero")
    output = layer(data).detach().numpy()[0, 0]
    np.testing.assert_allclose(trained.adjoint(y), output, rtol=0, atol=1e-12)
    # It is far better than the transpose of the blur itself, at its best gain, and it is no inverse of it.
    raw = A.adjoint(y)
    gain = np.vdot(raw, x) / np.vdot(raw, raw)
    assert psnr(255 * output, 255 * x) > psnr(255 * gain * raw, 255 * x) + 1
    assert np.abs(trained.adjoint(A(x)) - x).max() > 0.1


def test_small_kernels_cannot_undo_a_large_blur():
    # The same least squares in closed form, by correlations on the periodic image: S3, a 9 x 9 box.
    x, (psf, _, y) = photograph(), observed("S3")
    Y = np.fft.fft2(y)
    correlation = np.fft.ifft2(np.abs(Y) ** 2).real
    cross = np.fft.ifft2(np.fft.fft2(x) * Y.conj()).real

    def learned(k: int) -> float:
        places = np.stack(np.meshgrid(*[np.arange(k) - k // 2] * 2, indexing="ij"), -1).reshape(-1, 2)
        apart = places[:, None] - places
        weights = np.linalg.solve(correlation[apart[..., 0], apart[..., 1]], cross[places[:, 0], places[:, 1]])
        A = Convolution(weights.reshape(k, k), y.shape, boundary="periodic")
        return gained(A(y), y)

    assert [learned(k) for k in (5, 9, 15)] == pytest.approx([0.1, 1.1, 3.0], abs=0.1)
    assert gained(sigdeconv.wiener(y, psf, balance=1e-4, boundary="periodic"), y) > 5
