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
from .._parallel import total
from ..convolution import Convolution
from ._counts import Counts
from ._frames import Frames
from ._stopping_rules import JUDGES, Observed
from .noise import photon_gain

Numbers = np.ndarray[Any, Any]
Flags = np.ndarray[Any, Any]

RULES = tuple(JUDGES)
MOST = 1000  # iterations, where the data (free of noise, say) neither ask for an end nor settle

# How far past the best iteration to look. On photographs scores fall and rise but once, so that one look would do;
# stranger data may dip on the way.
PATIENCE = 2  # iterations
SHARE = 0.15  # of the iterations done so far
# Conjugate steps towards sharp points or lines on dark ground are uneven: a score may rise for a few iterations long
# before anything is overfitted. Two things tell. No estimate has taken up noise whose misfit is above the noise, but
# for a model that is wrong; and what a few bright samples say is chance.
LONG_PATIENCE = 8
LONG_SHARE = 0.5
UNEXPLAINED = 1.03  # of the noise: misfits that mean more than noise; photographs end between 0.3 and 1.0
FEW = 1 << 12  # samples, if the light were even
CLOSE = 16  # steps of this share of the iterations done so far: within one the error hardly changes
WORTH = 1e-4  # of the noise: a score that falls by less is not worth an iteration
SETTLED = 0.02  # of what there is to see: an estimate that a doubling of its iterations moves by less is at its end
EARLIEST = 64  # iterations, before which nothing has settled


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

    Where the light falls on few samples (a spectrum; stars or beads on dark ground) chance moves the scores, and
    conjugate steps are uneven: they may raise the misfit for a while. "risk" and "splitting" then average up to eight
    draws of the shaking or splitting, and look half as far again past the best, at least eight iterations; so they do
    while the misfit is above the noise. With "risk" and conjugate steps the loss is 0.7 to 1.0 dB, by the seed
    (largest 5 to 9), on 49 spectra of 300 to 2000 samples and 50 to 5000 photons, where one draw and a short look lose
    2.4 (19), and 0.7 (6.5) on 36 fields of stars, beads, shells and lines in 2-D and 3-D. The best iteration by the
    true error of the blurred estimate, which no rule can know, loses 0.6 (7) on the spectra: there detail that the
    blur hides decides. These cases were in view when the constants were set. Single points gain from going on for
    hundreds of iterations, and are left early; smooth ground gains from less.

    Data with hardly any noise have no best iteration. An estimate that the last doubling of the iterations, from the
    64th on, has moved by less than 2 % of its standard deviation is at its end; ``chosen["settled"]`` then is that
    movement (of a batch, infinite for items that ended otherwise). What has neither settled nor reached its best ends
    after 1000 iterations, of which the callback sees the index: plain ones on data without noise mostly do. A PSF that
    is much too wide lets the misfit fall for hundreds of iterations while the image gets worse, and no rule sees it.

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
        ``num_iter``, the iteration of the best estimate so far (of a batch, a tuple), ``gain``, and in the end
        ``settled``, where that is why it ended. It changes as the iteration goes on.
    best : array
        The best estimate so far, on the domain.
    """

    def __init__(self, stopping: Stopping, blur: Convolution | Frames, counts: Counts, *, readout: bool) -> None:
        gain = 1.0 if readout and stopping.gain is None else stopping.gain
        xp = namespace(counts.d)
        observed = Observed.of(blur, counts, 1.0, generator(stopping.rng))
        gain = photon_gain(observed) if gain is None else gain
        self._judge = JUDGES[stopping.rule](replace(observed, gain=gain))
        self._few = observed.effective < FEW
        self._ndim, self._observer = blur.ndim, stopping.observer
        self._items = tuple(counts.d.shape[: counts.d.ndim - blur.ndim])
        w = None if counts.w is None else counts.w[None, ...]
        self.counts = Counts(xp.stack(self._judge.copies), counts.b[None, ...], w)
        self.chosen: dict[str, Any] = {"num_iter": 1, "gain": gain}
        self.best: Array = None
        self._frame = blur.frame
        self._before: Array = None
        self._ended = np.full(self._items, math.inf)

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
            last, look = k, min(k + math.ceil(k / CLOSE), _next_power(k))
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
            done |= scores <= 0 if crossing else last >= ends + self._patience(ends)
            if k == _next_power(k - 1):
                done |= self._settled(x, k, done)
            self.chosen["num_iter"] = _one_or_tuple(ends)
            if done.all():
                yield self.best
                return
            yield x

    def _settled(self, x: Array, k: int, done: Flags) -> Flags:
        """Which items the last doubling of the iterations has moved by less than `SETTLED`; `k` is a power of two."""
        view, axes = x[(..., *self._frame)], tuple(range(-self._ndim, 0))
        xp, before = namespace(x), self._before
        self._before = xp.asarray(view, copy=True) if 2 * k >= EARLIEST else None
        if before is None:
            return np.zeros(self._items, bool)
        mean = xp.mean(view, axis=axes, keepdims=True)
        step, size = total(lambda a, b, m: ((a - b, a - b), (a - m, a - m)), view, before, mean, ndim=self._ndim)
        moved, seen = (np.asarray(to_numpy(value), float).reshape(self._items) for value in (step, size))
        settled: Flags = ~done & (moved <= SETTLED**2 * seen)
        if settled.any():
            share = np.sqrt(moved / np.maximum(seen, np.finfo(float).tiny))
            self._ended = np.where(settled, share, self._ended)
            self.chosen["settled"] = _one_or_tuple(self._ended)
        return settled

    def _patience(self, ends: Numbers) -> Numbers:
        """How far past the best iteration to look, an item."""
        long = self._few | (self._judge.misfit > UNEXPLAINED * self._judge.noise)
        return np.where(long, np.maximum(LONG_PATIENCE, LONG_SHARE * ends), np.maximum(PATIENCE, SHARE * ends))

    def _keep(self, x: Array, better: Flags) -> None:
        xp = namespace(x)
        if self.best is None or better.all():
            self.best = xp.asarray(x, copy=True)
        elif better.any():
            mask = np.reshape(better, better.shape + (1,) * self._ndim)
            if is_numpy(x):
                np.copyto(self.best, x, where=mask)
            else:
                self.best = xp.where(xp.asarray(mask, device=x.device), x, self.best)


def _next_power(k: int) -> int:
    """The first power of two above `k`."""
    return 1 << k.bit_length()


def _one_or_tuple(values: Numbers) -> Any:
    """Of a batch, a tuple."""
    return tuple(values.ravel().tolist()) if values.size > 1 else values.ravel()[0].item()
