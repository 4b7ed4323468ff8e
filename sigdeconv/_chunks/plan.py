"""How a volume is cut: blocks with a halo, as large as the memory allows and as few samples twice as can be.

Of each block the function sees the `outer` part, and what is kept of its result is the `core`. Cores tile the volume.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .._array import per_axis
from .._fft import fast_length

ENERGY = 0.999  # of the PSF, within the reach that an overlap is counted from
REACHES = 1.6  # an overlap, in reaches of the PSF
DARK = 2.75  # the same where blocks at the frame have darkness past their inner ends too: that is felt farther away
FAR = 4.0  # the same for ten conjugate steps
SLACK = 7  # samples more: reaches of few samples are coarse
CUTS = 32  # blocks an axis, up to which every number is tried
WASTEFUL = 2.5  # times the work of the volume in one piece, from which on a plan is warned of
SMALLEST = 8  # samples of a core along an axis

Region = tuple[slice, ...]


class TooLittleError(ValueError):
    """No plan keeps to the number of samples that is allowed; `smallest` is what the smallest grid has."""

    def __init__(self, smallest: float) -> None:
        super().__init__(f"the smallest grid has {smallest:.0f} samples")
        self.smallest = smallest


@dataclass(frozen=True)
class Block:
    """One piece of a volume, along its spatial axes."""

    index: tuple[int, ...]  #: its place among the blocks
    core: Region  #: what of the volume is kept of it
    outer: Region  #: what it is computed from: the core and its halo; may reach past the volume

    @property
    def inside(self) -> Region:
        """The core, within the outer part."""
        return tuple(slice(c.start - o.start, c.stop - o.start) for c, o in zip(self.core, self.outer, strict=True))

    def at_frame(self, shape: Sequence[int]) -> bool:
        """Whether it sees an end of a volume of this shape."""
        return any(o.start <= 0 or o.stop >= n for o, n in zip(self.outer, shape, strict=True))


@dataclass(frozen=True)
class Plan:
    """How a volume of a shape is cut."""

    shape: tuple[int, ...]
    core: tuple[int, ...]  #: of all blocks but the last of an axis, which is smaller
    overlap: tuple[int, ...]  #: samples that a block sees beyond its core, on each side
    kernel: tuple[int, ...]  #: shape of the PSF
    padded: bool  #: whether blocks reach past the volume, into its other end (a periodic boundary)

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Number of blocks along each axis."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.core, strict=True))

    @property
    def number(self) -> int:
        """Number of blocks."""
        return math.prod(self.counts)

    @cached_property
    def outer(self) -> tuple[int, ...]:
        """Shape of the largest block with its halo."""
        halo = [(o if self.padded or m > 1 else 0) for o, m in zip(self.overlap, self.counts, strict=True)]
        sides = [2 if self.padded or m > 2 else 1 for m in self.counts]
        both = zip(self.core, sides, halo, self.shape, strict=True)
        longest = (min(c, n) + s * h for c, s, h, n in both)
        return tuple(o if self.padded else min(o, n) for o, n in zip(longest, self.shape, strict=True))

    @property
    def grid(self) -> int:
        """Samples of the largest block's FFT grid."""
        return samples(self.outer, self.kernel)

    @cached_property
    def work(self) -> float:
        """Samples of all FFT grids, over those of the volume in one piece."""
        lengths = []
        for a, m in enumerate(self.counts):
            starts = [i * self.core[a] for i in range(m)]
            spans = [self._span(a, s) for s in starts]
            lengths.append(sum(_length(o.stop - o.start, self.kernel[a]) for _, o in spans))
        return math.prod(lengths) / samples(self.shape, self.kernel)

    def _span(self, axis: int, start: int) -> tuple[slice, slice]:
        n, h = self.shape[axis], self.overlap[axis]
        stop = min(start + self.core[axis], n)
        low, high = start - h, stop + h
        return slice(start, stop), slice(low, high) if self.padded else slice(max(low, 0), min(high, n))

    def block(self, index: Sequence[int]) -> Block:
        """The block at a place."""
        spans = [self._span(a, i * self.core[a]) for a, i in enumerate(index)]
        return Block(tuple(index), tuple(c for c, _ in spans), tuple(o for _, o in spans))

    def blocks(self) -> Iterator[Block]:
        """All blocks."""
        return (self.block(index) for index in itertools.product(*map(range, self.counts)))


def samples(shape: Sequence[int], kernel: Sequence[int]) -> int:
    """Samples of the FFT grid by which a free boundary is filtered."""
    return math.prod(_length(n, k) for n, k in zip(shape, kernel, strict=True))


def _length(n: int, k: int) -> int:
    return fast_length(n + k - 1)


def reach(psf: NDArray[np.floating]) -> tuple[int, ...]:
    """Samples from the PSF's origin within which nearly all of its light lies, along each axis."""
    size = np.abs(psf)
    found = []
    for axis, k in enumerate(psf.shape):
        along = size.sum(axis=tuple(a for a in range(psf.ndim) if a != axis), dtype=np.float64)
        away = np.abs(np.arange(k) - k // 2)
        within = np.bincount(away, along).cumsum()
        found.append(int(np.searchsorted(within, ENERGY * within[-1])))
    return tuple(found)


def default_overlap(psf: NDArray[np.floating], boundary: str = "free", *, far: bool = False) -> tuple[int, ...]:
    """Samples that a block should see beyond its core; more for a method that goes `far` in each iteration."""
    reaches = FAR if far else DARK if boundary == "zero" else REACHES
    return tuple(math.ceil(reaches * max(1, r)) + SLACK for r in reach(psf))


def given(
    shape: Sequence[int], core: int | Sequence[int], overlap: Sequence[int], kernel: Sequence[int], padded: bool
) -> Plan:
    """The plan with cores of a given shape."""
    cores = per_axis(core, len(shape), "chunks", minimum=1)
    inside = tuple(min(c, n) for c, n in zip(cores, shape, strict=True))
    return Plan(tuple(shape), inside, tuple(overlap), tuple(kernel), padded)


def best(
    shape: Sequence[int],
    overlap: Sequence[int],
    kernel: Sequence[int],
    *,
    padded: bool,
    most: float,
    at_once: int = 1,
    volumes: int = 1,
    unit: Sequence[int] | None = None,
) -> Plan:
    """The plan of least work whose blocks have an FFT grid of at most `most` samples.

    `at_once` blocks are worked on side by side, of `volumes` volumes (a batch); cores are whole multiples of `unit`,
    where the volume is larger.

    Raises
    ------
    TooLittleError
        There is none.
    """
    axes = len(shape)
    cores, grids, works, counts = [], [], [], []
    for a, u in enumerate(unit or (1,) * axes):
        n = shape[a]
        tried = sorted({min(n, math.ceil(math.ceil(n / m) / u) * u) for m in _counts(max(1, n // SMALLEST))})
        plans = [Plan((n,), (core,), (overlap[a],), (kernel[a],), padded) for core in tried]
        along = tuple(-1 if b == a else 1 for b in range(axes))
        cores.append(tried)
        grids.append(np.reshape([float(plan.grid) for plan in plans], along))
        works.append(np.reshape([plan.work for plan in plans], along))
        counts.append(np.reshape([float(plan.number) for plan in plans], along))
    grid, work, number = (_product(x) for x in (grids, works, counts))
    # The last round of blocks may leave workers idle.
    number = number * volumes
    cost = np.where(grid <= most, work * np.ceil(number / at_once) * at_once / number, np.inf)
    if not np.isfinite(cost).any():
        raise TooLittleError(float(grid.min()))
    # Of plans that cost about the same, the one of the fewest blocks.
    near = np.where(cost <= 1.01 * cost.min(), number, np.inf)
    place = np.unravel_index(int(np.argmin(near)), near.shape)
    core = tuple(cores[a][i] for a, i in enumerate(place))
    return Plan(tuple(shape), core, tuple(overlap), tuple(kernel), padded)


def _product(factors: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    product = np.ones(1)
    for factor in factors:
        product = product * factor
    return product


def _counts(largest: int) -> Iterator[int]:
    """Into how many blocks an axis is tried to be cut: every number at first, then in steps of a tenth."""
    m = 1
    while m <= largest:
        yield m
        m = m + 1 if m < CUTS else math.ceil(m * 1.1)
