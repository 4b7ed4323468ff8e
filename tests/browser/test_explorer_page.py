"""The convolution explorer as a reader meets it: controls, shapes, keyboard, pictures, phone."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigdeconv import transposed

from .conftest import PHONE

PAGE = Path(__file__).parents[2] / "docs" / "explorer" / "index.html"


def text(page, name):
    return page.evaluate("id => document.getElementById(id).textContent", name)


def put(page, name, value):
    page.evaluate(
        """([id, value]) => { const input = document.getElementById(id); input.value = value;
        input.dispatchEvent(new Event("input", { bubbles: true })); }""",
        [name, value],
    )


def decibels(page, name):
    return float(text(page, f"{name}-psnr").split()[0].replace("−", "-"))


LAYERS = [
    dict(zip(("size", "kernel", "stride", "padding", "dilation"), values, strict=True))
    for values in ((5, 3, 2, 1, 1), (6, 4, 2, 1, 1), (4, 3, 3, 0, 2), (7, 5, 1, 2, 1), (6, 2, 2, 0, 1), (3, 5, 4, 2, 1))
]


def test_controls_give_the_shapes_of_the_library(watched):
    page = watched.open(PAGE)
    for layer in LAYERS:
        numbers = {key: layer[key] for key in ("stride", "padding", "dilation")}
        for extra in (0, layer["stride"] - 1):
            page.evaluate("() => document.querySelector('input[name=kind][value=transposed]').click()")
            for name, value in {**layer, "outputPadding": extra}.items():
                put(page, name, value)
            (wanted,) = transposed.transposed_shape(layer["size"], layer["kernel"], output_padding=extra, **numbers)
            assert text(page, "shape").endswith(f"{layer['size']} → {wanted}"), (layer, extra)
        page.evaluate("() => document.querySelector('input[name=kind][value=convolution]').click()")
        put(page, "size", 17)
        (wanted,) = transposed.conv_shape(17, layer["kernel"], **numbers)
        assert text(page, "shape").endswith(f"17 → {wanted}"), layer
    assert watched.faults == []


def test_keyboard_address_and_a_setting_that_is_refused(watched):
    page = watched.open(PAGE, "#kind=transposed&size=6&kernel=5&stride=3&padding=2&outputPadding=1&position=3")
    assert text(page, "shape").endswith("6 → 17")
    page.focus("#stride")
    page.keyboard.press("ArrowRight")
    assert text(page, "shape").endswith("6 → 22")
    page.keyboard.press("ArrowLeft")
    page.focus("#matrix")
    page.keyboard.press("ArrowDown")
    assert text(page, "cell").startswith("Row 1")
    put(page, "outputPadding", 3)
    assert page.is_visible("#fault")
    page.click("#repair")
    assert not page.is_visible("#fault")
    assert watched.faults == []


def test_the_transpose_loses_and_wiener_gains(watched):
    page = watched.open(PAGE)
    page.click("#best-balance")
    page.wait_for_function("() => document.getElementById('wiener-psnr').textContent.includes('dB')")
    found = {name: decibels(page, name) for name in ("blurred", "transpose", "inverse", "wiener")}
    assert found["transpose"] < found["blurred"] < found["wiener"]
    assert found["inverse"] < found["wiener"]
    put(page, "noise", 0)
    put(page, "cutoff", -6)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert decibels(page, "inverse") > 40  # without noise division undoes the blur
    assert watched.faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_telephone(watched, scheme):
    watched.page.set_viewport_size(PHONE)
    watched.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page = watched.open(PAGE, "#axes=2&size=9&stride=3&kernel=5")
    assert watched.overflow() == []
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("input, select, button, canvas")].filter(e => e.offsetParent &&
        !(e.labels?.length || e.getAttribute("aria-label") || e.textContent.trim())).map(e => e.id)"""
    )
    assert unnamed == []
    assert watched.faults == []
