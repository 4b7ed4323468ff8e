"""Photon counts: the options and checks that they share, and the command ``richardson-lucy``."""

from __future__ import annotations

from typing import Any

import click
import numpy as np

import sigdeconv

from ._array import floating, to_numpy
from ._cli_console import note, progress, watched
from ._cli_job import Job, Samples, on_device, restore, restoring_pieces
from ._cli_options import SHOWN, TV_WEIGHT, WEIGHTS, boundary, together, tol
from ._cli_values import NumberOr

ROUNDING = 1e-6  # of the largest sample

BACKGROUND = click.option(
    "--background", type=float, default=0.0, show_default=True, help="Counts that did not pass the blur."
)
PEDESTAL = click.option(
    "--pedestal", type=float, default=0.0, help="Counts that were subtracted from the image (sky, bias)."
)
CLIP_NEGATIVE = click.option("--clip-negative", is_flag=True, help="Take samples below zero for 0, and say how many.")
NOISE_OF_COUNTS = together(
    click.option(
        "--damping",
        type=float,
        default=0.0,
        show_default=True,
        help="Standard deviations of the noise by which a pixel may deviate without being fitted; 3 for stars.",
    ),
    click.option(
        "--readout-noise",
        type=float,
        default=0.0,
        show_default=True,
        help="Standard deviation of the camera's own noise, in counts; samples may then be negative.",
    ),
)


@click.command("richardson-lucy")
@restoring_pieces
@click.option(
    "--num-iter",
    type=NumberOr(int, minimum=1),
    default=10,
    show_default=True,
    help="Iterations; auto: as many as the data ask for.",
)
@click.option(
    "--stopping",
    type=click.Choice(("risk", "splitting", "consensus", "discrepancy")),
    help="The rule that finds the number of iterations; --num-iter is then the most. By default risk, with auto.",
)
@click.option(
    "--gain", type=float, help="Units of the image a photon, for the rule; by default measured, and 1 for counts."
)
@boundary()
@click.option(
    "--accelerate/--no-accelerate", default=True, help="One accelerated iteration counts about seven plain ones."
)
@click.option(
    "--back-projector",
    type=click.Choice(("matched", "wiener-butterworth")),
    default="matched",
    show_default=True,
    help="wiener-butterworth undoes most of the blur in one to three iterations, and is then at its end.",
)
@together(BACKGROUND, TV_WEIGHT, NOISE_OF_COUNTS, WEIGHTS, PEDESTAL, CLIP_NEGATIVE, tol(0.0), SHOWN)
def richardson_lucy(
    job: Job,
    num_iter: int | None,
    stopping: str | None,
    gain: float | None,
    background: float,
    weights: str | None,
    pedestal: float,
    clip_negative: bool,
    shown: bool | None,
    **options: Any,
) -> None:
    """Maximum likelihood under photon noise. Nothing turns negative.

    \b
    Examples:
      sigdeconv richardson-lucy cells.tif --psf psf.tif -o restored.tif
      sigdeconv richardson-lucy cells.tif --psf psf.tif -o restored.tif --num-iter auto
      sigdeconv richardson-lucy stars.fits --psf psf.fits --psf-plane 0 -o sharp.fits --background 12 --damping 3
      sigdeconv richardson-lucy cells.tif --psf gaussian:3,1.5,1.5 -o restored.tif --num-iter 40 --tv-weight 0.005
    """
    chooses = num_iter is None or stopping is not None
    if gain is not None and not chooses:
        raise ValueError(f"--gain is {gain:g} but there is nothing to choose; pass --num-iter auto, or --stopping")
    rule = sigdeconv.Stopping(stopping or "risk", gain=gain) if chooses else None
    tol = options["tol"]
    if job.in_chunks:
        from ._cli_chunks import restore_pieces

        prepared = OfCounts(job, pedestal, clip_negative, weights is not None or options["readout_noise"] > 0)
        options |= {"num_iter": num_iter, "stopping": rule, "background": background + pedestal}
        restore_pieces(
            prepared,
            job,
            weights=weights,
            shown=shown,
            prepared_psf=lambda psf: as_light(psf, clip_negative),
            **options,
        )
        return

    def work(image: Samples, psf: Samples, channel_axis: int | None, trust: Samples | None) -> Samples:
        image = as_counts(
            image, job, pedestal, clip_negative, anything=trust is not None or options["readout_noise"] > 0
        )
        psf = as_light(psf, clip_negative)
        # With all of it given there is nothing to say, and an iteration that nobody watches costs less.
        bar = watched(num_iter, tol, shown, job.quiet) if chooses or tol > 0 else progress(num_iter, shown, job.quiet)
        with bar as callback:
            result: Samples = to_numpy(
                sigdeconv.richardson_lucy(
                    on_device(image, job.device),
                    on_device(psf, job.device),
                    num_iter=num_iter,
                    stopping=rule,
                    background=background + pedestal,
                    weights=None if trust is None else on_device(trust, job.device),
                    callback=callback,
                    channel_axis=channel_axis,
                    **options,
                )
            )
        return result

    restore(job, work, weights)


class OfCounts:
    """Richardson-Lucy on a piece of a volume of counts, which is made ready as a whole image is."""

    def __init__(self, job: Job, pedestal: float, clip: bool, anything: bool) -> None:
        self.__wrapped__ = sigdeconv.richardson_lucy  # its parameters are those of the method
        self.__module__, self.__qualname__ = "sigdeconv", f"richardson_lucy of counts above {-pedestal:g}"
        self.job, self.pedestal, self.clip, self.anything = job, pedestal, clip, anything

    def __call__(self, image: Samples, psf: Samples, **options: Any) -> Samples:
        if isinstance(image, np.ndarray):
            image = as_counts(image, self.job, self.pedestal, self.clip, self.anything)
        restored: Samples = sigdeconv.richardson_lucy(image, psf, **options)
        return restored


def as_counts(image: Samples, job: Job, pedestal: float, clip: bool, anything: bool) -> Samples:
    """The image with what was subtracted from it, not negative unless it may be `anything` (bad pixels, say)."""
    image = floating(image, "image", finite=False) + pedestal if pedestal else image
    if anything and not clip:
        return image
    return _not_negative(image, job.image, clip, "pass --pedestal F, the counts that were subtracted")


def as_light(psf: Samples, clip: bool) -> Samples:
    """The PSF, not negative; rounding leaves as much below zero in a computed one, and the library allows for it."""
    return _not_negative(psf, "the PSF", clip, "subtract less background", allowed=ROUNDING * float(psf.max()))


def _not_negative(x: Samples, name: object, clip: bool, remedy: str, allowed: float = 0.0) -> Samples:
    """Light does not subtract: samples below zero are refused, or, when asked, taken for zero."""
    lowest = float(np.fmin.reduce(x, axis=None))  # leaves NaN aside
    if not lowest < -allowed:
        return x
    found = f"{name} has {np.count_nonzero(x < 0)} of {x.size} samples below zero (down to {lowest:g})"
    if not clip:
        raise ValueError(f"{found}, but photon counts are wanted; {remedy}, or --clip-negative, or use wiener")
    note(f"warning: {found}, which are taken for 0")
    return np.maximum(x, 0)
