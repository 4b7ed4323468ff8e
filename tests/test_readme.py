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


def test_the_python_examples_run_and_gain(capsys):
    space: dict[str, object] = {}
    first, second = blocks("python")
    exec(compile(first, str(README), "exec"), space)
    gain = float(capsys.readouterr().out.split()[0])
    assert gain > 3
    pytest.importorskip("torch", reason="networks need torch: pip install sigdeconv[learned]").set_num_threads(1)
    exec(compile(second, str(README), "exec"), space)
    assert space["large"].shape == (512, 512)
    assert space["clean"].shape == (256, 256)
    assert space["restored"].shape == (128, 128)


def test_the_shell_commands_exist_with_their_options():
    from sigdeconv.cli import cli

    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("sigdeconv ")]
    assert len(commands) == 6
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
