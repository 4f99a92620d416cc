"""Calls at once: all of them come to their end, and a failure is told."""

import pytest

from core.together import finish


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_failure_is_told_when_all_the_others_are_done(failing: int) -> None:
    done: list[int] = []

    def call(number: int) -> None:
        if number == failing:
            raise ValueError(number)
        done.append(number)

    with pytest.raises(ValueError, match=str(failing)):
        finish([lambda number=number: call(number) for number in range(3)])  # type: ignore[misc]
    assert done == [number for number in range(3) if number != failing]


def test_of_several_failures_the_first_is_told() -> None:
    def call(number: int) -> None:
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        finish([lambda number=number: call(number) for number in range(3)])  # type: ignore[misc]
