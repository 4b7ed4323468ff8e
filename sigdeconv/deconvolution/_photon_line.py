"""The straight line of variance against brightness that photons draw: its slope is the gain."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np

from ._patches import Patches, Quiet, quiet

Real = np.ndarray[Any, Any]

BINS = 16  # of brightness, for the first line
CROWD = 4.0  # independent patches that a bin needs
TEXTURE = 0.02  # relative error of a bin's variance besides chance
ABOVE, BELOW = 4.0, 25.0  # squared standard errors beyond which a bin counts no further: texture lies above the line
ROUNDS = 3  # of selecting patches by the line and drawing the line through them
FEWEST = 50.0  # independent patches through which a line is drawn
STEEP = 0.05  # relative standard error of the slope that asks for more patches
AGREES = 2.0  # standard errors within which those of another brightness agree with the line
FIT = 20  # reweightings; the line stands still after about ten
FLOOR = 1e-3  # of the mean variance, which no patch is expected to fall below
NEEDED = 4.0  # gain in twice the log-likelihood for which a line may leave the origin (two standard errors)
CLEARLY = 0.2  # more of the patches agree with a line that meets the axis at a positive value, where one is taken


def photon_line(those: Patches) -> tuple[float, float]:
    """Gain, and variance of a sample of value zero (negative where the camera adds an offset).

    The first line is the lower edge of the variances of the quiet patches by brightness. Divided by the line, all
    patches have one variance, and the quiet ones of all brightnesses together draw the next line.
    """
    if not np.any(those.fine):
        return 0.0, 0.0
    bins = _by_brightness(those)
    mean = np.array([np.mean(those.mean[q.which]) for q in bins])
    variance, error = np.array([q.variance for q in bins]), np.array([q.error for q in bins])
    size = np.array([float(len(q.which)) for q in bins])

    def agreeing(line: tuple[float, float]) -> float:
        """Share of the quiet patches whose brightness has the variance that the line says."""
        expected = np.maximum(line[0] * mean + line[1], 1e-300)
        return float(size @ (np.abs(variance / expected - 1) < AGREES * error + TEXTURE) / size.sum())

    plain, shifted = (_settled(those, _lower_edge(mean, variance, error, below), below) for below in (False, True))
    # Texture that grows with brightness imitates an offset, but only in some of the patches.
    return shifted if shifted[1] < 0 and agreeing(shifted) > agreeing(plain) + CLEARLY else plain


def _settled(those: Patches, line: tuple[float, float], below: bool) -> tuple[float, float]:
    """The line through the patches that are quiet by it; with `below`, its intercept may be negative."""
    slope, floor = line
    for _ in range(ROUNDS):
        if slope <= 0 and floor <= 0:
            break  # no noise in the quiet patches
        expected = slope * those.mean + floor
        expected = np.maximum(expected, FLOOR * max(float(np.mean(np.maximum(expected, 0.0))), 1e-300))
        relative = those.over(expected)
        found = [quiet(relative, fewest=FEWEST)]
        if _doubt(those.mean, expected, found[0], those.fresh) > STEEP * slope:
            # All of one brightness: others, where they agree with the line, hold it at its ends.
            level = found[0].variance
            found += [q for q in _by_brightness(relative) if abs(q.variance / level - 1) < AGREES * q.error]
        mean = np.concatenate([those.mean[q.which] for q in found])
        variance = np.concatenate([np.mean(those.fine[q.which, : q.depth] ** 2, axis=1) for q in found])
        freedom = np.concatenate([np.full(len(q.which), those.fresh * q.depth) for q in found])
        slope, floor = _likeliest(mean, variance, freedom, below)
    return slope, floor


def _doubt(mean: Real, line: Real, found: Quiet, fresh: float) -> float:
    """Standard error of the slope of a line through these patches."""
    weights = 1 / line[found.which] ** 2
    away = mean[found.which] - np.average(mean[found.which], weights=weights)
    information = fresh * found.depth / 2 * float(weights @ away**2)
    return 1 / math.sqrt(information) if information > 0 else math.inf


def _by_brightness(those: Patches) -> list[Quiet]:
    """The quiet patches of each brightness."""
    order = np.argsort(those.mean, kind="stable")
    low, high = those.mean[order[0]], those.mean[order[-1]]
    # Even steps of the square root are even steps in terms of photon noise.
    place = np.sqrt((those.mean[order] - low) / max(high - low, 1e-300))
    cuts = np.searchsorted(place, np.linspace(0, 1, BINS + 1)[1:-1])
    fewest = math.ceil(CROWD / those.fresh)
    found: list[Quiet] = []
    start = 0
    for stop in [*cuts.tolist(), len(order)]:
        if stop - start < fewest and not (stop == len(order) and not found):
            continue
        some = quiet(those.chosen(order[start:stop]))
        found.append(replace(some, which=order[start:stop][some.which]))
        start = stop
    return found


def _lower_edge(mean: Real, variance: Real, error: Real, below: bool) -> tuple[float, float]:
    """The line through two of the points, or one and the origin, that most others lie on and few below."""
    relative = np.sqrt(error**2 + TEXTURE**2)
    tiny = 1e-12 * float(variance.max()) + 1e-300

    def cost(line: tuple[float, float]) -> float:
        expected = np.maximum(line[0] * mean + line[1], tiny)
        away = (variance - expected) / (relative * expected)
        return float(np.sum(np.minimum(away**2, np.where(away > 0, ABOVE, BELOW))))

    lines = [(0.0, v) for v in variance.tolist()]
    lines += [(v / m, 0.0) for m, v in zip(mean.tolist(), variance.tolist(), strict=True) if m > 0]
    for i, j in itertools.combinations(range(len(mean)), 2):
        if mean[j] > mean[i] and variance[j] > variance[i]:
            slope = float((variance[j] - variance[i]) / (mean[j] - mean[i]))
            floor = float(variance[i] - slope * mean[i])
            if floor >= 0 or below:
                lines.append((slope, floor))
    return min(lines, key=cost)


def _likeliest(mean: Real, variance: Real, freedom: Real, below: bool) -> tuple[float, float]:
    """The likeliest line through variances of `freedom` degrees each: the simplest that the data allow."""
    tiny = FLOOR * max(float(np.mean(variance)), 1e-300)

    def misfit(slope: float, floor: float) -> float:
        """Minus twice the log-likelihood, less what all lines share."""
        line = np.maximum(slope * mean + floor, tiny)
        return float(freedom @ (variance / line + np.log(line)))

    def fitted(free: bool) -> tuple[float, float]:
        slope, floor = 0.0, float(np.mean(variance))
        for _ in range(FIT):
            weights = freedom / np.maximum(slope * mean + floor, tiny) ** 2
            center, level = np.average(mean, weights=weights), np.average(variance, weights=weights)
            if free:
                away = mean - center
                spread = weights @ away**2
                slope = max(float(weights @ (away * variance) / spread), 0.0) if spread > 0 else 0.0
                floor = float(level - slope * center)
            else:
                spread = weights @ mean**2
                slope, floor = max(float(weights @ (mean * variance) / spread), 0.0) if spread > 0 else 0.0, 0.0
        return slope, floor

    through, free = fitted(free=False), fitted(free=True)
    if free[1] < 0 and not below:
        free = through
    if not through[0] > 0:
        return free if free[1] >= 0 else (0.0, float(np.mean(variance)))
    return free if misfit(*through) - misfit(*free) > NEEDED else through
