"""One division for each frequency: the inverse filter, and Wiener's with parameters given or found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .. import _fft
from .._array import Array, channels_to_batch, choice, floating, generator, like, namespace, number, shown, to_numpy
from .._iterate import Callback, Iteration, iterate
from .._parallel import each
from ..convolution import Convolution, psf_for, psf_to_otf
from ._periodic import Periodic
from .selection import Spectrum, chosen_balance

Rough = tuple[Array, ...]  #: real arrays that broadcast to a half spectrum and whose sum is ``|L|``

HEAVIEST = 1e12  # balance: only a constant passes
REGULARIZERS = ("laplacian", "identity")
FILL_ITERATIONS = 30  # conjugate gradients for the data past the frame, at most
FILL_TOLERANCE = 1e-3  # of the norm of those data: finer, and a 256 x 256 image moves by a hundredth of a decibel
CAUTION = (100.0, 10.0, 1.0)  # factors of the balance in the rounds of predicting the data past the frame


def inverse_filter(
    image: Array,
    psf: Array | Convolution,
    *,
    cutoff: float = 1e-3,
    boundary: str = "periodic",
    channel_axis: int | None = None,
) -> Array:
    """Undo a blur by division in the Fourier domain: deconvolution in its simplest and most fragile form.

    Parameters
    ----------
    image : array, shape (..., *frame)
        Blurred image. Leading axes are a batch.
    psf : array or Convolution
        Point spread function with as many axes as `frame`, or a ready operator (of `Convolution.from_otf`, say).
    cutoff : float
        Frequencies at which the OTF is below this share of its peak are set to zero; 0 divides wherever it can.
    boundary : {"periodic", "free", "zero", "reflect"}
        What lies past the frame. Only "periodic" is the textbook's division of one spectrum by another; "free" first
        continues the image smoothly onto a larger periodic grid.
    channel_axis : int, optional
        Axis of colours.

    Returns
    -------
    array
        Of the shape, kind and floating dtype of `image`.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.

    Notes
    -----
    ``X = Y / H`` is exact without noise. With noise ``N`` it gives ``X + N / H``: where the blur has removed a
    frequency (``|H|`` of 1e-3, say) the noise is multiplied by a thousand, while nothing of the signal was left there
    to restore. The cut-off only decides how large the explosion may be. `wiener` weighs each frequency by what it is
    worth.

    Examples
    --------
    Exact without noise; useless with noise of one part in a thousand, which `wiener` hardly feels:

    >>> import numpy as np
    >>> import sigdeconv
    >>> x = np.zeros(64)
    >>> x[20:40] = 1.0
    >>> psf = sigdeconv.psf.gaussian(15, sigma=1.5)
    >>> y = sigdeconv.Convolution(psf, 64, boundary="periodic")(x)
    >>> bool(np.abs(inverse_filter(y, psf, cutoff=0) - x).max() < 1e-3)
    True
    >>> noisy = y + 1e-3 * np.random.default_rng(0).standard_normal(64)
    >>> bool(np.abs(inverse_filter(noisy, psf, cutoff=0) - x).max() > 3)
    True
    >>> bool(np.abs(wiener(noisy, psf, boundary="periodic") - x).max() < 0.5)
    True
    """
    image, channels_back = channels_to_batch(floating(image, "image", moderate=True), channel_axis)
    cutoff = number(cutoff, "cutoff", minimum=0.0)
    problem = Periodic.of(image, psf, boundary)
    H, xp = problem.otf, namespace(problem.otf)
    size = xp.abs(H)
    passes = (size > 0) & (size >= cutoff * xp.max(size))
    transfer = xp.where(passes, 1 / xp.where(passes, H, xp.ones_like(H)), xp.zeros_like(H))
    return channels_back(problem.filtered(transfer))


def wiener(
    image: Array,
    psf: Array | Convolution,
    *,
    balance: float | None = None,
    regularizer: str | Array | Convolution = "laplacian",
    boundary: str = "free",
    callback: Callback | None = None,
    channel_axis: int | None = None,
) -> Array:
    """Restore by the Wiener-Hunt filter: least squares with a penalty on roughness, one division for each frequency.

    Parameters
    ----------
    image : array, shape (..., *frame)
        Blurred and noisy image. Leading axes are a batch.
    psf : array or Convolution
        Point spread function with as many axes as `frame`, or a ready operator. An OTF is passed as
        ``Convolution.from_otf(otf, shape)``; its phase counts.
    balance : float, optional
        Weight of the penalty, ``noise power / power of the regularised scene``; without unit if the PSF has the sum 1.
        None chooses it from each image (of a batch, each colour) by generalised cross-validation,
        but never less than half of the most likely balance.
    regularizer : {"laplacian", "identity"}, array or Convolution
        What is penalised: curvature, brightness, or the scene convolved with this array; or, for a periodic boundary, a
        transfer function as ``Convolution.from_otf(otf, shape)``.
    boundary : {"free", "periodic", "zero", "reflect"}
        What lies past the frame. "free": it is unknown, and no edge is invented. "periodic": the closed form of the
        textbook. See `Convolution`.
    callback : callable, optional
        Called once with an `Iteration`; its ``chosen["balance"]`` is what was chosen (of a batch, a tuple).
    channel_axis : int, optional
        Axis of colours.

    Returns
    -------
    array
        Of the shape, kind and floating dtype of `image`, in its units. Nothing is clipped. Differentiable through
        torch.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.

    Notes
    -----
    The estimate minimises ``|A x - y|^2 + balance |L x|^2``, where only the frame's samples count. With a periodic
    boundary that is ``X = conj(H) Y / (|H|^2 + balance |L|^2)``. With a free boundary the same division is made on a
    larger grid, with data past the frame that the solution itself predicts; conjugate gradients find these in a few
    steps.

    The filter is linear: it cannot bring back frequencies that the blur has removed, and it leaves ripples of its own
    along sharp edges.

    References
    ----------
    N. Wiener, Extrapolation, Interpolation, and Smoothing of Stationary Time Series (MIT Press, 1949).
    B. R. Hunt, IEEE Trans. Comput. C-22, 805 (1973), doi:10.1109/TC.1973.5009169.
    S. J. Reeves, IEEE Trans. Image Process. 14, 1448 (2005), doi:10.1109/TIP.2005.854474 (the frame's edge).
    G. H. Golub, M. Heath and G. Wahba, Technometrics 21, 215 (1979), doi:10.1080/00401706.1979.10489751.

    Examples
    --------
    >>> import numpy as np
    >>> import sigdeconv
    >>> rng = np.random.default_rng(0)
    >>> x = np.repeat([1.0, 4.0, 2.0, 3.0], 32)
    >>> psf = sigdeconv.psf.gaussian(21, sigma=3.0)
    >>> y = sigdeconv.Convolution(psf, 128, boundary="reflect")(x) + 0.02 * rng.standard_normal(128)
    >>> restored = sigdeconv.wiener(y, psf)
    >>> float(np.mean((restored - x) ** 2)) < 0.7 * float(np.mean((y - x) ** 2))
    True
    """
    image, channels_back = channels_to_batch(floating(image, "image", moderate=True), channel_axis)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is a {type(callback).__name__}; a function of one Iteration is wanted")
    weight = None if balance is None else number(balance, "balance", minimum=0.0, maximum=HEAVIEST)
    # Each image of a batch gets a balance of its own.
    psf = psf if isinstance(psf, Convolution) else psf_for(psf, image)
    batch = image.shape[: max(image.ndim - psf.ndim, 0)]
    if weight is not None or math.prod(batch) == 1:
        result, found = _wiener(image, psf, weight, regularizer, boundary)
        balances: Any = found
    else:
        xp = namespace(image)
        items = [_wiener(image[(*index, ...)], psf, None, regularizer, boundary) for index in np.ndindex(*batch)]
        result = xp.reshape(xp.stack([item for item, _ in items]), image.shape)
        balances = tuple(found for _, found in items)
    result = channels_back(result)
    if callback is not None:
        callback(Iteration(1, result, math.nan, {} if weight is not None else {"balance": balances}))
    return result


def _wiener(
    image: Array, psf: Array | Convolution, balance: float | None, regularizer: str | Array | Convolution, boundary: str
) -> tuple[Array, float]:
    """The restoration and its balance."""
    problem = Periodic.of(image, psf, boundary)
    rough = _roughness(problem, regularizer)
    problem, balance = _completed(problem, rough, balance)
    return problem.filtered(_wiener_filter(problem.otf, rough, balance)), balance


def _completed(problem: Periodic, rough: Rough, balance: float | None) -> tuple[Periodic, float]:
    """The problem with data past the frame as the solution predicts them, and the balance, chosen where it is None.

    The data come from a smooth solution first: a small balance would take what the first guess gets wrong for signal.
    """
    weight = balance
    for caution in CAUTION if problem.unknown else (1.0,):
        weight = _chosen_balance(problem, rough) if balance is None else balance
        if problem.unknown:
            hat = _hat(problem.otf, rough, caution * weight)
            problem = problem.completed(hat, num_iter=FILL_ITERATIONS, tol=FILL_TOLERANCE)
    assert weight is not None
    return problem, weight


def _hat(H: Array, rough: Rough, balance: float) -> Array:
    """From data to predicted data: ``|H|^2 / (|H|^2 + balance |L|^2)``."""
    return each(lambda H, W: H * W, H, _wiener_filter(H, rough, balance))


def _wiener_filter(H: Array, rough: Rough, balance: float) -> Array:
    """``conj(H) / (|H|^2 + balance |L|^2)``, and zero where both vanish: what is neither seen nor penalised."""
    xp = namespace(H)
    tiny = xp.ones((1,) * H.ndim, dtype=rough[0].dtype, device=H.device) * float(
        xp.finfo(rough[0].dtype).smallest_normal
    )

    def quotient(H: Array, tiny: Array, *rough: Array) -> Array:
        # Where both vanish so does the numerator, and the smallest number makes the quotient zero.
        return xp.conj(H) / xp.maximum(_power(H) + balance * sum(rough[1:], rough[0]) ** 2, tiny)

    return each(quotient, H, tiny, *rough)


def _roughness(problem: Periodic, regularizer: str | Array | Convolution) -> Rough:
    """Real arrays on the half spectrum of the problem's grid, or of size one along axes of it, whose sum is ``|L|``."""
    H, grid = problem.otf, problem.grid
    xp = namespace(problem.image)
    if isinstance(regularizer, Convolution):
        if regularizer.grid != grid or regularizer.psf is not None:
            raise ValueError(
                f"regularizer is a {regularizer!r} but one of an OTF on the grid {grid} is wanted; pass an array, "
                f"or Convolution.from_otf(otf, {grid}) with boundary='periodic'"
            )
        return (xp.abs(regularizer.transfer_like(problem.image)),)
    if not isinstance(regularizer, str):
        kernel = like(regularizer, problem.image, "regularizer")
        if kernel.ndim != len(grid):
            raise ValueError(f"regularizer has {kernel.ndim} dimensions but the psf has {len(grid)}; pass as many")
        return (xp.abs(psf_to_otf(kernel, grid)),)
    real = problem.image.dtype
    if choice(regularizer, REGULARIZERS, "regularizer") == "identity":
        return (xp.ones((1,) * len(grid), dtype=real, device=H.device),)
    lines = []
    for axis, (bins, n) in enumerate(zip(H.shape, grid, strict=True)):
        shape = [1] * len(grid)
        shape[axis] = bins
        # The second difference [1, -2, 1] has the transfer function 2 cos(w) - 2 on its axis.
        line = 2.0 - 2.0 * np.cos(2.0 * math.pi * np.arange(bins) / n)
        lines.append(xp.reshape(xp.asarray(line, dtype=real, device=H.device), tuple(shape)))
    return tuple(lines)


def _penalty(problem: Periodic, rough: Rough) -> Array:
    """``|L|^2`` as one array on the half spectrum."""
    xp = namespace(problem.image)
    return xp.broadcast_to(sum(rough[1:], rough[0]) ** 2, problem.otf.shape)


def _chosen_balance(problem: Periodic, rough: Rough) -> float:
    """The balance by generalised cross-validation from the (extended) image."""
    # A batch of one may have leading axes.
    power = namespace(problem.image).reshape(_power(_fft.transform(problem.image, problem.grid)), problem.otf.shape)
    data = Spectrum.of(power, _power(problem.otf), _penalty(problem, rough), _multiplicity(problem.grid))
    return chosen_balance(data)


def _power(spectrum: Array) -> Array:
    xp = namespace(spectrum)
    return xp.real(spectrum) ** 2 + xp.imag(spectrum) ** 2


def _multiplicity(grid: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """How many frequencies of the full spectrum each of the half spectrum's last axis stands for."""
    multiplicity = np.full(grid[-1] // 2 + 1, 2.0)
    multiplicity[0] = 1.0
    if grid[-1] % 2 == 0:
        multiplicity[-1] = 1.0
    return multiplicity


class UnsupervisedWiener(NamedTuple):
    """What `unsupervised_wiener` estimates.

    Attributes
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
    image, psf, regularizer, boundary, channel_axis
        As in `wiener`.
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
    well and are drawn with the rest. What is averaged is the mean of the scene given the precisions. It trusts the
    model: noise that is white, and a scene whose roughness is alike everywhere.

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
    problem = Periodic.of(image, psf, boundary)
    rough = _roughness(problem, regularizer)
    if isinstance(burn_in, bool) or not isinstance(burn_in, (int, np.integer)) or burn_in < 0:
        raise ValueError(f"burn_in is {shown(burn_in)}; an integer of at least 0 is wanted")
    chains: tuple[list[Any], list[Any]] = ([], [])
    if problem.unknown:
        problem = replace(problem, image=_begun(problem, rough))
    samples = _gibbs(problem, _penalty(problem, rough), generator(rng), burn_in, chains)
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


def _begun(problem: Periodic, rough: Rough) -> Array:
    """The extended images with data past the frame from Wiener's filter, so that the chain need not find these."""
    image, ndim = problem.image, len(problem.grid)
    xp, batch = namespace(image), image.shape[: image.ndim - ndim]
    items = [
        _completed(replace(problem, image=image[(*index, ...)]), rough, None)[0].image for index in np.ndindex(*batch)
    ]
    return xp.reshape(xp.stack(items), image.shape)


def _gibbs(
    problem: Periodic, penalty: Array, rng: np.random.Generator, burn_in: int, chains: tuple[list[Any], list[Any]]
) -> Iterator[Array]:
    """Orieux et al., algorithm 1, in unitary transforms; yields the running average of the scene."""
    y, H, grid = problem.image, problem.otf, problem.grid
    xp, ndim, n = namespace(y), len(grid), math.prod(grid)
    batch = y.shape[: y.ndim - ndim]
    power, weight = _power(H), xp.asarray(_multiplicity(grid) / n, dtype=y.dtype, device=y.device)
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
        gamma_n = gamma(n, energy(_power(Y - blurred)))
        gamma_x = gamma(rank, energy(penalty * _power(X)))
        chains[0].append(gamma_n)
        chains[1].append(gamma_x)
        if len(chains[0]) <= burn_in:
            continue
        count += 1
        average = mean if average is None else average + (mean - average) / count
        yield _fft.inverse(average, grid)
