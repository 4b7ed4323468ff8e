"""The loop: it counts, measures the change, and stops when it is told to."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sigdeconv import Iteration
from sigdeconv._iterate import checked_num_iter, iterate


def halving(x):
    """Halves its estimate, in one buffer, and counts how often it was asked."""
    halving.asked = 0
    x = x.copy()
    while True:
        halving.asked += 1
        x *= 0.5
        yield x


def run(x=None, *, num_iter=5, tol=0.0, callback=None, ndim=1, view=lambda x: x, back=lambda x: x):
    x = np.ones(4) if x is None else x
    return iterate(halving(x), num_iter=num_iter, tol=tol, callback=callback, ndim=ndim, view=view, back=back)


@pytest.mark.parametrize("num_iter", [1, 2, 7, np.int64(3), np.uint8(2)])
def test_it_makes_as_many_steps_as_asked_and_no_more(num_iter):
    assert np.array_equal(run(num_iter=num_iter), np.full(4, 0.5 ** int(num_iter)))
    assert halving.asked == num_iter


def test_an_algorithm_may_end_by_itself():
    result = iterate(
        (np.full(2, k) for k in (3.0, 2.0)),
        num_iter=9,
        tol=0.0,
        callback=None,
        ndim=1,
        view=lambda x: x,
        back=lambda x: x,
    )
    assert np.array_equal(result, [2.0, 2.0])


def test_callback_is_shown_index_estimate_and_change():
    seen: list[Iteration] = []

    def watch(iteration):
        assert isinstance(iteration, Iteration)
        seen.append(Iteration(iteration.index, iteration.estimate.copy(), iteration.change))

    run(callback=watch, num_iter=4)
    assert [iteration.index for iteration in seen] == [1, 2, 3, 4]
    assert [iteration.estimate[0] for iteration in seen] == [0.5, 0.25, 0.125, 0.0625]
    assert math.isnan(seen[0].change)
    assert [iteration.change for iteration in seen[1:]] == pytest.approx([1.0, 1.0, 1.0])
    with pytest.raises(AttributeError):
        seen[0].index = 2


@pytest.mark.parametrize(("answer", "steps"), [(True, 1), (1, 1), (None, 5), (False, 5), (0, 5)])
def test_callback_stops_with_true_and_with_nothing_less(answer, steps):
    run(callback=lambda iteration: answer)
    assert halving.asked == steps


def test_callback_errors_travel():
    def fail(iteration):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(callback=fail)


def test_tolerance_compares_the_step_with_the_estimate():
    def approach():
        for k in range(100):
            yield np.array([3.0, 4.0]) * (1 + 10.0**-k)

    changes = []
    options = {"num_iter": 100, "ndim": 1, "view": lambda x: x, "back": lambda x: x}
    iterate(approach(), tol=1e-5, callback=lambda it: changes.append(it.change), **options)
    assert len(changes) == 7  # the step from 1 + 1e-5 to 1 + 1e-6 is 9e-6
    assert changes[-1] == pytest.approx(9e-6, rel=1e-3)
    assert changes[-2] == pytest.approx(9e-5, rel=1e-3)
    iterate(approach(), tol=0.0, callback=lambda it: changes.append(it.change), **options)
    assert len(changes) < 30, "an estimate that does not change any more has converged at any tolerance"


def test_zero_that_stays_zero_has_converged():
    run(np.zeros(3), tol=1e-6, num_iter=50)
    assert halving.asked == 2


def test_change_of_a_batch_is_the_largest_of_its_items():
    def two():
        yield np.array([[1.0, 1.0], [1.0, 1.0]])
        yield np.array([[1.0, 1.0], [1.0, 2.0]])

    changes = []
    options = {"num_iter": 9, "tol": 0.0, "view": lambda x: x, "callback": lambda it: changes.append(it.change)}
    iterate(two(), ndim=1, back=lambda x: x, **options)
    iterate(two(), ndim=2, back=lambda x: x, **options)
    iterate(two(), ndim=1, back=lambda x: x.T, **options)  # what is shown has its axes in another order
    assert changes[1::2] == pytest.approx([math.sqrt(1 / 5), math.sqrt(1 / 7), math.sqrt(1 / 5)])


def test_crop_and_order_of_axes_are_applied_to_what_is_shown_and_returned():
    shapes = []
    x = np.arange(24.0).reshape(2, 3, 4)
    result = run(
        x,
        ndim=2,
        view=lambda x: x[..., 1:, 1:],
        back=lambda x: np.moveaxis(x, 0, -1),
        callback=lambda it: shapes.append(it.estimate.shape),
        num_iter=2,
    )
    assert shapes == [(2, 3, 2)] * 2
    assert np.array_equal(result, np.moveaxis(x[..., 1:, 1:] / 4, 0, -1))


def test_every_kind_of_array(kind):
    changes = []
    steps = (kind.array([1.0 / k, 2.0]) for k in (1, 2, 3))
    result = iterate(
        steps,
        num_iter=3,
        tol=0.0,
        callback=lambda it: changes.append(it.change),
        ndim=1,
        view=lambda x: x,
        back=lambda x: x,
    )
    assert np.allclose(kind.numpy(result), [1 / 3, 2])
    assert changes[1:] == pytest.approx([0.5 / math.sqrt(4.25), (1 / 6) / math.sqrt(4 + 1 / 9)])


@pytest.mark.parametrize("wrong", [0, -1, 1.0, 2.5, True, None, "3", [3], math.nan])
def test_wrong_number_of_iterations(wrong):
    with pytest.raises((TypeError, ValueError), match=r"num_iter is .*(positive integer|at least 1) is wanted"):
        checked_num_iter(wrong)


@pytest.mark.parametrize("wrong", [-1e-3, math.nan, math.inf, None, "small", True])
def test_wrong_tolerance(wrong):
    with pytest.raises((TypeError, ValueError), match="tol is"):
        run(tol=wrong)


def test_wrong_callback():
    with pytest.raises(TypeError, match="callback is a str; a function of one Iteration is wanted"):
        run(callback="print")
