"""Several frames on a finer grid: the operator against its definition, and what the frames are worth."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import sigdeconv
from sigdeconv import richardson_lucy
from sigdeconv.convolution import BOUNDARIES
from sigdeconv.deconvolution._frames import Frames
from sigdeconv.deconvolution.frames import super_resolve

HALF = np.array([[0, 0], [0, 0.5], [0.5, 0], [0.5, 0.5]])
OVER = 8  # samples of the true scene a pixel


def asymmetric(taps, seed=1):
    kernel = np.random.default_rng(seed).random(taps)
    return kernel / kernel.sum()


def definition(scene, psf, shape, shifts, factor, area):
    """Every pixel as a sum over fine samples, from the definition, for shifts of whole fine samples.

    `scene` gives the value at a fine sample, past the frame too.
    """
    ndim = len(shape)
    result = np.zeros((len(shifts), *shape))
    for i, *p in np.ndindex(len(shifts), *shape):
        corner = np.rint(factor * (np.array(p) + shifts[i] - shifts[0])).astype(int)
        for box in np.ndindex(*(factor,) * ndim) if area else [((factor - 1) // 2,) * ndim]:
            for j in np.ndindex(*psf.shape):
                at = corner + box - (np.array(j) - np.array(psf.shape) // 2)
                result[(i, *p)] += psf[j] * scene(at) / (factor**ndim if area else 1)
    return result


CASES = {
    "1-D": ((5,), (7,), 2, [[0], [0.5], [-1.5]], True),
    "1-D even psf": ((4,), (7,), 3, [[0.0], [1 / 3], [2 / 3]], True),
    "1-D points": ((4,), (6,), 3, [[1.0], [2 / 3], [1 / 3]], False),
    "2-D": ((3, 4), (4, 5), 2, [[0, 0], [0, 0.5], [0.5, -0.5], [1.5, 2]], True),
    "2-D points": ((3, 4), (3, 4), 3, [[0, 0], [0, 1 / 3], [-2 / 3, 1]], False),
    "one frame": ((3, 3), (4, 5), 2, [[0, 0]], True),
}


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_operator_is_its_definition_and_the_adjoint_its_transpose(case, boundary):
    taps, shape, factor, shifts, area = case
    shifts, psf = np.array(shifts, float), asymmetric(taps)
    blur = Frames(psf, shape, shifts, (factor,) * len(shape), boundary=boundary, area=area)
    rng = np.random.default_rng(0)
    x = rng.random(blur.domain_shape)
    start = np.array([part.start for part in blur.window])
    size = np.array(blur._blurs[0].shape)

    def scene(at):
        index = at + start
        if boundary == "periodic":
            index = index % np.array(x.shape[1:])
        elif boundary == "zero":
            if np.any((index < 0) | (index >= np.array(x.shape[1:]))):
                return 0.0
        elif boundary == "reflect":
            index = index % (2 * size)
            index = np.where(index >= size, 2 * size - 1 - index, index)
        return x[(0, *index)]

    y = blur.forward(x)
    assert y.shape == blur.shape == (len(shifts), *shape)
    np.testing.assert_allclose(y, definition(scene, psf, shape, shifts, factor, area), atol=1e-12)
    unit = np.eye(x.size).reshape(-1, *x.shape)
    dense = blur.forward(unit).reshape(x.size, -1).T
    np.testing.assert_allclose(dense @ x.ravel(), y.ravel(), atol=1e-12)
    back = blur.adjoint(np.eye(y.size).reshape(-1, *y.shape)).reshape(y.size, -1)
    np.testing.assert_allclose(back, dense, atol=1e-12)
    out = np.empty_like(y)
    assert blur.forward(x, out=out, then=(lambda a, b: a - b, y)) is out
    assert np.abs(out).max() < 1e-12


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("area", [True, False])
def test_parts_of_a_fine_sample_are_band_limited_shifts(boundary, area):
    from scipy.special import ndtr

    t = np.array([[0.0, 0.0], [0.137, -0.29], [0.62, 1.41]])
    sigma, frame = 2.0, (9, 8)
    psf = sigdeconv.psf.gaussian((19, 19), sigma)
    blur = Frames(psf, frame, t, (2, 2), boundary=boundary, area=area)
    x = np.zeros(blur.domain_shape)
    x[(0, *(part.start + 8 for part in blur.window))] = 1.0
    y = blur.forward(x)

    def point(offset):  # a Gaussian integrated over a fine sample
        return ndtr((offset + 0.5) / sigma) - ndtr((offset - 0.5) / sigma)

    def profile(offset, period):
        if boundary == "periodic":
            return sum(once(offset + turn * period) for turn in (-1, 0, 1))
        return once(offset)

    def once(offset):
        return (point(offset - 0.5) + point(offset + 0.5)) / 2 if area else point(offset)

    for i, shift in enumerate(t):
        rows, columns = (2 * (np.arange(n) + s) + 0.5 - 8 for n, s in zip(frame, shift, strict=True))
        wanted = np.multiply.outer(profile(rows, 18), profile(columns, 16))
        assert np.abs(y[i] - wanted).max() < 2e-3 * wanted.max()
    v = np.random.default_rng(0).random(blur.shape)
    z = np.random.default_rng(1).random(blur.domain_shape)
    assert np.vdot(blur.forward(z), v) == pytest.approx(np.vdot(z, blur.adjoint(v)), rel=1e-12)


@pytest.mark.parametrize("boundary", ["free", "periodic", "reflect"])
def test_one_frame_of_points_is_richardson_lucy(boundary, close):
    d = np.random.default_rng(0).poisson(30.0, (12, 13)).astype(float)
    psf = sigdeconv.psf.gaussian((5, 6), 1.2)  # separable: only then both compute the same sensitivity
    one = super_resolve(d[None], psf, factor=1, shifts=[[3, 4]], pixels="points", num_iter=7, boundary=boundary)
    close(one.image, richardson_lucy(d, psf, num_iter=7, boundary=boundary), slack=1e5)
    same = super_resolve(np.stack([d, d]), psf, factor=1, shifts=np.zeros((2, 2)), num_iter=7, boundary=boundary)
    close(same.image, one.image, slack=1e7)


@pytest.mark.parametrize("boundary", ["free", "periodic", "reflect"])
@pytest.mark.parametrize("pixels", ["area", "points"])
@pytest.mark.parametrize("factor", [2, 3, (2, 1)])
def test_flat_stays_flat_in_counts_a_pixel(boundary, pixels, factor):
    frames = np.full((4, 12, 13), 50.0)
    result = super_resolve(frames, asymmetric((4, 5)), shifts=HALF, factor=factor, pixels=pixels, boundary=boundary)
    rows, columns = np.broadcast_to(factor, 2)
    assert result.image.shape == (12 * rows, 13 * columns)
    np.testing.assert_allclose(result.image, 50.0, rtol=1e-6)


@pytest.mark.parametrize("taps", [(9, 9), (10, 8)])
@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("pixels", ["area", "points"])
def test_a_star_is_found_where_it_is_with_its_light(taps, factor, pixels):
    psf = sigdeconv.psf.gaussian(taps, 1.2)
    steps = np.arange(factor) / factor
    shifts = np.array([(a, b) for a in steps for b in steps])
    blur = Frames(psf, (14, 15), shifts, (factor,) * 2, boundary="free", area=pixels == "area")
    x = np.full(blur.domain_shape, 1.0)
    star = (17, 22)
    x[(0, *(part.start + s for part, s in zip(blur.window, star, strict=True)))] += 500.0
    result = super_resolve(blur.forward(x), psf, shifts=shifts, factor=factor, pixels=pixels, num_iter=40).image
    assert np.unravel_index(result.argmax(), result.shape) == star
    around = result[star[0] - 3 : star[0] + 4, star[1] - 3 : star[1] + 4]
    assert (around - 1).sum() == pytest.approx(500, rel=0.05)


# What frames are worth: a scene sampled eight times finer than the pixels, integrated over them


@cache
def photograph():
    from scipy.ndimage import zoom
    from skimage import data

    return zoom(data.coins()[50:190, 50:190] / 255.0, 3, order=1)  # 420 samples: 52 pixels


def exposures(shifts, photons, sigma, pixels=40, seed=0):
    """Frames of the photograph and the truth on half pixels; `sigma` of the optics in pixels."""
    from scipy.ndimage import gaussian_filter

    scene = photograph()
    light = np.pad(gaussian_filter(scene, sigma * OVER).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    start = 4 * OVER
    frames = []
    for shift in shifts:
        edges = [start + round(s * OVER) + OVER * np.arange(pixels + 1) for s in shift]
        corner = light[np.ix_(*edges)]
        frames.append(np.diff(np.diff(corner, axis=0), axis=1) / OVER**2)
    truth = scene[start:, start:][: OVER * pixels, : OVER * pixels]
    truth = truth.reshape(2 * pixels, OVER // 2, 2 * pixels, OVER // 2).mean(axis=(1, 3))
    return np.random.default_rng(seed).poisson(photons * np.array(frames)).astype(float), photons * truth


def psnr(estimate, truth):
    return 10 * np.log10(truth.max() ** 2 / np.mean((estimate - truth) ** 2))


def best(frames, truth, shifts, sigma):
    """Of the iterations, so that no stopping rule decides."""
    found = []
    psf = sigdeconv.psf.gaussian((13, 13), 2 * sigma)
    super_resolve(frames, psf, shifts=shifts, num_iter=25, callback=lambda it: found.append(psnr(it.estimate, truth)))
    return max(found)


@pytest.mark.parametrize(("photons", "gain"), [(1000, 1.0), (30000, 4.0)])
def test_four_half_pixel_frames_beat_one_and_interpolation(photons, gain):
    from scipy.ndimage import shift, zoom

    sigma = 0.35
    frames, truth = exposures(HALF, photons, sigma)
    four, one = best(frames, truth, HALF, sigma), best(frames[:1], truth, HALF[:1], sigma)
    fine = [zoom(f, 2, order=3, mode="nearest", grid_mode=True) for f in frames]
    single = psnr(fine[0], truth)
    added = psnr(np.mean([shift(f, 2 * t, mode="nearest") for f, t in zip(fine, HALF, strict=True)], axis=0), truth)
    assert four > one + gain
    assert four > max(single, added) + gain


def test_whole_pixel_shifts_add_light_but_no_detail():
    sigma, photons = 0.35, 30000
    whole = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    frames, truth = exposures(whole, photons, sigma)
    half, _ = exposures(HALF, photons, sigma)
    assert best(frames, truth, whole, sigma) < best(half, truth, HALF, sigma) - 3


@pytest.mark.parametrize(("photons", "limit"), [(1e6, 0.01), (1000, 0.03), (100, 0.15)])
def test_shifts_are_estimated(photons, limit):
    true = np.array([[0, 0], [0.25, 0.625], [-0.5, 0.125], [1.375, -2.75], [3, 0.5]])
    frames, truth = exposures(true, photons, 0.6)
    result = super_resolve(frames, sigdeconv.psf.gaussian((13, 13), 1.2), num_iter=2)
    assert np.abs(result.shifts - true).max() < limit
    if photons == 1000:
        assert best(frames, truth, result.shifts, 0.6) > best(frames, truth, true, 0.6) - 0.2


def test_shifts_of_a_line_and_of_a_volume_are_estimated():
    from scipy.ndimage import gaussian_filter, shift

    rng = np.random.default_rng(0)
    for shape, t in (((200,), [1.3]), ((20, 24, 22), [0.4, -0.7, 1.2])):
        scene = gaussian_filter(rng.random(shape), 2, mode="wrap")
        scene = 1000 * (scene - scene.min()) + 10
        frames = np.stack([scene, shift(scene, [-s for s in t], mode="grid-wrap")])
        result = super_resolve(frames, np.ones((1,) * len(shape)), factor=1, num_iter=1)
        np.testing.assert_allclose(result.shifts[1], t, atol=0.05)


# When to stop


@pytest.mark.parametrize("rule", ["risk", "splitting"])
@pytest.mark.parametrize(("count", "photons"), [(4, 300), (4, 10000), (1, 3000)])
def test_the_best_iteration_is_nearly_found_and_reported(rule, count, photons, close):
    sigma, shifts = 0.6, HALF[:count]
    frames, truth = exposures(shifts, photons, sigma)
    psf = sigdeconv.psf.gaussian((13, 13), 2 * sigma)
    told = []
    found = super_resolve(
        frames, psf, shifts=shifts, num_iter=None, stopping=rule, callback=lambda it: told.append(dict(it.chosen))
    )
    assert psnr(found.image, truth) > best(frames, truth, shifts, sigma) - 0.3
    num_iter = told[-1]["num_iter"]
    assert num_iter < len(told) < 2 * num_iter + 9
    close(found.image, super_resolve(frames, psf, shifts=shifts, num_iter=num_iter).image, slack=100)


def test_frames_are_split_photon_by_photon_and_filtered_one_by_one():
    from sigdeconv.deconvolution._counts import Counts
    from sigdeconv.deconvolution._stopping_rules import Observed

    frames, _ = exposures(HALF[:3], 100, 0.6, pixels=16)
    blur = Frames(sigdeconv.psf.gaussian((7, 7), 1.2), (16, 16), HALF[:3], (2, 2), boundary="free", area=True)
    observed = Observed.of(blur, Counts(frames, np.zeros((1, 1, 1)), None), 1.0, np.random.default_rng(0))
    first, second = observed.halves()
    assert np.array_equal(first + second, 2 * frames)
    assert np.all(first % 2 == 0)
    alone = np.zeros_like(frames)
    alone[1] = frames[1]
    whole, part = observed.weighted(frames), observed.weighted(alone)
    np.testing.assert_allclose(part[1], whole[1], atol=1e-9)
    assert not part[[0, 2]].any()


def test_rules_limits_batches_and_colours_as_in_richardson_lucy(kind, close):
    shifts = HALF[:2]
    few, many = (exposures(shifts, photons, 0.6, pixels=16)[0] for photons in (30, 3000))
    both, psf = np.stack([few, many]), sigdeconv.psf.gaussian((7, 7), 1.2)
    told = []
    image = super_resolve(
        kind.array(both),
        kind.array(psf),
        shifts=shifts,
        num_iter=None,
        stopping="discrepancy",
        callback=lambda it: told.append(dict(it.chosen)),
    ).image
    ends = told[-1]["num_iter"]
    assert ends[0] < ends[1]
    for item, frames, end in zip(kind.numpy(image), both, ends, strict=True):
        close(item, super_resolve(frames, psf, shifts=shifts, num_iter=end).image, slack=1e5)
    colours = super_resolve(
        np.moveaxis(both, 0, -1), psf, shifts=shifts, num_iter=None, stopping="discrepancy", channel_axis=-1
    )
    close(np.moveaxis(colours.image, -1, 0), kind.numpy(image), slack=1e5)
    limited = super_resolve(many, psf, shifts=shifts, num_iter=2, stopping="risk").image
    close(limited, super_resolve(many, psf, shifts=shifts, num_iter=2).image, slack=1e5)


# Options, kinds, wrong calls


def test_options_are_those_of_richardson_lucy():
    frames, truth = exposures(HALF, 300, 0.6)
    psf = sigdeconv.psf.gaussian((13, 13), 1.2)
    bad = np.random.default_rng(1).random(frames.shape) < 0.05
    spoilt = np.where(bad, np.nan, frames) + 20.0

    def error(result):
        return np.sqrt(np.mean((result.image - truth) ** 2))

    plain = super_resolve(frames, psf, shifts=HALF, num_iter=4)
    masked = super_resolve(spoilt, psf, shifts=HALF, num_iter=4, weights=~bad, background=20.0, boundary="reflect")
    assert error(masked) < 1.25 * error(plain)
    smooth = super_resolve(frames, psf, shifts=HALF, num_iter=30, tv_weight=0.01)
    assert error(smooth) < error(super_resolve(frames, psf, shifts=HALF, num_iter=30))
    noisy = frames + np.random.default_rng(2).normal(0, 3, frames.shape)
    assert np.isfinite(super_resolve(noisy, psf, shifts=HALF, damping=2.0, readout_noise=3.0).image).all()
    seen = []
    stopped = super_resolve(
        frames, psf, shifts=HALF, callback=lambda it: seen.append(it.estimate.shape) or len(seen) == 2
    )
    assert seen == [(80, 80)] * 2
    assert stopped.image.shape == (80, 80)


def test_every_kind_of_array_gives_the_same(kind):
    rng = np.random.default_rng(0)
    frames, psf, w = rng.poisson(40.0, (2, 3, 8, 9)).astype(float), asymmetric((3, 4)), rng.random((3, 8, 9))
    shifts = np.array([[0, 0], [0.5, 0.2], [0.3, -0.5]])
    for boundary in BOUNDARIES:
        options = {"num_iter": 4, "boundary": boundary, "tv_weight": 0.001}
        wanted = super_resolve(frames, psf, weights=w, shifts=shifts, **options).image
        for dtype, limit in (("float64", 1e-7), ("float32", 2e-3)):
            arrays = (kind.array(a, dtype) for a in (frames, psf, w, shifts))
            image, kernel, weights, t = arrays
            result = kind.numpy(super_resolve(image, kernel, weights=weights, shifts=t, **options).image)
            assert result.dtype == dtype
            assert np.abs(result - wanted).max() < limit * wanted.max()
        for item, image in zip(wanted, frames, strict=True):
            alone = super_resolve(image, psf, weights=w, shifts=shifts, **options).image
            np.testing.assert_allclose(alone, item, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_channel_axis_restores_each_colour(axis):
    rng = np.random.default_rng(0)
    frames = rng.poisson(40.0, (2, 4, 8, 9)).astype(float)  # colours first
    psf = asymmetric((3, 4))
    result = super_resolve(np.moveaxis(frames, 0, axis), psf, shifts=HALF, channel_axis=axis).image
    colours = np.moveaxis(result, {0: 0, 1: 0, 2: 1, -1: -1}[axis], 0)
    for image, wanted in zip(frames, colours, strict=True):
        np.testing.assert_allclose(wanted, super_resolve(image, psf, shifts=HALF).image, rtol=1e-6)


WRONG = {
    "one frame without its axis": ({"frames": np.ones((8, 8))}, r"frames has 2 dimensions but psf 2; .*frames\[None\]"),
    "negative counts": ({"frames": -np.ones((2, 8, 8))}, "frames has 128 negative samples"),
    "NaN": ({"frames": np.full((2, 8, 8), np.nan)}, "frames has 128 NaN"),
    "negative psf": ({"psf": np.array([[1.0, -0.5]])}, "psf has negative samples"),
    "shifts of another shape": ({"shifts": [[0, 0]]}, r"shifts has shape \(1, 2\); \(2, 2\) is wanted"),
    "shifts in other units": ({"shifts": [[0, 0], [100, 0]]}, "shifts reach 100 pixels"),
    "shifts NaN": ({"shifts": [[0, 0], [np.nan, 0]]}, "shifts has 1 NaN"),
    "factor zero": ({"factor": 0}, "factor is 0"),
    "factor broken": ({"factor": 1.5}, r"factor is 1\.5; an integer"),
    "pixels unknown": ({"pixels": "square"}, "pixels is 'square'; pass one of 'area'"),
    "boundary unknown": ({"boundary": "wrap"}, "boundary is 'wrap'"),
    "weights of another shape": ({"weights": np.ones(7)}, r"weights has shape \(7,\)"),
    "num_iter zero": ({"num_iter": 0}, "num_iter is 0"),
    "stopping unknown": ({"num_iter": None, "stopping": "soon"}, "stopping is 'soon'; pass one of 'risk'"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_wrong_calls_are_told_the_remedy(change, message):
    call = {"frames": np.ones((2, 8, 8)), "psf": np.ones((3, 3)), "shifts": [[0, 0], [0, 0.5]], **change}
    with pytest.raises((TypeError, ValueError), match=message):
        super_resolve(call.pop("frames"), call.pop("psf"), **call)
