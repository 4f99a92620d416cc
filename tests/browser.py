"""Debian's Chromium, driven by Playwright; what it blocks, misses or complains of fails the test."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 60_000
# Chromium says so of each answer whose pieces a page reads as they come, also at its good end.
_READ_IN_PIECES = ("chat/generate", "net::ERR_ABORTED")
_WATCHING = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


def path() -> str | None:
    """The browser of this machine: CHROMIUM, or what is on the path."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def running() -> Iterator[Browser]:
    """The browser, while it runs; skips the test where there is none."""
    found = path()
    if found is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium, or say in CHROMIUM where one is")
    with sync_playwright() as playwright:
        # Its own sandbox needs what containers and root do not have; the pages are ours.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Complaints:
    """What a page should not have done. ``expected`` are patterns of what a test provokes."""

    found: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        page.on("requestfailed", self._failed)
        page.on("dialog", lambda dialog: (self.found.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.found.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _failed(self, request: Request) -> None:
        if not (_READ_IN_PIECES[0] in request.url and request.failure == _READ_IN_PIECES[1]):
            self.found.append(f"failed: {request.failure} {request.url.partition('?')[0]}")

    @property
    def unexpected(self) -> list[str]:
        return [each for each in self.found if not any(re.search(pattern, each) for pattern in self.expected)]


@contextmanager
def visiting(browser: Browser, *, width: int = 1440, **options: Any) -> Iterator[tuple[Page, Complaints]]:
    """A page of a visitor of its own, with nothing kept from others; at the end nothing may have been wrong with it."""
    height = 900 if width > 500 else 740
    context: BrowserContext = browser.new_context(viewport={"width": width, "height": height}, **options)
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(_WATCHING)
    complaints = Complaints()
    context.on("page", complaints.watch)
    page = context.new_page()
    try:
        yield page, complaints
        if complaints.unexpected:
            raise AssertionError("the page was not well:\n" + "\n".join(complaints.unexpected))
    finally:
        context.close()
