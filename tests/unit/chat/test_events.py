"""An answer's events: what is raised before the first one, and how a stream ends."""

import json
import threading
from typing import Any, cast

import pytest

from core.errors import BadGateway, NotFound, ProblemError
from generation.chat import events
from generation.chat.turn import Emit
from generation.records import Generation
from tests.unit.conftest import Log

MADE = cast(
    Generation,
    {"id": "one", "sessionId": None, "text": "Hello", "meta": {"provider": "writer", "model": "quill"}},
)
ABOUT = {"id": "one", "sessionId": None, "provider": "writer", "model": "quill"}
PATIENCE = 30.0


def told(*pieces: str) -> list[tuple[str, Any]]:
    lines = [piece.split("\n") for piece in pieces]
    return [(line[0].removeprefix("event: "), json.loads(line[1].removeprefix("data: "))) for line in lines]


@pytest.mark.parametrize("error", [NotFound("none"), ZeroDivisionError("a bug"), KeyboardInterrupt()])
def test_what_happens_before_the_first_event_is_raised(error: BaseException) -> None:
    def answer(emit: Emit) -> Generation:
        raise error

    with pytest.raises(type(error)):
        events.of(answer, "request")


def test_a_stream_ends_with_the_generation() -> None:
    def answer(emit: Emit) -> Generation:
        emit("start", ABOUT)
        emit("delta", {"text": "Hello"})
        return MADE

    assert told(*events.of(answer, "request")) == [("start", ABOUT), ("delta", {"text": "Hello"}), ("end", MADE)]


def test_an_answer_that_was_there_already_comes_in_one_piece() -> None:
    assert told(*events.of(lambda emit: MADE, "request")) == [
        ("start", ABOUT),
        ("delta", {"text": "Hello"}),
        ("end", MADE),
    ]


@pytest.mark.parametrize(("error", "status"), [(BadGateway("no"), 502), (ZeroDivisionError("a secret"), 500)])
def test_what_happens_after_the_first_event_is_the_last_one(error: Exception, status: int, log: Log) -> None:
    def answer(emit: Emit) -> Generation:
        emit("start", ABOUT)
        raise error

    (_start, (name, problem)) = told(*events.of(answer, "request"))
    assert (name, problem["status"], problem["requestId"]) == ("error", status, "request")
    assert "secret" not in json.dumps(problem)
    assert len(log.of("unhandled error in a stream")) == (not isinstance(error, ProblemError))


def test_an_answer_that_broke_off_has_no_end() -> None:
    def answer(emit: Emit) -> Generation:
        emit("start", ABOUT)
        emit("error", {"status": 502})
        return MADE

    assert told(*events.of(answer, "request")) == [("start", ABOUT), ("error", {"status": 502, "requestId": "request"})]


def test_an_answer_is_made_to_its_end_though_nobody_takes_its_events() -> None:
    done = threading.Event()

    def answer(emit: Emit) -> Generation:
        emit("start", ABOUT)
        for _piece in range(1000):
            emit("delta", {"text": "x"})
        done.set()
        return MADE

    events.of(answer, "request")
    assert done.wait(PATIENCE)
