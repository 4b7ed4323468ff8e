"""Volumes on disk: what is read of Zarr, OME-Zarr, TIFF and NPY, and what is written."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from sigdeconv import _memory, _multiscale, io
from sigdeconv._targets import Target, pieces_of
from sigdeconv._volumes import open_volume

NEEDS = "zarr is not installed; pip install 'sigdeconv[chunked]'"
RNG = np.random.default_rng(0)
DATA = RNG.integers(0, 60000, (6, 20, 30)).astype(np.uint16)


@pytest.fixture(scope="session")
def zarr():
    return pytest.importorskip("zarr", reason=NEEDS)


def ome_zarr(zarr, path, data, version="0.4", axes="zyx", scale=(0.5, 0.1, 0.1), levels=3, separator="/", **more):
    """An OME-Zarr image with a pyramid that halves the last two axes, as others write it."""
    form = 2 if version == "0.4" else 3
    units = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
    kinds = {"t": "time", "c": "channel"}
    named = [{"name": a, "type": kinds.get(a, "space")} | ({"unit": units[a]} if a in units else {}) for a in axes]
    datasets, level, step = [], data, list(scale)
    group = zarr.create_group(path, zarr_format=form)
    for i in range(levels):
        options = {"chunk_key_encoding": {"name": "v2", "separator": separator}} if form == 2 else {}
        if form == 3:
            options["dimension_names"] = list(axes)
        chunks = tuple(min(n, 8) for n in level.shape)
        array = group.create_array(str(i), shape=level.shape, chunks=chunks, dtype=level.dtype, **options, **more)
        array[...] = level
        datasets.append({"path": str(i), "coordinateTransformations": [{"type": "scale", "scale": list(step)}]})
        level, step = level[..., ::2, ::2], [*step[:-2], 2 * step[-2], 2 * step[-1]]
    scales = [{"axes": named, "datasets": datasets, "name": "cells"}]
    if form == 2:
        group.attrs["multiscales"] = [{**scales[0], "version": "0.4"}]
        group.attrs["omero"] = {"channels": [{"label": "GFP"}]}
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": scales, "omero": {"channels": [{"label": "GFP"}]}}
    return path


def copied(volume, out, core=(4, 8, 8), dtype="float32"):
    """The volume written block by block under another name."""
    pieces = pieces_of(volume.shape, range(volume.ndim), core, volume)
    working = out.with_name("working" + out.suffix)
    target = Target(str(out), str(working), volume.shape, dtype, pieces, volume)
    target.create()
    starts = [range(0, n, c) for n, c in zip(volume.shape, core, strict=True)]
    for z in starts[0]:
        for y in starts[1]:
            for x in starts[2]:
                region = tuple(slice(s, min(s + c, n)) for s, c, n in zip((z, y, x), core, volume.shape, strict=True))
                target.write(region, volume[region].astype(dtype))
    target.finish()
    assert not working.exists()
    return out


# -- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_mapped(tmp_path, order):
    np.save(tmp_path / "a.npy", np.asarray(DATA, order=order))
    volume = open_volume(tmp_path / "a.npy")
    assert (volume.shape, volume.dtype, volume.axes) == (DATA.shape, "uint16", "QYX")
    np.testing.assert_array_equal(volume[2:4, 3:9, -5:], DATA[2:4, 3:9, -5:])


def test_foreign_byte_order_is_read_as_native(tmp_path):
    np.save(tmp_path / "a.npy", DATA.astype(">u2"))
    part = open_volume(tmp_path / "a.npy")[0]
    assert part.dtype == np.uint16
    assert part.dtype.isnative
    np.testing.assert_array_equal(part, DATA[0])


TIFFS = {
    "plain": {},
    "big": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
    "compressed": {"compression": "zlib"},
    "tiled": {"tile": (16, 16)},
    "strips": {"rowsperstrip": 5, "compression": "zlib"},
    "imagej": {
        "imagej": True,
        "resolution": (1 / 0.1, 1 / 0.1),
        "metadata": {"axes": "ZYX", "spacing": 0.5, "unit": "um"},
    },
    "ome": {
        "ome": True,
        "metadata": {
            "axes": "ZYX",
            "PhysicalSizeX": 100.0,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 0.1,
            "PhysicalSizeZ": 0.5,
        },
    },
    "ome-compressed": {"ome": True, "compression": "zlib", "metadata": {"axes": "ZYX", "PhysicalSizeZ": 0.5}},
}


@pytest.mark.parametrize("name", TIFFS)
def test_tiff_is_read_by_regions(tmp_path, zarr, name):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, DATA, **{"photometric": "minisblack", **TIFFS[name]})
    volume = open_volume(path)
    assert (volume.shape, volume.dtype) == (DATA.shape, "uint16")
    np.testing.assert_array_equal(volume[1:3, 4:11, 7:29], DATA[1:3, 4:11, 7:29])
    known = io.read_picture(path) if hasattr(io, "read_picture") else None
    assert known is None or known.spacing == volume.spacing
    if name in ("imagej", "ome"):
        assert volume.axes == "ZYX"
        assert volume.spacing == pytest.approx({"Z": 0.5, "Y": 0.1, "X": 0.1})


def test_the_largest_level_of_a_tiff_pyramid_is_read(tmp_path, zarr):
    path = tmp_path / "pyramid.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(DATA[0], subifds=1, tile=(16, 16), photometric="minisblack")
        tiff.write(DATA[0, ::2, ::2], subfiletype=1, tile=(16, 16), photometric="minisblack")
    volume = open_volume(path)
    assert volume.shape == DATA[0].shape
    np.testing.assert_array_equal(volume[3:9, 2:], DATA[0, 3:9, 2:])


@pytest.mark.parametrize("form", [2, 3])
@pytest.mark.parametrize("shards", [False, True])
def test_zarr_arrays(tmp_path, zarr, form, shards):
    if form == 2 and shards:
        with pytest.raises(ValueError, match=r"(?i)shard"):
            zarr.create_array(tmp_path / "a.zarr", shape=(8,), chunks=(4,), shards=(8,), dtype="u2", zarr_format=2)
        return
    options = {"shards": (6, 16, 16)} if shards else {}
    array = zarr.create_array(
        tmp_path / "a.zarr",
        shape=DATA.shape,
        chunks=(3, 8, 8),
        dtype="u2",
        zarr_format=form,
        attributes={"who": "me"},
        **options,
    )
    array[...] = DATA
    volume = open_volume(tmp_path / "a.zarr")
    assert (volume.shape, volume.dtype, volume.pieces) == (DATA.shape, "uint16", (3, 8, 8))
    np.testing.assert_array_equal(volume[1:5, 7:9, 3:30], DATA[1:5, 7:9, 3:30])
    out = zarr.open_array(copied(volume, tmp_path / "b.zarr"), mode="r")
    assert out.metadata.zarr_format == form
    assert dict(out.attrs) == {"who": "me"}
    np.testing.assert_array_equal(out[...], DATA)


def test_groups(tmp_path, zarr):
    group = zarr.create_group(tmp_path / "g.zarr")
    with pytest.raises(ValueError, match=r"g\.zarr is a Zarr group with nothing in it; pass the path of one within"):
        open_volume(tmp_path / "g.zarr")
    group.create_array("only", data=DATA, dimension_names=("z", "y", "x"), attributes={"gain": 2})
    volume = open_volume(tmp_path / "g.zarr")
    assert (volume.shape, volume.axes) == (DATA.shape, "ZYX")
    assert dict(zarr.open_array(copied(volume, tmp_path / "c.zarr"), mode="r").attrs) == {"gain": 2}
    group.create_array("another", data=DATA)
    with pytest.raises(ValueError, match=r"with the arrays another, only; pass the path of one within"):
        open_volume(tmp_path / "g.zarr")
    assert open_volume(tmp_path / "g.zarr" / "only").shape == DATA.shape
    zarr.create_group(tmp_path / "h.zarr").create_group("series").create_array("0", data=DATA)
    with pytest.raises(ValueError, match=r"no array but the groups series; pass the path of one within"):
        open_volume(tmp_path / "h.zarr")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("shape", [(6, 20, 30), (5, 21, 27)])
def test_ome_zarr_keeps_its_metadata_and_gets_a_pyramid(tmp_path, zarr, version, shape):
    data = RNG.integers(0, 60000, shape).astype(np.uint16)
    source = ome_zarr(zarr, tmp_path / "in.zarr", data, version)
    volume = open_volume(source)
    assert (volume.shape, volume.axes, volume.spacing) == (shape, "ZYX", {"Z": 0.5, "Y": 0.1, "X": 0.1})
    out = zarr.open_group(copied(volume, tmp_path / "out.zarr"), mode="r")
    before = zarr.open_group(source, mode="r")
    assert out.metadata.zarr_format == before.metadata.zarr_format
    assert dict(out.attrs) == dict(before.attrs)
    for name in "012":
        assert out[name].shape == before[name].shape
        assert out[name].dtype == np.float32
        if version == "0.4":
            assert out[name].metadata.dimension_separator == "/"
        else:
            assert out[name].metadata.dimension_names == ("z", "y", "x")
    np.testing.assert_array_equal(out["0"][...], data)
    # Means over two by two, of what is inside.
    full = data.astype(float)
    even = full[:, : shape[1] // 2 * 2, : shape[2] // 2 * 2]
    means = even.reshape(shape[0], shape[1] // 2, 2, shape[2] // 2, 2).mean((2, 4))
    np.testing.assert_allclose(out["1"][:, : means.shape[1], : means.shape[2]], means, rtol=1e-6)
    np.testing.assert_allclose(out["1"][:, -1, 0], full[:, (shape[1] - 1) // 2 * 2 :, :2].mean((1, 2)), rtol=1e-6)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_other_readers_read_our_ome_zarr(tmp_path, zarr, version):
    reader = pytest.importorskip("ome_zarr.reader", reason="ome-zarr, an independent reader, is not installed")
    from ome_zarr.io import parse_url

    source = ome_zarr(zarr, tmp_path / "in.zarr", DATA, version)
    out = copied(open_volume(source), tmp_path / "out.zarr")
    (node, *_) = list(reader.Reader(parse_url(out))())
    assert [level.shape for level in node.data] == [(6, 20, 30), (6, 10, 15), (6, 5, 8)]
    np.testing.assert_array_equal(np.asarray(node.data[0]), DATA)
    assert [axis["name"] for axis in node.metadata["axes"]] == ["z", "y", "x"]


def test_time_and_channels_of_ome_zarr(tmp_path, zarr):
    data = RNG.random((2, 3, 4, 16, 18)).astype(np.float32)
    path = ome_zarr(zarr, tmp_path / "in.zarr", data, axes="tczyx", scale=(1, 1, 0.5, 0.1, 0.1), levels=2)
    volume = open_volume(path)
    assert (volume.axes, volume.spacing) == ("TCZYX", {"Z": 0.5, "Y": 0.1, "X": 0.1})


def test_units_and_transformations_of_the_whole_multiply(tmp_path, zarr):
    path = ome_zarr(zarr, tmp_path / "in.zarr", DATA, scale=(500, 100, 100))
    group = zarr.open_group(path, mode="r+")
    scales = group.attrs["multiscales"]
    for axis in scales[0]["axes"]:
        axis["unit"] = "nanometer"
    scales[0]["coordinateTransformations"] = [{"type": "scale", "scale": [2, 1, 1]}]
    group.attrs["multiscales"] = scales
    assert open_volume(path).spacing == pytest.approx({"Z": 1.0, "Y": 0.1, "X": 0.1})


@pytest.mark.parametrize(
    "damage",
    [
        {"datasets": []},
        {"datasets": [{"path": "../../elsewhere"}]},
        {"datasets": [{"path": "/etc"}]},
        {"axes": 3},
        {"datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1]}]}]},
    ],
)
def test_damaged_attributes_are_told(damage):
    whole = {"axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "0"}]}
    assert _multiscale.of({"multiscales": [whole]}).paths == ("0",)
    with pytest.raises(ValueError, match=r"attributes of an OME-Zarr image are damaged .*pass the array within"):
        _multiscale.of({"multiscales": [whole | damage]})


def test_what_is_no_volume_is_told(tmp_path, zarr, monkeypatch):
    with pytest.raises(FileNotFoundError, match="does not exist; check the name"):
        open_volume(tmp_path / "missing.zarr")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="is a folder but no Zarr array"):
        open_volume(tmp_path / "folder")
    (tmp_path / "a.png").touch()
    with pytest.raises(ValueError, match=r"a\.png cannot be read piece by piece; pass one of \.zarr, \.tif"):
        open_volume(tmp_path / "a.png")
    np.save(tmp_path / "c.npy", np.zeros((3, 3), complex))
    with pytest.raises(ValueError, match=r"holds complex128 of shape .*real numbers"):
        open_volume(tmp_path / "c.npy")
    np.save(tmp_path / "e.npy", np.zeros((3, 0)))
    with pytest.raises(ValueError, match="non-empty"):
        open_volume(tmp_path / "e.npy")
    monkeypatch.setitem(__import__("sys").modules, "zarr", None)
    with pytest.raises(ImportError, match=r"pip install 'sigdeconv\[chunked\]'"):
        open_volume(tmp_path / "folder")


def test_a_file_that_was_replaced_is_read_anew(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, DATA)
    volume = open_volume(path)
    assert volume[0, 0, 0] == DATA[0, 0, 0]
    np.save(tmp_path / "b.npy", DATA + 1)
    os.replace(tmp_path / "b.npy", path)
    assert volume[0, 0, 0] == DATA[0, 0, 0] + 1


# -- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".zarr", ".tif", ".tiff", ".npy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_format_of_every_format(tmp_path, zarr, suffix, dtype):
    tifffile.imwrite(tmp_path / "ome.tif", DATA, **TIFFS["ome"], photometric="minisblack")
    np.save(tmp_path / "plain.npy", DATA)
    sources = [tmp_path / "ome.tif", tmp_path / "plain.npy", ome_zarr(zarr, tmp_path / "p.zarr", DATA, "0.5")]
    for i, source in enumerate(sources):
        volume = open_volume(source)
        again = open_volume(copied(volume, tmp_path / f"{i}{suffix}", dtype=dtype))
        assert (again.shape, again.dtype) == (DATA.shape, dtype)
        np.testing.assert_array_equal(again[:, :, :], DATA)
        if suffix != ".npy" and volume.spacing:
            assert again.axes == "ZYX"
            assert again.spacing == pytest.approx(volume.spacing)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((30,), "X"),
        ((20, 30), "YX"),
        ((1, 20, 30), "ZYX"),
        ((2, 1, 20, 30), "QQYX"),
        ((2, 2, 2, 2, 8, 9), "QQQQYX"),
        ((20, 30, 3), "YXS"),
        ((20, 30, 2), "YXS"),
        ((3, 20, 30), "SYX"),
        ((4, 3, 20, 30), "ZCYX"),
        ((2, 3, 4, 20, 30), "TCZYX"),
        ((4, 20, 30, 3), "ZYXS"),
        ((1, 1), "YX"),
    ],
)
def test_tiff_takes_every_shape(tmp_path, shape, axes):
    from sigdeconv._volumes import Volume

    like = Volume("x", shape, "float32", axes, {"Y": 0.25, "X": 0.25})
    path = tmp_path / "a.tif"
    target = Target(str(path), str(tmp_path / "w.tif"), shape, "float32", shape, like)
    target.create()
    data = RNG.random(shape).astype(np.float32)
    half = -(-shape[0] // 2)
    target.write((slice(0, half), *[slice(0, n) for n in shape[1:]]), data[:half])
    if half < shape[0]:
        target.write((slice(half, shape[0]), *[slice(0, n) for n in shape[1:]]), data[half:])
    target.finish()
    np.testing.assert_array_equal(tifffile.imread(path).reshape(shape), data)
    np.testing.assert_array_equal(np.squeeze(open_volume(path)[...]), np.squeeze(data))


def test_a_full_disk_is_told_before_the_work(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    for suffix in (".npy", ".tif"):
        target = Target(str(tmp_path / f"o{suffix}"), str(tmp_path / f"w{suffix}"), (8, 9), "float32", (8, 9))
        with pytest.raises(OSError, match=r"takes .* and the disk has .* free; make room") as caught:
            target.create()
        assert caught.value.errno == errno.ENOSPC


def test_file_systems_that_cannot_reserve_are_used_all_the_same(tmp_path, monkeypatch):
    def cannot(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", cannot, raising=False)
    Target(str(tmp_path / "o.npy"), str(tmp_path / "w.npy"), (8, 9), "float32", (8, 9)).create()
    assert np.load(tmp_path / "w.npy").shape == (8, 9)


def test_a_folder_is_replaced_whole(tmp_path, zarr):
    np.save(tmp_path / "a.npy", DATA)
    out = tmp_path / "deep" / "out.zarr"
    out.parent.mkdir()
    (out / "c").mkdir(parents=True)
    (out / "c" / "old").touch()
    copied(open_volume(tmp_path / "a.npy"), out)
    assert not (out / "c" / "old").exists()
    np.testing.assert_array_equal(zarr.open_array(out, mode="r")[...], DATA)


def test_what_a_killed_writer_left_is_removed(tmp_path, zarr):
    np.save(tmp_path / "a.npy", DATA)
    volume = open_volume(tmp_path / "a.npy")
    target = Target(str(tmp_path / "o.zarr"), str(tmp_path / "w.zarr"), DATA.shape, "float32", (6, 20, 30), volume)
    target.create()
    left = Path(target.working) / "c" / "0" / "0.1234.partial"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.touch()
    target.write((slice(0, 6), slice(0, 20), slice(0, 30)), volume[:, :, :])
    target.finish()
    assert not list(tmp_path.rglob("*.partial"))


def test_one_worker_writes_into_two_files_of_one_name(tmp_path):
    # Workers of a cluster outlive a run; what they kept open of it must not swallow the samples of the next.
    for value in (1.0, 2.0):
        target = Target(str(tmp_path / "o.npy"), str(tmp_path / "w.npy"), (4, 4), "float32", (4, 4))
        target.create()
        target.write((slice(0, 4), slice(0, 4)), np.full((4, 4), value, np.float32))
        target.finish()
        assert np.load(tmp_path / "o.npy").min() == value


# -- memory ----------------------------------------------------------------------------------------------------------


def test_memory_is_said_in_words():
    said = [_memory.in_words(x) for x in (0, 999, 1000, 1023, 1024, 1.5 * 2**20, 3 * 2**30, 5e15)]
    assert said[:4] == ["0 bytes", "999 bytes", "1000 bytes", "1023 bytes"]
    assert said[4:] == ["1 KiB", "1.5 MiB", "3 GiB", "4656613 GiB"]


def test_file_cache_of_a_container_counts_as_free(tmp_path, monkeypatch):
    for name, text in {"max": "1000000", "current": "900000", "stat": "anon 100000\ninactive_file 700000\n"}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(_memory, "CGROUPS", (tuple(tmp_path / n for n in ("max", "current", "stat")),))
    assert _memory.available() == 800000
    (tmp_path / "max").write_text("max\n")
    assert _memory.available() > 800000


def test_the_peak_of_some_work():
    result, peak = _memory.peak_of(lambda: np.ones(10**6).sum())
    assert result == 10**6
    assert 8e6 <= peak < 9e6


def test_pieces_on_disk_are_described_in_json(tmp_path):
    np.save(tmp_path / "a.npy", DATA)
    assert json.dumps(open_volume(tmp_path / "a.npy").identity())
