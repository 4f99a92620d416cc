import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import identity
from core.errors import Unauthorized
from core.identity import Identity, TokenVerifier
from tests import tokens

VERIFIER = TokenVerifier(tokens.jwks(), issuer=tokens.ISSUER, audience=tokens.AUDIENCE)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWKS", json.dumps(tokens.jwks()))
    monkeypatch.setenv("TOKEN_ISSUER", tokens.ISSUER)
    monkeypatch.setenv("TOKEN_AUDIENCE", tokens.AUDIENCE)
    identity.verifier.cache_clear()


def event(authorization: str | None = None, context: dict[str, Any] | None = None) -> dict[str, Any]:
    headers = {} if authorization is None else {"Authorization": authorization}
    return {"headers": headers, "requestContext": {"authorizer": context} if context else {}}


def test_a_good_token_tells_who_holds_it() -> None:
    claims = tokens.claims()
    caller = VERIFIER.verify(tokens.access_token(**claims))
    assert caller == Identity(claims["sub"], "ana@example.com", "user", claims["sid"], claims["exp"])


@pytest.mark.parametrize("flaw", tokens.bad_tokens())
def test_a_bad_token_is_refused(flaw: str) -> None:
    with pytest.raises(Unauthorized) as caught:
        VERIFIER.verify(tokens.bad_tokens()[flaw])
    assert caught.value.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}


def test_a_token_is_good_within_the_leeway_and_no_longer() -> None:
    now = int(time.time())
    VERIFIER.verify(tokens.access_token(exp=now - identity.LEEWAY_SECONDS + 5))
    with pytest.raises(Unauthorized):
        VERIFIER.verify(tokens.access_token(exp=now - identity.LEEWAY_SECONDS - 1))
    assert identity.LEEWAY_SECONDS <= 30


@given(st.text(max_size=200))
def test_no_text_is_a_token(text: str) -> None:
    with pytest.raises(Unauthorized):
        VERIFIER.verify(text)


@pytest.mark.parametrize("word", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_word_bearer_is_read_in_any_case(word: str) -> None:
    caller = identity.optional(event(f"{word} {tokens.access_token()}"))
    assert caller is not None


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer  {}", " Bearer {}", "Bearer {} ", "Bearer {},x", "Basic YTpi", "{}"],
)
def test_a_header_that_is_not_a_bearer_token_is_a_bad_one(authorization: str) -> None:
    with pytest.raises(Unauthorized) as caught:
        identity.optional(event(authorization.format(tokens.access_token())))
    assert "invalid_token" in caught.value.headers["WWW-Authenticate"]


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_the_header_is_found_in_any_case(name: str) -> None:
    found = identity.optional({"headers": {name: f"Bearer {tokens.access_token()}"}, "requestContext": {}})
    assert found is not None


def test_no_header_is_anonymous_on_an_open_route_and_401_on_a_protected_one() -> None:
    assert identity.optional(event()) is None
    assert identity.optional({"headers": None, "requestContext": {}}) is None
    with pytest.raises(Unauthorized) as caught:
        identity.required(event())
    assert caught.value.headers == {"WWW-Authenticate": "Bearer"}


def test_the_context_of_the_authorizer_is_trusted_and_may_hold_numbers_as_text() -> None:
    exp = int(time.time()) + 60
    context = {"sub": "u", "email": "e", "role": "admin", "sid": "s", "exp": str(exp), "principalId": "u"}
    caller = identity.required(event(context=context))
    assert caller == Identity("u", "e", "admin", "s", exp)
    assert caller.is_admin


def test_a_token_that_expired_while_the_gateway_had_it_cached_is_refused() -> None:
    context = {"sub": "u", "email": "e", "role": "user", "sid": "s", "exp": int(time.time()) - 30}
    with pytest.raises(Unauthorized):
        identity.required(event(context=context))


def test_a_context_without_an_identity_is_not_one() -> None:
    with pytest.raises(Unauthorized):
        identity.required(event(context={"integrationLatency": 3}))


def test_an_identity_survives_the_context_of_the_authorizer() -> None:
    caller = Identity("u", "e", "user", "s", 12)
    assert Identity.from_claims({name: str(value) for name, value in caller.context().items()}) == caller


def test_the_authorizer_imports_neither_boto3_nor_pydantic_nor_a_resolver() -> None:
    root = Path(__file__).parents[3]
    code = (
        "import sys, auth.authorizer; import jwt, jwt.algorithms;"
        "print([m for m in ('boto3', 'botocore', 'pydantic', 'aws_lambda_powertools', 'psycopg2') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{root / 'functions'}:{root / 'layers' / 'core'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "[]"
