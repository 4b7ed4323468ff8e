"""PSFs of microscopes, against adaptive quadrature of the diffraction integral, closed forms and limits."""

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, signal, special

from sigdeconv import psf
from sigdeconv.psf import _diffraction
from sigdeconv.psf._objective import objective, origin_plane

# What the functions take by default.
MOUNTING = {
    "depth": 0.0,
    "sample_index": 1.33,
    "immersion_index": 1.515,
    "design_immersion_index": None,
    "coverslip_index": 1.52,
    "design_coverslip_index": 1.52,
    "coverslip_thickness": 170.0,
    "design_coverslip_thickness": 170.0,
    "working_distance": 150.0,
}

# Each with a wavelength and an aperture.
CASES = {
    "air": (0.55, 0.5, {"immersion_index": 1.0, "depth": 20.0, "working_distance": 300.0}),
    "oil": (0.52, 1.4, {}),
    "oil, index of the sample": (0.52, 1.49, {"depth": 10.0, "sample_index": 1.515}),
    "water under oil": (0.52, 1.3, {"depth": 5.0}),
    "deep under oil": (0.6, 1.3, {"depth": 60.0}),
    "deep in glycerol": (0.6, 1.35, {"depth": 40.0, "sample_index": 1.45}),
    "total reflection, at the coverslip": (0.52, 1.49, {}),
    "total reflection, near it": (0.52, 1.49, {"depth": 0.1}),
    "total reflection, deep": (0.52, 1.49, {"depth": 4.0}),
    "another oil": (0.6, 1.4, {"immersion_index": 1.518, "design_immersion_index": 1.515, "sample_index": 1.47}),
    "a thick coverslip": (
        0.6,
        1.2,
        {
            "immersion_index": 1.33,
            "sample_index": 1.36,
            "depth": 8.0,
            "coverslip_thickness": 176.0,
            "coverslip_index": 1.515,
        },
    ),
}


def lens_of(na, options):
    return objective(na, **(MOUNTING | options))


def by_quadrature(wavelength, na, options, radii, focus):
    """|2 ∫ P J0 rho drho|² for pairs of radius and focus, from the formula of Gibson and Lanni as it is printed."""
    o = MOUNTING | options
    k = 2 * np.pi / wavelength
    ni = o["immersion_index"]
    ni0 = o["design_immersion_index"] or ni
    ng, ng0, tg, tg0 = (o[f"{d}coverslip_{q}"] for q in ("index", "thickness") for d in ("", "design_"))
    ti0 = o["working_distance"]
    ti = ni * (ti0 / ni0 + tg0 / ng0 - tg / ng) - focus

    def along(n, rho):
        return np.sqrt(complex(n * n - (na * rho) ** 2))

    def integrand(rho):
        path = o["depth"] * along(o["sample_index"], rho) + ti * along(ni, rho) - ti0 * along(ni0, rho)
        path = path + tg * along(ng, rho) - tg0 * along(ng0, rho)
        field = 2 * np.exp(1j * k * path) * special.j0(k * na * radii * rho) * rho
        return np.concatenate([field.real, field.imag])

    ends = sorted({0.0, min(o["sample_index"] / na, 1.0), 1.0})
    total = 0.0
    for low, high in itertools.pairwise(ends):
        # In the angle of the ray the square root at the critical angle is smooth.
        turn, speed, stop = (np.sin, np.cos, np.pi / 2) if low == 0 else (np.cosh, np.sinh, math.acosh(high / low))
        scale = high if low == 0 else low
        part, error = integrate.quad_vec(
            lambda t, turn=turn, speed=speed, scale=scale: integrand(scale * turn(t)) * scale * speed(t),
            0,
            stop,
            epsabs=1e-8,
            limit=4000,
        )
        assert error < 1e-6
        total = total + part
    half = len(total) // 2
    return total[:half] ** 2 + total[half:] ** 2


@pytest.mark.parametrize(("wavelength", "na", "options"), CASES.values(), ids=CASES.keys())
def test_intensity_is_the_integral_over_the_pupil(wavelength, na, options):
    rng = np.random.default_rng(3)
    lens = lens_of(na, options)
    centre = origin_plane(lens, "best", wavelength)
    depth_of_focus = wavelength / lens.detail
    radii = np.sort(np.append(rng.random(11) ** 2 * 50, 0.0)) * wavelength / na
    focus = centre + np.append(rng.normal(0, 3, 5), [0.0, 12.0]) * depth_of_focus
    found = _diffraction.intensity(lens, wavelength, radii, focus)
    pairs = np.meshgrid(radii, focus, indexing="ij")
    expected = by_quadrature(wavelength, na, options, *(x.ravel() for x in pairs)).reshape(found.shape)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 * expected.max())
    assert expected.max() == expected[0, 5]  # the best focus is the best of these


def test_series_and_quadrature_agree(monkeypatch):
    radii, focus = np.linspace(0, 8, 200), np.linspace(-5, 5, 21)
    lens = lens_of(1.4, {"depth": 3.0, "sample_index": 1.47})
    by_series = _diffraction.intensity(lens, 0.52, radii, focus)
    monkeypatch.setattr(_diffraction, "MOST", 0)
    monkeypatch.setattr(_diffraction, "BLOCK", 3000)  # in pieces as well
    np.testing.assert_allclose(by_series, _diffraction.intensity(lens, 0.52, radii, focus), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", ["water under oil", "total reflection, near it"])
def test_voxels_are_integrated_and_in_units_of_the_light_of_a_plane(name):
    wavelength, na, options = CASES[name]
    pixel = (0.3, 0.12, 0.09)
    shape = (6, 8, 7)
    made = psf.gibson_lanni(shape, wavelength=wavelength, na=na, pixel_size=pixel, normalize=False, **options)
    lens = lens_of(na, options)
    centre = origin_plane(lens, "best", wavelength)
    x, w = np.polynomial.legendre.leggauss(8)
    light = wavelength**2 / (np.pi * na**2) * transmitted(wavelength, na, options)
    for index in ((3, 4, 3), (3, 4, 5), (0, 1, 6), (5, 7, 2)):
        z, dy, dx = ((i - n // 2 + x / 2) * p for i, n, p in zip(index, shape, pixel, strict=True))
        z, dy, dx = np.meshgrid(centre + z, dy, dx, indexing="ij")
        values = by_quadrature(wavelength, na, options, np.hypot(dy, dx).ravel(), z.ravel()).reshape(z.shape)
        mean = np.einsum("ijk,i,j,k", values, w, w, w) / 8
        assert made[index] == pytest.approx(mean * pixel[1] * pixel[2] / light, rel=1e-4)


def transmitted(wavelength, na, options):
    """Part of the pupil's light that total reflection leaves."""
    o = MOUNTING | options
    k = 2 * np.pi / wavelength

    def power(rho):
        beyond = max((na * rho) ** 2 - o["sample_index"] ** 2, 0.0)
        return 2 * rho * np.exp(-2 * k * o["depth"] * np.sqrt(beyond))

    return integrate.quad(power, 0, 1, points=[min(o["sample_index"] / na, 1.0)])[0]


@pytest.mark.parametrize(
    ("na", "options"),
    [(1.2, {}), (1.3, {"depth": 5.0}), (1.49, {"depth": 0.15}), (0.9, {"coverslip_thickness": 180.0})],
)
def test_every_plane_has_the_same_light(na, options):
    made = psf.gibson_lanni(
        (5, 401, 401), wavelength=0.52, na=na, pixel_size=(0.4, 0.1, 0.1), normalize=False, **options
    )
    inside = made.sum(axis=(1, 2))
    # Out of a circle of radius a falls 2 / (π k NA a) of an even pupil's light, and sin(45°) / 45° of it out of a
    # square; it comes from the pupil's rim, which total reflection darkens. Aberrations spread a little more.
    k = 2 * np.pi / 0.52
    rim = np.exp(-2 * k * options.get("depth", 0) * np.sqrt(max(na**2 - 1.33**2, 0))) / transmitted(0.52, na, options)
    np.testing.assert_allclose(
        1 - inside, 0.9 * 2 / (np.pi * k * na * 20) * rim, rtol=0.12, atol=1e-3 if "depth" in options else 1e-5
    )


def test_widefield_window_of_a_circle_has_the_encircled_energy():
    n, pixel, na, wavelength = 201, 0.03, 1.1, 0.5
    made = psf.born_wolf((1, n, n), wavelength=wavelength, na=na, pixel_size=(1e-6, pixel, pixel), normalize=False)[0]
    y, x = np.mgrid[:n, :n] - n // 2
    radius = 90.5
    v = 2 * np.pi * na / wavelength * radius * pixel
    inside = made[np.hypot(y, x) < radius].sum()
    assert inside == pytest.approx(1 - special.j0(v) ** 2 - special.j1(v) ** 2, abs=2e-4)


@pytest.mark.parametrize("defocus", ["exact", "paraxial"])
@pytest.mark.parametrize("na", [0.3, 1.3])
def test_born_wolf_is_the_airy_pattern_in_focus(na, defocus):
    pixel = 0.14 / na
    airy = psf.airy((20, 21), wavelength=0.5, na=na, pixel_size=pixel)
    made = psf.born_wolf(
        (1, 20, 21), wavelength=0.5, na=na, pixel_size=(1e-6, pixel, pixel), defocus=defocus, immersion_index=1.4
    )
    np.testing.assert_allclose(made[0], airy, atol=1e-6 * airy.max())


@pytest.mark.parametrize(("na", "defocus", "error"), [(1.4, "paraxial", 1e-7), (0.1, "exact", 2e-3), (1.4, "exact", 1)])
def test_born_wolf_is_a_sinc_along_the_axis(na, defocus, error):
    # Thin planes, far apart: one for each call.
    wavelength, index = 0.5, 1.515
    u = np.linspace(0, 30, 16)
    lens = {"wavelength": wavelength, "na": na, "immersion_index": index, "defocus": defocus, "normalize": False}
    step = u[1] / (2 * np.pi / wavelength * na**2 / index)
    x, w = np.polynomial.legendre.leggauss(20)
    made = psf.born_wolf((31, 1, 1), pixel_size=(step, 1e-6, 1e-6), **lens)[15:, 0, 0]
    expected = (np.sinc((u[:, None] + u[1] * x / 2) / (4 * np.pi)) ** 2) @ w / 2
    np.testing.assert_allclose(made / (np.pi * na**2 / wavelength**2 * 1e-12), expected, atol=error)
    if error == 1:  # a strong lens is far from that
        assert abs(made / made[0] - expected / expected[0]).max() > 0.1


def test_gibson_lanni_of_a_perfect_lens_is_born_wolf():
    place = {"shape": (8, 21, 20), "wavelength": 0.52, "na": 1.4, "pixel_size": (0.2, 0.06, 0.08)}
    expected = psf.born_wolf(**place, immersion_index=1.515)
    np.testing.assert_allclose(psf.gibson_lanni(**place), expected, rtol=1e-9, atol=1e-15)
    # Depth is nothing where the indices are the same: the stage has moved by as much, and so has the focus.
    same = {"depth": 20.0, "sample_index": 1.515}
    for origin in ("best", "nominal"):
        np.testing.assert_allclose(
            psf.gibson_lanni(**place, **same, origin=origin), expected, rtol=0, atol=1e-6 * expected.max()
        )


def test_born_wolf_is_symmetric_and_planes_are_turned_by_an_eighth():
    made = psf.born_wolf((9, 13, 13), wavelength=0.6, na=1.2, pixel_size=(0.3, 0.1, 0.1))
    for other in (made[::-1], made[:, ::-1], made[:, :, ::-1], made.transpose(0, 2, 1)):
        np.testing.assert_allclose(made, other, rtol=1e-9, atol=1e-12 * made.max())


def test_coarse_voxels_are_sums_of_fine_ones():
    options = {"wavelength": 0.52, "na": 1.3, "depth": 4.0, "normalize": False}
    fine = psf.gibson_lanni((9, 33, 21), pixel_size=(0.15, 0.04, 0.05), **options)
    coarse = psf.gibson_lanni((3, 11, 7), pixel_size=(0.45, 0.12, 0.15), **options)
    summed = fine.reshape(3, 3, 11, 3, 7, 3).sum(axis=(3, 5)).mean(axis=1)
    np.testing.assert_allclose(coarse, summed, rtol=0, atol=2e-6 * coarse.max())


@pytest.mark.parametrize("shape", [(5, 6, 7), (4, 5, 6), (1, 1, 1)])
def test_the_origin_is_in_the_middle_of_every_shape(shape):
    options = {"wavelength": 0.52, "na": 1.3, "pixel_size": (0.2, 0.1, 0.08), "depth": 4.0}
    large = psf.gibson_lanni((11, 15, 17), **options, normalize=False)
    part = tuple(slice(m // 2 - n // 2, m // 2 - n // 2 + n) for n, m in zip(shape, large.shape, strict=True))
    small = psf.gibson_lanni(shape, **options)
    assert small.sum() == pytest.approx(1, abs=1e-12)
    assert small.dtype == np.float64
    np.testing.assert_allclose(small, large[part] / large[part].sum(), rtol=1e-9)
    assert large.argmax() == np.ravel_multi_index((5, 7, 8), large.shape)


@pytest.mark.parametrize(
    ("options", "shift"),
    [
        # By paraxial optics, with a weak lens: 100 µm of water look like 100 n_i / n_s.
        ({"na": 0.15, "immersion_index": 1.515, "depth": 100.0}, 100 * (1.515 / 1.33 - 1)),
        ({"na": 0.15, "immersion_index": 1.0, "depth": 100.0, "working_distance": 500.0}, 100 * (1 / 1.33 - 1)),
        # A coverslip moves everything alike.
        ({"na": 0.15, "immersion_index": 1.0, "coverslip_thickness": 200.0, "working_distance": 500.0}, 0.0),
    ],
)
def test_the_nominal_origin_is_where_the_stage_has_moved_by_the_depth(options, shift):
    made = psf.gibson_lanni((161, 1, 1), wavelength=0.55, pixel_size=(1.0, 0.1, 0.1), origin="nominal", **options)
    assert int(made.argmax()) - 80 == pytest.approx(shift, abs=0.7)
    best = psf.gibson_lanni((161, 1, 1), wavelength=0.55, pixel_size=(1.0, 0.1, 0.1), **options)
    assert best.argmax() == 80


def test_water_under_oil_has_its_rings_on_one_side():
    made = psf.gibson_lanni((41, 31, 31), wavelength=0.52, na=1.3, pixel_size=(0.2, 0.1, 0.1), depth=10.0)
    axis = made[:, 15, 15]
    assert axis[30:].sum() > 3 * axis[:11].sum()  # rays from the rim of the pupil meet beyond those near the axis


LASER = {"wavelength": 0.525, "excitation_wavelength": 0.488, "na": 1.3}


def line(form, step=0.002, num=401, **options):
    """A PSF along x in points rather than voxels."""
    return form((1, 1, num), pixel_size=(1e-6, 1e-6, step), **options)[0, 0]


@pytest.mark.parametrize("depth", [0.0, 3.0])
def test_closed_pinhole_is_the_product_of_both(depth):
    options = {"depth": depth, "origin": "nominal"}
    one, two = (line(psf.gibson_lanni, wavelength=wave, na=1.3, **options) for wave in (0.525, 0.488))
    made = line(psf.confocal, pinhole=0.0, **LASER, **options)
    np.testing.assert_allclose(made, one * two / (one * two).sum(), rtol=0, atol=2e-4 * made.max())
    small = line(psf.confocal, pinhole=0.01, **LASER, **options)
    np.testing.assert_allclose(small, made, rtol=0, atol=1e-3 * made.max())


def test_without_a_pinhole_it_is_the_widefield_psf_of_the_laser():
    place = {"shape": (8, 21, 20), "pixel_size": (0.2, 0.06, 0.08), "depth": 4.0}
    made = psf.confocal(**place, **LASER, pinhole=math.inf)
    expected = psf.gibson_lanni(**place, wavelength=0.488, na=1.3)
    np.testing.assert_allclose(made, expected, rtol=0, atol=2e-6 * expected.max())
    wide = psf.confocal(**place, **LASER, pinhole=50.0)
    np.testing.assert_allclose(wide, expected, rtol=0, atol=0.03 * expected.max())


@pytest.mark.parametrize("pinhole", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("depth", [0.0, 6.0])
def test_pinhole_blurs_the_detected_light(pinhole, depth):
    # On a fine grid, by convolution with a disk. The planes are thin; the nominal one at a depth is out of focus.
    step, n = 0.02, 241
    thin = {"shape": (1, n, n), "pixel_size": (1e-6, step, step), "na": 1.3, "origin": "nominal"}
    thin |= {"depth": depth, "sample_index": 1.42}
    emitted, excited = (psf.gibson_lanni(**thin, wavelength=wave)[0] for wave in (0.525, 0.488))
    disk = psf.disk(pinhole / 2 * 1.2197 * 0.525 / 1.3 / step)
    expected = excited * signal.fftconvolve(emitted, disk, mode="same")
    made = psf.confocal(**(thin | LASER), pinhole=pinhole)[0]
    np.testing.assert_allclose(made, expected / expected.sum(), rtol=0, atol=5e-3 * made.max())


def test_a_pinhole_sections():
    place = {"shape": (21, 101, 101), "pixel_size": (0.4, 0.08, 0.08)}
    planes = {p: psf.confocal(**place, **LASER, pinhole=p).sum(axis=(1, 2)) for p in (0.0, 1.0, 4.0, math.inf)}
    far = [light[0] / light[10] for light in planes.values()]
    assert far == sorted(far)
    assert far[1] < 0.01 * far[-1]


def test_spinning_disk_in_its_limits():
    # Small pinholes far apart: as the closed confocal one.
    small = line(psf.spinning_disk, pinhole=0.02, spacing=200.0, **LASER)
    np.testing.assert_allclose(small, line(psf.confocal, pinhole=0.0, **LASER), rtol=0, atol=2e-3 * small.max())
    # Far from focus: widefield, lit as strongly as the pinholes' share of the light in a cell makes it.
    place = {"shape": (3, 41, 41), "pixel_size": (8.0, 0.1, 0.1)}
    made = psf.spinning_disk(**place, **LASER, pinhole=1.0, spacing=3.0)
    wide = psf.born_wolf(**place, wavelength=0.525, na=1.3)
    np.testing.assert_allclose(made[0] / made[0].sum(), wide[0] / wide[0].sum(), rtol=0, atol=0.02 * wide[0].max())


def test_spinning_disk_is_the_sum_over_a_lattice_of_pinholes():
    # Out of focus the neighbours' light overlaps: own light and that of a square lattice, whose place is averaged over.
    step, n, apart = 0.05, 481, 1.5
    pinhole = 1.0
    radius = pinhole / 2 * 1.2197 * LASER["wavelength"] / LASER["na"]
    spacing = apart / (2 * radius)
    place = {"shape": (1, n, n), "pixel_size": (1e-6, step, step), "na": 1.3}
    made = psf.spinning_disk(**(place | LASER), pinhole=pinhole, spacing=spacing, depth=0.0)[0]
    emitted = psf.born_wolf(**place, wavelength=0.525)[0]
    excited = psf.born_wolf(**place, wavelength=0.488)[0]
    disk = psf.disk(radius / step)
    lit = signal.fftconvolve(signal.fftconvolve(excited, disk, mode="same"), disk, mode="same")
    every = round(apart / step)
    total = sum(np.roll(lit, (i * every, j * every), (0, 1)) for i in range(-7, 8) for j in range(-7, 8))
    expected = emitted * total
    core = (slice(n // 2 - 14, n // 2 + 15),) * 2
    np.testing.assert_allclose(made[core] / made.max(), expected[core] / expected.max(), rtol=0, atol=0.01)


SHEET = {"wavelength": 0.52, "na": 0.8, "immersion_index": 1.33, "pixel_size": (0.4, 0.15, 0.15)}


def test_a_sheet_without_end_is_widefield():
    made = psf.light_sheet((9, 20, 21), thickness=math.inf, depth=50.0, sample_index=1.36, **SHEET)
    expected = psf.gibson_lanni((9, 20, 21), depth=50.0, sample_index=1.36, working_distance=2000.0, **SHEET)
    np.testing.assert_allclose(made, expected, rtol=1e-9)


@pytest.mark.parametrize("offset", [0.0, 0.7])
def test_a_sheet_is_a_gaussian_along_the_axis(offset):
    thin = SHEET | {"pixel_size": (0.05, 0.15, 0.15)}
    made = psf.light_sheet((81, 9, 9), thickness=1.5, offset=offset, **thin)
    wide = psf.born_wolf((81, 9, 9), **thin)
    z = (np.arange(81) - 40) * 0.05
    ratio = (made / wide).mean(axis=(1, 2))
    half = z[ratio > ratio.max() / 2]
    assert half.min() - offset == pytest.approx(-0.75, abs=0.05)
    assert half.max() - offset == pytest.approx(0.75, abs=0.05)
    expected = np.exp(-4 * np.log(2) * ((z - offset) / 1.5) ** 2)
    np.testing.assert_allclose(ratio / ratio.max(), expected / expected.max(), atol=3e-3)


OIL = {"shape": (3, 4, 5), "wavelength": 0.52, "na": 1.3, "pixel_size": 0.1}


@pytest.mark.parametrize(
    ("form", "options", "error", "words"),
    [
        (psf.gibson_lanni, {"na": 1.6}, ValueError, "na is 1.6 but immersion_index is 1.515; .* 1.33 in water"),
        (psf.gibson_lanni, {"coverslip_index": 1.2}, ValueError, "na is 1.3 but coverslip_index is 1.2"),
        (psf.gibson_lanni, {"design_immersion_index": 1.0}, ValueError, "na is 1.3 but design_immersion_index is 1;"),
        (psf.gibson_lanni, {"na": 0}, ValueError, "na is 0; it must be at least 0.001"),
        (psf.gibson_lanni, {"na": "1"}, TypeError, "na is '1'; a number is wanted"),
        (psf.gibson_lanni, {"depth": -1}, ValueError, "depth is -1; it must be at least 0"),
        (psf.gibson_lanni, {"depth": 200}, ValueError, "depth is 200 µm but working_distance is 150 µm.*pass"),
        (psf.gibson_lanni, {"sample_index": 0.9}, ValueError, "sample_index is 0.9; it must be at least 1"),
        (psf.gibson_lanni, {"wavelength": 520}, ValueError, "wavelength is 520 µm; .* 0.52 for 520 nm"),
        (psf.gibson_lanni, {"wavelength": np.nan}, ValueError, "wavelength is nan; a finite"),
        (psf.gibson_lanni, {"pixel_size": 100}, ValueError, "pixel_size is 100 µm but the Airy disk"),
        (psf.gibson_lanni, {"pixel_size": (50, 0.1, 0.1)}, ValueError, "50 µm along z but the focus is"),
        (psf.gibson_lanni, {"pixel_size": (1, 2)}, ValueError, "pixel_size has 2 entries; pass one number, or 3"),
        (psf.gibson_lanni, {"shape": (4, 5)}, ValueError, r"shape has 2 entries; 3 are wanted: .*pass \(1, y, x\)"),
        (psf.gibson_lanni, {"shape": (0, 4, 5)}, ValueError, "shape is .*at least 1"),
        (psf.gibson_lanni, {"origin": "peak"}, ValueError, "origin is 'peak'; pass one of 'best', 'nominal'"),
        (psf.gibson_lanni, {"coverslip_thickness": 500}, ValueError, "coverslip_thickness is 500 µm.*leaves no room"),
        (
            psf.gibson_lanni,
            {"design_immersion_index": 1.33, "working_distance": 2e4},
            ValueError,
            "focus is smeared over .*; check depth",
        ),
        (psf.born_wolf, {"defocus": "none"}, ValueError, "defocus is 'none'; pass one of 'exact', 'paraxial'"),
        (psf.born_wolf, {"immersion_index": 1.3}, ValueError, "na is 1.3 but immersion_index is 1.3"),
        (psf.confocal, {"pinhole": -1, "excitation_wavelength": 0.488}, ValueError, "pinhole is -1; it must be at"),
        (psf.confocal, {"pinhole": 99, "excitation_wavelength": 0.488}, ValueError, "99 Airy units; at most 50 .*inf"),
        (psf.confocal, {"excitation_wavelength": 488}, ValueError, "excitation_wavelength is 488 µm"),
        (psf.spinning_disk, {"spacing": 0.5, "excitation_wavelength": 0.488}, ValueError, "spacing is 0.5; it must"),
        (psf.spinning_disk, {"spacing": 500, "excitation_wavelength": 0.488}, ValueError, "spacing 500 times that"),
        (psf.light_sheet, {"thickness": 0.001}, ValueError, "thickness is 0.001 µm; .*micrometres"),
        (psf.light_sheet, {"thickness": 1, "offset": np.inf}, ValueError, "offset is inf"),
        (psf.light_sheet, {"thickness": 1, "offset": 50}, ValueError, "offset is 50 µm, .* pass a smaller one"),
        (psf.gibson_lanni, {"normalize": 1}, TypeError, "normalize is 1; True or False is wanted"),
    ],
)
def test_wrong_calls_name_what_is_wrong(form, options, error, words):
    lens = OIL | ({"na": 0.8} if form is psf.light_sheet else {})
    with pytest.raises(error, match=words) as caught:
        form(**(lens | options))
    assert "\n" not in str(caught.value)


def test_a_pixel_of_next_to_nothing_is_refused():
    with pytest.raises(ValueError, match=r"pixel_size is 1e-320 µm, next to nothing beside a wavelength of 0\.5 µm"):
        psf.born_wolf((3, 9, 9), wavelength=0.5, na=1.2, pixel_size=1e-320)
