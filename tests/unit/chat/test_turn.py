"""Turns: what the model is shown, what is kept, one at a time, and whole wherever a worker ends."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from core import ids
from core.errors import BadGateway, Conflict, NotFound, ServiceUnavailable, TooManyRequests, Unauthorized, Unprocessable
from generation import text_chain
from generation.chat.context import LONGEST_ANSWER, TOKENS_A_MESSAGE, TOKENS_AROUND
from generation.chat.messages import Messages, RecentSegments
from generation.chat.sessions import Counted, Totals
from generation.chat.turn import Asked, title_of
from generation.providers import ProviderError
from generation.texts import Model, TextRequest, Usage, count_tokens
from generation.usage.failures import Call
from tests.unit.chat.conftest import REMAINING_MS, Killed, World
from tests.unit.generation.samples import SIGNER
from tests.unit.generation.text_stand_ins import Writer, breaking, saying
from tests.unit.stand_ins import ANA, BEN

WAIT = 30.0


def short_echo(request: TextRequest) -> Iterator[str]:
    """Answers with the last message."""
    yield f"you said {request.messages[-1].content}"


def contents(world: World, session_id: str) -> list[str]:
    return [message["content"] for message in world.messages(session_id)]


def session_of(generation: object) -> str:
    assert isinstance(generation, dict)
    session_id = generation["sessionId"]
    assert isinstance(session_id, str)
    return session_id


class Events:
    """Takes what a turn emits."""

    def __init__(self) -> None:
        self.all: list[tuple[str, object]] = []

    def __call__(self, name: str, data: object) -> None:
        self.all.append((name, data))

    @property
    def names(self) -> list[str]:
        return [name for name, _data in self.all]


def test_who_is_refused_while_the_session_is_held_leaves_it_as_it_was(world: World) -> None:
    session_id = session_of(world.say(Writer(), "first"))
    before = world.sessions.get(ANA.sub, session_id)

    def admit() -> None:
        raise TooManyRequests("too many", retry_after=1)

    writer, call = Writer(), Call(ids.new(), "", "")
    with pytest.raises(TooManyRequests):
        world.conversations(writer).answer(
            Asked("second", session_id), caller=ANA, remaining_ms=REMAINING_MS, call=call, admit=admit
        )
    assert call.was_refused
    assert (writer.asked, contents(world, session_id)) == ([], ["first", "Hello"])
    after = world.sessions.get(ANA.sub, session_id)
    assert (after.totals, after.updated_at, after.lease_until) == (before.totals, before.updated_at, 0)
    world.say(Writer(), "third", session_id)
    assert contents(world, session_id) == ["first", "Hello", "third", "Hello"]


def test_a_users_message_begins_a_session_that_is_called_after_it(world: World) -> None:
    made = world.say(Writer(), "What is a lighthouse for?\nSay it briefly.", model="quill", system="Be kind.")

    session = world.sessions.get(ANA.sub, session_of(made)).view()
    assert (session["title"], session["model"], session["system"]) == ("What is a lighthouse for?", "quill", "Be kind.")
    assert session["messages"] == 2
    assert (session["usage"]["inputTokens"], session["usage"]["outputTokens"]) == (7, 2)
    assert (made["text"], made["finishReason"]) == ("Hello", "stop")  # type: ignore[typeddict-item]
    assert made["meta"]["contextMessages"] == 1
    assert "firstPieceMs" not in made["meta"]


def test_an_anonymous_message_stands_alone(world: World) -> None:
    made = world.conversations(Writer()).answer(Asked("hi"), caller=None, remaining_ms=REMAINING_MS)

    assert made["sessionId"] is None  # type: ignore[typeddict-item]
    assert not [call for call in world.fate.calls if "sessions" in call or call == "PutItem"]


def test_an_anonymous_caller_has_no_session(world: World) -> None:
    session_id = session_of(world.say(Writer()))
    with pytest.raises(Unauthorized):
        world.conversations(Writer()).answer(Asked("hi", session_id), caller=None, remaining_ms=REMAINING_MS)


@pytest.mark.parametrize("session_id", ["of-nobody", "019ab7d2-51f3-7c1e-9a51-6f0d2b7c4e10"])
def test_a_session_that_is_not_there_is_not_found(world: World, session_id: str) -> None:
    with pytest.raises(NotFound):
        world.say(Writer(), session_id=session_id)


def test_somebody_elses_session_is_not_found(world: World) -> None:
    session_id = session_of(world.say(Writer()))
    with pytest.raises(NotFound):
        world.conversations(Writer()).answer(Asked("hi", session_id), caller=BEN, remaining_ms=REMAINING_MS)


def test_an_unknown_model_leaves_the_session_free(world: World) -> None:
    session_id = session_of(world.say(Writer()))
    with pytest.raises(Unprocessable):
        world.say(Writer(), "x", session_id, model="nobody")
    assert world.say(Writer(), "y", session_id)


def test_a_sessions_model_holds_unless_the_call_names_one(world: World) -> None:
    models = (Model("a", 4096, "a-1"), Model("b", 4096, "b-1"), Model("c", 4096, "c-1"))
    writer = Writer(models=models)
    session_id = session_of(world.say(writer, model="b"))
    world.say(writer, "again", session_id)
    world.say(writer, "again", session_id, model="c")
    world.say(writer, "again", session_id)
    assert [request.model for request in writer.asked] == ["b", "b", "c", "b"]


def test_a_session_whose_model_is_gone_is_answered_by_the_default(world: World) -> None:
    session_id = session_of(world.say(Writer(), model="quill"))
    made = world.say(Writer(models=(Model("new", 4096, "new-1"),)), "again", session_id)
    assert made["meta"]["model"] == "new-1"


@pytest.mark.parametrize("max_tokens", [None, 40])
def test_in_twenty_turns_the_model_sees_the_newest_messages_that_fit(world: World, max_tokens: int | None) -> None:
    window = 200
    writer = Writer(script=short_echo, models=(Model("quill", window, "quill-1"),), usage=None)
    answer = max_tokens or min(LONGEST_ANSWER, window // 4)
    said: list[str] = []
    session_id = None
    seen_left_out = 0
    for turn in range(20):
        prompt = f"turn {turn}: " + "lighthouse " * (turn % 5)
        made = world.say(writer, prompt.strip(), session_id, system="Be brief.", max_tokens=max_tokens)
        session_id = session_of(made)

        room = window - answer - TOKENS_AROUND
        room -= sum(TOKENS_A_MESSAGE + count_tokens(text) for text in ("Be brief.", prompt.strip()))
        expected: list[str] = []
        for text in reversed(said):
            room -= TOKENS_A_MESSAGE + count_tokens(text)
            if room < 0:
                break
            expected.insert(0, text)
        seen_left_out += len(expected) < len(said)
        request = writer.asked[-1]
        assert [message.content for message in request.messages] == ["Be brief.", *expected, prompt.strip()]
        assert [message.role for message in request.messages[-3:]][-1] == "user"
        assert made["meta"]["contextMessages"] == len(expected) + 1
        said += [prompt.strip(), made["text"]]  # type: ignore[typeddict-item]
    assert seen_left_out > 3
    assert contents(world, session_of(made)) == said


@pytest.mark.parametrize(("spare", "fits"), [(0, True), (-1, False)])
def test_the_last_token_counts(world: World, spare: int, fits: bool) -> None:
    earlier, prompt = "one two three", "four five six"
    need = 3 * TOKENS_A_MESSAGE + TOKENS_AROUND + count_tokens(earlier) + count_tokens("ok") + count_tokens(prompt)
    writer = Writer(script=saying("ok"), models=(Model("quill", need + 5 + spare, "q"),))
    session_id = session_of(world.say(writer, earlier, max_tokens=5))

    world.say(writer, prompt, session_id, max_tokens=5)

    assert len(writer.asked[-1].messages) == (3 if fits else 2)


class Wordy(Writer):
    """A provider whose models take two tokens for each of the others'."""

    def count_tokens(self, text: str) -> int:
        return 2 * count_tokens(text)


def test_a_provider_counts_for_its_own_models(world: World) -> None:
    models = (Model("quill", 100, "q"),)
    session_id = session_of(world.say(Writer(models=models), "one two three four five six seven eight"))
    plain, wordy = Writer(models=models), Wordy(models=models)

    for prompt in ("one two three", "four five six"):
        world.say(Writer(models=models), prompt, session_id)
    for writer in (plain, wordy):
        writer.error = ProviderError("status 503")
        with pytest.raises(BadGateway):
            world.say(writer, "lighthouse " * 8, session_id)

    assert len(plain.asked[0].messages) > len(wordy.asked[0].messages) > 1


def test_a_prompt_that_alone_is_too_long_is_told_the_limit(world: World) -> None:
    writer = Writer(models=(Model("quill", 100, "q"),))
    with pytest.raises(Unprocessable) as caught:
        world.say(writer, "lighthouse " * 200)
    assert [(error.field, "72 tokens" in error.message) for error in caught.value.errors] == [("prompt", True)]
    assert world.s3.objects == {}


def test_a_context_spans_segments(world: World) -> None:
    writer = Writer(script=short_echo)
    session_id = session_of(world.say(writer, "a" * 50, segment_bytes=100))
    for _turn in range(5):
        world.say(writer, "b" * 50, session_id, segment_bytes=100)
    assert len(writer.asked[-1].messages) == 11
    assert len([key for key in world.s3.objects if "/messages/" in key]) == 6


def test_when_every_provider_fails_neither_message_is_kept(world: World) -> None:
    bad = Writer(error=ProviderError("status 503"))
    session_id = session_of(world.say(Writer(), "first"))
    with pytest.raises(BadGateway):
        world.say(bad, "second", session_id)
    with pytest.raises(BadGateway):
        world.say(bad, "a new one")

    assert contents(world, session_id) == ["first", "Hello"]
    assert [item["id"] for item in page(world)] == [session_id]
    world.say(Writer(), "third", session_id)
    assert contents(world, session_id) == ["first", "Hello", "third", "Hello"]


def page(world: World) -> list[dict[str, object]]:
    listed = world.sessions.page(ANA.sub, SIGNER, limit=100, cursor=None, starred=None)
    return [dict(item) for item in listed["items"]]


def test_of_ten_calls_at_once_one_is_answered_at_a_time(world: World) -> None:
    session_id = session_of(world.say(Writer(), "first"))
    inside, most = 0, 0
    lock = threading.Lock()
    refused = threading.Semaphore(0)

    def script(request: TextRequest) -> Iterator[str]:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        # Until all the others were sent away.
        for _other in range(9):
            assert refused.acquire(timeout=WAIT)
        with lock:
            inside -= 1
        yield f"answer to {request.messages[-1].content}"

    conversations = world.conversations(Writer(script=script))

    refusals: list[Conflict] = []

    def call(number: int) -> str:
        try:
            conversations.answer(Asked(f"call {number}", session_id), caller=ANA, remaining_ms=REMAINING_MS)
        except Conflict as conflict:
            refusals.append(conflict)
            refused.release()
            return "busy"
        return "answered"

    with ThreadPoolExecutor(10) as callers:
        outcomes = list(callers.map(call, range(10)))

    assert sorted(outcomes) == ["answered"] + ["busy"] * 9
    assert most == 1
    assert {refusal.type.rpartition(":")[2] for refusal in refusals} == {"session-busy"}
    assert all(1 <= int(refusal.headers["Retry-After"]) <= 5 for refusal in refusals)
    winner = outcomes.index("answered")
    assert contents(world, session_id) == ["first", "Hello", f"call {winner}", f"answer to call {winner}"]


def test_those_who_try_again_are_all_answered_and_never_interleave(world: World) -> None:
    session_id = session_of(world.say(Writer(), "first"))
    conversations = world.conversations(Writer(script=short_echo))

    def call(number: int) -> None:
        while True:
            try:
                conversations.answer(Asked(f"call {number}", session_id), caller=ANA, remaining_ms=REMAINING_MS)
                return
            except Conflict:
                continue

    with ThreadPoolExecutor(5) as callers:
        list(callers.map(call, range(5)))

    said = contents(world, session_id)[2:]
    assert sorted(said[::2]) == [f"call {number}" for number in range(5)]
    assert said[1::2] == [f"you said {prompt}" for prompt in said[::2]]
    assert world.sessions.get(ANA.sub, session_id).totals.messages == 12


def test_a_stream_tells_its_beginning_and_its_pieces(world: World) -> None:
    emit = Events()

    made = world.say(Writer(), emit=emit)

    about = {"id": made["id"], "sessionId": session_of(made), "provider": "writer", "model": "quill-1"}
    assert emit.all == [("start", about), ("delta", {"text": "Hel"}), ("delta", {"text": "lo"})]
    assert made["meta"]["firstPieceMs"] >= 0


def test_a_stream_that_breaks_off_keeps_what_came(world: World) -> None:
    emit = Events()

    made = world.say(Writer(script=breaking(ProviderError("status 500"), "It was", " a")), "go on", emit=emit)

    assert emit.names == ["start", "delta", "delta", "error"]
    assert (made["text"], made["finishReason"]) == ("It was a", "error")  # type: ignore[typeddict-item]
    assert (made["meta"]["outputTokens"], made["meta"]["tokensEstimated"]) == (count_tokens("It was a"), True)
    assert contents(world, session_of(made)) == ["go on", "It was a"]
    assert world.sessions.get(ANA.sub, session_of(made)).totals.output_tokens == count_tokens("It was a")


@pytest.mark.parametrize("is_new", [True, False])
def test_a_stream_falls_back_before_its_first_piece_only(world: World, is_new: bool) -> None:
    emit = Events()
    session_id = None if is_new else session_of(world.say(Writer(), "first"))
    made = world.conversations(Writer("bad", error=ProviderError("status 503")), Writer()).answer(
        Asked("hi", session_id), caller=ANA, remaining_ms=REMAINING_MS, emit=emit
    )
    assert (made["meta"]["provider"], made["meta"]["fallbackFrom"]) == ("writer", "bad")
    assert emit.names == ["start", "delta", "delta"]


def calls_of_a_turn(world: World, session_id: str | None) -> list[str]:
    world.fate.spare()
    world.say(Writer(), "counted", session_id)
    calls = [call.partition(" ")[0] + " " + call.rpartition("/")[2] for call in world.fate.calls]
    world.fate.spare()
    return calls


def test_the_calls_of_a_turn_are_these_and_in_this_order(world: World) -> None:
    at_once = ["PutObject 000000.jsonl", "PutObject answer.md", "PutObject input.json"]
    end = ["PutObject record.json", "UpdateItem UpdateItem"]
    new = calls_of_a_turn(world, None)
    assert (new[0], sorted(new[1:4]), sorted(new[4:])) == ("PutItem PutItem", at_once, end)
    session_id = page(world)[0]["id"]
    assert isinstance(session_id, str)
    again = calls_of_a_turn(world, session_id)
    assert (again[0], sorted(again[1:3])) == (
        "UpdateItem UpdateItem",
        ["GetObject 000000.jsonl", "HeadObject record.json"],
    )
    assert (sorted(again[3:6]), sorted(again[6:])) == (at_once, end)


def test_a_worker_that_wrote_a_session_last_reads_nothing_of_it(world: World) -> None:
    world.recent = RecentSegments()
    session_id = session_of(world.say(Writer(script=short_echo), "first"))
    assert {call.split()[0] for call in calls_of_a_turn(world, session_id)} == {"PutObject", "UpdateItem"}

    world.recent, kept = RecentSegments(), world.recent
    world.say(Writer(script=short_echo), "elsewhere", session_id)
    world.recent = kept
    assert {"GetObject 000000.jsonl", "HeadObject record.json"} <= set(calls_of_a_turn(world, session_id))
    assert contents(world, session_id)[::2] == ["first", "counted", "elsewhere", "counted"]


def test_a_closed_segment_is_read_once_by_a_worker(world: World) -> None:
    world.recent = RecentSegments()
    session_id = session_of(world.say(Writer(script=short_echo), "first", segment_bytes=1))
    for prompt in ("second", "third"):
        world.say(Writer(script=short_echo), prompt, session_id, segment_bytes=1)
    world.fate.spare()
    world.say(Writer(script=short_echo), "fourth", session_id, segment_bytes=1)
    read = [call for call in world.fate.calls if call.startswith("GetObject")]
    world.fate.spare()
    # The newest of them this worker has written, but then it was not closed.
    assert [call.rpartition("/")[2] for call in read] == ["000001.jsonl"]
    assert contents(world, session_id)[::2] == ["first", "second", "third", "fourth"]


STRUCK = [(number, moment) for number in range(7) for moment in ("before", "after")]


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(("number", "moment"), STRUCK)
@pytest.mark.parametrize("remembers", [False, True])
def test_wherever_a_worker_ends_the_session_is_whole_and_usable(
    world: World, number: int, moment: str, streams: bool, remembers: bool
) -> None:
    if remembers:
        world.recent = RecentSegments()
        number = min(number, 5)
    session_id = session_of(world.say(Writer(script=short_echo), "first"))
    world.fate.strike(number, moment)
    with pytest.raises(Killed):
        world.say(Writer(script=short_echo), "second", session_id, emit=Events() if streams else None)
    world.fate.spare()
    world.later()

    # A worker that takes over may end, too, wherever it is.
    for again in range(9):
        world.fate.strike(again, "after")
        try:
            world.say(Writer(script=short_echo), "third", session_id)
        except Killed:
            world.later()
        world.fate.spare()

    assert_whole(world, session_id)


@pytest.mark.parametrize("emit", [Events(), None])
@pytest.mark.parametrize(("number", "moment"), STRUCK[:12])
def test_wherever_the_first_worker_of_a_session_ends_the_session_is_whole_or_none(
    world: World, number: int, moment: str, emit: Events | None
) -> None:
    world.fate.strike(number, moment)
    with pytest.raises(Killed):
        world.say(Writer(script=short_echo), "first", emit=emit)
    world.fate.spare()
    world.later()
    for item in page(world):
        session_id = str(item["id"])
        world.say(Writer(script=short_echo), "second", session_id)
        assert_whole(world, session_id)


def assert_whole(world: World, session_id: str) -> None:
    """Each record of the session's is there with both its messages, once and in order, and counted once."""
    world.later()
    messages = world.messages(session_id)
    records = sorted(key.split("/")[4] for key in world.s3.objects if key.endswith("record.json"))
    assert [message["id"] for message in messages if message["role"] == "assistant"] == records
    assert [message["role"] for message in messages] == ["user", "assistant"] * len(records)
    for question, answer in zip(messages[::2], messages[1::2], strict=True):
        assert answer["content"] == f"you said {question['content']}"
    totals = world.sessions.get(ANA.sub, session_id).totals
    assert (totals.messages, totals.input_tokens, totals.output_tokens) == (
        len(messages),
        7 * len(records),
        2 * len(records),
    )
    assert world.sessions.get(ANA.sub, session_id).unsettled == frozenset()


@pytest.mark.parametrize(("number", "moment"), STRUCK)
@pytest.mark.parametrize("is_new", [True, False])
def test_whichever_call_fails_the_session_is_whole_and_free(
    world: World, number: int, moment: str, is_new: bool
) -> None:
    session_id = None if is_new else session_of(world.say(Writer(script=short_echo), "first"))
    unavailable = ServiceUnavailable("injected", retry_after=1)
    world.fate.strike(number, moment, lambda: unavailable)
    try:
        made = world.say(Writer(script=short_echo), "second", session_id)
        assert made["id"] in {key.split("/")[4] for key in world.s3.objects if key.endswith("record.json")}
    except ServiceUnavailable:
        pass
    world.fate.spare()
    world.later()
    for item in page(world):
        world.say(Writer(script=short_echo), "third", str(item["id"]))
        assert_whole(world, str(item["id"]))


def test_a_session_is_free_at_once_after_a_turn_that_could_not_be_stored(world: World) -> None:
    session_id = session_of(world.say(Writer(), "first"))
    with world.fate.failing("answer.md"), pytest.raises(ServiceUnavailable):
        world.say(Writer(), "second", session_id)
    assert world.say(Writer(), "third", session_id)


def test_a_turn_whose_record_could_not_be_written_is_taken_out_at_once(world: World) -> None:
    session_id = session_of(world.say(Writer(script=short_echo), "first"))
    with world.fate.failing("record.json"), pytest.raises(ServiceUnavailable):
        world.say(Writer(script=short_echo), "second", session_id)
    assert contents(world, session_id) == ["first", "you said first"]
    assert world.say(Writer(script=short_echo), "third", session_id)
    assert_whole(world, session_id)


def test_a_session_that_is_deleted_in_the_middle_of_a_turn_keeps_nothing(world: World) -> None:
    session_id = session_of(world.say(Writer(), "first"))

    def script(request: TextRequest) -> Iterator[str]:
        session = world.sessions.mark(ANA.sub, session_id)
        assert world.removal.remove(session, text_chain.Deadline(WAIT))
        yield "too late"

    with pytest.raises(NotFound):
        world.say(Writer(script=script), "second", session_id)
    assert {key.split("/")[0] for key in world.s3.objects} == {"deleted"}
    with pytest.raises(NotFound):
        world.sessions.get(ANA.sub, session_id)


def test_the_messages_of_a_turn_are_shown_when_its_record_is_there(world: World) -> None:
    session_id = session_of(world.say(Writer(script=short_echo), "first"))
    cut_off(world, session_id)
    session = world.conversations().settle(world.sessions.get(ANA.sub, session_id))
    (segment,) = (stored.content for key, stored in world.s3.objects.items() if key.endswith(".jsonl"))
    assert segment.count(b"second") == 2

    def shown() -> list[str]:
        stored = Messages(world.library.bucket, session.key, session.segment)
        items: list[str] = []
        cursor = None
        while True:
            page = stored.page(SIGNER, limit=1, cursor=cursor, without=session.unsettled)
            items += [item["content"] for item in page["items"]]
            cursor = page["nextCursor"]
            if cursor is None:
                return items

    assert shown() == ["you said first", "first"]
    world.later()
    assert contents(world, session_id) == ["first", "you said first"]


def cut_off(world: World, session_id: str) -> None:
    """A turn whose worker ends when it has written the session, but not the record."""
    with world.fate.failing("record.json", Killed), pytest.raises(Killed):
        world.say(Writer(script=short_echo), "second", session_id)


def test_a_turn_that_is_in_the_session_but_has_no_record_is_taken_out_when_its_worker_must_have_ended(
    world: World,
) -> None:
    session_id = session_of(world.say(Writer(script=short_echo), "first"))
    cut_off(world, session_id)
    assert world.sessions.get(ANA.sub, session_id).totals.messages == 4

    with pytest.raises(Conflict) as caught:
        world.say(Writer(script=short_echo), "too early", session_id)
    assert 1 <= int(caught.value.headers["Retry-After"]) <= 5
    early = world.conversations().settle(world.sessions.get(ANA.sub, session_id))
    shown = Messages(world.library.bucket, early.key, early.segment).page(
        SIGNER, limit=9, cursor=None, without=early.unsettled
    )
    assert [message["content"] for message in shown["items"]] == ["you said first", "first"]

    world.later()
    world.say(Writer(script=short_echo), "third", session_id)
    assert contents(world, session_id) == ["first", "you said first", "third", "you said third"]
    assert_whole(world, session_id)


def test_while_a_turn_goes_on_those_before_it_are_shown(world: World) -> None:
    session_id = session_of(world.say(Writer(script=short_echo), "first"))
    shown: list[str] = []

    def script(request: TextRequest) -> Iterator[str]:
        session = world.conversations().settle(world.sessions.get(ANA.sub, session_id))
        page = Messages(world.library.bucket, session.key, session.segment).page(
            SIGNER, limit=9, cursor=None, without=session.unsettled
        )
        shown.extend(message["content"] for message in page["items"])
        yield "ok"

    world.say(Writer(script=script), "second", session_id)
    assert shown == ["you said first", "first"]


def test_who_reads_a_session_takes_such_a_turn_out_too(world: World) -> None:
    session_id = session_of(world.say(Writer(script=short_echo), "first"))
    cut_off(world, session_id)
    world.later()
    assert contents(world, session_id) == ["first", "you said first"]
    assert_whole(world, session_id)


def test_a_record_that_comes_late_is_found(world: World) -> None:
    session_id = session_of(world.say(Writer(script=short_echo), "first"))
    turn = world.say(Writer(script=short_echo), "second", session_id)["id"]
    key = next(key for key in world.s3.objects if key.endswith(f"{turn}/record.json"))
    late = world.s3.objects.pop(key)
    with pytest.raises(Conflict):
        world.say(Writer(script=short_echo), "third", session_id)
    world.s3.objects[key] = late
    world.say(Writer(script=short_echo), "third", session_id)
    assert_whole(world, session_id)


@pytest.mark.parametrize("how", ["deleted", "long ago"])
def test_a_turn_whose_record_was_deleted_stays_in_its_session(world: World, how: str) -> None:
    session_id = session_of(world.say(Writer(script=short_echo), "first"))
    turn = world.say(Writer(script=short_echo), "second", session_id)["id"]
    world.library.delete(turn, ANA)
    if how == "long ago":
        tombstones = [key for key in world.s3.objects if key.startswith("deleted/")]
        for key in tombstones:
            del world.s3.objects[key]
        world.now = max(world.now, ids.created_at(turn)) + timedelta(days=2)
    else:
        world.later()
    assert len(contents(world, session_id)) == 4
    world.say(Writer(script=short_echo), "third", session_id)
    assert len(contents(world, session_id)) == 6
    assert world.sessions.get(ANA.sub, session_id).totals.messages == 6


@pytest.mark.parametrize("is_there", [True, False])
def test_a_deletion_waits_for_a_record_that_may_be_on_its_way(world: World, is_there: bool) -> None:
    session_id = session_of(world.say(Writer(script=short_echo), "first"))
    if is_there:
        world.say(Writer(script=short_echo), "second", session_id)
    else:
        cut_off(world, session_id)
    session = world.sessions.mark(ANA.sub, session_id)
    if not is_there:
        assert not world.removal.remove(session, text_chain.Deadline(WAIT))
        world.later()
    assert world.removal.remove(session, text_chain.Deadline(WAIT))
    assert {key.split("/")[0] for key in world.s3.objects} == {"deleted"}


def test_a_worker_whose_session_is_deleted_while_it_writes_the_record_keeps_nothing(world: World) -> None:
    session_id = session_of(world.say(Writer(script=short_echo), "first"))

    def script(request: TextRequest) -> Iterator[str]:
        world.sessions.mark(ANA.sub, session_id)
        yield "too late"

    with world.fate.failing("record.json"), pytest.raises(ServiceUnavailable):
        world.say(Writer(script=script), "second", session_id)
    session = world.sessions.mark(ANA.sub, session_id)
    assert world.removal.remove(session, text_chain.Deadline(WAIT))
    assert {key.split("/")[0] for key in world.s3.objects} == {"deleted"}


def test_of_a_turn_without_a_record_nothing_is_left_when_its_session_is_gone_already(world: World) -> None:
    session_id = session_of(world.say(Writer(script=short_echo), "first"))

    def script(request: TextRequest) -> Iterator[str]:
        session = world.sessions.mark(ANA.sub, session_id)
        assert world.removal.remove(session, text_chain.Deadline(WAIT))
        yield "too late"

    with world.fate.failing("record.json"), pytest.raises(ServiceUnavailable):
        world.say(Writer(script=script), "second", session_id)
    assert {key.split("/")[0] for key in world.s3.objects} == {"deleted"}


def test_a_commit_whose_answer_was_lost_is_done(world: World) -> None:
    turn = ids.new()
    session_id = session_of(world.say(Writer(script=short_echo), "first"))
    session = world.sessions.take(ANA.sub, session_id, turn, 60)
    counted = Counted(turn, session.lease_until, Totals(2, 7, 2, None))
    for _again in range(2):
        world.sessions.commit(session, counted, Totals(), [turn], session.segment, session.segment_etag, "title")
    assert world.sessions.get(ANA.sub, session_id).totals == Totals(4, 14, 4, None)


def test_a_star_that_comes_in_the_middle_of_a_turn_stays(world: World) -> None:
    session_id = session_of(world.say(Writer(), "first"))

    def script(request: TextRequest) -> Iterator[str]:
        world.sessions.change(ANA.sub, session_id, {"starred": True})
        yield "ok"

    world.say(Writer(script=script), "second", session_id)
    starred = world.sessions.page(ANA.sub, SIGNER, limit=10, cursor=None, starred=True)["items"]
    assert [(item["id"], item["updatedAt"]) for item in starred] == [
        (session_id, world.sessions.get(ANA.sub, session_id).updated_at)
    ]


@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("What?", "What?"),
        ("  First line \nsecond", "First line"),
        ("word " * 30, "word word word word word word word word word word word word…"),
        ("x" * 80, "x" * 60 + "…"),
    ],
)
def test_a_title_is_the_first_line_or_its_first_words(prompt: str, title: str) -> None:
    assert title_of(prompt) == title


def test_usage_is_summed_over_the_turns(world: World) -> None:
    writer = Writer(usage=Usage(10, 5))
    session_id = session_of(world.say(writer, "first"))
    world.say(writer, "second", session_id)
    usage = world.sessions.get(ANA.sub, session_id).view()["usage"]
    assert (usage["inputTokens"], usage["outputTokens"]) == (20, 10)
