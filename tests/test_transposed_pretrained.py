"""`upscale` and `denoise`: arrays of any kind and size in, the network's own result out, tiled or not."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sigdeconv

torch = pytest.importorskip("torch", reason="torch is not installed: pip install sigdeconv[learned]")

from sigdeconv.transposed import bicubic, denoise, upscale, weights  # noqa: E402
from sigdeconv.transposed._tiles import Tile, tiled  # noqa: E402
from sigdeconv.transposed.models import Denoiser, FastUpscaler, Upscaler  # noqa: E402

STORY: dict[str, Any] = {"seed": 0, "data": [], "results": {}, "learning_curve": []}


def image(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def fast(scale: int = 2) -> Any:
    return FastUpscaler(scale, generator=0).collapse()


def apply(net: Any, x: np.ndarray, *arguments: Any) -> np.ndarray:
    with torch.no_grad():
        return net(torch.from_numpy(x)[None, None], *arguments)[0, 0].numpy()


@pytest.mark.parametrize("make", [fast, lambda scale: Upscaler(scale, blocks=2, generator=0).collapse()])
@pytest.mark.parametrize(("scale", "shape"), [(2, (37, 61)), (3, (5, 70)), (4, (1, 3))])
def test_tiles_leave_no_seam_when_enlarging(make, scale, shape):
    net, x = make(scale), torch.from_numpy(image(2, 1, *shape))
    with torch.no_grad():
        whole = net(x)
        for side in (9, 16):
            found = tiled(lambda piece, *_: net(piece), x, reach=net.reach, scale=scale, side=side)
            assert float((found - whole).abs().max()) <= 1e-6


@pytest.mark.parametrize("shape", [(83, 150), (200, 7), (3, 3)])
def test_tiles_leave_no_seam_when_denoising(shape):
    net, x = Denoiser(1, width=4, blocks=1, generator=0), torch.from_numpy(image(1, 1, *shape))
    with torch.no_grad():
        whole = net(x, 0.1)
        for side in (16, 40):
            found = tiled(lambda piece, *_: net(piece, 0.1), x, reach=net.reach, multiple=net.multiple, side=side)
            assert float((found - whole).abs().max()) <= 1e-6


def test_tiles_that_overlap_too_little_show():
    net, x = fast(), torch.from_numpy(image(1, 1, 40, 40))
    with torch.no_grad():
        found = tiled(lambda piece, *_: net(piece), x, reach=2, scale=2, side=16)
        assert float((found - net(x)).abs().max()) > 1e-4


def test_small_images_go_together():
    calls: list[tuple[int, ...]] = []

    def work(piece: Any, images: slice, frame: Any) -> Any:
        calls.append((len(piece), images.start, images.stop))
        return piece

    x = torch.from_numpy(image(10, 2, 8, 8))
    assert torch.equal(tiled(work, x, reach=3, side=16), x)
    assert calls == [(4, 0, 4), (4, 4, 8), (2, 8, 10)]


def test_enlarging_is_what_the_network_gives():
    x, net = image(24, 31), fast(3)
    np.testing.assert_allclose(upscale(x, 3, network=net), apply(net, x), atol=1e-6)


def test_denoising_is_what_the_network_gives():
    x, net = image(24, 31), Denoiser(1, width=8, generator=0)
    np.testing.assert_allclose(denoise(x, sigma=0.1, network=net), apply(net, x, 0.1), atol=1e-6)


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.int16, 32767)])
def test_integers_are_in_units_of_their_largest(dtype, white):
    x = (image(12, 13) * white).astype(dtype)
    kept = x.copy()
    for restored in (upscale(x, 2, network=fast()), denoise(x, sigma=0.1 * white, network=Denoiser(1, generator=0))):
        assert restored.dtype == np.float32
    expected = white * upscale(x / np.float32(white), 2, network=fast())
    np.testing.assert_allclose(upscale(x, 2, network=fast()), expected, rtol=1e-5, atol=1e-4 * white)
    np.testing.assert_array_equal(x, kept)


def test_floats_keep_their_precision_and_take_a_white():
    x = image(12, 13).astype(np.float64)
    net = fast()
    assert upscale(x, 2, network=net).dtype == np.float64
    np.testing.assert_allclose(
        upscale(1000 * x, 2, network=net, data_range=1000), 1000 * upscale(x, 2, network=net), atol=1e-2
    )
    assert upscale(x.astype(np.float16), 2, network=net).dtype == np.float32
    assert upscale([[0.0, 1.0], [0.5, 0.25]], 2, network=net).shape == (4, 4)


def test_tensors_stay_tensors():
    x = image(11, 14)
    tensor = torch.from_numpy(x).double().requires_grad_()
    large = upscale(tensor, 2, network=fast())
    assert isinstance(large, torch.Tensor)
    assert large.dtype == torch.float64
    assert not large.requires_grad
    np.testing.assert_allclose(large.numpy(), upscale(x, 2, network=fast()), atol=1e-6)
    clean = denoise(torch.from_numpy(x), sigma=0.1, network=Denoiser(1, generator=0))
    np.testing.assert_allclose(clean.numpy(), denoise(x, sigma=0.1, network=Denoiser(1, generator=0)), atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_colours_may_lie_on_any_axis(axis):
    x, net, three = image(3, 12, 15), fast(), Denoiser(3, width=8, generator=0)
    moved = np.moveaxis(x, 0, axis)
    large = np.moveaxis(upscale(moved, 2, network=net, channel_axis=axis), axis, 0)
    np.testing.assert_allclose(large, upscale(x, 2, network=net, channel_axis=0), atol=1e-6)
    clean = np.moveaxis(denoise(moved, sigma=0.1, network=three, channel_axis=axis), axis, 0)
    with torch.no_grad():
        np.testing.assert_allclose(clean, three(torch.from_numpy(x)[None], 0.1)[0].numpy(), atol=1e-6)


def test_colour_is_luminance_by_the_network_and_interpolated_differences():
    from skimage import color

    x, net = image(16, 19, 3), fast()
    ycbcr = color.rgb2ycbcr(x.astype(np.float64))
    large = bicubic.imresize(ycbcr, 2, channel_axis=-1)
    large[..., 0] = 255 * apply(net, (ycbcr[..., 0] / 255).astype(np.float32))
    found = upscale(x, 2, network=net, channel_axis=-1)
    inside = (slice(4, -4), slice(4, -4))
    np.testing.assert_allclose(found[inside], color.ycbcr2rgb(large)[inside], atol=1e-3)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_numbers_of_channels_go_one_by_one(channels):
    x, net, clean = image(channels, 9, 12), fast(), Denoiser(1, width=8, generator=0)
    large = upscale(x, 2, network=net, channel_axis=0)
    quiet = denoise(x, sigma=0.1, network=clean, channel_axis=0)
    for i in range(channels):
        np.testing.assert_allclose(large[i], upscale(x[i], 2, network=net), atol=1e-6)
        np.testing.assert_allclose(quiet[i], denoise(x[i], sigma=0.1, network=clean), atol=1e-6)


def test_leading_axes_are_a_batch():
    x, net = image(2, 3, 9, 12), fast()
    large = upscale(x, 2, network=net)
    assert large.shape == (2, 3, 18, 24)
    np.testing.assert_allclose(large[1, 2], upscale(x[1, 2], 2, network=net), atol=1e-6)


def test_read_only_and_reversed_arrays_are_taken():
    x = image(9, 12)
    x.setflags(write=False)
    np.testing.assert_array_equal(upscale(x[::-1], 2, network=fast()), upscale(x[::-1].copy(), 2, network=fast()))


def test_the_noise_level_is_estimated_and_told():
    x = np.float32(0.5) + np.float32(0.1) * np.random.default_rng(0).standard_normal((2, 48, 48)).astype(np.float32)
    x[1] *= 0.5
    told: list[Tile] = []
    found = denoise(x, network=Denoiser(1, width=8, generator=0), callback=told.append)
    sigmas = [sigdeconv.estimate_noise(y, ndim=2).sigma for y in x]
    np.testing.assert_allclose(told[-1].chosen["sigma"], sigmas, rtol=1e-4)
    assert told[-1].done == told[-1].total
    for y, restored, sigma in zip(x, found, sigmas, strict=True):
        same = denoise(y, sigma=sigma, network=Denoiser(1, width=8, generator=0))
        np.testing.assert_allclose(restored, same, atol=1e-5)


def test_the_noise_may_be_uneven():
    x, net = image(20, 24), Denoiser(1, width=8, generator=0)
    even = denoise(x, sigma=0.1, network=net)
    np.testing.assert_allclose(denoise(x, sigma=np.full(x.shape, 0.1), network=net), even, atol=1e-6)
    uneven = denoise(x, sigma=np.linspace(0, 0.2, x.size).reshape(x.shape), network=net)
    assert np.abs(uneven - even).max() > 1e-4


def test_a_network_is_left_as_it_was():
    net = fast().train()
    upscale(image(8, 8), 2, network=net)
    assert net.training


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Weights as the recipes write them."""
    folder = tmp_path_factory.mktemp("weights")
    kinds = {
        "fast": (fast(3), {"model": "fast", "scale": 3}),
        "grey": (Denoiser(1, generator=1), {"channels": 1}),
        "line": (torch.nn.Linear(2, 2), "by hand"),
    }
    return {
        name: weights.save(folder / f"{name}.safetensors", net, {"recipe": recipe, **STORY})
        for name, (net, recipe) in kinds.items()
    }


def test_weights_of_one_s_own(files):
    x = image(16, 17)
    np.testing.assert_allclose(upscale(x, 3, network=files["fast"]), apply(fast(3), x), atol=1e-6)
    expected = apply(Denoiser(1, generator=1), x, 0.1)
    np.testing.assert_allclose(denoise(x, sigma=0.1, network=str(files["grey"])), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 5}, "scale is 5; pass 2, 3 or 4"),
        ({"scale": 2.0}, "scale is 2.0; pass 2, 3 or 4"),
        ({"network": "best"}, "network is 'best'; pass 'fast', 'strong', a .safetensors file"),
        ({"network": 3}, "network is 3; pass"),
        ({"network": fast(3)}, "network has scale 3 but 2 is wanted"),
        ({"network": torch.nn.Identity()}, "network has scale none but 2 is wanted"),
        ({"data_range": 0}, "data_range is 0; it must be larger than 0"),
        ({"image": np.full((8, 8), 200.0)}, "image reaches 200 but its white is 1, as that of float64 images; pass"),
        ({"image": np.full((8, 8), 70000)}, "whose range says nothing of its white; pass data_range"),
        ({"image": image(8)}, "image has shape (8,); (..., y, x) is wanted"),
        ({"image": image(8, 8), "channel_axis": 0}, "image has shape (8, 8); (..., y, x) is wanted"),
        ({"image": image(8, 8), "channel_axis": 2}, "channel_axis is 2"),
        ({"image": np.zeros((0, 8))}, "image is empty"),
        ({"image": np.full((8, 8), np.nan)}, "NaN"),
        ({"image": np.ones((8, 8), complex)}, "real numbers are wanted"),
        ({"image": "photo.png"}, "image is of type str; an array is wanted"),
    ],
)
def test_wrong_calls_of_upscale(options, message):
    arguments = {"image": image(8, 8), "scale": 2, "network": fast(), **options}
    with pytest.raises((ValueError, TypeError)) as caught:
        upscale(arguments.pop("image"), arguments.pop("scale"), **arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": -1}, "sigma is -1; it must be at least 0"),
        ({"sigma": 25}, "sigma is 25, more than white, which is 1"),
        ({"sigma": np.full((4, 4), 0.1)}, "sigma has shape (4, 4) but the image (32, 32)"),
        ({"sigma": np.full((32, 32), -0.1)}, "sigma has negative entries"),
        ({"sigma": "much"}, "sigma is 'much'; a number is wanted"),
        ({"network": Denoiser(3)}, "network has 3 channels but the image 1"),
        ({"network": "grey"}, "network is 'grey'; pass a .safetensors file"),
        ({"image": image(3, 3)}, "samples"),
    ],
)
def test_wrong_calls_of_denoise(options, message):
    arguments = {"image": image(32, 32), "network": Denoiser(1, width=4), **options}
    with pytest.raises((ValueError, TypeError)) as caught:
        denoise(arguments.pop("image"), **arguments)
    assert message in str(caught.value)


def test_foreign_files(files, tmp_path):
    x = image(16, 17)
    with pytest.raises(ValueError, match=r"fast.safetensors holds model fast, scale 3; weights of an upscaler by 2"):
        upscale(x, 2, network=files["fast"])
    with pytest.raises(ValueError, match="holds something else; weights of a denoiser of 1 channel are wanted"):
        denoise(x, sigma=0.1, network=files["line"])
    with pytest.raises(FileNotFoundError, match="does not exist"):
        upscale(x, 2, network=tmp_path / "none.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(files["fast"].read_bytes()[:-9])
    with pytest.raises(ValueError, match="no whole safetensors file"):
        upscale(x, 3, network=damaged)


def test_arrays_of_other_libraries_are_refused():
    xp = pytest.importorskip("array_api_strict", reason="array-api-strict is not installed")
    with pytest.raises(TypeError, match="pass a NumPy array or a torch tensor"):
        upscale(xp.ones((8, 8)), 2, network=fast())


def test_it_is_a_prior_for_plug_and_play():
    y, x = np.indices((32, 32))
    scene = (100.0 * ((x // 8 + y // 8) % 2)).astype(np.float32)
    psf = sigdeconv.psf.gaussian((7, 7), 1.0)
    noisy = sigdeconv.Convolution(psf, scene.shape, boundary="periodic")(scene)
    network = Denoiser(1, width=4, generator=0)
    by_hand = partial(denoise, network=network, data_range=1000)
    restored = sigdeconv.plug_and_play(noisy, psf, denoiser=by_hand, sigma=1.0, num_iter=3, boundary="periodic")
    assert restored.shape == scene.shape


def test_the_prior_knows_no_units(monkeypatch):
    from sigdeconv.transposed import pretrained

    net = Denoiser(1, width=8, generator=0)
    monkeypatch.setattr(pretrained, "denoiser", lambda network, channels, device: net)
    x = image(20, 24) - 0.5
    expected = denoise(x, 0.1, network=net)
    for units in (1e-3, 1.0, 4095.0):
        found = pretrained.prior(units * x, units * 0.1)
        np.testing.assert_allclose(found, units * expected, atol=1e-5 * units)
    assert not pretrained.prior(np.zeros((8, 8)), 0.0).any()


def test_colours_are_turned_and_back():
    from sigdeconv.transposed._images import OPPONENT, turned

    axes = torch.tensor(OPPONENT, dtype=torch.float64)
    torch.testing.assert_close(axes @ axes.T, torch.eye(3, dtype=torch.float64))
    x = torch.rand(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(turned(turned(x), back=True), x)
    torch.testing.assert_close(turned(x)[:, 0], x.sum(dim=1) / 3**0.5)
    torch.testing.assert_close(turned(torch.ones(1, 3, 1, 1))[:, 1:], torch.zeros(1, 2, 1, 1))
