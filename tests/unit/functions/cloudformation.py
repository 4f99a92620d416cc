"""Where a custom resource reports to: a server on this machine in the place of CloudFormation's S3."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


@dataclass
class Reports:
    """What was reported to ``url``; ``status`` is what the server answers."""

    url: str
    status: int = 200
    bodies: list[dict[str, Any]] = field(default_factory=list)
    content_types: list[str] = field(default_factory=list)

    @property
    def last(self) -> dict[str, Any]:
        """The last report."""
        return self.bodies[-1]


@contextmanager
def cloudformation() -> Iterator[Reports]:
    """Serve for as long as the test takes."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            length = int(self.headers["Content-Length"])
            # CloudFormation refuses a longer one, and its stack then waits.
            assert length <= 4096
            reports.bodies.append(json.loads(self.rfile.read(length)))
            reports.content_types.append(self.headers["Content-Type"])
            self.send_response(reports.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        reports = Reports(f"http://127.0.0.1:{server.server_port}/response?X-Amz-Signature=secret")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield reports
        finally:
            server.shutdown()
            thread.join()
