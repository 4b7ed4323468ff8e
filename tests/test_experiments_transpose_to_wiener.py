"""The experiment on training towards Wiener's filter: closed forms and descents are what they say."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")
pytest.importorskip("torch", reason="the experiment trains with torch: pip install sigdeconv[learned]")

import torch

import sigdeconv
from experiments import common
from experiments import transpose_to_wiener as experiment
from experiments.transpose_to_wiener import fits, tables, training

SIZE = 5
SHORT = {"descent": (0, 100, 10**9), "adam": (0, 10, 200), "conjugate": (0, 10, 40, 300)}


def pairs(side=24, count=2, bsnr=30.0, psf=None):
    rng = np.random.default_rng(3)
    psf = np.array([[0.0, 0.1, 0.0], [0.3, 0.3, 0.1], [0.0, 0.2, 0.0]]) if psf is None else psf
    return fits.observed(50 * rng.standard_normal((count, side, side)).cumsum(axis=1), psf, bsnr, rng)


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """All of the experiment on small pictures, and where it was written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(common.STYLE, "savefig.dpi", 40)
        patch.setattr(fits, "LEARNED_FROM", ("chelsea", "coins"))
        patch.setattr(fits, "TESTED_ON", ("camera",))
        patch.setattr(experiment, "SIZE", 7)
        patch.setattr(experiment, "LONG", 15)
        patch.setattr(experiment, "NOISE_SIZES", (5, 7, 15))
        patch.setattr(experiment, "NOISES", (20.0, 40.0))
        patch.setattr(experiment, "SIZES", (3, 9, 15, 99))
        patch.setattr(experiment, "MARKS", SHORT)
        patch.setattr(training, "PATCH", 12)
        patch.setattr(common.Study, "pick", lambda self, quick, full: 250 if quick == 260 else 25)
        study = common.Study(tmp_path_factory.mktemp("results"), size=64, quiet=True)
        return experiment.run(study), study.out


def rows(chapter, name):
    full = f"transpose_to_wiener-{name}"
    return next(part for part in chapter[0].parts if isinstance(part, common.Table) and part.name == full).rows


def test_the_layer_is_a_convolution():
    """torch's transposed convolution of stride 1, on images that repeat past their frames."""
    images, kernel = pairs().images, np.random.default_rng(0).standard_normal((SIZE, SIZE))
    r = SIZE // 2
    around = torch.as_tensor(np.pad(images, [(0, 0), (r, r), (r, r)], mode="wrap"))[:, None]
    found = training.layer(around, torch.as_tensor(kernel)[None, None])[:, 0].numpy()
    assert found == pytest.approx(fits.applied(kernel, images), abs=1e-9)


def test_the_closed_form_is_least_squares():
    """Every tap alone makes a column; NumPy solves."""
    these = pairs()
    units = np.eye(SIZE**2).reshape(-1, SIZE, SIZE)
    columns = np.stack([fits.applied(unit, these.images).ravel() for unit in units], axis=1)
    wanted, (squares,), *_ = np.linalg.lstsq(columns, these.scenes.ravel(), rcond=None)
    problem = fits.quadratic(these, SIZE)
    found = fits.closed_form(problem)
    assert found.ravel() == pytest.approx(wanted, rel=1e-8)
    assert problem.error(found) == pytest.approx(squares / these.scenes.size)
    assert problem.matrix == pytest.approx(columns.T @ columns / these.scenes.size)


def test_patches_have_their_own_least_squares():
    these = pairs()
    corners = np.array([[0, 20, 3], [1, 0, 22]])  # over the frame's edge
    patches = training.cut(these, corners, 10, SIZE // 2)
    kernel = np.random.default_rng(0).standard_normal((SIZE, SIZE))
    out = training.layer(torch.as_tensor(patches.images)[:, None], torch.as_tensor(kernel)[None, None])[:, 0].numpy()
    whole = np.tile(fits.applied(kernel, these.images), (1, 2, 2))
    assert out[0] == pytest.approx(whole[0, 20:30, 3:13])
    assert patches.scenes[1] == pytest.approx(np.tile(these.scenes, (1, 2, 2))[1, 0:10, 22:32])
    best = training.exact(patches, SIZE)
    moved = best + 1e-3 * kernel
    errors = []
    for w in (best, moved):
        out = training.layer(torch.as_tensor(patches.images)[:, None], torch.as_tensor(w)[None, None])[:, 0].numpy()
        errors.append(np.mean((out - patches.scenes) ** 2))
    assert errors[0] < errors[1]


def test_told_the_blur_the_kernel_is_wieners_filter():
    """As large as the pictures and with their own spectrum, it divides frequency by frequency."""
    psf = np.array([[0.0, 0.1, 0.0], [0.3, 0.3, 0.1], [0.0, 0.2, 0.0]])
    these = pairs(side=15, count=1, psf=psf)
    power = fits.spectrum(these.scenes)
    kernel = fits.closed_form(fits.told(psf, power, 2.0, 15))
    wanted = fits.unbounded(these.images, psf, power, 2.0)
    assert fits.applied(kernel, these.images) == pytest.approx(wanted, abs=1e-6 * np.abs(wanted).max())


def test_many_steps_at_once_are_those_one_by_one():
    problem = fits.quadratic(pairs(), SIZE)
    w = first = fits.start(np.ones((3, 3)) / 9, SIZE)
    values = np.linalg.eigvalsh(problem.matrix)
    for _ in range(50):
        w = w - (problem.gradient(w.ravel()) / (values[0] + values[-1])).reshape(w.shape)
    (found,) = fits.descent(problem, first, [50])
    assert found == pytest.approx(w, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("name", "steps"), [("descent", 10**7), ("conjugate", 100), ("adam", 20000)])
def test_every_descent_arrives_at_the_closed_form(name, steps):
    problem = fits.quadratic(pairs(bsnr=10.0), 3)
    best = fits.closed_form(problem)
    first, last = fits.DESCENTS[name](problem, fits.start(np.ones((3, 3)) / 9, 3), [0, steps])
    assert experiment.distance(first, best) > 0.2
    assert experiment.distance(last, best) < 0.01


def test_the_start_is_the_transpose_of_the_blur():
    psf = np.random.default_rng(1).random((3, 4))
    image = np.random.default_rng(2).standard_normal((12, 12))
    wanted = sigdeconv.Convolution(psf, image.shape, boundary="periodic").adjoint(image)
    assert fits.applied(fits.start(psf, 7), image) == pytest.approx(wanted)


def test_torch_arrives_too(chapter):
    ends = {row["way"]: row for row in rows(chapter, "descents")}
    for key in ("descent", "conjugate", "lbfgs"):
        row = ends[tables.TRAININGS[key]]
        assert row["distance"] < 1  # %
        assert 0 <= row["learned"] < 0.02
        assert row["marked"]
    assert all(row["learned"] >= 0 for row in ends.values())
    assert not ends[tables.TRAININGS["batches"]]["marked"]


def test_larger_kernels_and_less_noise_gain_more(chapter):
    sizes, noises = rows(chapter, "sizes"), rows(chapter, "noise")
    assert [row["size"] for row in sizes] == [3, 9, 15]  # 99 taps are too many for pictures of 64 pixels
    assert [row["told"] for row in sizes] == sorted(row["told"] for row in sizes)
    assert noises[0]["unbounded"] < noises[1]["unbounded"]
    assert noises[0]["condition"] < noises[1]["condition"]
    own = rows(chapter, "blurs")
    assert all(
        row[name] > max(0, *(row[n] for n in experiment.BLURS if n != name))
        for row, name in zip(own, experiment.BLURS, strict=False)
    )


def test_the_finding_is_computed_from_the_rows():
    steps = [{"key": key, "step": 7, "distance": 0.5, "learned": 1.0, "tested": 1.0} for key in tables.TRAININGS]
    sizes = [{"size": 9, "all": 1.5}, {"size": 63, "all": 4.5}]
    gains = {key: float(i) for i, key in enumerate(tables.METHODS)}
    text = tables.finding(steps, sizes, 6.25, [{"key": key, "own": gain} for key, gain in gains.items()])
    assert text.startswith("No training came within 1 %")
    assert "+1.5 dB with 9 × 9 taps, +4.5 dB with 63 × 63" in text
    assert tables.METHODS["behind"] in text
    steps[3]["distance"] = steps[3]["learned"] = 0.001
    assert "1 of 5 ways of training" in tables.finding(steps, sizes, 6.25, [{"key": k, "own": 0.0} for k in gains])
    assert tables.reached([{"key": "a", "step": s, "d": d} for s, d in ((1, 0.1), (2, 3), (3, 0.1))], "a", "d", 1) == 3


def test_figures_are_written(chapter):
    found, out = chapter
    named = [part.file for part in found.parts if isinstance(part, common.Figure)]
    wanted = ("descents", "gains", "ceilings", "pictures", "blurs")
    assert named == [f"transpose_to_wiener-{name}.png" for name in wanted]
    assert all((out / name).stat().st_size > 1000 for name in named)
