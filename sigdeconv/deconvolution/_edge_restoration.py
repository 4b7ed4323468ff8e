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
from ._trials import RULES, Trial, chosen_weight, judged, speck, spread

FIRST = (
    0.3  # weight times mean difference over the noise's variance: about right for photographs, where the trials begin
)
FAINT = 1e-4  # of the image's deviation: noise below is not believed
SETTLING = 40  # iterations of the first trial before it is judged; the others start from a neighbour
MOVING, MOST = 15, 10  # iterations between judgements of a trial, and judgements at most
AGREED = 0.01  # of the score: two judgements of a trial that differ by less end it
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
        """Mean length of the differences of the data, as a scene."""
        xp, x = namespace(self.ring.first), self.ring.first
        lowest = float(xp.finfo(x.dtype).eps) * float(xp.max(xp.abs(x)))
        return max(float(xp.mean(self.length(x))), lowest) or 1.0

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
        xp, y = namespace(self.ring.data), self.ring.data
        noise, scale = speck(self.ring, noise_scale)
        both = replace(
            self.ring,
            data=xp.stack([y, y + scale * noise]),
            first=xp.stack([self.ring.first, self.ring.first + (scale / self.ring.gain) * noise]),
        )
        pair = replace(self, ring=both)
        state = pair.begun(first)
        steps = pair.steps(state)
        length = SETTLING

        def trial(weight: float) -> Trial:
            nonlocal length
            state.weight = weight
            before = math.inf
            for _ in range(MOST):
                for _ in islice(steps, length):
                    pass
                length = MOVING
                x = state.estimate()
                blurred = both.blurred(x)
                result = judged(self.ring, weight, blurred[0, ...], blurred[1, ...], noise, scale)
                # An unfinished trial has a residual too large and a freedom too small: it would speak for its start.
                if abs(result.gcv() - before) <= AGREED * result.gcv():
                    break
                before = result.gcv()
            return replace(result, roughness=self.cost(x[0, ...]))

        return chosen_weight(trial, first, rule, sigma)


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
) -> Array:
    """The restoration under ``prior(ndim)``; the arguments are those of the public functions."""
    image, back = channels_to_batch(floating(image, "image", finite=False), channel_axis)
    xp = namespace(image)
    if weights is not None:
        weights = trust(weights, image, channel_axis)
        image = xp.where(weights > 0, image, xp.zeros_like(image))
    require_moderate(image, "image" if weights is None else "image (where weights are not 0)")
    rule = weight_or_rule(weight)
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
        level = spread(image) if sigma is None else sigma
        if sigma is None and rule in ("sure", "discrepancy"):
            from .noise import estimate_noise

            level = estimate_noise(image, psf=ring_psf(psf)).sigma
            sigma = chosen["sigma"] = level * math.sqrt(ring.mean_trust)
        level = (
            max(level, FAINT * float(xp.std(image)), float(xp.finfo(image.dtype).eps) * float(xp.max(xp.abs(image))))
            or 1.0
        )
        first = FIRST * level**2 * ring.mean_trust / problem.scale()
        strength, trials = problem.trials(first, rule, level if sigma is None else sigma, level)
        chosen["weight"] = strength
        if rule == "gcv":
            best = min(trials, key=Trial.gcv)
            chosen["sigma"] = math.sqrt(best.residual / max(best.count - best.freedom, 1.0))
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


def ring_psf(psf: Array | Convolution) -> Array | None:
    """The samples of a PSF, if there are any."""
    return psf.psf if isinstance(psf, Convolution) else psf


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
    low = -math.inf if low is None else number(low, "bounds[0]")
    high = math.inf if high is None else number(high, "bounds[1]")
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
