"""The experiments: tables complete, results repeatable, the transpose no deconvolution, absent data reported."""

from __future__ import annotations

import csv
import doctest
import json
import math
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import sigdeconv

pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")

from experiments import __main__ as program
from experiments import common, noise, recovery, recovery_figures, report

FEWER = ("camera", "astronaut")


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """All of `recovery` on small frames and fewer scenes, and where it was written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recovery, "SCENES", {name: recovery.SCENES[name] for name in FEWER})
        patch.setattr(recovery_figures, "GALLERY", recovery_figures.GALLERY[:1])
        patch.setattr(recovery_figures, "SHOWN", {recovery_figures.CLOSELY, recovery_figures.GALLERY[0]})
        patch.setitem(common.STYLE, "savefig.dpi", 40)
        study = common.Study(tmp_path_factory.mktemp("results"), size=48, quiet=True)
        found = recovery.run(study)
        report.write(study.out, [found], seed=0, seconds=1.0)
        return found, study.out


def table(chapter, name):
    return next(part for part in chapter.parts if isinstance(part, common.Table) and part.name == name)


def case(index=0, *, scene="camera", blur="defocus, radius 4 px", kind="Gaussian, 40 dB", size=64):
    rng = common.Study(None, quiet=True).rng(index)
    return recovery.observe(scene, blur, kind, size=size, rng=rng)


def without(rows, key):
    return [{k: v for k, v in row.items() if k != key} for row in rows]


def test_every_method_is_measured_on_every_image(chapter):
    found, _ = chapter
    rows = table(found, "recovery").rows
    wanted = {
        (scene, blur, kind, method.label)
        for scene in FEWER
        for blur in recovery.BLURS
        for kind in recovery.NOISES
        for method in recovery.METHODS.values()
    }
    assert len(rows) == len(wanted)
    assert {(r["scene"], r["blur"], r["noise"], r["method"]) for r in rows} == wanted
    for row in rows:
        assert all(math.isfinite(row[key]) for key in ("psnr", "ssim", "isnr", "seconds"))
        assert row["seconds"] >= 0
    summary = table(found, "recovery-summary").rows
    assert [row["method"] for row in summary] == [method.label for method in recovery.METHODS.values()]
    assert sum(row["best_in"] for row in summary) == len(wanted) // len(recovery.METHODS)
    assert sum(row["marked"] for row in summary) == 1


def test_tables_are_written_in_full(chapter):
    found, out = chapter
    rows = table(found, "recovery").rows
    with (out / "recovery.csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert [float(row["psnr"]) for row in written] == [row["psnr"] for row in rows]
    read = json.loads((out / "recovery.json").read_text(encoding="utf-8"))
    assert [row["ssim"] for row in read["rows"]] == [row["ssim"] for row in rows]
    assert read["units"] == {"psnr": "dB", "isnr": "dB", "seconds": "s"}


def test_the_transpose_loses_decibels_against_wiener(chapter):
    rows = table(chapter[0], "recovery").rows
    psnr = {(r["scene"], r["blur"], r["noise"], r["key"]): r["psnr"] for r in rows}
    pairs = [(psnr[(*names, "transpose")], psnr[(*names, "wiener")]) for *names, key in psnr if key == "wiener"]
    assert np.median([wiener - transpose for transpose, wiener in pairs]) > 2
    bright = [r["isnr"] for r in rows if r["key"] == "transpose" and r["noise"] == "Gaussian, 40 dB"]
    assert max(bright) < 0  # with little noise it is worse than the blurred image on every one


def test_the_finding_is_computed_from_the_rows(chapter):
    found, _ = chapter
    rows = [dict(row) for row in table(found, "recovery").rows]
    assert found.finding == recovery.finding(rows)
    for row in rows:
        row["isnr"] = 1.25 if row["key"] == "transpose" else -3.5
        row["psnr"] = 40.0 if row["key"] == "transpose" else 10.0
    text = recovery.finding(rows)
    assert "The transpose Aᴴy left 0 of 12 images worse" in text
    assert "−3.5 dB" in text
    assert text.endswith("(12 of 12) was: transpose Aᴴy.")


def test_the_report_shows_every_figure_and_table(chapter):
    found, out = chapter
    page = (out / "index.html").read_text(encoding="utf-8")
    figures = [part for part in found.parts if isinstance(part, common.Figure)]
    assert len(figures) == 4
    for figure in figures:
        assert (out / figure.file).stat().st_size > 1000
        assert f'src="{figure.file}"' in page
    assert found.finding in page
    assert page.count("<tr") == 1 + len(report.MEANINGS) + 2 + sum(
        len(part.rows) for part in found.parts if isinstance(part, common.Table)
    )
    for word in ("seed 0", "numpy", "Python", "recovery.csv", "recovery-summary.json"):
        assert word in page
    assert "http" not in page  # nothing is loaded from elsewhere


def test_a_run_repeats_and_depends_on_the_seed():
    first, second = (recovery.measure(case())[0] for _ in range(2))
    assert without(first, "seconds") == without(second, "seconds")
    assert not np.array_equal(case().image, case(index=1).image)
    assert np.array_equal(case().truth, case(index=1).truth)


@pytest.mark.parametrize("scene", recovery.SCENES)
def test_the_image_is_part_of_a_larger_blurred_scene(scene):
    seen = case(scene=scene)
    assert seen.image.shape == seen.truth.shape
    assert seen.truth.shape[0] in (1, 3)
    assert seen.image.dtype == np.float32
    # A frame with a mirrored or dark surrounding has other edges than one that the scene goes on past.
    inside = (slice(None), slice(8, -8), slice(8, -8))
    for boundary in ("reflect", "zero"):
        guess = sigdeconv.Convolution(seen.psf, seen.truth.shape[1:], boundary=boundary)(seen.truth)
        error = np.abs(guess - seen.image)
        assert error[inside].mean() < 0.8 * error.mean()


def test_noise_is_as_named():
    quiet = case(kind="Gaussian, 40 dB", size=128)
    blurred = sigdeconv.simulate.through_frame(_scene(quiet), quiet.psf).blurred
    noise_of = quiet.image - blurred
    assert 10 * np.log10(blurred.var() / noise_of.var()) == pytest.approx(40, abs=0.2)
    dim = case(kind="Poisson, 300 photons", size=128)
    photons = dim.image * (300 / blurred.max())
    assert np.abs(photons - np.rint(photons)).max() < 1e-3
    expected = blurred * (300 / blurred.max())
    assert np.mean((photons - expected) ** 2 / expected) == pytest.approx(1, abs=0.05)


def _scene(seen):
    """What `observe` cut the frame from: the same window, larger by the PSF."""
    from skimage import data

    y, x = recovery.SCENES[seen.scene]
    h, w = (n + k - 1 for n, k in zip(seen.truth.shape[1:], seen.psf.shape, strict=True))
    picture = getattr(data, seen.scene)().astype(np.float32)
    return picture[None, y - h // 2 : y - h // 2 + h, x - w // 2 : x - w // 2 + w]


@pytest.mark.parametrize("sigma", [0.5, 4.0])
@pytest.mark.parametrize("blur", recovery.BLURS)
def test_noise_is_read_off_the_data(blur, sigma):
    seen = case(blur=blur, size=160)
    blurred = sigdeconv.simulate.through_frame(_scene(seen), seen.psf).blurred
    noisy = sigdeconv.simulate.gaussian_noise(blurred, sigma=sigma, rng=3)
    assert noise.noise_variance(noisy, seen.psf) ** 0.5 == pytest.approx(sigma, rel=0.1)


def test_stopping_at_the_noise_is_near_the_best_stop():
    seen = case(kind="Poisson, 300 photons", size=128)
    errors = []

    def watch(iteration):
        errors.append(float(np.mean((iteration.estimate - seen.truth) ** 2)))

    sigdeconv.richardson_lucy(seen.image.clip(0), seen.psf, num_iter=25, callback=watch)
    stopped = float(np.mean((recovery.richardson_lucy_stopped(seen.image, seen.psf) - seen.truth) ** 2))
    assert stopped < 1.15 * min(errors)
    assert stopped < 0.5 * errors[-1]


def test_doctests():
    result = doctest.testmod(noise)
    assert (result.failed, result.attempted > 0) == (0, True)


def test_gains_are_those_of_theory():
    seen = case(blur="Gaussian, σ = 2 px", size=128)
    f, gain, error = recovery_figures.spectra(seen, seen.truth)
    assert gain == pytest.approx(1)
    assert error == pytest.approx(0)
    _, halved, error = recovery_figures.spectra(seen, seen.truth.mean() + 0.5 * (seen.truth - seen.truth.mean()))
    assert halved == pytest.approx(0.5)
    assert error == pytest.approx(0.25)
    blurred, again = (
        recovery_figures.spectra(seen, recovery.METHODS[k].restore(seen.image, seen.psf))[1]
        for k in ("blurred", "transpose")
    )
    low = f < 0.15
    H = np.exp(-2 * (np.pi * 2.0 * f[low]) ** 2)
    assert blurred[low] == pytest.approx(H, abs=0.04)
    assert again[low] == pytest.approx(H**2, abs=0.04)


def test_absent_data_are_reported_and_the_run_succeeds(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGDECONV_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setitem(program.EXPERIMENTS, "recovery", ("A title", lambda study: study.file("frame.fits")))
    result = CliRunner().invoke(program.main, ["recovery", "--out", str(tmp_path / "results")])
    assert result.exit_code == 0, result.output
    page = (tmp_path / "results" / "index.html").read_text(encoding="utf-8")
    assert "SKIPPED recovery: frame.fits" in result.output
    assert page.count("frame.fits was looked for") == 2  # in the summary and in the chapter
    assert page.count("<b>Skipped.</b>") == 1
    assert "SIGDECONV_DATA" in page
    assert str(tmp_path) not in page


def test_a_data_folder_without_the_file_is_reported(tmp_path):
    study = common.Study(tmp_path, data=tmp_path, quiet=True)
    with pytest.raises(common.SkippedError, match=r"the data folder has no frame\.fits"):
        study.file("frame.fits")


def test_without_matplotlib_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = CliRunner().invoke(program.main, ["--out", str(tmp_path / "results")])
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert "pip install sigdeconv[plots]" in result.output
    assert not (tmp_path / "results").exists()


def test_an_unknown_name_is_refused(tmp_path):
    result = CliRunner().invoke(program.main, ["recover", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "recovery" in result.output


def test_text_is_escaped_in_the_report():
    columns = (common.Column("a", "a < b"), common.Column("n", "n", "dB", 1))
    part = common.Table("t", "x & y", columns, [{"a": "<script>", "n": -1.26}])
    page = report.html([common.Chapter("name", "title <b>", "1 < 2", [part, "p & q"])], "end")
    for text in ("a &lt; b", "&lt;script&gt;", "x &amp; y", "p &amp; q", "1 &lt; 2", "title &lt;b&gt;", "−1.3"):
        assert text in page
    assert "<script" not in page


def test_half_width_of_a_known_peak():
    x = np.arange(101)
    gaussian = 3 + 5 * np.exp(-((x - 50) ** 2) / (2 * 6.0**2))
    assert common.half_width(gaussian, 50, 3.0) == pytest.approx(math.sqrt(8 * math.log(2)) * 6, rel=2e-3)
    assert math.isnan(common.half_width(gaussian[45:], 5, 3.0))  # it does not end inside
