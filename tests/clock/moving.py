"""A plugin of pytest that has every test begin at the moment MOMENT; time goes on from there, in children as well.

Were the clock set once, midnight would have passed before the first test begins. Needs `wall_clock.c`, preloaded.
"""

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

EPOCH = datetime.fromtimestamp(0, UTC)


class WallClock:
    """The wall clock of this process and of those that it starts from now on."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "shift"
        self._shift = 0
        self._write()
        # When root tests, PostgreSQL's processes are another user's.
        folder.chmod(0o755)
        self._file.chmod(0o644)
        ctypes.CDLL(None).follow(os.fsencode(self._file))
        os.environ["WALL_CLOCK"] = str(self._file)

    def _write(self) -> None:
        # In place and at once: who follows has the file mapped.
        with self._file.open("r+b" if self._file.exists() else "wb", buffering=0) as file:
            file.write(self._shift.to_bytes(8, sys.byteorder, signed=True))

    def set(self, moment: datetime) -> None:
        """It is the moment now."""
        self._shift += (moment - EPOCH) // timedelta(microseconds=1) * 1000 - time.time_ns()
        self._write()


def is_followed(moment: datetime) -> bool:
    """Whether it is about that moment, here and in a child."""
    child = subprocess.run([sys.executable, "-c", "import time; print(time.time())"], capture_output=True, check=True)
    return all(abs(seconds - moment.timestamp()) < 600 for seconds in (time.time(), float(child.stdout)))


@contextmanager
def moving(moment: datetime) -> Iterator[WallClock]:
    """A clock that can be set, until the end."""
    with tempfile.TemporaryDirectory(prefix="wall-clock-") as folder:
        clock = WallClock(Path(folder))
        clock.set(moment)
        if not is_followed(moment):
            raise pytest.UsageError("the preloaded library does not move the clock of this Python")
        yield clock


class EveryTestAt:
    """Sets the clock before each test's first fixture, and before a module of tests, which may read it, too."""

    def __init__(self, clock: WallClock, moment: datetime) -> None:
        self._clock = clock
        self._moment = moment

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectstart(self) -> None:
        """Begin to collect tests (a hook of pytest)."""
        self._clock.set(self._moment)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self) -> None:
        """Begin a test (a hook of pytest)."""
        self._clock.set(self._moment)


def pytest_configure(config: pytest.Config) -> None:
    """Take over the clock of this process (a hook of pytest); each of xdist's has one of its own."""
    moment = datetime.fromisoformat(os.environ["MOMENT"])
    # What urllib3 says of a certificate that it checks before its own release.
    config.addinivalue_line("filterwarnings", "ignore:System time is way off")
    use = moving(moment)
    config.pluginmanager.register(EveryTestAt(use.__enter__(), moment))
    config.add_cleanup(lambda: use.__exit__(None, None, None))
