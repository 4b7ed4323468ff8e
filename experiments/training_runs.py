"""What the recipes for training share: the photographs, the options of the command line, and the file at the end.

Learned from are the photographs that come with scikit-image and, with ``--data``, those of a folder. Left out are the
photographs of the demonstrations, wherever they lie, and those by which a run is judged.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from .common import data_folder

if TYPE_CHECKING:
    import torch

    from sigdeconv.transposed.training import Plan, Trained

Numbers = np.ndarray[Any, Any]
Command = Callable[..., Any]

# Sharp photographs of scikit-image; the motorcycle is one of a stereo pair.
OURS = ("chelsea", "rocket", "stereo_motorcycle", "brick", "grass", "gravel", "coins", "immunohistochemistry")
HELD_OUT = ("camera", "astronaut", "coffee")  # for the demonstrations: never learned from, never judged by
JUDGES = ("kodim04", "kodim08", "kodim19", "kodim23")  # a portrait, houses, a fence, parrots: validation
JUDGES_OF_OURS = ("chelsea", "coins")  # where no folder has them
KODAK = "kodak24"
STAGES = "before.json"  # in a run's folder: the runs that it began with


@dataclass(frozen=True)
class Pictures:
    """Photographs to learn from and to judge by: name -> pixels, shape (y, x, 1 or 3), uint8."""

    learned: Mapping[str, Numbers]
    judged: Mapping[str, Numbers]

    def told(self) -> dict[str, Any]:
        """What a record says of them: names, and a digest of the pixels."""
        digest = hashlib.sha256()
        for image in self.learned.values():
            digest.update(f"{image.shape}".encode())
            digest.update(image.tobytes())
        return {
            "learned": list(self.learned),
            "validation": list(self.judged),
            "digest": digest.hexdigest()[:16],
        }


def gather(folders: Iterable[Path] = ()) -> Pictures:
    """The photographs of scikit-image and of the folders (or of ``kodak24`` in them), without those held out."""
    import skimage.data

    from sigdeconv.transposed.training import as_bytes, read_photographs

    found: dict[str, Numbers] = {}
    for name in OURS:
        with suppress(OSError, ImportError):  # a picture that this scikit-image would have to fetch
            image = getattr(skimage.data, name)()
            found[name] = as_bytes(image[0] if isinstance(image, tuple) else image, name)
    for folder in folders:
        inner = folder / KODAK if (folder / KODAK).is_dir() else folder
        found |= read_photographs(inner, leave_out=HELD_OUT)
    judges = [name for name in JUDGES if name in found] or list(JUDGES_OF_OURS)
    judged = {name: found.pop(name) for name in judges if name in found}
    return Pictures(found, judged)


def options(command: Command) -> Command:
    """The options that all recipes have."""
    for option in reversed(
        (
            click.option(
                "--data",
                multiple=True,
                type=click.Path(path_type=Path, exists=True, file_okay=False),
                help="Folder with more photographs; may be repeated. A folder kodak24 in it is taken instead.",
            ),
            click.option(
                "--out",
                type=click.Path(path_type=Path, file_okay=False),
                default=Path("results/training"),
                show_default=True,
                help="Where the state of the run and the weights go.",
            ),
            click.option("--steps", type=click.IntRange(min=1), help="Batches; by default those of the recipe."),
            click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Highest learning rate."),
            click.option("--loss", type=click.Choice(["charbonnier", "mse", "l1"])),
            click.option("--count", type=click.IntRange(min=1), help="Patches in a batch."),
            click.option(
                "--max-seconds", type=click.FloatRange(min=0, min_open=True), help="Stop then, to go on later."
            ),
            click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
            click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ..."),
            click.option(
                "--precision", type=click.Choice(["float32", "bfloat16", "float16", "auto"]), help="Of products."
            ),
            click.option(
                "--dtype",
                type=click.Choice(["float32", "float16"]),
                default="float32",
                show_default=True,
                help="Of the weights in the file.",
            ),
            click.option(
                "--start",
                metavar="RUN",
                help="Begin with what another run in OUT has learned so far, wherever a weight has the same shape.",
            ),
            click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="On a CPU."),
        )
    ):
        command = option(command)
    return command


def given(**values: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in values.items() if value is not None}


def losses() -> dict[str, Any]:
    """The losses that a recipe can name."""
    import torch

    from sigdeconv.transposed import training

    mse, l1 = torch.nn.functional.mse_loss, torch.nn.functional.l1_loss
    return {"charbonnier": training.charbonnier, "mse": mse, "l1": l1}


def prepare(threads: int) -> None:
    """Ask for torch, politely, and for no more of the processor than is meant."""
    try:
        import torch
    except ModuleNotFoundError:
        raise click.ClickException("training needs torch: pip install sigdeconv[learned]") from None
    torch.set_num_threads(threads)


def called(train: Callable[..., tuple[Trained, Path]], recipe: Any, plan: Plan, **shared: Any) -> None:
    """What the commands do with the options of `options`: change recipe and plan, train, and say what came of it."""
    try:
        recipe = replace(recipe, **given(count=shared["count"], loss=shared["loss"]))
        plan = replace(plan, **given(**{key: shared[key] for key in ("steps", "rate", "precision")}))
        if shared["rate"] is not None:
            plan = replace(plan, final_rate=min(plan.final_rate, plan.rate))
        told = {key: shared[key] for key in ("out", "device", "dtype", "max_seconds", "start")}
        trained, path = train(recipe, plan, gather(folders(shared["data"])), **told)
    except (OSError, ValueError, TypeError, FloatingPointError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(said(trained, path))


def run(
    recipe: Any,
    plan: Plan,
    pictures: Pictures,
    *,
    model: torch.nn.Module,
    degrade: Callable[..., Any],
    size: int,
    measure: Callable[[torch.nn.Module], dict[str, float]],
    out: Path,
    device: str,
    dtype: str,
    max_seconds: float | None,
    start: str | None = None,
    progress: bool = True,
) -> tuple[Trained, Path]:
    """Train by a recipe, or go on, and write ``OUT/NAME.safetensors``: the best weights so far with their record.

    `degrade` makes inputs and targets of patches of `size` pixels. A new run begins with what the run `start` in the
    same folder has learned, wherever a weight has the same shape.

    `measure` gives the figures of a network on the validation photographs; their "score" is what the run is judged by.
    """
    import torch

    from sigdeconv.transposed import training, weights

    name, told = recipe.name, asdict(recipe)
    if start is not None:
        told["start"] = start
        if not (out / name / training.CHECKPOINT).exists():
            begin_with(model, out / start)
            write_stages(out / name, stages(out / start))
    batches = training.Batches(
        training.Photographs(pictures.learned, scales=recipe.copies, device=training.pick_device(device)),
        degrade,
        size=size,
        count=recipe.count,
        seed=plan.seed,
        jitter=recipe.jitter,
    )
    model.to(memory_format=torch.channels_last)  # in which a CPU's convolutions are faster
    trained = training.train(
        model,
        batches,
        plan,
        loss=losses()[recipe.loss],
        score=lambda net: measure(finished(net))["score"],
        folder=out / name,
        made_of={"recipe": told, "data": pictures.told()},
        max_seconds=max_seconds or float("inf"),
        device=device,
        progress=name if progress else None,
    )
    model = finished(model)
    if dtype == "float16":  # what is measured is what will be in the file
        with torch.no_grad():
            for x in (*model.parameters(), *model.buffers()):
                if x.is_floating_point():
                    x.copy_(x.half())
    with torch.no_grad():
        results = measure(model)
    where = next(model.parameters()).device
    stages_before = [] if start is None else read_stages(out / name)
    curve = [[row["step"], round(row["score"], 4)] for row in trained.history if "score" in row]
    record = {
        "recipe": {**told, "plan": asdict(plan)},
        "seed": plan.seed,
        "data": pictures.told(),
        "results": {key: round(value, 4) for key, value in results.items()},
        "learning_curve": curve,
        "step": trained.step,
        "best": trained.best,
        "seconds": trained.history[-1]["seconds"] if trained.history else 0.0,
        "before": stages_before,
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else f"CPU ({platform.machine()})",
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }
    return trained, weights.save(out / f"{name}.safetensors", model, record, dtype=dtype, overwrite=True)


def begin_with(model: torch.nn.Module, folder: Path) -> None:
    """Take over the best weights of another run, or its average so far, wherever they have the same shape."""
    from sigdeconv.transposed import training

    learned = training.learned(folder)
    ours = model.state_dict()
    fitting = {name: x for name, x in learned.items() if name in ours and ours[name].shape == x.shape}
    if not fitting:
        raise ValueError(f"--start {folder.name}: no weight there has the shape of one here; pass a run of its kind")
    model.load_state_dict({**ours, **fitting})


def stages(folder: Path) -> list[dict[str, Any]]:
    """What a run has behind it, with the runs that it began with: steps and seconds of each."""
    from sigdeconv.transposed import training

    lines = (folder / training.LOG).read_text(encoding="utf-8").splitlines()
    last = json.loads(lines[-1]) if lines else {"step": 0, "seconds": 0.0}
    return [*read_stages(folder), {"run": folder.name, "steps": last["step"], "seconds": last["seconds"]}]


def read_stages(folder: Path) -> list[dict[str, Any]]:
    """The runs that one began with, as they were then."""
    path = folder / STAGES
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return found


def write_stages(folder: Path, found: list[dict[str, Any]]) -> None:
    """Remember the runs that one begins with."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STAGES).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def finished(model: torch.nn.Module) -> torch.nn.Module:
    """The network in the form in which it is used: layers that are several in training become one."""
    collapse: Callable[[], torch.nn.Module] | None = getattr(model, "collapse", None)
    return model if collapse is None else collapse()


def said(trained: Trained, path: Path) -> str:
    """How a run ended, in one line."""
    score = "not judged yet" if trained.score is None else f"{trained.score:.3f} dB at step {trained.best}"
    why = {"steps": "all steps done", "patience": "no better for long", "time": "to be continued, with the same call"}
    return f"{path}: step {trained.step} ({why[trained.ended]}), best {score}"


def folders(data: tuple[Path, ...]) -> tuple[Path, ...]:
    """The folders that were named, and a word where the development data were not."""
    if not data and (there := data_folder()) is not None and (there / KODAK).is_dir():
        click.echo(f"only scikit-image's photographs are learned from; --data {there} has more", err=True)
    return data
