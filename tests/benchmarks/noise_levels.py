"""How well the level of the noise is told from one image: Gaussian noise on photographs, photon counts on all scenes.

A photograph has noise of its own, of the film, the camera and its eight bits: about 1 of 255. It is part of what is
found, so that for sharp ones a column says what is left once the level of the photograph itself is taken off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import sigdeconv
from sigdeconv.deconvolution.noise import estimate_noise

from .common import Row, seconds

LEVELS = (1, 2, 5, 10, 20, 30)
KODAK = (1, 3, 5, 7, 8, 13, 15, 19, 20, 23)
LIGHT = ((0.2, 20, 0.0), (0.2, 200, 5.0), (1.0, 100, 0.0), (1.0, 1000, 2.0), (5.0, 50, 3.0), (5.0, 3000, 5.0))


def photographs() -> dict[str, np.ndarray]:
    """Green or grey photographs between 0 and 255: those of scikit-image, and of Kodak's where they are at hand."""
    from skimage import data, io

    found = {name: getattr(data, name)() for name in ("camera", "moon", "coins", "brick", "grass", "gravel")}
    found |= {name: getattr(data, name)()[..., 1] for name in ("astronaut", "chelsea", "coffee", "rocket")}
    folders = [os.environ.get("SIGDECONV_DATA"), Path(__file__).parents[3] / "shared" / "data"]
    for folder in (Path(name) / "kodak24" for name in folders if name):
        for number in KODAK:
            file = folder / f"kodim{number:02d}.png"
            if file.exists():
                found[file.stem] = io.imread(file)[..., 1]
        if folder.exists():
            break
    return {name: image[-512:, :512].astype(float) for name, image in found.items()}


def blurs() -> dict[str, np.ndarray]:
    """From a slight blur to a strong one."""
    return {
        "Gaussian 0.7": sigdeconv.psf.gaussian((7, 7), 0.7),
        "Gaussian 1.5": sigdeconv.psf.gaussian((13, 13), 1.5),
        "disk 3": sigdeconv.psf.disk(3.0),
        "motion 12": sigdeconv.psf.motion(12.0, 0.5),
    }


def rows() -> Iterator[Row]:
    """Errors in per cent: mean and worst over the images."""
    yield from _gaussian()
    yield from _photons()
    image = np.random.default_rng(0).normal(100.0, 5.0, (512, 512))
    for model in ("gaussian", "poisson-gaussian"):
        time = min(seconds(lambda model=model: estimate_noise(image, model=model)) for _ in range(3))  # type: ignore[misc]
        yield Row(f"estimate_noise, {model}, 512 x 512", f"{time:.2f} s", "< 1 s", time < 1)


def _gaussian() -> Iterator[Row]:
    images = photographs()
    own = {name: estimate_noise(image).sigma for name, image in images.items()}
    plain, corrected = _errors(images, None), _errors(images, None, own)
    for level in LEVELS:
        found = list(plain[level].values())
        yield Row(f"sigma {level}, {len(images)} sharp photographs", _shown(plain[level]), "<= 5 %", max(found) <= 0.05)
        yield Row(f"sigma {level}, the same, their own level taken off", _shown(corrected[level]))
    for name, psf in blurs().items():
        blurred = {key: sigdeconv.simulate.through_frame(image, psf).blurred for key, image in images.items()}
        for known in (None, psf):
            errors = _errors(blurred, known)
            for level in LEVELS:
                what = f"sigma {level}, blurred by {name}, psf {'not ' if known is None else ''}given"
                yield Row(what, _shown(errors[level]), "<= 5 %", max(errors[level].values()) <= 0.05)


def _errors(
    images: dict[str, np.ndarray], psf: np.ndarray | None, own: dict[str, float] | None = None
) -> dict[int, dict[str, float]]:
    errors: dict[int, dict[str, float]] = {level: {} for level in LEVELS}
    for number, (name, image) in enumerate(images.items()):
        for level in LEVELS:
            noise = np.random.default_rng((number, level)).normal(0, level, image.shape)
            found = estimate_noise(image + noise, psf=psf).sigma
            if own is not None:
                found = max(found**2 - own[name] ** 2, 0.0) ** 0.5
            errors[level][name] = abs(found / level - 1)
    return errors


def scenes() -> dict[str, np.ndarray]:
    """Photographs, and what microscopes and telescopes see; sharp, peak 1."""
    from skimage import data

    rng = np.random.default_rng(0)
    nuclei = np.zeros((400, 400))
    y, x = np.mgrid[:400, :400]
    for row, column, size in zip(*rng.uniform(0, 400, (2, 40)), rng.uniform(6, 14, 40), strict=True):
        away = np.hypot(y - row, x - column)
        nuclei = np.maximum(nuclei, rng.uniform(0.2, 1) * np.clip((size - away) / 2, 0, 1))
    spheres = sigdeconv.simulate.hollow_spheres((32, 96, 96), num=20, radius=7.0, rng=0)
    stars = sigdeconv.simulate.stars((400, 400), num=400, rng=0)
    photos = {name: image[:400, :400] / 255.0 for name, image in photographs().items() if name not in ("moon", "cell")}
    cell = data.cell()[:400, :400] / 255.0
    return photos | {"cell": cell, "nuclei": nuclei + 0.05, "spheres": spheres + 0.05, "stars": stars + 0.01}


def _photons() -> Iterator[Row]:
    exposures: dict[bool, dict[str, np.ndarray]] = {True: {}, False: {}}
    for name, scene in scenes().items():
        psf = sigdeconv.psf.gaussian((11,) * scene.ndim, 1.5)
        exposure = sigdeconv.simulate.through_frame(scene, psf)
        exposures[True][name] = np.maximum(exposure.blurred, 0) / exposure.blurred.max()
        exposures[False][name] = exposure.truth / exposure.truth.max()
    for blurred, images in exposures.items():
        for gain, photons, read_noise in LIGHT:
            errors, electrons, total = {}, {}, {}
            for number, (name, image) in enumerate(images.items()):
                rng = np.random.default_rng((number, photons))
                counts = rng.poisson(photons * image) + rng.normal(0, read_noise, image.shape)
                found = estimate_noise(gain * counts, model="poisson-gaussian", ndim=image.ndim)
                errors[name] = abs(found.gain / gain - 1)
                electrons[name] = abs(found.read_noise / gain - read_noise)
                total[name] = abs(found.sigma / gain / np.sqrt(photons * image.mean() + read_noise**2) - 1)
            what = f"gain {gain}, {photons} photons, read noise {read_noise:g}, {'blurred' if blurred else 'sharp'}"
            yield Row(f"{what}: gain", _shown(errors), "<= 10 %", max(errors.values()) <= 0.1)
            yield Row(f"{what}: sigma", _shown(total))
            worst = max(electrons, key=lambda name: electrons[name])
            mean = np.mean(list(electrons.values()))
            yield Row(f"{what}: read noise off by", f"{mean:.2f}, worst {electrons[worst]:.2f} electrons ({worst})")


def _shown(errors: dict[str, float]) -> str:
    worst = sorted(errors, key=lambda name: -errors[name])[:3]
    within = np.mean([error <= 0.05 for error in errors.values()])
    shown = ", ".join(f"{name} {100 * errors[name]:.1f}" for name in worst)
    return f"{100 * np.mean(list(errors.values())):.1f} % (worst: {shown}; {100 * within:.0f} % of them within 5 %)"
