import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import jwt
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


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(clock: Clock) -> TokenVerifier:
    return TokenVerifier(tokens.jwks(), issuer=tokens.ISSUER, audience=tokens.AUDIENCE, clock=clock)


@pytest.fixture
def decode() -> Iterator[mock.Mock]:
    with mock.patch("jwt.decode", wraps=jwt.decode) as spy:
        yield spy


def test_a_token_that_was_found_good_is_not_verified_again_and_not_kept(
    verifier: TokenVerifier, decode: mock.Mock
) -> None:
    token = tokens.access_token()
    first = verifier.verify(token)
    assert verifier.verify(token) == first
    assert decode.call_count == 1
    assert token not in repr(vars(verifier))
    assert token.rpartition(".")[2] not in repr(vars(verifier))


@pytest.mark.parametrize("after", [-1.0, 0.0, 9.0, 9.999, 10.0, 10.001, 11.0, 3600.0])
def test_a_remembered_token_expires_when_the_library_says_so(
    verifier: TokenVerifier, clock: Clock, after: float
) -> None:
    token = tokens.access_token()
    identity_ = verifier.verify(token)
    clock.now = identity_.exp + after
    try:
        jwt.PyJWT()._validate_exp({"exp": identity_.exp}, clock.now, identity.LEEWAY_SECONDS)
    except jwt.ExpiredSignatureError:
        with pytest.raises(Unauthorized) as caught:
            verifier.verify(token)
        assert caught.value.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        assert after >= identity.LEEWAY_SECONDS
        assert not vars(verifier)["_good"]
    else:
        assert verifier.verify(token) == identity_
        assert after < identity.LEEWAY_SECONDS


def test_a_token_is_verified_anew_where_the_clock_was_set_back(
    verifier: TokenVerifier, clock: Clock, decode: mock.Mock
) -> None:
    token = tokens.access_token()
    verifier.verify(token)
    clock.now -= 60
    verifier.verify(token)
    assert decode.call_count == 2


@pytest.mark.parametrize("flaw", tokens.bad_tokens())
def test_a_bad_token_is_refused_each_time_also_beside_good_ones(verifier: TokenVerifier, flaw: str) -> None:
    verifier.verify(tokens.access_token())
    bad = tokens.bad_tokens()[flaw]
    for _ in range(2):
        with pytest.raises(Unauthorized):
            verifier.verify(bad)


def test_one_changed_character_of_a_remembered_token_is_refused(verifier: TokenVerifier) -> None:
    token = tokens.access_token()
    verifier.verify(token)
    # Not the last one of the signature: some of its bits are no part of it.
    for place in (0, len(token) // 2, token.rindex(".") + 1, len(token) - 2):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(Unauthorized):
            verifier.verify(changed)
    verifier.verify(token)


def test_a_text_that_is_no_unicode_is_refused(verifier: TokenVerifier) -> None:
    with pytest.raises(Unauthorized):
        verifier.verify("\ud800")


def test_what_was_used_longest_ago_is_forgotten_when_many_are_good(
    verifier: TokenVerifier, decode: mock.Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "REMEMBERED_TOKENS", 2)
    first, second, third = (tokens.access_token() for _ in range(3))
    for token in (first, second, first, third):
        verifier.verify(token)
    assert decode.call_count == 3
    verifier.verify(first)
    assert decode.call_count == 3
    verifier.verify(second)
    assert decode.call_count == 4


def test_threads_share_what_is_remembered(verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "REMEMBERED_TOKENS", 2)
    callers = {tokens.access_token(sub=str(number)): str(number) for number in range(4)}
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda token: verifier.verify(token).sub, [*callers] * 100))
    assert found == [*callers.values()] * 100


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
