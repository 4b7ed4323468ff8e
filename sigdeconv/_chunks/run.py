"""One run over the chunks of a volume, worked off and reported."""

from __future__ import annotations

import errno
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .block import Job, full, work
from .preparation import Preparation
from .seam import Seam
from .told import Chunked, ChunkProgress, ChunksEndedError, ChunksFailedError
from .workers import Workers


class Run(Preparation):
    """One call of `map_chunks`."""

    def ended(self, resume: bool) -> Chunked | None:
        """The result of an earlier run that was killed when it was there already; else see that it may be made."""
        report = self.ledger.ended() if resume else None
        if report is not None:
            return Chunked(self.asked.path, report)
        if self.asked.path is not None and self.asked.path.exists():
            self.ledger.tidy()
        self.asked.refuse_existing()
        self.ledger.lock()
        return None

    def work(self, pool: Workers) -> Chunked:
        """All chunks that are not done yet."""
        ledger, seam, jobs = self.ledger, Seam(self.plan), self._jobs(self.plan)
        for number, record in ledger.records.items():
            seam.add(number, record["peak"] or 0.0, ledger.faces(number))
        result = self.asked.out
        if self.asked.out is None:
            result = np.empty(self.asked.shape, self.asked.dtype)
        todo = [job for job in jobs if job.number not in ledger.records]
        failed: dict[int, BaseException] = {}
        began = time.perf_counter()
        shared, carried = self._for(pool, self.shared)
        try:
            ended = self._tell(len(jobs), self.report["estimate"]["seconds"] * len(todo) / len(jobs))
            for job, done in pool.each(work, shared, map(carried, todo)) if todo and not ended else ():
                if isinstance(done, BaseException):
                    failed[job.number] = done
                    if isinstance(done, OSError) and done.errno in (errno.ENOSPC, errno.EDQUOT):
                        break  # no other chunk will find room
                    continue
                if done.samples is not None:
                    self._put(result, job, done.samples)
                record = {"seconds": done.seconds, "attempts": done.attempts, "peak": done.peak}
                ledger.mark(job.number, record, done.faces)
                seam.add(job.number, done.peak, done.faces)
                fresh = len(ledger.records) - self.report["resumed"]
                rest = len(todo) - fresh - len(failed)
                if self._tell(len(jobs), (time.perf_counter() - began) / fresh * rest) and rest:
                    ended = True
                    break
        except BaseException:
            self._log(seam, began)
            ledger.leave(self.report)
            raise
        self._log(seam, began)
        if failed or ended:
            self._stop(failed, jobs)
        return self._finished(result)

    def _finished(self, result: Any) -> Chunked:
        if self.shared.target is not None:
            self.asked.refuse_existing()
            self.ledger.finish(self.report)
            self.shared.target.finish()
            result = self.asked.path
        self.ledger.close()
        return Chunked(result, self.report)

    def _log(self, seam: Seam, began: float) -> None:
        records = self.ledger.records
        self.report["seconds"] = time.perf_counter() - began
        self.report["times"] = {str(n): records[n]["seconds"] for n in sorted(records)}
        self.report["attempts"] = {str(n): r["attempts"] for n, r in sorted(records.items()) if r["attempts"] > 1}
        self.report["seam"] = seam.relative

    def _put(self, result: Any, job: Job, samples: NDArray[Any]) -> None:
        result[full(self.asked.spatial, job.batch, self.plan.block(job.index).core)] = samples

    def _tell(self, total: int, remaining: float) -> bool:
        if self.callback is None:
            return False
        told = ChunkProgress(len(self.ledger.records), total, remaining, self.report["chosen"], self.report)
        return self.callback(told) is True

    def _stop(self, failed: Mapping[int, BaseException], jobs: Sequence[Job]) -> None:
        saved = len(self.ledger.records)
        folder = self.ledger.folder
        where = "" if folder is None else f"; {saved} are saved in {folder}: the same call does the rest"
        self.report["failed"] = {str(n): f"{type(e).__name__}: {e}" for n, e in failed.items()}
        self.ledger.leave(self.report)
        if not failed:
            raise ChunksEndedError(f"ended by callback after {saved} of {len(jobs)} chunks{where}")
        first = next(iter(failed))
        core = self.plan.block(jobs[first].index).core
        place = full(self.asked.spatial, jobs[first].batch, core)
        raise ChunksFailedError(
            f"{len(failed)} of {len(jobs)} chunks failed, the first at {_in_words(place)}: "
            f"{type(failed[first]).__name__}: {failed[first]}{where}"
        ) from failed[first]


def _in_words(place: Sequence[int | slice]) -> str:
    return f"[{', '.join(f'{s.start}:{s.stop}' if isinstance(s, slice) else str(s) for s in place)}]"
