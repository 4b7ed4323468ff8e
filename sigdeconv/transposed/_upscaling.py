"""Networks that enlarge luminance: a small fast one, and a larger one."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .._array import choice, shown
from ._blocks import (
    BICUBIC,
    Bicubic,
    Source,
    collapsed,
    mirrored,
    random_source,
    reach,
    require_images,
    trained_convolution,
)
from ._resize import ResizeConv
from ._spacing import entries
from ._transposed import SubpixelConv, TransposedUpsample
from .receptive import Layer

UPSAMPLERS = {"transposed": TransposedUpsample, "subpixel": SubpixelConv, "resize": ResizeConv}
SCALES = (2, 3, 4)
TAPS = 3  # of the last layer, in samples of the input: its kernel has so many times the scale
# Features that reach the last layer: what 13,000 parameters leave for it, as its kernel grows with the scale.
LAST = {2: 16, 3: 14, 4: 11}
SLOPE = 0.1  # of the rectifiers at the start, for negative values
QUIET = 0.1  # of Kaiming's deviation: the start is bicubic interpolation, and a little noise
HALF = 0.5  # the same for convolutions beside a shortcut, which carries the rest


class FastUpscaler(nn.Module):
    """Enlarge luminance by 2, 3 or 4 with at most 13,000 parameters: small convolutions, and an upsampler last.

    Parameters
    ----------
    scale : {2, 3, 4}
        Output samples for one of the input, on each axis.
    channels : int
        Of the features.
    depth : int
        3 x 3 convolutions between the first, 5 x 5, and the last layer.
    upsampler : {"transposed", "subpixel", "resize"}
        The last layer: `TransposedUpsample`, `SubpixelConv` or `ResizeConv`, all with the same kernel size of three
        input samples and so with as many parameters.
    expansion : int or None
        Channels inside of the convolutions that are trained as products, see `collapse`. None: plain convolutions.
    generator : torch.Generator or int, optional
        Source of the random numbers, or its seed.

    Attributes
    ----------
    reach : int
        Input samples to either side of an output sample that it depends on: 8, with "resize" 9. Of a tile with so many
        samples more along each edge the rest is as in the whole image.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; so does an input that is no batch of images of one channel, when it comes.

    Notes
    -----
    The output is bicubic interpolation plus what the convolutions add. Features go from 5 x 5 convolution and rectifier
    through `depth` 3 x 3 convolutions, with the first features added again before the last of them. This is FSRCNN's
    plan (work on the coarse grid, enlarge last) with the layers of SESR. 12,689 parameters for a scale of 2; for 3 and
    4, whose last layer is larger, the convolution before it has fewer outputs.

    Where the samples are: output sample j of an axis lies at ``(j + 1/2) / scale - 1/2`` of the input, as with
    `sigdeconv.transposed.bicubic.imresize` and ``align_corners=False``; shrunk by antialiased bicubic interpolation,
    the output lies on the input again. The last layer is centred likewise, but for "resize" with an even scale, whose
    even kernel lies half an output sample off; the training makes up for that.

    Past the frame the image is mirrored, once; no convolution is padded, so no dark frame enters. Any size is taken.

    On a CPU ``model.to(memory_format=torch.channels_last)`` makes it nearly twice as fast, and tiles of some 256
    pixels, which fit the cache, twice again.

    References
    ----------
    C. Dong, C. C. Loy and X. Tang, Proc. ECCV 391 (2016), doi:10.1007/978-3-319-46475-6_25 (FSRCNN).
    K. Bhardwaj et al. (2021), arXiv:2103.09404 (SESR).

    Examples
    --------
    >>> import torch
    >>> model = FastUpscaler(2, generator=0).collapse()
    >>> model(torch.rand(1, 1, 17, 30)).shape, sum(p.numel() for p in model.parameters())
    (torch.Size([1, 1, 34, 60]), 12689)
    """

    def __init__(
        self,
        scale: int,
        *,
        channels: int = 16,
        depth: int = 5,
        upsampler: str = "transposed",
        expansion: int | None = 128,
        generator: Source = None,
    ) -> None:
        super().__init__()
        self.scale = checked_scale(scale)
        width = entries(channels, 1, "channels", minimum=1)[0]
        count = entries(depth, 1, "depth", minimum=1)[0]
        source = random_source(generator)
        last = min(width, LAST[self.scale])
        self.first = trained_convolution(1, width, 5, expansion=expansion, shortcut=False, generator=source)
        self.rectify = nn.PReLU(width, init=SLOPE)
        self.body = nn.ModuleList(
            nn.Sequential(
                trained_convolution(width, out, 3, expansion=expansion, gain=HALF, generator=source),
                nn.PReLU(out, init=SLOPE),
            )
            for out in [*[width] * (count - 1), last]
        )
        self.enlarge = _last(upsampler, last, self.scale, source)
        self.bicubic = Bicubic(self.scale)
        self._tail = reach([_as_layer(self.enlarge)], scale=self.scale)
        self.reach = reach(self.path(), scale=self.scale)

    def path(self) -> list[Layer]:
        """The way through the network that sees the most, for `receptive_field`.

        Returns
        -------
        list of Layer
            From the input to the output.
        """
        return [
            Layer(5, padding=2, name="first"),
            *[Layer(3, padding=1, name=f"body.{i}") for i in range(len(self.body))],
            _as_layer(self.enlarge),
        ]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Enlarge images.

        Parameters
        ----------
        x : torch.Tensor, shape (batch, 1, y, x)
            Luminances, 0 to 1, of any size.

        Returns
        -------
        torch.Tensor, shape (batch, 1, scale * y, scale * x)
            Luminances in the same units. Nothing is clipped.

        Raises
        ------
        TypeError, ValueError
            `x` is no batch of images of one channel in floating point.
        """
        require_images(x, 1)
        wide = mirrored(x, self.reach, self.reach)
        y: torch.Tensor
        y = start = self.rectify(self.first(wide))
        for i, block in enumerate(self.body):
            if i == len(self.body) - 1 > 0:
                y = y + _inside(start, i)
            y = block(y)
        detail = _inside(self.enlarge(y), self._tail * self.scale)
        plain: torch.Tensor = self.bicubic(_inside(wide, self.reach - BICUBIC))
        return plain + detail

    def collapse(self) -> FastUpscaler:
        """The same network of plain convolutions, for use.

        Returns
        -------
        FastUpscaler
            A copy whose results agree to rounding.
        """
        return collapsed(self)


class GatedBlock(nn.Module):
    """Three convolutions, whose result is added to the input and turns the sum up or down: attention without
    parameters."""

    def __init__(self, channels: int, expansion: int | None, generator: torch.Generator | None) -> None:
        super().__init__()
        layer = partial(trained_convolution, channels, channels, 3, expansion=expansion, padding=1, generator=generator)
        self.first = layer(gain=HALF)
        self.second = layer(gain=HALF)
        self.third = layer(gain=QUIET, shortcut=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of the shape of the input."""
        y: torch.Tensor = functional.silu(self.first(x))
        y = functional.silu(self.second(y))
        y = self.third(y)
        # SPAN has sigmoid - 1/2, with which a block starts as almost zero; here it starts as the identity.
        return (x + y) * (0.5 + torch.sigmoid(y))


class Upscaler(nn.Module):
    """Enlarge luminance by 2, 3 or 4 with at most 250,000 parameters: gated residual blocks, and an upsampler last.

    Parameters
    ----------
    scale : {2, 3, 4}
        Output samples for one of the input, on each axis.
    channels : int
        Of the features.
    blocks : int
        Number of blocks of three 3 x 3 convolutions.
    upsampler : {"transposed", "subpixel", "resize"}
        The last layer, as in `FastUpscaler`.
    expansion : int or None
        Channels inside of the convolutions that are trained as products, see `collapse`. None: plain convolutions.
    generator : torch.Generator or int, optional
        Source of the random numbers, or its seed.

    Attributes
    ----------
    reach : int
        As in `FastUpscaler`: 27, with "resize" 28.

    Raises
    ------
    TypeError, ValueError
        As `FastUpscaler`.

    Notes
    -----
    Each block ends with SPAN's gate without parameters; the features after all blocks are joined by a 1 x 1
    convolution, as in RFDN, and enlarged once, by a transposed convolution. As in `FastUpscaler` the result is added to
    bicubic interpolation, convolutions are trained as products, and samples lie where `imresize` has them. Past the
    frame the convolutions see zeros.

    241,921 parameters for a scale of 2, 245,377 for 4.

    References
    ----------
    C. Wan et al., Swift parameter-free attention network for efficient super-resolution (2023), arXiv:2311.12770.
    J. Liu, J. Tang and G. Wu, Residual feature distillation network (2020), arXiv:2009.11551.

    Examples
    --------
    >>> import torch
    >>> model = Upscaler(3, generator=0).collapse()
    >>> model(torch.rand(1, 1, 9, 8)).shape
    torch.Size([1, 1, 27, 24])
    """

    def __init__(
        self,
        scale: int,
        *,
        channels: int = 32,
        blocks: int = 8,
        upsampler: str = "transposed",
        expansion: int | None = 128,
        generator: Source = None,
    ) -> None:
        super().__init__()
        self.scale = checked_scale(scale)
        width = entries(channels, 1, "channels", minimum=1)[0]
        count = entries(blocks, 1, "blocks", minimum=1)[0]
        source = random_source(generator)
        plain: dict[str, Any] = {"expansion": None, "shortcut": False, "generator": source}
        self.first = trained_convolution(1, width, 3, padding=1, **plain)
        self.body = nn.ModuleList(GatedBlock(width, expansion, source) for _ in range(count))
        self.join = trained_convolution((count + 1) * width, width, 1, **plain)
        self.last = trained_convolution(width, width, 3, expansion=expansion, padding=1, gain=HALF, generator=source)
        self.enlarge = _last(upsampler, width, self.scale, source)
        self.bicubic = Bicubic(self.scale)
        self.reach = reach(self.path(), scale=self.scale)

    def path(self) -> list[Layer]:
        """The way through the network that sees the most, for `receptive_field`.

        Returns
        -------
        list of Layer
            From the input to the output.
        """
        names = [
            "first",
            *[f"body.{i}.{part}" for i, block in enumerate(self.body) for part, _ in block.named_children()],
        ]
        return [*[Layer(3, padding=1, name=name) for name in [*names, "last"]], _as_layer(self.enlarge)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Enlarge images.

        Parameters
        ----------
        x : torch.Tensor, shape (batch, 1, y, x)
            Luminances, 0 to 1, of any size.

        Returns
        -------
        torch.Tensor, shape (batch, 1, scale * y, scale * x)
            Luminances in the same units. Nothing is clipped.

        Raises
        ------
        TypeError, ValueError
            `x` is no batch of images of one channel in floating point.
        """
        require_images(x, 1)
        features = [self.first(x)]
        for block in self.body:
            features.append(block(features[-1]))
        y = self.join(torch.cat(features, dim=1))
        y = functional.silu(self.last(y))
        plain: torch.Tensor = self.bicubic(mirrored(x, BICUBIC, BICUBIC))
        detail: torch.Tensor = self.enlarge(y)
        return plain + detail

    def collapse(self) -> Upscaler:
        """The same network of plain convolutions, for use.

        Returns
        -------
        Upscaler
            A copy whose results agree to rounding.
        """
        return collapsed(self)


def checked_scale(scale: int) -> int:
    if isinstance(scale, bool) or not isinstance(scale, (int, np.integer)) or scale not in SCALES:
        raise ValueError(f"scale is {shown(scale)}; pass 2, 3 or 4")
    return int(scale)


def _last(upsampler: str, channels: int, scale: int, generator: torch.Generator | None) -> Any:
    """The last layer, which starts free of checkerboards and almost silent."""
    kind = UPSAMPLERS[choice(upsampler, tuple(UPSAMPLERS), "upsampler")]
    layer = kind(channels, 1, TAPS * scale, scale=scale, initialisation="icnr", generator=generator)
    with torch.no_grad():
        layer.weight.mul_(QUIET)
    return layer


def _as_layer(layer: Any) -> Layer:
    """A layer that enlarges as a transposed convolution, on one axis."""
    size, cut, s = layer.kernel_size[0], layer.padding[0], layer.scale[0]
    if isinstance(layer, ResizeConv):  # convolved with the zero-order hold
        size, cut = size + s - 1, size - 1 - cut
    return Layer(size, stride=s, padding=(cut, size - s - cut), kind="transposed", out_channels=1, name="enlarge")


def _inside(x: torch.Tensor, margin: int) -> torch.Tensor:
    """Without `margin` samples along each edge."""
    for axis in (-2, -1):
        x = x.narrow(axis, margin, x.shape[axis] - 2 * margin)
    return x
