"""The operator that everything else is about: a blur **A**, and its transpose **Aᴴ**, in any dimension.

The frame is what was observed, of shape `shape`; the domain is where the unknown scene lives, of shape `domain_shape`.
``forward`` takes the scene to the frame. ``adjoint`` takes the frame back to the *shape* of the scene; it does not
take the *values* back (that is what `sigdeconv.deconvolution` is for).
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _fft
from ._array import (
    Array,
    choice,
    floating,
    from_python,
    is_numpy,
    kind,
    like,
    namespace,
    per_axis,
    require_moderate,
    scalar,
    shown,
    to_numpy,
)
from ._edges import Axis, extend, fold
from ._memory import require_room
from ._parallel import each

BOUNDARIES = ("free", "periodic", "zero", "reflect")
# Sum of a PSF, relative to that of its magnitudes, that is zero but for rounding: a flat scene then leaves no trace.
BLIND = 1e-6
COPIES = 3  # of the FFT grid: what the most frugal method takes
DENSE_LIMIT = 1 << 26  # matrix elements; half a GiB of float64 is more than one means to look at


def psf_to_otf(psf: Array, shape: int | Sequence[int], *, center: int | Sequence[int] | None = None) -> Array:
    """Optical transfer function of a PSF on a periodic grid: the half spectrum of a real FFT.

    Parameters
    ----------
    psf : array, shape (k,), (k, l) or (j, k, l)
        Point spread function. Where it is larger than the grid it is wrapped around, as the periodic grid demands.
    shape : int or sequence of int
        Shape of the periodic grid.
    center : int or sequence of int, optional
        Sample of the PSF that is its origin; ``n // 2`` of each axis by default.

    Returns
    -------
    array, shape ``(*shape[:-1], shape[-1] // 2 + 1)``
        Complex. Its value at zero frequency is the sum of the PSF.

    Raises
    ------
    TypeError, ValueError
        The PSF is empty, not real or not finite, or `shape` or `center` do not fit it.

    Examples
    --------
    >>> import numpy as np
    >>> otf = psf_to_otf(np.array([0.25, 0.5, 0.25]), 8)
    >>> np.round(otf.real, 3)
    array([1.   , 0.854, 0.5  , 0.146, 0.   ])
    """
    psf = floating(psf, "psf", moderate=True)
    grid = per_axis(shape, psf.ndim, "shape", minimum=1)
    origin = _origin(psf, center)
    return _spectrum(psf, grid, origin)


class Convolution:
    """A blur: convolution with a PSF, seen through a frame, on every `stride`-th sample.

    Parameters
    ----------
    psf : array, shape (k,), (k, l) or (j, k, l)
        Point spread function; its axes are the last axes of every array that the operator is applied to.
    shape : int or sequence of int
        Observed shape, one entry for each axis of the PSF.
    boundary : {"free", "periodic", "zero", "reflect"} or sequence of these
        What the scene does past the frame. "free": it goes on and is unknown, so the domain is larger than the frame by
        the PSF. "periodic": it repeats. "zero": it is dark. "reflect": it is mirrored at the edge of the outermost
        sample (``d c b a | a b c d | d c b a``, as in `scipy.ndimage`). A sequence has one for each axis of the PSF: a
        panorama is periodic along one and free along the other.
    stride : int or sequence of int
        Distance, in samples of the scene, between observed samples.
    center : int or sequence of int, optional
        Sample of the PSF that is its origin; ``n // 2`` of each axis by default.
    domain_shape : int or sequence of int, optional
        Shape of the scene. By default ``(n - 1) * stride + k`` for "free" and ``n * stride`` otherwise; any other shape
        that leads to the same observed `shape` may be asked for (what `output_padding` chooses in a network).

    Attributes
    ----------
    psf : array
        The PSF as it came (None if the operator was made by `from_otf`).
    shape, domain_shape : tuple of int
        Observed shape, and shape of the scene.
    ndim : int
        Number of axes of the PSF, and so of the frame and of the domain.
    boundary : str or tuple of str
        As asked for; "periodic" if the operator was made by `from_otf`, and a word where it is the same on all axes.
    stride, center : tuple of int
        As asked for, one entry an axis (`center` is None if the operator was made by `from_otf`).
    frame : tuple of slice
        Where the observed frame lies within the domain: ``scene[..., *blur.frame]`` is what the frame shows, on the
        grid of the scene.
    grid : tuple of int
        Periods of the circular convolution that computes the operator.
    otf : array
        Half spectrum on `grid` by which that convolution multiplies.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the message says which, what came and what to pass.

    Notes
    -----
    With ``y = A x``, sample ``i`` of ``y`` is ``sum_j psf[j] x[s i + c - j]`` with the stride ``s``, the origin ``c``
    and ``x`` counted from the frame's first sample, on each axis. The operator is immutable and may be shared by
    threads.

    With "zero" and "free", ``forward`` is ``torch.nn.functional.conv{1,2,3}d`` and ``adjoint`` is
    ``conv_transpose{1,2,3}d`` with the PSF flipped on every axis (networks correlate).

    Examples
    --------
    >>> import numpy as np
    >>> blur = Convolution(np.ones(3) / 3, 4)
    >>> blur.domain_shape            # the frame sees one sample past each of its ends
    (6,)
    >>> blur.forward(np.array([0.0, 0.0, 3.0, 0.0, 0.0, 6.0]))
    array([1., 1., 1., 2.])
    >>> np.round(blur.adjoint(np.array([1.0, 1.0, 1.0, 2.0])), 3)   # the shape comes back, the values do not
    array([0.333, 0.667, 1.   , 1.333, 1.   , 0.667])
    """

    def __init__(
        self,
        psf: Array,
        shape: int | Sequence[int],
        *,
        boundary: str | Sequence[str] = "free",
        stride: int | Sequence[int] = 1,
        center: int | Sequence[int] | None = None,
        domain_shape: int | Sequence[int] | None = None,
    ) -> None:
        psf = floating(psf, "psf", moderate=True)
        if not 1 <= psf.ndim <= 3:
            raise ValueError(f"psf has {psf.ndim} dimensions; 1, 2 or 3 are wanted: give batch axes to the image only")
        if not bool(namespace(psf).any(psf != 0)):
            raise ValueError("psf is zero everywhere; it must have at least one sample that is not zero")
        ndim = psf.ndim
        boundaries = along_axes(boundary, ndim)
        frames = per_axis(shape, ndim, "shape", minimum=1)
        strides = per_axis(stride, ndim, "stride", minimum=1)
        domains = (None,) * ndim if domain_shape is None else per_axis(domain_shape, ndim, "domain_shape", minimum=1)
        self._center: tuple[int, ...] | None = _origin(psf, center)
        self._axes = tuple(
            Axis.make(n, k, s, c, b, d, last=i == ndim - 1)
            for i, (n, k, s, c, b, d) in enumerate(
                zip(frames, psf.shape, strides, self._center, boundaries, domains, strict=True)
            )
        )
        self._psf = psf
        self._boundary: str | tuple[str, ...] = boundaries[0] if len({*boundaries}) == 1 else boundaries
        wrapped = psf
        for number, axis in enumerate(self._axes):
            wrapped = axis.trimmed(wrapped, number)
        self._otf = _spectrum(wrapped, self.grid, [axis.origin for axis in self._axes])

    @classmethod
    def from_otf(cls, otf: Array, shape: int | Sequence[int]) -> Convolution:
        """The periodic blur with a given optical transfer function.

        Parameters
        ----------
        otf : array
            Complex or real; the half spectrum ``(*shape[:-1], shape[-1] // 2 + 1)`` of a real FFT, or the full spectrum
            of `shape`, in the order of `numpy.fft`. Zero frequency comes first; the phase counts.
        shape : int or sequence of int
            Shape of the image. It is asked for because it cannot be read off the shape of `otf`.

        Returns
        -------
        Convolution
            With the boundary "periodic" and of stride 1; its `psf` and `center` are None.

        Raises
        ------
        TypeError
            `otf` holds no numbers, or `shape` no integers.
        ValueError
            The shape of `otf` is neither of the two, it has samples that are not finite, or a full spectrum lacks the
            Hermitian symmetry of a real PSF.

        Examples
        --------
        >>> import numpy as np
        >>> shift = np.exp(-2j * np.pi * np.fft.rfftfreq(4))   # by one sample
        >>> Convolution.from_otf(shift, 4).forward(np.array([1.0, 2.0, 3.0, 4.0]))
        array([4., 1., 2., 3.])
        """
        otf = otf if hasattr(otf, "dtype") and not isinstance(otf, type) else from_python(otf, "otf")
        otf = np.asarray(otf) if is_numpy(otf) else otf  # and not as a subclass
        xp = namespace(otf)
        if (is_numpy(otf) and otf.dtype.kind not in "iufc") or not xp.isdtype(otf.dtype, "numeric"):
            raise TypeError(f"otf has dtype {otf.dtype}; complex or real numbers are wanted")
        if not 1 <= otf.ndim <= 3:
            raise ValueError(f"otf has {otf.ndim} dimensions; 1, 2 or 3 are wanted")
        if math.prod(otf.shape) == 0:
            raise ValueError(f"otf is empty (shape {tuple(otf.shape)}); at least one sample is wanted on every axis")
        frames = per_axis(shape, otf.ndim, "shape", minimum=1)
        half = (*frames[:-1], frames[-1] // 2 + 1)
        single = otf.dtype in (xp.float32, xp.complex64)
        with np.errstate(over="ignore"):
            otf = xp.astype(otf, xp.complex64 if single else xp.complex128, copy=False)
        if not bool(xp.all(xp.isfinite(xp.real(otf)) & xp.isfinite(xp.imag(otf)))):
            raise ValueError("otf has NaN or infinite samples; replace them")
        require_moderate(xp.abs(otf), "otf")
        if tuple(otf.shape) == frames:
            axes = tuple(range(otf.ndim))
            mirrored = xp.roll(xp.flip(otf, axis=axes), (1,) * otf.ndim, axis=axes)
            # Relative to the peak: a spectrum computed in the same precision is Hermitian to rounding only.
            if float(xp.max(xp.abs(otf - xp.conj(mirrored)))) > 1e-4 * float(xp.max(xp.abs(otf))):
                raise ValueError("otf is not Hermitian, so its PSF is complex; pass the spectrum of a real PSF")
            otf = otf[..., : half[-1]]
        elif tuple(otf.shape) != half:
            raise ValueError(
                f"otf has shape {tuple(otf.shape)} but an image of shape {frames} has the half spectrum {half} "
                f"and the full spectrum {frames}; pass one of these"
            )
        blur = cls.__new__(cls)
        blur._axes = tuple(Axis.circular(n) for n in frames)
        blur._psf = None
        blur._center = None
        blur._boundary = "periodic"
        blur._otf = otf
        return blur

    def __repr__(self) -> str:
        psf = "otf" if self._psf is None else f"psf {tuple(self._psf.shape)}"
        return f"Convolution({psf}, {self.domain_shape} -> {self.shape}, boundary={self._boundary!r})"

    psf = property(lambda self: self._psf)
    boundary = property(lambda self: self._boundary)
    center = property(lambda self: self._center)
    otf = property(lambda self: self._otf)
    ndim = property(lambda self: len(self._axes))
    stride = property(lambda self: tuple(axis.stride for axis in self._axes))
    shape = property(lambda self: tuple(axis.frame for axis in self._axes))
    domain_shape = property(lambda self: tuple(axis.domain for axis in self._axes))
    grid = property(lambda self: tuple(axis.grid for axis in self._axes))
    frame = property(lambda self: tuple(axis.frame_in_domain for axis in self._axes))

    def forward(
        self, x: Array, *, out: Array | None = None, then: tuple[Any, ...] | None = None, work: Array | None = None
    ) -> Array:
        """Blur a scene: ``A x``, of which the frame is what comes out.

        Parameters
        ----------
        x : array, shape (..., *domain_shape)
            The scene. Leading axes are a batch. NaN is let through.
        out : array, shape (..., *shape), optional
            Takes the result in place of a new array; NumPy arrays only. It may be one of the arrays of `then`.
        then : tuple, optional
            With ``(function, *arrays)`` the result is ``function(A x, *arrays)``, an element-by-element expression that
            is computed while ``A x`` is in the cache; the arrays have the result's number of axes, and its size or size
            one on each.
        work : array, optional
            Room for the spectrum, from `workspace`.

        Returns
        -------
        array, shape (..., *shape)
            Of the kind and floating dtype of `x`, in its units times the sum of the PSF.

        Raises
        ------
        TypeError, ValueError
            `x` or `out` has another shape, or `x` is not real or of another kind than the PSF.
        """
        x = self._checked(x, self.domain_shape, "x")
        return self._filter(extend(x, self._axes), self._strided, self.stride, out, then, work)

    __call__ = forward

    def adjoint(
        self, y: Array, *, out: Array | None = None, then: tuple[Any, ...] | None = None, work: Array | None = None
    ) -> Array:
        """Apply the transpose: ``Aᴴ y``, which gives the shape of the scene back. It inverts nothing.

        Parameters
        ----------
        y : array, shape (..., *shape)
            What a frame shows. Leading axes are a batch.
        out : array, shape (..., *domain_shape), optional
            Takes the result in place of a new array, as in `forward`.
        then : tuple, optional
            With ``(function, *arrays)`` the result is ``function(Aᴴ y, *arrays)``, as in `forward`.
        work : array, optional
            Room for the spectrum, from `workspace`.

        Returns
        -------
        array, shape (..., *domain_shape)
            Of the kind and floating dtype of `y`.

        Raises
        ------
        TypeError, ValueError
            `y` or `out` has another shape, or `y` is not real or of another kind than the PSF.
        """
        y = self._checked(y, self.shape, "y")
        if self._strided != self.shape:
            xp = namespace(y)
            zeros = xp.zeros((*y.shape[: y.ndim - self.ndim], *self._strided), dtype=y.dtype, device=y.device)
            zeros[(..., *(slice(None, None, s) for s in self.stride))] = y
            y = zeros
        return self._filter(y, tuple(axis.extended for axis in self._axes), None, out, then, work)

    def workspace(self, x: Array) -> tuple[Array, Array] | None:
        """Room in which an iteration applies the blur and its transpose in turn, with less memory.

        Parameters
        ----------
        x : array, shape domain_shape
            The scene; only its dtype and kind matter.

        Returns
        -------
        tuple of array, or None
            ``(work, seen)``: `work` for ``forward(x, out=seen, work=work)`` and then ``adjoint(seen, work=work)``,
            which destroys `seen`; this has the shape of the frame and lies within `work`. None where it saves nothing:
            for batches, signals, strides, tensors, and boundaries for which the scene is extended.
        """
        plain = set(self.stride) == {1} and not any(axis.before or axis.after for axis in self._axes)
        if not plain or not is_numpy(x) or x.ndim != self.ndim or self.ndim == 1:
            return None
        return _fft.workspace(max(self.shape[0], self.domain_shape[0]), self.transfer_like(x), self.shape)

    @property
    def _strided(self) -> tuple[int, ...]:
        """Samples of the scene's grid from the first observed one to the last."""
        return tuple((axis.frame - 1) * axis.stride + 1 for axis in self._axes)

    def _filter(
        self,
        x: Array,
        shape: tuple[int, ...],
        stride: tuple[int, ...] | None,
        out: Array | None,
        then: tuple[Any, ...] | None,
        work: Array | None,
    ) -> Array:
        """Convolve (with a stride: forward) or correlate (without: adjoint) on the grid, then thin out or fold."""
        transfer, backwards = self.transfer_like(x), stride is None
        wanted = (*x.shape[: x.ndim - self.ndim], *(self.domain_shape if backwards else self.shape))
        rows = max(x.shape[x.ndim - self.ndim], shape[0])
        if work is not None and (work.dtype != transfer.dtype or work.shape != (rows, *transfer.shape[1:])):
            raise ValueError(
                f"work is {work.dtype} of shape {tuple(work.shape)}; pass what workspace gives for this scene"
            )
        if out is not None and tuple(out.shape) != wanted:
            raise ValueError(f"out has shape {tuple(out.shape)}; {wanted} is wanted")
        thins = stride is not None and shape != self.shape
        folds = backwards and shape != self.domain_shape
        if not (thins or folds):
            out = out if is_numpy(x) else None
            return _fft.filter(x, transfer, self.grid, shape, conjugate=backwards, then=then, out=out, work=work)
        result = _fft.filter(x, transfer, self.grid, shape, conjugate=backwards)
        if folds:
            result = fold(result, self._axes)
        elif stride is not None:
            result = result[(..., *(slice(None, None, s) for s in stride))]
        if then is not None:
            return each(then[0], result, *then[1:], out=out if is_numpy(x) else None)
        if out is None or not is_numpy(x):
            return result
        out[...] = result
        return out

    def to_dense(self) -> Array:
        """The matrix itself: for teaching, tests and small problems.

        Returns
        -------
        array, shape (prod(shape), prod(domain_shape))
            A row for each sample of the frame, a column for each of the domain; of the kind and precision of the PSF.

        Raises
        ------
        ValueError
            The matrix has more than 2**26 elements.

        Examples
        --------
        >>> import numpy as np
        >>> np.round(Convolution(np.array([1.0, 2.0, 3.0]), 3, boundary="zero").to_dense()) + 0.0
        array([[2., 1., 0.],
               [3., 2., 1.],
               [0., 3., 2.]])
        """
        rows, columns = math.prod(self.shape), math.prod(self.domain_shape)
        if rows * columns > DENSE_LIMIT:
            raise ValueError(
                f"the matrix would be {rows} x {columns}; at most {DENSE_LIMIT} elements are made. "
                "Use forward and adjoint, or to_linear_operator()"
            )
        xp = namespace(self._otf)
        real = xp.float32 if self._otf.dtype == xp.complex64 else xp.float64
        unit = xp.eye(columns, dtype=real, device=self._otf.device)
        return xp.reshape(self.forward(xp.reshape(unit, (columns, *self.domain_shape))), (columns, rows)).T

    def to_linear_operator(self) -> Any:
        """The same operator as a `scipy.sparse.linalg.LinearOperator` on flattened NumPy arrays, for SciPy's solvers.

        Returns
        -------
        scipy.sparse.linalg.LinearOperator
            Of shape ``(prod(shape), prod(domain_shape))``, in the precision of the PSF.

        Examples
        --------
        >>> import numpy as np
        >>> from scipy.sparse.linalg import lsqr
        >>> blur = Convolution(np.array([0.2, 0.6, 0.2]), 5, boundary="zero")
        >>> x = np.array([1.0, 0.0, 2.0, 0.0, 1.0])
        >>> np.round(lsqr(blur.to_linear_operator(), blur.forward(x))[0], 6) + 0.0
        array([1., 0., 2., 0., 1.])
        """
        from scipy.sparse.linalg import LinearOperator

        real = np.dtype("float32" if self._otf.dtype == namespace(self._otf).complex64 else "float64")
        blur = copy.copy(self)
        blur._otf = to_numpy(self._otf)
        return LinearOperator(
            (math.prod(self.shape), math.prod(self.domain_shape)),
            matvec=lambda x: blur.forward(x.astype(real, copy=False).reshape(self.domain_shape)).ravel(),
            rmatvec=lambda y: blur.adjoint(y.astype(real, copy=False).reshape(self.shape)).ravel(),
            dtype=real,
        )

    def _checked(self, x: Array, shape: tuple[int, ...], name: str) -> Array:
        x = floating(x, name, finite=False)
        if tuple(x.shape[x.ndim - self.ndim :]) != shape or x.ndim < self.ndim:
            raise ValueError(f"{name} has shape {tuple(x.shape)}; (..., {', '.join(map(str, shape))}) is wanted")
        return x

    def transfer_like(self, x: Array) -> Array:
        """The transfer function in the precision, kind and place of an array.

        Parameters
        ----------
        x : array
            Floating point; nothing else about it matters.

        Returns
        -------
        array, shape ``(*grid[:-1], grid[-1] // 2 + 1)``
            The half spectrum `otf`: complex64 for float32, otherwise complex128.

        Raises
        ------
        TypeError
            The PSF is of another kind; one of NumPy's serves all.
        """
        xp = namespace(x)
        wanted = xp.complex64 if x.dtype == xp.float32 else xp.complex128
        otf = self._otf
        if is_numpy(otf) and not is_numpy(x):
            otf = xp.asarray(otf.astype("complex64" if x.dtype == xp.float32 else "complex128"), device=x.device)
        elif namespace(otf) is not xp:
            raise TypeError(
                f"the psf is a {kind(otf)} but the data are a {kind(x)}; build the Convolution from that kind"
            )
        if otf.dtype != wanted:
            otf = xp.astype(otf, wanted)
        return otf if is_numpy(otf) or otf.device == x.device else otf.to(x.device)


def along_axes(boundary: str | Sequence[str], ndim: int) -> tuple[str, ...]:
    """The boundary of each of `ndim` axes, given as one for all or one for each."""
    if isinstance(boundary, str) or not isinstance(boundary, Sequence):
        return (choice(boundary, BOUNDARIES, "boundary"),) * ndim
    if len(boundary) != ndim:
        raise ValueError(f"boundary has {len(boundary)} entries but psf has {ndim} axes; pass one for all or one each")
    return tuple(choice(b, BOUNDARIES, "boundary") for b in boundary)


def sole_boundary(blur: Convolution) -> str:
    """The boundary of a blur, for methods that want the same on all axes."""
    boundary = blur.boundary
    if isinstance(boundary, str):
        return boundary
    raise ValueError(
        f"psf is a Convolution with the boundaries {boundary}, and this method wants one for all axes; build it with "
        "one, or use richardson_lucy or landweber"
    )


def operator(
    psf: Array | Convolution, image: Array, boundary: str | Sequence[str], *, signed: bool = False
) -> Convolution:
    """The blur for an image: a ready `Convolution` is checked against it, a PSF becomes one of the image's kind.

    `signed` as in `psf_for`.
    """
    if isinstance(psf, Convolution):
        if psf.ndim > image.ndim or tuple(image.shape[image.ndim - psf.ndim :]) != psf.shape:
            raise ValueError(
                f"image has shape {tuple(image.shape)} but the Convolution observes {psf.shape}; build one for this"
            )
        if psf.psf is not None and not signed:
            require_light_passes(psf.psf)
        return psf
    psf = psf_for(psf, image, signed=signed)
    frame = image.shape[image.ndim - psf.ndim :]
    if is_numpy(image):  # other kinds' memory is not known here
        grid = math.prod(n + k - 1 for n, k in zip(frame, psf.shape, strict=True))
        require_room(COPIES * grid * image.dtype.itemsize, f"an image of shape {tuple(image.shape)} with this PSF")
    return Convolution(psf, frame, boundary=boundary)


def psf_for(psf: Array, image: Array, *, signed: bool = False) -> Array:
    """A PSF of the kind, device and dtype of the image, checked against it.

    A PSF whose sum is zero is refused, unless `signed` allows what is no blur: the wavelet of a seismic record, say.
    """
    psf = like(psf, image, "psf")
    if psf.ndim == 0 or psf.ndim > 3:
        raise ValueError(f"psf has {psf.ndim} dimensions; 1, 2 or 3 are wanted")
    if psf.ndim > image.ndim:
        raise ValueError(
            f"psf has {psf.ndim} dimensions but image has {image.ndim}; pass psf[k] or a {psf.ndim}-D image"
        )
    if psf.ndim < image.ndim and image.shape[-1] in (3, 4) and psf.shape[-1] > image.shape[-1] and psf.ndim > 1:
        raise ValueError(
            f"image has shape {tuple(image.shape)}, which looks like colours on the last axis; pass channel_axis=-1"
        )
    if not bool(namespace(psf).any(psf != 0)):
        raise ValueError("psf is zero everywhere; it must have at least one sample that is not zero")
    if not signed:
        require_light_passes(psf)
    return psf


def require_light_passes(psf: Array) -> None:
    """Refuse a PSF whose sum is zero, for methods that start from a flat scene or divide by the sum."""
    if blind_to_mean(psf):
        total = scalar(namespace(psf).sum(psf))
        raise ValueError(
            f"psf has the sum {total:g}; a blur must pass some light: pass a PSF with a positive sum, or use wiener, "
            "which takes any PSF"
        )


def blind_to_mean(psf: Array) -> bool:
    """Whether the sum of a PSF is zero but for rounding, so that a flat scene leaves no trace."""
    xp = namespace(psf)
    return abs(scalar(xp.sum(psf))) <= BLIND * scalar(xp.sum(xp.abs(psf)))


def signed_otf(psf: Array, grid: Sequence[int], *, center: int | Sequence[int] | None = None) -> Array:
    """`psf_to_otf` with exactly zero at zero frequency where the PSF is blind to the mean.

    What rounding leaves there would be divided by.
    """
    otf = psf_to_otf(psf, grid, center=center)
    if not blind_to_mean(psf):
        return otf
    keep = np.ones(tuple(otf.shape), dtype=bool)
    keep[(0,) * otf.ndim] = False
    xp = namespace(otf)
    kept = keep if is_numpy(otf) else xp.asarray(keep, device=otf.device)
    return xp.where(kept, otf, xp.zeros_like(otf))


def _origin(psf: Array, center: int | Sequence[int] | None) -> tuple[int, ...]:
    if center is None:
        return tuple(k // 2 for k in psf.shape)
    origin = per_axis(center, psf.ndim, "center", minimum=0)
    if any(c >= k for c, k in zip(origin, psf.shape, strict=True)):
        raise ValueError(f"center is {shown(center)} but the psf has shape {tuple(psf.shape)}; pass a sample inside it")
    return origin


def _spectrum(psf: Array, grid: Sequence[int], origin: Sequence[int]) -> Array:
    """Half spectrum of the PSF on the grid with its origin at sample zero, wrapped where it is larger than the grid.

    Each axis is padded when its turn comes, so that only lines with something on them are transformed.
    """
    xp = namespace(psf)
    for axis in reversed(range(len(grid))):
        psf = _fft.transform_axis(_placed(psf, axis, grid[axis], origin[axis], xp), axis, real=axis == len(grid) - 1)
    return psf


def _placed(psf: Array, axis: int, n: int, origin: int, xp: Any) -> Array:
    """The PSF on a period of `n` samples of one axis, its origin at sample zero."""
    k = psf.shape[axis]
    if k > n:
        pieces = []
        for start in range(0, k, n):
            piece = psf[(*(slice(None),) * axis, slice(start, min(start + n, k)), ...)]
            pieces.append(_placed(piece, axis, n, (origin - start) % n, xp))
        return functools.reduce(lambda a, b: a + b, pieces)
    if origin < k:
        parts = [(origin, k), None, (0, origin)]
    else:
        # The origin lies beyond this piece, which then starts at a later sample.
        return xp.roll(_placed(psf, axis, n, 0, xp), -origin, axis=axis)
    zeros = xp.zeros((*psf.shape[:axis], n - k, *psf.shape[axis + 1 :]), dtype=psf.dtype, device=psf.device)
    before = (*(slice(None),) * axis,)
    return xp.concat([zeros if part is None else psf[(*before, slice(*part), ...)] for part in parts], axis=axis)
