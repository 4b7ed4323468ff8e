"""The page on a PSF: what it shows is what is measured, for every number of axes."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from sigdeconv.psf import fwhm, gaussian, report

pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install sigdeconv[plots]")


def everything(figure):
    """All texts of a figure, and all its panels."""
    figure.draw_without_rendering()  # nothing warns
    panels = figure.axes
    texts = [
        t.get_text() for panel in panels for t in (*panel.texts, panel.title, panel.xaxis.label, panel.yaxis.label)
    ]
    texts += [t.get_text() for panel in panels if panel.get_legend() for t in panel.get_legend().get_texts()]
    return " | ".join([figure.get_suptitle(), *texts]), panels


@pytest.mark.parametrize("scale", ["sqrt", "log"])
def test_a_volume(scale):
    psf = gaussian((11, 15, 17), (2.0, 2.0, 1.5))
    sizes = (0.3, 0.1, 0.1)
    said, panels = everything(report(psf, sizes, scale=scale))
    assert "11 × 15 × 17" in said
    for name, width in zip("zyx", fwhm(psf, sizes), strict=True):
        assert f"{name}: FWHM {width:.3g} µm" in said
    pictures = [panel.images[0] for panel in panels if panel.images]
    assert len(pictures) == 3
    peak = psf.max()
    for picture, wanted in zip(pictures, (psf[5], psf[:, 7], psf[:, :, 8]), strict=True):
        np.testing.assert_allclose(np.asarray(picture.get_array()), wanted / peak)
    # Axes in µm, of one scale, 0 at the origin.
    assert pictures[1].get_extent() == pytest.approx([-0.85, 0.85, 1.65, -1.65])
    assert all(picture.axes.get_aspect() == 1 for picture in pictures)
    assert pictures[0].colorbar is not None or any("intensity / peak" in p.get_ylabel() for p in panels)


def test_the_energy_curves_are_sums():
    psf = gaussian((31, 31), (2.0, 3.0))
    said, panels = everything(report(psf, 0.5, unit="arcsec", title="A star"))
    assert "A star" in said
    assert "x / arcsec" in said
    (energy,) = [panel for panel in panels if panel.get_ylabel() == "share of the energy"]
    circle, square = energy.lines[:2]
    y, x = np.mgrid[-15:16, -15:16] * 0.5
    for radius, share in zip(*circle.get_data(), strict=True):
        assert share == pytest.approx(psf[np.hypot(y, x) <= radius + 1e-6].sum())
    for half, share in zip(*square.get_data(), strict=True):
        assert share == pytest.approx(psf[np.maximum(abs(y), abs(x)) <= half + 1e-6].sum())


@pytest.mark.parametrize(
    "psf",
    [gaussian(41, 3.0), np.ones(1), np.eye(2), np.ones((1, 9, 9)), np.ones((5, 5)), gaussian(31, 2) - 0.01],
    ids=["line", "point", "two", "one section", "flat", "negative"],
)
def test_any_psf_has_a_page(psf):
    said, panels = everything(report(psf))
    assert len(panels) >= 3
    assert "pixels" in said
    assert "µm" not in said


def test_wrong_calls():
    with pytest.raises(ValueError, match="scale is 'linear'; pass one of 'sqrt', 'log'"):
        report(np.ones((3, 3)), scale="linear")
    with pytest.raises(ValueError, match="pixel_size has 3 entries"):
        report(np.ones((3, 3)), (1, 1, 1))


def test_a_missing_matplotlib_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install sigdeconv\[plots\]"):
        report(np.ones((3, 3)))
