"""Who is calling: verify an access token, or read what the gateway's authorizer already verified.

The authorizer imports this module alone, so it needs neither boto3 nor pydantic, and PyJWT is
imported when the first token arrives, unless it is loaded before.
"""

import hashlib
import json
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from core.errors import Unauthorized

if TYPE_CHECKING:
    from jwt import PyJWK

ALGORITHM = "RS256"
TOKEN_TYPE = "at+jwt"  # noqa: S105  (a media type: RFC 9068 §2.1)
LEEWAY_SECONDS = 10
# Ours are about 900 characters long; nothing much longer is worth parsing.
MAX_TOKEN_CHARACTERS = 4096
REMEMBERED_TOKENS = 256

_BEARER = re.compile(r"bearer ([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)
_BAD_TOKEN = "The access token is not valid. Log in, or refresh it, and send the new one."  # noqa: S105
_NO_TOKEN = "Send an access token: 'Authorization: Bearer <accessToken>'."  # noqa: S105


@dataclass(frozen=True, slots=True)
class Identity:
    """The holder of an access token. ``exp`` is in seconds since the epoch."""

    sub: str
    email: str
    role: str
    sid: str
    exp: int

    @property
    def is_admin(self) -> bool:
        """Whether this is an administrator."""
        return self.role == "admin"

    def context(self) -> dict[str, str | int]:
        """The identity as an API Gateway authorizer's context (flat strings and numbers)."""
        return asdict(self)

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Self:
        """The identity in a token's claims or an authorizer's context. Raises KeyError, ValueError or TypeError."""
        texts = {name: claims[name] for name in ("sub", "email", "role", "sid")}
        if not all(isinstance(value, str) and value for value in texts.values()):
            raise ValueError("a claim is not a text")
        return cls(**texts, exp=int(claims["exp"]))


class TokenVerifier:
    """Verifies access tokens against a JSON Web Key Set (RFC 7517) of public keys.

    It remembers the tokens that it found good: the SHA-256 digest of each, who holds it and when it was verified; never
    a token. Another token has another digest, and the keys, the issuer and the audience stay what they are as long as
    the verifier lives. So all that may differ the next time is the hour, which is looked at each time: a token that has
    expired is refused and forgotten, and one that is seen before the time at which it was good is verified anew.
    """

    def __init__(
        self, jwks: Mapping[str, Any], *, issuer: str, audience: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._jwks: dict[str, Mapping[str, Any]] = {key["kid"]: key for key in jwks["keys"]}
        self._keys: dict[str, PyJWK] = {}
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._good: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()
        self._lock = threading.Lock()

    def verify(self, token: str) -> Identity:
        """The identity in a token that is ours, of the right kind and unexpired. Raises ``Unauthorized``."""
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise Unauthorized(_BAD_TOKEN, token_sent=True)
        # A text that has no form in UTF-8 has a digest too, and is refused when it is parsed.
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        identity = self._remembered(digest)
        if identity is None:
            identity = self._verified(token)
            with self._lock:
                self._good[digest] = identity, self._clock()
                if len(self._good) > REMEMBERED_TOKENS:
                    self._good.popitem(last=False)
        return identity

    def _remembered(self, digest: bytes) -> Identity | None:
        """The holder of a token that was verified before. Raises ``Unauthorized`` where it has expired meanwhile."""
        now = self._clock()
        with self._lock:
            if digest not in self._good:
                return None
            identity, since = self._good[digest]
            # The same comparison as PyJWT's.
            is_over = identity.exp <= now - LEEWAY_SECONDS
            if is_over:
                del self._good[digest]
            else:
                self._good.move_to_end(digest)
        if is_over:
            raise Unauthorized(_BAD_TOKEN, token_sent=True)
        return identity if since <= now else None

    def _verified(self, token: str) -> Identity:
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") != ALGORITHM or header.get("typ") != TOKEN_TYPE:
                raise jwt.InvalidTokenError("not an access token of ours")
            claims = jwt.decode(
                token,
                self._key(header.get("kid")),
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub", "jti"]},
            )
            return Identity.from_claims(claims)
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise Unauthorized(_BAD_TOKEN, token_sent=True) from error

    def load(self) -> None:
        """Load PyJWT and the keys before a token comes."""
        for kid in self._jwks:
            self._key(kid)

    def _key(self, kid: object) -> "PyJWK":
        from jwt import PyJWK

        if not isinstance(kid, str):
            raise TypeError("kid is not a text")
        if kid not in self._keys:
            self._keys[kid] = PyJWK(dict(self._jwks[kid]), algorithm=ALGORITHM)
        return self._keys[kid]


@lru_cache(maxsize=1)
def verifier() -> TokenVerifier:
    """The verifier of this deployment: public keys, issuer and audience from the environment."""
    return TokenVerifier(
        json.loads(os.environ["JWKS"]), issuer=os.environ["TOKEN_ISSUER"], audience=os.environ["TOKEN_AUDIENCE"]
    )


def load() -> None:
    """Load what tokens are verified with before one comes; where that is not set, the first one says so."""
    if "JWKS" in os.environ:
        verifier().load()


def bearer_token(authorization: str) -> str:
    """The token of an ``Authorization`` header. Raises ``Unauthorized`` for any other scheme or shape."""
    match = _BEARER.fullmatch(authorization)
    if match is None:
        raise Unauthorized(_BAD_TOKEN, token_sent=True)
    return match[1]


def optional(event: Mapping[str, Any]) -> Identity | None:
    """Who sent an API Gateway event, or None for an anonymous caller; a bad token is never anonymous.

    Trusts the authorizer's context where there is one, except that a token may have expired since the
    gateway cached it; verifies the bearer token itself otherwise. Raises ``Unauthorized``.
    """
    context = (event.get("requestContext") or {}).get("authorizer") or {}
    if "sub" in context:
        identity = Identity.from_claims(context)
        if identity.exp + LEEWAY_SECONDS <= time.time():
            raise Unauthorized(_BAD_TOKEN, token_sent=True)
        return identity
    authorization = header(event, "authorization")
    if authorization is None:
        return None
    return verifier().verify(bearer_token(authorization))


def required(event: Mapping[str, Any]) -> Identity:
    """Who sent an API Gateway event. Raises ``Unauthorized`` for anonymous callers and bad tokens."""
    identity = optional(event)
    if identity is None:
        raise Unauthorized(_NO_TOKEN)
    return identity


def header(event: Mapping[str, Any], name: str) -> str | None:
    """A header's value whatever its case: gateways differ."""
    headers: Mapping[str, str] = event.get("headers") or {}
    return next((value for key, value in headers.items() if key.lower() == name.lower()), None)
