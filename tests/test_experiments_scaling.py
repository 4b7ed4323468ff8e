"""The experiment on large volumes: pieces give what the whole gives, in the memory that they were allowed."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")

from experiments import common, scaling


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """All of `scaling` on small volumes, and where it was written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling, "SIZES", (((20, 40, 40), (20, 120, 120)), ()))
        patch.setattr(scaling, "MIDDLE", (24, 60, 60))
        patch.setattr(scaling, "SIDES", (20, 30))
        patch.setattr(scaling, "HALOS", (0, 2, 9))
        patch.setattr(scaling, "BUDGET", 8 * 2**20)
        patch.setitem(common.STYLE, "savefig.dpi", 40)
        study = common.Study(tmp_path_factory.mktemp("results"), quiet=True)
        return scaling.run(study), study.out


@pytest.fixture(scope="module")
def rows(chapter):
    return next(part for part in chapter[0].parts if isinstance(part, common.Table)).rows


def of(rows, how):
    return [row for row in rows if row["how"].startswith(how)]


def test_pieces_stay_in_their_memory_and_the_whole_does_not(rows):
    whole, pieces = of(rows, "in memory")[:2], of(rows, "in pieces")
    assert pieces[-1]["pieces"] > 1
    assert pieces[-1]["memory"] < 8
    assert whole[-1]["memory"] > 1.5 * pieces[-1]["memory"]
    assert whole[-1]["memory"] > 3 * whole[0]["memory"]


def test_pieces_give_what_the_whole_gives(rows):
    for row in of(rows, "in pieces"):
        assert row["differs"] < 1e-3
        assert (row["seam"] == "–") == (row["pieces"] == 1)


def test_an_overlap_is_needed_and_its_want_is_seen_at_the_seams(rows):
    none, little, enough = of(rows, "another overlap")
    assert none["differs"] > 2 * little["differs"] > 20 * enough["differs"]
    assert none["seam"] == "–"  # without an overlap nobody knows
    assert little["seam"] > 10 * enough["seam"]


def test_smaller_pieces_are_more_work(rows):
    small, large = of(rows, "smaller pieces")
    assert small["work"] > large["work"] > 1


def test_the_finding_comes_from_the_rows(chapter, rows):
    finding = chapter[0].finding
    whole = of(rows, "in memory")
    assert f"from {whole[0]['memory']:.0f} to {whole[1]['memory']:.0f} MiB" in finding
    assert finding.count(". ") == 1
    assert (chapter[1] / "scaling.png").exists()
    assert (chapter[1] / "scaling.csv").exists()
