"""Serve MiniStack in a folder, on a port: as it is, or with `--mended` as the platform has it.

Run by the platform's interpreter, with the platform's settings of MiniStack. `GET /counts` tells how often it has done
since the start what nobody sees from without.
"""

import argparse
import asyncio
import copy
import importlib
import ipaddress
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from localstack import edge, environments, web_server
from localstack.ministack.emulator import Emulator

COUNTS: Counter[str] = Counter()


def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same, and it is counted."""

    def counting(*arguments: Any, **named: Any) -> Any:
        COUNTS[name] += 1
        return call(*arguments, **named)

    return counting


def with_counted(module: Any, name: str, counter: str) -> SimpleNamespace:
    """Stands for a module of which a call is counted."""
    return SimpleNamespace(**vars(module) | {name: counted(counter, getattr(module, name))})


def count() -> None:
    """Count from now on what shortcuts of the platform's spare MiniStack."""
    iam, dynamodb, s3, runtime, concurrency = (
        importlib.import_module(f"ministack.{name}")
        for name in (
            *("core.iam_evaluator", "services.dynamodb", "services.s3"),
            *("core.lambda_runtime", "core.concurrency"),
        )
    )
    iam.ParsedStatement = counted("statements", iam.ParsedStatement)
    iam._gather_role_policies = counted("roles", iam._gather_role_policies)
    tokens = SimpleNamespace(finditer=counted("conditions", dynamodb._COND_TOKEN_RE.finditer))
    dynamodb._COND_TOKEN_RE = tokens
    dynamodb._tokenize = counted("words", dynamodb._tokenize)
    dynamodb.copy = with_counted(copy, "deepcopy", "copies")
    s3.threading = with_counted(threading, "Thread", "threads")
    runtime.threading = with_counted(threading, "Thread", "readers")
    concurrency.threading = with_counted(threading, "Thread", "callers")
    iam.ipaddress = with_counted(ipaddress, "ip_network", "networks")
    s3.os = with_counted(os, "fdopen", "buffers")
    s3.os.path = with_counted(os.path, "realpath", "links")


def telling(application: Any) -> Any:
    """The application, which tells the counts."""

    async def told(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") == "/counts":
            await edge.respond(send, 200, dict(COUNTS))
        else:
            await application(scope, receive, send)

    return told


def application(folder: Path, *, mended: bool) -> Any:
    """The ASGI application."""
    count()
    if not mended:
        return importlib.import_module("ministack.app").app
    emulator = Emulator(environments.functions().python, folder / "packages")
    listener = edge.aws_listener(emulator.application, emulator.save)
    return edge.by_port({options.port: listener}, lifespan=emulator.application)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--folder", type=Path, required=True)
parser.add_argument("--mended", action="store_true")
options = parser.parse_args()


async def serve() -> None:
    """Until the process is ended."""
    await web_server.serve(
        telling(application(options.folder, mended=options.mended)),
        web_server.listening(options.port),
        asyncio.Event().wait(),
    )


web_server.run(serve())
