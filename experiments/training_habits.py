"""What the habits of training are worth: one small upsampler, trained again and again with one thing changed.

Every habit is tried with plenty of photographs and with one crop of a few thousand pixels. A seed means the same crops
in the same order. Pictures are in three sets: learned from, chosen by (learning rates, early stopping), and tested on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import training_habits_figures as figures
from . import training_runs
from .common import Chapter, Study, learning

if TYPE_CHECKING:
    import torch

TITLE = "Training habits: what each is worth"

Numbers = np.ndarray[Any, Any]

SCALE = 2
LEVELS = 255.0
STEPS = {"many": 180, "few": 180}
LONGER = 6  # times as many steps with --full
SEEDS, PLAIN_SEEDS = (2, 4), (3, 6)  # of every habit, and of the recipe that all are compared with; with --full
CHECK_EVERY = 25  # steps
PATIENCE = 3  # checks in a row that are no better end a run
RATES = {"plain": (0.005, 0.01, 0.02), "sgd": (0.05, 0.1, 0.2)}  # tried for Adam and for SGD, in factors of two
WORKERS = 2  # runs side by side, each on one core: networks this small gain nothing from a second one

CHANNELS = 16
KERNELS = (5, 3, 3)
TAME = 0.1  # the features start small beside the picture itself, which also comes to the last layer
PRELU = 0.25  # torch's first slope
PATCH = 12  # samples of the input's side
COUNT = 8  # patches in a batch
FRAME = 128  # pixels: side of the pictures by which networks are judged
CROP = ("stereo_motorcycle", 120, 420, 48)  # photograph, first row and column, side: one that is overfitted
FLAT = (0.25, 0.5, 0.75)  # levels of grey, of which a checkerboard is measured
FLAT_SIDE, FLAT_EDGE = 20, 5  # samples, and those that see the frame
GLIMPSE = np.s_[16:58, 82:124]  # what is shown of the first test picture


@dataclass(frozen=True, eq=False)
class Habit:
    """One change to the plain recipe: of the plan, of the network, or of the data."""

    key: str
    label: str
    plan: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


PLAIN = Habit("plain", "plain: Adam, ICNR start")
HABITS = (
    Habit("sgd", "SGD with momentum 0.9", plan={"optimizer": "sgd"}),
    Habit("norm", "batch norm", network={"batch_norm": True}),
    Habit("dropout", "dropout of 10 %", network={"dropout": 0.1}),
    Habit("decay", "weight decay 0.1", plan={"weight_decay": 0.1}),
    Habit("stopping", "early stopping", plan={"patience": PATIENCE}),
    Habit("flips", "flips", data={"flips": True}),
    Habit("turns", "quarter turns", data={"rotations": True}),
    Habit("jitter", "colour jitter of 20 %", data={"jitter": 0.2}),
    Habit("all", "flips, turns and jitter", data={"flips": True, "rotations": True, "jitter": 0.2}),
    Habit("kaiming", "Kaiming start", network={"start": "kaiming"}),
    Habit("bilinear", "bilinear start", network={"start": "bilinear"}),
)


class Pairs(NamedTuple):
    """Pictures to be judged by."""

    large: Numbers  #: (count, y, x), in grey levels
    small: torch.Tensor  #: inputs of the network, (count, 1, y, x) in 0..1
    bicubic: float  #: mean PSNR of bicubic interpolation, in dB


class Corpus(NamedTuple):
    """What a part learns from, by seed and augmentation, and what it is judged by."""

    batches: Callable[..., Callable[[int], Any]]
    pictures: Mapping[str, Pairs]  #: "learned" from, "chosen" by, "tested" on


class Job(NamedTuple):
    """A run to make."""

    part: str
    habit: Habit
    seed: int
    rate: float
    longer: int = 1  #: times as many steps as in the quick setting


class Outcome(NamedTuple):
    """A run that was made."""

    job: Job
    rows: list[dict[str, float]]  #: one a check, the first before any step
    kept: dict[str, float]  #: the row of the weights that it returned
    glimpses: list[Numbers]  #: of the first test picture, one a check


def network(seed: int, *, start: str = "icnr", batch_norm: bool = False, dropout: float = 0.0) -> torch.nn.Module:
    """The upsampler: three convolutions, then a transposed one of their features and of the picture itself.

    No interpolated picture is added at the end: the last layer has to enlarge, so that it matters what it starts from.
    It is trained as a sub-pixel convolution, the same operator with the same weights in another order.
    """
    import torch
    from torch import nn

    from sigdeconv.transposed.layers import SubpixelConv

    draws, masks = (torch.Generator().manual_seed(seed) for _ in range(2))

    class Dropout(nn.Module):
        """With random numbers of its own, so that runs side by side do not take each other's."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * (torch.rand(x.shape, generator=masks) >= dropout) / (1 - dropout) if self.training else x

    class Upsampler(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            body: list[nn.Module] = []
            for inputs, k in zip((1, CHANNELS, CHANNELS), KERNELS, strict=True):
                convolution = nn.Conv2d(inputs, CHANNELS, k, padding=k // 2)
                nn.init.kaiming_normal_(convolution.weight, a=PRELU, generator=draws)
                nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
                body += [convolution, *([nn.BatchNorm2d(CHANNELS)] if batch_norm else []), nn.PReLU(CHANNELS)]
            self.body = nn.Sequential(*body, *([Dropout()] if dropout else []))
            self.last = SubpixelConv(CHANNELS + 1, 1, 6, scale=SCALE, initialisation=start, generator=draws)
            with torch.no_grad():
                body[-2].weight *= TAME  # type: ignore[assignment, operator]
                if start == "bilinear":  # a mean over all channels would be all but black: the picture comes whole
                    self.last.weight[:, -1] *= CHANNELS + 1

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(torch.cat([self.body(x), x], dim=1))  # type: ignore[no-any-return]

    return Upsampler()


def pairs(images: Sequence[Numbers], side: int) -> Pairs:
    """The middles of photographs of 8 bits, and their luminance shrunk as the literature does it."""
    import torch

    from sigdeconv.transposed import bicubic

    large = []
    for image in images:
        y, x = ((n - side) // 2 for n in image.shape[:2])
        part = np.atleast_3d(image)[y : y + side, x : x + side].astype(np.float32)
        large.append(bicubic.eight_bits(bicubic.luminance(part)) if part.shape[-1] == 3 else part[..., 0])
    small = [bicubic.low_resolution(x, SCALE) for x in large]
    plain = [bicubic.psnr_y(x, bicubic.imresize(y, SCALE), scale=SCALE) for x, y in zip(large, small, strict=True)]
    return Pairs(np.stack(large), torch.as_tensor(np.stack(small) / LEVELS)[:, None], float(np.mean(plain)))


def corpora() -> dict[str, Corpus]:
    """Plenty of photographs, and a few pixels of one."""
    import skimage.data

    from sigdeconv.transposed import training

    pictures = training_runs.gather()
    chosen = pairs(list(pictures.judged.values()), FRAME)
    tested = pairs([getattr(skimage.data, name)() for name in training_runs.HELD_OUT], FRAME)
    degrade = training.Shrink(SCALE)
    name, y, x, side = CROP
    crop = {name: pictures.learned[name][y : y + side, x : x + side]}

    def corpus(images: Mapping[str, Numbers], side: int) -> Corpus:
        photographs = training.Photographs(images)

        @cache
        def batches(seed: int, **changes: Any) -> Callable[[int], Any]:
            options = {"flips": False, "rotations": False, **changes}
            made = training.Batches(photographs, degrade, degrade.patch_size(PATCH), COUNT, seed, **options)
            return made if changes else cache(made)  # most runs ask for these

        return Corpus(batches, {"learned": pairs(list(images.values()), side), "chosen": chosen, "tested": tested})

    return {"many": corpus(pictures.learned, FRAME // 2), "few": corpus(crop, side)}


def gain(model: torch.nn.Module, pictures: Pairs) -> tuple[float, Numbers]:
    """By how many dB the mean PSNR is above that of bicubic interpolation, and the pictures in grey levels."""
    from sigdeconv.transposed import bicubic

    out = LEVELS * model(pictures.small)[:, 0].detach().numpy()
    values = [bicubic.psnr_y(truth, found, scale=SCALE) for truth, found in zip(pictures.large, out, strict=True)]
    return float(np.mean(values)) - pictures.bicubic, out


def pattern(model: torch.nn.Module) -> float:
    """The checkerboard that a network makes of plain grey: its rms in grey levels."""
    import torch

    from sigdeconv.transposed import checkerboard

    flat = torch.tensor(FLAT)[:, None, None, None].expand(-1, 1, FLAT_SIDE, FLAT_SIDE)
    out = LEVELS * model(flat)[:, 0].detach().numpy()
    return float(checkerboard.measure(out, SCALE, border=FLAT_EDGE).energy ** 0.5)


def train(job: Job, corpus: Corpus) -> Outcome:
    """One run, and how it stood at every check."""
    from sigdeconv.transposed import training

    model = network(job.seed, **job.habit.network).eval()
    numbers = {
        "warm_up": 20,
        "averaging": 0.0,
        "border": 2 * SCALE,
        "check_every": job.longer * CHECK_EVERY,
        **job.habit.plan,
    }
    plan = training.Plan(job.longer * STEPS[job.part], rate=job.rate, seed=job.seed, **numbers)
    rows: list[dict[str, float]] = []
    glimpses: list[Numbers] = []

    def score(model: torch.nn.Module) -> float:
        gains, outputs = zip(*(gain(model, pictures) for pictures in corpus.pictures.values()), strict=True)
        step = min(len(rows) * plan.check_every, plan.steps)
        rows.append({"step": step, **dict(zip(corpus.pictures, gains, strict=True)), "pattern": pattern(model)})
        glimpses.append(outputs[-1][0][GLIMPSE])
        # Without early stopping the last weights are to be returned, so the last count as the best.
        return rows[-1]["chosen"] if plan.patience else float(step)

    score(model)
    data = corpus.batches(job.seed, **job.habit.data)
    done = training.train(model, data, plan, loss=training.charbonnier, score=score, device="cpu")
    return Outcome(job, rows, next(row for row in rows if row["step"] == done.best), glimpses)


def trained(jobs: Sequence[Job], sources: Mapping[str, Corpus], study: Study, label: str) -> list[Outcome]:
    """All runs, some of them side by side, in the order of the jobs."""
    with ThreadPoolExecutor(WORKERS) as pool:
        waiting = [pool.submit(train, job, sources[job.part]) for job in jobs]
        return [one.result() for one in study.track(waiting, label)]


def compared(sources: Mapping[str, Corpus], study: Study) -> tuple[list[Outcome], list[Outcome]]:
    """Every habit in both parts with every seed, and the runs by which the learning rates were chosen before."""
    optimisers = itertools.product(STEPS, (PLAIN, HABITS[0]))
    longer, seeds, plain_seeds = study.pick(1, LONGER), study.pick(*SEEDS), study.pick(*PLAIN_SEEDS)
    tried = [Job(part, habit, study.seed, rate, longer) for part, habit in optimisers for rate in RATES[habit.key]]
    tries = trained(tried, sources, study, "learning rates")
    ranked = sorted(tries, key=lambda one: one.kept["chosen"])  # the best comes last, and stays
    rates = {(one.job.part, one.job.habit.key): one.job.rate for one in ranked}
    jobs = [
        Job(part, habit, study.seed + i, rates.get((part, habit.key), rates[part, PLAIN.key]), longer)
        for part, habit in itertools.product(STEPS, (PLAIN, *HABITS))
        for i in range(plain_seeds if habit is PLAIN else seeds)
    ]
    done = {one.job: one for one in tries}
    left = [job for job in jobs if job not in done]
    done |= dict(zip(left, trained(left, sources, study, "habits"), strict=True))
    return [done[job] for job in jobs], tries


def run(study: Study) -> Chapter:
    """All habits, with plenty of photographs and with one crop."""
    with learning():
        import torch

        with torch.random.fork_rng(devices=[]):
            outcomes, tries = compared(corpora(), study)
    names = {"many": "plenty of photographs", "few": f"one crop of {CROP[3]} × {CROP[3]} pixels"}
    first, *others = figures.tables(outcomes, tries, names)
    return Chapter(
        "training_habits",
        TITLE,
        figures.finding(outcomes, names["few"]),
        [
            "A small upsampler by two: three convolutions, then a transposed one of their features and of the picture "
            "(no interpolated picture is added, so its start matters). Plain is: Adam, an ICNR start, a learning rate "
            "that falls along half a cosine, and nothing else. Each habit is one change to it, with "
            f"{study.pick(*SEEDS)} seeds. "
            "Learned from are scikit-image's photographs or one crop, chosen because it is overfitted. The rates of "
            "Adam and of SGD are each the best of three by the validation pictures (chelsea, coins); other habits keep "
            "Adam's. Results are of test pictures (camera, astronaut, coffee) that served for no choice. They tell "
            "what a habit is worth in a short run of a small network, not in one of millions of parameters.",
            figures.worth(study, outcomes, names),
            first,
            figures.curves(study, outcomes, names),
            figures.overfitting(study, outcomes, names),
            figures.starts(study, outcomes),
            *others,
        ],
    )
