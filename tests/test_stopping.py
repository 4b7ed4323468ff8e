"""When Richardson-Lucy stops: near the best iteration, at what was reported, whatever is restored."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

import sigdeconv
from sigdeconv import Convolution, richardson_lucy
from sigdeconv.deconvolution._counts import Counts
from sigdeconv.deconvolution._stopping_rules import Consensus, Observed, Risk, Splitting
from sigdeconv.deconvolution.noise import expected_divergence, photon_gain
from sigdeconv.deconvolution.stopping import RULES, SETTLED, Stopping

SIZE = 64


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


@cache
def curve(blur: str, light: float, num_iter: int, accelerate: bool | str = True) -> np.ndarray:
    """The errors of the counts that `exposed` gives, drawn once for all rules."""
    counts, truth = exposed(PSFS[blur], light)
    return errors(counts, PSFS[blur], truth, num_iter, accelerate=accelerate)


PSFS = {"gaussian": sigdeconv.psf.gaussian((13, 13), 1.5), "disk": sigdeconv.psf.disk(3.0), "box": np.ones((8, 5)) / 40}
# dB below the best iteration that a rule may stay in a case; of the whole study the notes of Stopping tell.
ALLOWED = {"risk": 0.2, "splitting": 0.6, "consensus": 2.8, "discrepancy": 1.6}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("accelerate", [True, False])
@pytest.mark.parametrize(("blur", "light"), [("gaussian", 30), ("disk", 500), ("box", 200)])
def test_the_best_iteration_is_nearly_found(rule, accelerate, blur, light):
    counts, truth = exposed(PSFS[blur], light)
    restored, chosen = last_chosen(counts, PSFS[blur], stopping=rule, accelerate=accelerate)
    found = curve(blur, light, 40 if accelerate else 200, accelerate)
    assert found.argmin() + 1 < found.size, "the curve must turn for the test to mean anything"
    loss = 10 * np.log10(np.mean((restored - truth) ** 2) / found.min())
    assert loss <= ALLOWED[rule], f"{loss:.2f} dB at {chosen['num_iter']}; the best is {found.argmin() + 1}"


def test_the_score_is_the_error_up_to_a_constant():
    """Over many draws of the noise, differences of the score are those of the true error in the same norm."""
    psf, light, draws = PSFS["gaussian"], 60, 12
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
    few, _ = exposed(PSFS["gaussian"], 20, size=40)
    many, _ = exposed(PSFS["gaussian"], 1000, size=40)
    both = np.stack([few, many]).astype(np.float64)
    restored, chosen = last_chosen(both, PSFS["gaussian"])
    assert chosen["num_iter"][0] < chosen["num_iter"][1]
    for item, counts, num_iter in zip(restored, both, chosen["num_iter"], strict=True):
        close(item, richardson_lucy(counts, PSFS["gaussian"], num_iter=num_iter), slack=100)
    colours = richardson_lucy(np.moveaxis(both, 0, -1), PSFS["gaussian"], num_iter=None, channel_axis=-1)
    close(np.moveaxis(colours, -1, 0), restored, slack=100)


def test_the_callback_sees_the_choice_and_may_end_it():
    counts, _ = exposed(PSFS["disk"], 300, size=128)
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
    best = errors(broken, psf, truth, 25, **options).min()
    assert chosen["gain"] == 1
    assert np.mean((restored - truth) ** 2) < 1.05 * best
    del options["readout_noise"]
    whole = np.where(good, counts + rng.poisson(30, counts.shape), np.nan)
    for rule in RULES:
        assert np.all(np.isfinite(richardson_lucy(whole, psf, num_iter=None, stopping=rule, **options)))


@pytest.mark.parametrize("options", [{"tv_weight": 0.001}, {"damping": 2.0}, {"back_projector": "wiener-butterworth"}])
def test_variants_end_near_their_best(options):
    counts, truth = exposed(PSFS["gaussian"], 200)
    restored, chosen = last_chosen(counts, PSFS["gaussian"], **options)
    assert chosen["num_iter"] < 300
    best = errors(counts, PSFS["gaussian"], truth, 40, **options).min()
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


@pytest.mark.parametrize("shape", [(400,), (8, 28, 28)])
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
def test_every_kind_of_array(kind, rule, monkeypatch):
    monkeypatch.setattr("sigdeconv.deconvolution._stopping_rules.DRAWS", 2)  # as good as eight, and quicker
    counts = np.stack([exposed(PSFS["gaussian"], light, size=24)[0] for light in (20, 300)]).astype(np.float64)
    wanted, chosen = last_chosen(counts, PSFS["gaussian"], stopping=rule)
    found, choice = last_chosen(kind.array(counts), kind.array(PSFS["gaussian"]), stopping=rule)
    assert choice == chosen
    assert np.allclose(kind.numpy(found), wanted, rtol=1e-6)


def spectrum(seed: int, photons: float = 2000.0, size: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Narrow lines on a background of 20 counts, the PSF of the instrument, and the truth."""
    rng = np.random.default_rng(seed)
    psf = sigdeconv.psf.gaussian(41, 5.0)
    at = np.arange(size + psf.size - 1)
    lines = sum(
        rng.uniform(0.1, 1) * np.exp(-0.5 * ((at - rng.uniform(0, at.size)) / 1.5) ** 2) for _ in range(size // 50)
    )
    seen = sigdeconv.simulate.through_frame(np.asarray(lines), psf)
    scale = photons / seen.blurred.max()
    return rng.poisson(scale * seen.blurred + 20).astype(float), psf, scale * seen.truth


def test_spectra_are_not_left_at_the_first_dip_of_the_score():
    losses = []
    for seed in range(4):
        counts, psf, truth = spectrum(seed)
        restored, _ = last_chosen(counts, psf, background=20.0)
        best = errors(counts, psf, truth, 120, background=20.0).min()
        losses.append(10 * np.log10(np.mean((restored - truth) ** 2) / best))
    assert np.mean(losses) < 2.0, losses  # with one draw and the short patience: 5


@pytest.mark.parametrize(
    ("shape", "peak", "rule"), [((64, 64), 3000, "risk"), ((64, 64), 1000, "splitting"), ((8, 16, 16), 100, "risk")]
)
def test_stars_and_beads_are_not_left_before_the_misfit_is_noise(shape, peak, rule):
    rng = np.random.default_rng(0)
    x = np.zeros(shape)
    x[tuple(rng.integers(0, n, 20) for n in shape)] = 10 ** rng.uniform(-1, 0, 20)
    psf = sigdeconv.psf.gaussian((11, 11, 11)[-x.ndim :], 1.6)
    blur = Convolution(psf, shape, boundary="reflect")
    x *= peak / blur(x).max()
    counts = rng.poisson(blur(x) + 1).astype(np.float32)
    options = {"background": 1.0, "boundary": "reflect"}
    restored, chosen = last_chosen(counts, psf, stopping=rule, **options)
    misfit = np.mean((counts - blur(restored) - 1) ** 2) / counts.mean()
    assert misfit < 1.2, chosen  # at the first dip: 5 and more
    best = errors(counts, psf, x, 60, **options).min()
    assert 10 * np.log10(np.mean((restored - x) ** 2) / best) < 8, chosen  # points go on growing; the first dip: 28


def test_few_samples_are_drawn_several_times_and_many_once():
    for n, draws in ((300, 8), (10000, 3), (40000, 1)):
        d = np.full(n, 50.0)
        counts = Counts(d, np.zeros(1), None)
        observed = Observed.of(Convolution(np.ones(3) / 3, n), counts, 1.0, np.random.default_rng(0))
        assert len(Risk(observed).copies) == 1 + draws
        assert len(Splitting(observed).copies) == 1 + 2 * draws
    d[::100] = 1e6  # as many samples, but a few have all the light
    assert Observed.of(Convolution(np.ones(3) / 3, n), counts, 1.0, np.random.default_rng(0)).draws == 8


@pytest.mark.parametrize("wrong", [1.7, 0.9])
def test_a_psf_that_is_a_little_wrong_ends_as_well(wrong):
    counts, _ = exposed(PSFS["gaussian"], 1000)
    _, chosen = last_chosen(counts, sigdeconv.psf.gaussian((13, 13), wrong))
    assert chosen["num_iter"] < 100


@pytest.mark.parametrize("rule", RULES)
def test_nothing_to_choose_does_no_harm(rule, monkeypatch):
    monkeypatch.setattr("sigdeconv.deconvolution.poisson.MOST", 30)
    dark = richardson_lucy(np.zeros((24, 24)), PSFS["disk"], num_iter=None, stopping=rule)
    assert np.allclose(dark, 0, atol=1e-6)
    flat = richardson_lucy(np.full((24, 24), 7.0), PSFS["disk"], num_iter=None, stopping=rule, boundary="reflect")
    assert flat == pytest.approx(7.0, rel=1e-3)
    tiny = richardson_lucy(np.array([3.0, 9.0, 1.0]), np.ones(3) / 3, num_iter=None, stopping=rule)
    assert np.all(np.isfinite(tiny))


def smooth_scene() -> np.ndarray:
    """What the blur passes well, so that the iteration comes to its end."""
    y, x = np.mgrid[:48, :48] / 48
    return 50 + 30 * np.sin(7 * x) * np.cos(9 * y) + 10 * np.sin(25 * x)


def test_data_without_noise_end_where_a_doubling_moves_them_no_more():
    psf = PSFS["gaussian"]
    seen = sigdeconv.simulate.through_frame(smooth_scene(), psf)
    counts = seen.blurred * 1e6
    estimates, chosen = {}, []

    def look(step):
        chosen.append(dict(step.chosen))
        if step.index & (step.index - 1) == 0:
            estimates[step.index] = step.estimate.copy()

    restored = richardson_lucy(counts, psf, num_iter=None, stopping=Stopping(gain=1.0), callback=look)
    end = len(chosen)
    assert end in (64, 128, 256, 512)
    assert all("settled" not in earlier for earlier in chosen[:-1])
    half, whole = estimates[end // 2], estimates[end]
    assert chosen[-1]["settled"] == pytest.approx(np.std(half - whole) / np.std(whole), rel=0.05)
    assert chosen[-1]["settled"] <= SETTLED
    assert chosen[-1]["num_iter"] > 0.8 * end
    assert np.mean((restored / 1e6 - seen.truth) ** 2) < 0.5 * errors(counts, psf, seen.truth * 1e6, 20)[-1] / 1e12


def test_an_item_without_noise_settles_alone():
    psf = PSFS["gaussian"]
    clean = sigdeconv.simulate.through_frame(smooth_scene(), psf).blurred * 1e6
    noisy = np.random.default_rng(0).poisson(clean / 1e6)
    both = np.stack([noisy.astype(float), clean])
    _, chosen = last_chosen(both, psf, stopping=Stopping(gain=1.0))
    assert chosen["settled"][0] == np.inf
    assert chosen["settled"][1] <= SETTLED
    assert chosen["num_iter"][0] < 20 < chosen["num_iter"][1]


def test_the_cap_holds(monkeypatch):
    monkeypatch.setattr("sigdeconv.deconvolution.poisson.MOST", 30)
    seen = sigdeconv.simulate.through_frame(scene(size=40), PSFS["gaussian"])
    _, chosen = last_chosen(seen.blurred * 1e6, PSFS["gaussian"], stopping=Stopping(gain=1.0))
    assert 25 <= chosen["num_iter"] <= 30
    assert "settled" not in chosen


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
