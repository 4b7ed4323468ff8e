"""Metrics against their formulas, on any array kind."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sigdeconv import metrics


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    truth = rng.random((40, 30))
    return truth, truth + 0.1 * rng.standard_normal(truth.shape), truth + 0.05 * rng.standard_normal(truth.shape)


def test_psnr_is_its_formula(images):
    truth, noisy, _ = images
    span = truth.max() - truth.min()
    assert metrics.psnr(truth, noisy) == pytest.approx(20 * math.log10(span / np.sqrt(np.mean((truth - noisy) ** 2))))
    assert metrics.psnr(255 * truth, 255 * noisy, data_range=255) == pytest.approx(
        metrics.psnr(truth, noisy, data_range=1.0)
    )
    assert metrics.psnr(truth, truth) == math.inf


def test_isnr_is_the_difference_of_psnr(images):
    truth, noisy, better = images
    gain = metrics.psnr(truth, better) - metrics.psnr(truth, noisy)
    assert metrics.isnr(truth, noisy, better) == pytest.approx(gain)
    assert metrics.isnr(truth, better, noisy) == pytest.approx(-gain)
    assert metrics.isnr(truth, noisy, noisy) == 0
    assert metrics.isnr(truth, noisy, truth) == math.inf
    assert metrics.isnr(truth, truth, noisy) == -math.inf


def test_nrmse_of_black_is_one_and_of_double_too(images):
    truth = images[0]
    assert metrics.nrmse(truth, 0 * truth) == pytest.approx(1.0)
    assert metrics.nrmse(truth, 2 * truth) == pytest.approx(1.0)


def test_ssim_of_constant_images_is_its_luminance_term():
    a, b, span = 0.2, 0.6, 1.0
    c = (0.01 * span) ** 2
    wanted = (2 * a * b + c) / (a * a + b * b + c)
    got = metrics.ssim(np.full((20, 20), a), np.full((20, 20), b), data_range=span)
    assert got == pytest.approx(wanted)


def test_ssim_of_colours_is_the_mean_of_the_channels(images):
    truth, noisy, better = images
    colours = [np.stack(stack, axis=-1) for stack in ((truth, truth), (noisy, better))]
    single = np.mean([metrics.ssim(truth, x, data_range=1.0) for x in (noisy, better)])
    assert metrics.ssim(*colours, data_range=1.0, channel_axis=-1) == pytest.approx(single)


def test_i_divergence_is_its_formula():
    d, m = np.array([0.0, 1.0, 4.0]), np.array([2.0, 1.0, 3.0])
    assert metrics.i_divergence(d, m) == pytest.approx((2.0 + 0.0 + 4 * math.log(4 / 3) - 4 + 3) / 3)
    assert metrics.i_divergence(d, d) == 0
    assert metrics.i_divergence(d, np.array([1.0, 0.0, 4.0])) == math.inf


def test_torch_gives_the_same(images):
    torch = pytest.importorskip("torch")
    truth, noisy, _better = images
    for function, arrays in (
        (metrics.psnr, (truth, noisy)),
        (metrics.ssim, (truth, noisy)),
        (metrics.nrmse, (truth, noisy)),
        (metrics.isnr, images),
    ):
        value = function(*(torch.asarray(a) for a in arrays))
        assert isinstance(value, float)
        assert value == pytest.approx(function(*arrays))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.psnr(np.ones((3, 4)), np.ones((4, 3))), "estimate has shape"),
        (lambda: metrics.psnr(np.ones(3), np.ones(3)), "pass data_range"),
        (lambda: metrics.psnr(np.arange(3.0), np.array([0, np.nan, 1])), "estimate has 1 NaN"),
        (lambda: metrics.psnr(np.arange(3.0), np.ones(3), data_range=0), "data_range is 0"),
        (lambda: metrics.ssim(np.eye(5), np.eye(5)), "at least 11 samples"),
        (lambda: metrics.nrmse(np.zeros(3), np.ones(3)), "truth is zero everywhere"),
        (lambda: metrics.i_divergence(np.array([-1.0]), np.ones(1)), "must be 0 or larger"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
