"""GET /auth/sessions and DELETE /auth/sessions/{id}."""

from datetime import timedelta
from typing import Any

import pytest

from accounts.own import MOST_SESSIONS_SHOWN
from auth import end_session, logout, sessions
from core import ids, times
from tests import events, tokens
from tests.events import Gateway
from tests.unit.conftest import Log
from tests.unit.functions.accounts_plane import (  # noqa: F401
    Person,
    bearer,
    configured,
    database_down,
    environment,
    execute,
    log_in,
    post,
)
from tests.unit.functions.answers import Answer, ask

pytestmark = pytest.mark.usefixtures("environment")

# An id as we make them, of nobody.
NOBODY = "01a20417-fa47-79d3-b4cc-013f464358c4"
BAD_TOKENS = tokens.bad_tokens()


def listed(token: str | None, gateway: Gateway = events.aws) -> Answer:
    return ask(sessions, gateway("GET", "/auth/sessions", headers=bearer(token)))


def items(person: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = listed(person.token).json["items"]
    return found


def end(token: str | None, session_id: str, gateway: Gateway = events.aws) -> Answer:
    event = gateway("DELETE", "/auth/sessions/{id}", parameters={"id": session_id}, headers=bearer(token))
    return ask(end_session, event)


def test_a_session_is_shown_as_the_contract_says(gateway: Gateway) -> None:
    ana = Person.of(log_in(Person.new().email, gateway=gateway))
    answer = listed(ana.token, gateway)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json) == {"items"}
    (mine,) = [item for item in answer.json["items"] if item["current"]]
    seen = gateway("GET", "/")["requestContext"]["identity"]
    assert mine == {
        "id": ana.session_id,
        "createdAt": mine["createdAt"],
        "lastUsedAt": mine["createdAt"],
        "userAgent": seen["userAgent"],
        "ip": seen["sourceIp"],
        "current": True,
    }
    assert mine["createdAt"].endswith("Z")


def test_the_caller_sees_own_sessions_only_the_last_used_first() -> None:
    first = Person.new()
    second, third = first.again(), first.again()
    Person.new()
    assert [item["id"] for item in items(first)] == [third.session_id, second.session_id, first.session_id]
    assert first.can_refresh()
    assert [item["id"] for item in items(second)] == [first.session_id, third.session_id, second.session_id]
    assert [item["current"] for item in items(second)] == [False, False, True]


@pytest.mark.parametrize("column", ["revoked_at", "expires_at"])
def test_a_session_that_is_over_is_not_shown(column: str) -> None:
    ana = Person.new()
    other = ana.again()
    execute(f"UPDATE sessions SET {column} = now() - interval '1 second' WHERE id = %s", other.session_id)  # noqa: S608
    assert [item["id"] for item in items(ana)] == [ana.session_id]


def test_the_answer_stays_small() -> None:
    ana = Person.new()
    old = times.now() - timedelta(days=1)
    for number in range(MOST_SESSIONS_SHOWN):
        execute(
            "INSERT INTO sessions (id, user_id, handle_hash, secret_hash, created_at, last_used_at, expires_at)"
            " VALUES (%s, %s, %s, '', %s, %s, now() + interval '1 day')",
            ids.new(), ana.id, ids.new(), old, old + timedelta(seconds=number),
        )  # fmt: skip
    shown = items(ana)
    assert len(shown) == MOST_SESSIONS_SHOWN
    assert shown[0]["current"]
    assert (shown[1]["userAgent"], shown[1]["ip"]) == (None, None)


def test_a_session_that_is_ended_cannot_be_refreshed_and_the_others_can(gateway: Gateway) -> None:
    ana = Person.new()
    phone, tablet = ana.again(), ana.again()
    for _ in range(2):
        ended = end(ana.token, phone.session_id, gateway)
        assert (ended.status, ended.body) == (204, "")
    assert not phone.can_refresh()
    assert {item["id"] for item in items(ana)} == {ana.session_id, tablet.session_id}
    assert tablet.can_refresh()


def test_the_callers_own_session_can_be_ended() -> None:
    ana = Person.new()
    assert end(ana.token, ana.session_id).status == 204
    assert not ana.can_refresh()


@pytest.mark.parametrize("column", ["revoked_at", "expires_at"])
def test_a_session_that_was_over_is_ended_without_a_word(column: str) -> None:
    ana = Person.new()
    other = ana.again()
    execute(f"UPDATE sessions SET {column} = now() - interval '1 hour' WHERE id = %s", other.session_id)  # noqa: S608
    assert end(ana.token, other.session_id).status == 204


def test_ending_a_session_again_does_not_move_its_end() -> None:
    ana, moment = Person.new(), "2026-01-02T03:04:05Z"
    execute("UPDATE sessions SET revoked_at = %s WHERE id = %s", moment, ana.session_id)
    end(ana.token, ana.session_id)
    assert execute("SELECT 1 FROM sessions WHERE id = %s AND revoked_at = %s", ana.session_id, moment) == 1


def test_a_session_of_somebody_else_is_404_and_lives(gateway: Gateway) -> None:
    ana, bob = Person.new(), Person.new()
    theirs = end(ana.token, bob.session_id, gateway).problem(404)
    nobodys = end(ana.token, ids.new(), gateway).problem(404)
    assert theirs == nobodys
    assert bob.can_refresh()


@pytest.mark.parametrize(
    "session_id", ["x", "current", "0", "%", "' OR 1=1 --", "é", "018f3c1e-0000-4000-8000-000000000000", "A" * 500]
)
def test_what_is_no_id_is_404(session_id: str) -> None:
    end(Person.new().token, session_id).problem(404)


@pytest.mark.parametrize("flaw", ["expired", "edited payload", "foreign key, our kid"])
def test_a_bad_token_sees_and_ends_nothing(flaw: str) -> None:
    ana = Person.new()
    for answer in (listed(BAD_TOKENS[flaw]), end(BAD_TOKENS[flaw], ana.session_id)):
        answer.problem(401)
    assert ana.can_refresh()


def test_without_a_token_there_is_nothing_to_see_or_end(gateway: Gateway) -> None:
    listed(None, gateway).problem(401)
    end(None, ids.new(), gateway).problem(401)


@pytest.mark.parametrize("sub", [NOBODY, "x", "'; DROP TABLE users; --"])
def test_a_user_who_does_not_exist_any_more_has_none(gateway: Gateway, sub: str) -> None:
    caller = tokens.claims(sub=sub)
    ask(sessions, gateway("GET", "/auth/sessions", identity=caller)).problem(401)
    event = gateway("DELETE", "/auth/sessions/{id}", parameters={"id": ids.new()}, identity=caller)
    ask(end_session, event).problem(404)


def test_after_a_logout_everywhere_none_is_left() -> None:
    ana = Person.new()
    ana.again()
    post(logout, {"refreshToken": ana.refresh_token, "everywhere": True})
    assert items(ana) == []


def test_the_end_of_a_session_is_a_security_event(log: Log) -> None:
    ana = Person.new()
    other = ana.again()
    end(ana.token, other.session_id)
    (event,) = [line for line in log.lines() if "security_event" in line]
    assert (event["security_event"], event["user_id"], event["session_id"]) == (
        "session_ended", ana.id, other.session_id
    )  # fmt: skip


@pytest.mark.usefixtures("database_down")
def test_without_a_database_both_are_503() -> None:
    token = tokens.claims()
    ask(sessions, events.aws("GET", "/auth/sessions", identity=token)).problem(503)
    event = events.aws("DELETE", "/auth/sessions/{id}", parameters={"id": ids.new()}, identity=token)
    ask(end_session, event).problem(503)
