"""The trace that a point leaves while a camera is held by hand: a random PSF, for simulations and for training."""

from __future__ import annotations

import math

import numpy as np

from .._array import generator, number
from .kernels import Kernel, _shape

STEPS = 4000  # of the path: finer than a hundredth of a pixel for every PSF that fits a photograph
MEMORY = (0.05, 2.0)  # of the exposure: how long a direction lasts, for straightness 0 and 1 (logarithmic in between)
TREMOR = 0.3  # of the drift's speed: the fast part of the hand's motion
TWITCH = 0.02  # of the exposure: how long the fast part lasts
SHARPEST = 1e-3  # of the longer extent: the smallest that is scaled to the array


def shake(
    shape: int | tuple[int, int], *, straightness: float = 0.5, rng: np.random.Generator | int | None = None
) -> Kernel:
    """Random PSF of a camera held by hand: a smooth path with changing speed.

    Parameters
    ----------
    shape : int or (int, int)
        Rows and columns, at least 3 each; an integer gives a square. The path is scaled to reach the border of the
        array on one side, but for one sample.
    straightness : float
        From 0, a path that turns at random, to 1, a nearly straight one.
    rng : numpy.random.Generator or int, optional
        Source of the path, or its seed.

    Returns
    -------
    ndarray of float64, `shape`
        Sum 1, its centroid at the origin, sample ``n // 2`` of both axes.

    Raises
    ------
    TypeError, ValueError
        `shape` is smaller than 3 on an axis, or `straightness` is not from 0 to 1.

    Notes
    -----
    The velocity is a drift that forgets its direction over a part of the exposure (an Ornstein-Uhlenbeck process), plus
    a tremor. Equal times of exposure give equal light, laid bilinearly on the pixels, so that slow parts are bright.
    The paths look like those measured by Levin et al. [2]_; the idea of a random walk with inertia is that of [1]_.

    References
    ----------
    .. [1] G. Boracchi and A. Foi, IEEE Trans. Image Process. 21, 3502 (2012), doi:10.1109/TIP.2012.2192126.
    .. [2] A. Levin et al., CVPR (2009), doi:10.1109/CVPR.2009.5206815.

    Examples
    --------
    >>> psf = shake(21, rng=0)
    >>> psf.shape, round(float(psf.sum()), 6), bool(psf.min() >= 0)
    ((21, 21), 1.0, True)
    """
    size = _shape((shape, shape) if isinstance(shape, (int, np.integer)) else shape)
    if len(size) != 2 or min(size) < 3:
        raise ValueError(f"shape is {shape}; two entries of at least 3 are wanted")
    straight = number(straightness, "straightness", minimum=0.0, maximum=1.0)
    source = generator(rng)
    path = _path(source, straight)
    path -= path.mean(axis=1, keepdims=True)
    extent = np.abs(path).max(axis=1)
    path *= min((n - 3) / 2 / max(e, SHARPEST * extent.max()) for n, e in zip(size, extent, strict=True))
    psf = np.zeros(size)
    y, x = (p + n // 2 for p, n in zip(path, size, strict=True))
    for i in (0, 1):
        for j in (0, 1):
            rows, columns = np.floor(y).astype(int) + i, np.floor(x).astype(int) + j
            weight = (1 - np.abs(y - rows)) * (1 - np.abs(x - columns))
            inside = (rows >= 0) & (rows < size[0]) & (columns >= 0) & (columns < size[1])
            np.add.at(psf, (rows[inside], columns[inside]), weight[inside])
    result: Kernel = psf / psf.sum()
    return result


def _path(source: np.random.Generator, straight: float) -> Kernel:
    """Places at equal times, shape (2, STEPS), in units of their own."""
    from scipy.signal import lfilter

    memory = MEMORY[0] ** (1 - straight) * MEMORY[1] ** straight
    velocity = np.zeros((2, STEPS))
    for speed, lasts in ((1.0, memory), (TREMOR, TWITCH)):
        keep = math.exp(-1 / (lasts * STEPS))
        noise = source.standard_normal((2, STEPS))
        noise[:, 1:] *= math.sqrt(1 - keep * keep)  # stationary from the first step on
        velocity += speed * lfilter([1.0], [1.0, -keep], noise, axis=1)
    result: Kernel = velocity.cumsum(axis=1)
    return result
