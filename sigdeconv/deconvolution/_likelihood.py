"""The likelihood of photon counts, and two ways up: extrapolated Richardson-Lucy steps, and conjugate directions.

In the papers' symbols: counts ``d``, weights ``w``, background ``b``, blur ``A``, scene ``x``, model ``m = A x + b``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .._array import Array, namespace
from .._parallel import each, total
from ..convolution import Convolution
from ..differences import curvature, gradient

SEEN = 1e-2  # of the largest sensitivity: voxels that the frame sees less move in proportion to what it sees of them
BEND = 0.7  # the share of a voxel that a step of the expected length may take away
LONGER = 1.2  # how much longer than the last one a step is expected to be at most
SEARCH = 2  # Newton steps on the line; the model is known along it, so they need no transform
TV_EDGE = 1e-3  # of the mean: differences below it count as flat in the total variation
DARK = 1e-12  # of the mean: no voxel falls below, where float32 would lose it (and its speed) in denormal numbers


@dataclass(frozen=True)
class PoissonLikelihood:
    """What is observed and how: ``d ~ Poisson(A x + b)`` with weights, and a total-variation prior."""

    blur: Convolution
    wd: Array  #: the counts, weighted
    w: Array  #: of size one where every pixel counts
    b: Array
    floor: Array  #: of the model, an item: the quotient explodes where no light arrived
    light: Array  #: all counts of an item
    mean: Array  #: counts a pixel above the background, an item
    tv_weight: float
    keeps_flux: bool

    @classmethod
    def of(cls, blur: Convolution, d: Array, b: Array, w: Array | None, tv_weight: float) -> PoissonLikelihood:
        xp, axes = namespace(d), tuple(range(-blur.ndim, 0))
        ones = xp.ones((1,) * d.ndim, dtype=d.dtype, device=d.device)
        wd, w = (d, ones) if w is None else (w * d, w)
        limits = xp.finfo(d.dtype)
        lowest = ones * (float(limits.smallest_normal) * 1e8)
        floor = xp.maximum(float(limits.eps) * xp.max(d, axis=axes, keepdims=True), lowest)
        all_light, light, count = total(lambda wd, b, w: (wd, wd - w * b, w + 0 * wd), wd, b, w, ndim=blur.ndim)
        # Even under a background that swallows the counts the start is above zero: zero could never grow.
        mean = xp.maximum(light, 1e-3 * all_light) / xp.maximum(count, lowest)
        keeps_flux = tv_weight == 0 and not bool(xp.any(b != 0))
        return cls(blur, wd, w, b, floor, all_light, mean, tv_weight, keeps_flux)

    @property
    def weighted(self) -> bool:
        """Whether some pixels count more than others."""
        return bool(math.prod(self.w.shape) > 1)

    @property
    def gain(self) -> float:
        """Sum of the PSF."""
        return float(namespace(self.wd).real(self.blur.otf[(0,) * self.blur.ndim]))

    @property
    def dark(self) -> Array:
        """The value that no voxel falls below."""
        return DARK / self.gain * self.mean

    def flat(self) -> Array:
        """The flat scene that explains the mean."""
        batch = self.wd.shape[: self.wd.ndim - self.blur.ndim]
        zeros = namespace(self.wd).zeros((*batch, *self.blur.domain_shape), dtype=self.wd.dtype, device=self.wd.device)
        return zeros + self.mean / self.gain

    def gap(self) -> tuple[Any, ...]:
        """The expression ``w (1 - d / (m + b))`` of the blurred scene, and its arrays."""
        xp = namespace(self.wd)

        def gap(m: Array, wd: Array, w: Array, b: Array, floor: Array) -> Array:
            return w - wd / xp.maximum(m + b, floor)

        return gap, self.wd, self.w, self.b, self.floor

    @property
    def edge(self) -> Array:
        """Differences that count as flat in the total variation, an item."""
        xp = namespace(self.wd)
        return xp.maximum(self.mean, xp.ones_like(self.mean) * 1e-30) * (TV_EDGE / self.gain)

    def sensitivity(self, *, exact: bool) -> tuple[Array, ...]:
        """Factors whose product is ``A^H w``, or close to it where `exact` is not asked for.

        The approximation is the product of what the PSF's marginals give on each axis: it takes no memory.
        """
        blur, d, xp = self.blur, self.wd, namespace(self.wd)
        if exact or self.weighted or blur.psf is None:
            ones = xp.ones(blur.shape, dtype=d.dtype, device=d.device) if not self.weighted else self.w
            s = blur.adjoint(xp.broadcast_to(ones, (*ones.shape[: ones.ndim - blur.ndim], *blur.shape)))
            return (s if self.weighted else xp.reshape(s, (1,) * (d.ndim - blur.ndim) + blur.domain_shape),)
        factors = []
        for i in range(blur.ndim):
            others = tuple(j for j in range(blur.ndim) if j != i)
            marginal = xp.sum(blur.psf, axis=others) if others else blur.psf
            line = Convolution(
                marginal,
                blur.shape[i],
                boundary=blur.boundary,
                stride=blur.stride[i],
                center=blur.center[i],
                domain_shape=blur.domain_shape[i],
            )
            s = line.adjoint(xp.ones(blur.shape[i], dtype=d.dtype, device=d.device))
            shape = (1,) * (d.ndim - blur.ndim + i) + (-1,) + (1,) * (blur.ndim - 1 - i)
            factors.append(xp.reshape(s, shape) / (self.gain if i else 1.0))
        *outer, last = factors
        # All but the last axis in one small array: a block then has one product to form.
        return (functools.reduce(lambda a, b: a * b, outer), last) if outer else (last,)

    def prior(self, x: Array) -> Array | None:
        """The prior's part of the gradient."""
        if self.tv_weight == 0:
            return None
        bend = curvature(x, self.blur.ndim, self.edge)
        return each(lambda bend: -self.tv_weight * bend, bend, out=bend)


def _em(problem: PoissonLikelihood, *, exact: bool) -> tuple[Any, tuple[Array, ...]]:
    """Richardson and Lucy's step ``-x g / s`` as a function of ``x, g`` and further arrays, and these arrays."""
    factors, xp = problem.sensitivity(exact=exact), namespace(problem.wd)
    lowest = xp.ones_like(problem.mean) * SEEN
    for factor in factors:
        lowest = lowest * xp.max(factor, axis=tuple(range(-problem.blur.ndim, 0)), keepdims=True)

    def step(x: Array, g: Array, lowest: Array, s: Array, *factors: Array) -> Array:
        for factor in factors:
            s = s * factor
        return x * (g / -xp.maximum(s, lowest))

    return step, (lowest, *factors)


def extrapolated(problem: PoissonLikelihood, x: Array, *, rule: str) -> Iterator[Array]:
    """Richardson and Lucy's steps, from where the last step points to: ``y = x + alpha (x - previous)``.

    `rule` gives ``alpha``: "none", "biggs-andrews" (correlation of the last two steps), "heavy-ball" (k - 1) / (k + 2).
    """
    xp, blur = namespace(x), problem.blur
    em, s = _em(problem, exact=True)
    dark, alpha, k = problem.dark, xp.zeros_like(problem.mean), 0
    previous = last = gap = g = spare = None

    def ahead(x: Array, previous: Array, alpha: Array, dark: Array) -> Array:
        return xp.maximum(x + alpha * (x - previous), dark)

    def update(g: Array, x: Array, dark: Array, *s: Array) -> Array:
        return xp.maximum(x + em(x, g, *s), dark)

    while True:
        k += 1
        y = x if previous is None else each(ahead, x, previous, alpha, dark, out=previous)
        gap = blur.forward(y, out=gap, then=problem.gap())
        prior = problem.prior(y)
        if rule == "none" and prior is None:
            # Two buffers in turn: the old estimate is read until the new one is whole.
            x, spare = blur.adjoint(gap, out=spare, then=(update, x, dark, *s)), x
            yield x
            continue
        g = blur.adjoint(gap, out=g)
        if prior is not None:
            g = each(lambda g, prior: g + prior, g, prior, out=g)
        if rule == "none":
            x = each(update, g, x, dark, *s, out=x)
            yield x
            continue
        step = each(em, y, g, *s, out=g)
        previous, x = (
            x,
            each(lambda y, step, dark: xp.maximum(y + step, dark), y, step, dark, out=None if y is x else y),
        )
        if rule == "heavy-ball":
            alpha = alpha * 0 + k / (k + 3)
        elif last is not None:
            together, alone = total(lambda step, last: ((step, last), (last, last)), step, last, ndim=blur.ndim)
            alpha = xp.clip(_quotient(together, alone), 0.0, 1.0)
        last, g = step, last
        yield x


def conjugate(problem: PoissonLikelihood, x: Array) -> Iterator[Array]:
    """Conjugate directions, preconditioned by Richardson and Lucy's step (Kaufman 1993).

    A direction is bent where it would take away more than `BEND` of a voxel within a step of the expected length,
    before it is blurred: so the model along it is known exactly, and the line search needs no transform.
    """
    xp, blur = namespace(x), problem.blur
    em, s = _em(problem, exact=False)
    gap_of, *data = problem.gap()
    dark, m, t = problem.dark, blur.forward(x), xp.ones_like(problem.mean)
    if problem.keeps_flux:
        c = _quotient(problem.light, total(lambda m, w: w * m, m, problem.w, ndim=blur.ndim))
        x, m = each(lambda x, c: c * x, x, c, out=x), each(lambda m, c: c * m, m, c, out=m)
    p = q = g = g_old = None

    def bent(p: Array, x: Array, g: Array, limit: Array, beta: Array, *s: Array) -> Array:
        return xp.maximum(em(x, g, *s) + beta * p, -limit * x)

    while True:
        gap = each(gap_of, m, *data, out=q)  # the blur of the last direction has served: its buffer takes the gap
        g_old, g = g, blur.adjoint(gap, out=g_old)
        prior = problem.prior(x)
        if prior is not None:
            g = each(lambda g, prior: g + prior, g, prior, out=g)
        beta = xp.zeros_like(t) if p is None else _beta(x, g, g_old, p, em, s, blur.ndim)
        expected = xp.maximum(LONGER * t, xp.ones_like(t))
        limit = BEND / expected
        p = each(bent, x if p is None else p, x, g, limit, beta, *s, out=p)
        q = blur.forward(p, out=gap)
        t, c = _line_search(problem, x, p, prior, m, q, xp.minimum(t, 0.99 / limit), 0.99 / limit)
        x = each(lambda x, p, t, c, dark: xp.maximum(c * (x + t * p), dark), x, p, t, c, dark, out=x)
        m = each(lambda m, q, t, c: c * (m + t * q), m, q, t, c, out=m)
        yield x


def _beta(x: Array, g: Array, g_old: Array, p: Array, em: Any, s: tuple[Array, ...], ndim: int) -> Array:
    """How much of the last direction to keep (Hestenes and Stiefel): none where that would not lead uphill."""
    xp = namespace(x)

    def products(x: Array, g: Array, g_old: Array, p: Array, *s: Array) -> tuple[Array, ...]:
        step, change = em(x, g, *s), g - g_old
        return (step, g), (step, change), (p, g), (p, change)

    step_g, step_change, p_g, p_change = total(products, x, g, g_old, p, *s, ndim=ndim)
    beta = xp.maximum(-_quotient(step_change, p_change), xp.zeros_like(p_g))
    return xp.where(step_g + beta * p_g < 0, beta, xp.zeros_like(beta))


def _line_search(
    problem: PoissonLikelihood, x: Array, p: Array, prior: Array | None, m: Array, q: Array, t: Array, longest: Array
) -> tuple[Array, Array]:
    """Newton's method for the best step ``t`` along ``p``, whose blur is ``q``; and the factor that keeps the flux."""
    xp, ndim = namespace(x), problem.blur.ndim
    slope, bend = (0.0, 0.0) if prior is None else _prior_along(problem, x, p, prior)

    def derivatives(wd: Array, w: Array, m: Array, q: Array, b: Array, t: Array, floor: Array) -> tuple[Array, ...]:
        quotient = q / xp.maximum(m + b + t * q, floor)
        first = wd * quotient
        return w * q, first, (first, quotient)

    low, high = xp.zeros_like(t), longest
    for _ in range(SEARCH):
        light, first, second = total(derivatives, problem.wd, problem.w, m, q, problem.b, t, problem.floor, ndim=ndim)
        first, second = light - first + slope + t * bend, second + bend
        low, high = xp.where(first < 0, t, low), xp.where(first < 0, high, t)
        newton = t - _quotient(first, second)
        t = xp.where((newton >= low) & (newton <= high), newton, xp.where(newton < low, (low + high) / 2, high))
    if not problem.keeps_flux:
        return t, xp.ones_like(t)
    # The model had the flux of the counts before the step, and gains what the direction brings.
    c = _quotient(problem.light, problem.light + t * light)
    return t, xp.where(c > 0, c, xp.ones_like(c))


def _prior_along(problem: PoissonLikelihood, x: Array, p: Array, prior: Array) -> tuple[Array, Array]:
    """First and second derivative along ``p`` of a parabola above the total variation (lagged diffusivity)."""
    xp, ndim, edge = namespace(x), problem.blur.ndim, problem.edge
    first = total(lambda prior, p: prior * p, prior, p, ndim=ndim)
    along, across = (xp.sum(gradient(a, ndim) ** 2, axis=0) for a in (p, x))
    second = total(lambda a, b, e: problem.tv_weight * a / xp.sqrt(b + e**2), along, across, edge, ndim=ndim)
    return first, second


def _quotient(a: Array, b: Array) -> Array:
    """``a / b``, and zero where `b` is: nothing moves there."""
    xp = namespace(a)
    none = b == 0
    return xp.where(none, xp.zeros_like(a), a / xp.where(none, xp.ones_like(b), b))
