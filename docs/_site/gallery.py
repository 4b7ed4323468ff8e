"""The gallery: a page an experiment, which runs while the site is built. Sphinx-gallery makes it of these scripts."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from experiments import report
from experiments.__main__ import EXPERIMENTS
from experiments.common import Chapter, Figure, Table

SCRIPT = '''"""
{title}
{rule}

{text}
"""

# %%
# From a clone of the repository, ``python -m experiments {name}`` does the same and writes a report.

from pathlib import Path

from experiments.__main__ import chapter
from experiments.common import Study, data_folder

out = Path("results")
out.mkdir(exist_ok=True)
result = chapter("{name}", Study(out=out, data=data_folder(), quiet=True))
'''
COLUMN = 900  # pixels
HEAD = """
Gallery
=======

Every experiment of ``python -m experiments``, run while these pages were built: what was measured, in figures and
tables.

"""


def write_scripts(folder: Path) -> None:
    """A script for every experiment; one that has not changed is left alone, so that it is not run again."""
    folder.mkdir(exist_ok=True)
    texts = {"README.txt": HEAD}
    for name, (title, run) in EXPERIMENTS.items():
        module = __import__(run.__module__, fromlist=["run"])
        text = (module.__doc__ or "").strip().replace("\\", "\\\\")
        texts[f"{name}.py"] = SCRIPT.format(title=title, rule="=" * len(title), text=text, name=name)
    for path in folder.iterdir():
        if path.name not in texts and path.is_file():
            path.unlink()
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def forget_pages(folder: Path) -> None:
    """Take away what an earlier build has left of experiments that are no more."""
    if folder.is_dir():
        for path in folder.iterdir():
            if path.is_file() and path.name.split(".")[0] not in {"index", "sg_execution_times", *EXPERIMENTS}:
                path.unlink()


class Order:
    """The pages come in the order of the report."""

    def __init__(self, folder: str) -> None:
        del folder

    def __call__(self, filename: str) -> int:
        return [*EXPERIMENTS].index(Path(filename).stem)

    def __repr__(self) -> str:  # it is part of the configuration, whose changes are looked for
        return "<Order of the report>"


def scraper(block: tuple[Any, ...], block_vars: Mapping[str, Any], gallery_conf: Mapping[str, Any]) -> str:
    """The chapter that a script has made, as reStructuredText: finding, figures and tables in their order."""
    result = block_vars["example_globals"].get("result")
    if not isinstance(result, Chapter):
        return ""
    folder = Path(block_vars["src_file"]).parent / "results"
    told = f"Skipped. {result.skipped}" if result.skipped else result.finding
    lines = [".. admonition:: " + ("Skipped" if result.skipped else "Finding"), "", f"   {plain(told)}", ""]
    paths = iter(block_vars["image_path_iterator"])
    for part in result.parts:
        if isinstance(part, Figure):
            path = Path(next(paths))
            shutil.copy(folder / part.file, path)
            if not part.file.endswith(".png"):
                # a thumbnail is made of the numbered file, the page shows the moving one
                moving = path.with_suffix(Path(part.file).suffix)
                shutil.copy(folder / part.file, moving)
                path = moving
            source = path.relative_to(Path(gallery_conf["src_dir"])).as_posix()
            lines += [f".. figure:: /{source}", f"   :alt: {one_line(part.caption)}", "   :class: sphx-glr-single-img"]
            if wide(path):
                lines += ["   :width: 100%"]  # with a width, Sphinx links the picture to itself in full size
            lines += ["", f"   {plain(part.caption)}", ""]
        elif isinstance(part, Table):
            table = report.table_html(part, links=False).splitlines()
            lines += [".. raw:: html", "", *(f"   {line}" for line in table), ""]
        else:
            lines += [plain(part), ""]
    return "\n".join(lines)


def _get_sg_image_scraper() -> Any:
    """By this name sphinx-gallery asks a module for its scraper."""
    return scraper


def wide(path: Path) -> bool:
    """Whether a picture is wider than the column of text."""
    with Image.open(path) as picture:
        return bool(picture.width > COLUMN)


def one_line(text: str) -> str:
    """Without line breaks."""
    return " ".join(text.split())


def plain(text: str) -> str:
    """Text in which reStructuredText finds no marks, and no list where it begins with a number."""
    for sign in "\\*`|_":
        text = text.replace(sign, f"\\{sign}")
    return re.sub(r"^(\d+)\.", r"\1\\.", one_line(text))
