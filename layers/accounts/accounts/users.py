"""The table ``users``. Each function is a part of the caller's transaction."""

import unicodedata
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from accounts import emails
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


class _Stored(NamedTuple):
    """A row that is known by ``key``, which may be by former rules."""

    key: str
    password_hash: str
    account: Account


def email_key(email: str) -> str:
    """What the spellings of one address have in common: small letters, NFC, the domain in Unicode.

    An address from before today's rules that they refuse is compared as it was then.
    """
    if emails.is_plain(email):
        return email.lower()
    try:
        return str(emails.parse(email))
    except ValueError:
        return _former_key(email)


def insert(cursor: Cursor, account: Account, password_hash: str) -> bool:
    """Add the user; false when the email is taken."""
    key = email_key(account.email)
    for stored in _stored(cursor, account.email):
        if email_key(stored.account.email) == key:
            return False
        # Another mailbox, which was taken for this one: straße@ was stored as strasse@.
        if stored.key == key:
            cursor.execute(
                "UPDATE users SET email_key = %s WHERE id = %s AND email_key = %s",
                (email_key(stored.account.email), stored.account.id, key),
            )
    cursor.execute(
        "INSERT INTO users (id, email, email_key, password_hash, role, created_at) VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (email_key) DO NOTHING",
        (account.id, account.email, key, password_hash, account.role, account.created_at),
    )
    return cursor.rowcount == 1


def by_email(cursor: Cursor, email: str) -> tuple[Account, str] | None:
    """The user with this email in any spelling, and the hash of the password."""
    key, former = email_key(email), _former_key(email)
    found = [stored for stored in _stored(cursor, email) if email_key(stored.account.email) == key]
    # Two from when the forms of a domain were two addresses: each by the form that it was registered with.
    found.sort(key=lambda stored: (stored.key != former, stored.key != key))
    return (found[0].account, found[0].password_hash) if found else None


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
    found = by_email(cursor, email)
    if found is None:
        return None
    account, _ = found
    cursor.execute("UPDATE users SET role = %s WHERE id = %s", (role, account.id))
    return replace(account, role=role)


def _stored(cursor: Cursor, email: str) -> list[_Stored]:
    """The rows that may be of this address, by its key and by those that its spellings had before."""
    cursor.execute(
        "SELECT email_key, password_hash, id, email, role, created_at FROM users WHERE email_key IN %s",
        (_keys(email),),
    )
    return [_Stored(key, password_hash, Account(*row)) for key, password_hash, *row in cursor.fetchall()]


def _keys(email: str) -> tuple[str, ...]:
    """Under which keys a row of this address may be stored."""
    keys = {email_key(email), _former_key(email)}
    if not emails.is_plain(email):
        with suppress(ValueError):
            address = emails.parse(email)
            keys |= {_former_key(f"{address.local}@{domain}") for domain in (address.domain, address.ascii_domain)}
    return tuple(keys)


def _former_key(email: str) -> str:
    """The key of rows from before domains were compared as such: case folded, in Unicode's form NFC."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", email).casefold())
