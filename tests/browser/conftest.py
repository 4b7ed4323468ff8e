"""A headless browser, where one is installed: $CHROMIUM, or chromium or chrome on the path."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
PATIENCE = 150_000  # ms: a busy machine is not a fault
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

# What goes past the right edge of the page, other than in a box of its own that scrolls.
OVERFLOW = """() => {
  const root = document.documentElement, found = [];
  if (root.scrollWidth > root.clientWidth + 1) {
    for (const e of document.querySelectorAll("body *"))
      if (e.getBoundingClientRect().right > root.clientWidth + 1 && e.offsetParent)
        found.push(e.tagName + "." + e.className);
    return [root.scrollWidth + " px wide in " + root.clientWidth, ...found.slice(0, 5)];
  }
  return [];
}"""


class Watched:
    """A page, and what went wrong in it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.faults: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda m: self.faults.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: self.faults.append(str(e)))
        page.on("request", self._asked)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:", "about:")):
            self.faults.append(f"asks the network for {request.url}")

    def open(self, path: Path, fragment: str = "") -> Any:
        """Load a file and wait until it is drawn."""
        self.page.goto("about:blank")
        self.page.goto(path.as_uri() + fragment, wait_until="load")
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return self.page

    def overflow(self) -> list[str]:
        """What a reader would have to scroll sideways for."""
        found: list[str] = self.page.evaluate(OVERFLOW)
        return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The browser, or a skipped test."""
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no chromium on the path; install one, or name it in $CHROMIUM")
    with sync.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        one = driver.chromium.launch(executable_path=path, args=arguments, timeout=PATIENCE)
        yield one
        one.close()


@pytest.fixture
def watched(browser: Any) -> Iterator[Watched]:
    """A page that keeps account of errors, warnings and requests to the network."""
    page = browser.new_page(viewport=WIDE, reduced_motion="reduce")
    yield Watched(page)
    page.close()
