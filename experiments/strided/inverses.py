"""A blur with a stride, on periodic scenes: zero insertion, pseudo-inverse, best linear estimate, null space."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sigdeconv import Convolution

Numbers = np.ndarray[Any, Any]

STRIDE = 2


class Case(NamedTuple):
    """Photographs, shape (count, y, x), and their strided samples."""

    blur: Convolution
    scenes: Numbers
    images: Numbers


class Split(NamedTuple):
    """An image in two parts at right angles: what the samples tell, and what they cannot."""

    range: Numbers
    null: Numbers


def zero_insertion(samples: Numbers) -> Numbers:
    """The samples on the grid of the scene, zeros between them."""
    result = np.zeros((*samples.shape[:-2], *(STRIDE * n for n in samples.shape[-2:])))
    result[..., ::STRIDE, ::STRIDE] = samples
    return result


def _blocks(blur: Convolution) -> Numbers:
    """Gains of the blur, shape (aliases, y, x): by frequency of the samples, those that fall on one another."""
    impulse = np.zeros(blur.domain_shape)
    impulse[0, 0] = 1
    full = Convolution(blur.psf, blur.domain_shape, boundary="periodic")
    return _aliases(np.fft.fft2(full.forward(impulse)))


def _aliases(spectrum: Numbers) -> Numbers:
    rows, columns = (n // STRIDE for n in spectrum.shape[-2:])
    parts = spectrum.reshape(*spectrum.shape[:-2], STRIDE, rows, STRIDE, columns)
    return np.moveaxis(parts, -2, -3).reshape(*spectrum.shape[:-2], STRIDE**2, rows, columns)


def _joined(parts: Numbers) -> Numbers:
    rows, columns = parts.shape[-2:]
    grid = parts.reshape(*parts.shape[:-3], STRIDE, STRIDE, rows, columns)
    return np.moveaxis(grid, -3, -2).reshape(*parts.shape[:-3], STRIDE * rows, STRIDE * columns)


def _solved(blur: Convolution, samples: Numbers, strength: Numbers | float, noise: float) -> Numbers:
    """``S Aᴴ (A S Aᴴ + noise)⁻¹ y``, frequency by frequency of the samples: A makes blocks of one row there."""
    H = _blocks(blur)
    share = STRIDE**2
    below = (strength * np.abs(H) ** 2).sum(axis=0) / share + noise
    back = strength * H.conj() * (np.fft.fft2(samples) / below)[..., None, :, :]
    return np.asarray(np.fft.ifft2(_joined(back)).real)


def pseudo_inverse(blur: Convolution, samples: Numbers) -> Numbers:
    """The smallest scene that gives these samples, or comes nearest to them: A⁺ y."""
    return _solved(blur, samples, 1.0, 0.0)


def linear_estimate(blur: Convolution, samples: Numbers, power: Numbers, noise: float) -> Numbers:
    """The linear estimate of least mean squared error, for scenes of a mean power spectrum; the mean is kept apart."""
    middle = samples.mean(axis=(-2, -1), keepdims=True)
    strength = _aliases(power.astype(float))
    return np.asarray(middle + _solved(blur, samples - middle, strength, noise))


def split(blur: Convolution, image: Numbers) -> Split:
    """A⁺A x, and x − A⁺A x, which A maps to zero."""
    seen = pseudo_inverse(blur, np.asarray(blur.forward(image)))
    return Split(seen, image - seen)


def best_gain(estimate: Numbers, scenes: Numbers) -> Numbers:
    """The estimate times the one number that suits the scenes best: more than any user could know."""
    return estimate * float(np.vdot(estimate, scenes) / np.vdot(estimate, estimate))
