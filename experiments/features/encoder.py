"""A small network that learns to tell textures apart, and the hand-made filters that its own are compared with.

Each photograph is one texture: its left part is learned from, its right part tested on. Patches lose their mean and
contrast, so that brightness tells nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..common import Study

if TYPE_CHECKING:
    import torch

Numbers = np.ndarray[Any, Any]

#: What it is -> the picture of scikit-image.
TEXTURES = {
    "brick": "brick",
    "grass": "grass",
    "gravel": "gravel",
    "print": "page",
    "coins": "coins",
    "fur": "chelsea",
    "tissue": "immunohistochemistry",
    "galaxies": "hubble_deep_field",
}
LEARNED_SHARE = 5 / 8  # of the columns of each photograph; the others are for the test
PATCH = 40  # pixels a side
WIDTHS, KERNEL = (16, 24, 32), 7
STEPS, BATCH = 600, 32
TESTED = 800  # patches
RATE, DECAY = 5e-3, 1.0  # of Adam; the strong decay takes away what the start has put into the filters and nothing uses
SMALL_START = 0.1  # of Kaiming's deviation, in the first layer: what is seen there later was learned
FAINT = 0.02  # of white: contrast that is no texture
SIGMA = 1.5  # pixels, of the Gaussian whose derivatives the hand-made filters are
ANGLES = (0, 45, 90, 135)  # degrees, of the direction along which brightness changes


class Learned(NamedTuple):
    """A trained encoder."""

    encoder: Any
    start: Numbers  #: its first filters before, shape (features, y, x)
    filters: Numbers  #: and after
    accuracy: float  #: share of the patches of the test that it names right
    by_texture: dict[str, float]
    seconds: float


class Patches(NamedTuple):
    """Parts of the textures, to be drawn from."""

    photographs: Any
    sizes: Numbers  #: shape (textures, 2)

    def draw(self, count: int, rng: np.random.Generator, *, turned: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Patches ``(count, 1, PATCH, PATCH)`` and which texture each is; all textures are as probable."""
        import torch

        labels = rng.integers(len(self.sizes), size=count)
        corners = rng.integers(self.sizes[labels] - PATCH + 1)
        symmetries = rng.integers((2, 2, 4), size=(count, 3)) * turned
        patches = self.photographs.crop(np.column_stack([labels, corners]), PATCH, symmetries)
        return standardised(patches), torch.as_tensor(labels)


def grey(name: str) -> Numbers:
    """A picture of scikit-image in 8 bits of grey."""
    from skimage import color, data

    picture = getattr(data, name)()
    return picture if picture.ndim == 2 else np.rint(255 * color.rgb2gray(picture)).astype(np.uint8)


def standardised(images: torch.Tensor) -> torch.Tensor:
    """Each image ``(..., y, x)`` in 0..1 without its mean, in units of its contrast."""
    frame = (-2, -1)
    return (images - images.mean(frame, keepdim=True)) / (images.std(frame, keepdim=True) + FAINT)


def as_input(picture: Numbers) -> torch.Tensor:
    """A picture in 0..255 as the encoder takes it, shape (1, 1, y, x)."""
    import torch

    return standardised(torch.as_tensor(np.asarray(picture, np.float32) / 255)[None, None])


def textures() -> tuple[Patches, Patches]:
    """What is learned from, and what is tested on: no pixel is in both."""
    from sigdeconv.transposed.training import Photographs

    pictures = {label: grey(name) for label, name in TEXTURES.items()}
    cuts = {label: round(LEARNED_SHARE * picture.shape[1]) for label, picture in pictures.items()}
    left = {label: picture[:, : cuts[label]] for label, picture in pictures.items()}
    right = {label: picture[:, cuts[label] :] for label, picture in pictures.items()}
    learn, test = (Patches(Photographs(p), np.array([x.shape for x in p.values()])) for p in (left, right))
    return learn, test


def accuracy(network: Any, patches: torch.Tensor, labels: torch.Tensor) -> Numbers:
    """Whether each patch is named right."""
    import torch

    with torch.no_grad():
        found = torch.cat([network(part).argmax(dim=1) for part in patches.split(100)])
    right: Numbers = (found == labels).numpy()
    return right


def learn(study: Study, examples: Patches, tested: tuple[torch.Tensor, torch.Tensor]) -> Learned:
    """Train the encoder to name the texture of a patch."""
    import torch
    from torch.nn import functional

    from sigdeconv.transposed.models import FeatureEncoder
    from sigdeconv.transposed.training import Plan, train

    encoder = FeatureEncoder(1, len(TEXTURES), widths=WIDTHS, kernel_size=KERNEL, generator=study.seed)
    first = encoder.convolutions[0].get_parameter("weight")
    with torch.no_grad():
        first.mul_(SMALL_START)
    start = first.detach().numpy()[:, 0].copy()

    def batch(step: int) -> tuple[tuple[torch.Tensor], torch.Tensor]:
        patches, labels = examples.draw(BATCH, study.rng(0, step), turned=True)
        return (patches,), labels

    plan = Plan(steps=STEPS, rate=RATE, warm_up=20, weight_decay=DECAY, averaging=0.98, seed=study.seed)
    began = time.perf_counter()
    train(encoder, batch, plan, loss=functional.cross_entropy, device="cpu")
    seconds = time.perf_counter() - began
    right = accuracy(encoder, *tested)
    labels = tested[1].numpy()
    each = {name: float(right[labels == i].mean()) for i, name in enumerate(TEXTURES) if (labels == i).any()}
    encoder.requires_grad_(False)
    return Learned(encoder, start, first.detach().numpy()[:, 0].copy(), float(right.mean()), each, seconds)


def directional(size: int = KERNEL, sigma: float = SIGMA) -> Numbers:
    """A Gaussian and its first and second derivatives, shape (6, size, size): their mixtures point in any direction."""
    at = np.arange(size) - size // 2
    g = np.exp(-(at**2) / (2 * sigma**2))
    g /= g.sum()
    first, second = -at / sigma**2 * g, (at**2 / sigma**4 - 1 / sigma**2) * g
    pairs = ((g, g), (g, first), (first, g), (g, second), (first, first), (second, g))
    return np.stack([np.outer(down, across) for down, across in pairs])


def derivative(angle: float, size: int = KERNEL, sigma: float = SIGMA) -> Numbers:
    """The derivative of a Gaussian along `angle` degrees (0 to the right, 90 upwards), of norm 1.

    It is a mixture of two filters, whatever the angle (Freeman and Adelson call it steerable). As networks correlate
    rather than convolve, the kernel is turned round: it answers with plus where brightness rises along the angle.
    """
    _, across, down, *_ = directional(size, sigma)
    kernel = -(np.cos(np.radians(angle)) * across - np.sin(np.radians(angle)) * down)
    result: Numbers = kernel / np.linalg.norm(kernel)
    return result


def directional_share(filters: Numbers) -> float:
    """Share of the filters' energy that a mixture of the six hand-made ones explains."""
    basis, _ = np.linalg.qr(directional(filters.shape[-1]).reshape(6, -1).T)
    flat = filters.reshape(len(filters), -1).astype(np.float64)
    return float(np.sum((flat @ basis) ** 2) / np.sum(flat**2))


def matches(filters: Numbers) -> list[tuple[int, float]]:
    """For each angle the learned filter most like the hand-made one, without repetition: its index and correlation."""
    flat = filters.reshape(len(filters), -1).astype(np.float64)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    found: list[tuple[int, float]] = []
    for angle in ANGLES:
        like = flat @ derivative(angle, filters.shape[-1]).ravel()
        like[[i for i, _ in found]] = 0
        best = int(np.abs(like).argmax())
        found.append((best, float(like[best])))
    return found


def filtered(picture: torch.Tensor, kernels: Numbers) -> Numbers:
    """What kernels ``(n, k, k)`` make of a picture ``(1, 1, y, x)`` that is mirrored past its frame: (n, y, x)."""
    import torch
    from torch.nn import functional

    reach = kernels.shape[-1] // 2
    wide = functional.pad(picture, (reach,) * 4, mode="reflect")
    maps: Numbers = functional.conv2d(wide, torch.as_tensor(kernels[:, None], dtype=picture.dtype))[0].numpy()
    return maps
