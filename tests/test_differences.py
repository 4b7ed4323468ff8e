"""Finite differences against dense matrices, closed forms and automatic differentiation."""

from __future__ import annotations

import numpy as np
import pytest

from sigdeconv import differences

SHAPES = [(7,), (1,), (5, 6), (1, 4), (4, 3, 5)]


def dense_gradient(shape):
    """The gradient as a matrix, from the definition."""
    size = int(np.prod(shape))
    rows = []
    for axis, n in enumerate(shape):
        for index in np.ndindex(*shape):
            row = np.zeros(shape)
            if index[axis] < n - 1:
                row[index] = -1.0
                row[tuple(i + (a == axis) for a, i in enumerate(index))] = 1.0
            rows.append(row.ravel())
    return np.array(rows).reshape(len(shape) * size, size)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_adjoint_and_laplacian_are_their_matrices(shape, kind):
    x, g = (
        np.random.default_rng(0).standard_normal(shape),
        np.random.default_rng(1).standard_normal((len(shape), *shape)),
    )
    D = dense_gradient(shape)
    ndim = len(shape)
    np.testing.assert_allclose(kind.numpy(differences.gradient(kind.array(x), ndim)).ravel(), D @ x.ravel(), atol=1e-14)
    np.testing.assert_allclose(
        kind.numpy(differences.gradient_adjoint(kind.array(g))).ravel(), D.T @ g.ravel(), atol=1e-13
    )
    np.testing.assert_allclose(
        kind.numpy(differences.laplacian(kind.array(x), ndim)).ravel(), -D.T @ (D @ x.ravel()), atol=1e-13
    )


def test_leading_axes_are_batch():
    x = np.random.default_rng(0).standard_normal((3, 5, 6))
    np.testing.assert_array_equal(differences.gradient(x, 2)[:, 1], differences.gradient(x[1], 2))
    np.testing.assert_array_equal(differences.curvature(x, 2, 0.1)[1], differences.curvature(x[1], 2, 0.1))


@pytest.mark.parametrize("shape", SHAPES)
def test_curvature_is_minus_the_gradient_of_the_smoothed_total_variation(shape):
    torch = pytest.importorskip("torch")
    x, epsilon, ndim = np.random.default_rng(0).standard_normal(shape), 0.05, len(shape)
    t = torch.asarray(x).requires_grad_()
    total = torch.zeros_like(t)
    for axis in range(ndim):
        n = shape[axis]
        step = torch.diff(t, dim=axis)
        pad = torch.zeros([1 if a == axis else m for a, m in enumerate(shape)], dtype=t.dtype)
        total = total + torch.cat([step, pad], dim=axis).narrow(axis, 0, n) ** 2
    torch.sqrt(total + epsilon**2).sum().backward()
    np.testing.assert_allclose(differences.curvature(x, ndim, epsilon), -t.grad.numpy(), atol=1e-12)


def test_curvature_of_a_flat_scene_and_of_a_ramp_inside_is_zero():
    assert not differences.curvature(np.full((6, 7), 3.0), 2, 1e-3).any()
    ramp = np.arange(9.0)[None, :] + 2 * np.arange(8.0)[:, None]
    np.testing.assert_allclose(differences.curvature(ramp, 2, 1e-3)[1:-1, 1:-1], 0, atol=1e-15)


def test_float32_is_kept():
    assert differences.curvature(np.ones((4, 5), np.float32), 2, 1e-3).dtype == np.float32
