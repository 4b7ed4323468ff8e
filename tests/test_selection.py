"""Generalised cross-validation against its definition with matrices, and against the truth of simulations."""

from __future__ import annotations

import numpy as np
import pytest

from sigdeconv.deconvolution._roughness import multiplicity
from sigdeconv.deconvolution.selection import (
    RANGE,
    Spectrum,
    chosen_balance,
    generalized_cross_validation,
    least_expected_error,
)


def spectra(n: int, width: float, noise: float, seed: int = 0):
    """Half spectra of a blurred noisy random walk, its blur and second differences; and what they were made of."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.standard_normal(n))
    x -= np.linspace(0, x[-1] - x[0], n)
    w = 2 * np.pi * np.fft.rfftfreq(n)
    H, L = np.exp(-0.5 * (width * w) ** 2), 2 - 2 * np.cos(w)
    y = np.fft.irfft(H * np.fft.rfft(x), n) + noise * rng.standard_normal(n)
    return x, y, H, L


def score(y: np.ndarray, H: np.ndarray, L: np.ndarray, balance: float) -> float:
    """The score as Golub, Heath and Wahba define it, with the matrix from data to predicted data."""
    n = len(y)
    hat = np.fft.irfft(np.fft.rfft(np.eye(n), axis=0) * (H**2 / (H**2 + balance * L**2))[:, None], n, axis=0)
    # What no penalty touches passes at any balance, and its degree of freedom is spent.
    free = int((L == 0).sum())
    return float(np.sum((y - hat @ y) ** 2) / (n - free - (np.trace(hat) - free)) ** 2)


def chosen(y: np.ndarray, H: np.ndarray, L: np.ndarray) -> float:
    n = len(y)
    return generalized_cross_validation(Spectrum.of(np.abs(np.fft.rfft(y)) ** 2, H**2, L**2, multiplicity((n,))))


@pytest.mark.parametrize("n", [64, 65])
@pytest.mark.parametrize("noise", [0.01, 0.3, 3.0])
def test_it_finds_the_minimum_of_the_score(n, noise):
    _, y, H, L = spectra(n, 1.5, noise)
    found = chosen(y, H, L)
    nearby = [score(y, H, L, b) for b in np.geomspace(1e-10, 1e6, 400)]
    assert score(y, H, L, found) < 1.01 * min(nearby)


@pytest.mark.parametrize("noise", [0.1, 1.0, 5.0])
def test_the_minimum_predicts_the_scene_nearly_as_well_as_the_truth_would(noise):
    losses = []
    for seed in range(10):
        x, y, H, L = spectra(512, 1.5, noise, seed)
        Y = np.fft.rfft(y)

        def loss(balance, x=x, Y=Y, H=H, L=L):
            return np.mean((np.fft.irfft(H * Y / (H**2 + balance * L**2), 512) - x) ** 2)

        losses.append(loss(chosen(y, H, L)) / min(loss(b) for b in np.geomspace(1e-8, 1e5, 200)))
    assert np.mean(losses) < 1.1


@pytest.mark.parametrize("noise", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_model_tells_the_noise_and_the_balance_of_least_error(noise, power):
    n = 4096
    rng = np.random.default_rng(3)
    w = 2 * np.pi * np.fft.rfftfreq(n)
    H, L = np.exp(-0.5 * (1.5 * w) ** 2), 2 - 2 * np.cos(w)
    light = 1 / np.maximum(L, L[1]) ** (2 * power)  # what the scene has at each frequency
    X = np.fft.rfft(rng.standard_normal(n)) * np.sqrt(light)
    Y = H * X + np.fft.rfft(noise * rng.standard_normal(n))
    for penalty in (L**2, np.ones_like(L)):
        data = Spectrum.of(np.abs(Y) ** 2, H**2, penalty, multiplicity((n,)), L**2)
        assert data.scene.most_likely()[0] == pytest.approx(noise**2 * n, rel=0.1)
        # the truth: the expected error of the filter at each frequency, by its formula
        balances = np.geomspace(1e-8, 1e6, 300)[:, None]
        filters = H / (H**2 + balances * penalty)
        errors = ((1 - H * filters) ** 2 * light + (noise * filters) ** 2)[:, 1:].sum(axis=1)
        found = H / (H**2 + least_expected_error(data) * penalty)
        expected = ((1 - H * found) ** 2 * light + (noise * found) ** 2)[1:].sum()
        assert expected < 1.03 * errors.min()


def test_the_range_of_balances_reaches_below_the_noise_of_a_long_signal():
    # Curvature of the lowest frequency of many is tiny: a range that hangs on it alone ends too early.
    n = 1 << 15
    L = 2 - 2 * np.cos(2 * np.pi * np.fft.rfftfreq(n))
    rng = np.random.default_rng(0)
    echo = np.zeros(n)
    echo[[0, 700]] = 1.0, 0.6
    H = np.abs(np.fft.rfft(echo))
    Y = H * np.fft.rfft(rng.standard_normal(n)) + 1e-3 * np.fft.rfft(rng.standard_normal(n))
    balance = chosen_balance(Spectrum.of(np.abs(Y) ** 2, H**2, L**2, multiplicity((n,)), L**2))
    assert balance < 1e-4


def test_more_noise_asks_for_more_penalty():
    balances = [chosen(*spectra(512, 1.5, noise)[1:]) for noise in (0.01, 0.1, 1.0, 10.0)]
    assert balances == sorted(balances)
    assert balances[-1] > 100 * balances[0]


def test_units_scale_out():
    _, y, H, L = spectra(128, 1.5, 0.5)
    b = chosen(y, H, L)
    assert chosen(1e6 * y, H, L) == pytest.approx(b)
    assert chosen(1e-6 * y, H, L) == pytest.approx(b)
    assert chosen(y, 10 * H, L) == pytest.approx(100 * b, rel=0.05)
    assert chosen(y, H, 10 * L) == pytest.approx(b / 100, rel=0.05)


def test_every_kind_of_array(kind):
    _, y, H, L = spectra(128, 1.5, 0.5)
    power, seen, rough = (kind.array(a) for a in (np.abs(np.fft.rfft(y)) ** 2, H**2, L**2))
    assert generalized_cross_validation(Spectrum.of(power, seen, rough, multiplicity((128,)))) == pytest.approx(
        chosen(y, H, L)
    )


def test_multiplicity_counts_the_whole_spectrum():
    for grid in ((6,), (7,), (1,), (2,), (4, 6), (3, 4, 5)):
        full = np.abs(np.fft.fftn(np.random.default_rng(0).random(grid))) ** 2
        half = full[..., : grid[-1] // 2 + 1]
        assert (half * multiplicity(grid)).sum() == pytest.approx(full.sum())


@pytest.mark.parametrize("degenerate", ["no data", "no penalty", "no blur", "one sample", "opaque", "noiseless"])
def test_degenerate_problems_have_a_finite_answer(degenerate):
    _, y, H, L = spectra(64, 1.5, 0.5)
    power, seen, rough = np.abs(np.fft.rfft(y)) ** 2, H**2, L**2
    if degenerate == "no data":
        power = 0 * power
    elif degenerate == "no penalty":
        rough = 0 * rough
    elif degenerate == "no blur":
        seen = np.ones_like(seen)
    elif degenerate == "one sample":
        power, seen, rough = power[:1], seen[:1], rough[:1]
    elif degenerate == "opaque":
        seen = 0 * seen
    else:
        power = seen * np.geomspace(1, 1e-30, len(power))
    n = 1 if degenerate == "one sample" else 64
    balance = chosen_balance(Spectrum.of(power, seen, rough, multiplicity((n,))))
    assert np.isfinite(balance)
    assert balance >= 0
    if degenerate in ("no penalty", "one sample", "opaque"):
        assert balance == 0.0
    elif degenerate == "no blur":
        assert RANGE[0] <= balance * rough[rough > 0].min() <= RANGE[1]


def test_a_wrong_psf_makes_nothing_explode():
    # A sharp photograph under a PSF that it was not blurred with: cross-validation alone lets the result explode.
    from skimage import data

    import sigdeconv

    photo = data.camera()[::2, ::2] / 255.0
    restored = sigdeconv.wiener(photo, sigdeconv.psf.gaussian((21, 21), 2.5))
    assert np.ptp(restored) < 20
