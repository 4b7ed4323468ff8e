"""The weight of a prior from trials: restorations under several weights, judged by the data alone.

A trial restores the data and, beside them, the same data with a known speck of noise: what becomes of the speck tells
how many of the data's degrees of freedom the restoration follows, whatever the method does inside.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._array import Array, namespace, to_numpy
from ._ring import Ring

RULES = ("gcv", "sure", "discrepancy", "l-curve")
STEP = 2.0  # ratio of neighbouring weights; a parabola through three of them finds the rest
REACH = 12  # steps away from the first guess at most: a factor of 4096
SPECK = 0.1  # of the noise: so small that the method answers linearly, so large that float32 resolves it
SEED = 20211


@dataclass(frozen=True)
class Trial:
    """What one restoration says about its weight."""

    weight: float
    residual: float  #: trust-weighted sum of squares of data minus blurred restoration
    freedom: float  #: degrees of freedom of the data that the restoration follows
    count: float  #: number of trusted data
    roughness: float = 0.0  #: the prior's cost

    def gcv(self) -> float:
        """Generalised cross-validation: ``n |r|^2 / (n - freedom)^2``."""
        return self.count * self.residual / max(self.count - self.freedom, 1e-6 * self.count) ** 2

    def sure(self, sigma: float) -> float:
        """Stein's unbiased estimate of the squared error of the blurred restoration."""
        return self.residual + sigma**2 * (2 * self.freedom - self.count)


Solve = Callable[[float], tuple[Array, Array, Array]]
"""For a weight: the blurred restorations of the data and of the data with the speck, on the ring; and the cost."""


def speck(ring: Ring, sigma: float) -> tuple[Array, float]:
    """White noise on the trusted samples, and its scale."""
    xp, y = namespace(ring.data), ring.data
    noise = np.random.default_rng(SEED).standard_normal(tuple(y.shape))
    noise = xp.asarray(noise.astype("float32" if y.dtype == xp.float32 else "float64"), device=y.device)
    return (noise if ring.trust is None else noise * xp.astype(ring.trust > 0, noise.dtype)), SPECK * sigma


def judged(ring: Ring, weight: float, blurred: Array, shaken: Array, noise: Array, scale: float) -> Trial:
    """The trial of a weight."""
    xp = namespace(blurred)
    gap = xp.astype(blurred - ring.data, xp.float64)
    root = 1.0 if ring.trust is None else ring.trust
    residual = float(xp.sum(root * gap * gap))
    answer = xp.astype(shaken - blurred, xp.float64)
    freedom = float(xp.sum(noise * answer)) / scale
    return Trial(weight, residual, freedom, ring.count)


def chosen_weight(trial: Callable[[float], Trial], first: float, rule: str, sigma: float) -> tuple[float, list[Trial]]:
    """The weight that `rule` likes best, and the trials in the order of their weights.

    The search goes from the first guess to ever neater or rougher restorations, while the rule's score falls.
    """
    done: dict[int, Trial] = {}

    def at(i: int) -> Trial:
        if i not in done:
            done[i] = trial(first * STEP**i)
        return done[i]

    if rule == "discrepancy":
        i = _crossing(lambda i: at(i).residual - sigma**2 * at(i).count)
        weight = first * STEP**i
    elif rule == "l-curve":
        for i in range(4, -7, -1):
            at(i)
        weight = first * STEP ** _corner([at(i) for i in range(-6, 5)], -6)
    else:
        score = (lambda i: at(i).gcv()) if rule == "gcv" else (lambda i: at(i).sure(sigma))
        weight = first * STEP ** _lowest(score)
    return weight, [done[i] for i in sorted(done)]


def _lowest(score: Callable[[int], float]) -> float:
    """Position of the minimum of a function of one valley, from zero, between integers by a parabola."""
    i, best = 0, score(0)
    for direction in (-1, 1):
        moved = False
        while abs(i + direction) <= REACH and score(i + direction) < best:
            i, best, moved = i + direction, score(i + direction), True
        if moved:
            break
    if abs(i) == REACH:
        return float(i)
    left, right = score(i - 1), score(i + 1)
    bend = left + right - 2 * best
    return i + (0.5 * (left - right) / bend if bend > 0 else 0.0)


def _crossing(gap: Callable[[int], float]) -> float:
    """Where an increasing function passes zero, from zero, by linear interpolation; the end of the reach if nowhere."""
    i, value = 0, gap(0)
    direction = -1 if value > 0 else 1
    while abs(i + direction) <= REACH:
        following = gap(i + direction)
        if (following > 0) != (value > 0):
            return i + direction * value / (value - following)
        i, value = i + direction, following
    return float(i)


def _corner(trials: list[Trial], first: int) -> float:
    """Where the curve of log cost over log residual bends most (Hansen 1992)."""
    x = np.log([max(t.residual, 1e-300) for t in trials])
    y = np.log([max(t.roughness, 1e-300) for t in trials])
    dx, dy = np.gradient(x), np.gradient(y)
    bend = (dx * np.gradient(dy) - dy * np.gradient(dx)) / np.maximum(dx**2 + dy**2, 1e-12) ** 1.5
    return first + 1 + int(np.argmax(bend[1:-1]))


def spread(x: Array) -> float:
    """A first guess of the noise's standard deviation from neighbouring samples, for scales and not for results."""
    data = to_numpy(x)
    parts = [np.abs(np.diff(data, n=2, axis=-1)).ravel()] if data.shape[-1] > 2 else [np.zeros(1)]
    return float(np.median(np.concatenate(parts)) / (0.6745 * math.sqrt(6)))
