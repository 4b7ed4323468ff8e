"""The table of a network's layers: plain descriptions against torch modules, and what a module may do."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from sigdeconv.transposed import Layer, layer_table, multiply_add_count, parameter_count


def module_of(torch, layer: Layer, into: int, ndim: int):
    """The torch module that a plain layer describes."""
    nn = torch.nn
    if layer.kind == "pool":
        kind = getattr(nn, f"MaxPool{ndim}d")
        return kind(layer.kernel_size, stride=layer.stride, padding=layer.padding, dilation=layer.dilation)
    extra = {"output_padding": layer.output_padding} if layer.kind == "transposed" else {}
    kind = getattr(nn, f"Conv{'Transpose' if extra else ''}{ndim}d")
    return kind(
        into,
        layer.out_channels or into,
        layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
        bias=layer.bias,
        **extra,
    )


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_plain_layers_and_torch_modules_give_the_same_table(ndim, torch):
    rng = np.random.default_rng(ndim)
    for _ in range(12):
        frame = tuple(rng.integers(20, 26, ndim).tolist()) if ndim < 3 else (12, 13, 12)
        into = [int(rng.integers(1, 3)) * 2]
        layers = []
        for _ in range(4):
            kind = str(rng.choice(["conv", "transposed", "pool"]))
            k, s = tuple(rng.integers(1, 4, ndim).tolist()), tuple(rng.integers(1, 3, ndim).tolist())
            if kind == "pool":
                layers.append(Layer(k, stride=s, kind=kind))
                into.append(into[-1])
                continue
            out = int(rng.integers(1, 3)) * 2
            layers.append(
                Layer(
                    k,
                    stride=s,
                    padding=tuple(int(rng.integers(0, n)) for n in k),
                    output_padding=tuple(n - 1 for n in s) if kind == "transposed" else 0,
                    out_channels=out,
                    groups=int(rng.integers(1, 3)),
                    bias=bool(rng.integers(2)),
                    kind=kind,
                )
            )
            into.append(out)
        modules = [module_of(torch, layer, c, ndim) for layer, c in zip(layers, into, strict=False)]
        network = torch.nn.Sequential(*modules)
        shape = (2, into[0], *frame)
        try:
            wanted = network(torch.zeros(shape)).shape
        except RuntimeError:
            continue
        plain, run = layer_table(layers, shape), layer_table(network, shape)
        assert plain.rows[-1].output_shape == tuple(wanted)
        assert plain.parameters == sum(p.numel() for p in network.parameters())
        assert plain[1:] == run[1:]
        for row, other in zip(plain.rows, run.rows, strict=True):
            assert row._replace(kind="") == other._replace(kind="")
    assert plain.multiply_adds > 0


def test_a_plain_table_is_that_of_the_arithmetic():
    layers = [
        Layer(3, stride=2, padding=((0, 1), (1, 1)), out_channels=8),
        Layer(2, stride=2, kind="pool", name="half"),
    ]
    table = layer_table(layers, (3, 4, 16, 17))
    first, second = table.rows
    assert first.input_shape == (3, 4, 16, 17)
    assert first.output_shape == second.input_shape == (3, 8, 8, 9)
    assert (first.kernel_size, first.stride, first.padding) == ((3, 3), (2, 2), ((0, 1), 1))
    assert first.parameters == table.parameters == parameter_count(3, 4, 8)
    assert first.multiply_adds == table.multiply_adds
    assert first.multiply_adds == 3 * multiply_add_count((16, 17), 3, 4, 8, stride=2, padding=((0, 1), (1, 1)))
    assert second == ("half", "pool", (3, 8, 8, 9), (3, 8, 4, 4), (2, 2), (2, 2), (0, 0), 0, 0)


def test_the_table_reads_as_text_and_as_markdown():
    table = layer_table([Layer(3, out_channels=2, name="first"), Layer(2, kind="transposed")], (1, 1, 9))
    assert str(table).splitlines() == [
        "name   layer       input  output  kernel  stride  padding  parameters  multiply-adds",
        "------------------------------------------------------------------------------------",
        "first  conv        1×1×9  1×2×7   3       1       0                 8             42",
        "1      transposed  1×2×7  1×2×8   2       1       0                10             56",
        "------------------------------------------------------------------------------------",
        "total                                                              18             98",
    ]
    lines = table.markdown().splitlines()
    assert lines[0].startswith("| name | layer | input |")
    assert lines[1] == "| --- | --- | --- | --- | --- | --- | --- | ---: | ---: |"
    assert lines[2] == "| first | conv | 1×1×9 | 1×2×7 | 3 | 1 | 0 | 8 | 42 |"
    assert len({line.count("|") for line in lines}) == 1


@pytest.fixture
def network(torch):
    """Skips, shared and unused layers, parameters and operations of its own, dropout and batch norm, two inputs."""

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(4))
            self.conv = torch.nn.Conv2d(4, 4, 3, padding="same", bias=False)

        def forward(self, x):
            return x + self.scale.view(-1, 1, 1) * self.conv(x)

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Conv2d(2, 4, 3, stride=2, padding=1)
            self.block = Block()
            self.norm = torch.nn.BatchNorm2d(4)
            self.drop = torch.nn.Dropout(0.5)
            self.tied = torch.nn.Conv2d(4, 4, 3, padding=1, bias=False)
            self.tied.weight = self.block.conv.weight
            self.mix = torch.nn.Parameter(torch.ones(3, 4, 1, 1))
            self.unused = torch.nn.Linear(5, 6)
            self.tail = torch.nn.Sequential(torch.nn.Conv2d(3, 12, 1), torch.nn.PixelShuffle(2))

        def forward(self, x, sigma):
            noise = x.new_full((len(x), 1, *x.shape[2:]), sigma)
            x = self.head(torch.cat([x, noise], dim=1))
            x = self.block(self.block(x))
            x = self.tied(self.drop(self.norm(x)))
            return {"restored": (self.tail(torch.nn.functional.conv2d(x, self.mix)), sigma)}

    return Network()


def test_a_module_has_a_row_for_each_use_of_each_layer(network):
    table = layer_table(network, (2, 1, 16, 12), arguments=(0.1,))
    rows = [(row.name, row.kind, row.parameters, row.multiply_adds) for row in table.rows]
    pixels = 2 * 8 * 6
    assert rows == [
        ("network", "Network", 12, pixels * 12),  # its own 1x1 convolution
        ("head", "Conv2d", 76, pixels * 72),
        ("block", "Block", 4, 0),
        ("block.conv", "Conv2d", 144, pixels * 144),
        ("block.conv", "Conv2d", 0, pixels * 144),
        ("norm", "BatchNorm2d", 8, 0),
        ("drop", "Dropout", 0, 0),
        ("tied", "Conv2d", 0, pixels * 144),
        ("tail.0", "Conv2d", 48, pixels * 36),
        ("tail.1", "PixelShuffle", 0, 0),
        ("unused", "Linear", 36, 0),
    ]
    assert table.parameters == sum(p.numel() for p in network.parameters())
    by_name = {row.name: row for row in table.rows}
    assert by_name["network"].output_shape == by_name["tail.1"].output_shape == (2, 3, 16, 12)
    assert by_name["tail.1"].input_shape == (2, 12, 8, 6)
    assert by_name["block.conv"].padding == (1, 1)  # "same"
    assert by_name["head"].stride == (2, 2)
    assert by_name["unused"].input_shape is by_name["unused"].output_shape is None
    assert "unused      Linear        -" in str(table)


def test_a_module_is_afterwards_as_it_was(network, torch):
    network.train()
    network.drop.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    layer_table(network, (2, 1, 16, 12), arguments=(0.1,))
    with pytest.raises(RuntimeError, match="channels"):
        layer_table(network, (2, 3, 16, 12), arguments=(0.1,))
    assert network.training
    assert network.norm.training
    assert not network.drop.training
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert all(p.grad is None for p in network.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_modules_of_other_kinds(torch):
    nn = torch.nn
    table = layer_table(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), (4, 3, 4))
    assert [row.output_shape for row in table.rows] == [(4, 12), (4, 5)]
    assert (table.parameters, table.multiply_adds) == (65, 4 * 60)
    double = nn.Conv1d(1, 1, 4, padding="same", dilation=3, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that an odd sample needs a padded copy
        (row,) = layer_table(double, (1, 1, 20)).rows
    assert row.name == "network"
    assert row.padding == ((4, 5),)
    assert row.output_shape == (1, 1, 20)
    (row,) = layer_table(nn.Identity(), (7,)).rows
    assert (row.output_shape, row.kernel_size, row.parameters) == ((7,), None, 0)
    pool, adaptive, up = layer_table(
        nn.Sequential(nn.MaxPool2d(3, padding=1), nn.AdaptiveAvgPool2d(2), nn.Upsample(scale_factor=2)), (1, 2, 9, 9)
    ).rows
    assert (pool.kernel_size, pool.stride, pool.padding) == ((3, 3), (3, 3), (1, 1))
    assert adaptive.kernel_size is adaptive.stride is up.kernel_size is None
    assert up.output_shape == (1, 2, 4, 4)


def test_the_three_upsamplers_cost_what_their_convolutions_cost(torch):
    from sigdeconv.transposed import SubpixelConv, TransposedUpsample

    frame, taps = (10, 12), 36
    for kind in (TransposedUpsample, SubpixelConv):
        table = layer_table(kind(8, 3, 6, scale=2), (1, 8, *frame))
        assert table.rows[0].output_shape == (1, 3, 20, 24)
        assert table.parameters == taps * 8 * 3 + 3
        assert table.multiply_adds >= math.prod(frame) * taps * 8 * 3


@pytest.mark.parametrize(
    ("layers", "shape", "error", "message"),
    [
        ([], (1, 1, 8), TypeError, "network is []; a sequence of at least one Layer or a torch module is wanted"),
        ([Layer(3), 3], (1, 1, 8), TypeError, "; a sequence of at least one Layer or a torch module is wanted"),
        (None, (1, 1, 8), TypeError, "network is None; a sequence of at least one Layer"),
        ([Layer(3)], (1, 8), ValueError, "shape has 2 entries; (batch, channels, *frame) is wanted"),
        ([Layer(3)], (1, 0, 8), ValueError, "shape is (1, 0, 8); every entry must be at least 1"),
        ([Layer(3)], (1, 1, 8.5), TypeError, "shape is (1, 1, 8.5); an integer"),
        ([Layer(3), Layer(9)], (1, 1, 8), ValueError, "layers[1]: shape is 6 on axis 0, 6 with padding (0, 0), but a"),
        ([Layer(3, groups=2)], (1, 3, 8), ValueError, "layers[0]: in_channels is 3 but groups is 2"),
        ([Layer((3, 3))], (1, 3, 8), ValueError, "layers[0]: kernel_size has 2 entries; 1 is wanted, one an axis"),
    ],
)
def test_what_is_no_network_is_refused(layers, shape, error, message):
    with pytest.raises(error) as caught:
        layer_table(layers, shape)
    assert message in str(caught.value)


def test_arguments_are_for_modules():
    with pytest.raises(ValueError, match="arguments are for torch modules"):
        layer_table([Layer(3)], (1, 1, 8), arguments=(1,))
