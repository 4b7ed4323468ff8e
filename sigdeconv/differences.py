"""Finite differences: the gradient, its adjoint, the Laplacian, and the curvature of level lines.

Differences are forward, ``x[i + 1] - x[i]``, and zero at the far end of an axis: nothing is assumed past the frame.
"""

from __future__ import annotations

from ._array import Array, namespace


def gradient(x: Array, ndim: int) -> Array:
    """Forward differences along each of the last `ndim` axes, shape ``(ndim, *x.shape)``; zero at the far ends."""
    xp = namespace(x)
    return xp.stack([_difference(x, axis) for axis in range(-ndim, 0)])


def gradient_adjoint(g: Array) -> Array:
    """The transpose of `gradient`: minus the divergence of ``g``, shape ``(ndim, *shape)``, on ``shape``."""
    ndim = g.shape[0]
    result = None
    for i, axis in enumerate(range(-ndim, 0)):
        part = _difference_adjoint(g[i, ...], axis)
        result = part if result is None else result + part
    return result


def laplacian(x: Array, ndim: int) -> Array:
    """Sum of second differences over the last `ndim` axes: minus `gradient_adjoint` of `gradient`."""
    return -gradient_adjoint(gradient(x, ndim))


def curvature(x: Array, ndim: int, epsilon: float) -> Array:
    """``div(grad x / sqrt(|grad x|^2 + epsilon^2))``: minus the gradient of the smoothed total variation."""
    xp = namespace(x)
    steps = [_difference(x, axis) for axis in range(-ndim, 0)]
    size = steps[0] * steps[0]
    for step in steps[1:]:
        size = size + step * step
    size = 1 / xp.sqrt(size + epsilon**2)
    result = None
    for axis, step in zip(range(-ndim, 0), steps, strict=True):
        part = _difference_adjoint(step * size, axis)
        result = -part if result is None else result - part
    return result


def _difference(x: Array, axis: int) -> Array:
    xp = namespace(x)
    zero = xp.zeros_like(x[_along(axis, slice(0, 1))])
    if x.shape[axis] == 1:
        return zero
    return xp.concat([x[_along(axis, slice(1, None))] - x[_along(axis, slice(None, -1))], zero], axis=axis)


def _difference_adjoint(g: Array, axis: int) -> Array:
    xp = namespace(g)
    if g.shape[axis] == 1:
        return xp.zeros_like(g)
    inner = g[_along(axis, slice(None, -1))]
    zero = xp.zeros_like(g[_along(axis, slice(0, 1))])
    return xp.concat([zero, inner], axis=axis) - xp.concat([inner, zero], axis=axis)


def _along(axis: int, part: slice) -> tuple[object, ...]:
    return (..., part, *(slice(None),) * (-axis - 1))
