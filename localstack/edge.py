"""The platform's two listeners, as ASGI: the API at its own address, and the emulator without its back doors."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from localstack.ministack.routes import segments

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PAYLOAD_LIMIT = 10 * 1024 * 1024  # bytes, API Gateway's
FORWARDED_HEADERS = {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-port", b"x-forwarded-host"}
# Unauthenticated controls of the emulator: any web page that the developer opens could post to them.
CONTROL_PATHS = ("/_ministack/reset", "/_ministack/config")
SAVE_PATH = "/_platform/save"
EXECUTE_API = "/_aws/execute-api/"


class Endpoint:
    """The deployed API (id and stage) as the deployment wrote it down; read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._modified = 0
        self._api: tuple[str, str] | None = None

    def current(self) -> tuple[str, str] | None:
        """The API's id and stage; None before the first deployment."""
        try:
            modified = self.path.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if modified != self._modified:
            content = json.loads(self.path.read_text())
            self._api, self._modified = (content["apiId"], content["stage"]), modified
        return self._api


async def respond(send: Send, status: int, body: dict[str, Any], content_type: bytes = b"application/json") -> None:
    """Send a JSON document."""
    content = json.dumps(body).encode()
    headers = [(b"content-type", content_type), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _is_local_name(host: str) -> bool:
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return name == "localhost"
    return True


def _headers(scope: Scope, port: int) -> list[tuple[bytes, bytes]]:
    """The client's headers, with what a gateway says about the client in place of what the client says.

    The emulator reads other services out of host names (`bucket.s3.localhost`), so only plain local names reach it.
    """
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in FORWARDED_HEADERS]
    host = next((value for name, value in headers if name.lower() == b"host"), b"")
    if not _is_local_name(host.decode("latin-1").lower()):
        headers = [(name, value) for name, value in headers if name.lower() != b"host"]
        headers.append((b"host", f"localhost:{port}".encode()))
    client = (scope.get("client") or ("127.0.0.1",))[0]
    headers += [
        (b"x-forwarded-for", str(client).encode()),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-port", str(port).encode()),
    ]
    return headers


def api_listener(emulator: Application, endpoint: Endpoint, port: int) -> Application:
    """The API of the stack at the root of `port`; nothing else of the emulator can be reached through it."""

    async def listener(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        api = endpoint.current()
        if api is None:
            problem = {"title": "Service Unavailable", "status": 503, "detail": "The stack is not deployed yet."}
            await respond(send, 503, problem, b"application/problem+json")
            return
        prefix = f"{EXECUTE_API}{api[0]}/{api[1]}"
        forwarded = {
            **scope,
            "path": prefix + segments(scope),
            "raw_path": prefix.encode() + (scope.get("raw_path") or scope["path"].encode()),
            "headers": _headers(scope, port),
        }
        await emulator(forwarded, receive, send)

    return listener


def aws_listener(emulator: Application, save: Callable[[], Awaitable[None]]) -> Application:
    """The emulator, without the controls that need no signature, and with `POST /_platform/save`."""

    async def listener(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(CONTROL_PATHS):
            await respond(send, 403, {"message": "Not available on this platform: use make down, make clean."})
        elif scope["type"] == "http" and scope["path"] == SAVE_PATH and scope["method"] == "POST":
            await save()
            await respond(send, 200, {"saved": True})
        elif scope["type"] == "http" and scope["path"].startswith(EXECUTE_API):
            await emulator({**scope, "path": segments(scope)}, receive, send)
        else:
            await emulator(scope, receive, send)

    return listener


def by_port(applications: dict[int, Application], lifespan: Application) -> Application:
    """One application for several listeners: chosen by the port that the request came in on."""

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        application = lifespan if scope["type"] == "lifespan" else applications[scope["server"][1]]
        await application(scope, receive, send)

    return dispatch
