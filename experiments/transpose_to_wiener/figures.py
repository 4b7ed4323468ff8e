"""The figures of `transpose_to_wiener`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..common import COLOURS, Figure, Study, pyplot, show, signed
from . import tables
from .fits import PEAK, Numbers

Rows = Sequence[Mapping[str, Any]]

LOWEST = (1e-5, 1e-4)  # of distance and dB, where curves are cut off
HIGHEST = 25.0  # gain in the figure of responses
SHOWN = 0  # which of the tested pictures
ZOOM = (0.30, 0.30, 0.5)  # of its side: corner and side of what is shown
LOOKS = {  # by training: colour and line
    "descent": (COLOURS["transpose"], "-"),
    "adam": (COLOURS["rl"], "-"),
    "conjugate": (COLOURS["wiener"], "-"),
    "lbfgs": (COLOURS["rl-stopped"], "--"),
    "batches": (COLOURS["inverse"], "--"),
}
TITLES = {
    "linear": "one layer, 15 × 15",
    "long": "one layer, 31 × 31",
    "net": "network, 15 × 15 first",
    "long-net": "network, 31 × 31 first",
    "behind": "network behind\nthe 31 × 31 layer",
    "told": "Wiener's filter,\ntold the blur",
    "edges": "few edges,\ntold the blur",
}


def descents(
    study: Study, steps: Rows, start: Numbers, best: Numbers, kernels: Mapping[str, Numbers], condition: float
) -> Figure:
    """Distance from the closed form by steps, and the kernels on the way."""
    plt = pyplot()
    figure = plt.figure(figsize=(15, 9))
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.35, 1))
    axes = upper.subplots(1, 2)
    limits = (tables.WITHIN, tables.WITHIN_DB)
    for ax, name, limit, lowest in zip(axes, ("distance", "learned"), limits, LOWEST, strict=True):
        for key, label in tables.TRAININGS.items():
            mine = [row for row in steps if row["key"] == key and row["step"] > 0]
            colour, line = LOOKS[key]
            values = np.array([row[name] for row in mine])
            under = np.flatnonzero(values < lowest)
            if under.size:  # there the curve ends, at the frame
                values[under[0]], values[under[0] + 1 :] = lowest, np.nan
            ax.loglog([row["step"] for row in mine], values, color=colour, linestyle=line, linewidth=2.2, label=label)
        ax.axhline(limit, color="#000000", linewidth=1, linestyle=":")
        ax.grid(axis="y")
        ax.set(xlabel="training steps", ylim=(lowest, None))
    axes[0].set(title="The kernel", ylabel="distance from the closed form, relative")
    axes[1].set(title="What comes out, on the pictures learned from", ylabel="PSNR below the closed form [dB]")
    axes[0].text(1.2, limits[0] * 0.8, "1 %", va="top")
    axes[1].text(1.2, limits[1] * 0.8, "0.02 dB", va="top")
    handles, labels = axes[0].get_legend_handles_labels()
    upper.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=10)
    last = kernels["conjugate"]
    panels = (
        (start, f"start: the blur itself,\nturned around; {np.abs(start).max() / np.abs(best).max():.1%} as strong"),
        (kernels["adam"], "Adam,\nlast step"),
        (last, "conjugate gradients,\nlast step"),
        (best, "closed form:\nthe FIR Wiener filter"),
    )
    row = lower.subplots(1, len(panels))
    top = float(np.abs(best).max())
    for ax, (kernel, title) in zip(row, panels, strict=True):
        bound = float(np.abs(kernel).max()) if kernel is start else top
        drawn = show(ax, kernel, title, cmap="RdBu_r", vmin=-bound, vmax=bound)
    lower.colorbar(drawn, ax=row, label="weight of a tap")
    there = len(tables.arrived(steps))
    told = (
        f"{there} of {len(tables.ends(steps))} trainings arrive at the closed form; the steeper the bowl "
        f"(condition number {condition:,.0f}), the longer the way"
    )
    figure.suptitle(told, weight="bold")
    caption = (
        "Full lines: exact gradients over all pictures. Dashed: torch, with the layer itself; L-BFGS on 8 patches, "
        "measured against the optimum of these, and Adam on random batches, against that of all pictures. Curves are "
        f"cut off at {LOWEST[0]:g} and {LOWEST[1]:g} dB."
    )
    return study.save(figure, "transpose_to_wiener-descents", caption)


def responses(study: Study, here: Any, kernels: Mapping[int, Numbers]) -> Figure:
    """Gains by frequency along one axis: of the blur, its transpose, its inverse, Wiener's filter and the kernels."""
    plt = pyplot()
    figure, ax = plt.subplots(figsize=(13, 6.2))
    freq = np.linspace(0, 0.5, 501)

    def gain(kernel: Numbers) -> Numbers:
        taps = kernel.sum(axis=0)  # what a wave along x sees
        at = np.arange(taps.size) - taps.size // 2
        return np.asarray((taps * np.exp(-2j * np.pi * np.outer(freq, at))).sum(axis=1).real)

    H = gain(here.psf)
    power = np.interp(
        freq, np.fft.fftfreq(len(here.power))[: len(here.power) // 2], here.power[0][: len(here.power) // 2]
    )
    wiener = H * power / (H**2 * power + here.noise)
    inverse = np.divide(1, H, out=np.full_like(H, np.nan), where=np.abs(H) > 0.02)
    ax.plot(freq, inverse, color=COLOURS["inverse"], linewidth=1.5, label="inverse, 1/σ")
    ax.plot(freq, H, color=COLOURS["transpose"], linewidth=2.5, label="transpose of the blur, σ (of the blur too)")
    ax.plot(freq, wiener, color=COLOURS["wiener"], linewidth=2.5, label="Wiener's filter without an end")
    for (size, kernel), colour in zip(kernels.items(), (COLOURS["rl"], COLOURS["rl-stopped"]), strict=True):
        label = f"learned layer, {size} × {size} taps"
        ax.plot(freq, gain(kernel), color=colour, linewidth=2, linestyle="--", label=label)
    ax.axhline(0, color="#000000", linewidth=0.6)
    ax.set(ylim=(-HIGHEST, HIGHEST), xlim=(0, 0.5), xlabel="frequency [periods a pixel]", ylabel="gain")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=10)
    off = {size: float(np.sqrt(np.mean((gain(w) - wiener) ** 2))) for size, w in kernels.items()}
    to = {
        name: float(np.sqrt(np.mean((gain(list(kernels.values())[-1]) - g) ** 2)))
        for name, g in (("s", H), ("w", wiener))
    }
    who = "Wiener's filter" if to["w"] < to["s"] else "the transpose of the blur"
    figure.suptitle(f"What the layer has learned is nearer to {who}", weight="bold")
    listed = ", ".join(f"{size} × {size} taps: {value:.2f}" for size, value in off.items())
    caption = (
        "Gain of waves along one axis. A box swallows some frequencies (σ = 0); the inverse explodes there, Wiener's "
        f"filter lets go. Gains are cut off at {HIGHEST:g}. "
        f"Root mean square distance of the learned layers from Wiener's filter: {listed}."
    )
    return study.save(figure, "transpose_to_wiener-gains", caption)


def ceilings(study: Study, sizes: Rows, limit: float, noises: Rows, shown: Sequence[int], rows: Rows) -> Figure:
    """Gains by the size of the kernel, and by noise."""
    plt = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(15, 5.6), width_ratios=(1.25, 1))
    at = [row["size"] for row in sizes]
    for key, label, colour, line in (
        ("told", "one layer, told the blur (not learned)", COLOURS["wiener"], "-"),
        ("all", "one layer, learned from 8 pictures", COLOURS["rl-stopped"], "-"),
        ("one", "one layer, learned from 1 picture", COLOURS["rl-stopped"], ":"),
    ):
        left.plot(at, [row[key] for row in sizes], color=colour, linestyle=line, marker="o", linewidth=2, label=label)
    left.axhline(limit, color=COLOURS["wiener"], linestyle="--", linewidth=1.5, label="Wiener's filter without an end")
    gain = {row["key"]: row["own"] for row in rows}
    for key, size in (("net", 15), ("long-net", 31), ("behind", 35)):
        if size <= at[-1]:
            left.plot(size, gain[key], marker="D", color=COLOURS["rl"], markersize=8, linestyle="none")
            above = gain[key] >= next(row["all"] for row in reversed(sizes) if row["size"] <= size)
            place: Any = {"xytext": (-9, 5), "ha": "right"} if above else {"xytext": (9, -13), "ha": "left"}
            label = TITLES[key].replace("\n", " ")
            left.annotate(label, (size, gain[key]), textcoords="offset points", fontsize=9, **place)
    floor = min(min(row["all"] for row in sizes), 0.0)
    left.set(xlabel="taps of the kernel on each axis", ylabel="gain over the blurred pictures [dB]")
    left.set(ylim=(floor - 0.5, limit + 0.5))
    left.set_title("By size")
    left.grid(axis="y")
    left.legend(loc="lower right", fontsize=9.5)
    names = [(f"size{k}", f"learned, {k} × {k} taps") for k in shown] + [("unbounded", "Wiener without an end")]
    colours = (COLOURS["transpose"], COLOURS["rl"], COLOURS["rl-stopped"], COLOURS["wiener"])
    for (key, label), colour in zip(names, colours, strict=True):
        line = "--" if key == "unbounded" else "-"
        values = [row[key] for row in noises]
        right.plot(
            [row["bsnr"] for row in noises], values, color=colour, linestyle=line, marker="o", linewidth=2, label=label
        )
    right.set(xlabel="image over noise [dB]; less noise to the right", ylabel="gain over the blurred pictures [dB]")
    right.set_title("By noise")
    right.grid(axis="y")
    right.legend(loc="upper left", fontsize=9.5)
    few, most = tables.least(sizes), sizes[-1]
    ahead = [row["size"] for row in sizes if row["one"] > row["all"]]
    rule = (
        "More pictures are not always better: at "
        f"{len(ahead)} of {len(sizes)} sizes the layer that learned from one photograph was ahead of the one that "
        "learned from eight, three of which are bare textures."
        if ahead
        else "At every size the layer that learned from eight photographs was ahead of the one that learned from one."
    )
    figure.suptitle(
        f"Small kernels cannot invert: {signed(few['told'])} dB with {few['size']} taps, "
        f"{signed(most['told'])} dB with {most['size']}, {signed(limit)} dB without an end",
        weight="bold",
    )
    caption = (
        "Means over three photographs that nothing has learned from. Diamonds: small nonlinear networks, at the width "
        "of what they see first. "
        f"{rule}"
    )
    return study.save(figure, "transpose_to_wiener-ceilings", caption)


def pictures(study: Study, here: Any, shown: Mapping[str, Numbers], rows: Rows) -> Figure:
    """One photograph, blurred and restored by all."""
    plt = pyplot()
    figure, axes = plt.subplots(2, 5, figsize=(15, 7.2))
    scene, image = here.tested.scenes[SHOWN], here.tested.images[SHOWN]
    side = scene.shape[0]
    y, x, n = (int(part * side) for part in ZOOM)
    part = np.s_[y : y + n, x : x + n]
    limits = {"vmin": float(scene[part].min()), "vmax": float(scene[part].max())}
    taken = [("scene (truth)", scene), ("blurred: box of 9 × 9 pixels", image)]
    taken += [(TITLES[key], shown[key][SHOWN]) for key in TITLES if key in shown]
    gains = {row["key"]: row["own"] for row in rows}
    best = max(gains, key=lambda key: gains[key])
    for ax, (title, picture) in zip(axes.flat, taken, strict=False):
        error = float(np.mean((picture - scene) ** 2))
        told = f"\n{10 * np.log10(PEAK**2 / error):.1f} dB" if error else ""
        show(ax, picture[part], title + told, **limits)
    for ax in list(axes.flat)[len(taken) :]:
        ax.axis("off")
    figure.suptitle(f"Of all, the nearest to the scenes: {tables.METHODS[best]}", weight="bold")
    caption = "The middle of one of the tested photographs, with the PSNR of the whole of it."
    return study.save(figure, "transpose_to_wiener-pictures", caption)


def matrix(study: Study, rows: Rows, names: Sequence[str]) -> Figure:
    """Kernels against blurs."""
    plt = pyplot()
    figure, ax = plt.subplots(figsize=(11, 5.2))
    values = np.array([[row[name] for name in names] for row in rows])
    top = float(np.abs(values[-1]).max())
    drawn = ax.imshow(values, cmap="RdBu", vmin=-top, vmax=top, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        ax.text(j, i, signed(value), ha="center", va="center", color="white" if abs(value) > 0.6 * top else "black")
    ax.set_xticks(range(len(names)), [name.replace(", ", ",\n") for name in names])
    ax.set_yticks(range(len(rows)), [row["blur"] for row in rows])
    ax.set_xlabel("applied to")
    for spine in ax.spines.values():
        spine.set_visible(False)
    figure.colorbar(drawn, ax=ax, label="gain [dB]", extend="both")
    off = [values[i, j] for i in range(len(names)) for j in range(len(names)) if i != j]
    worse = sum(value < 0 for value in off)
    figure.suptitle(
        f"A kernel is learned for one blur: on another it made things worse {worse} times of {len(off)}", weight="bold"
    )
    caption = (
        "Gain in PSNR of layers of 31 × 31 taps, each learned for one blur, on every blur. Last row: "
        "Wiener's filter, told the right blur."
    )
    return study.save(figure, "transpose_to_wiener-blurs", caption)
