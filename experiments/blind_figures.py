"""The figures of `blind`: blurs that were found beside the true ones, and what they gave back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import sigdeconv

from .common import Figure, Study, box, pyplot, show

Numbers = np.ndarray[Any, Any]

PEAK = 255.0
FACE = (slice(90, 230), slice(125, 295))  # of the clock: what the zoom shows


def psf_of(family: str, parameters: Mapping[str, float]) -> Numbers:
    """The PSF of a family."""
    if family == "gaussian":
        reach = 2 * int(np.ceil(4 * parameters["sigma"])) + 1
        return sigdeconv.psf.gaussian((reach, reach), parameters["sigma"])
    make: Any = getattr(sigdeconv.psf, family)
    result: Numbers = make(**parameters)
    return result


def moved_to_origin(psf: Numbers) -> Numbers:
    """The PSF with its centroid at sample ``n // 2``, by cubic interpolation."""
    from scipy.ndimage import shift

    centroid = [float((np.indices(psf.shape)[a] * psf).sum() / psf.sum()) for a in range(psf.ndim)]
    moved = np.maximum(shift(psf, [n // 2 - c for n, c in zip(psf.shape, centroid, strict=True)], order=3), 0)
    result: Numbers = moved / moved.sum()
    return result


def framed(psf: Numbers, side: int) -> Numbers:
    """The PSF in the middle of a dark square, its origin at ``side // 2``."""
    result = np.zeros((side, side))
    rows, columns = (slice(side // 2 - k // 2, side // 2 - k // 2 + k) for k in psf.shape)
    result[rows, columns] = psf
    return result


def shakes(study: Study, cases: Sequence[Any]) -> Figure:
    """For each photograph the median of its shakes with noise: image, PSFs, restorations."""
    plt = pyplot()
    chosen = []
    for name in dict.fromkeys(c.scene for c in cases):
        noisy = [c for c in cases if c.scene == name and c.sigma > 0]
        chosen.append(sorted(noisy, key=lambda c: c.ratio)[len(noisy) // 2])
    figure, axes = plt.subplots(len(chosen), 6, figsize=(15, 2.7 * len(chosen) + 0.5))
    for row, c in zip(np.atleast_2d(axes), chosen, strict=True):
        grey = {"vmin": 0, "vmax": PEAK}
        side = max(*c.found.shape, *c.psf.shape)
        show(row[0], c.truth, c.scene, **grey)
        show(row[1], c.image, f"shaken, {c.shake}", **grey)
        show(row[2], framed(c.found, side), "PSF found", vmin=0, vmax=c.psf.max(), cmap="magma")
        show(row[3], framed(c.psf, side), "true PSF", vmin=0, vmax=c.psf.max(), cmap="magma")
        show(row[4], c.blind, f"restored with the found PSF\nerror ratio {c.ratio:.2f}", **grey)
        show(row[5], c.informed, "restored with the true PSF", **grey)
    figure.suptitle("A shake is read off the edges of the photograph", weight="bold")
    caption = (
        f"For each photograph the shake of median error ratio, noise σ = {chosen[0].sigma:g} grey levels. Both "
        "restorations: total variation of the same weight."
    )
    return study.save(figure, "blind-shakes", caption)


def stars(study: Study, result: Mapping[str, Any]) -> Figure:
    """Counts and restored stars; the PSF at the start, found, and true."""
    plt = pyplot()
    figure, axes = plt.subplots(1, 5, figsize=(15, 3.6))
    top = np.percentile(result["counts"], 99.5)
    show(axes[0], result["counts"], "photon counts", vmin=0, vmax=top)
    show(axes[1], result["restored"], "restored blind", vmin=0, vmax=4 * top)
    height = result["true"].max()
    drawn = None
    for ax, key, title in zip(axes[2:], ("start", "psf", "true"), ("first guess", "found", "true"), strict=True):
        drawn = show(ax, result[key], f"PSF: {title}", vmin=0, vmax=height, cmap="magma")
    axes[2].set_xlabel(f"error {result['error before']:.2f}")
    axes[3].set_xlabel(f"error {result['error']:.2f}")
    figure.colorbar(drawn, ax=axes[2:], label="share of the light in a pixel", shrink=0.8)
    figure.suptitle("Stars tell their own PSF", weight="bold")
    caption = (
        "Error: sum of absolute differences from the true PSF (2 for PSFs that have nothing in common). The images "
        "saturate at the 99.5th percentile of the counts, and at four times that."
    )
    return study.save(figure, "blind-stars", caption)


def clock(study: Study, result: Mapping[str, Any]) -> Figure:
    """The clock before and after, and its PSF."""
    plt = pyplot()
    figure, axes = plt.subplots(2, 2, figsize=(13, 9.4), width_ratios=(1.33, 1.14))
    grey = {"vmin": 90, "vmax": 250}
    for row, key, title in zip(axes, ("image", "restored"), ("as photographed", "restored"), strict=True):
        show(row[0], result[key], title, **grey)
        show(row[1], result[key][FACE], f"{title}: the face", **grey)
        box(row[0], (FACE[0].start, FACE[1].start), (FACE[0].stop - FACE[0].start, FACE[1].stop - FACE[1].start))
    psf = result["psf"]
    inset = axes[0, 0].inset_axes((0.02, 0.03, 0.3, 0.1))
    show(inset, np.pad(psf, 3), cmap="magma")
    parameters = result["parameters"]
    inset.set_title(f"PSF found: {parameters['length']:.1f} px at {parameters['angle']:.1f}°", fontsize=9)
    figure.suptitle("A real motion blur: the clock of scikit-image", weight="bold")
    caption = (
        "skimage.data.clock, moved while it was exposed. Length and angle were found in its power spectrum, the image "
        "was restored by total variation, whose weight was chosen as well."
    )
    return study.save(figure, "blind-clock", caption)
