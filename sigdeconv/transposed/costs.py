"""What a convolution or a transposed convolution costs: parameters, and multiplications with their additions."""

from __future__ import annotations

import math

from ._spacing import Integers, Padding, convolved, entries, number_of_axes, sizes, spacing


def parameter_count(
    kernel_size: Integers,
    in_channels: int,
    out_channels: int,
    *,
    groups: int = 1,
    bias: bool = True,
    ndim: int = 2,
) -> int:
    """Number of weights (and biases) of a convolution or a transposed convolution, which have equally many.

    Parameters
    ----------
    kernel_size : int or sequence of int
        Taps on each axis.
    in_channels, out_channels : int
        Both multiples of `groups`.
    groups : int
        Parts of the channels that do not see each other.
    bias : bool
        Whether each output channel has one.
    ndim : int
        Number of axes, where `kernel_size` is a single number.

    Returns
    -------
    int
        ``prod(kernel_size) in_channels out_channels / groups``, and `out_channels` more with biases.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or `groups` does not divide the channels.

    Examples
    --------
    >>> parameter_count(9, 56, 1)
    4537
    >>> parameter_count((3, 3), 64, 64, groups=64, bias=False)
    576
    """
    into, out, groups = channels(in_channels, out_channels, groups)
    taps = math.prod(entries(kernel_size, number_of_axes(ndim, kernel_size), "kernel_size", minimum=1))
    return taps * into * out // groups + out * bool(bias)


def multiply_add_count(
    shape: Integers,
    kernel_size: Integers,
    in_channels: int,
    out_channels: int,
    *,
    stride: Integers = 1,
    padding: Padding = 0,
    dilation: Integers = 1,
    groups: int = 1,
    transposed: bool = False,
) -> int:
    """Multiplications, each with its addition, of a convolution or a transposed convolution for one image.

    Parameters
    ----------
    shape : int or sequence of int
        The input's frame; a single number is one axis.
    kernel_size : int or sequence of int
        Taps on each axis.
    in_channels, out_channels : int
        Both multiples of `groups`.
    stride : int or sequence of int
        The step, for all axes or for each.
    padding : int, sequence of int or pairs, "same" or "valid"
        As in `conv_shape`. What a transposed convolution costs does not depend on it.
    dilation : int or sequence of int
        Distance between taps, in samples.
    groups : int
        Parts of the channels that do not see each other.
    transposed : bool
        Whether the layer is a transposed convolution.

    Returns
    -------
    int
        Of one image; a batch has so many times its number.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, the kernel does not fit, or `groups` does not divide the channels.

    Notes
    -----
    A convolution has ``prod(kernel_size) in_channels out_channels / groups`` for each sample that comes out, a
    transposed convolution for each that goes in: the convolution that it transposes has as many. As is usual,
    products with padding, and those whose result is cut off, are counted too; adding the bias is not.

    Examples
    --------
    The last layer of a network that doubles a picture, and the same on the picture enlarged before:

    >>> multiply_add_count((100, 100), 9, 56, 1, stride=2, padding=4, transposed=True)
    45360000
    >>> multiply_add_count((200, 200), 9, 56, 1, padding=4)
    181440000
    """
    frame = sizes(shape)
    into, out, groups = channels(in_channels, out_channels, groups)
    axes = spacing(len(frame), kernel_size, stride, padding, dilation)
    places = frame if transposed else convolved(frame, axes)
    return math.prod(places) * math.prod(axis.kernel for axis in axes) * into * out // groups


def channels(in_channels: int, out_channels: int, groups: int) -> tuple[int, int, int]:
    """The three numbers, checked."""
    into = entries(in_channels, 1, "in_channels", minimum=1)[0]
    out = entries(out_channels, 1, "out_channels", minimum=1)[0]
    groups = entries(groups, 1, "groups", minimum=1)[0]
    for name, number in (("in_channels", into), ("out_channels", out)):
        if number % groups:
            raise ValueError(f"{name} is {number} but groups is {groups}; {name} must be a multiple of groups")
    return into, out, groups
