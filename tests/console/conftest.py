"""One platform and one browser for all tests of the console; its pictures go to .local/console."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests import browser as browsers
from tests.browser import PATIENCE_MS
from tests.integration import targets
from tests.integration.client import Platform
from tests.own_platform import fake_providers

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / ".local" / "console"
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    if browsers.path() is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium, or say in CHROMIUM where one is")
    with (
        fake_providers() as settings,
        targets.TARGETS["embedded"].start(tmp_path_factory.mktemp("platform"), settings) as running,
    ):
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with browsers.running() as running:
        yield running


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where pictures of the pages are left to be looked at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    return PICTURES
