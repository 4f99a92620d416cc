"""What a user sees of the own account, and ends: no password, no key and no token is needed for it."""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from accounts import database, sessions, users
from accounts.connection import Cursor
from accounts.database import Database
from accounts.models import Session, User
from core import ids, times
from core.errors import NotFound, Unauthorized
from core.logging import logger

# More than anybody has devices; the answer stays small.
MOST_SESSIONS_SHOWN = 100


class OwnAccount:
    """The operations on one's own account. Each raises ``ServiceUnavailable`` when the database is down."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = times.now) -> None:
        self._database = database
        self._clock = clock

    def me(self, user_id: str) -> User:
        """The user of a valid access token. Raises ``Unauthorized`` when there is no such user (any more)."""
        account = self._database.run(lambda cursor: users.by_id(cursor, user_id)) if are_ids(user_id) else None
        if account is None:
            raise _no_account()
        return account.shown()

    def live_sessions(self, user_id: str, session_id: str) -> list[Session]:
        """The user's sessions that live, the last used first; ``session_id`` is of the one that asks.

        Raises ``Unauthorized`` when there is no such user (any more).
        """
        now = self._clock()

        def look(cursor: Cursor) -> list[sessions.Live] | None:
            known = users.by_id(cursor, user_id)
            return sessions.live(cursor, user_id, now, MOST_SESSIONS_SHOWN) if known else None

        found = self._database.run(look) if are_ids(user_id) else None
        if found is None:
            raise _no_account()
        return [session.shown(current=session.id == session_id) for session in found]

    def end_session(self, user_id: str, session_id: str) -> None:
        """End a session of the user, which may have ended before. Raises ``NotFound`` for any other."""
        now = self._clock()
        if not are_ids(user_id, session_id) or not self._database.run(
            lambda cursor: sessions.end_one(cursor, user_id, session_id, now)
        ):
            raise NotFound("You have no such session.")
        logger.info("session ended", security_event="session_ended", user_id=user_id, session_id=session_id)


@lru_cache(maxsize=1)
def from_env() -> OwnAccount:
    """What this execution environment has. Raises ``core.settings.SettingsError``."""
    return OwnAccount(database.from_env())


def are_ids(*texts: str) -> bool:
    """Whether the database takes them for ids; a token's may be anything that its issuer wrote."""
    return all(map(ids.is_valid, texts))


def _no_account() -> Unauthorized:
    return Unauthorized("The account of this token does not exist any more.", token_sent=True)
