"""Photon counts: Richardson-Lucy, its accelerations, and Richardson-Lucy with total variation.

All variants look for the scene ``x >= 0`` that makes the counts ``d`` most likely under ``d ~ Poisson(A x + b)``, that
is, that minimises ``sum(w (A x + b - d log(A x + b))) + tv_weight TV(x)``. With the gradient ``g = A^H w (1 - d / (A x
+ b))`` and the sensitivity ``s = A^H w``, Richardson and Lucy's step ``x A^H(w d / (A x + b)) / s`` is ``x - x g / s``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._array import Array, channels_to_batch, choice, floating, namespace, number, shown
from .._iterate import Callback, iterate
from ..convolution import Convolution, operator
from ._back_projector import WienerButterworth, unmatched, unmatched_uphill
from ._counts import checked_counts, first_estimate, require_nonnegative_psf
from ._likelihood import PoissonLikelihood, Steps, conjugate, extrapolated
from .stopping import MOST, Stopping, Watch, checked_stopping

ACCELERATIONS = ("conjugate", "biggs-andrews", "heavy-ball")
BACK_PROJECTORS = ("matched", "wiener-butterworth")


def richardson_lucy(
    image: Array,
    psf: Array | Convolution,
    *,
    num_iter: int | None = 10,
    stopping: str | Stopping | None = None,
    boundary: str | Sequence[str] = "free",
    accelerate: bool | str = True,
    background: float | Array = 0.0,
    weights: Array | None = None,
    tv_weight: float = 0.0,
    damping: float = 0.0,
    readout_noise: float | Array = 0.0,
    back_projector: str | WienerButterworth = "matched",
    initial: Array | None = None,
    steps: Sequence[Sequence[float]] | None = None,
    tol: float = 0.0,
    callback: Callback | None = None,
    channel_axis: int | None = None,
) -> Array:
    """Restore photon counts by Richardson-Lucy iteration: maximum likelihood under Poisson noise.

    Parameters
    ----------
    image : array, shape (..., *frame)
        Photon counts, or anything proportional to them; not negative. Leading axes are a batch.
    psf : array or Convolution
        Point spread function with as many axes as `frame`, not negative; or a ready operator.
    num_iter : int, optional
        Iterations; the more, the sharper and the noisier. Ten accelerated ones do the work of seventy (see Notes).
        None: chosen from the data, at about three times the cost of each (more where the light falls on few samples).
    stopping : {"risk", "splitting", "consensus", "discrepancy"} or Stopping, optional
        How they are chosen (see `Stopping`): "risk" if `num_iter` is None. With `num_iter` given as well, that is the
        most. The result is the estimate of the iteration that the callback last saw as ``chosen["num_iter"]``; of data
        without noise, where it no longer moves (``chosen["settled"]``) or after 1000.
    boundary : {"free", "periodic", "zero", "reflect"} or sequence of these
        What the scene does past the frame, on all axes or each; "free", unknown, is right for nearly every camera. See
        `Convolution`.
    accelerate : bool or {"conjugate", "biggs-andrews", "heavy-ball"}
        True means "conjugate"; False gives the iteration of the papers. An unmatched back-projector is an acceleration
        itself: with it True means a line search that lets the likelihood only rise, False again the paper's iteration.
    background : float or array
        Counts that do not come through the blur (offset, dark current, diffuse light), in the units of `image`. They
        are part of the model and not of the result.
    weights : array, optional
        Trust in each pixel, broadcast against `image`: 0 for dead, hot or saturated pixels (which may then hold
        anything, NaN too), 1 for good ones.
    tv_weight : float
        Weight of the total variation of the scene against the log-likelihood of the counts, without unit. The fewer
        photons the larger: about 0.01 at 30 photons a pixel, 0.003 at 300, 0.0005 at 3000. It is then safe to iterate
        on; too much flattens the image.
    damping : float
        Standard deviations of the noise: where the blurred estimate deviates from a pixel by less, that pixel is not
        fitted further (White). About 3 keeps the ground between stars smooth.
    readout_noise : float or array
        Standard deviation of the Gaussian noise of the readout, in counts, for all pixels or each. Samples may then be
        negative, as they are where no light came; 0 by default.
    back_projector : {"matched", "wiener-butterworth"} or WienerButterworth
        What takes the misfit back to the scene. "matched" is the transpose of the blur, which the likelihood demands;
        the other undoes most of the blur in one to three iterations, and is then at its end (see Notes).
    initial : array, optional
        Where to start, of the shape of `image` or of the operator's domain; by default flat.
    steps : sequence of pairs of float, optional
        The steps that conjugate acceleration takes: of each iteration, how much of the last direction is kept, and how
        far to go. By default measured on the whole image, and told to the callback as ``chosen["steps"]`` (of a single
        image). Given to the parts of a larger image they make these agree where they overlap.
    tol : float
        Stop when an iteration changes the estimate by less than this, relative to its norm.
    callback : callable, optional
        Called with an `Iteration` after each; return True to stop.
    channel_axis : int, optional
        Axis of colours, which are restored one by one.

    Returns
    -------
    array
        The restored scene on the frame: the shape, kind and floating dtype of `image`, in its units per unit of the
        PSF's sum. Nothing is clipped or rescaled. With an operator of stride ``s`` it is ``s`` times finer.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.

    Notes
    -----
    A flat scene stays flat up to the frame. Without background and prior the flux is kept: the blurred estimate has as
    many (weighted) counts as the image. Voxels past the frame that it hardly sees keep nearly their initial value.

    Acceleration "conjugate" follows Kaufman: directions of Richardson-Lucy made conjugate, bent so that no voxel turns
    negative, with a line search that costs no transform since blurring is linear; the likelihood rises monotonically.
    It reaches the likelihood of 100 plain iterations in 11 to 20. "biggs-andrews" and "heavy-ball" extrapolate the
    last step. Every iteration costs one `forward` and one `adjoint`.

    `damping` flattens the likelihood where a pixel fits: with ``T = damping``, the model ``m`` of a pixel and
    ``U = 2 (m - d - d log(m / d)) / T^2``, its pull is multiplied by ``U^9 (10 - 9 U)`` while ``U < 1``. What is
    minimised stays convex, and every acceleration works with it; the flux is kept only roughly. It is made for stars
    on smooth ground: structure that is nowhere much stronger than the noise of single pixels is not restored.

    `readout_noise` adds its variance to counts and model (Snyder), as a Gaussian of that variance is nearly a Poisson
    variable less its mean. Counts below minus the variance, which only a noise of less than a few counts gives, are
    taken for that; it raises dark pixels by at most 0.1 counts. `image` must be in photoelectrons: divide by the gain.

    The unmatched back-projector (Guo et al.) filters the transpose by ``1 / (|H|^2 + alpha)`` up to the resolution.
    Measured (``tests/benchmarks/back_projectors.py``) on hollow spheres and bars in 3-D, 100 to 10000 photons at the
    peak: three of the paper's iterations are worth 19 to over 30 plain ones in PSNR, or 6 to 10 conjugate ones; five
    are worse than three, ten worse than one. With the line search it goes on rising, but three are then worth 10 to
    15 plain ones. On a dense plane under noise its first iteration is 5 to 9 dB below the best plain one, since it
    fits the noise at all frequencies that it passes. Its best was never above the best conjugate iteration.

    Without a prior the limit of many iterations is not the truth but noise: sharp points on dark ground. Stop before,
    or use `tv_weight`. With a PSF that is too wide, edges overshoot, and no number of iterations cures it.

    References
    ----------
    W. H. Richardson, J. Opt. Soc. Am. 62, 55 (1972), doi:10.1364/JOSA.62.000055.
    L. B. Lucy, Astron. J. 79, 745 (1974), doi:10.1086/111605.
    L. Kaufman, IEEE Trans. Med. Imaging 12, 200 (1993), doi:10.1109/42.232249.
    D. S. C. Biggs and M. Andrews, Appl. Opt. 36, 1766 (1997), doi:10.1364/AO.36.001766.
    N. Dey et al., Microsc. Res. Tech. 69, 260 (2006), doi:10.1002/jemt.20294.
    M. Bertero and P. Boccacci, Astron. Astrophys. 437, 369 (2005), doi:10.1051/0004-6361:20052717 (the frame's edge).
    R. L. White, Proc. SPIE 2198, 1342 (1994), doi:10.1117/12.176819 (damping).
    D. L. Snyder, A. M. Hammoud and R. L. White, J. Opt. Soc. Am. A 10, 1014 (1993), doi:10.1364/JOSAA.10.001014
    (readout noise).
    M. Guo et al., Nat. Biotechnol. 38, 1337 (2020), doi:10.1038/s41587-020-0560-x (unmatched back-projector).
    H. Wang and P. C. Miller, IEEE Trans. Image Process. 23, 848 (2014), doi:10.1109/TIP.2013.2291324 (heavy ball).

    Examples
    --------
    >>> import numpy as np
    >>> import sigdeconv
    >>> scene = np.full(64, 5.0)
    >>> scene[30] += 200
    >>> scene[34] += 100
    >>> psf = sigdeconv.psf.gaussian(15, sigma=2.0)
    >>> counts = np.random.default_rng(0).poisson(sigdeconv.Convolution(psf, 64, boundary="reflect")(scene))
    >>> restored = sigdeconv.richardson_lucy(counts, psf, num_iter=50)
    >>> int(counts.max()), float(round(restored.max(), -1)), int(np.argmax(restored))   # sharper
    (60, 160.0, 30)
    >>> noisy = counts + np.random.default_rng(1).normal(0, 3, 64)        # a camera that adds noise of three electrons
    >>> damped = sigdeconv.richardson_lucy(noisy, psf, num_iter=50, damping=3.0, readout_noise=3.0)
    >>> undamped = sigdeconv.richardson_lucy(noisy, psf, num_iter=50, readout_noise=3.0)
    >>> int(np.argmax(damped)), bool(damped[:20].std() < 0.6 * undamped[:20].std())    # the ground is smoother
    (30, True)
    """
    rule = _rule(accelerate, back_projector)
    wanted = checked_stopping(stopping, num_iter)
    image, channels_back = channels_to_batch(floating(image, "image", finite=False), channel_axis)
    blur = operator(psf, image, boundary)
    require_nonnegative_psf(blur)
    xp = namespace(image)
    counts = checked_counts(
        image, background=background, weights=weights, readout_noise=readout_noise, channel_axis=channel_axis
    )
    tv_weight = number(tv_weight, "tv_weight", minimum=0.0, maximum=1e6)
    damping = number(damping, "damping", minimum=0.0, maximum=1e6)
    if rule == "unmatched" and tv_weight:
        raise ValueError(
            f"tv_weight is {tv_weight:g}, which weighs a prior against the likelihood, but an unmatched back_projector "
            "does not lead to the likeliest scene; pass back_projector='matched', or damping in place of tv_weight"
        )
    given = _given_steps(steps, rule)
    readout = not (isinstance(readout_noise, (int, float)) and readout_noise == 0)
    watch = None if wanted is None else Watch(wanted, blur, counts, readout=readout)
    told: dict[str, Any] = {} if watch is None else watch.chosen
    problem = PoissonLikelihood.of(blur, *(counts if watch is None else watch.counts), tv_weight, damping)
    if initial is None:
        x = problem.flat()
    else:
        x = first_estimate(initial, image, blur, channel_axis)
        x = x if watch is None else watch.first(x)
    if rule == "unmatched":
        back = _back_projector(back_projector).of(blur)
        climb = unmatched_uphill(problem, x, back) if accelerate else unmatched(problem, x, back)
    else:
        listened = told if callback is not None else None  # to tell steps costs a GPU a pause in each iteration
        climb = conjugate(problem, x, given, listened) if rule == "conjugate" else extrapolated(problem, x, rule=rule)
    del x  # the iteration's own
    frame = (..., *blur.frame)
    result = iterate(
        climb if watch is None else watch.steps(climb),
        num_iter=MOST if num_iter is None else num_iter,
        tol=tol,
        callback=callback,
        ndim=blur.ndim,
        view=lambda x: x[frame],
        back=channels_back,
        chosen=told,
    )
    if watch is not None:
        result = channels_back(watch.best[frame])
    del climb  # and its buffers, before there is one more array
    if blur.domain_shape == blur.shape:
        return result
    return xp.asarray(result, copy=True)  # not a view that keeps the whole domain alive


def _given_steps(steps: Sequence[Sequence[float]] | None, rule: str) -> Steps | None:
    """`steps` as pairs of numbers, if it makes sense with the acceleration."""
    if steps is None:
        return None
    if rule != "conjugate":
        raise ValueError("steps are given but accelerate is not 'conjugate', which takes them; pass accelerate=True")
    try:
        pairs = tuple((float(beta), float(t)) for beta, t in steps)
    except (TypeError, ValueError):
        pairs = ()
    if not pairs or not all(0 <= beta < math.inf and 0 <= t < math.inf for beta, t in pairs):
        raise ValueError(f"steps is {shown(steps)}; pass pairs of numbers, as a callback finds them in chosen['steps']")
    return pairs


def _rule(accelerate: bool | str, back_projector: str | WienerButterworth) -> str:
    """The name of an acceleration, "none" included; or "unmatched", which is one itself."""
    if not isinstance(accelerate, (bool, np.bool_)) and not (
        isinstance(accelerate, str) and accelerate in ACCELERATIONS
    ):
        raise ValueError(f"accelerate is {shown(accelerate)}; pass True, False or one of {', '.join(ACCELERATIONS)}")
    if not isinstance(back_projector, WienerButterworth):
        choice(back_projector, BACK_PROJECTORS, "back_projector")
    if not (isinstance(back_projector, str) and back_projector == "matched"):
        if isinstance(accelerate, str):
            raise ValueError(
                f"accelerate is {accelerate!r}, which needs back_projector='matched'; an unmatched one is an "
                "acceleration itself: leave accelerate out"
            )
        return "unmatched"
    if isinstance(accelerate, str):
        return accelerate
    return "conjugate" if accelerate else "none"


def _back_projector(value: str | WienerButterworth) -> WienerButterworth:
    return value if isinstance(value, WienerButterworth) else WienerButterworth()
