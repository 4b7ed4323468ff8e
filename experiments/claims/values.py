"""Claims about values: what a transposed convolution brings back, and what a layer computes."""

from __future__ import annotations

from typing import Any

import numpy as np

import sigdeconv

from . import shapes
from .verdicts import Case, Claim, number

Numbers = np.ndarray[Any, Any]

SIDE = 128
EXACT = 1e-9  # relative error that is rounding


def photograph(side: int = SIDE) -> Numbers:
    """A crop of scikit-image's camera in 0..1."""
    from skimage import data

    return np.asarray(data.camera()[100 : 100 + side, 180 : 180 + side], dtype=np.float64) / 255


def error(truth: Numbers, estimate: Numbers) -> float:
    """Relative, after the best gain: nobody asks a transpose for its scale."""
    gain = float(np.vdot(estimate, truth)) / max(float(np.vdot(estimate, estimate)), 1e-300)
    return float(np.linalg.norm(gain * estimate - truth) / np.linalg.norm(truth))


def kernels() -> dict[str, Numbers]:
    """Kernels as they occur: blurs, and one that nobody has trained."""
    return {
        "Gaussian blur, σ = 2": sigdeconv.psf.gaussian(13, 2.0)[:, None] * sigdeconv.psf.gaussian(13, 2.0),
        "motion blur, 9 px": np.asarray(sigdeconv.psf.motion(9, 30.0)),
        "random 5 × 5": np.random.default_rng(shapes.SEED).standard_normal((5, 5)),
    }


def reverses() -> Claim:
    """Aᴴ A x against x."""
    x = photograph()
    cases = []
    for name, kernel in kernels().items():
        blur = sigdeconv.Convolution(kernel, x.shape, boundary="periodic")
        there = error(x, np.asarray(blur.forward(x)))
        back = error(x, np.asarray(blur.adjoint(blur.forward(x))))
        text = f"error {100 * back:.0f} % after the transpose, {100 * there:.0f} % before it"
        cases.append(Case(name, text, back < EXACT))
    return Claim(
        "claim-reverses",
        "A transposed convolution reverses a convolution",
        cases,
        "It applies the same gains once more: what a blur has weakened is weakened again. Only an inverse "
        "divides by them. "
        "The best gain was given to every result, so this is not a matter of scale.",
        ("three_meanings", "explanation/four-meanings"),
    )


def shape_and_values() -> Claim:
    """In every drawn setting."""
    rng = np.random.default_rng(shapes.SEED)
    shape, value = [], []
    for case in shapes.drawn(500):
        if case.layer.kernel == 1:
            continue  # a number, not a convolution
        x, kernel = rng.standard_normal(case.n), rng.standard_normal(case.layer.kernel)
        y = shapes.convolve(x, kernel, case.layer)
        back = shapes.transpose(y, kernel, case.layer._replace(output_padding=case.shape_back()))
        shape.append(back.shape == x.shape)
        value.append(bool(error(x, back) < EXACT))
    return Claim(
        "claim-shape-not-values",
        "A transposed convolution recovers the dimensions, not the values",
        [
            Case(f"dimensions ({len(shape)} drawn layers, output_padding chosen)", _share(shape), all(shape)),
            Case("values of the same layers", _share(value), not any(value)),
        ],
        "That is all that “deconvolution layer” promises. The values of its output come from its weights, which "
        "are trained.",
        ("arithmetic", "three_meanings"),
    )


def _share(found: list[bool]) -> str:
    return f"come back in {100 * np.mean(found):.0f} %"


def minus_one() -> Claim:
    """The demonstration with a kernel of one entry."""
    x = photograph()
    centre = np.zeros((3, 3))
    centre[1, 1] = -1
    corner = np.zeros((3, 3))
    corner[0, 0] = -1
    half = np.zeros((3, 3))
    half[1, 1], half[1, 2] = -0.9, 0.3
    cases = []
    for name, kernel in (
        ("−1 in the centre", centre),
        ("−1 in a corner", corner),
        ("−0.9 and 0.3 beside it", half),
        *kernels().items(),
    ):
        blur = sigdeconv.Convolution(kernel, x.shape, boundary="periodic")
        found = error(x, np.asarray(blur.adjoint(blur.forward(x))))
        cases.append(Case(name, f"error {'0' if found < EXACT else f'{100 * found:.1f} %'}", found < EXACT))
    return Claim(
        "claim-minus-one",
        "A kernel with a single −1 recovers the image, so learning lets a transposed convolution recover its input",
        cases,
        "The premise is true and proves nothing: a single −1 shifts and turns the sign, its transpose undoes "
        "both, because "
        "there AᵀA = I. A second entry ends it. Learning can only choose weights; for a transpose that inverts "
        "they would have "
        "to be orthogonal, and no longer those of the blur.",
        ("orthogonal", "transpose_to_wiener"),
    )


def cross_correlation() -> Claim:
    """What layers compute."""
    import torch
    from scipy import signal

    rng = np.random.default_rng(shapes.SEED)
    cases = []
    for ndim in (1, 2, 3):
        x, kernel = rng.standard_normal((9,) * ndim), rng.standard_normal((3,) * ndim)
        layer = getattr(torch.nn.functional, f"conv{ndim}d")
        got = layer(torch.tensor(x)[None, None], torch.tensor(kernel)[None, None])[0, 0].numpy()
        correlated = float(np.abs(got - signal.correlate(x, kernel, "valid")).max())
        convolved = float(np.abs(got - signal.convolve(x, kernel, "valid")).max())
        text = f"differs from cross-correlation by {number(correlated)}, from convolution by {number(convolved)}"
        cases.append(Case(f"torch's conv{ndim}d against scipy.signal", text, correlated < EXACT < convolved))
    return Claim(
        "claim-correlation",
        "Convolution layers compute cross-correlation, not convolution",
        cases,
        "The kernel is not flipped. For trained weights it makes no difference; for a PSF it does. And what the "
        "transposed "
        "layer does with its kernel is then a convolution in the strict sense.",
        ("explanation/glossary",),
    )


CLAIMS = (reverses, shape_and_values, minus_one, cross_correlation)
