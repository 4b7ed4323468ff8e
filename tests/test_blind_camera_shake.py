"""Finding the PSF of a shake: each step against an independent truth, then whole photographs."""

from __future__ import annotations

import numpy as np
import pytest

import sigdeconv
from sigdeconv.deconvolution.blind import _shake_psf
from sigdeconv.deconvolution.blind._few_edges import FewEdges
from sigdeconv.deconvolution.blind._shake_psf import centered, cleaned, fitted, rescaled


def photograph(side: int) -> np.ndarray:
    from skimage.data import camera

    return camera()[60 : 60 + side, 140 : 140 + side].astype(float)


def shaken(
    side: int = 160, taps: int = 13, seed: int = 2, sigma: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, image, PSF."""
    psf = sigdeconv.psf.shake(taps, rng=seed)
    truth, blurred = sigdeconv.simulate.through_frame(photograph(side + taps - 1), psf)
    return truth, sigdeconv.simulate.gaussian_noise(blurred, sigma=sigma, rng=0), psf


def likeness(found: np.ndarray, true: np.ndarray) -> float:
    """The largest normalised correlation over all shifts."""
    from scipy.signal import fftconvolve

    both = fftconvolve(found, true[::-1, ::-1]).max()
    return float(both / np.linalg.norm(found) / np.linalg.norm(true))


def keep_image(image, psf):
    return image


class TestShakes:
    @pytest.mark.parametrize("shape", [15, (15, 21), (16, 24), 3])
    def test_are_light_with_the_centroid_at_the_origin(self, shape):
        psf = sigdeconv.psf.shake(shape, rng=0)
        assert psf.shape == ((shape, shape) if isinstance(shape, int) else shape)
        assert psf.min() >= 0
        assert psf.sum() == pytest.approx(1)
        centroid = [(np.indices(psf.shape)[a] * psf).sum() - psf.shape[a] // 2 for a in (0, 1)]
        np.testing.assert_allclose(centroid, 0, atol=1e-10)

    def test_reach_the_border_of_the_array_but_for_one_sample(self):
        for seed in range(5):
            psf = sigdeconv.psf.shake(25, rng=seed)
            rim = np.ones((25, 25), bool)
            rim[2:-2, 2:-2] = False
            assert psf[rim].sum() > 0

    def test_are_the_straighter_the_straighter_they_are_asked_for(self):
        def spread(straightness):
            ratios = []
            for seed in range(20):
                h = sigdeconv.psf.shake(31, straightness=straightness, rng=seed)
                at = np.argwhere(h > 0) - 15.0
                weights = h[h > 0]
                moments = np.linalg.eigvalsh((at * weights[:, None]).T @ at)
                ratios.append(moments[0] / moments[1])
            return np.mean(ratios)

        assert spread(1.0) < 0.6 * spread(0.0)

    def test_depend_on_the_seed_alone(self):
        np.testing.assert_array_equal(sigdeconv.psf.shake(15, rng=3), sigdeconv.psf.shake(15, rng=3))
        assert np.abs(sigdeconv.psf.shake(15, rng=3) - sigdeconv.psf.shake(15, rng=4)).sum() > 0.5

    @pytest.mark.parametrize("shape", [2, (5,), (5, 5, 5), (2, 9)])
    def test_refuse_other_shapes(self, shape):
        with pytest.raises(ValueError, match="shape"):
            sigdeconv.psf.shake(shape)

    def test_refuse_other_straightness(self):
        with pytest.raises(ValueError, match="straightness is 2"):
            sigdeconv.psf.shake(9, straightness=2.0)


class TestFit:
    def test_is_the_nonnegative_least_squares_solution(self, monkeypatch):
        from scipy.optimize import nnls

        monkeypatch.setattr(_shake_psf, "FIT_ITER", 2000)
        rng = np.random.default_rng(0)
        scene, data, taps = rng.standard_normal((2, 12, 11)), rng.standard_normal((2, 12, 11)), (3, 5)
        rows, right = [], []
        for s, d in zip(scene, data, strict=True):
            for y in range(1, 11):
                for x in range(2, 9):
                    rows.append(s[y - 1 : y + 2, x - 2 : x + 3][::-1, ::-1].ravel())
                    right.append(d[y, x])
        ridge = np.sqrt(_shake_psf.RIDGE * (scene**2).sum())
        matrix = np.vstack([rows, ridge * np.eye(15)])
        wanted, _ = nnls(matrix, np.concatenate([right, np.zeros(15)]))
        found = fitted(scene, data, np.full(taps, 1 / 15))
        np.testing.assert_allclose(found, wanted.reshape(taps), atol=1e-5)

    def test_a_flat_scene_leaves_the_guess(self):
        guess = np.full((3, 3), 1 / 9)
        np.testing.assert_array_equal(fitted(np.zeros((2, 9, 9)), np.ones((2, 9, 9)), guess), guess)


class TestHousekeeping:
    def test_cleaning_takes_crumbs_and_faint_samples(self):
        psf = np.zeros((9, 9))
        psf[3:6, 4], psf[4, 5], psf[0, 0] = 1.0, 0.02, 0.1
        clean = cleaned(psf)
        assert clean.sum() == pytest.approx(1)
        np.testing.assert_array_equal(np.argwhere(clean > 0), [[3, 4], [4, 4], [5, 4]])

    def test_a_psf_of_separate_equal_pieces_survives(self):
        psf = np.zeros((41, 41))
        psf[::4, ::4] = 1.0
        assert (cleaned(psf) > 0).sum() == (psf > 0).sum()

    def test_centering_moves_by_whole_pixels(self):
        psf = np.zeros((7, 9))
        psf[1, 6], psf[1, 7] = 0.6, 0.4
        np.testing.assert_array_equal(np.argwhere(centered(psf) > 0), [[3, 4], [3, 5]])

    def test_rescaling_keeps_origin_sum_and_width(self):
        psf = sigdeconv.psf.gaussian((21, 21), 3.0)
        wide = rescaled(psf, (31, 31), 1.5)
        offsets = np.arange(31) - 15.0
        assert wide.sum() == pytest.approx(1)
        assert offsets @ wide.sum(0) == pytest.approx(0, abs=1e-12)
        assert np.sqrt(offsets**2 @ wide.sum(0)) == pytest.approx(4.5, rel=0.03)
        np.testing.assert_allclose(rescaled(psf, (21, 21), 1.0), psf)


def test_the_scene_of_few_edges_is_the_scene_if_it_has_few():
    scene = np.kron(np.random.default_rng(0).random((5, 6)), np.ones((10, 10)))
    psf = sigdeconv.psf.shake(9, rng=1)
    problem = FewEdges.of(sigdeconv.simulate.through_frame(scene, psf).blurred, psf.shape)
    found = problem.solve(sigdeconv.psf_to_otf(psf, problem.grid), 1e-4)[:42, :52]
    inner = (slice(8, -8),) * 2
    blurred = np.abs(problem.image[:42, :52] - scene[4:-4, 4:-4])[inner].mean()
    assert np.abs(found - scene[4:-4, 4:-4])[inner].mean() < 0.1 * blurred


@pytest.mark.parametrize("sigma", [0.0, 2.55])
def test_finds_the_shake_of_a_photograph(sigma):
    from experiments.blind import SUCCESS, aligned_error

    truth, image, psf = shaken(sigma=sigma)
    found = sigdeconv.blind_camera_shake(image, 19, restore=keep_image).psf
    assert found.shape == (19, 19)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)
    assert likeness(found, psf) > 0.85
    known, blind = (aligned_error(truth, sigdeconv.total_variation(image, h, weight=0.2)) for h in (psf, found))
    assert blind < SUCCESS * known < 0.6 * aligned_error(truth, image)


def test_the_image_is_restored_by_default():
    from experiments.blind import aligned_error

    truth, image, _ = shaken(side=96, taps=9, sigma=2.0)
    found = sigdeconv.blind_camera_shake(image, 13)
    np.testing.assert_array_equal(found.image, sigdeconv.hyper_laplacian(image, found.psf))
    assert aligned_error(truth, found.image) < 0.6 * aligned_error(truth, image)


def test_the_size_is_chosen_if_it_is_not_given():
    _, image, psf = shaken(side=110, taps=11, seed=5, sigma=1.0)
    found = sigdeconv.blind_camera_shake(image, restore=keep_image)
    assert likeness(found.psf, psf) > 0.8


def test_gain_offset_and_kind_do_not_matter():
    _, image, _ = shaken(side=96, taps=9)
    plain = sigdeconv.blind_camera_shake(image, 13, restore=keep_image).psf
    bright = sigdeconv.blind_camera_shake(1000 * image + 7, 13, restore=keep_image).psf
    single = sigdeconv.blind_camera_shake(image.astype(np.float32), 13, restore=keep_image).psf
    whole = sigdeconv.blind_camera_shake(np.round(image).astype(np.uint8), 13, restore=keep_image).psf
    np.testing.assert_allclose(bright, plain, atol=1e-6)
    np.testing.assert_allclose(single, plain, atol=0.02)
    assert single.dtype == np.float32
    assert likeness(whole, plain) > 0.9


def test_even_shapes_keep_the_origin():
    _, image, _ = shaken(side=96, taps=9)
    odd = sigdeconv.blind_camera_shake(image, (13, 15), restore=keep_image).psf
    even = sigdeconv.blind_camera_shake(image, (14, 16), restore=keep_image).psf
    np.testing.assert_array_equal(even[1:, 1:], odd)
    assert not even[0].any()
    assert not even[:, 0].any()


def test_colours_share_the_shake_and_torch_comes_back_as_torch():
    torch = pytest.importorskip("torch")
    _, image, _ = shaken(side=96, taps=9)
    colours = np.stack([image, 0.5 * image + 20, 255 - image], axis=-1)
    seen = []

    def restore(y, h):
        seen.append((y.shape, h.shape))
        return y

    psf = sigdeconv.blind_camera_shake(colours, 13, restore=restore, channel_axis=-1).psf
    np.testing.assert_allclose(psf, sigdeconv.blind_camera_shake(image, 13, restore=keep_image).psf, atol=1e-6)
    assert seen == [((96, 96, 3), (13, 13))]
    found = sigdeconv.blind_camera_shake(torch.asarray(image), 13, restore=keep_image)
    assert isinstance(found.psf, torch.Tensor)
    np.testing.assert_allclose(found.psf.numpy(), psf, atol=1e-6)


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.ones((64, 64)), {}, "image is flat"),
        (np.ones((20, 64)), {}, "at least twice as many"),
        (np.ones((64, 64)), {"psf_shape": 40}, "at least twice as many"),
        (np.ones((64, 64)), {"psf_shape": 2}, "psf_shape"),
        (np.ones((64, 64)), {"psf_shape": (5, 5, 5)}, "psf_shape"),
        (np.ones((64, 64, 3)), {}, "pass channel_axis=-1"),
        (np.ones((8, 64, 64)), {}, "two are wanted"),
        (np.ones(64), {}, "two are wanted"),
        (np.full((64, 64), np.nan), {}, "finite|NaN"),
        (np.ones((64, 64)), {"boundary": "mirror"}, "boundary"),
        (np.ones((64, 64)), {"restore": 3}, "restore is 3"),
    ],
)
def test_refuses_with_a_reason(image, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        sigdeconv.blind_camera_shake(image, **options)
