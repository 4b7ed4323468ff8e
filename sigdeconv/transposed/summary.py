"""A table of a network's layers: what goes in, what comes out, what each costs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from .._array import shown
from ._spacing import Axis, Integers, entries, spacing
from .costs import channels, multiply_add_count, parameter_count
from .receptive import Layer

Sizes = tuple[int, ...]
Margins = tuple[int | tuple[int, int], ...]


class Row(NamedTuple):
    """One layer, each time that it is used; None where a layer has no such thing.

    Parameters
    ----------
    name : str
        Where it stands in the network.
    kind : str
        "conv", "transposed", "pool", or the class of a torch module.
    input_shape, output_shape : tuple of int or None
        What goes in and what comes out, ``(batch, channels, *frame)``; None of a layer that is never used.
    kernel_size, stride : tuple of int or None
        Taps of the kernel, and the step, on each axis.
    padding : tuple or None
        On each axis a number, or a pair (before, after) where they differ.
    parameters : int
        Numbers of its own; 0 where a row before counted them, as with shared weights.
    multiply_adds : int
        Multiplications, each with its addition, of the whole batch.
    """

    name: str
    kind: str
    input_shape: Sizes | None
    output_shape: Sizes | None
    kernel_size: Sizes | None
    stride: Sizes | None
    padding: Margins | None
    parameters: int
    multiply_adds: int


class LayerTable(NamedTuple):
    """The rows of a network and their sums. As a string (and by `markdown`) it is the table to be read.

    Parameters
    ----------
    rows : tuple of Row
        The layers in the order of their use.
    parameters : int
        Sum over the rows.
    multiply_adds : int
        Sum over the rows, for the whole batch.
    """

    rows: tuple[Row, ...]
    parameters: int
    multiply_adds: int

    def __str__(self) -> str:
        cells = [HEADER, *map(_cells, self.rows), self._total()]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(map(_aligned, row, widths, RIGHT)).rstrip() for row in cells]
        rule = "-" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    def markdown(self) -> str:
        """The table in Markdown.

        Returns
        -------
        str
            A line for the header, a rule, a line a row and one for the sums.
        """
        rule = ["---:" if right else "---" for right in RIGHT]
        rows = [HEADER, rule, *map(_cells, self.rows), self._total()]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def _total(self) -> list[str]:
        return ["total", *[""] * 6, f"{self.parameters:,}", f"{self.multiply_adds:,}"]


HEADER = ["name", "layer", "input", "output", "kernel", "stride", "padding", "parameters", "multiply-adds"]
RIGHT = [False] * 7 + [True] * 2


def layer_table(network: Any, shape: Integers, *, arguments: Sequence[Any] = ()) -> LayerTable:
    """Table of a network's layers: input, output, kernel, stride, padding, parameters and multiply-adds.

    Parameters
    ----------
    network : sequence of Layer, or torch.nn.Module
        Plain descriptions, one after the other, for which torch is not needed; or a network of any kind.
    shape : sequence of int
        The input, ``(batch, channels, *frame)``; of a torch module whatever it takes.
    arguments : sequence
        What a torch module takes besides, such as the noise level of a denoiser.

    Returns
    -------
    LayerTable
        Its `rows` as data, `parameters` and `multiply_adds` in all; ``print(table)`` or ``table.markdown()`` to read.

    Raises
    ------
    TypeError, ValueError
        `network` is neither, or a layer does not fit what comes to it; the message says which.

    Notes
    -----
    A torch module is run once on zeros, in evaluation mode and without gradients, and is then as before. It gets one
    row for each use of each module that has no modules inside, in the order of use; further ones for what a module
    with others inside computes or owns itself, and for modules that are not used. Multiply-adds are those of
    convolutions and matrix products, as in `multiply_add_count`, wherever they are called; torch's own counter is
    asked for them, which does not look into fused recurrent layers.

    Examples
    --------
    >>> layers = [
    ...     Layer(5, padding=2, out_channels=56, name="features"),
    ...     Layer(9, stride=2, padding=4, output_padding=1, kind="transposed", out_channels=1, name="enlarge"),
    ... ]
    >>> table = layer_table(layers, (1, 1, 32, 32))
    >>> print(table)
    name      layer       input       output      kernel  stride  padding  parameters  multiply-adds
    ------------------------------------------------------------------------------------------------
    features  conv        1×1×32×32   1×56×32×32  5×5     1×1     2×2           1,456      1,433,600
    enlarge   transposed  1×56×32×32  1×1×64×64   9×9     2×2     4×4           4,537      4,644,864
    ------------------------------------------------------------------------------------------------
    total                                                                       5,993      6,078,464
    >>> table.rows[1].output_shape
    (1, 1, 64, 64)
    """
    count = len(shape) if hasattr(shape, "__len__") else 1
    wanted = entries(shape, count, "shape", minimum=1)
    if isinstance(network, Sequence) and network and all(isinstance(layer, Layer) for layer in network):
        if arguments:
            raise ValueError("arguments are for torch modules; plain layers take none")
        rows = _described(network, wanted)
    else:
        torch = sys.modules.get("torch")  # who has a module has torch
        if torch is None or not isinstance(network, torch.nn.Module):
            raise TypeError(
                f"network is {shown(network)}; a sequence of at least one Layer or a torch module is wanted"
            )
        rows = _run(torch, network, wanted, arguments)
    return LayerTable(tuple(rows), sum(row.parameters for row in rows), sum(row.multiply_adds for row in rows))


def _described(layers: Sequence[Layer], shape: Sizes) -> list[Row]:
    if len(shape) < 3:
        raise ValueError(f"shape has {len(shape)} entries; (batch, channels, *frame) is wanted")
    rows = []
    for i, layer in enumerate(layers):
        try:
            rows.append(_row(layer, layer.name or str(i), shape))
        except (TypeError, ValueError) as error:
            raise type(error)(f"layers[{i}]: {error}") from None
        shape = rows[-1].output_shape or shape
    return rows


def _row(layer: Layer, name: str, shape: Sizes) -> Row:
    batch, into, *frame = shape
    axes = layer.axes(len(frame))
    out = into if layer.out_channels is None else layer.out_channels
    channels(into, out, layer.groups)
    parameters = products = 0
    kernels = tuple(axis.kernel for axis in axes)
    if layer.kind != "pool":
        parameters = parameter_count(kernels, into, out, groups=layer.groups, bias=layer.bias)
        products = multiply_add_count(
            frame,
            kernels,
            into,
            out,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
            transposed=layer.kind == "transposed",
        )
    result = (batch, out, *layer.output(frame))
    strides = tuple(axis.stride for axis in axes)
    return Row(name, layer.kind, shape, result, kernels, strides, _margins(axes), parameters, batch * products)


class _Use:
    """One call of a module, or none."""

    def __init__(self, module: Any, input_shape: Sizes | None = None, before: int = 0) -> None:
        self.module = module
        self.input_shape = input_shape
        self.output_shape: Sizes | None = None
        self.before = before  # the counter when it began
        self.inside = 0  # what the modules inside took of it
        self.operations = 0  # what it took itself


def _run(torch: Any, network: Any, shape: Sizes, arguments: Sequence[Any]) -> list[Row]:
    """Run a torch module on zeros, and make a row of each call of a module in it, outer ones before inner ones."""
    from torch.utils.flop_counter import FlopCounterMode

    names = {module: name or "network" for name, module in network.named_modules()}
    modes = [(module, module.training) for module in names]
    uses: list[_Use] = []
    running: list[_Use] = []
    counter = FlopCounterMode(display=False)

    def enter(module: Any, inputs: tuple[Any, ...]) -> None:
        running.append(_Use(module, _first_shape(inputs), counter.get_total_flops()))
        uses.append(running[-1])

    def leave(module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        use = running.pop()
        taken = counter.get_total_flops() - use.before
        use.operations = taken - use.inside
        use.output_shape = _first_shape(output)
        if running:
            running[-1].inside += taken

    hooks = [module.register_forward_pre_hook(enter) for module in names]
    hooks += [module.register_forward_hook(leave) for module in names]
    like = next((p for p in network.parameters() if p.is_floating_point()), torch.empty(0))
    try:
        network.eval()
        with torch.no_grad(), counter:
            network(torch.zeros(shape, dtype=like.dtype, device=like.device), *arguments)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
    used = {use.module for use in uses}
    uses += [_Use(module) for module in names if module not in used]
    counted: set[int] = set()
    rows = []
    for use in uses:
        own = [p for p in use.module.parameters(recurse=False) if id(p) not in counted]
        counted.update(map(id, own))
        leaf = not any(True for _ in use.module.children())
        if own or use.operations or (leaf and use.input_shape is not None):
            rows.append(_row_of(use, names[use.module], sum(p.numel() for p in own)))
    return rows


def _row_of(use: _Use, name: str, parameters: int) -> Row:
    module = use.module
    ndim = len(use.input_shape or ()) - 2
    kernels = _numbers(getattr(module, "kernel_size", None), ndim)
    strides = _numbers(getattr(module, "stride", None), ndim)
    padding = getattr(module, "padding", None)
    if isinstance(padding, str) and kernels is not None:
        padding = _margins(spacing(len(kernels), kernels, 1, padding, module.dilation))
    else:
        padding = _numbers(padding, ndim)
    kind = type(module).__name__
    # A multiplication and its addition are two operations of the counter.
    products = use.operations // 2
    return Row(name, kind, use.input_shape, use.output_shape, kernels, strides, padding, parameters, products)


def _first_shape(values: Any) -> Sizes | None:
    """Shape of the first tensor in what a module takes or gives."""
    if hasattr(values, "shape"):
        return tuple(values.shape)
    inner = values.values() if isinstance(values, dict) else values
    found = map(_first_shape, inner) if isinstance(values, (tuple, list, dict)) else ()
    return next((shape for shape in found if shape is not None), None)


def _numbers(value: Any, ndim: int) -> Sizes | None:
    """What a torch module says of its kernel, stride or padding, if it is whole numbers."""
    values = (value,) * ndim if isinstance(value, int) else value
    whole = isinstance(values, tuple) and all(isinstance(v, int) for v in values)
    return tuple(values) if whole and values else None


def _margins(axes: Sequence[Axis]) -> Margins:
    return tuple(axis.before if axis.before == axis.after else (axis.before, axis.after) for axis in axes)


def _cells(row: Row) -> list[str]:
    sizes = [row.input_shape, row.output_shape, row.kernel_size, row.stride, row.padding]
    shapes = ["-" if size is None else "×".join(map(str, size)) for size in sizes]
    return [row.name, row.kind, *shapes, f"{row.parameters:,}", f"{row.multiply_adds:,}"]


def _aligned(cell: str, width: int, right: bool) -> str:
    return cell.rjust(width) if right else cell.ljust(width)
