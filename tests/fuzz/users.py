"""Access tokens for the fuzzer, which asks for a new one when a call was refused.

Whoever fuzzes ends sessions, and fails logins until the account is delayed. So who has lost a session becomes a new user,
which has neither trouble.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tests.integration.client import User

# Two, so that each can be tried on what belongs to the other.
NAMES = ("ana", "ben")
# Tokens live for 15 minutes.
KEPT_SECONDS = 600


@contextmanager
def token_server(api_url: str) -> Iterator[Mapping[str, str]]:
    """The URL that answers a POST with ``{"token"}``, for each name."""
    users: dict[str, tuple[User, float]] = {}

    class Login(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            user, since = users.get(self.path, (None, 0.0))
            if user is None or time.monotonic() > since + KEPT_SECONDS or not user.get("/auth/sessions").ok:
                user = User.register(api_url)
                users[self.path] = user, time.monotonic()
            body = json.dumps({"token": user.token}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """The fuzzer's own progress is enough."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Login) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield {name: f"http://127.0.0.1:{server.server_port}/{name}" for name in NAMES}
        server.shutdown()
