"""Shifts between frames of one scene: the peak of the cross-correlation, refined by least squares (Irani and Peleg)."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft

SMOOTHING = 1.0  # pixels, of the frames that are compared: what noise and aliasing make of a gradient draws shifts to 0
REFINEMENTS = 20
SETTLED = 1e-3  # pixels a refinement, less than noise leaves uncertain

Frame = np.ndarray[Any, Any]


def positions(frames: Frame) -> Frame:
    """Position of each frame relative to the first, in pixels: ``frames[i][p]`` shows what lies at ``p + t[i]``.

    `frames` has the shape ``(frames, *shape)``, the result ``(frames, ndim)``.
    """
    from scipy.ndimage import gaussian_filter

    smooth = [gaussian_filter(frame, SMOOTHING, mode="nearest") for frame in frames]
    found = [np.zeros(frames.ndim - 1)]
    found += [_refined(smooth[0], frame, _peak(smooth[0], frame)) for frame in smooth[1:]]
    return np.array(found)


def _peak(first: Frame, frame: Frame) -> Frame:
    """The whole-pixel shift at which two frames are most alike."""
    window = np.ones(())
    for axis, n in enumerate(first.shape):  # the frame's edge stands still: it must not be what is compared
        line = np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2
        window = window * line.reshape((-1,) + (1,) * (first.ndim - 1 - axis))
    a, b = (scipy.fft.rfftn(window * (f - f.mean())) for f in (first, frame))
    alike = scipy.fft.irfftn(a * b.conj(), s=first.shape)
    peak = np.array(np.unravel_index(int(np.argmax(alike)), alike.shape))
    size = np.array(first.shape)
    return np.where(peak > size // 2, peak - size, peak).astype(float)


def _refined(first: Frame, frame: Frame, t: Frame) -> Frame:
    """Gauss and Newton's steps to the shift at which the first frame, seen further on by it, is nearest to `frame`."""
    from scipy.ndimage import shift

    for _ in range(REFINEMENTS):
        moved = shift(first, -t, order=3, mode="nearest")
        border = np.ceil(np.abs(t)).astype(int) + 2
        inside = tuple(
            slice(min(int(b), (n - 1) // 2), max(n - int(b), (n - 1) // 2 + 1))
            for b, n in zip(border, first.shape, strict=True)
        )
        slopes = [
            np.gradient(moved, axis=axis)[inside].ravel() if n > 1 else None for axis, n in enumerate(first.shape)
        ]
        columns = np.stack([np.zeros(moved[inside].size) if s is None else s for s in slopes], axis=1)
        step = np.linalg.lstsq(columns, (frame - moved)[inside].ravel(), rcond=None)[0]
        step = np.clip(step, -1.0, 1.0)  # beyond a pixel the gradient tells nothing
        t = t + step
        if np.abs(step).max() < SETTLED:
            break
    return t
