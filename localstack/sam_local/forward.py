"""What listens on this machine's loopback or on a Unix socket, passed on to containers for as long as it is wanted."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHUNK = 65536
Target = tuple[str, int] | Path  # a port of loopback, or a Unix socket


class _Forwarder(socketserver.ThreadingTCPServer):
    """Threads, not asyncio: a connection waits for nobody else's."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, listen: str, target: Target, peers: ipaddress.IPv4Network) -> None:
        self.target = target
        self.peers = peers
        super().__init__((listen, 0), _Connection)

    def verify_request(self, _request: object, client_address: Any) -> bool:
        """Whether it is a container, or this machine; others may find a way to the bridge's address."""
        return ipaddress.ip_address(client_address[0]) in self.peers


class _Connection(socketserver.BaseRequestHandler):
    server: _Forwarder

    def handle(self) -> None:
        with contextlib.suppress(OSError), _connect(self.server.target) as upstream:
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=_pump, args=(upstream, self.request), daemon=True)
            back.start()
            _pump(self.request, upstream)
            back.join()


def _connect(target: Target) -> socket.socket:
    if isinstance(target, Path):
        local = socket.socket(socket.AF_UNIX)
        try:
            local.connect(str(target))
        except OSError:
            local.close()
            raise
        return local
    remote = socket.create_connection(target)
    remote.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return remote


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
    # The end of either side is the end of both: neither HTTP nor PostgreSQL goes on half-closed.
    for each in (source, sink):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def forwarded(listen: str, target: Target, peers: ipaddress.IPv4Network) -> Iterator[int]:
    """Pass connections to ``listen`` on to the target; the port that is listened on.

    Raises OSError when this machine has no such address.
    """
    with _Forwarder(listen, target, peers) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
