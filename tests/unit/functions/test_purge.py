"""The function that a schedule calls to purge."""

from typing import Any
from uuid import uuid4

import pytest

from accounts import purge as rows
from core.errors import ServiceUnavailable
from ops import purge
from tests import events
from tests.unit.conftest import Log
from tests.unit.functions.accounts_plane import (  # noqa: F401
    Person,
    configured,
    database_down,
    environment,
    execute,
    log_in,
)

pytestmark = pytest.mark.usefixtures("environment")

LEISURELY = events.Context(remaining_ms=60_000)
HURRIED = events.Context(remaining_ms=purge.LEAST_MILLISECONDS - 1)
SCHEDULED: dict[str, Any] = {"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": {}}


@pytest.fixture(autouse=True)
def _nothing_old(environment: None) -> None:  # noqa: F811
    purge.handler(SCHEDULED, LEISURELY)


def grow_old(person: Person) -> None:
    execute("UPDATE sessions SET expires_at = now() - interval '2 days' WHERE id = %s", person.session_id)


def test_what_is_over_is_deleted_and_counted(log: Log) -> None:
    ana = Person.new()
    gone = [ana.again(), ana.again()]
    log_in(f"{uuid4().hex}@example.com").problem(401)
    assert execute("UPDATE login_failures SET tried_at = now() - interval '2 days'") >= 1
    failures = execute("SELECT 1 FROM login_failures")
    for person in gone:
        grow_old(person)
    answer = purge.handler(SCHEDULED, LEISURELY)
    assert answer == {"sessions": 2, "loginFailures": failures, "complete": True}
    assert [person.can_refresh() for person in (ana, *gone)] == [True, False, False]
    (line,) = log.of("purged")
    assert (line["sessions"], line["login_failures"], line["complete"]) == (2, failures, True)


def test_with_nothing_to_delete_it_says_so() -> None:
    assert purge.handler(SCHEDULED, LEISURELY) == {"sessions": 0, "loginFailures": 0, "complete": True}


def test_it_stops_before_its_time_is_up() -> None:
    ana = Person.new()
    grow_old(ana)
    assert purge.handler(SCHEDULED, HURRIED) == {"sessions": 0, "loginFailures": 0, "complete": False}
    assert execute("SELECT 1 FROM sessions WHERE id = %s", ana.session_id) == 1
    assert purge.handler(SCHEDULED, LEISURELY)["sessions"] == 1


def test_a_batch_is_small_enough_for_aurora_dsql() -> None:
    assert rows.BATCH_ROWS < 3000


@pytest.mark.usefixtures("database_down")
def test_without_a_database_it_fails_so_that_somebody_is_told() -> None:
    with pytest.raises(ServiceUnavailable):
        purge.handler(SCHEDULED, LEISURELY)
