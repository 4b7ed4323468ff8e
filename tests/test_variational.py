"""Restoration with few edges, little curvature, few spikes: what comes out, and the weight that is chosen for it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import sigdeconv
from sigdeconv import (
    Convolution,
    hessian_schatten,
    hyper_laplacian,
    metrics,
    psf,
    simulate,
    sparse_spikes,
    total_variation,
)

BOUNDARIES = ("free", "periodic", "zero", "reflect")
RULES = ("gcv", "sure", "discrepancy", "l-curve")
METHODS = {f.__name__: f for f in (total_variation, hyper_laplacian, hessian_schatten, sparse_spikes)}
SMOOTHERS = {name: f for name, f in METHODS.items() if f is not sparse_spikes}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
every_smoother = pytest.mark.parametrize("method", SMOOTHERS.values(), ids=SMOOTHERS)
SIGMA = 2.0
GAUSSIAN = psf.gaussian((9, 9), 1.5)
LOPSIDED = np.outer([1.0, 3.0, 2.0], [1.0, 2.0, 4.0, 1.0]) / 48


def squares(n: int) -> np.ndarray:
    """Squares, a disk and a slope, between 0 and 200."""
    y, x = np.mgrid[:n, :n] / n
    picture = 40 * x + 60.0 * ((y - 0.6) ** 2 + (x - 0.35) ** 2 < 0.05)
    picture[n // 8 : n // 3, n // 6 : n // 2] += 90
    return picture


def filaments(n: int) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j]
    return 100 * np.exp(-20 * (y - x**2) ** 2) + 60 * np.exp(-30 * (x + 0.3 * y) ** 2)


def stars(n: int) -> np.ndarray:
    picture, rng = np.zeros((n, n)), np.random.default_rng(3)
    picture[tuple(rng.integers(6, n - 6, (2, n // 6)))] = rng.uniform(200, 2000, n // 6)
    return picture


SCENES = {total_variation: squares, hyper_laplacian: squares, hessian_schatten: filaments, sparse_spikes: stars}


@cache
def observed(method, n: int = 32, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A scene for which the method is made, and its blurred and noisy image; not to be written to."""
    scene = SCENES[method](n)
    image = simulate.blur(scene, GAUSSIAN, boundary="reflect")
    image = image + np.random.default_rng(seed).normal(0, SIGMA, image.shape)
    for array in (scene, image):
        array.flags.writeable = False
    return scene, image


def chosen(method, image, kernel, **options):
    """The result, and what was chosen for it."""
    report = []
    result = method(image, kernel, callback=report.append, **options)
    return result, report[-1].chosen


# The minimiser, through the front door


@pytest.mark.parametrize("differences", ["round", "forward"])
def test_total_variation_settles_where_no_scene_is_better(differences):
    """The objective, written here: no step in any direction lowers it, and it is convex."""
    rng = np.random.default_rng(4)
    image = squares(24) + rng.normal(0, 3, (24, 24))
    weight = 3.0
    options = {"boundary": "periodic", "differences": differences, "num_iter": 600, "tol": 0.0}
    found = total_variation(image, LOPSIDED, weight=weight, **options)
    blur = Convolution(LOPSIDED, image.shape, boundary="periodic")

    def cost(x):
        down, right = np.roll(x, -1, 0) - x, np.roll(x, -1, 1) - x
        square = down**2 + right**2
        if differences == "round":
            falling, rising = np.roll(x, (-1, -1), (0, 1)) - x, np.roll(x, -1, 0) - np.roll(x, -1, 1)
            square = square / 2 + (falling**2 + rising**2) / 4
        return 0.5 * ((blur(x) - image) ** 2).sum() + weight * np.sqrt(square).sum()

    least = cost(found)
    others = options | {"differences": "forward" if differences == "round" else "round"}
    another = total_variation(image, LOPSIDED, weight=weight, **others)
    assert cost(another) > least, "the other kind of differences has another minimiser"
    for reach in (1e-2, 1.0, 10.0):
        for _ in range(20):
            assert cost(found + reach * rng.standard_normal(image.shape)) > least
    for other in (image, found * 1.001, np.roll(found, 1, 0), total_variation(image, LOPSIDED, weight=4.0, **options)):
        assert cost(other) > least
    patch = np.zeros_like(image)
    patch[5:12, 6:14] = 1.0  # flat parts move together
    for step in (-0.1, -1e-2, 1e-2, 0.1):
        assert cost(found + step * patch) >= least - 1e-6 * least


def test_noise_on_a_step_is_shrunk_by_the_closed_form():
    """Of a line of two halves without blur, each half moves by the weight over its length: one side of the other."""
    line = np.repeat([0.0, 10.0], 20)
    point = np.array([1.0])
    found = total_variation(line, point, weight=4.0, boundary="reflect", num_iter=500, tol=0.0)
    np.testing.assert_allclose(found, np.repeat([0.2, 9.8], 20), atol=1e-3)
    found = sparse_spikes(line, point, weight=4.0, boundary="periodic", num_iter=500, tol=0.0)
    np.testing.assert_allclose(found, np.repeat([0.0, 6.0], 20), atol=1e-6)
    ramp = np.arange(40.0)
    found = hessian_schatten(ramp, point, weight=0.5, boundary="reflect", num_iter=1000, tol=0.0)
    np.testing.assert_allclose(found[5:-5], ramp[5:-5], atol=0.01)  # slopes cost nothing but at the mirrors
    found = total_variation(ramp, point, weight=500.0, boundary="reflect", num_iter=1000, tol=0.0)
    np.testing.assert_allclose(found, 19.5, atol=0.2)


def test_power_and_pooling_tell_methods_apart():
    scene, image = observed(hyper_laplacian)
    results = [
        hyper_laplacian(image, GAUSSIAN, weight=0.25, power=power, pooling=pooling)
        for power, pooling in ((0.5, 2.0), (0.5, 0.0), (2 / 3, 2.0), (0.8, 2.0), (1.0, 2.0), (1.0, 0.0))
    ]
    np.testing.assert_array_equal(results[-1], results[-2])  # total variation has no weights to pool
    for result in results:
        assert metrics.isnr(scene, image, result) > 4
    for a in range(5):
        for b in range(a):
            assert np.abs(results[a] - results[b]).max() > 0.5
    # A power below one keeps large differences: more contrast at the edges.
    sharpness = [np.abs(np.diff(result, axis=0)).max() for result in (results[1], results[4])]
    assert sharpness[0] > sharpness[1]


# What must not change


@every_smoother
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("shape", [(41,), (20, 23), (7, 8, 9)])
def test_flat_stays_flat_up_to_the_frame(method, boundary, shape):
    kernel = np.ones(())
    for line in ([0.1, 0.2, 0.6, 0.1], [0.1, 0.7, 0.2], [0.2, 0.6, 0.2])[: len(shape)]:
        kernel = kernel[..., None] * np.array(line)
    flat = np.full(shape, 7.0)
    if boundary == "zero":  # the frame's ends are darker
        flat = Convolution(kernel, shape, boundary="zero")(flat)
        found = method(flat, kernel, weight=1e-3, boundary=boundary, num_iter=100)
        np.testing.assert_allclose(found, 7, atol=0.2)
        return
    for options in ({"weight": 0.01}, {"weight": 10.0, "bounds": (0, None)}):
        np.testing.assert_allclose(method(flat, kernel, boundary=boundary, **options), 7, rtol=1e-6)


@every_method
@pytest.mark.parametrize(("boundary", "shape"), [("free", (3, 4)), ("free", (5, 6)), ("reflect", (4, 4))])
def test_nothing_moves(method, shape, boundary):
    """A spot is restored at its place, whatever the parity of the PSF, and a lopsided PSF leaves no shift."""
    spot = np.zeros((31, 32))
    spot[12:15, 16:19] = 100.0  # its middle is (13, 17)
    kernel = np.random.default_rng(6).random(shape)
    kernel /= kernel.sum()
    image = Convolution(kernel, spot.shape, boundary="zero")(spot)
    found = method(image, kernel, weight=1e-3, boundary=boundary, num_iter=100)
    found = np.where(found > 10, found, 0)
    centre = [(place * found).sum() / found.sum() for place in np.indices(found.shape)]
    np.testing.assert_allclose(centre, (13, 17), atol=0.05)


@every_method
def test_half_a_turn_of_image_and_psf_turns_the_result(method):
    _, image = observed(method)
    kernel = np.pad(LOPSIDED, ((0, 0), (0, 1)))  # of odd sizes, so that its origin stays the middle
    straight = method(image, kernel, weight=2.0)
    turned = method(image[::-1, ::-1], kernel[::-1, ::-1], weight=2.0)
    assert np.abs(turned[::-1, ::-1] - straight).max() < 0.05 * np.ptp(straight)


@every_method
@pytest.mark.parametrize("unit", [1e-3, 1000.0])
def test_units_of_image_and_psf_do_not_matter(method, unit):
    _, image = observed(method, 24)
    options = {"num_iter": 40, "tol": 0.0}
    given = method(image, GAUSSIAN, weight=0.5, **options)
    atol = 2e-3 * np.ptp(given)
    # A misfit is a square: what weighs a length of differences has the unit of the image.
    found = method(unit * image, GAUSSIAN, weight=0.5 * unit, **options)
    np.testing.assert_allclose(found / unit, given, atol=atol)
    # The scene is smaller by the unit, and so are its differences.
    found = method(image, unit * GAUSSIAN, weight=0.5 * unit, **options)
    np.testing.assert_allclose(found * unit, given, atol=atol)
    np.testing.assert_allclose(method(-image, GAUSSIAN, weight=0.5, **options), -given, atol=atol)


@pytest.mark.parametrize("method", [total_variation, sparse_spikes])
def test_units_do_not_matter_to_the_chosen_weight(method):
    _, image = observed(method, 24)
    usual, figures = chosen(method, image, GAUSSIAN, num_iter=20)
    scaled, others = chosen(method, 1000 * image, GAUSSIAN, num_iter=20)
    np.testing.assert_allclose(scaled / 1000, usual, atol=2e-3 * np.ptp(usual))
    assert others["weight"] == pytest.approx(1000 * figures["weight"], rel=1e-2)
    assert others["sigma"] == pytest.approx(1000 * figures["sigma"], rel=1e-2)


@every_smoother
@pytest.mark.parametrize("boundary", ["free", "reflect"])
def test_an_offset_stays_an_offset(method, boundary):
    _, image = observed(method)
    usual = method(image, GAUSSIAN, weight=0.5, boundary=boundary, num_iter=80, tol=0.0)
    lifted = method(image + 500.0, GAUSSIAN, weight=0.5, boundary=boundary, num_iter=80, tol=0.0)
    np.testing.assert_allclose(lifted - 500.0, usual, atol=0.01 * np.ptp(usual))


@every_method
def test_results_keep_shape_kind_and_dtype(method, kind):
    _, image = observed(method, 16)
    usual = method(image, LOPSIDED, weight=0.5, num_iter=8, tol=0.0)
    for dtype, slack in (("float32", 1e-3), ("float64", 1e-9)):
        found = kind.numpy(method(kind.array(image, dtype), LOPSIDED, weight=0.5, num_iter=8, tol=0.0))
        assert found.dtype == dtype
        assert found.shape == image.shape
        np.testing.assert_allclose(found, usual, atol=slack * np.ptp(usual))
    if kind.name == "numpy":
        for dtype, wanted in (("uint8", "float32"), ("uint16", "float32"), ("int32", "float64")):
            counts = np.clip(image, 0, 255).astype(dtype)
            assert method(counts, LOPSIDED, weight=0.5, num_iter=2).dtype == wanted


def test_weight_is_chosen_in_all_kinds(kind):
    _, image = observed(total_variation, 24)
    usual, weight = chosen(total_variation, image, LOPSIDED, num_iter=30)
    found, same = chosen(total_variation, kind.array(image), LOPSIDED, num_iter=30)
    assert same["weight"] == pytest.approx(weight["weight"], rel=1e-3)
    np.testing.assert_allclose(kind.numpy(found), usual, atol=5e-3 * np.ptp(usual))


@every_method
def test_arguments_are_not_written_to(method):
    _, image = observed(method, 24)
    kernel, trust = LOPSIDED.copy(), np.ones((24, 24))
    for array in (kernel, trust):
        array.flags.writeable = False
    before = image.copy()
    method(image, kernel, weight=0.5, weights=trust, num_iter=3)
    np.testing.assert_array_equal(image, before)


# Bounds, trust, batches, colours, stride


@every_method
@pytest.mark.parametrize("boundary", ["free", "reflect"])
def test_bounds_are_met(method, boundary):
    _, image = observed(method)
    unbound = method(image, GAUSSIAN, weight=0.05, boundary=boundary, num_iter=50)
    assert unbound.min() < 0
    light = method(image, GAUSSIAN, weight=0.05, boundary=boundary, bounds=(0, None), num_iter=50)
    assert light.min() == 0
    low, high = np.quantile(unbound, (0.1, 0.9))
    between = method(image, GAUSSIAN, weight=0.05, boundary=boundary, bounds=(low, high), num_iter=50)
    assert low == between.min()
    assert between.max() == high
    if boundary == "free":
        wide = method(image, GAUSSIAN, weight=1.0, bounds=(-1e5, 1e5), num_iter=200, tol=0.0)
        settled = method(image, GAUSSIAN, weight=1.0, num_iter=200, tol=0.0)
        assert np.abs(wide - settled).max() < 0.05 * np.ptp(settled), "bounds that are far away change nothing"


@every_method
def test_bad_pixels_are_left_out(method):
    scene, image = observed(method)
    broken, trust = image.copy(), np.ones_like(image)
    places = np.random.default_rng(7).random(image.shape) < 0.05
    broken[places], trust[places] = np.nan, 0.0
    broken[0, :3], trust[0, :3] = 1e6, 0.0
    given = {"weight": None if method is total_variation else 0.5, "num_iter": 100}
    found, whole = method(broken, GAUSSIAN, weights=trust, **given), method(image, GAUSSIAN, **given)
    assert metrics.isnr(scene, image, found) > metrics.isnr(scene, image, whole) - 3
    other = broken.copy()
    other[places] = -50.0
    options = {"weights": trust, "weight": 0.5, "num_iter": 20}
    np.testing.assert_array_equal(method(other, GAUSSIAN, **options), method(broken, GAUSSIAN, **options))
    # Trust is a misfit's weight: half of it everywhere is twice the prior's.
    usual = method(image, GAUSSIAN, weight=1.0, num_iter=200, tol=0.0)
    halved = method(image, GAUSSIAN, weight=0.5, weights=np.full_like(image, 0.5), num_iter=200, tol=0.0)
    np.testing.assert_allclose(halved, usual, atol=0.02 * np.ptp(usual))


@every_method
def test_batch_is_one_by_one(method):
    _, image = observed(method)
    options = {"weight": 1.0, "boundary": "periodic", "tol": 0.0}
    rolled = np.stack([image, np.roll(image, (5, -3), (0, 1)), np.roll(image, 9, 1)])
    together = method(rolled[None], LOPSIDED, num_iter=30, **options)
    assert together.shape == (1, *rolled.shape)
    for item, found in zip(rolled, together[0], strict=True):
        np.testing.assert_allclose(found, method(item, LOPSIDED, num_iter=30, **options), atol=1e-9 * np.ptp(found))
    # Items that are not alike have a common step, and are equal once they have settled: but for several minima.
    items = np.stack([image, 0.7 * image[::-1]])
    for item, found in zip(items, method(items, LOPSIDED, weight=1.0, num_iter=150, tol=0.0), strict=True):
        alone = method(item, LOPSIDED, weight=1.0, num_iter=150, tol=0.0)
        atol = 0.1 if method is hyper_laplacian else 0.02
        np.testing.assert_allclose(found, alone, atol=atol * np.ptp(alone))


@every_method
def test_colours_share_their_edges(method):
    _, image = observed(method)
    # The nuclear norm has no length over the colours, whose curvatures shrink each by itself.
    options = {"num_iter": 80, "tol": 0.0} | ({"norm": "frobenius"} if method is hessian_schatten else {})
    usual = method(image, GAUSSIAN, weight=0.5, **options)
    for axis in (0, -1):
        grey = np.stack([image] * 3, axis=axis)
        joint = method(grey, GAUSSIAN, weight=0.5 * np.sqrt(3), channel_axis=axis, **options)
        # Three colours alike: the misfit triples and the joint length grows by the root of three.
        for colour in np.moveaxis(joint, axis, 0):
            np.testing.assert_allclose(colour, usual, atol=0.05 * np.ptp(joint))
    # A batch of colours is each of them by itself; only colours are joined.
    noisy = grey + np.random.default_rng(9).normal(0, 2, grey.shape)
    batch = np.stack([noisy, noisy[::-1]])
    both = method(batch, GAUSSIAN, weight=1.0, channel_axis=-1, **options)
    atol = (0.1 if method is hyper_laplacian else 0.02) * np.ptp(both)
    for item, found in zip(batch, both, strict=True):
        alone = method(item, GAUSSIAN, weight=1.0, channel_axis=-1, **options)
        np.testing.assert_allclose(found, alone, atol=atol)
    apart = np.stack([method(noisy[..., i], GAUSSIAN, weight=1.0, **options) for i in range(3)], axis=-1)
    assert np.abs(apart - both[0]).max() > 0.01 * np.ptp(apart)


@every_method
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_operator_and_psf_give_the_same(method, boundary):
    _, image = observed(method)
    blur = Convolution(GAUSSIAN, image.shape, boundary=boundary)
    usual = method(image, GAUSSIAN, weight=0.5, boundary=boundary, num_iter=10)
    np.testing.assert_allclose(method(image, blur, weight=0.5, num_iter=10), usual, atol=1e-9 * np.ptp(usual))


@every_method
def test_stride_gives_the_finer_grid(method):
    scene, _ = observed(method)
    fine = Convolution(GAUSSIAN, (16, 16), stride=2)
    padded = [(f.start, n - f.stop) for f, n in zip(fine.frame, fine.domain_shape, strict=True)]
    coarse = fine(np.pad(scene, padded, mode="symmetric"))
    coarse = coarse + np.random.default_rng(11).normal(0, 0.5, coarse.shape)
    weight = None if method is total_variation else 0.2
    found = method(coarse, fine, weight=weight, bounds=(0, None), num_iter=100)
    assert found.shape == scene.shape
    assert found.min() >= 0
    assert metrics.isnr(scene, np.kron(coarse, np.ones((2, 2))), found) > 1


@every_method
@pytest.mark.parametrize("ndim", [1, 3])
def test_signals_and_volumes_are_restored(method, ndim):
    rng = np.random.default_rng(10)
    if ndim == 1:
        scene, kernel = np.zeros(200), psf.gaussian((13,), 2.0)
        if method is sparse_spikes:
            scene[[30, 42, 100, 160]] = 800, 500, 900, 400
        elif method is hessian_schatten:
            scene = np.interp(np.arange(200), [0, 40, 60, 110, 199], [0, 10, 200, 30, 90])
        else:
            scene[30:60], scene[100:180] = 100, 60
    else:
        scene, kernel = np.zeros((10, 12, 14)), psf.gaussian((5, 5, 5), 1.2)
        if method is sparse_spikes:
            scene[tuple(rng.integers(3, 7, (3, 3)))] = 3000.0
        else:
            scene[3:8, 3:9, 4:11] = 100.0
    image = simulate.blur(scene, kernel, boundary="reflect")
    image = image + rng.normal(0, SIGMA, image.shape)
    found, figures = chosen(method, image, kernel)
    least = 1.0 if method is hessian_schatten else 4.0
    assert metrics.isnr(scene, image, found) > least
    assert figures["sigma"] == pytest.approx(SIGMA, rel=0.2)
    if method is hessian_schatten and ndim == 3:
        small = image[2:8, 3:11, 4:12]
        nuclear = method(small, kernel[1:-1, 1:-1, 1:-1], weight=0.5, norm="nuclear", num_iter=10)
        other = method(small, kernel[1:-1, 1:-1, 1:-1], weight=0.5, num_iter=10)
        assert np.isfinite(nuclear).all()
        assert np.abs(nuclear - other).max() > 0.1


# The weight


@every_method
def test_chosen_weight_comes_close_to_the_best(method):
    scene, image = observed(method, 48, seed=3)
    found, figures = chosen(method, image, GAUSSIAN)
    others = [method(image, GAUSSIAN, weight=figures["weight"] * f) for f in (0.2, 2.0, 5.0)]
    gains = [metrics.isnr(scene, image, x) for x in (found, *others)]
    assert gains[0] > max(gains) - 0.5
    assert gains[0] > 4
    assert min(gains) < max(gains) - 0.9, "the weight matters here"
    assert figures["sigma"] == pytest.approx(SIGMA, rel=0.1)


@pytest.mark.parametrize(
    ("method", "rule"),
    [(method, rule) for method in METHODS.values() for rule in RULES if rule != "l-curve" or method is total_variation],
)
def test_every_rule_reduces_the_error(method, rule):
    scene, image = observed(method, 24)
    found, figures = chosen(method, image, GAUSSIAN, weight=rule, num_iter=60)
    assert metrics.isnr(scene, image, found) > 1.5
    assert set(figures) == ({"weight"} if rule == "l-curve" else {"weight", "sigma"})


def test_the_more_noise_is_said_to_be_there_the_neater():
    method, (_, image) = total_variation, observed(total_variation, 24)
    for rule in ("sure", "discrepancy"):
        figures = [chosen(method, image, GAUSSIAN, weight=rule, sigma=f * SIGMA, num_iter=1)[1] for f in (0.8, 1.5)]
        assert figures[1]["weight"] > figures[0]["weight"]
        assert set(figures[0]) == {"weight"}


@every_smoother
def test_discrepancy_meets_the_noise(method):
    _, image = observed(method, 48)
    _, figures = chosen(method, image, GAUSSIAN, weight="discrepancy", sigma=SIGMA, num_iter=1)
    settled = method(image, GAUSSIAN, weight=figures["weight"], num_iter=300)
    inner = (slice(4, -4),) * 2
    gap = simulate.blur(settled, GAUSSIAN, boundary="reflect")[inner] - image[inner]
    assert np.sqrt(np.mean(gap**2)) == pytest.approx(SIGMA, rel=0.07)


@every_method
def test_callback_sees_every_iteration_and_what_was_chosen(method):
    _, image = observed(method)
    seen = []

    def watch(iteration):
        seen.append((iteration.index, dict(iteration.chosen), iteration.estimate.copy()))
        return iteration.index == 4

    result = method(image, GAUSSIAN, callback=watch)
    assert [index for index, _, _ in seen] == [1, 2, 3, 4]
    assert all(figures == seen[0][1] for _, figures, _ in seen)
    assert set(seen[0][1]) == {"weight", "sigma"}
    np.testing.assert_array_equal(result, seen[-1][2])
    again = method(image, GAUSSIAN, weight=seen[0][1]["weight"], num_iter=4, tol=0.0)
    np.testing.assert_array_equal(again, result)
    _, figures = chosen(method, image, GAUSSIAN, weight=0.5, num_iter=2)
    assert figures == {}
    changes = []
    method(image, GAUSSIAN, weight=0.5, tol=1e-3, num_iter=1000, callback=lambda i: changes.append(i.change))
    assert changes[-1] <= 1e-3
    assert all(change > 1e-3 for change in changes[1:-1])
    assert len(changes) < 1000


# When the model is wrong


@every_method
def test_a_wrong_psf_does_no_great_harm(method):
    scene, image = observed(method)
    for wrong, least in ((psf.gaussian((9, 9), 1.3), 0), (psf.gaussian((9, 9), 1.7), -3)):
        found, figures = chosen(method, image, wrong, num_iter=100)
        assert np.isfinite(found).all()
        assert figures["weight"] > 0
        assert metrics.isnr(scene, image, found) > least


@every_method
def test_without_noise_the_weight_does_not_collapse(method):
    scene, _ = observed(method, 24)
    image = simulate.blur(scene, GAUSSIAN, boundary="reflect")
    image = image.astype(np.float32) if method is total_variation else image
    found, figures = chosen(method, image, GAUSSIAN, num_iter=100)
    assert np.isfinite(found).all()
    assert 0 < figures["weight"] < 0.1
    assert metrics.isnr(scene, image.astype(float), found.astype(float)) > 5


@every_method
def test_images_of_nothing_and_of_one_sample(method):
    for image in (np.zeros((4, 4)), np.ones((1, 1))):
        for rule in (None, *RULES) if method is total_variation else (None,):
            found = method(image, LOPSIDED, weight=rule, sigma=None if image.size >= 16 else 1.0, num_iter=2)
            assert found.shape == image.shape
            assert np.isfinite(found).all()
            if not image.any():
                assert np.abs(found).max() < 1e-12


@pytest.mark.parametrize("rule", RULES)
def test_noise_that_is_said_to_be_none_at_all(rule):
    _, image = observed(total_variation, 16)
    found, figures = chosen(total_variation, image, GAUSSIAN, weight=rule, sigma=0.0, num_iter=5)
    assert np.isfinite(found).all()
    assert figures["weight"] > 0


@every_method
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": -1.0}, "weight is -1; it must be at least 0"),
        ({"weight": "best"}, "weight is 'best'; pass one of"),
        ({"weight": np.nan}, "weight is nan"),
        ({"sigma": -1.0}, "sigma is -1"),
        ({"bounds": (3, 2)}, "the first must be smaller"),
        ({"bounds": 3}, "bounds is 3; a pair"),
        ({"bounds": (0, np.nan)}, r"bounds\[1\] is nan"),
        ({"boundary": "wrap"}, "boundary is 'wrap'"),
        ({"num_iter": 0}, "num_iter is 0"),
        ({"tol": -1}, "tol is -1"),
        ({"callback": 3}, "callback is a int"),
        ({"weights": -np.ones((9, 9))}, "weights must be 0 or larger"),
        ({"weights": np.zeros((9, 9))}, "larger than 0 somewhere"),
        ({"weights": np.ones((4, 9))}, "does not broadcast"),
        ({"channel_axis": 5}, "channel_axis is 5"),
        ({"image": np.full((9, 9), np.nan)}, "image has 81 NaN"),
        ({"psf": np.zeros((3, 3))}, "psf is zero everywhere"),
        ({"psf": np.ones((3, 3, 3))}, "psf has 3 dimensions"),
    ],
)
def test_wrong_calls_are_told_the_remedy(method, change, message):
    arguments = {"image": np.ones((9, 9)), "psf": np.ones((3, 3)), "weight": 1.0} | change
    with pytest.raises((TypeError, ValueError), match=message) as error:
        method(**arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("method", "change", "message"),
    [
        (total_variation, {"differences": "central"}, "differences is 'central'; pass one of"),
        (hyper_laplacian, {"power": 0.0}, "power is 0; it must be larger than 0"),
        (hyper_laplacian, {"power": 1.5}, "power is 1.5"),
        (hyper_laplacian, {"pooling": -1.0}, "pooling is -1"),
        (hessian_schatten, {"norm": "spectral"}, "norm is 'spectral'; pass one of"),
    ],
)
def test_wrong_options_are_told_the_remedy(method, change, message):
    with pytest.raises(ValueError, match=message):
        method(np.ones((9, 9)), np.ones((3, 3)), weight=1.0, **change)


@pytest.mark.parametrize("method", [sigdeconv.total_variation, sigdeconv.hyper_laplacian, sigdeconv.hessian_schatten])
def test_opposite_sides_of_a_free_frame_do_not_touch(method):
    """Under a small PSF the ring on which this is computed must still keep them apart."""
    ramp = np.tile(np.arange(48) * 200 / 48, (48, 1))
    image = ramp + np.random.default_rng(0).normal(0, 2, ramp.shape)
    restored = method(image, sigdeconv.psf.gaussian((3, 3), 0.6))
    rms = np.sqrt(((restored - ramp) ** 2).mean(0))
    assert max(rms[0], rms[-1]) < 3
