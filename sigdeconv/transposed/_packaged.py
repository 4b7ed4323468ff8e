"""The network that is meant: a packaged one, one from a file of weights, or one that was handed in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from .._array import shown
from . import weights
from ._denoising import Denoiser
from ._upscaling import FastUpscaler, Upscaler

UPSCALERS: dict[str, Callable[..., Any]] = {"fast": FastUpscaler, "strong": Upscaler}
DENOISER = "denoise_grey"  #: of one channel; colours are brought to it one by one


def upscaler(network: str | os.PathLike[str] | torch.nn.Module, scale: int, device: torch.device) -> Any:
    """A network that enlarges one channel by `scale`."""
    if isinstance(network, torch.nn.Module):
        if not hasattr(network, "reach") or getattr(network, "scale", None) != scale:
            has = getattr(network, "scale", "none")
            raise ValueError(f"network has scale {has} but {scale} is wanted; pass one of that scale, with a reach")
        return network.to(device)
    if isinstance(network, str) and network in UPSCALERS:
        return _packaged_upscaler(network, scale, str(device))
    if not _is_file(network):
        names = ", ".join(map(repr, UPSCALERS))
        raise ValueError(f"network is {shown(network)}; pass {names}, a {weights.SUFFIX} file or a torch.nn.Module")
    recipe = _recipe(network)
    model = recipe.get("model")
    if model not in UPSCALERS or recipe.get("scale") != scale:
        raise ValueError(
            f"{network} holds {_told(recipe)}; weights of an upscaler by {scale} are wanted, as "
            "experiments.train_super_resolution writes them"
        )
    return _filled(network, UPSCALERS[model](scale).collapse(), device)


def denoiser(network: str | os.PathLike[str] | torch.nn.Module | None, channels: int, device: torch.device) -> Any:
    """A network that takes noise off so many channels, or off one at a time; None is the packaged one."""
    fitting = {1, channels}
    if isinstance(network, torch.nn.Module):
        if not hasattr(network, "reach") or getattr(network, "channels", None) not in fitting:
            has = getattr(network, "channels", "no")
            raise ValueError(f"network has {has} channels but the image {channels}; pass one that fits, with a reach")
        return network.to(device)
    if network is None:
        return _packaged_denoiser(str(device))
    if not _is_file(network):
        raise ValueError(f"network is {shown(network)}; pass a {weights.SUFFIX} file or a torch.nn.Module")
    recipe = _recipe(network)
    has = recipe.get("channels")
    if has not in fitting:
        raise ValueError(
            f"{network} holds {_told(recipe)}; weights of a denoiser of {' or '.join(map(str, sorted(fitting)))} "
            f"channel{'s' * (channels > 1)} are wanted, as experiments.train_denoising writes them"
        )
    return _filled(network, Denoiser(has), device)


def _is_file(network: object) -> bool:
    return isinstance(network, (str, os.PathLike)) and Path(network).suffix == weights.SUFFIX


def _recipe(path: str | os.PathLike[str]) -> dict[str, Any]:
    recipe = weights.record(path)["recipe"]
    return recipe if isinstance(recipe, dict) else {}


def _told(recipe: dict[str, Any]) -> str:
    known = [f"{key} {recipe[key]}" for key in ("model", "scale", "channels") if key in recipe]
    return ", ".join(known) or "something else"


@lru_cache(maxsize=8)
def _packaged_upscaler(network: str, scale: int, device: str) -> Any:
    return _filled(f"upscale_{network}_x{scale}", UPSCALERS[network](scale).collapse(), torch.device(device))


@lru_cache(maxsize=4)
def _packaged_denoiser(device: str) -> Any:
    return _filled(DENOISER, Denoiser(1), torch.device(device))


def _filled(name: str | os.PathLike[str], net: Any, device: torch.device) -> Any:
    weights.load(name, net)
    net.requires_grad_(False).eval()
    return net.to(device, memory_format=torch.channels_last)  # in which a CPU is nearly twice as fast


@contextmanager
def in_use(net: torch.nn.Module) -> Iterator[None]:
    """Evaluation without gradients; the network is then as it was."""
    training = net.training
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        net.train(training)
