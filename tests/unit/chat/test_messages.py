"""What a worker keeps of the messages of a session: they are parsed, measured and counted once, and never out of date."""

import json
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from core import ids
from generation.chat.context import TOKENS_A_MESSAGE, TOKENS_AROUND, Context
from generation.chat.messages import ChatMessage, Messages, RecentSegments, Spoken
from generation.chat.table import Key
from generation.text_chain import Candidate
from generation.texts import Model, TextRequest, count_tokens
from tests.unit.chat.conftest import World
from tests.unit.generation.text_stand_ins import Writer, saying, texts
from tests.unit.stand_ins import ANA

TEXTS = ["plain", 'a "quoted"\nline\r\n\u2028\x85', "Straße", "日本語", "\N{GRINNING FACE}", '"id":"', "\\ud800"]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many messages were parsed, each time that any were."""
    counts: list[int] = []

    def loads(content: bytes) -> Any:
        found = json.loads(content)
        counts.append(len(found))
        return found

    monkeypatch.setattr("generation.chat.messages.json", SimpleNamespace(loads=loads))
    return counts


def message(text: str, number: int = 0) -> ChatMessage:
    return {"id": ids.new(), "role": ("user", "assistant")[number % 2], "content": text, "createdAt": "now"}


def session(world: World, writer: Writer, prompts: int, segment_bytes: int) -> str:
    """A session in which so many prompts were answered; its id."""
    session_id: str | None = None
    for number in range(prompts):
        made: Any = world.say(writer, f"prompt {number}", session_id, segment_bytes=segment_bytes)
        session_id = made["sessionId"]
    assert session_id
    return session_id


def test_what_a_worker_has_written_it_does_not_parse(world: World, parsed: list[int]) -> None:
    world.recent = RecentSegments()
    writer = Writer(script=saying("ok"))
    session(world, writer, 5, 100_000)

    assert parsed == []
    assert texts(writer.asked)[-1] == [
        *(text for number in range(4) for text in (f"prompt {number}", "ok")),
        "prompt 4",
    ]
    assert [message.role for message in writer.asked[-1].messages] == ["user", "assistant"] * 4 + ["user"]


def test_a_closed_segment_is_parsed_once(world: World, parsed: list[int]) -> None:
    world.recent = RecentSegments()
    writer = Writer(script=saying("ok"))
    # Four turns fill a segment.
    session_id = session(world, writer, 10, 1000)
    assert len([key for key in world.s3.objects if "/messages/" in key]) == 3
    assert parsed == [8, 8]

    world.say(writer, "once more", session_id, segment_bytes=1000)
    assert parsed == [8, 8]
    assert texts(writer.asked)[-1][::2] == [*(f"prompt {number}" for number in range(10)), "once more"]


def test_what_another_worker_wrote_meanwhile_is_parsed_anew(world: World, parsed: list[int]) -> None:
    world.recent = RecentSegments()
    writer = Writer(script=saying("ok"))
    session_id = session(world, writer, 2, 100_000)
    mine, world.recent = world.recent, RecentSegments()
    world.say(writer, "elsewhere", session_id)
    world.recent = mine
    parsed.clear()

    world.say(writer, "here", session_id)
    assert parsed == [6]
    world.say(writer, "still here", session_id)
    assert parsed == [6]
    assert texts(writer.asked)[-1][::2] == ["prompt 0", "prompt 1", "elsewhere", "here", "still here"]


@pytest.mark.parametrize("segment_bytes", [1, 400, 100_000])
def test_what_is_kept_is_what_would_be_read(world: World, segment_bytes: int) -> None:
    key, bucket = Key(ANA.sub, ids.new()), world.library.bucket
    writing = Messages(bucket, key, 0, segment_bytes=segment_bytes, recent=RecentSegments())
    writing.begin()
    for number, text in enumerate(TEXTS):
        writing.append([message(text, number), message(text.upper(), number + 1)])
    reading = Messages(bucket, key, writing.last, recent=RecentSegments())

    kept = list(writing.newest_first())
    assert kept == list(reading.newest_first())
    assert [spoken.message.content for spoken in kept] == [
        text for each in reversed(TEXTS) for text in (each.upper(), each)
    ]
    assert [spoken.bytes for spoken in kept] == [len(spoken.message.content.encode()) for spoken in kept]


def test_what_is_withdrawn_is_not_kept(world: World) -> None:
    writing = Messages(world.library.bucket, Key(ANA.sub, ids.new()), 0)
    writing.begin()
    pairs = [[message(f"question {number}"), message(f"answer {number}", 1)] for number in range(3)]
    for pair in pairs:
        writing.append(pair)
    writing.withdraw(pairs[1][1]["id"])
    writing.append([message("the end")])

    kept = [spoken.message.content for spoken in writing.newest_first()]
    assert kept == ["the end", "answer 2", "question 2", "answer 0", "question 0"]


@dataclass
class Counting(Writer):
    """A provider that takes so many tokens for each of the others', and notes what it counts."""

    each: int = 1
    counted: Counter[str] = field(default_factory=Counter)

    def count_tokens(self, text: str) -> int:
        self.counted[text] += 1
        return self.each * count_tokens(text)


# Half of a surrogate pair is counted as what is sent for it.
@pytest.mark.parametrize(
    ("text", "size"), [("abc", 3), ("Straße", 7), ("日本", 6), ("\N{GRINNING FACE}", 4), ("\ud800", 1)]
)
@pytest.mark.parametrize("spare", [0, -1])
def test_tokens_are_counted_only_where_there_is_not_room_for_all_bytes(text: str, size: int, spare: int) -> None:
    room = 2 * TOKENS_A_MESSAGE + TOKENS_AROUND + len("hi") + size + spare
    writer = Counting(models=(Model("quill", room + 5, "q"),))
    context = Context("hi", earlier=[Spoken.of("user", text)], max_tokens=5)

    assert isinstance(context.request(Candidate(writer, writer.models[0])), TextRequest)
    assert bool(writer.counted) == (spare < 0)


def test_the_tokens_of_a_message_are_counted_once_by_each_provider(world: World) -> None:
    world.recent = RecentSegments()
    models = (Model("quill", 120, "q"),)
    plain, wordy = (Counting(name, saying("ok"), models, each=each) for name, each in (("plain", 1), ("wordy", 2)))
    session_id = session(world, plain, 6, 100_000)
    for number in range(6, 9):
        for writer in (plain, wordy):
            world.say(writer, f"{writer.name} {number}", session_id)

    for writer in (plain, wordy):
        # A prompt when it is asked, and when it has become a message of the session.
        assert max(count for text, count in writer.counted.items() if text != "ok") == 2
    assert wordy.counted["plain 6"] == 1
    assert 1 < len(wordy.asked[-1].messages) < len(plain.asked[-1].messages)
