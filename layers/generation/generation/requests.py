"""The fields of requests that services share, with the rules of the HTTP contract and messages for the caller."""

import re
from collections.abc import Iterable
from datetime import date
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from core.errors import FieldError, Unprocessable

SMALLEST_SIDE = 64
LARGEST_SIDE = 2048
_SIZE = re.compile(r"([1-9]\d{1,3})x([1-9]\d{1,3})", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("Must not contain NUL characters.")
    return text


def _image_size(size: str) -> str:
    match = _SIZE.fullmatch(size)
    if match is None or not all(SMALLEST_SIDE <= int(side) <= LARGEST_SIDE for side in match.groups()):
        raise ValueError(f"Must be WIDTHxHEIGHT in pixels, each {SMALLEST_SIDE} to {LARGEST_SIDE}, such as 1024x1024.")
    return size


def _day(value: object) -> object:
    # pydantic takes "0" and "2026-11-22T00:00" for dates, too.
    if isinstance(value, str) and _DAY.fullmatch(value) is None:
        raise ValueError("Must be a date such as 2026-11-22.")
    return value


Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_no_nul)]
ImageSize = Annotated[str, AfterValidator(_image_size)]
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]

Day = Annotated[date, BeforeValidator(_day)]

Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query()]
FromDay = Annotated[Day | None, Query(alias="from")]
ToDay = Annotated[Day | None, Query(alias="to")]
UserId = Annotated[str | None, Query(alias="userId")]


def require_voice(voice: str, voices: Iterable[str]) -> None:
    """Raise ``Unprocessable``, naming the choices, unless the voice is one of them."""
    choices = sorted(voices)
    if voice not in choices:
        raise Unprocessable(
            "The request is not valid: see errors.",
            errors=[FieldError("voice", f"Must be one of: {', '.join(choices)}.")],
        )
