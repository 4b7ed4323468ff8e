"""What a stack of convolutions sees and costs, and what 1 x 1 convolutions save."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sigdeconv.transposed import Layer, layer_table, multiply_add_count, receptive_field, samples_seen

if TYPE_CHECKING:
    import torch

Numbers = np.ndarray[Any, Any]

REPEATS = 3  # of what is timed; the shortest counts
CHANNELS, FRAME = 16, 128  # of the stacks that are compared
WIDE, NARROW = 64, 16  # channels around and inside the textbook bottleneck


def stacks() -> dict[str, list[Layer]]:
    """Five ways to see 15 x 15 pixels."""
    same = {"out_channels": CHANNELS, "bias": False}
    return {
        "one 15 × 15": [Layer(15, padding=7, **same)],
        "seven 3 × 3": [Layer(3, padding=1, **same) for _ in range(7)],
        "three 3 × 3, dilation 1, 2, 4": [Layer(3, padding=d, dilation=d, **same) for d in (1, 2, 4)],
        "three 3 × 3, stride 2, 2, 1": [Layer(3, padding=1, stride=s, **same) for s in (2, 2, 1)],
        "one 3 × 3, dilation 7": [Layer(3, padding=7, dilation=7, **same)],
    }


def as_module(layers: Sequence[Layer], channels: int) -> Any:
    """The same in torch."""
    from torch import nn

    made: list[Any] = []
    for layer in layers:
        out = channels if layer.out_channels is None else layer.out_channels
        numbers = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        made.append(nn.Conv2d(channels, out, *numbers, bias=layer.bias))  # type: ignore[arg-type]
        channels = out
    return nn.Sequential(*made).requires_grad_(False)


def reached(module: Any, channels: int, frame: int) -> tuple[int, float]:
    """Measured: side of the field that the middle output sees, and the share of its pixels that reach it."""
    import torch

    for parameter in module.parameters():
        torch.nn.init.ones_(parameter)  # nothing cancels
    x = torch.zeros(1, channels, frame, frame, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        y = module.double()(x)
        (gradient,) = torch.autograd.grad(y[0, 0, y.shape[2] // 2, y.shape[3] // 2], x)
    touched = gradient[0, 0].numpy() != 0
    rows = np.flatnonzero(touched.any(axis=1))
    side = int(rows[-1] - rows[0] + 1)
    return side, float(touched.sum() / side**2)


def seconds(module: Any, x: torch.Tensor) -> float:
    """The shortest of some runs."""
    import torch

    took = []
    with torch.no_grad():
        module(x)
        for _ in range(REPEATS):
            began = time.perf_counter()
            module(x)
            took.append(time.perf_counter() - began)
    return min(took)


def counted(module: Any, x: torch.Tensor) -> int:
    """Multiply-adds by torch's own counter, which counts two operations for each."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(x)
    return int(counter.get_total_flops()) // 2


def fields() -> list[dict[str, Any]]:
    """A row a stack: what comes out, what it sees, what it costs."""
    import torch

    rows = []
    x = torch.rand(1, CHANNELS, FRAME, FRAME, generator=torch.Generator().manual_seed(0))
    for name, layers in stacks().items():
        table = layer_table(layers, (1, CHANNELS, FRAME, FRAME))
        shape = table.rows[-1].output_shape
        assert shape is not None
        module = as_module(layers, CHANNELS)
        took, by_torch = seconds(module, x), counted(module, x)
        side = receptive_field(layers).size[0]
        seen = samples_seen(layers, shape[-1] // 2, shape=FRAME, ndim=1)[0].size ** 2 / side**2
        rows.append(
            {
                "stack": name,
                "output": f"{shape[-2]} × {shape[-1]}",
                "field": side,
                "measured": reached(as_module([_thin(la) for la in layers], 1), 1, FRAME)[0],
                "seen": 100 * seen,
                "parameters": table.parameters,
                "multiply_adds": table.multiply_adds / 1e6,
                "counted": by_torch / 1e6,
                "milliseconds": 1e3 * took,
            }
        )
    return rows


def _thin(layer: Layer) -> Layer:
    """With one channel."""
    return replace(layer, out_channels=1)


def principal(maps: torch.Tensor) -> tuple[Numbers, Numbers]:
    """Principal mixtures of the channels of maps ``(batch, channels, y, x)``, not centred: rows, and their energies."""
    flat = maps.transpose(0, 1).flatten(1).double().numpy()
    energies, vectors = np.linalg.eigh(flat @ flat.T / flat.shape[1])
    return vectors.T[::-1].copy(), energies[::-1].copy()


def narrowed(layer: Any, mixtures: Numbers) -> Any:
    """A convolution that first mixes its channels to fewer, by a 1 x 1 convolution."""
    import torch
    from torch import nn

    rows = torch.as_tensor(mixtures, dtype=layer.weight.dtype)
    mix = nn.Conv2d(layer.in_channels, len(rows), 1, bias=False)
    small = nn.Conv2d(len(rows), layer.out_channels, layer.kernel_size, padding=layer.padding)
    with torch.no_grad():
        mix.weight.copy_(rows[..., None, None])
        small.weight.copy_(torch.einsum("oiyx,ki->okyx", layer.weight, rows))
        small.get_parameter("bias").copy_(layer.bias)
    return nn.Sequential(mix, small).requires_grad_(False)


def bottlenecks(
    encoder: Any, patches: torch.Tensor, judge: Callable[[Any], float], kept: Sequence[int]
) -> list[dict[str, Any]]:
    """The encoder's second convolution behind a 1 x 1 convolution to fewer channels: a row each, then without it."""
    import torch

    with torch.no_grad():
        maps = encoder.stages(patches)[0].pooled
    layer = encoder.convolutions[1]
    mixtures, energies = principal(maps)
    rows = []
    for count in [*kept, layer.in_channels]:
        whole = count == layer.in_channels
        module = layer if whole else narrowed(layer, mixtures[:count])
        other = copy.deepcopy(encoder)
        other.convolutions[1] = module
        rows.append(
            {
                "layer": f"encoder, {layer.in_channels} channels" if whole else f"encoder, 1 × 1 to {count}",
                "channels": count,
                "energy": 100 * float(energies[:count].sum() / energies.sum()),
                "accuracy": 100 * judge(other),
                **cost(module, tuple(maps.shape[1:]), "whole" if whole else "bottleneck"),
            }
        )
    return rows


def textbook() -> list[dict[str, Any]]:
    """A 3 x 3 convolution, and the same between two 1 x 1 convolutions that narrow it and widen it again."""
    plain = as_module([Layer(3, padding=1, out_channels=WIDE)], WIDE)
    between = [Layer(1, out_channels=NARROW), Layer(3, padding=1), Layer(1, out_channels=WIDE)]
    narrow = as_module(between, WIDE)
    shape = (WIDE, WIDE, WIDE)
    nothing: Mapping[str, Any] = {"channels": WIDE, "energy": "–", "accuracy": "–"}
    return [
        {"layer": f"3 × 3, {WIDE} to {WIDE}", **nothing, **cost(plain, shape, "whole")},
        {
            "layer": f"1 × 1 to {NARROW}, 3 × 3, 1 × 1 to {WIDE}",
            **nothing,
            "channels": NARROW,
            **cost(narrow, shape, "bottleneck"),
        },
    ]


def cost(module: Any, shape: tuple[int, ...], kind: str) -> dict[str, Any]:
    """Multiply-adds by the formula and by torch's counter, and milliseconds, for one input ``(channels, y, x)``."""
    import torch

    x = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0))
    layers = [module] if isinstance(module, torch.nn.Conv2d) else list(module)
    formula = sum(
        multiply_add_count(shape[1:], la.kernel_size, la.in_channels, la.out_channels, padding=la.padding)
        for la in layers
    )
    return {
        "kind": kind,
        "multiply_adds": formula / 1e6,
        "counted": counted(module, x) / 1e6,
        "milliseconds": 1e3 * seconds(module, x),
    }
