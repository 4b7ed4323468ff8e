"""A blur that varies: PSFs and the weights with which each place has a part of them.

A `Sum` has weights that may be anything anywhere, a `Mesh` those of the nodes of a mesh, which are zero but near it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._array import Array, namespace, to_numpy
from ._varying_engines import Parts, Whole
from .convolution import Convolution

Line = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Sum:
    """``sum_k C_k W_k`` with any weights."""

    psfs: Array  #: shape ``(terms, *psf)``
    weights: Array  #: shape ``(terms, *domain)``

    @property
    def ndim(self) -> int:
        """Axes of the scene."""
        return int(self.psfs.ndim) - 1

    def taken(self, index: Sequence[Line]) -> Sum:
        """The same on the samples `index` of each axis of the domain."""
        weights, xp = self.weights, namespace(self.weights)
        for axis, i in enumerate(index, start=1):
            weights = xp.take(weights, xp.asarray(i, device=weights.device), axis=axis)
        return Sum(self.psfs, weights)

    def means(self, inside: tuple[slice, ...]) -> Line:
        """Mean weight of each term."""
        means: Line = self._table(inside).mean(axis=1)
        return means

    def gram(self, inside: tuple[slice, ...]) -> Line:
        """Mean product of the weights of two terms."""
        table = self._table(inside)
        gram: Line = table @ table.T / table.shape[1]
        return gram

    def at(self, place: Sequence[int]) -> Line:
        """The weights at a sample of the domain."""
        return np.asarray(to_numpy(self.weights[(slice(None), *place)]), np.float64)

    def _table(self, inside: tuple[slice, ...]) -> Line:
        part = np.asarray(to_numpy(self.weights[(slice(None), *inside)]), np.float64)
        return part.reshape(part.shape[0], -1)

    def terms(self) -> Line:
        """The PSFs on the host, shape ``(terms, *psf)``."""
        return np.asarray(to_numpy(self.psfs), np.float64)

    def magnitudes(self) -> Sum:
        """The same of moduli."""
        xp = namespace(self.psfs)
        return Sum(xp.abs(self.psfs), xp.abs(self.weights))

    def on_host(self) -> Sum:
        """The same of NumPy arrays."""
        return Sum(to_numpy(self.psfs), to_numpy(self.weights))

    def engine(self, mean: Convolution) -> Whole:
        """What computes it, on the frame of its mean."""
        return Whole(self, mean)


@dataclass(frozen=True)
class Mesh:
    """PSFs at the nodes of a mesh, with weights that are a product over the axes."""

    psfs: Array  #: shape ``(*nodes, *psf)``
    lines: tuple[Line, ...]  #: weights of the nodes along an axis, shape ``(nodes, domain)``

    @property
    def ndim(self) -> int:
        """Axes of the scene."""
        return len(self.lines)

    def taken(self, index: Sequence[Line]) -> Mesh:
        """The same on the samples `index` of each axis of the domain."""
        return Mesh(self.psfs, tuple(line[:, i] for line, i in zip(self.lines, index, strict=True)))

    def means(self, inside: tuple[slice, ...]) -> Line:
        """Mean weight of each node."""
        return functools.reduce(np.kron, (line[:, i].mean(axis=1) for line, i in zip(self.lines, inside, strict=True)))

    def gram(self, inside: tuple[slice, ...]) -> Line:
        """Mean product of the weights of two nodes."""
        cut = [line[:, i] for line, i in zip(self.lines, inside, strict=True)]
        return functools.reduce(np.kron, (line @ line.T / line.shape[1] for line in cut))

    def at(self, place: Sequence[int]) -> Line:
        """The weights at a sample of the domain."""
        return functools.reduce(np.kron, (line[:, i] for line, i in zip(self.lines, place, strict=True)))

    def terms(self) -> Line:
        """The PSFs on the host, shape ``(nodes, *psf)``."""
        psfs = np.asarray(to_numpy(self.psfs), np.float64)
        return psfs.reshape(-1, *psfs.shape[self.ndim :])

    def magnitudes(self) -> Mesh:
        """The same of moduli; the weights are none below zero."""
        return Mesh(namespace(self.psfs).abs(self.psfs), self.lines)

    def on_host(self) -> Mesh:
        """The same of NumPy arrays."""
        return Mesh(to_numpy(self.psfs), self.lines)

    def engine(self, mean: Convolution) -> Parts:
        """What computes it, on the frame of its mean."""
        return Parts(self, mean)
