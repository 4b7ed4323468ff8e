"""The experiment on stacks: what it measures is true, and its sentences come from its tables."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import oaconvolve

pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")

from experiments import common, volumes
from experiments.volumes import cases, grid, methods
from sigdeconv import io, psf, simulate

FRAME, WINDOW = (16, 20, 31), (9, 13, 15)


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """All of `volumes` on a small stack, without any data, and where it was written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(volumes, "FRAMES", (FRAME, FRAME))
        patch.setattr(volumes, "WINDOWS", (WINDOW, WINDOW))
        patch.setattr(volumes, "STEPS", (20, 20))
        patch.setitem(common.STYLE, "savefig.dpi", 40)
        study = common.Study(tmp_path_factory.mktemp("results"), quiet=True)
        return volumes.run(study), study.out


def rows(chapter, name):
    return next(part for part in chapter[0].parts if isinstance(part, common.Table) and part.name == name).rows


def real(tmp_path):
    folder = common.data_folder()
    if folder is None:
        pytest.skip("no real data: neither $SIGDECONV_DATA nor ../shared/data exists")
    return common.Study(tmp_path, data=folder, quiet=True)


def test_every_method_is_measured_and_the_best_stands_out(chapter):
    table = rows(chapter, "volumes-bars")
    assert [row["key"] for row in table] == ["scene", *volumes.METHODS[0]]
    highest = max(row["psnr"] for row in table[1:])
    assert [row["key"] for row in table if row.get("marked")] == [r["key"] for r in table[1:] if r["psnr"] == highest]
    gain = {row["key"]: row["gain"] for row in table[1:]}
    assert gain["blurred"] == 0
    assert gain["inverse"] < -10 < gain["transpose"] < 0
    assert min(gain["tikhonov"], gain["rl-stopped"], gain["hessian"]) > 3


def test_what_cannot_be_measured_is_a_dash_and_the_truth_has_its_own_widths(chapter):
    table = rows(chapter, "volumes-bars")
    assert [table[0][name] for name in ("wall_x", "wall_z", "hollow_x")] == [pytest.approx(v) for v in (0.2, 0.5, 100)]
    assert all(row[name] == "–" or row[name] > 0 for row in table for name in ("wall_x", "wall_z"))


def test_a_psf_of_other_optics_costs(chapter):
    table = rows(chapter, "volumes-optics")
    assert [row["optics"] for row in table] == [*cases.assumptions(WINDOW)]
    lost = {row["optics"]: table[0]["psnr"] - row["psnr"] for row in table}
    assert lost[next(name for name in lost if "Born–Wolf" in name)] > 1
    assert sum(row["marked"] for row in table) == 1


def test_the_finding_is_read_off_the_tables(chapter):
    gain = {row["key"]: row["gain"] for row in rows(chapter, "volumes-bars")}
    for key in ("transpose", "inverse", "rl-stopped"):
        assert f"{common.signed(gain[key])} dB" in chapter[0].finding
    best = {"key": "rl-stopped", "method": "Richardson–Lucy", "psnr": 9.0, "gain": 1.0}
    table = [best, *({"key": key, "method": key, "psnr": 1.0, "gain": -7.0} for key in ("transpose", "inverse"))]
    optics = [{"optics": cases.TRUE, "gain": 2.0}, {"optics": "Born–Wolf", "gain": 3.0}]
    text = volumes.finding(table, optics, [])
    assert "the best" not in text
    assert "+2.0 dB become +3.0 dB." in text
    wide = [{"key": key, "width": width} for key, width in (("blurred", 0.3), ("transpose", 0.2), ("rl-stopped", 0.4))]
    assert "are 0.20 µm wide after the transpose and 0.40 µm after" in volumes.finding(table, optics, wide)


def test_without_data_it_says_what_is_left_out(chapter):
    text = "\n".join(part for part in chapter[0].parts if isinstance(part, str))
    assert "bars_actual.tif was looked for" in text
    assert "confocal_beads.tif was looked for" in text
    names = [part.file for part in chapter[0].parts if isinstance(part, common.Figure)]
    assert names == ["volumes-bars.png", "volumes-profiles.png", "volumes-optics.png"]
    assert all((chapter[1] / name).stat().st_size > 1000 for name in names)


def test_the_stack_is_the_valid_part_of_a_blurred_larger_scene(monkeypatch):
    monkeypatch.setattr(cases, "PHOTONS", 1e9)
    case = cases.observe(FRAME, WINDOW, np.random.default_rng(0))
    shape = tuple(n + k - 1 for n, k in zip(FRAME, WINDOW, strict=True))
    scene = np.roll(simulate.hollow_bars(shape, num=shape[2] // cases.PITCH), -FRAME[1] // 3, axis=1)
    blurred = oaconvolve(scene, cases.optics(WINDOW), mode="valid")
    np.testing.assert_allclose(case.image / case.image.max(), blurred / blurred.max(), atol=1e-3)
    inside = tuple(slice(k // 2, k // 2 + n) for n, k in zip(FRAME, WINDOW, strict=True))
    np.testing.assert_allclose(case.truth / case.truth.max(), scene[inside], rtol=1e-6)
    assert case.truth.max() / case.image.max() == pytest.approx(1 / blurred.max(), rel=1e-3)


def test_widths_of_walls_that_are_drawn_by_hand():
    truth = np.zeros((20, 12, 40), np.float32)
    truth[4:15, 2:9, 10:27] = 7.0
    truth[6:12, 2:9, 14:24] = 0.0  # walls: 4 and 3 voxels along x, 2 and 3 along z
    at = cases.walls(truth)
    assert (at.y.start, at.y.stop) == (2, 9)
    assert at.x in ((11, 25), (12, 25))
    assert at.z in ((4, 13), (5, 13))
    found = cases.widths(truth, at)
    assert found["wall_x"] == pytest.approx(3.5 * 0.1)
    assert found["wall_z"] == pytest.approx(2.5 * 0.25)
    assert found["hollow_x"] == found["hollow_z"] == 100
    truth[6:12, 2:9, 14:24] = 1.75
    assert cases.widths(truth, at)["hollow_x"] == pytest.approx(75)


def test_the_deeper_the_longer_and_upside_down_is_upside_down():
    kernels = list(cases.assumptions((41, 15, 15)).values())
    true, half, twice, _, perfect, flipped = kernels
    depths = [psf.fwhm(kernel, cases.VOXEL)[0] for kernel in (perfect, half, true, twice)]
    assert depths == sorted(depths)
    np.testing.assert_array_equal(flipped[::-1], true)
    assert all(kernel.sum() == pytest.approx(1, abs=1e-5) for kernel in kernels)
    np.testing.assert_allclose(perfect, perfect[::-1], atol=1e-7)


def test_the_epfl_phantom_is_divided_by_its_gain(tmp_path):
    rng = np.random.default_rng(0)
    truth, kernel = rng.random((8, 10, 12)), 3 * psf.gaussian((8, 10, 12), 1.0)
    again = np.fft.ifftn(np.fft.fftn(truth) * np.fft.fftn(np.fft.ifftshift(kernel / kernel.sum()))).real
    noise = 0.1 * rng.standard_normal(truth.shape)
    for name, array in (("actual", truth), ("data", 40 * again + 5 + noise), ("kernel", kernel)):
        io.write(tmp_path / f"bars_{name}.tif", array.astype(np.float32))
    case, left = cases.epfl(common.Study(tmp_path, data=tmp_path, quiet=True))
    np.testing.assert_allclose(case.image, again + (5 + noise) / 40, rtol=5e-3)
    assert left == pytest.approx(np.linalg.norm(noise) / np.linalg.norm(40 * again), rel=0.05)


def test_blocks_give_what_the_whole_gives():
    number, differ = methods.pieces(np.random.default_rng(3))
    assert number == 4
    assert 0 < differ < 1e-3


def test_lines_and_dips_of_a_known_profile():
    x = np.arange(120.0)
    curve = sum(h * np.exp(-((x - c) ** 2) / (2 * 4.0**2)) for c, h in ((20, 5.0), (60, 4.0), (74, 6.0), (105, 5.0)))
    found = grid.lines(curve, smooth=0.1)
    assert [*found.peaks] == pytest.approx([20, 60, 74, 105], abs=1)
    assert found.pair == (found.peaks[1], found.peaks[2])
    low = curve[60:75].min()
    assert grid.dip_between(curve, *found.pair, smooth=0.01) == pytest.approx(1 - low / curve[58:63].max(), abs=1e-6)


def test_the_real_grid_is_restored(tmp_path):
    found = grid.restore(real(tmp_path))
    table = {row["key"]: row for row in grid.measure(found, grid.lines(found.curves["rl-stopped"]))}
    before, again, after = (table[key] for key in ("blurred", "transpose", "rl-stopped"))
    assert again["dip"] < before["dip"] < after["dip"] - 20
    assert again["width"] > 1.2 * before["width"]
    assert after["width"] < 0.75 * before["width"]
    assert 3 < found.iterations < 60
