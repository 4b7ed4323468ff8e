"""Every method as a command: the library's function, what it chose is said, what is wrong is one line."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import sigdeconv
from sigdeconv import cli, io
from sigdeconv.deconvolution import plug_and_play

PSF = sigdeconv.psf.gaussian((9, 9), 1.0)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: object, code: int = 0) -> Result:
    """Run the command; an error must be one line and leave nothing behind."""
    before = sorted(Path().rglob("*"))
    result = CliRunner().invoke(cli.cli, [str(arg) for arg in args], prog_name="sigdeconv")
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    assert all(line.startswith("sigdeconv: ") for line in result.stderr.splitlines()) or "--progress" in args
    if code:
        assert result.stderr.splitlines()[-1].startswith("sigdeconv: error: ")
        assert sorted(Path().rglob("*")) == before
    return result


def scene(shape: tuple[int, ...] = (40, 36), seed: int = 5) -> np.ndarray:
    """Blocks of light on a ground, blurred a little, with noise of 0.5 or so."""
    rng = np.random.default_rng(seed)
    blocks = 20.0 + 100 * (rng.random(tuple(-(-n // 8) for n in shape)) > 0.6)
    sharp = np.kron(blocks, np.ones((8,) * len(shape)))[tuple(slice(n) for n in shape)]
    psf = sigdeconv.psf.gaussian((9,) * len(shape), 1.0)
    blurred = sigdeconv.Convolution(psf, shape, boundary="reflect")(sharp)
    return (blurred + 0.5 * rng.standard_normal(shape)).astype("float32")


def options(text: str) -> list[str]:
    return text.split()


# ------------------------------------------------------------------------------------------------ a known blur

BOTH = r"(weight \S+, sigma \S+|sigma \S+, weight [^\s;]+)"

# Command line, function and what it is passed, and what is said to come from the data.
CHOSEN: list[tuple[str, Callable[..., Any], dict[str, Any], str]] = [
    ("wiener", sigdeconv.wiener, {}, r"balance \S+"),
    ("wiener --balance auto --boundary periodic", sigdeconv.wiener, {"boundary": "periodic"}, r"balance \S+"),
    ("tikhonov", sigdeconv.tikhonov, {}, r"weight \S+; \d+ of at most \d+ iterations"),
    (
        "tikhonov --regularizer gradient --bounds 30,none --sigma 0.5",
        sigdeconv.tikhonov,
        {"regularizer": "gradient", "bounds": (30.0, None), "sigma": 0.5},
        r"weight \S+; \d+ of at most \d+ iterations",
    ),
    (
        "landweber --bounds 0,",
        sigdeconv.landweber,
        {"bounds": (0.0, None)},
        r"weight of tikhonov's model \S+; \d+ iterations",
    ),
    (
        "landweber --num-iter discrepancy --no-accelerate --step 0.5",
        sigdeconv.landweber,
        {"num_iter": "discrepancy", "accelerate": False, "step": 0.5},
        r"sigma \S+; \d+ iterations",
    ),
    (
        "van-cittert --step 0.7 --bounds 15,110",
        sigdeconv.van_cittert,
        {"step": 0.7, "bounds": (15.0, 110.0)},
        r"weight of tikhonov's model \S+; \d+ iterations",
    ),
    (
        "total-variation --differences forward",
        sigdeconv.total_variation,
        {"differences": "forward"},
        BOTH + r"; \d+ of at most \d+ iterations",
    ),
    (
        "total-variation --weight discrepancy",
        sigdeconv.total_variation,
        {"weight": "discrepancy"},
        BOTH + r"; \d+ of at most \d+ iterations",
    ),
    (
        "hyper-laplacian --num-iter 9 --power 0.8 --pooling 0",
        sigdeconv.hyper_laplacian,
        {"num_iter": 9, "power": 0.8, "pooling": 0.0},
        BOTH + r"; all 9 iterations, after which the last changed \S+ \(--num-iter\)",
    ),
    (
        "hessian-schatten --norm frobenius --tol 0.001",
        sigdeconv.hessian_schatten,
        {"norm": "frobenius", "tol": 1e-3},
        BOTH + r"; \d+ of at most \d+ iterations",
    ),
    (
        "sparse-spikes --bounds 0, --tol 0.01",
        sigdeconv.sparse_spikes,
        {"bounds": (0.0, None), "tol": 1e-2},
        BOTH + r"; \d+ of at most \d+ iterations",
    ),
    (
        "wavelet-sparse --wavelet db2 --levels 2 --num-iter 5 --tol 0",
        sigdeconv.wavelet_sparse,
        {"wavelet": "db2", "levels": 2, "num_iter": 5, "tol": 0.0},
        BOTH + r"",
    ),
    ("plug-and-play --num-iter 4", sigdeconv.plug_and_play, {"num_iter": 4}, r"sigma \S+"),
    (
        "richardson-lucy --num-iter auto",
        sigdeconv.richardson_lucy,
        {"num_iter": None},
        r"num-iter \d+, gain \S+",
    ),
    (
        "richardson-lucy --num-iter 6 --stopping discrepancy --gain 0.01",
        sigdeconv.richardson_lucy,
        {"num_iter": 6, "stopping": sigdeconv.Stopping("discrepancy", gain=0.01)},
        r"num-iter 6, gain 0.01",
    ),
]


@pytest.mark.parametrize(("command", "method", "arguments", "said"), CHOSEN, ids=[case[0] for case in CHOSEN])
def test_the_command_is_the_function_and_says_what_it_chose(
    command: str, method: Callable[..., Any], arguments: dict[str, Any], said: str
) -> None:
    image = scene()
    io.write("a.tif", image)
    name, *rest = options(command)
    loud = run(name, "a.tif", "--psf", "gaussian:1", *rest, "-o", "b.tif").stderr
    first, last = loud.splitlines()
    assert re.fullmatch(f"sigdeconv: from the data: {said}", first), loud
    assert last.startswith("sigdeconv: wrote b.tif")
    wanted = method(image, PSF, **arguments)
    np.testing.assert_allclose(io.read("b.tif").data, wanted, rtol=1e-6, atol=1e-5)
    assert not np.allclose(wanted, image, rtol=1e-3)


GIVEN: list[tuple[str, Callable[..., Any], dict[str, Any]]] = [
    ("wiener --balance 0.01", sigdeconv.wiener, {"balance": 0.01}),
    ("tikhonov --weight 0.01 --num-iter 3 --tol 0", sigdeconv.tikhonov, {"weight": 0.01, "num_iter": 3, "tol": 0.0}),
    ("landweber --num-iter 5", sigdeconv.landweber, {"num_iter": 5}),
    ("van-cittert --num-iter 5 --boundary zero", sigdeconv.van_cittert, {"num_iter": 5, "boundary": "zero"}),
    (
        "richardson-lucy --num-iter 3 --damping 3 --readout-noise 2",
        sigdeconv.richardson_lucy,
        {"num_iter": 3, "damping": 3.0, "readout_noise": 2.0},
    ),
    (
        "richardson-lucy --num-iter 2 --back-projector wiener-butterworth --no-accelerate",
        sigdeconv.richardson_lucy,
        {"num_iter": 2, "back_projector": "wiener-butterworth", "accelerate": False},
    ),
    (
        "plug-and-play --sigma 2 --num-iter 3 --algorithm admm --strength 1.5",
        sigdeconv.plug_and_play,
        {"sigma": 2.0, "num_iter": 3, "algorithm": "admm", "strength": 1.5},
    ),
    *(
        (
            f"plug-and-play --sigma 2 --num-iter 3 --denoiser {name}",
            sigdeconv.plug_and_play,
            {"sigma": 2.0, "num_iter": 3, "denoiser": denoiser},
        )
        for name, denoiser in {
            "non-local-means": sigdeconv.denoisers.non_local_means,
            "total-variation": sigdeconv.denoisers.total_variation_chambolle,
            "wavelet": sigdeconv.denoisers.wavelet,
            "bilateral": sigdeconv.denoisers.bilateral,
        }.items()
    ),
]


@pytest.mark.parametrize(("command", "method", "arguments"), GIVEN, ids=[case[0] for case in GIVEN])
def test_what_is_given_is_not_said(command: str, method: Callable[..., Any], arguments: dict[str, Any]) -> None:
    image = scene()
    io.write("a.tif", image)
    name, *rest = options(command)
    said = run(name, "a.tif", "--psf", "gaussian:1", *rest, "-o", "b.tif").stderr
    assert re.fullmatch(r"sigdeconv: wrote b.tif.*\n", said)
    np.testing.assert_allclose(io.read("b.tif").data, method(image, PSF, **arguments), rtol=1e-6, atol=1e-5)


def test_unsupervised_wiener() -> None:
    image = scene()
    io.write("a.tif", image)
    command = ("unsupervised-wiener", "a.tif", "--psf", "gaussian:1", "--burn-in", 3, "--num-iter", 20, "--seed", 7)
    said = run(*command, "-o", "b.tif").stderr
    found = sigdeconv.unsupervised_wiener(image, PSF, burn_in=3, num_iter=20, rng=7)
    np.testing.assert_allclose(io.read("b.tif").data, found.image, rtol=1e-6)
    assert f"from the data: sigma {found.noise_precision**-0.5:.4g}\n" in said
    io.write("stack.npy", np.stack([image, image + 1]))
    command = ("unsupervised-wiener", "stack.npy", *command[2:])
    assert re.search(r"sigma \S+ to \S+ \(2 images\)", run(*command, "-o", "c.tif").stderr)


def test_bad_pixels_and_colours_through_a_prior() -> None:
    photo = np.stack([scene(seed=s) for s in (1, 2, 3)], axis=-1)
    photo[4, 5, 1] = np.nan
    io.write("a.tif", photo, like=io.Picture(photo, "YXS"))
    command = ("total-variation", "a.tif", "--psf", "gaussian:1", "--weight", 0.2, "--num-iter", 5)
    assert "NaN" in run(*command, "-o", "b.tif", code=2).stderr
    said = run(*command, "-o", "b.tif", "--weights", "finite").stderr
    assert "3 channels are on axis 2" in said
    assert "1 samples are not finite" in said
    wanted = sigdeconv.total_variation(photo, PSF, weight=0.2, num_iter=5, weights=np.isfinite(photo), channel_axis=-1)
    np.testing.assert_allclose(io.read("b.tif").data, wanted, rtol=1e-4, atol=1e-3)


def test_what_is_chosen_for_each_image_of_a_stack() -> None:
    stack = np.stack([scene((20, 18), seed=s) for s in range(7)])
    io.write("seven.npy", stack)
    io.write("two.npy", stack[:2])
    command = ("tikhonov", "two.npy", "--psf", "gaussian:1", "-o", "b.npy")
    assert re.search(r"weight \S+ / \S+; ", run(*command).stderr)
    assert re.search(r"balance \S+ to \S+ \(7 images\)\n", run("wiener", "seven.npy", *command[2:-1], "c.npy").stderr)


def test_a_signal_of_one_axis() -> None:
    signal = scene((64,))
    io.write("a.npy", signal)
    run("sparse-spikes", "a.npy", "--psf", "gaussian:1", "-o", "b.npy", "--weight", 0.3, "--num-iter", 20)
    wanted = sigdeconv.sparse_spikes(signal, sigdeconv.psf.gaussian(9, 1.0), weight=0.3, num_iter=20)
    np.testing.assert_allclose(io.read("b.npy").data, wanted, rtol=1e-5, atol=1e-5)


def test_readout_noise_allows_samples_below_zero() -> None:
    image = scene() - 25
    io.write("a.tif", image)
    command = ("richardson-lucy", "a.tif", "--psf", "gaussian:1", "--num-iter", 3, "-o", "b.tif")
    assert "below zero" in run(*command, code=2).stderr
    run(*command, "--readout-noise", 9)
    wanted = sigdeconv.richardson_lucy(image, PSF, num_iter=3, readout_noise=9.0)
    np.testing.assert_allclose(io.read("b.tif").data, wanted, rtol=1e-4, atol=1e-4)


# ------------------------------------------------------------------------------------------------ several frames


def frames() -> tuple[list[np.ndarray], np.ndarray]:
    """Four frames of one fine scene, and their shifts in pixels."""
    shifts = np.array([[0, 0], [0.5, 0], [0, 0.5], [0.5, 0.5]])
    fine = scene((50, 54), seed=3) - 10
    taken = []
    for dy, dx in (2 * shifts).astype(int):
        part = fine[dy : dy + 48, dx : dx + 52]
        taken.append(np.maximum(part.reshape(24, 2, 26, 2).mean(axis=(1, 3)), 0).astype("float32"))
    return taken, shifts


def test_super_resolution_measures_and_says_the_shifts() -> None:
    taken, shifts = frames()
    names = [f"f{i}.tif" for i in range(4)]
    for name, frame in zip(names, taken, strict=True):
        io.write(name, frame, like=io.Picture(frame, "YX", {"Y": 0.2, "X": 0.4}))
    wanted = sigdeconv.super_resolve(np.stack(taken), PSF, num_iter=3, damping=1.0)
    said = run("super-resolve", *names, "--psf", "gaussian:1", "-o", "b.tif", "--num-iter", 3, "--damping", 1).stderr
    measured = [[float(x) for x in text.split(",")] for text in re.findall(r"measured --shift (\S+)", said)]
    np.testing.assert_allclose(measured, wanted.shifts, atol=6e-4)
    np.testing.assert_allclose(measured, shifts, atol=0.1)
    assert "f3.tif: measured" in said
    result = io.read("b.tif")
    assert result.data.shape == (48, 52)
    assert result.spacing == pytest.approx({"Y": 0.1, "X": 0.2})
    np.testing.assert_allclose(result.data, wanted.image, rtol=1e-5)
    # a stack in one file; a PSF whose voxels are those of the fine grid is not warned of
    stack = np.stack(taken)
    io.write("stack.tif", stack, like=io.Picture(stack, "TYX", {"Y": 0.2, "X": 0.4}))
    io.write("psf.npy", PSF, dtype="float64")
    command = ("--psf", "psf.npy", "--num-iter", 3, "--damping", 1, "--quiet")
    assert run("super-resolve", "stack.tif", *command, "-o", "c.tif").stderr == ""
    np.testing.assert_array_equal(io.read("c.tif").data, result.data)


def test_super_resolution_with_what_is_known() -> None:
    taken, _ = frames()
    colours = [np.stack([frame, 2 * frame, frame + 3], axis=-1) for frame in taken[:2]]
    for name, frame in zip(("a.tif", "b.tif"), colours, strict=True):
        io.write(name, frame, like=io.Picture(frame, "YXS"))
    good = (np.random.default_rng(0).random((24, 26, 3)) > 0.1).astype("float32")
    io.write("good.tif", good, like=io.Picture(good, "YXS"))
    given = (
        "--shift",
        "0,0",
        "--shift",
        "0.5,-0.25",
        "--factor",
        "2,1",
        "--pixels",
        "points",
        "--background",
        1,
        "--pedestal",
        2,
    )
    command = (
        "super-resolve",
        "a.tif",
        "b.tif",
        "--psf",
        "gaussian:1",
        *given,
        "--weights",
        "good.tif",
        "--num-iter",
        2,
    )
    said = run(*command, "-o", "c.tif").stderr
    assert "measured" not in said
    wanted = sigdeconv.super_resolve(
        np.stack(colours) + 2,
        PSF,
        shifts=np.array([[0, 0], [0.5, -0.25]]),
        factor=(2, 1),
        pixels="points",
        background=3.0,
        weights=np.stack([good, good]),
        num_iter=2,
        channel_axis=-1,
    )
    assert wanted.image.shape == (48, 26, 3)
    np.testing.assert_allclose(io.read("c.tif").data, wanted.image, rtol=1e-5)
    assert io.read("c.tif").axes == "YXS"


def test_super_resolution_of_volumes_section_by_section() -> None:
    taken, _ = frames()
    volumes = [np.stack([frame, frame + 5, frame[::-1]]) for frame in taken[:2]]
    for name, volume in zip(("a.tif", "b.tif"), volumes, strict=True):
        io.write(name, volume, like=io.Picture(volume, "ZYX", {"Z": 1.0, "Y": 0.2, "X": 0.2}))
    given = ("--shift", "0,0", "--shift", "0.5,0", "--num-iter", 2)
    run("super-resolve", "a.tif", "b.tif", "--psf", "gaussian:1", *given, "-o", "c.tif")
    result = io.read("c.tif")
    assert result.spacing == pytest.approx({"Z": 1.0, "Y": 0.1, "X": 0.1})
    for i in range(3):
        wanted = sigdeconv.super_resolve(
            np.stack([volume[i] for volume in volumes]), PSF, shifts=np.array([[0, 0], [0.5, 0]]), num_iter=2
        )
        np.testing.assert_allclose(result.data[i], wanted.image, rtol=1e-3)


# -------------------------------------------------------------------------------------------- an unknown blur


def test_blind_richardson_lucy_writes_image_and_psf() -> None:
    image = scene()
    io.write("a.tif", image, like=io.Picture(image, "YX", {"Y": 0.2, "X": 0.2}))
    found = sigdeconv.blind_richardson_lucy(image, (7, 7), num_iter=2, image_iter=2, psf_iter=1, symmetry="point")
    command = ("--num-iter", 2, "--image-iter", 2, "--psf-iter", 1, "--symmetry", "point")
    said = run(
        "blind-richardson-lucy", "a.tif", "--psf-shape", 7, *command, "-o", "b.tif", "--psf-output", "psf.tif"
    ).stderr
    np.testing.assert_allclose(io.read("b.tif").data, found.image, rtol=1e-5)
    np.testing.assert_allclose(io.read("psf.tif").data, found.psf, rtol=1e-5)
    assert io.read("psf.tif").spacing == pytest.approx({"Y": 0.2, "X": 0.2})
    place = np.arange(7) - 3
    width = [float(np.sqrt(found.psf.sum(axis=k) @ place**2)) for k in (1, 0)]  # its centroid is at the origin
    assert f"from the data: a PSF of standard deviation {width[0]:.3g}, {width[1]:.3g} samples" in said
    assert "wrote psf.tif, (7, 7) float32, the PSF" in said
    # a guess in place of a shape, with what photon counts may have
    guess = ("--psf", "gaussian:1.5", "--background", 3, "--pedestal", 2, "--tv-weight", 0.001, "--quiet", *command)
    assert run("blind-richardson-lucy", "a.tif", *guess, "-o", "c.tif").stderr == ""
    found = sigdeconv.blind_richardson_lucy(
        image + 2,
        sigdeconv.psf.gaussian((13, 13), 1.5),
        background=5.0,
        tv_weight=0.001,
        num_iter=2,
        image_iter=2,
        psf_iter=1,
        symmetry="point",
    )
    np.testing.assert_allclose(io.read("c.tif").data, found.image, rtol=1e-5)


@pytest.mark.parametrize(
    ("family", "arguments", "parameters"),
    [
        ("gaussian", ["--bounds", "sigma=0.8,1.5"], ["sigma"]),
        ("disk", ["--bounds", "radius=1,3", "--sigma", "0.5"], ["radius"]),
        ("motion", ["--bounds", "length=2,4", "--bounds", "angle=10,10"], ["length", "angle"]),
        ("airy", ["--bounds", "radius=2,4"], ["radius"]),
    ],
)
def test_blind_parametric_says_the_psf_as_it_can_be_passed_on(
    family: str, arguments: list[str], parameters: list[str]
) -> None:
    image = scene((48, 48))
    io.write("a.tif", image)
    bounds = {}
    for text in arguments:
        if "=" in text:
            name, _, numbers = text.partition("=")
            bounds[name] = tuple(float(x) for x in numbers.split(","))
    sigma = 0.5 if "--sigma" in arguments else None
    found = sigdeconv.blind_parametric(image, family, bounds=bounds, sigma=sigma)
    said = run(
        "blind-parametric", "a.tif", "--family", family, *arguments, "-o", "b.tif", "--psf-output", "psf.tif"
    ).stderr
    values = [f"{found.parameters[name]:.4g}" for name in parameters]
    assert "from the data: " + ", ".join(f"{n} {v}" for n, v in zip(parameters, values, strict=True)) in said
    assert (f"(--psf {family}:{','.join(values)})" in said) == (family != "airy")
    assert (f"noise of sigma {found.noise:.4g}" in said) == (sigma is None)
    np.testing.assert_allclose(io.read("b.tif").data, found.image, rtol=1e-5)
    np.testing.assert_allclose(io.read("psf.tif").data, found.psf, rtol=1e-5, atol=1e-9)
    run("blind-parametric", "a.tif", "--family", family, *arguments, "-o", "c.tif", "--quiet")
    assert not Path("psf.tif").samefile("c.tif")


# ------------------------------------------------------------------------------------------------------ noise


@pytest.mark.parametrize("model", ["gaussian", "poisson-gaussian"])
def test_estimate_noise_prints_names_and_values(model: str) -> None:
    image = scene((48, 48))
    io.write("a.tif", image)
    said = run("estimate-noise", "a.tif", "--model", model, "--psf", "gaussian:1")
    found = dict(line.split(" ") for line in said.stdout.splitlines())
    wanted = sigdeconv.estimate_noise(image, model=model, psf=PSF)
    assert list(found) == ["sigma", "gain", "read_noise", "offset"]
    for name, value in found.items():
        assert float(value) == pytest.approx(getattr(wanted, name), rel=1e-5)
    assert said.stderr == ""


def test_estimate_noise_takes_sections_and_colours_for_what_they_are() -> None:
    stack = np.stack([scene(seed=s) for s in range(3)])

    def sigma(*args: object) -> float:
        return float(run("estimate-noise", *args).stdout.split()[1])

    io.write("z.tif", stack, like=io.Picture(stack, "ZYX"))
    assert sigma("z.tif") == pytest.approx(sigdeconv.estimate_noise(stack).sigma, rel=1e-5)
    assert sigma("z.tif", "--ndim", 2) == pytest.approx(sigdeconv.estimate_noise(stack, ndim=2).sigma, rel=1e-5)
    io.write("t.tif", stack, like=io.Picture(stack, "TYX"))
    assert sigma("t.tif") == pytest.approx(sigdeconv.estimate_noise(stack, ndim=2).sigma, rel=1e-5)
    colours = np.moveaxis(stack, 0, -1)
    io.write("s.tif", colours, like=io.Picture(colours, "YXS"))
    assert sigma("s.tif", "--quiet") == pytest.approx(
        sigdeconv.estimate_noise(colours, channel_axis=-1).sigma, rel=1e-5
    )


# ---------------------------------------------------------------------------------------------------- manners

LEARNED = {"upscale", "denoise"}  # which need torch: tests/test_cli_learned.py
METHODS = sorted(set(cli.cli.commands) - {"psf", "info"} - LEARNED)

# What has another form in the command, and what the command has no option for: arrays, functions.
NOT_COMPARED = {"psf", "image", "frames", "channel_axis", "denoiser", "factor", "shifts"}
LEFT_OUT = {"callback", "initial", "steps", "support", "ndim", "restore", "rng", "bounds", "shifts", "stopping"}
STEPS = ("plug-and-play", "num_iter")  # which the function only says to be None


def function(command: str) -> Callable[..., Any]:
    return getattr(sigdeconv, {"inverse": "inverse_filter"}.get(command, command.replace("-", "_")))


def test_every_method_has_its_command() -> None:
    methods = {
        name
        for name, value in vars(sigdeconv).items()
        if inspect.isfunction(value) and value.__module__.startswith("sigdeconv.deconvolution.")
    }
    assert len(methods) > 15
    assert not methods - {function(command).__name__ for command in METHODS}
    listed = run("--help").stdout
    for name in cli.cli.commands:
        assert re.search(rf"^  {name} ", listed, re.MULTILINE), name


def test_blind_camera_shake_writes_image_and_psf() -> None:
    image = scene((64, 60))
    io.write(Path("a.tif"), image)
    found = sigdeconv.blind_camera_shake(image, (9, 11), boundary="reflect")
    said = run(
        *options("blind-camera-shake a.tif -o b.tif --psf-shape 9,11 --psf-output psf.tif --boundary reflect")
    ).stderr
    np.testing.assert_array_equal(io.read(Path("b.tif")).data, found.image)
    np.testing.assert_array_equal(io.read(Path("psf.tif")).data, found.psf)
    assert re.search(r"from the data: a PSF of standard deviation \S+, \S+ samples", said)
    assert run(*options("blind-camera-shake a.tif -o c.tif --psf-shape 9 --quiet")).stderr == ""


@pytest.mark.parametrize("command", METHODS)
def test_defaults_and_names_are_those_of_the_library(command: str) -> None:
    parameters = inspect.signature(function(command)).parameters
    node = cli.cli.commands[command]
    own = {p.name for p in node.params}
    required = {"psf": ["--psf", "disk:1"], "output": ["-o", "b.tif"]}
    args = ["a.tif", *(word for name, words in required.items() if name in own for word in words)]
    compared = 0
    with node.make_context(command, args) as context:
        for name in own & parameters.keys() - NOT_COMPARED:
            default = plug_and_play.NUM_ITER if (command, name) == STEPS else parameters[name].default
            assert context.params[name] == default, name
            compared += 1
    assert compared
    assert parameters.keys() - own <= LEFT_OUT


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("total-variation a.tif --psf disk:1 -o b.tif --weight heavy", "or auto or gcv or sure"),
        ("total-variation a.tif --psf disk:1 -o b.tif --weight -1", "weight is -1"),
        ("tikhonov a.tif --psf disk:1 -o b.tif --weight gcv", "a number is wanted, or auto"),
        ("tikhonov a.tif --psf disk:1 -o b.tif --bounds 3", "0,255"),
        ("tikhonov a.tif --psf disk:1 -o b.tif --bounds 5,3", "bounds"),
        ("landweber a.tif --psf disk:1 -o b.tif --num-iter 0", "of at least 1 is wanted, or auto or nearest"),
        ("landweber a.tif --psf disk:1 -o b.tif --num-iter 2.5", "an integer of at least 1"),
        ("van-cittert a.tif --psf disk:4 -o b.tif --num-iter 900", "landweber"),
        ("wavelet-sparse a.tif --psf disk:1 -o b.tif --wavelet none", "wavelet"),
        ("plug-and-play a.tif --psf disk:1 -o b.tif --sigma -1", "sigma is -1"),
        ("plug-and-play a.tif --psf disk:1 -o b.tif --denoiser dncnn", "'dncnn' is not one of 'collaborative'"),
        ("richardson-lucy a.tif --psf disk:1 -o b.tif --gain 2", "pass --num-iter auto"),
        ("richardson-lucy a.tif --psf disk:1 -o b.tif --damping -2", "damping is -2"),
        ("super-resolve a.tif --psf disk:1 -o b.tif", "holds one frame"),
        ("super-resolve a.tif small.tif --psf disk:1 -o b.tif", "frames of one shape"),
        ("super-resolve a.tif a.tif --psf disk:1 -o b.tif --shift 0,0", "(2, 2) is wanted"),
        ("super-resolve a.tif a.tif --psf disk:1 -o b.tif --shift 0 --shift 1", "2 numbers are wanted, one an axis"),
        ("super-resolve a.tif a.tif --psf disk:1 -o b.tif --factor 2,2,2", "--factor has 3 numbers"),
        ("super-resolve a.tif a.tif --psf disk:1 -o b.tif --weights small.tif", "--weights has shape (20, 18)"),
        ("blind-richardson-lucy a.tif -o b.tif", "pass either --psf-shape"),
        ("blind-richardson-lucy a.tif -o b.tif --psf-shape 5 --psf disk:1", "pass either --psf-shape"),
        ("blind-richardson-lucy a.tif -o b.tif --psf-shape 5 --psf-output b.tif", "pass two files"),
        ("blind-richardson-lucy a.tif -o b.tif --psf-shape 5 --psf-output a.tif", "what IMAGE is read from"),
        ("blind-richardson-lucy a.tif -o b.tif --psf-shape 5 --psf-output p.png", "cannot hold float32"),
        ("blind-parametric a.tif -o b.tif --psf-output small.tif", "small.tif exists"),
        ("blind-parametric a.tif -o b.tif --bounds angle", "NAME=LOW,HIGH is wanted"),
        ("blind-parametric a.tif -o b.tif --bounds angle=1,2", "angle"),
        ("estimate-noise nothing.tif", "does not exist"),
        ("estimate-noise a.tif --ndim 3", "ndim is 3"),
    ],
)
def test_what_is_wrong_is_one_line(command: str, words: str) -> None:
    io.write("a.tif", scene())
    io.write("small.tif", scene((20, 18)))
    assert words in run(*options(command), code=2).stderr


def test_quiet_and_a_bar() -> None:
    io.write("a.tif", scene())
    command = ("total-variation", "a.tif", "--psf", "gaussian:1", "-o")
    assert run(*command, "b.tif", "--quiet").stderr == ""
    bar = run(*command, "c.tif", "--progress").stderr
    assert re.search(r"\d/\d+ ", bar)
    assert "from the data: " in bar
    unknown = run("landweber", *command[1:], "d.tif", "--progress").stderr
    assert re.search(r"\d+iteration", unknown)
    np.testing.assert_array_equal(io.read("b.tif").data, io.read("c.tif").data)
    io.write("u.npy", np.arange(24.0).reshape(4, 6))
    for name in ("wiener", "tikhonov"):
        assert run(name, "a.tif", "--psf", "gaussian:1", "-o", f"{name}.tif", "--quiet").stderr == ""
