"""The Runtime API of one execution environment on loopback: where the function's process fetches calls and answers.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import queue
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NEXT = "/2018-06-01/runtime/invocation/next"
INIT_ERROR = "/2018-06-01/runtime/init/error"


@dataclass
class Call:
    """An invocation, and the place for its answer."""

    id: str
    payload: bytes
    arn: str
    trace_id: str
    seconds: float
    answer: "queue.Queue[tuple[bool, bytes]]" = field(default_factory=queue.Queue)  # is it an error, the body


class RuntimeApi:
    """A server for one process at a time; ``address`` is what AWS_LAMBDA_RUNTIME_API says."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.init_error: bytes | None = None
        self._calls: queue.Queue[Call | None] = queue.Queue()
        self._running: dict[str, Call] = {}
        api = self

        class Handler(_Handler):
            """A handler of this environment."""

            runtime = api

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """End the server; who waits for a call gets none."""
        self._calls.put(None)
        self._server.shutdown()
        self._server.server_close()

    def begin(self, call: Call) -> None:
        """Let the function have a call."""
        self._running[call.id] = call
        self._calls.put(call)

    def next(self) -> Call | None:
        """The next call, once there is one; None at the end."""
        self.ready.set()
        return self._calls.get()

    def finish(self, identity: str, is_error: bool, body: bytes) -> None:
        """The function's answer to a call."""
        call = self._running.pop(identity, None)
        if call is not None:
            call.answer.put((is_error, body))

    def fail_init(self, body: bytes) -> None:
        """The function could not be imported."""
        self.init_error = body
        self.ready.set()


class _Handler(BaseHTTPRequestHandler):
    runtime: RuntimeApi
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """`invocation/next`: wait for a call."""
        if self.path != NEXT:
            self._send(404, b"")
            return
        call = self.runtime.next()
        if call is None:
            self.close_connection = True
            return
        self._send(
            200,
            call.payload,
            {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": call.id,
                "Lambda-Runtime-Trace-Id": call.trace_id,
                "Lambda-Runtime-Invoked-Function-Arn": call.arn,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + call.seconds) * 1000)),
            },
        )

    def do_POST(self) -> None:
        """`invocation/{id}/response`, `invocation/{id}/error` and `init/error`."""
        body = self._body()
        if self.path == INIT_ERROR:
            self.runtime.fail_init(body)
        else:
            *_, identity, kind = self.path.split("/")
            self.runtime.finish(identity, kind == "error", body)
        self._send(202, b'{"status":"OK"}')

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def timed_out(identity: str, seconds: float) -> bytes:
    """What Lambda says of a call that took too long."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps({"errorMessage": f"{now} {identity} Task timed out after {seconds:.2f} seconds"}).encode()


def exited(identity: str, status: int | None) -> bytes:
    """What Lambda says of a call whose process ended."""
    message = f"RequestId: {identity} Error: Runtime exited with error: exit status {status}"
    return json.dumps({"errorType": "Runtime.ExitError", "errorMessage": message}).encode()
