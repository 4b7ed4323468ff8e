"""True deconvolution for signals, images and volumes, beside learned transposed convolution."""

from .convolution import Convolution, psf_to_otf

__version__ = "0.1.0"

__all__ = ["Convolution", "psf_to_otf"]
