"""What is done of a request before it is counted: nothing that a refused one could cost."""

import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from core import limits
from core.errors import ServiceUnavailable
from core.http import Api
from core.limits import Allowance, Counting
from tests.events import Gateway
from tests.unit.functions.answers import ask

ONE_TOO_MANY = Allowance(limit=1, count=2, reset=9)
ADMITTED = Allowance(limit=2, count=2, reset=9)
Verdict = Callable[[], Allowance]


class Wanted(BaseModel):
    """A body."""

    number: int


class Limiter:
    """Tells of every request what it is told to, once it is asked."""

    verdict: Verdict = staticmethod(lambda: ADMITTED)
    has_room = False

    def begin(self, _key: str, *, is_user: bool) -> Counting:
        """Begin to count."""
        return Counting(self.verdict, self.has_room)


@pytest.fixture
def limiter(monkeypatch: pytest.MonkeyPatch) -> Limiter:
    made = Limiter()
    monkeypatch.setattr(limits, "from_env", lambda: made)
    return made


@pytest.fixture
def called() -> list[str]:
    return []


@pytest.fixture(params=[False, True], ids=["counted first", "counted beside"])
def function(request: pytest.FixtureRequest, called: list[str]) -> ModuleType:
    """A function that notes when it is called."""
    api = Api(counts_beside=request.param)

    @api.get("/reads", operation_id="read")
    def read() -> dict[str, Any]:
        called.append("read")
        return {}

    @api.post("/writes", operation_id="write")
    def write(wanted: Wanted) -> dict[str, Any]:
        called.append("write")
        return {}

    made = ModuleType("counted")
    made.handler = api  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize("body", ['{"number":1}', '{"number":"x"}', "no JSON", "[]"])
def test_a_request_that_is_one_too_many_is_refused_whatever_its_body_is(
    gateway: Gateway, limiter: Limiter, function: ModuleType, called: list[str], body: str
) -> None:
    limiter.verdict = lambda: ONE_TOO_MANY
    answer = ask(function, gateway("POST", "/writes", body=body))
    answer.problem(429)
    assert answer.headers["ratelimit-remaining"] == "0"
    assert called == []


def test_what_only_reads_may_read_beside_and_is_refused_all_the_same(
    gateway: Gateway, limiter: Limiter, function: ModuleType, called: list[str]
) -> None:
    limiter.verdict = lambda: ONE_TOO_MANY
    ask(function, gateway("GET", "/reads")).problem(429)
    assert called == (["read"] if function.handler.counts_beside else [])


def test_a_request_that_cannot_be_counted_writes_nothing(
    gateway: Gateway, limiter: Limiter, function: ModuleType, called: list[str]
) -> None:
    def fail() -> Allowance:
        raise ServiceUnavailable("not counted", retry_after=2)

    limiter.verdict = fail
    ask(function, gateway("POST", "/writes", body='{"number":1}')).problem(503)
    ask(function, gateway("GET", "/reads")).problem(503)
    assert "write" not in called


def test_the_route_is_called_while_the_request_is_counted(
    gateway: Gateway, limiter: Limiter, function: ModuleType, called: list[str]
) -> None:
    seen: list[list[str]] = []
    limiter.verdict = lambda: seen.append(list(called)) or ADMITTED  # type: ignore[func-returns-value]
    assert ask(function, gateway("GET", "/reads")).status == 200
    assert ask(function, gateway("POST", "/writes", body='{"number":1}')).status == 200
    assert seen[0] == (["read"] if function.handler.counts_beside else [])
    # A body is validated meanwhile, and that is all.
    assert "write" not in seen[1]
    assert called == ["read", "write"]


def test_a_route_with_a_body_that_counts_beside_begins_something_only_for_a_caller_far_from_the_limit(
    gateway: Gateway, limiter: Limiter, called: list[str]
) -> None:
    api = Api(counts_beside=True)

    @api.post("/writes", operation_id="write")
    def write(wanted: Wanted) -> dict[str, Any]:
        called.append("begun")
        api.admit()
        called.append("written")
        return {}

    function = ModuleType("counted")
    function.handler = api  # type: ignore[attr-defined]
    limiter.verdict = lambda: ONE_TOO_MANY
    ask(function, gateway("POST", "/writes", body='{"number":1}')).problem(429)
    assert called == []
    limiter.has_room = True
    ask(function, gateway("POST", "/writes", body='{"number":1}')).problem(429)
    assert called == ["begun"]
    limiter.verdict = lambda: called.append("counted") or ADMITTED  # type: ignore[func-returns-value]
    answer = ask(function, gateway("POST", "/writes", body='{"number":1}'))
    assert (answer.status, answer.headers["ratelimit-remaining"]) == (200, "0")
    assert called == ["begun", "begun", "counted", "written"]


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """What does not come while the test runs."""
    event = threading.Event()
    yield event
    event.set()


def test_counting_goes_on_by_itself(never: threading.Event) -> None:
    """It is begun, so that other work has its time."""
    begun = threading.Event()

    class Client:
        def update_item(self, **_request: Any) -> Any:
            begun.set()
            never.wait()

    settings = limits.RateLimitSettings("table", "name", 1, 1, fail_open=False)
    waiting = limits.RateLimiter(lambda: Client(), settings, seconds=0.1).begin("user:a", is_user=True)  # type: ignore[arg-type, return-value]
    assert begun.wait(timeout=60)
    with pytest.raises(ServiceUnavailable):
        waiting.result()
