"""The functions that need neither PostgreSQL nor the private key."""

import json

import pytest

from auth import authorizer, jwks
from core import identity
from tests import events, tokens
from tests.events import Gateway
from tests.unit.functions.answers import ask

BAD_TOKENS = tokens.bad_tokens()
STAGE = "arn:aws:execute-api:us-east-1:123456789012:abcdef1234/dev"


def test_the_key_set_is_served_and_may_be_cached(gateway: Gateway) -> None:
    answer = ask(jwks, gateway("GET", "/.well-known/jwks.json", headers={"Origin": "https://app.example.com"}))
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.json == tokens.jwks()


def test_the_key_set_holds_no_private_part() -> None:
    for key in ask(jwks, events.aws("GET", "/.well-known/jwks.json")).json["keys"]:
        assert not {"d", "p", "q", "dp", "dq", "qi"} & set(key)


def test_a_good_token_opens_the_whole_stage_and_tells_who_holds_it(capsys: pytest.CaptureFixture[str]) -> None:
    claims = tokens.claims()
    token = tokens.access_token(**claims)
    answer = authorizer.handler(events.token_authorizer(f"Bearer {token}"), None)
    assert answer["principalId"] == claims["sub"]
    assert answer["policyDocument"] == {
        "Version": "2012-10-17",
        "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{STAGE}/*"}],
    }
    assert answer["context"] == {name: claims[name] for name in ("sub", "email", "role", "sid", "exp")}
    # API Gateway takes texts, numbers and booleans only.
    assert all(isinstance(value, str | int) for value in answer["context"].values())
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["effect"] == "Allow"
    assert json.loads(line)["user_id"] == claims["sub"]
    assert token not in line
    assert claims["email"] not in line


@pytest.mark.parametrize("flaw", BAD_TOKENS)
def test_a_bad_token_is_denied_without_a_word_about_it(flaw: str, capsys: pytest.CaptureFixture[str]) -> None:
    token = BAD_TOKENS[flaw]
    answer = authorizer.handler(events.token_authorizer(f"Bearer {token}"), None)
    assert answer["policyDocument"]["Statement"] == [
        {"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": f"{STAGE}/*"}
    ]
    assert answer["context"] == {}
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["effect"] == "Deny"
    assert token not in line


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer  {}", "Basic {}", "{}", "Bearer {} x", "\0", "é" * 9000]
)
def test_a_header_of_another_shape_is_denied(authorization: str) -> None:
    event = events.token_authorizer(authorization.format(tokens.access_token()))
    statement = authorizer.handler(event, None)["policyDocument"]["Statement"][0]
    assert statement["Effect"] == "Deny"


@pytest.mark.parametrize("word", ["bearer", "BEARER"])
def test_the_word_bearer_may_be_in_any_case(word: str) -> None:
    answer = authorizer.handler(events.token_authorizer(f"{word} {tokens.access_token()}"), None)
    assert answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"


@pytest.mark.parametrize("path", ["GET/", "GET/admin/images", "POST/a/b/c/d", "GET/image/x%2Fy"])
def test_the_policy_is_the_same_for_every_call_because_it_is_cached_by_token(path: str) -> None:
    event = events.token_authorizer(f"Bearer {tokens.access_token()}", method_arn=f"{STAGE}/{path}")
    assert authorizer.handler(event, None)["policyDocument"]["Statement"][0]["Resource"] == f"{STAGE}/*"


def test_the_context_that_the_authorizer_gives_is_an_identity_behind_every_gateway(gateway: Gateway) -> None:
    given = authorizer.handler(events.token_authorizer(f"Bearer {tokens.access_token()}"), None)["context"]
    caller = identity.required(gateway("GET", "/users/me", identity=given))
    assert caller.context() == given
