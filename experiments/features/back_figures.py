"""The figures of `features` on the way up: layers that enlarge, projections to the picture, and inverses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..common import COLOURS, Figure, Study, box, pyplot, show
from .figures import SATURATED, signed_map

Numbers = np.ndarray[Any, Any]

TRANSPOSE, INVERSE = COLOURS["transpose"], COLOURS["rl-stopped"]


def upsampling(
    study: Study, done: Any, kinds: Mapping[str, str], corner: tuple[int, int], side: int, border: int
) -> Figure:
    """Features before, and what each last layer makes of them: at its start and fitted."""
    plt = pyplot()
    figure = plt.figure(figsize=(15, 7.3))
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.75))
    y, x = corner
    fine = (slice(y, y + side), slice(x, x + side))
    coarse = (slice(y // 2, (y + side) // 2), slice(x // 2, (x + side) // 2))
    axes = left.subplots(3, 2)
    show(axes[0, 0], done.small, f"small picture, {done.small.shape[1]} px", vmin=0, vmax=255)
    box(axes[0, 0], (y // 2, x // 2), (side // 2, side // 2))
    wanted = (done.truth - done.bicubic)[fine]
    limit = float(np.percentile(np.abs(wanted), SATURATED))
    signed_map(axes[0, 1], wanted, "wanted: what bicubic lacks", limit=limit)
    busiest = np.argsort([-float(np.std(m)) for m in done.before])[: len(axes.flat) - 2]
    for n, (ax, i) in enumerate(zip(axes.flat[2:], busiest, strict=True)):
        signed_map(ax, done.before[i][coarse], f"before: feature {n + 1}, {side // 2} px")
    grid = right.subplots(2, len(kinds))
    rows = {(row["kind"], row["state"]): row for row in done.rows}
    for r, state in enumerate(("start", "fitted")):
        for ax, (kind, label) in zip(grid[r], kinds.items(), strict=True):
            row = rows[kind, state]
            head = f"{label}\n" if r == 0 else ""
            told = f"{head}flat wall: ± {row['flat']:.1f} levels\n{row['gain']:+.1f} dB over bicubic".replace("-", "−")
            drawn = signed_map(ax, done.details[kind, state][fine], told.replace("sub−pixel", "sub-pixel"), limit=limit)
        grid[r, 0].set_ylabel({"start": "after: at the start", "fitted": "after: fitted"}[state], weight="bold")
    right.colorbar(drawn, ax=grid, label="grey levels of 255, added to bicubic", extend="both", shrink=0.8)
    states = ([row["flat"] for row in done.rows if row["state"] == state] for state in ("start", "fitted"))
    first, last = map(max, states)
    figure.suptitle(
        f"Three layers that enlarge: checkerboards of up to {first:.1f} grey levels on a flat wall at the start, "
        f"{last:.1f} when fitted",
        weight="bold",
    )
    caption = (
        "The frame of the small picture, enlarged: features before the last layer, and what each kind of layer makes "
        "of all of them, with random weights and with fitted ones. “Flat wall”: amplitude at the frequency of the "
        "stride that a scene of one brightness comes out with. A layer that resizes first cannot have any."
    )
    return study.save(figure, "features-upsampling", caption)


def projections(
    study: Study, found: Mapping[int, Mapping[int, Sequence[Any]]], names: Sequence[str], layers: Mapping[int, int]
) -> Figure:
    """For each layer some features: the patches that excite them most, and what leads back from there."""
    plt = pyplot()
    figure = plt.figure(figsize=(15, 1.62 * max(len(f) for f in found.values()) + 1.2))
    parts = figure.subfigures(1, len(found), wspace=0.04)
    for part, (layer, features) in zip(np.atleast_1d(parts), found.items(), strict=True):
        axes = part.subplots(len(features), 2 * len(names), squeeze=False)
        for row, shown in zip(axes, features.values(), strict=True):
            for i, one in enumerate(shown):
                patch, back = row[2 * i : 2 * i + 2]
                show(patch, one.patch)
                signed_map(back, one.projection)
                back.set_xlabel(f"r = {one.likeness:.2f}".replace("-", "−"), fontsize=9.5)
        for ax, name in zip(axes[0, ::2], names, strict=True):
            ax.set_title(f"{name}:\npatch", fontsize=9.5)
        for ax in axes[0, 1::2]:
            ax.set_title("led\nback", fontsize=9.5, color=TRANSPOSE)
        for n, row in enumerate(axes):
            row[0].set_ylabel(f"feature {n + 1}")
        part.suptitle(f"layer {layer + 1}: a feature sees {layers[layer]} × {layers[layer]} px")
    figure.suptitle("What strong activations hang on in the picture: parts of it, and not its values", weight="bold")
    caption = (
        "The strongest activation of each feature in each photograph: the patch that it sees, and the activation led "
        "back through unpooling, rectifiers and transposed convolutions (red plus, blue minus, each in its own scale). "
        "r: correlation of the two."
    )
    return study.save(figure, "features-projections", caption)


def inversion(study: Study, picture: Numbers, results: Sequence[Any]) -> Figure:
    """From the same features: transposed, and inverted."""
    plt = pyplot()
    figure = plt.figure(figsize=(15, 7.2))
    axes = figure.subplots(2, 1 + len(results))
    limits = {"vmin": float(picture.min()), "vmax": float(picture.max())}
    show(axes[0, 0], picture, "the photograph", **limits)
    for column, one in zip(axes[:, 1:].T, results, strict=True):
        for ax, answer, colour in zip(column, (one.transposed, one.inverted), (TRANSPOSE, INVERSE), strict=True):
            pixels = answer.pixels
            # The best gain and offset are given to both; what differs is not brightness.
            x, y = (np.ravel(v).astype(np.float64) for v in (pixels, picture))
            gain = np.cov(x, y)[0, 1] / max(np.var(x, ddof=1), 1e-12)
            show(ax, gain * (pixels - x.mean()) + y.mean(), **limits)
            told = f"{answer.snr:.0f} dB, features miss by {_percent(answer.residual)}"
            ax.set_title(told, color=colour, fontsize=10)
        name = f"{one.name}:\n{one.numbers:g} numbers a pixel"
        column[0].annotate(name, (0.5, 1.11), xycoords="axes fraction", ha="center", weight="bold", fontsize=10)
    axes[0, 1].set_ylabel("transposed", color=TRANSPOSE, weight="bold", fontsize=12)
    axes[1, 1].set_ylabel("inverted", color=INVERSE, weight="bold", fontsize=12)
    at = np.arange(len(results))
    chart = axes[1, 0]
    for shift, key, colour in ((-0.2, "transposed", TRANSPOSE), (0.2, "inverted", INVERSE)):
        bars = chart.bar(at + shift, [getattr(one, key).snr for one in results], 0.38, color=colour, label=key)
        chart.bar_label(bars, fmt="%.0f", fontsize=8)
    chart.set_xticks(at, ["filters", *[f"layer {i}" for i in range(1, len(results))]], fontsize=8.5)
    chart.set(ylabel="signal to error [dB]")
    chart.legend(fontsize=9)
    nearer = all(one.inverted.snr > one.transposed.snr for one in results)
    story = "the transpose gives the shape, the inverse the values" if nearer else "transposed, and inverted"
    figure.suptitle(f"The same features, two ways back: {story}", weight="bold")
    caption = (
        "Above, all features of a layer led back by transposed convolutions, with the places of the maxima given. "
        "Below, the picture with these features: for the filters alone the transposed picture deconvolved by "
        "sigdeconv.wiener, for the layers found by descent from soft noise, without the places. Nothing is noisy here. "
        "Signal to error after the best gain and offset; “features miss”: how far the features of the result are from "
        "those asked for, of the transpose after its best gain."
    )
    return study.save(figure, "features-inversion", caption)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.095 else f"{100 * share:.2g} %"
