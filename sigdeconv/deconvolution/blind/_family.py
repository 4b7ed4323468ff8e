"""Families of PSFs with a formula, and the range in which their parameters are sought."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._array import choice, number, shown, to_numpy
from ...psf.kernels import airy, disk, gaussian, motion, normalize
from ._spectrum import Numbers

FAMILIES = ("gaussian", "disk", "motion", "airy")
RATIO = 4.0  # between bounds, from which the candidates are spaced by factors and not by differences
MOST = 3  # parameters: a grid of more takes too long
TAIL = 4.0  # standard deviations of a Gaussian within its array
RINGS = 8.0  # radii of the Airy disk within its array
TURN = 180.0  # degrees after which a line looks the same
LARGEST = 64.0  # pixels, of a PSF by default
SHARE = 0.25  # of the image at most


@dataclass(frozen=True)
class Parameter:
    name: str
    low: float
    high: float
    period: float = math.inf  #: after which the PSF is the same

    @property
    def fixed(self) -> bool:
        return self.low == self.high

    @property
    def cyclic(self) -> bool:
        return self.high - self.low >= self.period

    @property
    def by_factors(self) -> bool:
        return self.low > 0 and self.high / self.low >= RATIO and not self.cyclic

    def value(self, u: float) -> float:
        """From the unit interval to the parameter."""
        if self.cyclic:
            return float(self.low + (u * (self.high - self.low)) % self.period)
        u = min(max(u, 0.0), 1.0)
        if self.by_factors:
            return float(min(max(self.low * (self.high / self.low) ** u, self.low), self.high))
        return float(self.low + u * (self.high - self.low))

    def places(self, count: int) -> Numbers:
        """Candidates in the unit interval."""
        if self.fixed:
            return np.zeros(1)
        return np.linspace(0, 1, count, endpoint=not self.cyclic)


@dataclass(frozen=True)
class Form:
    """A family of PSFs and the range of its parameters."""

    build: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    ndim: int

    @classmethod
    def of(cls, family: Any, bounds: Any, frame: tuple[int, ...]) -> Form:
        """From what the caller passed, checked."""
        if bounds is not None and not isinstance(bounds, Mapping):
            raise TypeError(f"bounds is {shown(bounds)}; a mapping from parameter to (low, high) is wanted")
        given = dict(bounds or {})
        if isinstance(family, str):
            build, ranges, least = _known(choice(family, FAMILIES, "family"), frame)
            unknown = [name for name in given if name not in ranges]
            if unknown:
                raise ValueError(
                    f"bounds has the parameter {shown(unknown[0])} but {family!r} has {', '.join(map(repr, ranges))}"
                )
            given = ranges | given
        elif callable(family):
            build, least = family, -math.inf
            if not 1 <= len(given) <= MOST:
                raise ValueError(
                    f"bounds has {len(given)} parameters; name each parameter of the callable, one to {MOST}, "
                    "as bounds={'radius': (1, 9)}"
                )
        else:
            raise TypeError(f"family is {shown(family)}; pass one of {', '.join(map(repr, FAMILIES))} or a callable")
        parameters = []
        for name, pair in given.items():
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TypeError(f"bounds[{name!r}] is {shown(pair)}; a pair (low, high) is wanted")
            angle = family == "motion" and name == "angle"
            low = number(pair[0], f"bounds[{name!r}][0]", minimum=-math.inf if angle else least)
            parameters.append(
                Parameter(name, low, number(pair[1], f"bounds[{name!r}][1]", minimum=low), TURN if angle else math.inf)
            )
        form = cls(build, tuple(parameters), len(frame))
        form.reach()  # a callable that gives no PSF of this number of axes is refused before any work
        return form

    def psf(self, values: Sequence[float]) -> Numbers:
        """The PSF of sum 1."""
        psf = self.build(**{p.name: v for p, v in zip(self.parameters, values, strict=True)})
        psf = np.asarray(to_numpy(normalize(psf)), dtype=np.float64)
        if psf.ndim != self.ndim:
            raise ValueError(
                f"family gives a PSF of {psf.ndim} dimensions but the frame has {self.ndim}; pass ndim={psf.ndim}"
            )
        return psf

    def reach(self) -> tuple[int, ...]:
        """The largest PSF, looked for at the corners of the range."""
        ends = ((p.low, (p.low + p.high) / 2, p.high) for p in self.parameters)
        return tuple(np.max([self.psf(values).shape for values in itertools.product(*ends)], axis=0).tolist())

    def at(self, place: Numbers) -> list[float]:
        """The parameters at a point of the unit cube."""
        return [p.value(float(u)) for p, u in zip(self.parameters, place, strict=True)]


def _known(family: str, frame: tuple[int, ...]) -> tuple[Callable[..., Any], dict[str, tuple[float, float]], float]:
    """A family by name: the function, the default bounds, and the smallest value that makes sense."""
    ndim, widest = len(frame), min(LARGEST, SHARE * min(frame))
    if family != "gaussian" and ndim != 2:
        raise ValueError(f"family is {family!r}, which is a plane, but the frame has {ndim} dimensions; pass ndim=2")
    if family == "gaussian":

        def round_blur(sigma: float) -> Numbers:
            return gaussian((2 * math.ceil(TAIL * sigma) + 1,) * ndim, sigma)

        return round_blur, {"sigma": (0.25, widest / 5)}, 0.0
    if family == "disk":
        return disk, {"radius": (0.5, widest / 2)}, 1e-3
    if family == "motion":
        return motion, {"length": (1.0, widest), "angle": (0.0, TURN)}, 1.0

    def rings(radius: float) -> Numbers:
        # The first zero of J1 over 2 pi: the dark ring is at this many wavelengths over the aperture.
        size = 2 * math.ceil(RINGS * radius) + 1
        return airy(size, wavelength=radius / 0.6098, na=1.0, pixel_size=1.0)

    return rings, {"radius": (0.5, widest / 4)}, 0.1
