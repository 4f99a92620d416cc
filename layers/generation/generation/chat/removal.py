"""Remove what belongs to a session: its generations, its messages, and itself; newest first, and again if need be."""

from dataclasses import dataclass

from core.errors import NotFound
from core.logging import logger
from generation import keys
from generation.chat.messages import Messages
from generation.chat.sessions import Session, Sessions
from generation.indexing import in_parallel
from generation.library import Library
from generation.providers import Deadline

# After so many the time is looked at again.
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Removal:
    """Removes sessions that are marked as being deleted."""

    library: Library
    sessions: Sessions

    def remove(self, session: Session, deadline: Deadline) -> bool:
        """Whether all of it is gone; if not, the time is over, and this may be called again.

        Raises ``ServiceUnavailable``.
        """
        messages = Messages(self.library.bucket, session.key, 0)
        if not self._erase(session, sorted(session.unsettled), deadline):
            return False
        for number in reversed(messages.numbers()):
            if not self._erase(session, messages.answers(number), deadline):
                return False
            messages.remove(number)
        self.sessions.forget(session.key)
        logger.info("session deleted", session=session.key.id)
        return True

    def remove_if(self, user: str, session_id: str, deadline: Deadline, *, unused_since: str | None = None) -> bool:
        """Like ``remove``, for a session that is marked, or with ``unused_since`` is to be if it still applies."""
        try:
            session = self.sessions.mark(user, session_id, unused_since=unused_since)
        except NotFound:
            return True  # it is gone, or was used, or got a star
        return self.remove(session, deadline)

    def _erase(self, session: Session, generations: list[str], deadline: Deadline) -> bool:
        service = self.library.service
        for start in range(0, len(generations), _AT_ONCE):
            if not deadline.remaining():
                return False
            in_parallel(
                lambda one: self.library.erase(
                    one, session.key.user_id, [keys.artifact_object(service, one, service.extensions[0])]
                ),
                generations[start : start + _AT_ONCE],
            )
        return True
