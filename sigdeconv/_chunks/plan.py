"""How a volume is cut: blocks with a halo, as large as the memory allows and as few samples twice as can be.

Of each block the function sees the `outer` part, and what is kept of its result is the `core`. Cores tile the volume.

Where a block ends within the volume, its scene goes on and is unknown. A function that takes a boundary for each axis
may be told there that the scene repeats. That is wrong at the very ends; but the FFT grid then needs no room beside the
block for what the PSF brings in, so that on the same grid the halo is longer, and the error smaller.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._array import per_axis
from .._fft import fast_length

ENERGY = 0.999  # of the PSF, within the reach that an overlap is counted from
REACHES = 1.6  # an overlap, in reaches of the PSF
DARK = 2.75  # the same where blocks at the frame have darkness past their inner ends too: that is felt farther away
FAR = 4.0  # the same for ten conjugate steps
WRAPPED = 3.3  # at least, where the scene goes round: its ends are wrong, but its grid holds nothing beside the halo
FAR_WRAPPED = 5.2  # the same for ten conjugate steps
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


class Span(NamedTuple):
    """A block along one axis."""

    core: slice
    outer: slice
    period: int  #: of the FFT grid


@dataclass(frozen=True)
class Plan:
    """How a volume of a shape is cut."""

    shape: tuple[int, ...]
    core: tuple[int, ...]  #: of all blocks but the last of an axis, which is smaller
    overlap: tuple[int, ...]  #: samples that a block sees beyond its core, on each side
    kernel: tuple[int, ...]  #: shape of the PSF
    padded: bool  #: whether blocks reach past the volume, into its other end (a periodic boundary)
    wraps: bool = False  #: whether a block's scene goes round where both its ends lie within the volume
    outermost: bool = False  #: whether the volume has further axes, after these

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Number of blocks along each axis."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.core, strict=True))

    @property
    def number(self) -> int:
        """Number of blocks."""
        return math.prod(self.counts)

    @cached_property
    def _spans(self) -> tuple[list[Span], ...]:
        return tuple(
            [self._span(a, i * c) for i in range(m)]
            for a, (c, m) in enumerate(zip(self.core, self.counts, strict=True))
        )

    @cached_property
    def outer(self) -> tuple[int, ...]:
        """Samples of a block with its halo, along each axis at most."""
        return tuple(max(span.outer.stop - span.outer.start for span in spans) for spans in self._spans)

    @property
    def grid(self) -> int:
        """Samples of the largest block's FFT grid."""
        return math.prod(max(span.period for span in spans) for spans in self._spans)

    @cached_property
    def work(self) -> float:
        """Samples of all FFT grids, over those of the volume in one piece."""
        periods = math.prod(sum(span.period for span in spans) for spans in self._spans)
        return periods / samples(self.shape, self.kernel, real=not self.outermost)

    def ends(self, region: Region) -> tuple[bool, ...]:
        """Whether a region sees an end of the volume, along each axis."""
        return tuple(self._ends(a, r.start, r.stop) for a, r in enumerate(region))

    def grid_of(self, region: Region) -> int:
        """Samples of the FFT grid of a region."""
        return math.prod(self._period(a, r.start, r.stop) for a, r in enumerate(region))

    def _ends(self, axis: int, start: int, stop: int) -> bool:
        return not self.padded and (start <= 0 or stop >= self.shape[axis])

    def _period(self, axis: int, start: int, stop: int) -> int:
        n = stop - start
        if self.wraps and not self._ends(axis, start, stop) and self._fast(axis, n) == n:
            return n
        return self._fast(axis, n + self.kernel[axis] - 1)

    def _fast(self, axis: int, n: int) -> int:
        return fast_length(n, real=axis == len(self.shape) - 1 and not self.outermost)

    def _span(self, axis: int, start: int) -> Span:
        n, h = self.shape[axis], self.overlap[axis]
        stop = min(start + self.core[axis], n)
        low, high = start - h, stop + h
        if self.wraps and not self._ends(axis, low, high):
            more = self._fast(axis, high - low) - (high - low)
            low, high = low - more // 2, high + more - more // 2
        if not self.padded:
            low, high = max(low, 0), min(high, n)
        return Span(slice(start, stop), slice(low, high), self._period(axis, low, high))

    def block(self, index: Sequence[int]) -> Block:
        """The block at a place."""
        spans = [self._span(a, i * self.core[a]) for a, i in enumerate(index)]
        return Block(tuple(index), tuple(span.core for span in spans), tuple(span.outer for span in spans))

    def blocks(self) -> Iterator[Block]:
        """All blocks."""
        return (self.block(index) for index in itertools.product(*map(range, self.counts)))


def samples(shape: Sequence[int], kernel: Sequence[int], *, real: bool = True) -> int:
    """Samples of the FFT grid by which a free boundary is filtered; `real` on its last axis."""
    last = len(shape) - 1 if real else None
    return math.prod(fast_length(n + k - 1, real=a == last) for a, (n, k) in enumerate(zip(shape, kernel, strict=True)))


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


def default_overlap(
    psf: NDArray[np.floating], boundary: str = "free", *, far: bool = False, wraps: bool = False
) -> tuple[int, ...]:
    """Samples that a block should see beyond its core; more for a method that goes `far` in each iteration."""
    reaches = FAR if far else DARK if boundary == "zero" else REACHES
    if wraps:
        reaches = FAR_WRAPPED if far else max(reaches, WRAPPED)
    return tuple(math.ceil(reaches * max(1, r)) + SLACK for r in reach(psf))


def given(
    shape: Sequence[int],
    core: int | Sequence[int],
    overlap: Sequence[int],
    kernel: Sequence[int],
    padded: bool,
    wraps: bool = False,
) -> Plan:
    """The plan with cores of a given shape."""
    cores = per_axis(core, len(shape), "chunks", minimum=1)
    inside = tuple(min(c, n) for c, n in zip(cores, shape, strict=True))
    return Plan(tuple(shape), inside, tuple(overlap), tuple(kernel), padded, wraps)


def best(
    shape: Sequence[int],
    overlap: Sequence[int],
    kernel: Sequence[int],
    *,
    padded: bool,
    wraps: bool = False,
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
        even = {math.ceil(n / m) for m in _counts(max(1, n // SMALLEST))}
        # And cores of blocks whose grid has a fast length: those within the volume, and those at its ends.
        within = 2 * overlap[a] + (0 if wraps else kernel[a] - 1)
        at_end = overlap[a] + kernel[a] - 1
        fast = {fast_length(core + beside, real=a == axes - 1) - beside for core in even for beside in (within, at_end)}
        tried = sorted({min(n, math.ceil(core / u) * u) for core in even | fast})
        plans = [Plan((n,), (core,), (overlap[a],), (kernel[a],), padded, wraps, a < axes - 1) for core in tried]
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
    return Plan(tuple(shape), core, tuple(overlap), tuple(kernel), padded, wraps)


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
