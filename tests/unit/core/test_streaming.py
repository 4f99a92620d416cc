"""Server-sent events, the comments that keep a connection alive, and routes that answer with them."""

import contextvars
import json
import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest
from aws_lambda_powertools.event_handler import Response

from core import streaming
from core.errors import Conflict
from core.http import Api
from core.logging import logger
from core.runtime import Runtime
from core.streaming import KEEP_ALIVE, event, keep_alive
from tests import events
from tests.unit.conftest import Log
from tests.unit.core.runtime_api import PATIENCE_SECONDS, running

REQUEST = events.aws("POST", "/talk", body="{}")


class Talk:
    """A function that answers with events; ``words`` are said one by one."""

    def __init__(self) -> None:
        self.api = Api()
        self.words: Iterator[str] = iter(("one", "two"))
        self.api.post("/talk", operation_id="talk")(self.answer)

    def answer(self) -> Response[str]:
        """The route."""
        return self.api.stream(event("delta", {"text": word}) for word in self.words)

    def ask(self) -> dict[str, Any]:
        """What the function returns to Lambda."""
        return self.api.resolve(REQUEST, events.Context())


@pytest.fixture
def talk() -> Talk:
    return Talk()


@pytest.fixture
def _streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(streaming.RUNTIME_VARIABLE, "1")


def failing(*words: str) -> Iterator[str]:
    yield from words
    raise TimeoutError("the model is silent")


# ---------------------------------------------------------------- events


def test_an_event_is_its_name_and_one_line_of_json() -> None:
    assert event("delta", {"text": "a\nb\r\n¿\u2028?"}) == 'event: delta\ndata: {"text":"a\\nb\\r\\n¿\u2028?"}\n\n'


# ---------------------------------------------------------------- silence


def silences(*moments: int) -> streaming.Take:
    """A clock on which nothing has come in time at these takes, counted from 0."""
    taken = iter(range(1_000_000))

    def take(box: "queue.Queue[Any]", seconds: float) -> Any:
        assert seconds == streaming.SILENCE_SECONDS
        if next(taken) in moments:
            raise queue.Empty
        return box.get(timeout=PATIENCE_SECONDS)

    return take


def test_silence_is_filled_with_comments_and_nothing_is_lost_or_doubled() -> None:
    kept = list(keep_alive(iter(("a", "b")), take=silences(0, 1, 3, 5)))

    assert kept == [KEEP_ALIVE, KEEP_ALIVE, "a", KEEP_ALIVE, "b", KEEP_ALIVE]
    assert KEEP_ALIVE == ": keep-alive\n\n"


def test_a_real_silence_is_filled() -> None:
    over = threading.Event()

    def late() -> Iterator[str]:
        assert over.wait(PATIENCE_SECONDS)
        yield "late"

    kept = keep_alive(late(), silence=0.001)
    assert next(kept) == KEEP_ALIVE
    over.set()
    assert [piece for piece in kept if piece != KEEP_ALIVE] == ["late"]


def test_a_failure_comes_after_what_came_before_it() -> None:
    kept = keep_alive(failing("a"), take=silences())

    assert next(kept) == "a"
    with pytest.raises(TimeoutError, match="silent"):
        next(kept)


def test_events_are_made_as_they_are_taken_and_not_all_at_once() -> None:
    made: list[int] = []

    def many() -> Iterator[str]:
        for number in range(1000):
            made.append(number)
            yield str(number)

    kept = keep_alive(many(), take=silences())
    for taken in range(100):
        next(kept)
        assert len(made) <= taken + 4
    kept.close()


def test_a_reader_that_leaves_ends_the_events_with_what_they_hold() -> None:
    closed = threading.Event()

    def endless() -> Generator[str, None, None]:
        try:
            while True:
                yield "more"
        finally:
            closed.set()

    kept = keep_alive(endless(), take=silences())
    next(kept)
    kept.close()

    assert closed.wait(PATIENCE_SECONDS)


def test_events_see_the_context_of_who_asked_for_them() -> None:
    asked = contextvars.ContextVar("asked", default="nobody")
    asked.set("somebody")

    assert list(keep_alive((asked.get() for _ in range(1)), take=silences())) == ["somebody"]


# ---------------------------------------------------------------- routes


def test_a_route_answers_whole_where_the_gateway_does_not_stream(talk: Talk, log: Log) -> None:
    answer = talk.ask()

    assert answer["statusCode"] == 200
    assert answer["body"] == 'event: delta\ndata: {"text":"one"}\n\nevent: delta\ndata: {"text":"two"}\n\n'
    assert answer["multiValueHeaders"]["Content-Type"] == ["text/event-stream"]
    (line,) = log.of("request")
    assert "first_piece_ms" not in line


@pytest.mark.usefixtures("_streams")
def test_the_same_route_answers_in_pieces_where_it_does(talk: Talk) -> None:
    said: list[str] = []

    def words() -> Iterator[str]:
        for word in ("one", "two", "three"):
            said.append(word)
            yield word

    talk.words = words()
    answer = talk.ask()

    assert streaming.is_streamed(answer)
    assert said == []
    headers = answer["multiValueHeaders"]
    assert headers["Content-Type"] == ["text/event-stream"]
    assert headers["Cache-Control"] == ["no-store"]
    assert headers["X-Request-Id"] == [events.REQUEST_ID]
    assert headers["X-Content-Type-Options"] == ["nosniff"]
    assert list(answer["body"]) == [event("delta", {"text": word}) for word in ("one", "two", "three")]


@pytest.mark.usefixtures("_streams")
def test_a_stream_is_one_line_in_the_log_when_it_has_ended(talk: Talk, log: Log) -> None:
    talk.words = (logger.info("said") or "one" for _ in range(1))
    body = talk.ask()["body"]
    next(body)

    assert log.of("request") == []
    assert list(body) == []
    (line,) = log.of("request")
    assert (line["status"], line["route"], line["request_id"]) == (200, "/talk", events.REQUEST_ID)
    assert 0 < line["first_piece_ms"] <= line["duration_ms"]
    assert "broken_off_by" not in line
    assert [each["request_id"] for each in log.of("said")] == [events.REQUEST_ID]


@pytest.mark.usefixtures("_streams")
def test_a_stream_that_breaks_off_says_so_in_the_log_and_to_the_runtime(talk: Talk, log: Log) -> None:
    talk.words = failing("one")
    body = talk.ask()["body"]
    next(body)
    with pytest.raises(TimeoutError):
        next(body)

    (line,) = log.of("request")
    assert line["broken_off_by"] == "TimeoutError"


def test_a_stream_that_breaks_off_where_the_answer_comes_whole_is_a_500(talk: Talk) -> None:
    talk.words = failing("one")
    answer = talk.ask()

    assert answer["statusCode"] == 500
    assert answer["multiValueHeaders"]["Content-Type"] == ["application/problem+json"]


@pytest.mark.usefixtures("_streams")
def test_an_error_before_the_first_event_is_problem_details(talk: Talk, log: Log) -> None:
    @talk.api.post("/busy", operation_id="busy")
    def busy() -> Response[str]:
        talk.answer()
        raise Conflict("Another call is running.", slug="session-busy")

    answer = talk.api.resolve(events.aws("POST", "/busy", body="{}"), events.Context())

    assert answer["statusCode"] == 409
    assert json.loads(answer["body"])["requestId"] == events.REQUEST_ID
    assert [line["status"] for line in log.of("request")] == [409]


@pytest.mark.usefixtures("_streams")
def test_a_route_streams_through_the_runtime_loop(talk: Talk) -> None:
    with running() as runtime_api, closing(HTTPConnection(runtime_api.address)) as connection:
        runtime_api.invoke(REQUEST)
        Runtime(connection, talk.api.resolve).answer_next()
        call = runtime_api.posted()

        prelude = call.prelude()
        assert prelude["statusCode"] == 200
        assert prelude["multiValueHeaders"]["Content-Type"] == ["text/event-stream"]
        assert call.rest().decode() == event("delta", {"text": "one"}) + event("delta", {"text": "two"})
