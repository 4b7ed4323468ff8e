"""True deconvolution for signals, images and volumes, beside learned transposed convolution."""

from . import metrics, psf, simulate
from ._iterate import Iteration
from .convolution import Convolution, psf_to_otf
from .deconvolution._back_projector import WienerButterworth
from .deconvolution.blind.parametric import ParametricBlur, blind_parametric
from .deconvolution.blind.photons import BlindRestoration, blind_richardson_lucy
from .deconvolution.fourier import UnsupervisedWiener, inverse_filter, unsupervised_wiener, wiener
from .deconvolution.frames import SuperResolved, super_resolve
from .deconvolution.poisson import richardson_lucy
from .deconvolution.variational import hessian_schatten, hyper_laplacian, sparse_spikes, total_variation
from .deconvolution.wavelets import wavelet_sparse

__version__ = "0.1.0"

__all__ = [
    "BlindRestoration",
    "Convolution",
    "Iteration",
    "ParametricBlur",
    "SuperResolved",
    "UnsupervisedWiener",
    "WienerButterworth",
    "blind_parametric",
    "blind_richardson_lucy",
    "hessian_schatten",
    "hyper_laplacian",
    "inverse_filter",
    "metrics",
    "psf",
    "psf_to_otf",
    "richardson_lucy",
    "simulate",
    "sparse_spikes",
    "super_resolve",
    "total_variation",
    "unsupervised_wiener",
    "wavelet_sparse",
    "wiener",
]
