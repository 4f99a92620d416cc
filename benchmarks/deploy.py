"""How long a deployment takes when nothing has changed, and how soon an edit is live: `make bench-deploy`.

On a platform of its own, whose project is a copy. Seconds on whatever machine this is; both are meant to be below two.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import IO

from benchmarks import beside
from benchmarks.beside import Connection
from tests.integration.client import Platform
from tests.own_platform import ROOT

PROJECT = ("functions", "layers", "template.yaml")
EDITED = "functions/users/me.py"


@contextmanager
def project() -> Iterator[Path]:
    """A copy of what is deployed, which may be edited."""
    with tempfile.TemporaryDirectory() as folder:
        for name in PROJECT:
            source, target = ROOT / name, Path(folder) / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        yield Path(folder)


def unchanged(running: Platform) -> tuple[float, float]:
    """Seconds of a deployment of what is deployed, on the clock and of a processor."""
    start, before = time.perf_counter(), os.times()
    running.command("deploy")
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, used


@contextmanager
def watching(running: Platform) -> Iterator[IO[str]]:
    """`make dev-users`, when it watches: its output."""
    command = [sys.executable, "-u", "-m", "localstack", "dev", "users"]
    options = {"cwd": running.root, "env": running.environment, "stdin": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options) as process:  # type: ignore[call-overload]
        try:
            until(process.stdout, "watching")
            yield process.stdout
        finally:
            process.terminate()


def until(output: IO[str], word: str) -> None:
    """Read on until a line has the word. Raises ``RuntimeError`` with what was there where none has."""
    seen = []
    for line in output:
        seen.append(line)
        if word in line:
            return
    raise RuntimeError("".join(seen))


def edited(path: Path, output: IO[str], caller: Connection) -> tuple[float, float]:
    """Seconds from saving a file until its function has the code, and until it has answered with it."""
    start = time.perf_counter()
    with path.open("a") as content:
        content.write(f"# {start}\n")
    until(output, "live  ")
    live = time.perf_counter() - start
    caller.call("GET", "/users/me")
    return live, time.perf_counter() - start


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with project() as copy, beside.platform(SAM_TEMPLATE=str(copy / "template.yaml")) as running:
        _ana, caller = beside.user(running)
        caller.call("GET", "/users/me")
        deployments = [unchanged(running) for _ in range(options.rounds)]
        with watching(running) as output:
            edits = [edited(copy / EDITED, output, caller) for _ in range(options.rounds)]
    rows = {
        "`make deploy`, nothing changed": [one for one, _ in deployments],
        "the same, of a processor": [one for _, one in deployments],
        "`make dev-users`: from saving until live": [one for one, _ in edits],
        "until the first answer of the new code": [one for _, one in edits],
    }
    print("| what | seconds |\n|---|---:|")
    for name, seconds in rows.items():
        print(f"| {name} | {median(seconds):.2f} |")


if __name__ == "__main__":
    main()
