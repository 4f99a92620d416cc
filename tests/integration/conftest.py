"""One platform of the tests' own, on free ports, with fake providers on loopback; stopped at the end."""

from collections.abc import Callable, Iterator

import pytest

from tests.integration.client import Api, Platform, User
from tests.own_platform import fake_providers, running_platform


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What reads the log of all that the other tests did comes after them."""
    items.sort(key=lambda item: item.path.name == "test_log.py")


@pytest.fixture(scope="session")
def fakes() -> Iterator[dict[str, str]]:
    """The addresses of fake Pollinations and Google, as settings of the platform."""
    with fake_providers() as settings:
        yield settings


@pytest.fixture(scope="session")
def platform(fakes: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that `make up` would start, in a folder and on ports of its own."""
    with running_platform(tmp_path_factory.mktemp("platform"), fakes) as running:
        yield running


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
