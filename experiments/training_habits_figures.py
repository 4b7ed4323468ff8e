"""What is told of `training_habits`: its figures and tables, and sentences computed from the runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from .common import Column, Figure, Study, Table, pyplot, show, signed

Rows = list[dict[str, Any]]

PARTS = ("many", "few")
GROUPS = {
    "Optimiser": ("sgd",),
    "In the network and its weights": ("norm", "dropout", "decay"),
    "Augmentation": ("flips", "turns", "jitter", "all"),
    "Start of the last layer": ("kaiming", "bilinear"),
}
STARTS = {"kaiming": "Kaiming", "plain": "ICNR", "bilinear": "bilinear"}
PALETTE = ("#d55e00", "#0072b2", "#009e73", "#cc79a7")
PLAIN, CLEAR, UNCLEAR = "#000000", "#0072b2", "#9a9a9a"
BACKED: dict[str, Any] = {"frameon": True, "edgecolor": "none", "framealpha": 0.9}
LOWEST = -6.0  # dB, where curves are cut off
WIDEST = 3.0  # dB to either side, beyond which a difference is written at the edge
FAINTEST = 0.01  # grey levels of a checkerboard
MEDIAN = 0.954  # of the distance of two normal numbers, in standard deviations

SUMMARY = (
    Column("habit", "habit"),
    Column("many", "plenty: gain", "dB", 2),
    Column("many-clear", "more than chance"),
    Column("few", "one crop: gain", "dB", 2),
    Column("few-clear", "more than chance"),
    Column("few-gap", "one crop: seen − unseen", "dB", 2),
)
STOPPED = (
    Column("data", "data"),
    Column("seed", "seed", "", 0),
    Column("end", "stopped at", "step", 0),
    Column("best", "weights of", "step", 0),
    Column("saved", "steps saved", "%", 0),
    Column("gain", "gain over the last weights", "dB", 2),
)
RUNS = (
    Column("data", "data"),
    Column("habit", "habit"),
    Column("seed", "seed", "", 0),
    Column("rate", "learning rate", "", 3),
    Column("steps", "steps", "", 0),
    Column("learned", "learned from", "dB", 2),
    Column("chosen", "validation", "dB", 2),
    Column("tested", "test", "dB", 2),
    Column("pattern", "checkerboard", "grey levels", 3),
)


def of(outcomes: Sequence[Any], part: str, key: str) -> list[Any]:
    """The runs of one habit in one part, by seed."""
    return [one for one in outcomes if (one.job.part, one.job.habit.key) == (part, key)]


def mean(runs: Sequence[Any], name: str) -> float:
    """Over runs, of what the weights that they returned have by `name`."""
    return float(np.mean([one.kept[name] for one in runs]))


def worths(outcomes: Sequence[Any], part: str, key: str) -> list[float]:
    """What a habit adds on the test pictures, in dB, by seed: against the plain recipe with the same crops."""
    pairs = zip(of(outcomes, part, key), of(outcomes, part, "plain"), strict=False)
    return [one.kept["tested"] - plain.kept["tested"] for one, plain in pairs]


def chance(outcomes: Sequence[Any], part: str) -> float:
    """How far from zero luck alone takes the mean worth of a habit, in dB: two standard deviations.

    That of one seed is told by how far the first two seeds lie apart, the median over all habits.
    """
    keys = {one.job.habit.key for one in outcomes} - {"plain"}
    found = [worths(outcomes, part, key) for key in keys]
    apart = np.median([abs(first - second) for first, second, *_ in found])
    return float(2 * apart / MEDIAN / np.sqrt(min(map(len, found))))


def summarise(outcomes: Sequence[Any]) -> Rows:
    """A row a habit, the plain recipe first: what it adds on the test pictures in both parts."""
    rows: dict[str, dict[str, Any]] = {}
    for habit in dict.fromkeys(one.job.habit for one in outcomes):
        row = rows[habit.key] = {"key": habit.key, "habit": habit.label}
        for part in PARTS:
            runs, found = of(outcomes, part, habit.key), worths(outcomes, part, habit.key)
            row[part], row[f"{part}-dots"] = float(np.mean(found)), found
            row[f"{part}-clear"] = "yes" if abs(row[part]) > chance(outcomes, part) else "no"
            row[f"{part}-gap"] = mean(runs, "learned") - mean(runs, "tested")
        row["marked"] = "yes" in (row["many-clear"], row["few-clear"])
    return list(rows.values())


def finding(outcomes: Sequence[Any], crop: str) -> str:
    """Sentences from the runs; which habit is praised is for the numbers to say."""
    summary, texts = summarise(outcomes)[1:], []
    for part, words in zip(PARTS, ("plenty of photographs", crop), strict=True):
        plain, luck = of(outcomes, part, "plain"), chance(outcomes, part)
        seen, unseen = (signed(mean(plain, name), 2) for name in ("learned", "tested"))
        clear = sorted((row for row in summary if row[f"{part}-clear"] == "yes"), key=lambda row: -row[part])
        told = ", ".join(f"{row['habit']} {signed(row[part], 2)} dB" for row in clear) or "none"
        texts.append(
            f"With {words} the plain recipe ends at {unseen} dB against bicubic interpolation on unseen pictures "
            f"({seen} dB on those it learned from); of {len(summary)} habits these move the former by more than chance "
            f"(±{luck:.2f} dB): {told}."
        )
    return " ".join(texts)


def tables(outcomes: Sequence[Any], tries: Sequence[Any], names: dict[str, str]) -> list[Table]:
    """The summary, early stopping, the rates that were tried, and all runs."""
    stopped: Rows = []
    for part in PARTS:
        # The same seed without stopping is the same run, gone on to its end.
        for one, whole in zip(of(outcomes, part, "stopping"), of(outcomes, part, "plain"), strict=False):
            end, last = one.rows[-1]["step"], whole.rows[-1]
            saved = {"end": end, "best": one.kept["step"], "saved": 100 * (1 - end / last["step"])}
            gain = one.kept["tested"] - last["tested"]
            stopped.append({"data": names[part], "seed": one.job.seed, **saved, "gain": gain})
    others = [one for one in tries if one not in outcomes]
    runs = [
        {"data": names[one.job.part], "habit": one.job.habit.label, "seed": one.job.seed, "rate": one.job.rate}
        | {"steps": one.rows[-1]["step"], **one.kept, "marked": one in tries and one in outcomes}
        for one in (*outcomes, *others)
    ]
    return [
        Table(
            "training-habits",
            "PSNR of the luminance on unseen test pictures, less that of the plain recipe with the same crops. "
            "Bold: by more than chance, which one in twenty of such differences would be by luck.",
            SUMMARY,
            summarise(outcomes),
            marked="marked",
        ),
        Table(
            "training-habits-stopping",
            "Early stopping, against the last weights of the same run gone on to its end.",
            STOPPED,
            stopped,
        ),
        Table(
            "training-habits-runs",
            f"All {len(runs)} runs: PSNR above that of bicubic interpolation on the same pictures, and the rms of the "
            f"checkerboard that is made of plain grey. Bold: the learning rates that were best of {len(tries) // 4} by "
            "the validation pictures and so taken for all runs; those that were not come last.",
            RUNS,
            runs,
            folded=True,
            marked="marked",
        ),
    ]


def _curve(runs: Sequence[Any], name: str) -> tuple[list[float], Any]:
    """Steps, and one curve a run."""
    return [row["step"] for row in runs[0].rows], np.array([[row[name] for row in one.rows] for one in runs])


def curves(study: Study, outcomes: Sequence[Any], names: dict[str, str]) -> Figure:
    """Validation PSNR against steps: a row a part, a column a group of habits."""
    plt = pyplot()
    figure, axes = plt.subplots(2, len(GROUPS), figsize=(15, 7.6), sharex=True, sharey="row")
    for (part, (group, keys)), ax in zip(product(PARTS, GROUPS.items()), axes.flat, strict=True):
        for key, colour in zip(("plain", *keys), (PLAIN, *PALETTE), strict=False):
            runs = of(outcomes, part, key)
            steps, values = _curve(runs, "chosen")
            ax.plot(steps, values.mean(axis=0), color=colour, linewidth=2, label=runs[0].job.habit.label)
            ax.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0)
        ax.axhline(0, color="#5b6675", linewidth=0.9, linestyle=":")
        ax.set(ylim=(LOWEST, 1.2), xlim=(0, steps[-1]))
        ax.grid(axis="y")
        if part == PARTS[0]:
            ax.set_title(group, weight="bold")
            ax.legend(loc="lower right", fontsize=9, **BACKED)
        else:
            ax.set_xlabel("training steps")
    for part, row in zip(PARTS, axes, strict=True):
        row[0].set_ylabel(f"{names[part]}\nvalidation PSNR above bicubic [dB]")
        row[0].text(0.02, 0.1, "bicubic", va="bottom", color="#5b6675", transform=row[0].get_yaxis_transform(), size=9)
    figure.suptitle("The same upsampler, the same crops, one habit changed at a time", weight="bold")
    caption = (
        "PSNR on pictures that are not learned from, as training goes on; dotted: bicubic interpolation. Lines are "
        "means over seeds, bands reach from the worst to the best seed. What lies lower than the frame is cut off."
    )
    return study.save(figure, "training-habits-curves", caption)


def worth(study: Study, outcomes: Sequence[Any], names: dict[str, str]) -> Figure:
    """A dot a run, a larger one their mean: what each habit adds to the plain recipe."""
    plt = pyplot()
    rows = summarise(outcomes)[1:]
    figure, axes = plt.subplots(1, 2, figsize=(13, 5.6), sharey=True)
    for part, ax in zip(PARTS, axes, strict=True):
        luck = chance(outcomes, part)
        ax.axvspan(-luck, luck, color="#e9e9e9")
        ax.axvline(0, color=PLAIN, linewidth=1)
        for y, row in enumerate(rows):
            colour = CLEAR if row[f"{part}-clear"] == "yes" else UNCLEAR
            inside = np.clip([row[part], *row[f"{part}-dots"]], -WIDEST, WIDEST)
            ax.plot(inside[1:], [y] * (len(inside) - 1), "o", color=colour, markersize=4, alpha=0.5)
            ends = {-WIDEST: "<", WIDEST: ">"}
            ax.plot(inside[0], y, ends.get(float(inside[0]), "o"), color=colour, markersize=9)
            ax.text(
                1.02,
                y,
                signed(round(row[part], 2) + 0.0, 2),
                va="center",
                color=colour,
                transform=ax.get_yaxis_transform(),
            )
        ax.set(xlim=(-1.1 * WIDEST, 1.1 * WIDEST), yticks=range(len(rows)), ylim=(len(rows) - 0.5, -0.5))
        ax.set_yticklabels([row["habit"] for row in rows])
        ax.set_xlabel("PSNR on unseen test pictures, less that of the plain recipe [dB]")
        ax.set_title(f"{names[part]}\n(grey: what chance does, ±{luck:.2f} dB)")
        ax.grid(axis="x")
    figure.suptitle("What each habit is worth: left of the line it costs, right of it it helps", weight="bold")
    caption = (
        "Small dots are runs, large ones their mean, also given at the right. Blue: by more than chance, which is told "
        f"from how far two seeds of one habit lie apart. Arrows: beyond ±{WIDEST:.0f} dB."
    )
    return study.save(figure, "training-habits-worth", caption)


def overfitting(study: Study, outcomes: Sequence[Any], names: dict[str, str]) -> Figure:
    """Pictures learned from against pictures never seen: plenty, one crop, and one crop with all augmentation."""
    plt = pyplot()
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.8), sharey=True)
    panels = [("many", "plain", names["many"]), ("few", "plain", names["few"]), ("few", "all", "")]
    kinds = {"learned": "learned from", "chosen": "unseen: validation", "tested": "unseen: test"}
    for ax, (part, key, title) in zip(axes, panels, strict=True):
        runs = of(outcomes, part, key)
        for (name, label), colour in zip(kinds.items(), ("#d55e00", "#0072b2", "#56b4e9"), strict=True):
            steps, values = _curve(runs, name)
            ax.plot(steps, values.mean(axis=0), color=colour, linewidth=2, label=label)
            ax.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0)
        gap = mean(runs, "learned") - mean(runs, "tested")
        ax.axhline(0, color="#5b6675", linewidth=0.9, linestyle=":")
        title = title or f"the same crop with {runs[0].job.habit.label}"
        ax.set_title(f"{title}\nseen − unseen (test) at the end: {signed(gap, 1)} dB")
        ax.set(xlabel="training steps", ylim=(LOWEST, 2), xlim=(0, steps[-1]))
        ax.grid(axis="y")
    for i, one in enumerate(of(outcomes, "few", "stopping")):
        end, best = one.rows[-1]["step"], one.kept
        axes[1].axvline(end, color="#009e73", linewidth=1.3, linestyle="--", label=None if i else "early stopping: end")
        axes[1].plot(best["step"], best["chosen"], "*", color="#009e73", markersize=13, label=None if i else "its best")
    axes[0].set_ylabel("PSNR above bicubic [dB]")
    axes[0].legend(loc="lower right", fontsize=9)
    axes[1].legend(*(x[-2:] for x in axes[1].get_legend_handles_labels()), loc="lower right", fontsize=9, **BACKED)
    figure.suptitle("Pictures that are learned from, and pictures that are not", weight="bold")
    caption = (
        "PSNR against that of bicubic interpolation on the same pictures. Stars: the weights that early stopping "
        "keeps, one a seed; dashed: where it ends the run. Means over seeds, with bands from the worst to the best."
    )
    return study.save(figure, "training-habits-overfitting", caption)


def starts(study: Study, outcomes: Sequence[Any]) -> Figure:
    """The checkerboard over the steps for each start, and what is seen of it."""
    plt = pyplot()
    figure = plt.figure(figsize=(15, 5.6))
    left, right = figure.subfigures(1, 2, width_ratios=(1.05, 1))
    ax = left.subplots()
    first = {key: of(outcomes, "many", key)[0] for key in STARTS}
    told: list[str] = []
    last = len(first["plain"].rows) - 1
    shown = (1, min(3, last), last)
    axes = right.subplots(len(shown), len(STARTS))
    for (key, label), colour, column in zip(STARTS.items(), PALETTE, axes.T, strict=False):
        steps, values = _curve(of(outcomes, "many", key), "pattern")
        values = values.clip(FAINTEST)
        told.append(f"{label} {values[:, 1].mean():.1f}")
        ax.semilogy(steps, values.mean(axis=0), color=colour, linewidth=2, label=f"{label} start")
        ax.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0)
        for index, cell in zip(shown, column, strict=True):
            show(cell, first[key].glimpses[index], vmin=0, vmax=255)
        column[0].set_title(f"{label} start", color=colour, weight="bold")
    for index, cell in zip(shown, axes[:, 0], strict=True):
        cell.set_ylabel(f"step {steps[index]:.0f}")
    ax.set(xlabel="training steps", ylabel="checkerboard in plain grey, rms [grey levels of 255]", xlim=(0, steps[-1]))
    ax.set_ylim(bottom=FAINTEST)
    ax.axhline(0.5, color="#5b6675", linewidth=0.9, linestyle=":")
    ax.text(steps[-1], 0.52, "lost in rounding to 8 bits", ha="right", va="bottom", color="#5b6675", fontsize=9)
    ax.legend(loc="upper right")
    ax.grid(axis="y")
    figure.suptitle(f"Checkerboard at step {steps[1]:.0f}, in grey levels: {', '.join(told)}", weight="bold")
    caption = (
        "Plenty of photographs. Left: the pattern of period 2 that the network makes of plain grey, means over seeds; "
        f"less than {FAINTEST} is drawn at the bottom. Right: a part of a test photograph (camera) as it comes out."
    )
    return study.save(figure, "training-habits-starts", caption)
