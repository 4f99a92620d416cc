"""The HTTP server of the platform's process: uvicorn, with a parser and an event loop in C.

MiniStack's own is hypercorn with a parser in Python, which took a third of each call to S3 and DynamoDB.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import socket
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any

from localstack.edge import Application

GRACE_SECONDS = 3
KEEP_ALIVE_SECONDS = 75


def listening(port: int) -> list[socket.socket]:
    """Sockets on loopback; `localhost` may mean either family, and a stranger on the other one would get our calls.

    Raises OSError where another program has the port of IPv4.
    """
    sockets = [_bound(socket.AF_INET, "127.0.0.1", port)]
    with contextlib.suppress(OSError):  # a machine without IPv6
        sockets.append(_bound(socket.AF_INET6, "::1", port))
    return sockets


def _bound(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound


class _InOnePiece:
    """A transport that sends what is written in one turn of the loop at once: an answer's head with its body.

    Sent one after the other, each wakes its reader.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._written: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send it, and what else is written in this turn."""
        if not self._written:
            self._loop.call_soon(self._send)
        self._written.append(data)

    def close(self) -> None:
        """Send what was written, and close."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        written, self._written = self._written, []
        if written:
            self._transport.write(b"".join(written))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def serve(application: Application, sockets: Sequence[socket.socket], until: Awaitable[object]) -> None:
    """Answer what comes in on the sockets until the awaitable is done; calls that run have some seconds to end."""
    # In the platform's environment only.
    uvicorn, protocols = (importlib.import_module(f"uvicorn{name}") for name in ("", ".protocols.http.httptools_impl"))

    class Protocol(protocols.HttpToolsProtocol):  # type: ignore[misc, name-defined]
        """Uvicorn's, whose answers leave in one piece."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(_InOnePiece(transport))

    config = uvicorn.Config(
        application,
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # they are the caller's

    async def end() -> None:
        await until
        server.should_exit = True

    ending = asyncio.create_task(end())
    try:
        await server.serve(sockets=list(sockets))
    finally:
        ending.cancel()


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run the process's work in an event loop in C."""
    uvloop = importlib.import_module("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
