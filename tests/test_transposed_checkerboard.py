"""Checkerboards: what is predicted against what torch makes, what is measured against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from sigdeconv.transposed.checkerboard import (
    is_free,
    measure,
    measure_gradient,
    overlap,
    polyphase_sums,
    with_equal_sums,
    zero_order_hold,
)

SCALES = {1: (3,), 2: (2, 3), 3: (2, 1, 3)}
KERNELS = {1: (7,), 2: (5, 4), 3: (3, 2, 4)}


def kernels(ndim, seed=0):
    return np.random.default_rng(seed).standard_normal((2, 3, *KERNELS[ndim]))


# Predicted


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_overlap_is_what_ones_become(scale, torch):
    ones = torch.ones(1, 1, 24, dtype=torch.float64)
    for k in range(scale, 10):
        weight = torch.ones(1, 1, k, dtype=torch.float64)
        whole = torch.nn.functional.conv_transpose1d(ones, weight, stride=scale)[0, 0].numpy()
        for p in range(min(k, 5)):
            found = overlap(k, scale, padding=p, ndim=1)
            inner = whole[p + 10 * scale : p + 14 * scale]
            np.testing.assert_array_equal(found.taps, inner[:scale])
            assert found.even == (k % scale == 0)
            made = measure(inner / inner.mean(), scale, ndim=1)
            assert found.energy == pytest.approx(made.energy, abs=1e-12)
            np.testing.assert_allclose(found.harmonics, made.harmonics, atol=1e-12)


def test_overlap_of_two_axes_is_the_product():
    found = overlap((5, 4), (2, 3))
    np.testing.assert_array_equal(found.taps, np.multiply.outer(overlap((5,), (2,)).taps, overlap((4,), (3,)).taps))
    assert not found.even
    assert overlap((4, 6), (2, 3)).energy == 0
    # 3 x 3 by 2: phases meet 1, 2, 2 and 4 taps; the variance of these over the square of their mean
    assert overlap(3, 2).energy == pytest.approx(np.var([1, 2, 2, 4]) / 2.25**2)


# Measured


@pytest.mark.parametrize("scale", [2, 3, 4, 5])
def test_every_harmonic_is_measured_at_its_place(scale):
    n = np.arange(12 * scale)
    for m in range(1, scale):
        found = measure(7 + 0.5 * np.cos(2 * np.pi * m * n / scale + 0.4), scale, ndim=1)
        wanted = np.zeros(scale)
        wanted[0] = 49
        if 2 * m == scale:
            wanted[m] = 0.25 * np.cos(0.4) ** 2
        else:
            wanted[[m, scale - m]] = 0.25 / 4
        np.testing.assert_allclose(found.harmonics, wanted, atol=1e-12)
        assert found.energy == pytest.approx(wanted[1:].sum())
        assert found.share == pytest.approx(wanted[1:].sum() / wanted.sum())


def test_two_axes_have_their_harmonics_apart():
    i, j = np.mgrid[:24, :36]
    found = measure(1 + 0.2 * (-1.0) ** i + 0.1 * (-1.0) ** (i + j), 2)
    np.testing.assert_allclose(found.harmonics, [[1, 0], [0.04, 0.01]], atol=1e-13)
    np.testing.assert_allclose(measure(np.cos(2 * np.pi * j / 3), (1, 3)).harmonics, [[0, 0.25, 0.25]], atol=1e-13)


def test_gradual_changes_do_not_leak_and_an_even_enlargement_shows_none():
    i, j = np.mgrid[:64, :64] / 64
    smooth = i + 2 * j + np.sin(3 * i) * j
    assert measure(smooth, 2).energy < 1e-6
    assert measure(smooth + 0.01 * (-1.0) ** (np.arange(64)[:, None] + np.arange(64)), 2).energy == pytest.approx(
        1e-4, rel=0.1
    )


def test_power_sees_a_pattern_whose_sign_changes():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((4, 200, 200))
    noise[:, ::2] *= 2
    found = measure(noise, 2)
    assert found.share < 1e-3
    np.testing.assert_allclose(found.power, [[4, 4], [1, 1]], rtol=0.05)
    assert found.unevenness == pytest.approx(1.5 / 2.5, rel=0.05)


def test_batches_are_averaged_borders_left_out_and_ends_cut(kind):
    rng = np.random.default_rng(0)
    y = rng.standard_normal((3, 14, 17))
    each = [measure(one, (2, 3)) for one in y]
    found = measure(kind.array(y), (2, 3))
    np.testing.assert_allclose(found.harmonics, np.mean([e.harmonics for e in each], axis=0))
    np.testing.assert_allclose(found.power, np.mean([e.power for e in each], axis=0))
    inner = measure(y, (2, 3), border=1)
    np.testing.assert_allclose(inner.harmonics, measure(y[:, 2:-2, 3:12], (2, 3)).harmonics)
    dark = measure(np.zeros((8, 8)), 2)
    assert (dark.energy, dark.share, dark.unevenness) == (0, 0, 0)


@pytest.mark.parametrize(("k", "s"), [(3, 2), (4, 2), (5, 3), (6, 3), (1, 2)])
def test_back_propagation_through_a_strided_convolution_makes_them_too(k, s, torch):
    x = torch.zeros(1, 1, 24 * s)
    weight = torch.ones(1, 1, k)

    def convolve(x):
        return torch.nn.functional.conv1d(x, weight, stride=s)

    found, wanted = measure_gradient(convolve, x, s, border=3, ndim=1), overlap(k, s, padding=0, ndim=1)
    np.testing.assert_allclose(found.harmonics / found.harmonics[0], wanted.harmonics, atol=1e-10)
    # random errors have no mean, but their variance is the number of taps that meet
    torch.manual_seed(0)
    many = x.expand(400, 1, -1)
    noisy = measure_gradient(convolve, many, s, error=torch.randn_like(convolve(many)), border=3, ndim=1)
    np.testing.assert_allclose(noisy.power, wanted.taps, atol=0.1 * wanted.taps.max())


# The condition


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_polyphase_sums_are_what_a_flat_input_becomes(ndim, torch):
    w, scale = kernels(ndim), SCALES[ndim]
    transpose = getattr(torch.nn.functional, f"conv_transpose{ndim}d")
    sums = polyphase_sums(w, scale)
    for channel in range(2):
        x = torch.zeros(1, 2, *(8,) * ndim, dtype=torch.float64)
        x[:, channel] = 1
        y = transpose(x, torch.as_tensor(w), stride=scale)[0].numpy()
        period = tuple(slice(4 * s, 5 * s) for s in scale)
        np.testing.assert_allclose(y[(slice(None), *period)], sums[channel], atol=1e-13)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_equal_sums_are_reached_by_the_least_change(ndim, kind, close):
    w, scale = kernels(ndim), SCALES[ndim]
    free = kind.numpy(with_equal_sums(kind.array(w), scale))
    sums = polyphase_sums(free, scale).reshape(6, -1)
    gain = polyphase_sums(w, scale).reshape(6, -1).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(sums, np.broadcast_to(gain, sums.shape), atol=1e-13)
    assert is_free(kind.array(free), scale)
    assert not is_free(kind.array(w), scale)
    close(with_equal_sums(free, scale), free)
    # least squares under the conditions, from the dense matrix of the sums
    index = np.ravel_multi_index(
        np.meshgrid(*(np.arange(k) % s for k, s in zip(KERNELS[ndim], scale, strict=True)), indexing="ij"), scale
    ).ravel()
    C = (index == np.arange(np.prod(scale))[:, None]).astype(float)
    for one, result, g in zip(w.reshape(6, -1), free.reshape(6, -1), gain, strict=True):
        np.testing.assert_allclose(result, one + np.linalg.pinv(C) @ (g - C @ one), atol=1e-13)


def test_in_one_dimension_free_means_divisible_by_the_hold():
    rng = np.random.default_rng(0)
    for s in (2, 3, 4):
        free = with_equal_sums(rng.standard_normal(9), s, ndim=1)
        np.testing.assert_allclose(np.polydiv(free, np.ones(s))[1], 0, atol=1e-12)
        held = np.convolve(rng.standard_normal(5), np.ones(s))
        assert is_free(held, s, ndim=1)
        spectrum = np.fft.fft(free, 12)
        np.testing.assert_allclose(spectrum[12 // s :: 12 // s], 0, atol=1e-12)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_the_hold_is_a_convolution_with_equal_taps(ndim, kind, close):
    from scipy.signal import convolve

    w, scale = kernels(ndim), SCALES[ndim]
    held = kind.numpy(zero_order_hold(kind.array(w), scale))
    box = np.ones((1, 1, *scale)) / np.prod(scale)
    close(held, convolve(w, box, method="direct"), slack=10)
    assert is_free(held, scale)


def test_along_a_stripe_only_the_hold_is_even(torch):
    w = kernels(2)[:1, :1]
    stripes = torch.as_tensor(np.random.default_rng(1).standard_normal(12))[None, None, None].expand(1, 1, 12, 12)

    def uneven(weight, scale=(2, 3)):
        y = torch.nn.functional.conv_transpose2d(stripes, torch.as_tensor(weight), stride=scale)[0, 0, 8:16]
        return float((y[0::2] - y[1::2]).abs().max())

    assert uneven(zero_order_hold(w, (2, 3))) < 1e-12
    assert uneven(with_equal_sums(w, (2, 3))) > 0.1


# The layers' option


@pytest.mark.parametrize("name", ["TransposedUpsample", "SubpixelConv", "ResizeConv"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_with_the_option_flat_stays_flat_whatever_was_learned(name, ndim, torch):
    from sigdeconv.transposed import layers

    torch.manual_seed(0)
    scale = SCALES[ndim]
    size = [2 * s if name == "SubpixelConv" else 2 * s + 1 for s in scale]
    heights = torch.as_tensor([3.0, -1.0, 0.5], dtype=torch.float64).view(1, 3, *(1,) * ndim)
    flat = heights.expand(1, 3, *(4,) * ndim)
    fine = torch.rand(1, 2, *(4 * s for s in scale), dtype=torch.float64)
    spread = {}
    for free in (True, False):
        layer = getattr(layers, name)(
            3, 2, size, scale=scale, ndim=ndim, padding_mode="circular", checkerboard_free=free, dtype=torch.float64
        )
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            ((layer(torch.rand_like(flat)) - fine) ** 2).mean().backward()
            optimizer.step()
        with torch.no_grad():
            y = layer(flat)
        spread[free] = float((y.amax(dim=tuple(range(2, y.ndim))) - y.amin(dim=tuple(range(2, y.ndim)))).max())
        assert measure(y, scale).energy == pytest.approx(0, abs=1e-25) or not free
        assert is_free(layer.to_transposed().weight.detach(), scale) or not free
    assert spread[True] < 1e-12
    assert spread[False] > 0.01 or name == "ResizeConv"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: overlap(0, 2), "kernel_size is 0"),
        (lambda: overlap((3, 3), (2, 2, 2)), "kernel_size has 2 entries; 3 are wanted"),
        (lambda: overlap(3, 2, ndim=0), "ndim is 0"),
        (lambda: measure(np.ones((3, 8)), 2), "less than 2 periods"),
        (lambda: measure(np.ones((8, 8)), 2, border=2), "within border=2"),
        (lambda: measure(np.ones(8), 2), "pass ndim=1"),
        (lambda: measure(np.full((8, 8), np.nan), 2), "signal has 64 NaN"),
        (lambda: measure(np.ones((8, 8)), 0), "scale is 0"),
        (lambda: measure(np.ones((8, 8)), "2"), "scale"),
        (lambda: measure_gradient(np.sum, np.ones((8, 8)), 2), "x is a numpy.ndarray"),
        (lambda: polyphase_sums([1.0, 2.0], 2, ndim=1), "weight is [1.0, 2.0]; an array is wanted"),
        (lambda: polyphase_sums(np.ones(3), 2), "weight has shape (3,)"),
        (lambda: with_equal_sums(np.ones((2, 2)), 3), "no axis may be shorter"),
        (lambda: is_free(np.ones((2, 2)), 2, tolerance=-1), "tolerance is -1"),
    ],
)
def test_a_wrong_call_is_told_so_on_one_line(call, message):
    pytest.importorskip("torch")
    with pytest.raises((ValueError, TypeError)) as error:
        call()
    assert message in str(error.value)
    assert "\n" not in str(error.value)
