"""Checkerboards: from the overlap of kernels, from the weights that a layer starts with, and from training.

A transposed convolution meets the samples of its output with different sets of taps. Where their sums differ, a flat
input comes out with a pattern of the stride's period. Uneven overlap makes sums differ, but so does chance, and so does
learning. The gradient of a strided convolution by its input is a transposed convolution: the same holds there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import checkerboard_figures as figures
from . import checkerboard_layers as layers
from . import checkerboard_training as training
from .checkerboard_training import Case
from .common import Chapter, Column, Study, Table, learning, mean

TITLE = "Checkerboards: uneven overlap, chance, and training"

Rows = list[dict[str, Any]]

SEEDS, STEPS = (2, 4), (140, 800)  # quick and full
VISIBLE = 0.5  # grey levels: the rounding of a picture of 8 bits
NONE = 1e-9  # of the energy: rounding
RANDOM = ("torch", "kaiming")

START_COLUMNS = (
    Column("label", "weights"),
    Column("flat-even", "even overlap: share, flat input", "%", 1),
    Column("flat-uneven", "uneven: share, flat input", "%", 1),
    Column("noise-even", "even: unevenness, noise", "%", 0),
    Column("noise-uneven", "uneven: unevenness, noise", "%", 0),
)
LAYER_COLUMNS = (
    Column("side", "in the"),
    Column("label", "weights"),
    Column("stride", "stride", "", 0),
    Column("kernel", "kernel", "", 0),
    Column("remainder", "kernel mod stride", "", 0),
    Column("share", "share, flat", "%", 1),
    Column("flat-predicted", "by overlap", "%", 1),
    Column("unevenness", "unevenness, noise", "%", 0),
    Column("noise-predicted", "by overlap", "%", 0),
)
RUN_COLUMNS = (
    Column("label", "layer that doubles"),
    Column("kernel", "kernel", "", 0),
    Column("start", "start"),
    Column("before", "pattern at the start", "grey levels", 2),
    Column("after", "after training", "grey levels", 2),
    Column("gradient-before", "unevenness of the gradient, start", "%", 0),
    Column("gradient-after", "after training", "%", 0),
    Column("psnr", "denoised: PSNR", "dB", 1),
)


def by_start(rows: Sequence[Mapping[str, Any]], key: str, labels: Mapping[str, str]) -> Rows:
    """A row a kind of weights: means over the kernels and strides whose overlap is even, and over the others.

    Kernels smaller than the stride are left out: not all kinds of weights have them.
    """
    found: Rows = []
    for name, label in labels.items():
        mine = [row for row in rows if row[key] == name and row["kernel"] >= row["stride"]]
        found.append(
            {
                "key": name,
                "label": label,
                **{
                    f"{what}-{cover}": 100 * mean(row[value] for row in mine if row["even"] == (cover == "even"))
                    for what, value in (("flat", "share"), ("noise", "unevenness"))
                    for cover in ("even", "uneven")
                },
            }
        )
    return found


def verdict(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Do checkerboards come from uneven overlap only? Both halves of the answer, and its numbers.

    `rows` are those of `checkerboard_layers.outputs`. Shares are in per cent of the output's energy.
    """
    even = [row for row in rows if row["even"] and row["start"] in RANDOM]
    uneven = [row for row in rows if not row["even"]]
    silent = [row for row in uneven if row["share"] < NONE]
    return {
        "without uneven overlap": bool(even) and min(row["share"] for row in even) > NONE,
        "none in spite of it": bool(silent),
        "even, random [%]": 100 * mean(row["share"] for row in even),
        "uneven, random [%]": 100 * mean(row["share"] for row in uneven if row["start"] in RANDOM),
        "uneven, ones [%]": 100 * mean(row["share"] for row in uneven if row["start"] == "ones"),
        "silent in spite of it": [name for name in layers.STARTS if any(row["start"] == name for row in silent)],
        "only": not any(row["share"] > NONE for row in rows if row["even"]),
    }


def finding(rows: Sequence[Mapping[str, Any]], downs: Sequence[Mapping[str, Any]], runs: Rows) -> str:
    """Two sentences: is it overlap alone, and what training does."""
    found = verdict(rows)
    named = training.keyed(runs)
    plain = [row for row in downs if row["kind"] == "random"]
    learned, made = named[Case("transposed", 4, "kaiming")], named[Case("transposed", 4, "icnr")]
    first = (
        "Checkerboards come from uneven overlap only: without it none was found"
        if found["only"]
        else "Checkerboards do not come from uneven overlap only: of a flat input, layers with random weights put "
        f"{found['even, random [%]']:.0f} % of the output's energy into the pattern where every sample is covered "
        f"equally, and {found['uneven, random [%]']:.0f} % where not"
    )
    if found["none in spite of it"]:
        quiet = ", ".join(layers.STARTS[name].split(",")[-1].strip() for name in found["silent in spite of it"])
        first += f"; the right weights ({quiet}) leave none over uneven overlap"
    changed = "cut" if learned["after"] < learned["before"] else "raised"
    wrote = "wrote one into" if made["after"] > max(made["before"], 0.01) else "left"
    second = (
        f"Training {changed} the pattern of an evenly covering random layer from {learned['before']:.0f} to "
        f"{learned['after']:.1f} grey levels and {wrote} a layer that began with {made['before']:.1f} "
        f"({made['after']:.1f}); where errors are noise, the gradient of a random strided convolution follows overlap "
        f"(prediction and measurement correlate with {layers.correlation(plain, 'unevenness'):.2f})."
    )
    return f"{first}. {second}"


def told(runs: Rows, downs: Sequence[Mapping[str, Any]]) -> str:
    """What else the trained networks say, in words that follow from the numbers."""
    named = training.keyed(runs)
    one, same = named[Case("transposed", 4, "kaiming")], named[Case("subpixel", 4, "kaiming")]
    apart = max(abs(one["after"] - same["after"]), abs(one["before"] - same["before"]))
    equal = "the same numbers as" if apart < 0.01 * one["after"] else "not the numbers of"
    free = [row for row in runs if row["layer"] in ("enforced", "resize")]
    worst = max(max(row["before"], row["after"]) for row in free)
    kept = "are free of the pattern before and after" if worst < 0.01 else f"show up to {worst:.2f} grey levels of it"
    plain = [row for row in runs if row["layer"] in ("transposed", "subpixel")]
    covers = {"even": [r for r in plain if r["kernel"] % 2 == 0], "uneven": [r for r in plain if r["kernel"] % 2]}
    seen = " and ".join(
        f"{sum(row['after'] > VISIBLE for row in mine)} of the {len(mine)} with {cover} overlap"
        for cover, mine in covers.items()
    )
    costs = {
        k: named[Case("enforced", k, "kaiming")]["psnr"] - named[Case("transposed", k, "kaiming")]["psnr"]
        for k in (3, 4)
    }
    listed = " and ".join(f"{cost:+.1f} dB with kernel {k}" for k, cost in costs.items()).replace("-", "−")
    return (
        f"Of the transposed and sub-pixel layers {seen} leave more than {VISIBLE} grey levels of pattern in plain grey "
        "after training. The sub-pixel convolution, which is often "
        f"named as the cure, is the same operator: from the same start it gives {equal} the transposed convolution. "
        f"Layers with the enforced condition and those that resize first {kept}. From the same random start the "
        f"condition changed the PSNR by {listed}, in runs as short as these a matter of the start as much as of the "
        f"layer. {gradients_told(downs)}"
    )


def gradients_told(downs: Sequence[Mapping[str, Any]]) -> str:
    """What equal sums and means do to gradients where the overlap is uneven."""
    named = {row["key"]: row for row in by_start(downs, "kind", layers.DOWNS)}
    plain, sums, hold = (named[key]["noise-uneven"] for key in ("random", "sums", "hold"))
    verb = "does not even out" if sums > 0.9 * plain else "evens out somewhat"
    return (
        f"In gradients, enforcing equal sums keeps flat errors flat but {verb} noise: over uneven overlap its power "
        f"varies by {sums:.0f} % with the place in the period, by {plain:.0f} % without the condition, and by "
        f"{hold:.0f} % where means of s × s samples are taken instead, the mirror image of resizing."
    )


def _layer_rows(rows: Sequence[Mapping[str, Any]], downs: Sequence[Mapping[str, Any]]) -> Rows:
    found = []
    for side, key, labels, mine in (
        ("output", "start", layers.STARTS, rows),
        ("gradient", "kind", layers.DOWNS, downs),
    ):
        for row in mine:
            wanted = layers.cover(row["kernel"], row["stride"])
            found.append(
                {
                    **{name: row[name] for name in ("stride", "kernel", "remainder")},
                    "side": side,
                    "label": labels[row[key]],
                    "share": 100 * row["share"],
                    "flat-predicted": 100 * wanted.share,
                    "unevenness": 100 * row["unevenness"],
                    "noise-predicted": 100 * wanted.unevenness,
                }
            )
    return found


def run(study: Study) -> Chapter:
    """Layers at their start, then networks that learn."""
    with learning():
        import torch

        with torch.random.fork_rng(devices=[]):
            return _run(study)


def _run(study: Study) -> Chapter:
    rows = layers.outputs(layers.KERNELS, layers.STRIDES, tuple(layers.STARTS), seed=study.seed)
    downs = layers.gradients(layers.GRADIENT_KERNELS, layers.STRIDES, tuple(layers.DOWNS), seed=study.seed)
    seeds, steps = study.pick(*SEEDS), study.pick(*STEPS)
    runs = training.train_all(
        training.CASES,
        [study.seed + i for i in range(seeds)],
        steps,
        lambda items: study.track(items, "checkerboards"),
    )
    trained = training.summary(runs)
    shown = [
        {
            **row,
            "gradient-before": 100 * row["gradient-before"],
            "gradient-after": 100 * row["gradient-after"],
            "start": layers.STARTS[row["start"]].split(":")[0],
        }
        for row in trained
    ]
    strides = ", ".join(map(str, layers.STRIDES))
    return Chapter(
        "checkerboard",
        TITLE,
        finding(rows, downs, trained),
        [
            f"Kernels of {layers.KERNELS[0]} to {layers.KERNELS[-1]} taps at strides {strides}. A flat input goes in, "
            "and what the output holds at the stride's frequency and its harmonics is the pattern; its share is that "
            "part of the output's energy. Odena, Dumoulin and Olah (2016) explain it by uneven overlap. Overlap alone "
            "is a kernel of ones, and there their explanation is exact. Random weights have sums that differ by "
            "chance, and then the expected share is 1 − 1/s², whatever the kernel. Sugawara, Shiota and Kiya give the "
            "condition: all polyphase sums of a kernel are equal.",
            figures.flat(study),
            figures.starts(study, rows, downs),
            Table(
                "checkerboard-starts",
                "Outputs: means over all kernels and strides of each kind. Share: of the "
                "output's energy. Unevenness: standard deviation over mean of the power of the samples by their "
                "place in the period.",
                START_COLUMNS,
                by_start(rows, "start", layers.STARTS),
            ),
            Table(
                "checkerboard-gradients",
                "Gradients of a strided convolution by its input, for flat errors and for "
                "errors that are noise, with kernels from 1 tap.",
                START_COLUMNS,
                by_start(downs, "kind", layers.DOWNS),
            ),
            f"Does training help? A small network halves a noisy photograph and doubles it again ({steps} steps, "
            f"{seeds} seeds). Plain grey goes through it at every check, and the gradient of its loss by the pixels is "
            "measured too. The layer that halves is each time the mirror image of the one that doubles.",
            figures.curves(study, runs),
            figures.trained(study, runs),
            told(trained, downs),
            Table(
                "checkerboard-training",
                f"Networks before and after {steps} steps; patterns are root mean squares "
                "of what plain grey becomes, geometric means over the seeds.",
                RUN_COLUMNS,
                shown,
            ),
            Table(
                "checkerboard-layers", "All layers at their start", LAYER_COLUMNS, _layer_rows(rows, downs), folded=True
            ),
        ],
    )
