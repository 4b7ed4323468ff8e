"""The packaged networks on pictures of one's own, by the protocols of the literature.

``python -m experiments.literature FILE...`` prints means over the files: PSNR of the luminance at ×2, ×3 and ×4 beside
bicubic interpolation; of grey pictures under white noise, the noise level told and estimated; and of grey pictures
under the eight camera shakes of Levin et al. (2009), whose kernels are told, with the network as the prior.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from .common import Column, data_folder

Numbers = np.ndarray[Any, Any]

PEAK = 255.0
KERNELS = "levin09_kernels.npz"
SCALES = (2, 3, 4)
SIGMAS = (15, 25, 50)
SHAKE_SIGMAS = (2.55, 7.65, 12.75)

UPSCALING = (
    Column("task", "task"),
    Column("files", "files", "", 0),
    Column("bicubic", "bicubic", "dB", 3),
    Column("network", "network", "dB", 3),
    Column("gain", "gain", "dB", 3),
    Column("seconds", "time a megapixel", "s", 2),
)
DEBLURRING = (
    Column("task", "task"),
    Column("files", "files", "", 0),
    Column("blurred", "blurred", "dB", 3),
    Column("collaborative", "collaborative filter as prior", "dB", 3),
    Column("network", "network as prior", "dB", 3),
    Column("seconds", "time a megapixel", "s", 0),
)
DENOISING = (
    Column("task", "task"),
    Column("files", "files", "", 0),
    Column("noisy", "noisy", "dB", 3),
    Column("told", "level told", "dB", 3),
    Column("blind", "level estimated", "dB", 3),
    Column("seconds", "time a megapixel", "s", 2),
)


def upscaled(images: Sequence[Numbers], scale: int, network: str) -> dict[str, Any]:
    """Mean PSNR of the luminance, 8 bits, without `scale` pixels along each edge."""
    from sigdeconv.transposed import bicubic, upscale

    plain, learned, seconds, samples = [], [], 0.0, 0
    for image in images:
        luma = bicubic.eight_bits(bicubic.luminance(image)) if image.ndim == 3 else image
        truth = bicubic.whole_multiple(luma, scale)
        small = bicubic.low_resolution(luma, scale).astype(np.float32)
        start = time.perf_counter()
        large = upscale(small, scale, network=network, data_range=PEAK)
        seconds += time.perf_counter() - start
        samples += small.size
        plain.append(bicubic.psnr_y(truth, bicubic.imresize(small, scale), scale=scale))
        learned.append(bicubic.psnr_y(truth, large, scale=scale))
    found = {"bicubic": float(np.mean(plain)), "network": float(np.mean(learned))}
    found["gain"] = found["network"] - found["bicubic"]
    return {"task": f"{network} ×{scale}", "files": len(images), **found, "seconds": 1e6 * seconds / samples}


def denoised(images: Sequence[Numbers], sigma: float) -> dict[str, Any]:
    """Mean PSNR of grey pictures of 8 bits; the noise is neither clipped nor rounded."""
    from sigdeconv import metrics
    from sigdeconv.transposed import denoise
    from sigdeconv.transposed.bicubic import eight_bits

    found: dict[str, list[float]] = {"noisy": [], "told": [], "blind": []}
    seconds, samples = 0.0, 0
    for index, image in enumerate(images):
        truth = _grey(image)
        noise = np.random.default_rng((index, int(sigma))).normal(0, sigma, truth.shape)
        noisy = (truth + noise).astype(np.float32)
        found["noisy"].append(metrics.psnr(truth, noisy, data_range=PEAK))
        for way, level in (("told", sigma), ("blind", None)):
            start = time.perf_counter()
            estimate = denoise(noisy, level, data_range=2 * PEAK)
            if way == "told":
                seconds += time.perf_counter() - start
                samples += truth.size
            found[way].append(metrics.psnr(truth, eight_bits(estimate), data_range=PEAK))
    means = {key: float(np.mean(values)) for key, values in found.items()}
    return {"task": f"noise, σ = {sigma:g}", "files": len(images), **means, "seconds": 1e6 * seconds / samples}


def deblurred(images: Sequence[Numbers], psfs: Sequence[Numbers], sigma: float) -> dict[str, Any]:
    """Mean PSNR over all pairs of a grey picture and a kernel, blurred as a periodic scene."""
    import sigdeconv
    from sigdeconv import metrics
    from sigdeconv.transposed import prior
    from sigdeconv.transposed.bicubic import eight_bits

    found: dict[str, list[float]] = {"blurred": [], "collaborative": [], "network": []}
    seconds, samples = 0.0, 0
    for index, image in enumerate(images):
        truth = _grey(image).astype(np.float32)
        for shake, psf in enumerate(psfs):
            blurred = sigdeconv.Convolution(psf, truth.shape, boundary="periodic").forward(truth)
            noise = np.random.default_rng((index, shake, int(100 * sigma))).normal(0, sigma, truth.shape)
            seen = (blurred + noise).astype(np.float32)
            found["blurred"].append(metrics.psnr(truth, seen, data_range=PEAK))
            for way, denoiser in (("collaborative", None), ("network", prior)):
                start = time.perf_counter()
                estimate = sigdeconv.plug_and_play(seen, psf, denoiser=denoiser, sigma=sigma, boundary="periodic")
                if way == "network":
                    seconds += time.perf_counter() - start
                    samples += truth.size
                found[way].append(metrics.psnr(truth, eight_bits(estimate), data_range=PEAK))
    means = {key: float(np.mean(values)) for key, values in found.items()}
    return {"task": f"shakes, σ = {sigma:g}", "files": len(images), **means, "seconds": 1e6 * seconds / samples}


def shakes(path: Path) -> list[Numbers]:
    """The kernels in a file of NumPy's, as float32."""
    with np.load(path) as file:
        return [file[name].astype(np.float32) for name in sorted(file.files) if file[name].ndim == 2]


def read(paths: Sequence[Path]) -> list[Numbers]:
    """The pictures, shape (y, x) or (y, x, 3), in grey levels of 255."""
    from sigdeconv import io
    from sigdeconv.transposed.training import as_bytes

    images = []
    for path in paths:
        pixels = as_bytes(io.read(path).data, path.name)
        if pixels.shape[-1] not in (1, 3):
            raise click.ClickException(f"{path} has {pixels.shape[-1]} channels; grey or coloured pictures are wanted")
        images.append((pixels[..., 0] if pixels.shape[-1] == 1 else pixels).astype(np.float32))
    return images


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--network", "networks", multiple=True, type=click.Choice(("fast", "strong")), help="Default: both.")
@click.option("--scale", "scales", multiple=True, type=click.IntRange(2, 4), help="Default: 2, 3 and 4.")
@click.option(
    "--sigma",
    "sigmas",
    multiple=True,
    type=click.FloatRange(min=0),
    help="Default: 15, 25 and 50, or 2.55, 7.65 and 12.75 after blur.",
)
@click.option("--only", type=click.Choice(("upscaling", "denoising", "deblurring")), help="One of the three.")
@click.option(
    "--kernels",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An .npz file of blur kernels, for deblurring; by default levin09_kernels.npz in the folder of the real data.",
)
def main(
    files: tuple[Path, ...],
    networks: tuple[str, ...],
    scales: tuple[int, ...],
    sigmas: tuple[float, ...],
    only: str | None,
    kernels: Path | None,
) -> None:
    """Measure the packaged networks on pictures, by the protocols of the literature."""
    images = read(files)
    if only in (None, "upscaling"):
        _print_heading(UPSCALING)
        for network in networks or ("fast", "strong"):
            for scale in scales or SCALES:
                _print(UPSCALING, upscaled(images, scale, network))
    if only in (None, "denoising"):
        _print_heading(DENOISING)
        for sigma in sigmas or SIGMAS:
            _print(DENOISING, denoised(images, sigma))
    if only in (None, "deblurring"):
        psfs = shakes(kernels or _kernels())
        _print_heading(DEBLURRING)
        for sigma in sigmas or SHAKE_SIGMAS:
            _print(DEBLURRING, deblurred(images, psfs, sigma))


def _kernels() -> Path:
    folder = data_folder()
    if folder is None or not (folder / KERNELS).is_file():
        raise click.ClickException(f"no folder of real data has {KERNELS}; pass --kernels FILE, or --only upscaling")
    return folder / KERNELS


def _grey(image: Numbers) -> Numbers:
    from sigdeconv.transposed.bicubic import eight_bits

    grey = image if image.ndim == 2 else image @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray(eight_bits(grey))


def _print_heading(columns: Sequence[Column]) -> None:
    click.echo("| " + " | ".join(column.heading for column in columns) + " |")
    click.echo("|" + "---|" * len(columns))


def _print(columns: Sequence[Column], row: Mapping[str, Any]) -> None:
    click.echo("| " + " | ".join(column.text(row[column.key]) for column in columns) + " |")


if __name__ == "__main__":
    main(prog_name="python -m experiments.literature")
