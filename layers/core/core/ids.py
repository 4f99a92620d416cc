"""UUIDv7 identifiers (RFC 9562 §5.7): 48 bits of Unix milliseconds, then random bits.

The time in an id is what finds a record: the date in its storage key is read from it.
"""

import os
import re
import time
from datetime import datetime
from uuid import UUID

from core import times

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
# strftime and datetime end at the year 9999; an id beyond is not one of ours.
_LAST_MILLISECOND = 253_402_300_799_999


def new(*, milliseconds: int | None = None) -> str:
    """A new id in canonical lower case, of this moment unless ``milliseconds`` (since the epoch) is given."""
    moment = time.time_ns() // 1_000_000 if milliseconds is None else milliseconds
    value = (moment & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=value))


def is_valid(text: str) -> bool:
    """Whether the text is a canonical lower-case UUIDv7 of a year that a date can hold."""
    return _CANONICAL.fullmatch(text) is not None and _milliseconds(text) <= _LAST_MILLISECOND


def created_at(identifier: str) -> datetime:
    """The UTC time in an id. The id must be valid."""
    return times.at_millisecond(_milliseconds(identifier))


def _milliseconds(identifier: str) -> int:
    return int(identifier[:8] + identifier[9:13], 16)
