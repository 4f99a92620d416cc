"""Answers that leave in pieces: what a handler returns, and server-sent events.

A handler returns a Lambda proxy response whose body is an iterator. ``core.runtime`` sends its pieces as they come; on
a gateway that does not stream, ``is_available`` is false and the handler joins them.
"""

import contextvars
import json
import os
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NotRequired, TypedDict

EVENT_STREAM = "text/event-stream"
# A gateway ends a connection on which nothing comes for some minutes, and people's proxies after 30 or 60 seconds.
SILENCE_SECONDS = 10.0
KEEP_ALIVE = ": keep-alive\n\n"
# What a runtime sets that takes pieces: ours on Lambda, the local platform's workers.
RUNTIME_VARIABLE = "STREAMING_RUNTIME"
# What a stack sets to `off` for answers that come whole on every gateway.
SWITCH_VARIABLE = "RESPONSE_STREAMING"

# What comes next out of a queue, within some seconds; else ``queue.Empty`` is raised.
Take = Callable[["queue.Queue[Any]", float], Any]


class StreamedResponse(TypedDict):
    """A proxy response whose body is still being made."""

    statusCode: int
    headers: NotRequired[dict[str, str]]
    multiValueHeaders: NotRequired[dict[str, list[str]]]
    cookies: NotRequired[list[str]]
    body: Iterator[str | bytes]


def is_available(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether pieces of this function's answers reach the gateway as they come."""
    return environ.get(RUNTIME_VARIABLE) == "1" and environ.get(SWITCH_VARIABLE) != "off"


def is_streamed(answer: object) -> bool:
    """Whether what a handler returned is a ``StreamedResponse``."""
    return isinstance(answer, dict) and hasattr(answer.get("body"), "__next__")


def prelude(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What goes before the body of a streamed proxy response: status, headers and cookies."""
    kept = ("statusCode", "headers", "multiValueHeaders", "cookies")
    return {name: answer[name] for name in kept if answer.get(name) is not None}


def encoded(pieces: Iterable[str | bytes]) -> Generator[bytes, None, None]:
    """The pieces that are not empty, as bytes. Closes ``pieces`` when it ends."""
    with _closing(pieces):
        for piece in pieces:
            if piece:
                yield piece.encode() if isinstance(piece, str) else piece


@contextmanager
def _closing(pieces: object) -> Iterator[None]:
    """End a generator that is not read to its end, with what it holds."""
    try:
        yield
    finally:
        if close := getattr(pieces, "close", None):
            close()


def whole(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A streamed response as an ordinary one: its pieces, which are UTF-8, are joined."""
    return {**answer, "body": b"".join(encoded(answer["body"])).decode()}


def event(name: str, data: object) -> str:
    """A server-sent event with JSON as its data (HTML standard, section 9.2)."""
    # JSON escapes line breaks, so the data are one line.
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"


def keep_alive(
    events: Iterable[str],
    *,
    silence: float = SILENCE_SECONDS,
    take: Take = lambda box, seconds: box.get(timeout=seconds),
) -> Generator[str, None, None]:
    """The events, and a comment whenever nothing has come for ``silence`` seconds.

    ``events`` runs in a thread of its own, a few events ahead at most; what it raises is raised here.
    """
    box: queue.Queue[tuple[str | None, BaseException | None]] = queue.Queue(maxsize=1)
    left = threading.Event()

    def run() -> None:
        try:
            with _closing(events):
                for piece in events:
                    box.put((piece, None))
                    if left.is_set():
                        return
        except BaseException as error:
            box.put((None, error))
        else:
            box.put((None, None))

    threading.Thread(target=contextvars.copy_context().run, args=(run,), name="events", daemon=True).start()
    try:
        while True:
            try:
                piece, error = take(box, silence)
            except queue.Empty:
                yield KEEP_ALIVE
                continue
            if error is not None:
                raise error
            if piece is None:
                return
            yield piece
    finally:
        # Nobody takes any more: the thread puts what it has, sees that, and ends.
        left.set()
        with suppress(queue.Empty):
            box.get_nowait()
