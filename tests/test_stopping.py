"""When Richardson-Lucy stops: near the best iteration, at what was reported, whatever is restored."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import sigdeconv
from sigdeconv import Convolution, richardson_lucy
from sigdeconv.deconvolution._counts import Counts
from sigdeconv.deconvolution._stopping_rules import Consensus, Observed, Risk, Splitting, expected_divergence
from sigdeconv.deconvolution.stopping import RULES, Stopping, photon_gain

SIZE = 80


def scene(seed: int = 0, size: int = SIZE, light: float = 100.0) -> np.ndarray:
    """Edges, points and a slope, of a given mean."""
    rng = np.random.default_rng(seed)
    x = np.full((size, size), 20.0) + np.linspace(0, 60, size)
    for _ in range(size // 4):
        i, j, n, m = rng.integers(0, size, 4)
        x[i : i + n // 4, j : j + m // 4] = rng.uniform(0, 250)
    x[tuple(rng.integers(0, size, (2, size // 8)))] += 400
    return x * (light / x.mean())


def exposed(psf: np.ndarray, light: float, seed: int = 0, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Counts, and the truth."""
    seen = sigdeconv.simulate.through_frame(scene(seed, size, light), psf)
    return np.random.default_rng(seed).poisson(seen.blurred).astype(np.float32), seen.truth


def errors(counts: np.ndarray, psf: np.ndarray, truth: np.ndarray, num_iter: int, **options: object) -> np.ndarray:
    found = []
    richardson_lucy(
        counts,
        psf,
        num_iter=num_iter,
        callback=lambda step: found.append(float(np.mean((step.estimate - truth) ** 2))),
        **options,
    )
    return np.array(found)


def last_chosen(counts: np.ndarray, psf: object, **options: object) -> tuple[np.ndarray, dict]:
    """The result, and what was chosen."""
    seen = []
    result = richardson_lucy(
        counts, psf, num_iter=None, callback=lambda step: seen.append(dict(step.chosen)), **options
    )
    return result, seen[-1]


PSFS = {"gaussian": sigdeconv.psf.gaussian((13, 13), 1.5), "disk": sigdeconv.psf.disk(3.0), "box": np.ones((8, 5)) / 40}
# dB below the best iteration that a rule may stay in a case; of the whole study the notes of Stopping tell.
ALLOWED = {"risk": 0.2, "splitting": 0.6, "consensus": 2.8, "discrepancy": 1.5}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("accelerate", [True, False])
@pytest.mark.parametrize(("blur", "light"), [("gaussian", 30), ("disk", 1000), ("box", 200)])
def test_the_best_iteration_is_nearly_found(rule, accelerate, blur, light):
    counts, truth = exposed(PSFS[blur], light)
    restored, chosen = last_chosen(counts, PSFS[blur], stopping=rule, accelerate=accelerate)
    curve = errors(counts, PSFS[blur], truth, 40 if accelerate else 250, accelerate=accelerate)
    assert curve.argmin() + 1 < curve.size, "the curve must turn for the test to mean anything"
    loss = 10 * np.log10(np.mean((restored - truth) ** 2) / curve.min())
    assert loss <= ALLOWED[rule], f"{loss:.2f} dB at {chosen['num_iter']}; the best is {curve.argmin() + 1}"


def test_the_score_is_the_error_up_to_a_constant():
    """Over many draws of the noise, differences of the score are those of the true error in the same norm."""
    psf, light, draws = PSFS["gaussian"], 60, 30
    seen = sigdeconv.simulate.through_frame(scene(3, 52, light), psf)
    blur = Convolution(psf, seen.blurred.shape)
    rng = np.random.default_rng(0)
    gaps = {Risk: [], Splitting: []}
    for draw in range(draws):
        d = rng.poisson(seen.blurred).astype(float)
        counts = Counts(d, np.zeros((1, 1)), None)
        for rule, found in gaps.items():
            observed = Observed.of(blur, counts, 1.0, np.random.default_rng(draw))
            judge, scores, true = rule(observed), [], []

            def look(step, judge=judge, scores=scores, true=true, observed=observed):
                if step.index not in (2, 6):
                    return
                scores.append(float(judge(step.estimate)))
                gap = observed.weighted(seen.blurred - blur.forward(step.estimate[0]))
                true.append(float(np.sum(gap**2)))

            whole = Convolution(psf, blur.shape)
            iterates(np.stack(judge.copies), whole, look)
            found.append((scores[1] - scores[0], true[1] - true[0]))
    for rule, found in gaps.items():
        score, true = np.array(found).T
        off = score - true
        # Splitting takes the bias of the estimate from half the photons for that from all of them.
        slack = 0.0 if rule is Risk else 0.1 * abs(true.mean())
        assert abs(off.mean()) < 3.5 * off.std() / np.sqrt(draws) + slack
        assert abs(off.mean()) < 0.15 * abs(true.mean())


def iterates(copies, blur, look):
    """Run the default iteration and show its estimates on the whole domain."""
    from sigdeconv._iterate import Iteration
    from sigdeconv.deconvolution._likelihood import PoissonLikelihood, conjugate

    problem = PoissonLikelihood.of(blur, copies, np.zeros((1, 1, 1)), None, 0.0)
    for k, x in zip(range(1, 7), conjugate(problem, problem.flat()), strict=False):
        look(Iteration(k, x, 0.0))


@pytest.mark.parametrize("mean", [1e-4, 0.03, 0.7, 5.0, 49.0, 60.0, 3000.0])
def test_expected_divergence_is_the_poisson_sum(mean):
    d = np.arange(0, int(mean + 15 * np.sqrt(mean) + 40))
    terms = mean - d + np.where(d > 0, d * np.log(np.maximum(d, 1) / mean), 0.0)
    wanted = np.sum(stats.poisson.pmf(d, mean) * terms)
    assert expected_divergence(np.array(mean)) == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("accelerate", [True, False, "biggs-andrews"])
def test_the_result_is_the_estimate_at_the_chosen_iteration(rule, accelerate, close):
    counts, _ = exposed(PSFS["gaussian"], 100)
    counts = counts.astype(np.float64)
    restored, chosen = last_chosen(counts, PSFS["gaussian"], stopping=rule, accelerate=accelerate)
    again = richardson_lucy(counts, PSFS["gaussian"], num_iter=chosen["num_iter"], accelerate=accelerate)
    close(restored, again, slack=100)
    assert chosen["gain"] == 1


def test_each_item_of_a_batch_stops_for_itself(close):
    few, _ = exposed(PSFS["gaussian"], 20)
    many, _ = exposed(PSFS["gaussian"], 3000)
    both = np.stack([few, many]).astype(np.float64)
    restored, chosen = last_chosen(both, PSFS["gaussian"])
    assert chosen["num_iter"][0] < chosen["num_iter"][1]
    for item, counts, num_iter in zip(restored, both, chosen["num_iter"], strict=True):
        close(item, richardson_lucy(counts, PSFS["gaussian"], num_iter=num_iter), slack=100)
    colours = richardson_lucy(np.moveaxis(both, 0, -1), PSFS["gaussian"], num_iter=None, channel_axis=-1)
    close(np.moveaxis(colours, -1, 0), restored, slack=100)


def test_the_callback_sees_the_choice_and_may_end_it():
    counts, _ = exposed(PSFS["disk"], 300)
    steps = []
    restored = richardson_lucy(
        counts,
        PSFS["disk"],
        num_iter=None,
        callback=lambda s: steps.append((s.index, s.chosen["num_iter"], s.estimate)),
    )
    index, num_iter, estimate = steps[-1]
    assert [i for i, *_ in steps] == list(range(1, len(steps) + 1))
    assert num_iter < index <= num_iter + 3  # it has to look a little past the best, and no further
    assert np.array_equal(estimate, restored)
    ended = richardson_lucy(counts, PSFS["disk"], num_iter=None, callback=lambda step: step.index == 3)
    assert np.allclose(ended, richardson_lucy(counts, PSFS["disk"], num_iter=3), rtol=1e-3)
    limited = richardson_lucy(counts, PSFS["disk"], num_iter=2, stopping="risk")
    assert np.allclose(limited, richardson_lucy(counts, PSFS["disk"], num_iter=2), rtol=1e-3)


def test_the_observer_sees_scores_that_fall_and_rise():
    counts, _ = exposed(PSFS["gaussian"], 100)
    seen = []
    rule = Stopping(observer=lambda k, scores: seen.append((k, *scores)))
    _, chosen = last_chosen(counts, PSFS["gaussian"], stopping=rule, accelerate=False)
    looked, scores = np.array(seen).T
    there = scores[looked == chosen["num_iter"]][0]
    assert there - scores.min() < 1e-3 * (scores[0] - scores.min())  # what is gained after is worth no iteration
    assert scores[0] > scores.min() < scores[-1]


def test_it_repeats_and_another_seed_hardly_matters():
    counts, truth = exposed(PSFS["box"], 100)
    one, other = (richardson_lucy(counts, PSFS["box"], num_iter=None) for _ in range(2))
    assert np.array_equal(one, other)
    losses = [
        np.mean((richardson_lucy(counts, PSFS["box"], num_iter=None, stopping=Stopping(rng=seed)) - truth) ** 2)
        for seed in range(5)
    ]
    assert max(losses) < 1.05 * min(losses)


@pytest.mark.parametrize("gain", [0.0123, 0.37, 40.0])
@pytest.mark.parametrize("rule", ["risk", "splitting", "discrepancy"])
def test_the_units_of_the_image_make_no_difference(gain, rule):
    counts, truth = exposed(PSFS["gaussian"], 200, size=160)
    scaled = (counts * gain).astype(np.float32)
    restored, chosen = last_chosen(scaled, PSFS["gaussian"], stopping=Stopping(rule, gain=gain))
    assert chosen["gain"] == gain
    best = errors(counts, PSFS["gaussian"], truth, 15).min()
    assert np.mean((restored / gain - truth) ** 2) < 10 ** (ALLOWED[rule] / 10) * best


def test_the_gain_is_measured_where_the_image_is_not_in_counts():
    counts, truth = exposed(PSFS["gaussian"], 200, size=160)
    restored, chosen = last_chosen(counts * np.float32(0.37), PSFS["gaussian"])
    assert chosen["gain"] == pytest.approx(0.37, rel=0.1)
    assert np.mean((restored / 0.37 - truth) ** 2) < 1.05 * errors(counts, PSFS["gaussian"], truth, 15).min()
    scaled = np.rint(4 * counts)  # integers, but no counts
    assert last_chosen(scaled, PSFS["gaussian"])[1]["gain"] == pytest.approx(4, rel=0.1)


def test_bad_pixels_background_and_readout_noise():
    psf = PSFS["gaussian"]
    counts, truth = exposed(psf, 100)
    rng = np.random.default_rng(5)
    good = rng.random(counts.shape) > 0.02
    broken = np.where(good, rng.poisson(30, counts.shape) + counts, np.nan)
    broken += np.where(good, rng.normal(0, 4, counts.shape), 0)
    options = {"weights": good, "background": 30.0, "readout_noise": 4.0}
    restored, chosen = last_chosen(broken, psf, **options)
    curve = errors(broken, psf, truth, 25, **options)
    assert chosen["gain"] == 1
    assert np.mean((restored - truth) ** 2) < 1.05 * curve.min()
    del options["readout_noise"]
    whole = np.where(good, counts + rng.poisson(30, counts.shape), np.nan)
    for rule in RULES:
        assert np.all(np.isfinite(richardson_lucy(whole, psf, num_iter=None, stopping=rule, **options)))


@pytest.mark.parametrize("options", [{"tv_weight": 0.001}, {"damping": 2.0}, {"back_projector": "wiener-butterworth"}])
def test_variants_end_near_their_best(options):
    counts, truth = exposed(PSFS["gaussian"], 200)
    restored, chosen = last_chosen(counts, PSFS["gaussian"], **options)
    assert chosen["num_iter"] < 150
    best = errors(counts, PSFS["gaussian"], truth, 60, **options).min()
    assert 10 * np.log10(np.mean((restored - truth) ** 2) / best) < 0.25


@pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect"])
def test_every_boundary(boundary):
    x = scene(2)
    counts = np.random.default_rng(0).poisson(Convolution(PSFS["disk"], x.shape, boundary=boundary)(x)).astype(float)
    restored = richardson_lucy(counts, PSFS["disk"], num_iter=None, boundary=boundary)
    best = errors(counts, PSFS["disk"], x, 30, boundary=boundary).min()
    assert np.mean((restored - x) ** 2) < 1.06 * best


def test_a_finer_grid():
    x = scene(1)
    blur = Convolution(PSFS["gaussian"], (SIZE // 2, SIZE // 2), boundary="reflect", stride=2)
    counts = np.random.default_rng(0).poisson(blur(x)).astype(float)
    restored = richardson_lucy(counts, blur, num_iter=None)
    assert np.mean((restored - x) ** 2) < 1.06 * errors(counts, blur, x, 40).min()


@pytest.mark.parametrize("shape", [(400,), (12, 40, 40)])
def test_signals_and_volumes(shape):
    rng = np.random.default_rng(0)
    x = np.full(shape, 30.0)
    x[tuple(slice(n // 4, n // 2) for n in shape)] = 300
    psf = sigdeconv.psf.gaussian((5, 9, 9)[-len(shape) :], 1.5)
    counts = rng.poisson(Convolution(psf, shape, boundary="reflect")(x)).astype(float)
    for rule in RULES:
        restored = richardson_lucy(counts, psf, num_iter=None, stopping=rule)
        assert np.mean((restored - x) ** 2) < np.mean((counts - x) ** 2)
    assert np.mean((richardson_lucy(counts, psf, num_iter=None) - x) ** 2) < 1.1 * errors(counts, psf, x, 40).min()


@pytest.mark.parametrize("rule", RULES)
def test_every_kind_of_array(kind, rule):
    counts = np.stack([exposed(PSFS["gaussian"], light, size=48)[0] for light in (20, 500)]).astype(np.float64)
    wanted, chosen = last_chosen(counts, PSFS["gaussian"], stopping=rule)
    found, choice = last_chosen(kind.array(counts), kind.array(PSFS["gaussian"]), stopping=rule)
    assert choice == chosen
    assert np.allclose(kind.numpy(found), wanted, rtol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_nothing_to_choose_does_no_harm(rule, monkeypatch):
    monkeypatch.setattr("sigdeconv.deconvolution.poisson.MOST", 30)
    dark = richardson_lucy(np.zeros((24, 24)), PSFS["disk"], num_iter=None, stopping=rule)
    assert np.allclose(dark, 0, atol=1e-6)
    flat = richardson_lucy(np.full((24, 24), 7.0), PSFS["disk"], num_iter=None, stopping=rule, boundary="reflect")
    assert flat == pytest.approx(7.0, rel=1e-3)
    tiny = richardson_lucy(np.array([3.0, 9.0, 1.0]), np.ones(3) / 3, num_iter=None, stopping=rule)
    assert np.all(np.isfinite(tiny))


def test_data_without_noise_are_iterated_to_the_end(monkeypatch):
    monkeypatch.setattr("sigdeconv.deconvolution.poisson.MOST", 30)
    seen = sigdeconv.simulate.through_frame(scene(), PSFS["gaussian"])
    _, chosen = last_chosen(seen.blurred * 1e6, PSFS["gaussian"], stopping=Stopping(gain=1.0))
    assert chosen["num_iter"] >= 25


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_iter": None, "stopping": "soon"}, ValueError, "stopping is 'soon'; pass one of 'risk'"),
        ({"num_iter": None, "stopping": 3}, ValueError, "stopping is 3"),
        ({"num_iter": 0, "stopping": "risk"}, ValueError, "num_iter is 0; at least 1"),
        ({"num_iter": 2.5}, TypeError, "num_iter is 2.5; a positive integer"),
    ],
)
def test_wrong_calls_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        richardson_lucy(np.ones((8, 8)), np.ones((3, 3)), **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rule": "soon"}, ValueError, "rule is 'soon'; pass one of"),
        ({"gain": 0.0}, ValueError, "gain is 0; it must be larger than 0"),
        ({"gain": "1"}, TypeError, "gain is '1'; a number"),
        ({"rng": -1}, ValueError, "rng is -1"),
        ({"observer": 1}, TypeError, "observer is a int; a function"),
    ],
)
def test_wrong_rules_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        Stopping(**options)


def test_halves_are_independent_and_true_to_the_mean():
    d = np.full((64, 64), 40.0)
    blur = Convolution(PSFS["box"], d.shape)
    noisy = np.random.default_rng(0).poisson(d).astype(float)
    for gain in (1.0, 0.5):
        counts = Counts(noisy * gain, np.zeros((1, 1)), None)
        first, second = Observed.of(blur, counts, gain, np.random.default_rng(1)).halves()
        assert np.allclose(first + second, 2 * noisy * gain)
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 4 / 64
        assert first.var() == pytest.approx(2 * 40 * gain**2, rel=0.1)


def test_the_gain_of_little_is_one():
    blur = Convolution(np.ones(3) / 3, 4)
    observed = Observed.of(blur, Counts(np.array([1.5, 2, 3, 4]), np.zeros(1), None), 1.0, np.random.default_rng(0))
    assert photon_gain(observed) == 1.0


def test_consensus_is_the_share_of_voxels_that_both_halves_move_alike():
    counts, _ = exposed(PSFS["disk"], 80, size=40)
    counts, psf = counts.astype(float), PSFS["disk"]
    blur = Convolution(psf, counts.shape, boundary="periodic")
    given = Counts(counts, np.zeros((1, 1)), None)
    first, second = Observed.of(blur, given, 1.0, np.random.default_rng(4)).halves()
    judge = Consensus(Observed.of(blur, given, 1.0, np.random.default_rng(4)))
    matrix = blur.to_dense()
    for num_iter in (1, 4, 9):
        x = richardson_lucy(counts, blur, num_iter=num_iter)
        model = matrix @ x.ravel()
        moves = [matrix.T @ (half.ravel() / model - 1) for half in (first, second)]
        share = np.mean(matrix.T @ (matrix @ (moves[0] * moves[1])) > 0)
        assert float(judge(x[None])) == pytest.approx(share - 0.5, abs=2 / counts.size)
