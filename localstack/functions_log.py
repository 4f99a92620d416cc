"""Follow the functions' logs, which the emulator keeps as CloudWatch keeps them, and the platform's own log."""

from __future__ import annotations

import time
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

from localstack import services, stack
from localstack.commands import running_settings
from localstack.settings import Settings

EVERYTHING = "all"
POLL_SECONDS = 1.0
FIRST_MINUTES = 15


def log_groups(part: str, resources: list[dict[str, Any]]) -> dict[str, str]:
    """Log group -> `service/function`, for the functions of a service, or of all.

    Raises CommandFailed when no function is of this service.
    """
    names = [
        resource["PhysicalResourceId"] for resource in resources if resource["ResourceType"] == "AWS::Logs::LogGroup"
    ]
    shown = {name: "/".join(name.split("/")[-2:]) for name in names}
    if part == EVERYTHING:
        return shown
    folders = services.folders(part, {short.split("/")[0] for short in shown.values()})
    return {name: short for name, short in shown.items() if short.split("/")[0] in folders}


def _read(logs: Any, groups: dict[str, str], since: int) -> list[tuple[int, str, str]]:
    """Log lines of the groups after a time (milliseconds): time, function, message."""
    lines = []
    for group, name in groups.items():
        try:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since)
            events = [event for page in pages for event in page["events"]]
        except logs.exceptions.ResourceNotFoundException:
            continue  # not called yet
        lines += [(event["timestamp"], name, event["message"].rstrip()) for event in events]
    # By time only: the lines of a traceback have the same, and their order is theirs.
    return sorted(lines, key=itemgetter(0))


def _is_noise(message: str) -> bool:
    return message.startswith(("START RequestId", "END RequestId"))


class _Tail:
    """New lines of a file, since the last look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = 0

    def lines(self) -> list[str]:
        if not self.path.exists():
            return []
        if self.path.stat().st_size < self.position:
            self.position = 0
        with self.path.open(errors="replace") as content:
            content.seek(self.position)
            text = content.read()
            self.position = content.tell()
        return text.splitlines()


def show(settings: Settings, part: str, *, follow: bool, minutes: float = FIRST_MINUTES) -> None:
    """Print the last minutes of a part's logs, then what comes, until interrupted."""
    running = running_settings(settings)
    logs = stack.client(running, "logs")
    groups = log_groups(part, stack.resources(running))
    platform = _Tail(running.server_log)
    seen: set[tuple[int, str, str]] = set()
    since = int((time.time() - minutes * 60) * 1000)
    while True:
        for text in platform.lines() if part == EVERYTHING else []:
            print(f"{'':12} {'platform':20} {text}")
        fresh = [entry for entry in _read(logs, groups, since) if entry not in seen]
        for entry in fresh:
            moment, name, message = entry
            if not _is_noise(message):
                print(f"{datetime.fromtimestamp(moment / 1000):%H:%M:%S.%f}"[:-3], f"{name:20} {message}", flush=True)
        if fresh:
            since = fresh[-1][0]
            seen = {entry for entry in seen.union(fresh) if entry[0] >= since}
        if not follow:
            return
        time.sleep(POLL_SECONDS)
