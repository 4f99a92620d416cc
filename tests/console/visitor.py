"""Somebody who uses the console, and what the platform has of them."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from playwright.sync_api import Page, expect

from tests.integration.client import Api, Platform

PASSWORD = "correct horse battery"
# The page's policy lets no test evaluate text in it again and again, so it tells by itself.
_AT_REST = "Promise.allSettled(document.getAnimations().map((each) => each.finished))"
PAGES = ("pictures", "speech", "summaries", "chat", "usage", "account")


@dataclass
class Visitor:
    """An account: ``api`` calls the platform as it, beside the page."""

    platform: Platform
    email: str
    api: Api

    @classmethod
    def new(cls, platform: Platform) -> "Visitor":
        email = f"{uuid4().hex[:12]}@example.com"
        answer = Api(platform.api_url).post("/auth/register", {"email": email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        return cls(platform, email, Api(platform.api_url, answer.json()["accessToken"]))

    def make(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.api.post(path, body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def log_in(self, page: Page, part: str = "pictures") -> None:
        page.goto(f"{self.platform.api_url}/console#/{part}")
        page.locator("input[value=login]").check()
        page.locator("input[name=email]").fill(self.email)
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator("form.login button[type=submit]").click()
        page.locator("main.page").wait_for()
        settled(page)


def go(page: Page, part: str) -> None:
    """Open a part of the console by its address."""
    page.evaluate("part => { location.hash = `#/${part}`; }", part)
    expect(page.locator(f"main.of-{part.partition('/')[0]}")).to_be_visible()
    settled(page)


def settled(page: Page) -> None:
    """Wait until nothing loads any more and what moves has come to rest."""
    page.wait_for_load_state("networkidle")
    expect(page.locator(".spinner, [aria-busy=true], .tile img:not(.there)")).to_have_count(0)
    page.evaluate(_AT_REST)


def is_wider_than_the_window(page: Page) -> bool:
    wide: bool = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return wide
