"""How near an estimate is to the truth: thin over scikit-image, on any array kind, always a float."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._array import Array, checked_axis, floating, number, to_numpy

__all__ = ["i_divergence", "isnr", "nrmse", "psnr", "ssim"]


def psnr(truth: Array, estimate: Array, *, data_range: float | None = None) -> float:
    """Peak signal-to-noise ratio in dB, ``10 log10(data_range^2 / mean((truth - estimate)^2))``.

    Parameters
    ----------
    truth, estimate : array
        Of one shape and unit.
    data_range : float, optional
        Distance between the lowest and the highest possible value (255 for 8-bit images); that of `truth` by default.

    Returns
    -------
    float
        In dB; infinite where the two are equal.

    Raises
    ------
    TypeError, ValueError
        The shapes differ, a sample is not finite, or the truth is flat and no `data_range` is given.

    Examples
    --------
    >>> import numpy as np
    >>> round(psnr(np.array([0.0, 1.0]), np.array([0.1, 0.9])), 6)
    20.0
    """
    truth, estimate = _pair(truth, estimate)
    span = _span(truth, data_range)
    error = float(np.mean((truth - estimate) ** 2))
    return math.inf if error == 0 else 20 * math.log10(span) - 10 * math.log10(error)


def ssim(truth: Array, estimate: Array, *, data_range: float | None = None, channel_axis: int | None = None) -> float:
    """Structural similarity of images or volumes, 1 for equal ones (Gaussian window of 1.5 pixels).

    Parameters
    ----------
    truth, estimate : array
        Of one shape and unit, with at least 11 samples on each axis but that of the colours.
    data_range : float, optional
        Distance between the lowest and the highest possible value; that of `truth` by default.
    channel_axis : int, optional
        Axis of colours, over which the similarities are averaged.

    Returns
    -------
    float
        Mean over the image, at most 1.

    Raises
    ------
    TypeError, ValueError
        The shapes differ or are too small, a sample is not finite, or the truth is flat and no `data_range` is given.

    References
    ----------
    Z. Wang et al., IEEE Trans. Image Process. 13, 600 (2004), doi:10.1109/TIP.2003.819861.
    """
    import skimage.metrics

    structural_similarity: Any = skimage.metrics.structural_similarity
    truth, estimate = _pair(truth, estimate)
    if channel_axis is not None:
        channel_axis = checked_axis(channel_axis, truth.ndim, "channel_axis", "truth")
    sides = [n for axis, n in enumerate(truth.shape) if axis != channel_axis]
    if min(sides, default=0) < 11:
        raise ValueError(f"truth has shape {truth.shape}; the window of ssim needs at least 11 samples on each axis")
    return float(
        structural_similarity(
            truth,
            estimate,
            data_range=_span(truth, data_range),
            channel_axis=channel_axis,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def nrmse(truth: Array, estimate: Array) -> float:
    """Root of the mean squared error, relative to that of a black image: ``|truth - estimate| / |truth|``.

    Parameters
    ----------
    truth, estimate : array
        Of one shape and unit.

    Returns
    -------
    float
        Without unit; 0 where the two are equal, 1 for a black estimate.

    Raises
    ------
    TypeError, ValueError
        The shapes differ, a sample is not finite, or the truth is zero everywhere.
    """
    truth, estimate = _pair(truth, estimate)
    size = float(np.linalg.norm(truth))
    if size == 0:
        raise ValueError("truth is zero everywhere, so no error can be relative to it; use psnr with a data_range")
    return float(np.linalg.norm(truth - estimate)) / size


def isnr(truth: Array, observed: Array, estimate: Array) -> float:
    """Improvement of the signal-to-noise ratio in dB: what the estimate has gained over the observed image.

    Parameters
    ----------
    truth, observed, estimate : array
        The sharp scene, its blurred and noisy image and what was restored of it; of one shape and unit.

    Returns
    -------
    float
        ``10 log10(|truth - observed|^2 / |truth - estimate|^2)``. Zero means nothing gained, a negative value that the
        image was better before; infinite where one of the two is the truth.

    Raises
    ------
    TypeError, ValueError
        The shapes differ, or a sample is not finite.
    """
    truth, estimate = _pair(truth, estimate)
    _, observed = _pair(truth, observed, "observed")
    before, after = (float(np.sum((truth - image) ** 2)) for image in (observed, estimate))
    if after == 0:
        return math.inf if before > 0 else 0.0
    return -math.inf if before == 0 else 10 * math.log10(before / after)


def i_divergence(counts: Array, model: Array) -> float:
    """I-divergence of counts from a model, a sample: ``mean(d log(d / m) - d + m)``, which Richardson-Lucy minimises.

    Parameters
    ----------
    counts : array
        Photon counts ``d``, not negative, background included.
    model : array
        What is expected of them, ``m``: of the same shape and unit, not negative.

    Returns
    -------
    float
        In units of the counts. Zero where they agree, infinite where light was counted and the model has none.

    Raises
    ------
    TypeError, ValueError
        The shapes differ, or a sample is negative or not finite.

    References
    ----------
    I. Csiszar, Ann. Stat. 19, 2032 (1991), doi:10.1214/aos/1176348385.
    """
    d, m = _pair(counts, model, "model", "counts")
    if d.min() < 0 or m.min() < 0:
        raise ValueError("counts and model must be 0 or larger; pass them with their background")
    seen = d > 0
    if not m[seen].all():
        return math.inf
    return float((np.sum(d[seen] * np.log(d[seen] / m[seen])) + np.sum(m - d)) / d.size)


def _pair(
    truth: Array, estimate: Array, name: str = "estimate", first: str = "truth"
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Two float64 NumPy arrays of one shape."""
    a, b = (
        np.asarray(to_numpy(floating(x, n, moderate=True)), dtype=np.float64)
        for x, n in ((truth, first), (estimate, name))
    )
    if a.shape != b.shape:
        raise ValueError(f"{name} has shape {b.shape} but {first} has {a.shape}; pass arrays of one shape")
    return a, b


def _span(truth: np.ndarray[Any, Any], data_range: float | None) -> float:
    if data_range is not None:
        return number(data_range, "data_range", above=0.0, maximum=1e100)
    span = float(np.ptp(truth))
    if span == 0:
        raise ValueError("truth is flat, so its range is zero; pass data_range")
    return span
