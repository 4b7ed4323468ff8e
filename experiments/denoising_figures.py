"""The figures of `denoising`: the same detail by every method, decibels over noise levels, and colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .common import Figure, Study, pyplot, show

Numbers = np.ndarray[Any, Any]
Rows = Sequence[Mapping[str, Any]]

PEAK = 255.0
ZOOM = 64  # pixels
PLACES = {"camera": (0.15, 0.25), "astronaut": (0.25, 0.25), "coffee": (0.3, 0.3)}
ERROR = 60.0  # grey levels, at which the colours of the error saturate


def images(study: Study, rows: Rows, methods: Mapping[str, Any], *, sigma: float) -> Figure:
    """One detail and, below it, what is wrong with it."""
    plt = pyplot()
    name = rows[0]["scene"]
    shown = {row["key"]: row for row in rows if row["sigma"] == sigma and row["scene"] == name}
    keys = [key for key in methods if key != "learned-blind"]
    first = shown[keys[0]]
    figure, axes = plt.subplots(2, len(keys) + 2, figsize=(16, 4.9))
    grey = {"vmin": 0, "vmax": PEAK}
    show(axes[0, 0], _cut(first["truth"], name), "truth", **grey)
    show(axes[0, 1], _cut(first["noisy"], name), f"noise, σ = {sigma:g}", **grey)
    axes[1, 0].axis("off")
    errors = {"noise": first["noisy"] - first["truth"]}
    errors |= {key: shown[key]["estimate"] - first["truth"] for key in keys}
    for ax, key in zip(axes[0, 2:], keys, strict=True):
        show(ax, _cut(shown[key]["estimate"], name), methods[key].label.replace(", ", ",\n"), **grey)
        ax.set_xlabel(f"{shown[key]['psnr']:.2f} dB", fontsize=10)
    drawn = None
    for ax, error in zip(axes[1, 1:], errors.values(), strict=True):
        drawn = show(ax, _cut(error, name), vmin=-ERROR, vmax=ERROR, cmap="RdBu_r")
    figure.colorbar(drawn, ax=axes[1, :], label="error [grey levels]", extend="both", shrink=0.9)
    figure.suptitle("Without blur an inverse has nothing to undo: the noise stays", weight="bold")
    caption = "Above: a detail of one photograph, grey levels from 0 to 255. Below: estimate minus truth."
    return study.save(figure, "denoising-images", caption)


def curves(study: Study, rows: Rows, methods: Mapping[str, Any], colours: Mapping[str, str]) -> Figure:
    """Decibels over the noisy image, against the noise level."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(9.5, 4.2))
    sigmas = list(dict.fromkeys(row["sigma"] for row in rows))

    def mean(key: str, sigma: float) -> float:
        return float(np.mean([row["psnr"] for row in rows if row["key"] == key and row["sigma"] == sigma]))

    for key, method in methods.items():
        gained = [mean(key, sigma) - mean("inverse", sigma) for sigma in sigmas]
        style = "--" if key == "learned-blind" else "-"
        axes.plot(sigmas, gained, style, marker="o", markersize=4, color=colours[key], label=method.label)
    axes.axvspan(55, max(sigmas), color="#f2f2f2", zorder=0)
    axes.text(56, 0.35, "stronger than\nthe network learned", fontsize=8, color="#666666")
    axes.set(xlabel="noise, standard deviation σ [grey levels of 255]", ylabel="PSNR over the noisy image [dB]")
    axes.set_title("What each takes off")
    axes.grid(axis="y")
    axes.legend(fontsize=8.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return study.save(figure, "denoising-curves", "Means over the photographs.")


def coloured(study: Study, rows: Rows, *, sigma: float) -> Figure:
    """One detail in colour."""
    plt = pyplot()
    name = rows[0]["scene"]
    shown = [row for row in rows if row["sigma"] == sigma and row["scene"] == name]
    figure, axes = plt.subplots(1, len(shown) + 1, figsize=(13.5, 3.1))
    show(axes[0], _cut(shown[0]["truth"], name) / PEAK, "truth")
    for ax, row in zip(axes[1:], shown, strict=True):
        show(ax, np.clip(_cut(row["estimate"], name) / PEAK, 0, 1), row["method"].replace(", ", ",\n"))
        ax.set_xlabel(f"{row['psnr']:.2f} dB", fontsize=10)
    worth = shown[-1]["psnr"] - shown[-2]["psnr"]
    figure.suptitle(
        f"In colour, σ = {sigma:g}: to take the colours together is worth {worth:+.1f} dB here", weight="bold"
    )
    return study.save(figure, "denoising-colour", "A detail of one photograph.")


def _cut(image: Numbers, name: str) -> Numbers:
    top, left = (min(int(share * n), max(0, n - ZOOM)) for share, n in zip(PLACES[name], image.shape[:2], strict=True))
    return image[top : top + ZOOM, left : left + ZOOM]
