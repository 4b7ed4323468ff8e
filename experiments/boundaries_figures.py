"""The figures of `boundaries`: where the error lies, and how far from the frame's edge it reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .common import Figure, Study, pyplot, show

Numbers = np.ndarray[Any, Any]

PEAK = 255.0
ERROR_RANGE = 80.0  # grey levels; larger errors saturate the colours
SHOWN = ("wiener", "rl", "tv")
COLOURS = {"free": "#009e73", "reflect": "#0072b2", "zero": "#d55e00", "periodic": "#cc79a7"}
PEER_COLOUR = "#000000"
MEANINGS = {"free": "unknown", "reflect": "mirrored", "zero": "dark", "periodic": "repeated"}


def _psnr(error: Numbers) -> float:
    return float(10 * np.log10(PEAK**2 / np.mean(error.astype(np.float64) ** 2)))


def maps(
    study: Study,
    case: Any,
    estimates: Mapping[tuple[str, str], Numbers],
    labels: Mapping[str, str],
    peers: Mapping[str, str],
    boundaries: Sequence[str],
) -> Figure:
    """The image and its scene; what is wrong under each boundary, in one colour scale."""
    plt = pyplot()
    figure, axes = plt.subplots(len(SHOWN), len(boundaries) + 2, figsize=(15, 8.0))
    grey = {"vmin": 0, "vmax": PEAK}
    show(axes[0, 0], case.truth, "scene (truth)", **grey)
    show(axes[1, 0], case.image, f"image: {case.blur}", **grey)
    size = max(case.psf.shape)
    show(axes[2, 0], np.pad(case.psf, size // 2), f"PSF, {size} px wide (enlarged)")
    for row, key in zip(axes, SHOWN, strict=True):
        columns = [*boundaries, *([peers[key]] if key in peers else [])]
        for ax, boundary in zip(row[1:], columns, strict=False):
            error = estimates[key, boundary] - case.truth
            title = f"{_psnr(error):.1f} dB".replace("-", "−")
            drawn = show(ax, error, title, vmin=-ERROR_RANGE, vmax=ERROR_RANGE, cmap="RdBu_r")
            ax.title.set_color(COLOURS.get(boundary, PEER_COLOUR))
            if boundary in peers.values():
                ax.set_xlabel(boundary, fontsize=8)
        if key not in peers:
            row[-1].axis("off")
        row[1].set_ylabel(labels[key].replace(", ", "\n"), fontsize=10.5)
    for ax, boundary in zip(axes[0, 1:], boundaries, strict=False):
        ax.set_title(f"{boundary}: {MEANINGS[boundary]} past the frame\n{ax.get_title()}", fontsize=9.5)
    axes[0, -1].set_title(f"scikit-image\n{axes[0, -1].get_title()}", fontsize=9.5)
    bar = figure.colorbar(drawn, ax=axes[:, 1:], label="error: estimate − scene [grey levels of 255]", extend="both")
    bar.ax.tick_params(labelsize=9)
    figure.suptitle("A boundary that is not true sends waves from the frame into the image", weight="bold")
    caption = (
        f"{case.scene}, {case.blur}: error under each boundary, with the same weight or number of iterations in a "
        "row; above each map its PSNR. scikit-image has no total variation for blurred images."
    )
    return study.save(figure, "boundaries-maps", caption)


def distances(
    study: Study,
    curves: Mapping[tuple[str, str], Numbers],
    labels: Mapping[str, str],
    peers: Mapping[str, str],
    boundaries: Sequence[str],
    reaches: Mapping[str, int],
) -> Figure:
    """Error by distance from the frame's edge, a panel a method."""
    plt = pyplot()
    figure, axes = plt.subplots(1, len(labels), figsize=(15, 4.6), sharey=True)
    for ax, (key, label) in zip(axes, labels.items(), strict=True):
        for boundary in boundaries:
            curve = curves[key, boundary]
            ax.semilogy(np.arange(curve.size), curve, color=COLOURS[boundary], linewidth=2, label=boundary)
        if key in peers:
            curve = curves[key, peers[key]]
            ax.semilogy(np.arange(curve.size), curve, color=PEER_COLOUR, linestyle="--", label="scikit-image as it is")
        for reach in reaches.values():
            ax.axvline(reach, color="#5b6675", linewidth=0.8, linestyle=":")
        ax.set(xlabel="distance from the frame's edge [pixels]", xlim=(0, curves[key, "free"].size - 1))
        ax.set_title(label.replace(" chosen under", "\nchosen under"), fontsize=10)
        ax.grid(axis="y")
    axes[0].set_ylabel("rms error [grey levels of 255]")
    for blur, reach in reaches.items():
        where = {"rotation": 90, "va": "bottom", "transform": axes[0].get_xaxis_transform()}
        axes[0].text(reach + 0.6, 0.27, f"{blur.split(',')[0]}: half a PSF", fontsize=8, color="#5b6675", **where)
    handles = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=6, fontsize=9)
    figure.suptitle("How far the frame's edge reaches into the restoration", weight="bold")
    caption = (
        "Root mean square over all images of the error on each ring of pixels. Dotted: half the width of either PSF, "
        "as far as the light of the unknown surrounding falls into the image itself. Last panel: the balance was "
        "chosen under each boundary."
    )
    return study.save(figure, "boundaries-distance", caption)
