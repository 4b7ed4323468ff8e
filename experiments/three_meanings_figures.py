"""The figures of `three_meanings`: the matrices, their gains over frequency, one photograph, and the noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .common import COLOURS, Figure, Study, box, pyplot, show, signed

Numbers = np.ndarray[Any, Any]

PEAK = 255.0
NOISE = 0.02  # standard deviation in the signal of the first figure, which is 1 high
ZOOM = (0.26, 0.36, 0.34)  # of the frame: top, left, side
HIGHEST = 60.0  # dB; results above are drawn at the edge and said in words
LOWEST = -5.0
DRAWN = {
    "blurred": (COLOURS["blurred"], "-", "o"),
    "transpose": (COLOURS["transpose"], "-", "s"),
    "scaled": (COLOURS["transpose"], ":", "x"),
    "inverse": (COLOURS["inverse"], "-", "^"),
    "wiener": (COLOURS["wiener"], "-", "D"),
    "curvature": (COLOURS["wiener"], ":", "+"),
}
GROUPS = {
    "Wiener": ("wiener", "curvature"),
    "inverse": ("inverse",),
    "transpose": ("transpose", "scaled"),
    "blurred image": ("blurred",),
}
SYMBOLS = {"blurred": "A", "transpose": "Aᴴ", "inverse": "A⁺", "wiener": "(AᴴA + λ)⁻¹Aᴴ"}


def decibels(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}f} dB".replace("-", "−")


def _matrix(figure: Any, ax: Any, values: Numbers, title: str) -> None:
    """Red above zero, blue below, white at zero; each matrix on a scale of its own."""
    reach = float(np.abs(values).max())
    drawn = show(ax, values, title, vmin=-reach, vmax=reach, cmap="RdBu_r")
    bar = figure.colorbar(drawn, ax=ax, shrink=0.8, aspect=18, pad=0.02, ticks=[-reach, 0, reach])
    bar.ax.set_yticklabels([f"−{reach:.2g}", "0", f"{reach:.2g}"], fontsize=8)
    ax.set_xlabel(f"{values.shape[0]} × {values.shape[1]}", fontsize=9)
    for spine in ax.spines.values():
        spine.set(visible=True, color="#b8bfc8")


def matrices(
    study: Study, operators: Mapping[str, Numbers], rows: Sequence[Mapping[str, Any]], rng: np.random.Generator
) -> Figure:
    """A, Aᴴ, A⁺ and Wiener's; each after A; and what they make of one signal."""
    plt = pyplot()
    figure, axes = plt.subplots(3, 4, figsize=(15, 10.6), height_ratios=(1, 1, 0.8))
    A = operators["blurred"]
    samples = A.shape[1]
    names = {"blurred": "blur", "transpose": "transpose", "inverse": "pseudo-inverse", "wiener": "Wiener"}
    far = {row["key"]: row["distance"] for row in rows}
    x = np.zeros(samples)
    x[[5, 6, 7, 8, 9, 16]] = 1.0
    y = A @ x + NOISE * rng.standard_normal(A.shape[0])
    at, seen = np.arange(samples), (samples - A.shape[0] + 1) // 2 + np.arange(A.shape[0])
    for column, (key, B) in zip(axes.T, operators.items(), strict=True):
        title = f"{names[key]} {SYMBOLS[key]}"
        _matrix(figure, column[0], B, title)
        column[0].title.set(color=COLOURS[key] if key != "blurred" else "black", weight="bold")
        ax = column[2]
        ax.step(at, x, where="mid", color=COLOURS["scene"], linewidth=1, label="scene x")
        if key == "blurred":
            _matrix(figure, column[1], np.eye(samples), "what is wanted after A:\nthe identity")
            ax.plot(seen, y, "o-", color=COLOURS["blurred"], markersize=4, label="data y = A x + noise")
            ax.set_ylabel("brightness")
        else:
            _matrix(figure, column[1], B @ A, f"what comes back of the scene:\n{SYMBOLS[key]} A, {far[key]:.0f} % off")
            estimate = B @ y
            error = float(np.sqrt(np.mean((estimate - x) ** 2)))
            ax.plot(at, estimate, "o-", color=COLOURS[key], markersize=4, label=f"{SYMBOLS[key]} y")
            ax.set_title(f"root mean square error {error:.2f}", fontsize=10)
        ax.legend(fontsize=8, loc="upper right")
        ax.set(xlabel="sample", xlim=(-0.5, samples - 0.5))
    low, high = (pick(ax.get_ylim()[i] for ax in axes[2]) for i, pick in enumerate((min, max)))
    for ax in axes[2]:
        ax.set_ylim(low, high + 0.25 * (high - low))
        ax.grid(axis="y")
    order = sorted(far, key=lambda key: far[key])
    figure.suptitle(
        f"Followed by the {names[order[0]]}, the blur comes nearest to the identity ({far[order[0]]:.0f} % off); "
        f"followed by the {names[order[-1]]}, least near ({far[order[-1]]:.0f} %)",
        weight="bold",
    )
    caption = (
        "Each small square is one number of a matrix: red above zero, blue below, white zero; each has its own scale. "
        f"Top: the four operators. Middle: each after the blur. Bottom: a signal, its blurred data with noise of "
        f"{NOISE:g}, and the answers."
    )
    return study.save(figure, "three_meanings-matrices", caption)


def spectra(
    study: Study,
    sigma: Mapping[str, Numbers],
    curves: tuple[Numbers, Numbers, Mapping[str, Numbers]],
    dots: tuple[Numbers, Mapping[str, Numbers]],
    balance: float,
) -> Figure:
    """Singular values; the gain of each operator on the data; what comes back of the scene."""
    plt = pyplot()
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 5.0))
    f, otf, gain = curves
    samples = sigma["periodic"].size
    for key, marker in (("periodic", "o"), ("zero", "^"), ("free", "s")):
        values = sigma[key]
        label = f"{key}: {values.size} × {samples}"
        left.plot(1 + np.arange(values.size), values, marker, color="#000000", label=label, fillstyle="none")
    left.set(xlabel="number of the singular value, largest first", ylabel="singular value σ [1]", ylim=(0, 1.08))
    left.set_title(
        "The blur has singular values from\n" + f"{max(map(np.max, sigma.values())):.2f} to "
        f"{min(map(np.min, sigma.values())):.3f}"
    )
    left.legend(title="boundary: rows × columns", fontsize=9)
    labels = {"transpose": "transpose: σ", "inverse": "inverse: 1/σ", "wiener": "Wiener: σ/(σ² + λ)"}
    products = {"transpose": "transpose: σ²", "inverse": "inverse: 1", "wiener": "Wiener: σ²/(σ² + λ)"}
    at, measured = dots
    for ax in (middle, right):
        ax.plot(f, otf, color=COLOURS["blurred"], linewidth=3, alpha=0.5, label="the blur itself: σ = |H|")
    for key, curve in gain.items():
        colour = COLOURS[key]
        middle.semilogy(f, curve, color=colour, label=labels[key])
        middle.semilogy(at, measured[key], "o", color=colour, markersize=5)
        right.plot(f, curve * otf, color=colour, label=products[key])
        right.plot(at, measured[key] * measured["transpose"], "o", color=colour, markersize=5)
    middle.set(xlabel="frequency [cycles/sample]", ylabel="gain on the data [1]", xlim=(0, 0.5))
    middle.set_title("Each operator alone: what it does\nto a wave of the data")
    right.set(xlabel="frequency [cycles/sample]", ylabel="gain from scene to estimate [1]", xlim=(0, 0.5))
    right.set_ylim(0, 1.36)
    right.set_title("After the blur: what comes back\nof a wave of the scene")
    for ax in (left, middle, right):
        ax.grid(axis="y")
    middle.legend(fontsize=9, loc="upper left")
    right.legend(fontsize=9, loc="upper center", ncols=2)
    weakest = float(otf.min())
    figure.suptitle(
        f"Of one wave the blur leaves {100 * weakest:.1g} %; the transpose after it only {100 * weakest**2:.1g} %; the "
        f"inverse restores it and multiplies the noise there by {1 / weakest:.0f}",
        weight="bold",
    )
    caption = (
        "Left: singular values of the matrix under three boundaries, by dense decomposition. Middle and right: lines "
        f"are the formulas with σ = |H|, the blur's transfer function, and λ = {balance:g}; dots are measured with the "
        f"functions of the library on {samples} samples that repeat, where the singular values are |H| at {samples} "
        "frequencies."
    )
    return study.save(figure, "three_meanings-gains", caption)


def photograph(
    study: Study,
    case: Any,
    estimates: Mapping[str, Numbers],
    rows: Sequence[Mapping[str, Any]],
    labels: Mapping[str, str],
) -> Figure:
    """The same photograph under each operator, whole and magnified."""
    plt = pyplot()
    keys = [key for key in labels if key != "curvature"]  # it looks like the other Wiener; the table has its numbers
    figure, axes = plt.subplots(2, len(keys) + 1, figsize=(15, 5.9))
    size = case.truth.shape[0]
    (top, start), side = (round(part * size) for part in ZOOM[:2]), round(ZOOM[2] * size)
    found = {row["key"]: row for row in rows}
    for column, key in zip(axes.T, ("scene", *keys), strict=True):
        image = case.truth if key == "scene" else estimates[key]
        title = "scene x\n(truth)"
        if key != "scene":
            title = f"{labels[key].replace(', λ from the image', '')}\n{decibels(found[key]['psnr'])}"
            title += f" ({signed(found[key]['isnr'])})" if key != "blurred" else ""
        show(column[0], image, title, vmin=0, vmax=PEAK)
        column[0].title.set_color(DRAWN[key][0] if key not in ("scene", "blurred") else "black")
        box(column[0], (top, start), (side, side))
        show(column[1], image[top : top + side, start : start + side], vmin=0, vmax=PEAK)
        low, high = float(image.min()), float(image.max())
        column[1].set_xlabel(f"values {round(low)} … {round(high)}".replace("-", "−"), fontsize=9)
    words = [
        f"{name} {signed(float(found[key]['isnr']))} dB"
        for key, name in (("transpose", "transpose"), ("inverse", "inverse"), ("wiener", "Wiener"))
    ]
    figure.suptitle(f"The same photograph, noise of {case.sigma:.1f} grey levels: {', '.join(words)}", weight="bold")
    caption = (
        "Above each picture its PSNR, in brackets what was gained over the blurred image. Below: the part in the "
        "frame, magnified, and the range of the values, of which 0 (black) to 255 (white) are drawn."
    )
    return study.save(figure, "three_meanings-photograph", caption)


def noise(study: Study, rows: Sequence[Mapping[str, Any]], labels: Mapping[str, str], shown: float) -> Figure:
    """PSNR over the strength of the noise: measured, and as the gains promise."""
    plt = pyplot()
    figure, ax = plt.subplots(figsize=(12.5, 5.6))
    levels = sorted({float(row["sigma"]) for row in rows} - {0.0})
    none = levels[0] / 30  # where "none" stands on the logarithmic axis
    beyond = []
    for key, label in labels.items():
        mine = [row for row in rows if row["key"] == key]
        colour, line, marker = DRAWN[key]
        noisy = [row for row in mine if row["sigma"] > 0]
        ax.plot([r["sigma"] for r in noisy], [r["promised"] for r in noisy], line, color=colour, linewidth=1.6)
        seen = [(row["sigma"] or none, row["psnr"]) for row in mine if LOWEST <= row["psnr"] <= HIGHEST]
        ax.plot(*zip(*seen, strict=True), marker, color=colour, markersize=6)
        beyond += [(float(row["psnr"]), key) for row in mine if row["sigma"] == 0 and row["psnr"] > HIGHEST]
        ax.plot([], [], line, marker=marker, color=colour, label=label)
    for place, (height, key) in enumerate(sorted(beyond, reverse=True)):
        y = HIGHEST - 1.5 - 3 * place
        ax.plot(none, y, "^", color=DRAWN[key][0])
        value = f"{height:.0f} dB" if math.isfinite(height) else "exact"
        ax.text(none * 1.2, y, f"{labels[key]}: {value}", color=DRAWN[key][0], fontsize=9, va="center")
    ax.axvline(math.sqrt(none * levels[0]), color="#b8bfc8", linewidth=0.8, ymax=0.8)
    ax.axvline(shown, color="#5b6675", linewidth=0.9, linestyle="--")
    ax.text(shown * 1.05, HIGHEST - 1, "the photograph above", color="#5b6675", fontsize=9, va="top")
    ax.set_xscale("log")
    ax.set(xlim=(none / 1.6, levels[-1] * 1.3), ylim=(LOWEST, HIGHEST))
    ax.set_xticks([none, *levels], ["none", *(f"{level:g}" for level in levels)])
    ax.minorticks_off()
    ax.set(xlabel="noise: standard deviation [grey levels of 255]", ylabel="PSNR [dB]")
    ax.grid(axis="y")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=9)
    off = [row for row in rows if math.isfinite(row["psnr"]) and row["psnr"] < HIGHEST]
    apart = max(abs(float(row["psnr"]) - float(row["promised"])) for row in off)
    psnr = {(row["sigma"], row["key"]): float(row["psnr"]) for row in rows}
    best = [max(labels, key=lambda key: psnr[level, key]) for level in (0.0, *levels)]
    wins = {name: sum(key in keys for key in best) for name, keys in GROUPS.items()}
    listed = ", ".join(f"{name} at {number}" for name, number in sorted(wins.items(), key=lambda item: -item[1]))
    ax.set_title(f"Nearest to the scene, of {len(best)} levels of noise: {listed}", weight="bold")
    lost = [f"{level:g}" for level in levels if psnr[level, "transpose"] > psnr[level, "wiener"]]
    warned = (
        f"At {', '.join(lost)} grey levels it even passes Wiener's filter with one λ for all waves, which takes the "
        "scene for white noise and so trusts fine waves too much; holding down curvature is the better model. "
    )
    caption = (
        f"Symbols: measured. Lines: what the gains promise; below {HIGHEST:.0f} dB the two are nowhere farther apart "
        f"than {apart:.2f} dB. Triangles: above the axis; what is below {LOWEST:.0f} dB is not drawn. With much noise "
        f"the transpose gains because it smooths; it undoes no blur. {warned if lost else ''}"
    ).replace("-", "−")
    return study.save(figure, "three_meanings-noise", caption)
