"""Formulas as MathML, which browsers draw themselves: no script, no font, and nothing to fetch."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml


def _tree(node: nodes.Element, block: bool) -> str:
    return str(latex2mathml.tex2mathml(node.astext(), as_block=block))


def inline(writer: Any, node: nodes.math) -> None:
    """A formula in a line."""
    writer.body.append(_tree(node, block=False))
    raise nodes.SkipNode


def block(writer: Any, node: nodes.math_block) -> None:
    """A formula of its own."""
    writer.body.append(f'<div class="math">{_tree(node, block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
