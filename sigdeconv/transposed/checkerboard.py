"""Checkerboards: predicted from kernel and stride, measured in outputs and gradients, and what keeps them away.

A kernel that goes on in steps of `scale` meets the output's samples with `scale` different sets of its taps, its
polyphase components. Where their sums differ, a flat input comes out with a pattern of that period. The gradient of a
strided convolution is a transposed one, so that all of this holds for gradients too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._array import Array, floating, shown, to_numpy
from ._polyphase import is_free, polyphase_sums, with_equal_sums, zero_order_hold
from ._spacing import entries, entries_of

__all__ = [
    "Checkerboard",
    "Overlap",
    "is_free",
    "measure",
    "measure_gradient",
    "overlap",
    "polyphase_sums",
    "with_equal_sums",
    "zero_order_hold",
]

Numbers = np.ndarray[Any, Any]


class Overlap(NamedTuple):
    """How often a kernel meets each phase of its output.

    Parameters
    ----------
    taps : ndarray of int, shape (*scale,)
        Kernel taps that reach an output sample, by its index modulo the scale.
    even : bool
        Whether all of them are equal.
    harmonics : ndarray of float64, shape (*scale,)
        As in `Checkerboard`, of what equal weights of gain 1 make of an input of ones.
    energy : float
        Sum of `harmonics` but for the mean.
    """

    taps: Numbers
    even: bool
    harmonics: Numbers
    energy: float


class Checkerboard(NamedTuple):
    """What a signal holds at the frequency of a stride and its harmonics.

    Parameters
    ----------
    harmonics : ndarray of float64, shape (*scale,)
        Energy at the frequencies ``m / scale`` of each axis, in squared units of the signal; the mean's at index 0.
    energy : float
        Sum of `harmonics` but for the mean.
    share : float
        `energy` as a share of the signal's mean square.
    power : ndarray of float64, shape (*scale,)
        Mean square of the samples, by their index modulo the scale.
    unevenness : float
        Standard deviation of `power` over its mean.
    """

    harmonics: Numbers
    energy: float
    share: float
    power: Numbers
    unevenness: float


def overlap(
    kernel_size: int | Sequence[int],
    scale: int | Sequence[int],
    *,
    padding: int | Sequence[int] | None = None,
    ndim: int = 2,
) -> Overlap:
    """Predict from kernel and stride how unevenly a transposed convolution covers its output.

    Parameters
    ----------
    kernel_size, scale : int or sequence of int
        Kernel and stride of a transposed convolution, or of the convolution whose gradient is meant.
    padding : int or sequence of int, optional
        Samples cut off before the first output sample, ``(kernel_size - scale) // 2`` by default. It moves the
        pattern only.
    ndim : int
        Number of axes, where all the others are single numbers.

    Returns
    -------
    Overlap
        ``(taps, even, harmonics, energy)``.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.

    Notes
    -----
    The cover is even if and only if `scale` divides `kernel_size` on each axis. That is neither sufficient nor
    necessary: trained weights can have equal sums without it, and unequal sums with it. See `polyphase_sums`.

    References
    ----------
    A. Odena, V. Dumoulin and C. Olah, Deconvolution and checkerboard artifacts, Distill (2016),
    doi:10.23915/distill.00003.

    Examples
    --------
    >>> overlap(3, 2).taps
    array([[4, 2],
           [2, 1]])
    >>> overlap(4, 2).even
    True
    """
    scales = entries_of(scale, ndim, "scale", kernel_size, padding)
    sizes = entries(kernel_size, len(scales), "kernel_size", minimum=1)
    cut = [max(k - s, 0) // 2 for k, s in zip(sizes, scales, strict=True)]
    cut = cut if padding is None else list(entries(padding, len(scales), "padding", minimum=0))
    taps = np.ones((), dtype=int)
    for k, s, p in zip(sizes, scales, cut, strict=True):
        taps = np.multiply.outer(taps, (k - 1 - (np.arange(s) + p) % s) // s + 1)
    spectrum = _harmonics(taps / taps.mean(), len(scales))
    return Overlap(taps, bool((taps == taps.flat[0]).all()), spectrum, _sum_but_mean(spectrum))


def measure(signal: Array, scale: int | Sequence[int], *, border: int = 0, ndim: int = 2) -> Checkerboard:
    """Measure the checkerboard in an output, a gradient or any other array.

    Parameters
    ----------
    signal : array, shape (..., *frame)
        Leading axes are a batch, over which energies are averaged. A NumPy array, a torch tensor, ...
    scale : int or sequence of int
        Period of the checkerboard on each of the last axes: the stride of the layer that made it.
    border : int
        Periods to leave out at each side, where the edge of the frame makes a pattern of its own.
    ndim : int
        Number of axes of the frame, where `scale` is a single number.

    Returns
    -------
    Checkerboard
        ``(harmonics, energy, share, power, unevenness)``.

    Raises
    ------
    TypeError, ValueError
        The signal is not real and finite, or has less than two periods on an axis.

    Notes
    -----
    `harmonics` are those of the signal under a Hann window, which keeps gradual changes of brightness from leaking
    into them. They see a pattern that is the same all over: what becomes of a flat input. `power` also sees a pattern
    whose sign changes from place to place, as in the gradients of a loss, whose mean is near zero. A picture's own
    texture is in both; compare with the same picture upsampled evenly.

    Examples
    --------
    A ramp has no checkerboard; add one, of amplitude 0.1:

    >>> import numpy as np
    >>> ramp = np.linspace(0, 1, 64)
    >>> bool(measure(ramp, 2, ndim=1).energy < 1e-7)
    True
    >>> round(measure(ramp + 0.1 * (-1.0) ** np.arange(64), 2, ndim=1).energy, 4)
    0.01
    """
    scales = entries_of(scale, ndim, "scale")
    values = np.asarray(to_numpy(floating(signal, "signal")), dtype=np.float64)
    border = int(entries(border, 1, "border", minimum=0)[0])
    count = len(scales)
    if values.ndim < count:
        raise ValueError(f"signal has {values.ndim} dimensions but scale has {count}; pass ndim={values.ndim}")
    periods = [n // s - 2 * border for n, s in zip(values.shape[values.ndim - count :], scales, strict=True)]
    if min(periods) < 2:
        raise ValueError(
            f"signal has shape {values.shape}, which within border={border} is less than 2 periods of scale {scales}"
        )
    inner: Any = (..., *(slice(border * s, (border + n) * s) for n, s in zip(periods, scales, strict=True)))
    values = values[inner]
    shape = [size for pair in zip(periods, scales, strict=True) for size in pair]
    over = tuple(range(-2 * count, 0, 2))
    window = np.ones(())
    for n, s in zip(periods, scales, strict=True):
        window = np.multiply.outer(window, (1 - np.cos(2 * np.pi * np.arange(n * s) / (n * s))) / n)
    phases = (values * window).reshape(-1, *shape).sum(axis=over)
    spectrum = _harmonics(phases, count).mean(axis=0)
    power = (values**2).reshape(-1, *shape).mean(axis=(0, *over))
    energy, total = _sum_but_mean(spectrum), float(power.mean())
    if total == 0:
        return Checkerboard(spectrum, energy, 0.0, power, 0.0)
    return Checkerboard(spectrum, energy, energy / total, power, float(power.std()) / total)


def measure_gradient(
    function: Callable[[Any], Any],
    x: Any,
    scale: int | Sequence[int],
    *,
    error: Any = None,
    border: int = 0,
    ndim: int = 2,
) -> Checkerboard:
    """Measure the checkerboard that back-propagation through `function` makes in the gradient by its input.

    Parameters
    ----------
    function : callable
        A strided convolution, or a network of them.
    x : torch.Tensor
        Its input.
    scale : int or sequence of int
        The stride, or the product of the strides.
    error : torch.Tensor, optional
        Gradient of the loss by the output; ones by default.
    border : int
        Periods of `scale` to leave out at each side of the gradient, as in `measure`.
    ndim : int
        Number of axes of the frame, where `scale` is a single number.

    Returns
    -------
    Checkerboard
        That of the gradient, which has the shape of `x`.

    Raises
    ------
    TypeError, ValueError
        `x` is no torch tensor, or the gradient has less than two periods on an axis.

    References
    ----------
    A. Odena, V. Dumoulin and C. Olah, Deconvolution and checkerboard artifacts, Distill (2016),
    doi:10.23915/distill.00003.

    Examples
    --------
    >>> import torch
    >>> conv = torch.nn.Conv2d(1, 1, 3, stride=2, padding=1)
    >>> _ = torch.nn.init.ones_(conv.weight)
    >>> gradient = measure_gradient(conv, torch.zeros(1, 1, 32, 32), 2, border=1)
    >>> round(gradient.energy / gradient.harmonics[0, 0].item(), 4), round(overlap(3, 2).energy, 4)
    (0.2346, 0.2346)
    """
    import torch

    if not isinstance(x, torch.Tensor):
        raise TypeError(f"x is {shown(x)}; a torch tensor is wanted")
    leaf = x.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        output = function(leaf)
        cotangent = torch.ones_like(output) if error is None else error
        (gradient,) = torch.autograd.grad(output, leaf, cotangent)
    return measure(gradient, scale, border=border, ndim=ndim)


def _harmonics(phases: Numbers, ndim: int) -> Numbers:
    """Energies at the harmonics of the stride from one mean a phase, on the last `ndim` axes."""
    last = tuple(range(-ndim, 0))
    energies: Numbers = np.abs(np.fft.fftn(phases, axes=last) / math.prod(phases.shape[-ndim:])) ** 2
    return energies


def _sum_but_mean(spectrum: Numbers) -> float:
    return float(spectrum.sum() - spectrum.flat[0])
