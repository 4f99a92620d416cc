"""Access tokens: signed JWTs in the profile of RFC 9068."""

from dataclasses import dataclass
from datetime import datetime

import jwt

from accounts.settings import ACCESS_TOKEN_SECONDS
from accounts.signing_keys import SigningKey
from core import ids


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Issues access tokens in the name of ``issuer`` for ``audience``."""

    key: SigningKey
    issuer: str
    audience: str

    def access_token(self, *, user_id: str, email: str, role: str, session_id: str, now: datetime) -> str:
        """An RS256 token that is valid for ``ACCESS_TOKEN_SECONDS`` from ``now``."""
        issued_at = int(now.timestamp())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": user_id,
            "email": email,
            "role": role,
            "sid": session_id,
            "iat": issued_at,
            "exp": issued_at + ACCESS_TOKEN_SECONDS,
            "jti": ids.new(),
        }
        # The type sets an access token apart from every other JWT (RFC 9068 §2.1).
        headers = {"kid": self.key.kid, "typ": "at+jwt"}
        return jwt.encode(claims, self.key.private_key, algorithm="RS256", headers=headers)
