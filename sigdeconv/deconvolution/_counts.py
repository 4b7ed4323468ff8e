"""What a caller says about counts, checked and brought into the form that the likelihood wants."""

from __future__ import annotations

from typing import NamedTuple

from .._array import Array, channels_to_batch, like, namespace, number, require_moderate
from ..convolution import Convolution
from ..varying import VaryingConvolution
from ._varying import local_psfs

NEGATIVE = 1e-6  # of the PSF's peak: what rounding leaves below zero in a computed PSF
DIPS = 0.01  # of a PSF's light: what a polynomial in the place may leave below zero, in the faint parts of a PSF
DEEPEST = 8.0  # standard deviations of the readout noise below zero: no pixel of any image lies lower by chance


class Counts(NamedTuple):
    """Counts ``d ~ Poisson(A x + b)`` with weights `w`, or none."""

    d: Array
    b: Array
    w: Array | None


def checked_counts(
    image: Array,
    *,
    name: str = "image",
    background: float | Array,
    weights: Array | None,
    readout_noise: float | Array,
    channel_axis: int | None,
) -> Counts:
    """The counts, with NaN allowed where weights are 0 and negative samples as far as readout noise explains them."""
    xp = namespace(image)
    if weights is not None:
        weights = per_pixel(weights, image, "weights", channel_axis)
        if float(xp.min(weights)) < 0 or not bool(xp.any(weights > 0)):
            raise ValueError(
                "weights must be 0 or larger, and larger than 0 somewhere; pass 1 for good and 0 for bad pixels"
            )
        image = xp.where(weights > 0, image, xp.zeros_like(image))
    require_moderate(image, name if weights is None else f"{name} (where weights are not 0)")
    background = nonnegative(background, image, "background", channel_axis)
    noise = nonnegative(readout_noise, image, "readout_noise", channel_axis)
    lowest = float(xp.min(image))
    if lowest < 0 and bool(xp.any(image < -DEEPEST * noise)):
        count = int(xp.sum(xp.astype(image < -DEEPEST * noise, xp.int64)))
        deep = f" deeper than {DEEPEST:g} times readout_noise" if bool(xp.any(noise > 0)) else ""
        raise ValueError(
            f"{name} has {count} negative sample{'s' if count > 1 else ''}{deep} (the lowest is {lowest:g}), but "
            f"counts are wanted; add the offset that was subtracted and pass it as background, or clip: {name}.clip(0)"
        )
    if bool(xp.any(noise > 0)):
        # Gaussian noise of variance v is nearly that of v more photons, of which v are then known to be no signal.
        image, background = xp.maximum(image + noise**2, xp.zeros_like(image)), background + noise**2
    return Counts(image, background, weights)


def require_nonnegative_psf(blur: Convolution) -> None:
    """Refuse a blur that takes light away; one that is known by its transfer function alone is believed."""
    if blur.psf is not None:
        require_light(blur.psf)
    if isinstance(blur, VaryingConvolution):
        for psf in local_psfs(blur):
            xp = namespace(psf)
            lost, light = float(xp.sum(xp.clip(psf, None, 0.0))), float(xp.sum(psf))
            if -lost > DIPS * light:
                raise ValueError(
                    f"psf has negative samples at some place ({lost:.3g} of the light {light:.3g} there), but light "
                    "only adds; pass psfs and weights whose sum is 0 or more everywhere, or use tikhonov"
                )


def require_light(psf: Array) -> None:
    """Refuse a PSF with negative samples."""
    xp = namespace(psf)
    lowest, peak = float(xp.min(psf)), float(xp.max(psf))
    if lowest < -NEGATIVE * peak or peak <= 0:
        raise ValueError(
            f"psf has negative samples (the lowest is {lowest:g}, the peak {peak:g}), but light only adds; "
            "pass psf.clip(0), or use wiener, which takes any PSF"
        )


def per_pixel(value: Array, image: Array, name: str, channel_axis: int | None) -> Array:
    """A value for each pixel, broadcast to the image; given with the colour axis where the image was."""
    value = like(value, image, name)
    if channel_axis is not None and value.ndim == image.ndim:
        value, _ = channels_to_batch(value, channel_axis)
    try:
        return namespace(image).broadcast_to(value, image.shape)
    except (ValueError, RuntimeError):
        raise ValueError(
            f"{name} has shape {tuple(value.shape)}, which does not broadcast to the image's {tuple(image.shape)}; "
            "pass a value for each pixel"
        ) from None


def nonnegative(value: float | Array, image: Array, name: str, channel_axis: int | None) -> Array:
    """A number or a value for each pixel, of the image's number of axes, of size one where it does not vary."""
    xp = namespace(image)
    if isinstance(value, (int, float)) or getattr(value, "ndim", 1) == 0:
        level = number(value, name, minimum=0.0, maximum=1e12)
        return xp.full((1,) * image.ndim, level, dtype=image.dtype, device=image.device)
    value = per_pixel(value, image, name, channel_axis)
    if float(xp.min(value)) < 0:
        raise ValueError(f"{name} has negative samples (the lowest is {float(xp.min(value)):g}); 0 or more is wanted")
    return value


def first_estimate(initial: Array, image: Array, blur: Convolution, channel_axis: int | None) -> Array:
    """The first estimate on the operator's domain; past the frame it continues the outermost samples."""
    xp = namespace(image)
    initial, _ = channels_to_batch(like(initial, image, "initial"), channel_axis)
    batch = tuple(image.shape[: image.ndim - blur.ndim])
    domain = (*batch, *blur.domain_shape)
    if float(xp.min(initial)) < 0 or not bool(xp.any(initial > 0)):
        raise ValueError("initial must be 0 or larger, and larger than 0 somewhere; pass initial.clip(1e-6)")
    if tuple(initial.shape) == domain:
        return xp.asarray(initial, copy=True)
    inside = tuple(s.stop - s.start for s in blur.frame)
    if tuple(initial.shape) != (*batch, *inside):
        raise ValueError(
            f"initial has shape {tuple(initial.shape)}; pass {(*batch, *inside)} (the frame) or {domain} (the domain)"
        )
    for axis, (part, n) in enumerate(zip(blur.frame, blur.domain_shape, strict=True), start=len(batch)):
        index = xp.clip(xp.arange(n, device=image.device) - part.start, 0, part.stop - part.start - 1)
        initial = xp.take(initial, index, axis=axis)
    return initial
