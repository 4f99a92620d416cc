"""An account goes with its sessions and counted logins, and nobody else's goes with it."""

from datetime import timedelta

import pytest

from accounts import login_failures, removal, users
from accounts.migrate import migrate
from accounts.users import Account
from core import ids


@pytest.fixture
def database(server, open_database):
    opened = open_database(server.new_database())
    migrate(opened)
    return opened


def add(database, now, email: str, sessions: int) -> str:
    """An account with sessions and a failed login; its id."""
    user_id = ids.new()
    database.run(lambda cursor: users.insert(cursor, Account(user_id, email, "user", now), "hash"))

    def rest(cursor) -> None:
        for _ in range(sessions):
            session_id = ids.new()
            cursor.execute(
                "INSERT INTO sessions (id, user_id, handle_hash, secret_hash, created_at, last_used_at, expires_at)"
                " VALUES (%s, %s, %s, '', %s, %s, %s)",
                (session_id, user_id, session_id, now, now, now + timedelta(days=1)),
            )
        cursor.execute(
            "INSERT INTO login_failures (account, failures, in_flight, tried_at, delayed_until) VALUES (%s, 1, 0, %s, %s)",
            (login_failures.key(email), now, now),
        )

    database.run(rest)
    return user_id


def rows(database) -> list[int]:
    def work(cursor) -> list[int]:
        found = []
        for table in ("users", "sessions", "login_failures"):
            cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608
            found.append(cursor.fetchone()[0])
        return found

    return database.run(work)


def test_an_account_goes_with_all_that_is_its_own(database, clock, monkeypatch):
    monkeypatch.setattr(removal, "_BATCH_ROWS", 2)
    ana = add(database, clock.now, "Ana@example.com", 5)
    add(database, clock.now, "bob@example.com", 2)
    found = removal.find(database, "ana@EXAMPLE.com")
    assert found == removal.find(database, ana) == removal.Found(ana, "Ana@example.com", 5)
    for _ in range(2):
        removal.remove(database, found)
        assert rows(database) == [1, 2, 1]
    # By its id it can be asked for again, by its address not.
    assert removal.find(database, ana) == removal.Found(ana, None, 0)
    assert removal.find(database, "ana@example.com") is None
