"""A burst on LocalStack: few environments start, the other calls wait for those, and each has one to itself."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import cold_starts
import pytest

READY, BUSY = "ready", "busy"


class Assignment:
    """What LocalStack does: a free environment, or else a new one; tells how many started at the same time."""

    def __init__(self) -> None:
        self.environments: dict[str, dict[int, SimpleNamespace]] = defaultdict(dict)
        self.lock = threading.Lock()
        self.starting = self.most_starting = 0

    @contextmanager
    def get_environment(self, version: str, _provisioning: str) -> Iterator[SimpleNamespace]:
        with self.lock:
            free = [one for one in self.environments[version].values() if one.status == READY]
            if free:
                free[0].status = BUSY
                found = free[0]
            else:
                self.starting += 1
                self.most_starting = max(self.most_starting, self.starting)
        if not free:
            threading.Event().wait(0.01)
            with self.lock:
                self.starting -= 1
                found = SimpleNamespace(status=BUSY, users=0)
                self.environments[version][id(found)] = found
        try:
            yield found
        finally:
            found.status = READY


def test_of_fifty_calls_at_once_no_more_than_two_start_an_environment_at_the_same_time() -> None:
    assignment = Assignment()
    get_environment = cold_starts.bounded(Assignment.get_environment, READY, 2)

    def call(_: int) -> None:
        with get_environment(assignment, "version", "on demand") as environment:
            environment.users += 1
            assert environment.users == 1
            environment.users -= 1

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(call, range(50)))
    assert 1 <= assignment.most_starting <= 2


def test_an_environment_that_does_not_start_frees_its_place() -> None:
    @contextmanager
    def failing(_self: Assignment, _version: str, _provisioning: str) -> Iterator[None]:
        raise RuntimeError("no such module")
        yield

    get_environment = cold_starts.bounded(failing, READY, 1)
    for _ in range(3):
        with pytest.raises(RuntimeError), get_environment(Assignment(), "version", "on demand"):
            pass
