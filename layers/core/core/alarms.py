"""What is done when a time has come, by one thread for all: to start a timer's own takes longer than a call lasts."""

import heapq
import os
import threading
import time
from collections.abc import Callable
from itertools import count

from core.logging import logger

_IDLE_SECONDS = 60.0


class Alarm:
    """Rings once, unless it is cancelled before."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring: Callable[[], None] | None = ring

    def cancel(self) -> None:
        """Do not ring, and hold nothing that ringing would need."""
        self._ring = None

    def ring(self) -> None:
        """Ring now, if it is not cancelled."""
        ring, self._ring = self._ring, None
        if ring:
            ring()


class Alarms:
    """Alarms, and the thread that rings them, which is there while there are any."""

    def __init__(self, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, int, Alarm]] = []
        self._numbers = count()
        self._runs = False

    def set(self, when: float, ring: Callable[[], None]) -> Alarm:
        """Ring at this time of ``time.monotonic``, in a thread that others need, too: ``ring`` is short."""
        alarm = Alarm(ring)
        with self._changed:
            entry = when, next(self._numbers), alarm
            heapq.heappush(self._waiting, entry)
            if not self._runs:
                threading.Thread(target=self._run, name="alarms", daemon=True).start()
                self._runs = True
            elif self._waiting[0] is entry:
                self._changed.notify()
        return alarm

    def _run(self) -> None:
        while (alarm := self._next()) is not None:
            try:
                alarm.ring()
            except Exception:
                # Others need this thread, too.
                logger.exception("an alarm failed")

    def _next(self) -> Alarm | None:
        """The next alarm, at its time; None when there was none for a while."""
        with self._changed:
            while True:
                if not self._waiting and not self._changed.wait_for(lambda: bool(self._waiting), self._idle_seconds):
                    self._runs = False
                    return None
                left = self._waiting[0][0] - time.monotonic()
                if left <= 0:
                    return heapq.heappop(self._waiting)[2]
                self._changed.wait(left)


def at(when: float, ring: Callable[[], None]) -> Alarm:
    """Ring at this time of ``time.monotonic``; ``ring`` is short, since there is one thread for all."""
    return _alarms.set(when, ring)


def _begin_anew() -> None:
    """A process that is a copy has no thread of the one that it is a copy of."""
    global _alarms
    _alarms = Alarms()


_alarms = Alarms()
os.register_at_fork(after_in_child=_begin_anew)
