"""The state of a training run, and one step of it."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from . import _checkpoints
from ._plan import Plan, learning_rate

Batch = tuple[tuple[torch.Tensor, ...] | torch.Tensor, torch.Tensor]
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

SECOND_MOMENT = 0.999  # Adam's share of the mean square of the gradient that is kept each step
YOUNG = 10  # the average of the weights first keeps 1/10 of itself, then 2/11, ...: the start is soon forgotten


class Run:
    """A network in training: weights, their average, the optimiser, where it stands and what it has measured."""

    def __init__(self, model: torch.nn.Module, plan: Plan, device: torch.device) -> None:
        self.model, self.plan, self.device = model, plan, device
        self.average = copy.deepcopy(model).requires_grad_(False).eval()
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        if not self._parameters:
            raise ValueError("model has no parameter that can be trained")
        self.optimizer = _optimizer(self._parameters, plan)
        self._reduced = _reduced_precision(plan.precision, device)
        # float16 has so small a range that gradients would vanish unless the loss is scaled up.
        self.scaler = torch.amp.GradScaler("cuda", enabled=self._reduced == torch.float16)
        self.step = 0
        self.best: dict[str, Any] | None = None  #: score, step, weights
        self.stale = 0  #: scores since the best
        self.history: list[dict[str, Any]] = []
        self._totals = torch.zeros(2, device=device)  #: loss and length of the gradient since the last row
        self._counted = 0
        self._seconds = 0.0  #: of the pieces before this one
        self._start = time.monotonic()

    def ended(self) -> str:
        """Why the run is over; nothing if it is not."""
        if self.plan.patience is not None and self.stale >= self.plan.patience:
            return "patience"
        return "steps" if self.step >= self.plan.steps else ""

    def advance(self, batches: Callable[[int], Batch], loss: Loss) -> None:
        """One step."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.plan, self.step)
        inputs, target = batches(self.step)
        self.model.train()
        with torch.autocast(self.device.type, dtype=self._reduced, enabled=self._reduced is not None):
            prediction = self.model(*((inputs,) if isinstance(inputs, torch.Tensor) else inputs))
        if prediction.dtype in (torch.bfloat16, torch.float16):
            prediction = prediction.float()
        value = loss(_inside(prediction, self.plan.border), _inside(target, self.plan.border))
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(self.scaler.scale(value))
        self.scaler.unscale_(self.optimizer)
        longest = math.inf if self.plan.clipping is None else self.plan.clipping
        length = torch.nn.utils.clip_grad_norm_(self._parameters, longest)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self._follow()
        # Summed on the device: asking for the number would make a GPU wait every step.
        self._totals += torch.stack([value.detach(), length.detach()]).to(self._totals.dtype)
        self._counted += 1
        self.step += 1

    def row_due(self) -> bool:
        """Whether the log gets a line after this step."""
        return self.step % self.plan.log_every == 0 or self._check_due()

    def write_row(self, score: Callable[[torch.nn.Module], float] | None) -> None:
        """Add a line to the history: mean loss and gradient since the last one, and the score if it is time for it."""
        self.require_finite()
        loss, length = (self._totals / max(1, self._counted)).tolist()
        self._totals.zero_()
        self._counted = 0
        row: dict[str, Any] = {
            "step": self.step,
            "loss": loss,
            "gradient": length if math.isfinite(length) else None,
            "rate": learning_rate(self.plan, self.step - 1),
        }
        if score is not None and self._check_due():
            with torch.no_grad():
                row["score"] = found = float(score(self.average.eval()))
            if math.isnan(found):
                raise FloatingPointError(f"score is NaN at step {self.step}; a number is wanted")
            self._judge(found)
        row["seconds"] = round(self._seconds + time.monotonic() - self._start, 2)
        self.history.append(row)

    def require_finite(self) -> None:
        """Stop a run that has gone astray, before its state is saved."""
        if not math.isfinite(float(self._totals[0])):
            raise FloatingPointError(
                f"the loss is not finite at step {self.step}; lower rate ({self.plan.rate:g}) or clipping"
            )

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": _checkpoints.generators(self.device),
            "best": self.best,
            "stale": self.stale,
            "history": self.history,
            "totals": self._totals,
            "counted": self._counted,
            "seconds": self._seconds + time.monotonic() - self._start,
        }

    def restore(self, state: dict[str, Any], path: Path) -> None:
        """Take up what `state` gave."""
        ours = {name: tuple(x.shape) for name, x in self.model.state_dict().items()}
        theirs = {name: tuple(x.shape) for name, x in state["model"].items()}
        for name in {**ours, **theirs}:
            if ours.get(name) != theirs.get(name):
                raise ValueError(
                    f"{path} holds another network: {name} has shape {theirs.get(name)}, now {ours.get(name)}; "
                    "pass the same, or another folder"
                )
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        _checkpoints.restore_generators(state["random"], self.device)
        self.step, self.best, self.stale = state["step"], state["best"], state["stale"]
        self.history, self._counted = state["history"], state["counted"]
        self._totals = state["totals"].to(self.device)
        self._seconds = state["seconds"]

    def _check_due(self) -> bool:
        return self.step % self.plan.check_every == 0 or self.step == self.plan.steps

    def _judge(self, score: float) -> None:
        if self.best is None or score > self.best["score"]:
            weights = {name: x.clone() for name, x in self.average.state_dict().items()}
            self.best, self.stale = {"score": score, "step": self.step, "weights": weights}, 0
        else:
            self.stale += 1

    @torch.no_grad()
    def _follow(self) -> None:
        """Let the average follow the weights; what is no parameter (statistics of a normalisation) is copied."""
        kept = min(self.plan.averaging, (1 + self.step) / (YOUNG + self.step))
        pairs = zip(self.average.parameters(), self.model.parameters(), strict=True)
        averages, weights = (list(column) for column in zip(*pairs, strict=True))
        torch._foreach_lerp_(averages, weights, 1 - kept)
        for mean, buffer in zip(self.average.buffers(), self.model.buffers(), strict=True):
            mean.copy_(buffer)


@contextmanager
def fastest_convolutions(device: torch.device) -> Iterator[None]:
    """Let a GPU try which of its convolutions is fastest: the shapes of the batches stay the same."""
    before = torch.backends.cudnn.benchmark
    try:
        torch.backends.cudnn.benchmark = before or device.type == "cuda"
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def _optimizer(parameters: list[torch.nn.Parameter], plan: Plan) -> torch.optim.Optimizer:
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": plan.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if plan.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=plan.rate, momentum=plan.momentum)
    kind = torch.optim.AdamW if plan.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=plan.rate, betas=(plan.momentum, SECOND_MOMENT))


def _reduced_precision(precision: str, device: torch.device) -> torch.dtype | None:
    if precision == "auto":
        if device.type != "cuda":
            return None
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if precision == "float16" and device.type != "cuda":
        raise ValueError(f"precision is 'float16' but the device is {device}; pass 'bfloat16', 'float32' or 'auto'")
    return {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]


def _inside(x: torch.Tensor, border: int) -> torch.Tensor:
    """Without the border, on every axis but batch and channels."""
    if not border:
        return x
    if min(x.shape[2:]) <= 2 * border:
        raise ValueError(f"the target has shape {tuple(x.shape)}; nothing is left inside a border of {border}")
    for axis in range(2, x.ndim):
        x = x.narrow(axis, border, x.shape[axis] - 2 * border)
    return x
