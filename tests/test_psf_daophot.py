"""DAOPHOT's model of a PSF against one that is built star by star, and against what is known of its functions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate

from sigdeconv import VaryingConvolution, richardson_lucy
from sigdeconv.psf import from_daophot

N = 35  # samples of a table: 17 half pixels to each side, that is PSFs of 17 pixels
MIDDLE = 17
MOFFAT = {"FUNCTION": "moffat25", "PAR1": 1.2, "PAR2": 0.9, "PAR3": 0.1, "PAR4": 2.5}


def header(order, function=MOFFAT, **more):
    return {"PSFHEIGH": 0.7, "PSFX": 30.0, "PSFY": 20.0, "VARORDER": order} | function | more


def tables(count, seed=0):
    return 1e-3 * np.random.default_rng(seed).standard_normal((count, N, N))


def star(head, planes, row, column, n=17):
    """The PSF at one place, pixel by pixel, written from the manual and not normalised; (y, x) of the table is given
    by half pixels."""
    x, y = column / head["PSFX"] - 1, row / head["PSFY"] - 1
    basis = [1, x, y, 1.5 * x * x - 0.5, x * y, 1.5 * y * y - 0.5]
    alpha = 0.3195079  # of the manual, for an exponent of 2.5
    result = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            dy, dx = i - n // 2, j - n // 2

            def moffat(v, u):
                r2 = (u / head["PAR1"]) ** 2 + (v / head["PAR2"]) ** 2 + head["PAR3"] * u * v
                return 1.5 / (head["PAR1"] * head["PAR2"] * (1 + alpha * r2) ** 2.5)

            light, _ = integrate.dblquad(moffat, dx - 0.5, dx + 0.5, dy - 0.5, dy + 0.5, epsabs=1e-7)
            value = head["PSFHEIGH"] * light
            for b, plane in zip(basis, planes, strict=False):
                value += b * plane[MIDDLE + 2 * dy, MIDDLE + 2 * dx]
            result[i, j] = value
    return result


@pytest.mark.parametrize(("order", "count"), [(0, 1), (1, 3), (2, 6)])
def test_the_psf_at_a_place_is_the_function_and_the_polynomial(order, count):
    head, planes = header(order), tables(count)
    blur = VaryingConvolution(*from_daophot(head, planes, (41, 61)), (41, 61))
    for place in ((20, 30), (0, 0), (7, 55)):
        wanted = star(head, planes, *place)
        np.testing.assert_allclose(blur.psf_at(place), wanted / wanted.sum(), atol=2e-4 * wanted.max())


def test_a_part_of_the_frame_has_the_psfs_of_its_place():
    head, planes = header(2), tables(6)
    whole = from_daophot(head, planes, (41, 61))
    part = from_daophot(head, planes, (9, 12), corner=(30, 40))
    np.testing.assert_array_equal(part.psfs, whole.psfs)
    np.testing.assert_array_equal(part.weights, whole.weights[:, 30:39, 40:52])


def test_a_smaller_psf_is_the_inner_part_with_the_sum_one():
    head, planes = header(2), tables(6)
    for shape, inner in ((11, np.s_[3:14, 3:14]), ((8, 7), np.s_[4:12, 5:12])):
        small, large = (from_daophot(head, planes, (41, 61), n) for n in (shape, None))
        for row, column in ((0, 0), (40, 60), (13, 22)):
            cut, full = (np.tensordot(m.weights[:, row, column], m.psfs, 1) for m in (small, large))
            assert cut.sum() == pytest.approx(1, abs=1e-12)
            np.testing.assert_allclose(cut, full[inner] / full[inner].sum(), atol=1e-12)


@pytest.mark.parametrize(
    ("function", "at", "whole"),
    [
        ({"FUNCTION": "gauss"}, lambda r2: 2.0**-r2, math.pi / math.log(2)),
        ({"FUNCTION": "moffat25", "PAR3": 0.0, "PAR4": 2.5}, None, math.pi / (2**0.4 - 1)),
        ({"FUNCTION": "moffat15", "PAR3": 0.0, "PAR4": 1.5}, None, math.pi / (2 ** (1 / 1.5) - 1)),
        ({"FUNCTION": "lorentz", "PAR3": 0.0}, lambda r2: 1 / (1 + r2), None),
        ({"FUNCTION": "penny1", "PAR3": 0.7, "PAR4": 0.0}, lambda r2: 0.7 * 2.0**-r2 + 0.3 / (1 + r2), None),
        (
            {"FUNCTION": "penny2", "PAR3": 0.7, "PAR4": 0.0, "PAR5": 0.0},
            lambda r2: 0.7 * 2.0**-r2 + 0.3 / (1 + r2),
            None,
        ),
    ],
)
def test_functions_have_their_half_width_and_their_light(function, at, whole):
    wide = function | {"PAR1": 20.0, "PAR2": 10.0}  # so wide that a pixel is a point
    psf = from_daophot(header(-1, wide), None, 1, 121).psfs[0]
    middle = psf[60, 60]
    assert psf[60, 60 + 20] / middle == pytest.approx(0.5, rel=5e-3)
    assert psf[60 + 10, 60] / middle == pytest.approx(0.5, rel=5e-3)
    if at is not None:
        assert psf[60 + 7, 60 + 9] / middle == pytest.approx(at(0.7**2 + 0.45**2), rel=5e-3)
    if whole is not None:  # a property of the function, whatever the half widths: their product is divided out
        narrow = function | {"PAR1": 1.5, "PAR2": 1.0}
        found = from_daophot(header(-1, narrow), None, 1, 401).psfs[0].sum() / 0.7
        tail = {"gauss": 0, "moffat25": 1e-6, "moffat15": 2 * whole / 200}[function["FUNCTION"]]
        assert found == pytest.approx(whole, abs=tail + 2e-3 * whole)


@pytest.mark.parametrize("name", ["moffat25", "lorentz", "penny1", "penny2"])
def test_a_tilt_turns_the_light_from_the_diagonal(name):
    more = {"moffat25": (0.2, 2.5), "lorentz": (0.2,), "penny1": (0.7, 0.2), "penny2": (0.7, 0.2, 0.2)}[name]
    function = {"FUNCTION": name, "PAR1": 1.5, "PAR2": 1.5} | {f"PAR{k}": v for k, v in enumerate(more, 3)}
    psf = from_daophot(header(-1, function), None, 1, 9).psfs[0]
    assert psf[6, 6] < 0.8 * psf[6, 2]  # x y above 0 is farther away
    assert psf[2, 2] == pytest.approx(psf[6, 6])


def test_tables_of_the_phase_count_for_a_star_on_its_pixel():
    planes, phases = tables(3), tables(5, seed=1)
    found = from_daophot(header(1, FEXPAND=True), np.concatenate([planes, phases]), (41, 61))
    planes[0] -= 0.5 * (phases[2] + phases[4])
    np.testing.assert_allclose(found.psfs, from_daophot(header(1), planes, (41, 61)).psfs, atol=1e-15)


def test_the_dtype_is_that_of_the_tables_and_one_table_needs_no_axis():
    plane = tables(1)[0].astype(">f4")
    found = from_daophot(header(0), plane, (41, 61))
    assert found.psfs.dtype == found.weights.dtype == np.float32
    assert found.psfs.shape == (1, 17, 17)
    np.testing.assert_allclose(found.weights * found.psfs.sum(), 1, rtol=1e-5)


def test_methods_take_it():
    head, planes = header(2), tables(6)
    head["PSFHEIGH"] = 7.0  # so that the polynomial stays above zero
    blur = VaryingConvolution(*from_daophot(head, 0.1 * np.abs(planes), (41, 61), 9), (41, 61))
    scene = np.zeros(blur.domain_shape)
    scene[20, 30] = scene[40, 50] = 1000.0
    image = blur.forward(scene)
    restored = richardson_lucy(image.clip(0), blur, num_iter=60)
    assert restored.max() > 3 * image.max()


@pytest.mark.parametrize(
    ("head", "planes", "options", "failure", "words"),
    [
        (header(2), tables(3), {}, ValueError, r"tables has shape \(3, 35, 35\); \(6, n, n\) with an odd n"),
        (header(0), tables(1)[:, :, 1:], {}, ValueError, "tables has shape"),
        (header(0), tables(1)[:, 1:, 1:], {}, ValueError, "an odd n"),
        (header(1), None, {}, ValueError, "tables is None, but VARORDER is 1; 3 tables are wanted"),
        (header(-1), None, {}, ValueError, "shape is None, but a PSF without tables has no end"),
        (header(3), tables(1), {}, ValueError, "VARORDER is 3; one of -1, 0, 1, 2"),
        (header(0, FUNCTION="sinc"), tables(1), {}, ValueError, "FUNCTION is 'sinc'; one of gauss, lorentz"),
        (header(0, PAR1=-1.0), tables(1), {}, ValueError, "PAR1 and PAR2 are .* half widths above 0"),
        (header(0, PAR1="a"), tables(1), {}, TypeError, "PAR1 is 'a'"),
        (header(0, PSFX=0.0), tables(1), {}, ValueError, "PSFX is 0"),
        (header(0), tables(1), {"shape": 19}, ValueError, "shape is 19, but the tables reach over 17 pixels"),
        (header(0), tables(1), {"corner": (1.5, 0)}, ValueError, "corner is .* two whole numbers"),
        (header(0), tables(1) - 1, {}, ValueError, "the PSF has the sum -.* at some place of the frame"),
        (header(0), np.full((1, N, N), np.nan), {}, ValueError, "tables"),
        ({"FUNCTION": "gauss"}, tables(1), {}, KeyError, "VARORDER"),
    ],
)
def test_wrong_calls_name_what_is_wrong(head, planes, options, failure, words):
    with pytest.raises(failure, match=words):
        from_daophot(head, planes, (41, 61), **options)


def test_a_tensor_is_refused_by_name(torch):
    with pytest.raises(TypeError, match=r"tables is a torch\.Tensor; a NumPy array"):
        from_daophot(header(0), torch.zeros((1, N, N)), (41, 61))
