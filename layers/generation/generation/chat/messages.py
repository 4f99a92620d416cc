"""The messages of a session: JSON Lines in S3, in segments of which only the last one is written to.

A segment that has reached ``SEGMENT_BYTES`` is closed, and the next message begins another one. A write is one
conditional PUT of a whole segment and adds nothing that is there already, so it may be repeated. The ETag of the last
segment is in its session's item: who has the content of that ETag need neither read nor parse it.
"""

import json
import struct
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple, NotRequired

from typing_extensions import TypedDict

from core.description import Described
from core.errors import ServiceUnavailable
from generation import records
from generation.chat.table import Key
from generation.cursors import CursorSigner
from generation.schemas import Id, NextCursor, Time
from generation.storage import Bucket, Conflicted
from generation.texts import Message, Role

SEGMENT_BYTES: Final = 64 * 1024
SEGMENTS_A_PAGE: Final = 2
"""How many segments are read for a page at most; long messages make it a short one."""
_CONTENT_TYPE = "application/x-ndjson"
_POSITION = struct.Struct(">II")
_ALL = 2**32 - 1
# Nobody else writes while a session is held: more are lost only to writers that should not live any more.
_RACES = 5
# With what is parsed of them about 6 MB when all are full, and 10 where an emoji makes each message take four bytes a
# character.
_KEPT_SEGMENTS = 32
# In place of the ETag of a segment that nobody will write to again.
_CLOSED = "closed"


class ChatUsage(TypedDict):
    """What an answer took; ``usd`` is null where its price is not known."""

    inputTokens: Annotated[int, Described(minimum=0, examples=[112])]
    outputTokens: Annotated[int, Described(minimum=0, examples=[87])]
    usd: float | None


class ChatMessage(TypedDict):
    """A message as it is kept and shown; who answered and what it took are told of answers."""

    id: Annotated[Id, Described("UUIDv7; an answer's is its generation's.")]
    role: Annotated[str, Described(enum=["user", "assistant"])]
    content: str
    createdAt: Time
    model: NotRequired[Annotated[str, Described("What answered.")]]
    usage: NotRequired[ChatUsage]


class ChatMessages(TypedDict):
    """A page of messages, newest first; ``nextCursor`` is null at the start of the session."""

    items: list[ChatMessage]
    nextCursor: NextCursor


class Spoken(NamedTuple):
    """A message as models are shown it, with its bytes and, by provider, its tokens, which are counted when needed.

    It is kept from turn to turn, and nothing of it changes but that more tokens are known.
    """

    message: Message
    bytes: int
    tokens: dict[str, int]

    @classmethod
    def of(cls, role: Role, content: str) -> "Spoken":
        """A message of which nothing is counted yet but its bytes."""
        return cls(Message(role, content), len(content.encode("utf-8", "replace")), {})


@dataclass(slots=True)
class Segment:
    """A segment as it is stored, or an empty one; ``spoken`` are its messages, None until they are needed.

    ``recorded`` is the turn that wrote it, once its record is known to be there.
    """

    content: bytes = b""
    etag: str | None = None
    spoken: tuple[Spoken, ...] | None = ()
    recorded: str = ""


class RecentSegments:
    """The segments that this execution environment wrote to last, as they were then, and closed ones that it read."""

    def __init__(self, most: int = _KEPT_SEGMENTS) -> None:
        self._most = most
        self._segments: OrderedDict[str, Segment] = OrderedDict()

    def find(self, key: str, etag: str | None) -> Segment | None:
        """A segment, if it is known as of this ETag."""
        known = self._segments.get(key)
        return known if known and known.etag == etag else None

    def keep(self, key: str, segment: Segment) -> None:
        """Remember a segment; the one that was not written to for longest is forgotten."""
        self._segments[key] = segment
        self._segments.move_to_end(key)
        if len(self._segments) > self._most:
            self._segments.popitem(last=False)


RECENT: Final = RecentSegments()


def prefix_of(key: Key) -> str:
    """Where everything of a session is."""
    return f"users/{key.user_id}/chat/sessions/{key.id}/"


class Messages:
    """The messages of one session, each segment read once. ``last`` is the number of the last one or one before it.

    ``etag`` is that one's, if it is known.
    """

    def __init__(
        self,
        bucket: Bucket,
        key: Key,
        last: int,
        *,
        etag: str | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        recent: RecentSegments = RECENT,
    ) -> None:
        self.last = last
        self.etag = etag
        # Of a turn that is not settled, messages may be taken out of a segment that was full with them.
        self._closed_before = 0 if etag is None else last
        self._recent = recent
        self.prefix = f"{prefix_of(key)}messages/"
        self._bucket = bucket
        self._segment_bytes = segment_bytes
        self._read: dict[int, Segment] = {}

    def begin(self) -> None:
        """Take it that there are none yet."""
        self._read[0] = Segment()

    def read(self) -> None:
        """Read the last segment, unless it is known. Raises ``ServiceUnavailable``."""
        self._stored(self.last)

    def remember(self, turn: str) -> None:
        """The record of the turn whose messages were added last is there."""
        self._stored(self.last).recorded = turn

    def knows(self, turn: str) -> bool:
        """Whether this execution environment has added the messages of a turn last, and knows of its record."""
        known = self._recent.find(self._key(self.last), self.etag) if self.etag else None
        return known is not None and known.recorded == turn

    def newest_first(self) -> Iterator[Spoken]:
        """The messages, from the newest back; a segment is read when the ones after it are used up."""
        for number in range(self.last, -1, -1):
            segment = self._stored(number)
            if segment.spoken is None:
                segment.spoken = _spoken(self._lines(number))
            yield from reversed(segment.spoken)

    def page(
        self, signer: CursorSigner, *, limit: int, cursor: str | None, without: Collection[str] = ()
    ) -> ChatMessages:
        """A page, newest first, from at most ``SEGMENTS_A_PAGE`` segments, short where it is ``without`` some turns.

        Raises ``Unprocessable`` for a cursor that is not of this session.
        """
        number, end = (self.last, _ALL) if cursor is None else _POSITION.unpack(signer.open(cursor, self.prefix))
        items: list[ChatMessage] = []
        for _segment in range(SEGMENTS_A_PAGE):
            lines = self._lines(number)
            end = min(end, len(lines))
            start = max(0, end - (limit - len(items)))
            items += (lines[place] for place in reversed(range(start, end)) if not _is_of(lines, place, without))
            end = start
            if end or not number:
                break
            number, end = number - 1, _ALL
            if len(items) == limit:
                break
        following = signer.seal(_POSITION.pack(number, end), self.prefix) if end else None
        return {"items": items, "nextCursor": following}

    def append(self, messages: Sequence[ChatMessage]) -> None:
        """Add messages, in their order, unless they are there; ``last`` is the segment that has them then.

        Raises ``ServiceUnavailable``.
        """
        self.begin_append(messages)()

    def begin_append(self, messages: Sequence[ChatMessage], *, races: int = _RACES) -> Callable[[], None]:
        """Begin to ``append``, and go on; what is returned waits for it. Both raise ``ServiceUnavailable``."""
        if not races:
            raise ServiceUnavailable("The session is busy.", retry_after=1, slug="storage-unavailable")
        segment = self._stored(self.last)
        if _holds(segment.content, messages[-1]["id"]):
            self.etag = segment.etag
            return lambda: None
        number = self.last
        if len(segment.content) >= self._segment_bytes:
            number, segment = number + 1, Segment()
        added = b"".join(records.dumps(message) + b"\n" for message in messages)
        spoken = None if segment.spoken is None else segment.spoken + _spoken(messages)
        # Of a write whose answer is lost nobody knows what is there.
        self.etag = None
        written = self._begin_write(number, segment.content + added, segment.etag, spoken)

        def appended() -> None:
            self.last = number
            try:
                written()
            except Conflicted:
                self._read.pop(number, None)
                self.begin_append(messages, races=races - 1)()

        return appended

    def withdraw(self, turn: str) -> None:
        """Take the messages of a turn out that has not come to be. Raises ``ServiceUnavailable``."""
        for number in (self.last, self.last + 1):
            segment = self._stored(number)
            if not _holds(segment.content, turn):
                continue
            lines = segment.content.splitlines(keepends=True)
            (place,) = (place for place, line in enumerate(lines) if _holds(line, turn))
            self.etag = None
            try:
                self._begin_write(number, b"".join(lines[: place - 1] + lines[place + 1 :]), segment.etag, None)()
            except Conflicted as error:
                raise ServiceUnavailable("The session is busy.", retry_after=1, slug="storage-unavailable") from error
            self.last = number

    def numbers(self) -> list[int]:
        """The numbers of the segments that are there, ascending."""
        names = (key.removeprefix(self.prefix).removesuffix(".jsonl") for key in self._bucket.keys(self.prefix))
        return sorted(int(name) for name in names if name.isdigit())

    def answers(self, number: int) -> list[str]:
        """The ids of the generations whose answers are in a segment."""
        return [line["id"] for line in self._lines(number) if line["role"] == "assistant"]

    def remove(self, number: int) -> None:
        """Remove a segment."""
        self._bucket.delete(self._key(number))
        self._read.pop(number, None)

    def _lines(self, number: int) -> list[ChatMessage]:
        content = self._stored(number).content
        try:
            found = [line for line in content.split(b"\n") if line]
            # All at once, which takes half as long as one after the other.
            lines: list[ChatMessage] = json.loads(b"[%b]" % b",".join(found))
            readable = len(lines) == len(found) and all(
                isinstance(line["id"], str) and isinstance(line["content"], str) for line in lines
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            readable = False
        if not readable:
            raise ServiceUnavailable("The messages of this session cannot be read.", retry_after=60)
        return lines

    def _begin_write(
        self, number: int, content: bytes, expected: str | None, spoken: tuple[Spoken, ...] | None
    ) -> Callable[[], None]:
        replaced = self._bucket.begin_replace(self._key(number), content, _CONTENT_TYPE, expected=expected, metadata={})

        def written() -> None:
            self.etag = replaced()
            self._read[number] = Segment(content, self.etag, spoken)
            self._recent.keep(self._key(number), self._read[number])

        return written

    def _stored(self, number: int) -> Segment:
        if number not in self._read:
            self._read[number] = self._found(number)
        return self._read[number]

    def _found(self, number: int) -> Segment:
        key, is_closed = self._key(number), number < self._closed_before
        known = self._recent.find(key, _CLOSED if is_closed else self.etag) if number <= self.last else None
        if known:
            return known
        stored = self._bucket.get(key)
        if stored is None:
            return Segment()
        segment = Segment(stored.content, _CLOSED if is_closed else stored.etag, None)
        if is_closed:
            self._recent.keep(key, segment)
        return segment

    def _key(self, number: int) -> str:
        return f"{self.prefix}{number:06d}.jsonl"


def _is_of(lines: Sequence[ChatMessage], place: int, turns: Collection[str]) -> bool:
    """Whether the message at a place is of one of the turns, whose questions stand right before their answers."""
    return any(line["id"] in turns for line in lines[place : place + 2] if line["role"] == "assistant")


def _holds(content: bytes, message_id: str) -> bool:
    """Whether a message of this id is among the lines; inside of a text no quotation mark stands by itself."""
    return f'"id":"{message_id}"'.encode() in content


def _spoken(messages: Sequence[ChatMessage]) -> tuple[Spoken, ...]:
    return tuple(
        Spoken.of("assistant" if message["role"] == "assistant" else "user", message["content"]) for message in messages
    )
