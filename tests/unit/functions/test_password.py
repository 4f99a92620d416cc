"""POST /auth/password."""

from typing import Any

import pytest

from auth import login, logout, password, register
from tests import events, tokens
from tests.events import Gateway
from tests.unit.conftest import Log
from tests.unit.functions.accounts_plane import (  # noqa: F401
    PASSWORD,
    Person,
    configured,
    database_down,
    environment,
    execute,
    log_in,
    post,
)
from tests.unit.functions.answers import Answer

pytestmark = pytest.mark.usefixtures("environment")

# An id as we make them, of nobody.
NOBODY = "01a20417-fa47-79d3-b4cc-013f464358c4"
NEW = "wrong donkey charger"


def change(person: Person, current: Any = PASSWORD, new: Any = NEW, gateway: Gateway = events.aws) -> Answer:
    return person.post(password, {"currentPassword": current, "newPassword": new}, gateway)


def test_the_new_password_logs_in_and_the_old_one_does_not(gateway: Gateway) -> None:
    ana = Person.new()
    answer = change(ana, gateway=gateway)
    assert (answer.status, answer.body) == (204, "")
    log_in(ana.email, PASSWORD, gateway).problem(401)
    assert log_in(ana.email, NEW, gateway).status == 200


def test_all_other_sessions_end_and_this_one_goes_on() -> None:
    ana, bob = Person.new(), Person.new()
    phone, tablet = ana.again(), ana.again()
    assert change(phone).status == 204
    assert [person.can_refresh() for person in (ana, phone, tablet, bob)] == [False, True, False, True]


def test_a_wrong_current_password_is_403_and_changes_nothing(gateway: Gateway) -> None:
    ana = Person.new()
    other = ana.again()
    problem = change(ana, "wrong horse battery", gateway=gateway).problem(403)
    assert problem["type"].endswith(":wrong-password")
    assert other.can_refresh()
    assert log_in(ana.email).status == 200


def test_a_session_that_has_ended_cannot_change_the_password(gateway: Gateway) -> None:
    ana = Person.new()
    post(logout, {"refreshToken": ana.refresh_token})
    # Also not try one: the answer to a wrong and to the right one is the same.
    answers = [change(ana, current, gateway=gateway) for current in (PASSWORD, "wrong horse battery")]
    assert [answer.problem(401) for answer in answers] == [answers[0].json] * 2
    assert answers[0].headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert log_in(ana.email).status == 200


def test_a_session_that_has_expired_cannot_change_the_password() -> None:
    ana = Person.new()
    execute("UPDATE sessions SET expires_at = now() - interval '1 second' WHERE id = %s", ana.session_id)
    change(ana).problem(401)


def test_wrong_current_passwords_delay_the_account_like_failed_logins(log: Log) -> None:
    ana = Person.new()
    for _ in range(3):
        change(ana, "wrong horse battery").problem(403)
    for _ in range(2):
        log_in(ana.email, "wrong horse battery").problem(401)
    answers = [change(ana), change(ana, "wrong horse battery"), log_in(ana.email)]
    assert len({answer.problem(429)["type"] for answer in answers}) == 1
    assert all(1 <= int(answer.headers["retry-after"]) <= 30 for answer in answers)
    events_logged = [line["security_event"] for line in log.lines() if "security_event" in line]
    assert events_logged == ["wrong_password"] * 5 + ["login_delayed"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"currentPassword": PASSWORD, "newPassword": PASSWORD}, "newPassword"),
        ({"currentPassword": PASSWORD, "newPassword": "short"}, "newPassword"),
        ({"currentPassword": PASSWORD, "newPassword": "x" * 73}, "newPassword"),
        ({"currentPassword": PASSWORD, "newPassword": "nul\0 character"}, "newPassword"),
        ({"currentPassword": PASSWORD, "newPassword": "password123"}, "newPassword"),
        ({"currentPassword": PASSWORD, "newPassword": "PassWord123"}, "newPassword"),
        ({"currentPassword": PASSWORD, "newPassword": None}, "newPassword"),
        ({"currentPassword": PASSWORD}, "newPassword"),
        ({"currentPassword": "", "newPassword": NEW}, "currentPassword"),
        ({"currentPassword": "x" * 73, "newPassword": NEW}, "currentPassword"),
        ({"currentPassword": 7, "newPassword": NEW}, "currentPassword"),
        ({"newPassword": NEW}, "currentPassword"),
        ({"current_password": PASSWORD, "newPassword": NEW}, "currentPassword"),
    ],
)
def test_a_field_that_is_wrong_is_named(body: dict[str, Any], field: str) -> None:
    ana = Person.new()
    answer = ana.post(password, body)
    assert answer.wrong_fields() == {field}
    for text in body.values():
        assert not isinstance(text, str) or len(text) < 8 or text not in answer.body
    assert log_in(ana.email).status == 200


def test_common_passwords_are_refused_when_an_account_is_made() -> None:
    body = {"email": "common@example.com", "password": "Football"}
    answer = post(register, body)
    assert answer.wrong_fields() == {"password"}
    assert "choose another" in answer.json["errors"][0]["message"]
    assert post(login, body).status == 401


def test_a_token_is_needed(gateway: Gateway) -> None:
    post(password, {"currentPassword": PASSWORD, "newPassword": NEW}, gateway).problem(401)


@pytest.mark.parametrize(
    "changes", [{"sub": NOBODY}, {"sub": "x"}, {"sid": NOBODY}, {"sid": "x"}, {"sid": "' OR 1=1 --"}], ids=str
)
def test_a_token_of_no_session_is_401(changes: dict[str, str]) -> None:
    ana = Person.new()
    caller = tokens.claims(sub=ana.id, sid=ana.session_id) | changes

    def gateway(method: str, path: str, **options: Any) -> events.Event:
        return events.aws(method, path, **options | {"headers": {}, "identity": caller})

    change(ana, gateway=gateway).problem(401)
    assert log_in(ana.email).status == 200


def test_a_change_is_a_security_event_that_holds_no_password(log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    ana = Person.new()
    change(ana)
    (event,) = [line for line in log.lines() if "security_event" in line]
    assert (event["security_event"], event["user_id"]) == ("password_changed", ana.id)
    printed = capfd.readouterr()
    written = log.getvalue() + printed.out + printed.err
    assert not [secret for secret in (PASSWORD, NEW, ana.email, ana.token.split(".")[2]) if secret in written]


@pytest.mark.usefixtures("database_down")
def test_without_a_database_it_is_503() -> None:
    def gateway(method: str, path: str, **options: Any) -> events.Event:
        return events.aws(method, path, **options | {"identity": tokens.claims()})

    post(password, {"currentPassword": PASSWORD, "newPassword": NEW}, gateway).problem(503)
