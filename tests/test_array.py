"""The rules of arrays: what dtype comes out, what is refused, and in which words."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from sigdeconv import _array

DTYPES = {
    "bool": "float32",
    "uint8": "float32",
    "int8": "float32",
    "uint16": "float32",
    "int16": "float32",
    "uint32": "float64",
    "int32": "float64",
    "uint64": "float64",
    "int64": "float64",
    "float32": "float32",
    "float64": "float64",
}


@pytest.mark.parametrize(("dtype", "wanted"), DTYPES.items())
def test_floating_keeps_the_kind_and_the_values(dtype, wanted, kind):
    x = kind.array([[0, 1], [1, 0]], dtype)
    result = kind.numpy(_array.floating(x, "image"))
    assert result.dtype == wanted
    np.testing.assert_array_equal(result, [[0, 1], [1, 0]])


def test_floating_of_half_and_extended_precision(torch):
    assert _array.floating(np.ones(2, np.float16), "image").dtype == np.float32
    assert _array.floating(np.ones(2, np.longdouble), "image").dtype == np.float64
    assert _array.floating(torch.ones(2, dtype=torch.bfloat16), "image").dtype == torch.float32


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floating_copies_nothing_that_is_as_wanted(dtype, kind):
    x = kind.array([1, 2, 3], dtype)
    assert _array.floating(x, "image") is x


def test_floating_never_rescales_or_clips():
    counts = np.array([0, 255, 65535], np.uint16)
    np.testing.assert_array_equal(_array.floating(counts, "image"), [0.0, 255.0, 65535.0])
    np.testing.assert_array_equal(_array.floating(-counts.astype(float), "image"), [0.0, -255.0, -65535.0])


def test_floating_of_what_is_almost_an_array():
    assert type(_array.floating([[1, 2], [3, 4]], "image")) is np.ndarray
    assert _array.floating(3, "image").shape == ()
    swapped = _array.floating(np.array([1.5, 2.5], ">f4"), "image")
    assert swapped.dtype.isnative
    np.testing.assert_array_equal(swapped, [1.5, 2.5])
    unmasked = _array.floating(np.ma.masked_array([1.0, 2.0], [False, False]), "image")
    assert type(unmasked) is np.ndarray

    class Image:
        def __array__(self, dtype=None, copy=None):
            return np.ones((2, 3))

    assert _array.floating(Image(), "image").shape == (2, 3)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.array([1j]), TypeError, "image has dtype complex128; real numbers are wanted; pass image.real"),
        (np.array([None]), TypeError, "image has dtype object; real numbers are wanted; convert it first"),
        (np.array(["a"]), TypeError, "image has dtype <U1"),
        (np.array([0], "datetime64[s]"), TypeError, "image has dtype datetime64[s]"),
        ([[1], [1, 2]], TypeError, "image is a ragged list; an array is wanted"),
        ("image.png", TypeError, "image is of type str; an array is wanted"),
        (None, TypeError, "image is of type NoneType"),
        ({"a": 1}, TypeError, "image is of type dict"),
        (np.ma.masked_array([1.0, 2.0], [False, True]), TypeError, "pass image.filled(0), and weights=~mask"),
        (np.ones((3, 0)), ValueError, "image is empty (shape (3, 0)); at least one sample is wanted on every axis"),
        ([], ValueError, "image is empty"),
    ],
)
def test_floating_says_what_came_and_what_is_wanted(value, error, message):
    with pytest.raises(error, match=re.escape(message)):
        _array.floating(value, "image")


def test_floating_refuses_complex_arrays_of_every_kind(kind):
    with pytest.raises(TypeError, match=r"psf has dtype .*complex64; real numbers are wanted; pass psf\.real"):
        _array.floating(kind.array([1j], "complex64"), "psf")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_samples_that_are_not_finite_are_counted_and_located(bad, kind):
    x = np.ones((3, 4))
    x[1, 2] = x[2, 0] = bad
    message = "image has 2 NaN or infinite samples, the first at (1, 2); replace them"
    with pytest.raises(ValueError, match=re.escape(message)):
        _array.floating(kind.array(x), "image")
    x[2, 0] = 1
    with pytest.raises(ValueError, match=re.escape("image has 1 NaN or infinite sample, the first at (1, 2)")):
        _array.floating(kind.array(x), "image")
    assert kind.numpy(_array.floating(kind.array(x), "image", finite=False)).shape == (3, 4)


def test_infinities_that_cancel_are_found_and_large_sums_are_not_mistaken_for_them(kind):
    with pytest.raises(ValueError, match="2 NaN or infinite samples"):
        _array.floating(kind.array([math.inf, 0, -math.inf]), "image")
    large = kind.array(np.full(100, 3e38), "float32")  # each is finite, their float32 sum is not
    assert _array.floating(large, "image") is large


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_like_moves_a_numpy_psf_to_the_image(dtype, kind):
    image = kind.array([1.0], dtype)
    for psf in (np.ones(3), np.ones(3, np.float32), [1, 1, 1], np.ones(3, np.uint8)):
        moved = kind.numpy(_array.like(psf, image, "psf"))
        assert moved.dtype == dtype
        np.testing.assert_array_equal(moved, np.ones(3))
    assert kind.numpy(_array.like(kind.array(np.ones(3)), image, "psf")).dtype == dtype


def test_like_refuses_a_psf_of_another_library(torch):
    with pytest.raises(TypeError, match=r"psf is a torch\.Tensor but the image is a numpy\.ndarray; pass both"):
        _array.like(torch.ones(3), np.ones(9), "psf")


def test_kind_names_the_library(kind):
    wanted = {"numpy": "numpy.ndarray", "torch": "torch.Tensor", "strict": "array_api_strict.Array"}
    assert _array.kind(kind.array([1.0])) == wanted[kind.name]
    assert _array.is_numpy(kind.array([1.0])) == (kind.name == "numpy")


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_channels_travel_to_the_front_and_back(axis, kind):
    image = np.arange(24.0).reshape(2, 3, 4)
    moved, back = _array.channels_to_batch(kind.array(image), axis)
    wanted = image if axis is None else np.moveaxis(image, axis, 0)
    np.testing.assert_array_equal(kind.numpy(moved), wanted)
    np.testing.assert_array_equal(kind.numpy(back(moved)), image)


@pytest.mark.parametrize("axis", [3, -4])
def test_a_channel_axis_outside_the_image_is_refused(axis):
    message = f"channel_axis is {axis} but image has 3 dimensions; pass -3 to 2"
    with pytest.raises(ValueError, match=message):
        _array.channels_to_batch(np.ones((2, 3, 4)), axis)


@pytest.mark.parametrize("axis", [1.0, True, "0"])
def test_an_axis_is_an_integer(axis):
    with pytest.raises(TypeError, match=re.escape(f"axis is {axis!r}; an integer is wanted")):
        _array.checked_axis(axis, 3, "axis", "image")


def test_require_ndim():
    _array.require_ndim(np.ones((4, 5, 6)), 2)
    with pytest.raises(ValueError, match=re.escape("psf has 3 dimensions but image has 2; pass psf[k] (a section)")):
        _array.require_ndim(np.ones((5, 6)), 3)
    with pytest.raises(ValueError, match="psf has 0 dimensions"):
        _array.require_ndim(np.ones((5, 6)), 0)


@pytest.mark.parametrize("value", [3, np.int64(3), (3, 3), [3, 3], np.array([3, 3]), (3.0, 3)])
def test_per_axis_gives_one_integer_an_axis(value):
    result = _array.per_axis(value, 2, "shape", minimum=1)
    assert result == (3, 3)
    assert all(type(n) is int for n in result)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (2.5, TypeError, "shape is 2.5; an integer or one integer an axis is wanted"),
        ((2, 2.5), TypeError, "shape is (2, 2.5); an integer"),
        (True, TypeError, "shape is True"),
        ("33", TypeError, "shape is '33'"),
        (None, TypeError, "shape is None"),
        ((3, None), TypeError, "shape is (3, None)"),
        ((3,), ValueError, "shape has 1 entries; 2 are wanted, one an axis of the psf"),
        ((3, 3, 3), ValueError, "shape has 3 entries; 2 are wanted"),
        ((3, 0), ValueError, "shape is (3, 0); every entry must be at least 1"),
        (-1, ValueError, "shape is -1; every entry must be at least 1"),
    ],
)
def test_per_axis_refuses(value, error, message):
    with pytest.raises(error, match=re.escape(message)):
        _array.per_axis(value, 2, "shape", minimum=1)


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.array(2.0)])
def test_number_gives_a_float(value):
    assert type(_array.number(value, "balance", minimum=0)) is float
    assert _array.number(value, "balance", minimum=2.0, above=1.9) == 2.0


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("2", TypeError, "balance is '2'; a number is wanted"),
        (None, TypeError, "balance is None; a number is wanted"),
        (True, TypeError, "balance is True; a number is wanted"),
        (1j, TypeError, "balance is 1j; a number is wanted"),
        ([1, 2], TypeError, "balance is [1, 2]; a number is wanted"),
        (math.nan, ValueError, "balance is nan; a finite number is wanted"),
        (-math.inf, ValueError, "balance is -inf; a finite number is wanted"),
        (-2, ValueError, "balance is -2; it must be at least -1"),
        (-1, ValueError, "balance is -1; it must be larger than -1"),
    ],
)
def test_number_refuses(value, error, message):
    with pytest.raises(error, match=re.escape(message)):
        _array.number(value, "balance", minimum=-1, above=-1)


def test_choice():
    assert _array.choice("a", ("a", "b"), "boundary") == "a"
    for value in ("c", None, 1, ["a"]):
        with pytest.raises(ValueError, match=re.escape(f"boundary is {value!r}; pass one of 'a', 'b'")):
            _array.choice(value, ("a", "b"), "boundary")


@pytest.mark.parametrize("value", [1e308, -1e200, 1e-320])
def test_numbers_out_of_range_are_refused(value):
    with pytest.raises(ValueError, match=r"sigma is .*; a number between 1e-100 and 1e\+100 in size is wanted, or 0"):
        _array.number(value, "sigma")
    assert _array.number(0.0, "sigma") == 0
