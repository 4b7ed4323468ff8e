"""``python -m experiments [NAME ...]``: run experiments and gather them in a report."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click

from . import (
    arithmetic,
    astronomy,
    blind,
    boundaries,
    checkerboard,
    denoising,
    features,
    one_shot_or_prior,
    orthogonal,
    recovery,
    report,
    scaling,
    scenarios,
    segmentation,
    selection,
    signals,
    strided,
    super_resolution,
    three_meanings,
    training_habits,
    transpose_to_wiener,
    volumes,
)
from .common import Chapter, SkippedError, Study, data_folder, pyplot

EXPERIMENTS: dict[str, tuple[str, Callable[[Study], Chapter]]] = {
    "three_meanings": (three_meanings.TITLE, three_meanings.run),
    "orthogonal": (orthogonal.TITLE, orthogonal.run),
    "recovery": (recovery.TITLE, recovery.run),
    "scenarios": (scenarios.TITLE, scenarios.run),
    "boundaries": (boundaries.TITLE, boundaries.run),
    "signals": (signals.TITLE, signals.run),
    "selection": (selection.TITLE, selection.run),
    "blind": (blind.TITLE, blind.run),
    "transpose_to_wiener": (transpose_to_wiener.TITLE, transpose_to_wiener.run),
    "strided": (strided.TITLE, strided.run),
    "arithmetic": (arithmetic.TITLE, arithmetic.run),
    "checkerboard": (checkerboard.TITLE, checkerboard.run),
    "super_resolution": (super_resolution.TITLE, super_resolution.run),
    "denoising": (denoising.TITLE, denoising.run),
    "one_shot_or_prior": (one_shot_or_prior.TITLE, one_shot_or_prior.run),
    "features": (features.TITLE, features.run),
    "segmentation": (segmentation.TITLE, segmentation.run),
    "training_habits": (training_habits.TITLE, training_habits.run),
    "scaling": (scaling.TITLE, scaling.run),
    "volumes": (volumes.TITLE, volumes.run),
    "astronomy": (astronomy.TITLE, astronomy.run),
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=f"NAMES: {', '.join(EXPERIMENTS)}.")
@click.argument("names", nargs=-1, type=click.Choice([*EXPERIMENTS]), metavar="[NAME]...")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Seed of all random numbers.")
@click.option("--full", is_flag=True, help="The slow settings: more pictures, starts and training steps.")
@click.option("--out", default=Path("results"), show_default=True, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of the real data; by default $SIGDECONV_DATA, else ../shared/data beside the repository.",
)
def main(names: tuple[str, ...], seed: int, full: bool, out: Path, data: Path | None) -> None:
    """Run experiments (all of them by default) and write OUT/index.html.

    \b
    Examples:
      python -m experiments
      python -m experiments recovery --seed 1 --out /tmp/results
    """
    try:
        pyplot()
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    out.mkdir(parents=True, exist_ok=True)
    study = Study(out=out, seed=seed, data=data or data_folder(), full=full)
    start = time.perf_counter()
    chapters = [chapter(name, study) for name in dict.fromkeys(names or EXPERIMENTS)]
    seconds = time.perf_counter() - start
    page = report.write(out, chapters, seed=seed, seconds=seconds)
    for done in chapters:
        if done.skipped:
            click.secho(f"SKIPPED {done.name}: {done.skipped}", fg="yellow", err=True)
        else:
            click.echo(f"{done.name}: {done.finding}")
    click.echo(f"{page} ({seconds:.0f} s)")


def chapter(name: str, study: Study) -> Chapter:
    """Run one experiment; what is missing becomes a chapter that says so."""
    title, run = EXPERIMENTS[name]
    start = time.perf_counter()
    try:
        result = run(study)
    except SkippedError as reason:
        return Chapter(name, title, skipped=str(reason))
    result.seconds = time.perf_counter() - start
    return result


if __name__ == "__main__":
    main(prog_name="python -m experiments")
