"""A small network that halves a noisy picture and doubles it again, and the checkerboards in it while it learns.

It has both kinds of layers: the one that enlarges makes the pattern in the output, the one that halves that in the
gradient. Of every case the two are each other's mirror image, with the same kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sigdeconv.transposed import checkerboard

if TYPE_CHECKING:
    import torch

Numbers = np.ndarray[Any, Any]

SCALE = 2
FEATURES = 8
LEVELS = 255.0
NOISE = 25 / LEVELS
RATE, BATCH, PATCH = 1e-2, 6, 20
CHECKS = 7  # measurements of a run, besides that before its first step
LEARNED_FROM = ("chelsea", "coins", "brick", "grass", "gravel")
TESTED_ON = {"camera": (60, 100), "astronaut": (20, 140), "coffee": (150, 180)}  # and where the crop is taken
SIDE = 64  # pixels of a test picture
FLAT = (0.25, 0.5, 0.75)  # levels of grey
FLAT_SIDE, EDGE = 40, 6  # pixels; periods at each side that see the frame
SHOWN = 16  # pixels of a flat output that are kept to be looked at


class Case(NamedTuple):
    """A way to enlarge, its kernel, and what it starts from."""

    layer: str
    kernel: int
    start: str


#: How the layers are called.
LAYERS = {
    "transposed": "transposed",
    "subpixel": "sub-pixel",
    "enforced": "transposed, enforced",
    "resize": "resize, then convolve",
}
CASES = (
    *(Case("transposed", 3, start) for start in ("ones", "kaiming", "icnr")),
    *(Case("transposed", 4, start) for start in ("ones", "kaiming", "icnr", "bilinear")),
    *(Case("transposed", 5, start) for start in ("kaiming", "bilinear")),
    Case("subpixel", 4, "kaiming"),
    *(Case("enforced", k, "kaiming") for k in (3, 4)),
    Case("resize", 3, "kaiming"),
)


class Pictures(NamedTuple):
    """What is learned from, and what is measured with."""

    learned: tuple[Numbers, ...]  #: in 0 to 1
    clean: torch.Tensor  #: (count, 1, y, x)
    noisy: torch.Tensor


class Trained(NamedTuple):
    """How one network stood at every check."""

    case: Case
    seed: int
    rows: list[dict[str, float]]
    flats: list[Numbers]  #: at the start and at the end, of plain grey: the middle of the output
    gradient: Numbers  #: at the end, of the loss by the pixels of the first test picture


def gather(seed: int) -> Pictures:
    """Photographs that come with scikit-image, in grey."""
    import skimage.color
    import skimage.data
    import torch

    def grey(name: str) -> Numbers:
        image = getattr(skimage.data, name)()
        found = skimage.color.rgb2gray(image) if image.ndim == 3 else image / LEVELS
        return np.asarray(found, np.float32)

    crops = [grey(name)[y : y + SIDE, x : x + SIDE] for name, (y, x) in TESTED_ON.items()]
    clean = torch.as_tensor(np.stack(crops))[:, None]
    draw = torch.Generator().manual_seed(seed)
    return Pictures(
        tuple(grey(name) for name in LEARNED_FROM), clean, clean + NOISE * torch.randn(clean.shape, generator=draw)
    )


def network(case: Case, seed: int) -> torch.nn.Module:
    """Halve, look around, double."""
    import torch
    from torch import nn
    from torch.nn import functional

    from sigdeconv.transposed import layers

    class Halve(nn.Module):
        """A strided convolution, whose gradient is a transposed one."""

        def __init__(self) -> None:
            super().__init__()
            bound = (3 / case.kernel**2) ** 0.5  # of the variance 1 / taps
            weight = torch.empty(FEATURES, 1, case.kernel, case.kernel).uniform_(-bound, bound, generator=draw)
            self.weight, self.bias = nn.Parameter(weight), nn.Parameter(torch.zeros(FEATURES))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            weight: Any = self.weight
            if case.layer == "enforced":
                weight = checkerboard.with_equal_sums(weight, SCALE)
            elif case.layer == "resize":  # its mirror image: convolve, then take means of 2 x 2
                weight = checkerboard.zero_order_hold(weight, SCALE)
            return functional.conv2d(x, weight, self.bias, stride=SCALE, padding=(weight.shape[-1] - 1) // 2)

    draw = torch.Generator().manual_seed(seed)
    halve = Halve()
    middle = nn.Conv2d(FEATURES, FEATURES, 3, padding=1)
    nn.init.kaiming_normal_(middle.weight, generator=draw)
    nn.init.zeros_(middle.bias)  # type: ignore[arg-type]
    kinds = {"subpixel": layers.SubpixelConv, "resize": layers.ResizeConv}
    double = kinds.get(case.layer, layers.TransposedUpsample)(
        FEATURES,
        1,
        case.kernel,
        scale=SCALE,
        initialisation="kaiming" if case.start == "ones" else case.start,
        checkerboard_free=case.layer == "enforced",
        generator=draw,
    )
    if case.start == "ones":
        nn.init.constant_(double.weight, SCALE**2 / (FEATURES * case.kernel**2))
    return nn.Sequential(halve, nn.LeakyReLU(0.1), middle, nn.LeakyReLU(0.1), double)


def flat_outputs(model: torch.nn.Module) -> Numbers:
    """What a network makes of plain greys, in grey levels, shape (count, y, x)."""
    import torch

    grey = torch.tensor(FLAT)[:, None, None, None].expand(-1, 1, FLAT_SIDE, FLAT_SIDE)
    with torch.no_grad():
        found: Numbers = LEVELS * model(grey)[:, 0].numpy()
    return found


def middle_of(model: torch.nn.Module) -> Numbers:
    """What is shown of the output for plain grey."""
    first = (FLAT_SIDE - SHOWN) // 2
    return flat_outputs(model)[len(FLAT) // 2, first : first + SHOWN, first : first + SHOWN]


def gradient(model: torch.nn.Module, pictures: Pictures) -> tuple[Numbers, checkerboard.Checkerboard]:
    """The gradient of the mean squared error by the pixels, shape (count, y, x), and what is measured in it."""
    from torch.nn import functional

    kept: list[Any] = []

    def loss(x: torch.Tensor) -> torch.Tensor:
        x.register_hook(kept.append)  # type: ignore[no-untyped-call]
        return functional.mse_loss(model(x), pictures.clean)

    measured = checkerboard.measure_gradient(loss, pictures.noisy, SCALE, border=EDGE)
    return kept[0][:, 0].numpy(), measured


def state(model: torch.nn.Module, pictures: Pictures) -> dict[str, float]:
    """Checkerboards in output and gradient, and what the network is worth."""
    import torch

    pattern = checkerboard.measure(flat_outputs(model), SCALE, border=EDGE).energy ** 0.5
    with torch.no_grad():
        error = (model(pictures.noisy) - pictures.clean)[..., 4:-4, 4:-4].square().mean(dim=(1, 2, 3))
    return {
        "pattern": float(pattern),  # root mean square, in grey levels
        "unevenness": gradient(model, pictures)[1].unevenness,
        "psnr": float((-10 * torch.log10(error)).mean()),
    }


def train(case: Case, seed: int, steps: int, pictures: Pictures) -> Trained:
    """One run of the library's own loop."""
    import torch

    from sigdeconv.transposed import training

    model = network(case, seed).eval()
    every = max(1, steps // CHECKS)
    plan = training.Plan(
        steps, rate=RATE, final_rate=RATE / 20, warm_up=10, averaging=0.0, border=4, check_every=every, seed=seed
    )
    rows: list[dict[str, float]] = [{"step": 0, **state(model, pictures)}]
    flats = [middle_of(model)]

    def batches(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng((seed, step))
        crops = []
        for _ in range(BATCH):
            image = pictures.learned[rng.integers(len(pictures.learned))]
            y, x = (int(rng.integers(n - PATCH)) for n in image.shape)
            crops.append(image[y : y + PATCH, x : x + PATCH])
        clean = np.stack(crops)[:, None]
        noisy = clean + np.float32(NOISE) * rng.standard_normal(clean.shape, dtype=np.float32)
        return torch.as_tensor(noisy), torch.as_tensor(clean)

    def score(model: torch.nn.Module) -> float:
        step = min(len(rows) * every, steps)
        rows.append({"step": step, **state(model, pictures)})
        return float(step)  # the last weights are to be returned, whatever they are worth

    training.train(model, batches, plan, score=score, device="cpu")
    flats.append(middle_of(model))
    return Trained(case, seed, rows, flats, gradient(model, pictures)[0][0])


def train_all(cases: Sequence[Case], seeds: Sequence[int], steps: int, track: Any) -> list[Trained]:
    """All cases with all seeds, in this order."""
    pictures = gather(seeds[0])
    return [train(case, seed, steps, pictures) for case, seed in track([(c, s) for c in cases for s in seeds])]


def summary(runs: Sequence[Trained]) -> list[dict[str, Any]]:
    """A row a case, means over its seeds (geometric ones of the patterns, which differ by factors)."""
    rows: list[dict[str, Any]] = []
    for case in dict.fromkeys(one.case for one in runs):
        mine = [one.rows for one in runs if one.case == case]

        def mean(key: str, at: int, mine: list[list[dict[str, float]]] = mine) -> float:
            return float(np.mean([one[at][key] for one in mine]))

        def level(at: int, mine: list[list[dict[str, float]]] = mine) -> float:
            return float(np.exp(np.mean([np.log(max(one[at]["pattern"], 1e-9)) for one in mine])))

        rows.append(
            {
                "layer": case.layer,
                "label": LAYERS[case.layer],
                "kernel": case.kernel,
                "start": case.start,
                "before": level(0),
                "after": level(-1),
                "gradient-before": mean("unevenness", 0),
                "gradient-after": mean("unevenness", -1),
                "psnr": mean("psnr", -1),
            }
        )
    return rows


def keyed(rows: Sequence[Mapping[str, Any]]) -> dict[Case, Mapping[str, Any]]:
    """The rows by their cases."""
    return {Case(row["layer"], row["kernel"], row["start"]): row for row in rows}
