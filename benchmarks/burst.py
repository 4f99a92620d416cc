"""Fifty pictures at once from cold, what that leaves in memory, and 32 at once beside a plain container.

`make bench-burst`, on a platform of its own whose provider answers at once. A gateway gives up after 29 seconds; on a
crowded machine a call that it gives up is made again, and the table says how often that was. Each row is printed when
it is measured. Memory is proportional (PSS): what processes share counts once. Linux only.
"""

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from operator import truediv
from statistics import median
from typing import Any

import psutil
from benchmarks import beside
from benchmarks.beside import Connection

AT_ONCE = 50
WARM = 32
# What a gateway says when a function has not answered in time, or was not there in time.
OVERLOADED = frozenset({500, 502, 503, 504})
MOST_TRIES = 20
PICTURE = {"prompt": "a lighthouse at dusk, seen from the sea", "size": "64x64", "seed": 7}
SLOW = PICTURE | {"prompt": "[[slow:1]] a lighthouse"}
MEGABYTE = 1024 * 1024


@dataclass
class Burst:
    """So many callers at once: how long it takes, and how many answers come too late."""

    connect: Callable[[], Connection]
    late: int = 0

    def seconds(self, count: int, body: Any, each: int = 1) -> float:
        """Seconds until so many callers at once have had so many answers each."""
        connections = [self.connect() for _ in range(count)]
        start = time.perf_counter()
        with ThreadPoolExecutor(count) as callers:
            self.late += sum(callers.map(lambda connection: _ask(connection, body, each), connections))
        return time.perf_counter() - start


def _ask(connection: Connection, body: Any, each: int) -> int:
    """How often an answer came too late. Raises ``beside.Unexpected`` when that does not end."""
    late = 0
    for _ in range(each):
        for is_last in (*[False] * MOST_TRIES, True):
            try:
                connection.read("POST", "/image/generate", body, 201)
                break
            except beside.Unexpected as error:
                if is_last or error.status not in OVERLOADED:
                    raise
                late += 1
    return late


def memory(pid: int) -> tuple[float, list[float]]:
    """Megabytes of all functions' processes, and of each that is an environment of `POST /image/generate`."""
    whole, pictures = 0.0, []
    for process in psutil.Process(pid).children(recursive=True):
        try:
            command = " ".join(process.cmdline())
            used = process.memory_full_info().pss / MEGABYTE
        except psutil.NoSuchProcess:
            continue
        if "_worker.py" in command:
            whole += used
            if "ImageGenerate" in command:
                pictures.append(used)
    return whole, pictures


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of 32 at once")
    options = parser.parse_args()
    with beside.platform() as running, beside.plain(running) as plain_url:
        _ana, caller = beside.user(running)
        # What is not the burst's: the gateway's own start, and the authorizer's.
        caller.call("GET", "/users/me")
        (server,) = [
            process.pid
            for process in psutil.process_iter(["cmdline"])
            if running.environment["LOCAL_DIR"] in (process.info["cmdline"] or ())
            and "localstack.server" in process.info["cmdline"]
        ]

        ours = Burst(lambda: Connection(f"http://127.0.0.1:{running.api_port}", _ana.token))
        plain = Burst(lambda: Connection(plain_url))
        print("| what | |\n|---|---:|")
        row("50 at once from cold, pictures a second", AT_ONCE / ours.seconds(AT_ONCE, PICTURE))
        in_memory(server)
        row("50 at once whose provider takes a second, seconds", ours.seconds(AT_ONCE, SLOW))
        in_memory(server)
        speeds: dict[str, list[float]] = {"plain": [], "ours": []}
        for number in range(options.rounds):
            speeds["plain"].append(WARM * 3 / plain.seconds(WARM, PICTURE, each=3))
            speeds["ours"].append(WARM * 3 / ours.seconds(WARM, PICTURE, each=3))
            told = {name: round(each[-1], 1) for name, each in speeds.items()}
            print(f"round {number + 1} of {options.rounds}: {told}", file=sys.stderr, flush=True)
        row("32 at once, pictures a second", median(speeds["ours"]))
        row("32 at once, of the plain container", median(speeds["plain"]))
        row(
            "the same, ours times the plain container's, round by round",
            median(map(truediv, speeds["ours"], speeds["plain"])),
        )
        row("answers of ours that came too late, and were asked for again", ours.late)
        row("of the plain container's", plain.late)


def row(name: str, value: float) -> None:
    """Print a row of the table, at once."""
    print(f"| {name} | {value:.{0 if isinstance(value, int) else 2}f} |", flush=True)


def in_memory(server: int) -> None:
    """Print what the functions have in memory."""
    whole, pictures = memory(server)
    row("environments after that", len(pictures))
    row("MB an environment of theirs", sum(pictures) / max(1, len(pictures)))
    row("MB of all functions after that", whole)


if __name__ == "__main__":
    main()
