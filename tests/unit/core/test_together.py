"""Calls at once: all of them come to their end, and a failure is told."""

import threading

import pytest

from core.together import at_once


def test_calls_are_done_at_once() -> None:
    meeting = threading.Barrier(3)
    at_once(*[lambda: meeting.wait(timeout=60)] * 3)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_failure_is_told_when_all_the_others_are_done(failing: int) -> None:
    done: list[int] = []
    go = threading.Event()

    def call(number: int) -> None:
        if number == failing:
            go.set()
            raise ValueError(number)
        assert go.wait(timeout=60)
        done.append(number)

    with pytest.raises(ValueError, match=str(failing)):
        at_once(*[lambda number=number: call(number) for number in range(3)])  # type: ignore[misc]
    assert sorted(done) == [number for number in range(3) if number != failing]
