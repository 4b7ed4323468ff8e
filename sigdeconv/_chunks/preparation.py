"""What comes before the work on chunks: the plan, what is chosen once, the estimate, what a killed run has left."""

from __future__ import annotations

import itertools
import json
import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .._array import to_numpy
from .._memory import available, in_words
from .._targets import Target, pieces_of
from .._volumes import Volume
from . import plan as planning
from .block import Job, Shared
from .log import Ledger, fingerprint, identity, named, plain
from .plan import Plan
from .request import Request
from .told import ChunkProgress
from .trial import Pilot, choose, left_open, measure, most_contrast, pilot_job
from .workers import Workers

SHARE = 0.6  # of the memory that is free, that blocks may take if nothing else is said
UNKNOWN = 2.0**31  # bytes for a worker, where the system does not say what is free
COPIES_BESIDE = 1  # of a block: its samples as they were read
PILOTS = 4  # small blocks that are measured, at most
NEAR = 0.9  # of the grid of the block that was measured: smaller ones are measured anew
UNITS = (128, 64, 32, 1)  # sides that cores are tried to be whole multiples of
LITTLE_MORE = 1.04  # times the least work, that larger pieces on disk are worth


class Limits(NamedTuple):
    """Bytes that a worker should take, and those that it cannot exceed."""

    wanted: float
    most: float


@dataclass
class Preparation:
    """A call of `map_chunks`, up to its first chunk."""

    asked: Request
    retries: int
    device: str | None
    callback: Callable[[ChunkProgress], object] | None

    def __post_init__(self) -> None:
        from .. import __version__

        asked, saved = self.asked, self.asked.path is not None
        self.ledger = Ledger(
            asked.path,
            {
                "function": named(asked.function),
                "options": {k: fingerprint(to_numpy(v)) if _is_array(v) else v for k, v in asked.options.items()},
                "cut": {k: identity(v) if saved else list(v.shape) for k, v in asked.cut.items()},
                "psf": fingerprint(to_numpy(asked.psf)),
                "volume": identity(asked.volume) if saved else {"shape": list(asked.shape)},
                "boundary": asked.boundary,
                "chunks": asked.chunks,
                "overlap": asked.overlap,
                "dtype": asked.dtype,
                "device": self.device,
                "version": __version__,
            },
        )

    def prepare(self, pool: Workers, resume: bool) -> None:
        """Plan, choose, estimate; take up what an interrupted run has left."""
        self.started = time.time()
        asked, ledger = self.asked, self.ledger
        self.resumed = resume and ledger.resumes()
        if not self.resumed:
            plan, pilot = self._planned(pool)
            chosen = self._chosen(plan, pool)
            like = asked.volume if isinstance(asked.volume, Volume) else None
            settled: dict[str, Any] = {
                "core": plan.core,
                "overlap": plan.overlap,
                "options": chosen,
                "pieces": pieces_of(asked.shape, asked.spatial, plan.core, like),
                "estimate": self._estimate(plan, pilot, pool),
            }
            target = self._share(plan, {}, settled["pieces"]).target
            ledger.begin(settled, lambda: target.create() if target is not None else None)
        settled = ledger.settled
        self.plan = self._cut(settled["core"], settled["overlap"])
        self.shared = self._share(self.plan, settled["options"], settled["pieces"])
        self.report = self._report(pool)

    def _planned(self, pool: Workers) -> tuple[Plan, Pilot]:
        asked = self.asked
        halo = self._usual(wraps=asked.wraps) if asked.overlap is None else asked.overlap
        halo = (halo,) * asked.psf.ndim if isinstance(halo, int) else halo
        whole, limits = self._cut(asked.along, halo), self._limits(pool)
        pilot = self._pilot(pool, whole, limits)
        if not isinstance(asked.chunks, str):
            plan = self._cut(asked.chunks, halo)
        else:
            plan = self._auto(whole, pilot, limits.wanted, pool.number)
            for _ in range(PILOTS - 1):
                if plan.grid >= NEAR * pilot.grid:
                    break
                # Small blocks have more beside the grid than larger ones, by which they were planned.
                pilot = self._pilot(pool, plan, limits)
                plan = self._auto(whole, pilot, limits.wanted, pool.number)
        self._refuse_what_cannot_fit(plan, pilot, limits, pool)
        return plan, pilot

    def _usual(self, *, wraps: bool) -> tuple[int, ...]:
        asked = self.asked
        far = "steps" in left_open(asked.function, asked.options)  # each reaches as far as seven plain ones
        return planning.default_overlap(np.asarray(to_numpy(asked.psf)), asked.boundary, far=far, wraps=wraps)

    def _pilot(self, pool: Workers, plan: Plan, limits: Limits) -> Pilot:
        shared = self._share(plan, {}, None)
        found: Pilot = self._one(pool, measure, shared, pilot_job(plan, self.asked.batch, limits.wanted))
        return found

    def _cut(self, core: int | Sequence[int], overlap: Sequence[int]) -> Plan:
        asked = self.asked
        # In a halo that is shorter than usual, what comes in at ends that are taken to repeat would be felt.
        wraps = asked.wraps and all(o >= u for o, u in zip(overlap, self._usual(wraps=False), strict=True))
        plan = planning.given(asked.along, core, overlap, asked.psf.shape, asked.periodic, wraps)
        # What is all there is needs no halo: the function itself knows that the other end follows.
        return replace(plan, padded=False) if plan.number == 1 and asked.told is not None else plan

    def _share(self, plan: Plan, options: Mapping[str, Any], pieces: Sequence[int] | None) -> Shared:
        asked, target = self.asked, None
        if asked.path is not None and pieces is not None:
            like = asked.volume if isinstance(asked.volume, Volume) else None
            target = Target(
                str(asked.path),
                str(self.ledger.samples),
                asked.shape,
                asked.dtype,
                tuple(pieces),
                like,
                json.dumps(plain(self.ledger.asked)),
            )
        return Shared(
            asked.function,
            asked.psf,
            asked.volume,
            target,
            {**asked.options, **options},
            asked.cut,
            plan,
            asked.spatial,
            "periodic" if asked.periodic and not plan.padded else asked.told,
            asked.dtype,
            self.device,
            self.retries,
        )

    def _limits(self, pool: Workers) -> Limits:
        if self.asked.out is None and self._whole > available():
            raise MemoryError(
                f"the result takes {in_words(self._whole)} and {in_words(available())} are free; pass out, a path to "
                "write it to"
            )
        if self.asked.memory is not None:
            return Limits(self.asked.memory, 1.02 * self.asked.memory)
        free = available() - (self._whole if self.asked.out is None else 0.0)
        if self.device is not None and self.device.startswith("cuda"):
            import torch

            free = min(free, float(torch.cuda.mem_get_info(self.device)[0]))
        own = pool.memory()
        if math.isfinite(own):
            return Limits(SHARE * own, own)
        if not math.isfinite(free):
            return Limits(UNKNOWN, math.inf)
        return Limits(SHARE * max(free, 0.0) / pool.number, max(free, 0.0) / pool.number)

    @property
    def _whole(self) -> float:
        return float(math.prod(self.asked.shape) * np.dtype(self.asked.dtype).itemsize)

    def _bytes(self, plan: Plan, pilot: Pilot) -> float:
        return pilot.bytes_of(plan.grid) + self._beside * math.prod(plan.outer)

    @property
    def _beside(self) -> float:
        return float(COPIES_BESIDE * np.dtype(self.asked.dtype).itemsize)

    def _auto(self, whole: Plan, pilot: Pilot, allowed: float, at_once: int) -> Plan:
        """The plan of least work, in pieces that suit the disk where that costs little."""
        most = pilot.largest(allowed, self._beside)
        stored = self.asked.path is not None and self.asked.path.suffix.lower() == ".zarr"
        units = [tuple(min(side, n) for n in whole.shape) for side in (UNITS if stored else (1,))]
        if isinstance(self.asked.volume, Volume) and self.asked.volume.pieces is not None:
            units.insert(0, tuple(self.asked.volume.pieces[a] for a in self.asked.spatial))
        plans, smallest = [], math.inf
        for unit in units:
            try:
                plans.append(
                    planning.best(
                        whole.shape,
                        whole.overlap,
                        whole.kernel,
                        padded=self.asked.periodic,
                        wraps=whole.wraps,
                        most=most,
                        at_once=at_once,
                        volumes=math.prod(self.asked.batch),
                        unit=unit,
                    )
                )
            except planning.TooLittleError as error:
                smallest = min(smallest, error.smallest)
        if not plans:
            need = pilot.bytes_of(smallest) + self._beside * smallest
            raise MemoryError(
                f"the smallest block takes {in_words(need)} and a worker has {in_words(allowed)}; pass more "
                "memory, fewer workers, a smaller overlap, or a PSF that is cropped"
            )
        least = min(plan.work for plan in plans)
        best = next(plan for plan in plans if plan.work <= LITTLE_MORE * least)
        return self._cut(best.core, best.overlap)

    def _refuse_what_cannot_fit(self, plan: Plan, pilot: Pilot, limits: Limits, pool: Workers) -> None:
        need = self._bytes(plan, pilot)
        idle = pool.number / min(pool.number, plan.number * math.prod(self.asked.batch))
        most = limits.most if self.asked.memory is not None or math.isfinite(pool.memory()) else limits.most * idle
        if need > most:
            raise MemoryError(
                f"chunks of {plan.core} take {in_words(need)} each and a worker has {in_words(most)}; pass smaller "
                "chunks, or chunks='auto'"
            )

    def _estimate(self, plan: Plan, pilot: Pilot, pool: Workers) -> dict[str, Any]:
        number = plan.number * math.prod(self.asked.batch)
        grid = plan.work * planning.samples(plan.shape, plan.kernel) / plan.number
        speed = 1.0 if self.device is not None else min(pool.speed, number)
        rounds = math.ceil(number / speed)
        return {
            "bytes a worker": self._bytes(plan, pilot),
            "seconds": pilot.seconds / pilot.grid * grid * rounds,
            "pilot": pilot._asdict(),
        }

    def _chosen(self, plan: Plan, pool: Workers) -> dict[str, Any]:
        """Parameters that are not given, chosen on the block with the most contrast."""
        if not left_open(self.asked.function, self.asked.options) or plan.number * math.prod(self.asked.batch) == 1:
            return {}
        shared = self._share(plan, {}, None)
        job = most_contrast(shared, self._jobs(plan))
        chosen: dict[str, Any] = self._one(pool, choose, shared, job)
        return chosen

    def _one(self, pool: Workers, function: Callable[[Shared, Job], Any], shared: Shared, job: Job) -> Any:
        """What a worker finds out."""
        sent, carried = self._for(pool, shared)
        for _, found in pool.each(function, sent, [carried(job)]):
            if isinstance(found, BaseException):
                raise found
            return found
        raise AssertionError

    def _report(self, pool: Workers) -> dict[str, Any]:
        plan, settled = self.plan, self.ledger.settled
        return {
            **self.ledger.asked,
            "chosen": dict(settled["options"]),
            "versions": _versions(self.ledger.asked["version"]),
            "chunks": {
                "number": plan.number * math.prod(self.asked.batch),
                "core": list(plan.core),
                "overlap": list(plan.overlap),
                "work": plan.work,
                "wasteful": plan.work > planning.WASTEFUL,
            },
            "workers": pool.number,
            "dashboard": pool.dashboard,
            "estimate": dict(settled["estimate"]),
            "resumed": len(self.ledger.records),
            "began": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(self.started)),
        }

    def _jobs(self, plan: Plan) -> list[Job]:
        places = itertools.product(
            itertools.product(*map(range, self.asked.batch)), itertools.product(*map(range, plan.counts))
        )
        return [Job(number, place, index) for number, (place, index) in enumerate(places)]

    def _for(self, pool: Workers, shared: Shared) -> tuple[Shared, Callable[[Job], Job]]:
        """What is sent to the workers, and what a job carries where they cannot read for themselves."""
        here = [v for v in (self.asked.volume, *self.asked.cut.values()) if not isinstance(v, Volume)]
        if not pool.remote or not here:
            return shared, lambda job: job
        return replace(shared, source=None, cut={}), lambda job: job.carrying(shared)


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _versions(own: str) -> dict[str, str]:
    import sys

    import scipy

    used = {"numpy": np, "scipy": scipy} | {n: sys.modules[n] for n in ("zarr", "dask", "torch") if n in sys.modules}
    found = {name: str(getattr(module, "__version__", "")) for name, module in used.items()}
    return {"sigdeconv": own, "python": platform.python_version(), **found}
