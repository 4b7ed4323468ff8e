"""Unmatched back-projectors: what takes the misfit back to the scene need not be the transpose of the blur.

Guo et al. (2020) let the transpose be followed by a filter that undoes most of the blur, so that one iteration does the
work of many. In the papers' symbols: the OTF ``H``, normalised; ``alpha``, ``beta``, ``n`` as there.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _fft
from .._array import Array, namespace, number, per_axis, shown, to_numpy
from .._parallel import each, total
from ..convolution import Convolution
from ..varying import VaryingConvolution
from ._likelihood import BEND, LONGER, PoissonLikelihood, em_step
from ._line_search import CAREFUL, line_search
from ._varying import folded, followed, with_boundary

Line = np.ndarray[Any, Any]

LARGEST = 0.99  # share of a voxel that a step may take away

ORDER = 10  # of the Butterworth filter, as the authors have it
WIENER = 0.001  # the smallest alpha that is chosen, the authors' smallest


@dataclass(frozen=True)
class WienerButterworth:
    """The back-projector of Guo et al.: the transpose, then a Wiener filter that stops at the resolution.

    Parameters
    ----------
    alpha : float, optional
        Wiener parameter, relative to the squared peak of the OTF: the smaller, the more one iteration undoes, of the
        blur and of the noise's taming. None: the OTF's value at the resolution limit.
    beta : float, optional
        Gain of the back-projector at the resolution limit; None: that of the transpose, which is the OTF's value there.
    order : int
        Order ``n`` of the Butterworth filter that ends it: the steepness.
    resolution : float or sequence of float, optional
        Finest period that is brought back, in samples of the scene, one for all axes or one an axis; by default the
        full width of the PSF at half its maximum.

    Raises
    ------
    TypeError, ValueError
        A value is no number above 0, or `order` no positive integer.

    Notes
    -----
    With the frequency ``k`` in cycles a sample, ``r`` the resolution and ``epsilon`` such that the gain at ``k r = 1``
    is `beta`, the transfer function is::

        conj(H) / (|H|^2 + alpha) / sqrt(1 + epsilon^2 (sum over the axes of (k r)^2)^n)

    References
    ----------
    M. Guo et al., Nat. Biotechnol. 38, 1337 (2020), doi:10.1038/s41587-020-0560-x.

    Examples
    --------
    >>> import numpy as np
    >>> import sigdeconv
    >>> psf = sigdeconv.psf.gaussian(25, sigma=2.0)
    >>> back = WienerButterworth().of(sigdeconv.Convolution(psf, 128, boundary="periodic"))
    >>> np.round(abs(back.otf[[0, 13, 26, 39]]), 3)   # it lifts what the blur has lowered, up to the resolution
    array([1.   , 2.059, 0.046, 0.   ])
    """

    alpha: float | None = None
    beta: float | None = None
    order: int = ORDER
    resolution: float | Sequence[float] | None = None

    def __post_init__(self) -> None:
        for name in ("alpha", "beta"):
            if getattr(self, name) is not None:
                number(getattr(self, name), name, above=0.0, maximum=1e6)
        per_axis(self.order, 1, "order", minimum=1)
        for value in self._periods():
            number(value, "resolution", above=0.0, maximum=1e6)

    def of(self, blur: Convolution) -> Convolution:
        """The back-projector of a blur, as an operator whose `adjoint` is it.

        Parameters
        ----------
        blur : Convolution
            What is to be undone.

        Returns
        -------
        Convolution
            From the same frame to the same domain, with another `otf`.

        Raises
        ------
        ValueError
            `resolution` has another number of entries than the blur axes.
        """
        if isinstance(blur, VaryingConvolution) and blur.boundary in ("zero", "reflect"):
            return folded(self.of(with_boundary(blur, "free")), blur)  # type: ignore[arg-type]  # of the kind it got
        otf = np.asarray(to_numpy(blur.otf), np.complex128)
        zero = abs(otf.flat[0])
        power = np.abs(otf / zero) ** 2
        resolution = self._resolution(blur)
        limit = float(np.mean([math.sqrt(power[_at(blur.grid, axis, r)]) for axis, r in enumerate(resolution)]))
        # Where the OTF ends before the resolution, its value there is rounding: the filters keep to the authors' range.
        alpha = max(limit, WIENER) if self.alpha is None else self.alpha
        gain = limit / (limit**2 + alpha)
        beta = limit if self.beta is None else self.beta
        steepness = max((gain / beta) ** 2 - 1, 0.0) if limit > 0 else 0.0
        squares = sum(
            np.reshape((_frequencies(blur.grid, axis) * r) ** 2, (-1,) + (1,) * (blur.ndim - 1 - axis))
            for axis, r in enumerate(resolution)
        )
        with np.errstate(over="ignore"):
            lift = 1 / (power + alpha) / np.sqrt(1 + steepness * squares**self.order)
        # Light comes back as it does by the transpose. As the filter P is positive and |H|^2 P at most 1, P AᴴA, which
        # an iteration applies to a small error of a flat scene, has eigenvalues between 0 and 1 where the blur is one
        # circular convolution seen through a frame: "free", and "periodic" of a fast length.
        xp = namespace(blur.otf)
        kind = np.complex64 if blur.otf.dtype == xp.complex64 else np.complex128
        if isinstance(blur, VaryingConvolution):  # each place's own transpose, then the mean's filter
            return followed(blur, xp.asarray((lift / lift.flat[0]).astype(kind), device=blur.otf.device))
        back = copy.copy(blur)
        back._otf = xp.asarray((otf * (lift / lift.flat[0])).astype(kind), device=blur.otf.device)
        return back

    def _periods(self) -> tuple[float, ...]:
        """The resolution as it was given, one number for all axes or one an axis; nothing where it is to be found."""
        if self.resolution is None:
            return ()
        return (self.resolution,) if isinstance(self.resolution, (int, float, str)) else tuple(self.resolution)

    def _resolution(self, blur: Convolution) -> tuple[float, ...]:
        periods = self._periods() or full_width(blur)
        if len(periods) == 1:
            periods *= blur.ndim
        if len(periods) != blur.ndim:
            raise ValueError(f"resolution is {shown(self.resolution)}; one number or {blur.ndim} are wanted")
        return tuple(float(period) for period in periods)


def full_width(blur: Convolution) -> tuple[float, ...]:
    """Full width of the PSF at half its maximum along each axis through the peak, in samples, at least one."""
    psf = blur.psf
    psf = np.fft.fftshift(to_numpy(_fft.inverse(blur.otf, blur.grid))) if psf is None else to_numpy(psf)
    peak = tuple(int(i) for i in np.unravel_index(int(np.argmax(psf)), psf.shape))
    widths = []
    for axis, at in enumerate(peak):
        index: tuple[int | slice, ...] = (*peak[:axis], slice(None), *peak[axis + 1 :])
        line = psf[index] / psf[peak]
        widths.append(max(1.0, _half(line[at:]) + _half(line[at::-1])))
    return tuple(widths)


def _half(side: Line) -> float:
    """Where a line that starts at 1 crosses one half, between samples; past its end it is dark."""
    side = np.append(side, 0.0)
    i = int(np.argmax(side < 0.5))
    return float(i - 1 + (side[i - 1] - 0.5) / (side[i - 1] - side[i]))


def _frequencies(grid: Sequence[int], axis: int) -> Line:
    return np.fft.rfftfreq(grid[axis]) if axis == len(grid) - 1 else np.fft.fftfreq(grid[axis])


def _at(grid: Sequence[int], axis: int, period: float) -> tuple[int, ...]:
    """The sample of the half spectrum of one axis' frequency with this period, or of its highest."""
    return (*(0,) * axis, min(round(grid[axis] / period), grid[axis] // 2), *(0,) * (len(grid) - 1 - axis))


def unmatched(problem: PoissonLikelihood, x: Array, back: Convolution) -> Iterator[Array]:
    """The iteration of the paper: Richardson and Lucy's step with another back-projector. It does not converge."""
    em, s = em_step(problem, exact=True)
    dark, brightest = problem.dark, problem.light / problem.gain
    g = gap = None

    def update(g: Array, x: Array, dark: Array, brightest: Array, *s: Array) -> Array:
        xp = namespace(x)
        # The back-projected ratio may be negative; and no voxel holds more light than was counted.
        return xp.minimum(xp.maximum(x + xp.maximum(em(x, g, *s), -LARGEST * x), dark), brightest)

    while True:
        gap = problem.blur.forward(x, out=gap, then=problem.gap())
        g = back.adjoint(gap, out=g)
        x = each(update, g, x, dark, brightest, *s, out=x)
        yield x


def unmatched_uphill(problem: PoissonLikelihood, x: Array, back: Convolution) -> Iterator[Array]:
    """Its steps, as far as the likelihood rises.

    The slope of the likelihood along a step, and the best length, follow from the step's blur, which the next iteration
    needs anyway; a step that leads downhill is replaced by the matched one.
    """
    xp, blur = namespace(x), problem.blur
    em, s = em_step(problem, exact=False)
    gap_of, *data = problem.gap()
    dark, m, t = problem.dark, blur.forward(x), xp.ones_like(problem.mean)
    g = p = q = gap = None

    def bent(g: Array, x: Array, limit: Array, *s: Array) -> Array:
        return xp.maximum(em(x, g, *s), -limit * x)

    while True:
        gap = each(gap_of, m, *data, out=gap)
        limit = BEND / xp.maximum(LONGER * t, xp.ones_like(t))
        g = back.adjoint(gap, out=g)
        p = each(bent, g, x, limit, *s, out=p)
        q = blur.forward(p, out=q)
        uphill = total(lambda gap, q: ((gap, q),), gap, q, ndim=blur.ndim)[0] < 0
        if not bool(xp.all(uphill)):
            g = blur.adjoint(gap, out=g)
            matched = each(bent, g, x, limit, *s, out=g)
            p = each(lambda p, matched, uphill: xp.where(uphill, p, matched), p, matched, uphill, out=p)
            q = blur.forward(p, out=q)
        longest = LARGEST / limit
        t, c = line_search(problem, x, p, None, m, q, xp.minimum(t, longest), longest, steps=CAREFUL)
        x = each(lambda x, p, t, c, dark: xp.maximum(c * (x + t * p), dark), x, p, t, c, dark, out=x)
        m = each(lambda m, q, t, c: c * (m + t * q), m, q, t, c, out=m)
        yield x
