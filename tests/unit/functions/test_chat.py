"""The functions of chat, as gateways call them.

What its answers have in common with all generations is the contract's: made whole, its own generating route keeps it,
too. Here is what only it has: sessions, answers in pieces, models, and what is refused because of one of these.
"""

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from chat import change_session, create_session, end_session, generate, messages, models, session, sessions
from chat import get as get_answer
from chat.service import SERVICE
from core import ids, streaming
from core.identity import Identity
from generation import chain, library
from generation.providers import ProviderError
from generation.texts import Model, TextRequest
from generation.usage import failures
from generation.usage.entries import of_record
from tests import events, tokens
from tests.events import Gateway
from tests.unit.functions.answers import Answer, ask
from tests.unit.generation.text_stand_ins import Writer, breaking
from tests.unit.stand_ins import ANA, BEN


@pytest.fixture
def writer(bucket: str, answers_table: str, monkeypatch: pytest.MonkeyPatch) -> Writer:
    """The provider that the functions are configured with, on a stack of their own."""
    assert bucket
    assert answers_table
    provider = Writer()
    monkeypatch.setattr(chain, "providers", lambda service: (provider,))
    return provider


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway takes pieces."""
    monkeypatch.setattr(streaming, "is_available", lambda: True)


def headers(caller: Identity | None, **more: str) -> dict[str, str]:
    if caller is None:
        return more
    token = tokens.access_token(sub=caller.sub, email=caller.email, role=caller.role, sid=caller.sid)
    return {"Authorization": f"Bearer {token}", **more}


def call(
    function: ModuleType,
    method: str,
    resource: str,
    *,
    caller: Identity | None = ANA,
    body: object = None,
    session_id: str = "",
    query: dict[str, str] | None = None,
    gateway: Gateway = events.aws,
    **more: str,
) -> Answer:
    event = gateway(
        method,
        resource,
        parameters={"id": session_id} if session_id else None,
        query=query,
        body=None if body is None else json.dumps(body),
        headers=headers(caller, **more),
    )
    return ask(function, event)


def say(prompt: str = "hi", *, caller: Identity | None = ANA, gateway: Gateway = events.aws, **asked: Any) -> Answer:
    key = asked.pop("key", None)
    sent = {} if key is None else {"Idempotency-Key": key}
    accept = asked.pop("accept", None)
    sent |= {} if accept is None else {"Accept": accept}
    body = {"prompt": prompt, **asked}
    return call(generate, "POST", "/chat/generate", caller=caller, body=body, gateway=gateway, **sent)


def told(text: str) -> list[tuple[str, Any]]:
    """The events of a stream, without the comments of one that had to wait."""
    found = []
    for event in text.removesuffix("\n\n").split("\n\n"):
        if event.startswith(":"):
            continue
        name, _, data = event.partition("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def listed(**query: str) -> Answer:
    return call(sessions, "GET", "/chat/sessions", query=query)


def read(function: ModuleType, session_id: str, method: str = "GET", caller: Identity | None = ANA) -> Answer:
    resource = "/chat/sessions/{id}" + ("/messages" if function is messages else "")
    return call(function, method, resource, session_id=session_id, caller=caller)


def test_an_answer_is_a_generation_with_its_text_and_session(writer: Writer, gateway: Gateway) -> None:
    answer = say(gateway=gateway)

    assert answer.status == 201
    made = answer.json
    assert answer.headers["location"] == f"/chat/{made['id']}" == made["links"]["self"]
    assert (made["service"], made["prompt"], made["text"], made["finishReason"]) == ("chat", "hi", "Hello", "stop")
    assert made["s3"]["text"] == f"{made['s3']['record'].removesuffix('record.json')}text/answer.md"
    assert {name: made["meta"][name] for name in ("provider", "model", "inputTokens", "outputTokens")} == {
        "provider": "writer",
        "model": "quill-1",
        "inputTokens": 7,
        "outputTokens": 2,
    }
    assert made["meta"]["tokensEstimated"] is False
    assert made["meta"]["contextMessages"] == 1
    again = call(get_answer, "GET", "/chat/{id}", session_id=made["id"], gateway=gateway)
    assert again.json == made


def test_an_anonymous_answer_has_no_session(writer: Writer) -> None:
    made = say(caller=None).json
    assert (made["sessionId"], made["userId"]) == (None, None)
    assert call(get_answer, "GET", "/chat/{id}", session_id=made["id"], caller=None).json == made


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "prompt"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": "x" * 32_001}, "prompt"),
        ({"prompt": "x", "system": "y" * 8_001}, "system"),
        ({"prompt": "x", "temperature": 2.1}, "temperature"),
        ({"prompt": "x", "temperature": "1"}, "temperature"),
        ({"prompt": "x", "maxTokens": 0}, "maxTokens"),
        ({"prompt": "x", "maxTokens": 8193}, "maxTokens"),
        ({"prompt": "x", "maxTokens": 1.5}, "maxTokens"),
        ({"prompt": "x", "stream": "yes"}, "stream"),
        ({"prompt": "x", "model": "nobody"}, "model"),
        ({"prompt": "x", "sessionId": 7}, "sessionId"),
    ],
)
def test_what_is_not_valid_is_told_by_its_field(writer: Writer, body: dict[str, Any], field: str) -> None:
    problem = call(generate, "POST", "/chat/generate", body=body).problem(422)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert writer.asked == []


def test_an_unknown_model_is_told_the_choices(writer: Writer) -> None:
    assert "quill" in say(model="nobody").problem(422)["errors"][0]["message"]


def test_the_longest_prompts_are_taken_however_they_are_written(writer: Writer) -> None:
    writer.models = (Model("quill", 1_000_000, "quill-1"),)
    assert say("\U0001f5fc" * 32_000, system="\U0001f5fc" * 8_000).status == 201


def test_a_session_needs_a_token_and_its_owner(writer: Writer) -> None:
    session_id = say().json["sessionId"]
    say(sessionId=session_id, caller=None).problem(401)
    say(sessionId=session_id, caller=BEN).problem(404)
    say(sessionId=ids.new()).problem(404)


def test_a_session_that_is_busy_says_when_to_come_again(writer: Writer) -> None:
    session_id = say().json["sessionId"]
    answers: list[Answer] = []

    def script(request: TextRequest) -> Iterator[str]:
        answers.append(say("at once", sessionId=session_id))
        yield "first"

    writer.script = script
    # Its own ``Api``, as another execution environment has it.
    say("first", sessionId=session_id)
    problem = answers[0].problem(409)
    assert problem["type"].endswith(":session-busy")
    assert int(answers[0].headers["retry-after"]) >= 1


def test_when_every_provider_fails_nothing_is_kept(writer: Writer) -> None:
    writer.error = ProviderError("status 503")
    say("lost").problem(502)
    assert "lost" not in [item["title"] for item in listed(limit="100").json["items"]]


@pytest.fixture
def failed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Provider and model of the failed calls of which the queue of usage was told."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(failures, "tell", lambda _service, call, _caller: found.append((call.provider, call.model)))
    return found


def test_of_an_answer_in_pieces_only_one_without_a_record_counts_as_failed(
    writer: Writer, streams: None, failed: list[tuple[str, str]]
) -> None:
    writer.script = breaking(ProviderError("status 500"), "It was")
    (_start, about), *_others = told(say("go on", stream=True).body)
    kept = library.open_library(SERVICE).record(about["id"])
    assert kept is not None
    entry = of_record(kept, makes_pictures=False)
    assert (entry.counters.succeeded, entry.counters.failed) == (1, 0)
    assert entry.counters.output_tokens == kept["meta"]["params"]["outputTokens"] > 0
    assert failed == []

    writer.error = ProviderError("status 503")
    say(stream=True).problem(502)
    assert failed == [("writer", "quill-1")]


def test_a_failure_is_of_the_model_that_the_session_asks_first(writer: Writer, failed: list[tuple[str, str]]) -> None:
    writer.models = (Model("quill", 4096, "quill-1"), Model("pen", 4096, "pen-2"))
    session_id = call(create_session, "POST", "/chat/sessions", body={"model": "pen"}).json["id"]
    writer.error = ProviderError("status 503")
    say(sessionId=session_id).problem(502)
    say(sessionId=session_id, model="quill").problem(502)
    say(model="nobody").problem(422)
    say(sessionId=session_id, caller=None).problem(401)
    assert failed == [("writer", "pen-2"), ("writer", "quill-1")]


@pytest.mark.parametrize("asked", [{"stream": True}, {"accept": "text/event-stream"}])
def test_a_stream_begins_has_pieces_and_ends_with_the_generation(
    writer: Writer, streams: None, asked: dict[str, Any]
) -> None:
    answer = say(**asked)

    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
    (start, about), *deltas, (end, made) = told(answer.body)
    assert (start, end) == ("start", "end")
    assert about == {"id": made["id"], "sessionId": made["sessionId"], "provider": "writer", "model": "quill-1"}
    assert deltas == [("delta", {"text": "Hel"}), ("delta", {"text": "lo"})]
    assert call(get_answer, "GET", "/chat/{id}", session_id=made["id"]).json == made


def test_where_the_gateway_does_not_stream_the_events_come_together(writer: Writer) -> None:
    answer = say(stream=True)
    assert (answer.status, [name for name, _data in told(answer.body)]) == (200, ["start", "delta", "delta", "end"])


def test_before_its_first_piece_a_streams_errors_are_ordinary_problems(writer: Writer, streams: None) -> None:
    writer.error = ProviderError("status 503")
    say(stream=True).problem(502)
    writer.error = None
    say(stream=True, sessionId=ids.new()).problem(404)
    say(stream=True, model="nobody").problem(422)


def test_a_stream_that_breaks_off_ends_with_a_problem_and_is_kept(writer: Writer, streams: None) -> None:
    writer.script = breaking(ProviderError("status 500"), "It was")

    answer = say("go on", stream=True)

    (_start, about), (_delta, piece), (name, problem) = told(answer.body)
    assert (piece, name, problem["status"]) == ({"text": "It was"}, "error", 502)
    assert problem["requestId"] == answer.headers["x-request-id"]
    kept = call(get_answer, "GET", "/chat/{id}", session_id=about["id"]).json
    assert (kept["text"], kept["finishReason"]) == ("It was", "error")


def test_a_piece_is_there_before_the_next_one_is_written(writer: Writer, streams: None) -> None:
    written: list[str] = []
    taken: list[str] = []

    def script(request: TextRequest) -> Iterator[str]:
        for piece in ("one", "two"):
            written.append(piece)
            yield piece
            while len(taken) < len(written) + 1:  # its ``start`` comes first
                pass

    writer.script = script
    event = events.aws("POST", "/chat/generate", body='{"prompt": "x", "stream": true}', headers=headers(ANA))
    response = generate.handler(event, events.Context())
    for piece in response["body"]:
        taken.append(piece)
        if '"one"' in piece:
            assert written == ["one"]
    assert [name for name, _data in told("".join(taken))] == ["start", "delta", "delta", "end"]


@pytest.mark.parametrize("in_pieces", [True, False])
def test_a_message_with_a_key_is_answered_once(writer: Writer, streams: None, in_pieces: bool) -> None:
    first, second = (say("hi", key=f"key-{in_pieces}", stream=in_pieces) for _each in range(2))

    assert len(writer.asked) == 1
    if not in_pieces:
        assert second.json == first.json
        return
    (start, about), (delta, piece), (end, made) = told(second.body)
    assert (start, delta, end, piece) == ("start", "delta", "end", {"text": "Hello"})
    assert made == told(first.body)[-1][1]
    assert about == told(first.body)[0][1]


def test_models_are_told_with_their_contexts(writer: Writer) -> None:
    writer.models = (Model("quill", 4096, "q"), Model("pen", 100, "p"))
    answer = call(models, "GET", "/chat/models", caller=None)
    assert answer.json == {
        "items": [
            {"id": "quill", "provider": "writer", "contextTokens": 4096, "default": True},
            {"id": "pen", "provider": "writer", "contextTokens": 100, "default": False},
        ]
    }


def test_a_session_from_its_beginning_to_its_end(writer: Writer, gateway: Gateway) -> None:
    created = call(create_session, "POST", "/chat/sessions", body={"system": "Be kind."}, gateway=gateway)
    assert created.status == 201
    session_id = created.json["id"]
    assert created.headers["location"] == f"/chat/sessions/{session_id}"
    assert created.json["title"] is None

    say("What is a lamp?", sessionId=session_id, gateway=gateway)
    assert [message.content for message in writer.asked[-1].messages] == ["Be kind.", "What is a lamp?"]
    assert read(session, session_id).json["title"] == "What is a lamp?"

    changed = call(
        change_session,
        "PATCH",
        "/chat/sessions/{id}",
        session_id=session_id,
        body={"title": "Lamps", "starred": True, "system": None},
        gateway=gateway,
    )
    assert (changed.json["title"], changed.json["starred"], changed.json["system"]) == ("Lamps", True, None)
    assert session_id in [item["id"] for item in listed(starred="true").json["items"]]

    page = read(messages, session_id).json
    assert [(item["role"], item["content"]) for item in page["items"]] == [
        ("assistant", "Hello"),
        ("user", "What is a lamp?"),
    ]
    assert page["nextCursor"] is None
    assert set(page["items"][0]) == {"id", "role", "content", "createdAt", "model", "usage"}
    assert set(page["items"][1]) == {"id", "role", "content", "createdAt"}

    assert read(end_session, session_id, "DELETE").status == 204
    read(end_session, session_id, "DELETE").problem(404)
    read(session, session_id).problem(404)
    read(messages, session_id).problem(404)
    call(get_answer, "GET", "/chat/{id}", session_id=page["items"][0]["id"]).problem(404)


@pytest.mark.parametrize("caller", [None, BEN])
def test_a_session_is_its_owners_alone(writer: Writer, caller: Identity | None) -> None:
    session_id = say().json["sessionId"]
    status = 401 if caller is None else 404
    read(session, session_id, caller=caller).problem(status)
    read(messages, session_id, caller=caller).problem(status)
    read(end_session, session_id, "DELETE", caller=caller).problem(status)
    body = {"title": "mine now"}
    call(change_session, "PATCH", "/chat/sessions/{id}", session_id=session_id, body=body, caller=caller).problem(
        status
    )
    assert read(session, session_id).status == 200


@pytest.mark.parametrize("function", [sessions, session, messages])
def test_head_is_answered_like_get_without_its_body(writer: Writer, function: ModuleType) -> None:
    session_id = say().json["sessionId"]
    resource = {
        sessions: "/chat/sessions",
        session: "/chat/sessions/{id}",
        messages: "/chat/sessions/{id}/messages",
    }[function]
    given = "" if function is sessions else session_id
    head = call(function, "HEAD", resource, session_id=given)
    got = call(function, "GET", resource, session_id=given)
    assert (head.status, head.body) == (200, "")
    assert head.headers["content-length"] == str(len(got.body.encode()))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": None}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"starred": "yes"}, "starred"),
        ({"starred": None}, "starred"),
        ({"model": "nobody"}, "model"),
        ({"system": "x" * 8001}, "system"),
    ],
)
def test_a_change_that_is_not_valid_changes_nothing(writer: Writer, body: dict[str, Any], field: str) -> None:
    made = say().json["sessionId"]
    before = read(session, made).json
    answer = call(change_session, "PATCH", "/chat/sessions/{id}", session_id=made, body=body)
    assert [error["field"] for error in answer.problem(422)["errors"]] == [field]
    assert read(session, made).json == before


def test_a_session_cannot_begin_with_a_model_that_nobody_offers(writer: Writer) -> None:
    call(create_session, "POST", "/chat/sessions", body={"model": "nobody"}).problem(422)


@pytest.mark.parametrize("query", [{"limit": "0"}, {"cursor": "x"}, {"starred": "perhaps"}])
def test_a_list_that_is_asked_for_wrongly_is_told_so(writer: Writer, query: dict[str, str]) -> None:
    problem = call(sessions, "GET", "/chat/sessions", query=query).problem(422)
    assert [error["field"] for error in problem["errors"]] == list(query)


def test_pages_of_sessions_and_messages_go_on_by_their_cursors(writer: Writer) -> None:
    session_id = say("one").json["sessionId"]
    say("two", sessionId=session_id)
    say("another session")
    seen = []
    cursor: dict[str, str] = {}
    for _page in range(4):
        page = call(
            messages, "GET", "/chat/sessions/{id}/messages", session_id=session_id, query={"limit": "1", **cursor}
        ).json
        seen += [item["content"] for item in page["items"]]
        cursor = {"cursor": page["nextCursor"] or ""}
    assert seen == ["Hello", "two", "Hello", "one"]
    assert cursor == {"cursor": ""}
    # The other tests' sessions are hers, too, and as old where the clock stands still between tests.
    hers = [item["id"] for item in listed(limit="100").json["items"]]
    assert session_id in hers[1:]
    paged, cursor = [], {}
    while cursor != {"cursor": ""}:
        page = listed(limit="1", **cursor).json
        paged += [item["id"] for item in page["items"]]
        cursor = {"cursor": page["nextCursor"] or ""}
    assert paged == hers
