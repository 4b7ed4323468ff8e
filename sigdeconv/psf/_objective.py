"""What a microscope's PSF is asked with: window, objective and mounting, checked, and the plane that is the origin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .._array import choice, number
from ._diffraction import Lens, best_focus
from ._voxels import COARSEST, Window
from .kernels import COARSEST_PIXEL, FIRST_ZERO, _numbers, _shape

LIGHT = (0.1, 10.0)  # µm; a wavelength outside is in another unit
SMALLEST_NA = 1e-3
DENSEST = 5.0  # refractive index; there is no such medium
LONGEST_DISTANCE = 2e5  # µm; no objective is farther from the specimen
FINEST_PIXEL = 1e-6  # wavelengths; a smaller one is a slip, and its area is lost in rounding


def number_or_inf(value: float, name: str, *, minimum: float = -math.inf, above: float = -math.inf) -> float:
    """A number within its bounds, or infinity."""
    if isinstance(value, (float, np.floating)) and value == math.inf:
        return math.inf
    return number(value, name, minimum=minimum, above=above)


def light(wavelength: float, name: str = "wavelength") -> float:
    """A vacuum wavelength in micrometre."""
    value = number(wavelength, name, above=0.0)
    if not LIGHT[0] <= value <= LIGHT[1]:
        raise ValueError(
            f"{name} is {value:g} µm; light has {LIGHT[0]:g} to {LIGHT[1]:g} µm, give micrometres: 0.52 for 520 nm"
        )
    return value


def objective(
    na: float,
    *,
    depth: float,
    sample_index: float,
    immersion_index: float,
    design_immersion_index: float | None,
    coverslip_index: float,
    design_coverslip_index: float,
    coverslip_thickness: float,
    design_coverslip_thickness: float,
    working_distance: float,
) -> Lens:
    """The objective, with the layers in which the light takes another path than by the design."""
    below = number(depth, "depth", minimum=0.0)
    free = number(working_distance, "working_distance", above=0.0, maximum=LONGEST_DISTANCE)
    if below > free:
        raise ValueError(
            f"depth is {below:g} µm but working_distance is {free:g} µm, past which the objective cannot focus; pass "
            f"the objective's working_distance"
        )
    sample, ni, ng, ng0 = (
        number(value, name, minimum=1.0, maximum=DENSEST)
        for value, name in (
            (sample_index, "sample_index"),
            (immersion_index, "immersion_index"),
            (coverslip_index, "coverslip_index"),
            (design_coverslip_index, "design_coverslip_index"),
        )
    )
    ni0 = ni
    if design_immersion_index is not None:
        ni0 = number(design_immersion_index, "design_immersion_index", minimum=1.0, maximum=DENSEST)
    tg, tg0 = (
        number(value, name, minimum=0.0, maximum=LONGEST_DISTANCE)
        for value, name in (
            (coverslip_thickness, "coverslip_thickness"),
            (design_coverslip_thickness, "design_coverslip_thickness"),
        )
    )
    passed = [(ni, "immersion_index")]
    if (tg, ng, ni) == (tg0, ng0, ni0):
        return Lens(_aperture(na, passed), ni, sample=(below, sample))
    # The immersion's thickness at which a particle at the coverslip is in focus, for rays near the axis.
    ti = ni * (free / ni0 + tg0 / ng0 - tg / ng)
    if ti <= 0:
        raise ValueError(
            f"coverslip_thickness is {tg:g} µm, for which a working_distance of {free:g} µm leaves no room; pass the "
            f"objective's working_distance"
        )
    passed += [(ng, "coverslip_index")] * (tg > 0) + [(ng0, "design_coverslip_index")] * (tg0 > 0)
    passed += [(ni0, "design_immersion_index")]
    layers = ((tg, ng), (-tg0, ng0), (ti, ni), (-free, ni0))
    return Lens(_aperture(na, passed), ni, layers, (below, sample))


def perfect(na: float, immersion_index: float, paraxial: bool) -> Lens:
    """An objective without errors; `paraxial` makes its defocus a parabola over the pupil."""
    index = number(immersion_index, "immersion_index", minimum=1.0, maximum=DENSEST)
    return Lens(_aperture(na, [(index, "immersion_index")]), index, paraxial=paraxial)


def _aperture(na: float, passed: list[tuple[float, str]]) -> float:
    value = number(na, "na", minimum=SMALLEST_NA)
    for index, name in passed:
        if value >= index:
            raise ValueError(
                f"na is {value:g} but {name} is {index:g}; pass an aperture below the refractive index, which is 1 in "
                f"air, 1.33 in water and 1.515 in oil"
            )
    return value


def window(
    shape: int | Sequence[int], pixel_size: float | Sequence[float], lens: Lens, *wavelengths: float, along: float = 0.0
) -> Window:
    """The window for a product of intensities of these wavelengths, and of what has `along` cycles along the axis."""
    size = _shape((shape,) * 3 if isinstance(shape, (int, np.integer)) else shape)
    if len(size) != 3:
        raise ValueError(f"shape has {len(size)} entries; 3 are wanted: z, y, x. For one plane pass (1, y, x)")
    pixel = _numbers(pixel_size, 3, "pixel_size", above=0.0)
    shortest = min(wavelengths)
    if min(pixel) < FINEST_PIXEL * shortest:
        raise ValueError(
            f"pixel_size is {pixel_size!r} µm, next to nothing beside a wavelength of {shortest:g} µm; give both in µm"
        )
    if 2 * math.pi * lens.na * max(pixel[1:]) / shortest > COARSEST_PIXEL * FIRST_ZERO:
        raise ValueError(
            f"pixel_size is {pixel_size!r} µm but the Airy disk has a radius of {0.61 * shortest / lens.na:.3g} µm; "
            f"give wavelength and pixel_size in µm, the latter in the specimen (camera pixel / magnification)"
        )
    rate = sum(1 / wavelength for wavelength in wavelengths)
    if lens.detail * rate * pixel[0] > COARSEST:
        raise ValueError(
            f"pixel_size is {pixel[0]:g} µm along z but the focus is {1 / (lens.detail * rate):.3g} µm deep; give the "
            f"step of the stage in µm"
        )
    return Window(size, tuple(pixel), 2 * lens.na * rate, lens.detail * rate + along)


def origin_plane(lens: Lens, origin: str, *wavelengths: float) -> float:
    """Position of the focus at the plane that is the origin: as far as the stage has moved since the coverslip."""
    if choice(origin, ("best", "nominal"), "origin") == "best":
        return best_focus(lens, wavelengths)
    return best_focus(replace(lens, sample=(0.0, lens.sample[1])), wavelengths) + lens.sample[0]
