"""Any denoiser as the prior: the data step is solved, and the denoiser stands for all that is known of scenes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from .. import _fft
from .._array import Array, channels_to_batch, choice, floating, is_numpy, kind, namespace, number, scalar, to_numpy
from .._iterate import Callback, checked_num_iter, iterate
from ..convolution import Convolution, operator
from ..denoisers._transforms import PATCH
from ..denoisers.collaborative import Collaborative
from ._data_step import DataStep

Denoiser = Callable[[Array, float], Array]

ALGORITHMS = ("hqs", "admm")
NUM_ITER = 30  # steps of the schedule: half as many cost 0.15 dB on photographs, twice as many bring 0.03
#: With denoisers that expect white noise: 8 steps instead of 30 brought 0.1 dB (total variation) to 1.5 (non-local
#: means), and 0.7 to the trained network, over six scenarios. What each step wrongly takes off adds up.
NUM_ITER_WHITE = 8
STRENGTH = 0.25  # see the Notes: the strongest noise after the data step is then as strong as the denoiser is told
DUAL_STRENGTH = 0.5  # the same with a dual, which undoes part of what a quarter leaves: measured best of 0.25, 0.5, 1
FIRST = 0.8  # of the deviation of the image: the deviation with which the schedule starts (49 of 255 for a photograph)
LAST = 0.015  # of the first one: the schedule ends here if the noise is less
QUIET = 1e-3  # of a step's deviation: taken for the noise if there is less, so that no frequency is divided by zero
REUSE = 3  # iterations for which matches of patches serve
POLISH = 1  # last iterations with both passes of the collaborative filter


def plug_and_play(
    image: Array,
    psf: Array | Convolution,
    *,
    denoiser: Denoiser | None = None,
    sigma: float | None = None,
    strength: float = 1.0,
    algorithm: str = "hqs",
    num_iter: int | None = None,
    boundary: str | Sequence[str] = "free",
    tol: float = 0.0,
    callback: Callback | None = None,
    channel_axis: int | None = None,
) -> Array:
    """Restore with a denoiser as the prior: data and denoiser take turns, from coarse to fine.

    Parameters
    ----------
    image : array, shape (..., *frame)
        Blurred image with Gaussian noise. Leading axes are a batch.
    psf : array or Convolution
        Point spread function with as many axes as `frame`, or a ready operator. One of stride ``s`` gives a scene ``s``
        times finer.
    denoiser : callable, optional
        ``denoiser(plane, sigma)`` gives `plane`, an array of the kind of `image` with the axes of `frame` alone,
        without white noise of standard deviation `sigma`; colours and items of a batch are handed over one by one. See
        `sigdeconv.denoisers`. By default collaborative filtering (2-D, NumPy), which takes colours together and is told
        the colour of the noise.
    sigma : float, optional
        Standard deviation of the noise, in units of `image`. None estimates it.
    strength : float
        Of the prior; more than one smoothes more than the noise asks for.
    algorithm : {"hqs", "admm"}
        Half-quadratic splitting, or the alternating direction method of multipliers, which remembers in a dual what
        data and denoiser disagree about. With the collaborative filter the latter gives 0.5 dB less on photographs.
    num_iter : int, optional
        Steps of the schedule. None takes 30 with the collaborative filter and 8 with a denoiser that is passed.
    boundary : {"free", "periodic", "zero", "reflect"} or sequence of these
        What lies past the frame, on all axes or each. See `Convolution`.
    tol : float
        Stop when an iteration changes the estimate by less than this, relative to its norm.
    callback : callable, optional
        Called with an `Iteration` after each; return True to stop. ``chosen`` has "sigma" if it was estimated.
    channel_axis : int, optional
        Axis of colours.

    Returns
    -------
    array
        The restored scene on the frame: the shape, kind and floating dtype of `image`, in its units per unit of the
        PSF's sum.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.

    Notes
    -----
    Wanted is the minimiser of ``|A x - y|^2 / (2 sigma^2) + R(x)`` where ``R`` is known through its denoiser only.
    Half-quadratic splitting alternates between::

        x = argmin |A x - y|^2 + rho_k |x - z|^2,    rho_k = sigma^2 / (4 s_k^2)
        z = denoiser(x, strength s_k)

    with ``s_k`` falling geometrically from the image's own deviation to that of the noise. The data step is solved for
    the samples of the frame alone, with the scene past the frame unknown (boundary "free"); edges are as good as the
    inside.

    The quarter has a reason: after the data step the noise has the power ``sigma^2 |H|^2 / (|H|^2 + rho)^2`` at a
    frequency that the blur passes with ``H``, which is ``s_k^2`` at its largest. With less, what was buried in noise
    comes back and grows. To that the collaborative filter adds the error of the ``z`` that filled in the other
    frequencies, ``s_k^2 (rho / (|H|^2 + rho))^2``, and is told the sum as the spectrum of its noise.

    Nothing proves convergence for a denoiser that is no proximal map; the schedule ends it. A PSF that is wrong, or a
    `sigma` that is too small, shows as ringing that the denoiser takes for texture.

    References
    ----------
    S. V. Venkatakrishnan, C. A. Bouman and B. Wohlberg, GlobalSIP (2013), doi:10.1109/GlobalSIP.2013.6737048.
    S. H. Chan, X. Wang and O. A. Elgendy, IEEE Trans. Comput. Imaging 3, 84 (2017), doi:10.1109/TCI.2016.2629286.
    K. Zhang et al., IEEE Trans. Pattern Anal. Mach. Intell. 44, 6360 (2022), doi:10.1109/TPAMI.2021.3088914 (schedule).
    A. Danielyan, V. Katkovnik and K. Egiazarian, IEEE Trans. Image Process. 21, 1715 (2012),
    doi:10.1109/TIP.2011.2176954.
    M. S. C. Almeida and M. A. T. Figueiredo, IEEE Trans. Image Process. 22, 3074 (2013), doi:10.1109/TIP.2013.2258354
    (the frame's edge).

    Examples
    --------
    >>> import numpy as np
    >>> import sigdeconv
    >>> y, x = np.indices((64, 64))
    >>> scene = 100.0 * ((x // 16 + y // 16) % 2)
    >>> psf = sigdeconv.psf.gaussian((11, 11), sigma=1.5)
    >>> blurred = sigdeconv.Convolution(psf, scene.shape, boundary="reflect")(scene)
    >>> noisy = blurred + np.random.default_rng(0).standard_normal(scene.shape)
    >>> restored = plug_and_play(noisy, psf, sigma=1.0)
    >>> bool(np.std(restored - scene) < 0.5 * np.std(noisy - scene))
    True
    """
    image, channels_back = channels_to_batch(floating(image, "image", moderate=True), channel_axis)
    blur = operator(psf, image, boundary)
    if channel_axis is not None and image.ndim == blur.ndim:
        raise ValueError(
            f"image has {image.ndim} dimensions, colours among them, and psf {blur.ndim}; pass channel_axis=None, or a "
            "psf of fewer dimensions"
        )
    algorithm = choice(algorithm, ALGORITHMS, "algorithm")
    strength = number(strength, "strength", above=0.0)
    usual = NUM_ITER if denoiser is None else NUM_ITER_WHITE
    steps = usual if num_iter is None else checked_num_iter(num_iter)
    if denoiser is None:
        _require_collaboration(blur, image)
    elif not callable(denoiser):
        raise TypeError(f"denoiser is a {type(denoiser).__name__}; a function (image, sigma) -> image is wanted")
    sigma = None if sigma is None else number(sigma, "sigma", minimum=0.0)

    xp = namespace(image)
    batch = tuple(image.shape[: image.ndim - blur.ndim])
    # Colours, items, frame: what is restored together, and what is restored one by one.
    observed = xp.reshape(image, (1 if channel_axis is None else batch[0], -1, *blur.shape))
    items = [observed[:, i, ...] for i in range(observed.shape[1])]
    chosen: dict[str, float] = {}
    if sigma is None:
        levels = [_estimated(item, psf) for item in items]
        chosen["sigma"] = math.sqrt(sum(level**2 for level in levels) / len(levels))
    else:
        levels = [sigma] * len(items)

    def restorations() -> Iterator[Array]:
        priors = [Collaboration(blur) if denoiser is None else PlaneByPlane(denoiser) for _ in items]
        runs = [
            _splitting(DataStep(blur, item), prior, level, strength, steps, dual=algorithm == "admm")
            for item, prior, level in zip(items, priors, levels, strict=True)
        ]
        for estimates in zip(*runs, strict=True):
            yield xp.stack(estimates, axis=1) if len(estimates) > 1 else estimates[0][:, None, ...]

    frame = (..., *blur.frame)

    def view(x: Array) -> Array:
        x = x[frame]
        return xp.reshape(x, (*batch, *x.shape[2:]))

    result = iterate(
        restorations(),
        num_iter=steps,
        tol=tol,
        callback=callback,
        ndim=blur.ndim,
        view=view,
        back=channels_back,
        chosen=chosen,
    )
    return xp.asarray(result, copy=True)


def _splitting(
    data: DataStep, prior: Prior, sigma: float, strength: float, num_iter: int, *, dual: bool
) -> Iterator[Array]:
    """Half-quadratic splitting, or with `dual` the alternating direction method, over a schedule of deviations."""
    z = data.start()
    gain = math.sqrt(scalar(namespace(z).max(data.power)))
    schedule = _schedule(z, sigma / gain, num_iter)
    u, before = None, schedule[0]
    for k, s in enumerate(schedule):
        rho = (DUAL_STRENGTH if dual else STRENGTH) * max(sigma, QUIET * gain * s) ** 2 / s**2
        if u is not None:
            u = u * (s / before) ** 2  # the dual itself, u / s^2, is kept when its scale changes
        x = data.solve(z if u is None else z - u, rho)
        noisy = x if u is None else x + u
        # With a dual, what comes to the denoiser has passed through all steps before and has no spectrum of its own.
        power = 0 * data.power + s**2 if dual else _noise_power(data.power, rho, sigma, s)
        z = prior.denoised(noisy, strength * s, strength**2 * power, last=k >= num_iter - POLISH)
        if dual:
            u, before = noisy - z, s
        yield z


def _schedule(z: Array, sigma: float, num_iter: int) -> list[float]:
    """Deviations that fall geometrically from that of the scene to that of the noise."""
    xp = namespace(z)
    axes = tuple(range(1, z.ndim))
    spread = math.sqrt(scalar(xp.mean(xp.var(z, axis=axes))))
    first = max(FIRST * spread, sigma)
    if first == 0:
        first = 1.0  # nothing there: any deviation will do
    last = max(sigma, LAST * first)
    return [first * (last / first) ** (k / max(1, num_iter - 1)) for k in range(num_iter)]


def _noise_power(power: Array, rho: float, sigma: float, s: float) -> Array:
    """Power of what is wrong with ``x``: amplified noise, and the error of ``z`` where the data say nothing."""
    return (sigma**2 * power + (rho * s) ** 2) / (power + rho) ** 2


class PlaneByPlane:
    """A caller's denoiser, given one plane at a time."""

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser = denoiser

    def denoised(self, x: Array, sigma: float, power: Array, *, last: bool) -> Array:
        """`x` of shape ``(colours, *domain)``."""
        xp = namespace(x)
        return xp.stack([self._plane(x[i, ...], sigma) for i in range(x.shape[0])])

    def _plane(self, plane: Array, sigma: float) -> Array:
        result = self.denoiser(plane, sigma)
        shape = getattr(result, "shape", None)
        if shape is None or tuple(shape) != tuple(plane.shape):
            got = type(result).__name__ if shape is None else f"shape {tuple(shape)}"
            raise ValueError(f"denoiser gave {got} for an image of shape {tuple(plane.shape)}; it must keep the shape")
        xp = namespace(plane)
        result = xp.astype(xp.asarray(result), plane.dtype, copy=False)
        if not bool(xp.all(xp.isfinite(result))):
            raise ValueError(f"denoiser gave NaN or infinite samples at sigma={sigma:g}; it must keep an image finite")
        return result


class Collaboration:
    """The collaborative filter, told the colour of the noise."""

    def __init__(self, blur: Convolution) -> None:
        self.grid = blur.grid
        self.filter = Collaborative(wiener=False, reuse=REUSE)

    def denoised(self, x: Array, sigma: float, power: Array, *, last: bool) -> Array:
        """`x` of shape ``(colours, *domain)``."""
        lags = [np.arange(1 - PATCH, PATCH)] * 2
        covariance = _fft.inverse(power, self.grid)[np.ix_(*lags)]
        variance = float(covariance[PATCH - 1, PATCH - 1])
        self.filter.wiener = last
        return self.filter(x, math.sqrt(variance), correlation=covariance / variance, channel_axis=0)


Prior = PlaneByPlane | Collaboration


def _require_collaboration(blur: Convolution, image: Array) -> None:
    if not is_numpy(image):
        raise TypeError(
            f"image is a {kind(image)}; the collaborative filter takes NumPy arrays: pass image.numpy(), or a denoiser"
        )
    if blur.ndim != 2 or min(blur.domain_shape) < PATCH:
        raise ValueError(
            f"psf has {blur.ndim} dimension{'s' if blur.ndim > 1 else ''} and the scene the shape {blur.domain_shape}; "
            f"the collaborative filter wants two of at least {PATCH} samples: pass another denoiser"
        )


def _estimated(item: Array, psf: Array | Convolution) -> float:
    from .noise import estimate_noise

    level = np.asarray(to_numpy(estimate_noise(item, psf=psf).sigma), dtype=float)
    return float(np.sqrt(np.mean(level**2)))
