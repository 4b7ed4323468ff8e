"""Docstrings are written to be read as they are; what reStructuredText would take for its marks is escaped here."""

from __future__ import annotations

import re
from typing import Any

STARRED = re.compile(r"(?<=[ ,(])\*(?=[\w(])")  # (..., *frame)
DESCRIBED = ("Parameters", "Attributes", "Returns", "Yields")
INITIAL = re.compile(r"^(\s*)([A-Z])\. ")


def escape(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Change the lines in place."""
    del app, what, name, obj, options
    section, indent = "", ""
    for i, line in enumerate(lines):
        if i + 1 < len(lines) and re.fullmatch(r"\s*-{4,}", lines[i + 1]):
            section, indent = line.strip(), line[: len(line) - len(line.lstrip())]
        elif section in DESCRIBED and "`" not in line:
            lines[i] = STARRED.sub(r"\\*", line)
    if "References" in (line.strip() for line in lines):
        _list_references(lines, indent)


def _list_references(lines: list[str], indent: str) -> None:
    """Each source an item of a list: one begins where the line before has ended with a full stop or a bracket."""
    start = max(i for i, line in enumerate(lines) if line.strip() == "References") + 2
    if any(line.strip().startswith(".. [") for line in lines[start:]):
        return  # they have numbers
    fresh = True
    for i in range(start, len(lines)):
        line = lines[i]
        following = lines[i + 1] if i + 1 < len(lines) else ""
        if re.fullmatch(r"\s*-{4,}", following) or not line.strip():
            if re.fullmatch(r"\s*-{4,}", following):
                return
            fresh = True
            continue
        text = line.strip()
        safe = INITIAL.sub(r"\1\2\\. ", text)
        lines[i] = f"{indent}- {safe}" if fresh else f"{indent}  {text}"
        fresh = text.endswith((".", ")")) and not re.search(r"\b[A-Z]\.$", text)


def skip(app: Any, what: str, name: str, obj: Any, skipped: bool, options: Any) -> bool | None:
    """The fields of a named tuple are described under its parameters."""
    del app, what, name, skipped, options
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Any) -> dict[str, Any]:
    """Before numpydoc reads them."""
    app.connect("autodoc-process-docstring", escape, priority=100)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
