"""An image from a file, with its axes in the order that the library wants: channels, batch, z, y, x."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import io
from ._array import checked_axis
from ._cli_console import note, read_noting

COLOURS = (3, 4)  # samples on a last axis that look like them


class Opened(NamedTuple):
    """An image from a file, in the file's order of axes and in the library's: channels, batch, z, y, x."""

    source: io.Picture
    picture: io.Picture
    order: tuple[int, ...]

    @property
    def channel_axis(self) -> int | None:
        """Of the array that the library is given."""
        return None if self.source.channel_axis is None else 0

    @property
    def ndim(self) -> int:
        """Number of axes without the channels."""
        return self.picture.data.ndim - (self.source.channel_axis is not None)


def opened(path: Path, channel_axis: int | str | None, quiet: bool) -> Opened:
    """Read an image, and order its axes."""
    return arranged(named(read_noting(path, quiet), channel_axis, quiet))


def named(picture: io.Picture, asked: int | str | None, quiet: bool) -> io.Picture:
    """The image with axes that name its channels as the user does."""
    axes, shape = picture.axes, picture.data.shape
    if asked is None:
        if picture.channel_axis is not None:
            axis = picture.channel_axis
            note(f"{shape[axis]} channels are on axis {axis}", quiet)
        elif axes.startswith("Q") and shape[-1] in COLOURS:
            note(f"warning: the last axis has {shape[-1]} samples; for colours pass --channel-axis -1")
        return picture
    axes = axes.replace("S", "Q").replace("C", "Q")
    if asked != "none":
        axis = checked_axis(int(asked), len(axes), "--channel-axis", "the image")
        rest = axes[:axis] + axes[axis + 1 :]
        # What was guessed of the other axes was guessed with the channels among them.
        rest = io.default_axes(len(rest)) if "Q" in axes else rest
        letter = "S" if axis == len(axes) - 1 and shape[axis] in COLOURS else "C"
        axes = rest[:axis] + letter + rest[axis:]
    return replace(picture, axes=axes)


def arranged(picture: io.Picture) -> Opened:
    """The image with its axes as channels, batch, z, y, x."""
    axes, channel = picture.axes, picture.channel_axis
    frame = sorted((i for i, letter in enumerate(axes) if letter in "ZYX"), key=lambda i: "ZYX".index(axes[i]))
    batch = [i for i in range(len(axes)) if i not in frame and i != channel]
    order = (*([] if channel is None else [channel]), *batch, *frame)
    ordered = replace(picture, data=picture.data.transpose(order), axes="".join(axes[i] for i in order))
    return Opened(picture, ordered, order)


def finer(image: Opened, factor: tuple[int, ...], ndim: int) -> Opened:
    """What the result will be like: more samples, which are smaller, along the last `ndim` axes."""
    factor = factor * ndim if len(factor) == 1 else factor
    scale = [1] * len(image.order)
    for axis, times in zip(reversed(image.order), reversed(factor), strict=False):
        scale[axis] = times
    source = image.source
    shape = tuple(n * times for n, times in zip(source.data.shape, scale, strict=True))
    spacing = {letter: size / scale[source.axes.index(letter)] for letter, size in source.spacing.items()}
    # Neither a FITS header, whose coordinates count coarse pixels, nor the opacity of a pixel holds any more.
    return arranged(
        replace(
            source, data=np.broadcast_to(source.data[:1].ravel()[:1], shape), spacing=spacing, header=None, alpha=None
        )
    )
