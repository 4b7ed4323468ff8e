"""Three layers that enlarge: transposed convolution, sub-pixel convolution, and resizing before a convolution.

They take the same arguments and give the same shape, ``scale`` times the input's; with the same arguments they have the
same number of parameters. They are also the same mathematics: each is a transposed convolution, and says by
`to_transposed` which one. What goes on past the frame is decided on the input, before it is enlarged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ._resize import ResizeConv
from ._shuffle import pixel_shuffle, subpixel_to_transposed, transposed_to_subpixel
from ._spacing import entries, entries_of
from ._transposed import SubpixelConv, TransposedUpsample

__all__ = [
    "Budget",
    "ResizeConv",
    "SubpixelConv",
    "TransposedUpsample",
    "equal_budget",
    "pixel_shuffle",
    "subpixel_to_transposed",
    "transposed_to_subpixel",
]


class Budget(NamedTuple):
    """A layer's arguments, and what they cost.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    kernel_size : tuple of int
        Taps of the kernel on each axis.
    parameters : int
        Weights and biases of a layer with these and the wanted `out_channels`.
    """

    in_channels: int
    kernel_size: tuple[int, ...]
    parameters: int


def equal_budget(
    in_channels: int,
    out_channels: int,
    kernel_size: int | Sequence[int],
    *,
    scale: int | Sequence[int],
    ndim: int = 2,
    bias: bool = True,
) -> dict[str, Budget]:
    """The arguments with which the three layers have the same number of parameters, or the nearest to it.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of a `TransposedUpsample`, which sets the budget.
    kernel_size : int or sequence of int
        Taps of its kernel.
    scale : int or sequence of int
        Output samples for one input sample, of all three.
    ndim : int
        Number of axes, where `kernel_size` and `scale` are single numbers.
    bias : bool
        Whether each output channel has one.

    Returns
    -------
    dict of str to Budget
        For "TransposedUpsample", "SubpixelConv" and "ResizeConv".

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.

    Notes
    -----
    Where `scale` divides `kernel_size` the same arguments serve all three. Elsewhere the sub-pixel convolution gets one
    of the multiples next to it, and as many input channels as the budget then pays for.

    Examples
    --------
    >>> equal_budget(12, 1, 9, scale=3)["SubpixelConv"]
    Budget(in_channels=12, kernel_size=(9, 9), parameters=973)
    >>> equal_budget(56, 1, 9, scale=2)["SubpixelConv"], 56 * 81 + 1
    (Budget(in_channels=71, kernel_size=(8, 8), parameters=4545), 4537)
    """
    scales = entries_of(scale, ndim, "scale", kernel_size)
    size = entries(kernel_size, len(scales), "kernel_size", minimum=1)
    inputs = entries(in_channels, 1, "in_channels", minimum=1)[0]
    outputs = entries(out_channels, 1, "out_channels", minimum=1)[0]
    whole = Budget(inputs, size, inputs * outputs * math.prod(size) + outputs * bool(bias))
    found = []
    for up in np.ndindex(*(1 + (k % s > 0) for k, s in zip(size, scales, strict=True))):
        near = tuple(max(1, k // s + u) * s for k, s, u in zip(size, scales, up, strict=True))
        channels = max(1, round(inputs * math.prod(size) / math.prod(near)))
        found.append(Budget(channels, near, channels * outputs * math.prod(near) + outputs * bool(bias)))
    nearest = min(found, key=lambda b: (abs(b.parameters - whole.parameters), abs(b.in_channels - inputs)))
    return {"TransposedUpsample": whole, "SubpixelConv": nearest, "ResizeConv": whole}
