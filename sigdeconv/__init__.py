"""True deconvolution for signals, images and volumes, beside learned transposed convolution."""

from . import denoisers, metrics, psf, simulate
from ._iterate import Iteration
from .chunked import Chunked, ChunkProgress, ChunksEndedError, ChunksFailedError, map_chunks
from .convolution import Convolution, psf_to_otf
from .deconvolution._back_projector import WienerButterworth
from .deconvolution.blind.camera_shake import blind_camera_shake
from .deconvolution.blind.parametric import ParametricBlur, blind_parametric
from .deconvolution.blind.photons import BlindRestoration, blind_richardson_lucy
from .deconvolution.fourier import inverse_filter, wiener
from .deconvolution.frames import SuperResolved, super_resolve
from .deconvolution.least_squares import landweber, tikhonov, van_cittert
from .deconvolution.noise import NoiseLevel, estimate_noise
from .deconvolution.plug_and_play import plug_and_play
from .deconvolution.poisson import richardson_lucy
from .deconvolution.stopping import Stopping
from .deconvolution.unsupervised import UnsupervisedWiener, unsupervised_wiener
from .deconvolution.variational import hessian_schatten, hyper_laplacian, sparse_spikes, total_variation
from .deconvolution.wavelets import wavelet_sparse
from .varying import VaryingConvolution

__version__ = "0.1.0"

__all__ = [
    "BlindRestoration",
    "ChunkProgress",
    "Chunked",
    "ChunksEndedError",
    "ChunksFailedError",
    "Convolution",
    "Iteration",
    "NoiseLevel",
    "ParametricBlur",
    "Stopping",
    "SuperResolved",
    "UnsupervisedWiener",
    "VaryingConvolution",
    "WienerButterworth",
    "blind_camera_shake",
    "blind_parametric",
    "blind_richardson_lucy",
    "denoisers",
    "estimate_noise",
    "hessian_schatten",
    "hyper_laplacian",
    "inverse_filter",
    "landweber",
    "map_chunks",
    "metrics",
    "plug_and_play",
    "psf",
    "psf_to_otf",
    "richardson_lucy",
    "simulate",
    "sparse_spikes",
    "super_resolve",
    "tikhonov",
    "total_variation",
    "unsupervised_wiener",
    "van_cittert",
    "wavelet_sparse",
    "wiener",
]
