"""The polyphase components of a kernel: the taps that one phase of an enlarged output meets, and their sums."""

from __future__ import annotations

import math
from collections.abc import Sequence

import array_api_compat as compat
import numpy as np

from .._array import Array, namespace, number, shown
from ._spacing import entries_of


def polyphase_sums(weight: Array, scale: int | Sequence[int], *, ndim: int = 2) -> Array:
    """The sums of a kernel's polyphase components: what each phase of the output becomes where the input is one.

    Parameters
    ----------
    weight : array, shape (..., *kernel)
        Weights of a transposed convolution of stride `scale`, or of a convolution whose gradient is meant: the leading
        axes are channels. A NumPy array, a torch tensor, ...
    scale : int or sequence of int
        The stride, of each of the last axes.
    ndim : int
        Number of axes of the kernel, where `scale` is a single number.

    Returns
    -------
    array, shape (..., *scale)
        Of the kind of `weight`. Entry r sums the taps with an index of r modulo the scale.

    Raises
    ------
    TypeError, ValueError
        `weight` is no array or has too few axes, or `scale` is no positive integer or one an axis.

    References
    ----------
    Y. Sugawara, S. Shiota and H. Kiya, APSIPA Trans. Signal Inf. Process. 8, e9 (2019), doi:10.1017/ATSIP.2019.2.

    Examples
    --------
    >>> import numpy as np
    >>> polyphase_sums(np.array([1.0, 2.0, 3.0]), 2, ndim=1)
    array([4., 2.])
    """
    scales = _fitting(weight, scale, ndim)
    xp = namespace(weight)
    for axis, s in zip(range(-len(scales), 0), scales, strict=True):
        parts = [xp.sum(weight[_along(axis, slice(r, None, s))], axis=axis) for r in range(s)]
        weight = xp.stack(parts, axis=axis)
    return weight


def is_free(weight: Array, scale: int | Sequence[int], *, tolerance: float = 1e-6, ndim: int = 2) -> bool:
    """Whether every kernel is free of checkerboards: its polyphase components have equal sums.

    Parameters
    ----------
    weight : array, shape (..., *kernel)
        Weights of a transposed convolution of stride `scale`, or of a convolution whose gradient is meant.
    scale : int or sequence of int
        The stride, of each of the last axes.
    tolerance : float
        Difference of the sums that is allowed, as a share of the sum of the kernel's magnitudes.
    ndim : int
        Number of axes of the kernel, where `scale` is a single number.

    Returns
    -------
    bool
        False as soon as one kernel is not.

    Raises
    ------
    TypeError, ValueError
        `weight` is no array or has too few axes, or another argument is not as described.

    Notes
    -----
    With several input channels the condition is asked of each kernel, as each channel may be flat at its own height.
    The bias must also be one number an output channel: one for each phase, as in a plain convolution before a pixel
    shuffle, makes a checkerboard by itself.

    In one dimension the condition says that the kernel is another one convolved with a zero-order hold (`scale` equal
    taps). In two and more, being such a convolution is more than the condition; see `zero_order_hold`.

    References
    ----------
    Y. Sugawara, S. Shiota and H. Kiya, APSIPA Trans. Signal Inf. Process. 8, e9 (2019), doi:10.1017/ATSIP.2019.2;
    first in arXiv:1806.02658 (2018).

    Examples
    --------
    >>> import numpy as np
    >>> is_free(np.array([1.0, 3.0, 3.0, 1.0]), 2, ndim=1), is_free(np.array([1.0, 3.0, 1.0]), 2, ndim=1)
    (True, False)
    """
    tolerance = number(tolerance, "tolerance", minimum=0.0)
    xp, scales = namespace(weight), _fitting(weight, scale, ndim)
    last = tuple(range(-len(scales), 0))
    sums = polyphase_sums(weight, scales)
    spread = xp.max(sums, axis=last) - xp.min(sums, axis=last)
    return bool(xp.all(spread <= tolerance * xp.sum(xp.abs(weight), axis=last)))


def with_equal_sums(weight: Array, scale: int | Sequence[int], *, ndim: int = 2) -> Array:
    """The nearest kernels that are free of checkerboards and have the same gain: all polyphase sums are their mean.

    Parameters
    ----------
    weight : array, shape (..., *kernel)
        Weights of a transposed convolution of stride `scale`, or of a convolution whose gradient is meant. No axis of
        the kernel is shorter than the scale.
    scale : int or sequence of int
        The stride, of each of the last axes.
    ndim : int
        Number of axes of the kernel, where `scale` is a single number.

    Returns
    -------
    array
        Of the shape and kind of `weight`. Differentiable through torch; applied twice it changes nothing more.

    Raises
    ------
    TypeError, ValueError
        `weight` is no array or has too few axes, or `scale` does not fit it.

    Notes
    -----
    The least change, in squares, that gives each polyphase component the mean of all the sums: each of its n taps
    gets ``(mean - sum) / n``. Only ``prod(scale) - 1`` numbers of each kernel are lost to the condition. Flat regions
    come out flat. What lies along an axis (a horizontal edge, flat only along the other axis) is not held to it; the
    zero-order hold is.

    Examples
    --------
    >>> import numpy as np
    >>> with_equal_sums(np.array([1.0, 2.0, 3.0]), 2, ndim=1)
    array([0.5, 3. , 2.5])
    """
    scales = _fitting(weight, scale, ndim)
    sizes = tuple(weight.shape[weight.ndim - len(scales) :])
    if any(k < s for k, s in zip(sizes, scales, strict=True)):
        raise ValueError(f"the kernel has shape {sizes} and the scale {scales}; no axis may be shorter than the scale")
    xp, counts = namespace(weight), np.ones(())
    for k, s in zip(sizes, scales, strict=True):
        counts = np.multiply.outer(counts, (k - 1 - np.arange(s)) // s + 1)
    sums = polyphase_sums(weight, scales)
    missing = xp.mean(sums, axis=tuple(range(-len(scales), 0)), keepdims=True) - sums
    missing = missing / xp.asarray(counts, dtype=weight.dtype, device=compat.device(weight))
    for axis, k, s in zip(range(-len(scales), 0), sizes, scales, strict=True):
        missing = xp.concat([missing] * -(-k // s), axis=axis)[_along(axis, slice(0, k))]
    return weight + missing


def zero_order_hold(weight: Array, scale: int | Sequence[int], *, ndim: int = 2) -> Array:
    """The kernels convolved with a zero-order hold, ``scale`` equal taps an axis of sum 1: free of checkerboards.

    Parameters
    ----------
    weight : array, shape (..., *kernel)
        Weights of a transposed convolution of stride `scale`, or of a convolution whose gradient is meant.
    scale : int or sequence of int
        The stride, of each of the last axes.
    ndim : int
        Number of axes of the kernel, where `scale` is a single number.

    Returns
    -------
    array, shape (..., *(kernel + scale - 1))
        Of the kind of `weight`. Differentiable through torch.

    Raises
    ------
    TypeError, ValueError
        `weight` is no array or has too few axes, or `scale` is no positive integer or one an axis.

    Notes
    -----
    A stronger medicine than `with_equal_sums`: the output has no energy at the stride's frequency of an axis wherever
    the input is flat along that axis alone, as at a straight edge. It costs resolution (the hold is a blur) and
    ``scale - 1`` more taps an axis. Nearest-neighbour resizing before a convolution is the same thing.

    References
    ----------
    Y. Sugawara, S. Shiota and H. Kiya, APSIPA Trans. Signal Inf. Process. 8, e9 (2019), doi:10.1017/ATSIP.2019.2.

    Examples
    --------
    >>> import numpy as np
    >>> zero_order_hold(np.array([1.0, 3.0]), 2, ndim=1)
    array([0.5, 2. , 1.5])
    """
    scales = _fitting(weight, scale, ndim)
    xp = namespace(weight)
    for axis, s in zip(range(-len(scales), 0), scales, strict=True):
        zero = xp.zeros_like(weight[_along(axis, slice(0, 1))])
        shifted = [xp.concat([*[zero] * i, weight, *[zero] * (s - 1 - i)], axis=axis) for i in range(s)]
        weight = sum(shifted[1:], start=shifted[0]) / s
    return weight


def _fitting(weight: Array, scale: int | Sequence[int], ndim: int) -> tuple[int, ...]:
    scales = entries_of(scale, ndim, "scale")
    if not compat.is_array_api_obj(weight) or isinstance(weight, np.generic):
        raise TypeError(f"weight is {shown(weight)}; an array is wanted (NumPy, torch, ...)")
    if weight.ndim < len(scales) or math.prod(weight.shape) == 0:
        raise ValueError(f"weight has shape {tuple(weight.shape)}; (..., *kernel) with {len(scales)} axes is wanted")
    return scales


def _along(axis: int, part: slice) -> tuple[object, ...]:
    return (..., part, *(slice(None),) * (-axis - 1))
