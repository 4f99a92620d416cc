"""Deletes what no request asks for any more: sessions that ended, counts of failed logins that are forgotten."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from accounts import login_failures, sessions
from accounts.connection import Cursor
from accounts.database import Database

# A session that ended is still there for whoever ends it again.
SESSION_KEPT = timedelta(days=1)
FAILURES_KEPT = timedelta(days=1)
# Aurora DSQL changes 3,000 rows in one transaction at most.
BATCH_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows were deleted, and whether that was all there was to delete."""

    sessions: int
    login_failures: int
    complete: bool


def purge(database: Database, now: datetime, has_time: Callable[[], bool]) -> Purged:
    """Delete in batches, each a transaction, begun only while ``has_time``. Raises ``ServiceUnavailable``."""

    def all_of(delete: Callable[[Cursor, datetime, int], int], kept: timedelta) -> tuple[int, bool]:
        deleted = 0
        while has_time():
            batch = database.run(lambda cursor: delete(cursor, now - kept, BATCH_ROWS))
            deleted += batch
            if batch < BATCH_ROWS:
                return deleted, True
        return deleted, False

    ended, all_sessions = all_of(sessions.purge, SESSION_KEPT)
    forgotten, all_failures = all_of(login_failures.purge, FAILURES_KEPT)
    return Purged(ended, forgotten, all_sessions and all_failures)
