"""Recipes: the upsamplers, from photographs shrunk by antialiased bicubic interpolation.

``python -m experiments.train_super_resolution --data DIR --scale 2`` trains the small network, ``--strong`` the large
one. A run that was interrupted, or stopped by ``--max-seconds``, goes on when it is called again in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from . import training_runs
from .training_runs import Numbers, Pictures

if TYPE_CHECKING:
    import torch

    from sigdeconv.transposed.training import Plan

LEVELS = 255.0


@dataclass(frozen=True)
class Recipe:
    """What is trained, and from what."""

    model: str  #: "fast" or "strong"
    scale: int
    size: int  #: samples of the input's side
    count: int  #: patches in a batch
    loss: str = "charbonnier"
    jitter: float = 0.1  #: change of brightness, contrast and saturation
    copies: tuple[float, ...] = (1.0, 0.8, 0.6)  #: sizes at which each photograph is learned from

    @property
    def name(self) -> str:
        """Of the run and of the weights."""
        return f"upscale_{self.model}_x{self.scale}"


def fast(scale: int, *, seed: int = 0) -> tuple[Recipe, Plan]:
    """The network of at most 13,000 parameters: cheap steps, so many of them."""
    from sigdeconv.transposed.training import Plan

    recipe = Recipe("fast", scale, size=40, count=32)
    return recipe, Plan(200_000, rate=2e-3, border=4 * scale, check_every=2000, averaging=0.9995, seed=seed)


def strong(scale: int, *, seed: int = 0) -> tuple[Recipe, Plan]:
    """The network of at most 250,000 parameters."""
    from sigdeconv.transposed.training import Plan

    recipe = Recipe("strong", scale, size=48, count=16)
    plan = Plan(300_000, rate=1e-3, border=4 * scale, check_every=2000, averaging=0.999, seed=seed)
    return recipe, replace(plan, warm_up=1000)


def network(recipe: Recipe, seed: int) -> torch.nn.Module:
    """The network, before it has learned anything."""
    from sigdeconv.transposed.models import FastUpscaler, Upscaler

    return (FastUpscaler if recipe.model == "fast" else Upscaler)(recipe.scale, generator=seed)


def judge(pictures: Mapping[str, Numbers], scale: int) -> Callable[[torch.nn.Module], dict[str, float]]:
    """Mean PSNR of the luminance by the protocol of the literature, of a network and of bicubic interpolation."""
    import torch

    from sigdeconv.transposed import bicubic

    pairs = []
    for image in pictures.values():
        x = image.astype(np.float32)
        y = bicubic.eight_bits(bicubic.luminance(x)) if x.shape[-1] == 3 else x[..., 0]
        pairs.append((bicubic.whole_multiple(y, scale), bicubic.low_resolution(y, scale)))
    plain = [bicubic.psnr_y(large, bicubic.imresize(small, scale), scale=scale) for large, small in pairs]

    def measure(model: torch.nn.Module) -> dict[str, float]:
        device = next(model.parameters()).device
        found = []
        for large, small in pairs:
            out = model(torch.as_tensor(small / LEVELS, device=device)[None, None])[0, 0]
            found.append(bicubic.psnr_y(large, LEVELS * out.float().cpu().numpy(), scale=scale))
        return {"score": float(np.mean(found)), "bicubic": float(np.mean(plain))}

    return measure


def train(recipe: Recipe, plan: Plan, pictures: Pictures, **options: Any) -> tuple[Any, Path]:
    """Train by a recipe; the options are those of `training_runs.run`."""
    from sigdeconv.transposed import training

    degrade = training.Shrink(recipe.scale)
    return training_runs.run(
        recipe,
        plan,
        pictures,
        model=network(recipe, plan.seed),
        degrade=degrade,
        size=degrade.patch_size(recipe.size),
        measure=judge(pictures.judged, recipe.scale),
        **options,
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--scale", type=click.IntRange(2, 4), default=2, show_default=True)
@click.option("--strong", "is_strong", is_flag=True, help="The network of 250,000 parameters instead of 13,000.")
@click.option("--size", type=click.IntRange(min=8), help="Of a patch: samples of the input's side.")
@training_runs.options
def main(scale: int, is_strong: bool, size: int | None, **shared: Any) -> None:
    """Train an upsampler, or go on with it, and write its weights."""
    training_runs.prepare(shared["threads"])
    recipe, plan = (strong if is_strong else fast)(scale, seed=shared["seed"])
    training_runs.called(train, replace(recipe, **training_runs.given(size=size)), plan, **shared)


if __name__ == "__main__":
    main(prog_name="python -m experiments.train_super_resolution")
