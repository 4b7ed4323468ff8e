"""Options that several commands share. Their names are those of the library, so that a command can hand them on."""

from __future__ import annotations

from typing import Any

import click

from ._cli_job import Option
from ._cli_values import Bounds, NumberOr

BOUNDARIES = ("free", "periodic", "zero", "reflect")


def together(*options: Option) -> Option:
    """Several options as one decorator, in the order in which the help shows them."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def boundary(default: str = "free") -> Option:
    """What the scene does past the frame."""
    return click.option(
        "--boundary",
        type=click.Choice(BOUNDARIES),
        default=default,
        show_default=True,
        help="The scene past the frame; free: unknown.",
    )


def regularizer(*names: str, text: str) -> Option:
    """What a quadratic penalty is put on."""
    return click.option(
        "--regularizer",
        type=click.Choice(names),
        default=names[0],
        show_default=True,
        help=f"What is kept small: {text}.",
    )


def num_iter(default: int, text: str = "Iterations at most.") -> Option:
    """A number of iterations that is never chosen from the data."""
    return click.option("--num-iter", type=click.IntRange(min=1), default=default, show_default=True, help=text)


def tol(default: float) -> Option:
    """When an iteration has settled."""
    return click.option(
        "--tol", type=float, default=default, show_default=True, help="Stop when an iteration changes less (relative)."
    )


SHOWN = click.option(
    "--progress/--no-progress", "shown", default=None, help="Show a progress bar; by default on a terminal."
)
SIGMA = click.option(
    "--sigma",
    type=float,
    help="Standard deviation of the noise, in units of the image, where a choice needs it; by default estimated.",
)
BOUNDS = click.option(
    "--bounds",
    type=Bounds(),
    metavar="LOW,HIGH",
    help="What no sample of the result falls below or exceeds. Light is not negative: 0,",
)
WEIGHTS = click.option(
    "--weights",
    metavar="FILE|finite",
    help="A file of the image's shape: 0 for bad pixels, 1 for good ones. finite: 0 where the image is NaN or inf.",
)
TV_WEIGHT = click.option(
    "--tv-weight",
    type=float,
    default=0.0,
    show_default=True,
    help="Total-variation prior; 0.0005 (bright) to 0.01 (30 photons).",
)


def edge_prior(method: Any) -> Option:
    """What every prior on differences, wavelets or samples takes, with the method's own limits."""
    limits = method.__kwdefaults__
    return together(
        click.option(
            "--weight",
            type=NumberOr(float, "gcv", "sure", "discrepancy", "l-curve"),
            show_default="auto",
            help="Of the prior, in units of the image: more is smoother. Or the rule that chooses it from the data; "
            "auto: the rule that is best for this prior.",
        ),
        SIGMA,
        BOUNDS,
        WEIGHTS,
        boundary(),
        num_iter(limits["num_iter"]),
        tol(limits["tol"]),
        SHOWN,
    )


def until(*rules: str) -> Option:
    """How many iterations: a number, or the rule that finds it."""
    return click.option(
        "--num-iter",
        type=NumberOr(int, *rules, minimum=1),
        show_default="auto",
        help=f"Iterations: more is sharper and noisier. Or the rule that stops, from the data; auto: {rules[0]}.",
    )
