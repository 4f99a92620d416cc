"""A server of OpenAI's shape: ``POST /v1/chat/completions``, ``GET /v1/models``; ``tests.fakes.completions`` says how
it answers. Without keys it is a private one, which asks for none."""

import json
import ssl

from tests.fakes.completions import complete, send_problem
from tests.fakes.server import Exchange, FakeServer


class FakeOpenAi(FakeServer):
    """``keys`` are those that it accepts; none for a server that wants none."""

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None, keys: frozenset[str] = frozenset()) -> None:
        super().__init__(port=port, tls=tls)
        self.base_url = f"{self.url}/v1"
        self._keys = keys

    def answer(self, exchange: Exchange) -> None:
        """Complete the chat, unless the key is not one of ours."""
        scheme, _, key = exchange.headers.get("authorization", "").partition(" ")
        if self._keys and (scheme != "Bearer" or key not in self._keys):
            send_problem(exchange, 401, f"Incorrect API key provided: {key}.", code="invalid_api_key")
            return
        match exchange.method, exchange.target:
            case "POST", "/v1/chat/completions":
                complete(exchange)
            case "GET", "/v1/models":
                models = {"object": "list", "data": [{"id": "fake", "object": "model", "created": 1, "owned_by": "us"}]}
                exchange.send(200, "application/json", json.dumps(models).encode())
            case _:
                send_problem(exchange, 404, "Unknown request URL.")
