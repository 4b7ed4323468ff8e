"""Quadratic problems by conjugate gradients, and with bounds by projected Newton steps that these find.

The quadratic is ``1/2 <x, Q x> - <b, x>``; ``Q`` and a near inverse of it are functions of an array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from .._array import Array, namespace
from .._parallel import each, total

Map = Callable[[Array], Array]

INNER = 12  # conjugate gradients at most in a Newton step on the samples that are free
FORCING = 1e-2  # of the squared residual: a Newton step is exact enough then
DESCENT = 1e-4  # share of the linear prediction by which a step must lower the cost (Armijo)
HALVINGS = 12  # of a step that does not


def conjugate_gradients(
    x: Array, r: Array, system: Map, near_inverse: Map, ndim: int, *, tol: float = 0.0
) -> Iterator[Array]:
    """Preconditioned conjugate gradients from `x` with the residual `r`; yields the estimate.

    Each item of a batch has steps of its own, and stands still once its residual has fallen by the factor `tol`, or is
    lost in rounding.
    """
    xp = namespace(x)
    z = near_inverse(r)
    p, power = z, total(lambda r, z: r * z, r, z, ndim=ndim)
    lowest = max(float(xp.finfo(x.dtype).eps), tol) ** 2 * power
    while True:
        going = power > lowest
        if not bool(xp.any(going)):
            yield x
            return
        q = system(p)
        bend = total(lambda p, q: p * q, p, q, ndim=ndim)
        going = going & (bend > 0)
        step = xp.where(going, power / xp.where(going, bend, xp.ones_like(bend)), xp.zeros_like(bend))
        x = each(lambda x, p, step: x + step * p, x, p, step)
        r = each(lambda r, q, step: r - step * q, r, q, step)
        yield x
        z = near_inverse(r)
        before, power = power, total(lambda r, z: r * z, r, z, ndim=ndim)
        power = xp.where(going, power, xp.zeros_like(power))
        ratio = xp.where(before > 0, power / xp.where(before > 0, before, xp.ones_like(before)), before)
        p = each(lambda z, p, ratio: z + ratio * p, z, p, ratio)


def projected_newton(x: Array, b: Array, curvature: Map, near_inverse: Map, low: float, high: float) -> Iterator[Array]:
    """Projected Newton steps within bounds (Bertsekas 1982), for one item; ends at the optimum.

    Samples that press against a bound are held there; for the others conjugate gradients find the way to their minimum,
    and what then leaves the bounds is clipped, with a shorter step if that should not lower the cost.
    """
    xp, ndim = namespace(x), x.ndim
    x = xp.clip(x, low, high)
    g = curvature(x) - b
    eps = float(xp.finfo(x.dtype).eps)
    first = None

    def dot(a: Array, b: Array) -> float:
        return float(xp.sum(total(lambda a, b: a * b, a, b, ndim=ndim)))

    while True:
        pressing = ((x <= low) & (g > 0)) | ((x >= high) & (g < 0))
        free = xp.astype(~pressing, x.dtype)
        d, curved, decrement = _newton_step(g, free, curvature, near_inverse, dot)
        first = decrement if first is None else first
        if decrement <= eps**2 * first or decrement == 0:
            yield x
            return
        t, moved = 1.0, None
        for _ in range(HALVINGS):
            trial = xp.clip(x + t * d, low, high)
            step = trial - x
            unclipped = t == 1.0 and bool(xp.all(trial == x + d))
            bent = curved if unclipped else curvature(step)
            slope = dot(g, step)
            if slope < 0 and slope + 0.5 * dot(step, bent) <= DESCENT * slope:
                moved = trial
                break
            t *= 0.5
        if moved is None:  # nothing lowers the cost that rounding would not hide
            yield x
            return
        x, g = moved, g + bent
        yield x


def _newton_step(
    g: Array, free: Array, curvature: Map, near_inverse: Map, dot: Callable[[Array, Array], float]
) -> tuple[Array, Array, float]:
    """The way to the minimum over the free samples, what the curvature makes of it, and the first ``<r, P r>``."""
    r = -g * free
    d, curved = r * 0, r * 0
    z = near_inverse(r) * free
    p, power = z, dot(r, z)
    decrement = power
    for _ in range(INNER):
        if not power > 0:
            break
        q = curvature(p)
        bend = dot(p, q)
        if not bend > 0:
            break
        t = power / bend
        d = each(lambda d, p, t=t: d + t * p, d, p)
        curved = each(lambda curved, q, t=t: curved + t * q, curved, q)
        r = each(lambda r, q, free, t=t: r - t * q * free, r, q, free)
        z = near_inverse(r) * free
        before, power = power, dot(r, z)
        if power <= FORCING * decrement:
            break
        ratio = power / before
        p = each(lambda z, p, ratio=ratio: z + ratio * p, z, p)
    return d, curved, decrement


def after(steps: Iterator[Array], count: int) -> Array:
    """The estimate after so many steps, or at their end."""
    estimate = None
    for following in islice(steps, count):
        estimate = following
    return estimate
