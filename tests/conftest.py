"""Which tests may run at the same time, when pytest is told to use several processes (`-n`)."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent
SHARED_PLATFORM = ROOT / "integration"
SAMPLE_PLATFORM = SHARED_PLATFORM / "platform"


@pytest.hookimpl(tryfirst=True)  # before xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A platform is started once: the tests that share it stay together, as those of a file do."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item.path)))


def _group(path: Path) -> str:
    for folder in (SAMPLE_PLATFORM, SHARED_PLATFORM):
        if folder in path.parents:
            return folder.name
    return str(path.relative_to(ROOT))
