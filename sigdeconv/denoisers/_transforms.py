"""Patches and their transforms: all patches of an image at once, and the image from them again.

A patch of ``P x P`` pixels is transformed once, however many groups it will be a member of; groups gather coefficients,
and what they give back is added up as coefficients too, so that one inverse transform for each place is enough.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _parallel

Real = np.ndarray[Any, Any]

PATCH = 8
ROWS = 16  # of patches that are transformed together: their coefficients stay in the cache


def cosine(n: int) -> Real:
    """The orthonormal cosine transform (DCT-II), one basis vector a row."""
    k, i = np.arange(n)[:, None], np.arange(n)[None, :]
    matrix: Real = np.cos(np.pi * (2 * i + 1) * k / (2 * n)) * np.sqrt(2 / n)
    matrix[0] /= np.sqrt(2)
    return matrix


def haar(n: int) -> Real:
    """The orthonormal Haar transform of a power of two, one basis vector a row, the mean first."""
    matrix = np.ones((1, 1))
    while len(matrix) < n:
        size = len(matrix)
        matrix = np.concatenate([np.kron(matrix, [1, 1]), np.kron(np.eye(size), [1, -1])]) / np.sqrt(2)
    return matrix


def biorthogonal() -> Real:
    """The periodic wavelet transform "bior1.5" of a patch's line, rows of unit norm.

    Differences are Haar's. The means of the finest scale are corrected by their neighbours' differences (weights 22/128
    and -3/128, of which the second pair meets itself on a ring of four and cancels), and so do all on coarser rings.
    """
    pairs = np.eye(PATCH // 2)
    mean, difference = np.kron(pairs, [1, 1]), np.kron(pairs, [1, -1])
    mean = mean + 22 / 128 * (np.roll(difference, -1, axis=0) - np.roll(difference, 1, axis=0))
    coarse = haar(PATCH // 2) @ mean
    matrix = np.concatenate([coarse, difference])
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix


def coefficients(image: Real, matrix: Real) -> Real:
    """The transform of the patch at each place, shape ``(height - P + 1, width - P + 1, P * P)``, of float32."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (PATCH, PATCH))
    h, w = windows.shape[:2]
    out = np.empty((h, w, PATCH * PATCH), np.float32)
    left = matrix.astype(np.float32)
    right = np.ascontiguousarray(left.T)

    def block(start: int, end: int) -> None:
        patches = np.ascontiguousarray(windows[start:end])
        out[start:end] = (left @ (patches @ right)).reshape(end - start, w, -1)

    _parallel.run(block, h, ROWS)
    return out


def overlapped(sums: Real, weights: Real, inverse: Real, window: Real) -> Real:
    """The image from weighted sums of coefficients and of weights at each place: the weighted mean of what overlaps.

    `window` is a line of a patch's own weights; pixels at its rim know less of their surroundings and count less.
    """
    h, w = weights.shape
    left = (window[:, None] * inverse).astype(np.float32)
    right = np.ascontiguousarray(left.T)
    along = np.zeros((h, w + PATCH - 1, PATCH), np.float32)

    def block(start: int, end: int) -> None:
        pixels = left @ (sums[start:end].reshape(-1, w, PATCH, PATCH) @ right)
        for j in range(PATCH):
            along[start:end, j : j + w] += pixels[..., j]

    _parallel.run(block, h, ROWS)
    image = np.zeros((h + PATCH - 1, w + PATCH - 1), np.float32)
    row, total = np.zeros((h, w + PATCH - 1), np.float32), np.zeros_like(image)
    for j in range(PATCH):
        row[:, j : j + w] += window[j] * weights
    for i in range(PATCH):
        image[i : i + h] += along[:, :, i]
        total[i : i + h] += window[i] * row
    return image / total


def variances(matrix: Real, variance: float, correlation: Real | None) -> Real:
    """Variance of each coefficient of a patch of noise, shape ``(P * P,)``.

    `correlation` is that of two pixels by their distance, lags ``-P + 1 ... P - 1`` on both axes; None for white noise.
    """
    basis = np.kron(matrix, matrix)
    power: Real
    if correlation is None:
        power = variance * np.sum(basis**2, axis=1)
        return power
    y, x = (a.ravel() for a in np.indices((PATCH, PATCH)))
    covariance = correlation[y[:, None] - y + PATCH - 1, x[:, None] - x + PATCH - 1]
    power = np.einsum("ij,jk,ik->i", basis, covariance, basis, optimize=True)
    # A frequency without noise is kept as it is; the floor only guards the division by it.
    power = variance * np.maximum(power, 1e-6 * power.max())
    return power
