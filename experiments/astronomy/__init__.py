"""A telescope whose PSF changes across the frame: one PSF for all of it, PSFs of its stars, and those of each place.

The first frame is made up, so that every star's brightness and place are known. The second is real: a globular cluster
that Hubble recorded, with the varying PSF that DAOPHOT made of its camera.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import sigdeconv
from sigdeconv.psf import telescope

from ..common import Chapter, Column, SkippedError, Study, Table, signed
from . import cluster, field, figures, measures

TITLE = "Telescopes: a PSF for every place, or one for all"

Numbers = np.ndarray[Any, Any]

SIZES = ((480, 4), (720, 6))  # pixels of a side and tiles along it, quick and full
ITERATIONS = 30
NODES = 9  # of the mesh of true PSFs, an axis
LABELS = {
    "recorded": "as recorded",
    "transpose": "transpose Aᴴy",
    "formula": "one PSF, of the middle",
    "mean": "one PSF, mean of the stars",
    "tiles": "PSFs of the stars, in tiles",
    "true": "PSFs of each place",
}
REAL = {
    "recorded": "as recorded",
    "transpose": "transpose Aᴴy",
    "middle": "one PSF, of the middle",
    "mean": "one PSF, the mean",
    "varying": "PSFs of each place",
}


def blurs(frame: field.Frame, tiles: int) -> dict[str, sigdeconv.Convolution]:
    """What can be known of the telescope, from the least to the most."""
    shape = frame.image.shape
    middle = telescope(
        field.BOX,
        wavelength=field.WAVELENGTH,
        diameter=field.DIAMETER,
        pixel_size=field.PIXEL,
        obstruction=field.OBSTRUCTION,
    )
    stars, _ = field.star_mesh(frame, tiles)
    return {
        "formula": sigdeconv.Convolution(middle.astype(np.float32), shape),
        "mean": sigdeconv.Convolution(field.star_psf(frame)[0], shape),
        "tiles": sigdeconv.VaryingConvolution.from_grid(stars, shape),
        "true": sigdeconv.VaryingConvolution.from_grid(field.optical_mesh(len(frame.image), NODES), shape),
    }


def restored(frame: field.Frame, known: dict[str, sigdeconv.Convolution], num_iter: int) -> dict[str, Numbers]:
    """The frame, the transpose of it, and what Richardson-Lucy makes of it with each of the blurs; without the sky."""
    image = field.mended(frame) - np.float32(field.SKY)
    best = known["true"]
    images = {"recorded": image, "transpose": best.adjoint(image)[best.frame]}
    for name, blur in known.items():
        images[name] = sigdeconv.richardson_lucy(
            frame.image,
            blur,
            num_iter=num_iter,
            background=field.SKY,
            readout_noise=field.READOUT,
            weights=frame.weights,
        )
    return images


def rows_of(images: dict[str, Numbers], frame: field.Frame) -> tuple[list[dict[str, Any]], dict[str, measures.Errors]]:
    """What the table of the made-up frame says, and the errors of the single stars."""
    from scipy.ndimage import gaussian_filter

    rows, errors = [], {}
    for name, image in images.items():
        errors[name] = measures.errors(image, frame)
        # What was restored to points is shown at the resolution of the scene; the others are coarser already.
        shown = image if name in ("recorded", "transpose") else gaussian_filter(image, measures.RESOLUTION)
        near, far = measures.decibels(shown, frame)
        found = measures.zones(errors[name])
        for zone in ("near", "far"):
            found[f"place_{zone}"] *= 1000 * field.PIXEL
        rows.append({"name": name, "image": LABELS[name], "psnr_near": near, "psnr_far": far, **found})
    return rows, errors


def cluster_rows(found: cluster.Cluster, places: Numbers, fits: dict[str, Numbers]) -> list[dict[str, Any]]:
    """What the table of the real frame says, from `cluster.star_fits` of the places."""
    zones = cluster.thirds(places)
    away = cluster.distance(places)
    near, far = (away <= cluster.distance(zones[0]).max()), (away >= cluster.distance(zones[1]).min())
    rows = []
    for name, image in found.images.items():
        core = [cluster.within(1.0, cluster.encircled(image, zone)) for zone in zones]
        row: dict[str, Any] = {"name": name, "image": REAL[name], "core_near": core[0], "core_far": core[1]}
        for key in ("fit_near", "fit_far", "chi_near", "chi_far"):
            row[key] = "–"
        if name in fits:
            row |= {"fit_near": float(np.median(fits[name][near])), "fit_far": float(np.median(fits[name][far]))}
            row["chi_near"], row["chi_far"] = found.residuals[name]
        rows.append(row)
    return rows


def run(study: Study) -> Chapter:
    """The made-up frame, and the real one where it is at hand."""
    side, tiles = study.pick(*SIZES)
    steps = iter(study.track(["stars and galaxies", "restoring", "drawing", "Hubble's frame"], "astronomy"))
    next(steps)
    frame = field.simulated(side, study.rng(0))
    next(steps)
    known = blurs(frame, tiles)
    images = restored(frame, known, ITERATIONS)
    rows, errors = rows_of(images, frame)
    by = {row["name"]: row for row in rows}
    next(steps)
    parts: list[Any] = [
        _introduction(frame, tiles),
        figures.frames(study, frame, images, known["true"]),
        figures.cutouts(study, frame, images),
        figures.errors(study, errors),
        _verdict(by, images, frame),
        _table(rows, frame, errors),
    ]
    next(steps)
    try:
        found = cluster.restore(study)
    except SkippedError as reason:
        real = ""
        parts.append(f"The second part, a real frame of Hubble's, was left out: {reason}.")
    else:
        real, more = _real(study, found)
        parts += more
    list(steps)
    return Chapter("astronomy", TITLE, _finding(by) + real, parts)


def _finding(by: dict[str, Any]) -> str:
    one, each = by["formula"], by["true"]
    word = "too faint" if one["bias_far"] < 0 else "too bright"
    return (
        f"Near the corners of a wide field, stars that are restored with the PSF of its middle come out "
        f"{abs(one['bias_far']):.0f} % {word} and {one['place_far']:.0f} thousandths of an arcsec off; with a PSF for "
        f"every place the errors are {each['flux_far']:.1f} % and {each['place_far']:.0f}, against "
        f"{each['flux_near']:.1f} % and {each['place_near']:.0f} in the middle."
    )


def _introduction(frame: field.Frame, tiles: int) -> str:
    side = len(frame.image)
    return (
        f"A telescope of {100 * field.DIAMETER:.0f} cm with coma, astigmatism and a curved field, which grow from the "
        f"middle to the corners: {len(frame.fluxes)} stars and the galaxies of the Hubble Deep Field on {side} × "
        f"{side} pixels of {field.PIXEL} arcsec, with the noise of the photons, of the sky and of the readout. "
        f"{int((frame.weights == 0).sum())} dead, hot or saturated pixels have the weight 0. Each star is drawn with "
        "the PSF of its own wavefront, not with the operator that is to undo it. Four models of the PSF are compared, "
        f"each with {ITERATIONS} iterations of Richardson–Lucy: the formula of a perfect telescope, which holds in the "
        f"middle; the mean of the frame's stars; a PSF from the stars of each of {tiles} × {tiles} tiles, with smooth "
        f"weights between; and the truth on {NODES} × {NODES} places."
    )


def _verdict(by: dict[str, Any], images: dict[str, Numbers], frame: field.Frame) -> str:
    tiles, one, each = (by[name] for name in ("tiles", "formula", "true"))
    better = [word for word, key in (("brightness", "flux_far"), ("place", "place_far")) if tiles[key] < one[key]]
    gained = f"are better than one PSF in {' and '.join(better)}" if better else "are no better than one PSF"
    lost = np.median(np.abs(measures.saturated(images["true"], frame)))
    full = int(frame.saturated.sum())
    return (
        f"PSFs measured in tiles {gained} near the corners ({tiles['flux_far']:.0f} % and {tiles['place_far']:.0f} mas "
        f"against {one['flux_far']:.0f} % and {one['place_far']:.0f}), and stay behind the true ones "
        f"({each['flux_far']:.1f} % and {each['place_far']:.0f}): faint wings drown in the noise, a tile "
        "averages over PSFs that differ, and a measured PSF is centred on its light, so that the places keep what coma "
        "moved. The transpose of the true blur "
        f"is {signed(by['transpose']['psnr_far'] - by['recorded']['psnr_far'])} dB against the frame itself there. "
        + (
            f"Of the {full} stars that filled a well, whose middles were left out, the wings alone give the brightness "
            f"to {100 * lost:.0f} % (median)."
            if full and np.isfinite(lost)
            else ""
        )
    )


def _table(rows: list[dict[str, Any]], frame: field.Frame, errors: dict[str, measures.Errors]) -> Table:
    stars = errors["true"].radius
    return Table(
        "astronomy",
        f"Errors of {int((stars < measures.INNER).sum())} stars in the inner third and "
        f"{int((stars > measures.OUTER).sum())} in the outer third of the way to the corners (medians), and PSNR "
        f"against stars and galaxies at a resolution of σ = {measures.RESOLUTION:.0f} pixel. Brightness: relative to "
        "stars near the middle. mas: thousandths of an arcsec.",
        (
            Column("image", "image"),
            Column("psnr_near", "PSNR, middle", "dB", 1),
            Column("psnr_far", "PSNR, corners", "dB", 1),
            Column("flux_near", "brightness, middle", "%", 1),
            Column("flux_far", "brightness, corners", "%", 1),
            Column("place_near", "place, middle", "mas", 0),
            Column("place_far", "place, corners", "mas", 0),
        ),
        rows,
    )


def _real(study: Study, found: cluster.Cluster) -> tuple[str, list[Any]]:
    """The sentence of the finding, and the parts of the chapter, on the real frame."""
    places = cluster.lonely_stars(found.image, found.weights)
    fits = cluster.star_fits(found, places)
    rows = cluster_rows(found, places, fits)
    by = {row["name"]: row for row in rows}
    better = 100 * float(np.mean(fits["varying"] < fits["middle"]))
    one, each = by["middle"], by["varying"]
    sentence = (
        f" Hubble's own field is far more even, and gains less: the PSF of its place explains {better:.0f} % of "
        f"{len(places)} lonely stars better than that of the middle, and draws {each['core_far']:.0f} % instead of "
        f"{one['core_far']:.0f} % of the light of those far out within a pixel of their place."
    )
    told = abs(each["chi_far"] / one["chi_far"] - 1)
    text = (
        f"NGC 6293 through the filter F814W of WFPC2, {found.image.shape[0]} × {found.image.shape[1]} pixels. The PSF "
        "is DAOPHOT's: a Moffat function in the header of its file, and tables of what this leaves of the stars, whose "
        "sum is weighted by polynomials of the place (`sigdeconv.psf.from_daophot`). Its 36 stars of equal brightness "
        "stand on a regular mesh, as only computed ones do. The first table is the mean over the frame, not "
        f"the PSF in the middle. {int((found.weights == 0).sum())} pixels of full wells that bled along their columns "
        f"have the weight 0; {cluster.ITERATIONS} iterations. The misfit of the restored frame (squared, over "
        f"the counts) differs by {100 * told:.0f} % far out between one PSF and all: Richardson–Lucy explains a wrong "
        "PSF by structure that is not there, so a small residual does not prove a PSF. Single stars, which can only "
        "be points, tell."
    )
    table = Table(
        "astronomy-hubble",
        f"Medians over the third of the {len(places)} lonely stars nearest to the middle, and the third farthest from "
        "it. Unexplained: of a recorded star's light, when the PSF is moved and scaled to fit it.",
        (
            Column("image", "image"),
            Column("core_near", "light within 1 px, middle", "%", 1),
            Column("core_far", "light within 1 px, far", "%", 1),
            Column("fit_near", "unexplained, middle", "%", 1),
            Column("fit_far", "unexplained, far", "%", 1),
            Column("chi_near", "misfit² / counts, middle", "", 1),
            Column("chi_far", "far", "", 1),
        ),
        rows,
    )
    parts = [
        text,
        figures.cluster_frames(study, found, (by["recorded"]["core_far"], each["core_far"])),
        figures.cluster_stars(study, found, places, fits),
        table,
    ]
    return sentence, parts
