"""Files: arrays from them and into them with what they say of themselves. The only module that touches the disk.

Intensities are never rescaled. A file is written under a temporary name and renamed when whole, so that a failure
leaves neither half a result nor a damaged input. The formats themselves are in `_formats`.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._formats import DTYPES, FORMATS, Format, Picture, UnsuitableError, astropy_fits, default_axes

__all__ = ["DTYPES", "Picture", "Written", "check_output", "default_axes", "read", "write"]


class Written(NamedTuple):
    """What `write` did.

    Parameters
    ----------
    path : Path
        The file that was written; of a link, the one that it points to.
    dtype : str
        Of the samples in the file.
    clipped : int
        How many samples were clipped to the range of that dtype.
    """

    path: Path
    dtype: str
    clipped: int


def read(path: str | os.PathLike[str]) -> Picture:
    """The array in a PNG, JPEG, TIFF, FITS or NPY file, with its axes and voxel size.

    Parameters
    ----------
    path : path
        The file; its extension names the format.

    Returns
    -------
    Picture
        ``data`` of any real dtype; ``(y, x)``, ``(z, y, x)``, ``(y, x, colour)``, ... as ``axes`` says.

    Raises
    ------
    OSError
        The file is missing or may not be read.
    ValueError
        The extension is unknown, or the file is damaged, truncated, or holds no array of real numbers.
    ImportError
        A FITS file, and astropy is not installed.

    Notes
    -----
    Photographs are turned upright as their EXIF tag says. Of a TIFF file the first series is read, of a FITS file the
    first unit that holds an array.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "volume.tif"
    >>> volume = Picture(np.ones((3, 4, 5)), "ZYX", spacing={"Z": 0.2, "Y": 0.05, "X": 0.05})
    >>> write(path, 2 * volume.data, like=volume).dtype
    'float32'
    >>> read(path).axes, read(path).spacing
    ('ZYX', {'Z': 0.2, 'Y': 0.05, 'X': 0.05})
    >>> folder.cleanup()
    """
    path = Path(path)
    form = _format(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; check the name and the folder")
    if not path.is_file():
        raise IsADirectoryError(f"{path} is no file; pass one")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except PermissionError:
        raise PermissionError(f"{path} may not be read; check its permissions") from None
    if empty:
        raise ValueError(f"{path} is empty; a {form.name} file is wanted")
    try:
        picture = form.read(path)
    except (MemoryError, ImportError):
        raise
    except UnsuitableError as error:
        raise ValueError(f"{path}: {error}") from None
    except Exception as error:  # decoders raise anything at all on damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        remedy = (
            "pip install imagecodecs" if "imagecodecs" in reason else "is it whole, and of the format it is named for?"
        )
        raise ValueError(f"{path} cannot be read as {form.name}: {reason}; {remedy}") from error
    data = picture.data
    if data.dtype.kind not in "biuf":
        raise ValueError(f"{path} holds {data.dtype}; an array of real numbers is wanted")
    if not data.size:
        raise ValueError(f"{path} holds an empty array of shape {data.shape}; at least one sample is wanted")
    return replace(picture, data=data.astype(data.dtype.newbyteorder("="), copy=False))


def write(
    path: str | os.PathLike[str],
    data: NDArray[Any],
    *,
    like: Picture | None = None,
    dtype: str | None = None,
    overwrite: bool = False,
    clip: bool = False,
    history: str = "",
) -> Written:
    """Write an array, whole or not at all.

    Parameters
    ----------
    path : path
        The file; its extension names the format.
    data : ndarray
        Real numbers. They are never rescaled.
    like : Picture, optional
        Where axes, voxel size, header, opacity and colour profile come from: the picture that `data` was made of.
    dtype : {"uint8", "uint16", "float32", "float64"}, optional
        Of the samples in the file. By default float32, and in PNG and JPEG, which hold integers only, that of `like` or
        `data`. Integers are rounded.
    overwrite : bool
        Whether an existing file may be replaced.
    clip : bool
        Whether samples past the range of an integer dtype are clipped, and counted in the result, or refused.
    history : str
        What was done, for the header of a FITS file; other formats have no place for it.

    Returns
    -------
    Written
        ``(path, dtype, clipped)``.

    Raises
    ------
    OSError
        The file exists, its folder does not, or writing failed.
    ValueError
        The format cannot hold the array, or samples do not fit the dtype.
    ImportError
        A FITS file, and astropy is not installed.
    """
    data = np.asarray(data)
    target, form, dtype = _plan(path, data, like, dtype, overwrite)
    samples, clipped = _converted(data, dtype, clip, str(path))
    picture = replace(like or Picture(samples, ""), data=samples, axes=_axes(data, like), history=history)
    with _whole(target) as file:
        form.write(file, picture)
    return Written(target, dtype, clipped)


def check_output(
    path: str | os.PathLike[str],
    data: NDArray[Any],
    *,
    like: Picture | None = None,
    dtype: str | None = None,
    overwrite: bool = False,
) -> str:
    """Raise what `write` would raise for an array of a shape, before any work is done.

    Parameters
    ----------
    path : path
        The file that is to be written; its extension names the format.
    data : ndarray
        Any array of the shape and dtype that the result will have; its values do not matter.
    like : Picture, optional
        Where the axes come from, as in `write`.
    dtype : {"uint8", "uint16", "float32", "float64"}, optional
        Of the samples in the file, as in `write`.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    str
        The dtype that the samples will have in the file.

    Raises
    ------
    OSError
        The file exists, or its folder does not.
    ValueError
        The format cannot hold the array.
    ImportError
        A FITS file, and astropy is not installed.
    """
    return _plan(path, data, like, dtype, overwrite)[2]


def _format(path: Path) -> Format:
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        got = f"the extension {path.suffix!r}" if path.suffix else "no extension"
        raise ValueError(f"{path} has {got}; pass one of {', '.join(FORMATS)}")
    return form


def _axes(data: NDArray[Any], like: Picture | None) -> str:
    return like.axes if like is not None and len(like.axes) == data.ndim else default_axes(data.ndim)


def _plan(
    path: str | os.PathLike[str], data: NDArray[Any], like: Picture | None, dtype: str | None, overwrite: bool
) -> tuple[Path, Format, str]:
    # A link is followed: renaming onto it would replace the link and leave what it points to.
    target, form = Path(os.path.realpath(path)), _format(Path(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path} lies in a folder that does not exist; make {target.parent} first")
    if target.exists() and not target.is_file():
        raise FileExistsError(f"{path} is no file; pass another name")
    if target.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; pass another name, or overwrite")
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(f"{path} lies in a folder that may not be written to; pass another folder")
    if form.name == "FITS":
        astropy_fits(Path(path))
    if data.ndim == 0 or data.size == 0 or data.dtype.kind not in "biuf":
        raise ValueError(f"{path}: got {data.dtype} of shape {data.shape}; a non-empty array of real numbers is wanted")
    whole = "float32" in form.dtypes
    source = (data if data.dtype.name in form.dtypes or like is None else like.data).dtype.name
    chosen = dtype or ("float32" if whole else source)
    if chosen not in form.dtypes:
        known = [d for d in form.dtypes if d in DTYPES]
        raise ValueError(
            f"{path}: {form.name} cannot hold {chosen}; pass dtype {' or '.join(known)}, or write a .tif file"
        )
    if not whole:
        axes = _axes(data, like)
        colour = data.ndim == 3 and data.shape[-1] == 3 and (axes[-1] == "S" or axes[0] == "Q")
        if data.ndim != 2 and not colour:
            raise ValueError(f"{path}: {form.name} holds (y, x) or (y, x, 3), got {data.shape}; write a .tif file")
        if colour and chosen == "uint16":
            raise ValueError(f"{path}: 16-bit colours are not written to PNG; pass dtype uint8, or write a .tif file")
    return target, form, chosen


def _converted(data: NDArray[Any], dtype: str, clip: bool, path: str) -> tuple[NDArray[Any], int]:
    """The samples in another dtype, and how many of them had to be clipped."""
    if dtype.startswith("float"):
        try:
            with np.errstate(over="raise"):
                return data.astype(dtype, copy=False), 0
        except FloatingPointError:
            raise ValueError(
                f"{path}: samples up to {np.nanmax(np.abs(data)):g} do not fit {dtype}; pass float64"
            ) from None
    if data.dtype.kind == "f":
        bad = int(np.count_nonzero(~np.isfinite(data)))
        if bad:
            raise ValueError(f"{path}: {bad} NaN or infinite samples do not fit {dtype}; pass float32 and a .tif file")
        data = np.rint(data)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    outside = int(np.count_nonzero(data < low) + np.count_nonzero(data > high)) if data.dtype.kind != "b" else 0
    if outside and not clip:
        raise ValueError(
            f"{path}: {outside} of {data.size} samples ({data.min():g} to {data.max():g}) do not fit {dtype} "
            f"({low} to {high}); pass clip, or float32 and a .tif file"
        )
    return (np.clip(data, low, high) if outside else data).astype(dtype), outside


@contextmanager
def _whole(target: Path) -> Iterator[BinaryIO]:
    """A file that takes its name only when all of it has reached the disk."""
    temporary = target.with_name(f".sigdeconv-{secrets.token_hex(8)}.tmp")
    try:
        # Not tempfile: its files are private whatever the umask, and a result should not be.
        # Mode "wb", which every writer knows, and O_EXCL, since "xb" is known to few.
        with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags | os.O_EXCL, 0o666)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:  # KeyboardInterrupt too
        with suppress(OSError):
            os.unlink(temporary)
        raise
