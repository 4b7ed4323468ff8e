"""What a network learns to undo: from clean patches, the inputs it gets and the target it should reach."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .._array import number, per_axis
from ._patches import LEVELS, Inputs, to_grey
from .bicubic import REACH, eight_bits, imresize, luminance


@dataclass(frozen=True)
class Shrink:
    """Super-resolution: the input is the luminance shrunk by antialiased bicubic interpolation, the target is itself.

    Parameters
    ----------
    scale : int
        Target samples for one of the input.
    rounded : bool
        Round the input to 8 bits, as a file would.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.

    Notes
    -----
    Of three colours the luminance of BT.601 is taken, 16/255 to 235/255. What the patch's edge would falsify is cut
    off: of a patch of `patch_size(n)` pixels, `n` input samples a side are left that are exactly those of the whole
    photograph shrunk (where the patch begins on a multiple of the scale; elsewhere, of the photograph shifted).
    """

    scale: int
    rounded: bool = True

    def __post_init__(self) -> None:
        per_axis(self.scale, 1, "scale", minimum=1)

    @property
    def margin(self) -> int:
        """Input samples along each edge into which the bicubic kernel brings what lies past the patch."""
        return int(REACH)

    def patch_size(self, n: int) -> int:
        """Side of the patches that leave a number of input samples a side.

        Parameters
        ----------
        n : int
            Samples of the input along each side.

        Returns
        -------
        int
            Pixels, ``scale * (n + 2 * margin)``.
        """
        return self.scale * (n + 2 * self.margin)

    def __call__(self, patches: torch.Tensor, generator: torch.Generator) -> tuple[Inputs, torch.Tensor]:
        """Shrink patches; nothing is drawn.

        Parameters
        ----------
        patches : torch.Tensor, shape (count, channels, size, size)
            Clean, in 0..1, of one or three channels.
        generator : torch.Generator
            Is not asked.

        Returns
        -------
        inputs : tuple of torch.Tensor
            The small luminance alone, shape (count, 1, n, n), for a `size` of ``patch_size(n)``.
        target : torch.Tensor, shape (count, 1, scale * n, scale * n)
            The luminance that it is to become.

        Raises
        ------
        ValueError
            The sides are no multiple of the scale, or leave nothing.
        """
        if any(n % self.scale or n <= 2 * self.margin * self.scale for n in patches.shape[-2:]):
            raise ValueError(
                f"patches have shape {tuple(patches.shape)}; sides of {self.patch_size(1)} or more and a multiple of "
                f"{self.scale} are wanted, see patch_size"
            )
        large = patches if patches.shape[1] == 1 else luminance(LEVELS * patches, channel_axis=1)[:, None] / LEVELS
        small = imresize(large, 1 / self.scale)
        if self.rounded:
            small = eight_bits(LEVELS * small) / LEVELS
        m, s = self.margin, self.scale
        return (_inside(small, m).contiguous(),), _inside(large, s * m).contiguous()


@dataclass(frozen=True)
class GaussianNoise:
    """Denoising: the inputs are the patch with white noise and the noise's standard deviation, the target the patch.

    Parameters
    ----------
    lowest, highest : float
        Standard deviations between which each patch's is drawn; in grey levels of 255.
    channels : {1, 3}
        1 makes the patches grey.
    lean : float
        1 draws evenly; a number ``p`` above draws ``lowest + (highest - lowest) u^p`` with ``u`` even between 0 and 1,
        so weak noise more often. The loss of weak noise is small, and a network would learn little of it.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.

    Notes
    -----
    The noisy patch is not clipped: clipped noise is neither white nor of mean zero.
    """

    lowest: float = 0.0
    highest: float = 55.0
    channels: int = 1
    lean: float = 1.0

    def __post_init__(self) -> None:
        number(self.lean, "lean", above=0.0)
        number(self.highest, "highest", minimum=number(self.lowest, "lowest", minimum=0.0))
        if self.channels not in (1, 3):
            raise ValueError(f"channels is {self.channels}; pass 1 or 3")

    def __call__(self, patches: torch.Tensor, generator: torch.Generator) -> tuple[Inputs, torch.Tensor]:
        """Add noise to patches, to each of another strength.

        Parameters
        ----------
        patches : torch.Tensor, shape (count, channels, size, size)
            Clean, in 0..1.
        generator : torch.Generator
            Source of the strengths and of the noise.

        Returns
        -------
        inputs : tuple of torch.Tensor
            The noisy patches, and the standard deviations of their noise, shape (count,), in units of the patches.
        target : torch.Tensor
            The clean patches, grey if `channels` is 1.
        """
        clean = to_grey(patches) if self.channels == 1 else patches
        chance = torch.rand(len(clean), generator=generator, device=clean.device)
        sigma = (self.lowest + (self.highest - self.lowest) * chance**self.lean) / LEVELS
        noise = torch.randn(clean.shape, generator=generator, device=clean.device)
        return (clean + sigma[:, None, None, None] * noise, sigma), clean


def _inside(x: torch.Tensor, margin: int) -> torch.Tensor:
    return x[..., margin : x.shape[-2] - margin, margin : x.shape[-1] - margin]
