"""Collaborative filtering: patches that look alike are stacked, and their common transform is cleaned.

The method of Dabov et al. (BM3D), arranged for arrays: every patch is transformed once, groups are gathered by index,
cleaned as one array, and added up at the places that they came from by a sparse product.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _parallel
from .._array import Array, checked_axis, floating, is_numpy, kind, number, shown
from ._matching import nearest
from ._transforms import PATCH, Real, biorthogonal, coefficients, cosine, haar, overlapped, variances

STEP = 3  # pixels between references
REACH = 19  # pixels: how far away a group looks for its members
THRESHOLD = 2.7  # of the noise of a coefficient: below it, it is noise (the paper's)
MEMBERS = (16, 32)  # patches in a group: to be thresholded, and to be weighed by the pilot
BETA = 2.0  # of the Kaiser window over a patch (the paper's)
GROUPS = 256  # handled together: a few such arrays fit a cache
CLEAN = 1e-6  # of the deviation of the image: with less noise than that there is nothing to remove


def collaborative(
    image: Array,
    sigma: float,
    *,
    correlation: Array | None = None,
    wiener: bool = True,
    step: int = STEP,
    channel_axis: int | None = None,
) -> Array:
    """Remove Gaussian noise by collaborative filtering of similar patches (the method of BM3D).

    Parameters
    ----------
    image : array, shape (..., height, width)
        Noisy image, at least 8 x 8 pixels; a NumPy array. Leading axes are a batch.
    sigma : float
        Standard deviation of the noise, in units of `image`.
    correlation : array, shape (15, 15), optional
        Correlation of the noise of two pixels by their distance, from -7 to 7 pixels on both axes; 1 at the centre. By
        default the noise is white.
    wiener : bool
        Take the thresholded image as the pilot of a second pass, which is worth 0.2 to 0.6 dB and takes twice the time
        of the first. False stops before it.
    step : int
        Pixels between reference patches, 1 to 8. 4 is half the work of 3 and costs some hundredths of a decibel.
    channel_axis : int, optional
        Axis of colours. They are separated into brightness and differences, which keep the noise white; brightness
        decides which patches are alike.

    Returns
    -------
    array
        Of the shape and floating dtype of `image`, in its units. Nothing is clipped. Computed in float32.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.

    Notes
    -----
    A reference patch of 8 x 8 pixels is stacked with the 16 patches most like it within 39 x 39 places. What they have
    in common is concentrated in a few coefficients of a separable transform (wavelet in the plane, Haar's across the
    stack) while noise is spread over all; those below ``2.7 sigma`` are removed, and every cleaned patch goes back to
    its place with the weight of its certainty. In the second pass the first result says which patches are alike and how
    strong each coefficient of 32 of them is, and Wiener's rule weighs them. It fails where nothing repeats (it then
    smooths like a wavelet shrinkage), and for noise that is not Gaussian or whose `sigma` is not known.

    References
    ----------
    K. Dabov, A. Foi, V. Katkovnik and K. Egiazarian, IEEE Trans. Image Process. 16, 2080 (2007),
    doi:10.1109/TIP.2007.901238.

    Examples
    --------
    >>> import numpy as np
    >>> y, x = np.indices((48, 48))
    >>> scene = 100.0 * ((x // 8 + y // 8) % 2)
    >>> noisy = scene + 20 * np.random.default_rng(0).standard_normal(scene.shape)
    >>> float(np.std(collaborative(noisy, 20) - scene)) < 7
    True
    """
    return Collaborative(wiener=wiener, step=step)(image, sigma, correlation=correlation, channel_axis=channel_axis)


class Collaborative:
    """`collaborative` for a loop: a denoiser that remembers which patches are alike.

    Parameters
    ----------
    wiener : bool
        Whether to make the second pass, as of `collaborative`; it may be set between calls.
    step : int
        Pixels between reference patches, 1 to 8.
    reuse : int
        Calls for which the matches of one serve: in an iteration that changes the image little, finding them anew each
        time is two thirds of the work. Images of another shape are matched anew.

    Raises
    ------
    TypeError, ValueError
        `step` or `reuse` is no whole number in its range.

    Notes
    -----
    An object is for one thread at a time.

    Examples
    --------
    >>> import numpy as np
    >>> denoiser = Collaborative(reuse=3)
    >>> denoiser(np.full((16, 16), 5.0), 1.0).shape
    (16, 16)
    """

    def __init__(self, *, wiener: bool = True, step: int = STEP, reuse: int = 1) -> None:
        self.wiener = wiener
        self.step = _whole(step, "step", PATCH)
        self.reuse = _whole(reuse, "reuse", None)
        self._known: dict[tuple[Any, ...], tuple[int, Real]] = {}

    def __call__(
        self, image: Array, sigma: float, *, correlation: Array | None = None, channel_axis: int | None = None
    ) -> Array:
        """Remove noise of standard deviation `sigma`, as `collaborative` does.

        Parameters
        ----------
        image : array, shape (..., height, width)
            Noisy image, at least 8 x 8 pixels; a NumPy array. Leading axes are a batch.
        sigma : float
            Standard deviation of the noise, in units of `image`.
        correlation : array, shape (15, 15), optional
            Correlation of the noise of two pixels by their distance; by default the noise is white.
        channel_axis : int, optional
            Axis of colours.

        Returns
        -------
        array
            Of the shape and floating dtype of `image`, in its units.

        Raises
        ------
        TypeError, ValueError
            An argument is not as described; the message names it and the remedy.
        """
        image = floating(image, "image", moderate=True)
        if not is_numpy(image):
            raise TypeError(f"image is a {kind(image)}; collaborative filtering takes NumPy arrays: pass image.numpy()")
        sigma = number(sigma, "sigma", minimum=0.0)
        correlation = None if correlation is None else _checked_correlation(correlation)
        if channel_axis is None:
            colours = image[None]
        else:
            colours = np.moveaxis(image, checked_axis(channel_axis, image.ndim, "channel_axis", "image"), 0)
        if colours.ndim < 3 or min(colours.shape[-2:]) < PATCH:
            raise ValueError(
                f"image has shape {image.shape}; two axes of at least {PATCH} samples are wanted"
                f"{'' if channel_axis is None else ' beside the colours'}"
            )
        result = np.empty(colours.shape, image.dtype)
        for item in np.ndindex(*colours.shape[1:-2]):
            where = (slice(None), *item)
            result[where] = self._colours(colours[where], sigma, correlation, item)
        return result[0] if channel_axis is None else np.moveaxis(result, 0, channel_axis)

    def _colours(self, planes: Real, sigma: float, correlation: Real | None, item: tuple[int, ...]) -> Real:
        """One image of shape ``(colours, height, width)``."""
        base = planes.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
        scale = float(np.sqrt(np.mean((planes - base) ** 2, dtype=np.float64)))
        if sigma <= CLEAN * scale or scale == 0:
            return planes
        # Brightness and orthonormal differences: white noise stays white, and as strong, in each.
        mix = cosine(len(planes)).astype(np.float32)
        z = np.tensordot(mix, ((planes - base) / scale).astype(np.float32), 1)
        variance = (sigma / scale) ** 2
        x = self._thresholded(z, variance, correlation, item)
        if self.wiener:
            x = self._weighed(z, x, variance, correlation, item)
        result: Real = np.tensordot(mix.T, x, 1) * scale + base
        return result

    def _thresholded(self, z: Real, variance: float, correlation: Real | None, item: tuple[int, ...]) -> Real:
        """First pass: coefficients that rise above the noise."""
        matrix = biorthogonal()
        inverse = np.linalg.inv(matrix)
        noise = variances(matrix, variance, correlation).astype(np.float32)
        limit = THRESHOLD**2 * noise

        def shrink(g: Real) -> tuple[Real, Real]:
            keep = g * g > limit
            keep[:, 0, 0] = True  # the mean of a group is never noise alone
            g *= keep
            return g, 1 / (keep.sum(axis=1, dtype=np.float32) @ noise)

        bright = coefficients(z[0], matrix)
        places = self._matches("threshold", bright, MEMBERS[0], item)
        planes = [bright, *(coefficients(plane, matrix) for plane in z[1:])]
        return np.stack([_filtered([plane], places, shrink, inverse) for plane in planes])

    def _weighed(self, z: Real, pilot: Real, variance: float, correlation: Real | None, item: tuple[int, ...]) -> Real:
        """Second pass: Wiener's weights from the pilot."""
        matrix = cosine(PATCH)
        noise = variances(matrix, variance, correlation).astype(np.float32)

        def shrink(g: Real, p: Real) -> tuple[Real, Real]:
            p *= p
            weight = p / (p + noise)
            g *= weight
            weight *= weight
            return g, 1 / np.maximum(weight.sum(axis=1) @ noise, noise.min())

        pilots = [coefficients(plane, matrix) for plane in pilot]
        places = self._matches("weigh", pilots[0], MEMBERS[1], item)
        planes = [coefficients(plane, matrix) for plane in z]
        return np.stack([_filtered([*pair], places, shrink, matrix.T) for pair in zip(planes, pilots, strict=True)])

    def _matches(self, name: str, features: Real, count: int, item: tuple[int, ...]) -> Real:
        """Groups of similar patches, found or remembered."""
        key = (name, item, features.shape)
        used, places = self._known.get(key, (self.reuse, None))
        if places is None or used >= self.reuse:
            h, w, _ = features.shape
            window = min(2 * REACH + 1, h) * min(2 * REACH + 1, w)
            count = min(count, 1 << (window.bit_length() - 1))
            places, used = nearest(features, step=self.step, reach=REACH, count=count), 0
        self._known[key] = (used + 1, places)
        return places


def _filtered(stacks: list[Real], places: Real, shrink: Callable[..., tuple[Real, Real]], inverse: Real) -> Real:
    """The image whose groups at `places` are shrunk; the first stack is the data, others go along with it."""
    from scipy.sparse import csc_array

    h, w, d = stacks[0].shape
    stacks = [s.reshape(-1, d) for s in stacks]
    members = places.shape[1]
    across = haar(members).astype(np.float32)
    sums, weights = np.zeros((h * w, d), np.float32), np.zeros(h * w, np.float32)
    lock = threading.Lock()

    def block(start: int, end: int) -> None:
        here = places[start:end]
        g, weight = shrink(*(across @ s[here] for s in stacks))
        g = (across.T @ g).reshape(-1, d)
        first, last = int(here.min()), int(here.max()) + 1
        weight = np.repeat(weight, members)
        index = here.ravel() - first
        back = csc_array((weight, index, np.arange(index.size + 1)), shape=(last - first, index.size))
        part, part_weights = back @ g, np.bincount(index, weight, last - first)
        with lock:
            sums[first:last] += part
            weights[first:last] += part_weights

    _parallel.run(block, len(places), GROUPS)
    return overlapped(sums.reshape(h, w, d), weights.reshape(h, w), inverse, np.kaiser(PATCH, BETA))


def _checked_correlation(correlation: Array) -> Real:
    side = 2 * PATCH - 1
    checked: Real = np.asarray(floating(correlation, "correlation"), dtype=np.float64)
    if checked.shape != (side, side):
        raise ValueError(
            f"correlation has shape {checked.shape}; ({side}, {side}) is wanted, distances from {1 - PATCH} to "
            f"{PATCH - 1} pixels"
        )
    symmetric = np.allclose(checked, checked[::-1, ::-1], atol=1e-4)
    if not symmetric or abs(checked[PATCH - 1, PATCH - 1] - 1) > 1e-4 or np.abs(checked).max() > 1 + 1e-4:
        raise ValueError(
            "correlation must be 1 at the centre, symmetric about it and nowhere larger; divide by its peak"
        )
    return checked


def _whole(value: int, name: str, most: int | None) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {shown(value)}; a positive integer is wanted")
    if value < 1 or (most is not None and value > most):
        raise ValueError(f"{name} is {value}; 1 {'or more' if most is None else f'to {most}'} is wanted")
    return int(value)
