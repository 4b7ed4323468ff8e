"""The transpose is the inverse only of an orthogonal operator: AᴴA = I, all singular values 1.

First the operators for which that holds (a delta, its negative, the four Haar filters with stride 2, an all-pass
filter) beside some for which it does not. Then operators in between: each is taken apart into an orthogonal part and a
stretching part, A = U P with P = (AᴴA)^½ (its polar decomposition), and U Pᵗ goes from the orthogonal U at t = 0 to A
itself at t = 1. There is no noise: what is wrong here is wrong with the transpose alone.

Scenes are taken from their mean, since a constant is one wave of many and would outweigh all others in the error of a
photograph. Frames repeat, or are tiled by the kernels, so that singular values are known exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import orthogonal_figures as figures
from .common import Chapter, Column, Study, Table
from .orthogonal_operators import FAMILIES, Operator, cases, draw, path

TITLE = "Only an orthogonal operator is undone by its transpose"

Numbers = np.ndarray[Any, Any]

SIZE = 128  # pixels of the frame's side
MIDDLE = (150, 290)  # of what is taken of the photograph (row, column)
EXACT = 1e-12  # relative error that is rounding alone


def scenes(size: int, rng: np.random.Generator) -> dict[str, Numbers]:
    """A photograph in grey levels and white noise, both with the mean 0."""
    from skimage import data

    camera: Any = data.camera
    y, x = (middle - size // 2 for middle in MIDDLE)
    picture = camera()[y : y + size, x : x + size].astype(float)
    noise = rng.standard_normal((size, size))
    return {"photograph": picture - picture.mean(), "noise": noise - noise.mean()}


def there_and_back(operator: Operator, x: Numbers) -> tuple[Numbers, float]:
    """AᴴA x, and the factor that brings it nearest to x."""
    back = operator.adjoint(operator.forward(x))
    return back, float(np.vdot(back, x) / np.vdot(back, back))


def errors(operator: Operator, x: Numbers) -> dict[str, float]:
    """How far AᴴA x is from x, relative: as it comes and with the best gain; and what its singular values say."""
    back, gain = there_and_back(operator, x)
    size, power = np.linalg.norm(x), operator.sigma**2
    least, most = float(np.sqrt(power.min())), float(np.sqrt(power.max()))
    # Below, σ is 0 but for rounding.
    condition = most / least if least > EXACT * most else math.inf
    return {
        "raw": float(np.linalg.norm(back - x) / size),
        "scaled": float(np.linalg.norm(gain * back - x) / size),
        "bound": float(np.max(np.abs(power - 1))),
        "rms": float(np.sqrt(np.mean((power - 1) ** 2))),
        "spread": float(power.std() / power.mean()),
        "condition": condition,
        "kantorovich": (condition**2 - 1) / (condition**2 + 1) if math.isfinite(condition) else 1.0,
    }


def case_rows(operators: Mapping[str, Operator], x: Numbers) -> list[dict[str, Any]]:
    rows = []
    for key, operator in operators.items():
        found = errors(operator, x)
        exact = found["raw"] < EXACT
        label = operator.label.replace("\n", " ")
        rows.append({"key": key, "operator": label, "exact": exact, "undone": "yes" if exact else "no", **found})
    return rows


def path_rows(study: Study, pictures: Mapping[str, Numbers]) -> list[dict[str, Any]]:
    """Every step of the three paths, for both scenes."""
    size = pictures["photograph"].shape[0]
    return [
        {"family": family, "label": FAMILIES[family], "t": t, "scene": scene, **errors(operator, x)}
        for index, family in enumerate(("blur", "random", "bank"))
        for t, operator in path(family, size, study.rng(2, index)).items()
        for scene, x in pictures.items()
    ]


def cloud(study: Study, pictures: Mapping[str, Numbers], number: int) -> list[dict[str, Any]]:
    """`number` operators of each random family, each as drawn (t = 1) and once on its way there."""
    size = pictures["photograph"].shape[0]
    rows = []
    families = [family for family in FAMILIES if family != "blur"]
    for index, family in enumerate(study.track(families, "orthogonal")):
        for i in range(number):
            for t in (1.0, float(study.rng(3, index, i).uniform())):
                operator = draw(family, t, size, study.rng(4, index, i))
                for scene, x in pictures.items():
                    row = {"family": family, "label": FAMILIES[family], "t": t, "scene": scene}
                    rows.append(row | errors(operator, x))
    return rows


def rank_correlation(rows: Sequence[Mapping[str, Any]], scene: str) -> float:
    """Spearman's: 1 if, of any two operators, that of larger spread has the larger error with its best gain."""
    mine = [row for row in rows if row["scene"] == scene]
    by_spread, by_error = (np.argsort(np.argsort([row[key] for row in mine])) for key in ("spread", "scaled"))
    return float(np.corrcoef(by_spread, by_error)[0, 1])


CASE_COLUMNS = (
    Column("operator", "operator A"),
    Column("undone", "undone by Aᴴ"),
    Column("bound", "max |σ² − 1|", "", 3),
    Column("spread", "spread of σ²", "", 3),
    Column("condition", "condition", "", 1),
    Column("raw", "error of AᴴA x", "", 3),
    Column("scaled", "with best gain", "", 3),
)
ROW_COLUMNS = (
    Column("label", "family"),
    Column("t", "t", "", 2),
    Column("scene", "scene"),
    Column("bound", "max |σ² − 1|", "", 4),
    Column("rms", "rms of σ² − 1", "", 4),
    Column("raw", "error of AᴴA x", "", 4),
    Column("spread", "spread of σ²", "", 4),
    Column("condition", "condition", "", 1),
    Column("scaled", "with best gain", "", 4),
)


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The numbers of the finding, from the rows of the paths and of the cloud."""
    drawn = [row for row in rows if row["t"] == 1 and row["family"] != "blur"]
    between = [row for row in rows if row["bound"] > EXACT]  # of the others, both are rounding
    result = {
        "operators": len(rows) / 2,  # each with two scenes
        "drawn": len(drawn) / 2,
        "ratio": max(float(row["raw"] / row["bound"]) for row in between),
        "gain_ratio": max(float(row["scaled"] / row["kantorovich"]) for row in between),
    }
    for scene in ("photograph", "noise"):
        mine = [float(row["scaled"]) for row in drawn if row["scene"] == scene]
        result[f"nearest, {scene}"], result[f"median, {scene}"] = min(mine), float(np.median(mine))
        result[f"ranks, {scene}"] = rank_correlation(rows, scene)
    return result


def finding(shown: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> str:
    """Two sentences from the tables."""
    undone = [str(row["operator"]) for row in shown if row["exact"]]
    others = [f"{row['operator']}, {100 * row['scaled']:.0f} %" for row in shown if not row["exact"]]
    # Rounding of σ² is larger than that of a picture, whose waves average it.
    told = sum((row["bound"] < 10 * EXACT) == row["exact"] for row in shown)
    only = "just those whose singular values σ are all 1"
    if told < len(shown):
        only = f"which is told by singular values σ that are all 1 in only {told} cases"
    found = summary(rows)
    limit = "never above" if found["ratio"] <= 1 + EXACT else f"up to {found['ratio']:.2f} times"
    noise, photograph = (
        f"{found[f'ranks, {scene}']:.2f} for {name} (".replace("-", "−")
        + f"kernels drawn freely: {100 * found[f'median, {scene}']:.0f} % off "
        f"at the median, {100 * found[f'nearest, {scene}']:.0f} % at best)"
        for scene, name in (("noise", "white noise"), ("photograph", "a photograph"))
    )
    return (
        f"The transpose undid {len(undone)} of {len(shown)} operators ({'; '.join(undone)}), {only}; "
        f"with the best gain it left of the others this error: {'; '.join(others)}. Over "
        f"{found['operators']:.0f} operators between orthogonal and random the error was {limit} max |σ² − 1|, and its "
        f"rank correlation with the spread of σ² was {noise} and {photograph}."
    )


def run(study: Study) -> Chapter:
    """The operators one by one, then those in between."""
    pictures = scenes(min(SIZE, study.size), study.rng(0))
    operators = cases(pictures["photograph"].shape[0], study.rng(1))
    shown = case_rows(operators, pictures["photograph"])
    paths = path_rows(study, pictures)
    points = cloud(study, pictures, study.pick(60, 600))
    everything = [*paths, *points]
    return Chapter(
        "orthogonal",
        TITLE,
        finding(shown, everything),
        [
            "AᴴA = I says that A keeps all lengths: it only turns and mirrors. The transpose turns back. A single "
            "kernel with stride 1 does so on every grid only if it is one sample, 1 or −1, anywhere in it; the sign "
            "cancels, because it is applied twice. An all-pass filter, which shifts each wave by an amount of its own "
            "and weakens none, does so too, but it is as large as the picture. With a stride several kernels share "
            "the work: the four Haar filters are one orthogonal matrix for each block of 2 × 2 samples. One of them "
            "alone sees a quarter of the scene; its transpose gives back the mean of each block and nothing else.",
            figures.gallery(study, pictures["photograph"], operators, shown),
            Table(
                "orthogonal",
                "A photograph through A and back through Aᴴ, without noise. Spread: standard deviation of σ² over its "
                "mean. Condition: largest over smallest singular value. Error: relative, 1 is as wrong as no picture "
                "at all.",
                CASE_COLUMNS,
                shown,
                marked="exact",
            ),
            "Now the way from orthogonal to random, U Pᵗ. A scene with equal power in all waves (white noise) feels "
            "every singular value alike, so that its error is told by them alone; in a photograph a few slow waves "
            "hold most of the power, and what happens to these decides.",
            figures.ways(
                study, paths, points, FAMILIES, {scene: rank_correlation(everything, scene) for scene in pictures}
            ),
            Table("orthogonal-paths", "Every step from t = 0 to t = 1", ROW_COLUMNS, paths, folded=True),
            Table(
                "orthogonal-random",
                f"All {len(points) // 2} operators drawn at random, with both scenes. PyTorch draws uniformly within "
                "1/√(weights that meet in a sample).",
                ROW_COLUMNS,
                points,
                folded=True,
            ),
        ],
    )
