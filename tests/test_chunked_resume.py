"""Runs over chunks that are killed, and go on: never a half result, never another one than without the kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import sigdeconv as sd
from sigdeconv import map_chunks
from sigdeconv._chunks.log import Ledger, fingerprint, identity, plain
from tests.benchmarks.interrupted_runs import killed_and_resumed, write_input

NEEDS = "zarr is not installed; pip install 'sigdeconv[chunked]'"
PSF = sd.psf.gaussian((5, 5), 1.0).astype(np.float32)
IMAGE = np.random.default_rng(0).poisson(100.0, (40, 60)).astype(np.float32)


def double(image, psf, gain=2.0):
    del psf
    return gain * image


def broken(folder, volume=IMAGE, psf=PSF, function=double, at=2, name="o.npy", **options):
    """A run that is ended when some chunks are done; the call that would go on."""

    def again(**change):
        given = {"volume": volume, "psf": psf, "function": function, "chunks": 20, "out": folder / name}
        given |= {**options, **change}
        return map_chunks(given.pop("function"), given.pop("volume"), given.pop("psf"), **given)

    def end(progress):
        return progress.done == at

    with pytest.raises(sd.chunked.ChunksEndedError):
        again(callback=end)
    return again


# -- killed ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "workers"), [(".npy", 2), (".zarr", 1)])
def test_killed_at_random_a_run_ends_with_the_bytes_of_one_that_was_not(tmp_path, suffix, workers):
    if suffix == ".zarr":
        pytest.importorskip("zarr", reason=NEEDS)
    source = write_input(tmp_path, (16, 48, 48), pyramid=suffix == ".zarr")
    found = killed_and_resumed(source, suffix, 2, 1, workers=workers, num_iter=30)
    assert found["kills"] == 2
    assert (found["wrong"], found["left"]) == (0, 0)


# Forks a process for every operation on the file system that a run does, ends that process just before the operation
# as a kill would, lets another one go on, and compares.
EVERYWHERE = """
import hashlib, os, sys
from pathlib import Path

import numpy as np

import sigdeconv
from sigdeconv import map_chunks

folder, suffix, step = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
out, psf = folder / f"out{suffix}", np.load(folder / "psf.npy")
WATCHED = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}


def restored(image, psf):
    return image + 1


def run(overwrite=False):
    source = next(folder.glob("in.*"))
    map_chunks(restored, source, psf, out=out, chunks=(8, 16, 16), memory=1e9, overwrite=overwrite)


def forked(work, last=None):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    count = 0

    def hook(event, arguments):
        nonlocal count
        if event in WATCHED and str(arguments[0]).startswith(str(out)):
            if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
                return
            count += 1
            if count == last:
                os._exit(9)

    sys.addaudithook(hook)
    try:
        work()
        os._exit(0)
    except BaseException as error:
        print(type(error).__name__, error, file=sys.stderr, flush=True)
        os._exit(1)


def tree():
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".json" or p.name == "zarr.json")
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def names():
    return sorted(p.name for p in folder.iterdir())


def clear():
    import shutil
    for p in folder.glob("out*"):
        shutil.rmtree(p) if p.is_dir() else p.unlink()


assert forked(run) == 0
right, there = tree(), names()
kills = again = 0
for replaced in (False, True):
    last = 1
    while True:
        if not replaced:
            clear()
        status = forked(lambda: run(replaced), last)
        if status == 0:
            break
        assert status == 9, (last, status)
        kills += 1
        # Once the result is there, whole, it may be refused to do the same again.
        status = forked(lambda: run(replaced))
        again += status != 0
        assert status == 0 or (not replaced and tree() == right and "out.part" not in names()), (last, names())
        assert tree() == right, (replaced, last)
        assert names() == there, (replaced, last, names())
        last += step
print(kills, again)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks, which this system does not")
@pytest.mark.parametrize(("suffix", "step"), [(".npy", 5), (".tif", 9), (".zarr", 31)])
def test_killed_anywhere_a_run_ends_with_the_same_bytes(tmp_path, suffix, step):
    if suffix == ".zarr":
        pytest.importorskip("zarr", reason=NEEDS)
    write_input(tmp_path, (8, 32, 32), pyramid=suffix == ".zarr")
    found = subprocess.run(
        [sys.executable, "-c", EVERYWHERE, str(tmp_path), suffix, str(step)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(sd.__file__).parents[1])},
    )
    assert found.returncode == 0, found.stderr
    kills, refused = map(int, found.stdout.split())
    assert kills > 4
    assert refused <= 2


# -- resumed ---------------------------------------------------------------------------------------------------------


def test_what_is_done_is_not_done_again(tmp_path):
    calls = []

    def counted(image, psf):
        calls.append(image.shape)
        return 2 * image

    again = broken(tmp_path, function=counted)
    before = len(calls)
    report = again().report
    assert report["resumed"] == 2
    assert len(calls) - before == report["chunks"]["number"] - 2
    assert len(report["times"]) == report["chunks"]["number"]


def test_choices_and_the_plan_are_taken_up(tmp_path):
    def chooser(image, psf, *, weight=None, callback=None):
        weight = float(image.mean()) if weight is None else weight
        if callback is not None:
            callback(SimpleNamespace(index=1, chosen={"weight": weight}))
        return weight * image

    again = broken(tmp_path, function=chooser, chunks="auto", memory=2e4, at=1)
    log = json.loads((tmp_path / "o.npy.part" / "log.json").read_text())
    report = again(memory=9e8).report  # more memory would be another plan
    assert report["resumed"] == 1
    assert report["chosen"] == log["chosen"] != {}
    assert report["chunks"] == log["chunks"]
    assert report["chunks"]["number"] > 1
    assert report["seam"] is not None


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"gain": 3.0}, "options"),
        ({"psf": PSF[1:, 1:].copy()}, "psf"),
        ({"psf": np.roll(PSF, 1)}, "psf"),
        ({"volume": IMAGE + 1}, "volume"),
        ({"volume": IMAGE[:, :50]}, "volume"),
        ({"boundary": "periodic"}, "boundary"),
        ({"chunks": 30}, "chunks"),
        ({"overlap": 3}, "overlap"),
        ({"dtype": "float64"}, "dtype"),
        ({"function": sd.wiener}, "function"),
    ],
)
def test_another_run_is_not_mixed_in(tmp_path, change, name):
    again = broken(tmp_path)
    with pytest.raises(ValueError, match=rf"o\.npy\.part is left of a run with another {name} \(.*resume=False"):
        again(**change)
    assert again().report["resumed"] == 2
    (tmp_path / "o.npy").unlink()
    broken(tmp_path)
    assert again(resume=False, **change).report["resumed"] == 0


@pytest.mark.parametrize("name", ["weights", "volume"])
def test_other_samples_of_the_same_shape_are_seen(tmp_path, name):
    weights = np.ones_like(IMAGE)
    np.save(tmp_path / "v.npy", IMAGE)
    source = IMAGE if name == "weights" else tmp_path / "v.npy"
    again = broken(
        tmp_path, volume=source, function=sd.richardson_lucy, weights=weights, num_iter=2, accelerate=False
    )  # fmt: skip
    if name == "weights":
        weights[30, 50] = 0
    else:
        np.save(tmp_path / "v.npy", IMAGE + 1)
    with pytest.raises(ValueError, match=f"another {'cut' if name == 'weights' else 'volume'}"):
        again()


def test_volumes_of_every_kind_are_told_apart(tmp_path):
    zarr = pytest.importorskip("zarr", reason=NEEDS)
    array = zarr.create_array(tmp_path / "a.zarr", data=IMAGE, chunks=(10, 10))
    from sigdeconv._volumes import open_volume

    for made in (lambda: array, lambda: open_volume(tmp_path / "a.zarr")):
        before = identity(made())
        assert before == identity(made())
        array[20:24, 30:34] = 7 + array[20, 30]
        assert identity(made()) != before
    np.save(tmp_path / "m.npy", IMAGE)
    mapped = np.load(tmp_path / "m.npy", mmap_mode="r")
    assert identity(mapped) == identity(np.load(tmp_path / "m.npy", mmap_mode="r"))
    assert identity(mapped[:20]) != identity(mapped[20:])
    assert "sha256" in identity(IMAGE)
    assert fingerprint(IMAGE.T) == fingerprint(IMAGE.T.copy())


def test_not_to_resume(tmp_path):
    again = broken(tmp_path)
    report = again(resume=False).report
    assert report["resumed"] == 0
    assert np.array_equal(np.load(tmp_path / "o.npy"), 2 * IMAGE)
    assert not (tmp_path / "o.npy.part").exists()


def test_a_run_in_memory_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    map_chunks(double, IMAGE, PSF, chunks=20)
    assert not list(tmp_path.iterdir())


def test_two_runs_do_not_write_the_same_result(tmp_path):
    pytest.importorskip("fcntl", reason="files are locked by fcntl, which this system does not have")

    def intrude(progress):
        if progress.done == 1:
            with pytest.raises(FileExistsError, match=r"another run is writing .*o\.npy; wait for it"):
                map_chunks(double, IMAGE, PSF, chunks=20, out=tmp_path / "o.npy")

    map_chunks(double, IMAGE, PSF, chunks=20, out=tmp_path / "o.npy", callback=intrude)
    assert np.array_equal(np.load(tmp_path / "o.npy"), 2 * IMAGE)


def test_a_failure_to_make_room_leaves_nothing(tmp_path, monkeypatch):
    from sigdeconv._targets import Target

    def full(self):
        Path(self.working).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Target, "create", full)
    with pytest.raises(OSError, match="No space left"):
        map_chunks(double, IMAGE, PSF, chunks=20, out=tmp_path / "o.npy")
    assert not list(tmp_path.iterdir())


def test_marks_hold_what_they_were_given(tmp_path):
    ledger = Ledger(tmp_path / "o.npy", {"a": 1})
    ledger.begin({"x": (1, 2)}, lambda: ledger.samples.write_bytes(b""))
    faces = {"past 0": np.arange(6.0, dtype=np.float32).reshape(2, 3)}
    ledger.mark(7, {"seconds": np.float32(0.5), "attempts": 1, "peak": float("nan")}, faces)
    ledger.release()
    again = Ledger(tmp_path / "o.npy", {"a": 1})
    assert again.resumes()
    assert again.settled == {"x": [1, 2]}
    assert again.records == {7: {"seconds": 0.5, "attempts": 1, "peak": None}}
    np.testing.assert_array_equal(again.faces(7)["past 0"], faces["past 0"])


def test_objects_have_the_same_name_in_every_process():
    class Thing:
        pass

    assert plain(Thing()) == plain(Thing())
    assert "0x" not in plain({"denoiser": Thing(), "function": double})["denoiser"]
    assert plain(double).endswith(".double")
    assert plain([np.int64(3), np.array(2.5), np.inf, -np.inf, np.nan, None, True, "x"]) == [
        3,
        2.5,
        "+inf",
        "-inf",
        None,
        None,
        True,
        "x",
    ]
