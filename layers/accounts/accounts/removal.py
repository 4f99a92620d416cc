"""Remove an account with all that the accounts plane has of it: sessions, counted logins, the user."""

from dataclasses import dataclass
from uuid import UUID

from accounts import login_failures, users
from accounts.connection import Cursor
from accounts.database import Database

# Aurora DSQL changes 3,000 rows in one transaction at most.
_BATCH_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """Whose account it is, and how many sessions it has; without an account ``email`` is None."""

    user_id: str
    email: str | None
    sessions: int


def find(database: Database, who: str) -> Found | None:
    """The account with this id or address. An id that has no account (any more) is found, too; an address is not."""

    def look(cursor: Cursor) -> Found | None:
        user_id = _uuid(who)
        if user_id:
            account = users.by_id(cursor, user_id)
        else:
            by_email = users.by_email(cursor, who)
            account = by_email[0] if by_email else None
        found = str(account.id) if account else user_id
        if found is None:
            return None
        cursor.execute("SELECT count(*) FROM sessions WHERE user_id = %s", (found,))
        row = cursor.fetchone()
        return Found(found, account.email if account else None, int(row[0]) if row else 0)

    return database.run(look)


def end_sessions(database: Database, user_id: str) -> None:
    """Remove the sessions of a user. May be repeated."""

    def batch(cursor: Cursor) -> int:
        cursor.execute(
            "DELETE FROM sessions WHERE user_id = %s AND id IN (SELECT id FROM sessions WHERE user_id = %s LIMIT %s)",
            (user_id, user_id, _BATCH_ROWS),
        )
        return cursor.rowcount

    while database.run(batch) == _BATCH_ROWS:
        pass


def remove(database: Database, found: Found) -> None:
    """Remove the user, with what is left of sessions and counted logins. May be repeated."""
    end_sessions(database, found.user_id)

    def last(cursor: Cursor) -> None:
        if found.email is not None:
            login_failures.reset(cursor, login_failures.key(found.email))
        cursor.execute("DELETE FROM sessions WHERE user_id = %s", (found.user_id,))
        cursor.execute("DELETE FROM users WHERE id = %s", (found.user_id,))

    database.run(last)


def _uuid(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None
