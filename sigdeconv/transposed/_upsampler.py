"""What the upsampling layers share: arguments, checks, the surroundings of the input, the bias."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch.nn import functional

from .._array import choice
from ._spacing import entries
from .initialisation import INITIALISATIONS, bilinear_, centred, icnr_, kaiming_, sinc_

PADDING_MODES = ("zeros", "replicate", "reflect", "circular")
CONVOLVE: dict[int, Callable[..., torch.Tensor]] = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSE: dict[int, Callable[..., torch.Tensor]] = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
Layer = TypeVar("Layer", bound="Upsampler")
Margins = tuple[tuple[int, int], ...]  #: samples before and after the input, an axis


class Upsampler(torch.nn.Module):
    """What the three layers share: arguments, checks, the input's surroundings and the bias."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        *,
        scale: int | Sequence[int],
        ndim: int = 2,
        padding: int | Sequence[int] | None = None,
        padding_mode: str = "zeros",
        bias: bool = True,
        initialisation: str = "kaiming",
        checkerboard_free: bool = False,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = entries(in_channels, 1, "in_channels", minimum=1)[0]
        self.out_channels = entries(out_channels, 1, "out_channels", minimum=1)[0]
        self.ndim = entries(ndim, 1, "ndim", minimum=1)[0]
        if self.ndim > 3:
            raise ValueError(f"ndim is {self.ndim}; 1, 2 or 3 is wanted")
        self.kernel_size = entries(kernel_size, self.ndim, "kernel_size", minimum=1)
        self.scale = entries(scale, self.ndim, "scale", minimum=1)
        self._check_kernel()
        self.padding = self._centred() if padding is None else entries(padding, self.ndim, "padding", minimum=0)
        if any(p >= k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(f"padding is {self.padding} but kernel_size {self.kernel_size}; pass less than the kernel")
        self.padding_mode = choice(padding_mode, PADDING_MODES, "padding_mode")
        self.initialisation = choice(initialisation, INITIALISATIONS, "initialisation")
        self.checkerboard_free = bool(checkerboard_free)
        self.weight = torch.nn.Parameter(torch.empty(self._weight_shape(), device=device, dtype=dtype))
        self.bias = torch.nn.Parameter(torch.empty(self.out_channels, device=device, dtype=dtype)) if bias else None
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Start anew: weights by the layer's initialisation, the bias at zero.

        Parameters
        ----------
        generator : torch.Generator, optional
            Source of the random numbers; torch's own by default.
        """
        with torch.no_grad():
            self._initialise(generator)
            if self.bias is not None:
                self.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Enlarge a batch.

        Parameters
        ----------
        x : torch.Tensor, shape (batch, in_channels, *frame)
            What is to be enlarged.

        Returns
        -------
        torch.Tensor, shape (batch, out_channels, *(scale * frame))
            Every axis of the frame `scale` times as long.

        Raises
        ------
        ValueError
            `x` has another shape, or is too small for the padding mode.
        """
        if x.ndim != self.ndim + 2 or x.shape[1] != self.in_channels:
            frame = ", ".join(["n"] * self.ndim)
            raise ValueError(f"x has shape {tuple(x.shape)}; (batch, {self.in_channels}, {frame}) is wanted")
        y = self._enlarge(x, self.effective_weight())
        return y if self.bias is None else y + self.bias.view(-1, *(1,) * self.ndim)

    def effective_weight(self) -> torch.Tensor:
        """The weights that are applied: the stored ones, made free of checkerboards if that was asked for.

        Returns
        -------
        torch.Tensor
            Of the shape of `weight`. Differentiable.
        """
        return self.weight

    def extra_repr(self) -> str:
        """What is shown of the layer in a network.

        Returns
        -------
        str
            Channels, kernel and scale, and of the other arguments those that change what it computes.
        """
        parts = [f"{self.in_channels}, {self.out_channels}, {self.kernel_size}, scale={self.scale}"]
        parts += [f"padding={self.padding}"] * (self.padding != self._centred())
        parts += [f"padding_mode={self.padding_mode!r}"] * (self.padding_mode != "zeros")
        parts += ["bias=False"] * (self.bias is None) + ["checkerboard_free=True"] * self.checkerboard_free
        return ", ".join(parts)

    def _check_kernel(self) -> None:
        if any(k < s for k, s in zip(self.kernel_size, self.scale, strict=True)):
            raise ValueError(
                f"kernel_size is {self.kernel_size} but scale {self.scale}, so no tap would reach some of the output; "
                "pass a kernel of at least the scale"
            )

    def _centred(self) -> tuple[int, ...]:
        return centred(self.kernel_size, self.scale)

    def _weight_shape(self) -> tuple[int, ...]:
        return (self.in_channels, self.out_channels, *self.kernel_size)

    def _transposed_start(self, generator: torch.Generator | None) -> torch.Tensor:
        """Initial weights as those of a transposed convolution."""
        weight = self.weight.new_empty((self.in_channels, self.out_channels, *self.kernel_size))
        if self.initialisation == "kaiming":
            return kaiming_(weight, self.scale, generator=generator)
        if self.initialisation == "icnr":
            return icnr_(weight, self.scale, padding=self.padding, generator=generator)
        return {"bilinear": bilinear_, "sinc": sinc_}[self.initialisation](weight, self.scale, padding=self.padding)

    def _initialise(self, generator: torch.Generator | None) -> None:
        raise NotImplementedError

    def _enlarge(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def _sibling(self, kind: type[Layer], weight: torch.Tensor, size: Sequence[int], cut: Sequence[int]) -> Layer:
        """A layer of another kind with these weights, and the rest as here."""
        layer = kind(
            self.in_channels,
            self.out_channels,
            tuple(size),
            scale=self.scale,
            ndim=self.ndim,
            padding=tuple(cut),
            padding_mode=self.padding_mode,
            bias=self.bias is not None,
            checkerboard_free=self.checkerboard_free,
            device=self.weight.device,
            dtype=self.weight.dtype,
        )
        with torch.no_grad():
            layer.weight.copy_(weight)
            if self.bias is not None and layer.bias is not None:
                layer.bias.copy_(self.bias)
        return layer


def reaching(kernel_size: Sequence[int], scale: Sequence[int], padding: Sequence[int]) -> Margins:
    """How many input samples past each end of the frame reach into the output of a transposed convolution."""
    return tuple(((k - 1 - p) // s, -(-p // s)) for k, s, p in zip(kernel_size, scale, padding, strict=True))


def surrounded(x: torch.Tensor, margins: Margins, mode: str) -> torch.Tensor:
    """The input with its surroundings as `mode` imagines them."""
    widest = {"reflect": lambda n: n - 1, "circular": lambda n: n}.get(mode)
    for n, margin in zip(x.shape[2:], margins, strict=True):
        if widest is not None and max(margin) > widest(n):
            raise ValueError(
                f"x has shape {tuple(x.shape)}, too small for {max(margin)} samples of padding_mode {mode!r}; "
                "pass a larger input, or use padding_mode='replicate'"
            )
    if not any(map(any, margins)):
        return x
    sides = [side for margin in reversed(margins) for side in margin]
    return functional.pad(x, sides, mode="constant" if mode == "zeros" else mode)


def cropped(x: torch.Tensor, starts: Sequence[int], sizes: Sequence[int]) -> torch.Tensor:
    """The part of the last axes that begins at `starts`."""
    for axis, start, size in zip(range(-len(sizes), 0), starts, sizes, strict=True):
        x = x.narrow(axis, start, size)
    return x
