"""What rectifiers, pooling, strides and dilation do to maps of features, in numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

Numbers = np.ndarray[Any, Any]
Pool = Callable[["torch.Tensor"], "torch.Tensor"]

BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
SAMPLES = 256  # of a grating, and pixels a side of the zone plate
PHASES = 8
MARGIN = 12  # samples along the frame that are left out where maps are moved


def _blurred(x: torch.Tensor) -> torch.Tensor:
    """By the binomial filter along the last two axes, mirrored past the frame."""
    import torch
    from torch.nn import functional

    count, reach = x.shape[1], len(BINOMIAL) // 2
    row = torch.tensor(BINOMIAL, dtype=x.dtype).expand(count, 1, 1, -1)
    x = functional.pad(x, (reach,) * 4, mode="reflect")
    x = functional.conv2d(x, row, groups=count)
    return functional.conv2d(x, row.transpose(-1, -2), groups=count)


def pools() -> dict[str, Pool]:
    """Four ways to halve maps ``(batch, channels, y, x)``."""
    from torch.nn import functional

    return {
        "every second sample": lambda x: x[..., ::2, ::2],
        "maximum of 2 × 2": lambda x: functional.max_pool2d(x, 2),
        "average of 2 × 2": lambda x: functional.avg_pool2d(x, 2),
        "blurred, then every second": lambda x: _blurred(x)[..., ::2, ::2],
    }


def rectification(before: Numbers) -> dict[str, Numbers]:
    """Of each map (features, y, x): share of zeros after the rectifier, and share of its energy that is gone."""
    lost = np.minimum(before, 0.0).astype(np.float64)
    return {
        "zeros": np.mean(before <= 0, axis=(-2, -1)),
        "lost": np.sum(lost**2, axis=(-2, -1)) / np.sum(before.astype(np.float64) ** 2, axis=(-2, -1)),
    }


def half_moved(maps: Numbers) -> Numbers:
    """Maps moved by half a sample to the left and up, by the shift theorem."""
    spectrum = np.fft.fft2(maps)
    for axis in (-2, -1):
        shift = np.exp(1j * np.pi * np.fft.fftfreq(maps.shape[axis]))
        spectrum = spectrum * (shift if axis == -1 else shift[:, None])
    moved: Numbers = np.fft.ifft2(spectrum).real
    return moved


def pooling(maps: torch.Tensor) -> list[dict[str, Any]]:
    """A row a kind of pooling: what is kept of a map's peak and mean, and how it bears a step of one pixel."""
    rows = []
    for name, pool in pools().items():
        small, stepped = (pool(x)[0].double().numpy() for x in (maps, maps.roll((-1, -1), (-2, -1))))
        whole = maps[0].double().numpy()
        inner = (..., slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
        # A picture that moves by a pixel should move the small map by half a sample, and do nothing else.
        change = (stepped - half_moved(small))[inner]
        spread = small[inner] - small[inner].mean(axis=(-2, -1), keepdims=True)
        twice = pool(pool(maps))[0].double().numpy()
        rows.append(
            {
                "pooling": name,
                "peak": 100 * float(np.mean(twice.max(axis=(-2, -1)) / whole.max(axis=(-2, -1)))),
                "mean": 100 * float(twice.mean() / whole.mean()),
                "change": 100 * float(np.sqrt(np.mean(change**2) / np.mean(spread**2))),
            }
        )
    return rows


def zone_plate(size: int = SAMPLES) -> Numbers:
    """Rings that get finer from the middle, flat, to the sides, two pixels a ring: between 0 and 1."""
    at = np.arange(size) - size // 2
    r2 = np.add.outer(at**2, at**2)
    plate: Numbers = (1 + np.cos(np.pi * r2 / size)) / 2
    return plate


def halved(picture: Numbers) -> dict[str, Numbers]:
    import torch

    x = torch.as_tensor(picture, dtype=torch.float32)[None, None]
    return {name: pool(x)[0, 0].numpy() for name, pool in pools().items()}


def grating_gains() -> tuple[Numbers, dict[str, Numbers]]:
    """Gratings of all frequencies (cycles a pixel), and what halving leaves of their amplitude.

    Above a quarter of a cycle a pixel the small map cannot hold them; what is left then stands at a false frequency.
    """
    import torch

    cycles = np.arange(8, SAMPLES // 2, 4)
    cycles = cycles[cycles != SAMPLES // 4]  # there and at the end, the amplitude hangs on the phase
    phase = (np.arange(PHASES) + 0.5) / PHASES / 2
    turns = cycles[:, None, None] * np.arange(SAMPLES) / SAMPLES + phase[:, None]
    waves = np.cos(2 * np.pi * turns)
    x = torch.as_tensor(np.broadcast_to(waves[:, :, None, :], (len(cycles), PHASES, 16, SAMPLES)).copy())
    gains = {}
    for name, pool in pools().items():
        if name.startswith("blurred"):
            wide = torch.cat([x[..., -8:], x, x[..., :8]], dim=-1)  # repeats, as a whole number of cycles does
            small = pool(wide)[..., 4:-4]
        else:
            small = pool(x)
        spectrum = np.abs(np.fft.rfft(small[:, :, small.shape[2] // 2].numpy())) / (SAMPLES / 4)
        at = np.where(cycles <= SAMPLES // 4, cycles, SAMPLES // 2 - cycles)
        gains[name] = np.sqrt(np.mean(spectrum[np.arange(len(cycles)), :, at] ** 2, axis=1))
    return cycles / SAMPLES, gains


def predicted_gains(frequency: Numbers) -> dict[str, Numbers]:
    """The transfer functions of the linear ones, and of three taps with holes between them (dilation 2, no stride)."""
    return {
        "every second sample": np.ones_like(frequency),
        "average of 2 × 2": np.cos(np.pi * frequency),
        "blurred, then every second": np.cos(np.pi * frequency) ** 4,
        "taps 1 2 1, dilation 2": np.cos(2 * np.pi * frequency) ** 2,
    }
