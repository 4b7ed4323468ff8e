"""The operator by its spectrum and as a matrix for others; what may be fused into it; and what is refused."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from sigdeconv import Convolution, psf_to_otf
from sigdeconv.convolution import BOUNDARIES, DENSE_LIMIT, operator, psf_for


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("shape", [(13, 7, 5), (8, 6, 4)])
def test_psf_to_otf_is_the_spectrum_about_the_origin(ndim, shape, kind, close):
    rng = np.random.default_rng(ndim)
    shape = shape[:ndim]
    psf = rng.standard_normal((5, 4, 3)[:ndim])
    for center in (None, (0, 3, 2)[:ndim]):
        origin = [k // 2 for k in psf.shape] if center is None else center
        # By definition: sum_j psf[j] exp(-2 pi i f (j - c)), one axis after the other.
        wanted = psf.astype(complex)
        for axis, (n, c) in enumerate(zip(shape, origin, strict=True)):
            frequencies = np.fft.rfftfreq(n) if axis == ndim - 1 else np.fft.fftfreq(n)
            waves = np.exp(-2j * np.pi * np.outer(frequencies, np.arange(psf.shape[axis]) - c))
            wanted = np.moveaxis(np.tensordot(waves, wanted, (1, axis)), 0, axis)
        close(kind.numpy(psf_to_otf(kind.array(psf), shape, center=center)), wanted)
        assert kind.numpy(psf_to_otf(kind.array(psf, "float32"), shape)).dtype == np.complex64


def test_psf_larger_than_the_grid_is_wrapped_around():
    psf = np.random.default_rng(0).standard_normal(17)
    folded = np.zeros(5)
    np.add.at(folded, (np.arange(17) - 8) % 5, psf)
    np.testing.assert_allclose(psf_to_otf(psf, 5), np.fft.rfft(folded), atol=1e-13)


@pytest.mark.parametrize("shape", [(7,), (8,), (6, 5), (5, 6), (3, 5, 4), (1,), (2,), (3, 1)])
def test_from_otf_half_and_full_are_the_periodic_blur(shape, kind, close):
    rng = np.random.default_rng(len(shape))
    kernel = rng.standard_normal(shape)  # with its origin at sample zero
    full = np.fft.fftn(kernel)
    half = np.fft.rfftn(kernel)
    x = rng.standard_normal((2, *shape))
    axes = tuple(range(1, 1 + len(shape)))
    wanted = np.fft.ifftn(np.fft.fftn(x, axes=axes) * full, axes=axes).real
    wanted_adjoint = np.fft.ifftn(np.fft.fftn(x, axes=axes) * full.conj(), axes=axes).real
    for otf in (half, full):
        blur = Convolution.from_otf(kind.array(otf), shape)
        assert (blur.shape, blur.domain_shape, blur.boundary, blur.psf) == (shape, shape, "periodic", None)
        close(kind.numpy(blur(kind.array(x))), wanted)
        close(kind.numpy(blur.adjoint(kind.array(x))), wanted_adjoint)


def test_from_otf_keeps_the_phase():
    n = 16
    x = np.random.default_rng(0).standard_normal(n)
    shift = np.exp(-2j * np.pi * 3 * np.fft.fftfreq(n))
    np.testing.assert_allclose(Convolution.from_otf(shift, n)(x), np.roll(x, 3), atol=1e-13)
    np.testing.assert_allclose(Convolution.from_otf(shift, n).adjoint(x), np.roll(x, -3), atol=1e-13)


def test_from_otf_of_a_real_spectrum_and_of_psf_to_otf(close):
    psf = np.random.default_rng(0).standard_normal((4, 3))
    x = np.random.default_rng(1).standard_normal((9, 8))
    close(Convolution.from_otf(psf_to_otf(psf, x.shape), x.shape)(x), Convolution(psf, x.shape, boundary="periodic")(x))
    close(Convolution.from_otf(np.full(9, 2.0), 9)(x[:, 0]), 2 * x[:, 0])


def test_from_otf_adjoint_holds_for_a_half_spectrum_that_no_real_psf_has():
    # Half a sample of shift: real arrays have no phase at the highest frequency, whichever way it is then dropped.
    otf = np.multiply.outer(np.exp(-1j * np.pi * np.fft.fftfreq(6)), np.exp(-1j * np.pi * np.fft.rfftfreq(8)))
    blur = Convolution.from_otf(otf, (6, 8))
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 8)), rng.standard_normal((6, 8))
    assert abs(np.vdot(blur(x), y) - np.vdot(x, blur.adjoint(y))) < 1e-12 * np.linalg.norm(x) * np.linalg.norm(y)


@pytest.mark.parametrize(
    ("otf", "shape", "message"),
    [
        (np.ones((8, 4)), (8, 8), "otf has shape (8, 4) but an image of shape (8, 8) has the half spectrum (8, 5)"),
        (np.ones((5, 8)), (8, 8), "otf has shape (5, 8)"),
        (np.ones(8) * 1j, 8, "otf is not Hermitian"),
        (np.exp(-1j * np.arange(9.0)), 9, "otf is not Hermitian"),
        (np.array([1, np.nan, 1]), 4, "otf has NaN or infinite samples"),
        (np.array([1, 1j * np.inf, 1]), 4, "otf has NaN or infinite samples"),
        (np.ones((1, 1, 1, 1)), (1, 1, 1, 1), "otf has 4 dimensions; 1, 2 or 3 are wanted"),
        (np.ones(5), (8, 8), "shape has 2 entries; 1 are wanted"),
    ],
)
def test_from_otf_guesses_nothing(otf, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Convolution.from_otf(otf, shape)


def test_from_otf_refuses_what_is_no_number():
    with pytest.raises(TypeError, match="otf has dtype bool"):
        Convolution.from_otf(np.ones(5, bool), 8)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_linear_operator_is_the_matrix(boundary, dtype, close):
    psf = np.random.default_rng(0).standard_normal((4, 3)).astype(dtype)
    blur = Convolution(psf, (5, 7), boundary=boundary, stride=(2, 1))
    A, dense = blur.to_linear_operator(), blur.to_dense()
    assert (A.dtype, dense.dtype, A.shape, dense.shape) == (dtype, dtype, dense.shape, A.shape)
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((A.shape[1], 2)).astype(dtype), rng.standard_normal((A.shape[0], 2)).astype(dtype)
    close(A @ x, dense @ x, slack=3)
    close(A.H @ y, dense.T @ y, slack=3)


def test_linear_operator_of_a_torch_psf_takes_numpy_vectors(torch):
    psf = np.random.default_rng(0).standard_normal(3)
    A = Convolution(torch.asarray(psf), 5).to_linear_operator()
    np.testing.assert_allclose(A @ np.arange(7.0), Convolution(psf, 5)(np.arange(7.0)), atol=1e-12)


def test_dense_matrix_of_a_large_problem_is_refused():
    n = int(DENSE_LIMIT**0.5) + 1
    with pytest.raises(ValueError, match="to_linear_operator"):
        Convolution(np.ones(3), n, boundary="zero").to_dense()


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("stride", [1, 2])
def test_then_is_applied_to_the_result(boundary, stride, kind, close):
    rng = np.random.default_rng(0)
    blur = Convolution(rng.standard_normal((3, 4)), (7, 5), boundary=boundary, stride=stride)
    for operate, inside in ((blur.forward, blur.domain_shape), (blur.adjoint, blur.shape)):
        x = rng.standard_normal((3, *inside))
        plain = kind.numpy(operate(kind.array(x)))
        weights, gain = rng.standard_normal(plain.shape), rng.standard_normal((3, 1, 1))
        fused = operate(kind.array(x), then=(lambda v, w, g: w - g * v, kind.array(weights), kind.array(gain)))
        close(kind.numpy(fused), weights - gain * plain)


def test_gradient_reaches_the_psf(torch):
    x = torch.asarray(np.random.default_rng(0).standard_normal((6, 7)))
    psf = torch.asarray(np.random.default_rng(1).standard_normal((2, 3))).requires_grad_()
    for boundary in BOUNDARIES:

        def loss(psf, boundary=boundary):
            blur = Convolution(psf, (5, 5) if boundary == "free" else (6, 7), boundary=boundary)
            return (blur(x) ** 2).sum()

        assert torch.autograd.gradcheck(loss, psf)


def test_out_of_permuted_batch_axes_is_filled():
    blur = Convolution(np.ones(3), 5)
    x = np.random.default_rng(0).standard_normal((2, 3, 7))
    out = np.full((3, 2, 5), np.nan).transpose(1, 0, 2)  # no view of it has the batch as one axis
    blur(x, out=out)
    np.testing.assert_array_equal(out, blur(x))


@pytest.mark.parametrize("k", [(3,), (3, 3)])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_out_of_another_shape_is_refused(k, batch):
    blur = Convolution(np.ones(k), (5,) * len(k))
    x = np.ones((*batch, *blur.domain_shape))
    for change in (-1, 1):
        with pytest.raises(ValueError, match="out"):
            blur(x, out=np.empty((*batch, *blur.shape[:-1], 5 + change)))


@pytest.mark.parametrize(
    ("error", "options", "message"),
    [
        (ValueError, {"boundary": "same"}, "boundary is 'same'; pass one of 'free', 'periodic', 'zero', 'reflect'"),
        (ValueError, {"stride": 0}, "stride is 0; every entry must be at least 1"),
        (ValueError, {"stride": (1, 2, 3)}, "stride has 3 entries; 2 are wanted"),
        (TypeError, {"stride": 1.5}, "stride is 1.5; an integer or one integer an axis is wanted"),
        (ValueError, {"center": 3}, "center is 3 but the psf has shape (3, 3)"),
        (ValueError, {"center": -1}, "center is -1; every entry must be at least 0"),
        (ValueError, {"domain_shape": 9}, "domain_shape has the entry 9 but 5 samples at stride 1"),
        (ValueError, {"shape": (5, 0)}, "shape is (5, 0); every entry must be at least 1"),
        (ValueError, {"psf": np.ones((1,) * 4), "shape": 5}, "psf has 4 dimensions; 1, 2 or 3 are wanted"),
        (ValueError, {"psf": np.zeros((3, 3))}, "psf is zero everywhere"),
        (ValueError, {"psf": np.ones((0, 3))}, "psf is empty"),
        (ValueError, {"psf": np.full((3, 3), np.nan)}, "psf has 9 NaN or infinite samples"),
        (TypeError, {"psf": np.ones((3, 3)) * 1j}, "psf has dtype complex128; real numbers are wanted"),
    ],
)
def test_wrong_arguments_are_named(error, options, message):
    options = {"psf": np.ones((3, 3)), "shape": (5, 5)} | options
    with pytest.raises(error, match=re.escape(message)):
        Convolution(options.pop("psf"), options.pop("shape"), **options)


def test_wrong_data_are_named():
    blur = Convolution(np.ones((3, 3)), (5, 5))
    for operate, name, wanted in ((blur.forward, "x", "(..., 7, 7)"), (blur.adjoint, "y", "(..., 5, 5)")):
        for shape in ((6, 7), (7,), (5, 4), ()):
            with pytest.raises(ValueError, match=re.escape(f"{name} has shape {shape}; {wanted} is wanted")):
                operate(np.ones(shape))
        with pytest.raises(TypeError, match=f"{name} has dtype complex128"):
            operate(np.ones((7, 7)) * 1j)


def test_kinds_are_not_mixed(torch):
    blur = Convolution(torch.ones(3), 5)
    with pytest.raises(TypeError, match=r"the psf is a torch.Tensor but the data are a numpy.ndarray"):
        blur(np.ones(7))


def test_operator_makes_or_checks_the_blur_of_an_image():
    image = np.ones((2, 8, 9), np.float32)
    blur = operator(np.ones((3, 3)) / 9, image, "zero")
    assert (blur.shape, blur.boundary, blur.psf.dtype) == ((8, 9), "zero", np.float32)
    assert operator(blur, image, "free") is blur
    with pytest.raises(ValueError, match=re.escape("image has shape (8, 8) but the Convolution observes (8, 9)")):
        operator(blur, np.ones((8, 8)), "free")


@pytest.mark.parametrize(
    ("psf", "image", "message"),
    [
        (np.array([-1.0, 1.0]), np.ones(9), "psf has the sum 0; a blur must pass some light"),
        (np.array([0.1, 0.2, -0.3]), np.ones(9), "psf has the sum"),
        (np.ones((3, 3, 3)), np.ones((9, 9)), "psf has 3 dimensions but image has 2"),
        (np.ones((5, 5)), np.ones((9, 9, 3)), "looks like colours on the last axis; pass channel_axis=-1"),
    ],
)
def test_psf_for_an_image_is_checked(psf, image, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        psf_for(psf, image)


@pytest.mark.parametrize(("boundary", "center"), list(itertools.product(BOUNDARIES, (None, 0, 3))))
def test_properties_say_how_it_was_built(boundary, center):
    psf = np.arange(1.0, 5.0)
    blur = Convolution(psf, 7, boundary=boundary, stride=2, center=center)
    assert (blur.boundary, blur.ndim, blur.stride, blur.shape) == (boundary, 1, (2,), (7,))
    assert blur.domain_shape == ((16,) if boundary == "free" else (14,))
    np.testing.assert_array_equal(blur.psf, psf)
    assert blur.otf.shape == (blur.grid[0] // 2 + 1,)
    assert abs(blur.otf[0] - psf.sum()) < 1e-12
    assert repr(blur) == f"Convolution(psf (4,), {blur.domain_shape} -> (7,), boundary={boundary!r})"
    with pytest.raises(AttributeError):
        blur.shape = (8,)
