"""Who may import whom (the paragraph of the design, as a table), and what `import sigdeconv` loads and costs."""

from __future__ import annotations

import ast
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sigdeconv

PACKAGE = Path(sigdeconv.__file__).parent
EXPERIMENTS = PACKAGE.parent / "experiments"

_PARALLEL = {"_array"}
_FFT = _PARALLEL | {"_parallel"}
_EDGES = _FFT | {"_fft"}
_CONVOLUTION = _EDGES | {"_edges", "_memory"}
_ABOVE = _CONVOLUTION | {"convolution"}
_PUBLIC = _ABOVE | {"varying", "_iterate", "differences", "psf", "denoisers", "deconvolution", "simulate", "metrics"}
_TOP = _PUBLIC | {"chunked", "io", "transposed", "sigdeconv"}
_CONSOLE = {"_cli_console", "_cli_values"}
_OPTIONS = _CONSOLE | {"_cli_axes", "_cli_kernel", "_cli_job", "_cli_options"}
_COMMANDS = _OPTIONS | {
    "_cli_psf",
    "_cli_psf_optics",
    "_cli_psf_shape",
    "_cli_linear",
    "_cli_priors",
    "_cli_photons",
    "_cli_frames",
    "_cli_blind",
    "_cli_learned",
}

# Room (a module, or a package with all its modules) -> rooms that it may import besides itself. A module that is not
# here fails the test: say first where it stands. "sigdeconv" is the package's own __init__.
MAY_IMPORT = {
    "_array": set(),
    "_parallel": _PARALLEL,
    "_fft": _FFT,
    "_edges": _EDGES,
    "convolution": _CONVOLUTION,
    "_varying_engines": _ABOVE | {"_varying"},  # its types
    "_varying": _ABOVE | {"_varying_engines"},
    "varying": _ABOVE | {"_varying", "_varying_engines"},
    "_iterate": {"_array", "_parallel"},
    "differences": {"_array", "_parallel"},
    "psf": {"_array"},
    "metrics": {"_array"},
    "_phantoms": {"_array"},
    "simulate": _ABOVE | {"_phantoms"},
    "denoisers": _FFT | {"_fft"},
    "deconvolution": _ABOVE
    | {"_varying", "_varying_engines", "varying", "_iterate", "differences", "denoisers", "psf"},
    "transposed": _PUBLIC | {"io"},
    "_memory": set(),
    "_multiscale": set(),
    "_volumes": {"_formats", "_multiscale"},
    "_targets": {"_formats", "_memory", "_multiscale", "_volumes"},
    # No algorithm: they are handed a function. `sigdeconv` for its version.
    "_chunks": _FFT | {"_fft", "_memory", "_volumes", "_targets", "sigdeconv"},
    "chunked": {"_array", "_chunks"},
    "_formats": set(),
    "io": {"_array", "_formats"},  # no algorithm either
    "sigdeconv": _PUBLIC | {"chunked", "io"},
    "_cli_values": set(),
    "_cli_console": _TOP,
    "_cli_psf": _TOP | _CONSOLE,
    "_cli_psf_optics": _TOP | _CONSOLE | {"_cli_psf"},
    "_cli_psf_shape": _TOP | _CONSOLE | {"_cli_psf"},
    "_cli_chunks": _TOP | _OPTIONS | {"_memory", "_volumes"},
    "_cli_axes": _TOP | _CONSOLE,
    "_cli_kernel": _TOP | _CONSOLE | {"_cli_axes", "_cli_psf", "_cli_job"},
    "_cli_job": _TOP | _CONSOLE | {"_cli_axes", "_cli_kernel", "_cli_chunks"},
    "_cli_options": _CONSOLE | {"_cli_job"},
    "_cli_linear": _TOP | _OPTIONS,
    "_cli_learned": _TOP | _OPTIONS,
    "_cli_priors": _TOP | _OPTIONS | {"_cli_learned"},
    "_cli_photons": _TOP | _OPTIONS | {"_cli_chunks"},
    "_cli_frames": _TOP | _OPTIONS | {"_cli_photons"},
    "_cli_blind": _TOP | _OPTIONS | {"_cli_photons"},
    "_napari": _TOP,
    "cli": _TOP | _COMMANDS | {"_cli_chunks", "_volumes"},
    "__main__": {"cli"},
    "experiments": _TOP,
}

# What only one room may load, wherever in a function the import stands.
ONLY_IN = {
    "torch": {"_array", "transposed", "_chunks", "experiments"},
    "dask": {"_chunks", "experiments"},
    "distributed": {"_chunks", "experiments"},
    "zarr": {"_volumes", "experiments"},
}

HEAVY = {
    "torch",
    "matplotlib",
    "skimage",
    "dask",
    "distributed",
    "zarr",
    "scipy.signal",
    "scipy.ndimage",
    "tifffile",
    "click",
    "tqdm",
    "astropy",
    "pywt",
}


def room(module: str) -> str:
    """``sigdeconv.psf.kernels`` stands in the room ``psf``."""
    parts = module.split(".")
    return parts[0] if len(parts) == 1 or parts[0] != "sigdeconv" else parts[1]


def imported(tree: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    """Full names of what a module imports, at its top or in a function, with relative names resolved."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                # `from . import _fft` imports a module; `from . import wiener` imports the package for a name of it.
                inner = PACKAGE.parent.joinpath(*base.split("."), alias.name)
                yield f"{base}.{alias.name}" if inner.is_dir() or inner.with_suffix(".py").is_file() else base


def breaches(source: str, module: str, is_package: bool = False) -> list[str]:
    """What in the source of `module` goes against the tables."""
    here = room(module)
    if here not in MAY_IMPORT:
        return [f"{module} is in no rule; add to MAY_IMPORT what {here} may import"]
    found = []
    for name in imported(ast.parse(source), module, is_package):
        top, there = name.split(".")[0], room(name)
        if top in ONLY_IN and here not in ONLY_IN[top]:
            found.append(f"{module} imports {name}")
        if top in ("sigdeconv", "experiments") and there != here and there not in MAY_IMPORT[here]:
            found.append(f"{module} imports {name}")
    return found


def modules() -> list[Path]:
    """Every module of the package, and of the experiments where the checkout has them."""
    return sorted([*PACKAGE.rglob("*.py"), *EXPERIMENTS.glob("*.py")])


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE.parent)))
def test_imports_follow_the_design(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    module = ".".join(parts[:-1] if is_package else parts)
    assert breaches(path.read_text(encoding="utf-8"), module, is_package) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("sigdeconv._array", "from . import convolution"),
        ("sigdeconv._array", "from ._fft import filter"),
        ("sigdeconv._parallel", "def f():\n    import sigdeconv._fft"),
        ("sigdeconv.convolution", "from .deconvolution.fourier import wiener"),
        ("sigdeconv.convolution", "from . import wiener"),
        ("sigdeconv.convolution", "from sigdeconv import wiener"),
        ("sigdeconv.psf.kernels", "from .. import _fft"),
        ("sigdeconv.psf.kernels", "from ..convolution import Convolution"),
        ("sigdeconv.deconvolution.fourier", "from ..transposed import layers"),
        ("sigdeconv.deconvolution.fourier", "def f():\n    import torch"),
        ("sigdeconv.io", "from .deconvolution import fourier"),
        ("sigdeconv.newcomer", "import math"),
        ("sigdeconv.transposed.layers", "from ..cli import main"),
        ("sigdeconv.cli", "import experiments.recovery"),
    ],
)
def test_a_breach_is_seen(module, source):
    assert len(breaches(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("sigdeconv._fft", "from . import _parallel\nfrom ._array import Array\nimport scipy.fft"),
        ("sigdeconv.deconvolution.fourier", "from .. import _fft\nfrom ..convolution import Convolution"),
        ("sigdeconv.psf.measured", "from .kernels import gaussian\nfrom .._array import floating"),
        (
            "sigdeconv.transposed.layers",
            "import torch\nfrom .arithmetic import f\nfrom ..convolution import Convolution",
        ),
        ("sigdeconv.cli", "from . import __version__, io\nfrom sigdeconv import wiener"),
        ("experiments.recovery", "import sigdeconv, torch\nfrom .common import table"),
    ],
)
def test_what_the_design_allows_is_allowed(module, source):
    assert breaches(source, module) == []


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    path = os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")])
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPATH": path}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_import_loads_nothing_heavy():
    loaded = json.loads(python("import json, sys, sigdeconv; print(json.dumps(list(sys.modules)))"))
    assert "sigdeconv.convolution" in loaded
    assert sorted(HEAVY & set(loaded)) == []


def test_import_takes_at_most_half_as_much_again_as_scipy_fft():
    code = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
    seconds: dict[str, list[float]] = {"sigdeconv": [], "scipy.fft": []}
    for name in seconds:
        python(code.format(name))  # writes the bytecode, fills the file cache
    for _ in range(4):  # a busy machine gets more rounds, not a weaker limit
        for _ in range(5):
            for name, taken in seconds.items():
                taken.append(float(python(code.format(name))))
        ratio = statistics.median(seconds["sigdeconv"]) / statistics.median(seconds["scipy.fft"])
        if ratio <= 1.5:
            break
    assert ratio <= 1.5, f"import sigdeconv takes {ratio:.2f} times as long as import scipy.fft"
