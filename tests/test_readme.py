"""The README's Python runs as printed, and its shell commands are ones that the command line knows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

README = Path(__file__).parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_python_example_runs_and_gains(capsys):
    (code,) = blocks("python")
    exec(compile(code, str(README), "exec"), {})
    gain = float(capsys.readouterr().out.split()[0])
    assert gain > 3


def test_the_shell_commands_exist_with_their_options():
    from sigdeconv.cli import cli

    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("sigdeconv ")]
    assert len(commands) == 3
    for line in commands:
        words = shlex.split(line, comments=True)[1:]
        name = words[:2] if words[0] == "psf" else words[:1]
        shown = CliRunner().invoke(cli, [*name, "--help"])
        assert shown.exit_code == 0
        for option in (word for word in words if word.startswith("-")):
            assert re.search(rf"(^|[\s,]){re.escape(option)}\b", shown.output), f"{line}: no {option}"


@pytest.mark.parametrize("link", ["CONTRIBUTING.md", "LICENSE", "docs/images/recovery.png"])
def test_what_is_linked_is_there(link):
    assert f"({link})" in README.read_text(encoding="utf-8")
    assert (README.parent / link).exists()
