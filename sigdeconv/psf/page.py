"""A page on a PSF: its sections, profiles with their widths, how its energy is spread, and the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._array import Array, choice
from ._fitting import _fitted, _gaussian, _widths
from ._host import host
from .kernels import _numbers
from .sampling import crop
from .widths import fit_moffat

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Numbers = np.ndarray[Any, Any]

COLOURS = {"z": "#0072b2", "y": "#d55e00", "x": "#009e73"}  # told apart by colour-blind eyes
DARKEST = 1e-4  # of the peak, where a logarithmic scale ends
PAGES = {1: (13.0, 4.2), 2: (11.0, 8.4), 3: (13.0, 8.4)}  # inches, by the number of axes
NARROW = 0.6  # width over height of a panel that has room for few numbers only
SHARES = (0.5, 0.8, 0.95)  # of the energy, whose radii are listed


def report(
    psf: Array,
    pixel_size: float | Sequence[float] | None = None,
    *,
    unit: str = "µm",
    scale: str = "sqrt",
    title: str | None = None,
) -> Figure:
    """Draw a page on a PSF: sections, line profiles with widths, encircled energy and a table of numbers.

    Parameters
    ----------
    psf : array
        PSF of one to three axes.
    pixel_size : float or sequence of float, optional
        Size of a sample, one for all axes or one an axis (z, y, x). By default all is drawn in pixels.
    unit : str, default "µm"
        What `pixel_size` is given in, as it is to be written: ``"arcsec"``, ``"nm"``, ...
    scale : {"sqrt", "log"}, default "sqrt"
        Scale of the sections' brightness and of the profiles: the square root, or the logarithm down to 1e-4 of the
        peak. Negative samples are drawn as 0.
    title : str, optional
        Line above the page.

    Returns
    -------
    matplotlib.figure.Figure
        The page; ``figure.savefig("psf.png", dpi=150)`` writes it. It belongs to no window.

    Raises
    ------
    ImportError
        Matplotlib is missing.
    TypeError, ValueError
        The PSF is empty, not real or not finite, has more than three axes or no positive sample, or an option does not
        fit it.

    Notes
    -----
    Sections go through the origin, sample ``n // 2``, at which the axes count 0. Profiles go through the
    brightest sample, where `fwhm` measures; the line over them is the Gaussian of `fit_gaussian`, as the pixels record
    it. Energy is counted from the origin: in a circle and in a square of a plane, for a volume in the sum over z, and
    between two planes along z. What such a page is looked at for is told by Cole et al. [1]_.

    References
    ----------
    .. [1] R. W. Cole, T. Jinadasa and C. M. Brown, "Measuring and interpreting point spread functions to determine
       confocal microscope resolution and ensure quality control", Nature Protocols 6, 1929-1941 (2011).
       https://doi.org/10.1038/nprot.2011.407

    Examples
    --------
    >>> from sigdeconv.psf import gaussian
    >>> figure = report(gaussian((25, 31, 31), (4, 2, 2)), (0.2, 0.1, 0.1))
    >>> figure.savefig("psf.png")  # doctest: +SKIP
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("report draws with matplotlib, which is missing: pip install sigdeconv[plots]") from error
    psf, samples, _ = host(psf)
    choice(scale, ("sqrt", "log"), "scale")
    sizes = _numbers(1.0 if pixel_size is None else pixel_size, samples.ndim, "pixel_size", above=0.0)
    unit = "pixels" if pixel_size is None else unit
    samples = samples / samples.max()
    total = float(np.maximum(samples, 0).sum())

    figure: Any = Figure(figsize=PAGES[samples.ndim], layout="constrained")
    figure.suptitle(title or f"Point spread function, {' × '.join(map(str, samples.shape))} samples")
    if samples.ndim == 2:
        left, right = figure.subfigures(1, 2, width_ratios=(1, 1.05))
        sections, lower = left.subfigures(2, 1, height_ratios=(1.2, 1))
        _draw_sections(sections, samples, sizes, unit, scale)
        energy = lower.subplots()
        profiles, table = right.subplots(2, 1, height_ratios=(1.2, 1))
    else:
        upper, lower = figure.subfigures(2, 1, height_ratios=(1.15, 1)) if samples.ndim == 3 else (None, figure)
        if upper is not None:
            _draw_sections(upper, samples, sizes, unit, scale)
        profiles, energy, table = lower.subplots(1, 3, width_ratios=(1, 0.9, 1.35))
    rows = _draw_profiles(profiles, samples, sizes, unit, scale)
    rows += _draw_energy(energy, np.maximum(samples, 0) / total, sizes, unit)
    _draw_table(table, rows + _shape_rows(samples, sizes), unit, "zyx"[-samples.ndim :])
    page: Figure = figure
    return page


def _draw_sections(figure: Any, samples: Numbers, sizes: list[float], unit: str, scale: str) -> None:
    from matplotlib.colors import LogNorm, Normalize, PowerNorm

    norm: Normalize = LogNorm(DARKEST, 1, clip=True) if scale == "log" else PowerNorm(0.5, 0, 1, clip=True)
    names = "zyx"[-samples.ndim :]
    origin = [n // 2 for n in samples.shape]
    spans = [((-o - 0.5) * s, (n - o - 0.5) * s) for n, o, s in zip(samples.shape, origin, sizes, strict=True)]
    pairs = [(-2, -1)] if samples.ndim == 2 else [(-2, -1), (-3, -1), (-3, -2)]
    # Panels as wide as what they show, so that one scale serves all of them.
    widths = [spans[across][1] - spans[across][0] for _, across in pairs]
    heights = [spans[down][1] - spans[down][0] for down, _ in pairs]
    ratios = [max(w / h, 0.25) for w, h in zip(widths, heights, strict=True)]
    panels = figure.subplots(1, len(pairs), squeeze=False, width_ratios=ratios)[0]
    for panel, (down, across) in zip(panels, pairs, strict=True):
        index = [slice(None) if axis - samples.ndim in (down, across) else o for axis, o in enumerate(origin)]
        section = np.maximum(samples[tuple(index)], 0)
        # The row of largest y is drawn lowest, as in an image.
        drawn = panel.imshow(
            section,
            norm=norm,
            cmap="magma",
            extent=(*spans[across], spans[down][1], spans[down][0]),
            interpolation="nearest",
        )
        panel.set(xlabel=f"{names[across]} / {unit}", ylabel=f"{names[down]} / {unit}")
        panel.set_title(f"{names[across]}{names[down]} section", fontsize="medium")
        if (spans[across][1] - spans[across][0]) < NARROW * (spans[down][1] - spans[down][0]):
            panel.locator_params(axis="x", nbins=2)
            panel.tick_params(axis="x", labelsize="small")
    figure.colorbar(
        drawn, ax=list(panels), label=f"intensity / peak ({'log' if scale == 'log' else 'square root'} scale)"
    )


def _draw_profiles(panel: Axes, samples: Numbers, sizes: list[float], unit: str, scale: str) -> list[list[str]]:
    """The lines through the brightest sample; gives the rows of the table that tell their widths."""
    peak = np.unravel_index(samples.argmax(), samples.shape)
    measured = [width * size for width, size in zip(_widths(samples), sizes, strict=True)]
    fit = _fitted(samples, _gaussian, []) if min(samples.shape) >= 3 else None
    for axis, name in enumerate("zyx"[-samples.ndim :]):
        n, size, colour = samples.shape[axis], sizes[axis], COLOURS[name]
        line = np.moveaxis(samples, axis, -1)[tuple(np.delete(peak, axis))]
        places = (np.arange(n) - n // 2) * size
        known = "" if math.isnan(measured[axis]) else f": FWHM {measured[axis]:.3g} {unit}"
        panel.plot(places, line, "o", color=colour, markersize=3, label=name + known)
        if fit is not None:
            widths, _, centre, _, height = fit
            fine = np.linspace(-0.5, n - 0.5, 20 * n)
            at = [fine - c if k == axis else np.array([peak[k] - c]) for k, c in enumerate(centre)]
            curve = height * _gaussian(at, widths, np.empty(0)).ravel()
            panel.plot((fine - n // 2) * size, curve, color=colour, linewidth=1)
    panel.plot([], [], color="0.4", linewidth=1, label="fitted Gaussian")
    if scale == "log":
        panel.set(yscale="log", ylim=(DARKEST, 1.5))
    else:
        panel.set_yscale("function", functions=(lambda v: np.sign(v) * np.sqrt(np.abs(v)), lambda v: np.sign(v) * v**2))
        panel.set(ylim=(0, 1.1), yticks=[0, 0.01, 0.1, 0.25, 0.5, 1])
    panel.set(xlabel=f"distance from the origin / {unit}", ylabel="intensity / peak")
    panel.set_title("profiles through the brightest sample", fontsize="medium")
    panel.legend(fontsize="small", framealpha=0.5, edgecolor="none", loc="upper right")
    rows = [["FWHM, measured", *(_text(width) for width in measured)]]
    if fit is not None:
        widths, _, centre, residual, _ = fit
        rows.append(["FWHM, Gaussian", *(_text(w * s) for w, s in zip(widths, sizes, strict=True))])
        rows.append(["centre, in samples", *(f"{c - n // 2:+.2f}" for c, n in zip(centre, samples.shape, strict=True))])
        rows.append(["residual, Gaussian", f"{residual:.1%}"])
    return rows


def _draw_energy(panel: Axes, light: Numbers, sizes: list[float], unit: str) -> list[list[str]]:
    """Share of the light within a distance; gives the rows of the table that tell at which the shares are reached."""
    places = [np.abs(np.arange(n) - n // 2) * s for n, s in zip(light.shape, sizes, strict=True)]
    curves = {}
    if light.ndim > 1:
        plane = light.sum(axis=tuple(range(light.ndim - 2)))
        y, x = places[-2][:, None], places[-1][None, :]
        curves["in a circle, radius"] = (*_within(np.hypot(y, x), plane), COLOURS["x"])
        curves["in a square, half side"] = (*_within(np.maximum(y, x), plane), COLOURS["y"])
    if light.ndim != 2:
        along = light.sum(axis=tuple(range(1, light.ndim)))
        name = "between planes, |z|" if light.ndim == 3 else "to both sides, |x|"
        curves[name] = (*_within(places[0], along), COLOURS["z"])
    rows = []
    for name, (distance, share, colour) in curves.items():
        panel.plot(distance, share, color=colour, label=name)
        reached = [_text(float(np.interp(s, share, distance))) if share[0] < s else "0" for s in SHARES]
        rows.append([f"{', '.join(f'{s:.0%}' for s in SHARES)} {name}", ", ".join(reached)])
    panel.set(xlabel=f"distance from the origin / {unit}", ylabel="share of the energy", ylim=(0, 1.02), xlim=(0, None))
    panel.grid(color="0.9")
    panel.set_title("energy", fontsize="medium")
    panel.legend(fontsize="small", frameon=False, loc="lower right")
    return rows


def _within(distance: Numbers, light: Numbers) -> tuple[Numbers, Numbers]:
    radii, which = np.unique(np.round(distance.ravel() / distance.max(initial=1e-300), 9), return_inverse=True)
    return radii * distance.max(), np.cumsum(np.bincount(which.ravel(), light.ravel()))


def _shape_rows(samples: Numbers, sizes: list[float]) -> list[list[str]]:
    rows = []
    if min(samples.shape) >= 3:
        moffat = fit_moffat(samples, sizes)
        rows.append(["FWHM, Moffat", *map(_text, moffat.fwhm)])
        rows.append(["beta, residual, Moffat", f"{moffat.beta:.3g}, {moffat.residual:.1%}"])
    cropped = crop(samples)
    rows.append(["99.9% in a box of", " × ".join(map(str, cropped.psf.shape))])
    rows.append(["largest sample / sum", _text(1 / float(samples.sum())) if samples.sum() > 0 else "–"])
    return rows


def _draw_table(panel: Axes, rows: list[list[str]], unit: str, names: str) -> None:
    panel.set_axis_off()
    step = 1 / (len(rows) + 1)
    columns = [0.46 + 0.54 * (k + 1) / len(names) for k in range(len(names))]
    for column, name in zip(columns, names, strict=True):
        panel.text(column, 1 - step / 2, f"{name} / {unit}", ha="right", va="center", weight="bold")
    for k, (label, *values) in enumerate(rows):
        height = 1 - (k + 1.5) * step
        panel.text(0, height, label, va="center")
        for column, value in zip(columns[-len(values) :] if len(values) > 1 else columns[-1:], values, strict=True):
            panel.text(column, height, value, ha="right", va="center")
        panel.axhline(height + step / 2, color="0.85", linewidth=0.6)
    panel.set(xlim=(0, 1), ylim=(0, 1))


def _text(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3g}"
