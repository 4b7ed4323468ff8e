"""Maps of features before and after a layer that enlarges, and the checkerboard that the layer leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sigdeconv import metrics
from sigdeconv.transposed import checkerboard

from ..common import Study
from .encoder import grey

if TYPE_CHECKING:
    import torch

Numbers = np.ndarray[Any, Any]

PACKAGED = "upscale_fast_x2"
SCALE = 2
PEAK = 255.0  # grey levels
LEARNED_FROM = ("chelsea", "rocket", "brick", "grass", "gravel", "coins", "stereo_motorcycle")
KINDS = {
    "transposed": "transposed convolution",
    "subpixel": "sub-pixel convolution",
    "resize": "resize, then convolution",
}
STEPS, BATCH, SIDE = 250, 8, 32  # of the network that is trained where none is packaged; samples of the input
DEPTH = 2  # of its convolutions
FITTED_ON, FIT_STEPS = 96, 40  # crops, and steps of L-BFGS: the last layer is linear, so that this is least squares
BORDER = 8  # output pixels along the frame that are not judged
WALLS = (0.1, 0.3, 0.5, 0.7, 0.9)  # brightnesses of flat scenes


class Enlarged(NamedTuple):
    """What the network makes of a picture, before and after its last layer."""

    small: Numbers  #: the picture shrunk, grey levels
    truth: Numbers
    bicubic: Numbers
    before: Numbers  #: features that come to the last layer, shape (channels, y, x)
    details: dict[tuple[str, str], Numbers]  #: what the layer adds to bicubic, by kind and "start" or "fitted"
    rows: list[dict[str, Any]]
    trained: str  #: where the network before the last layer comes from


def photographs() -> Any:
    """Pictures to learn from, in grey."""
    from skimage import color, data

    from sigdeconv.transposed.training import Photographs

    pictures = {name: grey(name) for name in LEARNED_FROM if name != "stereo_motorcycle"}
    if "stereo_motorcycle" in LEARNED_FROM:
        pictures["stereo_motorcycle"] = np.rint(255 * color.rgb2gray(data.stereo_motorcycle()[0])).astype(np.uint8)
    return Photographs(pictures)


def network(study: Study, pictures: Any) -> tuple[Any, str]:
    """A network that enlarges: the packaged one, or a small one that is trained now."""
    from sigdeconv.transposed import weights
    from sigdeconv.transposed.models import FastUpscaler
    from sigdeconv.transposed.training import Batches, Plan, Shrink, charbonnier, train

    if PACKAGED in weights.packaged():
        model = FastUpscaler(SCALE).collapse()
        weights.load(PACKAGED, model)
        return model.eval().requires_grad_(False), f"the packaged network {PACKAGED}"
    model = FastUpscaler(SCALE, depth=DEPTH, expansion=None, generator=study.seed)
    degrade = Shrink(SCALE)
    batches = Batches(pictures, degrade, degrade.patch_size(SIDE), BATCH, seed=study.seed)
    plan = Plan(steps=STEPS, rate=2e-3, warm_up=20, averaging=0.98, border=SCALE * 4, seed=study.seed)
    train(model, batches, plan, loss=charbonnier, device="cpu")
    return model.requires_grad_(False), f"a small network, trained in this run for {STEPS} steps"


def last_input(model: Any, x: torch.Tensor) -> torch.Tensor:
    """The features that come to the last layer, on the frame of the input."""
    caught: list[torch.Tensor] = []
    handle = model.enlarge.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    try:
        model(x)
    finally:
        handle.remove()
    margin = (caught[0].shape[-1] - x.shape[-1]) // 2
    inner = slice(margin, -margin or None)
    return caught[0][..., inner, inner].clone()


def layer(kind: str, channels: int, seed: int) -> Any:
    """A last layer of a kind, at its start; all kinds have equally many parameters."""
    import torch

    from sigdeconv.transposed import layers

    made = {"transposed": layers.TransposedUpsample, "subpixel": layers.SubpixelConv, "resize": layers.ResizeConv}
    random = torch.Generator().manual_seed(seed)
    return made[kind](
        channels, 1, 3 * SCALE, scale=SCALE, padding_mode="replicate", initialisation="kaiming", generator=random
    )


def fit(module: Any, features: torch.Tensor, target: torch.Tensor) -> None:
    """Least squares: the layer is linear in its weights, and its best ones are found whatever the start."""
    import torch

    def inside(x: torch.Tensor) -> torch.Tensor:
        return x[..., BORDER:-BORDER, BORDER:-BORDER]

    # In units of the target and of each feature, the steps are of a like size for all.
    optimizer = torch.optim.LBFGS(
        module.parameters(), max_iter=FIT_STEPS, history_size=20, line_search_fn="strong_wolfe", tolerance_change=0.0
    )
    unit = target.std()

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = ((inside(module(features)) - inside(target)) / unit).square().mean()
        torch.autograd.backward(loss)
        return loss

    with torch.enable_grad():
        optimizer.step(closure)


def evenness(model: Any, module: Any) -> float:
    """What a flat scene comes out with at the frequency of the stride: rms amplitude over some brightnesses."""
    import torch

    flat = torch.tensor(WALLS)[:, None, None, None].expand(-1, 1, 32, 32).contiguous()
    with torch.no_grad():
        detail = module(last_input(model, flat))[:, 0]
    return float(np.sqrt(checkerboard.measure(PEAK * detail, SCALE, border=4).energy))


def enlarge(study: Study, picture: Numbers) -> Enlarged:
    """Put each kind of last layer behind the same features."""
    import torch

    from sigdeconv.transposed.bicubic import imresize
    from sigdeconv.transposed.training import Shrink

    pictures = photographs()
    model, trained = network(study, pictures)
    degrade = Shrink(SCALE)
    side = degrade.patch_size(SIDE)
    patches = pictures.crop(pictures.draw(FITTED_ON, side, study.rng(1)), side)
    (small,), large = degrade(patches, torch.Generator())
    truth = torch.as_tensor(picture, dtype=torch.float32)[None, None] / PEAK
    seen = imresize(truth, 1 / SCALE)
    with torch.no_grad():
        features, before = last_input(model, small), last_input(model, seen)
    target = large - imresize(small, SCALE)
    plain = (PEAK * imresize(seen, SCALE))[0, 0].numpy()
    inner = (slice(BORDER, -BORDER),) * 2
    goal = picture.astype(np.float32)
    base = metrics.psnr(goal[inner], plain[inner], data_range=PEAK)
    rows, details = [], {}
    for kind, label in KINDS.items():
        module = layer(kind, before.shape[1], study.seed)
        with torch.no_grad():
            # Features are small where the network needs little; the start is set to the right size, not to the values.
            module.weight.mul_(target.std() / module(features).std())
        for state in ("start", "fitted"):
            if state == "fitted":
                fit(module, features, target)
            with torch.no_grad():
                detail = PEAK * module(before)[0, 0].numpy()
            details[kind, state] = detail
            rows.append(
                {
                    "kind": kind,
                    "layer": label,
                    "state": state,
                    "parameters": sum(p.numel() for p in module.parameters()),
                    "flat": evenness(model, module),
                    "picture": float(np.sqrt(checkerboard.measure(detail, SCALE, border=4).energy)),
                    "gain": metrics.psnr(goal[inner], (plain + detail)[inner], data_range=PEAK) - base,
                }
            )
    return Enlarged((PEAK * seen)[0, 0].numpy(), goal, plain, before[0].numpy(), details, rows, trained)
