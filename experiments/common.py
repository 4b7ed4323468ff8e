"""What all experiments share: the chapter that each returns, its tables and figures, and how they look."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

DPI = 110
ROOT = Path(__file__).resolve().parent.parent
BESIDE = Path("..") / "shared" / "data"  # of the repository: where development data lie, if anywhere

#: One colour a method in every figure (Okabe and Ito's palette, which colour-blind readers can tell apart).
COLOURS = {
    "scene": "#000000",
    "blurred": "#7f7f7f",
    "transpose": "#d55e00",
    "inverse": "#cc79a7",
    "wiener": "#0072b2",
    "unsupervised": "#56b4e9",
    "rl": "#e69f00",
    "rl-stopped": "#009e73",
}

STYLE: dict[str, Any] = {
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": "#e4e4e4",
    "legend.frameon": False,
    "image.cmap": "gray",
    "image.interpolation": "nearest",
}


class SkippedError(Exception):
    """An experiment cannot run here; the message says what is missing and how to get it."""


@dataclass(frozen=True)
class Column:
    """A column of a table: its key in the rows, its heading, its unit, and how many decimals are shown."""

    key: str
    label: str
    unit: str = ""
    digits: int | None = None  #: None for text

    @property
    def heading(self) -> str:
        return f"{self.label} [{self.unit}]" if self.unit else self.label

    def text(self, value: Any) -> str:
        if self.digits is None or isinstance(value, str):
            return str(value)
        return f"{round(value, self.digits) + 0.0:.{self.digits}f}".replace("-", "−")  # + 0 makes −0 plain


@dataclass(frozen=True)
class Table:
    """Rows under columns; written as CSV and JSON with full precision, shown in the report rounded."""

    name: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    folded: bool = False  #: long tables open on a click
    marked: str = ""  #: the key in a row that says that it is to stand out

    def write(self, out: Path) -> None:
        keys = [c.key for c in self.columns]
        rows = [{key: row[key] for key in keys} for row in self.rows]
        with (out / f"{self.name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, keys)
            writer.writeheader()
            writer.writerows(rows)
        units = {c.key: c.unit for c in self.columns if c.unit}
        text = json.dumps({"caption": self.caption, "units": units, "rows": rows}, indent=1, ensure_ascii=False)
        (out / f"{self.name}.json").write_text(text + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Figure:
    """A picture beside the report: a PNG, or a GIF that moves and has a still of its name as PNG."""

    file: str
    caption: str


@dataclass
class Chapter:
    """What an experiment found, in the order in which it is told: text, figures and tables."""

    name: str
    title: str
    finding: str = ""  #: two sentences, computed from the numbers
    parts: list[str | Figure | Table] = field(default_factory=list)
    skipped: str = ""  #: why, if it did not run
    seconds: float = 0.0


@dataclass(frozen=True)
class Study:
    """One run: where results go, the seed, where real data lie, and how large the work is."""

    out: Path
    seed: int = 0
    data: Path | None = None
    size: int = 192  #: pixels of a frame's side in the simulated experiments
    quiet: bool = False
    full: bool = False  #: the slow settings: more pictures, starts and steps

    def pick(self, quick: T, full: T) -> T:
        """The setting for this run: the first within minutes for all experiments, the second with ``--full``."""
        return full if self.full else quick

    def rng(self, *index: int) -> np.random.Generator:
        """Random numbers for one case of the run, the same whatever else is run."""
        return np.random.default_rng((self.seed, *index))

    def track(self, items: Iterable[T], label: str) -> Iterable[T]:
        """The items under a progress bar with the time left."""
        from tqdm import tqdm

        bar: Iterable[T] = tqdm(items, desc=label, disable=self.quiet, dynamic_ncols=True)
        return bar

    def save(self, figure: Any, name: str, caption: str) -> Figure:
        """Write a Matplotlib figure as PNG and close it."""
        # Without the version of Matplotlib in the file, equal pixels give equal files.
        figure.savefig(self.out / f"{name}.png", metadata={"Software": None})
        pyplot().close(figure)
        return Figure(f"{name}.png", caption)

    def file(self, name: str) -> Path:
        """A file of the real data; its absence skips the experiment."""
        if self.data is None:
            raise SkippedError(
                f"{name} was looked for in $SIGDECONV_DATA and in {BESIDE} beside the repository, and there is no such "
                "folder; pass --data DIR to run this part"
            )
        path = self.data / name
        if not path.is_file():
            raise SkippedError(f"the data folder has no {name}; pass --data DIR with a folder that has it")
        return path


def data_folder() -> Path | None:
    """Where the real data lie: $SIGDECONV_DATA, else ../shared/data beside the repository, else nowhere."""
    named = os.environ.get("SIGDECONV_DATA")
    folder = Path(named) if named else ROOT / BESIDE
    return folder if folder.is_dir() else None


@contextmanager
def learning(threads: int = 1) -> Iterator[None]:
    """What networks need while an experiment runs: torch, without which it is skipped, and so many threads."""
    try:
        import torch

        import sigdeconv.transposed.weights  # noqa: F401 (needs safetensors)
    except ImportError as error:
        raise SkippedError(f"networks need torch and safetensors ({error}): pip install sigdeconv[learned]") from None
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def pyplot() -> Any:
    """`matplotlib.pyplot`, drawing to files only, in the style of the report."""
    try:
        import matplotlib
    except ImportError:
        raise ImportError(
            "the experiments draw with matplotlib, which is missing: pip install sigdeconv[plots]"
        ) from None
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    for key, value in STYLE.items():
        matplotlib.rcParams[key] = value  # type: ignore[index]
    return plt


def show(axes: Any, image: np.ndarray[Any, Any], title: str = "", **options: Any) -> Any:
    """An image without ticks."""
    drawn = axes.imshow(image, **options)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        axes.set_title(title)
    return drawn


def box(axes: Any, corner: tuple[int, int], size: tuple[int, int], colour: str = "#ffd400") -> None:
    """Outline of a zoom: `corner` and `size` are (y, x) in pixels."""
    from matplotlib.patches import Rectangle

    (y, x), (h, w) = corner, size
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), w, h, fill=False, edgecolor=colour, linewidth=1.4))


def mean(values: Iterable[float]) -> float:
    """The mean; of nothing, not a number."""
    numbers = list(values)
    return float(np.mean(numbers)) if numbers else math.nan


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign, and a minus that is one."""
    return f"{value:+.{digits}f}".replace("-", "−")


def half_width(profile: np.ndarray[Any, Any], peak: int, floor: float) -> float:
    """Full width in samples at half the height above `floor` of the peak at sample `peak`, linearly interpolated."""
    level = (profile[peak] + floor) / 2
    edges = []
    for step in (-1, 1):
        i = peak
        while 0 <= i + step < len(profile) and profile[i + step] > level:
            i += step
        j = i + step
        if not 0 <= j < len(profile):
            return math.nan
        edges.append(i + step * (profile[i] - level) / (profile[i] - profile[j]))
    return float(abs(edges[1] - edges[0]))
