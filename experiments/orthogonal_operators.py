"""The operators of `orthogonal`, each with all its singular values; and those between an orthogonal one and another."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

import sigdeconv

Numbers = np.ndarray[Any, Any]

STEPS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # t, from orthogonal on
SIDES = (2, 3, 5, 7)  # of random kernels, pixels
HAAR = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]) / 2.0  # a filter of 2 × 2 a row

#: Families of the operators that are drawn at random.
FAMILIES = {
    "blur": "Gaussian blur, σ = 1.5 px",
    "random": "random kernel, stride 1",
    "bank": "four random 2 × 2 kernels, stride 2",
    "blurs": "random blur (positive, sum 1)",
    "layer": "kernel as PyTorch draws it",
}


class Operator(NamedTuple):
    """One or more convolutions of the same scene, one a channel, and all their singular values together."""

    label: str
    channels: tuple[sigdeconv.Convolution, ...]
    sigma: Numbers
    kernels: Numbers  #: (channels, side, side), to be drawn

    def forward(self, x: Numbers) -> Numbers:
        return np.stack([np.asarray(channel(x)) for channel in self.channels])

    def adjoint(self, y: Numbers) -> Numbers:
        total: Numbers = np.sum([c.adjoint(part) for c, part in zip(self.channels, y, strict=True)], axis=0)
        return total


def from_otf(label: str, otf: Numbers, size: int, kernel: Numbers | None = None) -> Operator:
    """The periodic operator of a half spectrum: its singular values are the moduli of the whole spectrum."""
    blur = sigdeconv.Convolution.from_otf(otf, (size, size))
    psf = np.fft.irfft2(otf, (size, size))
    drawn = np.fft.fftshift(psf) if kernel is None else kernel
    return Operator(label, (blur,), np.abs(np.fft.fft2(psf)).ravel(), drawn[None])


def from_kernel(label: str, kernel: Numbers, size: int) -> Operator:
    return from_otf(label, sigdeconv.psf_to_otf(kernel, (size, size)), size, kernel)


def from_rows(label: str, W: Numbers, size: int) -> Operator:
    """Kernels with stride = side, a flattened one in each row of `W`: blocks of the scene do not meet.

    The singular values are those of `W`, once for each block, and 0 for what no kernel sees.
    """
    side = math.isqrt(W.shape[1])
    kernels = W.reshape(-1, side, side)
    frame = (size // side, size // side)
    channels = tuple(sigdeconv.Convolution(kernel, frame, boundary="free", stride=side) for kernel in kernels)
    sigma = np.zeros(W.shape[1])
    sigma[: min(W.shape)] = np.linalg.svd(W, compute_uv=False)
    return Operator(label, channels, sigma, kernels)


def part_way(kernel: Numbers, t: float, size: int, *, unit: bool, label: str = "") -> Operator:
    """U Pᵗ of one kernel with stride 1: the phase of its transfer function, and its modulus to the power `t`.

    With `unit` it is scaled so that the mean of σ² is 1, as it is at t = 0.
    """
    H = sigdeconv.psf_to_otf(kernel, (size, size))
    size_of = np.abs(H)
    phase = np.divide(H, size_of, out=np.ones_like(H), where=size_of > 0)
    operator = from_otf(label, phase * size_of**t, size)
    if not unit:
        return operator
    scale = float(np.sqrt(np.mean(operator.sigma**2)))
    return from_otf(label, phase * size_of**t / scale, size)


def rows_part_way(W: Numbers, t: float, size: int, *, label: str = "") -> Operator:
    """The same for the kernels of `from_rows`, by the singular values of their matrix."""
    U, s, V = np.linalg.svd(W, full_matrices=False)
    s = s**t
    return from_rows(label, (U * (s / np.sqrt(np.mean(s**2)))) @ V, size)


def cases(size: int, rng: np.random.Generator) -> dict[str, Operator]:
    """The operators that are shown one by one."""
    delta = np.zeros((3, 3))
    delta[1, 1] = 1.0
    noise = rng.standard_normal((size, size))
    random = rng.standard_normal((3, 3))
    return {
        "delta": from_kernel("delta: 1 in\nthe centre", delta, size),
        "minus": from_kernel("−1 in the\ncentre", -delta, size),
        "haar": from_rows("four Haar filters,\nstride 2", HAAR, size),
        "allpass": part_way(noise, 0.0, size, unit=False, label="all-pass filter,\nrandom phase"),
        "lowpass": from_rows("Haar average\nalone, stride 2", HAAR[:1], size),
        "blur": from_kernel("Gaussian blur,\nσ = 1.5 px", sigdeconv.psf.gaussian((11, 11), 1.5), size),
        "random": from_kernel("random 3 × 3\nkernel", random / np.linalg.norm(random), size),
    }


def path(family: str, size: int, rng: np.random.Generator) -> dict[float, Operator]:
    """Operators of one family from the orthogonal part (t = 0) to the whole (t = 1)."""
    if family == "blur":
        psf = sigdeconv.psf.gaussian((11, 11), 1.5)
        return {t: part_way(psf, t, size, unit=False) for t in STEPS}
    if family == "bank":
        W = rng.standard_normal((4, 4))
        return {t: rows_part_way(W, t, size) for t in STEPS}
    kernel = rng.standard_normal((3, 3))
    return {t: part_way(kernel, t, size, unit=True) for t in STEPS}


def draw(family: str, t: float, size: int, rng: np.random.Generator) -> Operator:
    """One operator drawn at random, gone the way `t` from its orthogonal part."""
    if family == "bank":
        return rows_part_way(rng.standard_normal((4, 4)), t, size)
    side = int(rng.choice(SIDES))
    if family == "blurs":
        kernel = rng.exponential(size=(side, side))
        return part_way(kernel / kernel.sum(), t, size, unit=False)
    if family == "layer":  # uniform within 1/√(weights that meet in a sample): torch.nn's default, one channel
        return part_way(rng.uniform(-1, 1, (side, side)) / side, t, size, unit=False)
    return part_way(rng.standard_normal((side, side)), t, size, unit=True)
