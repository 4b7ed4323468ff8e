"""The upsampling layers against torch's own functions, the library's operator, and one another."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest

from sigdeconv import Convolution

pytest.importorskip("torch")

import torch
from torch.nn import functional

from sigdeconv.transposed import initialisation, layers
from sigdeconv.transposed.layers import (
    ResizeConv,
    SubpixelConv,
    TransposedUpsample,
    equal_budget,
    pixel_shuffle,
    subpixel_to_transposed,
    transposed_to_subpixel,
)

KINDS = (TransposedUpsample, SubpixelConv, ResizeConv)
CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSE = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
FRAMES = {1: (7,), 2: (5, 6), 3: (4, 3, 5)}


@pytest.fixture(autouse=True)
def _one_thread(torch):
    torch.manual_seed(0)


def parts(size, scale, kind):
    """The kernel size as this kind of layer takes it."""
    return -(-size // scale) * scale if kind is SubpixelConv else size


def scene(ndim, channels=2, batch=2):
    rng = np.random.default_rng(ndim)
    return torch.as_tensor(rng.standard_normal((batch, channels, *FRAMES[ndim])))


def make(kind, *args, **kwargs):
    layer = kind(*args, **{"dtype": torch.float64} | kwargs)
    if layer.bias is not None:
        torch.nn.init.normal_(layer.bias)
    return layer


def agree(a, b, limit=1e-12):
    assert a.shape == b.shape
    assert float((a - b).detach().abs().max()) <= limit


def window(y, starts, sizes):
    return y[(..., *(slice(a, a + n) for a, n in zip(starts, sizes, strict=True)))]


# The operator


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_transposed_upsample_is_a_part_of_the_whole_transposed_convolution(ndim):
    x = scene(ndim)
    sizes = [(k, s) for s in (1, 2, 3, 4) for k in range(s, 8)] if ndim == 1 else [(3, 2), (4, 2), (5, 3), (4, 4)]
    for (k, s), p in itertools.product(sizes, range(8)):
        if p >= k:
            continue
        layer = make(TransposedUpsample, 2, 3, k, scale=s, ndim=ndim, padding=p)
        # beyond the last sample that a tap reaches there is only the bias
        whole = functional.pad(TRANSPOSE[ndim](x, layer.weight, stride=s), (0, 8) * ndim)
        wanted = window(whole, [p] * ndim, [n * s for n in x.shape[2:]])
        agree(layer(x), wanted + layer.bias.view(-1, *(1,) * ndim))


@pytest.mark.parametrize(
    ("shape", "stride"),
    [
        *(((k,), s) for k in (1, 2, 3, 4, 5, 8) for s in (1, 2, 3)),
        ((3, 4), (2, 3)),
        ((5, 2), (1, 4)),
        ((4, 4), (2, 2)),
        ((7, 5), (3, 2)),
        ((3, 4, 5), (2, 1, 3)),
        ((2, 2, 2), (2, 2, 2)),
        ((5, 4, 3), (2, 2, 2)),
    ],
)
@pytest.mark.parametrize(("boundary", "mode"), [("zero", "zeros"), ("periodic", "circular")])
def test_with_a_psf_for_weights_the_layer_is_the_adjoint(shape, stride, boundary, mode):
    rng = np.random.default_rng(0)
    psf, y = rng.random(shape), rng.standard_normal(FRAMES[len(shape)])
    blur = Convolution(psf, y.shape, stride=stride, boundary=boundary)
    with torch.no_grad():
        result = TransposedUpsample.from_psf(psf, stride, padding_mode=mode)(torch.as_tensor(y)[None, None])[0, 0]
    np.testing.assert_allclose(result, blur.adjoint(y), rtol=0, atol=1e-12)
    dense = blur.to_dense().T @ y.ravel()
    np.testing.assert_allclose(result.ravel(), dense, rtol=0, atol=1e-12)


def test_the_origin_of_the_psf_may_be_chosen():
    psf, y = np.array([1.0, 2.0, 4.0, 8.0]), np.random.default_rng(0).standard_normal(6)
    for center in range(4):
        blur = Convolution(psf, 6, stride=2, boundary="zero", center=center)
        layer = TransposedUpsample.from_psf(psf, 2, center=center)
        np.testing.assert_allclose(
            layer(torch.as_tensor(y)[None, None]).detach()[0, 0], blur.adjoint(y), rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_the_shape_is_the_scale_times_the_frame_whatever_the_arguments(kind, ndim):
    x = scene(ndim)
    rng = np.random.default_rng(1)
    for _ in range(12):
        scale = tuple(int(s) for s in rng.integers(1, 4, ndim))
        size = tuple(parts(s + int(rng.integers(0, 4)), s, kind) for s in scale)
        mode = str(rng.choice(["zeros", "replicate", "circular"]))
        cut = tuple(int(rng.integers(0, min(k, 3))) for k in size)
        layer = make(kind, 2, 3, size, scale=scale, ndim=ndim, padding=cut, padding_mode=mode)
        assert layer(x).shape == (2, 3, *(n * s for n, s in zip(x.shape[2:], scale, strict=True)))


def test_the_same_arguments_cost_the_same_number_of_parameters():
    for ndim, bias in itertools.product((1, 2, 3), (False, True)):
        counts = {sum(p.numel() for p in kind(3, 5, 6, scale=2, ndim=ndim, bias=bias).parameters()) for kind in KINDS}
        assert counts == {3 * 5 * 6**ndim + 5 * bias}


@pytest.mark.parametrize("mode", ["replicate", "reflect", "circular"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_past_the_frame_is_the_input_continued(kind, mode):
    x, s, m = scene(2), 2, 2
    for size, cut in [(4, None), (6, 1), (6, 4), (4, 3)]:
        options = {"scale": s, "padding": cut}
        layer = make(kind, 2, 2, size, padding_mode=mode, **options)
        plain = make(kind, 2, 2, size, **options)
        plain.load_state_dict(layer.state_dict())
        wider = plain(functional.pad(x, (2 * m,) * 4, mode=mode))
        agree(layer(x), window(wider, [2 * m * s] * 2, [n * s for n in x.shape[2:]]))


# From one form to another


def test_pixel_shuffle_is_torchs_and_works_on_every_number_of_axes():
    x = torch.arange(2 * 12 * 5 * 3.0).reshape(2, 12, 5, 3)
    assert torch.equal(pixel_shuffle(x, 2), functional.pixel_shuffle(x, 2))
    flat = torch.arange(1 * 6 * 4.0).reshape(1, 6, 4)
    assert torch.equal(pixel_shuffle(flat, 3)[:, :, 1::3], flat[:, 1::3])
    volume = torch.arange(24 * 8.0).reshape(1, 24, 2, 2, 2)
    y = pixel_shuffle(volume, (2, 3, 4))
    for a, b, c in itertools.product(range(2), range(3), range(4)):
        assert torch.equal(y[0, 0, a::2, b::3, c::4], volume[0, 12 * a + 4 * b + c])


@pytest.mark.parametrize(
    ("kernel", "scale"), [((6,), (2,)), ((4, 6), (2, 3)), ((2, 4, 3), (2, 2, 3)), ((9, 3), (3, 1))]
)
def test_weights_go_to_sub_pixel_form_and_back_unchanged(kernel, scale):
    w = torch.as_tensor(np.random.default_rng(0).standard_normal((2, 3, *kernel)))
    sub = transposed_to_subpixel(w, scale)
    assert torch.equal(subpixel_to_transposed(sub, scale), w)
    ndim, x = len(kernel), scene(len(kernel))
    taps = [k // s for k, s in zip(kernel, scale, strict=True)]
    whole = pixel_shuffle(CONV[ndim](x, sub, padding=[t - 1 for t in taps]), scale)
    agree(whole, TRANSPOSE[ndim](x, w, stride=scale))


@pytest.mark.parametrize(("kernel", "scale"), [((5,), (2,)), ((3, 4), (2, 3)), ((3, 2, 5), (2, 2, 3))])
def test_where_the_scale_does_not_divide_the_kernel_zeros_follow_it(kernel, scale):
    w = torch.as_tensor(np.random.default_rng(0).standard_normal((2, 3, *kernel)))
    back = subpixel_to_transposed(transposed_to_subpixel(w, scale), scale)
    assert back.shape[2:] == tuple(-(-k // s) * s for k, s in zip(kernel, scale, strict=True))
    assert torch.equal(window(back, [0] * len(kernel), kernel), w)
    assert float(back.abs().sum()) == pytest.approx(float(w.abs().sum()), rel=1e-14)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("mode", ["zeros", "replicate", "circular"])
def test_the_three_layers_become_one_another_exactly(ndim, mode):
    x = scene(ndim)
    sizes = [(2, 2), (3, 2), (4, 2), (5, 2), (6, 2), (5, 3), (6, 3), (7, 3)][:: 1 if ndim == 1 else 2]
    for (size, scale), free in itertools.product(sizes, (False, True)):
        for cut in (None, 0, 1):
            options = {"scale": scale, "ndim": ndim, "padding": cut, "padding_mode": mode, "checkerboard_free": free}
            transposed = make(TransposedUpsample, 2, 3, size, **options)
            for aligned in (False, True):
                sub = transposed.to_subpixel(aligned=aligned)
                agree(sub(x), transposed(x))
                assert not aligned or all(p % scale == 0 for p in sub.padding)
            sub = make(SubpixelConv, 2, 3, parts(size, scale, SubpixelConv), **options)
            agree(sub.to_transposed()(x), sub(x))
            agree(sub.to_transposed().to_subpixel()(x), sub(x))
            for interpolation in ("nearest", "linear"):
                resize = make(ResizeConv, 2, 3, size, interpolation=interpolation, **options)
                agree(resize.to_transposed()(x), resize(x))


def test_an_aligned_sub_pixel_layer_is_a_convolution_and_a_pixel_shuffle():
    x = scene(2)
    for size, padding in [(6, None), (6, 0), (6, 4), (10, 4)]:
        layer = make(SubpixelConv, 2, 3, size, scale=2, padding=padding, padding_mode="circular")
        p, taps = layer.padding[0] // 2, size // 2
        wrapped = functional.pad(x, (taps - 1 - p, p) * 2, mode="circular")
        plain = functional.pixel_shuffle(functional.conv2d(wrapped, layer.weight), 2)
        agree(layer(x), plain + layer.bias.view(-1, 1, 1))
    # the common kernel of 4 with stride 2 needs zeros around it: 4 + 2 taps
    sub = make(TransposedUpsample, 1, 1, 4, scale=2).to_subpixel(aligned=True)
    assert (sub.kernel_size, sub.padding) == ((6, 6), (2, 2))


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_resize_conv_is_interpolate_and_convolve(ndim):
    x = scene(ndim)
    for k, s in [(3, 2), (5, 3), (1, 4), (3, 1)]:
        layer = make(ResizeConv, 2, 3, k, scale=s, ndim=ndim)
        large = functional.interpolate(x, scale_factor=s, mode="nearest")
        agree(layer(x), CONV[ndim](large, layer.weight, layer.bias, padding=k // 2))
        layer = make(ResizeConv, 2, 3, k, scale=s, ndim=ndim, interpolation="linear", padding_mode="replicate")
        large = functional.interpolate(x, scale_factor=s, mode=LINEAR[ndim], align_corners=False)
        inner = window(layer(x), [k // 2] * ndim, [n * s - 2 * (k // 2) for n in x.shape[2:]])
        agree(inner, CONV[ndim](large, layer.weight, layer.bias))


# What they start from


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_bilinear_is_interpolation_up_to_the_frame(ndim, scale):
    x = scene(ndim)
    wanted = functional.interpolate(x, scale_factor=scale, mode=LINEAR[ndim], align_corners=False)
    odd = scale % 2
    options = {"scale": scale, "ndim": ndim, "padding_mode": "replicate", "initialisation": "bilinear"}
    for size in (2 * scale - odd, 2 * scale - odd + 2):
        agree(make(TransposedUpsample, 2, 2, size, bias=False, **options)(x), wanted)
    agree(make(SubpixelConv, 2, 2, 3 * scale, bias=False, **options)(x), wanted)
    agree(make(ResizeConv, 2, 2, scale + 1 - odd, bias=False, **options)(x), wanted)
    agree(make(ResizeConv, 2, 2, 5, interpolation="linear", bias=False, **options)(x), wanted, 1e-11)


def test_interpolating_starts_give_every_output_an_average_of_inputs():
    x = scene(1, channels=4)
    options = {"scale": 2, "ndim": 1, "initialisation": "bilinear", "padding_mode": "replicate", "bias": False}
    y = make(TransposedUpsample, 4, 4, 4, **options)(x)
    mean = torch.stack([(y[:, 0] + y[:, 2]) / 2, (y[:, 1] + y[:, 3]) / 2], dim=1)
    agree(make(TransposedUpsample, 4, 2, 4, **options)(x), mean)
    agree(make(TransposedUpsample, 4, 9, 4, **options)(x), y[:, [0, 1, 2, 3, 0, 1, 2, 3, 0]])
    agree(make(TransposedUpsample, 4, 3, 4, **options)(x)[:, 0], (y[:, 0] + y[:, 3]) / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_sinc_keeps_a_flat_input_flat_and_follows_a_wave_better_than_bilinear(kind):
    options = {"scale": 2, "ndim": 1, "padding_mode": "circular", "bias": False}
    size = {TransposedUpsample: 12, SubpixelConv: 12, ResizeConv: 11}[kind]
    layer = make(kind, 1, 1, size, initialisation="sinc", **options)
    agree(layer(torch.full((1, 1, 16), 3.0, dtype=torch.float64)), torch.full((1, 1, 32), 3.0, dtype=torch.float64))

    def wave(t):
        return torch.as_tensor(np.cos(2 * np.pi * 5 * np.asarray(t) / 16 + 0.3))[None, None]

    coarse, fine = wave(np.arange(16)), wave((np.arange(32) + 0.5) / 2 - 0.5)
    bilinear = make(TransposedUpsample, 1, 1, 4, initialisation="bilinear", **options)
    error, worse = ((one(coarse) - fine).norm().item() for one in (layer, bilinear))
    assert error < 0.5 * worse


@pytest.mark.parametrize(
    ("ndim", "size", "scale", "cut"), [(1, 6, 2, None), (2, 4, 2, None), (2, 9, 3, None), (1, 7, 2, 3), (3, 6, 2, 2)]
)
def test_icnr_starts_as_convolution_then_nearest_neighbours(ndim, size, scale, cut):
    x = scene(ndim)
    layer = make(TransposedUpsample, 2, 3, size, scale=scale, ndim=ndim, padding=cut, bias=False, initialisation="icnr")
    y = layer(x)
    coarse = y[(..., *(slice(None, None, scale),) * ndim)]
    assert float(coarse.detach().std()) > 0.1
    agree(y, functional.interpolate(coarse, scale_factor=scale, mode="nearest"), 1e-14)


@pytest.mark.parametrize(("kernel", "scale"), [((3, 3), (2, 2)), ((4, 4), (2, 2)), ((5, 2), (3, 1)), ((9,), (2,))])
def test_kaiming_gives_every_phase_the_same_variance(kernel, scale):
    ndim = len(kernel)
    generator = torch.Generator().manual_seed(3)
    w = initialisation.kaiming_(torch.empty(32, 3000, *kernel), scale, generator=generator)
    x = torch.ones(1, 32, *(7,) * ndim)  # the variance over the kernels is what counts
    y = TRANSPOSE[ndim](x, w, stride=scale)[0]
    for phase in itertools.product(*(range(s) for s in scale)):
        at = (slice(None), *(5 * s + r for s, r in zip(scale, phase, strict=True)))
        assert float(y[at].var()) == pytest.approx(2, rel=0.12)
    # what torch's own reading of the shape would have given
    fan = torch.nn.init._calculate_fan_in_and_fan_out(w)[0]
    assert 32 * 2 / fan < 0.1


def test_a_start_repeats_with_its_generator_and_not_without():
    def start(seed):
        return SubpixelConv(2, 2, 4, scale=2, generator=torch.Generator().manual_seed(seed)).weight

    assert torch.equal(start(1), start(1))
    assert not torch.equal(start(1), start(2))


# Equal budgets


def test_equal_budgets_are_equal_where_the_scale_divides_and_near_elsewhere():
    for k, s, channels in itertools.product(range(2, 12), (2, 3, 4), (8, 56)):
        if k < s:
            continue
        found = equal_budget(channels, 1, k, scale=s)
        for name, budget in found.items():
            layer = getattr(layers, name)(budget.in_channels, 1, budget.kernel_size, scale=s)
            assert sum(p.numel() for p in layer.parameters()) == budget.parameters
        whole, near = found["TransposedUpsample"].parameters, found["SubpixelConv"].parameters
        assert abs(near - whole) <= (0 if k % s == 0 else (s * (k // s)) ** 2 / 2)  # half a channel


# In the user's hands


@pytest.mark.parametrize("kind", KINDS)
def test_stored_weights_do_not_depend_on_the_option(kind):
    a, b = (kind(2, 2, 4, scale=2, checkerboard_free=free) for free in (True, False))
    b.load_state_dict(a.state_dict())
    assert sorted(a.state_dict()) == ["bias", "weight"]
    assert torch.equal(copy.deepcopy(a).weight, b.weight)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_input_weights_and_bias(kind):
    layer = make(kind, 1, 2, 4, scale=2, ndim=1, padding_mode="replicate", checkerboard_free=True)
    x = torch.rand(1, 1, 5, dtype=torch.float64, requires_grad=True)

    def function(x, weight, bias):
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (x,))

    assert torch.autograd.gradcheck(function, (x, layer.weight, layer.bias))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TransposedUpsample(1, 1, 2, scale=3), "kernel_size is (2, 2) but scale (3, 3)"),
        (lambda: SubpixelConv(1, 1, 5, scale=2), "pass (6, 6)"),
        (lambda: TransposedUpsample(1, 1, 4, scale=2, padding=4), "padding is (4, 4) but kernel_size (4, 4)"),
        (lambda: TransposedUpsample(1, 1, 4, scale=2, ndim=4), "ndim is 4"),
        (lambda: TransposedUpsample(0, 1, 4, scale=2), "in_channels is 0"),
        (lambda: TransposedUpsample(1, 1, (4, 4, 4), scale=2), "kernel_size has 3 entries; 2 are wanted"),
        (lambda: TransposedUpsample(1, 1, 4, scale=2.5), "scale is 2.5; an integer"),
        (lambda: TransposedUpsample(1, 1, 4, scale=2, padding_mode="zero"), "padding_mode is 'zero'"),
        (lambda: TransposedUpsample(1, 1, 4, scale=2, initialisation="xavier"), "initialisation is 'xavier'"),
        (lambda: TransposedUpsample(1, 1, 3, scale=2, initialisation="bilinear"), "interpolation by 2 wants 4"),
        (lambda: TransposedUpsample(1, 1, 4, scale=2, padding=3, initialisation="sinc"), "pass a padding of 0 to 2"),
        (lambda: TransposedUpsample(1, 1, 2, scale=2, padding=1, initialisation="icnr"), "no whole block"),
        (lambda: ResizeConv(1, 1, 3, scale=2, interpolation="cubic"), "interpolation is 'cubic'"),
        (lambda: TransposedUpsample.from_psf(np.ones((2, 2, 2, 2)), 2), "psf has 4 dimensions"),
        (lambda: TransposedUpsample.from_psf(np.ones(3), 2, center=3), "center is (3,)"),
        (lambda: TransposedUpsample.from_psf([1.0, np.nan], 2), "psf has 1 NaN"),
        (lambda: TransposedUpsample.from_psf(np.ones(3), 2, padding_mode="reflect"), "padding_mode is 'reflect'"),
        (lambda: TransposedUpsample(1, 1, 4, scale=2)(torch.zeros(4, 4)), "x has shape (4, 4); (batch, 1, n, n)"),
        (lambda: TransposedUpsample(3, 1, 4, scale=2)(torch.zeros(1, 1, 4, 4)), "(batch, 3, n, n) is wanted"),
        (
            lambda: ResizeConv(1, 1, 9, scale=2, padding_mode="reflect")(torch.zeros(1, 1, 2, 2)),
            "too small for 2 samples",
        ),
        (lambda: pixel_shuffle(torch.zeros(1, 3, 4), 2), "groups of 2"),
        (lambda: subpixel_to_transposed(torch.zeros(3, 1, 4), 2), "3 output channels; a multiple of 2"),
        (lambda: transposed_to_subpixel(torch.zeros(1, 1, 4, 4), (2,)), "two axes of channels"),
        (lambda: initialisation.kaiming_(torch.zeros(3), 2), "weight has shape (3,)"),
        (lambda: initialisation.sinc_(torch.zeros(1, 1, 3), 4), "shorter than the scale"),
    ],
)
def test_a_wrong_call_is_told_so_on_one_line(call, message):
    with pytest.raises((ValueError, TypeError)) as error:
        call()
    assert message in str(error.value)
    assert "\n" not in str(error.value)
