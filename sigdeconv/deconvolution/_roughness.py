"""What Wiener's filter takes for rough: its regulariser on the half spectrum of a grid, and the filter under it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from .. import _fft
from .._array import Array, choice, like, namespace
from .._parallel import each
from ..convolution import Convolution, psf_to_otf
from ._quadratic import Scene, complex_like

Rough = tuple[Array, ...]  #: real arrays that broadcast to a half spectrum and whose sum is ``|L|``

REGULARIZERS = ("laplacian", "identity")


def roughness(image: Array, grid: tuple[int, ...], regularizer: str | Array | Convolution) -> Rough:
    """Real arrays on the half spectrum of a grid, or of size one along axes of it, whose sum is ``|L|``."""
    xp = namespace(image)
    if isinstance(regularizer, Convolution):
        if regularizer.grid != grid or regularizer.psf is not None:
            raise ValueError(
                f"regularizer is a {regularizer!r} but one of an OTF on the grid {grid} is wanted; pass an array, "
                f"or Convolution.from_otf(otf, {grid}) with boundary='periodic'"
            )
        return (xp.abs(regularizer.transfer_like(image)),)
    if not isinstance(regularizer, str):
        kernel = like(regularizer, image, "regularizer")
        if kernel.ndim != len(grid):
            raise ValueError(f"regularizer has {kernel.ndim} dimensions but the psf has {len(grid)}; pass as many")
        return (xp.abs(psf_to_otf(kernel, grid)),)
    if choice(regularizer, REGULARIZERS, "regularizer") == "identity":
        return (xp.ones((1,) * len(grid), dtype=image.dtype, device=image.device),)
    lines = []
    for axis, n in enumerate(grid):
        bins = n if axis < len(grid) - 1 else n // 2 + 1
        shape = [1] * len(grid)
        shape[axis] = bins
        # The second difference [1, -2, 1] has the transfer function 2 cos(w) - 2 on its axis.
        line = 2.0 - 2.0 * np.cos(2.0 * math.pi * np.arange(bins) / n)
        lines.append(xp.reshape(xp.asarray(line, dtype=image.dtype, device=image.device), tuple(shape)))
    return tuple(lines)


def penalty_of(grid: tuple[int, ...], rough: Rough) -> Array:
    """``|L|^2`` as one array on the half spectrum."""
    xp = namespace(rough[0])
    return xp.broadcast_to(sum(rough[1:], rough[0]) ** 2, (*grid[:-1], grid[-1] // 2 + 1))


def wiener_filter(H: Array, rough: Rough, balance: float) -> Array:
    """``conj(H) / (|H|^2 + balance |L|^2)``, and zero where both vanish: what is neither seen nor penalised."""
    xp = namespace(H)
    tiny = xp.ones((1,) * H.ndim, dtype=rough[0].dtype, device=H.device) * float(
        xp.finfo(rough[0].dtype).smallest_normal
    )

    def quotient(H: Array, tiny: Array, *rough: Array) -> Array:
        # Where both vanish so does the numerator, and the smallest number makes the quotient zero.
        return xp.conj(H) / xp.maximum(power_of(H) + balance * sum(rough[1:], rough[0]) ** 2, tiny)

    return each(quotient, H, tiny, *rough)


def scene_under(image: Array, psf: Array | Convolution, boundary: str, regularizer: str | Array | Convolution) -> Scene:
    """The quadratic problem's scene, under any regulariser."""
    if isinstance(regularizer, str):
        return Scene.of(image, psf, boundary, choice(regularizer, REGULARIZERS, "regularizer"))
    scene = Scene.of(image, psf, boundary, "laplacian")
    xp, ndim = namespace(image), scene.ndim
    penalty = penalty_of(scene.grid, roughness(image, scene.grid, regularizer))
    if scene.ring:
        return replace(scene, penalty=penalty, regularizer="other")
    # Where the scene ends it is mirrored, so that an edge is not rough in itself.
    double = tuple(2 * n for n in scene.domain)
    mirrored = penalty_of(double, roughness(image, double, regularizer))
    for axis in range(ndim - 1):
        mirrored = 0.5 * (mirrored + xp.roll(xp.flip(mirrored, axis=axis), 1, axis=axis))
    transfer = complex_like(mirrored)

    def rough(x: Array) -> Array:
        for axis in range(-ndim, 0):
            x = xp.concat([x, xp.flip(x, axis=axis)], axis=axis)
        return _fft.filter(x, transfer, double, scene.domain)

    return replace(
        scene, penalty=mirrored if scene.boundary == "reflect" else penalty, rough=rough, regularizer="other"
    )


def power_of(spectrum: Array) -> Array:
    xp = namespace(spectrum)
    return xp.real(spectrum) ** 2 + xp.imag(spectrum) ** 2


def multiplicity(grid: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """How many frequencies of the full spectrum each of the half spectrum's last axis stands for."""
    multiplicity = np.full(grid[-1] // 2 + 1, 2.0)
    multiplicity[0] = 1.0
    if grid[-1] % 2 == 0:
        multiplicity[-1] = 1.0
    return multiplicity
