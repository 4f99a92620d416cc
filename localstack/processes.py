"""Waiting for the end of a process that is not our child."""

from __future__ import annotations

import time

import psutil

POLL_SECONDS = 0.02


def has_ended(process: psutil.Process) -> bool:
    """Whether the process has ended. One that only its parent has not looked after (a zombie) has."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_for_end(process: psutil.Process, seconds: float) -> bool:
    """Wait until the process has ended; False when it has not within the time."""
    deadline = time.monotonic() + seconds
    while not has_ended(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
