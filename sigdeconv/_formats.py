"""The file formats: how each is read into a `Picture` and how a `Picture` is written into it.

Nothing here rescales intensities. `io` opens the files, checks what goes in, and answers for the failures.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

DTYPES = ("uint8", "uint16", "float32", "float64")  #: what can be written
CLASSIC_TIFF = 2**32 - 2**25  # bytes: its offsets have 32 bits; the rest is room for tags
MICRONS = {"nm": 1e-3, "um": 1.0, "micron": 1.0, "microns": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6}
LOST_PAGES = ("invalid page offset", "corrupted", "failed to reshape")  # how tifffile logs that it goes on with less
# Keywords of a FITS file that are untrue of another one with the same header; astropy sees to the rest.
STALE = ("EXTNAME", "EXTVER", "INHERIT", "NEXTEND", "BSCALE", "BZERO", "BLANK", "CHECKSUM", "DATASUM")


@dataclass(frozen=True)
class Picture:
    """What a file holds.

    Parameters
    ----------
    data : ndarray
        The samples as stored: the file's dtype, in native byte order. Colours are on the last axis.
    axes : str
        A letter an axis: ``X``, ``Y``, ``Z``, ``T`` (time), ``C`` (channels), ``S`` (the colours of a pixel), and ``Q``
        where the file does not say.
    spacing : dict
        Voxel size in micrometres by letter, ``{"Z": 0.125, "Y": 0.0225, "X": 0.0225}``; what is unknown is absent.
    header : astropy.io.fits.Header, optional
        Of a FITS file.
    alpha : ndarray, optional
        The opacity of a PNG that is not opaque throughout; it is no part of `data`.
    profile : bytes, optional
        The ICC colour profile.
    history : str
        What was done to the samples, a line of a FITS header.
    notes : tuple of str
        What a user should know of the reading, such as a second series that was left out.
    """

    data: NDArray[Any]
    axes: str
    spacing: Mapping[str, float] = field(default_factory=dict)
    header: Any = None
    alpha: NDArray[Any] | None = None
    profile: bytes | None = None
    history: str = ""
    notes: tuple[str, ...] = ()

    @property
    def channel_axis(self) -> int | None:
        """The axis of colours or channels, where the file names one."""
        return next((self.axes.index(letter) for letter in "SC" if letter in self.axes), None)


class UnsuitableError(ValueError):
    """The file is sound, but what it holds cannot be used."""


class Format(NamedTuple):
    name: str
    read: Callable[[Path], Picture]
    write: Callable[[BinaryIO, Picture], None]
    dtypes: tuple[str, ...]


def default_axes(ndim: int) -> str:
    """What the axes of an array are called when nothing is known.

    Parameters
    ----------
    ndim : int
        Number of axes.

    Returns
    -------
    str
        A letter an axis, as in `Picture`: ``X``, ``YX``, ``QYX``, ...
    """
    return ("Q" * ndim + "YX")[-ndim:] if ndim > 1 else "X" * ndim


def _read_photo(path: Path) -> Picture:
    from PIL import Image, ImageOps

    with path.open("rb") as file:
        start = file.read(26)
    if start.startswith(b"\x89PNG") and len(start) == 26 and start[24] == 16 and start[25] != 0:
        raise UnsuitableError("it has 16-bit colours, which would be cut to 8 bits; save it as TIFF")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large pictures are what we are for
        with Image.open(path) as opened:
            opened.load()
            upright = ImageOps.exif_transpose(opened)
    if upright.mode == "CMYK":
        raise UnsuitableError("it has CMYK colours; save it as RGB")
    if upright.mode in ("P", "PA"):
        upright = upright.convert("RGBA" if "transparency" in upright.info or upright.mode == "PA" else "RGB")
    data, alpha = np.asarray(upright.convert("L") if upright.mode == "1" else upright), None
    if upright.mode in ("LA", "RGBA"):
        data, alpha = data[..., :-1], data[..., -1]
        data = data[..., 0] if upright.mode == "LA" else data
        alpha = alpha if alpha.min() < 255 else None
    return Picture(data, "YXS" if data.ndim == 3 else "YX", alpha=alpha, profile=upright.info.get("icc_profile"))


def _write_photo(file: BinaryIO, picture: Picture, kind: str) -> None:
    from PIL import Image

    data, alpha = picture.data, picture.alpha
    if kind == "PNG" and alpha is not None and alpha.shape == data.shape[:2] and alpha.dtype == data.dtype:
        data = np.dstack([data, alpha])
    options: dict[str, Any] = {"icc_profile": picture.profile} if picture.profile else {}
    if kind == "JPEG":
        options |= {"quality": 95, "subsampling": 0}  # restored edges should outlive the file
    Image.fromarray(np.ascontiguousarray(data)).save(file, format=kind, **options)


def _read_tiff(path: Path) -> Picture:
    import tifffile

    with _tifffile_log() as log, tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        data, axes = series.asarray(), series.axes
        others = len(tiff.series) - 1
        spacing = tiff_spacing(tiff)
        rgb = getattr(series.keyframe, "photometric", None) == tifffile.PHOTOMETRIC.RGB
        len(tiff.pages)  # walks the chain of pages to its end, so that a missing one is noticed
    lost = next((line for line in log if any(words in line for words in LOST_PAGES)), None)
    if lost is not None:
        raise ValueError(f"it is truncated ({lost})")
    axes = "".join(letter if letter in "TZCYXS" else "Q" for letter in axes)
    if "S" in axes:
        data, axes = np.moveaxis(data, axes.index("S"), -1), axes.replace("S", "") + "S"
    notes = [f"it holds {others + 1} series; the first, of shape {data.shape}, is read"] if others else []
    if rgb and axes[-1] == "S" and data.shape[-1] == 4:
        data = data[..., :3]
        notes.append("its opacity is left out")
    known = {letter: spacing[letter] for letter in "ZYX" if letter in axes and letter in spacing}
    return Picture(data, axes, known, notes=tuple(notes))


@contextmanager
def _tifffile_log() -> Iterator[list[str]]:
    """What tifffile complains of: it logs, and returns fewer pages, where others raise."""
    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tifffile")
    propagates = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates


def _microns(unit: str) -> float | None:
    return MICRONS.get(unit.replace("\\u00B5", "u").replace("µ", "u").replace("μ", "u").strip())


def tiff_spacing(tiff: Any) -> dict[str, float]:
    """Voxel size in micrometres by letter, of an open TIFF file."""
    return _imagej_spacing(tiff) if tiff.is_imagej else _ome_spacing(tiff) if tiff.is_ome else {}


def _imagej_spacing(tiff: Any) -> dict[str, float]:
    meta, tags, spacing = tiff.imagej_metadata or {}, tiff.pages[0].tags, {}
    for letter, tag in (("X", "XResolution"), ("Y", "YResolution")):
        scale = _microns(str(meta.get(f"{letter.lower()}unit", meta.get("unit", ""))))
        if scale and tag in tags and tags[tag].value[0]:
            per_unit = tags[tag].value
            spacing[letter] = scale * per_unit[1] / per_unit[0]
    scale = _microns(str(meta.get("zunit", meta.get("unit", ""))))
    if scale and meta.get("spacing"):
        spacing["Z"] = scale * abs(float(meta["spacing"]))
    return {letter: float(f"{size:.7g}") for letter, size in spacing.items()}  # resolution is stored as a fraction


def _ome_spacing(tiff: Any) -> dict[str, float]:
    from xml.etree import ElementTree

    pixels = ElementTree.fromstring(tiff.ome_metadata).find(".//{*}Pixels")
    spacing = {}
    for letter in "ZYX":
        size = None if pixels is None else pixels.get(f"PhysicalSize{letter}")
        scale = None if pixels is None else _microns(pixels.get(f"PhysicalSize{letter}Unit", "µm"))
        if size and scale:
            spacing[letter] = scale * float(size)
    return spacing


def _write_tiff(file: BinaryIO, picture: Picture) -> None:
    """As ImageJ writes it where ImageJ can, else as OME-TIFF, else with the axes alone."""
    import tifffile

    data, axes, spacing = picture.data, picture.axes, picture.spacing
    free = [letter for letter in "TCZ" if letter not in axes]
    for i in reversed([i for i, letter in enumerate(axes) if letter == "Q"]):
        axes = axes[:i] + free.pop() + axes[i + 1 :] if free else axes
    options: dict[str, Any] = {}
    if data.ndim > 1:
        options["photometric"] = "rgb" if "S" in axes and data.shape[-1] in (3, 4) else "minisblack"
    metadata: dict[str, Any] = {"axes": axes}
    big = data.nbytes > CLASSIC_TIFF
    in_order = axes == "".join(letter for letter in "TZCYXS" if letter in axes)
    for_imagej = data.dtype == np.uint8 if "S" in axes else data.dtype.name in ("uint8", "uint16", "float32")
    if in_order and "YX" in axes and for_imagej and not big:
        options["imagej"] = True
        if spacing:
            metadata |= {"unit": "um"} | ({"spacing": spacing["Z"]} if "Z" in spacing else {})
        if "X" in spacing and "Y" in spacing:
            options["resolution"] = (1 / spacing["X"], 1 / spacing["Y"])
        if data.dtype == np.float32:
            metadata |= {"min": float(np.nanmin(data)), "max": float(np.nanmax(data))}  # the range that is shown
    elif axes.endswith(("YX", "YXS")) and set(axes) <= set("TZCYXS") and len(set(axes)) == len(axes):
        options["ome"] = True
        for letter, size in spacing.items():
            metadata |= {f"PhysicalSize{letter}": size, f"PhysicalSize{letter}Unit": "µm"}
    tifffile.imwrite(file, np.ascontiguousarray(data), metadata=metadata, bigtiff=big, **options)


def astropy_fits(path: Path) -> Any:
    try:
        from astropy.io import fits
    except ImportError:
        raise ImportError(f"{path}: FITS files need astropy; run: pip install sigdeconv[fits]") from None
    return fits


def _read_fits(path: Path) -> Picture:
    fits = astropy_fits(path)
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*truncated.*")
        units = fits.open(file, memmap=False)
        for index, unit in enumerate(units):
            if unit.is_image and unit.data is not None:
                header = unit.header.copy()
                if index:
                    header.extend(units[0].header, unique=True)
                arrays = [u for u in units if u.is_image and u.header.get("NAXIS", 0)]
                notes = (f"it holds {len(arrays)} arrays; the first, of shape {unit.data.shape}, is read",)
                return Picture(
                    unit.data, default_axes(unit.data.ndim), header=header, notes=notes if len(arrays) > 1 else ()
                )
    raise UnsuitableError("none of its units holds an array")


def _write_fits(file: BinaryIO, picture: Picture) -> None:
    from astropy.io import fits

    header: Any = None if picture.header is None else picture.header.copy()
    for keyword in STALE if header is not None else ():
        header.remove(keyword, ignore_missing=True)
    unit = fits.PrimaryHDU(picture.data, header=header)
    if picture.history:
        plain = picture.history.encode("ascii", "replace").decode("ascii")  # a header holds nothing else
        unit.header.add_history(plain)
    unit.writeto(file)


def _read_npy(path: Path) -> Picture:
    data = np.load(path, allow_pickle=False)
    if not isinstance(data, np.ndarray):
        raise UnsuitableError("it is an archive; save the one array with numpy.save")
    return Picture(data, default_axes(data.ndim))


def _write_npy(file: BinaryIO, picture: Picture) -> None:
    np.save(file, picture.data, allow_pickle=False)


PNG = Format("PNG", _read_photo, lambda file, picture: _write_photo(file, picture, "PNG"), ("uint8", "uint16"))
JPEG = Format("JPEG", _read_photo, lambda file, picture: _write_photo(file, picture, "JPEG"), ("uint8",))
TIFF = Format("TIFF", _read_tiff, _write_tiff, DTYPES)
FITS = Format("FITS", _read_fits, _write_fits, DTYPES)
NPY = Format("NPY", _read_npy, _write_npy, DTYPES)
FORMATS = {".tif": TIFF, ".tiff": TIFF, ".png": PNG, ".jpg": JPEG, ".jpeg": JPEG, ".npy": NPY} | dict.fromkeys(
    (".fits", ".fit", ".fts"), FITS
)
