"""Claims about deconvolution proper: division, noise, resolution, linearity."""

from __future__ import annotations

from typing import Any

import numpy as np

import sigdeconv
from sigdeconv import metrics, simulate

from . import values
from .shapes import SEED
from .verdicts import Case, Claim, number

Numbers = np.ndarray[Any, Any]

FAINT = 1e-3  # noise that nobody sees: a thousandth of the white level


def division() -> Claim:
    """f = (f ∗ g) / g."""
    x = values.photograph()
    psf = sigdeconv.psf.gaussian((9, 9), 1.0)
    wide = sigdeconv.psf.gaussian((x.shape[0] - 1, x.shape[1] - 1), 4.0)
    box = np.full((8, 8), 1 / 64)
    cases = []

    def add(circumstance: str, kernel: Numbers, sigma: float = 0.0) -> None:
        blur = sigdeconv.Convolution(kernel, x.shape, boundary="periodic")
        y = np.asarray(blur.forward(x)) + sigma * np.random.default_rng(SEED).standard_normal(x.shape)
        spectrum = np.fft.rfft2(y)
        otf = np.asarray(sigdeconv.psf_to_otf(kernel, x.shape))
        otf = otf if otf.shape == spectrum.shape else otf[..., : spectrum.shape[-1]]
        with np.errstate(divide="ignore", invalid="ignore"):
            back = np.fft.irfft2(np.nan_to_num(spectrum / otf, posinf=0, neginf=0), s=x.shape)
        found = metrics.nrmse(x, back)
        cases.append(Case(circumstance, f"error {_percent(found)}", found < 1e-6))

    y = np.asarray(sigdeconv.Convolution(psf, x.shape, boundary="periodic").forward(x))
    padded = np.zeros_like(x)
    padded[:9, :9] = psf
    with np.errstate(divide="ignore"):
        pointwise = np.where(padded > 0, y / padded, 0)
    cases.append(Case("sample by sample, in space", f"error {_percent(metrics.nrmse(x, pointwise))}", False))
    add("frequency by frequency, periodic, narrow Gaussian", psf)
    add(f"the same with noise of {FAINT:g}", psf, FAINT)
    add("wide Gaussian (σ = 4, not cut), no noise", wide)
    add("box of 8 × 8: some frequencies are zero", box)
    return Claim(
        "claim-division",
        "Deconvolution is division: f = (f ∗ g) / g",
        cases,
        "It is division of spectra, and only if the blur is periodic, no frequency is lost (or so weak that "
        "rounding is larger "
        "than it), and there is no noise: division multiplies noise by 1/|H|. Every method of this library is a "
        "way not to "
        "divide where that would hurt.",
        ("recovery", "explanation/why-the-inverse-explodes"),
    )


def _percent(value: float) -> str:
    return (
        "less than 1e-6"
        if value < 1e-6
        else f"{100 * value:.3g} %"
        if value < 1e3
        else f"{float(f'{value:.1g}'):,.0f} times the image"
    )


def two_factors() -> Claim:
    """One signal into two."""
    roots = np.array([0.5, -0.4, 1.6, -1.3, 0.8, 0.2])
    f, g = np.poly(roots[:3]), np.poly(roots[3:])
    other_f, other_g = np.poly(roots[[0, 1, 3]]), np.poly(roots[[2, 4, 5]])
    product = np.convolve(f, g)
    same = metrics.nrmse(product, np.convolve(other_f, other_g))
    apart = metrics.nrmse(f / np.linalg.norm(f), other_f / np.linalg.norm(other_f))
    quotient, _ = np.polydiv(product, g)
    known = metrics.nrmse(f, quotient)
    return Claim(
        "claim-two-factors",
        "Deconvolution splits a signal into two signals whose convolution it is",
        [
            Case("g is known (deconvolution)", f"one answer, f, to {number(known)}", False),
            Case(
                "g is not known (blind deconvolution)",
                f"two pairs with the same product (they differ by {number(same)}); their factors differ by "
                f"{100 * apart:.0f} %",
                same < 1e-9 and apart > 0.1,
            ),
        ],
        "That is the blind problem only, and it has many answers: any sharing-out of the roots of a polynomial. "
        "What is known of "
        "the PSF (it is small, positive, a shake) must choose. With a known blur one signal is sought, not two.",
        ("blind",),
    )


def removes_noise() -> Claim:
    """What becomes of noise alone."""
    rng = np.random.default_rng(SEED)
    x = values.photograph()
    sigma = 0.1
    noise = sigma * rng.standard_normal(x.shape)
    delta = np.ones((1, 1))
    psf = sigdeconv.psf.gaussian((9, 9), 1.0)
    identity = np.asarray(sigdeconv.inverse_filter(x + noise, delta)) - x
    gain = float(np.std(np.asarray(sigdeconv.inverse_filter(noise, psf, cutoff=0)))) / float(np.std(noise))
    same = float(np.std(identity) / np.std(noise))
    wiener = np.asarray(sigdeconv.wiener(x + noise, delta, boundary="periodic"))
    tv = np.asarray(sigdeconv.total_variation(x + noise, delta, boundary="periodic", sigma=sigma))
    before = metrics.psnr(x, x + noise, data_range=1.0)
    rows = [
        Case("inverse, no blur", f"noise × {same:.2f}", same < 0.99),
        Case("inverse of a Gaussian of σ = 1", f"noise × {round(gain, -1):,.0f}", gain < 1),
    ]
    for name, image in (("Wiener, no blur", wiener), ("total variation, no blur", tv)):
        change = metrics.psnr(x, image, data_range=1.0) - before
        rows.append(Case(name, f"{change:+.1f} dB".replace("-", "−"), change > 0.1))
    return Claim(
        "claim-noise",
        "Deconvolution removes noise",
        rows,
        "The inverse of no blur returns the noise as it came, the inverse of a blur makes more of it. What "
        "removes noise is what "
        "is put beside the inverse: Wiener's estimate of the spectrum, a prior, a trained network.",
        ("denoising", "explanation/what-a-prior-does"),
    )


def resolution() -> Claim:
    """What lies beyond the cut-off."""
    rng = np.random.default_rng(SEED)
    n, cut = 256, 40
    frequencies = np.fft.rfftfreq(n) * n
    otf = np.clip(1 - frequencies / cut, 0, None)  # an aperture's: zero from the cut-off on
    psf = np.fft.fftshift(np.fft.irfft(otf, n))
    texture = np.convolve(rng.standard_normal(n + 4), np.ones(5) / 5, "valid") + 2
    spikes = np.zeros(n)
    spikes[rng.choice(n, 8, replace=False)] = rng.uniform(50, 150, 8)
    inside = (frequencies > 0) & (frequencies < 0.9 * cut)  # the mean is the blur's to keep, and large
    beyond = frequencies > cut

    def found(truth: Numbers, estimate: Numbers, part: Numbers) -> float:
        a, b = np.fft.rfft(truth)[part], np.fft.rfft(estimate)[part]
        return 1 - float(np.linalg.norm(b - a) / np.linalg.norm(a))

    blur = sigdeconv.Convolution(psf, (n,), boundary="periodic")
    cases = []
    for name, truth in (("texture", texture), ("spikes on black", spikes)):
        y = np.asarray(blur.forward(truth)) + 1e-3 * truth.max() * rng.standard_normal(n)
        linear = np.asarray(sigdeconv.wiener(y, psf, boundary="periodic"))
        positive = np.asarray(
            sigdeconv.richardson_lucy(np.maximum(y, 0), np.maximum(psf, 0), num_iter=300, boundary="periodic")
        )
        for method, estimate in (("Wiener", linear), ("Richardson–Lucy, 300 iterations", positive)):
            for where, part in (("within", inside), ("beyond", beyond)):
                share, before = found(truth, estimate, part), found(truth, y, part)
                gained = share - before
                text = f"{100 * max(share, 0):.0f} % of the spectrum right, {100 * max(before, 0):.0f} % before"
                cases.append(Case(f"{name}, {method}, {where} the cut-off", text, gained > 0.1 and share > 0.1))
    return Claim(
        "claim-resolution",
        "Deconvolution raises resolution",
        cases,
        "Within the cut-off of the instrument it restores contrast, which is what most people see as resolution. "
        "Beyond it a "
        "linear method has nothing to divide. A prior can fill that in, and is right only if the scene is as the "
        "prior says: "
        "non-negativity finds spikes on black, and nothing in a texture.",
        ("signals", "explanation/what-a-prior-does"),
    )


def nonlinear() -> Claim:
    """The blur is linear and shift-invariant, whatever the method is."""
    x = simulate.spectrum(128, rng=SEED) * 100 + 5
    z = np.roll(simulate.spectrum(128, rng=SEED + 1) * 100 + 5, 31)
    psf = sigdeconv.psf.gaussian(13, 2.0)
    blur = sigdeconv.Convolution(psf, (128,), boundary="periodic")
    methods = {
        "Richardson–Lucy": lambda y: sigdeconv.richardson_lucy(y, psf, num_iter=30, boundary="periodic"),
        "total variation": lambda y: sigdeconv.total_variation(y, psf, weight=0.5, boundary="periodic", tol=1e-8),
    }
    model = metrics.nrmse(np.asarray(blur.forward(x)) + np.asarray(blur.forward(z)), np.asarray(blur.forward(x + z)))
    cases = []
    for name, method in methods.items():
        a, b, both = (np.asarray(method(np.asarray(blur.forward(v)))) for v in (x, z, x + z))
        moved = np.asarray(method(np.roll(np.asarray(blur.forward(x)), 17)))
        text = (
            f"the estimate of a sum differs from the sum of estimates by {100 * metrics.nrmse(both, a + b):.1f} %; the "
            "blur that it "
            f"assumes is linear to {number(model)} and the estimate moves with the scene to "
            f"{number(metrics.nrmse(np.roll(a, 17), moved))}"
        )
        cases.append(Case(name, text, model > 1e-9))
    return Claim(
        "claim-nonlinear",
        "Nonlinear deconvolution is the kind that assumes no linear time-invariant system",
        cases,
        "The *estimate* is a nonlinear function of the data (counts are positive, edges are sparse); the blur "
        "that it undoes is "
        "linear and shift-invariant all the same. A blur that changes over the field is another matter, linear too.",
        ("signals",),
    )


CLAIMS = (division, two_factors, removes_noise, resolution, nonlinear)
