"""From an intensity against radius and focus to voxels: everything here is a linear map of the radial profile."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Numbers = np.ndarray[Any, Any]

FINE = 0.35  # radians of the finest detail between two radii: six-point interpolation then errs by 1e-6 or less
STENCIL = 6  # points of the interpolation
EXACT = 1e-6  # error that the quadrature over a voxel may make in the finest detail
COARSEST = 30.0  # cycles of the finest detail in a voxel; more is a mistake of units
ENTRIES = 3_000_000  # of a sparse matrix that is held at a time


@dataclass(frozen=True)
class Window:
    """Shape and voxel size in micrometre, and the highest frequencies of the intensity in it, in cycles per micrometre.

    Parameters
    ----------
    shape, pixel : tuple
        Shape and voxel size (z, y, x).
    across, along : float
        Highest frequency across the optical axis and along it.
    """

    shape: tuple[int, ...]
    pixel: tuple[float, ...]
    across: float
    along: float

    def radii(self, further: float = 0.0) -> Numbers:
        """Radii from 0 past the outer corner of the farthest voxel, and `further`."""
        reach = math.hypot(*((n // 2 + 1) * p for n, p in zip(self.shape[1:], self.pixel[1:], strict=True)))
        return self.step * np.arange(math.ceil((reach + further) / self.step) + STENCIL)

    @property
    def step(self) -> float:
        """From one radius to the next."""
        return FINE / (2 * math.pi * self.across)

    def mean(self, centre: float, brightness: Callable[[Numbers], Numbers]) -> Numbers:
        """Mean in every voxel of what `brightness` gives at positions of the focus, shape (radii, focus).

        The focus is at `centre` in the plane that is the origin.
        """
        planes, thickness = self.shape[0], self.pixel[0]
        nodes, weights = rule(self.along * thickness)
        focus = centre + thickness * (np.arange(planes)[:, None] - planes // 2 + nodes)
        fine = brightness(focus.ravel())
        profile = fine.reshape(len(fine), planes, len(nodes)) @ weights
        return _over_pixels(profile, self.step, self.shape[1:], self.pixel[1:], self.across)


def rule(cycles: float) -> tuple[Numbers, Numbers]:
    """Nodes in (-1/2, 1/2) and weights of sum 1 that average what has so many cycles in a voxel, and all slower."""
    count = 1 + math.ceil(1.5 * cycles)
    while True:
        nodes, weights = np.polynomial.legendre.leggauss(count)
        if abs(weights @ np.cos(math.pi * cycles * nodes) / 2 - np.sinc(cycles)) < EXACT:
            return nodes / 2, weights / 2
        count += 1


def _interpolation(place: Numbers) -> tuple[Numbers, Numbers]:
    """Columns and weights of six-point Lagrange interpolation at places in units of the step; shape (..., STENCIL).

    A radial profile is even, so that the points left of the axis are those on its right.
    """
    first = np.floor(place)
    u = place - first
    points = np.arange(STENCIL) - STENCIL // 2 + 1
    weights = np.empty((*place.shape, STENCIL))
    for j, p in enumerate(points):
        others = points[points != p]
        weights[..., j] = np.prod([u - q for q in others], axis=0) / np.prod(p - others)
    return np.abs(first[..., None].astype(np.int64) + points), weights


def _over_pixels(profile: Numbers, step: float, shape: Sequence[int], pixel: Sequence[float], detail: float) -> Numbers:
    """Mean over each pixel of a rotationally symmetric profile (radii, planes), shape (planes, *shape)."""
    from scipy.sparse import csr_array

    far = [n // 2 + 1 for n in shape]  # one quadrant
    points = []
    rules = [rule(detail * p) for p in pixel]
    for n, p, (nodes, _) in zip(far, pixel, rules, strict=True):
        points.append((np.arange(n)[:, None] + nodes) * p)
    each = (rules[0][1][:, None] * rules[1][1]).ravel()
    row = far[1] * len(each) * STENCIL
    rows = max(ENTRIES // row, 1)
    quadrant = np.empty((far[0] * far[1], profile.shape[1]))
    for start in range(0, far[0], rows):
        y = points[0][start : start + rows]
        r = np.hypot(y[:, None, :, None], points[1][None, :, None, :]).reshape(len(y) * far[1], len(each))
        columns, weights = _interpolation(r / step)
        weights *= each[:, None]
        ends = np.arange(len(r) + 1) * (len(each) * STENCIL)
        matrix = csr_array((weights.ravel(), columns.ravel(), ends), shape=(len(r), len(profile)))
        # In dark rings the interpolation may fall below zero, by 1e-8 of the peak.
        quadrant[start * far[1] : start * far[1] + len(r)] = np.maximum(matrix @ profile, 0.0)
    planes = np.ascontiguousarray(quadrant.T).reshape(-1, *far)
    near = [np.abs(np.arange(n) - n // 2) for n in shape]
    result: Numbers = planes[:, near[0][:, None], near[1][None, :]]
    return result


def in_disk(count: int, step: float, radius: float, detail: float, given: int) -> Any:
    """Sparse matrix from a profile of `given` radii to its mean over a disk about each of the first `count` radii.

    The part of a circle about the axis that lies in the disk is an arc, whose length weights the profile.
    """
    from scipy.sparse import csr_array, vstack

    x, w = np.polynomial.legendre.leggauss(math.ceil(2 * math.pi * detail * radius) + 12)
    turn = math.pi * (1 + x) / 2
    parts = []
    rows = max(ENTRIES // (2 * len(x) * STENCIL), 1)
    for start in range(0, count, rows):
        r = step * np.arange(start, min(start + rows, count))[:, None]
        # Whole circles, where the disk covers the axis.
        whole = np.maximum(radius - r, 0.0)
        circles = whole * (1 + x) / 2
        # Arcs between the nearest and the farthest point of the disk; the cosine takes the square roots off their ends.
        half = np.minimum(r, radius)
        arcs = np.maximum(r, radius) - half * np.cos(turn)
        part = (radius - r + arcs) * (radius + r - arcs) / np.where(r > 0, 4 * r * arcs, 1.0)
        angle = np.where(r > 0, 4 * np.arcsin(np.sqrt(np.clip(part, 0, 1))), 0.0)
        mass = np.concatenate([math.pi * whole * w * circles, math.pi / 2 * w * half * np.sin(turn) * arcs * angle], 1)
        mass /= mass.sum(axis=1, keepdims=True)  # π radius² but for the error of the quadrature
        columns, weights = _interpolation(np.concatenate([circles, arcs], axis=1) / step)
        weights *= mass[..., None]
        ends = np.arange(len(r) + 1) * weights[0].size
        parts.append(csr_array((weights.ravel(), columns.ravel(), ends), shape=(len(r), given)))
        parts[-1].sum_duplicates()
    return vstack(parts, format="csr")
