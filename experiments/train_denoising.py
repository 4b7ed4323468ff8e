"""Recipe: the blind denoiser, from photographs under white Gaussian noise of any strength up to 55 grey levels.

``python -m experiments.train_denoising --data DIR`` trains the grey network, ``--colour`` the coloured one. A run that
was interrupted, or stopped by ``--max-seconds``, goes on when it is called again in the same way.
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
SIGMAS = (15, 25, 50)  # by which it is judged
SIDE = 256  # of the middle of a photograph, on which it is judged


@dataclass(frozen=True)
class Recipe:
    """What is trained, and from what."""

    channels: int
    size: int = 96  #: of a patch, in pixels; a multiple of 16 fits all levels of the network
    count: int = 16  #: patches in a batch
    strongest: float = 55.0  #: noise, in grey levels of 255
    lean: float = 2.0  #: towards weak noise: as a prior the network works at a few grey levels and less
    loss: str = "charbonnier"
    jitter: float = 0.1
    copies: tuple[float, ...] = (1.0, 0.8, 0.6)

    @property
    def name(self) -> str:
        """Of the run and of the weights."""
        return "denoise_grey" if self.channels == 1 else "denoise_colour"


def blind(channels: int = 1, *, seed: int = 0) -> tuple[Recipe, Plan]:
    """The denoiser of at most 650,000 parameters."""
    from sigdeconv.transposed.training import Plan

    # In bfloat16, with steps of a grey level near white, it learns nothing of noise weaker than that.
    plan = Plan(300_000, rate=1e-3, border=4, check_every=2000, averaging=0.999, precision="float32", seed=seed)
    return Recipe(channels), replace(plan, warm_up=1000)


def network(recipe: Recipe, seed: int) -> torch.nn.Module:
    """The network, before it has learned anything."""
    from sigdeconv.transposed.models import Denoiser

    return Denoiser(recipe.channels, generator=seed)


def judge(pictures: Mapping[str, Numbers], channels: int) -> Callable[[torch.nn.Module], dict[str, float]]:
    """Mean PSNR at each strength of the noise, and over all; the noise is the same whenever it is asked."""
    import torch

    from sigdeconv import metrics
    from sigdeconv.transposed._patches import to_grey
    from sigdeconv.transposed.bicubic import eight_bits

    cases = []
    for index, image in enumerate(pictures.values()):
        top, left = (max(0, (n - SIDE) // 2) for n in image.shape[:2])
        x = torch.as_tensor(image[top : top + SIDE, left : left + SIDE].astype(np.float32)).permute(2, 0, 1)[None]
        x = eight_bits(to_grey(x)) if channels == 1 else x.expand(-1, 3, -1, -1)
        for sigma in SIGMAS:
            noise = np.random.default_rng((sigma, index)).normal(0, sigma, tuple(x.shape)).astype(np.float32)
            cases.append((sigma, x, (x + torch.as_tensor(noise)) / LEVELS))

    def measure(model: torch.nn.Module) -> dict[str, float]:
        device = next(model.parameters()).device
        found: dict[str, list[float]] = {f"sigma {sigma}": [] for sigma in SIGMAS}
        for sigma, clean, noisy in cases:
            out = model(noisy.to(device), torch.full((1,), sigma / LEVELS, device=device))
            estimate = eight_bits(LEVELS * out.float().cpu())
            found[f"sigma {sigma}"].append(metrics.psnr(clean, estimate, data_range=LEVELS))
        means = {key: float(np.mean(values)) for key, values in found.items()}
        return {"score": float(np.mean(list(means.values()))), **means}

    return measure


def train(recipe: Recipe, plan: Plan, pictures: Pictures, **options: Any) -> tuple[Any, Path]:
    """Train by a recipe; the options are those of `training_runs.run`."""
    from sigdeconv.transposed import training

    return training_runs.run(
        recipe,
        plan,
        pictures,
        model=network(recipe, plan.seed),
        degrade=training.GaussianNoise(0.0, recipe.strongest, recipe.channels, recipe.lean),
        size=recipe.size,
        measure=judge(pictures.judged, recipe.channels),
        **options,
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--colour", is_flag=True, help="Three channels instead of one.")
@click.option("--size", type=click.IntRange(min=16), help="Of a patch, in pixels.")
@training_runs.options
def main(colour: bool, size: int | None, **shared: Any) -> None:
    """Train the denoiser, or go on with it, and write its weights."""
    training_runs.prepare(shared["threads"])
    recipe, plan = blind(3 if colour else 1, seed=shared["seed"])
    training_runs.called(train, replace(recipe, **training_runs.given(size=size)), plan, **shared)


if __name__ == "__main__":
    main(prog_name="python -m experiments.train_denoising")
