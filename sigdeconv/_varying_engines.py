"""How a blur that varies is computed: as a few convolutions of the whole scene, or as many of small parts of it.

Weights that may be anything anywhere make each term a convolution of the whole, but all terms share one inverse
transform. With weights that are zero but near the node of a mesh each PSF is convolved with the part of the scene
around its node alone.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _fft, _parallel
from ._array import Array, is_numpy, namespace
from ._edges import Axis, extend, fold
from .convolution import Convolution, psf_to_otf

if TYPE_CHECKING:
    from ._varying import Mesh, Sum

Line = np.ndarray[Any, Any]

ROUND = 8  # parts a thread that are held before they are added up: what they take is small against the image
STACK = 1 << 24  # samples of a stack of parts, where an array library wants few and large operations


class Prepared:
    """Arrays in the kind, place and precision of the data, made once for each."""

    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}

    def get(self, x: Array, make: Callable[[], Any]) -> Any:
        """What `make` gave for data such as `x`."""
        key = (type(x), str(x.dtype), str(getattr(x, "device", None)))
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


class Whole:
    """The engine of a `Sum`: ``terms + 1`` transforms of the whole, where as many convolutions had ``2 terms``."""

    def __init__(self, model: Sum, mean: Convolution) -> None:
        self.model, self.axes, self.grid, self.frame = model, mean._axes, mean.grid, mean.shape
        xp = namespace(model.psfs)
        used = [k for k in range(model.psfs.shape[0]) if bool(xp.any(model.psfs[k, ...] != 0))]
        self.which = used
        self.blurs = [
            Convolution(model.psfs[k, ...], mean.shape, boundary=mean.boundary, center=mean.center) for k in used
        ]
        self.prepared = Prepared()

    def _ready(self, x: Array) -> list[tuple[Array, Array]]:
        """Weights and transfer function of each term."""

        def make() -> list[tuple[Array, Array]]:
            weights, xp = self.model.weights, namespace(x)
            if is_numpy(weights) and not is_numpy(x):
                single = x.dtype == xp.float32
                weights = xp.asarray(weights.astype("float32" if single else "float64"), device=x.device)
            weights = xp.astype(weights, x.dtype, copy=False)
            return [(weights[k, ...], blur.transfer_like(x)) for k, blur in zip(self.which, self.blurs, strict=True)]

        return self.prepared.get(x, make)  # type: ignore[no-any-return]

    def forward(self, x: Array) -> Array:
        """``A x``."""
        spectrum = None
        for weight, transfer in self._ready(x):
            term = _fft.transform(extend(x * weight, self.axes), self.grid)
            term = _times(term, transfer, out=term)
            spectrum = term if spectrum is None else _parallel.each(lambda a, b: a + b, spectrum, term, out=spectrum)
        return _fft.inverse(spectrum, self.grid, overwrite=True)[(..., *(slice(n) for n in self.frame))]

    def adjoint(self, y: Array) -> Array:
        """``A^H y``."""
        xp, spectrum, x = namespace(y), _fft.transform(y, self.grid), None
        extended = tuple(slice(axis.extended) for axis in self.axes)
        for weight, transfer in self._ready(y):
            back = _fft.inverse(_times(spectrum, xp.conj(transfer)), self.grid, overwrite=True)
            back = fold(back[(..., *extended)], self.axes) * weight
            x = back if x is None else _parallel.each(lambda a, b: a + b, x, back, out=x)
        return x


def _times(spectrum: Array, transfer: Array, out: Array | None = None) -> Array:
    if not is_numpy(spectrum):
        return spectrum * transfer
    return _parallel.each(lambda s, t: s * t, spectrum, np.broadcast_to(transfer, spectrum.shape), out=out)


@dataclass(frozen=True)
class Run:
    """Neighbouring samples of one axis of the (continued) scene on which a node's weight is not zero."""

    node: int
    source: slice
    target: slice  #: samples of the frame that they reach
    shift: int  #: sample of the PSF that takes the first of the source to the first of the target
    grid: int  #: period of a circular convolution that does it

    @property
    def sizes(self) -> tuple[int, int]:
        """Samples of source and target."""
        return self.source.stop - self.source.start, self.target.stop - self.target.start


class Parts:
    """The engine of a `Mesh`: a small convolution for each node."""

    def __init__(self, model: Mesh, mean: Convolution) -> None:
        self.frame, self.ndim, self.domain = mean.shape, model.ndim, mean.domain_shape
        geometry = list(zip(model.lines, mean.shape, mean.psf.shape, mean.center, strict=True))
        self.axes = tuple(_axis(line, n, k, c, mean.boundary) for line, n, k, c in geometry)
        offsets = [c if mean.boundary == "zero" else k - 1 for _, _, k, c in geometry]
        self.lines = [extend(line, (axis,)) for line, axis in zip(model.lines, self.axes, strict=True)]
        runs = [
            list(_runs(line, axis.frame, k, offset, last=i == self.ndim - 1))
            for i, (line, axis, k, offset) in enumerate(
                zip(self.lines, self.axes, mean.psf.shape, offsets, strict=True)
            )
        ]
        self.psfs = model.psfs
        self.parts = list(itertools.product(*runs))
        self.prepared = Prepared()

    def _transfer(self, part: tuple[Run, ...], x: Array) -> Array:
        psf = self.psfs[(*(run.node for run in part), ...)]
        grid = [run.grid for run in part]
        return Convolution.from_otf(psf_to_otf(psf, grid, center=[run.shift for run in part]), grid).transfer_like(x)

    def _weight(self, part: tuple[Run, ...]) -> Line:
        return functools.reduce(
            np.multiply.outer, (line[run.node, run.source] for line, run in zip(self.lines, part, strict=True))
        )

    def forward(self, x: Array) -> Array:
        """``A x``."""
        xp = namespace(x)
        x = extend(x, self.axes)
        y = xp.zeros((*x.shape[: x.ndim - self.ndim], *self.frame), dtype=x.dtype, device=x.device)

        def blurred(part: tuple[Run, ...], weight: Array, transfer: Array, piece: Array) -> Array:
            return _fft.filter(piece * weight, transfer, [r.grid for r in part], [r.sizes[1] for r in part])

        for part, piece in self._pieces(x, blurred, "source"):
            y[(..., *(run.target for run in part))] += piece
        return y

    def adjoint(self, y: Array) -> Array:
        """``A^H y``."""
        xp = namespace(y)
        extended = tuple(axis.extended for axis in self.axes)
        x = xp.zeros((*y.shape[: y.ndim - self.ndim], *extended), dtype=y.dtype, device=y.device)

        def back(part: tuple[Run, ...], weight: Array, transfer: Array, piece: Array) -> Array:
            sizes = [r.sizes[0] for r in part]
            return _fft.filter(piece, transfer, [r.grid for r in part], sizes, conjugate=True) * weight

        for part, piece in self._pieces(y, back, "target"):
            x[(..., *(run.source for run in part))] += piece
        return fold(x, self.axes)

    def _pieces(self, x: Array, function: Callable[..., Array], side: str) -> Iterator[tuple[tuple[Run, ...], Array]]:
        """``function`` of each part, in an order that does not depend on the number of threads."""

        def cut(part: tuple[Run, ...]) -> Array:
            return x[(..., *(getattr(run, side) for run in part))]

        if not is_numpy(x):
            for parts, weight, transfer in self.prepared.get(x, lambda: self._stacks(x)):
                pieces = function(
                    parts[0], weight, transfer, namespace(x).stack([cut(p) for p in parts], axis=-1 - self.ndim)
                )
                for i, part in enumerate(parts):
                    yield part, pieces[(..., i, *(slice(None),) * self.ndim)]
            return
        ready = self.prepared.get(
            x, lambda: [(p, self._weight(p).astype(x.dtype), self._transfer(p, x)) for p in self.parts]
        )
        largest = max(math.prod(run.grid for run in part) for part in self.parts)
        if x.ndim > self.ndim or largest > _fft.BLOCK or _fft.plugged_in():  # these are threaded inside
            for part, weight, transfer in ready:
                yield part, function(part, weight, transfer, cut(part))
            return
        count = ROUND * _parallel.workers()
        for start in range(0, len(ready), count):
            some = ready[start : start + count]
            results: list[Any] = [None] * len(some)

            def block(first: int, end: int, some: Any = some, results: list[Any] = results) -> None:
                for i in range(first, end):
                    part, weight, transfer = some[i]
                    results[i] = function(part, weight, transfer, cut(part))

            _parallel.run(block, len(some), 1)
            yield from ((entry[0], result) for entry, result in zip(some, results, strict=True))

    def _stacks(self, x: Array) -> list[tuple[list[tuple[Run, ...]], Array, Array]]:
        """Parts of one geometry together, for libraries that want few and large operations."""
        xp = namespace(x)
        alike: dict[Any, list[tuple[Run, ...]]] = {}
        for part in self.parts:
            alike.setdefault(tuple((run.sizes, run.grid) for run in part), []).append(part)
        stacks = []
        items = math.prod(x.shape[: x.ndim - self.ndim])
        real = "float32" if x.dtype == xp.float32 else "float64"
        for parts in alike.values():
            count = max(1, STACK // (math.prod(run.grid for run in parts[0]) * items))
            for start in range(0, len(parts), count):
                some = parts[start : start + count]
                weight = xp.asarray(np.stack([self._weight(p) for p in some]).astype(real), device=x.device)
                stacks.append((some, weight, xp.stack([self._transfer(p, x) for p in some])))
        return stacks


class Followed:
    """An engine whose adjoint is followed by a filter."""

    def __init__(self, engine: Engine, transfer: Array, grid: tuple[int, ...]) -> None:
        self.engine, self.transfer, self.grid = engine, transfer, grid

    def forward(self, x: Array) -> Array:
        """``A x``."""
        return self.engine.forward(x)

    def adjoint(self, y: Array) -> Array:
        """``F A^H y``."""
        x = self.engine.adjoint(y)
        transfer = Convolution.from_otf(self.transfer, self.grid).transfer_like(x)
        return _fft.filter(x, transfer, self.grid, x.shape[x.ndim - len(self.grid) :])


class Folded:
    """The engine of a scene that is mirrored or dark past the frame, with the adjoint of a scene that goes on."""

    def __init__(self, wide: Engine, blur: Convolution) -> None:
        self.wide, self.blur = wide, blur

    def forward(self, x: Array) -> Array:
        """``A x``."""
        return self.blur.forward(x)

    def adjoint(self, y: Array) -> Array:
        """The adjoint of the wider one, folded."""
        x, blur = self.wide.adjoint(y), self.blur
        if blur.boundary == "reflect":
            return fold(x, blur._axes)
        leads = [k - 1 - c for k, c in zip(blur.psf.shape, blur.center, strict=True)]
        return x[(..., *(slice(lead, lead + n) for lead, n in zip(leads, blur.shape, strict=True)))]


Engine = Whole | Parts | Followed | Folded


def _axis(line: Line, n: int, k: int, c: int, boundary: str) -> Axis:
    """How the scene is continued for convolutions of parts of it."""
    free, continued = boundary == "free", boundary in ("periodic", "reflect")
    before, after = (k - 1 - c, c) if continued else (0, 0)
    lead = k - 1 - c if free else 0
    return Axis(n, 1, line.shape[1], lead, before, after, boundary == "reflect", 0, 0, slice(None))


def _runs(line: Line, frame: int, k: int, offset: int, *, last: bool) -> Iterator[Run]:
    """The runs of all nodes along an axis.

    A source that begins at `a` meets the frame from its sample ``a - offset`` on, and reaches ``k - 1`` samples past
    its own length.
    """
    for node, weights in enumerate(line):
        ends = np.flatnonzero(np.diff(np.concatenate([[0.0], weights != 0, [0.0]])))
        for start, stop in ends.reshape(-1, 2).tolist():
            first, final = max(0, start - offset), min(frame, stop + k - 1 - offset)
            if first >= final:
                continue
            shift = first + offset - start
            # What wraps around must not fall on what is kept.
            room = max(stop - start, stop - start + k - 1 - shift, final - first + shift)
            yield Run(node, slice(start, stop), slice(first, final), shift, _fft.fast_length(room, real=last))
