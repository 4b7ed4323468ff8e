"""Signals along one axis: an echo taken away, spectral lines parted, layers of rock found by their reflections.

Four records, each the whole convolution of a signal with a known response, so that nothing of the signal is lost past
the ends: that is what `scipy.signal.deconvolve`, division of polynomials, asks for. All methods get the same record and
response. None is told the noise, and none has a parameter fitted to these records but the fixed number of iterations of
Richardson-Lucy, which is a round one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import sigdeconv

from . import signals_figures as figures
from .common import Chapter, Column, Study, Table, signed
from .signals_records import (
    FOUND,
    LAYERS,
    LINES,
    REACH,
    Case,
    Numbers,
    area_errors,
    doublet_dip,
    layers_found,
    line_response,
    melody,
    noisy,
    record,
    records,
    snr,
)

TITLE = "Signals: echoes, spectral lines, layers of rock"

ITERATIONS = 50
LEAK, EARLY = 1e-3, 40  # a weak precursor: its height, and samples (5 ms) before the sound
LEVELS = (0.0, 1e-12, 1e-8, 1e-4, 1e-2)  # standard deviation of the noise, relative to that of the record


class Method(NamedTuple):
    """A name for the figures, and what it does with a record."""

    label: str
    restore: Callable[[Case], Numbers]


def divide(case: Case) -> Numbers:
    """`scipy.signal.deconvolve`: the quotient of two polynomials."""
    from scipy.signal import deconvolve

    with np.errstate(all="ignore"):  # that it overflows is what is to be seen
        quotient, _ = deconvolve(case.image - case.background, case.response)
    after = case.response.size - 1 - case.center
    return np.pad(quotient, (case.center, after))


def divide_spectra(case: Case) -> Numbers:
    # The record holds the whole convolution, so that going round in a circle adds nothing.
    circle = sigdeconv.Convolution(case.response, case.image.size, boundary="periodic", center=case.center)
    estimate: Numbers = sigdeconv.inverse_filter(case.image - case.background, circle)
    return estimate


def _wiener(regularizer: str) -> Callable[[Case], Numbers]:
    return lambda c: sigdeconv.wiener(c.image - c.background, c.blur, regularizer=regularizer)


def _richardson_lucy(num_iter: int | None) -> Callable[[Case], Numbers]:
    return lambda c: sigdeconv.richardson_lucy(
        c.image.clip(0), c.blur, background=c.background, num_iter=num_iter, boundary=c.boundary
    )


METHODS = {
    "recorded": Method("as recorded", lambda c: c.image - c.background),
    "deconvolve": Method("scipy.signal.deconvolve", divide),
    "inverse": Method("FFT division", divide_spectra),
    "wiener": Method("Wiener, curvature", _wiener("laplacian")),
    "wiener-power": Method("Wiener, power", _wiener("identity")),
    "tikhonov": Method(
        "Tikhonov, x ≥ 0",
        lambda c: sigdeconv.tikhonov(
            c.image - c.background, c.blur, bounds=(0, None), regularizer="identity", boundary=c.boundary
        ),
    ),
    "rl": Method(f"Richardson–Lucy, {ITERATIONS} iterations", _richardson_lucy(ITERATIONS)),
    "rl-stopped": Method("Richardson–Lucy, stopped", _richardson_lucy(None)),
    "spikes": Method(
        "sparse spikes",
        lambda c: sigdeconv.sparse_spikes(
            c.image - c.background, c.blur, boundary=c.boundary, bounds=(0, None) if c.background else None
        ),
    ),
}
LINEAR = ("recorded", "deconvolve", "inverse", "wiener", "wiener-power")
USED = {
    "line echo": LINEAR,
    "room": LINEAR,
    "spectrum": (*LINEAR, "tikhonov", "rl", "rl-stopped", "spikes"),
    "seismic trace": (*LINEAR, "spikes"),
}

GAIN = Column("gain", "gain", "dB", 1)
COLUMNS = (Column("case", "record"), Column("method", "method"), Column("snr", "SNR", "dB", 1), GAIN)
LINE_COLUMNS = (
    Column("method", "method"),
    Column("dip", "dip of the doublet", "%", 0),
    Column("area", "mean error of areas", "%", 1),
    Column("worst", "worst", "%", 1),
)
SPIKE_COLUMNS = (
    Column("method", "method"),
    Column("found", f"found of {LAYERS}", "", 0),
    Column("false", "false", "", 0),
    Column("height", "median height", "% of true", 0),
)
SWEEP_COLUMNS = (
    Column("case", "record"),
    Column("method", "method"),
    Column("level", "noise, relative"),
    Column("snr", "SNR", "dB", 1),
)
TAP_COLUMNS = (
    Column("response", "response"),
    Column("divided", "scipy.signal.deconvolve: SNR", "dB", 1),
    Column("filtered", "Wiener, power: SNR", "dB", 1),
)


Outcomes = dict[str, dict[str, Numbers]]  #: by record and method, the estimates


def restore_all(cases: Mapping[str, Case]) -> Outcomes:
    return {name: {key: METHODS[key].restore(case) for key in USED[name]} for name, case in cases.items()}


def gains(cases: Mapping[str, Case], outcomes: Outcomes) -> list[dict[str, Any]]:
    """A row a record and method: signal to error, and what was gained over the record as it came."""
    rows = []
    for name, estimates in outcomes.items():
        case = cases[name]
        before = snr(case, estimates["recorded"])
        mine: list[dict[str, Any]] = []
        for key, estimate in estimates.items():
            after = snr(case, estimate)
            label = METHODS[key].label
            mine.append({"case": name, "key": key, "method": label, "snr": after, "gain": after - before})
        highest = max(float(row["gain"]) for row in mine)
        rows += [row | {"marked": row["gain"] == highest} for row in mine]
    return rows


def line_rows(case: Case, estimates: Mapping[str, Numbers]) -> list[dict[str, Any]]:
    """What the spectrum is read for: is the doublet two lines, and how bright are the others?"""
    rows = []
    for key, estimate in {"scene": case.truth, **estimates}.items():
        off = np.abs(area_errors(case, estimate))
        label = "truth" if key == "scene" else METHODS[key].label
        dip = doublet_dip(estimate)
        mean, worst = _short(float(off.mean())), _short(float(off.max()))
        rows.append({"key": key, "method": label, "dip": dip, "area": mean, "worst": worst})
    return rows


def _short(value: float) -> float | str:
    """A number that fits a table; far beyond sense, only its order of magnitude."""
    return value if value < 1e4 else f"{value:.0e}"


def spike_rows(case: Case, estimates: Mapping[str, Numbers]) -> list[dict[str, Any]]:
    return [
        {"key": key, "method": METHODS[key].label, **layers_found(case, estimate)}
        for key, estimate in estimates.items()
    ]


def sweep(study: Study, cases: Mapping[str, Case]) -> list[dict[str, Any]]:
    """Signal to error of every method at every level of white noise."""
    rows = []
    for index, level in enumerate(study.track(LEVELS, "signals, noise")):
        for number, (name, case) in enumerate(cases.items()):
            seen = noisy(case, level, study.rng(1, index, number))
            for key in USED[name]:
                value = snr(case, METHODS[key].restore(seen))
                rows.append({"case": name, "key": key, "method": METHODS[key].label, "level": level, "snr": value})
    return rows


def first_taps(rng: np.random.Generator) -> list[dict[str, Any]]:
    """The line echo once more, without any noise, where the response does not begin with its strongest tap."""
    sound, echo = melody(rng, 0.5), line_response()
    silent = np.concatenate([np.zeros(EARLY), echo])
    weak = silent.copy()
    weak[0] = LEAK
    rows = []
    for label, response in (
        ("begins with the sound", echo),
        (f"{LEAK:g} of it comes {EARLY} samples before", weak),
        (f"begins with {EARLY} zeros", silent),
    ):
        case = record("line echo", sound, response, center=0, boundary="zero")
        divided: float | str
        try:
            divided = snr(case, divide(case))
        except ValueError as error:
            divided = f"ValueError: {error}"
        rows.append(
            {"response": label, "divided": divided, "filtered": snr(case, METHODS["wiener-power"].restore(case))}
        )
    return rows


def finding(
    rows: Sequence[Mapping[str, Any]], lines: Sequence[Mapping[str, Any]], taps: Sequence[Mapping[str, Any]]
) -> str:
    """Sentences from the tables; which method is praised is for the numbers to say."""
    gain = {(row["case"], row["key"]): row["gain"] for row in rows}
    best = {row["case"]: row["key"] for row in sorted(rows, key=lambda row: float(row["gain"]))}
    divided = ", ".join(f"{signed(gain[name, 'deconvolve'], 0)} dB ({name})" for name in USED)
    praised = ", ".join(f"{name} {signed(gain[name, best[name]])} dB ({METHODS[best[name]].label})" for name in USED)
    dips = {row["key"]: row["dip"] for row in lines}
    sharpest = best["spectrum"]
    refused = sum(isinstance(row["divided"], str) for row in taps)
    return (
        f"Division of polynomials (scipy.signal.deconvolve) gained {divided}, and refused {refused} of {len(taps)} "
        f"responses without noise. The best of each record: {praised}. Between the lines of the doublet the spectrum "
        f"falls by {dips['recorded']:.0f} % as recorded and by {dips[sharpest]:.0f} % after {METHODS[sharpest].label}."
    )


def run(study: Study) -> Chapter:
    """Restore the four records, then again under every level of noise."""
    cases = records(study)
    outcomes = restore_all(cases)
    rows = gains(cases, outcomes)
    lines = line_rows(cases["spectrum"], outcomes["spectrum"])
    taps = first_taps(study.rng(2))
    levels = sweep(study, cases)
    labels = {key: method.label for key, method in METHODS.items()}
    return Chapter(
        "signals",
        TITLE,
        finding(rows, lines, taps),
        [
            "Sound through a telephone line and in a room, a spectrum in photons, a seismic trace. Each record is the "
            "whole convolution of the signal with a known response, and all methods get the same. Division of "
            "polynomials is exact as long as nothing is added and the first tap of the response outweighs all others "
            "together, as the line's does. Where they outweigh it (a room, every symmetric response) each error breeds "
            "larger ones in the samples that follow. Wiener's filter may be told to hold down curvature or power; no "
            "one choice suits every signal, so both are shown.",
            figures.traces(study, cases, outcomes, labels),
            figures.noise(study, levels, labels),
            Table(
                "signals",
                "SNR: signal to error. Gain: over the record as it came. Bold: the highest of each record. −inf: "
                "the result has overflowed.",
                COLUMNS,
                rows,
                marked="marked",
            ),
            Table(
                "signals-lines",
                "The spectrum as it is read. Dip: how far it falls between the two lines of the doublet. Areas: light "
                f"within {REACH} channels of each of the {len(LINES)} lines that stand alone, off the truth.",
                LINE_COLUMNS,
                lines,
            ),
            Table(
                "signals-layers",
                "The seismic trace as it is read: reflections found within a sample and with their sign, among all "
                f"peaks above {100 * FOUND:.0f} % of the highest; false ones; and the median height of the true ones, "
                "0 for those not found.",
                SPIKE_COLUMNS,
                spike_rows(cases["seismic trace"], outcomes["seismic trace"]),
            ),
            Table(
                "signals-first-tap",
                "Division of polynomials, without any noise, where the response does not begin with its strongest tap. "
                "The words of the error are SciPy's.",
                TAP_COLUMNS,
                taps,
            ),
            Table("signals-noise", "Every method at every level of noise", SWEEP_COLUMNS, levels, folded=True),
        ],
    )
