"""Widths, symmetry, resampling and cropping of a PSF, against closed forms and sums done by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.special import i0e, ndtr

import sigdeconv
from sigdeconv.psf import crop, fit_gaussian, fit_moffat, fwhm, radial_average, resample

FWHM = 2.354820045030949


def bell(n, sigma, centre=0.0):
    """A Gaussian integrated over pixels, about sample ``n // 2`` + `centre`; the whole of it has sum 1."""
    x = np.arange(n) - n // 2 - centre
    return ndtr((x + 0.5) / sigma) - ndtr((x - 0.5) / sigma)


def bells(shape, sigmas, centres=(0.0, 0.0, 0.0)):
    result = np.ones(())
    for n, sigma, centre in zip(shape, sigmas, centres, strict=False):
        result = result[..., None] * bell(n, sigma, centre)
    return result


def moffat(shape, alpha, beta, centre):
    """By brute force: the mean of 31 × 31 points a pixel."""
    points = (np.arange(31) + 0.5) / 31 - 0.5
    squares = [
        (((np.arange(n) - n // 2 - c)[:, None] + points).ravel() / a) ** 2
        for n, a, c in zip(shape, alpha, centre, strict=True)
    ]
    fine = (1 + squares[0][:, None] + squares[1]) ** -beta
    return fine.reshape(shape[0], 31, shape[1], 31).mean(axis=(1, 3))


def difference(a, b):
    assert a.shape == b.shape
    return np.linalg.norm(a - b) / np.linalg.norm(b)


# ---------------------------------------------------------------------------------------------------------- widths


@pytest.mark.parametrize("centre", [0.0, 0.2, -0.5])
@pytest.mark.parametrize(("sigma", "limit"), [(0.8, 0.075), (1.0, 0.015), (1.5, 5e-4), (4.0, 1e-5)])
def test_fwhm_of_a_sampled_gaussian(sigma, limit, centre):
    x = np.arange(61) - 30
    line = np.exp(-0.5 * ((x - centre) / sigma) ** 2)
    assert fwhm(line, 0.2) == (pytest.approx(0.2 * FWHM * sigma, rel=limit),)


def test_fwhm_is_of_each_axis_and_of_any_profile():
    z, y, x = np.ogrid[-20:21, -30:31, -25:26]
    lorentz = 1 / (1 + (y / 6) ** 2) * np.exp(-0.5 * (z / 3) ** 2) * np.maximum(1 - np.abs(x) / 10, 0)
    assert fwhm(lorentz, (0.3, 0.1, 0.1)) == pytest.approx((0.9 * FWHM, 1.2, 1.0), rel=0.02)


def test_fwhm_where_a_profile_does_not_end():
    assert np.isnan(fwhm(np.ones(9))).all()
    assert np.isnan(fwhm([1.0])).all()
    assert np.isnan(fwhm([1.0, 0.4, 0.1])).all()
    assert np.isnan(fwhm(bells((1, 21, 21), (2, 2, 2)))).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("shape", "sigmas", "centres"),
    [((31,), (2.0,), (0.3,)), ((24, 31), (0.6, 2.5), (-0.4, 0.2)), ((15, 21, 22), (2.0, 0.9, 1.3), (0.1, -0.2, 0.4))],
)
def test_gaussian_fit_finds_what_the_pixels_integrated(shape, sigmas, centres):
    fit = fit_gaussian(3e4 * bells(shape, sigmas, centres), 0.1)
    assert fit.fwhm == pytest.approx([0.1 * FWHM * s for s in sigmas], rel=1e-6)
    assert fit.offset == pytest.approx(centres, abs=1e-6)
    assert fit.residual < 1e-6


def test_gaussian_fit_of_a_volume_with_more_samples_than_are_needed():
    fit = fit_gaussian(bells((60, 90, 91), (7, 10, 11), (0.3, 0.2, 0.1)).astype("float32"))
    assert fit.fwhm == pytest.approx([FWHM * s for s in (7, 10, 11)], rel=1e-4)
    assert fit.offset == pytest.approx((0.3, 0.2, 0.1), abs=1e-3)


def test_fits_bear_noise_better_than_a_line():
    rng = np.random.default_rng(0)
    clean = bells((31, 31), (3.0, 2.0))
    widths = np.array([fit_gaussian(rng.poisson(2e4 * clean)).fwhm for _ in range(5)])
    assert np.abs(widths / (FWHM * np.array([3.0, 2.0])) - 1).max() < 0.03


@pytest.mark.parametrize(("alpha", "beta"), [((1.0, 1.3), 2.5), ((4.0, 3.0), 1.5), ((2.0, 2.0), 4.8)])
def test_moffat_fit_finds_what_the_pixels_integrated(alpha, beta):
    fit = fit_moffat(moffat((41, 50), alpha, beta, (0.3, -0.2)), (0.2, 0.1))
    wide = 2 * np.sqrt(2 ** (1 / beta) - 1)
    assert fit.beta == pytest.approx(beta, rel=2e-3)
    assert fit.fwhm == pytest.approx((0.2 * wide * alpha[0], 0.1 * wide * alpha[1]), rel=1e-3)
    assert fit.offset == pytest.approx((0.3, -0.2), abs=1e-3)
    assert fit.residual < 1e-3


def test_a_gaussian_is_a_moffat_function_without_wings():
    fit = fit_moffat(bells((31, 31), (2.0, 2.0)))
    assert fit.beta > 500
    assert fit.fwhm == pytest.approx((2 * FWHM, 2 * FWHM), rel=1e-3)
    assert fit_moffat(bells((15, 17, 17), (2.0, 1.5, 1.5))).fwhm == pytest.approx(
        [FWHM * s for s in (2, 1.5, 1.5)], 1e-2
    )


def test_a_model_that_does_not_fit_says_so():
    ring = np.hypot(*np.ogrid[-10:11, -10:11])
    assert fit_gaussian(np.abs(ring - 6) < 1).residual > 0.5


@pytest.mark.parametrize("function", [fwhm, fit_gaussian, fit_moffat])
def test_widths_of_wrong_psfs(function, kind):
    for psf, words in {
        "zeros": "no sample larger than 0",
        "nan": "1 NaN",
        "four": "psf has 4 dimensions; one to three",
    }.items():
        wrong = {"zeros": np.zeros((5, 5)), "nan": np.full((1, 1), np.nan), "four": np.ones((3, 3, 3, 3))}[psf]
        with pytest.raises(ValueError, match=words):
            function(wrong)
    with pytest.raises(ValueError, match="pixel_size is 0; it must be larger than 0"):
        function(np.ones((5, 5)), 0.0)
    with pytest.raises(ValueError, match="pixel_size has 3 entries; pass one number, or 2"):
        function(np.ones((5, 5)), (1, 1, 1))
    known = function(bells((9, 11), (1.5, 1.2)))
    assert np.allclose(function(kind.array(bells((9, 11), (1.5, 1.2))))[0], known[0])


@pytest.mark.parametrize("function", [fit_gaussian, fit_moffat])
def test_a_fit_needs_three_samples_an_axis(function):
    with pytest.raises(ValueError, match=r"psf has shape \(1, 9\); at least 3 samples an axis"):
        function(np.ones((1, 9)))


# -------------------------------------------------------------------------------------------------------- symmetry


@pytest.mark.parametrize("shape", [(61, 61), (60, 64)])
def test_the_mean_over_angles_of_an_ellipse(shape):
    a, b = 4.0, 2.5
    y, x = (np.arange(n) - n // 2 for n in shape)
    ellipse = np.exp(-0.5 * ((y[:, None] / a) ** 2 + (x / b) ** 2))
    squared = y[:, None] ** 2.0 + x**2
    # The integral of exp(k cos 2θ) is a Bessel function.
    wanted = np.exp(-squared / (2 * a * a)) * i0e(squared * (1 / b**2 - 1 / a**2) / 4)
    made = radial_average(ellipse)
    assert difference(made, wanted * ellipse.sum() / wanted.sum()) < 1e-4
    assert made.sum() == pytest.approx(ellipse.sum())


@pytest.mark.parametrize(("sigma", "limit"), [(0.7, 4e-3), (1.5, 3e-4), (3.0, 1e-5)])
@pytest.mark.parametrize("n", [30, 31])
def test_a_round_psf_stays(sigma, limit, n):
    psf = bells((n, n), (sigma, sigma))
    assert difference(radial_average(psf), psf) < limit


def test_sections_are_averaged_one_by_one_and_mirrored_if_asked():
    rng = np.random.default_rng(1)
    psf = rng.random((6, 9, 10))
    for section, wanted in zip(radial_average(psf), psf, strict=True):
        alone = radial_average(wanted)
        assert difference(section / section.sum(), alone / alone.sum()) < 1e-12
    both = radial_average(psf, mirror_z=True)
    assert both.sum() == pytest.approx(psf.sum())
    np.testing.assert_allclose(both[1], both[5])  # about plane 3
    np.testing.assert_allclose(both[2], both[4])
    assert not np.allclose(both[0], both[5])


def test_on_a_line_the_two_sides_are_averaged():
    np.testing.assert_allclose(radial_average([1.0, 2.0, 6.0, 4.0, 3.0]), [2.0, 3.0, 6.0, 3.0, 2.0])
    with pytest.raises(ValueError, match="mirror_z is for PSFs of"):
        radial_average(np.ones((3, 3)), mirror_z=True)


def test_averaging_takes_noise_out():
    rng = np.random.default_rng(2)
    clean = bells((31, 31), (3.0, 3.0))
    noisy = clean + 0.01 * clean.max() * rng.standard_normal(clean.shape)
    assert difference(radial_average(noisy), clean) < 0.3 * difference(noisy, clean)


# ------------------------------------------------------------------------------------------------------ resampling


@pytest.mark.parametrize("ratio", [0.4, 0.5, 1.5, 2.0, 2.7, 3.0, 7.3])
@pytest.mark.parametrize(("sigma", "limit"), [(1.0, 6e-3), (1.5, 4e-4), (3.0, 2e-5)])
def test_a_resampled_gaussian_is_the_gaussian_of_the_other_voxel(sigma, limit, ratio):
    made = resample(bell(61, sigma), 0.1, 0.1 * ratio)
    assert len(made) % 2 == 1
    assert difference(made, bell(len(made), sigma / ratio)) < limit
    assert made.sum() == pytest.approx(1, abs=1e-12)


def test_axes_are_resampled_each_on_its_own():
    fine = bells((41, 50, 31), (5.0, 4.0, 2.0))
    made = resample(fine, (0.1, 0.05, 0.2), (0.25, 0.08, 0.2))
    assert made.shape == (17, 33, 31)
    assert difference(made, bells(made.shape, (2.0, 2.5, 2.0))) < 1e-4


@pytest.mark.parametrize("shape", [(7,), (8, 5), (4, 7, 6)])
def test_one_voxel_size_changes_nothing(shape):
    psf = np.random.default_rng(3).random(shape)
    np.testing.assert_allclose(resample(psf, 0.3, 0.1 + 0.2), psf, rtol=1e-14)


@pytest.mark.parametrize("n", [9, 11, 12])
def test_three_voxels_in_one_are_their_sum(n):
    psf = np.random.default_rng(4).random(n)
    made = resample(psf, 1, 3)
    # Voxel j holds samples 3 j - 1, 3 j and 3 j + 1, counted from the origin of both.
    for j, value in enumerate(made):
        first = n // 2 + 3 * (j - len(made) // 2) - 1
        assert value == pytest.approx(psf[max(first, 0) : first + 3].sum())


@pytest.mark.parametrize("ratio", [0.6, 1.7])
@pytest.mark.parametrize("n", [40, 41])
def test_nothing_moves(n, ratio):
    x = np.arange(n) - n // 2
    psf = bell(n, 2.0, 0.7) + 0.3 * bell(n, 3.0, -4.0)
    made = resample(psf, 1.0, ratio)
    y = (np.arange(len(made)) - len(made) // 2) * ratio
    assert (y * made).sum() / made.sum() == pytest.approx((x * psf).sum() / psf.sum(), abs=1e-4)


def test_dark_borders_do_not_matter():
    psf = np.random.default_rng(5).random((5, 5))
    near = resample(psf, 1, 0.7)
    far = resample(np.pad(psf, 20), 1, 0.7)
    cut = (far.shape[0] - near.shape[0]) // 2
    # But for their scale: a spline carries some light past the frame, where the narrow result ends.
    assert difference(near / near.max(), far[cut:-cut, cut:-cut] / far.max()) < 1e-3


def test_a_shape_that_is_asked_for():
    psf = bells((31, 31), (2.0, 2.0))
    made = resample(psf, 1, 2, shape=(9, 8))
    assert made.shape == (9, 8)
    wanted = bells((9, 8), (1.0, 1.0))
    assert difference(made, wanted / wanted.sum()) < 1e-3
    np.testing.assert_allclose(resample(psf, 1, 1, shape=33)[1:-1, 1:-1], psf)


def test_resampling_keeps_what_is_negative_and_makes_nothing_else_so():
    edge = np.zeros(21)
    edge[10:13] = 1
    assert resample(edge, 1, 0.3).min() >= 0
    assert resample(bell(41, 2.0) - 0.3 * bell(41, 4.0), 1, 0.7).min() < -0.005


def test_wrong_calls_of_resample():
    psf = np.ones((5, 5))
    for words, args, options in [
        ("to is 0; it must be larger", (1, 0), {}),
        ("pixel_size has 3 entries", ((1, 1, 1), 1), {}),
        ("shape has 3 entries", (1, 2), {"shape": (3, 3, 3)}),
        ("give both in one unit", (1000, 1e-3), {}),
    ]:
        with pytest.raises(ValueError, match=words):
            resample(psf, *args, **options)
    far = np.zeros(41)
    far[0] = 1
    with pytest.raises(ValueError, match=r"psf has no light in shape \(3,\)"):
        resample(far, 1, 2, shape=3)


# -------------------------------------------------------------------------------------------------------- cropping


def holds(psf, size):
    box = tuple(slice(max(n // 2 - k // 2, 0), n // 2 + k // 2 + 1) for n, k in zip(psf.shape, size, strict=True))
    return psf[box].sum() / psf.sum()


@pytest.mark.parametrize("energy", [0.5, 0.9, 0.999])
@pytest.mark.parametrize(("shape", "centre"), [((31, 40), (0, 0)), ((30, 41), (3.0, -4.0)), ((15, 33, 32), (0, 2, 0))])
def test_the_box_holds_the_share_and_a_smaller_one_does_not(shape, centre, energy):
    psf = bells(shape, (2.0, 3.0, 2.5), centre)
    cropped = crop(psf, energy)
    size = cropped.psf.shape
    assert cropped.kept >= energy
    assert cropped.kept == pytest.approx(holds(psf, size))
    assert cropped.psf.sum() == pytest.approx(psf.sum())
    assert holds(psf, [max(k - 2, 1) for k in size]) < energy
    # The origin is where it was: the box begins at a known sample.
    start = [n // 2 - k // 2 for n, k in zip(shape, size, strict=True)]
    inner = psf[tuple(slice(a, a + k) for a, k in zip(start, size, strict=True))]
    assert difference(cropped.psf, inner * (psf.sum() / inner.sum())) < 1e-12


def test_each_axis_is_cut_alike():
    psf = bells((99, 99, 99), (8.0, 4.0, 4.0))
    size = crop(psf, 0.99).psf.shape
    assert size[1] == size[2]
    assert size[0] / size[1] == pytest.approx(2, rel=0.1)
    lost = [1 - holds(psf, [k if axis == a else 99 for a in range(3)]) for axis, k in enumerate(size)]
    assert max(lost) < 3 * min(lost)


def test_all_of_the_energy_is_all_but_dark_borders():
    psf = np.pad(np.random.default_rng(6).random((4, 5)) + 0.1, ((3, 2), (4, 4)))
    cropped = crop(psf, 1)
    assert cropped.kept == 1
    assert cropped.psf.sum() == pytest.approx(psf.sum())
    assert cropped.psf.shape == (3, 5) or cropped.psf.shape[1] == 5
    for shape in itertools.product((1, 2, 5), (1, 4)):
        whole = np.random.default_rng(7).random(shape) + 0.1
        np.testing.assert_allclose(crop(whole, 1).psf, whole)


@pytest.mark.parametrize(("energy", "words"), [(0, "larger than 0"), (1.1, "at most 1"), (np.nan, "finite")])
def test_wrong_shares(energy, words):
    with pytest.raises(ValueError, match=f"energy is .*{words}"):
        crop(np.ones(3), energy)


def test_restoring_with_a_cropped_psf_errs_by_what_was_cut_off():
    rng = np.random.default_rng(8)
    psf = bells((41, 41), (2.0, 2.0)) + 0.2 * bells((41, 41), (5.0, 5.0))
    psf /= psf.sum()
    scene = np.ones((64, 64))
    scene[tuple(rng.integers(0, 64, (2, 30)))] = 3000
    image = rng.poisson(sigdeconv.Convolution(psf, scene.shape, boundary="zero")(scene)).astype("float32")
    whole = sigdeconv.richardson_lucy(image, psf, num_iter=15)
    cropped = crop(psf, 0.999).psf
    assert cropped.size < 0.6 * psf.size
    assert difference(sigdeconv.richardson_lucy(image, cropped, num_iter=15), whole) < 0.01


def test_every_kind_of_array_comes_back(kind):
    psf = bells((12, 13), (2.0, 1.5))
    for dtype in ("float32", "float64"):
        given = kind.array(psf, dtype)
        for function in (radial_average, lambda p: resample(p, 1, 1.5), lambda p: crop(p, 0.9).psf):
            made = function(given)
            back = kind.numpy(made)
            assert back.dtype == dtype
            np.testing.assert_allclose(back, function(psf), rtol=1e-4, atol=1e-6)
