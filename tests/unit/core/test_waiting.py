"""Patience counts waiting, not the clock; and calls that do not return end for whoever waits."""

import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path

import pytest

from core import waiting
from core.waiting import DeadlinePassed, Patience, begun, within


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


@pytest.fixture
def _no_threads_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_threads", waiting._Threads())


def thread_of_a_call() -> threading.Thread:
    return within(Patience(60), threading.current_thread)


def threads_of_calls_at_once(count: int) -> list[threading.Thread]:
    together = threading.Barrier(count)

    def call() -> threading.Thread:
        together.wait(60)
        return threading.current_thread()

    return [result(Patience(60)) for result in [begun(call) for _ in range(count)]]


@pytest.mark.usefixtures("_no_threads_yet")
def test_one_call_after_the_other_takes_one_thread_whatever_comes_of_them() -> None:
    first = thread_of_a_call()
    assert first.daemon
    with pytest.raises(SystemExit):
        within(Patience(60), sys.exit)
    assert thread_of_a_call() is first


@pytest.mark.usefixtures("_no_threads_yet")
def test_calls_at_once_have_a_thread_each_of_which_few_stay() -> None:
    threads = threads_of_calls_at_once(20)
    assert len(set(threads)) == 20
    kept = threads_of_calls_at_once(8)
    assert set(kept) < set(threads)
    for thread in set(threads) - set(kept):
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.usefixtures("_no_threads_yet")
def test_a_call_that_does_not_return_keeps_its_thread_and_no_other_call_waits(released: threading.Event) -> None:
    first = thread_of_a_call()
    with pytest.raises(DeadlinePassed):
        within(Patience(0.1), lambda: released.wait(60))
    second = thread_of_a_call()
    assert second is not first
    assert thread_of_a_call() is second


@pytest.mark.usefixtures("_no_threads_yet")
def test_calls_share_no_context_variables_with_each_other_or_who_waits_for_them() -> None:
    variable = ContextVar("variable", default="nobody's")

    def exchange() -> str:
        found = variable.get()
        variable.set("another call's")
        return found

    variable.set("ours")
    assert [within(Patience(60), exchange) for _ in range(2)] == ["nobody's"] * 2
    assert variable.get() == "ours"


@pytest.mark.usefixtures("_no_threads_yet")
def test_an_idle_thread_holds_nothing_of_its_last_call() -> None:
    class Large:
        pass

    held = Large()
    gone = weakref.ref(held)
    within(Patience(60), lambda held=held: None)
    del held
    assert gone() is None


def test_a_copy_of_the_process_starts_threads_of_its_own() -> None:
    code = (
        "import os\n"
        "from core.waiting import Patience, within\n"
        "within(Patience(60), int)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(within(Patience(5), lambda: 7))\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), within(Patience(60), lambda: 8))\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={"PYTHONPATH": str(Path(__file__).parents[3] / "layers" / "core")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == ["7", "8"]
