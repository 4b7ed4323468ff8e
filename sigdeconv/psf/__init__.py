"""Point spread functions: from a formula (`kernels`), from the data (`measured`) or at random (`shaken`)."""

from .daophot import DaophotPSF, from_daophot
from .kernels import airy, disk, gaussian, motion, normalize
from .measured import BeadPSF, from_beads
from .optics import born_wolf, gibson_lanni
from .page import report
from .pinholes import confocal, spinning_disk
from .sampling import CroppedPSF, crop, resample
from .shaken import shake
from .sheet import light_sheet
from .stars import StarPSF, from_stars
from .symmetry import radial_average
from .telescope import kolmogorov, moffat, telescope
from .widths import GaussianFit, MoffatFit, fit_gaussian, fit_moffat, fwhm

__all__ = [
    "BeadPSF",
    "CroppedPSF",
    "DaophotPSF",
    "GaussianFit",
    "MoffatFit",
    "StarPSF",
    "airy",
    "born_wolf",
    "confocal",
    "crop",
    "disk",
    "fit_gaussian",
    "fit_moffat",
    "from_beads",
    "from_daophot",
    "from_stars",
    "fwhm",
    "gaussian",
    "gibson_lanni",
    "kolmogorov",
    "light_sheet",
    "moffat",
    "motion",
    "normalize",
    "radial_average",
    "report",
    "resample",
    "shake",
    "spinning_disk",
    "telescope",
]
