"""The PSF of a shake: fitted to the gradients of a sharp scene, kept free of crumbs, brought from level to level.

A PSF here is a 2-D NumPy array of floats with its origin at sample ``n // 2``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._psf_operator import PSFOperator
from ._spectrum import Numbers

FIT_ITER = 30  # of accelerated projected gradients; the alternation goes on from where they end
POWER_ITER = 6  # to the largest eigenvalue, which is found within a few per cent
SAFETY = 1.1  # the largest eigenvalue is at most so many times what the power iteration found
RIDGE = 1e-2  # weight of |h|^2, in units of the scene's squared gradients: what makes the fit unique in flat scenes
FAINT = 0.03  # of the largest sample: what is smaller is noise
CRUMB = 0.05  # of the PSF's sum: a piece that is apart from the others and holds less is noise


def fitted(scene: Numbers, data: Numbers, psf: Numbers) -> Numbers:
    """The PSF ``h >= 0`` of least ``|scene * h - data|^2 + ridge |h|^2``, from a first guess.

    `scene` and `data` are stacks of gradients on one frame, shape ``(2, rows, columns)``; the fit asks for what
    the PSF makes of the scene where it needs nothing from past the frame.
    """
    taps = psf.shape
    inner = tuple(n - k + 1 for n, k in zip(scene.shape[1:], taps, strict=True))
    operator = PSFOperator.of(scene, taps, inner, "free")
    seen: Any = (slice(None), *(slice(k - 1 - k // 2, k - 1 - k // 2 + n) for n, k in zip(inner, taps, strict=True)))
    ridge = RIDGE * float((scene * scene).sum())
    if not ridge > 0:
        return psf
    steep = SAFETY * _largest(operator, taps) + ridge
    toward = operator.adjoint(data[seen])
    h = ahead = psf
    t = 1.0
    for _ in range(FIT_ITER):
        slope = operator.adjoint(operator.forward(ahead)) - toward + ridge * ahead
        new = np.maximum(ahead - slope / steep, 0.0)
        if float(((ahead - new) * (new - h)).sum()) > 0:  # O'Donoghue and Candes: the momentum goes uphill
            t = 1.0
        after = (1 + math.sqrt(1 + 4 * t * t)) / 2
        ahead, h, t = new + (t - 1) / after * (new - h), new, after
    return h


def _largest(operator: PSFOperator, taps: Sequence[int]) -> float:
    """The largest eigenvalue of the operator after its transpose."""
    v, value = np.ones(tuple(taps)), 0.0
    for _ in range(POWER_ITER):
        v = v / np.linalg.norm(v)
        w = operator.adjoint(operator.forward(v))
        value, v = float((v * w).sum()), w
    return value


def cleaned(psf: Numbers) -> Numbers:
    """Without faint samples and small separate pieces; of sum 1, its centroid at the origin to half a pixel."""
    from scipy import ndimage

    h = np.where(psf < FAINT * psf.max(), 0.0, psf)
    pieces, count = ndimage.label(h > 0, np.ones((3,) * h.ndim))
    light = ndimage.sum(h, pieces, np.arange(1, count + 1))
    kept = np.concatenate([[False], light >= min(CRUMB * float(h.sum()), float(light.max()))])
    h = h * kept[pieces]
    return centered(h / h.sum())


def centered(psf: Numbers) -> Numbers:
    """Moved by whole pixels, its centroid to the origin; what would leave the array is lost."""
    result = np.zeros_like(psf)
    source, target = [], []
    for axis, n in enumerate(psf.shape):
        line = psf.sum(axis=tuple(a for a in range(psf.ndim) if a != axis))
        move = n // 2 - round(float(line @ np.arange(n) / line.sum()))
        source.append(slice(max(0, -move), min(n, n - move)))
        target.append(slice(max(0, move), min(n, n + move)))
    result[tuple(target)] = psf[tuple(source)]
    centred: Numbers = result / result.sum()
    return centred


def rescaled(psf: Numbers, taps: Sequence[int], ratio: float) -> Numbers:
    """The PSF on pixels that are `ratio` times as fine, on a grid of `taps`; the origin stays."""
    for axis, k in enumerate(taps):
        n = psf.shape[axis]
        weights = tents((np.arange(k) - k // 2) / ratio + n // 2, n, ratio)
        psf = np.moveaxis(np.tensordot(weights, psf, (1, axis)), 0, axis)
    result: Numbers = psf / psf.sum()
    return result


def tents(places: Numbers, n: int, ratio: float) -> Numbers:
    """Weights of `n` samples at places between them: linear interpolation, or a tent as wide as the new pixels."""
    width = max(1.0, 1 / ratio)
    weights: Numbers = np.maximum(1 - np.abs(np.arange(n) - places[:, None]) / width, 0.0)
    return weights
