"""The arithmetic of convolutions and transposed convolutions: sizes, padding and overlap, in plain integers.

Along one axis, with n samples, a kernel of k taps, stride s, dilation d and p = before + after samples of padding, a
convolution leaves ``(n + p - d (k - 1) - 1) // s + 1`` samples. Its transpose goes the other way, from the outputs to
the inputs, and the floor is why it cannot know how many there were: s sizes lead to the same one, and `output_padding`
says which was meant.

Everywhere below, `shape` is the frame without batch and channels, an argument is one integer for all axes or one each,
and padding is a number an axis, a pair ``(before, after)`` an axis, "valid" (none) or, at stride 1, "same" (that keeps
the size; the odd sample goes after). Padding of a convolution adds zeros; padding of a transposed convolution cuts
off, as its transpose must. Negative padding does the contrary: a convolution's crops its input.

Nothing here needs torch. The relationships are those of V. Dumoulin and F. Visin, A guide to convolution arithmetic
for deep learning, arXiv:1603.07285, with dilation, either side's padding and negative padding besides.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._spacing import Integers, Padding, convolved, enlarged, entries, sizes, spacing


class EquivalentConvolution(NamedTuple):
    """A transposed convolution as an ordinary one of stride 1, with the kernel flipped on every axis.

    Parameters
    ----------
    zeros_between : tuple of int
        Zeros to insert between neighbouring input samples: ``stride - 1`` an axis.
    inserted_shape : tuple of int
        The frame with them.
    padding : tuple of (int, int)
        Then zeros (before, after) around it, a pair an axis; negative numbers crop.
    padded_shape : tuple of int
        The frame that the kernel runs over.
    dilation : tuple of int
        Of the convolution, as before.
    shape : tuple of int
        The frame that comes out.
    """

    zeros_between: tuple[int, ...]
    inserted_shape: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    padded_shape: tuple[int, ...]
    dilation: tuple[int, ...]
    shape: tuple[int, ...]


def conv_shape(
    shape: Integers, kernel_size: Integers, *, stride: Integers = 1, padding: Padding = 0, dilation: Integers = 1
) -> tuple[int, ...]:
    """Frame that a convolution (or pooling) leaves.

    Parameters
    ----------
    shape : int or sequence of int
        The input's frame; a single number is one axis.
    kernel_size, stride : int or sequence of int
        Taps of the kernel, and the step, for all axes or for each.
    padding : int, sequence of int or pairs, "same" or "valid"
        Zeros around the input: a number or a pair (before, after) an axis. Negative numbers crop.
    dilation : int or sequence of int
        Distance between taps, in samples.

    Returns
    -------
    tuple of int
        Samples on each axis, ``(n + padding - dilation (kernel - 1) - 1) // stride + 1``.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or the kernel is larger than the padded input.

    Examples
    --------
    >>> conv_shape((17, 18), 5, stride=3, padding=2)
    (6, 6)
    >>> conv_shape(10, 4, padding=((1, 2),))
    (10,)
    """
    frame = sizes(shape)
    return convolved(frame, spacing(len(frame), kernel_size, stride, padding, dilation))


def transposed_shape(
    shape: Integers,
    kernel_size: Integers,
    *,
    stride: Integers = 1,
    padding: Padding = 0,
    dilation: Integers = 1,
    output_padding: Integers = 0,
) -> tuple[int, ...]:
    """Frame that a transposed convolution makes.

    Parameters
    ----------
    shape : int or sequence of int
        The input's frame; a single number is one axis.
    kernel_size, stride : int or sequence of int
        Taps of the kernel, and the step, for all axes or for each.
    padding : int, sequence of int or pairs, "same" or "valid"
        Samples cut off: those by which the convolution that is transposed pads. Negative numbers add zeros.
    dilation : int or sequence of int
        Distance between taps, in samples.
    output_padding : int or sequence of int
        Samples that are cut off less at the end; smaller than `stride` or `dilation`, as in torch.

    Returns
    -------
    tuple of int
        Samples on each axis, ``(n - 1) stride + dilation (kernel - 1) + 1 - padding + output_padding``.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or nothing is left.

    Examples
    --------
    The same arguments do not give the size back to 17, only to 16; see `output_padding_for`.

    >>> transposed_shape(6, 5, stride=3, padding=2)
    (16,)
    >>> transposed_shape(6, 5, stride=3, padding=2, output_padding=1)
    (17,)
    """
    frame = sizes(shape)
    return enlarged(frame, spacing(len(frame), kernel_size, stride, padding, dilation, output_padding))


def input_sizes(
    shape: Integers, kernel_size: Integers, *, stride: Integers = 1, padding: Padding = 0, dilation: Integers = 1
) -> tuple[range, ...]:
    """All sizes from which a convolution can have come to an output's frame.

    Parameters
    ----------
    shape : int or sequence of int
        The convolution's output; a single number is one axis.
    kernel_size, stride : int or sequence of int
        Taps of the kernel, and the step, for all axes or for each.
    padding : int, sequence of int or pairs, "same" or "valid"
        Zeros around the input: a number or a pair (before, after) an axis. Negative numbers crop.
    dilation : int or sequence of int
        Distance between taps, in samples.

    Returns
    -------
    tuple of range
        One an axis: `stride` sizes, fewer where some would be less than one sample, none (an empty range) where the
        padding alone gives more than `shape`.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.

    Examples
    --------
    >>> [list(sizes) for sizes in input_sizes(6, 5, stride=3, padding=2)]
    [[16, 17, 18]]
    """
    frame = sizes(shape)
    result = []
    for n, axis in zip(frame, spacing(len(frame), kernel_size, stride, padding, dilation), strict=True):
        least = axis.transposed(n)
        result.append(range(max(least, 1), max(least + axis.stride, 1)))
    return tuple(result)


def output_padding_for(
    shape: Integers,
    wanted: Integers,
    kernel_size: Integers,
    *,
    stride: Integers = 1,
    padding: Padding = 0,
    dilation: Integers = 1,
) -> tuple[int, ...]:
    """The `output_padding` with which a transposed convolution comes to a wanted frame.

    Parameters
    ----------
    shape : int or sequence of int
        The input of the transposed convolution; a single number is one axis.
    wanted : int or sequence of int
        The output's frame: that of the convolution's input, to get it back.
    kernel_size, stride : int or sequence of int
        Taps of the kernel, and the step, for all axes or for each.
    padding : int, sequence of int or pairs, "same" or "valid"
        Samples cut off: those by which the convolution that is transposed pads. Negative numbers add zeros.
    dilation : int or sequence of int
        Distance between taps, in samples.

    Returns
    -------
    tuple of int
        Samples that are cut off less at the end of each axis.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or no `output_padding` gives that frame; the message says which frames can be
        had.

    Notes
    -----
    Where `shape` is what the convolution leaves of `wanted`, the answer is the remainder of its division, ``(n + p -
    d (k - 1) - 1) mod s``: the samples at the end that it never saw. The transposed convolution gives them no
    value of their own but what other taps reach them; often that is zero.

    Examples
    --------
    >>> small = conv_shape((17, 18), 5, stride=3, padding=2)
    >>> output_padding_for(small, (17, 18), 5, stride=3, padding=2)
    (1, 2)
    """
    frame = sizes(shape)
    goals = entries(wanted, len(frame), "wanted", minimum=1)
    result = []
    axes = spacing(len(frame), kernel_size, stride, padding, dilation)
    for i, (n, goal, axis) in enumerate(zip(frame, goals, axes, strict=True)):
        least = axis.transposed(n)
        extra, most = goal - least, max(axis.stride, axis.dilation) - 1
        if not 0 <= extra <= most:
            reachable = f"{max(least, 1)} to {least + most}" if most else f"only {least}"
            if least + most < 1:
                reachable = "nothing, as padding cuts all off,"
            raise ValueError(f"wanted is {goal} on axis {i}, but from {n} samples {reachable} can be had")
        result.append(extra)
    return tuple(result)


def equivalent_convolution(
    shape: Integers,
    kernel_size: Integers,
    *,
    stride: Integers = 1,
    padding: Padding = 0,
    dilation: Integers = 1,
    output_padding: Integers = 0,
) -> EquivalentConvolution:
    """The ordinary convolution of stride 1 that a transposed convolution is, on its input with zeros put in.

    Parameters
    ----------
    shape : int or sequence of int
        The input's frame; a single number is one axis.
    kernel_size, stride : int or sequence of int
        Taps of the kernel, and the step, for all axes or for each.
    padding : int, sequence of int or pairs, "same" or "valid"
        Samples cut off: those by which the convolution that is transposed pads. Negative numbers add zeros.
    dilation : int or sequence of int
        Distance between taps, in samples.
    output_padding : int or sequence of int
        Samples that are cut off less at the end; smaller than `stride` or `dilation`, as in torch.

    Returns
    -------
    EquivalentConvolution
        Put ``stride - 1`` zeros between the samples, ``dilation (kernel - 1) - padding`` around (`output_padding`
        more at the end), and convolve with the flipped kernel at stride 1: the same values.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or nothing is left.

    Notes
    -----
    Of a convolution in torch's sense, without flip, the kernel is flipped here; input and output channels change
    places. Padding by less than zero crops, samples as well as inserted zeros: so it is where `padding` exceeds
    ``dilation (kernel - 1)``. (Should it crop more than there is, while `output_padding` adds at the other end, zeros
    are left.) It is a picture, not an algorithm: all but one in ``prod(stride)`` of its products are with inserted
    zeros.

    References
    ----------
    V. Dumoulin and F. Visin, arXiv:1603.07285, section 4.

    Examples
    --------
    >>> same = equivalent_convolution(6, 5, stride=3, padding=2, output_padding=1)
    >>> same.zeros_between, same.inserted_shape, same.padding, same.padded_shape, same.shape
    ((2,), (16,), ((2, 3),), (21,), (17,))
    >>> conv_shape(same.inserted_shape, 5, padding=same.padding)
    (17,)
    """
    frame = sizes(shape)
    axes = spacing(len(frame), kernel_size, stride, padding, dilation, output_padding)
    result = enlarged(frame, axes)
    return EquivalentConvolution(
        zeros_between=tuple(a.stride - 1 for a in axes),
        inserted_shape=tuple((n - 1) * a.stride + 1 for n, a in zip(frame, axes, strict=True)),
        padding=tuple((a.reach - a.before, a.reach - a.after + a.extra) for a in axes),
        padded_shape=tuple(n + a.reach for n, a in zip(result, axes, strict=True)),
        dilation=tuple(a.dilation for a in axes),
        shape=result,
    )


def overlap_count(
    shape: Integers,
    kernel_size: Integers,
    *,
    stride: Integers = 1,
    padding: Padding = 0,
    dilation: Integers = 1,
    output_padding: Integers = 0,
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """How many pairs of an input sample and a kernel tap meet at each output sample of a transposed convolution.

    Parameters
    ----------
    shape : int or sequence of int
        The input's frame; a single number is one axis.
    kernel_size, stride : int or sequence of int
        Taps of the kernel, and the step, for all axes or for each.
    padding : int, sequence of int or pairs, "same" or "valid"
        Samples cut off: those by which the convolution that is transposed pads. Negative numbers add zeros.
    dilation : int or sequence of int
        Distance between taps, in samples.
    output_padding : int or sequence of int
        Samples that are cut off less at the end; smaller than `stride` or `dilation`, as in torch.

    Returns
    -------
    ndarray of int64
        Of the output's frame: what the layer makes of ones with a kernel of ones. It is also how often a convolution
        with these arguments reads each sample of its input.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or nothing is left.

    Notes
    -----
    Within the frame the count is even where `stride` divides `kernel_size` (with dilation 1); at its ends it falls in
    any case. An uneven one invites checkerboards; see `checkerboard`.

    Examples
    --------
    >>> overlap_count(4, 3, stride=2, padding=1, output_padding=1)
    array([1, 2, 1, 2, 1, 2, 1, 1])
    >>> overlap_count(4, 4, stride=2, padding=1)
    array([1, 2, 2, 2, 2, 2, 2, 1])
    """
    frame = sizes(shape)
    axes = spacing(len(frame), kernel_size, stride, padding, dilation, output_padding)
    count = np.ones((), np.int64)
    for n, size, axis in zip(frame, enlarged(frame, axes), axes, strict=True):
        # Tap t meets output i where i + before - t dilation is a multiple of the stride, from 0 to (n - 1) stride.
        offset = np.arange(size)[:, None] + axis.before - axis.dilation * np.arange(axis.kernel)
        meets = (offset >= 0) & (offset <= (n - 1) * axis.stride) & (offset % axis.stride == 0)
        count = np.multiply.outer(count, meets.sum(axis=1))
    return count
