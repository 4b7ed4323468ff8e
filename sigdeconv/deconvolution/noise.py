"""The level of the noise from a single image."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._array import Array, channels_to_batch, choice, floating, namespace, per_axis, to_numpy
from ..convolution import Convolution
from ._patches import Blurred, blurred, patches, quiet
from ._photon_line import photon_line

if TYPE_CHECKING:
    from ._frames import Frames
    from ._stopping_rules import Observed

ENOUGH = 1 << 16  # samples, in the middle of an image, that tell its noise well enough: ten per cent do no harm
COUNTED = 1.25  # integers whose gain is measured within this factor of 1 are taken for counts, of gain 1
UNSURE = 3.0  # standard errors of a gain measured on few samples, within which 1 is believed as well
TELLING = 8  # samples for each that tells of the noise: a quarter of the frequencies, within the window
FEWEST = 1e-6  # counts a pixel, of which the expected I-divergence is still told from zero
MANY = 50.0  # counts a pixel, above which two terms of the series give it to five digits

MODELS = ("gaussian", "poisson-gaussian")
SMALLEST = 16  # samples; with fewer there is no telling noise from signal

Real = np.ndarray[Any, Any]


class NoiseLevel(NamedTuple):
    """Noise whose variance is ``gain * (value - offset) + read_noise**2``, in the units of the image.

    Parameters
    ----------
    sigma : float
        Standard deviation, root mean square over the image: the one number for methods that assume white noise.
    gain : float
        Digital units per photon: how much the variance rises with the value of a sample. 0 for Gaussian noise.
    read_noise : float
        Standard deviation where no light comes, in digital units (divide by `gain` for electrons). `sigma` for
        Gaussian noise.
    offset : float
        Value of a dark sample, as far as the noise tells: the smallest that the data allow, mostly 0 (see
        `estimate_noise`).
    """

    sigma: float
    gain: float
    read_noise: float
    offset: float


def estimate_noise(
    image: Array,
    *,
    model: str = "gaussian",
    psf: Array | Convolution | None = None,
    ndim: int | None = None,
    channel_axis: int | None = None,
) -> NoiseLevel:
    """The level of the noise from a single image, blurred or sharp.

    Parameters
    ----------
    image : array, shape (..., *frame)
        Noisy image as it came: neither smoothed nor compressed nor resampled. Leading axes are a batch that shares one
        noise.
    model : {"gaussian", "poisson-gaussian"}
        "gaussian": white noise of one strength. "poisson-gaussian": photon noise, whose variance rises with the light,
        and the Gaussian noise of the readout.
    psf : array or Convolution, optional
        The blur, if it is known: the noise is then sought where the blur leaves the least of the scene. It
        matters where the blur leaves fine structure in some directions, as motion does. An operator's stride counts:
        what a coarse sampling has aliased is expected.
    ndim : int, optional
        Number of axes of `frame`, 1 to 3: by default those of `psf`, without it all (three at most) but the colours'.
    channel_axis : int, optional
        Axis of colours. Gaussian noise is measured in each, and `sigma` is the root mean square; photon noise is taken
        to follow one line in all.

    Returns
    -------
    NoiseLevel
        ``(sigma, gain, read_noise, offset)``, Python floats in the units of `image`.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or the frame has fewer than 16 samples; the message names it and the remedy.

    Notes
    -----
    Small patches are written in an orthonormal basis, the principal axes of patches of scenes with a power spectrum
    ``1 / f^2`` seen through the blur. White noise is equally strong and independent along all axes: patches are
    selected by their energy along the coarse half and measured along the fine half, so the selection has no bias. How
    many patches and axes are kept is a balance of chance and texture: the surest estimate that no other contradicts
    from below. Nothing was fitted to pictures.

    For photons the patches are first sorted by brightness and the lower edge of their variances is a first line. All
    patches are divided by what it expects, the quiet ones selected as above, and the likeliest line is drawn through
    these; three rounds of this. Read noise too weak to be told from none is given as 0, which harms neither `gain` nor
    `sigma`. Read noise and the camera's offset (the digital value of a dark sample) act alike, as the constant of
    the line: a line that meets zero variance at a positive value proves an offset, and the smallest is returned with a
    read noise of 0; of a line that does not, the constant is taken for read noise. Only a dark frame tells them apart:
    subtract it first.

    Samples at the extremes of the image, where they abound (saturation, black borders), and constant areas of an
    extreme value or of 0 are left out; constant areas of other values say that there is no noise. Rounding to integers
    adds a variance of 1/12, which is part of the result, as is the noise that the photograph had before more was added.

    Measured (``tests/benchmarks/noise_levels.py``) for sigma from 1 to 30 on 20 photographs of values up to 255.
    Blurred ones, by as little as a Gaussian of 0.7 pixels: off by less than 1 % in the mean, at worst 6 %. Sharp ones:
    4 % at 5, 1 % at 20; below 5 the photographs' own noise and finest texture, about 1, add to what is found. Gains:
    blurred scenes 0.3 to 3 %, though stars on a dark ground up to 17 %, as few of their pixels are bright; sharp ones
    1 to 13 % up to 200 photons, 12 to 25 % at 1000 and more, where texture is stronger than noise (`sigma`: half of
    that).

    It fails where texture as fine and as strong as the noise fills the whole image (a lawn): the result is too large.
    It takes noise to be white: of demosaicked, compressed, smoothed or interpolated images it finds too little. In an
    image with photon noise "gaussian" gives the level of the areas where most quiet patches lie.

    References
    ----------
    D. L. Donoho and I. M. Johnstone, Biometrika 81, 425 (1994), doi:10.1093/biomet/81.3.425 (the finest scale).
    S. Pyatykh, J. Hesser and L. Zheng, IEEE Trans. Image Process. 22, 687 (2013), doi:10.1109/TIP.2012.2221728, and
    G. Chen, F. Zhu and P. A. Heng, Proc. ICCV, 477 (2015), doi:10.1109/ICCV.2015.62 (axes of patches).
    A. Foi et al., IEEE Trans. Image Process. 17, 1737 (2008), doi:10.1109/TIP.2008.2001399 (variance against mean).

    Examples
    --------
    >>> import numpy as np
    >>> import sigdeconv
    >>> rng = np.random.default_rng(0)
    >>> scene = sigdeconv.simulate.blur(sigdeconv.simulate.siemens_star((128, 128)), sigdeconv.psf.disk(2.0))
    >>> round(estimate_noise(100 * scene + rng.normal(0, 3, scene.shape)).sigma, 1)
    3.0
    >>> digital = 0.5 * rng.poisson(20 + 200 * scene)             # half a unit a photon
    >>> level = estimate_noise(digital, model="poisson-gaussian")
    >>> round(level.gain, 1)
    0.5
    """
    if isinstance(model, str) and model == "poisson":
        raise ValueError("model is 'poisson'; pass 'poisson-gaussian', of which it is the case without read noise")
    choice(model, MODELS, "model")
    image, _ = channels_to_batch(floating(image, "image", moderate=True), channel_axis)
    colours = channel_axis is not None
    axes, blur = _blur(psf, image.ndim - colours, ndim)
    frame = image.shape[image.ndim - axes :]
    if math.prod(frame) < SMALLEST:
        raise ValueError(
            f"image has a frame of {tuple(frame)}; at least {SMALLEST} samples are wanted to tell noise from signal: "
            "pass sigma to the method"
        )
    data = np.asarray(to_numpy(image), dtype=np.float64)
    # In units of its own spread no square overflows or vanishes.
    unit = float(np.max(np.abs(data))) or 1.0
    data = data / unit
    if model == "gaussian":
        levels = [_gaussian(item, axes, blur) for item in (data if colours else data[None])]
        sigma = unit * math.sqrt(sum(levels) / len(levels))
        return NoiseLevel(sigma, 0.0, sigma, 0.0)
    gain, floor = photon_line(patches(data, axes, blur, (float(data.max()),)))
    offset = max(0.0, -floor / gain) if gain > 0 else 0.0
    mean = float(data.mean())
    sigma = math.sqrt(max(gain * mean + floor, 0.0))
    return NoiseLevel(unit * sigma, unit * gain, unit * math.sqrt(max(floor, 0.0)), unit * offset)


def _blur(psf: Array | Convolution | None, available: int, ndim: int | None) -> tuple[int, Blurred | None]:
    """Number of axes of the frame, and the blur."""
    if psf is None:
        axes = min(available, 3) if ndim is None else per_axis(ndim, 1, "ndim", minimum=1)[0]
        if not 1 <= axes <= min(available, 3):
            raise ValueError(
                f"ndim is {axes} but image has {available} dimensions besides colours; pass 1 to 3 of them"
            )
        return axes, None
    if not isinstance(psf, Convolution):
        psf = to_numpy(floating(psf, "psf", moderate=True))
    axes = int(psf.ndim)
    if ndim is not None and ndim != axes:
        raise ValueError(f"ndim is {ndim} but psf has {axes} dimensions; leave ndim out")
    if not 1 <= axes <= 3:
        raise ValueError(f"psf has {axes} dimensions; 1, 2 or 3 are wanted")
    if axes > available:
        raise ValueError(
            f"psf has {axes} dimensions but image has {available} besides colours; pass psf[k] or a {axes}-D image"
        )
    return axes, blurred(psf, axes)


def _gaussian(data: Real, axes: int, blur: Blurred | None) -> float:
    stuck = [float(data.min()), float(data.max())]
    if np.count_nonzero(data == 0) > 0.005 * data.size and np.any(data != np.rint(data)):
        stuck.append(0.0)  # the filling of what another program has cut or turned
    return quiet(patches(data, axes, blur, stuck)).variance


def photon_gain(observed: Observed) -> float:
    """Variance of the noise over the value of a pixel, on the mean: the units of an image a photon.

    1 for integers that vary as counts do, and where an image is too small to tell or has no noise.
    """
    blur, (d, _, w) = observed.blur, observed.counts
    xp = namespace(d)
    if math.prod(blur.shape) < SMALLEST or not bool(xp.any(d > 0)):
        return 1.0
    rough, whole = observed.dark_gain(), bool(xp.all(d == xp.round(d)))
    near = max(COUNTED, math.exp(UNSURE * math.sqrt(2 * TELLING / math.prod(d.shape))))
    rounding = float(xp.finfo(d.dtype).eps) ** 2 * float(xp.max(d))
    if rough <= rounding or (whole and 1 / near <= rough <= near):
        return 1.0
    data = to_numpy(d if w is None else _filled(d, w, blur))
    frame = observed.space
    side = max(1, round(ENOUGH ** (1 / len(frame))))
    middle = tuple(slice(max(0, n // 2 - side // 2), max(0, n // 2 - side // 2) + side) for n in frame)
    data = data.reshape(-1, *frame)[(slice(max(1, ENOUGH // math.prod(frame))), *middle)]
    # Several frames are several blurs; what they show is seldom finer than the noise.
    blurred: Any = {"psf": blur} if isinstance(blur, Convolution) else {"ndim": len(frame)}
    mean = float(np.mean(data, dtype=np.float64))
    gain = estimate_noise(data, model="poisson-gaussian", **blurred).sigma ** 2 / mean if mean > 0 else 1.0
    counts = whole and 1 / near <= gain <= near
    return 1.0 if counts or not gain > 0 else gain


def _filled(d: Array, w: Array, blur: Convolution | Frames) -> Array:
    """Bad pixels take the mean of the good ones around them, as far as the blur reaches."""
    xp = namespace(d)
    good = xp.astype(w > 0, d.dtype)
    around = blur.forward(blur.adjoint(good * d))
    share = blur.forward(blur.adjoint(good))
    middle = xp.sum(good * d) / xp.sum(good)
    enough = share > 1e-3 * xp.max(share)
    return xp.where(good > 0, d, xp.where(enough, around / xp.where(enough, share, xp.ones_like(share)), middle))


def expected_divergence(mean: Real) -> Real:
    """Mean of ``m - d + d log(d / m)`` over counts ``d`` that are Poisson of mean ``m``: 1/2 where these are many."""
    grid, values = _divergences()
    few = np.interp(np.log(np.maximum(mean, FEWEST)), grid, values)
    many = np.maximum(mean, MANY)
    return np.where(mean < MANY, few, 0.5 + (1 / 12 + 1 / (12 * many)) / many)


@cache
def _divergences() -> tuple[Real, Real]:
    """The sum itself, for few counts."""
    grid = np.linspace(math.log(FEWEST), math.log(MANY), 512)
    mean = np.exp(grid)[:, None]
    d = np.arange(1, int(MANY + 12 * math.sqrt(MANY)) + 1)
    log_factorial = np.cumsum(np.log(d))
    chance = np.exp(d * grid[:, None] - mean - log_factorial)
    # The parts m - d cancel in the mean.
    return grid, np.sum(chance * d * (np.log(d) - grid[:, None]), axis=1)
