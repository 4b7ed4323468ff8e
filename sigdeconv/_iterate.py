"""The one loop: it counts, watches the change, and asks the caller whether to go on.

An algorithm is a generator that yields its estimate once an iteration (and may reuse that buffer); everything else
about iterating is here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from ._array import Array, namespace, number, shown
from ._parallel import total


@dataclass(frozen=True)
class Iteration:
    """What a callback is shown after each iteration.

    Parameters
    ----------
    index : int
        Number of iterations done, from 1.
    estimate : array
        The restored image so far, of the shape of the result. It is valid during the call only: copy what you keep.
    change : float
        Norm of the last step relative to the norm of the estimate; of a batch, the largest. NaN after the first.
    chosen : mapping of str to float, or to a tuple of them, one for each item of a batch
        What the method chose from the data, by the name of the parameter (``weight``, ``sigma``, ...); empty where the
        caller gave everything.
    """

    index: int
    estimate: Array
    change: float
    chosen: Mapping[str, float | tuple[float, ...]] = field(default_factory=dict)


Callback = Callable[[Iteration], bool | None]


def iterate(
    steps: Iterator[Array],
    *,
    num_iter: int,
    tol: float,
    callback: Callback | None,
    ndim: int,
    view: Callable[[Array], Array],
    back: Callable[[Array], Array],
    chosen: Mapping[str, float | tuple[float, ...]] | None = None,
) -> Array:
    """Run `steps` until `num_iter`, a relative change of at most `tol`, or a callback that returns True.

    `view` crops an estimate to the frame, ``(..., *frame)`` with `ndim` axes of the frame, and `back` gives that the
    order of axes of the result. `chosen` is handed to the callback.
    """
    chosen = {} if chosen is None else chosen
    num_iter = checked_num_iter(num_iter)
    tol = number(tol, "tol", minimum=0.0)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is a {type(callback).__name__}; a function of one Iteration is wanted")
    watched = tol > 0 or callback is not None
    previous = None
    for index, x in enumerate(islice(steps, num_iter), start=1):
        if not watched:
            continue
        estimate = view(x)
        change = _change(estimate, previous, ndim)
        if callback is not None and callback(Iteration(index, back(estimate), change, chosen)):
            break
        if change <= tol:
            break
        previous = namespace(estimate).asarray(estimate, copy=True)
    return back(view(x))


def checked_num_iter(num_iter: int) -> int:
    """`num_iter` as a positive int."""
    if isinstance(num_iter, bool) or not isinstance(num_iter, (int, np.integer)):
        raise TypeError(f"num_iter is {shown(num_iter)}; a positive integer is wanted")
    if num_iter < 1:
        raise ValueError(f"num_iter is {num_iter}; at least 1 is wanted")
    return int(num_iter)


def _change(estimate: Array, previous: Array | None, ndim: int) -> float:
    if previous is None:
        return float("nan")
    xp = namespace(estimate)
    step = total(lambda a, b: (a - b) ** 2, estimate, previous, ndim=ndim)
    size = total(lambda a: a * a, estimate, ndim=ndim)
    # An estimate that is zero and stays zero has stopped changing.
    ratio = xp.where(size > 0, step / xp.where(size > 0, size, xp.ones_like(size)), step)
    return math.sqrt(float(xp.max(ratio)))
