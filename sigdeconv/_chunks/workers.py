"""Who does the work on chunks: threads of this process, processes of this machine, or a dask cluster.

Each is a context that offers ``each(function, shared, jobs)``: pairs of a job and what `function` made of it, or the
exception that it raised, in the order in which they end. Few jobs are under way at a time, so that what they carry
does not fill the memory.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from .. import _parallel
from .._array import shown

AHEAD = 2  # jobs under way for each worker: one is worked on while the next one's data come
LOST = 5  # times that a job is begun anew because what it was sent died with a worker
HEAVY = 1 << 20  # bytes of samples, from which on a job goes to a worker by dask's way for data
WAIT = 30.0  # seconds for the first worker of a cluster to come

Function = Callable[[Any, Any], Any]

_GONE = object()


class Workers(Protocol):
    """What does the work."""

    number: int
    speed: float  #: jobs that are done in the time of one that is alone
    remote: bool  #: whether jobs are sent to other processes
    dashboard: str | None  #: where dask's page of the cluster is

    def memory(self) -> float: ...

    def each(self, function: Function, shared: Any, jobs: Iterable[Any]) -> Iterator[tuple[Any, Any]]: ...


class Threads:
    """Threads of this process. One is enough where a single chunk uses all cores."""

    remote = False

    def __init__(self, number: int) -> None:
        self.number = number
        self.speed = max(1.0, min(float(number), _cores() / _parallel.workers()))
        self.dashboard: str | None = None

    def memory(self) -> float:
        """Bytes that a thread may use; it has no limit of its own."""
        return math.inf

    def each(self, function: Function, shared: Any, jobs: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """See above."""
        from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

        waiting = iter(jobs)
        with ThreadPoolExecutor(self.number, thread_name_prefix="chunks") as pool:
            running: dict[Future[Any], Any] = {}

            def start() -> None:
                for job in waiting:
                    running[pool.submit(function, shared, job)] = job
                    return

            try:
                for _ in range(self.number):
                    start()
                while running:
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        job, error = running.pop(future), future.exception()
                        start()
                        yield job, future.result() if error is None else error
            finally:
                for future in running:
                    future.cancel()


class Cluster:
    """A dask cluster.

    Raises
    ------
    TimeoutError
        It has no workers.
    """

    remote = True

    def __init__(self, client: Any, pages: bool = True) -> None:
        self.client = client
        if not client.nthreads():
            try:
                client.wait_for_workers(1, timeout=WAIT)
            except TimeoutError:
                raise TimeoutError(
                    f"the cluster at {client.scheduler.address} has no workers; start some: dask worker "
                    f"{client.scheduler.address}"
                ) from None
        self.number = max(1, sum(client.nthreads().values()))
        self.speed = float(self.number)
        self.dashboard = client.dashboard_link if pages else None

    def memory(self) -> float:
        """Bytes that a thread of the cluster may use; infinite where the cluster does not say."""
        found = self.client.scheduler_info(n_workers=-1)["workers"].values()
        limits = [worker["memory_limit"] / worker["nthreads"] for worker in found if worker["memory_limit"]]
        return min(limits, default=math.inf)

    def each(self, function: Function, shared: Any, jobs: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """See above. A chunk whose worker dies is given to another one by the scheduler."""
        from distributed import as_completed

        waiting = iter(jobs)
        running: dict[Any, tuple[Any, int, Any]] = {}  # future: its job, how often that was lost, what it was told
        everywhere = self.client.scatter(shared, broadcast=True, hash=False)
        sequence: Any = as_completed()  # type: ignore[no-untyped-call]

        def start(job: Any, lost: int = 0) -> None:
            samples = getattr(job, "samples", None)
            heavy = samples is not None and samples.nbytes > HEAVY
            sent = self.client.scatter(job, hash=False) if heavy else job
            future = self.client.submit(function, everywhere, sent, pure=False)
            running[future] = job, lost, everywhere
            sequence.add(future)

        def start_next() -> None:
            for job in waiting:
                start(job)
                return

        try:
            for _ in range(AHEAD * self.number):
                start_next()
            for future in sequence:
                job, lost, told = running.pop(future)
                outcome = _outcome(future)
                if outcome is _GONE and lost < LOST:
                    # What was sent to the workers has no other copy: it died with the last one that had it.
                    if told is everywhere:
                        everywhere = self.client.scatter(shared, broadcast=True, hash=False)
                    start(job, lost + 1)
                    continue
                start_next()
                yield job, RuntimeError("its workers died") if outcome is _GONE else outcome
        finally:
            if running:
                self.client.cancel(list(running), force=True)


def _outcome(future: Any) -> Any:
    """What came of a job: its result, an exception, or `_GONE` where a dead worker has taken it along."""
    from distributed import CancelledError

    if future.status == "error":
        return future.exception()
    try:
        return future.result()
    except CancelledError:
        return _GONE
    except Exception as error:
        return error


@contextmanager
def workers(cluster: Any, number: int | None) -> Iterator[Workers]:
    """The workers that are asked for.

    Raises
    ------
    ValueError, TypeError
        `cluster` is nothing that can be worked with.
    ImportError
        It wants dask, which is not installed.
    OSError
        Nobody answers at the address.
    """
    named = isinstance(cluster, str)
    if cluster is None or (named and cluster == "threads"):
        yield Threads(number or 1)
        return
    if named and cluster != "processes" and ":" not in cluster:
        raise ValueError(
            f"cluster is {shown(cluster)}; pass 'threads', 'processes', or the address of a dask scheduler, "
            "'tcp://host:8786'"
        )
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ImportError("clusters need the extra 'chunked'; run: pip install 'sigdeconv[chunked]'") from None
    if isinstance(cluster, Client):
        yield Cluster(cluster)
    elif named and cluster == "processes":
        with (
            # Without a limit: dask would pause or end a worker that came near it, and the plan has seen to the memory.
            LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=number or _cores(), threads_per_worker=1, memory_limit=0, dashboard_address=":0"
            ) as local,
            Client(local) as client,  # type: ignore[no-untyped-call]
        ):
            yield Cluster(client, _has_pages())
    elif named:
        with _connected(Client, cluster) as client:
            yield Cluster(client)
    else:
        raise TypeError(
            f"cluster is of type {type(cluster).__name__}; pass 'threads', 'processes', the address of a dask "
            "scheduler, or a distributed.Client"
        )


def _connected(client: Any, address: str) -> Any:
    try:
        return client(address, timeout="10s")
    except OSError as error:
        raise OSError(f"no dask scheduler answers at {address}; start one: dask scheduler") from error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _has_pages() -> bool:
    """Whether what dask draws its pages with is installed."""
    from importlib.util import find_spec

    return find_spec("bokeh") is not None
