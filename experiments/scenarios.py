"""The six classical scenarios of image deconvolution: every method with the parameter it chooses and with the best one.

Periodic blurs of photographs in 0..255, as the papers define them; ``python -m experiments.scenarios FILE...`` measures
on pictures of one's own, at full size. "Automatic" knows the image and the PSF
alone; "oracle" tries parameters around with the truth in hand, which nobody has. What lies between the two is the price
of not knowing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import sigdeconv
from sigdeconv import metrics

from .common import Chapter, Column, Study, Table, mean, pyplot, show, signed

TITLE = "Six classical scenarios: automatic against oracle"

Numbers = np.ndarray[Any, Any]
Restore = Callable[[Numbers, Numbers, float | None, Callable[[Any], None] | None], Numbers]

RANGE = (0.0, 255.0)  # grey levels; methods that take bounds are given them
FACTORS = (0.25, 0.5, 0.7, 1.4, 2.0, 4.0)  # of the automatic parameter, for the oracle


class Scenario(NamedTuple):
    """A blur, and the noise's standard deviation as a function of the blurred image."""

    label: str
    psf: Numbers
    sigma: Callable[[Numbers], float]


def _hill() -> Numbers:
    r = np.arange(-7, 8)
    hill = 1 / (1 + r[:, None] ** 2 + r**2)
    return hill / hill.sum()


_BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256

SCENARIOS = {
    "S1": Scenario("1/(1+r²), σ² = 2", _hill(), lambda y: math.sqrt(2)),
    "S2": Scenario("1/(1+r²), σ² = 8", _hill(), lambda y: math.sqrt(8)),
    "S3": Scenario("9×9 box, 40 dB", np.full((9, 9), 1 / 81), lambda y: float(np.std(y)) / 100),
    "S4": Scenario("5×5 binomial, σ = 7", _BINOMIAL, lambda y: 7.0),
    "S5": Scenario("Gaussian 1.6, σ = 2", sigdeconv.psf.gaussian((25, 25), 1.6), lambda y: 2.0),
    "S6": Scenario("Gaussian 0.4, σ = 8", sigdeconv.psf.gaussian((9, 9), 0.4), lambda y: 8.0),
}


class Method(NamedTuple):
    """How it restores, and the name of its parameter in `Iteration.chosen` ("" if it has none to choose)."""

    label: str
    parameter: str
    restore: Restore


def _weighted(function: Callable[..., Any], **options: Any) -> Restore:
    def restore(y: Numbers, h: Numbers, value: float | None, callback: Callable[[Any], None] | None) -> Numbers:
        result: Numbers = function(y, h, weight=value, boundary="periodic", callback=callback, **options)
        return result

    return restore


def _wiener(y: Numbers, h: Numbers, value: float | None, callback: Callable[[Any], None] | None) -> Numbers:
    result: Numbers = sigdeconv.wiener(y, h, balance=value, boundary="periodic", callback=callback)
    return result


def _transpose(y: Numbers, h: Numbers, value: float | None, callback: Callable[[Any], None] | None) -> Numbers:
    result: Numbers = sigdeconv.Convolution(h, y.shape, boundary="periodic").adjoint(y)
    return result


def _plug_and_play(y: Numbers, h: Numbers, value: float | None, callback: Callable[[Any], None] | None) -> Numbers:
    strength = 1.0 if value is None else value
    result: Numbers = sigdeconv.plug_and_play(y, h, strength=strength, boundary="periodic", callback=callback)
    return result


METHODS = {
    "transpose": Method("transpose Aᴴy", "", _transpose),
    "wiener": Method("Wiener", "balance", _wiener),
    "wavelets": Method("wavelets (undecimated Haar)", "weight", _weighted(sigdeconv.wavelet_sparse, bounds=RANGE)),
    "hessian": Method("Hessian–Schatten", "weight", _weighted(sigdeconv.hessian_schatten, bounds=RANGE)),
    "tv": Method("total variation", "weight", _weighted(sigdeconv.total_variation, bounds=RANGE)),
    "hyper-laplacian": Method("hyper-Laplacian", "weight", _weighted(sigdeconv.hyper_laplacian, bounds=RANGE)),
    "plug-and-play": Method("plug-and-play, collaborative", "", _plug_and_play),
}

#: Pictures of scikit-image, halved to 256 x 256.
PICTURES = ("camera", "astronaut")

COLUMNS = (
    Column("picture", "picture"),
    Column("scenario", "scenario"),
    Column("method", "method"),
    Column("isnr", "ISNR, automatic", "dB", 2),
    Column("oracle", "ISNR, oracle", "dB", 2),
    Column("loss", "loss", "dB", 2),
    Column("chosen", "chosen parameter", "", 4),
    Column("best", "best parameter", "", 4),
    Column("seconds", "time", "s", 2),
)


def picture(name: str) -> Numbers:
    """A photograph of scikit-image in grey, at half its resolution and without its own noise and blur."""
    from skimage import color, data, transform

    image = np.asarray(getattr(data, name)(), dtype=float)
    grey = image if image.ndim == 2 else 255 * color.rgb2gray(image / 255)
    halved: Numbers = transform.downscale_local_mean(grey, (2, 2))
    return halved[:256, :256].astype(np.float32)


def observe(truth: Numbers, scenario: Scenario, rng: np.random.Generator) -> Numbers:
    """The periodic blur of a scene with white noise."""
    blurred = sigdeconv.Convolution(scenario.psf, truth.shape, boundary="periodic")(truth)
    return (blurred + rng.normal(0, scenario.sigma(blurred), truth.shape)).astype(truth.dtype)


def measure(truth: Numbers, image: Numbers, psf: Numbers, method: Method, *, oracle: bool) -> dict[str, Any]:
    """ISNR with the chosen parameter, and with the best of those around it."""
    chosen: dict[str, Any] = {}
    start = time.perf_counter()
    restored = method.restore(image, psf, None, lambda iteration: chosen.update(iteration.chosen))
    seconds = time.perf_counter() - start
    isnr = metrics.isnr(truth, image, restored)
    row = {"isnr": isnr, "oracle": isnr, "loss": 0.0, "seconds": seconds, "restored": restored}
    value = chosen.get(method.parameter, math.nan) if method.parameter else math.nan
    row |= {"chosen": value, "best": value}
    if oracle and method.parameter:
        for factor in FACTORS:
            trial = metrics.isnr(truth, image, method.restore(image, psf, value * factor, None))
            if trial > row["oracle"]:
                row |= {"oracle": trial, "best": value * factor}
        row["loss"] = row["oracle"] - isnr
    return row


def rows_of(
    pictures: Mapping[str, Numbers],
    study: Study,
    *,
    methods: Sequence[str] = tuple(METHODS),
    scenarios: Sequence[str] = tuple(SCENARIOS),
    oracle: bool = True,
) -> list[dict[str, Any]]:
    """All methods on all scenarios of all pictures."""
    cases = [(p, s) for p in pictures for s in scenarios]
    rows = []
    for index, (name, key) in enumerate(study.track(cases, "scenarios")):
        truth, scenario = pictures[name], SCENARIOS[key]
        image = observe(truth, scenario, study.rng(index))
        for method in methods:
            row = measure(truth, image, scenario.psf, METHODS[method], oracle=oracle)
            rows.append({"picture": name, "scenario": key, "key": method, "method": METHODS[method].label} | row)
            if (name, key) == cases[0]:
                rows[-1] |= {"truth": truth, "image": image}
    return rows


def summarise(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a method: mean ISNR of each scenario over the pictures, of all, and what was lost to the oracle."""
    result = []
    for key in dict.fromkeys(row["key"] for row in rows):
        mine = [row for row in rows if row["key"] == key]
        line: dict[str, Any] = {"key": key, "method": mine[0]["method"]}
        for scenario in SCENARIOS:
            line[scenario] = mean([row["isnr"] for row in mine if row["scenario"] == scenario])
        line |= {
            "mean": mean([row["isnr"] for row in mine]),
            "loss": mean([row["loss"] for row in mine]),
            "worst": max(row["loss"] for row in mine),
            "seconds": mean([row["seconds"] for row in mine]),
        }
        result.append(line)
    highest = max(line["mean"] for line in result)
    return [line | {"marked": line["mean"] == highest} for line in result]


SUMMARY = (
    Column("method", "method"),
    *(Column(key, key, "dB", 2) for key in SCENARIOS),
    Column("mean", "mean", "dB", 2),
    Column("loss", "mean loss to the oracle", "dB", 2),
    Column("worst", "worst loss", "dB", 2),
    Column("seconds", "time", "s", 2),
)


def finding(rows: Sequence[Mapping[str, Any]]) -> str:
    """Two sentences from the table."""
    lines = sorted(summarise(rows), key=lambda line: -line["mean"])
    ranked = ", ".join(f"{line['method']} {signed(line['mean'])} dB" for line in lines)
    chosen = [row for row in rows if METHODS[row["key"]].parameter]
    loss, worst = mean([row["loss"] for row in chosen]), max(row["loss"] for row in chosen)
    return (
        f"Mean gain in ISNR over {len({(r['picture'], r['scenario']) for r in rows})} images, no parameter given: "
        f"{ranked}. A parameter tuned with the truth in hand would add {loss:.2f} dB on average and {worst:.2f} dB at "
        "worst to the methods that choose theirs."
    )


def _bars(study: Study, rows: Sequence[Mapping[str, Any]]) -> Any:
    plt = pyplot()
    lines = summarise(rows)
    figure, axes = plt.subplots(figsize=(11, 4.2))
    width = 0.8 / len(lines)
    colours = plt.get_cmap("tab10")
    for i, line in enumerate(lines):
        places = np.arange(len(SCENARIOS)) + (i - (len(lines) - 1) / 2) * width
        best = [mean([r["oracle"] for r in rows if (r["key"], r["scenario"]) == (line["key"], s)]) for s in SCENARIOS]
        axes.bar(places, [line[s] for s in SCENARIOS], width * 0.92, color=colours(i), label=line["method"])
        axes.plot(places, best, "_", color="black", markersize=5, label="oracle" if i == len(lines) - 1 else None)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(SCENARIOS)), [f"{key}\n{s.label}" for key, s in SCENARIOS.items()], fontsize=8.5)
    axes.set_ylabel("gain over the blurred image, ISNR [dB]")
    axes.set_title("Bars: parameter chosen from the data. Dashes: best parameter, found with the truth in hand")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.legend(ncols=4, fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return study.save(
        figure,
        "scenarios",
        "Gain of each method in the six scenarios, mean over the pictures. Below zero the image got worse.",
    )


def _closely(study: Study, rows: Sequence[Mapping[str, Any]]) -> Any:
    plt = pyplot()
    first = [row for row in rows if "truth" in row]
    columns = math.ceil((len(first) + 2) / 3)
    figure, axes = plt.subplots(3, columns, figsize=(3.0 * columns, 9.6))
    panels = [("scene", first[0]["truth"], None), ("blurred, noisy", first[0]["image"], None)]
    panels += [(row["method"], row["restored"], row["isnr"]) for row in first]
    for ax in axes.flat:
        ax.axis("off")
    for ax, (label, image, isnr) in zip(axes.flat, panels, strict=False):
        title = label if isnr is None else f"{label}\n{signed(isnr, 2)} dB"
        show(ax, image, title, vmin=RANGE[0], vmax=RANGE[1])
        ax.axis("on")
    return study.save(
        figure,
        "scenarios-closely",
        f"“{first[0]['picture']}” in scenario {first[0]['scenario']}, each method with the parameter that it "
        "chose. Grey levels 0 to 255.",
    )


def run(study: Study) -> Chapter:
    """The middle of pictures of scikit-image."""
    side = min(256, 2 * study.size // 3)
    start = (256 - side) // 2
    middle = (slice(start, start + side), slice(start, start + side))
    return chapter(study, rows_of({name: picture(name)[middle] for name in study.pick(PICTURES[:1], PICTURES)}, study))


def chapter(study: Study, rows: list[dict[str, Any]]) -> Chapter:
    """Tables and figures of some rows."""
    return Chapter(
        "scenarios",
        TITLE,
        finding(rows),
        [
            "The six blurs and noises with which papers on deconvolution have long been compared. The boundary is "
            "periodic, as in the papers; every method is told the image and the PSF and nothing else, but those that "
            "take bounds know that grey levels lie between 0 and 255.",
            _bars(study, rows),
            _closely(study, rows),
            Table(
                "scenarios-summary",
                "Mean ISNR over the pictures, with the parameters that the methods chose. Bold: highest mean.",
                SUMMARY,
                summarise(rows),
                marked="marked",
            ),
            Table("scenarios", f"All {len(rows)} results", COLUMNS, rows, folded=True),
        ],
    )


def main(files: Sequence[str]) -> None:
    """Measure on files, and print the tables."""
    from pathlib import Path

    from sigdeconv import io

    pictures = {}
    for file in files:
        image = io.read(file)
        data = np.asarray(image.data, dtype=np.float32)
        if image.channel_axis is not None:
            data = np.tensordot(np.moveaxis(data, image.channel_axis, -1)[..., :3], [0.299, 0.587, 0.114], 1)
        pictures[Path(file).stem] = data.astype(np.float32)
    rows = rows_of(pictures, Study(out=Path()))
    for columns, table in ((COLUMNS, rows), (SUMMARY, summarise(rows))):
        print(" | ".join(column.heading for column in columns))
        for row in table:
            print(" | ".join(column.text(row[column.key]) for column in columns))
    print(finding(rows))


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
