"""The PSF that a restoring command is given: a file, or a formula in a word."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import io
from ._cli_axes import Opened
from ._cli_console import note, read_noting
from ._cli_psf import gaussian_psf

if TYPE_CHECKING:
    from ._cli_job import Job

SUM_OFF = 1e-3  # a PSF whose sum is nearer to 1 is called normalised
SPACING_OFF = 0.05  # voxel sizes that differ by less are called the same: calibrations do
SPECIFIED = re.compile(r"(gaussian|disk|motion):([-+.,\deE]+)")
PSF_SPEC = "a file, or gaussian:SIGMA (pixels; one number or one an axis: gaussian:3,1.5,1.5), disk:RADIUS, "
PSF_SPEC += "motion:LENGTH,ANGLE."

Samples = NDArray[Any]


def read_psf(job: Job, image: Opened) -> Samples:
    """The PSF of a job, for an image of at least as many axes without its channels."""
    if job.psf is None:
        raise ValueError(f"--psf is missing; pass {PSF_SPEC}")
    ndim, axes = image.ndim, image.picture.axes
    specified = SPECIFIED.fullmatch(job.psf)
    if specified and not Path(job.psf).exists():
        psf, remedy = _from_specification(specified[1], specified[2], ndim), "one for fewer axes"
    else:
        psf, remedy = _psf_from_file(job, Path(job.psf), image.picture), "--psf-plane K to take one plane of it"
    if psf.ndim > ndim:
        without = " without its channels (--channel-axis none: there are none)" if image.channel_axis == 0 else ""
        raise ValueError(f"{job.psf} has {psf.ndim} dimensions but the image has {ndim}{without}; pass {remedy}")
    if job.psf_energy is not None:
        psf = _cropped(psf, job.psf_energy, job.quiet)
    letters = axes[len(axes) - psf.ndim :]
    if "T" in letters or "C" in letters:
        note(f"warning: the PSF has {psf.ndim} axes, which meet the axes {letters.lower()} of the image")
    return psf


def _cropped(psf: Samples, energy: float, quiet: bool) -> Samples:
    from sigdeconv.psf import crop

    total = psf.sum(dtype=np.float64)
    small = crop(psf / total, energy)
    if small.psf.shape != psf.shape:
        note(
            f"the PSF is cropped from {psf.shape} to {small.psf.shape}, which holds {small.kept:.2%} of its light",
            quiet,
        )
    return np.asarray(small.psf * total)


def _psf_from_file(job: Job, path: Path, image: io.Picture) -> Samples:
    picture = read_noting(path, job.quiet)
    psf = picture.data
    if "S" in picture.axes:
        raise ValueError(f"{job.psf} has colours (shape {psf.shape}); pass a PSF of one colour")
    if job.psf_plane is not None:
        if not -len(psf) <= job.psf_plane < len(psf):
            raise ValueError(
                f"--psf-plane is {job.psf_plane} but {job.psf} has {len(psf)} planes; pass 0 to {len(psf) - 1}"
            )
        psf = psf[job.psf_plane]
    for letter in sorted(set(picture.spacing) & set(image.spacing)):
        here, there = picture.spacing[letter], image.spacing[letter]
        if abs(here - there) > SPACING_OFF * there:
            note(f"warning: voxels of the PSF are {here:g} um along {letter.lower()}, those of the image {there:g} um")
    total = float(psf.sum(dtype=np.float64))
    if job.keep_psf_sum or not 0 < total < np.inf:  # the library has the message for a sum that is not positive
        return psf
    if abs(total - 1) > SUM_OFF:
        scaled = f"the PSF is scaled from sum {total:g} to 1, so that intensities are kept"
        note(f"{scaled} (--keep-psf-sum: as it is)", job.quiet)
    return psf / total


def _from_specification(kind: str, text: str, ndim: int) -> Samples:
    from sigdeconv.psf import disk, motion

    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if kind == "gaussian" and numbers:
        return gaussian_psf(numbers, None, ndim=min(2, ndim))
    if kind == "disk" and len(numbers) == 1:
        return disk(*numbers)
    if kind == "motion" and len(numbers) == 2:
        return motion(*numbers)
    raise ValueError(f"--psf is {kind}:{text}; pass gaussian:SIGMA, disk:RADIUS, motion:LENGTH,ANGLE, or a file")
