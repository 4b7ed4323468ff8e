"""Networks built of the layers that enlarge: super-resolution, denoising, segmentation, and a look into features.

All of them take batches of images of any size, ``(batch, channels, y, x)``, and are made of random numbers from a
generator or a seed; none is trained. What each sees of its input is its `path`, for
`sigdeconv.transposed.receptive_field`.
"""

from __future__ import annotations

from ._blocks import CollapsibleConv, parameters_count
from ._denoising import Denoiser, noise_levels
from ._features import FeatureEncoder, Projection, Stage, deconvnet_projection
from ._segmentation import SkiplessFCN, UNet
from ._upscaling import UPSAMPLERS, FastUpscaler, Upscaler

__all__ = [
    "UPSAMPLERS",
    "CollapsibleConv",
    "Denoiser",
    "FastUpscaler",
    "FeatureEncoder",
    "Projection",
    "SkiplessFCN",
    "Stage",
    "UNet",
    "Upscaler",
    "deconvnet_projection",
    "noise_levels",
    "parameters_count",
]
