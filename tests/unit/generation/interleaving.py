"""Tasks in threads of which exactly one goes on at a time; who, is chosen again at each step of a task.

The same choices give the same run, whatever the operating system does with the threads.
"""

import random
import threading
from collections.abc import Callable, Sequence

_STEPS = 20_000
_STUCK_SECONDS = 120.0


class Abandoned(BaseException):
    """Ends the tasks of a run that has no end."""


class Turns:
    """Gives the turn to one task after the other. ``restlessness`` is how probable a change is at each step."""

    def __init__(self, chance: random.Random, *, restlessness: float) -> None:
        self._chance = chance
        self._restlessness = restlessness
        self._back = threading.Semaphore(0)
        self._abandoned = False
        self._errors: list[BaseException] = []

    def run(self, works: "Sequence[Callable[[Turn], None]]") -> None:
        """Run all to their end. Raises the first error of any of them."""
        turns = [Turn(self, work) for work in works]
        current, alive = turns[0], turns
        steps = 0
        while alive:
            if current not in alive or self._chance.random() < self._restlessness:
                current = self._chance.choice(alive)
            current.give()
            assert self._back.acquire(timeout=_STUCK_SECONDS), "a task neither ends nor makes a step"
            alive = [turn for turn in alive if not turn.is_over]
            steps += 1
            self._abandoned |= steps > _STEPS
        for turn in turns:
            turn.join()
        if self._errors:
            raise self._errors[0]
        assert not self._abandoned, "the tasks have no end"

    def perform(self, turn: "Turn", work: "Callable[[Turn], None]") -> None:
        """Run the work of one turn, in its thread."""
        try:
            work(turn)
        except Abandoned:
            pass
        except BaseException as error:
            self._errors.append(error)
            self._abandoned = True

    def back(self) -> None:
        """Take the turn back from the one who has it."""
        self._back.release()

    @property
    def is_abandoned(self) -> bool:
        """Whether the tasks are to end."""
        return self._abandoned


class Turn:
    """One task of a run."""

    def __init__(self, turns: Turns, work: "Callable[[Turn], None]") -> None:
        self.is_over = False
        self._turns = turns
        self._mine = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def step(self) -> None:
        """Let others go on, perhaps; called by the task."""
        self._turns.back()
        self._wait()

    def give(self) -> None:
        """Let this task go on to its next step."""
        self._mine.release()

    def join(self) -> None:
        """Wait for the end of the thread."""
        self._thread.join(_STUCK_SECONDS)

    def _wait(self) -> None:
        self._mine.acquire()
        if self._turns.is_abandoned:
            raise Abandoned

    def _run(self, work: "Callable[[Turn], None]") -> None:
        self._mine.acquire()
        self._turns.perform(self, work)
        self.is_over = True
        self._turns.back()
