"""Removing noise from an unblurred image: functions ``(image, sigma) -> image``, each a prior for deconvolution."""

from .adapters import bilateral, non_local_means, total_variation_chambolle, wavelet
from .collaborative import Collaborative, collaborative

__all__ = [
    "Collaborative",
    "bilateral",
    "collaborative",
    "non_local_means",
    "total_variation_chambolle",
    "wavelet",
]
