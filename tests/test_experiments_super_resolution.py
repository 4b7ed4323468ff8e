"""The experiment on super-resolution: how photographs are shrunk, what is told to whom, and one small run."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")

import sigdeconv
from experiments import super_resolution as experiment
from experiments.common import SkippedError, Study
from sigdeconv.transposed import bicubic


def photograph(side: int) -> np.ndarray:
    y, x = np.indices((side, side)) / 5
    return (128 + 60 * np.sin(x) * np.cos(1.3 * y) + 40 * ((x - 6) ** 2 + (y - 5) ** 2 < 9)).astype(np.float32)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_operator_shrinks_as_the_literature_does(scale):
    scene = photograph(24 * scale)
    operator = experiment.shrinking_operator(experiment.bicubic_kernel(scale), scale, (24, 24))
    mirrored = sigdeconv.Convolution(operator.psf, (24, 24), stride=scale, center=operator.center, boundary="reflect")
    np.testing.assert_allclose(mirrored(scene), bicubic.imresize(scene, 1 / scale), atol=1e-3)


def test_a_pixel_is_the_mean_of_four():
    scene = photograph(24)
    shrinking = experiment.SHRINKINGS["camera"]
    operator = experiment.shrinking_operator(shrinking.kernel, 2, (12, 12))
    mirrored = sigdeconv.Convolution(operator.psf, (12, 12), stride=2, center=operator.center, boundary="reflect")
    np.testing.assert_allclose(mirrored(scene), scene.reshape(12, 2, 12, 2).mean(axis=(1, 3)), atol=1e-3)


@pytest.mark.parametrize("key", experiment.SHRINKINGS)
def test_kernels_keep_the_light_and_the_place(key):
    kernel = experiment.SHRINKINGS[key].kernel
    assert kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(kernel, kernel[::-1], atol=1e-15)
    ramp = np.add.outer(np.zeros(40), np.arange(40.0)).astype(np.float32)
    operator = experiment.shrinking_operator(kernel, 2, (20, 20))
    mirrored = sigdeconv.Convolution(operator.psf, (20, 20), stride=2, center=operator.center, boundary="reflect")
    np.testing.assert_allclose(mirrored(ramp)[10, 6:14], 2 * np.arange(6, 14) + 0.5, atol=1e-3)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_deconvolution_beats_interpolation_and_agrees_with_what_it_was_given(scale):
    y, x = np.indices((20 * scale, 20 * scale)) / scale
    truth = (60 + 90 * (((x - 9) ** 2 + (y - 10) ** 2 < 30) ^ (x + 0.4 * y > 14))).astype(np.float32)
    small = bicubic.low_resolution(truth, scale).astype(np.float32)
    found = {
        key: experiment.measure(truth, small, experiment.METHODS[key], scale) for key in ("bicubic", "deconvolution")
    }
    assert found["deconvolution"]["psnr"] > found["bicubic"]["psnr"] + 1
    assert found["deconvolution"]["agreement"] > found["bicubic"]["agreement"] + 4


def test_measures_of_the_truth_itself():
    truth = bicubic.eight_bits(photograph(32))
    small = bicubic.imresize(truth, 0.5)
    found = experiment.measure(truth, small, experiment.Method("", lambda small, scale: truth), 2)
    assert found["psnr"] == np.inf
    assert found["ssim"] == pytest.approx(1)
    assert found["agreement"] > 100


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_fixed_transposed_convolution_is_bilinear_interpolation(scale):
    pytest.importorskip("torch", reason="torch is not installed: pip install sigdeconv[learned]")
    from skimage.transform import resize

    small = photograph(12)
    expected = resize(small, (12 * scale, 12 * scale), order=1, mode="edge", anti_aliasing=False)
    np.testing.assert_allclose(experiment.fixed_transpose(small, scale), expected, atol=1e-3)


def test_without_torch_it_is_skipped(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SkippedError, match=r"pip install sigdeconv\[learned\]"):
        experiment.run(Study(out=tmp_path, quiet=True))


def test_a_small_run(stand_ins, monkeypatch, tmp_path):
    monkeypatch.setattr(experiment, "STEPS", 2)
    monkeypatch.setattr(experiment, "SCENES", {"astronaut": experiment.SCENES["astronaut"]})
    monkeypatch.setattr(experiment, "OTHER_SCENES", ("astronaut",))
    chapter = experiment.run(Study(out=tmp_path, size=60, quiet=True))
    files = {part.file for part in chapter.parts if hasattr(part, "file")}
    assert files == {f"super_resolution-{name}.png" for name in ("crops", "gains", "other")}
    assert all((tmp_path / file).stat().st_size > 10_000 for file in files)
    tables = {part.name: part for part in chapter.parts if hasattr(part, "rows")}
    rows = {row["method"]: row for row in tables["super_resolution"].rows}
    assert len(rows) == len(experiment.METHODS)
    assert rows["learned transposed convolution, small"]["parameters"] == "12,689"
    assert rows["deconvolution, told the kernel"]["psnr2"] > rows["bicubic interpolation"]["psnr2"]
    layers = [row["parameters"] for row in tables["super_resolution-layers"].rows]
    assert len(set(layers)) == 1
    told = next(row for row in tables["super_resolution-other"].rows if row["method"].startswith("deconvolution"))
    assert told["blurred"] > 0
    assert "dB" in chapter.finding
