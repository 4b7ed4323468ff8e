"""PSFs on the sky, against adaptive quadrature over pixels, optics by FFT, and the transfer functions on paper."""

import numpy as np
import pytest
from scipy import integrate, optimize, special

from sigdeconv import psf


def offsets(made):
    """Coordinates of the samples from the origin, one array an axis."""
    return np.meshgrid(*(np.arange(n) - n // 2 for n in made.shape), indexing="ij")


MADE = {
    "telescope": psf.telescope((20, 21), wavelength=0.6, diameter=2.4, pixel_size=0.02, obstruction=0.3),
    "moffat": psf.moffat((20, 21), fwhm=3.0, beta=2.5),
    "kolmogorov": psf.kolmogorov((20, 21), fwhm=3.0),
}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE.keys())
def test_sum_is_one_and_the_origin_in_the_middle(made):
    assert made.dtype == np.float64
    assert made.min() > 0
    assert made.sum() == pytest.approx(1, abs=1e-14)
    assert np.unravel_index(made.argmax(), made.shape) == (10, 10)
    np.testing.assert_allclose(made[:, 10 - 9 : 10], made[:, 19:10:-1], rtol=1e-9)  # about column 10


@pytest.mark.parametrize("fwhm", [0.05, 0.6, 3.0])
@pytest.mark.parametrize("beta", [1.2, 2.5, 20.0])
def test_moffat_is_integrated_over_the_pixel(fwhm, beta):
    pixel = (0.7, 1.1)
    made = psf.moffat((7, 6), fwhm=fwhm, beta=beta, pixel_size=pixel)
    alpha = fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1))

    def mass(low, high):
        # In polar coordinates about the origin where that is at a corner, since the core may be narrow.
        return integrate.dblquad(
            lambda x, y: (1 + (x * x + y * y) / alpha**2) ** -beta,
            low[0],
            high[0],
            low[1],
            high[1],
            epsrel=1e-9,
            epsabs=0,
        )[0]

    def in_pixel(i, j):
        return mass(((i - 0.5) * pixel[0], (j - 0.5) * pixel[1]), ((i + 0.5) * pixel[0], (j + 0.5) * pixel[1]))

    for one, two in (((1, 0), (0, 1)), ((3, 2), (1, 1)), ((-3, -3), (2, 0))):
        ratio = made[3 + one[0], 3 + one[1]] / made[3 + two[0], 3 + two[1]]
        assert ratio == pytest.approx(in_pixel(*one) / in_pixel(*two), rel=1e-7)

    def wedge(angle):  # light between the origin and the border of the middle pixel, in closed form along the radius
        border = min(pixel[0] / 2 / max(abs(np.sin(angle)), 1e-9), pixel[1] / 2 / max(abs(np.cos(angle)), 1e-9))
        return (1 - (1 + (border / alpha) ** 2) ** (1 - beta)) * alpha**2 / (2 * (beta - 1))

    corner = np.arctan2(pixel[0], pixel[1])
    core = 4 * integrate.quad(wedge, 0, np.pi / 2, points=[corner], epsabs=1e-14)[0]
    assert made[3, 3] / made[4, 4] == pytest.approx(core / in_pixel(1, 1), rel=1e-7)


def test_moffat_light_outside_is_what_the_notes_say():
    alpha = 4.0 / (2 * np.sqrt(2 ** (1 / 2.5) - 1))
    made = psf.moffat(201, fwhm=4.0, beta=2.5)
    y, x = offsets(made)
    # Of the light within 90 pixels, that within 16: four widths.
    inside = [1 - (1 + (r / alpha) ** 2) ** -1.5 for r in (16.0, 90.0)]
    found = [made[np.hypot(y, x) <= r].sum() for r in (16.0, 90.0)]
    assert found[0] / found[1] == pytest.approx(inside[0] / inside[1], abs=2e-4)
    assert 1 - inside[0] == pytest.approx(0.01, abs=1e-3)


def test_a_steep_moffat_is_a_gaussian():
    sigma = 2.0
    made = psf.moffat(21, fwhm=2 * np.sqrt(2 * np.log(2)) * sigma, beta=1e6)
    np.testing.assert_allclose(made, psf.gaussian((21, 21), sigma), rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [0.1, 0.25])
def test_kolmogorov_has_the_transfer_function_of_long_exposures(scale):
    # The wings that the window lacks are those of low frequency; the others are as on paper, and those of the pixel.
    r0, wavelength = 0.12, 0.6
    n = 1025
    made = psf.kolmogorov(n, r0=r0, wavelength=wavelength, pixel_size=scale)
    otf = np.fft.rfft2(np.fft.ifftshift(made))[0].real
    f = np.fft.rfftfreq(n)
    cycles = f / (scale * np.pi / 648000)
    expected = np.exp(-3.44 * (wavelength * 1e-6 * cycles / r0) ** (5 / 3)) * np.sinc(f)
    well = (f > 20 / n) & (f < 0.25)
    np.testing.assert_allclose(otf[well], expected[well], rtol=0, atol=2e-3)


def test_kolmogorov_width():
    def half(x):
        near = integrate.quad(lambda f: 2 * np.pi * f * np.exp(-3.44194 * f ** (5 / 3)), 0, 5)[0]
        there = integrate.quad(
            lambda f: 2 * np.pi * f * np.exp(-3.44194 * f ** (5 / 3)) * special.j0(2 * np.pi * f * x), 0, 5
        )[0]
        return there / near - 0.5

    width = 2 * optimize.brentq(half, 0.1, 1)
    made = psf.kolmogorov((1, 201), fwhm=100.0, pixel_size=1.0)[0]
    line = made / made.max()
    above = np.flatnonzero(line > 0.5)
    right = above[-1] + (line[above[-1]] - 0.5) / (line[above[-1]] - line[above[-1] + 1])
    assert 2 * (right - 100) == pytest.approx(100, abs=0.05)
    # In units: 0.976 wavelength / r0, in arcsec.
    arcsec = width * 0.55e-6 / 0.15 * 648000 / np.pi
    one = psf.kolmogorov(33, r0=0.15, wavelength=0.55, pixel_size=0.2)
    two = psf.kolmogorov(33, fwhm=arcsec, pixel_size=0.2)
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-6 * two.max())


def test_kolmogorov_is_the_transform_of_its_transfer_function():
    made = psf.kolmogorov((1, 2001), fwhm=97.5863432579)[0, 1000:]  # so that a hundred pixels are wavelength / r0
    panels = np.linspace(0, 5, 101)
    for pixel in (30, 105, 240, 400, 900):

        def integrand(f, x=pixel / 100):
            return f * np.exp(-3.44194 * f ** (5 / 3)) * np.array([special.j0(2 * np.pi * f * x), 1.0])

        value, peak = integrate.quad_vec(integrand, 0, 5, points=panels, epsabs=1e-12)[0]
        assert made[pixel] / made[0] == pytest.approx(value / peak, rel=5e-4)


def test_kolmogorov_wings_fall_as_the_power_eleven_thirds():
    made = psf.kolmogorov((1, 4001), fwhm=2.0)[0, 2000:]
    assert np.log(made[1600] / made[400]) / np.log(4) == pytest.approx(-11 / 3, abs=0.01)
    assert made[19:23].min() > 0
    smooth = np.diff(np.log(made[15:30]))  # over the place where formulas change, at 20.5 pixels
    assert abs(np.diff(smooth)).max() < 0.02


def test_kolmogorov_light_outside_is_what_the_notes_say():
    made = psf.kolmogorov(801, fwhm=4.0)
    y, x = offsets(made)
    outside = made[np.hypot(y, x) > 3.9 * 4].sum()
    assert outside == pytest.approx(0.01, abs=1.2e-3)


def test_air_of_a_narrow_core_lies_in_one_pixel():
    for made in (psf.moffat(5, fwhm=1e-6), psf.kolmogorov(5, fwhm=1e-9)):
        assert made[2, 2] == pytest.approx(1, abs=1e-6)
        assert made.min() >= 0


@pytest.mark.parametrize("obstruction", [0.0, 0.33, 0.8])
def test_obstructed_aperture_is_the_power_spectrum_of_a_ring(obstruction):
    n, pixel, wavelength, diameter = 1024, 0.008, 0.5, 1.2
    arcsec = np.pi / 648000
    f = np.fft.fftfreq(n, pixel * arcsec) * wavelength * 1e-6  # metres in the aperture
    step = f[1] - f[0]
    far = np.hypot(f[:, None], f)
    ring = np.clip((diameter / 2 - far) / step + 0.5, 0, 1) - np.clip(
        (obstruction * diameter / 2 - far) / step + (0.5 if obstruction else 0), 0, 1
    )
    field = np.fft.fftshift(np.abs(np.fft.ifft2(ring)) ** 2)
    middle = slice(n // 2 - 20, n // 2 + 21)
    made = psf.telescope(41, wavelength=wavelength, diameter=diameter, pixel_size=pixel, obstruction=obstruction)
    expected = field[middle, middle] / field[middle, middle].sum()
    np.testing.assert_allclose(made, expected, atol=0.01 * made.max())


def test_telescope_is_an_airy_pattern_with_an_aperture_of_half_a_diameter():
    made = psf.telescope(21, wavelength=0.6, diameter=0.5, pixel_size=(0.1, 0.2), obstruction=0.2)
    radian = 0.1 * np.pi / 648000
    same = psf.airy(21, wavelength=0.6, na=0.25e6, pixel_size=(radian, 2 * radian), obstruction=0.2)
    np.testing.assert_allclose(made, same, rtol=1e-9)


def test_obstruction_puts_light_outside_as_the_notes_say():
    n, na, wavelength, pixel = 401, 0.5, 0.5, 0.08
    y, x = np.mgrid[:n, :n] - n // 2
    core = [psf.airy(n, wavelength=wavelength, na=na, pixel_size=pixel, obstruction=e) for e in (0.0, 0.4)]
    radii = np.arange(40, 90)  # over which the rings of both borders of the aperture even out
    outside = [np.mean([1 - made[np.hypot(y, x) < r].sum() for r in radii]) for made in core]
    beyond = 2 / (np.pi * 2 * np.pi * na / wavelength * pixel)
    assert outside[0] == pytest.approx(beyond * (np.mean(1 / radii) - 0.9 / 200), rel=0.03)
    assert outside[1] / outside[0] == pytest.approx(1 / 0.6, rel=0.03)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: psf.moffat(5, fwhm=2, beta=1), ValueError, "beta is 1; it must be larger than 1"),
        (lambda: psf.moffat(5, fwhm=0), ValueError, "fwhm is 0; it must be larger than 0"),
        (lambda: psf.moffat(5, fwhm="3"), TypeError, "fwhm is '3'; a number is wanted"),
        (lambda: psf.moffat((5, 5, 5), fwhm=2), ValueError, "shape has 3 entries; 2 are wanted"),
        (lambda: psf.moffat(5, fwhm=2, pixel_size=(1, 100)), ValueError, "pixel_size is .*differ by a factor of 32"),
        (lambda: psf.kolmogorov(5), ValueError, "neither fwhm nor r0 is given; pass fwhm, or r0 with wavelength"),
        (lambda: psf.kolmogorov(5, fwhm=1, r0=0.1), ValueError, "both fwhm and r0"),
        (lambda: psf.kolmogorov(5, r0=0.1), ValueError, "r0 is given without wavelength; pass the wavelength in µm"),
        (lambda: psf.kolmogorov(5, fwhm=1, wavelength=0.5), ValueError, "wavelength is given with fwhm; leave it out"),
        (
            lambda: psf.telescope(5, wavelength=0.5, diameter=2, pixel_size=100),
            ValueError,
            "pixel_size is 100 arcsec but the Airy disk has a radius of 0.0629 arcsec; give",
        ),
        (
            lambda: psf.telescope(5, wavelength=0.5, diameter=2, pixel_size=0.1, obstruction=1),
            ValueError,
            "obstruction is 1; .* from 0 to below 1",
        ),
        (
            lambda: psf.airy(5, wavelength=0.5, na=0.5, pixel_size=0.1, obstruction=-0.1),
            ValueError,
            "obstruction is -0.1; it must be at least 0",
        ),
    ],
)
def test_wrong_calls_name_what_is_wrong(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
