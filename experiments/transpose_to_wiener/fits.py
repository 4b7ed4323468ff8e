"""Fitting one transposed convolution to undo a blur: in closed form, by descent on exact gradients, and by torch.

All pictures are periodic, so that no sample is special and the squared error over them all is a quadratic of the kernel
whose matrix has the autocorrelation of the images, and whose right-hand side has their correlation with the scenes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from sigdeconv import Convolution, metrics, simulate

Numbers = np.ndarray[Any, Any]

PEAK = 255.0  # grey levels
#: Photographs to learn from. Those that are tested on are never among them.
LEARNED_FROM = ("chelsea", "rocket", "stereo_motorcycle", "brick", "grass", "gravel", "coins", "immunohistochemistry")
TESTED_ON = ("camera", "astronaut", "coffee")

RATE, DECAY, MEMORY = 0.003, 0.9, 0.999  # of Adam on exact gradients: first step, memory of gradient and of its square


class Pairs(NamedTuple):
    """What is learned from, or tested on; shape (count, y, x), in grey levels, the mean of each picture taken off."""

    scenes: Numbers
    images: Numbers


class Quadratic(NamedTuple):
    """The mean squared error of a kernel w over all samples: ``<w, R w> - 2 <c, w> + power``."""

    matrix: Numbers  #: R, shape (k², k²)
    cross: Numbers  #: c, shape (k²,)
    power: float

    def error(self, kernel: Numbers) -> float:
        w = kernel.ravel()
        return float(w @ (self.matrix @ w) - 2 * self.cross @ w + self.power)

    def gradient(self, w: Numbers) -> Numbers:
        result: Numbers = 2 * (self.matrix @ w - self.cross)
        return result


def photographs(names: Sequence[str], side: int) -> Numbers:
    """The middles of pictures that come with scikit-image, in grey levels; large ones at half their resolution."""
    from skimage import data

    from sigdeconv.transposed import bicubic

    found = []
    for name in names:
        picture = getattr(data, name)()
        picture = np.asarray(picture[0] if isinstance(picture, tuple) else picture, dtype=np.float64)
        grey = bicubic.luminance(picture) if picture.ndim == 3 else picture
        if min(grey.shape) >= 2 * side:
            grey = bicubic.imresize(grey, 0.5)
        corner = [(n - side) // 2 for n in grey.shape]
        found.append(grey[tuple(slice(c, c + side) for c in corner)])
    return np.stack(found)


def observed(scenes: Numbers, psf: Numbers, bsnr: float, rng: np.random.Generator) -> Pairs:
    """Blurred, with noise `bsnr` dB below each picture; the mean, which a blur keeps, goes around the filter."""
    scenes = scenes - scenes.mean(axis=(-2, -1), keepdims=True)
    blurred = Convolution(psf, scenes.shape[-2:], boundary="periodic").forward(scenes)
    noisy = np.stack([simulate.gaussian_noise(image, bsnr=bsnr, rng=rng) for image in blurred])
    return Pairs(scenes, noisy - noisy.mean(axis=(-2, -1), keepdims=True))


def applied(kernel: Numbers, images: Numbers) -> Numbers:
    """What the layer computes with stride 1: a convolution, ``conv_transpose2d`` with ``padding = k // 2``."""
    return np.asarray(Convolution(kernel, images.shape[-2:], boundary="periodic").forward(images))


def quadratic(pairs: Pairs, size: int) -> Quadratic:
    """The normal equations of a kernel of ``size x size``: those of exactly these pictures."""
    Y, X = np.fft.fft2(pairs.images), np.fft.fft2(pairs.scenes)
    count = math.prod(pairs.images.shape[-2:])
    power = float(np.mean(pairs.scenes**2))
    return _normal_equations(
        np.mean(np.abs(Y) ** 2, axis=0) / count, np.mean(X * Y.conj(), axis=0) / count, power, size
    )


def told(psf: Numbers, power: Numbers, noise: float, size: int) -> Quadratic:
    """The same where nothing is learned: from the blur, the power of photographs and the variance of the noise."""
    H = np.fft.fft2(Convolution(psf, power.shape, boundary="periodic").forward(_impulse(power.shape)))
    return _normal_equations(np.abs(H) ** 2 * power + noise, H.conj() * power, float(power.mean()), size)


def _impulse(shape: tuple[int, ...]) -> Numbers:
    result = np.zeros(shape)
    result[(0,) * len(shape)] = 1
    return result


def _normal_equations(auto: Numbers, cross: Numbers, power: float, size: int) -> Quadratic:
    """From the power spectrum of the images, and the spectrum of their correlation with the scenes, a sample."""
    if size > min(auto.shape):
        raise ValueError(f"size is {size} but the pictures have {auto.shape} pixels; pass at most {min(auto.shape)}")
    by_lag, with_scene = np.fft.ifft2(auto).real, np.fft.ifft2(cross).real
    place = np.arange(size)
    lag = place[:, None] - place[None, :]
    R = by_lag[lag[:, None, :, None], lag[None, :, None, :]].reshape(size**2, size**2)
    origin = place - size // 2
    return Quadratic(R, with_scene[np.ix_(origin, origin)].ravel(), power)


def closed_form(problem: Quadratic) -> Numbers:
    """The kernel of least squared error, the FIR Wiener filter: R w = c."""
    from scipy.linalg import cho_factor, cho_solve

    size = math.isqrt(problem.cross.size)
    return np.asarray(cho_solve(cho_factor(problem.matrix), problem.cross)).reshape(size, size)


def start(psf: Numbers, size: int) -> Numbers:
    """The transpose of the blur itself as the first guess: its PSF flipped, in the middle of the kernel."""
    kernel = np.zeros((size, size))
    flipped = np.flip(psf)
    low = [size // 2 - (k - 1 - k // 2) for k in psf.shape]
    for index in np.ndindex(*psf.shape):
        at = tuple(i + n for i, n in zip(index, low, strict=True))
        if all(0 <= a < size for a in at):
            kernel[at] = flipped[index]
    return kernel


def condition(problem: Quadratic) -> float:
    """The largest curvature of the error over the least."""
    values = np.linalg.eigvalsh(problem.matrix)
    return float(values[-1] / values[0])


def descent(problem: Quadratic, w: Numbers, steps: Sequence[int]) -> Iterator[Numbers]:
    """Plain gradient descent at the best fixed rate, after so many steps.

    A step multiplies the distance from the optimum along each eigenvector of R by ``1 - rate x eigenvalue``, so many
    are as cheap as one.
    """
    values, vectors = np.linalg.eigh(problem.matrix)
    best = vectors @ ((vectors.T @ problem.cross) / values)
    away = vectors.T @ (w.ravel() - best)
    factor = 1 - 2 * values / (values[0] + values[-1])
    for t in steps:
        yield (best + vectors @ (np.sign(factor) ** t * np.abs(factor) ** t * away)).reshape(w.shape)


def conjugate_gradients(problem: Quadratic, w: Numbers, steps: Sequence[int]) -> Iterator[Numbers]:
    """Gradient descent with a memory: each step goes as far as pays, along what no step before has settled."""
    shape, w = w.shape, w.ravel().copy()
    r = problem.cross - problem.matrix @ w
    p, wanted = r, set(steps)
    if 0 in wanted:
        yield w.reshape(shape).copy()
    for t in range(1, max(steps) + 1):
        q, power = problem.matrix @ p, r @ r
        if power > 0:
            step = power / (p @ q)
            w, r = w + step * p, r - step * q
            p = r + (r @ r) / power * p
        if t in wanted:
            yield w.reshape(shape).copy()


def adam(problem: Quadratic, w: Numbers, steps: Sequence[int], *, rate: float = RATE) -> Iterator[Numbers]:
    """Adam on exact gradients, its rate falling to nothing along half a cosine."""
    shape, w, last, wanted = w.shape, w.ravel().copy(), max(steps), set(steps)
    m, v = np.zeros_like(w), np.zeros_like(w)
    if 0 in wanted:
        yield w.reshape(shape).copy()
    for t in range(1, last + 1):
        g = problem.gradient(w)
        m, v = DECAY * m + (1 - DECAY) * g, MEMORY * v + (1 - MEMORY) * g**2
        now = rate * (1 + math.cos(math.pi * (t - 1) / last)) / 2
        w = w - now * (m / (1 - DECAY**t)) / (np.sqrt(v / (1 - MEMORY**t)) + 1e-12)
        if t in wanted:
            yield w.reshape(shape).copy()


DESCENTS: dict[str, Callable[..., Iterator[Numbers]]] = {
    "descent": descent,
    "adam": adam,
    "conjugate": conjugate_gradients,
}


def radial(power: Numbers) -> Numbers:
    """A power spectrum on the full grid of `numpy.fft`, averaged over rings of equal frequency."""
    freq = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in power.shape), indexing="ij"))
    ring = np.rint(freq * min(power.shape)).astype(int)
    return np.asarray((np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel()))[ring])


def spectrum(scenes: Numbers) -> Numbers:
    """How strong each frequency is in photographs on average, a sample; the mean of each is taken off."""
    off = scenes - scenes.mean(axis=(-2, -1), keepdims=True)
    return radial(np.mean(np.abs(np.fft.fft2(off)) ** 2, axis=0) / math.prod(scenes.shape[-2:]))


def unbounded(images: Numbers, psf: Numbers, power: Numbers, noise: float) -> Numbers:
    """Wiener's filter without an end, told the blur, the variance of the noise and the power of photographs."""
    n = images.shape[-1]
    H = Convolution(psf, images.shape[-2:], boundary="periodic").otf
    S = power[:, : n // 2 + 1]
    return np.asarray(
        np.fft.irfft2(H.conj() * S / (np.abs(H) ** 2 * S + noise) * np.fft.rfft2(images), images.shape[-2:])
    )


def psnr(scenes: Numbers, estimates: Numbers) -> float:
    """The mean over pictures."""
    values = [metrics.psnr(x, y, data_range=PEAK) for x, y in zip(scenes, estimates, strict=True)]
    return float(np.mean(values))
