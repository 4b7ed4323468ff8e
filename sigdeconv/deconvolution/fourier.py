"""One division for each frequency: the inverse filter, and Wiener's with its balance given or found."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _fft
from .._array import (
    Array,
    channels_to_batch,
    choice,
    floating,
    namespace,
    number,
    scalar,
    to_numpy,
)
from .._iterate import Callback, Iteration
from .._parallel import total
from ..convolution import BOUNDARIES, Convolution, psf_for, sole_boundary
from ._krylov import after, conjugate_gradients
from ._past_frame import ENOUGH, PastFrame
from ._periodic import Periodic, continued
from ._quadratic import UNSEEN, Quadratic, Scene, complex_like
from ._roughness import Rough, multiplicity, penalty_of, power_of, roughness, scene_under, wiener_filter
from ._varying import require_one_psf
from ._weight import around, balanced, from_spectrum, least_resolved
from .selection import Spectrum, chosen_balance

HEAVIEST = 1e12  # balance: only a constant passes
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
    require_one_psf(psf, "inverse_filter")
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

    The balance is chosen by generalised cross-validation, as long as this stays near (0.7 to 2 times) the balance of
    least expected error: that under the most likely noise and power spectrum of the scene, which falls with some power
    of the frequency. With a dark boundary, trial restorations tell the balance. Measured on two photographs, 7 PSFs and
    two noises it lost 0.1 dB to the best balance on average (both regularisers), 1.7 at worst; on 75 signals behind
    echoes, wavelets and a Gaussian, from white noise to a melody, 0.2 dB on average and 6 at worst.

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
    require_one_psf(psf, "wiener")
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
    boundary = sole_boundary(psf) if isinstance(psf, Convolution) else choice(boundary, BOUNDARIES, "boundary")
    if boundary == "periodic" or (boundary == "reflect" and _even(psf)):
        problem = Periodic.of(image, psf, boundary)
        rough = roughness(image, problem.grid, regularizer)
        if balance is None:
            balance = _chosen_balance(problem, rough)
        return problem.filtered(wiener_filter(problem.otf, rough, balance)), balance
    if isinstance(psf, Convolution) and set(psf.stride) != {1}:
        raise ValueError(f"psf is a Convolution of stride {psf.stride}; wiener needs stride 1, use tikhonov")
    scene = scene_under(image, psf, boundary, regularizer)
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
    transfer = wiener_filter(scene.otf, (scene.penalty**0.5,), balance)
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
    x = scene.filtered(image, wiener_filter(scene.otf, (scene.penalty**0.5,), balance))
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


def _chosen_balance(problem: Periodic, rough: Rough) -> float:
    """The balance from the (extended) image."""
    image, grid = problem.image, problem.grid
    # A batch of one may have leading axes.
    power = namespace(image).reshape(power_of(_fft.transform(image, grid)), problem.otf.shape)
    penalty, curvature = penalty_of(grid, rough), None
    if math.prod(rough[0].shape) == 1 and len(rough) == 1:
        curvature = penalty_of(grid, roughness(image, grid, "laplacian"))
    return chosen_balance(Spectrum.of(power, power_of(problem.otf), penalty, multiplicity(grid), curvature))
