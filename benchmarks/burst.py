"""Fifty pictures at once from cold, what that leaves in memory, and 32 at once beside a plain container.

`make bench-burst`, on a platform of its own whose provider answers at once. Memory is proportional (PSS): what
processes share counts once. Linux only.
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import psutil
from benchmarks import beside
from benchmarks.beside import Connection

AT_ONCE = 50
WARM = 32
PICTURE = {"prompt": "a lighthouse at dusk, seen from the sea", "size": "64x64", "seed": 7}
SLOW = PICTURE | {"prompt": "[[slow:1]] a lighthouse"}
MEGABYTE = 1024 * 1024


def at_once(connect: Callable[[], Connection], count: int, body: Any, each: int = 1) -> float:
    """Seconds until so many callers at once have had so many answers each."""
    connections = [connect() for _ in range(count)]

    def ask(connection: Connection) -> None:
        for _ in range(each):
            connection.read("POST", "/image/generate", body, 201)

    start = time.perf_counter()
    with ThreadPoolExecutor(count) as callers:
        list(callers.map(ask, connections))
    return time.perf_counter() - start


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

        def ours() -> Connection:
            return Connection(f"http://127.0.0.1:{running.api_port}", _ana.token)

        rows = []
        cold = at_once(ours, AT_ONCE, PICTURE)
        whole, pictures = memory(server)
        rows.append(("50 at once from cold, pictures a second", AT_ONCE / cold))
        rows.append(("environments after that", len(pictures)))
        rows.append(("MB an environment of theirs", sum(pictures) / len(pictures)))
        rows.append(("MB of all functions after that", whole))
        slow = at_once(ours, AT_ONCE, SLOW)
        whole, pictures = memory(server)
        rows.append(("50 at once whose provider takes a second, seconds", slow))
        rows.append(("environments after that", len(pictures)))
        rows.append(("MB an environment of theirs", sum(pictures) / len(pictures)))
        rows.append(("MB of all functions after that", whole))
        speeds: dict[str, list[float]] = {"plain": [], "ours": []}
        for _ in range(options.rounds):
            speeds["plain"].append(WARM * 3 / at_once(lambda: Connection(plain_url), WARM, PICTURE, each=3))
            speeds["ours"].append(WARM * 3 / at_once(ours, WARM, PICTURE, each=3))
        rows.append(("32 at once, pictures a second", median(speeds["ours"])))
        rows.append(("32 at once, of the plain container", median(speeds["plain"])))
    print("| what | |\n|---|---:|")
    for name, value in rows:
        print(f"| {name} | {value:.1f} |")


if __name__ == "__main__":
    main()
