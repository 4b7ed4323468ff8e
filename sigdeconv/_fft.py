"""Filtering by real FFTs: fast lengths, all cores, no wasted passes.

`filter` is the workhorse: zero-pad, transform, multiply by a transfer function, transform back, crop. For NumPy it goes
through `scipy.fft` (so that its backends, pyFFTW's among them, plug in) axis by axis in blocks that fit the cache:
the last two transforms over the first axis and the multiplication between them touch main memory once, and lines that
hold only padding, or that the crop discards, are never transformed. Other arrays use their namespace's own `fft`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.fft

from . import _parallel
from ._array import Array, is_numpy, namespace

Then = tuple[Any, ...]  #: a function of blocks, and the arrays that it takes besides the result

BLOCK = 1 << 18  # spectral samples in a block (2 MiB of complex64): measured best, 2-D and 3-D, around the cache size
COLUMNS = 64  # columns transformed together at least: whole cache lines of a row are used


def fast_length(n: int, *, real: bool = True) -> int:
    """The smallest length of at least `n` with a fast transform: real on a grid's last axis, complex on the others."""
    return int(scipy.fft.next_fast_len(n, real=real))


def plugged_in() -> bool:
    """Whether another backend of `scipy.fft` than SciPy's own is in use."""
    try:
        with scipy.fft.skip_backend("scipy"):
            scipy.fft.rfft(np.zeros(2))
    except NotImplementedError:
        return False
    return True


def transform(x: Array, grid: Sequence[int]) -> Array:
    """Real FFT over the last axes, zero-padded to `grid`: the half spectrum."""
    axes = tuple(range(-len(grid), 0))
    if is_numpy(x):
        return scipy.fft.rfftn(x, s=tuple(grid), axes=axes, workers=_parallel.workers())
    # One axis after the other: some namespaces pad only the last one in rfftn.
    xp = namespace(x)
    x = xp.fft.rfft(x, n=grid[-1], axis=-1)
    for axis in reversed(axes[:-1]):
        x = xp.fft.fft(x, n=grid[axis], axis=axis)
    return x


def transform_axis(x: Array, axis: int, *, real: bool) -> Array:
    """FFT along one axis; of real samples the half spectrum."""
    if is_numpy(x):
        return (scipy.fft.rfft if real else scipy.fft.fft)(x, axis=axis, workers=_parallel.workers())
    fft = namespace(x).fft
    return (fft.rfft if real else fft.fft)(x, axis=axis)


def inverse(spectrum: Array, grid: Sequence[int], *, overwrite: bool = False) -> Array:
    """The real array on `grid` that has this half spectrum, which `overwrite` gives away."""
    axes = tuple(range(-len(grid), 0))
    if is_numpy(spectrum):
        return scipy.fft.irfftn(spectrum, s=tuple(grid), axes=axes, workers=_parallel.workers(), overwrite_x=overwrite)
    xp = namespace(spectrum)
    for axis in axes[:-1]:
        spectrum = xp.fft.ifft(spectrum, n=grid[axis], axis=axis)
    return xp.fft.irfft(spectrum, n=grid[-1], axis=-1)


def filter(  # noqa: A001  (the field's word)
    x: Array,
    transfer: Array,
    grid: Sequence[int],
    shape: Sequence[int],
    *,
    conjugate: bool = False,
    then: Then | None = None,
    out: Array | None = None,
    work: Array | None = None,
) -> Array:
    """Samples ``[:shape]`` of the circular convolution on `grid` of the zero-padded `x` with a transfer function.

    Parameters
    ----------
    x
        Real array, ``(..., *inner)`` with ``inner <= grid``.
    transfer
        Half spectrum, ``(*grid[:-1], grid[-1] // 2 + 1)``.
    grid, shape
        Periods of the circular convolution, and the leading part of it that is wanted.
    conjugate
        Correlate instead: multiply by the conjugate of `transfer`.
    then
        ``(function, *arrays)``: the result becomes ``function(result, *arrays)``, element by element as in
        `_parallel.each`, while it is still in the cache.
    out
        Array to write the result into (NumPy only; elsewhere a new array is made). It may be one of `then`'s arrays.
    work
        Where the spectrum is made (NumPy only), as `workspace` gives it for this. What is a view of it may be `x` or
        `out`.
    """
    ndim = len(grid)
    if not is_numpy(x):
        xp = namespace(x)
        factor = xp.conj(transfer) if conjugate else transfer
        y = inverse(transform(x, grid) * factor, grid)
        y = y[(..., *(slice(n) for n in shape))]
        return y if then is None else then[0](y, *then[1:])
    batch = x.shape[: x.ndim - ndim]
    if out is None:
        out = np.empty((*batch, *shape), x.dtype)
    if plugged_in():
        # A backend is bound to this thread and plans whole transforms best.
        spectrum = transform(x, grid)
        _parallel.each(
            lambda s, t: s * (np.conj(t) if conjugate else t), spectrum, _aligned(transfer, x.ndim), out=spectrum
        )
        y = inverse(spectrum, grid, overwrite=True)[(..., *(slice(n) for n in shape))]
        finish, *arrays = then or (lambda y: y,)
        return _parallel.each(finish, y, *arrays, out=out)
    items = list(np.ndindex(*batch))
    if ndim == 1 or (len(items) > 1 and math.prod(grid) <= BLOCK):
        read = () if then is None else then[1:]
        free = out.flags.c_contiguous and not any(np.may_share_memory(a, out) for a in read)
        whole = out if free else np.empty(out.shape, out.dtype)
        _filter_items(x, transfer, grid, whole, conjugate)
        if then is not None:
            return _parallel.each(then[0], whole, *read, out=out)
        if whole is not out:
            out[...] = whole
        return out
    if work is None:
        work, _ = workspace(max(x.shape[-ndim], shape[0]), transfer, (0,) * ndim)
    for item in items:
        _filter_in_strips(x, item, transfer, grid, out, conjugate, work, then)
    return out


def workspace(rows: int, transfer: Array, shape: Sequence[int]) -> tuple[Array, Array]:
    """Room for the spectrum of an image with so many rows, and a real array of `shape` that lies within it.

    The real array takes no memory of its own. A row of it lies where its spectrum will be: each is overwritten by the
    other, when it is no longer wanted.
    """
    spectral = np.result_type(transfer.dtype, np.complex64)  # a real transfer function is a complex one too
    work = np.empty((rows, *transfer.shape[1:]), spectral)
    return work, work.view(work.real.dtype)[tuple(slice(n) for n in shape)]


def _aligned(transfer: Array, ndim: int) -> Array:
    """The transfer function with the batch axes of the data, of size one."""
    return transfer.reshape((1,) * (ndim - transfer.ndim) + transfer.shape)


def _times(spectrum: Array, transfer: Array, conjugate: bool) -> None:
    """``spectrum *= transfer`` in place, or its conjugate without a conjugated copy of the whole."""
    if conjugate:
        np.multiply(spectrum, np.conj(transfer), out=spectrum)
    else:
        np.multiply(spectrum, transfer, out=spectrum)


def _filter_items(x: Array, transfer: Array, grid: Sequence[int], out: Array, conjugate: bool) -> None:
    """Filter many small arrays: whole items in blocks."""
    ndim, axes = len(grid), tuple(range(-len(grid), 0))
    x = x.reshape(-1, *x.shape[x.ndim - ndim :])
    flat = out.reshape(-1, *out.shape[out.ndim - ndim :])
    crop = (slice(None), *(slice(n) for n in flat.shape[1:]))

    def block(start: int, end: int) -> None:
        spectrum = scipy.fft.rfftn(x[start:end], s=tuple(grid), axes=axes)
        _times(spectrum, transfer, conjugate)
        flat[start:end] = scipy.fft.irfftn(spectrum, s=tuple(grid), axes=axes, overwrite_x=True)[crop]

    _parallel.run(block, len(x), BLOCK // math.prod(grid))


def _filter_in_strips(
    batch: Array,
    item: tuple[int, ...],
    transfer: Array,
    grid: Sequence[int],
    results: Array,
    conjugate: bool,
    work: Array,
    then: Then | None,
) -> None:
    """Filter one large array: planes over the inner axes, strips of columns over the first axis, planes back."""
    x, out = batch[item], results[item]
    rows, kept = x.shape[0], out.shape[0]
    middle = range(1, len(grid) - 1)
    # A plane's lines beyond the data are zero and need no transform along the last axis: pad each axis when it comes.
    per_plane = math.prod(transfer.shape[1:])

    def forth(start: int, end: int) -> None:
        plane = scipy.fft.rfft(x[start:end], n=grid[-1], axis=-1)
        for axis in reversed(middle):
            plane = scipy.fft.fft(plane, n=grid[axis], axis=axis, overwrite_x=True)
        work[start:end] = plane

    def columns(start: int, end: int) -> None:
        strip = scipy.fft.fft(flat[:rows, start:end], n=grid[0], axis=0)
        _times(strip, flat_transfer[:, start:end], conjugate)
        flat[:kept, start:end] = scipy.fft.ifft(strip, axis=0, overwrite_x=True)[:kept]

    def back(start: int, end: int) -> None:
        plane = work[start:end]
        for axis in middle:
            plane = scipy.fft.ifft(plane, axis=axis)
            plane = plane[(slice(None),) * axis + (slice(out.shape[axis]),)]
        plane = scipy.fft.irfft(plane, n=grid[-1], axis=-1)[..., : out.shape[-1]]
        if then is not None:
            index = (*item, slice(start, end))
            plane = then[0](plane, *(a[_parallel.within(index, a.shape)] for a in then[1:]))
        out[start:end] = plane

    flat = work.reshape(len(work), -1)
    flat_transfer = transfer.reshape(grid[0], -1)
    _parallel.run(forth, rows, BLOCK // per_plane)
    _parallel.run(columns, flat.shape[1], max(COLUMNS, BLOCK // grid[0]))
    _parallel.run(back, kept, BLOCK // per_plane)
