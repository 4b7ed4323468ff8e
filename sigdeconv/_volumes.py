"""Volumes that stay on disk and are read piece by piece: Zarr and OME-Zarr, TIFF, NPY.

A `Volume` says where samples lie and opens them when they are asked for, once in every process, so that it can be sent
to a worker. What is written is a `_targets.Target`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _multiscale
from ._formats import default_axes, tiff_spacing

Region = tuple[slice | int, ...]

TIFFS, ARRAYS, ZARRS = (".tif", ".tiff"), (".npy",), (".zarr",)
SPACING = "spacing"  # the attribute of a plain Zarr array that holds its voxel size in micrometres
MAPPED = 1 << 25  # bytes of a file that are mapped at a time
KINDS = (*ZARRS, *TIFFS, *ARRAYS)


@dataclass(frozen=True)
class Volume:
    """An array on disk.

    Parameters
    ----------
    path : str
        The file, or the folder of the Zarr array.
    shape : tuple of int
        Of the array.
    dtype : str
        Of the samples, in native byte order.
    axes : str
        A letter an axis, as in `io.Picture`.
    spacing : dict
        Voxel size in micrometres by letter.
    pieces : tuple of int, optional
        Shape of the pieces that a Zarr array is stored in.
    meta : dict
        What a copy should have too: attributes, and the format of a Zarr array.
    """

    path: str
    shape: tuple[int, ...]
    dtype: str
    axes: str
    spacing: Mapping[str, float] = field(default_factory=dict)
    pieces: tuple[int, ...] | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, region: Region) -> NDArray[Any]:
        samples = np.asarray(_opened(self.path, os.stat(self.path).st_mtime_ns)[region])
        return samples.astype(samples.dtype.newbyteorder("="), copy=False)

    def identity(self) -> dict[str, Any]:
        """What tells whether it is still the same."""
        found = os.stat(self.path)
        return {
            "path": str(Path(self.path).resolve()),
            "shape": list(self.shape),
            "dtype": self.dtype,
            "changed": found.st_mtime_ns,
        }


def open_volume(path: str | os.PathLike[str]) -> Volume:
    """The volume at a path: ``.zarr`` (or an array within), ``.tif`` or ``.npy``.

    Raises
    ------
    OSError
        It does not exist.
    ValueError
        It holds no array, or more than one.
    ImportError
        A library that reads it is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; check the name and the folder")
    if path.is_dir():
        return _open_zarr(path)
    suffix = path.suffix.lower()
    if suffix in ARRAYS:
        data = np.load(path, mmap_mode="r", allow_pickle=False)
        return _described(path, data, default_axes(data.ndim))
    if suffix in TIFFS:
        return _open_tiff(path)
    raise ValueError(f"{path} cannot be read piece by piece; pass one of {', '.join(KINDS)}")


def _described(path: Path, data: Any, axes: str, **more: Any) -> Volume:
    dtype = np.dtype(data.dtype)
    if dtype.kind not in "biuf" or not all(data.shape) or not data.shape:
        raise ValueError(f"{path} holds {dtype} of shape {data.shape}; a non-empty array of real numbers is wanted")
    return Volume(str(path), tuple(data.shape), dtype.newbyteorder("=").name, axes, **more)


def zarr_library(what: str = "Zarr") -> Any:
    """The library, or what to do about its absence."""
    try:
        import zarr
    except ImportError:
        raise ImportError(f"{what} needs the extra 'chunked'; run: pip install 'sigdeconv[chunked]'") from None
    return zarr


def _open_zarr(path: Path) -> Volume:
    zarr = zarr_library()
    try:
        found = zarr.open(path, mode="r")
    except FileNotFoundError:
        raise ValueError(f"{path} is a folder but no Zarr array; pass one, or a file") from None
    meta: dict[str, Any] = {"zarr_format": found.metadata.zarr_format}
    axes, spacing, inner = "", {}, path
    if isinstance(found, zarr.Group):
        scales = _multiscale.of(found.attrs)
        if scales is not None:
            levels = [zarr.open_array(path / name, mode="r") for name in scales.paths]
            meta |= {"multiscale": scales, "levels": tuple(tuple(level.shape) for level in levels)}
            meta["group"] = _multiscale.first_only(dict(found.attrs))
            inner, axes, spacing = path / scales.paths[0], scales.axes, scales.spacing()
        else:
            within = sorted(name for name, _ in found.arrays())
            if len(within) != 1:
                names = within or sorted(name for name, _ in found.groups())
                inside = f"{'the arrays' if within else 'no array but the groups'} {', '.join(names)}"
                raise ValueError(
                    f"{path} is a Zarr group with {inside if names else 'nothing in it'}; pass the path of one within"
                )
            inner = path / within[0]
        found = zarr.open_array(inner, mode="r")
    if len(axes) != found.ndim:
        axes = ""  # what the group says is not of this array
    known: Any = getattr(found.metadata, "dimension_names", None)
    if not axes:
        letters = "".join(str(n)[:1].upper() if n else "Q" for n in known) if known else ""
        plain = letters and len(set(letters)) == len(letters) and set(letters) <= set("TCZYXS")
        axes = letters if plain else default_axes(found.ndim)
    said = found.attrs.get(SPACING)
    if not spacing and isinstance(said, Mapping):
        spacing = {a: float(s) for a, s in said.items() if a in "ZYX" and isinstance(s, (int, float))}
    meta |= {"attributes": dict(found.attrs), "names": list(known) if known else None}
    if meta["zarr_format"] == 2:
        meta["separator"] = found.metadata.dimension_separator
    return _described(inner, found, axes, spacing=spacing, pieces=tuple(found.chunks), meta=meta)


def _open_tiff(path: Path) -> Volume:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        axes = "".join(letter if letter in "TZCYXS" else "Q" for letter in series.axes)
        spacing = tiff_spacing(tiff)
        pieces = None
        if series.dataoffset is None:  # compressed, or scattered
            zarr = zarr_library(f"{path} is compressed, or stored in parts: reading it piece by piece")
            with series.aszarr(level=0) as store:
                pieces = tuple(zarr.open_array(store, mode="r").chunks)
        known = {letter: spacing[letter] for letter in "ZYX" if letter in axes and letter in spacing}
        return _described(path, series, axes, spacing=known, pieces=pieces)


@lru_cache(maxsize=8)
def _opened(path: str, changed: int) -> Any:
    """The array itself, opened once; `changed` tells a file of the same name from an older one."""
    del changed
    if os.path.isdir(path):
        return zarr_library().open_array(path, mode="r")
    if path.lower().endswith(ARRAYS):
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        order = "F" if found.flags.f_contiguous and not found.flags.c_contiguous else "C"
        return _Mapped(path, found.dtype, found.offset, found.shape, order)
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        if series.dataoffset is not None:
            dtype = np.dtype(tiff.byteorder + series.dtype.char)
            return _Mapped(path, dtype, series.dataoffset, series.shape)
    return _Scattered(path)


class _Mapped:
    """Samples that lie in a file as they lie in memory.

    It is mapped only while it is read, and a part at a time: what a mapping has shown counts as this process's memory
    as long as it lasts.
    """

    def __init__(self, path: str, dtype: np.dtype[Any], offset: int, shape: tuple[int, ...], order: str = "C") -> None:
        self.where: dict[str, Any] = {"filename": path, "offset": offset, "shape": shape, "dtype": dtype}
        self.where["order"] = order

    def __getitem__(self, region: Region) -> Any:
        mapped = np.memmap(mode="r", **self.where)
        found = np.empty(mapped[region].shape, mapped.dtype)
        for part, inside in in_parts(region, mapped):
            found[inside] = np.memmap(mode="r", **self.where)[part]
        return found


def in_parts(region: Any, mapped: NDArray[Any]) -> Iterator[tuple[Any, Any]]:
    """A region of a file that is mapped, in parts that lie near each other, and where in the region each is."""
    region = region if isinstance(region, tuple) else (region,)
    first = next((i for i, r in enumerate(region) if isinstance(r, slice)), None)
    plain = all(isinstance(r, (int, np.integer)) or (isinstance(r, slice) and r.step in (None, 1)) for r in region)
    if first is None or not plain or not mapped.flags.c_contiguous:
        yield region, ...
        return
    start, stop, _ = region[first].indices(mapped.shape[first])
    step = max(1, MAPPED // mapped.strides[first])
    for low in range(start, stop, step):
        high = min(low + step, stop)
        yield (*region[:first], slice(low, high), *region[first + 1 :]), slice(low - start, high - start)


class _Scattered:
    """A TIFF file that cannot be mapped; it is open only while it is read, since nobody would close it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __getitem__(self, region: Region) -> Any:
        import tifffile

        with tifffile.TiffFile(self.path) as tiff, tiff.series[0].aszarr(level=0) as store:
            return zarr_library().open_array(store, mode="r")[region]
