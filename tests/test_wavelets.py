"""Restoration with few wavelet coefficients: the frame, the minimiser, the weight."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sigdeconv import Convolution, metrics, psf, simulate, wavelet_sparse
from sigdeconv.deconvolution._edge_restoration import Edges
from sigdeconv.deconvolution._ring import Ring
from sigdeconv.deconvolution._trials import SHARPEST, Judge, Trial
from sigdeconv.deconvolution.wavelets import Wavelets

BOUNDARIES = ("free", "periodic", "zero", "reflect")
KERNEL = np.outer([1.0, 3.0, 2.0], [1.0, 2.0, 4.0, 1.0])
KERNEL /= KERNEL.sum()


def scene(n=64):
    """Squares, a disk and a slope, between 0 and 200."""
    y, x = np.mgrid[:n, :n] / n
    picture = 40 * x + 60.0 * ((y - 0.6) ** 2 + (x - 0.35) ** 2 < 0.05)
    picture[n // 8 : n // 3, n // 6 : n // 2] += 90
    picture[n // 2 :, 3 * n // 4 :] += 100 * (np.indices((n // 2, n // 4)).sum(axis=0) // 4 % 2)
    return picture


def observed(sigma=2.0, seed=0, width=1.2, boundary="periodic"):
    truth, h = scene(), psf.gaussian((13, 13), width)
    blurred = simulate.blur(truth, h, boundary=boundary)
    return truth, h, blurred + np.random.default_rng(seed).normal(0, sigma, truth.shape)


# The frame

FRAMES = [(1, "haar", 3, (37,)), (1, "db3", 2, (32,)), (2, "haar", 3, (24, 17)), (2, "sym4", 2, (30, 33))]
FRAMES += [(2, "coif1", 1, (8, 9)), (3, "haar", 2, (8, 9, 10))]


@pytest.mark.parametrize(("ndim", "wavelet", "levels", "grid"), FRAMES)
def test_frame_keeps_the_energy(ndim, wavelet, levels, grid):
    """What the bands lack is the approximation, which is the mean of the finer ones: a Parseval frame with it."""
    import pywt

    low = np.asarray(pywt.Wavelet(wavelet).dec_lo) / np.sqrt(2)
    coarse = np.ones(())
    for axis, n in enumerate(grid):
        f = np.fft.rfftfreq(n) if axis == ndim - 1 else np.fft.fftfreq(n)
        line = np.prod(
            [np.abs(np.exp(-2j * np.pi * np.outer(f * 2**j, np.arange(low.size))) @ low) for j in range(levels)], 0
        )
        coarse = coarse[..., None] * line
    frame = Wavelets(ndim, wavelet, levels)
    np.testing.assert_allclose(frame.power(grid) + coarse**2, 1, atol=1e-10)
    x = np.random.default_rng(0).standard_normal((2, *grid))
    bands = frame.apply(x)
    assert len(bands) == frame.groups == levels * (2**ndim - 1)
    half = np.fft.rfftn(x, axes=range(1, ndim + 1))
    rest = np.fft.irfftn(half * coarse**2, s=grid, axes=range(1, ndim + 1))
    np.testing.assert_allclose(sum((b**2).sum() for b in bands) + (x * rest).sum(), (x**2).sum())
    np.testing.assert_allclose(frame.adjoint(bands) + rest, x, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_frame_has_its_adjoint_in_all_kinds(kind, dtype):
    rng = np.random.default_rng(1)
    frame, grid = Wavelets(2, "db2", 2), (15, 22)
    x, v = rng.standard_normal(grid), rng.standard_normal((frame.groups, *grid))
    bands = [kind.numpy(b) for b in frame.apply(kind.array(x, dtype))]
    back = kind.numpy(frame.adjoint([kind.array(part, dtype) for part in v]))
    assert back.dtype == dtype == bands[0].dtype
    np.testing.assert_allclose(sum((b * p).sum() for b, p in zip(bands, v, strict=True)), (x * back).sum(), rtol=1e-4)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_bands_of_haar_are_differences_of_means_at_their_place(ndim):
    x = np.random.default_rng(2).standard_normal((11, 12, 13)[:ndim])
    frame = Wavelets(ndim, "haar", 2)
    mean, bands = x, iter(frame.apply(x))
    for level in range(2):

        def combined(a, axis, sign, reach=2**level):
            other = np.roll(a, reach, axis)
            return (a + other) / 2 if sign == 0 else (a - other) / 2

        for pattern in itertools.product((0, 1), repeat=ndim):
            if any(pattern):
                band = mean
                for axis, sign in enumerate(pattern):
                    band = combined(band, axis, sign)
                np.testing.assert_allclose(np.abs(next(bands)), np.abs(band), atol=1e-12)
        for axis in range(ndim):
            mean = combined(mean, axis, 0)


def test_cost_is_that_of_the_orthogonal_transform_meaned_over_all_places():
    import pywt

    x = np.random.default_rng(3).standard_normal((16, 16))
    costs = []
    for shift in np.ndindex(4, 4):
        _, *details = pywt.wavedec2(np.roll(x, shift, (0, 1)), "haar", mode="periodization", level=2)
        costs.append(sum(np.abs(d).sum() for level in details for d in level))
    frame = Wavelets(2, "haar", 2)
    bands = [b.reshape(1, -1) for b in frame.apply(x)]
    np.testing.assert_allclose(frame.cost(bands).sum(), 2 * np.mean(costs))  # the finest cost 1 each


def test_prox_is_the_nearest_that_costs_less():
    """``q - p`` is a subgradient of ``t cost`` at ``p``: no step in any direction is better."""
    rng = np.random.default_rng(4)
    frame, t = Wavelets(2, "haar", 2), 0.7
    for colours in (1, 3):
        q = [rng.standard_normal((colours, 50)) for _ in range(frame.groups)]
        p = frame.prox(q, t)

        def score(v, q=q):
            return 0.5 * sum(((a - b) ** 2).sum() for a, b in zip(v, q, strict=True)) + t * frame.cost(v).sum()

        least = score(p)
        zeros = np.concatenate([a.ravel() for a in p]) == 0
        assert 0.01 < zeros.mean() < 0.9
        for factor in (1 - 1e-3, 1 + 1e-3):
            for k in range(frame.groups):
                assert score([a * (factor if i == k else 1) for i, a in enumerate(p)]) > least
        for _ in range(20):
            assert score([a + 1e-3 * rng.standard_normal(a.shape) for a in p]) > least


# The minimiser


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_result_is_the_minimiser(boundary):
    """The slope of the misfit is balanced by what the coefficients cost: a certificate, as the problem is convex."""
    rng = np.random.default_rng(5)
    y = rng.standard_normal((9, 10)) + 10 * (np.indices((9, 10)).sum(axis=0) > 9)
    weight = 0.3
    ring = Ring.of(y, KERNEL, boundary)
    frame = Wavelets(2, "haar", 2)

    problem = Edges(ring, frame, None, False)
    state = problem.begun(weight)
    x = list(itertools.islice(problem.steps(state), 800))[-1]
    gap = ring.blurred(x) - ring.data
    gap = gap if ring.trust is None else gap * ring.trust
    slope = np.fft.irfft2(np.fft.rfft2(gap) * ring.otf.conj(), ring.grid)
    forces = [-state.mu * d for d in state.d]
    allowed = ring.project or (lambda x: x)
    np.testing.assert_allclose(allowed(slope + frame.adjoint(forces)), 0, atol=2e-5)
    # No force is larger than what a coefficient costs, and where there is a coefficient it has all of that.
    work = 0.0
    for force, band, cost in zip(forces, frame.apply(x), frame.costs, strict=True):
        assert np.abs(force).max() <= weight / ring.copies * cost * (1 + 1e-9)
        work += (force * band).sum()
    paid = weight * frame.cost([b.reshape(1, -1) for b in frame.apply(x)]).sum()
    np.testing.assert_allclose(work, paid / ring.copies, rtol=1e-4)
    found = wavelet_sparse(y, KERNEL, weight=weight, levels=2, boundary=boundary, num_iter=800, tol=0.0)
    np.testing.assert_allclose(found, x[ring.frame], atol=1e-9)


def test_bounds_weights_and_stride_are_kept():
    truth, h, y = observed()
    inside = wavelet_sparse(y, h, bounds=(20, 150), boundary="periodic")
    assert (inside.min(), inside.max()) == (20, 150)
    broken = y.copy()
    trust = np.ones_like(y)
    broken[20:23, 30], trust[20:23, 30] = np.nan, 0.0
    mended = wavelet_sparse(broken, h, weights=trust)
    assert np.isfinite(mended).all()
    assert metrics.isnr(truth[20:23, 30], y[20:23, 30] * 0 + y.mean(), mended[20:23, 30]) > 10
    fine = Convolution(psf.gaussian((9, 9), 1.0), (32, 32), boundary="periodic", stride=2)
    coarse = fine(truth) + np.random.default_rng(1).normal(0, 0.5, (32, 32))
    restored = wavelet_sparse(coarse, fine)
    assert restored.shape == truth.shape
    assert metrics.isnr(truth, np.kron(coarse, np.ones((2, 2))), restored) > 2


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_flat_stays_flat(boundary):
    image = np.full((14, 15), 7.0)
    if boundary == "zero":  # the frame's ends are darker
        image = Convolution(KERNEL, (14, 15), boundary="zero")(image)
    flat = wavelet_sparse(image, KERNEL, weight=0.02, boundary=boundary, tol=1e-6)
    np.testing.assert_allclose(flat, 7, atol=0.05 if boundary == "zero" else 1e-6)
    if boundary != "zero":
        np.testing.assert_allclose(wavelet_sparse(image, KERNEL, boundary=boundary), 7, atol=1e-6)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("shape", [(3, 4), (4, 5)])
def test_nothing_moves(boundary, shape):
    point = np.zeros((31, 32))
    point[13, 17] = 100.0
    kernel = np.ones(shape) / np.prod(shape)
    blur = Convolution(kernel, point.shape, boundary="zero")
    found = wavelet_sparse(blur(point), kernel, weight=1e-4, boundary=boundary, num_iter=400)
    assert np.unravel_index(np.argmax(found), found.shape) == (13, 17)


def test_colours_and_batches():
    _, h, y = observed()
    noise = np.random.default_rng(7)
    y = y[:32, :30]
    stack = np.stack([y, y[::-1] * 0.5, y + noise.normal(0, 2, y.shape)])
    together = wavelet_sparse(stack, KERNEL, weight=1.0, num_iter=250, tol=0.0)
    for item, found in zip(stack, together, strict=True):
        alone = wavelet_sparse(item, KERNEL, weight=1.0, num_iter=250, tol=0.0)
        np.testing.assert_allclose(found, alone, atol=0.5)
    grey = np.stack([y, y, y], axis=-1)
    joint = wavelet_sparse(grey, h, weight=0.2 * np.sqrt(3), channel_axis=-1)
    # Three colours alike: the misfit triples and the joint length grows by the root of three.
    np.testing.assert_allclose(joint[..., 1], wavelet_sparse(y, h, weight=0.2), atol=0.5)
    assert joint.shape == grey.shape


# The weight


def test_chosen_weight_comes_close_to_the_best():
    """Also where the blur is so narrow that generalised cross-validation collapses."""
    for width, sigma in ((1.6, 2.0), (0.4, 8.0)):
        truth, h, y = observed(sigma, seed=3, width=width)
        report = []
        chosen = wavelet_sparse(y, h, boundary="periodic", callback=report.append)
        weight = report[-1].chosen["weight"]
        assert abs(report[-1].chosen["sigma"] / sigma - 1) < 0.08
        others = [wavelet_sparse(y, h, weight=weight * f, boundary="periodic") for f in (0.5, 0.7, 1.4, 2.0)]
        best = max(metrics.isnr(truth, y, x) for x in [chosen, *others])
        assert metrics.isnr(truth, y, chosen) > best - 0.3


def test_estimate_of_the_error_is_unbiased():
    """Of a linear "restoration" everything is known: half of the data, seen through weights."""
    rng = np.random.default_rng(8)
    sigma, kernel = 0.7, np.array([0.25, 0.5, 0.25])
    truth = rng.standard_normal(61) * 3
    trust = rng.uniform(0.2, 1.0, 61)
    trust[[7, 8, 40]] = 0.0
    expected, found = [], []
    for _ in range(300):
        # the data's noise is that of a sample of full trust over the root of the trust
        y = truth + sigma / np.sqrt(np.where(trust > 0, trust, 1)) * rng.standard_normal(61)
        ring = Ring.of(y, kernel, "periodic", trust)
        judge = Judge.of(ring, sigma)
        blurred = 0.5 * ring.data
        trial = judge.trial(1.0, blurred, blurred + 0.5 * judge.speck)
        found.append(trial.sure(sigma))
        sharp = 1 / (np.abs(ring.otf) ** 2 / ring.gain**2 + SHARPEST)
        error = np.sqrt(trust) * (blurred - np.where(trust > 0, truth, 0))
        expected.append((error * np.fft.irfft(np.fft.rfft(error) * sharp, 61)).sum())
    share = 0.5 * np.trace(np.diag((trust > 0).astype(float))) * np.fft.irfft(sharp, 61)[0]
    assert abs(trial.sharpened[1] - share) < 0.5 * share  # one probe of the trace
    assert abs(trial.freedom - 29) < 8
    exact = np.mean(found) + 2 * sigma**2 * (share - trial.sharpened[1])
    assert abs(exact / np.mean(expected) - 1) < 0.05


def test_freedom_is_counted_under_unequal_trust():
    """One probe of the trace is enough in a long signal."""
    rng = np.random.default_rng(9)
    y, trust = rng.standard_normal(8000), rng.uniform(0.02, 1.0, 8000) * (rng.uniform(size=8000) > 0.1)
    ring = Ring.of(y, np.array([0.25, 0.5, 0.25]), "periodic", trust)
    judge = Judge.of(ring, 1.0)
    trial = judge.trial(1.0, 0.5 * ring.data, 0.5 * (ring.data + judge.speck))
    assert abs(trial.freedom / (0.5 * ring.count) - 1) < 0.1
    assert abs(trial.sharpened[1] / (0.5 * trial.sharpened[2]) - 1) < 0.1


def test_trial_without_sharpening_judges_the_data():
    trial = Trial(1.0, residual=10.0, freedom=3.0, count=20.0)
    assert trial.sure(2.0) == 10 + 4 * (6 - 20)
    assert Trial(1.0, 10.0, 3.0, 20.0, sharpened=(5.0, 2.0, 8.0)).sure(2.0) == 5 + 4 * (4 - 8)


def test_rules_differ_and_report():
    _, h, y = observed(4.0)
    y = y[:40, :40]
    weights = {}
    for rule in (None, "sure", "gcv", "discrepancy", "l-curve"):
        report = []
        wavelet_sparse(y, h, weight=rule, num_iter=5, boundary="periodic", callback=report.append)
        assert [r.index for r in report] == [1, 2, 3, 4, 5]
        weights[rule] = report[-1].chosen["weight"]
        assert ("sigma" in report[-1].chosen) == (rule != "l-curve")
    assert weights[None] >= weights["sure"]  # where cross-validation finds more noise, that is taken
    assert weights["discrepancy"] > weights["sure"]
    report = []
    wavelet_sparse(y, h, weight=0.3, num_iter=2, callback=report.append)
    assert report[-1].chosen == {}
    wavelet_sparse(y, h, sigma=12.0, boundary="periodic", num_iter=2, callback=report.append)
    assert report[-1].chosen["weight"] > 1.5 * weights["sure"]  # it is told that there is more noise
    assert "sigma" not in report[-1].chosen


def test_few_samples_do_without_a_noise_level():
    y = np.array([0.0, 0.1, -0.1, 5.2, 5.0, 4.9, 5.1, 0.1, 0.0, -0.2])
    report = []
    result = wavelet_sparse(y, np.array([0.2, 0.6, 0.2]), levels=1, callback=report.append)
    assert result.shape == y.shape
    assert np.isfinite(result).all()
    assert report[-1].chosen["weight"] > 0


@pytest.mark.parametrize("unit", [1e-3, 50.0])
def test_units_of_image_and_psf_do_not_matter(unit):
    _, h, y = observed()
    y, h = y[:28, :30], h[3:-3, 3:-3]
    usual = wavelet_sparse(y, h)
    np.testing.assert_allclose(wavelet_sparse(unit * y, h) / unit, usual, rtol=1e-3, atol=0.1)
    np.testing.assert_allclose(wavelet_sparse(y, unit * h) * unit, usual, rtol=1e-3, atol=0.1)
    np.testing.assert_allclose(wavelet_sparse(y, -h), -usual, rtol=1e-3, atol=0.1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_kinds_of_arrays_give_the_same(kind, dtype):
    _, h, y = observed()
    y, h = y[:17, :20], h[4:-4, 4:-4]
    usual = wavelet_sparse(y.astype(dtype), h, wavelet="db2", levels=2)
    found = kind.numpy(wavelet_sparse(kind.array(y, dtype), h, wavelet="db2", levels=2))
    assert found.dtype == dtype
    # They stop at the same iteration, or one beside it.
    np.testing.assert_allclose(found, usual, atol=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wavelet": "bior2.2"}, "not orthogonal; pass haar"),
        ({"wavelet": "nothing"}, "wavelet is 'nothing'; pass an orthogonal one"),
        ({"wavelet": 3}, "wavelet is 3; pass an orthogonal one"),
        ({"levels": 0}, "levels is 0; every entry must be at least 1"),
        ({"levels": 1.5}, "levels is 1.5; an integer"),
        ({"weight": -1.0}, "weight is -1; it must be at least 0"),
        ({"weight": "best"}, "weight is 'best'; pass one of"),
        ({"sigma": -1.0}, "sigma is -1"),
        ({"bounds": (3, 2)}, "the first must be smaller"),
        ({"boundary": "wrap"}, "boundary is 'wrap'"),
        ({"num_iter": 0}, "num_iter is 0"),
        ({"weights": -np.ones((9, 9))}, "weights must be 0 or larger"),
    ],
)
def test_wrong_calls_are_told_the_remedy(change, message):
    with pytest.raises((TypeError, ValueError), match=message):
        wavelet_sparse(np.ones((9, 9)), np.ones((3, 3)), **change)
