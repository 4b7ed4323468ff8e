"""Files: what goes in comes out, whole or not at all, and what is damaged is refused."""

from __future__ import annotations

import os
import stat
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from sigdeconv import _formats, io

SHAPES = {"X": (50,), "YX": (20, 30), "ZYX": (7, 20, 30), "CYX": (2, 20, 30), "ZCYX": (7, 2, 20, 30)}
SHAPES |= {"TZCYX": (3, 4, 2, 9, 8), "YXS": (20, 30, 3), "CZYX": (2, 7, 20, 30)}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


def samples(shape: tuple[int, ...], dtype: str, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(shape) * 200).astype(dtype)


# ----------------------------------------------------------------------------------------------- what goes in comes out


@pytest.mark.parametrize("axes", SHAPES)
@pytest.mark.parametrize("dtype", io.DTYPES)
def test_tiff_keeps_samples_axes_and_voxel_size(tmp_path: Path, rng: Any, axes: str, dtype: str) -> None:
    data = samples(SHAPES[axes], dtype, rng)
    spacing = {a: s for a, s in {"Z": 0.3, "Y": 0.0225, "X": 0.05}.items() if a in axes and axes != "X"}
    written = io.write(tmp_path / "a.tif", data, like=io.Picture(data, axes, spacing), dtype=dtype)
    assert written == (tmp_path / "a.tif", dtype, 0)
    back = io.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(back.data, data)
    assert back.data.dtype == dtype
    assert back.axes == axes
    assert back.spacing == pytest.approx(spacing, rel=1e-6)
    assert back.channel_axis == next((axes.index(a) for a in "SC" if a in axes), None)


def test_voxel_sizes_of_imagej_and_ome_are_read_in_micrometres(tmp_path: Path) -> None:
    data = np.ones((3, 8, 9), "float32")
    resolution = (1 / 22.5, 1 / 30)
    for unit, scale in (("nm", 1e-3), ("micron", 1), ("\\u00B5m", 1), ("um", 1), ("mm", 1000)):
        metadata = {"axes": "ZYX", "unit": unit, "spacing": 125.0}
        tifffile.imwrite(tmp_path / "i.tif", data, imagej=True, resolution=resolution, metadata=metadata)
        wanted = {"Z": 125 * scale, "Y": 30 * scale, "X": 22.5 * scale}
        assert io.read(tmp_path / "i.tif").spacing == pytest.approx(wanted, rel=1e-6), unit
    for unit in ("inch", "pixel"):  # what ImageJ says of an image that was never calibrated
        tifffile.imwrite(tmp_path / "i.tif", data, imagej=True, resolution=(72, 72), metadata={"unit": unit})
        assert io.read(tmp_path / "i.tif").spacing == {}
    metadata = {"axes": "ZYX", "PhysicalSizeX": 22.5, "PhysicalSizeXUnit": "nm", "PhysicalSizeZ": 0.3}
    tifffile.imwrite(tmp_path / "o.ome.tif", data, ome=True, metadata=metadata)
    assert io.read(tmp_path / "o.ome.tif").spacing == pytest.approx({"X": 0.0225, "Z": 0.3})


def test_a_page_for_each_section_without_any_metadata(tmp_path: Path, rng: Any) -> None:
    data = samples((5, 8, 9), "uint16", rng)
    tifffile.imwrite(tmp_path / "a.tif", data, metadata=None, byteorder=">")
    back = io.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(back.data, data)
    assert back.axes == "QYX"
    assert back.data.dtype.isnative
    io.write(tmp_path / "b.tif", back.data, like=back)
    assert io.read(tmp_path / "b.tif").axes == "ZYX"  # a stack, to ImageJ


def test_bigtiff_where_offsets_need_64_bits(tmp_path: Path, rng: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = samples((7, 20, 30), "float32", rng)
    picture = io.Picture(data, "ZYX", {"Z": 0.5, "Y": 0.1, "X": 0.1})
    for limit, big in ((data.nbytes, False), (data.nbytes - 1, True)):
        monkeypatch.setattr(_formats, "CLASSIC_TIFF", limit)
        io.write(tmp_path / "a.tif", data, like=picture, overwrite=True)
        with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
            assert tiff.is_bigtiff == big
        back = io.read(tmp_path / "a.tif")
        np.testing.assert_array_equal(back.data, data)
        assert back.spacing == pytest.approx(picture.spacing)


def test_planar_colours_come_last(tmp_path: Path, rng: Any) -> None:
    data = samples((3, 20, 30), "uint8", rng)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", planarconfig="separate", metadata=None)
    back = io.read(tmp_path / "a.tif")
    assert back.axes == "YXS"
    np.testing.assert_array_equal(back.data, np.moveaxis(data, 0, -1))


def test_of_several_series_the_first_is_read_and_it_is_said(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(np.zeros((4, 5), "uint8"), metadata=None)
        tiff.write(np.zeros((6, 7), "uint8"), metadata=None)
    back = io.read(tmp_path / "a.tif")
    assert back.data.shape == (4, 5)
    assert "2 series" in back.notes[0]


@pytest.mark.parametrize(("shape", "dtype"), [((20, 30), "uint8"), ((20, 30), "uint16"), ((20, 30, 3), "uint8")])
def test_png_keeps_samples(tmp_path: Path, rng: Any, shape: tuple[int, ...], dtype: str) -> None:
    data = samples(shape, dtype, rng)
    assert io.write(tmp_path / "a.png", data).dtype == dtype
    back = io.read(tmp_path / "a.png")
    np.testing.assert_array_equal(back.data, data)
    assert back.data.dtype == dtype
    assert back.axes == ("YXS" if len(shape) == 3 else "YX")


def test_png_opacity_and_profile_go_through_untouched(tmp_path: Path, rng: Any) -> None:
    rgba = samples((20, 30, 4), "uint8", rng)
    Image.fromarray(rgba).save(tmp_path / "a.png", icc_profile=b"a profile")
    back = io.read(tmp_path / "a.png")
    assert back.data.shape == (20, 30, 3)
    io.write(tmp_path / "b.png", back.data.astype(float), like=back)
    with Image.open(tmp_path / "b.png") as image:
        np.testing.assert_array_equal(np.asarray(image), rgba)
        assert image.info["icc_profile"] == b"a profile"


def test_jpeg_is_close_and_upright(tmp_path: Path) -> None:
    y, x = np.mgrid[:32, :48]
    data = np.stack([5 * x, 7 * y, x + y], axis=-1).astype("uint8")
    io.write(tmp_path / "a.jpg", data)
    assert np.abs(io.read(tmp_path / "a.jpg").data.astype(int) - data).max() < 12
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.fromarray(data).save(tmp_path / "b.jpg", exif=exif)
    assert io.read(tmp_path / "b.jpg").data.shape == (48, 32, 3)


def test_fits_keeps_the_header_and_finds_the_first_array(tmp_path: Path, rng: Any) -> None:
    fits = pytest.importorskip("astropy.io.fits", reason="astropy is not installed")
    data = samples((20, 30), "int16", rng)
    science = fits.ImageHDU(data, name="SCI")
    science.header["CRVAL1"] = 83.63
    science.header["BLANK"] = -1  # of integers only
    primary = fits.PrimaryHDU()
    primary.header["TELESCOP"] = "HST"
    fits.HDUList([primary, science, fits.ImageHDU(np.zeros((4, 4), "int16"), name="DQ")]).writeto(
        tmp_path / "a.fits", checksum=True
    )
    back = io.read(tmp_path / "a.fits")
    np.testing.assert_array_equal(back.data, data)
    assert back.data.dtype.isnative
    assert "2 arrays" in back.notes[0]
    io.write(tmp_path / "b.fits", back.data / 3, like=back)
    with fits.open(tmp_path / "b.fits", checksum=True) as units:  # warns of one that is untrue
        units.verify("exception")
        assert not {"CHECKSUM", "BLANK", "EXTNAME"} & set(units[0].header)
        assert units[0].header["CRVAL1"] == 83.63
        assert units[0].header["TELESCOP"] == "HST"
        np.testing.assert_array_equal(units[0].data, (data / 3).astype("float32"))


def test_fits_scaling_does_not_outlive_the_integers(tmp_path: Path) -> None:
    fits = pytest.importorskip("astropy.io.fits", reason="astropy is not installed")
    unit = fits.PrimaryHDU(np.arange(12, dtype="uint16").reshape(3, 4) + 40000)  # stored with BZERO 32768
    unit.writeto(tmp_path / "a.fits")
    back = io.read(tmp_path / "a.fits")
    assert back.data.max() == 40011
    io.write(tmp_path / "b.fits", back.data, like=back)
    np.testing.assert_array_equal(io.read(tmp_path / "b.fits").data, back.data)


def test_fits_without_astropy_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.fits").write_bytes(b"SIMPLE")
    monkeypatch.setitem(sys.modules, "astropy.io", None)
    for act in (lambda: io.read(tmp_path / "a.fits"), lambda: io.write(tmp_path / "b.fits", np.ones(3))):
        with pytest.raises(ImportError, match=r"pip install sigdeconv\[fits\]"):
            act()


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "float16", "float64", ">f4"])
def test_npy_of_any_real_dtype(tmp_path: Path, rng: Any, dtype: str) -> None:
    data = samples((4, 5, 6), "uint8", rng).clip(0, 100).astype(dtype)
    np.save(tmp_path / "a.npy", data)
    back = io.read(tmp_path / "a.npy")
    np.testing.assert_array_equal(back.data, data)
    assert back.data.dtype.isnative
    assert back.axes == "QYX"


# ------------------------------------------------------------------------------------------ dtypes: nothing is rescaled


def test_float32_unless_asked_otherwise(tmp_path: Path) -> None:
    data = np.linspace(-5, 1e6, 12).reshape(3, 4)
    for name in ("a.tif", "a.npy"):
        assert io.write(tmp_path / name, data).dtype == "float32"
        np.testing.assert_array_equal(io.read(tmp_path / name).data, data.astype("float32"))
    assert io.write(tmp_path / "b.npy", data, dtype="float64").dtype == "float64"
    with pytest.raises(ValueError, match="do not fit float32; pass float64"):
        io.write(tmp_path / "c.npy", data * 1e40)


def test_integers_are_rounded_and_what_does_not_fit_is_refused_or_counted(tmp_path: Path) -> None:
    data = np.array([[-0.4, 0.6, 254.5], [255.4, 255.6, -3.0]])
    like = io.Picture(np.zeros((2, 3), "uint8"), "YX")
    with pytest.raises(ValueError, match=r"2 of 6 samples .* do not fit uint8 \(0 to 255\); pass clip"):
        io.write(tmp_path / "a.png", data, like=like)
    assert not list(tmp_path.iterdir())
    assert io.write(tmp_path / "a.png", data, like=like, clip=True).clipped == 2
    np.testing.assert_array_equal(io.read(tmp_path / "a.png").data, [[0, 1, 254], [255, 255, 0]])
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        io.write(tmp_path / "b.png", np.array([[np.nan, 1.0]]), like=like, clip=True)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.png", np.ones((4, 5), "float32"), "cannot hold float32; pass dtype uint8 or uint16"),
        ("a.jpg", np.ones((4, 5), "uint16"), "cannot hold uint16; pass dtype uint8"),
        ("a.png", np.ones((4, 5, 6), "uint8"), r"got \(4, 5, 6\); write a .tif"),
        ("a.png", np.ones((4, 5, 3), "uint16"), "16-bit colours"),
        ("a.tif", np.ones((4, 5), "complex64"), "real numbers"),
        ("a.tif", np.ones((0, 5)), "non-empty"),
        ("a.xyz", np.ones((4, 5)), "'.xyz'; pass one of .tif"),
        ("a", np.ones((4, 5)), "no extension"),
    ],
)
def test_what_a_format_cannot_hold_is_said_before_any_work(tmp_path: Path, name: str, data: Any, message: str) -> None:
    for act in (io.check_output, io.write):
        with pytest.raises(ValueError, match=message):
            act(tmp_path / name, data)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------ whole, or not at all


class Broken(BaseException):
    """Stands for Ctrl-C, a full disk, a crash."""


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError(), Broken()]
)
@pytest.mark.parametrize("when", ["writing", "fsync", "rename"])
def test_a_failure_leaves_neither_half_a_result_nor_a_changed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, when: str
) -> None:
    path = tmp_path / "a.npy"
    io.write(path, np.arange(5.0))
    before = path.read_bytes()

    def fail(*_: Any, **__: Any) -> None:
        if when == "writing":
            _[0].write(b"half a res")
        assert [p for p in tmp_path.iterdir() if p != path], "the file is not written under another name"
        raise error

    where = {"writing": (np, "save"), "fsync": (os, "fsync"), "rename": (os, "replace")}[when]
    monkeypatch.setattr(*where, fail)
    with pytest.raises(type(error)):
        io.write(path, np.zeros(5), overwrite=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_is_kept_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    io.write(path, np.arange(5.0))
    for act in (io.write, io.check_output):
        with pytest.raises(FileExistsError, match="exists; pass another name, or overwrite"):
            act(path, np.zeros(5))
    picture = io.read(path)
    path.chmod(0o640)
    io.write(path, picture.data + 1, like=picture, overwrite=True)
    np.testing.assert_array_equal(io.read(path).data, np.arange(5) + 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_is_followed_and_the_mode_is_the_usual_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "a.npy", tmp_path / "link.npy"
    io.write(target, np.zeros(3))
    (tmp_path / "usual").touch()
    assert target.stat().st_mode == (tmp_path / "usual").stat().st_mode
    link.symlink_to(target)
    io.write(link, np.ones(3), overwrite=True)
    assert link.is_symlink()
    assert io.read(target).data.tolist() == [1, 1, 1]


def test_wrong_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="folder that does not exist; make"):
        io.write(tmp_path / "no" / "a.npy", np.ones(3))
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(FileExistsError, match="is no file"):
        io.write(tmp_path / "folder.npy", np.ones(3), overwrite=True)
    with pytest.raises(IsADirectoryError, match="is no file"):
        io.read(tmp_path / "folder.npy")
    with pytest.raises(FileNotFoundError, match="does not exist; check"):
        io.read(tmp_path / "b.npy")
    monkeypatch.setattr(os, "access", lambda *_: False)  # the superuser may write anywhere
    with pytest.raises(PermissionError, match="may not be written to"):
        io.write(tmp_path / "a.npy", np.ones(3))


# ------------------------------------------------------------------------------------------------------- damaged files


def whole_files(folder: Path, rng: np.random.Generator) -> list[Path]:
    volume, flat = samples((9, 20, 25), "float32", rng), samples((20, 25), "uint8", rng)
    paths = [folder / name for name in ("imagej.tif", "pages.tif", "apart.tif", "zlib.tif", "ome.tif")]
    tifffile.imwrite(paths[0], volume, imagej=True)
    tifffile.imwrite(paths[1], volume, metadata=None)
    with tifffile.TiffWriter(paths[2]) as tiff:
        for page in volume:
            tiff.write(page, contiguous=False, metadata=None)
    tifffile.imwrite(paths[3], volume, compression="zlib")
    tifffile.imwrite(paths[4], volume, ome=True)
    for name, data in (("a.png", flat), ("a.jpg", flat), ("a.npy", volume)):
        io.write(folder / name, data)
        paths.append(folder / name)
    return paths


def test_a_truncated_file_is_never_a_smaller_picture(tmp_path: Path, rng: Any) -> None:
    for path in whole_files(tmp_path, rng):
        wanted, content = io.read(path).data, path.read_bytes()
        refused = 0
        for size in [0, 1, 7, *np.linspace(8, len(content) - 1, 25).astype(int)]:
            path.write_bytes(content[:size])
            try:
                data = io.read(path).data
            except ValueError as error:
                message = str(error)
                refused += message.startswith(str(path)) and "\n" not in message
            else:  # what was cut off was no part of the samples
                np.testing.assert_array_equal(data, wanted)
        assert refused > 20, path.name


def test_truncated_fits(tmp_path: Path, rng: Any) -> None:
    pytest.importorskip("astropy.io.fits", reason="astropy is not installed")
    path = tmp_path / "a.fits"
    io.write(path, samples((40, 50), "float32", rng))
    content = path.read_bytes()
    for share in (0.1, 0.5, 0.95):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ValueError, match="cannot be read as FITS"):
            io.read(path)


def test_files_that_are_not_what_their_name_says(tmp_path: Path) -> None:
    for suffix in (".png", ".jpg", ".tif", ".npy"):
        (tmp_path / f"a{suffix}").write_text("not at all what it is called\n" * 5)
        with pytest.raises(ValueError, match=r"cannot be read as \w+: .*is it whole"):
            io.read(tmp_path / f"a{suffix}")
    np.save(tmp_path / "o.npy", np.array([{}, None]), allow_pickle=True)
    with pytest.raises(ValueError, match="cannot be read as NPY"):
        io.read(tmp_path / "o.npy")
    np.save(tmp_path / "c.npy", np.ones(3, "complex128"))
    with pytest.raises(ValueError, match="holds complex128"):
        io.read(tmp_path / "c.npy")
    np.save(tmp_path / "e.npy", np.ones((3, 0)))
    with pytest.raises(ValueError, match="empty array"):
        io.read(tmp_path / "e.npy")


def test_sixteen_bit_colours_are_refused_rather_than_cut_to_eight(tmp_path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" + bytes(range(12))))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + pixels + chunk(b"IEND", b""))
    with pytest.raises(ValueError, match="16-bit colours, which would be cut to 8 bits; save it as TIFF"):
        io.read(tmp_path / "a.png")


def test_real_stacks_say_their_voxel_size() -> None:
    here = Path(os.environ.get("SIGDECONV_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (here / "confocal_beads.tif").exists():
        pytest.skip("the development data are not here (set SIGDECONV_DATA)")
    beads = io.read(here / "confocal_beads.tif")
    assert beads.data.shape == (41, 150, 150)
    assert beads.axes == "ZYX"
    assert beads.spacing == pytest.approx({"Z": 0.125, "Y": 0.0225, "X": 0.0225}, rel=1e-3)
