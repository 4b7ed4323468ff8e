"""What the methods with a prior on differences share: preparation, the choice of the weight, the iteration."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from .. import _fft
from .._array import Array, channels_to_batch, choice, floating, like, namespace, number, require_moderate, shown
from .._iterate import Callback, iterate
from ..convolution import Convolution
from ._priors import gaussian_transfer
from ._ring import Ring
from ._splitting import Prior, Splitting
from ._trials import CAUTIOUS, RULES, Judge, Trial, chosen_weight, spread

FIRST = (
    0.3  # weight times mean difference over the noise's variance: about right for photographs, where the trials begin
)
FIRST_PEAK = 0.5  # weight over the deviation that noise has once it is correlated with the PSF: the same for spikes
PEAK = 0.15  # of the highest peak: the threshold of one step that has been the fastest for spikes, 0.1 to 0.2 alike
FAINT = 1e-3  # of the image's deviation: for less noise the trials do not begin
SETTLING = 40  # iterations of the first trial before it is judged; the others start from a neighbour
MOVING, AGREED = 15, 0.01  # iterations between judgements of a trial; of its score: those that differ by less end it
MOVING_PEAKS, AGREED_PEAKS = 40, 0.003  # of spikes, which settle slowly, and whose score is flat
MOST = 10  # judgements of a trial at most
REWEIGHTED = 5  # iterations between new weights
BEFORE = 10  # iterations of total variation before the first ones
SETTLED = 100  # iterations after which the weights stay, so that the rest is a convex problem and converges
FLOOR = 0.1  # of the mean difference, added to each: flat parts would weigh infinitely


@dataclass(frozen=True)
class Edges:
    """A problem on the ring with a prior on differences, ``weight sum |D x|^power`` pooled over a neighbourhood."""

    ring: Ring
    prior: Prior
    bounds: tuple[float, float] | None
    coupled: bool
    power: float = 1.0
    pooling: float = 0.0

    def length(self, x: Array) -> Array:
        """Length of the differences at each sample, over the colours too where they are coupled."""
        xp, axis = namespace(x), x.ndim - self.ring.ndim - 1
        fields = self.prior.apply(x)
        if self.coupled:
            return xp.moveaxis(self.prior.cost([xp.moveaxis(f, axis, 0) for f in fields]), 0, axis)
        return self.prior.cost([f[None, ...] for f in fields])[0, ...]

    def scale(self) -> float:
        """Mean length of the differences of the data, as a scene; of peaks, a share of the highest."""
        xp, x = namespace(self.ring.first), self.ring.first
        if self.prior.peaked:
            return PEAK * float(xp.max(xp.abs(self.ring.matched()))) or 1.0
        lowest = float(xp.finfo(x.dtype).eps) * float(xp.max(xp.abs(x)))
        return max(float(xp.mean(self.length(x))), lowest) or 1.0

    def first(self, level: float) -> float:
        """A weight for noise of a standard deviation, from which the trials go up or down."""
        if self.prior.peaked:
            return FIRST_PEAK * level * math.sqrt(self.ring.mean_trust * self.ring.energy)
        return FIRST * level**2 * self.ring.mean_trust / self.scale()

    def begun(self, weight: float) -> Splitting:
        """The iteration at its start."""
        # The sum over a sample's differences is larger than each; their root has been the fastest.
        threshold = self.scale() / math.sqrt(self.prior.groups)
        return Splitting(self.ring, self.prior, weight, threshold=threshold, bounds=self.bounds, coupled=self.coupled)

    def steps(self, state: Splitting) -> Iterator[Array]:
        """The iteration; with a power below one the prior is majorised anew every few steps."""
        threshold: Any = None
        k = 0
        while True:
            if self.power < 1 and BEFORE <= k <= SETTLED and k % REWEIGHTED == 0:
                threshold = self._reweighted(state.x) * state.threshold
            yield state.step(threshold)
            k += 1

    def _reweighted(self, x: Array) -> Array:
        """``(mean length / length)^(1 - power)`` with the length pooled over the neighbourhood.

        The tangent of a concave power from above: Candes, Wakin and Boyd 2008.
        """
        xp, m = namespace(x), self.length(x)
        if self.pooling > 0:
            grid = self.ring.grid
            transfer = gaussian_transfer(grid, self.pooling, m)
            m = xp.sqrt(xp.clip(_fft.filter(m * m, transfer, grid, grid), 0.0, None))
        axes = tuple(range(-self.ring.ndim, 0))
        mean = xp.mean(m, axis=axes, keepdims=True)
        mean = xp.where(mean > 0, mean, xp.ones_like(mean))
        return ((1 + FLOOR) / (m / mean + FLOOR)) ** (1 - self.power)

    def cost(self, x: Array) -> float:
        """The prior's cost of one scene, as total variation."""
        return float(namespace(x).sum(self.length(x)))

    def trials(self, first: float, rule: str, sigma: float, noise_scale: float) -> tuple[float, list[Trial]]:
        """The weight that a rule chooses from the data."""
        xp, y, guess = namespace(self.ring.data), self.ring.data, self.ring.first
        judge = Judge.of(self.ring, noise_scale)
        both = replace(
            self.ring,
            data=xp.stack([y, y + judge.speck]),
            first=xp.stack([guess, guess + judge.speck / self.ring.gain]),
        )
        pair = replace(self, ring=both)
        state = pair.begun(first)
        steps = pair.steps(state)
        length = SETTLING
        moving, agreed = (MOVING_PEAKS, AGREED_PEAKS) if self.prior.peaked else (MOVING, AGREED)

        def trial(weight: float) -> Trial:
            nonlocal length
            state.weight = weight
            before = math.inf
            for _ in range(MOST):
                for _ in islice(steps, length):
                    pass
                length = moving
                x = state.estimate()
                blurred = both.blurred(x)
                result = judge.trial(weight, blurred[0, ...], blurred[1, ...])
                # An unfinished trial has a residual too large and a freedom too small: it would speak for its start.
                if abs(result.gcv() - before) <= agreed * result.gcv():
                    break
                before = result.gcv()
            return replace(result, roughness=self.cost(x[0, ...]))

        return chosen_weight(trial, first, rule, sigma, sparse=self.ring.sparse)


def restored(
    image: Array,
    psf: Array | Convolution,
    prior: Callable[[int], Prior],
    *,
    weight: float | str | None,
    sigma: float | None,
    bounds: tuple[float | None, float | None] | None,
    weights: Array | None,
    boundary: str,
    num_iter: int,
    tol: float,
    callback: Callback | None,
    channel_axis: int | None,
    power: float = 1.0,
    pooling: float = 0.0,
    default: str = "gcv",
) -> Array:
    """The restoration under ``prior(ndim)``; the arguments are those of the public functions.

    `default` is the rule that chooses a weight of None; with too few samples to tell the noise it is "gcv".
    """
    image, back = channels_to_batch(floating(image, "image", finite=False), channel_axis)
    xp = namespace(image)
    if weights is not None:
        weights = trust(weights, image, channel_axis)
        image = xp.where(weights > 0, image, xp.zeros_like(image))
    require_moderate(image, "image" if weights is None else "image (where weights are not 0)")
    rule = weight_or_rule(weight, default)
    limits = checked_bounds(bounds)
    sigma = None if sigma is None else number(sigma, "sigma", minimum=0.0)
    ndim = psf.ndim if hasattr(psf, "ndim") else floating(psf, "psf").ndim
    colours = channel_axis is not None
    if colours and image.ndim > ndim + 1:  # colours next to the frame, so that they share their edges
        image = xp.moveaxis(image, 0, image.ndim - ndim - 1)
        weights = weights if weights is None else xp.moveaxis(weights, 0, image.ndim - ndim - 1)
        inner, last = back, image.ndim - ndim - 1

        def back(result: Array) -> Array:
            return inner(xp.moveaxis(result, last, 0))

    ring = Ring.of(image, psf, boundary, weights)
    problem = Edges(ring, prior(ring.ndim), limits, colours and image.ndim > ring.ndim, power, pooling)
    chosen: dict[str, float] = {}
    if isinstance(rule, str):
        from .noise import SMALLEST, estimate_noise

        if weight is None and sigma is None and rule == "sure":
            enough = math.prod(image.shape[image.ndim - ring.ndim :]) >= SMALLEST
            rule = CAUTIOUS if enough else "gcv"
        if sigma is None and rule in ("sure", CAUTIOUS, "discrepancy"):
            sigma = chosen["sigma"] = estimate_noise(image, psf=psf).sigma
        level = spread(image) if sigma is None else sigma
        faintest = max(FAINT * float(xp.std(image)), float(xp.finfo(image.dtype).eps) * float(xp.max(xp.abs(image))))
        level = max(level, faintest) or 1.0
        # The noise is that of the image as it came; the data that are judged are scaled by the root of the trust.
        share = math.sqrt(ring.mean_trust)
        known = level if sigma is None else sigma
        strength, trials = problem.trials(problem.first(level), rule, share * known, level)
        chosen["weight"] = strength
        found = min(trials, key=Trial.gcv).noise() / share
        if rule == "gcv":
            chosen["sigma"] = found
        elif rule == CAUTIOUS:
            chosen["sigma"] = max(known, found)
    else:
        strength = rule
    state = problem.begun(strength)
    return iterate(
        problem.steps(state),
        num_iter=num_iter,
        tol=tol,
        callback=callback,
        ndim=ring.ndim,
        view=lambda _: state.estimate()[(..., *ring.frame)],
        back=lambda x: xp.asarray(back(x), copy=True),
        chosen=chosen,
    )


def weight_or_rule(weight: float | str | None, default: str = "gcv") -> float | str:
    """A checked weight, or the name of the rule that chooses it."""
    if weight is None:
        return default
    if isinstance(weight, str):
        return choice(weight, RULES, "weight")
    return number(weight, "weight", minimum=0.0)


def checked_bounds(bounds: tuple[float | None, float | None] | None) -> tuple[float, float] | None:
    """Two limits, infinite where open; None if both are."""
    if bounds is None:
        return None
    try:
        low, high = bounds
    except (TypeError, ValueError):
        raise TypeError(f"bounds is {shown(bounds)}; a pair (low, high) is wanted, None where open") from None
    low = -math.inf if low is None or low == -math.inf else number(low, "bounds[0]")
    high = math.inf if high is None or high == math.inf else number(high, "bounds[1]")
    if not low < high:
        raise ValueError(f"bounds is ({low:g}, {high:g}); the first must be smaller than the second")
    return None if math.isinf(low) and math.isinf(high) else (low, high)


def trust(weights: Array, image: Array, channel_axis: int | None) -> Array:
    """The weight of each pixel, broadcast to the image."""
    weights = like(weights, image, "weights")
    xp = namespace(image)
    if channel_axis is not None and weights.ndim == image.ndim:
        weights, _ = channels_to_batch(weights, channel_axis)
    try:
        weights = xp.broadcast_to(weights, image.shape)
    except (ValueError, RuntimeError):
        raise ValueError(
            f"weights has shape {tuple(weights.shape)}, which does not broadcast to the image's "
            f"{tuple(image.shape)}; pass a value for each pixel"
        ) from None
    if float(xp.min(weights)) < 0 or not bool(xp.any(weights > 0)):
        raise ValueError(
            "weights must be 0 or larger, and larger than 0 somewhere; pass 1 for good and 0 for bad pixels"
        )
    return weights
