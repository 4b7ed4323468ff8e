"""What networks are trained on: crops of photographs, turned, flipped and recoloured by chance.

All pixels lie in one tensor of bytes on the device, and a batch is gathered from it at once. What is drawn depends on
the seed and the number of the step alone, so that a run that goes on at step n needs no replay of the steps before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import io
from .._array import number, per_axis, shown
from .bicubic import eight_bits, imresize

Numbers = np.ndarray[Any, Any]
Inputs = tuple[torch.Tensor, ...]
Degradation = Callable[[torch.Tensor, torch.Generator], tuple[Inputs, torch.Tensor]]

SUFFIXES = (".png", ".jpg", ".jpeg", ".npy")
GREY = (0.299, 0.587, 0.114)  # luma of ITU-R BT.601
LEVELS = 255


def read_photographs(folder: str | os.PathLike[str], *, leave_out: Iterable[str] = ()) -> dict[str, Numbers]:
    """The photographs of a folder: its PNG, JPEG and NPY files.

    Parameters
    ----------
    folder : path
        Where they lie; folders in it are not looked into.
    leave_out : iterable of str
        Names, without extension, of files that are not read.

    Returns
    -------
    dict of str to ndarray of uint8
        Name without extension -> pixels, shape (y, x, channels), in the order of the names.

    Raises
    ------
    OSError, ValueError
        The folder does not exist or holds no such file, or one of them is damaged or no photograph of 8 or 16 bits.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder; pass one with photographs")
    without = set(leave_out)
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and path.stem not in without and path.is_file():
            found[path.stem] = as_bytes(io.read(path).data, path.name)
    if not found:
        raise ValueError(f"{folder} holds no photograph ({', '.join(SUFFIXES)}) besides those left out")
    return found


def as_bytes(image: Numbers, name: str) -> Numbers:
    """A photograph in 8 bits.

    Parameters
    ----------
    image : ndarray of uint8 or uint16, shape (y, x) or (y, x, channels)
        Its pixels; 16 bits are rounded to 8.
    name : str
        What to call it in a message.

    Returns
    -------
    ndarray of uint8, shape (y, x, channels)
        One channel where there was no such axis.

    Raises
    ------
    TypeError, ValueError
        It has another dtype or number of axes, or no pixels.
    """
    x = np.asarray(image)
    if x.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"{name} has dtype {x.dtype}; photographs of uint8 or uint16 are wanted")
    if x.ndim == 2:
        x = x[..., None]
    if x.ndim != 3 or not x.size:
        raise ValueError(f"{name} has shape {np.shape(image)}; (y, x) or (y, x, channels) is wanted")
    return x if x.dtype == np.uint8 else np.round(x / 257).astype(np.uint8)


class Photographs:
    """Images of any sizes, packed into one tensor of bytes.

    Parameters
    ----------
    images : mapping of str to ndarray, or sequence of ndarray
        Of uint8 or uint16, shapes (y, x) or (y, x, channels). Grey ones among coloured ones get equal channels.
    scales : sequence of float
        Each image is kept at each of these sizes (1 is the original): smaller copies show the same things in finer
        detail.
    device : torch.device or str
        Where the pixels lie.

    Attributes
    ----------
    names : list of str
        Of the images, in their order; of a sequence "image 0", "image 1", ...
    channels : int
        Of the images with the most of them, and of the crops.

    Raises
    ------
    TypeError, ValueError
        There are no images, or one is not as described; the message names it.
    """

    def __init__(
        self,
        images: Mapping[str, Numbers] | Sequence[Numbers],
        *,
        scales: Sequence[float] = (1.0,),
        device: torch.device | str = "cpu",
    ) -> None:
        if not isinstance(images, Mapping):
            images = {f"image {i}": image for i, image in enumerate(images)}
        if not images:
            raise ValueError("images is empty; pass at least one photograph")
        originals = {name: as_bytes(image, name) for name, image in images.items()}
        self.names = list(originals)
        self.channels = max(x.shape[-1] for x in originals.values())
        kept = []
        for name, x in originals.items():
            if x.shape[-1] not in (1, self.channels):
                raise ValueError(
                    f"{name} has {x.shape[-1]} channels but others {self.channels}; pass images of one kind"
                )
            coloured = np.broadcast_to(x, (*x.shape[:2], self.channels))
            kept += [_shrunk(coloured, number(s, "scales", above=0.0, maximum=1.0)) for s in scales]
        self._sizes = np.array([x.shape[:2] for x in kept])
        self._starts = np.concatenate([[0], np.cumsum(self._sizes.prod(axis=1))[:-1]])
        pixels = np.concatenate([x.reshape(-1, self.channels) for x in kept])
        self._pixels = torch.as_tensor(pixels, device=device)

    @property
    def device(self) -> torch.device:
        """Where the pixels lie, and the crops."""
        return self._pixels.device

    def draw(self, count: int, size: int, rng: np.random.Generator) -> Numbers:
        """Draw places of crops, every one in every image as probable.

        Parameters
        ----------
        count : int
            How many.
        size : int
            Side of a crop in pixels.
        rng : numpy.random.Generator
            Source of the random numbers.

        Returns
        -------
        ndarray of int, shape (count, 3)
            Rows ``(image, y, x)``: the image at one of the `scales`, and the crop's first pixel.

        Raises
        ------
        ValueError
            No image is large enough.
        """
        free = np.maximum(self._sizes - size + 1, 0)
        ends = np.cumsum(free.prod(axis=1))
        if not ends[-1]:
            raise ValueError(f"no photograph holds a crop of {size} pixels; pass larger ones, or smaller crops")
        place = rng.integers(ends[-1], size=count)
        image = np.searchsorted(ends, place, side="right")
        y, x = np.divmod(place - (ends - free.prod(axis=1))[image], free[image, 1])
        return np.stack([image, y, x], axis=1)

    def crop(self, places: Numbers, size: int, symmetries: Numbers | None = None) -> torch.Tensor:
        """The crops at these places.

        Parameters
        ----------
        places : ndarray of int, shape (count, 3)
            Rows ``(image, y, x)``, as `draw` gives them.
        size : int
            Side of a crop in pixels.
        symmetries : ndarray of int, shape (count, 3), optional
            Rows ``(flip up-down, flip left-right, quarter turns)``: the crop is turned as `numpy.rot90` turns, then
            flipped. As it is by default.

        Returns
        -------
        torch.Tensor of float32, shape (count, channels, size, size)
            In 0..1.
        """
        image, y, x = places.T
        width = self._sizes[image, 1]
        # A turned and flipped crop is read with other steps from another corner: pixel (r, c) of it is
        # start + r * down + c * right.
        up_down, left_right, turns = (np.zeros_like(places) if symmetries is None else symmetries).T
        corners = [_source(r, c, size, up_down, left_right, turns) for r, c in ((0, 0), (1, 0), (0, 1))]
        start, down, right = (self._starts[image] + (y + v) * width + x + u for v, u in corners)
        geometry = np.stack([start, down - start, right - start])
        first, by_row, by_column = torch.as_tensor(geometry, device=self.device)[..., None, None]
        along = torch.arange(size, device=self.device)
        index = first + along[:, None] * by_row + along * by_column
        pixels = self._pixels.index_select(0, index.flatten()).reshape(len(places), size, size, self.channels)
        return pixels.permute(0, 3, 1, 2).contiguous().to(torch.float32).div_(LEVELS)


@dataclass(frozen=True)
class Batches:
    """``batches(step)``: the inputs and the target of a step of training, the same whenever it is asked for.

    Parameters
    ----------
    photographs : Photographs
        What is cropped.
    degrade : callable
        ``degrade(patches, generator) -> (inputs, target)``: patches are ``(count, channels, size, size)`` in 0..1;
        `inputs` is a tuple, the arguments of the network.
    size, count : int
        Side of a patch in pixels, and patches in a batch.
    seed : int
        Of all that is drawn.
    flips, rotations : bool
        Flip along either axis, turn by quarters.
    jitter : float
        Largest relative change of brightness, contrast and saturation.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.
    """

    photographs: Photographs
    degrade: Degradation
    size: int
    count: int = 16
    seed: int = 0
    flips: bool = True
    rotations: bool = True
    jitter: float = 0.0

    def __post_init__(self) -> None:
        per_axis(self.size, 1, "size", minimum=1)
        per_axis(self.count, 1, "count", minimum=1)
        number(self.jitter, "jitter", minimum=0.0, maximum=1.0)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"seed is {shown(self.seed)}; an integer of at least 0 is wanted")

    def __call__(self, step: int) -> tuple[Inputs, torch.Tensor]:
        """The inputs and the target of a step.

        Parameters
        ----------
        step : int
            Counted from 0.

        Returns
        -------
        inputs : tuple of torch.Tensor
            The arguments of the network, as `degrade` gives them.
        target : torch.Tensor
            What it should make of them.

        Raises
        ------
        ValueError
            No photograph holds a crop of that size.
        """
        rng = np.random.default_rng((self.seed, step))
        # All is drawn, used or not: the same crops come with and without an augmentation, so they can be compared.
        places = self.photographs.draw(self.count, self.size, rng)
        symmetries = rng.integers((2, 2, 4), size=(self.count, 3))
        changes = rng.uniform(-1.0, 1.0, size=(3, self.count))
        noise = torch.Generator(self.photographs.device).manual_seed(int(rng.integers(2**63)))
        symmetries *= np.array([self.flips, self.flips, self.rotations])
        patches = self.photographs.crop(places, self.size, symmetries if symmetries.any() else None)
        if self.jitter:
            patches = recoloured(patches, *(1 + self.jitter * changes))
        return self.degrade(patches, noise)


def recoloured(patches: torch.Tensor, saturation: Numbers, contrast: Numbers, brightness: Numbers) -> torch.Tensor:
    """Patches ``(count, channels, y, x)`` in 0..1 with one factor a patch of each kind, clipped to 0..1."""
    s, c, b = (
        torch.as_tensor(factor, dtype=patches.dtype, device=patches.device)[:, None, None]
        for factor in (saturation, contrast, brightness)
    )
    # All three are linear in the colours of a pixel and in their means: one small matrix and an offset a patch.
    colours = patches.flatten(2)
    mix = torch.eye(colours.shape[1], dtype=patches.dtype, device=patches.device).expand(len(patches), -1, -1)
    if colours.shape[1] == 3:
        mix = s * mix + (1 - s) * patches.new_tensor(GREY)
    mean = (mix @ colours.mean(dim=2, keepdim=True)).mean(dim=1, keepdim=True)
    changed = torch.baddbmm(b * (1 - c) * mean, b * c * mix, colours)
    return changed.clamp_(0.0, 1.0).reshape(patches.shape)


def to_grey(patches: torch.Tensor) -> torch.Tensor:
    """One channel from three, ``(count, 3, y, x)``, by the luma of BT.601; one channel stays as it is."""
    if patches.shape[1] == 1:
        return patches
    return (patches * patches.new_tensor(GREY)[:, None, None]).sum(dim=1, keepdim=True)


def _shrunk(image: Numbers, scale: float) -> Numbers:
    if scale == 1.0:
        return image
    return np.asarray(eight_bits(imresize(image, scale, channel_axis=-1))).astype(np.uint8)


def _source(
    row: int, column: int, size: int, up_down: Numbers, left_right: Numbers, turns: Numbers
) -> tuple[Numbers, Numbers]:
    """Where in the crop, (y, x), a sample of the turned and flipped one comes from."""
    r = np.where(up_down > 0, size - 1 - row, row)
    c = np.where(left_right > 0, size - 1 - column, column)
    y, x = np.where(turns % 2 > 0, c, r), np.where(turns % 2 > 0, r, c)
    return np.where(turns >= 2, size - 1 - y, y), np.where((turns == 1) | (turns == 2), size - 1 - x, x)
