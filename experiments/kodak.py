"""Colour photographs under measured shakes: PSNR of every method, none of which is given a parameter.

``python -m experiments.kodak`` restores the middle of Kodak's 24 photographs under the eight camera shakes of Levin et
al. (2009), each photograph under one of them (``--every-pair``: under all), at three levels of noise. Light from past
the frame falls into the image, as in every photograph. It takes hours for all pairs, so that every result is written as
it comes, and a run that was interrupted goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

import sigdeconv
from sigdeconv import io, metrics, simulate

from .common import SkippedError, Study, data_folder

Numbers = np.ndarray[Any, Any]

PEAK = 255.0
SIGMAS = (2.55, 7.65, 12.75)  # grey levels: 1, 3 and 5 %
PHOTOGRAPHS, SHAKES = 24, 8
LIGHT = (0.0, PEAK)  # what grey levels lie between, for the methods that take bounds


def _prior(image: Numbers, sigma: float) -> Numbers:
    """The packaged denoiser; torch is loaded when it is first asked for."""
    from sigdeconv.transposed import prior

    return np.asarray(prior(image, sigma))


METHODS: dict[str, Callable[[Numbers, Numbers], Numbers]] = {
    "blurred": lambda y, h: y,
    "wiener": lambda y, h: sigdeconv.wiener(y, h, channel_axis=-1),
    "unsupervised_wiener": lambda y, h: sigdeconv.unsupervised_wiener(y, h, rng=0, channel_axis=-1).image,
    "tikhonov": lambda y, h: sigdeconv.tikhonov(y, h, channel_axis=-1),
    "landweber": lambda y, h: sigdeconv.landweber(y, h, num_iter=None, bounds=LIGHT, channel_axis=-1),
    "wavelet_sparse": lambda y, h: sigdeconv.wavelet_sparse(y, h, bounds=LIGHT, channel_axis=-1),
    "hessian_schatten": lambda y, h: sigdeconv.hessian_schatten(y, h, bounds=LIGHT, channel_axis=-1),
    "total_variation": lambda y, h: sigdeconv.total_variation(y, h, bounds=LIGHT, channel_axis=-1),
    "hyper_laplacian": lambda y, h: sigdeconv.hyper_laplacian(y, h, bounds=LIGHT, channel_axis=-1),
    "plug_and_play": lambda y, h: sigdeconv.plug_and_play(y, h, channel_axis=-1),
    "plug_and_play_learned": lambda y, h: sigdeconv.plug_and_play(y, h, denoiser=_prior, channel_axis=-1),
}


def cases(every_pair: bool) -> Iterator[tuple[int, int, float]]:
    """Photograph, shake, noise; the shakes take turns unless every pair is asked for."""
    for sigma in SIGMAS:
        for photograph in range(1, PHOTOGRAPHS + 1):
            for shake in range(1, SHAKES + 1) if every_pair else [1 + (photograph - 1) % SHAKES]:
                yield photograph, shake, sigma


def observe(study: Study, photograph: int, shake: int, sigma: float, side: int) -> tuple[Numbers, Numbers, Numbers]:
    """Truth and image, shape (side, side, 3), and the PSF."""
    picture = io.read(study.file(f"kodak24/kodim{photograph:02d}.png")).data.astype(np.float32)
    psf = np.load(study.file("levin09_kernels.npz"))[f"kernel{shake}"].astype(np.float32)
    room = [min(side, n - k + 1) + k - 1 for n, k in zip(picture.shape, psf.shape, strict=False)]
    middle = tuple(slice((n - r) // 2, (n - r) // 2 + r) for n, r in zip(picture.shape, room, strict=False))
    exposure = simulate.through_frame(np.moveaxis(picture[middle], -1, 0), psf)
    truth, blurred = (np.ascontiguousarray(np.moveaxis(x, 0, -1)) for x in exposure)
    rng = study.rng(photograph, shake, round(100 * sigma))
    return truth, simulate.gaussian_noise(blurred, sigma=sigma, rng=rng), psf


def measure(study: Study, case: tuple[int, int, float], side: int, methods: Sequence[str]) -> dict[str, Any]:
    """PSNR and seconds of each method, the result clipped to grey levels as a file would hold it."""
    truth, image, psf = observe(study, *case, side)
    row: dict[str, Any] = {"photograph": case[0], "shake": case[1], "sigma": case[2], "side": side}
    for name in methods:
        start = time.perf_counter()
        restored = METHODS[name](image, psf).clip(0, PEAK)
        row[f"{name} [s]"] = time.perf_counter() - start
        row[name] = metrics.psnr(truth, restored, data_range=PEAK)
    return row


def table(rows: Sequence[Mapping[str, Any]], methods: Sequence[str]) -> str:
    """Mean PSNR at each noise level, in Markdown."""
    lines = [
        "| method | " + " | ".join(f"σ = {s:g}" for s in SIGMAS) + " | time [s] |",
        "|---" * (len(SIGMAS) + 2) + "|",
    ]
    for name in methods:
        means = []
        for sigma in SIGMAS:
            mine = [row[name] for row in rows if row["sigma"] == sigma]
            means.append(f"{np.mean(mine):.2f}" if mine else "–")
        seconds = np.median([row[f"{name} [s]"] for row in rows])
        lines.append(f"| {name} | {' | '.join(means)} | {seconds:.2f} |")
    return "\n".join([*lines, f"\nMean PSNR in dB over {len(rows)} images; median time."])


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/kodak.jsonl"), show_default=True)
@click.option("--side", type=click.IntRange(min=64), default=256, show_default=True, help="Of the frame, in pixels.")
@click.option("--every-pair", is_flag=True, help="Every photograph under every shake: 576 images instead of 72.")
@click.option("--method", "methods", multiple=True, type=click.Choice([*METHODS]), help="Only this; may be repeated.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Folder of the real data.")
def main(out: Path, side: int, every_pair: bool, methods: tuple[str, ...], data: Path | None) -> None:
    """Colour photographs under measured shakes: PSNR of every method."""
    methods = methods or tuple(METHODS)
    study = Study(out=out.parent, data=data or data_folder())
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    done = {(row["photograph"], row["shake"], row["sigma"], row["side"]) for row in rows if set(methods) <= row.keys()}
    left = [case for case in cases(every_pair) if (*case, side) not in done]
    with out.open("a") as file:
        for case in study.track(left, "kodak"):
            try:
                rows.append(measure(study, case, side, methods))
            except SkippedError as reason:
                raise click.ClickException(str(reason)) from None
            print(json.dumps(rows[-1]), file=file, flush=True)
    click.echo(table([row for row in rows if row["side"] == side and set(methods) <= row.keys()], methods))


if __name__ == "__main__":
    main(prog_name="python -m experiments.kodak")
