"""What a layer of a network looks for: its strongest activations, led back to the image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from ._blocks import Source, convolution, random_source, require_images
from ._spacing import entries
from .receptive import Layer


class Stage(NamedTuple):
    """What a layer of a `FeatureEncoder` makes of images.

    Parameters
    ----------
    filtered : torch.Tensor, shape (batch, channels, y, x)
        By the convolution.
    rectified : torch.Tensor, shape (batch, channels, y, x)
        The same without what is negative.
    pooled : torch.Tensor, shape (batch, channels, y // 2, x // 2)
        The maxima of blocks of 2 x 2.
    switches : torch.Tensor of int64, shape (batch, channels, y // 2, x // 2)
        Where each maximum stood: its index in the flattened frame.
    """

    filtered: torch.Tensor
    rectified: torch.Tensor
    pooled: torch.Tensor
    switches: torch.Tensor


class Projection(NamedTuple):
    """An activation, led back to the image.

    Parameters
    ----------
    pixels : torch.Tensor, shape (batch, in_channels, y, x)
        What in the images, to first order, made the activation.
    position : torch.Tensor of int64, shape (batch, 2)
        The activation's place in the pooled features (row, column).
    activation : torch.Tensor, shape (batch,)
        Its value.
    """

    pixels: torch.Tensor
    position: torch.Tensor
    activation: torch.Tensor


class FeatureEncoder(nn.Module):
    """A small classifier whose layers can be looked into: convolution, rectifier and 2 x 2 maxima, some times over.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the images, and of the result.
    widths : sequence of int
        Features of each layer.
    kernel_size : int
        Of the convolutions; odd.
    generator : torch.Generator or int, optional
        Source of the random numbers, or its seed.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; so do images, when they come.

    Examples
    --------
    >>> import torch
    >>> encoder, images = FeatureEncoder(3, 10, generator=0), torch.rand(2, 3, 40, 50)
    >>> encoder(images).shape, [stage.pooled.shape[1:] for stage in encoder.stages(images)]
    (torch.Size([2, 10]), [torch.Size([16, 20, 25]), torch.Size([32, 10, 12]), torch.Size([64, 5, 6])])
    """

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 10,
        *,
        widths: Sequence[int] = (16, 32, 64),
        kernel_size: int = 3,
        generator: Source = None,
    ) -> None:
        super().__init__()
        self.in_channels = entries(in_channels, 1, "in_channels", minimum=1)[0]
        self.classes = entries(classes, 1, "classes", minimum=1)[0]
        sizes = entries(widths, len(widths), "widths", minimum=1)
        if not sizes:
            raise ValueError("widths is empty; pass at least one number")
        k = entries(kernel_size, 1, "kernel_size", minimum=1)[0]
        if k % 2 == 0:
            raise ValueError(f"kernel_size is {k}; an odd one is wanted, which has a middle")
        self.kernel_size = k
        source = random_source(generator)
        self.convolutions = nn.ModuleList(
            convolution(a, b, k, generator=source) for a, b in pairwise([self.in_channels, *sizes])
        )
        self.classify = convolution(sizes[-1], self.classes, 1, generator=source)

    def stages(self, x: torch.Tensor) -> list[Stage]:
        """What each layer makes of images.

        Parameters
        ----------
        x : torch.Tensor, shape (batch, in_channels, y, x)
            With sides of at least ``2 ** layers``.

        Returns
        -------
        list of Stage
            One a layer, the first layer first.

        Raises
        ------
        TypeError, ValueError
            `x` is no such batch of floating point.
        """
        require_images(x, self.in_channels)
        least = 1 << len(self.convolutions)
        if min(x.shape[-2:]) < least:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; sides of at least {least} are wanted, to be halved so often"
            )
        stages: list[Stage] = []
        for layer in self.convolutions:
            filtered = layer(x)
            rectified = functional.relu(filtered)
            x, switches = functional.max_pool2d(rectified, 2, return_indices=True)
            stages.append(Stage(filtered, rectified, x, switches))
        return stages

    def path(self) -> list[Layer]:
        """The layers up to the last maxima, for `receptive_field`.

        Returns
        -------
        list of Layer
            A convolution and a pooling for each layer.
        """
        path = []
        for i in range(len(self.convolutions)):
            path.append(Layer(self.kernel_size, padding=self.kernel_size // 2, name=f"convolutions.{i}"))
            path.append(Layer(2, stride=2, kind="pool", name=f"pool.{i}"))
        return path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Score images: a linear map of the mean features of the last layer.

        Parameters
        ----------
        x : torch.Tensor, shape (batch, in_channels, y, x)
            With sides of at least ``2 ** layers``.

        Returns
        -------
        torch.Tensor, shape (batch, classes)
            Before any softmax.

        Raises
        ------
        TypeError, ValueError
            `x` is no such batch of floating point.
        """
        mean = self.stages(x)[-1].pooled.mean(dim=(-2, -1), keepdim=True)
        scores: torch.Tensor = self.classify(mean)
        return scores[..., 0, 0]


@torch.no_grad()
def deconvnet_projection(
    encoder: FeatureEncoder,
    image: torch.Tensor,
    layer: int,
    channel: int,
    *,
    position: Sequence[int] | None = None,
) -> Projection:
    """Lead an activation back to the image through unpooling, rectifiers and transposed convolutions.

    Parameters
    ----------
    encoder : FeatureEncoder
        The network that is looked into.
    image : torch.Tensor, shape (batch, in_channels, y, x)
        What it looks at.
    layer : int
        Counted from 0.
    channel : int
        Feature of that layer.
    position : (int, int), optional
        Row and column in the pooled features; by default of each image's strongest activation.

    Returns
    -------
    Projection
        ``(pixels, position, activation)``.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit, or the encoder has no such layer, channel or position.

    Notes
    -----
    All other activations of the layer are set to zero. Then, for each layer downwards: the maxima go back to where
    they came from (the switches), what is negative is set to zero, and the layer's kernels are applied transposed;
    biases are left out. Zeiler and Fergus call it a deconvnet; nothing is deconvolved. It is the gradient of the
    activation by the image times the activation, but that the rectifiers look at what comes back instead of what went
    up (Simonyan et al.).

    References
    ----------
    M. D. Zeiler and R. Fergus, Proc. ECCV 818 (2014), doi:10.1007/978-3-319-10590-1_53, arXiv:1311.2901.
    K. Simonyan, A. Vedaldi and A. Zisserman, Deep inside convolutional networks (2013), arXiv:1312.6034.

    Examples
    --------
    >>> import torch
    >>> encoder, images = FeatureEncoder(1, 2, generator=0), torch.rand(1, 1, 32, 32)
    >>> found = deconvnet_projection(encoder, images, 1, 5)
    >>> found.pixels.shape, found.position.shape
    (torch.Size([1, 1, 32, 32]), torch.Size([1, 2]))
    """
    if not isinstance(encoder, FeatureEncoder):
        raise TypeError(f"encoder is of type {type(encoder).__name__}; a FeatureEncoder is wanted")
    depth = _index(layer, len(encoder.convolutions), "layer", "the encoder")
    stages = encoder.stages(image)[: depth + 1]
    top = stages[-1].pooled
    feature = _index(channel, top.shape[1], "channel", f"layer {depth}")
    rows, columns = top.shape[-2:]
    if position is None:
        place = top[:, feature].flatten(1).argmax(dim=1)
    else:
        row, column = entries(position, 2, "position", minimum=0)
        if row >= rows or column >= columns:
            raise ValueError(f"position is {(row, column)}, but layer {depth} has {rows} x {columns} pooled samples")
        place = torch.full((len(top),), row * columns + column, device=top.device)
    activation = top[:, feature].flatten(1).gather(1, place[:, None])[:, 0]
    back = torch.zeros_like(top)
    back[:, feature].view(len(top), -1).scatter_(1, place[:, None], activation[:, None])
    kernels = [layer.get_parameter("weight") for layer in encoder.convolutions[: depth + 1]]
    for stage, kernel in zip(reversed(stages), reversed(kernels), strict=True):
        fine = functional.max_unpool2d(back, stage.switches, (2, 2), output_size=list(stage.rectified.shape[-2:]))
        back = functional.conv_transpose2d(functional.relu(fine), kernel, padding=encoder.kernel_size // 2)
    where = torch.stack([place // columns, place % columns], dim=1)
    return Projection(back, where, activation)


def _index(value: int, count: int, name: str, of: str) -> int:
    """A number from 0 to `count` - 1."""
    index = entries(value, 1, name, minimum=0)[0]
    if index >= count:
        raise ValueError(f"{name} is {index}, but {of} has {count}; pass 0 to {count - 1}")
    return index
