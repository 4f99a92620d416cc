"""The fields of requests that services share, with the rules of the HTTP contract and messages for the caller."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Header
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from core.description import Described


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("Must not contain NUL characters.")
    return text


def _integer(value: object) -> object:
    # JSON has one kind of number, so 7.0 is the integer 7 (JSON Schema, 6.1.1).
    return int(value) if isinstance(value, float) and value.is_integer() else value


# The white space that is trimmed: Unicode's White_Space, spelled out because dialects of patterns differ in \s.
_SPACE = r"\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
Prompt = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1),
    AfterValidator(_no_nul),
    Described("Measured without the white space at its ends.", pattern=rf"^[^\u0000]*[^\u0000{_SPACE}][^\u0000]*$"),
]
# Behind the limits, which pydantic describes only of the type that stands before them.
JSON_INTEGER = BeforeValidator(_integer)
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
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
