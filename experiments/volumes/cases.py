"""The stacks with known truth, the PSFs that somebody might take for theirs, and the walls that are measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sigdeconv import io, psf, simulate

from ..common import Study, half_width

Numbers = np.ndarray[Any, Any]

VOXEL = (0.25, 0.1, 0.1)  # µm, (z, y, x)
LENS: dict[str, Any] = {"wavelength": 0.52, "na": 1.3, "immersion_index": 1.515, "pixel_size": VOXEL}
DEPTH, INDEX = 10.0, 1.33  # µm of water between the coverslip and the bars
PITCH = 15  # voxels from bar to bar
PHOTONS, BACKGROUND = 200.0, 10.0  # at the brightest voxel of the image; everywhere
TRUE = f"Gibson–Lanni, {DEPTH:g} µm deep (true)"


class Case(NamedTuple):
    """A stack to restore; ``image`` is without the background, whose level is known."""

    truth: Numbers
    image: Numbers
    psf: Numbers
    background: float = 0.0
    boundary: str = "free"


class Walls(NamedTuple):
    """A hollow bar: the middles of its two walls along x and along z, in voxels, and a stretch of it along y."""

    x: tuple[int, int]
    z: tuple[int, int]
    y: slice


def optics(window: Sequence[int], depth: float = DEPTH, index: float = INDEX) -> Numbers:
    """PSF of the microscope at a depth, in float32."""
    return psf.gibson_lanni(window, **LENS, depth=depth, sample_index=index).astype(np.float32)


def assumptions(window: Sequence[int]) -> dict[str, Numbers]:
    """What somebody might take for the PSF, the true one first."""
    true = optics(window)
    return {
        TRUE: true,
        f"Gibson–Lanni, half as deep, {DEPTH / 2:g} µm": optics(window, depth=DEPTH / 2),
        f"Gibson–Lanni, twice as deep, {DEPTH * 2:g} µm": optics(window, depth=DEPTH * 2),
        f"Gibson–Lanni, index 1.38 in place of {INDEX:g}": optics(window, index=1.38),
        "Born–Wolf: a perfect lens, no depth": psf.born_wolf(window, **LENS).astype(np.float32),
        "the true one, upside down": true[::-1].copy(),
    }


def observe(frame: Sequence[int], window: Sequence[int], rng: np.random.Generator) -> Case:
    """Photons from bars that go on past the frame, but for one end along y."""
    h = optics(window)
    nz, ny, nx = (n + k - 1 for n, k in zip(frame, window, strict=True))
    scene = np.roll(simulate.hollow_bars((nz, ny, nx), num=nx // PITCH), -frame[1] // 3, axis=1)
    truth, blurred = simulate.through_frame(scene.astype(np.float32), h)
    light = blurred.clip(0)  # the transforms leave rounding below zero
    counts = simulate.poisson_noise(light, photons=PHOTONS, background=BACKGROUND, rng=rng)
    return Case(truth * np.float32(PHOTONS / light.max()), counts - np.float32(BACKGROUND), h, BACKGROUND)


def epfl(study: Study) -> tuple[Case, float]:
    """The EPFL's phantom as it is distributed, and the share of its image that its PSF does not explain.

    It repeats past its frame. Its files say nothing of units: the image is divided by its gain over the blurred truth.
    """
    truth, image, kernel = (
        io.read(study.file(f"bars_{name}.tif")).data.astype(np.float32) for name in ("actual", "data", "kernel")
    )
    kernel = psf.normalize(kernel)
    blurred = simulate.blur(truth, kernel, boundary="periodic")
    gain, offset = np.polyfit(blurred.ravel(), image.ravel().astype(np.float64), 1)
    left = np.linalg.norm(image - offset - gain * blurred) / np.linalg.norm(image - offset)
    return Case(truth, image / np.float32(gain), kernel, boundary="periodic"), float(left)


def walls(truth: Numbers) -> Walls:
    """Of the bar whose hollow is nearest to the middle of the frame."""
    from scipy.ndimage import find_objects, label

    along_y = np.flatnonzero(truth.any(axis=(0, 2)))
    y = slice(int(along_y[0]), int(along_y[-1]) + 1)
    section = truth[:, y].mean(axis=1) > 0
    enclosed = [
        box
        for box in find_objects(label(~section)[0])
        if all(side.start > 0 and side.stop < n for side, n in zip(box, section.shape, strict=True))
    ]
    z, x = min(enclosed, key=lambda box: abs(box[1].start + box[1].stop - section.shape[1]))
    return Walls(_beside(section[(z.start + z.stop) // 2], x), _beside(section[:, (x.start + x.stop) // 2], z), y)


def _beside(line: Numbers, hollow: slice) -> tuple[int, int]:
    """Middles of the walls to both sides of a hollow."""
    before = int(np.argmin(line[: hollow.start][::-1]))  # samples until it is dark again
    after = int(np.argmin(line[hollow.stop :]))
    return hollow.start - (before + 1) // 2, hollow.stop + after // 2


def profiles(volume: Numbers, at: Walls) -> dict[str, Numbers]:
    """Through the middle of the hollow along x and along z, mean along the bar."""
    section = volume[:, at.y].mean(axis=1)
    return {"x": section[sum(at.z) // 2], "z": section[:, sum(at.x) // 2]}


def widths(volume: Numbers, at: Walls) -> dict[str, float]:
    """Full width at half maximum of the walls in µm, mean of two, and how much darker the hollow is, in %, by axis."""
    result = {}
    for axis, curve in profiles(volume, at).items():
        places, size = (at.x, VOXEL[2]) if axis == "x" else (at.z, VOXEL[0])
        tops = [p - 1 + int(np.argmax(curve[p - 1 : p + 2])) for p in places]
        result[f"wall_{axis}"] = size * float(np.mean([half_width(curve, p, 0.0) for p in tops]))
        result[f"hollow_{axis}"] = 100 * (1 - float(curve[slice(*places)].min()) / float(np.mean(curve[tops])))
    return result
