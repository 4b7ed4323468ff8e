"""Time and memory against size, pieces and workers: what it costs to restore a volume that is larger than memory.

A volume lies on the disk and is restored whole in memory, and piece by piece under a budget of memory. Each piece sees
a halo, which is computed for nothing; the smaller the pieces, the more so. What the pieces give is compared with the
whole. Times are those of this machine and of this moment; ratios within one run tell more.
"""

from __future__ import annotations

import tempfile
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import sigdeconv
from sigdeconv import simulate

from .common import COLOURS, Chapter, Column, Figure, Study, Table, pyplot

TITLE = "Large volumes: time and memory against size, pieces and workers"

Numbers = np.ndarray[Any, Any]

PSF = sigdeconv.psf.gaussian((9, 9, 9), 1.2)
OPTIONS = {"num_iter": 10, "accelerate": False}  # plain steps, which pieces reproduce
BUDGET = 24 * 2**20  # bytes for a piece, PSF and all that is computed of them
SIZES = (
    ((32, 64, 64), (32, 96, 96), (32, 128, 128), (32, 192, 192)),
    ((64, 384, 384), (64, 512, 512)),
)  # quick, and more
SIDES = (24, 32, 48, 96)  # of pieces of one volume
HALOS = (0, 2, 4, 8, 12, 16)  # samples around a piece
MIDDLE = (48, 96, 96)  # the volume that is cut differently

COLUMNS = (
    Column("how", "how"),
    Column("voxels", "volume", "Mvoxel", 2),
    Column("pieces", "pieces", "", 0),
    Column("side", "a piece", "voxel"),
    Column("overlap", "overlap", "voxel"),
    Column("work", "FFT samples over the whole's", "", 2),
    Column("each", "time", "ns/voxel", 0),
    Column("memory", "peak memory", "MiB", 0),
    Column("differs", "differs from the whole", "of the peak", 6),
    Column("seam", "differs at seams", "of the peak", 6),
)


class Measured(NamedTuple):
    """One run."""

    how: str
    shape: tuple[int, ...]
    seconds: float
    memory: float  #: bytes of NumPy's arrays at the peak, beyond the volume on the disk; NaN if not measured
    report: Mapping[str, Any]  #: of `map_chunks`; empty for the whole
    differs: float  #: from the whole, relative to its largest value; NaN if that was not computed

    @property
    def each(self) -> float:
        """Nanoseconds a voxel."""
        return 1e9 * self.seconds / float(np.prod(self.shape))

    def row(self) -> dict[str, Any]:
        """Of the table."""
        chunks = self.report.get("chunks", {})
        return {
            "how": self.how,
            "voxels": float(np.prod(self.shape)) / 1e6,
            "pieces": chunks.get("number", 1),
            "side": " × ".join(map(str, chunks.get("core", self.shape))),
            "overlap": " × ".join(map(str, chunks["overlap"])) if chunks else "–",
            "work": chunks.get("work", 1.0),
            "each": self.each,
            "memory": told(self.memory / 2**20),
            "differs": told(self.differs),
            "seam": told(self.report.get("seam")),
        }


def told(value: float | None) -> float | str:
    """A number, or a dash for what was not measured."""
    return "–" if value is None or np.isnan(value) else value


def volume(shape: tuple[int, ...], rng: np.random.Generator) -> Numbers:
    """Hollow spheres under the blur, as photon counts."""
    larger = tuple(n + k - 1 for n, k in zip(shape, PSF.shape, strict=True))
    number = max(4, int(np.prod(shape)) // 12000)
    scene = 15 + 300 * simulate.hollow_spheres(larger, num=number, radius=6, rng=rng)
    counts: Numbers = rng.poisson(np.maximum(simulate.through_frame(scene, PSF).blurred, 0)).astype(np.float32)
    return counts


def measured(
    how: str, shape: tuple[int, ...], work: Callable[[], Any], whole: Numbers | None, *, memory: bool
) -> tuple[Numbers, Measured]:
    """Time without, and memory with, an eye on every allocation; so `work` is done twice, where memory is asked for."""
    began = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - began
    result, report = found if isinstance(found, tuple) else (found, {})
    seconds = float(report.get("seconds", seconds))  # without the trial on a small block that comes before the work
    values = np.load(result, mmap_mode="r") if isinstance(result, Path) else result
    differs = float("nan") if whole is None else float(np.abs(values - whole).max() / whole.max())
    peak = float("nan")
    if memory:
        tracemalloc.start()
        work()
        peak = float(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return np.asarray(values), Measured(how, shape, seconds, peak, report, differs)


def in_memory(path: Path, shape: tuple[int, ...]) -> tuple[Numbers, Measured]:
    """The whole volume at once."""
    return measured(
        "in memory", shape, lambda: sigdeconv.richardson_lucy(np.load(path), PSF, **OPTIONS), None, memory=True
    )


def in_pieces(path: Path, shape: tuple[int, ...], whole: Numbers | None, how: str, **how_cut: Any) -> Measured:
    """Piece by piece, from the disk to the disk."""
    out = path.with_name("restored.npy")

    def work() -> Any:
        return sigdeconv.map_chunks(
            sigdeconv.richardson_lucy, path, PSF, out=out, overwrite=True, **{"memory": BUDGET, **how_cut}, **OPTIONS
        )

    return measured(how, shape, work, whole, memory=how.startswith("in pieces"))[1]


def run(study: Study) -> Chapter:
    """Measure, tabulate, draw."""
    few, more = SIZES
    sizes = study.pick(few, few + more)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wholes, pieces = [], []
        for i, shape in enumerate(study.track(sizes, "scaling: sizes")):
            path = folder / "volume.npy"
            np.save(path, volume(shape, study.rng(i)))
            whole, found = in_memory(path, shape)
            wholes.append(found)
            pieces.append(in_pieces(path, shape, whole, f"in pieces of {BUDGET / 2**20:.0f} MiB"))
        path = folder / "middle.npy"
        np.save(path, volume(MIDDLE, study.rng(99)))
        whole, middle = in_memory(path, MIDDLE)
        sides = [
            in_pieces(path, MIDDLE, whole, "smaller pieces", chunks=tuple(min(side, n) for n in MIDDLE), memory=None)
            for side in study.track(SIDES, "scaling: pieces")
        ]
        halos = [
            in_pieces(path, MIDDLE, whole, "another overlap", chunks=(48, 48, 48), overlap=halo, memory=None)
            for halo in study.track(HALOS, "scaling: overlap")
        ]
        workers = by_workers(path, study) if study.full and find_spec("distributed") else []
    rows = [m.row() for m in (*wholes, *pieces, middle, *sides, *halos, *workers)]
    table = Table("scaling", "All runs: ten plain Richardson–Lucy iterations each.", COLUMNS, rows, folded=True)
    table.write(study.out)
    parts: list[str | Figure | Table] = [
        "The volume is read from a file and the result is written to one, so that neither is in memory as a "
        "whole when it is restored in pieces. Memory is that of NumPy's arrays at their peak. The trial on a small "
        "block, by which memory and time are foretold, is not counted.",
        draw(study, wholes, pieces, middle, sides, halos),
        table,
    ]
    if workers:
        parts.insert(2, told_workers(workers))
    return Chapter("scaling", TITLE, finding(wholes, pieces, middle, halos), parts)


def by_workers(path: Path, study: Study) -> list[Measured]:
    """One process, and two; each with one thread."""
    found = []
    for count in study.track((1, 2), "scaling: workers"):
        cut = {"chunks": (24, 48, 48), "memory": None, "cluster": "processes", "workers": count}
        found.append(in_pieces(path, MIDDLE, None, f"{count} {'process' if count == 1 else 'processes'}", **cut))
    return found


def told_workers(workers: Sequence[Measured]) -> str:
    """What a second process is worth."""
    one, two = (float(m.report["seconds"]) for m in workers)
    return (
        f"Two processes, of one thread each, took {one / two:.2f} times less time than one (their start not counted)."
    )


def finding(wholes: Sequence[Measured], pieces: Sequence[Measured], middle: Measured, halos: Sequence[Measured]) -> str:
    """Two sentences."""
    grown = float(np.prod(wholes[-1].shape) / np.prod(wholes[0].shape))
    cut = [m for m in pieces if m.report["chunks"]["number"] > 1] or list(pieces[-1:])
    needed = wholes[-1].memory / 2**20
    most = max(m.memory for m in pieces) / 2**20
    dear = cut[-1].each / wholes[-1].each
    worst = max(m.differs for m in pieces)
    none, enough = halos[0], next((m for m in halos if m.differs <= 1e-3), halos[-1])
    return (
        f"While the volume grew {grown:.0f}-fold, memory grew from {wholes[0].memory / 2**20:.0f} to {needed:.0f} "
        "MiB in one "
        f"piece and stayed below {most:.0f} MiB in pieces, at {dear:.2f} times the time a voxel and a difference "
        "of at most "
        f"{worst:.0e} of the peak. Without an overlap the pieces differ from the whole by {none.differs:.0%} of "
        "the peak, "
        f"with one of {enough.report['chunks']['overlap'][-1]} voxels by {enough.differs:.0e}: the PSF reaches 4."
    )


def draw(
    study: Study,
    wholes: Sequence[Measured],
    pieces: Sequence[Measured],
    middle: Measured,
    sides: Sequence[Measured],
    halos: Sequence[Measured],
) -> Figure:
    """Memory and time against size, the price of small pieces, and what an overlap is for."""
    plt = pyplot()
    figure, axes = plt.subplots(2, 2, figsize=(11, 7.4))
    whole_colour, piece_colour = COLOURS["inverse"], COLOURS["wiener"]
    size = [np.prod(m.shape) / 1e6 for m in wholes]
    for ax, value, label in (
        (axes[0, 0], lambda m: m.memory / 2**20, "peak memory [MiB]"),
        (axes[0, 1], lambda m: m.each, "time [ns/voxel]"),
    ):
        ax.plot(size, [value(m) for m in wholes], "o-", color=whole_colour, label="in memory, in one piece")
        ax.plot(size, [value(m) for m in pieces], "s-", color=piece_colour, label="in pieces, from disk to disk")
        ax.set(xscale="log", xlabel="volume [Mvoxel]", ylabel=label)
        ax.set_xticks(size, [f"{s:.2g}" for s in size])
        ax.minorticks_off()
        ax.set_ylim(bottom=0)
        ax.grid(True, axis="y")
    axes[0, 0].axhline(BUDGET / 2**20, color="#7f7f7f", ls="--", lw=1)
    axes[0, 0].annotate("budget", (size[0], BUDGET / 2**20), xytext=(0, 4), textcoords="offset points", color="#5f5f5f")
    axes[0, 0].set_title("Memory: in pieces it stays where it was asked to")
    axes[0, 0].legend(loc="upper left")
    axes[0, 1].set_title("Time a voxel: the overlap is computed as well")
    ax = axes[1, 0]
    along = [min(side, min(MIDDLE[1:])) for side in SIDES]
    ax.plot(along, [m.each / middle.each for m in sides], "s-", color=piece_colour, label="measured time")
    ax.plot(along, [m.report["chunks"]["work"] for m in sides], "--", color="#5f5f5f", label="FFT samples")
    ax.axhline(1, color=whole_colour, lw=1)
    ax.set(xlabel="side of a piece [voxel]", ylabel="over the volume in one piece", xticks=along)
    ax.set_title("Small pieces are mostly overlap")
    ax.set_ylim(bottom=0)
    ax.grid(True, axis="y")
    ax.legend()
    ax = axes[1, 1]
    differs = [(m.report["chunks"]["overlap"][-1], m.differs, m.report["seam"]) for m in halos]
    ax.semilogy([d[0] for d in differs], [d[1] for d in differs], "s-", color=piece_colour, label="from the whole")
    seams = [(d[0], d[2]) for d in differs if d[2]]
    ax.semilogy(*zip(*seams, strict=True), "x:", color=COLOURS["rl"], label="between neighbours (the report's “seam”)")
    ax.axvline(PSF.shape[-1] // 2, color="#7f7f7f", ls="--", lw=1)
    ax.annotate(
        "half the PSF",
        (PSF.shape[-1] // 2, ax.get_ylim()[0]),
        xytext=(4, 6),
        textcoords="offset points",
        color="#5f5f5f",
    )
    ax.set(xlabel="overlap [voxel]", ylabel="largest difference [of the peak]")
    ax.set_title("The overlap: to restore takes more than to blur")
    ax.grid(True, axis="y")
    ax.legend()
    return study.save(
        figure,
        "scaling",
        "Ten plain Richardson–Lucy iterations of simulated spheres. Top: memory and time against size. Bottom: "
        "one volume, in "
        "pieces of several sizes, and with several overlaps.",
    )
