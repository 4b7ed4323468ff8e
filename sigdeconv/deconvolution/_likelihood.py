"""The likelihood of photon counts, and two ways up: extrapolated Richardson-Lucy steps, and conjugate directions.

In the papers' symbols: counts ``d``, weights ``w``, background ``b``, blur ``A``, scene ``x``, model ``m = A x + b``.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._array import Array, namespace, scalar
from .._parallel import each, total
from ..convolution import Convolution, along_axes
from ..differences import curvature
from ..varying import VaryingConvolution
from ._damping import damped_gap
from ._line_search import line_search, quotient

if TYPE_CHECKING:
    from ._frames import Frames

Steps = tuple[tuple[float, float], ...]  #: of each iteration: how much of the last direction is kept, and how far to go

SEEN = 1e-2  # of the largest sensitivity: voxels that the frame sees less move in proportion to what it sees of them
BEND = 0.7  # the share of a voxel that a step of the expected length may take away
LONGER = 1.2  # how much longer than the last one a step is expected to be at most
TV_EDGE = 1e-3  # of the mean: differences below it count as flat in the total variation
DARK = 1e-12  # of the mean: no voxel falls below, where float32 would lose it (and its speed) in denormal numbers


@dataclass(frozen=True)
class PoissonLikelihood:
    """What is observed and how: ``d ~ Poisson(A x + b)`` with weights, and a total-variation prior."""

    blur: Convolution | Frames
    d: Array  #: the counts
    wd: Array  #: and weighted
    w: Array  #: of size one where every pixel counts
    b: Array
    floor: Array  #: of the model, an item: the quotient explodes where no light arrived
    light: Array  #: all counts of an item
    mean: Array  #: counts a pixel above the background, an item
    tv_weight: float
    damping: float  #: standard deviations within which a pixel is not fitted further
    keeps_flux: bool

    @classmethod
    def of(
        cls, blur: Convolution | Frames, d: Array, b: Array, w: Array | None, tv_weight: float, damping: float = 0.0
    ) -> PoissonLikelihood:
        xp, axes = namespace(d), tuple(range(-blur.ndim, 0))
        ones = xp.ones((1,) * d.ndim, dtype=d.dtype, device=d.device)
        wd, w = (d, ones) if w is None else (w * d, w)
        limits = xp.finfo(d.dtype)
        lowest = ones * (float(limits.smallest_normal) * 1e8)
        floor = xp.maximum(float(limits.eps) * xp.max(d, axis=axes, keepdims=True), lowest)
        all_light, light, count = total(lambda wd, b, w: (wd, wd - w * b, w + 0 * wd), wd, b, w, ndim=blur.ndim)
        # Even under a background that swallows the counts the start is above zero: zero could never grow.
        mean = xp.maximum(light, 1e-3 * all_light) / xp.maximum(count, lowest)
        keeps_flux = tv_weight == 0 and damping == 0 and not bool(xp.any(b != 0))
        return cls(blur, d, wd, w, b, floor, all_light, mean, tv_weight, damping, keeps_flux)

    @property
    def weighted(self) -> bool:
        """Whether some pixels count more than others."""
        return bool(math.prod(self.w.shape) > 1)

    @functools.cached_property
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
        """The expression ``w (1 - d / (m + b))`` of the blurred scene, or the damped one, and its arrays."""
        xp = namespace(self.wd)
        if self.damping:
            scale = xp.ones_like(self.floor) * (2 / self.damping**2)
            return damped_gap, self.wd, self.w, self.b, self.floor, self.d, scale

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

        The approximation is the product of what the PSF's marginals give on each axis: it takes no memory. Nor does the
        exact one along periodic axes, where it is the same all along.
        """
        blur, d, xp = self.blur, self.wd, namespace(self.wd)
        sole = blur if isinstance(blur, Convolution) and not isinstance(blur, VaryingConvolution) else None
        even = () if sole is None or self.weighted else _even_axes(sole)
        if sole is not None and even and exact:
            return (self._along_others(sole, even),)
        if exact or self.weighted or sole is None or sole.psf is None:
            ones = self.w if self.weighted else xp.ones((1,) * blur.ndim, dtype=d.dtype, device=d.device)
            s = blur.adjoint(xp.broadcast_to(ones, (*ones.shape[: ones.ndim - blur.ndim], *blur.shape)))
            return (s if self.weighted else xp.reshape(s, (1,) * (d.ndim - blur.ndim) + blur.domain_shape),)
        factors = []
        for i in range(blur.ndim):
            line = _marginal(sole, (i,))
            s = line.adjoint(xp.ones(blur.shape[i], dtype=d.dtype, device=d.device))
            shape = (1,) * (d.ndim - blur.ndim + i) + (-1,) + (1,) * (blur.ndim - 1 - i)
            factors.append(xp.reshape(s, shape) / (self.gain if i else 1.0))
        *outer, last = factors
        # All but the last axis in one small array: a block then has one product to form.
        return (functools.reduce(lambda a, b: a * b, outer), last) if outer else (last,)

    def _along_others(self, blur: Convolution, even: Sequence[int]) -> Array:
        """``A^H 1``, of size one on the `even` axes and those of the batch."""
        d, xp = self.wd, namespace(self.wd)
        others = [i for i in range(blur.ndim) if i not in even]
        shape = [1] * d.ndim
        if not others:
            return xp.full(tuple(shape), self.gain, dtype=d.dtype, device=d.device)
        rest = _marginal(blur, others)
        for i, n in zip(others, rest.domain_shape, strict=True):
            shape[i - blur.ndim] = n
        return xp.reshape(rest.adjoint(xp.ones(rest.shape, dtype=d.dtype, device=d.device)), tuple(shape))

    def prior(self, x: Array) -> Array | None:
        """The prior's part of the gradient."""
        if self.tv_weight == 0:
            return None
        bend = curvature(x, self.blur.ndim, self.edge)
        return each(lambda bend: -self.tv_weight * bend, bend, out=bend)


def _even_axes(blur: Convolution) -> tuple[int, ...]:
    """Axes along which every sample of the scene is seen as much as the others."""
    boundaries = along_axes(blur.boundary, blur.ndim)
    return tuple(i for i, (b, s) in enumerate(zip(boundaries, blur.stride, strict=True)) if b == "periodic" and s == 1)


def _marginal(blur: Convolution, axes: Sequence[int]) -> Convolution:
    """What a blur does along some axes to a scene that is the same all along the others."""
    others = tuple(i for i in range(blur.ndim) if i not in axes)
    boundaries = along_axes(blur.boundary, blur.ndim)
    shape, stride, center, domain = (
        [values[i] for i in axes] for values in (blur.shape, blur.stride, blur.center, blur.domain_shape)
    )
    psf = namespace(blur.psf).sum(blur.psf, axis=others) if others else blur.psf
    boundary = [boundaries[i] for i in axes]
    return Convolution(psf, shape, boundary=boundary, stride=stride, center=center, domain_shape=domain)


def em_step(problem: PoissonLikelihood, *, exact: bool) -> tuple[Any, tuple[Array, ...]]:
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
    em, s = em_step(problem, exact=True)
    dark, alpha, k = problem.dark, xp.zeros_like(problem.mean), 0
    previous = last = gap = g = None
    frugal = rule == "none" and problem.tv_weight == 0
    room = blur.workspace(x) if frugal and isinstance(blur, Convolution) else None
    work: dict[str, Array] = {}
    if room is not None:
        work["work"], gap = room

    def ahead(x: Array, previous: Array, alpha: Array, dark: Array) -> Array:
        return xp.maximum(x + alpha * (x - previous), dark)

    def update(g: Array, x: Array, dark: Array, *s: Array) -> Array:
        return xp.maximum(x + em(x, g, *s), dark)

    while True:
        k += 1
        y = x if previous is None else each(ahead, x, previous, alpha, dark, out=previous)
        gap = blur.forward(y, out=gap, then=problem.gap(), **work)
        if frugal:
            x = blur.adjoint(gap, out=x, then=(update, x, dark, *s), **work)
            yield x
            continue
        prior = problem.prior(y)
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
            alpha = xp.clip(quotient(together, alone), 0.0, 1.0)
        last, g = step, last
        yield x


def conjugate(
    problem: PoissonLikelihood, x: Array, steps: Steps | None = None, told: dict[str, Any] | None = None
) -> Iterator[Array]:
    """Conjugate directions, preconditioned by Richardson and Lucy's step (Kaufman 1993).

    A direction is bent where it would take away more than `BEND` of a voxel within a step of the expected length,
    before it is blurred: so the model along it is known exactly, and the line search needs no transform.

    `steps` are taken instead of those that the data ask for; then nothing is measured on the image as a whole, and a
    voxel depends on its surroundings alone. The steps that were measured are told as ``told["steps"]``.
    """
    xp, blur = namespace(x), problem.blur
    em, s = em_step(problem, exact=False)
    gap_of, *data = problem.gap()
    dark, t = problem.dark, xp.ones_like(problem.mean)
    if steps is not None:
        # One plain step: what comes of a flat start does not depend on its level, which is that of the whole image.
        x = next(extrapolated(problem, x, rule="none"))
    m = blur.forward(x)
    if problem.keeps_flux and steps is None:
        c = quotient(problem.light, total(lambda m, w: w * m, m, problem.w, ndim=blur.ndim))
        x, m = each(lambda x, c: c * x, x, c, out=x), each(lambda m, c: c * m, m, c, out=m)
    p = q = g = g_old = None

    def bent(p: Array, x: Array, g: Array, limit: Array, beta: Array, *s: Array) -> Array:
        return xp.maximum(em(x, g, *s) + beta * p, -limit * x)

    one = xp.ones_like(t)
    for index in itertools.count():
        given = None if steps is None else steps[min(index, len(steps) - 1)]
        gap = each(gap_of, m, *data, out=q)  # the blur of the last direction has served: its buffer takes the gap
        g_old, g = g, blur.adjoint(gap, out=g_old)
        prior = problem.prior(x)
        if prior is not None:
            g = each(lambda g, prior: g + prior, g, prior, out=g)
        if p is None or given is not None:
            beta = one * (0.0 if p is None or given is None else given[0])
        else:
            beta = _beta(x, g, g_old, p, em, s, blur.ndim)
        expected = xp.maximum(LONGER * t, xp.ones_like(t))
        limit = BEND / expected
        p = each(bent, x if p is None else p, x, g, limit, beta, *s, out=p)
        q = blur.forward(p, out=gap)
        if given is not None:
            t, c = xp.minimum(one * given[1], 0.99 / limit), one
        else:
            t, c = line_search(problem, x, p, prior, m, q, xp.minimum(t, 0.99 / limit), 0.99 / limit)
            if told is not None and math.prod(t.shape) == 1:
                told["steps"] = (*told.get("steps", ()), (scalar(xp.sum(beta)), scalar(xp.sum(t))))  # of one item
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
    beta = xp.maximum(-quotient(step_change, p_change), xp.zeros_like(p_g))
    return xp.where(step_g + beta * p_g < 0, beta, xp.zeros_like(beta))
