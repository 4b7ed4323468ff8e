"""The data past the frame as the unknowns of a quadratic problem: a small, well-behaved system.

Were the data known all around the ring, the minimiser would be a division per frequency. So let them be unknown there
(and at bad pixels) and ask the solution to predict them (Reeves 2005): ``(I - H W) u = (H W) y`` past the frame, with
``H W = |H|^2 / (|H|^2 + weight |L|^2)``. A pixel of trust ``t`` between 0 and 1 is a datum that may give way, at the
cost ``t / (1 - t)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from .. import _fft
from .._array import Array, is_numpy, namespace, scalar, to_numpy
from ._krylov import Map, after, conjugate_gradients
from ._periodic import continued
from ._quadratic import Quadratic, complex_like

STRIPS = 1 << 24  # numbers that the inverses of the strips may take; beyond, a filter stands for them
OVERSAMPLED = 2  # matrices along a strip for each that the width of the PSF makes different
NEAR = 0.1  # share of a frequency within which one matrix serves
RIDGE = 1e-12  # of one: keeps the inverse of a strip finite where the prior hardly speaks
CERTAIN = 1 - 1e-6  # a trust above is full
ENOUGH = 1e-2  # of the first residual: what prepares a choice or a start needs no less
SOFT, ROOT = 1e-5, 0.5  # the filter ``(I - H W + SOFT)^-ROOT``, by measurement, where the strips are too many


class PastFrame:
    """The system for the data past the frame, and the near inverse of it.

    The samples past the frame form one strip an axis, as long as the ring: along it the system is a convolution, so
    that Fourier's transform leaves a small matrix for each frequency, which is inverted. The strips overlap at the
    corners, and the sum of their solutions is the near inverse (additive Schwarz).
    """

    def __init__(self, problem: Quadratic) -> None:
        scene, xp = problem.scene, namespace(problem.y)
        self.problem, self.grid, self.ndim = problem, scene.grid, scene.ndim
        self.divide = problem.inverse(exact=True)
        # I - H W without the difference, in which float32 would lose what the prior says.
        held = problem.weight * scene.penalty
        # What is neither seen nor penalised is not restored, and predicts nothing.
        lost = (scene.power == 0) & (held == 0)
        self.stiffness = xp.where(lost, xp.ones_like(held), held * self.divide)
        self.left = complex_like(self.stiffness)
        self.restore = xp.conj(scene.otf) * self.divide
        sizes, y = scene.shape, problem.y
        self.ends = tuple(slice(n, None) for n in sizes)
        # Where the frame is trusted fully the data are given; elsewhere they are unknown, held by a spring.
        inner = xp.zeros(
            (1,) * y.ndim if problem.trust is None else problem.trust.shape, dtype=y.dtype, device=y.device
        )
        self.spring: Array | None = None
        spring = None
        if problem.trust is not None:
            certain = problem.trust >= CERTAIN
            inner = xp.astype(~certain, y.dtype)
            trust = xp.where(certain, xp.zeros_like(problem.trust), problem.trust)
            spring = trust / (1 - trust)
        batch = tuple(inner.shape[: inner.ndim - self.ndim])
        self.unknown = xp.ones((*batch, *self.grid), dtype=y.dtype, device=y.device)
        inside = (..., *(slice(n) for n in sizes))
        self.unknown[inside] = xp.broadcast_to(inner, (*batch, *sizes))
        if spring is not None:
            self.spring = xp.zeros_like(self.unknown)
            self.spring[inside] = spring
        self.any = bool(xp.any(self.unknown > 0))
        typical = scalar(xp.mean(self.stiffness))
        # A lone unknown among known neighbours is held by what the filter does not pass.
        self.lone = None
        if spring is not None:
            self.lone = xp.zeros_like(self.unknown)
            self.lone[inside] = inner / (typical + spring + RIDGE)

    def system(self, u: Array) -> Array:
        """``(I - H W) u`` at the unknown samples, which alone are not zero in `u`, and the springs."""
        beyond = (lambda left, unknown: left * unknown), self._block(self.unknown, u)
        q = _fft.filter(u, self.left, self.grid, self.grid, then=beyond)
        return q if self.spring is None else q + self.spring * u

    def near_inverse(self, r: Array) -> Array:
        """About the inverse of `system`: symmetric and positive."""
        if self.strips is None:
            return _fft.filter(r, self.filter, self.grid, self.grid) * self._block(self.unknown, r)
        xp = namespace(r)
        z = xp.zeros_like(r) if self.lone is None else self.lone * r
        for axis, solve in enumerate(self.strips):
            if solve is not None:
                strip = (..., self.ends[axis], *(slice(None),) * (self.ndim - 1 - axis))
                z[strip] += solve(r[strip])
        return z

    def first(self) -> Array:
        """The data with a smooth continuation where they are not known."""
        problem, xp = self.problem, namespace(self.problem.y)
        y = problem.y
        if problem.trust is not None:
            axes = tuple(range(-self.ndim, 0))
            weight = xp.broadcast_to(problem.trust, y.shape)
            sum_ = xp.sum(weight, axis=axes, keepdims=True)
            mean = xp.sum(weight * y, axis=axes, keepdims=True) / xp.where(sum_ > 0, sum_, xp.ones_like(sum_))
            y = xp.where(weight > 0, y, mean)
        return continued(y, problem.scene.shape, self.grid, dark=False)

    def estimate(self, data: Array) -> Array:
        """The frame of the restored scene, from data all around the ring."""
        return _fft.filter(data, self.restore, self.grid, tuple(f.stop for f in self.problem.scene.frame))

    def scene(self, data: Array) -> Array:
        """The whole of the restored scene."""
        return _fft.filter(data, self.restore, self.grid, self.grid)

    def completed(self, data: Array, num_iter: int) -> Array:
        """`data` after some of the `steps`: as many as matter for what only prepares."""
        return after(self.steps(data, tol=ENOUGH), num_iter)

    def steps(self, data: Array | None = None, *, tol: float = 0.0) -> Iterator[Array]:
        """Conjugate gradients; yields the data all around the ring, as far as they are found."""
        xp, ndim = namespace(self.problem.y), self.ndim
        data = self.first() if data is None else data
        if not self.any:
            yield data
            return
        misfit = (lambda left, unknown: -left * unknown), self._block(self.unknown, data)
        r = _fft.filter(data, self.left, self.grid, self.grid, then=misfit)
        if self.spring is not None:
            known = xp.zeros_like(data)
            known[(..., *(slice(n) for n in self.problem.scene.shape))] = self.problem.y
            r = r + self.spring * (known - data)
        yield from conjugate_gradients(data, r, self.system, self.near_inverse, ndim, tol=tol)

    def near_curvature_inverse(self, r: Array) -> Array:
        """About the inverse of the problem's curvature, by Woodbury's identity from that of the system."""
        grid, otf = self.grid, self.problem.scene.otf
        unknown = self._block(self.unknown, r)
        divide = complex_like(self.divide)
        seen = _fft.filter(r, otf * divide, grid, grid, then=(lambda v, unknown: v * unknown, unknown))
        return _fft.filter(r, divide, grid, grid) + _fft.filter(
            self.near_inverse(seen), otf * divide, grid, grid, conjugate=True
        )

    def _block(self, a: Array, like: Array) -> Array:
        """`a` with as many axes as `like`, as the blockwise loops want it."""
        xp = namespace(a)
        a = xp.reshape(a, (1,) * (like.ndim - a.ndim) + tuple(a.shape))
        return a if tuple(a.shape) == tuple(like.shape) else xp.broadcast_to(a, like.shape)

    @cached_property
    def filter(self) -> Array:
        """What stands for the strips where these are too many."""
        return complex_like((self.stiffness + SOFT) ** -ROOT)

    @cached_property
    def strips(self) -> list[Map | None] | None:
        """A solver for each axis' strip; None if they would take too much memory."""
        gaps = [n - f.start for n, f in zip(self.grid, self.ends, strict=True)]
        others = [math.prod(self.grid) // n for n in self.grid]
        if sum(g * g * (m // 2 + 1) for g, m in zip(gaps, others, strict=True)) > STRIPS:
            return None
        system = self.stiffness
        if not getattr(system, "requires_grad", False):  # NumPy inverts in double precision wherever the image lives
            system = to_numpy(system)
        system = namespace(system).astype(system, namespace(system).float64)
        return [self._strip(system, axis) if gap else None for axis, gap in enumerate(gaps)]

    def _strip(self, system: Array, axis: int) -> Map:
        """The solver for the samples past the end of one axis."""
        grid, ndim, xp = self.grid, self.ndim, namespace(system)
        n, gap = grid[axis], grid[axis] - self.ends[axis].start
        last = ndim - 1
        if axis < last:
            lines = xp.fft.ifft(system, axis=axis)
        else:
            lines = xp.fft.irfft(system, n=n, axis=axis)
            if ndim > 1:  # of the axis before, half the frequencies are enough: the strip is real
                lines = lines[(..., slice(grid[last - 1] // 2 + 1), slice(None))]
        lines = xp.moveaxis(lines, axis, -1)
        nodes, place = _nodes(lines.shape[-2] if ndim > 1 else 1, gap)
        if ndim > 1:
            lines = xp.take(lines, xp.asarray(nodes, device=lines.device), axis=-2)
        # Toeplitz: how the sample i of the strip's width answers to the sample j, for each frequency along the strip
        lags = np.concatenate([np.arange(n - gap + 1, n), np.arange(gap)]) % n
        lines = xp.take(lines, xp.asarray(lags, device=lines.device), axis=-1)
        columns = [lines[..., gap - 1 - j : 2 * gap - 1 - j] for j in range(gap)]
        ridge = RIDGE * xp.eye(gap, dtype=xp.float64, device=lines.device)
        solved = xp.linalg.inv(xp.stack(columns, axis=-1) + ridge)
        if ndim > 1:
            solved = xp.take(solved, xp.asarray(place, device=lines.device), axis=-3)
        return _along_strip(self._like(solved), axis, ndim, grid)

    def _like(self, solved: Array) -> Array:
        xp, y = namespace(self.problem.y), self.problem.y
        single, between = y.dtype == xp.float32, namespace(solved)
        kinds = ("complex64", "complex128") if self.ndim > 1 else ("float32", "float64")  # no frequencies along a line
        solved = between.astype(solved, getattr(between, kinds[0 if single else 1]))
        return solved if is_numpy(y) or not is_numpy(solved) else xp.asarray(solved, device=y.device)


def _nodes(bins: int, gap: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The frequencies along a strip whose matrices are inverted, and for each frequency which of them is nearest.

    The OTF hardly changes within a fraction of its own resolution, nor the penalty within a few per cent of a
    frequency.
    """
    widest = max(bins / (OVERSAMPLED * gap), 1.0)
    nodes, at = [], 0.0
    while at < bins - 1:
        nodes.append(int(at))
        at = int(at) + max(1.0, min(widest, NEAR * at))
    nodes.append(bins - 1)
    chosen = np.asarray(nodes)
    middles = 0.5 * (chosen[1:] + chosen[:-1])
    return chosen, np.searchsorted(middles, np.arange(bins))


def _along_strip(solved: Array, axis: int, ndim: int, grid: tuple[int, ...]) -> Map:
    """Multiply a strip by a matrix across it for each frequency along it."""
    xp = namespace(solved)
    others = [a for a in range(ndim) if a != axis]

    def solve(r: Array) -> Array:
        shift = r.ndim - ndim
        if others:
            # The half spectrum is that of the last of the other axes.
            f = xp.fft.rfft(r, axis=others[-1] + shift)
            for a in others[:-1]:
                f = xp.fft.fft(f, axis=a + shift)
        else:
            f = r
        f = xp.moveaxis(f, axis + shift, -1)[..., None]
        f = xp.moveaxis(xp.matmul(solved, f)[..., 0], -1, axis + shift)
        for a in others[:-1]:
            f = xp.fft.ifft(f, axis=a + shift)
        if others:
            f = xp.fft.irfft(f, n=grid[others[-1]], axis=others[-1] + shift)
        return xp.astype(f, r.dtype, copy=False)

    return solve
