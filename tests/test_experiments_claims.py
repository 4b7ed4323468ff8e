"""Claims put to the test: every verdict is computed again, and is the one that the page prints."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

pytest.importorskip("torch", reason="networks need torch: pip install sigdeconv[learned]")

from experiments import claims
from experiments.claims import shapes, verdicts

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "claims.md"

VERDICTS = {
    "reverses": "false",
    "shape_and_values": "true",
    "minus_one": "only if",
    "cross_correlation": "true",
    "shape_comes_back": "only if",
    "zero_insertion": "true",
    "padding_without_dilation": "only if",
    "padding_with_dilation": "only if",
    "dilation_is_useless": "false",
    "costs_more": "only if",
    "bottleneck": "true",
    "division": "only if",
    "two_factors": "only if",
    "removes_noise": "only if",
    "resolution": "only if",
    "nonlinear": "false",
    "upsampling": "only if",
    "subpixel": "true",
    "uneven_overlap": "only if",
    "bilinear_start": "only if",
    "without_skips": "false",
    "new_attribute": "false",
    "inverted_networks": "false",
    "bigger_kernels": "only if",
}


def test_every_claim_is_expected_here():
    assert [claim.__name__ for claim in claims.CLAIMS] == [*VERDICTS]


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_is_the_one_that_its_text_explains(name, torch):
    (found,) = claims.verdicts_of([name])
    assert found.verdict == VERDICTS[name], found.cases
    page = PAGE.read_text(encoding="utf-8")
    (section,) = re.findall(rf"\({found.name}\)=\n(.*?)(?=\n\(claim-|\Z)", page, re.DOTALL)
    assert f"**{verdicts.MARKS[found.verdict]}.**" in section
    assert found.text in section
    rows = re.findall(r"^\| (.*) \| .* \| (yes|no) \|$", section, re.MULTILINE)
    assert rows == [(case.circumstance.replace("|", "\\|"), "yes" if case.holds else "no") for case in found.cases]


def test_a_verdict_follows_from_its_cases():
    def claim(*held):
        return verdicts.Claim("n", "t", [verdicts.Case("c", "m", h) for h in held], "w").verdict

    assert claim(True, True) == "true"
    assert claim(False, False) == "false"
    assert claim(True, False) == "only if"


def test_the_layers_are_the_sums_that_they_are_said_to_be():
    rng = np.random.default_rng(0)
    for n, layer in shapes.drawn(60, padded_little=True):
        x, kernel = rng.standard_normal(n), rng.standard_normal(layer.kernel)
        y = shapes.convolve(x, kernel, layer)
        spread = np.zeros(layer.dilation * (layer.kernel - 1) + 1)
        spread[:: layer.dilation] = kernel
        wide = np.pad(x, layer.padding)
        np.testing.assert_allclose(y, signal.correlate(wide, spread, "valid")[:: layer.stride], atol=1e-12)
        back = shapes.transpose(y, kernel, layer)
        if back.size:
            full = signal.upfirdn(spread, y, up=layer.stride)
            np.testing.assert_allclose(back, full[layer.padding : len(full) - layer.padding], atol=1e-12)


def test_numbers_do_not_show_rounding_errors():
    assert verdicts.number(3e-16) == "less than 1e-9"
    assert verdicts.number(0.0) == "0"
    assert verdicts.number(4.2e-5) == "4e-5"
    assert verdicts.number(-1.234) == "−1.23"
