"""Wiener's filter whose parameters are random too: they are drawn along with the scene, by Gibbs sampling."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .. import _fft
from .._array import Array, channels_to_batch, floating, generator, namespace, shown, to_numpy
from .._iterate import Callback, iterate
from ..convolution import Convolution
from ._periodic import SEAM, Periodic
from ._roughness import multiplicity, penalty_of, power_of, roughness, scene_under
from ._varying import require_one_psf
from ._weight import around


class UnsupervisedWiener(NamedTuple):
    """What `unsupervised_wiener` estimates.

    Parameters
    ----------
    image : array
        Mean of the posterior: the restored image.
    noise_precision, prior_precision : float or array
        Posterior means of ``1 / noise variance`` and of the precision of the scene's Laplacian, an item of the batch.
    noise_precision_chain, prior_precision_chain : array, shape (num_iter, ...)
        Every sample, those of the burn-in included.
    """

    image: Array
    noise_precision: Any
    prior_precision: Any
    noise_precision_chain: np.ndarray[Any, Any]
    prior_precision_chain: np.ndarray[Any, Any]


def unsupervised_wiener(
    image: Array,
    psf: Array | Convolution,
    *,
    regularizer: str | Array | Convolution = "laplacian",
    boundary: str = "free",
    burn_in: int = 30,
    num_iter: int = 200,
    tol: float = 1e-4,
    rng: np.random.Generator | int | None = None,
    callback: Callback | None = None,
    channel_axis: int | None = None,
) -> UnsupervisedWiener:
    """Restore by a Wiener-Hunt filter that estimates the noise and the scene's roughness along with the scene.

    Parameters
    ----------
    image : array, shape (..., *frame)
        Blurred and noisy image. Leading axes are a batch.
    psf : array or Convolution
        Point spread function with as many axes as `frame`, or a ready operator.
    regularizer : {"laplacian", "identity"}, array or Convolution
        What the prior is about, as in `wiener`: the scene's curvature, its brightness, or the scene convolved with this
        array.
    boundary : {"free", "periodic", "zero", "reflect"}
        What lies past the frame: of the scene for "free" and "periodic", of the image for "zero" and "reflect".
    burn_in : int
        Samples that are drawn first and not averaged.
    num_iter : int
        Samples that are averaged at most.
    tol : float
        Stop when a sample changes the average by less than this, relative to its norm.
    rng : numpy.random.Generator or int, optional
        Source of the samples, or its seed: the same seed gives the same result.
    callback : callable, optional
        Called with an `Iteration` after each averaged sample; return True to stop.
    channel_axis : int, optional
        Axis of colours, which are restored one by one.

    Returns
    -------
    UnsupervisedWiener
        ``(image, noise_precision, prior_precision, noise_precision_chain, prior_precision_chain)``.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.

    Notes
    -----
    A Gibbs sampler draws in turn the scene (Gaussian, independent for each frequency), the precision of the noise and
    that of the prior (both gamma, under Jeffreys' priors). With a free boundary the data past the frame are unknowns as
    well and are drawn with the rest. With "zero" and "reflect" it is the image that is taken to be dark or mirrored
    past the frame, which is right for a dark surround and for an even PSF. What is averaged is the mean of the scene
    given the precisions. It trusts the model: noise that is white, and a scene whose roughness is alike everywhere.

    References
    ----------
    F. Orieux, J.-F. Giovannelli and T. Rodet, J. Opt. Soc. Am. A 27, 1593 (2010), doi:10.1364/JOSAA.27.001593.

    Examples
    --------
    >>> import numpy as np
    >>> import sigdeconv
    >>> rng = np.random.default_rng(1)
    >>> x = np.cumsum(np.cumsum(rng.standard_normal(256))) / 10
    >>> psf = np.ones(5) / 5
    >>> y = sigdeconv.Convolution(psf, 256, boundary="reflect")(x) + 0.5 * rng.standard_normal(256)
    >>> result = sigdeconv.unsupervised_wiener(y, psf, rng=2)
    >>> bool(0.4 < result.noise_precision**-0.5 < 0.6)      # the noise had a standard deviation of 0.5
    True
    """
    image, channels_back = channels_to_batch(floating(image, "image", moderate=True), channel_axis)
    require_one_psf(psf, "unsupervised_wiener")
    problem = Periodic.of(image, psf, boundary, seam=SEAM)
    rough = roughness(image, problem.grid, regularizer)
    if isinstance(burn_in, bool) or not isinstance(burn_in, (int, np.integer)) or burn_in < 0:
        raise ValueError(f"burn_in is {shown(burn_in)}; an integer of at least 0 is wanted")
    chains: tuple[list[Any], list[Any]] = ([], [])
    if problem.unknown:
        problem = replace(problem, image=_begun(image, psf, regularizer))
    samples = _gibbs(problem, penalty_of(problem.grid, rough), generator(rng), burn_in, chains)
    restored = iterate(
        samples,
        num_iter=num_iter,
        tol=tol,
        callback=callback,
        ndim=len(problem.grid),
        view=lambda x: x[(..., *(slice(n) for n in problem.frame))],
        back=channels_back,
    )
    noise, prior = (np.asarray(chain) for chain in chains)
    return UnsupervisedWiener(
        namespace(image).asarray(restored, copy=True),
        noise[burn_in:].mean(axis=0)[()],
        prior[burn_in:].mean(axis=0)[()],
        noise,
        prior,
    )


def _begun(image: Array, psf: Array | Convolution, regularizer: str | Array | Convolution) -> Array:
    """The extended images with data past the frame from Wiener's filter, so that the chain need not find these."""
    scene, xp = scene_under(image, psf, "free", regularizer), namespace(image)
    batch = image.shape[: image.ndim - scene.ndim]
    items = [around(scene, image[(*index, ...)], None, None, psf)[1] for index in np.ndindex(*batch)]
    return xp.reshape(xp.stack(items), (*batch, *scene.grid))


def _gibbs(
    problem: Periodic, penalty: Array, rng: np.random.Generator, burn_in: int, chains: tuple[list[Any], list[Any]]
) -> Iterator[Array]:
    """Orieux et al., algorithm 1, in unitary transforms; yields the running average of the scene."""
    y, H, grid = problem.image, problem.otf, problem.grid
    xp, ndim, n = namespace(y), len(grid), math.prod(grid)
    batch = y.shape[: y.ndim - ndim]
    power, weight = power_of(H), xp.asarray(multiplicity(grid) / n, dtype=y.dtype, device=y.device)
    rank = n - int(xp.sum(xp.astype(penalty == 0, xp.int64)))  # what is not penalised tells nothing of the prior
    inside = problem.mask() if problem.unknown else None

    def noise() -> Array:
        return xp.asarray(rng.standard_normal(y.shape), dtype=y.dtype, device=y.device)

    def gamma(count: int, energy: Array) -> Array:
        # Jeffreys' prior; the tiny energy keeps a perfectly flat or noiseless image finite
        scale = np.maximum(np.asarray(to_numpy(energy), dtype=np.float64), 1e-30) / 2
        return rng.gamma(count / 2, 1 / scale)

    def shaped(value: Any) -> Array:
        return xp.asarray(np.reshape(value, (*batch, *(1,) * ndim)), dtype=y.dtype, device=y.device)

    def energy(spectrum_power: Array) -> Array:
        return xp.sum(spectrum_power * weight, axis=tuple(range(-ndim, 0)))

    Y = _fft.transform(y, grid)
    # Start from noise of a tenth of the image's spread, and a scene as rough as that.
    spread = to_numpy(xp.var(y, axis=tuple(range(-ndim, 0)))).astype(np.float64) + 1e-30
    gamma_n, gamma_x = 100 / spread, 1 / spread
    average, count = None, 0
    while True:
        gn, gx = shaped(gamma_n), shaped(gamma_x)
        precision = gn * power + gx * penalty
        some = precision > 0
        variance = xp.where(some, 1 / xp.where(some, precision, xp.ones_like(precision)), xp.zeros_like(precision))
        mean = gn * variance * xp.conj(H) * Y
        X = mean + xp.sqrt(variance) * _fft.transform(noise(), grid)
        blurred = H * X
        if inside is not None:
            # Data past the frame are drawn from their own distribution given the scene.
            guess = _fft.inverse(blurred, grid) + noise() / xp.sqrt(gn)
            Y = _fft.transform(xp.where(inside > 0, y, guess), grid)
        gamma_n = gamma(n, energy(power_of(Y - blurred)))
        gamma_x = gamma(rank, energy(penalty * power_of(X)))
        chains[0].append(gamma_n)
        chains[1].append(gamma_x)
        if len(chains[0]) <= burn_in:
            continue
        count += 1
        average = mean if average is None else average + (mean - average) / count
        yield _fft.inverse(average, grid)
