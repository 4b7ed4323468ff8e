"""The commands with a prior on what scenes look like: few edges, few wavelets, few spikes, or what a denoiser knows."""

from __future__ import annotations

from typing import Any

import click

import sigdeconv

from ._cli_job import Job, restore_by, restoring_pieces
from ._cli_learned import learned_prior
from ._cli_options import SHOWN, SIGMA, boundary, edge_prior, num_iter, tol

DENOISERS = {
    "collaborative": None,  # the library's own choice, which takes colours together
    "non-local-means": "non_local_means",
    "total-variation": "total_variation_chambolle",
    "wavelet": "wavelet",
    "bilateral": "bilateral",
    "learned": "",  # the packaged network, which is no part of the classical house
}


@click.command("total-variation")
@restoring_pieces
@edge_prior(sigdeconv.total_variation)
@click.option(
    "--differences",
    type=click.Choice(("round", "forward")),
    default="round",
    show_default=True,
    help="Of a pixel to its neighbours, diagonal ones too or along the axes alone.",
)
def total_variation(job: Job, **options: Any) -> None:
    """Few edges, flat between them.

    \b
    Examples:
      sigdeconv total-variation photo.png --psf disk:3 -o sharp.png
      sigdeconv total-variation cells.tif --psf psf.tif -o restored.tif --weight discrepancy --sigma 3 --bounds 0,
    """
    restore_by(sigdeconv.total_variation, job, **options)


@click.command("hyper-laplacian")
@restoring_pieces
@edge_prior(sigdeconv.hyper_laplacian)
@click.option("--power", type=float, default=0.5, show_default=True, help="Of the cost of a difference, up to 1.")
@click.option(
    "--pooling",
    type=float,
    default=2.0,
    show_default=True,
    help="Pixels around that tell whether a place is flat (standard deviation); 0: each for itself.",
)
def hyper_laplacian(job: Job, **options: Any) -> None:
    """Edges that are rare and large, as in photographs.

    \b
    Examples:
      sigdeconv hyper-laplacian photo.png --psf disk:3 -o sharp.png
      sigdeconv hyper-laplacian photo.png --psf shake.tif -o sharp.png --power 0.8 --weight 0.02
    """
    restore_by(sigdeconv.hyper_laplacian, job, **options)


@click.command("hessian-schatten")
@restoring_pieces
@edge_prior(sigdeconv.hessian_schatten)
@click.option(
    "--norm",
    type=click.Choice(("nuclear", "frobenius")),
    help="Of the second derivatives; nuclear favours filaments. By default nuclear in 2-D, frobenius (faster) in 3-D.",
)
def hessian_schatten(job: Job, **options: Any) -> None:
    """Slopes with little curvature. For filaments and smooth structures, in microscopy.

    \b
    Example:
      sigdeconv hessian-schatten cells.tif --psf psf.tif -o restored.tif --bounds 0,
    """
    restore_by(sigdeconv.hessian_schatten, job, **options)


@click.command("sparse-spikes")
@restoring_pieces
@edge_prior(sigdeconv.sparse_spikes)
def sparse_spikes(job: Job, **options: Any) -> None:
    """Zero nearly everywhere: stars, echoes, lines. Subtract a constant level before.

    \b
    Example:
      sigdeconv sparse-spikes stars.fits --psf psf.fits -o sharp.fits --bounds 0,
    """
    restore_by(sigdeconv.sparse_spikes, job, **options)


@click.command("wavelet-sparse")
@restoring_pieces
@edge_prior(sigdeconv.wavelet_sparse)
@click.option(
    "--wavelet",
    default="haar",
    show_default=True,
    help="Any orthogonal wavelet of PyWavelets: haar for sharp edges, db2 or sym4 for smooth scenes.",
)
@click.option("--levels", type=int, default=3, show_default=True, help="Scales, each twice as coarse as the last.")
def wavelet_sparse(job: Job, **options: Any) -> None:
    """Few large wavelet coefficients.

    \b
    Example:
      sigdeconv wavelet-sparse cells.tif --psf psf.tif -o restored.tif --wavelet sym4
    """
    restore_by(sigdeconv.wavelet_sparse, job, **options)


@click.command("plug-and-play")
@restoring_pieces
@click.option(
    "--denoiser",
    type=click.Choice(tuple(DENOISERS)),
    default="collaborative",
    show_default=True,
    help="What knows how scenes look. collaborative, bilateral, learned: 2-D; non-local-means: not 1-D.",
)
@SIGMA
@click.option("--strength", type=float, default=1.0, show_default=True, help="Of the prior: more is smoother.")
@click.option(
    "--algorithm",
    type=click.Choice(("hqs", "admm")),
    default="hqs",
    show_default=True,
    help="Half-quadratic splitting, or alternating directions.",
)
@boundary()
@num_iter(30, "Steps of the schedule, from coarse to fine.")
@tol(0.0)
@SHOWN
def plug_and_play(job: Job, denoiser: str, **options: Any) -> None:
    """A denoiser as the prior. The best for photographs, in seconds.

    \b
    Examples:
      sigdeconv plug-and-play photo.png --psf disk:3 -o sharp.png
      sigdeconv plug-and-play stack.tif --psf psf.tif -o sharp.tif --denoiser total-variation --sigma 3
    """
    name = DENOISERS[denoiser]
    prior: Any = None if name is None else learned_prior if not name else getattr(sigdeconv.denoisers, name)
    restore_by(sigdeconv.plug_and_play, job, denoiser=prior, **options)
