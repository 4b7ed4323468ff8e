"""The weight of a prior from trials: restorations under several weights, judged by the data alone.

A trial restores the data and, beside them, the same data with a known speck of noise: what becomes of the speck tells
how many of the data's degrees of freedom the restoration follows, whatever the method does inside.

Data tell the error of the blurred restoration. What one wants is the error of the scene, most of which lies where the
blur has left little; so the rule that knows the noise looks at sharpened data, of which all the same is true.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .. import _fft
from .._array import Array, namespace, to_numpy
from ._ring import Ring

RULES = ("gcv", "sure", "discrepancy", "l-curve")
CAUTIOUS = "sure, cautious"  # what is done where neither a rule nor the noise is given
STEP = 2.0  # ratio of neighbouring weights; a parabola through three of them finds the rest
REACH = 12  # steps away from the first guess at most: a factor of 4096
# The same downwards where there are samples between the data. A scene with several unknowns a datum can agree with the
# data to any degree, so that without noise the rules see no end to what less weight brings; the scene does: it is found
# ever more slowly, and what lies between the data is made up. On photographs 3 to 6 steps differ by 0.7 dB; 12 lost 7
# to 9.
SPARSE_REACH = 5
SPECK = 0.1  # of the noise: so small that the method answers linearly, so large that float32 resolves it
SEED = 20211
# Power of the blur, relative to its peak, below which data are sharpened no further. 0.003 to 0.1 lose alike; without
# sharpening the chosen weights are too small, by a factor of 1.3 with wavelets and a broad blur.
SHARPEST = 0.02


@dataclass(frozen=True)
class Trial:
    """What one restoration says about its weight."""

    weight: float
    residual: float  #: trust-weighted sum of squares of data minus blurred restoration
    freedom: float  #: degrees of freedom of the data that the restoration follows
    count: float  #: number of trusted data
    roughness: float = 0.0  #: the prior's cost
    sharpened: tuple[float, float, float] | None = None  #: residual, freedom and count of the sharpened data

    def gcv(self) -> float:
        """Generalised cross-validation: ``n |r|^2 / (n - freedom)^2``."""
        return self.count * self.residual / max(self.count - self.freedom, 1e-6 * self.count) ** 2

    def noise(self) -> float:
        """Standard deviation of what the restoration leaves of the data, a degree of freedom."""
        return math.sqrt(self.residual / max(self.count - self.freedom, 1e-6 * self.count))

    def sure(self, sigma: float) -> float:
        """Stein's unbiased estimate of the squared error, of the sharpened restoration where that is known."""
        residual, freedom, count = self.sharpened or (self.residual, self.freedom, self.count)
        return residual + sigma**2 * (2 * freedom - count)


@dataclass(frozen=True)
class Judge:
    """What judges restorations of the data of a ring, and of the same data with the speck."""

    ring: Ring
    speck: Array  #: ``s e`` with white noise ``e`` on the trusted samples
    scale: float  #: ``s``
    sharp: Array  #: ``|F|^2``, on the half spectrum: what sharpening does to the power
    probe: Array  #: ``M^(1/2) F^T F M^(-1/2) e``: its product with the answer is a freedom
    count: float  #: trace of ``F^T F`` over the trusted samples

    @classmethod
    def of(cls, ring: Ring, sigma: float) -> Judge:
        """For noise of about `sigma`."""
        xp, y = namespace(ring.data), ring.data
        single = y.dtype == xp.float32
        noise = np.random.default_rng(SEED).standard_normal(tuple(y.shape))
        speck = xp.asarray(noise.astype("float32" if single else "float64"), device=y.device)
        power = (xp.real(ring.otf) ** 2 + xp.imag(ring.otf) ** 2) / ring.gain**2
        sharp = xp.astype(1 / (power + SHARPEST), xp.complex64 if single else xp.complex128)
        if ring.trust is None:
            probe = _fft.filter(speck, sharp, ring.grid, ring.grid)
        else:
            good = xp.astype(ring.trust > 0, y.dtype)
            root = xp.sqrt(ring.trust)
            speck = speck * good
            probe = root * _fft.filter(speck / (root + 1 - good), sharp, ring.grid, ring.grid)
        # The trace of a convolution on the ring is its sample at the origin, for each of the samples.
        return cls(ring, SPECK * sigma * speck, SPECK * sigma, sharp, probe, ring.count * _at_origin(sharp, ring.grid))

    def trial(self, weight: float, blurred: Array, shaken: Array, roughness: float = 0.0) -> Trial:
        """The trial of a weight from the blurred restorations of the data and of the data with the speck."""
        ring, xp = self.ring, namespace(blurred)
        gap = blurred - ring.data
        answer = shaken - blurred
        trusted = gap if ring.trust is None else gap * xp.sqrt(ring.trust)
        filtered = _fft.filter(trusted, self.sharp, ring.grid, ring.grid)
        return Trial(
            weight,
            residual=_product(trusted, trusted),
            freedom=_product(self.speck, answer) / self.scale**2,
            count=ring.count,
            roughness=roughness,
            sharpened=(_product(trusted, filtered), _product(self.probe, answer) / self.scale, self.count),
        )


def _product(a: Array, b: Array) -> float:
    xp = namespace(a)
    return float(xp.sum(xp.astype(a, xp.float64) * xp.astype(b, xp.float64)))


def _at_origin(transfer: Array, grid: tuple[int, ...]) -> float:
    """The sample at the origin of the convolution with this half spectrum."""
    return float(_fft.inverse(transfer, grid)[(0,) * len(grid)])


def chosen_weight(
    trial: Callable[[float], Trial], first: float, rule: str, sigma: float, *, sparse: bool = False
) -> tuple[float, list[Trial]]:
    """The weight that `rule` likes best, and the trials in the order of their weights.

    The search goes from the first guess to ever neater or rougher restorations, while the rule's score falls.

    Stein's estimate is the sharper rule as long as the noise is known. Estimates of the noise are too small in images
    that were rounded, compressed or smoothed, and under a wrong PSF the misfit acts as further noise; either would make
    it choose next to no weight. The cautious rule first asks cross-validation, which finds the level along with the
    weight, and goes on from there with the larger of the two levels.

    `sparse` says that there are samples between the data; `first` is then to be the noise's own scale, its variance
    over the prior's cost.
    """
    done: dict[int, Trial] = {}
    least = -SPARSE_REACH if sparse else -REACH

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
        place = 0.0
        if rule in ("gcv", CAUTIOUS):
            place = _lowest(lambda i: at(i).gcv(), least)
            sigma = max(sigma, at(round(place)).noise())
        if rule != "gcv":
            place = _lowest(lambda i: at(i).sure(sigma), least, round(place))
        weight = first * STEP**place
    return weight, [done[i] for i in sorted(done)]


def _lowest(score: Callable[[int], float], least: int, start: int = 0) -> float:
    """Position of the minimum of a function of one valley, from a start, between integers by a parabola."""
    i, best = start, score(start)
    for direction in (-1, 1):
        moved = False
        while least <= i + direction <= REACH and score(i + direction) < best:
            i, best, moved = i + direction, score(i + direction), True
        if moved:
            break
    if i in (least, REACH):
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
