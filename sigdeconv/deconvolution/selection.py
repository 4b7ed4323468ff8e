"""Parameters from the data alone."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .._array import Array, to_numpy

Real = np.ndarray[Any, Any]

BINS = 2048  # of the ratio on a logarithmic scale; each is narrower than a fifth of a decibel
RANGE = (1e-16, 1e4)  # of the balance: of the OTF's peak power over the largest penalty, and of their largest ratio
CELLS = (160, 48)  # of the OTF's power (less than half a decibel off at most) and of the roughness, logarithmic
FLOOR = 1e-16  # of the OTF's peak power: below, the blur has removed all
POWERS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # of the roughness by which a scene's spectrum may fall
KNEES = (1e-3, 1e-2, 3e-2)  # shares of the frequencies, below which the spectrum may be level
STEEPER = (0.0, 0.25, 0.5)  # powers beyond one without a knee
FINER = (-0.125, 0.0, 0.125)  # steps of the power around the most likely one
LEAST, MOST = 1e-12, 1e6  # noise that is tried, relative to what is seen of the scene: typically, and at the peak
STEP = 10 ** (1 / 3)  # from one noise to the next, before the most likely one is refined
UNLIKELY = 14.0  # log-likelihood below the best at which a model no longer counts
GUARD = (0.7, 2.0)  # times the balance of least expected error, between which cross-validation is trusted


class Scene(NamedTuple):
    """Frequencies in cells of alike OTF and roughness, to tell the noise and how the scene's spectrum falls."""

    number: Real  #: frequencies in a cell
    energy: Real  #: mean power of the data
    seen: Real  #: mean power of the OTF
    rough: Real  #: power with which the scene's spectrum falls, geometric mean
    level: tuple[Real, Real]  #: where this is zero, the mean level: power of the data and of the OTF

    @classmethod
    def of(cls, data: Real, seen: Real, log_seen: Real, rough: Real, logs: Real | None, counts: Real) -> Scene | None:
        """Sort the frequencies, of which `logs` are the logarithms of `rough`; None if there is nothing to tell."""
        there = rough > 0
        if not there.any():
            return None
        level = data[~there & (seen > 0)], seen[~there & (seen > 0)]
        if not there.all():
            data, seen, log_seen, rough, counts = (a[there] for a in (data, seen, log_seen, rough, counts))
            logs = None if logs is None else logs[there]
        logs = np.log(rough) if logs is None else logs
        bins, levels = CELLS
        relative = np.maximum((log_seen - log_seen.max()) / math.log(FLOOR), 0.0)
        relative = np.minimum(relative, 1.0)
        low, width = float(logs.min()), max(float(np.ptp(logs)), 1e-12)
        cell = np.rint(relative * (bins - 1)).astype(np.int64) * levels
        cell += np.rint((logs - low) / width * (levels - 1)).astype(np.int64)
        number, *sums = (
            np.bincount(cell, w, bins * levels) for w in (counts, data * counts, seen * counts, logs * counts)
        )
        some = number > 0
        energy, power, log = (total[some] / number[some] for total in sums)
        return cls(number[some], energy, power, np.exp(log), level)

    def most_likely(self) -> tuple[float, Real]:
        """Power of the noise and, cell by cell, of the scene: on average over all likely pairs of them.

        The scene's spectrum is taken to fall with some power of the roughness, from none at all (spikes) on.
        """
        count = float(self.number.sum())
        found: list[tuple[Any, ...]] = []  # score, noise and scale of it, power, knee, shape
        logs = np.log(self.rough)

        def seen_of(power: float, knee: float) -> tuple[Real, Real]:
            levels = np.logaddexp(logs, knee)
            shape = np.exp(power * (levels.min() - levels))
            return shape, self.seen * shape

        def tried(power: float, knee: float, noises: Real) -> None:
            shape, signal = seen_of(power, knee)
            models = noises[:, None] + signal
            scale = (self.energy / models) @ self.number / count
            scores = 0.5 * (np.log(models) @ self.number + count * np.log(scale))
            found.extend((*each, power, knee, shape) for each in zip(scores, noises, scale, strict=True))

        for power in POWERS:
            signal = seen_of(power, -math.inf)[1]
            signal = signal[signal > 0]
            low, high = LEAST * float(np.median(signal)), MOST * float(signal.max())
            tried(power, -math.inf, np.geomspace(low, high, math.ceil(math.log(high / low, STEP))))
        _, noise, _, power, *_ = min(found, key=lambda model: model[0])
        order = np.argsort(logs)
        share = np.cumsum(self.number[order]) / count
        for part in KNEES:
            knee = float(logs[order[np.searchsorted(share, part)]])
            for finer in STEEPER:
                # the same noise, relative to the fine structure
                relative = math.exp((power + finer) * (np.logaddexp(logs.min(), knee) - logs.min()))
                tried(power + finer, knee, noise * relative * np.geomspace(STEP**-6, STEP**6, 13))
        _, noise, _, power, knee, _ = min(found, key=lambda model: model[0])
        for finer in FINER:
            tried(max(power + finer, 0.0), knee, noise * np.geomspace(1 / STEP, STEP, 9))
        best = min(model[0] for model in found)
        likely = [(math.exp(best - model[0]), model) for model in found if model[0] < best + UNLIKELY]
        total = sum(weight for weight, _ in likely)
        # Where the data hardly tell how little noise there is the mean of the logarithm errs on the harmless side.
        log_noise = sum(weight * math.log(noise * scale) for weight, (_, noise, scale, *_) in likely) / total
        light = sum(weight * scale * shape for weight, (_, _, scale, *_, shape) in likely) / total
        return math.exp(log_noise), light


class Spectrum(NamedTuple):
    """Data by ratio: frequencies with one ratio ``|H|^2 / |L|^2`` fare alike under every balance.

    Sorted into bins of the ratio once, they leave a sum over bins to compute for each balance, which costs next to
    nothing.
    """

    balances: Real  #: the candidates
    left: Real  #: share of the data that a balance leaves in the residual, shape (balances, bins)
    number: Real  #: frequencies in a bin
    energy: Real  #: power of the data in a bin
    scene: Scene | None  #: the same data, sorted to tell noise from scene
    penalty: float | None  #: where it is the same for all frequencies; None where it is the roughness of the scene

    @classmethod
    def of(
        cls, power: Array, otf_power: Array, penalty: Array, multiplicity: Array, curvature: Array | None = None
    ) -> Spectrum | None:
        """Sort the frequencies; None if no balance makes a difference.

        Parameters
        ----------
        power : array, shape (*spectrum,)
            Squared modulus of the spectrum of the data.
        otf_power, penalty : array, shape (*spectrum,)
            Squared modulus of the transfer functions of the blur, ``|H|^2``, and of the regulariser, ``|L|^2``.
        multiplicity : array, broadcast against the spectrum
            How often each frequency counts: 2 for those that a half spectrum leaves out.
        curvature : array, shape (*spectrum,), optional
            What tells coarse from fine where the penalty is the same for all frequencies.
        """
        data, seen, rough = (np.asarray(to_numpy(a), dtype=np.float64).ravel() for a in (power, otf_power, penalty))
        counts = np.broadcast_to(multiplicity, power.shape).ravel()
        flat = float(rough[0]) if rough.size and np.ptp(rough) == 0 else None
        base = rough if flat is None or curvature is None else np.asarray(to_numpy(curvature), np.float64).ravel()
        penalised = rough > 0  # the others pass untouched at any balance and say nothing
        if not penalised.all():
            data, counts, seen, rough, base = (a[penalised] for a in (data, counts, seen, rough, base))
        if rough.size == 0 or not seen.max() > 0 or not data.max() > 0:
            return None
        with np.errstate(divide="ignore"):
            log_seen, logs = np.log(seen), np.log(rough)
        ratio = log_seen - logs
        top = math.exp(float(ratio.max()))
        least = RANGE[0] * math.exp(float(log_seen.max() - logs.max()))
        low = math.log(least / top / 10)
        bins = np.rint((1 - np.maximum(ratio - math.log(top), low) / low) * (BINS - 1)).astype(np.int64)
        count, energy = np.bincount(bins, counts, BINS), np.bincount(bins, data * counts, BINS)
        center = top * np.exp(low * (1 - np.arange(BINS) / (BINS - 1)))
        center[0] = 0.0  # frequencies that the blur has removed
        balances = np.geomspace(least, RANGE[1] * top, 1024)
        left = balances[:, None] / (center + balances[:, None])
        scene = Scene.of(data, seen, log_seen, base, logs if base is rough else None, counts)
        return cls(balances, left, count, energy, scene, flat)


def generalized_cross_validation(data: Spectrum) -> float:
    """The balance of the filter ``|H|^2 / (|H|^2 + balance |L|^2)`` that predicts left-out data best.

    It minimises ``sum(r^2) / (sum(r / y))^2`` with the residual ``r = y balance / (ratio + balance)``.

    References
    ----------
    G. H. Golub, M. Heath and G. Wahba, Technometrics 21, 215 (1979), doi:10.1080/00401706.1979.10489751.
    """
    score = (data.left**2 @ data.energy) / (data.left @ data.number) ** 2
    return float(data.balances[np.argmin(score)])


def least_expected_error(data: Spectrum) -> float | None:
    """The balance whose restoration has the least expected squared error, for the most likely noise and scene.

    The data are Gaussian, of variance ``noise + |H|^2 scene`` at each frequency, where the scene's spectrum is a power
    of the roughness: which, and how strong both are, is found by Whittle's likelihood. None if that has no answer.

    References
    ----------
    P. Whittle, Ark. Mat. 2, 423 (1953), doi:10.1007/BF02590998.
    """
    scene = data.scene
    if scene is None or not scene.seen.max() > 0:
        return None
    noise, light = scene.most_likely()
    level, level_seen = scene.level
    penalty = scene.rough if data.penalty is None else data.penalty

    def best(balances: Real) -> int:
        held = balances[:, None] * penalty
        through = 1 / (scene.seen + held)
        error = ((held * through) ** 2 * light + noise * scene.seen * through**2) @ scene.number
        if data.penalty is not None:  # the mean is held as well, and there is no doubt about it
            held = balances[:, None] * data.penalty
            error = error + np.sum((held / (level_seen + held)) ** 2 * level / level_seen, axis=1)
        return int(np.argmin(error))

    coarse = 16
    middle = coarse * best(data.balances[::coarse])
    start = max(middle - coarse, 0)
    return float(data.balances[start + best(data.balances[start : middle + coarse + 1])])


def chosen_balance(data: Spectrum | None) -> float:
    """Generalised cross-validation where a model of the scene does not contradict it; else what the model says.

    Cross-validation knows nothing of scenes: under a wrong PSF it takes structure for signal, and the result explodes;
    where the OTF varies little, as with an echo, it follows chance. The model knows only spectra that fall with a
    power, and no melody. Of a penalty on brightness it alone decides: to predict the data, as cross-validation wants
    to, less of that is needed than to restore the scene.
    """
    if data is None:
        return 0.0
    expected = least_expected_error(data)
    if expected is None:
        return generalized_cross_validation(data)
    if data.penalty is not None:
        return expected
    return min(max(generalized_cross_validation(data), GUARD[0] * expected), GUARD[1] * expected)
