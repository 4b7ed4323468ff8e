"""What the frame's edge costs: a crop of a larger blurred scene, restored without knowing what lay past it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import sigdeconv

from .common import Row

PHOTONS = (50, 200, 1000)


def rows() -> Iterator[Row]:
    """Mean over photographs and light levels of what each method loses."""
    psf = sigdeconv.psf.gaussian((21, 21), 2.5)
    methods: dict[str, tuple[float | None, Callable[[np.ndarray], np.ndarray]]] = {
        "Wiener": (0.6, lambda y: sigdeconv.wiener(y, psf)),
        "Richardson-Lucy": (0.6, lambda y: sigdeconv.richardson_lucy(y, psf, num_iter=10)),
        "scikit-image Wiener": (None, _peer_wiener(psf)),
        "scikit-image Richardson-Lucy": (None, _peer_richardson_lucy(psf)),
    }
    for name, (goal, method) in methods.items():
        losses = np.array([[_loss(scene, psf, photons, method) for photons in PHOTONS] for scene in _photographs()])
        by_light = ", ".join(f"{p} photons {loss:+.2f}" for p, loss in zip(PHOTONS, losses.mean(axis=0), strict=True))
        yield Row(
            f"band of PSF width against the interior, loss beyond the blurred image's: {name}",
            f"{losses.mean():+.2f} dB ({by_light})",
            f"<= {goal} dB" if goal else "",
            bool(losses.mean() <= goal) if goal else None,
        )


def _photographs() -> list[np.ndarray]:
    from skimage import color, data

    grey = [data.camera(), data.moon(), data.coins(), data.cell(), 255 * color.rgb2gray(data.astronaut())]
    return [image[40:300, 40:300] / 255.0 for image in grey]


def _loss(scene: np.ndarray, psf: np.ndarray, photons: int, method: Callable[[np.ndarray], np.ndarray]) -> float:
    blur = sigdeconv.Convolution(psf, tuple(n - k + 1 for n, k in zip(scene.shape, psf.shape, strict=True)))
    scale = photons / scene.max()
    y = np.random.default_rng(0).poisson(np.maximum(blur(scene), 0) * scale).astype(float)
    truth, width = scene[blur.frame] * scale, psf.shape[0]
    inner = np.zeros(y.shape, bool)
    inner[width:-width, width:-width] = True

    def falls(estimate: np.ndarray) -> float:
        error = (estimate - truth) ** 2
        return 10 * np.log10(error[~inner].mean() / error[inner].mean())

    return falls(method(y)) - falls(y)


def _peer_wiener(psf: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    from skimage import restoration

    return lambda y: restoration.unsupervised_wiener(y, psf, clip=False, rng=0)[0]


def _peer_richardson_lucy(psf: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    from skimage import restoration

    return lambda y: restoration.richardson_lucy(y, psf, num_iter=50, clip=False)
