"""Transposed and sub-pixel convolution are one operator with its weights in two orders; from one to the other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

from ._spacing import entries_of


def pixel_shuffle(x: torch.Tensor, scale: int | Sequence[int]) -> torch.Tensor:
    """Lay groups of ``prod(scale)`` channels out as pixels, on one to three axes.

    Parameters
    ----------
    x : torch.Tensor, shape (batch, channels * prod(scale), *frame)
        Groups of channels, the phases of a channel of the result one after the other, the last axis fastest.
    scale : int or sequence of int
        Output samples for one input sample, on each axis.

    Returns
    -------
    torch.Tensor, shape (batch, channels, *(scale * frame))
        The same numbers in another order.

    Raises
    ------
    TypeError, ValueError
        `scale` is no positive integer or one an axis, or does not divide the channels.

    Notes
    -----
    As `torch.nn.functional.pixel_shuffle`, which does it for images and one scale.

    Examples
    --------
    >>> import torch
    >>> pixel_shuffle(torch.tensor([[[1, 3], [2, 4]]]), 2)
    tensor([[[1, 2, 3, 4]]])
    """
    scales = entries_of(scale, x.ndim - 2, "scale")
    ndim, group = len(scales), math.prod(scales)
    if x.ndim != ndim + 2 or x.shape[1] % group:
        raise ValueError(f"x has shape {tuple(x.shape)}; channels in groups of {group} and {ndim} axes are wanted")
    channels, frame = x.shape[1] // group, x.shape[2:]
    apart = x.reshape(x.shape[0], channels, *scales, *frame)
    order = [axis for i in range(ndim) for axis in (2 + ndim + i, 2 + i)]
    fine = [n * s for n, s in zip(frame, scales, strict=True)]
    return apart.permute(0, 1, *order).reshape(x.shape[0], channels, *fine)


def transposed_to_subpixel(weight: torch.Tensor, scale: int | Sequence[int]) -> torch.Tensor:
    """The weights of the convolution that, before a pixel shuffle, is the transposed convolution of stride `scale`.

    Parameters
    ----------
    weight : torch.Tensor, shape (in_channels, out_channels, *kernel)
        As `torch.nn.functional.conv_transpose2d` takes them.
    scale : int or sequence of int
        The stride.

    Returns
    -------
    torch.Tensor, shape (out_channels * prod(scale), in_channels, *ceil(kernel / scale))
        As `torch.nn.functional.conv2d` takes them. With the input padded by ``ceil(kernel / scale) - 1`` zeros, the
        shuffled result is that of the transposed convolution without padding. Where `scale` does not divide the
        kernel, zeros have been added after the kernel, and as many zeros end the result.

    Raises
    ------
    TypeError, ValueError
        `weight` has not two axes of channels and one to three of the kernel, or `scale` does not fit these.

    Notes
    -----
    Exact: the same numbers in another order. Output sample ``s m + r`` of the transposed convolution is
    ``sum_u w[s u + r] x[m - u]``: phase r is a convolution by every s-th tap, and becomes a channel.

    Examples
    --------
    >>> import torch
    >>> transposed_to_subpixel(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]), 2).tolist()   # flipped: networks correlate
    [[[3.0, 1.0]], [[4.0, 2.0]]]
    """
    scales = entries_of(scale, weight.ndim - 2, "scale")
    _check(weight, scales)
    ndim, sizes = len(scales), weight.shape[2:]
    padding = [side for k, s in zip(reversed(sizes), reversed(scales), strict=True) for side in (0, -k % s)]
    taps = [-(-k // s) for k, s in zip(sizes, scales, strict=True)]
    inputs, outputs = weight.shape[:2]
    pairs = [size for pair in zip(taps, scales, strict=True) for size in pair]
    apart = functional.pad(weight, padding).reshape(inputs, outputs, *pairs).flip(tuple(range(2, 2 + 2 * ndim, 2)))
    order = (1, *range(3, 3 + 2 * ndim, 2), 0, *range(2, 2 + 2 * ndim, 2))
    return apart.permute(order).reshape(outputs * math.prod(scales), inputs, *taps)


def subpixel_to_transposed(weight: torch.Tensor, scale: int | Sequence[int]) -> torch.Tensor:
    """The weights of the transposed convolution that a convolution before a pixel shuffle is; no zeros are needed.

    Parameters
    ----------
    weight : torch.Tensor, shape (out_channels * prod(scale), in_channels, *taps)
        As `torch.nn.functional.conv2d` takes them.
    scale : int or sequence of int
        Of the pixel shuffle.

    Returns
    -------
    torch.Tensor, shape (in_channels, out_channels, *(scale * taps))
        As `torch.nn.functional.conv_transpose2d` takes them. If the convolution pads by p, the transposed one does by
        ``scale * (taps - 1 - p)``. The inverse of `transposed_to_subpixel`.

    Raises
    ------
    TypeError, ValueError
        `weight` has not two axes of channels and one to three of the kernel, or `scale` does not fit it.

    Examples
    --------
    >>> import torch
    >>> subpixel_to_transposed(torch.tensor([[[3.0, 1.0]], [[4.0, 2.0]]]), 2).tolist()
    [[[1.0, 2.0, 3.0, 4.0]]]
    """
    scales = entries_of(scale, weight.ndim - 2, "scale")
    _check(weight, scales)
    ndim, taps, group = len(scales), weight.shape[2:], math.prod(scales)
    if weight.shape[0] % group:
        raise ValueError(f"weight has {weight.shape[0]} output channels; a multiple of {group} is wanted for {scales}")
    inputs, outputs = weight.shape[1], weight.shape[0] // group
    apart = weight.reshape(outputs, *scales, inputs, *taps).flip(tuple(range(2 + ndim, 2 + 2 * ndim)))
    order = [axis for i in range(ndim) for axis in (2 + ndim + i, 1 + i)]
    return apart.permute(1 + ndim, 0, *order).reshape(
        inputs, outputs, *(s * n for s, n in zip(scales, taps, strict=True))
    )


def _check(weight: torch.Tensor, scales: tuple[int, ...]) -> None:
    if weight.ndim != len(scales) + 2 or not 3 <= weight.ndim <= 5:
        raise ValueError(
            f"weight has shape {tuple(weight.shape)}; two axes of channels and {len(scales)} of the kernel are wanted"
        )
