"""What the edge-preserving methods are built of: the ring, the priors and their shrinking, alternating directions.

The truths are dense matrices, singular values, the definition of a prox, and a primal-dual loop written here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize

from sigdeconv import Convolution
from sigdeconv.deconvolution._edge_restoration import FLOOR, Edges
from sigdeconv.deconvolution._priors import SECOND, curvature, edges, gaussian_transfer, spikes
from sigdeconv.deconvolution._ring import Ring
from sigdeconv.deconvolution._splitting import CHUNK, Splitting
from sigdeconv.deconvolution.wavelets import Wavelets

BOUNDARIES = ("free", "periodic", "zero", "reflect")
GRIDS = {1: (11,), 2: (7, 10), 3: (5, 6, 7)}
LINE = np.array([0.1, 0.5, 0.3, 0.1])  # no zero of its transfer function, so that minimisers are unique
BLOCK = np.array([[0.0, 0.1, 0.0], [0.1, 0.5, 0.2], [0.05, 0.05, 0.0]])

PRIORS: dict[str, Callable[[int], Any]] = {
    "round": lambda ndim: edges(ndim),
    "forward": lambda ndim: edges(ndim, differences="forward"),
    "second": lambda ndim: edges(ndim, second=True),
    "nuclear": lambda ndim: curvature(ndim, "nuclear"),
    "frobenius": lambda ndim: curvature(ndim, "frobenius"),
    "spikes": spikes,
    "haar": lambda ndim: Wavelets(ndim, "haar", 2),
}
every_prior = pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)
every_ndim = pytest.mark.parametrize("ndim", GRIDS)


# The priors


@every_prior
@every_ndim
def test_adjoint_is_the_transpose(prior, ndim):
    rng = np.random.default_rng(ndim)
    d, x = prior(ndim), rng.standard_normal((2, *GRIDS[ndim]))
    parts = d.apply(x)
    v = [rng.standard_normal(part.shape) for part in parts]
    left = sum((a * b).sum() for a, b in zip(parts, v, strict=True))
    np.testing.assert_allclose(left, (x * d.adjoint(v)).sum(), rtol=1e-10)


@every_prior
@every_ndim
def test_power_is_that_of_the_differences_of_a_point(prior, ndim):
    """Parseval: the energy of the differences of any scene is known from its spectrum."""
    d, grid = prior(ndim), GRIDS[ndim]
    point = np.zeros(grid)
    point[(0,) * ndim] = 1.0
    wanted = sum(np.abs(np.fft.rfftn(part)) ** 2 for part in d.apply(point))
    np.testing.assert_allclose(d.power(grid), wanted, atol=1e-12)
    x = np.random.default_rng(0).standard_normal(grid)
    whole = sum(np.abs(np.fft.fftn(part)) ** 2 for part in d.apply(point))
    energy = (whole * np.abs(np.fft.fftn(x)) ** 2).sum() / x.size
    np.testing.assert_allclose(sum((part**2).sum() for part in d.apply(x)), energy)


@every_ndim
@pytest.mark.parametrize("differences", ["round", "forward"])
def test_length_of_a_ramp_is_its_gradient(ndim, differences):
    slopes = np.array([0.5, -2.0, 1.5])[:ndim]
    ramp = np.tensordot(slopes, np.indices(GRIDS[ndim]), 1)
    prior = edges(ndim, differences=differences)
    cost = prior.cost([part.reshape(1, -1) for part in prior.apply(ramp)]).reshape(GRIDS[ndim])
    inner = cost[(slice(1, -1),) * ndim]  # where no difference reaches around the ring
    np.testing.assert_allclose(inner, np.linalg.norm(slopes))


@every_ndim
def test_cost_of_a_parabola_is_the_norm_of_its_hessian(ndim):
    hessian = np.array([[2.0, -0.7, 0.3], [-0.7, -1.0, 0.8], [0.3, 0.8, 0.4]])[:ndim, :ndim]
    place = np.indices(GRIDS[ndim]).astype(float)
    parabola = 0.5 * np.einsum("i...,ij,j...", place, hessian, place)
    for norm, wanted in (("frobenius", "fro"), ("nuclear", "nuc")):
        prior = curvature(ndim, norm)
        cost = prior.cost([part.reshape(1, -1) for part in prior.apply(parabola)]).reshape(GRIDS[ndim])
        np.testing.assert_allclose(cost[(slice(1, -2),) * ndim], np.linalg.norm(hessian, wanted))
    both = edges(ndim, second=True)
    parts = both.apply(parabola)
    bent = parts[-len(curvature(ndim, "frobenius").stencils) :]
    length = np.sqrt(sum(part**2 for part in bent))[(slice(1, -2),) * ndim]
    np.testing.assert_allclose(length, SECOND * np.linalg.norm(hessian))


def test_round_differences_cost_edges_alike_in_all_directions():
    """Half planes, counted along the edge; forward differences tell two diagonals apart by a factor of root two."""
    y, x = np.indices((96, 96)) - 47.5
    inner = np.hypot(y, x) < 40

    def spread(differences):
        prior, costs = edges(2, differences=differences), []
        for angle in np.arange(16) * np.pi / 16:
            plane = (np.cos(angle) * y + np.sin(angle) * x > 0.01).astype(float)
            cost = prior.cost([part.reshape(1, -1) for part in prior.apply(plane)]).reshape(plane.shape)
            costs.append(cost[inner].sum())
        return max(costs) / min(costs)

    assert spread("round") < 1.25
    assert spread("forward") > 1.4


def symmetric(parts: list[np.ndarray]) -> np.ndarray:
    """The matrices whose diagonal and root-two-fold other entries are given."""
    entries = np.stack([part.ravel() for part in parts], axis=-1)
    n = 2 if len(parts) == 3 else 3
    matrices = np.zeros((len(entries), n, n))
    for i in range(n):
        matrices[:, i, i] = entries[:, i]
    for k, (i, j) in enumerate(itertools.combinations(range(n), 2), start=n):
        matrices[:, i, j] = matrices[:, j, i] = entries[:, k] / np.sqrt(2)
    return matrices


@pytest.mark.parametrize("norm", ["nuclear", "frobenius"])
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("threshold", [0.0, 0.4, 1.5, 50.0])
def test_shrunk_hessians_have_shrunk_singular_values(norm, ndim, threshold):
    prior, rng = curvature(ndim, norm), np.random.default_rng(5)
    q = [rng.standard_normal((1, 300)) for _ in prior.stencils]
    for part in q[ndim:]:
        part[0, :10] = 0.0  # diagonal
    for part in q:
        part[0, :3] = 0.0
    q[0][0, 3] = q[1][0, 3] = 2.0  # of equal eigenvalues
    u, values, v = np.linalg.svd(symmetric(q))
    if norm == "nuclear":
        cost, fewer = values.sum(-1), np.maximum(values - threshold, 0)
    else:
        cost = np.sqrt((values**2).sum(-1))
        fewer = values * np.maximum(1 - threshold / np.maximum(cost, 1e-300), 0)[:, None]
    np.testing.assert_allclose(prior.cost(q)[0], cost, atol=1e-12)
    found = prior.prox([part.copy() for part in q], threshold)
    np.testing.assert_allclose(symmetric(found), (u * fewer[:, None, :]) @ v, atol=1e-12)


@every_prior
@every_ndim
@pytest.mark.parametrize("colours", [1, 3])
def test_prox_is_the_nearest_that_costs_less(prior, ndim, colours):
    """Nothing near it is better, and the problem is convex: it is the minimum of ``1/2 |v - q|^2 + t cost(v)``."""
    rng, d = np.random.default_rng(6), prior(ndim)
    groups = d.groups if isinstance(d, Wavelets) else len(d.stencils)
    q = [rng.standard_normal((colours, 200)) for _ in range(groups)]
    size = np.sqrt(sum(part**2 for part in q).sum(0) / groups)
    t = float(np.median(size)) * (1.0 if groups > 1 else 0.7)
    p = d.prox([part.copy() for part in q], t)

    def score(v):
        return 0.5 * sum(((a - b) ** 2).sum(0) for a, b in zip(v, q, strict=True)) + t * d.cost(v)[0]

    least = score(p)
    for reach in (1e-4, 1e-2, 1.0):
        for _ in range(15):
            step = [reach * rng.standard_normal(part.shape) for part in p]
            assert (score([a + b for a, b in zip(p, step, strict=True)]) > least - 1e-12).all()
    for factor in (0.0, 0.9, 1.1):
        assert (score([factor * part for part in p]) >= least - 1e-12).all()


def test_prox_against_a_search():
    """The scalar and the vector definition, minimised by brute force."""
    fine = np.linspace(-4, 4, 8001)
    for q in (-2.3, -0.4, 0.0, 0.9, 3.1):
        wanted = fine[np.argmin(0.5 * (fine - q) ** 2 + 0.7 * np.abs(fine))]
        (found,) = spikes(1).prox([np.array([[q]])], 0.7)
        assert abs(found.item() - wanted) < 1e-3
    coarse = np.linspace(-3, 3, 601)
    a, b = np.meshgrid(coarse, coarse, indexing="ij")
    for q in ((2.0, -1.0), (0.3, 0.4), (-1.5, 0.2)):
        where = np.argmin(0.5 * (a - q[0]) ** 2 + 0.5 * (b - q[1]) ** 2 + 0.7 * np.hypot(a, b))
        found = edges(2, differences="forward").prox([np.array([[value]]) for value in q], 0.7)
        np.testing.assert_allclose(np.ravel(found), (a.flat[where], b.flat[where]), atol=0.01)


def test_prox_takes_a_threshold_for_each_sample():
    rng = np.random.default_rng(7)
    t = rng.uniform(0, 2, (1, 40))
    for name, ndim in itertools.product(PRIORS, GRIDS):
        prior = PRIORS[name](ndim)
        groups = prior.groups if isinstance(prior, Wavelets) else len(prior.stencils)
        q = [rng.standard_normal((2, 40)) for _ in range(groups)]
        found = prior.prox(q, t)
        for i in (0, 17, 39):
            alone = prior.prox([part[:, i : i + 1] for part in q], float(t[0, i]))
            for part, wanted in zip(found, alone, strict=True):
                np.testing.assert_allclose(part[:, i : i + 1], wanted, atol=1e-12)


@pytest.mark.parametrize("grid", [(30,), (12, 17), (9, 8, 10)])
def test_pooling_is_a_gaussian_around_the_ring(grid):
    width = 1.3
    x = np.random.default_rng(8).standard_normal(grid)
    wanted = x
    for axis, n in enumerate(grid):
        reach = np.arange(-6 * n, 6 * n + 1)
        taps = np.exp(-(reach**2) / (2 * width**2)) / (width * np.sqrt(2 * np.pi))
        wanted = sum(tap * np.roll(wanted, int(k), axis) for k, tap in zip(reach, taps, strict=True))
    transfer = gaussian_transfer(grid, width, x)
    found = np.fft.irfftn(np.fft.rfftn(x) * transfer, s=grid, axes=range(len(grid)))
    # the transfer function is that of the continuous Gaussian, sampled taps alias by exp(-2 pi^2 width^2 / 4)
    np.testing.assert_allclose(found, wanted, atol=2e-3)


# The ring


@pytest.mark.parametrize("taps", [3, 4])
@pytest.mark.parametrize("n", [9, 10])
def test_ring_is_the_valid_convolution(taps, n):
    """Of a scene that goes on past the frame, against a matrix made of `numpy.convolve`."""
    kernel = np.random.default_rng(taps).random(taps)
    domain = n + taps - 1
    dense = np.stack([np.convolve(unit, kernel, "valid") for unit in np.eye(domain)], axis=1)
    y = np.random.default_rng(n).standard_normal(n)
    ring = Ring.of(y, kernel, "free")
    assert ring.grid[0] >= domain
    # The frame is the first samples of the ring; those before it lie at its end.
    places = (np.arange(domain) - (taps - 1 - taps // 2)) % ring.grid[0]
    x = np.zeros(ring.grid)
    scene = np.random.default_rng(0).standard_normal(domain)
    x[places] = scene
    np.testing.assert_allclose((ring.trust * ring.blurred(x))[:n], dense @ scene, atol=1e-12)
    np.testing.assert_allclose(ring.trust, np.arange(ring.grid[0]) < n)
    back = np.zeros(ring.grid)
    back[places] = dense.T @ y
    np.testing.assert_allclose(ring.matched() * (kernel**2).sum(), back, atol=1e-12)
    assert ring.energy == pytest.approx((kernel**2).sum())
    assert ring.count == n


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("shape", "taps"), [((9,), (4,)), ((6, 7), (3, 4)), ((4, 5, 6), (2, 3, 3))])
def test_ring_sees_what_the_operator_sees(boundary, shape, taps):
    """For scenes that the boundary allows."""
    rng = np.random.default_rng(1)
    kernel = rng.random(taps)
    image = rng.standard_normal((2, *shape))
    ring = Ring.of(image, kernel, boundary)
    blur = Convolution(kernel, shape, boundary=boundary)
    scene = rng.standard_normal((2, *ring.grid))
    if ring.project is not None:
        scene = ring.project(scene)
        np.testing.assert_allclose(ring.project(scene), scene, atol=1e-14)
    seen = ring.blurred(scene)[(..., *ring.frame)]
    if boundary == "free":  # the samples past the frame that the operator knows are those around the ring's end
        before = [domain - n - f.start for domain, n, f in zip(blur.domain_shape, shape, blur.frame, strict=True)]
        starts = [f.start for f in blur.frame]
        rolled = np.roll(scene, starts, axis=range(1, 1 + len(shape)))
        part = rolled[(..., *(slice(n) for n in blur.domain_shape))]
        assert min(before) >= 0
    else:
        part = scene[(..., *ring.frame)]
    np.testing.assert_allclose(seen, blur.forward(part), atol=1e-12)


def test_ring_lays_strided_and_bad_samples_where_they_belong():
    rng = np.random.default_rng(2)
    image, trust = rng.standard_normal((5, 4)), rng.uniform(0.5, 1, (5, 4))
    trust[1, 2] = 0.0
    image[1, 2] = np.nan
    blur = Convolution(BLOCK, (5, 4), boundary="zero", stride=(2, 3))
    ring = Ring.of(image, blur, "free", trust)
    on_ring = ring.trust[(slice(None, 10, 2), slice(None, 12, 3))]
    np.testing.assert_allclose(on_ring, trust)
    assert (ring.trust > 0).sum() == ring.count == 19
    assert ring.mean_trust == pytest.approx(trust.sum() / 19)
    assert np.isfinite(ring.data).all()
    assert np.isfinite(ring.first).all()
    scene = ring.project(rng.standard_normal(ring.grid))
    seen = ring.blurred(scene)[(slice(None, 10, 2), slice(None, 12, 3))]
    np.testing.assert_allclose(seen, blur.forward(scene[:10, :12]), atol=1e-12)


def test_ring_refuses_an_operator_of_another_shape():
    with pytest.raises(ValueError, match=r"image has shape \(7, 6\) but the Convolution observes \(5, 6\)"):
        Ring.of(np.ones((7, 6)), Convolution(BLOCK, (5, 6)), "free")


# The minimiser


def minimiser(
    a: np.ndarray, y: np.ndarray, d: np.ndarray, weight: float, project: Callable, bounds=None, num_iter: int = 4000
) -> np.ndarray:
    """Of ``1/2 |a x - y|^2 + weight * sum |d x|`` by the primal-dual loop of Chambolle and Pock.

    `d` has the shape ``(parts, samples, unknowns)`` and `project` takes ``(parts, samples)`` to where no group is
    larger than one in the dual norm.
    """
    k = d.reshape(-1, d.shape[-1])
    if bounds is not None:
        k = np.concatenate([k, np.eye(k.shape[1])])
    norm = np.linalg.norm(k, 2)
    tau = 3.0 / norm
    rho = 1 / (norm**2 * tau)
    inverse = np.linalg.inv(np.eye(k.shape[1]) + tau * a.T @ a)
    x = ahead = np.zeros(k.shape[1])
    p = np.zeros(len(k))
    rows = d.shape[0] * d.shape[1]
    constant = tau * a.T @ y
    for _ in range(num_iter):
        p = p + rho * (k @ ahead)
        p[:rows] = weight * project(p[:rows].reshape(d.shape[:2]) / weight).ravel()
        if bounds is not None:
            p[rows:] -= rho * np.clip(p[rows:] / rho, *bounds)
        before, x = x, inverse @ (x - tau * (k.T @ p) + constant)
        ahead = 2 * x - before
    return x if bounds is None else np.clip(x, *bounds)


def onto_ball(p: np.ndarray) -> np.ndarray:
    return p / np.maximum(np.sqrt((p**2).sum(0)), 1)


def onto_spectral_ball(p: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(symmetric(list(p)))
    clipped = (vectors * np.clip(values, -1, 1)[:, None, :]) @ vectors.transpose(0, 2, 1)
    return np.stack([clipped[:, 0, 0], clipped[:, 1, 1], np.sqrt(2) * clipped[:, 0, 1]])


def around(n: int) -> np.ndarray:
    """The next sample's place on a ring of n: ``(S x)[i] = x[i + 1]``."""
    return np.roll(np.eye(n), 1, axis=1)


def splitting(y, kernel, prior, weight, boundary="periodic", weights=None, bounds=None, num_iter=800):
    ring = Ring.of(y, kernel, boundary, weights)
    problem = Edges(ring, prior(ring.ndim), bounds, False)
    state = problem.begun(weight)
    for _ in itertools.islice(problem.steps(state), num_iter):
        pass
    return state.estimate()[(..., *ring.frame)]


def test_line_is_the_minimiser_past_every_boundary():
    """Total variation of 16 samples: the frame's ends cost what the boundary says."""
    rng = np.random.default_rng(9)
    n, weight = 16, 0.4
    y = np.repeat([0.0, 4.0, 1.0, 6.0], 4) + rng.normal(0, 0.4, n)
    unit = np.eye(n)
    rings = {
        "periodic": around(n) - unit,
        "zero": np.diff(np.pad(unit, ((1, 1), (0, 0))), axis=0),
        "reflect": np.diff(unit, axis=0),
        # What the frame never sees goes from the last sample that it sees to the first without a detour.
        "free": around(n + LINE.size - 1) - np.eye(n + LINE.size - 1),
    }
    for boundary, d in rings.items():
        blur = Convolution(LINE, n, boundary=boundary)
        wanted = minimiser(blur.to_dense(), y, d[None], weight, onto_ball, num_iter=4000)
        found = splitting(y, LINE, edges, weight, boundary)
        np.testing.assert_allclose(found, wanted[blur.frame], atol=2e-3, err_msg=boundary)


def test_line_is_the_minimiser_with_bounds_trust_and_stride():
    rng = np.random.default_rng(10)
    n, weight = 16, 0.2
    y = np.repeat([0.0, 4.0, 1.0, 6.0], 4) + rng.normal(0, 0.4, n)
    d = around(n) - np.eye(n)
    a = Convolution(LINE, n, boundary="periodic").to_dense()
    wanted = minimiser(a, y, d[None], weight, onto_ball, bounds=(0.5, 5.0), num_iter=4000)
    found = splitting(y, LINE, edges, weight, bounds=(0.5, 5.0))
    np.testing.assert_allclose(found, wanted, atol=2e-3)
    assert wanted.min() == pytest.approx(0.5)
    assert wanted.max() == pytest.approx(5.0)
    trust = rng.uniform(0.2, 1, n)
    trust[5] = 0
    root = np.sqrt(trust)
    wanted = minimiser(root[:, None] * a, root * y, d[None], weight, onto_ball, num_iter=4000)
    np.testing.assert_allclose(splitting(y, LINE, edges, weight, weights=trust), wanted, atol=2e-3)
    fine = Convolution(LINE, n, boundary="periodic", stride=2)
    d = around(2 * n) - np.eye(2 * n)
    wanted = minimiser(fine.to_dense(), y, d[None], weight, onto_ball, num_iter=4000)
    found = splitting(y, fine, edges, weight)
    cost = [
        0.5 * ((fine.forward(x) - y) ** 2).sum() + weight * np.abs(np.diff(x, append=x[0])).sum()
        for x in (found, wanted)
    ]  # of which there may be several, of the same cost
    assert cost[0] == pytest.approx(cost[1], rel=1e-4)


@pytest.mark.parametrize("name", ["forward", "round", "frobenius", "nuclear"])
def test_picture_is_the_minimiser(name):
    """Of 8 x 8 samples on a ring, against matrices of the differences."""
    rng = np.random.default_rng(11)
    n, weight = 8, 0.3
    y = rng.normal(0, 0.3, (n, n))
    y[2:6, 3:7] += 3
    s, e = around(n), np.eye(n)
    down, right, unit = np.kron(s, e), np.kron(e, s), np.eye(n * n)
    d = {
        "forward": [down - unit, right - unit],
        "round": [
            np.sqrt(0.5) * (down - unit),
            np.sqrt(0.5) * (right - unit),
            0.5 * (down @ right - unit),
            0.5 * (down - right),
        ],
        "frobenius": [
            down + down.T - 2 * unit,
            right + right.T - 2 * unit,
            np.sqrt(2) * (down @ right + unit - down - right),
        ],
    }
    d["nuclear"] = d["frobenius"]
    a = Convolution(BLOCK, (n, n), boundary="periodic").to_dense()
    onto = onto_spectral_ball if name == "nuclear" else onto_ball
    wanted = minimiser(a, y.ravel(), np.stack(d[name]), weight, onto, num_iter=4000 if name == "nuclear" else 1500)
    found = splitting(y, BLOCK, PRIORS[name], weight, num_iter=1500)
    assert np.abs(wanted - y.ravel()).max() > 0.3, "the prior matters"
    np.testing.assert_allclose(found.ravel(), wanted, atol=2e-3)


@pytest.mark.parametrize("bounds", [None, (0.0, np.inf)])
def test_spikes_are_the_minimiser_of_scipy(bounds):
    """As a problem with bounds: the spikes of each sign are positive."""
    rng = np.random.default_rng(12)
    n, weight = 24, 0.15
    truth = np.zeros(n)
    truth[[4, 7, 15]] = 3, -2, 1.5
    a = Convolution(LINE, n, boundary="zero").to_dense()
    y = a @ truth + rng.normal(0, 0.1, n)

    def score(both):
        gap = a @ (both[:n] - both[n:]) - y
        slope = a.T @ gap
        return 0.5 * gap @ gap + weight * both.sum(), np.concatenate([slope + weight, weight - slope])

    limits = [(0, None)] * n + [(0, None if bounds is None else 0)] * n
    options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5000}
    both = scipy.optimize.minimize(score, np.zeros(2 * n), jac=True, bounds=limits, method="L-BFGS-B", options=options)
    wanted = both.x[:n] - both.x[n:]
    assert (np.abs(wanted) < 1e-6).mean() > 0.5
    found = splitting(y, LINE, spikes, weight, "zero", bounds=bounds)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("power", [0.5, 2 / 3, 0.8])
def test_power_below_one_is_replaced_by_its_tangent(power):
    """The settled result minimises total variation with the weights that the power's slope has at it: a certificate."""
    rng = np.random.default_rng(13)
    y = rng.normal(0, 0.2, (12, 13))
    y[3:9, 4:10] += 5
    weight = 0.2
    ring = Ring.of(y, BLOCK, "periodic")
    problem = Edges(ring, edges(2, second=True), None, False, power, 0.0)
    state = problem.begun(weight)
    steps = problem.steps(state)
    at_last = [x.copy() for x in itertools.islice(steps, 100)][-1]
    x = list(itertools.islice(steps, 800))[-1]

    def length(x):
        return np.sqrt(sum(part**2 for part in problem.prior.apply(x)))

    m = length(at_last)
    costs = ((1 + FLOOR) / (m / m.mean() + FLOOR)) ** (1 - power)
    gap = ring.blurred(x) - y
    slope = np.fft.irfft2(np.fft.rfft2(gap) * ring.otf.conj(), ring.grid)
    forces = [-state.mu * d for d in state.d]
    np.testing.assert_allclose(slope + problem.prior.adjoint(forces), 0, atol=1e-4)
    strength = np.sqrt(sum(force**2 for force in forces))
    assert (strength <= weight * costs * (1 + 1e-6)).all()
    work = sum((force * part).sum() for force, part in zip(forces, problem.prior.apply(x), strict=True))
    assert work == pytest.approx(weight * (costs * length(x)).sum(), rel=1e-3)

    # The tangent at the result is that at which the weights were taken, nearly: large differences cost as the power.
    def cost(x):
        return (
            0.5 * ((ring.blurred(x) - y) ** 2).sum()
            + weight * (m.mean() * (1 + FLOOR) ** (1 - power) / power * (length(x) / m.mean() + FLOOR) ** power).sum()
        )

    assert cost(x) < cost(splitting(y, BLOCK, lambda ndim: edges(ndim, second=True), weight, num_iter=300))


# What only sets the speed


def test_weight_may_change_between_steps():
    rng = np.random.default_rng(14)
    y = np.repeat([0.0, 4.0, 1.0, 6.0], 4) + rng.normal(0, 0.4, 16)
    for boundary in BOUNDARIES:
        problem = Edges(Ring.of(y, LINE, boundary), edges(1), (0.0, np.inf), False)
        state = problem.begun(3.0)
        for weight, count in ((3.0, 20), (0.01, 15), (0.4, 800)):
            state.weight = weight
            for _ in range(count):
                state.step()
        found = state.estimate()[state.ring.frame]
        wanted = splitting(y, LINE, edges, 0.4, boundary, bounds=(0.0, np.inf))
        np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_changed_weight_keeps_the_blurred_scene_and_its_force():
    y = np.random.default_rng(18).standard_normal(16)
    state = Edges(Ring.of(y, LINE, "free"), edges(1), None, False).begun(0.5)
    for _ in range(5):
        state.step()
    blurred, force = state.u_ahead - state.e, state.mu_u * state.e
    before = state.mu_u
    state.weight = 0.02
    assert state.mu_u < 0.5 * before
    np.testing.assert_allclose(state.u_ahead - state.e, blurred, atol=1e-12)
    np.testing.assert_allclose(state.mu_u * state.e, force, atol=1e-12)


def test_threshold_sets_the_speed_and_not_the_solution():
    rng = np.random.default_rng(15)
    y = np.repeat([0.0, 4.0, 1.0, 6.0], 4) + rng.normal(0, 0.4, 16)
    ring = Ring.of(y, LINE, "free")
    results = []
    for threshold in (0.3, 1.0, 3.0):
        state = Splitting(ring, edges(1), 0.4, threshold=threshold)
        for _ in range(1500):
            x = state.step()
        results.append(x[ring.frame])
    np.testing.assert_allclose(results[0], results[1], atol=2e-3)
    np.testing.assert_allclose(results[2], results[1], atol=2e-3)


def test_no_weight_at_all_is_least_squares():
    rng = np.random.default_rng(16)
    y = rng.standard_normal(16)
    found = splitting(y, LINE, edges, 0.0)
    a = Convolution(LINE, 16, boundary="periodic").to_dense()
    np.testing.assert_allclose(found, np.linalg.solve(a, y), atol=1e-4)


@pytest.mark.parametrize("coupled", [False, True])
def test_chunks_and_threads_change_nothing(coupled, threads, kind):
    """More samples than are handled together, in three threads, as one by one and as other kinds of arrays."""
    rng = np.random.default_rng(17)
    y = rng.standard_normal((3, 80, 90)) + 5 * (np.indices((80, 90)).sum(0) % 40 > 20)
    assert y[0].size > CHUNK // 3
    kernel = np.outer([1, 3, 2], [1, 2, 4, 1]) / 48

    def run(array):
        problem = Edges(Ring.of(array, kernel, "free"), edges(2), (0.0, 9.0), coupled)
        state = problem.begun(0.3)
        for _ in range(5):
            state.step()
        return state.estimate()

    found = kind.numpy(run(kind.array(y)))
    assert found.min() >= 0
    whole = run(y)
    np.testing.assert_allclose(found, whole, atol=1e-9)
    if not coupled and kind.name == "numpy":
        problem = Edges(Ring.of(y, kernel, "free"), edges(2), (0.0, 9.0), coupled)
        for i, item in enumerate(y):
            alone = Splitting(
                Ring.of(item, kernel, "free"),
                edges(2),
                0.3,
                threshold=problem.begun(0.3).threshold,
                bounds=(0.0, 9.0),
            )
            for _ in range(5):
                alone.step()
            np.testing.assert_allclose(alone.estimate(), whole[i], atol=1e-9)
