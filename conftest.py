"""Where torch is not installed, the modules that need it have no examples to run."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

collect_ignore = (
    []
    if find_spec("torch")
    else [
        str(path)
        for path in (Path(__file__).parent / "sigdeconv" / "transposed").glob("*.py")
        if "import torch" in path.read_text(encoding="utf-8")
    ]
)
