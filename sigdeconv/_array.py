"""What the library knows about array kinds: the namespace of an array, the dtype rules, and "psf like image".

NumPy arrays, torch tensors, CuPy arrays and any other array-API array pass through unchanged in kind and device.
Every public function calls `floating` on its image first: after that the data are real, finite and float32 or float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import array_api_compat as compat
import numpy as np

# Energies (sums of squares) of an array within which products neither overflow nor vanish.
MODERATE = {"float32": (1e-32, 1e26), "float64": (1e-100, 1e100)}

# Sizes of numbers whose squares and quotients stay within the range of a float.
TINY, HUGE = 1e-100, 1e100

Array = Any  #: an array-API array; a result is of the kind of the image that came in


def namespace(x: Array) -> Any:
    """The array-API namespace of `x`."""
    return compat.array_namespace(x)


def is_numpy(x: Array) -> bool:
    """Whether `x` is a NumPy array (and may take the threaded, in-place paths)."""
    return isinstance(x, np.ndarray)


def kind(x: Array) -> str:
    """What to call the array in a message: ``numpy.ndarray``, ``torch.Tensor``."""
    return f"{type(x).__module__.split('.')[0]}.{type(x).__qualname__}"


def floating(x: Array, name: str, *, finite: bool = True, moderate: bool = False) -> Array:
    """`x` as a real floating array of its own kind: float32 and float64 are kept, 8- and 16-bit integers become
    float32.

    Raises
    ------
    TypeError
        `x` is no array of real numbers.
    ValueError
        `x` is empty; with `finite`, it holds NaN or infinite samples; with `moderate`, also such as `require_moderate`
        refuses.
    """
    if isinstance(x, type) or not compat.is_array_api_obj(x):
        x = from_python(x, name)
    if is_numpy(x) and type(x) is not np.ndarray:
        if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
            raise TypeError(f"{name} is a masked array with masked samples; pass {name}.filled(0), and weights=~mask")
        x = np.asarray(x)
    if not is_numpy(x) and "sparse" in str(getattr(x, "layout", "")):
        raise TypeError(f"{name} is a sparse tensor; pass {name}.to_dense()")
    xp = namespace(x)
    if is_numpy(x) and x.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {x.dtype}; real numbers are wanted{_dtype_remedy(x.dtype.kind, name)}")
    if xp.isdtype(x.dtype, "complex floating"):
        raise TypeError(f"{name} has dtype {x.dtype}; real numbers are wanted{_dtype_remedy('c', name)}")
    if math.prod(x.shape) == 0:
        raise ValueError(f"{name} is empty (shape {tuple(x.shape)}); at least one sample is wanted on every axis")
    if is_numpy(x) and not x.dtype.isnative:
        x = x.astype(x.dtype.newbyteorder("="))
    with np.errstate(over="ignore"):  # of extended precision: what is too large becomes infinite and is refused so
        x = xp.astype(x, _floating_dtype(x, xp), copy=False)
    if moderate:
        require_moderate(x, name)
    elif finite:
        require_finite(x, name)
    return x


def from_python(x: object, name: str) -> Array:
    """A NumPy array from nested lists or a number; anything else is refused by name."""
    array = hasattr(x, "__array__") and not isinstance(x, type)
    if isinstance(x, (list, tuple, int, float, complex, bool)) or array:
        try:
            return np.asarray(x)
        except ValueError as error:
            raise TypeError(f"{name} is a ragged {type(x).__name__}; an array is wanted: {error}") from None
    raise TypeError(f"{name} is of type {type(x).__name__}; an array is wanted (NumPy, torch, CuPy, ...)")


def _dtype_remedy(dtype_kind: str, name: str) -> str:
    if dtype_kind == "c":
        return f"; pass {name}.real, or restore the real and the imaginary part one after the other"
    return f"; convert it first, for example {name}.astype(float)"


def _floating_dtype(x: Array, xp: Any) -> Any:
    if x.dtype in (xp.float32, xp.float64):
        return x.dtype
    small = x.dtype == xp.bool or (xp.isdtype(x.dtype, "integral") and _bits(x, xp) <= 16)
    half = xp.isdtype(x.dtype, "real floating") and _bits(x, xp) <= 16
    return xp.float32 if small or half else xp.float64


def _bits(x: Array, xp: Any) -> int:
    info = xp.finfo if xp.isdtype(x.dtype, "real floating") else xp.iinfo
    return int(info(x.dtype).bits)


def require_finite(x: Array, name: str) -> None:
    """Refuse NaN and infinite samples before they spread through a transform."""
    xp = namespace(x)
    # A sum meets every NaN and infinity without a temporary; only a suspicious one pays for the full check.
    with np.errstate(all="ignore"):
        total = scalar(xp.sum(x))
    if math.isfinite(total):
        return
    bad = xp.reshape(~xp.isfinite(x), x.shape or (1,))
    count = int(xp.sum(xp.astype(bad, xp.int64)))
    if count:
        first = tuple(int(axis[0]) for axis in xp.nonzero(bad))
        raise ValueError(
            f"{name} has {count} NaN or infinite sample{'s' if count > 1 else ''}, the first at {first}; "
            f"replace them, or mark bad pixels with weights=0 where the method takes weights"
        )


def require_moderate(x: Array, name: str) -> None:
    """Refuse NaN, infinite samples, and those so large or small that products of them would overflow or vanish."""
    xp = namespace(x)
    flat = x.ravel(order="K") if is_numpy(x) else xp.reshape(x, (-1,))
    with np.errstate(all="ignore"):
        energy = scalar(np.vdot(flat, flat) if is_numpy(x) else xp.vecdot(flat, flat))
    low, high = MODERATE["float32" if x.dtype == xp.float32 else "float64"]
    if low <= energy <= high:
        return
    require_finite(x, name)
    peak = scalar(xp.max(xp.abs(x)))
    if peak == 0:
        return
    wider = f"pass {name}.astype('float64'), or " if x.dtype == xp.float32 else ""
    raise ValueError(
        f"{name} has a peak of {peak:g}, whose products leave the range of {str(x.dtype).rpartition('.')[2]}; "
        f"{wider}divide {name} by {peak:.1g}"
    )


def to_numpy(x: Array) -> Any:
    """`x` as a NumPy array on the host."""
    return x if is_numpy(x) else np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)


def tensor(samples: Array, device: str) -> Any:
    """Samples as a torch tensor on a device; floating, since torch has few operations on other types.

    Raises
    ------
    ImportError
        torch is not installed.
    ValueError
        There is no such device.
    """
    try:
        import torch
    except ImportError:
        raise ImportError("device needs torch; run: pip install 'sigdeconv[learned]'") from None
    dtype = torch.float64 if samples.dtype in (np.float64, np.int64, np.uint64, np.int32, np.uint32) else torch.float32
    try:
        native = np.ascontiguousarray(samples, samples.dtype.newbyteorder("="))
        # Of a file that is only read torch would warn.
        return torch.as_tensor(native if native.flags.writeable else native.copy()).to(device, dtype)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device is {device!r}: {reason}; pass cpu, or cuda where there is one") from None


def scalar(x: Array) -> float:
    """The value of an array of one sample, as a number that no gradient is asked of."""
    return float(x.detach() if hasattr(x, "detach") else x)


def like(x: Array, reference: Array, name: str) -> Array:
    """`x` with the kind, device and dtype of `reference`.

    Raises
    ------
    TypeError
        `x` is an array of another library than `reference`, and no NumPy array.
    """
    x = floating(x, name)
    xp = namespace(reference)
    moved = is_numpy(x) and not is_numpy(reference)
    if not moved and namespace(x) is not xp:
        raise TypeError(f"{name} is a {kind(x)} but the image is a {kind(reference)}; pass both as the same kind")
    with np.errstate(over="ignore"):
        if moved:
            # float64 does not exist on every device, so the dtype is settled before the move.
            x = x.astype("float32" if reference.dtype == xp.float32 else "float64", copy=False)
        else:
            x = xp.astype(x, reference.dtype, copy=False)
    require_moderate(x, name)
    if moved:
        return xp.asarray(x, device=compat.device(reference))
    return x if is_numpy(x) else compat.to_device(x, compat.device(reference))


def require_ndim(image: Array, psf_ndim: int, name: str = "image") -> None:
    """Check that the PSF's dimensions are the last ones of the image."""
    if psf_ndim > image.ndim:
        raise ValueError(
            f"psf has {psf_ndim} dimension{'s' if psf_ndim > 1 else ''} but {name} has {image.ndim}; "
            f"pass psf[k] (a section) or a {psf_ndim}-D {name}"
        )
    if psf_ndim == 0:
        raise ValueError("psf has 0 dimensions; pass an array with one to three axes")


def channels_to_batch(image: Array, channel_axis: int | None) -> tuple[Array, Callable[[Array], Array]]:
    """Move the colour axis among the leading batch axes; the second result moves it back."""
    if channel_axis is None:
        return image, lambda result: result
    axis = checked_axis(channel_axis, image.ndim, "channel_axis", "image")
    xp = namespace(image)
    return xp.moveaxis(image, axis, 0), lambda result: xp.moveaxis(result, 0, axis)


def shown(value: object) -> str:
    """`value` in a message, on one line."""
    if compat.is_array_api_obj(value) and not isinstance(value, (type, np.generic)):
        return f"a {kind(value)} of shape {tuple(getattr(value, 'shape', ()))}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def checked_axis(axis: int, ndim: int, name: str, of: str) -> int:
    """`axis` counted from the front."""
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise TypeError(f"{name} is {shown(axis)}; an integer is wanted")
    if not -ndim <= axis < ndim:
        raise ValueError(f"{name} is {axis} but {of} has {ndim} dimensions; pass {-ndim} to {ndim - 1}")
    return int(axis) % ndim


def per_axis(value: int | Sequence[int], ndim: int, name: str, *, minimum: int) -> tuple[int, ...]:
    """One integer an axis, from one for all or a sequence."""
    values = (value,) * ndim if isinstance(value, (int, np.integer)) else value
    try:
        result = tuple(int(v) for v in values)
        exact = all(r == v and not isinstance(v, bool) for r, v in zip(result, values, strict=True))
    except (TypeError, ValueError, OverflowError):
        exact, result = False, ()
    if not exact:
        raise TypeError(f"{name} is {shown(value)}; an integer or one integer an axis is wanted")
    if len(result) != ndim:
        raise ValueError(f"{name} has {len(result)} entries; {ndim} are wanted, one an axis of the psf")
    if min(result, default=minimum) < minimum:
        raise ValueError(f"{name} is {shown(value)}; every entry must be at least {minimum}")
    return result


def number(
    value: float,
    name: str,
    *,
    minimum: float = -math.inf,
    above: float = -math.inf,
    maximum: float = math.inf,
    any_size: bool = False,
) -> float:
    """`value` as a finite float within its bounds and, unless it may be of `any_size`, such that it can be squared."""
    complex_like = getattr(getattr(value, "dtype", None), "kind", "") == "c"
    if isinstance(value, (str, bytes, bool)) or value is None or complex_like:
        raise TypeError(f"{name} is {shown(value)}; a number is wanted")
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {shown(value)}; a number is wanted") from None
    if not math.isfinite(result):
        raise ValueError(f"{name} is {result}; a finite number is wanted")
    if result < minimum:
        raise ValueError(f"{name} is {result:g}; it must be at least {minimum:g}")
    if result and not any_size and not TINY <= abs(result) <= HUGE:
        raise ValueError(f"{name} is {result:g}; a number between {TINY:g} and {HUGE:g} in size is wanted, or 0")
    if result <= above:
        raise ValueError(f"{name} is {result:g}; it must be larger than {above:g}")
    if result > maximum:
        raise ValueError(f"{name} is {result:g}; it must be at most {maximum:g}")
    return result


def generator(rng: np.random.Generator | int | None) -> np.random.Generator:
    """A source of random numbers from what NumPy takes as a seed."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(f"rng is {shown(rng)}; pass a numpy.random.Generator or an integer of at least 0") from None


def choice(value: str, allowed: Sequence[str], name: str) -> str:
    """`value` if it is one of the words that are understood."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} is {shown(value)}; pass one of {', '.join(map(repr, allowed))}")
    return value
