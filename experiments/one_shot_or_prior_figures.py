"""The figures of `one_shot_or_prior`: the same detail under every blur, and gains over noise and over a wrong width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .common import Figure, Study, pyplot, show, signed

Rows = Sequence[Mapping[str, Any]]

COLOURS = {"wiener": "#0072b2", "shot": "#d55e00", "prior": "#009e73"}
PEAK = 255.0


def pictures(study: Study, shown: Mapping[str, Any], methods: Mapping[str, str]) -> Figure:
    """A row a blur: truth, blurred, and every estimate."""
    plt = pyplot()
    figure, axes = plt.subplots(len(shown), len(methods) + 2, figsize=(13.5, 2.75 * len(shown)), squeeze=False)
    for row, (name, (seen, gained, estimates)) in zip(axes, shown.items(), strict=True):
        show(row[0], seen.truth, vmin=0, vmax=PEAK)
        row[0].set_ylabel(name.replace(" (", "\n(").replace(", ", ",\n", 1), fontsize=10)
        show(row[1], seen.image, vmin=0, vmax=PEAK)
        for ax, key in zip(row[2:], methods, strict=True):
            show(ax, estimates[key], vmin=0, vmax=PEAK)
            ax.set_xlabel(f"{signed(gained[key])} dB", fontsize=10, color="#b00020" if gained[key] < 0 else "black")
    for ax, title in zip(axes[0], ("truth", "blurred", *methods.values()), strict=True):
        ax.set_title(title.replace(" (", "\n("), color={v: COLOURS[k] for k, v in methods.items()}.get(title, "black"))
    figure.suptitle(
        "One shot knows the blur that it has learned; the prior serves under any that is told", weight="bold"
    )
    return study.save(figure, "one_shot_or_prior-pictures", "Gains over the blurred image below each estimate.")


def curves(
    study: Study, noises: Rows, widths: Rows, methods: Mapping[str, str], *, learned: tuple[float, float]
) -> Figure:
    """Left over noise, right over the true width of the blur."""
    plt = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.4), sharey=True)
    for key, label in methods.items():
        style = {"color": COLOURS[key], "marker": "o", "markersize": 4}
        left.plot([row["noise"] for row in noises], [row[key] for row in noises], label=label, **style)
        told = "" if key == "shot" else f", told {learned[1]} px"
        right.plot([row["width"] for row in widths], [row[key] for row in widths], label=label + told, **style)
    right.plot(
        [row["width"] for row in widths],
        [row["right"] for row in widths],
        "--",
        color=COLOURS["prior"],
        label="the same network as prior, told the true width",
    )
    left.set_xscale("log")
    left.set_xticks([row["noise"] for row in noises], [f"{row['noise']:g}" for row in noises])
    left.minorticks_off()
    left.set(xlabel="noise σ [grey levels of 255]", ylabel="gain over the blurred image [dB]")
    left.set_title(f"The blur that was learned ({learned[1]} px), over noise")
    right.set(xlabel="true width of the blur, σ [px]")
    right.set_title("The blur is not the one that was learned or told")
    for ax, at in ((left, learned[0]), (right, learned[1])):
        ax.axvline(at, color="#999999", linewidth=0.8, linestyle=":")
        ax.axhline(0, color="#999999", linewidth=0.8)
        ax.grid(axis="y")
        ax.legend(fontsize=8.5)
    low = min(row[key] for row in (*noises, *widths) for key in methods)
    left.set_ylim(bottom=max(low - 0.5, -6))
    caption = "Dotted: what the one-shot network has learned. Below zero a method harms."
    return study.save(figure, "one_shot_or_prior-curves", caption)
