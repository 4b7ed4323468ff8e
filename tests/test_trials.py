"""The search for a weight: its rules against restorations of which everything is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

import sigdeconv
from sigdeconv.deconvolution._trials import CAUTIOUS, REACH, RULES, STEP, Trial, chosen_weight, spread

SIGMA, SAMPLES = 0.5, 4096
GAIN = np.exp(-np.linspace(0, 6, SAMPLES))  # of a blur, at each frequency
SCENE = np.random.default_rng(0).standard_normal(SAMPLES) * 20 / (1 + np.arange(SAMPLES) / 20)
DATA = GAIN * SCENE + SIGMA * np.random.default_rng(1).standard_normal(SAMPLES)


def ridge(weight: float) -> Trial:
    """Tikhonov's restoration, one frequency at a time: a share ``g^2 / (g^2 + weight)`` of the data is followed."""
    share = GAIN**2 / (GAIN**2 + weight)
    residual = (((1 - share) * DATA) ** 2).sum()
    roughness = ((share * DATA / GAIN) ** 2).sum()
    return Trial(weight, float(residual), float(share.sum()), SAMPLES, roughness=float(roughness))


FINE = np.geomspace(1e-6, 1e3, 4001)


def best(rule: str) -> float:
    """By a fine search."""
    trials = [ridge(weight) for weight in FINE]
    if rule == "discrepancy":
        return FINE[np.argmin([abs(t.residual - SAMPLES * SIGMA**2) for t in trials])]
    return FINE[np.argmin([t.gcv() if rule == "gcv" else t.sure(SIGMA) for t in trials])]


@pytest.mark.parametrize("rule", ["gcv", "sure", "discrepancy"])
@pytest.mark.parametrize("first", [1e-4, 0.03, 0.5, 20.0])
def test_rules_find_what_a_fine_search_finds_from_any_start(rule, first):
    weight, trials = chosen_weight(ridge, first, rule, SIGMA)
    assert abs(math.log(weight / best(rule))) < 0.2
    tried = [t.weight for t in trials]
    assert tried == sorted(tried)
    steps = np.log(np.array(tried) / first) / math.log(STEP)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)
    assert len(set(np.rint(steps))) == len(tried) <= 2 * REACH + 1


def test_scores_estimate_the_error_of_the_blurred_scene():
    """Stein's is unbiased, and generalised cross-validation has its minimum about there."""
    weights = np.geomspace(1e-3, 1.0, 12)
    error, estimate = [], []
    for weight in weights:
        share = GAIN**2 / (GAIN**2 + weight)
        error.append(((share * DATA - GAIN * SCENE) ** 2).sum())
        estimate.append(ridge(weight).sure(SIGMA))
    # the data's own deviation from n sigma^2 is the same at all weights
    offset = ((DATA - GAIN * SCENE) ** 2).sum() - SAMPLES * SIGMA**2
    np.testing.assert_allclose(np.array(estimate) - offset, error, atol=0.05 * SAMPLES * SIGMA**2)
    least = FINE[
        np.argmin(
            [
                ((w / (GAIN**2 + w) * GAIN * SCENE) ** 2).sum() + SIGMA**2 * ((GAIN**2 / (GAIN**2 + w)) ** 2).sum()
                for w in FINE
            ]
        )
    ]
    for rule in ("gcv", "sure"):
        weight, _ = chosen_weight(ridge, 1.0, rule, SIGMA)
        assert 1 / 2 < weight / least < 2


def test_discrepancy_meets_the_noise():
    weight, _ = chosen_weight(ridge, 1.0, "discrepancy", SIGMA)
    assert ridge(weight).residual == pytest.approx(SAMPLES * SIGMA**2, rel=0.02)
    larger, _ = chosen_weight(ridge, 1.0, "discrepancy", 1.5 * SIGMA)
    assert larger > 2 * weight


def valley(bottom: float, bend: float = 1.0):
    """A score that is a parabola of the weight's logarithm."""

    def trial(weight: float) -> Trial:
        return Trial(weight, residual=1 + bend * math.log(weight / bottom) ** 2, freedom=0.0, count=1.0)

    return trial


@pytest.mark.parametrize("bottom", [1.0, 0.8, 3.3, 0.01, 700.0])
def test_bottom_of_a_parabola_is_found_between_the_steps(bottom):
    for rule in ("gcv", "sure"):
        weight, trials = chosen_weight(valley(bottom), 1.0, rule, 0.0)
        assert weight == pytest.approx(bottom)
        assert len(trials) <= 4 + abs(math.log2(bottom)), "it goes downhill, and only there"


def test_search_ends_where_nothing_is_better():
    up, down = (lambda w: Trial(w, w, 0.0, 1.0)), (lambda w: Trial(w, 1 / w, 0.0, 1.0))
    for rule in ("gcv", "sure"):
        assert chosen_weight(up, 3.0, rule, 1.0)[0] == pytest.approx(3.0 * STEP**-REACH)
        assert chosen_weight(down, 3.0, rule, 1.0)[0] == pytest.approx(3.0 * STEP**REACH)
        assert chosen_weight(lambda w: Trial(w, 2.0, 0.0, 1.0), 3.0, rule, 1.0)[0] == pytest.approx(3.0)
    assert chosen_weight(up, 1.0, "discrepancy", 1e9)[0] == pytest.approx(STEP**REACH)
    assert chosen_weight(up, 1.0, "discrepancy", 0.0)[0] == pytest.approx(STEP**-REACH)


@pytest.mark.parametrize("corner", [0.25, 1.0, 4.0])
def test_corner_of_an_l(corner):
    """Along one arm the cost falls at no expense, along the other the residual rises for no gain."""

    def trial(weight: float) -> Trial:
        w = weight / corner
        return Trial(weight, residual=1 + w**3, freedom=0.0, count=1.0, roughness=1 + w**-3)

    weight, trials = chosen_weight(trial, 1.0, "l-curve", 0.0)
    assert weight == pytest.approx(corner)
    assert len(trials) == 11


def test_perfect_restorations_do_not_break_the_rules():
    for rule in RULES:
        weight, _ = chosen_weight(lambda w: Trial(w, 0.0, 5.0, 5.0), 1.0, rule, 0.0)
        assert math.isfinite(weight)
        assert weight > 0


def test_each_weight_is_tried_once():
    tried: list[float] = []

    def trial(weight: float) -> Trial:
        tried.append(weight)
        return ridge(weight)

    for rule in RULES:
        tried.clear()
        chosen_weight(trial, 0.1, rule, SIGMA)
        assert len(tried) == len(set(tried))


@pytest.mark.parametrize("shape", [(4000,), (60, 70), (16, 17, 18)])
def test_spread_is_that_of_the_noise(shape):
    noise = np.random.default_rng(2).normal(0, 3.0, shape)
    assert spread(noise) == pytest.approx(3.0, rel=0.05)
    ramp = 7.0 * np.indices(shape)[-1] - 2
    assert spread(noise + ramp) == pytest.approx(spread(noise), rel=1e-6), "slopes are no noise"
    assert spread(1e-3 * noise) == pytest.approx(1e-3 * spread(noise))
    assert spread(np.full(shape, 5.0)) == 0
    assert spread(noise[..., :2]) == 0, "too few samples tell nothing"


@pytest.mark.parametrize("believed", [1e-30, 0.1 * SIGMA, SIGMA])
def test_the_cautious_rule_survives_a_noise_level_that_is_too_small(believed):
    weight, _ = chosen_weight(ridge, 0.03, CAUTIOUS, believed)
    assert 1 / 2 < weight / best("sure") < 2
    if believed < SIGMA:
        trusting, _ = chosen_weight(ridge, 0.03, "sure", believed)
        assert trusting < weight / 5


@pytest.mark.parametrize("method", [sigdeconv.hyper_laplacian, sigdeconv.total_variation, sigdeconv.tikhonov])
def test_samples_between_the_data_do_not_take_the_weight_to_nothing(method):
    from skimage.transform import resize

    y, x = np.indices((48, 48)) / 6
    scene = 100 + 60 * ((np.sin(x) + np.cos(1.3 * y)) > 0) + 20 * np.sin(0.7 * x * y / 6)
    for psf, center in ((np.full((2, 2), 0.25), 1), (np.outer(*[[0.1, 0.4, 0.4, 0.1]] * 2), 2)):
        blur = sigdeconv.Convolution(psf, (24, 24), stride=2, center=center)
        mirrored = sigdeconv.Convolution(psf, (24, 24), stride=2, center=center, boundary="reflect")
        small = np.round(mirrored(scene))  # no noise but that of rounding
        restored = method(small, blur)
        interpolated = resize(small, scene.shape, order=3, mode="symmetric")
        inside = (slice(4, -4), slice(4, -4))
        assert np.std((restored - scene)[inside]) < np.std((interpolated - scene)[inside])
