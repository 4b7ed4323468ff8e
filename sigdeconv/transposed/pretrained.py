"""The packaged networks in the user's hands: `upscale` and `denoise`, for photographs of any size.

An array becomes a batch of images in units of white, the network runs over it in tiles, and the result goes back to
the kind, the units and the axes of what came.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from .._array import Array, floating, number, scalar
from ._blocks import BICUBIC, Bicubic, mirrored
from ._denoising import noise_levels
from ._images import COLOURS, opened, turned
from ._packaged import denoiser, in_use, upscaler
from ._tiles import Progress, tiled
from ._upscaling import checked_scale
from .bicubic import BLACK, PEAK, RGB_WEIGHTS

__all__ = ["denoise", "prior", "upscale"]


def upscale(
    image: Array,
    scale: int,
    *,
    network: str | os.PathLike[str] | torch.nn.Module = "strong",
    data_range: float | None = None,
    channel_axis: int | None = None,
    callback: Progress | None = None,
) -> Array:
    """Enlarge photographs by a network that ends in a learned transposed convolution.

    Parameters
    ----------
    image : array, shape (..., y, x)
        NumPy array or torch tensor, of any size. Leading axes are a batch.
    scale : {2, 3, 4}
        Output samples for one of the input, on both axes.
    network : {"strong", "fast"}, path or torch.nn.Module
        A packaged one, of 242,000 or 12,700 parameters: the first is better, the second 20 times faster. Or weights
        that ``python -m experiments.train_super_resolution`` has written; or a network with `scale` and `reach`, as
        `sigdeconv.transposed.models` has them.
    data_range : float, optional
        The value of white. None is 1 for floating point, and the largest value of integers of 8 and 16 bits.
    channel_axis : int, optional
        Axis of the colours. Of three channels the luminance goes through the network, and the colour is interpolated;
        any other number of channels goes through one by one.
    callback : callable, optional
        Called after each tile with ``(done, total, chosen)``: the tiles done, and in all.

    Returns
    -------
    array
        ``scale`` times as large, in the units of `image` and of its kind and floating dtype (float32 for integers of 8
        and 16 bits). Values are not clipped: they may overshoot black and white by a little.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, samples are NaN or infinite, or values exceed twice the data range.
    OSError
        There are no weights of that name.

    Notes
    -----
    The networks have learned to undo one thing: an image that was averaged and thinned out by antialiased bicubic
    interpolation (`sigdeconv.transposed.bicubic.imresize`), without noise. What a lens has blurred stays blurred, and
    noise is enlarged with the rest: denoise first. What is finer than the samples of the input is made up after what
    photographs usually show there; for measurements take `sigdeconv.super_resolve`, which has it from several frames.

    Output sample j of an axis lies at ``(j + 1/2) / scale - 1/2`` of the input, as with `imresize`; past the frame the
    image is mirrored or taken for zero, as the network has learned. Tiles overlap by what the network sees, so the
    result does not depend on them. It is computed in float32, where the image lies: a tensor on a GPU stays there.
    No gradient is kept; for training see `models` and `weights`.

    Examples
    --------
    >>> import numpy as np
    >>> ramp = np.add.outer(np.zeros(20), np.linspace(0, 1, 32))
    >>> large = upscale(ramp, 2, network="fast")
    >>> large.shape, large.dtype, bool(abs(large[20, 31:33].mean() - 0.5) < 0.01)
    ((40, 64), dtype('float64'), True)
    """
    factor = checked_scale(scale)
    source = opened(image, data_range, channel_axis)
    device = source.batch.device
    net = upscaler(network, factor, device)
    with in_use(net):
        result = tiled(
            partial(_enlarged, net, Bicubic(factor).to(device)),
            source.batch,
            reach=net.reach,
            scale=factor,
            callback=callback,
        )
    return source.back(result)


def denoise(
    image: Array,
    sigma: float | Array | None = None,
    *,
    network: str | os.PathLike[str] | torch.nn.Module | None = None,
    data_range: float | None = None,
    channel_axis: int | None = None,
    callback: Progress | None = None,
) -> Array:
    """Take white Gaussian noise off photographs, by a network of strided and transposed convolutions.

    Parameters
    ----------
    image : array, shape (..., y, x)
        NumPy array or torch tensor, of any size. Leading axes are a batch.
    sigma : float or array of shape (y, x), optional
        Standard deviation of the noise in units of `image`; one for all, or one a sample where it is uneven. None
        estimates it from each image, see `sigdeconv.estimate_noise`.
    network : path or torch.nn.Module, optional
        Instead of the packaged ones: weights that ``python -m experiments.train_denoising`` has written, or a network
        like `sigdeconv.transposed.models.Denoiser`.
    data_range : float, optional
        The value of white. None is 1 for floating point, and the largest value of integers of 8 and 16 bits.
    channel_axis : int, optional
        Axis of the colours. Three channels are denoised together, with one noise level, see Notes; any other number one
        by one.
    callback : callable, optional
        Called after each tile with ``(done, total, chosen)``; ``chosen`` has "sigma" if it was estimated.

    Returns
    -------
    array
        Of the shape, units, kind and floating dtype of `image` (float32 for integers of 8 and 16 bits); not clipped.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, samples are NaN or infinite, values exceed twice the data range, or the image
        has too few samples for an estimate of its noise.
    OSError
        There are no such weights.

    Notes
    -----
    The networks have learned from photographs with noise up to 55 grey levels of 255. They have no bias, so the units
    do not matter to them: ``f(a x, a sigma) = a f(x, sigma)``. Noise that is not white (compressed or resampled
    pictures, what a deconvolution leaves) looks like detail to them and is kept in part.

    A network of one channel takes colours as their sum and two differences, by a rotation, which keeps white noise
    white and as strong. Their edges stand in the sum; the differences are smooth, and nearly all their noise goes. On
    two photographs that was worth 0.8 to 2.0 dB at 5 to 50 grey levels of noise against red, green and blue apart.

    As the prior of `sigdeconv.plug_and_play` take `prior`.

    Tiles overlap by what the network sees, so the result does not depend on them. It is computed in float32, where the
    image lies; no gradient is kept.

    Examples
    --------
    >>> import numpy as np
    >>> scene = 100.0 * (np.add.outer(np.arange(48) // 16, np.arange(48) // 16) % 2)
    >>> noisy = scene + 20 * np.random.default_rng(0).standard_normal(scene.shape)
    >>> clean = denoise(noisy, sigma=20, data_range=255)
    >>> bool(np.std(clean - scene) < 0.5 * np.std(noisy - scene))
    True
    """
    source = opened(image, data_range, channel_axis)
    x = source.batch
    shape = x.shape
    coloured = shape[1] == COLOURS
    net = denoiser(network, COLOURS if coloured else 1, x.device)
    if not coloured:  # one by one
        x = x.reshape(-1, 1, *shape[2:])
    level = _noise(sigma, x, source.white)
    chosen: dict[str, float | tuple[float, ...]] = {}
    if sigma is None:
        found = tuple((level * source.white).tolist())
        chosen["sigma"] = found[0] if len(found) == 1 else found
    apart = coloured and net.channels == 1
    if apart:
        x = turned(x).reshape(-1, 1, *shape[2:])
        level = level if level.ndim > 1 else level.repeat_interleave(COLOURS)

    def work(piece: torch.Tensor, images: slice, frame: tuple[slice, slice]) -> torch.Tensor:
        there = level[images] if level.ndim == 1 else level[frame].expand(len(piece), 1, -1, -1)
        cleaned: torch.Tensor = net(piece, there)
        return cleaned

    with in_use(net):
        result = tiled(work, x, reach=net.reach, multiple=net.multiple, callback=callback, chosen=chosen)
    result = result.reshape(shape)
    return source.back(turned(result, back=True) if apart else result)


def prior(image: Array, sigma: float) -> Array:
    """The packaged denoiser as a prior: ``sigdeconv.plug_and_play(image, psf, denoiser=sigdeconv.transposed.prior)``.

    Parameters
    ----------
    image : array, shape (..., y, x)
        NumPy array or torch tensor, in any units.
    sigma : float
        Standard deviation of the noise, in units of `image`.

    Returns
    -------
    array
        As `denoise` gives it.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    Notes
    -----
    The network has no bias and knows no units, so nothing has to be said of white: estimates along the way of an
    iteration overshoot it, and past the frame by far.

    Examples
    --------
    >>> import numpy as np
    >>> import sigdeconv
    >>> scene = 100.0 * (np.add.outer(np.arange(48) // 16, np.arange(48) // 16) % 2)
    >>> psf = sigdeconv.psf.gaussian((9, 9), sigma=1.2)
    >>> blurred = sigdeconv.Convolution(psf, scene.shape, boundary="periodic")(scene)
    >>> noisy = blurred + 10 * np.random.default_rng(0).standard_normal(scene.shape)
    >>> restored = sigdeconv.plug_and_play(noisy, psf, denoiser=prior, sigma=10, boundary="periodic")
    >>> bool(np.std(restored - scene) < 0.5 * np.std(noisy - scene))
    True
    """
    x = floating(image, "image")
    strength = number(sigma, "sigma", minimum=0.0)
    return denoise(x, strength, data_range=max(scalar(abs(x).max()), strength) or 1.0)


def _noise(sigma: float | Array | None, x: torch.Tensor, white: float) -> torch.Tensor:
    """The noise level in units of white: one an image, shape (batch,), or one a sample, shape (y, x)."""
    if sigma is None:
        return noise_levels(x)
    if getattr(sigma, "ndim", 0):
        level = floating(sigma, "sigma")
        if tuple(level.shape) != tuple(x.shape[2:]):
            raise ValueError(
                f"sigma has shape {tuple(level.shape)} but the image {tuple(x.shape[2:])}; pass a number or that shape"
            )
        if bool((level < 0).any()):
            raise ValueError("sigma has negative entries; a standard deviation is at least 0")
        least = scalar(level.max())
        found = torch.as_tensor(level / white, dtype=torch.float32, device=x.device)
    else:
        least = number(sigma, "sigma", minimum=0.0)
        found = x.new_full((len(x),), least / white)
    if least > white:
        raise ValueError(f"sigma is {least:g}, more than white, which is {white:g}; both are in the units of image")
    return found


def _enlarged(
    net: Any, bicubic: Bicubic, piece: torch.Tensor, images: slice, frame: tuple[slice, slice]
) -> torch.Tensor:
    """A piece of the batch, enlarged."""

    def singly(work: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        y = work(x.reshape(-1, 1, *x.shape[2:]))
        return y.reshape(*x.shape[:2], *y.shape[2:])

    if piece.shape[1] != COLOURS:
        return singly(net, piece)
    share = piece.new_tensor(RGB_WEIGHTS)[:, None, None]

    def luminance(x: torch.Tensor) -> torch.Tensor:
        return (share * x).sum(dim=1, keepdim=True) + BLACK / PEAK

    plain = singly(lambda x: bicubic(mirrored(x, BICUBIC, BICUBIC)), piece)
    # With the colour differences interpolated, what the luminance gains is gained by all three alike.
    gain: torch.Tensor = (net(luminance(piece)) - luminance(plain)) / share.sum()
    return plain + gain
