"""Pollinations: ``/image/{prompt}`` wants a key, ``/prompt/{prompt}`` serves one request at a time.

``POST /v1/images/generations`` wants a key, too: the prompt and the wishes are JSON, and so is the answer.
``POST /v1/chat/completions`` wants one, ``POST /legacy/v1/chat/completions`` none: it answers a key with a notice that
it is about to go. ``tests.fakes.completions`` says how they answer.

Beside the markers of ``tests.fakes.behaviour``:

    [[png]] [[jpeg]] [[webp]]   that format; without one JPEG, and PNG for every fourth seed
    [[half]]                    half the size that was asked for
    [[refuse]]                  400, the prompt is refused
    [[queue-full]]              402, as the keyless host says that another request is under way
    [[1033]]                    530, as its front door says that nobody is at home
"""

import base64
import json
import ssl
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from tests.fakes import media_samples
from tests.fakes.behaviour import Marker, markers, misbehave, send_error
from tests.fakes.completions import complete
from tests.fakes.server import Exchange, FakeServer

_SUPPORTED, _KEYLESS = "/image/", "/prompt/"
_POSTED = "/v1/images/generations"
_CHAT = "/v1/chat/completions"
_LEGACY_CHAT = "/legacy/v1/chat/completions"
NOTICE = (
    "⚠️ **IMPORTANT NOTICE** ⚠️\n\nThe Pollinations legacy text API is being deprecated for authenticated users. "
    "Please migrate to our new service for better performance and all the latest models."
)
_LONGEST_TARGET = 8192
_FORMATS = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


class FakePollinations(FakeServer):
    """Both hosts at one address; ``keys`` are those that the supported one accepts."""

    def __init__(
        self, *, port: int = 0, tls: ssl.SSLContext | None = None, keys: frozenset[str] = frozenset({"good-key"})
    ) -> None:
        super().__init__(port=port, tls=tls)
        self.supported_url = self.url + _SUPPORTED.rstrip("/")
        self.keyless_url = self.url + _KEYLESS.rstrip("/")
        self.keyless_text_url = f"{self.url}/legacy/v1"
        self._keys = keys
        self._keyless_turn = threading.Lock()

    def answer(self, exchange: Exchange) -> None:
        """Serve a picture of the size that was asked for, unless a marker, the key or the queue is against it."""
        path, _, query = exchange.target.partition("?")
        if len(exchange.target) > _LONGEST_TARGET:
            exchange.send(400, "text/html", b"<html>URI too long</html>")
        elif exchange.method == "POST":
            self._answer_posted(exchange, path)
        elif path.startswith(_SUPPORTED):
            if self._admits(exchange):
                self._draw(exchange, path.removeprefix(_SUPPORTED), query)
        elif path.startswith(_KEYLESS):
            if self._keyless_turn.acquire(blocking=False):
                try:
                    self._draw(exchange, path.removeprefix(_KEYLESS), query)
                finally:
                    self._keyless_turn.release()
            else:
                _send_queue_full(exchange)
        else:
            send_error(exchange, 404, "No such route")

    def _answer_posted(self, exchange: Exchange, path: str) -> None:
        if path == _LEGACY_CHAT:
            if "authorization" in exchange.headers:
                exchange.scripted = f"say:{quote(NOTICE)}"
            complete(exchange)
        elif path not in (_POSTED, _CHAT):
            send_error(exchange, 404, "No such route")
        elif self._admits(exchange):
            self._draw_posted(exchange) if path == _POSTED else complete(exchange)

    def _admits(self, exchange: Exchange) -> bool:
        scheme, _, key = exchange.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer" and key in self._keys:
            return True
        send_error(exchange, 401, "You need a key")
        return False

    def _draw(self, exchange: Exchange, segment: str, query: str) -> None:
        prompt = unquote(segment)
        if "/" in segment or not prompt.strip():
            send_error(exchange, 404, "No such route")
            return
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        wishes = _wishes(exchange, prompt)
        content_type, picture = _picture(wishes, asked)
        if not any(_act(exchange, wish, content_type, picture) for wish in wishes):
            exchange.send(200, content_type, picture)

    def _draw_posted(self, exchange: Exchange) -> None:
        asked = json.loads(exchange.body)
        width, _, height = asked["size"].partition("x")
        wishes = _wishes(exchange, asked["prompt"])
        _, picture = _picture(wishes, asked | {"width": width, "height": height})
        item = {"b64_json": base64.b64encode(picture).decode()}
        if asked.get("response_format") != "b64_json":
            item = {"url": "https://media.invalid/picture"}
        content = json.dumps({"created": 1, "data": [item]}).encode()
        if not any(_act(exchange, wish, "application/json", content) for wish in wishes):
            exchange.send(200, "application/json", content)


def _wishes(exchange: Exchange, prompt: str) -> list[Marker]:
    return markers(f"[[{exchange.scripted}]]" if exchange.scripted else prompt)


def _picture(wishes: list[Marker], asked: Mapping[str, Any]) -> tuple[str, bytes]:
    """The content type and the bytes of what was asked for."""
    width, height, seed = (int(asked.get(name, 1024)) for name in ("width", "height", "seed"))
    names = {wish.name for wish in wishes}
    if "half" in names:
        width, height = width // 2, height // 2
    chosen = next((name for name in _FORMATS if name in names), "png" if seed % 4 == 0 else "jpeg")
    return _FORMATS[chosen], media_samples.picture(chosen.upper(), width, height, seed)


def _act(exchange: Exchange, wish: Marker, content_type: str, picture: bytes) -> bool:
    match wish.name:
        case "slow":
            exchange.pause(float(wish.argument))
            return False
        case "refuse":
            send_error(exchange, 400, "Content moderation: the prompt is refused")
        case "queue-full":
            _send_queue_full(exchange)
        case "1033":
            exchange.send(530, "text/plain", b"error code: 1033")
        case _:
            return misbehave(exchange, wish, content_type, picture)
    return True


def _send_queue_full(exchange: Exchange) -> None:
    send_error(exchange, 402, "Queue full for this address: 1 request is already under way")
