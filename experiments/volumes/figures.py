"""The figures of `volumes`: sections and maximum projections, profiles, PSFs of other optics, and the real grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..common import COLOURS, Figure, Study, pyplot, signed
from . import cases, grid
from .methods import METHODS, Estimate

Numbers = np.ndarray[Any, Any]

DRAWN = COLOURS | {"blurred": "#000000", "tikhonov": "#882255", "tv": "#56b4e9", "hessian": "#332288"}
LINED = COLOURS | DRAWN | {"blurred": COLOURS["blurred"]}
SHORT = {"rl-stopped": "Richardson–Lucy", "tikhonov": "Tikhonov, ≥ 0", "transpose": "transpose Aᴴy"}
MARKS = {"blurred": "", "transpose": "", "tikhonov": "s", "rl-stopped": "o", "tv": "D", "hessian": "^"}
OWN = ("blurred", "transpose")  # on a scale of their own: their light is spread over many voxels


def _image(ax: Any, section: Numbers, sizes: tuple[float, float], **options: Any) -> Any:
    """A section in µm; `sizes` are those of a voxel (down, across)."""
    height, width = (n * size for n, size in zip(section.shape, sizes, strict=True))
    drawn = ax.imshow(section, extent=(0, width, height, 0), cmap="magma", aspect="equal", **options)
    ax.set(xticks=[], yticks=[])
    ax.spines[["left", "bottom"]].set_visible(False)
    return drawn


def _ruler(axis: Any, label: str, most: int = 4) -> None:
    """Ticks in µm along an axis of a section."""
    axis.set_major_locator(pyplot().MaxNLocator(most))
    axis.set_label_text(f"{label} [µm]")


def bars(
    study: Study, case: cases.Case, estimates: Mapping[str, Estimate], rows: Sequence[Mapping[str, Any]]
) -> Figure:
    """Two sections and two maximum projections of the truth and of each estimate."""
    plt = pyplot()
    dz, dy, dx = cases.VOXEL
    nz, ny, nx = case.truth.shape
    at = cases.walls(case.truth)
    z, y = sum(at.z) // 2, (at.y.start + at.y.stop) // 2
    score = {row["key"]: row["psnr"] for row in rows}
    volumes = {"scene": case.truth} | {key: found.volume for key, found in estimates.items()}
    heights = (ny * dy, nz * dz, ny * dy, nz * dz)
    width = 15.0
    figure, axes = plt.subplots(
        4,
        len(volumes),
        figsize=(width, 1.2 + 0.93 * width / len(volumes) * sum(heights) / (nx * dx)),
        gridspec_kw={"height_ratios": heights},
        squeeze=False,
    )
    for column, (key, volume) in zip(axes.T, volumes.items(), strict=True):
        top = float(np.percentile(volume, 99.8)) if key in OWN else float(case.truth.max())
        views = (
            (volume[z], (dy, dx)),
            (volume[:, y], (dz, dx)),
            (volume.max(axis=0), (dy, dx)),
            (volume.max(axis=1), (dz, dx)),
        )
        for ax, (view, sizes) in zip(column, views, strict=True):
            _image(ax, view, sizes, vmin=0, vmax=top)
        column[0].axhline((y + 0.5) * dy, color="white", linewidth=0.8, linestyle=":")
        column[1].axhline((z + 0.5) * dz, color="white", linewidth=0.8, linestyle=":")
        name = "truth" if key == "scene" else SHORT.get(key, METHODS[key].label)
        told = f"{score[key]:.1f} dB".replace("-", "−") if key in score else ""
        column[0].set_title(f"{name}\n{told}", color=DRAWN[key], fontsize=10)
    for ax, down, what in zip(
        axes[:, 0], "yzyz", ("section", "section", "maximum along z", "maximum along y"), strict=True
    ):
        _ruler(ax.yaxis, f"{what}\n{down}")
    for ax in axes[-1]:
        _ruler(ax.xaxis, "x")
    best = max((key for key in estimates), key=lambda key: float(score[key]))
    hollow = cases.widths(estimates[best].volume, at)["hollow_z"], cases.widths(case.image, at)["hollow_z"]
    figure.suptitle(
        f"Along z the hollows are {hollow[1]:.0f} % darker than their walls as recorded, {hollow[0]:.0f} % darker "
        f"after {METHODS[best].label}",
        weight="bold",
    )
    caption = (
        "Lengths are true. Dotted: where the other section lies. Above each column its PSNR. The recorded stack and "
        "the transpose are scaled to their own brightness, all others to that of the truth; of the noise that division "
        "makes, the maximum along nearly every line is past that scale."
    )
    return study.save(figure, "volumes-bars", caption)


def profiles(study: Study, case: cases.Case, estimates: Mapping[str, Estimate], at: cases.Walls) -> Figure:
    """Across a bar along x and along z; what is far out of the truth's range is left to the table."""
    plt = pyplot()
    figure, axes = plt.subplots(1, 2, figsize=(14, 4.6), sharey=True)
    volumes = {"scene": case.truth} | {key: f.volume for key, f in estimates.items() if key != "inverse"}
    for ax, axis, size in zip(axes, "xz", (cases.VOXEL[2], cases.VOXEL[0]), strict=True):
        for key, volume in volumes.items():
            curve = cases.profiles(volume, at)[axis]
            wall = cases.widths(volume, at)[f"wall_{axis}"]
            name = "truth" if key == "scene" else SHORT.get(key, METHODS[key].label)
            label = f"{name}: {wall:.2f} µm" if np.isfinite(wall) else f"{name}: no half maximum"
            x = (np.arange(curve.size) + 0.5) * size
            if key == "scene":
                ax.fill_between(x, curve, step="mid", color="#e0e0e0", label=label)
            else:
                ax.plot(x, curve, color=LINED[key], linewidth=1.8, marker=MARKS[key], markersize=4.5, label=label)
        ax.set(xlabel=f"{axis} [µm]", xlim=(0, curve.size * size), ylim=(0, None))
        ax.set_title(f"along {axis}, through the middle of a hollow")
        ax.legend(fontsize=8.5, title="width of the walls", title_fontsize=8.5, loc="upper left", bbox_to_anchor=(1, 1))
    axes[0].set_ylabel("photons")
    walls = [cases.widths(volumes[key], at)["wall_z"] for key in ("scene", "blurred", "rl-stopped")]
    seen = f"{walls[1]:.2f} µm wide with their hollow" if np.isfinite(walls[1]) else "without end"
    figure.suptitle(
        f"Walls of {walls[0]:.2f} µm along z: {seen} as recorded, {walls[2]:.2f} µm after Richardson–Lucy",
        weight="bold",
    )
    caption = (
        "Mean along the bar. Width: full width at half maximum of its two walls, both together where the hollow is "
        "not dark to half. Division swings far past the range and is left out."
    )
    return study.save(figure, "volumes-profiles", caption)


def optics(
    study: Study, kernels: Mapping[str, Numbers], estimates: Mapping[str, Numbers], rows: Sequence[Mapping[str, Any]]
) -> Figure:
    """The assumed PSFs from the side, and the stack restored with each."""
    plt = pyplot()
    dz, _, dx = cases.VOXEL
    first, volume = next(iter(kernels.values())), next(iter(estimates.values()))
    heights = (first.shape[0] * dz / (first.shape[2] * dx), volume.shape[0] * dz / (volume.shape[2] * dx))
    figure, axes = plt.subplots(
        2, len(kernels), figsize=(15, 1.4 + 2.5 * sum(heights)), gridspec_kw={"height_ratios": heights}
    )
    top = float(np.percentile(volume, 99.8))
    for column, (name, kernel), row in zip(axes.T, kernels.items(), rows, strict=True):
        middle = kernel[:, kernel.shape[1] // 2]
        _image(column[0], np.sqrt(middle / middle.max()), (dz, dx), vmin=0, vmax=1)
        _image(column[1], estimates[name].max(axis=1), (dz, dx), vmin=0, vmax=top)
        column[0].set_title(_broken(name), fontsize=9.5)
        column[1].set_title(f"{row['psnr']:.1f} dB ({signed(row['gain'])})", fontsize=9.5)
    for ax, what in zip(axes[:, 0], ("PSF (square root)", "restored, maximum along y"), strict=True):
        _ruler(ax.xaxis, "x")
        _ruler(ax.yaxis, f"{what}\nz")
    true = rows[0]
    worst = min(rows, key=lambda row: float(row["psnr"]))
    lost = float(true["psnr"]) - float(worst["psnr"])
    figure.suptitle(f"Restored with the PSF of other optics: up to {lost:.1f} dB are lost", weight="bold")
    caption = (
        "Above: the PSF that is assumed, through its middle, square root of its brightness. Below: the stack restored "
        "by Richardson–Lucy with it, on one scale; PSNR, and in brackets its gain over the recorded stack."
    )
    return study.save(figure, "volumes-optics", caption)


def _broken(name: str) -> str:
    """A title over two lines."""
    head, _, tail = name.partition(", ")
    if not tail:
        head, _, tail = name.partition(": ")
    return f"{head}\n{tail}"


def grid_sections(study: Study, found: grid.Restoration, rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Focal section, maximum projection and section along the axis of the real stack, and its PSF."""
    plt = pyplot()
    dz, dy, dx = found.spacing
    z, y = found.focus, found.volumes["blurred"].shape[1] // 2
    nz, ny = found.volumes["blurred"].shape[:2]
    figure, axes = plt.subplots(
        3,
        len(found.volumes) + 1,
        figsize=(1.6 + 4.13 * len(found.volumes), 10.4),
        gridspec_kw={"height_ratios": (ny * dy, ny * dy, nz * dz), "width_ratios": (*[1] * len(found.volumes), 0.5)},
    )
    for column, (key, volume) in zip(axes.T, found.volumes.items(), strict=False):
        top = float(np.percentile(volume[z], 99.8))
        views = ((volume[z], (dy, dx), "y"), (volume.max(axis=0), (dy, dx), "y"), (volume[:, y], (dz, dx), "z"))
        for ax, (view, sizes, down) in zip(column, views, strict=True):
            drawn = _image(ax, view, sizes, vmin=0, vmax=top)
            _ruler(ax.xaxis, "x")
            _ruler(ax.yaxis, down)
        title = grid.LABELS[key] + (f", {found.iterations} iterations" if key == "rl-stopped" else "")
        column[0].set_title(title, color=DRAWN[key])
        column[1].set_title("maximum along z")
        column[2].set_title("section along the axis")
        column[0].axhline((y + 0.5) * dy, color="white", linewidth=0.8, linestyle=":")
        column[2].axhline((z + 0.5) * dz, color="white", linewidth=0.8, linestyle=":")
        figure.colorbar(drawn, ax=column[:2], label="grey levels above background", shrink=0.5, pad=0.02)
    p = found.psf.psf
    for ax, section, sizes, down in (
        (axes[0, -1], p[p.shape[0] // 2], (dy, dx), "y"),
        (axes[2, -1], p[:, p.shape[1] // 2], (dz, dx), "z"),
    ):
        _image(ax, section / p.max(), sizes, vmin=0, vmax=1)
        _ruler(ax.xaxis, "x", 2)
        _ruler(ax.yaxis, down)
    axes[0, -1].set_title(f"PSF from\n{found.psf.num_used} beads")
    axes[1, -1].axis("off")
    width = {row["key"]: row["width"] for row in rows}
    figure.suptitle(
        f"Real lines: {width['blurred']:.2f} µm wide as recorded, {width['transpose']:.2f} µm after the transpose, "
        f"{width['rl-stopped']:.2f} µm after Richardson–Lucy",
        weight="bold",
    )
    caption = (
        "Focal section; brightest voxel along z; section along the optical axis, at the dotted line. Each stack is "
        "scaled to its own brightness; lengths are true, but the PSF is drawn to a scale of its own."
    )
    return study.save(figure, "volumes-grid", caption)


def grid_profile(study: Study, found: grid.Restoration, at: grid.Lines, rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Across the real lines, with their widths."""
    plt = pyplot()
    figure, ax = plt.subplots(figsize=(12.5, 3.9))
    curves = found.curves
    x = np.arange(curves["blurred"].size) * found.spacing[2]
    wide = {row["key"]: row["width"] for row in rows}
    for key, curve in curves.items():
        ax.plot(x, curve, color=LINED[key], linewidth=2, label=f"{grid.LABELS[key]}: {wide[key]:.2f} µm")
    ax.axhline(0, color="black", linewidth=0.8, linestyle=":")
    left, right = (x[p] for p in at.pair)
    height = 1.06 * float(curves["rl-stopped"].max())
    ax.annotate("", (left, height), (right, height), arrowprops={"arrowstyle": "<->", "color": "#5b6675"})
    ax.text((left + right) / 2, 1.02 * height, f"{right - left:.2f} µm", ha="center", va="bottom")
    ax.set(xlabel="x [µm]", ylabel="grey levels above background", xlim=(x[0], x[-1]), ylim=(None, 1.16 * height))
    ax.legend(loc="upper right", title="width of the lines that stand alone")
    dip = {row["key"]: row["dip"] for row in rows}
    ax.set_title(
        f"Between the closest lines the profile falls by {dip['blurred']:.0f} % as recorded, by "
        f"{dip['transpose']:.0f} % after the transpose, by {dip['rl-stopped']:.0f} % after Richardson–Lucy",
        weight="bold",
    )
    caption = "Profile through the focal section, mean over 1 µm along the lines, background subtracted."
    return study.save(figure, "volumes-grid-profile", caption)
