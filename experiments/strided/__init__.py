"""Every second sample of a blurred photograph: what each way back gives, and what no way back can know.

A blur with a stride keeps fewer numbers than the scene had. Its transpose puts the samples on a grid of zeros and
convolves with the kernel turned around. An inverse does better; and there is a part of the scene, the null space, that
leaves no trace in the samples at all. What appears there can only come from what is known of scenes beforehand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import sigdeconv
from sigdeconv import Convolution, metrics

from ..common import Chapter, Column, Study, Table, learning, mean, signed
from ..super_resolution_shrinking import bicubic_kernel
from ..transpose_to_wiener import fits
from . import figures, layer
from .inverses import STRIDE, Case, Numbers, best_gain, linear_estimate, pseudo_inverse, split

TITLE = "Every second sample: the transpose, the inverses, and what is lost for good"

PEAK = 255.0  # grey levels
SIGMA = 2.0  # grey levels of noise
#: The shrinkings, by their kernels on one axis. Both have their middle between two samples, where networks expect it.
BLURS = {
    "lens": np.exp(-0.5 * ((np.arange(8) - 3.5) / 1.2) ** 2),
    "bicubic": bicubic_kernel(STRIDE),
}
LABELS = {"lens": "a lens (Gaussian, 1.2 px)", "bicubic": "antialiased bicubic"}
METHODS = {
    "raw": "transpose Aᴴy as it is",
    "gain": "transpose with the best gain",
    "pseudo": "pseudo-inverse A⁺y",
    "linear": "linear estimate of least error (LMMSE)",
    "closed": "one layer of stride 2, closed form",
    "trained": "one layer of stride 2, trained by torch",
    "tv": "total variation",
    "edges": "few edges (hyper-Laplacian)",
    "network": "packaged network, fast",
    "plug": "plug and play, learned denoiser",
}
PRIORS = ("tv", "edges", "network", "plug")

COLUMNS = (
    Column("blur", "shrunk by"),
    Column("method", "method"),
    Column("psnr", "PSNR", "dB", 2),
    Column("range", "error that the samples could tell", "grey levels", 2),
    Column("null", "error in the null space", "grey levels", 2),
    Column("won", "won in the null space", "dB", 2),
    Column("seconds", "time", "s", 2),
)


def operator(name: str, side: int) -> Convolution:
    """Blur, then every second sample on both axes; the scene repeats past its frame."""
    taps = BLURS[name] / BLURS[name].sum()
    return Convolution(np.outer(taps, taps), (side // STRIDE,) * 2, stride=STRIDE, boundary="periodic")


def observe(name: str, pictures: Sequence[str], side: int, sigma: float, rng: np.random.Generator) -> Case:
    scenes = fits.photographs(pictures, side)
    blur = operator(name, side)
    clean = blur.forward(scenes)
    return Case(blur, scenes, clean + sigma * rng.standard_normal(clean.shape))


def restorers(study: Study, name: str, learned: Case, sigma: float) -> dict[str, Callable[[Case], Numbers]]:
    """Every method, ready to restore; those that learn have learned."""
    from sigdeconv.transposed import prior, upscale

    power = fits.spectrum(learned.scenes)
    closed = layer.closed_kernel(learned)
    trained = layer.trained_kernel(learned, study.pick(200, 3000), study.rng(3))

    def network(case: Case) -> Numbers:
        return np.asarray(upscale(case.images, STRIDE, network="fast", data_range=PEAK))

    def plug(case: Case) -> Numbers:
        found = [sigdeconv.plug_and_play(y, case.blur, denoiser=prior, sigma=sigma) for y in case.images]
        return np.asarray(found)

    def transposed(case: Case) -> Numbers:
        return np.asarray(case.blur.adjoint(case.images))

    methods: dict[str, Callable[[Case], Numbers]] = {
        "raw": transposed,
        "gain": lambda case: best_gain(transposed(case), case.scenes),
        "pseudo": lambda case: pseudo_inverse(case.blur, case.images),
        "linear": lambda case: linear_estimate(case.blur, case.images, power, sigma**2),
        "closed": lambda case: layer.enlarged(closed, case.images),
        "trained": lambda case: layer.enlarged(trained, case.images),
        "tv": lambda case: np.asarray(sigdeconv.total_variation(case.images, case.blur, sigma=sigma)),
        "edges": lambda case: np.asarray(sigdeconv.hyper_laplacian(case.images, case.blur, sigma=sigma)),
        "network": network,
    }
    return methods | ({"plug": plug} if study.full else {})


def errors(case: Case, estimate: Numbers) -> dict[str, float]:
    """PSNR, and the error in its two parts; all are means over the pictures."""
    values: dict[str, list[float]] = {"psnr": [], "range": [], "null": [], "won": []}
    for scene, found in zip(case.scenes, estimate, strict=True):
        error, truth = split(case.blur, found - scene), split(case.blur, scene)
        sides = [float(np.sqrt(np.mean(part**2))) for part in error]
        lost = float(np.sqrt(np.mean(truth.null**2)))
        values["psnr"].append(metrics.psnr(scene, found, data_range=PEAK))
        values["range"].append(sides[0])
        values["null"].append(sides[1])
        values["won"].append(round(20 * float(np.log10(lost / sides[1])), 9) + 0.0)  # no minus before a zero
    return {key: mean(found) for key, found in values.items()}


def lost_share(case: Case) -> float:
    """Of the energy of the scenes without their means, what leaves no trace in the samples."""
    off = case.scenes - case.scenes.mean(axis=(-2, -1), keepdims=True)
    return float(np.sum(split(case.blur, off).null ** 2) / np.sum(off**2))


def compare(
    study: Study, name: str, sigma: float = SIGMA, *, leave_out: Sequence[str] = ()
) -> tuple[Case, dict[str, Numbers], list[dict[str, Any]]]:
    """One shrinking: the tested case, the estimates, and a row a method."""
    learned = observe(name, fits.LEARNED_FROM, study.size, sigma, study.rng(0))
    case = observe(name, fits.TESTED_ON, study.size, sigma, study.rng(1))
    estimates: dict[str, Numbers] = {}
    rows: list[dict[str, Any]] = []
    for key, restore in restorers(study, name, learned, sigma).items():
        if key in leave_out:
            continue
        began = time.process_time()
        estimates[key] = restore(case)
        seconds = time.process_time() - began
        row = {"blur": LABELS[name], "name": name, "key": key, "method": METHODS[key], "seconds": seconds}
        rows.append(row | errors(case, estimates[key]))
    best = max(float(row["psnr"]) for row in rows)
    return case, estimates, [row | {"marked": row["psnr"] == best} for row in rows]


def finding(rows: Sequence[Mapping[str, Any]], share: float, taps: int) -> str:
    """Sentences from the table of the first shrinking; who is praised is for the numbers to say."""
    psnr = {row["key"]: row["psnr"] for row in rows}
    won = {row["key"]: row["won"] for row in rows}
    best = max((key for key in psnr if key in PRIORS), key=lambda key: won[key])
    linear = max(won["linear"], won["closed"], won["trained"])
    return (
        f"From every second sample the raw transpose gives {psnr['raw']:.1f} dB PSNR, with the best gain "
        f"{psnr['gain']:.1f} dB, the pseudo-inverse {psnr['pseudo']:.1f} dB and the linear estimate of least error "
        f"{psnr['linear']:.1f} dB; a trained layer of {taps} × {taps} taps ({psnr['closed']:.1f} dB in closed form) "
        f"{'comes close to the last' if abs(psnr['closed'] - psnr['linear']) < 0.5 else 'differs from the last'}. "
        f"{100 * share:.1f} % of the scene's energy leaves no trace in the samples. By so much less of that was "
        f"missing: transpose and pseudo-inverse {signed(round(won['pseudo'], 1) + 0.0)} dB, the best linear method "
        f"{signed(linear)} dB, the best prior ({METHODS[best]}) {signed(won[best])} dB."
    )


def run(study: Study) -> Chapter:
    """Both shrinkings."""
    with learning():
        return _run(study)


def _run(study: Study) -> Chapter:
    cases: dict[str, tuple[Case, dict[str, Numbers], list[dict[str, Any]]]] = {}
    for name in study.track(list(BLURS), "every second sample"):
        cases[name] = compare(study, name)
    case, estimates, first = cases["lens"]
    share = {name: lost_share(found[0]) for name, found in cases.items()}
    kept = ", ".join(f"{LABELS[name]}: {100 * value:.2f} %" for name, value in share.items())
    return Chapter(
        "strided",
        TITLE,
        finding(first, share["lens"], layer.TAPS),
        [
            f"Three photographs, shrunk to half by a blur and a stride of {STRIDE}, with noise of {SIGMA:g} grey "
            "levels. A keeps one number of four. The transpose Aᴴ puts each sample on a grid of zeros and convolves "
            "with the kernel turned around: the shape comes back, a quarter as bright, and blurred twice.",
            figures.transposed(study, case),
            "Any scene has two parts at right angles: A⁺A x, which the samples tell, and x − A⁺A x, which A maps to "
            f"zero. No method can know the second part from the samples; of the energy of these scenes it is: {kept}. "
            "An error splits into the same two parts. Transpose and pseudo-inverse leave the null space empty. Linear "
            "methods know how strong each frequency is in photographs on average, not where its waves lie; the priors "
            "look at the picture. The packaged network was trained on the bicubic kernel without noise, and is "
            "told of no blur.",
            figures.pictures(study, case, estimates),
            figures.lost(study, case, estimates, share["lens"]),
            figures.errors(study, {LABELS[name]: found[2] for name, found in cases.items()}),
            Table(
                "strided",
                "Root mean squares over each of three photographs, averaged. Won: by how much less is missing in the "
                "null space than with the pseudo-inverse. Bold: the highest PSNR of each shrinking.",
                COLUMNS,
                [row for found in cases.values() for row in found[2]],
                marked="marked",
            ),
        ],
    )
