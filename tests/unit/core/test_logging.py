import time
from collections.abc import Iterator

import pytest

from core.logging import logger
from tests.unit.conftest import Log


@pytest.fixture
def _in_kathmandu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "<+0545>-5:45")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_in_kathmandu")
def test_the_times_of_the_log_are_utc_wherever_it_is_written(log: Log) -> None:
    logger.info("here")
    (line,) = log.lines()
    assert line["timestamp"].endswith("+0000")
