"""What is known of a PSF while its samples are not: support, symmetry, sum and centroid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._array import from_python, shown, to_numpy

Numbers = np.ndarray[Any, Any]

SYMMETRIES = ("none", "point", "axes", "radial")
RADIAL_STEP = 0.5  # pixel; between the nodes of a radial profile, which is straight in between
NEWTON = 30  # steps to the centroid, at most
CLOSE = 1e-7  # pixel; to the centroid
FIRM = 1e-9  # of a pixel squared: along an axis of one sample there is nothing to move


@dataclass
class Shape:
    """A PSF that keeps its constraints under multiplicative updates."""

    psf: Numbers  #: of sum 1
    symmetry: str
    centroid: Numbers | None  #: where it is kept, in pixels from the origin; None if the symmetry sees to it
    profile: tuple[Numbers, Numbers] | None  #: samples from nodes of a radial profile, and the nodes that fit samples

    @classmethod
    def of(cls, guess: Numbers, support: Any, symmetry: str, *, centered: bool) -> Shape:
        """From a first guess; `centered`: with its centroid at the origin, else where that of the guess is."""
        h = np.maximum(guess, 0.0)
        if support is not None:
            given = from_python(support, "support") if isinstance(support, (list, tuple)) else support
            mask = np.asarray(to_numpy(given))
            if mask.shape != h.shape:
                raise ValueError(f"support has shape {mask.shape} but the psf has {h.shape}; pass one sample for each")
            if mask.dtype.kind not in "biuf" or not np.isin(mask, (0, 1)).all():
                raise TypeError(f"support is {shown(support)} with values other than True and False; pass a mask")
            h = h * mask
        shape = cls(h, symmetry, None, _radial(h.shape) if symmetry == "radial" else None)
        if symmetry != "none":
            # Where one of the samples that are to be equal is outside, all are: an even PSF's first row has no partner.
            h = h * _orbit(_paired(h > 0), symmetry, np.minimum)
        h = np.where(h > 0, shape.tied(h), 0.0)
        if not h.sum() > 0:
            raise ValueError(
                "psf is zero wherever support and symmetry let it be other; pass a guess that is larger than 0 there"
            )
        shape.psf = h / h.sum()
        if symmetry == "none":
            shape.centroid = np.zeros(h.ndim) if centered else shape.moments(shape.psf)[0]
            shape.center()
        return shape

    def update(self, quotient: Numbers, sensitivity: Numbers) -> float:
        """Richardson and Lucy's step; gives the factor that the scene takes over, for the PSF keeps the sum 1."""
        top, bottom = self.tied(quotient), self.tied(sensitivity)
        # Rounding of the transforms may leave a quotient below zero where it is nothing.
        h = self.psf * np.maximum(top, 0.0) / np.maximum(bottom, np.finfo(float).tiny)
        light = float(h.sum())
        if not light > 0:
            return 1.0
        self.psf = h / light
        self.center()
        return light

    def tied(self, values: Numbers) -> Numbers:
        """The mean over the samples that the symmetry holds equal; for "radial", the nearest radial function."""
        if self.profile is not None:
            samples, fit = self.profile
            result: Numbers = np.maximum(samples @ (fit @ values.ravel()), 0.0).reshape(values.shape)
            return result
        return _orbit(values, self.symmetry, lambda a, b: 0.5 * (a + b))

    def center(self) -> None:
        """Bring the centroid back: of all PSFs with it, that of least information against this one.

        It is ``h exp(a . r)``, which keeps it positive and where it is zero; Newton's method finds ``a``.
        """
        if self.centroid is None:
            return
        tilted = self.psf
        off, spread = self.moments(tilted, self.centroid)
        for _ in range(NEWTON):
            if float(np.max(np.abs(off))) < CLOSE:
                break
            step = np.linalg.solve(spread + FIRM * np.eye(off.size), off)
            # The exponent stays moderate, whatever Newton's parabola promises far away.
            reach = float(np.abs(step) @ (np.array(tilted.shape) / 2))
            step *= min(1.0, 1.0 / max(reach, 1e-300))
            tilt = sum(s * r for s, r in zip(step, _offsets(tilted.shape), strict=True))
            tilted = tilted * np.exp(-tilt)
            tilted = tilted / tilted.sum()
            off, spread = self.moments(tilted, self.centroid)
        self.psf = tilted

    @staticmethod
    def moments(h: Numbers, about: Numbers | float = 0.0) -> tuple[Numbers, Numbers]:
        """Centroid in pixels from `about`, and covariance."""
        r = np.stack([np.broadcast_to(o, h.shape).ravel() for o in _offsets(h.shape)])
        p = h.ravel()
        first = r @ p
        return first - about, (r * p) @ r.T - np.outer(first, first)


def _offsets(shape: tuple[int, ...]) -> list[Numbers]:
    """Coordinates from the origin, one array an axis that broadcasts to `shape`."""
    return list(np.meshgrid(*(np.arange(n) - n // 2.0 for n in shape), indexing="ij", sparse=True))


def _mirrored(values: Numbers, axis: int) -> Numbers:
    """The samples mirrored about the origin; the first of an even axis has no partner but itself."""
    n = values.shape[axis]
    result: Numbers = np.take(values, (2 * (n // 2) - np.arange(n)) % n, axis=axis)
    return result


def _paired(inside: Numbers) -> Numbers:
    """The mask without samples that have no mirror image in the array."""
    result = inside.astype(float)
    for axis, n in enumerate(inside.shape):
        if n % 2 == 0:
            np.moveaxis(result, axis, 0)[0] = 0.0
    return result


def _orbit(values: Numbers, symmetry: str, merge: Any) -> Numbers:
    """Each sample merged with those that the symmetry makes its equals (of "radial", only the mirror images)."""
    if symmetry == "none":
        return values
    if symmetry == "point":
        mirrored = values
        for axis in range(values.ndim):
            mirrored = _mirrored(mirrored, axis)
        merged: Numbers = merge(values, mirrored)
        return merged
    for axis in range(values.ndim):
        values = merge(values, _mirrored(values, axis))
    return values


def _radial(shape: tuple[int, ...]) -> tuple[Numbers, Numbers]:
    """Linear interpolation from the nodes of a profile to the samples, and least squares back."""
    distance = np.sqrt(sum(o**2 for o in _offsets(shape))).ravel() / RADIAL_STEP
    nodes = np.arange(math.floor(distance.max()) + 2)
    samples = np.maximum(1 - np.abs(distance[:, None] - nodes), 0.0)
    # Near the origin there are more nodes than distances: of all profiles that fit, the smallest.
    return samples, np.linalg.pinv(samples)
