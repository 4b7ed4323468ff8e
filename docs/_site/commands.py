"""The command line's own help, as a page: ``.. commands::`` lists every command with what ``--help`` prints."""

from __future__ import annotations

from typing import Any

import click
from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class Commands(SphinxDirective):
    """A section for each command, with its help."""

    def run(self) -> list[nodes.Node]:
        """The sections."""
        from sigdeconv.cli import cli

        return [self._section("sigdeconv", cli), *(self._section(name, c) for name, c in walk(cli, "sigdeconv"))]

    def _section(self, name: str, command: click.Command) -> nodes.section:
        context = click.Context(command, info_name=name, terminal_width=100, max_content_width=100)
        section = nodes.section(ids=[nodes.make_id(name)], names=[name])
        section += nodes.title(text=name)
        text = command.get_help(context)
        section += nodes.literal_block(text, text, language="text")
        return section


def walk(group: click.Group, prefix: str) -> list[tuple[str, click.Command]]:
    """Every command below a group, with its full name."""
    found: list[tuple[str, click.Command]] = []
    for name, command in sorted(group.commands.items()):
        full = f"{prefix} {name}"
        found += walk(command, full) if isinstance(command, click.Group) else [(full, command)]
    return found


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
