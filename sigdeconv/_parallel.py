"""The cores: how many there are to use, and work cut into blocks that fit a cache and run side by side.

NumPy computes element by element on one core and through main memory. Cut into blocks, the same expression keeps its
temporaries in the cache and runs on every core, since NumPy and SciPy's FFT release the interpreter lock.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from ._array import Array, is_numpy, namespace

BLOCK = 1 << 16  # samples in a block: a few float32 operands of this length fit a core's second-level cache
SERIAL = 1 << 15  # samples below which waking a second thread costs more than it saves


@cache
def workers() -> int:
    """Number of threads: the cores this process may use, or fewer if ``OMP_NUM_THREADS`` says so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return max(1, min(cores, int(asked))) if asked.isdigit() else cores


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    # Keyed by process: the threads of a pool do not survive a fork, a pool of the child's own does.
    return ThreadPoolExecutor(workers(), thread_name_prefix="sigdeconv")


def run(function: Callable[[int, int], object], stop: int, step: int) -> None:
    """Call ``function(start, end)`` for every `step` of ``range(stop)``, on all cores."""
    starts = range(0, stop, max(1, step))
    if len(starts) == 1 or workers() == 1:
        for start in starts:
            function(start, min(start + starts.step, stop))
        return
    jobs = _pool(os.getpid()).map(lambda start: function(start, min(start + starts.step, stop)), starts)
    for _ in jobs:  # an exception of a thread is raised here
        pass


def each(function: Callable[..., Array], *arrays: Array, out: Array | None = None) -> Array:
    """``function(*arrays)``, an element-by-element expression of arrays of one shape, cut into blocks for NumPy.

    Arrays of size one on the last axes (a number for every batch item) are passed whole to each block of their item.
    `out` may be one of the arrays.
    """
    first = arrays[0]
    if not is_numpy(first):
        return function(*arrays)
    if out is None:
        out = np.empty(first.shape, first.dtype)
    if first.size <= SERIAL:
        out[...] = function(*arrays)
        return out

    def block(start: int, end: int) -> None:
        for index in indices[start:end]:
            out[index] = function(*(a[within(index, a.shape)] for a in arrays))

    indices = list(_blocks(first.shape))
    run(block, len(indices), max(1, len(indices) // (4 * workers())))
    return out


def total(function: Callable[..., Array], *arrays: Array, ndim: int) -> Array:
    """Sum of ``function(*arrays)`` over the last `ndim` axes, kept with size one: a number for every batch item.

    Of a function that gives a tuple, the tuple of sums; a pair ``(a, b)`` in it stands for the product ``a * b``.
    """
    first = arrays[0]
    batch = first.shape[: first.ndim - ndim]
    if not is_numpy(first):
        xp, axes = namespace(first), tuple(range(-ndim, 0))
        values = function(*arrays)
        if isinstance(values, tuple):
            products = (v[0] * v[1] if isinstance(v, tuple) else v for v in values)
            return tuple(xp.sum(value, axis=axes, keepdims=True) for value in products)
        return xp.sum(values, axis=axes, keepdims=True)
    blocks = list(_blocks(first.shape, len(batch)))
    parts: list[Any] = [None] * len(blocks)

    def block(start: int, end: int) -> None:
        for i in range(start, end):
            values = function(*(a[within(blocks[i], a.shape)] for a in arrays))
            several = isinstance(values, tuple)
            # Within a block NumPy keeps float32's digits (pairwise sums, vector lanes); blocks are added in float64.
            parts[i] = [
                float(np.vdot(*v) if isinstance(v, tuple) else np.sum(v)) for v in (values if several else (values,))
            ] + [several]

    run(block, len(blocks), len(blocks) if first.size <= SERIAL else max(1, len(blocks) // (4 * workers())))
    *_, several = parts[0]
    sums = np.zeros((len(parts[0]) - 1, *batch, *(1,) * ndim))
    for index, part in zip(blocks, parts, strict=True):
        sums[(slice(None), *index[: len(batch)])] += np.reshape(part[:-1], (-1, *(1,) * ndim))
    sums = sums.astype(first.dtype, copy=False)
    return tuple(sums) if several else sums[0]


def _blocks(shape: Sequence[int], whole: int = 0) -> Iterator[tuple[int | slice, ...]]:
    """Indices that cut an array of `shape` into runs along one axis, of at most `BLOCK` samples where they can.

    The first `whole` axes (batch) are never run together.
    """
    axis = whole
    while axis < len(shape) - 1 and math.prod(shape[axis + 1 :]) > BLOCK:
        axis += 1
    step = max(1, BLOCK // max(1, math.prod(shape[axis + 1 :])))
    for leading in np.ndindex(*shape[:axis]):
        for start in range(0, shape[axis] if len(shape) else 1, step):
            yield (*leading, slice(start, start + step)) if len(shape) else ()


def within(index: tuple[Any, ...], shape: Sequence[int]) -> tuple[Any, ...]:
    """`index` for an array that has size one where others have more."""
    return tuple(
        (0 if isinstance(i, int) else slice(None)) if size == 1 else i for i, size in zip(index, shape, strict=False)
    )
