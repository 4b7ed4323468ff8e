"""The tables and figures of `segmentation`: how the decoders are named, compared and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import segmentation_cells as cells
from .common import Column, Figure, Study, pyplot, show, signed

Numbers = np.ndarray[Any, Any]

LABELS = {
    "transposed": "U-Net, transposed convolutions",
    "bilinear": "U-Net, bilinear",
    "cut": "the transposed U-Net, skips cut",
    "skipless": "FCN: no skips, one layer up",
    "classical": "threshold and watershed, not learned",
}
SHORT = {
    "transposed": "U-Net, transposed",
    "bilinear": "U-Net, bilinear",
    "cut": "U-Net, skips cut",
    "skipless": "FCN, no skips",
    "classical": "threshold + watershed",
}
COLOURS = {
    "transposed": "#d55e00",
    "bilinear": "#0072b2",
    "cut": "#e69f00",
    "skipless": "#cc79a7",
    "classical": "#7f7f7f",
}
TRUE, FOUND = "#00d5ff", "#ff9d00"  # outlines
WIDE, FINE = 2.0, 0.9  # points: true outlines, and found ones over them
WINDOW = 88  # pixels of a test image that are shown
MEASURES = ("iou", "outline", "median", "f1", "joined")


COLUMNS = (
    Column("method", "method"),
    Column("parameters", "parameters", digits=0),
    Column("work", "multiply–adds a pixel", digits=0),
    Column("iou", "IoU of the foreground", digits=3),
    Column("outline", "outlines off, mean", "px", 2),
    Column("median", "median", "px", 2),
    Column("f1", "F1 of the cells", digits=3),
    Column("joined", "cells joined with others", "%", 1),
    Column("ripple", "checkerboard on a flat image", "% of the scores' spread", 2),
)
RUN_COLUMNS = (COLUMNS[0], Column("seed", "start", digits=0), *COLUMNS[3:])
WORTH = {  # what is compared, and the two networks whose difference it is
    "upsampling": ("bilinear", "transposed"),
    "skips": ("transposed", "cut"),
    "steps": ("transposed", "skipless"),
    "learning": ("transposed", "classical"),
}
WORTH_LABELS = {
    "upsampling": "bilinear in place of transposed",
    "skips": "skips",
    "steps": "skips, and a decoder in steps",
    "learning": "learning",
}
WORTH_COLUMNS = (
    Column("what", "worth of"),
    Column("iou", "IoU", digits=3),
    Column("iou-range", "of single starts"),
    Column("f1", "F1", digits=3),
    Column("f1-range", "of single starts"),
    Column("outline", "outlines, mean", "px", 2),
    Column("outline-range", "of single starts"),
)
REAL_COLUMNS = (
    Column("image", "image"),
    Column("method", "method"),
    Column("segments", "segments found", digits=1),
    Column("each", "each start"),
    Column("matched", "of the reference's", digits=1),
    Column("iou", "IoU with the reference", digits=3),
    Column("outline", "outlines off it, mean", "px", 2),
)


def differences(rows: Sequence[Mapping[str, Any]], first: str, second: str, measure: str) -> list[float]:
    """First network less the second, start by start; what is not learned has one value for all."""
    values = {key: {row["seed"]: row[measure] for row in rows if row["key"] == key} for key in (first, second)}
    only = next(iter(values[second].values()))
    return [value - values[second].get(seed, only) for seed, value in values[first].items()]


def worth(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a question: mean difference, and the least and largest of a start."""
    result = []
    for what, pair in WORTH.items():
        row: dict[str, Any] = {"key": what, "what": WORTH_LABELS[what]}
        for measure, digits in (("iou", 3), ("f1", 3), ("outline", 2)):
            found = differences(rows, *pair, measure)
            ends = f"{signed(min(found), digits)} to {signed(max(found), digits)}"
            row |= {measure: float(np.mean(found)), f"{measure}-range": ends}
        result.append(row)
    return result


def summarise(rows: Sequence[Mapping[str, Any]], sizes: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Means over the starts, with what each network costs."""
    result: list[dict[str, Any]] = []
    for key, label in LABELS.items():
        mine = [row for row in rows if row["key"] == key]
        means = {name: float(np.mean([row[name] for row in mine])) for name in (*MEASURES, "ripple")}
        result.append({"key": key, "method": label, **sizes[key], **means})
    highest = max(row["f1"] for row in result)
    return [row | {"marked": row["f1"] == highest} for row in result]


def compare_real(real: Mapping[str, cells.Real], outcomes: Sequence[Any]) -> list[dict[str, Any]]:
    """A row a real image and method; the reference is a segmentation too, and no truth."""
    rows = []
    for name, one in real.items():
        reference = cells.Cells(one.image, one.reference)
        for key, label in LABELS.items():
            found = [o.real[name] for o in outcomes if o.key == key] or [cells.classical(one.image)]
            counts = [cells.count_cells(one.reference, labels) for labels in found]
            close = [cells.judged([reference], [labels]) for labels in found]
            each = [count["segments"] for count in counts]
            row = {"image": name, "key": key, "method": label, "each": ", ".join(map(str, each))}
            row |= {"segments": float(np.mean(each)), "matched": float(np.mean([c["matched"] for c in counts]))}
            rows.append(row | {m: float(np.mean([c[m] for c in close])) for m in ("iou", "outline")})
    return rows


def outlines(study: Study, tested: Sequence[cells.Cells], outcomes: Sequence[Any], plain: Sequence[Numbers]) -> Figure:
    """Two test images: found outlines over true ones, and the probabilities that they were made of."""
    plt = pyplot()
    first = {o.key: o for o in reversed(outcomes)}
    f1 = {key: [_f1(one, labels) for one, labels in zip(tested, o.found, strict=True)] for key, o in first.items()}
    f1["classical"] = [_f1(one, labels) for one, labels in zip(tested, plain, strict=True)]
    # Chosen by the truth alone: what is shown is not what suits a method.
    order = np.argsort([one.labels.max() for one in tested])
    picked = [int(order[-1]), int(order[len(order) // 2 - 1])]
    figure, axes = plt.subplots(2 * len(picked), len(LABELS) + 1, figsize=(15, 10.6))
    for pair, index in zip((axes[:2], axes[2:]), picked, strict=True):
        one = tested[index]
        window = _busiest(one.labels)
        image, true = cells.standardised(one.image)[window], one.labels[window]
        show(pair[0, 0], image, "image")
        show(pair[1, 0], image, "the truth")
        _line(pair[1, 0], true, TRUE)
        for column, key in enumerate(LABELS, 1):
            found = plain[index] if key == "classical" else first[key].found[index]
            ax, below = pair[:, column]
            show(ax, image, f"{SHORT[key]}\nF1 {f1[key][index]:.2f}")
            ax.title.set_color(COLOURS[key])
            _line(ax, true, TRUE, WIDE)
            _line(ax, found[window], FOUND)
            if key == "classical":
                below.axis("off")
                continue
            chances = first[key].chances[index][(slice(None), *window)]
            drawn = show(below, chances[1], vmin=0, vmax=1, cmap="viridis")
    for below in axes[1::2, -1]:
        figure.colorbar(drawn, cax=below.inset_axes((0.06, 0.1, 0.09, 0.8)), label="probability of a cell's core")
    figure.suptitle("What each decoder makes of cells that touch", weight="bold")
    caption = (
        "The test image with the most cells, and the one in the middle by their number: first start, "
        f"{WINDOW} pixels of a side where most outlines are, F1 of the whole image. True outlines are blue, found "
        "ones orange. Below, what the outlines were made of."
    )
    return study.save(figure, "segmentation-outlines", caption)


def measures(study: Study, rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Every start of every network as a point, and the mean."""
    plt = pyplot()
    panels = {
        "iou": "IoU of the foreground\n(more is better)",
        "outline": "outlines off, mean [pixels]\n(less is better)",
        "f1": "F1 of the cells\n(more is better)",
        "joined": "cells joined with others [%]\n(less is better)",
    }
    figure, axes = plt.subplots(1, len(panels), figsize=(15, 3.6), sharey=True)
    for ax, (measure, title) in zip(axes, panels.items(), strict=True):
        for place, key in enumerate(LABELS):
            found = [row[measure] for row in rows if row["key"] == key]
            ax.plot(found, np.full(len(found), place), "o", color=COLOURS[key], alpha=0.55, markersize=8)
            ax.plot([np.mean(found)] * 2, [place - 0.3, place + 0.3], color=COLOURS[key], linewidth=3)
        ax.set_title(title)
        ax.grid(axis="x")
        ax.margins(x=0.12)
        ax.locator_params(axis="x", nbins=5)
    axes[0].set_yticks(range(len(SHORT)), SHORT.values())
    axes[0].invert_yaxis()
    figure.suptitle("How far apart the decoders are, and how far one is from itself", weight="bold")
    caption = "A point is one start of a network, a bar the mean. What is not learned has one value."
    return study.save(figure, "segmentation-measures", caption)


def curves(study: Study, outcomes: Sequence[Any]) -> Figure:
    """IoU in the validation images while the networks learn."""
    plt = pyplot()
    figure, ax = plt.subplots(figsize=(9, 4.4))
    for key in dict.fromkeys(o.key for o in outcomes):
        runs = [np.array(o.curve) for o in outcomes if o.key == key]
        for run in runs:
            ax.plot(*run.T, color=COLOURS[key], linewidth=0.8, alpha=0.5)
        ax.plot(*np.mean(runs, axis=0).T, color=COLOURS[key], linewidth=2.6, label=SHORT[key])
    ax.set(xlabel="batches learned", ylabel="IoU of the foreground, validation images", xlim=(0, None))
    ax.grid()
    ax.legend(loc="lower right")
    ax.set_title("Learning curves: thin lines are single starts, thick ones their mean", weight="bold")
    return study.save(figure, "segmentation-curves", "Validation images take part in choosing the weights only.")


def flats(study: Study, outcomes: Sequence[Any]) -> Figure:
    """The score of the foreground where the image is flat: nothing but the decoder's own pattern."""
    plt = pyplot()
    first = {o.key: o for o in reversed(outcomes)}
    figure, axes = plt.subplots(1, len(first), figsize=(14, 3.9))
    waves = {key: o.flat - o.flat.mean() for key, o in first.items()}
    top = max(float(np.abs(wave).max()) for wave in waves.values()) or 1.0
    for ax, key in zip(axes, (key for key in LABELS if key in first), strict=True):
        drawn = show(ax, waves[key], vmin=-top, vmax=top, cmap="RdBu_r")
        ax.set_title(f"{SHORT[key]}\n{first[key].row['ripple']:.2f} % of the scores' spread", color=COLOURS[key])
    figure.colorbar(drawn, ax=axes, label="score − its mean [log-odds]", shrink=0.9)
    figure.suptitle("A flat image should give a flat score", weight="bold")
    caption = (
        f"Log-odds of cell against ground on an image without anything on it, {len(waves['bilinear'])} pixels of a "
        "side in the middle, first start. The spread is the standard deviation of the scores on the test images."
    )
    return study.save(figure, "segmentation-checkerboard", caption)


def photographs(
    study: Study, real: Mapping[str, cells.Real], outcomes: Sequence[Any], rows: Sequence[Mapping[str, Any]]
) -> Figure:
    """The real images: found outlines over those of the reference."""
    plt = pyplot()
    first = {o.key: o for o in reversed(outcomes)}
    each = {(row["image"], row["key"]): row["each"] for row in rows}
    figure, axes = plt.subplots(len(real), len(LABELS) + 1, figsize=(15, 5.6), height_ratios=[0.8, 1.2])
    for line, (name, one) in zip(axes, real.items(), strict=True):
        show(line[0], one.image, f"{name}, {one.scale:g} times smaller\nreference: {one.reference.max()}")
        _line(line[0], one.reference, TRUE)
        for ax, key in zip(line[1:], LABELS, strict=True):
            labels = first[key].real[name] if key in first else cells.classical(one.image)
            show(ax, one.image, f"{SHORT[key]}\nfound {each[name, key]}")
            ax.title.set_color(COLOURS[key])
            _line(ax, one.reference, TRUE, WIDE)
            _line(ax, labels, FOUND)
    figure.suptitle("Real images, by networks that have seen simulated cells only", weight="bold")
    caption = (
        "Outlines of the reference are blue, found ones (first start) orange; numbers of segments of every start. "
        "Photographs: scikit-image's coins and cell."
    )
    return study.save(figure, "segmentation-real", caption)


def _f1(one: cells.Cells, labels: Numbers) -> float:
    return cells.judged([one], [labels])["f1"]


def _busiest(labels: Numbers) -> tuple[slice, slice]:
    """The window with the most outlines in it."""
    size = min(WINDOW, *labels.shape)
    total = np.pad(cells.outlines(labels), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    inside = total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
    y, x = (int(i) for i in np.unravel_index(inside.argmax(), inside.shape))
    return slice(y, y + size), slice(x, x + size)


def _line(ax: Any, labels: Numbers, colour: str, width: float = FINE) -> None:
    """Outlines over an image that is shown already, halfway between the pixels."""
    from matplotlib.collections import LineCollection
    from skimage.measure import find_contours

    numbers = np.unique(labels[labels > 0])
    lines = [line for number in numbers for line in find_contours(np.pad(labels == number, 1).astype(float), 0.5)]
    ax.add_collection(LineCollection([line[:, ::-1] - 1 for line in lines], colors=colour, linewidths=width))
