"""Whether a port is free, and who has it when it is not."""

from __future__ import annotations

import contextlib
import socket

import psutil

from localstack.console import CommandFailed


def is_taken(port: int) -> bool:
    """Whether anything listens on the port of loopback, in either address family."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.settimeout(0.5)
                if probe.connect_ex((address, port)) == 0:
                    return True
        except OSError:
            continue
    return False


def owner(port: int) -> str:
    """The process that listens on the port, in words."""
    try:
        listening = [entry for entry in psutil.net_connections("tcp") if entry.status == psutil.CONN_LISTEN]
        pids = {entry.pid for entry in listening if entry.laddr and entry.laddr[1] == port and entry.pid}
        names = [f"{psutil.Process(pid).name()} (process {pid})" for pid in sorted(pids)]
    except psutil.Error:
        names = []
    return ", ".join(names) or "another program"


def free(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def require_free(setting: str, port: int) -> None:
    """Raise CommandFailed, naming the setting and the owner, when the port is taken."""
    if is_taken(port):
        raise CommandFailed(
            f"port {port} ({setting})",
            f"{owner(port)} listens on it",
            f"end that program, or choose another port: {setting}={port + 1} make up",
        )
