"""What is purged, and what is kept."""

from datetime import timedelta

import pytest

from accounts import login_failures, purge
from accounts.migrate import migrate
from core import ids
from core.client import ClientInfo
from core.errors import Unauthorized

DAY = timedelta(days=1)
MOMENT = timedelta(seconds=1)


@pytest.fixture
def database(server, open_database):
    """A database of this test's own."""
    opened = open_database(server.new_database())
    migrate(opened)
    return opened


@pytest.fixture
def now(clock):
    return clock.now


def always() -> bool:
    return True


def add_session(database, now, *, expires=DAY, revoked=None) -> str:
    """Add a session that expires, and was revoked, so long after now; returns its id."""
    session_id = ids.new()
    row = (session_id, ids.new(), session_id, now, now, now + expires, None if revoked is None else now + revoked)
    database.run(
        lambda cursor: cursor.execute(
            "INSERT INTO sessions (id, user_id, handle_hash, secret_hash, created_at, last_used_at, expires_at, revoked_at)"
            " VALUES (%s, %s, %s, '', %s, %s, %s, %s)",
            row,
        )
    )
    return session_id


def left(database, table: str, column: str) -> set[str]:
    def work(cursor) -> set[str]:
        cursor.execute(f"SELECT {column} FROM {table}")  # noqa: S608
        return {value for (value,) in cursor.fetchall()}

    return database.run(work)


def test_sessions_that_ended_more_than_a_day_ago_go_and_all_others_stay(database, now):
    kept = {
        add_session(database, now),
        add_session(database, now, expires=-DAY + MOMENT),
        add_session(database, now, revoked=-DAY + MOMENT),
        add_session(database, now, revoked=-MOMENT, expires=30 * DAY),
    }
    for expires, revoked in ((-DAY - MOMENT, None), (DAY, -DAY - MOMENT), (-9 * DAY, -9 * DAY), (-9 * DAY, -MOMENT)):
        add_session(database, now, expires=expires, revoked=revoked)
    assert purge.purge(database, now, always) == purge.Purged(4, 0, complete=True)
    assert left(database, "sessions", "id") == kept


def test_failures_that_nobody_added_to_for_a_day_are_forgotten(database, now):
    for account, age in (("old", DAY + MOMENT), ("young", DAY - MOMENT), ("new", timedelta(0))):
        database.run(lambda cursor, account=account, age=age: login_failures.add_failure(cursor, account, now - age))
    assert purge.purge(database, now, always) == purge.Purged(0, 1, complete=True)
    assert left(database, "login_failures", "account") == {"young", "new"}


def test_an_account_is_counted_from_the_first_again_when_its_failures_are_forgotten(database, now):
    for _ in range(9):
        database.run(lambda cursor: login_failures.add_failure(cursor, "account", now))
    purge.purge(database, now + DAY + MOMENT, always)
    assert not database.run(lambda cursor: login_failures.add_failure(cursor, "account", now + DAY + MOMENT))


def test_many_rows_go_in_batches(database, now, monkeypatch):
    monkeypatch.setattr(purge, "BATCH_ROWS", 2)
    for _ in range(5):
        add_session(database, now, expires=-2 * DAY)
    for number in range(4):
        database.run(lambda cursor, number=number: login_failures.add_failure(cursor, str(number), now - 2 * DAY))
    sizes = []
    run = database.run
    monkeypatch.setattr(database, "run", lambda work: sizes.append(run(work)) or sizes[-1])
    assert purge.purge(database, now, always) == purge.Purged(5, 4, complete=True)
    assert sizes == [2, 2, 1, 2, 2, 0]


def test_no_batch_is_begun_without_time_and_the_next_run_goes_on(database, now, monkeypatch):
    monkeypatch.setattr(purge, "BATCH_ROWS", 2)
    for _ in range(5):
        add_session(database, now, expires=-2 * DAY)
    answers = iter([True, True, False, False])
    assert purge.purge(database, now, lambda: next(answers)) == purge.Purged(4, 0, complete=False)
    assert purge.purge(database, now, always) == purge.Purged(1, 0, complete=True)


def test_the_token_of_a_purged_session_is_any_unknown_token(platform, email, log):
    token = platform.accounts.register(email, "password123", ClientInfo())["refreshToken"]
    platform.accounts.refresh(token)
    platform.clock.advance(days=32)
    purge.purge(platform.open_database(), platform.clock.now, always)
    assert platform.query("SELECT 1 FROM sessions s JOIN users u ON u.id = s.user_id WHERE email = %s", email) == []
    with pytest.raises(Unauthorized):
        platform.accounts.refresh(token)
    platform.accounts.logout(token)
    assert not [line for line in log.lines() if "security_event" in line]
