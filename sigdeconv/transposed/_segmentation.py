"""Networks that name each pixel: one whose decoder is given the encoder's details, and one whose decoder is not."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from .._array import choice
from ._blocks import Source, convolution, random_source, reach, require_images, to_multiple
from ._spacing import entries
from ._transposed import TransposedUpsample
from .receptive import Layer

DECODERS = ("transposed", "bilinear")


class BilinearUp(nn.Module):
    """Double the size by bilinear interpolation, and change the channels by a 1 x 1 convolution.

    The convolution comes first: the two commute, and it then has a quarter to do.
    """

    def __init__(self, in_channels: int, out_channels: int, generator: torch.Generator | None) -> None:
        super().__init__()
        self.mix = convolution(in_channels, out_channels, 1, generator=generator)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Enlarge ``(batch, in_channels, y, x)``."""
        return functional.interpolate(self.mix(x), scale_factor=2.0, mode="bilinear", align_corners=False)


class UNet(nn.Module):
    """Segment images: an encoder, and a decoder to which the encoder's features are joined at each resolution.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the images, and of the result.
    width : int
        Features at full resolution; each level below has twice as many.
    depth : int
        How often the resolution is halved.
    decoder : {"transposed", "bilinear"}
        How it is doubled again: by a 2 x 2 transposed convolution of stride 2 (to half as many channels), or by a 1 x 1
        convolution and bilinear interpolation, which has a quarter of its parameters.
    normalise : bool
        Batch normalisation after each 3 x 3 convolution, which then has no bias.
    generator : torch.Generator or int, optional
        Source of the random numbers, or its seed.

    Attributes
    ----------
    reach : int
        Samples to either side of an output sample that it depends on: 107, with "bilinear" 122.
    multiple : int
        Tiles that begin on multiples of it see the same grid as the whole image: ``2**depth``.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; so do images, when they come.

    Notes
    -----
    Two 3 x 3 convolutions, each with normalisation and rectifier, on each level; 2 x 2 maxima lead down. Convolutions
    are padded, unlike in the paper, so that the result has the size of the image. Images whose sides `multiple` does
    not divide are mirrored at their ends, and the result is cropped.

    References
    ----------
    O. Ronneberger, P. Fischer and T. Brox, Proc. MICCAI 234 (2015), doi:10.1007/978-3-319-24574-4_28.

    Examples
    --------
    >>> import torch
    >>> UNet(1, 3, width=8, depth=2, generator=0)(torch.rand(2, 1, 21, 30)).shape
    torch.Size([2, 3, 21, 30])
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        *,
        width: int = 16,
        depth: int = 4,
        decoder: str = "transposed",
        normalise: bool = True,
        generator: Source = None,
    ) -> None:
        super().__init__()
        source = random_source(generator)
        choice(decoder, DECODERS, "decoder")
        self.encoder = Encoder(in_channels, width, depth, normalise, source)
        self.in_channels = self.encoder.in_channels
        self.classes = entries(classes, 1, "classes", minimum=1)[0]
        widths = self.encoder.widths
        steps = list(pairwise(widths))
        if decoder == "transposed":
            layers: Any = (TransposedUpsample(b, a, 2, scale=2, generator=source) for a, b in steps)
        else:
            layers = (BilinearUp(b, a, source) for a, b in steps)
        self.up = nn.ModuleList(layers)
        self.decoder = nn.ModuleList(_pair(2 * a, a, normalise, source) for a in widths[:-1])
        self.score = convolution(widths[0], self.classes, 1, generator=source)
        self.multiple = 1 << len(steps)
        self._bilinear = decoder == "bilinear"
        self.reach = reach(self.path(), period=self.multiple)

    def path(self) -> list[Layer]:
        """The way through the network that sees the most, for `receptive_field`.

        Returns
        -------
        list of Layer
            From the input to the output.
        """
        path = self.encoder.path()
        size, cut = (4, 1) if self._bilinear else (2, 0)
        for i in reversed(range(len(self.up))):
            path.append(Layer(size, stride=2, padding=cut, kind="transposed", name=f"up.{i}"))
            path += [Layer(3, padding=1, name=f"decoder.{i}.{j}") for j in range(2)]
        return [*path, Layer(1, name="score")]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Score each pixel of images.

        Parameters
        ----------
        x : torch.Tensor, shape (batch, in_channels, y, x)
            Images of any size.

        Returns
        -------
        torch.Tensor, shape (batch, classes, y, x)
            Before any softmax.

        Raises
        ------
        TypeError, ValueError
            `x` is no such batch of floating point.
        """
        require_images(x, self.in_channels)
        *skips, y = self.encoder(to_multiple(x, self.multiple))
        for part, up, skip in zip(reversed(self.decoder), reversed(self.up), reversed(skips), strict=True):
            y = part(torch.cat([skip, up(y)], dim=1))
        scores: torch.Tensor = self.score(y)
        return scores[..., : x.shape[-2], : x.shape[-1]]


class SkiplessFCN(nn.Module):
    """Segment images from the coarsest features alone: an encoder, and one transposed convolution for all the way up.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the images, and of the result.
    width : int
        Features at full resolution; each level below has twice as many.
    depth : int
        How often the resolution is halved.
    normalise : bool
        Batch normalisation after each 3 x 3 convolution, which then has no bias.
    generator : torch.Generator or int, optional
        Source of the random numbers, or its seed.

    Attributes
    ----------
    reach, multiple : int
        As in `UNet`.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; so do images, when they come.

    Notes
    -----
    FCN-32s with the encoder of `UNet`: a 1 x 1 convolution makes scores of the features, and a transposed convolution
    of stride ``2**depth``, which starts as bilinear interpolation and is trained, enlarges them. What lies between the
    coarse samples is lost: outlines come out rounded, and touching things joined. It is here to show that.

    References
    ----------
    J. Long, E. Shelhamer and T. Darrell, Proc. CVPR 3431 (2015), doi:10.1109/CVPR.2015.7298965.

    Examples
    --------
    >>> import torch
    >>> SkiplessFCN(1, 3, width=8, depth=2, generator=0)(torch.rand(2, 1, 21, 30)).shape
    torch.Size([2, 3, 21, 30])
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        *,
        width: int = 16,
        depth: int = 4,
        normalise: bool = True,
        generator: Source = None,
    ) -> None:
        super().__init__()
        source = random_source(generator)
        self.encoder = Encoder(in_channels, width, depth, normalise, source)
        self.in_channels = self.encoder.in_channels
        self.classes = entries(classes, 1, "classes", minimum=1)[0]
        self.multiple = 1 << (len(self.encoder.widths) - 1)
        self.score = convolution(self.encoder.widths[-1], self.classes, 1, generator=source)
        self.enlarge = TransposedUpsample(
            self.classes,
            self.classes,
            2 * self.multiple,
            scale=self.multiple,
            padding_mode="replicate",
            bias=False,
            initialisation="bilinear",
        )
        self.reach = reach(self.path(), period=self.multiple)

    def path(self) -> list[Layer]:
        """The way through the network that sees the most, for `receptive_field`.

        Returns
        -------
        list of Layer
            From the input to the output.
        """
        s = self.multiple
        last = Layer(2 * s, stride=s, padding=self.enlarge.padding[0], kind="transposed", name="enlarge")
        return [*self.encoder.path(), Layer(1, name="score"), last]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Score each pixel of images.

        Parameters
        ----------
        x : torch.Tensor, shape (batch, in_channels, y, x)
            Images of any size.

        Returns
        -------
        torch.Tensor, shape (batch, classes, y, x)
            Before any softmax.

        Raises
        ------
        TypeError, ValueError
            `x` is no such batch of floating point.
        """
        require_images(x, self.in_channels)
        coarse = self.score(self.encoder(to_multiple(x, self.multiple))[-1])
        scores: torch.Tensor = self.enlarge(coarse)
        return scores[..., : x.shape[-2], : x.shape[-1]]


class Encoder(nn.Module):
    """Pairs of convolutions with 2 x 2 maxima between; gives the features of every resolution, the finest first."""

    def __init__(
        self, in_channels: int, width: int, depth: int, normalise: bool, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        self.in_channels = entries(in_channels, 1, "in_channels", minimum=1)[0]
        base = entries(width, 1, "width", minimum=1)[0]
        self.widths = [base << i for i in range(entries(depth, 1, "depth", minimum=1)[0] + 1)]
        steps = zip([self.in_channels, *self.widths[:-1]], self.widths, strict=True)
        self.levels = nn.ModuleList(_pair(a, b, normalise, generator) for a, b in steps)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Features of ``(batch, in_channels, y, x)``, of which ``2**depth`` divides the sides."""
        features = [self.levels[0](x)]
        for level in self.levels[1:]:
            features.append(level(functional.max_pool2d(features[-1], 2)))
        return features

    def path(self) -> list[Layer]:
        """All of it, as plain layers."""
        path: list[Layer] = []
        for i in range(len(self.levels)):
            path += [Layer(2, stride=2, kind="pool", name=f"pool.{i}")] * (i > 0)
            path += [Layer(3, padding=1, name=f"encoder.{i}.{j}") for j in range(2)]
        return path


def _pair(in_channels: int, out_channels: int, normalise: bool, generator: torch.Generator | None) -> nn.Sequential:
    layers: list[nn.Module] = []
    for into in (in_channels, out_channels):
        layers.append(convolution(into, out_channels, 3, bias=not normalise, generator=generator))
        layers += [nn.BatchNorm2d(out_channels)] * bool(normalise)
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
