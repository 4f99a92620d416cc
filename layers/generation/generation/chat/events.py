"""The server-sent events of an answer that is made in a thread while they leave."""

import contextvars
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from core import streaming
from core.errors import ProblemError
from core.http import problem
from core.logging import logger
from generation.chat.turn import Emit
from generation.records import Generation

_Came = tuple[str, Mapping[str, Any]] | BaseException


def of(answer: Callable[[Emit], Generation], request_id: str) -> Iterator[str]:
    """The events of an answer: ``start``, ``delta`` and, at last, ``end`` or ``error``.

    Returns when the first one is there, and raises what happens before it. The answer is made whether its events are
    taken or not. One that tells none was there already: it is told in one piece.
    """
    box: queue.Queue[_Came] = queue.Queue()

    def work() -> None:
        try:
            generation = answer(lambda name, data: box.put((name, data)))
        except BaseException as error:  # belongs to the thread that takes the events
            box.put(error)
        else:
            box.put(("end", generation))

    threading.Thread(target=contextvars.copy_context().run, args=(work,), name="answer", daemon=True).start()
    first = box.get()
    if isinstance(first, BaseException):
        raise first
    return _events(first, box, request_id)


def _events(first: _Came, box: "queue.Queue[_Came]", request_id: str) -> Iterator[str]:
    came: _Came = first
    names: set[str] = set()
    while True:
        if isinstance(came, BaseException):
            yield streaming.event("error", _told(came) | {"requestId": request_id})
            return
        name, data = came
        if name == "error":
            data = {**data, "requestId": request_id}
        elif name == "end":
            if "error" in names:
                return
            if "start" not in names:
                yield streaming.event("start", _about(data))
                yield streaming.event("delta", {"text": data["text"]})
        names.add(name)
        yield streaming.event(name, data)
        if name == "end":
            return
        came = box.get()


def _about(generation: Mapping[str, Any]) -> dict[str, Any]:
    meta = generation["meta"]
    told = {"id": generation["id"], "sessionId": generation["sessionId"]}
    return told | {"provider": meta["provider"], "model": meta["model"]}


def _told(error: BaseException) -> dict[str, object]:
    if not isinstance(error, ProblemError):
        logger.error("unhandled error in a stream", exc_info=error)
        error = ProblemError("Something went wrong on our side. Quote the requestId to support.")
    return problem(error).body or {}
