"""The numbers of a training run, and the learning rate that follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._array import choice, number, shown

OPTIMIZERS = ("adamw", "adam", "sgd")
PRECISIONS = ("float32", "bfloat16", "float16", "auto")


@dataclass(frozen=True)
class Plan:
    """All numbers of a run but its data.

    Parameters
    ----------
    steps : int
        Batches to learn from.
    rate, final_rate : float
        Learning rate after the warm-up and at the end; half a cosine leads from one to the other.
    warm_up : int
        Steps in which the rate rises from zero.
    optimizer : {"adamw", "adam", "sgd"}
        Adam with decoupled weight decay, Adam, or gradient descent with momentum.
    momentum : float
        Of the gradient: of "sgd", and the first of Adam's two.
    weight_decay : float
        For kernels and matrices; biases and gains are left alone. "adamw" takes it off the weights, times the rate;
        the others add it to the gradient.
    clipping : float or None
        Longest gradient, in the 2-norm over all parameters; longer ones are shortened to it.
    averaging : float
        Of the running average of the weights, which is what is judged and returned: each step it keeps this share of
        itself (less in the first steps). 0 is no average.
    border : int
        Samples along each edge of the target that are not counted in the loss: there the network sees its own padding,
        which a photograph has at its frame only.
    check_every : int
        Steps between two scores.
    patience : int or None
        So many scores in a row that are no better than the best end the run.
    log_every : int
        Steps between two lines of the log.
    precision : {"float32", "bfloat16", "float16", "auto"}
        What products are computed with. "auto" is bfloat16 on a GPU that has it, else float16 there, and float32 on a
        CPU, where bfloat16 is faster only if the processor has instructions for it; float16 needs a GPU. bfloat16 has
        steps of 1/256 near 1: what is to be learned must be coarser than that.
    seed : int
        Of the random numbers that the network draws in training (dropout).

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.
    """

    steps: int
    rate: float = 1e-3
    final_rate: float = 1e-6
    warm_up: int = 200
    optimizer: str = "adamw"
    momentum: float = 0.9
    weight_decay: float = 0.0
    clipping: float | None = 1.0
    averaging: float = 0.999
    border: int = 0
    check_every: int = 1000
    patience: int | None = None
    log_every: int = 100
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"steps": 1, "warm_up": 0, "border": 0, "check_every": 1, "log_every": 1, "seed": 0}
        for name, low in {**least, **({} if self.patience is None else {"patience": 1})}.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(f"{name} is {shown(value)}; an integer of at least {low} is wanted")
        number(self.rate, "rate", above=0.0)
        number(self.final_rate, "final_rate", minimum=0.0, maximum=self.rate)
        number(self.momentum, "momentum", minimum=0.0, maximum=1.0)
        number(self.weight_decay, "weight_decay", minimum=0.0)
        number(self.averaging, "averaging", minimum=0.0, maximum=1.0)
        if self.clipping is not None:
            number(self.clipping, "clipping", above=0.0)
        choice(self.optimizer, OPTIMIZERS, "optimizer")
        choice(self.precision, PRECISIONS, "precision")


def learning_rate(plan: Plan, step: int) -> float:
    """The learning rate of a step.

    Parameters
    ----------
    plan : Plan
        The numbers of the run.
    step : int
        Counted from 0.

    Returns
    -------
    float
        Rises in a line over the warm-up, then falls along half a cosine.

    References
    ----------
    I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm restarts (2016), arXiv:1608.03983.

    Examples
    --------
    >>> plan = Plan(steps=110, rate=1.0, final_rate=0.0, warm_up=10)
    >>> [round(learning_rate(plan, step), 3) for step in (0, 4, 9, 10, 60, 109)]
    [0.1, 0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < plan.warm_up:
        return plan.rate * (step + 1) / plan.warm_up
    done = min(1.0, (step - plan.warm_up) / max(1, plan.steps - plan.warm_up))
    return plan.final_rate + (plan.rate - plan.final_rate) * (1 + math.cos(math.pi * done)) / 2
