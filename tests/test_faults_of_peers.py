"""What deconvolution programs are known to get wrong, one property a test: none of it may be true here."""

from __future__ import annotations

import tracemalloc
from functools import cache

import numpy as np
import pytest
import scipy.fft

from sigdeconv import (
    Convolution,
    hyper_laplacian,
    inverse_filter,
    landweber,
    psf,
    psf_to_otf,
    richardson_lucy,
    tikhonov,
    total_variation,
    unsupervised_wiener,
    wavelet_sparse,
    wiener,
)
from sigdeconv.convolution import BOUNDARIES

ACCELERATIONS = (True, False, "biggs-andrews", "heavy-ball")


def prior(method, **options):
    """A method with a prior, whose weight is a small share of the brightest sample."""

    def restore(y, h, boundary):
        weight = 2e-5 * max(float(np.max(np.abs(y), initial=0, where=np.isfinite(y))), 1e-30)
        return method(y, h, weight=weight, boundary=boundary, num_iter=150, **options)

    return restore


# Every method, as a function of image, PSF and boundary.
METHODS = {
    "inverse": lambda y, h, boundary: inverse_filter(y, h, boundary=boundary),
    "wiener": lambda y, h, boundary: wiener(y, h, boundary=boundary),
    "wiener, given balance": lambda y, h, boundary: wiener(y, h, balance=1e-3, boundary=boundary),
    "unsupervised": lambda y, h, boundary: unsupervised_wiener(y, h, boundary=boundary, rng=0, num_iter=40).image,
    "richardson-lucy": lambda y, h, boundary: richardson_lucy(y, h, num_iter=20, boundary=boundary),
    "unaccelerated": lambda y, h, boundary: richardson_lucy(y, h, num_iter=20, boundary=boundary, accelerate=False),
    "biggs-andrews": lambda y, h, boundary: richardson_lucy(
        y, h, num_iter=20, boundary=boundary, accelerate="biggs-andrews"
    ),
    "heavy-ball": lambda y, h, boundary: richardson_lucy(y, h, num_iter=20, boundary=boundary, accelerate="heavy-ball"),
    "richardson-lucy, tv": lambda y, h, boundary: richardson_lucy(
        y, h, num_iter=20, boundary=boundary, tv_weight=0.002
    ),
    "tikhonov": lambda y, h, boundary: tikhonov(y, h, weight=1e-3, boundary=boundary),
    "tikhonov, chosen weight": lambda y, h, boundary: tikhonov(y, h, boundary=boundary),
    "landweber": lambda y, h, boundary: landweber(y, h, num_iter=40, boundary=boundary),
    "total variation": prior(total_variation),
    "hyper-laplacian": prior(hyper_laplacian),
    "wavelets": prior(wavelet_sparse),
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)

# Sizes of PSF and frame in one to three dimensions.
SHAPES = {
    "1-D odd": ((7,), (41,)),
    "1-D even": ((8,), (40,)),
    "2-D odd": ((5, 7), (31, 33)),
    "2-D even": ((6, 8), (32, 30)),
    "2-D mixed": ((6, 5), (31, 30)),
    "3-D odd": ((3, 5, 5), (17, 23, 21)),
    "3-D even": ((4, 4, 6), (16, 18, 16)),
}
every_shape = pytest.mark.parametrize(("taps", "frame"), SHAPES.values(), ids=SHAPES)


def lopsided(taps: tuple[int, ...]) -> np.ndarray:
    """A PSF without any symmetry, whose brightest sample is not its origin and whose axes differ."""
    kernel = np.ones(())
    for axis, k in enumerate(taps):
        place = np.arange(k) - k // 2
        kernel = kernel[..., None] * np.exp(-0.5 * ((place - 0.7) / (0.7 + 0.2 * axis)) ** 2)
    tail = np.random.default_rng(0).random(taps)
    kernel = kernel / kernel.sum() + 0.1 * tail / tail.sum()
    return kernel / kernel.sum()


def by_loops(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Periodic convolution by its definition; sample ``n // 2`` of the kernel stays in place."""
    y = np.zeros_like(x)
    for index in np.ndindex(kernel.shape):
        y += kernel[index] * np.roll(x, [i - k // 2 for i, k in zip(index, kernel.shape, strict=True)], range(x.ndim))
    return y


def point(frame: tuple[int, ...], flux: float = 1.0) -> np.ndarray:
    x = np.zeros(frame)
    x[tuple(n // 2 for n in frame)] = flux
    return x


def centroid(x: np.ndarray) -> np.ndarray:
    return np.array([(i * x).sum() for i in np.indices(x.shape)]) / x.sum()


# The adjoint is the adjoint


@every_shape
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_flux_stays_one_after_two_hundred_iterations(taps, frame, boundary):
    y = by_loops(point(frame), lopsided(taps))
    for accelerate in (True, False):
        restored = richardson_lucy(y, lopsided(taps), num_iter=200, boundary=boundary, accelerate=accelerate)
        assert restored.sum() == pytest.approx(1.0, abs=1e-3)
        assert restored[tuple(n // 2 for n in frame)] > 0.9


# A flat scene stays flat up to the frame


@pytest.mark.parametrize("kernel", [np.ones((9, 9)) / 81, np.ones((8, 8)) / 64, lopsided((6, 7)), psf.disk(4)])
@pytest.mark.parametrize("boundary", ["free", "periodic", "reflect"])
@pytest.mark.parametrize("accelerate", ACCELERATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_flat_scene_stays_flat_for_two_hundred_iterations(kernel, boundary, accelerate, dtype):
    flat = np.full((37, 40), 100, dtype)
    restored = richardson_lucy(flat, kernel, num_iter=200, boundary=boundary, accelerate=accelerate)
    assert np.abs(restored / 100 - 1).max() < 1e-4


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
def test_a_flat_volume_and_a_flat_line_stay_flat(accelerate):
    for taps, frame in (((9,), (50,)), ((5, 4, 6), (12, 13, 14))):
        kernel = np.ones(taps) / np.prod(taps)
        restored = richardson_lucy(np.full(frame, 100.0), kernel, num_iter=200, accelerate=accelerate)
        assert np.abs(restored / 100 - 1).max() < 1e-4


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
def test_a_flat_scene_stays_flat_with_background_weights_and_prior(accelerate):
    weights = np.random.default_rng(0).random((37, 40)) + 0.1
    weights[5:9, 30:] = 0
    options = {"background": 20.0, "weights": weights, "tv_weight": 0.01}
    restored = richardson_lucy(
        np.full((37, 40), 120.0), np.ones((9, 9)), num_iter=200, accelerate=accelerate, **options
    )
    # Without a line search the prior's steps are too long for differences that it counts as flat: a thousandth.
    assert np.abs(restored * 81 / 100 - 1).max() < (1e-4 if accelerate is True else 2e-3)


@pytest.mark.parametrize("boundary", ["free", "periodic", "reflect"])
@pytest.mark.parametrize("method", ["inverse", "wiener", "wiener, given balance", "unsupervised"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_flat_scene_stays_flat_in_the_closed_forms(method, boundary, dtype):
    for kernel in (np.ones((9, 9)) / 81, lopsided((6, 7))):
        restored = METHODS[method](np.full((37, 40), 100, dtype), kernel, boundary)
        assert np.abs(restored / 100 - 1).max() < 1e-4


# Nothing moves


@every_method
@every_shape
@pytest.mark.parametrize("boundary", ["free", "periodic"])
def test_nothing_moves(method, taps, frame, boundary):
    y = by_loops(point(frame, 1000.0), lopsided(taps))
    assert np.abs(centroid(y) - [n // 2 for n in frame]).max() > 0.1, "this PSF shifts the light, so the test can fail"
    restored = method(y, lopsided(taps), boundary)
    middle = tuple(slice(n // 2 - 3, n // 2 + 4) for n in frame)
    # the light itself, not faint ripples far away
    about = np.maximum(restored[middle], 0)
    about = np.where(about > 0.02 * about.max(), about, 0)
    assert np.abs(centroid(about) - 3).max() < 0.05
    assert np.unravel_index(restored.argmax(), frame) == tuple(n // 2 for n in frame)


@every_method
def test_a_point_as_psf_changes_nothing(method):
    y = coins().astype(float)
    for n in (1, 2, 3, 4, 5):
        for boundary in ("free", "periodic"):
            restored = method(y, point((n, n)), boundary)
            assert np.corrcoef(restored.ravel(), y.ravel())[0, 1] > 0.995


# Phase counts


@pytest.mark.parametrize("shape", [(32, 30), (31, 33), (16, 15, 14), (64,)])
def test_a_transfer_function_counts_with_its_phase(shape):
    kernel = lopsided((6, 7, 4)[: len(shape)])
    otf = np.fft.rfftn(by_loops(np.fft.ifftshift(point(shape)), kernel))
    assert np.abs(otf.imag).max() > 0.1
    blur = Convolution.from_otf(otf, shape)
    x = point(shape)
    y = by_loops(x, kernel)
    for restore in (
        lambda h: wiener(y, h, balance=1e-6, boundary="periodic"),
        lambda h: inverse_filter(y, h),
        lambda h: richardson_lucy(y, h, num_iter=100, boundary="periodic"),
        lambda h: unsupervised_wiener(y, h, boundary="periodic", rng=0, num_iter=20).image,
    ):
        restored = restore(blur)
        error = np.linalg.norm(restored - x)
        assert error < 0.9 * np.linalg.norm(y - x)
        np.testing.assert_allclose(restored, restore(kernel), atol=2e-3)
        without = restore(Convolution.from_otf(otf.real + 0j, shape))
        assert error < 0.9 * np.linalg.norm(without - x)


# No guessing


def test_a_psf_of_the_shape_of_a_half_spectrum_is_a_psf():
    shape = (24, 20)
    kernel = np.full((24, 11), 1e-4)
    kernel[12, 5] = 1
    x = np.random.default_rng(0).random(shape) + 1
    y = by_loops(x, kernel)
    np.testing.assert_allclose(inverse_filter(y, kernel), x, atol=1e-9)
    np.testing.assert_allclose(wiener(y, kernel, balance=1e-12, boundary="periodic"), x, atol=1e-6)
    padded = np.zeros(shape)
    padded[:, 5:16] = kernel  # the same blur in another shape: sample 5 is 10, the middle of 20
    for method in METHODS.values():
        np.testing.assert_allclose(method(y, kernel, "periodic"), method(y, padded, "periodic"), rtol=1e-4)
    with pytest.raises(TypeError, match="psf has dtype complex128; real numbers are wanted"):
        wiener(y, psf_to_otf(kernel, shape))
    with pytest.raises(ValueError, match=r"otf has shape \(24, 10\) but .* half spectrum \(24, 11\)"):
        Convolution.from_otf(np.ones((24, 10)), shape)


# Shape and intensity are kept


@every_method
@pytest.mark.parametrize("shape", [(25, 25, 25), (7, 11, 13), (17, 23), (31,), (1, 9), (2, 2), (5, 1, 6)])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_shape_is_kept(method, shape, boundary):
    y = np.random.default_rng(0).random(shape, np.float32) + 1
    restored = method(y, lopsided((3, 4, 3)[: len(shape)]), boundary)
    assert restored.shape == shape
    assert restored.dtype == np.float32
    assert np.isfinite(restored).all()


@cache
def coins() -> np.ndarray:
    """An 8-bit photograph, blurred."""
    from skimage import data

    return np.rint(by_loops(data.coins()[50:98, 50:100].astype(float), psf.gaussian((7, 7), 1.0))).astype(np.uint8)


@every_method
@pytest.mark.parametrize("boundary", ["free", "periodic"])
def test_intensities_are_neither_rescaled_nor_clipped(method, boundary):
    kernel = psf.gaussian((7, 7), 1.0)
    wanted = method(coins().astype(np.float64), kernel, boundary)
    assert wanted.max() > coins().max(), "sharper is brighter here, past the range of the input"
    assert wanted.mean() == pytest.approx(coins().mean(), rel=0.02)
    scales = {"0..1": 1 / 255, "16 bit": 256.0, "float": 1e6}
    for scale in scales.values():
        scaled = method(coins() * scale, kernel, boundary)
        np.testing.assert_allclose(scaled / scale, wanted, atol=0.02 * wanted.max())
    for integers in (coins(), coins().astype(np.uint16), coins().astype(np.int32)):
        restored = method(integers, kernel, boundary)
        assert restored.dtype == (np.float32 if integers.dtype.itemsize < 4 else np.float64)
        np.testing.assert_allclose(restored, wanted, atol=0.02 * wanted.max())
    wide = coins().astype(np.uint16) * 257
    np.testing.assert_allclose(method(wide, kernel, boundary) / 257, wanted, atol=0.02 * wanted.max())


def test_the_image_and_the_psf_are_left_as_they_are():
    for name, method in METHODS.items():
        y, kernel = coins().astype(np.float64), psf.gaussian((7, 7), 1.0)
        y.flags.writeable = kernel.flags.writeable = False
        method(y, kernel, "free")
        assert np.array_equal(y, coins()), name


# One NaN does not spread silently


@every_method
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_bad_sample_is_named_and_not_spread(method, bad, dtype):
    y, kernel = np.ones((12, 15), dtype), np.ones((3, 3), dtype)
    y[4, 7] = bad
    with pytest.raises(ValueError, match=r"image has 1 NaN or infinite sample, the first at \(4, 7\); .*weights=0"):
        method(y, kernel, "free")
    kernel[0, 2] = bad
    with pytest.raises(ValueError, match=r"psf has 1 NaN or infinite sample, the first at \(0, 2\)"):
        method(np.ones((12, 15), dtype), kernel, "free")


def test_a_known_bad_pixel_is_left_out():
    y = coins().astype(np.float32)
    y[20, 20] = np.nan
    restored = richardson_lucy(y, psf.gaussian((7, 7), 1.0), weights=np.isfinite(y))
    assert np.isfinite(restored).all()


# Failure is loud


def failing(name: str, calls: int):
    """SciPy's transform, which runs out of memory at a certain call."""
    real, count = getattr(scipy.fft, name), iter(range(10**9))

    def transform(*args, **options):
        if next(count) >= calls:
            raise MemoryError("no room")
        return real(*args, **options)

    return transform


@every_method
@pytest.mark.parametrize("shape", [(40, 44), (2, 20, 22)])
@pytest.mark.parametrize("calls", [0, 3, 8])
def test_running_out_of_memory_is_an_error_and_no_black_image(method, shape, calls, monkeypatch, threads):
    y, kernel = np.random.default_rng(0).random(shape) + 1, lopsided((5, 6))
    failed = 0
    for name in ("rfft", "rfftn", "irfft", "irfftn"):
        with monkeypatch.context() as patch:
            patch.setattr(scipy.fft, name, failing(name, calls))
            try:
                assert np.isfinite(method(y, kernel, "free")).all()
            except MemoryError:
                failed += 1
    assert failed or calls
    assert np.isfinite(method(y, kernel, "free")).all(), "the next call works again"


def test_an_array_that_no_machine_can_hold_is_an_error():
    for build in (psf_to_otf, Convolution):
        with pytest.raises(MemoryError):
            build(np.ones((3, 3)), (1 << 48, 1 << 48))


def test_a_failed_call_holds_no_memory():
    y, kernel = np.ones((400, 400)), np.ones((9, 9))
    richardson_lucy(y, kernel, num_iter=1)

    class StopError(Exception):
        pass

    def stop(iteration):
        raise StopError

    tracemalloc.start()
    for _ in range(5):
        with pytest.raises(StopError):
            richardson_lucy(y, kernel, num_iter=2, callback=stop)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 4 * y.nbytes


# Edges: a crop of a scene that goes on, whose truth past the frame only the test knows

PHOTOGRAPHS = ("camera", "astronaut", "coffee", "chelsea", "rocket")
SIGMA, BAND, MORE = 2.5, 17, 20  # of the blur; the PSF's width; pixels that the larger crop shows past the frame
EDGE_METHODS = {
    "wiener": wiener,
    "richardson-lucy 10": lambda y, h: richardson_lucy(y, h, num_iter=10),
    "richardson-lucy 20": lambda y, h: richardson_lucy(y, h, num_iter=20),
}


@cache
def crop(name: str, photons: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The truth of the middle 224² pixels of a photograph, their counts, and those of a crop 20 pixels larger."""
    from skimage import data
    from skimage.color import rgb2gray

    image = getattr(data, name)()
    image = photons * (image / 255 if image.ndim == 2 else rgb2gray(image))
    wide = 112 + MORE + BAND // 2
    rows, columns = (slice(n // 2 - wide, n // 2 + wide) for n in image.shape)
    scene = image[rows, columns]
    blurred = Convolution(psf.gaussian((BAND, BAND), SIGMA), (224 + 2 * MORE,) * 2)(scene)
    counts = np.random.default_rng(7).poisson(blurred.clip(0)).astype(np.float32)
    inner = (slice(MORE, -MORE),) * 2
    return scene[BAND // 2 : -(BAND // 2), BAND // 2 : -(BAND // 2)][inner], counts[inner], counts


def errors(estimate: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Mean squared error in the outer band of the PSF's width, and in the interior, in dB."""
    square = (estimate - truth) ** 2
    interior = np.zeros(truth.shape, dtype=bool)
    interior[BAND:-BAND, BAND:-BAND] = True
    return 10 * np.log10(square[~interior].mean()), 10 * np.log10(square[interior].mean())


@cache
def edge_losses(method: str, photons: float) -> tuple[np.ndarray, np.ndarray]:
    """For each photograph the dB lost at the frame, measured in two ways.

    First, how much worse than the interior the outer band is, beyond what the blurred image shows: it depends on what
    happens to lie there. Second, how much worse the outer band is than the same pixels with the same noise in a larger
    crop, where they are no edge.
    """
    beyond, same = [], []
    kernel = psf.gaussian((BAND, BAND), SIGMA)
    for name in PHOTOGRAPHS:
        truth, counts, more = crop(name, photons)
        band, interior = errors(EDGE_METHODS[method](counts, kernel), truth)
        blurred_band, blurred_interior = errors(counts, truth)
        inside, _ = errors(EDGE_METHODS[method](more, kernel)[MORE:-MORE, MORE:-MORE], truth)
        beyond.append((band - interior) - (blurred_band - blurred_interior))
        same.append(band - inside)
    return np.array(beyond), np.array(same)


@pytest.mark.parametrize("photons", [50, 1000])
@pytest.mark.parametrize("method", EDGE_METHODS)
def test_pixels_at_the_frame_are_restored_nearly_as_well_as_if_the_scene_were_seen_to_go_on(method, photons):
    _, same = edge_losses(method, photons)
    assert same.max() < 0.6, same
    assert same.mean() < 0.2, same


@pytest.mark.parametrize("photons", [50, 1000])
@pytest.mark.parametrize("method", ["wiener", "richardson-lucy 10"])
def test_the_outer_band_loses_little_more_than_the_blurred_image_does(method, photons):
    beyond, _ = edge_losses(method, photons)
    assert beyond.mean() < 0.6, beyond


def test_a_wrong_boundary_does_lose_the_edge():
    """The two measures see what they are meant to see."""
    kernel = psf.gaussian((BAND, BAND), SIGMA)
    truth, counts, more = crop("camera", 1000)
    for method in (wiener, richardson_lucy):
        band, interior = errors(method(counts, kernel, boundary="periodic"), truth)
        blurred_band, blurred_interior = errors(counts, truth)
        inside, _ = errors(method(more, kernel)[MORE:-MORE, MORE:-MORE], truth)
        assert band - inside > 1
        assert (band - interior) - (blurred_band - blurred_interior) > 1
