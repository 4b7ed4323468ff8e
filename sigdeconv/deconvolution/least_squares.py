"""Gaussian noise and little more: least squares with a quadratic penalty, and the iterations that stop before it.

`tikhonov` finds a minimum; `landweber` walks towards one and is stopped in time; `van_cittert` is the oldest of all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .._array import Array, channels_to_batch, choice, floating, namespace, number, require_moderate, shown
from .._iterate import Callback, checked_num_iter, iterate
from ..convolution import Convolution, along_axes, operator
from ..varying import VaryingConvolution
from ._edge_restoration import checked_bounds, trust
from ._krylov import after, conjugate_gradients, projected_newton
from ._past_frame import PastFrame
from ._quadratic import Quadratic, Scene, complex_like
from ._relaxation import (
    bearable,
    flat,
    gradient_steps,
    growth,
    power_bound,
    residual_steps,
    until_farther,
    until_fitted,
)
from ._varying import with_boundary
from ._weight import balanced

HEAVIEST = 1e12  # weight: only a constant passes
MOST = 2000  # iterations where a rule stops them: none of the photographs that were tried needed half as many
FEWEST = 5  # iterations that van_cittert must be able to make before a rule may choose their number
AIM = 1e-3  # relative change at which the estimate is done that tells when to stop: stopping is no finer
RULES = ("nearest", "discrepancy")
BEGINNING = 8  # conjugate gradients without bounds before those with

Solution = tuple[Iterator[Array], Callable[[Array], Array]]  #: the steps, and what shows the frame of one


def tikhonov(
    image: Array,
    psf: Array | Convolution,
    *,
    weight: float | None = None,
    regularizer: str = "laplacian",
    sigma: float | None = None,
    weights: Array | None = None,
    bounds: tuple[float | None, float | None] | None = None,
    boundary: str = "free",
    num_iter: int = 100,
    tol: float = 1e-4,
    callback: Callback | None = None,
    channel_axis: int | None = None,
) -> Array:
    """Restore an image by least squares with a quadratic penalty on roughness, for a frame that ends where it ends.

    Parameters
    ----------
    image : array, shape (..., *frame)
        Blurred and noisy image. Leading axes are a batch.
    psf : array or Convolution
        Point spread function with as many axes as `frame`, or a ready operator, which may have a stride: the result is
        then on the finer grid.
    weight : float, optional
        Of the penalty: noise power over power of the penalised scene, without unit if the PSF has the sum 1. 0: none;
        then only `bounds` and a small `num_iter` keep the noise at bay. None: chosen for each image (of a batch, of
        colours) from the data.
    regularizer : {"laplacian", "gradient", "identity"}
        What is penalised: curvature, slope, or brightness itself.
    sigma : float, optional
        Standard deviation of the noise, in units of `image`, where it is known (of a pixel of the largest weight): the
        choice of `weight` then minimises Stein's estimate of the error instead of cross-validation.
    weights : array, optional
        Trust in each pixel, broadcast against `image`: 0 for bad pixels (which may then hold anything, NaN too), and in
        proportion to 1 / variance where the noise varies.
    bounds : (float or None, float or None), optional
        What no sample of the scene falls below or exceeds; ``(0, None)`` is non-negative least squares.
    boundary : {"free", "periodic", "zero", "reflect"}
        What the scene does past the frame; "free", unknown, is right for nearly every camera. See `Convolution`.
    num_iter : int
        Iterations at most: conjugate gradients, or with bounds Newton steps of a dozen of these.
    tol : float
        Stop when an iteration changes the estimate by less than this, relative to its norm.
    callback : callable, optional
        Called with an `Iteration` after each; its ``chosen["weight"]`` is what was chosen (of a batch, a tuple). Return
        True to stop.
    channel_axis : int, optional
        Axis of colours, which are restored one by one.

    Returns
    -------
    array
        The restored scene on the frame: the shape, kind and floating dtype of `image`, in its units per unit of the
        PSF's sum. Nothing is clipped but to `bounds`.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.

    Notes
    -----
    The minimiser of ``1/2 |W^(1/2) (A x - y)|^2 + weight/2 |L x|^2``. With a periodic boundary and no bad pixel it is
    Wiener's filter. Past a free frame the data are unknowns of a linear system whose solution makes one division per
    frequency right (Reeves); conjugate gradients solve it with one filter each, since the strips past the frame are
    nearly inverted beforehand (a small matrix for each frequency along them). Measured: with a Gaussian or box of 9 to
    25 samples an error of 1e-3 is reached in 1 to 5 iterations and 1e-6 in 11 to 20, with kernels of camera shake 1e-3
    in 3 to 50. On the ring on which this is computed the ends of the scene meet 4 samples beyond all that is seen.
    float32 resolves weights down to about 1e-6; for less noise than that pass float64.

    Bounds are met exactly, at the optimum of the bounded problem, by projected Newton steps (Bertsekas). It is what
    ICTM and BVLS compute, which bound least squares as well.

    The weight is chosen by generalised cross-validation, between 0.7 and 2 times that of least expected error under
    the likeliest noise and power law of the scene; with `sigma` by Stein's estimate. On three photographs with six
    blurs and noise of 0.5, 2 and 8 grey levels it lost 0.02 dB to the best weight on average, 0.22 at worst (gradient:
    0.01 and 0.15). A penalty on brightness gets the weight that
    comes nearest to the result under one on curvature. With a stride, bad pixels or a dark boundary the choice takes
    about ten trial restorations.

    It is a linear method (without bounds): ripples along edges remain, and noise of the smooth parts of a photograph is
    paid for by its details. `total_variation` does better by about one dB.

    References
    ----------
    A. N. Tikhonov, Soviet Math. Dokl. 4, 1035 (1963).
    S. J. Reeves, IEEE Trans. Image Process. 14, 1448 (2005), doi:10.1109/TIP.2005.854474 (the frame's edge).
    D. P. Bertsekas, SIAM J. Control Optim. 20, 221 (1982), doi:10.1137/0320018 (bounds).
    G. H. Golub, M. Heath and G. Wahba, Technometrics 21, 215 (1979), doi:10.1080/00401706.1979.10489751 (the weight).
    C. M. Stein, Ann. Stat. 9, 1135 (1981), doi:10.1214/aos/1176345632 (the weight where the noise is known).
    D. Sage et al., Methods 115, 28 (2017), doi:10.1016/j.ymeth.2016.12.015 (ICTM, BVLS and others compared).

    Examples
    --------
    >>> import numpy as np
    >>> import sigdeconv
    >>> scene = np.zeros(96)
    >>> scene[30], scene[40:60] = 30.0, 10.0
    >>> psf = sigdeconv.psf.gaussian(13, sigma=2.0)
    >>> y = sigdeconv.Convolution(psf, 96, boundary="reflect")(scene) + np.random.default_rng(0).normal(0, 0.1, 96)
    >>> smooth = tikhonov(y, psf)
    >>> light = tikhonov(y, psf, bounds=(0, None))           # light is not negative: the spike gets narrower
    >>> [float(round(np.mean((x - scene) ** 2), 1)) for x in (y, smooth, light)]
    [8.0, 6.0, 3.8]
    >>> bad = y.copy()
    >>> bad[50] = np.nan
    >>> patched = tikhonov(bad, psf, weights=np.arange(96) != 50)
    >>> bool(abs(patched[50] - smooth[50]) < 1)
    True
    """
    image, back, pixels = _prepared(image, weights, channel_axis)
    xp = namespace(image)
    if weight is not None:
        weight = number(weight, "weight", minimum=0.0, maximum=HEAVIEST)
    limits = checked_bounds(bounds)
    sigma = None if sigma is None else number(sigma, "sigma", minimum=0.0)
    scene = Scene.of(image, psf, boundary, regularizer)
    most = 1.0
    if pixels is not None:
        # A trust of at most one; the penalty shrinks with it, so that the minimum stays.
        most = float(xp.max(pixels))
        pixels = pixels / most
    batch = tuple(image.shape[: image.ndim - scene.ndim])
    chosen: dict[str, Any] = {}
    if weight is not None and (limits is None or not batch):
        items = [_solution(Quadratic(scene, image, pixels, weight / most), limits)]
        batch = ()
    else:
        problems, found = [], []
        for index in np.ndindex(*batch):
            y, part = image[(*index, ...)], None if pixels is None else pixels[(*index, ...)]
            own = balanced(scene, y, part, sigma, psf) if weight is None else weight / most
            found.append(own * most)
            problems.append(Quadratic(scene, y, part, own))
        items = [_solution(problem, limits) for problem in problems]
        if weight is None:
            chosen["weight"] = found[0] if math.prod(batch) == 1 else tuple(found)
    steps, view = _together(items, batch, xp)
    return iterate(
        steps,
        num_iter=num_iter,
        tol=tol,
        callback=callback,
        ndim=scene.ndim,
        view=view,
        back=lambda x: xp.asarray(back(x), copy=True),
        chosen=chosen,
    )


def _prepared(
    image: Array, weights: Array | None, channel_axis: int | None
) -> tuple[Array, Callable[[Array], Array], Array | None]:
    """The image with its colours in front and zeros at bad pixels, the way back, and the trust."""
    image, back = channels_to_batch(floating(image, "image", finite=False), channel_axis)
    if weights is not None:
        xp = namespace(image)
        weights = trust(weights, image, channel_axis)
        image = xp.where(weights > 0, image, xp.zeros_like(image))
    require_moderate(image, "image" if weights is None else "image (where weights are not 0)")
    return image, back, weights


def _solution(problem: Quadratic, limits: tuple[float, float] | None) -> Solution:
    """The way to the minimum of one problem (or of a batch, without bounds)."""
    scene = problem.scene
    past = PastFrame(problem) if scene.ring and max(scene.stride) == 1 and problem.weight > 0 else None
    if past is not None and limits is None and not scene.varies:
        return past.steps(), past.estimate
    target = problem.target()
    if past is not None and limits is None:
        # The answer and the near inverse are those of the mean PSF.
        x = past.scene(past.completed(past.first(), BEGINNING))
        r = target - problem.curvature(x)
        steps = conjugate_gradients(x, r, problem.curvature, past.near_curvature_inverse, scene.ndim)
    elif past is None:
        transfer = complex_like(problem.inverse())

        def near_inverse(r: Array) -> Array:
            return scene.filtered(r, transfer)

        x = problem.flat()
        r = target - problem.curvature(x)
        steps = conjugate_gradients(x, r, problem.curvature, near_inverse, scene.ndim)
    if limits is not None:
        if past is not None:
            x, near_inverse = past.scene(past.completed(past.first(), BEGINNING)), past.near_curvature_inverse
        else:
            x = after(steps, BEGINNING)
        steps = projected_newton(x, target, problem.curvature, near_inverse, *limits)
    return steps, lambda x: x[(..., *scene.frame)]


def _together(items: list[Solution], batch: tuple[int, ...], xp: Any) -> Solution:
    """The steps of several items as those of one batch; what has ended waits for the others."""
    if len(items) == 1 and not batch:
        return items[0]

    def steps() -> Iterator[list[Array]]:
        sources, latest = [item[0] for item in items], [None] * len(items)
        running = True
        while running:
            running = False
            for i, source in enumerate(sources):
                following = next(source, None)
                if following is not None:
                    latest[i], running = following, True
            if running:
                yield latest

    def view(latest: list[Array]) -> Array:
        parts = [item[1](x) for item, x in zip(items, latest, strict=True)]
        whole = xp.stack(parts)
        return xp.reshape(whole, (*batch, *whole.shape[1:]))

    return steps(), view


def landweber(
    image: Array,
    psf: Array | Convolution,
    *,
    num_iter: int | str | None = None,
    step: float | None = None,
    accelerate: bool = True,
    sigma: float | None = None,
    weights: Array | None = None,
    bounds: tuple[float | None, float | None] | None = None,
    boundary: str | Sequence[str] = "free",
    tol: float = 0.0,
    callback: Callback | None = None,
    channel_axis: int | None = None,
) -> Array:
    """Restore by steps downhill on the squared residual, stopped before they fit the noise: Landweber's iteration.

    Parameters
    ----------
    image : array, shape (..., *frame)
        Blurred and noisy image. Leading axes are a batch.
    psf : array or Convolution
        Point spread function with as many axes as `frame`, or a ready operator, which may have a stride: the result is
        then on the finer grid.
    num_iter : int or {"nearest", "discrepancy"}, optional
        Iterations; the more, the sharper and the noisier. None, or "nearest": as many as come nearest to what
        `tikhonov` restores with a weight of its choice. "discrepancy": until the mean squared residual is the variance
        of the noise (Morozov). Both stop each image of a batch by itself, after 2000 iterations at most.
    step : float, optional
        Length of a step; less than ``2 / |A|^2`` (with `accelerate`, at most ``1 / |A|^2``). None: ``1 / |A|^2`` with
        a bound of the norm that is computed for this PSF, boundary, stride and weights.
    accelerate : bool
        Nesterov's extrapolation: as sharp after 30 iterations as without it after some 150.
    sigma : float, optional
        Standard deviation of the noise, in units of `image`, for the rules that stop; estimated where it is not given
        ("discrepancy" with `weights` asks for it).
    weights : array, optional
        Trust in each pixel, broadcast against `image`: 0 for bad pixels (which may then hold anything, NaN too).
    bounds : (float or None, float or None), optional
        What no sample of the scene falls below or exceeds: projected Landweber.
    boundary : {"free", "periodic", "zero", "reflect"} or sequence of these
        What the scene does past the frame, on all axes or each; "free", unknown, is right for nearly every camera. See
        `Convolution`.
    tol : float
        Stop when an iteration changes the estimate by less than this, relative to its norm.
    callback : callable, optional
        Called with an `Iteration` after each; its `chosen` holds the weight of the restoration that tells when to stop,
        or the noise level that was estimated. Return True to stop.
    channel_axis : int, optional
        Axis of colours, which are restored one by one.

    Returns
    -------
    array
        The restored scene on the frame: the shape, kind and floating dtype of `image`, in its units per unit of the
        PSF's sum.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or `step` so long that the iteration would diverge; the message names it and
        the remedy.

    Notes
    -----
    ``x + step A^T W (y - A x)``, clipped to `bounds`, from the flat scene of the image's mean; a flat scene stays flat
    up to the frame. It converges to the least-squares solution, which is useless under noise: the number of iterations
    is the regularisation, and the error falls first and rises later.

    The rule "nearest" lost 0.015 dB on average to the best stop, and 0.13 at worst, on three photographs with six
    blurs and noise of 0.5, 2 and 8 grey levels (with bounds 0.02 and 0.18); it stops where the squared error that
    `tikhonov`'s model of the scene expects is least. The principle of discrepancy stops too early, since a residual
    that follows the noise a little is smaller than the noise: it lost 0.30 dB on average and 1.45 at worst. `tikhonov`
    itself was as good as the best stop in nearly all of these cases, and better by 0.9 dB on average.

    References
    ----------
    L. Landweber, Am. J. Math. 73, 615 (1951), doi:10.2307/2372313.
    A. Neubauer, J. Inverse Ill-Posed Probl. 25, 381 (2017), doi:10.1515/jiip-2016-0060 (accelerated).
    V. A. Morozov, Soviet Math. Dokl. 7, 414 (1966) (discrepancy).

    Examples
    --------
    >>> import numpy as np
    >>> import sigdeconv
    >>> scene = np.repeat([1.0, 4.0, 2.0, 3.0], 32)
    >>> psf = sigdeconv.psf.gaussian(21, sigma=3.0)
    >>> y = sigdeconv.Convolution(psf, 128, boundary="reflect")(scene) + np.random.default_rng(0).normal(0, 0.02, 128)
    >>> report = []
    >>> restored = landweber(y, psf, callback=report.append)
    >>> float(np.mean((restored - scene) ** 2)) < 0.7 * float(np.mean((y - scene) ** 2))
    True
    >>> longer = landweber(y, psf, num_iter=40 * report[-1].index)           # fits the noise
    >>> float(np.mean((longer - scene) ** 2)) > float(np.mean((restored - scene) ** 2))
    True
    """
    image, back, pixels = _prepared(image, weights, channel_axis)
    limits = checked_bounds(bounds)
    rule = _rule(num_iter)
    sigma = None if sigma is None else number(sigma, "sigma", minimum=0.0)
    if not isinstance(accelerate, (bool, np.bool_)):
        raise TypeError(f"accelerate is {shown(accelerate)}; True or False is wanted")
    blur = operator(psf, image, boundary, signed=True)
    power = power_bound(blur) * (1.0 if pixels is None else float(namespace(image).max(pixels)))
    step = _checked_step(step, power, accelerate)
    x = flat(blur, image, pixels)
    if limits is not None:
        x = namespace(image).clip(x, *limits)
    steps = gradient_steps(blur, image, pixels, x, step, limits, accelerate=bool(accelerate))
    return _stopped(steps, blur, blur, image, pixels, limits, rule, sigma, MOST, tol, callback, back)


def van_cittert(
    image: Array,
    psf: Array | Convolution,
    *,
    num_iter: int | str | None = None,
    step: float | None = None,
    sigma: float | None = None,
    bounds: tuple[float | None, float | None] | None = None,
    boundary: str | Sequence[str] = "free",
    tol: float = 0.0,
    callback: Callback | None = None,
    channel_axis: int | None = None,
) -> Array:
    """Sharpen by adding what blurring takes away, over and over: Van Cittert's iteration, the oldest deconvolution.

    Parameters
    ----------
    image : array, shape (..., *frame)
        Blurred image with little noise. Leading axes are a batch.
    psf : array or Convolution
        Point spread function with as many axes as `frame`, or a ready operator of stride 1. Its OTF should have no
        negative real part: see Notes.
    num_iter : int or {"nearest", "discrepancy"}, optional
        Iterations. None, or "nearest": as many as come nearest to what `tikhonov` restores with a weight of its choice.
        "discrepancy": until the mean squared residual is the variance of the noise, which is mostly much too late here.
    step : float, optional
        Share of the residual that is added; by default 1 over the sum of the PSF, as in the paper.
    sigma : float, optional
        Standard deviation of the noise, in units of `image`, for the rules that stop; estimated where it is not given.
    bounds : (float or None, float or None), optional
        What no sample falls below or exceeds, as in Jansson's variant.
    boundary : {"free", "periodic", "zero", "reflect"} or sequence of these
        What the scene does past the frame, on all axes or each. Residual and scene must have the same samples, so that
        nothing can be unknown past the frame: with "free" the scene, and with it each correction, is continued by its
        mirror image. (The rule that stops believes in a free frame then.)
    tol : float
        Stop when an iteration changes the estimate by less than this, relative to its norm.
    callback : callable, optional
        Called with an `Iteration` after each; its `chosen` is as in `landweber`. Return True to stop.
    channel_axis : int, optional
        Axis of colours, which are restored one by one.

    Returns
    -------
    array
        Of the shape, kind and floating dtype of `image`, in its units per unit of the PSF's sum.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or the iteration would blow up with this PSF; the message names it and the
        remedy.

    Notes
    -----
    ``x + step (y - A x)``, clipped to `bounds`, from the flat scene of the image's mean. At each frequency the error is
    multiplied by ``1 - step H`` an iteration. Where the OTF ``H`` has a negative real part (defocus, motion, any PSF
    with sharp ends or off its origin) that grows without end. Such a PSF is refused once the growth would exceed a
    factor of 2, rather than returning an explosion; a few iterations may remain allowed, and the message says how
    many. `landweber` converges for every PSF at the same price, and `tikhonov` is better than both.

    References
    ----------
    P. H. van Cittert, Z. Phys. 69, 298 (1931), doi:10.1007/BF01391351.
    P. A. Jansson, Deconvolution of Images and Spectra (Academic Press, 1997).

    Examples
    --------
    >>> import numpy as np
    >>> import sigdeconv
    >>> lines = np.zeros(128)
    >>> lines[[40, 50, 90]] = 1.0, 0.7, 0.5
    >>> psf = sigdeconv.psf.gaussian(25, sigma=3.0)          # an instrument's line
    >>> spectrum = sigdeconv.Convolution(psf, 128, boundary="zero")(lines)
    >>> sharper = van_cittert(spectrum, psf, num_iter=50, bounds=(0, None))
    >>> bool(sharper.max() > 1.5 * spectrum.max()), int(np.argmax(sharper))
    (True, 40)
    >>> van_cittert(spectrum, np.ones(9) / 9, num_iter=50)   # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: van_cittert can make only 3 iterations with this psf and step=1: where the real part of its OTF ...
    """
    image, back, _ = _prepared(image, None, channel_axis)
    limits = checked_bounds(bounds)
    rule = _rule(num_iter)
    sigma = None if sigma is None else number(sigma, "sigma", minimum=0.0)
    whole = operator(psf, image, boundary)
    blur = _square(whole)
    gain = float(namespace(blur.otf).real(blur.otf[(0,) * blur.ndim]))
    step = 1 / gain if step is None else number(step, "step")
    factor, lowest = growth(blur, step)
    most = bearable(factor)
    wanted = FEWEST if isinstance(rule, str) else rule
    if wanted > most:
        raise ValueError(
            f"van_cittert can make only {int(most)} iterations with this psf and step={step:.3g}: where the real part "
            f"of its OTF is negative (the lowest is {lowest:.2g}) errors grow by {factor:.3g} each; "
            "use landweber, which converges for every psf" + (f", or pass num_iter={int(most)}" if most >= 1 else "")
        )
    x = flat(blur, image, None)
    if limits is not None:
        x = namespace(image).clip(x, *limits)
    steps = residual_steps(blur, image, x, step, limits)
    return _stopped(steps, blur, whole, image, None, limits, rule, sigma, int(min(most, MOST)), tol, callback, back)


def _stopped(
    steps: Iterator[Array],
    blur: Convolution,
    model: Convolution,
    image: Array,
    pixels: Array | None,
    limits: tuple[float, float] | None,
    rule: int | str,
    sigma: float | None,
    most: int,
    tol: float,
    callback: Callback | None,
    back: Callable[[Array], Array],
) -> Array:
    """Iterate as often as the caller says, or as a rule finds from the data.

    `blur` is what the steps apply, and `model` what is believed about the frame's edge.
    """
    xp, chosen = namespace(image), {}

    def view(x: Array) -> Array:
        return x[(..., *blur.frame)]

    if rule == "discrepancy":
        if sigma is None and pixels is not None:
            raise ValueError("num_iter is 'discrepancy', whose noise level cannot be told from bad pixels; pass sigma")
        if sigma is None:
            from .noise import estimate_noise

            sigma = chosen["sigma"] = estimate_noise(image, psf=blur.psf, ndim=blur.ndim).sigma
        steps = until_fitted(steps, blur, image, pixels, sigma)
    elif rule == "nearest":
        report: list[Any] = []
        aim = tikhonov(image, model, sigma=sigma, weights=pixels, bounds=limits, tol=AIM, callback=report.append)
        chosen["weight"] = report[-1].chosen["weight"]
        steps = until_farther(steps, view, aim, blur.ndim)
    return iterate(
        steps,
        num_iter=most if isinstance(rule, str) else rule,
        tol=tol,
        callback=callback,
        ndim=blur.ndim,
        view=view,
        back=lambda x: xp.asarray(back(x), copy=True),
        chosen=chosen,
    )


def _rule(num_iter: int | str | None) -> int | str:
    """The number of iterations, or the name of the rule that finds it."""
    if num_iter is None:
        return "nearest"
    return choice(num_iter, RULES, "num_iter") if isinstance(num_iter, str) else checked_num_iter(num_iter)


def _checked_step(step: float | None, power: float, accelerate: bool) -> float:
    if step is None:
        return 1 / power
    limit, what = (1 / power, "with accelerate=True at most") if accelerate else (2 / power, "below")
    step = number(step, "step", above=0.0)
    if step > limit * (1 + 1e-4):
        raise ValueError(f"step is {step:g}, with which the iteration would diverge; pass {what} {limit:.4g}, or None")
    return step


def _square(blur: Convolution) -> Convolution:
    """A blur that takes the frame to the frame."""
    if set(blur.stride) != {1}:
        raise ValueError(
            f"psf is a Convolution of stride {blur.stride}, but van_cittert adds the residual to the scene, sample by "
            "sample; use landweber"
        )
    boundaries = along_axes(blur.boundary, blur.ndim)
    if "free" not in boundaries:
        return blur
    if isinstance(blur, VaryingConvolution):
        return with_boundary(blur, "reflect")
    mirrored = ["reflect" if b == "free" else b for b in boundaries]
    return Convolution(blur.psf, blur.shape, boundary=mirrored, center=blur.center)
