"""Chat completions as a server of OpenAI's shape writes them, on its good days and on its bad ones.

The answer repeats the last message. Beside the markers of ``tests.fakes.behaviour``, which go for the first byte on,
markers in that message change it; several may stand together:

    [[say:TEXT]]             says TEXT (URL-encoded) instead
    [[context]]              says the whole context as it came, as JSON
    [[pause:0.2]]            waits that long before each piece
    [[one-chunk]]            all of it in one piece          [[whole]]     as JSON, though a stream was asked
    [[bytes]]                each byte in a packet of its own
    [[unchunked]]            the connection's end is the answer's end
    [[crlf]] [[comments]] [[no-done]] [[no-usage]] [[no-space]] [[parts]]   as some servers do
    [[reason]]               thinks first, in ``reasoning_content``
    [[empty]]                thinks until its tokens are used up and says nothing
    [[filter]]               a content filter ends it before its first piece; [[filter-late]] in the middle
    [[refusal]]              the model refuses, in ``refusal``
    [[error-first]]          an error as the first event     [[error-late]]   in the middle
    [[cut]]                  the connection breaks in the middle; [[end]] it ends well in the middle, without a reason
    [[stall]]                nothing more after the middle; [[stall-comments]] comments only
    [[garbage]]              an event that is no JSON
    [[refuse:STATUS:PARAM:MESSAGE]]   an error in OpenAI's envelope (the message URL-encoded)
    [[body:STATUS:JSON]]     that error's body as it stands (URL-encoded)
    [[temperature]] [[max-tokens]] [[stream-options]]   400 when the request has that parameter, which [[unnamed]] leaves out
"""

import json
import re
from collections.abc import Generator, Iterator
from typing import Any

from tests.fakes.behaviour import Marker, markers, misbehave
from tests.fakes.server import Exchange

_PARAMETERS = ("temperature", "max_tokens", "stream_options", "seed")
_STALL_SECONDS = 0.05


def complete(exchange: Exchange) -> None:
    """Answer ``POST …/chat/completions``."""
    asked = json.loads(exchange.body)
    prompt = asked["messages"][-1]["content"]
    wishes = markers(f"[[{exchange.scripted}]]" if exchange.scripted else prompt)
    names = {wish.name for wish in wishes}
    if any(_refuses(exchange, wish, names, asked) for wish in wishes):
        return
    answer = _Answer(asked, prompt, wishes, names)
    document = json.dumps(answer.document()).encode()
    if any(misbehave(exchange, wish, "application/json", document) for wish in wishes):
        return
    if "whole" in names or not asked.get("stream"):
        exchange.send(200, "application/json", document)
    else:
        _Stream(exchange, answer, names).send()


def send_problem(exchange: Exchange, status: int, message: str, *, param: str | None = None, code: str = "") -> None:
    """An error in OpenAI's envelope."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code or None}
    exchange.send(status, "application/json", json.dumps({"error": error}).encode())


def _refuses(exchange: Exchange, wish: Marker, names: set[str], asked: dict[str, Any]) -> bool:
    match wish.name:
        case "slow":
            exchange.pause(float(wish.argument))
            return False
        case "refuse":
            status, param, message = wish.argument.split(":", 2)
            send_problem(exchange, int(status), message, param=param or None)
        case "body":
            status, content = wish.argument.split(":", 1)
            exchange.send(int(status), "application/json", content.encode())
        case name if (param := name.replace("-", "_")) in _PARAMETERS and param in asked:
            message = f"Unsupported parameter: '{param}' is not supported with this model."
            send_problem(exchange, 400, message, param=None if "unnamed" in names else param)
        case _:
            return False
    return True


class _Answer:
    """What is said, in pieces, and what is told with it."""

    def __init__(self, asked: dict[str, Any], prompt: str, wishes: list[Marker], names: set[str]) -> None:
        said = next((wish.argument for wish in wishes if wish.name == "say"), f"You said: {prompt}")
        if "context" in names:
            said = json.dumps(asked["messages"])
        pieces = [said] if "one-chunk" in names else re.findall(r"\s*\S+\s*", said)
        most = asked.get("max_tokens") or asked.get("max_completion_tokens") or len(pieces)
        self.model: str = asked["model"]
        self.pieces = [] if names & {"empty", "filter", "refusal"} else pieces[:most]
        self.pause = next((float(wish.argument) for wish in wishes if wish.name == "pause"), 0.0)
        self.finish_reason = "length" if "empty" in names or len(pieces) > most else "stop"
        if names & {"filter", "filter-late"}:
            self.finish_reason = "content_filter"
        words = sum(len(str(message["content"]).split()) for message in asked["messages"])
        self.usage = {"prompt_tokens": words, "completion_tokens": len(self.pieces)}
        self.usage["total_tokens"] = sum(self.usage.values())

    def document(self) -> dict[str, Any]:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": "".join(self.pieces)},
            "finish_reason": self.finish_reason,
        }
        return {
            "id": "chatcmpl-fake", "object": "chat.completion", "created": 1, "model": f"{self.model}-2026-01-01",
            "choices": [choice], "usage": self.usage,
        }  # fmt: skip


class _Stream:
    """An answer in server-sent events."""

    def __init__(self, exchange: Exchange, answer: _Answer, names: set[str]) -> None:
        self._exchange = exchange
        self._answer = answer
        self._names = names

    def send(self) -> None:
        chunked = "unchunked" not in self._names
        headers = {"Transfer-Encoding": "chunked"} if chunked else {"Connection": "close"}
        self._exchange.start(200, "text/event-stream", None, headers)
        for event in self._events():
            packets = [bytes([byte]) for byte in event] if "bytes" in self._names else [event]
            if not all(self._exchange.write(_chunk(packet) if chunked else packet) for packet in packets):
                self._exchange.drop()
                return
        if self._names & {"cut", "stall", "stall-comments"} or not chunked:
            self._exchange.drop()
        else:
            self._exchange.write(b"0\r\n\r\n")

    def _events(self) -> Iterator[bytes]:
        names, middle = self._names, len(self._answer.pieces) // 2
        if "comments" in names:
            yield b": keep-alive\n\n"
        if "error-first" in names:
            yield self._error()
            return
        yield self._delta({"role": "assistant", "content": ""})
        if names & {"reason", "empty"}:
            yield self._delta({"reasoning_content": "Let me think."})
        if "refusal" in names:
            yield self._delta({"refusal": "I cannot help with that."})
        for place, piece in enumerate(self._answer.pieces):
            if place == middle and (yield from self._breaks()):
                return
            self._exchange.pause(self._answer.pause)
            yield self._delta({"content": [{"type": "text", "text": piece}] if "parts" in names else piece})
        yield self._delta({}, self._answer.finish_reason)
        if "no-usage" not in names:
            yield self._event({"choices": [], "usage": self._answer.usage})
        if "no-done" not in names:
            yield self._line("data: [DONE]")

    def _breaks(self) -> Generator[bytes, None, bool]:
        """What goes wrong in the middle; whether it is the end."""
        names = self._names
        if "comments" in names:
            yield b": OPENROUTER PROCESSING\n\n"
        if "garbage" in names:
            yield self._line("data: {half")
        if "error-late" in names:
            yield self._error()
        if "stall" in names:
            self._exchange.pause(None)
        while "stall-comments" in names and not self._exchange.pause(_STALL_SECONDS):
            yield b": keep-alive\n\n"
        return bool(names & {"cut", "end", "error-late", "stall", "stall-comments"})

    def _delta(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        return self._event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})

    def _error(self) -> bytes:
        return self._event({"error": {"message": "The server had an error", "type": "server_error", "code": None}})

    def _event(self, content: dict[str, Any]) -> bytes:
        told = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "model": f"{self._answer.model}-2026-01-01"}
        return self._line(f"data: {json.dumps(told | content)}")

    def _line(self, line: str) -> bytes:
        end = "\r\n" if "crlf" in self._names else "\n"
        return (line.replace("data: ", "data:") if "no-space" in self._names else line).encode() + end.encode() * 2


def _chunk(packet: bytes) -> bytes:
    return f"{len(packet):x}\r\n".encode() + packet + b"\r\n"
