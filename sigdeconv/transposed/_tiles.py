"""A large image through a network in pieces that fit the cache, without a seam."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch

# Side of a tile, in samples of the input. Its features then stay in the cache, which is faster on a CPU than the whole
# image at once; what is computed twice around a tile grows as tiles shrink.
SIDE = 256
AREA = SIDE * SIDE  # small images go together until they have as many samples


class Tile(NamedTuple):
    """How far the work is, told after each tile."""

    done: int  #: tiles
    total: int
    chosen: Mapping[str, float | tuple[float, ...]]  #: what was chosen from the data, in units of the image


Work = Callable[[torch.Tensor, slice, tuple[slice, slice]], torch.Tensor]
Progress = Callable[[Tile], object]


def tiled(
    work: Work,
    x: torch.Tensor,
    *,
    reach: int,
    multiple: int = 1,
    scale: int = 1,
    side: int = SIDE,
    callback: Progress | None = None,
    chosen: Mapping[str, float | tuple[float, ...]] | None = None,
) -> torch.Tensor:
    """``work`` on all of ``(batch, channels, y, x)``, as if it was done at once.

    Parameters
    ----------
    work : callable
        ``work(piece, images, frame)`` gives the result for a piece of `x`, `scale` times as large; `images` and
        `frame` say where in `x` it was cut out.
    reach : int
        Samples to either side of an output sample on which it depends.
    multiple : int
        Pieces begin on multiples of it.
    side : int
        Of what a piece gives, in samples of `x`.
    callback : callable, optional
        Called with a `Tile` after each piece; `chosen` is handed on to it.
    """
    count, _, height, width = x.shape
    side = max(multiple, side - side % multiple)
    together = max(1, side * side // (height * width))
    rows, columns = list(_spans(height, side)), list(_spans(width, side))
    places = [(i, row, column) for i in range(0, count, together) for row in rows for column in columns]
    out: torch.Tensor | None = None
    for done, (first, row, column) in enumerate(places, start=1):
        images = slice(first, min(first + together, count))
        read = tuple(
            slice(_down(max(0, a - reach), multiple), min(n, b + reach))
            for (a, b), n in ((row, height), (column, width))
        )
        piece = work(x[images, :, read[0], read[1]], images, (read[0], read[1]))
        if out is None:
            out = piece.new_empty((count, piece.shape[1], height * scale, width * scale))
        outer = [slice(a * scale, b * scale) for a, b in (row, column)]
        inner = [
            slice((a - r.start) * scale, (b - r.start) * scale) for (a, b), r in zip((row, column), read, strict=True)
        ]
        out[images, :, outer[0], outer[1]] = piece[:, :, inner[0], inner[1]]
        if callback is not None:
            callback(Tile(done, len(places), chosen or {}))
    if out is None:
        raise ValueError(f"x has shape {tuple(x.shape)}; at least one image is wanted")
    return out


def _spans(n: int, side: int) -> Iterator[tuple[int, int]]:
    for start in range(0, n, side):
        yield start, min(start + side, n)


def _down(value: int, multiple: int) -> int:
    return value - value % multiple
