"""The one list of methods, and the one list of formulas for a PSF, that the plugin offers."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from .parameters import AUTOMATIC, Parameter, parameters, summary

REACH = 4  # standard deviations to which a Gaussian is drawn
WIDEST = 65  # samples of a formula's PSF along an axis, unless another shape is typed


@dataclass(frozen=True)
class Method:
    """A method: its name in `module`, and what the list calls it."""

    name: str
    title: str
    module: str = "sigdeconv"
    needs_psf: bool = True

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself."""
        found: Callable[..., Any] = getattr(importlib.import_module(self.module), self.name)
        return found

    def parameters(self) -> tuple[Parameter, ...]:
        """What its form asks for."""
        return tuple(_denoisers(p) if p.name == "denoiser" else p for p in parameters(self.function))

    def summary(self) -> str:
        """One line on what it does."""
        return summary(self.function)


LEARNED = Method("denoise", "denoise (trained network)", "sigdeconv.transposed", needs_psf=False)
METHODS = (
    Method("richardson_lucy", "Richardson-Lucy"),
    Method("wiener", "Wiener"),
    Method("tikhonov", "Tikhonov"),
    Method("total_variation", "total variation"),
    Method("hyper_laplacian", "hyper-Laplacian"),
    Method("hessian_schatten", "Hessian-Schatten"),
    Method("wavelet_sparse", "sparse wavelets"),
    Method("sparse_spikes", "sparse spikes"),
    Method("plug_and_play", "plug-and-play"),
)


def methods() -> tuple[Method, ...]:
    """Those that can run here."""
    return (*METHODS, LEARNED) if has_learned() else METHODS


def has_learned() -> bool:
    """Whether what the trained networks need is installed."""
    return all(find_spec(name) is not None for name in ("torch", "safetensors"))


def _denoisers(parameter: Parameter) -> Parameter:
    """A function has no field; those of the library have names."""
    from .. import denoisers

    choices: list[tuple[str, Any]] = [("collaborative filter (2-D)", None)]
    for name in ("non_local_means", "total_variation_chambolle", "wavelet", "bilateral"):
        choices.append((name.replace("_", " "), getattr(denoisers, name)))
    if has_learned():
        choices.append(("trained network (2-D)", _learned))
    return replace(parameter, choices=tuple(choices))


def _learned(plane: Any, sigma: float) -> Any:
    """The packaged network; it loads when it is first asked."""
    from ..transposed import prior

    return prior(plane, sigma)


@dataclass(frozen=True)
class Formula:
    """A PSF by formula: a function of `sigdeconv.psf`, and what its form starts with.

    ``ndim`` is the number of axes that it has; 0 means as many as the image.
    """

    name: str
    title: str
    ndim: int
    start: Mapping[str, str] = field(default_factory=dict)

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself."""
        from .. import psf

        found: Callable[..., Any] = getattr(psf, self.name)
        return found

    def parameters(self) -> tuple[Parameter, ...]:
        """What its form asks for; the shape may be left open."""
        from ..psf import gibson_lanni

        asked = parameters(self.function, like=gibson_lanni)
        free = ((AUTOMATIC, None),)
        return tuple(replace(p, choices=free, default=None) if p.name == "shape" else p for p in asked)

    @property
    def has_voxels(self) -> bool:
        """Whether it is given in micrometre, and so needs to know the size of a voxel."""
        return any(p.name == "wavelength" for p in self.parameters())

    def made(self, values: Mapping[str, Any], frame: tuple[int, ...], spacing: tuple[float, ...] | None) -> Any:
        """The PSF for an image whose frame has this shape, and these voxel sizes in micrometre."""
        values = dict(values)
        flat = self.ndim == 3 and len(frame) == 2
        ndim = self.ndim or len(frame)
        if "shape" in values:
            typed = values["shape"]
            typed = (typed,) * len(frame) if isinstance(typed, int) else typed
            shape = typed or _shape(frame, values.get("sigma"))
            values["shape"] = (1, *shape) if flat and len(shape) == 2 else shape[-ndim:]
        if self.has_voxels:
            if spacing is None:
                raise ValueError("the voxel size is not known, which this PSF needs; type it, in µm (z, y, x)")
            values["pixel_size"] = (spacing[0], *spacing) if flat else spacing[-ndim:]
        psf = self.function(**values)
        return psf[0] if flat else psf


def _shape(frame: tuple[int, ...], sigma: Any) -> tuple[int, ...]:
    """Odd, and not larger than the image without need."""
    if sigma is None:
        return tuple(min(n - 1 + n % 2, WIDEST) for n in frame)
    sigmas = np.broadcast_to(np.asarray(sigma, dtype=float), len(frame))
    return tuple(2 * int(np.ceil(REACH * s)) + 1 for s in sigmas)


FORMULAS = (
    Formula("gaussian", "Gaussian", 0, {"sigma": "1.5"}),
    Formula("disk", "disk (out of focus)", 2, {"radius": "3"}),
    Formula("motion", "motion", 2, {"length": "9"}),
    Formula("moffat", "Moffat (stars)", 2, {"fwhm": "3"}),
    Formula("airy", "Airy (in focus)", 2, {"wavelength": "0.52", "na": "1.2"}),
    Formula("born_wolf", "widefield, perfect lens (Born-Wolf)", 3, {"wavelength": "0.52", "na": "1.4"}),
    Formula("gibson_lanni", "widefield, with depth (Gibson-Lanni)", 3, {"wavelength": "0.52", "na": "1.4"}),
    Formula("confocal", "confocal", 3, {"wavelength": "0.52", "excitation_wavelength": "0.488", "na": "1.4"}),
    Formula("spinning_disk", "spinning disk", 3, {"wavelength": "0.52", "excitation_wavelength": "0.488", "na": "1.4"}),
    Formula("light_sheet", "light sheet", 3, {"wavelength": "0.52", "na": "0.8", "thickness": "2.5"}),
)
