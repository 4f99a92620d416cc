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


async def serve(application: Application, sockets: Sequence[socket.socket], until: Awaitable[object]) -> None:
    """Answer what comes in on the sockets until the awaitable is done; calls that run have some seconds to end."""
    uvicorn = importlib.import_module("uvicorn")  # in the platform's environment only
    config = uvicorn.Config(
        application,
        http="httptools",
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
