"""A call through the platform's way to its functions: whatever they log, however they end, the next one is answered."""

import json
from collections.abc import Iterator

import pytest

from tests.integration.ministack import stack
from tests.integration.ministack.stack import MiniStack

pytestmark = pytest.mark.needs("launcher")

# More than a pipe holds.
LONG = "long " * 50_000


@pytest.fixture(scope="module")
def mended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    """MiniStack as the platform has it."""
    with stack.running(tmp_path_factory.mktemp("calls"), mended=True) as ministack:
        yield ministack


def failure(ministack: MiniStack, name: str, what: str) -> str:
    """What is said of a call that fails."""
    answer = ministack.client("lambda").invoke(
        FunctionName=ministack.resources[name], Payload=json.dumps({"what": what}).encode()
    )
    assert "FunctionError" in answer
    return str(json.loads(answer["Payload"].read())["errorMessage"])


@pytest.mark.parametrize("name", ["Function", "Noisy"])
def test_a_call_that_is_long_and_logs_much_is_answered_with_its_log(mended: MiniStack, name: str) -> None:
    for text in (LONG, "short"):
        assert mended.invoke(name, what="chatter", text=text) == text
        log = mended.log_of(name, what="chatter", text=text)
        assert "the last word" in log[-200:]


@pytest.mark.parametrize("what", ["slow", "shout"])
def test_a_function_that_takes_too_long_is_ended_and_the_next_call_answered(mended: MiniStack, what: str) -> None:
    before = mended.invoke("Hurried", what="meet", folder=str(mended.folder), expected=0)

    assert failure(mended, "Hurried", what) == "Task timed out after 1.00 seconds"

    after = mended.invoke("Hurried", what="meet", folder=str(mended.folder), expected=0)
    assert None not in (before, after)
    assert before != after


def test_a_function_that_ends_in_the_middle_fails_its_call_alone(mended: MiniStack) -> None:
    assert failure(mended, "Function", "die") == "Worker process died"
    assert "the last word" in mended.log_of("Function", what="die")

    assert mended.invoke("Function", what="see") is not None
