"""How MiniStack's state is copied while its threads change it."""

import pytest
from localstack.ministack import state


def test_a_state_that_changes_while_it_is_copied_is_copied_again() -> None:
    outcomes = iter([RuntimeError("dictionary changed size during iteration")] * 3)

    def get_state() -> dict[str, int]:
        for error in outcomes:
            raise error
        return {"items": 1}

    assert state.copied(get_state) == {"items": 1}


def test_a_state_that_never_holds_still_is_an_error_and_no_state() -> None:
    calls = []

    def get_state() -> None:
        calls.append(1)
        raise RuntimeError("dictionary changed size during iteration")

    with pytest.raises(RuntimeError):
        state.copied(get_state)
    assert len(calls) == state.COPIES_TRIED
