"""The figures of `signals`: the records before and after, and the error of every method against the noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .common import COLOURS, Figure, Study, pyplot
from .signals_records import DOUBLET, RATE, STEP, Case, Numbers

Estimates = Mapping[str, Numbers]

HUES = {
    **COLOURS,
    "recorded": COLOURS["blurred"],
    "deconvolve": "#8c510a",
    "wiener": COLOURS["unsupervised"],
    "wiener-power": COLOURS["wiener"],
    "tikhonov": "#882255",
    "spikes": "#5e3c99",
}
FAR = 4.0  # heights of the axis
FRAME = 80  # samples (10 ms) over which a level is taken
FLOOR, CEILING = -55.0, 22.0  # dB of level that are drawn
PAUSE = (0.349, 0.362)  # of the record: only echoes are heard
OFF_SCALE = 30.0  # relative error; what is larger is drawn at the edge
NAMES = {
    "line echo": "Line echo",
    "room": "Room echo",
    "spectrum": "Spectrum",
    "seismic trace": "Seismic trace",
}


def level(sound: Numbers) -> Numbers:
    """Level in dB over each 10 ms, relative to a wave of amplitude 1."""
    with np.errstate(over="ignore", invalid="ignore"):
        whole = sound[: sound.size // FRAME * FRAME].reshape(-1, FRAME)
        power = np.mean(np.minimum(np.abs(whole), 1e100) ** 2, axis=1)
    decibels: Numbers = 10 * np.log10(2 * power + 1e-30)
    return decibels


def traces(
    study: Study, cases: Mapping[str, Case], outcomes: Mapping[str, Estimates], labels: Mapping[str, str]
) -> Figure:
    """A row a record: all of it, and a part of it closely."""
    plt = pyplot()
    figure, axes = plt.subplots(4, 2, figsize=(14, 14.5), gridspec_kw={"width_ratios": (1.75, 1)})
    for name, row in zip(("line echo", "room"), axes, strict=False):
        _sound(row, cases[name], outcomes[name], labels)
    _spectrum(axes[2], cases["spectrum"], outcomes["spectrum"], labels)
    _trace(axes[3], cases["seismic trace"], outcomes["seismic trace"], labels)
    figure.suptitle("Echoes fall silent, lines part, layers stand out; division of polynomials bursts", weight="bold")
    caption = (
        "Left: the whole record; right: a part of it. Sound is drawn by its level, in which echoes fill the pauses. "
        "Where a curve leaves the top it goes on far beyond it; the table has the numbers."
    )
    return study.save(figure, "signals-traces", caption)


def _title(whole: Any, part: Any, left: str, right: str) -> None:
    whole.set_title(left, loc="left", weight="bold")
    part.set_title(right, loc="left")


def _line(ax: Any, x: Numbers, y: Numbers, key: str, label: str, **style: Any) -> None:
    """A curve; one that would hide all others, since it swings far past the axis, is drawn by its name alone."""
    low, high = ax.get_ylim()
    size = float(np.abs(np.nan_to_num(y)).max())
    if "lift" not in style and size > FAR * max(-low, high):
        ax.plot([], [], color=HUES[key], label=f"{label}: off the scale, 10{_power(size)}")
        return
    style.pop("lift", None)
    # What leaves the axis is cut there: 1e300 cannot be drawn.
    drawn = np.clip(np.nan_to_num(y), low - (high - low), high + (high - low))
    ax.plot(x, drawn, color=HUES[key], label=label, **{"linewidth": 1.5, **style})


def _power(size: float) -> str:
    return str(math.floor(math.log10(size))).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _sound(row: Any, case: Case, estimates: Estimates, labels: Mapping[str, str]) -> None:
    whole, part = row
    title = f"{NAMES[case.name]}: {case.response.size} taps, level over 10 ms"
    _title(whole, part, title, "in a pause, where only the echo is heard")
    count = np.flatnonzero(case.truth)[-1] // FRAME  # as long as there is sound
    t = (np.arange(count) + 0.5) * FRAME / RATE
    whole.set(xlim=(0, t[-1]), ylim=(FLOOR, CEILING), xlabel="time [s]", ylabel="level [dB]")
    whole.fill_between(t, FLOOR, np.maximum(level(case.truth)[:count], FLOOR), color="#d5d9de", label="sound (truth)")
    shown = {"recorded": 1.5, "deconvolve": 4.0, "wiener-power": 1.5}  # the wide one shows from under the other
    for key, width in shown.items():
        _line(whole, t, level(estimates[key])[:count], key, labels[key], linewidth=width, lift=True)
    whole.legend(loc="upper right", ncols=2, fontsize=9)
    start, stop = (round(s * case.truth.size) for s in PAUSE)
    t = np.arange(start, stop) / RATE
    size = 1.15 * float(np.abs(estimates["recorded"][start:stop]).max())
    part.set(xlim=(t[0], t[-1]), ylim=(-size, size), xlabel="time [s]", ylabel="sound pressure [1]")
    part.plot(t, case.truth[start:stop], color="black", linewidth=2.5, label="sound (truth)")
    for key, width in shown.items():
        _line(part, t, estimates[key][start:stop], key, labels[key], linewidth=0.8 * width)
    part.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)


def _spectrum(row: Any, case: Case, estimates: Estimates, labels: Mapping[str, str]) -> None:
    whole, part = row
    x = np.arange(case.truth.size)
    high = 1.08 * float(case.truth.max())
    whole.set(xlim=(40, case.truth.size - 40), ylim=(-0.08 * high, high))
    whole.set(xlabel="channel", ylabel="photons a channel")
    _title(whole, part, "Spectrum: lines widened by the instrument, photons counted", "the doublet, by every method")
    whole.fill_between(x, 0, case.truth, color="#d5d9de", label="lines (truth)")
    for key in ("recorded", "wiener-power", "rl"):
        _line(whole, x, estimates[key], key, labels[key], lift=True)
    whole.legend(loc="upper right", fontsize=9)
    (left, _), (right, _) = DOUBLET
    margin = 18
    near = slice(left - margin, right + margin + 1)
    highest = max(float(np.abs(estimates[key][near]).max()) for key in ("rl", "spikes"))
    part.set(xlim=(left - margin, right + margin), ylim=(-0.15 * high, 1.05 * max(high, highest)))
    part.set(xlabel="channel", ylabel="photons a channel")
    part.fill_between(x[near], 0, case.truth[near], color="#d5d9de", label="lines (truth)")
    for key, estimate in estimates.items():
        _line(part, x[near], estimate[near], key, labels[key], linewidth=1.3)
    part.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)


def _trace(row: Any, case: Case, estimates: Estimates, labels: Mapping[str, str]) -> None:
    whole, part = row
    t = np.arange(case.truth.size) * STEP
    at = np.flatnonzero(case.truth)
    lanes = (("recorded", 6.0), ("wiener-power", 3.0), ("spikes", 0.0))
    whole.set(xlim=(0, t[-1]), ylim=(-1.4, 8.2), xlabel="two-way time [s]", ylabel="reflectivity [1], shifted")
    whole.set_yticks([shift + v for _, shift in lanes for v in (-1, 0, 1)], ["−1", "0", "1"] * len(lanes))
    _title(whole, part, "Seismic trace: a wavelet from every layer", "where two layers lie closest")
    for key, shift in lanes:
        whole.vlines(t[at], shift, shift + case.truth[at], color="black", linewidth=1)
        whole.plot(t[at], shift + case.truth[at], "o", color="black", markersize=3.5)
        _line(whole, t, shift + estimates[key], key, labels[key], lift=True)
        whole.text(t[-1] * 0.995, shift + 1.25, labels[key], ha="right", color=HUES[key])
    closest = int(at[np.argmin(np.diff(at))])
    near = slice(max(closest - 35, 0), min(closest + 36, t.size))
    part.set(xlim=(t[near][0], t[near][-1]), ylim=(-1.6, 1.9), xlabel="two-way time [s]", ylabel="reflectivity [1]")
    seen = at[(at >= near.start) & (at < near.stop)]
    part.vlines(t[seen], 0, case.truth[seen], color="black", linewidth=1)
    part.plot(t[seen], case.truth[seen], "o", color="black", markersize=5, label="layers (truth)")
    for key in ("recorded", "inverse", "deconvolve", "wiener-power", "spikes"):
        _line(part, t[near], estimates[key][near], key, labels[key], linewidth=1.4)
    part.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)


def noise(study: Study, rows: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> Figure:
    """Error against noise, a panel a record, both on logarithmic scales."""
    plt = pyplot()
    figure, axes = plt.subplots(1, 4, figsize=(15, 5.0))
    levels = sorted({row["level"] for row in rows})
    # No noise has no place on a logarithmic axis: it is drawn two decades before the weakest.
    none = min(value for value in levels if value) / 100
    for ax, (name, title) in zip(axes, NAMES.items(), strict=True):
        for key in labels:
            mine = sorted((row["level"], row["snr"]) for row in rows if (row["case"], row["key"]) == (name, key))
            if not mine:
                continue
            x = [value or none for value, _ in mine]
            beyond = [snr < -20 * math.log10(OFF_SCALE) for _, snr in mine]
            y = [OFF_SCALE if far else 10 ** (-snr / 20) for far, (_, snr) in zip(beyond, mine, strict=True)]
            # The wide one shows from under others that agree with it.
            width = 4.5 if key == "deconvolve" else 1.6
            (drawn,) = ax.loglog(x, y, color=HUES[key], linewidth=width, label=labels[key])
            for far, marker in ((False, "o"), (True, "^")):
                here = [i for i, value in enumerate(beyond) if value == far]
                size = 7 if far else 4
                ax.plot([x[i] for i in here], [y[i] for i in here], marker, color=drawn.get_color(), markersize=size)
        ax.set(title=title, xlabel="noise / record (rms)", xlim=(none / 4, 4 * max(levels)))
        best = max(row["snr"] for row in rows if row["case"] == name)
        ax.set_ylim(10 ** (-best / 20) / 3, 4 * OFF_SCALE)
        ax.set_xticks([none, 1e-12, 1e-8, 1e-4, 1e-2], ["none", "10⁻¹²", "10⁻⁸", "10⁻⁴", "10⁻²"])
        ax.minorticks_off()
        ax.axhline(1, color="black", linewidth=0.8, linestyle=":")
        ax.grid(axis="y")
    axes[0].set_ylabel("error / signal (rms)")
    axes[0].text(none / 2, 1.6, "nothing but zeros: 1", fontsize=8, va="bottom")
    handles = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, fontsize=9)
    figure.suptitle("Division is exact only for the line; elsewhere even rounding is noise enough", weight="bold")
    caption = (
        "White noise of each strength is added to the records; mind the different scales. Triangles at the top lie "
        "beyond the scale. Where an error stays level while the noise falls, the method's penalty or its number of "
        "iterations holds it, or the response has removed what no method brings back."
    )
    return study.save(figure, "signals-noise", caption)
