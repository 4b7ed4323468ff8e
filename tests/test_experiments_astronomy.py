"""The experiment on telescopes: its optics, its frame and its measurements are true, and the sentences follow them."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")

from experiments import astronomy, common
from experiments.astronomy import cluster, field, measures
from sigdeconv.psf import moffat, telescope

SIDE = 144
DENSITY = 1 / 350  # so that few pixels have stars enough


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """All of it on a small frame, without the real data, and where it was written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(astronomy, "SIZES", ((SIDE, 2), (SIDE, 2)))
        patch.setattr(astronomy, "ITERATIONS", 10)
        patch.setattr(field, "DENSITY", DENSITY)
        patch.setitem(common.STYLE, "savefig.dpi", 40)
        study = common.Study(tmp_path_factory.mktemp("results"), quiet=True)
        return astronomy.run(study), study.out


@pytest.fixture(scope="module")
def frame():
    """Stars and galaxies, more densely than in the experiment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(field, "DENSITY", DENSITY)
        return field.simulated(SIDE, np.random.default_rng(0))


def rows(chapter, name):
    found = next(part for part in chapter.parts if isinstance(part, common.Table) and part.name == name)
    return {row["name"]: row for row in found.rows}


def centre(psf):
    y, x = (np.arange(n) - n // 2 for n in psf.shape)
    return np.array([y @ psf.sum(axis=1), x @ psf.sum(axis=0)]) / psf.sum()


class TestOptics:
    def test_in_the_middle_it_is_a_perfect_telescope(self):
        wanted = telescope(field.BOX, wavelength=0.6, diameter=0.5, pixel_size=0.1, obstruction=0.3)
        found = field.optical_psf(((SIDE - 1) / 2,) * 2, SIDE)
        assert np.abs(found - wanted).sum() < 0.015
        assert found.sum() == pytest.approx(1)

    def test_a_shift_moves_it_and_an_aberration_mirrors_with_the_place(self):
        middle = ((SIDE - 1) / 2,) * 2
        moved = field.optical_psf(middle, SIDE, (0.3, -0.4), box=65) - field.optical_psf(middle, SIDE, box=65)
        y = np.arange(65) - 32
        assert y @ moved.sum(axis=1) == pytest.approx(0.3, abs=0.02)
        assert y @ moved.sum(axis=0) == pytest.approx(-0.4, abs=0.02)
        one, other = (field.optical_psf(at, SIDE) for at in ((10, 30), (SIDE - 11, SIDE - 31)))
        np.testing.assert_allclose(one, other[::-1, ::-1], atol=1e-12)

    def test_it_gets_worse_to_the_corner(self):
        middle = (SIDE - 1) / 2
        peaks = [field.optical_psf((middle * (1 + h),) * 2, SIDE).max() for h in (0, 0.5, 1)]
        assert peaks[0] > 1.05 * peaks[1] > 1.5 * peaks[2]

    def test_its_strehl_ratio_is_that_of_the_wavefront(self, monkeypatch):
        # Defocus alone: the amplitude on the axis is a sine over its argument, half the waves between the rims.
        monkeypatch.setattr(field, "COMA", 0.0)
        monkeypatch.setattr(field, "ASTIGMATISM", 0.0)
        monkeypatch.setattr(field, "PIXEL", 0.02)  # so that a pixel is a point
        middle = (SIDE - 1) / 2
        peaks = []
        for waves in (0.0, 0.4):
            monkeypatch.setattr(field, "CURVATURE", waves)
            psf = field.optical_psf((2 * middle, 2 * middle), SIDE, box=301)
            peaks.append(psf.max())
        argument = math.pi * 0.4 * (1 - 0.3**2)
        assert peaks[1] / peaks[0] == pytest.approx((math.sin(argument) / argument) ** 2, rel=0.03)


class TestFrame:
    def test_its_light_is_that_of_stars_and_galaxies(self, frame):
        # Aperture about lonely bright stars, as wide as their PSF: all that they sent.
        lonely = field.isolated(frame) & (frame.fluxes > 1e5) & ~frame.saturated
        assert lonely.sum() >= 5
        y, x = np.mgrid[:SIDE, :SIDE]
        image = field.mended(frame) - field.SKY
        ratios = []
        for place, flux in zip(frame.places[lonely], frame.fluxes[lonely], strict=True):
            inside = np.hypot(y - place[0], x - place[1]) < 7
            ratios.append(image[inside].sum() / flux)
        assert np.median(ratios) == pytest.approx(0.93, abs=0.06)

    def test_there_are_galaxies_for_the_largest_frame(self):
        side = max(side for side, _ in astronomy.SIZES) + field.BOX - 1
        galaxies = field.galaxy_field(side)
        assert galaxies.shape == (side, side)
        assert galaxies.max() == pytest.approx(field.GALAXIES)

    def test_dark_pixels_have_the_noise_that_is_said(self):
        rng = np.random.default_rng(1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(field, "DENSITY", 0.0)
            patch.setattr(field, "GALAXIES", 0.0)
            dark = field.simulated(SIDE, rng)
        good = dark.image[dark.weights > 0]
        assert good.mean() == pytest.approx(field.SKY, rel=0.01)
        assert good.var() == pytest.approx(field.SKY + field.READOUT**2, rel=0.03)
        assert (dark.weights == 0).mean() == pytest.approx(field.BAD + 1 / SIDE, rel=0.3)

    def test_what_filled_a_well_is_left_out(self, frame):
        assert frame.image[frame.weights > 0].max() < field.FULL_WELL
        assert 0 < frame.saturated.sum() < len(frame.fluxes) / 4
        assert frame.fluxes[frame.saturated].min() > 0.5 * field.FULL_WELL

    def test_a_tile_without_a_star_gets_the_psf_of_the_whole_frame(self):
        image = np.full((130, 130), 60.0, dtype=np.float32)
        star = moffat(field.BOX, fwhm=3.0)
        for y, x in ((25, 24), (26, 100), (100, 25)):  # none at the lower right
            image[y - 16 : y + 17, x - 16 : x + 17] += 3e4 * star
        good = np.ones_like(image)
        none = np.empty((0, 2))
        frame = field.Frame(image, good, none, none[:, 0], 0 * image, none[:, 0] > 0)
        psfs, counts = field.star_mesh(frame, 2)
        assert counts.tolist() == [[1, 1], [1, 0]]
        np.testing.assert_array_equal(psfs[1, 1], field.star_psf(frame)[0])
        assert np.abs(psfs[0, 0] - star).sum() < 0.1


class TestMeasures:
    def test_photometry_of_known_points(self):
        image = np.full((60, 70), 7.0)
        image[20, 30] += 800.0
        image[40, 50:52] += 500.0
        found = measures.photometry(image, np.array([[20.4, 29.8], [40.0, 50.0]]))
        np.testing.assert_allclose(found.flux, [800, 1000], rtol=1e-9)
        np.testing.assert_allclose(found.offset, [[-0.4, 0.2], [0, 0.5]], atol=1e-9)

    def test_the_scene_itself_has_no_error(self, frame):
        truth = measures.scene(frame)
        errors = measures.errors(truth, frame)
        assert np.median(np.abs(errors.flux)) < 0.01
        assert np.median(errors.place) < 0.05
        near, far = measures.decibels(truth + 10, frame)
        assert near == pytest.approx(far)  # the same error everywhere
        assert measures.decibels(truth + 1, frame)[0] == pytest.approx(near + 20)

    def test_errors_are_calibrated_in_the_middle(self, frame):
        truth = measures.scene(frame)
        r = field.radius(np.stack(np.mgrid[:SIDE, :SIDE], axis=-1), SIDE)
        shaded = 0.5 * truth * np.where(r > measures.OUTER - 0.1, 0.8, 1)
        found = measures.zones(measures.errors(shaded, frame))
        assert found["flux_near"] < 1.5
        assert found["bias_far"] == pytest.approx(-20, abs=1.5)

    def test_a_fit_explains_a_star_with_its_own_psf_only(self):
        star = moffat(31, fwhm=2.2, beta=2.5)
        image = 40 + 2e4 * np.roll(np.pad(star, 10), (2, -3), (0, 1))
        place = np.array([27.2, 21.8])  # a little beside it
        assert cluster.unexplained(image, place, star) < 1e-3
        assert cluster.unexplained(image, place, moffat(31, fwhm=2.8, beta=2.5)) > 0.03


def test_the_psf_of_each_place_is_best_in_the_corners(chapter):
    table = rows(chapter[0], "astronomy")
    each, one = table["true"], table["formula"]
    assert each["psnr_far"] > one["psnr_far"] + 3
    assert each["flux_far"] < 0.3 * one["flux_far"]
    assert each["place_far"] < 0.5 * one["place_far"]
    assert table["transpose"]["psnr_far"] < table["recorded"]["psnr_far"]


def test_sentences_come_from_the_table(chapter, frame):
    made = chapter[0]
    table = rows(made, "astronomy")
    assert f"{abs(table['formula']['bias_far']):.0f} % too faint" in made.finding
    table["formula"] |= {"bias_far": 12.0}
    assert "12 % too bright" in astronomy._finding(table)
    table["tiles"] |= {"flux_far": 99.0, "place_far": 1e3}
    assert "are no better than one PSF" in astronomy._verdict(table, {"true": frame.image}, frame)


def test_without_the_real_frame_the_chapter_says_so(chapter):
    made, out = chapter
    assert not made.skipped
    assert "Hubble" not in made.finding
    assert "was left out: hst_wfpc2.fits was looked for" in made.parts[-1]
    figures = [part.file for part in made.parts if isinstance(part, common.Figure)]
    assert figures == ["astronomy-frames.png", "astronomy-cutouts.png", "astronomy-errors.png"]
    assert all((out / name).stat().st_size > 10_000 for name in figures)


def test_without_astropy_it_says_how_to_get_it(tmp_path, monkeypatch):
    for name in ("hst_wfpc2.fits", "hst_wfpc2_psf.fits"):
        (tmp_path / name).write_bytes(b"SIMPLE  =")
    monkeypatch.setitem(sys.modules, "astropy.io", None)
    with pytest.raises(common.SkippedError, match=r"pip install sigdeconv\[fits\]"):
        cluster.restore(common.Study(tmp_path, data=tmp_path, quiet=True))


def test_the_real_stars_become_points(tmp_path):
    pytest.importorskip("astropy")
    folder = common.data_folder()
    if folder is None or not (folder / "hst_wfpc2.fits").exists():
        pytest.skip("no real data: neither $SIGDECONV_DATA nor ../shared/data has hst_wfpc2.fits")
    found = cluster.restore(common.Study(tmp_path, data=folder, quiet=True))
    places = cluster.lonely_stars(found.image, found.weights)
    assert len(places) > 40
    _, far = cluster.thirds(places)
    core = {name: cluster.within(1.0, cluster.encircled(image, far)) for name, image in found.images.items()}
    assert core["transpose"] < 0.7 * core["recorded"] < core["recorded"] < 0.6 * core["middle"]
    assert core["varying"] > core["middle"] + 2
    good = found.weights > 0
    assert found.images["varying"][good].sum() == pytest.approx(found.image[good].sum(), rel=0.03)
    fits = cluster.star_fits(found, far)
    assert np.median(fits["varying"]) < 0.9 * np.median(fits["middle"])
