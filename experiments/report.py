"""The page that gathers a run: ``index.html`` with the figures beside it."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import sigdeconv

from .common import Chapter, Figure, Table

PACKAGES = ("numpy", "scipy", "scikit-image", "matplotlib")

MEANINGS = (
    ("convolution", "<i>A x</i>", "the blur: what the instrument does to a scene"),
    ("transposed convolution", "<i>A</i><sup>H</sup> <i>y</i>", "the shape of <i>x</i> comes back, the values do not"),
    ("deconvolution", "an estimate of <i>x</i>", "from <i>y</i> = <i>A x</i> + noise"),
    (
        "learned transposed convolution",
        "<i>A</i><sup>H</sup> with trained weights",
        "a layer of a network; it inverts nothing either",
    ),
)

CSS = """
:root { color-scheme: light; --ink: #1c2330; --soft: #5b6675; --line: #dfe4ea; --accent: #0b6e4f; --warn: #9a4b00; }
* { box-sizing: border-box; }
body { margin: 0; background: #f6f7f9; color: var(--ink); font: 17px/1.6 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 2.1em; line-height: 1.2; margin: 0 0 .3em; letter-spacing: -.01em; }
h2 { font-size: 1.45em; line-height: 1.3; margin: 0 0 .5em; }
p { max-width: 58em; margin: .6em 0 1em; }
a { color: var(--accent); }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 28px 32px; margin: 28px 0; }
.lead { font-size: 1.12em; color: var(--soft); }
.finding { border-left: 4px solid var(--accent); background: #eef7f3; padding: 12px 18px; max-width: none;
  border-radius: 0 8px 8px 0; font-size: 1.06em; }
.skipped { border-left-color: var(--warn); background: #fff4e5; }
figure { margin: 26px 0; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figcaption { color: var(--soft); font-size: .93em; margin: 8px 0 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .93em; margin: 6px 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: 6px; }
th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
th { font-weight: 600; border-bottom: 2px solid var(--ink); }
td.n, th.n { text-align: right; }
tr.marked td { font-weight: 600; }
.meanings td { white-space: normal; }
details { margin: 20px 0; }
summary { cursor: pointer; color: var(--accent); }
footer { color: var(--soft); font-size: .88em; }
"""


def write(out: Path, chapters: Sequence[Chapter], *, seed: int, seconds: float) -> Path:
    """Write ``index.html`` and every table as CSV and JSON into `out`; the path of the page."""
    for chapter in chapters:
        for part in chapter.parts:
            if isinstance(part, Table):
                part.write(out)
    page = out / "index.html"
    page.write_text(html(chapters, environment(seed, seconds)), encoding="utf-8")
    return page


def environment(seed: int, seconds: float) -> str:
    """What the numbers depend on, in one line."""
    parts = [f"sigdeconv {sigdeconv.__version__}", f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            parts.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        " · ".join(parts)
        + f" · {platform.system()} {platform.machine()}, {cores} cores · seed {seed} · {seconds:.0f} s"
    )


def html(chapters: Sequence[Chapter], footer: str) -> str:
    """The page."""
    body = [
        "<h1>What deconvolution brings back, and what it does not</h1>",
        '<p class="lead">A blur is a linear operator <i>A</i>. Four things get called “deconvolution”; only one of '
        "them undoes the blur. The experiments below measure the difference.</p>",
        _meanings(),
        "<section><h2>In short</h2>",
        *(f'<p><a href="#{c.name}"><b>{escape(c.title)}</b></a><br>{_short(c)}</p>' for c in chapters),
        "</section>",
        *(_chapter(c) for c in chapters),
        f"<footer><p>{escape(footer)}</p></footer>",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>sigdeconv: experiments</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def _meanings() -> str:
    rows = "".join(f"<tr><td><b>{word}</b></td><td>{what}</td><td>{why}</td></tr>" for word, what, why in MEANINGS)
    return f'<table class="meanings"><tr><th>word</th><th>computes</th><th>that is</th></tr>{rows}</table>'


def _short(chapter: Chapter) -> str:
    return f"Skipped: {escape(chapter.skipped)}" if chapter.skipped else escape(chapter.finding)


def _chapter(chapter: Chapter) -> str:
    body = [f'<section id="{chapter.name}">', f"<h2>{escape(chapter.title)}</h2>"]
    if chapter.skipped:
        body.append(f'<p class="finding skipped"><b>Skipped.</b> {escape(chapter.skipped)}</p>')
    else:
        body.append(f'<p class="finding">{escape(chapter.finding)}</p>')
    for part in chapter.parts:
        if isinstance(part, Figure):
            body.append(f"<figure>{picture(part)}<figcaption>{escape(part.caption)}</figcaption></figure>")
        elif isinstance(part, Table):
            body.append(table_html(part))
        else:
            body.append(f"<p>{escape(part)}</p>")
    if not chapter.skipped:
        body.append(f"<footer>{chapter.seconds:.0f} s · python -m experiments {chapter.name}</footer>")
    return "\n".join([*body, "</section>"])


def picture(figure: Figure) -> str:
    """The element of a picture; who wants no motion on the screen gets the still of one that moves."""
    path = escape(figure.file)
    image = f'<img src="{path}" alt="{escape(figure.caption)}" loading="lazy">'
    if not path.endswith(".gif"):
        return image
    still = f'<source media="(prefers-reduced-motion: reduce)" srcset="{path.removesuffix("gif")}png">'
    return f"<picture>{still}{image}</picture>"


def table_html(table: Table, *, links: bool = True) -> str:
    """A table with its caption; `links` lead to the CSV and JSON files beside the page."""

    def cell(tag: str, text: str, number: bool) -> str:
        return f"<{tag}{' class=n' if number else ''}>{escape(text)}</{tag}>"

    head = "".join(cell("th", c.heading, c.digits is not None) for c in table.columns)
    rows = []
    for row in table.rows:
        marked = ' class="marked"' if table.marked and row.get(table.marked) else ""
        rows.append(
            f"<tr{marked}>{''.join(cell('td', c.text(row[c.key]), c.digits is not None) for c in table.columns)}</tr>"
        )
    files = f'<a href="{table.name}.csv">CSV</a>, <a href="{table.name}.json">JSON</a>'
    grid = f'<div class="scroll"><table><tr>{head}</tr>{"".join(rows)}</table></div>'
    caption = f"{escape(table.caption)} ({files})" if links else escape(table.caption)
    if table.folded:
        below = f"<p>{files}</p>" if links else ""
        return f"<details><summary>{escape(table.caption)}</summary>{grid}{below}</details>"
    return f"<figure>{grid}<figcaption>{caption}</figcaption></figure>"
