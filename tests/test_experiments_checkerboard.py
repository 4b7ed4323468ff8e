"""The experiment on checkerboards: predictions against measurements, mirror images, and sentences from numbers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")
pytest.importorskip("torch", reason="networks need torch: pip install sigdeconv[learned]")

from experiments import checkerboard, checkerboard_figures, common
from experiments import checkerboard_layers as layers
from experiments import checkerboard_training as training
from experiments.checkerboard_training import Case


@pytest.fixture(scope="module")
def rows():
    return layers.outputs((3, 4, 5, 6), (2, 3), tuple(layers.STARTS))


@pytest.fixture(scope="module")
def downs():
    return layers.gradients((1, 3, 4, 5), (2, 3), tuple(layers.DOWNS))


def pick(rows, **wanted):
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def test_overlap_alone_is_what_ones_show(rows, downs):
    for row in pick(rows, start="ones") + pick(downs, kind="ones"):
        taps = [len(range(r, row["kernel"], row["stride"])) for r in range(row["stride"])]
        square = np.multiply.outer(taps, taps)
        share = square.var() / np.mean(square**2)
        assert row["share"] == pytest.approx(share, abs=1e-9)
        cover = layers.cover(row["kernel"], row["stride"])
        assert cover.share == pytest.approx(share)
        assert row["predicted"] == (cover.share if "start" in row else cover.unevenness)
        assert row["even"] == (row["kernel"] % row["stride"] == 0)
        assert cover.unevenness == pytest.approx(square.std() / square.mean())


def test_random_layers_have_the_pattern_whatever_the_kernel(rows):
    for stride in (2, 3):
        for start in ("torch", "kaiming"):
            for row in pick(rows, stride=stride, start=start):
                assert row["share"] == pytest.approx(layers.random_share(stride), abs=0.12)


def test_the_right_weights_have_none_whatever_the_kernel(rows, downs):
    for start in ("icnr", "bilinear", "enforced"):
        assert {row["even"] for row in pick(rows, start=start)} == {True, False}
        assert max(row["share"] for row in pick(rows, start=start)) < 1e-20
    for kind in ("sums", "hold"):
        assert max(row["share"] for row in pick(downs, kind=kind)) < 1e-20
    assert not pick(rows, start="bilinear", kernel=3)  # too small for the triangle
    assert not pick(downs, kind="sums", kernel=1)


def test_the_power_of_gradients_follows_overlap_and_means_even_it_out(downs):
    for row in pick(downs, kind="random"):
        assert row["unevenness"] == pytest.approx(row["predicted"], abs=0.2)
    assert pick(downs, kind="random", kernel=1, stride=2)[0]["unevenness"] == pytest.approx(3**0.5)
    assert max(row["unevenness"] for row in pick(downs, kind="hold")) < 0.2
    worse = pick(downs, kind="sums", kernel=4, stride=3)[0]
    assert worse["unevenness"] > pick(downs, kind="random", kernel=4, stride=3)[0]["unevenness"] + 0.1


def test_the_verdict_is_computed(rows):
    found = checkerboard.verdict(rows)
    assert found["without uneven overlap"]
    assert found["none in spite of it"]
    assert not found["only"]
    assert found["silent in spite of it"] == ["icnr", "bilinear", "enforced"]
    other = [row | {"share": 0.0 if row["even"] else 0.3} for row in rows]
    text = checkerboard.finding(other, DOWNS, RUNS)
    assert checkerboard.verdict(other)["only"]
    assert text.startswith("Checkerboards come from uneven overlap only: without it none was found. ")


RUNS = [
    {
        "layer": case.layer,
        "kernel": case.kernel,
        "start": case.start,
        "before": 50.0 * (case.start == "kaiming"),
        "after": 0.25,
        "gradient-before": 0.1,
        "gradient-after": 0.2,
        "psnr": 25.0,
    }
    for case in training.CASES
]
DOWNS = [
    {"kind": kind, "stride": 2, "kernel": k, "even": k % 2 == 0, "predicted": 1 / k, "share": 0, "unevenness": 1 / k}
    for kind in layers.DOWNS
    for k in (3, 4, 5)
]


def test_sentences_follow_the_numbers(rows):
    text = checkerboard.finding(rows, DOWNS, RUNS)
    assert "do not come from uneven overlap only" in text
    assert "(ICNR, bilinear, condition enforced) leave none" in text
    assert "cut the pattern of an evenly covering random layer from 50 to 0.2 grey levels" in text
    assert "wrote one into a layer that began with 0.0" in text
    assert "correlate with 1.00" in text
    told = checkerboard.told(RUNS, DOWNS)
    assert "layers 0 of the 5 with even overlap and 0 of the 5 with uneven overlap" in told
    assert "gives the same numbers as the transposed" in told
    assert "show up to 50.00 grey levels" in told
    louder = [{**row, "after": 75.0} for row in RUNS]
    assert "raised the pattern" in checkerboard.finding(rows, DOWNS, louder)


def test_sub_pixel_and_transposed_networks_are_one_and_the_other_two_are_free(torch):
    pictures = training.gather(0)
    found = {}
    for layer, kernel in (("transposed", 4), ("subpixel", 4), ("enforced", 3), ("resize", 3)):
        found[layer] = training.train(Case(layer, kernel, "kaiming"), 0, 12, pictures)
    one, same = found["transposed"], found["subpixel"]
    for mine, other in zip(one.rows, same.rows, strict=True):
        assert mine["pattern"] == pytest.approx(other["pattern"], rel=1e-2)
        assert mine["psnr"] == pytest.approx(other["psnr"], rel=1e-3)
    assert one.rows[0]["pattern"] > 10 > 0.01 > found["resize"].rows[-1]["pattern"]
    assert max(row["pattern"] for row in found["enforced"].rows) < 1e-3
    assert one.rows[-1]["psnr"] > one.rows[0]["psnr"] + 3
    again = training.train(Case("transposed", 4, "kaiming"), 0, 12, pictures)
    assert again.rows == one.rows
    assert training.train(Case("transposed", 4, "kaiming"), 1, 12, pictures).rows != one.rows


@pytest.mark.parametrize("case", [Case("transposed", 5, "icnr"), Case("enforced", 4, "kaiming")])
def test_the_gradient_that_is_measured_is_that_of_the_loss(case, torch):
    pictures, model = training.gather(0), training.network(case, 0)
    ours, _ = training.gradient(model, pictures)
    step = torch.zeros_like(pictures.noisy)
    step[1, 0, 30, 31] = 1e-2

    def loss(x):
        with torch.no_grad():
            return float((model.double()(x.double()) - pictures.clean).square().mean())

    slope = (loss(pictures.noisy + step) - loss(pictures.noisy - step)) / 2e-2
    assert ours[1, 30, 31] == pytest.approx(slope, rel=0.02, abs=1e-8)


def test_the_spectrum_has_its_peaks_where_they_are_marked():
    for stride in (2, 3):
        image = np.zeros((48, 48))
        image[::stride, ::stride] = 1
        power = np.pad(checkerboard_figures.spectrum(image), checkerboard_figures.BEYOND, mode="wrap")
        for y, x in checkerboard_figures.peaks(stride):
            assert power[y, x] == pytest.approx(0, abs=1e-6)
        assert np.median(power) < -100


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """The whole chapter in small, and where it was written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkerboard, "SEEDS", (1, 1))
        patch.setattr(checkerboard, "STEPS", (4, 4))
        patch.setattr(training, "CHECKS", 2)
        patch.setattr(layers, "KERNELS", (4, 5, 6))
        patch.setattr(layers, "GRADIENT_KERNELS", (1, 3))
        patch.setattr(layers, "STRIDES", (2, 3))
        patch.setitem(common.STYLE, "savefig.dpi", 40)
        study = common.Study(tmp_path_factory.mktemp("results"), quiet=True)
        return checkerboard.run(study), study.out


def test_the_chapter_is_whole(chapter):
    found, out = chapter
    files = [part.file for part in found.parts if isinstance(part, common.Figure)]
    assert files == [f"checkerboard-{name}.png" for name in ("flat", "starts", "training", "trained")]
    assert all((out / file).stat().st_size > 1000 for file in files)
    tables = {part.name: part for part in found.parts if isinstance(part, common.Table)}
    assert len(tables["checkerboard-training"].rows) == len(training.CASES)
    assert [row["key"] for row in tables["checkerboard-starts"].rows] == list(layers.STARTS)
    for table in tables.values():
        table.write(out)
    for row in tables["checkerboard-layers"].rows:
        assert row["remainder"] == row["kernel"] % row["stride"]
