"""Damping: a likelihood that is flat where the model fits within the noise, so that nothing there is fitted further.

White (1994) replaces the deviance of a pixel in units of a threshold, ``U = 2 (m - d - d log(m / d)) / T^2``, by
``f(U)``, whose slope ``U^(N - 1) (N - (N - 1) U)`` rises from 0 at a perfect fit to 1 at ``U = 1``, a deviation of
``T`` standard deviations, and stays 1 beyond. As ``f`` is convex and rising and ``U`` is convex in the model ``m``,
what is minimised stays convex, and conjugate directions with a line search climb it as they climb the likelihood.
"""

from __future__ import annotations

from .._array import Array, namespace

POWER = 10  # White's N: how sharply the flat bottom ends


def damped_gap(m: Array, wd: Array, w: Array, b: Array, floor: Array, d: Array, scale: Array) -> Array:
    """``f'(U) w (1 - d / (m + b))``, the derivative of the damped likelihood by the model; `scale` is ``2 / T^2``."""
    xp = namespace(m)
    model = xp.maximum(m + b, floor)
    u = _deviance(model, d, floor, scale)
    return _slope(u) * (w - wd / model)


def damped_bend(model: Array, wd: Array, w: Array, floor: Array, d: Array, scale: Array) -> Array:
    """The second derivative of the damped likelihood by the model."""
    u = _deviance(model, d, floor, scale)
    off = 1 - d / model
    return _slope(u) * (wd / model) / model + _bend(u) * scale * w * off * off


def _deviance(model: Array, d: Array, floor: Array, scale: Array) -> Array:
    """``U``, at most 1."""
    xp = namespace(model)
    d = xp.maximum(d, floor)  # the deviance of no counts is the limit of few
    # By way of log1p the small difference of large numbers keeps its digits, in float32 too.
    r = xp.maximum((model - d) / d, float(xp.finfo(d.dtype).eps) - 1)
    return xp.clip(scale * (d * (r - xp.log1p(r))), 0.0, 1.0)


def _slope(u: Array) -> Array:
    third = u * u * u
    return third * third * third * (POWER - (POWER - 1) * u)


def _bend(u: Array) -> Array:
    square = u * u
    fourth = square * square
    return POWER * (POWER - 1) * fourth * fourth * (1 - u)
