"""Filtering by FFTs against plain `scipy.fft`: threaded blocks, cut-off padding, other backends, forks and threads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import scipy.fft

import sigdeconv
from sigdeconv import Convolution, _fft


def plainly(x: np.ndarray, transfer: np.ndarray, grid: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """What `filter` computes, in one line of SciPy."""
    axes = tuple(range(-len(grid), 0))
    y = scipy.fft.irfftn(scipy.fft.rfftn(x, s=grid, axes=axes) * transfer, s=grid, axes=axes)
    return y[(..., *map(slice, shape))]


def problem(grid: tuple[int, ...], inner: tuple[int, ...], dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    """An image and the transfer function of a random (so asymmetric) PSF that fills the grid."""
    rng = np.random.default_rng(len(inner))
    return rng.standard_normal(inner).astype(dtype), scipy.fft.rfftn(rng.standard_normal(grid).astype(dtype))


# Blocks of a few rows and columns cut small arrays as the true blocks cut large ones: with ragged ends.
@pytest.fixture(params=["blocks as measured", "tiny blocks"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    if request.param == "tiny blocks":
        monkeypatch.setattr(_fft, "BLOCK", 53)
        monkeypatch.setattr(_fft, "COLUMNS", 3)


@pytest.mark.parametrize("conjugate", [False, True])
@pytest.mark.parametrize(
    ("batch", "grid", "inner", "shape"),
    [
        ((), (31,), (17,), (23,)),
        ((3, 4), (30,), (30,), (11,)),
        ((), (15, 16), (15, 16), (15, 16)),
        ((), (16, 15), (7, 11), (13, 5)),
        ((), (1, 8), (1, 5), (1, 8)),
        ((2, 3), (12, 9), (5, 9), (12, 2)),
        ((), (10, 9, 8), (7, 5, 3), (10, 9, 8)),
        ((), (9, 8, 7), (9, 8, 7), (2, 3, 5)),
        ((2,), (9, 5, 1), (4, 5, 1), (9, 1, 1)),
    ],
)
def test_filter_is_the_circular_convolution(batch, grid, inner, shape, conjugate, blocks, kind, close):
    x, transfer = problem(grid, (*batch, *inner))
    wanted = plainly(x, transfer.conj() if conjugate else transfer, grid, shape)
    given, of = kind.array(x), kind.array(transfer)
    close(kind.numpy(_fft.filter(given, of, grid, shape, conjugate=conjugate)), wanted)
    np.testing.assert_array_equal(kind.numpy(given), x)
    np.testing.assert_array_equal(kind.numpy(of), transfer)
    if kind.name == "numpy":
        for out in (np.empty_like(wanted), np.empty((*wanted.shape[:-1], 2 * wanted.shape[-1]))[..., ::2]):
            assert _fft.filter(x, transfer, grid, shape, conjugate=conjugate, out=out) is out
            close(out, wanted)


def test_then_sees_each_block_with_its_own_part_of_the_arrays(blocks, close):
    for batch, grid in (((), (16, 15)), ((3,), (16, 15)), ((2, 3), (9, 8, 7)), ((4,), (31,))):
        x, transfer = problem(grid, (*batch, *grid))
        weights = np.random.default_rng(1).standard_normal(x.shape)
        gains = np.arange(1.0, 1 + np.prod(batch)).reshape(*batch, *(1,) * len(grid))
        then = (lambda y, w, g: w * y - g, weights, gains)
        close(_fft.filter(x, transfer, grid, grid, then=then), weights * plainly(x, transfer, grid, grid) - gains)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("batch", "grid", "inner"),
    [
        ((), (1080, 1024), (1031, 977)),  # rows and columns in several strips
        ((), (72, 120, 108), (61, 101, 97)),
        ((2,), (640, 600), (613, 557)),  # large items one after the other
        ((37,), (108, 100), (101, 97)),  # small items, several to a block
        ((11, 3), (24, 32, 30), (23, 29, 27)),
        ((), (1 << 19,), ((1 << 19) - 1,)),
    ],
)
def test_large_arrays_take_the_threaded_path_and_equal_scipy(batch, grid, inner, dtype, threads, close):
    x, transfer = problem(grid, (*batch, *inner), dtype)
    wanted = plainly(x, transfer, grid, inner)
    result = _fft.filter(x, transfer, grid, inner)
    assert result.dtype == dtype
    close(result, wanted)
    out = np.empty_like(x)
    assert _fft.filter(x, transfer, grid, inner, out=out) is out
    np.testing.assert_array_equal(out, result)
    assert _fft.filter(out, transfer, grid, inner, out=out) is out  # in place
    close(out, plainly(result, transfer, grid, inner), slack=2)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_transform_and_inverse(ndim, kind, close):
    grid, inner = (9, 8, 10)[-ndim:], (5, 8, 7)[-ndim:]
    x = np.random.default_rng(0).standard_normal((2, *inner))
    spectrum = _fft.transform(kind.array(x), grid)
    close(kind.numpy(spectrum), np.fft.rfftn(x, s=grid, axes=range(-ndim, 0)))
    padded = np.zeros((2, *grid))
    padded[(..., *map(slice, inner))] = x
    close(kind.numpy(_fft.inverse(spectrum, grid)), padded)
    odd = kind.array(np.fft.rfftn(np.ones((3,) * ndim)))
    close(kind.numpy(_fft.inverse(odd, (3,) * ndim)), np.ones((3,) * ndim))


def test_fast_length_is_the_smallest_with_small_factors():
    def largest_factor(n: int) -> int:
        largest = 1
        for p in range(2, n + 1):
            while n % p == 0:
                largest, n = p, n // p
        return largest

    for n in range(1, 400):
        for real, allowed in ((True, 5), (False, 11)):
            fast = _fft.fast_length(n, real=real)
            assert fast >= n
            assert largest_factor(fast) <= allowed
            assert all(largest_factor(m) > allowed for m in range(n, fast))


class Counting:
    """A backend of `scipy.fft`: NumPy's transforms, counted."""

    __ua_domain__ = "numpy.scipy.fft"

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def __ua_function__(self, method, args, kwargs):
        self.calls[method.__name__] += 1
        kept = {name: value for name, value in kwargs.items() if name in ("n", "s", "axis", "axes")}
        return getattr(np.fft, method.__name__)(*args, **kept)


@pytest.fixture
def restored():
    yield
    scipy.fft.set_global_backend("scipy")


@pytest.mark.parametrize("scope", ["global", "with"])
@pytest.mark.parametrize("frame", [(1 << 18,), (701, 803), (31, 97, 101)])
def test_a_backend_of_scipy_fft_does_every_transform(frame, scope, restored, threads, close):
    blur = Convolution(np.random.default_rng(0).standard_normal((7, 5, 3)[: len(frame)]), frame)
    x = np.random.default_rng(1).standard_normal((2, *blur.domain_shape))
    wanted = blur(x), blur.adjoint(blur(x))
    assert not _fft.plugged_in()
    backend = Counting()
    if scope == "global":
        scipy.fft.set_global_backend(backend)
    # The words `with set_backend(...)` hold in the calling thread only, so no transform may leave it.
    with scipy.fft.set_backend(backend) if scope == "with" else nullcontext():
        assert _fft.plugged_in()
        backend.calls.clear()
        y = blur(x)
        assert backend.calls["rfftn"] == backend.calls["irfftn"] == 1
        assert not {"fft", "ifft", "irfft"} & set(backend.calls)
        close(y, wanted[0])
        close(blur.adjoint(y), wanted[1])
        backend.calls.clear()
        Convolution(blur.psf, frame)
        assert backend.calls["rfft"] == 1  # the PSF's last axis, and then the others
        assert backend.calls["fft"] == len(frame) - 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("psf", "frame"), [((9,), (1 << 18,)), ((7, 5), (701, 803)), ((5, 4, 3), (31, 97, 101))])
def test_pyfftw_plugs_in_and_gives_the_same(psf, frame, dtype, restored, threads, close):
    backend = pytest.importorskip("pyfftw.interfaces.scipy_fft")
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal(psf).astype(dtype)
    blur = Convolution(kernel, frame)
    x = rng.standard_normal(blur.domain_shape).astype(dtype)
    wanted = blur(x), blur.adjoint(blur(x))
    scipy.fft.set_global_backend(backend)
    blur = Convolution(kernel, frame)
    y = blur(x)
    assert y.dtype == dtype
    close(y, wanted[0])
    close(blur.adjoint(y), wanted[1], slack=2)


def test_one_blur_serves_several_threads_at_once(threads, monkeypatch):
    monkeypatch.setattr(_fft, "BLOCK", 1 << 14)  # some twenty blocks
    rng = np.random.default_rng(0)
    blur = Convolution(rng.standard_normal((9, 6)), (509, 701), boundary="reflect")
    images = list(rng.standard_normal((6, 509, 701)))
    wanted = [(blur(x), blur.adjoint(x)) for x in images]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for (y, z), (forward, adjoint) in zip(
                pool.map(lambda x: (blur(x), blur.adjoint(x)), images), wanted, strict=True
            ):
                np.testing.assert_array_equal(y, forward)
                np.testing.assert_array_equal(z, adjoint)


FORK = """
import multiprocessing, os, signal, sys
import numpy as np
from sigdeconv import Convolution, _fft, _parallel

_parallel.workers = lambda: 2  # threads even where there is one core
_fft.BLOCK = 1 << 14  # and some twenty blocks for them
psf = np.random.default_rng(0).standard_normal((5, 4))
x = np.random.default_rng(1).standard_normal((604, 603))
blur = Convolution(psf, (600, 600))

def task(_):
    return Convolution(psf, (600, 600))(x), blur(x)

wanted = blur(x)  # the parent's threads run now
if sys.argv[1] == "fork":
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        os._exit(0 if all(np.array_equal(y, wanted) for y in task(0)) else 3)
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child ended with {status}"
else:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for results in pool.map_async(task, range(3)).get(30):
            assert all(np.array_equal(y, wanted) for y in results)
assert np.array_equal(blur(x), wanted)  # and they still run afterwards
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("how", ["fork", "pool"])
def test_a_forked_process_filters_large_images_too(how):
    # A process of its own: this one holds threads of other libraries, whose locks a fork would copy.
    path = os.pathsep.join([str(Path(sigdeconv.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, how],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, run.stdout) == (0, "done\n"), run.stderr
