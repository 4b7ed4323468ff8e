"""PSFs with a formula, against brute force, SciPy, optics by FFT and moments on paper."""

import array_api_strict
import numpy as np
import pytest
from scipy import integrate, special, stats

from sigdeconv.psf import airy, disk, gaussian, motion, normalize


def offsets(psf):
    """Coordinates of the samples from the origin, one array an axis."""
    return np.meshgrid(*(np.arange(n) - n // 2 for n in psf.shape), indexing="ij")


def supersampled(inside, shape, fine):
    """Area of each pixel inside a region, by counting points."""
    y, x = ((np.arange(n * fine) + 0.5) / fine - 0.5 - n // 2 for n in shape)
    area = inside(y[:, None], x[None, :]).reshape(shape[0], fine, shape[1], fine).mean(axis=(1, 3))
    return area / area.sum()


EXAMPLES = {
    "gaussian": gaussian((8, 9, 5), (1.0, 2.0, 0.4)),
    "disk": disk(3.3),
    "motion": motion(7.5, 25),
    "airy": airy((20, 21), wavelength=0.5, na=0.7, pixel_size=0.1),
}


@pytest.mark.parametrize("psf", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_sum_is_one_and_peak_at_origin(psf):
    assert psf.dtype == np.float64
    assert psf.min() >= 0
    assert psf.sum() == pytest.approx(1, abs=1e-14)
    assert psf[tuple(n // 2 for n in psf.shape)] == pytest.approx(psf.max())


@pytest.mark.parametrize("n", [1, 2, 7, 12])
@pytest.mark.parametrize("sigma", [0.05, 0.4, 1.0, 3.7])
def test_gaussian_is_the_mass_of_the_normal_distribution_in_each_pixel(n, sigma):
    edges = np.arange(n + 1) - n // 2 - 0.5
    mass = np.diff(stats.norm.cdf(edges, scale=sigma))
    np.testing.assert_allclose(gaussian(n, sigma), mass / mass.sum(), rtol=1e-9, atol=1e-15)


def test_gaussian_is_separable_with_a_sigma_an_axis():
    psf = gaussian((7, 8, 9), (0.7, 1.5, 2.5))
    factors = gaussian(7, 0.7), gaussian(8, 1.5), gaussian(9, 2.5)
    np.testing.assert_allclose(psf, np.einsum("i,j,k->ijk", *factors), rtol=1e-13)


def test_gaussian_variance_has_the_pixel_in_it():
    psf = gaussian(81, 3.0)
    assert (psf * (np.arange(81) - 40) ** 2).sum() == pytest.approx(9 + 1 / 12, rel=1e-9)


def test_gaussian_limits():
    np.testing.assert_array_equal(gaussian(6, 0), [0, 0, 0, 1, 0, 0])
    np.testing.assert_array_equal(gaussian((3, 3), (0, 0))[1], [0, 1, 0])
    np.testing.assert_allclose(gaussian(6, 1e300), np.full(6, 1 / 6), rtol=1e-9)
    assert gaussian(61, 1.0)[0] == pytest.approx(special.ndtr(-29.5) / special.erf(30), rel=1e-6)  # tail, not rounding


@pytest.mark.parametrize("radius", [0.3, 0.5, 0.51, 0.7, 1.0, 1.5, 2.0, 4.25, 7.9])
def test_disk_is_the_area_of_each_pixel_in_the_circle(radius):
    psf = disk(radius)
    assert psf.shape == (2 * max(int(np.ceil(radius - 0.5)), 0) + 1,) * 2
    counted = supersampled(lambda y, x: y**2 + x**2 < radius**2, psf.shape, 401)
    np.testing.assert_allclose(psf, counted, atol=1e-4)
    assert psf[0].max() > 0, "a border of zeros"
    np.testing.assert_array_equal(psf, psf.T)
    np.testing.assert_array_equal(psf, psf[::-1, ::-1])


def test_disk_area_is_exact():
    # Full pixels all weigh 1 / (π r²), to rounding: the sum of the coverage is the area of the circle.
    assert disk(20.37)[20, 20] == pytest.approx(1 / (np.pi * 20.37**2), rel=1e-13)


@pytest.mark.parametrize(
    ("length", "angle"),
    [(1, 0), (1, 45), (4, 0), (5, 90), (6.5, 30), (7.3, -20), (9, 135), (2, 89.9999999999), (12, 1e-9)],
)
def test_motion_is_the_area_of_each_pixel_in_the_line(length, angle):
    psf = motion(length, angle)
    turn = np.deg2rad(angle)

    def inside(down, x):
        y = -down  # rows go down, the angle is counted with y up
        along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        return (np.abs(along) < length / 2) & (np.abs(across) < 0.5)

    assert all(n % 2 for n in psf.shape)
    counted = supersampled(inside, psf.shape, 301)
    # A whole row of points on the outline is in or out.
    np.testing.assert_allclose(psf, counted, atol=2e-3)
    assert np.abs(psf - counted).mean() < 6e-4
    assert psf.sum(axis=0).min() > 0
    assert psf.sum(axis=1).min() > 0


@pytest.mark.parametrize("length", [1.0, 3.0, 8.0, 15.5, 40.0])
@pytest.mark.parametrize("angle", [0.0, 17.0, 45.0, 90.0, 120.0, -63.0])
def test_motion_moments(length, angle):
    psf = motion(length, angle)
    down, x = offsets(psf)
    assert abs((psf * x).sum()) < 1e-14 * length
    assert abs((psf * down).sum()) < 1e-14 * length
    np.testing.assert_array_equal(psf, psf[::-1, ::-1])
    turn = np.deg2rad(angle)
    along, across = x * np.cos(turn) - down * np.sin(turn), -down * np.cos(turn) - x * np.sin(turn)
    assert (psf * along**2).sum() == pytest.approx(length**2 / 12, abs=0.17)
    assert (psf * across**2).sum() < 0.2


def test_motion_direction_and_special_cases():
    np.testing.assert_allclose(motion(5), np.full((1, 5), 0.2), rtol=1e-14)
    np.testing.assert_allclose(motion(5, 90), np.full((5, 1), 0.2), rtol=1e-14)
    np.testing.assert_allclose(motion(4), np.array([[0.5, 1, 1, 1, 0.5]]) / 4, rtol=1e-14)
    rising = motion(9, 45)  # from the lower left to the upper right
    assert rising[:4, 5:].sum() == pytest.approx(0.4, abs=0.05)
    assert rising[:4, :4].sum() == 0
    np.testing.assert_allclose(motion(9, 30), motion(9, -30)[::-1], atol=1e-15)
    np.testing.assert_allclose(motion(9, 30), motion(9, 210), atol=1e-15)


def test_motion_spectrum_is_a_sinc_along_the_path():
    psf = motion(11, 33)
    f = 0.06
    down, x = offsets(psf)
    turn = np.deg2rad(33)
    phase = x * np.cos(turn) - down * np.sin(turn)
    assert (psf * np.cos(2 * np.pi * f * phase)).sum() == pytest.approx(np.sinc(11 * f), abs=0.02)


def test_airy_first_dark_ring():
    psf = airy((1, 401), wavelength=0.6, na=0.5, pixel_size=0.01)[0, 200:]
    first = int(np.flatnonzero((psf[1:-1] < psf[:-2]) & (psf[1:-1] < psf[2:]))[0] + 1)
    assert first * 0.01 == pytest.approx(0.61 * 0.6 / 0.5, abs=0.01)
    assert psf[first] < 1e-4 * psf[0]


@pytest.mark.parametrize("pixel", [0.05, 0.4, 2.0, 6.0])
def test_airy_is_the_intensity_integrated_over_the_pixel(pixel):
    wavelength, na = 0.5, 0.6
    psf = airy((3, 4), wavelength=wavelength, na=na, pixel_size=(pixel, 0.7 * pixel))
    scale = 2 * np.pi * na / wavelength

    def intensity(x, y):
        v = scale * np.hypot(x, y) + 1e-12
        return (2 * special.j1(v) / v) ** 2

    def mass(i, j):
        # From the axis outwards, so that the quadrature meets the peak at a corner.
        xs, ys = ((c + np.array([-0.5, 0, 0.5])) * s for c, s in ((j, 0.7 * pixel), (i, pixel)))
        parts = [(xs[a : a + 2], ys[b : b + 2]) for a in (0, 1) for b in (0, 1)]
        return sum(integrate.dblquad(intensity, *y, *x, epsabs=1e-9, epsrel=1e-8)[0] for x, y in parts)

    assert psf[1, 3] / psf[1, 2] == pytest.approx(mass(0, 1) / mass(0, 0), rel=1e-5)
    assert psf[2, 3] / psf[1, 2] == pytest.approx(mass(1, 1) / mass(0, 0), rel=1e-5)
    assert psf[1, 0] == pytest.approx(psf[1, 2] * mass(0, -2) / mass(0, 0), rel=1e-4)


def test_airy_is_the_power_spectrum_of_a_round_pupil():
    n, pixel, wavelength, na = 512, 0.05, 0.5, 0.5
    f = np.fft.fftfreq(n, pixel)
    radius = na / wavelength
    step = f[1] - f[0]
    # Antialiased by distance, since a pupil of 25 samples is rough.
    pupil = np.clip((radius - np.hypot(f[:, None], f)) / step + 0.5, 0, 1)
    field = np.fft.fftshift(np.abs(np.fft.ifft2(pupil)) ** 2)
    expected = field[n // 2 - 20 : n // 2 + 21, n // 2 - 20 : n // 2 + 21]
    psf = airy(41, wavelength=wavelength, na=na, pixel_size=pixel)
    np.testing.assert_allclose(psf, expected / expected.sum(), atol=0.01 * psf.max())


def test_airy_energy_outside_is_what_the_notes_say():
    # With the whole energy known (4π in v), the cut-off part follows from the size of the middle sample.
    pixel, wavelength, na = 0.02, 0.5, 0.5
    psf = airy(101, wavelength=wavelength, na=na, pixel_size=pixel)
    down, x = offsets(psf)
    v = 2 * np.pi * na / wavelength * pixel
    inside = psf[np.hypot(down, x) <= 50].sum() / (psf[50, 50] / (v**2 / (4 * np.pi) * (1 - v**2 / 24)))
    assert 1 - inside == pytest.approx(special.j0(50 * v) ** 2 + special.j1(50 * v) ** 2, abs=2e-3)


def test_normalize_keeps_kind_and_dtype():
    torch = pytest.importorskip("torch")
    values = [[1.0, 2.0], [3.0, -1.0]]
    for psf in (np.array(values), torch.tensor(values), array_api_strict.asarray(values)):
        result = normalize(psf)
        assert type(result) is type(psf)
        assert result.dtype == psf.dtype
        np.testing.assert_allclose(np.asarray(result), np.array(values) / 5, rtol=1e-6)
    assert normalize(np.array([1, 2, 3], np.uint8)).dtype == np.float32
    np.testing.assert_allclose(normalize(np.array([1e308, 1e308, 1e-320])), [0.5, 0.5, 0])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: gaussian(5, -1.0), ValueError, "sigma is -1; it must be at least 0"),
        (lambda: gaussian(5, "a"), TypeError, "sigma is 'a'; a number is wanted"),
        (lambda: gaussian((5, 5), (1, 2, 3)), ValueError, "sigma has 3 entries; pass one number, or 2"),
        (lambda: gaussian((5, 5, 5, 5), 1), ValueError, "shape has 4 entries; one to three"),
        (lambda: gaussian((), 1), ValueError, "shape has 0 entries"),
        (lambda: gaussian(0, 1), ValueError, "shape is .*at least 1"),
        (lambda: gaussian(5.5, 1), TypeError, "shape is"),
        (lambda: gaussian("5", 1), TypeError, "shape is"),
        (lambda: disk(0), ValueError, "radius is 0; it must be larger than 0"),
        (lambda: disk(np.nan), ValueError, "radius is nan; a finite"),
        (lambda: motion(0.5), ValueError, "length is 0.5; it must be at least 1"),
        (lambda: motion(5, np.inf), ValueError, "angle is inf"),
        (lambda: airy(5, wavelength=0, na=1, pixel_size=1), ValueError, "wavelength is 0"),
        (lambda: airy((5, 5, 5), wavelength=1, na=1, pixel_size=1), ValueError, "shape has 3 entries; 2 are wanted"),
        (lambda: airy(5, wavelength=0.5, na=1.2, pixel_size=65), ValueError, "pixel_size is 65 µm but the Airy disk"),
        (lambda: normalize(np.zeros(3)), ValueError, "psf is zero everywhere"),
        (lambda: normalize(np.array([0.1, 0.2, -0.3])), ValueError, "psf has a sum of zero"),
        (lambda: normalize(np.array([1.0, -3.0])), ValueError, r"negative sum \(-2\).*pass -psf"),
        (lambda: normalize(np.array([1.0, np.nan])), ValueError, "psf has 1 NaN"),
        (lambda: normalize([1j]), TypeError, "psf has dtype complex128"),
    ],
)
def test_wrong_calls_name_what_is_wrong(call, error, words):
    with pytest.raises(error, match=words):
        call()
