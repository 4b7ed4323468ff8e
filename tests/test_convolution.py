"""The operator against independent truths: loops, SciPy, torch, and the definition of a transpose."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from sigdeconv import Convolution
from sigdeconv.convolution import BOUNDARIES

STRIDES = {"1": (1, 1, 1), "2": (2, 2, 2), "mixed": (3, 2, 1)}


@dataclass(frozen=True)
class Case:
    """A PSF and the frame it is seen through, first axes first: one dimension uses one entry, two use two."""

    psf: tuple[int, ...]
    frame: tuple[int, ...] = (7, 5, 3)
    center: tuple[int, ...] | None = None


CASES = {
    "odd": Case((5, 3, 3)),
    "even": Case((4, 2, 6)),
    "off-centre": Case((5, 4, 3), center=(0, 3, 1)),
    "larger-than-scene": Case((11, 8, 5), frame=(5, 3, 2)),
}


def blur_of(ndim: int, name: str, boundary: str, stride: str, **options: object) -> Convolution:
    """The operator of one case, with an asymmetric PSF in float64 NumPy."""
    case = CASES[name]
    center = None if case.center is None else case.center[:ndim]
    psf = np.random.default_rng(ndim).standard_normal(case.psf[:ndim])
    psf = options.pop("array", np.asarray)(psf)
    steps = STRIDES[stride][:ndim]
    return Convolution(psf, case.frame[:ndim], boundary=boundary, stride=steps, center=center, **options)


def source(m: int, length: int, boundary: str) -> int | None:
    """The sample of a scene of `length` that stands at place `m`, or None for darkness."""
    while not 0 <= m < length:
        if boundary == "zero":
            return None
        if boundary == "periodic":
            m += length if m < 0 else -length
        elif boundary == "reflect":  # half a sample outside: d c b a | a b c d | d c b a
            m = -1 - m if m < 0 else 2 * length - 1 - m
        else:
            raise AssertionError("with 'free' the scene holds every sample that the frame can see")
    return m


def matrix_by_loops(
    psf: np.ndarray,
    frame: tuple[int, ...],
    domain: tuple[int, ...],
    boundary: str,
    stride: tuple[int, ...],
    center: tuple[int, ...],
) -> np.ndarray:
    """The matrix by its definition, one sample after the other."""
    sees = [
        [[source(s * i + (k - 1 if boundary == "free" else c) - j, d, boundary) for j in range(k)] for i in range(n)]
        for n, d, k, s, c in zip(frame, domain, psf.shape, stride, center, strict=True)
    ]
    matrix = np.zeros((*frame, *domain))
    for i in np.ndindex(*frame):
        rows = [axis[p] for axis, p in zip(sees, i, strict=True)]
        for seen, value in zip(itertools.product(*rows), psf.ravel(), strict=True):
            if None not in seen:
                matrix[i + seen] += value
    return matrix.reshape(np.prod(frame), np.prod(domain))


@cache
def reference(ndim: int, name: str, boundary: str, stride: str) -> np.ndarray:
    """The loops' matrix of one case, computed once for all kinds of arrays."""
    case = CASES[name]
    psf = np.random.default_rng(ndim).standard_normal(case.psf[:ndim])
    frame, steps = case.frame[:ndim], STRIDES[stride][:ndim]
    center = tuple(k // 2 for k in psf.shape) if case.center is None else case.center[:ndim]
    sizes = zip(frame, psf.shape, steps, strict=True)
    domain = tuple((n - 1) * s + k if boundary == "free" else n * s for n, k, s in sizes)
    return matrix_by_loops(psf, frame, domain, boundary, steps, center)


every_case = pytest.mark.parametrize(
    ("ndim", "name", "boundary", "stride"), list(itertools.product((1, 2, 3), CASES, BOUNDARIES, STRIDES))
)


@every_case
def test_adjoint_is_the_adjoint(ndim, name, boundary, stride, kind, tolerance):
    for dtype, limit in tolerance.items():
        blur = blur_of(ndim, name, boundary, stride, array=lambda psf, dtype=dtype: kind.array(psf, dtype))
        rng = np.random.default_rng(7)
        x = kind.array(rng.standard_normal(blur.domain_shape), dtype)
        y = kind.array(rng.standard_normal(blur.shape), dtype)
        Ax, Ahy = kind.numpy(blur.forward(x)), kind.numpy(blur.adjoint(y))
        assert str(Ax.dtype) == str(Ahy.dtype) == dtype
        assert Ax.shape == blur.shape
        assert Ahy.shape == blur.domain_shape
        left = np.vdot(Ax.astype(float), kind.numpy(y).astype(float))
        right = np.vdot(kind.numpy(x).astype(float), Ahy.astype(float))
        assert abs(left - right) <= limit * np.linalg.norm(Ax) * np.linalg.norm(kind.numpy(y))


@every_case
def test_equals_the_matrix_built_by_loops(ndim, name, boundary, stride, kind, close):
    A = reference(ndim, name, boundary, stride)
    blur = blur_of(ndim, name, boundary, stride, array=kind.array)
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((2, *blur.domain_shape)), rng.standard_normal((2, *blur.shape))
    if ndim < 3 or kind.name == "numpy":
        close(kind.numpy(blur.to_dense()), A)
    close(kind.numpy(blur(kind.array(x))).reshape(2, -1), x.reshape(2, -1) @ A.T)
    close(kind.numpy(blur.adjoint(kind.array(y))).reshape(2, -1), y.reshape(2, -1) @ A)


@every_case
def test_adjoint_is_the_gradient_of_forward(ndim, name, boundary, stride, torch, close):
    blur = blur_of(ndim, name, boundary, stride, array=torch.asarray)
    rng = np.random.default_rng(5)
    x = torch.asarray(rng.standard_normal((2, *blur.domain_shape))).requires_grad_()
    y = torch.asarray(rng.standard_normal((2, *blur.shape))).requires_grad_()
    (gradient,) = torch.autograd.grad((blur(x) * y).sum(), x)
    close(gradient, blur.adjoint(y).detach())
    (gradient,) = torch.autograd.grad((blur.adjoint(y) * x).sum(), y)
    close(gradient, blur(x).detach())


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("k", "n", "s"), [(1, 7, 3), (2, 5, 2), (3, 5, 2), (4, 1, 3), (7, 5, 4), (23, 2, 3)])
def test_every_domain_shape_that_strides_to_the_frame(k, n, s, boundary, close):
    psf = np.random.default_rng(k).standard_normal(k)
    first = (n - 1) * s + (k if boundary == "free" else 1)
    for center, domain in itertools.product({0, k // 2, k - 1}, range(first, first + s)):
        blur = Convolution(psf, n, boundary=boundary, stride=s, center=center, domain_shape=domain)
        assert (blur.shape, blur.domain_shape) == ((n,), (domain,))
        A = matrix_by_loops(psf, (n,), (domain,), boundary, (s,), (center,))
        close(blur.to_dense(), A)
        close(blur.adjoint(np.eye(n)), A)
    for domain in (first - 1, first + s):
        with pytest.raises(ValueError, match="domain_shape" if domain else "at least 1"):
            Convolution(psf, n, boundary=boundary, stride=s, domain_shape=domain)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("shape", [(5, 3, 3), (4, 2, 6)])
def test_equals_scipy(ndim, shape, close):
    from scipy import ndimage, signal

    rng = np.random.default_rng(ndim)
    psf, x = rng.standard_normal(shape[:ndim]), rng.standard_normal((13, 11, 7)[:ndim])
    for boundary, mode in {"reflect": "reflect", "periodic": "wrap", "zero": "constant"}.items():
        close(Convolution(psf, x.shape, boundary=boundary)(x), ndimage.convolve(x, psf, mode=mode))
    same = tuple(slice(k // 2, k // 2 + n) for k, n in zip(psf.shape, x.shape, strict=True))
    close(Convolution(psf, x.shape, boundary="zero")(x), signal.convolve(x, psf, "full", "direct")[same])
    valid = signal.convolve(x, psf, "valid", "direct")
    free = Convolution(psf, valid.shape)
    close(free(x), valid)
    close(free.adjoint(valid), signal.correlate(valid, psf, "full", "direct"))


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("boundary", ["zero", "free"])
def test_equals_torch_conv_and_conv_transpose_with_the_flipped_psf(ndim, stride, boundary, torch, close):
    F = torch.nn.functional
    conv, conv_transpose = getattr(F, f"conv{ndim}d"), getattr(F, f"conv_transpose{ndim}d")
    rng = np.random.default_rng(ndim)
    k, frame = 5, (7, 3, 5)[:ndim]
    psf = rng.standard_normal((k,) * ndim)
    weight = torch.asarray(np.flip(psf).copy())[None, None]
    padding = k // 2 if boundary == "zero" else 0
    for output_padding in range(stride):  # what it chooses in a network, `domain_shape` chooses here
        domain = tuple((n - 1) * stride - 2 * padding + k + output_padding for n in frame)
        blur = Convolution(psf, frame, boundary=boundary, stride=stride, domain_shape=domain)
        x, y = rng.standard_normal((2, 1, *domain)), rng.standard_normal((2, 1, *frame))
        close(blur(x), conv(torch.asarray(x), weight, stride=stride, padding=padding))
        network = conv_transpose(
            torch.asarray(y), weight, stride=stride, padding=padding, output_padding=output_padding
        )
        close(blur.adjoint(y), network)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("center", [0, 1, 2, 3])
def test_equals_torch_where_the_arms_of_the_psf_differ(stride, center, torch, close):
    # torch pads both ends alike, so an even kernel is padded by hand, and its transpose cropped.
    F, k, n = torch.nn.functional, 4, 7
    rng = np.random.default_rng(center)
    psf = rng.standard_normal(k)
    weight = torch.asarray(psf[::-1].copy())[None, None]
    blur = Convolution(psf, n, boundary="zero", stride=stride, center=center)
    (domain,) = blur.domain_shape
    x, y = rng.standard_normal((2, 1, domain)), rng.standard_normal((2, 1, n))
    close(blur(x), F.conv1d(F.pad(torch.asarray(x), (k - 1 - center, center)), weight, stride=stride))
    whole = F.conv_transpose1d(torch.asarray(y), weight, stride=stride, output_padding=max(0, stride - 1 - center))
    close(blur.adjoint(y), whole[..., k - 1 - center :][..., :domain])


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_leading_axes_are_batch(ndim, boundary, kind, close):
    blur = blur_of(ndim, "even", boundary, "mixed", array=kind.array)
    rng = np.random.default_rng(1)
    for operate, shape in ((blur.forward, blur.domain_shape), (blur.adjoint, blur.shape)):
        x = rng.standard_normal((2, 3, *shape))
        one_by_one = [[kind.numpy(operate(kind.array(x[i, j]))) for j in range(3)] for i in range(2)]
        close(kind.numpy(operate(kind.array(x))), np.array(one_by_one))


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_dtype_follows_the_data_and_not_the_psf(boundary, kind):
    rng = np.random.default_rng(1)
    # A float64 NumPy PSF serves data of every kind and precision.
    blur = Convolution(rng.standard_normal((4, 3)), (7, 5), boundary=boundary, stride=(2, 1))
    for dtype, wanted in {"float32": "float32", "float64": "float64", "uint8": "float32", "int32": "float64"}.items():
        x, y = np.ones(blur.domain_shape, dtype), np.ones(blur.shape, dtype)
        forward, adjoint = kind.numpy(blur(kind.array(x))), kind.numpy(blur.adjoint(kind.array(y)))
        assert forward.dtype == adjoint.dtype == wanted
        np.testing.assert_allclose(forward, blur(x.astype(float)), rtol=0, atol=2e-6)


def test_memory_layout_and_flags_of_the_data_do_not_matter(close):
    blur = blur_of(3, "odd", "reflect", "mixed")
    x = np.random.default_rng(0).standard_normal(blur.domain_shape)
    wanted = blur(x)
    locked = x.copy()
    locked.flags.writeable = False
    wide = np.repeat(x, 2, axis=-1)[..., ::2]
    for same in (locked, wide, np.asfortranarray(x), x[::-1].copy()[::-1], x.astype(">f8")):
        before = same.copy()
        close(blur(same), wanted)
        np.testing.assert_array_equal(same, before)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("stride", STRIDES)
def test_out_takes_the_result(boundary, stride):
    blur = blur_of(2, "odd", boundary, stride)
    rng = np.random.default_rng(0)
    for operate, inside, outside in (
        (blur.forward, blur.domain_shape, blur.shape),
        (blur.adjoint, blur.shape, blur.domain_shape),
    ):
        for batch in ((), (3,)):
            x = rng.standard_normal((*batch, *inside))
            out = np.full((*batch, *outside), np.nan)
            assert operate(x, out=out) is out
            np.testing.assert_array_equal(out, operate(x))


def test_frame_says_where_the_image_lies_in_the_scene():
    delta = np.zeros((4, 5))
    delta[2, 0] = 1  # the origin: a blur that changes nothing
    for boundary in BOUNDARIES:
        blur = Convolution(delta, (7, 5), boundary=boundary, center=(2, 0))
        x = np.random.default_rng(0).standard_normal(blur.domain_shape)
        np.testing.assert_allclose(blur(x), x[blur.frame], rtol=0, atol=1e-14)
    strided = Convolution(delta, (7, 5), boundary="zero", center=(2, 0), stride=2)
    x = np.random.default_rng(0).standard_normal(strided.domain_shape)
    np.testing.assert_allclose(strided(x), x[strided.frame][::2, ::2], rtol=0, atol=1e-14)


def test_what_cannot_fit_is_refused_before_the_work(monkeypatch):
    """Not by the system, which ends the process in the middle of it."""
    from sigdeconv import _memory, convolution

    monkeypatch.setattr(_memory, "available", lambda: 2.0**30)
    volume = np.broadcast_to(np.float32(1), (512, 1024, 1024))
    with pytest.raises(MemoryError, match=r"takes at least 6\.\d+ GiB to restore, and 1 GiB are free; .*map_chunks"):
        convolution.operator(np.ones((3, 3, 3), np.float32) / 27, volume, "free")
    assert convolution.operator(np.ones((3, 3)) / 9, np.ones((64, 64)), "free").shape == (64, 64)
