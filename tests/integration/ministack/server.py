"""Serve MiniStack in a folder, on a port: as it is, or with `--mended` as the platform has it.

Run by the platform's interpreter, with the platform's settings of MiniStack.
"""

import argparse
import asyncio
import importlib
from pathlib import Path
from typing import Any

from localstack import edge, environments, web_server
from localstack.ministack.emulator import Emulator


def application(folder: Path, *, mended: bool) -> Any:
    """The ASGI application."""
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
        application(options.folder, mended=options.mended), web_server.listening(options.port), asyncio.Event().wait()
    )


web_server.run(serve())
