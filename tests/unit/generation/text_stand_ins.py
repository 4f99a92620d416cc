"""Stand-ins for providers of text, which write what a test says."""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

from core.errors import FieldError
from generation.providers import Deadline
from generation.texts import FinishReason, Model, TextRequest, Usage

Script = Callable[[TextRequest], Iterator[str]]


class Stream:
    """A stream of a script's pieces; ``closed`` is set when it was closed, or is over."""

    def __init__(
        self, pieces: Iterator[str], model: str, usage: Usage | None, finish_reason: FinishReason = "stop"
    ) -> None:
        self.model = model
        self.closed = threading.Event()
        self.usage: Usage | None = None
        self.finish_reason = finish_reason
        self._final = usage
        self._pieces = self._read(pieces)

    def _read(self, pieces: Iterator[str]) -> Generator[str, None, None]:
        yield from pieces
        self.usage = self._final

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._pieces)

    def close(self) -> None:
        self._pieces.close()
        self.closed.set()


def saying(*pieces: str) -> Script:
    """Writes these pieces."""
    return lambda request: iter(pieces)


def breaking(error: BaseException, *pieces: str) -> Script:
    """Writes these pieces, then fails."""

    def script(request: TextRequest) -> Iterator[str]:
        yield from pieces
        raise error

    return script


@dataclass
class Writer:
    """A provider of text with a script."""

    name: str = "writer"
    script: Script = field(default_factory=lambda: saying("Hel", "lo"))
    models: tuple[Model, ...] = (Model("quill", 4096, "quill-1"),)
    usage: Usage | None = field(default_factory=lambda: Usage(7, 2))
    finish_reason: FinishReason = "stop"
    refusal: FieldError | None = None
    error: BaseException | None = None
    asked: list[TextRequest] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)

    def refuses(self, request: TextRequest) -> FieldError | None:
        return self.refusal

    def stream(self, request: TextRequest, deadline: Deadline) -> Stream:
        self.asked.append(request)
        self.deadlines.append(deadline.remaining())
        if self.error:
            raise self.error
        upstream = next((each.upstream for each in self.models if each.id == request.model), self.models[0].upstream)
        stream = Stream(self.script(request), upstream, self.usage, self.finish_reason)
        self.streams.append(stream)
        return stream


def texts(requests: Sequence[TextRequest]) -> list[list[str]]:
    """The contents of each request's messages."""
    return [[message.content for message in request.messages] for request in requests]
