"""One division for each frequency: the inverse filter, and Wiener's with parameters given or found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .. import _fft
from .._array import (
    Array,
    channels_to_batch,
    choice,
    floating,
    generator,
    like,
    namespace,
    number,
    scalar,
    shown,
    to_numpy,
)
from .._iterate import Callback, Iteration, iterate
from .._parallel import each, total
from ..convolution import BOUNDARIES, Convolution, psf_for, psf_to_otf
from ._krylov import after, conjugate_gradients
from ._past_frame import ENOUGH, PastFrame
from ._periodic import Periodic, continued
from ._quadratic import SEAM, UNSEEN, Quadratic, Scene, complex_like
from ._weight import around, balanced, from_spectrum, least_resolved
from .selection import Spectrum, chosen_balance

Rough = tuple[Array, ...]  #: real arrays that broadcast to a half spectrum and whose sum is ``|L|``

HEAVIEST = 1e12  # balance: only a constant passes
REGULARIZERS = ("laplacian", "identity")
FILL_ITERATIONS = 100  # conjugate gradients for the data past the frame, at most
FAINT = 1e-9  # of the OTF's peak power: of a balance below, the noise is too weak for trials to find
ROUNDING = 16.0  # units in the last place by which a residual may differ from none
FRAME_ITERATIONS = 200  # conjugate gradients for a scene that ends with the frame, at most
FRAME_TOLERANCE = 3e-4  # of its first residual: a finer one changes photographs by a hundredth of a decibel


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
        What lies past the frame. Only "periodic" is the textbook's division of one spectrum by another. The others
        divide as well, after continuing the *image* onto a larger periodic grid: smoothly, with darkness, or mirrored.
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
        None chooses it from each image (of a batch, each colour): see Notes.
    regularizer : {"laplacian", "identity"}, array or Convolution
        What is penalised: curvature, brightness, or the scene convolved with this array; or, for a periodic boundary, a
        transfer function as ``Convolution.from_otf(otf, shape)``.
    boundary : {"free", "periodic", "zero", "reflect"}
        What the *scene* does past the frame, as in `Convolution` and `tikhonov`. "free": it goes on and is unknown, and
        no edge is invented. "periodic": it repeats; the closed form of the textbook. "zero": it is dark, and light that
        it sends past the frame is lost. "reflect": it is mirrored, though its image is not, unless the PSF is even. A
        record that holds the whole convolution of a signal with a response is "periodic": so it says that nothing went
        past its end.
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
    larger grid, with data past the frame that the solution itself predicts; conjugate gradients find these in 3 to 10
    steps for a Gaussian or a disk and in 10 to 40 for camera shake, to within 0.01 dB of the minimum (at worst 0.2). A
    dark or mirrored scene takes more, from 10 steps for a Gaussian to 100 and more for wide motion; with an even PSF
    the mirrored one has a closed form.

    The balance is chosen by generalised cross-validation, as long as this stays near (0.7 to 1.4 times) the balance of
    least expected error: that under the most likely noise and power spectrum of the scene, which falls with some power
    of the frequency. With a dark boundary, trial restorations tell the balance. Measured on two photographs, 7 PSFs and
    two noises it lost 0.1 dB to the best balance on average (both regularisers), 1.7 at worst; on 75 signals behind
    echoes, wavelets and a Gaussian, from white noise to a melody, 0.2 dB on average and 4 at worst.

    A PSF that is blind to the mean (a wavelet) needs ``regularizer="identity"``: the coarse structure of the scene is
    neither seen nor held by curvature.

    References
    ----------
    N. Wiener, Extrapolation, Interpolation, and Smoothing of Stationary Time Series (MIT Press, 1949).
    B. R. Hunt, IEEE Trans. Comput. C-22, 805 (1973), doi:10.1109/TC.1973.5009169.
    S. J. Reeves, IEEE Trans. Image Process. 14, 1448 (2005), doi:10.1109/TIP.2005.854474 (the frame's edge).
    G. H. Golub, M. Heath and G. Wahba, Technometrics 21, 215 (1979), doi:10.1080/00401706.1979.10489751 (the balance).
    P. Whittle, Ark. Mat. 2, 423 (1953), doi:10.1007/BF02590998 (the most likely spectrum).

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
    psf = psf if isinstance(psf, Convolution) else psf_for(psf, image, signed=True)
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
    boundary = psf.boundary if isinstance(psf, Convolution) else choice(boundary, BOUNDARIES, "boundary")
    if boundary == "periodic" or (boundary == "reflect" and _even(psf)):
        problem = Periodic.of(image, psf, boundary)
        rough = _roughness(image, problem.grid, regularizer)
        if balance is None:
            balance = _chosen_balance(problem, rough)
        return problem.filtered(_wiener_filter(problem.otf, rough, balance)), balance
    if isinstance(psf, Convolution) and set(psf.stride) != {1}:
        raise ValueError(f"psf is a Convolution of stride {psf.stride}; wiener needs stride 1, use tikhonov")
    scene = _scene(image, psf, boundary, regularizer)
    if boundary == "free":
        return _seen_through(scene, image, psf, balance)
    return _ending(scene, image, psf, balance)


def _seen_through(scene: Scene, image: Array, psf: Array | Convolution, balance: float | None) -> tuple[Array, float]:
    """The restoration where the scene goes on past the frame, and its balance."""
    if balance is None:
        balance, data = around(scene, image, None, None, psf, FILL_ITERATIONS)
    else:
        past = PastFrame(Quadratic(scene, image, None, max(balance, least_resolved(scene))))
        data = after(past.steps(tol=ENOUGH), FILL_ITERATIONS)
    transfer = _wiener_filter(scene.otf, (scene.penalty**0.5,), balance)
    return _fft.filter(data, transfer, scene.grid, scene.shape), balance


def _ending(scene: Scene, image: Array, psf: Array | Convolution, balance: float | None) -> tuple[Array, float]:
    """The restoration where the scene is dark or mirrored past the frame, and its balance."""
    if balance is None and scene.boundary == "reflect":
        balance, _ = around(scene, image, None, None, psf)
    elif balance is None:
        balance = from_spectrum(
            scene, continued(image, scene.shape, scene.grid, dark=True), None, math.prod(scene.shape)
        )
        if balance > FAINT * scalar(namespace(image).max(scene.power)):
            # No spectrum of a frame with dark ends is that of the scene.
            balance = balanced(scene, image, None, None, psf)
    return _on_frame(scene, image, balance), balance


def _on_frame(scene: Scene, image: Array, balance: float) -> Array:
    """The minimiser for a scene that has samples on the frame alone, by conjugate gradients from the closed form.

    The closed form would be right if the *image* ended as the scene does.
    """
    # Rounding would be divided by a smaller balance, at samples that the frame hardly sees.
    balance = max(balance, least_resolved(scene))
    problem = Quadratic(scene, image, None, balance)
    x = scene.filtered(image, _wiener_filter(scene.otf, (scene.penalty**0.5,), balance))
    # A floor, as the closed form is no near inverse where it restores what only the ends make visible.
    floor = UNSEEN * scalar(namespace(image).max(scene.power))
    near = complex_like(1 / (scene.power + balance * scene.penalty + floor))
    target = problem.target()
    r = target - problem.curvature(x)
    # What is rounding alone is no residual: a flat scene is right from the start.
    size, whole = (total(lambda a: a * a, a, ndim=scene.ndim) for a in (r, target))
    xp = namespace(image)
    r = xp.where(size > (ROUNDING * float(xp.finfo(r.dtype).eps)) ** 2 * whole, r, xp.zeros_like(r))
    steps = conjugate_gradients(
        x, r, problem.curvature, lambda r: scene.filtered(r, near), scene.ndim, tol=FRAME_TOLERANCE
    )
    return after(steps, FRAME_ITERATIONS)


def _even(psf: Array | Convolution) -> bool:
    """Whether a PSF is its own mirror image on each axis, about its origin: then a mirrored scene has mirrored data."""
    kernel, center = (psf.psf, psf.center) if isinstance(psf, Convolution) else (psf, None)
    if kernel is None or getattr(kernel, "requires_grad", False):  # a derivative need not be even
        return False
    kernel = to_numpy(kernel)
    center = tuple(k // 2 for k in kernel.shape) if center is None else center
    arms = [max(c, k - 1 - c) for c, k in zip(center, kernel.shape, strict=True)]
    kernel = np.pad(kernel, [(a - c, a - (k - 1 - c)) for a, c, k in zip(arms, center, kernel.shape, strict=True)])
    slack = 16 * np.finfo(kernel.dtype).eps * np.abs(kernel).max()
    return all(np.abs(kernel - np.flip(kernel, axis)).max() <= slack for axis in range(kernel.ndim))


def _scene(image: Array, psf: Array | Convolution, boundary: str, regularizer: str | Array | Convolution) -> Scene:
    """The quadratic problem's scene, under any regulariser."""
    if isinstance(regularizer, str):
        return Scene.of(image, psf, boundary, choice(regularizer, REGULARIZERS, "regularizer"))
    scene = Scene.of(image, psf, boundary, "laplacian")
    xp, ndim = namespace(image), scene.ndim
    penalty = _penalty(scene.grid, _roughness(image, scene.grid, regularizer))
    if scene.ring:
        return replace(scene, penalty=penalty, regularizer="other")
    # Where the scene ends it is mirrored, so that an edge is not rough in itself.
    double = tuple(2 * n for n in scene.domain)
    mirrored = _penalty(double, _roughness(image, double, regularizer))
    for axis in range(ndim - 1):
        mirrored = 0.5 * (mirrored + xp.roll(xp.flip(mirrored, axis=axis), 1, axis=axis))
    transfer = complex_like(mirrored)

    def rough(x: Array) -> Array:
        for axis in range(-ndim, 0):
            x = xp.concat([x, xp.flip(x, axis=axis)], axis=axis)
        return _fft.filter(x, transfer, double, scene.domain)

    return replace(
        scene, penalty=mirrored if scene.boundary == "reflect" else penalty, rough=rough, regularizer="other"
    )


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


def _roughness(image: Array, grid: tuple[int, ...], regularizer: str | Array | Convolution) -> Rough:
    """Real arrays on the half spectrum of a grid, or of size one along axes of it, whose sum is ``|L|``."""
    xp = namespace(image)
    if isinstance(regularizer, Convolution):
        if regularizer.grid != grid or regularizer.psf is not None:
            raise ValueError(
                f"regularizer is a {regularizer!r} but one of an OTF on the grid {grid} is wanted; pass an array, "
                f"or Convolution.from_otf(otf, {grid}) with boundary='periodic'"
            )
        return (xp.abs(regularizer.transfer_like(image)),)
    if not isinstance(regularizer, str):
        kernel = like(regularizer, image, "regularizer")
        if kernel.ndim != len(grid):
            raise ValueError(f"regularizer has {kernel.ndim} dimensions but the psf has {len(grid)}; pass as many")
        return (xp.abs(psf_to_otf(kernel, grid)),)
    if choice(regularizer, REGULARIZERS, "regularizer") == "identity":
        return (xp.ones((1,) * len(grid), dtype=image.dtype, device=image.device),)
    lines = []
    for axis, n in enumerate(grid):
        bins = n if axis < len(grid) - 1 else n // 2 + 1
        shape = [1] * len(grid)
        shape[axis] = bins
        # The second difference [1, -2, 1] has the transfer function 2 cos(w) - 2 on its axis.
        line = 2.0 - 2.0 * np.cos(2.0 * math.pi * np.arange(bins) / n)
        lines.append(xp.reshape(xp.asarray(line, dtype=image.dtype, device=image.device), tuple(shape)))
    return tuple(lines)


def _penalty(grid: tuple[int, ...], rough: Rough) -> Array:
    """``|L|^2`` as one array on the half spectrum."""
    xp = namespace(rough[0])
    return xp.broadcast_to(sum(rough[1:], rough[0]) ** 2, (*grid[:-1], grid[-1] // 2 + 1))


def _chosen_balance(problem: Periodic, rough: Rough) -> float:
    """The balance from the (extended) image."""
    image, grid = problem.image, problem.grid
    # A batch of one may have leading axes.
    power = namespace(image).reshape(_power(_fft.transform(image, grid)), problem.otf.shape)
    penalty, curvature = _penalty(grid, rough), None
    if math.prod(rough[0].shape) == 1 and len(rough) == 1:
        curvature = _penalty(grid, _roughness(image, grid, "laplacian"))
    return chosen_balance(Spectrum.of(power, _power(problem.otf), penalty, _multiplicity(grid), curvature))


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
    problem = Periodic.of(image, psf, boundary, seam=SEAM)
    rough = _roughness(image, problem.grid, regularizer)
    if isinstance(burn_in, bool) or not isinstance(burn_in, (int, np.integer)) or burn_in < 0:
        raise ValueError(f"burn_in is {shown(burn_in)}; an integer of at least 0 is wanted")
    chains: tuple[list[Any], list[Any]] = ([], [])
    if problem.unknown:
        problem = replace(problem, image=_begun(image, psf, regularizer))
    samples = _gibbs(problem, _penalty(problem.grid, rough), generator(rng), burn_in, chains)
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
    scene, xp = _scene(image, psf, "free", regularizer), namespace(image)
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
