"""The figures of `orthogonal`: a photograph there and back, and the error against the singular values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .common import Figure, Study, pyplot, show

Numbers = np.ndarray[Any, Any]

ERROR_RANGE = 80.0  # grey levels; larger errors saturate the colours
LEAST = 3e-3  # relative error at which the logarithmic axes begin
COLOURS = {"blur": "#0072b2", "random": "#d55e00", "bank": "#009e73", "blurs": "#56b4e9", "layer": "#cc79a7"}
SCENES = {"photograph": ("o", "photograph"), "noise": ("x", "white noise")}
EXACT_COLOUR = "#0b6e4f"


def tiled(parts: Numbers, gap: int) -> Numbers:
    """Channels side by side in two rows, with a gap of nothing."""
    if parts.shape[0] == 1:
        only: Numbers = parts[0]
        return only
    wide = [np.pad(part, [(0, gap), (0, gap)], constant_values=np.nan) for part in parts]
    half = math.ceil(len(wide) / 2)
    joined: Numbers = np.vstack([np.hstack(wide[:half]), np.hstack(wide[half:])])
    return joined[:-gap, :-gap]


def gallery(study: Study, picture: Numbers, operators: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Kernels, a photograph through them, what the transpose makes of it, and what is wrong."""
    plt = pyplot()
    figure, axes = plt.subplots(4, len(operators) + 1, figsize=(15, 8.9))
    grey: dict[str, Any] = {"vmin": float(picture.min()), "vmax": float(picture.max())}
    show(axes[0, 0], picture, "scene x", **grey)
    words = ("", "A x\n(each on its\nown scale)", "AᴴA x\nwith its\nbest gain", "error\ng AᴴA x − x")
    for ax, text in zip(axes[1:, 0], words[1:], strict=True):
        ax.axis("off")
        ax.text(0.95, 0.5, text, ha="right", va="center", fontsize=11, transform=ax.transAxes)
    for column, operator, row in zip(axes.T[1:], operators.values(), rows, strict=True):
        kernels = tiled(operator.kernels, 1)
        reach = float(np.nanmax(np.abs(kernels)))
        show(column[0], kernels, operator.label, vmin=-reach, vmax=reach, cmap="RdBu_r")
        for spine in column[0].spines.values():
            spine.set(visible=True, color="#b8bfc8")
        column[0].set_xlabel("kernel" if len(operator.kernels) == 1 else f"{len(operator.kernels)} kernels", fontsize=9)
        y = operator.forward(picture)
        back = operator.adjoint(y)
        back = back * float(np.vdot(back, picture) / np.vdot(back, back))
        darkest, brightest = np.percentile(y, (1, 99))
        show(column[1], tiled(y, 2), vmin=darkest, vmax=brightest)
        show(column[2], back, **grey)
        drawn = show(column[3], back - picture, vmin=-ERROR_RANGE, vmax=ERROR_RANGE, cmap="RdBu_r")
        exact = row["exact"]
        text = "0 (rounding)" if exact else f"{100 * row['scaled']:.0f} %"
        column[3].set_xlabel(f"error {text}", fontsize=11, weight="bold", color=EXACT_COLOUR if exact else "#d55e00")
        column[0].title.set_color(EXACT_COLOUR if exact else "black")
    figure.colorbar(drawn, ax=axes[3, :], label="grey levels", extend="both", aspect=12, pad=0.01)
    number = sum(bool(row["exact"]) for row in rows)
    figure.suptitle(
        f"The transpose gives the photograph back under {number} of these {len(rows)} operators", weight="bold"
    )
    caption = (
        "Kernels: red above zero, blue below. The photograph through each operator, then through its transpose, with "
        "the factor that brings it nearest to the scene; below, what is wrong, and its size relative to the contrast "
        "of the scene. Green: all singular values are 1. No noise anywhere."
    )
    return study.save(figure, "orthogonal-photographs", caption)


def _points(ax: Any, rows: Sequence[Mapping[str, Any]], across: str, up: str, labels: Mapping[str, str]) -> None:
    """Every operator as a mark: its colour the family, its shape the scene."""
    for scene, (marker, _) in SCENES.items():
        for family in labels:
            mine = [r for r in rows if (r["family"], r["scene"]) == (family, scene) and math.isfinite(r[across])]
            ax.plot(
                [row[across] for row in mine],
                [row[up] for row in mine],
                marker,
                color=COLOURS[family],
                markersize=4,
                alpha=0.55,
                markeredgewidth=0.8 if marker == "x" else 0,
                rasterized=True,
            )


def ways(
    study: Study,
    paths: Sequence[Mapping[str, Any]],
    points: Sequence[Mapping[str, Any]],
    labels: Mapping[str, str],
    ranks: Mapping[str, float],
) -> Figure:
    """The error on the way from orthogonal to random, and against three measures of the singular values."""
    plt = pyplot()
    figure, axes = plt.subplots(2, 2, figsize=(15, 10.4))
    way, bound, spread, condition = axes.ravel()
    for family in dict.fromkeys(row["family"] for row in paths):
        for scene, style in (("photograph", "o-"), ("noise", "x--")):
            mine = [row for row in paths if (row["family"], row["scene"]) == (family, scene)]
            way.plot([r["t"] for r in mine], [r["scaled"] for r in mine], style, color=COLOURS[family], markersize=5)
    way.set(xlabel="t: from orthogonal (0) to the operator itself (1)", ylabel="relative error, best gain", xlim=(0, 1))
    way.set_ylim(bottom=0)
    zero = max(float(row["scaled"]) for row in paths if row["t"] == 0)
    way.set_title(f"The way from orthogonal: at t = 0 the error is {'rounding' if zero < 1e-12 else f'{zero:.0e}'}")
    rows = [*paths, *points]
    seen = [row for row in rows if row["bound"] > LEAST]
    ratio = max(float(row["raw"] / row["bound"]) for row in seen)
    _points(bound, seen, "bound", "raw", labels)
    ends = np.array([LEAST, 2 * max(float(row["bound"]) for row in seen)])
    bound.plot(ends, ends, color="black", linewidth=1.2, label="the bound: error = max |σ² − 1|")
    bound.set(xscale="log", yscale="log", xlim=ends, ylim=(LEAST, ends[1]))
    bound.set(xlabel="max |σ² − 1|", ylabel="relative error of AᴴA x as it comes")
    bound.legend(loc="upper left", fontsize=10)
    bound.set_title(
        f"As it comes: {'below' if ratio <= 1 else 'not below'} the bound everywhere (at most {ratio:.2f} of it)"
    )
    _points(spread, seen, "spread", "scaled", labels)
    s = np.geomspace(LEAST, 2 * max(float(row["spread"]) for row in seen), 200)
    spread.plot(s, s / np.sqrt(1 + s**2), color="black", linewidth=1.2, label="theory for white noise: s/√(1 + s²)")
    spread.set(xscale="log", yscale="log", xlim=(LEAST, s[-1]), ylim=(LEAST, 1.5))
    spread.set(xlabel="s: spread of σ² (standard deviation / mean)", ylabel="relative error, best gain")
    spread.legend(loc="lower right", fontsize=10)
    noise = [row for row in seen if row["scene"] == "noise"]
    off = max(abs(row["scaled"] * math.hypot(1, row["spread"]) / row["spread"] - 1) for row in noise)
    spread.set_title(f"With the best gain: white noise keeps to its theory within {100 * off:.0f} %")
    _points(condition, seen, "condition", "scaled", labels)
    k = np.geomspace(1.0005, 1e4, 2000)
    top = (k**2 - 1) / (k**2 + 1)
    condition.plot(k, top, color="black", linewidth=1.2, label="the bound: (κ² − 1)/(κ² + 1)")
    condition.set(xscale="log", xlim=(1, 1e4), ylim=(0, 1.08))
    condition.set(xlabel="κ: condition, largest σ / smallest σ", ylabel="relative error, best gain")
    condition.legend(loc="lower right", fontsize=10)
    above = sum(float(row["scaled"]) > float(row["kantorovich"]) * (1 + 1e-9) for row in seen)
    condition.set_title(f"With the best gain: {above or 'none'} of {len(seen)} above the bound of the condition")
    for ax in axes.ravel():
        ax.grid(visible=True)
    for family, label in labels.items():
        way.plot([], [], "s", color=COLOURS[family], label=label)
    for marker, label in SCENES.values():
        way.plot([], [], marker, color="#5b6675", label=f"scene: {label}")
    figure.legend(*way.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=10)
    figure.suptitle(
        "The more unequal the singular values, the less is undone? Rank correlation of spread and error: "
        f"{ranks['noise']:.2f} for white noise, {ranks['photograph']:.2f} for a photograph",
        weight="bold",
    )
    caption = (
        f"Three paths (first panel; with a mark each step) and {len(points) // 2} operators drawn at random, each as "
        "drawn and once on its way there. As it comes, the error of the transpose is a mean of |σ² − 1| over the "
        "waves, weighted by the power of the scene in each; with the best gain only the differences between the σ "
        "count. Operators nearer to orthogonal than the axes begin are left out of the drawings, and of the last panel "
        "those of a condition above 10,000, which its title counts."
    )
    return study.save(figure, "orthogonal-spread", caption)
