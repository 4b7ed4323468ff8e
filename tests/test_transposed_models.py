"""The networks: sizes, budgets, where their samples lie, what they see, and that they can learn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sigdeconv import estimate_noise

pytest.importorskip("torch")

import torch
from torch.nn import functional

from sigdeconv.transposed import models
from sigdeconv.transposed._denoising import SLACK, no_stronger
from sigdeconv.transposed.bicubic import imresize
from sigdeconv.transposed.layers import SubpixelConv, TransposedUpsample, transposed_to_subpixel
from sigdeconv.transposed.models import (
    CollapsibleConv,
    Denoiser,
    FastUpscaler,
    FeatureEncoder,
    SkiplessFCN,
    UNet,
    Upscaler,
    deconvnet_projection,
    parameters_count,
)
from sigdeconv.transposed.receptive import receptive_field

SCALES = (2, 3, 4)
UPSAMPLERS = ("transposed", "subpixel", "resize")

# Small ones of every kind: (name, network with a given seed, channels that it takes)
SMALL = {
    "fast": lambda seed: FastUpscaler(2, channels=4, depth=2, expansion=8, generator=seed),
    "fast-3-subpixel": lambda seed: FastUpscaler(3, channels=4, depth=1, upsampler="subpixel", generator=seed),
    "fast-4-resize": lambda seed: FastUpscaler(4, channels=4, depth=2, upsampler="resize", generator=seed),
    "upscaler": lambda seed: Upscaler(2, channels=4, blocks=2, expansion=8, generator=seed),
    "upscaler-3": lambda seed: Upscaler(3, channels=4, blocks=1, upsampler="resize", generator=seed),
    "denoiser": lambda seed: Denoiser(1, width=4, blocks=1, generator=seed),
    "denoiser-colour": lambda seed: Denoiser(3, width=4, levels=2, blocks=1, generator=seed),
    "unet": lambda seed: UNet(1, 2, width=4, depth=2, generator=seed),
    "unet-bilinear": lambda seed: UNet(2, 3, width=4, depth=2, decoder="bilinear", normalise=False, generator=seed),
    "skipless": lambda seed: SkiplessFCN(1, 3, width=4, depth=2, generator=seed),
    "features": lambda seed: FeatureEncoder(1, 4, widths=(3, 5), generator=seed),
}


@pytest.fixture(autouse=True)
def _one_thread(torch):
    torch.manual_seed(0)


@pytest.fixture(params=SMALL)
def small(request):
    return SMALL[request.param](0).double().eval()


def images(*shape, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).random(shape))


def taken(network):
    """How many channels it takes."""
    return getattr(network, "in_channels", getattr(network, "channels", 1))


def run(network, x, sigma=0.1):
    with torch.no_grad():
        return network(x, sigma) if isinstance(network, Denoiser) else network(x)


def agree(a, b, limit=1e-10):
    assert a.shape == b.shape
    assert float((a - b).detach().abs().max()) <= limit


# Sizes and budgets


@pytest.mark.parametrize(("scale", "upsampler"), list(itertools.product(SCALES, UPSAMPLERS)))
def test_upscalers_keep_their_budgets_with_every_upsampler(scale, upsampler):
    for kind, limit in ((FastUpscaler, 13_000), (Upscaler, 250_000)):
        network = kind(scale, upsampler=upsampler, expansion=None, generator=0)
        count = sum(p.numel() for p in network.parameters())
        assert 0.95 * limit < count <= limit
        assert parameters_count(network) == count
        assert count == sum(p.numel() for p in kind(scale, expansion=None).parameters())


def test_documented_numbers_are_true():
    assert parameters_count(FastUpscaler(2)) == 12_689
    assert [parameters_count(Upscaler(s)) for s in (2, 4)] == [241_921, 245_377]
    assert parameters_count(Denoiser(1)) == 585_864
    assert parameters_count(Denoiser(3)) <= 650_000
    assert [FastUpscaler(s, upsampler=u).reach for s in SCALES for u in ("transposed", "resize")] == [8, 9] * 3
    assert [Upscaler(2, upsampler=u).reach for u in UPSAMPLERS] == [27, 27, 28]
    assert (Denoiser(1).reach, Denoiser(1).multiple) == (49, 4)
    assert (UNet(1, 2).reach, UNet(1, 2, decoder="bilinear").reach) == (107, 122)


def test_collapsing_counts_and_computes_the_same():
    x = images(2, 1, 11, 14).float()
    for network in (FastUpscaler(2, generator=0), FastUpscaler(3, generator=0), Upscaler(4, generator=0)):
        with torch.no_grad():  # away from the start, biases too
            for p in network.parameters():
                p.add_(0.03 * torch.randn(p.shape))
        plain = network.collapse()
        assert not any(isinstance(part, CollapsibleConv) for part in plain.modules())
        assert any(isinstance(part, CollapsibleConv) for part in network.modules())
        assert sum(p.numel() for p in plain.parameters()) == parameters_count(network) == parameters_count(plain)
        y = run(network, x)
        agree(run(plain, x), y, 1e-5 * float(y.abs().max()))
        # and it is the network that is built without the products
        again = type(network)(network.scale, expansion=None)
        again.load_state_dict(plain.state_dict())
        agree(run(again, x), run(plain, x), 0.0)


def test_a_collapsible_convolution_is_what_it_says():
    layer = CollapsibleConv(3, 2, 3, expansion=7, padding=1).double()
    torch.nn.init.normal_(layer.bias)
    x = images(1, 3, 6, 5)
    inner = functional.conv2d(x, layer.expand, padding=1)
    wanted = functional.conv2d(inner, layer.project[..., None, None], layer.bias) + x[:, :2]
    agree(layer(x), wanted)
    agree(layer.collapse()(x), wanted)
    assert layer.collapse().weight.dtype == torch.float64


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 2), (9, 13), (16, 8)])
def test_any_size_is_taken(small, shape):
    n = taken(small)
    x = images(2, n, *shape)
    if isinstance(small, FeatureEncoder):
        if min(shape) >= 4:
            assert run(small, x).shape == (2, 4)
        return
    scale = getattr(small, "scale", 1)
    y = run(small, x)
    assert y.shape == (2, getattr(small, "classes", n), *(scale * s for s in shape))
    assert bool(torch.isfinite(y).all())
    agree(y[1:], run(small, x[1:]))  # images of a batch do not mix


@pytest.mark.parametrize("name", SMALL)
def test_seeds_repeat_and_differ(name):
    make = SMALL[name]
    before = torch.get_rng_state()
    first, again, generator = make(3), make(3), make(torch.Generator().manual_seed(3))
    assert torch.equal(before, torch.get_rng_state())  # torch's own generator is left alone
    other, free = make(4), make(None)
    for key, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])
        assert torch.equal(value, generator.state_dict()[key])
    weights = [p for p in first.parameters() if p.ndim > 1]
    different = [q for q in other.parameters() if q.ndim > 1]
    same = [torch.equal(p, q) for p, q in zip(weights, different, strict=True)]
    assert sum(same) == (name == "skipless")  # whose last layer starts as bilinear interpolation
    assert not all(torch.equal(p, q) for p, q in zip(first.parameters(), free.parameters(), strict=True))


# Where the samples are


@pytest.mark.parametrize("name", [name for name in SMALL if "4-resize" not in name and name != "features"])
def test_nothing_moves(name):
    """A network of mirrored kernels does to a mirrored image what the network does to the image: all is centred."""
    network = SMALL[name](0).double().eval()
    mirror = SMALL[name](0).double().eval()
    with torch.no_grad():
        for part in mirror.modules():
            for key, p in part.named_parameters(recurse=False):
                if p.ndim == 4 and not (key == "weight" and isinstance(part, SubpixelConv)):
                    p.copy_(p.flip(2, 3))
            if isinstance(part, SubpixelConv):  # the phases are mirrored with the taps
                flipped = part.to_transposed().weight.flip(2, 3)
                part.weight.copy_(transposed_to_subpixel(flipped, part.scale))
    x = images(1, taken(network), 12, 16)
    agree(run(mirror, x.flip(2, 3)), run(network, x).flip(2, 3))


@pytest.mark.parametrize(("kind", "scale"), list(itertools.product((FastUpscaler, Upscaler), SCALES)))
def test_upscalers_start_from_bicubic_interpolation_in_phase(kind, scale):
    network = kind(scale, generator=0).double()
    with torch.no_grad():
        network.enlarge.weight.zero_()
    x = images(1, 1, 7, 10)
    agree(run(network, x), imresize(x, scale), 1e-6)  # up to the frame; the kernel is kept in single precision
    ramp = torch.arange(24.0, dtype=torch.float64).expand(1, 1, 8, 24)
    large = run(network, ramp)
    inside = slice(4 * scale, -4 * scale)
    where = (torch.arange(24 * scale, dtype=torch.float64) + 0.5) / scale - 0.5
    agree(large[0, 0, 5, inside], where[inside], 1e-5)
    agree(imresize(large, 1 / scale)[..., 6:-6], ramp[..., 6:-6], 1e-5)


@pytest.mark.parametrize("name", [name for name in SMALL if name != "features"])
def test_the_same_scene_elsewhere_gives_the_same_result(name):
    network = SMALL[name](0).double().eval()
    r, scale, period = network.reach, getattr(network, "scale", 1), getattr(network, "multiple", 1)
    start, n = -(-r // period) * period, 2 * period + 3
    whole = images(1, taken(network), start + n + r + 5, start + n + r + 2)
    part = run(network, whole)[..., scale * start : scale * (start + n), scale * start : scale * (start + n)]
    moved = functional.pad(whole, (period, 0, 2 * period, 0))[..., : whole.shape[2], : whole.shape[3]]
    stop = start + n - period
    elsewhere = run(network, moved)[..., scale * (start + 2 * period) :, scale * (start + period) :]
    h = scale * (min(start + n, whole.shape[2] - r) - start - 2 * period)
    w = scale * (stop - start)
    assert h > 0
    agree(elsewhere[..., :h, :w], part[..., :h, :w])


@pytest.mark.parametrize("name", [name for name in SMALL if name != "features"])
def test_reach_is_how_far_the_network_sees(name):
    network = SMALL[name](0).double().eval()
    with torch.no_grad():  # nothing cancels, and every rectifier is open
        for p in network.parameters():
            p.abs_().add_(1e-3)
    r, scale, period = network.reach, getattr(network, "scale", 1), getattr(network, "multiple", 1)
    middle = -(-(r + 1) // period) * period
    n = 2 * middle + 2 * period
    found = 0
    # along one axis at a time would do; all phases of one, in the first row of the other
    for phase in range(scale * period):
        x = images(1, taken(network), n, n).requires_grad_()
        y = network(x, torch.tensor(0.1)) if isinstance(network, Denoiser) else network(x)
        at = scale * middle + phase
        (slope,) = torch.autograd.grad(y[0, :, at, scale * middle].sum(), x)
        seen = slope.abs().sum(dim=(0, 1, 3)).nonzero()[:, 0]
        centre = middle + phase // scale
        found = max(found, centre - int(seen[0]), int(seen[-1]) - centre)
    pooled = isinstance(network, UNet | SkiplessFCN)  # a maximum passes one of four on, so less may be seen
    assert found <= r
    assert found == r or (pooled and found >= r - 2 * period)
    size = receptive_field(network.path(), ndim=1).size[0]
    last = 4 if isinstance(network, Denoiser) else 0  # the means by which the change is weakened: two of five samples
    assert size - 1 <= 2 * (r - last) <= size + 2 * period


# Denoiser


def test_no_noise_no_change_and_no_change_is_stronger_than_the_noise():
    network = SMALL["denoiser"](0).double()
    with torch.no_grad():
        for p in network.parameters():
            p.mul_(3)
    x = images(1, 1, 40, 41)
    agree(run(network, x, torch.tensor(0.0)), x, 0.0)
    raw = (run(network, x, torch.tensor(1e9)) - x).square().mean().sqrt()
    assert raw > 0.01 * x.std()
    for sigma in (1e-3, 1e-2):
        change = run(network, x, torch.tensor(sigma)) - x
        assert change.square().mean().sqrt() < 1.3 * sigma
    half = torch.cat([torch.zeros(1, 1, 40, 20), torch.full((1, 1, 40, 21), 1e-2)], dim=-1).double()
    agree(run(network, x, half)[..., :16], x[..., :16], 0.0)


def test_a_change_is_weakened_by_its_strength_where_it_is():
    change = torch.zeros(1, 2, 30, 30).double()
    change[..., 15:] = 3.0
    out = no_stronger(change, torch.ones(1, 1, 30, 30).double())
    agree(out[..., 19:], torch.full((1, 2, 30, 11), 3.0 * SLACK / 9, dtype=torch.float64))
    agree(no_stronger(0.1 * change, torch.ones(1, 1, 30, 30).double()), 0.1 * change, 0.0)


@pytest.mark.parametrize("channels", [1, 3])
def test_denoiser_knows_no_units(channels):
    network = Denoiser(channels, width=6, blocks=1, generator=0)
    assert all("bias" not in key for key in network.state_dict())
    noisy = images(2, channels, 13, 18).float() - 0.3
    clean = run(network, noisy)
    with torch.no_grad():
        assert torch.equal(network(256 * noisy, 25.6), 256 * network(noisy, 0.1))  # powers of two are exact
        agree(network(3 * noisy, 0.3) / 3, clean, 1e-6)
        assert not torch.allclose(network(noisy, 0.3), clean, atol=1e-4)  # the level counts


def test_denoiser_takes_the_level_in_every_form():
    network = Denoiser(1, width=4, blocks=1, generator=0).double()
    noisy = images(2, 1, 10, 12)
    with torch.no_grad():
        one = network(noisy, 0.2)
        for sigma in (torch.tensor(0.2), torch.tensor([0.2, 0.2]), torch.full((2, 1, 10, 12), 0.2)):
            agree(network(noisy, sigma), one, 1e-7)
        two = network(noisy, torch.tensor([0.2, 0.4]))
        agree(two[:1], network(noisy[:1], 0.2), 1e-7)
        agree(two[1:], network(noisy[1:], 0.4), 1e-7)
        with pytest.raises(ValueError, match=r"sigma has shape \(3,\); one number, \(2,\)"):
            network(noisy, torch.ones(3))
        with pytest.raises(ValueError, match="sigma is -1; it must be at least 0"):
            network(noisy, -1.0)


@pytest.mark.parametrize("channels", [1, 3])
def test_denoiser_estimates_the_level_that_it_is_not_told(channels):
    rng = np.random.default_rng(0)
    scene = np.add.outer(np.linspace(0, 1, 64), np.linspace(0, 1, 64))
    noisy = scene + rng.normal(size=(2, channels, 64, 64)) * np.array([0.05, 0.2])[:, None, None, None]
    levels = [estimate_noise(x, channel_axis=0).sigma for x in noisy]
    assert np.allclose(levels, [0.05, 0.2], rtol=0.1)
    network = Denoiser(channels, width=4, blocks=1, generator=0).double()
    x = torch.as_tensor(noisy)
    with torch.no_grad():
        agree(network(x), network(x, torch.tensor(levels, dtype=torch.float64)))


# Learning


@pytest.mark.parametrize("name", SMALL)
def test_gradients_reach_all_parameters(name):
    network = SMALL[name](0).train()
    x = images(2, taken(network), 16, 16).float()
    y = network(x, 0.1) if isinstance(network, Denoiser) else network(x)
    y.square().mean().backward()
    for key, p in network.named_parameters():
        assert p.grad is not None, key
        assert float(p.grad.abs().max()) > 0, key


@pytest.mark.parametrize("name", SMALL)
def test_the_start_keeps_magnitudes(name):
    network = SMALL[name](0).eval()
    x = images(4, taken(network), 32, 32).float() - 0.5
    y = run(network, x)
    assert 0.03 < float(y.std() / x.std()) < 10


STEP = 2e-3
OVERFITTED = ["fast", "fast-3-subpixel", "fast-4-resize", "upscaler", "denoiser", "unet", "unet-bilinear", "skipless"]


@pytest.mark.parametrize("name", OVERFITTED)
def test_fifty_steps_on_one_patch_lower_the_loss(name):
    network = SMALL[name](0).train()
    n, scale = 16, getattr(network, "scale", 1)
    rng = np.random.default_rng(1)
    x = torch.as_tensor(rng.random((1, taken(network), n, n))).float()
    y, z = np.mgrid[: scale * n, : scale * n]
    disk = torch.as_tensor(np.hypot(y - scale * n / 2, z - scale * n / 2) < scale * n / 3)
    losses = []
    for _ in range(50):
        if hasattr(network, "classes"):
            loss = functional.cross_entropy(network(x), disk[None].long())
        elif isinstance(network, Denoiser):
            loss = functional.mse_loss(network(disk[None, None] + 0.3 * (x - 0.5), 0.1), disk[None, None].float())
        else:
            low = functional.avg_pool2d(disk[None, None].float(), scale)
            loss = functional.mse_loss(network(low), disk[None, None].float())
        slopes = torch.autograd.grad(loss, list(network.parameters()))
        with torch.no_grad():  # steps of equal length for all, as Adam's; torch.optim takes seconds to be imported
            for p, slope in zip(network.parameters(), slopes, strict=True):
                p.sub_(STEP * slope.sign())
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.85 * losses[0]


# Features


def test_deconvnet_projection_by_hand():
    encoder = FeatureEncoder(2, 3, widths=(4, 5), kernel_size=5, generator=0).double()
    with torch.no_grad():
        for layer in encoder.convolutions:
            layer.bias.normal_(0, 0.1)
    x = images(2, 2, 13, 11)
    found = deconvnet_projection(encoder, x, 1, 3)
    first, second = encoder.convolutions
    with torch.no_grad():
        a = functional.relu(functional.conv2d(x, first.weight, first.bias, padding=2))
        p, i = functional.max_pool2d(a, 2, return_indices=True)
        b = functional.relu(functional.conv2d(p, second.weight, second.bias, padding=2))
        q, j = functional.max_pool2d(b, 2, return_indices=True)
    for n in range(2):
        row, column = np.unravel_index(int(q[n, 3].argmax()), q.shape[2:])
        assert found.position[n].tolist() == [row, column]
        only = torch.zeros_like(q)
        only[n, 3, row, column] = found.activation[n] = q[n, 3, row, column]
        u = functional.max_unpool2d(only, j, 2, output_size=b.shape[2:]).clamp(min=0)
        u = functional.conv_transpose2d(u, second.weight, padding=2)
        u = functional.max_unpool2d(u, i, 2, output_size=a.shape[2:]).clamp(min=0)
        u = functional.conv_transpose2d(u, first.weight, padding=2)
        agree(found.pixels[n], u[n].detach())
    assert float(found.pixels.abs().max()) > 0


def test_projection_of_the_first_layer_is_its_kernel_at_the_switch():
    encoder = FeatureEncoder(1, 2, widths=(3,), generator=0).double()
    x = images(1, 1, 8, 8)
    found = deconvnet_projection(encoder, x, 0, 1, position=(2, 1))
    stage = encoder.stages(x)[0]
    row, column = divmod(int(stage.switches[0, 1, 2, 1]), 8)
    wanted = torch.zeros(10, 10, dtype=torch.float64)
    kernel = encoder.convolutions[0].weight[1, 0].detach()
    wanted[row : row + 3, column : column + 3] = stage.pooled[0, 1, 2, 1].detach() * kernel
    assert found.position.tolist() == [[2, 1]]
    agree(found.pixels[0, 0], wanted[1:-1, 1:-1])
    assert not found.pixels.requires_grad


def test_skipless_starts_as_bilinear_interpolation_of_its_scores():
    network = SkiplessFCN(1, 2, width=4, depth=3, generator=0).double().eval()
    x = images(1, 1, 16, 24)
    with torch.no_grad():
        coarse = network.score(network.encoder(x)[-1])
    wanted = functional.interpolate(coarse, scale_factor=8, mode="bilinear", align_corners=False)
    agree(run(network, x), wanted)


def test_decoders_differ_in_how_they_enlarge_alone():
    transposed, bilinear = (UNet(1, 2, width=4, depth=2, decoder=d) for d in ("transposed", "bilinear"))
    assert all(isinstance(layer, TransposedUpsample) for layer in transposed.up)
    rest = [[key for key in net.state_dict() if not key.startswith("up.")] for net in (transposed, bilinear)]
    assert rest[0] == rest[1]


# Errors


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: FastUpscaler(5), ValueError, "scale is 5; pass 2, 3 or 4"),
        (lambda: FastUpscaler(2.0), ValueError, "scale is 2.0; pass 2, 3 or 4"),
        (lambda: FastUpscaler(2, upsampler="nearest"), ValueError, "upsampler is 'nearest'; pass one of 'transposed'"),
        (lambda: FastUpscaler(2, depth=0), ValueError, "depth is 0; every entry must be at least 1"),
        (lambda: FastUpscaler(2, expansion=0), ValueError, "expansion is 0"),
        (lambda: FastUpscaler(2, generator="dice"), TypeError, "generator is 'dice'"),
        (lambda: Denoiser(2), ValueError, "channels is 2; pass 1 or 3"),
        (lambda: Denoiser(bounded="no"), TypeError, "bounded is 'no'"),
        (lambda: UNet(1, 2, decoder="nearest"), ValueError, "decoder is 'nearest'"),
        (lambda: UNet(0, 2), ValueError, "in_channels is 0"),
        (lambda: FeatureEncoder(kernel_size=4), ValueError, "kernel_size is 4; an odd one"),
        (lambda: FastUpscaler(2)(np.zeros((1, 1, 8, 8))), TypeError, r"x is a numpy.ndarray of shape \(1, 1, 8, 8\)"),
        (lambda: FastUpscaler(2)(torch.zeros(1, 3, 8, 8)), ValueError, r"x has shape \(1, 3, 8, 8\); \(batch, 1, y"),
        (lambda: FastUpscaler(2)(torch.zeros(8, 8)), ValueError, r"x has shape \(8, 8\); \(batch, 1, y, x\)"),
        (lambda: Upscaler(2)(torch.zeros(1, 1, 0, 8)), ValueError, r"none of them 0"),
        (lambda: UNet(1, 2)(torch.zeros(1, 1, 8, 8, dtype=torch.uint8)), TypeError, r"pass x.float\(\)"),
        (lambda: FeatureEncoder(1)(torch.zeros(1, 1, 7, 9)), ValueError, "sides of at least 8 are wanted"),
        (lambda: deconvnet_projection(UNet(1, 2), torch.zeros(1, 1, 8, 8), 0, 0), TypeError, "a FeatureEncoder is"),
        (lambda: project(layer=3), ValueError, "layer is 3, but the encoder has 3; pass 0 to 2"),
        (lambda: project(channel=16), ValueError, "channel is 16, but layer 0 has 16"),
        (lambda: project(position=(4, 0)), ValueError, r"position is \(4, 0\), but layer 0 has 4 x 4 pooled"),
    ],
)
def test_errors_are_one_clear_line(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def project(layer=0, channel=0, position=None):
    return deconvnet_projection(FeatureEncoder(1), torch.zeros(1, 1, 8, 8), layer, channel, position=position)


def test_all_names_are_there():
    assert all(hasattr(models, name) for name in models.__all__)
