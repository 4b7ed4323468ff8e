"""How a volume is cut into chunks: cores that tile it, halos, the memory that is kept to, pieces on disk."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import sigdeconv
from sigdeconv._chunks import plan as planning
from sigdeconv._chunks.block import full, read
from sigdeconv._chunks.seam import Seam
from sigdeconv._fft import fast_length
from sigdeconv._targets import PIECE, pieces_of
from sigdeconv._volumes import Volume

quick = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def cuts(draw, largest=60):
    """A volume's shape, cores, overlaps and a PSF's shape."""
    ndim = draw(st.integers(1, 3))

    def sides(low, high):
        return tuple(draw(st.lists(st.integers(low, high), min_size=ndim, max_size=ndim)))

    return sides(1, largest), sides(1, largest), sides(0, 20), sides(1, 9)


@quick
@given(cuts(), st.booleans(), st.booleans())
def test_cores_tile_the_volume_and_halos_surround_them(cut, padded, wraps):
    shape, core, overlap, kernel = cut
    plan = planning.given(shape, core, overlap, kernel, padded, wraps)
    seen = np.zeros(shape, int)
    blocks = list(plan.blocks())
    assert len(blocks) == plan.number == math.prod(plan.counts)
    for block in blocks:
        seen[block.core] += 1
        for c, o, i, h, n in zip(block.core, block.outer, block.inside, overlap, shape, strict=True):
            low, high = (c.start - h, c.stop + h) if padded else (max(0, c.start - h), min(n, c.stop + h))
            if wraps:  # to a fast length
                assert o.start <= low
                assert o.stop >= high
                assert padded or (o.start >= 0 and o.stop <= n)
                assert o.stop - o.start <= fast_length(high - low)
            else:
                assert (o.start, o.stop) == (low, high)
            assert (o.start + i.start, o.start + i.stop) == (c.start, c.stop)
    assert (seen == 1).all()


@quick
@given(cuts(), st.booleans())
def test_where_a_scene_repeats_the_grid_is_the_block(cut, padded):
    plan = planning.given(*cut, padded, True)
    for block in plan.blocks():
        ends = plan.ends(block.outer)
        grid = 1
        for axis, (o, n, k, end) in enumerate(zip(block.outer, plan.shape, plan.kernel, ends, strict=True)):
            assert end == (not padded and (o.start == 0 or o.stop == n))
            psf = np.ones(k)
            shape = (o.stop - o.start, 1) if axis < len(ends) - 1 else (o.stop - o.start,)
            blur = sigdeconv.Convolution(
                psf.reshape(-1, *(1,) * (len(shape) - 1)), shape, boundary="free" if end else "periodic"
            )
            grid *= blur.grid[0]
        assert grid == plan.grid_of(block.outer) <= plan.grid


@quick
@given(cuts(), st.booleans())
def test_no_block_is_larger_than_the_plan_says(cut, padded):
    plan = planning.given(*cut, padded)
    shapes = [tuple(o.stop - o.start for o in block.outer) for block in plan.blocks()]
    assert all(s <= o for shape in shapes for s, o in zip(shape, plan.outer, strict=True))
    grids = [planning.samples(shape, plan.kernel) for shape in shapes]
    assert max(grids) <= plan.grid
    assert plan.work == pytest.approx(sum(grids) / planning.samples(plan.shape, plan.kernel))


@quick
@given(cuts(300), st.booleans(), st.booleans(), st.integers(1, 4), st.floats(0.01, 1.2))
def test_the_best_plan_keeps_to_the_memory(cut, padded, wraps, at_once, share):
    shape, unit, overlap, kernel = cut
    most = share * planning.samples(shape, kernel)
    try:
        plan = planning.best(shape, overlap, kernel, padded=padded, wraps=wraps, most=most, at_once=at_once, unit=unit)
    except planning.TooLittleError as error:
        assert error.smallest > most  # noqa: PT017
        assume(False)
    assert plan.grid <= most
    for core, u, n in zip(plan.core, unit, shape, strict=True):
        assert core == n or core % u == 0


def test_the_best_plan_is_the_best_of_all():
    shape, overlap, kernel, most = (40, 64), (6, 4), (5, 7), 2000.0
    best = planning.best(shape, overlap, kernel, padded=False, most=most)
    all_plans = [
        planning.given(shape, (a, b), overlap, kernel, False) for a in range(8, 41) for b in range(8, 65)
    ]  # fmt: skip
    least = min(plan.work for plan in all_plans if plan.grid <= most)
    assert best.work <= 1.05 * least


def test_workers_are_not_left_idle():
    # One block would be the least work, but leaves three of four workers without any.
    alone = planning.best((256, 256), (8, 8), (5, 5), padded=False, most=1e9)
    together = planning.best((256, 256), (8, 8), (5, 5), padded=False, most=1e9, at_once=4)
    assert alone.number == 1
    assert together.number == 4
    # A batch gives all of them one.
    assert planning.best((256, 256), (8, 8), (5, 5), padded=False, most=1e9, at_once=4, volumes=4).number == 1


def test_more_memory_never_means_more_work():
    works = [
        planning.best((100, 512, 512), (16,) * 3, (31,) * 3, padded=False, most=most).work
        for most in (2e6, 4e6, 1e7, 3e7, 1e8)
    ]
    assert works == sorted(works, reverse=True)
    assert works[0] > planning.WASTEFUL > works[-1] == 1


def test_planning_a_huge_volume_is_quick():
    plan = planning.best((10_000, 20_000, 30_000), (33, 33, 33), (31, 31, 31), padded=False, most=3e8)
    assert plan.work < 2
    assert fast_length(plan.outer[2] + 30) ** 3 < 1e9


def test_the_overlap_follows_the_light_not_the_array():
    narrow = sigdeconv.psf.gaussian((31, 31), 1.0)
    assert planning.default_overlap(narrow) == planning.default_overlap(sigdeconv.psf.gaussian((11, 11), 1.0))
    wide = planning.default_overlap(sigdeconv.psf.gaussian((31, 31), (1.0, 4.0)))
    assert wide[0] == planning.default_overlap(narrow)[0]
    beyond = [samples - planning.SLACK for samples in wide]
    assert beyond[1] / beyond[0] == pytest.approx(13 / 3, abs=0.3)  # 99.9 % of the light: 13 samples, and 3
    assert planning.default_overlap(narrow, "zero") > planning.default_overlap(narrow)
    assert planning.default_overlap(narrow, wraps=True) > planning.default_overlap(narrow)
    assert planning.default_overlap(narrow, wraps=True, far=True) > planning.default_overlap(narrow, far=True)
    assert planning.reach(np.eye(1, 9, 4)) == (0, 0)
    # To both sides of the origin, n // 2.
    assert planning.reach(np.array([1.0, 0, 0, 0, 0, 0])) == (3,)


@quick
@given(cuts(200), st.lists(st.integers(1, 200), min_size=3, max_size=3), st.booleans())
def test_no_piece_of_a_zarr_array_lies_in_two_cores(cut, stored, like):
    shape, core, *_ = cut
    core = tuple(min(c, n) for c, n in zip(core, shape, strict=True))
    pieces = tuple(min(p, n) for p, n in zip(stored, shape, strict=False))
    volume = Volume("x", shape, "float32", "Q" * len(shape), pieces=pieces, meta={"zarr_format": 3}) if like else None
    found = pieces_of(shape, range(len(shape)), core, volume)
    for p, c, n, s in zip(found, core, shape, pieces, strict=True):
        assert 1 <= p <= n
        assert c == n or c % p == 0
        if like and (c == n or c % s == 0):
            assert p == s  # as it was
        if not like:
            assert p >= min(n, c, PIECE // 4)  # no dust


def test_pieces_of_a_batch_are_single():
    assert pieces_of((5, 100, 100, 3), (1, 2), (50, 100), None) == (1, 50, 100, 1)
    # What a TIFF is stored in (strips) is no size for files of their own.
    strips = Volume("x.tif", (100, 100), "float32", "YX", pieces=(1, 100))
    assert pieces_of((100, 100), (0, 1), (100, 100), strips) == (100, 100)


@quick
@given(st.integers(1, 12), st.integers(-30, 20), st.integers(1, 40))
def test_reading_past_the_ends_goes_round(n, start, length):
    line = np.arange(n)
    found = read(line, (0,), (), [slice(start, start + length)])
    assert found.tolist() == [i % n for i in range(start, start + length)]


def test_reading_goes_round_on_all_axes_and_leaves_the_source_alone():
    volume = np.arange(2 * 4 * 5).reshape(2, 4, 5)
    found = read(volume, (1, 2), (1,), [slice(-3, 6), slice(2, 9)])
    np.testing.assert_array_equal(found, np.pad(volume[1], ((3, 2), (0, 4)), mode="wrap")[:, 2:])
    inside = read(volume, (1, 2), (0,), [slice(0, 4), slice(0, 5)])
    inside[...] = -1
    assert volume.min() == 0
    # An array of the spatial axes alone is the same for all of the batch.
    np.testing.assert_array_equal(read(volume[0], (1, 2), (1,), [slice(0, 2), slice(1, 3)]), volume[0, :2, 1:3])


def test_full_puts_regions_on_their_axes():
    z, y = slice(0, 2), slice(3, 4)
    assert full((0, 2), (7,), (z, y)) == (z, 7, y)
    assert full((1, 2), (7,), (z, y)) == (7, z, y)


def test_a_seam_is_found_in_whatever_order_chunks_end():
    plan = planning.given((8, 9), (4, 3), (1, 1), (3, 3), False)
    rng = np.random.default_rng(0)
    whole = rng.random((8, 9))

    def faces(number, wrong=0.0):
        index = np.unravel_index(number, plan.counts)
        block = plan.block(index)
        found = {}
        for axis in range(2):
            along = [whole[block.core].take([0], axis)]
            if index[axis] > 0:
                found[f"first {axis}"] = along[0] + wrong
            if index[axis] < plan.counts[axis] - 1:
                past = list(block.core)
                past[axis] = slice(past[axis].stop, past[axis].stop + 1)
                found[f"past {axis}"] = whole[tuple(past)]
        return found

    for order in (range(6), reversed(range(6)), rng.permutation(6)):
        seam = Seam(plan)
        for number in order:
            seam.add(int(number), 2.0, faces(int(number), 0.5 if number == 4 else 0.0))
        assert seam.relative == pytest.approx(0.25)
        assert not seam._waiting
    assert Seam(plan).relative is None
