"""Scalar diffraction by a round lens: the intensity against radius and focus, with the aberrations of Gibson and Lanni.

Lengths are in micrometre. ``rho`` runs over the radius of the pupil, from 0 on the axis to 1 at its rim; the field is
``U(r, f) = 2 ∫ P(rho, f) J0(k NA r rho) rho drho``, which is 1 in the focus of a lens without errors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Numbers = np.ndarray[Any, Any]

NODES = 32  # of Gauss and Legendre in a panel
PANEL = 28.0  # radians of phase that so many nodes integrate to rounding
SPREAD = 1.5  # the series is made of Bessel functions of period 2 SPREAD: longer than the pupil, so that nothing rings
MARGIN = 1.0  # the finest of these functions against the steepest phase of the pupil
FEWEST = 20  # terms that a flat pupil gets as well
MOST = 500  # terms of the series; where it needs more, quadrature is faster
CUT = 1e-11  # singular values of the fit below this part of the largest are rounding
ALIKE = 1e-7  # relative difference of two squared frequencies below which their quotient is 0 / 0
RIM = 0.95  # of the area of the pupil: rays further out do not decide where the focus may be
WIDEST = 6000  # eighths of the depth of focus through which the best focus is searched
BLOCK = 1 << 21  # samples of the pupil, over all planes, that are held at a time


@dataclass(frozen=True)
class Lens:
    """An objective and what lies between it and the particle.

    Parameters
    ----------
    na : float
        Numerical aperture.
    immersion : float
        Refractive index of the immersion medium.
    layers : tuple of (float, float)
        Thickness and refractive index of every layer whose path does not change with focus; of the design, negative.
    sample : tuple of (float, float)
        Depth of the particle and refractive index around it.
    paraxial : bool
        Defocus as a parabola over the pupil.
    """

    na: float
    immersion: float
    layers: tuple[tuple[float, float], ...] = ()
    sample: tuple[float, float] = (0.0, 1.0)
    paraxial: bool = False

    @property
    def critical(self) -> float:
        """Radius in the pupil of the rays that leave the sample at the critical angle; infinite where none does."""
        depth, index = self.sample
        return index / self.na if depth > 0 and index < self.na else math.inf

    @property
    def detail(self) -> float:
        """Highest frequency of the intensity along the optical axis, in cycles per micrometre of vacuum wavelength."""
        rim: float = self._along(self.immersion, np.ones(1))[0].real
        return self.immersion - rim

    def _along(self, index: float, rho: Numbers) -> Numbers:
        """Component along the axis of the wave vector, in units of k; imaginary where the wave is evanescent."""
        if self.paraxial:
            return (index - (self.na * rho) ** 2 / (2 * index)).astype(complex)
        result: Numbers = np.sqrt((index**2 - (self.na * rho) ** 2).astype(complex))
        return result

    def path(self, rho: Numbers) -> Numbers:
        """Optical path in focus at the coverslip, but for what is the same all over the pupil."""
        total = np.zeros(rho.shape, complex)
        for thickness, index in (*self.layers, self.sample):
            if thickness:
                total += thickness * (self._along(index, rho) - index)
        return total

    def defocus(self, rho: Numbers) -> Numbers:
        """Optical path that is lost with every micrometre by which the focus is moved into the sample."""
        return (self._along(self.immersion, rho) - self.immersion).real

    def _slopes(self, rho: Numbers) -> tuple[Numbers, Numbers]:
        """Derivatives of `path` and `defocus`."""
        fall = -(self.na**2) * rho
        if self.paraxial:
            return np.zeros(rho.shape), fall / self.immersion
        path = np.zeros(rho.shape)
        for thickness, index in (*self.layers, self.sample):
            if thickness:
                along = self._along(index, rho)
                path += np.where(along.imag == 0, (thickness * fall / np.where(along == 0, 1, along)).real, 0.0)
        return path, fall / self._along(self.immersion, rho).real

    def pupil(self, rho: Numbers, focus: Numbers, wavelength: float) -> Numbers:
        """Complex amplitude in the pupil, shape (rho, focus)."""
        path = self.path(rho)[:, None] - focus[None, :] * self.defocus(rho)[:, None]
        result: Numbers = np.exp(2j * math.pi / wavelength * path)
        return result


def intensity(lens: Lens, wavelength: float, radii: Numbers, focus: Numbers) -> Numbers:
    """Intensity at all radii for all positions of the focus, shape (radii, focus); 1 is the peak of a perfect lens."""
    from scipy.special import j0

    k = 2 * math.pi / wavelength
    v = k * lens.na * radii
    result = np.empty((len(radii), len(focus)))
    rho = np.linspace(0, 1, 257)
    path, lost = lens._slopes(rho)
    ends = np.array([focus.min(), focus.max()])
    terms = math.inf
    if lens.critical == math.inf:
        steepest = k * np.abs(path[:, None] - ends * lost[:, None]).max()
        terms = FEWEST + SPREAD / math.pi * MARGIN * steepest
    if terms <= MOST:
        transform, rho, fit = _series(v, math.ceil(terms))
    else:
        # Total reflection puts a kink into the pupil, and far from the focus too many terms are needed.
        rho, weights = _nodes(lens, ends, v.max(), wavelength)
        if len(v) * len(rho) > 8 * BLOCK and len(v) > 1:
            parts = np.array_split(radii, 2)
            return np.concatenate([intensity(lens, wavelength, part, focus) for part in parts])
        transform, fit = 2 * (weights * rho) * j0(np.outer(v, rho)), None
    count = max(BLOCK // len(rho), 1)
    for start in range(0, len(focus), count):
        part = slice(start, start + count)
        pupil = lens.pupil(rho, focus[part], wavelength)
        values = np.concatenate([pupil.real, pupil.imag], axis=1)
        field = transform @ (values if fit is None else fit(values))
        half = field.shape[1] // 2
        result[:, part] = field[:, :half] ** 2 + field[:, half:] ** 2
    return result


def plane_light(lens: Lens, wavelength: float) -> float:
    """Integral of the intensity over any plane, in µm², by Parseval's theorem from the pupil."""
    rho, weights = _nodes(lens, np.zeros(1), 0.0, wavelength)
    passed = 2 * (weights * rho) @ np.abs(lens.pupil(rho, np.zeros(1), wavelength)[:, 0]) ** 2
    return float(passed) * wavelength**2 / (math.pi * lens.na**2)


def _series(v: Numbers, terms: int) -> tuple[Numbers, Numbers, Any]:
    """Matrix from the coefficients of a Bessel series to the field, nodes in the pupil, and the fit to values there.

    The pupil is written as ``Σ c_m J0(s_m rho)``, whose integral against ``J0(v rho) rho`` is in closed form.
    """
    from scipy.linalg import lstsq
    from scipy.special import j0, j1

    s = np.arange(terms) * math.pi / SPREAD
    rho, weights = _panels(0.0, 1.0, math.ceil(2.5 * terms / NODES))
    scale = np.sqrt(weights * rho)[:, None]  # the error that is made small is then that of the field
    basis = scale * j0(np.outer(rho, s))

    def fit(values: Numbers) -> Numbers:
        found: Numbers = lstsq(basis, scale * values, cond=CUT, lapack_driver="gelsy", check_finite=False)[0]
        return found

    apart = s**2 - v[:, None] ** 2
    alike = np.abs(apart) <= ALIKE * (1 + s**2)
    across = s * j1(s) * j0(v)[:, None] - (v * j1(v))[:, None] * j0(s)
    # eq. 5 of Li, Xue and Blu, and its limit where both frequencies are the same
    return np.where(alike, j0(s) ** 2 + j1(s) ** 2, 2 * across / np.where(alike, 1.0, apart)), rho, fit


def _panels(start: float, stop: float, count: int) -> tuple[Numbers, Numbers]:
    """Nodes and weights of Gauss and Legendre on `count` equal panels."""
    x, w = np.polynomial.legendre.leggauss(NODES)
    edges = np.linspace(start, stop, max(count, 1) + 1)
    half = np.diff(edges)[:, None] / 2
    return ((edges[:-1, None] + half) + half * x).ravel(), (half * w).ravel()


def _nodes(lens: Lens, focus: Numbers, v: float, wavelength: float) -> tuple[Numbers, Numbers]:
    """Nodes and weights over the pupil that resolve its phase at all positions of the focus and ``J0(v rho)``.

    The variable is the angle of the ray where it is steepest: in it, square roots that end in the pupil are smooth.
    """
    k = 2 * math.pi / wavelength
    indices = [lens.immersion, *(index for thickness, index in (*lens.layers, lens.sample) if thickness)]
    steepest = min(indices) / lens.na
    parts: list[tuple[Any, Any, float]] = [(np.sin, np.cos, math.asin(min(1 / steepest, 1.0)))]
    if steepest < 1:  # beyond the critical angle the wave is evanescent
        parts.append((np.cosh, np.sinh, math.acosh(1 / steepest)))
    rho, weights = [], []
    for place, speed, stop in parts:
        inside = stop * np.linspace(0, 1, 258)[1:-1]
        path, lost = lens._slopes(steepest * place(inside))
        fall = steepest * speed(inside) * (np.abs(path[:, None] - focus * lost[:, None]).max(axis=1) * k + v)
        nodes, weight = _panels(0.0, stop, math.ceil(fall.max() * stop / PANEL) + 1)
        rho.append(steepest * place(nodes))
        weights.append(weight * steepest * speed(nodes))
    return np.concatenate(rho), np.concatenate(weights)


def best_focus(lens: Lens, wavelengths: Sequence[float]) -> float:
    """Position of the focus where the particle is brightest, on the axis; of several wavelengths, their product."""
    if lens.paraxial or not any(thickness for thickness, _ in (*lens.layers, lens.sample)):
        return 0.0
    rho = np.sqrt(np.linspace(0, RIM * min(1.0, lens.critical) ** 2, 64)[1:])
    path, lost = lens._slopes(rho)
    zones = path / lost  # where rays from each zone of the pupil meet the axis
    low, high = float(zones.min()), float(zones.max())
    step = min(wavelengths) / lens.detail / 8  # of the finest detail along the axis
    if high - low > WIDEST * step:
        raise ValueError(
            f"the focus is smeared over {high - low:.4g} µm by what light passes; check depth, working_distance and "
            f"coverslip_thickness, in µm, and the refractive indices with those of the design"
        )
    places = np.linspace(low - step, high + step, math.ceil((high - low) / step) + 3)
    for _ in range(3):
        bright = np.ones(len(places))
        for wavelength in wavelengths:
            nodes, weights = _nodes(lens, places[[0, -1]], 0.0, wavelength)
            count = max(BLOCK // len(nodes), 1)
            for start in range(0, len(places), count):
                part = slice(start, start + count)
                bright[part] *= np.abs((weights * nodes) @ lens.pupil(nodes, places[part], wavelength)) ** 2
        top = min(max(int(bright.argmax()), 1), len(places) - 2)
        left, peak, right = bright[top - 1 : top + 2]
        bend = left - 2 * peak + right
        step = places[1] - places[0]
        found = float(places[top] + (0.5 * (left - right) / bend * step if bend < 0 else 0.0))
        places = found + step * np.linspace(-1, 1, 17)
    return found
