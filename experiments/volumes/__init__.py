"""Stacks of a microscope: hollow bars whose truth is known, and a real confocal grid.

The bars are seen through a widefield microscope whose oil lens is focused into water: the formula of Gibson and Lanni,
photons, background, and a scene that goes on past the frame. The same stack is then restored with the PSFs of other
optics. Where the data folder has them, the EPFL's phantom and the real grid are restored as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sigdeconv import psf

from ..common import Chapter, Column, Figure, SkippedError, Study, Table, signed
from . import cases, figures, grid, methods

TITLE = "Stacks of a microscope: bars with known truth, and a real line grid"

FRAMES = ((24, 48, 47), (32, 96, 95))  # voxels: quick, full; a whole number of bars on what they see along x
WINDOWS = ((17, 29, 29), (25, 41, 41))  # of the PSF
STEPS = (60, 200)  # of methods that iterate to a minimum
METHODS = (
    ("blurred", "transpose", "inverse", "tikhonov", "rl-stopped", "hessian"),
    ("blurred", "transpose", "inverse", "tikhonov", "rl-stopped", "tv", "hessian"),
)

Parts = list[str | Figure | Table]
SCORES = (Column("psnr", "PSNR", "dB", 1), Column("gain", "gain", "dB", 1), Column("ssim", "SSIM", "", 2))
COLUMNS = (
    Column("method", "method"),
    *SCORES,
    Column("wall_x", "wall along x", "µm", 2),
    Column("wall_z", "along z", "µm", 2),
    Column("hollow_x", "hollow along x", "%", 0),
    Column("hollow_z", "along z", "%", 0),
    Column("chosen", "chosen from the data"),
    Column("seconds", "time", "s", 1),
)
OPTICS = (
    Column("optics", "PSF that is assumed"),
    Column("width", "its width along z", "µm", 2),
    *SCORES,
    Column("steps", "iterations", "", 0),
)
EPFL = (
    Column("method", "method"),
    *SCORES,
    Column("chosen", "chosen from the data"),
    Column("seconds", "time", "s", 1),
)


def rows_of(case: cases.Case, estimates: Mapping[str, methods.Estimate], at: cases.Walls | None) -> list[Any]:
    """A row a method, with widths where walls are told; a width that there is not is a dash."""
    rows: list[dict[str, Any]] = []
    for key, found in estimates.items():
        row: dict[str, Any] = {"key": key, "method": methods.METHODS[key].label, "chosen": methods.told(found.chosen)}
        row |= {"seconds": found.seconds} | methods.score(case, found.volume)
        rows.append(row | (dashed(cases.widths(found.volume, at)) if at else {}))
    best = max(row["psnr"] for row in rows)
    return [row | {"marked": row["psnr"] == best} for row in rows]


def dashed(numbers: Mapping[str, float]) -> dict[str, float | str]:
    return {name: "–" if math.isnan(value) else value for name, value in numbers.items()}


def finding(rows: Sequence[Mapping[str, Any]], optics: Sequence[Mapping[str, Any]], lines: Sequence[Any]) -> str:
    """Two sentences from the tables: what the methods gain, and what the PSF is worth."""
    at = {row["key"]: row for row in rows}
    best = max(rows, key=lambda row: float(row["psnr"]))
    named = [f"the transpose {signed(at['transpose']['gain'])} dB", f"division {signed(at['inverse']['gain'])} dB"]
    named.append(f"Richardson–Lucy, stopped by itself, {signed(at['rl-stopped']['gain'])} dB")
    if best["key"] not in ("transpose", "inverse", "rl-stopped"):
        named.append(f"and {best['method']}, the best, {signed(best['gain'])} dB")
    true, perfect = (next(r for r in optics if word in r["optics"]) for word in ("(true)", "Born–Wolf"))
    text = (
        f"PSNR against the recorded stack of bars: {', '.join(named)}. With the PSF of a perfect lens in place of that "
        f"of {cases.DEPTH:g} µm of water, Richardson–Lucy's {signed(true['gain'])} dB become "
        f"{signed(perfect['gain'])} dB"
    )
    if lines:
        wide = {row["key"]: row["width"] for row in lines}
        text += (
            f"; the real lines, {wide['blurred']:.2f} µm wide as recorded, are {wide['transpose']:.2f} µm wide after "
            f"the transpose and {wide['rl-stopped']:.2f} µm after Richardson–Lucy"
        )
    return text + "."


def run(study: Study) -> Chapter:
    """Bars with every method, then with every PSF, then what is real."""
    keys = study.pick(*METHODS)
    steps = iter(study.track([*keys, "optics", "pieces", "phantom", "grid"], "volumes"))
    case = cases.observe(study.pick(*FRAMES), study.pick(*WINDOWS), study.rng(0))
    at = cases.walls(case.truth)
    estimates = {key: methods.restore(case, key, study.pick(*STEPS)) for key, _ in zip(keys, steps, strict=False)}
    rows = rows_of(case, estimates, at)
    wall = dashed(cases.widths(case.truth, at))
    truth = (
        {"key": "scene", "method": "truth"} | wall | dict.fromkeys(("psnr", "gain", "ssim", "chosen", "seconds"), "")
    )
    optics, kernels, assumed = methods.compare_optics(case)
    next(steps)
    number, differ = methods.pieces(study.rng(1))
    next(steps)
    phantom = _phantom(study)
    next(steps)
    real, lines = _grid(study)
    list(steps)
    nz, ny, nx = case.image.shape
    return Chapter(
        "volumes",
        TITLE,
        finding(rows, optics, lines),
        [
            f"Hollow bars in {nz} × {ny} × {nx} voxels of {cases.VOXEL[0]:g} × {cases.VOXEL[1]:g} × {cases.VOXEL[2]:g} "
            f"µm, seen in widefield through an oil lens of NA {cases.LENS['na']:g}, {cases.DEPTH:g} µm deep in water: "
            f"{cases.PHOTONS:.0f} photons at the brightest voxel, on a background of {cases.BACKGROUND:.0f} that is "
            "known. Past the frame the bars go on, and their light falls into it. Every method is given the PSF that "
            "made the image, and chooses its weight or its iterations from the image.",
            figures.bars(study, case, estimates, rows),
            figures.profiles(study, case, estimates, at),
            Table(
                "volumes-bars",
                "Gain: PSNR above that of the recorded stack. Wall: full width at half maximum, mean of the two walls "
                "beside a hollow; where the hollow is brighter than half of them they count as one, and where the "
                "profile does not fall to half within the frame there is a dash. Hollow: how much darker it is than "
                "its walls. Bold: the highest PSNR.",
                COLUMNS,
                [truth, *rows],
                marked="marked",
            ),
            "The same stack, restored by Richardson–Lucy with PSFs of other optics, stopped by itself each time. All "
            "have their brightest plane in the middle: what differs is their shape.",
            figures.optics(study, kernels, assumed, optics),
            Table(
                "volumes-optics",
                "Richardson–Lucy with PSFs that somebody might assume. Width: full width at half maximum along z. "
                "Bold: the highest PSNR.",
                OPTICS,
                optics,
                marked="marked",
            ),
            f"Cut into {number} blocks by map_chunks, five plain iterations on a larger stack give what they give on "
            f"the whole, to {100 * differ:.1g} % of its brightest voxel.",
            *phantom,
            *real,
        ],
    )


def _phantom(study: Study) -> Parts:
    """The EPFL's phantom, or why it is not here."""
    try:
        case, left = cases.epfl(study)
    except SkippedError as reason:
        return [f"The phantom of the EPFL is left out: {reason}."]
    keys = [key for key in study.pick(*METHODS) if study.full or key != "hessian"]
    rows = rows_of(case, {key: methods.restore(case, key, study.pick(*STEPS)) for key in keys}, None)
    return [
        Table(
            "volumes-phantom",
            f"The bars of the EPFL, {' × '.join(str(n) for n in case.image.shape)} voxels, image and PSF as they are "
            f"distributed; they repeat past the frame. That PSF leaves {100 * left:.0f} % of the image unexplained (in "
            "the norm), so that none of these numbers is that of a method alone. Bold: the highest PSNR.",
            EPFL,
            rows,
            marked="marked",
        )
    ]


def _grid(study: Study) -> tuple[Parts, list[dict[str, Any]]]:
    """The real grid, or why it is not here; and the rows of its table."""
    try:
        found = grid.restore(study)
    except SkippedError as reason:
        return [f"The real grid is left out: {reason}."], []
    at = grid.lines(found.curves["rl-stopped"])
    rows = grid.measure(found, at)
    widths = " × ".join(f"{w:.2f}" for w in psf.fwhm(found.psf.psf, found.spacing))
    text = (
        f"A real confocal stack: a grid of lines, with the PSF of {found.psf.num_used} beads that the same microscope "
        f"has seen, {widths} µm wide (z, y, x). The stack holds only {found.brightest:.0f} grey levels; its background "
        f"({found.background:.2f} levels) is the darkest per cent of the smoothed stack. Richardson–Lucy stopped by "
        f"itself after {found.iterations} iterations. What the lines are in truth is not known."
    )
    table = Table(
        "volumes-grid",
        "Across the real lines, mean over 1 µm along them. Width: full width at half maximum of the lines that stand "
        "alone. Dip: between the closest two. Light: sum of the profile; Richardson–Lucy takes back into the focal "
        "section what the blur had spread over the others.",
        grid.COLUMNS,
        rows,
    )
    return [text, figures.grid_sections(study, found, rows), figures.grid_profile(study, found, at, rows), table], rows
