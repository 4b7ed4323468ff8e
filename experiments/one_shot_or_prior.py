"""The same network, used twice: once as the inverse itself, and once as the prior inside a true inverse.

The network is the packaged denoiser, an encoder of strided and a decoder of transposed convolutions. As "one shot" it
learns on from there to make sharp photographs of blurred ones, under one blur and one level of noise: the blur is in
its weights. As the prior it stays what it is and knows of no blur; the blur is in the data step of `plug_and_play`,
which is told it. So one of them has to learn again for every blur and the other has not, and a blur that is not as it
was learned or told hurts them in different ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import sigdeconv
from sigdeconv import metrics, simulate

from . import one_shot_or_prior_figures as figures
from . import training_runs
from .common import Chapter, Column, Study, Table, learning, mean, signed

if TYPE_CHECKING:
    import torch

TITLE = "One shot, or prior: where a network keeps the blur"

Numbers = np.ndarray[Any, Any]
Rows = list[dict[str, Any]]

PEAK = 255.0
SIGMA = 2.55  # grey levels: the noise under which the network learns, 1 % of white
WIDTH, WIDTHS = 1.6, (0.8, 1.2, 1.6, 2.0, 2.4)  # pixels: Gaussian blur that it learns, and those that it meets
NOISES = (0.5, 1.0, 2.55, 5.0, 10.0)
STEPS, BATCH, PATCH, FRAME = (80, 1500), 4, 80, 8  # FRAME: pixels at a patch's edge where its blur is made up
RATE = 5e-4
SIDE, MIRRORED = 96, 16
#: Photographs that nothing was learned from, and corners of their crops, at half the resolution and so without noise.
SCENES = {"camera": (30, 80), "astronaut": (0, 60), "coffee": (60, 90)}
PSFS = {
    "Gaussian, 1.6 px (learned)": sigdeconv.psf.gaussian((13, 13), WIDTH),
    "disk, radius 2.5 px": sigdeconv.psf.disk(2.5),
    "motion, 9 px at 30°": sigdeconv.psf.motion(9, 30.0),
    "camera shake, 15 px": sigdeconv.psf.shake(15, rng=3),
}
METHODS = {"wiener": "Wiener (nothing learned)", "shot": "the network, one shot", "prior": "the same network as prior"}


class Blurred(NamedTuple):
    """What a method gets, and what it should give."""

    truth: Numbers
    image: Numbers
    sigma: float


def scenes(names: Sequence[str]) -> list[Numbers]:
    """Crops in grey levels, shape (y, x)."""
    from skimage import color, data

    from sigdeconv.transposed import bicubic

    found = []
    for name in names:
        image = np.asarray(getattr(data, name)())
        grey = image if image.ndim == 2 else PEAK * color.rgb2gray(image)
        half = np.clip(np.asarray(bicubic.imresize(grey.astype(np.float32), 0.5)), 0, PEAK)
        top, left = SCENES[name]
        found.append(half[top : top + SIDE + 24, left : left + SIDE + 24])  # more than is seen: the scene goes on
    return found


def observe(scene: Numbers, psf: Numbers, sigma: float, rng: np.random.Generator) -> Blurred:
    """A frame of the scene, blurred, with noise."""
    truth, blurred = simulate.through_frame(scene, psf)
    centre = tuple(slice((n - SIDE) // 2, (n - SIDE) // 2 + SIDE) for n in truth.shape)
    truth, blurred = truth[centre], blurred[centre]
    return Blurred(truth, (blurred + rng.normal(0, sigma, truth.shape)).astype(np.float32), sigma)


def blurring(psf: Numbers) -> Any:
    """What training does to its patches: this blur, with the noise of the experiment."""
    import torch

    size = PATCH
    otf = torch.as_tensor(np.asarray(sigdeconv.psf_to_otf(psf, (size, size))), dtype=torch.complex64)

    def degrade(patches: torch.Tensor, generator: torch.Generator) -> Any:
        from sigdeconv.transposed._patches import to_grey

        clean = to_grey(patches)
        noise = torch.randn(clean.shape, generator=generator) * (SIGMA / PEAK)
        blurred = torch.fft.irfft2(torch.fft.rfft2(clean) * otf, s=(size, size)) + noise
        return (blurred, torch.full((len(clean),), SIGMA / PEAK)), clean

    return degrade


def one_shot(study: Study, steps: int) -> Any:
    """The packaged denoiser, trained on to undo the one blur; a function of an image and a noise level."""
    import torch

    from sigdeconv.transposed import models, training, weights

    model = models.Denoiser(1, bounded=False)
    weights.load("denoise_grey", model)
    pictures = training_runs.gather()
    batches = training.Batches(
        training.Photographs(pictures.learned, scales=(0.5,)),
        blurring(PSFS["Gaussian, 1.6 px (learned)"]),
        size=PATCH,
        count=BATCH,
        seed=study.seed,
    )
    plan = training.Plan(steps, rate=RATE, warm_up=steps // 10, border=FRAME, averaging=0.95, seed=study.seed)
    training.train(model, batches, plan, loss=training.charbonnier, device="cpu")

    def restore(image: Numbers, sigma: float) -> Numbers:
        wide = np.pad(image / PEAK, MIRRORED, mode="reflect")  # it has learned nothing of frames
        with torch.no_grad():
            out = model(torch.as_tensor(wide, dtype=torch.float32)[None, None], sigma / PEAK)
        return PEAK * np.asarray(out[0, 0, MIRRORED:-MIRRORED, MIRRORED:-MIRRORED])

    return restore


def prior_inside(image: Numbers, psf: Numbers, sigma: float) -> Numbers:
    """The denoiser as it is, inside the inverse of a blur that is told."""
    from sigdeconv.transposed import prior

    return np.asarray(sigdeconv.plug_and_play(image, psf, denoiser=prior, sigma=sigma))


def gains(seen: Blurred, told: Numbers, shot: Any) -> tuple[dict[str, float], dict[str, Numbers]]:
    """By how many dB each estimate is nearer than the blurred image; `told` is the PSF that the inverses are given."""
    estimates = {
        "wiener": np.asarray(sigdeconv.wiener(seen.image, told)),
        "shot": shot(seen.image, seen.sigma),
        "prior": prior_inside(seen.image, told, seen.sigma),
    }
    return {key: metrics.isnr(seen.truth, seen.image, x) for key, x in estimates.items()}, estimates


def compare(study: Study, shot: Any, names: Sequence[str]) -> tuple[Rows, Rows, Rows, dict[str, Any]]:
    """Over blurs, over noise, and over widths that are not the one that was learned or told."""
    pictures = scenes(names)
    learned = next(iter(PSFS.values()))
    shown: dict[str, Any] = {}

    def averaged(psf: Numbers, told: Numbers, sigma: float, index: int, keep: str = "") -> dict[str, float]:
        found = []
        for place, scene in enumerate(pictures):
            seen = observe(scene, psf, sigma, study.rng(index, place))
            gained, estimates = gains(seen, told, shot)
            found.append(gained)
            if keep and not place:
                shown[keep] = (seen, gained, estimates)
        return {key: mean(one[key] for one in found) for key in METHODS}

    blurs = [
        {"blur": name, **averaged(psf, psf, SIGMA, i, name)}
        for i, (name, psf) in enumerate(study.track(PSFS.items(), "blurs"))
    ]
    noises = [
        {"noise": s, **(averaged(learned, learned, s, 10 + i) if s != SIGMA else {k: blurs[0][k] for k in METHODS})}
        for i, s in enumerate(study.track(NOISES, "noise levels"))
    ]
    widths = []
    for i, width in enumerate(study.track(WIDTHS, "widths")):
        psf = sigdeconv.psf.gaussian((13, 13), width)
        if width == WIDTH:
            right = wrong = {key: blurs[0][key] for key in METHODS}
        else:
            wrong = averaged(psf, learned, SIGMA, 20 + i)
            right = averaged(psf, psf, SIGMA, 20 + i)
        widths.append({"width": width, **wrong, "right": right["prior"]})
    return blurs, noises, widths, shown


def run(study: Study) -> Chapter:
    """Train the one-shot network, then let both uses meet blurs, noise and wrong kernels."""
    with learning():
        return _run(study)


def _run(study: Study) -> Chapter:
    steps = study.pick(*STEPS)
    names = study.pick([*SCENES][:1], [*SCENES])
    shot = one_shot(study, steps)
    blurs, noises, widths, shown = compare(study, shot, names)
    chapter = Chapter("one_shot_or_prior", TITLE, finding=finding(blurs, widths))
    columns = [Column(key, label, "dB", 1) for key, label in METHODS.items()]
    chapter.parts = [
        f"The one-shot network has learned for {steps} steps, from the packaged denoiser on, under a Gaussian blur of "
        f"{WIDTH} px and noise of {SIGMA} grey levels. All gains are over the blurred image, in means over "
        f"{len(names)} photograph{'s' * (len(names) > 1)} that nothing was learned from. Every method is told the "
        "noise.",
        figures.pictures(study, shown, METHODS),
        figures.curves(study, noises, widths, METHODS, learned=(SIGMA, WIDTH)),
        Table(
            "one_shot_or_prior-blurs",
            "Gain under blurs; the inverses are told each.",
            [Column("blur", "blur"), *columns],
            blurs,
        ),
        Table(
            "one_shot_or_prior-noise",
            "Gain under the learned blur, over noise.",
            [Column("noise", "noise σ", "grey levels", 2), *columns],
            noises,
        ),
        Table(
            "one_shot_or_prior-widths",
            f"Gain where the blur is not as learned or told ({WIDTH} px), and with the prior where the width is told.",
            [
                Column("width", "true width", "px", 1),
                *columns,
                Column("right", "as prior, told the true width", "dB", 1),
            ],
            widths,
        ),
    ]
    return chapter


def finding(blurs: Rows, widths: Rows) -> str:
    """Sentences from the tables."""
    own, others = blurs[0], blurs[1:]
    shot, prior = (mean(row[key] for row in others) for key in ("shot", "prior"))
    lead = own["prior"] - own["shot"]
    ahead = "behind" if lead > 0 else "ahead of"
    lost = [row for row in others if row["shot"] < 0]
    worst = min(widths, key=lambda row: row["prior"])
    return (
        f"Under the blur that it has learned the one-shot network gains {signed(own['shot'])} dB, {abs(lead):.1f} dB "
        f"{ahead} the same network as the prior of an inverse ({signed(own['prior'])}); under {len(others)} blurs that "
        f"it has not learned it gains {signed(shot)} dB where the prior, told the blur, gains {signed(prior)}"
        f"{f', and harms {len(lost)} of them' if lost else ''}. A wrong kernel hurts both: where {worst['width']} "
        "px are "
        f"true and {WIDTH} px learned or told, one shot changes the image by {signed(worst['shot'])} dB and the "
        "inverse by "
        f"{signed(worst['prior'])}; but to be told the true width is all that the inverse needs "
        f"({signed(worst['right'])})."
    )
