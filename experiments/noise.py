"""What the data say about their noise, and where Richardson-Lucy should stop: neither sees the truth.

At frequencies that the blur has removed there is nothing but noise, so these tell its variance. A restoration that
explains the data better than that variance explains noise (the discrepancy principle of Morozov).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import sigdeconv

Numbers = np.ndarray[Any, Any]

# Both were chosen with photographs of `recovery` in view. On six others (36 images) the stop was 0.2 dB short of the
# best at the median and 3 dB at worst, and margins from 1.00 to 1.06 moved the median gain by 0.1 dB.
DARK_SHARE = 0.25  # of the frequencies, those that the blur passes least: enough of them that chance averages out
MARGIN = 1.03  # of the noise variance: the last few per cent of the misfit are gained by fitting the noise


def noise_variance(image: Numbers, psf: Numbers) -> float:
    """Variance of the noise, from the quarter of the frequencies at which the blur passes least.

    Parameters
    ----------
    image : ndarray, shape (..., *frame)
        Blurred and noisy image; of a batch, the mean variance.
    psf : ndarray
        Point spread function with as many axes as `frame`.

    Notes
    -----
    A window keeps the frame's edges out of the spectrum. Noise that depends on the signal is weighted by the window.
    """
    window = _window(image.shape[image.ndim - psf.ndim :])
    axes = tuple(range(-psf.ndim, 0))
    centred = image - image.mean(axis=axes, keepdims=True)
    power = np.abs(np.fft.rfftn(centred * window, axes=axes)) ** 2 / np.sum(window**2)
    passed = np.abs(sigdeconv.psf_to_otf(psf, window.shape))
    dark = passed <= np.quantile(passed, DARK_SHARE)
    # The power of noise is distributed exponentially; its median forgives a few frequencies with signal in them.
    return float(np.mean(np.median(power[..., dark], axis=-1)) / np.log(2))


def stop_at_noise(
    image: Numbers, psf: Numbers, *, background: float = 0.0
) -> Callable[[sigdeconv.Iteration], bool | None]:
    """A callback that stops an iteration once its misfit has fallen to the noise.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> scene = np.zeros((96, 96))
    >>> scene[30:60, 30:60] = 200.0
    >>> psf = sigdeconv.psf.gaussian((17, 17), 2.0)
    >>> blurred = sigdeconv.Convolution(psf, scene.shape, boundary="reflect")(scene)
    >>> counts = rng.poisson(blurred + 10).astype(float)
    >>> def error(**options):
    ...     restored = sigdeconv.richardson_lucy(counts, psf, background=10.0, **options)
    ...     return float(np.mean((restored - scene) ** 2))
    >>> stop = stop_at_noise(counts, psf, background=10.0)
    >>> error(num_iter=40, callback=stop) < 0.5 * error(num_iter=40)
    True
    """
    frame = image.shape[image.ndim - psf.ndim :]
    blur = sigdeconv.Convolution(psf.astype(image.dtype), frame, boundary="reflect")
    weights = _window(frame) ** 2
    enough = MARGIN * noise_variance(image, psf) * float(weights.sum()) * (image.size // weights.size)
    data = image - background

    def reached(iteration: sigdeconv.Iteration) -> bool:
        misfit = float(np.sum(weights * (data - blur(iteration.estimate)) ** 2))
        return misfit <= enough

    return reached


def _window(shape: tuple[int, ...]) -> Numbers:
    """A Hann window; the frame's edges, where neither spectrum nor misfit can be trusted, hardly count."""
    window: Numbers = np.ones(())
    for n in shape:
        window = window[..., None] * np.hanning(n + 2)[1:-1]
    return window
