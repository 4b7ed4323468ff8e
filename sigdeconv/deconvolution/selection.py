"""Parameters from the data alone."""

from __future__ import annotations

import math

import numpy as np

from .._array import Array, to_numpy

BINS = 2048  # of the ratio on a logarithmic scale; each is narrower than half a decibel over the range of float64
RANGE = (1e-16, 1e4)  # of the balance, relative to the largest ratio of the OTF's power to the regulariser's


def generalized_cross_validation(power: Array, otf_power: Array, penalty: Array, multiplicity: Array) -> float:
    """The balance of the filter ``|H|^2 / (|H|^2 + balance |L|^2)`` that predicts left-out data best.

    Parameters
    ----------
    power : array, shape (*spectrum,)
        Squared modulus of the spectrum of the data.
    otf_power, penalty : array, shape (*spectrum,)
        Squared modulus of the transfer functions of the blur, ``|H|^2``, and of the regulariser, ``|L|^2``.
    multiplicity : array, broadcast against the spectrum
        How often each frequency counts: 2 for those that a half spectrum leaves out.

    Notes
    -----
    The score ``sum(r^2) / (sum(r / y))^2`` with the residual ``r = y balance / (ratio + balance)`` depends on a
    frequency through its ratio ``|H|^2 / |L|^2`` alone. So the frequencies are sorted into bins of the ratio once, and
    then it costs next to nothing to look at every balance.

    References
    ----------
    G. H. Golub, M. Heath and G. Wahba, Technometrics 21, 215 (1979), doi:10.1080/00401706.1979.10489751.
    """
    data, seen, rough = (np.asarray(to_numpy(a), dtype=np.float64).ravel() for a in (power, otf_power, penalty))
    counts = np.broadcast_to(multiplicity, power.shape).ravel()
    penalised = rough > 0  # the others pass untouched at any balance and say nothing
    data, counts, ratio = data[penalised], counts[penalised], seen[penalised] / rough[penalised]
    if ratio.size == 0 or not ratio.max() > 0:
        return 0.0
    top = float(ratio.max())
    low = math.log(RANGE[0] / 10)
    scaled = np.log(np.maximum(ratio / top, math.exp(low)))
    bins = np.rint((1 - scaled / low) * (BINS - 1)).astype(np.int64)
    count, energy = np.bincount(bins, counts, BINS), np.bincount(bins, data * counts, BINS)
    center = top * np.exp(low * (1 - np.arange(BINS) / (BINS - 1)))
    center[0] = 0.0  # frequencies that the blur has removed
    balances = top * np.geomspace(*RANGE, 1024)
    left = balances[:, None] / (center + balances[:, None])
    score = (left**2 @ energy) / (left @ count) ** 2
    return float(balances[np.argmin(score)])
