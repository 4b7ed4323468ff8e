"""The PSF from stars: simulated frames whose PSF is known, and the Hubble frame against its DAOPHOT model."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import ndtr

from sigdeconv.psf import from_beads, from_daophot, from_stars

STARS = [(30.2, 31.7), (29.9, 90.5), (88.45, 33.1), (90.0, 92.3), (60.6, 61.25), (30.75, 140.15), (92.1, 139.6)]
FWHM = 2.354820045030949


def star(shape, centre, sigma):
    y, x = (
        ndtr((np.arange(n) - c + 0.5) / sigma) - ndtr((np.arange(n) - c - 0.5) / sigma)
        for n, c in zip(shape, centre, strict=True)
    )
    return y[:, None] * x


def frame(sigma=1.6, rng=None, stars=STARS, light=2e4):
    y, x = np.mgrid[:120, :171]
    image = 30 + 0.1 * y + 0.05 * x
    for k, centre in enumerate(stars):
        image = image + light * (1 - 0.05 * k) * star(image.shape, centre, sigma)
    return image if rng is None else rng.poisson(image).astype("float32")


def test_the_psf_and_its_width_in_arcsec():
    found = from_stars(frame(rng=np.random.default_rng(0)), 21, pixel_size=(0.05, 0.1))
    assert found.num_used == len(STARS)
    assert found.rejected == {}
    wanted = star((21, 21), (10, 10), 1.6)
    assert np.linalg.norm(found.psf - wanted) < 0.02 * np.linalg.norm(wanted)
    assert found.psf.dtype == np.float32
    broad = FWHM * np.sqrt(1.6**2 + 1 / 12)
    assert found.fwhm == pytest.approx((0.05 * broad, 0.1 * broad), rel=0.015)


def test_it_is_what_beads_give():
    image = frame(rng=np.random.default_rng(1))
    stars, beads = from_stars(image), from_beads(image)
    np.testing.assert_array_equal(stars.psf, beads.psf)
    np.testing.assert_array_equal(stars.positions, beads.positions)


def test_bad_pixels_take_out_only_what_they_touch():
    image = frame()
    clean = from_stars(image, 21)
    image[60, 61] = np.nan  # in the core of one
    image[88:91, 41] = np.inf  # in the window of another
    image[:, 110] = np.nan  # a dead column between stars
    found = from_stars(image, 21)
    assert found.rejected == {"with bad samples": 1}
    assert found.num_used == len(STARS) - 1
    np.testing.assert_allclose(found.psf, clean.psf, atol=2e-3 * clean.psf.max())


def test_stars_that_cannot_serve_are_left_out():
    rng = np.random.default_rng(2)
    more = [*STARS, (60.0, 110.0), (60.0, 117.0), (4.0, 60.0)]
    image = np.minimum(frame(rng=rng, stars=more), 1140)
    found = from_stars(image, 21, saturation=1140, max_stars=2)
    assert found.num_used == 2
    assert found.rejected == {
        "saturated": 2,
        "too near to another star": 2,
        "too near to the frame": 1,
        "beyond max_stars": 3,
    }


@pytest.mark.parametrize(
    ("image", "options", "failure", "words"),
    [
        (np.ones((30, 30)), {}, ValueError, "image has no star that stands out"),
        (np.ones((3, 30, 30)), {}, ValueError, "image has 3 dimensions; 2 are wanted"),
        (np.full((30, 30), np.nan), {}, ValueError, "image has no finite sample"),
        (frame(), {"max_stars": 0}, ValueError, "max_stars is 0"),
        (frame(), {"pixel_size": 0}, ValueError, "pixel_size is 0"),
        (frame(), {"shape": 121}, ValueError, "pass a shape that fits into the image"),
        (frame(), {"saturation": 50}, ValueError, "image has no star to measure from: of 7 found, 7 saturated"),
    ],
)
def test_wrong_calls_name_what_is_wrong(image, options, failure, words):
    with pytest.raises(failure, match=words):
        from_stars(image, **options)


def test_a_tensor_is_refused_by_name(torch):
    with pytest.raises(TypeError, match=r"image is a torch\.Tensor; a NumPy array"):
        from_stars(torch.ones((30, 30)))


@pytest.fixture(scope="module")
def hubble():
    folders = [os.environ.get("SIGDECONV_DATA"), Path(__file__).parents[2] / "shared" / "data"]
    for folder in filter(None, folders):
        if (Path(folder) / "hst_wfpc2.fits").exists():
            fits = pytest.importorskip("astropy.io.fits")
            image = fits.getdata(Path(folder) / "hst_wfpc2.fits")
            tables, header = fits.getdata(Path(folder) / "hst_wfpc2_psf.fits", header=True)
            return image, tables, header
    pytest.skip("hst_wfpc2.fits is absent; set SIGDECONV_DATA to the folder that holds it")


def test_real_stars_against_the_daophot_model(hubble):
    image, tables, header = hubble
    found = from_stars(image, 21, pixel_size=0.0455)
    assert found.num_used > 80
    assert found.rejected["unlike the others"] > 10  # those that bleed
    assert all(0.09 < width < 0.14 for width in found.fwhm)  # arcsec; the mirror's own is 0.07
    terms, weights = from_daophot(header, tables, image.shape, 21)
    model = np.tensordot(weights[:, image.shape[0] // 2, image.shape[1] // 2], terms, 1)

    def alike(a, b):
        return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())

    # The model is sharper: it knows neither how charge spreads to the next pixel nor the average over pixel phases.
    assert alike(found.psf, model) > 0.9
    assert alike(found.psf, ndimage.gaussian_filter(model, 0.7)) > 0.99
