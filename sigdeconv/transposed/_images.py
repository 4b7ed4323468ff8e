"""An array of a user's as a batch of images in units of white, and the way back to its kind, units and axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from .._array import Array, checked_axis, floating, from_python, is_numpy, kind, namespace, number, scalar

COLOURS = 3  # channels that are taken for red, green and blue
OVERSHOOT = 2.0  # of the data range: noise exceeds white, but by so much only in other units
SMALL_BITS = 16  # of integers: wider ones hold numbers of any unit, so that their largest says nothing of white


#: The sum of the colours and two differences, as an orthogonal change of axes.
OPPONENT = ((3**-0.5, 3**-0.5, 3**-0.5), (2**-0.5, 0.0, -(2**-0.5)), (6**-0.5, -2 * 6**-0.5, 6**-0.5))


class Opened(NamedTuple):
    """An image as a network takes it, and the way back."""

    batch: torch.Tensor  #: (batch, channels, y, x), float32, white is 1
    white: float
    back: Callable[[torch.Tensor], Array]


def opened(image: Array, data_range: float | None, channel_axis: int | None) -> Opened:
    """Bring an image into the order and the units of a network, or refuse it."""
    image = image if hasattr(image, "shape") else from_python(image, "image")
    white, why = _white(image, data_range)
    x = floating(image, "image")
    if not is_numpy(x) and not isinstance(x, torch.Tensor):
        raise TypeError(f"image is a {kind(x)}; pass a NumPy array or a torch tensor")
    axis = None if channel_axis is None else checked_axis(channel_axis, x.ndim, "channel_axis", "image")
    if x.ndim < 2 + (axis is not None):
        raise ValueError(f"image has shape {tuple(x.shape)}; (..., y, x) is wanted, and channel_axis of the colours")
    peak = scalar(abs(x).max())
    if peak > OVERSHOOT * white:
        raise ValueError(
            f"image reaches {peak:g} but its white is {white:g}{why}; pass data_range, the value of white in this image"
        )
    xp = namespace(x)
    moved = x[..., None, :, :] if axis is None else xp.moveaxis(x, axis, -3)
    units: torch.Tensor
    if is_numpy(x):
        scaled = np.empty(moved.shape, np.float32)  # its own memory: what came may be read-only, or run backwards
        np.multiply(moved, 1 / white, out=scaled, casting="same_kind")
        units = torch.as_tensor(scaled)
    else:
        units = moved.detach().to(torch.float32) / white
    ahead = tuple(units.shape[:-3])

    def back(result: torch.Tensor) -> Array:
        y: Any = (result * white).reshape(*ahead, *result.shape[1:])
        y = y.numpy().astype(x.dtype, copy=False) if is_numpy(x) else y.to(x.dtype)
        return y[..., 0, :, :] if axis is None else xp.moveaxis(y, -3, axis)

    return Opened(units.reshape(-1, *units.shape[-3:]), white, back)


def _white(image: Array, data_range: float | None) -> tuple[float, str]:
    """The value of white, and in a message where it comes from."""
    if data_range is not None:
        return number(data_range, "data_range", above=0.0), ""
    name = str(getattr(image, "dtype", "")).rpartition(".")[2]
    if "int" not in name:
        return 1.0, f", as that of {name} images"
    info = np.iinfo(name)
    if info.bits > SMALL_BITS:
        raise ValueError(f"image has dtype {name}, whose range says nothing of its white; pass data_range")
    return float(info.max), f", the largest of {name}"


def turned(x: torch.Tensor, *, back: bool = False) -> torch.Tensor:
    """Colours, shape (batch, 3, y, x), as their sum and two differences; or those as colours."""
    axes = x.new_tensor(OPPONENT)
    return torch.einsum("ij,bjyx->biyx", axes.T if back else axes, x)
