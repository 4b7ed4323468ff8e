"""Claims about layers and networks; some are tested by training small ones."""

from __future__ import annotations

import itertools
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from sigdeconv.transposed import checkerboard

from .. import segmentation, training_habits, transpose_to_wiener
from ..common import Study
from ..features import inversion
from . import values
from .shapes import SEED
from .verdicts import Case, Claim, number

Numbers = np.ndarray[Any, Any]

FELT = 0.1  # dB that count as a difference
SIDE = 96


def db(value: float) -> str:
    """Decibels with their sign."""
    return f"{value:+.1f} dB".replace("-", "−")


def upsampling() -> Claim:
    """Trainable upsampling, of which the bilinear one is a case."""
    import torch
    from torch.nn import functional

    from sigdeconv.transposed.layers import TransposedUpsample

    x = torch.as_tensor(values.photograph(48), dtype=torch.float32)[None, None]
    cases = []
    for s in (2, 3, 4):
        layer = TransposedUpsample(
            1, 1, 2 * s if s % 2 == 0 else 2 * s - 1, scale=s, initialisation="bilinear", bias=False
        )
        with torch.no_grad():
            ours = layer(x)
        wanted = functional.interpolate(x, scale_factor=s, mode="bilinear", align_corners=False)
        inner = (..., slice(2 * s, -2 * s), slice(2 * s, -2 * s))
        off = float((ours[inner] - wanted[inner]).abs().max())
        cases.append(
            Case(f"stride {s}, bilinear weights against interpolation", f"largest difference {number(off)}", off < 1e-5)
        )
    plain = functional.conv_transpose2d(x, torch.ones(1, 1, 3, 3) / 9, padding=1)
    cases.append(
        Case("stride 1", f"{x.shape[-1]} samples become {plain.shape[-1]}: it blurs", plain.shape[-1] > x.shape[-1])
    )
    return Claim(
        "claim-upsampling",
        "Transposed convolution is upsampling with trainable weights; fixed bilinear upsampling is one",
        cases,
        "It holds only if the stride is larger than 1 (the frame aside, where the layer sees zeros). With stride "
        "1 it is an "
        "ordinary convolution with the kernel turned.",
        ("super_resolution", "strided"),
    )


def subpixel() -> Claim:
    """The exact conversion of weights, both ways."""
    import torch
    from torch.nn import functional

    from sigdeconv.transposed import layers

    source = torch.Generator().manual_seed(SEED)
    x = torch.randn(2, 3, 9, 11, generator=source, dtype=torch.float64)
    cases = []
    for s, k in ((2, 2), (2, 4), (2, 6), (3, 3), (3, 9), (4, 8), (2, 3), (3, 5)):
        ours = layers.TransposedUpsample(3, 2, k, scale=s, bias=False, generator=source, dtype=torch.float64)
        weight = layers.transposed_to_subpixel(ours.weight, s)
        pad = weight.shape[-1]
        with torch.no_grad():
            # both over a frame that is wider than any kernel, so that the frame's edge is not what is compared
            wide = functional.pad(x, (pad,) * 4)
            other = layers.pixel_shuffle(functional.conv2d(functional.pad(wide, (pad - 1,) * 4), weight), s)
            full = functional.conv_transpose2d(wide, ours.weight, stride=s)
        worst = least_difference(full, other)
        cases.append(Case(f"kernel {k}, stride {s}", f"largest difference {number(worst)}", worst < 1e-9))
    return Claim(
        "claim-subpixel",
        "A transposed convolution is the same as a sub-pixel convolution",
        cases,
        "A transposed convolution of stride r and a convolution with r² times the channels followed by a pixel "
        "shuffle are the "
        "same operator with the weights in another order; a kernel that r does not divide is filled up with "
        "zeros. What "
        "differs is how they are usually initialised, and the speed.",
        ("super_resolution", "explanation/transposed-convolution"),
    )


def least_difference(a: Any, b: Any) -> float:
    """Largest difference where the two overlap, at the shift at which it is least: paddings are counted differently."""
    best = math.inf
    n = min(a.shape[-1], b.shape[-1]) * 2 // 3
    m = min(a.shape[-2], b.shape[-2]) * 2 // 3
    for dy in range(b.shape[-2] - m + 1):
        for dx in range(b.shape[-1] - n + 1):
            top, left = (a.shape[-2] - m) // 2, (a.shape[-1] - n) // 2
            best = min(
                best, float((a[..., top : top + m, left : left + n] - b[..., dy : dy + m, dx : dx + n]).abs().max())
            )
    return best


def new_attribute() -> Claim:
    """The bug of many a demonstration."""
    import torch

    x = torch.as_tensor(values.photograph(32), dtype=torch.float32)[None, None]
    edge = torch.tensor([[[[-1.0, 0.0, 1.0]] * 3]])[0]
    cases = []
    for kind in (torch.nn.Conv2d, torch.nn.ConvTranspose2d):
        for name in ("filter", "kernel", "weights"):
            layer = kind(1, 1, 3, padding=1, bias=False)
            with torch.no_grad():
                before = layer(x)
                setattr(layer, name, edge)
                change = float((layer(x) - before).abs().max())
            cases.append(Case(f"{kind.__name__}, layer.{name} = …", f"output changes by {number(change)}", change > 0))
    layer = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False)
    with torch.no_grad():
        before = layer(x)
        layer.weight.copy_(edge)
        real = float((layer(x) - before).abs().max())
    return Claim(
        "claim-attribute",
        "Assigning a filter to a new attribute of a layer changes the layer",
        cases,
        "Python makes the attribute and nobody reads it. `layer.weight.copy_(…)` under `torch.no_grad()` changes "
        "the output, "
        f"here by {real:.1f}. A demonstration with this bug shows what random weights do.",
        ("features",),
    )


def uneven_overlap() -> Claim:
    """Checkerboards in the answer to a flat input."""
    import torch

    from sigdeconv.transposed.layers import TransposedUpsample

    flat = torch.ones(1, 1, 16, 16)
    cases = []
    for k, s, start in (
        (3, 2, "ones"),
        (5, 2, "ones"),
        (4, 2, "ones"),
        (4, 2, "kaiming"),
        (6, 3, "kaiming"),
        (4, 2, "bilinear"),
    ):
        layer = TransposedUpsample(
            1,
            1,
            k,
            scale=s,
            bias=False,
            initialisation="kaiming" if start == "ones" else start,
            generator=torch.Generator().manual_seed(SEED),
        )
        with torch.no_grad():
            if start == "ones":
                layer.weight.fill_(1.0)
            share = float(np.sqrt(checkerboard.measure(layer(flat)[0, 0].numpy(), s, border=3).share))
        even = k % s == 0
        cases.append(
            Case(
                f"kernel {k}, stride {s} ({'even' if even else 'uneven'} overlap), {start} weights",
                f"{'no checkerboard' if share < 1e-5 else f'a checkerboard: {100 * share:.0f} % of the amplitude'}",
                (share > 1e-5) == (not even),
            )
        )
    return Claim(
        "claim-overlap",
        "Checkerboards come from uneven overlap only",
        cases,
        "What matters is whether the kernel's polyphase parts have equal sums. Uneven overlap makes them differ "
        "for equal "
        "weights; random or trained weights differ with even overlap as well. The claim holds only if all "
        "weights are equal, "
        "or are those of an interpolation.",
        ("checkerboard", "explanation/checkerboards"),
    )


def inverted_networks() -> Claim:
    """Max-unpooling and deconvnets."""
    import torch
    from torch.nn import functional

    from sigdeconv.transposed.models import FeatureEncoder

    picture = torch.as_tensor(values.photograph(SIDE) - values.photograph(SIDE).mean(), dtype=torch.float32)[None, None]
    encoder = FeatureEncoder(1, generator=SEED)
    cases = []
    with torch.no_grad():
        pooled, switches = functional.max_pool2d(picture, 2, return_indices=True)
        back = functional.max_unpool2d(pooled, switches, 2)
        off = values.error(picture.numpy(), back.numpy())
        cases.append(Case("max-unpooling of max-pooling, 2 × 2", f"error {100 * off:.0f} %", off < 1e-6))
        stages = encoder.stages(picture)
        for layer in range(len(stages)):
            back = inversion.led_back(encoder, stages, layer)
            likeness = inversion.likeness_in_decibels(picture.numpy(), back.numpy())
            text = f"{likeness:.1f} dB of signal to error, after the best gain and offset"
            cases.append(Case(f"deconvnet from layer {layer + 1}", text, likeness > 60))
    return Claim(
        "claim-deconvnet",
        "Max-unpooling and deconvnets invert a network",
        cases,
        "They lead an activation back to what it depends on: positions come back, values do not; three of four "
        "samples are "
        "zero after unpooling. To invert features means to search for a picture that has them, which is another "
        "computation. "
        "(Here an encoder with the weights that it starts with; the experiment shows a trained one.)",
        ("features",),
    )


def bilinear_start() -> Claim:
    """What a small upsampler gains by it, early and late."""
    sources = training_habits.corpora()
    habits = {habit.key: habit for habit in (training_habits.PLAIN, *training_habits.HABITS)}
    starts = {"kaiming": "a random start (Kaiming)", "plain": "a random start without checkerboard (ICNR)"}
    cases = []
    # The rates are those that are best for the random start, by the experiment.
    for part, rate, told in (("many", 0.02, "plenty of photographs"), ("few", 0.01, "one crop of 48 × 48 pixels")):
        runs = {
            key: training_habits.train(training_habits.Job(part, habits[key], 0, rate), sources[part]).rows
            for key in ("bilinear", *starts)
        }
        for other, named in starts.items():
            for at in (0, -1):
                step = int(runs["bilinear"][at]["step"])
                lead = runs["bilinear"][at]["tested"] - runs[other][at]["tested"]
                cases.append(Case(f"{told}, step {step}, against {named}", db(lead), lead > FELT))
    return Claim(
        "claim-bilinear",
        "Bilinear initialisation helps",
        cases,
        "It always helps at first. For good it helps only if there is little time or little to learn from, or if "
        "the other "
        "start is worse than it need be: with enough photographs a random start without a checkerboard catches up.",
        ("training_habits",),
    )


def without_skips() -> Claim:
    """A U-Net whose skips are cut."""
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        data = segmentation.gather(Study(out=Path(folder), size=SIDE, quiet=True))
        for seed in (0, 1):
            off = {key: segmentation.assess(key, seed, data).row["median"] for key in ("transposed", "cut")}
            text = f"outlines are off by {off['cut']:.2f} px without skips, {off['transposed']:.2f} px with them"
            cases.append(Case(f"cells that touch, start {seed}", text, off["cut"] < 1.1 * off["transposed"]))
    return Claim(
        "claim-skips",
        "A U-Net without skip connections is a U-Net",
        cases,
        "Without them it is an encoder and a decoder with a bottleneck: what the coarse grid does not carry is "
        "gone, outlines "
        "first. The skips are what the U is for.",
        ("segmentation",),
    )


def bigger_kernels() -> Claim:
    """Kernels of growing size, each the best of its size for what it was learned from."""
    from ..transpose_to_wiener import training

    rng = np.random.default_rng(SEED)
    here = transpose_to_wiener.setting(SIDE, rng)
    gains: dict[str, dict[int, float]] = {"the blur and the spectrum are told": {}, "learned from four photographs": {}}
    for row, told, learned in ((row, *gains.values()) for row in transpose_to_wiener.sizes(here)):
        told[row["size"]], learned[row["size"]] = row["told"], row["all"]
    corner = training.corners(here.learned, 1, rng)
    for side in (48, 24):
        gains[f"learned from one patch of {side} × {side} pixels"] = {
            size: here.kernel_gain(training.exact(training.cut(here.learned, corner, side, size // 2), size))
            for size in (3, 5, 7, 9, 11, 15, 21)
        }
    cases = []
    for told_by, found in gains.items():
        values_of = [*found.values()]
        best = max(found, key=lambda size: found[size])
        first, last = min(found), max(found)
        text = ", ".join(f"{db(found[size])} with {size} taps" for size in dict.fromkeys((first, best, last)))
        grows = all(b > a - FELT / 2 for a, b in itertools.pairwise(values_of))
        cases.append(Case(told_by, text, grows))
    return Claim(
        "claim-bigger",
        "A bigger kernel always inverts better",
        cases,
        "A small kernel cannot hold the inverse, so it helps at first. It goes on helping only if the kernel is "
        "known, or "
        "learned from many more pixels than it has taps: from few, the taps that the blur does not need learn "
        "the noise.",
        ("transpose_to_wiener",),
    )


CLAIMS = (
    upsampling,
    subpixel,
    uneven_overlap,
    bilinear_start,
    without_skips,
    new_attribute,
    inverted_networks,
    bigger_kernels,
)
