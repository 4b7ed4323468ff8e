"""A real confocal stack, restored with the PSF that the same microscope shows on beads: nothing is simulated here."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import sigdeconv
from sigdeconv import io

from .common import COLOURS, Chapter, Column, Figure, Study, Table, half_width, pyplot
from .noise import noise_variance, stop_at_noise

TITLE = "A real microscope: a line grid, with the PSF measured on beads"

Numbers = np.ndarray[Any, Any]

VOXEL = {"Z": 0.125, "Y": 0.0225, "X": 0.0225}  # µm, where a file does not say
DARKEST = 1.0  # per cent of the smoothed stack that is taken for background
PATIENCE = 60  # iterations that may pass before the noise is reached
BAND = 1.0  # µm along the lines over which a profile is averaged
LINES = 4  # in the frame


class Restoration(NamedTuple):
    """The stack before and after; ``spacing`` is (z, y, x) in µm."""

    stack: Numbers
    transpose: Numbers
    restored: Numbers
    psf: sigdeconv.psf.BeadPSF
    spacing: tuple[float, float, float]
    background: float
    noise: float
    iterations: int


def restore(study: Study) -> Restoration:
    """Measure the PSF, read background and noise off the stack, and iterate down to that noise."""
    beads, grid = (io.read(study.file(name)) for name in ("confocal_beads.tif", "confocal_grid.tif"))
    stack = grid.data.astype(np.float32)
    measured = sigdeconv.psf.from_beads(beads.data)
    smooth = sigdeconv.Convolution(measured.psf, stack.shape, boundary="reflect")
    background = float(np.percentile(smooth(stack), DARKEST))
    stop = stop_at_noise(stack, measured.psf, background=background)
    count = 0

    def watch(iteration: sigdeconv.Iteration) -> bool | None:
        nonlocal count
        count = iteration.index
        return stop(iteration)

    restored = sigdeconv.richardson_lucy(stack, measured.psf, num_iter=PATIENCE, background=background, callback=watch)
    z, y, x = (grid.spacing.get(axis, VOXEL[axis]) for axis in "ZYX")
    noise = noise_variance(stack, measured.psf) ** 0.5
    transpose = smooth.adjoint(stack - np.float32(background))
    return Restoration(stack, transpose, restored, measured, (z, y, x), background, noise, count)


class Lines(NamedTuple):
    """What a profile across the lines shows: places and widths in samples, the depth of the gap in the closest pair."""

    peaks: Numbers
    widths: Numbers
    pair: tuple[int, int]
    dip: float


def profile(volume: Numbers, z: int, band: int) -> Numbers:
    """Mean over `band` rows about the middle of section z: across the lines, which run along y."""
    middle = volume.shape[1] // 2
    result: Numbers = volume[z, middle - band // 2 : middle + band // 2 + 1].mean(axis=0)
    return result


def lines(values: Numbers, smooth: float = 1.5) -> Lines:
    """Find the lines in a profile whose background is zero."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    curve = gaussian_filter1d(values, smooth)
    peaks, _ = find_peaks(curve, prominence=0.03 * float(np.ptp(curve)), distance=5)
    peaks = np.sort(peaks[np.argsort(-curve[peaks])[:LINES]])
    widths = np.array([half_width(curve, int(p), 0.0) for p in peaks])
    k = int(np.argmin(np.diff(peaks))) if len(peaks) > 1 else 0
    left, right = (int(peaks[k]), int(peaks[k + 1])) if len(peaks) > 1 else (int(peaks[0]), int(peaks[0]))
    dip = 1 - float(curve[left : right + 1].min()) / float(min(curve[left], curve[right]))
    return Lines(peaks, widths, (left, right), dip)


def dip_between(values: Numbers, left: int, right: int, smooth: float = 1.5) -> float:
    """How far the profile falls between two places, relative to the lower of the tops near them."""
    from scipy.ndimage import gaussian_filter1d

    curve = gaussian_filter1d(values, smooth)
    near = 3
    tops = [float(curve[p - near : p + near + 1].max()) for p in (left, right)]
    return 1 - float(curve[left : right + 1].min()) / min(tops)


def run(study: Study) -> Chapter:
    """Restore the grid; before and after in sections and along a profile, and in widths."""
    steps = iter(study.track(["restoring", "drawing"], "confocal"))
    next(steps)
    found = restore(study)
    next(steps)
    z = int(np.argmax(found.restored.mean(axis=(1, 2))))
    band = round(BAND / found.spacing[1])
    curves = {
        "blurred": profile(found.stack, z, band) - found.background,
        "transpose": profile(found.transpose, z, band),
        "rl-stopped": profile(found.restored, z, band),
    }
    sharp = lines(curves["rl-stopped"])
    left, right = sharp.pair
    alone = [p for p in sharp.peaks if p not in sharp.pair]
    rows = []
    for key, label in (
        ("blurred", "as recorded"),
        ("transpose", "transpose Aᴴy"),
        ("rl-stopped", "Richardson–Lucy"),
    ):
        curve = curves[key]
        wide = [half_width(curve, int(p) - 4 + int(np.argmax(curve[p - 4 : p + 5])), 0.0) for p in alone]
        rows.append(
            {
                "image": label,
                "width": 1000 * found.spacing[2] * float(np.mean(wide)),
                "dip": 100 * dip_between(curve, left, right),
                "flux": 100 * float(curve.sum() / curves["blurred"].sum()),
            }
        )
    before, again, after = rows
    apart = 1000 * found.spacing[2] * (right - left)
    list(steps)
    return Chapter(
        "confocal",
        TITLE,
        f"Between the two lines that lie {apart:.0f} nm apart the profile falls by {before['dip']:.0f} % as recorded, "
        f"by {again['dip']:.0f} % after the transpose and by {after['dip']:.0f} % after Richardson–Lucy. The lines "
        f"that stand alone are {before['width']:.0f} nm wide as recorded, {again['width']:.0f} nm after the transpose "
        f"and {after['width']:.0f} nm after Richardson–Lucy.",
        [
            f"The PSF is the mean of {found.psf.num_used} beads, aligned to a fraction of a voxel. The stack holds "
            f"only {found.stack.max():.0f} grey levels: its background ({found.background:.2f} levels) is the darkest "
            f"per cent of the smoothed stack, its noise ({found.noise:.2f} levels) is read off the frequencies that "
            f"the PSF has removed, and the iteration stopped by itself at that noise, after {found.iterations} steps.",
            _sections(study, found, z),
            _profile(study, found, curves, sharp),
            Table(
                "confocal",
                "Across the lines, mean over 1 µm along them. Width: full width at half maximum of the lines that "
                "stand alone. Dip: between the closest two. Light: sum of the profile; Richardson–Lucy takes back "
                "into the focal section what the blur had spread over the others.",
                (
                    Column("image", "image"),
                    Column("width", "line width", "nm", 0),
                    Column("dip", "dip", "%", 0),
                    Column("flux", "light in the section", "% of recorded", 0),
                ),
                rows,
            ),
        ],
    )


def _sections(study: Study, found: Restoration, z: int) -> Figure:
    """Sections xy and xz of the stack, before and after, and of the PSF, all on one scale of length."""
    plt = pyplot()
    dz, dy, dx = found.spacing
    nz, ny, nx = found.stack.shape
    y = ny // 2
    figure, axes = plt.subplots(
        2, 4, figsize=(13.5, 6.6), gridspec_kw={"height_ratios": (ny * dy, nz * dz), "width_ratios": (1, 1, 1, 0.45)}
    )
    shown = (
        ("as recorded", found.stack - found.background, "blurred"),
        ("transpose Aᴴy: blurred again", found.transpose, "transpose"),
        (f"Richardson–Lucy, {found.iterations} iterations", found.restored, "rl-stopped"),
    )
    for column, (title, volume, key) in zip(axes.T, shown, strict=False):
        top = float(np.percentile(volume[z], 99.8))
        for ax, section, height, name in (
            (column[0], volume[z], ny * dy, "y [µm]"),
            (column[1], volume[:, y], nz * dz, "z [µm]"),
        ):
            drawn = ax.imshow(section, vmin=0, vmax=top, extent=(0, nx * dx, height, 0), cmap="magma", aspect="equal")
            ax.set(xlabel="x [µm]", ylabel=name)
        column[0].set_title(title, color=COLOURS[key] if key != "blurred" else "black")
        column[0].axhline(y * dy, color="white", linewidth=0.8, linestyle=":")
        column[1].axhline(z * dz, color="white", linewidth=0.8, linestyle=":")
        figure.colorbar(drawn, ax=column[0], label="grey levels above background", shrink=0.85, pad=0.02)
    p = found.psf.psf
    kz, ky, kx = p.shape
    for ax, section, height, name in (
        (axes[0, 3], p[kz // 2], ky * dy, "y [µm]"),
        (axes[1, 3], p[:, ky // 2], kz * dz, "z [µm]"),
    ):
        extent = (-kx * dx / 2, kx * dx / 2, height / 2, -height / 2)
        ax.imshow(section / p.max(), extent=extent, cmap="magma", vmin=0, vmax=1, aspect="equal")
        ax.set(xlabel="x [µm]", ylabel=name)
    axes[0, 3].set_title(f"PSF from {found.psf.num_used} beads")
    figure.suptitle("Four lines, two of them merged by the microscope and parted again", weight="bold")
    caption = (
        "Top: focal section. Bottom: section along the optical axis, at the dotted line. Each image is scaled to its "
        "own brightness; lengths are true."
    )
    return study.save(figure, "confocal-sections", caption)


def _profile(study: Study, found: Restoration, curves: dict[str, Numbers], sharp: Lines) -> Figure:
    plt = pyplot()
    figure, ax = plt.subplots(figsize=(12.5, 3.9))
    x = np.arange(found.stack.shape[2]) * found.spacing[2]
    for key, label in (
        ("blurred", "as recorded"),
        ("transpose", "transpose Aᴴy"),
        ("rl-stopped", "Richardson–Lucy"),
    ):
        ax.plot(x, curves[key], color=COLOURS[key], linewidth=2, label=label)
    ax.axhline(0, color="black", linewidth=0.8, linestyle=":")
    left, right = (x[p] for p in sharp.pair)
    height = 1.06 * float(curves["rl-stopped"].max())
    ax.annotate("", (left, height), (right, height), arrowprops={"arrowstyle": "<->", "color": "#5b6675"})
    ax.text((left + right) / 2, 1.02 * height, f"{1000 * (right - left):.0f} nm", ha="center", va="bottom")
    ax.set(xlabel="x [µm]", ylabel="grey levels above background", xlim=(x[0], x[-1]), ylim=(None, 1.16 * height))
    ax.legend(loc="upper right")
    ax.set_title("Across the lines: the transpose widens what Richardson–Lucy narrows", weight="bold")
    caption = "Profile through the focal section, mean over 1 µm along the lines, background subtracted."
    return study.save(figure, "confocal-profile", caption)
