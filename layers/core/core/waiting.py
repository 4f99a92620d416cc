"""Waits that end: for a socket, for a name, for a whole call whose library cannot be told when to stop.

A timeout of a library is not enough. None of them bounds the resolver of names, most start anew with each try, and all
of them measure by the clock on the wall: on a crowded machine, where a process may not run for a second, they take
the machine for a peer that is silent.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

_SLICE_SECONDS = 0.05

ResultT = TypeVar("ResultT")


class DeadlinePassed(TimeoutError):
    """What was waited for did not come in time."""


class Patience:
    """Seconds that somebody waits for somebody else, in as many waits as it takes.

    Only waiting is counted, and in slices, of which each costs what was asked for and not what it took: neither our own
    work (imports, TLS, bcrypt) nor time in which this process did not get to run makes the other one late.
    """

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    def wait(self, ready: Callable[[float], bool]) -> None:
        """Wait until ``ready``, which waits for at most the seconds that it gets, is true. Raises ``DeadlinePassed``.

        It is asked once more after the last second was waited: what has come meanwhile counts.
        """
        while True:
            slice_ = max(0.0, min(self.left, _SLICE_SECONDS))
            started = time.monotonic()
            if ready(slice_):
                self.left -= min(slice_, time.monotonic() - started)
                return
            if slice_ == 0.0:
                raise DeadlinePassed
            self.left -= slice_

    def sleep(self, seconds: float) -> None:
        """Let time pass, at the cost of the patience."""
        time.sleep(seconds)
        self.left -= seconds


def within(patience: Patience, call: Callable[[], ResultT]) -> ResultT:
    """What the call returns or raises in time. Raises ``DeadlinePassed`` otherwise; then the call goes on, unheard.

    It runs in a thread, since nothing else can leave a library that does not return. Import what it needs before.
    """
    return begun(call)(patience)


def begun(call: Callable[[], ResultT]) -> Callable[[Patience], ResultT]:
    """Begin a call, and go on; what is returned waits for it as ``within`` does."""
    results: list[ResultT] = []
    failures: list[BaseException] = []
    over = threading.Event()

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            failures.append(error)
        finally:
            over.set()

    # A daemon, because it may outlive the request.
    threading.Thread(target=run, daemon=True).start()

    def result(patience: Patience) -> ResultT:
        patience.wait(over.wait)
        for failure in failures:
            raise failure
        return results[0]

    return result
