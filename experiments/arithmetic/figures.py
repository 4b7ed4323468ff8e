"""The still figures of `arithmetic`: many sizes to one, and two layers there and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..common import Figure, Study, pyplot, show
from .operations import RoundTrip, Settings, origins

Numbers = np.ndarray[Any, Any]

THERE, PLAIN, RESOLVED = "#0072b2", "#d55e00", "#009e73"
SOFT = "#5b6675"


def many_to_one(study: Study, settings: Settings, sizes: Sequence[int]) -> Figure:
    """Sizes above, what the convolution leaves of them below, and the ways back."""
    plt = pyplot()
    figure, axes = plt.subplots(1, 2, figsize=(15, 4.9), gridspec_kw={"width_ratios": (1.7, 1)})
    ax = axes[0]
    smalls = sorted({settings.convolved(n) for n in sizes})
    places = {small: float(np.mean(list(origins(small, settings)))) for small in smalls}
    for n in sizes:
        small = settings.convolved(n)
        ax.annotate("", (places[small], 0.12), (n, 0.88), arrowprops={"arrowstyle": "->", "color": THERE, "lw": 1.4})
        ax.text(n, 1.0, str(n), ha="center", va="center", fontsize=13)
    for small in smalls:
        ax.text(places[small], 0.0, str(small), ha="center", va="center", fontsize=13, weight="bold")
        for n, extra in origins(small, settings).items():
            if n not in sizes:
                continue
            colour = RESOLVED if extra else PLAIN
            ax.annotate(
                "", (n, -0.88), (places[small], -0.12), arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.4}
            )
            ax.text(n, -1.0, str(n), ha="center", va="center", fontsize=13, color=colour)
            ax.text(n, -1.16, f"+{extra}", ha="center", va="center", fontsize=9.5, color=colour)
    left = min(sizes) - 0.9
    for y, text in ((1.0, "samples"), (0.0, "after the\nconvolution"), (-1.0, "transposed")):
        ax.text(left, y, text, ha="right", va="center", color=SOFT)
    ax.text(left, -1.16, "output_padding", ha="right", va="center", color=SOFT, fontsize=9.5)
    ax.set(xlim=(min(sizes) - 2.4, max(sizes) + 0.7), ylim=(-1.3, 1.15), xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_title("there, and back: orange with the same settings, green with output_padding")
    ax = axes[1]
    wide = np.arange(1, max(sizes) + settings.stride + 1)
    wide = wide[wide + 2 * settings.padding >= settings.dilation * (settings.kernel - 1) + 1]
    small_sizes = [settings.convolved(int(n)) for n in wide]
    ax.plot(wide, small_sizes, "o", color=THERE, markersize=5, label="convolution: input → output")
    backs = sorted(set(small_sizes))
    ax.plot([settings.transposed(m) for m in backs], backs, "s", markersize=10, markerfacecolor="none", color=PLAIN,
            label="transposed, same settings: output → input")  # fmt: skip
    ax.set(xlabel="input of the convolution [samples]", ylabel="output [samples]", title="stairs have no inverse")
    ax.grid(axis="both")
    ax.legend(fontsize=9, loc="upper left")
    figure.suptitle(
        f"{settings.stride} sizes become one; output_padding 0 to {settings.stride - 1} picks one of them "
        f"({settings.told()})",
        weight="bold",
    )
    return study.save(
        figure,
        "arithmetic-shapes",
        "The convolution divides by its stride and drops the remainder. The transposed convolution comes back to the "
        "smallest size; output_padding is the remainder.",
    )


def there_and_back(
    study: Study,
    layers: Sequence[Settings],
    trip: RoundTrip,
    truth: Numbers,
    images: Mapping[str, Mapping[str, Numbers]],
    rows: Sequence[Mapping[str, Any]],
) -> Figure:
    """The shapes as a chain, and the picture that comes back by kernels and way."""
    plt = pyplot()
    figure = plt.figure(figsize=(15, 8.6))
    above, below = figure.subfigures(2, 1, height_ratios=(1, 2.6))
    ax = above.subplots()
    _chain(ax, layers, trip)
    axes = below.subplots(len(images), 5)
    errors = {(row["kernels"], row["key"]): row["error"] for row in rows}
    scale = {"vmin": float(truth.min()), "vmax": float(truth.max())}
    for line, (label, found) in zip(axes, images.items(), strict=True):
        show(line[0], truth, f"picture, {_square(truth)}", **scale)
        line[0].set_ylabel(label)
        code = found["code"]
        bar = show(line[1], code, f"after both layers, {_square(code)}")
        figure.colorbar(bar, ax=line[1], shrink=0.7)
        bar = show(line[2], found["back"], f"transposes, {_square(found['back'])}\nown scale")
        figure.colorbar(bar, ax=line[2], shrink=0.7)
        for cell, key, name in (
            (line[3], "scaled", "transposes, best gain"),
            (line[4], "least squares", "least squares"),
        ):
            show(cell, found[key], f"{name}\nerror {errors[label, key]:.0f} %", **scale)
    best = min(row["error"] for row in rows if row["key"] == "scaled")
    same = trip.resolved[-1] == trip.sizes[0]
    figure.suptitle(
        f"Two layers and their transposes: the shape {'comes' if same else 'does not come'} back with output_padding, "
        f"the values {'do not' if best > 10 else 'do'} (error {best:.0f} % at best)",
        weight="bold",
    )
    return study.save(
        figure,
        "arithmetic-back",
        "Above: sizes along one axis, there and back. Below: a picture and what comes back of it; grey scale as the "
        "picture's where no bar is drawn. Least squares is the pseudo-inverse: what could be had without knowing more.",
    )


def _square(image: Numbers) -> str:
    return f"{len(image)} × {len(image)}"


def _chain(ax: Any, layers: Sequence[Settings], trip: RoundTrip) -> None:
    """Sizes as boxes, from left to right there and back."""
    ups = [*reversed(layers)]
    lines = (
        (1.0, [*trip.sizes, *trip.resolved[1:]], RESOLVED, [f"output_padding {e}" for e in trip.paddings]),
        (0.0, [*trip.sizes, *trip.plain[1:]], PLAIN, ["same settings"] * len(ups)),
    )
    down = [f"convolution\n{s.told()}" for s in layers]
    for y, sizes, colour, words in lines:
        up = [f"transposed, {word}\n{s.told()}" for s, word in zip(ups, words, strict=True)]
        for i, (size, text) in enumerate(zip(sizes, ["", *down, *up], strict=True)):
            ours = THERE if i < len(trip.sizes) else colour
            right = i < len(sizes) - 1 or size == sizes[0]
            mark = "" if i < len(sizes) - 1 else (" ✓" if right else f" ≠ {sizes[0]}")
            ax.text(2 * i, y, f"{size}{mark}", ha="center", va="center", fontsize=14, color=ours, weight="bold")
            if i:
                ax.annotate("", (2 * i - 0.35, y), (2 * i - 1.65, y), arrowprops={"arrowstyle": "->", "color": ours})
                ax.text(2 * i - 1, y + 0.1, text, ha="center", va="bottom", fontsize=8.5, color=SOFT)
    ax.set(xlim=(-0.5, 2 * len(lines[0][1]) - 1.3), ylim=(-0.35, 1.65), xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
