"""Refresh tokens: opaque to clients, a handle that names the session and a secret that rotates.

base64url, without padding, of 16 bytes of handle and 32 bytes of secret. The server keeps only SHA-256 hashes of
both. They need no salt and no stretching: there are 2^128 handles and 2^256 secrets to guess from.
"""

import hashlib
import hmac
import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

_HANDLE_BYTES = 16
_SECRET_BYTES = 32
# 48 bytes are 64 characters with no bits to spare: each token has one spelling.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{64}")


@dataclass(frozen=True, slots=True, repr=False)
class RefreshToken:
    """One token. ``handle`` is the same for all tokens of a session, ``secret`` is this token's own."""

    handle: bytes
    secret: bytes

    @classmethod
    def new(cls) -> "RefreshToken":
        """The first token of a new session."""
        return cls(os.urandom(_HANDLE_BYTES), os.urandom(_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> "RefreshToken | None":
        """The token that was sent, or nothing when it is none of ours by its form."""
        if _TOKEN.fullmatch(text) is None:
            return None
        octets = urlsafe_b64decode(text)
        return cls(octets[:_HANDLE_BYTES], octets[_HANDLE_BYTES:])

    def __str__(self) -> str:
        return urlsafe_b64encode(self.handle + self.secret).decode("ascii")

    @property
    def handle_hash(self) -> str:
        """What finds the session: SHA-256 of the handle, in hexadecimal."""
        return hashlib.sha256(self.handle).hexdigest()

    @property
    def secret_hash(self) -> bytes:
        """What proves the token: SHA-256 of the secret."""
        return hashlib.sha256(self.secret).digest()

    def successor(self, nonce: bytes) -> "RefreshToken":
        """The token after this one.

        The nonce of the rotation and this token give the same successor each time, so it can be handed out again
        although only its hash is stored; without this token the nonce is worth nothing.
        """
        return RefreshToken(self.handle, hmac.digest(nonce, self.secret, "sha256"))
