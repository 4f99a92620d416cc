"""The runtime loop against a Runtime API on loopback."""

import json
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

import core
from core.runtime import Context, Handler, Runtime
from core.streaming import StreamedResponse
from tests import events
from tests.unit.core.runtime_api import PATIENCE_SECONDS, RuntimeApi, running

SCRIPT = Path(core.__file__).with_name("streaming-runtime")
REQUEST = events.aws("GET", "/stream")
PREFIX = "/2018-06-01/runtime/invocation/11111111-2222-3333-4444-555555555555"


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    with running() as api:
        yield api


@pytest.fixture
def worker() -> Iterator[ThreadPoolExecutor]:
    """Where the runtime runs beside the test."""
    with ThreadPoolExecutor(1) as worker:
        yield worker


@pytest.fixture(autouse=True)
def _trace_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "of an earlier invocation")


def streamed(pieces: Iterator[str | bytes]) -> StreamedResponse:
    return {"statusCode": 200, "headers": {"Content-Type": "text/plain"}, "body": pieces}


def answer(api: RuntimeApi, handler: Handler, times: int = 1, clock: Callable[[], float] = time.time) -> None:
    with closing(HTTPConnection(api.address)) as connection:
        runtime = Runtime(connection, handler, clock=clock)
        for _ in range(times):
            runtime.answer_next()


def test_each_piece_is_out_before_the_next_is_made(api: RuntimeApi, worker: ThreadPoolExecutor) -> None:
    allowed = {piece: threading.Event() for piece in ("one", "two")}

    def pieces() -> Iterator[str | bytes]:
        for piece, event in allowed.items():
            assert event.wait(PATIENCE_SECONDS)
            yield piece
        yield b"\xff"

    api.invoke(REQUEST)
    running = worker.submit(answer, api, lambda _event, _context: streamed(pieces()))
    call = api.posted()

    assert call.path == f"{PREFIX}/response"
    assert call.headers["Lambda-Runtime-Function-Response-Mode"] == "streaming"
    assert call.headers["Content-Type"] == "application/vnd.awslambda.http-integration-response"
    assert call.prelude() == {"statusCode": 200, "headers": {"Content-Type": "text/plain"}}
    for piece, event in allowed.items():
        event.set()
        assert call.next_chunk() == piece.encode()
    assert call.rest() == b"\xff"
    running.result(PATIENCE_SECONDS)
    assert call.trailers == {}


def test_a_failure_in_the_middle_goes_into_the_trailers(api: RuntimeApi, capsys: pytest.CaptureFixture[str]) -> None:
    def pieces() -> Iterator[str | bytes]:
        yield "one"
        raise ConnectionError("the model's server is gone")

    api.invoke(REQUEST)
    answer(api, lambda _event, _context: streamed(pieces()))
    call = api.posted()

    call.prelude()
    assert call.rest() == b"one"
    kind, described = call.error()
    assert (kind, described["errorType"]) == ("ConnectionError", "ConnectionError")
    assert described["errorMessage"] == "the model's server is gone"
    assert "in pieces" in described["stackTrace"][-1]
    assert json.loads(capsys.readouterr().err) == described


def test_memory_does_not_grow_with_the_answer(api: RuntimeApi) -> None:
    size, count = 64 * 1024, 800
    api.discard = True
    api.invoke(REQUEST)

    tracemalloc.start()
    try:
        answer(api, lambda _event, _context: streamed(bytes([number % 256]) * size for number in range(count)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < size * count / 25
    assert api.posted().rest() == b""


def test_an_ordinary_answer_leaves_whole_in_the_same_format(api: RuntimeApi) -> None:
    whole = {"statusCode": 404, "multiValueHeaders": {"X-A": ["1", "2"]}, "body": "nothing", "isBase64Encoded": False}
    picture = {"statusCode": 200, "cookies": ["a=b"], "body": "iVBORw==", "isBase64Encoded": True}
    empty = {"statusCode": 204, "headers": None, "body": None}

    for given, prelude, body in (
        (whole, {"statusCode": 404, "multiValueHeaders": {"X-A": ["1", "2"]}}, b"nothing"),
        (picture, {"statusCode": 200, "cookies": ["a=b"]}, b"\x89PNG"),
        (empty, {"statusCode": 204}, b""),
    ):
        api.invoke(REQUEST)
        answer(api, lambda _event, _context, given=given: given)
        call = api.posted()
        assert (call.prelude(), call.rest()) == (prelude, body)


@pytest.mark.parametrize("event", [{"Records": []}, [], None, "text", 7])
def test_an_event_that_is_no_http_request_is_answered_with_json(api: RuntimeApi, event: Any) -> None:
    api.invoke(event)
    answer(api, lambda given, _context: {"got": given})
    api.invoke(event)
    answer(api, lambda _event, _context: streamed(iter(["é", "\N{GRINNING FACE}".encode()])))

    plain, joined = api.posted(), api.posted()
    assert "Lambda-Runtime-Function-Response-Mode" not in plain.headers
    assert json.loads(plain.body) == {"got": event}
    assert json.loads(joined.body)["body"] == "é\N{GRINNING FACE}"


def test_a_handler_that_fails_is_an_error_of_the_invocation_and_the_loop_goes_on(
    api: RuntimeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    def handler(event: Any, _context: Context) -> Any:
        return {"answer": 10 / event}

    for event in (0, 5):
        api.invoke(event)
    answer(api, handler, times=2)

    failed, answered = api.posted(), api.posted()
    assert failed.path == f"{PREFIX}/error"
    assert failed.headers["Lambda-Runtime-Function-Error-Type"] == "ZeroDivisionError"
    assert json.loads(failed.body)["errorMessage"] == "division by zero"
    assert json.loads(answered.body) == {"answer": 2}
    assert json.loads(capsys.readouterr().err)["errorType"] == "ZeroDivisionError"


def test_an_answer_that_nobody_takes_is_made_to_its_end(api: RuntimeApi) -> None:
    made = []

    def pieces() -> Iterator[bytes]:
        for number in range(200):
            made.append(number)
            yield bytes(64 * 1024)

    api.break_off = True
    api.invoke(REQUEST)
    api.invoke("another")
    answer(api, lambda event, _context: streamed(pieces()) if event == REQUEST else "next", times=2)

    assert len(made) == 200
    api.posted()
    assert api.posted().body == b'"next"'


def test_the_context_says_what_the_managed_runtimes_says(api: RuntimeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_LAMBDA_FUNCTION_NAME": "chat",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_LOG_GROUP_NAME": "group",
        "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
    }.items():
        monkeypatch.setenv(name, value)
    seen: list[tuple[Any, int, str | None]] = []

    def handler(_event: Any, context: Context) -> None:
        seen.append((context, context.get_remaining_time_in_millis(), os.environ.get("_X_AMZN_TRACE_ID")))

    api.invoke(
        {}, Deadline_Ms="1003500", Trace_Id="Root=1", Invoked_Function_Arn="arn:chat", Client_Context='{"env": 1}'
    )
    api.invoke({}, Deadline_Ms="999000", Cognito_Identity='{"cognitoIdentityId": "a", "cognitoIdentityPoolId": "b"}')
    answer(api, handler, times=2, clock=lambda: 1_000.0)

    (first, remaining, trace), (second, none_remaining, no_trace) = seen
    assert (remaining, none_remaining) == (3500, 0)
    assert (trace, no_trace) == ("Root=1", None)
    assert first.aws_request_id == "11111111-2222-3333-4444-555555555555"
    assert (first.function_name, first.function_version, first.memory_limit_in_mb) == ("chat", "$LATEST", 512)
    assert (first.log_group_name, first.log_stream_name) == ("group", "stream")
    assert (first.invoked_function_arn, first.client_context.env) == ("arn:chat", 1)
    assert first.identity.cognito_identity_id is None
    assert second.client_context is None
    assert (second.identity.cognito_identity_id, second.identity.cognito_identity_pool_id) == ("a", "b")


# ---------------------------------------------------------------- the script that Lambda starts


def start(api: RuntimeApi, task: Path, **variables: str) -> "subprocess.Popen[str]":
    """What Lambda does: the wrapper, with the managed runtime's command line as arguments."""
    managed = task / "bootstrap.py"
    managed.write_text("print('the managed runtime')")
    return subprocess.Popen(
        [SCRIPT, sys.executable, managed],
        env={
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "LAMBDA_TASK_ROOT": str(task),
            "_HANDLER": "words.stream.handler",
            "PYTHONDONTWRITEBYTECODE": "1",
            **variables,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def function(task: Path, source: str) -> None:
    (task / "words").mkdir()
    (task / "words" / "stream.py").write_text(source)


@pytest.mark.parametrize(
    ("variables", "is_available"),
    [({}, b"True"), ({"RESPONSE_STREAMING": "on"}, b"True"), ({"RESPONSE_STREAMING": "off"}, b"False")],
)
def test_the_script_starts_the_loop_and_the_handler_knows(
    api: RuntimeApi, tmp_path: Path, variables: dict[str, str], is_available: bytes
) -> None:
    function(
        tmp_path,
        "from core import streaming\n"
        "def handler(event, context):\n"
        "    print('asked')\n"
        "    return {'statusCode': 200, 'body': iter([str(streaming.is_available())])}\n",
    )
    api.invoke(REQUEST)
    with start(api, tmp_path, **variables) as process:
        call = api.posted()
        assert call.prelude() == {"statusCode": 200}
        assert call.rest() == is_available
        process.terminate()
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert out == "asked\n"


@pytest.mark.parametrize(
    ("source", "kind"), [("raise LookupError('no settings')", "LookupError"), ("", "AttributeError")]
)
def test_a_handler_that_cannot_be_imported_is_an_error_of_the_initialisation(
    api: RuntimeApi, tmp_path: Path, source: str, kind: str
) -> None:
    function(tmp_path, source)
    with start(api, tmp_path) as process:
        call = api.posted()
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)

    assert call.path == "/2018-06-01/runtime/init/error"
    assert call.headers["Lambda-Runtime-Function-Error-Type"] == kind
    assert json.loads(call.body)["errorType"] == kind
    assert kind in errors
    assert process.returncode == 1


@pytest.mark.parametrize("variables", [{"AWS_SAM_LOCAL": "true"}, {"LOCALSTACK_HOSTNAME": "10.0.0.1"}])
def test_the_managed_runtime_stays_where_the_answer_comes_whole(
    api: RuntimeApi, tmp_path: Path, variables: dict[str, str]
) -> None:
    with start(api, tmp_path, **variables) as process:
        out, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (out, errors) == ("the managed runtime\n", "")
