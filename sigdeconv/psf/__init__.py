"""Point spread functions: from a formula (`kernels`) or from the data (`measured`)."""

from .kernels import airy, disk, gaussian, motion, normalize
from .measured import BeadPSF, from_beads

__all__ = ["BeadPSF", "airy", "disk", "from_beads", "gaussian", "motion", "normalize"]
