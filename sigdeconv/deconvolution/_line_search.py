"""The best step along a direction whose blur is known: the model is linear along it, so no transform is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._array import Array, namespace
from .._parallel import total
from ..differences import gradient
from ._damping import damped_bend, damped_gap

if TYPE_CHECKING:
    from ._likelihood import PoissonLikelihood

SEARCH = 2  # Newton steps on the line, where the step before tells about where to look
CAREFUL = 6  # where it does not, or the likelihood bends abruptly (damping): bisection takes a few more


def line_search(
    problem: PoissonLikelihood,
    x: Array,
    p: Array,
    prior: Array | None,
    m: Array,
    q: Array,
    t: Array,
    longest: Array,
    *,
    steps: int = SEARCH,
) -> tuple[Array, Array]:
    """Newton's method for the best step ``t`` along ``p``, whose blur is ``q``; and the factor that keeps the flux."""
    xp, ndim = namespace(x), problem.blur.ndim
    slope, bend = (0.0, 0.0) if prior is None else _prior_along(problem, x, p, prior)

    def derivatives(wd: Array, w: Array, m: Array, q: Array, b: Array, t: Array, floor: Array) -> tuple[Array, ...]:
        rate = q / xp.maximum(m + b + t * q, floor)
        first = wd * rate
        return w * q, first, (first, rate)

    low, high = xp.zeros_like(t), longest
    light = None
    for _ in range(max(steps, CAREFUL) if problem.damping else steps):
        if problem.damping:
            first, second = _damped_derivatives(problem, m, q, t)
        else:
            light, first, second = total(
                derivatives, problem.wd, problem.w, m, q, problem.b, t, problem.floor, ndim=ndim
            )
            first = light - first
        first, second = first + slope + t * bend, second + bend
        low, high = xp.where(first < 0, t, low), xp.where(first < 0, high, t)
        newton = t - quotient(first, second)
        t = xp.where((newton >= low) & (newton <= high), newton, xp.where(newton < low, (low + high) / 2, high))
    if not problem.keeps_flux:
        return t, xp.ones_like(t)
    # The model had the flux of the counts before the step, and gains what the direction brings.
    c = quotient(problem.light, problem.light + t * light)
    return t, xp.where(c > 0, c, xp.ones_like(c))


def _damped_derivatives(problem: PoissonLikelihood, m: Array, q: Array, t: Array) -> tuple[Array, Array]:
    """First and second derivative of the damped likelihood along the direction at the step ``t``."""
    xp = namespace(m)
    _, *data = problem.gap()

    def derivatives(
        m: Array, q: Array, t: Array, wd: Array, w: Array, b: Array, floor: Array, d: Array, scale: Array
    ) -> tuple[tuple[Array, Array], ...]:
        along = m + t * q
        bend = damped_bend(xp.maximum(along + b, floor), wd, w, floor, d, scale)
        return (damped_gap(along, wd, w, b, floor, d, scale), q), (bend * q, q)

    first, second = total(derivatives, m, q, t, *data, ndim=problem.blur.ndim)
    return first, second


def _prior_along(problem: PoissonLikelihood, x: Array, p: Array, prior: Array) -> tuple[Array, Array]:
    """First and second derivative along ``p`` of a parabola above the total variation (lagged diffusivity)."""
    xp, ndim, edge = namespace(x), problem.blur.ndim, problem.edge
    first = total(lambda prior, p: prior * p, prior, p, ndim=ndim)
    along, across = (xp.sum(gradient(a, ndim) ** 2, axis=0) for a in (p, x))
    second = total(lambda a, b, e: problem.tv_weight * a / xp.sqrt(b + e**2), along, across, edge, ndim=ndim)
    return first, second


def quotient(a: Array, b: Array) -> Array:
    """``a / b``, and zero where `b` is: nothing moves there."""
    xp = namespace(a)
    none = b == 0
    return xp.where(none, xp.zeros_like(a), a / xp.where(none, xp.ones_like(b), b))
