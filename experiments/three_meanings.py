"""One small convolution as a matrix: what its transpose, its inverse and Wiener's filter do to each frequency.

A blur is a matrix A. Its singular values σ say by how much it weakens each wave. The transpose Aᴴ weakens each wave by
the same σ once more, the inverse A⁺ multiplies it by 1/σ, Wiener's filter by σ/(σ² + λ). The matrix is small enough to
be drawn; the same six taps, along the rows and along the columns, then blur a photograph.

The photograph is taken to repeat past its frame. That is true of none, but it makes each operator one number for each
frequency, so that what the gains promise can be compared with what is measured; `boundaries` drops this assumption.
The taps are lopsided, so that A is not its own transpose, and balanced about their origin, so that the blur moves
nothing: a transpose that brings a displaced picture back would gain by that alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np

import sigdeconv
from sigdeconv import metrics

from . import three_meanings_figures as figures
from .common import Chapter, Column, Study, Table, signed

TITLE = "Three meanings: the transpose, the inverse and Wiener's filter of one blur"

Numbers = np.ndarray[Any, Any]

TAPS = np.array([0.09, 0.09, 0.13, 0.25, 0.30, 0.14])  # sum 1, centre of gravity on the origin, sample 3
SAMPLES = 24  # of the scene in the matrices
FRAME = SAMPLES - TAPS.size + 1  # of it, those that are seen with all their light
BALANCE = 0.01  # λ of the matrices: waves with σ below 0.1 are held back
PEAK = 255.0  # grey levels
BSNR = 35.0  # dB, of the photograph that is shown
MIDDLE = (150, 250)  # of what is taken of the photograph (row, column)
#: Standard deviations of the noise in grey levels, from none to as strong as the picture itself.
LEVELS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)

METHODS = {
    "blurred": "blurred image y",
    "transpose": "transpose Aᴴy",
    "scaled": "transpose, best gain",
    "inverse": "inverse A⁺y",
    "wiener": "Wiener, λ from the image",
    "curvature": "Wiener, curvature held down",
}


def operators(balance: float = BALANCE) -> dict[str, Numbers]:
    """The matrices A, Aᴴ, A⁺ and Wiener's, of a frame that sees a larger scene: A has fewer rows than columns."""
    A = sigdeconv.Convolution(TAPS, FRAME, boundary="free").to_dense()
    wiener = np.linalg.solve(A.T @ A + balance * np.eye(SAMPLES), A.T)
    return {"blurred": A, "transpose": A.T, "inverse": np.linalg.pinv(A), "wiener": wiener}


def singular_values() -> dict[str, Numbers]:
    """Of the matrix by boundary, from a dense decomposition; the largest first."""
    sizes = {"free": FRAME, "zero": SAMPLES, "periodic": SAMPLES}
    return {
        b: np.linalg.svd(sigdeconv.Convolution(TAPS, n, boundary=b).to_dense(), compute_uv=False)
        for b, n in sizes.items()
    }


def gains(sigma: Numbers, balance: float = BALANCE) -> dict[str, Numbers]:
    """By what each operator multiplies a wave of the data; times `sigma` it is what comes back of the scene."""
    return {"transpose": sigma, "inverse": 1 / sigma, "wiener": sigma / (sigma**2 + balance)}


def measured_gains(balance: float = BALANCE) -> dict[str, Numbers]:
    """The same, read off what the library's functions make of a single bright sample, frequency by frequency."""
    impulse = _impulse((SAMPLES,))
    blur = sigdeconv.Convolution(TAPS, SAMPLES, boundary="periodic")
    answers = {
        "transpose": blur.adjoint(impulse),
        "inverse": sigdeconv.inverse_filter(impulse, blur, cutoff=0),
        "wiener": sigdeconv.wiener(impulse, blur, balance=balance, regularizer="identity"),
    }
    return {key: np.abs(np.fft.rfft(answer)) for key, answer in answers.items()}


def agreement() -> float:
    """The largest relative distance between the gains of the library and those of the dense singular values."""
    sigma = singular_values()["periodic"]
    far = []
    for key, gain in gains(sigma).items():
        half = measured_gains()[key]
        full = np.concatenate([half, half[1 : (SAMPLES + 1) // 2]])  # the FFT of a real signal says half of it
        far.append(np.max(np.abs(np.sort(full) / np.sort(gain) - 1)))
    return float(max(far))


def operator_rows() -> list[dict[str, Any]]:
    """How far each operator after A is from changing nothing, and what it makes of noise."""
    matrices = operators()
    A, identity = matrices["blurred"], np.eye(SAMPLES)
    rows = []
    for key, label in (("transpose", "transpose Aᴴ"), ("inverse", "inverse A⁺"), ("wiener", f"Wiener, λ = {BALANCE}")):
        B = matrices[key]
        rows.append(
            {
                "key": key,
                "operator": label,
                "shape": f"{B.shape[0]} × {B.shape[1]}",
                "distance": 100 * float(np.linalg.norm(B @ A - identity) / np.linalg.norm(identity)),
                "noise": float(np.linalg.norm(B) / math.sqrt(SAMPLES)),
                "largest": float(np.linalg.norm(B, 2)),
            }
        )
    return rows


class Case(NamedTuple):
    """A photograph, blurred, with noise of standard deviation `sigma`; all in grey levels from 0 to 255."""

    truth: Numbers
    image: Numbers
    blur: sigdeconv.Convolution
    sigma: float


def observe(size: int, rng: np.random.Generator, *, sigma: float | None = None) -> Case:
    """The middle of a photograph under the blur; without `sigma` the noise is `BSNR` dB below it."""
    from skimage import data

    corner = [middle - size // 2 for middle in MIDDLE]
    y, x = (max(start, 0) for start in corner)
    picture: Any = data.camera
    truth = picture()[y : y + size, x : x + size].astype(float)
    blur = sigdeconv.Convolution(np.outer(TAPS, TAPS), truth.shape, boundary="periodic")
    blurred = blur(truth)
    if sigma is None:
        sigma = float(blurred.std()) * 10 ** (-BSNR / 20)
    return Case(truth, blurred + sigma * rng.standard_normal(truth.shape), blur, sigma)


def restore(case: Case) -> tuple[dict[str, Numbers], dict[str, Numbers]]:
    """Every method's estimate, and its gain for each frequency of the data (complex: with the phase)."""
    blur, y = case.blur, case.image
    balances: dict[str, float] = {}

    def chosen(key: str, regularizer: str) -> float:
        def keep(iteration: sigdeconv.Iteration) -> None:
            balances[key] = cast(float, iteration.chosen["balance"])

        sigdeconv.wiener(y, blur, regularizer=regularizer, callback=keep)
        return balances[key]

    def wiener(regularizer: str, balance: float, image: Numbers) -> Numbers:
        return np.asarray(sigdeconv.wiener(image, blur, regularizer=regularizer, balance=balance))

    back = blur.adjoint(y)
    # The factor that brings it nearest to the scene: nobody could know it, which favours the transpose.
    gain = float(np.vdot(back, case.truth) / np.vdot(back, back))
    methods: dict[str, Callable[[Numbers], Any]] = {
        "blurred": lambda image: image,
        "transpose": blur.adjoint,
        "scaled": lambda image: gain * blur.adjoint(image),
        "inverse": lambda image: sigdeconv.inverse_filter(image, blur, cutoff=0),
        "wiener": partial(wiener, "identity", chosen("wiener", "identity")),
        "curvature": partial(wiener, "laplacian", chosen("curvature", "laplacian")),
    }
    impulse = _impulse(y.shape)
    estimates = {key: np.asarray(method(y)) for key, method in methods.items()}
    return estimates, {key: np.fft.fft2(method(impulse)) for key, method in methods.items()}


def promised(case: Case, gain: Numbers) -> float:
    """The expected PSNR of an operator in dB, from its gains, the scene's spectrum and the strength of the noise."""
    H, X = (np.fft.fft2(part) for part in (np.asarray(case.blur(_impulse(case.truth.shape))), case.truth))
    wrong = np.sum(np.abs((gain * H - 1) * X) ** 2) / case.truth.size**2
    noise = case.sigma**2 * np.sum(np.abs(gain) ** 2) / case.truth.size
    return 10 * math.log10(PEAK**2 / max(float(wrong + noise), np.finfo(float).tiny))


def _impulse(shape: tuple[int, ...]) -> Numbers:
    impulse = np.zeros(shape)
    impulse[(0,) * len(shape)] = 1.0
    return impulse


def measure(case: Case) -> tuple[list[dict[str, Any]], dict[str, Numbers]]:
    """A row a method, and the estimates."""
    estimates, transfers = restore(case)
    rows: list[dict[str, Any]] = []
    for key, label in METHODS.items():
        estimate = estimates[key]
        rows.append(
            {
                "key": key,
                "method": label,
                "sigma": case.sigma,
                "psnr": metrics.psnr(case.truth, estimate, data_range=PEAK),
                "isnr": metrics.isnr(case.truth, case.image, estimate),
                "ssim": metrics.ssim(case.truth, estimate, data_range=PEAK),
                "promised": promised(case, transfers[key]),
            }
        )
    highest = max(float(row["psnr"]) for row in rows)
    return [row | {"marked": row["psnr"] == highest} for row in rows], estimates


def sweep(study: Study) -> list[dict[str, Any]]:
    """Every method at every level of noise, with the same noise made stronger and stronger."""
    levels = study.track(LEVELS, "three meanings, noise")
    return [row for sigma in levels for row in measure(observe(study.size, study.rng(0), sigma=sigma))[0]]


def crossing(rows: Sequence[Mapping[str, Any]], key: str) -> float:
    """The least of the levels of noise at which a method is no nearer to the scene than the blurred image; else inf."""
    return min((float(row["sigma"]) for row in rows if row["key"] == key and row["isnr"] <= 0), default=math.inf)


OPERATOR_COLUMNS = (
    Column("operator", "operator B"),
    Column("shape", "rows × columns"),
    Column("distance", "distance of B A from the identity", "%", 1),
    Column("noise", "white noise is multiplied by", "", 2),
    Column("largest", "largest gain", "", 2),
)
COLUMNS = (
    Column("method", "method"),
    Column("psnr", "PSNR", "dB", 2),
    Column("promised", "PSNR promised by the gains", "dB", 2),
    Column("ssim", "SSIM", "", 3),
    Column("isnr", "ISNR", "dB", 2),
)
SWEEP_COLUMNS = (Column("sigma", "noise, σ", "grey levels", 3), *COLUMNS)


def finding(rows: Sequence[Mapping[str, Any]], levels: Sequence[Mapping[str, Any]], near: float) -> str:
    """Two sentences from the tables."""
    gain = {row["key"]: signed(float(row["isnr"])) for row in rows}
    least = {row["key"]: float(row["psnr"]) for row in levels if row["sigma"] == 0}
    worse = crossing(levels, "inverse")
    when = f"from noise of {worse:g} grey levels on" if math.isfinite(worse) else "at no level of noise"
    exact = "exact to rounding" if least["inverse"] > 150 else f"{least['inverse']:.1f} dB"
    return (
        "A blur weakens each wave of a picture by a factor σ; the transpose weakens it by σ once more, the inverse "
        f"multiplies it by 1/σ, Wiener's filter by σ/(σ² + λ) (as measured, within {near:.0e} of these). On one "
        f"photograph with noise {BSNR:.0f} dB below it that changed the PSNR by {gain['transpose']} dB (transpose; "
        f"with the best gain {gain['scaled']}), {gain['inverse']} dB (inverse) and {gain['wiener']} dB (Wiener); "
        f"without noise the inverse was {exact} and the transpose still {least['transpose']:.1f} dB, and {when} the "
        "inverse was no better than the blurred image."
    ).replace("e-", "e−")


def run(study: Study) -> Chapter:
    """The matrices, their gains, and a photograph under all of them at every level of noise."""
    matrices, sigma, operator = operators(), singular_values(), operator_rows()
    case = observe(study.size, study.rng(0))
    rows, estimates = measure(case)
    levels = sweep(study)
    near = agreement()
    otf = np.abs(np.fft.rfft(TAPS, 512))
    curves = np.arange(otf.size) / 512, otf, gains(otf)
    dots = np.fft.rfftfreq(SAMPLES), measured_gains()
    return Chapter(
        "three_meanings",
        TITLE,
        finding(rows, levels, near),
        [
            f"A convolution with {TAPS.size} taps is a matrix with {TAPS.size} diagonals. {FRAME} samples are seen of "
            f"{SAMPLES}, since the light of the others falls past the frame: A is wider than high and has no inverse, "
            f"only a pseudo-inverse A⁺, which brings back all but the {SAMPLES - FRAME} combinations of samples that A "
            "does not see. Wiener's filter, (AᴴA + λ)⁻¹Aᴴ, is the inverse that distrusts weak waves.",
            figures.matrices(study, matrices, operator, study.rng(1)),
            figures.spectra(study, sigma, curves, dots, BALANCE),
            Table(
                "three_meanings-operators",
                "The matrices of the first figure. Distance: of B A from the identity, root of the sum of squares, "
                f"relative; not 0 for any, because {SAMPLES - FRAME} of {SAMPLES} combinations of samples are never "
                "seen.",
                OPERATOR_COLUMNS,
                operator,
            ),
            "Now the same taps along the rows and along the columns of a photograph. The best gain of the transpose is "
            "computed from the truth, which nobody has; Wiener's λ is chosen from the blurred image alone.",
            figures.photograph(study, case, estimates, rows, METHODS),
            figures.noise(study, levels, METHODS, case.sigma),
            Table(
                "three_meanings",
                f"The photograph with noise {BSNR:.0f} dB below it (σ = {case.sigma:.2f} grey levels). Promised: "
                "computed from the gains, the scene's spectrum and the strength of the noise. Bold: the highest PSNR.",
                COLUMNS,
                rows,
                marked="marked",
            ),
            Table("three_meanings-noise", "Every method at every level of noise", SWEEP_COLUMNS, levels, folded=True),
        ],
    )
