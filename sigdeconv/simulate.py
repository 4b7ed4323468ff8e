"""Making the data of an experiment: blur through a frame, noise, and phantoms whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ._array import Array, floating, generator, namespace, number, to_numpy
from ._phantoms import hollow_bars, hollow_spheres, siemens_star, spectrum, spikes, stars
from .convolution import Convolution, along_axes, psf_for

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


def blur(scene: Array, psf: Array, *, boundary: str | Sequence[str] = "reflect") -> Array:
    """Blur a scene to an image of its own shape, under an assumption about what lies past its ends.

    `through_frame` needs no assumption.

    Parameters
    ----------
    scene : array, shape (..., *frame)
        Sharp scene, in any units. Leading axes are a batch.
    psf : array
        Point spread function with as many axes as `frame`; its sum may be zero.
    boundary : {"reflect", "periodic", "zero"} or sequence of these
        What the scene does past its ends, on all axes or each. See `sigdeconv.Convolution`.

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
    if "free" in along_axes(boundary, psf.ndim):
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


def _like(noise: Array, image: Array) -> Array:
    return namespace(image).asarray(noise, dtype=image.dtype, device=image.device)
