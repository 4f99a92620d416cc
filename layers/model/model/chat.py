"""The chat provider that needs no network: SmolLM2-135M-Instruct, a demonstration. English, and often wrong."""

import json
import math
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from functools import cached_property
from typing import Any, ClassVar, Self

from core.errors import FieldError
from core.settings import Setting
from generation.providers import Deadline, ProviderError
from generation.texts import FinishReason, Model, TextRequest, Usage, count_tokens
from model.connection import Answer, Connection, ServerGone
from model.server import CONTEXT_TOKENS

MODEL = "SmolLM2-135M-Instruct"
LONGEST_ANSWER = 256
"""Tokens of an answer unless asked for: small models like to go on, and others wait for their turn."""

# The model knows 8,192, but memory grows with it, and a prompt of 2,048 already takes most of a gateway's 29 seconds.
_MODELS = (Model("smollm2-135m", CONTEXT_TOKENS, MODEL),)
_SPELLED = re.compile(r"[^\x00-\x7f]+| ?[0-9]+")
_MORE_TOKENS = 1.3


class OfflineChat:
    """Writes with a process that all workers share; a request waits there for its turn, until its deadline."""

    name = "offline"
    models = _MODELS
    settings: ClassVar[tuple[Setting, ...]] = ()

    def __init__(self, connection: Connection | None = None) -> None:
        self._given = connection

    @cached_property
    def _connection(self) -> Connection:
        return self._given or Connection()

    @classmethod
    def from_env(cls, _environ: Mapping[str, str]) -> Self:
        """A provider that finds or starts the model when it is asked."""
        return cls()

    def refuses(self, request: TextRequest) -> FieldError | None:
        """Nothing: how many tokens the messages have only the model's process knows."""
        return None

    def count_tokens(self, text: str) -> int:
        """A small vocabulary: it has a token for each digit, and hardly more than bytes for what is not ASCII."""
        spelled = sum(len(found.encode("utf-8", "replace")) for found in _SPELLED.findall(text))
        return spelled + math.ceil(_MORE_TOKENS * count_tokens(_SPELLED.sub("", text)))

    def stream(self, request: TextRequest, deadline: Deadline) -> "OfflineStream":
        """Begin an answer; returns when it is this request's turn.

        Raises ``ProviderTimeout`` when the deadline passes first, and ``ProviderError`` when the messages do not fit
        into the context, which is looked at before the model is asked, or when the server cannot be started.
        """
        try:
            return self._begin(request, deadline)
        except ServerGone:
            # It may just have ended of itself, or was killed with our request in it: once more, with a new one.
            try:
                return self._begin(request, deadline)
            except ServerGone:
                raise ProviderError("the model's server ended") from None

    def _begin(self, request: TextRequest, deadline: Deadline) -> "OfflineStream":
        messages = [
            {"role": each.role, "content": each.content.encode("utf-8", "replace").decode()}
            for each in request.messages
        ]
        self._check_length(messages, deadline)
        body: dict[str, Any] = {
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": request.max_tokens or LONGEST_ANSWER,
            "temperature": request.temperature or 0.0,
            "repeat_penalty": 1.0,
        }
        if request.seed is not None:
            body["seed"] = request.seed
        answer = self._connection.post("/v1/chat/completions", body, deadline)
        if answer.status != 200:
            answer.close()
            raise ProviderError(f"status {answer.status}")
        return OfflineStream(answer, self._connection)

    def _check_length(self, messages: list[dict[str, str]], deadline: Deadline) -> None:
        answer = self._connection.post("/v1/chat/completions/input_tokens", {"messages": messages}, deadline)
        content = answer.read()
        if answer.status != 200:
            raise ProviderError(f"status {answer.status}")
        tokens = json.loads(content)["input_tokens"]
        if tokens >= CONTEXT_TOKENS:
            raise ProviderError(f"the messages have {tokens} tokens, the context {CONTEXT_TOKENS}")


class OfflineStream:
    """An answer of the server, read from its server-sent events."""

    model = MODEL

    def __init__(self, answer: Answer, connection: Connection) -> None:
        self.usage: Usage | None = None
        self.finish_reason: FinishReason = "stop"
        self._answer = answer
        self._connection = connection
        self._pieces = self._read()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._pieces)

    def close(self) -> None:
        """End the answer: the server sees the closed connection and takes the next request."""
        self._pieces.close()
        self._answer.close()

    def _read(self) -> Generator[str, None, None]:
        with closing(self._answer):
            for event in self._events():
                if "error" in event:
                    raise ProviderError("the model failed")
                if usage := event.get("usage"):
                    self.usage = Usage(usage["prompt_tokens"], usage["completion_tokens"])
                for choice in event["choices"]:
                    if choice["finish_reason"] == "length":
                        self.finish_reason = "length"
                    if piece := choice["delta"].get("content"):
                        yield piece

    def _events(self) -> Iterator[dict[str, Any]]:
        while True:
            try:
                line = self._answer.line()
            except ServerGone:
                line = b""
            if not line:
                raise ProviderError("the model's server ended")
            self._connection.touch()
            field, _, value = line.decode().partition(":")
            if field == "data" and value.strip() == "[DONE]":
                return
            if field == "data":
                yield json.loads(value)
            elif field == "error":
                raise ProviderError("the model failed")
