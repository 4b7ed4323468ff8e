"""Phantoms: signals, images and volumes whose truth is known. `simulate` offers them."""

from __future__ import annotations

import math

import numpy as np

from ._array import Array, generator, number, per_axis

Rng = np.random.Generator | int | None


def spikes(length: int, *, num: int = 12, rng: Rng = None) -> Array:
    """A sparse 1-D signal of spikes of both signs, as reflections in the ground.

    Parameters
    ----------
    length : int
        Samples of the signal.
    num : int
        Number of spikes, at most one a sample.
    rng : numpy.random.Generator or int, optional
        Source of the random numbers, or its seed.

    Returns
    -------
    ndarray of float64, shape (length,)
        Zero but for spikes of a magnitude from 0.3 to 1.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.
    """
    (n,) = per_axis(length, 1, "length", minimum=1)
    (num,) = per_axis(num, 1, "num", minimum=0)
    source = generator(rng)
    signal = np.zeros(n)
    where = source.choice(n, size=min(num, n), replace=False)
    signal[where] = source.choice([-1.0, 1.0], where.size) * source.uniform(0.3, 1.0, where.size)
    return signal


def spectrum(length: int, *, num: int = 8, rng: Rng = None) -> Array:
    """Narrow spectral lines on a smooth continuum.

    Parameters
    ----------
    length : int
        Samples of the spectrum.
    num : int
        Number of lines; each is a Gaussian with a standard deviation of 1.2 samples.
    rng : numpy.random.Generator or int, optional
        Source of the random numbers, or its seed.

    Returns
    -------
    ndarray of float64, shape (length,)
        Positive, with a peak of 1.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.
    """
    (n,) = per_axis(length, 1, "length", minimum=1)
    (num,) = per_axis(num, 1, "num", minimum=1)
    source = generator(rng)
    t = np.arange(n)
    signal = 0.1 + 0.05 * np.cos(2 * math.pi * t / n)
    for center, height in zip(source.uniform(0, n, num), source.uniform(0.2, 1.0, num), strict=True):
        signal += height * np.exp(-0.5 * ((t - center) / 1.2) ** 2)
    return signal / signal.max()


def stars(shape: tuple[int, int], *, num: int = 100, rng: Rng = None) -> Array:
    """A field of point sources on black, with brightness spread over three decades.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    num : int
        Number of sources, each of one pixel; where several fall on one, they add up.
    rng : numpy.random.Generator or int, optional
        Source of the random numbers, or its seed.

    Returns
    -------
    ndarray of float64, shape (rows, columns)
        Not negative, with a peak of 1.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.
    """
    size = per_axis(shape, 2, "shape", minimum=1)
    (num,) = per_axis(num, 1, "num", minimum=1)
    source = generator(rng)
    image = np.zeros(size)
    at = tuple(source.integers(0, n, num) for n in size)
    np.add.at(image, at, 10 ** source.uniform(-3, 0, num))
    return image / image.max()


def siemens_star(shape: tuple[int, int], *, spokes: int = 36) -> Array:
    """A star of bright and dark sectors, finer towards the centre.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    spokes : int
        Number of bright sectors, and of dark ones.

    Returns
    -------
    ndarray of float64, shape (rows, columns)
        Between 0 and 1, and 0.5 around the star. Edges are averaged over the area of a pixel.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.
    """
    rows, columns = per_axis(shape, 2, "shape", minimum=1)
    (spokes,) = per_axis(spokes, 1, "spokes", minimum=1)
    fine = 4  # samples a pixel and axis, so that edges are not jagged
    y = (np.arange(rows * fine) + 0.5) / fine - rows / 2
    x = (np.arange(columns * fine) + 0.5) / fine - columns / 2
    angle = np.arctan2(y[:, None], x[None, :])
    inside = np.hypot(y[:, None], x[None, :]) < 0.48 * min(rows, columns)
    star = np.where(inside, np.sin(spokes * angle) > 0, 0.5)
    return star.reshape(rows, fine, columns, fine).mean(axis=(1, 3))


def hollow_bars(shape: tuple[int, int, int] = (32, 64, 64), *, num: int = 5) -> Array:
    """Hollow bars along y with bright walls, as in the phantom of the EPFL.

    Parameters
    ----------
    shape : (int, int, int)
        Samples along z, y and x.
    num : int
        Number of bars, side by side along x.

    Returns
    -------
    ndarray of float64, shape (z, y, x)
        1 in the walls, 0 elsewhere.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.
    """
    nz, ny, nx = per_axis(shape, 3, "shape", minimum=1)
    (num,) = per_axis(num, 1, "num", minimum=1)
    volume = np.zeros((nz, ny, nx))
    pitch = nx / num
    outer, inner = 0.3 * pitch, 0.18 * pitch
    z = np.arange(nz)[:, None] - (nz - 1) / 2
    for bar in range(num):
        x = np.arange(nx)[None, :] - (bar + 0.5) * pitch + 0.5
        away = np.maximum(np.abs(z), np.abs(x))
        wall = (away <= outer) & (away > inner)
        volume[:, ny // 8 : ny - ny // 8, :] += wall[:, None, :]
    return volume


def hollow_spheres(shape: tuple[int, int, int], *, num: int = 12, radius: float = 5.0, rng: Rng = None) -> Array:
    """Spherical shells a voxel and a half thick at random places.

    Parameters
    ----------
    shape : (int, int, int)
        Samples along z, y and x.
    num : int
        Number of shells; they may overlap and be cut by the frame.
    radius : float
        Distance of the middle of a shell from its centre, in voxels.
    rng : numpy.random.Generator or int, optional
        Source of the random numbers, or its seed.

    Returns
    -------
    ndarray of float64, shape (z, y, x)
        0 to 1; the flanks of a shell fall off linearly over a voxel.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.
    """
    size = per_axis(shape, 3, "shape", minimum=1)
    (num,) = per_axis(num, 1, "num", minimum=1)
    radius = number(radius, "radius", above=0.0)
    source = generator(rng)
    grid = np.meshgrid(*(np.arange(n, dtype=float) for n in size), indexing="ij", sparse=True)
    volume = np.zeros(size)
    for center in source.uniform(0, 1, (num, 3)) * np.array(size):
        away = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(grid, center, strict=True)))
        volume = np.maximum(volume, np.clip(1.25 - np.abs(away - radius), 0.0, 1.0))
    return volume
