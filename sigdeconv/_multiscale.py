"""The metadata of OME-Zarr images, and the pyramid that belongs to them.

Versions 0.4 (Zarr 2) and 0.5 (Zarr 3) of the specification, https://ngff.openmicroscopy.org
(doi:10.1038/s41592-021-01326-w).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MICRONS = {"nanometer": 1e-3, "micrometer": 1.0, "millimeter": 1e3, "centimeter": 1e4, "meter": 1e6, "angstrom": 1e-4}


@dataclass(frozen=True)
class Multiscale:
    """An image in several sizes: its first multiscale, as the attributes of the group say."""

    paths: tuple[str, ...]  #: of the arrays, the largest first
    axes: str  #: a letter an axis
    units: tuple[str | None, ...]
    scale: tuple[float, ...]  #: of the largest

    def spacing(self) -> dict[str, float]:
        """Voxel size in micrometres by letter."""
        sizes = zip(self.axes, self.units, self.scale, strict=True)
        return {a: s * MICRONS[u] for a, u, s in sizes if a in "ZYX" and u in MICRONS}


def of(attributes: Mapping[str, Any]) -> Multiscale | None:
    """What the attributes of a group say, if it is an OME-Zarr image.

    Raises
    ------
    ValueError
        They are not as the specification wants them.
    """
    found = attributes.get("ome", attributes)
    scales = found.get("multiscales") if isinstance(found, Mapping) else None
    if not scales:
        return None
    try:
        first = scales[0]
        axes = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in first["axes"]]
        letters = "".join(_letter(str(axis["name"])) for axis in axes)
        paths = tuple(str(level["path"]) for level in first["datasets"])
        if not all(path and not path.startswith("/") and ".." not in path.split("/") for path in paths):
            raise ValueError("a path leads out of the group")
        steps = [
            *first["datasets"][0].get("coordinateTransformations", ()),
            *first.get("coordinateTransformations", ()),
        ]
        scale = [1.0] * len(axes)
        for step in steps:
            if step.get("type") == "scale":
                scale = [s * float(t) for s, t in zip(scale, step["scale"], strict=True)]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ValueError(
            f"the attributes of an OME-Zarr image are damaged ({type(error).__name__}: {error}); pass the array within"
        ) from None
    return Multiscale(paths, letters, tuple(axis.get("unit") for axis in axes), tuple(scale))


def _letter(name: str) -> str:
    letter = name[:1].upper()
    return letter if letter in "TCZYXS" else "Q"


def first_only(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a group that has the first multiscale alone."""
    if "ome" in attributes:
        return {**attributes, "ome": first_only(attributes["ome"])}
    return {**attributes, "multiscales": list(attributes["multiscales"])[:1]}


def write_levels(library: Any, group: Path, scales: Multiscale, shapes: Sequence[Sequence[int]]) -> None:
    """Make the smaller arrays of the pyramid, of given shapes, each from the one before it by means over blocks."""
    for (fine, coarse), shape in zip(itertools.pairwise(scales.paths), shapes[1:], strict=True):
        source = library.open_array(group / fine, mode="r")
        shrink = tuple(max(1, round(n / m)) for n, m in zip(source.shape, shape, strict=True))
        options: dict[str, Any] = {"zarr_format": source.metadata.zarr_format}
        if options["zarr_format"] == 2:
            separator = source.metadata.dimension_separator
            options["chunk_key_encoding"] = {"name": "v2", "separator": separator}
        if getattr(source.metadata, "dimension_names", None):
            options["dimension_names"] = source.metadata.dimension_names
        pieces = tuple(min(p, n) for p, n in zip(source.chunks, shape, strict=True))
        target = library.create_array(
            group / coarse, shape=tuple(shape), chunks=pieces, dtype=source.dtype, overwrite=True, **options
        )
        for region in _regions(tuple(shape), pieces):
            from_ = tuple(
                slice(r.start * s, min(r.stop * s, n)) for r, s, n in zip(region, shrink, source.shape, strict=True)
            )
            target[region] = _means(source[from_], shrink, tuple(r.stop - r.start for r in region))


def _regions(shape: tuple[int, ...], pieces: tuple[int, ...]) -> list[tuple[slice, ...]]:
    along = [[slice(start, min(start + p, n)) for start in range(0, n, p)] for n, p in zip(shape, pieces, strict=True)]
    return [tuple(region) for region in itertools.product(*along)]


def _means(samples: Any, shrink: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """Means over blocks; blocks that reach past the end have the last samples again."""
    wanted = tuple(s * n for s, n in zip(shrink, shape, strict=True))
    missing = [(0, max(0, w - n)) for w, n in zip(wanted, samples.shape, strict=True)]
    whole = np.pad(samples, missing, mode="edge")[tuple(slice(w) for w in wanted)]
    blocks = whole.reshape([size for pair in zip(shape, shrink, strict=True) for size in pair])
    means = blocks.mean(axis=tuple(range(1, 2 * len(shape), 2)), dtype=np.float64)
    return np.rint(means).astype(samples.dtype) if samples.dtype.kind in "iu" else means.astype(samples.dtype)
