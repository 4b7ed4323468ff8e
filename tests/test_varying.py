"""Blurs that vary with the place: the operator against matrices, and every method that takes one."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

import sigdeconv
from sigdeconv import Convolution, VaryingConvolution, _varying_engines
from sigdeconv.convolution import psf_to_otf
from sigdeconv.deconvolution import _varying as needs
from sigdeconv.deconvolution._data_step import DataStep
from sigdeconv.deconvolution._relaxation import power_bound

BOUNDARIES = ("free", "zero", "periodic", "reflect")

# Shape, PSF and nodes: odd and even, one node, more nodes than fit, a PSF longer than the frame.
CASES = [
    ((23,), (5,), (3,)),
    ((24,), (6,), (24,)),
    ((5,), (9,), (2,)),
    ((13, 17), (4, 5), (2, 3)),
    ((11, 12), (7, 6), (3, 1)),
    ((6, 7, 5), (3, 4, 3), (2, 2, 3)),
]


def mesh(rng, nodes, taps):
    """Asymmetric PSFs of the sum 1."""
    psfs = rng.random((*nodes, *taps)) + 0.05
    return psfs / psfs.sum(axis=tuple(range(-len(taps), 0)), keepdims=True)


def hat_weights(nodes, shape, positions=None):
    """Weights of the nodes at the samples of the frame, from the definition: linear between neighbours."""
    lines = []
    for axis, (g, n) in enumerate(zip(nodes, shape, strict=True)):
        at = (np.arange(g) + 0.5) * n / g - 0.5 if positions is None else np.asarray(positions[axis], float)
        line = np.zeros((g, n))
        for i in range(n):
            right = int(np.searchsorted(at, i))
            if right in (0, g):
                line[min(right, g - 1), i] = 1.0
            else:
                share = (i - at[right - 1]) / (at[right] - at[right - 1])
                line[right - 1, i], line[right, i] = 1 - share, share
        lines.append(line)
    return np.stack(
        [
            functools.reduce(np.multiply.outer, (line[i] for line, i in zip(lines, node, strict=True)))
            for node in np.ndindex(*nodes)
        ]
    )


def on_domain(weights, blur):
    """Weights of the frame, continued past it as they end."""
    pads = [(part.start, m - part.stop) for part, m in zip(blur.frame, blur.domain_shape, strict=True)]
    return np.pad(weights, [(0, 0), *pads], mode="edge")


def matrix(psfs, weights, shape, boundary):
    """``sum_k C_k W_k`` of dense matrices."""
    total = 0.0
    for psf, weight in zip(psfs, weights, strict=True):
        blur = Convolution(psf, shape, boundary=boundary)
        total = total + blur.to_dense() * on_domain(weight[None], blur)[0].ravel()
    return total


# The operator


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("shape", "taps", "nodes"), CASES)
def test_a_mesh_and_a_sum_are_the_matrix(shape, taps, nodes, boundary, close):
    rng = np.random.default_rng(1)
    psfs = mesh(rng, nodes, taps)
    terms, weights = psfs.reshape(-1, *taps), hat_weights(nodes, shape)
    wanted = matrix(terms, weights, shape, boundary)
    grid = VaryingConvolution.from_grid(psfs, shape, boundary=boundary)
    whole = VaryingConvolution(terms, weights, shape, boundary=boundary)
    y = rng.standard_normal((2, *shape))
    for blur in (grid, whole):
        close(blur.to_dense(), wanted)
        close(blur.adjoint(y).reshape(2, -1), y.reshape(2, -1) @ wanted)
        close(blur.to_linear_operator().rmatvec(y[0].ravel()), wanted.T @ y[0].ravel())


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_signed_terms_and_weights_of_the_domain(boundary, close):
    rng = np.random.default_rng(2)
    psfs, shape = rng.standard_normal((3, 4, 3)), (9, 8)
    domain = Convolution(psfs[0], shape, boundary=boundary).domain_shape
    weights = rng.standard_normal((3, *domain))
    blur = VaryingConvolution(psfs, weights, shape, boundary=boundary)
    wanted = sum(
        Convolution(p, shape, boundary=boundary).to_dense() * w.ravel() for p, w in zip(psfs, weights, strict=True)
    )
    close(blur.to_dense(), wanted)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_adjoint_is_the_adjoint(boundary, kind, close):
    rng = np.random.default_rng(3)
    psfs, shape = mesh(rng, (3, 2), (5, 4)), (21, 18)
    terms = (psfs.reshape(-1, 5, 4), hat_weights((3, 2), shape))
    for dtype, slack in (("float32", 10), ("float64", 10)):
        for blur in (
            VaryingConvolution.from_grid(psfs, shape, boundary=boundary),
            VaryingConvolution.from_grid(kind.array(psfs, dtype), shape, boundary=boundary),
            VaryingConvolution(*(kind.array(a, dtype) for a in terms), shape, boundary=boundary),
        ):
            x, y = rng.standard_normal((2, *blur.domain_shape)), rng.standard_normal((2, *shape))
            forth, back = blur.forward(kind.array(x, dtype)), blur.adjoint(kind.array(y, dtype))
            assert str(forth.dtype).endswith(dtype)
            left, right = np.sum(kind.numpy(forth) * y), np.sum(kind.numpy(back) * x)
            close(np.asarray(left / 50, dtype), np.asarray(right / 50, dtype), slack)
            plain = VaryingConvolution.from_grid(psfs, shape, boundary=boundary)
            close(kind.numpy(forth), plain.forward(x), slack)
            close(kind.numpy(back), plain.adjoint(y), slack)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("shape", "taps", "nodes"), CASES)
def test_equal_psfs_are_a_convolution(shape, taps, nodes, boundary, close):
    rng = np.random.default_rng(4)
    psf = mesh(rng, (), taps)
    plain = Convolution(psf, shape, boundary=boundary, center=0)
    x, y = rng.random((2, *plain.domain_shape)), rng.random(shape)
    equal = np.broadcast_to(psf, (*nodes, *taps))
    ones = np.full((2, *shape), 0.5)
    for blur in (
        VaryingConvolution.from_grid(equal, shape, boundary=boundary, center=0, interpolation="cosine"),
        VaryingConvolution([psf, psf], ones, shape, boundary=boundary, center=0),
    ):
        assert (blur.domain_shape, blur.frame, blur.center) == (plain.domain_shape, plain.frame, plain.center)
        close(blur.psf, psf)
        close(blur.forward(x), plain.forward(x))
        close(blur.adjoint(y), plain.adjoint(y))


def test_light_is_kept_and_each_point_has_its_own_psf(close):
    rng = np.random.default_rng(5)
    psfs, shape = mesh(rng, (3, 4), (5, 6)), (30, 41)
    places = [[2.0, 11.5, 28.0], [-3.0, 5.0, 20.0, 60.0]]
    blur = VaryingConvolution.from_grid(psfs, shape, positions=places)
    weights = hat_weights((3, 4), shape, places)
    for y, x in ((10, 9), (14, 30), (24, 20)):
        scene = np.zeros(blur.domain_shape)
        scene[y + blur.frame[0].start, x + blur.frame[1].start] = 1.0
        own = np.tensordot(weights[:, y, x], psfs.reshape(-1, 5, 6), 1)
        image = blur.forward(scene)
        close(image[y - 2 : y + 3, x - 3 : x + 3], own)
        assert abs(image.sum() - 1) < 1e-12
        close(blur.psf_at((y, x)), own)
    assert np.allclose(
        blur.psf_at((11.5, 5)), 0.0 * psfs[1, 1] + np.tensordot(weights[:, 12, 5], psfs.reshape(-1, 5, 6), 1)
    )


def test_cosine_weights_are_smooth_and_have_the_sum_one(close):
    blur = VaryingConvolution.from_grid(np.ones((4, 5)) / 5, 40, interpolation="cosine", boundary="zero")
    (line,) = blur._model.lines
    close(line.sum(axis=0), np.ones(40))
    assert np.abs(np.diff(line, 2)).max() < 0.06  # a linear weight has a bend of 0.1 at its node
    assert np.abs(np.diff(line, 1)).max() < 0.17


def test_few_threads_or_many_give_the_same_bits(threads, monkeypatch):
    rng = np.random.default_rng(6)
    blur = VaryingConvolution.from_grid(mesh(rng, (5, 5), (7, 7)), (64, 64))
    x, y = rng.random(blur.domain_shape), rng.random(blur.shape)
    many = blur.forward(x), blur.adjoint(y)
    monkeypatch.setattr(sigdeconv._parallel, "workers", lambda: 1)
    assert all(np.array_equal(a, b) for a, b in zip(many, (blur.forward(x), blur.adjoint(y)), strict=True))


def test_out_and_then(close):
    rng = np.random.default_rng(7)
    blur = VaryingConvolution.from_grid(mesh(rng, (2, 2), (3, 3)), (12, 14))
    x, y, place = rng.random(blur.domain_shape), rng.random(blur.shape), np.empty(blur.shape)
    assert blur.forward(x, out=place, then=(lambda a, b: a - b, y)) is place
    close(place, blur(x) - y)
    back = np.empty(blur.domain_shape)
    assert blur.adjoint(y, out=back) is back
    close(back, blur.adjoint(y))
    with pytest.raises(ValueError, match="out has shape"):
        blur.forward(x, out=np.empty((3, 3)))


def test_a_mesh_touches_its_own_parts_only():
    """8 x 8 PSFs on a large frame: about four samples in the parts, each node's and its neighbours', for one of it."""
    blur = VaryingConvolution.from_grid(np.ones((8, 8, 15, 15)) / 225, (1024, 1024))
    touched = sum(np.prod([run.grid for run in part]) for part in blur._engine.parts)
    assert len(blur._engine.parts) == 64
    assert touched < 4.2 * np.prod(blur.grid)


def test_gradients_pass(torch):
    rng = np.random.default_rng(8)
    blur = VaryingConvolution.from_grid(mesh(rng, (2, 3), (3, 4)), (9, 10))
    x = torch.tensor(rng.random(blur.domain_shape), requires_grad=True)
    y = torch.tensor(rng.random(blur.shape))
    (blur.forward(x) * y).sum().backward()
    assert torch.allclose(x.grad, blur.adjoint(y))


# What the methods ask of it


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("sum_of_terms", [False, True])
def test_the_ring_is_the_blur(boundary, sum_of_terms, close):
    """On scenes that the boundary allows, the frame's samples of the ring are those of the blur."""
    rng = np.random.default_rng(9)
    psfs, shape = mesh(rng, (3, 2), (4, 5)), (15, 14)
    blur = VaryingConvolution.from_grid(psfs, shape, positions=[[0, 6, 14], [0, 13]], boundary=boundary)
    if sum_of_terms:
        blur = VaryingConvolution(psfs.reshape(-1, 4, 5), rng.random((6, *shape)), shape, boundary=boundary)
    x = rng.random(blur.domain_shape)
    if boundary == "reflect":
        ring = np.pad(x, [(0, n) for n in shape], mode="symmetric")
    elif boundary == "periodic":
        ring = x
    else:
        ring = np.zeros((24, 25))
        ring[tuple(slice(n) for n in x.shape)] = x
        ring = np.roll(ring, [-part.start for part in blur.frame], axis=(0, 1))
    forward, adjoint = needs.seen_around(blur, ring.shape)
    close(forward(ring), blur.forward(x))
    y = rng.random(shape)
    assert abs(np.sum(adjoint(y) * ring) - np.sum(y * forward(ring))) < 1e-10


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_another_boundary(boundary, close):
    rng = np.random.default_rng(10)
    psfs, shape = mesh(rng, (2, 2), (4, 3)), (9, 11)
    free = VaryingConvolution.from_grid(psfs, shape)
    close(
        needs.with_boundary(free, boundary).to_dense(),
        VaryingConvolution.from_grid(psfs, shape, boundary=boundary).to_dense(),
    )


@pytest.mark.parametrize("sum_of_terms", [False, True])
def test_the_average_power_is_that_of_the_places(sum_of_terms):
    rng = np.random.default_rng(11)
    psfs, shape, grid = mesh(rng, (3, 2), (4, 5)), (12, 10), (16, 15)
    blur = VaryingConvolution.from_grid(psfs, shape)
    if sum_of_terms:
        blur = VaryingConvolution(psfs.reshape(-1, 4, 5), hat_weights((3, 2), shape), shape)
    powers = [np.abs(psf_to_otf(blur.psf_at(place), grid)) ** 2 for place in np.ndindex(*shape)]
    assert np.allclose(np.abs(needs.average_otf(blur, grid, np.zeros(1))) ** 2, np.mean(powers, axis=0), atol=1e-12)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_bound_of_the_norm(boundary):
    rng = np.random.default_rng(12)
    psfs, shape = mesh(rng, (3, 2), (4, 5)), (14, 12)
    for blur in (
        VaryingConvolution.from_grid(psfs, shape, boundary=boundary),
        VaryingConvolution(psfs.reshape(-1, 4, 5) - 0.02, hat_weights((3, 2), shape), shape, boundary=boundary),
    ):
        norm = np.linalg.norm(blur.to_dense(), 2) ** 2
        assert norm <= power_bound(blur) <= 2.2 * norm


def test_the_data_step_solves_its_equation():
    rng = np.random.default_rng(13)
    for boundary in BOUNDARIES:
        blur = VaryingConvolution.from_grid(mesh(rng, (2, 2), (3, 4)), (12, 11), boundary=boundary)
        y, z, rho = rng.random((1, *blur.shape)), rng.random((1, *blur.domain_shape)), 0.05
        x = DataStep(blur, y).solve(z, rho)
        A = blur.to_dense()
        wanted = np.linalg.solve(A.T @ A + rho * np.eye(A.shape[1]), A.T @ y.ravel() + rho * z.ravel())
        assert np.linalg.norm(x.ravel() - wanted) < 2e-3 * np.linalg.norm(wanted)


# The methods


@functools.cache
def field(boundary="free"):
    """A blur that goes from sharp to soft, edges and points behind it, and what is seen under noise."""
    widths = np.array([[0.6, 1.2], [1.2, 2.4]])
    psfs = np.array([[sigdeconv.psf.gaussian((9, 9), w) for w in row] for row in widths])
    blur = VaryingConvolution.from_grid(psfs, (SIDE, SIDE), boundary=boundary)
    y, x = np.indices(blur.domain_shape)
    scene = 40.0 + 120.0 * ((y // 8 + x // 8) % 2)
    scene[::11, ::13] += 100.0
    image = blur.forward(scene) + np.random.default_rng(14).normal(0, 1.0, blur.shape)
    return blur, scene[blur.frame], np.maximum(image, 0.0)


def error(restored, scene):
    """Mean squared error."""
    return float(np.mean((restored - scene) ** 2))


SIDE = 32
METHODS = [
    ("richardson_lucy", {"num_iter": 30}),
    ("richardson_lucy", {"num_iter": 30, "accelerate": "heavy-ball", "weights": np.ones((SIDE, SIDE))}),
    ("richardson_lucy", {"num_iter": 20, "accelerate": "biggs-andrews", "tv_weight": 1e-3}),
    ("richardson_lucy", {"num_iter": 8, "back_projector": "wiener-butterworth"}),
    ("richardson_lucy", {"num_iter": 20, "damping": 0.5, "readout_noise": 1.0, "background": 1.0}),
    ("landweber", {"num_iter": 30}),
    ("landweber", {"num_iter": "discrepancy", "sigma": 1.0, "bounds": (0, None)}),
    ("van_cittert", {"num_iter": 8}),
    ("tikhonov", {"weight": 5e-4, "num_iter": 20}),
    ("tikhonov", {"weight": 1e-2, "bounds": (0, None), "regularizer": "gradient", "num_iter": 5}),
    ("total_variation", {"weight": 0.5, "bounds": (0, 400), "weights": np.arange(SIDE) != 20, "num_iter": 40}),
    ("hyper_laplacian", {"weight": 0.5, "num_iter": 40}),
    ("hessian_schatten", {"weight": 0.3, "num_iter": 40}),
    ("wavelet_sparse", {"weight": 0.5, "num_iter": 40}),
    ("plug_and_play", {"sigma": 1.0, "num_iter": 6}),
]


@pytest.mark.parametrize(("name", "options"), METHODS, ids=[f"{i}-{name}" for i, (name, _) in enumerate(METHODS)])
def test_each_method_takes_it_and_is_nearer_to_the_scene_than_with_the_mean(name, options):
    blur, scene, image = field()
    method = getattr(sigdeconv, name)
    restored = method(image, blur, **options)
    assert restored.shape == image.shape
    assert error(restored, scene) < 0.75 * error(image, scene)
    assert error(restored, scene) < 0.9 * error(method(image, blur.psf, **options), scene)


def test_spikes_are_found_at_their_height():
    blur, _, _ = field()
    spikes = np.zeros(blur.domain_shape)
    spikes[tuple(np.array([[8, 12, 29, 28], [10, 29, 9, 27]]))] = 100.0
    image = blur.forward(spikes) + np.random.default_rng(18).normal(0, 0.1, blur.shape)
    restored = sigdeconv.sparse_spikes(image, blur, weight=0.1, num_iter=200)
    found = spikes[blur.frame] > 0
    assert np.allclose(restored[found], 100.0, atol=12.0)
    assert np.abs(restored[~found]).max() < 12.0


@pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect"])
@pytest.mark.parametrize("name", ["richardson_lucy", "landweber", "tikhonov", "total_variation", "plug_and_play"])
def test_every_boundary(name, boundary):
    blur, scene, image = field(boundary)
    options = {"tikhonov": {"weight": 5e-4}, "total_variation": {"weight": 0.3, "num_iter": 40}}.get(name, {})
    options = options or ({"sigma": 1.0, "num_iter": 4} if name == "plug_and_play" else {"num_iter": 20})
    restored = getattr(sigdeconv, name)(image, blur, **options)
    assert error(restored, scene) < 0.75 * error(image, scene)


@pytest.mark.parametrize("name", ["richardson_lucy", "landweber"])
def test_iterations_are_chosen(name):
    blur, scene, image = field()
    report = []
    restored = getattr(sigdeconv, name)(image, blur, num_iter=None, callback=report.append)
    assert 3 < len(report) < 300
    assert error(restored, scene) < 0.75 * error(image, scene)


EQUAL = [
    ("richardson_lucy", {"num_iter": 5, "accelerate": False}, 1e-9),
    ("richardson_lucy", {"num_iter": 3, "accelerate": False, "back_projector": "wiener-butterworth"}, 1e-9),
    ("landweber", {"num_iter": 20}, 1e-9),
    ("van_cittert", {"num_iter": 3}, 1e-9),
    ("tikhonov", {"weight": 1e-2, "tol": 1e-7}, 1e-4),
    ("tikhonov", {"weight": 1e-2, "bounds": (0, 255)}, 1e-6),
    ("total_variation", {"weight": 1.0, "num_iter": 20}, 1e-9),
    ("hyper_laplacian", {"weight": 1.0, "num_iter": 20, "bounds": (0, 255)}, 1e-9),
    ("wavelet_sparse", {"weight": 1.0, "num_iter": 10}, 1e-9),
    ("sparse_spikes", {"weight": 1.0, "num_iter": 10}, 1e-9),
    ("plug_and_play", {"sigma": 1.0, "num_iter": 3}, 1e-6),
]


@pytest.mark.parametrize(("name", "options", "limit"), EQUAL, ids=[f"{i}-{e[0]}" for i, e in enumerate(EQUAL)])
def test_equal_psfs_are_restored_as_by_one(name, options, limit):
    _, _, image = field()
    psf = np.add.outer(np.arange(5), np.arange(4)) + 1.0
    psf = sigdeconv.psf.gaussian((7, 7), 1.0) if name == "van_cittert" else psf / psf.sum()
    blur = VaryingConvolution.from_grid(np.broadcast_to(psf, (2, 3, *psf.shape)), image.shape)
    method = getattr(sigdeconv, name)
    one, several = method(image, psf, **options), method(image, blur, **options)
    assert np.linalg.norm(several - one) < limit * np.linalg.norm(one)


def test_tikhonov_is_at_the_minimum():
    """Against the normal equations of the ring, as a dense system."""
    rng = np.random.default_rng(15)
    blur = VaryingConvolution.from_grid(mesh(rng, (4,), (5,)), 40)
    image, weight = blur.forward(np.repeat(rng.random(11) * 9, 4)), 0.02
    result = sigdeconv.tikhonov(image, blur, weight=weight, tol=1e-9, num_iter=500)
    from sigdeconv.deconvolution._quadratic import Scene

    (ring,) = Scene.of(image, blur, "free", "laplacian").domain
    forward, _ = needs.seen_around(blur, (ring,))
    A = np.stack([forward(e) for e in np.eye(ring)], axis=1)
    L = np.roll(np.eye(ring), 1, 0) + np.roll(np.eye(ring), -1, 0) - 2 * np.eye(ring)
    wanted = np.linalg.solve(A.T @ A + weight * L.T @ L, A.T @ image)[:40]
    assert np.allclose(result, wanted, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("name", ["tikhonov", "total_variation"])
def test_the_weight_is_chosen_well(name):
    rng = np.random.default_rng(19)
    blur = VaryingConvolution.from_grid([sigdeconv.psf.gaussian(15, w) for w in (0.7, 1.5, 2.5)], 128)
    scene = np.repeat(rng.integers(0, 200, 24), 6).astype(float)[: blur.domain_shape[0]]
    image = blur.forward(scene) + rng.normal(0, 2.0, 128)
    method, report = getattr(sigdeconv, name), []
    chosen = method(image, blur, callback=report.append)
    weight = report[-1].chosen["weight"]
    best = min(error(method(image, blur, weight=weight * f), scene[blur.frame]) for f in (0.1, 0.3, 1.0, 3.0, 10.0))
    assert error(chosen, scene[blur.frame]) < 1.15 * best


def test_batches_and_kinds(kind):
    rng = np.random.default_rng(16)
    psfs = mesh(rng, (2, 2), (3, 3))
    blur = VaryingConvolution.from_grid(psfs, (16, 15))
    same = VaryingConvolution.from_grid(kind.array(psfs), (16, 15))
    images = rng.random((2, 16, 15)) + 0.5
    for name, options, limit in (
        ("richardson_lucy", {"num_iter": 4}, 1e-9),
        ("landweber", {"num_iter": 4}, 1e-9),
        ("tikhonov", {"weight": 0.01, "num_iter": 30, "tol": 0}, 1e-5),
        ("total_variation", {"weight": 0.01, "num_iter": 4}, 2e-2),  # a batch shares a scale, which sets the speed
    ):
        method = getattr(sigdeconv, name)
        together = kind.numpy(method(kind.array(images), same, **options))
        for image, result in zip(images, together, strict=True):
            alone = method(image, blur, **options)
            assert np.linalg.norm(result - alone) < limit * np.linalg.norm(alone), name


@pytest.mark.parametrize("method", ["wiener", "inverse_filter", "unsupervised_wiener"])
def test_closed_forms_refuse_it_by_name(method):
    blur, _, image = field()
    with pytest.raises(TypeError, match=f"VaryingConvolution, but {method}.*tikhonov"):
        getattr(sigdeconv, method)(image, blur)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda: VaryingConvolution(np.ones(3), np.ones(3), 3), "psfs has 1 dimensions.*from_grid"),
        (lambda: VaryingConvolution(np.ones((2, 3)), np.ones((2, 4)), 5), r"weights has shape \(2, 4\); \(2, 5\)"),
        (lambda: VaryingConvolution(np.ones((2, 3)), np.ones((3, 5)), 5), r"weights has shape \(3, 5\)"),
        (lambda: VaryingConvolution.from_grid(np.ones((2, 3, 3)), (5, 5)), "psfs has 3 dimensions; 2, 4 or 6"),
        (lambda: VaryingConvolution.from_grid(np.ones((2, 3)), 9, positions=[1, 2, 3]), "positions is"),
        (lambda: VaryingConvolution.from_grid(np.ones((2, 3)), 9, positions=[5, 2]), "rising"),
        (lambda: VaryingConvolution.from_grid(np.ones((2, 3)), 9, positions=[0, np.nan]), "positions has 1 NaN"),
        (lambda: VaryingConvolution.from_grid(np.ones((2, 3)), 9, interpolation="cubic"), "interpolation is 'cubic'"),
        (lambda: VaryingConvolution.from_grid(np.ones((2, 3)), 9, boundary="wrap"), "boundary is 'wrap'"),
        (lambda: VaryingConvolution.from_grid(np.full((2, 3), np.nan), 9), "psfs has 6 NaN"),
        (lambda: VaryingConvolution.from_grid(np.ones((2, 3)), 9).psf_at((1, 2)), "position is"),
        (lambda: VaryingConvolution.from_grid(np.ones((2, 3)), 9).forward(np.ones(9)), "x has shape"),
        (lambda: sigdeconv.tikhonov(np.ones(8), VaryingConvolution.from_grid(np.ones((2, 3)), 9)), "observes"),
        (
            lambda: sigdeconv.richardson_lucy(
                np.ones(9), VaryingConvolution.from_grid([[-1.0, 2.0, 0.0], [0.5, 1.0, 0.5]], 9)
            ),
            "negative samples",
        ),
    ],
)
def test_a_wrong_call_says_what_is_wanted(arguments, message):
    with pytest.raises(ValueError, match=message):
        arguments()


def test_an_otf_is_refused():
    with pytest.raises(TypeError, match=r"Convolution\.from_otf"):
        VaryingConvolution.from_otf(np.ones(3), 4)


def test_runs_do_not_overlap_what_is_kept():
    """A circular convolution of a part wraps what is discarded only: its period against the smallest that is right."""
    rng = np.random.default_rng(17)
    for n, k, g in itertools.product((7, 20), (1, 4, 9), (1, 3, 7)):
        line = np.asarray(hat_weights((g,), (n,)))
        for run in _varying_engines._runs(line, n, k, k // 2, last=True):
            x, psf = rng.random(run.sizes[0]), rng.random(k)
            full = np.convolve(x, psf)[run.shift : run.shift + run.sizes[1]]
            spectrum = np.fft.rfft(x, run.grid) * psf_to_otf(psf, run.grid, center=run.shift)
            assert np.allclose(np.fft.irfft(spectrum, run.grid)[: run.sizes[1]], full)
