"""When to stop an iteration on photon counts: judged by the data while it runs, never by the truth.

Fewer iterations leave the blur, more of them fit the noise. A rule gives each estimate a score; `Watch` runs the
iteration with what the rule needs beside it (the same data shaken, or halves of them), and keeps the best estimate.
In the papers' symbols: counts ``d``, background ``b``, blur ``A``, scene ``x``, model ``m = A x + b``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._array import Array, choice, generator, is_numpy, namespace, number, to_numpy
from .._iterate import checked_num_iter
from ..convolution import Convolution
from ._counts import Counts
from ._stopping_rules import JUDGES, Observed
from .noise import SMALLEST, estimate_noise

RULES = tuple(JUDGES)
MOST = 1000  # iterations, where the data (free of noise, say) never ask for an end

# How far past the best iteration to look. On the photographs that the rules were made with, scores fall and rise but
# once, so that one look would do; stranger data may dip on the way.
PATIENCE = 2  # iterations
SHARE = 0.15  # of the iterations done so far
CLOSE = 16  # steps of this share of the iterations done so far: within one the error hardly changes
WORTH = 1e-4  # of the noise: a score that falls by less is not worth an iteration
ENOUGH = 1 << 16  # samples, in the middle of an image, that tell its noise well enough: ten per cent do no harm
COUNTED = 1.25  # integers whose gain is measured within this factor of 1 are taken for counts, of gain 1


@dataclass(frozen=True)
class Stopping:
    """How `richardson_lucy` finds its number of iterations.

    Parameters
    ----------
    rule : {"risk", "splitting", "consensus", "discrepancy"}
        "risk": where the unbiased estimate of the error is least. "splitting": where two halves of the photons predict
        each other best. "consensus": where they no longer agree on what to change. "discrepancy": where the misfit has
        fallen to what photon noise leaves.
    gain : float, optional
        Units of the image a photon, so that the variance of a pixel is `gain` times its value. None: 1 where the image
        is in counts (integers that vary as counts do, or a `readout_noise` was given), measured otherwise.
    rng : numpy.random.Generator or int, optional
        Source of the shaking or splitting; by default always the same.
    observer : callable, optional
        Called with the iteration and the scores, one for each item of the batch, whenever the rule looks: to draw them.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    Notes
    -----
    "risk" restores the data and, beside them, the same data with a known speck of noise, whose fate tells how much
    noise has gone into the estimate (Ramani). The error of the blurred estimate follows (Stein; Luisier for photons).
    Each frequency of it is weighted by ``1 / (|H|^2 + 0.1 H(0)^2)``, which turns it into the error of the scene as far
    as the blur lets frequencies pass. It needs the variance of the noise; ten per cent more or less do no harm, half
    stops too late.

    "splitting" thins the counts into halves, restores each, and judges it by the other, in the same weights (Reeves);
    what the noise of a half costs more than that of the whole is measured by their difference, and subtracted. It needs
    true counts; others are split by adding and subtracting noise.

    "consensus" is the gradient consensus of Manton, York and others as a rule for the whole image: both halves say how
    each voxel of the estimate from all counts should change, and the end is where they agree, smoothed, at fewer than
    half of them. The authors freeze single voxels instead.

    "discrepancy" waits for the mean I-divergence ``m - d + d log(d / m)`` to fall to its expectation, 1/2 where counts
    are many (Zanella, Bertero); few counts have their exact one. It is the cheapest rule, and any misfit of the model
    (a PSF that is not quite right) keeps it from ever stopping.

    Mean (largest) loss of PSNR in dB against the best iteration of the same run, over photographs whose restorations
    were not looked at when the constants of the scores were chosen (three of Kodak; astronaut, chelsea and moon of
    scikit-image; the limits of the gain were set with its measurements on them in view): 180 images of 160 x 160 for
    conjugate steps (six PSFs, 30 to 3000 photons a pixel) and 90 of 128 x 128 for plain ones; and the cost in plain
    iterations of one conjugate iteration done at 700 x 700. To see that the best is past takes two iterations, or
    15 % more:

    ===========  ===========  ===========  ====
    rule         conjugate    plain        cost
    ===========  ===========  ===========  ====
    risk         0.03 (0.73)  0.06 (0.48)  3
    splitting    0.02 (0.61)  0.06 (0.41)  5
    consensus    0.25 (2.38)  0.55 (2.51)  4.5
    discrepancy  0.11 (0.73)  0.21 (0.79)  2.5
    ===========  ===========  ===========  ====

    The error is that of the whole image: sharp points on dark ground gain from going on, smooth ground from less.

    References
    ----------
    S. Ramani, T. Blu and M. Unser, IEEE Trans. Image Process. 17, 1540 (2008), doi:10.1109/TIP.2008.2001404 (shaking).
    F. Luisier, T. Blu and M. Unser, IEEE Trans. Image Process. 20, 696 (2011), doi:10.1109/TIP.2010.2073477.
    Y. C. Eldar, IEEE Trans. Signal Process. 57, 471 (2009), doi:10.1109/TSP.2008.2008212 (the error of the scene).
    S. J. Reeves, Int. J. Imaging Syst. Technol. 6, 387 (1995), doi:10.1002/ima.1850060412.
    J. D. Manton, Zenodo (2023), doi:10.5281/zenodo.10278919 (gradient consensus).
    R. Zanella et al., Inverse Problems 25, 045010 (2009), doi:10.1088/0266-5611/25/4/045010.
    M. Bertero et al., Inverse Problems 26, 105004 (2010), doi:10.1088/0266-5611/26/10/105004.

    Examples
    --------
    >>> import numpy as np
    >>> import sigdeconv
    >>> scene = np.zeros((64, 64))
    >>> scene[20:44, 20:44] = 200.0
    >>> psf = sigdeconv.psf.gaussian((13, 13), 1.5)
    >>> counts = np.random.default_rng(0).poisson(sigdeconv.simulate.blur(scene, psf) + 10)
    >>> ends = []
    >>> def remember(iteration):
    ...     ends.append(iteration.chosen["num_iter"])
    >>> def error(**options):
    ...     restored = sigdeconv.richardson_lucy(counts, psf, background=10.0, **options)
    ...     return float(np.mean((restored - scene) ** 2))
    >>> chosen = error(num_iter=None, callback=remember)
    >>> bool(chosen < 1.05 * min(error(num_iter=k) for k in range(1, ends[-1] + 9)))
    True
    >>> rough = error(num_iter=None, stopping="discrepancy")    # or Stopping("discrepancy", gain=1.0)
    """

    rule: str = "risk"
    gain: float | None = None
    rng: np.random.Generator | int | None = 20100
    observer: Callable[[int, tuple[float, ...]], None] | None = None

    def __post_init__(self) -> None:
        choice(self.rule, RULES, "rule")
        if self.gain is not None:
            number(self.gain, "gain", above=0.0, maximum=1e12)
        generator(self.rng)
        if self.observer is not None and not callable(self.observer):
            raise TypeError(f"observer is a {type(self.observer).__name__}; a function is wanted")


def checked_stopping(stopping: str | Stopping | None, num_iter: int | None) -> Stopping | None:
    """The rule that a caller asks for; None where the number of iterations is given and nothing else."""
    if num_iter is not None:
        checked_num_iter(num_iter)
    if stopping is None:
        return Stopping() if num_iter is None else None
    if isinstance(stopping, Stopping):
        return stopping
    return Stopping(choice(stopping, RULES, "stopping"))


class Watch:
    """One iteration under a rule.

    Attributes
    ----------
    counts : Counts
        What to restore: a new first axis holds the data, and what the rule needs restored beside them.
    chosen : dict
        ``num_iter``, the iteration of the best estimate so far (of a batch, a tuple), and ``gain``. It changes as the
        iteration goes on.
    best : array
        The best estimate so far, on the domain.
    """

    def __init__(self, stopping: Stopping, blur: Convolution, counts: Counts, *, readout: bool) -> None:
        gain = 1.0 if readout and stopping.gain is None else stopping.gain
        xp = namespace(counts.d)
        observed = Observed.of(blur, counts, 1.0, generator(stopping.rng))
        gain = photon_gain(observed) if gain is None else gain
        self._judge = JUDGES[stopping.rule](replace(observed, gain=gain))
        self._ndim, self._observer = blur.ndim, stopping.observer
        self._items = tuple(counts.d.shape[: counts.d.ndim - blur.ndim])
        w = None if counts.w is None else counts.w[None, ...]
        self.counts = Counts(xp.stack(self._judge.copies), counts.b[None, ...], w)
        self.chosen: dict[str, Any] = {"num_iter": 1, "gain": gain}
        self.best: Array = None

    def first(self, initial: Array) -> Array:
        """An initial estimate for each of the copies."""
        return namespace(initial).stack([initial] * len(self._judge.copies))

    def steps(self, steps: Iterator[Array]) -> Iterator[Array]:
        """The iteration on the data, to its end, where the best estimate is given in place of the last."""
        look = last = 1
        least, ends, done = (np.zeros(self._items, kind) for kind in (float, int, bool))
        for k, copies in enumerate(steps, start=1):
            x = copies[0, ...]
            if k < look:
                yield x
                continue
            last, look = k, k + math.ceil(k / CLOSE)
            scores = self._judge(copies)
            if self._observer is not None:
                self._observer(k, tuple(float(s) for s in scores.ravel()))
            # A rule with a threshold takes whatever is last until its score has fallen below zero.
            crossing = self._judge.threshold
            better = ~done
            if not crossing and k > 1:
                better &= scores < least - WORTH * self._judge.noise
            self._keep(x, better)
            least, ends = np.where(better, scores, least), np.where(better, k, ends)
            done |= scores <= 0 if crossing else last >= ends + np.maximum(PATIENCE, SHARE * ends)
            self.chosen["num_iter"] = tuple(ends.ravel().tolist()) if ends.size > 1 else int(ends.ravel()[0])
            if done.all():
                yield self.best
                return
            yield x

    def _keep(self, x: Array, better: np.ndarray[Any, Any]) -> None:
        xp = namespace(x)
        if self.best is None or better.all():
            self.best = xp.asarray(x, copy=True)
        elif better.any():
            mask = np.reshape(better, better.shape + (1,) * self._ndim)
            if is_numpy(x):
                np.copyto(self.best, x, where=mask)
            else:
                self.best = xp.where(xp.asarray(mask, device=x.device), x, self.best)


def photon_gain(observed: Observed) -> float:
    """Variance of the noise over the value of a pixel, on the mean: the units of an image a photon.

    1 for integers that vary as counts do, and where an image is too small to tell or has no noise.
    """
    blur, (d, _, w) = observed.blur, observed.counts
    xp = namespace(d)
    if math.prod(blur.shape) < SMALLEST or not bool(xp.any(d > 0)):
        return 1.0
    rough, whole = observed.dark_gain(), bool(xp.all(d == xp.round(d)))
    rounding = float(xp.finfo(d.dtype).eps) ** 2 * float(xp.max(d))
    if rough <= rounding or (whole and 1 / COUNTED <= rough <= COUNTED):
        return 1.0
    data = to_numpy(d if w is None else _filled(d, w, blur))
    side = max(1, round(ENOUGH ** (1 / blur.ndim)))
    frame = data.shape[data.ndim - blur.ndim :]
    middle = tuple(slice(max(0, n // 2 - side // 2), max(0, n // 2 - side // 2) + side) for n in frame)
    data = data.reshape(-1, *frame)[(slice(max(1, ENOUGH // math.prod(frame))), *middle)]
    mean = float(np.mean(data, dtype=np.float64))
    gain = estimate_noise(data, model="poisson-gaussian", psf=blur).sigma ** 2 / mean if mean > 0 else 1.0
    counts = whole and 1 / COUNTED <= gain <= COUNTED
    return 1.0 if counts or not gain > 0 else gain


def _filled(d: Array, w: Array, blur: Convolution) -> Array:
    """Bad pixels take the mean of the good ones around them, as far as the blur reaches."""
    xp = namespace(d)
    good = xp.astype(w > 0, d.dtype)
    around = blur.forward(blur.adjoint(good * d))
    share = blur.forward(blur.adjoint(good))
    middle = xp.sum(good * d) / xp.sum(good)
    enough = share > 1e-3 * xp.max(share)
    return xp.where(good > 0, d, xp.where(enough, around / xp.where(enough, share, xp.ones_like(share)), middle))
