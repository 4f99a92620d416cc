"""The functions of the accounts plane, on a real PostgreSQL."""

import json
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest

from accounts.refresh_tokens import RefreshToken
from auth import login, logout, refresh, register
from core import identity, ids
from tests import events, tokens
from tests.events import Gateway
from tests.unit.accounts.conftest import Server
from tests.unit.conftest import Log
from tests.unit.functions.accounts_plane import (  # noqa: F401
    PASSWORD,
    configured,
    database_down,
    environment,
    post,
)
from tests.unit.functions.answers import Answer, ask
from users import me

# An id as we make them, of nobody.
NOBODY = "01a20417-fa47-79d3-b4cc-013f464358c4"
BAD_TOKENS = tokens.bad_tokens()


pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture
def email() -> str:
    return f"{uuid4().hex}@example.com"


def get_me(token: str, gateway: Gateway = events.aws) -> Answer:
    return ask(me, gateway("GET", "/users/me", headers={"Authorization": f"Bearer {token}"}))


def test_an_account_is_registered_logged_in_refreshed_and_logged_out(gateway: Gateway, email: str) -> None:
    registered = post(register, {"email": email, "password": PASSWORD}, gateway)
    assert registered.status == 201
    assert registered.headers["cache-control"] == "no-store"
    assert set(registered.json) == {"accessToken", "refreshToken", "tokenType", "expiresIn", "user"}
    assert set(registered.json["user"]) == {"id", "email", "role", "createdAt"}
    assert (registered.json["tokenType"], registered.json["expiresIn"]) == ("Bearer", 900)
    user = registered.json["user"]
    assert (user["email"], user["role"]) == (email, "user")
    assert ids.is_valid(user["id"])

    logged_in = post(login, {"email": email.upper(), "password": PASSWORD}, gateway)
    assert logged_in.status == 200
    assert logged_in.json["user"] == user
    assert logged_in.headers["cache-control"] == "no-store"

    refreshed = post(refresh, {"refreshToken": logged_in.json["refreshToken"]}, gateway)
    assert refreshed.status == 200
    assert set(refreshed.json) == {"accessToken", "refreshToken", "tokenType", "expiresIn"}
    assert refreshed.headers["cache-control"] == "no-store"

    for answer in (registered, logged_in, refreshed):
        assert get_me(answer.json["accessToken"], gateway).json == user

    for _ in range(2):
        left = post(logout, {"refreshToken": refreshed.json["refreshToken"]}, gateway)
        assert (left.status, left.body) == (204, "")
    post(refresh, {"refreshToken": refreshed.json["refreshToken"]}, gateway).problem(401)


def test_an_email_that_is_taken_in_another_case_is_409(gateway: Gateway, email: str) -> None:
    post(register, {"email": email, "password": PASSWORD}, gateway)
    problem = post(register, {"email": f" {email.title()} ", "password": "another password"}, gateway).problem(409)
    assert problem["type"].endswith("email-taken")
    assert email not in json.dumps(problem).lower()


def test_an_unknown_user_and_a_wrong_password_get_the_same_answer(gateway: Gateway, email: str) -> None:
    post(register, {"email": email, "password": PASSWORD}, gateway)
    wrong = post(login, {"email": email, "password": "wrong horse battery"}, gateway)
    unknown = post(login, {"email": f"x{email}", "password": PASSWORD}, gateway)
    assert wrong.problem(401) == unknown.problem(401)
    assert wrong.headers == unknown.headers
    assert wrong.headers["www-authenticate"] == "Bearer"


def test_logout_everywhere_ends_every_session(email: str) -> None:
    first = post(register, {"email": email, "password": PASSWORD}).json
    second = post(login, {"email": email, "password": PASSWORD}).json
    assert post(logout, {"refreshToken": first["refreshToken"], "everywhere": True}).status == 204
    post(refresh, {"refreshToken": second["refreshToken"]}).problem(401)


@pytest.mark.parametrize("token", ["x", "A" * 64, "A" * 1024, "header.payload.signature", "a.b", "null"])
def test_a_refresh_token_that_nobody_has_is_401_and_no_session_to_end(gateway: Gateway, token: str) -> None:
    post(refresh, {"refreshToken": token}, gateway).problem(401)
    assert post(logout, {"refreshToken": token}, gateway).status == 204


def test_a_session_knows_where_it_was_started(gateway: Gateway, email: str, server: Server, database_name: str) -> None:
    answer = post(register, {"email": email, "password": PASSWORD}, gateway)
    event = gateway("POST", "/auth/register")
    ((agent, address),) = server.execute(
        "SELECT user_agent, ip FROM sessions WHERE user_id = %s", answer.json["user"]["id"], database=database_name
    )
    assert agent == event["requestContext"]["identity"]["userAgent"]
    assert address == event["requestContext"]["identity"]["sourceIp"]


# ---------------------------------------------------------------- who am I


@pytest.mark.parametrize("flaw", BAD_TOKENS)
def test_a_bad_token_tells_nobody_who_they_are(flaw: str) -> None:
    answer = get_me(BAD_TOKENS[flaw])
    answer.problem(401)
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_without_a_token_there_is_nobody(gateway: Gateway) -> None:
    answer = ask(me, gateway("GET", "/users/me"))
    answer.problem(401)
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_refresh_token_is_no_access_token(gateway: Gateway, email: str) -> None:
    answer = post(register, {"email": email, "password": PASSWORD})
    get_me(answer.json["refreshToken"], gateway).problem(401)


def test_the_identity_of_the_authorizer_is_taken(gateway: Gateway, email: str) -> None:
    user = post(register, {"email": email, "password": PASSWORD}).json["user"]
    context = tokens.claims(sub=user["id"])
    assert ask(me, gateway("GET", "/users/me", identity=context)).json == user


@pytest.mark.parametrize("sub", [NOBODY, "x", "'; DROP TABLE users; --"])
def test_a_user_who_does_not_exist_any_more_is_401(gateway: Gateway, sub: str) -> None:
    answer = ask(me, gateway("GET", "/users/me", identity=tokens.claims(sub=sub)))
    answer.problem(401)


# ---------------------------------------------------------------- wrong fields

EMAILS: list[Any] = [
    None, 7, True, [], {}, "", " ", "x", "a@", "@b.c", "a@b", "a b@example.com", "a@@example.com", "a\0@example.com",
    "a@exa\nmple.com", "\u202ea@example.com", "\ud800@example.com", "a" * 65 + "@example.com", "a@" + "b" * 300 + ".com",
    "x" * 5000 + "@example.com", "a@-example.com", "<script>@example", "a@[127.0.0.1]", ["a@example.com"],
]  # fmt: skip
PASSWORDS: list[Any] = [
    None, 7, True, [], {}, "", "short", "1234567", "a" * 73, "é" * 37, "😀" * 19, "pass\0word123", "\ud800" * 8, "x" * 9999,
]  # fmt: skip
TOKENS: list[Any] = [None, 7, True, [], {}, "", "é", "\0é", "\ud800", "x" * 1025]


def shown(value: Any) -> str:
    return repr(value)[:30].encode("ascii", "replace").decode()


@pytest.mark.parametrize("value", EMAILS, ids=shown)
@pytest.mark.parametrize("function", [register, login])
def test_what_is_not_an_email_is_named(function: ModuleType, value: Any) -> None:
    assert post(function, {"email": value, "password": PASSWORD}).wrong_fields() == {"email"}


@pytest.mark.parametrize("value", PASSWORDS, ids=shown)
def test_a_password_that_bcrypt_cannot_hold_is_named(value: Any) -> None:
    answer = post(register, {"email": "ana@example.com", "password": value})
    assert answer.wrong_fields() == {"password"}
    if isinstance(value, str) and value:
        assert value not in answer.body


@pytest.mark.parametrize("value", PASSWORDS, ids=shown)
def test_no_password_breaks_a_login(email: str, value: Any) -> None:
    answer = post(login, {"email": email, "password": value})
    assert answer.status in (401, 422)
    answer.problem(answer.status)


@pytest.mark.parametrize("value", TOKENS, ids=shown)
@pytest.mark.parametrize("function", [refresh, logout])
def test_what_is_not_a_refresh_token_is_named(function: ModuleType, value: Any) -> None:
    assert post(function, {"refreshToken": value}).wrong_fields() == {"refreshToken"}


@pytest.mark.parametrize("value", [None, 0, 1, "true", "", [], {}], ids=shown)
def test_everywhere_is_true_or_false(value: Any) -> None:
    assert post(logout, {"refreshToken": "x", "everywhere": value}).wrong_fields() == {"everywhere"}


@pytest.mark.parametrize(
    "password", ["password 1234", "pässwörd", "  spaces  ", "😀" * 18, "密码密码密码密码", "a" * 72]
)
def test_every_other_text_is_a_password(email: str, password: str) -> None:
    assert post(register, {"email": email, "password": password}).status == 201
    assert post(login, {"email": email, "password": password}).status == 200


@pytest.mark.parametrize("local_part", ["josé", "用户", "o'brien", "a+b", "😀"])
def test_names_of_every_script_are_emails(local_part: str) -> None:
    address = f"{local_part}{uuid4().hex[:12]}@example.com"
    assert post(register, {"email": address, "password": PASSWORD}).json["user"]["email"] == address


# ---------------------------------------------------------------- PostgreSQL is down


@pytest.mark.usefixtures("database_down")
def test_without_a_database_every_call_is_503_and_says_when_to_try_again(gateway: Gateway, email: str) -> None:
    credentials = {"email": email, "password": PASSWORD}
    token = {"refreshToken": str(RefreshToken.new())}
    for function, body in ((register, credentials), (login, credentials), (refresh, token), (logout, token)):
        problem = post(function, body, gateway).problem(503)
        assert "hunter2" not in json.dumps(problem)
    ask(me, gateway("GET", "/users/me", identity=tokens.claims())).problem(503)


@pytest.mark.usefixtures("database_down")
def test_without_a_database_a_wrong_body_is_still_a_wrong_body() -> None:
    post(register, {}).problem(422)
    post(me, {}).problem(401)


# ---------------------------------------------------------------- the log


def test_the_log_holds_ids_and_no_secret(email: str, log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    registered = post(register, {"email": email, "password": PASSWORD}).json
    wrong = "wrong-password-9"
    post(login, {"email": email, "password": wrong}).problem(401)
    refreshed = post(refresh, {"refreshToken": registered["refreshToken"]}).json
    get_me(refreshed["accessToken"])
    post(logout, {"refreshToken": refreshed["refreshToken"], "everywhere": True})
    printed = capfd.readouterr()
    written = log.getvalue() + printed.out + printed.err
    assert len(log.of("request")) == 5
    assert log.of("request")[3]["user_id"] == registered["user"]["id"]
    secrets = [PASSWORD, wrong, email]
    for answer in (registered, refreshed):
        secrets += [answer["refreshToken"], answer["accessToken"].split(".")[2]]
    assert not [secret for secret in secrets if secret in written]


def test_tokens_carry_the_key_id_that_the_key_set_publishes(email: str) -> None:
    token = post(register, {"email": email, "password": PASSWORD}).json["accessToken"]
    assert identity.verifier().verify(token).email == email
