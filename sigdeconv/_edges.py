"""One axis of a blur: how long the scene, its extension past the frame and the FFT grid are, and how edges continue.

Every boundary becomes the same three steps: extend the scene, convolve circularly on a grid, keep what is observed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ._array import Array, namespace
from ._fft import fast_length


@dataclass(frozen=True)
class Axis:
    """Geometry of one axis, in samples."""

    frame: int  #: observed samples
    stride: int
    domain: int  #: samples of the scene
    lead: int  #: sample of the domain where the frame begins
    before: int  #: samples by which the scene is continued before and after
    after: int
    mirror: bool  #: the continuation is a mirror image; otherwise it is periodic
    grid: int  #: period of the circular convolution
    origin: int  #: sample of the (trimmed) PSF that goes to sample zero of the grid
    keep: slice  #: samples of the PSF that can matter

    @property
    def extended(self) -> int:
        """Length of the continued scene."""
        return self.before + self.domain + self.after

    @property
    def frame_in_domain(self) -> slice:
        """The samples of the domain that the frame covers."""
        return slice(self.lead, min(self.lead + self.frame * self.stride, self.domain))

    def trimmed(self, psf: Array, axis: int) -> Array:
        """The PSF without the samples on this axis that reach past everything."""
        return psf[(*(slice(None),) * axis, self.keep, ...)]

    @classmethod
    def circular(cls, n: int) -> Axis:
        """The axis of a periodic blur that is given by its transfer function."""
        return cls(n, 1, n, 0, 0, 0, False, n, 0, slice(None))

    @classmethod
    def make(cls, n: int, k: int, s: int, c: int, boundary: str, domain: int | None, *, last: bool) -> Axis:
        """The axis for `n` observed samples, PSF length `k` with origin `c`, stride `s`; `last` of the PSF's axes."""
        smallest = (n - 1) * s + (k if boundary == "free" else 1)
        usual = smallest if boundary == "free" else n * s
        if domain is None:
            domain = usual
        elif not smallest <= domain < smallest + s:
            raise ValueError(
                f"domain_shape has the entry {domain} but {n} samples at stride {s} come from "
                f"{smallest} to {smallest + s - 1} samples with boundary={boundary!r}"
            )
        whole = slice(None)
        if boundary == "free":
            return cls(n, s, domain, k - 1 - c, 0, 0, False, fast_length(domain, real=last), k - 1, whole)
        if boundary == "zero":
            # Taps that reach past the whole scene meet only darkness.
            start, stop = max(0, c - domain + 1), min(k, c + domain)
            c, k = c - start, stop - start
            # Both ends may wrap into the same dark zone, so the longer arm of the PSF is room enough.
            grid = fast_length(domain + max(c, k - 1 - c), real=last)
            return cls(n, s, domain, 0, 0, 0, False, grid, c, slice(start, stop))
        if boundary == "periodic" and (fast_length(domain, real=last) == domain or k > domain):
            return cls(n, s, domain, 0, 0, 0, False, domain, c, whole)
        before, after = k - 1 - c, c
        grid = fast_length(domain + k - 1, real=last)
        return cls(n, s, domain, 0, before, after, boundary == "reflect", grid, k - 1, whole)


def extend(x: Array, axes: Sequence[Axis]) -> Array:
    """Continue the scene past its ends on the last axes, periodically or mirrored."""
    xp = namespace(x)
    for number, axis in enumerate(axes, start=-len(axes)):
        if axis.before or axis.after:
            pieces = [_piece(x, start, stop, flip, number) for start, stop, flip, _ in _pieces(axis)]
            x = xp.concat(pieces, axis=number)
    return x


def fold(x: Array, axes: Sequence[Axis]) -> Array:
    """The transpose of `extend`: what lies past the ends is added to the samples it was a copy of."""
    xp = namespace(x)
    for number, axis in enumerate(axes, start=-len(axes)):
        if not (axis.before or axis.after):
            continue
        shape = list(x.shape)
        shape[number] = axis.domain
        folded = xp.zeros(tuple(shape), dtype=x.dtype, device=x.device)
        for start, stop, flip, at in _pieces(axis):
            piece = _piece(x, at, at + stop - start, flip, number)
            folded[_at(start, stop, number)] += piece
        x = folded
    return x


def _pieces(axis: Axis) -> list[tuple[int, int, bool, int]]:
    """The continued scene as runs ``(start, stop, flip, at)`` of the scene, in order; `at` is where the run stands."""
    n, pieces, position = axis.domain, [], -axis.before
    end = n + axis.after
    while position < end:
        period, offset = divmod(position, n)
        length = min(n - offset, end - position)
        flip = axis.mirror and period % 2 == 1
        start = n - offset - length if flip else offset
        pieces.append((start, start + length, flip, position + axis.before))
        position += length
    return pieces


def _piece(x: Array, start: int, stop: int, flip: bool, number: int) -> Array:
    piece = x[_at(start, stop, number)]
    return namespace(x).flip(piece, axis=number) if flip else piece


def _at(start: int, stop: int, number: int) -> tuple[object, ...]:
    return (..., slice(start, stop), *(slice(None),) * (-number - 1))
