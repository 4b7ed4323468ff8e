"""Parameters from the data alone."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .._array import Array, to_numpy

BINS = 2048  # of the ratio on a logarithmic scale; each is narrower than half a decibel over the range of float64
RANGE = (1e-16, 1e4)  # of the balance, relative to the largest ratio of the OTF's power to the regulariser's
GUARD = 0.5  # of the most likely balance: where cross-validation wants less, it takes structure for signal


class Spectrum(NamedTuple):
    """Data by ratio: frequencies with one ratio ``|H|^2 / |L|^2`` fare alike under every balance.

    Sorted into bins of the ratio once, they leave a sum over bins to compute for each balance, which costs next to
    nothing.
    """

    balances: np.ndarray[Any, Any]  #: the candidates
    left: np.ndarray[Any, Any]  #: share of the data that a balance leaves in the residual, shape (balances, bins)
    number: np.ndarray[Any, Any]  #: frequencies in a bin
    energy: np.ndarray[Any, Any]  #: power of the data in a bin

    @classmethod
    def of(cls, power: Array, otf_power: Array, penalty: Array, multiplicity: Array) -> Spectrum | None:
        """Sort the frequencies; None if no balance makes a difference.

        Parameters
        ----------
        power : array, shape (*spectrum,)
            Squared modulus of the spectrum of the data.
        otf_power, penalty : array, shape (*spectrum,)
            Squared modulus of the transfer functions of the blur, ``|H|^2``, and of the regulariser, ``|L|^2``.
        multiplicity : array, broadcast against the spectrum
            How often each frequency counts: 2 for those that a half spectrum leaves out.
        """
        data, seen, rough = (np.asarray(to_numpy(a), dtype=np.float64).ravel() for a in (power, otf_power, penalty))
        counts = np.broadcast_to(multiplicity, power.shape).ravel()
        penalised = rough > 0  # the others pass untouched at any balance and say nothing
        data, counts, ratio = data[penalised], counts[penalised], seen[penalised] / rough[penalised]
        if ratio.size == 0 or not ratio.max() > 0 or not data.max() > 0:
            return None
        top = float(ratio.max())
        low = math.log(RANGE[0] / 10)
        scaled = np.log(np.maximum(ratio / top, math.exp(low)))
        bins = np.rint((1 - scaled / low) * (BINS - 1)).astype(np.int64)
        count, energy = np.bincount(bins, counts, BINS), np.bincount(bins, data * counts, BINS)
        center = top * np.exp(low * (1 - np.arange(BINS) / (BINS - 1)))
        center[0] = 0.0  # frequencies that the blur has removed
        balances = top * np.geomspace(*RANGE, 1024)
        return cls(balances, balances[:, None] / (center + balances[:, None]), count, energy)


def generalized_cross_validation(data: Spectrum) -> float:
    """The balance of the filter ``|H|^2 / (|H|^2 + balance |L|^2)`` that predicts left-out data best.

    It minimises ``sum(r^2) / (sum(r / y))^2`` with the residual ``r = y balance / (ratio + balance)``.

    References
    ----------
    G. H. Golub, M. Heath and G. Wahba, Technometrics 21, 215 (1979), doi:10.1080/00401706.1979.10489751.
    """
    score = (data.left**2 @ data.energy) / (data.left @ data.number) ** 2
    return float(data.balances[np.argmin(score)])


def maximum_likelihood(data: Spectrum) -> float:
    """The balance under which the data are most likely, for Gaussian noise and scene.

    It minimises ``sum(r y) / exp(mean(log(r / y)))``. It asks more of the model than cross-validation, and is harder to
    mislead by noise that is not white or a PSF that is wrong.

    References
    ----------
    G. Wahba, Ann. Stat. 13, 1378 (1985), doi:10.1214/aos/1176349743.
    """
    score = np.log(data.left @ data.energy) - np.log(data.left) @ data.number / data.number.sum()
    return float(data.balances[np.argmin(score)])


def chosen_balance(data: Spectrum | None) -> float:
    """Generalised cross-validation, kept from the collapse to which it is prone.

    Where it asks for less than half of the most likely balance it has mistaken structure that the model does not know
    for signal, and the result would explode.
    """
    if data is None:
        return 0.0
    return max(generalized_cross_validation(data), GUARD * maximum_likelihood(data))
