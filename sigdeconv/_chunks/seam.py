"""What neighbouring chunks differ by where both have computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .plan import Plan


class Seam:
    """Collects the faces of chunks, and forgets them when both sides of a seam are there."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.peak = 0.0
        self.largest: float | None = None
        self._waiting: dict[tuple[int, int], NDArray[Any]] = {}

    def add(self, number: int, peak: float, faces: Mapping[str, NDArray[Any]]) -> None:
        """The faces of chunk `number`, whose largest value is `peak`."""
        self.peak = float(np.fmax(self.peak, peak))
        for name, face in faces.items():
            side, axis = name.split()
            before = number if side == "past" else number - math.prod(self.plan.counts[int(axis) + 1 :])
            other = self._waiting.pop((before, int(axis)), None)
            if other is None:
                self._waiting[before, int(axis)] = face
            else:
                found = float(np.fmax.reduce(np.abs(face - other), axis=None))
                self.largest = found if self.largest is None else float(np.fmax(self.largest, found))

    @property
    def relative(self) -> float | None:
        """The largest difference, relative to the largest value; None where nothing could be compared."""
        return None if self.largest is None or not self.peak > 0 else self.largest / self.peak
