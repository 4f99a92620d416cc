"""Signing keys and access tokens for tests: good ones, and every bad one."""

import base64
import json
import time
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from core import ids

ISSUER = "llm-microservices-test"
AUDIENCE = "llm-microservices"
KID = "9d2f3e52-5f0e-4d5e-9a65-2f3b8a5c1d11"


@lru_cache
def key(name: str) -> rsa.RSAPrivateKey:
    """A private key; the same one for the same name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@lru_cache
def jwks() -> dict[str, Any]:
    """The key set with our public key."""
    public = json.loads(RSAAlgorithm.to_jwk(key("ours").public_key()))
    return {"keys": [{**public, "kid": KID, "use": "sig", "alg": "RS256"}]}


def public_pem() -> bytes:
    """Our public key as PEM, as an attacker has it."""
    return (
        key("ours")
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good access token, changed; None removes one."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": ids.new(milliseconds=1_700_000_000_000),
        "email": "ana@example.com",
        "role": "user",
        "sid": ids.new(),
        "jti": ids.new(),
        "iat": now,
        "exp": now + 900,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def access_token(*, signing_key: str = "ours", headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """An access token; good unless something is changed."""
    header = {"kid": KID, "typ": "at+jwt"} | (headers or {})
    return jwt.encode(claims(**changes), key(signing_key), algorithm="RS256", headers=header)


def encode_part(part: dict[str, Any]) -> str:
    """One part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def bad_tokens() -> dict[str, str]:
    """Tokens that must be refused, by what is wrong with them."""
    good = access_token()
    header, payload, signature = good.split(".")
    hs256_header = encode_part({"alg": "HS256", "typ": "at+jwt", "kid": KID})
    # PyJWT itself refuses to sign with a PEM; an attacker does not.
    import hashlib
    import hmac

    mac = hmac.new(public_pem(), f"{hs256_header}.{payload}".encode(), hashlib.sha256).digest()
    now = int(time.time())
    return {
        "expired": access_token(exp=now - 31, iat=now - 931),
        "alg none": f"{encode_part({'alg': 'none', 'typ': 'at+jwt', 'kid': KID})}.{payload}.",
        "alg none with signature": f"{encode_part({'alg': 'None', 'typ': 'at+jwt', 'kid': KID})}.{payload}.{signature}",
        "HS256 with the public key": (f"{hs256_header}.{payload}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"),
        "PS256": jwt.encode(claims(), key("ours"), algorithm="PS256", headers={"kid": KID, "typ": "at+jwt"}),
        "foreign key, our kid": access_token(signing_key="foreign"),
        "foreign kid": access_token(headers={"kid": "another"}),
        "kid of another type": f"{encode_part({'alg': 'RS256', 'typ': 'at+jwt', 'kid': ['x']})}.{payload}.{signature}",
        "no kid": f"{encode_part({'alg': 'RS256', 'typ': 'at+jwt'})}.{payload}.{signature}",
        "edited payload": f"{header}.{encode_part(claims(role='admin'))}.{signature}",
        "edited signature": f"{header}.{payload}.{signature[:-8]}AAAAAAAA",
        "no signature": f"{header}.{payload}.",
        "another issuer": access_token(iss="somebody"),
        "another audience": access_token(aud="somebody"),
        "not an access token": access_token(headers={"typ": "JWT"}),
        "issued in the future": access_token(iat=now + 3600, exp=now + 4500),
        "no exp": access_token(exp=None),
        "no sub": access_token(sub=None),
        "no role": access_token(role=None),
        "email not a text": access_token(email=7),
        "a refresh token": "A" * 64,
        "two parts": f"{header}.{payload}",
        "10 KB": "a" * 10_240,
        "10 KB in three parts": f"{header}.{'a' * 10_240}.{signature}",
        "not base64": "%%%.%%%.%%%",
        "empty parts": "..",
    }
