"""One chunk, on a worker: read with its halo, restored, cut to its core, written."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._array import Array, kind, tensor, to_numpy
from .._targets import Target
from .plan import Block, Plan, Region

FACE = 64  # samples along the sides of the faces by which neighbours are compared, at most

Work = Callable[..., Any]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Shared:
    """What all chunks have in common; it is sent to every worker once."""

    function: Work
    psf: Array
    source: Any  #: None where samples come with the job
    target: Target | None
    options: Mapping[str, Any]
    cut: Mapping[str, Any]  #: arrays among the options that are cut as the volume is
    plan: Plan
    spatial: tuple[int, ...]  #: axes of the volume
    boundary: str | None  #: what `function` is told of the volume's ends; None: it is not told
    dtype: str
    device: str | None
    retries: int


@dataclass(frozen=True)
class Job:
    """One chunk."""

    number: int
    batch: tuple[int, ...]  #: where along the axes that are no spatial ones
    index: tuple[int, ...]
    region: Region | None = None  #: what is looked at, where it is no block of the plan
    samples: NDArray[Any] | None = None  #: with the parts of `Shared.cut`, where no worker can read them itself
    parts: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def seen(self, plan: Plan) -> Region:
        """The part of the volume that it is computed from."""
        return plan.block(self.index).outer if self.region is None else self.region

    def carrying(self, shared: Shared) -> Job:
        """The same with its samples, for workers that cannot read them."""
        region = self.seen(shared.plan)
        samples = read(shared.source, shared.spatial, self.batch, region)
        parts = {name: read(value, shared.spatial, self.batch, region) for name, value in shared.cut.items()}
        return Job(self.number, self.batch, self.index, region, samples, parts)


class Done(NamedTuple):
    """What a worker tells of a chunk."""

    seconds: float
    attempts: int
    peak: float  #: the largest value
    faces: Mapping[str, NDArray[Any]]
    samples: NDArray[Any] | None  #: where the worker could not write them itself


def work(shared: Shared, job: Job) -> Done:
    """One chunk, on a worker."""
    block = shared.plan.block(job.index)
    began = time.perf_counter()
    restored, attempt = tried(shared.retries, lambda: restore(shared, job))
    kept = restored[block.inside]
    faces = _faces(shared.plan, block, restored)
    peak = float(np.fmax.reduce(np.abs(kept), axis=None))
    if shared.target is None:
        return Done(time.perf_counter() - began, attempt, peak, faces, np.ascontiguousarray(kept))
    shared.target.write(full(shared.spatial, job.batch, block.core), kept)
    return Done(time.perf_counter() - began, attempt, peak, faces, None)


def tried(retries: int, function: Callable[[], Result]) -> tuple[Result, int]:
    """What a function returns, and at which attempt it did."""
    for attempt in itertools.count(1):
        try:
            return function(), attempt
        except (TypeError, ValueError, NotImplementedError):
            raise  # it would be the same again
        except Exception:
            if attempt > retries:
                raise
    raise AssertionError


def restore(shared: Shared, job: Job, **more: Any) -> NDArray[Any]:
    """What the function makes of a block with its halo."""
    if job.samples is None:
        job = job.carrying(shared)
    assert job.samples is not None
    return apply(shared, job.samples, job.parts, job.seen(shared.plan), **more)


def apply(shared: Shared, samples: NDArray[Any], parts: Mapping[str, Any], region: Region, **more: Any) -> NDArray[Any]:
    """The function, on the samples of a region."""
    image = samples.astype(shared.dtype, copy=False)
    psf, options = shared.psf, {**shared.options, **parts, **more}
    if shared.boundary is not None:
        ends = shared.plan.ends(region)
        if shared.plan.wraps:
            options["boundary"] = [shared.boundary if end else "periodic" for end in ends]
        else:
            options["boundary"] = shared.boundary if any(ends) else "free"
    if shared.device is not None:
        image, psf = tensor(image, shared.device), tensor(to_numpy(psf), shared.device)
        options |= {name: tensor(value, shared.device) for name, value in parts.items()}
    restored = shared.function(image, psf, **options)
    if isinstance(restored, tuple) or not hasattr(restored, "shape"):
        raise TypeError(f"function made a {kind(restored)} of a block; pass one that returns an array")
    found: NDArray[Any] = to_numpy(restored)
    if tuple(found.shape) != samples.shape:
        raise ValueError(f"function made {tuple(found.shape)} of a block of {samples.shape}; it must keep the shape")
    return found


def read(source: Any, spatial: Sequence[int], batch: tuple[int, ...], region: Sequence[slice]) -> NDArray[Any]:
    """A region of an array along its spatial axes, as an array of its own; past its ends the other end follows.

    An array of the spatial axes alone is the same all along the others.
    """
    shape = tuple(source.shape)
    if len(shape) == len(region):
        spatial, batch = tuple(range(len(region))), ()
    runs = [_runs(r, shape[a]) for r, a in zip(region, spatial, strict=True)]
    if all(len(along) == 1 for along in runs):
        return _own(source[full(spatial, batch, [along[0] for along in runs])])
    starts = [list(itertools.accumulate((s.stop - s.start for s in along), initial=0)) for along in runs]
    out: NDArray[Any] | None = None
    for place in itertools.product(*(range(len(along)) for along in runs)):
        piece = [along[i] for along, i in zip(runs, place, strict=True)]
        samples = np.asarray(source[full(spatial, batch, piece)])
        if out is None:
            out = np.empty([start[-1] for start in starts], samples.dtype)
        out[tuple(slice(s[i], s[i + 1]) for s, i in zip(starts, place, strict=True))] = samples
    assert out is not None
    return out


def _runs(region: slice, n: int) -> list[slice]:
    """A region that may reach past the ends, as parts of the axis one after the other."""
    runs, at = [], region.start
    while at < region.stop:
        first = at % n
        length = min(n - first, region.stop - at)
        runs.append(slice(first, first + length))
        at += length
    return runs


def _own(samples: Any) -> NDArray[Any]:
    """Samples that may be written to, without an effect on anyone."""
    found = to_numpy(samples)
    own = found.flags.owndata and found.flags.writeable and found.flags.c_contiguous
    return found if own and type(found) is np.ndarray else np.array(found, order="C", subok=False)


def full(spatial: Sequence[int], batch: Sequence[int], region: Sequence[slice]) -> tuple[int | slice, ...]:
    """A region along the spatial axes, at a place along the others."""
    along, others = iter(region), iter(batch)
    return tuple(next(along) if a in spatial else next(others) for a in range(len(spatial) + len(batch)))


def _faces(plan: Plan, block: Block, restored: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Planes by which neighbours are compared: the first of the core, and the one past its last."""
    found = {}
    for axis, (inside, index, count) in enumerate(zip(block.inside, block.index, plan.counts, strict=True)):
        thin = tuple(slice(s.start, s.stop, max(1, -(-(s.stop - s.start) // FACE))) for s in block.inside)
        for name, at, there in (("first", inside.start, index > 0), ("past", inside.stop, index < count - 1)):
            if there and at < restored.shape[axis]:
                found[f"{name} {axis}"] = restored[tuple(at if a == axis else s for a, s in enumerate(thin))].copy()
    return found
