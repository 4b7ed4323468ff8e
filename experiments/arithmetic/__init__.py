"""The arithmetic of convolutions and transposed convolutions, moving: windows, zeros, overlaps, shapes.

Every number in a picture is computed by moving the kernel; every shape comes from `sigdeconv.transposed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sigdeconv import metrics

from ..common import Chapter, Column, Figure, Study, Table
from . import figures, pictures
from .operations import (
    Played,
    RoundTrip,
    Settings,
    convolution,
    failing_share,
    inserted,
    origins,
    round_trip,
    same_settings,
    scatter,
    there_and_back,
)

TITLE = "Arithmetic: how the window moves, and what comes back"

Numbers = np.ndarray[Any, Any]

KERNEL = np.array([[1.0, 2.0, 1.0], [0.0, 1.0, 2.0], [2.0, 0.0, 1.0]])  # differs from its mirror images
LARGEST = 3  # of the samples, so that sums have two digits
PLAIN, DILATED = Settings(3, stride=2, padding=1), Settings(3, dilation=2)
EXTENDED = PLAIN._replace(output_padding=1)
TRAP, TRAPPED = Settings(5, stride=3, padding=2), 17  # of Dive into Deep Learning's rule
AROUND = range(13, 25)  # sizes that are drawn
LAYERS = (TRAP, Settings(3, stride=2, padding=1))
TRIED = {"kernels": range(1, 8), "strides": range(1, 6), "sizes": range(10, 70)}  # 60 sizes: a multiple of each stride

#: Name -> how it is played, the input's size, the settings, and what is to be seen.
SHOWN = {
    "convolution": (convolution, 5, PLAIN, "A window moves over the padded input in steps of the stride; each "
                    "position gives one sample of the output."),
    "transposed": (scatter, 3, PLAIN, "Each sample of the input adds a copy of the kernel to the output. Where copies "
                   "overlap (darker) they add up; the padding is cut off (grey)."),
    "inserted": (inserted, 3, PLAIN, "The same transposed convolution with the same numbers: zeros between the "
                 "samples, zeros around, and a convolution of stride 1 with the flipped kernel."),
    "convolution-dilated": (convolution, 7, DILATED, "Dilation pulls the taps of the window apart."),
    "transposed-dilated": (scatter, 3, DILATED, "Dilation pulls the painted kernels apart: copies interlock."),
    "transposed-output-padding": (scatter, 3, EXTENDED, "output_padding cuts less off at the end: one more row and "
                                  "column are kept (zeros only where no copy of the kernel reaches)."),
    "inserted-output-padding": (inserted, 3, EXTENDED, "The same by zeros: output_padding is one more line of zeros "
                                "at the end of the padded input."),
}  # fmt: skip

SHAPE_COLUMNS = (
    Column("name", "picture"),
    Column("settings", "settings"),
    Column("input", "input"),
    Column("between", "zeros between", "", 0),
    Column("around", "zeros before, after"),
    Column("canvas", "canvas"),
    Column("output", "output"),
)
TRAP_COLUMNS = (
    Column("n", "samples", "", 0),
    Column("small", "after convolution", "", 0),
    Column("plain", "back, same settings", "", 0),
    Column("needed", "output_padding to come back", "", 0),
)
VALUE_COLUMNS = (
    Column("kernels", "kernels"),
    Column("way", "way back"),
    Column("shape", "shape"),
    Column("error", "relative error", "%", 1),
)


def played(name: str, rng: np.random.Generator) -> Played:
    """One of the operations that are shown, on a picture of small whole numbers."""
    play, n, settings, _ = SHOWN[name]
    return play(rng.integers(1, LARGEST + 1, (n, n)).astype(float), KERNEL, settings)


def shapes(rng: np.random.Generator) -> list[dict[str, Any]]:
    """A row an operation that is shown."""
    rows: list[dict[str, Any]] = []
    for name in SHOWN:
        one = played(name, rng)
        row: dict[str, Any] = {"name": name, "settings": one.settings.told(), "between": 0, "around": "none"}
        if one.kind == "inserted":
            same = one.settings.equivalent(len(one.x))
            row |= {"between": same.zeros_between[0], "around": "{}, {}".format(*same.padding[0])}
        elif one.kind == "convolution" and one.settings.padding:
            row["around"] = f"{one.settings.padding}, {one.settings.padding}"
        for key, value in (("input", one.x), ("canvas", one.canvas), ("output", one.result)):
            row[key] = pictures.square(len(value))
        rows.append(row)
    return rows


def trap(settings: Settings, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """A row a size: there, back with the same settings, and what would lead back."""
    rows = []
    for n in sizes:
        small, plain = same_settings(n, settings)
        rows.append(
            {"n": n, "small": small, "plain": plain, "needed": origins(small, settings)[n], "marked": plain != n}
        )
    return rows


def drawing(n: int) -> Numbers:
    """A picture with edges, dots and a ramp: a ring, a spot in it, and a shade."""
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    radius = np.hypot(y, x) / n
    ring = ((radius > 0.27) & (radius < 0.42)) * 1.0
    found: Numbers = ring + (radius < 0.1) * 0.7 + 0.15 * (x / n + 0.5)
    return found


def kernels(rng: np.random.Generator) -> dict[str, list[Numbers]]:
    """Two kinds for the two layers: smooth ones, and random ones as a network begins with."""
    smooth = []
    for layer in LAYERS:
        row = np.array([1.0])
        for _ in range(layer.kernel - 1):
            row = np.convolve(row, [0.5, 0.5])
        smooth.append(np.multiply.outer(row, row))
    return {
        "smooth (binomial)": smooth,
        "random (normal)": [rng.standard_normal((layer.kernel, layer.kernel)) for layer in LAYERS],
    }


def values(rng: np.random.Generator) -> tuple[Numbers, dict[str, dict[str, Numbers]], list[dict[str, Any]]]:
    """The picture, what comes back of it by kernels and way, and a row each."""
    truth, found, rows = drawing(TRAPPED), {}, []
    ways = {"back": "transposes", "scaled": "transposes, best gain", "least squares": "least squares (pseudo-inverse)"}
    for label, pair in kernels(rng).items():
        found[label] = there_and_back(truth, pair, LAYERS)
        for key, way in ways.items():
            image = found[label][key]
            error = 100 * metrics.nrmse(truth, image)
            rows.append(
                {"kernels": label, "way": way, "key": key, "shape": pictures.square(len(image)), "error": error}
            )
    return truth, found, rows


def finding(trip: RoundTrip, rows: Sequence[dict[str, Any]], shares: dict[int, float]) -> str:
    """Two sentences: shapes, and values."""
    small, plain = same_settings(TRAPPED, TRAP)
    verdict = "does not come back" if plain != TRAPPED else "comes back"
    first = (
        f"With the same settings the shape {verdict}: {TRAPPED} samples (kernel {TRAP.kernel}, stride {TRAP.stride}, "
        f"padding {TRAP.padding}) become {small} and then {plain}, because {TRAP.stride} sizes lead to the same one; "
        f"output_padding says which was meant, and without it {100 * shares[2]:.0f} % of all sizes are missed at "
        f"stride 2 and {100 * shares[3]:.0f} % at stride 3"
    )
    best = min(row["error"] for row in rows if row["key"] == "scaled")
    least = min(row["error"] for row in rows if row["key"] == "least squares")
    there = " → ".join(map(str, trip.sizes))
    back = " → ".join(map(str, trip.resolved[1:]))
    lost = "the values do not" if best > 10 else "so do the values, nearly"
    second = (
        f"Through two layers and their transposes ({there} → {back}) the shape comes back and {lost}: the error is "
        f"{best:.0f} % at best, with the gain that suits it most, and even least squares leaves {least:.0f} %, as "
        f"{trip.sizes[-1] ** 2} numbers are left of {trip.sizes[0] ** 2}"
    )
    return f"{first}. {second}."


def run(study: Study) -> Chapter:
    """Draw everything."""
    moving: list[str | Figure | Table] = []
    stills = []
    for index, (name, (*_, caption)) in enumerate(SHOWN.items()):
        # The picture by zeros is played on the same numbers as the one by painting.
        one = played(name, study.rng(SHOWN[name][1]))
        pictures.animate(one, study.out / f"arithmetic-{name}.gif")
        stills.append(pictures.still(one))
        stills[-1].save(study.out / f"arithmetic-{name}.png")
        moving.append(Figure(f"arithmetic-{name}.gif", f"{index + 1}. {caption}"))
    pictures.sheet(stills).save(study.out / "arithmetic-stills.png")
    trip = round_trip(TRAPPED, LAYERS)
    truth, images, rows = values(study.rng(0))
    shares = failing_share(**TRIED)
    trapped = trap(TRAP, AROUND)
    missed = " or ".join(
        str(row["n"]) for row in trapped if row["marked"] and row["small"] == same_settings(TRAPPED, TRAP)[0]
    )
    listed = ", ".join(f"{100 * share:.0f} % at stride {stride}" for stride, share in shares.items())
    return Chapter(
        "arithmetic",
        TITLE,
        finding(trip, rows, shares),
        [
            "A layer of a network does not flip its kernel: the numbers are those of torch. Small numbers in orange "
            "are the taps of the kernel, where it lies. Beside each animation lies a still of the same name; all "
            "stills follow the animations.",
            *moving,
            Figure("arithmetic-stills.png", "The same as stills: beginning, middle and end of each animation."),
            Table("arithmetic-shapes", "Shapes of what is shown", SHAPE_COLUMNS, shapes(study.rng(1))),
            "A textbook (Dive into Deep Learning, 14.10) says that a transposed convolution with the same "
            f"hyperparameters gives the shape back. For {missed} samples with {TRAP.told()} it does not. Of sizes from "
            f"{TRIED['sizes'][0]} to {TRIED['sizes'][-1]}, kernels of {TRIED['kernels'][0]} to {TRIED['kernels'][-1]} "
            f"taps and paddings up to half a kernel, the rule fails for {listed}. The convolution divides and drops "
            "the remainder; the transpose cannot know it.",
            figures.many_to_one(study, TRAP, AROUND),
            Table(
                "arithmetic-trap",
                f"There and back with {TRAP.told()}. Bold: the size does not come back with the same settings.",
                TRAP_COLUMNS,
                trapped,
                marked="marked",
            ),
            figures.there_and_back(study, LAYERS, trip, truth, images, rows),
            Table(
                "arithmetic-values",
                "What comes back of a picture through both layers: error over the length of the truth.",
                VALUE_COLUMNS,
                rows,
            ),
        ],
    )
