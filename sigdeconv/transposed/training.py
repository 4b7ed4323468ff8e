"""One loop that trains any network here, can be interrupted at any time, and then goes on as if it never was.

What is learned (the network), from what (`Batches`) and how it is judged (the loss, the score) are handed in. The run
is described by a `Plan`; its state lies in a folder, as ``checkpoint.pt`` beside ``log.jsonl``.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from .._array import number, shown
from . import _checkpoints
from ._patches import Batches, Photographs, as_bytes, read_photographs
from ._plan import Plan, learning_rate
from ._run import Batch, Loss, Run, fastest_convolutions
from .degradations import GaussianNoise, Shrink

__all__ = [
    "Batches",
    "GaussianNoise",
    "Photographs",
    "Plan",
    "Shrink",
    "Trained",
    "as_bytes",
    "charbonnier",
    "learned",
    "learning_rate",
    "pick_device",
    "read_photographs",
    "train",
]

CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"
SAVE_SECONDS = 120.0  # no more than this is lost when the power goes
EDGE = 1e-3  # where the Charbonnier loss turns from a parabola to a line: a quarter of a grey level of 255


class Trained(NamedTuple):
    """How a run ended; the network holds the weights.

    Parameters
    ----------
    step : int
        Steps that were done.
    ended : {"steps", "patience", "time"}
        Why: all done, no better for too long, or to be continued.
    score : float or None
        The best score; None without scores.
    best : int
        The step of that score, of which the network has the averaged weights; without scores the last step.
    history : list of dict
        The lines of the log.
    """

    step: int
    ended: str
    score: float | None
    best: int
    history: list[dict[str, Any]]


def train(
    model: torch.nn.Module,
    batches: Callable[[int], Batch],
    plan: Plan,
    *,
    loss: Loss = functional.mse_loss,
    score: Callable[[torch.nn.Module], float] | None = None,
    folder: str | Path | None = None,
    made_of: Mapping[str, Any] | None = None,
    max_seconds: float = math.inf,
    device: torch.device | str = "auto",
    progress: str | None = None,
) -> Trained:
    """Train a network, or go on with it.

    Parameters
    ----------
    model : torch.nn.Module
        Is moved to the device and gets the averaged weights, the best ones if there are scores.
    batches : callable
        ``batches(step) -> (inputs, target)``, on the device, for steps from 0; `inputs` is a tuple (or one tensor),
        and the prediction ``model(*inputs)``. See `Batches`.
    plan : Plan
        The numbers of the run.
    loss : callable
        ``loss(prediction, target)``, both in float32.
    score : callable, optional
        ``score(model)``, larger is better; it is given the averaged weights, in evaluation mode and without gradients.
    folder : path, optional
        Where the state is kept. If a run of the same plan has left its state there, it is taken up.
    made_of : mapping, optional
        What else makes the run what it is (data, loss, size of the crops, ...), as numbers and words; a state that
        was left by another run is refused.
    max_seconds : float
        The run saves its state and returns after the step in which this time has passed.
    device : torch.device or str
        Where to train; "auto" is the GPU if there is one.
    progress : str, optional
        Draw a progress bar with this label.

    Returns
    -------
    Trained
        ``(step, ended, score, best, history)``.

    Raises
    ------
    ValueError
        The state in the folder is damaged, or of another run.
    FloatingPointError
        The loss is not finite; the last state that was saved is still good.

    Notes
    -----
    On a CPU, with the same number of threads, a run in pieces gives the same bits as a run in one. On a GPU the sums
    of a convolution's gradient may come in any order, and runs agree to rounding only.

    References
    ----------
    D. P. Kingma and J. Ba, Adam: a method for stochastic optimization (2014), arXiv:1412.6980.
    I. Loshchilov and F. Hutter, Decoupled weight decay regularization (2017), arXiv:1711.05101; SGDR, arXiv:1608.03983.
    B. T. Polyak and A. B. Juditsky, SIAM J. Control Optim. 30, 838 (1992), doi:10.1137/0330046.

    Examples
    --------
    >>> import torch
    >>> x = torch.linspace(-1, 1, 64)[:, None]
    >>> line = torch.nn.Linear(1, 1)
    >>> done = train(line, lambda step: ((x,), 3 * x + 2), Plan(steps=400, rate=0.05, averaging=0.9), device="cpu")
    >>> done.ended, round(line.weight.item(), 2), round(line.bias.item(), 2)
    ('steps', 3.0, 2.0)
    """
    limit = time.monotonic() + (math.inf if max_seconds == math.inf else number(max_seconds, "max_seconds", above=0.0))
    where = pick_device(device)
    wanted = _wanted(plan, made_of or {})
    path = None if folder is None else Path(folder) / CHECKPOINT
    model.to(where)
    cards = [where] if where.type == "cuda" else []
    with torch.random.fork_rng(cards), torch.enable_grad(), fastest_convolutions(where):
        torch.manual_seed(plan.seed)
        run = Run(model, plan, where)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                run.restore(_checkpoints.read(path, wanted), path)
            _checkpoints.write_log(path.with_name(LOG), run.history)
        saved = time.monotonic()
        with _bar(progress, plan.steps, run.step) as bar:
            while not (ended := run.ended()):
                run.advance(batches, loss)
                late = time.monotonic() >= limit
                if run.row_due():
                    run.write_row(score)
                    bar.set_postfix_str(_told(run.history[-1]), refresh=False)
                    if path is not None:
                        _checkpoints.append_log(path.with_name(LOG), run.history[-1])
                bar.update()
                if path is not None and (late or run.ended() or time.monotonic() - saved >= SAVE_SECONDS):
                    run.require_finite()
                    _checkpoints.write(path, {"wanted": wanted, **run.state()})
                    saved = time.monotonic()
                if late and not run.ended():
                    ended = "time"
                    break
    model.load_state_dict(run.average.state_dict() if run.best is None else run.best["weights"])
    model.eval()
    score_of_best, best = (None, run.step) if run.best is None else (run.best["score"], run.best["step"])
    return Trained(run.step, ended, score_of_best, best, run.history)


def learned(folder: str | Path) -> dict[str, torch.Tensor]:
    """The weights that a run has left in its folder: the best ones, or the average so far where none was judged.

    Parameters
    ----------
    folder : path
        That of the run, as in `train`.

    Returns
    -------
    dict of str to torch.Tensor
        As `torch.nn.Module.load_state_dict` takes them, on the CPU.

    Raises
    ------
    OSError, ValueError
        No run has left its state there, or it is damaged.
    """
    path = Path(folder) / CHECKPOINT
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; pass the folder of a run that has saved its state")
    state = _checkpoints.read(path)
    weights: dict[str, torch.Tensor] = state["average"] if state["best"] is None else state["best"]["weights"]
    return weights


def charbonnier(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean of ``sqrt(d² + ε²)``: the absolute difference, with a gradient that is smooth at zero (ε of 1e-3).

    Parameters
    ----------
    prediction, target : torch.Tensor
        Of one shape, in units of white.

    Returns
    -------
    torch.Tensor
        One number.

    References
    ----------
    P. Charbonnier et al., Proc. ICIP 2, 168 (1994), doi:10.1109/ICIP.1994.413553.
    """
    return torch.sqrt((prediction - target).square() + EDGE**2).mean()


def pick_device(device: torch.device | str = "auto") -> torch.device:
    """The device that is meant.

    Parameters
    ----------
    device : torch.device or str
        As torch takes it, or "auto": the GPU if there is one.

    Returns
    -------
    torch.device
        The GPU or the CPU, where "auto" was asked for.

    Raises
    ------
    ValueError
        It is no name of a device, or a GPU is meant and torch finds none.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        raise ValueError(f"device is {shown(device)}; pass 'auto', 'cpu', 'cuda', 'cuda:1', ...") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device is {shown(device)} but torch finds no GPU; pass 'cpu' or 'auto'")
    return found


def _wanted(plan: Plan, made_of: Mapping[str, Any]) -> dict[str, Any]:
    """What a state must agree with, in the types that come back from a file."""
    numbers = asdict(plan)
    if twice := sorted(numbers.keys() & made_of.keys()):
        raise ValueError(f"made_of has {twice[0]!r}, which the plan has too; give it another name")
    try:
        wanted: dict[str, Any] = json.loads(json.dumps({**numbers, **made_of}))
    except TypeError as error:
        raise TypeError(f"made_of is to hold numbers, words and lists of them: {error}") from None
    return wanted


def _bar(label: str | None, total: int, done: int) -> Any:
    from tqdm import tqdm

    # Without a terminal there is nothing to draw on; the log says the same.
    return tqdm(total=total, initial=done, desc=label, disable=True if label is None else None, dynamic_ncols=True)


def _told(row: Mapping[str, Any]) -> str:
    return " ".join(f"{key} {row[key]:.4g}" for key in ("loss", "score") if key in row)
