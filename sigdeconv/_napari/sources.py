"""Where a PSF comes from, and how it becomes one for the image: its voxel size, its light, its sum."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .layers import Samples, Spacing, axes_of, scene_of, spacing_of
from .methods import Formula

OFF = 0.01  # relative difference of two voxel sizes that is worth a word
SUM_OFF = 1e-3


class Source(NamedTuple):
    """A PSF as it was found.

    Parameters
    ----------
    psf : ndarray
        The samples.
    spacing : tuple of float or None
        Its voxel size in micrometre, one an axis, where it is known.
    name : str
        In a word or two.
    told : str
        Where it comes from, in full.
    """

    psf: Samples
    spacing: Spacing | None
    name: str
    told: str


class Prepared(NamedTuple):
    """A PSF that fits the image, with what was done to it."""

    psf: Samples
    spacing: Spacing | None
    name: str
    told: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def from_layer(layer: Any) -> Source:
    """The PSF in a layer."""
    if layer.rgb:
        raise ValueError(f"{layer.name} has colours; a PSF of one colour is wanted")
    axes = axes_of(layer)
    return Source(scene_of(layer, axes).data(), spacing_of(layer, axes), layer.name, f"layer {layer.name}")


def from_file(path: Path) -> Source:
    """The PSF in a file."""
    from .. import io

    picture = io.read(path)
    if "S" in picture.axes:
        raise ValueError(f"{path} has colours (shape {picture.data.shape}); pass a PSF of one colour")
    sizes = [picture.spacing.get(letter) for letter in picture.axes]
    spacing = None if None in sizes else tuple(float(size) for size in sizes if size is not None)
    return Source(picture.data, spacing, path.name, f"file {path.name}")


def from_formula(
    formula: Formula, values: Mapping[str, Any], frame: tuple[int, ...], spacing: Spacing | None
) -> Source:
    """The PSF by a formula, for an image whose frame has this shape."""
    psf = formula.made(values, frame, spacing)
    told = ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)
    own = None if spacing is None else spacing[len(spacing) - psf.ndim :]
    return Source(psf, own, formula.title, f"{formula.title}: {told}")


def prepared(source: Source, spacing: Spacing | None, *, resampled: bool, share: float) -> Prepared:
    """The PSF with the voxels of the image, cropped to a share of its light, with sum 1."""
    from ..psf import crop, resample

    psf, own, notes, warnings = source.psf, source.spacing, [], []
    wanted = None if spacing is None else spacing[max(len(spacing) - psf.ndim, 0) :]
    if own is not None and wanted is not None and _differ(own, wanted, psf.ndim):
        sizes = f"voxels of the PSF are {_sizes(own)} µm, those of the image {_sizes(wanted)} µm"
        if resampled:
            psf = resample(psf, own, wanted)
            own = wanted
            notes.append(f"{sizes}: the PSF was resampled, to {psf.shape}")
        else:
            warnings.append(f"{sizes}; tick resample to bring the PSF to the image's")
    if share != 1:
        small = crop(psf, share)
        if small.psf.shape != psf.shape:
            notes.append(f"the PSF was cropped from {psf.shape} to {small.psf.shape}, {small.kept:.2%} of its light")
        psf = small.psf
    total = float(np.sum(psf, dtype=np.float64))
    if 0 < total < np.inf and total != 1:  # of another sum the library says what it thinks
        if abs(total - 1) > SUM_OFF:
            notes.append(f"the PSF was scaled from sum {total:g} to 1, so that intensities are kept")
        psf = psf / total
    return Prepared(psf, own, source.name, source.told, tuple(notes), tuple(warnings))


def _differ(own: Spacing, wanted: Spacing, ndim: int) -> bool:
    comparable = len(own) == len(wanted) == ndim
    return comparable and any(abs(a - b) > OFF * b for a, b in zip(own, wanted, strict=True))


def _sizes(spacing: Spacing) -> str:
    return " × ".join(f"{size:.4g}" for size in spacing)
