"""Bicubic resizing as MATLAB's `imresize` does it, and the protocol by which super-resolution is measured.

The literature makes its small images by that function and compares luminances, so that figures can be set beside
published ones only if both are the same to rounding. Nothing here needs torch; torch tensors are taken too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import array_api_compat as compat
import numpy as np

from .._array import Array, checked_axis, floating, namespace, number, per_axis, shown, to_numpy
from ..metrics import psnr

Numbers = np.ndarray[Any, Any]

SHARPNESS = -0.5  # slope of Keys' kernel at distance 1; -1/2 is the one that reproduces parabolas
REACH = 2.0  # half the kernel's width, in samples of the coarser grid
# Up to this many samples an axis is resized by one dense product (batches of patches), beyond it tap by tap (images).
DENSE = 192
# ITU-R BT.601 in 8 bits: luminance in 16..235 of red, green and blue in 0..255.
BLACK = 16.0
RGB_WEIGHTS = (65.481 / 255, 128.553 / 255, 24.966 / 255)
PEAK = 255.0

__all__ = ["eight_bits", "imresize", "low_resolution", "luminance", "psnr_y", "resize_matrix", "whole_multiple"]


def imresize(
    image: Array,
    scale: float | Sequence[float] | None = None,
    *,
    shape: Sequence[int] | None = None,
    antialiasing: bool = True,
    channel_axis: int | None = None,
) -> Array:
    """Resize by bicubic interpolation, with the kernel widened where the image shrinks, as MATLAB's `imresize`.

    Parameters
    ----------
    image : array, shape (..., y, x)
        The last two axes (besides the channels) are resized. In any unit; it stays floating point.
    scale : float or (float, float), optional
        Output samples for one input sample; the output has ``ceil(scale * n)`` of them.
    shape : (int, int), optional
        Samples of the output, instead of `scale`.
    antialiasing : bool
        Widen the kernel by ``1 / scale`` where `scale` is below 1, so that what the small image cannot hold is
        averaged away.
    channel_axis : int, optional
        The axis of the colours.

    Returns
    -------
    array
        Of the kind of `image`. Values are neither rounded nor clipped; the kernel's negative lobes may lead slightly
        past the range of the input.

    Raises
    ------
    TypeError, ValueError
        `image` is not real or has fewer than two axes, both or none of `scale` and `shape` are given, or an entry of
        them is not positive.

    Notes
    -----
    Sample centres lie at ``(i + 1/2) / n`` of the side in both images, and past the frame the image is mirrored about
    its edge. The weights of each output sample are divided by their sum.

    References
    ----------
    R. G. Keys, IEEE Trans. Acoust. Speech Signal Process. 29, 1153 (1981), doi:10.1109/TASSP.1981.1163711.

    Examples
    --------
    >>> import numpy as np
    >>> ramp = np.add.outer(np.zeros(4), np.arange(16.0))
    >>> imresize(ramp, 2)[0, 4:12]
    array([1.75, 2.25, 2.75, 3.25, 3.75, 4.25, 4.75, 5.25])
    >>> imresize(ramp, shape=(2, 8))[0, 2:6]
    array([ 4.5,  6.5,  8.5, 10.5])
    """
    image = floating(image, "image")
    channel = None if channel_axis is None else checked_axis(channel_axis, image.ndim, "channel_axis", "image")
    axes = [axis for axis in range(image.ndim) if axis != channel][-2:]
    if len(axes) < 2:
        raise ValueError(f"image has shape {tuple(image.shape)}; two axes besides the channels are wanted")
    sizes = tuple(int(image.shape[axis]) for axis in axes)
    outputs, scales = _sizes(sizes, scale, shape)
    # The axis that shrinks most goes first: the other then has less to do.
    for i in sorted((0, 1), key=lambda i: scales[i]):
        if (outputs[i], scales[i]) != (sizes[i], 1.0):
            image = _resized(image, axes[i], outputs[i], scales[i], bool(antialiasing))
    return image


def resize_matrix(n: int, scale: float, *, size: int | None = None, antialiasing: bool = True) -> Numbers:
    """The resizing of one axis as a matrix.

    Parameters
    ----------
    n : int
        Samples of the input.
    scale : float
        Output samples for one of the input.
    size : int, optional
        Samples of the output, ``ceil(scale * n)`` by default.
    antialiasing : bool
        Widen the kernel by ``1 / scale`` where `scale` is below 1.

    Returns
    -------
    ndarray of float64, shape (size, n)
        Its rows sum to one.
    """
    taps, weights = contributions(n, _length(n, scale) if size is None else size, scale, antialiasing)
    matrix = np.zeros((len(taps), n))
    np.add.at(matrix, (np.arange(len(taps))[:, None], taps), weights)  # a mirrored sample may come twice
    return matrix


def luminance(image: Array, *, channel_axis: int = -1) -> Array:
    """Luminance by ITU-R BT.601, 16 to 235, of red, green and blue in 0 to 255: the Y of the literature.

    Parameters
    ----------
    image : array, shape (..., 3, ...)
        In grey levels, 0 to 255.
    channel_axis : int
        The axis of the three colours, which the result no longer has.

    Returns
    -------
    array
        In grey levels, 16 to 235; of the kind and floating dtype of `image`.

    Raises
    ------
    TypeError, ValueError
        `image` is not real or not finite, or has not three channels on that axis.

    Examples
    --------
    >>> import numpy as np
    >>> luminance(np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0]], dtype=np.float64)).round(3)
    array([ 16.   , 235.   ,  81.481])
    """
    image = floating(image, "image")
    axis = checked_axis(channel_axis, image.ndim, "channel_axis", "image")
    if image.shape[axis] != 3:
        raise ValueError(f"image has {image.shape[axis]} channels on axis {axis}; 3 are wanted: red, green and blue")
    before = (slice(None),) * axis
    red, green, blue = (image[(*before, i, ...)] for i in range(3))
    r, g, b = RGB_WEIGHTS
    return r * red + g * green + b * blue + BLACK


def eight_bits(image: Array) -> Array:
    """Grey levels clipped to 0..255 and rounded, halves upwards, as a file would hold them.

    Parameters
    ----------
    image : array
        In grey levels.

    Returns
    -------
    array
        Of the shape and kind of `image`, and still floating point.

    Raises
    ------
    TypeError, ValueError
        `image` is not real or not finite.
    """
    image = floating(image, "image")
    xp = namespace(image)
    return xp.clip(xp.floor(image + 0.5), 0.0, PEAK)


def whole_multiple(image: Array, scale: int, *, channel_axis: int | None = None) -> Array:
    """The image without its last rows and columns, so that `scale` divides its sides.

    Parameters
    ----------
    image : array, shape (..., y, x)
        In any unit.
    scale : int
        What is to divide the sides.
    channel_axis : int, optional
        The axis of the colours, which is left alone.

    Returns
    -------
    array
        Of the kind and floating dtype of `image`.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or a side is shorter than `scale`.
    """
    image = floating(image, "image")
    factor = per_axis(scale, 1, "scale", minimum=1)[0]
    channel = None if channel_axis is None else checked_axis(channel_axis, image.ndim, "channel_axis", "image")
    axes = [axis for axis in range(image.ndim) if axis != channel][-2:]
    if len(axes) < 2 or any(image.shape[axis] < factor for axis in axes):
        raise ValueError(f"image has shape {tuple(image.shape)}; at least {factor} samples are wanted on two axes")
    cut = [slice(0, n - n % factor) if axis in axes else slice(None) for axis, n in enumerate(image.shape)]
    return image[tuple(cut)]


def low_resolution(image: Array, scale: int, *, channel_axis: int | None = None, rounded: bool = True) -> Array:
    """The small image from which the large one is to be found: cut to a multiple of `scale`, then shrunk by it.

    Parameters
    ----------
    image : array, shape (..., y, x)
        The large one, in grey levels, 0 to 255.
    scale : int
        Samples of the large image for one of the small one, on both axes.
    channel_axis : int, optional
        The axis of the colours.
    rounded : bool
        Whether to round and clip to grey levels, as a file of 8 bits would.

    Returns
    -------
    array, shape (..., y // scale, x // scale)
        In grey levels, of the kind and floating dtype of `image`.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or a side is shorter than `scale`.
    """
    small = imresize(
        whole_multiple(image, scale, channel_axis=channel_axis),
        1 / per_axis(scale, 1, "scale", minimum=1)[0],
        channel_axis=channel_axis,
    )
    return eight_bits(small) if rounded else small


def psnr_y(truth: Array, estimate: Array, *, scale: int, channel_axis: int | None = None) -> float:
    """PSNR in dB as the super-resolution literature measures it.

    Parameters
    ----------
    truth, estimate : array, shape (y, x) or with three channels
        Luminances or, with `channel_axis`, red, green and blue; in grey levels, 0 to 255. Both are rounded and clipped
        to 8 bits, their luminances too. The truth may have up to ``scale - 1`` more rows and columns, which are cut.
    scale : int
        So many pixels are cut off along each edge.
    channel_axis : int, optional
        The axis of the colours.

    Returns
    -------
    float
        In dB, against a peak of 255; infinite where the two are equal.

    Raises
    ------
    TypeError, ValueError
        The shapes do not fit each other, a sample is not finite, or nothing is left inside the border.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.full((9, 9), 100.0)
    >>> round(psnr_y(truth, truth[:8, :8] + 1.2, scale=2), 4)  # an error of one level
    48.1308
    """
    factor = per_axis(scale, 1, "scale", minimum=1)[0]
    pair = []
    for image, name in ((truth, "truth"), (estimate, "estimate")):
        x = eight_bits(np.asarray(to_numpy(floating(image, name)), dtype=np.float64))
        x = x if channel_axis is None else eight_bits(luminance(x, channel_axis=channel_axis))
        if x.ndim != 2:
            raise ValueError(f"{name} has shape {tuple(image.shape)}; (y, x) is wanted, or channel_axis of the colours")
        pair.append(whole_multiple(x, factor))
    if pair[0].shape != pair[1].shape:
        raise ValueError(f"estimate has shape {pair[1].shape} but truth has {pair[0].shape}; pass images of one shape")
    inside = tuple(slice(factor, n - factor) for n in pair[0].shape)
    if min(n - 2 * factor for n in pair[0].shape) < 1:
        raise ValueError(f"truth has shape {pair[0].shape}; nothing is left inside a border of {factor} pixels")
    return psnr(pair[0][inside], pair[1][inside], data_range=PEAK)


def cubic(x: Numbers) -> Numbers:
    """Keys' kernel at distance `x` in samples."""
    x, a = np.abs(x), SHARPNESS
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x <= 1, near, np.where(x < REACH, far, 0.0))


@lru_cache(maxsize=64)
def contributions(n: int, size: int, scale: float, antialiasing: bool = True) -> tuple[Numbers, Numbers]:
    """Which input samples each output sample takes, and with what weights; both of shape (size, taps), read-only."""
    stretch = min(scale, 1.0) if antialiasing else 1.0
    reach = REACH / stretch
    centre = (np.arange(size) + 0.5) / scale - 0.5  # of the output samples, on the input's grid
    first = np.floor(centre - reach).astype(np.int64)
    taps = first[:, None] + np.arange(math.ceil(2 * reach) + 2)
    weights = cubic(stretch * (centre[:, None] - taps))
    weights /= weights.sum(axis=1, keepdims=True)
    taps = taps % (2 * n)
    taps = np.minimum(taps, 2 * n - 1 - taps)  # mirrored about the frame's edge
    used = weights.any(axis=0)
    taps, weights = np.ascontiguousarray(taps[:, used]), np.ascontiguousarray(weights[:, used])
    for x in (taps, weights):
        x.setflags(write=False)
    return taps, weights


@lru_cache(maxsize=64)
def _matrix(n: int, size: int, scale: float, antialiasing: bool) -> Numbers:
    matrix = resize_matrix(n, scale, size=size, antialiasing=antialiasing)
    matrix.setflags(write=False)
    return matrix


def _resized(image: Array, axis: int, size: int, scale: float, antialiasing: bool) -> Array:
    xp, n = namespace(image), int(image.shape[axis])

    def ours(x: Numbers, dtype: Any) -> Array:
        return xp.asarray(np.array(x), dtype=dtype, device=compat.device(image))

    if n <= DENSE:
        matrix = ours(_matrix(n, size, scale, antialiasing), image.dtype)
        if axis == image.ndim - 1:
            return xp.matmul(image, matrix.T)
        return xp.moveaxis(xp.matmul(matrix, xp.moveaxis(image, axis, -2)), -2, axis)
    taps, weights = contributions(n, size, scale, antialiasing)
    column = tuple(-1 if i == axis else 1 for i in range(image.ndim))
    total = None
    for tap, weight in zip(taps.T, weights.T, strict=True):
        share = xp.take(image, ours(tap, xp.int64), axis=axis) * xp.reshape(ours(weight, image.dtype), column)
        total = share if total is None else total + share
    return total


def _sizes(
    sizes: Sequence[int], scale: float | Sequence[float] | None, shape: Sequence[int] | None
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    if (scale is None) == (shape is None):
        raise ValueError(f"scale is {shown(scale)} and shape {shown(shape)}; pass one of them")
    if shape is not None:
        outputs = per_axis(shape, 2, "shape", minimum=1)
        return outputs, tuple(m / n for m, n in zip(outputs, sizes, strict=True))
    entries: list[Any] = list(scale) if isinstance(scale, (list, tuple, np.ndarray)) else [scale, scale]
    if len(entries) != 2:
        raise ValueError(f"scale has {len(entries)} entries; one number is wanted, or one for y and one for x")
    scales = tuple(number(s, "scale", above=0.0) for s in entries)
    return tuple(_length(n, s) for n, s in zip(sizes, scales, strict=True)), scales


def _length(n: int, scale: float) -> int:
    product = scale * n
    near = round(product)  # 1/s is rounded: what is meant to be whole is not to gain a sample
    return max(1, near if math.isclose(product, near, rel_tol=1e-12) else math.ceil(product))
