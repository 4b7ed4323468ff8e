"""The PSF from beads: simulated stacks whose positions and PSF are known, and a real one."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import ndtr

from sigdeconv.psf import from_beads


def bead(shape, centre, sigma):
    """A Gaussian bead of height about 1, integrated over the pixels."""
    result = np.ones(())
    for n, c, s in zip(shape, centre, sigma, strict=True):
        x = np.arange(n) - c
        result = result[..., None] * (ndtr((x + 0.5) / s) - ndtr((x - 0.5) / s)) * np.sqrt(2 * np.pi) * s
    return result


def truth(shape, sigma):
    psf = bead(shape, [n // 2 for n in shape], sigma)
    return psf / psf.sum()


def error(psf, sigma):
    expected = truth(psf.shape, sigma)
    return np.linalg.norm(psf - expected) / np.linalg.norm(expected)


def scene(shape, sigma, centres, peak, background, rng=None):
    image = np.full(shape, float(background))
    for k, centre in enumerate(centres):
        image += peak * (1 - 0.05 * k) * bead(shape, centre, sigma)
    return image if rng is None else rng.poisson(image).astype(np.float64)


def off(found, centres):
    """Distance of each found position from the nearest true one, axis by axis."""
    found = np.asarray(found)[:, None] - np.asarray(centres)
    nearest = (found**2).sum(axis=-1).argmin(axis=1)
    assert len(set(nearest)) == len(nearest), "two beads at one place"
    return found[np.arange(len(nearest)), nearest]


PLANE = [(30.2, 31.7), (29.9, 90.5), (88.45, 33.1), (90.0, 92.3), (60.6, 61.25), (30.75, 140.15), (92.1, 139.6)]
VOLUME = [(15.3, 20.7, 21.2), (17.5, 21.1, 60.4), (20.9, 61.8, 20.45), (24.25, 59.5, 61.0)]


@pytest.mark.parametrize("size", [(21, 21), (20, 23)])
def test_noise_free_beads_give_positions_and_psf(size):
    result = from_beads(scene((120, 171), (2, 1.5), PLANE, 500, 20), size)
    assert result.num_used == len(PLANE)
    assert result.rejected == {}
    assert np.abs(off(result.positions, PLANE)).max() < 1e-3
    assert result.psf.shape == size
    assert result.psf.dtype == np.float64
    assert result.psf.sum() == pytest.approx(1, abs=1e-12)
    assert error(result.psf, (2, 1.5)) < 2e-3


def test_brightest_first():
    result = from_beads(scene((120, 171), (2, 2), PLANE, 500, 20), 21)
    np.testing.assert_allclose(result.positions, PLANE, atol=1e-2)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_photon_noise_in_the_plane(sigma):
    rng = np.random.default_rng(7)
    result = from_beads(scene((120, 171), (sigma, sigma), PLANE, 1000, 30, rng))
    assert result.num_used == len(PLANE)
    deviation = off(result.positions, PLANE)
    assert np.abs(deviation).max() < 0.1
    assert np.sqrt((deviation**2).mean()) < 0.05
    assert error(result.psf, (sigma, sigma)) < 0.03


@pytest.mark.parametrize("size", [None, (15, 13, 13), (14, 12, 13)])
def test_photon_noise_in_space(size):
    rng = np.random.default_rng(8)
    sigma = (2.0, 1.5, 1.3)
    result = from_beads(scene((40, 80, 81), sigma, VOLUME, 1000, 20, rng), size)
    assert result.num_used == 4
    assert np.abs(off(result.positions, VOLUME)).max() < 0.05
    assert error(result.psf, sigma) < 0.06
    assert result.psf.min() >= 0
    peak = np.unravel_index(result.psf.argmax(), result.psf.shape)
    assert peak == tuple(n // 2 for n in result.psf.shape)


def test_an_asymmetric_psf_keeps_its_shape():
    # A comatic spot: the same asymmetric sum of Gaussians at every position must come back, wherever its centre is put.
    rng = np.random.default_rng(9)

    def spot(shape, centre):
        y, x = centre
        return bead(shape, (y, x), (1.6, 1.6)) + 0.3 * bead(shape, (y + 3, x), (2, 2))

    image = 20.0 + sum(2000 * spot((120, 171), c) for c in PLANE)
    result = from_beads(rng.poisson(image).astype(float), 25)
    deviation = off(result.positions, PLANE)
    assert deviation.std(axis=0).max() < 0.03, "all beads are centred alike"
    shift = deviation.mean(axis=0)
    expected = spot((25, 25), (12 - shift[0], 12 - shift[1]))
    expected /= expected.sum()
    assert np.linalg.norm(result.psf - expected) / np.linalg.norm(expected) < 0.03


def test_a_sloping_background_is_removed():
    y, x = np.mgrid[:120, :171]
    result = from_beads(scene((120, 171), (2, 2), PLANE, 500, 20) + 0.5 * y - 0.2 * x, 21)
    assert result.num_used == len(PLANE)
    assert error(result.psf, (2, 2)) < 5e-3


def test_beads_that_cannot_serve_are_left_out():
    rng = np.random.default_rng(10)
    frame, sigma = (160, 201), (2.0, 2.0)
    extra = {
        "too near to the frame": [(2.5, 100.0)],
        "too near to another bead": [(140.0, 40.0), (140.0, 49.5)],
        "unlike the others": [(138.0, 150.0), (138.0, 155.0)],  # one blob, too wide
    }
    image = scene(frame, sigma, PLANE, 800, 20) - 20
    for centres in extra.values():
        image += scene(frame, sigma, centres, 500, 0)
    image[140, 100] += 1e5  # a hot pixel
    result = from_beads(rng.poisson(image + 20).astype(np.float32), 21)
    assert result.rejected == {
        "too near to the frame": 1,
        "too near to another bead": 2,
        "unlike the others": 1,
    }
    assert result.num_used == len(PLANE)
    assert np.abs(off(result.positions, PLANE)).max() < 0.1
    assert result.psf.dtype == np.float32
    assert error(result.psf, sigma) < 0.05


def test_light_of_neighbours_stays_out_of_the_psf():
    # Beads 3.2 widths apart stand in each other's windows.
    sigma = (2.0, 2.0)
    centres = [(40.3, 40.0), (40.0, 55.3), (80.4, 40.2), (100.0, 47.1)]
    result = from_beads(scene((140, 100), sigma, centres, 1000, 10), 31)
    assert result.num_used == 4
    assert error(result.psf, sigma) < 0.01


def test_one_dirty_window_does_not_reach_the_average():
    image = scene((120, 171), (2, 2), PLANE, 500, 20)
    clean = from_beads(image, 21).psf
    image[55:58, 66:69] += 30  # too faint to be a bead, inside one window
    np.testing.assert_allclose(from_beads(image, 21).psf, clean, atol=2e-3 * clean.max())


def test_saturated_beads_are_left_out():
    image = scene((120, 171), (2, 2), PLANE, 300, 20)
    image[30, 31] = 400
    eight_bit = from_beads(np.minimum(image, 255).astype(np.uint8), 21)
    bright = sum(300 * (1 - 0.05 * k) * bead((120, 171), c, (2, 2)).max() + 20 >= 255 for k, c in enumerate(PLANE))
    assert 0 < bright < len(PLANE)
    assert eight_bit.rejected == {"saturated": bright}
    twelve_bit = from_beads(np.minimum(image, 255).astype(np.uint16), 21)
    assert twelve_bit.rejected == {"saturated": bright}, "a plateau below the dtype's maximum"
    given = from_beads(image, 21, saturation=255)
    assert given.rejected == {"saturated": bright}
    assert from_beads(np.rint(image - 20).astype(np.uint16), 21).rejected == {}, "no plateau"
    with pytest.raises(ValueError, match="of 7 found, 7 saturated"):
        from_beads(np.minimum(image, 60), 21)


def test_options():
    image = scene((120, 171), (2, 2), PLANE, 500, 20)
    few = from_beads(image, 21, max_beads=2)
    assert few.num_used == 2
    assert few.rejected == {"beyond max_beads": 5}
    np.testing.assert_allclose(few.positions, PLANE[:2], atol=1e-2)
    assert from_beads(image, 21, threshold=20 + 0.7 * 500).num_used in range(2, 6)
    apart = from_beads(image, 21, min_distance=(10, 55))
    assert apart.rejected == {"too near to another bead": 4}  # two pairs 50 apart in x
    assert from_beads(image, 21, min_distance=5).num_used == len(PLANE)


def test_default_shape_holds_the_light_and_shrinks_for_beads_near_the_frame():
    image = scene((120, 171), (2, 2), PLANE, 500, 20)
    wide = from_beads(image).psf
    assert all(n % 2 for n in wide.shape)
    assert max(wide.shape) <= 19, "seven widths are 35 samples, most of them dark"
    assert truth((61, 61), (2, 2))[30 - wide.shape[0] // 2 :][: wide.shape[0]].sum() > 0.995
    near = from_beads(image[20:, 20:])
    assert near.num_used == len(PLANE)
    assert near.psf.shape[0] <= 2 * 10 + 1


@pytest.mark.parametrize("factor", [1e-200, 1e-6, 1e6, 1e200])
def test_units_do_not_matter(factor):
    image = scene((120, 171), (2, 2), PLANE, 500, 20, np.random.default_rng(11))
    expected, result = from_beads(image, 21), from_beads(image * factor, 21)
    np.testing.assert_allclose(result.psf, expected.psf, atol=1e-9)
    np.testing.assert_allclose(result.positions, expected.positions, atol=1e-6)


def test_the_stack_is_not_changed():
    image = scene((120, 171), (2, 2), PLANE, 500, 20)
    before = image.copy()
    image.flags.writeable = False
    from_beads(image, 21)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("stack", "options", "failure", "words"),
    [
        (np.ones((30, 30)), {}, ValueError, "stack has no bead .*pass a lower threshold"),
        (np.random.default_rng(0).normal(size=(60, 60)), {}, ValueError, "stack has no bead"),
        (np.random.default_rng(0).poisson(3, size=(20, 30, 30)), {}, ValueError, "stack has no bead"),
        (np.ones(30), {}, ValueError, "stack has 1 dimensions; 2 or 3"),
        (np.ones((30, 30)), {"shape": 31}, ValueError, r"shape is \(31, 31\) but stack has shape \(30, 30\)"),
        (np.ones((30, 30)), {"shape": (3, 3, 3)}, ValueError, "shape has 3 entries"),
        (np.ones((30, 30)), {"max_beads": 0}, ValueError, "max_beads is 0"),
        (np.ones((30, 30)), {"threshold": "low"}, TypeError, "threshold is 'low'"),
        (np.ones((30, 30)), {"min_distance": -1}, ValueError, "min_distance is -1"),
        (np.ones((30, 30)), {"min_distance": (1, 2, 3)}, ValueError, "min_distance has 3 entries"),
        (np.ones((30, 30)), {"saturation": np.nan}, ValueError, "saturation is nan"),
        (np.full((30, 30), np.nan), {}, ValueError, "stack has 900 NaN"),
        (scene((40, 40), (2, 2), [(4, 20)], 500, 10), {}, ValueError, "of 1 found, 1 too near to the frame; pass"),
    ],
)
def test_wrong_calls_name_what_is_wrong(stack, options, failure, words):
    with pytest.raises(failure, match=words):
        from_beads(stack, **options)


def test_a_tensor_is_refused_by_name():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"stack is a torch\.Tensor; a NumPy array"):
        from_beads(torch.ones((30, 30)))


@pytest.fixture(scope="module")
def confocal():
    folders = [os.environ.get("SIGDECONV_DATA"), Path(__file__).parents[2] / "shared" / "data"]
    for folder in filter(None, folders):
        path = Path(folder) / "confocal_beads.tif"
        if path.exists():
            return pytest.importorskip("tifffile").imread(path)
    pytest.skip("confocal_beads.tif is absent; set SIGDECONV_DATA to the folder that holds it")


def test_real_confocal_beads(confocal):
    result = from_beads(confocal)
    assert result.num_used == 4
    assert result.psf.dtype == np.float32
    assert result.psf.min() >= 0
    assert result.psf.sum() == pytest.approx(1, abs=1e-5)
    # Where the eye finds them.
    assert np.abs(off(result.positions, [(23, 82, 76), (23, 73, 30), (23, 112, 44), (24, 36, 125)])).max() < 1
    # Nothing of the frame is left at the border, and the peak is near the origin (the spot is tilted in z).
    assert all(2 * w < n for n, w in zip(result.psf.shape, (5, 11, 8), strict=True))
    peak = np.unravel_index(result.psf.argmax(), result.psf.shape)
    assert all(abs(p - n // 2) <= 1 for p, n in zip(peak, result.psf.shape, strict=True))


def test_real_beads_are_what_the_psf_of_the_others_predicts(confocal):
    # Measure from the three others (the fourth painted over), then explain the fourth.
    result = from_beads(confocal, (21, 41, 41))
    z, y, x = np.rint(result.positions[0]).astype(int)
    window = confocal[z - 10 : z + 11, y - 20 : y + 21, x - 20 : x + 21].astype(float)
    without = confocal.copy()
    without[:, y - 26 : y + 27, x - 22 : x + 30] = 1
    others = from_beads(without, (21, 41, 41))
    assert others.num_used == 3
    window = ndimage.shift(window, (np.rint(result.positions) - result.positions)[0], order=3)
    a, b = (window - np.median(window)).ravel(), others.psf.ravel()
    assert a @ b / np.sqrt((a @ a) * (b @ b)) > 0.99
