"""Answers piece by piece, as the caller's test says over a connection of its own."""

import socket
from collections.abc import Iterator
from typing import Any


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a proxy event; `port` is where the test listens."""
    query = event.get("queryStringParameters") or {}
    if "port" not in query:
        return {"statusCode": 422, "headers": {"Content-Type": "text/plain"}, "body": "no port"}
    return {
        "statusCode": 201,
        "headers": {"Content-Type": "text/event-stream"},
        "multiValueHeaders": {"X-Request-Id": ["one"], "X-Many": ["a", "b"]},
        "isBase64Encoded": False,
        "body": _pieces(int(query["port"])),
    }


def _pieces(port: int) -> Iterator[str | bytes]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as test:
        yield "first ¿\n"
        while order := test.recv(1):
            if order == b"f":
                raise RuntimeError("a secret detail")
            if order == b"e":
                test.sendall(b"at the end")
                return
            yield order + b"\n"
