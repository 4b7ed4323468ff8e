"""Work of the library in another thread, while napari stays awake: progress, stop, cancel, one line on a failure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

REFUSALS = (ValueError, TypeError, OSError, ImportError, MemoryError)  # the user can cure them
LOOK = 100  # milliseconds from one look at the progress to the next


class CancelledError(Exception):
    """The result is not wanted any more."""


class _NoResult(NamedTuple):
    """An exception is handed over in this: napari shows a traceback of one that is raised, or returned as it is."""

    error: Exception


class Task:
    """What runs: how far it is, and the wishes of the user. The thread writes the one and reads the other."""

    def __init__(self, total: int = 0) -> None:
        self.total = total
        self.index = 0
        self.change = float("nan")
        self.chosen: Mapping[str, Any] = {}
        self.stopped = False  # with what there is
        self.cancelled = False
        self.gone = False  # the widget is closed
        self.seconds = 0.0
        self.worker: Any = None

    def watch(self, iteration: Any) -> bool:
        """The callback of a method: True stops it."""
        self.index, self.change, self.chosen = iteration.index, iteration.change, dict(iteration.chosen)
        self._give_up()
        return self.stopped

    def watch_tiles(self, tile: Any) -> None:
        """The callback of a network, which works on pieces of the image."""
        self.index, self.total, self.chosen = tile.done, tile.total, dict(tile.chosen)
        self._give_up()

    def _give_up(self) -> None:
        # napari asks the worker to quit when it is closed
        if self.cancelled or (self.worker is not None and self.worker.abort_requested):
            self.cancelled = True
            raise CancelledError

    def found(self) -> dict[str, Any]:
        """What was chosen from the data: numbers, or one for each image of a batch."""
        plain = (int, float)
        return {
            name: value
            for name, value in self.chosen.items()
            if isinstance(value, plain) or (isinstance(value, tuple) and all(isinstance(v, plain) for v in value))
        }

    def told(self) -> str:
        """How far it is, in words."""
        if not self.index:
            return "preparing …"
        steps = f"{self.index} of at most {self.total}" if self.total else f"{self.index}"
        change = f", last change {self.change:.1e}" if self.change == self.change else ""
        return f"step {steps}{change}"


def start(
    task: Task, call: Callable[[], Any], *, title: str, done: Callable[[Any], None], said: Callable[[str], None]
) -> None:
    """Run `call` in another thread, and `done` with its result in this one.

    Parameters
    ----------
    task : Task
        Whose callbacks `call` uses.
    call : callable
        The work.
    title : str
        What the progress bar is called.
    done : callable
        Not called if the work fails or is cancelled.
    said : callable
        Given a line on how it stands, again and again, and an empty one at the end.
    """
    from napari.qt.threading import create_worker
    from napari.utils import progress
    from napari.utils.notifications import show_error, show_info
    from qtpy.QtCore import QTimer

    def work() -> Any:
        started = time.perf_counter()
        try:
            return call()
        except (CancelledError, *REFUSALS) as error:
            return _NoResult(error)
        finally:
            task.seconds = time.perf_counter() - started

    bar = progress(total=task.total, desc=title)
    timer = QTimer()

    def look() -> None:
        if task.gone:
            return
        if bar.total != task.total and task.total:
            bar.total = task.total
        if task.index > bar.n:
            bar.update(task.index - bar.n)
        said("ending after this step …" if task.cancelled or task.stopped else task.told())

    def returned(result: Any) -> None:
        if task.gone:
            return
        if not isinstance(result, _NoResult):
            done(result)
        elif isinstance(result.error, MemoryError):
            show_error(f"not enough memory: {result.error}")
        elif not isinstance(result.error, CancelledError):
            show_error(" ".join(str(result.error).split()))

    def finished() -> None:
        timer.stop()
        bar.close()
        if not task.gone:
            said("")
        if task.cancelled:
            show_info(f"{title} was cancelled")
        task.worker = None

    task.worker = create_worker(work, _start_thread=False)
    task.worker.returned.connect(returned)
    task.worker.finished.connect(finished)
    timer.timeout.connect(look)
    timer.start(LOOK)
    look()
    task.worker.start()
