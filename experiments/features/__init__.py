"""Features of a network: how they are made, thinned out, paid for, enlarged, and led back to the picture.

A small encoder learns in this run to name textures. Its filters and maps are looked at on photographs that it never
saw. The last part is what the library is about: the "deconvnet" by which features are led back to a picture is a chain
of transposed convolutions. It is set beside what does invert the same features.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sigdeconv.transposed import layer_table, receptive_field

from ..common import Chapter, Study, Table, learning
from . import back_figures, costs, figures, inversion, sampling, upsampling
from . import encoder as encoders
from .tables import (
    BACK_COLUMNS,
    LAYER_COLUMNS,
    NARROW_COLUMNS,
    POOL_COLUMNS,
    STACK_COLUMNS,
    UP_COLUMNS,
    Rows,
    back_rows,
    finding,
    layer_rows,
)

TITLE = "Features: filters, maps, and the way back to the picture"

Numbers = np.ndarray[Any, Any]

THREADS = 1  # enough for networks this small, and the same numbers whatever else the machine does
CORNER, SIDE = (60, 100), 256  # of what is taken of `camera` (row, column)
INNER, INNER_SIDE = (30, 60), 96  # of it, the part that is inverted
ZOOM, ZOOM_SIDE = (44, 76), 96  # and the part of the enlarged picture that is shown
BLOCK = 4  # pixels of the blocks that are pooled in the figure
SHOWN = 3  # of the learned filters whose maps are shown
PROJECTED = ("camera", "astronaut", "coffee")
PROJECTED_SIDE = 200  # pixels, of their upper left parts at half the size
LAYERS = (1, 2)  # whose activations are led back, counted from 0
NOISE = 0.01  # of the maps of the filters, relative to their contrast, where there is some
CHANNELS = (1, 2, 4, 6, 8, 12)  # behind the 1 x 1 convolution
JUDGED = 400  # patches, with each of them


def run(study: Study) -> Chapter:
    """Learn, look, and go back."""
    with learning(THREADS):
        return _run(study)


def _run(study: Study) -> Chapter:
    import torch

    picture = encoders.grey("camera")[tuple(slice(c, c + SIDE) for c in CORNER)]
    x = encoders.as_input(picture)
    steps = iter(study.track(["learning", "maps", "costs", "upsampling", "back"], "features"))

    next(steps)
    examples, rest = encoders.textures()
    tested = rest.draw(encoders.TESTED, study.rng(2), turned=False)
    learned = encoders.learn(study, examples, tested)
    parts: list[Any] = [_introduction(learned), _filters(study, learned, picture, x)]

    next(steps)
    with torch.no_grad():
        stage = learned.encoder.stages(x)[0]
    pool_rows = sampling.pooling(stage.rectified)
    parts += [_maps(study, learned, stage, pool_rows)]

    next(steps)
    stack_rows = costs.fields()
    judge = tuple(part[:JUDGED] for part in tested)
    maps_from = examples.draw(200, study.rng(3), turned=True)[0]
    encoder_rows = costs.bottlenecks(
        learned.encoder, maps_from, lambda network: float(encoders.accuracy(network, *judge).mean()), CHANNELS
    )
    narrow_rows = [*encoder_rows, *costs.textbook()]
    frequency, gains = sampling.grating_gains()
    plate = sampling.zone_plate()
    parts += [
        figures.sampling(
            study,
            plate,
            sampling.halved(plate),
            frequency,
            gains,
            sampling.predicted_gains(frequency),
            stack_rows,
            encoder_rows,
        ),
        Table("features-pooling", "Four ways to halve a map of features", POOL_COLUMNS, pool_rows),
        Table(
            "features-stacks",
            f"Five stacks over 15 × 15 pixels, {costs.CHANNELS} channels, {costs.FRAME} × {costs.FRAME} pixels. Sees: "
            "by the formula; measured: where a gradient comes to; multiply-adds: by the formula, and as torch counts.",
            STACK_COLUMNS,
            stack_rows,
        ),
        Table(
            "features-bottleneck",
            f"The encoder's second layer behind a 1 × 1 convolution to fewer channels, and a textbook bottleneck on "
            f"{costs.WIDE} × {costs.WIDE} pixels. Accuracy on {len(judge[1])} patches, nothing learned anew.",
            NARROW_COLUMNS,
            narrow_rows,
        ),
        Table(
            "features-layers",
            f"The encoder's layers, for a patch of {encoders.PATCH} × {encoders.PATCH} pixels; shapes are batch × "
            "channels × rows × columns.",
            LAYER_COLUMNS,
            layer_rows(layer_table(learned.encoder, (1, 1, encoders.PATCH, encoders.PATCH))),
            marked="marked",
        ),
    ]

    next(steps)
    enlarged = upsampling.enlarge(study, picture)
    parts += [
        f"The layers that enlarge stand behind {enlarged.trained}. Each starts from random numbers, and is then "
        f"fitted to {upsampling.FITTED_ON} crops by {upsampling.FIT_STEPS} steps towards least squares, the features "
        "before it unchanged. All have equally many parameters; the first two are one operator in two forms.",
        back_figures.upsampling(study, enlarged, upsampling.KINDS, ZOOM, ZOOM_SIDE, upsampling.BORDER),
        Table("features-upsampling", "Three layers that enlarge, before and after the fit", UP_COLUMNS, enlarged.rows),
    ]

    next(steps)
    inner = tuple(slice(c, c + INNER_SIDE) for c in INNER)
    whole, frame = x[0, 0].double().numpy(), (inner[0], inner[1])
    alone, noisy = (
        inversion.filters_alone(learned.encoder, whole, frame, noise=n, rng=study.rng(4)) for n in (0.0, NOISE)
    )
    deeper = inversion.depths(learned.encoder, x[..., frame[0], frame[1]].contiguous(), study.seed)
    truth = x[0, 0][inner].numpy()
    back = back_rows([alone, noisy, *deeper], truth)
    parts += [
        *_projections(study, learned.encoder),
        back_figures.inversion(study, truth, [alone, *deeper]),
        Table(
            "features-back",
            "From the same features: transposed convolutions, and an inverse. The transpose is given the best gain, "
            "without which it misses by what the column after says.",
            BACK_COLUMNS,
            back,
        ),
    ]
    next(steps, None)
    return Chapter("features", TITLE, finding(learned, back, enlarged.rows, stack_rows, narrow_rows), parts)


def _introduction(learned: encoders.Learned) -> str:
    each = ", ".join(f"{name} {100 * share:.0f} %" for name, share in learned.by_texture.items())
    return (
        f"An encoder of three layers learned in {encoders.STEPS} steps to name the texture of a patch of "
        f"{encoders.PATCH} × {encoders.PATCH} pixels without its mean and contrast. On {encoders.TESTED} patches from "
        f"the parts of the photographs that were kept back it named {100 * learned.accuracy:.0f} % right; guessing "
        f"gives {100 / len(encoders.TEXTURES):.0f} %. By texture: {each}."
    )


def _filters(study: Study, learned: encoders.Learned, picture: Numbers, x: Any) -> Any:
    made = np.stack([encoders.derivative(angle) for angle in encoders.ANGLES]).astype(np.float32)
    like = encoders.matches(learned.filters)
    chosen = learned.filters[[i for i, _ in like]]
    return figures.filters(
        study,
        picture,
        encoders.ANGLES,
        (made, encoders.filtered(x, made)),
        (chosen, encoders.filtered(x, chosen)),
        [r for _, r in like],
        (learned.start, learned.filters),
        (encoders.directional_share(learned.start), encoders.directional_share(learned.filters)),
    )


def _maps(study: Study, learned: encoders.Learned, stage: Any, rows: Rows) -> Any:
    from torch.nn import functional

    chosen = [i for i, _ in encoders.matches(learned.filters)][:SHOWN]
    before, rectified = stage.filtered[0, chosen], stage.rectified[:, chosen]
    lost = sampling.rectification(before.numpy())
    pooled = {
        "maximum": functional.max_pool2d(rectified, BLOCK)[0].numpy(),
        "average": functional.avg_pool2d(rectified, BLOCK)[0].numpy(),
    }
    return figures.maps(study, learned.filters[chosen], before.numpy(), pooled, lost, rows, BLOCK)


def _projections(study: Study, encoder: Any) -> list[Any]:
    half = 2 * PROJECTED_SIDE
    pictures = {name: encoders.as_input(encoders.grey(name)[:half:2, :half:2]) for name in PROJECTED}
    found = {layer: inversion.strongest(encoder, pictures, layer) for layer in LAYERS}
    seen = {layer: receptive_field(encoder.path()[: 2 * layer + 2]).size[0] for layer in LAYERS}
    told = []
    for layer, features in found.items():
        all_of = [one for feature in features.values() for one in feature]
        like, answers = ([getattr(one, key) for one in all_of] for key in ("likeness", "answer"))
        told.append(
            f"layer {layer + 1}: correlation with the patch {np.mean(like):.2f} on average ({min(like):.2f} to "
            f"{max(like):.2f}); shown to the network, the projection gives {min(answers):.2g} to {max(answers):.2g} "
            "times the activation that it came from"
        )
    text = (
        "Single activations led back show what in the picture they hang on, which is what Zeiler and Fergus made them "
        f"for. They are not the patch: {'; '.join(told)}."
    ).replace(" -", " −")
    return [text, back_figures.projections(study, found, PROJECTED, seen)]
