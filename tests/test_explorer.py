"""The convolution explorer's arithmetic and filters, run by node, against sigdeconv, NumPy and torch."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sigdeconv
from sigdeconv.transposed import (
    conv_shape,
    equivalent_convolution,
    input_sizes,
    output_padding_for,
    overlap_count,
    transposed_shape,
)

PAGE = Path(__file__).parent.parent / "docs" / "explorer"
LAYERS = 3000
VALUED = 400  # layers whose values are compared, the first ones
SHAPE = (32, 64)
BALANCES = (1e-6, 1e-3, 0.3)
CUTOFFS = (1e-3, 0.05)
PSFS = {
    "gaussian": ([1.3], sigdeconv.psf.gaussian((13, 13), 1.3)),
    "narrow": ([0.5], sigdeconv.psf.gaussian((5, 5), 0.5)),
    "disc": ([2.75], sigdeconv.psf.disk(2.75)),
    "small disc": ([0.5], sigdeconv.psf.disk(0.5)),
    "motion": ([9.5, 37.0], sigdeconv.psf.motion(9.5, 37.0)),
    "steep motion": ([6.0, 115.0], sigdeconv.psf.motion(6.0, 115.0)),
    "level motion": ([7.0, 0.0], sigdeconv.psf.motion(7.0)),
    "wide": ([40.0, 10.0], sigdeconv.psf.motion(40.0, 10.0)),  # wrapped around on the grid
}
FUNCTIONS = {
    "narrow": "gaussian",
    "small disc": "disc",
    "steep motion": "motion",
    "level motion": "motion",
    "wide": "motion",
}

SCRIPT = r"""
const load = (name) => require(`${process.argv[1]}/${name}.js`);
const [A, R, K, P] = ["arithmetic", "restoration", "kernels", "pictures"].map(load);
const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
const or = (problem, value) => (problem ? null : value());
const repaired = (layer, fault) => {
  const problem = fault(layer);
  return problem && { ...problem, after: fault({ ...layer, ...problem.repair }) };
};
const layers = given.layers.map((layer, i) => {
  const forward = A.convolutionFault(layer), back = A.transposedFault(layer), base = { ...layer, outputPadding: 0 };
  const result = {
    convolved: or(forward, () => A.convolvedSize(layer)),
    transposed: or(back, () => A.transposedSize(layer)),
    forward: repaired(layer, A.convolutionFault), back: repaired(layer, A.transposedFault),
    inputs: A.inputSizes(base),
    paddings: given.wanted.map((wanted) => A.outputPaddingFor(base, wanted)),
    equivalent: or(back, () => A.equivalent(layer)),
    overlaps: or(back, () => A.overlapCount(layer)),
    reads: or(forward, () => A.readCount(layer)),
  };
  if (i >= given.valued) return result;
  const { x, w, x2, w2 } = given.values[i], two = [layer, given.layers[i + 1]];
  const flipped = [...w].reverse(), still = { kernel: layer.kernel, dilation: layer.dilation };
  return {
    ...result,
    convolution: or(forward, () => A.convolve(x, w, layer)),
    transpose: or(back, () => A.transpose(x, w, layer)),
    inserted: or(back, () => A.convolve(A.insertZeros(x, layer), flipped, still)),
    matrix: or(forward, () => A.matrix(A.convolutionTaps(layer), w)),
    adjoint: or(back, () => A.matrix(A.transposedTaps(layer), w)),
    convolution2: or(two.some(A.convolutionFault), () => A.convolve2(x2, w2, two)),
    transpose2: or(two.some(A.transposedFault), () => A.transpose2(x2, w2, two)),
  };
});
const [rows, cols] = given.shape, image = { rows, cols, data: given.image };
const X = R.transform(image), N = R.transform({ rows, cols, data: given.noise }), rough = R.roughness(rows, cols);
const psfs = Object.fromEntries(Object.entries(given.psfs).map(([name, [make, args]]) => {
  const psf = K[make](...args), H = R.transferOf(psf, rows, cols), power = R.powerOf(H);
  const Y = R.blurred(X, H, N, given.level), T = R.transposed(H, Y);
  const [blurred, transpose] = R.images(Y, T);
  const restored = (weights) => R.images(R.weighed(T, weights), T)[0].data;
  const best = R.best(X, T, (v) => R.wienerWeights(power, v, rough), -9, 2);
  const cutoff = R.best(X, T, (v) => R.inverseWeights(power, v), -6, -0.3);
  return [name, {
    psf, blurred: blurred.data, transpose: transpose.data, best, cutoff, psnr: R.psnr(image.data, blurred.data),
    inverse: given.cutoffs.map((v) => restored(R.inverseWeights(power, v))),
    wiener: given.balances.map((v) => restored(R.wienerWeights(power, v, rough))),
  }];
}));
const answer = {
  layers, psfs, re: X.re, im: X.im, normal: R.noise(5001, 7), other: R.noise(8, 8),
  drawn: P.drawn().data, photograph: P.photograph().data,
};
const plain = (key, v) => (v instanceof Float64Array ? Array.from(v) : v);
process.stdout.write(JSON.stringify(answer, plain));
"""


def drawn_layers() -> list[dict[str, Any]]:
    rng = np.random.default_rng(5)
    result = []
    for i in range(LAYERS + 1):
        before, after = rng.integers(-1 if i % 10 == 0 else 0, 6, 2)
        result.append(
            {
                "size": int(rng.integers(1, 13)),
                "kernel": int(rng.integers(1, 7)),
                "stride": int(rng.integers(1, 5)),
                "padding": int(before) if i % 4 > 1 else [int(before), int(after)],
                "dilation": int(rng.integers(1, 4)),
                "outputPadding": int(rng.integers(0, 4)) if i % 3 else 0,
            }
        )
    return result


@pytest.fixture(scope="module")
def given() -> dict[str, Any]:
    rng = np.random.default_rng(6)
    layers = drawn_layers()
    values = [
        {
            "x": rng.standard_normal(a["size"]).tolist(),
            "w": rng.standard_normal(a["kernel"]).tolist(),
            "x2": rng.standard_normal((a["size"], b["size"])).tolist(),
            "w2": rng.standard_normal((a["kernel"], b["kernel"])).tolist(),
        }
        for a, b in pairwise(layers[: VALUED + 1])
    ]
    return {
        "layers": layers,
        "values": values,
        "valued": VALUED,
        "wanted": list(range(1, 30)),
        "shape": SHAPE,
        "image": rng.random(math.prod(SHAPE)).tolist(),
        "noise": rng.standard_normal(math.prod(SHAPE)).tolist(),
        "level": 0.03,
        "cutoffs": CUTOFFS,
        "balances": BALANCES,
        "psfs": {name: [FUNCTIONS.get(name, name), args] for name, (args, _) in PSFS.items()},
    }


@pytest.fixture(scope="module")
def answer(given: dict[str, Any]) -> dict[str, Any]:
    """What the page's own code computes, in one run of node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node runs the explorer's JavaScript, and is not installed")
    done = subprocess.run(
        [node, "-e", SCRIPT, str(PAGE)], input=json.dumps(given), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def layers(given: dict[str, Any], answer: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return list(zip(given["layers"], answer["layers"], strict=True))


def arguments(layer: dict[str, Any], *, extra: bool = False) -> dict[str, Any]:
    """A layer of the page as keyword arguments of the library."""
    padding = layer["padding"]
    result = {name: layer[name] for name in ("stride", "dilation")}
    result |= {"kernel_size": layer["kernel"], "padding": padding if isinstance(padding, int) else [padding]}
    return result | ({"output_padding": layer["outputPadding"]} if extra else {})


def attempt(function: Any, *args: Any, **kwargs: Any) -> Any:
    """The answer for the only axis, or None where the library refuses."""
    try:
        result = function(*args, **kwargs)
    except ValueError:
        return None
    return result[0]


def test_shapes(layers):
    for layer, found in layers:
        assert found["convolved"] == attempt(conv_shape, layer["size"], **arguments(layer)), layer
        assert found["transposed"] == attempt(transposed_shape, layer["size"], **arguments(layer, extra=True)), layer
    for name in ("convolved", "transposed"):  # both kinds were drawn, often
        assert 50 < sum(found[name] is None for _, found in layers) < LAYERS - 1000


def test_a_layer_that_cannot_be_gets_a_reason_and_a_change_that_helps(layers):
    for layer, found in layers:
        for way in ("forward", "back"):
            problem = found[way]
            if problem is None:
                continue
            assert problem["fault"].endswith((".", ")")), problem
            assert problem["remedy"].endswith("."), problem
            # After output_padding, padding may be at fault too; then the next sentence says so.
            still = problem["after"]
            assert still is None or still["repair"].keys() != problem["repair"].keys(), (layer, problem)


def test_sizes_of_one_output_and_the_output_padding_of_each(given, layers):
    for layer, found in layers:
        geometry = arguments(layer)
        assert found["inputs"] == list(input_sizes(layer["size"], **geometry)[0]), layer
        wanted = [attempt(output_padding_for, layer["size"], n, **geometry) for n in given["wanted"]]
        assert found["paddings"] == wanted, layer


def test_zero_insertion(layers):
    for layer, found in layers:
        if found["transposed"] is None:
            continue
        same = equivalent_convolution(layer["size"], **arguments(layer, extra=True))
        assert found["equivalent"] == {
            "zerosBetween": same.zeros_between[0],
            "insertedSize": same.inserted_shape[0],
            "padding": list(same.padding[0]),
            "paddedSize": same.padded_shape[0],
            "dilation": same.dilation[0],
            "size": same.shape[0],
        }, layer


def test_overlap(layers):
    for layer, found in layers:
        if found["transposed"] is not None:
            assert found["overlaps"] == overlap_count(layer["size"], **arguments(layer, extra=True)).tolist(), layer
        if found["convolved"] is not None:
            # A convolution reads its input as often as its transpose writes there.
            geometry = arguments(layer)
            extra = output_padding_for(found["convolved"], layer["size"], **geometry)
            assert found["reads"] == overlap_count(found["convolved"], output_padding=extra, **geometry).tolist(), layer


def dense(layer: dict[str, Any], rows: int, columns: int, w: list[float]) -> np.ndarray:
    """The matrix of a convolution, entry by entry from its definition."""
    padding = layer["padding"]
    before = padding if isinstance(padding, int) else padding[0]
    result = np.zeros((rows, columns))
    for i in range(rows):
        for t, weight in enumerate(w):
            j = i * layer["stride"] - before + t * layer["dilation"]
            if 0 <= j < columns:
                result[i, j] += weight
    return result


def test_matrices_and_values(given, layers):
    compared = 0
    for (layer, found), value in zip(layers, given["values"], strict=False):
        x, w = value["x"], value["w"]
        if found["convolved"] is not None:
            A = dense(layer, found["convolved"], layer["size"], w)
            np.testing.assert_allclose(found["matrix"], A, atol=0)
            np.testing.assert_allclose(found["convolution"], A @ x, atol=1e-12)
        if found["transposed"] is not None:
            A = dense(layer, layer["size"], found["transposed"], w)
            np.testing.assert_allclose(found["adjoint"], A.T, atol=0)
            np.testing.assert_allclose(found["transpose"], A.T @ x, atol=1e-12)
            np.testing.assert_allclose(found["inserted"], A.T @ x, atol=1e-12, err_msg=str(layer))
            compared += 1
    assert compared > VALUED / 4


def test_values_are_torchs(given, layers, torch):
    F = torch.nn.functional

    def tensor(values: Any) -> Any:
        return torch.tensor(values, dtype=torch.float64)[None, None]

    compared = {"convolution": 0, "transpose": 0, "convolution2": 0, "transpose2": 0}
    for i, value in enumerate(given["values"]):
        pair = [layers[i][0], layers[i + 1][0]]
        found = layers[i][1]
        for ndim, end in ((1, ""), (2, "2")):
            chosen = pair[:ndim]
            if not all(isinstance(layer["padding"], int) and layer["padding"] >= 0 for layer in chosen):
                continue
            geometry = {name: [layer[name] for layer in chosen] for name in ("stride", "padding", "dilation")}
            extra = [layer["outputPadding"] for layer in chosen]
            x, w = tensor(value["x" + end]), tensor(value["w" + end])
            conv, back = (getattr(F, f"{name}{ndim}d") for name in ("conv", "conv_transpose"))
            cases = {
                "convolution" + end: lambda conv=conv, x=x, w=w, g=geometry: conv(x, w, **g),
                "transpose" + end: lambda back=back, x=x, w=w, g=geometry, e=extra: back(x, w, output_padding=e, **g),
            }
            for name, compute in cases.items():
                if found[name] is not None:
                    np.testing.assert_allclose(found[name], compute()[0, 0].numpy(), atol=1e-12)
                    compared[name] += 1
    assert min(compared.values()) > 20, compared


@pytest.mark.parametrize("name", PSFS)
def test_kernels(answer, name):
    psf, wanted = answer["psfs"][name]["psf"], PSFS[name][1]
    assert (psf["rows"], psf["cols"]) == wanted.shape
    np.testing.assert_allclose(np.reshape(psf["data"], wanted.shape), wanted, atol=1e-9)


def test_fourier_transform(given, answer):
    spectrum = np.fft.fft2(np.reshape(given["image"], SHAPE))
    np.testing.assert_allclose(np.reshape(answer["re"], SHAPE), spectrum.real, atol=1e-10)
    np.testing.assert_allclose(np.reshape(answer["im"], SHAPE), spectrum.imag, atol=1e-10)


@pytest.mark.parametrize("name", PSFS)
def test_blur_transpose_inverse_and_wiener_are_the_librarys(given, answer, name):
    found = answer["psfs"][name]
    scene, noise = (np.reshape(given[key], SHAPE) for key in ("image", "noise"))
    psf = np.reshape(found["psf"]["data"], (found["psf"]["rows"], found["psf"]["cols"]))  # to the last digit the page's
    blur = sigdeconv.Convolution(psf, SHAPE, boundary="periodic")
    image = blur.forward(scene) + given["level"] * noise

    def same(values: Any, wanted: np.ndarray) -> None:
        assert np.linalg.norm(np.reshape(values, SHAPE) - wanted) < 1e-6 * np.linalg.norm(wanted)

    same(found["blurred"], image)
    same(found["transpose"], blur.adjoint(image))
    for cutoff, values in zip(CUTOFFS, found["inverse"], strict=True):
        same(values, sigdeconv.inverse_filter(image, psf, cutoff=cutoff))
    for balance, values in zip(BALANCES, found["wiener"], strict=True):
        same(values, sigdeconv.wiener(image, psf, balance=balance, boundary="periodic"))
    assert found["psnr"] == pytest.approx(sigdeconv.metrics.psnr(scene, image, data_range=1.0), rel=1e-6)


@pytest.mark.parametrize("name", ["gaussian", "disc", "motion"])
def test_best_is_best(given, answer, name):
    found = answer["psfs"][name]
    scene, image = np.reshape(given["image"], SHAPE), np.reshape(found["blurred"], SHAPE)
    psf = np.reshape(found["psf"]["data"], (found["psf"]["rows"], found["psf"]["cols"]))

    def wiener(balance: float) -> float:
        restored = sigdeconv.wiener(image, psf, balance=balance, boundary="periodic")
        return sigdeconv.metrics.psnr(scene, restored, data_range=1.0)

    def inverse(cutoff: float) -> float:
        return sigdeconv.metrics.psnr(scene, sigdeconv.inverse_filter(image, psf, cutoff=cutoff), data_range=1.0)

    assert wiener(found["best"]) > max(map(wiener, np.logspace(-9, 2, 67))) - 0.01
    assert inverse(found["cutoff"]) > max(map(inverse, np.logspace(-6, -0.3, 58))) - 0.05


def test_noise_repeats_and_is_normal(answer):
    state = 7

    def uniform() -> float:
        # mulberry32, in 32 bits
        nonlocal state
        bits = 0xFFFFFFFF
        state = (state + 0x6D2B79F5) & bits
        t = ((state ^ (state >> 15)) * (state | 1)) & bits
        t ^= (t + (t ^ (t >> 7)) * (t | 61)) & bits
        return ((t ^ (t >> 14)) + 0.5) / 2**32

    wanted = []
    for _ in range(50):
        radius, turn = math.sqrt(-2 * math.log(uniform())), 2 * math.pi * uniform()
        wanted += [radius * math.cos(turn), radius * math.sin(turn)]
    noise = np.array(answer["normal"])
    np.testing.assert_allclose(noise[:100], wanted, rtol=1e-9, atol=1e-12)
    assert noise.shape == (5001,)
    assert abs(noise.mean()) < 0.06
    assert abs(noise.std() - 1) < 0.04
    assert abs((noise**4).mean() - 3) < 0.4
    assert np.abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 0.06
    assert not np.allclose(noise[:8], answer["other"])


def test_pictures(answer):
    from skimage import data

    part = data.camera()[40:296, 110:366].astype(float).reshape(128, 2, 128, 2).mean((1, 3)).round()
    np.testing.assert_allclose(np.reshape(answer["photograph"], (128, 128)) * 255, part)
    drawn = np.array(answer["drawn"])
    assert drawn.shape == (128 * 128,)
    assert 0 <= drawn.min() < 0.1
    assert 0.9 < drawn.max() <= 1


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def tags() -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed((PAGE / "index.html").read_text("utf-8"))
    return parser.found


def test_page_works_offline_and_its_parts_exist(tags):
    links = [value for _, attrs in tags for key in ("src", "href") if (value := attrs.get(key))]
    scripts = [attrs["src"] for tag, attrs in tags if tag == "script"]
    assert {"../index.html", "explorer.css", "arithmetic.js"} <= set(links)
    for link in links:
        assert not re.match(r"(https?:)?//", link), link
        if not link.startswith(("#", "data:", "../")):
            assert (PAGE / link).is_file(), link
    assert {path.name for path in PAGE.glob("*.js")} == set(scripts), "every script is used, and once"
    for path in PAGE.glob("*.[jc]s*"):
        assert not re.search(r"https?://|\bfetch\(|^\s*import\b", path.read_text("utf-8"), re.M), path.name


def test_controls_are_named_and_scripts_find_their_elements(tags):
    ids = [attrs["id"] for _, attrs in tags if attrs.get("id")]
    assert len(ids) == len(set(ids))
    labels = {attrs.get("for") for tag, attrs in tags if tag == "label"}
    for tag, attrs in tags:
        if tag == "select" or (tag == "input" and attrs.get("type") != "radio"):
            assert attrs["id"] in labels, attrs
        if tag == "input" and attrs.get("type") == "range":
            assert any(t == "output" and a.get("for") == attrs["id"] for t, a in tags), attrs
        if tag == "canvas":
            assert attrs["role"] == "img", attrs
            assert "aria-label" in attrs, attrs
    for path in PAGE.glob("*.js"):
        for name in re.findall(r"\b(?:element|slider)\(\"([\w-]+)\"", path.read_text("utf-8")):
            assert name in ids, (path.name, name)
