"""The four records of `signals`, all simulated, and how well an estimate of one reads.

A record is a signal, the response that it came through, and noise.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

import sigdeconv
from sigdeconv import simulate

from .common import Study

Numbers = np.ndarray[Any, Any]

RATE = 8000  # samples a second of the sound
SECONDS = 2.0
TAPS = 2400  # of the impulse responses: 0.3 s
SOUND_SNR = 35.0  # dB
SEISMIC_SNR = 26.0  # dB
CHANNELS = 512  # of the spectrometer
BACKGROUND = 20.0  # counts a channel
PHOTONS = 2500.0  # at the brightest channel
LINES = ((95, 900.0), (150, 500.0), (310, 250.0), (365, 120.0), (420, 800.0))  # channel, brightness
DOUBLET = ((235, 1000.0), (245, 700.0))  # closer than the width of the instrument's line
NATURAL = 1.5  # channels: standard deviation of a line before the instrument
REACH = 12  # channels on either side of a line whose light is counted as its own
TRACE, LAYERS = 600, 18  # samples of the seismic trace, reflections in it
STEP = 0.002  # s between samples of the trace
FOUND = 0.25  # of the strongest reflection: what is called one


class Case(NamedTuple):
    """A record ``image = response * signal + background + noise`` of ``signal.size + response.size - 1`` samples.

    ``truth`` is the signal on the record's samples, with `center`, the sample of the response that is its origin.
    """

    name: str
    response: Numbers
    center: int
    truth: Numbers
    clean: Numbers
    image: Numbers
    boundary: str
    background: float = 0.0

    @property
    def blur(self) -> sigdeconv.Convolution:
        return sigdeconv.Convolution(self.response, self.image.size, boundary=self.boundary, center=self.center)


def record(
    name: str, signal: Numbers, response: Numbers, *, center: int, boundary: str, background: float = 0.0
) -> Case:
    """The record of a signal, still without noise."""
    from scipy.signal import convolve

    full = convolve(signal, response)
    after = response.size - 1 - center
    truth = np.pad(signal, (center, after))
    return Case(name, response, center, truth, full, full + background, boundary, background)


def melody(rng: np.random.Generator, seconds: float) -> Numbers:
    """Plucked notes of seven partials, pauses between some, and a chirp as of a bird; peak 1."""
    t = np.arange(round(seconds * RATE)) / RATE
    sound = np.zeros(t.size)
    for start, pitch in ((0.02, 220.0), (0.25, 277.2), (0.48, 329.6), (0.95, 440.0), (1.18, 370.0), (1.6, 293.7)):
        u = np.maximum(t - start, 0.0)
        envelope = (1 - np.exp(-u / 0.006)) * np.exp(-u / 0.07)
        for partial in range(1, 8):
            phase = rng.uniform(0, 2 * math.pi)
            sound += envelope * np.exp(-1.5 * partial * u) * np.sin(2 * math.pi * partial * pitch * u + phase) / partial
    u = t - 1.36
    chirp = np.sin(2 * math.pi * (1200 * u + 5000 * u**2)) * np.sin(math.pi * u / 0.12) ** 2
    sound += 0.6 * np.where((u > 0) & (u < 0.12), chirp, 0.0)
    return sound / np.abs(sound).max()


def line_response() -> Numbers:
    """A telephone line: the sound and three ever weaker copies, which it outweighs together: division is stable."""
    h = np.zeros(TAPS)
    h[[0, 800, 1600, 2399]] = 1.0, 0.6, 0.25, 0.1
    return h


def room_response(rng: np.random.Generator) -> Numbers:
    """A room: the direct sound, early reflections, and a tail of noise that dies away; together they outweigh it."""
    h = np.zeros(TAPS)
    h[[0, 130, 290, 610, 1100]] = 1.0, 0.7, -0.55, 0.5, 0.35
    late = np.arange(TAPS) > 100
    return h + late * 0.06 * rng.standard_normal(TAPS) * np.exp(-np.arange(TAPS) / 800)


def ricker(frequency: float = 25.0) -> Numbers:
    """Ricker's wavelet of that peak frequency in Hz, cut where it is down to a thousandth: its sum is nearly zero."""
    a = (math.pi * frequency * STEP * np.arange(-20, 21)) ** 2
    return (1 - 2 * a) * np.exp(-a)


def instrument() -> Numbers:
    """A spectrometer's line, of Voigt's shape: Gaussian of 5 channels, Lorentzian of 1.5."""
    from scipy.special import voigt_profile

    h: Numbers = voigt_profile(np.arange(-60.0, 61.0), 5.0, 1.5)
    return h / h.sum()


def records(study: Study) -> dict[str, Case]:
    """The four records, with the noise that such records have."""
    rng = study.rng(0)
    sound = melody(rng, SECONDS)
    line = record("line echo", sound, line_response(), center=0, boundary="zero")
    room = record("room", sound, room_response(rng), center=0, boundary="zero")
    h = instrument()
    half = h.size // 2
    at = np.arange(CHANNELS)
    lines = sum(a * np.exp(-0.5 * ((at - c) / NATURAL) ** 2) for c, a in (*LINES, *DOUBLET))
    lines = np.asarray(lines)[half:-half]
    lines *= PHOTONS / np.convolve(lines, h).max()
    spectrum = record("spectrum", lines, h, center=half, boundary="free", background=BACKGROUND)
    wavelet = ricker()
    half = wavelet.size // 2
    layers = simulate.spikes(TRACE - 2 * half, num=LAYERS, rng=rng)
    trace = record("seismic trace", layers, wavelet, center=half, boundary="free")
    return {
        "line echo": noisy(line, 10 ** (-SOUND_SNR / 20), rng),
        "room": noisy(room, 10 ** (-SOUND_SNR / 20), rng),
        "spectrum": spectrum._replace(image=simulate.poisson_noise(spectrum.clean, background=BACKGROUND, rng=rng)),
        "seismic trace": noisy(trace, 10 ** (-SEISMIC_SNR / 20), rng),
    }


def noisy(case: Case, level: float, rng: np.random.Generator) -> Case:
    """The record with white noise of that standard deviation, relative to the record's own."""
    noise = level * case.clean.std() * rng.standard_normal(case.clean.size)
    return case._replace(image=case.clean + case.background + noise)


def snr(case: Case, estimate: Numbers) -> float:
    """Signal to error in dB, without an upper or lower end; minus infinity if a sample has overflowed."""
    error = estimate - case.truth
    size = float(np.abs(error).max())
    if not math.isfinite(size):
        return -math.inf
    if size == 0:
        return math.inf
    # The largest error is taken out first: its square may be beyond the numbers.
    rms = math.log10(size) + math.log10(float(np.linalg.norm(error / size)))
    return 20 * (math.log10(float(np.linalg.norm(case.truth))) - rms)


def doublet_dip(estimate: Numbers) -> float:
    """How far the estimate falls between the lines of the doublet, in % of the lower; 0 where one is dark."""
    (left, _), (right, _) = DOUBLET
    tops = [float(estimate[c - 2 : c + 3].max()) for c in (left, right)]
    return 100 * (1 - float(estimate[left : right + 1].min()) / min(tops)) if min(tops) > 0 else 0.0


def area_errors(case: Case, estimate: Numbers) -> Numbers:
    """Light within `REACH` of each line that stands alone, off the truth in %."""
    around = np.array([[c + k for k in range(-REACH, REACH + 1)] for c, _ in LINES])
    true = case.truth[around].sum(axis=1)
    return 100 * (estimate[around].sum(axis=1) / true - 1)


def layers_found(case: Case, estimate: Numbers) -> dict[str, float]:
    """Reflections found at their sample or the next, with their sign; what else stands out; and how high they are."""
    size = np.abs(estimate)
    size = np.where(np.isfinite(size), size, 0.0)
    # A reflection is called where the estimate is higher than beside it; two samples off the truth it is false.
    beside = np.maximum(np.pad(size, (1, 0))[:-1], np.pad(size, (0, 1))[1:])
    called = np.flatnonzero((size >= beside) & (size >= FOUND * size.max()))
    true = np.flatnonzero(case.truth)
    found, heights = [], []
    for i in true:
        near = [j for j in called if abs(j - i) <= 1 and estimate[j] * case.truth[i] > 0]
        found.append(bool(near))
        heights.append(max((abs(estimate[j] / case.truth[i]) for j in near), default=0.0))
    false = sum(np.abs(true - j).min() > 1 for j in called)
    return {"found": sum(found), "false": int(false), "height": 100 * float(np.median(heights))}
