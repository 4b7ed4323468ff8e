"""`map_chunks`: the same as in one piece, for every method, geometry, source, target and kind of worker."""

from __future__ import annotations

import functools
import inspect
import json
import os
import signal
import sys
import time
import tracemalloc

import numpy as np
import pytest
import tifffile

import sigdeconv as sd
from sigdeconv import _memory
from sigdeconv._chunks import plan as planning
from sigdeconv._fft import fast_length
from sigdeconv.chunked import ChunkProgress, ChunksEndedError, ChunksFailedError, map_chunks

SAME = 1e-3  # of the peak: what chunked and unchunked may differ by
PLAIN = {"num_iter": 10, "accelerate": False}
NEEDS = "{} is not installed; pip install 'sigdeconv[chunked]'"


@pytest.fixture(scope="session")
def zarr():
    return pytest.importorskip("zarr", reason=NEEDS.format("zarr"))


@pytest.fixture(scope="session")
def distributed():
    return pytest.importorskip("distributed", reason=NEEDS.format("distributed"))


def scene(shape, seed=0):
    """Photon counts of beads on a background, with a PSF that is no mirror image of itself."""
    rng = np.random.default_rng(seed)
    psf = sd.psf.gaussian((5, 7, 7)[-len(shape) :], 1.1).astype(np.float32)
    psf[..., 4:] *= 1.5
    beads = 40.0 + 3000.0 * (rng.random(shape) > 0.995)
    blurred = sd.Convolution(psf / psf.sum(), shape, boundary="periodic").forward(beads)
    return rng.poisson(blurred).astype(np.float32), psf / psf.sum()


IMAGE, PSF = scene((70, 84))
VOLUME, PSF3 = scene((24, 46, 50))


def difference(result, whole):
    assert result.shape == whole.shape
    assert result.dtype == whole.dtype
    return float(np.abs(result - whole).max() / np.abs(whole).max())


def twice(image, psf, gain=2.0):
    """Looks at nothing but the sample itself, so that blocks give it exactly."""
    del psf
    return gain * image


# -- the same as in one piece ----------------------------------------------------------------------------------------


def test_richardson_lucy_does_in_chunks_what_it_does_in_one_piece():
    whole = sd.richardson_lucy(IMAGE, PSF, **PLAIN)
    result, report = map_chunks(sd.richardson_lucy, IMAGE, PSF, chunks=(35, 30), **PLAIN)
    assert report["chunks"]["number"] == 6
    assert difference(result, whole) < SAME / 2


def test_accelerated_steps_leave_no_seams():
    whole = sd.richardson_lucy(IMAGE, PSF, num_iter=10)
    result, report = map_chunks(sd.richardson_lucy, IMAGE, PSF, chunks=(35, 30), num_iter=10)
    assert len(report["chosen"]["steps"]) == 10
    assert report["seam"] < 1e-2
    assert difference(result, whole) < 0.1  # measured on a part, they are others than those of the whole


# Linear filters are continued past the frame by what they see, and priors iterate until a tolerance: near the frame,
# and where that is loose, they are not the same on another frame, chunks or no chunks. Within it they must be, and the
# more so the larger the overlap.
TIGHT = {"num_iter": 300, "tol": 1e-5}
FLAT = np.full(IMAGE.shape, 100.0)
FLAT[10:50, 20:60] = 300.0
FLAT = np.random.default_rng(0).poisson(sd.Convolution(PSF, FLAT.shape, boundary="reflect")(FLAT)).astype(np.float32)


@pytest.mark.parametrize(
    ("method", "options", "limits"),
    [
        (sd.wiener, {"balance": 0.02}, (2e-3, 3e-4)),
        (sd.wiener, {"balance": 0.02, "regularizer": "identity"}, (2e-3, 3e-4)),
        (sd.tikhonov, {"weight": 0.02, "sigma": 1.0}, (2e-3, 3e-4)),
        (sd.total_variation, {"weight": 1.0, "sigma": 12.0, **TIGHT}, (3e-3, 1.5e-3)),
        (sd.landweber, {"num_iter": 15, "sigma": 6.0}, (4e-3, 3e-3)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_other_methods_agree_within_the_frame(method, options, limits):
    image = FLAT if method is sd.total_variation else IMAGE
    whole = method(image, PSF, **options)
    for overlap, limit in zip((None, 22), limits, strict=True):
        result, report = map_chunks(method, image, PSF, chunks=(70, 42), overlap=overlap, **options)
        error = np.abs(result - whole)[8:-8, 8:-8].max() / np.abs(whole).max()
        assert error < limit
        assert report["seam"] < 3 * limit


@pytest.mark.parametrize("boundary", ["free", "zero", "reflect", "periodic"])
@pytest.mark.parametrize("method", [sd.richardson_lucy, sd.wiener])
def test_every_boundary_is_the_methods_own(method, boundary):
    options = PLAIN if method is sd.richardson_lucy else {"balance": 0.1}
    whole = method(IMAGE, PSF, boundary=boundary, **options)
    limit = SAME if method is sd.richardson_lucy else 1e-2  # see above
    assert difference(map_chunks(method, IMAGE, PSF, chunks=35, boundary=boundary, **options).result, whole) < limit
    one = map_chunks(method, IMAGE, PSF, chunks=100, boundary=boundary, **options).result
    assert difference(one, whole) < 1e-5


class Told:
    """A method that notes what it is told of the ends of its blocks."""

    def __init__(self, per_axis):
        self.seen = {}
        self.__signature__ = inspect.Signature(
            [
                inspect.Parameter("image", inspect.Parameter.POSITIONAL_ONLY),
                inspect.Parameter("psf", inspect.Parameter.POSITIONAL_ONLY),
                inspect.Parameter(
                    "boundary",
                    inspect.Parameter.KEYWORD_ONLY,
                    annotation="str | Sequence[str]" if per_axis else "str",
                ),
            ]
        )

    def begin(self, progress):
        """Forget the block on which time and memory were measured."""
        if progress.done == 0:
            self.seen.clear()

    def __call__(self, image, psf, *, boundary):
        self.seen[int(image[0, 0])] = boundary if isinstance(boundary, str) else tuple(boundary)
        for axis, n in enumerate(image.shape):
            assert boundary[axis] != "periodic" or fast_length(n, real=axis == 1) == n
        return image


@pytest.mark.parametrize("boundary", ["free", "zero"])
def test_blocks_within_the_volume_are_told_that_their_scene_repeats(boundary):
    volume = np.arange(160 * 90, dtype=np.float64).reshape(160, 90)  # the first sample says where a block begins
    psf = sd.psf.gaussian((5, 5), 0.7)
    overlap = planning.default_overlap(psf, wraps=True)[0]
    for per_axis, wide in ((True, overlap), (True, 5), (False, overlap)):
        told = Told(per_axis)
        result, _ = map_chunks(told, volume, psf, chunks=(40, 90), overlap=wide, boundary=boundary, callback=told.begin)
        np.testing.assert_array_equal(result, volume)
        rows = [told.seen[start] for start in sorted(told.seen)]
        if not per_axis:
            assert rows == [boundary] * 4  # each sees an end of the volume, to its left and right
        elif wide == overlap:
            assert rows == [(boundary, boundary), ("periodic", boundary), ("periodic", boundary), (boundary, boundary)]
        else:  # in a halo shorter than usual, what comes in at wrong ends would be felt
            assert rows == [boundary] * 4
    told = Told(True)
    map_chunks(told, volume, psf, chunks=40, overlap=overlap, boundary="periodic", callback=told.begin)
    assert set(told.seen.values()) == {("periodic", "periodic")}


def test_cuts_are_hardly_seen_in_the_difference():
    whole = sd.richardson_lucy(IMAGE, PSF, **PLAIN)
    for chunks in ((35, 84), (70, 42), (24, 30)):
        result = map_chunks(sd.richardson_lucy, IMAGE, PSF, chunks=chunks, **PLAIN).result
        assert difference(result, whole) < 1e-4


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (2, 3), (300, 1)])
def test_volumes_of_next_to_nothing(shape):
    image = np.full(shape, 7.0, np.float32)
    result = map_chunks(sd.richardson_lucy, image, PSF, **PLAIN).result
    np.testing.assert_allclose(result, sd.richardson_lucy(image, PSF, **PLAIN), rtol=1e-4)


def test_a_default_of_the_function_is_not_mixed_in():
    # inverse_filter alone takes the frame for periodic by default: blocks within the volume are not.
    options = {"cutoff": 0.1}
    result = map_chunks(sd.inverse_filter, IMAGE, PSF, chunks=100, **options).result
    assert difference(result, sd.inverse_filter(IMAGE, PSF, boundary="free", **options)) < 1e-6


@pytest.mark.parametrize(
    ("shape", "psf_ndim", "channel_axis", "chunks"),
    [
        ((300,), 1, None, 100),
        ((24, 46, 50), 3, None, (12, 23, 50)),
        ((3, 70, 40), 2, None, 35),
        ((2, 2, 60), 1, None, 20),
        ((70, 40, 3), 2, -1, (35, 40)),
        ((3, 70, 40), 2, 0, (35, 40)),
        ((2, 70, 3, 40), 2, 2, 35),
    ],
)
def test_every_geometry(shape, psf_ndim, channel_axis, chunks):
    volume, psf = scene(shape[-3:])
    volume = np.broadcast_to(volume, shape)
    psf = scene((9,) * psf_ndim)[1]
    whole = sd.richardson_lucy(volume, psf, channel_axis=channel_axis, **PLAIN)
    result, report = map_chunks(sd.richardson_lucy, volume, psf, chunks=chunks, channel_axis=channel_axis, **PLAIN)
    assert report["chunks"]["number"] > 1
    assert difference(result, whole) < SAME


@pytest.mark.parametrize("boundary", ["free", "periodic"])
@pytest.mark.parametrize("batch", [False, True])
def test_weights_and_background_are_cut_as_the_volume(boundary, batch):
    rng = np.random.default_rng(1)
    image = np.stack([IMAGE, 2 * IMAGE]) if batch else IMAGE
    weights = (rng.random(image.shape) > 0.02).astype(np.float32)
    background = np.broadcast_to(np.hanning(84).astype(np.float32) * 20, IMAGE.shape)  # of the last axes alone
    options = {"weights": weights, "background": background, "boundary": boundary, **PLAIN}
    result, report = map_chunks(sd.richardson_lucy, image, PSF, chunks=30, **options)
    assert set(report["cut"]) == {"weights", "background"}
    whole = sd.richardson_lucy(image, PSF, **{**options, "background": background})
    assert difference(result, whole) < SAME


def test_a_function_of_ones_own():
    assert np.array_equal(map_chunks(twice, VOLUME, PSF3, chunks=10, gain=3.0).result, 3 * VOLUME)
    assert np.array_equal(map_chunks(lambda image, psf: image + 1, IMAGE, PSF, chunks=10).result, IMAGE + 1)
    assert np.array_equal(map_chunks(functools.partial(twice, gain=4), IMAGE, PSF, chunks=50).result, 4 * IMAGE)


def test_a_function_that_writes_into_its_input_harms_nobody():
    def careless(image, psf):
        image *= 2
        return image

    before = IMAGE.copy()
    assert np.array_equal(map_chunks(careless, IMAGE, PSF, chunks=30, overlap=5).result, 2 * before)
    assert np.array_equal(before, IMAGE)


def test_tensors_on_a_device(torch, tmp_path):
    np.save(tmp_path / "a.npy", VOLUME)  # a file that is only read: torch would warn of it
    result, report = map_chunks(sd.richardson_lucy, tmp_path / "a.npy", PSF3, chunks=24, device="cpu", **PLAIN)
    assert difference(result, sd.richardson_lucy(VOLUME, PSF3, **PLAIN)) < SAME
    assert (report["device"], report["workers"]) == ("cpu", 2)
    tensor = torch.as_tensor(VOLUME)
    assert np.array_equal(map_chunks(twice, tensor, torch.as_tensor(PSF3), chunks=24).result, 2 * VOLUME)


# -- what is not given is chosen once --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "options", "names"),
    [
        (sd.wiener, {}, {"balance"}),
        (sd.tikhonov, {}, {"weight"}),
        (sd.total_variation, {}, {"weight", "sigma"}),
        (sd.richardson_lucy, {"num_iter": None, "accelerate": False}, {"num_iter", "stopping"}),
        (sd.richardson_lucy, {"num_iter": 30, "stopping": "risk"}, {"num_iter", "stopping", "steps"}),
        (sd.richardson_lucy, {"num_iter": 5}, {"steps"}),
        (sd.landweber, {}, {"num_iter"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_parameters_are_chosen_once(method, options, names):
    calls = []

    @functools.wraps(method)
    def watched(image, psf, **given):
        calls.append({name: given.get(name, options.get(name)) for name in names})
        return method(image, psf, **given)

    _, report = map_chunks(watched, IMAGE, PSF, chunks=(70, 42), **options)
    assert set(report["chosen"]) == names
    assert calls[-2:] == [report["chosen"]] * 2  # the rest were trials
    assert all(value is not None for name, value in report["chosen"].items() if name != "stopping")
    assert report["chosen"].get("stopping") is None


def test_parameters_are_chosen_where_there_is_something_to_see():
    half = np.concatenate([np.full((70, 70), 40, np.float32), IMAGE], axis=1)
    half[:, :70] += np.random.default_rng(0).normal(0, 0.1, (70, 70))
    _, report = map_chunks(sd.wiener, half, PSF, chunks=(70, 77), overlap=0)
    chosen = []
    sd.wiener(half[:, 77:], PSF, callback=lambda iteration: chosen.append(iteration.chosen["balance"]))
    assert report["chosen"]["balance"] == pytest.approx(chosen[0])


# -- types -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("bool", "float32"),
        ("uint8", "float32"),
        ("uint16", "float32"),
        (">u2", "float32"),
        ("float16", "float32"),
        ("float32", "float32"),
        ("int32", "float64"),
        ("float64", "float64"),
    ],
)
def test_types_are_those_of_the_library(given, kept, tmp_path):
    volume = (IMAGE > 50 if given == "bool" else np.minimum(IMAGE, 250)).astype(given)
    seen = []

    def note(image, psf):
        seen.append(image.dtype)
        return image

    for out in (None, tmp_path / "a.npy"):
        result = map_chunks(note, volume, PSF, chunks=40, out=out).result
        result = np.load(result) if out else result
        assert result.dtype == kept
        np.testing.assert_array_equal(result, volume.astype(kept))
    assert set(seen) == {np.dtype(kept)}
    assert sd.richardson_lucy(volume, PSF, num_iter=1).dtype == kept


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_type_that_is_asked_for_is_computed_in(dtype):
    result = map_chunks(sd.richardson_lucy, IMAGE, PSF, chunks=100, dtype=dtype, **PLAIN).result
    assert difference(result, sd.richardson_lucy(IMAGE.astype(dtype), PSF, **PLAIN)) < 1e-12


# -- sources and targets ---------------------------------------------------------------------------------------------


def test_sources(tmp_path, zarr):
    np.save(tmp_path / "a.npy", VOLUME)
    tifffile.imwrite(tmp_path / "a.tif", VOLUME, compression="zlib", photometric="minisblack")
    array = zarr.create_array(tmp_path / "a.zarr", data=VOLUME, chunks=(8, 16, 16))
    dask = pytest.importorskip("dask.array", reason=NEEDS.format("dask"))
    sources = {
        "memory map": np.load(tmp_path / "a.npy", mmap_mode="r"),
        "view": np.stack([VOLUME, VOLUME])[::-1][1],
        "name": str(tmp_path / "a.npy"),
        "tiff": tmp_path / "a.tif",
        "zarr": tmp_path / "a.zarr",
        "open zarr": array,
        "in memory": zarr.create_array({}, data=VOLUME, chunks=(8, 16, 16)),
        "dask": dask.from_array(VOLUME, chunks=(10, 20, 20)),
    }
    for name, source in sources.items():
        result = map_chunks(twice, source, PSF3, chunks=(24, 23, 25), boundary="periodic").result
        assert np.array_equal(result, 2 * VOLUME), name


def test_targets(tmp_path, zarr):
    targets = {
        "array": np.zeros(VOLUME.shape, np.float32),
        "view": np.zeros(VOLUME.shape[::-1], np.float32).T,
        "memory map": np.lib.format.open_memmap(tmp_path / "m.npy", "w+", np.float32, VOLUME.shape),
        "zarr": zarr.create_array(tmp_path / "z.zarr", shape=VOLUME.shape, chunks=(7, 11, 13), dtype="f4"),
    }
    for name, out in targets.items():
        result = map_chunks(twice, VOLUME, PSF3, chunks=(12, 20, 50), out=out, workers=2).result
        assert result is out
        assert np.array_equal(np.asarray(out[...]), 2 * VOLUME), name
    reading = {"npy": np.load, "tif": tifffile.imread, "zarr": lambda path: zarr.open_array(path, mode="r")[...]}
    for suffix, read in reading.items():
        path = map_chunks(twice, VOLUME, PSF3, chunks=(12, 20, 50), out=str(tmp_path / f"o.{suffix}")).result
        assert path == tmp_path / f"o.{suffix}"
        np.testing.assert_array_equal(read(path), 2 * VOLUME)
        assert sorted(p.name for p in tmp_path.glob("o*")) == [f"o.{suffix}", f"o.{suffix}.json"]
        path.with_name(path.name + ".json").unlink()
        os.rename(path, tmp_path / f"done.{suffix}")


def test_overwrite(tmp_path):
    out = tmp_path / "o.npy"
    np.save(out, np.zeros(3))
    with pytest.raises(FileExistsError, match=r"o\.npy exists; pass another name, or overwrite"):
        map_chunks(twice, IMAGE, PSF, out=out)
    assert np.load(out).shape == (3,)
    map_chunks(twice, IMAGE, PSF, out=out, overwrite=True)
    assert np.array_equal(np.load(out), 2 * IMAGE)


def test_what_is_read_is_never_overwritten(tmp_path, zarr):
    np.save(tmp_path / "a.npy", IMAGE)
    zarr.create_array(tmp_path / "a.zarr", data=IMAGE)
    group = zarr.create_group(tmp_path / "g.zarr")
    group.create_array("0", data=IMAGE)
    os.symlink(tmp_path / "a.npy", tmp_path / "link.npy")
    cases = [
        (tmp_path / "a.npy", tmp_path / "a.npy"),
        (tmp_path / "link.npy", tmp_path / "a.npy"),
        (tmp_path / "a.npy", tmp_path / "link.npy"),
        (np.load(tmp_path / "a.npy", mmap_mode="r"), tmp_path / "a.npy"),
        (tmp_path / "a.zarr", tmp_path / "a.zarr"),
        (zarr.open_array(tmp_path / "a.zarr"), tmp_path / "a.zarr"),
        (zarr.open_array(tmp_path / "a.zarr"), zarr.open_array(tmp_path / "a.zarr")),
        (tmp_path / "g.zarr", tmp_path / "g.zarr"),
        (tmp_path / "g.zarr" / "0", tmp_path / "g.zarr"),
        (IMAGE, IMAGE),
        (IMAGE, IMAGE[::-1]),
    ]
    for volume, out in cases:
        with pytest.raises(ValueError, match="is what the volume is read from; pass another"):
            map_chunks(twice, volume, PSF, out=out, overwrite=True)
    weights = np.load(tmp_path / "a.npy", mmap_mode="r")
    with pytest.raises(ValueError, match="is what weights is read from"):
        map_chunks(sd.richardson_lucy, IMAGE, PSF, weights=weights, out=tmp_path / "a.npy", overwrite=True)
    (tmp_path / "notes.zarr").mkdir()
    (tmp_path / "notes.zarr" / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match="is a folder but no Zarr; it is not replaced"):
        map_chunks(twice, IMAGE, PSF, out=tmp_path / "notes.zarr", overwrite=True)
    assert np.array_equal(np.load(tmp_path / "a.npy"), IMAGE)


def test_a_foreign_folder_in_the_way_is_left_alone(tmp_path):
    (tmp_path / "o.npy.part").mkdir()
    (tmp_path / "o.npy.part" / "mine").touch()
    with pytest.raises(FileExistsError, match=r"o\.npy\.part is needed, but it holds mine; move it"):
        map_chunks(twice, IMAGE, PSF, out=tmp_path / "o.npy")
    assert (tmp_path / "o.npy.part" / "mine").exists()


def test_a_name_that_is_taken_meanwhile_is_kept(tmp_path):
    out = tmp_path / "o.npy"

    def intrude(progress):
        if progress.done == progress.total:
            np.save(out, np.zeros(3))

    with pytest.raises(FileExistsError, match=r"o\.npy exists"):
        map_chunks(twice, IMAGE, PSF, out=out, chunks=40, callback=intrude)
    assert np.load(out).shape == (3,)
    out.unlink()
    assert map_chunks(twice, IMAGE, PSF, out=out, chunks=40).report["resumed"] == 6


# -- the report ------------------------------------------------------------------------------------------------------


def test_the_report_is_complete_and_lies_beside_the_result(tmp_path):
    report = map_chunks(sd.richardson_lucy, IMAGE, PSF, out=tmp_path / "o.npy", chunks=(35, 42), **PLAIN).report
    text = (tmp_path / "o.npy.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    left = json.loads(text)
    assert left["function"] == "sigdeconv.deconvolution.poisson.richardson_lucy"
    assert left["options"] == PLAIN
    assert left["versions"].keys() >= {"sigdeconv", "numpy", "scipy", "python"}
    assert left["chunks"]["number"] == len(left["times"]) == 4
    assert left["chunks"]["core"] == [35, 42]
    assert left["psf"]["shape"] == [7, 7]
    assert left["dtype"] == "float32"
    assert left["estimate"].keys() >= {"seconds", "bytes a worker", "pilot"}
    assert left["seconds"] >= max(left["times"].values())
    assert left["seam"] == report["seam"]
    time.strptime(left["began"], "%Y-%m-%dT%H:%M:%S%z")


def test_a_report_with_nothing_finite_is_json(tmp_path):
    def lost(image, psf):
        return np.full_like(image, np.nan)

    with np.errstate(all="ignore"):
        map_chunks(lost, IMAGE, PSF, out=tmp_path / "o.npy", chunks=40)
    json.loads((tmp_path / "o.npy.json").read_text(), parse_constant=lambda name: pytest.fail(name))


def test_seams_are_measured():
    def run(overlap):
        result, report = map_chunks(sd.richardson_lucy, IMAGE, PSF, chunks=35, overlap=overlap, **PLAIN)
        return report["seam"], difference(result, whole)

    whole = sd.richardson_lucy(IMAGE, PSF, **PLAIN)
    assert run(0)[0] is None
    found = [run(overlap) for overlap in (2, 5, 12, 18)]
    seams, true = zip(*found, strict=True)
    assert list(seams) == sorted(seams, reverse=True)
    assert seams[0] > 0.02
    assert seams[-1] < 2e-4
    assert all(seam > difference / 3 - 5e-5 for seam, difference in found)  # it hides nothing
    assert true[-1] < 1e-4
    assert map_chunks(sd.richardson_lucy, IMAGE, PSF, **PLAIN).report["seam"] is None


def test_progress_is_told():
    told = []
    report = map_chunks(twice, IMAGE, PSF, chunks=(35, 42), callback=told.append).report
    assert [(p.done, p.total) for p in told] == [(i, 4) for i in range(5)]
    assert all(isinstance(p, ChunkProgress) and p.remaining >= 0 for p in told)
    assert told[0].remaining == pytest.approx(report["estimate"]["seconds"])
    assert told[-1].remaining == 0
    assert told[0].report["estimate"] == report["estimate"]


@pytest.mark.parametrize("at", [0, 2])
def test_the_callback_ends_a_run_which_goes_on_later(tmp_path, at):
    out = tmp_path / "o.npy"
    with pytest.raises(ChunksEndedError, match=rf"ended by callback after {at} of 6 chunks; {at} are saved in .*part"):
        map_chunks(twice, IMAGE, PSF, out=out, chunks=40, callback=lambda progress: progress.done == at)
    assert not out.exists()
    report = map_chunks(twice, IMAGE, PSF, out=out, chunks=40).report
    assert report["resumed"] == at
    assert np.array_equal(np.load(out), 2 * IMAGE)


# -- memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [sd.richardson_lucy, sd.wiener])
def test_blocks_keep_to_the_memory(tmp_path, method):
    volume, psf = scene((40, 160, 160))
    np.save(tmp_path / "a.npy", volume)
    options = {"num_iter": 2, "accelerate": False} if method is sd.richardson_lucy else {"balance": 0.1}
    allowed = 16e6
    tracemalloc.start()
    report = map_chunks(
        method, tmp_path / "a.npy", psf, out=tmp_path / "o.npy", memory=allowed, **options
    ).report  # fmt: skip
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report["chunks"]["number"] > 1
    assert report["estimate"]["bytes a worker"] <= allowed
    assert 0.3 * allowed < peak < 1.1 * allowed


def test_no_copy_of_a_volume_on_disk_is_made(tmp_path, zarr):
    shape = (64, 256, 256)  # 16.8 MB
    zarr.create_array(tmp_path / "a.zarr", data=np.ones(shape, np.float32), chunks=(16, 64, 64))
    tracemalloc.start()
    report = map_chunks(
        twice, tmp_path / "a.zarr", PSF3, out=tmp_path / "o.zarr", memory=4e6, dtype="float32"
    ).report  # fmt: skip
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report["chunks"]["core"] != list(shape)
    assert peak < 7e6
    assert zarr.open_array(tmp_path / "o.zarr", mode="r")[-1, -1, -1] == 2


def test_what_cannot_fit_is_refused(monkeypatch, tmp_path):
    with pytest.raises(MemoryError, match=r"the smallest block takes .* and a worker has 97\.7 KiB; pass more memory"):
        map_chunks(sd.richardson_lucy, VOLUME, PSF3, memory=1e5, **PLAIN)
    with pytest.raises(MemoryError, match=r"chunks of \(24, 40, 40\) take .* and a worker has .*pass smaller chunks"):
        map_chunks(sd.richardson_lucy, VOLUME, PSF3, chunks=40, memory=1e6, workers=2, **PLAIN)
    assert not list(tmp_path.iterdir())
    for module in ("preparation",):
        found = sys.modules[f"sigdeconv._chunks.{module}"]
        if hasattr(found, "available"):
            monkeypatch.setattr(found, "available", lambda: 1e5)
    assert _memory.available() > 1e6
    with pytest.raises(MemoryError, match=r"the result takes 216 KiB and 97\.7 KiB are free; pass out, a path"):
        map_chunks(twice, VOLUME, PSF3)


# -- failures --------------------------------------------------------------------------------------------------------


class Fails:
    """Fails on the block that holds a marked sample, so many times."""

    def __init__(self, times, error=RuntimeError):
        self.times, self.error, self.calls = times, error, 0

    def __call__(self, image, psf):
        if (image == -1).any():
            self.calls += 1
            if self.calls <= self.times:
                raise self.error("a cosmic ray")
        return 2 * image


MARKED = np.tile(IMAGE, (2, 2))
MARKED[2, 160] = -1  # far from the middle, which is tried before


def test_a_chunk_that_fails_is_tried_again():
    fails = Fails(2)
    result, report = map_chunks(fails, MARKED, PSF, chunks=(70, 84), overlap=3, retries=2)
    assert np.array_equal(result, 2 * MARKED)
    assert fails.calls == 3
    assert report["attempts"] == {"1": 3}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_chunk_that_fails_for_good_is_named_and_the_rest_saved(tmp_path, workers):
    out = tmp_path / "o.npy"
    with pytest.raises(
        ChunksFailedError,
        match=r"^1 of 4 chunks failed, the first at \[0:70, 84:168\]: RuntimeError: a cosmic ray; 3 are saved in .*"
        r"o\.npy\.part: the same call does the rest$",
    ) as caught:
        map_chunks(Fails(99), MARKED, PSF, out=out, chunks=(70, 84), overlap=3, retries=1, workers=workers)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert json.loads((tmp_path / "o.npy.part" / "log.json").read_text())["failed"] == {
        "1": "RuntimeError: a cosmic ray"
    }
    assert not out.exists()
    fails = Fails(0)
    report = map_chunks(fails, MARKED, PSF, out=out, chunks=(70, 84), overlap=3, retries=1).report
    assert (report["resumed"], fails.calls) == (3, 1)
    assert np.array_equal(np.load(out), 2 * MARKED)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o.npy", "o.npy.json"]


def test_a_trial_before_the_work_is_tried_again_too():
    calls = []

    def shaky(image, psf):
        calls.append(image)
        if len(calls) == 1:
            raise RuntimeError("a cosmic ray")
        return image

    assert np.array_equal(map_chunks(shaky, IMAGE, PSF).result, IMAGE)


def test_what_would_fail_again_is_not_tried_again():
    fails = Fails(99, ValueError)
    with pytest.raises(ChunksFailedError, match="ValueError: a cosmic ray"):
        map_chunks(fails, MARKED, PSF, chunks=(70, 84), overlap=3)
    assert fails.calls == 1


def test_nan_in_one_chunk_costs_that_chunk(tmp_path):
    image = np.abs(MARKED)
    image[2, 160] = np.nan
    with pytest.raises(ChunksFailedError, match=r"\[0:70, 84:168\]: ValueError: image has 1 NaN"):
        map_chunks(sd.wiener, image, PSF, chunks=(70, 84), out=tmp_path / "o.npy", balance=0.1)


def test_a_full_disk_ends_the_run_at_once(tmp_path, monkeypatch):
    from sigdeconv._targets import Target

    calls = []

    def full(self, region, samples):
        calls.append(region)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Target, "write", full)
    with pytest.raises(ChunksFailedError, match=r"No space left on device; 0 are saved in"):
        map_chunks(twice, IMAGE, PSF, chunks=10, out=tmp_path / "o.npy")
    assert len(calls) <= 2


def test_an_interrupt_leaves_what_is_done(tmp_path):
    out = tmp_path / "o.npy"

    def interrupt(progress):
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_chunks(twice, IMAGE, PSF, out=out, chunks=40, callback=interrupt)
    assert (tmp_path / "o.npy.part" / "log.json").exists()
    assert map_chunks(twice, IMAGE, PSF, out=out, chunks=40).report["resumed"] == 2


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"function": "wiener"}, TypeError, r"function is 'wiener'; pass a method such as"),
        ({"volume": 3}, TypeError, r"volume is of type int; pass a path, or an array"),
        ({"volume": [[1.0]]}, TypeError, r"volume is of type list; pass a path, or an array"),
        ({"volume": np.zeros((3, 0))}, ValueError, r"volume is empty \(shape \(3, 0\)\)"),
        ({"volume": np.zeros((9, 9), complex)}, TypeError, r"volume has dtype complex128; real numbers"),
        ({"volume": np.array([["a"]])}, TypeError, r"volume has dtype <U1; real numbers"),
        ({"volume": "missing.npy"}, FileNotFoundError, r"missing\.npy does not exist; check the name"),
        ({"psf": sd.Convolution(PSF, IMAGE.shape)}, TypeError, r"psf is a Convolution of one shape; pass the PSF its"),
        ({"psf": PSF3}, ValueError, r"psf has 3 dimensions but volume has 2; pass psf\[k\]"),
        ({"psf": 1.0}, ValueError, r"psf has 0 dimensions"),
        ({"psf": PSF * np.nan}, ValueError, r"psf has 49 NaN"),
        ({"psf": 0 * PSF}, ValueError, r"psf"),
        ({"chunks": 0}, ValueError, r"chunks is 0; every entry must be at least 1"),
        ({"chunks": "big"}, ValueError, r"chunks is 'big'; pass one of 'auto'"),
        ({"chunks": (3, 4, 5)}, ValueError, r"chunks has 3 entries; 2 are wanted"),
        ({"chunks": 2.5}, TypeError, r"chunks is 2\.5; an integer or one"),
        ({"overlap": -1}, ValueError, r"overlap is -1; every entry must be at least 0"),
        ({"boundary": "open"}, ValueError, r"boundary is 'open'; pass one of 'free'"),
        ({"channel_axis": 2}, ValueError, r"channel_axis is 2 but volume has 2 dimensions"),
        ({"dtype": "uint16"}, ValueError, r"dtype is 'uint16'; pass one of 'float32', 'float64'"),
        ({"cluster": "procesess"}, ValueError, r"cluster is 'procesess'; pass 'threads', 'processes', or the addr"),
        ({"workers": 0}, ValueError, r"workers is 0; every entry must be at least 1"),
        ({"memory": 0}, ValueError, r"memory is 0; it must be larger than 0"),
        ({"memory": "2GB"}, TypeError, r"memory is '2GB'; a number is wanted"),
        ({"retries": -1}, ValueError, r"retries is -1"),
        ({"callback": 3}, TypeError, r"callback is 3; a function of one ChunkProgress"),
        ({"device": "cpu", "cluster": "processes"}, ValueError, r"a device is fed by threads"),
        ({"out": "result.png"}, ValueError, r"out is 'result\.png'; pass a path that ends in \.zarr, \.tif, .*\.npy"),
        ({"out": "none/result.npy"}, FileNotFoundError, r"none/result\.npy lies in a folder that does not exist"),
        ({"out": np.zeros((3, 3), np.float32)}, ValueError, r"out has shape \(3, 3\); pass a path, or an array of sh"),
        ({"out": np.zeros(IMAGE.shape, np.uint16)}, ValueError, r"out has dtype uint16; pass an array of float32"),
        ({"out": 5}, ValueError, r"out is 5; pass a path, or an array of shape \(70, 84\)"),
        ({"gain": 2, "function": sd.wiener}, TypeError, r"gain"),
        ({"function": lambda image, psf: image[:3]}, ValueError, r"function made \(3, .* it must keep the shape"),
        ({"function": sd.unsupervised_wiener}, TypeError, r"made a sigdeconv.UnsupervisedWiener .*returns an array"),
        ({"function": lambda image, psf: None}, TypeError, r"function made a builtins.NoneType of a block"),
        ({"function": twice, "boundary": "zero"}, ValueError, r"'zero' but function takes no boundary; pass 'free'"),
    ],
)
def test_wrong_calls(change, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    right = {"function": sd.richardson_lucy, "volume": IMAGE, "psf": PSF, "chunks": 40}
    asked = {**right, **change}
    with pytest.raises(error, match=message) as caught:
        map_chunks(asked.pop("function"), asked.pop("volume"), asked.pop("psf"), **asked)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"clusters need the extra 'chunked'; run: pip install"):
        map_chunks(twice, IMAGE, PSF, cluster="processes")
    assert np.array_equal(map_chunks(twice, IMAGE, PSF, chunks=40, workers=2).result, 2 * IMAGE)


# -- workers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_threads_give_the_same_bytes(workers):
    one = map_chunks(sd.richardson_lucy, VOLUME, PSF3, chunks=24, **PLAIN).result
    result, report = map_chunks(sd.richardson_lucy, VOLUME, PSF3, chunks=24, workers=workers, **PLAIN)
    assert report["workers"] == workers
    assert result.tobytes() == one.tobytes()


@pytest.fixture(scope="module")
def client(distributed):
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0", memory_limit=0
    ) as client:
        yield client


def test_a_client(client, tmp_path, zarr):
    whole = map_chunks(sd.richardson_lucy, VOLUME, PSF3, chunks=24, **PLAIN).result
    np.save(tmp_path / "a.npy", VOLUME)
    weights = np.ones_like(VOLUME)
    for source in (VOLUME, tmp_path / "a.npy"):
        for more in ({}, {"weights": weights}):
            result, report = map_chunks(
                sd.richardson_lucy, source, PSF3, chunks=24, cluster=client, **PLAIN, **more
            )  # fmt: skip
            assert report["workers"] == 2
            assert difference(result, whole) < 1e-6
    chosen = map_chunks(sd.wiener, VOLUME, PSF3, chunks=24, cluster=client).report["chosen"]
    assert chosen == map_chunks(sd.wiener, VOLUME, PSF3, chunks=24).report["chosen"]


def test_a_client_writes_the_same_file_twice(client, tmp_path):
    for gain in (1.0, 2.0):
        map_chunks(twice, VOLUME, PSF3, out=tmp_path / "o.npy", cluster=client, chunks=24, gain=gain, overwrite=True)
        assert np.array_equal(np.load(tmp_path / "o.npy"), gain * VOLUME)


def test_the_address_of_a_cluster(client):
    address = client.scheduler.address
    assert np.array_equal(map_chunks(twice, IMAGE, PSF, chunks=40, cluster=address).result, 2 * IMAGE)
    assert client.status == "running"


def test_a_failure_on_a_cluster_is_named(client, tmp_path):
    with pytest.raises(ChunksFailedError, match=r"^1 of 4 chunks failed, the first at \[0:70, 84:168\]: RuntimeError"):
        map_chunks(
            Fails(99), MARKED, PSF, out=tmp_path / "o.npy", chunks=(70, 84), overlap=3, cluster=client, retries=0
        )


def test_the_limit_of_a_cluster_is_kept_to(client, monkeypatch):
    from sigdeconv._chunks.workers import Cluster

    assert Cluster(client).memory() == np.inf
    # A worker of this process would count all that the tests take.
    monkeypatch.setattr(Cluster, "memory", lambda self: 12e6)
    volume, psf = scene((40, 120, 120))
    _, report = map_chunks(sd.richardson_lucy, volume, psf, cluster=client, num_iter=1, accelerate=False)
    assert report["estimate"]["bytes a worker"] < 0.61 * 12e6
    with pytest.raises(MemoryError, match=r"and a worker has 11\.4 MiB; pass smaller chunks"):
        map_chunks(sd.richardson_lucy, volume, psf, cluster=client, chunks=120, **PLAIN)


class Deadly:
    """Ends the process that works on the marked sample, once, or one worker after the other."""

    def __init__(self, folder, times):
        self.folder, self.times = folder, times

    def __call__(self, image, psf):
        import numpy as np

        if (image == -1).any():
            deaths = len(os.listdir(self.folder))
            if deaths < self.times:
                open(os.path.join(self.folder, str(deaths)), "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
        return np.multiply(image, 2)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_worker_that_is_killed_costs_its_chunk_only(distributed, tmp_path):
    # Two processes, each killed once: what they were sent dies with the last of them, and is sent anew.
    (tmp_path / "deaths").mkdir()
    big = np.tile(MARKED, (3, 3))  # so large that dask would complain of it as a part of a task
    big[:-140] = np.abs(big[:-140])
    big[:, :-168] = np.abs(big[:, :-168])
    started = time.monotonic()
    result, report = map_chunks(
        Deadly(str(tmp_path / "deaths"), 2), big, PSF, chunks=252, cluster="processes", workers=2, overlap=3
    )
    assert len(os.listdir(tmp_path / "deaths")) == 2
    assert np.array_equal(result, 2 * big)
    assert report["workers"] == 2
    assert report["attempts"] == {}
    assert time.monotonic() - started < 60
