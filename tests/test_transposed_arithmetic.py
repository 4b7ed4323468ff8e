"""The arithmetic of transposed convolution against torch, over thousands of drawn layers, and against brute force."""

from __future__ import annotations

import contextlib
import math
import subprocess
import sys
import warnings
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest

import sigdeconv
from sigdeconv import transposed
from sigdeconv.transposed import (
    Layer,
    ReceptiveField,
    conv_shape,
    equivalent_convolution,
    input_sizes,
    multiply_add_count,
    output_padding_for,
    overlap_count,
    parameter_count,
    receptive_field,
    samples_seen,
    transposed_shape,
)

DRAWS = {1: 1000, 2: 500, 3: 250}  # by the number of axes


class Drawn(NamedTuple):
    shape: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    output_padding: tuple[int, ...]

    def geometry(self, *, extra: bool = False) -> dict[str, Any]:
        names = ("stride", "padding", "dilation", "output_padding")[: 4 if extra else 3]
        return {name: getattr(self, name) for name in names}


def draws(ndim: int, seed: int, count: int, *, symmetric: bool = False, lowest: int = 0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        stride, dilation = rng.integers(1, 5, ndim), rng.integers(1, 4, ndim)
        padding = rng.integers(lowest, 5, (ndim, 2))
        if symmetric:
            padding[:, 1] = padding[:, 0]
        yield Drawn(
            shape=tuple(map(int, rng.integers(1, 9 if ndim < 3 else 6, ndim))),
            kernel_size=tuple(map(int, rng.integers(1, 6 if ndim < 3 else 4, ndim))),
            stride=tuple(map(int, stride)),
            padding=tuple((int(before), int(after)) for before, after in padding),
            dilation=tuple(map(int, dilation)),
            output_padding=tuple(map(int, rng.integers(0, np.maximum(stride, dilation)))),
        )


def convolve(torch, x, w, **arguments):
    return getattr(torch.nn.functional, f"conv{x.ndim - 2}d")(x, w, **arguments)


def transpose(torch, x, w, **arguments):
    return getattr(torch.nn.functional, f"conv_transpose{x.ndim - 2}d")(x, w, **arguments)


def refused(function, *arguments, **keywords) -> str | None:
    """What a call is refused with, if it is."""
    try:
        function(*arguments, **keywords)
    except (ValueError, RuntimeError) as error:
        return str(error)
    return None


def window(full: np.ndarray, starts, sizes) -> np.ndarray:
    """Part of an array that is zero past its ends."""
    result = np.zeros(sizes, full.dtype)
    inner = [
        (max(0, -a), min(size, n - a), a) for a, size, n in zip(starts, sizes, full.shape, strict=True)
    ]  # first and end in the result, offset into `full`
    if all(first < end for first, end, _ in inner):
        there = tuple(slice(first, end) for first, end, _ in inner)
        result[there] = full[tuple(slice(first + a, end + a) for first, end, a in inner)]
    return result


@pytest.mark.parametrize("ndim", DRAWS)
def test_shapes_and_overlap_are_torchs(ndim, torch):
    made = {"conv": 0, "transposed": 0}
    for drawn in draws(ndim, seed=ndim, count=DRAWS[ndim], symmetric=True):
        shape, kernel_size, *_ = drawn
        x, w = torch.ones((1, 1, *shape)), torch.ones((1, 1, *kernel_size))
        single = {"stride": drawn.stride, "padding": tuple(a for a, _ in drawn.padding), "dilation": drawn.dilation}
        if refused(conv_shape, shape, kernel_size, **drawn.geometry()):
            assert refused(convolve, torch, x, w, **single), drawn
        else:
            made["conv"] += 1
            y = convolve(torch, x, w, **single)
            assert conv_shape(shape, kernel_size, **single) == tuple(y.shape[2:]), drawn
        single["output_padding"] = drawn.output_padding
        if refused(transposed_shape, shape, kernel_size, **drawn.geometry(extra=True)):
            # Where nothing is left, torch sometimes returns an empty tensor.
            assert refused(transpose, torch, x, w, **single) or not transpose(torch, x, w, **single).numel(), drawn
        else:
            made["transposed"] += 1
            y = transpose(torch, x, w, **single)
            assert transposed_shape(shape, kernel_size, **single) == tuple(y.shape[2:]), drawn
            count = overlap_count(shape, kernel_size, **single)
            np.testing.assert_array_equal(count, y[0, 0].numpy(), err_msg=str(drawn))
    assert min(made.values()) > 0.25 * DRAWS[ndim]


@pytest.mark.parametrize("ndim", DRAWS)
def test_asymmetric_and_negative_padding_pad_and_crop(ndim, torch):
    made = 0
    for drawn in draws(ndim, seed=10 + ndim, count=DRAWS[ndim] // 2, lowest=-2):
        shape, kernel_size, stride, padding, dilation, extra = drawn
        starts = [-before for before, _ in padding]
        sizes = [max(0, n + sum(pair)) for n, pair in zip(shape, padding, strict=True)]
        padded = torch.as_tensor(window(np.ones(shape, np.float32), starts, sizes))[None, None]
        w = torch.ones((1, 1, *kernel_size))
        if not refused(conv_shape, shape, kernel_size, **drawn.geometry()):
            made += 1
            y = convolve(torch, padded, w, stride=stride, dilation=dilation)
            assert conv_shape(shape, kernel_size, **drawn.geometry()) == tuple(y.shape[2:]), drawn
        else:
            assert 0 in sizes or refused(convolve, torch, padded, w, stride=stride, dilation=dilation), drawn
        if not refused(transposed_shape, shape, kernel_size, **drawn.geometry(extra=True)):
            full = transpose(torch, torch.ones((1, 1, *shape)), w, stride=stride, dilation=dilation)[0, 0].numpy()
            sizes = [n - sum(pair) + e for n, pair, e in zip(full.shape, padding, extra, strict=True)]
            assert transposed_shape(shape, kernel_size, **drawn.geometry(extra=True)) == tuple(sizes), drawn
            wanted = window(full, [before for before, _ in padding], sizes)
            np.testing.assert_array_equal(overlap_count(shape, kernel_size, **drawn.geometry(extra=True)), wanted)
    assert made > DRAWS[ndim] // 10


@pytest.mark.parametrize("ndim", DRAWS)
def test_the_equivalent_convolution_has_the_same_values(ndim, torch):
    rng, made, cropped = np.random.default_rng(7), 0, 0
    for drawn in draws(ndim, seed=20 + ndim, count=DRAWS[ndim] // 2, symmetric=True):
        shape, kernel_size, stride, padding, dilation, extra = drawn
        if refused(transposed_shape, shape, kernel_size, **drawn.geometry(extra=True)):
            continue
        made += 1
        same = equivalent_convolution(shape, kernel_size, **drawn.geometry(extra=True))
        x, w = rng.standard_normal(shape), rng.standard_normal(kernel_size)
        inserted = np.zeros(same.inserted_shape)
        inserted[tuple(slice(None, None, zeros + 1) for zeros in same.zeros_between)] = x
        cropped += min(map(min, same.padding)) < 0
        padded = window(inserted, [-before for before, _ in same.padding], same.padded_shape)
        flipped = np.flip(w).copy()
        got = convolve(torch, *(torch.as_tensor(a)[None, None] for a in (padded, flipped)), dilation=same.dilation)
        wanted = transpose(
            torch,
            *(torch.as_tensor(a)[None, None] for a in (x, w)),
            stride=stride,
            padding=tuple(before for before, _ in padding),
            dilation=dilation,
            output_padding=extra,
        )
        assert same.shape == tuple(wanted.shape[2:]), drawn
        assert conv_shape(same.inserted_shape, kernel_size, padding=same.padding, dilation=same.dilation) == same.shape
        np.testing.assert_allclose(got[0, 0], wanted[0, 0], atol=1e-12, err_msg=str(drawn))
    assert made > DRAWS[ndim] // 8
    assert cropped > DRAWS[ndim] // 50


def test_same_keeps_the_size_as_in_torch(torch):
    rng = np.random.default_rng(3)
    for _ in range(200):
        n, k, d = int(rng.integers(1, 12)), int(rng.integers(1, 7)), int(rng.integers(1, 4))
        x = torch.ones((1, 1, n), requires_grad=True)
        assert conv_shape(n, k, padding="same", dilation=d) == (n,)
        assert transposed_shape(n, k, padding="same", dilation=d) == (n,)
        # Which side gets the odd sample shows in the transposed one: it must be the transpose of torch's convolution.
        seen = overlap_count(n, k, padding="same", dilation=d)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that an odd sample needs a padded copy
            y = torch.nn.functional.conv1d(x, torch.ones((1, 1, k)), padding="same", dilation=d)
        y.sum().backward()
        np.testing.assert_array_equal(seen, x.grad[0, 0])
    assert conv_shape((9, 9), 4, padding="valid") == (6, 6)


def test_input_sizes_are_all_there_are():
    for drawn in draws(1, seed=5, count=150, lowest=-2):
        geometry = drawn.geometry()
        found: dict[int, list[int]] = {}
        for n in range(1, 45):
            with contextlib.suppress(ValueError):
                found.setdefault(conv_shape(n, drawn.kernel_size, **geometry)[0], []).append(n)
        for size in range(1, 8):
            (sizes,) = input_sizes(size, drawn.kernel_size, **geometry)
            assert list(sizes) == found.get(size, []), (drawn, size)


def test_output_padding_restores_every_size(torch):
    seen = set()
    for drawn in draws(2, seed=6, count=500, symmetric=True):
        if refused(conv_shape, drawn.shape, drawn.kernel_size, **drawn.geometry()):
            continue
        small = conv_shape(drawn.shape, drawn.kernel_size, **drawn.geometry())
        extra = output_padding_for(small, drawn.shape, drawn.kernel_size, **drawn.geometry())
        assert all(0 <= e < s for e, s in zip(extra, drawn.stride, strict=True))
        seen |= set(extra)
        single = {"stride": drawn.stride, "padding": tuple(a for a, _ in drawn.padding), "dilation": drawn.dilation}
        x, w = torch.ones((1, 1, *small)), torch.ones((1, 1, *drawn.kernel_size))
        assert tuple(transpose(torch, x, w, output_padding=extra, **single).shape[2:]) == drawn.shape
    assert seen == {0, 1, 2, 3}


def test_what_no_output_padding_reaches_is_named():
    assert refused(output_padding_for, 6, 19, 5, stride=3, padding=2) == (
        "wanted is 19 on axis 0, but from 6 samples 16 to 18 can be had"
    )
    assert refused(output_padding_for, (4, 4), (4, 5), 3, padding=1) == (
        "wanted is 5 on axis 1, but from 4 samples only 4 can be had"
    )
    assert "padding cuts all off" in str(refused(output_padding_for, 2, 1, 1, padding=4))


# --- receptive fields -----------------------------------------------------------------------------------------------


def drawn_stack(rng: np.random.Generator, *, transposes: bool = True) -> list[Layer]:
    stack = []
    for _ in range(rng.integers(1, 5)):
        kind = str(rng.choice(["conv", "transposed", "pool"] if transposes else ["conv", "pool"]))
        k, s = int(rng.integers(1, 5)), int(rng.integers(1, 4))
        if kind == "pool":
            stack.append(Layer(k, stride=s, padding=int(rng.integers(0, k // 2 + 1)), kind=kind))
        else:
            p, d = int(rng.integers(0, 3)), int(rng.integers(1, 3))
            extra = int(rng.integers(0, max(s, d))) if kind == "transposed" else 0
            stack.append(Layer(k, stride=s, padding=p, dilation=d, output_padding=extra, kind=kind))
    return stack


def applied(torch, stack, x):
    """The stack on torch, with kernels of ones: what is seen has a positive gradient."""
    for layer in stack:
        if layer.kind == "pool":
            x = torch.nn.functional.avg_pool1d(x, layer.kernel_size, layer.stride, layer.padding)
            continue
        geometry = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
        w = torch.ones((1, 1, layer.kernel_size), dtype=x.dtype)
        if layer.kind == "transposed":
            x = transpose(torch, x, w, output_padding=layer.output_padding, **geometry)
        else:
            x = convolve(torch, x, w, **geometry)
    return x


def test_samples_seen_are_those_with_a_gradient(torch):
    rng, made = np.random.default_rng(8), 0
    while made < 120:
        stack, n = drawn_stack(rng), int(rng.integers(3, 30))
        x = torch.ones((1, 1, n), dtype=torch.float64, requires_grad=True)
        try:
            y = applied(torch, stack, x)[0, 0]
        except RuntimeError:
            continue
        made += 1
        for i in sorted({0, len(y) - 1, *rng.integers(0, len(y), 4).tolist()}):
            (gradient,) = torch.autograd.grad(y[i], x, retain_graph=True)
            (seen,) = samples_seen(stack, i, shape=n)
            assert seen.tolist() == np.flatnonzero(gradient[0, 0]).tolist(), (stack, n, i)
    assert made == 120


def test_receptive_fields_are_the_extents_of_gradients(torch):
    rng = np.random.default_rng(9)
    for _ in range(60):
        stack = drawn_stack(rng)
        field = receptive_field(stack, ndim=1)
        size, jump, start = (entry[0] for entry in field)
        n = 1200
        x = torch.ones((1, 1, n), dtype=torch.float64, requires_grad=True)
        y = applied(torch, stack, x)[0, 0]
        phases = math.prod(layer.stride for layer in stack if layer.kind == "transposed")
        middle = len(y) // 2 // phases * phases
        extents, firsts = [], {}
        for i in range(middle, middle + phases):
            (gradient,) = torch.autograd.grad(y[i], x, retain_graph=True)
            seen = np.flatnonzero(gradient[0, 0])
            if seen.size:
                extents.append(seen[-1] - seen[0] + 1)
                firsts[i] = seen[0]
        assert size == max(extents), stack
        first = min(firsts)
        assert start == firsts[first] - middle * jump, stack


def test_without_transposed_layers_the_receptive_field_is_the_known_formula():
    rng = np.random.default_rng(12)
    for _ in range(200):
        size, jump, start = 1, 1, 0
        stack = drawn_stack(rng, transposes=False)
        for layer in stack:
            size += layer.dilation * (layer.kernel_size - 1) * jump
            start -= layer.padding * jump
            jump *= layer.stride
        assert receptive_field(stack, ndim=1) == ReceptiveField((size,), (jump,), (start,))


def test_receptive_field_has_its_own_numbers_on_each_axis():
    stack = [Layer((3, 5), stride=(1, 2), padding=((1, 0), (2, 2))), Layer(2, stride=(2, 1), kind="transposed")]
    assert receptive_field(stack) == ReceptiveField((3, 7), (Fraction(1, 2), 2), (-1, -4))
    rows, columns = samples_seen(stack, (4, 1), shape=(9, 9))
    assert rows.tolist() == [1, 2, 3]
    assert columns.tolist() == [0, 1, 2, 3, 4]


def test_thirty_layers_are_followed_at_once():
    down = [layer for _ in range(5) for layer in (Layer(3, padding=1), Layer(3, padding=1), Layer(2, 2, kind="pool"))]
    up = [
        layer for _ in range(5) for layer in (Layer(2, 2, kind="transposed"), Layer(3, padding=1), Layer(3, padding=1))
    ]
    assert receptive_field(down + up).jump == (1, 1)
    with pytest.raises(ValueError, match="32768 phases"):
        receptive_field([Layer(2, 2, kind="transposed")] * 15, ndim=1)


# --- costs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ndim", DRAWS)
def test_costs_are_torchs(ndim, torch):
    from torch.utils.flop_counter import conv_flop_count

    rng, made = np.random.default_rng(30 + ndim), 0
    for drawn in draws(ndim, seed=30 + ndim, count=60, symmetric=True):
        groups = int(rng.integers(1, 4))
        into, out = (groups * int(c) for c in rng.integers(1, 4, 2))
        bias, is_transposed = bool(rng.integers(2)), bool(rng.integers(2))
        shape_of = transposed_shape if is_transposed else conv_shape
        geometry = drawn.geometry(extra=is_transposed)
        if refused(shape_of, drawn.shape, drawn.kernel_size, **geometry):
            continue
        made += 1
        kind = getattr(torch.nn, f"Conv{'Transpose' * is_transposed}{ndim}d")
        single = {**geometry, "padding": tuple(a for a, _ in drawn.padding)}
        layer = kind(into, out, drawn.kernel_size, groups=groups, bias=bias, **single)
        count = parameter_count(drawn.kernel_size, into, out, groups=groups, bias=bias)
        assert count == sum(p.numel() for p in layer.parameters())
        x = torch.zeros((1, into, *drawn.shape))
        operations = conv_flop_count(x.shape, layer.weight.shape, layer(x).shape, transposed=is_transposed)
        arguments = {**drawn.geometry(), "groups": groups, "transposed": is_transposed}
        products = multiply_add_count(drawn.shape, drawn.kernel_size, into, out, **arguments)
        assert 2 * products == operations, drawn
    assert made > 10


def test_a_transposed_convolution_costs_what_its_convolution_costs_and_no_product_is_lost():
    rng = np.random.default_rng(14)
    for _ in range(200):
        small, k, s, d = ((int(n), int(m)) for n, m in rng.integers(1, 6, (4, 2)))
        big = transposed_shape(small, k, stride=s, dilation=d)
        products = multiply_add_count(small, k, 3, 2, stride=s, dilation=d, transposed=True)
        assert products == multiply_add_count(big, k, 2, 3, stride=s, dilation=d)
        assert products == 6 * overlap_count(small, k, stride=s, dilation=d).sum()


# --- errors and imports ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: conv_shape(3, 5),
            "shape is 3 on axis 0, 3 with padding (0, 0), but a kernel of 5 with dilation 1 spans",
        ),
        (lambda: conv_shape((8, 0), 3), "shape is (8, 0); every entry must be at least 1"),
        (lambda: conv_shape((), 3), "shape is empty; at least one axis is wanted"),
        (lambda: conv_shape((8, 8), (3, 3, 3)), "kernel_size has 3 entries; 2 are wanted, one an axis"),
        (lambda: conv_shape(8, 0), "kernel_size is 0; every entry must be at least 1"),
        (lambda: conv_shape(8, 3, stride=0), "stride is 0; every entry must be at least 1"),
        (lambda: conv_shape(8, 3, dilation=(0,)), "dilation is (0,); every entry must be at least 1"),
        (lambda: conv_shape(8, 3, padding="full"), "padding is 'full'; pass one of 'same', 'valid'"),
        (lambda: conv_shape(8, 3, padding="same", stride=2), "padding is 'same' with stride (2,); it needs stride 1"),
        (
            lambda: conv_shape(8, 3, padding=(1, 2)),
            "padding has 2 entries; 1 is wanted, one an axis: a number, or a pair",
        ),
        (lambda: conv_shape(8, 3, padding=((1, 2, 3),)), "padding has the entry (1, 2, 3); a number or a pair"),
        (
            lambda: transposed_shape(1, 3, padding=2),
            "shape is 1 on axis 0, which becomes 3 samples, but padding (2, 2) cuts",
        ),
        (
            lambda: transposed_shape(5, 3, output_padding=1),
            "output_padding is 1 with stride 1 and dilation 1; it must be",
        ),
        (lambda: transposed_shape(5, 3, output_padding=-1), "output_padding is -1; every entry must be at least 0"),
        (
            lambda: parameter_count(3, 4, 6, groups=4),
            "out_channels is 6 but groups is 4; out_channels must be a multiple",
        ),
        (lambda: parameter_count(3, 0, 6), "in_channels is 0; every entry must be at least 1"),
        (lambda: Layer(3, kind="upsample"), "kind is 'upsample'; pass one of 'conv', 'transposed', 'pool'"),
        (lambda: Layer(3, output_padding=1), "output_padding is 1; only a transposed convolution has one"),
        (lambda: Layer(3, kind="pool", out_channels=3), "groups and out_channels are not for a pooling"),
        (lambda: receptive_field([Layer(3), Layer(3, stride=0)]), "layers[1]: stride is 0; every entry must be"),
        (
            lambda: samples_seen([Layer(3)], 8, shape=9),
            "index is 8 on axis 0, but the output has 7 samples; pass 0 to 6",
        ),
        (lambda: samples_seen([Layer(3), Layer(9)], 0, shape=9), "layers[1]: shape is 7 on axis 0"),
        (lambda: samples_seen([Layer((3, 3))], 0, shape=9), "layers[0]: kernel_size has 2 entries; 1 is wanted"),
        (lambda: output_padding_for(3, 0, 3), "wanted is 0; every entry must be at least 1"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conv_shape(8.5, 3), "shape is 8.5; an integer or one integer an axis is wanted"),
        (lambda: conv_shape("88", 3), "shape is '88'"),
        (lambda: conv_shape({8, 9}, 3), "shape is {8, 9}"),
        (lambda: conv_shape(np.ones((2, 2), int), 3), "shape is a numpy.ndarray of shape (2, 2)"),
        (lambda: conv_shape(8, True), "kernel_size is True"),
        (lambda: conv_shape(8, 3, padding=None), "padding is None; integers or pairs (before, after) are wanted"),
        (lambda: conv_shape(8, 3, padding=((1, 0.5),)), "padding is ((1, 0.5),); integers or pairs"),
        (lambda: parameter_count(3, 4, None), "out_channels is None"),
        (lambda: receptive_field([]), "layers is []; a sequence of at least one Layer is wanted"),
        (lambda: receptive_field([3]), "layers is [3]; a sequence of at least one Layer is wanted"),
    ],
)
def test_what_are_no_integers_is_refused_by_name(call, message):
    with pytest.raises(TypeError) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_may_come_from_numpy_and_torch(torch):
    shape = conv_shape(torch.zeros(1, 9, 8).shape[1:], np.int64(3), stride=np.array([1, 2]), padding=[1, (0, 1)])
    assert shape == (9, 4)
    assert all(type(n) is int for n in shape)


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import sigdeconv
assert not [name for name in sys.modules if name.startswith("sigdeconv.transposed")]
from sigdeconv import transposed
assert transposed.conv_shape(8, 3) == (6,)
table = transposed.layer_table([transposed.Layer(3, out_channels=2)], (1, 1, 8, 8))
assert transposed.checkerboard.overlap(4, 2).even
assert "layers" not in dir(transposed) and "layer_table" in dir(transposed)
for name in ("layers", "TransposedUpsample"):
    try:
        getattr(transposed, name)
    except ImportError as error:
        print(error)
try:
    from sigdeconv.transposed import SubpixelConv
except ImportError as error:
    print(error)
try:
    transposed.nothing
except AttributeError as error:
    print(error)
"""


def test_without_torch_the_arithmetic_works_and_the_rest_says_what_to_install():
    path = str(sigdeconv.__path__[0]).rpartition("sigdeconv")[0]
    code = f"import sys; sys.path.insert(0, {path!r})\n{WITHOUT_TORCH}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "sigdeconv.transposed.layers needs torch: pip install sigdeconv[learned]",
        "sigdeconv.transposed.TransposedUpsample needs torch: pip install sigdeconv[learned]",
        "sigdeconv.transposed.SubpixelConv needs torch: pip install sigdeconv[learned]",
        "module 'sigdeconv.transposed' has no attribute 'nothing'",
    ]


def test_the_package_and_its_tables_load_torch_only_when_it_is_asked_for():
    path = str(sigdeconv.__path__[0]).rpartition("sigdeconv")[0]
    code = f"import sys; sys.path.insert(0, {path!r}); import sigdeconv.transposed; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.stdout == "False\n", run.stderr


def test_every_exported_name_is_there(torch):
    assert sorted(transposed.__all__) == transposed.__all__
    for name in transposed.__all__:
        assert getattr(transposed, name) is not None
        assert name in dir(transposed)
