"""Enlarging a photograph: interpolation, deconvolution on the finer grid, and learned transposed convolutions.

The protocol is that of the literature: a photograph is shrunk by antialiased bicubic interpolation and rounded to 8
bits; methods get the small one, and are measured on the luminance of the large one. A deconvolution is told how the
photograph was shrunk, as an operator with a stride. The networks were never told: they have learned it from pairs.
What that means shows in the second part, where the photograph is shrunk in another way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import sigdeconv
from sigdeconv import metrics
from sigdeconv.transposed import bicubic

from . import super_resolution_figures as figures
from .common import Chapter, Column, Study, Table, learning, mean, signed
from .super_resolution_shrinking import SHRINKINGS, bicubic_kernel, shrinking_operator

TITLE = "Super-resolution: told how it was shrunk, or taught"

Numbers = np.ndarray[Any, Any]
Enlarge = Callable[[Numbers, int], Numbers]

SCALES = (2, 3, 4)
PEAK = 255.0
SIDE = 120  # pixels of a crop: a multiple of all scales
#: Photographs that no network has learned from: the corner (row, column) of a crop, at half the resolution.
SCENES = {"camera": (15, 60), "astronaut": (0, 50), "coffee": (40, 60)}
OTHER_SCENES = ("astronaut", "camera")  # halved in other ways
STEPS = 250  # of the three networks that learn here, which differ in the last layer alone
LEARNED_FROM = ("chelsea", "rocket", "coins", "brick")


class Method(NamedTuple):
    """How a small photograph is enlarged, by a scale."""

    label: str
    enlarge: Enlarge


COLUMNS = (
    Column("method", "method"),
    Column("parameters", "learned parameters"),
    *(Column(f"psnr{scale}", f"PSNR ×{scale}", "dB", 2) for scale in SCALES),
    Column("ssim2", "SSIM ×2", "", 4),
    Column("agreement", "shrunk again: agreement ×2", "dB", 1),
    Column("seconds", "time ×2", "s", 3),
)
LAYER_COLUMNS = (
    Column("layer", "last layer"),
    Column("parameters", "learned parameters", "", 0),
    Column("psnr", "PSNR ×2", "dB", 2),
    Column("ssim", "SSIM ×2", "", 4),
    Column("seconds", "time", "s", 4),
)
OTHER_COLUMNS = (
    Column("method", "method"),
    *(Column(key, s.label.replace("\n", " "), "dB", 2) for key, s in SHRINKINGS.items()),
)


def scene(name: str, side: int) -> Numbers:
    """A crop of a photograph in grey levels, at half its resolution and so without its own blur and noise."""
    from skimage import data

    image = np.asarray(getattr(data, name)(), dtype=np.float32)
    half = bicubic.imresize(bicubic.luminance(image) if image.ndim == 3 else image, 0.5)
    top, left = SCENES[name]
    return bicubic.eight_bits(half[top : top + side, left : left + side])


def deconvolved(small: Numbers, scale: int, kernel: Numbers | None = None) -> Numbers:
    """The scene with few edges that agrees with the small photograph; past the frame it is unknown."""
    operator = shrinking_operator(bicubic_kernel(scale) if kernel is None else kernel, scale, small.shape)
    return np.asarray(sigdeconv.hyper_laplacian(small, operator))


def interpolated(small: Numbers, scale: int) -> Numbers:
    """Bicubic interpolation."""
    return np.asarray(bicubic.imresize(small, scale))


def fixed_transpose(small: Numbers, scale: int) -> Numbers:
    """A transposed convolution whose kernel is the tent of bilinear interpolation; nothing is learned."""
    import torch

    from sigdeconv.transposed import TransposedUpsample

    size = 2 * scale - scale % 2
    layer = TransposedUpsample(1, 1, size, scale=scale, initialisation="bilinear", padding_mode="replicate", bias=False)
    with torch.no_grad():
        return layer(torch.from_numpy(small)[None, None])[0, 0].numpy()


def learned(small: Numbers, scale: int, network: Any = "strong") -> Numbers:
    """A trained network."""
    from sigdeconv.transposed import upscale

    return np.asarray(upscale(small, scale, network=network, data_range=PEAK))


METHODS = {
    "bicubic": Method("bicubic interpolation", interpolated),
    "transpose": Method("transposed convolution, fixed tent", fixed_transpose),
    "deconvolution": Method("deconvolution, told the kernel", deconvolved),
    "fast": Method("learned transposed convolution, small", partial(learned, network="fast")),
    "strong": Method("learned transposed convolution, large", learned),
}


LAYERS = {
    "transposed": "transposed convolution",
    "subpixel": "sub-pixel convolution",
    "resize": "resize, then convolve",
}
COLOURS = {
    "bicubic": "#7f7f7f",
    "transpose": "#d55e00",
    "deconvolution": "#0072b2",
    "fast": "#009e73",
    "strong": "#e69f00",
}
SHOWN_SCALE = 3


def taught_here(study: Study) -> dict[str, Any]:
    """Three small networks that differ in the last layer alone, after a short training on the same crops."""
    from skimage import data

    from sigdeconv.transposed import degradations, models, training

    shrink = degradations.Shrink(2)
    photographs = training.Photographs({name: np.asarray(getattr(data, name)()) for name in LEARNED_FROM})
    batches = training.Batches(photographs, shrink, size=shrink.patch_size(40), count=4, seed=study.seed)
    plan = training.Plan(STEPS, rate=3e-3, warm_up=30, averaging=0.98, log_every=STEPS, seed=study.seed)
    found = {}
    for kind in study.track(models.UPSAMPLERS, "three last layers"):
        net = models.FastUpscaler(2, upsampler=kind, expansion=32, generator=study.seed)
        training.train(net, batches, plan, loss=training.charbonnier, device="cpu")
        found[kind] = net.collapse()
    return found


def measure(truth: Numbers, small: Numbers, method: Method, scale: int) -> dict[str, Any]:
    """What a method makes of a small photograph, by the protocol of the literature."""
    start = time.perf_counter()
    estimate = method.enlarge(small, scale)
    seconds = time.perf_counter() - start
    rounded, inside = bicubic.eight_bits(estimate), slice(scale, -scale)
    again = bicubic.imresize(estimate, 1 / scale)
    return {
        "estimate": estimate,
        "psnr": bicubic.psnr_y(truth, estimate, scale=scale),
        "ssim": metrics.ssim(truth[inside, inside], rounded[inside, inside], data_range=PEAK),
        "agreement": metrics.psnr(small[2:-2, 2:-2], again[2:-2, 2:-2], data_range=PEAK),
        "seconds": seconds,
    }


def compare(scenes: Mapping[str, Numbers], study: Study) -> list[dict[str, Any]]:
    """Every method on every scene at every scale."""
    rows = []
    for scale in study.track(SCALES, "scales"):
        for name, image in scenes.items():
            truth = bicubic.whole_multiple(image, scale)
            small = bicubic.low_resolution(image, scale)
            for key, method in METHODS.items():
                found = measure(truth, small, method, scale)
                rows.append({"scene": name, "scale": scale, "key": key, "truth": truth, "small": small, **found})
    return rows


def compare_layers(networks: Mapping[str, Any], scenes: Mapping[str, Numbers]) -> list[dict[str, Any]]:
    """The three last layers after equal training."""
    rows = []
    for kind, net in networks.items():
        method = Method(kind, partial(learned, network=net))
        found = [measure(x, bicubic.low_resolution(x, 2), method, 2) for x in scenes.values()]
        rows.append(
            {
                "layer": LAYERS[kind],
                "parameters": sum(p.numel() for p in net.parameters()),
                **{key: mean(row[key] for row in found) for key in ("psnr", "ssim", "seconds")},
            }
        )
    return rows


def compare_shrinkings(scenes: Mapping[str, Numbers], study: Study) -> list[dict[str, Any]]:
    """Photographs halved in other ways than the networks have learned; the deconvolution is told how."""
    rows = []
    for index, (key, shrinking) in enumerate(SHRINKINGS.items()):
        for place, (name, truth) in enumerate(scenes.items()):
            shape = tuple(n // 2 for n in truth.shape)
            # The shrunk whole is known in the middle of a larger photograph only: its frame is mirrored here.
            operator = shrinking_operator(shrinking.kernel, 2, shape)
            halved = sigdeconv.Convolution(operator.psf, shape, stride=2, center=operator.center, boundary="reflect")(
                truth
            )
            noise = study.rng(index, place).normal(0, shrinking.sigma, shape) if shrinking.sigma else 0.0
            small = bicubic.eight_bits((halved + noise).astype(np.float32))
            told = Method("", partial(deconvolved, kernel=shrinking.kernel))
            for method, way in {**METHODS, "deconvolution": told}.items():
                found = measure(truth, small, way, 2)
                rows.append({"scene": name, "shrinking": key, "key": method, "truth": truth, "small": small, **found})
    return rows


def run(study: Study) -> Chapter:
    """Compare, on photographs that no network has seen."""
    with learning():
        return _run(study)


def _run(study: Study) -> Chapter:
    parameters = _parameters()
    scenes = {name: scene(name, min(SIDE, study.size)) for name in SCENES}
    rows = compare(scenes, study)
    layers = compare_layers(taught_here(study), scenes)
    others = compare_shrinkings({name: scenes[name] for name in study.pick(OTHER_SCENES[:1], OTHER_SCENES)}, study)
    summary = [_line(key, rows, parameters) for key in METHODS]
    highest = max(line["psnr2"] for line in summary)
    chapter = Chapter("super_resolution", TITLE, finding=_finding(rows, others))
    chapter.parts = [
        "A photograph is shrunk by antialiased bicubic interpolation and rounded to 8 bits; luminance is compared, by "
        "the protocol of the literature. A deconvolution is told how it was shrunk. A network has learned it from "
        f"other photographs: {', '.join(SCENES)} were never among them.",
        figures.crops(study, rows, METHODS, scale=SHOWN_SCALE),
        figures.gains(study, rows, METHODS, COLOURS),
        Table(
            "super_resolution",
            f"Means over {len(scenes)} photographs. Agreement: the result is shrunk again and compared with what was "
            "given; what disagrees cannot be right.",
            COLUMNS,
            [line | {"marked": line["psnr2"] == highest} for line in summary],
            marked="marked",
        ),
        Table(
            "super_resolution-layers",
            f"Three networks that differ in the last layer alone, after {STEPS} steps on the same crops here. "
            "Transposed and sub-pixel convolutions are the same operators, written differently, with other speeds; "
            "resizing and convolving has fewer of them.",
            LAYER_COLUMNS,
            layers,
        ),
        "The networks know one way of shrinking. Told another one, a deconvolution solves that; a network cannot be "
        "told.",
        figures.other_shrinkings(study, others, METHODS, SHRINKINGS, COLOURS),
        Table(
            "super_resolution-other",
            "PSNR ×2 of photographs that were halved in other ways; the deconvolution is told each.",
            OTHER_COLUMNS,
            _by_shrinking(others),
        ),
    ]
    return chapter


def _parameters() -> dict[str, int]:
    """Learned numbers of the networks."""
    from sigdeconv.transposed import weights

    return {key: int(weights.record(f"upscale_{key}_x2")["parameters"]) for key in ("fast", "strong")}


def _line(key: str, rows: Sequence[Mapping[str, Any]], parameters: Mapping[str, int]) -> dict[str, Any]:
    mine = [row for row in rows if row["key"] == key]
    by_scale = {scale: [row for row in mine if row["scale"] == scale] for scale in SCALES}
    return {
        "method": METHODS[key].label,
        "parameters": f"{parameters[key]:,}" if key in parameters else "none",
        **{f"psnr{scale}": mean(row["psnr"] for row in found) for scale, found in by_scale.items()},
        "ssim2": mean(row["ssim"] for row in by_scale[2]),
        "agreement": mean(row["agreement"] for row in by_scale[2]),
        "seconds": mean(row["seconds"] for row in by_scale[2]),
    }


def _by_shrinking(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"method": method.label}
        | {
            way: mean(row["psnr"] for row in rows if row["key"] == key and row["shrinking"] == way)
            for way in SHRINKINGS
        }
        for key, method in METHODS.items()
    ]


def _finding(rows: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> str:
    def doubled(key: str) -> float:
        return mean(row["psnr"] for row in rows if row["key"] == key and row["scale"] == 2)

    def lead(way: str) -> float:
        found = {
            key: mean(row["psnr"] for row in others if row["key"] == key and row["shrinking"] == way)
            for key in ("deconvolution", "strong")
        }
        return found["strong"] - found["deconvolution"]

    gained = {key: signed(doubled(key) - doubled("bicubic"), 2) for key in METHODS}
    return (
        f"×2 over bicubic interpolation: {gained['fast']} dB by the small learned transposed convolution and "
        f"{gained['strong']} dB by the large one; {gained['deconvolution']} dB by a deconvolution and "
        f"{gained['transpose']} dB by a transposed convolution that learned nothing. Beside the deconvolution the "
        f"large network is at {signed(lead('taught'), 2)} dB where the photograph was shrunk as it was taught, and at "
        f"{signed(lead('blurred'), 2)} dB where it was out of focus."
    )
