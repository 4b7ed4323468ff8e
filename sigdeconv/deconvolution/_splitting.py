"""Alternating directions (ADMM) for ``1/2 |M^(1/2) (H x - y)|^2 + weight sum phi(D x)`` on a ring, ``x`` within bounds.

The unknown is split from its differences ``v = D x``, from the blurred scene ``u = H x`` where not all of it is known,
and from its bounded version ``c = x`` where it has bounds. The step in ``x`` is one division per frequency, all others
are one formula per sample. In the papers' symbols, with the scaled duals of ``v, u, c`` written ``d, e, f``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .. import _fft
from .._array import Array, is_numpy, namespace, scalar
from .._parallel import each, run
from ._ring import Ring
from ._varying import approached

Stencil = tuple[tuple[tuple[int, ...], float], ...]  #: a difference: offsets and their coefficients, of sum zero
Prox = Callable[[list[Array], Any], list[Array]]  #: the nearest differences that cost less: prox of t phi at q

# Penalties that only set the speed. With a faint prior the scene between sharp and blurred is found slowly unless its
# blur and its bounds may depart from it about as easily as its differences.
BLUR_HOLD = 1.0  # of u = H x, relative to the geometric mean of the data's trust and of the differences' penalty
BOUND_HOLD = 2.0  # of c = x, relative to that of the differences
NOTHING = 1e-20  # of the largest power of the differences: rounding
FAINTEST = {"float32": 1e-7, "float64": 1e-12}  # penalty of the differences, relative to the squared gain: rounding
CHUNK = 1 << 14  # samples of each difference that are handled together: a dozen such operands fit a core's cache


class Prior(Protocol):
    """``sum phi(D x)``: the differences of a scene on a ring, and how they shrink."""

    @property
    def groups(self) -> int:
        """Differences that shrink each by itself, at every sample."""

    @property
    def peaked(self) -> bool:
        """Whether the scene itself shrinks, which is zero but for a few peaks: its mean is no measure of it."""

    def apply(self, x: Array) -> list[Array]:
        """``D x``, of which each part has the shape of the ring."""

    def adjoint(self, v: Sequence[Array]) -> Array:
        """``D^T v``."""

    def power(self, grid: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """``sum |D_k|^2`` at the frequencies of the half spectrum."""

    def prox(self, q: list[Array], t: Any, /) -> list[Array]:
        """What is nearest to `q` and costs less: the prox of ``t phi``; of parts of shape ``(channels, samples)``."""

    def cost(self, q: list[Array], /) -> Array:
        """``phi`` of each sample, shape ``(1, samples)``."""


@dataclass(frozen=True)
class Differences:
    """A prior on differences of neighbouring samples."""

    stencils: tuple[Stencil, ...]
    prox: Prox
    cost: Callable[[list[Array]], Array]
    groups: int = 1
    peaked: bool = False

    def apply(self, x: Array) -> list[Array]:
        """Each stencil's difference."""
        return [_shifted_sum(x, stencil, 1) for stencil in self.stencils]

    def adjoint(self, v: Sequence[Array]) -> Array:
        """The transpose of `apply`."""
        result = None
        for part, stencil in zip(v, self.stencils, strict=True):
            back = _shifted_sum(part, stencil, -1)
            result = back if result is None else each(lambda a, b: a + b, result, back, out=result)
        return result

    def power(self, grid: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """Squared modulus of the stencils' transfer functions."""
        lines = [np.fft.fftfreq(n) for n in grid[:-1]] + [np.fft.rfftfreq(grid[-1])]
        phases = np.meshgrid(*lines, indexing="ij", sparse=True)
        power = np.zeros((*grid[:-1], grid[-1] // 2 + 1))
        for stencil in self.stencils:
            transfer = np.zeros((), dtype=complex)
            for offset, coefficient in stencil:
                angle = sum(f * o for f, o in zip(phases, offset, strict=True))
                transfer = transfer + coefficient * np.exp(2j * np.pi * angle)
            power += np.abs(transfer) ** 2
        return power


def _shifted_sum(x: Array, stencil: Stencil, sign: int) -> Array:
    """``sum c x[i + sign o]`` around the ring."""
    xp = namespace(x)
    result = None
    for offset, coefficient in stencil:
        axes = tuple(axis for axis, o in enumerate(offset, start=-len(offset)) if o)
        part = xp.roll(x, tuple(-sign * o for o in offset if o), axis=axes) if axes else x
        if result is None:
            result = coefficient * part
        elif coefficient == 1:
            result += part
        elif coefficient == -1:
            result -= part
        else:
            result += coefficient * part
    return result


class Splitting:
    """The state of the iteration; `weight` may be changed between steps.

    Parameters
    ----------
    ring, prior
        The problem.
    weight : float
        Of the prior.
    threshold : float
        ``weight / mu``, by which differences shrink in one step; it sets the speed and not the solution. Kept when the
        weight changes, so that the duals stay right.
    bounds : (float, float), optional
        Of the samples; infinite where open.
    coupled : bool
        The first axis of the data is colours that share their edges, not a batch.
    """

    def __init__(
        self,
        ring: Ring,
        prior: Prior,
        weight: float,
        *,
        threshold: float,
        bounds: tuple[float, float] | None = None,
        coupled: bool = False,
    ) -> None:
        self.ring, self.prior, self.threshold, self.bounds, self.coupled = ring, prior, threshold, bounds, coupled
        xp, y = namespace(ring.data), ring.data
        self.masked = ring.trust is not None
        self.mu_u = 1.0
        self.constrained = bounds is not None or ring.project is not None
        otf = ring.otf
        self.H2 = xp.real(otf) ** 2 + xp.imag(otf) ** 2
        self.gain2 = ring.gain**2
        real = "float32" if y.dtype == xp.float32 else "float64"
        self.faintest = FAINTEST[real] * self.gain2
        self.D2 = xp.asarray(prior.power(ring.grid).astype(real))
        if not is_numpy(y):
            self.D2 = xp.asarray(self.D2, device=y.device)
        mean = (0,) * ring.ndim  # it is zero where neither the data nor the prior know anything of it
        self.meanless = scalar(self.H2[mean]) == 0 and scalar(self.D2[mean]) <= NOTHING * float(xp.max(self.D2))
        self.e = self.f = None
        self.weight = weight
        divides = not self.masked and ring.varying is None
        self.known = xp.conj(otf) * _fft.transform(y, ring.grid) if divides else None
        guess = ring.first
        if self.meanless and bounds is None:
            guess = guess - xp.mean(guess, axis=tuple(range(-ring.ndim, 0)), keepdims=True)
        self.x = x = guess
        self.v_ahead = prior.apply(x)  # 2 v - q with v = q = D x
        self.d = [
            xp.zeros(v.shape, dtype=v.dtype, device=v.device) for v in self.v_ahead
        ]  # contiguous, as `v` may not be
        if self.masked:
            self.u_ahead = ring.gain * guess
            self.e = xp.zeros_like(y)
        self.seen = None if ring.varying is None else ring.blurred(x)
        if self.constrained:
            self.f = xp.zeros_like(y)
            self.c = self._bounded(x)
            self.c_ahead = self.c

    @property
    def weight(self) -> float:
        """Of the prior."""
        return self._weight

    @weight.setter
    def weight(self, weight: float) -> None:
        self._weight = weight
        # No weight at all would leave the differences without a scale.
        self.mu = max(weight / (self.threshold * self.ring.copies), self.faintest)
        before = self.mu_u
        if self.masked:
            trust = self.ring.mean_trust
            self.mu_u = min(BLUR_HOLD * math.sqrt(trust * self.mu / self.gain2), trust)
        self.mu_c = BOUND_HOLD * self.mu if self.constrained else 0.0
        curvature = self.mu_u * self.H2 + self.mu * self.D2 + self.mu_c
        if self.meanless and self.mu_c == 0:
            curvature[(0,) * self.ring.ndim] = math.inf
        self.inverse = 1 / curvature
        if self.e is not None and before != self.mu_u:
            # A scaled dual is the dual over its penalty. (That of c scales as those of the differences, which stay.)
            change = before / self.mu_u
            self.u_ahead = self.u_ahead + (change - 1) * self.e
            self.e = change * self.e

    def _bounded(self, x: Array) -> Array:
        xp = namespace(x)
        if self.ring.project is not None:
            x = self.ring.project(x)
        if self.bounds is not None:
            x = xp.clip(x, *self.bounds)
        return x

    def estimate(self) -> Array:
        """The scene on the ring, within its bounds."""
        return self.c if self.constrained else self.x

    def step(self, threshold: Any = None) -> Array:
        """One iteration; `threshold` may differ from sample to sample."""
        r = self.prior.adjoint(self.v_ahead)
        if self.constrained:
            mu, mu_c = self.mu, self.mu_c
            r = each(lambda r, c: mu * r + mu_c * c, r, self.c_ahead, out=r)
        else:
            r = each(lambda r: self.mu * r, r, out=r)
        Hx = self._divided(r) if self.seen is None else self._approached(r)
        self._shrink(self.threshold if threshold is None else threshold)
        if self.masked:
            self._fit(Hx)
        if self.constrained:
            q = each(lambda x, f: x - f, self.x, self.f)
            self.c = self._bounded(q)
            self.f = each(lambda c, q: c - q, self.c, q, out=self.f)
            self.c_ahead = each(lambda c, q: 2 * c - q, self.c, q, out=q)
        return self.estimate()

    def _divided(self, r: Array) -> Array | None:
        """The step in the scene, a division per frequency; gives the blurred scene where that is wanted."""
        ring, grid, xp, Hx = self.ring, self.ring.grid, namespace(self.x), None
        R = _fft.transform(r, grid)
        if self.masked:
            U = _fft.transform(self.u_ahead, grid)
            mu_u = self.mu_u
            X = self._spectral(
                lambda R, U, H, inverse: (R + mu_u * xp.conj(H) * U) * inverse, R, U, ring.otf, self.inverse
            )
            Hx = _fft.inverse(self._spectral(lambda X, H: X * H, X, ring.otf), grid, overwrite=True)
        else:
            X = self._spectral(lambda R, Y, inverse: (R + Y) * inverse, R, self.known, self.inverse)
        self.x = _fft.inverse(X, grid, overwrite=True)
        return Hx

    def _approached(self, r: Array) -> Array:
        """The same for a blur that varies: a few conjugate gradients from the last scene."""
        ring = self.ring
        fit = self.u_ahead if self.masked else ring.data
        stiffness = self.mu * self.D2 + self.mu_c
        self.x, self.seen = approached(ring, self.x, self.seen, r, fit, self.mu_u, stiffness, self.inverse)
        return each(lambda seen: 1 * seen, self.seen)  # what fits the data to it writes over it

    def _spectral(self, function: Callable[..., Array], *arrays: Array) -> Array:
        """An expression per frequency; transfer functions have no batch axes."""
        first = arrays[0]
        if not is_numpy(first):
            return function(*arrays)
        aligned = [a.reshape((1,) * (first.ndim - a.ndim) + a.shape) for a in arrays]
        if first.ndim > self.ring.ndim and first.shape[: first.ndim - self.ring.ndim] != (1,):
            return function(*arrays)
        return each(function, *aligned)

    def _fit(self, Hx: Array) -> None:
        """``u``: between the data, where they are trusted, and the blurred scene."""
        mu, trust, y = self.mu_u, self.ring.trust, self.ring.data
        q = each(lambda Hx, e: Hx - e, Hx, self.e, out=Hx)
        # e = u - q with u = (M y + mu q) / (M + mu)
        self.e = each(lambda q, y, m: m * (y - q) / (m + mu), q, y, _as_block(trust, y), out=self.e)
        self.u_ahead = each(lambda q, e: q + 2 * e, q, self.e, out=q)

    def _shrink(self, threshold: Any) -> None:
        """``v`` and its dual, and in place of ``v`` what the next step asks for, ``v + d``."""
        fields = self.prior.apply(self.x)
        channels = self.x.shape[-self.ring.ndim - 1] if self.coupled else 1
        samples = int(np.prod(self.ring.grid))
        xp = namespace(self.x)
        varies = not np.isscalar(threshold)
        if not is_numpy(self.x):
            shape = tuple(self.x.shape)
            q = [xp.reshape(g - d, (-1, channels, samples)) for g, d in zip(fields, self.d, strict=True)]
            if varies:
                threshold = xp.reshape(xp.broadcast_to(threshold, shape), (-1, channels, samples))
                threshold = xp.moveaxis(threshold[:, :1, :], 1, 0)
            v = self.prior.prox([xp.moveaxis(a, 1, 0) for a in q], threshold)
            v = [xp.moveaxis(a, 0, 1) for a in v]
            self.d = [xp.reshape(a - b, shape) for a, b in zip(v, q, strict=True)]
            self.v_ahead = [xp.reshape(2 * a - b, shape) for a, b in zip(v, q, strict=True)]
            return
        flat = [g.reshape(-1, channels, samples) for g in fields]
        duals = [d.reshape(-1, channels, samples) for d in self.d]
        thresholds = np.broadcast_to(threshold, self.x.shape).reshape(-1, channels, samples) if varies else None
        chunk = max(1, CHUNK // channels)
        per_item = -(-samples // chunk)

        def block(start: int, end: int) -> None:
            for i in range(start, end):
                item, part = divmod(i, per_item)
                where = (item, slice(None), slice(part * chunk, (part + 1) * chunk))
                q = [g[where] - d[where] for g, d in zip(flat, duals, strict=True)]
                v = self.prior.prox(q, threshold if thresholds is None else thresholds[where][:1])
                for g, d, a, b in zip(flat, duals, v, q, strict=True):
                    np.subtract(a, b, out=d[where])
                    np.add(a, d[where], out=g[where])

        run(block, flat[0].shape[0] * per_item, 1)
        self.v_ahead = fields


def _as_block(a: Array, like: Array) -> Array:
    """`a` with as many axes as `like`."""
    xp = namespace(like)
    a = xp.reshape(a, (1,) * (like.ndim - a.ndim) + tuple(a.shape))
    return a if tuple(a.shape) == tuple(like.shape) else xp.broadcast_to(a, like.shape)
