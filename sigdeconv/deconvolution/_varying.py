"""What the methods ask of a blur that varies: its ring, its average, its extremes.

The methods are written for one PSF. Where they need one to choose a weight, to begin with or to be near an inverse,
they take an average; everything that the result depends on goes through `forward` and `adjoint`.
"""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _fft
from .._array import Array, is_numpy, namespace, to_numpy
from .._parallel import each, total
from .._varying import Mesh
from .._varying_engines import Folded, Followed
from ..convolution import psf_to_otf
from ..varying import VaryingConvolution, domain_of
from ._krylov import Map

if TYPE_CHECKING:
    from ._ring import Ring

STEPS = 2  # conjugate gradients in a step of a splitting, which begins where the last step ended
ENOUGH = 0.1  # of the first residual: the next step begins there


def around(blur: VaryingConvolution, grid: tuple[int, ...]) -> VaryingConvolution:
    """The blur on a ring of which its frame is the first samples; past the frame each place has its nearer end's PSF.

    A ring twice as long as a mirrored frame is mirrored itself.
    """
    index = []
    for n, m, part, around_ in zip(blur.shape, blur.domain_shape, blur._seen, grid, strict=True):
        i = np.arange(around_)
        if blur.boundary == "reflect":
            index.append(np.where(i < n, i, 2 * n - 1 - i))
            continue
        before, after = part.start, m - part.stop
        ahead = (i - n + 1) - after <= (around_ - i) - before
        index.append(np.clip(np.where(ahead, i, i - around_) + before, 0, m - 1))
    return blur._again(blur._model.taken(index), "periodic", grid)


def seen_around(blur: VaryingConvolution, grid: tuple[int, ...]) -> tuple[Map, Map]:
    """``A`` and ``A^T`` between a ring and the frame, its first samples."""
    ring = around(blur, grid)
    inside = (..., *(slice(n) for n in blur.shape))

    def forward(x: Array) -> Array:
        return ring.forward(x)[inside]

    def adjoint(y: Array) -> Array:
        whole = namespace(y).zeros((*y.shape[: y.ndim - blur.ndim], *grid), dtype=y.dtype, device=y.device)
        whole[inside] = y
        return ring.adjoint(whole)

    return forward, adjoint


def with_boundary(blur: VaryingConvolution, boundary: str) -> VaryingConvolution:
    """The same PSFs at the same places of the frame, under another belief about what lies past it."""
    leads, domain = domain_of(blur.shape, blur.psf.shape, boundary, blur.center)
    index = [
        np.clip(np.arange(m) - lead, 0, n - 1) + part.start
        for m, lead, n, part in zip(domain, leads, blur.shape, blur._seen, strict=True)
    ]
    return blur._again(blur._model.taken(index), boundary)


def local_psfs(blur: VaryingConvolution) -> list[Array]:
    """The PSFs at the nodes of a mesh, or at the corners, the middles of the sides and the middle of the frame."""
    if isinstance(blur._model, Mesh):
        psfs = blur._model.psfs
        return [psfs[(*node, ...)] for node in np.ndindex(*psfs.shape[: blur.ndim])]
    return [blur.psf_at(place) for place in itertools.product(*({0, (n - 1) // 2, n - 1} for n in blur.shape))]


def of_magnitudes(blur: VaryingConvolution) -> VaryingConvolution:
    """A blur no element of whose matrix is smaller than the modulus of that of this one."""
    return blur._again(blur._model.magnitudes(), blur.boundary)


def followed(blur: VaryingConvolution, transfer: Array) -> VaryingConvolution:
    """The blur with an adjoint after which comes a filter, of a transfer function on its grid."""
    other = copy.copy(blur)
    other._engine = Followed(blur._engine, transfer, blur.grid)
    return other


def folded(wide: VaryingConvolution, blur: VaryingConvolution) -> VaryingConvolution:
    """`blur` with the adjoint of one with a free boundary, of which what lies past the frame is folded in or dropped.

    A filter after the adjoint so meets no end of the scene.
    """
    other = copy.copy(blur)
    other._engine = Folded(wide._engine, blur)
    return other


def average_otf(blur: VaryingConvolution, grid: tuple[int, ...], image: Array) -> Array:
    """The OTF on `grid` whose squared modulus is the mean, over the frame, of that of each place's PSF.

    What is near the inverse of ``A^H A`` is made of it. It has the phase of the mean PSF's OTF, which itself is too
    small where the phases of the OTFs differ.
    """
    terms = blur._model.terms()
    taps = terms.shape[1:]
    if blur._lags is None:
        # The autocorrelation of a PSF is hardly longer than the PSF.
        room = tuple(_fft.fast_length(2 * k - 1, real=i == len(taps) - 1) for i, k in enumerate(taps))
        H = _fft.transform(terms, room)
        flat = H.reshape(len(H), -1)
        power = np.sum(np.real(np.conj(flat) * (blur._model.gram(blur._seen) @ flat)), axis=0).reshape(H.shape[1:])
        lags = _fft.inverse(power.astype(complex), room)
        blur._lags = lags[np.ix_(*(np.arange(1 - k, k) for k in taps))]
    power = np.maximum(psf_to_otf(blur._lags, grid, center=[k - 1 for k in taps]).real, 0.0)
    mean = psf_to_otf(np.asarray(to_numpy(blur.psf), np.float64), grid, center=blur.center)
    size = np.abs(mean)
    phase = np.where(size > 0, mean / np.where(size > 0, size, 1.0), 1.0)
    otf, xp = np.sqrt(power) * phase, namespace(image)
    otf = otf.astype("complex64" if image.dtype == xp.float32 else "complex128")
    return otf if is_numpy(image) else xp.asarray(otf, device=image.device)


def approached(
    ring: Ring, x: Array, seen: Array, r: Array, fit: Array, trust: float, stiffness: Array, inverse: Array
) -> tuple[Array, Array]:
    """Nearer to the minimum of ``trust/2 |H x - fit|^2 + 1/2 <x, S x> - <r, x>``, and its blur.

    `seen` is ``H x``, and `inverse` about the inverse of ``trust H^T H + S`` at each frequency: the average's.
    """
    xp, grid, ndim = namespace(x), ring.grid, ring.ndim
    kind = xp.complex64 if x.dtype == xp.float32 else xp.complex128
    held, near = xp.astype(stiffness, kind), xp.astype(inverse, kind)
    gap = ring.returned(each(lambda fit, seen: trust * (fit - seen), fit, seen))
    g = _fft.filter(x, held, grid, grid, then=(lambda held, r, gap: r - held + gap, r, gap))
    p = first = None
    power: Any = None
    for _ in range(STEPS):
        z = _fft.filter(g, near, grid, grid)
        before, power = power, total(lambda g, z: g * z, g, z, ndim=ndim)
        first = power if first is None else first
        going = power > ENOUGH**2 * first if before is not None else power > 0
        if not bool(xp.any(going)):
            break
        if p is None:
            p = z
        else:
            ratio = xp.where(going, power / xp.where(going, before, xp.ones_like(power)), xp.zeros_like(power))
            p = each(lambda z, p, ratio: z + ratio * p, z, p, ratio)
        blurred = ring.blurred(p)
        q = ring.returned(blurred)
        q = _fft.filter(p, held, grid, grid, then=(lambda held, q: held + trust * q, q))
        bend = total(lambda p, q: p * q, p, q, ndim=ndim)
        going = going & (bend > 0)
        step = xp.where(going, power / xp.where(going, bend, xp.ones_like(bend)), xp.zeros_like(bend))
        x, seen, g = (
            each(lambda a, b, step: a + step * b, a, b, s)
            for a, b, s in ((x, p, step), (seen, blurred, step), (g, q, -step))
        )
    return x, seen


def require_one_psf(psf: Any, name: str) -> None:
    """Refuse a blur that varies, for methods that divide by its OTF."""
    if isinstance(psf, VaryingConvolution):
        raise TypeError(
            f"psf is a VaryingConvolution, but {name} divides by one OTF for the whole frame; pass psf.psf (the mean), "
            "or use tikhonov, which solves the same problem by iteration, or any other iterative method"
        )
