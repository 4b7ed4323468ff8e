"""Widths of profiles, and least squares between a PSF and a model that the pixels integrate."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

Numbers = np.ndarray[Any, Any]
Model = Callable[[list[Numbers], Numbers, Numbers], Numbers]

FWHM = math.sqrt(8 * math.log(2))  # of a Gaussian, in sigma
REACH = 4.0  # full widths to each side of the peak; what lies farther has no weight in least squares
SAMPLES = 2**16  # that a fit is given; of a PSF with more, every second, third, ... sample
NARROWEST = 0.05  # sample; a narrower model lies in one pixel like this one
WIDEST = 20.0  # array sizes; a wider model is flat
FLATTEST = 1e-3  # 1 / beta; a Moffat function of beta 1000 is a Gaussian


def _widths(samples: Numbers) -> list[float]:
    """Full width at half maximum of each line through the brightest sample; NaN where an end is not in the array."""
    peak = np.unravel_index(samples.argmax(), samples.shape)
    lines = [np.moveaxis(samples, axis, -1)[tuple(np.delete(peak, axis))] for axis in range(samples.ndim)]
    return [_width(line, int(at)) for line, at in zip(lines, peak, strict=True)]


def _width(line: Numbers, peak: int) -> float:
    from scipy.interpolate import PPoly, make_interp_spline

    if len(line) < 2:
        return math.nan
    order = next(k for k in (5, 3, 1) if k < len(line))
    spline = PPoly.from_spline(make_interp_spline(np.arange(len(line)), line, k=order).tck)
    # The maximum of the spline near the brightest sample, which is a candidate too: at the array's end nothing turns.
    turns = spline.derivative().roots(extrapolate=False)
    near = np.append(turns[np.abs(turns - peak) <= 1], peak)  # NaN, for a flat piece, is not near
    top = float(near[spline(near).argmax()])
    crossings = spline.solve(float(spline(top)) / 2, extrapolate=False)
    below, above = crossings[crossings < top], crossings[crossings > top]
    return float(above.min() - below.max()) if len(below) and len(above) else math.nan


def _fitted(
    samples: Numbers, model: Model, extras: list[tuple[float, float, float]]
) -> tuple[Numbers, Numbers, Numbers, float, float]:
    """Widths, extra parameters, centre (both in samples), relative residual and height of a model that is fitted.

    `extras` are least value, start and largest value of the parameters that are neither centre nor width.
    """
    from scipy.optimize import least_squares

    ndim = samples.ndim
    if min(samples.shape) < 3:
        raise ValueError(f"psf has shape {samples.shape}; at least 3 samples an axis are wanted, pass a section of it")
    peak = np.array(np.unravel_index(samples.argmax(), samples.shape))
    start = np.array([n / 2 if math.isnan(w) else w for w, n in zip(_widths(samples), samples.shape, strict=True)])
    start = np.maximum(start, 0.5)
    low, high = (
        np.maximum(peak - np.ceil(REACH * start), 0),
        np.minimum(peak + np.ceil(REACH * start) + 1, samples.shape),
    )
    steps = np.ones(ndim, dtype=int)
    while math.prod(int(k) for k in np.ceil((high - low) / steps)) > SAMPLES:
        steps[(start / steps).argmax()] += 1  # where the samples are densest
    low = peak - (peak - low) // steps * steps  # so that the peak is met
    grid = [np.arange(a, b, step, dtype=int) for a, b, step in zip(low, high, steps, strict=True)]
    values = samples[np.ix_(*grid)]
    norm = math.sqrt(float((values**2).sum()))

    def shape(parameters: Numbers) -> tuple[Numbers, float]:
        """The model, and the height at which it fits best."""
        centre, width, extra = parameters[:ndim], np.exp(parameters[ndim : 2 * ndim]), parameters[2 * ndim :]
        made = model([g - c for g, c in zip(grid, centre, strict=True)], width, extra)
        return made, float((made * values).sum() / max(float((made**2).sum()), 1e-300))

    def left(parameters: Numbers) -> Numbers:
        made, height = shape(parameters)
        result: Numbers = (values - height * made).ravel() / norm
        return result

    n = np.array(samples.shape)
    limits = [*zip(np.full(ndim, -0.5), n - 0.5, strict=True)]
    limits += [*zip(np.full(ndim, math.log(NARROWEST)), np.log(WIDEST * n), strict=True)]
    limits += [(least, most) for least, _, most in extras]
    first = [*peak, *np.log(start), *(value for _, value, _ in extras)]
    found = least_squares(
        left, first, bounds=([a for a, _ in limits], [b for _, b in limits]), xtol=1e-10, ftol=1e-13, gtol=1e-12
    )
    widths = np.exp(found.x[ndim : 2 * ndim])
    residual = math.sqrt(2 * found.cost)
    return widths, found.x[2 * ndim :], found.x[:ndim], residual, shape(found.x)[1]


def _gaussian(at: list[Numbers], width: Numbers, extra: Numbers) -> Numbers:
    """Mean over each pixel of a Gaussian of height 1 at 0."""
    from scipy.special import ndtr

    result: Numbers = np.ones(())
    for x, sigma in zip(at, width / FWHM, strict=True):
        mean = (ndtr((x + 0.5) / sigma) - ndtr((x - 0.5) / sigma)) * sigma * math.sqrt(2 * math.pi)
        result = result[..., None] * mean
    return result


def _moffat(at: list[Numbers], width: Numbers, extra: Numbers) -> Numbers:
    """Mean over each pixel of a Moffat function of height 1 at 0."""
    beta = 1 / float(extra[0])
    alpha = width / (2 * math.sqrt(math.expm1(math.log(2) / beta)))
    terms, shares = [], []
    for axis, (x, a) in enumerate(zip(at, alpha, strict=True)):
        nodes, weights = np.polynomial.legendre.leggauss(2 + min(math.ceil(6 / width[axis]), 10))
        column = (-1,) + (1,) * (len(at) - 1 - axis)
        terms.append([((x + node / 2) / a).reshape(column) ** 2 for node in nodes])
        shares.append(weights / 2)
    result: Numbers = np.zeros([len(x) for x in at])
    for term, share in zip(itertools.product(*terms), itertools.product(*shares), strict=True):
        result += math.prod(share) * (1 + sum(term)) ** -beta
    return result
