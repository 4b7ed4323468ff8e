"""A real confocal stack, a grid of lines, restored with the PSF that the same microscope shows on beads."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import sigdeconv
from sigdeconv import io

from ..common import Column, Study, half_width

Numbers = np.ndarray[Any, Any]

VOXEL = {"Z": 0.125, "Y": 0.0225, "X": 0.0225}  # µm, where a file does not say
DARKEST = 1.0  # per cent of the smoothed stack that is taken for background
BAND = 1.0  # µm along the lines over which a profile is averaged
LINES = 4  # in the frame
NEWTON = 10  # steps of the quadratic prior with its bound

LABELS = {
    "blurred": "as recorded",
    "transpose": "transpose Aᴴy",
    "tikhonov": "Tikhonov, not negative",
    "rl-stopped": "Richardson–Lucy",
}
COLUMNS = (
    Column("image", "image"),
    Column("width", "line width", "µm", 3),
    Column("dip", "dip", "%", 0),
    Column("flux", "light in the section", "% of recorded", 0),
)


class Restoration(NamedTuple):
    """The stack, its background taken off, before and after; ``spacing`` is (z, y, x) in µm."""

    volumes: dict[str, Numbers]
    psf: sigdeconv.psf.BeadPSF
    spacing: tuple[float, float, float]
    background: float
    brightest: float  #: grey level
    iterations: int

    @property
    def focus(self) -> int:
        """The section that holds the most light once restored."""
        return int(np.argmax(self.volumes["rl-stopped"].mean(axis=(1, 2))))

    @property
    def curves(self) -> dict[str, Numbers]:
        """Across the lines in focus, of each volume."""
        band = round(BAND / self.spacing[1])
        return {key: profile(volume, self.focus, band) for key, volume in self.volumes.items()}


class Lines(NamedTuple):
    """What a profile across the lines shows: places in samples, and those of the closest pair."""

    peaks: Numbers
    pair: tuple[int, int]


def restore(study: Study) -> Restoration:
    """Measure the PSF, read the background off the stack, and let the iteration stop by itself."""
    beads, stack = (io.read(study.file(name)) for name in ("confocal_beads.tif", "confocal_grid.tif"))
    image = stack.data.astype(np.float32)
    measured = sigdeconv.psf.from_beads(beads.data)
    smooth = sigdeconv.Convolution(measured.psf, image.shape, boundary="reflect")
    background = float(np.percentile(smooth(image), DARKEST))
    light = image - np.float32(background)
    chosen: dict[str, Any] = {}
    restored = sigdeconv.richardson_lucy(
        image,
        measured.psf,
        num_iter=None,
        background=background,
        callback=lambda iteration: chosen.update(iteration.chosen),
    )
    volumes = {"blurred": light, "transpose": smooth.adjoint(light)}
    if study.full:
        volumes["tikhonov"] = sigdeconv.tikhonov(light, measured.psf, bounds=(0, None), num_iter=NEWTON)
    volumes["rl-stopped"] = restored
    z, y, x = (stack.spacing.get(axis, VOXEL[axis]) for axis in "ZYX")
    return Restoration(volumes, measured, (z, y, x), background, float(image.max()), chosen["num_iter"])


def profile(volume: Numbers, z: int, band: int) -> Numbers:
    """Mean over `band` rows about the middle of section z: across the lines, which run along y."""
    middle = volume.shape[1] // 2
    result: Numbers = volume[z, middle - band // 2 : middle + band // 2 + 1].mean(axis=0)
    return result


def lines(values: Numbers, smooth: float = 1.5) -> Lines:
    """Find the lines in a profile whose background is zero."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    curve = gaussian_filter1d(values, smooth)
    peaks, _ = find_peaks(curve, prominence=0.03 * float(np.ptp(curve)), distance=5)
    peaks = np.sort(peaks[np.argsort(-curve[peaks])[:LINES]])
    if len(peaks) < 2:
        return Lines(peaks, (int(peaks[0]), int(peaks[0])))
    k = int(np.argmin(np.diff(peaks)))
    return Lines(peaks, (int(peaks[k]), int(peaks[k + 1])))


def dip_between(values: Numbers, left: int, right: int, smooth: float = 1.5) -> float:
    """How far the profile falls between two places, relative to the lower of the tops near them."""
    from scipy.ndimage import gaussian_filter1d

    curve = gaussian_filter1d(values, smooth)
    near = 3
    tops = [float(curve[p - near : p + near + 1].max()) for p in (left, right)]
    return 1 - float(curve[left : right + 1].min()) / min(tops)


def measure(found: Restoration, at: Lines) -> list[dict[str, Any]]:
    """A row a volume: width of the lines that stand alone, the dip between the closest two, light in focus."""
    curves = found.curves
    alone = [p for p in at.peaks if p not in at.pair]
    rows = []
    for key, curve in curves.items():
        wide = [half_width(curve, int(p) - 4 + int(np.argmax(curve[p - 4 : p + 5])), 0.0) for p in alone]
        rows.append(
            {
                "key": key,
                "image": LABELS[key],
                "width": found.spacing[2] * float(np.mean(wide)),
                "dip": 100 * dip_between(curve, *at.pair),
                "flux": 100 * float(curve.sum() / curves["blurred"].sum()),
            }
        )
    return rows
