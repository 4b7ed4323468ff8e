"""How likely an image's power spectrum is under a blur: a scene with a power law, blurred, plus white noise.

For each frequency the power is exponentially distributed about its mean ``P = |H|^2 S + N`` (Whittle's likelihood).
``S`` is the scene's spectrum, ``log S`` linear in a few functions of the frequency; ``N`` is the noise. Both are fitted
anew to every PSF, so that the scores of PSFs can be compared.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import scipy.fft

from ...convolution import psf_to_otf

Numbers = np.ndarray[Any, Any]

SMALLEST = 16  # samples an axis: fewer frequencies say nothing about a blur
TILE = {1: 4096, 2: 256, 3: 64}  # samples an axis of the pieces whose spectra are averaged
ROOM = 6  # tiles are at least this many PSFs long, so that the dark rings of the OTF are resolved
TAPER = 0.5  # of a tile fades in and out (Tukey's window): enough against leakage, and most of the data still count
LOWEST = 3.0  # cycles a tile: below, the taper mixes frequencies
SLOPE = 1.4  # of log S over log |L|^2, the gradient's power: the mean of photographs, whose lenses blur a little
SLOPE_WEIGHT = 0.03  # prior, a frequency: a slope of 1 or 2 costs as much as a misfit of 0.2 %
TURN_WEIGHT = 0.01  # of the same prior for what depends on the direction
INEXACT = 3e-2  # of the OTF's power, smeared: no PSF is quite of its form, and its zeros are none
STEPS = 30  # of the scoring algorithm, at most
ENOUGH = 1e-7  # gain of a step in log-likelihood a frequency: below the difference of any two PSFs that matter
FAINTEST = 1e-12  # of the mean power: the least noise, that of rounding
LEAP = 2.0  # the longest step in a logarithm


class Fit(NamedTuple):
    """What fits best under one PSF."""

    score: float  #: minus the log-likelihood (and prior), a frequency: the smaller the better
    state: Numbers  #: coefficients of ``log S``, then ``log N``


@dataclass(frozen=True)
class PowerSpectrum:
    """The averaged periodogram of an image at the frequencies that count."""

    power: Numbers  #: shape (count,), mean 1
    weight: Numbers  #: frequencies that each stands for, mean 1
    basis: Numbers  #: shape (functions, count): constant, power law, dependence on the direction
    picked: Numbers  #: where the frequencies stand in the raveled half spectrum
    grid: tuple[int, ...]  #: shape of a tile
    unit: float  #: mean power in the units of the image squared: the variance of white noise of that power

    @classmethod
    def of(cls, images: Numbers, reach: Sequence[int]) -> PowerSpectrum:
        """From images ``(batch, *frame)`` that share a blur, and the size of the largest PSF in question.

        The items are scaled to the same power, so that none outweighs the others.
        """
        frame = images.shape[1:]
        largest = TILE[len(frame)]
        tile = tuple(min(n, max(largest, ROOM * k)) for n, k in zip(frame, reach, strict=True))
        angles = np.meshgrid(
            *(2 * math.pi * np.fft.fftfreq(n) for n in tile[:-1]),
            2 * math.pi * np.fft.rfftfreq(tile[-1]),
            indexing="ij",
        )
        cycles = np.sqrt(sum((w * n / (2 * math.pi)) ** 2 for w, n in zip(angles, tile, strict=True)))
        inside = cycles > LOWEST
        for w in angles:
            # On the axes the frame, horizons and the rows of the sensor leave their marks. And a half spectrum's zero
            # of the last axis would count twice.
            inside &= w != 0
        picked = np.flatnonzero(inside)
        power = np.zeros(picked.size)
        unit = 0.0
        for image in images:
            item = _periodogram(image, tile).ravel()[picked]
            mean = float(item.mean())
            if mean > 0:
                power += item / mean
                unit += mean
        if unit == 0:
            raise ValueError("image is flat, and a flat image does not show its blur; pass one with some structure")
        picked_angles = np.stack([w.ravel()[picked] for w in angles])
        return cls(power / power.mean(), np.ones_like(power), _basis(picked_angles), picked, tile, unit / len(images))

    def thinned(self, count: int) -> PowerSpectrum:
        """A random selection of about `count` frequencies, few of the high ones, where there is little but noise."""
        if self.power.size <= count:
            return self
        # The share that is kept falls with the frequency as far as all can be kept at the low end.
        share = np.exp(0.5 * self.basis[1])
        for _ in range(8):
            share = np.minimum(share * (count / share.sum()), 1.0)
        kept = np.flatnonzero(np.random.default_rng(0).random(share.size) < share)
        weight = 1 / share[kept]
        return PowerSpectrum(
            self.power[kept], weight / weight.mean(), self.basis[:, kept], self.picked[kept], self.grid, self.unit
        )

    def fit(self, psf: Numbers, sigma: float | None = None, start: Numbers | None = None) -> Fit:
        """The most likely scene and noise under a PSF of sum 1: Fisher's scoring, damped where it overshoots.

        `sigma` is the standard deviation of the noise, None if unknown; `start` the state of a similar PSF's fit.
        """
        seen = self._seen(psf)
        functions, count = self.basis.shape
        share = self.weight / count
        prior = np.full(functions + 1, TURN_WEIGHT)
        prior[[0, -1]], prior[1] = 0.0, SLOPE_WEIGHT
        center = np.zeros(functions + 1)
        center[1] = SLOPE
        x = self._guess(seen) if start is None else start.copy()
        free = functions + 1
        if sigma is not None:
            x[-1], free = math.log(max(sigma**2 / self.unit, FAINTEST)), functions

        def model(x: Numbers) -> tuple[Numbers, Numbers, float]:
            scene = seen * np.exp(x[:-1] @ self.basis)
            mean = scene + math.exp(x[-1])
            score = (np.log(mean) + self.power / mean) @ share + 0.5 * (prior * (x - center) ** 2).sum()
            return scene, mean, float(score)

        scene, mean, score = model(x)
        damping = 1e-3
        for _ in range(STEPS):
            slopes = np.empty((free, count))
            np.multiply(self.basis, scene / mean, out=slopes[:functions])
            slopes[functions:] = math.exp(x[-1]) / mean
            uphill = slopes @ (share * (1 - self.power / mean)) + (prior * (x - center))[:free]
            bend = (slopes * share) @ slopes.T + np.diag(prior[:free])
            gain = 0.0
            while damping < 1e6:
                step = np.linalg.solve(bend + damping * np.diag(np.diag(bend) + 1e-9), -uphill)
                trial = x.copy()
                trial[:free] += np.clip(step, -LEAP, LEAP)
                trial[-1] = max(trial[-1], math.log(FAINTEST))
                new = model(trial)
                if new[2] <= score:
                    gain, x, (scene, mean, score) = score - new[2], trial, new
                    damping = max(damping / 10, 1e-6)
                    break
                damping *= 10
            if gain < ENOUGH:
                break
        return Fit(score, x)

    def _seen(self, psf: Numbers) -> Numbers:
        """What the tapered tiles show of ``|H|^2``: mixed with its surroundings, so that its zeros are none.

        The product of the PSF's autocorrelation and the window's is the convolution of their spectra.
        """
        doubled = [scipy.fft.next_fast_len(2 * k - 1, real=True) for k in psf.shape]
        lags = scipy.fft.irfftn(np.abs(scipy.fft.rfftn(psf, s=doubled)) ** 2, s=doubled)
        sharp: Numbers = np.full((), 1 - INEXACT)
        broad: Numbers = np.full((), INEXACT)
        for axis, (n, k) in enumerate(zip(self.grid, psf.shape, strict=True)):
            away = np.arange(1 - k, k)
            lags = np.take(lags, away, axis=axis, mode="wrap")
            line = _window_lags(n, k)[np.abs(away)]
            sharp = sharp[..., None] * line
            broad = broad[..., None] * line * np.sinc(away / k) ** 2
        mixed = psf_to_otf(lags * (sharp + broad), self.grid).real.ravel()[self.picked]
        result: Numbers = np.maximum(mixed, 0.0)
        return result

    def noise(self, fit: Fit) -> float:
        """The standard deviation of the noise in the units of the image."""
        return math.sqrt(self.unit * math.exp(fit.state[-1]))

    def _guess(self, seen: Numbers) -> Numbers:
        """The typical power law over as much noise as the faintest frequencies allow."""
        x = np.zeros(len(self.basis) + 1)
        x[1] = SLOPE
        # Of an exponential distribution of mean 1 the twentieth part lies below 0.05.
        floor = max(float(np.quantile(self.power, 0.05)) / 0.05, FAINTEST)
        shape = seen * np.exp(x[:-1] @ self.basis)
        x[0] = math.log(max(float(np.maximum(self.power - floor, 0).sum()), 1e-9 * self.power.size) / shape.sum())
        x[-1] = math.log(floor)
        return x


@lru_cache(1024)
def _window_lags(n: int, count: int) -> Numbers:
    """Autocorrelation of the taper of `n` samples at the first lags, 1 at none."""
    lags = scipy.fft.irfft(np.abs(scipy.fft.rfft(_window(n), 2 * n)) ** 2, 2 * n)[: min(n, count)]
    result: Numbers = np.pad(lags / lags[0], (0, max(count - n, 0)))
    return result


def _window(n: int) -> Numbers:
    """Tukey's window."""
    fade = np.minimum(np.arange(n) + 0.5, n - 0.5 - np.arange(n)) / (TAPER * n / 2)
    result: Numbers = np.sin(0.5 * math.pi * np.minimum(fade, 1.0)) ** 2
    return result


def _periodogram(image: Numbers, tile: tuple[int, ...]) -> Numbers:
    """Mean power of the tapered tiles, which overlap by half at least, per sample of white noise of variance 1."""
    window: Numbers = np.ones(())
    for n in tile:
        window = window[..., None] * _window(n)
    starts = [
        np.rint(np.linspace(0, n - t, math.ceil(2 * (n - t) / t) + 1)).astype(int)
        for n, t in zip(image.shape, tile, strict=True)
    ]
    result: Numbers = np.zeros((*tile[:-1], tile[-1] // 2 + 1))
    for corner in itertools.product(*starts):
        piece = image[tuple(slice(c, c + t) for c, t in zip(corner, tile, strict=True))]
        piece = (piece - (window * piece).sum() / window.sum()) * window
        spectrum = scipy.fft.rfftn(piece)
        result += spectrum.real**2 + spectrum.imag**2
    result /= (window**2).sum() * math.prod(len(s) for s in starts)
    return result


def _basis(angles: Numbers) -> Numbers:
    """Functions of the frequency, shape (ndim, count), of which ``log S`` is a sum.

    Besides the power law, what depends on the direction alone: streets and trees have more power along the axes.
    """
    law = -np.log((2 - 2 * np.cos(angles)).sum(axis=0))  # minus the logarithm of the gradient's power
    rows = [np.ones_like(law), law]
    ndim = len(angles)
    if ndim > 1:
        cosines = angles / np.sqrt((angles**2).sum(axis=0))
        rows += [cosines[i] ** 2 - cosines[i + 1] ** 2 for i in range(ndim - 1)]
        rows += [2 * cosines[i] * cosines[j] for i, j in itertools.combinations(range(ndim), 2)]
        rows.append(4 * (cosines**4).sum(axis=0) - 3)
    return np.stack(rows)
