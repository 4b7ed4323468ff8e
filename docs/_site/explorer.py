"""The convolution explorer is a page of its own, beside those that Sphinx makes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any


def copy(app: Any, error: Exception | None) -> None:
    """Put the page where its links expect it."""
    if error is None and app.builder.format == "html":
        shutil.copytree(Path(app.srcdir) / "explorer", Path(app.outdir) / "explorer", dirs_exist_ok=True)


def setup(app: Any) -> dict[str, Any]:
    """Copy when the pages are written."""
    app.connect("build-finished", copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
