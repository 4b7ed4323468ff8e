"""Parameters from the data alone: what the methods choose, on the error curves that only the truth can draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import sigdeconv
from sigdeconv import metrics, simulate

from .common import Chapter, Column, Study, Table, pyplot
from .scenarios import picture

TITLE = "No parameter left to guess: chosen against best"

Numbers = np.ndarray[Any, Any]

SIGMAS = (1.0, 3.0, 10.0, 30.0)  # grey levels
PHOTONS = (30.0, 300.0, 3000.0)  # at the brightest pixel
FACTORS = np.geomspace(0.1, 10, 9)  # of the chosen parameter: where the error curve is drawn
ITERATIONS = 60  # of Richardson-Lucy: as far as the error curve is drawn
SCENE = "camera"


class Method(NamedTuple):
    """A method whose parameter is called `parameter`, both as an argument and in `Iteration.chosen`."""

    label: str
    parameter: str
    restore: Callable[..., Any]


METHODS = {
    "wiener": Method("Wiener", "balance", sigdeconv.wiener),
    "tikhonov": Method("Tikhonov", "weight", sigdeconv.tikhonov),
    "hessian": Method("Hessian–Schatten", "weight", sigdeconv.hessian_schatten),
    "tv": Method("total variation", "weight", sigdeconv.total_variation),
    "hyper-laplacian": Method("hyper-Laplacian", "weight", sigdeconv.hyper_laplacian),
}

COLUMNS = (
    Column("noise", "noise"),
    Column("method", "method"),
    Column("parameter", "parameter"),
    Column("chosen", "chosen", "", 4),
    Column("best", "best", "", 4),
    Column("psnr", "PSNR, chosen", "dB", 2),
    Column("oracle", "PSNR, best", "dB", 2),
    Column("loss", "loss", "dB", 2),
)


def weights_of(truth: Numbers, image: Numbers, psf: Numbers, method: Method) -> dict[str, Any]:
    """The chosen parameter, and the PSNR along the curve around it."""
    chosen: dict[str, Any] = {}
    restored = method.restore(image, psf, callback=lambda iteration: chosen.update(iteration.chosen))
    value = chosen[method.parameter]
    curve = [(value, _psnr(truth, restored))]
    for factor in FACTORS[~np.isclose(FACTORS, 1)]:
        curve.append((value * factor, _psnr(truth, method.restore(image, psf, **{method.parameter: value * factor}))))
    best, oracle = max(curve, key=lambda point: point[1])
    psnr = curve[0][1]
    return {
        "parameter": method.parameter,
        "chosen": value,
        "best": best,
        "psnr": psnr,
        "oracle": oracle,
        "loss": oracle - psnr,
        "curve": sorted(curve),
    }


def stop_of(truth: Numbers, counts: Numbers, psf: Numbers, scale: float) -> dict[str, Any]:
    """Where Richardson-Lucy stops by itself, and the PSNR after every iteration."""
    curve: list[tuple[float, float]] = []
    sigdeconv.richardson_lucy(
        counts,
        psf,
        num_iter=ITERATIONS,
        callback=lambda iteration: curve.append((iteration.index, _psnr(truth, iteration.estimate * scale))),
    )
    chosen: dict[str, Any] = {}
    restored = sigdeconv.richardson_lucy(
        counts, psf, num_iter=None, callback=lambda iteration: chosen.update(iteration.chosen)
    )
    psnr = _psnr(truth, restored * scale)
    best, oracle = max([*curve, (chosen["num_iter"], psnr)], key=lambda point: point[1])
    return {
        "parameter": "num_iter",
        "chosen": chosen["num_iter"],
        "best": best,
        "psnr": psnr,
        "oracle": oracle,
        "loss": oracle - psnr,
        "curve": curve,
    }


def _psnr(truth: Numbers, estimate: Numbers) -> float:
    return metrics.psnr(truth, estimate, data_range=255.0)


def rows_of(study: Study) -> list[dict[str, Any]]:
    """All methods at all noise levels."""
    psf = sigdeconv.psf.disk(3.0).astype(np.float32)
    side = min(256, 2 * study.size // 3 + psf.shape[0] - 1)
    start = (256 - side) // 2
    scene = picture(SCENE)[start : start + side, start : start + side]
    truth, blurred = simulate.through_frame(scene, psf)
    rows = []
    for index, sigma in enumerate(study.track(SIGMAS, "selection: weights")):
        image = simulate.gaussian_noise(blurred, sigma=sigma, rng=study.rng(index))
        for key, method in METHODS.items():
            row = weights_of(truth, image, psf, method)
            rows.append({"key": key, "method": method.label, "level": sigma, "noise": f"Gaussian, σ = {sigma:g}"} | row)
    for index, photons in enumerate(study.track(PHOTONS, "selection: stopping")):
        scale = float(blurred.max()) / photons
        counts = simulate.poisson_noise(blurred, photons=photons, rng=study.rng(10 + index))
        row = stop_of(truth, counts, psf, scale)
        noise = f"Poisson, {photons:g} photons"
        rows.append({"key": "rl", "method": "Richardson–Lucy", "level": photons, "noise": noise} | row)
    return rows


def finding(rows: list[dict[str, Any]]) -> str:
    """Two sentences from the table."""
    weights = [row["loss"] for row in rows if row["key"] != "rl"]
    worst = max((row for row in rows if row["key"] != "rl"), key=lambda row: row["loss"])
    stops = [row for row in rows if row["key"] == "rl"]
    told = ", ".join(f"{row['chosen']:.0f} (best {row['best']:.0f}) at {row['level']:g} photons" for row in stops)
    return (
        f"Over {len(SIGMAS)} noise levels the chosen parameters lost {np.mean(weights):.2f} dB on average to the best, "
        f"and {worst['loss']:.2f} dB at worst ({worst['method']}, {worst['noise']}). Richardson–Lucy stopped by itself "
        f"at iteration {told}, and lost {np.mean([row['loss'] for row in stops]):.2f} dB on average."
    )


def _curves(study: Study, rows: list[dict[str, Any]]) -> Any:
    plt = pyplot()
    keys = [*METHODS, "rl"]
    figure, axes = plt.subplots(2, 3, figsize=(12, 7))
    colours = plt.get_cmap("viridis")
    for ax, key in zip(axes.flat, keys, strict=True):
        mine = [row for row in rows if row["key"] == key]
        for i, row in enumerate(mine):
            colour = colours(0.85 * i / max(1, len(mine) - 1))
            x, y = zip(*row["curve"], strict=True)
            label = f"{row['level']:g} photons" if key == "rl" else f"σ = {row['level']:g}"
            ax.plot(x, y, color=colour, label=label)
            ax.plot(row["chosen"], row["psnr"], "o", color=colour, markersize=8, markeredgecolor="black")
            ax.plot(row["best"], row["oracle"], "x", color="black", markersize=8)
        ax.set_xscale("log")
        ax.grid(True)
        ax.set_title(mine[0]["method"])
        ax.set_xlabel("iterations" if key == "rl" else f"{mine[0]['parameter']} (log scale)")
        ax.set_ylabel("PSNR [dB]")
        ax.legend(fontsize=8.5)
    figure.suptitle("Discs: what the method chose without the truth. Crosses: the best on the curve")
    return study.save(
        figure, "selection", "PSNR against the parameter of each method, for several noise levels (lines)."
    )


def run(study: Study) -> Chapter:
    """One photograph out of focus, at several noise levels."""
    rows = rows_of(study)
    return Chapter(
        "selection",
        TITLE,
        finding(rows),
        [
            "A photograph, blurred by defocus of radius 3 px and cut from a larger scene, at several levels of "
            "Gaussian and of photon noise. The curves need the truth; the discs are where each method went without it: "
            "the weights by generalised cross-validation, the last iteration by an unbiased estimate of the error.",
            _curves(study, rows),
            Table("selection", f"All {len(rows)} choices", COLUMNS, rows),
        ],
    )
