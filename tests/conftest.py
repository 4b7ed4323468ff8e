"""What the tests share: the kinds of arrays, the table of tolerances, and threads however few the cores."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sigdeconv import _parallel

# The one table of tolerances, by dtype: relative to the norm of what is compared.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}

# CuPy needs a GPU that the tests do not have. `array_api_strict` refuses all that is not in the array API standard,
# which CuPy follows through array-api-compat: the strict kind stands for it, and no claim about CuPy rests on more.
KINDS = {"numpy": "numpy", "torch": "torch", "strict": "array_api_strict"}


@dataclass(frozen=True)
class Kind:
    """One array library: how to make its arrays from NumPy's, and how to come back."""

    name: str
    xp: Any

    def array(self, x: Any, dtype: str | None = None) -> Any:
        """`x` as an array of this kind."""
        return self.xp.asarray(np.array(x, dtype))

    def numpy(self, x: Any) -> np.ndarray:
        """`x`, which must be of this kind, as a NumPy array."""
        wanted = type(self.xp.asarray(np.zeros(1)))
        assert type(x) is wanted, f"{type(x)} came back; {wanted} went in"
        return np.asarray(x.detach() if self.name == "torch" else x)


def _kind(name: str) -> Kind:
    if name == "torch":
        _torch()
    return Kind(name, pytest.importorskip(KINDS[name], reason=f"{KINDS[name]} is not installed"))


@cache
def _torch() -> Any:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(
        1
    )  # on arrays as small as the tests' a second thread only spins, and takes a core from others
    return torch


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Every array library in turn."""
    return _kind(request.param)


@pytest.fixture
def torch() -> Any:
    """PyTorch, or a skipped test."""
    return _torch()


@pytest.fixture
def close() -> Any:
    """``close(result, wanted)``: equal within the table's tolerance for the dtype of the result, scaled by the norm."""

    def check(result: Any, wanted: Any, slack: float = 1.0) -> None:
        result, wanted = np.asarray(result), np.asarray(wanted)
        assert result.shape == wanted.shape
        single = result.dtype in (np.float32, np.complex64)
        limit = slack * TOLERANCE["float32" if single else "float64"]
        scale = np.sqrt(np.mean(np.abs(wanted) ** 2, dtype=np.float64))
        error = float(np.max(np.abs(result - wanted)))
        assert error <= limit * scale, f"off by {error:.3g} at a scale of {scale:.3g}; {limit:g} of it is allowed"

    return check


@pytest.fixture
def tolerance() -> dict[str, float]:
    """The table itself."""
    return TOLERANCE


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Three threads however many cores there are, so that the threaded paths are what is tested."""
    with ThreadPoolExecutor(3) as pool:
        monkeypatch.setattr(_parallel, "workers", lambda: 3)
        monkeypatch.setattr(_parallel, "_pool", lambda process: pool)
        yield 3


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder of weights that nobody trained, of every name, in the place of the packaged ones."""
    _torch()
    from sigdeconv.transposed import _packaged, weights
    from sigdeconv.transposed.models import Denoiser

    made = {_packaged.DENOISER: (Denoiser(1, generator=0), {"channels": 1})}
    for kind, network in _packaged.UPSCALERS.items():
        for scale in (2, 3, 4):
            net = network(scale, generator=0).collapse()
            made[f"upscale_{kind}_x{scale}"] = (net, {"model": kind, "scale": scale})
    folder = tmp_path / "weights"
    folder.mkdir()
    for name, (net, recipe) in made.items():
        record = {"recipe": recipe, "seed": 0, "data": [], "results": {}, "learning_curve": []}
        weights.save(folder / f"{name}.safetensors", net, record)
    monkeypatch.setattr(weights, "FOLDER", folder)
    loaders = (_packaged._packaged_upscaler, _packaged._packaged_denoiser)
    for loader in loaders:
        loader.cache_clear()
    yield folder
    for loader in loaders:
        loader.cache_clear()
