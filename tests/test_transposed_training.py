"""The training loop: resumed runs give the same bits, and every part of a step is what its formula says."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="networks need torch: pip install sigdeconv[learned]")

import torch

from sigdeconv import io
from sigdeconv.transposed import _checkpoints, _patches, _run, training
from sigdeconv.transposed.bicubic import imresize, luminance
from sigdeconv.transposed.training import (
    Batches,
    GaussianNoise,
    Photographs,
    Plan,
    Shrink,
    charbonnier,
    learning_rate,
    read_photographs,
    train,
)

CPU = "cpu"


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def photographs(channels=3, **options):
    rng = np.random.default_rng(0)
    return Photographs(
        [rng.integers(0, 256, (*size, channels)).astype(np.uint8) for size in ((40, 31), (25, 50))], **options
    )


def network(seed=0):
    """Convolutions with all that has a state: dropout draws, the normalisation counts."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3, padding=1),
            torch.nn.BatchNorm2d(4),
            torch.nn.PReLU(4),
            torch.nn.Dropout(0.2),
            torch.nn.Conv2d(4, 1, 3, padding=1),
        )


def batches(**options):
    return Batches(photographs(), FirstInput(GaussianNoise(5, 30)), size=12, count=4, jitter=0.1, **options)


class FirstInput:
    """A degradation without its noise level, for networks of one input."""

    def __init__(self, degrade):
        self.degrade = degrade

    def __call__(self, patches, generator):
        inputs, target = self.degrade(patches, generator)
        return inputs[:1], target


def score(model):
    x = torch.linspace(0, 1, 64).reshape(1, 1, 8, 8)
    return -float((model(x) - x).square().mean())


PLAN = Plan(steps=24, rate=1e-2, warm_up=5, check_every=6, log_every=4, weight_decay=1e-2, averaging=0.9, seed=3)


def bits(state):
    """All tensors and numbers of a state, but the time."""
    if isinstance(state, dict):
        return {key: bits(value) for key, value in state.items() if key != "seconds"}
    if isinstance(state, list):
        return [bits(value) for value in state]
    return state.numpy().tobytes() if isinstance(state, torch.Tensor) else state


def saved(folder):
    return bits(torch.load(folder / training.CHECKPOINT, weights_only=True))


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_a_run_in_pieces_gives_the_bits_of_a_run_in_one(optimizer, tmp_path):
    plan = replace(PLAN, optimizer=optimizer)
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    one, two = network(), network()
    done = train(one, batches(), plan, score=score, folder=whole, device=CPU)
    steps = []
    for _ in range(100):
        two = network(seed=len(steps))  # a new process starts with other weights
        torch.rand(len(steps))  # and other random numbers
        part = train(two, batches(), plan, score=score, folder=pieces, device=CPU, max_seconds=1e-9)
        steps.append(part.step)
        if part.ended != "time":
            break
    assert steps == list(range(1, PLAN.steps + 1))  # interrupted after every step
    assert (part.ended, part.step, part.best, part.score) == (done.ended, done.step, done.best, done.score)
    assert bits(one.state_dict()) == bits(two.state_dict())
    assert bits(done.history) == bits(part.history)
    assert saved(whole) == saved(pieces)
    logs = [(f / training.LOG).read_text().splitlines() for f in (whole, pieces)]
    assert [bits(json.loads(line)) for line in logs[0]] == [bits(json.loads(line)) for line in logs[1]]


def test_a_killed_run_goes_on_from_what_it_had_saved(tmp_path, monkeypatch):
    whole = network()
    train(whole, batches(), PLAN, score=score, folder=tmp_path / "whole", device=CPU)
    given = batches()

    def dying(step):
        if step == 17:
            raise KeyboardInterrupt
        if step >= 13:
            monkeypatch.setattr(training, "SAVE_SECONDS", math.inf)
        return given(step)

    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        train(network(), dying, PLAN, score=score, folder=tmp_path / "killed", device=CPU)
    assert torch.load(tmp_path / "killed" / training.CHECKPOINT, weights_only=True)["step"] == 13
    assert json.loads((tmp_path / "killed" / training.LOG).read_text().splitlines()[-1])["step"] == 16
    resumed = network()
    train(resumed, given, PLAN, score=score, folder=tmp_path / "killed", device=CPU)
    assert bits(resumed.state_dict()) == bits(whole.state_dict())
    assert saved(tmp_path / "killed") == saved(tmp_path / "whole")
    steps = [json.loads(line)["step"] for line in (tmp_path / "killed" / training.LOG).read_text().splitlines()]
    assert steps == [4, 6, 8, 12, 16, 18, 20, 24]


def test_runs_repeat_and_leave_the_callers_random_numbers_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    nets = [network() for _ in range(3)]
    for net, plan in zip(nets, (PLAN, PLAN, replace(PLAN, seed=4)), strict=True):
        train(net, batches(), plan, device=CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert bits(nets[0].state_dict()) == bits(nets[1].state_dict())
    assert bits(nets[0].state_dict()) != bits(nets[2].state_dict())  # another dropout


def linear(weight=1.0):
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(net.weight, weight)
    return net


def steady(step):
    """The gradient of `pull` is -1, whatever the weight."""
    return torch.ones(1, 1), torch.zeros(1, 1)


def pull(prediction, target):
    return -(prediction - target).mean()


def test_gradient_descent_average_and_weight_decay_by_hand():
    plan = Plan(steps=6, rate=0.5, final_rate=0.5, warm_up=0, optimizer="sgd", momentum=0.5, weight_decay=0.25)
    plan = replace(plan, clipping=None, averaging=0.3)
    net = linear()
    train(net, steady, plan, loss=pull, device=CPU)
    weight = average = 1.0
    velocity = 0.0
    for n in range(6):
        gradient = -1 + 0.25 * weight
        velocity = gradient if n == 0 else 0.5 * velocity + gradient
        weight -= 0.5 * velocity
        kept = min(0.3, (1 + n) / (10 + n))
        average = kept * average + (1 - kept) * weight
    assert net.weight.item() == pytest.approx(average, rel=1e-6)


@pytest.mark.parametrize("optimizer", ["adamw", "adam"])
def test_first_step_of_adam_by_hand(optimizer):
    plan = Plan(steps=1, rate=0.1, final_rate=0.1, warm_up=0, optimizer=optimizer, weight_decay=0.5, averaging=0.0)
    plan = replace(plan, clipping=None)
    net = linear(2.0)
    train(net, steady, plan, loss=pull, device=CPU)
    # The first step of Adam has the length of the rate; -1 + 0.5 · 2 = 0 where the decay is part of the gradient.
    wanted = 2.0 - 0.1 * 0.5 * 2.0 + 0.1 if optimizer == "adamw" else 2.0
    assert net.weight.item() == pytest.approx(wanted, rel=1e-6)


def test_biases_do_not_decay():
    net = torch.nn.Linear(2, 3)
    run = _run.Run(net, Plan(steps=1, weight_decay=0.1), torch.device(CPU))
    assert [(len(g["params"]), g["weight_decay"]) for g in run.optimizer.param_groups] == [(1, 0.1), (1, 0.0)]
    assert run.optimizer.param_groups[1]["params"][0] is net.bias


def test_gradients_are_clipped_in_the_norm_over_all():
    plan = Plan(steps=1, rate=1.0, warm_up=0, optimizer="sgd", momentum=0.0, averaging=0.0, clipping=0.1)
    net = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.zeros_(net.weight)
    done = train(net, lambda step: (torch.tensor([[3.0, 4.0]]), torch.zeros(1, 1)), plan, loss=pull, device=CPU)
    np.testing.assert_allclose(net.weight.detach(), [[0.06, 0.08]], rtol=1e-5)
    assert done.history[-1]["gradient"] == pytest.approx(5.0)  # the log tells the length before


def test_normalisation_statistics_are_those_of_the_network():
    net = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 1), torch.nn.BatchNorm1d(1))
    run = _run.Run(net, Plan(steps=9, averaging=0.999), torch.device(CPU))
    for _ in range(3):
        run.advance(lambda step: (torch.rand(4, 1, 8), torch.rand(4, 1, 8)), torch.nn.functional.mse_loss)
    assert torch.equal(run.average[1].running_mean, net[1].running_mean)
    assert run.average[1].num_batches_tracked == 3


def test_schedule():
    plan = Plan(steps=1010, rate=2.0, final_rate=0.5, warm_up=10)
    np.testing.assert_allclose([learning_rate(plan, n) for n in range(10)], 0.2 * np.arange(1, 11))
    n = np.arange(10, 1010)
    wanted = 0.5 + 0.75 * (1 + np.cos(np.pi * (n - 10) / 1000))
    np.testing.assert_allclose([learning_rate(plan, int(k)) for k in n], wanted)
    assert learning_rate(replace(plan, warm_up=0), 0) == 2.0
    assert learning_rate(replace(plan, steps=5), 9) == 2.0  # all warm-up


def test_early_stopping_keeps_the_best_average():
    scores = iter([1.0, 3.0, 2.0, 3.0, 2.5, 9.0])
    seen = []

    def judged(model):
        assert not model.training
        assert not torch.is_grad_enabled()
        seen.append(model.weight.item())
        return next(scores)

    plan = Plan(steps=100, check_every=5, patience=3, averaging=0.5)
    net = linear()
    done = train(net, steady, plan, loss=pull, score=judged, device=CPU)
    assert (done.ended, done.step, done.score, done.best) == ("patience", 25, 3.0, 10)
    assert net.weight.item() == seen[1] != seen[-1]


def test_an_ended_run_is_not_trained_further(tmp_path):
    nets = [linear(), linear()]
    first, second = (train(net, steady, PLAN, loss=pull, folder=tmp_path, device=CPU) for net in nets)
    assert second == first
    assert nets[0].weight.item() == nets[1].weight.item()


def test_border_is_not_counted():
    plan = replace(PLAN, steps=1, border=2)
    target = torch.full((1, 1, 7, 9), torch.nan)
    target[..., 2:-2, 2:-2] = 0.0
    done = train(network(), lambda step: (torch.zeros(1, 1, 7, 9), target), plan, device=CPU)
    assert math.isfinite(done.history[-1]["loss"])
    with pytest.raises(ValueError, match="nothing is left inside a border of 4"):
        train(network(), lambda step: (torch.zeros(1, 1, 7, 9), target), replace(plan, border=4), device=CPU)


def test_a_loss_that_is_not_finite_stops_the_run_and_leaves_the_last_state(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)

    def exploding(step):
        return torch.ones(1, 1), torch.full((1, 1), math.nan if step == 8 else 0.0)

    with pytest.raises(FloatingPointError, match="not finite at step 9; lower rate"):
        train(linear(), exploding, PLAN, folder=tmp_path, device=CPU)
    state = torch.load(tmp_path / training.CHECKPOINT, weights_only=True)
    assert state["step"] == 8
    assert torch.isfinite(state["model"]["weight"]).all()


def test_damaged_and_foreign_states_are_refused(tmp_path):
    path = tmp_path / training.CHECKPOINT
    train(network(), batches(), PLAN, folder=tmp_path, device=CPU, made_of={"data": ["a", "b"]})
    whole = path.read_bytes()

    def refused(match, net=None, plan=PLAN, made_of=None):
        before = path.read_bytes()
        with pytest.raises(ValueError, match=match) as caught:
            train(
                net or network(), batches(), plan, folder=tmp_path, device=CPU, made_of=made_of or {"data": ["a", "b"]}
            )
        assert "\n" not in str(caught.value)
        assert path.read_bytes() == before

    refused("rate 0.01, now 0.5; pass the same", plan=replace(PLAN, rate=0.5))
    refused("data", made_of={"data": ["a"]})
    refused("another network: weight has shape None, now", net=linear())
    numbers = whole.index(torch.load(path, weights_only=True)["model"]["0.weight"].numpy().tobytes())
    flipped = bytes(b ^ (i == numbers + 5) for i, b in enumerate(whole))
    for damaged in (
        b"",
        flipped,
        whole[: len(whole) // 2],
        b"not a checkpoint",
        whole[:200] + bytes(400) + whole[600:],
    ):
        path.write_bytes(damaged)
        refused("no whole checkpoint.*move checkpoint.pt away")
    torch.save({"model": {}}, path)
    refused("no checkpoint of this kind")
    torch.save(Evil(), path)
    refused("no whole checkpoint")
    assert not (tmp_path / "evil").exists()
    assert sorted(f.name for f in tmp_path.iterdir()) == [training.CHECKPOINT, training.LOG]


class Evil:
    """Pickled code, which must not run."""

    def __reduce__(self):
        return open, ("evil", "w")


def test_a_failure_while_saving_leaves_the_state_before(tmp_path, monkeypatch):
    path = tmp_path / "state.pt"
    _checkpoints.write(path, {"wanted": {}, "step": 1})
    with pytest.raises(Exception, match=r"pickle|local"):
        _checkpoints.write(path, {"wanted": {}, "step": lambda: 2})
    assert _checkpoints.read(path, {})["step"] == 1
    assert [f.name for f in tmp_path.iterdir()] == ["state.pt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"steps": 2.0}, "steps is 2.0"),
        ({"rate": 0}, "rate is 0"),
        ({"final_rate": 1}, "final_rate is 1"),
        ({"optimizer": "adagrad"}, "optimizer is 'adagrad'"),
        ({"averaging": 1.5}, "averaging is 1.5"),
        ({"clipping": 0}, "clipping is 0"),
        ({"patience": 0}, "patience is 0"),
        ({"precision": "float8"}, "precision is 'float8'"),
    ],
)
def test_plans_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        Plan(**{"steps": 1, **options})


def test_other_wrong_calls(tmp_path):
    with pytest.raises(ValueError, match="device is 'abacus'"):
        train(linear(), steady, PLAN, device="abacus")
    with pytest.raises(ValueError, match="made_of has 'rate'"):
        train(linear(), steady, PLAN, made_of={"rate": 1}, device=CPU)
    with pytest.raises(TypeError, match="numbers, words"):
        train(linear(), steady, PLAN, made_of={"data": {1, 2}}, device=CPU)
    with pytest.raises(ValueError, match="no parameter"):
        train(torch.nn.ReLU(), steady, PLAN, device=CPU)
    with pytest.raises(ValueError, match="max_seconds is -1"):
        train(linear(), steady, PLAN, max_seconds=-1, device=CPU)


def test_crops_turns_and_flips_are_those_of_numpy():
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, (9, 13, 2)).astype(np.uint8), rng.integers(0, 256, (17, 8, 2)).astype(np.uint8)]
    places = np.array([[i % 2, i % 3, i % 4] for i in range(16)])
    symmetries = np.array([[a, b, t] for a in (0, 1) for b in (0, 1) for t in range(4)])
    crops = Photographs(images).crop(places, 5, symmetries)
    for crop, (i, y, x), (a, b, turns) in zip(crops, places, symmetries, strict=True):
        wanted = np.rot90(images[i][y : y + 5, x : x + 5], turns)
        wanted = wanted[:: -1 if a else 1, :: -1 if b else 1]
        np.testing.assert_array_equal(np.round(255 * crop.permute(1, 2, 0).numpy()), wanted)


def test_every_place_is_as_probable():
    images = Photographs([np.zeros((6, 7), np.uint8), np.zeros((4, 9), np.uint8), np.zeros((3, 30), np.uint8)])
    places = images.draw(30_000, 4, np.random.default_rng(0))
    found, counts = np.unique(places, axis=0, return_counts=True)
    wanted = {(0, y, x) for y in range(3) for x in range(4)} | {(1, 0, x) for x in range(6)}
    assert {tuple(row) for row in found.tolist()} == wanted
    mean = 30_000 / len(wanted)
    assert np.abs(counts - mean).max() < 5 * np.sqrt(mean)
    with pytest.raises(ValueError, match="holds a crop of 40 pixels"):
        images.draw(1, 40, np.random.default_rng(0))


def test_batches_depend_on_seed_and_step_alone():
    first, again, other = batches(seed=1), batches(seed=1), batches(seed=2)
    inputs, target = first(7)
    first(8)
    assert torch.equal(first(7)[1], target)
    assert torch.equal(again(7)[0][0], inputs[0])
    assert not torch.equal(again(8)[1], target)
    assert not torch.equal(other(7)[1], target)


def test_without_augmentation_the_same_crops_come():
    plain = Batches(photographs(), lambda x, g: ((x,), x), size=12, count=8, flips=False, rotations=False)
    turned = replace(plain, flips=True, rotations=True)
    for a, b in zip(plain(0)[1], turned(0)[1], strict=True):
        torch.testing.assert_close(a.sort().values.sum(), b.sort().values.sum())
        assert any(
            torch.equal(torch.rot90(a, k, (1, 2)).flip(f), b) for k in range(4) for f in ((), (1,), (2,), (1, 2))
        )


@pytest.mark.parametrize("factor", [2, 3])
def test_pairs_of_super_resolution_belong_together(factor):
    """The input is the whole photograph shrunk, cropped where the target was, however the patch was turned."""
    image = np.random.default_rng(2).integers(0, 256, (48, 60, 3)).astype(np.uint8)
    degrade = Shrink(factor, rounded=False)
    size = degrade.patch_size(4)
    whole = imresize(luminance(image.astype(np.float64)), 1 / factor)
    places = np.array([[0, 2 * factor, 3 * factor]] * 8)
    symmetries = np.array([[a, b, t] for a in (0, 1) for b in (0, 1) for t in range(2)])
    patches = Photographs([image]).crop(places, size, symmetries)
    (small,), large = degrade(patches, torch.Generator())
    assert small.shape == (8, 1, 4, 4)
    assert large.shape == (8, 1, 4 * factor, 4 * factor)
    for a, b, (up, left, turns) in zip(small, large, symmetries, strict=True):
        for found, picture, first in ((a, whole, 1), (b, luminance(image.astype(np.float64)), factor)):
            start, side = (4 * first, 5 * first), found.shape[-1]
            wanted = np.rot90(picture[start[0] : start[0] + side, start[1] : start[1] + side], turns)
            wanted = wanted[:: -1 if up else 1, :: -1 if left else 1]
            np.testing.assert_allclose(255 * found[0], wanted, atol=1e-3)
    (rounded,), _ = Shrink(factor)(patches, torch.Generator())
    torch.testing.assert_close(255 * rounded, torch.floor(255 * small + 0.5), atol=1e-3, rtol=0)
    with pytest.raises(ValueError, match="see patch_size"):
        degrade(patches[..., : factor * 4, :], torch.Generator())


def test_noise_is_of_the_strength_that_is_told():
    clean = torch.full((6, 3, 200, 200), 0.5)
    (noisy, sigma), target = GaussianNoise(10, 50)(clean, torch.Generator().manual_seed(0))
    assert target.shape == (6, 1, 200, 200)
    assert float(255 * sigma.min()) >= 10
    assert float(255 * sigma.max()) <= 50
    np.testing.assert_allclose((noisy - target).std(dim=(1, 2, 3)), sigma, rtol=0.02)
    assert GaussianNoise(0, 5, channels=3)(clean, torch.Generator())[1].shape[1] == 3
    (_, leaning), _ = GaussianNoise(10, 50, lean=2.0)(clean, torch.Generator().manual_seed(0))
    np.testing.assert_allclose(255 * leaning - 10, (255 * sigma - 10) ** 2 / 40, rtol=1e-4)


def test_colour_jitter_by_hand():
    rng = np.random.default_rng(3)
    x = rng.uniform(0.3, 0.6, (2, 3, 4, 4))
    s, c, b = rng.uniform(0.8, 1.2, (3, 2))
    found = _patches.recoloured(torch.as_tensor(x), s, c, b)
    for i in range(2):
        grey = np.tensordot([0.299, 0.587, 0.114], x[i], 1)
        y = grey + s[i] * (x[i] - grey)
        np.testing.assert_allclose(found[i], b[i] * (y.mean() + c[i] * (y - y.mean())), rtol=1e-6)


def test_folders_of_photographs(tmp_path):
    rng = np.random.default_rng(4)
    pictures = {"b.png": rng.integers(0, 256, (6, 8, 3)).astype(np.uint8), "a.png": np.full((5, 5), 7, np.uint8)}
    for name, x in pictures.items():
        io.write(tmp_path / name, x)
    np.save(tmp_path / "c.npy", np.full((4, 4), 257 * 9, np.uint16))
    (tmp_path / "notes.txt").write_text("no picture")
    found = read_photographs(tmp_path)
    assert list(found) == ["a", "b", "c"]
    assert (found["c"] == 9).all()
    assert found["a"].shape == (5, 5, 1)
    np.testing.assert_array_equal(found["b"], pictures["b.png"])
    assert list(read_photographs(tmp_path, leave_out=["b"])) == ["a", "c"]
    packed = Photographs(found)
    assert packed.channels == 3
    np.testing.assert_allclose(255 * packed.crop(np.array([[0, 1, 1]]), 3), 7)
    with pytest.raises(ValueError, match="holds no photograph"):
        read_photographs(tmp_path, leave_out=["a", "b", "c"])
    with pytest.raises(NotADirectoryError, match="is no folder"):
        read_photographs(tmp_path / "nowhere")
    np.save(tmp_path / "d.npy", np.zeros((4, 4)))
    with pytest.raises(TypeError, match=r"d\.npy has dtype float64"):
        read_photographs(tmp_path)


def test_smaller_copies_are_antialiased():
    image = np.random.default_rng(5).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    packed = Photographs([image], scales=(1.0, 0.5))
    small = packed.crop(np.array([[1, 0, 0]]), 10)
    wanted = imresize(image.astype(float), 0.5, channel_axis=-1)[:, :10].clip(0, 255)
    np.testing.assert_allclose(255 * small[0].permute(1, 2, 0), wanted, atol=0.501)


def test_charbonnier_is_the_absolute_difference_with_a_round_tip():
    d = torch.tensor([0.0, 0.5, -2.0], requires_grad=True)
    value = charbonnier(d, torch.zeros(3))
    assert value.item() == pytest.approx((1e-3 + 0.5 + 2.0) / 3, rel=1e-4)
    value.backward()
    np.testing.assert_allclose(3 * d.grad, [0, 1, -1], atol=1e-5)


def test_the_loop_learns_what_has_a_closed_form():
    """A 1x1 convolution denoises best with Wiener's gain, variance over variance and noise."""
    rng = np.random.default_rng(6)
    images = Photographs([rng.integers(0, 256, (64, 64)).astype(np.uint8)])
    given = Batches(images, FirstInput(GaussianNoise(60, 60)), size=32, count=16)
    net = torch.nn.Conv2d(1, 1, 1)
    for parameter in net.parameters():
        torch.nn.init.ones_(parameter)
    train(net, given, Plan(steps=300, rate=0.1, warm_up=20, averaging=0.98), device=CPU)
    variance = float(images.crop(np.array([[0, 0, 0]]), 64).var())
    assert net.weight.item() == pytest.approx(variance / (variance + (60 / 255) ** 2), abs=0.01)
