"""The fields of requests that services share, with the rules of the HTTP contract and messages for the caller."""

import re
from collections.abc import Iterable
from datetime import date
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Header, Query
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from core.description import Described
from core.errors import FieldError, Unprocessable
from core.query import WHOLE_NUMBER

SMALLEST_SIDE = 64
LARGEST_SIDE = 2048
_SIZE = re.compile(r"([1-9]\d{1,3})x([1-9]\d{1,3})", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("Must not contain NUL characters.")
    return text


def _image_size(size: object) -> object:
    match = _SIZE.fullmatch(size) if isinstance(size, str) else None
    if match is None or not all(SMALLEST_SIDE <= int(side) <= LARGEST_SIDE for side in match.groups()):
        raise ValueError(f"Must be WIDTHxHEIGHT in pixels, each {SMALLEST_SIDE} to {LARGEST_SIDE}, such as 1024x1024.")
    return size


def _integer(value: object) -> object:
    # JSON has one kind of number, so 7.0 is the integer 7 (JSON Schema, 6.1.1).
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _day(value: object) -> object:
    # pydantic takes "0" and "2026-11-22T00:00" for dates, too.
    if isinstance(value, str) and _DAY.fullmatch(value) is None:
        raise ValueError("Must be a date such as 2026-11-22.")
    return value


# The white space that is trimmed: Unicode's White_Space, spelled out because dialects of patterns differ in \s.
_SPACE = r"\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# 64 to 2048.
_SIDE = "(6[4-9]|[7-9][0-9]|[1-9][0-9]{2}|1[0-9]{3}|20[0-3][0-9]|204[0-8])"

Prompt = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1),
    AfterValidator(_no_nul),
    Described("Measured without the white space at its ends.", pattern=rf"^[^\u0000]*[^\u0000{_SPACE}][^\u0000]*$"),
]
ImageSize = Annotated[
    str,
    # Before the type is looked at, so that what is no text at all is told the form, too.
    BeforeValidator(_image_size),
    Described("Width and height in pixels, each 64 to 2048.", pattern=f"^{_SIDE}x{_SIDE}$", examples=["512x512"]),
]
# Behind the limits, which pydantic describes only of the type that stands before them.
JSON_INTEGER = BeforeValidator(_integer)
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
# What every provider speaks; a single one may speak more.
VOICES = [
    "af", "am", "ar", "bg", "bn", "bs", "ca", "cs", "cy", "da", "de", "el", "en", "es", "et", "eu", "fi", "fr",
    "fr-CA", "gu", "hi", "hr", "hu", "id", "is", "it", "iw", "ja", "kn", "ko", "la", "lt", "lv", "ml", "mr", "ms",
    "my", "ne", "nl", "no", "pa", "pl", "pt", "pt-PT", "ro", "ru", "si", "sk", "sq", "sr", "sv", "sw", "ta", "te",
    "th", "tr", "uk", "ur", "vi", "yue", "zh", "zh-CN", "zh-TW"
]  # fmt: skip


def _voice(voice: object) -> object:
    if not isinstance(voice, str):
        raise ValueError(f"Must be one of: {', '.join(VOICES)}.")
    return voice


Voice = Annotated[str, BeforeValidator(_voice), Described("The language to speak.", enum=VOICES)]

Day = Annotated[date, BeforeValidator(_day)]

# Visible ASCII characters; a gateway joins what is sent twice to one text, or takes the last.
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="A new random text, such as a UUID, for each request that may have to be sent again: for 24 hours "
        "the same request with it gets the first answer.",
    ),
]

Limit = Annotated[int, Field(ge=1, le=100), WHOLE_NUMBER, Query(description="How many items a page has at most.")]
Cursor = Annotated[str | None, Query(description="The nextCursor of the page before, unchanged.")]
FromDay = Annotated[Day | None, Query(alias="from", description="The first day, in UTC; not after `to`.")]
ToDay = Annotated[Day | None, Query(alias="to", description="The last day, in UTC.")]
UserId = Annotated[
    str | None,
    Query(alias="userId", description="Whose history, for administrators; `anonymous` is a user, too. Else one's own."),
]


def require_voice(voice: str, voices: Iterable[str]) -> None:
    """Raise ``Unprocessable``, naming the choices, unless the voice is one of them."""
    choices = sorted(voices)
    if voice not in choices:
        raise Unprocessable(
            "The request is not valid: see errors.",
            errors=[FieldError("voice", f"Must be one of: {', '.join(choices)}.")],
        )
