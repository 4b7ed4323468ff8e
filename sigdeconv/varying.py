"""A blur whose PSF changes with the place: the same `forward` and `adjoint`, made of many convolutions.

Every scene point has a PSF of its own, ``sum_k w_k(p) P_k`` at the place ``p``. The weights are those of the *source*
of the light: ``A = sum_k C_k W_k`` scatters each point's light with its own PSF, as an instrument does, and keeps the
flux where each PSF has the sum 1. (Weighting the blurred images instead, ``sum_k W_k C_k``, would gather with the PSF
of the detector's pixel: a bright star's far wings would change shape along the way.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._array import Array, choice, floating, is_numpy, like, per_axis, require_finite, shown
from ._parallel import each
from ._varying import Mesh, Sum
from ._varying_engines import Engine
from .convolution import BOUNDARIES, Convolution

INTERPOLATIONS = ("linear", "cosine")
Line = np.ndarray[Any, Any]


class VaryingConvolution(Convolution):
    """A blur whose PSF changes across the frame: ``sum_k w_k(p) P_k`` for light from the place ``p``.

    Parameters
    ----------
    psfs : array, shape (terms, *psf)
        The PSFs, or the terms of a model such as a mean and its change with the place; each with one to three axes.
    weights : array, shape (terms, *shape) or (terms, *domain_shape)
        Weight of each term for light that comes from each sample of the frame; past the frame it stays what it is at
        the frame's end, unless it is given on the whole domain.
    shape : int or sequence of int
        Observed shape, one entry for each axis of a PSF.
    boundary : {"free", "periodic", "zero", "reflect"}
        What the scene does past the frame, as for `Convolution`; a scene that is mirrored or repeated brings its
        weights along.
    center : int or sequence of int, optional
        Sample of the PSFs that is their origin; ``n // 2`` of each axis by default.

    Attributes
    ----------
    psf : array, shape (*psf)
        The mean PSF of the frame.
    otf : array
        Half spectrum of the mean PSF, on `grid`.
    shape, domain_shape : tuple of int
        Observed shape, and shape of the scene.
    ndim : int
        Number of axes of a PSF, and so of the frame and of the domain.
    boundary : str
        As asked for.
    stride, center : tuple of int
        One entry an axis; the stride is 1.
    frame : tuple of slice
        Where the observed frame lies within the domain.
    grid : tuple of int
        Periods of the circular convolution with the mean PSF.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the message says which, what came and what to pass.

    Notes
    -----
    ``A = sum_k C_k W_k``: the scene is weighted and then blurred, so that each of its points has the PSF of its own
    place. Light is kept where each PSF has the sum 1. The terms may be negative, as those of a polynomial are; what
    must not be negative, for methods that count photons, is their sum at each place.

    `terms` weights on the whole frame cost ``terms + 1`` transforms of it, where a `Convolution` takes two. PSFs on a
    mesh (`from_grid`) are each convolved with their own part of the scene: 8 x 8 PSFs of 31 x 31 samples on 1024 x
    1024 samples touch 4.3 times the samples of one convolution, as neighbours overlap, and take about 4 times as long.

    Every iterative method takes it in place of a PSF; wherever the PSF of "the" frame is needed, to choose a weight or
    to speed up an iteration, they take the mean. Closed forms (`wiener`, `inverse_filter`, `unsupervised_wiener`)
    cannot divide by an OTF that there is not.

    References
    ----------
    J. G. Nagy and D. P. O'Leary, SIAM J. Sci. Comput. 19, 1063 (1998), doi:10.1137/S106482759528507X.
    L. Denis et al., Int. J. Comput. Vis. 115, 253 (2015), doi:10.1007/s11263-015-0817-x.
    P. B. Stetson, Publ. Astron. Soc. Pac. 99, 191 (1987), doi:10.1086/131977 (PSFs that are a polynomial).

    Examples
    --------
    >>> import numpy as np
    >>> import sigdeconv
    >>> narrow, wide = sigdeconv.psf.gaussian(9, sigma=0.5), sigdeconv.psf.gaussian(9, sigma=2.0)
    >>> along = np.linspace(0, 1, 64)
    >>> blur = VaryingConvolution([narrow, wide], [1 - along, along], 64)   # from narrow to wide
    >>> stars = np.zeros(blur.domain_shape)
    >>> stars[[10, 60]] = 100.0
    >>> image = blur.forward(stars)
    >>> int(image[:32].max()), int(image[32:].max()), int(image.sum())
    (63, 25, 200)
    >>> restored = sigdeconv.richardson_lucy(image.clip(0), blur, num_iter=100)
    >>> bool(restored[:32].max() > 95), bool(restored[32:].max() > 95)
    (True, True)
    """

    _model: Sum | Mesh
    _engine: Engine

    def __init__(
        self,
        psfs: Array,
        weights: Array,
        shape: int | Sequence[int],
        *,
        boundary: str = "free",
        center: int | Sequence[int] | None = None,
    ) -> None:
        psfs = floating(psfs, "psfs", moderate=True)
        ndim = psfs.ndim - 1
        if not 1 <= ndim <= 3:
            raise ValueError(
                f"psfs has {psfs.ndim} dimensions; 2 to 4 are wanted: the terms, and the axes of a PSF. "
                "A grid of PSFs goes to VaryingConvolution.from_grid"
            )
        frame = per_axis(shape, ndim, "shape", minimum=1)
        leads, domain = domain_of(frame, psfs.shape[1:], boundary, center)
        weights = like(weights, psfs, "weights")
        terms, given = psfs.shape[0], tuple(weights.shape)
        if given not in ((terms, *frame), (terms, *domain)):
            raise ValueError(
                f"weights has shape {given}; {(terms, *frame)} is wanted, a weight for each of the {terms} psfs and "
                f"each sample of the frame, or {(terms, *domain)} for those of the domain"
            )
        model = Sum(psfs, weights)
        if given != (terms, *domain):
            model = model.taken(
                [np.clip(np.arange(m) - lead, 0, n - 1) for n, m, lead in zip(frame, domain, leads, strict=True)]
            )
        self._begin(model, frame, boundary, center)

    @classmethod
    def from_grid(
        cls,
        psfs: Array,
        shape: int | Sequence[int],
        *,
        positions: Sequence[Sequence[float]] | None = None,
        interpolation: str = "linear",
        boundary: str = "free",
        center: int | Sequence[int] | None = None,
    ) -> VaryingConvolution:
        """The blur of PSFs that were measured or computed on a mesh of places, interpolated between these.

        Parameters
        ----------
        psfs : array, shape (gx, kx), (gy, gx, ky, kx) or (gz, gy, gx, kz, ky, kx)
            A PSF for each node of the mesh.
        shape : int or sequence of int
            Observed shape, one entry for each axis of a PSF.
        positions : sequence of sequence of float, optional
            Places of the nodes along each axis, in samples of the frame, rising; in 1-D one sequence will do. By
            default the frame is cut into equal parts, and the nodes are the middles of these.
        interpolation : {"linear", "cosine"}
            How the weight of a node falls to zero at its neighbours: in proportion to the distance, or smoothly. Past
            the outermost nodes their PSFs stay.
        boundary : {"free", "periodic", "zero", "reflect"}
            What the scene does past the frame. See `Convolution`.
        center : int or sequence of int, optional
            Sample of the PSFs that is their origin; ``n // 2`` of each axis by default.

        Returns
        -------
        VaryingConvolution
            Its weights are not negative and have the sum 1 everywhere.

        Raises
        ------
        TypeError, ValueError
            An argument does not fit; the message says which, what came and what to pass.

        Examples
        --------
        >>> import numpy as np
        >>> import sigdeconv
        >>> widths = [[1.0, 1.5], [1.5, 3.0]]                     # the lower right corner is out of focus
        >>> psfs = np.array([[sigdeconv.psf.gaussian((15, 15), w) for w in row] for row in widths])
        >>> blur = VaryingConvolution.from_grid(psfs, (64, 96))
        >>> [round(float(blur.psf_at(place).max()), 3) for place in ((0, 0), (32, 48), (63, 95))]
        [0.147, 0.074, 0.018]
        """
        psfs = floating(psfs, "psfs", moderate=True)
        if psfs.ndim not in (2, 4, 6):
            raise ValueError(
                f"psfs has {psfs.ndim} dimensions; 2, 4 or 6 are wanted: the axes of the mesh, then those of a PSF"
            )
        ndim = psfs.ndim // 2
        if isinstance(shape, Sequence) and len(shape) != ndim:
            raise ValueError(
                f"psfs has {psfs.ndim} dimensions, half of them of the mesh and half of a PSF, but shape has "
                f"{len(shape)} entries; for a {len(shape)}-D image pass psfs of {2 * len(shape)} dimensions"
            )
        frame = per_axis(shape, ndim, "shape", minimum=1)
        choice(interpolation, INTERPOLATIONS, "interpolation")
        nodes = _positions(positions, psfs.shape[:ndim], frame)
        leads, domain = domain_of(frame, psfs.shape[ndim:], boundary, center)
        lines = []
        for at, lead, size in zip(nodes, leads, domain, strict=True):
            hats = np.stack([np.interp(np.arange(size) - lead, at, unit) for unit in np.eye(len(at))])
            lines.append(np.sin(0.5 * np.pi * hats) ** 2 if interpolation == "cosine" else hats)
        blur = cls.__new__(cls)
        blur._begin(Mesh(psfs, tuple(lines)), frame, boundary, center)
        return blur

    @classmethod
    def from_otf(cls, otf: Array, shape: int | Sequence[int]) -> Convolution:
        """A transfer function belongs to a blur that is the same everywhere: see `Convolution.from_otf`.

        Parameters
        ----------
        otf : array
            Not taken.
        shape : int or sequence of int
            Not taken.

        Returns
        -------
        Convolution
            Never.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError("a blur that varies has no otf; call Convolution.from_otf, or pass psfs and weights")

    def _begin(
        self, model: Sum | Mesh, shape: tuple[int, ...], boundary: str, center: int | Sequence[int] | None
    ) -> None:
        leads, _ = domain_of(shape, model.terms().shape[1:], boundary, center)
        self._model = model
        self._seen = tuple(slice(lead, lead + n) for lead, n in zip(leads, shape, strict=True))
        mean = np.tensordot(model.means(self._seen), model.terms(), 1)
        super().__init__(like(mean, model.psfs, "psfs"), shape, boundary=boundary, center=center)
        self._engine = model.engine(self)
        self._lags: Line | None = None

    def __repr__(self) -> str:
        terms = "x".join(str(n) for n in self._model.psfs.shape[: -self.ndim])
        return (
            f"VaryingConvolution({terms} psfs {tuple(self._psf.shape)}, {self.domain_shape} -> {self.shape}, "
            f"boundary={self._boundary!r})"
        )

    def psf_at(self, position: float | Sequence[float]) -> Array:
        """The PSF of light from one place.

        Parameters
        ----------
        position : float or sequence of float
            In samples of the frame, one number an axis; the nearest sample of the domain is taken.

        Returns
        -------
        array, shape (*psf)
            Of the kind of the PSFs.

        Raises
        ------
        TypeError, ValueError
            `position` is not one number an axis.

        Examples
        --------
        >>> import numpy as np
        >>> blur = VaryingConvolution([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]], [[1.0, 0.75, 0.5], [0.0, 0.25, 0.5]], 3)
        >>> blur.psf_at(1)
        array([0.125, 0.75 , 0.125])
        """
        place = np.atleast_1d(np.asarray(position, dtype=np.float64))
        if place.shape != (self.ndim,) or not np.all(np.isfinite(place)):
            raise ValueError(f"position is {shown(position)}; {self.ndim} finite numbers are wanted, one an axis")
        at = [
            int(np.clip(round(p) + part.start, 0, m - 1))
            for p, part, m in zip(place.tolist(), self._seen, self.domain_shape, strict=True)
        ]
        return like(np.tensordot(self._model.at(at), self._model.terms(), 1), self._model.psfs, "psfs")

    def forward(
        self, x: Array, *, out: Array | None = None, then: tuple[Any, ...] | None = None, work: Array | None = None
    ) -> Array:
        """Blur a scene, every point of it with its own PSF: ``A x``.

        Parameters
        ----------
        x : array, shape (..., *domain_shape)
            The scene. Leading axes are a batch. NaN is let through.
        out : array, shape (..., *shape), optional
            Takes the result in place of a new array; NumPy arrays only.
        then : tuple, optional
            With ``(function, *arrays)`` the result is ``function(A x, *arrays)``. See `Convolution.forward`.
        work : array, optional
            Not used here.

        Returns
        -------
        array, shape (..., *shape)
            Of the kind and floating dtype of `x`, in its units times the sum of the PSFs.

        Raises
        ------
        TypeError, ValueError
            `x` or `out` has another shape, or `x` is not real or of another kind than the PSFs.
        """
        return self._finished(self._engine.forward(self._checked(x, self.domain_shape, "x")), out, then)

    __call__ = forward

    def adjoint(
        self, y: Array, *, out: Array | None = None, then: tuple[Any, ...] | None = None, work: Array | None = None
    ) -> Array:
        """Apply the transpose, ``Aᴴ y``: each sample of the scene gathers with the PSF of its own place.

        Parameters
        ----------
        y : array, shape (..., *shape)
            What a frame shows. Leading axes are a batch.
        out : array, shape (..., *domain_shape), optional
            Takes the result in place of a new array, as in `forward`.
        then : tuple, optional
            With ``(function, *arrays)`` the result is ``function(Aᴴ y, *arrays)``, as in `forward`.
        work : array, optional
            Not used here.

        Returns
        -------
        array, shape (..., *domain_shape)
            Of the kind and floating dtype of `y`.

        Raises
        ------
        TypeError, ValueError
            `y` or `out` has another shape, or `y` is not real or of another kind than the PSFs.
        """
        return self._finished(self._engine.adjoint(self._checked(y, self.shape, "y")), out, then)

    def workspace(self, x: Array) -> None:
        """Nothing: several PSFs take more room than one.

        Parameters
        ----------
        x : array, shape domain_shape
            The scene.
        """

    def _finished(self, result: Array, out: Array | None, then: tuple[Any, ...] | None) -> Array:
        """What `out` and `then` ask for."""
        if out is not None and tuple(out.shape) != tuple(result.shape):
            raise ValueError(f"out has shape {tuple(out.shape)}; {tuple(result.shape)} is wanted")
        out = out if is_numpy(result) else None
        if then is not None:
            return each(then[0], result, *then[1:], out=out)
        if out is None:
            return result
        out[...] = result
        return out

    def to_linear_operator(self) -> Any:
        """The same operator as a `scipy.sparse.linalg.LinearOperator` on flattened NumPy arrays, for SciPy's solvers.

        Returns
        -------
        scipy.sparse.linalg.LinearOperator
            Of shape ``(prod(shape), prod(domain_shape))``, in the precision of the PSFs.

        Examples
        --------
        >>> import numpy as np
        >>> blur = VaryingConvolution([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]], [[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]], 3)
        >>> blur.to_linear_operator() @ np.array([0.0, 4.0, 4.0, 4.0, 0.0])
        array([5., 4., 1.])
        """
        if is_numpy(self._model.psfs):
            return super().to_linear_operator()
        return self._again(self._model.on_host(), self.boundary).to_linear_operator()

    def _again(self, model: Sum | Mesh, boundary: str, shape: tuple[int, ...] | None = None) -> VaryingConvolution:
        """Another blur of the same PSFs."""
        blur = type(self).__new__(type(self))
        blur._begin(model, self.shape if shape is None else shape, boundary, self._center)
        return blur


def domain_of(
    frame: Sequence[int], psf: Sequence[int], boundary: str, center: int | Sequence[int] | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Samples of the domain before the frame, and those of the domain."""
    choice(boundary, BOUNDARIES, "boundary")
    if boundary != "free":
        return (0,) * len(frame), tuple(frame)
    origin = [k // 2 for k in psf] if center is None else per_axis(center, len(psf), "center", minimum=0)
    leads = tuple(k - 1 - c for k, c in zip(psf, origin, strict=True))
    return leads, tuple(n + k - 1 for n, k in zip(frame, psf, strict=True))


def _positions(positions: Sequence[Sequence[float]] | None, nodes: Sequence[int], frame: Sequence[int]) -> list[Line]:
    """The places of the nodes along each axis."""
    if positions is None:
        return [(np.arange(g) + 0.5) * n / g - 0.5 for g, n in zip(nodes, frame, strict=True)]
    given: Any = positions
    if len(nodes) == 1 and np.ndim(given) == 1:
        given = [given]
    try:
        found = [np.asarray(at, dtype=np.float64) for at in given]
        fits = [at.shape for at in found] == [(g,) for g in nodes]
    except (TypeError, ValueError):
        found, fits = [], False
    if not fits:
        raise ValueError(
            f"positions is {shown(positions)}; {', '.join(map(str, nodes))} places along the axes are wanted"
        )
    for at in found:
        require_finite(at, "positions")
        if np.any(np.diff(at) <= 0):
            raise ValueError(f"positions has {shown(at.tolist())} along an axis; rising places are wanted")
    return found
