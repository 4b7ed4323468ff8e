"""The built documentation in a browser: no console errors or dead links, readable on a telephone. See ``make docs``."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from .conftest import PHONE

SITE = Path(os.environ.get("SIGDECONV_SITE", Path(__file__).parents[2] / "build" / "docs")).resolve()
KINDS: tuple[str, ...] = (
    "index",
    "tutorial/first-image",
    "howto/choose-a-method",
    "explanation/claims",
    "explanation/four-meanings",
)
KINDS += (
    "gallery/index",
    "gallery/recovery",
    "gallery/arithmetic",
    "reference/deconvolution",
    "reference/commands",
    "search",
    "genindex",
)
KINDS += ("reference/generated/sigdeconv.wiener", "explorer/index")

pytestmark = pytest.mark.skipif(not SITE.is_dir(), reason="the site is not built: make docs")


class Seen(HTMLParser):
    """The links, names and pictures of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: set[str] = set()
        self.bare: list[str] = []  # pictures without words
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.names |= {value for key in ("id", "name") if (value := found.get(key))}
        self.links += [value for key in ("href", "src") if (value := found.get(key))]
        if tag == "img" and "alt" not in found:  # an empty one says that the words stand beside it
            self.bare.append(found.get("src") or "?")


@pytest.fixture(scope="module")
def pages() -> dict[Path, Seen]:
    return {path.resolve(): Seen(path) for path in SITE.rglob("*.html") if "_static" not in path.parts}


def test_every_link_leads_somewhere(pages):
    dead = []
    for path, seen in pages.items():
        for link in seen.links:
            if re.match(r"(\w+:|//|#$)", link):
                continue  # other sites are not asked
            target, fragment = urldefrag(link)
            file = (path.parent / unquote(target).split("?")[0]).resolve() if target else path
            if not file.exists():
                dead.append(f"{path.name}: {link}")
            elif (
                fragment
                and file in pages
                and unquote(fragment) not in pages[file].names
                and "explorer" not in str(file)
            ):
                dead.append(f"{path.name}: {link} (no such place)")
    assert dead == [], "\n".join(dead)


def test_every_picture_has_words(pages):
    assert {path.name: seen.bare for path, seen in pages.items() if seen.bare} == {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_of_each_kind(watched, kind):
    path = SITE / f"{kind}.html"
    page = watched.open(path)
    assert page.title()
    assert len(page.inner_text("body")) > 120
    page.set_viewport_size(PHONE)
    assert watched.overflow() == []
    assert watched.faults == []


def test_the_search_finds(watched):
    page = watched.open(SITE / "search.html", "?q=wiener")
    page.wait_for_selector("#search-results li a")
    assert page.locator("#search-results li a").count() > 3
    assert watched.faults == []
