"""Answers in pieces, as API Gateway and Lambda stream them, where MiniStack 1.5 answers whole; added to it in process.

* The transfer mode and the timeout of an integration in the OpenAPI body (`responseTransferMode`, `timeoutInMillis`).
* A worker hands out the pieces of an answer whose body is an iterator, if its function has a runtime that streams
  (`AWS_LAMBDA_EXEC_WRAPPER`); the wrapper itself does not run, since workers speak a protocol of MiniStack's.
* An integration that streams sends the pieces on to the client as they come. A function that fails in the middle breaks
  the connection off; a client that leaves does not stop the function.

Whoever else calls the function gets its answer whole.
"""

from __future__ import annotations

import asyncio
import base64
import contextvars
import importlib
import json
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

STREAMING_INVOCATIONS = "/response-streaming-invocations"
# A client that reads slowly holds the function up when so many wait for it.
PIECES_AHEAD = 256

# What MiniStack's worker does with an answer, and what it does instead.
_WRITES_ANSWER = '_real_stdout.write(json.dumps({"status": "ok", "result": result}) + "\\n")'
_WRITES_PIECES = _WRITES_ANSWER.replace("result}", "_in_pieces(result, _real_stdout)}")
_WORKER = """
import os
if os.environ.get("AWS_LAMBDA_EXEC_WRAPPER"):
    os.environ["STREAMING_RUNTIME"] = "1"

def _in_pieces(answer, out):
    import base64
    body = answer.get("body") if isinstance(answer, dict) else None
    if "STREAMING_RUNTIME" not in os.environ or not hasattr(body, "__next__"):
        return answer
    out.write(json.dumps({"prelude": {name: answer[name] for name in answer if name != "body"}}) + "\\n")
    out.flush()
    for piece in body:
        content = piece.encode() if isinstance(piece, str) else piece
        out.write(json.dumps({"piece": base64.b64encode(content).decode()}) + "\\n")
        out.flush()
    return None
"""


def install(apigateway: Any, lambda_runtime: Any) -> None:
    """Put everything of this module into MiniStack's `apigateway_v1` and `core.lambda_runtime`."""
    _import_transfer_mode(apigateway)
    _hand_out_pieces(lambda_runtime)
    _send_pieces(apigateway)


def _import_transfer_mode(apigateway: Any) -> None:
    """Importing an operation sets its integration's transfer mode and timeout."""
    import_operation = apigateway._import_operation

    def with_mode(api_id: str, resource_id: str, http_method: str, operation: Any, *rest: Any) -> None:
        import_operation(api_id, resource_id, http_method, operation, *rest)
        definition = (operation or {}).get("x-amazon-apigateway-integration")
        if not definition:
            return
        method = apigateway._resources[api_id][resource_id]["resourceMethods"][http_method]
        integration = method["methodIntegration"]
        integration["responseTransferMode"] = definition.get("responseTransferMode", "BUFFERED")
        if "timeoutInMillis" in definition:
            integration["timeoutInMillis"] = int(definition["timeoutInMillis"])
        # MiniStack finds the function's name in the other kind of address.
        integration["uri"] = (integration["uri"] or "").replace(STREAMING_INVOCATIONS, "/invocations")

    apigateway._import_operation = with_mode


class _Stream:
    """The way of a streamed answer: from the thread that reads it off the worker to the request that waits for it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.prelude: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self.has_begun = False
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = threading.Semaphore(PIECES_AHEAD)
        self._is_left = False
        self._is_whole = False
        self._deadline = 0.0
        self._seconds = 0

    # In the thread

    def allow(self, seconds: int) -> None:
        """Say how long the call may take from now on."""
        self._seconds, self._deadline = seconds, time.monotonic() + seconds

    def begin(self, prelude: dict[str, Any]) -> None:
        """Status and headers are there."""
        self.has_begun = True
        self._loop.call_soon_threadsafe(self.prelude.set_result, prelude)

    def put(self, piece: bytes) -> None:
        """A piece is there. Waits while too many of them do; raises ``TimeoutError`` where the call takes too long."""
        if not self._is_left:
            if not self._room.acquire(timeout=max(0.0, self._deadline - time.monotonic())):
                raise TimeoutError(f"Task timed out after {self._seconds}.00 seconds")
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)

    def end(self, *, is_whole: bool) -> None:
        """The function is done, well or not."""
        self._is_whole = is_whole
        self._loop.call_soon_threadsafe(self._pieces.put_nowait, None)

    # In the loop

    async def send_on(
        self, send: Callable[[dict[str, Any]], Awaitable[None]], _receive: Callable[[], Awaitable[Any]]
    ) -> None:
        """Send the pieces to the client. A body that is not whole gets no end, so the connection breaks off."""
        try:
            while (piece := await self._pieces.get()) is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                self._room.release()
            if self._is_whole:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            # Nobody takes any more, and the function goes on, also if it waits.
            self._is_left = True
            self._room.release()


class _Whole:
    """A streamed answer for somebody who wants it whole."""

    def __init__(self) -> None:
        self.has_begun = False
        self._prelude: dict[str, Any] = {}
        self._pieces: list[bytes] = []

    def begin(self, prelude: dict[str, Any]) -> None:
        """Status and headers are there."""
        self.has_begun, self._prelude = True, prelude

    def put(self, piece: bytes) -> None:
        """A piece is there."""
        self._pieces.append(piece)

    def answer(self) -> dict[str, Any]:
        """All of it."""
        return {**self._prelude, "body": b"".join(self._pieces).decode()}


# The stream of the request that a call belongs to.
_stream: contextvars.ContextVar[_Stream | None] = contextvars.ContextVar("stream", default=None)


class _Output:
    """A worker's output without the pieces of answers, which go to whoever takes them."""

    def __init__(self, output: Any, taker: _Stream | _Whole) -> None:
        self._output = output
        self.taker = taker

    def readline(self) -> str:
        """The next line that is about something else; nothing at the end."""
        while True:
            line: str = self._output.readline()
            if line.startswith('{"prelude":'):
                self.taker.begin(json.loads(line)["prelude"])
            elif line.startswith('{"piece":'):
                self.taker.put(base64.b64decode(json.loads(line)["piece"]))
            else:
                return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._output, name)


def _hand_out_pieces(lambda_runtime: Any) -> None:
    """Workers write the pieces of an answer as they are made, and the call that waits for the answer gets them."""
    detect = lambda_runtime._detect_runtime_binary
    spawn, invoke = lambda_runtime.Worker._spawn, lambda_runtime.Worker.invoke

    def detected(runtime: str) -> tuple[str, str]:
        binary, script = detect(runtime)
        if not runtime.startswith("python"):
            return binary, script
        if _WRITES_ANSWER not in script:
            raise RuntimeError("MiniStack's worker writes answers in another way than this module knows")
        return binary, _WORKER + script.replace(_WRITES_ANSWER, _WRITES_PIECES)

    def spawned(worker: Any) -> None:
        spawn(worker)
        worker.output = worker._proc.stdout = _Output(worker._proc.stdout, getattr(worker, "taker", _Whole()))

    def invoked(worker: Any, *arguments: Any, **named: Any) -> Any:
        taker = worker.taker = _stream.get() or _Whole()
        if hasattr(worker, "output"):
            worker.output.taker = taker
        if isinstance(taker, _Stream):
            taker.allow(worker.config.get("Timeout", 30))
        result: dict[str, Any] = {}
        try:
            result = invoke(worker, *arguments, **named)
        finally:
            if isinstance(taker, _Stream):
                taker.end(is_whole=result.get("status") == "ok")
        if isinstance(taker, _Whole) and taker.has_begun and result["status"] == "ok":
            result["result"] = taker.answer()
        return result

    lambda_runtime._detect_runtime_binary = detected
    lambda_runtime.Worker._spawn, lambda_runtime.Worker.invoke = spawned, invoked


def _send_pieces(apigateway: Any) -> None:
    """An integration that streams answers as soon as status and headers are there."""
    invoke_proxy = apigateway._invoke_lambda_proxy_v1
    streaming_response = importlib.import_module("ministack.core.responses").StreamingResponse
    running: set[asyncio.Task[Any]] = set()

    async def invoked(integration: dict[str, Any], *arguments: Any, **named: Any) -> Any:
        if integration.get("responseTransferMode") != "STREAM":
            return await invoke_proxy(integration, *arguments, **named)
        stream = _Stream()
        token = _stream.set(stream)
        # A task of its own: the function goes on when the client is gone.
        call = asyncio.create_task(invoke_proxy(integration, *arguments, **named))
        _stream.reset(token)
        running.add(call)
        call.add_done_callback(running.discard)
        call.add_done_callback(_heed)
        await asyncio.wait({call, stream.prelude}, return_when=asyncio.FIRST_COMPLETED)
        if not stream.prelude.done():
            return call.result()
        prelude = stream.prelude.result()
        return int(prelude["statusCode"]), _headers(prelude), streaming_response(stream.send_on)

    apigateway._invoke_lambda_proxy_v1 = invoked


def _heed(call: asyncio.Task[Any]) -> None:
    """A call that fails after its answer has begun breaks it off; nobody asks for the error itself."""
    if not call.cancelled():
        call.exception()


def _headers(prelude: dict[str, Any]) -> dict[str, Any]:
    """The headers of a streamed answer; where both kinds have a name, the one with many values holds."""
    headers: dict[str, Any] = {"content-type": "application/json"}
    for kind in ("headers", "multiValueHeaders"):
        headers |= {name.lower(): value for name, value in (prelude.get(kind) or {}).items()}
    if prelude.get("cookies"):
        headers["set-cookie"] = prelude["cookies"]
    return headers
