"""Richardson-Lucy against its formula with dense matrices, and against what photon counts must obey."""

from __future__ import annotations

from functools import cache
from itertools import islice, pairwise

import numpy as np
import pytest

import sigdeconv
from sigdeconv import Convolution, richardson_lucy
from sigdeconv.convolution import BOUNDARIES
from sigdeconv.deconvolution._likelihood import SEEN, PoissonLikelihood, conjugate, extrapolated

ACCELERATIONS = (True, False, "biggs-andrews", "heavy-ball")
# PSF and frame of one to three dimensions.
CASES = {"1-D": ((5,), (17,)), "1-D even": ((4,), (16,)), "2-D": ((4, 3), (9, 8)), "3-D": ((3, 2, 4), (5, 4, 6))}


def asymmetric(taps: tuple[int, ...], seed: int = 1) -> np.ndarray:
    """A positive PSF of sum 1 without any symmetry."""
    kernel = np.random.default_rng(seed).random(taps)
    return kernel / kernel.sum()


def literal(A, d, num_iter, w=1.0, b=0.0):
    """Richardson and Lucy's iteration as it is printed, with a matrix; voxels hardly seen move in proportion."""
    shape, d = d.shape, d.ravel()
    w = np.broadcast_to(w, shape).ravel()
    b = np.broadcast_to(b, shape).ravel()
    s = A.T @ w
    gain = A.sum(axis=1).max()
    x = np.full(A.shape[1], (w * (d - b)).sum() / w.sum() / gain)
    for _ in range(num_iter):
        back = A.T @ (w * d / (A @ x + b))
        x = np.where(s >= SEEN * s.max(), x * back / np.maximum(s, 1e-300), x + x * (back - s) / (SEEN * s.max()))
    return x


def divergence(m, d):
    """I-divergence of counts `d` from a model `m`: minus the log-likelihood, up to a constant."""
    m, d = np.maximum(np.asarray(m, np.float64), 1e-300), np.asarray(d, np.float64)
    return float(np.sum(np.where(d > 0, d * np.log(np.maximum(d, 1e-300) / m), 0.0) - d + m))


def problem_of(d, kernel, boundary="free", background=0.0, weights=None, tv_weight=0.0):
    """The likelihood itself, whose generators show the estimate past the frame as well."""
    blur = Convolution(kernel, d.shape[-kernel.ndim :], boundary=boundary)
    return PoissonLikelihood.of(blur, d, np.full((1,) * d.ndim, background), weights, tv_weight)


def estimates(problem, rule, num_iter):
    """Copies of every estimate on the whole domain."""
    x = problem.flat()
    steps = conjugate(problem, x) if rule is True else extrapolated(problem, x, rule=rule or "none")
    for x in islice(steps, num_iter):
        yield x.copy()


@cache
def photograph(name: str) -> np.ndarray:
    from skimage import data
    from skimage.color import rgb2gray

    image = getattr(data, name)()
    image = image / 255 if image.ndim == 2 else rgb2gray(image)
    return image[60:320:2, 60:320:2][:128, :128]


@cache
def stars() -> np.ndarray:
    rng = np.random.default_rng(5)
    field = np.full((128, 128), 0.01)
    field[tuple(rng.integers(0, 128, (2, 60)))] += rng.pareto(1.2, 60)
    return field / field.max()


SCENES = dict.fromkeys(("camera", "coffee", "moon", "coins"), photograph) | {"stars": lambda _: stars()}


def counts(scene: str, photons: float, sigma: float = 2.5, dtype=np.float64):
    """Counts of a scene that goes on past the frame, and the PSF."""
    kernel = sigdeconv.psf.gaussian((17, 17), sigma)
    x = photons * SCENES[scene](scene)
    if scene == "stars":
        x *= 20  # the blur lowers a star's peak
    blur = Convolution(kernel, tuple(n - 16 for n in x.shape))
    return np.random.default_rng(0).poisson(blur(x).clip(0)).astype(dtype), kernel


# The iteration of the papers


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("taps", "frame"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("extra", ["plain", "background", "weights"])
def test_unaccelerated_is_the_formula_on_paper(taps, frame, boundary, extra, close):
    rng = np.random.default_rng(0)
    kernel, d = asymmetric(taps), rng.poisson(30.0, frame).astype(float)
    w = rng.random(frame) * (rng.random(frame) > 0.2) if extra == "weights" else None
    b = 5 * rng.random(frame) if extra != "plain" else 0.0
    blur = Convolution(kernel, frame, boundary=boundary)
    wanted = literal(blur.to_dense(), d, 12, 1.0 if w is None else w, b).reshape(blur.domain_shape)
    result = richardson_lucy(d, kernel, num_iter=12, boundary=boundary, accelerate=False, weights=w, background=b)
    close(result, wanted[blur.frame], slack=1e4)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("stride", [2, (2, 1)])
def test_operator_with_a_stride_restores_on_the_finer_grid(boundary, stride, close):
    d = np.random.default_rng(0).poisson(30.0, (6, 7)).astype(float)
    blur = Convolution(asymmetric((4, 5)), d.shape, boundary=boundary, stride=stride)
    wanted = literal(blur.to_dense(), d, 10)
    if boundary in ("periodic", "reflect"):  # the flat start explains the mean with the sum of the PSF
        result = richardson_lucy(d, blur, num_iter=10, accelerate=False)
        close(result, wanted.reshape(blur.domain_shape)[blur.frame], slack=1e4)
    for accelerate in ACCELERATIONS:
        result = richardson_lucy(d, blur, num_iter=10, accelerate=accelerate)
        fine = tuple(n * s for n, s in zip(d.shape, blur.stride, strict=True))
        assert result.shape == tuple(min(n, s.stop - s.start) for n, s in zip(fine, blur.frame, strict=True))
        assert np.isfinite(result).all()
        assert (result >= 0).all()


def test_psf_of_another_sum_gives_the_scene_per_unit_of_it(close):
    d = np.random.default_rng(0).poisson(30.0, (12, 13)).astype(float)
    kernel = asymmetric((3, 4))
    for accelerate in ACCELERATIONS:
        one, five = (richardson_lucy(d, k, accelerate=accelerate) for k in (kernel, 5 * kernel))
        close(5 * five, one, slack=1e5)


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
def test_unit_of_the_counts_does_not_matter(accelerate):
    d, kernel = counts("camera", 100)
    d = d[:40, :48]
    for scale in (1e-6, 1e6):
        scaled = richardson_lucy(scale * d, kernel, num_iter=8, accelerate=accelerate)
        np.testing.assert_allclose(scaled / scale, richardson_lucy(d, kernel, num_iter=8, accelerate=accelerate), 1e-6)


# Likelihood


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("boundary", ["free", "periodic", "reflect"])
@pytest.mark.parametrize("background", [0.0, 3.0])
def test_likelihood_never_falls_with_conjugate_directions(scene, boundary, background):
    d, kernel = counts(scene, 100)
    d = d[:64, :64] + background
    problem = problem_of(d, kernel, boundary, background)
    trace = [divergence(problem.blur(x) + background, d) for x in estimates(problem, True, 40)]
    slack = 1e-9 * d.sum()
    assert all(after <= before + slack for before, after in pairwise(trace))
    assert trace[-1] < trace[0]


@pytest.mark.parametrize("photons", [50, 1000])
@pytest.mark.parametrize("scene", SCENES)
def test_acceleration_reaches_a_hundred_iterations_in_twenty(scene, photons):
    d, kernel = counts(scene, photons, dtype=np.float32)
    problem = problem_of(d, kernel)
    *_, last = estimates(problem, False, 100)
    aim = divergence(problem.blur(last), d)
    reached = [divergence(problem.blur(x), d) for x in estimates(problem, True, 20)]
    assert min(reached) <= aim
    assert next(i for i, value in enumerate(reached, 1) if value <= aim) <= 20


@pytest.mark.parametrize("rule", ["biggs-andrews", "heavy-ball"])
def test_extrapolation_is_faster_than_none(rule):
    d, kernel = counts("camera", 100)
    problem = problem_of(d, kernel)
    *_, plain = estimates(problem, False, 30)
    *_, fast = estimates(problem, rule, 30)
    assert divergence(problem.blur(fast), d) < divergence(problem.blur(plain), d)


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scene", ["camera", "stars"])
def test_five_hundred_iterations_stay_finite(scene, accelerate, dtype):
    d, kernel = counts(scene, 200, dtype=dtype)
    d = d[:48, :48]
    result = richardson_lucy(d, kernel, num_iter=500, accelerate=accelerate)
    assert result.dtype == dtype
    assert np.isfinite(result).all()
    assert (result >= 0).all()
    assert result.max() < 1.5 * d.sum()
    problem = problem_of(d, kernel)
    *_, last = estimates(problem, accelerate, 500)
    *_, early = estimates(problem, accelerate, 20)
    assert divergence(problem.blur(last), d) <= divergence(problem.blur(early), d)


# Flux


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("rule", ACCELERATIONS)
def test_flux_is_kept(boundary, rule):
    d, kernel = counts("coffee", 100)
    d = d[:40, :48]
    problem = problem_of(d, kernel, boundary)
    tolerance = {True: 1e-9, False: 1e-9, "biggs-andrews": 0.02, "heavy-ball": 0.05}[rule]
    if boundary == "free" and rule is not True:
        tolerance = 0.02  # voxels that the frame hardly sees move more slowly than the formula has them
    for x in estimates(problem, rule, 25):
        assert problem.blur(x).sum() == pytest.approx(d.sum(), rel=tolerance)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_weighted_flux_is_kept(boundary):
    d, kernel = counts("coffee", 100)
    d = d[:40, :48]
    w = np.random.default_rng(2).random(d.shape)
    problem = problem_of(d, kernel, boundary, weights=w)
    for x in estimates(problem, True, 25):
        assert (w * problem.blur(x)).sum() == pytest.approx((w * d).sum(), rel=1e-9)


# Weights and background


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
def test_pixels_of_weight_zero_may_hold_anything(accelerate):
    d, kernel = counts("camera", 200)
    d = d[:40, :48].copy()
    bad = np.random.default_rng(3).random(d.shape) < 0.05
    results = []
    for value in (0.0, np.nan, np.inf, -1e5, 65535.0):
        d[bad] = value
        results.append(richardson_lucy(d, kernel, accelerate=accelerate, weights=~bad))
        assert np.array_equal(np.isnan(d), bad & np.isnan(value)), "the input was changed"
    for result in results[1:]:
        assert np.array_equal(result, results[0])
    assert np.isfinite(results[0]).all()


def test_bad_pixels_are_bridged():
    kernel = sigdeconv.psf.gaussian((9, 9), 1.5)
    blur = Convolution(kernel, (48, 48))
    x = 20 + 200 * photograph("camera")[:56, :56]
    clean = blur(x)
    d = np.random.default_rng(0).poisson(clean).astype(float)
    bad = np.random.default_rng(3).random(d.shape) < 0.05
    whole = richardson_lucy(d, kernel, num_iter=8)
    d[bad] = 5000
    masked, fooled = (richardson_lucy(d, kernel, num_iter=8, weights=w) for w in (~bad, None))
    truth = x[blur.frame]
    assert np.mean((masked - truth) ** 2) < 1.2 * np.mean((whole - truth) ** 2)
    assert np.mean((fooled - truth) ** 2) > 10 * np.mean((whole - truth) ** 2)


def test_saturated_star_comes_back():
    kernel = sigdeconv.psf.gaussian((15, 15), 2.0)
    blur = Convolution(kernel, (41, 41), boundary="periodic")
    x = np.full((41, 41), 10.0)
    x[20, 20] += 1e5
    full = np.random.default_rng(0).poisson(blur(x)).astype(float)
    d = np.minimum(full, 1500.0)
    assert full.max() > 3000
    star = (slice(15, 26),) * 2

    def flux(**options):
        return richardson_lucy(d, kernel, num_iter=60, boundary="periodic", **options)[star].sum()

    assert flux(weights=d < 1500) == pytest.approx(1e5, rel=0.03)
    assert flux() < 0.8e5


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
def test_background_is_in_the_model_and_not_in_the_result(accelerate):
    kernel = sigdeconv.psf.gaussian((11, 11), 1.5)
    blur = Convolution(kernel, (40, 40))
    x = np.zeros(blur.domain_shape)
    x[25, 20] = 3000
    d = np.random.default_rng(0).poisson(blur(x) + 50).astype(float)
    result = richardson_lucy(d, kernel, num_iter=50, background=50.0, accelerate=accelerate)
    assert result[17:24, 12:19].sum() == pytest.approx(3000, rel=0.15)
    assert np.median(result) < 3
    assert np.median(richardson_lucy(d, kernel, num_iter=10, accelerate=accelerate)) > 40
    plane = np.full(d.shape, 50.0)
    np.testing.assert_allclose(
        richardson_lucy(d, kernel, background=plane, accelerate=accelerate),
        richardson_lucy(d, kernel, background=50.0, accelerate=accelerate),
        rtol=1e-9,
        atol=1e-9,
    )


def test_background_above_the_counts_leaves_a_dark_scene():
    d = np.random.default_rng(0).poisson(20.0, (24, 24)).astype(np.float32)
    for accelerate in ACCELERATIONS:
        result = richardson_lucy(d, asymmetric((5, 5)), num_iter=50, background=40.0, accelerate=accelerate)
        assert np.isfinite(result).all()
        assert (result >= 0).all()
        assert np.median(result) < 1


# Total variation


def total_variation(x, edge=0.0):
    steps = [np.diff(x, axis=axis, append=x.take([-1], axis)) for axis in range(x.ndim)]
    return float(np.sqrt(sum(step**2 for step in steps) + edge**2).sum())


def test_total_variation_lowers_noise():
    kernel = sigdeconv.psf.gaussian((9, 9), 1.5)
    x = 20 + 60 * np.kron(np.random.default_rng(1).random((7, 7)), np.ones((8, 8)))
    blur = Convolution(kernel, (48, 48))
    d, truth = np.random.default_rng(0).poisson(blur(x)).astype(float), x[blur.frame]
    results = [richardson_lucy(d, kernel, num_iter=60, tv_weight=weight) for weight in (0.0, 0.002, 0.01, 0.05)]
    variations = [total_variation(result) for result in results]
    assert variations == sorted(variations, reverse=True)
    assert variations[2] < 0.5 * variations[0]
    assert np.mean((results[3] - truth) ** 2) < 0.25 * np.mean((results[0] - truth) ** 2)


@pytest.mark.parametrize("weight", [0.001, 0.01, 0.1])
@pytest.mark.parametrize("boundary", ["free", "periodic"])
@pytest.mark.parametrize("scene", ["camera", "stars"])
def test_objective_with_total_variation_never_rises(scene, boundary, weight):
    d, kernel = counts(scene, 100)
    d = d[:48, :48] + 2
    w = np.random.default_rng(0).random(d.shape)
    problem = problem_of(d, kernel, boundary, 2.0, w, weight)
    trace = []
    for x in estimates(problem, True, 40):
        m = problem.blur(x) + 2
        trace.append((w * (m - d * np.log(m))).sum() + weight * total_variation(x, problem.edge))
    slack = 1e-9 * abs(trace[0])
    assert all(after <= before + slack for before, after in pairwise(trace))


@pytest.mark.parametrize("accelerate", [False, "biggs-andrews", "heavy-ball"])
def test_every_way_goes_to_the_same_minimum(accelerate):
    d, kernel = counts("camera", 100)
    d = d[:32, :32]

    def objective(rule, num_iter):
        problem = problem_of(d, kernel, tv_weight=0.02)
        *_, x = estimates(problem, rule, num_iter)
        m = problem.blur(x)
        return (m - d * np.log(m)).sum() + 0.02 * total_variation(x, problem.edge)

    start, best = objective(True, 1), objective(True, 300)
    assert objective(accelerate, 300) - best < 0.02 * (start - best)


# Low and high counts


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zeros_everywhere(accelerate, boundary, dtype):
    d = np.zeros((2, 12, 14), dtype)
    result = richardson_lucy(d, asymmetric((3, 4)), accelerate=accelerate, boundary=boundary, num_iter=30)
    assert result.shape == d.shape
    assert result.dtype == dtype
    assert np.abs(result).max() < 1e-20


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
@pytest.mark.parametrize("mean", [0.01, 0.3])
def test_a_few_photons_in_single_precision(accelerate, mean):
    d = np.random.default_rng(0).poisson(mean, (48, 52)).astype(np.float32)
    kernel = sigdeconv.psf.gaussian((11, 11), 1.5)
    single = richardson_lucy(d, kernel, num_iter=60, accelerate=accelerate, boundary="periodic")
    assert np.isfinite(single).all()
    assert (single >= 0).all()
    blurred = Convolution(kernel, d.shape, boundary="periodic")(single)
    assert blurred.sum() == pytest.approx(d.sum(), rel=1e-3 if accelerate in (True, False) else 0.2)


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
def test_one_photon(accelerate):
    d = np.zeros((15, 15), np.float32)
    d[7, 8] = 1
    result = richardson_lucy(d, sigdeconv.psf.gaussian((5, 5), 1.0), num_iter=200, accelerate=accelerate)
    assert np.isfinite(result).all()
    assert np.unravel_index(result.argmax(), d.shape) == (7, 8)


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
def test_huge_dynamic_range(accelerate):
    kernel = sigdeconv.psf.gaussian((15, 15), 2.0)
    x = np.full((64, 64), 1.0)
    x[20, 20], x[44, 40] = 1e9, 1e3
    d = Convolution(kernel, x.shape, boundary="periodic")(x).clip(0)
    for dtype, limit in (("float32", 0.05), ("float64", 0.02)):
        result = richardson_lucy(d.astype(dtype), kernel, num_iter=100, boundary="periodic", accelerate=accelerate)
        assert np.isfinite(result).all()
        assert (result >= 0).all()
        assert result[18:23, 18:23].sum() == pytest.approx(1e9, rel=limit)
        assert result[42:47, 38:43].sum() == pytest.approx(1e3, rel=0.25)


# Stopping, starting


def test_callback_sees_every_iteration_on_the_frame_and_stops():
    d, kernel = counts("camera", 100)
    d = np.stack([d[:30, :36]] * 3, axis=-1)
    seen = []

    def watch(iteration):
        seen.append((iteration.index, iteration.estimate.copy(), iteration.change))
        return iteration.index == 5

    result = richardson_lucy(d, kernel, num_iter=9, callback=watch, channel_axis=-1)
    assert [index for index, *_ in seen] == [1, 2, 3, 4, 5]
    assert all(estimate.shape == d.shape for _, estimate, _ in seen)
    assert np.array_equal(seen[-1][1], result)
    assert np.array_equal(result, richardson_lucy(d, kernel, num_iter=5, channel_axis=-1))
    assert np.isnan(seen[0][2])
    step = np.linalg.norm(seen[4][1][..., 0] - seen[3][1][..., 0]) / np.linalg.norm(seen[4][1][..., 0])
    assert seen[4][2] == pytest.approx(step, rel=1e-6)


def test_tolerance_stops_when_the_estimate_hardly_changes():
    d, kernel = counts("camera", 100)
    seen = []
    richardson_lucy(d, kernel, num_iter=500, tol=0.02, callback=lambda it: seen.append(it.change))
    assert 3 < len(seen) < 100
    assert seen[-1] <= 0.02 < min(seen[1:-1])


def test_start_from_an_estimate_on_the_frame_or_the_domain(close):
    d, kernel = counts("camera", 100)
    d = d[:30, :36]
    blur = Convolution(kernel, d.shape)
    for accelerate in (False, True):
        flat = np.full(d.shape, d.mean())
        options = {"num_iter": 4, "accelerate": accelerate}
        close(richardson_lucy(d, kernel, initial=flat, **options), richardson_lucy(d, kernel, **options), slack=1e3)
        whole = np.full(blur.domain_shape, d.mean())
        close(richardson_lucy(d, kernel, initial=whole, **options), richardson_lucy(d, kernel, **options), slack=1e3)
        assert np.all(whole == d.mean()), "the start was changed"
    halfway = list(estimates(problem_of(d, kernel), False, 7))
    close(richardson_lucy(d, kernel, initial=halfway[2], num_iter=4, accelerate=False), halfway[6][blur.frame], 1e3)
    ramp = np.add.outer(np.arange(30.0), np.arange(36.0)) + 1
    seen = []
    tiny = np.zeros((1, 1)) + 1.0
    richardson_lucy(ramp, tiny, initial=ramp, num_iter=1, callback=lambda it: seen.append(it.estimate.copy()))
    close(seen[0], ramp, slack=100)  # already the solution


# Kinds and shapes of arrays


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_every_kind_of_array_gives_the_same(kind, accelerate, boundary):
    rng = np.random.default_rng(0)
    d, kernel = rng.poisson(40.0, (2, 14, 15)).astype(float), asymmetric((3, 4))
    w = rng.random(d.shape)
    options = {"num_iter": 6, "boundary": boundary, "accelerate": accelerate}
    for extra in ({}, {"tv_weight": 0.01, "background": 2.0}):
        wanted = richardson_lucy(d, kernel, weights=w, **options, **extra)
        for dtype, limit in (("float64", 1e-8), ("float32", 1e-3)):
            arrays = (kind.array(a, dtype) for a in (d, kernel, w))
            image, psf, weights = arrays
            result = kind.numpy(richardson_lucy(image, psf, weights=weights, **options, **extra))
            assert result.dtype == dtype
            assert np.abs(result - wanted).max() < limit * wanted.max()
    mixed = kind.numpy(richardson_lucy(kind.array(d), kernel, weights=w, initial=d, background=0 * d, **options))
    np.testing.assert_allclose(mixed, richardson_lucy(d, kernel, weights=w, initial=d, **options), rtol=1e-6)


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
@pytest.mark.parametrize("tv_weight", [0.0, 0.01])
def test_batch_equals_its_items(accelerate, tv_weight, close):
    rng = np.random.default_rng(0)
    d = rng.poisson(np.geomspace(1, 1e4, 6).reshape(2, 3, 1, 1), (2, 3, 12, 15)).astype(float)
    kernel, w, b = asymmetric((3, 4)), rng.random((3, 12, 15)), 0.1 * rng.random((12, 15))
    w *= np.array([1.0, 0.1, 1e-3]).reshape(3, 1, 1)
    options = {"accelerate": accelerate, "tv_weight": tv_weight, "num_iter": 9, "background": b}
    result = richardson_lucy(d, kernel, weights=w, **options)
    for index in np.ndindex(2, 3):
        item = richardson_lucy(d[index], kernel, weights=w[index[1]], **options)
        close(result[index], item, slack=1e6 if tv_weight else 1e4)  # the prior's kink amplifies rounding


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_channel_axis_restores_each_colour(axis, close):
    rng = np.random.default_rng(0)
    d, w = rng.poisson(30.0, (3, 12, 15)).astype(float), rng.random((3, 12, 15))
    image, weights = np.moveaxis(d, 0, axis), np.moveaxis(w, 0, axis)
    result = richardson_lucy(image, asymmetric((3, 4)), weights=weights, initial=image + 1, channel_axis=axis)
    assert result.shape == image.shape
    for colour, weight, wanted in zip(d, w, np.moveaxis(result, axis, 0), strict=True):
        close(wanted, richardson_lucy(colour, asymmetric((3, 4)), weights=weight, initial=colour + 1), slack=1e4)


def test_a_ready_operator_is_the_same_as_its_psf():
    d, kernel = counts("camera", 100)
    for boundary in BOUNDARIES:
        blur = Convolution(kernel, d.shape, boundary=boundary)
        ready = richardson_lucy(d, blur, num_iter=4)
        assert np.array_equal(ready, richardson_lucy(d, kernel, num_iter=4, boundary=boundary))
    otf = sigdeconv.psf_to_otf(kernel, d.shape)
    from_otf = richardson_lucy(d, Convolution.from_otf(otf, d.shape), num_iter=4)
    np.testing.assert_allclose(from_otf, richardson_lucy(d, kernel, num_iter=4, boundary="periodic"), rtol=1e-6)


def test_integers_and_lists_are_counts_too():
    d, kernel = counts("camera", 100)
    d = d[:20, :22]
    wanted = richardson_lucy(d.astype(np.float32), kernel)
    for same in (d.astype(np.uint8), d.astype(np.uint16), d.astype(">u2"), np.asfortranarray(d.astype(np.int16))):
        assert np.array_equal(richardson_lucy(same, kernel), wanted)
    assert richardson_lucy(d.astype(int).tolist(), kernel.tolist()).dtype == np.float64


# Wrong calls

WRONG = {
    "negative counts": ({"image": -np.ones((8, 8))}, "image has 64 negative samples .* counts"),
    "negative psf": ({"psf": np.array([[1.0, -0.5]])}, "psf has negative samples"),
    "psf of more dimensions": ({"psf": np.ones((3, 3, 3))}, "psf has 3 dimensions but image has 2"),
    "weights of another shape": ({"weights": np.ones(7)}, r"weights has shape \(7,\)"),
    "weights negative": ({"weights": -np.ones((8, 8))}, "weights must be 0 or larger"),
    "weights all zero": ({"weights": np.zeros((8, 8))}, "weights must be 0 or larger"),
    "background negative": ({"background": -1.0}, "background is -1; it must be at least 0"),
    "background negative somewhere": ({"background": -np.ones((8, 8))}, "background has negative samples"),
    "background of another shape": ({"background": np.ones(7)}, r"background has shape \(7,\)"),
    "tv_weight negative": ({"tv_weight": -1.0}, "tv_weight is -1; it must be at least 0"),
    "initial of another shape": ({"initial": np.ones((7, 7))}, r"initial has shape \(7, 7\); pass \(8, 8\)"),
    "initial dark": ({"initial": np.zeros((8, 8))}, "initial must be 0 or larger"),
    "accelerate unknown": ({"accelerate": "fast"}, "accelerate is 'fast'; pass True, False"),
    "num_iter zero": ({"num_iter": 0}, "num_iter is 0; at least 1 is wanted"),
    "num_iter no integer": ({"num_iter": 2.5}, "num_iter is 2.5; a positive integer"),
    "tol negative": ({"tol": -1.0}, "tol is -1; it must be at least 0"),
    "callback no function": ({"callback": 3}, "callback is a int; a function"),
    "boundary unknown": ({"boundary": "wrap"}, "boundary is 'wrap'; pass one of 'free'"),
    "operator of another frame": ({"psf": Convolution(np.ones((3, 3)), (9, 9))}, r"observes \(9, 9\); build one"),
    "channel_axis too large": ({"channel_axis": 2}, "channel_axis is 2 but image has 2 dimensions"),
    "NaN where it counts": ({"image": np.full((8, 8), np.nan), "weights": np.ones((8, 8))}, "image .* 64 NaN"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_wrong_calls_are_told_the_remedy(change, message):
    call = {"image": np.ones((8, 8)), "psf": np.ones((3, 3)), **change}
    with pytest.raises((TypeError, ValueError), match=message):
        richardson_lucy(call.pop("image"), call.pop("psf"), **call)


# ------------------------------------------------------------------------------------------------------ given steps


def told_steps(counts, psf, num_iter):
    found = {}
    sigdeconv.richardson_lucy(counts, psf, num_iter=num_iter, callback=lambda step: found.update(step.chosen))
    return found["steps"]


@pytest.fixture
def wide_counts():
    psf = sigdeconv.psf.gaussian((9, 9), 1.5)
    scene = 20 + 400 * sigdeconv.simulate.stars((148, 128), num=60, rng=3) ** 0.5
    return np.random.default_rng(4).poisson(sigdeconv.simulate.through_frame(scene, psf)[1]).astype(float), psf


def test_steps_are_told_one_pair_an_iteration(wide_counts):
    counts, psf = wide_counts
    steps = told_steps(counts, psf, 6)
    assert len(steps) == 6
    assert steps[0][0] == 0  # there is no last direction yet
    assert all(t > 0 for _, t in steps)


def test_parts_agree_under_given_steps_and_not_under_their_own(wide_counts):
    """What conjugate steps measure on the whole image is all that ties distant samples together."""
    counts, psf = wide_counts
    steps = told_steps(counts[:70], psf, 8)
    whole = sigdeconv.richardson_lucy(counts, psf, num_iter=8, steps=steps)
    part = sigdeconv.richardson_lucy(counts[:90], psf, num_iter=8, steps=steps)
    own = sigdeconv.richardson_lucy(counts[:90], psf, num_iter=8)
    apart = np.abs(part[:60] - whole[:60]).max() / whole.max()
    assert apart < 1e-4
    assert np.abs(own[:60] - sigdeconv.richardson_lucy(counts, psf, num_iter=8)[:60]).max() / whole.max() > 20 * apart


def test_given_steps_restore_as_well_as_measured_ones(wide_counts):
    counts, psf = wide_counts
    steps = told_steps(counts[:70], psf, 8)

    def likelihood(estimate):
        model = sigdeconv.simulate.blur(estimate, psf)[8:-8, 8:-8]
        return float(np.sum(model - counts[8:-8, 8:-8] * np.log(model)))

    given, measured, plain = (
        likelihood(sigdeconv.richardson_lucy(counts, psf, num_iter=8, **options))
        for options in ({"steps": steps}, {}, {"accelerate": False})
    )
    assert plain - given > 0.9 * (plain - measured) > 0


def test_given_steps_keep_the_scene_positive_and_a_flat_one_flat(wide_counts):
    counts, psf = wide_counts
    steps = told_steps(counts, psf, 12)
    assert sigdeconv.richardson_lucy(counts, psf, num_iter=30, steps=steps).min() > 0  # the last step is repeated
    flat = sigdeconv.richardson_lucy(np.full((40, 40), 7.0), psf, num_iter=12, steps=steps)
    np.testing.assert_allclose(flat, 7.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": [1.0, 2.0]}, "steps is .*; pass pairs of numbers"),
        ({"steps": ()}, "steps is .*; pass pairs of numbers"),
        ({"steps": [(0, np.nan)]}, "steps is .*; pass pairs of numbers"),
        ({"steps": [(0, -1)]}, "steps is .*; pass pairs of numbers"),
        ({"steps": [(0, 1)], "accelerate": False}, "steps are given but accelerate is not 'conjugate'"),
    ],
)
def test_wrong_steps(options, words):
    with pytest.raises(ValueError, match=words):
        sigdeconv.richardson_lucy(np.ones((8, 8)), np.ones((3, 3)) / 9, **options)
