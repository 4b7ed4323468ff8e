"""What a run over chunks is asked for: every argument looked at, before any work."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._array import Array, checked_axis, choice, floating, number, per_axis, require_ndim, shown
from .._volumes import KINDS, Volume, open_volume
from .block import Work
from .trial import parameters

BOUNDARIES = ("free", "zero", "reflect", "periodic")
WORK = 10_000  # steps after which arrays are taken to share memory: views of one array, cut in odd ways


class Request:
    """The arguments of `map_chunks` that say what is wanted; those that say who does it are `Run`'s."""

    def __init__(
        self,
        function: Work,
        volume: Any,
        psf: Array,
        options: Mapping[str, Any],
        *,
        out: Any,
        chunks: Any,
        overlap: Any,
        boundary: str,
        channel_axis: int | None,
        dtype: str | None,
        memory: float | None,
        overwrite: bool,
    ) -> None:
        if not callable(function):
            raise TypeError(f"function is {shown(function)}; pass a method such as sigdeconv.richardson_lucy")
        self.function, self.overwrite = function, overwrite
        if hasattr(psf, "domain_shape"):
            raise TypeError(f"psf is a {type(psf).__name__} of one shape; pass the PSF itself, for blocks of any")
        self.psf = floating(psf, "psf", moderate=True)
        self.boundary = choice(boundary, BOUNDARIES, "boundary")
        self.told = self._told()
        self.wraps = self.told is not None and _for_each_axis(parameters(function).get("boundary"))
        self.periodic = self.boundary == "periodic"
        self.memory = None if memory is None else number(memory, "memory", above=0.0)
        self._take_volume(volume, channel_axis)
        self.chunks = choice(chunks, ("auto",), "chunks") if isinstance(chunks, str) else self._sides(chunks, "chunks")
        self.overlap = None if overlap is None else self._sides(overlap, "overlap")
        self.cut = {name: value for name, value in options.items() if self._is_cut(value)}
        self.options = {name: value for name, value in options.items() if name not in self.cut}
        self._take_out(out)
        self.dtype = self._dtype(dtype)

    def _told(self) -> str | None:
        """What the function is told of the volume's ends; None: it is not told, and sees a block as all there is."""
        inside = "free" if self.boundary == "periodic" else self.boundary  # blocks then reach into the other end
        known = parameters(self.function)
        if "boundary" in known:
            return inside
        if inside == "free":
            return None
        if any(p.kind is p.VAR_KEYWORD for p in known.values()):
            return inside
        raise ValueError(
            f"boundary is {self.boundary!r} but function takes no boundary; pass 'free' or 'periodic', or a function "
            "that takes one"
        )

    def _take_volume(self, volume: Any, channel_axis: int | None) -> None:
        self.volume = open_volume(volume) if isinstance(volume, (str, os.PathLike)) else volume
        for name in ("shape", "dtype", "__getitem__"):
            if not hasattr(self.volume, name) or isinstance(volume, type):
                raise TypeError(f"volume is of type {type(volume).__name__}; pass a path, or an array that can be cut")
        self.shape = tuple(int(n) for n in self.volume.shape)
        if not all(self.shape):
            raise ValueError(f"volume is empty (shape {self.shape}); at least one sample is wanted on every axis")
        self.kept = self._kept()
        axes = list(range(len(self.shape)))
        if channel_axis is not None:
            axes.remove(checked_axis(channel_axis, len(self.shape), "channel_axis", "volume"))
        require_ndim(np.broadcast_to(0, [self.shape[a] for a in axes]), self.psf.ndim, "volume")
        self.spatial = tuple(axes[len(axes) - self.psf.ndim :])
        self.along = tuple(self.shape[a] for a in self.spatial)
        self.batch = tuple(n for a, n in enumerate(self.shape) if a not in self.spatial)

    def _kept(self) -> str:
        """The floating dtype that goes with the volume's."""
        name = str(self.volume.dtype).rpartition(".")[2]  # "torch.float32"
        try:
            dtype = np.dtype(name)
        except TypeError:
            dtype = np.dtype(object)
        if dtype.kind not in "biuf":
            raise TypeError(f"volume has dtype {name}; real numbers are wanted")
        wide = dtype.itemsize > (4 if dtype.kind == "f" else 2)
        return "float64" if wide else "float32"

    def _sides(self, value: Any, name: str) -> int | tuple[int, ...]:
        sides = per_axis(value, self.psf.ndim, name, minimum=1 if name == "chunks" else 0)
        return sides[0] if isinstance(value, (int, np.integer)) else sides

    def _is_cut(self, value: Any) -> bool:
        shape = tuple(getattr(value, "shape", ()))
        return len(shape) > 0 and shape in (self.shape, self.along)

    def _take_out(self, out: Any) -> None:
        self.out = out
        self.path = Path(os.path.abspath(out)) if isinstance(out, (str, os.PathLike)) else None
        read = {"the volume": self.volume, **self.cut}
        if self.path is not None:
            if self.path.suffix.lower() not in KINDS:
                raise ValueError(f"out is {shown(str(out))}; pass a path that ends in {', '.join(KINDS)}")
            if not self.path.parent.is_dir():
                raise FileNotFoundError(f"{out} lies in a folder that does not exist; make {self.path.parent} first")
            for name, array in read.items():
                if _within(_place(array), self.path.resolve()):
                    raise ValueError(f"{out} is what {name} is read from; pass another name")
            if self.path.is_dir() and not _is_zarr(self.path):
                raise FileExistsError(f"{out} is a folder but no Zarr; it is not replaced: pass another name")
            return
        if out is None:
            return
        if tuple(getattr(out, "shape", ())) != self.shape or not hasattr(out, "__setitem__"):
            said = f"has shape {out.shape}" if hasattr(out, "shape") else f"is {shown(out)}"
            raise ValueError(f"out {said}; pass a path, or an array of shape {self.shape}")
        for name, array in read.items():
            place = _place(out)
            if array is out or _overlap(array, out) or (place is not None and _within(_place(array), place)):
                raise ValueError(f"out is what {name} is read from; pass another array")

    def _dtype(self, dtype: str | None) -> str:
        wanted = self.kept if dtype is None else choice(str(dtype), ("float32", "float64"), "dtype")
        if self.path is not None or self.out is None:
            return wanted
        own = str(self.out.dtype)
        if own not in ("float32", "float64") or (dtype is not None and own != wanted):
            raise ValueError(f"out has dtype {own}; pass an array of {wanted}")
        return own

    def refuse_existing(self) -> None:
        """Unless it may be replaced.

        Raises
        ------
        FileExistsError
            The result's place is taken.
        """
        if self.path is not None and os.path.lexists(self.path) and not self.overwrite:
            raise FileExistsError(f"{self.path} exists; pass another name, or overwrite")


def _for_each_axis(parameter: inspect.Parameter | None) -> bool:
    """Whether a parameter takes a sequence, by its annotation."""
    return parameter is not None and "Sequence" in str(parameter.annotation)


def _place(array: Any) -> Path | None:
    """Where an array lies on disk, as far as can be told."""
    if isinstance(array, Volume):
        return Path(array.path).resolve()
    if isinstance(array, np.memmap) and array.filename is not None:
        return Path(array.filename).resolve()
    root = getattr(getattr(array, "store", None), "root", None)  # of Zarr's array
    if isinstance(root, (str, os.PathLike)):
        return (Path(root) / str(getattr(array, "path", ""))).resolve()
    return None


def _within(place: Path | None, other: Path) -> bool:
    return place is not None and (place == other or other in place.parents or place in other.parents)


def _overlap(one: Any, other: Any) -> bool:
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
        return False
    try:
        return bool(np.shares_memory(one, other, max_work=WORK))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def _is_zarr(path: Path) -> bool:
    return not any(path.iterdir()) or any((path / name).exists() for name in ("zarr.json", ".zarray", ".zgroup"))
