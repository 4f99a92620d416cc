"""The table ``sessions``: starting a session, rotating its refresh token, showing it, ending it.

The caller owns the transaction and must commit it whatever is returned here: a reused token is an outcome and not an
exception, since the revocation that it causes has to stay.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from accounts.connection import Cursor
from accounts.models import Session
from accounts.refresh_tokens import RefreshToken
from accounts.settings import REFRESH_TOKEN_LIFETIME, REUSE_GRACE, SESSION_LIFETIME
from core import ids, times
from core.client import ClientInfo

_LONGEST_USER_AGENT = 512
_LONGEST_IP = 64


@dataclass(frozen=True, slots=True)
class Granted:
    """A session that lives, and the refresh token that carries it on."""

    session_id: str
    user_id: str
    token: RefreshToken


@dataclass(frozen=True, slots=True)
class Reused:
    """A rotated token was replayed; its session has been revoked just now."""

    session_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class Live:
    """A session that lives, as its user knows it."""

    id: str
    created_at: datetime
    last_used_at: datetime
    user_agent: str | None
    ip: str | None

    def shown(self, *, current: bool) -> Session:
        """The session as the API shows it."""
        return {
            "id": self.id,
            "createdAt": times.rfc3339(self.created_at),
            "lastUsedAt": times.rfc3339(self.last_used_at),
            "userAgent": self.user_agent,
            "ip": self.ip,
            "current": current,
        }


class _Standing(Enum):
    """What a presented token is to its session."""

    CURRENT = auto()
    # The one before, moments after it was rotated: the client never got the answer, or sent two requests at once.
    JUST_ROTATED = auto()
    OLD = auto()
    SESSION_OVER = auto()


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    user_id: str
    secret_hash: bytes
    previous_hash: bytes
    rotation_nonce: bytes
    rotated_at: datetime | None
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None

    def standing(self, token: RefreshToken, now: datetime) -> _Standing:
        if self.revoked_at is not None or now >= self.expires_at:
            return _Standing.SESSION_OVER
        if hmac.compare_digest(token.secret_hash, self.secret_hash):
            return _Standing.CURRENT
        if (
            self.rotated_at is not None
            and now - self.rotated_at <= REUSE_GRACE
            and hmac.compare_digest(token.secret_hash, self.previous_hash)
        ):
            return _Standing.JUST_ROTATED
        return _Standing.OLD


def start(cursor: Cursor, user_id: str, client: ClientInfo, now: datetime) -> Granted:
    """Begin a session and return its first refresh token."""
    session_id = ids.new()
    token = RefreshToken.new()
    cursor.execute(
        "INSERT INTO sessions"
        " (id, user_id, handle_hash, secret_hash, created_at, last_used_at, expires_at, user_agent, ip)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            session_id,
            user_id,
            token.handle_hash,
            token.secret_hash,
            now,
            now,
            _expiry(created_at=now, now=now),
            _storable(client.user_agent, _LONGEST_USER_AGENT),
            _storable(client.ip, _LONGEST_IP),
        ),
    )
    return Granted(session_id, user_id, token)


def rotate(cursor: Cursor, token: RefreshToken, now: datetime, *, nonce: bytes) -> Granted | Reused | None:
    """Exchange the token for its successor.

    A token that was rotated within ``REUSE_GRACE`` gets the same successor again, so requests at once with one token
    all leave with one working token. An older one revokes the session. ``None``: there is no such session, or it is
    over. ``nonce`` is 32 random bytes.
    """
    row = _find(cursor, token)
    if row is None:
        return None
    standing = row.standing(token, now)
    if standing is _Standing.SESSION_OVER:
        return None
    if standing is _Standing.OLD:
        _revoke(cursor, row, now)
        return Reused(row.id, row.user_id)
    if standing is _Standing.JUST_ROTATED:
        return Granted(row.id, row.user_id, token.successor(row.rotation_nonce))
    successor = token.successor(nonce)
    cursor.execute(
        "UPDATE sessions SET secret_hash = %s, previous_hash = %s, rotation_nonce = %s, rotated_at = %s,"
        " last_used_at = %s, expires_at = %s WHERE user_id = %s AND id = %s",
        (
            successor.secret_hash,
            token.secret_hash,
            nonce,
            now,
            now,
            _expiry(created_at=row.created_at, now=now),
            row.user_id,
            row.id,
        ),
    )
    return Granted(row.id, row.user_id, successor)


def end(cursor: Cursor, token: RefreshToken, now: datetime, *, everywhere: bool) -> None:
    """Revoke the token's session; with ``everywhere``, all sessions of its user.

    Any token of a session may end that session: an old one that is replayed would end it, too. To end the others it
    takes one that would be accepted for a refresh now, so that a token found long after its session cannot lock
    its user out.
    """
    row = _find(cursor, token)
    if row is None:
        return
    if everywhere and row.standing(token, now) in (_Standing.CURRENT, _Standing.JUST_ROTATED):
        cursor.execute(
            "UPDATE sessions SET revoked_at = %s WHERE user_id = %s AND revoked_at IS NULL", (now, row.user_id)
        )
    elif row.revoked_at is None:
        _revoke(cursor, row, now)


def live(cursor: Cursor, user_id: str, now: datetime, most: int) -> list[Live]:
    """The user's sessions that live, the last used first, ``most`` of them at most."""
    cursor.execute(
        "SELECT id, created_at, last_used_at, user_agent, ip FROM sessions"
        " WHERE user_id = %s AND revoked_at IS NULL AND expires_at > %s ORDER BY last_used_at DESC, id DESC LIMIT %s",
        (user_id, now, most),
    )
    return [Live(*row) for row in cursor.fetchall()]


def is_live(cursor: Cursor, user_id: str, session_id: str, now: datetime) -> bool:
    """Whether the user has this session and it lives."""
    cursor.execute(
        "SELECT 1 FROM sessions WHERE user_id = %s AND id = %s AND revoked_at IS NULL AND expires_at > %s",
        (user_id, session_id, now),
    )
    return cursor.fetchone() is not None


def end_one(cursor: Cursor, user_id: str, session_id: str, now: datetime) -> bool:
    """Revoke the session, unless it had ended; false when the user has no such session."""
    cursor.execute(
        "UPDATE sessions SET revoked_at = COALESCE(revoked_at, %s) WHERE user_id = %s AND id = %s",
        (now, user_id, session_id),
    )
    return cursor.rowcount == 1


def end_others(cursor: Cursor, user_id: str, session_id: str, now: datetime) -> None:
    """Revoke all sessions of the user but this one."""
    cursor.execute(
        "UPDATE sessions SET revoked_at = %s WHERE user_id = %s AND id <> %s AND revoked_at IS NULL",
        (now, user_id, session_id),
    )


def purge(cursor: Cursor, before: datetime, most: int) -> int:
    """Delete sessions that ended before then, ``most`` of them at most; returns how many.

    Reads the table from its beginning, for want of an index that every login and refresh would have to keep.
    """
    cursor.execute(
        "DELETE FROM sessions WHERE (user_id, id) IN"
        # LEAST leaves out what is null.
        " (SELECT user_id, id FROM sessions WHERE LEAST(expires_at, revoked_at) < %s LIMIT %s)",
        (before, most),
    )
    return cursor.rowcount


def _find(cursor: Cursor, token: RefreshToken) -> _Row | None:
    """The session of the token, locked until the transaction ends: rotations of one session wait for each other."""
    cursor.execute(
        "SELECT id, user_id, secret_hash, previous_hash, rotation_nonce, rotated_at, created_at, expires_at, revoked_at"
        " FROM sessions WHERE handle_hash = %s FOR UPDATE",
        (token.handle_hash,),
    )
    found = cursor.fetchone()
    if found is None:
        return None
    session_id, user_id, secret_hash, previous_hash, nonce, *moments = found
    return _Row(session_id, user_id, bytes(secret_hash), bytes(previous_hash or b""), bytes(nonce or b""), *moments)


def _revoke(cursor: Cursor, row: _Row, now: datetime) -> None:
    cursor.execute("UPDATE sessions SET revoked_at = %s WHERE user_id = %s AND id = %s", (now, row.user_id, row.id))


def _expiry(*, created_at: datetime, now: datetime) -> datetime:
    return min(now + REFRESH_TOKEN_LIFETIME, created_at + SESSION_LIFETIME)


def _storable(text: str | None, longest: int) -> str | None:
    """The text as PostgreSQL takes it: no NUL, no unpaired surrogate; a header can hold both."""
    if text is None:
        return None
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:longest]
