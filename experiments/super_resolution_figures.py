"""The figures of `super_resolution`: crops side by side, decibels by scale, and photographs shrunk in other ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .common import Figure, Study, box, pyplot, show

Numbers = np.ndarray[Any, Any]
Rows = Sequence[Mapping[str, Any]]

PEAK = 255.0
ZOOM = 48  # pixels of the large grid
#: Where to look: the corner of a zoom (row, column), as a share of the side.
PLACES = {"camera": (0.2, 0.35), "astronaut": (0.2, 0.2), "coffee": (0.3, 0.1)}


def crops(study: Study, rows: Rows, methods: Mapping[str, Any], *, scale: int) -> Figure:
    """Every method on one detail of every scene."""
    plt = pyplot()
    shown = [row for row in rows if row["scale"] == scale]
    names = list(dict.fromkeys(row["scene"] for row in shown))
    size = (16.5, 2.35 * len(names) + 0.5)
    figure, axes = plt.subplots(len(names), len(methods) + 3, figsize=size, squeeze=False)
    for line, name in zip(axes, names, strict=True):
        mine = {row["key"]: row for row in shown if row["scene"] == name}
        first = next(iter(mine.values()))
        truth, small = first["truth"], first["small"]
        corner = _corner(name, truth.shape, scale)
        grey = {"vmin": 0, "vmax": PEAK}
        show(line[0], truth, f"{name}, whole", **grey)
        box(line[0], corner, (ZOOM, ZOOM))
        show(line[1], _cut(truth, corner, ZOOM), "truth", **grey)
        few = tuple(c // scale for c in corner)
        show(line[2], _cut(small, few, ZOOM // scale), f"given: 1/{scale} of the side", **grey)
        for ax, (key, row) in zip(line[3:], mine.items(), strict=True):
            show(ax, _cut(row["estimate"], corner, ZOOM), f"{row['psnr']:.2f} dB", **grey)
            ax.set_xlabel(_broken(methods[key].label), fontsize=8.5)
    figure.suptitle(f"The same detail, enlarged {scale} times (PSNR of the whole crop)", weight="bold")
    caption = "Grey levels from 0 to 255. What is finer than the given pixels can be guessed, not seen."
    return study.save(figure, "super_resolution-crops", caption)


def gains(study: Study, rows: Rows, methods: Mapping[str, Any], colours: Mapping[str, str]) -> Figure:
    """Decibels over bicubic interpolation, a dot for each photograph and a bar for their mean."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(9.5, 3.6))
    scales = list(dict.fromkeys(row["scale"] for row in rows))
    keys = [key for key in methods if key != "bicubic"]
    base = {(row["scene"], row["scale"]): row["psnr"] for row in rows if row["key"] == "bicubic"}
    for place, scale in enumerate(scales):
        for i, key in enumerate(keys):
            x = place + (i - (len(keys) - 1) / 2) * 0.2
            mine = [row for row in rows if row["key"] == key and row["scale"] == scale]
            gained = [row["psnr"] - base[row["scene"], scale] for row in mine]
            label = methods[key].label if not place else None
            axes.bar(x, np.mean(gained), 0.18, color=colours[key], label=label)
            axes.plot([x] * len(gained), gained, "o", color="black", markersize=3, alpha=0.6)
    axes.axhline(0, color=colours["bicubic"])
    axes.set_xticks(range(len(scales)), [f"×{scale}" for scale in scales])
    axes.set(ylabel="PSNR over bicubic interpolation [dB]", title="What each adds to interpolation")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.legend(fontsize=8.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return study.save(figure, "super_resolution-gains", "Bars: means; dots: the photographs.")


def other_shrinkings(
    study: Study, rows: Rows, methods: Mapping[str, Any], shrinkings: Mapping[str, Any], colours: Mapping[str, str]
) -> Figure:
    """Decibels for each way of shrinking, and one detail of the one that is farthest from what was taught."""
    plt = pyplot()
    keys = ("bicubic", "deconvolution", "strong")
    figure = plt.figure(figsize=(15, 3.9))
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.25))
    axes = left.subplots()
    for i, key in enumerate(keys):
        for place, way in enumerate(shrinkings):
            found = [row["psnr"] for row in rows if row["key"] == key and row["shrinking"] == way]
            x = place + (i - 1) * 0.27
            axes.bar(x, np.mean(found), 0.25, color=colours[key], label=methods[key].label if not place else None)
            axes.text(x, np.mean(found) + 0.15, f"{np.mean(found):.1f}", ha="center", fontsize=7.5)
    axes.set_xticks(range(len(shrinkings)), [s.label for s in shrinkings.values()], fontsize=8)
    lowest = min(row["psnr"] for row in rows)
    axes.set(ylabel="PSNR [dB]", ylim=(np.floor(lowest), None), title="Halved in other ways")
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3)
    scene = rows[0]["scene"]
    shown = {row["key"]: row for row in rows if row["shrinking"] == "blurred" and row["scene"] == scene}
    truth = shown["bicubic"]["truth"]
    corner, grey = _corner(scene, truth.shape, 2), {"vmin": 0, "vmax": PEAK}
    panels = right.subplots(1, len(keys) + 1)
    show(panels[0], _cut(truth, corner, ZOOM), "truth", **grey)
    for ax, key in zip(panels[1:], keys, strict=True):
        show(ax, _cut(shown[key]["estimate"], corner, ZOOM), f"{shown[key]['psnr']:.2f} dB", **grey)
        ax.set_xlabel(_broken(methods[key].label), fontsize=8.5)
    right.suptitle(f"{shrinkings['blurred'].label}".replace("\n", " "), fontsize=10.5)
    figure.suptitle("A deconvolution can be told how the photograph was shrunk; a network cannot", weight="bold")
    caption = "The deconvolution is told how the photograph was shrunk; the network knows the way it was taught."
    return study.save(figure, "super_resolution-other", caption)


def _corner(name: str, shape: Sequence[int], multiple: int) -> tuple[int, int]:
    row, column = (min(int(share * n), n - ZOOM) for share, n in zip(PLACES[name], shape, strict=True))
    return row - row % multiple, column - column % multiple


def _cut(image: Numbers, corner: Sequence[int], side: int) -> Numbers:
    return image[corner[0] : corner[0] + side, corner[1] : corner[1] + side]


def _broken(label: str) -> str:
    return label.replace(", ", ",\n").replace("learned ", "learned\n").replace("bicubic ", "bicubic\n")
