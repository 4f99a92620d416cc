"""The platform's long-running process: PostgreSQL, then MiniStack and the API's own listener, until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from localstack import edge, environments, ports, postgres, settings, web_server
from localstack.console import CommandFailed
from localstack.instance import Instance
from localstack.ministack.emulator import Emulator

logger = logging.getLogger("platform")

SAVE_SECONDS = 15
# A large state on a busy machine takes long to copy, and nothing else goes on meanwhile.
PAUSES_FOR_A_SAVE = 20


def _free_legacy_ports(config: settings.Settings) -> list[int]:
    """Those that nobody else has: the platform does without the others, and they may be another clone's."""
    return [port for port in config.legacy_ports if not ports.is_taken(port) and _can_be_bound(port)]


def _can_be_bound(port: int) -> bool:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def _take(lock: IO[str]) -> bool:
    """Take the platform's lock; a command that only asks whether we run holds it for an instant."""
    for _attempt in range(20):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


async def _serve(config: settings.Settings, instance: Instance) -> None:
    emulator = Emulator(environments.functions().python, config.run / "packages")
    endpoint = edge.Endpoint(instance.endpoint_file)
    legacy_ports = _free_legacy_ports(config)
    listeners = {
        port: edge.api_listener(emulator.application, endpoint, port) for port in (config.api_port, *legacy_ports)
    }
    listeners[config.aws_port] = edge.aws_listener(emulator.application, emulator.save)
    application = edge.by_port(listeners, lifespan=emulator.application)
    sockets = [bound for port in listeners for bound in web_server.listening(port)]

    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)

    async def save_regularly() -> None:
        """A killed process loses only what happened since."""
        took = 0.0
        while True:
            await asyncio.sleep(max(SAVE_SECONDS, PAUSES_FOR_A_SAVE * took))
            began = time.monotonic()
            try:
                await emulator.save(everything=False)
            except (OSError, RuntimeError):
                # A full disk, or a state that never held still: the next time may be better.
                logger.exception("the platform's state could not be saved")
            took = time.monotonic() - began

    saving = asyncio.create_task(save_regularly())
    instance.describe(os.getpid(), config, legacy_ports)
    try:
        await web_server.serve(application, sockets, ending.wait())
    finally:
        saving.cancel()
        emulator.end_functions()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the platform of a home folder until SIGTERM."""
    parser = argparse.ArgumentParser(prog="localstack.server", description=main.__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--api-port", type=int, required=True)
    parser.add_argument("--aws-port", type=int, required=True)
    parser.add_argument("--legacy-port", type=int, action="append", default=[])
    options = parser.parse_args(arguments)
    config = settings.Settings(
        options.home, options.api_port, options.aws_port, template=Path(), legacy_ports=tuple(options.legacy_port)
    )
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")

    instance = Instance(config.home)
    with instance.lock_file.open("w") as lock:
        if not _take(lock):
            print("another process of this platform is running", file=sys.stderr)
            return 1
        for leftover in ("tmp", "packages"):
            shutil.rmtree(config.run / leftover, ignore_errors=True)
        (config.run / "tmp").mkdir(parents=True)
        cluster = postgres.Cluster(config.state / "postgres")
        try:
            postgres.start(cluster)
            web_server.run(_serve(config, instance))
        except CommandFailed as failure:
            print(json.dumps({"what": failure.what, "why": failure.why, "remedy": failure.remedy}), file=sys.stderr)
            return 1
        finally:
            postgres.stop(cluster)
            instance.forget()
    return 0


if __name__ == "__main__":
    sys.exit(main())
