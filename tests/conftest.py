"""Which tests may run at the same time, when pytest is told to use several processes (`-n`)."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# Folders whose tests share a platform, which is started once; the deeper one first.
PLATFORMS = tuple(f"tests/integration/{folder}" for folder in ("ministack/", "operations/", "platform/", ""))


class OneProcessForAPlatform(LoadScopeScheduling):
    """Gives the tests of a file to one process, and all that share a platform."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in PLATFORMS if nodeid.startswith(folder)), nodeid.partition("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneProcessForAPlatform:
    """Take our own scheduler (a hook of xdist)."""
    return OneProcessForAPlatform(config, log)
