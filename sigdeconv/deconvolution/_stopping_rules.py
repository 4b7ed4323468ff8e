"""The rules of `stopping`: each says what to restore beside the data, and scores an estimate.

A score is a number for each item of a batch: an estimate of the error (the least is best), or, of a rule with a
threshold, what is still missing to it (the first below zero is taken).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .. import _fft
from .._array import Array, namespace, to_numpy
from .._parallel import total
from ..convolution import Convolution
from ._counts import Counts
from ._frames import Frames
from .noise import expected_divergence

Scores = np.ndarray[Any, Any]

# Of the squared gain of the PSF. Where the blur passes less, the error of the scene cannot be told from that of the
# blurred scene, and is weighted as this. Chosen on two Kodak and four scikit-image pictures (camera, coffee,
# coins, hubble_deep_field; 5 PSFs; 30 to 3000 photons): 0.003 to 1 lose 0.03 dB alike, but 0.1 bears an error of the
# gain best: with 0.9 and 1.1 times the gain 0.04 and 0.05 dB.
PASSED = 0.1
SHAKE = 0.1  # of the noise: so little that the iteration answers linearly, so much that float32 resolves it
# What one draw of the shaking or splitting says is as sure as the samples are many. Where they are few, several draws
# are averaged, which costs little there: as many as it takes to have `SAMPLES`, but no more than `DRAWS`. A conjugate
# iteration on few samples answers a shake by leaps (a line parts in two some iterations earlier), over which only a
# stronger shake takes the mean. Measured on spectra: see `Stopping`.
SAMPLES = 1 << 15  # if the light were even
DRAWS = 8
AFFORDED = 1 << 20  # samples in all: of larger images one draw is made
STRONGER_SHAKE = 0.3
EDGE = 0.12  # of each axis, at either end: the window falls to zero, since the weights know nothing past the frame
DARK_SHARE = 0.25  # of the frequencies, those that the blur passes least
AGREED = 0.5  # of the voxels: the share that agrees by chance


@dataclass(frozen=True)
class Observed:
    """The data of a rule."""

    blur: Convolution | Frames
    counts: Counts
    gain: float  #: units of the data a photon
    rng: np.random.Generator
    trust: Array  #: a window that falls to zero at the frame's ends and bad pixels
    root: Array  #: square root of the weights of frequencies, on `grid`
    grid: tuple[int, ...]
    space: tuple[int, ...]  #: samples of a frame along each axis

    @classmethod
    def of(cls, blur: Convolution | Frames, counts: Counts, gain: float, rng: np.random.Generator) -> Observed:
        d, xp = counts.d, namespace(counts.d)
        lead = 0 if isinstance(blur, Convolution) else 1  # the axis of frames, each of which is filtered alone
        space = blur.shape[lead:]
        trust = _as(_window(space), d)
        if counts.w is not None:
            trust = trust * counts.w / xp.max(counts.w)
        grid = tuple(_fft.fast_length(n, real=i == len(space) - 1) for i, n in enumerate(space))
        # The answer of A A^H to a point is its impulse response, whatever the boundary and the stride.
        point = np.zeros(blur.shape)
        point[(0,) * lead + tuple(n // 2 for n in space)] = 1.0
        answer = blur.forward(blur.adjoint(_as(point, d)))
        power = xp.abs(_fft.transform(answer[0, ...] if lead else answer, grid))
        peak = power[(0,) * len(space)]
        root = xp.astype(1 / xp.sqrt(power / peak + PASSED), xp.complex64 if d.dtype == xp.float32 else xp.complex128)
        trust = xp.reshape(trust, (1,) * (d.ndim - len(space)) + space) if counts.w is None else trust
        return cls(blur, counts, gain, rng, trust, root, grid, space)

    def weighted(self, y: Array) -> Array:
        """The square root of the weights, of pixels and of frequencies, applied to data."""
        return _fft.filter(y * self.trust, self.root, self.grid, self.space)

    @property
    def effective(self) -> Scores:
        """Samples that the light of each item falls on, as if it were even."""
        d, xp = self.counts.d, namespace(self.counts.d)
        light, square = total(
            lambda d, t: (t * d, (t * d, d)), xp.maximum(d, xp.zeros_like(d)), self.trust, ndim=self.blur.ndim
        )
        light, square = self.scores(light), self.scores(square)
        return light**2 / np.maximum(square, np.finfo(float).tiny)

    @property
    def draws(self) -> int:
        """Of the shaking or the splitting."""
        return max(1, min(DRAWS, SAMPLES // max(1, int(self.effective.min())), AFFORDED // math.prod(self.blur.shape)))

    def normal(self) -> Array:
        """Noise as the data should have it, with its own randomness."""
        d, xp = self.counts.d, namespace(self.counts.d)
        scale = xp.sqrt(xp.maximum(d, xp.zeros_like(d)) * self.gain)
        return scale * _as(self.rng.standard_normal(tuple(d.shape)), d)

    def dark_gain(self) -> float:
        """Variance over mean, told by the frequencies that the blur passes least: quick, and high where it has none."""
        d, xp, axes = self.counts.d, namespace(self.counts.d), tuple(range(-len(self.space), 0))
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
    misfit: Scores | float  #: of the data from the blur of what was last scored, in the norm in which noise is `noise`

    def __call__(self, x: Array) -> Scores:
        """Score the estimates from the copies, of which `x` has one after the other on its first axis."""


class Risk:
    """The unbiased estimate of the error: ``|d - m|^2 + 2 cov(m, d)`` in a weighted norm.

    The covariance is told by data that are shaken by noise ``n``: it is the mean of ``n (m(d + n) - m(d))``.
    """

    threshold = False

    def __init__(self, observed: Observed) -> None:
        o, d, xp = observed, observed.counts.d, namespace(observed.counts.d)
        strength = SHAKE if o.draws == 1 else STRONGER_SHAKE
        shaken = [xp.maximum(d + strength * o.normal(), xp.zeros_like(d)) for _ in range(o.draws)]
        self.copies = (d, *shaken)
        self._observed = o
        shakes = [o.weighted(s - d) / strength for s in shaken]
        self.noise = sum(o.scores(total(lambda n: n * n, n, ndim=o.blur.ndim)) for n in shakes) / o.draws
        # Taken back to the scene once, it saves blurring the difference of the estimates in every iteration. The
        # square root of the weights is its own transpose on the grid, and the crop of one is the padding of the other.
        again = [_fft.filter(n, o.root, o.grid, o.space) * o.trust for n in shakes]
        self._probes = [o.blur.adjoint(n) * (2 / strength / o.draws) for n in again]

    def __call__(self, x: Array) -> Scores:
        o = self._observed
        scores = self.misfit = o.scores(o.energy(o.counts.d - o.counts.b - o.blur.forward(x[0, ...])))
        for i, probe in enumerate(self._probes, start=1):
            follows = total(lambda a, b, n: ((b - a, n),), x[0, ...], x[i, ...], probe, ndim=o.blur.ndim)[0]
            scores = scores + o.scores(follows)
        return scores


class Splitting:
    """Each half of the photons predicts the other; less what half the photons are noisier than all."""

    threshold = False

    def __init__(self, observed: Observed) -> None:
        o = observed
        self._pairs = [o.halves() for _ in range(o.draws)]
        self.copies = (o.counts.d, *(half for pair in self._pairs for half in pair))
        self._observed = o
        # Their difference has the variance of four times the noise of the data.
        self.noise = sum(o.scores(o.energy(one - other)) for one, other in self._pairs) / (4 * o.draws)

    def __call__(self, x: Array) -> Scores:
        pairs = [self._score(pair, x[2 * i + 1, ...], x[2 * i + 2, ...]) for i, pair in enumerate(self._pairs)]
        scores, misfits = (np.mean(values, axis=0) for values in zip(*pairs, strict=True))
        self.misfit = misfits
        return np.asarray(scores)

    def _score(self, halves: tuple[Array, Array], x: Array, y: Array) -> tuple[Scores, Scores]:
        o, (first, second) = self._observed, halves
        m, n = o.blur.forward(x) + o.counts.b, o.blur.forward(y) + o.counts.b
        one, other = o.weighted(second - m), o.weighted(first - n)
        both, apart = (o.scores(e) for e in total(_sum_and_difference, one, other, ndim=o.blur.ndim))
        # The squares of both misses sum to half of those of their sum and difference. The estimates' variance is half
        # their squared difference, and all photons have half of that; the halves sum to twice the data.
        return (both + apart) / 4 - o.scores(o.energy(m - n)) / 4, both / 4


def _sum_and_difference(one: Array, other: Array) -> tuple[tuple[Array, Array], ...]:
    return (one + other, one + other), (one - other, one - other)


class Consensus:
    """The share of voxels at which both halves want the estimate to move the same way."""

    threshold = True
    noise = misfit = 0.0

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
    noise = misfit = 0.0

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
