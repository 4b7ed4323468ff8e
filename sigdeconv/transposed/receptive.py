"""A stack of layers, described by plain numbers, and which samples of its input an output sample sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from .._array import choice, shown
from ._spacing import Axis, Integers, Padding, convolved, enlarged, entries, number_of_axes, sizes, spacing

Indices = np.ndarray[Any, np.dtype[np.int64]]

KINDS = ("conv", "transposed", "pool")
# Phases of the output that are looked at one by one: the product of the strides of the transposed convolutions, less
# what convolutions before them take away. Five doublings have 32.
MOST_PHASES = 1 << 14


@dataclass(frozen=True)
class Layer:
    """A convolution, a transposed convolution or a pooling, described without weights.

    Parameters
    ----------
    kernel_size, stride : int or sequence of int
        Taps of the kernel, and the step, for all axes or for each. The stride is 1 by default, of a pooling too.
    padding : int, sequence of int or pairs, "same" or "valid"
        As in `conv_shape`, and for a transposed convolution as in `transposed_shape`.
    dilation : int or sequence of int
        Distance between taps, in samples.
    output_padding : int or sequence of int
        Of a transposed convolution only, as in `transposed_shape`.
    out_channels : int, optional
        Channels that come out; as many as go in by default.
    groups : int
        Parts of the channels that do not see each other.
    bias : bool
        Whether each output channel has one.
    kind : {"conv", "transposed", "pool"}
        A pooling treats each channel by itself and has no parameters and no multiply-adds.
    name : str
        What to call it in a table.

    Raises
    ------
    ValueError
        `kind` is none of these, or an argument is not for that kind. The rest is checked where the number of axes is
        known.

    Examples
    --------
    >>> Layer(4, stride=2, padding=1, kind="transposed", out_channels=64).stride
    2
    """

    kernel_size: Integers
    stride: Integers = 1
    padding: Padding = 0
    dilation: Integers = 1
    output_padding: Integers = 0
    out_channels: int | None = None
    groups: int = 1
    bias: bool = True
    kind: str = "conv"
    name: str = ""

    def __post_init__(self) -> None:
        choice(self.kind, KINDS, "kind")
        if self.kind != "transposed" and self.output_padding not in (0, (0,)):
            raise ValueError(f"output_padding is {shown(self.output_padding)}; only a transposed convolution has one")
        if self.kind == "pool" and (self.groups != 1 or self.out_channels is not None):
            raise ValueError("groups and out_channels are not for a pooling, which treats each channel by itself")

    def axes(self, ndim: int) -> list[Axis]:
        """The layer along each axis, in plain integers.

        Parameters
        ----------
        ndim : int
            Number of axes.

        Returns
        -------
        list of Axis
            Named tuples ``(kernel, stride, before, after, dilation, extra)``: padding before and after, and the
            `output_padding`.

        Raises
        ------
        TypeError, ValueError
            An argument is not as described, or is given for another number of axes.
        """
        return spacing(ndim, self.kernel_size, self.stride, self.padding, self.dilation, self.output_padding)

    def output(self, frame: Sequence[int]) -> tuple[int, ...]:
        """The frame that comes out.

        Parameters
        ----------
        frame : sequence of int
            The frame that goes in, without batch and channels.

        Returns
        -------
        tuple of int
            As of `conv_shape`, or for a transposed convolution of `transposed_shape`.

        Raises
        ------
        TypeError, ValueError
            An argument is not as described, or the layer does not fit that frame.
        """
        axes = self.axes(len(frame))
        return enlarged(frame, axes) if self.kind == "transposed" else convolved(frame, axes)


class ReceptiveField(NamedTuple):
    """What an output sample of a stack sees of its input, per axis and in samples of the input.

    Parameters
    ----------
    size : tuple of int
        From the first to the last sample seen, of the output samples that see the most.
    jump : tuple of int or of Fraction
        From one output sample to the next: a fraction where the output is finer.
    start : tuple of int
        First sample seen by the first output sample that sees any; negative in the padding.
    """

    size: tuple[int, ...]
    jump: tuple[int | Fraction, ...]
    start: tuple[int, ...]


def receptive_field(layers: Sequence[Layer], *, ndim: int = 2) -> ReceptiveField:
    """Receptive field of a stack of convolutions, transposed convolutions and poolings.

    Parameters
    ----------
    layers : sequence of Layer
        From the input to the output.
    ndim : int
        Number of axes, where all arguments of the layers are single numbers.

    Returns
    -------
    ReceptiveField
        Its size, the jump from one output sample's to the next one's, and where the first one's starts.

    Raises
    ------
    TypeError, ValueError
        A layer is not as described; the message says which.

    Notes
    -----
    Without transposed convolutions, ``size = 1 + sum(d (k - 1) jump)`` and ``start = -sum(p jump)``, with the product
    of the strides before each layer as `jump`, and output sample i sees ``size`` samples from ``start + i jump`` on
    (with holes where a dilation leaves them). With them, neighbouring output samples see differently many; all phases
    are followed back through the stack, and the largest size is given. See `samples_seen` for each.

    The size is what can count, not what does: in trained networks most of the weight lies in the middle.

    References
    ----------
    V. Dumoulin and F. Visin, arXiv:1603.07285.
    A. Araujo, W. Norris and J. Sim, Computing receptive fields of convolutional neural networks, Distill (2019),
    doi:10.23915/distill.00021.

    Examples
    --------
    >>> receptive_field([Layer(7, stride=2, padding=3), Layer(3, stride=2, padding=1), Layer(3, padding=1)], ndim=1)
    ReceptiveField(size=(19,), jump=(4,), start=(-9,))
    >>> receptive_field([Layer(3, padding=1), Layer(4, stride=2, padding=1, kind="transposed")], ndim=1)
    ReceptiveField(size=(4,), jump=(Fraction(1, 2),), start=(-2,))
    """
    stack = _along_axes(layers, _number_of_axes(layers, ndim))
    found = [_field(axis) for axis in stack]
    size, jump, start = zip(*found, strict=True)
    return ReceptiveField(size, jump, start)


def samples_seen(
    layers: Sequence[Layer], index: Integers, *, shape: Integers | None = None, ndim: int = 2
) -> tuple[Indices, ...]:
    """Exactly which samples of its input an output sample of a stack sees.

    Parameters
    ----------
    layers : sequence of Layer
        From the input to the output.
    index : int or sequence of int
        The output sample.
    shape : int or sequence of int, optional
        The input's frame. With it, nothing is seen past the frame, nor through the padding of a layer between.
    ndim : int
        Number of axes, where all arguments are single numbers.

    Returns
    -------
    tuple of ndarray of int64
        Sorted indices on each axis; all combinations of them are seen.

    Raises
    ------
    TypeError, ValueError
        A layer is not as described or does not fit, or the output has no such sample.

    Examples
    --------
    The kernel of a transposed convolution, stride 3, meets two input samples or one:

    >>> layers = [Layer(5, stride=3, padding=2, kind="transposed")]
    >>> [samples_seen(layers, i, ndim=1)[0].tolist() for i in (3, 4, 5)]
    [[1], [1, 2], [1, 2]]
    """
    frame = None if shape is None else sizes(shape)
    count = _number_of_axes(layers, number_of_axes(ndim, frame, index))
    frames = None if frame is None else _frames(layers, frame)
    last = None if frames is None else frames[-1]
    result = []
    for i, (axis, at) in enumerate(
        zip(_along_axes(layers, count), entries(index, count, "index", minimum=0), strict=True)
    ):
        if last is not None and at >= last[i]:
            raise ValueError(
                f"index is {at} on axis {i}, but the output has {last[i]} samples; pass 0 to {last[i] - 1}"
            )
        limits = None if frames is None else [frame[i] for frame in frames]
        result.append(_seen(axis, at, limits))
    return tuple(result)


_Stack = list[tuple[bool, Axis]]  # whether each layer is transposed, and its numbers on one axis


def _field(stack: _Stack) -> tuple[int, int | Fraction, int]:
    jump, back = Fraction(1), Fraction(1)
    phases = 1
    for transposed, axis in stack:
        jump = jump / axis.stride if transposed else jump * axis.stride
    for transposed, axis in reversed(stack):  # by how much the outputs must move for all indices to move in step
        back = back / axis.stride if transposed else back * axis.stride
        phases = math.lcm(phases, back.denominator)
    if phases > MOST_PHASES:
        raise ValueError(f"layers has {phases} phases of output samples, at most {MOST_PHASES} can be told apart")
    seen = [indices for indices in (_seen(stack, i, None) for i in range(phases)) if indices.size]
    size = max(int(indices[-1] - indices[0]) + 1 for indices in seen)
    return size, jump if jump.denominator > 1 else int(jump), int(seen[0][0])


def _seen(stack: _Stack, index: int, limits: list[int] | None) -> Indices:
    """Follow one output sample back; `limits` are the sizes from the input to the output."""
    indices = np.array([index], np.int64)
    for depth, (transposed, axis) in reversed(list(enumerate(stack))):
        taps = axis.dilation * np.arange(axis.kernel)
        if transposed:
            reached = (indices[:, None] + axis.before - taps).ravel()
            reached = reached[reached % axis.stride == 0] // axis.stride
        else:
            reached = (indices[:, None] * axis.stride - axis.before + taps).ravel()
        indices = np.unique(reached)
        if limits is not None:
            indices = indices[(indices >= 0) & (indices < limits[depth])]
    return indices


def _along_axes(layers: Sequence[Layer], ndim: int) -> list[_Stack]:
    each = [(layer.kind == "transposed", _of_layer(i, layer, ndim)) for i, layer in enumerate(layers)]
    return [[(transposed, axes[axis]) for transposed, axes in each] for axis in range(ndim)]


def _of_layer(i: int, layer: Layer, ndim: int) -> list[Axis]:
    try:
        return layer.axes(ndim)
    except (TypeError, ValueError) as error:
        raise type(error)(f"layers[{i}]: {error}") from None


def _frames(layers: Sequence[Layer], frame: tuple[int, ...]) -> list[tuple[int, ...]]:
    frames = [frame]
    for i, layer in enumerate(layers):
        try:
            frames.append(layer.output(frames[-1]))
        except (TypeError, ValueError) as error:
            raise type(error)(f"layers[{i}]: {error}") from None
    return frames


def _number_of_axes(layers: Sequence[Layer], ndim: int) -> int:
    """Also the check that these are layers."""
    if not isinstance(layers, Sequence) or not layers or not all(isinstance(layer, Layer) for layer in layers):
        raise TypeError(f"layers is {shown(layers)}; a sequence of at least one Layer is wanted")
    values = [v for la in layers for v in (la.kernel_size, la.stride, la.dilation, la.output_padding, la.padding)]
    return number_of_axes(ndim, *(v for v in values if not isinstance(v, str)))
