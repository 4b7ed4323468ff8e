"""The level of the noise, against noise that was added."""

from __future__ import annotations

import math

import numpy as np
import pytest

import sigdeconv
from sigdeconv.deconvolution._patches import CORNER, Patches, blurred, directions, quiet
from sigdeconv.deconvolution._photon_line import photon_line
from sigdeconv.deconvolution.noise import NoiseLevel, estimate_noise

GAUSSIAN = sigdeconv.psf.gaussian((9, 9), 1.2)


def photograph(name: str, psf: np.ndarray | None = None) -> np.ndarray:
    data = pytest.importorskip("skimage.data")
    image = getattr(data, name)()[:240, :240].astype(float)
    return image if psf is None else sigdeconv.simulate.through_frame(image, psf).blurred


def noisy(image: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    return image + np.random.default_rng(seed).normal(0, sigma, image.shape)


@pytest.mark.parametrize("shape", [(4000,), (128, 128), (127, 61), (30, 31, 32), (3, 70, 70), (8, 2, 3000)])
def test_white_noise_alone(shape):
    found = [estimate_noise(noisy(np.full(shape, 7.0), 2.5, seed)).sigma for seed in range(3)]
    assert np.mean(found) == pytest.approx(2.5, rel=0.02)
    assert np.max(np.abs(np.array(found) / 2.5 - 1)) < 0.08


@pytest.mark.parametrize("sigma", [1, 5, 30])
@pytest.mark.parametrize("name", ["camera", "gravel"])
@pytest.mark.parametrize("psf", [None, GAUSSIAN])
def test_blurred_photographs(name, sigma, psf):
    image = noisy(photograph(name, GAUSSIAN), sigma)
    assert estimate_noise(image, psf=psf).sigma == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize("sigma", [5, 30])
@pytest.mark.parametrize("name", ["camera", "brick"])
def test_sharp_photographs(name, sigma):
    assert estimate_noise(noisy(photograph(name), sigma)).sigma == pytest.approx(sigma, rel=0.05)


def test_the_blur_is_used():
    """A scene of white noise a hundred times as strong, blurred along the rows only: across them it stays as rough."""
    psf = sigdeconv.psf.gaussian((13,), 2.0)[None]
    scene = np.random.default_rng(5).normal(0, 100.0, (150, 160))
    image = noisy(sigdeconv.simulate.through_frame(scene, psf).blurred, 1.0)
    assert estimate_noise(image).sigma > 2
    assert estimate_noise(image, psf=psf).sigma == pytest.approx(1.0, rel=0.05)


def test_selection_has_no_bias():
    """Patches selected by their coarse energy have the noise's variance along the fine axes, on average."""
    rng = np.random.default_rng(1)
    energies = []
    for _ in range(200):
        z = rng.standard_normal((400, 16))
        rough = np.sum(z[:, 8:] ** 2, axis=1)
        order = np.argsort(rough)[:20]
        energies.append(np.mean(z[order, :8] ** 2))
        assert np.mean(z[order, 8:] ** 2) < 0.8  # where they were selected they are quieter than the noise
    assert np.mean(energies) == pytest.approx(1.0, abs=0.02)
    # Comparing many shares and depths costs a little: 5 % of the variance of a few hundred independent patches.
    samples = rng.standard_normal((200, 400, 16))
    found = [quiet(Patches(z[:, :8], np.sum(z[:, 8:] ** 2, axis=1), z[:, 0], 1.0)).variance for z in samples]
    assert np.mean(found) == pytest.approx(1.0, abs=0.07)


def test_texture_in_most_patches_is_left_out():
    rng = np.random.default_rng(2)
    z = rng.standard_normal((6000, 48))
    z[:4500] *= 3.0
    found = quiet(Patches(z[:, :24], np.sum(z[:, 24:] ** 2, axis=1), z[:, 0], 1.0))
    assert found.variance == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("side", [(16,), (8, 8), (4, 4, 4), (8, 3)])
def test_directions(side):
    psf = sigdeconv.psf.gaussian((5,) * len(side), 1.0)
    coarse = sigdeconv.Convolution(psf, (32,) * len(side), stride=2)
    for blur in (None, blurred(psf, len(side)), blurred(coarse, len(side))):
        basis = directions(side, blur)
        size = math.prod(side)
        np.testing.assert_allclose(basis.T @ basis, np.eye(size), atol=1e-10)
        np.testing.assert_allclose(np.abs(basis[:, -1]), 1 / math.sqrt(size), atol=1e-8)  # the mean, alone
        np.testing.assert_allclose(basis[:, :-1].sum(axis=0), 0, atol=1e-8)
    # Finest first: the first of a blurred signal is the one that alternates most.
    if len(side) == 1:
        crossings = np.sum(np.diff(np.sign(directions(side, None)), axis=0) != 0, axis=0)
        assert (np.diff(crossings) < 0).all()


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_directions_are_the_principal_axes_of_what_the_operator_shows(stride):
    side, coarse = 16, 32 * 3
    psf = sigdeconv.psf.gaussian(5, 0.8)
    blur = sigdeconv.Convolution(psf, coarse, boundary="periodic", stride=stride)
    spectrum = 1 / ((stride * np.fft.fftfreq(coarse * stride)) ** 2 + CORNER**2)
    lag = np.subtract.outer(np.arange(coarse * stride), np.arange(coarse * stride))
    scenes = np.fft.ifft(spectrum).real[lag]
    matrix = blur.to_dense()
    seen = (matrix @ scenes @ matrix.T)[:side, :side]
    found = directions((side,), blurred(blur, 1))[:, :-1]
    within = found.T @ seen @ found
    variance = np.diag(within)
    assert (np.diff(variance) > -1e-3 * variance.max()).all()  # finest first
    # The grids of both periods differ a little.
    off = (within - np.diag(variance)) / np.sqrt(np.outer(variance, variance))
    assert np.abs(off).max() < 0.05


def test_scale_and_offset():
    image = noisy(photograph("camera", GAUSSIAN), 3.0)
    once = estimate_noise(image).sigma
    for scale in (1e-12, 1e-3, 1e12):
        assert estimate_noise(scale * image).sigma == pytest.approx(scale * once, rel=1e-6)
    assert estimate_noise(image + 1000).sigma == pytest.approx(once, rel=1e-6)
    assert estimate_noise(image[::-1, ::-1]).sigma == pytest.approx(once, rel=0.05)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "int64"])
def test_types(dtype):
    image = np.rint(noisy(photograph("camera", GAUSSIAN), 5.0)).clip(0, 255).astype(dtype)
    found = estimate_noise(image)
    assert found.sigma == pytest.approx(math.sqrt(25 + 1 / 12), rel=0.05)
    assert all(type(value) is float for value in found)


def test_array_kinds(kind):
    image = noisy(photograph("camera", GAUSSIAN), 5.0)
    for model in ("gaussian", "poisson-gaussian"):
        wanted = estimate_noise(image, model=model, psf=GAUSSIAN)
        assert estimate_noise(kind.array(image), model=model, psf=kind.array(GAUSSIAN)) == wanted


def test_operators_in_place_of_a_psf():
    image = noisy(photograph("coins", GAUSSIAN), 5.0)
    wanted = estimate_noise(image, psf=GAUSSIAN).sigma
    assert estimate_noise(image, psf=sigdeconv.Convolution(GAUSSIAN, image.shape)).sigma == wanted
    otf = sigdeconv.psf_to_otf(GAUSSIAN, image.shape)
    blur = sigdeconv.Convolution.from_otf(otf, image.shape)
    assert estimate_noise(image, psf=blur).sigma == pytest.approx(wanted, rel=0.02)


def test_a_coarse_sampling_is_told_from_noise():
    scene, motion = photograph("camera"), sigdeconv.psf.motion(9.0, 30.0)
    blur = sigdeconv.Convolution(motion, (120, 80), boundary="reflect", stride=(2, 3))
    image = noisy(blur(scene), 1.5)
    known, unknown = estimate_noise(image, psf=blur).sigma, estimate_noise(image).sigma
    assert abs(known - 1.5) < 0.8 * abs(unknown - 1.5)
    assert known == pytest.approx(1.5, rel=0.15)


def test_colours_and_batch():
    rng = np.random.default_rng(3)
    image = np.stack([photograph("camera", GAUSSIAN)] * 3, axis=-1)
    image += rng.normal(0, 1, image.shape) * np.array([2.0, 4.0, 6.0])
    wanted = math.sqrt((4 + 16 + 36) / 3)
    assert estimate_noise(image, channel_axis=-1).sigma == pytest.approx(wanted, rel=0.03)
    assert estimate_noise(image, psf=GAUSSIAN, channel_axis=-1).sigma == pytest.approx(wanted, rel=0.03)
    stack = noisy(np.stack([photograph("camera", GAUSSIAN), photograph("coins", GAUSSIAN)]), 3.0)
    for options in ({"ndim": 2}, {"psf": GAUSSIAN}):
        assert estimate_noise(stack, **options).sigma == pytest.approx(3.0, rel=0.03)


def test_borders_and_saturation_are_no_evidence():
    clean = photograph("camera", GAUSSIAN)
    image = noisy(clean, 4.0)
    framed = np.zeros((360, 360))
    framed[50 : 50 + len(image), 60 : 60 + len(image)] = image
    assert estimate_noise(framed).sigma == pytest.approx(4.0, rel=0.05)
    signed = framed - 0.0
    signed[50 : 50 + len(image), 60 : 60 + len(image)] -= clean.mean()
    assert estimate_noise(signed).sigma == pytest.approx(4.0, rel=0.05)
    bright = (noisy(clean * 1.6, 4.0)).clip(0, 255)
    assert np.mean(bright == 255) > 0.2
    assert estimate_noise(bright).sigma == pytest.approx(4.0, rel=0.05)
    assert estimate_noise(np.rint(bright).astype("uint8")).sigma == pytest.approx(4.0, rel=0.05)


def test_no_noise():
    for model in ("gaussian", "poisson-gaussian"):
        for value in (0.0, 3.0):
            assert estimate_noise(np.full((40, 40), value), model=model) == NoiseLevel(0.0, 0.0, 0.0, 0.0)
    steps = np.kron(np.arange(36.0).reshape(6, 6), np.ones((30, 30)))
    assert estimate_noise(steps).sigma < 1e-9
    assert estimate_noise(photograph("camera", sigdeconv.psf.gaussian((17, 17), 2.5))).sigma < 0.05


@pytest.mark.parametrize("shape", [(16,), (8, 8), (1, 50), (4, 4), (3, 3, 3)])
def test_tiny(shape):
    found = [estimate_noise(noisy(np.zeros(shape), 2.0, seed)) for seed in range(20)]
    assert 1.0 < np.sqrt(np.mean([f.sigma**2 for f in found])) < 2.6
    assert min(f.sigma for f in found) > 0.2
    counts = np.random.default_rng(0).poisson(50, shape)
    assert 1.0 < estimate_noise(counts, model="poisson-gaussian").sigma < 30


def counts(scene: np.ndarray, gain: float, photons: float, read_noise: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    light = np.maximum(scene, 0) * photons / scene.max()
    return gain * (rng.poisson(light) + rng.normal(0, read_noise, scene.shape))


@pytest.mark.parametrize(
    ("gain", "photons", "read_noise"), [(0.2, 20, 0), (1, 100, 0), (1, 1000, 2), (0.2, 200, 5), (5, 3000, 5)]
)
@pytest.mark.parametrize("name", ["camera", "coins"])
def test_photons_of_blurred_scenes(name, gain, photons, read_noise):
    scene = photograph(name, GAUSSIAN)
    found = estimate_noise(counts(scene, gain, photons, read_noise), model="poisson-gaussian")
    # Where read noise outweighs the photons, a few hundred patches tell the slope to about 10 % only.
    assert found.gain == pytest.approx(gain, rel=0.25 if read_noise == 5 and photons == 200 else 0.1)
    assert found.offset == 0
    total = gain * math.sqrt(photons * scene.mean() / scene.max() + read_noise**2)
    assert found.sigma == pytest.approx(total, rel=0.05)
    if read_noise**2 > 0.1 * photons:
        assert found.read_noise == pytest.approx(gain * read_noise, rel=0.1)


def test_photons_of_volumes():
    spheres = sigdeconv.simulate.hollow_spheres((28, 70, 70), num=16, radius=7.0, rng=0) + 0.05
    scene = sigdeconv.simulate.through_frame(spheres, sigdeconv.psf.gaussian((7, 7, 7), 1.2)).blurred
    found = estimate_noise(counts(scene, 2.0, 100, 1.0), model="poisson-gaussian")
    assert found.gain == pytest.approx(2.0, rel=0.1)


def test_photons_of_sharp_scenes():
    for name in ("camera", "cell"):
        scene = photograph(name)
        found = estimate_noise(counts(scene, 0.5, 100, 0.0), model="poisson-gaussian")
        assert found.gain == pytest.approx(0.5, rel=0.1)


def test_the_line_through_all_brightnesses_beats_the_lower_edge():
    for photons in (20, 100):
        found = estimate_noise(counts(photograph("moon"), 1.0, photons, 0.0, seed=1), model="poisson-gaussian")
        assert found.gain == pytest.approx(1.0, rel=0.05)  # the first line alone is off by 8 to 11 % here


def test_offset_of_a_camera():
    scene = photograph("camera", GAUSSIAN)
    found = estimate_noise(100 + counts(scene, 1.0, 200, 2.0), model="poisson-gaussian")
    assert found.gain == pytest.approx(1.0, rel=0.1)
    assert found.offset == pytest.approx(100 - 4, abs=5)  # read noise acts as an offset lower by its variance over gain
    assert found.read_noise == 0
    assert found.sigma == pytest.approx(math.sqrt(200 * scene.mean() / scene.max() + 4), rel=0.05)


def test_gaussian_noise_has_no_gain():
    found = estimate_noise(noisy(photograph("camera", GAUSSIAN), 5.0), model="poisson-gaussian")
    assert found.sigma == pytest.approx(5.0, rel=0.05)
    assert found.gain * 100 < 0.1 * 25


def test_line_through_exact_variances():
    """Patches drawn from the model itself: slope and intercept come back, with most of them textured."""
    rng = np.random.default_rng(4)
    mean = rng.uniform(0.05, 1.0, 20000)
    z = rng.standard_normal((20000, 32)) * np.sqrt(0.02 * mean + 0.001)[:, None]
    z[rng.random(20000) < 0.5] *= 2.0
    slope, floor = photon_line(Patches(z[:, :16], np.sum(z[:, 16:] ** 2, axis=1), mean, 1.0))
    assert slope == pytest.approx(0.02, rel=0.05)
    assert floor == pytest.approx(0.001, abs=0.0005)


def test_gaussian_fields():
    found = estimate_noise(noisy(np.zeros((64, 64)), 1.0))
    assert found.read_noise == found.sigma
    assert found.gain == found.offset == 0


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (ValueError, "model is 'poisson'; pass 'poisson-gaussian'", {"model": "poisson"}),
        (ValueError, "model is 3; pass one of", {"model": 3}),
        (ValueError, "psf has 3 dimensions but image has 2", {"psf": np.ones((3, 3, 3))}),
        (ValueError, "psf is zero everywhere", {"psf": np.zeros((3, 3))}),
        (ValueError, "ndim is 1 but psf has 2", {"psf": np.ones((3, 3)), "ndim": 1}),
        (ValueError, "ndim is 3 but image has 2", {"ndim": 3}),
        (TypeError, "ndim is 1.5", {"ndim": 1.5}),
        (ValueError, "channel_axis is 5", {"channel_axis": 5}),
        (ValueError, "psf has 4 dimensions", {"psf": np.ones((1, 1, 3, 3))}),
        (ValueError, "1 NaN", {"image": np.where(np.eye(20) * np.arange(20) == 3, np.nan, 0.0)}),
        (ValueError, "at least 16 samples", {"image": np.arange(15.0)}),
        (ValueError, "0 dimensions", {"image": np.float64(3.0)}),
        (TypeError, "complex|real numbers", {"image": np.ones((9, 9), complex)}),
    ],
)
def test_errors(error, message, arguments):
    arguments = {"image": np.arange(400.0).reshape(20, 20)} | arguments
    with pytest.raises(error, match=message):
        estimate_noise(arguments.pop("image"), **arguments)
