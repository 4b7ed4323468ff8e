"""What is found out before the work, on a worker: memory and time of a small block, and parameters not given."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _parallel
from .._fft import fast_length
from .._memory import peak_of
from .block import Job, Shared, Work, apply, read, restore, tried
from .plan import Plan, Region

PILOT = 96  # samples along the sides of the block that is measured, at least; of smaller ones each takes longer
IN_THE_WHOLE = 300  # so many of it take the time of the whole, where that is longer
LARGEST = 7e6  # samples, of which a block is never measured that is larger
ROOM = 400  # bytes a sample, that a block may take that is larger than the least
AGAIN = 2.0  # seconds, within which it is measured again: the first call loads modules, and is watched
ROUNDS = 3  # how often, at most; the quickest counts
TENSOR_COPIES = 14  # of the FFT grid: what Richardson-Lucy takes on tensors, whose memory is not counted here
NEARLY = 0.9  # of a grid: half of a block has less, unless the PSF is most of it
SIDE = 32  # samples along the sides of the parts whose contrast is compared
SAMPLED = 64  # blocks that are looked at, to find the one that parameters are chosen on
AUTOMATIC = ("balance", "weight", "sigma", "num_iter", "steps")  # parameters that a method chooses where they are None
MEASURED = (True, "conjugate")  # what `accelerate` is where steps are measured on the whole of an image


class Pilot(NamedTuple):
    """What a small block took. Time and memory of others follow: of smaller ones in proportion, of larger ones more.

    What a method works on piece by piece, so that it fits the cache, does not grow with the block.
    """

    seconds: float
    grid: float  #: samples of its FFT grid
    taken: float  #: bytes
    more: float  #: bytes, for each sample that a larger grid has
    threads: int  #: that worked on it

    def bytes_of(self, grid: float) -> float:
        """What a block of another grid takes."""
        if grid <= self.grid:
            return self.taken * grid / self.grid
        return self.taken + self.more * (grid - self.grid)

    def largest(self, allowed: float, beside: float) -> float:
        """Samples of the largest grid in so many bytes, of which `beside` a sample are taken by something else."""
        small = allowed / (self.taken / self.grid + beside)
        if small <= self.grid:
            return small
        return (allowed - self.taken + self.more * self.grid) / (self.more + beside)


def pilot_job(plan: Plan, batch: Sequence[int], allowed: float) -> Job:
    """The small block: in the middle of the volume, no larger than the plan's, and of few of the `allowed` bytes."""
    least = [max(2 * k, PILOT) for k in plan.kernel]
    most = min(math.prod(plan.shape) * math.prod(batch) / IN_THE_WHOLE, LARGEST, allowed / ROOM)
    longer = max(1.0, (most / math.prod(least)) ** (1 / len(least)))
    wanted = (fast_length(round(longer * n)) for n in least)
    side = [min(sides) for sides in zip(plan.outer, plan.shape, wanted, strict=True)]
    start = [(n - s) // 2 for n, s in zip(plan.shape, side, strict=True)]
    region = tuple(slice(b, b + s) for b, s in zip(start, side, strict=True))
    return Job(-1, (0,) * len(batch), (0,) * len(plan.shape), region)


def measure(shared: Shared, job: Job) -> Pilot:
    """Memory and time of a block, from which those of a large one follow."""
    if job.samples is None:
        job = job.carrying(shared)
    assert job.samples is not None
    samples, region = job.samples, job.seen(shared.plan)
    grid, itemsize = float(shared.plan.grid_of(region)), np.dtype(shared.dtype).itemsize
    began = since = time.perf_counter()
    if shared.device is None:
        taken = _taken(shared, samples, job.parts, region)
    else:
        taken = TENSOR_COPIES * grid * itemsize
        apply(shared, samples, job.parts, region)
    seconds = time.perf_counter() - began
    more = taken / grid if shared.device is not None else _more(shared, job, samples, region, taken)
    for _ in range(ROUNDS):
        began = time.perf_counter()
        if began - since > AGAIN:
            break
        apply(shared, samples, job.parts, region)
        seconds = min(seconds, time.perf_counter() - began)
    return Pilot(seconds, grid, taken, more, _parallel.workers())


def _taken(shared: Shared, samples: Any, parts: Mapping[str, Any], region: Region) -> float:
    (_, taken), _ = tried(shared.retries, lambda: peak_of(lambda: apply(shared, samples, parts, region)))
    return taken


def _more(shared: Shared, job: Job, samples: Any, region: Region, taken: float) -> float:
    """Bytes for each sample that a larger grid has: what half of the block takes less."""
    axis = int(np.argmax(samples.shape))
    half = fast_length(max(1, samples.shape[axis] // 2))
    cut = (slice(None),) * axis + (slice(half),)
    start = region[axis].start
    smaller = tuple(slice(start, start + half) if a == axis else r for a, r in enumerate(region))
    grid, least = shared.plan.grid_of(region), shared.plan.grid_of(smaller)
    if least >= NEARLY * grid:
        return taken / grid
    parts = {name: part[cut] for name, part in job.parts.items()}
    more = (taken - _taken(shared, np.ascontiguousarray(samples[cut]), parts, smaller)) / (grid - least)
    return more if 0 < more < taken / grid else taken / grid


def parameters(function: Work) -> Mapping[str, inspect.Parameter]:
    """What a function takes, by name; nothing where that cannot be told."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def left_open(function: Work, options: Mapping[str, Any]) -> list[str]:
    """The parameters that a function will choose from the data."""
    known = parameters(function)
    if "callback" not in known:
        return []
    values = {n: _given(known, options, n) for n in (*AUTOMATIC, "stopping") if n in known}
    open_ = [name for name in AUTOMATIC if name in values and values[name] is None]
    if "steps" in open_ and _given(known, options, "accelerate") not in MEASURED:
        open_.remove("steps")
    if values.get("stopping") is not None and "num_iter" not in open_:
        open_.append("num_iter")
    return open_


def _given(known: Mapping[str, inspect.Parameter], options: Mapping[str, Any], name: str) -> Any:
    return options.get(name, known[name].default if name in known else None)


def choose(shared: Shared, job: Job) -> dict[str, Any]:
    """What a function chooses on a block, by the names of its parameters."""
    open_ = left_open(shared.function, shared.options)
    chosen = _chosen(shared, job, open_, {})
    if "steps" in open_ and "steps" not in chosen:
        # While a method finds out when to stop it works on parts of the data, whose steps are others.
        chosen |= _chosen(shared, job, ["steps"], chosen)
    return chosen


def _chosen(shared: Shared, job: Job, open_: list[str], known: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def note(iteration: Any) -> bool:
        # A method that stops by itself and says no number has done as many as it has been seen to do.
        found.update({"num_iter": iteration.index} if "num_iter" in open_ else {})
        found.update(iteration.chosen)
        return not {"num_iter", "steps"} & {*open_}  # all else is chosen before the first iteration

    tried(shared.retries, lambda: restore(shared, job, callback=note, **known))
    names = parameters(shared.function)
    chosen = {name: _numbers(value) for name, value in found.items() if name in names}
    if "num_iter" in chosen:
        chosen["num_iter"] = int(chosen["num_iter"])
        chosen |= {"stopping": None} if "stopping" in names else {}
    return chosen


def most_contrast(shared: Shared, jobs: list[Job]) -> Job:
    """The chunk whose middle has the most contrast."""
    step = -(-len(jobs) // SAMPLED)
    # Together with the number of cuts of an axis a step of its own would look at the same columns over and over.
    while step > 1 and any(math.gcd(step, count) > 1 for count in shared.plan.counts if count > 1):
        step += 1
    return max(jobs[:: min(step, len(jobs))], key=lambda job: _contrast(shared, job))


def _contrast(shared: Shared, job: Job) -> float:
    core = shared.plan.block(job.index).core
    middle = [(c.start + c.stop) // 2 for c in core]
    region = tuple(
        slice(max(c.start, m - SIDE // 2), min(c.stop, m + SIDE // 2)) for c, m in zip(core, middle, strict=True)
    )
    return float(np.std(read(shared.source, shared.spatial, job.batch, region), dtype=np.float64))


def _numbers(value: Any) -> Any:
    return tuple(_numbers(v) for v in value) if isinstance(value, (tuple, list)) else float(value)
