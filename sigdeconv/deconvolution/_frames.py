"""Several frames of one scene, shifted by parts of a pixel, as one operator on a finer grid.

A pixel of the frame at position ``t`` (in pixels) sees the scene around ``p + t``; on a grid `factor` times finer its
centre lies at the fine sample ``factor (p + t) + (factor - 1) / 2``. The whole part of that is a choice of samples, the
rest a shift of the PSF; frames with the same rest share one blur, and so one pair of transforms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._array import Array, is_numpy, namespace
from .._parallel import each
from ..convolution import Convolution

ALIKE = 1e-3  # of a fine sample: shifts closer than this are not told apart
MARGIN = 3  # samples that a PSF grows by at each end when it is shifted by a part of a sample


@dataclass(frozen=True)
class Sampling:
    """Which samples of which blur a frame is."""

    blur: int
    start: tuple[int, ...]  #: sample of the blurred scene under the frame's first pixel


class Frames:
    """``A x``: every frame of a scene. What the likelihood asks of a `Convolution`, with the frames as first axis.

    Data have the shape ``(..., frames, *shape)``, scenes ``(..., 1, *domain)``.
    """

    psf = None  # several: the likelihood then computes its sensitivity exactly

    def __init__(
        self,
        psf: Array,
        shape: tuple[int, ...],
        shifts: np.ndarray[Any, Any],
        factor: tuple[int, ...],
        *,
        boundary: str,
        area: bool,
    ) -> None:
        ndim = len(shape)
        self.boundary, self.stride = boundary, factor
        self._observed = shape
        scale = np.array(factor)
        # The first frame is where the result lies.
        position = (shifts - shifts[0]) * scale + (scale - 1) / 2 * (2 if area else 1)
        whole = np.floor(position + ALIKE).astype(int)
        part = np.where(position - whole < ALIKE, 0.0, position - whole)
        parts: list[np.ndarray[Any, Any]] = []
        which = []
        for rest in part:
            alike = [i for i, other in enumerate(parts) if np.abs(rest - other).max() < ALIKE]
            which.append(alike[0] if alike else len(parts))
            if not alike:
                parts.append(rest)
        grow = tuple(MARGIN if bool(np.any(part[:, axis] > 0)) else 0 for axis in range(ndim))
        kernels = [_kernel(psf, rest, grow, factor if area else (1,) * ndim) for rest in parts]
        center = tuple(k // 2 for k in psf.shape)
        first = whole.min(axis=0)
        # The scene is all that any frame sees, and at least the first frame, on which the result lies; a periodic one
        # is a period.
        fine = tuple(n * s for n, s in zip(shape, factor, strict=True))
        if boundary == "periodic":
            start, size = (0,) * ndim, fine
        else:
            start = tuple(min(int(f), 0) for f in first)
            last = whole.max(axis=0) + (np.array(shape) - 1) * scale + 1
            size = tuple(max(int(b), n) - a for a, b, n in zip(start, last, fine, strict=True))
        origin = tuple(c + g for c, g in zip(center, grow, strict=True))
        self._blurs = [Convolution(kernel, size, boundary=boundary, center=origin) for kernel in kernels]
        self._samplings = [
            Sampling(i, tuple(int(w) - a for w, a in zip(row, start, strict=True)))
            for i, row in zip(which, whole, strict=True)
        ]
        self.window = tuple(
            slice(part.start - a, part.start - a + n)
            for part, a, n in zip(self._blurs[0].frame, start, fine, strict=True)
        )
        xp = namespace(psf)
        self.otf = xp.reshape(xp.sum(psf), (1,) * (ndim + 1))  # at zero frequency, which is all that is asked of it

    @property
    def ndim(self) -> int:
        """Axes of a frame, and the axis of frames."""
        return len(self._observed) + 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all frames."""
        return (len(self._samplings), *self._observed)

    @property
    def domain_shape(self) -> tuple[int, ...]:
        """Of the scene, with an axis of size one where the frames have theirs."""
        return (1, *self._blurs[0].domain_shape)

    @property
    def frame(self) -> tuple[Any, ...]:
        """Where the first frame lies within the domain."""
        return (slice(0, 1), *self.window)

    def forward(self, x: Array, *, out: Array | None = None, then: tuple[Any, ...] | None = None) -> Array:
        """``A x``."""
        xp = namespace(x)
        scene = x[(..., 0, *(slice(None),) * (self.ndim - 1))]
        blurred = [blur.forward(scene) for blur in self._blurs]
        frames = [self._sampled(blurred[sampling.blur], sampling.start) for sampling in self._samplings]
        y = xp.stack(frames, axis=-self.ndim)
        return y if then is None else each(then[0], y, *then[1:], out=out if is_numpy(x) else None)

    def adjoint(self, y: Array, *, out: Array | None = None, then: tuple[Any, ...] | None = None) -> Array:
        """``Aᴴ y``."""
        xp = namespace(y)
        batch = tuple(y.shape[: y.ndim - self.ndim])
        total = None
        for number, blur in enumerate(self._blurs):
            fine = xp.zeros((*batch, *blur.shape), dtype=y.dtype, device=y.device)
            for index, sampling in enumerate(self._samplings):
                if sampling.blur == number:
                    self._add(fine, y[(..., index, *(slice(None),) * (self.ndim - 1))], sampling.start)
            back = blur.adjoint(fine)
            total = back if total is None else total + back
        x = xp.expand_dims(total, axis=len(batch))
        return x if then is None else each(then[0], x, *then[1:], out=out if is_numpy(y) else None)

    def _runs(self, start: int, axis: int) -> list[tuple[slice, slice]]:
        """Samples of the blurred scene on an axis and the pixels that they are; a periodic scene may need two runs."""
        n, step, size = self._observed[axis], self.stride[axis], self._blurs[0].shape[axis]
        if self.boundary != "periodic":
            return [(slice(start, start + (n - 1) * step + 1, step), slice(0, n))]
        start %= size
        before = min(n, math.ceil((size - start) / step))
        runs = [(slice(start, start + (before - 1) * step + 1, step), slice(0, before))]
        if before < n:
            again = start + before * step - size
            runs.append((slice(again, again + (n - before - 1) * step + 1, step), slice(before, n)))
        return runs

    def _sampled(self, fine: Array, start: tuple[int, ...]) -> Array:
        xp = namespace(fine)
        for axis, first in enumerate(start):
            after = (slice(None),) * (len(start) - 1 - axis)
            pieces = [fine[(..., samples, *after)] for samples, _ in self._runs(first, axis)]
            fine = pieces[0] if len(pieces) == 1 else xp.concat(pieces, axis=axis - len(start))
        return fine

    def _add(self, fine: Array, frame: Array, start: tuple[int, ...]) -> None:
        """The transpose of `_sampled`, added to `fine`."""
        every = [self._runs(first, axis) for axis, first in enumerate(start)]
        for choice in np.ndindex(*(len(runs) for runs in every)):
            pairs = [runs[i] for runs, i in zip(every, choice, strict=True)]
            fine[(..., *(samples for samples, _ in pairs))] += frame[(..., *(pixels for _, pixels in pairs))]


def _kernel(psf: Array, part: np.ndarray[Any, Any], grow: tuple[int, ...], box: tuple[int, ...]) -> Array:
    """The PSF seen `part` of a sample further on, summed over the fine samples of a pixel."""
    for axis, (g, n) in enumerate(zip(grow, box, strict=True)):
        if g:
            psf = _padded(psf, g, axis)
        if part[axis] > 0:
            psf = _shifted(psf, float(part[axis]), axis)
        if n > 1:
            length, psf = psf.shape[axis] + n - 1, _padded(psf, n - 1, axis)
            psf = sum(psf[(*(slice(None),) * axis, slice(i, i + length), ...)] for i in range(n)) / n
    return psf


def _padded(psf: Array, width: int, axis: int) -> Array:
    xp = namespace(psf)
    shape = (*psf.shape[:axis], width, *psf.shape[axis + 1 :])
    zeros = xp.zeros(shape, dtype=psf.dtype, device=psf.device)
    return xp.concat([zeros, psf, zeros], axis=axis)


def _shifted(psf: Array, part: float, axis: int) -> Array:
    """``psf`` at ``j + part`` along an axis, as the band-limited function through its samples has it; its sum is kept.

    What rings below zero is cut, so that light stays positive.
    """
    xp = namespace(psf)
    n = psf.shape[axis]
    room = 2 * n
    index = xp.arange(room // 2 + 1, dtype=psf.dtype, device=psf.device)
    index = xp.astype(index, xp.complex64 if psf.dtype == xp.float32 else xp.complex128)
    phase = xp.exp(index * (2j * math.pi * part / room))
    phase = xp.reshape(phase, (-1,) + (1,) * (psf.ndim - 1 - axis))
    shifted = xp.fft.irfft(xp.fft.rfft(psf, n=room, axis=axis) * phase, n=room, axis=axis)
    shifted = shifted[(*(slice(None),) * axis, slice(0, n), ...)]
    shifted = xp.maximum(shifted, xp.zeros_like(shifted))
    return shifted * (xp.sum(psf) / xp.sum(shifted))
