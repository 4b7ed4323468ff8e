"""Sample data: so that a newcomer can try the widgets in a minute."""

from __future__ import annotations

from typing import Any

import numpy as np

VOXELS = (0.2, 0.1, 0.1)  # µm
PHOTONS = 200  # at the brightest voxel
BACKGROUND = 5.0

Layers = list[tuple[Any, dict[str, Any], str]]


def bars() -> Layers:
    """Hollow bars as a widefield microscope sees them, the PSF, and the truth."""
    from .. import simulate

    psf = _microscope()
    truth = simulate.hollow_bars((32, 64, 80))
    blurred = np.maximum(simulate.blur(truth, psf, boundary="reflect"), 0)
    photons = PHOTONS / blurred.max()
    image = simulate.poisson_noise(blurred * photons, background=BACKGROUND, rng=0).astype(np.float32)
    return [
        (image, _place("bars"), "image"),
        (psf.astype(np.float32), _place("bars (PSF)", visible=False, colormap="magma"), "image"),
        ((truth * photons).astype(np.float32), _place("bars (truth)", visible=False), "image"),
    ]


def beads() -> Layers:
    """Beads at random places, as the same microscope sees them."""
    from .. import simulate

    shape = (48, 128, 128)
    psf = _microscope()
    rng = np.random.default_rng(0)
    scene = np.zeros(shape)
    scene[tuple(rng.integers(n // 5, n - n // 5, 14) for n in shape)] = 2e5
    image = simulate.poisson_noise(np.maximum(simulate.blur(scene, psf), 0), background=100.0, read_noise=2.0, rng=1)
    return [(image.astype(np.float32), _place("beads"), "image")]


def _microscope() -> Any:
    from ..psf import born_wolf

    return born_wolf((31, 31, 31), wavelength=0.52, na=1.2, pixel_size=VOXELS, immersion_index=1.33)


def _place(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "scale": VOXELS, "units": ("um",) * 3, "axis_labels": ("z", "y", "x"), **more}
