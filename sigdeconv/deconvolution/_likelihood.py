"""The likelihood of photon counts, and two ways up: extrapolated Richardson-Lucy steps, and conjugate directions.

In the papers' symbols: counts ``d``, weights ``w``, background ``b``, blur ``A``, scene ``x``, model ``m = A x + b``.
"""

from __future__ import annotations

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
    d: Array
    b: Array
    w: Array  #: of size one where every pixel counts
    floor: Array  #: of the model, an item: the quotient explodes where no light arrived
    mean: Array  #: counts a pixel above the background, an item
    tv_weight: float
    weighted: bool
    keeps_flux: bool

    @classmethod
    def of(cls, blur: Convolution, d: Array, b: Array, w: Array | None, tv_weight: float) -> PoissonLikelihood:
        xp, axes = namespace(d), tuple(range(-blur.ndim, 0))
        ones = xp.ones((1,) * d.ndim, dtype=d.dtype, device=d.device)
        w_ = ones if w is None else w
        limits = xp.finfo(d.dtype)
        lowest = ones * (float(limits.smallest_normal) * 1e8)
        floor = xp.maximum(float(limits.eps) * xp.max(d, axis=axes, keepdims=True), lowest)
        all_light, light, count = total(lambda d, b, w: (w * d, w * (d - b), w + 0 * d), d, b, w_, ndim=blur.ndim)
        # Even under a background that swallows the counts the start is above zero: zero could never grow.
        mean = xp.maximum(light, 1e-3 * all_light) / xp.maximum(count, lowest)
        keeps_flux = tv_weight == 0 and not bool(xp.any(b != 0))
        return cls(blur, d, b, w_, floor, mean, tv_weight, w is not None, keeps_flux)

    @property
    def gain(self) -> float:
        """Sum of the PSF."""
        return float(namespace(self.d).real(self.blur.otf[(0,) * self.blur.ndim]))

    @property
    def dark(self) -> Array:
        """The value that no voxel falls below."""
        return DARK / self.gain * self.mean

    def flat(self) -> Array:
        """The flat scene that explains the mean."""
        batch = self.d.shape[: self.d.ndim - self.blur.ndim]
        zeros = namespace(self.d).zeros((*batch, *self.blur.domain_shape), dtype=self.d.dtype, device=self.d.device)
        return zeros + self.mean / self.gain

    def gradient(self, x: Array, model: Array, out: Array | None = None) -> Array:
        """``A^H w (1 - d / m)``, and the prior's part."""
        xp = namespace(x)
        gap = each(
            lambda d, m, b, w, floor: w * (1 - d / xp.maximum(m + b, floor)), self.d, model, self.b, self.w, self.floor
        )
        g = self.blur.adjoint(gap, out=out)
        if self.tv_weight:
            bend = curvature(x, self.blur.ndim, self.edge)
            g = each(lambda g, bend: g - self.tv_weight * bend, g, bend, out=g)
        return g

    @property
    def edge(self) -> float:
        """Differences that count as flat in the total variation."""
        return TV_EDGE * max(float(namespace(self.d).max(self.mean)), 1e-30) / self.gain

    def sensitivity(self, *, exact: bool) -> tuple[Array, ...]:
        """Factors whose product is ``A^H w``, or close to it where `exact` is not asked for.

        The approximation is the product of what the PSF's marginals give on each axis: it takes no memory.
        """
        blur, d, xp = self.blur, self.d, namespace(self.d)
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
        return tuple(factors)


def _preconditioner(problem: PoissonLikelihood, *, exact: bool) -> Any:
    """Richardson and Lucy's step ``-x g / s`` as a function of blocks, and the factors of ``s`` to give it."""
    factors, xp = problem.sensitivity(exact=exact), namespace(problem.d)
    lowest = SEEN
    for factor in factors:
        lowest *= float(xp.max(factor))

    def step(x: Array, g: Array, *factors: Array) -> Array:
        s = factors[0]
        for factor in factors[1:]:
            s = s * factor
        return -x * (g / xp.maximum(s, xp.full_like(s, lowest)))

    return step, factors


def extrapolated(problem: PoissonLikelihood, x: Array, *, rule: str) -> Iterator[Array]:
    """Richardson and Lucy's steps, from where the last step points to: ``y = x + alpha (x - previous)``.

    `rule` gives ``alpha``: "none", "biggs-andrews" (correlation of the last two steps), "heavy-ball" (k - 1) / (k + 2).
    """
    xp, ndim = namespace(x), problem.blur.ndim
    em_step, s = _preconditioner(problem, exact=True)
    dark, alpha, k = problem.dark, xp.zeros_like(problem.mean), 0
    previous = last = None
    while True:
        k += 1
        y = x
        if previous is not None:
            y = each(lambda x, old, a, dark: xp.maximum(x + a * (x - old), dark), x, previous, alpha, dark)
        g = problem.gradient(y, problem.blur.forward(y))
        if rule == "none":
            x = each(lambda x, g, dark, *s: xp.maximum(x + em_step(x, g, *s), dark), x, g, dark, *s, out=x)
            yield x
            continue
        step = each(lambda y, g, *s: em_step(y, g, *s), y, g, *s, out=g)
        previous, x = x, each(lambda y, step, dark: xp.maximum(y + step, dark), y, step, dark)
        if rule == "heavy-ball":
            alpha = alpha * 0 + k / (k + 3)
        elif last is not None:
            together, alone = total(lambda step, last: (step * last, last * last), step, last, ndim=ndim)
            alpha = xp.clip(_quotient(together, alone, xp), 0.0, 1.0)
        last = step
        yield x


def conjugate(problem: PoissonLikelihood, x: Array) -> Iterator[Array]:
    """Conjugate directions, preconditioned by Richardson and Lucy's step (Kaufman 1993).

    A direction is bent where it would take away more than `BEND` of a voxel within a step of the expected length, before
    it is blurred: so the model along it is known exactly, and the line search needs no transform.
    """
    xp, ndim, blur = namespace(x), problem.blur.ndim, problem.blur
    em_step, s = _preconditioner(problem, exact=False)
    dark, m, t = problem.dark, blur.forward(x), xp.ones_like(problem.mean)
    p = q = g = spare = None
    while True:
        g_old, g = g, problem.gradient(x, m, out=spare)
        spare = g_old
        expected = xp.maximum(LONGER * t, xp.ones_like(t))
        limit = BEND / expected
        if p is None:
            p = each(lambda x, g, h, *s: xp.maximum(em_step(x, g, *s), -h * x), x, g, limit, *s)
        else:
            beta = _beta(x, g, g_old, p, s, em_step, ndim)
            p = each(
                lambda p, x, g, h, beta, *s: xp.maximum(em_step(x, g, *s) + beta * p, -h * x),
                *(p, x, g, limit, beta, *s),
                out=p,
            )
        q = blur.forward(p, out=q)
        t, c = _line_search(problem, x, p, m, q, xp.minimum(t, expected), 0.99 / limit)
        x = each(lambda x, p, t, c, dark: xp.maximum(c * (x + t * p), dark), x, p, t, c, dark, out=x)
        m = each(lambda m, q, t, c: c * (m + t * q), m, q, t, c, out=m)
        yield x


def _beta(x: Array, g: Array, g_old: Array, p: Array, s: tuple[Array, ...], em_step: Any, ndim: int) -> Array:
    """How much of the last direction to keep (Hestenes and Stiefel): none where that would not lead uphill."""
    xp = namespace(x)

    def products(x: Array, g: Array, g_old: Array, p: Array, *s: Array) -> tuple[Array, ...]:
        step, change = em_step(x, g, *s), g - g_old
        return step * g, step * change, p * g, p * change

    step_g, step_change, p_g, p_change = total(products, x, g, g_old, p, *s, ndim=ndim)
    beta = xp.maximum(-_quotient(step_change, p_change, xp), xp.zeros_like(p_g))
    return xp.where(step_g + beta * p_g < 0, beta, xp.zeros_like(beta))


def _line_search(
    problem: PoissonLikelihood, x: Array, p: Array, m: Array, q: Array, t: Array, longest: Array
) -> tuple[Array, Array]:
    """Newton's method for the best step ``t`` along ``p``, whose blur is ``q``; and the factor that keeps the flux."""
    xp, ndim = namespace(x), problem.blur.ndim
    d, w, b, floor = problem.d, problem.w, problem.b, problem.floor
    light, of_m, of_q = total(lambda d, w, m, q: (w * d, w * m, w * q), d, w, m, q, ndim=ndim)
    slope, bend = xp.zeros_like(t), xp.zeros_like(t)
    if problem.tv_weight:
        slope, bend = _tv_along(problem, x, p)

    def derivatives(d: Array, w: Array, m: Array, q: Array, b: Array, t: Array, floor: Array) -> tuple[Array, Array]:
        quotient = q / xp.maximum(m + b + t * q, floor)
        first = w * d * quotient
        return first, first * quotient

    low, high = xp.zeros_like(t), longest
    t = xp.minimum(t, longest)
    for _ in range(SEARCH):
        first, second = total(derivatives, d, w, m, q, b, t, floor, ndim=ndim)
        first, second = of_q - first + slope + t * bend, second + bend
        low, high = xp.where(first < 0, t, low), xp.where(first < 0, high, t)
        newton = t - _quotient(first, second, xp)
        t = xp.where((newton >= low) & (newton <= high), newton, xp.where(newton < low, (low + high) / 2, high))
    if not problem.keeps_flux:
        return t, xp.ones_like(t)
    c = _quotient(light, of_m + t * of_q, xp)
    return t, xp.where(c > 0, c, xp.ones_like(c))


def _tv_along(problem: PoissonLikelihood, x: Array, p: Array) -> tuple[Array, Array]:
    """First and second derivative along ``p`` of a parabola above the total variation (lagged diffusivity)."""
    xp, ndim, weight = namespace(x), problem.blur.ndim, problem.tv_weight
    bend = curvature(x, ndim, problem.edge)
    first = total(lambda bend, p: -weight * bend * p, bend, p, ndim=ndim)
    along, across = gradient(p, ndim), gradient(x, ndim)
    size = xp.sqrt(xp.sum(across * across, axis=0) + problem.edge**2)
    second = total(lambda a, size: weight * a / size, xp.sum(along * along, axis=0), size, ndim=ndim)
    return first, second


def _quotient(a: Array, b: Array, xp: Any) -> Array:
    """``a / b``, and zero where `b` is: nothing moves there."""
    none = b == 0
    return xp.where(none, xp.zeros_like(a), a / xp.where(none, xp.ones_like(b), b))
