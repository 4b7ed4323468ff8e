"""Three decoders of one encoder on cells that touch: what the upsampling layer is worth, and what the skips are.

All networks have the same encoder, begin with the same weights there and learn the same batches in the same order, of
simulated cells alone. The U-Net doubles the size by transposed convolutions or by bilinear interpolation; the same
network with its skips cut shows what they carry; a network without skips or decoder goes up in one transposed
convolution. A threshold and a watershed, which learn nothing, stand beside them, and real images come last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import segmentation_cells as cells
from . import segmentation_figures as figures
from .common import Chapter, Study, Table, learning, mean, signed

if TYPE_CHECKING:
    import torch

TITLE = "Segmentation: what the upsampling layer is worth, and what the skips are"

Numbers = np.ndarray[Any, Any]

WIDTH, DEPTH = 8, 3  # features at full resolution, and how often it is halved
STEPS, BATCH, CROP = 250, 4, 48  # CROP: pixels of a side
POOL, POOL_SIZE, CHECKED = 96, 96, 12  # images to learn from and to choose the best weights by; their side in pixels
TESTED = 12  # images of the size of the study that no network has seen
RATE = 0.005
LONGER = 4  # times as many steps with --full
SEEDS = (2, 6)  # starts of each network, and with --full: the scatter that a difference has to exceed
CHECKS = 8  # of the validation images in a run
FLAT_LEVELS, FLAT_PERIODS = (-0.8, -0.4, 0.0), 6  # grey of an image without anything on it, and what is looked at
WORKERS = 2  # networks that learn at a time, on one core each

LABELS = figures.LABELS
NETWORKS = tuple(LABELS)[:-1]  # the last is not learned


class Data(NamedTuple):
    """What is learned from, chosen by and judged on."""

    pool: tuple[torch.Tensor, torch.Tensor]
    checked: tuple[torch.Tensor, torch.Tensor]
    tested: list[cells.Cells]
    real: dict[str, cells.Real]


class Outcome(NamedTuple):
    """What one network from one start did."""

    key: str
    seed: int
    curve: list[tuple[int, float]]  #: step, IoU of the foreground in the validation images
    row: dict[str, Any]  #: its measures on the test images
    chances: list[Numbers]  #: of the three classes, of each test image
    found: list[Numbers]  #: labels
    real: dict[str, Numbers]  #: labels
    flat: Numbers  #: score of the foreground where the image is flat


def network(key: str, seed: int) -> Any:
    """One of `NETWORKS`, untrained."""
    import torch

    from sigdeconv.transposed import models

    if key == "skipless":
        return models.SkiplessFCN(1, 3, width=WIDTH, depth=DEPTH, generator=seed)
    decoder = "bilinear" if key == "bilinear" else "transposed"
    model = models.UNet(1, 3, width=WIDTH, depth=DEPTH, decoder=decoder, generator=seed)
    if key == "cut":
        model.encoder.register_forward_hook(lambda _, __, out: [*map(torch.zeros_like, out[:-1]), out[-1]])
    return model


def size_of(key: str) -> dict[str, float]:
    """Parameters that can do anything, and multiply-adds a pixel of the image."""
    from sigdeconv.transposed.summary import layer_table

    side = 8 << DEPTH
    model = network(key, 0)
    table = layer_table(model, (1, 1, side, side))
    # Weights of the decoder that only ever meet the zeros of a cut skip are there, but have no say.
    idle = sum(9 * (WIDTH << i) ** 2 for i in range(DEPTH)) if key == "cut" else 0
    work = table.multiply_adds - sum(9 * (WIDTH << i) ** 2 * (side >> i) ** 2 for i in range(DEPTH)) * bool(idle)
    return {"parameters": table.parameters - idle, "work": work / side**2}


def gather(study: Study) -> Data:
    """All images; each group from random numbers of its own."""
    import torch

    groups = ((POOL, POOL_SIZE), (CHECKED, POOL_SIZE), (TESTED, study.size))
    drawn = [[cells.draw(side, study.rng(i, j)) for j in range(n)] for i, (n, side) in enumerate(groups)]
    pairs = [
        (
            torch.as_tensor(np.stack([cells.standardised(one.image) for one in group]))[:, None],
            torch.as_tensor(np.stack([cells.classes(one.labels) for one in group])),
        )
        for group in drawn[:2]
    ]
    return Data(pairs[0], pairs[1], drawn[2], cells.real_images())


def batches(data: Data, seed: int, step: int) -> tuple[Any, torch.Tensor]:
    """Crops, turned and mirrored; the same for every network of this seed."""
    import torch

    rng = np.random.default_rng((seed, step))
    images, kinds = data.pool
    crops = []
    for index in rng.choice(len(images), BATCH, replace=False):
        y, x = rng.integers(0, images.shape[-1] - CROP + 1, 2)
        turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
        pair = (part[index, ..., y : y + CROP, x : x + CROP].rot90(turns, (-2, -1)) for part in (images, kinds))
        crops.append([part.flip(-1) if mirror else part for part in pair])
    inputs, target = (torch.stack(parts) for parts in zip(*crops, strict=True))
    return inputs, target


def learn(key: str, seed: int, data: Data, longer: int = 1) -> tuple[Any, list[tuple[int, float]]]:
    """Train a network; its learning curve."""
    import torch

    from sigdeconv.transposed import training

    images, kinds = data.checked

    def score(model: torch.nn.Module) -> float:
        found = model(images).softmax(1)[:, 0] < 1 - cells.SURE
        return cells.union_ratio((kinds > 0).numpy(), found.numpy())

    steps = longer * STEPS
    every = max(1, steps // CHECKS)
    plan = training.Plan(
        steps, RATE, RATE / 100, max(1, steps // 20), averaging=0.95, check_every=every, log_every=every, seed=seed
    )
    model = network(key, seed)
    loss = torch.nn.functional.cross_entropy
    done = training.train(model, lambda step: batches(data, seed, step), plan, loss=loss, score=score, device="cpu")
    return model, [(row["step"], row["score"]) for row in done.history if "score" in row]


def assess(key: str, seed: int, data: Data, longer: int = 1) -> Outcome:
    """Train a network and measure it."""
    import torch

    from sigdeconv.transposed import checkerboard

    model, curve = learn(key, seed, data, longer)

    def scores(image: Numbers) -> torch.Tensor:
        with torch.no_grad():
            found: torch.Tensor = model(torch.as_tensor(image)[None, None])[0]
        return found

    def log_odds(score: torch.Tensor) -> Numbers:
        odds: Numbers = (torch.logsumexp(score[1:], 0) - score[0]).numpy()
        return odds

    seen = [scores(cells.standardised(one.image)) for one in data.tested]
    chances = [one.softmax(0).numpy() for one in seen]
    found = [cells.instances(one) for one in chances]
    real = {
        name: cells.instances(scores(cells.standardised(one.image)).softmax(0).numpy())
        for name, one in data.real.items()
    }
    period = model.multiple
    border = model.reach // period + 1  # beyond it the frame is not felt
    side = (2 * border + FLAT_PERIODS) * period
    flats = [log_odds(scores(np.full((side, side), level, dtype=np.float32))) for level in FLAT_LEVELS]
    ripple = np.sqrt(np.mean([checkerboard.measure(flat, period, border=border).energy for flat in flats]))
    spread = np.concatenate([log_odds(one).ravel() for one in seen]).std()
    row = {"key": key, "method": LABELS[key], "seed": seed, **cells.judged(data.tested, found)}
    inner = slice(border * period, -border * period)
    return Outcome(
        key, seed, curve, row | {"ripple": 100 * float(ripple / spread)}, chances, found, real, flats[1][inner, inner]
    )


def finding(rows: Sequence[Mapping[str, Any]], real: Sequence[Mapping[str, Any]]) -> str:
    """Sentences from the tables; what is worth more is for the numbers to say."""
    up, skips = (
        {m: figures.differences(rows, *figures.WORTH[what], m) for m in ("iou", "f1")}
        for what in ("upsampling", "skips")
    )
    parts = [
        f"{signed(mean(found['iou']), 3)} in IoU and {signed(mean(found['f1']), 3)} in the F1 of the cells "
        f"({_agreed(found['f1'])} of F1)"
        for found in (up, skips)
    ]
    scores = {key: mean([row["f1"] for row in rows if row["key"] == key]) for key in LABELS}
    listed = "; ".join(f"{figures.SHORT[key]}: {value:.2f}" for key, value in scores.items())
    counts = "; ".join(f"{row['each']} ({figures.SHORT[row['key']]})" for row in real if row["image"] == "coins")
    text = (
        f"Bilinear interpolation in place of transposed convolutions was worth {parts[0]} to the U-Net, its skips "
        f"{parts[1]}: {_weighed(up, skips, 'iou', 'IoU')}, {_weighed(up, skips, 'f1', 'F1')}. F1 was {listed}. Having "
        f"seen simulated cells alone, they counted the {cells.COINS} coins of a photograph as {counts}."
    )
    return text.replace("U-Net", "U\0Net").replace("-", "−").replace("\0", "-")


def _weighed(up: Mapping[str, list[float]], skips: Mapping[str, list[float]], measure: str, name: str) -> str:
    """Which of the two changed more, and how many times as much."""
    layer, paths = abs(mean(up[measure])), abs(mean(skips[measure]))
    more, less = ("skips", "upsampling layer") if paths > layer else ("upsampling layer", "skips")
    ratio = max(paths, layer) / max(min(paths, layer), 1e-9)
    return f"by {name} the {more} mattered {'over 20' if ratio > 20 else f'{ratio:.1f}'} times as much as the {less}"


def _agreed(found: Sequence[float]) -> str:
    """Whether single starts say the same."""
    same = min(found) > 0 or max(found) < 0
    return f"{len(found)} starts agree on the sign" if same else f"{len(found)} starts do not agree on the sign"


def run(study: Study) -> Chapter:
    """Train all networks from all starts, judge them on what they have not seen."""
    # Two networks side by side, of one thread each, keep two cores busier than one network on both.
    with learning(), ThreadPoolExecutor(WORKERS) as pool:
        data = gather(study)
        seeds, longer = study.pick(*SEEDS), study.pick(1, LONGER)
        starts = [study.seed * seeds + start for start in range(seeds)]
        # submitted one by one, so that an error ends the run at once
        jobs = [pool.submit(assess, key, start, data, longer) for start, key in product(starts, NETWORKS)]
        outcomes = [job.result() for job in study.track(jobs, "segmentation")]
        sizes = {key: size_of(key) for key in NETWORKS}
        rows = [outcome.row for outcome in outcomes]
        plain = [cells.classical(one.image) for one in data.tested]
    judged = cells.judged(data.tested, plain)
    rows.append({"key": "classical", "method": LABELS["classical"], "seed": starts[0], **judged, "ripple": 0.0})
    sizes["classical"] = {"parameters": 0, "work": 0}
    real = figures.compare_real(data.real, outcomes)
    things = sum(int(one.labels.max()) for one in data.tested)
    return Chapter(
        "segmentation",
        TITLE,
        finding(rows, real),
        [
            f"Four networks with one encoder of {DEPTH + 1} resolutions, {seeds} starts each; in each start they begin "
            f"with the same encoder and learn the same {longer * STEPS} batches of {BATCH} crops of {CROP} × "
            f"{CROP} pixels, cut "
            f"from {POOL} simulated images. They tell the ground from the cores of cells and from their edges of "
            f"{cells.EDGE} pixels; one watershed, the same for all, makes cells of that. The weights kept are those "
            f"that did best on {CHECKED} images, and {TESTED} others with {things} cells are what is told here. In the "
            "third network the decoder gets zeros for the encoder's details: all else is as in the first. A few "
            "seconds of training each are shown, not what the networks could reach.",
            figures.outlines(study, data.tested, outcomes, plain),
            figures.measures(study, rows),
            Table(
                "segmentation-summary",
                f"Means over {seeds} starts, on {TESTED} images that were not learned from. Outlines: distance from "
                "each true to the nearest found one and back, averaged. F1: cells and segments that share more than "
                "half of what they cover together. Joined: cells most of which lies in a segment with most of another. "
                "Parameters of the network with its skips cut are those that can still do something. Bold: the highest "
                "F1.",
                figures.COLUMNS,
                figures.summarise(rows, sizes),
                marked="marked",
            ),
            Table(
                "segmentation-worth",
                "What each part is worth: the mean difference, and the least and the largest of the single starts. "
                "Outlines: less is better.",
                figures.WORTH_COLUMNS,
                figures.worth(rows),
            ),
            figures.curves(study, outcomes),
            figures.flats(study, outcomes),
            f"Real images, made smaller ({cells.COIN_SCALE:g} and {cells.CELL_SCALE:g} times) to the size of the "
            "simulated cells and not changed otherwise. For the coins the reference is the watershed on the gradient "
            f"of scikit-image's example, which separates all {cells.COINS}; for the cell it is Otsu's threshold. Both "
            "are segmentations too, not the truth.",
            figures.photographs(study, data.real, outcomes, real),
            Table("segmentation-real", "The real images, means over the starts", figures.REAL_COLUMNS, real),
            Table("segmentation", "Every network and start", figures.RUN_COLUMNS, rows, folded=True),
        ],
    )
