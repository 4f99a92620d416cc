"""Somebody who uses the console, and what the platform has of them."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from playwright.sync_api import Page

from tests.integration.client import Api, Platform

PASSWORD = "correct horse battery"
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
        page.locator("input[name=email]").fill(self.email)
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator("form.login button[type=submit]").click()
        page.locator("main.page").wait_for()
        settled(page)


def go(page: Page, part: str) -> None:
    """Open a part of the console by its address."""
    page.evaluate("part => { location.hash = `#/${part}`; }", part)
    page.wait_for_function("part => document.querySelector('main').classList.contains(`of-${part}`)", arg=part.split("/")[0])
    settled(page)


def settled(page: Page) -> None:
    """Wait until nothing loads any more and what moves has come to rest."""
    page.wait_for_load_state("networkidle")
    page.wait_for_function(
        "!document.querySelector('.spinner, [aria-busy=true], .tile img:not(.there)')"
        " && document.getAnimations().every((each) => each.playState !== 'running')"
    )


def is_wider_than_the_window(page: Page) -> bool:
    wide: bool = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return wide


def ids(text: str) -> list[str]:
    """The ids of things in an address or a text."""
    return re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", text)
