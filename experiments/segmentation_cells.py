"""Cells that touch, drawn with the truth of each; and how well a segmentation found them.

A cell is an irregular closed outline around a centre. Where two reach for the same pixel, it goes to the one of which
it is the deeper part, so that cells press flat against each other and never overlap. What no cell is (specks, haze from
other planes, halos, uneven light) is in the image and not in the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sigdeconv import psf, simulate

Numbers = np.ndarray[Any, Any]

RADIUS = (5.5, 13.0)  # pixels, the range of the mean radius of an image's cells
CROWDING = 0.65  # share of the cells that are put beside another
NEAREST = 0.78  # least distance of two centres, in sums of their radii: deeper overlap is not seen in one plane
LOBES = 6  # harmonics of an outline
SMALLEST = 14  # pixels; what is left of a cell at the frame, or cut off by a neighbour, and is smaller is taken away
SURE = 0.5  # probability from which a pixel is a cell's, or a core's
COINS, COIN_SCALE, CELL_SCALE = 24, 2.5, 8.0  # the real images are made so much smaller: to the size of the simulated
EDGE = 2  # pixels; two make a seam of four between touching cores, which the coarser features still see
APART = 4  # pixels between the middles of two cells, at least
MATCHED = 0.5  # intersection over union above which a segment is that cell; no two can be


class Cells(NamedTuple):
    """An image, and to which cell each of its pixels belongs."""

    image: Numbers  #: photons, shape (y, x)
    labels: Numbers  #: 0 is no cell; each other number one cell, in one piece


class Real(NamedTuple):
    """A real image at the networks' scale, a classical segmentation to compare with, and how many things there are."""

    image: Numbers
    reference: Numbers
    count: int
    scale: float  #: pixels of the original in one of these


class Outline(NamedTuple):
    """A closed curve around a centre: ``radius * (1 + sum of harmonics)``, by the angle."""

    y: float
    x: float
    radius: float
    cosines: Numbers
    sines: Numbers

    def depth(self, y: Numbers, x: Numbers) -> Numbers:
        """Of points: 0 at the centre, 1 on the outline, more outside."""
        dy, dx = y - self.y, x - self.x
        turn = np.arctan2(dy, dx)[..., None] * np.arange(2, LOBES + 1)
        reach = self.radius * (1 + np.cos(turn) @ self.cosines + np.sin(turn) @ self.sines)
        depths: Numbers = np.hypot(dy, dx) / np.maximum(reach, 1.0)
        return depths


def draw(size: int, rng: np.random.Generator) -> Cells:
    """An image of `size` pixels a side, of cells on a darker ground, and the truth."""
    outlines = _place(size, rng)
    labels, depth = _owners(size, outlines)
    return Cells(_photograph(labels, depth, rng), labels)


def _place(size: int, rng: np.random.Generator) -> list[Outline]:
    """Outlines in clusters; some reach past the frame."""
    typical = rng.uniform(*RADIUS)
    covered = rng.uniform(0.05, 0.6)
    count = max(2, round(covered * (size + typical) ** 2 / (np.pi * typical**2)))
    placed: list[Outline] = []
    for _ in range(count):
        radius = typical * rng.uniform(0.75, 1.25)
        for _ in range(12):
            if placed and rng.random() < CROWDING:
                beside = placed[rng.integers(len(placed))]
                away, turn = (radius + beside.radius) * rng.uniform(0.8, 1.02), rng.uniform(0, 2 * np.pi)
                y, x = beside.y + away * np.sin(turn), beside.x + away * np.cos(turn)
            else:
                y, x = rng.uniform(-0.5 * radius, size + 0.5 * radius, 2)
            inside = -radius < min(y, x) and max(y, x) < size + radius
            if inside and all(np.hypot(y - o.y, x - o.x) > NEAREST * (radius + o.radius) for o in placed):
                swing = rng.standard_normal((2, LOBES - 1)) * 0.17 / np.arange(2, LOBES + 1) ** 1.3
                placed.append(Outline(float(y), float(x), radius, *swing))
                break
    return placed


def _owners(size: int, outlines: Sequence[Outline]) -> tuple[Numbers, Numbers]:
    """To whom each pixel belongs, in one piece each, and how deep in it that is."""
    from skimage.measure import label, regionprops

    labels, depth = np.zeros((size, size), dtype=np.int32), np.ones((size, size))
    for number, outline in enumerate(outlines, 1):
        reach = 1.6 * outline.radius
        window = tuple(slice(max(0, int(c - reach)), max(0, int(c + reach) + 2)) for c in (outline.y, outline.x))
        y, x = np.mgrid[: labels.shape[0], : labels.shape[1]][(slice(None), *window)]
        mine = outline.depth(y, x)
        nearer = mine < depth[window]
        labels[window][nearer], depth[window][nearer] = number, mine[nearer]
    pieces = sorted(regionprops(label(labels, connectivity=1)), key=lambda piece: -piece.area)
    whole, count, seen = np.zeros_like(labels), 0, set()
    for piece in pieces:
        owner = int(labels[tuple(piece.coords[0])])
        if owner not in seen and piece.area >= SMALLEST:
            count += 1
            whole[tuple(piece.coords.T)] = count
        seen.add(owner)
    return whole, depth


def _photograph(labels: Numbers, depth: Numbers, rng: np.random.Generator) -> Numbers:
    """Light from the cells and from all that is none, through a lens onto a camera."""
    size = len(labels)
    y, x = np.mgrid[:size, :size] / size - 0.5
    inside = labels > 0
    levels = np.concatenate([[0.0], rng.uniform(rng.uniform(0.4, 0.9), 1.0, labels.max())])
    # Thick in the middle and thin at the rim, or flat; a rim of its own or none; grain.
    dome = np.clip(1 - np.where(inside, depth, 1.0) ** 2, 0.0, 1.0) ** rng.uniform(0.05, 0.6)
    rim = rng.uniform(-0.3, 0.6) * np.exp(-(((depth - 0.85) / 0.12) ** 2))
    grain = 1 + rng.uniform(0, 0.4) * _smooth(size, rng.uniform(0.8, 3.5), rng)
    light = levels[labels] * inside * np.clip((dome + rim) * grain, 0.05, None)
    light = light * rng.uniform(0.35, 1.0) + rng.uniform(0.05, 0.5) * (1 + 0.1 * _smooth(size, 3.0, rng))
    if rng.random() < 0.4:  # a halo, as in phase contrast
        around = simulate.blur(inside.astype(float), psf.gaussian((41, 41), rng.uniform(3, 8)))
        light = np.clip(light - rng.uniform(0.1, 0.5) * light.max() * around * ~inside, 0.02, None)
    for _ in range(rng.poisson(size**2 / 2000)):  # specks, sharp
        centre, radius = rng.uniform(0, size, 2), rng.uniform(0.6, 1.8)
        spot = np.exp(-(((y + 0.5) * size - centre[0]) ** 2 + ((x + 0.5) * size - centre[1]) ** 2) / radius**2)
        light = light + rng.uniform(0.2, 1.0) * spot
    haze = np.clip(_smooth(size, rng.uniform(8, 14), rng), 0, None)  # from other planes
    light = light + rng.uniform(0, 0.12) * haze
    tilt = rng.uniform(-0.6, 0.6, 3)
    light = light * (1 + tilt[0] * y + tilt[1] * x + tilt[2] * (y**2 + x**2 - 1 / 6))
    light = np.clip(light + rng.uniform(-0.3, 0.3) * y + rng.uniform(-0.3, 0.3) * x, 0.01, None)
    blurred = simulate.blur(light, psf.gaussian((15, 15), rng.uniform(0.5, 1.6)))
    photons = float(np.exp(rng.uniform(np.log(40), np.log(2000))))
    counts: Numbers = simulate.poisson_noise(np.clip(blurred, 0, None), photons=photons, read_noise=2.0, rng=rng)
    return counts


def _smooth(size: int, sigma: float, rng: np.random.Generator) -> Numbers:
    """Noise of unit variance without detail finer than `sigma` pixels."""
    from scipy.ndimage import gaussian_filter

    noise: Numbers = gaussian_filter(rng.standard_normal((size, size)), sigma, mode="wrap")
    return noise / noise.std()


def standardised(image: Numbers) -> Numbers:
    """What the networks see: all but the darkest and brightest half per cent between -1 and 1."""
    low, high = np.percentile(image, (0.5, 99.5))
    scaled: Numbers = 2 * (image - low) / max(high - low, np.finfo(float).tiny) - 1
    return np.clip(scaled, -2, 2).astype(np.float32)


def outlines(labels: Numbers) -> Numbers:
    """Pixels of a cell beside the ground or another cell."""
    from skimage.segmentation import find_boundaries

    found: Numbers = find_boundaries(labels, connectivity=1, mode="inner")
    return found


def classes(labels: Numbers) -> Numbers:
    """0 the ground, 1 the core of a cell, 2 its edge: the outermost `EDGE` pixels, so that touching cores are apart."""
    from scipy.ndimage import distance_transform_edt

    kinds: Numbers = (labels > 0).astype(np.int64)
    lines = outlines(labels)
    if lines.any():
        kinds[(kinds > 0) & (distance_transform_edt(~lines) < EDGE)] = 2
    return kinds


def real_images() -> dict[str, Real]:
    """scikit-image's coins and cell, smaller, each with a segmentation that was not learned."""
    from scipy.ndimage import binary_fill_holes
    from skimage import data, filters, measure, morphology, segmentation, transform

    images: dict[str, Numbers] = {"coins": data.coins(), "cell": data.cell()}
    # The marker-based watershed on the gradient of scikit-image's own example: its markers, its thresholds.
    markers = np.where(images["coins"] < 30, 1, np.where(images["coins"] > 150, 2, 0))
    masks = {"coins": segmentation.watershed(filters.sobel(images["coins"]), markers) == 2}
    masks["cell"] = images["cell"] > filters.threshold_otsu(filters.gaussian(images["cell"], 3, preserve_range=True))
    real = {}
    for name, scale, count in (("coins", COIN_SCALE, COINS), ("cell", CELL_SCALE, 1)):
        whole = morphology.opening(binary_fill_holes(masks[name]), morphology.disk(3))
        small = transform.rescale(images[name].astype(float), 1 / scale, anti_aliasing=True)
        labels = transform.resize(measure.label(whole), small.shape, order=0, anti_aliasing=False, preserve_range=True)
        real[name] = Real(small, labels.astype(np.int32), count, scale)
    return real


def instances(chances: Numbers) -> Numbers:
    """Cells from the probabilities of the three classes, shape (3, y, x)."""
    ground, core, _ = chances
    return _parted(core > SURE, ground < 1 - SURE)


def classical(image: Numbers) -> Numbers:
    """Cells by what learns nothing: Otsu's threshold on the smoothed image, parted like the networks' cells."""
    from scipy.ndimage import gaussian_filter
    from skimage.filters import threshold_otsu

    smooth = gaussian_filter(standardised(image), 1.0)
    mask = smooth > threshold_otsu(smooth)
    return _parted(mask, mask)


def _parted(cores: Numbers, mask: Numbers) -> Numbers:
    """Label the mask: a watershed from the places that are deepest in the cores."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    depth = gaussian_filter(distance_transform_edt(cores), 1.0)  # smoothed, so that a bay in an outline is no valley
    markers = np.zeros(mask.shape, dtype=np.int32)
    peaks = peak_local_max(depth, min_distance=APART, labels=(mask & cores).astype(int), exclude_border=False)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels: Numbers = watershed(-depth, markers, mask=mask)
    kept: Numbers = np.where(np.bincount(labels.ravel())[labels] >= SMALLEST, labels, 0)
    return kept


def overlaps(true: Numbers, found: Numbers) -> Numbers:
    """Pixels that true cell i and segment j share, from 0 (none) on."""
    both = true.astype(np.int64) * (int(found.max()) + 1) + found
    table: Numbers = np.bincount(both.ravel(), minlength=(int(true.max()) + 1) * (int(found.max()) + 1))
    return table.reshape(int(true.max()) + 1, int(found.max()) + 1)


def union_ratio(true: Numbers, found: Numbers) -> float:
    """Intersection over union of two masks; 1 where both are empty."""
    union = np.count_nonzero(true | found)
    return np.count_nonzero(true & found) / union if union else 1.0


def count_cells(true: Numbers, found: Numbers) -> dict[str, int]:
    """How many there are, how many segments, how many of them match, and how many cells share a segment."""
    shared = overlaps(true, found)
    union = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    inner = shared[1:, 1:]
    here = shared.sum(axis=1)[1:] > 0
    most = inner > shared.sum(axis=1)[1:, None] / 2
    crowd = most.sum(axis=0)
    return {
        "cells": int(here.sum()),
        "segments": int((shared.sum(axis=0)[1:] > 0).sum()),
        "matched": int((inner > MATCHED * union[1:, 1:]).sum()),
        "joined": int(crowd[crowd > 1].sum()),
    }


def outline_distances(true: Numbers, found: Numbers) -> Numbers:
    """Distance in pixels from each outline pixel of either to the nearest of the other, both ways weighing the same.

    The two directions are given equal numbers by repeating: the mean is the mean of both means. If nothing was found,
    every outline is a frame's diagonal away.
    """
    from scipy.ndimage import distance_transform_edt

    lines = [outlines(labels) for labels in (true, found)]
    if not (lines[0].any() and lines[1].any()):
        return np.zeros(1) if not (lines[0].any() or lines[1].any()) else np.full(1, np.hypot(*true.shape))
    ways = [np.sort(distance_transform_edt(~b)[a]) for a, b in (lines, lines[::-1])]
    length = max(map(len, ways))
    # Quantiles of the shorter one, as many as the longer has: the shape of its distribution is kept.
    return np.concatenate([way[(np.arange(length) * len(way)) // length] for way in ways])


def judged(true: Sequence[Cells], found: Sequence[Numbers]) -> dict[str, float]:
    """How good segmentations are: means over the images, counts over all cells."""
    totals = {"cells": 0, "segments": 0, "matched": 0, "joined": 0}
    ratios, distances = [], []
    for one, labels in zip(true, found, strict=True):
        totals = {key: totals[key] + value for key, value in count_cells(one.labels, labels).items()}
        ratios.append(union_ratio(one.labels > 0, labels > 0))
        distances.append(outline_distances(one.labels, labels))
    return {
        "iou": float(np.mean(ratios)),
        "outline": float(np.mean([one.mean() for one in distances])),
        "median": float(np.mean([np.median(one) for one in distances])),
        "f1": 2 * totals["matched"] / max(1, totals["cells"] + totals["segments"]),
        "joined": 100 * totals["joined"] / max(1, totals["cells"]),
    }
