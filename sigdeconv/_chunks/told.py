"""What a run over chunks tells: how far it is, what came of it, what failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class ChunkProgress(NamedTuple):
    """How far a run over chunks is, told before the first and after each.

    Parameters
    ----------
    done : int
        Chunks that are finished, those of an interrupted run among them.
    total : int
        All chunks.
    remaining : float
        Seconds that the rest takes, as far as can be told.
    chosen : dict
        What was chosen from the data, for all chunks.
    report : dict
        The log so far; see `map_chunks`.
    """

    done: int
    total: int
    remaining: float
    chosen: Mapping[str, Any]
    report: Mapping[str, Any]


class Chunked(NamedTuple):
    """The result of `map_chunks`.

    Parameters
    ----------
    result : array or path
        The restored volume, or where it was written.
    report : dict
        The log: parameters, versions, plan, estimate, times, and the largest difference at the seams.
    """

    result: Any
    report: dict[str, Any]


class ChunksFailedError(RuntimeError):
    """Some chunks could not be computed; all others are saved, and the same call goes on from there."""


class ChunksEndedError(RuntimeError):
    """The callback ended a run over chunks; what is done is saved, and the same call goes on from there."""
