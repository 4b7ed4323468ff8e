"""Work cut into blocks: every sample once, on every core, with the same result as in one piece."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest

from sigdeconv import _parallel

SHAPES = [(7,), (1000,), (13, 17), (1, 40), (300, 2), (5, 1, 31), (3, 4, 5, 6), (2, 1, 1, 1), ()]


@pytest.fixture(params=["blocks as measured", "tiny blocks"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    if request.param == "tiny blocks":
        monkeypatch.setattr(_parallel, "BLOCK", 11)
        monkeypatch.setattr(_parallel, "SERIAL", 0)


@pytest.mark.parametrize(("stop", "step"), [(10, 3), (10, 10), (10, 99), (1, 1), (7, 0), (0, 5), (1000, 1)])
def test_run_covers_the_range_once(stop, step, threads):
    seen = np.zeros(stop, int)
    lengths = []

    def function(start, end):
        seen[start:end] += 1
        lengths.append(end - start)

    _parallel.run(function, stop, step)
    assert (seen == 1).all()
    assert max(lengths, default=0) <= max(step, 1)


def test_run_uses_threads_at_the_same_time(threads):
    # Two calls that wait for each other can only both return if they run side by side.
    meet = threading.Barrier(2, timeout=10)
    _parallel.run(lambda start, end: meet.wait(), 2, 1)


def test_run_stays_in_the_calling_thread_for_one_block_or_one_core(threads, monkeypatch):
    names = []

    def function(start, end):
        names.append(threading.current_thread().name)

    _parallel.run(function, 5, 5)
    monkeypatch.setattr(_parallel, "workers", lambda: 1)
    _parallel.run(function, 5, 1)
    assert set(names) == {threading.current_thread().name}


def test_an_exception_of_a_thread_reaches_the_caller(threads):
    def function(start, end):
        if start == 7:
            raise ZeroDivisionError("in block 7")

    with pytest.raises(ZeroDivisionError, match="in block 7"):
        _parallel.run(function, 20, 1)
    _parallel.run(lambda start, end: None, 20, 1)  # and the pool still works


@pytest.mark.parametrize(
    ("asked", "wanted"), [("1", 1), ("100000", None), ("", None), ("0", 1), ("1,4", 1), ("many", None), ("-2", None)]
)
def test_workers_are_the_cores_or_fewer_if_asked(asked, wanted, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    count = _parallel.workers.__wrapped__()
    monkeypatch.delenv("OMP_NUM_THREADS")
    cores = _parallel.workers.__wrapped__()
    assert cores >= 1
    assert count == (cores if wanted is None else wanted)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("whole", [0, 1, 2])
def test_blocks_hold_every_sample_once(shape, whole, monkeypatch):
    if whole >= max(len(shape), 1):
        return
    monkeypatch.setattr(_parallel, "BLOCK", 11)
    seen = np.zeros(shape, int)
    for index in _parallel._blocks(shape, whole):
        seen[index] += 1
        assert all(isinstance(i, int) for i in index[:whole])  # items of a batch are never run together
        # As small as a block can be: at most BLOCK samples, or one line along the axis that is cut.
        assert seen[index].size <= 11
    assert (seen == 1).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_each_is_the_expression(shape, blocks, kind, close):
    rng = np.random.default_rng(len(shape))
    a, b = rng.standard_normal(shape), rng.standard_normal(shape)
    gain = rng.standard_normal((*shape[:1], *(1,) * (len(shape) - 1)))  # a number for every batch item
    result = _parallel.each(lambda a, b, g: a * b + g, *map(kind.array, (a, b, gain)))
    close(kind.numpy(result), a * b + gain)


def test_each_of_a_large_array(threads, close):
    a = np.random.default_rng(0).standard_normal((3, 211, 307)).astype("float32")
    assert a.size > _parallel.BLOCK > _parallel.SERIAL
    gain = np.array([1, 2, 3], "float32").reshape(3, 1, 1)
    calls = []

    def function(a, gain):
        calls.append(threading.current_thread().name)
        return np.exp(a) * gain

    result = _parallel.each(function, a, gain)
    assert result.dtype == np.float32
    assert len(calls) > 1
    close(result, np.exp(a) * gain)


def test_each_writes_into_out_even_if_it_is_an_argument(blocks):
    a = np.arange(600.0).reshape(20, 30)
    b = a.copy()
    assert _parallel.each(lambda a, b: a + 2 * b, a, b, out=b) is b
    np.testing.assert_array_equal(b, 3 * a)
    out = np.empty((20, 60))[:, ::2]
    assert _parallel.each(np.negative, a, out=out) is out
    np.testing.assert_array_equal(out, -a)


@pytest.mark.parametrize(
    ("shape", "ndim"), [((7,), 1), ((3, 40), 1), ((13, 17), 2), ((2, 3, 4, 5), 2), ((2, 1, 3, 7), 3), ((1, 1), 1)]
)
def test_total_is_a_sum_for_every_batch_item(shape, ndim, blocks, kind, close):
    rng = np.random.default_rng(ndim)
    a, b = rng.standard_normal(shape), rng.standard_normal(shape)
    axes = tuple(range(-ndim, 0))
    result = _parallel.total(lambda a, b: a * b, kind.array(a), kind.array(b), ndim=ndim)
    close(kind.numpy(result), np.sum(a * b, axis=axes, keepdims=True))
    several = _parallel.total(lambda a, b: (a * a, a - b), kind.array(a), kind.array(b), ndim=ndim)
    close(kind.numpy(several[0]), np.sum(a * a, axis=axes, keepdims=True))
    close(kind.numpy(several[1]), np.sum(a - b, axis=axes, keepdims=True))
    scaled = _parallel.total(lambda a, g: g * a, kind.array(a), several[0], ndim=ndim)
    close(kind.numpy(scaled), np.sum(a * np.sum(a * a, axis=axes, keepdims=True), axis=axes, keepdims=True))


def test_total_of_a_large_float32_array_keeps_its_digits(threads):
    a = np.random.default_rng(0).random((2, 1000, 1000), dtype=np.float32)
    result = _parallel.total(lambda a: a, a, ndim=2)
    assert result.shape == (2, 1, 1)
    assert result.dtype == np.float32
    for item, s in zip(a, result.ravel(), strict=True):
        assert abs(s - math.fsum(item.ravel().tolist())) < 1e-6 * s


def test_total_repeats_whatever_the_threads_do(threads):
    a = np.random.default_rng(0).standard_normal((700, 701))
    sums = {float(_parallel.total(np.square, a, ndim=2)[0, 0]) for _ in range(10)}
    assert len(sums) == 1
