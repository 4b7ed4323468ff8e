"""Files of weights: what was written comes back, and what is damaged, foreign or of another network is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="networks need torch: pip install sigdeconv[learned]")
pytest.importorskip("safetensors", reason="weights need safetensors: pip install sigdeconv[learned]")

import safetensors.torch
import torch

from sigdeconv.transposed import weights

RECORD = {
    "recipe": {"name": "by hand", "steps": 3},
    "seed": 7,
    "data": ["kodim01", "Möwe"],
    "results": {"held out": {"psnr": 31.4}},
    "learning_curve": [[1, 20.0], [2, 30.5]],
}
LIMIT = 4 * 1000**2  # bytes in the wheel


def network(width=4, seed=0, kind=torch.nn.Conv2d):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.nn.Sequential(kind(1, width, 3), torch.nn.PReLU(width), torch.nn.BatchNorm2d(width))


def values(net):
    return {name: x.clone() for name, x in net.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture
def path(tmp_path):
    return weights.save(tmp_path / "net.safetensors", network(), RECORD)


def test_what_was_written_comes_back(path):
    net = network(seed=1)
    told = weights.load(path, net)
    assert same(values(net), values(network()))
    assert told == {**RECORD, "parameters": 4 * 9 + 4 + 4 + 8} == weights.record(path)
    assert [p.requires_grad for p in net.parameters()] == [True] * 5


def test_a_record_is_readable_without_this_package(path):
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert json.loads(header["__metadata__"]["record"])["data"] == ["kodim01", "Möwe"]


@pytest.mark.parametrize("wide", [torch.float32, torch.float64])
def test_half_precision_in_the_file_only(tmp_path, wide):
    file = weights.save(tmp_path / "half.safetensors", network(), RECORD, dtype="float16")
    net = network(seed=1).to(wide)
    weights.load(file, net)
    assert net[0].weight.dtype == wide
    assert torch.equal(net[0].weight, network()[0].weight.to(torch.float16).to(wide))
    assert net[2].num_batches_tracked.dtype == torch.int64


def test_tied_and_transposed_weights_are_written_whole(tmp_path):
    one, two = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
    two.weight = one.weight
    one.weight.data = one.weight.data.T
    net = torch.nn.ModuleList([one, two])
    copy = torch.nn.ModuleList([torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)])
    weights.load(weights.save(tmp_path / "tied.safetensors", net, RECORD), copy)
    assert same(values(net), values(copy))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (network(width=5), r"0\.weight has shape \(4, 1, 3, 3\) in the file, \(5, 1, 3, 3\) in it"),
        (network(kind=torch.nn.ConvTranspose2d), r"0\.weight has shape \(4, 1, 3, 3\)"),
        (network()[:2], r"2\.\w+ is only in the file"),
        (torch.nn.Sequential(*network(), torch.nn.PReLU()), r"3\.weight is only in the network"),
    ],
)
def test_other_networks_are_refused_and_stay_as_they_are(path, other, message):
    before = values(other)
    with pytest.raises(ValueError, match="fits another network than Sequential: " + message) as caught:
        weights.load(path, other)
    assert "\n" not in str(caught.value)
    assert same(values(other), before)


def test_damaged_files_are_refused(path):
    whole = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(whole[:8], "little")
    flipped, renamed = whole.copy(), whole.copy()
    flipped[start + 17] ^= 1
    at = whole.index(b"31.4")
    renamed[at : at + 4] = b"39.4"
    net = network(seed=1)
    before = values(net)
    cases = {
        "no whole safetensors file": [b"", b"{}", whole[:-1], whole[:50], b"\xff" * 300, whole + b"x", b"PK" + whole],
        "damaged: what it holds does not give its checksum": [flipped, renamed],
    }
    for message, damaged in cases.items():
        for data in damaged:
            path.write_bytes(data)
            for attempt in (lambda: weights.load(path, net), lambda: weights.record(path)):
                with pytest.raises(ValueError, match=message) as caught:
                    attempt()
                assert "\n" not in str(caught.value)
    assert same(values(net), before)


def test_foreign_files_are_refused(tmp_path):
    foreign = tmp_path / "foreign.safetensors"
    safetensors.torch.save_file(network().state_dict(), foreign)
    with pytest.raises(ValueError, match="was not written by"):
        weights.load(foreign, network())
    torch.save(network().state_dict(), foreign)
    with pytest.raises(ValueError, match="no whole safetensors file"):
        weights.load(foreign, network())


def test_names_that_do_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no weights 'nothing'; pass a \.safetensors file or a name of:"):
        weights.load("nothing", network())
    with pytest.raises(FileNotFoundError, match="does not exist"):
        weights.load(tmp_path / "nothing.safetensors", network())
    with pytest.raises(TypeError, match="name_or_path is 3"):
        weights.load(3, network())


def test_packaged_weights_are_found_by_name(path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", path.parent)
    assert weights.packaged() == ["net"]
    assert weights.load("net", network(seed=1))["seed"] == 7
    with pytest.raises(FileNotFoundError, match="a name of: net"):
        weights.record("other")


@pytest.mark.parametrize(
    ("name", "change", "record", "options", "error", "message"),
    [
        ("new.safetensors", None, {"seed": 0}, {}, ValueError, "record has no recipe, data, results, learning_curve"),
        ("new.safetensors", None, {**RECORD, "data": np.ones(2)}, {}, ValueError, "cannot be written as JSON"),
        ("new.safetensors", None, {**RECORD, "seed": float("nan")}, {}, ValueError, "cannot be written as JSON"),
        ("new.safetensors", float("nan"), RECORD, {}, ValueError, "0.weight has weights that are not finite"),
        ("new.safetensors", 1e6, RECORD, {"dtype": "float16"}, ValueError, "not finite in float16"),
        ("new.safetensors", None, RECORD, {"dtype": "int8"}, ValueError, "dtype is 'int8'"),
        ("new.pth", None, RECORD, {}, ValueError, "ends in .safetensors"),
        ("net.safetensors", None, RECORD, {}, FileExistsError, "exists; pass another name, or overwrite"),
        ("no/new.safetensors", None, RECORD, {}, FileNotFoundError, "folder that does not exist"),
    ],
)
def test_nothing_is_written_on_failure(path, name, change, record, options, error, message):
    net, before = network(seed=1), path.read_bytes()
    if change is not None:
        net[0].weight.data[0, 0, 1, 1] = change
    with pytest.raises(error, match=message):
        weights.save(path.parent / name, net, record, **options)
    assert [f.name for f in path.parent.iterdir()] == ["net.safetensors"]
    assert path.read_bytes() == before


def test_a_failure_of_the_disk_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda file: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        weights.save(path, network(seed=1), RECORD, overwrite=True)
    assert [f.name for f in path.parent.iterdir()] == ["net.safetensors"]
    assert path.read_bytes() == before


def test_overwriting_when_asked(path):
    weights.save(path, network(seed=1), RECORD, overwrite=True)
    net = network()
    weights.load(path, net)
    assert same(values(net), values(network(seed=1)))


def test_the_package_stays_small_and_its_weights_whole():
    files = list(weights.FOLDER.glob("*")) if weights.FOLDER.is_dir() else []
    assert sum(file.stat().st_size for file in files) <= LIMIT
    for name in weights.packaged():
        assert set(weights.RECORDED) <= weights.record(name).keys()
