"""Iterations that walk towards the data and must be stopped before they fit the noise: steps, and when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from .._array import Array, namespace, scalar
from .._parallel import each, total
from ..convolution import Convolution, along_axes, blind_to_mean, psf_to_otf
from ..varying import VaryingConvolution
from ._varying import local_psfs, of_magnitudes

ROUNDING = 1e-5  # by which a computed norm may fall short
AMPLIFIED = 2.0  # times the noise that Van Cittert's iteration may add where it diverges

Limits = tuple[float, float] | None


def power_bound(blur: Convolution) -> float:
    """A bound of ``|A|^2``, never below it; where the PSF has one sign nearly equal to it.

    Schur's test bounds it by the largest row sum times the largest column sum of ``|A|``. Where nothing is mirrored, a
    blur is also part of a circular convolution, whose norm is the largest modulus of its transfer function.
    """
    xp, psf, boundaries = namespace(blur.otf), blur.psf, along_axes(blur.boundary, blur.ndim)
    if psf is None:
        return float(xp.max(xp.abs(blur.otf))) ** 2 * (1 + ROUNDING)
    size = xp.abs(psf)
    if isinstance(blur, VaryingConvolution):
        positive: Convolution = of_magnitudes(blur)
    else:
        positive = Convolution(
            size,
            blur.shape,
            boundary=blur.boundary,
            stride=blur.stride,
            center=blur.center,
            domain_shape=blur.domain_shape,
        )
    rows = positive.forward(xp.ones(blur.domain_shape, dtype=size.dtype, device=size.device))
    columns = positive.adjoint(xp.ones(blur.shape, dtype=size.dtype, device=size.device))
    bound = float(xp.max(rows)) * float(xp.max(columns))
    if isinstance(blur, VaryingConvolution):
        pass
    elif "periodic" not in boundaries:
        bound = min(bound, float(xp.max(xp.abs(blur.otf))) ** 2) if "reflect" not in boundaries else bound
    elif not {"reflect", "zero"} & {*boundaries}:
        periods = [
            n if b == "periodic" else g for n, g, b in zip(blur.domain_shape, blur.grid, boundaries, strict=True)
        ]
        otf = psf_to_otf(psf, periods, center=blur.center)
        bound = min(bound, float(xp.max(xp.abs(otf))) ** 2)
    return bound * (1 + ROUNDING)


def flat(blur: Convolution, y: Array, trust: Array | None) -> Array:
    """The flat scene that explains the mean of the data; dark where a signed PSF tells nothing of it."""
    xp, axes = namespace(y), tuple(range(-blur.ndim, 0))
    if trust is None:
        mean = xp.mean(y, axis=axes, keepdims=True)
    else:
        number = xp.sum(trust, axis=axes, keepdims=True)
        mean = xp.sum(y * trust, axis=axes, keepdims=True) / xp.where(number > 0, number, xp.ones_like(number))
    batch = y.shape[: y.ndim - blur.ndim]
    gain = scalar(xp.real(blur.otf[(0,) * blur.ndim]))
    blind = gain == 0 if blur.psf is None else blind_to_mean(blur.psf)
    level = xp.zeros_like(mean) if blind else mean / gain
    return xp.zeros((*batch, *blur.domain_shape), dtype=y.dtype, device=y.device) + level


def gradient_steps(
    blur: Convolution, y: Array, trust: Array | None, x: Array, step: float, limits: Limits, *, accelerate: bool
) -> Iterator[Array]:
    """Landweber's ``x + step A^T W (y - A x)``, clipped to the limits; accelerated, from where the last step points to.

    The acceleration is Nesterov's: ``(k - 1) / (k + 2)`` of the last step.
    """
    xp = namespace(y)

    def gap(seen: Array, y: Array) -> Array:
        return y - seen

    def weighted(seen: Array, y: Array, trust: Array) -> Array:
        return trust * (y - seen)

    def onward(g: Array, v: Array) -> Array:
        moved = v + step * g
        return moved if limits is None else xp.clip(moved, *limits)

    k, v = 0, x
    while True:
        k += 1
        r = blur.forward(v, then=(gap, y) if trust is None else (weighted, y, trust))
        before, x = x, blur.adjoint(r, then=(onward, v))
        yield x
        ahead = k / (k + 3)
        v = each(lambda x, before, ahead=ahead: x + ahead * (x - before), x, before) if accelerate else x


def residual_steps(blur: Convolution, y: Array, x: Array, step: float, limits: Limits) -> Iterator[Array]:
    """Van Cittert's ``x + step (y - A x)``, clipped to the limits."""
    xp = namespace(y)

    def onward(seen: Array, x: Array, y: Array) -> Array:
        moved = x + step * (y - seen)
        return moved if limits is None else xp.clip(moved, *limits)

    while True:
        x = blur.forward(x, then=(onward, x, y))
        yield x


def growth(blur: Convolution, step: float) -> tuple[float, float]:
    """Largest factor by which Van Cittert's iteration multiplies an error, and the lowest real part of the OTF."""
    if blur.psf is None:
        otfs = [blur.otf]
    else:
        # Mirrored and dark scenes are made of half-periods of the frame, too.
        periods = [1 if b == "periodic" else 2 for b in along_axes(blur.boundary, blur.ndim)]
        psfs = local_psfs(blur) if isinstance(blur, VaryingConvolution) else [blur.psf]
        grid = [p * n for p, n in zip(periods, blur.domain_shape, strict=True)]
        otfs = [psf_to_otf(psf, grid, center=blur.center) for psf in psfs]
    xp = namespace(otfs[0])
    factors = [float(xp.max(xp.abs(1 - step * otf))) for otf in otfs]
    return max(factors), min(float(xp.min(xp.real(otf))) for otf in otfs)


def bearable(factor: float) -> float:
    """Number of iterations until an error has grown by `AMPLIFIED`; infinite where it does not grow."""
    rate = math.log(factor) if factor > 0 else -math.inf
    return math.log(AMPLIFIED) / rate if rate > ROUNDING else math.inf


def until_farther(steps: Iterator[Array], view: Callable[[Array], Array], aim: Array, ndim: int) -> Iterator[Array]:
    """The steps while they come nearer to `aim`; each item of a batch stands still where it is nearest."""
    nearest = result = None
    for x in steps:
        xp = namespace(x)
        distance = total(lambda a, b: (a - b) ** 2, view(x), aim, ndim=ndim)
        if nearest is None:
            going, result = xp.ones_like(distance, dtype=xp.bool), x
        else:
            going = going & (distance < nearest)
            if not bool(xp.any(going)):
                return
            result = x if bool(xp.all(going)) else xp.where(going, x, result)
        nearest = distance
        yield result


def until_fitted(
    steps: Iterator[Array], blur: Convolution, y: Array, trust: Array | None, sigma: float
) -> Iterator[Array]:
    """The steps until the mean squared residual is the noise's variance (Morozov); each item of a batch by itself."""
    xp, ndim = namespace(y), blur.ndim
    count = total(lambda t: t, xp.ones_like(y) if trust is None else trust, ndim=ndim)
    going = result = None
    for x in steps:
        if going is None:
            going, result = xp.ones_like(count, dtype=xp.bool), x
        result = x if bool(xp.all(going)) else xp.where(going, x, result)
        yield result
        seen = blur.forward(x)
        if trust is None:
            misfit = total(lambda a, b: (a - b) ** 2, seen, y, ndim=ndim)
        else:
            misfit = total(lambda a, b, t: t * (a - b) ** 2, seen, y, trust, ndim=ndim)
        going = going & (misfit > sigma**2 * count)
        if not bool(xp.any(going)):
            return
