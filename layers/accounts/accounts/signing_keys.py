"""RSA key pairs for access tokens: making one, and the two forms in which it is kept."""

import hashlib
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from typing_extensions import TypedDict

from core.settings import SettingsError

KEY_BITS = 2048
_PUBLIC_EXPONENT = 65537


class PublicJwk(TypedDict):
    """The public half as a JSON Web Key (RFC 7517, RFC 7518 §6.3.1)."""

    kty: str
    use: str
    alg: str
    kid: str
    n: str
    e: str


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A private key and the ``kid`` that tokens signed with it carry."""

    kid: str
    private_key: RSAPrivateKey

    def secret(self) -> str:
        """The text of the secret that holds the pair: what ``parse`` reads. Never log it."""
        pem = self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return json.dumps({"kid": self.kid, "privateKey": pem.decode("ascii")})

    def public_jwk(self) -> PublicJwk:
        """The public half, for the JWKS."""
        return _jwk(self.kid, self.private_key.public_key())


def generate() -> SigningKey:
    """A new pair. Its ``kid`` is the thumbprint of its public half (RFC 7638)."""
    key = generate_private_key(_PUBLIC_EXPONENT, KEY_BITS)
    return SigningKey(thumbprint(key.public_key()), key)


def parse(secret: str) -> SigningKey:
    """Read the secret's JSON ``{"kid", "privateKey"}``. Raises ``SettingsError``, without the text."""
    try:
        fields = json.loads(secret)
        kid = fields["kid"]
        key = load_pem_private_key(fields["privateKey"].encode("ascii"), password=None)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise SettingsError('the signing secret is not JSON with "kid" and a PEM "privateKey"') from None
    if not isinstance(kid, str) or not isinstance(key, RSAPrivateKey) or key.key_size < KEY_BITS:
        raise SettingsError(f"the signing secret does not hold an RSA key of at least {KEY_BITS} bits")
    return SigningKey(kid, key)


def thumbprint(key: RSAPublicKey) -> str:
    """The SHA-256 thumbprint of a key (RFC 7638 §3), base64url: the same key always has the same."""
    numbers = key.public_numbers()
    canonical = json.dumps(
        {"e": _base64url(numbers.e), "kty": "RSA", "n": _base64url(numbers.n)}, separators=(",", ":")
    )
    return _encode(hashlib.sha256(canonical.encode("ascii")).digest())


def _jwk(kid: str, key: RSAPublicKey) -> PublicJwk:
    numbers = key.public_numbers()
    return {
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": kid,
        "n": _base64url(numbers.n),
        "e": _base64url(numbers.e),
    }


def _base64url(number: int) -> str:
    return _encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _encode(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")
