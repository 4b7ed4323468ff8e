"""Bicubic resizing as MATLAB's, luminance, and the protocol of super-resolution: against hand calculation and PIL."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from sigdeconv.transposed import bicubic
from sigdeconv.transposed.bicubic import (
    eight_bits,
    imresize,
    low_resolution,
    luminance,
    psnr_y,
    resize_matrix,
    whole_multiple,
)

FACTORS = (Fraction(2), Fraction(3), Fraction(4), Fraction(1, 2), Fraction(1, 3), Fraction(1, 4), Fraction(7, 10))
FACTORS += (Fraction(13, 10), Fraction(5, 2))


def keys(x: Fraction) -> Fraction:
    """Keys' kernel with slope -1/2, as written in his paper (eq. 15), in exact fractions."""
    x = abs(x)
    if x <= 1:
        return Fraction(3, 2) * x**3 - Fraction(5, 2) * x**2 + 1
    return -Fraction(1, 2) * x**3 + Fraction(5, 2) * x**2 - 4 * x + 2 if x <= 2 else Fraction(0)


def by_definition(n: int, factor: Fraction) -> np.ndarray:
    """MATLAB's documented algorithm, one entry at a time, counted from one as there."""
    rows = -(-n * factor.numerator // factor.denominator)
    matrix = np.zeros((rows, n))
    stretch = min(factor, Fraction(1))
    mirror = [*range(1, n + 1), *range(n, 0, -1)]
    for i in range(1, rows + 1):
        u = i / factor + Fraction(1, 2) * (1 - 1 / factor)
        weights = {j: keys(stretch * (u - j)) for j in range(-20, n + 21)}
        for j, weight in weights.items():
            matrix[i - 1, mirror[(j - 1) % (2 * n)] - 1] += float(weight / sum(weights.values()))
    return matrix


@pytest.mark.parametrize("factor", FACTORS, ids=str)
@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_matrix_is_the_documented_one(n, factor):
    matrix = resize_matrix(n, float(factor))
    np.testing.assert_allclose(matrix, by_definition(n, factor), atol=1e-12)


def test_weights_by_hand():
    np.testing.assert_allclose(256 * resize_matrix(16, 0.5)[4, 5:13], [-3, -9, 29, 111, 111, 29, -9, -3], atol=1e-12)
    np.testing.assert_allclose(128 * resize_matrix(8, 2)[6, 1:5], [-3, 29, 111, -9], atol=1e-12)
    third = np.array([-1, -2, 0, 9, 21, 27, 21, 9, 0, -2, -1]) / 81
    np.testing.assert_allclose(resize_matrix(15, 1 / 3)[2, 2:13], third, atol=1e-12)
    # At the edge the mirror folds: of the first sample of a doubling, taps -2, -1 are samples 1, 0.
    np.testing.assert_allclose(128 * resize_matrix(8, 2)[0, :2], [29 + 111, -3 - 9], atol=1e-12)


@pytest.mark.parametrize("factor", FACTORS, ids=str)
def test_sums_symmetry_and_lengths(factor):
    matrix = resize_matrix(20, float(factor))
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-14)
    if 20 * factor == int(20 * factor):
        np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-14)
    for n in (*range(1, 40), 99, 333, 1001):
        assert len(resize_matrix(n, float(factor))) == -(-n * factor.numerator // factor.denominator)


@pytest.mark.parametrize("factor", [2, 3, 0.5, 0.25])
def test_ramps_stay_ramps_inside_and_constants_everywhere(factor):
    image = np.add.outer(np.arange(48.0), 3 * np.arange(64.0))
    large = imresize(image, factor)
    y, x = ((np.arange(round(n * factor)) + 0.5) / factor - 0.5 for n in image.shape)
    inside = (slice(9, -9),) * 2 if factor > 1 else (slice(2, -2),) * 2
    np.testing.assert_allclose(large[inside], np.add.outer(y, 3 * x)[inside], rtol=1e-12)
    np.testing.assert_allclose(imresize(np.full((9, 7), 3.7), factor), 3.7, rtol=1e-14)


def test_parabolas_are_reproduced_when_enlarging():
    n = np.arange(30.0)
    large = imresize(np.add.outer(n**2, 0 * n), (3, 1))
    np.testing.assert_allclose(large[9:-9, 0], (((np.arange(90) + 0.5) / 3 - 0.5) ** 2)[9:-9], rtol=1e-12)


@pytest.mark.parametrize("shape", [(24, 20), (96, 80), (73, 31)])
def test_equals_pillow_away_from_the_frame(shape):
    image_module = pytest.importorskip("PIL.Image")
    image = np.random.default_rng(0).uniform(0, 255, (48, 40)).astype(np.float32)
    wanted = image_module.fromarray(image).resize(shape[::-1], image_module.Resampling.BICUBIC)
    ours = imresize(image, shape=shape)
    inside = (slice(9, -9),) * 2 if shape[0] > 48 else (slice(2, -2),) * 2
    np.testing.assert_allclose(ours[inside], np.asarray(wanted)[inside], atol=2e-3)


def test_equals_torch_away_from_the_frame(torch):
    image = torch.rand(2, 3, 60, 44, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    wanted = torch.nn.functional.interpolate(image, scale_factor=0.5, mode="bicubic", antialias=True)
    np.testing.assert_allclose(imresize(image, 0.5)[..., 2:-2, 2:-2], wanted[..., 2:-2, 2:-2], atol=1e-12)


def test_without_antialiasing_samples_are_picked():
    image = np.random.default_rng(1).normal(size=(15, 9))
    np.testing.assert_allclose(imresize(image, 1 / 3, antialiasing=False), image[1::3, 1::3], atol=1e-12)
    assert np.abs(imresize(image, 1 / 3) - image[1::3, 1::3]).max() > 0.1


@pytest.mark.parametrize("factor", [0.5, 2, 0.3])
def test_dense_and_sparse_ways_agree(kind, factor, monkeypatch, close):
    x = np.random.default_rng(2).normal(size=(2, 26, 19))
    results = []
    for limit in (0, 1000):
        monkeypatch.setattr(bicubic, "DENSE", limit)
        results.append(kind.numpy(imresize(kind.array(x), factor)))
        results.append(kind.numpy(imresize(kind.array(np.moveaxis(x, 0, -1)), factor, channel_axis=-1)))
    close(results[0], results[2])
    close(results[1], results[3])
    close(np.moveaxis(results[1], -1, 0), results[0])
    close(results[0][1], resize_matrix(26, factor) @ x[1] @ resize_matrix(19, factor).T)


def test_gradients_pass_and_dtype_stays(torch):
    x = torch.rand(5, 6, dtype=torch.float32, requires_grad=True)
    y = imresize(x, 2)
    assert y.dtype == torch.float32
    y.sum().backward()
    np.testing.assert_allclose(x.grad.sum(), 4 * 30, rtol=1e-5)


def test_luminance_is_that_of_bt601():
    rng = np.random.default_rng(3)
    rgb = rng.uniform(0, 255, (5, 6, 3))
    wanted = 16 + (65.481 * rgb[..., 0] + 128.553 * rgb[..., 1] + 24.966 * rgb[..., 2]) / 255
    np.testing.assert_allclose(luminance(rgb), wanted, rtol=1e-12)
    np.testing.assert_allclose(luminance(np.moveaxis(rgb, -1, 0), channel_axis=0), wanted, rtol=1e-12)
    color = pytest.importorskip("skimage.color")
    np.testing.assert_allclose(luminance(rgb), color.rgb2ycbcr(rgb / 255)[..., 0], rtol=1e-12)


def test_low_resolution_is_the_rounded_small_image():
    image = np.random.default_rng(4).integers(0, 256, (23, 31, 3)).astype(np.uint8)
    small = low_resolution(image, 3, channel_axis=-1)
    exact = imresize(image[:21, :30].astype(float), 1 / 3, channel_axis=-1)
    assert small.shape == (7, 10, 3)
    np.testing.assert_array_equal(small, np.clip(np.floor(exact + 0.5), 0, 255))
    np.testing.assert_allclose(low_resolution(image, 3, channel_axis=-1, rounded=False), exact, rtol=1e-5)
    np.testing.assert_array_equal(eight_bits(np.array([-3.0, 0.5, 1.5, 254.49, 300.0])), [0, 1, 2, 254, 255])


def test_protocol_counts_only_the_rounded_inside():
    truth = np.full((17, 20), 100.0)
    estimate = truth[:16].copy()
    estimate[:2], estimate[-2:], estimate[:, :2], estimate[:, -2:] = 0, 0, 255, 255  # the border does not count
    estimate[5, 5] += 10.4  # seen as 10
    wanted = 10 * np.log10(255**2 / (10**2 / (12 * 16)))
    assert psnr_y(truth, estimate, scale=2) == pytest.approx(wanted, rel=1e-12)
    assert psnr_y(truth, np.where(estimate == 110.4, 110, estimate), scale=2) == pytest.approx(wanted, rel=1e-12)


def test_protocol_in_colour_compares_rounded_luminances():
    rng = np.random.default_rng(5)
    truth, estimate = (rng.integers(0, 256, (12, 14, 3)).astype(float) for _ in range(2))
    y = [np.floor(luminance(x) + 0.5)[2:-2, 2:-2] for x in (truth, estimate)]
    wanted = 10 * np.log10(255**2 / np.mean((y[0] - y[1]) ** 2))
    assert psnr_y(truth, estimate, scale=2, channel_axis=-1) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: imresize(np.ones((4, 4))), "scale is None and shape None; pass one"),
        (lambda: imresize(np.ones((4, 4)), 2, shape=(2, 2)), "pass one of them"),
        (lambda: imresize(np.ones(4), 2), "two axes"),
        (lambda: imresize(np.ones((4, 4)), 0), "scale is 0"),
        (lambda: imresize(np.ones((4, 4)), (1, 2, 3)), "scale has 3 entries"),
        (lambda: imresize(np.ones((4, 4)), shape=(0, 2)), "shape is"),
        (lambda: imresize(np.full((4, 4), np.nan), 2), "NaN"),
        (lambda: luminance(np.ones((4, 4))), "4 channels"),
        (lambda: whole_multiple(np.ones((2, 9)), 3), "at least 3 samples"),
        (lambda: psnr_y(np.ones((9, 9)), np.ones((9, 12)), scale=3), "estimate has shape"),
        (lambda: psnr_y(np.ones((9, 9, 3)), np.ones((9, 9, 3)), scale=3), "channel_axis"),
        (lambda: psnr_y(np.ones((4, 4)), np.ones((4, 4)), scale=2), "nothing is left"),
    ],
)
def test_errors_say_what_is_wanted(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
