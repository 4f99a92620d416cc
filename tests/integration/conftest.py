"""One platform of the tests' own, on free ports, with fake providers on loopback; stopped at the end."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.client import Api, Platform, User, free_ports

ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What reads the log of all that the other tests did comes after them."""
    items.sort(key=lambda item: item.path.name == "test_log.py")


@pytest.fixture(scope="session")
def fakes() -> Iterator[dict[str, str]]:
    """The addresses of fake Pollinations and Google, as settings of the platform."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fakes"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        urls = json.loads(process.stdout.readline())
        yield {
            "POLLINATIONS_URL": urls["pollinationsUrl"],
            "POLLINATIONS_KEYLESS_URL": urls["pollinationsKeylessUrl"],
            "GTTS_URL": urls["gttsUrl"],
        }
        process.terminate()


@pytest.fixture(scope="session")
def platform(fakes: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that `make up` would start, in a folder and on ports of its own."""
    api_port, aws_port = free_ports(2)
    environment = os.environ | {
        "LOCAL_DIR": str(tmp_path_factory.mktemp("platform")),
        "API_PORT": str(api_port),
        "AWS_PORT": str(aws_port),
        "BCRYPT_ROUNDS": "10",
        **fakes,
    }
    running = Platform(environment, ROOT, api_port, aws_port)
    running.command("up")
    try:
        yield running
    finally:
        running.command("down")


@pytest.fixture
def api(platform: Platform) -> Api:
    """An anonymous client."""
    return Api(platform.api_url)


@pytest.fixture
def register(platform: Platform) -> Callable[[], User]:
    """Makes accounts, each with a client that is logged in."""
    return lambda: User.register(platform.api_url)


@pytest.fixture
def ana(register: Callable[[], User]) -> User:
    """A user."""
    return register()


@pytest.fixture
def bob(register: Callable[[], User]) -> User:
    """Another user."""
    return register()
