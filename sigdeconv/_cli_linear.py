"""The commands whose result is linear in the image, or nearly: one division per frequency, or least squares."""

from __future__ import annotations

from typing import Any

import click

import sigdeconv

from ._cli_console import note, watched
from ._cli_job import Job, Samples, restore, restore_by, restoring, restoring_pieces
from ._cli_options import BOUNDS, SHOWN, SIGMA, WEIGHTS, boundary, num_iter, regularizer, together, tol, until
from ._cli_values import NumberOr

WEIGHT_OF_MODEL = {"weight": "weight of tikhonov's model"}  # that tells when to stop

_ROUGHNESS = regularizer("laplacian", "identity", text="roughness, or the values themselves")


@click.command()
@restoring_pieces
@click.option(
    "--balance",
    type=NumberOr(float),
    show_default="auto",
    help="Strength of the regularisation; auto: chosen from the image alone.",
)
@_ROUGHNESS
@boundary()
def wiener(job: Job, **options: Any) -> None:
    """One regularised division per frequency. Wiener-Hunt: fast; may undershoot below zero.

    \b
    Examples:
      sigdeconv wiener photo.png --psf disk:3 -o sharp.png
      sigdeconv wiener stack.tif --psf psf.tif -o sharp.tif --balance 0.01
    """
    restore_by(sigdeconv.wiener, job, **options)


@click.command("unsupervised-wiener")
@restoring
@_ROUGHNESS
@boundary()
@click.option("--burn-in", type=click.IntRange(min=0), default=30, show_default=True, help="Samples drawn first.")
@num_iter(200, "Samples that are averaged at most.")
@tol(1e-4)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of the random numbers: the same repeats a result."
)
@SHOWN
def unsupervised_wiener(job: Job, num_iter: int, tol: float, seed: int, shown: bool | None, **options: Any) -> None:
    """Wiener-Hunt with noise and roughness sampled, too. A Gibbs sampler draws them along with the scene.

    \b
    Example:
      sigdeconv unsupervised-wiener photo.png --psf disk:3 -o sharp.png
    """

    def work(image: Samples, psf: Samples, channel_axis: int | None, _: Samples | None) -> Samples:
        with watched(num_iter, tol, shown, job.quiet) as callback:
            found = sigdeconv.unsupervised_wiener(
                image,
                psf,
                num_iter=num_iter,
                tol=tol,
                rng=seed,
                callback=callback,
                channel_axis=channel_axis,
                **options,
            )
        noise = found.noise_precision**-0.5
        if noise.ndim == 0:
            note(f"from the data: sigma {noise:.4g}", job.quiet)
        else:
            note(f"from the data: sigma {noise.min():.4g} to {noise.max():.4g} ({noise.size} images)", job.quiet)
        result: Samples = found.image
        return result

    restore(job, work)


@click.command()
@restoring
@click.option(
    "--cutoff", type=float, default=1e-3, show_default=True, help="Frequencies below, of the peak, are left out."
)
@boundary("periodic")
def inverse(job: Job, cutoff: float, boundary: str) -> None:
    """Division in the Fourier domain. For teaching, or for images without noise: it amplifies noise without bounds.

    \b
    Example:
      sigdeconv inverse simulated.npy --psf psf.npy -o restored.npy --cutoff 0.05
    """
    restore(
        job,
        lambda image, psf, channel_axis, _: sigdeconv.inverse_filter(
            image, psf, cutoff=cutoff, boundary=boundary, channel_axis=channel_axis
        ),
    )


@click.command()
@restoring_pieces
@click.option(
    "--weight",
    type=NumberOr(float),
    show_default="auto",
    help="Of the penalty: noise power over power of the penalised scene. auto: chosen from the data. 0: none.",
)
@regularizer("laplacian", "gradient", "identity", text="curvature, slope, or the values themselves")
@together(SIGMA, BOUNDS, WEIGHTS, boundary(), num_iter(100), tol(1e-4), SHOWN)
def tikhonov(job: Job, **options: Any) -> None:
    """Least squares with a quadratic penalty. Wiener's model, with bounds and bad pixels.

    \b
    Examples:
      sigdeconv tikhonov photo.png --psf disk:3 -o sharp.png
      sigdeconv tikhonov cells.tif --psf psf.tif -o restored.tif --bounds 0, --weights finite
    """
    restore_by(sigdeconv.tikhonov, job, **options)


@click.command()
@restoring_pieces
@until("nearest", "discrepancy")
@click.option("--step", type=float, help="Length of a step; by default the longest that is surely safe.")
@click.option(
    "--accelerate/--no-accelerate", default=True, help="Extrapolate: as sharp after 30 iterations as else after 150."
)
@together(SIGMA, BOUNDS, WEIGHTS, boundary(), tol(0.0), SHOWN)
def landweber(job: Job, **options: Any) -> None:
    """Steps downhill on the squared residual. They stop before they fit the noise.

    The rules: nearest stops where the result comes nearest to what tikhonov restores; discrepancy where the residual is
    as strong as the noise.

    \b
    Examples:
      sigdeconv landweber cells.tif --psf psf.tif -o restored.tif --bounds 0,
      sigdeconv landweber cells.tif --psf psf.tif -o restored.tif --num-iter 30
    """
    restore_by(sigdeconv.landweber, job, terms=WEIGHT_OF_MODEL, **options)


@click.command("van-cittert")
@restoring_pieces
@until("nearest", "discrepancy")
@click.option("--step", type=float, help="Share of the residual that is added; by default all of it.")
@together(SIGMA, BOUNDS, boundary(), tol(0.0), SHOWN)
def van_cittert(job: Job, **options: Any) -> None:
    """What blurring takes away is added, over and over. For little noise, and PSFs like a Gaussian.

    \b
    Example:
      sigdeconv van-cittert spectrum.npy --psf gaussian:2 -o sharp.npy
    """
    restore_by(sigdeconv.van_cittert, job, terms=WEIGHT_OF_MODEL, **options)
