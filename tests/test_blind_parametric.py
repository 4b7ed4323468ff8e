"""Blind restoration with a formula for the PSF: the likelihood against direct sums, recovery of known parameters."""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
import pytest

import sigdeconv
from sigdeconv import psf
from sigdeconv.deconvolution.blind import _family, _search, _spectrum
from sigdeconv.deconvolution.blind._spectrum import PowerSpectrum
from sigdeconv.deconvolution.blind.parametric import blind_parametric


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """A coarser search, which is enough for what the tests are about."""
    monkeypatch.setattr(_search, "GRID", {1: (48,), 2: (8, 12), 3: (4, 4, 4)})
    monkeypatch.setattr(_search, "SCAN", 16)
    monkeypatch.setattr(_search, "ROUNDS", 1)
    monkeypatch.setattr(_search, "DESCENTS", 2)
    monkeypatch.setattr(_search, "ROUGHLY", 4000)
    monkeypatch.setattr(_search, "CLOSELY", 8000)


@cache
def natural(shape: tuple[int, ...], seed: int = 0, slope: float = 1.4) -> np.ndarray:
    """Gaussian noise with the power law of photographs, of standard deviation 40."""
    rng = np.random.default_rng(seed)
    power = sum(f**2 for f in np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij", sparse=True)) + 1e-5
    scene = np.fft.ifftn(np.fft.fftn(rng.standard_normal(shape)) * power ** (-slope / 2)).real
    return 120 + 40 * scene / scene.std()


def seen(kernel, noise=1.0, seed=0, size=170, ndim=2):
    """A natural scene through a PSF."""
    image = sigdeconv.simulate.through_frame(natural((size,) * ndim, seed), kernel).blurred
    return image + noise * np.random.default_rng(seed + 100).standard_normal(image.shape)


def as_is(image, kernel):
    """No restoration."""
    return image


@cache
def photograph(name: str) -> np.ndarray:
    from skimage import data
    from skimage.color import rgb2gray

    image = getattr(data, name)()
    image = image.astype(float) if image.ndim == 2 else 255 * rgb2gray(image)
    rows, columns = (n // 2 * 2 for n in image.shape)
    return image[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2).mean((1, 3))


def test_the_tapered_spectrum_of_a_blur_is_what_it_is_expected_to_be(monkeypatch):
    """For white noise through a PSF, the periodogram's mean is a finite sum over lags."""
    monkeypatch.setattr(_spectrum, "INEXACT", 0.0)
    n, kernel = 64, np.array([1.0, 4.0, 2.0, 0.5]) / 7.5
    spectrum = PowerSpectrum.of(np.random.default_rng(0).standard_normal((1, n)), (4,))
    window = _spectrum._window(n)
    lags = np.arange(-3, 4)
    both = np.correlate(kernel, kernel, "full") * np.correlate(window, window, "full")[n - 1 + lags]
    omega = 2 * math.pi * np.fft.rfftfreq(n)[spectrum.picked]
    wanted = (both * np.cos(omega[:, None] * lags)).sum(axis=1) / (window**2).sum()
    np.testing.assert_allclose(spectrum._seen(kernel), wanted, rtol=1e-10)


def test_white_noise_has_the_periodogram_of_its_variance():
    images = 3 * np.random.default_rng(1).standard_normal((4, 300, 280))
    assert PowerSpectrum.of(images, (5, 5)).unit == pytest.approx(9, rel=0.02)


@pytest.mark.parametrize("sigma", [None, 2.0])
def test_the_fit_is_the_minimum(sigma):
    """Against a general minimiser and the formula on paper."""
    from scipy.optimize import minimize

    kernel = psf.disk(3.3)
    spectrum = PowerSpectrum.of(seen(kernel, 2.0)[None], kernel.shape).thinned(3000)
    fit = spectrum.fit(kernel, sigma)
    H2 = spectrum._seen(kernel)

    def cost(x):
        state = fit.state.copy()
        state[: x.size] = x
        P = H2 * np.exp(state[:-1] @ spectrum.basis) + np.exp(state[-1])
        prior = 0.03 * (state[1] - 1.4) ** 2 + 0.01 * (state[2:-1] ** 2).sum()
        return np.average(np.log(P) + spectrum.power / P, weights=spectrum.weight) + 0.5 * prior

    free = fit.state.size if sigma is None else fit.state.size - 1
    assert cost(fit.state[:free]) == pytest.approx(fit.score, abs=1e-12)
    best = minimize(cost, fit.state[:free] + 0.05, method="BFGS", options={"gtol": 1e-7})
    assert fit.score < best.fun + 1e-6
    assert spectrum.noise(fit) == pytest.approx(2.0, rel=1e-9 if sigma else 0.03)


def test_a_selection_of_frequencies_has_the_same_score():
    kernel = psf.motion(9, 30)
    spectrum = PowerSpectrum.of(seen(kernel)[None], kernel.shape)
    few = spectrum.thinned(6000)
    assert 5000 < few.power.size < 7000 < spectrum.power.size
    for other in (kernel, psf.motion(6, 30)):
        assert few.fit(other).score == pytest.approx(spectrum.fit(other).score, abs=0.03)


KERNELS = {
    "gaussian": (psf.gaussian((17, 17), 2.0), {"sigma": 2.0}, 0.08),
    "disk": (psf.disk(5.3), {"radius": 5.3}, 0.03),
    "airy": (psf.airy(65, wavelength=4 / 0.6098, na=1.0, pixel_size=1.0), {"radius": 4.0}, 0.1),
}


@pytest.mark.parametrize("noise", [0.5, 4.0])
@pytest.mark.parametrize("family", KERNELS)
def test_known_parameters_come_back(family, noise):
    kernel, wanted, within = KERNELS[family]
    found = blind_parametric(seen(kernel, noise), family, restore=as_is)
    for name, value in wanted.items():
        assert found.parameters[name] == pytest.approx(value, rel=within)
    assert found.noise == pytest.approx(noise, rel=0.1)
    assert found.psf.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.psf, found.psf[::-1, ::-1], atol=1e-12)  # about the middle sample
    assert all(n % 2 for n in found.psf.shape)


@pytest.mark.parametrize(("length", "angle"), [(7.0, 25.0), (14.0, 178.0)])
def test_a_motion_is_found(length, angle):
    found = blind_parametric(seen(psf.motion(length, angle), 2.0), "motion", restore=as_is)
    assert found.parameters["length"] == pytest.approx(length, rel=0.05)
    assert abs((found.parameters["angle"] - angle + 90) % 180 - 90) < 3
    assert found.scores.shape == (8, 12)
    assert [found.candidates[name].size for name in ("length", "angle")] == [8, 12]


@pytest.mark.parametrize(("family", "value"), [("gaussian", 2.0), ("disk", 4.0)])
@pytest.mark.parametrize("name", ["camera", "coffee", "astronaut"])
def test_photographs_show_their_blur(name, family, value):
    kernel = psf.gaussian((17, 17), value) if family == "gaussian" else psf.disk(value)
    image = sigdeconv.simulate.through_frame(photograph(name), kernel).blurred
    image = image + 2 * np.random.default_rng(3).standard_normal(image.shape)
    found = blind_parametric(image, family, restore=as_is)
    (result,) = found.parameters.values()
    assert result == pytest.approx(value, rel=0.15 if family == "gaussian" else 0.03)


def test_the_moved_clock_is_put_straight():
    """A real photograph: the camera moved nearly along the rows while the shutter was open."""
    from skimage import data

    image = data.clock().astype(float)
    found = blind_parametric(image, "motion", bounds={"length": (20, 60), "angle": (-12, 12)})
    assert found.parameters["length"] == pytest.approx(36, abs=2)
    assert found.parameters["angle"] == pytest.approx(2, abs=1.5)
    # A step across the rim and the hands is again a step.
    before, after = (np.abs(np.diff(x[130:170, 100:320], axis=1)).max() for x in (image, found.image))
    assert after > 3 * before


def test_the_restoration_is_wieners_or_the_callers():
    image = seen(psf.disk(3.0), size=90)
    found = blind_parametric(image, "disk", boundary="reflect")
    np.testing.assert_array_equal(found.image, sigdeconv.wiener(image, found.psf, boundary="reflect"))
    assert blind_parametric(image, "disk", restore=lambda image, psf: (image.shape, psf.shape)).image == (
        image.shape,
        found.psf.shape,
    )


def test_a_family_of_ones_own():
    def ring(outer, share):
        disk, hole = psf.disk(outer), psf.disk(max(share * outer, 0.5))
        pad = (disk.shape[0] - hole.shape[0]) // 2
        return 5 * (disk - 0.9 * share**2 * np.pad(hole, pad)).clip(0)

    image = seen(ring(6.0, 0.5), size=130)
    found = blind_parametric(image, ring, bounds={"outer": (3, 9), "share": (0.2, 0.8)}, restore=as_is)
    assert found.parameters["outer"] == pytest.approx(6, rel=0.03)
    assert found.parameters["share"] == pytest.approx(0.5, abs=0.06)
    assert found.psf.sum() == pytest.approx(1)
    held = blind_parametric(image, ring, bounds={"outer": (3, 9), "share": (0.5, 0.5)}, restore=as_is)
    assert held.parameters["share"] == 0.5
    assert held.scores.shape == (48, 1)


def test_all_kept_is_a_score():
    image = seen(psf.disk(3.0), size=100)
    scores = [
        blind_parametric(image, "disk", bounds={"radius": (r, r)}, restore=as_is).scores.item() for r in (2, 3, 4)
    ]
    assert np.argmin(scores) == 1


def test_colours_and_batches_share_the_blur():
    kernel = psf.disk(4.0)
    colours = np.stack([seen(kernel, 3.0, seed, size=150) for seed in range(3)], axis=-1)
    found = blind_parametric(colours, "disk", channel_axis=-1)
    assert found.image.shape == colours.shape
    assert found.psf.ndim == 2
    batch = blind_parametric(np.moveaxis(colours, -1, 0), "disk", restore=as_is)
    assert batch.parameters == found.parameters
    assert found.parameters["radius"] == pytest.approx(4, rel=0.03)


@pytest.mark.parametrize("ndim", [1, 3])
def test_signals_and_volumes(ndim):
    kernel = psf.gaussian((13,) * ndim, 1.5)
    found = blind_parametric(seen(kernel, 1.0, size={1: 3000, 3: 60}[ndim], ndim=ndim), ndim=ndim, restore=as_is)
    assert found.parameters["sigma"] == pytest.approx(1.5, rel=0.25 if ndim == 1 else 0.1)
    assert found.psf.ndim == ndim


def test_every_kind_and_dtype(kind):
    image = seen(psf.disk(3.0), size=120)
    wanted = blind_parametric(image, "disk", bounds={"radius": (1, 6)})
    for dtype in ("float32", "float64"):
        found = blind_parametric(kind.array(image, dtype), "disk", bounds={"radius": (1, 6)})
        assert found.parameters["radius"] == pytest.approx(wanted.parameters["radius"], rel=1e-3)
        assert str(found.image.dtype).endswith(dtype)
        assert str(found.psf.dtype).endswith(dtype)
        assert np.abs(kind.numpy(found.image) - wanted.image).max() < 0.5


def test_brightness_and_offset_do_not_matter():
    image = seen(psf.disk(3.0), size=120)
    plain = blind_parametric(image, "disk", restore=as_is)
    other = blind_parametric(1e-3 * image + 7, "disk", restore=as_is)
    assert other.parameters["radius"] == pytest.approx(plain.parameters["radius"], rel=1e-4)
    assert other.noise == pytest.approx(1e-3 * plain.noise, rel=1e-3)


GOOD = {"image": natural((32, 32)), "family": "disk"}


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"image": np.zeros((32, 32))}, ValueError, "flat"),
        ({"image": np.ones((32, 9))}, ValueError, "16 samples"),
        ({"image": np.full((32, 32), np.nan)}, ValueError, "NaN"),
        ({"image": np.ones((32, 32, 3))}, ValueError, "channel_axis=-1"),
        ({"image": np.ones(32)}, ValueError, "plane"),
        ({"family": "box"}, ValueError, "family"),
        ({"family": 3}, TypeError, "family"),
        ({"family": psf.disk}, ValueError, "bounds"),
        ({"family": lambda radius: np.ones(3), "bounds": {"radius": (1, 2)}}, ValueError, "ndim=1"),
        ({"family": lambda radius: np.zeros((3, 3)), "bounds": {"radius": (1, 2)}}, ValueError, "zero"),
        ({"bounds": {"length": (1, 2)}}, ValueError, "length"),
        ({"bounds": {"radius": (3, 2)}}, ValueError, "radius"),
        ({"bounds": {"radius": (-3, 2)}}, ValueError, "radius"),
        ({"bounds": {"radius": 3}}, TypeError, "radius"),
        ({"bounds": {"radius": (1, np.nan)}}, ValueError, "radius"),
        ({"bounds": [1, 2]}, TypeError, "bounds"),
        ({"sigma": -1}, ValueError, "sigma"),
        ({"restore": "wiener"}, TypeError, "restore"),
        ({"boundary": "wrap"}, ValueError, "boundary"),
        ({"ndim": 4}, ValueError, "ndim"),
        ({"channel_axis": 5}, ValueError, "channel_axis"),
    ],
)
def test_wrong_input_is_refused(wrong, error, words):
    arguments = GOOD | wrong
    with pytest.raises(error, match=words) as caught:
        blind_parametric(arguments.pop("image"), arguments.pop("family"), **arguments)
    assert "\n" not in str(caught.value)


def test_candidates_span_their_bounds():
    for low, high, period in itertools.product((0.0, 1.0), (2.0, 9.0), (math.inf, 2.0)):
        p = _family.Parameter("p", low, high, period)
        values = [p.value(u) for u in p.places(8)]
        assert min(values) >= low - 1e-12
        assert max(values) <= high + 1e-12
        if not p.cyclic:
            assert (values[0], values[-1]) == pytest.approx((low, high))
            assert p.value(-1.0) == low
            assert p.value(2.0) == high
