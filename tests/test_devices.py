"""Tensors: arrays stay where they are while a method iterates, and a GPU gives what the CPU gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import sigdeconv as s

torch = pytest.importorskip("torch", reason="tensors need torch: pip install sigdeconv[learned]")

PSF = s.psf.gaussian((7, 7), 1.2).astype(np.float32)
FIXED: dict[str, Any] = {"tol": 0}

#: Methods that iterate, as functions of image, PSF and number of iterations.
LOOPS: dict[str, Callable[[Any, Any, int], Any]] = {
    "richardson_lucy": lambda y, h, n: s.richardson_lucy(y, h, num_iter=n),
    "richardson_lucy, plain": lambda y, h, n: s.richardson_lucy(y, h, num_iter=n, accelerate=False),
    "richardson_lucy, Biggs-Andrews": lambda y, h, n: s.richardson_lucy(y, h, num_iter=n, accelerate="biggs-andrews"),
    "richardson_lucy, total variation": lambda y, h, n: s.richardson_lucy(y, h, num_iter=n, tv_weight=0.01),
    "richardson_lucy, unmatched": lambda y, h, n: s.richardson_lucy(
        y, h, num_iter=n, back_projector="wiener-butterworth"
    ),
    "landweber": lambda y, h, n: s.landweber(y, h, num_iter=n, **FIXED),
    "van_cittert": lambda y, h, n: s.van_cittert(y, h, num_iter=n, **FIXED),
    "tikhonov": lambda y, h, n: s.tikhonov(y, h, weight=1.0, num_iter=n, **FIXED),
    "tikhonov, bounds": lambda y, h, n: s.tikhonov(y, h, weight=1.0, num_iter=n, bounds=(0, None), **FIXED),
    "total_variation": lambda y, h, n: s.total_variation(y, h, weight=1.0, num_iter=n, **FIXED),
    "hyper_laplacian": lambda y, h, n: s.hyper_laplacian(y, h, weight=1.0, num_iter=n, **FIXED),
    "hessian_schatten": lambda y, h, n: s.hessian_schatten(y, h, weight=1.0, num_iter=n, **FIXED),
    "wavelet_sparse": lambda y, h, n: s.wavelet_sparse(y, h, weight=1.0, num_iter=n, **FIXED),
    "sparse_spikes": lambda y, h, n: s.sparse_spikes(y, h, weight=1.0, num_iter=n, **FIXED),
}
#: How many single numbers of an iteration are looked at, where a test decides how to go on.
NUMBERS = {"richardson_lucy, unmatched": 1, "tikhonov": 1, "tikhonov, bounds": 8}
CLOSED: dict[str, Callable[[Any, Any], Any]] = {
    "inverse_filter": lambda y, h: s.inverse_filter(y, h),
    "wiener": lambda y, h: s.wiener(y, h, balance=0.01),
}


@pytest.fixture
def counts() -> Any:
    """Photons of a smooth scene."""
    scene = s.simulate.blur(np.random.default_rng(1).random((64, 64)) * 100, PSF) + 20
    return torch.tensor(np.random.default_rng(2).poisson(scene), dtype=torch.float32)


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What leaves the device: arrays, and single numbers."""
    found: Counter[str] = Counter()
    for name in ("item", "cpu", "numpy", "tolist", "__array__", "__float__", "__bool__", "__int__", "__index__"):
        monkeypatch.setattr(torch.Tensor, name, counting(getattr(torch.Tensor, name), found))
    return found


def counting(method: Callable[..., Any], found: Counter[str]) -> Callable[..., Any]:
    """A method of tensors that counts its calls."""

    def counted(x: Any, *args: Any, **options: Any) -> Any:
        found["array" if x.numel() > 1 else "number"] += 1
        return method(x, *args, **options)

    return counted


@pytest.mark.parametrize("name", LOOPS)
def test_no_array_leaves_the_device_while_a_method_iterates(name: str, counts: Any, left: Counter[str]) -> None:
    psf = torch.tensor(PSF)
    found = []
    for num_iter in (3, 9):
        left.clear()
        LOOPS[name](counts, psf, num_iter)
        found.append(dict(left))
    few, many = found
    assert many.get("array", 0) == few.get("array", 0)
    assert many.get("number", 0) - few.get("number", 0) <= 6 * NUMBERS.get(name, 0)


def test_the_count_finds_what_leaves(left: Counter[str]) -> None:
    torch.ones(3).numpy()
    float(torch.ones(1))
    assert left["array"] == 1
    assert left["number"] >= 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", [*LOOPS, *CLOSED])
def test_a_gpu_gives_what_the_cpu_gives(name: str, counts: Any) -> None:
    def run(y: Any, h: Any) -> Any:
        return LOOPS[name](y, h, 8) if name in LOOPS else CLOSED[name](y, h)

    here = run(counts, torch.tensor(PSF))
    there = run(counts.cuda(), torch.tensor(PSF).cuda())
    assert there.is_cuda
    torch.testing.assert_close(there.cpu(), here, rtol=1e-4, atol=1e-4 * float(here.max()))
