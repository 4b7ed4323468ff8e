"""Simulated data: the noise has the strength that was asked for, and the phantoms what they promise."""

from __future__ import annotations

import numpy as np
import pytest

import sigdeconv
from sigdeconv import simulate


def test_through_frame_is_the_valid_part_of_the_convolution():
    from scipy.signal import convolve

    rng = np.random.default_rng(0)
    scene, psf = rng.random((20, 17)), rng.random((4, 5))
    truth, blurred = simulate.through_frame(scene, psf)
    np.testing.assert_allclose(blurred, convolve(scene, psf, mode="valid"), atol=1e-12)
    # The PSF's origin is its sample n // 2, so the frame begins k - 1 - k // 2 samples into the scene.
    np.testing.assert_array_equal(truth, scene[1:18, 2:15])


def test_blur_keeps_the_shape_and_refuses_the_unknown_boundary():
    assert simulate.blur(np.ones((9, 8)), np.ones((3, 3)) / 9).shape == (9, 8)
    with pytest.raises(ValueError, match="use through_frame"):
        simulate.blur(np.ones((9, 8)), np.ones((3, 3)) / 9, boundary="free")


def test_gaussian_noise_has_the_strength_asked_for():
    image = np.random.default_rng(0).random((300, 300))
    noise = simulate.gaussian_noise(image, sigma=0.5, rng=1) - image
    assert noise.std() == pytest.approx(0.5, rel=0.01)
    noise = simulate.gaussian_noise(image, bsnr=20, rng=1) - image
    assert 10 * np.log10(image.var() / noise.var()) == pytest.approx(20, abs=0.05)


def test_poisson_noise_has_the_mean_and_the_variance_of_light():
    image = np.full((400, 300), 0.5)
    counts = simulate.poisson_noise(image, photons=40, background=5, rng=0)
    assert counts.mean() == pytest.approx(45, rel=0.01)
    assert counts.var() == pytest.approx(45, rel=0.02)
    assert np.array_equal(counts, np.rint(counts))
    noisy = simulate.poisson_noise(image, photons=40, read_noise=3, rng=0)
    assert noisy.var() == pytest.approx(40 + 9, rel=0.02)
    assert simulate.poisson_noise(np.full(10000, 7.0), rng=0).mean() == pytest.approx(7, rel=0.02)


@pytest.mark.parametrize(
    "call",
    [
        lambda rng: simulate.gaussian_noise(np.ones(50), sigma=1, rng=rng),
        lambda rng: simulate.poisson_noise(np.ones(50), rng=rng),
        lambda rng: simulate.spikes(50, rng=rng),
        lambda rng: simulate.spectrum(50, rng=rng),
        lambda rng: simulate.stars((20, 30), rng=rng),
        lambda rng: simulate.hollow_spheres((12, 13, 14), rng=rng),
    ],
)
def test_a_seed_repeats_and_another_differs(call):
    np.testing.assert_array_equal(call(3), call(np.random.default_rng(3)))
    assert not np.array_equal(call(3), call(4))


def test_kind_and_dtype_are_kept():
    torch = pytest.importorskip("torch")
    image = torch.ones((8, 9), dtype=torch.float32)
    for result in (
        simulate.gaussian_noise(image, sigma=0.1, rng=0),
        simulate.poisson_noise(image, photons=9, rng=0),
        simulate.blur(image, np.ones((3, 3)) / 9),
        *simulate.through_frame(image, np.ones((3, 3)) / 9),
    ):
        assert isinstance(result, torch.Tensor)
        assert result.dtype == torch.float32


def test_phantoms_are_what_they_promise():
    assert np.count_nonzero(simulate.spikes(100, num=7, rng=0)) == 7
    line = simulate.spectrum(200, rng=0)
    assert line.shape == (200,)
    assert line.min() > 0
    assert line.max() == 1
    field = simulate.stars((40, 50), num=30, rng=0)
    assert field.max() == 1
    assert 25 <= np.count_nonzero(field) <= 30
    star = simulate.siemens_star((64, 64), spokes=8)
    # An even number of spokes: half a turn changes nothing but the samples on an edge itself.
    assert np.mean(star == star[::-1, ::-1]) > 0.97
    assert star[32, :].std() > 0.1
    bars = simulate.hollow_bars()
    assert bars.shape == (32, 64, 64)
    assert set(np.unique(bars)) == {0.0, 1.0}
    middle = bars[:, 32, :]
    assert middle[15:17, 6].max() == 0  # the inside of the first bar is dark
    assert middle[:, 6].max() == 1  # and its wall is bright
    shells = simulate.hollow_spheres((30, 31, 32), num=1, radius=6, rng=0)
    assert 0.5 < shells.sum() / (4 * np.pi * 36 * 1.5) < 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simulate.gaussian_noise(np.ones(3)), "pass one of the two"),
        (lambda: simulate.gaussian_noise(np.ones(3), sigma=-1), "sigma is -1"),
        (lambda: simulate.poisson_noise(np.array([1.0, -1.0])), "image has negative samples"),
        (lambda: simulate.poisson_noise(np.zeros(3), photons=5), "image is dark everywhere"),
        (lambda: simulate.through_frame(np.ones((3, 3)), np.ones((5, 5))), "leaves no frame"),
        (lambda: simulate.spikes(0), "length is 0"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_names_are_exported():
    assert sigdeconv.simulate is simulate
