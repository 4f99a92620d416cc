"""Whether answers leave in pieces: chat, with a model that goes on only when it is told."""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Event

from tests.fakes.server import Exchange, FakeServer
from tests.integration.client import PATIENCE_SECONDS, Platform, User

WORD = "Once"
# How long a piece that was sent may take to arrive; whoever keeps the pieces back is waited for this long.
PIECE_SECONDS = 20.0


class Hesitant(FakeServer):
    """A server of OpenAI's shape that writes one word, and the end when ``go_on`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun, self.go_on = Event(), Event()

    def answer(self, exchange: Exchange) -> None:
        """Complete the chat."""
        exchange.start(200, "text/event-stream", None, {"Connection": "close"})
        exchange.write(_event({"content": WORD}, None))
        self.has_begun.set()
        self.go_on.wait(PATIENCE_SECONDS)
        exchange.write(_event({}, "stop") + b"data: [DONE]\n\n")
        exchange.drop()


def _event(delta: dict[str, str], finish_reason: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()


def streams(platform: Platform, user: User) -> bool:
    """Whether the first word arrives while the model waits to be told how it goes on."""
    with (
        Hesitant() as model,
        platform.variables("ChatGenerateFunction", PROVIDERS="openai", OPENAI_URL=f"{model.url}/v1"),
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(_is_first_word, user)
        try:
            assert model.has_begun.wait(PATIENCE_SECONDS), "nobody asked the model"
            return _arrives(first)
        finally:
            model.go_on.set()


def _is_first_word(user: User) -> bool:
    body = {"prompt": "Tell me a story.", "stream": True}
    headers = {"Authorization": f"Bearer {user.token}"}
    with user.session.post(
        f"{user.url}/chat/generate", json=body, headers=headers, stream=True, timeout=PATIENCE_SECONDS
    ) as answer:
        assert answer.status_code == 200, answer.text
        return any(WORD.encode() in line for line in answer.iter_lines(chunk_size=1))


def _arrives(first: "Future[bool]") -> bool:
    with suppress(TimeoutError):
        assert first.result(PIECE_SECONDS), "the word is missing"
        return True
    return False
