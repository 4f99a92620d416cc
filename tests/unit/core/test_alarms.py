"""Alarms: each rings once at its time, by one thread."""

import subprocess
import sys
import threading
import time
from pathlib import Path

from core.alarms import Alarms

WAIT = 30.0


def test_alarms_ring_in_the_order_of_their_times_whatever_order_they_are_set_in() -> None:
    rung: list[str] = []
    all_rung = threading.Event()
    some = Alarms()
    now = time.monotonic()
    some.set(now + 0.3, all_rung.set)
    some.set(now + 0.2, lambda: rung.append("late"))
    some.set(now + 0.1, lambda: rung.append("soon"))
    assert all_rung.wait(WAIT)
    assert rung == ["soon", "late"]


def test_one_that_is_cancelled_does_not_ring_and_holds_nothing() -> None:
    class Ring:
        def __call__(self) -> None:
            rung.append(self)

    rung: list[Ring] = []
    over = threading.Event()
    some = Alarms()
    now = time.monotonic()
    alarm = some.set(now + 0.05, Ring())
    alarm.cancel()
    some.set(now + 0.1, over.set)
    assert over.wait(WAIT)
    assert rung == []
    assert vars(alarm) == {"_ring": None}


def test_one_that_fails_does_not_keep_the_others_from_ringing() -> None:
    def fail() -> None:
        raise ValueError

    rung = threading.Event()
    some = Alarms()
    now = time.monotonic()
    some.set(now, fail)
    some.set(now + 0.05, rung.set)
    assert rung.wait(WAIT)


def test_the_thread_ends_when_nobody_needs_it_and_comes_again() -> None:
    before = set(threading.enumerate())
    rung = threading.Event()
    some = Alarms(idle_seconds=0.01)
    some.set(time.monotonic(), rung.set)
    assert rung.wait(WAIT)
    for thread in set(threading.enumerate()) - before:
        thread.join(WAIT)
        assert not thread.is_alive()
    rung.clear()
    some.set(time.monotonic(), rung.set)
    assert rung.wait(WAIT)


def test_a_copy_of_the_process_has_a_thread_of_its_own() -> None:
    script = (
        "import os, threading, time\n"
        "from core import alarms\n"
        "alarms.at(time.monotonic() + 60, lambda: None)\n"
        "child = os.fork()\n"
        "rung = threading.Event()\n"
        "alarms.at(time.monotonic(), rung.set)\n"
        "rings = rung.wait(30)\n"
        "if not child:\n"
        "    os._exit(0 if rings else 1)\n"
        "assert rings and os.waitpid(child, 0)[1] == 0\n"
    )
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env={"PYTHONPATH": str(Path(__file__).parents[3] / "layers" / "core")},
        check=True,
        timeout=120,
    )
