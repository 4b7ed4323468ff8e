"""Noise without blur: what is left for an inverse to do, and what a prior or a trained network does.

The blur is the identity, so the inverse filter gives the noise back as it came. Wiener's division can only turn down
frequencies; total variation and non-local means know something of scenes; the collaborative filter finds like patches;
a network of strided and transposed convolutions has learned from photographs. Every method is told the noise level,
and the network also has to find it by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import sigdeconv
from sigdeconv import denoisers, metrics

from . import denoising_figures as figures
from .common import Chapter, Column, Study, Table, learning, mean, signed

TITLE = "Denoising: what is left where there is no blur to undo"

Numbers = np.ndarray[Any, Any]
Denoise = Callable[[Numbers, float], Numbers]

PEAK = 255.0
SIDE = 128
SIGMAS = (5.0, 15.0, 25.0, 50.0, 75.0)  # grey levels; the network has learned up to 55
SHOWN = 25.0
#: Photographs that the network has not learned from: the corner (row, column) of a crop at half the resolution.
SCENES = {"camera": (30, 80), "astronaut": (0, 50), "coffee": (40, 60)}
COLOUR_SCENES = ("astronaut", "coffee")


class Method(NamedTuple):
    """How the noise is taken off a grey image of known noise level."""

    label: str
    restore: Denoise


def _delta() -> Numbers:
    return np.ones((1, 1), np.float32)


def _learned(image: Numbers, sigma: float | None, **options: Any) -> Numbers:
    from sigdeconv.transposed import denoise

    return np.asarray(denoise(image, sigma=sigma, data_range=2 * PEAK, **options))


METHODS = {
    "inverse": Method("inverse filter", lambda y, s: np.asarray(sigdeconv.inverse_filter(y, _delta()))),
    "wiener": Method("Wiener", lambda y, s: np.asarray(sigdeconv.wiener(y, _delta(), boundary="reflect"))),
    "tv": Method("total variation", lambda y, s: np.asarray(sigdeconv.total_variation(y, _delta(), sigma=s))),
    "nlm": Method("non-local means", lambda y, s: np.asarray(denoisers.non_local_means(y, s))),
    "collaborative": Method("collaborative filter", lambda y, s: np.asarray(denoisers.collaborative(y, s))),
    "learned": Method("learned, transposed convolutions", _learned),
    "learned-blind": Method("learned, noise level estimated", lambda y, s: _learned(y, None)),
}
COLOURS = {
    "inverse": "#cc79a7",
    "wiener": "#0072b2",
    "tv": "#56b4e9",
    "nlm": "#e69f00",
    "collaborative": "#009e73",
    "learned": "#d55e00",
    "learned-blind": "#d55e00",
}

COLUMNS = (
    Column("method", "method"),
    *(Column(f"psnr{sigma:g}", f"σ = {sigma:g}", "dB", 2) for sigma in SIGMAS),
    Column("ssim", f"SSIM, σ = {SHOWN:g}", "", 3),
    Column("seconds", f"time, {SIDE}² pixels", "s", 3),
)
COLOUR_COLUMNS = (
    Column("method", "method"),
    *(Column(f"psnr{sigma:g}", f"σ = {sigma:g}", "dB", 2) for sigma in SIGMAS),
)


def scene(name: str, side: int) -> Numbers:
    """A crop of a photograph in 0..255, shape (y, x) or (y, x, 3), at half its resolution and so without its noise."""
    from skimage import data

    from sigdeconv.transposed import bicubic

    image = np.asarray(getattr(data, name)(), dtype=np.float32)
    half = np.asarray(bicubic.imresize(image, 0.5, channel_axis=-1 if image.ndim == 3 else None))
    top, left = SCENES[name]
    return np.clip(half[top : top + side, left : left + side], 0, PEAK)


def grey(image: Numbers) -> Numbers:
    """One channel."""
    from skimage import color

    return image if image.ndim == 2 else (PEAK * color.rgb2gray(image / PEAK)).astype(np.float32)


def compare(scenes: Mapping[str, Numbers], study: Study) -> list[dict[str, Any]]:
    """Every method on every grey scene at every noise level."""
    rows = []
    for index, sigma in enumerate(study.track(SIGMAS, "noise levels")):
        for place, (name, image) in enumerate(scenes.items()):
            truth = grey(image)
            noisy = truth + study.rng(index, place).normal(0, sigma, truth.shape).astype(np.float32)
            for key, method in METHODS.items():
                start = time.perf_counter()
                estimate = method.restore(noisy, sigma)
                seconds = time.perf_counter() - start
                rows.append(
                    {"scene": name, "sigma": sigma, "key": key, "truth": truth, "noisy": noisy, "estimate": estimate}
                    | {"seconds": seconds, "psnr": metrics.psnr(truth, estimate, data_range=PEAK)}
                    | {"ssim": metrics.ssim(truth, estimate, data_range=PEAK)}
                )
    return rows


def compare_colours(scenes: Mapping[str, Numbers], study: Study) -> list[dict[str, Any]]:
    """The network on each colour, and on their sum and differences; the collaborative filter on each."""
    ways: dict[str, Denoise] = {
        "noisy": lambda y, s: y,
        "collaborative filter, colour by colour": lambda y, s: _each_colour(denoisers.collaborative, y, s),
        "learned, colour by colour": lambda y, s: _each_colour(_learned, y, s),
        "learned, colours together": lambda y, s: _learned(y, s, channel_axis=-1),
    }
    rows = []
    for index, sigma in enumerate(SIGMAS):
        for place, name in enumerate(COLOUR_SCENES):
            truth = scenes[name]
            noisy = truth + study.rng(100 + index, place).normal(0, sigma, truth.shape).astype(np.float32)
            for label, restore in ways.items():
                estimate = restore(noisy, sigma)
                rows.append(
                    {"scene": name, "sigma": sigma, "method": label, "truth": truth, "noisy": noisy}
                    | {"estimate": estimate, "psnr": metrics.psnr(truth, estimate, data_range=PEAK)}
                )
    return rows


def run(study: Study) -> Chapter:
    """Denoise photographs that the network has not seen."""
    with learning():
        return _run(study)


def _run(study: Study) -> Chapter:
    side = min(SIDE, study.size)
    scenes = {name: scene(name, side) for name in SCENES}
    rows = compare(scenes, study)
    coloured = compare_colours(scenes, study)
    summary = [_line(key, rows) for key in METHODS]
    best = max(line[f"psnr{SHOWN:g}"] for line in summary)
    chapter = Chapter("denoising", TITLE, finding=_finding(rows, coloured))
    chapter.parts = [
        "White Gaussian noise is added to photographs, and nothing else is done to them. The PSF is a single sample: "
        "an inverse that is true to the data has nothing to do. All that is gained comes from what a method knows of "
        "scenes.",
        figures.images(study, rows, METHODS, sigma=SHOWN),
        figures.curves(study, rows, METHODS, COLOURS),
        Table(
            "denoising",
            f"PSNR over noise levels in grey levels of 255, means over {len(SCENES)} photographs; all but the last "
            "are told the noise level.",
            COLUMNS,
            [line | {"marked": line[f"psnr{SHOWN:g}"] == best} for line in summary],
            marked="marked",
        ),
        figures.coloured(study, coloured, sigma=SHOWN),
        Table(
            "denoising-colour",
            f"In colour, means over {len(COLOUR_SCENES)} photographs. The colours of a scene have their edges in "
            "common. Together means: as their sum and two differences, an orthogonal change of axes, so that "
            "white noise "
            "stays white; the network is the same.",
            COLOUR_COLUMNS,
            [_coloured_line(method, coloured) for method in dict.fromkeys(row["method"] for row in coloured)],
        ),
    ]
    return chapter


def _each_colour(function: Denoise, image: Numbers, sigma: float) -> Numbers:
    planes = [function(np.ascontiguousarray(image[..., i]), sigma) for i in range(image.shape[-1])]
    return np.stack(planes, axis=-1)


def _line(key: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    mine = [row for row in rows if row["key"] == key]
    at = {sigma: [row for row in mine if row["sigma"] == sigma] for sigma in SIGMAS}
    return {
        "method": METHODS[key].label,
        **{f"psnr{sigma:g}": mean(row["psnr"] for row in found) for sigma, found in at.items()},
        "ssim": mean(row["ssim"] for row in at[SHOWN]),
        "seconds": mean(row["seconds"] for row in at[SHOWN]),
    }


def _coloured_line(method: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    mine = [row for row in rows if row["method"] == method]
    return {"method": method} | {
        f"psnr{sigma:g}": mean(row["psnr"] for row in mine if row["sigma"] == sigma) for sigma in SIGMAS
    }


def _finding(rows: Sequence[Mapping[str, Any]], coloured: Sequence[Mapping[str, Any]]) -> str:
    def gain(key: str, sigma: float) -> float:
        found = {
            k: mean(row["psnr"] for row in rows if row["key"] == k and row["sigma"] == sigma) for k in (key, "inverse")
        }
        return found[key] - found["inverse"]

    left = max(float(np.abs(row["estimate"] - row["noisy"]).max()) for row in rows if row["key"] == "inverse")
    together, apart = (
        mean(row["psnr"] for row in coloured if row["method"] == way and row["sigma"] == SHOWN)
        for way in ("learned, colours together", "learned, colour by colour")
    )
    known = ", ".join(f"{METHODS[key].label} {signed(gain(key, SHOWN))}" for key in ("wiener", "tv", "nlm"))
    return (
        f"Without blur the inverse filter changes no sample by more than {left:.0e} grey levels. At σ = {SHOWN:g} "
        f"others gain [dB]: {known}, the collaborative filter {signed(gain('collaborative', SHOWN))}, the network of "
        f"transposed convolutions {signed(gain('learned', SHOWN))} ({signed(gain('learned-blind', SHOWN))} when it is "
        f"not told the noise level); colours taken together are worth {signed(together - apart)} more."
    )
