"""Chat completions as OpenAI's servers and their many likes write them: an answer in pieces, and an error.

What a server says of an error is looked at and never shown: it may have the prompt in it, or the key.
"""

import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from typing import Any, NamedTuple

from generation.http_client import StreamedAnswer
from generation.providers import PromptRefused, ProviderError
from generation.server_sent_events import events
from generation.texts import FinishReason, Usage

MOST_BYTES = 16 * 1024 * 1024
_MOST_BYTES_OF_ERROR = 64 * 1024
_LENGTH = frozenset({"length", "max_tokens"})
_CODE = re.compile(r"[a-z][a-z_]{2,39}")
# What a server may have left to say behind the end of an answer, so that its connection can be kept.
_DRAIN_SECONDS = 0.5
_LONGEST_NAME = 128


class Failure(NamedTuple):
    """An answer that is no text. ``code`` and ``param`` are the server's words, ``details`` all of its error."""

    status: int
    message: str = ""
    code: str = ""
    param: str = ""
    details: Mapping[str, Any] = {}

    @property
    def reason(self) -> str:
        """Short and safe to show."""
        return f"status {self.status}, {self.code}" if _CODE.fullmatch(self.code) else f"status {self.status}"


def read_failure(answer: StreamedAnswer) -> Failure:
    """The error in an answer, JSON of any of the shapes or a plain text."""
    content = bytearray()
    for chunk in answer:
        content += chunk
        if len(content) > _MOST_BYTES_OF_ERROR:
            break
    answer.close()
    text = content.decode("utf-8", "replace")
    try:
        return failure(answer.status, json.loads(text))
    except (ValueError, RecursionError):
        return Failure(answer.status, text)


def failure(status: int, document: Any) -> Failure:
    """The error in a document: ``{"error": {message, code, param}}``, ``{"error": "text"}``, ``{"detail": …}``."""
    outer: Mapping[str, Any] = document if isinstance(document, dict) else {}
    error = outer.get("error", outer)
    inner: Mapping[str, Any] = error if isinstance(error, dict) else {}
    message = inner.get("message") or outer.get("message") or outer.get("detail") or error
    return Failure(
        status,
        message if isinstance(message, str) else json.dumps(message),
        _word(inner.get("code")) or _word(inner.get("type")),
        _word(inner.get("param")),
        {**outer, **inner},
    )


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


class CompletionStream:
    """An answer while it is written, from server-sent events, or from one JSON document where a server cannot stream.

    What a model thinks before it answers (``reasoning_content``) is no text, but a sign of life.
    """

    def __init__(self, answer: StreamedAnswer, model: str) -> None:
        self.model = model
        self.usage: Usage | None = None
        self.finish_reason: FinishReason = "stop"
        self._answer = answer
        self._finished = False
        self._refused = False
        self._filtered = False
        self._pieces = self.checked(self._read())

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._pieces)

    def close(self) -> None:
        """Give the answer up: the server sees the closed connection."""
        self._pieces.close()
        self._answer.close()

    def checked(self, pieces: Generator[str, None, None]) -> Generator[str, None, None]:
        """The pieces that are an answer; where a server is known to answer with something else, it is found here."""
        return pieces

    def _read(self) -> Generator[str, None, None]:
        said = ""  # until it is more than white space
        try:
            for piece in self._texts():
                if not said.strip():
                    said += piece
                    if not said.strip():
                        continue
                    piece = said
                self._answer.hold()
                yield piece
                self._answer.alive()
            if self._filtered:
                raise ProviderError("content filter") if said.strip() else PromptRefused("content filter")
            if not said.strip():
                raise PromptRefused("refused by the model") if self._refused else ProviderError("no text")
        finally:
            self._answer.close()

    def _texts(self) -> Iterator[str]:
        for chunk in self._chunks():
            if chunk.get("error"):
                raise ProviderError(_reported(chunk))
            if isinstance(name := chunk.get("model"), str) and 0 < len(name) <= _LONGEST_NAME and name.isprintable():
                self.model = name
            self.usage = _usage(chunk.get("usage")) or self.usage
            for choice in chunk.get("choices") or ():
                yield from self._text(choice)
        if not self._finished:
            raise ProviderError("answer broken off")

    def _text(self, choice: Mapping[str, Any]) -> Iterator[str]:
        delta = choice.get("delta") or choice.get("message") or {}
        text = _plain(delta.get("content"))
        self._refused |= bool(delta.get("refusal"))
        if text or delta.get("reasoning_content") or delta.get("reasoning"):
            self._answer.alive()
        if text:
            yield text
        reason = choice.get("finish_reason")
        if reason is None:
            return
        self._finished = True
        if reason == "error":
            raise ProviderError("the provider reported an error")
        if reason in _LENGTH:
            self.finish_reason = "length"
        self._filtered |= reason == "content_filter"

    def _chunks(self) -> Iterator[dict[str, Any]]:
        """The documents of the answer, until it says that it is over or it ends."""
        arriving = iter(self._answer)
        start = b""
        for chunk in arriving:
            start += chunk
            if start.strip():
                break
        if start.lstrip()[:1] == b"{":
            yield _document(b"".join(chain([start], arriving)).decode("utf-8", "replace"))
            return
        for event in events(chain([start], arriving)):
            if event.data.strip() == "[DONE]":
                self._finished = True
                self._drain(arriving)
                return
            document = _document(event.data)
            yield {"error": document} if event.kind == "error" and "error" not in document else document

    def _drain(self, arriving: Iterable[bytes]) -> None:
        self._answer.alive(_DRAIN_SECONDS)
        # The answer is there: that its connection cannot be kept is nothing to tell.
        with suppress(ProviderError):
            for _ in arriving:
                pass


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ProviderError("answer not valid")
    return document


def _reported(chunk: Mapping[str, Any]) -> str:
    """What is safe to show of an error in the middle of an answer."""
    error = failure(0, chunk)
    status = error.details.get("code") or error.details.get("status")
    if isinstance(status, int) and 400 <= status <= 599:
        return f"status {status}"
    told = f": {error.code}" if _CODE.fullmatch(error.code) else ""
    return f"the provider reported an error{told}"


def _plain(content: object) -> str:
    """The text of a message, which is a string, or parts of which some are text."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(
        part["text"]
        for part in parts
        if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
    )


def _usage(usage: object) -> Usage | None:
    """Tokens, where a server tells both numbers."""
    if not isinstance(usage, dict):
        return None
    tokens = usage.get("prompt_tokens"), usage.get("completion_tokens")
    given, written = tokens
    if isinstance(given, int) and isinstance(written, int) and min(given, written) >= 0:
        return Usage(given, written)
    return None
