"""The figures of `strided`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sigdeconv import Convolution

from ..common import COLOURS, Figure, Study, pyplot, show, signed
from .inverses import STRIDE, Case, Numbers, split, zero_insertion

Rows = Sequence[Mapping[str, Any]]

PEAK = 255.0  # grey levels
PICTURE = 0  # which of the tested ones is shown
CORNER, SAMPLES = (0.30, 0.42), 12  # of its side: where 12 x 12 samples are shown
ZOOM = (0.25, 0.30, 0.5)  # corner and side of what is shown of the restored pictures
SHORT = {
    "raw": "transpose Aᴴy, as it is",
    "gain": "transpose, best gain",
    "pseudo": "pseudo-inverse A⁺y",
    "linear": "linear, least error",
    "closed": "one layer, closed form",
    "trained": "one layer, by torch",
    "tv": "total variation",
    "edges": "few edges",
    "network": "packaged network",
    "plug": "plug and play",
}
KINDS = {
    **dict.fromkeys(("raw", "gain"), ("transpose", COLOURS["transpose"])),
    "pseudo": ("inverse", COLOURS["inverse"]),
    **dict.fromkeys(("linear", "closed", "trained"), ("linear, knows photographs on average", COLOURS["wiener"])),
    **dict.fromkeys(("tv", "edges", "network", "plug"), ("prior, looks at the picture", COLOURS["rl-stopped"])),
}


def zero_insertion_steps(case: Case) -> tuple[Numbers, Numbers, Numbers]:
    """Samples on a grid of zeros, the kernel turned around, and their convolution: the transpose."""
    grid = zero_insertion(case.images[PICTURE])
    around = np.flip(case.blur.psf)
    origin = [k - 1 - c for k, c in zip(around.shape, case.blur.center, strict=True)]
    return grid, around, np.asarray(Convolution(around, grid.shape, boundary="periodic", center=origin)(grid))


def transposed(study: Study, case: Case) -> Figure:
    """What the transpose does, in four pictures."""
    plt = pyplot()
    grid, around, result = zero_insertion_steps(case)
    y, x = (int(part * n) for part, n in zip(CORNER, case.images.shape[-2:], strict=True))
    few, fine = np.s_[y : y + SAMPLES, x : x + SAMPLES], STRIDE * SAMPLES
    many = np.s_[STRIDE * y : STRIDE * y + fine, STRIDE * x : STRIDE * x + fine]
    off = float(np.abs(result - case.blur.adjoint(case.images[PICTURE])).max())
    figure, axes = plt.subplots(1, 5, figsize=(15, 3.7))
    levels = {"vmin": 0, "vmax": PEAK}
    show(axes[0], case.images[PICTURE][few], f"1. {SAMPLES} × {SAMPLES} samples y", **levels)
    show(axes[1], grid[many], "2. on a grid of zeros", **levels)
    show(axes[2], around, f"3. the kernel, turned around\n(0 to {around.max():.2f})", cmap="magma", vmin=0)
    drawn = show(axes[3], result[many], "4. convolved: Aᴴy", **levels)
    show(axes[4], case.scenes[PICTURE][many], "for comparison: the scene", **levels)
    figure.colorbar(drawn, ax=axes, label="grey levels", shrink=0.85)
    ratio = float(result.mean() / case.scenes[PICTURE].mean())
    figure.suptitle(
        f"The transpose brings the shape back, not the values: {100 * ratio:.0f} % of the brightness, blurred twice",
        weight="bold",
    )
    caption = (
        f"A part of one photograph. The convolution of the second picture with the third differs from "
        f"`Convolution.adjoint` by at most {off:.0e} grey levels."
    )
    return study.save(figure, "strided-zeros", caption)


def pictures(study: Study, case: Case, estimates: Mapping[str, Numbers]) -> Figure:
    """All ways back, for one photograph."""
    plt = pyplot()
    figure, axes = plt.subplots(2, 5, figsize=(15, 7.0))
    scene = case.scenes[PICTURE]
    side = scene.shape[0]
    y, x, n = (STRIDE * (int(part * side) // STRIDE) for part in ZOOM)
    part = np.s_[y : y + n, x : x + n]
    sampled = case.images[PICTURE][y // STRIDE : (y + n) // STRIDE, x // STRIDE : (x + n) // STRIDE]
    levels = {"vmin": 0, "vmax": PEAK}
    errors = {key: float(np.mean((found[PICTURE] - scene) ** 2)) for key, found in estimates.items()}
    shown = [key for key in estimates if key != "trained"][: axes.size - 2]
    show(axes.flat[0], scene[part], "scene (truth)", **levels)
    show(axes.flat[1], sampled, "y: every second sample\nof it, blurred", **levels)
    for ax, key in zip(list(axes.flat)[2:], shown, strict=False):
        title = f"{SHORT[key]}\n{10 * np.log10(PEAK**2 / errors[key]):.1f} dB"
        show(ax, estimates[key][PICTURE][part], title, **levels)
        ax.title.set_color(KINDS[key][1])
    for ax in list(axes.flat)[2 + len(shown) :]:
        ax.axis("off")
    best = min(errors, key=lambda key: errors[key])
    figure.suptitle(f"The same samples, many ways back; nearest to this scene: {SHORT[best]}", weight="bold")
    return study.save(figure, "strided-pictures", "The middle of one photograph, with the PSNR of the whole of it.")


def lost(study: Study, case: Case, estimates: Mapping[str, Numbers], share: float) -> Figure:
    """The scene in its two parts, and what methods put into the second."""
    plt = pyplot()
    scene = case.scenes[PICTURE]
    side = scene.shape[0]
    y, x, n = (STRIDE * (int(part * side) // STRIDE) for part in ZOOM)
    part = np.s_[y : y + n, x : x + n]
    parts = split(case.blur, scene)
    shown = [key for key in ("pseudo", "linear", "tv", "edges", "network") if key in estimates]
    figure, grid = plt.subplots(2, 4, figsize=(15, 8.2))
    axes = list(grid.flat)
    show(axes[0], scene[part], "scene x", vmin=0, vmax=PEAK)
    show(axes[1], parts.range[part], "A⁺A x:\nthe samples tell it", vmin=0, vmax=PEAK)
    top = 3 * float(parts.null[part].std())
    look = {"cmap": "RdBu_r", "vmin": -top, "vmax": top}
    drawn = show(axes[2], parts.null[part], "x − A⁺A x:\nno trace in the samples", **look)
    for ax, key in zip(axes[3:], shown, strict=False):
        null = split(case.blur, estimates[key][PICTURE]).null
        # Rounding has no pattern worth a number.
        like = np.corrcoef(null.ravel(), parts.null.ravel())[0, 1] if null.std() > 1e-6 * parts.null.std() else 0.0
        show(ax, null[part], f"the same part of:\n{SHORT[key]}, r = {like:.2f}".replace("-0.", "−0."), **look)
        ax.title.set_color(KINDS[key][1])
    for ax in axes[3 + len(shown) :]:
        ax.axis("off")
    figure.colorbar(drawn, ax=axes, label="grey levels in the null space", shrink=0.8, extend="both")
    figure.suptitle(
        f"What is lost for good: {100 * share:.1f} % of the scene's energy leaves no trace in the samples",
        weight="bold",
    )
    caption = (
        "Third: the part of the scene that A maps to zero. After it what each method puts there, and the "
        "correlation r with the truth. The share is of the energy of three scenes, without their means."
    )
    return study.save(figure, "strided-lost", caption)


def errors(study: Study, rows: Mapping[str, Rows]) -> Figure:
    """The two parts of every method's error."""
    plt = pyplot()
    figure, axes = plt.subplots(len(rows), 2, figsize=(15, 3.9 * len(rows)), squeeze=False)
    for (left, right), (name, mine) in zip(axes, rows.items(), strict=True):
        mine = [row for row in mine if row["key"] != "raw"]
        at = np.arange(len(mine))[::-1]
        colours = [KINDS[row["key"]][1] for row in mine]
        ends = [float(np.hypot(row["range"], row["null"])) for row in mine]
        left.barh(at + 0.2, [row["range"] for row in mine], 0.38, color=colours, label="the samples could tell")
        left.barh(at - 0.2, [row["null"] for row in mine], 0.38, color=colours, alpha=0.4, label="null space")
        left.set(xlabel="rms error [grey levels]; full: the samples could tell it, pale: in the null space")
        left.set_yticks(at, [SHORT[row["key"]] for row in mine])
        left.set_xlim(0, 1.15 * max(ends))
        for place, row in zip(at, mine, strict=True):
            left.text(
                max(row["range"], row["null"]) + 0.1, place, f"{row['psnr']:.1f} dB PSNR", va="center", fontsize=9
            )
        left.set_title(f"Error, shrunk by {name}")
        won = [row["won"] for row in mine]
        right.barh(at, won, 0.6, color=colours)
        right.axvline(0, color="#000000", linewidth=0.8)
        low, high = min(0.0, *won), max(0.0, *won)
        room = 0.2 * (high - low or 1)
        right.set_xlim(low - (room if low < 0 else 0), high + room)
        for place, value in zip(at, won, strict=True):
            text = {"ha": "left" if value >= 0 else "right", "va": "center", "fontsize": 9}
            right.text(
                value + (0.02 if value >= 0 else -0.02) * (high - low or 1),
                place,
                signed(round(value, 2) + 0.0, 2),
                **text,
            )
        right.set_yticks(at, [""] * len(at))
        right.set(xlabel="won in the null space [dB]", title="Of what is lost, brought back")
        for ax in (left, right):
            ax.grid(axis="x")
            ax.set_axisbelow(True)
    seen = dict(KINDS[row["key"]] for mine in rows.values() for row in mine)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in seen.values()]
    figure.legend(handles, list(seen), loc="outside lower center", ncols=4, fontsize=10)
    best = max((row for mine in rows.values() for row in mine), key=lambda row: float(row["won"]))
    figure.suptitle(
        f"Only what is known beforehand enters the null space: at most {signed(best['won'])} dB ({SHORT[best['key']]})",
        weight="bold",
    )
    caption = (
        "Root mean square errors in the two parts of the scene, which add in squares. The raw transpose is left out; "
        "its error is many times as long."
    )
    return study.save(figure, "strided-errors", caption)
