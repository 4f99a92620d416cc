"""Values of a query: in the contract's spelling or refused, each wrong one by its name."""

from datetime import date
from typing import Any

import pytest

from core import query
from core.errors import Unprocessable
from tests import events
from tests.events import Gateway

WRONG: dict[str, list[str]] = {
    "limit": ["0", "101", "-1", "", "x", "1.5", "1e1", "٥", "true", "\0", "9" * 5000, " 20", "+20", "1_0", "20\n"],
    "redirect": ["", "x", "2", "-1", "TRUE", "yes", "null", "tru", " true", "\0", "é", "x" * 5000],
    "from": ["", "x", "0", "1700000000", "2026-13-01", "2026-02-30", "2026-1-2", "20261122", "2026-11-22T00:00:00",
             "0000-01-01", "99999-01-01", "２０２６-01-01", "2026-11-22 ", "2026-11-22\n", "\0", "2026-W01-1"],
}  # fmt: skip


def route(
    limit: query.Limit = 20,
    redirect: query.Flag = False,
    first_day: query.FromDay = None,
    cursor: query.Cursor = None,
    untold: str = "not of the query",
) -> None:
    """A route's function."""


WANTED = query.parameters(route)


def read(gateway: Gateway = events.aws, **sent: Any) -> dict[str, Any]:
    return query.values(WANTED, gateway("GET", "/", query=sent))


def test_what_is_not_sent_has_its_default() -> None:
    assert list(WANTED) == ["limit", "redirect", "first_day", "cursor"]
    defaults = {"limit": 20, "redirect": False, "first_day": None, "cursor": None}
    assert read() == defaults
    assert query.values(WANTED, {}) == defaults
    assert read(LIMIT="0", page="x", untold="y") == defaults
    assert query.values({}, {"queryStringParameters": {"limit": "0"}}) == {}


@pytest.mark.parametrize("gateway", events.GATEWAYS.values(), ids=events.GATEWAYS)
def test_what_is_sent_is_read(gateway: Gateway) -> None:
    found = read(gateway, **{"limit": "100", "redirect": "1", "from": "2024-02-29", "cursor": "a b"})
    assert found == {"limit": 100, "redirect": True, "first_day": date(2024, 2, 29), "cursor": "a b"}
    assert [read(gateway, redirect=text)["redirect"] for text in ("True", "true", "False", "false", "0")] == [
        True, True, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_any_other_spelling_is_named(name: str, value: str) -> None:
    with pytest.raises(Unprocessable) as problem:
        read(**{name: value})
    (error,) = problem.value.errors
    assert error.field == name
    assert error.message.startswith("Must be")


def test_each_wrong_value_is_named_with_what_it_must_be() -> None:
    with pytest.raises(Unprocessable) as problem:
        read(**{"limit": "0", "from": "2026-02-30", "redirect": "x"})
    assert [tuple(error) for error in problem.value.errors] == [
        ("limit", "Must be a whole number from 1 to 100."),
        ("redirect", "Must be true or false."),
        ("from", "Must be a day that the calendar has, such as 2026-11-22."),
    ]


@pytest.mark.parametrize("name", ["limit", "redirect", "from", "cursor"])
def test_a_value_that_comes_twice_is_refused_where_the_gateway_tells(name: str) -> None:
    with pytest.raises(Unprocessable) as problem:
        read(**{name: ["1", "1"]})
    assert [tuple(error) for error in problem.value.errors] == [(name, "Must be sent once.")]
