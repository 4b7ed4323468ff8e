"""How often the PSF of a shake is found: the field's measure, on measured shakes and photographs.

Levin et al. (2009) restore with the PSF that was found and with the true one, with the same prior of the same weight,
and divide the squared errors: up to 3 is a success. Here with their eight shakes and four photographs, two of
scikit-image and two of Kodak's, without noise and with some. Needs the development data.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import sigdeconv
from experiments import blind

from .common import Row, seconds

SIDE = 255  # pixels of the blurred image, as in the paper
SIGMAS = (0.0, 2.55, 7.65)
KODAK = {"kodim19": (100, 50), "kodim23": (60, 100)}  # a lighthouse with much sky, a parrot before a blurred ground
ROOM = 28  # the longest shake, and one


def scenes() -> dict[str, np.ndarray]:
    """Grey photographs, somewhat larger than the images."""
    from skimage import color, data, io

    folders = [os.environ.get("SIGDECONV_DATA"), Path(__file__).parents[3] / "shared" / "data"]
    folder = next((Path(f) for f in folders if f and (Path(f) / "levin09_kernels.npz").exists()), None)
    if folder is None:
        return {}
    found = {
        "camera": data.camera().astype(float)[60:, 120:],
        "astronaut": 255 * color.rgb2gray(data.astronaut())[:300, 100:400],
    }
    for name, (row, column) in KODAK.items():
        image = io.imread(folder / "kodak24" / f"{name}.png") @ np.array([0.299, 0.587, 0.114])
        found[name] = image[row : row + SIDE + ROOM, column : column + SIDE + ROOM]
    shakes = np.load(folder / "levin09_kernels.npz")
    return found | {f"shake {i}": shakes[f"kernel{i}"] for i in range(1, 9)}


def rows() -> Iterator[Row]:
    """Share of successes, and the seconds of a search."""
    found = scenes()
    shakes = {name: found.pop(name) for name in [*found] if name.startswith("shake")}
    if not found:
        yield Row("camera shake: skipped, the measured shakes are not at hand (set SIGDECONV_DATA)", "")
        return
    for sigma in SIGMAS:
        ratios: dict[str, float] = {}
        for name, scene in found.items():
            for index, (label, psf) in enumerate(shakes.items()):
                size = [SIDE + k - 1 for k in psf.shape]
                rng = np.random.default_rng(index)
                case = blind.shake_case(scene[: size[0], : size[1]], psf, sigma, rng, (name, label))
                ratios[f"{name}, {label}"] = case.ratio
        values = np.array([*ratios.values()])
        missed = ", ".join(f"{key} {value:.1f}" for key, value in ratios.items() if value > blind.SUCCESS)
        share, median = np.mean(values <= blind.SUCCESS), np.median(values)
        yield Row(
            f"camera shake, noise {sigma:g} of 255: error ratio <= {blind.SUCCESS:g}",
            f"{100 * share:.0f} % of {values.size} (median ratio {median:.2f}; missed: {missed or 'none'})",
            ">= 80 %" if sigma <= SIGMAS[1] else "",
            share >= 0.8 if sigma <= SIGMAS[1] else None,
        )
    image = found["camera"][:SIDE, :SIDE]
    for sought in (None, 31):
        time = seconds(lambda sought=sought: sigdeconv.blind_camera_shake(image, sought, restore=lambda y, h: y))  # type: ignore[misc]
        yield Row(f"camera shake, {SIDE} x {SIDE}, psf_shape={sought}", f"{time:.1f} s")
