"""The likeliest PSF of a family: a grid of parameters, then lines along each of them, then descent."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._family import Form
from ._spectrum import Fit, Numbers, PowerSpectrum

GRID = {1: (64,), 2: (16, 24), 3: (9, 9, 9)}  # candidates for each parameter, by how many are searched
SCAN = 64  # candidates of one parameter, the others kept: the valley of a long motion is a few per cent wide
ROUNDS = 2  # of scans along each parameter
DESCENTS = 3  # from the best points of the grid: the likelihood of a line or a disk has ripples
ROUGHLY, CLOSELY = 1 << 13, 1 << 15  # frequencies that the search on the grid and the descent look at
FINEST = 1e-3  # of the distance between candidates: where the descent ends


class Found(NamedTuple):
    """The likeliest parameters."""

    values: list[float]
    fit: Fit
    candidates: list[Numbers]  #: of each parameter on the grid
    scores: Numbers  #: on the grid


def likeliest(spectrum: PowerSpectrum, form: Form, sigma: float | None) -> Found:
    """Search the range of the parameters."""
    rough = spectrum.thinned(ROUGHLY)
    candidates, scores, starts = _on_grid(rough, form, sigma)
    starts = [_scanned(rough, form, sigma, *start) for start in starts]
    values, fit = _descended(spectrum.thinned(CLOSELY), form, sigma, starts)
    return Found(values, fit, candidates, scores)


def _spacing(form: Form) -> list[int]:
    """Candidates for each parameter."""
    counts = iter(GRID[max(1, sum(not p.fixed for p in form.parameters))])
    return [1 if p.fixed else next(counts) for p in form.parameters]


def _on_grid(
    spectrum: PowerSpectrum, form: Form, sigma: float | None
) -> tuple[list[Numbers], Numbers, list[tuple[Numbers, Fit]]]:
    """Score every combination of candidates; also where the lowest valleys are."""
    places = [p.places(count) for p, count in zip(form.parameters, _spacing(form), strict=True)]
    scores = np.empty([len(u) for u in places])
    fits: dict[tuple[int, ...], Fit] = {}
    state = None
    for index in np.ndindex(*scores.shape):
        place = np.array([u[i] for u, i in zip(places, index, strict=True)])
        fit = spectrum.fit(form.psf(form.at(place)), sigma, state)
        fits[index], scores[index], state = fit, fit.score, fit.state
    lowest = sorted(fits, key=lambda index: scores[index])
    valleys = [index for index in lowest if all(scores[index] <= scores[n] for n in _neighbours(index, form, scores))]
    starts = [
        (np.array([u[i] for u, i in zip(places, index, strict=True)]), fits[index]) for index in valleys[:DESCENTS]
    ]
    values = [np.array([p.value(u) for u in us]) for p, us in zip(form.parameters, places, strict=True)]
    return values, scores, starts


def _neighbours(index: tuple[int, ...], form: Form, scores: Numbers) -> list[tuple[int, ...]]:
    """The grid points beside a grid point."""
    result = []
    for axis, (i, p) in enumerate(zip(index, form.parameters, strict=True)):
        n = scores.shape[axis]
        for j in (i - 1, i + 1):
            if p.cyclic or 0 <= j < n:
                result.append((*index[:axis], j % n, *index[axis + 1 :]))
    return result


def _scanned(spectrum: PowerSpectrum, form: Form, sigma: float | None, place: Numbers, fit: Fit) -> tuple[Numbers, Fit]:
    """The best place along each parameter in turn, on a finer scale than the grid's."""
    if sum(not p.fixed for p in form.parameters) < 2:
        return place, fit
    # The last parameter first: a wrong angle hides the length, and not the other way round.
    free = [axis for axis, parameter in enumerate(form.parameters) if not parameter.fixed][::-1]
    for axis in free * ROUNDS:
        for u in form.parameters[axis].places(SCAN):
            trial = place.copy()
            trial[axis] = u
            tried = spectrum.fit(form.psf(form.at(trial)), sigma, fit.state)
            if tried.score < fit.score:
                place, fit = trial, tried
    return place, fit


def _descended(
    spectrum: PowerSpectrum, form: Form, sigma: float | None, starts: list[tuple[Numbers, Fit]]
) -> tuple[list[float], Fit]:
    """The best parameters, by Nelder and Mead's simplex from each start."""
    from scipy.optimize import minimize

    free = [i for i, p in enumerate(form.parameters) if not p.fixed]
    steps = np.array([1.0 / max(count - 1, 1) for count in _spacing(form)])[free]
    best: tuple[list[float], Fit] | None = None
    for place, begun in starts:
        origin = place[free]

        def score(offset: Numbers, place: Numbers = place, origin: Numbers = origin, begun: Fit = begun) -> float:
            trial = place.copy()
            trial[free] = origin + offset * steps
            values = form.at(trial)
            fit = spectrum.fit(form.psf(values), sigma, begun.state)
            nonlocal best
            if best is None or fit.score < best[1].score:
                best = values, fit
            return fit.score

        corners = np.vstack([np.zeros(len(free)), 0.5 * np.eye(len(free))])
        if free:
            minimize(
                score,
                corners[0],
                method="Nelder-Mead",
                options={"initial_simplex": corners, "xatol": FINEST, "fatol": 1e-9, "maxiter": 100 * len(free)},
            )
        else:
            score(np.zeros(0))
    assert best is not None
    return best
