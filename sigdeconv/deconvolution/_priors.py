"""Priors on edges: which differences a scene has, and how they shrink."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from .._array import Array, is_numpy, namespace
from ._splitting import Differences, Prior, Stencil

SECOND = 0.35  # of second differences beside first ones: 0.25 to 0.5 gain alike


def _unit(ndim: int, *axes: int) -> tuple[int, ...]:
    return tuple(int(axis in axes) for axis in range(ndim))


def _scaled(stencil: Stencil, factor: float) -> Stencil:
    return tuple((offset, coefficient * factor) for offset, coefficient in stencil)


def samples(ndim: int) -> tuple[Stencil, ...]:
    """The scene itself."""
    return (((_unit(ndim), 1.0),),)


def forward_differences(ndim: int) -> tuple[Stencil, ...]:
    """The gradient, ``x[i + 1] - x[i]`` on each axis."""
    return tuple(((_unit(ndim, axis), 1.0), (_unit(ndim), -1.0)) for axis in range(ndim))


def round_differences(ndim: int) -> tuple[Stencil, ...]:
    """Differences along the axes and the diagonals of each plane, scaled to the length of the gradient.

    On a ramp their squares add up to the squared gradient; on edges their length hardly depends on the direction, which
    forward differences alone do not achieve.
    """
    axes = forward_differences(ndim)
    if ndim == 1:
        return axes
    diagonals: list[Stencil] = []
    for i, j in itertools.combinations(range(ndim), 2):
        diagonals.append(((_unit(ndim, i, j), 1.0), (_unit(ndim), -1.0)))
        diagonals.append(((_unit(ndim, i), 1.0), (_unit(ndim, j), -1.0)))
    # The squares of the diagonals add up to 2 (ndim - 1) times the squared gradient.
    half, rest = math.sqrt(0.5), math.sqrt(0.25 / (ndim - 1))
    return (*(_scaled(s, half) for s in axes), *(_scaled(s, rest) for s in diagonals))


def second_differences(ndim: int) -> tuple[Stencil, ...]:
    """The Hessian: second differences on each axis, then mixed ones times sqrt 2, for they occur twice."""
    origin = _unit(ndim)
    result: list[Stencil] = []
    for axis in range(ndim):
        plus = _unit(ndim, axis)
        result.append(((plus, 1.0), (tuple(-o for o in plus), 1.0), (origin, -2.0)))
    root = math.sqrt(2)
    for i, j in itertools.combinations(range(ndim), 2):
        corners = ((_unit(ndim, i, j), root), (origin, root), (_unit(ndim, i), -root), (_unit(ndim, j), -root))
        result.append(corners)
    return tuple(result)


def length(q: list[Array]) -> Array:
    """Length of the vector of all differences, over the colours (first axis) too."""
    xp = namespace(q[0])
    m = q[0] * q[0]
    for a in q[1:]:
        m = m + a * a
    return xp.sqrt(xp.sum(m, axis=0, keepdims=True) if m.shape[0] > 1 else m)


def _kept(m: Array, t: Any) -> Array:
    """The share of a length `m` that is left when it shrinks by `t`."""
    xp = namespace(m)
    tiny = float(xp.finfo(m.dtype).smallest_normal)
    return xp.clip(m - t, 0.0, None) / xp.clip(m, tiny, None)


def shortened(q: list[Array], t: Any) -> list[Array]:
    """Prox of ``t |q|``: every vector is shortened by ``t``."""
    kept = _kept(length(q), t)
    return [a * kept for a in q]


def edges(ndim: int, *, differences: str = "round", second: bool = False) -> Prior:
    """``sum |D x|``: total variation, over second differences too where asked for."""
    stencils = round_differences(ndim) if differences == "round" and ndim < 3 else forward_differences(ndim)
    if second:
        stencils = (*stencils, *(_scaled(s, SECOND) for s in second_differences(ndim)))
    return Differences(stencils, shortened, length)


def spikes(ndim: int) -> Prior:
    """``sum |x|``."""
    return Differences(samples(ndim), shortened, length, peaked=True)


def curvature(ndim: int, norm: str) -> Prior:
    """``sum |Hessian of x|``, in the norm "frobenius" or "nuclear" (sum of the absolute eigenvalues)."""
    stencils = second_differences(ndim)
    if norm == "frobenius" or ndim == 1:
        return Differences(stencils, shortened, length)
    if ndim == 2:
        return Differences(stencils, _eigenvalues_shortened_2d, _eigenvalues_2d)
    return Differences(stencils, _eigenvalues_shortened_3d, _eigenvalues_3d)


def _decomposed_2d(q: list[Array]) -> tuple[Array, Array, Array]:
    """Mean of the two eigenvalues, half their distance, and half the difference of the diagonal."""
    xp = namespace(q[0])
    mean, half = 0.5 * (q[0] + q[1]), 0.5 * (q[0] - q[1])
    return mean, xp.sqrt(half * half + 0.5 * q[2] * q[2]), half


def _eigenvalues_2d(q: list[Array]) -> Array:
    xp = namespace(q[0])
    mean, radius, _ = _decomposed_2d(q)
    return xp.sum(xp.abs(mean + radius) + xp.abs(mean - radius), axis=0, keepdims=True)


def _eigenvalues_shortened_2d(q: list[Array], t: Any) -> list[Array]:
    xp = namespace(q[0])
    mean, radius, half = _decomposed_2d(q)

    def shrunk(a: Array) -> Array:
        return a - xp.clip(a, -t, t)

    high, low = shrunk(mean + radius), shrunk(mean - radius)
    tiny = float(xp.finfo(mean.dtype).smallest_normal)
    ratio = 0.5 * (high - low) / xp.clip(radius, tiny, None)
    mean = 0.5 * (high + low)
    return [mean + ratio * half, mean - ratio * half, ratio * q[2]]


def _matrices(q: list[Array]) -> Array:
    """The symmetric matrices themselves, ``(..., 3, 3)``."""
    xp = namespace(q[0])
    root = math.sqrt(0.5)
    xx, yy, zz = q[:3]
    xy, xz, yz = (root * a for a in q[3:])
    rows = [xp.stack(row, axis=-1) for row in ((xx, xy, xz), (xy, yy, yz), (xz, yz, zz))]
    return xp.stack(rows, axis=-2)


def _eigenvalues_3d(q: list[Array]) -> Array:
    xp = namespace(q[0])
    return xp.sum(xp.sum(xp.abs(xp.linalg.eigvalsh(_matrices(q))), axis=-1), axis=0, keepdims=True)


def _eigenvalues_shortened_3d(q: list[Array], t: Any) -> list[Array]:
    xp = namespace(q[0])
    values, vectors = xp.linalg.eigh(_matrices(q))
    t = t if isinstance(t, float) else t[..., None]
    values = values - xp.clip(values, -t, t)
    m = (vectors * values[..., None, :]) @ xp.matrix_transpose(vectors)
    root = math.sqrt(2)
    return [m[..., i, i] for i in range(3)] + [root * m[..., i, j] for i, j in ((0, 1), (0, 2), (1, 2))]


def gaussian_transfer(grid: tuple[int, ...], sigma: float, reference: Array) -> Array:
    """Transfer function, on the half spectrum of a ring, of a Gaussian of unit sum."""
    xp = namespace(reference)
    result = np.ones(())
    for axis, n in enumerate(grid):
        f = np.fft.rfftfreq(n) if axis == len(grid) - 1 else np.fft.fftfreq(n)
        line = np.exp(-2 * (math.pi * sigma * f) ** 2)
        result = result[..., None] * line
    single = reference.dtype == xp.float32
    result = result.astype("complex64" if single else "complex128")
    return result if is_numpy(reference) else xp.asarray(result, device=reference.device)
