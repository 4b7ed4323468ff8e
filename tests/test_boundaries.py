"""A boundary for each axis: the operator against np.pad and SciPy, the methods against dense matrices, and refusals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.signal

import sigdeconv as sd
from sigdeconv import Convolution, _fft
from sigdeconv._memory import peak_of
from sigdeconv.convolution import BOUNDARIES
from sigdeconv.deconvolution._data_step import DataStep
from sigdeconv.deconvolution._likelihood import PoissonLikelihood
from sigdeconv.deconvolution._relaxation import power_bound

PADS = {"free": None, "periodic": "wrap", "reflect": "symmetric", "zero": "constant"}
MIXED = [
    ("free", "periodic"),
    ("periodic", "free"),
    ("periodic", "zero"),
    ("reflect", "periodic"),
    ("zero", "reflect"),
    ("free", "reflect"),
]
PLAIN = {"accelerate": False}


def psf_of(shape: tuple[int, ...]) -> np.ndarray:
    """A positive PSF without any symmetry, of the sum 1."""
    psf = np.random.default_rng(len(shape)).random(shape) ** 2
    return psf / psf.sum()


def seen(scene: np.ndarray, psf: np.ndarray, boundaries: tuple[str, ...], steps: tuple[int, ...]) -> np.ndarray:
    """What a frame shows of a scene, by padding it."""
    for axis, boundary in enumerate(boundaries):
        c, k = psf.shape[axis] // 2, psf.shape[axis]
        width = [(k - 1 - c, c) if a == axis else (0, 0) for a in range(psf.ndim)]
        scene = scene if PADS[boundary] is None else np.pad(scene, width, mode=PADS[boundary])
    return scipy.signal.convolve(scene, psf, mode="valid", method="direct")[tuple(slice(None, None, s) for s in steps)]


@pytest.mark.parametrize("steps", [(1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize("boundary", list(itertools.product(BOUNDARIES, repeat=2)), ids="-".join)
def test_each_axis_has_its_own(boundary, steps, kind, close):
    psf, frame = psf_of((4, 5)), (9, 8)
    blur = Convolution(kind.array(psf), frame, boundary=boundary, stride=steps)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(blur.domain_shape), rng.standard_normal(frame)
    # A free scene of a stride is read from its first sample on.
    close(kind.numpy(blur(kind.array(x))), seen(x, psf, boundary, steps))
    close(
        kind.numpy(blur.adjoint(kind.array(y))), np.asarray(kind.numpy(blur.to_dense()).T @ y.ravel()).reshape(x.shape)
    )


def test_in_three_dimensions(close):
    psf = psf_of((3, 4, 2))
    for boundary in itertools.product(BOUNDARIES, repeat=3):
        blur = Convolution(psf, (5, 6, 4), boundary=boundary)
        x = np.random.default_rng(1).standard_normal(blur.domain_shape)
        close(blur(x), seen(x, psf, boundary, (1, 1, 1)))


def test_the_same_on_all_axes_is_one_word():
    assert Convolution(psf_of((3, 3)), (5, 5), boundary=["zero", "zero"]).boundary == "zero"
    blur = Convolution(psf_of((3, 3)), (5, 5), boundary=["zero", "free"])
    assert blur.boundary == ("zero", "free")
    assert "boundary=('zero', 'free')" in repr(blur)
    again = Convolution(blur.psf, blur.shape, boundary=blur.boundary)
    assert again.domain_shape == (5, 7)


@pytest.mark.parametrize(
    ("boundary", "message"),
    [
        (("free",), r"boundary has 1 entries but psf has 2 axes; pass one for all or one each"),
        (("free", "mirror"), r"boundary is 'mirror'; pass one of 'free', 'periodic', 'zero', 'reflect'"),
        (("free", 1), r"boundary is 1; pass one of"),
        (None, r"boundary is None; pass one of"),
    ],
)
def test_wrong_ones_are_told_the_remedy(boundary, message):
    with pytest.raises(ValueError, match=message):
        Convolution(psf_of((3, 3)), (5, 5), boundary=boundary)
    with pytest.raises(ValueError, match=message):
        sd.richardson_lucy(np.ones((5, 5)), psf_of((3, 3)), num_iter=1, boundary=boundary)


def test_a_simulated_blur_takes_them_too():
    psf, scene = psf_of((3, 4)), np.random.default_rng(0).random((7, 8))
    wanted = seen(scene, psf, ("periodic", "reflect"), (1, 1))
    np.testing.assert_allclose(sd.simulate.blur(scene, psf, boundary=("periodic", "reflect")), wanted, atol=1e-14)
    with pytest.raises(ValueError, match="which makes the image smaller than the scene; use through_frame"):
        sd.simulate.blur(scene, psf, boundary=("periodic", "free"))


@pytest.mark.parametrize("boundary", MIXED, ids="-".join)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("steps", [(1, 1), (1, 2)])
def test_richardson_lucy_is_its_formula(boundary, weighted, steps, close):
    rng = np.random.default_rng(2)
    psf, d = psf_of((3, 4)), rng.poisson(50.0, (9, 8)).astype(float)
    w = rng.random(d.shape) if weighted else np.ones_like(d)
    blur = Convolution(psf, d.shape, boundary=boundary, stride=steps)
    a = blur.to_dense()
    s = a.T @ w.ravel()
    x = np.full(a.shape[1], np.sum(w * d) / np.sum(w))
    for _ in range(8):
        back = a.T @ ((w * d).ravel() / (a @ x))
        # Voxels hardly seen move in proportion.
        x = np.where(s >= 1e-2 * s.max(), x * back / s, x + x * (back - s) / (1e-2 * s.max()))
    result = sd.richardson_lucy(d, blur, num_iter=8, weights=w if weighted else None, **PLAIN)
    close(result, x.reshape(blur.domain_shape)[blur.frame], slack=1e4)
    if steps == (1, 1):
        by_name = sd.richardson_lucy(
            d, psf, num_iter=8, weights=w if weighted else None, boundary=boundary, **PLAIN
        )  # fmt: skip
        np.testing.assert_allclose(by_name, result, rtol=1e-12)


@pytest.mark.parametrize("boundary", [b for b in MIXED if "free" not in b], ids="-".join)
def test_acceleration_climbs_as_high_in_a_third_of_the_iterations(boundary):
    rng = np.random.default_rng(3)
    psf, scene = psf_of((3, 4)), 100 * rng.random((16, 15)) ** 4
    blur = Convolution(psf, scene.shape, boundary=boundary)
    d = rng.poisson(blur(scene)).astype(float)

    def likelihood(**options):
        m = blur(sd.richardson_lucy(d, psf, boundary=boundary, **options))
        return np.sum(d * np.log(m) - m)

    assert likelihood(num_iter=30) > likelihood(num_iter=100, **PLAIN)
    assert likelihood(num_iter=10) > likelihood(num_iter=30, **PLAIN)


@pytest.mark.parametrize("boundary", MIXED, ids="-".join)
@pytest.mark.parametrize("signed", [False, True])
def test_the_norm_bound_holds(boundary, signed):
    rng = np.random.default_rng(10)
    for _ in range(5):
        psf = rng.standard_normal((3, 4)) if signed else rng.random((3, 4)) ** 4
        blur = Convolution(psf, (5, 7), boundary=boundary)
        norm = np.linalg.norm(blur.to_dense(), 2) ** 2
        assert norm <= power_bound(blur) * (1 + 1e-9)
        assert signed or power_bound(blur) <= 4 * norm


@pytest.mark.parametrize("boundary", MIXED, ids="-".join)
def test_landweber_and_van_cittert_are_their_formulas(boundary):
    rng = np.random.default_rng(12)
    psf, y = psf_of((3, 4)), rng.random((8, 9))
    blur = Convolution(psf, y.shape, boundary=boundary)
    x = np.full(blur.domain_shape, y.mean())
    for _ in range(5):
        x = x + 0.7 * blur.adjoint(y - blur(x))
    result = sd.landweber(y, psf, num_iter=5, step=0.7, accelerate=False, boundary=boundary)
    np.testing.assert_allclose(result, x[blur.frame], atol=1e-12)
    # A residual is added to the scene sample by sample, so that an unknown one past the frame is a mirror image.
    psf = sd.psf.gaussian((5, 6), 0.7)
    square = Convolution(psf, y.shape, boundary=["reflect" if b == "free" else b for b in boundary])
    x = np.full(y.shape, y.mean())
    for _ in range(2):
        x = x + (y - square(x)) / psf.sum()
    np.testing.assert_allclose(sd.van_cittert(y, psf, num_iter=2, boundary=boundary), x, atol=1e-12)


@pytest.mark.parametrize("boundary", MIXED, ids="-".join)
def test_the_data_step_of_a_denoiser_is_the_minimiser(boundary):
    rng = np.random.default_rng(0)
    blur = Convolution(psf_of((3, 4)), (8, 9), boundary=boundary)
    y, z = rng.standard_normal(blur.shape), rng.standard_normal(blur.domain_shape)
    a = blur.to_dense()
    got = DataStep(blur, y).solve(z, 0.1)
    system = a.T @ a + 0.1 * np.eye(a.shape[1])
    wanted = np.linalg.solve(system, a.T @ y.ravel() + 0.1 * z.ravel())
    left = system @ (got.ravel() - wanted)
    assert np.linalg.norm(left) < 3e-3 * np.linalg.norm(a.T @ (y.ravel() - a @ z.ravel()))


@pytest.mark.parametrize(
    "method",
    [
        lambda y, h: sd.wiener(y, h, balance=0.1),
        lambda y, h: sd.inverse_filter(y, h, cutoff=0.1),
        lambda y, h: sd.tikhonov(y, h, weight=0.1),
        lambda y, h: sd.total_variation(y, h, weight=0.1),
        lambda y, h: sd.hyper_laplacian(y, h, weight=0.1),
        lambda y, h: sd.unsupervised_wiener(y, h),
    ],
    ids=["wiener", "inverse_filter", "tikhonov", "total_variation", "hyper_laplacian", "unsupervised_wiener"],
)
def test_methods_with_a_grid_of_their_own_refuse_and_name_others(method):
    y = np.random.default_rng(0).random((12, 12))
    blur = Convolution(psf_of((3, 3)), y.shape, boundary=("free", "periodic"))
    with pytest.raises(ValueError, match=r"boundaries \('free', 'periodic'\), and this method wants one for all axes"):
        method(y, blur)


@pytest.mark.parametrize("boundary", [*MIXED, "periodic", "free", "zero", "reflect"], ids=str)
@pytest.mark.parametrize("shape", [(12, 10), (6, 5, 8)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_workspace_changes_nothing(boundary, shape, dtype):
    if not isinstance(boundary, str):
        boundary = (*boundary, "free")[: len(shape)]
    blur = Convolution(psf_of((3, 4, 2)[: len(shape)]), shape, boundary=boundary)
    rng = np.random.default_rng(0)
    x = rng.random(blur.domain_shape).astype(dtype) + 1
    room = blur.workspace(x)
    if room is None:
        assert any(axis.before or axis.after for axis in blur._axes)
        return
    work, gap = room
    assert gap.shape == blur.shape
    assert gap.dtype == dtype
    assert np.shares_memory(work, gap)
    for _ in range(2):  # the second time in what the first has left
        wanted = blur.forward(x, then=(lambda a, b: a / b, np.ones(shape, dtype) * 2))
        assert blur.forward(x, out=gap, work=work, then=(lambda a, b: a / b, np.ones(shape, dtype) * 2)) is gap
        np.testing.assert_array_equal(gap, wanted)
        step = blur.adjoint(wanted, then=(lambda g, x: x * g, x))
        x = blur.adjoint(gap, out=x, work=work, then=(lambda g, x: x * g, x))
        np.testing.assert_array_equal(x, step)


def test_where_a_workspace_would_save_nothing_there_is_none(torch):
    psf = psf_of((3, 3))
    blur = Convolution(psf, (8, 8), boundary="zero")
    assert blur.workspace(np.ones((8, 8))) is not None
    assert blur.workspace(np.ones((2, 8, 8))) is None
    assert blur.workspace(torch.ones(8, 8)) is None
    assert Convolution(psf, (8, 8), stride=2).workspace(np.ones((17, 17))) is None
    assert Convolution(psf_of((3,)), 8).workspace(np.ones(10)) is None
    assert sd.VaryingConvolution.from_grid(np.stack([psf] * 4).reshape(2, 2, 3, 3), (8, 8)).workspace(psf) is None


@pytest.mark.parametrize(
    ("boundary", "copies"), [("periodic", 3.5), (("free", "periodic", "periodic"), 3.5), ("free", 4.6)]
)
def test_plain_iterations_take_little_memory(boundary, copies, monkeypatch):
    """Of the FFT grid: the transfer function, the estimate, a workspace, and what the frame sees of each voxel."""
    monkeypatch.setattr(_fft, "BLOCK", 1 << 13)  # what is worked on at once is little, as it is of a large volume
    image = np.random.default_rng(0).poisson(50.0, (90, 120, 128)).astype(np.float32)
    psf = psf_of((7, 9, 9)).astype(np.float32)
    grid = np.prod(Convolution(psf, image.shape, boundary=boundary).grid)
    result, taken = peak_of(lambda: sd.richardson_lucy(image, psf, num_iter=2, boundary=boundary, **PLAIN))
    assert result.shape == image.shape
    assert taken < copies * 4 * grid


@pytest.mark.parametrize("boundary", ["periodic", ("free", "periodic"), ("periodic", "reflect"), "free"], ids=str)
def test_what_the_frame_sees_of_each_voxel_is_of_the_datas_precision(boundary, kind):
    blur = Convolution(kind.array(psf_of((3, 4))), (6, 5), boundary=boundary)
    counts = kind.array(np.full((2, 6, 5), 7.0, np.float32))
    problem = PoissonLikelihood.of(blur, counts, kind.array(np.zeros((1, 1, 1), np.float32)), None, 0.0)
    (seen_of,) = problem.sensitivity(exact=True)
    assert str(kind.numpy(seen_of).dtype) == "float32"
    wanted = (kind.numpy(blur.to_dense()).T @ np.ones(30)).reshape(blur.domain_shape)
    np.testing.assert_allclose(np.broadcast_to(kind.numpy(seen_of), (1, *blur.domain_shape))[0], wanted, rtol=1e-5)


def test_another_workspace_is_refused():
    blur = Convolution(psf_of((3, 4)), (8, 9), boundary="zero")
    x = np.ones((8, 9))
    for room in (np.empty(3, complex), blur.workspace(x.astype(np.float32))[0]):
        with pytest.raises(ValueError, match=r"work is complex\d+ of shape \(.*; pass what workspace gives for this"):
            blur.forward(x, work=room)
