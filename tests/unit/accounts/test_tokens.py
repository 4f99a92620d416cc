"""Access tokens and refresh tokens, by their form."""

import json
import traceback
from base64 import urlsafe_b64decode
from datetime import UTC, datetime

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from accounts import signing_keys
from accounts.refresh_tokens import RefreshToken
from accounts.tokens import TokenIssuer
from core import ids
from core.settings import SettingsError

NOW = datetime(2026, 11, 22, 13, 30, 0, 999000, tzinfo=UTC)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_an_access_token_has_the_claims_of_the_contract(signing_key):
    token = TokenIssuer(signing_key, "https://issuer.test", "audience").access_token(
        user_id="u", email="ada@example.com", role="user", session_id="s", now=NOW
    )
    claims = jwt.decode(token, options={"verify_signature": False})
    assert ids.is_valid(claims.pop("jti"))
    assert claims == {
        "iss": "https://issuer.test",
        "aud": "audience",
        "sub": "u",
        "email": "ada@example.com",
        "role": "user",
        "sid": "s",
        "iat": 1795354200,
        "exp": 1795354200 + 900,
    }
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "kid": signing_key.kid, "typ": "at+jwt"}


def test_two_access_tokens_of_one_moment_differ(signing_key):
    issuer = TokenIssuer(signing_key, "i", "a")
    tokens = {issuer.access_token(user_id="u", email="e", role="r", session_id="s", now=NOW) for _ in range(2)}
    assert len(tokens) == 2


def test_the_public_jwk_verifies_what_the_stored_key_signs(signing_key):
    stored = signing_keys.parse(signing_key.secret())
    token = TokenIssuer(stored, "i", "a").access_token(user_id="u", email="e", role="r", session_id="s", now=NOW)
    jwk = signing_key.public_jwk()
    assert set(jwk) == {"kty", "use", "alg", "kid", "n", "e"}
    assert jwk["kid"] == stored.kid
    jwt.decode(token, jwt.PyJWK(dict(jwk)), ["RS256"], audience="a", options={"verify_exp": False, "verify_iat": False})


def test_the_kid_is_the_thumbprint_of_rfc_7638():
    # The example of RFC 7638 §3.1.
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3okn"
        "jhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qM"
        "QvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJz"
        "KnqDKgw"
    )
    number = int.from_bytes(urlsafe_b64decode(modulus + "=="), "big")
    public = rsa.RSAPublicNumbers(65537, number).public_key()
    assert signing_keys.thumbprint(public) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_a_new_pair_is_a_new_key():
    assert signing_keys.generate().kid != signing_keys.generate().kid


@pytest.mark.parametrize(
    "secret",
    [
        "not JSON s3cret",
        "[]",
        '"s3cret"',
        '{"kid": "k"}',
        '{"kid": "k", "privateKey": 1}',
        '{"kid": "k", "privateKey": "s3cret"}',
        json.dumps({"kid": 1, "privateKey": pem(rsa.generate_private_key(65537, 2048))}),
        json.dumps({"kid": "k", "privateKey": pem(rsa.generate_private_key(65537, 1024))}),  # noqa: S505 - the point of it
        json.dumps({"kid": "k", "privateKey": pem(ec.generate_private_key(ec.SECP256R1()))}),
    ],
    ids=["text", "list", "string", "no key", "number", "no PEM", "bad kid", "short key", "other kind"],
)
def test_a_signing_secret_that_is_not_one_is_refused_and_not_shown(secret):
    with pytest.raises(SettingsError) as refused:
        signing_keys.parse(secret)
    shown = "".join(traceback.format_exception(refused.value))
    assert "s3cret" not in shown
    assert "BEGIN" not in shown


def test_a_signing_key_does_not_show_itself(signing_key):
    assert "BEGIN" not in repr(signing_key)


def test_a_refresh_token_is_64_characters_that_a_url_takes_and_survives_the_journey():
    token = RefreshToken.new()
    assert len(str(token)) == 64
    assert RefreshToken.parse(str(token)) == token
    assert (len(token.handle), len(token.secret)) == (16, 32)


def test_no_two_refresh_tokens_are_alike():
    assert RefreshToken.new() != RefreshToken.new()


@pytest.mark.parametrize(
    "text", ["", "x", "A" * 63, "A" * 65, "A" * 64 + "\n", "+" * 64, "é" * 64, "\ud800" * 64, "A" * 62 + "=="]
)
def test_text_that_is_no_refresh_token_is_none(text):
    assert RefreshToken.parse(text) is None


def test_a_successor_keeps_the_handle_and_follows_from_token_and_nonce_alone():
    token = RefreshToken.new()
    successor = token.successor(b"n" * 32)
    assert successor == token.successor(b"n" * 32)
    assert successor.handle_hash == token.handle_hash
    assert successor.secret_hash != token.secret_hash
    assert successor != token.successor(b"m" * 32)
    assert successor != RefreshToken(token.handle, b"x" * 32).successor(b"n" * 32)
