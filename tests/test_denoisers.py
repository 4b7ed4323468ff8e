"""Denoisers: transforms against their definitions, matches against a search by hand, and what each method promises."""

from __future__ import annotations

import time

import numpy as np
import pytest

from sigdeconv import denoisers
from sigdeconv.denoisers import Collaborative, collaborative
from sigdeconv.denoisers._matching import nearest, references
from sigdeconv.denoisers._transforms import (
    PATCH,
    biorthogonal,
    coefficients,
    cosine,
    haar,
    overlapped,
    variances,
)

ALL = ["bilateral", "collaborative", "non_local_means", "total_variation_chambolle", "wavelet"]


def scene(n: int = 64) -> np.ndarray:
    """Squares, a disk and a slope, on 0 ... 200."""
    y, x = np.indices((n, n))
    return 100.0 * ((x // 8 + y // 8) % 2) * (x < n // 2) + 80.0 * (np.hypot(x - 48, y - 20) < 12) + 0.3 * y


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


@pytest.mark.parametrize("matrix", [cosine(8), cosine(3), haar(1), haar(8), haar(32)], ids=len)
def test_transforms_are_orthonormal_with_the_mean_first(matrix):
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(len(matrix)), atol=1e-14)
    np.testing.assert_allclose(matrix[0], np.full(len(matrix), len(matrix) ** -0.5))


def test_cosine_is_scipys():
    from scipy.fft import dct

    np.testing.assert_allclose(cosine(8), dct(np.eye(8), axis=0, norm="ortho"), atol=1e-14)


@pytest.mark.filterwarnings("ignore:Level value")
def test_biorthogonal_is_pywavelets_bior15_with_unit_rows():
    pywt = pytest.importorskip("pywt")
    wanted = np.stack(
        [np.concatenate(pywt.wavedec(line, "bior1.5", mode="periodization", level=3)) for line in np.eye(PATCH)], axis=1
    )
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    signs = np.sign(np.sum(wanted * biorthogonal(), axis=1, keepdims=True))
    np.testing.assert_allclose(biorthogonal(), signs * wanted, atol=1e-12)


@pytest.mark.usefixtures("threads")
def test_coefficients_are_those_of_each_patch_and_come_back_as_the_image():
    image = noise((29, 21)).astype(np.float32)
    matrix = biorthogonal()
    c = coefficients(image, matrix)
    wanted = matrix @ image[5 : 5 + PATCH, 11 : 11 + PATCH] @ matrix.T
    np.testing.assert_allclose(c[5, 11].reshape(PATCH, PATCH), wanted, atol=1e-5)
    weights = np.random.default_rng(1).uniform(0.5, 2, c.shape[:2]).astype(np.float32)
    back = overlapped(c * weights[..., None], weights, np.linalg.inv(matrix), np.kaiser(PATCH, 2.0))
    np.testing.assert_allclose(back, image, atol=1e-4)


@pytest.mark.parametrize("matrix", [biorthogonal(), cosine(PATCH)], ids=["bior", "dct"])
def test_variances_are_those_of_noise(matrix):
    kernel = np.array([[0.2, 0.5, 0.2], [0.1, 1.0, 0.1], [0.0, 0.4, 0.3]])
    kernel /= np.linalg.norm(kernel)
    full = np.zeros((2 * PATCH - 1,) * 2)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            shifted = np.pad(kernel, 2)[2 - dy : 5 - dy, 2 - dx : 5 - dx]
            full[PATCH - 1 + dy, PATCH - 1 + dx] = np.sum(kernel * shifted)
    # The covariance of a patch, from the noise's definition: kernel * white.
    white = np.zeros((PATCH * PATCH, (PATCH + 2) ** 2))
    for i in range(PATCH):
        for j in range(PATCH):
            canvas = np.zeros((PATCH + 2, PATCH + 2))
            canvas[i : i + 3, j : j + 3] = kernel
            white[i * PATCH + j] = canvas.ravel()
    wanted = 4.0 * np.sum((np.kron(matrix, matrix) @ white) ** 2, axis=1)
    np.testing.assert_allclose(variances(matrix, 4.0, full), wanted, rtol=1e-5, atol=1e-5)
    delta = np.zeros_like(full)
    delta[PATCH - 1, PATCH - 1] = 1
    np.testing.assert_allclose(variances(matrix, 4.0, delta), variances(matrix, 4.0, None))


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(("shape", "reach"), [((23, 17), 5), ((9, 40), 5), ((4, 4), 19)])
def test_matches_are_the_nearest_in_the_window(shape, reach):
    features = noise((*shape, 12)).astype(np.float32)
    found = nearest(features, step=3, reach=reach, count=8)
    h, w = shape
    centers = [(i, j) for i in references(h, 3) for j in references(w, 3)]
    assert found.shape == (len(centers), 8)
    flat = features.reshape(-1, 12)
    tall, wide = min(2 * reach + 1, h), min(2 * reach + 1, w)
    for (i, j), places in zip(centers, found, strict=True):
        assert places[0] == i * w + j
        top, left = min(max(i - reach, 0), h - tall), min(max(j - reach, 0), w - wide)
        window = (np.arange(top, top + tall)[:, None] * w + np.arange(left, left + wide)).ravel()
        distance = np.sum((flat[window] - features[i, j]) ** 2, axis=1)
        np.testing.assert_allclose(
            np.sum((flat[places] - features[i, j]) ** 2, axis=1), np.sort(distance)[:8], rtol=1e-3, atol=1e-4
        )


def test_references_reach_the_last_place():
    assert references(11, 3).tolist() == [0, 3, 6, 9, 10]
    assert references(10, 3).tolist() == [0, 3, 6, 9]
    assert references(1, 3).tolist() == [0]


@pytest.mark.parametrize("sigma", [5.0, 20.0, 50.0])
def test_collaborative_removes_most_noise(sigma):
    clean = scene()
    noisy = clean + sigma * noise(clean.shape)
    assert rms(collaborative(noisy, sigma, wiener=False) - clean) < 0.3 * sigma
    assert rms(collaborative(noisy, sigma) - clean) < 0.4 * sigma


def test_the_second_pass_is_worth_it_on_a_photograph():
    from skimage.data import camera

    clean = camera()[100:228, 180:308].astype(float)
    noisy = clean + 20 * noise(clean.shape)
    first, second = (rms(collaborative(noisy, 20, wiener=w) - clean) for w in (False, True))
    assert second < 0.99 * first


def test_collaborative_is_as_good_as_the_reference_on_a_photograph():
    bm3d = pytest.importorskip("bm3d")
    from skimage.data import camera

    clean = camera()[100:228, 180:308].astype(float)
    noisy = clean + 15 * noise(clean.shape)
    ours, theirs = rms(collaborative(noisy, 15) - clean), rms(bm3d.bm3d(noisy, 15) - clean)
    assert 20 * np.log10(theirs / ours) > -0.15


def test_coloured_noise_is_removed_better_when_its_correlation_is_told():
    clean = scene()
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 6.0
    from scipy.ndimage import convolve

    noisy = clean + 20 * convolve(noise(clean.shape), kernel, mode="wrap")
    line = np.zeros(15)
    line[5:10] = np.array([1, 4, 6, 4, 1]) / 6
    told = collaborative(noisy, 20, correlation=np.outer(line, line))
    assert rms(told - clean) < 0.8 * rms(collaborative(noisy, 20) - clean)


def test_colours_are_treated_alike_wherever_their_axis_is():
    clean = np.stack([scene(32), 2 * scene(32), scene(32).T])
    noisy = clean + 15 * noise(clean.shape)
    first = collaborative(noisy, 15, channel_axis=0)
    last = collaborative(np.moveaxis(noisy, 0, -1), 15, channel_axis=-1)
    np.testing.assert_array_equal(np.moveaxis(last, -1, 0), first)
    assert rms(first - clean) < 0.5 * 15


def test_grey_as_colour_is_grey_with_less_noise():
    clean = scene(32)
    grey = np.stack([clean + 15 * noise(clean.shape, k) for k in range(3)])
    together = collaborative(grey, 15, channel_axis=0)
    assert rms(together - clean) < rms(collaborative(grey, 15) - clean)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_collaborative_keeps_shape_dtype_and_batches(dtype):
    batch = (np.stack([scene(24), scene(24).T]) + 10 * noise((2, 24, 24)) + 40).clip(0, 255).astype(dtype)
    before = batch.copy()
    result = collaborative(batch, 10)
    assert result.dtype == (dtype if dtype != "uint8" else "float32")
    assert result.shape == batch.shape
    for one, item in zip(result, batch, strict=True):
        np.testing.assert_array_equal(one, collaborative(item, 10))
    np.testing.assert_array_equal(batch, before)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_collaborative_scales_and_shifts_with_the_image(factor):
    noisy = scene(32) + 10 * noise((32, 32))
    scaled = collaborative(factor * (noisy + 1000), 10 * factor)
    assert rms(scaled / factor - 1000 - collaborative(noisy, 10)) < 0.3  # of 10: thresholds are decided by rounding


def test_collaborative_commutes_with_the_transpose():
    noisy = scene(40) + 20 * noise((40, 40))
    assert rms(collaborative(noisy.T, 20).T - collaborative(noisy, 20)) < 2.0


@pytest.mark.parametrize("shape", [(8, 8), (9, 8), (8, 50), (13, 31)])
def test_collaborative_takes_any_frame_of_a_patch_or_more(shape):
    noisy = 100 + noise(shape)
    assert rms(collaborative(noisy, 1.0) - 100) < 0.6


@pytest.mark.parametrize("name", ALL)
def test_nothing_to_remove_leaves_the_image(name):
    denoise = getattr(denoisers, name)
    image = scene(32)
    np.testing.assert_array_equal(denoise(image, 0.0), image)
    flat = np.full((16, 16), 7.0)
    np.testing.assert_allclose(denoise(flat, 3.0), flat)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("scale", [1.0, 1 / 255, 1e4])
def test_every_denoiser_removes_noise_on_every_scale(name, scale):
    if name == "wavelet":
        pytest.importorskip("pywt")
    clean = scene() * scale
    noisy = clean + 15 * scale * noise(clean.shape)
    before = noisy.copy()
    result = getattr(denoisers, name)(noisy, 15 * scale)
    assert rms(result - clean) < 0.7 * 15 * scale
    assert result.dtype == noisy.dtype
    assert getattr(denoisers, name)(noisy.astype(np.float32), 15 * scale).dtype == np.float32
    np.testing.assert_array_equal(noisy, before)


def test_matches_are_reused_as_often_as_asked(monkeypatch):
    from importlib import import_module

    module = import_module("sigdeconv.denoisers.collaborative")
    calls = []

    def counted(*args, **kwargs):
        calls.append(args)
        return nearest(*args, **kwargs)

    monkeypatch.setattr(module, "nearest", counted)
    denoise = Collaborative(wiener=False, reuse=3)
    image = scene(24) + 10 * noise((24, 24))
    results = [denoise(image, 10) for _ in range(4)]
    assert len(calls) == 2
    for result in results:
        np.testing.assert_array_equal(result, results[0])
    denoise(image[:20], 10)
    assert len(calls) == 3


@pytest.mark.usefixtures("threads")
def test_threads_change_nothing_but_the_order_of_sums():
    noisy = scene() + 10 * noise((64, 64))
    np.testing.assert_allclose(collaborative(noisy, 10), collaborative(noisy, 10), atol=1e-3)


def test_a_call_in_a_loop_is_quick():
    noisy = scene(128) + 10 * noise((128, 128))
    denoise = Collaborative(wiener=False, reuse=100)
    denoise(noisy, 10)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        denoise(noisy, 10)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5  # 0.02 s on an idle core


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda d, x: d.collaborative(x, -1), ValueError, "sigma is -1; it must be at least 0"),
        (lambda d, x: d.collaborative(x, "5"), TypeError, "sigma is '5'; a number is wanted"),
        (lambda d, x: d.collaborative(x[:7], 1), ValueError, "two axes of at least 8 samples"),
        (lambda d, x: d.collaborative(x[0], 1), ValueError, "two axes of at least 8 samples"),
        (lambda d, x: d.collaborative(x, 1, channel_axis=0), ValueError, "beside the colours"),
        (lambda d, x: d.collaborative(x * np.nan, 1), ValueError, "NaN"),
        (lambda d, x: d.collaborative(x, 1, step=0), ValueError, "step is 0; 1 to 8 is wanted"),
        (lambda d, x: d.collaborative(x, 1, step=2.5), TypeError, "step is 2.5"),
        (lambda d, x: d.Collaborative(reuse=0), ValueError, "reuse is 0; 1 or more is wanted"),
        (lambda d, x: d.collaborative(x, 1, correlation=np.eye(3)), ValueError, "correlation has shape"),
        (lambda d, x: d.collaborative(x, 1, correlation=np.zeros((15, 15))), ValueError, "must be 1 at the centre"),
        (lambda d, x: d.bilateral(x[None], 1), ValueError, "image has 3 dimensions; 2 are wanted"),
        (lambda d, x: d.bilateral(x, 1, reach=0), ValueError, "reach is 0"),
        (lambda d, x: d.wavelet(x, 1, method="best"), ValueError, "method is 'best'"),
        (lambda d, x: d.non_local_means(x[0], 1), ValueError, "image has 1 dimensions"),
        (lambda d, x: d.non_local_means(x, 1, patch_size=0), ValueError, "patch_size is 0"),
        (lambda d, x: d.total_variation_chambolle(x, 1, num_iter=0.5), TypeError, "num_iter is 0.5"),
        (lambda d, x: d.total_variation_chambolle(x, np.inf), ValueError, "sigma is inf"),
    ],
)
def test_a_wrong_call_is_told(call, error, message):
    with pytest.raises(error, match=message):
        call(denoisers, np.arange(256.0).reshape(16, 16))


@pytest.mark.parametrize("name", ALL)
def test_other_kinds_of_arrays_are_refused(name, torch):
    with pytest.raises(TypeError, match=r"torch\.Tensor.*NumPy"):
        getattr(denoisers, name)(torch.ones((16, 16)), 1.0)
