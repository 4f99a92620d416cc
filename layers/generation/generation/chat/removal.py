"""Remove what belongs to a session: its generations, its messages, and itself; newest first, and again if need be."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core import settings, times
from core.errors import NotFound, ServiceUnavailable
from core.logging import logger
from generation import keys
from generation.chat.messages import Messages
from generation.chat.sessions import Session, Sessions
from generation.chat.table import Key
from generation.events import messages
from generation.indexing import BatchResponse, ItemFailure, in_parallel
from generation.library import Library
from generation.providers import Deadline

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

# After so many the time is looked at again.
_AT_ONCE = 16
# The most that SQS takes at once.
_BATCH = 10
# What the function needs to report what it did not finish.
_REPORT_SECONDS = 5.0
# A deletion that began so long ago is not going on any more.
_LEFT_BEHIND = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Removal:
    """Removes sessions that are marked as being deleted."""

    library: Library
    sessions: Sessions

    def remove(self, session: Session, deadline: Deadline) -> bool:
        """Whether all of it is gone; if not, the time is over, and this may be called again.

        Raises ``ServiceUnavailable``.
        """
        segments = Messages(self.library.bucket, session.key, 0)
        if self._is_being_recorded(session) or not self._erase(session, sorted(session.unsettled), deadline):
            return False
        for number in reversed(segments.numbers()):
            if not self._erase(session, segments.answers(number), deadline):
                return False
            segments.remove(number)
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

    def _is_being_recorded(self, session: Session) -> bool:
        """Whether the record of the session's last turn may be on its way."""
        counted = session.counted
        return (
            counted is not None
            and counted.until / 1000 > self.sessions.clock().timestamp()
            and not self.library.is_recorded(counted.turn)
        )

    def _erase(self, session: Session, generations: list[str], deadline: Deadline) -> bool:
        service = self.library.service
        for start in range(0, len(generations), _AT_ONCE):
            if not deadline.remaining():
                return False
            in_parallel(
                lambda one: self.library.erase(
                    one,
                    session.key.user_id,
                    [keys.artifact_object(service, one, service.extensions[0])],
                    self.library.record(one),
                ),
                generations[start : start + _AT_ONCE],
            )
        return True


class Queue:
    """The queue of what is to be removed."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url

    def send(self, sessions: Iterable[Key], *, unused_since: str | None = None) -> int:
        """Have sessions removed, and tell how many. Raises ``ServiceUnavailable``."""
        count = 0
        told = {} if unused_since is None else {"unusedSince": unused_since}
        each = (json.dumps({"userId": key.user_id, "sessionId": key.id, **told}) for key in sessions)
        while bodies := list(islice(each, _BATCH)):
            entries: list[SendMessageBatchRequestEntryTypeDef] = [
                {"Id": str(place), "MessageBody": body} for place, body in enumerate(bodies)
            ]
            try:
                answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            except (BotoCoreError, ClientError) as error:
                raise _unavailable() from error
            if answer.get("Failed"):
                raise _unavailable()
            count += len(bodies)
        return count


def work(removal: Removal, event: Mapping[str, Any], remaining_ms: int) -> BatchResponse:
    """Remove what the messages of a batch name; those that failed or are not finished are delivered again."""
    deadline = Deadline(remaining_ms / 1000 - _REPORT_SECONDS)
    failed: list[ItemFailure] = []
    for message_id, body in messages(event):
        try:
            told = json.loads(body)
            key = Key(str(told["userId"]), str(told["sessionId"]))
            unused_since = told.get("unusedSince")
            if removal.remove_if(*key, deadline, unused_since=unused_since):
                continue
            logger.info("session not removed yet", session=key.id)
        except (ServiceUnavailable, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            logger.error("session not removed", message_id=message_id, reason=str(error), error=type(error).__name__)
        failed.append({"itemIdentifier": message_id})
    return {"batchItemFailures": failed}


def sweep(sessions: Sessions, queue: Queue, *, days: int, now: datetime) -> int:
    """Hand over sessions without a star that were not used for so many days (0: none), and what is left of others.

    Raises ``ServiceUnavailable``.
    """
    unused_since = times.rfc3339(now - timedelta(days=days)) if days else None
    marked_before = times.rfc3339(now - _LEFT_BEHIND)
    count = queue.send(
        sessions.to_remove(unused_since=unused_since, marked_before=marked_before), unused_since=unused_since
    )
    logger.info("sessions handed over for removal", sessions=count)
    return count


@lru_cache(maxsize=1)
def from_env() -> Queue:
    """The queue of this stack. Raises ``core.settings.SettingsError``."""
    timeouts = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 2, "mode": "standard"})
    return Queue(boto3.client("sqs", config=timeouts), settings.text(os.environ, "CHAT_REMOVAL_QUEUE"))


def _unavailable() -> ServiceUnavailable:
    return ServiceUnavailable(
        "The session is hidden, but not all of it is removed yet. Delete it again in a moment.", retry_after=5
    )
