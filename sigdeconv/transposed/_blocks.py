"""What the networks are made of: convolutions, some trained as products; bicubic interpolation; mirrors; checks."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .._array import kind, shown
from ._spacing import entries
from .bicubic import resize_matrix
from .receptive import Layer, samples_seen

Source = torch.Generator | int | None  #: of random numbers: a generator, a seed, or torch's own generator
Network = TypeVar("Network", bound=nn.Module)
BICUBIC = 2  # input samples to either side that bicubic interpolation sees


class CollapsibleConv(nn.Module):
    """A convolution that is trained as a product of two, with a shortcut around them, and is one when it is used.

    Parameters
    ----------
    in_channels, out_channels, kernel_size : int
        Of the convolution that it is; no padding.
    expansion : int
        Channels between the two factors.
    padding : int
        Zeros around the input.
    shortcut : bool
        Add the identity, channel to channel, to the kernel.
    gain : float
        Of the random kernel at the start, over that of Kaiming's.
    generator : torch.Generator, optional
        Source of the random numbers.

    Raises
    ------
    TypeError, ValueError
        `expansion` is no integer of at least 1.

    Notes
    -----
    With a `kernel_size` convolution E from the input to `expansion` channels, a 1 x 1 convolution P back and the
    identity I the layer is ``P E + I``, which is linear: it is one convolution, and is computed as one in training too
    (the product of the small matrices costs nothing beside the images). What is won is another path for the optimiser,
    on which small networks end at smaller errors.

    References
    ----------
    K. Bhardwaj et al., Collapsible linear blocks for super-efficient super resolution (2021), arXiv:2103.09404.
    X. Zhang, H. Zeng and L. Zhang, Proc. ACM Multimedia 4034 (2021), doi:10.1145/3474085.3475291 (other products).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        expansion: int,
        padding: int = 0,
        shortcut: bool = True,
        gain: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.padding, self.shortcut = padding, shortcut
        expansion = entries(expansion, 1, "expansion", minimum=1)[0]
        self.expand = nn.Parameter(torch.empty(expansion, in_channels, kernel_size, kernel_size))
        self.project = nn.Parameter(torch.empty(out_channels, expansion))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        with torch.no_grad():  # the variances multiply to gain² times Kaiming's
            self.expand.normal_(std=gain * math.sqrt(2 / (in_channels * kernel_size**2)), generator=generator)
            self.project.normal_(std=1 / math.sqrt(expansion), generator=generator)

    def kernel(self) -> torch.Tensor:
        """The kernel of the one convolution.

        Returns
        -------
        torch.Tensor, shape (out_channels, in_channels, kernel_size, kernel_size)
            The product of the factors, plus the identity with `shortcut`. Differentiable.
        """
        shape = (len(self.project), *self.expand.shape[1:])
        weight = torch.mm(self.project, self.expand.flatten(1)).reshape(shape)
        if not self.shortcut:
            return weight
        middle = self.expand.shape[-1] // 2
        identity = torch.zeros_like(weight)
        identity[..., middle, middle] = torch.eye(*weight.shape[:2], dtype=weight.dtype, device=weight.device)
        return weight + identity

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve a batch of images.

        Parameters
        ----------
        x : torch.Tensor, shape (batch, in_channels, y, x)
            What is to be convolved.

        Returns
        -------
        torch.Tensor, shape (batch, out_channels, ...)
            Each side is longer by ``2 * padding - kernel_size + 1``.
        """
        return functional.conv2d(x, self.kernel(), self.bias, padding=self.padding)

    def collapse(self) -> nn.Conv2d:
        """The one convolution.

        Returns
        -------
        torch.nn.Conv2d
            With weights of its own, which are the `kernel`.
        """
        with torch.no_grad():
            weight = self.kernel()
            out, into, k, _ = weight.shape
            plain = _conv2d(into, out, k, padding=self.padding, dtype=weight.dtype)
            plain.weight.copy_(weight)
            plain.get_parameter("bias").copy_(self.bias)
        return plain.to(weight.device).train(self.training)


class Bicubic(nn.Module):
    """Bicubic enlargement, a transposed convolution by Keys' kernel in its sub-pixel form; nothing in it is learned.

    Takes images with two more samples along each edge, which are used up.
    """

    kernel: torch.Tensor

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        # The rows of a sample far from the frame: one for each of the phases, over the five samples that they see.
        middle = 2 * BICUBIC
        rows = resize_matrix(2 * middle + 1, scale)[middle * scale : (middle + 1) * scale, BICUBIC : -BICUBIC or None]
        kernel = np.einsum("ik,jl->ijkl", rows, rows).reshape(scale**2, 1, *[rows.shape[1]] * 2)
        self.register_buffer("kernel", torch.as_tensor(kernel, dtype=torch.get_default_dtype()), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Enlarge ``(batch, 1, y + 4, x + 4)``."""
        with torch.autocast(x.device.type, enabled=False):  # in reduced precision the base alone would be levels off
            return functional.pixel_shuffle(functional.conv2d(x, self.kernel), self.scale)


def convolution(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    stride: int = 1,
    padding: int | None = None,
    bias: bool = True,
    gain: float = 1.0,
    generator: torch.Generator | None = None,
) -> nn.Conv2d:
    """A convolution that starts with Kaiming's variance before a rectifier, times the square of `gain`.

    By default it is padded so that an odd kernel keeps the frame, and an even one of that stride halves it.
    """
    if padding is None:
        padding = (kernel_size - stride + 1) // 2
    layer = _conv2d(in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=bias)
    with torch.no_grad():
        layer.weight.normal_(std=gain * math.sqrt(2 / (in_channels * kernel_size**2)), generator=generator)
        if layer.bias is not None:
            layer.bias.zero_()
    return layer


def trained_convolution(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    expansion: int | None,
    padding: int = 0,
    shortcut: bool = True,
    gain: float = 1.0,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """A `CollapsibleConv`, or without `expansion` the plain convolution that it becomes (and starts as)."""
    if expansion is not None:
        return CollapsibleConv(
            in_channels,
            out_channels,
            kernel_size,
            expansion=expansion,
            padding=padding,
            shortcut=shortcut,
            gain=gain,
            generator=generator,
        )
    layer = convolution(in_channels, out_channels, kernel_size, padding=padding, gain=gain, generator=generator)
    if shortcut:
        middle = kernel_size // 2
        with torch.no_grad():
            layer.weight[..., middle, middle] += torch.eye(out_channels, in_channels)
    return layer


def collapsed(network: Network) -> Network:
    """A copy in which every `CollapsibleConv` is the plain convolution that it stands for."""
    network = copy.deepcopy(network)
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, CollapsibleConv):
                setattr(parent, name, child.collapse())
    return network


def parameters_count(module: nn.Module) -> int:
    """How many numbers a network has once it is used: a `CollapsibleConv` counts as the convolution it becomes.

    Parameters
    ----------
    module : torch.nn.Module
        The network, collapsed or not.

    Returns
    -------
    int
        Weights and biases; what is not learned does not count.

    Examples
    --------
    >>> import torch
    >>> parameters_count(torch.nn.Conv2d(56, 12, 1))
    684
    """
    factors = [part for part in module.modules() if isinstance(part, CollapsibleConv)]
    total = sum(p.numel() for p in module.parameters())
    for part in factors:
        out, into, (y, x) = part.project.shape[0], part.expand.shape[1], part.expand.shape[2:]
        total += out * into * y * x - part.project.numel() - part.expand.numel()
    return total


def mirrored(x: torch.Tensor, before: int, after: int | Sequence[int]) -> torch.Tensor:
    """The last two axes continued past the frame by mirrors along its edges, however far: ``c b a | a b c | c b a``."""
    afters = (after, after) if isinstance(after, int) else tuple(after)
    for axis, more in zip((-2, -1), afters, strict=True):
        if before or more:
            n = x.shape[axis]
            place = torch.arange(-before, n + more, device=x.device) % (2 * n)
            x = x.index_select(axis, torch.where(place < n, place, 2 * n - 1 - place))
    return x


def to_multiple(x: torch.Tensor, multiple: int) -> torch.Tensor:
    """The images continued by mirrors at their ends until `multiple` divides their sides."""
    return mirrored(x, 0, [-n % multiple for n in x.shape[-2:]])


def require_images(x: torch.Tensor, channels: int, name: str = "x") -> None:
    """Refuse what is not a batch of images with that many channels."""
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"{name} is {shown(x)}; a torch.Tensor of shape (batch, {channels}, y, x) is wanted")
    if not x.is_floating_point():
        raise TypeError(f"{name} is a {kind(x)} of {x.dtype}; floating point is wanted: pass {name}.float()")
    if x.ndim != 4 or x.shape[1] != channels or 0 in x.shape:
        raise ValueError(f"{name} has shape {tuple(x.shape)}; (batch, {channels}, y, x) is wanted, none of them 0")


def random_source(generator: Source) -> torch.Generator | None:
    """The generator that is meant."""
    if generator is None or isinstance(generator, torch.Generator):
        return generator
    if isinstance(generator, bool) or not isinstance(generator, (int, np.integer)) or generator < 0:
        raise TypeError(f"generator is {shown(generator)}; pass a torch.Generator, a seed of at least 0, or None")
    return torch.Generator().manual_seed(int(generator))


def reach(path: Sequence[Layer], *, scale: int = 1, period: int = 1) -> int:
    """How far from an output sample, in samples of the input and to either side, the input still counts.

    Parameters
    ----------
    path : sequence of Layer
        The way through the network that sees the most.
    scale : int
        Output samples for one of the input.
    period : int
        Input samples after which all repeats.
    """
    farthest = 0
    for i in range(scale * period):
        seen = samples_seen(path, i, ndim=1)[0]
        farthest = max(farthest, i // scale - int(seen[0]), int(seen[-1]) - i // scale)
    return farthest


def _conv2d(*args: Any, **kwargs: Any) -> nn.Conv2d:
    with torch.random.fork_rng(devices=[]):  # torch fills it; what it draws is thrown away
        return nn.Conv2d(*args, **kwargs)
