"""How things are timed here, and how a row is reported."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the report: what was asked, what was measured."""

    what: str
    measured: str
    goal: str = ""
    reached: bool | None = None


def seconds(function: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def together(rounds: int, **functions: Callable[[], object]) -> dict[str, list[float]]:
    """Seconds of each function in each of `rounds` turns, after one that does not count.

    The functions take turns, so that a machine whose speed drifts slows all of them alike.
    """
    for function in functions.values():
        function()
    turns = [{name: seconds(function) for name, function in functions.items()} for _ in range(rounds)]
    return {name: [turn[name] for turn in turns] for name in functions}


def ratio(a: list[float], b: list[float]) -> float:
    """Median of the ratio within a turn."""
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def per_iteration(many: list[float], few: list[float], count: int) -> list[float]:
    """Seconds an iteration from runs that differ by `count` iterations: what is done once drops out."""
    return [max(m - f, 1e-9) / count for m, f in zip(many, few, strict=True)]
