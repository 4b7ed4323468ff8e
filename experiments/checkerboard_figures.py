"""The figures of `checkerboard`: what flat grey becomes, how much by kernel and stride, and while a network learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import checkerboard_layers as layers
from .checkerboard_training import LAYERS, Case, Trained
from .common import Figure, Study, mean, pyplot, show

Numbers = np.ndarray[Any, Any]

COLOURS = {
    "ones": "#000000",
    "torch": "#e69f00",
    "kaiming": "#d55e00",
    "icnr": "#009e73",
    "bilinear": "#0072b2",
    "enforced": "#cc79a7",
    "resize": "#56b4e9",
    "random": "#d55e00",
    "sums": "#cc79a7",
    "hold": "#56b4e9",
}
MARKERS = {"ones": "s", "torch": "v", "kaiming": "o", "icnr": "D", "bilinear": "^", "enforced": "x"}
MARKERS |= {"random": "o", "sums": "x", "hold": "P"}
#: Layers that are shown: kernel, stride, start.
CASES = (
    (3, 2, "ones"),
    (4, 2, "ones"),
    (4, 2, "kaiming"),
    (6, 3, "kaiming"),
    (3, 2, "icnr"),
    (5, 2, "bilinear"),
    (3, 2, "enforced"),
)
SIDE, SPECTRUM = 12, 48  # output pixels that are shown, and those of which the spectrum is taken
BEYOND = 4  # frequencies past the highest, so that what lies there is seen whole
DEEPEST = -80.0  # dB of the spectra
FAINTEST = 0.01  # grey levels: less is no pattern
CLOSE = 0.8  # a correlation that is called so
CONTRAST = 4.0  # grey levels to either side of the mean, of the flat outputs of networks
WATCHED = (
    Case("transposed", 3, "kaiming"),
    Case("transposed", 4, "kaiming"),
    Case("transposed", 4, "icnr"),
    Case("transposed", 4, "bilinear"),
    Case("enforced", 3, "kaiming"),
    Case("resize", 3, "kaiming"),
)
ZOOM = 24  # pixels of the gradient


def flat(study: Study) -> Figure:
    """Flat features through single layers: outputs above, spectra below."""
    plt = pyplot()
    figure, axes = plt.subplots(2, len(CASES), figsize=(15, 5.2))
    shares = {}
    for (above, below), (kernel, stride, start) in zip(axes.T, CASES, strict=True):
        image, share = layers.pictures(kernel, stride, start, SPECTRUM, study.seed)
        shares[kernel, stride, start] = share
        overlap = "even" if kernel % stride == 0 else "uneven"
        title = (
            f"{layers.STARTS[start].split(':')[0].replace(', ', ',' + chr(10))}\n{kernel} taps by {stride}: {overlap}"
        )
        drawn = show(above, image[:SIDE, :SIDE], title, vmin=-2, vmax=2)
        above.set_xlabel(f"pattern: {100 * share:.0f} % of energy", fontsize=9.5)
        power = np.pad(spectrum(image), BEYOND, mode="wrap")  # it goes on periodically
        shown = show(below, power, vmin=DEEPEST, vmax=0, cmap="magma")
        for y, x in peaks(stride):
            below.plot(x, y, "o", markersize=11, markerfacecolor="none", markeredgecolor="#56b4e9", linewidth=1)
    axes[1, 0].set_ylabel("spectrum")
    axes[0, 0].set_ylabel("output")
    figure.colorbar(drawn, ax=axes[0], label="output [its rms]", pad=0.01)
    figure.colorbar(shown, ax=axes[1], label="energy [dB of largest]", pad=0.01)
    with_pattern = sorted({"even" if k % s == 0 else "uneven" for (k, s, _), share in shares.items() if share > 0.01})
    figure.suptitle(
        f"Flat features go in; a pattern comes out with {' and with '.join(with_pattern)} overlap", weight="bold"
    )
    return study.save(
        figure,
        "checkerboard-flat",
        "What single transposed convolutions make of 16 flat features. Below, the spectrum of the output, zero "
        "frequency in the middle; circles mark the frequency of the stride and its harmonics.",
    )


def spectrum(image: Numbers) -> Numbers:
    """Energy in dB under a Hann window, zero frequency in the middle."""
    n = len(image)
    window = 1 - np.cos(2 * np.pi * np.arange(n) / n)
    power = np.abs(np.fft.fftshift(np.fft.fft2(image * np.multiply.outer(window, window)))) ** 2
    found: Numbers = 10 * np.log10(power / power.max() + 1e-12)
    return found


def peaks(stride: int, side: int = SPECTRUM) -> list[tuple[float, float]]:
    """Where a spectrum with zero frequency in the middle holds the stride's frequency and its harmonics."""
    at = [BEYOND + side // 2 + m * side // stride for m in range(-(stride // 2), stride // 2 + 1)]
    return [(y, x) for y in at for x in at if (y, x) != (BEYOND + side // 2, BEYOND + side // 2)]


def starts(study: Study, rows: Sequence[Mapping[str, Any]], downs: Sequence[Mapping[str, Any]]) -> Figure:
    """Outputs by kernel, a panel a stride; gradients below."""
    plt = pyplot()
    figure, axes = plt.subplots(2, len(layers.STRIDES), figsize=(15, 8.2), sharey="row")
    parts = (("start", "share", layers.STARTS, rows), ("kind", "unevenness", layers.DOWNS, downs))
    for line, (key, value, labels, mine) in zip(axes, parts, strict=True):
        for ax, stride in zip(line, layers.STRIDES, strict=True):
            here = [row for row in mine if row["stride"] == stride]
            kernels = sorted({row["kernel"] for row in here})
            for k in kernels:
                if k % stride == 0:
                    ax.axvspan(k - 0.4, k + 0.4, color="#eef2f5", zorder=0)
            guess = [100 * next(row["predicted"] for row in here if row["kernel"] == k) for k in kernels]
            ax.plot(kernels, guess, color="#7f7f7f", linewidth=5, alpha=0.4, label="predicted by overlap")
            if value == "share":
                level = 100 * layers.random_share(stride)
                ax.axhline(level, color="#d55e00", linewidth=1, linestyle=":", label="expected of random: 1 − 1/s²")
            for name, label in labels.items():
                own = [(row["kernel"], 100 * row[value]) for row in here if row[key] == name]
                hollow = {} if name in ("enforced", "sums") else {"markerfacecolor": "none", "markeredgewidth": 1.6}
                size = {"icnr": 10, "ones": 9, "bilinear": 7}.get(name, 7)
                style = {"linewidth": 1, "marker": MARKERS[name], "markersize": size, **hollow}
                ax.plot(*zip(*own, strict=True), color=COLOURS[name], label=label, **style)
            ax.set(xticks=kernels, xlabel="kernel [taps]", title=f"stride {stride}")
            ax.grid(axis="y")
    axes[0, 0].set_ylabel("OUTPUT of flat features:\nshare of the pattern [% of energy]")
    axes[1, 0].set_ylabel("GRADIENT for an error of noise:\nunevenness of its power [%]")
    top = max(100 * row["unevenness"] for row in downs if row["kernel"] > 1)
    axes[1, 0].set_ylim(-5, 1.15 * top)
    for ax, stride in zip(axes[1], layers.STRIDES, strict=True):
        one = next(100 * row["unevenness"] for row in downs if (row["stride"], row["kernel"]) == (stride, 1))
        if one > 1.15 * top:  # above the frame
            ax.annotate(f"↑ 1 tap: {one:.0f} %", (2.3, 1.13 * top), ha="left", va="top", fontsize=9)
    for line in axes:
        line[-1].legend(fontsize=8.5, loc="center left", bbox_to_anchor=(1.01, 0.5))
    even, uneven = (
        100 * mean(row["share"] for row in rows if row["start"] == "kaiming" and row["even"] == flag)
        for flag in (True, False)
    )
    close = layers.correlation([row for row in downs if row["kind"] == "random"], "unevenness")
    verb = "follows" if close > CLOSE else "does not follow"
    figure.suptitle(
        f"Outputs of random layers hold a pattern where the stride divides the kernel (shaded: {even:.0f} %) and where "
        f"it does not ({uneven:.0f} %);\nthe power of random gradients {verb} overlap (correlation {close:.2f})",
        weight="bold",
    )
    return study.save(
        figure,
        "checkerboard-starts",
        "Single layers before training. Above: transposed convolutions; ICNR, bilinear and the enforced condition lie "
        "on zero. Below: gradients by the input of strided convolutions, whose kernels may be smaller than the stride; "
        "then some pixels get no gradient at all.",
    )


def curves(study: Study, runs: Sequence[Trained]) -> Figure:
    """Patterns over the steps of training."""
    plt = pyplot()
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.9))
    cases = list(dict.fromkeys(one.case for one in runs))
    outputs = {3: axes[0], 4: axes[1]}
    for case in cases:
        if case.kernel not in outputs:
            continue
        mine = [one.rows for one in runs if one.case == case]
        steps = [row["step"] for row in mine[0]]
        levels = np.exp(np.log([[max(row["pattern"], FAINTEST) for row in one] for one in mine]).mean(axis=0))
        outputs[case.kernel].semilogy(steps, levels, label=named(case), **style(case))
    for k, ax in outputs.items():
        cover = "even" if k % 2 == 0 else "uneven"
        ax.axhline(0.5, color="#5b6675", linewidth=0.8, linestyle=":")
        ax.set(ylim=(0.7 * FAINTEST, 400), xlabel="training step", title=f"output, kernel {k}: {cover} overlap")
        ax.set_yticks([FAINTEST, 0.1, 1, 10, 100], ["≤ 0.01", "0.1", "1", "10", "100"])
        ax.text(
            0.99,
            0.45,
            "half a grey level",
            ha="right",
            va="top",
            fontsize=8,
            color="#5b6675",
            transform=ax.get_yaxis_transform(),
        )
    axes[0].set_ylabel("pattern in plain grey [rms, grey levels]")
    for case in cases:
        if case.start != "kaiming" or case.layer == "subpixel":
            continue
        mine = [one.rows for one in runs if one.case == case]
        level = [100 * mean(one[i]["unevenness"] for one in mine) for i in range(len(mine[0]))]
        kind = {"transposed": "strided convolution", "enforced": "enforced", "resize": "convolve, then mean"}
        label = f"{kind[case.layer]}, kernel {case.kernel}"
        axes[2].plot([row["step"] for row in mine[0]], level, label=label, **style(case, by_kernel=True))
    axes[2].set(xlabel="training step", ylabel="unevenness of the gradient [%]", title="gradient of the loss by pixels")
    axes[2].set_ylim(0, 1.55 * axes[2].get_ylim()[1])  # room for the legend
    for ax in axes:
        ax.grid(axis="y")
        ax.legend(
            fontsize=8,
            loc="upper right",
            ncols=1 if ax is axes[2] else 2,
            frameon=True,
            edgecolor="none",
            framealpha=0.85,
        )
    figure.suptitle(_headline(runs), weight="bold")
    return study.save(
        figure,
        "checkerboard-training",
        "Networks that halve and double a noisy photograph. Left and middle: what plain grey becomes, geometric means "
        f"over the seeds; less than {FAINTEST} grey levels counts as none. Right: unevenness of the loss's "
        "gradient, by the place of the pixel in the period, for random starts.",
    )


def _headline(runs: Sequence[Trained]) -> str:
    """What happens to the pattern of the random and of the quiet starts, with stride 2."""
    plain = [one for one in runs if one.case.layer == "transposed"]
    loud = [one for one in plain if one.rows[0]["pattern"] > 1]
    quiet = [one for one in plain if one.rows[0]["pattern"] < FAINTEST]
    less = sum(one.rows[-1]["pattern"] < one.rows[0]["pattern"] for one in loud)
    more = sum(one.rows[-1]["pattern"] > FAINTEST for one in quiet)
    return (
        f"Training weakened the pattern in {less} of {len(loud)} layers that began with one, "
        f"and made one in {more} of {len(quiet)} that began without"
    )


def named(case: Case) -> str:
    """A line of the legend."""
    start = {"ones": "ones", "kaiming": "Kaiming", "icnr": "ICNR", "bilinear": "bilinear"}[case.start]
    return start if case.layer == "transposed" else f"{LAYERS[case.layer]}, {start}"


def style(case: Case, *, by_kernel: bool = False) -> dict[str, Any]:
    """How a case is drawn."""
    colour = COLOURS[case.layer if case.layer in ("enforced", "resize") else case.start]
    found: dict[str, Any] = {"color": colour, "linewidth": 2}
    if case.layer == "subpixel":  # on the line of the transposed convolution, which it is
        return {"color": "#000000", "linewidth": 0, "marker": "+", "markersize": 8}
    if by_kernel:
        found["linestyle"] = {3: "-", 4: "--", 5: ":"}[case.kernel]
    return found


def trained(study: Study, runs: Sequence[Trained]) -> Figure:
    """Plain grey through networks at the start and at the end, and their gradients."""
    plt = pyplot()
    first = {one.case: one for one in reversed(runs)}
    cases = [case for case in WATCHED if case in first]
    figure, axes = plt.subplots(3, len(cases), figsize=(15, 8.0), squeeze=False)
    for column, case in zip(axes.T, cases, strict=True):
        one = first[case]
        for ax, image, row in zip(column, one.flats, (one.rows[0], one.rows[-1]), strict=False):
            drawn = show(ax, image - image.mean(), vmin=-CONTRAST, vmax=CONTRAST)
            ax.set_xlabel(f"pattern {row['pattern']:.2f} grey levels", fontsize=9.5)
            ax.patch.set_edgecolor("#7f7f7f")
            ax.patch.set_linewidth(1)
        column[0].set_title(f"{named(case)}\nkernel {case.kernel}", fontsize=10)
        power = np.abs(one.gradient)
        middle = tuple(slice((n - ZOOM) // 2, (n + ZOOM) // 2) for n in power.shape)
        part = power[middle]
        last = show(column[2], part / part.mean(), vmin=0, vmax=4, cmap="viridis")
        column[2].set_xlabel(f"unevenness {100 * one.rows[-1]['unevenness']:.0f} %", fontsize=9.5)
    for ax, label in zip(
        axes[:, 0], ("plain grey, at the start", "plain grey, trained", "gradient, trained"), strict=True
    ):
        ax.set_ylabel(label)
    figure.colorbar(drawn, ax=axes[:2], label="output − its mean [grey levels]", extend="both", pad=0.01)
    figure.colorbar(last, ax=axes[2:], label="|gradient| [its mean]", extend="max", pad=0.01)
    figure.suptitle("What the networks make of plain grey, and the gradient that reaches the pixels", weight="bold")
    return study.save(
        figure,
        "checkerboard-trained",
        "The middle of the output for plain grey of half the brightness; contrast is stretched. Below, the size of the "
        "gradient of the loss by the pixels of a photograph.",
    )
