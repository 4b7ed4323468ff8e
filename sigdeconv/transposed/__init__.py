"""Transposed convolution, whose shapes go the other way: its arithmetic, and the layers and networks built of it.

The arithmetic needs no torch. What does is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from . import bicubic, checkerboard
from .arithmetic import (
    EquivalentConvolution,
    conv_shape,
    equivalent_convolution,
    input_sizes,
    output_padding_for,
    overlap_count,
    transposed_shape,
)
from .costs import multiply_add_count, parameter_count
from .receptive import Layer, ReceptiveField, receptive_field, samples_seen
from .summary import LayerTable, Row, layer_table

if TYPE_CHECKING:
    from . import degradations, initialisation, layers, models, training, weights
    from .layers import ResizeConv, SubpixelConv, TransposedUpsample
    from .pretrained import denoise, prior, upscale

# Name -> the module that has it, which imports torch; a module's own name is that module.
_WITH_TORCH = {
    "ResizeConv": "layers",
    "SubpixelConv": "layers",
    "TransposedUpsample": "layers",
    "degradations": "degradations",
    "denoise": "pretrained",
    "initialisation": "initialisation",
    "layers": "layers",
    "models": "models",
    "prior": "pretrained",
    "training": "training",
    "upscale": "pretrained",
    "weights": "weights",
}

__all__ = [
    "EquivalentConvolution",
    "Layer",
    "LayerTable",
    "ReceptiveField",
    "ResizeConv",
    "Row",
    "SubpixelConv",
    "TransposedUpsample",
    "bicubic",
    "checkerboard",
    "conv_shape",
    "degradations",
    "denoise",
    "equivalent_convolution",
    "initialisation",
    "input_sizes",
    "layer_table",
    "layers",
    "models",
    "multiply_add_count",
    "output_padding_for",
    "overlap_count",
    "parameter_count",
    "prior",
    "receptive_field",
    "samples_seen",
    "training",
    "transposed_shape",
    "upscale",
    "weights",
]


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{_WITH_TORCH[name]}")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("torch", "safetensors"):
            raise
        raise ModuleNotFoundError(
            f"{__name__}.{name} needs {missing}: pip install sigdeconv[learned]", name=missing
        ) from None
    value = module if name == _WITH_TORCH[name] else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    # Without torch its names are left out, so that what walks over all of them (help, tab completion) does not stumble.
    found = importlib.util.find_spec("torch") is not None
    return sorted({*globals(), *(_WITH_TORCH if found else ())})
