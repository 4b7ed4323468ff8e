"""Blind Richardson-Lucy: the blur as an operator of its PSF against matrices, constraints, and recovery of PSFs."""

from __future__ import annotations

import numpy as np
import pytest

import sigdeconv
from sigdeconv import Convolution
from sigdeconv.convolution import BOUNDARIES
from sigdeconv.deconvolution.blind._psf_operator import PSFOperator
from sigdeconv.deconvolution.blind._psf_shape import SYMMETRIES, Shape
from sigdeconv.deconvolution.blind.photons import blind_richardson_lucy

# PSF and frame of one to three dimensions, odd and even, and a PSF wider than the frame.
CASES = {
    "1-D": ((5,), (17,)),
    "1-D even": ((4,), (13,)),
    "1-D wide": ((9,), (6,)),
    "2-D": ((4, 3), (9, 8)),
    "3-D": ((3, 2, 4), (5, 4, 6)),
}


def matrix(x, taps, frame, boundary):
    """The blur of the scene by each PSF of a single sample, column by column."""
    units = np.eye(int(np.prod(taps))).reshape(-1, *taps)
    return np.stack([Convolution(u, frame, boundary=boundary).forward(x).ravel() for u in units], axis=1)


def scene(taps, frame, boundary, seed=0):
    shape = Convolution(np.ones(taps), frame, boundary=boundary).domain_shape
    return np.random.default_rng(seed).random(shape) + 0.1


def gaussian_start(n, ndim=2):
    return sigdeconv.psf.gaussian((n,) * ndim, 0.2 * n)


def counts_of(psf, size=96, light=1e5, seed=1):
    """A field of stars seen through a PSF, in photons; and the stars."""
    rng = np.random.default_rng(seed)
    exposure = sigdeconv.simulate.through_frame(light * sigdeconv.simulate.stars((size, size), num=60, rng=rng), psf)
    return rng.poisson(np.maximum(exposure.blurred, 0)).astype(float), exposure.truth


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("case", CASES)
def test_the_blur_is_linear_in_the_psf(case, boundary, close):
    taps, frame = CASES[case]
    rng = np.random.default_rng(2)
    x = scene(taps, frame, boundary)
    A, operator = matrix(x, taps, frame, boundary), PSFOperator.of(x, taps, frame, boundary)
    h, y = rng.random(taps), rng.random(frame)
    close(operator.forward(h).ravel(), A @ h.ravel())
    close(operator.adjoint(y).ravel(), A.T @ y.ravel())


def test_the_transpose_sums_over_the_batch(close):
    taps, frame = CASES["2-D"]
    x = np.stack([scene(taps, frame, "free", seed) for seed in (0, 1)])
    y = np.random.default_rng(3).random((2, *frame))
    apart = [PSFOperator.of(x[i], taps, frame, "free").adjoint(y[i]) for i in (0, 1)]
    close(PSFOperator.of(x, taps, frame, "free").adjoint(y), apart[0] + apart[1])


def test_a_psf_step_is_the_papers(close):
    """Holmes' equation with a matrix, and his property that no step makes the counts less likely."""
    taps, frame = (5, 4), (12, 11)
    rng = np.random.default_rng(4)
    x = scene(taps, frame, "free")
    A = matrix(x, taps, frame, "free")
    d = rng.poisson(40 * A @ rng.dirichlet(np.ones(20))).astype(float)
    shape = Shape.of(np.ones(taps), None, "none", centered=False)
    shape.centroid = None  # the bare step
    operator = PSFOperator.of(x, taps, frame, "free")
    h, scale, fits = np.full(20, 0.05), 1.0, []
    for _ in range(20):
        m = A @ h
        fits.append(np.sum(scale * m - d * np.log(scale * m)))
        step = h * (A.T @ (d / m)) / A.sum(axis=0)
        quotient = operator.adjoint(d.reshape(frame) / operator.forward(shape.psf))
        scale = shape.update(quotient, operator.adjoint(np.ones(frame)))
        h = step / step.sum()
        close(shape.psf.ravel(), h, slack=100)
        assert scale == pytest.approx(step.sum())
    assert np.all(np.diff(fits[1:]) <= 1e-9 * np.abs(fits[-1]))


@pytest.mark.parametrize("symmetry", SYMMETRIES[1:])
@pytest.mark.parametrize("taps", [(7,), (6,), (7, 8), (5, 4, 7)], ids=str)
def test_symmetry_is_kept(taps, symmetry):
    rng = np.random.default_rng(5)
    shape = Shape.of(rng.random(taps) + 0.1, None, symmetry, centered=True)
    for _ in range(3):
        shape.update(rng.random(taps), rng.random(taps) + 1)
    h = shape.psf
    assert h.sum() == pytest.approx(1)
    offsets = np.meshgrid(*(np.arange(n) - n // 2 for n in taps), indexing="ij")
    value = {tuple(r): v for r, v in zip(np.stack([o.ravel() for o in offsets], 1).tolist(), h.ravel(), strict=True)}
    for r, v in value.items():
        mirrored = [tuple(-i for i in r)] if symmetry == "point" else [tuple(abs(i) for i in r)]
        if symmetry == "radial":
            mirrored.append(tuple(reversed(r)))
        for other in mirrored:
            # What has no partner within the array is zero.
            assert v == pytest.approx(value.get(other, v if symmetry != "point" else 0.0), abs=1e-12)


def test_a_radial_profile_passes_the_radial_projection():
    h = sigdeconv.psf.gaussian((15, 15), 2.5)
    shape = Shape.of(h, None, "radial", centered=True)
    assert np.abs(shape.psf - h).sum() < 0.01
    assert np.abs(shape.tied(shape.tied(h)) - shape.tied(h)).max() < 1e-12


def test_the_centroid_comes_back_with_the_least_change():
    h = np.random.default_rng(6).dirichlet(np.ones(63)).reshape(7, 9)
    h[0, 0] = 0.0
    h /= h.sum()
    shape = Shape(h.copy(), "none", np.zeros(2), None)
    shape.center()
    y, x = np.mgrid[-3:4, -4:5]
    assert abs((shape.psf * y).sum()) < 1e-6
    assert abs((shape.psf * x).sum()) < 1e-6
    assert shape.psf.sum() == pytest.approx(1)
    assert shape.psf[0, 0] == 0
    # Of all with this centroid the nearest by information: the logarithm of the ratio is a plane.
    inside = h > 0
    plane = np.stack([np.ones(63), y.ravel(), x.ravel()], 1)[inside.ravel()]
    ratio = np.log(shape.psf[inside] / h[inside])
    assert np.abs(plane @ np.linalg.lstsq(plane, ratio)[0] - ratio).max() < 1e-9


@pytest.mark.parametrize(
    "psf", [sigdeconv.psf.gaussian((15, 15), (1.2, 2.4)), np.pad(sigdeconv.psf.disk(4), 3)], ids=["oval", "disk"]
)
def test_stars_show_their_psf(psf):
    counts, _ = counts_of(psf)
    found = blind_richardson_lucy(counts, 15)
    assert np.abs(found.psf - psf).sum() < 0.3 * np.abs(gaussian_start(15) - psf).sum()


def test_cells_show_their_psf_which_then_serves_as_well_as_the_true_one():
    rng = np.random.default_rng(7)
    cells = 200 * sigdeconv.simulate.hollow_spheres((16, 112, 112), num=30, radius=6, rng=rng)[8]
    psf = sigdeconv.psf.gaussian((15, 15), 2.0)
    truth, blurred = sigdeconv.simulate.through_frame(cells, psf)
    counts = rng.poisson(np.maximum(blurred, 0))
    found = blind_richardson_lucy(counts, 15, symmetry="axes")
    assert np.abs(found.psf - psf).sum() < 0.3 * np.abs(gaussian_start(15) - psf).sum()
    errors = {
        name: np.mean((sigdeconv.richardson_lucy(counts, kernel, num_iter=6) - truth) ** 2)
        for name, kernel in (("true", psf), ("found", found.psf))
    }
    assert errors["found"] < 1.1 * errors["true"] < 0.5 * np.mean((counts - truth) ** 2)


@pytest.mark.parametrize("size", [14, 15])
def test_nothing_moves(size):
    """A lopsided PSF about its centroid: the stars stay where they are, and an even first guess moves nothing."""
    psf = sigdeconv.psf.gaussian((15, 15), 2.0)
    counts, truth = counts_of(psf, seed=3)
    found = blind_richardson_lucy(counts, size)
    brightest = np.unravel_index(np.argmax(truth), truth.shape)
    assert np.unravel_index(np.argmax(found.image), truth.shape) == brightest
    y, x = (np.arange(size) - size // 2 for _ in range(2))
    assert abs(found.psf.sum(axis=1) @ y) < 1e-4
    assert abs(found.psf.sum(axis=0) @ x) < 1e-4


def test_a_guess_keeps_its_centroid_and_its_zeros():
    guess = sigdeconv.psf.gaussian((11, 11), 2.0)
    guess[:, :4] = 0
    counts, _ = counts_of(sigdeconv.psf.gaussian((11, 11), 1.5))
    support = np.ones((11, 11), bool)
    support[0] = False
    found = blind_richardson_lucy(counts, guess, num_iter=3, support=support)
    kept = np.where(support, guess, 0) / np.where(support, guess, 0).sum()
    x = np.arange(11) - 5
    assert found.psf.sum(axis=0) @ x == pytest.approx(kept.sum(axis=0) @ x, abs=1e-5)
    assert not found.psf[kept == 0].any()


@pytest.mark.parametrize("boundary", BOUNDARIES[:2] + BOUNDARIES[3:])
def test_a_flat_scene_stays_flat_and_says_nothing(boundary):
    found = blind_richardson_lucy(np.full((24, 20), 7.0), (5, 6), num_iter=5, boundary=boundary)
    np.testing.assert_allclose(found.image, 7.0, rtol=1e-6)
    x = np.abs(found.psf - found.psf.mean()).sum()
    assert x > 0.1  # still the Gaussian of the start and not a flat array


def test_every_kind_and_dtype(kind):
    psf = sigdeconv.psf.gaussian((7, 7), 1.3)
    counts, _ = counts_of(psf, size=40)
    wanted = blind_richardson_lucy(counts, 7, num_iter=2)
    for dtype, rtol in (("float64", 1e-9), ("float32", 2e-2)):
        found = blind_richardson_lucy(kind.array(counts, dtype), 7, num_iter=2)
        assert str(found.image.dtype).endswith(dtype)
        np.testing.assert_allclose(kind.numpy(found.image), wanted.image, rtol=rtol, atol=rtol * counts.max())
        np.testing.assert_allclose(kind.numpy(found.psf), wanted.psf, rtol=rtol, atol=rtol * 0.1)


def test_a_batch_and_colours_share_the_psf():
    psf = sigdeconv.psf.gaussian((9, 9), 1.5)
    frames = np.stack([counts_of(psf, size=48, seed=seed)[0] for seed in (1, 2, 3)])
    together = blind_richardson_lucy(frames, (9, 9), num_iter=4)
    colours = blind_richardson_lucy(np.moveaxis(frames, 0, -1), 9, num_iter=4, channel_axis=-1)
    assert together.psf.shape == colours.psf.shape == (9, 9)
    np.testing.assert_allclose(np.moveaxis(colours.image, -1, 0), together.image, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(colours.psf, together.psf, rtol=1e-9)


def test_dead_pixels_and_background_are_part_of_the_model():
    psf = sigdeconv.psf.gaussian((11, 11), 1.5)
    counts, _ = counts_of(psf)
    rng = np.random.default_rng(8)
    exposed = counts + rng.poisson(50.0, counts.shape)
    weights = np.ones_like(exposed)
    dead = rng.random(exposed.shape) < 0.03
    exposed[dead], weights[dead] = np.nan, 0
    known = blind_richardson_lucy(exposed, 11, background=50.0, weights=weights)
    assert np.isfinite(known.image).all()
    start = np.abs(gaussian_start(11) - psf).sum()
    assert np.abs(known.psf - psf).sum() < 0.5 * start
    exposed[dead] = 50
    unknown = blind_richardson_lucy(exposed, 11)
    assert np.abs(known.psf - psf).sum() < np.abs(unknown.psf - psf).sum()


@pytest.mark.parametrize("ndim", [1, 3])
def test_signals_and_volumes(ndim):
    rng = np.random.default_rng(9)
    n = {1: 400, 3: 26}[ndim]
    x = np.zeros((n,) * ndim)
    x[tuple(rng.integers(0, n, (ndim, 30)))] = 1e5 * rng.random(30)
    psf = sigdeconv.psf.gaussian((9,) * ndim, 1.2)
    counts = rng.poisson(np.maximum(sigdeconv.simulate.through_frame(x, psf).blurred, 0))
    found = blind_richardson_lucy(counts, 9, num_iter=10)
    assert found.image.shape == counts.shape
    assert np.abs(found.psf - psf).sum() < 0.4 * np.abs(gaussian_start(9, ndim) - psf).sum()


def test_the_callback_sees_each_round_and_can_stop():
    counts, _ = counts_of(sigdeconv.psf.gaussian((7, 7), 1.3), size=40)
    seen = []
    found = blind_richardson_lucy(counts, 7, callback=lambda it: seen.append(it.estimate.copy()) or it.index == 3)
    assert len(seen) == 3
    np.testing.assert_array_equal(found.image, seen[-1])


GOOD = {"image": np.ones((20, 20)), "psf": 5}


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"image": -np.ones((20, 20))}, ValueError, "negative"),
        ({"image": np.full((20, 20), np.nan)}, ValueError, "NaN"),
        ({"image": np.ones((20, 20), complex)}, TypeError, "complex"),
        ({"psf": 0}, ValueError, "psf"),
        ({"psf": (5, 5, 5)}, ValueError, "psf has 3 dimensions"),
        ({"psf": -np.ones((5, 5))}, ValueError, "psf"),
        ({"psf": np.zeros((5, 5))}, ValueError, "psf"),
        ({"psf": "wide"}, TypeError, "psf"),
        ({"symmetry": "left"}, ValueError, "symmetry"),
        ({"boundary": "wrap"}, ValueError, "boundary"),
        ({"support": np.ones((4, 5))}, ValueError, "support"),
        ({"support": np.full((5, 5), 0.5)}, TypeError, "support"),
        ({"support": np.zeros((5, 5))}, ValueError, "larger than 0"),
        ({"image_iter": 0}, ValueError, "image_iter"),
        ({"psf_iter": 1.5}, TypeError, "psf_iter"),
        ({"num_iter": 0}, ValueError, "num_iter"),
        ({"tv_weight": -1}, ValueError, "tv_weight"),
        ({"weights": np.zeros((20, 20))}, ValueError, "weights"),
        ({"background": -1}, ValueError, "background"),
        ({"callback": 3}, TypeError, "callback"),
    ],
)
def test_wrong_input_is_refused(wrong, error, words):
    arguments = GOOD | wrong
    with pytest.raises(error, match=words) as caught:
        blind_richardson_lucy(arguments.pop("image"), arguments.pop("psf"), **arguments)
    assert "\n" not in str(caught.value)
