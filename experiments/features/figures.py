"""The figures of `features` on the way down: filters, rectifiers and pooling, strides and what things cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..common import Figure, Study, pyplot, show

Numbers = np.ndarray[Any, Any]

SIGNED = "RdBu_r"
POOL_COLOURS = ("#d55e00", "#e69f00", "#0072b2", "#009e73")
DILATED_COLOUR = "#cc79a7"
SATURATED = 99.5  # percentile of the magnitudes at which the colours end


def signed_map(axes: Any, values: Numbers, title: str = "", *, limit: float | None = None) -> Any:
    """Blue below zero, red above, white at zero."""
    top = limit or float(np.percentile(np.abs(values), SATURATED)) or 1.0
    return show(axes, values, title, cmap=SIGNED, vmin=-top, vmax=top)


def mosaic(rows: Sequence[Numbers]) -> Numbers:
    """Rows of filters, each divided by its largest magnitude, with gaps between."""
    return np.concatenate(
        [
            np.concatenate([np.pad(k / max(np.abs(k).max(), 1e-12), 1, constant_values=np.nan) for k in row], axis=1)
            for row in rows
        ]
    )


def filters(
    study: Study,
    picture: Numbers,
    angles: Sequence[int],
    made: tuple[Numbers, Numbers],
    learned: tuple[Numbers, Numbers],
    likeness: Sequence[float],
    all_filters: tuple[Numbers, Numbers],
    shares: tuple[float, float],
) -> Figure:
    """Hand-made filters and what they find in a photograph; below, learned ones."""
    plt = pyplot()
    figure = plt.figure(figsize=(15, 8.0))
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.55))
    axes = left.subplots(2, 1, height_ratios=(1.75, 1))
    show(axes[0], picture, "photograph (never learned from)")
    start, end = all_filters
    half = len(end) // 2
    rows = [start[:half], start[half:], end[:half], end[half:]]
    gap = 4
    tiles = [mosaic(rows[:2]), mosaic(rows[2:])]
    space = np.full((gap, tiles[0].shape[1]), np.nan)
    show(axes[1], np.concatenate([tiles[0], space, tiles[1]]), cmap=SIGNED, vmin=-1, vmax=1)
    axes[1].set_title(
        f"all {len(end)} first filters; directional energy: {100 * shares[0]:.0f} % → {100 * shares[1]:.0f} %"
    )
    height = tiles[0].shape[0]
    axes[1].set_yticks([height / 2, 1.5 * height + gap], ["at the\nstart", "learned"])
    axes[1].tick_params(length=0)
    grid = right.subplots(4, len(angles), height_ratios=(0.5, 1, 0.5, 1))
    sets = ((made, "made by hand"), (learned, "learned"))
    limits = [float(np.percentile(np.abs(maps), SATURATED)) for (_, maps), _ in sets]
    for r, ((kernels, maps), label) in enumerate(sets):
        for i, angle in enumerate(angles):
            title = f"derivative, {angle}°" if r == 0 else f"r = {likeness[i]:.2f}".replace("-", "−")
            signed_map(grid[2 * r, i], kernels[i], title, limit=float(np.abs(kernels[i]).max()))
            drawn = signed_map(grid[2 * r + 1, i], maps[i], limit=limits[r])
        grid[2 * r, 0].set_ylabel(label, weight="bold")
        grid[2 * r + 1, 0].set_ylabel("what it finds")
        right.colorbar(drawn, ax=grid[2 * r + 1, :], label="response", shrink=0.9)
    grown = shares[1] > 2 * shares[0]
    figure.suptitle(
        "A network that learns to name textures "
        + ("makes filters for directions by itself" if grown else "without making filters for directions"),
        weight="bold",
    )
    caption = (
        "Derivatives of a Gaussian along four directions, and the learned filters most like them (r: correlation; a "
        "negative one is the same filter upside down). Red: the filter's pattern is there; blue: its opposite. "
        "Directional energy: what mixtures of six hand-made filters explain of the learned ones."
    )
    return study.save(figure, "features-filters", caption)


def maps(
    study: Study,
    kernels: Numbers,
    before: Numbers,
    pooled: Mapping[str, Numbers],
    lost: Mapping[str, Numbers],
    rows: Sequence[Mapping[str, Any]],
    block: int,
) -> Figure:
    """Three maps on their way through rectifier and pooling, and what pooling keeps."""
    plt = pyplot()
    figure = plt.figure(figsize=(15, 7.8))
    left, right = figure.subfigures(1, 2, width_ratios=(2.6, 1))
    grid = left.subplots(len(before), 3 + len(pooled), width_ratios=(0.45, *[1] * (2 + len(pooled))))
    for row, kernel, map_, i in zip(grid, kernels, before, range(len(before)), strict=True):
        top = float(np.percentile(np.abs(map_), SATURATED))
        signed_map(row[0], kernel, limit=float(np.abs(kernel).max()))
        drawn = signed_map(row[1], map_, limit=top)
        signed_map(row[2], map_.clip(0), limit=top)
        row[2].set_xlabel(
            f"{100 * lost['zeros'][i]:.0f} % zeros, {100 * lost['lost'][i]:.0f} % of energy gone", fontsize=9
        )
        for ax, values in zip(row[3:], pooled.values(), strict=True):
            signed_map(ax, values[i], limit=top)
    grid[0, 0].set_title("filter")
    grid[0, 1].set_title("before the rectifier")
    grid[0, 2].set_title("after: minus is cut off")
    for ax, name in zip(grid[0, 3:], pooled, strict=True):
        ax.set_title(f"{name} of {block} × {block}")
    left.colorbar(drawn, ax=grid, label="activation (each row in its own scale; white is zero)", ticks=[0], shrink=0.6)
    axes = right.subplots(2, 1)
    names = [row["pooling"].replace(", then", ",\nthen").replace(" of ", "\nof ") for row in rows]
    at = np.arange(len(names))
    for shift, key, colour, label in ((-0.2, "peak", "#404040", "peaks"), (0.2, "mean", "#a6a6a6", "mean")):
        bars = axes[0].barh(at + shift, [row[key] for row in rows], 0.38, color=colour, label=label)
        axes[0].bar_label(bars, fmt="%.0f", fontsize=8, padding=2)
    axes[0].axvline(100, color="#5b6675", linewidth=0.8, linestyle=":")
    axes[0].set(xlabel="kept by pooling twice [%]", title="What is kept", xlim=(0, 230))
    axes[0].legend(loc="lower right", fontsize=9)
    bars = axes[1].barh(at, [row["change"] for row in rows], 0.6, color=POOL_COLOURS)
    axes[1].bar_label(bars, fmt="%.1f", fontsize=8, padding=2)
    axes[1].set(xlabel="change besides movement\n[% of contrast]", title="After a step of one pixel")
    axes[1].margins(x=0.15)
    for ax in axes:
        ax.set_yticks(at, names, fontsize=8.5)
        ax.invert_yaxis()
    gone = [round(100 * float(value)) for value in (lost["lost"].min(), lost["lost"].max())]
    figure.suptitle(
        f"The rectifier drops {gone[0]} to {gone[1]} % of a map's energy; the maximum keeps peaks, the average means",
        weight="bold",
    )
    caption = (
        "Three learned filters on the photograph. Peaks: the largest value of each map; mean: of all values. After a "
        "step of the photograph by one pixel, the halved map should move by half a sample; what changes besides is "
        "aliasing. The lines along the frame come from the zeros that the network pads with."
    )
    return study.save(figure, "features-maps", caption)


def sampling(
    study: Study,
    plate: Numbers,
    halved: Mapping[str, Numbers],
    frequency: Numbers,
    gains: Mapping[str, Numbers],
    predicted: Mapping[str, Numbers],
    stacks: Sequence[Mapping[str, Any]],
    narrow: Sequence[Mapping[str, Any]],
) -> Figure:
    """False rings of a stride, their height by frequency, and what a view of 15 pixels costs."""
    plt = pyplot()
    figure = plt.figure(figsize=(15, 8.4))
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1.12))
    axes = upper.subplots(1, 1 + len(halved))
    show(axes[0], plate, f"rings, finer outwards\n{plate.shape[0]} px", vmin=0, vmax=1)
    for ax, (name, small), colour in zip(axes[1:], halved.items(), POOL_COLOURS, strict=True):
        show(ax, small, f"{name}\n{small.shape[0]} px", vmin=0, vmax=1)
        ax.title.set_color(colour)
    ax, bars, curve = lower.subplots(1, 3, width_ratios=(1.15, 1, 0.85))
    ax.axvspan(0.25, 0.5, color="#f3f3f3")
    for (name, values), colour in zip(gains.items(), POOL_COLOURS, strict=True):
        hollow = name.startswith("maximum")
        style = {"markerfacecolor": "none", "markersize": 7} if hollow else {"markersize": 3.5}
        ax.plot(frequency, values, "o", color=colour, label=name, **style)
    for name, values in predicted.items():
        found = name in gains
        colour = dict(zip(gains, POOL_COLOURS, strict=True)).get(name, DILATED_COLOUR)
        line = ax.plot(frequency, values, color=colour, linewidth=1.2, linestyle="-" if found else "--")
        if not found:
            line[0].set_label(f"{name} (no stride)")
    ax.text(0.375, 1.17, "too fine for half the pixels:\nwhat is left is false", ha="center", va="top", fontsize=8.5)
    ax.set(xlabel="frequency of a grating [cycles per pixel]", ylabel="amplitude left", xlim=(0, 0.5), ylim=(0, 1.19))
    ax.set_title("Dots: measured. Lines: formula")
    ax.legend(fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)
    at = np.arange(len(stacks))
    drawn = bars.barh(at, [row["multiply_adds"] for row in stacks], 0.62, color="#0072b2")
    told = [
        f"{row['multiply_adds']:.0f} M, {row['milliseconds']:.1f} ms\n{row['output']}, sees {row['seen']:.0f} %"
        for row in stacks
    ]
    bars.bar_label(drawn, told, fontsize=8, padding=4)
    bars.set_yticks(at, [row["stack"].replace(", ", ",\n", 1) for row in stacks], fontsize=8.5)
    bars.set(xscale="log", xlabel="multiply-adds [millions]", title=f"Five ways to reach over {stacks[0]['field']} px")
    bars.set_xlim(5, 60 * max(row["multiply_adds"] for row in stacks))
    bars.invert_yaxis()
    cost, right = ([row[key] for row in narrow] for key in ("multiply_adds", "accuracy"))
    curve.plot(cost, right, "-", color="#009e73", linewidth=1.2)
    for row in narrow:
        whole = row["kind"] == "whole"
        curve.plot(row["multiply_adds"], row["accuracy"], "*" if whole else "o", color="#009e73", ms=12 if whole else 6)
        text = "without" if whole else f"{row['channels']}"
        place = (row["multiply_adds"], row["accuracy"])
        curve.annotate(text, place, (0, -17), textcoords="offset points", ha="center", fontsize=8.5)
    curve.set(xlabel="multiply-adds of layer 2 [millions]", ylabel="textures named right [%]", ylim=(0, 103))
    curve.set_title("1 × 1 convolution to fewer channels")
    figure.suptitle("A stride needs a blur before it; dilation and 1 × 1 convolutions save work", weight="bold")
    caption = (
        "Above: rings, two pixels wide at the sides, at half the pixels. Rings away from the middle that were not "
        "there are aliases. Below: amplitude that is left of gratings (the maximum leaves as much as the average, and "
        "makes other frequencies besides); multiply-adds (M: millions), time, size that comes out and share of the "
        "pixels seen for stacks over 15 × 15 pixels; and the encoder with its second layer behind a 1 × 1 convolution "
        "to as many channels as written."
    )
    return study.save(figure, "features-sampling", caption)
