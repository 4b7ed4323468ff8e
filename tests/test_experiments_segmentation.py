"""The experiment on segmentation: cells are what they claim, measures are true, sentences come from the tables."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="networks need torch: pip install sigdeconv[learned]")
pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")

import torch
from scipy.ndimage import label
from scipy.spatial.distance import cdist

from experiments import common, segmentation, segmentation_figures
from experiments import segmentation_cells as cells


def small(patch):
    """A run of seconds, in which nothing is learned."""
    sizes = {
        "STEPS": 4,
        "CROP": 32,
        "POOL": 5,
        "POOL_SIZE": 48,
        "CHECKED": 2,
        "TESTED": 2,
        "SEEDS": (2, 2),
        "CHECKS": 2,
    }
    for name, value in (sizes | {"WIDTH": 4, "DEPTH": 2}).items():
        patch.setattr(segmentation, name, value)


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """All of `segmentation`, and where it was written."""
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        patch.setitem(common.STYLE, "savefig.dpi", 40)
        study = common.Study(tmp_path_factory.mktemp("results"), size=64, quiet=True)
        before = torch.get_num_threads()
        found = segmentation.run(study)
        assert torch.get_num_threads() == before
        return found, study.out


@pytest.fixture(scope="module")
def drawn():
    return [cells.draw(96, np.random.default_rng(seed)) for seed in range(16)]


@pytest.fixture
def one_thread():
    with common.learning():
        yield


def rows(chapter, name):
    return next(part for part in chapter[0].parts if isinstance(part, common.Table) and part.name == name).rows


def test_each_cell_is_one_piece_and_no_sliver(drawn):
    for one in drawn:
        numbers = np.unique(one.labels)
        assert np.array_equal(numbers, np.arange(one.labels.max() + 1))
        assert min(np.bincount(one.labels.ravel())) >= cells.SMALLEST
        assert all(label(one.labels == number)[1] == 1 for number in numbers[1:])


def test_many_cells_touch_and_cells_are_brighter_than_the_ground_beside_them(drawn):
    touching = total = 0
    brighter = []
    for one in drawn:
        pairs = np.stack([one.labels[:, :-1].ravel(), one.labels[:, 1:].ravel()])
        pairs = pairs[:, (pairs.min(axis=0) > 0) & (pairs[0] != pairs[1])]
        touching += np.unique(pairs).size
        total += one.labels.max()
        image = one.image - np.median(one.image)
        brighter.append(image[one.labels > 0].mean() > image[one.labels == 0].mean())
    assert total > 200
    assert touching > 0.4 * total
    assert np.mean(brighter) > 0.9
    assert all(np.isfinite(one.image).all() for one in drawn)


def test_a_draw_repeats_and_depends_on_the_seed(drawn):
    again = cells.draw(96, np.random.default_rng(0))
    assert np.array_equal(again.image, drawn[0].image)
    assert np.array_equal(again.labels, drawn[0].labels)
    assert not np.array_equal(drawn[0].labels, drawn[1].labels)


def test_an_outline_is_its_radius_at_each_angle():
    sines = np.zeros(cells.LOBES - 1)
    circle = cells.Outline(3.0, 4.0, 5.0, sines, sines)
    y, x = np.mgrid[:9, :9]
    assert circle.depth(y, x) == pytest.approx(np.hypot(y - 3, x - 4) / 5)
    cosines = sines.copy()
    cosines[0] = 0.2  # wider by a fifth along x, narrower along y
    oval = cells.Outline(0.0, 0.0, 5.0, cosines, sines)
    assert oval.depth(np.array([0.0, 4.0]), np.array([6.0, 0.0])) == pytest.approx([1, 1])


def test_the_edge_of_a_cell_is_two_pixels_and_the_frame_is_none():
    labels = np.zeros((20, 24), dtype=int)
    labels[4:13, 3:12], labels[4:13, 12:21] = 1, 2
    kinds = cells.classes(labels)
    assert np.array_equal(kinds > 0, labels > 0)
    for start in (3, 12):  # 9 x 9, of which 5 x 5 remain; the seam between them has two pixels of each
        core = np.argwhere(kinds[:, start : start + 9] == 1)
        assert np.array_equal(core - np.array([6, 2]), np.argwhere(np.ones((5, 5))))
    assert not (cells.classes(np.ones((5, 5), dtype=int)) == 2).any()


def test_true_classes_give_the_cells_back(drawn):
    for one in drawn:
        chances = np.moveaxis(np.eye(3)[cells.classes(one.labels)], -1, 0)
        found = cells.instances(chances)
        assert not (found[one.labels == 0]).any()
    judged = cells.judged(
        drawn, [cells.instances(np.moveaxis(np.eye(3)[cells.classes(o.labels)], -1, 0)) for o in drawn]
    )
    assert judged["iou"] > 0.98
    assert judged["f1"] > 0.93
    assert judged["joined"] < 4
    assert judged["outline"] < 0.3


def test_nothing_is_found_where_nothing_is():
    chances = np.zeros((3, 30, 30))
    chances[0] = 1
    assert not cells.instances(chances).any()
    assert cells.standardised(np.full((8, 8), 7.0)).tolist() == [[-1.0] * 8] * 8


def test_networks_see_the_same_in_any_unit():
    image = np.random.default_rng(0).gamma(3.0, size=(64, 64))
    seen = cells.standardised(image)
    assert cells.standardised(40 * image + 900) == pytest.approx(seen, abs=1e-5)
    assert np.percentile(seen, (0.5, 99.5)) == pytest.approx([-1, 1], abs=1e-3)


def test_shared_pixels_are_counted():
    rng = np.random.default_rng(1)
    true, found = rng.integers(0, 4, (2, 11, 13))
    table = cells.overlaps(true, found)
    for i in range(4):
        for j in range(4):
            assert table[i, j] == np.sum((true == i) & (found == j))
    assert cells.union_ratio(true > 0, found > 0) == np.sum((true > 0) & (found > 0)) / np.sum((true + found) > 0)
    assert cells.union_ratio(true > 9, found > 9) == 1


def test_cells_are_matched_missed_joined_and_split():
    true = np.zeros((12, 40), dtype=int)
    for number, start in enumerate((0, 8, 16, 24, 32), 1):
        true[2:10, start : start + 6] = number
    found = np.zeros_like(true)
    found[2:10, 0:6] = 7  # the first as it is
    found[2:10, 8:22] = 2  # second and third in one
    found[2:10, 24:27], found[2:10, 27:30] = 3, 4  # the fourth in halves: half is not more than half
    assert cells.count_cells(true, found) == {"cells": 5, "segments": 4, "matched": 1, "joined": 2}
    assert cells.count_cells(true, true) == {"cells": 5, "segments": 5, "matched": 5, "joined": 0}
    judged = cells.judged([cells.Cells(true, true)], [found])
    assert judged["f1"] == pytest.approx(2 / 9)
    assert judged["joined"] == pytest.approx(40)


def test_distances_of_outlines_go_both_ways(drawn):
    true = drawn[0].labels
    found = np.roll(true, (2, 1), (0, 1))
    found[:, :40] = 0
    points = [np.argwhere(cells.outlines(labels)) for labels in (true, found)]
    apart = cdist(*points)
    wanted = (apart.min(axis=0).mean() + apart.min(axis=1).mean()) / 2
    assert cells.outline_distances(true, found).mean() == pytest.approx(wanted, rel=0.01)
    assert cells.outline_distances(found, true).mean() == pytest.approx(wanted, rel=0.01)
    assert not cells.outline_distances(true, true).any()
    assert cells.outline_distances(true, np.zeros_like(true)).tolist() == [np.hypot(96, 96)]


def test_the_references_count_the_real_images_right():
    for name, one in cells.real_images().items():
        assert one.reference.max() == one.count, name
        assert one.reference.shape == one.image.shape
        sizes = np.bincount(one.reference.ravel())[1:]
        assert np.sqrt(sizes / np.pi).min() > cells.RADIUS[0]
        assert np.sqrt(sizes / np.pi).max() < 1.3 * cells.RADIUS[1]


@pytest.mark.usefixtures("one_thread")
def test_all_networks_begin_with_the_same_encoder_and_the_cut_one_cannot_use_its_skips():
    x = torch.rand(2, 1, 32, 32)
    models = {key: segmentation.network(key, 5) for key in segmentation.NETWORKS}
    encoders = {key: model.encoder.state_dict() for key, model in models.items()}
    for state in encoders.values():
        assert all(torch.equal(state[name], value) for name, value in encoders["transposed"].items())
    assert not torch.equal(models["cut"](x), models["transposed"](x))
    models["cut"](x).square().sum().backward()
    idle = sum(
        int((part.grad == 0).all(dim=(0, 2, 3)).sum()) * part[:, 0].numel()
        for name, part in models["cut"].named_parameters()
        if name.startswith("decoder") and part.ndim == 4
    )
    assert idle > 0
    sizes = {key: segmentation.size_of(key) for key in models}
    counts = {key: sum(part.numel() for part in model.parameters()) for key, model in models.items()}
    assert sizes["cut"]["parameters"] == counts["cut"] - idle
    assert sizes["cut"]["work"] < sizes["transposed"]["work"]
    assert all(sizes[key]["parameters"] == counts[key] for key in counts if key != "cut")
    assert counts["bilinear"] / counts["transposed"] > 0.9  # nearly equal


def test_crops_keep_image_and_classes_together():
    kinds = torch.arange(6 * 60 * 60).reshape(6, 60, 60)
    pool = (kinds[:, None].double(), kinds)
    data = segmentation.Data(pool, pool, [], {})
    inputs, target = segmentation.batches(data, 3, 1)
    assert inputs.shape == (segmentation.BATCH, 1, segmentation.CROP, segmentation.CROP)
    assert torch.equal(inputs[:, 0].long(), target)
    assert torch.equal(segmentation.batches(data, 3, 1)[1], target)
    assert not torch.equal(segmentation.batches(data, 3, 2)[1], target)
    assert not torch.equal(segmentation.batches(data, 4, 1)[1], target)


def test_every_network_and_start_is_measured(chapter):
    found = rows(chapter, "segmentation")
    wanted = [(key, seed) for seed in range(2) for key in segmentation.NETWORKS] + [("classical", 0)]
    assert [(row["key"], row["seed"]) for row in found] == wanted
    for row in found:
        assert 0 <= row["iou"] <= 1
        assert 0 <= row["f1"] <= 1
        assert row["outline"] >= 0
    ripple = {row["key"]: row["ripple"] for row in found}
    assert ripple["bilinear"] < 1e-3 < ripple["transposed"]
    assert [row["key"] for row in rows(chapter, "segmentation-summary")] == [*segmentation.LABELS]
    assert sum(row["marked"] for row in rows(chapter, "segmentation-summary")) == 1
    assert len(rows(chapter, "segmentation-real")) == 2 * len(segmentation.LABELS)
    pictures = [part for part in chapter[0].parts if isinstance(part, common.Figure)]
    assert len(pictures) == 5
    assert all((chapter[1] / picture.file).stat().st_size > 1000 for picture in pictures)


def test_a_start_repeats(chapter):
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        study = common.Study(chapter[1], size=64, quiet=True)
        with common.learning():
            outcome = segmentation.assess("transposed", 1, segmentation.gather(study))
    assert outcome.row in rows(chapter, "segmentation")


def made_up(up, skips):
    """Rows in which bilinear is better by `up` and the cut network worse by `skips`, in two starts."""
    base = {"transposed": 0.5, "bilinear": 0.5 + up, "cut": 0.5 - skips, "skipless": 0.4}
    found = [
        {"key": key, "seed": seed, "iou": value, "f1": value, "outline": 2 * value}
        for key, value in base.items()
        for seed in (4, 5)
    ]
    return [*found, {"key": "classical", "seed": 4, "iou": 0.3, "f1": 0.25, "outline": 1.0}]


def test_the_finding_is_computed_from_the_rows(chapter):
    real = rows(chapter, "segmentation-real")
    assert chapter[0].finding == segmentation.finding(rows(chapter, "segmentation"), real)
    text = segmentation.finding(made_up(0.01, 0.1), real)
    assert "worth +0.010 in IoU" in text
    assert "by IoU the skips mattered 10.0 times as much as the upsampling layer" in text
    assert "2 starts agree on the sign" in text
    text = segmentation.finding(made_up(-0.1, -0.001), real)
    assert "worth −0.100 in IoU" in text
    assert "by F1 the upsampling layer mattered over 20 times as much as the skips" in text
    mixed = made_up(0.01, 0.1)
    mixed[2]["f1"] = 0.1
    assert "2 starts do not agree on the sign" in segmentation.finding(mixed, real)


def test_worth_is_the_difference_start_by_start():
    found = {row["key"]: row for row in segmentation_figures.worth(made_up(0.01, 0.1))}
    assert found["upsampling"]["iou"] == pytest.approx(0.01)
    assert found["upsampling"]["outline"] == pytest.approx(0.02)
    assert found["skips"]["f1-range"] == "+0.100 to +0.100"
    assert found["learning"]["f1"] == pytest.approx(0.25)


def test_without_torch_it_is_skipped_and_importing_it_stays_light(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(common.SkippedError, match=r"pip install sigdeconv\[learned\]"):
        segmentation.run(common.Study(tmp_path, quiet=True))
    code = "import sys, experiments.segmentation; print({'torch', 'matplotlib', 'skimage'} & set(sys.modules))"
    root = str(common.ROOT)
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert shown.stdout.strip() == "set()"
