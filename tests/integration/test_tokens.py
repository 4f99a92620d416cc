"""Access tokens at the gateway: good ones pass, every bad one is 401 on protected and on open routes alike."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.integration.client import Api, Platform, User, assert_problem

PROTECTED = [("GET", "/users/me"), ("GET", "/admin/images"), ("GET", "/admin/audios")]
OPEN = [
    ("POST", "/image/generate"),
    ("POST", "/tts/generate"),
    ("GET", "/image/01a203f4-c93d-73f7-ad77-fc2ab9452dce"),
    ("GET", "/tts/01a203f4-c93d-73f7-ad77-fc2ab9452dce/download"),
]
Forge = Callable[..., str]


@pytest.fixture(scope="module")
def signing_key(platform: Platform) -> tuple[str, rsa.RSAPrivateKey]:
    """The platform's own key, read with its owner's rights, to make tokens that are wrong in one way only."""
    secrets = platform.aws("secretsmanager")
    (secret,) = (item for item in secrets.list_secrets()["SecretList"] if "SigningSecret" in item["Name"])
    value = json.loads(secrets.get_secret_value(SecretId=secret["ARN"])["SecretString"])
    key = serialization.load_pem_private_key(value["privateKey"].encode(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return value["kid"], key


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def bad_headers(token: str, refresh_token: str, kid: str, key: rsa.RSAPrivateKey) -> dict[str, str]:
    """``Authorization`` headers that must be refused, by what is wrong with them."""
    header, payload, signature = token.split(".")
    claims = jwt.decode(token, options={"verify_signature": False})
    good = {"kid": kid, "typ": "at+jwt"}
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    hs256 = f"{part({'alg': 'HS256', **good})}.{payload}"
    mac = base64.urlsafe_b64encode(hmac.new(pem, hs256.encode(), hashlib.sha256).digest()).decode().rstrip("=")
    now = int(time.time())
    foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def signed(changes: dict[str, Any], by: rsa.RSAPrivateKey = key, **headers: Any) -> str:
        return jwt.encode(claims | changes, by, algorithm="RS256", headers=good | headers)

    tokens = {
        "expired": signed({"iat": now - 1000, "exp": now - 100}),
        "alg none": f"{part({'alg': 'none', **good})}.{payload}.",
        "HS256 signed with the public key": f"{hs256}.{mac}",
        "foreign kid": signed({}, foreign, kid=RSAAlgorithm.to_jwk(foreign.public_key())[:20]),
        "foreign key": signed({}, foreign),
        "edited payload": f"{header}.{part(claims | {'role': 'admin'})}.{signature}",
        "another audience": signed({"aud": "another"}),
        "another kind": signed({}, typ="JWT"),
        "refresh token": refresh_token,
        "ten kilobytes": "a" * 10_000,
        "empty": "",
    }
    headers = {name: f"Bearer {value}" for name, value in tokens.items()}
    return headers | {
        "two spaces": f"Bearer  {token}",
        "another scheme": "Basic dXNlcjpwYXNz",
        "no scheme": token,
    }


@pytest.mark.parametrize(
    ("method", "path"), [*(pytest.param(*route, marks=pytest.mark.needs("refusals")) for route in PROTECTED), *OPEN]
)
def test_every_bad_token_is_401(
    api: Api, ana: User, signing_key: tuple[str, rsa.RSAPrivateKey], method: str, path: str
) -> None:
    assert ana.token
    for flaw, header in bad_headers(ana.token, ana.refresh_token, *signing_key).items():
        body = {"prompt": "a cat"} if method == "POST" else None
        answer = api.call(method, path, body, headers={"Authorization": header})
        assert answer.status_code == 401, f"{flaw}: {answer.text}"
        assert_problem(answer, 401)
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"', flaw


@pytest.mark.parametrize("word", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize(("method", "path"), [*PROTECTED, ("POST", "/image/generate")])
def test_the_word_bearer_may_have_any_case(api: Api, ana: User, word: str, method: str, path: str) -> None:
    body = {"prompt": "a cat", "size": "64x64"} if method == "POST" else None
    answer = api.call(method, path, body, headers={"Authorization": f"{word} {ana.token}"})
    assert answer.status_code in (200, 201)


@pytest.mark.needs("refusals")
@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_a_protected_route_without_a_token_is_401_without_an_error_code(api: Api, method: str, path: str) -> None:
    answer = api.call(method, path)
    assert_problem(answer, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.needs("refusals")
def test_a_token_that_the_authorizer_has_cached_ends_with_its_time(
    ana: User, signing_key: tuple[str, rsa.RSAPrivateKey]
) -> None:
    """Good at first, so that its policy is cached for minutes; then its time and the leeway are over."""
    kid, key = signing_key
    assert ana.token
    claims = jwt.decode(ana.token, options={"verify_signature": False})
    now = int(time.time())
    token = jwt.encode(
        claims | {"iat": now - 60, "exp": now - 7}, key, algorithm="RS256", headers={"kid": kid, "typ": "at+jwt"}
    )
    brief = Api(ana.url, token)
    assert brief.get("/admin/images").status_code == 200
    time.sleep(4)
    assert_problem(brief.get("/admin/images"), 401)
