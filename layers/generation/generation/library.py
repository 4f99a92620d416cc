"""The generations of one service: make one, read one, download one, list one's own."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any, TypedDict

from core import aws, ids, times, together
from core.errors import FieldError, Forbidden, NotFound, ServiceUnavailable, Unprocessable
from core.identity import Identity
from core.logging import logger
from generation import chain, cursors, keys, records, settings
from generation.chain import Outcome
from generation.cursors import CursorSigner
from generation.history import History
from generation.providers import Deadline, Provider, RequestT
from generation.records import Generation, Line, Links, Record
from generation.segments import SEGMENT_BYTES, Day
from generation.services import Service
from generation.storage import SIGNED_URL_SECONDS, Bucket, open_bucket
from generation.tombstones import Tombstone

# The gateway gives up after 29 seconds; what remains writes three objects.
GENERATION_SECONDS = 24.0
STORING_SECONDS = 3.0


class Download(TypedDict):
    """Where an artifact's bytes are, for how many seconds, and what they are."""

    url: str
    expiresIn: int
    contentType: str


class Item(Line):
    """A line of the history with its links."""

    links: Links


class Items(TypedDict):
    """A page of the history, newest first; ``nextCursor`` is null at the end."""

    items: list[Item]
    nextCursor: str | None


@dataclass(frozen=True, slots=True)
class Library:
    """The generations of a service in its bucket."""

    service: Service
    bucket: Bucket
    cursors: Callable[[], CursorSigner] = cursors.signer
    segment_bytes: int = SEGMENT_BYTES
    clock: Callable[[], datetime] = times.now

    def generate(
        self,
        providers: Sequence[Provider[RequestT]],
        request: RequestT,
        *,
        record_id: str | None = None,
        caller: Identity | None,
        prompt: str,
        params: Mapping[str, Any],
        remaining_ms: int,
        shown_prompt: str | None = None,
    ) -> Generation:
        """Ask the providers, then store input and artifact and, last, the record that commits them.

        ``record_id`` is a new one unless given; ``params`` are the request's parameters beside the prompt;
        ``remaining_ms`` is what is left of the function's time. Stores nothing when no provider delivers. Raises the
        chain's errors, ``ServiceUnavailable``.
        """
        record_id = record_id or ids.new()
        start = time.monotonic()
        deadline = Deadline(min(GENERATION_SECONDS, remaining_ms / 1000 - STORING_SECONDS))
        outcome = chain.generate(providers, request, deadline)
        latency_ms = round((time.monotonic() - start) * 1000)
        return self.keep(
            record_id,
            outcome,
            caller=caller,
            prompt=prompt,
            params=params,
            latency_ms=latency_ms,
            shown_prompt=shown_prompt,
        )

    def keep(
        self,
        record_id: str,
        outcome: Outcome,
        *,
        caller: Identity | None,
        prompt: str,
        params: Mapping[str, Any],
        latency_ms: int,
        shown_prompt: str | None = None,
        beside: Sequence[Callable[[], Callable[[], object]]] = (),
        meanwhile: Sequence[Callable[[], object]] = (),
    ) -> Generation:
        """Store what was made: input and artifact at once and, last, the record that commits them.

        What else must be done before the record is written is begun ``beside`` the first two; what beginning it returns
        waits for it. What is done ``meanwhile`` is done while the record is written, and may not know whether it is.
        Raises ``ServiceUnavailable``, and what those raise.
        """
        asked = records.dumps(
            {
                "id": record_id,
                "service": self.service.name,
                "userId": caller.sub if caller else keys.ANONYMOUS,
                "prompt": prompt,
                "params": dict(params),
                "createdAt": times.rfc3339(ids.created_at(record_id)),
            }
        )
        record = records.build(
            self.service,
            record_id,
            caller=caller,
            prompt=prompt,
            shown_prompt=shown_prompt,
            params=params,
            outcome=outcome,
            latency_ms=latency_ms,
            input_bytes=len(asked),
        )
        artifact = outcome.artifact
        together.finish(
            [
                *(begin() for begin in beside),
                self.bucket.begin_put(keys.input_object(record_id), asked, "application/json"),
                self.bucket.begin_put(
                    record["artifacts"][self.service.artifact], artifact.content, artifact.content_type
                ),
            ]
        )
        recorded = self.bucket.begin_put(keys.record_object(record_id), records.dumps(record), "application/json")
        together.finish([*meanwhile, recorded])
        logger.info("generated", id=record_id, provider=record["provider"], latency_ms=latency_ms)
        return records.view(self.service, record)

    def get(self, record_id: str, caller: Identity | None) -> Generation:
        """One generation. Raises ``NotFound`` when there is none or the caller may not read it."""
        return records.view(self.service, self._readable(record_id, caller))

    def download(self, record_id: str, caller: Identity | None) -> Download:
        """A signed URL of one artifact. Raises ``NotFound`` like ``get``."""
        record = self._readable(record_id, caller)
        return {
            "url": self.bucket.signed_url(record["artifacts"][self.service.artifact]),
            "expiresIn": SIGNED_URL_SECONDS,
            "contentType": records.content_type(self.service, record),
        }

    def list(
        self,
        caller: Identity,
        *,
        limit: int,
        cursor: str | None,
        first_day: date | None,
        last_day: date | None,
        user_id: str | None,
    ) -> Items:
        """A page of the caller's history or, for admins, of ``user_id``'s ("anonymous" is a user, too).

        Raises ``Forbidden`` when somebody else's is asked for, ``Unprocessable`` for values that are not valid.
        """
        if first_day and last_day and first_day > last_day:
            raise Unprocessable(
                "The request is not valid: see errors.", errors=[FieldError("from", "Must not be after 'to'.")]
            )
        owner = user_id or caller.sub
        if owner != caller.sub and not caller.is_admin:
            raise Forbidden("Only an administrator may list another user's history.")
        if owner not in (caller.sub, keys.ANONYMOUS) and not ids.is_valid(owner):
            raise NotFound("There is no such user.")
        page = History(self.service, self.bucket, owner).page(
            self.cursors(), limit=limit, cursor=cursor, first_day=first_day or date.min, last_day=last_day or date.max
        )
        items: list[Item] = [{**line, "links": records.links(self.service, line["id"])} for line in page.lines]
        return {"items": items, "nextCursor": page.cursor}

    def delete(self, record_id: str, caller: Identity) -> None:
        """Remove a generation: its artifact, its input and, last, its record, whose event removes the line.

        May be repeated. Raises ``NotFound`` for anybody but the owner and admins.
        """
        missing = self._missing()
        if not ids.is_valid(record_id):
            raise missing
        record = self.record(record_id)
        tombstone = None if record else Tombstone.read(self.bucket, record_id)
        owner = record["userId"] if record else tombstone.user_id if tombstone else None
        if owner is None or not (caller.is_admin or caller.sub == owner):
            raise missing
        if record is None:
            return
        self.erase(record_id, owner, record["artifacts"].values(), record)

    def erase(self, record_id: str, owner: str, artifacts: Iterable[str], record: Record | None) -> None:
        """Remove a generation of a user with the objects that it made, whoever asks. May be repeated.

        With its ``record`` it counts even if it is deleted before it was counted.
        """
        if record:
            # Late: no other call needs it.
            from generation.usage import entries

            used = entries.of_record(record, makes_pictures=self.service.makes_pictures).dumps()
        else:
            # Who was cut off has said what it used.
            before = Tombstone.read(self.bucket, record_id)
            used = before.usage if before else ""
        Tombstone(record_id, owner, self.clock(), used).write(self.bucket)
        for key in (*artifacts, keys.input_object(record_id), keys.record_object(record_id)):
            self.bucket.delete(key)
        logger.info("deleted", id=record_id)

    def day(self, user_id: str, day: date) -> Day:
        """The index of a user's day."""
        return Day(self.service, self.bucket, user_id, day, segment_bytes=self.segment_bytes)

    def _missing(self) -> NotFound:
        return NotFound(f"There is no such {self.service.artifact}, or it is not yours.")

    def is_recorded(self, record_id: str) -> bool:
        """Whether there is, or was, such a generation. Raises ``ServiceUnavailable``."""
        return self.bucket.exists(keys.record_object(record_id)) or Tombstone.read(self.bucket, record_id) is not None

    def record(self, record_id: str) -> Record | None:
        """A record, whoever's it is; None when there is none. Raises ``ServiceUnavailable``."""
        stored = self.bucket.get(keys.record_object(record_id))
        if stored is None:
            return None
        try:
            return records.loads(self.service, record_id, stored.content)
        except records.InvalidRecord as error:
            logger.error("record is not valid", id=record_id)
            raise ServiceUnavailable("This record cannot be read.", retry_after=60) from error

    def _readable(self, record_id: str, caller: Identity | None) -> Record:
        record = self.record(record_id) if ids.is_valid(record_id) else None
        if record is None or not records.readable_by(record, caller):
            raise self._missing()
        return record


def prepare(service: Service) -> None:
    """Open the library while the environment starts, where that is better."""
    aws.at_start(lambda: open_library(service))


@lru_cache(maxsize=1)
def open_library(service: Service) -> Library:
    """The library of this execution environment."""
    current = settings.current()
    return Library(service, open_bucket(current.bucket, public_endpoint=current.s3_public_endpoint))
