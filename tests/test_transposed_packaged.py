"""The packaged weights: all are there, small enough, with records that can be believed, and better than what "
"learns nothing."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

pytest.importorskip("torch", reason="networks need torch: pip install sigdeconv[learned]")
pytest.importorskip("safetensors", reason="weights need safetensors: pip install sigdeconv[learned]")

import sigdeconv
from sigdeconv import metrics
from sigdeconv.transposed import bicubic, denoise, prior, upscale, weights

NETWORKS = {f"upscale_{kind}_x{scale}" for kind in ("fast", "strong") for scale in (2, 3, 4)}
NETWORKS |= {"denoise_grey"}
LIMIT = 4_000_000  # bytes in the wheel
HELD_OUT = {"camera", "astronaut", "coffee"}


def test_all_are_there_and_small_enough():
    assert set(weights.packaged()) == NETWORKS
    assert sum(path.stat().st_size for path in weights.FOLDER.glob("*.safetensors")) <= LIMIT


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_each_says_how_it_was_made(name):
    record = weights.record(name)
    learned, judged = record["data"]["learned"], record["data"]["validation"]
    assert not HELD_OUT & {*learned, *judged}
    assert not set(learned) & set(judged)
    assert record["seconds"] > 0
    assert record["step"] > 0
    assert len(record["learning_curve"]) >= 1
    assert record["parameters"] <= (13_000 if "fast" in name else 250_000 if "strong" in name else 650_000)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_records_rank_the_upscalers(scale):
    fast, strong = (weights.record(f"upscale_{kind}_x{scale}")["results"] for kind in ("fast", "strong"))
    assert fast["bicubic"] == strong["bicubic"]
    assert fast["bicubic"] + 1 < fast["score"] < strong["score"]


@pytest.mark.parametrize("network", ["fast", "strong"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_enlarging_beats_interpolation(scale, network):
    truth = bicubic.whole_multiple(data.camera()[60:204, 170:314].astype(np.float32), scale)
    small = bicubic.low_resolution(truth, scale)
    plain = bicubic.psnr_y(truth, np.asarray(bicubic.imresize(small, scale)), scale=scale)
    ours = bicubic.psnr_y(truth, np.asarray(upscale(small, scale, network=network, data_range=255)), scale=scale)
    assert ours > plain + 0.4


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(("sigma", "gain"), [(3, 0.5), (15, 4), (25, 6), (50, 8)])
def test_denoising_beats_a_wavelet_threshold(sigma, gain, colour):
    truth = data.astronaut()[60:188, 170:298].astype(np.float32)
    truth = truth if colour else truth[..., 1]
    noisy = truth + np.random.default_rng(sigma).normal(0, sigma, truth.shape).astype(np.float32)
    axis = -1 if colour else None
    ours = np.asarray(denoise(noisy, sigma=sigma, data_range=255, channel_axis=axis))
    planes = [np.asarray(sigdeconv.denoisers.wavelet(p, sigma)) for p in np.atleast_3d(noisy).transpose(2, 0, 1)]
    other = np.stack(planes, -1).reshape(truth.shape)
    reached = {
        name: metrics.psnr(truth, x, data_range=255.0) for name, x in (("noisy", noisy), ("ours", ours), ("w", other))
    }
    assert reached["ours"] > reached["noisy"] + gain
    assert reached["ours"] > reached["w"]


def test_the_prior_restores_better_than_total_variation():
    psf = sigdeconv.psf.gaussian((13, 13), sigma=1.6)
    truth, blurred = sigdeconv.simulate.through_frame(data.camera()[40:188, 150:298].astype(np.float32), psf)
    image = blurred + np.random.default_rng(0).normal(0, 2, truth.shape).astype(np.float32)
    ours = np.asarray(sigdeconv.plug_and_play(image, psf, denoiser=prior, sigma=2.0))
    other = np.asarray(sigdeconv.total_variation(image, psf, sigma=2.0))
    assert metrics.isnr(truth, image, ours) > metrics.isnr(truth, image, other)
