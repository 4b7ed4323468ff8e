"""One axis of a convolution in plain integers, and how the arguments of a layer become one such axis each."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple, TypeGuard

from .._array import choice, per_axis, shown

Integers = int | Sequence[int]
Padding = str | int | Sequence[int | Sequence[int]]


class Axis(NamedTuple):
    """A layer along one axis: output sample i of a convolution sees the inputs ``i stride - before + t dilation``."""

    kernel: int
    stride: int
    before: int
    after: int
    dilation: int
    extra: int = 0  #: the output_padding of a transposed convolution

    @property
    def reach(self) -> int:
        """Distance from the first to the last tap."""
        return self.dilation * (self.kernel - 1)

    def convolved(self, size: int) -> int:
        """What a convolution leaves of `size` samples; none or less where the kernel does not fit."""
        return (size + self.before + self.after - self.reach - 1) // self.stride + 1

    def transposed(self, size: int) -> int:
        """What a transposed convolution makes of `size` samples."""
        return (size - 1) * self.stride + self.reach + 1 - self.before - self.after + self.extra


def sizes(shape: Integers) -> tuple[int, ...]:
    """A frame's size on each axis; a single number is one axis."""
    return entries(shape, len(shape) if _is_sequence(shape) else 1, "shape", minimum=1)


def entries(value: Integers, ndim: int, name: str, *, minimum: int) -> tuple[int, ...]:
    """One integer an axis, from one for all or a sequence."""
    if not _is_sequence(value) and not isinstance(value, Integral):
        raise TypeError(f"{name} is {shown(value)}; an integer or one integer an axis is wanted")
    if _is_sequence(value) and len(value) != ndim:
        raise ValueError(f"{name} has {_counted(len(value), 'entry')}; {ndim} {_wanted(ndim)}, one an axis")
    if _is_sequence(value) and not ndim:
        raise ValueError(f"{name} is empty; at least one axis is wanted")
    return per_axis(value, ndim, name, minimum=minimum)


def entries_of(value: Integers, ndim: int, name: str, *others: object) -> tuple[int, ...]:
    """The same where the first sequence among `value` and `others` says how many axes there are."""
    lengths = [len(v) for v in (value, *others) if _is_sequence(v)]
    count = lengths[0] if lengths else entries(ndim, 1, "ndim", minimum=1)[0]
    return entries(value, count, name, minimum=1)


def spacing(
    ndim: int,
    kernel_size: Integers,
    stride: Integers = 1,
    padding: Padding = 0,
    dilation: Integers = 1,
    output_padding: Integers = 0,
) -> list[Axis]:
    """The arguments of a layer, checked, as one `Axis` each."""
    kernels = entries(kernel_size, ndim, "kernel_size", minimum=1)
    strides = entries(stride, ndim, "stride", minimum=1)
    dilations = entries(dilation, ndim, "dilation", minimum=1)
    extras = entries(output_padding, ndim, "output_padding", minimum=0)
    for e, s, d in zip(extras, strides, dilations, strict=True):
        if e >= max(s, d):
            raise ValueError(
                f"output_padding is {e} with stride {s} and dilation {d}; it must be smaller than one of them"
            )
    pairs = _pairs(padding, kernels, strides, dilations)
    return [
        Axis(k, s, before, after, d, e)
        for k, s, (before, after), d, e in zip(kernels, strides, pairs, dilations, extras, strict=True)
    ]


def number_of_axes(ndim: int, *values: object) -> int:
    """The number of axes that the first sequence among `values` has, else `ndim`."""
    lengths = [len(v) for v in values if _is_sequence(v)]
    return lengths[0] if lengths else entries(ndim, 1, "ndim", minimum=1)[0]


def convolved(frame: Sequence[int], axes: Sequence[Axis]) -> tuple[int, ...]:
    """The frame after a convolution, or an error where the kernel does not fit."""
    result = tuple(axis.convolved(n) for n, axis in zip(frame, axes, strict=True))
    for i, (out, n, a) in enumerate(zip(result, frame, axes, strict=True)):
        if out < 1:
            raise ValueError(
                f"shape is {n} on axis {i}, {n + a.before + a.after} with padding ({a.before}, {a.after}), but a "
                f"kernel of {a.kernel} with dilation {a.dilation} spans {a.reach + 1}; pass a larger shape or padding"
            )
    return result


def enlarged(frame: Sequence[int], axes: Sequence[Axis]) -> tuple[int, ...]:
    """The frame after a transposed convolution, or an error where nothing is left of it."""
    result = tuple(axis.transposed(n) for n, axis in zip(frame, axes, strict=True))
    for i, (out, n, a) in enumerate(zip(result, frame, axes, strict=True)):
        if out < 1:
            raise ValueError(
                f"shape is {n} on axis {i}, which becomes {out + a.before + a.after} samples, but padding "
                f"({a.before}, {a.after}) cuts all of them off; pass a larger shape or less padding"
            )
    return result


def _pairs(
    padding: Padding, kernels: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...]
) -> list[tuple[int, int]]:
    ndim = len(kernels)
    if isinstance(padding, str):
        if choice(padding, ("same", "valid"), "padding") == "valid":
            return [(0, 0)] * ndim
        if max(strides) > 1:
            raise ValueError(f"padding is 'same' with stride {strides}; it needs stride 1, pass (before, after) pairs")
        totals = [d * (k - 1) for k, d in zip(kernels, dilations, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]  # the odd one goes after, as in torch
    values: Any = padding if _is_sequence(padding) else (padding,) * ndim
    if len(values) != ndim:
        raise ValueError(
            f"padding has {_counted(len(values), 'entry')}; {ndim} {_wanted(ndim)}, one an axis: "
            "a number, or a pair (before, after)"
        )
    found = []
    for value in values:
        pair = tuple(value) if _is_sequence(value) else (value, value)
        if len(pair) != 2:
            raise ValueError(f"padding has the entry {shown(value)}; a number or a pair (before, after) is wanted")
        try:
            before, after = per_axis(pair, 2, "padding", minimum=-(1 << 62))
        except TypeError:
            raise TypeError(f"padding is {shown(padding)}; integers or pairs (before, after) are wanted") from None
        found.append((before, after))
    return found


def _is_sequence(value: Any) -> TypeGuard[Sequence[Any]]:
    listed = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    return listed or getattr(value, "ndim", 0) == 1  # a NumPy array of numbers too


def _counted(count: int, word: str) -> str:
    return f"{count} {word if count == 1 else word[:-1] + 'ies'}"


def _wanted(count: int) -> str:
    return "is wanted" if count == 1 else "are wanted"
