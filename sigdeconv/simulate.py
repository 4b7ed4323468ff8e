"""Making the data of an experiment: blur through a frame, noise, and phantoms whose truth is known."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ._array import Array, floating, generator, namespace, number, per_axis, to_numpy
from .convolution import Convolution, psf_for

__all__ = [
    "Exposure",
    "blur",
    "gaussian_noise",
    "hollow_bars",
    "hollow_spheres",
    "poisson_noise",
    "siemens_star",
    "spectrum",
    "spikes",
    "stars",
    "through_frame",
]

Rng = np.random.Generator | int | None


class Exposure(NamedTuple):
    """A scene seen through a frame.

    Parameters
    ----------
    truth : array
        The part of the scene that the frame shows, sharp.
    blurred : array
        The same part, blurred, without noise.
    """

    truth: Array
    blurred: Array


def through_frame(scene: Array, psf: Array) -> Exposure:
    """Blur a scene and keep what a frame smaller by the PSF shows: what a camera does.

    Light from past the frame falls into it, as it does in every photograph, so no boundary condition is true of the
    result.

    Parameters
    ----------
    scene : array, shape (..., *scene)
        Larger than the PSF on each of its axes.
    psf : array
        Point spread function.

    Returns
    -------
    Exposure
        ``(truth, blurred)``, each of shape ``(..., *(scene - psf + 1))``.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or the scene is smaller than the PSF.

    Examples
    --------
    >>> import numpy as np
    >>> through_frame(np.arange(6.0), np.ones(3) / 3).truth
    array([1., 2., 3., 4.])
    """
    scene = floating(scene, "scene", moderate=True)
    psf = psf_for(psf, scene, signed=True)
    frame = tuple(n - k + 1 for n, k in zip(scene.shape[scene.ndim - psf.ndim :], psf.shape, strict=True))
    if min(frame) < 1:
        raise ValueError(
            f"scene has shape {tuple(scene.shape)} but psf {tuple(psf.shape)}; that leaves no frame: enlarge the scene"
        )
    blur = Convolution(psf, frame)
    return Exposure(scene[(..., *blur.frame)], blur.forward(scene))


def blur(scene: Array, psf: Array, *, boundary: str = "reflect") -> Array:
    """Blur a scene to an image of its own shape, under an assumption about what lies past its ends.

    `through_frame` needs no assumption.

    Parameters
    ----------
    scene : array, shape (..., *frame)
        Sharp scene, in any units. Leading axes are a batch.
    psf : array
        Point spread function with as many axes as `frame`; its sum may be zero.
    boundary : {"reflect", "periodic", "zero"}
        What the scene does past its ends. See `sigdeconv.Convolution`.

    Returns
    -------
    array
        Of the shape, kind and floating dtype of `scene`, in its units times the sum of the PSF.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.
    """
    scene = floating(scene, "scene", moderate=True)
    psf = psf_for(psf, scene, signed=True)
    if isinstance(boundary, str) and boundary == "free":
        raise ValueError("boundary is 'free', which makes the image smaller than the scene; use through_frame")
    return Convolution(psf, scene.shape[scene.ndim - psf.ndim :], boundary=boundary).forward(scene)


def gaussian_noise(image: Array, *, sigma: float | None = None, bsnr: float | None = None, rng: Rng = None) -> Array:
    """Add white Gaussian noise, its strength given as standard deviation or as signal-to-noise ratio.

    Parameters
    ----------
    image : array
        Blurred image without noise.
    sigma : float, optional
        Standard deviation, in the units of `image`.
    bsnr : float, optional
        Blurred signal-to-noise ratio in dB, ``10 log10(variance of image / sigma^2)``; in place of `sigma`.
    rng : numpy.random.Generator or int, optional
        Source of the noise, or its seed.

    Returns
    -------
    array
        Of the shape, kind and floating dtype of `image`, in its units. Nothing is clipped.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or not exactly one of `sigma` and `bsnr` is given.
    """
    image = floating(image, "image", moderate=True)
    if (sigma is None) == (bsnr is None):
        raise ValueError(f"sigma is {sigma} and bsnr is {bsnr}; pass one of the two")
    if bsnr is not None:
        variance = float(np.var(np.asarray(to_numpy(image), dtype=np.float64)))
        sigma = math.sqrt(variance) * 10 ** (-number(bsnr, "bsnr", minimum=-300) / 20)
    assert sigma is not None
    sigma = number(sigma, "sigma", minimum=0.0, maximum=1e30)
    return image + _like(generator(rng).standard_normal(image.shape) * sigma, image)


def poisson_noise(
    image: Array, *, photons: float | None = None, background: float = 0.0, read_noise: float = 0.0, rng: Rng = None
) -> Array:
    """Count photons: Poisson noise, on top of a background, and the read noise of the camera.

    Parameters
    ----------
    image : array
        Expected light without noise; not negative.
    photons : float, optional
        Expected photons at the brightest pixel, to which the image is scaled; by default `image` is in photons already.
    background : float
        Photons a pixel that come besides the image.
    read_noise : float
        Standard deviation of Gaussian noise that is added to the counts, in photons; the result may then be negative.
    rng : numpy.random.Generator or int, optional
        Source of the noise, or its seed.

    Returns
    -------
    array
        Counts in photons, background included, of the kind and floating dtype of `image`.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, `image` is dark everywhere and `photons` is given, or more than 1e18 photons
        are expected at a pixel.
    """
    image = floating(image, "image", moderate=True)
    expected = np.asarray(to_numpy(image), dtype=np.float64)
    # A blur by FFT leaves rounding of this order below zero where it is dark.
    if expected.min() < -1e-6 * max(expected.max(), 0.0):
        raise ValueError(
            f"image has negative samples (the lowest is {expected.min():g}); light is 0 or more: clip them"
        )
    expected = np.maximum(expected, 0.0)
    if photons is not None:
        peak = expected.max()
        if peak == 0:
            raise ValueError("image is dark everywhere, so it cannot be scaled to photons; leave photons out")
        expected = expected * (number(photons, "photons", above=0.0) / peak)
    expected = expected + number(background, "background", minimum=0.0)
    if expected.max() > 1e18:
        raise ValueError(f"image expects {expected.max():g} photons at its peak; at most 1e18 can be counted")
    source = generator(rng)
    counts = np.asarray(source.poisson(expected), dtype=np.float64)
    noise = number(read_noise, "read_noise", minimum=0.0, maximum=1e30)
    if noise:
        counts += noise * source.standard_normal(counts.shape)
    return _like(counts, image)


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


def _like(noise: Array, image: Array) -> Array:
    return namespace(image).asarray(noise, dtype=image.dtype, device=image.device)
