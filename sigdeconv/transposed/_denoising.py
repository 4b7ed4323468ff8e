"""A network that takes white Gaussian noise of a known strength away."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from .._array import number, shown, to_numpy
from ..deconvolution.noise import estimate_noise
from ._blocks import Source, convolution, random_source, reach, require_images, to_multiple
from ._spacing import entries
from ._transposed import TransposedUpsample
from .receptive import Layer

QUIET = 0.1  # of Kaiming's deviation: each block starts near the identity, and the network near leaving the image alone
WINDOW, PASSES = 5, 2  # samples of the mean, taken twice, by which the strength of a change is measured where it is
SLACK = 1.35  # by chance the noise in such a window is stronger than its mean; less would cost strong noise decibels
LINEAR = math.sqrt(0.5)  # where no rectifier halves the variance


class ResidualBlock(nn.Module):
    """Two convolutions with a rectifier between, added to the input; no biases."""

    def __init__(self, channels: int, generator: torch.Generator | None) -> None:
        super().__init__()
        self.first = convolution(channels, channels, 3, bias=False, generator=generator)
        self.second = convolution(channels, channels, 3, bias=False, gain=QUIET, generator=generator)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of the shape of the input."""
        y: torch.Tensor = self.second(functional.relu(self.first(x)))
        return x + y


class Denoiser(nn.Module):
    """Take Gaussian noise away: an encoder of strided convolutions, a decoder of transposed convolutions, skips.

    Parameters
    ----------
    channels : {1, 3}
        Of the images.
    width : int
        Features at full resolution; each level below has twice as many.
    levels : int
        Resolutions: full, half, quarter, ...
    blocks : int
        Residual blocks of two 3 x 3 convolutions, in each level of the encoder and the decoder, and at the bottom.
    bounded : bool
        Take off no more than there is noise, see Notes. A network that is to learn another task has to do without.
    generator : torch.Generator or int, optional
        Source of the random numbers, or its seed.

    Attributes
    ----------
    reach : int
        Samples to either side of an output sample that it depends on: 49.
    multiple : int
        Tiles that begin on multiples of it see the same grid as the whole image; 4 with three levels.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; so do images or a noise level, when they come.

    Notes
    -----
    2 x 2 convolutions of stride 2 lead down, 2 x 2 transposed convolutions of stride 2 up, whose kernels do not overlap
    and so make no checkerboard. On each level the encoder's features are added to the decoder's. The noise level comes
    in as one more channel, as in FFDNet, and the result is added to the image. The plan is DRUNet's, which has 50 times
    as many parameters: here 585,864 for one channel.

    What is taken off cannot be stronger than the noise (`bounded`): where the local mean square of the change is above
    ``1.35 sigma^2`` the change is weakened by their ratio, which is Wiener's gain for noise with something else in it.
    So nothing is changed where there is no noise. Measured on three photographs, on a network that had learned without
    it: at 2 grey levels of noise +3.3 dB, at 5 +1.0, at 10 +0.3, at 25 and 50 -0.01.

    No layer has a bias, and rectifiers and sums keep a positive factor: ``f(a x, a sigma) = a f(x, sigma)`` for any
    a > 0. So the network knows no units, and what it learned at one noise level serves at others (Mohan et al.).

    Images whose sides `multiple` does not divide are mirrored at their ends, and cropped again.

    References
    ----------
    K. Zhang et al., IEEE Trans. Pattern Anal. Mach. Intell. 44, 6360 (2022), doi:10.1109/TPAMI.2021.3088914 (DRUNet).
    K. Zhang, W. Zuo and L. Zhang, IEEE Trans. Image Process. 27, 4608 (2018), doi:10.1109/TIP.2018.2839891 (FFDNet).
    X.-J. Mao, C. Shen and Y.-B. Yang, Adv. Neural Inf. Process. Syst. 29 (2016), arXiv:1603.09056 (RED-Net).
    S. Mohan et al., Robust and interpretable blind image denoising via bias-free networks (2019), arXiv:1906.05478.

    Examples
    --------
    >>> import torch
    >>> model, noisy = Denoiser(generator=0), torch.rand(1, 1, 33, 50)
    >>> model(noisy, 0.1).shape
    torch.Size([1, 1, 33, 50])
    >>> torch.equal(model(4 * noisy, 0.4), 4 * model(noisy, 0.1))
    True
    """

    def __init__(
        self,
        channels: int = 1,
        *,
        width: int = 24,
        levels: int = 3,
        blocks: int = 2,
        bounded: bool = True,
        generator: Source = None,
    ) -> None:
        super().__init__()
        if isinstance(channels, bool) or channels not in (1, 3):
            raise ValueError(f"channels is {shown(channels)}; pass 1 or 3")
        if not isinstance(bounded, bool):
            raise TypeError(f"bounded is {shown(bounded)}; pass True or False")
        self.channels = int(channels)
        self.bounded = bounded
        base = entries(width, 1, "width", minimum=1)[0]
        depth = entries(levels, 1, "levels", minimum=1)[0]
        count = entries(blocks, 1, "blocks", minimum=1)[0]
        source = random_source(generator)
        widths = [base << i for i in range(depth)]
        plain: dict[str, Any] = {"bias": False, "generator": source}
        steps = list(pairwise(widths))
        self.head = convolution(self.channels + 1, base, 3, gain=LINEAR, **plain)
        self.encoder = nn.ModuleList(_blocks(w, count, source) for w in widths[:-1])
        self.down = nn.ModuleList(convolution(a, b, 2, stride=2, gain=LINEAR, **plain) for a, b in steps)
        self.bottom = _blocks(widths[-1], count, source)
        self.up = nn.ModuleList(TransposedUpsample(b, a, 2, scale=2, **plain) for a, b in steps)
        self.decoder = nn.ModuleList(_blocks(w, count, source) for w in widths[:-1])
        self.tail = convolution(base, self.channels, 3, gain=QUIET, **plain)
        with torch.no_grad():
            for layer in self.up:
                layer.get_parameter("weight").mul_(LINEAR)
        self.multiple = 1 << len(steps)
        self.reach = reach(self.path(), period=self.multiple) + PASSES * (WINDOW // 2)

    def path(self) -> list[Layer]:
        """The way through the network that sees the most, for `receptive_field`.

        Returns
        -------
        list of Layer
            From the input to the output.
        """

        def blocks(part: Any, name: str) -> list[Layer]:
            return [Layer(3, padding=1, bias=False, name=f"{name}.{i}") for i in range(2 * len(part))]

        down: list[Layer] = []
        up: list[Layer] = []
        for i, part in enumerate(self.encoder):
            down += [*blocks(part, f"encoder.{i}"), Layer(2, stride=2, bias=False, name=f"down.{i}")]
            lifted = Layer(2, stride=2, bias=False, kind="transposed", name=f"up.{i}")
            up[:0] = [lifted, *blocks(self.decoder[i], f"decoder.{i}")]
        ends = [Layer(3, padding=1, bias=False, name=name) for name in ("head", "tail")]
        return [ends[0], *down, *blocks(self.bottom, "bottom"), *up, ends[1]]

    def forward(self, x: torch.Tensor, sigma: torch.Tensor | float | None = None) -> torch.Tensor:
        """Estimate the images without their noise.

        Parameters
        ----------
        x : torch.Tensor, shape (batch, channels, y, x)
            Noisy images of any size, in any unit.
        sigma : float or torch.Tensor, optional
            Standard deviation of the noise in units of `x`: one for all, one for each image (shape (batch,)), or one
            for each sample (shape (batch, 1, y, x)). None: estimated from each image by `sigdeconv.estimate_noise`.

        Returns
        -------
        torch.Tensor, shape (batch, channels, y, x)
            In the units of `x`. Nothing is clipped.

        Raises
        ------
        TypeError, ValueError
            `x` is no such batch of floating point, or `sigma` is negative or of another shape.
        """
        require_images(x, self.channels)
        level = noise_levels(x) if sigma is None else sigma
        levels = _as_map(level, x)
        wide = to_multiple(torch.cat([x, levels], dim=1), self.multiple)
        y = self.head(wide)
        skips = []
        for part, down in zip(self.encoder, self.down, strict=True):
            skips.append(part(y))
            y = down(skips[-1])
        y = self.bottom(y)
        for part, up, skip in zip(reversed(self.decoder), reversed(self.up), reversed(skips), strict=True):
            y = part(up(y) + skip)
        change: torch.Tensor = self.tail(y)[..., : x.shape[-2], : x.shape[-1]]
        return x + (no_stronger(change, levels) if self.bounded else change)


def no_stronger(change: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Weaken a change where it is stronger than noise of this standard deviation, shape (batch, 1, y, x), can be."""
    power = change.square().mean(dim=1, keepdim=True)
    for _ in range(PASSES):
        power = functional.avg_pool2d(power, WINDOW, stride=1, padding=WINDOW // 2, count_include_pad=False)
    tiny = torch.finfo(power.dtype).tiny
    return change * (SLACK * sigma.square() / power.clamp_min(tiny)).clamp_max(1.0)


def noise_levels(x: torch.Tensor) -> torch.Tensor:
    """Standard deviation of the noise of each image of a batch, estimated from it alone.

    Parameters
    ----------
    x : torch.Tensor, shape (batch, channels, y, x)
        Noisy images, in any unit.

    Returns
    -------
    torch.Tensor, shape (batch,)
        In the units of `x`, see `sigdeconv.estimate_noise`. No gradient leads through it.

    Raises
    ------
    TypeError, ValueError
        The images are not finite, or have fewer than 16 pixels.
    """
    enough = x if x.dtype == torch.float64 else x.float()
    found = [estimate_noise(to_numpy(image), channel_axis=0).sigma for image in enough]
    return torch.tensor(found, dtype=x.dtype, device=x.device)


def _blocks(channels: int, count: int, generator: torch.Generator | None) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels, generator) for _ in range(count)))


def _as_map(sigma: torch.Tensor | float, x: torch.Tensor) -> torch.Tensor:
    """The noise level as a channel of the images."""
    shape = (x.shape[0], 1, *x.shape[2:])
    if not isinstance(sigma, torch.Tensor):
        return x.new_full(shape, number(sigma, "sigma", minimum=0.0))
    if sigma.ndim == 0 or tuple(sigma.shape) == (x.shape[0],):
        sigma = sigma.reshape(-1, 1, 1, 1)
    elif tuple(sigma.shape) != shape:
        raise ValueError(
            f"sigma has shape {tuple(sigma.shape)}; one number, ({x.shape[0]},), one an image, or {shape} is wanted"
        )
    return sigma.to(device=x.device, dtype=x.dtype).expand(shape)
