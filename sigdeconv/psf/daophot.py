"""PSFs that DAOPHOT fitted to the stars of a frame: a function, and tables of what it leaves at each place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._array import Array, floating, is_numpy, kind, number, per_axis

Numbers = np.ndarray[Any, Any]

NODES = 4  # of DAOPHOT's quadrature over a pixel along an axis; its tables hold what this leaves of the stars
HALF = np.log(2)  # a Gaussian ``exp(-HALF r²)`` has fallen to half at r = 1
TERMS = {-1: 0, 0: 1, 1: 3, 2: 6}  # tables of the polynomial, by its order
PHASES = 5  # more tables where the frame is undersampled, and the PSF depends on where in its pixel a star lies
PARAMETERS = {"gauss": 2, "lorentz": 3, "moffat15": 4, "moffat25": 4, "penny1": 4, "penny2": 5}


class DaophotPSF(NamedTuple):
    """What `from_daophot` gives: the arguments of `VaryingConvolution`.

    Parameters
    ----------
    psfs : ndarray, shape (terms, ky, kx)
        The terms of the model: the mean PSF over DAOPHOT's field, and then its changes with the place, which have
        negative samples. Origin at sample ``n // 2`` of both axes.
    weights : ndarray, shape (terms, y, x)
        How much of each term there is at each pixel; with these the PSF has the sum 1 at every place.
    """

    psfs: Numbers
    weights: Numbers


def from_daophot(
    header: Mapping[str, Any],
    tables: Array | None,
    frame: int | Sequence[int],
    shape: int | Sequence[int] | None = None,
    *,
    corner: Sequence[int] = (0, 0),
) -> DaophotPSF:
    """The varying PSF of a frame from the file that IRAF's DAOPHOT wrote of it.

    Parameters
    ----------
    header : mapping
        Header of the PSF image: FUNCTION, PSFHEIGH, PSFX, PSFY, VARORDER, and the parameters PAR1, PAR2, ...
    tables : ndarray, shape (terms, n, n) or (n, n), or None
        Samples of that image: what the function leaves of the stars, every half pixel. None if VARORDER is −1.
    frame : int or (int, int)
        Shape of the frame whose PSF is wanted.
    shape : int or (int, int), optional
        Shape of the PSFs. By default odd, and all that the tables hold; it must be given without tables.
    corner : (int, int)
        Pixel (y, x) of DAOPHOT's frame that is the first one of `frame`, where this is a part of it.

    Returns
    -------
    DaophotPSF
        ``(psfs, weights)``, of the dtype of the tables.

    Raises
    ------
    KeyError
        The header lacks an entry.
    TypeError, ValueError
        The tables are no NumPy array or of another shape than the header says, the function is unknown, an entry of
        the header is not a number, or the PSFs would be larger than the tables.

    Notes
    -----
    The PSF of a star at column c and row r, from 0, is ``h f + sum_k b_k(x, y) T_k`` with ``x = c / PSFX - 1`` and
    ``y = r / PSFY - 1`` [1]_, [2]_. Here f is one of six functions, averaged over the pixel by the quadrature that
    DAOPHOT uses, h its height, T_k are the tables, and the b_k Legendre's polynomials 1, x, y, (3x² - 1) / 2, x y,
    (3y² - 1) / 2 up to the order of VARORDER. So the first table is no PSF, but the mean residual of one, and the PSF
    in the middle of the field needs the quadratic terms as well. With FEXPAND the tables of the phase are taken for a
    star in the middle of its pixel.

    DAOPHOT lets the tables after the first have no light, so that all stars are alike in theirs; here the sum is 1 at
    every place after the PSFs are cropped to `shape`. A polynomial can dip below zero far from the stars it was fitted
    to. `richardson_lucy` refuses a model that does so by more than a small share of the light; then clip it on a mesh:
    ``blur.psf_at(place).clip(0)`` goes to `VaryingConvolution.from_grid`. Past the ends of the field the polynomial
    is extrapolated, which no star supports.

    References
    ----------
    .. [1] P. B. Stetson, "DAOPHOT: a computer program for crowded-field stellar photometry", Publications of the
       Astronomical Society of the Pacific 99, 191-222 (1987). https://doi.org/10.1086/131977
    .. [2] L. E. Davis, "A Reference Guide to the IRAF/DAOPHOT Package", National Optical Astronomy Observatories
       (1994).

    Examples
    --------
    >>> import numpy as np
    >>> import sigdeconv
    >>> header = {"FUNCTION": "moffat25", "PSFHEIGH": 1.0, "PSFX": 49.5, "PSFY": 49.5, "VARORDER": 1}
    >>> header |= {"PAR1": 1.2, "PAR2": 1.0, "PAR3": 0.0, "PAR4": 2.5}
    >>> tables = np.zeros((3, 47, 47))           # as from sigdeconv.io.read("psf.fits"): .header and .data
    >>> tables[1, 23, 23 + 4] = 0.2              # more light two pixels to the right, the farther right in the frame
    >>> model = from_daophot(header, tables, (100, 100), 15)
    >>> blur = sigdeconv.VaryingConvolution(*model, (100, 100))
    >>> [round(float(blur.psf_at((50, column))[7, 9]), 3) for column in (50, 99)]
    [0.027, 0.046]
    """
    size = per_axis(frame, 2, "frame", minimum=1)
    start = _place(corner)
    order = _order(header)
    given, dtype = _tables(tables, order, bool(header.get("FEXPAND", False)))
    across = None if given is None else (given.shape[-1] - 1) // 2
    inner = _shape(shape, None if across is None else across // 2 * 2 + 1)
    psfs = np.zeros((max(TERMS[order], 1), *inner))
    psfs[0] = number(_height(header), "PSFHEIGH") * _analytic(header, inner)
    if given is not None:
        # Half-pixel steps about the middle: whole pixels are every second sample from there.
        parts = [slice(across - 2 * (n // 2), across + 2 * (n - n // 2) - 1, 2) for n in inner]  # type: ignore[operator]
        psfs += given[:, parts[0], parts[1]]
    u, v = (
        (np.arange(n) + first) / number(header[key], key, above=0.0) - 1
        for n, first, key in zip(size, start, ("PSFY", "PSFX"), strict=True)
    )
    weights = _legendre(v[None, :], u[:, None])[: len(psfs)]
    sums = np.tensordot(psfs.sum(axis=(1, 2)), weights, 1)
    if not sums.min() > 0:
        raise ValueError(f"the PSF has the sum {sums.min():.3g} at some place of the frame; one above 0 is wanted")
    return DaophotPSF(psfs.astype(dtype), (weights / sums).astype(dtype))


def _legendre(x: Numbers, y: Numbers) -> Numbers:
    """The polynomials of DAOPHOT; x and y are broadcast against each other."""
    one = np.ones(np.broadcast_shapes(x.shape, y.shape))
    return np.stack([one, x * one, y * one, (1.5 * x**2 - 0.5) * one, x * y, (1.5 * y**2 - 0.5) * one])


def _place(corner: Sequence[int]) -> list[int]:
    entries = np.asarray(corner)
    if entries.shape != (2,) or entries.dtype.kind not in "iu":
        raise ValueError(f"corner is {corner!r}; two whole numbers are wanted, (y, x)")
    return [int(v) for v in entries]


def _order(header: Mapping[str, Any]) -> int:
    order = header["VARORDER"]
    if order not in TERMS:
        raise ValueError(f"VARORDER is {order!r}; one of {', '.join(map(str, TERMS))} is wanted")
    return int(order)


def _height(header: Mapping[str, Any]) -> Any:
    """FITS knows eight letters, IRAF's own images more."""
    return header["PSFHEIGHT"] if "PSFHEIGHT" in header else header["PSFHEIGH"]


def _tables(tables: Array | None, order: int, phases: bool) -> tuple[Numbers | None, Any]:
    """One table for each polynomial in float64, those of the phase taken into the first, and the dtype of a result."""
    count = TERMS[order] + PHASES * phases
    if count == 0 or tables is None:
        if count:
            raise ValueError(f"tables is None, but VARORDER is {order}; {count} tables are wanted")
        return None, np.float64
    checked = floating(tables, "tables")
    if not is_numpy(checked):
        raise TypeError(f"tables is a {kind(checked)}; a NumPy array is wanted, such as np.asarray(tables) on the host")
    shape = checked.shape if checked.ndim == 3 else (1, *checked.shape)
    if len(shape) != 3 or shape[0] != count or shape[1] != shape[2] or shape[1] % 2 == 0 or shape[1] < 3:
        raise ValueError(
            f"tables has shape {checked.shape}; ({count}, n, n) with an odd n from 3 is wanted, since VARORDER is "
            f"{order}" + (" and FEXPAND is set" if phases else "")
        )
    result = np.zeros((max(TERMS[order], 1), *shape[1:]))
    given = checked.reshape(shape).astype(np.float64)
    result[: TERMS[order]] = given[: TERMS[order]]
    if phases:  # x, y, (3x² - 1) / 2, x y, (3y² - 1) / 2 at x = y = 0
        result[0] -= 0.5 * (given[-3] + given[-1])
    return result, checked.dtype


def _shape(shape: int | Sequence[int] | None, most: int | None) -> tuple[int, ...]:
    if shape is None:
        if most is None:
            raise ValueError("shape is None, but a PSF without tables has no end; pass the shape that is wanted")
        return most, most
    inner = per_axis(shape, 2, "shape", minimum=1)
    if most is not None and max(inner) > most:
        raise ValueError(f"shape is {shape!r}, but the tables reach over {most} pixels; pass {most} or less")
    return inner


def _analytic(header: Mapping[str, Any], shape: Sequence[int]) -> Numbers:
    """The function of the header, averaged over the pixels."""
    name = str(header["FUNCTION"]).strip()
    if name not in PARAMETERS:
        raise ValueError(f"FUNCTION is {name!r}; one of {', '.join(PARAMETERS)} is wanted")
    parameters = [number(header[f"PAR{k}"], f"PAR{k}") for k in range(1, PARAMETERS[name] + 1)]
    if min(parameters[:2]) <= 0:
        raise ValueError(f"PAR1 and PAR2 are {parameters[:2]}; half widths above 0 are wanted")
    function = _function(name, *parameters)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    result = np.zeros(tuple(shape))
    rows, columns = (np.arange(n) - float(n // 2) for n in shape)
    for node_y, weight_y in zip(nodes / 2, weights / 2, strict=True):
        for node_x, weight_x in zip(nodes / 2, weights / 2, strict=True):
            result += weight_y * weight_x * function(columns[None, :] + node_x, rows[:, None] + node_y)
    return result


def _function(name: str, a: float, b: float, *more: float) -> Callable[[Numbers, Numbers], Numbers]:
    """DAOPHOT's functions of the distance (x, y) from the star; a and b are half widths at half maximum."""

    def tilted(x: Numbers, y: Numbers, tilt: float) -> Numbers:
        result: Numbers = (x / a) ** 2 + (y / b) ** 2 + tilt * x * y
        return result

    if name == "gauss":
        return lambda x, y: np.exp(-HALF * tilted(x, y, 0.0)) / (a * b)
    if name == "lorentz":
        return lambda x, y: 1 / (1 + tilted(x, y, more[0]))
    if name.startswith("moffat"):
        tilt, beta = more
        return lambda x, y: (beta - 1) / (a * b * (1 + (2 ** (1 / beta) - 1) * tilted(x, y, tilt)) ** beta)
    # Penny's functions: a Gaussian core and Lorentz's wings, in the first along the axes, in the second tilted too.
    share, core, wings = (*more, 0.0)[:3]
    return lambda x, y: share * np.exp(-HALF * tilted(x, y, core)) + (1 - share) / (1 + tilted(x, y, wings))
