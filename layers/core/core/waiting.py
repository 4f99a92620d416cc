"""Waits that end: for a socket, for a name, for a whole call whose library cannot be told when to stop.

A timeout of a library is not enough. None of them bounds the resolver of names, most start anew with each try, and all
of them measure by the clock on the wall: on a crowded machine, where a process may not run for a second, they take
the machine for a peer that is silent.
"""

import os
import threading
import time
from collections.abc import Callable
from contextvars import Context
from queue import SimpleQueue
from typing import TypeVar

_SLICE_SECONDS = 0.05
_MOST_IDLE_THREADS = 8

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
    """Begin a call, and go on; what is returned waits for it as ``within`` does.

    The call finds no context variable that is set here, nor one that a call before it has set.
    """
    results: list[ResultT] = []
    failures: list[BaseException] = []
    over = threading.Event()

    def run() -> None:
        try:
            results.append(Context().run(call))
        except BaseException as error:
            failures.append(error)

    _threads.do(run, over.set)

    def result(patience: Patience) -> ResultT:
        patience.wait(over.wait)
        for failure in failures:
            raise failure
        return results[0]

    return result


def start(call: Callable[[], None]) -> None:
    """Let a thread do the call, which must not raise, with context variables of its own; nobody waits for it."""
    _threads.do(lambda: Context().run(call), lambda: None)


class _Threads:
    """Threads that do one call after the other, since starting one takes longer than a call waits for them.

    There are as many as calls are under way; few of those that have none stay. They are daemons, because a call may
    outlive the request.
    """

    def __init__(self) -> None:
        self._idle: list[SimpleQueue[tuple[Callable[[], None], Callable[[], None]]]] = []
        self._lock = threading.Lock()

    def do(self, call: Callable[[], None], tell: Callable[[], None]) -> None:
        """Let a thread do the call, and tell when the thread can take another one. Neither may raise."""
        with self._lock:
            calls = self._idle.pop() if self._idle else None
        if calls is None:
            calls = SimpleQueue()
            threading.Thread(target=self._work, args=(calls,), daemon=True).start()
        calls.put((call, tell))

    def _work(self, calls: SimpleQueue[tuple[Callable[[], None], Callable[[], None]]]) -> None:
        stays = True
        while stays:
            call, tell = calls.get()
            call()
            del call  # what it holds is not held until the next one
            with self._lock:
                stays = len(self._idle) < _MOST_IDLE_THREADS
                if stays:
                    self._idle.append(calls)
            tell()
            del tell


def _forget_threads() -> None:
    """A process that is a copy has none of the threads, and perhaps a lock that one of them held."""
    global _threads
    _threads = _Threads()


_threads = _Threads()
os.register_at_fork(after_in_child=_forget_threads)
