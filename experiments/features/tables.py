"""The tables of `features`, and the sentences that are computed from them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sigdeconv.transposed import LayerTable

from ..common import Column
from .encoder import Learned, directional_share
from .inversion import Depth, correlation

Numbers = np.ndarray[Any, Any]
Rows = Sequence[Mapping[str, Any]]

LAYER_COLUMNS = (
    Column("name", "name"),
    Column("layer", "layer"),
    Column("input", "input"),
    Column("output", "output"),
    Column("kernel", "kernel"),
    Column("stride", "stride"),
    Column("parameters", "parameters", "", 0),
    Column("multiply_adds", "multiply-adds", "millions", 2),
)
POOL_COLUMNS = (
    Column("pooling", "halved by"),
    Column("peak", "peaks kept, twice", "%", 0),
    Column("mean", "mean kept, twice", "%", 0),
    Column("change", "change after a step that is no movement", "% of contrast", 1),
)
COST_COLUMNS = (Column("counted", "torch's counter", "millions", 2), Column("milliseconds", "time", "ms", 2))
STACK_COLUMNS = (
    Column("stack", "convolutions"),
    Column("output", "output", "px"),
    Column("field", "sees", "px", 0),
    Column("measured", "measured", "px", 0),
    Column("seen", "of these pixels", "%", 0),
    Column("parameters", "parameters", "", 0),
    Column("multiply_adds", "multiply-adds", "millions", 2),
    *COST_COLUMNS,
)
NARROW_COLUMNS = (
    Column("layer", "convolution"),
    Column("energy", "energy of its input kept", "%", 1),
    Column("accuracy", "textures named right", "%", 1),
    Column("multiply_adds", "multiply-adds", "millions", 2),
    *COST_COLUMNS,
)
UP_COLUMNS = (
    Column("layer", "last layer"),
    Column("state", "weights"),
    Column("parameters", "parameters", "", 0),
    Column("flat", "checkerboard, flat wall", "levels", 2),
    Column("picture", "on the picture", "levels", 2),
    Column("gain", "over bicubic", "dB", 2),
)
BACK_COLUMNS = (
    Column("features", "features"),
    Column("numbers", "numbers a pixel", "", 1),
    Column("way", "way back"),
    Column("likeness", "correlation", "", 3),
    Column("snr", "signal to error", "dB", 1),
    Column("residual", "features miss by", "%", 2),
    Column("unscaled", "without gain", "%", 1),
    Column("seconds", "time", "s", 2),
)


def layer_rows(table: LayerTable) -> list[dict[str, Any]]:
    """The rows of a layer table and its sums, as text and numbers."""

    def told(sizes: Sequence[Any] | None) -> str:
        return "" if sizes is None else " × ".join(map(str, sizes))

    rows = [
        {
            "name": row.name,
            "layer": row.kind,
            "input": told(row.input_shape),
            "output": told(row.output_shape),
            "kernel": told(row.kernel_size),
            "stride": told(row.stride),
            "parameters": row.parameters,
            "multiply_adds": row.multiply_adds / 1e6,
        }
        for row in table.rows
    ]
    total = dict.fromkeys(rows[0], "") | {
        "name": "total",
        "parameters": table.parameters,
        "multiply_adds": table.multiply_adds / 1e6,
    }
    return [*({**row, "marked": False} for row in rows), {**total, "marked": True}]


def back_rows(results: Sequence[Depth], truth: Numbers) -> list[dict[str, Any]]:
    """A row a layer and way back."""
    return [
        {
            "features": one.name,
            "numbers": one.numbers,
            "way": way,
            "likeness": correlation(truth, answer.pixels),
            "snr": answer.snr,
            "residual": 100 * answer.residual,
            "unscaled": 100 * answer.unscaled,
            "seconds": answer.seconds,
        }
        for one in results
        for way, answer in (("transposed", one.transposed), ("inverted", one.inverted))
    ]


def finding(learned: Learned, back: Rows, up: Rows, stacks: Rows, narrow: Rows) -> str:
    """Sentences from the tables."""
    shares = [100 * directional_share(f) for f in (learned.start, learned.filters)]
    ways = {way: [row for row in back if row["way"] == way] for way in ("transposed", "inverted")}
    pairs = list(zip(ways["transposed"], ways["inverted"], strict=True))
    nearer = sum(i["snr"] > t["snr"] and i["residual"] < t["residual"] for t, i in pairs)
    listed = "; ".join(f"{t['features']} {t['snr']:.0f} against {i['snr']:.0f} dB" for t, i in pairs)
    start, fitted = ({row["kind"]: row["flat"] for row in up if row["state"] == s} for s in ("start", "fitted"))
    dense, dilated = stacks[0], next(row for row in stacks if "dilation 1" in row["stack"])
    whole = next(row for row in narrow if row["kind"] == "whole" and row["accuracy"] != "–")
    good = [row for row in narrow if row["kind"] == "bottleneck" and row["accuracy"] != "–"]
    good = [row for row in good if row["accuracy"] >= whole["accuracy"] - 1]
    cheapest = min(good, key=lambda row: row["multiply_adds"], default=None)
    mixing = (
        "no 1 × 1 convolution before it kept its accuracy"
        if cheapest is None
        else f"a 1 × 1 convolution to {cheapest['channels']} channels made layer 2 cheaper "
        f"{whole['multiply_adds'] / cheapest['multiply_adds']:.1f} times at {cheapest['accuracy']:.0f} % right "
        f"({whole['accuracy']:.0f} % without)"
    )
    saved = dense["multiply_adds"] / dilated["multiply_adds"]
    text = (
        f"From the same features, led back by transposing against truly inverted, the picture came with a signal to "
        f"error of: {listed}; the inverse was nearer, in the picture and in the features, in {nearer} of {len(pairs)} "
        f"cases. An encoder that names {100 * learned.accuracy:.0f} % of unseen patches right learned directions: "
        f"mixtures of six hand-made filters explain {shares[1]:.0f} % of its first filters ({shares[0]:.0f} % at the "
        f"start). Over {dense['field']} pixels, dilated convolutions took {saved:.1f} times fewer multiply-adds than "
        f"one large kernel; {mixing}. A flat wall came out with a checkerboard of {start['transposed']:.1f} grey "
        f"levels from a random transposed convolution, {fitted['transposed']:.1f} from a fitted one, "
        f"{fitted['resize']:.1f} where the layer resizes first."
    )
    return re.sub(r"(?<!\w)-(?=\d)", "−", text)
