"""What is told of `transpose_to_wiener` in words and numbers; every verdict is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..common import Column, Table, signed

Rows = Sequence[Mapping[str, Any]]

BLUR = 9  # pixels, of the box on each axis
WITHIN, WITHIN_DB = 0.01, 0.02  # of the closed form: relative, and in dB
TRAININGS = {
    "descent": "plain gradient descent, exact gradients",
    "adam": "Adam, rate falling, exact gradients",
    "conjugate": "conjugate gradients, exact gradients",
    "lbfgs": "torch: L-BFGS on 8 patches at once",
    "batches": "torch: Adam on batches of 8 patches",
}
METHODS = {
    "linear": "one layer, 15 × 15, closed form",
    "long": "one layer, 31 × 31, closed form",
    "net": "network, first kernel 15 × 15",
    "long-net": "network, first kernel 31 × 31",
    "behind": "network behind the 31 × 31 layer",
    "told": "Wiener's filter, told the blur",
    "edges": "few edges (hyper-Laplacian), told the blur",
}
LINEAR, NETWORKS, TOLD = ("linear", "long"), ("net", "long-net", "behind"), ("told", "edges")


def reached(steps: Rows, key: str, name: str, limit: float) -> int | None:
    """The first look after which a training never left the limit again."""
    mine = [row for row in steps if row["key"] == key]
    inside = None
    for row in mine:
        if abs(row[name]) > limit:
            inside = None
        elif inside is None:
            inside = row["step"]
    return inside


def ends(steps: Rows) -> dict[str, Mapping[str, Any]]:
    """The last look at each training."""
    return {row["key"]: row for row in steps}


def arrived(steps: Rows) -> list[str]:
    """The trainings that ended within both limits."""
    return [k for k, row in ends(steps).items() if row["distance"] <= WITHIN and abs(row["learned"]) <= WITHIN_DB]


def least(sizes: Rows) -> Mapping[str, Any]:
    """The row of the kernel as large as the blur, or of the nearest to it."""
    return min(sizes, key=lambda row: abs(int(row["size"]) - BLUR))


def finding(steps: Rows, sizes: Rows, limit: float, rows: Rows) -> str:
    """Sentences from the tables; who wins is for the numbers to say."""
    last, there = ends(steps), arrived(steps)
    nearest = min(last.values(), key=lambda row: float(row["distance"]))
    real = last["lbfgs"]
    close = f"within {100 * WITHIN:g} %"
    if there:
        verdict = (
            "A transposed convolution trained to undo a blur arrives at Wiener's filter of its size "
            f"({len(there)} of {len(last)} ways of training came {close} of its kernel; torch's L-BFGS on the layer "
            f"itself within {100 * real['distance']:.2g} % and {abs(real['tested']):.2g} dB)"
        )
    else:
        verdict = f"No training came {close} of Wiener's filter (the nearest {100 * nearest['distance']:.2g} %)"
    gain = {row["key"]: row["own"] for row in rows}
    best = max(NETWORKS, key=lambda key: gain[key])
    ahead = gain[best] > gain["long"]
    beyond = "Nonlinear networks are not bound by it" if ahead else "Nonlinear networks got no farther here"
    small, large = least(sizes), sizes[-1]
    told = [signed(gain[key]) for key in ("long", best, *TOLD)]
    return (
        f"{verdict}, and its size sets what it can do: {signed(small['all'])} dB with {small['size']} × "
        f"{small['size']} taps, {signed(large['all'])} dB with {large['size']} × {large['size']}, where Wiener's "
        f"filter without an end gains {signed(limit)} dB. {beyond}: the best ("
        f"{METHODS[best]}) gained {told[1]} dB where the layer of 31 × 31 taps gained {told[0]} dB; told the blur, and "
        f"with nothing learned of it, Wiener's filter gained {told[2]} dB and an inverse with a prior {told[3]} dB."
    )


def introduction(size: int, condition: float, steps: Rows, bsnr: float) -> str:
    plain, fast = (reached(steps, key, "distance", WITHIN) for key in ("descent", "conjugate"))
    output = reached(steps, "descent", "learned", WITHIN_DB)
    ran = f"only after {plain:,} steps" if plain else "not at all within the steps that were tried"
    sooner = f"{output:,} steps" if output else "more steps than were tried"
    quick = f"{fast:,}" if fast else "more than were tried"
    return (
        f"Eight photographs are blurred by a box of {BLUR} × {BLUR} pixels, with noise {bsnr:g} dB below them. One "
        f"linear layer, a transposed convolution of stride 1 with {size} × {size} taps, is to bring them back with the "
        "least squared error. That error is a bowl with one lowest point, whose place is known in closed form: it "
        "solves the normal equations, and is called the FIR Wiener filter. Its kernel is not the blur turned around; "
        "it is an inverse as good as so many taps and the noise allow. The bowl is "
        f"{condition:,.0f} times as steep in one direction as in another (its condition number). Plain gradient "
        "descent may step no farther than the steepest direction allows, and arrives in the flattest one "
        f"{ran}; what comes out of the layer is within {WITHIN_DB:g} dB after {sooner}, since flat directions hardly "
        "matter to the pictures. Conjugate gradients, which remember where they came from, need "
        f"{quick}. These follow the exact gradient, and so does the first Adam of the figure. "
        "In torch the layer itself is trained: by L-BFGS on 8 patches, "
        "measured against the optimum of these patches, and by Adam on random patches, as is usual. A half-trained "
        "kernel may do better on unseen pictures than the closed form; it cannot on those that it learns from."
    )


def descents(steps: Rows) -> Table:
    rows = []
    for key, row in ends(steps).items():
        near, out = reached(steps, key, "distance", WITHIN), reached(steps, key, "learned", WITHIN_DB)
        rows.append(
            {
                "way": TRAININGS[key],
                "steps": f"{row['step']:,}",
                "distance": 100 * row["distance"],
                "learned": round(row["learned"], 4) + 0.0,  # no minus before a zero
                "tested": round(row["tested"], 4) + 0.0,
                "near": "–" if near is None else f"{near:,}",
                "out": "–" if out is None else f"{out:,}",
                "marked": key in arrived(steps),
            }
        )
    return Table(
        "transpose_to_wiener-descents",
        "Where each training ended, against the closed form of the same data. Below: by so much the closed form is "
        "ahead; negative on unseen pictures, it is behind there. Bold: within "
        f"{100 * WITHIN:g} % and {WITHIN_DB:g} dB.",
        (
            Column("way", "training"),
            Column("steps", "steps"),
            Column("distance", "kernel is off by", "%", 3),
            Column("learned", "below, pictures learned from", "dB", 4),
            Column("tested", "below, unseen pictures", "dB", 4),
            Column("near", f"steps to {100 * WITHIN:g} %"),
            Column("out", f"steps to {WITHIN_DB:g} dB"),
        ),
        rows,
        marked="marked",
    )


def ceilings(sizes: Rows, noises: Rows, shown: Sequence[int]) -> list[Table]:
    return [
        Table(
            "transpose_to_wiener-sizes",
            "Gain in PSNR over the blurred pictures, by the taps of the kernel; closed forms.",
            (
                Column("size", "taps on an axis", "", 0),
                Column("told", "told the blur, not learned", "dB", 2),
                Column("all", "learned from 8 pictures", "dB", 2),
                Column("one", "learned from 1 picture", "dB", 2),
                Column("seen", "the 8 pictures themselves", "dB", 2),
            ),
            sizes,
            folded=True,
        ),
        Table(
            "transpose_to_wiener-noise",
            f"Gain of learned kernels under noise. Steps: of conjugate gradients until the kernel of {shown[1]} × "
            f"{shown[1]} taps is within {100 * WITHIN:g} % of the closed form.",
            (
                Column("bsnr", "image over noise", "dB", 0),
                *(Column(f"size{k}", f"{k} × {k} taps", "dB", 2) for k in shown),
                Column("unbounded", "Wiener without an end", "dB", 2),
                Column("condition", f"condition number, {shown[1]} × {shown[1]}", "", 0),
                Column("steps", "steps"),
            ),
            noises,
        ),
    ]


def beaten(rows: Rows, blurs: Rows) -> str:
    """Where training beats the closed form, and where not."""
    gain = {row["key"]: row["own"] for row in rows}
    pairs = (("net", "linear"), ("long-net", "long"), ("behind", "long"))
    lines = [f"{METHODS[net]}: {signed(gain[net] - gain[line], 2)} dB against {METHODS[line]}" for net, line in pairs]
    ahead = [METHODS[key] for key in NETWORKS if gain[key] > gain["told"]]
    right = [row[row["blur"].removeprefix("learned on ")] for row in blurs[:-1]]
    wrong = [
        v for row in blurs[:-1] for n, v in row.items() if n not in ("blur", row["blur"].removeprefix("learned on "))
    ]
    return (
        "Where can training get past the closed form? Not with one linear layer: at the optimum there is nothing left. "
        f"Nonlinear networks from the same pictures, with three layers and few steps: {'; '.join(lines)}. Wiener's "
        f"filter that is told the blur gains {signed(gain['told'], 2)} dB; of the networks "
        f"{'none' if not ahead else ', '.join(ahead)} got past it. A kernel is learned for one blur: applied to its "
        f"own it gained {signed(min(right))} to {signed(max(right))} dB, applied to another {signed(min(wrong))} to "
        f"{signed(max(wrong))} dB."
    )


def others(rows: Rows, blurs: Rows, names: Sequence[str], other: str) -> list[Table]:
    best = max(float(row["own"]) for row in rows)
    return [
        Table(
            "transpose_to_wiener-networks",
            "Gain in PSNR on three photographs that nothing has learned from. What has learned knows the first blur "
            "alone; what is told is told the right one. Time: to learn and to restore, of one core.",
            (
                Column("method", "method"),
                Column("numbers", "learned numbers", "", 0),
                Column("own", "the blur it learned", "dB", 2),
                Column("other", f"another: {other}", "dB", 2),
                Column("seconds", "time", "s", 2),
            ),
            [{**row, "marked": row["own"] == best} for row in rows],
            marked="marked",
        ),
        Table(
            "transpose_to_wiener-blurs",
            "Gain of a kernel of 31 × 31 taps on every blur.",
            (Column("blur", "kernel"), *(Column(name, name, "dB", 1) for name in names)),
            blurs,
            folded=True,
        ),
    ]
