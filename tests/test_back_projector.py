"""The unmatched back-projector against its formula, and what it does and does not do for the iteration."""

from __future__ import annotations

from itertools import islice, pairwise

import numpy as np
import pytest

import sigdeconv
from sigdeconv import Convolution, richardson_lucy
from sigdeconv.convolution import BOUNDARIES
from sigdeconv.deconvolution._back_projector import LARGEST, WienerButterworth, full_width, unmatched_uphill
from sigdeconv.deconvolution._likelihood import SEEN, PoissonLikelihood

UNMATCHED = {"back_projector": "wiener-butterworth"}


def asymmetric(taps, seed=1):
    kernel = np.random.default_rng(seed).random(taps)
    return kernel / kernel.sum()


def spheres(photons=500.0, dtype=np.float64):
    """Counts of hollow spheres through a lens that is worse along z, their truth, and the PSF."""
    scene = 0.02 + sigdeconv.simulate.hollow_spheres((22, 48, 48), num=8, radius=5.0, rng=0)
    psf = sigdeconv.psf.gaussian((11, 11, 11), (2.2, 1.6, 1.6))
    exposure = sigdeconv.simulate.through_frame(scene, psf)
    unit = photons / exposure.blurred.max()
    counts = np.random.default_rng(0).poisson(unit * exposure.blurred.clip(0)).astype(dtype)
    return counts, unit * exposure.truth, psf


def psnr(estimate, truth):
    return 10 * np.log10(truth.max() ** 2 / np.mean((estimate - truth) ** 2))


# The back-projector itself


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.7])
def test_width_of_a_gaussian_is_that_of_the_formula(sigma):
    psf = sigdeconv.psf.gaussian((41, 44), (sigma, 2 * sigma))
    widths = full_width(Convolution(psf, (60, 61)))
    # The PSF is integrated over its samples and the crossing found on straight lines: both widen a narrow peak.
    assert widths == pytest.approx([2.3548 * sigma, 2 * 2.3548 * sigma], rel=0.1 if sigma == 1 else 0.03)
    blur = Convolution.from_otf(sigdeconv.psf_to_otf(psf, (60, 61)), (60, 61))
    assert full_width(blur) == pytest.approx(widths, rel=1e-6)


def test_narrow_psf_has_at_least_a_sample():
    assert full_width(Convolution(np.ones((1, 1)), (8, 8))) == (1.0, 1.0)
    assert full_width(Convolution(np.array([0.1, 0.2, 5.0]), 8))[0] >= 1


@pytest.mark.parametrize("alpha", [None, 0.01])
@pytest.mark.parametrize("beta", [None, 0.1])
@pytest.mark.parametrize("resolution", [4.0, (4.0, 5.0)])
def test_transfer_function_is_the_formula_on_paper(alpha, beta, resolution):
    psf = sigdeconv.psf.gaussian((15, 15), 1.5)
    blur = Convolution(3 * psf, (40, 40), boundary="periodic")
    back = WienerButterworth(alpha=alpha, beta=beta, order=4, resolution=resolution).of(blur)
    k = np.fft.fftfreq(40)
    H = np.fft.fft2(np.fft.ifftshift(np.pad(psf, (13, 12))))[:, :21]  # origin of the padded PSF at 20
    ry, rx = np.broadcast_to(resolution, 2)
    at_limit = (abs(H[round(40 / ry), 0]) + abs(H[0, round(40 / rx)])) / 2
    alpha, beta = at_limit if alpha is None else alpha, at_limit if beta is None else beta
    epsilon2 = (at_limit / (at_limit**2 + alpha) / beta) ** 2 - 1
    square = (k[:, None] * ry) ** 2 + (k[None, :21] * rx) ** 2
    wanted = H / (abs(H) ** 2 + alpha) / np.sqrt(1 + epsilon2 * square**4)
    np.testing.assert_allclose(back.otf, 3 * wanted / wanted[0, 0], atol=1e-6)
    if resolution == 4.0:
        assert abs(wanted[10, 0]) == pytest.approx(beta, rel=1e-6), "beta is the gain at the resolution"


@pytest.mark.parametrize("boundary", ["free", "periodic"])
@pytest.mark.parametrize("taps", [(5,), (4, 3)])
def test_small_errors_of_a_flat_scene_shrink(boundary, taps):
    frame = (16,) if len(taps) == 1 else (9, 8)
    blur = Convolution(asymmetric(taps), frame, boundary=boundary)
    back = WienerButterworth().of(blur)
    values = np.linalg.eigvals(back.to_dense().T @ blur.to_dense())
    assert np.abs(values.imag).max() < 1e-6
    assert values.real.min() > -1e-6
    assert values.real.max() < 1 + 1e-6


# The iteration


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("extra", ["plain", "background", "weights"])
def test_iteration_is_the_formula_on_paper(boundary, extra, close):
    rng = np.random.default_rng(0)
    kernel, d = asymmetric((4, 3)), rng.poisson(30.0, (9, 8)).astype(float)
    w = rng.random(d.shape) if extra == "weights" else np.ones(d.shape)
    b = 5.0 if extra == "background" else 0.0
    blur = Convolution(kernel, d.shape, boundary=boundary)
    A, B = blur.to_dense(), WienerButterworth().of(blur).to_dense()
    s = A.T @ w.ravel()
    x = np.full(A.shape[1], (w * (d - b)).sum() / w.sum())
    for _ in range(3):
        ratio = 1 + B.T @ (w.ravel() * (d.ravel() / (A @ x + b) - 1)) / np.maximum(s, SEEN * s.max())
        x = x * np.maximum(ratio, 1 - LARGEST)
    options = {"weights": w if extra == "weights" else None, "background": b, "boundary": boundary}
    result = richardson_lucy(d, kernel, num_iter=3, accelerate=False, **UNMATCHED, **options)
    close(result, x.reshape(blur.domain_shape)[blur.frame], slack=1e5)


def test_few_iterations_do_the_work_of_many_plain_ones_and_more_do_harm():
    d, truth, psf = spheres()
    plain, paper = [], []
    watch = {"callback": lambda it: plain.append(psnr(it.estimate, truth))}
    richardson_lucy(d, psf, num_iter=20, accelerate=False, **watch)
    richardson_lucy(
        d, psf, num_iter=12, accelerate=False, callback=lambda it: paper.append(psnr(it.estimate, truth)), **UNMATCHED
    )
    assert paper[2] > plain[9]
    assert paper[11] < paper[0], "the docstring says that it ends badly"


def test_with_the_line_search_the_likelihood_never_falls():
    d, truth, psf = spheres()
    blur = Convolution(psf, d.shape, boundary="periodic")
    trace, quality = [], []

    def watch(iteration):
        m = blur(iteration.estimate)
        trace.append(np.sum(m - d * np.log(np.maximum(m, 1e-9))))
        quality.append(psnr(iteration.estimate, truth))

    richardson_lucy(d, blur, num_iter=30, callback=watch, **UNMATCHED)
    assert all(after <= before + 1e-9 * abs(before) for before, after in pairwise(trace))
    plain = psnr(richardson_lucy(d, blur, num_iter=5, accelerate=False), truth)
    assert quality[2] > plain


def test_where_it_leads_downhill_the_matched_one_takes_over():
    d = np.random.default_rng(0).poisson(np.linspace(5, 80, 20)).astype(float)
    blur = Convolution(asymmetric((4,)), 20)
    problem = PoissonLikelihood.of(blur, np.stack([d, d[::-1]]), np.zeros((1, 1)), None, 0.0)
    wrong = Convolution(-asymmetric((4,)), 20)  # which always leads downhill
    x, right = (list(islice(unmatched_uphill(problem, problem.flat(), back), 3))[-1] for back in (wrong, blur))
    np.testing.assert_allclose(x, right, rtol=1e-6)
    assert np.ptp(x) > 10


@pytest.mark.parametrize("accelerate", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_however_long_it_goes_on_nothing_is_lost(accelerate, dtype):
    d, _, psf = spheres(50, dtype)
    for boundary in ("free", "reflect"):
        result = richardson_lucy(d, psf, num_iter=60, boundary=boundary, accelerate=accelerate, **UNMATCHED)
        assert result.dtype == dtype
        assert np.isfinite(result).all()
        assert (result >= 0).all()
        assert result.max() <= d.sum() * 1.0001


@pytest.mark.parametrize("boundary", ["free", "periodic", "reflect"])
@pytest.mark.parametrize("accelerate", [True, False])
def test_flat_stays_flat(boundary, accelerate, close):
    d = np.full((24, 25), 7.0)
    result = richardson_lucy(d, asymmetric((4, 5)), num_iter=5, boundary=boundary, accelerate=accelerate, **UNMATCHED)
    close(result, d, slack=1e3)


@pytest.mark.parametrize("taps", [(9, 9), (8, 8)])
@pytest.mark.parametrize("accelerate", [True, False])
def test_nothing_moves(taps, accelerate):
    x = np.full((40, 41), 1.0)
    x[17, 22] = 100.0
    psf = sigdeconv.psf.gaussian(taps, 1.5)
    d = Convolution(psf, x.shape, boundary="reflect")(x)
    result = richardson_lucy(d, psf, num_iter=2, accelerate=accelerate, **UNMATCHED)
    assert np.unravel_index(result.argmax(), x.shape) == (17, 22)


@pytest.mark.parametrize("extra", [{}, {"damping": 3.0}, {"readout_noise": 2.0, "background": 1.0}])
@pytest.mark.parametrize("accelerate", [True, False])
def test_every_kind_of_array_gives_the_same(kind, extra, accelerate):
    rng = np.random.default_rng(0)
    d, kernel, w = rng.poisson(40.0, (2, 14, 15)).astype(float), asymmetric((3, 4)), rng.random((2, 14, 15))
    options = {"num_iter": 3, "accelerate": accelerate, **extra, **UNMATCHED}
    wanted = richardson_lucy(d, kernel, weights=w, **options)
    for dtype, limit in (("float64", 1e-7), ("float32", 2e-3)):
        image, psf, weights = (kind.array(a, dtype) for a in (d, kernel, w))
        result = kind.numpy(richardson_lucy(image, psf, weights=weights, **options))
        assert result.dtype == dtype
        assert np.abs(result - wanted).max() < limit * wanted.max()
    for item, image, weights in zip(wanted, d, w, strict=True):
        alone = richardson_lucy(image, kernel, weights=weights, **options)
        np.testing.assert_allclose(alone, item, rtol=1e-6, atol=1e-6)


def test_ready_operators_with_a_stride_or_a_transfer_function():
    d = np.random.default_rng(0).poisson(30.0, (12, 14)).astype(float)
    psf = sigdeconv.psf.gaussian((9, 9), 1.5)
    fine = richardson_lucy(d, Convolution(psf, d.shape, stride=2), num_iter=3, **UNMATCHED)
    assert fine.shape == (24, 28)
    assert np.isfinite(fine).all()
    given = Convolution.from_otf(sigdeconv.psf_to_otf(psf, d.shape), d.shape)
    same = richardson_lucy(d, psf, boundary="periodic", num_iter=3, accelerate=False, **UNMATCHED)
    other = richardson_lucy(d, given, num_iter=3, accelerate=False, **UNMATCHED)
    if given.grid == Convolution(psf, d.shape, boundary="periodic").grid:
        np.testing.assert_allclose(other, same, rtol=1e-5)


def test_parameters_are_taken():
    d, truth, psf = spheres()
    ways = ({}, {"alpha": 0.001}, {"resolution": 8.0}, {"order": 2}, {"beta": 0.5})
    results = [richardson_lucy(d, psf, num_iter=2, back_projector=WienerButterworth(**way)) for way in ways]
    assert np.array_equal(results[0], richardson_lucy(d, psf, num_iter=2, **UNMATCHED))
    for other in results[1:]:
        assert np.abs(other - results[0]).max() > 1e-3 * truth.max()


WRONG = {
    "unknown": ({"back_projector": "wiener"}, "back_projector is 'wiener'; pass one of 'matched'"),
    "no name": ({"back_projector": 3}, "back_projector is 3; pass one of"),
    "accelerated twice": (
        {**UNMATCHED, "accelerate": "conjugate"},
        "accelerate is 'conjugate', which needs back_projector='matched'",
    ),
    "with a prior": ({**UNMATCHED, "tv_weight": 0.1}, r"tv_weight is 0\.1, which weighs a prior .* pass"),
    "resolution of two axes": (
        {"back_projector": WienerButterworth(resolution=(2.0, 2.0, 2.0))},
        r"resolution is \(2\.0, 2\.0, 2\.0\); one number or 2",
    ),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_wrong_calls_are_told_the_remedy(change, message):
    with pytest.raises(ValueError, match=message):
        richardson_lucy(np.ones((8, 8)), np.ones((3, 3)), **change)


@pytest.mark.parametrize(
    ("name", "value"), [("alpha", 0.0), ("beta", -1.0), ("order", 0), ("order", 2.5), ("resolution", (2.0, 0.0))]
)
def test_wrong_parameters_are_told_at_once(name, value):
    with pytest.raises((TypeError, ValueError), match=name):
        WienerButterworth(**{name: value})
