"""The log of a run over chunks, and what an interrupted run has left to go on from.

Beside the volume that is being made lies a folder ``NAME.part`` with the samples so far, the log, and a mark for every
chunk that is done. A mark is written after the samples, under another name, and renamed: what has a mark is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Faces = Mapping[str, NDArray[Any]]

OURS = re.compile(r"(run|log|finished)\.json(\.tmp)?|done|lock|(samples|replaced)\..*")  # what lies in the folder
SLAB = 1 << 24  # bytes that are hashed at a time
PROBE = 32  # samples along the sides of the parts by which a volume is told from another one
PROBES = 5


class Ledger:
    """What is done of a run, on disk where the result is.

    Parameters
    ----------
    out : Path, optional
        What the result will be called; None if it stays in memory, and nothing is left of an interrupted run.
    asked : dict
        What makes two runs the same: function, options, PSF, volume.
    """

    def __init__(self, out: Path | None, asked: Mapping[str, Any]) -> None:
        self.out = out
        self.folder = None if out is None else out.with_name(out.name + ".part")
        self.asked = dict(asked)
        self.settled: dict[str, Any] = {}  #: what was chosen before the first chunk
        self.records: dict[int, dict[str, Any]] = {}
        self._lock: Any = None

    @property
    def samples(self) -> Path | None:
        """Where the samples are while they are being computed."""
        return None if self.folder is None or self.out is None else self.folder / f"samples{self.out.suffix}"

    def resumes(self) -> bool:
        """Take up what an earlier run has left; False if there is nothing.

        Raises
        ------
        ValueError
            That run was another one.
        """
        if self.folder is None or self.samples is None or not self.samples.exists() or not self._same():
            return False
        self.settled = self._load("run.json")["settled"]
        for path in (self.folder / "done").glob("*.npz"):
            with np.load(path, allow_pickle=False) as found:
                self.records[int(path.stem)] = json.loads(str(found["record"]))
        return True

    def faces(self, number: int) -> Faces:
        """The faces of a chunk that an earlier run has done."""
        if self.folder is None:
            return {}
        with np.load(self.folder / "done" / f"{number}.npz", allow_pickle=False) as found:
            return {name: found[name] for name in found.files if name != "record"}

    def ended(self) -> dict[str, Any] | None:
        """The report of an earlier run that was interrupted when all was in its place; it is tidied up now."""
        if self.folder is None or self.out is None or self.samples is None:
            return None
        if self.samples.exists() or not self.out.exists() or not self._same():
            return None
        name = "finished.json"
        path = self.folder / name if (self.folder / name).exists() else self._report
        if not path.exists():
            return None
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        self.close()
        return report

    def tidy(self) -> None:
        """Remove a folder that tells of no run: one was interrupted as it made it, or as it removed it."""
        if self.folder is None or not self.folder.is_dir() or (self.folder / "run.json").exists():
            return
        if all(OURS.fullmatch(entry.name) for entry in self.folder.iterdir()):
            self.lock()
            self.release()
            shutil.rmtree(self.folder)

    def _same(self) -> bool:
        if self.folder is None or not (self.folder / "run.json").exists():
            return False
        left = self._load("run.json")["asked"]
        for name, value in plain(self.asked).items():
            if left.get(name) != value:
                raise ValueError(
                    f"{self.folder} is left of a run with another {name} ({_short(left.get(name))}, now "
                    f"{_short(value)}); finish that run, or begin anew: resume=False (--no-resume)"
                )
        return True

    def begin(self, settled: Mapping[str, Any], make: Callable[[], None]) -> None:
        """Start anew: `make` makes room for the samples.

        Raises
        ------
        FileExistsError
            The folder is someone else's.
        """
        self.settled, self.records = dict(settled), {}
        if self.folder is None:
            return
        if self.folder.exists():
            others = [entry.name for entry in self.folder.iterdir() if not OURS.fullmatch(entry.name)]
            if others:
                raise FileExistsError(
                    f"{self.folder} is needed, but it holds {others[0]}; move it, or pass another out"
                )
            for entry in self.folder.iterdir():
                if entry.name != "lock":
                    _remove(entry)
        (self.folder / "done").mkdir(parents=True)
        self.lock()
        try:
            make()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)  # it may have filled the disk
            raise
        self._save("run.json", {"asked": self.asked, "settled": self.settled})

    def lock(self) -> None:
        """Keep other runs away from the folder for as long as this process lives.

        Raises
        ------
        FileExistsError
            Another run is at work there.
        """
        if self.folder is None or not self.folder.exists() or self._lock is not None:
            return
        try:
            import fcntl
        except ImportError:  # Windows
            return
        file = open(self.folder / "lock", "w")  # noqa: SIM115  (it is held)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise FileExistsError(f"another run is writing {self.out}; wait for it, or pass another out") from None
        except OSError:  # a file system without locks
            file.close()
            return
        self._lock = file

    def release(self) -> None:
        """Let other runs in."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def mark(self, number: int, record: Mapping[str, Any], faces: Faces) -> None:
        """Chunk `number` is done, and its samples are where they belong."""
        self.records[number] = dict(record)
        if self.folder is not None:
            path = self.folder / "done" / f"{number}.npz"
            with open(path.with_suffix(".tmp"), "wb") as file:
                np.savez(file, record=np.array(json.dumps(plain(record))), **faces)  # type: ignore[arg-type]
            os.replace(path.with_suffix(".tmp"), path)

    def finish(self, report: Mapping[str, Any]) -> None:
        """All chunks are done; what is left is to give the result its name."""
        if self.folder is not None:
            self._save("finished.json", report)

    @property
    def _report(self) -> Path:
        assert self.out is not None
        return self.out.with_name(self.out.name + ".json")

    def close(self) -> None:
        """The result has its name: the log stays, the rest goes, what tells of the run last."""
        if self.folder is None:
            return
        for entry in self.folder.iterdir():
            if entry.name not in ("run.json", "finished.json", "lock"):
                _remove(entry)
        if (self.folder / "finished.json").exists():
            os.replace(self.folder / "finished.json", self._report)
        (self.folder / "run.json").unlink(missing_ok=True)
        self.release()
        shutil.rmtree(self.folder)

    def leave(self, report: Mapping[str, Any]) -> None:
        """The run ends before its end: the log joins what is left."""
        if self.folder is not None:
            self._save("log.json", report)

    def _load(self, name: str) -> Any:
        assert self.folder is not None
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def _save(self, name: str, what: Mapping[str, Any]) -> None:
        assert self.folder is not None
        temporary = self.folder / f"{name}.tmp"
        temporary.write_text(json.dumps(plain(what), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(temporary, self.folder / name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def fingerprint(array: Any) -> dict[str, Any]:
    """Shape, type and a hash of an array's samples."""
    digest = hashlib.sha256()
    for slab in _slabs(np.asarray(array)):
        digest.update(np.ascontiguousarray(slab).view(np.uint8).data)
    return {"shape": list(array.shape), "dtype": array.dtype.name, "sha256": digest.hexdigest()[:16]}


def _slabs(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Parts of an array along its first axis, none of which takes much memory when it is copied."""
    array = array.reshape(1) if array.ndim == 0 else array
    step = max(1, SLAB * len(array) // max(1, array.nbytes))
    return (array[i : i + step] for i in range(0, len(array), step))


def identity(array: Any) -> dict[str, Any]:
    """What tells a volume from another one: of samples in memory a hash; else a few parts of it, and of a file where it
    lies and when it changed.
    """
    if type(array) is np.ndarray:
        return fingerprint(array)
    said: dict[str, Any] = {"shape": list(array.shape), "dtype": str(array.dtype)}
    if isinstance(array, np.memmap) and array.filename is not None:
        said["path"], said["changed"] = str(Path(array.filename).resolve()), os.stat(array.filename).st_mtime_ns
    elif hasattr(array, "identity"):
        said = array.identity()
    digest = hashlib.sha256()
    for i in range(PROBES):
        at = [(n - min(n, PROBE)) * i // (PROBES - 1) for n in array.shape]
        part = np.asarray(array[tuple(slice(a, a + PROBE) for a in at)])
        digest.update(np.ascontiguousarray(part).view(np.uint8).data)
    return {**said, "probe": digest.hexdigest()[:16]}


def plain(value: Any) -> Any:
    """As JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return fingerprint(value) if value.ndim else plain(value.item())
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None if value != value else f"{value:+}"  # JSON knows neither
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    return named(value)


def named(value: Any) -> str:
    """What an object is called in every process: no address in memory."""
    name = getattr(value, "__qualname__", None)
    if name is not None and not isinstance(value, type):
        return f"{getattr(value, '__module__', '')}.{name}"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
