"""The experiment on features: its hand-made truths are true, its sentences come from its tables, and it runs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")
pytest.importorskip("torch", reason="networks need torch: pip install sigdeconv[learned]")
pytest.importorskip("safetensors", reason="networks need safetensors: pip install sigdeconv[learned]")

import torch
from scipy.signal import convolve2d, correlate2d

from experiments import common, features
from experiments.features import costs, inversion, sampling, tables, upsampling
from experiments.features import encoder as encoders
from sigdeconv.transposed import Layer, weights
from sigdeconv.transposed.bicubic import imresize
from sigdeconv.transposed.models import FastUpscaler, FeatureEncoder, deconvnet_projection


def test_importing_it_loads_no_torch_and_without_torch_it_is_skipped(monkeypatch, tmp_path):
    code = "import sys, experiments.features; sys.exit('torch' in sys.modules or 'skimage' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(common.SkippedError, match=r"pip install sigdeconv\[learned\]"):
        features.run(common.Study(tmp_path, quiet=True))


def test_hand_made_filters_answer_to_their_direction():
    at = np.arange(-3, 4)
    to_the_right, upwards = np.broadcast_to(at, (7, 7)), np.broadcast_to(-at[:, None], (7, 7))
    for angle in range(0, 360, 15):
        kernel = encoders.derivative(angle)
        assert np.linalg.norm(kernel) == pytest.approx(1)
        assert kernel.sum() == pytest.approx(0, abs=1e-12)
        # A network's layer correlates: the answer is the sum of products. Its gradient points along the angle.
        answer = np.array([np.sum(kernel * to_the_right), np.sum(kernel * upwards)])
        wanted = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        assert answer / np.linalg.norm(answer) == pytest.approx(wanted, abs=1e-9)


def test_share_of_directions():
    hand_made = np.stack([encoders.derivative(angle) for angle in (0, 20, 77)])
    assert encoders.directional_share(hand_made) == pytest.approx(1)
    noise = np.random.default_rng(0).standard_normal((4000, 7, 7))
    assert encoders.directional_share(noise) == pytest.approx(6 / 49, rel=0.05)
    turned = np.stack([-encoders.derivative(angle) for angle in (135, 90, 45, 0)])
    assert [i for i, _ in encoders.matches(turned)] == [3, 2, 1, 0]
    assert [r for _, r in encoders.matches(turned)] == pytest.approx([-1] * 4)


@pytest.fixture(scope="module")
def encoder():
    made = FeatureEncoder(1, 3, widths=(5, 6, 7), kernel_size=5, generator=1).requires_grad_(False)
    with torch.no_grad():
        for layer in made.convolutions:
            layer.bias.normal_(std=0.1, generator=torch.Generator().manual_seed(2))
    return made


@pytest.fixture(scope="module")
def picture():
    rough = np.random.default_rng(3).standard_normal((64, 72))
    return torch.as_tensor(rough, dtype=torch.float32)[None, None]


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """All of `features`, hardly learned, and the study."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in (
            (encoders, "STEPS", 8),
            (encoders, "TESTED", 80),
            (upsampling, "STEPS", 4),
            (upsampling, "FITTED_ON", 6),
            (upsampling, "FIT_STEPS", 4),
            (upsampling, "LEARNED_FROM", ("coins", "brick")),
            (inversion, "SEARCH", 3),
            (costs, "REPEATS", 1),
            (costs, "FRAME", 32),
            (features, "CHANNELS", (4,)),
            (features, "PROJECTED_SIDE", 100),
        ):
            patch.setattr(module, name, value)
        patch.setitem(common.STYLE, "savefig.dpi", 40)
        patch.setitem(common.STYLE, "figure.constrained_layout.use", False)  # slow, and nobody looks at these
        study = common.Study(tmp_path_factory.mktemp("results"), quiet=True)
        before = torch.get_num_threads()
        torch.set_num_threads(before + 1)
        try:
            result = features.run(study)
            assert torch.get_num_threads() == before + 1
        finally:
            torch.set_num_threads(before)
        return result, study


def rows(chapter, name):
    return next(part for part in chapter[0].parts if isinstance(part, common.Table) and part.name == name).rows


def test_tables_and_figures_are_whole(chapter):
    found, study = chapter
    drawn = [part.file for part in found.parts if isinstance(part, common.Figure)]
    names = ("filters", "maps", "sampling", "upsampling", "projections", "inversion")
    assert drawn == [f"features-{name}.png" for name in names]
    assert all((study.out / file).stat().st_size > 1000 for file in drawn)
    for part in found.parts:
        if isinstance(part, common.Table):
            part.write(study.out)
    assert [row["name"] for row in rows(chapter, "features-layers")][-1] == "total"
    layers = rows(chapter, "features-layers")
    assert sum(row["parameters"] for row in layers[:-1]) == layers[-1]["parameters"]


def test_every_count_agrees_with_torch(chapter):
    stacks = rows(chapter, "features-stacks")
    assert [row["measured"] for row in stacks] == [row["field"] for row in stacks] == [15] * 5
    for row in [*stacks, *rows(chapter, "features-bottleneck")]:
        assert row["counted"] == pytest.approx(row["multiply_adds"], rel=1e-12)
        assert row["milliseconds"] > 0
    assert stacks[-1]["seen"] == pytest.approx(4)
    up = rows(chapter, "features-upsampling")
    assert len({row["parameters"] for row in up}) == 1
    assert all(row["flat"] < 1e-4 for row in up if row["kind"] == "resize")
    start = {row["kind"]: row for row in up if row["state"] == "start"}
    assert start["transposed"]["flat"] > 1
    assert start["subpixel"]["flat"] == pytest.approx(start["transposed"]["flat"], rel=1e-4)


def test_the_transpose_is_no_inverse_and_the_inverse_is(chapter):
    found = {(row["features"], row["way"]): row for row in rows(chapter, "features-back")}
    alone, noisy = (found[f"filters of layer 1 alone{more}", "inverted"] for more in ("", ", 1 % noise"))
    assert alone["snr"] > 40 > 25 > found["filters of layer 1 alone", "transposed"]["snr"]
    assert 15 < noisy["snr"] < alone["snr"]
    for layer in (1, 2, 3):
        transposed = found[f"after layer {layer}", "transposed"]
        assert transposed["residual"] <= transposed["unscaled"]
        assert -1 <= transposed["likeness"] < 0.99


def test_the_finding_is_computed_from_the_tables(chapter):
    names = ("features-back", "features-upsampling", "features-stacks", "features-bottleneck")
    back, up, stacks, narrow = ([dict(row) for row in rows(chapter, name)] for name in names)
    filters = np.stack([encoders.derivative(30)])
    learned = encoders.Learned(None, filters, filters, 0.71, {}, 1.0)
    for row in back:
        row["snr"] = 9.0 if row["way"] == "transposed" else -4.0
    for row in up:
        row["flat"] = 7.77
    for row in stacks:
        row["multiply_adds"] = 3.0
    for row in narrow:
        if row["kind"] == "bottleneck" and row["accuracy"] != "–":
            row["accuracy"] = -50.0
    text = tables.finding(learned, back, up, stacks, narrow)
    assert "filters of layer 1 alone 9 against −4 dB" in text
    assert "in 0 of 5 cases" in text
    assert "71 % of unseen patches" in text
    assert "explain 100 %" in text
    assert "1.0 times fewer" in text
    assert "no 1 × 1 convolution before it kept its accuracy" in text
    assert text.count("7.8") == 3


def test_textures_are_learned_from_and_tested_on_apart(monkeypatch):
    monkeypatch.setattr(encoders, "TEXTURES", {"a": "coins", "b": "brick"})
    learn, test = encoders.textures()
    assert (learn.sizes + test.sizes)[:, 1].tolist() == [384, 512]
    patches, labels = test.draw(40, np.random.default_rng(0), turned=False)
    again, _ = test.draw(40, np.random.default_rng(0), turned=False)
    assert torch.equal(patches, again)
    assert set(labels.tolist()) == {0, 1}
    coins = encoders.grey("coins")[:, 384 - int(test.sizes[0, 1]) :].astype(np.float32) / 255
    windows = np.lib.stride_tricks.sliding_window_view(coins, (40, 40))
    one = patches[labels == 0][0]
    # Some window of the part that was kept back is that patch.
    flat = (windows - windows.mean((2, 3), keepdims=True))[::, ::, 0, :].reshape(-1, 40)
    row = one[0, 0].numpy()
    likeness = flat @ row / np.maximum(np.linalg.norm(flat, axis=1) * np.linalg.norm(row), 1e-9)
    assert likeness.max() == pytest.approx(1, abs=1e-4)


def test_rectifier_pooling_and_steps():
    noise = np.random.default_rng(0).standard_normal((2, 200, 200))
    found = sampling.rectification(np.stack([noise[0], noise[0] + 9]))
    assert found["zeros"] == pytest.approx([0.5, 0], abs=0.01)
    assert found["lost"] == pytest.approx([0.5, 0], abs=0.02)
    at = np.arange(64)
    wave = np.cos(2 * np.pi * 5 * at / 64)
    moved = sampling.half_moved(np.broadcast_to(wave, (64, 64)))
    assert moved == pytest.approx(np.broadcast_to(np.cos(2 * np.pi * 5 * (at + 0.5) / 64), (64, 64)), abs=1e-9)
    smooth, fine = (
        torch.as_tensor(2 + np.tile(np.cos(2 * np.pi * k * np.arange(128) / 128), (128, 1)))[None, None]
        for k in (3, 61)
    )
    for few, many in zip(sampling.pooling(smooth), sampling.pooling(fine), strict=True):
        assert few["change"] < 6
        assert few["mean"] == pytest.approx(100, abs=20 if few["pooling"].startswith("maximum") else 1)
        assert many["pooling"] == few["pooling"]
    assert sampling.pooling(fine)[0]["change"] > 100
    assert sampling.pooling(smooth)[1]["peak"] == pytest.approx(100)


def test_gratings_come_out_as_the_transfer_functions_say():
    frequency, gains = sampling.grating_gains()
    predicted = sampling.predicted_gains(frequency)
    for name, values in gains.items():
        if name in predicted:
            assert values == pytest.approx(predicted[name], abs=1e-9)
    taps = np.abs(np.fft.fft([2, 0, 1, *[0] * 29, 1, 0], 34))[:17] / 4  # 1 2 1 with holes, as a circle
    assert sampling.predicted_gains(np.arange(17) / 34)["taps 1 2 1, dilation 2"] == pytest.approx(taps)


def test_a_field_is_measured_by_its_gradient():
    module = costs.as_module([Layer(3, padding=2, dilation=2, out_channels=1, bias=False)], 1)
    assert costs.reached(module, 1, 16) == (5, pytest.approx(9 / 25))


def test_a_convolution_behind_fewer_channels():
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Conv2d(6, 4, 3, padding=1)
    maps = torch.rand(3, 6, 9, 9, generator=generator)
    mixtures, energies = costs.principal(maps)
    assert mixtures @ mixtures.T == pytest.approx(np.eye(6), abs=1e-9)
    assert energies.sum() == pytest.approx(6 * float(maps.double().square().mean()))
    assert torch.allclose(costs.narrowed(layer, mixtures)(maps), layer(maps), atol=1e-5)
    two = torch.as_tensor(mixtures[:2], dtype=maps.dtype)
    projected = torch.einsum("ki,kj,bjyx->biyx", two, two, maps)
    assert torch.allclose(costs.narrowed(layer, mixtures[:2])(maps), layer(projected), atol=1e-5)


def test_a_last_layer_behind_the_features_is_the_network():
    model = FastUpscaler(2, depth=1, expansion=None, generator=0).requires_grad_(False)
    x = torch.rand(1, 1, 24, 26, generator=torch.Generator().manual_seed(1))
    module = upsampling.layer("transposed", 16, 0)
    with torch.no_grad():
        module.weight.copy_(model.enlarge.weight)
        module.bias.copy_(model.enlarge.bias)
        whole = imresize(x, 2) + module(upsampling.last_input(model, x))
        assert torch.allclose(whole[..., 4:-4, 4:-4], model(x)[..., 4:-4, 4:-4], atol=1e-5)


def test_packaged_weights_are_taken_if_there_are_any(monkeypatch, tmp_path):
    story = {"recipe": "by chance", "seed": 5, "data": [], "results": {}, "learning_curve": []}
    model = FastUpscaler(2, generator=5).collapse()
    weights.save(tmp_path / f"{upsampling.PACKAGED}.safetensors", model, story)
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    found, told = upsampling.network(common.Study(tmp_path, quiet=True), None)
    assert upsampling.PACKAGED in told
    assert all(torch.equal(a, b) for a, b in zip(found.parameters(), model.parameters(), strict=True))


@pytest.mark.parametrize("kind", upsampling.KINDS)
def test_fitting_finds_the_weights_that_made_the_target(kind, monkeypatch):
    monkeypatch.setattr(upsampling, "FIT_STEPS", 80)
    maps = torch.randn(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    goal, module = (upsampling.layer(kind, 3, seed) for seed in (1, 2))
    with torch.no_grad():
        target = goal(maps)
        before = float((module(maps) - target).std() / target.std())
    upsampling.fit(module, maps, target)
    with torch.no_grad():
        after = float((module(maps) - target)[..., 8:-8, 8:-8].std() / target.std())
    assert after < 0.01 < before


def test_one_activation_led_back_is_the_deconvnet(encoder, picture):
    with torch.no_grad():
        stages = encoder.stages(picture)
        only = torch.zeros_like(stages[1].pooled)
        only[0, 4, 6, 7] = stages[1].pooled[0, 4, 6, 7]
        back = inversion.led_back(encoder, stages, 1, only)
    found = deconvnet_projection(encoder, picture, 1, 4, position=(6, 7))
    assert torch.allclose(back, found.pixels, atol=1e-6)
    assert torch.count_nonzero(back) > 0


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_feature_sees_its_field(encoder, picture, layer):
    rows, columns = inversion.within(encoder, layer, picture.shape[-2:])
    frame = encoder.stages(picture)[layer].pooled.shape[-2:]
    for at in range(frame[0]):
        window = inversion.field(encoder, layer, (at, 0))[0]
        assert (window.start >= 0 and window.stop <= picture.shape[-2]) == (rows.start <= at < rows.stop)
    place = (rows.start, columns.stop - 1)
    window = inversion.field(encoder, layer, place)
    other = picture.clone()
    other[(0, 0, *window)] += 5 * torch.randn(other[(0, 0, *window)].shape, generator=torch.Generator().manual_seed(0))
    outside = torch.full_like(picture, 7.0)
    outside[(0, 0, *window)] = picture[(0, 0, *window)]
    with torch.no_grad():
        at = [encoder.stages(x)[layer].pooled[0, :, place[0], place[1]] for x in (picture, outside, other)]
    assert torch.allclose(at[0], at[1], atol=1e-4)
    assert not torch.allclose(at[0], at[2], atol=1e-2)


def test_filters_transposed_are_a_convolution_that_can_be_undone(encoder):
    whole = encoders.grey("camera")[60:124, 160:232] / 255
    inner = (slice(16, 48), slice(20, 52))
    found = inversion.filters_alone(encoder, whole, inner, noise=0.0, rng=np.random.default_rng(0))
    kernels = encoder.convolutions[0].weight[:, 0].double().numpy()
    blurred = convolve2d(whole, sum(correlate2d(k, k) for k in kernels), mode="same")
    assert found.transposed.pixels == pytest.approx(blurred[inner])
    assert found.inverted.snr > 30 > found.transposed.snr
    assert found.inverted.residual < 0.03 < found.transposed.residual


def test_signal_to_error_after_the_best_gain_and_offset():
    a, b = np.random.default_rng(0).standard_normal((2, 30, 30))
    r = inversion.correlation(a, b + a)
    assert inversion.likeness_in_decibels(a, 5 - 3 * (b + a)) == pytest.approx(-10 * np.log10(1 - r**2))
    assert inversion.likeness_in_decibels(a, np.ones_like(a)) == inversion.correlation(a, np.ones_like(a)) == 0


def test_a_search_comes_nearer_to_the_features(encoder, picture, monkeypatch):
    with torch.no_grad():
        stages = encoder.stages(picture)
        wanted, back = stages[0].pooled, inversion.led_back(encoder, stages, 0)
        transposed = min(inversion.residual(encoder.stages(g * back)[0].pooled, wanted) for g in inversion.GAINS)
    misses = []
    for steps in (2, 25):
        monkeypatch.setattr(inversion, "SEARCH", steps)
        x = inversion.searched(encoder, wanted, 0, picture.shape)
        with torch.no_grad():
            misses.append(inversion.residual(encoder.stages(x)[0].pooled, wanted))
    assert misses[1] < min(misses[0] / 3, transposed)
