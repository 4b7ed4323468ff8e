"""The PSF as numbers on the host: what every measurement of a PSF begins with."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import Array, floating, to_numpy

Numbers = np.ndarray[Any, Any]


def host(psf: Array) -> tuple[Array, Numbers, float]:
    """The PSF as a floating array of its own kind, as float64 NumPy samples of largest size 1, and their scale.

    Raises
    ------
    TypeError, ValueError
        It is empty, not real or not finite, has no axis or more than three, or no sample is larger than 0.
    """
    psf = floating(psf, "psf")
    if not 1 <= psf.ndim <= 3:
        raise ValueError(f"psf has {psf.ndim} dimensions; one to three are wanted")
    samples = to_numpy(psf).astype(np.float64)
    if not samples.max() > 0:
        raise ValueError("psf has no sample larger than 0; a PSF with a positive peak is wanted")
    scale = float(np.abs(samples).max())
    return psf, samples / scale, scale
