"""Resizing before a convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from .._array import choice
from ._transposed import TransposedUpsample
from ._upsampler import CONVOLVE, TRANSPOSE, Upsampler, cropped, reaching, surrounded
from .initialisation import fill, kaiming_, triangle, windowed_sinc

INTERPOLATIONS = ("nearest", "linear")
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}  # torch's names, by the number of axes


class ResizeConv(Upsampler):
    """Enlarge by nearest-neighbour or linear interpolation, then convolve: free of checkerboards by construction.

    Arguments are those of `TransposedUpsample`, and one more.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of input and output.
    kernel_size : int or sequence of int
        Taps of the convolution, on the fine grid of the output.
    scale : int or sequence of int
        Output samples for one input sample, on each axis.
    interpolation : {"nearest", "linear"}
        How to resize.
    ndim : {2, 1, 3}
        Number of axes besides batch and channels.
    padding : int or sequence of int, optional
        Samples of the fine grid before the first one of the convolution, ``(kernel_size - 1) // 2`` by default.
    padding_mode : {"zeros", "replicate", "reflect", "circular"}
        What the input does past the frame. With "zeros" a flat input darkens towards the frame.
    bias : bool
        Add a number to every output channel.
    initialisation : {"kaiming", "icnr", "bilinear", "sinc"}
        What to start from, see Notes.
    checkerboard_free : bool
        Changes nothing here, see Notes.
    generator : torch.Generator, optional
        Source of the random numbers.
    device : torch.device or str, optional
        Where the parameters lie; torch's own choice by default.
    dtype : torch.dtype, optional
        Of the parameters; torch's own choice by default.

    Attributes
    ----------
    weight : Parameter, shape (out_channels, in_channels, *kernel_size)
        As in `torch.nn.Conv2d`.
    bias : Parameter, shape (out_channels,), or None
        One number an output channel.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; so does an input of the wrong shape, when it comes.

    Notes
    -----
    `checkerboard_free` changes nothing here: interpolation has equal polyphase sums, and a convolution cannot undo
    them. For the same reason "icnr" is "kaiming". "bilinear" and "sinc" are the kernels that with the interpolation
    come nearest to these, in least squares; "bilinear" exactly. It wants a `kernel_size` of ``scale + 1 - scale % 2``
    or more after "nearest".

    The convolution runs on the fine grid and costs as many times more as there are samples for one of the input.
    ``to_transposed().to_subpixel()`` is the same operator, an order of magnitude faster.

    References
    ----------
    A. Odena, V. Dumoulin and C. Olah, Distill (2016), doi:10.23915/distill.00003.

    Examples
    --------
    >>> import torch
    >>> x, layer = torch.rand(1, 8, 5, 7), ResizeConv(8, 3, 3, scale=2)
    >>> torch.allclose(layer.to_transposed()(x), layer(x), atol=1e-6)
    True
    >>> layer.to_transposed().kernel_size
    (4, 4)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        *,
        scale: int | Sequence[int],
        interpolation: str = "nearest",
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
        torch.nn.Module.__init__(self)  # so that what the initial weights depend on can be set
        self.interpolation = choice(interpolation, INTERPOLATIONS, "interpolation")
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            scale=scale,
            ndim=ndim,
            padding=padding,
            padding_mode=padding_mode,
            bias=bias,
            initialisation=initialisation,
            checkerboard_free=checkerboard_free,
            generator=generator,
            device=device,
            dtype=dtype,
        )

    def to_transposed(self) -> TransposedUpsample:
        """The same operator as a transposed convolution, by convolving the kernel with the interpolation's; exact.

        Returns
        -------
        TransposedUpsample
            With weights of its own. Its kernel is larger by ``scale - 1`` taps an axis for "nearest", ``2 scale -
            scale % 2 - 1`` for "linear".
        """
        kernel = self.weight.detach().flip(tuple(range(2, self.ndim + 2))).transpose(0, 1)
        flat = kernel.reshape(-1, 1, *self.kernel_size)
        held = np.ones(())
        for s in self.scale:
            held = np.multiply.outer(held, self._held(s))
        held_like = torch.as_tensor(held, dtype=kernel.dtype, device=kernel.device)[None, None]
        weight = TRANSPOSE[self.ndim](flat, held_like)
        weight = weight.reshape(*kernel.shape[:2], *weight.shape[2:])
        return self._sibling(TransposedUpsample, weight, *self._as_transposed())

    def extra_repr(self) -> str:
        """What is shown of the layer in a network.

        Returns
        -------
        str
            As of the other layers, and the interpolation.
        """
        return f"{super().extra_repr()}, interpolation={self.interpolation!r}"

    def _check_kernel(self) -> None:
        pass  # of any size: the interpolation has reached all of the output

    def _centred(self) -> tuple[int, ...]:
        return tuple((k - 1) // 2 for k in self.kernel_size)

    def _weight_shape(self) -> tuple[int, ...]:
        return (self.out_channels, self.in_channels, *self.kernel_size)

    def _held(self, s: int) -> np.ndarray[Any, Any]:
        """The interpolation's kernel."""
        return np.ones(s) if self.interpolation == "nearest" else triangle(2 * s - s % 2, s, s // 2)

    def _as_transposed(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Kernel and padding of the equivalent transposed convolution."""
        held = [(len(self._held(s)), 0 if self.interpolation == "nearest" else s // 2) for s in self.scale]
        sizes = tuple(k + h - 1 for k, (h, _) in zip(self.kernel_size, held, strict=True))
        cuts = zip(self.kernel_size, self.padding, held, strict=True)
        return sizes, tuple(k - 1 - p + before for k, p, (_, before) in cuts)

    def _initialise(self, generator: torch.Generator | None) -> None:
        start = self.weight.transpose(0, 1)
        if self.initialisation in ("kaiming", "icnr"):
            kaiming_(start, 1, generator=generator)
            return
        wanted = {"bilinear": triangle, "sinc": windowed_sinc}[self.initialisation]
        profiles = []
        for k, s, size, cut in zip(self.kernel_size, self.scale, *self._as_transposed(), strict=True):
            held = self._held(s)
            shifts = np.stack([np.pad(held, (i, k - 1 - i)) for i in range(k)], axis=1)
            taps = np.linalg.lstsq(shifts, wanted(size, s, cut), rcond=None)[0][::-1]
            profiles.append(taps / taps.sum())  # a flat input keeps its height
        fill(start, profiles)

    def _enlarge(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        wanted = [n * s for n, s in zip(x.shape[2:], self.scale, strict=True)]
        sizes, cuts = self._as_transposed()
        margins = reaching(sizes, self.scale, cuts)
        x = surrounded(x, margins, self.padding_mode)
        fine = [n * s for n, s in zip(x.shape[2:], self.scale, strict=True)]
        if self.interpolation == "nearest":
            x = functional.interpolate(x, fine, mode="nearest-exact")
        else:
            x = functional.interpolate(x, fine, mode=LINEAR[self.ndim], align_corners=False)
        starts = [low * s - p for (low, _), s, p in zip(margins, self.scale, self.padding, strict=True)]
        part = cropped(x, starts, [n + k - 1 for n, k in zip(wanted, self.kernel_size, strict=True)])
        return CONVOLVE[self.ndim](part, weight)
