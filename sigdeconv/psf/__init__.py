"""Point spread functions: from a formula (`kernels`), from the data (`measured`) or at random (`shaken`)."""

from .kernels import airy, disk, gaussian, motion, normalize
from .measured import BeadPSF, from_beads
from .shaken import shake

__all__ = ["BeadPSF", "airy", "disk", "from_beads", "gaussian", "motion", "normalize", "shake"]
