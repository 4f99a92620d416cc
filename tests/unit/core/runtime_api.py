"""Lambda's Runtime API on loopback, as much of it as a runtime sees."""

import base64
import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# So long that only a runtime that hangs gets there.
PATIENCE_SECONDS = 60.0


@dataclass
class Call:
    """What a runtime posted. ``chunks`` come as they are sent, then None."""

    path: str
    headers: dict[str, str]
    body: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)
    chunks: "queue.Queue[bytes | None]" = field(default_factory=queue.Queue)

    def next_chunk(self) -> bytes | None:
        """The next chunk; None at the end."""
        return self.chunks.get(timeout=PATIENCE_SECONDS)

    def rest(self) -> bytes:
        """All chunks that are still to come."""
        return b"".join(iter(self.next_chunk, None))

    def prelude(self) -> Any:
        """What comes before the eight NULs, which are in the first chunk."""
        document, _, rest = (self.next_chunk() or b"").partition(bytes(8))
        assert rest == b""
        return json.loads(document)

    def error(self) -> tuple[str, Any]:
        """The failure in the trailers: its type, and the document about it."""
        described = base64.b64decode(self.trailers["Lambda-Runtime-Function-Error-Body"])
        return self.trailers["Lambda-Runtime-Function-Error-Type"], json.loads(described)


class RuntimeApi:
    """Gives events to a runtime and takes what it posts."""

    def __init__(self) -> None:
        self.events: queue.Queue[tuple[bytes, dict[str, str]]] = queue.Queue()
        self.calls: queue.Queue[Call] = queue.Queue()
        self.break_off = False
        self.discard = False
        self.address = ""

    def invoke(self, event: Any, request_id: str = "11111111-2222-3333-4444-555555555555", **headers: str) -> None:
        """Have an event for the next runtime that asks."""
        named = {f"Lambda-Runtime-{name.replace('_', '-')}": value for name, value in headers.items()}
        self.events.put((json.dumps(event).encode(), {"Lambda-Runtime-Aws-Request-Id": request_id, **named}))

    def posted(self) -> Call:
        """The next thing that a runtime began to post."""
        return self.calls.get(timeout=PATIENCE_SECONDS)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """What speaks HTTP."""
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_arguments: object) -> None:
                pass

            def do_GET(self) -> None:
                assert self.path == "/2018-06-01/runtime/invocation/next"
                body, headers = api.events.get(timeout=PATIENCE_SECONDS)
                self.answer(200, body, headers)

            def do_POST(self) -> None:
                call = Call(self.path, dict(self.headers))
                if self.headers["Transfer-Encoding"] != "chunked":
                    call.body = self.rfile.read(int(self.headers["Content-Length"]))
                api.calls.put(call)
                if self.headers["Transfer-Encoding"] == "chunked":
                    while size := int(self.rfile.readline(), 16):
                        chunk = self.rfile.read(size)
                        assert self.rfile.readline() == b"\r\n"
                        if not api.discard:
                            call.chunks.put(chunk)
                        if api.break_off:
                            self.close_connection = True
                            return
                    while (line := self.rfile.readline()) != b"\r\n":
                        name, _, value = line.decode().rstrip().partition(": ")
                        call.trailers[name] = value
                    call.chunks.put(None)
                self.answer(202, b"", {})

            def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        return Handler


@contextmanager
def running() -> Iterator[RuntimeApi]:
    """A Runtime API, while it runs."""
    api = RuntimeApi()
    with ThreadingHTTPServer(("127.0.0.1", 0), api.handler()) as server:
        server.daemon_threads = True
        server.block_on_close = False
        api.address = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
