"""The pages of the documentation: every Python block and every `sigdeconv` command runs, links lead somewhere."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if not {"_site", "gallery", "generated"} & {*path.parts})
BLOCK = re.compile(r"^```(python|sh|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MACHINE = re.compile(r"\d+\.\d+ (s|copies)\b")
NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:\.(\d+))?(?:e[-+]\d+)?(?![\w.]*\d)")


def name(path: Path) -> str:
    return path.relative_to(DOCS).as_posix()


@pytest.mark.parametrize("page", [p for p in PAGES if BLOCK.search(p.read_text(encoding="utf-8"))], ids=name)
def test_every_block_runs_and_prints_what_the_page_shows(page, tmp_path, monkeypatch):
    """In the order of the page, in one namespace and one folder, as a reader would type them."""
    text = page.read_text(encoding="utf-8")
    if "torch" in text or "sigdeconv.transposed" in text:
        pytest.importorskip("torch", reason="the page uses torch: pip install sigdeconv[learned]").set_num_threads(1)
    if "matplotlib" in text:
        pytest.importorskip("matplotlib", reason="the page draws: pip install sigdeconv[plots]").use("Agg")
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {"__name__": "__main__"}
    printed = ""
    for match in BLOCK.finditer(text):
        language, code = match.groups()
        line = text[: match.start()].count("\n") + 1
        if language == "text":
            assert_same_output(code, printed, f"{name(page)}:{line}")
        elif language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as stream:
                exec(compile("\n" * line + code, str(page), "exec"), space)
            printed = stream.getvalue()
        else:
            printed = "".join(run(command, page, line) for command in commands(code))


def assert_same_output(shown: str, printed: str, where: str) -> None:
    """The same words; numbers within a tenth or three units of the last digit shown; seconds and memory as they come.

    A training of a few steps, and a sum of many numbers, differ a little from one machine to another. What threads take
    of memory depends on how many there are.
    """
    shown, printed = (MACHINE.sub(r"(some) \1", text.strip()) for text in (shown, printed))
    words = [NUMBER.sub("#", text).split() for text in (shown, printed)]
    assert words[0] == words[1], f"{where} shows\n{shown}\nand its block prints\n{printed}"
    for left, right in zip(NUMBER.finditer(shown), NUMBER.finditer(printed), strict=True):
        expected, found = (float(match[0].replace("−", "-")) for match in (left, right))
        unit = 10.0 ** -len(left[1]) if left[1] else 1.0 if abs(expected) > 20 else 0.0
        assert abs(found - expected) <= max(abs(expected) / 10, 3 * unit), f"{where} shows {left[0]}, found {right[0]}"


def test_an_output_that_differs_is_found():
    assert_same_output("wiener 3.16 dB, 0.1 s", "wiener  3.17 dB, 2.5 s", "here")
    for printed in ("wiener 4.16 dB, 0.1 s", "median 3.16 dB, 0.1 s", "", "wiener 3.16 dB, 0.1 s\nand more"):
        with pytest.raises(AssertionError, match="here"):
            assert_same_output("wiener 3.16 dB, 0.1 s", printed, "here")


def commands(code: str) -> list[list[str]]:
    """The lines of a shell block that call `sigdeconv`, as words."""
    whole = code.replace("\\\n", " ")
    return [shlex.split(line, comments=True)[1:] for line in whole.splitlines() if line.startswith("sigdeconv ")]


def run(words: list[str], page: Path, line: int) -> str:
    from sigdeconv.cli import cli

    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, f"{name(page)}:{line}: sigdeconv {shlex.join(words)}\n{done.output}"
    return done.output


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_that_are_there(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if re.match(r"\w+:", target) or re.match(r"(\.\./)*(gallery|reference/generated|explorer)/", target):
            continue  # other sites are not asked here; the last three are made by the build, which checks them
        assert (page.parent / target).exists(), f"{name(page)} links to {target}"


def test_every_page_is_reached():
    """A page that no table of contents names is one that nobody finds."""
    named = set()
    for page in PAGES:
        for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            entries = [line.strip() for line in block.splitlines() if line.strip() and not line.startswith(":")]
            targets = [re.sub(r".*<(.*)>$", r"\1", entry) for entry in entries]
            named |= {(page.parent / f"{target}.md").resolve() for target in targets}
    assert {p.resolve() for p in PAGES} - named == {(DOCS / "index.md").resolve()}


def test_the_reference_has_every_public_name():
    import sigdeconv
    from sigdeconv import denoisers, metrics, psf, simulate, transposed

    text = "\n".join(p.read_text(encoding="utf-8") for p in (DOCS / "reference").glob("*.md"))
    listed = set(re.findall(r"^   ([A-Za-z_]+)$", text, re.MULTILINE))
    modules = [sigdeconv, psf, denoisers, simulate, metrics, transposed]
    try:
        modules += [transposed.layers, transposed.models, transposed.training, transposed.weights]
        modules += [transposed.initialisation, transposed.checkerboard, transposed.bicubic]
    except ModuleNotFoundError as error:
        pytest.skip(str(error))
    public = {n for m in modules for n in m.__all__ if not hasattr(getattr(m, n), "__path__")}
    constants = {"UPSAMPLERS", "RECORDED"}
    rooms = {"denoisers", "metrics", "psf", "simulate", "bicubic", "checkerboard", "degradations", "initialisation"}
    assert public - listed - constants - rooms - {"layers", "models", "training", "weights"} == set()
