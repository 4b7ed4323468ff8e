"""The figures of `recovery`: one image looked at closely, its spectrum, a gallery, and the sum of all cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import sigdeconv
from sigdeconv import metrics

from .common import COLOURS, Figure, Study, box, pyplot, show, signed

Numbers = np.ndarray[Any, Any]
Names = tuple[str, str, str]

CLOSELY: Names = ("camera", "defocus, radius 4 px", "Gaussian, 40 dB")
GALLERY: tuple[Names, ...] = (
    ("astronaut", "motion, 15 px at 30°", "Poisson, 300 photons"),
    ("coffee", "defocus, radius 4 px", "Gaussian, 40 dB"),
    ("page", "motion, 15 px at 30°", "Gaussian, 40 dB"),
)
SHOWN = {CLOSELY, *GALLERY}

PEAK = 255.0
ERROR_RANGE = 60.0  # grey levels; larger errors of the division saturate the colours
ZOOM = (0.34, 0.38, 0.30)  # of the frame: top, left, side
GLANCE = (0.16, 0.16, 0.60)  # the same, larger: a README is read at a small scale
RINGS = 40  # of spatial frequency from 0 to 0.5 cycles a pixel
OFF_SCALE = -12.0  # dB; what lies below is drawn at the edge and said in words


def short(label: str) -> str:
    """A label in two lines, for titles."""
    for long, brief in (
        ("Richardson–Lucy, 20 iterations", "Richardson–Lucy\n20 iterations"),
        ("Richardson–Lucy, stopped at the noise", "Richardson–Lucy\nstopped at noise"),
        ("unsupervised Wiener", "unsupervised\nWiener"),
    ):
        if label == long:
            return brief
    return label


def _title(case: Any, estimate: Numbers, label: str) -> str:
    psnr = metrics.psnr(case.truth, estimate, data_range=PEAK)
    ssim = metrics.ssim(case.truth, estimate, data_range=PEAK, channel_axis=0)
    return f"{short(label)}\n{psnr:.1f} dB · {ssim:.2f}".replace("-", "−")


def _picture(image: Numbers) -> Numbers:
    """(colour, y, x) in grey levels as Matplotlib draws it."""
    clipped = np.clip(image / PEAK, 0, 1)
    return clipped[0] if image.shape[0] == 1 else np.moveaxis(clipped, 0, -1)


def _zoom(image: Numbers, part: tuple[float, float, float] = ZOOM) -> tuple[tuple[int, int], tuple[int, int]]:
    """Corner and size of the zoom."""
    rows, columns = image.shape[-2:]
    side = round(part[2] * min(rows, columns))
    return (round(part[0] * rows), round(part[1] * columns)), (side, side)


def _cut(image: Numbers, part: tuple[float, float, float] = ZOOM) -> Numbers:
    (y, x), (h, w) = _zoom(image, part)
    return image[:, y : y + h, x : x + w]


def glance(study: Study, case: Any, estimates: Mapping[str, Numbers], labels: Mapping[str, str]) -> Figure:
    """The whole story in one row, for a README."""
    plt = pyplot()
    keys = ("blurred", "transpose", "inverse", "wiener", "rl-stopped")
    figure, axes = plt.subplots(1, len(keys) + 1, figsize=(11.4, 2.36))
    show(axes[0], _picture(_cut(case.truth, GLANCE)), "scene x\n(nobody is told)", vmin=0, vmax=1)
    names = {"blurred": "blurred, noisy image y", "rl-stopped": "Richardson–Lucy"}
    for ax, key in zip(axes[1:], keys, strict=True):
        estimate = estimates[key]
        psnr = metrics.psnr(case.truth, estimate, data_range=PEAK)
        gain = metrics.isnr(case.truth, case.image, estimate)
        text = f"{psnr:.1f} dB" if key == "blurred" else f"{psnr:.1f} dB ({signed(gain)})".replace("-", "−")
        show(ax, _picture(_cut(estimate, GLANCE)), f"{names.get(key, labels[key])}\n{text}", vmin=0, vmax=1)
        ax.title.set_color(COLOURS[key] if key != "blurred" else "black")
    figure.suptitle("The transpose blurs once more, division drowns in noise, deconvolution restores", weight="bold")
    return study.save(figure, "recovery-glance", "One blurred photograph and four answers")


def closely(study: Study, case: Any, estimates: Mapping[str, Numbers], labels: Mapping[str, str]) -> Figure:
    """Images, zooms and error maps of one case."""
    plt = pyplot()
    keys = [key for key in estimates if key != "unsupervised"]  # it looks like Wiener's; the table has its numbers
    figure, axes = plt.subplots(3, len(keys) + 1, figsize=(14.5, 6.9))
    for j, (key, image) in enumerate([("scene", case.truth), *((key, estimates[key]) for key in keys)]):
        title = "scene\n(truth)" if key == "scene" else _title(case, image, labels[key])
        show(axes[0, j], _picture(image), title, vmin=0, vmax=1)
        axes[0, j].title.set_color(COLOURS[key] if key != "blurred" else "black")
        box(axes[0, j], *_zoom(image))
        show(axes[1, j], _picture(_cut(image)), vmin=0, vmax=1)
        if key != "scene":
            error = (image - case.truth).mean(axis=0)
            drawn = show(axes[2, j], error, vmin=-ERROR_RANGE, vmax=ERROR_RANGE, cmap="RdBu_r")
            rms = float(np.sqrt(np.mean(error**2)))
            axes[2, j].set_xlabel(f"rms {rms:.1f}")
    axes[2, 0].axis("off")
    axes[2, 0].text(1.0, 0.5, "error:\nestimate − scene", ha="right", va="center", transform=axes[2, 0].transAxes)
    figure.colorbar(drawn, ax=axes[2, :], label="grey levels", extend="both", aspect=12, pad=0.01)
    figure.suptitle(f"{case.scene}, {case.blur}, {case.noise}: who undoes the blur?", weight="bold")
    caption = (
        "Above each image PSNR and SSIM. The transpose blurs a second time; division by the transfer function turns "
        "invisible noise into a wall of it; Wiener and Richardson–Lucy bring the edges back. Third row: what is still "
        "wrong, in grey levels of 255."
    )
    return study.save(figure, "recovery-closely", caption)


def spectra(case: Any, estimate: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """By ring of frequency: centre in cycles a pixel, gain of the scene's waves, error power over scene power."""
    rows, columns = case.truth.shape[-2:]
    window = np.outer(np.hanning(rows), np.hanning(columns))
    X, E = (np.fft.fft2((image - case.truth.mean()) * window) for image in (case.truth, estimate))
    radius = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(columns)[None, :])
    edges = np.linspace(0, 0.5, RINGS + 1)
    ring = np.digitize(radius, edges) - 1

    def total(values: Numbers) -> Numbers:
        return np.bincount(ring.ravel(), values.sum(axis=0).ravel(), RINGS + 1)[:RINGS]

    power = total(np.abs(X) ** 2)
    gain = total((E * X.conj()).real) / power
    return (edges[:-1] + edges[1:]) / 2, gain, total(np.abs(E - X) ** 2) / power


def gains(study: Study, case: Any, estimates: Mapping[str, Numbers], labels: Mapping[str, str]) -> Figure:
    """What share of each frequency comes back, and how large the error is beside it."""
    plt = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(12.5, 5.0))
    n = 512
    H = sigdeconv.psf_to_otf(case.psf.astype(np.float64), (n, n)).real[0]
    f = np.arange(H.size) / n
    left.plot(f, H, color=COLOURS["blurred"], linewidth=1, label="theory: $H$")
    left.plot(f, H**2, color=COLOURS["transpose"], linewidth=1, label="theory: $|H|^2$")
    left.axhline(1, color="black", linewidth=0.8, linestyle=":")
    right.axhline(0, color="black", linewidth=0.8, linestyle=":")
    for key, image in estimates.items():
        if key in ("unsupervised", "rl"):
            continue
        frequency, gain, error = spectra(case, image)
        style = {"color": COLOURS[key], "marker": "o", "markersize": 3.5, "linewidth": 1.4, "label": labels[key]}
        alone = key in ("blurred", "transpose")  # the theory is the line through these dots
        left.plot(frequency, gain, **style | {"linestyle": "" if alone else "-"})
        right.plot(frequency, 10 * np.log10(error), **style)
    left.set(xlim=(0, 0.5), ylim=(-0.3, 1.35), xlabel="spatial frequency [cycles/pixel]", ylabel="gain [1]")
    left.set_title("What comes back of the scene (1: all of it)")
    left.grid(axis="y")
    right.set(xlim=(0, 0.5), xlabel="spatial frequency [cycles/pixel]", ylabel="error power / scene power [dB]")
    right.set_title("What is wrong (above 0 dB: worse than nothing)")
    right.grid(axis="y")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=7, fontsize=9)
    figure.suptitle(
        "The transpose blurs twice, division lets the noise in, deconvolution weighs the two", weight="bold"
    )
    caption = (
        f"The same image ({case.scene}, {case.blur}, {case.noise}), ring by ring of frequency. Dots: measured against "
        "the scene. Left: the gain from scene to estimate. The blur removes some frequencies and turns others upside "
        "down. The transpose sets the sign right and loses twice as many decibels. Right: the error that comes along."
    )
    return study.save(figure, "recovery-gains", caption)


def gallery(study: Study, shown: Sequence[tuple[Any, Mapping[str, Numbers]]], labels: Mapping[str, str]) -> Figure:
    """More cases, in colour: what they look like."""
    plt = pyplot()
    keys = ("blurred", "transpose", "wiener", "rl", "rl-stopped")
    figure, axes = plt.subplots(len(shown), len(keys) + 1, figsize=(14.5, 2.9 * len(shown)), squeeze=False)
    for row, (case, estimates) in zip(axes, shown, strict=True):
        show(row[0], _picture(case.truth), "scene\n(truth)")
        row[0].set_ylabel(f"{case.blur}\n{case.noise}")
        for ax, key in zip(row[1:], keys, strict=True):
            show(ax, _picture(estimates[key]), _title(case, estimates[key], labels[key]), vmin=0, vmax=1)
            ax.title.set_color(COLOURS[key] if key != "blurred" else "black")
    figure.suptitle("Motion, defocus, colour, text; many photons and few", weight="bold")
    caption = (
        "Above each image PSNR and SSIM. With few photons a fixed number of iterations amplifies the noise; the same "
        "method stopped at the noise does not."
    )
    return study.save(figure, "recovery-gallery", caption)


def summary(
    study: Study, rows: Sequence[Mapping[str, Any]], labels: Mapping[str, str], blurs: list[str], noises: list[str]
) -> Figure:
    """Every case as a dot: what each method gains."""
    plt = pyplot()
    figure, ax = plt.subplots(figsize=(12.5, 4.6))
    keys = [key for key in labels if key != "blurred"]
    colours = dict(zip(blurs, ("#0072b2", "#e69f00", "#009e73"), strict=True))
    for y, key in enumerate(reversed(keys)):
        mine = [row for row in rows if row["key"] == key]
        for row in mine:
            blur, noise = blurs.index(row["blur"]), noises.index(row["noise"])
            shift = 0.26 * (noise - 0.5) + 0.08 * (blur - 1)
            ax.plot(
                max(row["isnr"], OFF_SCALE),
                y - shift,
                marker="<" if row["isnr"] < OFF_SCALE else "os"[noise],
                color=colours[row["blur"]],
                markersize=5,
                alpha=0.8,
                linestyle="",
            )
        median = float(np.median([row["isnr"] for row in mine]))
        if median >= OFF_SCALE:
            ax.plot([median, median], [y - 0.36, y + 0.36], color="black", linewidth=2.5)
        else:
            ax.text(OFF_SCALE + 0.5, y, "off the scale", va="center", color="#5b6675")
        text = f"median {signed(median)} dB"
        ax.text(1.01, y, text, transform=ax.get_yaxis_transform(), va="center", weight="bold")
    ax.axvline(0, color="black", linewidth=1)
    top = max(float(row["isnr"]) for row in rows)
    ax.set(xlim=(OFF_SCALE - 0.4, top + 0.8), ylim=(-0.6, len(keys) - 0.4))
    ax.set_yticks(range(len(keys)), [labels[key] for key in reversed(keys)])
    ax.set_xlabel("ISNR: gain over the blurred image [dB]")
    ax.set_xticks(range(int(OFF_SCALE), int(top) + 2, 2))
    ax.grid(axis="x")
    for name, colour in colours.items():
        ax.plot([], [], "o", color=colour, label=name)
    for name, marker in zip(noises, "os", strict=True):
        ax.plot([], [], marker, color="#5b6675", label=name)
    figure.legend(loc="outside lower center", ncols=5, fontsize=9)
    ax.set_title("← worse than the blurred image          better →", weight="bold")
    caption = (
        f"Each of the {len(rows) // len(labels)} images is a dot, the bar is the median. Left of zero the result is "
        f"farther from the scene than the blurred image was; a triangle at the edge lies below {OFF_SCALE:.0f} dB. "
        "Where photons are few even the transpose may gain, since it smooths the noise; it undoes no blur."
    ).replace("-", "−")
    return study.save(figure, "recovery-summary", caption)
