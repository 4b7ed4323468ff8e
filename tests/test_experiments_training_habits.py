"""The experiment on training habits: one thing differs at a time, and its sentences come from its runs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")
pytest.importorskip("torch", reason="networks need torch: pip install sigdeconv[learned]")

import torch

from experiments import common, training_habits, training_habits_figures, training_runs
from experiments.training_habits import HABITS, PLAIN, Job, Outcome
from sigdeconv.transposed import bicubic

BY_KEY = {habit.key: habit for habit in (PLAIN, *HABITS)}
NAMES = {"many": "plenty", "few": "one crop"}


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_habits, "STEPS", {"many": 2, "few": 2})
        patch.setattr(training_habits, "CHECK_EVERY", 1)
        patch.setattr(training_habits, "RATES", {"plain": (0.005, 0.01), "sgd": (0.05, 0.1)})
        patch.setattr(training_habits, "FRAME", 32)
        patch.setattr(training_habits, "GLIMPSE", np.s_[4:20, 8:28])
        patch.setitem(common.STYLE, "savefig.dpi", 30)
        yield patch


@pytest.fixture(scope="module")
def sources(small):
    return training_habits.corpora()


@pytest.fixture(scope="module")
def chapter(tmp_path_factory, small):
    """All of the experiment with a few steps a run, its runs, and where it was written."""
    kept = []
    real = training_habits.compared

    def compared(*arguments):
        kept.extend(real(*arguments))
        return tuple(kept)

    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    study = common.Study(tmp_path_factory.mktemp("results"), quiet=True)
    small.setattr(training_habits, "compared", compared)
    found = training_habits.run(study)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)
    return found, kept, study.out


def table(chapter, name):
    return next(part for part in chapter[0].parts if isinstance(part, common.Table) and part.name == name)


def made(part, key, seed, tested, learned=0.0):
    kept = {"step": 2, "learned": learned, "chosen": tested, "tested": tested, "pattern": 0.0}
    return Outcome(Job(part, BY_KEY[key], seed, 0.01), [kept], kept, [])


def invented(**changes):
    """Runs whose results are known: plain is 1 dB above bicubic, and seeds are 0.02 dB apart where nothing is said."""
    runs = []
    for part in ("many", "few"):
        for key in BY_KEY:
            worth = changes.get(f"{part}_{key}", (0.01, -0.01))
            runs += [made(part, key, i, 1 + (0 if key == "plain" else worth[i]), learned=3.0) for i in range(2)]
    return runs


def test_every_habit_is_tried_in_both_parts_with_every_seed(chapter):
    _, (outcomes, tries), _ = chapter
    found = sorted((one.job.part, one.job.habit.key, one.job.seed) for one in outcomes)
    wanted = sorted((part, key, seed) for part in NAMES for key in BY_KEY for seed in range(3 if key == "plain" else 2))
    assert found == wanted
    assert len(tries) == 8
    assert len(table(chapter, "training-habits").rows) == len(BY_KEY)
    assert len(table(chapter, "training-habits-runs").rows) == len(wanted) + 4
    numbers = [value for one in outcomes for row in one.rows for value in row.values()]
    assert np.isfinite(numbers).all()
    assert [row["step"] for row in outcomes[0].rows] == [0, 1, 2]


def test_the_rate_is_the_best_by_the_validation_pictures(chapter):
    _, (outcomes, tries), _ = chapter
    for part in NAMES:
        for key in ("plain", "sgd"):
            mine = [one for one in tries if (one.job.part, one.job.habit.key) == (part, key)]
            best = max(mine, key=lambda one: one.rows[-1]["chosen"])
            rates = {one.job.rate for one in training_habits_figures.of(outcomes, part, key)}
            assert rates == {best.job.rate}
            assert best in outcomes
        others = {one.job.rate for one in outcomes if one.job.part == part and one.job.habit.key != "sgd"}
        assert others == {one.job.rate for one in training_habits_figures.of(outcomes, part, "plain")}


def test_figures_are_written(chapter):
    found, _, out = chapter
    figures = [part.file for part in found.parts if isinstance(part, common.Figure)]
    assert figures == [f"training-habits-{name}.png" for name in ("worth", "curves", "overfitting", "starts")]
    assert all((out / file).stat().st_size > 1000 for file in figures)
    for part in found.parts:
        if isinstance(part, common.Table):
            part.write(out)
            [column.text(row[column.key]) for row in part.rows for column in part.columns]


def test_the_finding_is_computed_from_the_runs(chapter):
    found, (outcomes, _), _ = chapter
    side = training_habits.CROP[3]
    assert found.finding == training_habits_figures.finding(outcomes, f"one crop of {side} × {side} pixels")
    text = training_habits_figures.finding(
        invented(many_sgd=(-2.0, -1.0), few_flips=(0.5, 0.7), few_norm=(-0.3, -0.5)), "one crop"
    )
    many, few = text.split("With one crop")
    assert "ends at +1.00 dB against bicubic interpolation on unseen pictures (+3.00 dB on those" in many
    assert "SGD with momentum 0.9 −1.50 dB." in many
    assert "flips +0.60 dB, batch norm −0.40 dB." in few
    assert "SGD" not in few
    assert training_habits_figures.finding(invented(), "one crop").count("none.") == 2


def test_worth_is_told_against_the_same_seed_and_chance_from_the_seeds():
    runs = invented(few_flips=(0.5, 0.7))
    runs.append(made("few", "plain", 2, -40.0))  # a third seed of plain has no partner
    row = next(row for row in training_habits_figures.summarise(runs) if row["key"] == "flips")
    assert row["few"] == pytest.approx(0.6)
    assert row["few-dots"] == pytest.approx([0.5, 0.7])
    assert (row["many-clear"], row["few-clear"]) == ("no", "yes")
    # Two normal numbers of deviation 1 are 0.954 apart in the median; a mean of two strays by 2 / sqrt(2).
    rng = np.random.default_rng(0)
    assert np.median(np.abs(np.diff(rng.normal(size=(100000, 2))))) == pytest.approx(0.954, abs=0.01)
    assert training_habits_figures.chance(runs, "many") == pytest.approx(2 * 0.02 / 0.954 / np.sqrt(2))


def test_early_stopping_is_told_against_the_same_run_to_its_end():
    runs = invented(few_stopping=(0.25, 0.5))
    for one in runs:
        if one.job.habit is PLAIN:
            one.rows[-1]["step"] = 8
    stopped = training_habits_figures.tables(runs, [], NAMES)[1].rows
    assert [row["gain"] for row in stopped] == pytest.approx([0.01, -0.01, 0.25, 0.5])
    assert {row["saved"] for row in stopped} == {75.0}


def test_stopping_keeps_the_best_and_the_others_the_last(sources, monkeypatch):
    monkeypatch.setitem(training_habits.STEPS, "few", 40)
    quick = training_habits.Habit("quick", "", plan={"patience": 3}, network={"start": "bilinear"})
    one = training_habits.train(Job("few", quick, 0, 0.2), sources["few"])
    best = max(one.rows[1:], key=lambda row: row["chosen"])
    assert one.kept == best
    assert one.rows[-1]["step"] == best["step"] + 3 < 40
    monkeypatch.setitem(training_habits.STEPS, "few", 12)
    endless = training_habits.Habit("endless", "", network={"start": "bilinear"})
    whole = training_habits.train(Job("few", endless, 0, 0.2), sources["few"])
    assert whole.kept is whole.rows[-1]
    assert whole.kept["chosen"] < max(row["chosen"] for row in whole.rows[1:])
    assert whole.rows[: len(one.rows)] == one.rows[: len(whole.rows)]  # a seed is the same run


def test_runs_side_by_side_are_the_runs_one_by_one(sources):
    jobs = [Job("few", BY_KEY[key], 1, 0.01) for key in ("dropout", "plain", "dropout", "norm")]
    together = training_habits.trained(jobs, sources, common.Study(None, quiet=True), "")
    alone = [training_habits.train(job, sources["few"]) for job in jobs[:2]]
    assert together[0].rows == together[2].rows == alone[0].rows
    assert together[1].rows == alone[1].rows
    assert together[0].rows[-1] != together[1].rows[-1]
    assert together[0].rows[0] == together[1].rows[0]  # dropout is a matter of training alone


def test_dropout_has_random_numbers_of_its_own(sources):
    """Others may draw from torch's generator at any time, as the runs in other threads do."""

    def disturbed(seed, **changes):
        def batch(step):
            torch.rand(3)
            return sources["few"].batches(seed, **changes)(step)

        return batch

    job = Job("few", BY_KEY["dropout"], 1, 0.01)
    alone = training_habits.train(job, sources["few"])
    assert training_habits.train(job, sources["few"]._replace(batches=disturbed)).rows == alone.rows


def test_an_augmentation_changes_the_crops_and_not_their_choice(sources):
    for part in NAMES:
        _, plain = sources[part].batches(1)(7)
        _, turned = sources[part].batches(1, **BY_KEY["turns"].data)(7)
        _, other = sources[part].batches(2)(7)
        assert not torch.equal(plain, turned)
        assert torch.equal(plain.flatten(1).sort().values, turned.flatten(1).sort().values)
        assert not torch.equal(plain.flatten(1).sort().values, other.flatten(1).sort().values)
        assert sources[part].batches(1)(7)[1] is plain


def test_what_is_tested_on_is_neither_learned_from_nor_chosen_by(sources):
    pictures = training_runs.gather()
    assert not set(training_runs.HELD_OUT) & {*pictures.learned, *pictures.judged}
    assert not set(pictures.learned) & set(pictures.judged)
    assert training_habits.CROP[0] in pictures.learned
    for corpus in sources.values():
        assert len(corpus.pictures["tested"].large) == len(training_runs.HELD_OUT)
        assert len(corpus.pictures["chosen"].large) == len(pictures.judged)
    side = training_habits.CROP[3]
    assert sources["few"].pictures["learned"].large.shape == (1, side, side)


def test_bicubic_interpolation_gains_nothing(sources):
    gain, out = training_habits.gain(lambda x: bicubic.imresize(x, 2), sources["many"].pictures["tested"])
    assert gain == pytest.approx(0, abs=0.01)
    assert out.max() > 100


def test_the_pattern_of_a_known_checkerboard():
    def spoiled(x):
        y = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        signs = 1 - 2 * (torch.arange(y.shape[2]) % 2)
        return y + 0.02 * signs * signs[:, None]

    assert training_habits.pattern(spoiled) == pytest.approx(0.02 * 255, rel=1e-4)


def test_starts():
    x = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    nets = {start: training_habits.network(3, start=start).eval() for start in ("kaiming", "icnr", "bilinear")}
    with torch.no_grad():
        features = [net.body(x) for net in nets.values()]
        assert all(torch.equal(features[0], y) for y in features)
        assert training_habits.pattern(nets["kaiming"]) > 1
        assert training_habits.pattern(nets["icnr"]) < 1e-3
        assert training_habits.pattern(nets["bilinear"]) < 1e-3
        for p in nets["bilinear"].body.parameters():
            p.zero_()
        wanted = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
        inside = (..., slice(2, -2), slice(2, -2))
        assert torch.allclose(nets["bilinear"](x)[inside], wanted[inside], atol=1e-6)


def test_torch_is_asked_for_when_it_is_needed(monkeypatch, tmp_path):
    code = (
        "import sys, experiments.training_habits; print(sorted({'torch', 'skimage', 'matplotlib'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(common.SkippedError, match=r"pip install sigdeconv\[learned\]"):
        training_habits.run(common.Study(tmp_path, quiet=True))
