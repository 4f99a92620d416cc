"""An HTTP/1.1 server on a free port of the loopback that records what it is asked and can be told to misbehave.

Beside what the fake serves, it has a control plane for tests in another process:

    GET    /_fake/requests    what was asked, as JSON
    DELETE /_fake/requests    forget it
    POST   /_fake/next        a JSON list of markers, one for each of the next requests (``["status:503", "hang"]``)
"""

import json
import ssl
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from types import TracebackType
from typing import Any, Self

_CONTROL = "/_fake/"


@dataclass(frozen=True)
class Recorded:
    """A request as it arrived: ``target`` is the raw request target, ``connection`` numbers the connections from 1."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: str
    connection: int


@dataclass
class Exchange:
    """One request and the means to answer it, well or badly. ``headers`` have lower-case names."""

    handler: "_Handler"
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    requests_on_connection: int
    scripted: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def connection(self) -> socket:
        connection: socket = self.handler.connection
        return connection

    def send(self, status: int, content_type: str, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        """A whole answer."""
        self.start(status, content_type, len(content), headers)
        self.write(content)

    def start(
        self, status: int, content_type: str, length: int | None, headers: Mapping[str, str] | None = None
    ) -> None:
        """The head of an answer; without a length the connection's end is the end of the body."""
        with suppress(OSError):  # the client may have left
            self.handler.send_response(status)
            self.handler.send_header("Content-Type", content_type)
            if length is not None:
                self.handler.send_header("Content-Length", str(length))
            for name, value in (headers or {}).items():
                self.handler.send_header(name, value)
            self.handler.end_headers()

    def write(self, content: bytes) -> bool:
        """Some bytes; False when the client has left."""
        try:
            self.handler.wfile.write(content)
        except OSError:
            return False
        return not self.handler.server.stopping.is_set()

    def pause(self, seconds: float | None) -> bool:
        """Wait (None: until the server stops); True when the server stops."""
        return self.handler.server.stopping.wait(seconds)

    def drop(self) -> None:
        """Close the connection after this request."""
        self.handler.close_connection = True


class FakeServer:
    """A running server as a context manager; subclasses answer."""

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Recorded] = []
        self._script: deque[str] = deque()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), self, tls)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.port: int = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def connections(self) -> int:
        """How many connections have been opened to it."""
        return self._server.connections

    def script(self, *markers: str) -> None:
        """What to do with the next requests, one marker (without brackets) each."""
        with self._lock:
            self._script.extend(markers)

    def answer(self, exchange: Exchange) -> None:
        """Answer one request; each fake in its own way."""
        raise NotImplementedError

    def receive(self, exchange: Exchange, connection: int) -> None:
        """Record a request and answer it, or serve the control plane."""
        if exchange.target.startswith(_CONTROL):
            self._control(exchange)
            return
        with self._lock:
            exchange.scripted = self._script.popleft() if self._script else None
            self.requests.append(
                Recorded(
                    exchange.method,
                    exchange.target,
                    exchange.headers,
                    exchange.body.decode("utf-8", "replace"),
                    connection,
                )
            )
        self.answer(exchange)

    def _control(self, exchange: Exchange) -> None:
        content: Any = None
        match exchange.method, exchange.target.removeprefix(_CONTROL):
            case "GET", "requests":
                content = [asdict(request) for request in self.requests]
            case "DELETE", "requests":
                self.requests.clear()
            case "POST", "next":
                self.script(*json.loads(exchange.body))
            case _:
                exchange.send(404, "application/json", b"null")
                return
        exchange.send(200, "application/json", json.dumps(content).encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], fake: FakeServer, tls: ssl.SSLContext | None) -> None:
        super().__init__(address, _Handler)
        self.fake = fake
        self.tls = tls
        self.stopping = threading.Event()
        self.connections = 0

    def get_request(self) -> tuple[socket, Any]:
        connection, address = super().get_request()
        self.connections += 1
        return connection, (*address, self.connections)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        # In the thread of the connection: a client that refuses the certificate must not hold up the others.
        with suppress(OSError), self.tls.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that leaves in the middle is what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._count = 0

    def _receive(self) -> None:
        self._count += 1
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        exchange = Exchange(self, self.command, self.path, headers, body, self._count)
        self.server.fake.receive(exchange, self.client_address[-1])

    do_GET = do_POST = do_DELETE = _receive  # noqa: N815 (the names that http.server looks for)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""
