"""Which patches look alike: for each reference patch the nearest ones in its neighbourhood.

Distances come from products of matrices, ``|a - b|^2 = |a|^2 + |b|^2 - 2 a b``, for a tile of references against all
candidates that any of them sees. It is more than is needed and a dozen times as fast as comparing patch by patch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _parallel

Real = np.ndarray[Any, Any]
TILE = 6  # references a side: measured best at a distance of 3 and a search over 39 x 39 places


def references(places: int, step: int) -> Real:
    """Every `step`-th place of a line, and the last one, so that every pixel is within a reference patch."""
    grid = np.arange(0, places, step)
    return grid if grid[-1] == places - 1 else np.append(grid, places - 1)


def nearest(features: Real, *, step: int, reach: int, count: int) -> Real:
    """Places of the `count` patches nearest to each reference, itself first, in order of distance.

    Parameters
    ----------
    features : array, shape (h, w, d)
        What is compared, for the patch at each place.
    step : int
        Distance of references.
    reach : int
        Candidates lie within this distance on each axis; at the rim the window is moved inwards, never cut.
    count : int
        Patches in a group; at most as many as a window has places.

    Returns
    -------
    array of int, shape (references, count)
        Indices of places, row by row.
    """
    h, w, d = features.shape
    rows, columns = references(h, step), references(w, step)
    tall, wide = min(2 * reach + 1, h), min(2 * reach + 1, w)
    top, left = np.clip(rows - reach, 0, h - tall), np.clip(columns - reach, 0, w - wide)
    norms = np.einsum("ijk,ijk->ij", features, features)
    found = np.empty((len(rows), len(columns), count), np.int64)
    tiles = [(i, j) for i in range(0, len(rows), TILE) for j in range(0, len(columns), TILE)]

    def tile(i: int, j: int) -> None:
        here = slice(i, i + TILE), slice(j, j + TILE)
        y, x, tops, lefts = rows[here[0]], columns[here[1]], top[here[0]], left[here[1]]
        seen = slice(tops[0], tops[-1] + tall), slice(lefts[0], lefts[-1] + wide)
        # A product for each line of the region, small enough for BLAS to stay on the thread that asks: many threads
        # that each start as many more bring the machine to a halt.
        candidates = np.ascontiguousarray(features[seen]).swapaxes(1, 2)
        distance = features[y[:, None], x].reshape(-1, d) @ candidates
        distance *= -2
        distance += norms[seen][:, None]
        distance = distance.reshape(-1, len(y), len(x), distance.shape[-1])
        near = np.empty((len(y), len(x), tall, wide), features.dtype)
        for p in range(len(y)):
            for q in range(len(x)):
                a, b = tops[p] - tops[0], lefts[q] - lefts[0]
                near[p, q] = distance[a : a + tall, p, q, b : b + wide]
                near[p, q, y[p] - tops[p], x[q] - lefts[q]] = -np.inf  # rounding must not put another patch first
        near = near.reshape(len(y), len(x), -1)
        best = np.argpartition(near, count - 1, axis=-1)[..., :count]
        order = np.argsort(np.take_along_axis(near, best, axis=-1), axis=-1)
        best = np.take_along_axis(best, order, axis=-1)
        found[here] = (best // wide + tops[:, None, None]) * w + best % wide + lefts[:, None]

    def block(start: int, end: int) -> None:
        for i, j in tiles[start:end]:
            tile(i, j)

    _parallel.run(block, len(tiles), max(1, len(tiles) // (8 * _parallel.workers())))
    return found.reshape(-1, count)
