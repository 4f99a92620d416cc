"""The sessions of users: what they are called, what they took, and whose turn it is.

A session is one item of a DynamoDB table. ``used`` and ``starred_used`` order a user's sessions by their last use in an
index each; a session that is being deleted has neither, and one without a star lacks the second, so that a page is one
query. A turn holds a session by a lease, which ends by itself when the function that holds it must have ended; until
its outcome is in the session, its id is in ``unsettled``. A commit takes the ids out and adds the usage in one write,
so every turn counts once; it notes in ``counted`` what the last turn added, whose record is being written meanwhile, so
that one without a record can be taken out again.
"""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any

from typing_extensions import TypedDict

from core import ids, settings, times
from core.description import Described
from core.errors import Conflict, NotFound
from generation.chat import table
from generation.chat.table import Item, Key, Table, Unmet, Value
from generation.cursors import CursorSigner
from generation.schemas import Id, NextCursor, Time

_MOST_RETRY_SECONDS = 5
_CURSOR = "chat/sessions"
# What an item that is not being deleted has.
_LIVES = "attribute_not_exists(deleting)"
# DynamoDB keeps the word for itself.
_ATTRIBUTES = {"system": "instructions"}


class ChatSessionUsage(TypedDict):
    """What all turns of a session took; ``usd`` is null where no price is known."""

    inputTokens: Annotated[int, Described(minimum=0, examples=[412])]
    outputTokens: Annotated[int, Described(minimum=0, examples=[287])]
    usd: float | None


class ChatSession(TypedDict):
    """A session as the API shows it; ``title`` is null until its first turn gives it one."""

    id: Id
    title: Annotated[str | None, Described(examples=["What is a lighthouse for?"])]
    model: Annotated[str | None, Described("What answers unless a call names another one; null for the default.")]
    system: Annotated[str | None, Described("What stands before the messages; null for nothing.")]
    starred: Annotated[bool, Described("Whether it is kept however long it is not used.")]
    createdAt: Time
    updatedAt: Annotated[Time, Described("When it was last used.")]
    messages: Annotated[int, Described("How many it has.", minimum=0, examples=[4])]
    usage: ChatSessionUsage


class ChatSessions(TypedDict):
    """A page of sessions, last used first; ``nextCursor`` is null at the end."""

    items: list[ChatSession]
    nextCursor: NextCursor


@dataclass(frozen=True, slots=True)
class Totals:
    """What turns add to a session; ``micro_usd`` is None where no price is known."""

    messages: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    micro_usd: int | None = None

    def __add__(self, other: "Totals") -> "Totals":
        known = [each for each in (self.micro_usd, other.micro_usd) if each is not None]
        return Totals(
            self.messages + other.messages,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            sum(known) if known else None,
        )

    def __neg__(self) -> "Totals":
        micro_usd = None if self.micro_usd is None else -self.micro_usd
        return Totals(-self.messages, -self.input_tokens, -self.output_tokens, micro_usd)


@dataclass(frozen=True, slots=True)
class Counted:
    """A turn whose usage and messages are in its session, though its record may not be there: not yet, or never.

    Until then, in milliseconds, its worker may be writing it.
    """

    turn: str
    until: int
    totals: Totals

    def dumps(self) -> str:
        """As it is stored."""
        totals = self.totals
        return json.dumps(
            [self.turn, self.until, totals.messages, totals.input_tokens, totals.output_tokens, totals.micro_usd]
        )

    @classmethod
    def loads(cls, text: str) -> "Counted":
        """What was stored."""
        turn, until, *totals = json.loads(text)
        return cls(turn, until, Totals(*totals))


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it is stored. ``segment`` is the number of its messages' last segment, or of one before it.

    ``segment_etag`` is that segment's, where it is known.
    """

    key: Key
    title: str | None = None
    model: str | None = None
    system: str | None = None
    starred: bool = False
    updated_at: str = ""
    totals: Totals = field(default_factory=Totals)
    segment: int = 0
    segment_etag: str | None = None
    unsettled: frozenset[str] = frozenset()
    counted: Counted | None = None
    lease_until: int = 0

    @classmethod
    def of(cls, item: Item) -> "Session":
        """The session of an item."""
        return cls(
            key=Key(item["user_id"], item["id"]),
            title=item.get("title"),
            model=item.get("model"),
            system=item.get("instructions"),
            starred=item["starred"],
            updated_at=item["updated"],
            totals=Totals(item["messages"], item["input_tokens"], item["output_tokens"], item.get("micro_usd")),
            segment=item["last_segment"],
            segment_etag=item.get("segment_etag"),
            unsettled=item.get("unsettled", frozenset()),
            counted=Counted.loads(item["counted"]) if "counted" in item else None,
            lease_until=item.get("lease_until", 0),
        )

    def view(self) -> ChatSession:
        """The session as the API shows it."""
        totals = self.totals
        unpriced = None if totals.messages else 0.0
        return {
            "id": self.key.id,
            "title": self.title,
            "model": self.model,
            "system": self.system,
            "starred": self.starred,
            "createdAt": times.rfc3339(ids.created_at(self.key.id)),
            "updatedAt": self.updated_at,
            "messages": totals.messages,
            "usage": {
                "inputTokens": totals.input_tokens,
                "outputTokens": totals.output_tokens,
                "usd": unpriced if totals.micro_usd is None else totals.micro_usd / 1_000_000,
            },
        }


class LeaseLost(Exception):
    """The turn no longer holds the session: it took longer than it may, or (``deleted``) the session is gone."""

    def __init__(self, *, deleted: bool) -> None:
        super().__init__("deleted" if deleted else "taken over")
        self.deleted = deleted


def missing() -> NotFound:
    """There is no such session of the caller's."""
    return NotFound("There is no such session, or it is not yours.")


def busy(seconds: float) -> Conflict:
    """Another message is being answered, for so long at most."""
    return Conflict(
        "This session is answering another message. Send this one again when that is done.",
        slug="session-busy",
        headers={"Retry-After": str(max(1, min(_MOST_RETRY_SECONDS, math.ceil(seconds))))},
    )


@dataclass(frozen=True, slots=True)
class Sessions:
    """All sessions. A session that is not there, is not the user's or is being deleted raises ``NotFound``."""

    table: Table
    clock: Callable[[], datetime] = times.now

    def create(self, user: str, *, title: str | None, model: str | None, system: str | None) -> Session:
        """A new session without messages."""
        item = self._item(user, {"title": title, "model": model, "instructions": system}, {})
        self._put(item)
        return Session.of(item)

    def begin(
        self, user: str, turn: str, seconds: float, *, title: str, model: str | None, system: str | None
    ) -> tuple[Session, Callable[[], None]]:
        """A new session that the turn holds for so many seconds, and what stores it."""
        held: dict[str, Value] = {
            "lease_turn": turn,
            "lease_until": self._now() + math.ceil(seconds * 1000),
            "unsettled": frozenset({turn}),
        }
        item = self._item(user, {"title": title, "model": model, "instructions": system}, held)
        return Session.of(item), lambda: self._put(item)

    def get(self, user: str, session_id: str) -> Session:
        """One session."""
        item = self.table.get(Key(user, session_id)) if ids.is_valid(session_id) else None
        if item is None or "deleting" in item:
            raise missing()
        return Session.of(item)

    def page(
        self, user: str, signer: CursorSigner, *, limit: int, cursor: str | None, starred: bool | None
    ) -> ChatSessions:
        """A page, last used first, in one request; it may be short where items are large or left out.

        Raises ``Unprocessable`` for a cursor that is not of this list.
        """
        order = "starred_used" if starred else "used"
        name = f"{_CURSOR}/{user}/{starred}"
        before = signer.open(cursor, name).decode() if cursor is not None else None
        items, stopped = self.table.newest(
            user, order, before=before, limit=limit + 1, only={"starred": False} if starred is False else None
        )
        shown = items[:limit]
        is_last = len(items) <= limit and not stopped
        following = None if is_last or not shown else signer.seal(shown[-1][order].encode(), name)
        return {"items": [Session.of(item).view() for item in shown], "nextCursor": following}

    def change(self, user: str, session_id: str, changes: Mapping[str, Any]) -> Session:
        """Change what is named of title, starred, model and system; None takes a value away."""
        if not changes:
            return self.get(user, session_id)
        stored = {_ATTRIBUTES.get(name, name): value for name, value in changes.items()}
        values = {name: value for name, value in stored.items() if value is not None}
        sets = [f"{name} = :{name}" for name in values]
        removes = [name for name in stored if name not in values]
        if changes.get("starred") is True:
            sets.append("starred_used = used")
        elif changes.get("starred") is False:
            removes.append("starred_used")
        change = (f"SET {', '.join(sets)}" if sets else "") + (f" REMOVE {', '.join(removes)}" if removes else "")
        try:
            return Session.of(self.table.update(self._key(user, session_id), change, _LIVES, values))
        except Unmet:
            raise missing() from None

    def take(self, user: str, session_id: str, turn: str, seconds: float) -> Session:
        """Let a turn hold the session, as it is then, for so many seconds.

        Raises ``Conflict`` with ``Retry-After`` while another one holds it.
        """
        now = self._now()
        try:
            item = self.table.update(
                self._key(user, session_id),
                "SET lease_turn = :turn, lease_until = :until ADD unsettled :turns",
                f"{_LIVES} AND (attribute_not_exists(lease_turn) OR lease_until < :now)",
                {"turn": turn, "until": now + math.ceil(seconds * 1000), "now": now, "turns": frozenset({turn})},
            )
        except Unmet as unmet:
            if unmet.item is None or "deleting" in unmet.item:
                raise missing() from None
            if unmet.item.get("lease_turn") == turn:
                return Session.of(unmet.item)  # the first answer was lost on its way
            raise busy((unmet.item.get("lease_until", now) - now) / 1000) from None
        return Session.of(item)

    def commit(
        self,
        session: Session,
        counted: Counted,
        totals: Totals,
        settled: Iterable[str],
        segment: int,
        etag: str | None,
        title: str,
    ) -> None:
        """End a turn whose record is being written: add what it took, put the session in front, free it.

        ``totals`` are of turns before it that it settled, ``settled`` the ids of all. Raises ``LeaseLost`` when it does
        not hold the session.
        """
        updated = times.rfc3339(self.clock())
        used = f"{updated}#{session.key.id}"
        self._end(
            session.key,
            counted.turn,
            totals + counted.totals,
            settled,
            segment,
            etag,
            sets=["updated = :updated", "used = :used", "title = if_not_exists(title, :title)", "counted = :counted"],
            values={"updated": updated, "used": used, "title": title, "counted": counted.dumps()},
            starred=session.starred,
        )

    def give_up(self, session: Session, counted: Counted) -> None:
        """Say that nobody writes the record of a turn any more: whoever wants the session next looks for it."""
        values = {"was": counted.dumps(), "is": replace(counted, until=0).dumps()}
        # Whoever had it since has looked.
        with suppress(Unmet):
            self.table.change(session.key, "SET counted = :is", "counted = :was", values)

    def release(
        self,
        session: Session,
        turn: str,
        totals: Totals,
        settled: Iterable[str],
        segment: int,
        etag: str | None,
        *,
        keeps_counted: bool = True,
    ) -> None:
        """End a turn that did not come to an answer; ``totals`` are of turns before it that it settled.

        Without ``keeps_counted`` the one that was counted last is none any more.
        """
        removes = [] if keeps_counted else ["counted"]
        self._end(session.key, turn, totals, settled, segment, etag, sets=[], values={}, starred=None, removes=removes)

    def abandon(self, session: Session, turn: str) -> None:
        """Remove a new session whose first turn did not come to an answer."""
        try:
            self.table.delete(session.key, "lease_turn = :turn AND messages = :none", {"turn": turn, "none": 0})
        except Unmet:
            return

    def _end(
        self,
        key: Key,
        turn: str,
        totals: Totals,
        settled: Iterable[str],
        segment: int,
        etag: str | None,
        *,
        sets: list[str],
        values: dict[str, Value],
        starred: bool | None,
        removes: Sequence[str] = (),
    ) -> None:
        adds = ["messages :messages", "input_tokens :input", "output_tokens :output"]
        values = values | {
            "turn": turn,
            "messages": totals.messages,
            "input": totals.input_tokens,
            "output": totals.output_tokens,
            "segment": segment,
        }
        if totals.micro_usd is not None:
            adds.append("micro_usd :micro_usd")
            values["micro_usd"] = totals.micro_usd
        removes = [*removes, "lease_turn", "lease_until"]
        if etag is None:
            removes.append("segment_etag")
        else:
            sets = [*sets, "segment_etag = :etag"]
            values["etag"] = etag
        deletes = ""
        if settled_ids := frozenset(settled):
            deletes = " DELETE unsettled :settled"
            values["settled"] = settled_ids
        while True:
            # A star may have come or gone since the turn began, and the index of stars has the order, too.
            star = ["starred_used = :used"] if starred else []
            condition = "lease_turn = :turn" + ("" if starred is None else " AND starred = :starred")
            change = (
                f"SET {', '.join([*sets, *star, 'last_segment = :segment'])} REMOVE {', '.join(removes)} "
                f"ADD {', '.join(adds)}{deletes}"
            )
            try:
                self.table.change(key, change, condition, values if starred is None else values | {"starred": starred})
                return
            except Unmet as unmet:
                if unmet.item is None or "deleting" in unmet.item:
                    raise LeaseLost(deleted=True) from None
                if "counted" in values and unmet.item.get("counted") == values["counted"]:
                    return  # it is done, and the first answer was lost on its way
                if unmet.item.get("lease_turn") != turn or starred is None or unmet.item["starred"] == starred:
                    raise LeaseLost(deleted=False) from None
                starred = not starred

    def mark(self, user: str, session_id: str, *, unused_since: str | None = None) -> Session:
        """Begin a deletion: the session is hidden at once, and a turn that holds it loses it. May be repeated.

        With ``unused_since`` only if it has no star and was not used since then; otherwise ``NotFound``.
        """
        values: dict[str, Value] = {"now": times.rfc3339(self.clock())}
        condition = ""
        if unused_since is not None:
            condition = "(attribute_exists(deleting) OR (starred = :no AND updated < :since))"
            values |= {"no": False, "since": unused_since}
        try:
            item = self.table.update(
                self._key(user, session_id),
                "SET deleting = if_not_exists(deleting, :now) REMOVE used, starred_used, lease_turn, lease_until",
                condition,
                values,
            )
        except Unmet:
            raise missing() from None
        return Session.of(item)

    def forget(self, key: Key) -> None:
        """Remove the item of a session whose messages are gone."""
        self.table.delete(key)

    def to_remove(self, *, unused_since: str | None, marked_before: str) -> Iterator[Key]:
        """Sessions without a star that were not used since then, and those whose deletion began but did not end."""
        values: dict[str, Value] = {"marked": marked_before}
        condition = "deleting < :marked"
        if unused_since is not None:
            condition += f" OR ({_LIVES} AND starred = :no AND updated < :since)"
            values |= {"no": False, "since": unused_since}
        return self.table.scan(condition, values)

    def _item(self, user: str, told: Mapping[str, str | None], more: Mapping[str, Value]) -> dict[str, Value]:
        now = self.clock()
        session_id = ids.new()
        updated = times.rfc3339(now)
        return {
            "user_id": user,
            "id": session_id,
            "starred": False,
            "updated": updated,
            "used": f"{updated}#{session_id}",
            "messages": 0,
            "input_tokens": 0,
            "output_tokens": 0,
            "last_segment": 0,
            **{name: value for name, value in told.items() if value is not None},
            **more,
        }

    def _put(self, item: Mapping[str, Value]) -> None:
        # One of this id is this one, and the first answer was lost on its way.
        with suppress(Unmet):
            self.table.put(item)

    def _key(self, user: str, session_id: str) -> Key:
        if not ids.is_valid(session_id):
            raise missing()
        return Key(user, session_id)

    def _now(self) -> int:
        return int(self.clock().timestamp() * 1000)


@lru_cache(maxsize=1)
def open_sessions() -> Sessions:
    """The sessions of this stack. Raises ``core.settings.SettingsError``."""
    return Sessions(Table(table.client, settings.text(os.environ, "CHAT_TABLE")))
