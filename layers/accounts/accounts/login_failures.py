"""The table ``login_failures``: how many passwords may be tried on an account, and when.

An attempt takes a place before its password is verified. An account has as many places as it has failures left before
it is delayed, and one after each delay: guesses at once are never more than guesses in turn. A failure keeps its place,
and from the fifth on begins a delay; a success gives all places back. An attempt that nobody decided, because its
function died, is a failure.

Accounts are known by a hash of their email, so one that does not exist is treated like any other. Each function is a
part of the caller's transaction.
"""

import hashlib
from datetime import datetime, timedelta

from accounts.connection import Cursor
from accounts.users import email_key

FREE_FAILURES = 4
FIRST_DELAY = timedelta(seconds=30)
LONGEST_DELAY = timedelta(minutes=15)
# A function that verifies passwords has ended by then, whatever became of it.
LOST_AFTER = timedelta(seconds=30)

_MOST_DOUBLINGS = 10


def key(email: str) -> str:
    """What an account is known by here; the same for all spellings of its email."""
    return hashlib.sha256(email_key(email).encode()).hexdigest()


def delay_after(failures: int) -> timedelta:
    """How long an account is delayed after so many failures."""
    if failures <= FREE_FAILURES:
        return timedelta(0)
    doublings = min(failures - FREE_FAILURES - 1, _MOST_DOUBLINGS)
    return min(FIRST_DELAY * (1 << doublings), LONGEST_DELAY)


def take_place(cursor: Cursor, account: str, now: datetime) -> bool:
    """Take a place for an attempt, unless the account is delayed or has none left.

    One statement on one row, whose lock puts attempts at once in a row.
    """
    cursor.execute(
        "INSERT INTO login_failures AS known (account, failures, in_flight, tried_at, delayed_until)"
        " VALUES (%(account)s, 0, 1, %(now)s, %(now)s)"
        " ON CONFLICT (account) DO UPDATE SET tried_at = %(now)s,"
        " failures = known.failures + CASE WHEN known.tried_at <= %(lost)s THEN known.in_flight ELSE 0 END,"
        " in_flight = 1 + CASE WHEN known.tried_at <= %(lost)s THEN 0 ELSE known.in_flight END"
        " WHERE known.delayed_until <= %(now)s AND (known.tried_at <= %(lost)s"
        " OR known.in_flight < GREATEST(1, %(places)s - known.failures))",
        {"account": account, "now": now, "lost": now - LOST_AFTER, "places": FREE_FAILURES + 1},
    )
    return cursor.rowcount == 1


def delayed_until(cursor: Cursor, account: str) -> datetime | None:
    """When the account's last delay ends or has ended; None for an account without failures."""
    cursor.execute("SELECT delayed_until FROM login_failures WHERE account = %s", (account,))
    row = cursor.fetchone()
    return None if row is None else row[0]


def add_failure(cursor: Cursor, account: str, now: datetime) -> timedelta:
    """Turn a place into a failure; returns the delay that begins, which may be none."""
    cursor.execute(
        "INSERT INTO login_failures AS known (account, failures, in_flight, tried_at, delayed_until)"
        " VALUES (%(account)s, 1, 0, %(now)s, %(now)s)"
        # A success at the same time may have given this place back.
        " ON CONFLICT (account) DO UPDATE SET failures = known.failures + 1,"
        " in_flight = GREATEST(known.in_flight - 1, 0), tried_at = %(now)s RETURNING failures",
        {"account": account, "now": now},
    )
    row = cursor.fetchone()
    delay = delay_after(row[0]) if row else timedelta(0)
    if delay:
        cursor.execute("UPDATE login_failures SET delayed_until = %s WHERE account = %s", (now + delay, account))
    return delay


def reset(cursor: Cursor, account: str) -> None:
    """Give all places back: somebody knew the password."""
    cursor.execute("DELETE FROM login_failures WHERE account = %s", (account,))


def purge(cursor: Cursor, before: datetime, most: int) -> int:
    """Delete rows that nobody has added to since ``before``, ``most`` of them at most; returns how many."""
    cursor.execute(
        "DELETE FROM login_failures WHERE tried_at < %(before)s AND account IN"
        " (SELECT account FROM login_failures WHERE tried_at < %(before)s LIMIT %(most)s)",
        {"before": before, "most": most},
    )
    return cursor.rowcount
