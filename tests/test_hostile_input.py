"""Anything at all is thrown at every public function: a finite result of the right shape comes back, or an error that
names the argument and says what is wanted. No warning, no other exception, and no input is changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sigdeconv
from sigdeconv import Convolution, denoisers, metrics, psf, simulate

IMAGE = np.random.default_rng(1).poisson(20.0, (9, 8)).astype(float)
VOLUME = np.random.default_rng(2).poisson(20.0, (3, 6, 7)).astype(np.float32)
KERNEL = np.array([[0.0, 0.1, 0.0], [0.2, 0.5, 0.1], [0.0, 0.1, 0.0]])
LARGER = np.kron(IMAGE, np.ones((2, 2)))
BEADS = 5 + 200 * np.exp(-(((np.indices((40, 44)) - 20.3) ** 2).sum(axis=0)) / 8)
ROUND = psf.gaussian((9, 8), 1.5)
REMEDY = re.compile(
    r"wanted|pass |must |replace|convert|needs|build|use |give|come from|at least|at most|enlarge|divide |clip|leave |"
    r"positive sum"
)

# Arguments that are arrays are drawn from the first list below, all others from the second.
ARRAYS = {"image", "psf", "weights", "initial", "background", "regularizer", "x", "y", "otf", "stack", "scene"}
ARRAYS |= {"truth", "estimate", "observed", "counts", "model", "frames", "shifts", "readout_noise", "correlation"}


@dataclass(frozen=True)
class Target:
    """A public function, a call of it that is right, and what the shape of its result must be."""

    call: Callable[..., Any]
    good: dict[str, Any]
    shape: Callable[[dict[str, Any]], tuple[int, ...] | None] = lambda arguments: None
    infinite: bool = False  # a figure may be infinite: two images may be equal
    moderate: bool = False  # NaN in is NaN out, and so is what overflows: a matrix asks no questions


def of_image(arguments: dict[str, Any]) -> tuple[int, ...]:
    return np.shape(arguments["image"])


def sampled(image, psf, **options):
    return sigdeconv.unsupervised_wiener(image, psf, burn_in=1, num_iter=2, **options).image


def restored(image, psf, **options):
    return sigdeconv.richardson_lucy(image, psf, **{"num_iter": 3} | options)


def quick(method, **fixed):
    """A method with arguments of its own, unless they are what is thrown."""
    return lambda image, psf=KERNEL, **options: method(image, psf, **(fixed | options))


def super_resolved(frames, psf, **options):
    return sigdeconv.super_resolve(frames, psf, **({"num_iter": 2} | options)).image


def level(image, **options):
    return np.asarray(sigdeconv.estimate_noise(image, **options).sigma)


def blind(image, psf, **options):
    return sigdeconv.blind_richardson_lucy(image, psf, **({"num_iter": 2} | options)).image


def fitted(image, **options):
    return sigdeconv.blind_parametric(image, **options).image


PHOTO = {"image": IMAGE, "psf": KERNEL}
CHOICES = {"boundary": "free", "channel_axis": None}
COUNTS = {"background": 0.0, "weights": None, "tv_weight": 0.0, "initial": None, "tol": 0.0}
ITERATED = {"num_iter": 2, "tol": 0.0}
FRAMES = np.stack([IMAGE, IMAGE + 1, IMAGE[::-1]])
MOUNT = {"depth": 2.0, "sample_index": 1.38, "immersion_index": 1.515, "design_immersion_index": 1.515}
MOUNT |= {"coverslip_index": 1.52, "design_coverslip_index": 1.52, "working_distance": 150.0, "origin": "best"}
MOUNT |= {"coverslip_thickness": 170.0, "design_coverslip_thickness": 170.0}
LENS = {"shape": (3, 4, 5), "wavelength": 0.52, "na": 0.8, "pixel_size": 0.1}
LASER = LENS | MOUNT | {"excitation_wavelength": 0.488, "pinhole": 1.0}
PAIR = {"truth": np.kron(IMAGE, np.ones((2, 2))), "estimate": np.kron(IMAGE, np.ones((2, 2))) + 1}
TARGETS = {
    "inverse_filter": Target(sigdeconv.inverse_filter, PHOTO | {"cutoff": 1e-3} | CHOICES, of_image),
    "wiener": Target(sigdeconv.wiener, PHOTO | {"balance": 0.1, "regularizer": "laplacian"} | CHOICES, of_image),
    "wiener_auto": Target(sigdeconv.wiener, PHOTO | {"regularizer": "laplacian"} | CHOICES, of_image),
    "unsupervised_wiener": Target(sampled, PHOTO | {"regularizer": "laplacian", "rng": 0} | CHOICES, of_image),
    "unsupervised_wiener_counts": Target(
        lambda **options: sigdeconv.unsupervised_wiener(IMAGE, KERNEL, **options).image,
        {"burn_in": 2, "num_iter": 2, "tol": 0.0, "rng": 0},
        lambda arguments: IMAGE.shape,
    ),
    "richardson_lucy": Target(restored, PHOTO | {"accelerate": True, "num_iter": 3} | COUNTS | CHOICES, of_image),
    "richardson_lucy_plain": Target(restored, PHOTO | {"accelerate": False} | COUNTS | CHOICES, of_image),
    "richardson_lucy_biggs_andrews": Target(restored, PHOTO | {"accelerate": "biggs-andrews"} | COUNTS, of_image),
    "richardson_lucy_rules": Target(
        restored,
        PHOTO | {"num_iter": 2, "readout_noise": 0.0, "back_projector": "matched", "stopping": None},
        of_image,
    ),
    "Stopping": Target(
        lambda **options: restored(IMAGE, KERNEL, stopping=sigdeconv.Stopping(**options)),
        {"rule": "risk", "rng": 20100},
        lambda arguments: IMAGE.shape,
    ),
    "total_variation": Target(
        quick(sigdeconv.total_variation, weight=0.1),
        PHOTO | {"sigma": None, "bounds": None, "weights": None, "differences": "round"} | ITERATED | CHOICES,
        of_image,
    ),
    "hyper_laplacian": Target(
        quick(sigdeconv.hyper_laplacian, weight=0.1, num_iter=2), PHOTO | {"power": 0.5, "pooling": 2.0}, of_image
    ),
    "hessian_schatten": Target(
        quick(sigdeconv.hessian_schatten, weight=0.1, num_iter=2), PHOTO | {"norm": None, "boundary": "free"}, of_image
    ),
    "sparse_spikes": Target(
        quick(sigdeconv.sparse_spikes, weight=0.1, num_iter=2), PHOTO | {"bounds": None, "boundary": "free"}, of_image
    ),
    "wavelet_sparse": Target(
        quick(sigdeconv.wavelet_sparse, weight=0.1, num_iter=2),
        PHOTO | {"wavelet": "haar", "levels": 1, "boundary": "free"},
        of_image,
    ),
    "tikhonov": Target(
        quick(sigdeconv.tikhonov, weight=0.1),
        {"image": IMAGE, "weight": 0.1, "regularizer": "laplacian", "weights": None, "bounds": None}
        | ITERATED
        | CHOICES,
        of_image,
    ),
    "landweber": Target(
        sigdeconv.landweber,
        PHOTO | {"step": None, "accelerate": True, "sigma": None, "weights": None, "bounds": None} | ITERATED | CHOICES,
        of_image,
    ),
    "van_cittert": Target(
        sigdeconv.van_cittert, PHOTO | {"step": None, "sigma": None, "bounds": None} | ITERATED | CHOICES, of_image
    ),
    "plug_and_play": Target(
        quick(sigdeconv.plug_and_play, sigma=1.0, denoiser=lambda x, sigma: x),
        PHOTO | {"algorithm": "hqs", "boundary": "free"} | ITERATED,
        of_image,
    ),
    "plug_and_play_auto": Target(quick(sigdeconv.plug_and_play, num_iter=2), PHOTO, of_image),
    "super_resolve": Target(
        super_resolved,
        {"frames": FRAMES, "psf": KERNEL, "shifts": np.zeros((3, 2)), "factor": 2, "pixels": "area", "background": 0.0}
        | {"weights": None, "tv_weight": 0.0, "readout_noise": 0.0}
        | ITERATED
        | CHOICES,
    ),
    "super_resolve_auto": Target(super_resolved, {"frames": FRAMES, "psf": KERNEL}),
    "estimate_noise": Target(
        level,
        {"image": LARGER, "model": "gaussian", "psf": None, "ndim": None} | {"channel_axis": None},
        lambda arguments: (),
    ),
    "estimate_noise_counts": Target(
        level,
        {"image": np.random.default_rng(0).poisson(30.0, (64, 64)), "model": "poisson-gaussian"},
        lambda arguments: (),
    ),
    "blind_richardson_lucy": Target(
        blind,
        PHOTO
        | {"image_iter": 1, "psf_iter": 1, "symmetry": "none", "background": 0.0, "weights": None, "tv_weight": 0.0}
        | ITERATED
        | CHOICES,
        of_image,
    ),
    "blind_parametric": Target(fitted, {"image": LARGER, "bounds": None, "ndim": 2} | CHOICES, of_image),
    "denoisers.collaborative": Target(
        lambda image=IMAGE, sigma=2.0, **options: denoisers.collaborative(image, sigma, **options),
        {"correlation": None, "step": 3},
        lambda arguments: IMAGE.shape,
    ),
    "denoisers.bilateral": Target(lambda image: denoisers.bilateral(image, 2.0), {"image": IMAGE}, of_image),
    "denoisers.non_local_means": Target(
        denoisers.non_local_means, {"image": IMAGE, "sigma": 2.0, "patch_size": 3, "patch_distance": 3}, of_image
    ),
    "denoisers.total_variation_chambolle": Target(
        lambda image, **options: denoisers.total_variation_chambolle(image, 2.0, **options),
        {"image": IMAGE, "num_iter": 3},
        of_image,
    ),
    "denoisers.wavelet": Target(
        lambda **options: denoisers.wavelet(np.kron(IMAGE, np.ones((3, 3))), 2.0, **options), {"method": "BayesShrink"}
    ),
    "Convolution": Target(
        lambda **options: Convolution(**options).otf,
        {"psf": KERNEL, "shape": (5, 6), "boundary": "free", "stride": 1, "center": None, "domain_shape": None},
    ),
    "Convolution.forward": Target(
        lambda x: Convolution(KERNEL, (7, 6)).forward(x),
        {"x": IMAGE},
        lambda arguments: (*np.shape(arguments["x"])[:-2], 7, 6),
        moderate=True,
    ),
    "Convolution.adjoint": Target(
        lambda y: Convolution(KERNEL, (9, 8), boundary="reflect", stride=2).adjoint(y),
        {"y": IMAGE},
        lambda arguments: (*np.shape(arguments["y"])[:-2], 18, 16),
        moderate=True,
    ),
    "Convolution.from_otf": Target(
        lambda **options: Convolution.from_otf(**options).otf,
        {"otf": np.fft.rfft2(np.fft.ifftshift(IMAGE)), "shape": (9, 8)},
    ),
    "psf_to_otf": Target(sigdeconv.psf_to_otf, {"psf": KERNEL, "shape": (9, 8), "center": None}),
    "psf.gaussian": Target(psf.gaussian, {"shape": (5, 7), "sigma": 1.5}),
    "psf.disk": Target(psf.disk, {"radius": 2.5}),
    "psf.motion": Target(psf.motion, {"length": 5.0, "angle": 30.0}),
    "psf.shake": Target(psf.shake, {"shape": (7, 9), "straightness": 0.5, "rng": 0}),
    "psf.airy": Target(
        psf.airy, {"shape": (9, 11), "wavelength": 0.5, "na": 0.8, "pixel_size": 0.1, "obstruction": 0.2}
    ),
    "psf.born_wolf": Target(psf.born_wolf, LENS | {"immersion_index": 1.33, "defocus": "exact", "normalize": True}),
    "psf.gibson_lanni": Target(psf.gibson_lanni, LENS | MOUNT),
    "psf.gibson_lanni_evanescent": Target(
        psf.gibson_lanni, LENS | MOUNT | {"na": 1.45, "design_immersion_index": 1.52, "coverslip_thickness": 171.0}
    ),
    "psf.confocal": Target(psf.confocal, LASER),
    "psf.spinning_disk": Target(psf.spinning_disk, LASER | {"spacing": 5.0}),
    "psf.light_sheet": Target(psf.light_sheet, LENS | MOUNT | {"thickness": 2.0, "offset": 0.0}),
    "psf.telescope": Target(
        psf.telescope, {"shape": (9, 11), "wavelength": 0.5, "diameter": 2.4, "pixel_size": 0.05, "obstruction": 0.3}
    ),
    "psf.moffat": Target(psf.moffat, {"shape": (9, 11), "fwhm": 2.0, "beta": 3.0, "pixel_size": 1.0}),
    "psf.kolmogorov": Target(
        psf.kolmogorov, {"shape": (9, 11), "fwhm": 2.0, "r0": None, "wavelength": None, "pixel_size": 1.0}
    ),
    "psf.kolmogorov_fried": Target(
        psf.kolmogorov, {"shape": (9, 11), "fwhm": None, "r0": 0.1, "wavelength": 0.5, "pixel_size": 1.0}
    ),
    "psf.fwhm": Target(lambda **options: np.nan_to_num(psf.fwhm(**options)), {"psf": ROUND, "pixel_size": 0.1}),
    "psf.fit_gaussian": Target(lambda **options: psf.fit_gaussian(**options).fwhm, {"psf": ROUND}),
    "psf.fit_moffat": Target(lambda **options: psf.fit_moffat(**options).fwhm, {"psf": ROUND}),
    "psf.radial_average": Target(psf.radial_average, {"psf": ROUND}, lambda arguments: np.shape(arguments["psf"])),
    "psf.crop": Target(lambda **options: psf.crop(**options).psf, {"psf": ROUND, "energy": 0.9}),
    "psf.from_stars": Target(
        lambda image, **options: psf.from_stars(image, **options).psf,
        {"image": BEADS, "shape": 11, "pixel_size": 0.1, "max_stars": None},
    ),
    "psf.normalize": Target(psf.normalize, {"psf": KERNEL}, lambda arguments: np.shape(arguments["psf"])),
    "psf.from_beads": Target(
        lambda **options: psf.from_beads(**options).psf,
        {
            "stack": BEADS,
            "shape": None,
            "threshold": None,
            "min_distance": None,
            "max_beads": None,
            "saturation": None,
        },
    ),
    "simulate.blur": Target(
        simulate.blur,
        {"scene": IMAGE, "psf": KERNEL, "boundary": "reflect"},
        lambda arguments: np.shape(arguments["scene"]),
    ),
    "simulate.through_frame": Target(
        lambda **options: simulate.through_frame(**options)[1], {"scene": IMAGE, "psf": KERNEL}
    ),
    "simulate.gaussian_noise": Target(simulate.gaussian_noise, {"image": IMAGE, "sigma": 1.0, "rng": 0}, of_image),
    "simulate.gaussian_noise_bsnr": Target(simulate.gaussian_noise, {"image": IMAGE, "bsnr": 30.0, "rng": 0}, of_image),
    "simulate.poisson_noise": Target(
        simulate.poisson_noise,
        {"image": IMAGE, "photons": 50.0, "background": 1.0, "read_noise": 1.0, "rng": 0},
        of_image,
    ),
    "simulate.poisson_noise_counts": Target(simulate.poisson_noise, {"image": IMAGE, "rng": 0}, of_image),
    "simulate.spikes": Target(simulate.spikes, {"length": 30, "num": 3, "rng": 0}),
    "simulate.spectrum": Target(simulate.spectrum, {"length": 30, "num": 3, "rng": 0}),
    "simulate.stars": Target(simulate.stars, {"shape": (9, 8), "num": 3, "rng": 0}),
    "simulate.siemens_star": Target(simulate.siemens_star, {"shape": (9, 8), "spokes": 6}),
    "simulate.hollow_bars": Target(simulate.hollow_bars, {"shape": (9, 8, 10), "num": 2}),
    "simulate.hollow_spheres": Target(
        simulate.hollow_spheres, {"shape": (9, 8, 10), "num": 2, "radius": 2.0, "rng": 0}
    ),
    "metrics.psnr": Target(metrics.psnr, PAIR | {"data_range": None}, infinite=True),
    "metrics.ssim": Target(metrics.ssim, PAIR | {"data_range": None, "channel_axis": None}),
    "metrics.nrmse": Target(metrics.nrmse, PAIR),
    "metrics.isnr": Target(metrics.isnr, PAIR | {"observed": PAIR["truth"] + 3}, infinite=True),
    "metrics.i_divergence": Target(metrics.i_divergence, {"counts": IMAGE, "model": IMAGE + 1}, infinite=True),
}


class Subclass(np.ndarray):
    """An array of a class of its own, as units and image headers have."""


def hostile_arrays() -> dict[str, Any]:
    """Arrays, and things in the place of arrays, that have broken programs."""
    ones, noise = np.ones((9, 8)), np.random.default_rng(3).random((9, 8)) + 0.5
    holes = {name: noise.copy() for name in ("one NaN", "one inf", "one -inf", "one negative")}
    for array, value in zip(holes.values(), (np.nan, np.inf, -np.inf, -1.0), strict=True):
        array[2, 3] = value
    frozen = noise.copy()
    frozen.flags.writeable = False
    things = {
        **holes,
        "zeros": 0 * ones,
        "flat": ones,
        "one sample": np.pad([[1.0]], ((4, 4), (4, 3))),
        "all NaN": np.nan * ones,
        "negative": -noise,
        "huge": 1e30 * noise,
        "huge single": (1e30 * noise).astype(np.float32),
        "largest single": np.full((9, 8), np.finfo(np.float32).max),
        "largest": np.full((9, 8), np.finfo(np.float64).max),
        "tiny": 1e-30 * noise,
        "tiny single": (1e-30 * noise).astype(np.float32),
        "denormal": 5e-324 * np.ones((9, 8)),
        "denormal single": (1e-44 * ones).astype(np.float32),
        "huge range": np.geomspace(1e-30, 1e30, 72).reshape(9, 8),
        "read-only": frozen,
        "not contiguous": np.repeat(np.repeat(noise, 2, 0), 3, 1)[::2, ::3],
        "reversed": noise[::-1, ::-1],
        "transposed": np.ascontiguousarray(noise.T).T,
        "broadcast": np.broadcast_to(np.float32(3.0), (9, 8)),
        "subclass": noise.view(Subclass),
        "masked, no hole": np.ma.masked_array(noise),
        "masked": np.ma.masked_array(noise, noise > 1.2),
        "list": noise.tolist(),
        "ragged list": [[1.0, 2.0], [3.0]],
        "empty list": [],
        "list of strings": ["a", "b"],
        "tuple of arrays": tuple(noise),
        "zero-size": np.zeros((0, 8)),
        "zero-size behind": np.zeros((9, 0)),
        "0-D": np.array(3.0),
        "1-D": noise[0],
        "3-D": noise.reshape(3, 3, 8),
        "4-D": noise.reshape(3, 3, 2, 4),
        "5-D": noise.reshape(3, 3, 2, 2, 2),
        "colour": np.ones((9, 8, 3)),
        "one pixel": np.ones((1, 1)),
        "larger": np.ones((23, 30)),
        "long": np.ones((1, 100)),
        "bool": noise > 1,
        "object": noise.astype(object),
        "object of anything": np.array([None, "a", {}], object),
        "strings": np.full((9, 8), "7"),
        "bytes": np.full((9, 8), b"7"),
        "dates": np.full((9, 8), np.datetime64("2020-01-01")),
        "durations": np.full((9, 8), np.timedelta64(3, "s")),
        "void": np.zeros((9, 8), [("a", float), ("b", int)]),
        "complex": noise + 0j,
        "big-endian": noise.astype(">f8"),
        "big-endian integers": (100 * noise).astype(">u2"),
        "generator": (value for value in (1.0, 2.0)),
        "none": None,
        "string": "image",
        "empty string": "",
        "number": 3,
        "complex number": 1 + 2j,
        "NaN": float("nan"),
        "dictionary": {"image": 3},
        "set": {1.0, 2.0},
        "function": len,
        "class": np.ndarray,
        "slice": slice(3),
        "bytes string": b"123",
        "operator": Convolution(KERNEL, (9, 8)),
        "other operator": Convolution(np.ones(3), 5),
        "otf operator": Convolution.from_otf(np.ones((9, 5)), (9, 8)),
    }
    for dtype in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32"):
        things[dtype] = (100 * noise).astype(dtype)
    things["longdouble"] = noise.astype(np.longdouble)
    if np.finfo(np.longdouble).max > np.finfo(float).max:
        things["longdouble too large"] = np.full((9, 8), np.finfo(np.longdouble).max)
    for limit in (np.iinfo(np.int64).min, np.iinfo(np.int64).max):
        things[f"int64 {limit}"] = np.full((9, 8), limit)
    things["largest half"] = np.full((9, 8), np.finfo(np.float16).max, np.float16)
    return things


def hostile_values() -> dict[str, Any]:
    """Things in the place of numbers, words and shapes. None is so large that the memory is what fails."""
    nan = float("nan")
    things = [None, True, False, 0, 1, -1, 2, 3, 2.0, 2.5, -0.5, 1e-320, 1e-30, 1e30, 1e308, -1e308, nan, float("inf")]
    things += ["", "x", "3", b"3", "free", "periodic", "zero", "reflect", 1j, [], (), {}, {1}, object, len, [3], (3, 3)]
    things += [[3, 3, 3], [3, 3, 3, 3], (3, -3), (0, 0), (3, 2.5), (3, "a"), (nan, 1), [[3, 3], [3, 3]], [None, 3]]
    things += [np.array([3, 4]), np.array([3.5, 4.5]), np.array(3), np.float32(2.5), np.int8(3), np.bool_(True)]
    things += [
        np.array([]),
        np.array([[3.0]]),
        np.array("3"),
        np.array(["3", "4"]),
        slice(3),
        range(1, 3),
        iter([3, 4]),
    ]
    return {f"{number}: {thing!r}"[:20]: thing for number, thing in enumerate(things)}


# Sizes beside which an array cannot be held; memory is not what is tested here.
LARGE = {1e30, 1e308}


def memory_is_asked(name: str, value: Any) -> bool:
    return name in {"radius", "length", "shape"} and isinstance(value, float) and value in LARGE


def immoderate(value: Any) -> bool:
    """Whether an array holds NaN, or samples whose products overflow."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return False
    largest = np.finfo(np.float32 if value.dtype.itemsize < 8 else np.float64).max / 1e3
    return value.size > 0 and not np.abs(value).max() < largest


def images_of(value: Any) -> Any:
    """What must not change: the samples of an array."""
    return (value.shape, value.dtype, value.tobytes()) if isinstance(value, np.ndarray) else None


def check_message(message: str, names: tuple[str, ...]) -> None:
    """One line that names an argument and says what is wanted."""
    assert "\n" not in message, f"several lines: {message}"
    assert any(re.search(rf"(?<![\w.]){name}\b", message) for name in names), f"no argument is named: {message}"
    assert REMEDY.search(message), f"no remedy: {message}"


def throw(target: Target, arguments: dict[str, Any]) -> bool:
    """Call the function; whether it gave a result. Anything but a result or a helpful refusal fails the test."""
    if target.moderate and any(immoderate(value) for value in arguments.values()):
        return False
    before = {name: images_of(value) for name, value in arguments.items()}
    try:
        result = target.call(**arguments)
    except (TypeError, ValueError) as error:
        check_message(str(error), tuple(target.good))
        return False
    finally:
        for name, value in arguments.items():
            assert images_of(value) == before[name], f"{name} was changed"
    values = np.asarray(result)
    assert values.dtype.kind in "fc"
    assert not np.isnan(values).any(), "NaN came back"
    assert target.infinite or np.isfinite(values).all(), "infinite values came back"
    wanted = target.shape(arguments)
    assert wanted is None or values.shape == tuple(wanted)
    return True


def cases() -> list[Any]:
    """Every argument of every function."""
    return [
        pytest.param(name, argument, id=f"{name}-{argument}")
        for name, target in TARGETS.items()
        for argument in target.good
    ]


@pytest.mark.parametrize(("name", "argument"), cases())
def test_one_hostile_argument(name, argument):
    target = TARGETS[name]
    assert throw(target, target.good), "the call without hostility works"
    things = (hostile_arrays() if argument in ARRAYS else {}) | hostile_values()
    for label, thing in things.items():
        if memory_is_asked(argument, thing):
            continue
        try:
            throw(target, target.good | {argument: thing})
        except Exception as error:
            raise AssertionError(f"{argument} = {label}: {type(error).__name__}: {error}") from error


# Combinations: several arguments at once, and arrays that nobody has thought of

ARRAY_NAMES, VALUE_NAMES = sorted(hostile_arrays()), sorted(hostile_values())
DTYPES = [
    "?",
    "i1",
    "u2",
    ">u2",
    "i4",
    "<i8",
    "u8",
    "f2",
    "f4",
    ">f4",
    "f8",
    ">f8",
    "g",
    "c8",
    "c16",
    "O",
    "U3",
    "M8[s]",
]


@st.composite
def drawn_arrays(draw: st.DrawFn) -> Any:
    """An array of any shape, dtype, memory order and content."""
    shape = tuple(draw(st.lists(st.integers(0, 6), max_size=4)))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    peak = draw(st.sampled_from([0.0, 1.0, 100.0, 1e-30, 1e30, 1e-7, 6e4]))
    values = np.random.default_rng(draw(st.integers(0, 99))).random(shape) - draw(st.sampled_from([0.0, 0.0, 0.3]))
    if values.size and draw(st.integers(0, 4)) == 0:
        values.flat[draw(st.integers(0, values.size - 1))] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -1.0]))
    with np.errstate(all="ignore"):
        whole = dtype.kind in "iuM"
        array = (np.nan_to_num(values * min(peak, 100.0)).astype("i8") if whole else values * peak).astype(dtype)
        array = np.asarray(array)
    order = draw(st.sampled_from(["C", "F", "reversed", "strided", "read-only", "broadcast", "list"]))
    if order == "F":
        array = np.asfortranarray(array)
    elif order == "reversed":
        array = array[(slice(None, None, -1),) * array.ndim]
    elif order == "strided" and array.ndim:
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    elif order == "read-only":
        array.flags.writeable = False
    elif order == "broadcast":
        array = np.broadcast_to(array, (2, *array.shape))
    elif order == "list":
        return array.tolist()
    return array


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if ARRAYS & target.good.keys()])
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_array_at_all(name, data):
    target = TARGETS[name]
    argument = data.draw(st.sampled_from(sorted(ARRAYS & target.good.keys())))
    throw(target, target.good | {argument: data.draw(drawn_arrays())})


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if len(target.good) > 1])
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_several_hostile_arguments(name, data):
    target, arguments = TARGETS[name], {}
    for argument in data.draw(st.lists(st.sampled_from(sorted(target.good)), min_size=2, max_size=3, unique=True)):
        is_array = argument in ARRAYS and data.draw(st.booleans())
        label = data.draw(st.sampled_from(ARRAY_NAMES if is_array else VALUE_NAMES))
        thing = (hostile_arrays() if is_array else hostile_values())[label]
        if not memory_is_asked(argument, thing):
            arguments[argument] = thing
    throw(target, target.good | arguments)


BOUNDED = ["inverse_filter", "wiener", "wiener_auto", "unsupervised_wiener", "richardson_lucy", "total_variation"]
BOUNDED += ["hessian_schatten", "sparse_spikes", "wavelet_sparse", "landweber"]


@pytest.mark.parametrize("name", BOUNDED)
def test_psf_larger_than_the_image_and_images_of_one_sample(name):
    """A finite result, not only a refusal."""
    target, kernel = TARGETS[name], np.random.default_rng(0).random((23, 30))
    for image in (IMAGE, IMAGE[:1], IMAGE[:, :1], IMAGE[:1, :1]):
        for boundary in ("free", "periodic", "zero", "reflect"):
            assert throw(target, target.good | {"image": image, "psf": kernel, "boundary": boundary})


HARD = ("zeros", "flat", "one sample", "negative", "huge", "tiny", "huge range", "one pixel", "long", "uint8")


@pytest.mark.parametrize("name", ["total_variation", "sparse_spikes", "wavelet_sparse", "tikhonov"])
def test_parameters_are_chosen_for_images_that_tell_little(name):
    """Few of them, for each takes many trials."""
    method, things = getattr(sigdeconv, name), hostile_arrays()
    for label in HARD:
        image = things[label]
        assert throw(Target(quick(method, num_iter=2), {"image": IMAGE}, of_image), {"image": image}), label


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int16", "uint8", "bool", "complex64", "float32"])
@pytest.mark.parametrize(
    "name",
    [
        "inverse_filter",
        "wiener_auto",
        "unsupervised_wiener",
        "richardson_lucy",
        "total_variation",
        "hyper_laplacian",
        "hessian_schatten",
        "sparse_spikes",
        "wavelet_sparse",
        "landweber",
        "van_cittert",
        "plug_and_play",
        "blind_richardson_lucy",
    ],
)
def test_tensors_of_any_dtype(name, dtype, torch):
    target = TARGETS[name]
    tensor = torch.asarray(IMAGE).to(getattr(torch, dtype))
    assert throw(target, target.good | {"image": tensor}) == (dtype != "complex64")
    assert throw(target, target.good | {"image": tensor.to_sparse()}) is False
    assert throw(target, target.good | {"psf": tensor}) is False, "a tensor as PSF of an array of another kind"
    empty = target.good | {"image": tensor[:0]}
    assert throw(target, empty) is False
