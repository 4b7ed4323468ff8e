"""The weight of a quadratic penalty from the data: from their spectrum where that is possible, else from trials."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _fft
from .._array import Array, namespace, scalar
from ..convolution import Convolution
from ._krylov import after, conjugate_gradients
from ._past_frame import PastFrame
from ._periodic import Periodic
from ._quadratic import Quadratic, Scene, complex_like
from ._trials import Trial, chosen_weight, spread
from .selection import Spectrum, chosen_balance

CAUTION = (100.0, 10.0, 1.0)  # factors of the weight in the rounds that predict the data past the frame
FILL = 12  # conjugate gradients in each of them
TRIAL = 25  # conjugate gradients for a trial
RESOLVED = (1e-6, 1e-12)  # weight, relative to the OTF's peak power, in single and in double precision
SPECK = 0.1  # of the noise: so small that it does no harm, so large that float32 resolves its fate
SEED = 20211
REACH = (1e-8, 1e2, 80)  # weights of a penalty on brightness that are tried, relative to the OTF's peak power
FIRST = 1e-3  # weight, relative to the OTF's peak power, of the restoration that tells how rough scenes are


def balanced(scene: Scene, y: Array, trust: Array | None, sigma: float | None, psf: Array | Convolution) -> float:
    """The weight for one image: by generalised cross-validation, or Stein's estimate where the noise is known.

    A penalty on brightness has no spectrum of a scene behind it, and both would be misled; it gets the weight that
    comes nearest to the best restoration under a penalty on curvature.
    """
    if max(scene.stride) > 1 or scene.boundary == "zero" or not (scene.ring or trust is None):
        # Past a dark edge, between strided samples: no spectrum of the data is that of the scene.
        if scene.regularizer != "identity":
            return _Trials(scene, y, trust, sigma).best()
        return _Trials(scene.with_regularizer("laplacian"), y, trust, sigma).nearest(scene)
    if scene.regularizer != "identity":
        return around(scene, y, trust, sigma, psf)[0]
    smooth = scene.with_regularizer("laplacian")
    weight, data = around(smooth, y, trust, sigma, psf)
    return _nearest(scene, smooth, weight, data)


def around(
    scene: Scene,
    y: Array,
    trust: Array | None,
    sigma: float | None,
    psf: Array | Convolution,
    num_iter: int | None = None,
) -> tuple[float, Array]:
    """The weight, and the data all around the grid, those past the frame as the restoration predicts them.

    `num_iter` bounds the conjugate gradients of the last round, after which the data are used.
    """
    if not scene.ring:
        noisy = math.prod(scene.grid if scene.boundary == "reflect" else scene.shape)
        data = Periodic.of(y, psf, scene.boundary).image
        return from_spectrum(scene, data, sigma, noisy), data
    data, weight = PastFrame(Quadratic(scene, y, trust, 1.0)).first(), 0.0
    for caution in CAUTION:
        weight = from_spectrum(scene, data, sigma, math.prod(scene.shape))
        if weight == 0 or (scene.grid == scene.shape and trust is None):
            break
        past = PastFrame(Quadratic(scene, y, trust, max(caution * weight, least_resolved(scene))))
        data = past.completed(data, num_iter if num_iter and caution == CAUTION[-1] else FILL)
    return weight, data


def least_resolved(scene: Scene) -> float:
    """The least weight under which rounding leaves the data past the frame to be found."""
    xp = namespace(scene.power)
    return RESOLVED[0 if scene.power.dtype == xp.float32 else 1] * scalar(xp.max(scene.power))


def _nearest(scene: Scene, other: Scene, weight: float, data: Array) -> float:
    """The weight under one penalty that restores nearly what `weight` does under another."""
    xp = namespace(data)
    Y = xp.reshape(_fft.transform(data, scene.grid), scene.otf.shape)
    counts = xp.asarray(_multiplicity(scene.grid), dtype=scene.power.dtype, device=scene.power.device)
    seen = scene.power * (xp.real(Y) ** 2 + xp.imag(Y) ** 2) * counts
    aim = scene.power + weight * other.penalty
    known = (scene.power > 0) & (aim > 0)  # a signed PSF may see nothing of the mean
    aim = xp.where(known, 1 / xp.where(known, aim, xp.ones_like(aim)), xp.zeros_like(aim))
    weights = float(xp.max(scene.power)) * np.geomspace(*REACH)
    distances = [float(xp.sum(seen * (1 / (scene.power + w * scene.penalty) - aim) ** 2)) for w in weights]
    return float(weights[int(np.argmin(distances))])


def _multiplicity(grid: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """How many frequencies of the full spectrum each of the half spectrum's last axis stands for."""
    multiplicity = np.full(grid[-1] // 2 + 1, 2.0)
    multiplicity[0] = 1.0
    if grid[-1] % 2 == 0:
        multiplicity[-1] = 1.0
    return multiplicity


def from_spectrum(scene: Scene, data: Array, sigma: float | None, noisy: int) -> float:
    """The weight from data all around the grid, of which `noisy` have noise of their own."""
    xp = namespace(data)
    Y = xp.reshape(_fft.transform(data, scene.grid), scene.otf.shape)
    penalty = xp.broadcast_to(scene.penalty, scene.otf.shape)
    curvature = scene.with_regularizer("laplacian").penalty if scene.regularizer == "identity" else None
    power = xp.real(Y) ** 2 + xp.imag(Y) ** 2
    spectrum = Spectrum.of(power, scene.power, penalty, _multiplicity(scene.grid), curvature)
    if spectrum is None:
        return 0.0
    if sigma is None:
        return chosen_balance(spectrum)
    # Stein: the squared residual, and twice the noise of the degrees of freedom that the filter follows
    followed = (1 - spectrum.left) @ spectrum.number
    score = spectrum.left**2 @ spectrum.energy + 2 * sigma**2 * noisy * followed
    return float(spectrum.balances[np.argmin(score)])


class _Trials:
    """Restorations under several weights: what becomes of a speck of noise tells their degrees of freedom."""

    def __init__(self, scene: Scene, y: Array, trust: Array | None, sigma: float | None) -> None:
        xp = namespace(y)
        self.scene, self.y, self.trust, self.sigma = scene, y, trust, sigma
        self.level = max(spread(y) if sigma is None else sigma, 1e-4 * float(xp.std(y)))
        self.count = float(math.prod(y.shape) if trust is None else xp.sum(trust))

    def best(self) -> float:
        """The weight by generalised cross-validation, or Stein's estimate where the noise is known."""
        if self.level == 0:
            return 0.0
        xp, scene, y, trust = namespace(self.y), self.scene, self.y, self.trust
        noise = np.random.default_rng(SEED).standard_normal(tuple(y.shape))
        speck = xp.asarray(noise.astype("float32" if y.dtype == xp.float32 else "float64"), device=y.device)
        if trust is not None:
            speck = xp.where(trust > 0, speck, xp.zeros_like(speck))
        pair = xp.stack([y, y + SPECK * self.level * speck])
        trusted = speck if trust is None else speck * trust
        state = None

        def trial(weight: float) -> Trial:
            nonlocal state
            state = self._solved(Quadratic(scene, pair, trust, weight), state)
            seen = scene.forward(state)
            misfit, roughness = Quadratic(scene, y, trust, weight).cost(state[0, ...])
            return Trial(
                weight=weight,
                residual=float(xp.sum(misfit)),
                freedom=float(xp.sum(trusted * (seen[1, ...] - seen[0, ...]))) / (SPECK * self.level),
                count=self.count,
                roughness=float(xp.sum(roughness)),
            )

        first = FIRST * float(xp.max(scene.power))
        roughness = trial(first).roughness
        if roughness > 0:
            first = self.level**2 * self.count / roughness
        rule = "gcv" if self.sigma is None else "sure"
        return chosen_weight(trial, first, rule, self.level, sparse=max(scene.stride) > 1)[0]

    def nearest(self, scene: Scene) -> float:
        """The weight under the penalty of `scene` that restores nearly what the best one does under this."""
        weight = self.best()
        if weight == 0:
            return 0.0
        aim = self._solved(Quadratic(self.scene, self.y, self.trust, weight), None)
        state = aim

        def trial(weight: float) -> Trial:
            nonlocal state
            state = self._solved(Quadratic(scene, self.y, self.trust, weight), state)
            return Trial(weight=weight, residual=float(namespace(aim).sum((state - aim) ** 2)), freedom=0.0, count=0.0)

        # Stein's score of trials without freedom and noise is their residual: here the distance.
        return chosen_weight(trial, FIRST * float(namespace(aim).max(scene.power)), "sure", 0.0)[0]

    def _solved(self, problem: Quadratic, state: Array | None) -> Array:
        """The minimum, from the one before."""
        scene, transfer = problem.scene, complex_like(problem.inverse())
        state = problem.flat() if state is None else state
        r = problem.target() - problem.curvature(state)
        steps = conjugate_gradients(state, r, problem.curvature, lambda r: scene.filtered(r, transfer), scene.ndim)
        return after(steps, TRIAL)
