"""Volumes larger than memory: a restoration, block by block with a halo, resumed where it was interrupted.

No algorithm is known here: `map_chunks` is handed a function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ._array import Array, per_axis, shown
from ._chunks.told import Chunked, ChunkProgress, ChunksEndedError, ChunksFailedError

__all__ = ["ChunkProgress", "Chunked", "ChunksEndedError", "ChunksFailedError", "map_chunks"]


def map_chunks(
    function: Callable[..., Any],
    volume: Any,
    psf: Array,
    *,
    out: Any = None,
    chunks: str | int | Sequence[int] = "auto",
    overlap: int | Sequence[int] | None = None,
    boundary: str = "free",
    channel_axis: int | None = None,
    dtype: str | None = None,
    cluster: Any = "threads",
    workers: int | None = None,
    memory: float | None = None,
    device: str | None = None,
    retries: int = 2,
    resume: bool = True,
    overwrite: bool = False,
    callback: Callable[[ChunkProgress], object] | None = None,
    **options: Any,
) -> Chunked:
    """Restore a volume that is larger than memory, block by block, without seams.

    Parameters
    ----------
    function : callable
        A method of this package, or any function ``function(image, psf, **options)`` that returns an array of the
        image's shape, such as `richardson_lucy`.
    volume : path or array
        A ``.zarr`` array, OME-Zarr image, ``.tif`` or ``.npy`` file, or anything with ``shape``, ``dtype`` and slices:
        a memory map, an open Zarr array, a dask array. Its last axes are those of the PSF; the others (time) are a
        batch, and restored one by one.
    psf : array
        Point spread function. What it is small enough to leave out costs time: see `psf.crop`.
    out : path or array, optional
        Where the result goes: a ``.zarr``, ``.tif`` or ``.npy`` file that is written, or an array that is filled. By
        default it stays in memory.
    chunks : "auto" or int or sequence of int
        Samples along the sides of the blocks that are kept. "auto": as large as the memory allows, and with fast FFT
        lengths.
    overlap : int or sequence of int, optional
        Samples that a block sees beyond what is kept of it, on each side, or a few more. By default 3.3 times as far as
        99.9 % of the PSF's light reach and seven samples more, for conjugate steps 5.2 times; for functions that take
        one boundary for all axes 1.6 times.
    boundary : {"free", "zero", "reflect", "periodic"}
        What the scene does past the volume, as the function understands it. Where a block ends within the volume its
        scene goes on, whatever is said here.
    channel_axis : int, optional
        The axis of colours or channels, which are restored one by one.
    dtype : {"float32", "float64"}, optional
        What is computed in, and the type of the result. By default float32, and float64 for volumes of float64 and of
        integers of more than 16 bits.
    cluster : "threads", "processes", address or distributed.Client
        Who does the work: threads of this process, processes of this machine, or the workers of a dask scheduler
        (``"tcp://host:8786"``), which must see the same files. A script that asks for processes does so below
        ``if __name__ == "__main__":``, since each of them reads it.
    workers : int, optional
        Number of threads or processes. By default one thread, whose FFTs use all cores; or a process a core.
    memory : float, optional
        Bytes that one worker may use. By default a share of what is free, or what the cluster says.
    device : str, optional
        Blocks become torch tensors on this device, such as "cuda"; then two threads, one of which computes while the
        other moves samples.
    retries : int
        How often a chunk that fails is tried again.
    resume : bool
        Whether to go on from what an interrupted run of the same call has left in the folder ``NAME.part`` beside
        `out`.
    overwrite : bool
        Whether an existing `out` may be replaced.
    callback : callable, optional
        Called with a `ChunkProgress` before the first chunk and after each; True ends the run, which then raises
        `ChunksEndedError`.
    **options
        Of `function`. Arrays of the volume's shape (``weights``, ``background``) are cut as it is. A weight, a noise
        level or a number of iterations that is not given is chosen once, on the block with the most contrast, and is
        then the same for all.

    Returns
    -------
    Chunked
        ``(result, report)``. If `out` is a path, the report lies beside it as ``NAME.json``.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the message says which, what came and what to pass.
    MemoryError
        No block fits into the memory.
    OSError
        A file is missing, or exists.
    ChunksFailedError
        Some chunks failed, after all retries. The others are saved; the same call tries the rest.
    ChunksEndedError
        `callback` has returned True.

    Notes
    -----
    A block is restored with its halo, and its own part is kept. What lies farther away than the overlap has no
    influence. That is exact for a blur; a restoration reaches farther, the more so the less noise there is and the
    longer it iterates. So neighbours are compared where both have computed: ``report["seam"]`` is the largest
    difference found there, relative to the largest value. With 10 plain Richardson-Lucy iterations it is some 1e-5.

    At ends within the volume a function is told that the scene is unknown ("free"). One whose parameter `boundary` is
    annotated as a sequence too, as that of `richardson_lucy` is, is told there along each axis that the scene repeats
    ("periodic"): wrong at the very ends, but the FFT grid then needs no room for what the PSF brings in. The same grid
    holds as much more of the halo, and the error is a tenth.

    Iterations that measure their steps on all that they see would take other steps in each block: the conjugate steps
    of `richardson_lucy` are therefore measured once as well, and then reach farther than as many plain ones do. Other
    accelerations give seams of some per cent.

    Within three reaches of the volume's own frame filters and priors differ from a run in one piece by up to some per
    cent: what they assume past the frame depends on how much they see. Iterations that end at a tolerance (`tol` of
    `total_variation`) end elsewhere in each block; a smaller one brings blocks together.

    Memory and time are measured on a small block before the work begins, and told by ``callback``.

    References
    ----------
    M. Rocklin, Dask: parallel computation with blocked algorithms and task scheduling, Proc. 14th Python in Science
    Conf. (2015), doi:10.25080/Majora-7b98e3ed-013.

    Examples
    --------
    >>> import numpy as np, sigdeconv
    >>> psf = sigdeconv.psf.gaussian((5, 5, 5), 1.0)
    >>> volume = np.random.default_rng(0).poisson(100.0, (20, 60, 50)).astype(np.float32)
    >>> plain = {"num_iter": 3, "accelerate": False}
    >>> restored, report = map_chunks(sigdeconv.richardson_lucy, volume, psf, chunks=(20, 30, 25), **plain)
    >>> report["chunks"]["number"]
    4
    >>> whole = sigdeconv.richardson_lucy(volume, psf, **plain)
    >>> bool(np.abs(restored - whole).max() < 1e-3 * whole.max())
    True
    """
    from ._chunks.request import Request
    from ._chunks.run import Run  # when they are wanted: json, hashes and files take their time to load
    from ._chunks.workers import workers as the_workers

    asked = Request(
        function,
        volume,
        psf,
        options,
        out=out,
        chunks=chunks,
        overlap=overlap,
        boundary=boundary,
        channel_axis=channel_axis,
        dtype=dtype,
        memory=memory,
        overwrite=overwrite,
    )
    if device is not None and not (cluster is None or (isinstance(cluster, str) and cluster == "threads")):
        raise ValueError(f"device is {shown(device)} and cluster {shown(cluster)}; a device is fed by threads")
    count = None if workers is None else per_axis(workers, 1, "workers", minimum=1)[0]
    if device is not None and count is None:
        count = 2
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is {shown(callback)}; a function of one ChunkProgress is wanted")
    run = Run(asked, per_axis(retries, 1, "retries", minimum=0)[0], device, callback)
    try:
        there = run.ended(resume)
        if there is not None:
            return there
        with the_workers(cluster, count) as pool:
            run.prepare(pool, resume)
            return run.work(pool)
    finally:
        run.ledger.release()
