"""How much memory there is, and how much a piece of work takes."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Of a container: its limit, what it uses, and where that is listed in detail.
NOTICED = 1 << 28  # bytes, below which nobody asks how much memory is free
CGROUPS = (
    tuple(Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current", "memory.stat")),
    tuple(
        Path("/sys/fs/cgroup/memory") / name
        for name in ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")
    ),
)
CACHE = ("inactive_file", "total_inactive_file")  # files that were read and can be dropped; counted as used

_tracing = threading.Lock()


def available() -> float:
    """Bytes that this process may still take, without swapping; infinite where the system does not say."""
    found = [math.inf]
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found += [1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    if len(found) == 1:
        with contextlib.suppress(ImportError, OSError, ValueError, AttributeError):
            found.append(float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")))
    for limit, used, details in CGROUPS:
        with contextlib.suppress(OSError, ValueError):
            free = float(limit.read_text(encoding="ascii")) - float(used.read_text(encoding="ascii"))
            found.append(free + _cache(details))
    return max(0.0, min(found))


def _cache(details: Path) -> float:
    """Bytes of file cache within what a container uses."""
    with contextlib.suppress(OSError, ValueError):
        lines = dict(line.split() for line in details.read_text(encoding="ascii").splitlines())
        return max(float(lines.get(name, 0)) for name in CACHE)
    return 0.0


def in_words(size: float) -> str:
    """A number of bytes for people."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.3g} {unit}" if size < 1000 else f"{size:.0f} {unit}"
        size /= 1024
    raise AssertionError


def require_room(need: float, what: str) -> None:
    """Raise if a restoration cannot fit into the memory that is free: before it, not in the middle of the work.

    Raises
    ------
    MemoryError
        The message says how much is wanted, and what to do.
    """
    if need >= NOTICED and need > (free := available()):
        raise MemoryError(
            f"{what} takes at least {in_words(need)} to restore, and {in_words(free)} are free; pass float32, a "
            "smaller part or a smaller PSF, or use sigdeconv.map_chunks"
        )


def peak_of(work: Callable[[], Any]) -> tuple[Any, float]:
    """What `work` returns, and how many bytes it took beyond what was there, at its peak; of NumPy's arrays."""
    with _tracing:
        running = tracemalloc.is_tracing()
        if not running:
            tracemalloc.start()
        try:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            result = work()
            return result, float(tracemalloc.get_traced_memory()[1] - before)
        finally:
            if not running:
                tracemalloc.stop()
