"""Volumes on disk that are being made: Zarr and OME-Zarr, TIFF, NPY; what is read is a `_volumes.Volume`.

A `Target` is written under another name, and takes its own when it is whole.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _multiscale
from ._formats import default_axes
from ._memory import in_words
from ._volumes import ARRAYS, SPACING, ZARRS, Region, Volume, in_parts, zarr_library

PIECE = 128  # samples along the sides of the pieces in which a Zarr array is stored


@dataclass(frozen=True)
class Target:
    """An array on disk that is being made.

    Parameters
    ----------
    path : str
        What it will be called.
    working : str
        What it is called until it is whole.
    shape, dtype, pieces
        Of the array, as in `Volume`.
    like : Volume, optional
        Where axes, voxel sizes, attributes and the format of a Zarr array come from.
    seed : str
        What the identifier of an OME-TIFF is made from: the same work should give the same bytes.
    """

    path: str
    working: str
    shape: tuple[int, ...]
    dtype: str
    pieces: tuple[int, ...]
    like: Volume | None = None
    seed: str = ""

    @property
    def kind(self) -> str:
        """Its extension."""
        return Path(self.path).suffix.lower()

    @property
    def _scales(self) -> _multiscale.Multiscale | None:
        return None if self.like is None or self.kind not in ZARRS else self.like.meta.get("multiscale")

    @property
    def _array(self) -> str:
        """Where the samples are while it is being made."""
        return str(Path(self.working) / self._scales.paths[0]) if self._scales is not None else self.working

    def create(self) -> None:
        """Make room for all samples.

        Raises
        ------
        OSError
            There is not enough.
        """
        if self.kind in ZARRS:
            self._create_zarr()
        elif self.kind in ARRAYS:
            np.lib.format.open_memmap(self.working, "w+", np.dtype(self.dtype), self.shape)
            self._reserve()
        else:
            self._create_tiff()
            self._reserve()

    def _create_zarr(self) -> None:
        zarr = zarr_library()
        meta = {} if self.like is None else self.like.meta
        form = meta.get("zarr_format", 3)
        options: dict[str, Any] = {"zarr_format": form, "attributes": dict(meta.get("attributes", {}))}
        if form == 2:
            separator = meta.get("separator", ".")
            options["chunk_key_encoding"] = {"name": "v2", "separator": separator}
        elif meta.get("names"):
            options["dimension_names"] = meta["names"]
        elif self.like is not None and "Q" not in self.like.axes:
            options["dimension_names"] = list(self.like.axes.lower())
        if self._scales is not None:
            zarr.create_group(self.working, zarr_format=form, attributes=dict(meta["group"]))
        elif self.like is not None and self.like.spacing:
            options["attributes"] |= {SPACING: dict(self.like.spacing)}
        zarr.create_array(self._array, shape=self.shape, chunks=self.pieces, dtype=self.dtype, **options)

    def _create_tiff(self) -> None:
        import uuid

        import tifffile

        axes = self.like.axes if self.like is not None else default_axes(len(self.shape))
        free = [letter for letter in "TCZ" if letter not in axes]
        for i in reversed([i for i, letter in enumerate(axes) if letter == "Q"]):
            axes = axes[:i] + free.pop() + axes[i + 1 :] if free else axes
        metadata: dict[str, Any] = {"axes": axes, "UUID": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, self.seed)}"}
        for letter, size in (self.like.spacing if self.like is not None else {}).items():
            metadata |= {f"PhysicalSize{letter}": size, f"PhysicalSize{letter}Unit": "µm"}
        rgb = axes.endswith("YXS") and self.shape[-1] in (3, 4)
        options: dict[str, Any] = {"photometric": "rgb" if rgb else "minisblack"} if len(axes) > 1 else {}
        ome = rgb or (axes.endswith("YX") and set(axes) <= set("TZCYX"))
        tifffile.imwrite(
            self.working,
            shape=self.shape,
            dtype=self.dtype,
            bigtiff=True,
            ome=ome,
            metadata=metadata if ome else {"axes": axes},
            **options,
        )

    def _reserve(self) -> None:
        """Take the space on the disk now: later a full disk would end the process at a memory access."""
        if not hasattr(os, "posix_fallocate"):
            return
        size = os.path.getsize(self.working)
        try:
            with open(self.working, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                return  # a file system that cannot
            if error.errno not in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
                raise
            free = shutil.disk_usage(Path(self.working).parent).free
            raise OSError(
                error.errno,
                f"{self.path} takes {in_words(size)} and the disk has {in_words(free)} free; make room, pass an out "
                "on another disk, or one that ends in .zarr, which is compressed",
            ) from None

    def write(self, region: Region, samples: NDArray[Any]) -> None:
        """Put samples into a part of it."""
        # Opened anew each time: workers live longer than files, and a file of the same name may be another one.
        if self.kind in ZARRS:
            zarr_library().open_array(self._array, mode="r+")[region] = samples
            return
        if self.kind in ARRAYS:
            mapped: Any = np.load(self.working, mmap_mode="r+", allow_pickle=False)
        else:
            import tifffile

            mapped = tifffile.memmap(self.working, mode="r+").reshape(self.shape)
        where = {"offset": mapped.offset, "dtype": mapped.dtype, "shape": self.shape}
        parts = list(in_parts(region, mapped))
        del mapped
        for part, inside in parts:
            np.memmap(self.working, mode="r+", **where)[part] = samples[inside]
        with open(self.working, "r+b") as file:
            os.fsync(file.fileno())  # what is marked as done should outlive a power cut

    def finish(self) -> None:
        """Give it its name."""
        if self.kind in ZARRS:
            if self._scales is not None and self.like is not None:
                _multiscale.write_levels(zarr_library(), Path(self.working), self._scales, self.like.meta["levels"])
            # What a process that was killed in the middle of writing has left.
            for left in Path(self.working).rglob("*.partial"):
                left.unlink()
        if os.path.isdir(self.path) or os.path.isdir(self.working):
            # A folder takes no other one's place. What is replaced goes with the rest of what lies there.
            aside = Path(self.working).with_name("replaced" + self.kind)
            if os.path.lexists(self.path):
                os.replace(self.path, aside)
        os.replace(self.working, self.path)


def pieces_of(
    shape: Sequence[int], spatial: Sequence[int], core: Sequence[int], like: Volume | None
) -> tuple[int, ...]:
    """In what pieces a Zarr array is stored, so that every one of them lies in one core.

    As the Zarr array that it is made from is stored, where the cores allow it; else in equal parts of a core.
    """
    known = like.pieces if like is not None and "zarr_format" in like.meta else None
    pieces = [1] * len(shape)
    for a, c in zip(spatial, core, strict=True):
        p = known[a] if known is not None else PIECE
        if c < shape[a] and c % p:
            p = next(m for m in range(min(c, PIECE), 0, -1) if c % m == 0)
            p = c if p < min(c, PIECE // 4) else p
        pieces[a] = min(p, shape[a])
    return tuple(pieces)
