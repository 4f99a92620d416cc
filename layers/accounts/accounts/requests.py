"""The bodies that the accounts plane is sent, checked strictly: nothing is converted, unknown fields are ignored."""

import unicodedata
from collections.abc import Callable
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from accounts import passwords

_SHORTEST_EMAIL = 3
_LONGEST_EMAIL = 254
_LONGEST_LOCAL_PART = 64
_LONGEST_LABEL = 63
_LONGEST_REFRESH_TOKEN = 1024
_EMAIL_FORM = "Write the email as name@example.com."

ValueT = TypeVar("ValueT")


def _email(text: str) -> str:
    """Trim and check an address. Whether it exists only a message to it can tell; this catches slips."""
    email = text.strip()
    if not _SHORTEST_EMAIL <= len(email) <= _LONGEST_EMAIL:
        raise ValueError(f"The email must have {_SHORTEST_EMAIL} to {_LONGEST_EMAIL} characters.")
    # C: control, format, surrogate, unassigned. Z: spaces of all kinds.
    if any(unicodedata.category(character)[0] in "CZ" for character in email):
        raise ValueError("The email cannot hold spaces or control characters; remove them.")
    local, at, domain = email.partition("@")
    if not at or "@" in domain or not 1 <= len(local) <= _LONGEST_LOCAL_PART:
        raise ValueError(_EMAIL_FORM)
    labels = domain.split(".")
    if len(labels) < 2 or not all(map(_is_label, labels)):
        raise ValueError(_EMAIL_FORM)
    return email


def _is_label(label: str) -> bool:
    """One part of a domain: letters with their marks and digits of any script, and hyphens inside."""
    if not 1 <= len(label) <= _LONGEST_LABEL or label[0] == "-" or label[-1] == "-":
        return False
    return all(character == "-" or unicodedata.category(character)[0] in "LMN" for character in label)


def _refresh_token(text: str) -> str:
    """Keep out what cannot be a token before it is hashed; a token that is merely wrong is for the service."""
    if not 1 <= len(text) <= _LONGEST_REFRESH_TOKEN or not text.isascii():
        raise ValueError("Send the refreshToken as it was given to you.")
    return text


def _says(check: Callable[[ValueT], ValueT]) -> AfterValidator:
    """The check as a validator whose message reaches the caller as it is."""

    def validate(value: ValueT) -> ValueT:
        try:
            return check(value)
        except ValueError as error:
            raise PydanticCustomError("value_error", "{reason}", {"reason": str(error)}) from error

    return AfterValidator(validate)


Email = Annotated[
    str, _says(_email), Field(description="Compared without regard to case.", examples=["ada@example.com"])
]
RefreshToken = Annotated[str, _says(_refresh_token), Field(alias="refreshToken", repr=False)]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True)


class Registration(_Body):
    """``POST /auth/register``."""

    email: Email
    password: Annotated[
        str,
        _says(passwords.validate),
        Field(repr=False, description="8 characters at least, 72 bytes at most in UTF-8.", examples=["password123"]),
    ]


class Login(_Body):
    """``POST /auth/login``. A short password is only a wrong one."""

    email: Email
    password: Annotated[str, _says(passwords.validate_presented), Field(repr=False, examples=["password123"])]


class RefreshRequest(_Body):
    """``POST /auth/refresh``."""

    refresh_token: RefreshToken


class LogoutRequest(_Body):
    """``POST /auth/logout``; ``everywhere`` ends all sessions of the user."""

    refresh_token: RefreshToken
    everywhere: bool = False
