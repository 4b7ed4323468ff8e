"""The rules of `stopping`: each says what to restore beside the data, and scores an estimate.

A score is a number for each item of a batch: an estimate of the error (the least is best), or, of a rule with a
threshold, what is still missing to it (the first below zero is taken).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np

from .. import _fft
from .._array import Array, namespace, to_numpy
from .._parallel import total
from ..convolution import Convolution
from ._counts import Counts

Scores = np.ndarray[Any, Any]

# Of the squared gain of the PSF. Where the blur passes less, the error of the scene cannot be told from that of the
# blurred scene, and is weighted as this. Chosen on two Kodak and four scikit-image pictures (camera, coffee,
# coins, hubble_deep_field; 5 PSFs; 30 to 3000 photons): 0.003 to 1 lose 0.03 dB alike, but 0.1 bears an error of the
# gain best: with 0.9 and 1.1 times the gain 0.04 and 0.05 dB.
PASSED = 0.1
SHAKE = 0.1  # of the noise: so little that the iteration answers linearly, so much that float32 resolves it
EDGE = 0.12  # of each axis, at either end: the window falls to zero, since the weights know nothing past the frame
DARK_SHARE = 0.25  # of the frequencies, those that the blur passes least
FEWEST = 1e-6  # counts a pixel, of which the expected I-divergence is still told from zero
MANY = 50.0  # counts a pixel, above which two terms of the series give it to five digits
AGREED = 0.5  # of the voxels: the share that agrees by chance


@dataclass(frozen=True)
class Observed:
    """The data of a rule."""

    blur: Convolution
    counts: Counts
    gain: float  #: units of the data a photon
    rng: np.random.Generator
    trust: Array  #: a window that falls to zero at the frame's ends and bad pixels
    root: Array  #: square root of the weights of frequencies, on `grid`
    grid: tuple[int, ...]

    @classmethod
    def of(cls, blur: Convolution, counts: Counts, gain: float, rng: np.random.Generator) -> Observed:
        d, xp = counts.d, namespace(counts.d)
        frame = (1,) * (d.ndim - blur.ndim) + blur.shape
        trust = _as(_window(blur.shape), d)
        if counts.w is not None:
            trust = trust * counts.w / xp.max(counts.w)
        grid = tuple(_fft.fast_length(n, real=i == blur.ndim - 1) for i, n in enumerate(blur.shape))
        # The answer of A A^H to a point is its impulse response, whatever the boundary and the stride.
        point = np.zeros(blur.shape)
        point[tuple(n // 2 for n in blur.shape)] = 1.0
        power = xp.abs(_fft.transform(blur.forward(blur.adjoint(_as(point, d))), grid))
        peak = power[(0,) * blur.ndim]
        root = xp.astype(1 / xp.sqrt(power / peak + PASSED), xp.complex64 if d.dtype == xp.float32 else xp.complex128)
        return cls(blur, counts, gain, rng, xp.reshape(trust, frame) if counts.w is None else trust, root, grid)

    def weighted(self, y: Array) -> Array:
        """The square root of the weights, of pixels and of frequencies, applied to data."""
        return _fft.filter(y * self.trust, self.root, self.grid, self.blur.shape)

    def normal(self) -> Array:
        """Noise as the data should have it, with its own randomness."""
        d, xp = self.counts.d, namespace(self.counts.d)
        scale = xp.sqrt(xp.maximum(d, xp.zeros_like(d)) * self.gain)
        return scale * _as(self.rng.standard_normal(tuple(d.shape)), d)

    def dark_gain(self) -> float:
        """Variance over mean, told by the frequencies that the blur passes least: quick, and high where it has none."""
        d, xp, axes = self.counts.d, namespace(self.counts.d), tuple(range(-self.blur.ndim, 0))
        light = float(xp.sum(self.trust**2 * d))
        mean = xp.sum(self.trust * d, axis=axes, keepdims=True) / xp.sum(self.trust, axis=axes, keepdims=True)
        power = to_numpy(xp.abs(_fft.transform((d - mean) * self.trust, self.grid))) ** 2
        root = to_numpy(xp.real(self.root))
        dark = power[..., root >= np.quantile(root, 1 - DARK_SHARE)]
        # The power of noise is distributed exponentially; its median forgives a few frequencies with signal in them.
        each = np.median(dark, axis=-1) / math.log(2)
        return float(np.sum(each)) / light if light > 0 else 1.0

    def halves(self) -> tuple[Array, Array]:
        """Two images with the mean of the data, whose noise is independent and of twice its variance."""
        d, xp = self.counts.d, namespace(self.counts.d)
        values = to_numpy(d)
        if self.gain == 1 and bool(np.all((values >= 0) & (values == np.rint(values)))):
            first = 2 * _as(self.rng.binomial(values.astype(np.int64), 0.5).astype(float), d)
            return first, 2 * d - first
        zero, noise = xp.zeros_like(d), self.normal()
        return xp.maximum(d + noise, zero), xp.maximum(d - noise, zero)

    def energy(self, y: Array) -> Array:
        """Sum of squares of weighted data, for each item."""
        return total(lambda y: y * y, self.weighted(y), ndim=self.blur.ndim)

    def scores(self, value: Array) -> Scores:
        """Sums that were kept with size one, as numbers on the host."""
        numbers: Scores = np.asarray(to_numpy(value), dtype=np.float64)
        return numbers.reshape(numbers.shape[: numbers.ndim - self.blur.ndim])


class Judge(Protocol):
    """A rule, at work on one problem."""

    threshold: bool  #: whether the first score below zero is wanted and not the least
    copies: Sequence[Array]  #: what to restore, the data first
    noise: Scores | float  #: the scale on which scores differ

    def __call__(self, x: Array) -> Scores:
        """Score the estimates from the copies, of which `x` has one after the other on its first axis."""


class Risk:
    """The unbiased estimate of the error: ``|d - m|^2 + 2 cov(m, d)`` in a weighted norm.

    The covariance is told by data that are shaken by noise ``n``: it is the mean of ``n (m(d + n) - m(d))``.
    """

    threshold = False

    def __init__(self, observed: Observed) -> None:
        d, xp = observed.counts.d, namespace(observed.counts.d)
        shaken = xp.maximum(d + SHAKE * observed.normal(), xp.zeros_like(d))
        self.copies = (d, shaken)
        self._observed = observed
        shake = observed.weighted(shaken - d) / SHAKE
        self.noise = observed.scores(total(lambda n: n * n, shake, ndim=observed.blur.ndim))
        # Taken back to the scene once, it saves blurring the difference of the estimates in every iteration. The
        # square root of the weights is its own transpose on the grid, and the crop of one is the padding of the other.
        again = _fft.filter(shake, observed.root, observed.grid, observed.blur.shape) * observed.trust
        self._probe = observed.blur.adjoint(again) * (2 / SHAKE)

    def __call__(self, x: Array) -> Scores:
        o = self._observed
        misfit = o.energy(o.counts.d - o.counts.b - o.blur.forward(x[0, ...]))
        follows = total(lambda a, b, n: ((b - a, n),), x[0, ...], x[1, ...], self._probe, ndim=o.blur.ndim)[0]
        return o.scores(misfit) + o.scores(follows)


class Splitting:
    """Each half of the photons predicts the other; less what half the photons are noisier than all."""

    threshold = False

    def __init__(self, observed: Observed) -> None:
        self._halves = observed.halves()
        self.copies = (observed.counts.d, *self._halves)
        self._observed = observed
        # Their difference has the variance of four times the noise of the data.
        self.noise = observed.scores(observed.energy(self._halves[0] - self._halves[1])) / 4

    def __call__(self, x: Array) -> Scores:
        o, (first, second) = self._observed, self._halves
        m, n = (o.blur.forward(x[i, ...]) + o.counts.b for i in (1, 2))
        missed = o.scores(o.energy(second - m)) + o.scores(o.energy(first - n))
        # The estimates' variance is half their squared difference, and all photons have half of that.
        return missed / 2 - o.scores(o.energy(m - n)) / 4


class Consensus:
    """The share of voxels at which both halves want the estimate to move the same way."""

    threshold = True
    noise = 0.0

    def __init__(self, observed: Observed) -> None:
        self.copies = (observed.counts.d,)
        self._halves = observed.halves()
        self._observed = observed

    def __call__(self, x: Array) -> Scores:
        o, xp = self._observed, namespace(x)
        w = 1.0 if o.counts.w is None else o.counts.w
        m = o.blur.forward(x[0, ...]) + o.counts.b
        m = xp.maximum(m, xp.ones_like(m) * _floor(o.counts.d))
        one, other = (o.blur.adjoint(w * (half / m - 1)) for half in self._halves)
        # Smoothed as the authors do: neighbours that share a blur share its verdict.
        agreed = o.blur.adjoint(o.blur.forward(one * other))[(..., *o.blur.frame)] > 0
        axes = tuple(range(-o.blur.ndim, 0))
        return o.scores(xp.mean(xp.astype(agreed, x.dtype), axis=axes, keepdims=True)) - AGREED


class Discrepancy:
    """The I-divergence of the data from the model, against what photon noise alone would give."""

    threshold = True
    noise = 0.0

    def __init__(self, observed: Observed) -> None:
        d, w = observed.counts.d, observed.counts.w
        blur, xp = observed.blur, namespace(d)
        self.copies = (d,)
        self._observed = observed
        # The expectation changes so slowly with the counts that any smooth guess of them will do.
        ones = xp.ones(blur.shape, dtype=d.dtype, device=d.device)
        smooth = blur.forward(blur.adjoint(d)) / blur.forward(blur.adjoint(ones))
        self._w = xp.ones_like(d) if w is None else w
        wanted = _as(expected_divergence(to_numpy(smooth) / observed.gain), d)
        self._wanted = total(lambda w, e: w * e, self._w, wanted, ndim=blur.ndim)
        self._light = total(lambda w: w, self._w, ndim=blur.ndim)

    def __call__(self, x: Array) -> Scores:
        o, xp = self._observed, namespace(x)
        d = o.counts.d
        tiny = _floor(d)

        def divergence(m: Array, d: Array, b: Array, w: Array) -> Array:
            m, d = xp.maximum(m + b, xp.ones_like(m) * tiny), xp.maximum(d, xp.ones_like(d) * tiny)
            r = (m - d) / d
            return w * (d * (r - xp.log1p(r)))

        b = o.counts.b
        found = total(divergence, o.blur.forward(x[0, ...]), d, b, self._w, ndim=o.blur.ndim) / o.gain
        return o.scores((found - self._wanted) / self._light)


JUDGES: dict[str, Any] = {
    "risk": Risk,
    "splitting": Splitting,
    "consensus": Consensus,
    "discrepancy": Discrepancy,
}


def expected_divergence(mean: Scores) -> Scores:
    """Mean of ``m - d + d log(d / m)`` over counts ``d`` that are Poisson of mean ``m``: 1/2 where these are many."""
    grid, values = _divergences()
    few = np.interp(np.log(np.maximum(mean, FEWEST)), grid, values)
    many = np.maximum(mean, MANY)
    return np.where(mean < MANY, few, 0.5 + (1 / 12 + 1 / (12 * many)) / many)


@cache
def _divergences() -> tuple[Scores, Scores]:
    """The sum itself, for few counts."""
    grid = np.linspace(math.log(FEWEST), math.log(MANY), 512)
    mean = np.exp(grid)[:, None]
    d = np.arange(1, int(MANY + 12 * math.sqrt(MANY)) + 1)
    log_factorial = np.cumsum(np.log(d))
    chance = np.exp(d * grid[:, None] - mean - log_factorial)
    # The parts m - d cancel in the mean.
    return grid, np.sum(chance * d * (np.log(d) - grid[:, None]), axis=1)


def _window(shape: Sequence[int]) -> Scores:
    window = np.ones(())
    for n in shape:
        place = (np.arange(n) + 0.5) / n
        window = window[..., None] * np.sin(np.pi / 2 * np.minimum(np.minimum(place, 1 - place) / EDGE, 1)) ** 2
    return window


def _floor(d: Array) -> float:
    """What counts as no light, so that quotients stay finite."""
    xp = namespace(d)
    limits = xp.finfo(d.dtype)
    return max(float(limits.eps) * float(xp.max(d)), float(limits.smallest_normal) * 1e8)


def _as(x: Scores, reference: Array) -> Array:
    """NumPy numbers as an array of the kind, device and dtype of another."""
    xp = namespace(reference)
    x = x.astype("float32" if reference.dtype == xp.float32 else "float64", copy=False)
    return xp.asarray(x, device=reference.device)
