"""The opaque cursor of a list: where its next page begins, signed for the history that it belongs to."""

import base64
import binascii
import hashlib
import hmac
import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from core import settings
from core.errors import FieldError, Unprocessable
from core.secrets import Secret

_MAC_BYTES = 16
_HEAD = struct.Struct(">16sH")


@dataclass(frozen=True, slots=True)
class Position:
    """The next page has the ids before ``before``. Of the day of that id, the segments in ``unfinished`` have such
    ids, and so may all whose number is less than ``below``."""

    before: str
    below: int
    unfinished: tuple[int, ...] = ()


class CursorSigner:
    """Turns positions into cursors and back, with a MAC over the position and whose history it is in."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, position: Position, history: str) -> str:
        """The cursor of a position in a history, which is named by its prefix in storage."""
        payload = _HEAD.pack(UUID(position.before).bytes, position.below)
        return self.seal(payload + struct.pack(f">{len(position.unfinished)}H", *position.unfinished), history)

    def verify(self, cursor: str, history: str) -> Position:
        """The position of a cursor. Raises ``Unprocessable`` when it is not one of ours for this history."""
        payload = self.open(cursor, history)
        before, below = _HEAD.unpack_from(payload)
        rest = payload[_HEAD.size :]
        return Position(str(UUID(bytes=before)), below, struct.unpack(f">{len(rest) // 2}H", rest))

    def seal(self, payload: bytes, name: str) -> str:
        """A cursor that holds these bytes, which are not secret, for the list of this name."""
        return base64.urlsafe_b64encode(self._mac(payload, name) + payload).decode().rstrip("=")

    def open(self, cursor: str, name: str) -> bytes:
        """The bytes in a cursor. Raises ``Unprocessable`` when it is not one of ours for the list of this name."""
        try:
            signed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            signed = b""
        mac, payload = signed[:_MAC_BYTES], signed[_MAC_BYTES:]
        if not payload or not hmac.compare_digest(mac, self._mac(payload, name)):
            raise Unprocessable(
                "The request is not valid: see errors.",
                errors=[FieldError("cursor", "Send the nextCursor of an earlier answer, unchanged.")],
            )
        return payload

    def _mac(self, payload: bytes, history: str) -> bytes:
        return hmac.digest(self._key, history.encode() + b"\0" + payload, hashlib.sha256)[:_MAC_BYTES]


@lru_cache(maxsize=1)
def signer() -> CursorSigner:
    """The signer of this deployment, whose key is a secret. Raises ``ServiceUnavailable`` when it cannot be read."""
    return CursorSigner(Secret(settings.text(os.environ, "CURSOR_SECRET_ARN")).text().encode())
