"""The table ``users``. Each function is one statement of the caller's transaction."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime

from accounts.connection import Cursor
from accounts.models import User
from core import times


@dataclass(frozen=True, slots=True)
class Account:
    """A row of ``users``; ``email`` is as it was typed."""

    id: str
    email: str
    role: str
    created_at: datetime

    def shown(self) -> User:
        """The user as the API shows it."""
        return {"id": self.id, "email": self.email, "role": self.role, "createdAt": times.rfc3339(self.created_at)}


def email_key(email: str) -> str:
    """What two spellings of one address have in common: case folded, in Unicode's form NFC."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", email).casefold())


def insert(cursor: Cursor, account: Account, password_hash: str) -> bool:
    """Add the user; false when the email is taken."""
    cursor.execute(
        "INSERT INTO users (id, email, email_key, password_hash, role, created_at) VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (email_key) DO NOTHING",
        (account.id, account.email, email_key(account.email), password_hash, account.role, account.created_at),
    )
    return cursor.rowcount == 1


def by_email(cursor: Cursor, email: str) -> tuple[Account, str] | None:
    """The user with this email in any case, and the hash of the password."""
    cursor.execute(
        "SELECT id, email, role, created_at, password_hash FROM users WHERE email_key = %s", (email_key(email),)
    )
    row = cursor.fetchone()
    return None if row is None else (Account(*row[:4]), row[4])


def by_id_with_hash(cursor: Cursor, user_id: str) -> tuple[Account, str] | None:
    """The user with this id, which must be a UUID, and the hash of the password."""
    cursor.execute("SELECT id, email, role, created_at, password_hash FROM users WHERE id = %s", (user_id,))
    row = cursor.fetchone()
    return None if row is None else (Account(*row[:4]), row[4])


def by_id(cursor: Cursor, user_id: str) -> Account | None:
    """The user with this id, which must be a UUID."""
    cursor.execute("SELECT id, email, role, created_at FROM users WHERE id = %s", (user_id,))
    row = cursor.fetchone()
    return None if row is None else Account(*row)


def replace_hash(cursor: Cursor, user_id: str, old: str, new: str) -> bool:
    """Store another hash; false when the old one is not the user's (any more).

    Also with the same hash twice: what follows in this transaction then happens before the next change of the
    password, or not at all.
    """
    cursor.execute(
        "UPDATE users SET password_hash = %s WHERE id = %s AND password_hash = %s",
        (new, user_id, old),
    )
    return cursor.rowcount == 1


def set_role(cursor: Cursor, email: str, role: str) -> Account | None:
    """Give the user with this email a role, and return the user."""
    cursor.execute(
        "UPDATE users SET role = %s WHERE email_key = %s RETURNING id, email, role, created_at",
        (role, email_key(email)),
    )
    row = cursor.fetchone()
    return None if row is None else Account(*row)
