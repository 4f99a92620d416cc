"""Patience counts waiting, not the clock; and calls that do not return end for whoever waits."""

import threading
from collections.abc import Callable, Iterator

import pytest

from core import waiting
from core.waiting import DeadlinePassed, Patience, within


class CrowdedMachine:
    """Time as a process sees it that gets to run long after what it slept for: each wait takes 100 times as long."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits = 0

    def monotonic(self) -> float:
        return self.now

    def silent(self, seconds: float) -> bool:
        self.waits += 1
        self.now += 100 * seconds
        return False

    def answers_at(self, number: int) -> Callable[[float], bool]:
        def ready(seconds: float) -> bool:
            self.silent(seconds)
            return self.waits >= number

        return ready


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> CrowdedMachine:
    machine = CrowdedMachine()
    monkeypatch.setattr(waiting, "time", machine)
    return machine


@pytest.fixture
def released() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_silence_ends_after_as_much_waiting_as_there_is_patience(machine: CrowdedMachine) -> None:
    patience = Patience(1.0)
    with pytest.raises(DeadlinePassed):
        patience.wait(machine.silent)
    assert 20 <= machine.waits <= 22
    assert patience.left <= 0


def test_time_in_which_the_process_does_not_run_is_not_the_other_ones(machine: CrowdedMachine) -> None:
    patience = Patience(1.0)
    patience.wait(machine.answers_at(10))
    assert machine.now > 1.0
    assert patience.left == pytest.approx(0.5)


def test_work_between_the_waits_is_not_counted(machine: CrowdedMachine) -> None:
    patience = Patience(1.0)
    patience.wait(lambda _seconds: True)
    machine.now += 3600
    patience.wait(lambda _seconds: True)
    assert patience.left == 1.0


def test_what_has_come_when_the_patience_ends_counts() -> None:
    Patience(0.0).wait(lambda seconds: seconds == 0.0)


def test_a_call_in_time_gives_what_it_returns_and_raises_what_it_raises() -> None:
    assert within(Patience(60), lambda: "answer") == "answer"
    with pytest.raises(ZeroDivisionError):
        within(Patience(60), lambda: 1 // 0)


def test_a_call_that_does_not_return_is_left(released: threading.Event) -> None:
    with pytest.raises(DeadlinePassed):
        within(Patience(0.1), lambda: released.wait(60))
