"""Claims about shapes, and about what a transposed convolution is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from sigdeconv import transposed

from ..arithmetic.operations import Settings, origins, same_settings, widened
from .verdicts import Case, Claim, number

DRAWN = 2000  # settings of a layer
SEED = 5

Numbers = np.ndarray[Any, Any]


class Drawn(NamedTuple):
    """A layer, and the samples on one axis that it gets."""

    n: int
    layer: Settings

    def shape_back(self) -> int:
        """The `output_padding` that brings the shape back."""
        return origins(self.layer.convolved(self.n), self.layer)[self.n]


def drawn(count: int = DRAWN, *, padded_little: bool = False) -> Iterator[Drawn]:
    """Layers of which a convolution leaves something."""
    rng = np.random.default_rng(SEED)
    while count:
        n, k, s, d = (int(rng.integers(low, high)) for low, high in ((4, 40), (1, 8), (1, 5), (1, 4)))
        p = int(rng.integers(0, d * (k - 1) + 1 if padded_little else k + 2))
        if n + 2 * p >= d * (k - 1) + 1:
            count -= 1
            yield Drawn(n, Settings(k, s, p, d))


def convolve(x: Numbers, kernel: Numbers, layer: Settings) -> Numbers:
    """What torch's layer of this name computes, on one axis."""
    import torch

    numbers = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
    tensors = (torch.tensor(v.copy())[None, None] for v in (x, kernel))
    return torch.nn.functional.conv1d(*tensors, **numbers)[0, 0].numpy()


def transpose(y: Numbers, kernel: Numbers, layer: Settings) -> Numbers:
    """The same of torch's transposed convolution; nothing, where the padding cuts off all."""
    import torch

    try:
        layer.transposed(len(y))
    except ValueError:
        return np.zeros(0)
    numbers = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
    tensors = (torch.tensor(v)[None, None] for v in (y, kernel))
    done = torch.nn.functional.conv_transpose1d(*tensors, output_padding=layer.output_padding, **numbers)
    return done[0, 0].numpy()


def shape_comes_back() -> Claim:
    """With the same settings."""
    found: dict[str, list[bool]] = {"stride 1": [], "stride 2 to 4": [], "stride 2 to 4, the sizes divide": []}
    helped = []
    for case in drawn():
        try:
            back = same_settings(case.n, case.layer)[1] == case.n
        except ValueError:  # all of it is cut off by the padding: a single sample was seen through zeros
            back = False
        kernel, stride, padding, dilation, _ = case.layer
        exact = (case.n + 2 * padding - dilation * (kernel - 1) - 1) % stride == 0
        if stride == 1:
            found["stride 1"].append(back)
        else:
            found["stride 2 to 4"].append(back)
            if exact:
                found["stride 2 to 4, the sizes divide"].append(back)
            layer = case.layer._replace(output_padding=case.shape_back())
            helped.append(layer.transposed(layer.convolved(case.n)) == case.n)
    found["stride 2 to 4, with the right output_padding"] = helped
    rows = [
        Case(f"{name} ({len(x)} settings)", f"{100 * np.mean(x):.0f} % come back", all(x)) for name, x in found.items()
    ]
    known = same_settings(17, Settings(5, stride=3, padding=2))[1]
    rows.append(Case("17 samples, kernel 5, stride 3, padding 2", f"{known} come back", known == 17))
    return Claim(
        "claim-shape",
        "With the same settings, convolution and transposed convolution are inverse in shape",
        rows,
        "It holds where `stride` divides `n + 2 padding − dilation (kernel − 1) − 1`, so always at stride 1. "
        "Elsewhere the "
        "floor in the convolution's size drops samples; `stride` sizes come to the same one, and "
        "`output_padding` says which "
        "of them is meant.",
        ("arithmetic", "explanation/transposed-convolution"),
    )


def zero_insertion() -> Claim:
    """Against the definition, value by value."""
    rng = np.random.default_rng(SEED)
    worst: dict[str, float] = {"stride 1": 0.0, "stride 2 to 4": 0.0, "with dilation": 0.0, "with output_padding": 0.0}
    counts = dict.fromkeys(worst, 0)
    for case in drawn(600, padded_little=True):
        extra = int(rng.integers(0, max(case.layer.stride, case.layer.dilation)))
        layer = case.layer._replace(output_padding=extra)
        y, kernel = rng.standard_normal(case.n), rng.standard_normal(layer.kernel)
        wanted = transpose(y, kernel, layer)
        if not wanted.size:
            continue
        got = convolve(widened(y, layer), kernel[::-1], Settings(layer.kernel, dilation=layer.dilation))
        error = float(np.max(np.abs(got - wanted)))
        for name, counted in (
            ("stride 1", layer.stride == 1),
            ("stride 2 to 4", layer.stride > 1),
            ("with dilation", layer.dilation > 1),
            ("with output_padding", extra > 0),
        ):
            if counted:
                worst[name], counts[name] = max(worst[name], error), counts[name] + 1
    return Claim(
        "claim-zero-insertion",
        "A transposed convolution is a convolution of stride 1 on the input with zeros put between its samples",
        [Case(f"{n} ({counts[n]} settings)", f"largest difference {number(e)}", e < 1e-9) for n, e in worst.items()],
        "With the kernel flipped, `stride − 1` zeros between neighbours and `dilation (kernel − 1) − padding` "
        "around, the two "
        "agree to rounding. It is a way to think of it; a library does not compute with the zeros.",
        ("arithmetic", "strided"),
    )


FORMULAS = {
    "k − 1 − p": lambda k, d, p: k - 1 - p,
    "d (k − 1) − p": lambda k, d, p: d * (k - 1) - p,
    "(d − 1)(k − 1) − p": lambda k, d, p: (d - 1) * (k - 1) - p,
    "(d + 1)(k − 1)/2 − p": lambda k, d, p: (d + 1) * (k - 1) / 2 - p,
}


def paddings(dilations: tuple[int, ...], of_kernel: str) -> dict[str, tuple[float, float]]:
    """For each formula: the shares of settings in which the shape, and also the values, are those of the transpose.

    `of_kernel` says how the kernel of the convolution of stride 1 is spread: "dilated" as the layer's is, or "plain".
    """
    rng = np.random.default_rng(SEED)
    shape: dict[str, list[bool]] = {name: [] for name in FORMULAS}
    value: dict[str, list[bool]] = {name: [] for name in FORMULAS}
    for case in drawn(800, padded_little=True):
        k, d, padding = case.layer.kernel, case.layer.dilation, case.layer.padding
        if d not in dilations or k == 1:
            continue
        y, kernel = rng.standard_normal(case.n), rng.standard_normal(k)
        wanted = transpose(y, kernel, case.layer._replace(stride=1))
        if not wanted.size:
            continue
        for name, formula in FORMULAS.items():
            q = formula(k, d, padding)
            got = np.zeros(0)
            if q == int(q):
                wide = np.pad(y, max(0, int(q)))
                wide = wide[-int(q) : len(wide) + int(q)] if q < 0 else wide
                spread = d if of_kernel == "dilated" else 1
                if len(wide) > spread * (k - 1):
                    got = convolve(wide, kernel[::-1], Settings(k, dilation=spread))
            shape[name].append(got.shape == wanted.shape)
            value[name].append(shape[name][-1] and bool(np.allclose(got, wanted)))
    return {name: (float(np.mean(shape[name])), float(np.mean(value[name]))) for name in FORMULAS}


def padding_without_dilation() -> Claim:
    """k − 1 − p."""
    plain, spread = paddings((1,), "dilated")["k − 1 − p"], paddings((2, 3), "dilated")["k − 1 − p"]
    return Claim(
        "claim-padding",
        "The convolution that equals a transposed convolution pads by k − 1 − p",
        [
            Case("no dilation", _shares(plain), plain[1] == 1),
            Case("dilation 2 or 3", _shares(spread), spread[1] == 1),
        ],
        "It holds only if the kernel is not dilated; with dilation `d` it is `d (k − 1) − p` (next claim).",
        ("arithmetic",),
    )


def padding_with_dilation() -> Claim:
    """Three formulas, two conventions."""
    cases = []
    for convention in ("dilated", "plain"):
        found = paddings((2, 3), convention)
        for name in [*FORMULAS][1:]:
            cases.append(Case(f"{name}, {convention} transposed kernel", _shares(found[name]), found[name][1] == 1))
    two = paddings((2,), "plain")["(d − 1)(k − 1) − p"], paddings((3,), "plain")["(d − 1)(k − 1) − p"]
    cases.append(Case("(d − 1)(k − 1) − p, plain kernel, d = 2 alone", _shares(two[0]), two[0][1] == 1))
    cases.append(Case("(d − 1)(k − 1) − p, plain kernel, d = 3 alone", _shares(two[1]), two[1][1] == 1))
    return Claim(
        "claim-padding-dilation",
        "With dilation d, it pads by d(k − 1) − p, or (d − 1)(k − 1) − p, or (d + 1)(k − 1)/2 − p",
        cases,
        "Only the first, with the kernel of the transpose dilated as well, gives the transpose. The third gives "
        "its *shape*, where it is a whole number, "
        "with a kernel that is not dilated, and other values. The second gives the shape for d = 3 and a plain "
        "kernel only, "
        "where it is the third by accident; it counts the zeros that dilation puts into the kernel and forgets "
        "its taps.",
        ("arithmetic",),
    )


def _shares(found: tuple[float, float]) -> str:
    return f"shape right in {100 * found[0]:.0f} %, values in {100 * found[1]:.0f} %"


def dilation_is_useless() -> Claim:
    """Dilation in a transposed convolution."""
    rng = np.random.default_rng(SEED)
    errors = []
    for case in drawn(300):
        if case.layer.dilation == 1:
            continue
        x, kernel = rng.standard_normal(case.n), rng.standard_normal(case.layer.kernel)
        y = convolve(x, kernel, case.layer)
        g = rng.standard_normal(len(y))
        back = transpose(g, kernel, case.layer._replace(output_padding=case.shape_back()))
        errors.append(abs(float(y @ g - x @ back)) / (np.linalg.norm(y) * np.linalg.norm(g) + 1e-300))
    counts = transposed.overlap_count(32, 3, stride=2, padding=2, dilation=2)
    empty = float(np.mean(counts == 0))
    reach = 2 * (3 - 1) + 1
    return Claim(
        "claim-dilation",
        "Dilation has no use in a transposed convolution",
        [
            Case(
                f"without it there is no transpose of a dilated convolution ({len(errors)} settings, ⟨Ax, y⟩ = "
                "⟨x, Aᵀy⟩)",
                f"with it they agree to {number(max(errors))}",
                max(errors) > 1e-9,
            ),
            Case("reach of three taps at dilation 2", f"{reach} samples instead of 3", reach == 3),
        ],
        "It is the transpose of a dilated convolution, and so its gradient in every network that has one. As an "
        "upsampling "
        f"layer it wants care: kernel 3, stride 2 and dilation 2 leave {100 * empty:.0f} % of the positions "
        "along an axis without any input.",
        ("arithmetic", "checkerboard"),
    )


def bottleneck() -> Claim:
    """1 x 1 convolutions before 3 x 3 ones."""
    count = transposed.multiply_add_count
    plain = count((28, 28), 3, 64, 16, padding=1)
    narrow = count((28, 28), 1, 64, 4) + count((28, 28), 3, 4, 16, padding=1)
    saved = 1 - narrow / plain
    wide = count((28, 28), 1, 64, 64) + count((28, 28), 3, 64, 16, padding=1)
    return Claim(
        "claim-bottleneck",
        "16 filters of 3×3 on a 28×28×64 input cost about 90 % less after 4 filters of 1×1",
        [Case("multiply–adds", f"{plain:,} before, {narrow:,} after: {100 * saved:.0f} % saved", 0.85 < saved < 0.95)],
        f"The saving comes from having 4 channels instead of 64 in the 3×3 filters; with 64 filters of 1×1 it would be "
        f"{100 * (1 - wide / plain):+.0f} %. What 4 channels cannot carry is lost.".replace("-", "−"),
        ("features",),
    )


def costs_more() -> Claim:
    """Than resizing and convolving."""
    count = transposed.multiply_add_count
    cases = []
    for k, s, same in ((2, 2, 3), (3, 2, 3), (4, 2, 3), (6, 3, 3), (8, 4, 3), (9, 2, 3)):
        ours = count((32, 32), k, 16, 16, stride=s, transposed=True) / (32 * s) ** 2
        theirs = count((32 * s, 32 * s), same, 16, 16, padding=same // 2) / (32 * s) ** 2
        text = f"{ours / 256:.1f} against {theirs / 256:.0f} products a sample and pair of channels"
        cases.append(Case(f"kernel {k}, stride {s}, against resizing and 3×3", text, ours > theirs))
    return Claim(
        "claim-cost",
        "A transposed convolution costs more than resizing and a convolution",
        cases,
        "A transposed convolution costs (kernel / stride)² products for each output sample: with the usual "
        "kernels, of two to "
        "three strides, fewer than a 3×3 convolution at the full size. It costs more only if the kernel is wider "
        "than three "
        "strides. The interpolation itself is not counted here.",
        ("super_resolution", "explanation/transposed-convolution"),
    )


CLAIMS = (
    shape_comes_back,
    zero_insertion,
    padding_without_dilation,
    padding_with_dilation,
    dilation_is_useless,
    costs_more,
    bottleneck,
)
