"""Transposed convolution and sub-pixel convolution: one operator in two forms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from .._array import Array, choice, floating, per_axis, to_numpy
from ._polyphase import with_equal_sums
from ._shuffle import pixel_shuffle, subpixel_to_transposed, transposed_to_subpixel
from ._spacing import entries
from ._upsampler import CONVOLVE, TRANSPOSE, Upsampler, cropped, reaching, surrounded


class TransposedUpsample(Upsampler):
    """Enlarge by a transposed convolution: every input sample adds a kernel to the output, `scale` samples apart.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of input and output.
    kernel_size : int or sequence of int
        Taps of the kernel on the fine grid of the output; at least `scale`.
    scale : int or sequence of int
        Output samples for one input sample, the stride.
    ndim : {2, 1, 3}
        Number of axes besides batch and channels.
    padding : int or sequence of int, optional
        Samples cut off before the first output sample, as in torch; what is cut off (or added) at the other end follows
        from the shape. By default ``(kernel_size - scale) // 2``, which centres the kernel on the area of the input
        sample: nothing moves if ``kernel_size - scale`` is even, otherwise half an output sample.
    padding_mode : {"zeros", "replicate", "reflect", "circular"}
        What the input does past the frame. With "zeros" a flat input darkens towards the frame.
    bias : bool
        Add a number to every output channel.
    initialisation : {"kaiming", "icnr", "bilinear", "sinc"}
        What to start from, see `sigdeconv.transposed.initialisation`.
    checkerboard_free : bool
        Apply the nearest weights whose polyphase components have equal sums, in training too: a flat input then gives
        a flat output, whatever is learned.
    generator : torch.Generator, optional
        Source of the random numbers.
    device : torch.device or str, optional
        Where the parameters lie; torch's own choice by default.
    dtype : torch.dtype, optional
        Of the parameters; torch's own choice by default.

    Attributes
    ----------
    weight : Parameter, shape (in_channels, out_channels, *kernel_size)
        As in `torch.nn.ConvTranspose2d`.
    bias : Parameter, shape (out_channels,), or None
        One number an output channel.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; so does an input of the wrong shape, when it comes.

    Notes
    -----
    Of the two ways to keep checkerboards away, a zero-order hold after the layer and equal sums, `checkerboard_free`
    takes the second: it takes ``prod(scale) - 1`` numbers from each kernel instead of a blur, and leaves kernel, cost
    and stored weights as they are, so that it can be switched on for trained weights. To the least-squares kernel that
    enlarges photographs it costs 0.001 dB; a hold in a kernel of the same size costs up to 0.03 dB. `ResizeConv` is
    the hold.

    On a CPU the sub-pixel form is some three times as fast, and gives the same numbers: see `to_subpixel`.

    References
    ----------
    M. D. Zeiler et al., Proc. CVPR 2528 (2010), doi:10.1109/CVPR.2010.5539957.
    V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning (2016), arXiv:1603.07285.

    Examples
    --------
    >>> import torch
    >>> layer = TransposedUpsample(1, 1, 4, scale=2, ndim=1, initialisation="bilinear", padding_mode="replicate")
    >>> layer(torch.tensor([[[0.0, 4.0, 8.0]]])).tolist()
    [[[0.0, 1.0, 3.0, 5.0, 7.0, 8.0]]]
    """

    @classmethod
    def from_psf(
        cls,
        psf: Array,
        scale: int | Sequence[int],
        *,
        center: int | Sequence[int] | None = None,
        padding_mode: str = "zeros",
    ) -> TransposedUpsample:
        """The layer of one channel that is the transpose of a blur seen on every `scale`-th sample.

        Parameters
        ----------
        psf : array, shape (k,), (k, l) or (j, k, l)
            Point spread function.
        scale : int or sequence of int
            The stride of the blur.
        center : int or sequence of int, optional
            Origin of the PSF, sample ``n // 2`` by default.
        padding_mode : {"zeros", "circular"}
            The boundary "zero" or "periodic" of the blur; the others have no such transpose.

        Returns
        -------
        TransposedUpsample
            In the dtype of `psf`, without bias. Its weights can be trained on.

        Raises
        ------
        TypeError, ValueError
            The PSF is not real or not finite, has not one to three axes, or another argument does not fit it.

        Examples
        --------
        >>> import numpy as np, torch, sigdeconv
        >>> psf, y = np.array([1.0, 2.0, 4.0, 8.0]), np.array([1.0, 0.0, 3.0])
        >>> blur = sigdeconv.Convolution(psf, 3, stride=2, boundary="zero")
        >>> layer = TransposedUpsample.from_psf(psf, 2)
        >>> bool(np.allclose(layer(torch.as_tensor(y)[None, None]).detach()[0, 0], blur.adjoint(y)))
        True
        """
        choice(padding_mode, ("zeros", "circular"), "padding_mode")
        taps = np.asarray(to_numpy(floating(psf, "psf")))
        if not 1 <= taps.ndim <= 3:
            raise ValueError(f"psf has {taps.ndim} dimensions; 1, 2 or 3 are wanted")
        scales = entries(scale, taps.ndim, "scale", minimum=1)
        origin = (
            tuple(k // 2 for k in taps.shape) if center is None else per_axis(center, taps.ndim, "center", minimum=0)
        )
        if any(c >= k for c, k in zip(origin, taps.shape, strict=True)):
            raise ValueError(f"center is {origin} but the psf has shape {taps.shape}; pass a sample inside it")
        cut = tuple(k - 1 - c for k, c in zip(taps.shape, origin, strict=True))
        # Networks correlate. A PSF smaller than the stride leaves gaps, which zeros in the kernel say.
        longer = [(0, max(0, s - k)) for k, s in zip(taps.shape, scales, strict=True)]
        weight = torch.as_tensor(np.pad(np.flip(taps), longer))
        layer = cls(
            1,
            1,
            tuple(weight.shape),
            scale=scales,
            ndim=taps.ndim,
            padding=cut,
            padding_mode=padding_mode,
            bias=False,
            dtype=weight.dtype,
        )
        with torch.no_grad():
            layer.weight.copy_(weight[None, None])
        return layer

    @property
    def stride(self) -> tuple[int, ...]:
        """`scale`, under the name that tables of layers look for."""
        return self.scale

    def effective_weight(self) -> torch.Tensor:
        """The weights that are applied: the stored ones, made free of checkerboards if that was asked for.

        Returns
        -------
        torch.Tensor
            Of the shape of `weight`. Differentiable.
        """
        return with_equal_sums(self.weight, self.scale) if self.checkerboard_free else self.weight

    def to_subpixel(self, *, aligned: bool = False) -> SubpixelConv:
        """The same operator as a sub-pixel convolution; exact.

        Parameters
        ----------
        aligned : bool
            Add zeros before the kernel, so that `padding` becomes a multiple of `scale`: the result is then a plain
            convolution and a pixel shuffle with nothing to crop, for exchange with other programs.

        Returns
        -------
        SubpixelConv
            With weights of its own. Where `scale` does not divide `kernel_size`, zeros are added after the kernel.
        """
        front = [-p % s if aligned else 0 for p, s in zip(self.padding, self.scale, strict=True)]
        back = [-(k + f) % s for k, f, s in zip(self.kernel_size, front, self.scale, strict=True)]
        sides = [side for pair in zip(reversed(front), reversed(back), strict=True) for side in pair]
        weight = functional.pad(self.effective_weight().detach(), sides)
        cut = [p + f for p, f in zip(self.padding, front, strict=True)]
        return self._sibling(SubpixelConv, transposed_to_subpixel(weight, self.scale), weight.shape[2:], cut)

    def to_transposed(self) -> TransposedUpsample:
        """A copy.

        Returns
        -------
        TransposedUpsample
            With weights of its own: those that are applied.
        """
        return self._sibling(TransposedUpsample, self.effective_weight().detach(), self.kernel_size, self.padding)

    def _initialise(self, generator: torch.Generator | None) -> None:
        self.weight.copy_(self._transposed_start(generator))

    def _enlarge(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        wanted = [n * s for n, s in zip(x.shape[2:], self.scale, strict=True)]
        margins = reaching(self.kernel_size, self.scale, self.padding)
        if self.padding_mode == "zeros":
            margins = ((0, 0),) * self.ndim  # zeros add nothing
        x = surrounded(x, margins, self.padding_mode)
        cut, extra, starts = [], [], []
        for k, s, p, (low, high) in zip(self.kernel_size, self.scale, self.padding, margins, strict=True):
            before, after = p + s * low, k - s - p + s * high
            # torch cuts the same off both ends and adds up to s - 1 samples after the last; the rest is cropped.
            cut.append(min(before, after + s - 1))
            extra.append(max(0, cut[-1] - after))
            starts.append(before - cut[-1])
        y = TRANSPOSE[self.ndim](x, weight, stride=self.scale, padding=cut, output_padding=extra)
        return cropped(y, starts, wanted)


class SubpixelConv(Upsampler):
    """Enlarge by a convolution to ``prod(scale)`` times the channels, which are then laid out as pixels.

    Arguments are those of `TransposedUpsample`, of the same meaning.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of input and output.
    kernel_size : int or sequence of int
        Taps on the fine grid of the output, a multiple of `scale`: a 3 x 3 convolution before a shuffle by 2 has 6.
    scale : int or sequence of int
        Output samples for one input sample, on each axis.
    ndim : {2, 1, 3}
        Number of axes besides batch and channels.
    padding : int or sequence of int, optional
        Samples cut off before the first output sample; ``(kernel_size - scale) // 2`` by default, which is centred.
    padding_mode : {"zeros", "replicate", "reflect", "circular"}
        What the input does past the frame. With "zeros" a flat input darkens towards the frame.
    bias : bool
        Add a number to every output channel.
    initialisation : {"kaiming", "icnr", "bilinear", "sinc"}
        What to start from, see `sigdeconv.transposed.initialisation`.
    checkerboard_free : bool
        Apply the nearest weights with which a flat input gives a flat output, in training too.
    generator : torch.Generator, optional
        Source of the random numbers.
    device : torch.device or str, optional
        Where the parameters lie; torch's own choice by default.
    dtype : torch.dtype, optional
        Of the parameters; torch's own choice by default.

    Attributes
    ----------
    weight : Parameter, shape (out_channels * prod(scale), in_channels, *(kernel_size / scale))
        As in `torch.nn.Conv2d` before `torch.nn.PixelShuffle`.
    bias : Parameter, shape (out_channels,), or None
        One number an output channel: one for each of the shuffled channels would itself be a checkerboard.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; so does an input of the wrong shape, when it comes.

    Notes
    -----
    With the default `padding` and an odd ``kernel_size / scale``, or any `padding` that is a multiple of `scale`, this
    is a convolution and a pixel shuffle. Otherwise ``padding % scale`` output samples are cropped off.

    References
    ----------
    W. Shi et al., Proc. CVPR 1874 (2016), doi:10.1109/CVPR.2016.207.
    W. Shi et al., Is the deconvolution layer the same as a convolutional layer? (2016), arXiv:1609.07009.

    Examples
    --------
    >>> import torch
    >>> x, layer = torch.rand(1, 8, 5, 7), SubpixelConv(8, 3, 6, scale=2)
    >>> y = layer(x)
    >>> y.shape
    torch.Size([1, 3, 10, 14])
    >>> torch.allclose(layer.to_transposed()(x), y, atol=1e-6)
    True
    """

    def effective_weight(self) -> torch.Tensor:
        """The weights that are applied: the stored ones, made free of checkerboards if that was asked for.

        Returns
        -------
        torch.Tensor
            Of the shape of `weight`. Differentiable.
        """
        if not self.checkerboard_free:
            return self.weight
        free = with_equal_sums(subpixel_to_transposed(self.weight, self.scale), self.scale)
        return transposed_to_subpixel(free, self.scale)

    def to_transposed(self) -> TransposedUpsample:
        """The same operator as a transposed convolution; exact.

        Returns
        -------
        TransposedUpsample
            With weights of its own, and the same `kernel_size` and `padding`.
        """
        weight = subpixel_to_transposed(self.effective_weight().detach(), self.scale)
        return self._sibling(TransposedUpsample, weight, self.kernel_size, self.padding)

    def _check_kernel(self) -> None:
        super()._check_kernel()
        if any(k % s for k, s in zip(self.kernel_size, self.scale, strict=True)):
            near = tuple(-(-k // s) * s for k, s in zip(self.kernel_size, self.scale, strict=True))
            raise ValueError(
                f"kernel_size is {self.kernel_size} but a multiple of scale {self.scale} is wanted; pass {near}"
            )

    def _weight_shape(self) -> tuple[int, ...]:
        taps = (k // s for k, s in zip(self.kernel_size, self.scale, strict=True))
        return (self.out_channels * math.prod(self.scale), self.in_channels, *taps)

    def _initialise(self, generator: torch.Generator | None) -> None:
        self.weight.copy_(transposed_to_subpixel(self._transposed_start(generator), self.scale))

    def _enlarge(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        wanted = [n * s for n, s in zip(x.shape[2:], self.scale, strict=True)]
        margins = reaching(self.kernel_size, self.scale, self.padding)
        if self.padding_mode == "zeros" and all(low == high for low, high in margins):
            y = CONVOLVE[self.ndim](x, weight, padding=[low for low, _ in margins])
        else:
            y = CONVOLVE[self.ndim](surrounded(x, margins, self.padding_mode), weight)
        starts = [p % s for p, s in zip(self.padding, self.scale, strict=True)]
        return cropped(pixel_shuffle(y, self.scale), starts, wanted)
