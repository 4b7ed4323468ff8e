"""Animated pictures of convolutions and transposed convolutions, and stills that tell the same story.

Drawn with Pillow: a frame is a few hundred rectangles and numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .operations import Played

Numbers = np.ndarray[Any, Any]

CELL, STILL_CELL = 40, 30  # pixels of a sample's side, in animations and in stills
MOST_SECONDS, SLOWEST, REST = 16.0, 0.9, 2.5  # of a whole animation; of one frame; of the last one
SHADES = 5  # of a GIF between each colour of a cell and of what is written in it
INK, SOFT, LINE = "#1c2330", "#7a8594", "#b9c2cc"
SAMPLE, ZERO, NOTHING, CUT = "#cfe3f3", "#f4f4f4", "#ffffff", "#e3e3e3"
PAINTED = ("#ffffff", "#d4ecdf", "#a5d8bf", "#6fc29a", "#45a97c")  # by how many kernels have added to a sample
WINDOW, FRAME = "#d55e00", "#000000"


class Grid(NamedTuple):
    """Numbers in a square, with what is marked on them."""

    values: Numbers  #: NaN is left empty
    label: str
    fills: Sequence[Sequence[str]]
    marked: Sequence[tuple[int, int]] = ()  #: cells with a thick outline
    taps: Numbers | None = None  #: kernel weights written small into the marked cells
    frame: tuple[int, int] | None = None  #: (first, size) of a part that is outlined


@cache
def font(size: int, bold: bool = False) -> Any:
    """Matplotlib's typeface, which has all signs that are used."""
    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def written(value: float) -> str:
    """A number as short as it is."""
    return "" if np.isnan(value) else f"{value:g}".replace("-", "−")


def square(n: int) -> str:
    """A frame's size."""
    return f"{n} × {n}"


def titles(played: Played) -> tuple[str, str]:
    """What is shown, with all shapes, and the settings."""
    settings, n, size = played.settings, len(played.x), len(played.result)
    if played.kind == "convolution":
        return f"Convolution: {square(n)} → {square(size)}", settings.told()
    if played.kind == "scatter":
        what = f"Transposed convolution: {square(n)} → {square(size)}"
        return f"{what}. Each sample paints a kernel", settings.told()
    same = settings.equivalent(n)
    (wide,), (padded,) = same.inserted_shape, same.padded_shape
    return (
        f"The same by zeros: {square(n)} → {square(wide)} → {square(padded)} → {square(size)}",
        f"{settings.told()}: zeros put in, then a convolution of stride 1",
    )


def grids(played: Played, index: int) -> list[Grid]:
    """The three squares of a frame: what is read, the kernel, what is written."""
    settings, step = played.settings, played.steps[index]
    k, d = settings.kernel, settings.dilation
    under = [(step.corner[0] + d * i, step.corner[1] + d * j) for i, j in np.ndindex(k, k)]
    flipped = ", flipped" if played.kind == "inserted" else ""
    kernel = Grid(played.kernel, f"kernel{flipped}", [[NOTHING] * k] * k)
    size = len(played.result)
    if played.kind == "scatter":
        count = np.zeros(played.canvas.shape, int)
        for one in played.steps[: index + 1]:
            at = tuple(slice(c, c + d * (k - 1) + 1, d) for c in one.corner)
            count[at] += 1
        cut = settings.padding
        inside = np.zeros(count.shape, bool)
        inside[cut : cut + size, cut : cut + size] = True
        fills = [
            [PAINTED[min(c, len(PAINTED) - 1)] if within else CUT for c, within in zip(*line, strict=True)]
            for line in zip(count, inside, strict=True)
        ]
        n = len(played.x)
        label = f"output {square(size)}" + (f" in the frame, of {square(len(count))}" if size < len(count) else "")
        whole = Grid(step.output, label, fills, under, played.kernel, (cut, size))
        return [Grid(played.x, f"input {square(n)}", [[SAMPLE] * n] * n, [step.read]), kernel, whole]
    canvas = np.where(_samples(played), SAMPLE, ZERO).tolist()
    label = f"input {square(len(played.x))}"
    if len(played.canvas) > len(played.x):
        label += f", with zeros {square(len(played.canvas))}"
    done = [[NOTHING if np.isnan(v) else PAINTED[1] for v in line] for line in step.output]
    return [
        Grid(played.canvas, label, canvas, under, played.kernel),
        kernel,
        Grid(step.output, f"output {square(size)}", done, [step.read]),
    ]


def _samples(played: Played) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which cells of the canvas are samples of the input and not zeros that were put in."""
    from .operations import convolution, inserted

    build = convolution if played.kind == "convolution" else inserted
    marks = build(np.ones_like(played.x), played.kernel, played.settings).canvas
    found: np.ndarray[Any, np.dtype[np.bool_]] = marks > 0
    return found


def status(played: Played, index: int) -> str:
    """What happens in this frame."""
    step, count = played.steps[index], len(played.steps)
    value = written(float(played.x[step.read] if played.kind == "scatter" else step.output[step.read]))
    place = f"({step.read[0]}, {step.read[1]})"
    if played.kind == "scatter":
        return f"{index + 1} of {count}: input {place} adds {value} × kernel"
    return f"{index + 1} of {count}: output {place} = sum of {played.settings.kernel**2} products = {value}"


def frame(played: Played, index: int, *, cell: int = CELL, titled: bool = True) -> Any:
    """One picture: title, three squares, and what happens."""
    from PIL import Image, ImageDraw

    squares = grids(played, index)
    gap, margin, head = cell, cell // 2, 2 * cell if titled else 0
    tallest = max(len(g.values) for g in squares) * cell
    widths = [_width(g, cell) for g in squares]
    width = sum(widths) + 2 * gap + 2 * margin
    if titled:
        width = max(width, *(int(font(s, b).getlength(t)) + 2 * margin for t, s, b in _head(played, cell)))
    image = Image.new("RGB", (width, head + tallest + 3 * cell), "white")
    draw = ImageDraw.Draw(image)
    if titled:
        for line, (text, size, bold) in enumerate(_head(played, cell)):
            draw.text((margin, margin // 2 + line * cell * 0.85), text, fill=INK, font=font(size, bold))
    x = margin
    for one, room in zip(squares, widths, strict=True):
        side = len(one.values) * cell
        _draw(draw, one, (x + (room - side) // 2, head + margin + (tallest - side) // 2), cell)
        label = font(round(0.38 * cell))
        draw.text((x + room / 2, head + margin + tallest + 0.45 * cell), one.label, fill=INK, font=label, anchor="mm")
        x += room + gap
    where = (margin, head + margin + tallest + 1.35 * cell)
    draw.text(where, status(played, index), fill=WINDOW, font=font(round(0.42 * cell)), anchor="lm")
    return image


def _head(played: Played, cell: int) -> list[tuple[str, int, bool]]:
    first, second = titles(played)
    return [(first, round(0.5 * cell), True), (second, round(0.42 * cell), False)]


def _width(grid: Grid, cell: int) -> int:
    return max(len(grid.values) * cell, int(font(round(0.38 * cell)).getlength(grid.label)))


def _draw(draw: Any, grid: Grid, origin: tuple[int, int], cell: int) -> None:
    """One square of numbers."""
    left, top = origin
    marked = {at: i for i, at in enumerate(grid.marked)}
    for (i, j), value in np.ndenumerate(grid.values):
        box = (left + j * cell, top + i * cell, left + (j + 1) * cell, top + (i + 1) * cell)
        draw.rectangle(box, fill=grid.fills[i][j], outline=LINE)
        zero = grid.fills[i][j] in (ZERO, CUT)
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2 + (0.08 * cell if (i, j) in marked else 0))
        text = written(float(value))
        size = round((0.42 if len(text) < 4 else 0.32) * cell)
        draw.text(middle, text, fill=SOFT if zero else INK, font=font(size), anchor="mm")
    for (i, j), index in marked.items():
        box = (left + j * cell + 1, top + i * cell + 1, left + (j + 1) * cell - 1, top + (i + 1) * cell - 1)
        draw.rectangle(box, outline=WINDOW, width=max(2, cell // 14))
        if grid.taps is not None:
            tap = f"×{written(float(grid.taps.flat[index]))}"
            corner = (box[2] - 0.08 * cell, box[1] + 0.06 * cell)
            draw.text(corner, tap, fill=WINDOW, font=font(round(0.27 * cell)), anchor="ra")
    if grid.frame is not None:
        first, size = grid.frame
        box = (left + first * cell, top + first * cell, left + (first + size) * cell, top + (first + size) * cell)
        draw.rectangle(box, outline=FRAME, width=max(2, cell // 14))


def animate(played: Played, path: Path) -> int:
    """Write a GIF that goes on for ever; its size in bytes."""
    frames = [frame(played, index) for index in range(len(played.steps))]
    pace = min(SLOWEST, MOST_SECONDS / len(frames))
    durations = [round(1000 * pace)] * (len(frames) - 1) + [round(1000 * REST)]
    colours = palette()  # one for all, so that only what changes is stored
    first, *others = (one.quantize(palette=colours, dither=0) for one in frames)
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0, optimize=False)
    return path.stat().st_size


@cache
def palette() -> Any:
    """An image with all colours that are drawn, exactly, and the shades at the edges of letters."""
    from PIL import Image, ImageColor

    cells = dict.fromkeys((NOTHING, SAMPLE, ZERO, CUT, *PAINTED))
    colours = [*cells, LINE, FRAME]
    rgb = [np.array(ImageColor.getrgb(colour)) for colour in colours]
    for cell in cells:
        for ink in (INK, SOFT, WINDOW):
            ends = np.array(ImageColor.getrgb(cell)), np.array(ImageColor.getrgb(ink))
            rgb += [ends[0] + (ends[1] - ends[0]) * level // SHADES for level in range(1, SHADES + 1)]
    image = Image.new("P", (1, 1))
    image.putpalette([int(value) for colour in rgb for value in colour])
    return image


def still(played: Played) -> Any:
    """Beginning, middle and end beside each other, under one title."""
    from PIL import Image, ImageDraw

    last = len(played.steps) - 1
    parts = [frame(played, index, cell=STILL_CELL, titled=False) for index in (0, last // 2, last)]
    head, gap = 2 * STILL_CELL, STILL_CELL
    width = sum(part.width for part in parts) + gap * (len(parts) - 1)
    image = Image.new("RGB", (width, head + parts[0].height), "white")
    draw = ImageDraw.Draw(image)
    for line, (text, size, bold) in enumerate(_head(played, STILL_CELL + 6)):
        draw.text((STILL_CELL // 2, 4 + line * STILL_CELL), text, fill=INK, font=font(size, bold))
    x = 0
    for part in parts:
        image.paste(part, (x, head))
        x += part.width + gap
        if x < width:
            draw.line((x - gap // 2, head, x - gap // 2, image.height - gap), fill=LINE, width=1)
    return image


def sheet(stills: Sequence[Any]) -> Any:
    """All stills below each other."""
    from PIL import Image

    image = Image.new("RGB", (max(s.width for s in stills), sum(s.height for s in stills)), "white")
    y = 0
    for one in stills:
        image.paste(one, (0, y))
        y += one.height
    return image
