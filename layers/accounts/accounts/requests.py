"""The bodies that the accounts plane is sent, checked strictly: nothing is converted, unknown fields are ignored."""

import unicodedata
from collections.abc import Callable
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from accounts import passwords
from core.description import Described

_SHORTEST_EMAIL = 3
_LONGEST_EMAIL = 254
_LONGEST_LOCAL_PART = 64
_LONGEST_LABEL = 63
_LONGEST_REFRESH_TOKEN = 1024
_EXAMPLE_PASSWORD = "correct horse battery staple"  # noqa: S105
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


# Characters of at most so many bytes in UTF-8.
_CHARACTERS_BY_BYTES = {
    1: r"[\u0001-\u007f]",
    2: r"[\u0001-\u07ff]",
    3: r"[\u0001-\ud7ff\ue000-\uffff]",
    4: r"[^\u0000]",
}


def _password_schema(least: int) -> Described:
    """The limit of bytes in UTF-8, as near as a schema comes to it: by the widest character of the text."""
    forms = [
        {"pattern": f"^{characters}{{{least},{passwords.MOST_BYTES // width}}}$"}
        for width, characters in _CHARACTERS_BY_BYTES.items()
    ]
    return Described(minLength=least, maxLength=passwords.MOST_BYTES, anyOf=forms)


# Letters of Latin scripts, which any dialect of patterns can be told of. Other scripts are accepted, too.
_LETTERS = r"\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"
_LABEL = rf"[0-9A-Za-z{_LETTERS}]([0-9A-Za-z{_LETTERS}-]{{0,{_LONGEST_LABEL - 2}}}[0-9A-Za-z{_LETTERS}])?"

Email = Annotated[
    str,
    _says(_email),
    Field(
        description="Compared without regard to case; letters of all scripts are accepted.",
        examples=["ada@example.com"],
    ),
    Described(
        minLength=_SHORTEST_EMAIL,
        maxLength=_LONGEST_EMAIL,
        pattern=rf"^[!-?A-~{_LETTERS}]{{1,{_LONGEST_LOCAL_PART}}}@{_LABEL}(\.{_LABEL})+$",
    ),
]
_RULES = "8 characters at least, 72 bytes at most in UTF-8, and not one of the most common passwords."
PresentedPassword = Annotated[str, _says(passwords.validate_presented), _password_schema(1)]
ChosenPassword = Annotated[str, _says(passwords.validate), _password_schema(passwords.LEAST_CHARACTERS)]
RefreshToken = Annotated[
    str,
    _says(_refresh_token),
    Field(alias="refreshToken", repr=False, examples=["AZq30lHzfB6aUW8NK3xOEPQx3J0bX5gHl2mT7vYcRkUe8sWd1oZpGi"]),
    Described(minLength=1, maxLength=_LONGEST_REFRESH_TOKEN, pattern=r"^[\u0000-\u007f]*$"),
]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True)


class Registration(_Body):
    """``POST /auth/register``."""

    email: Email
    password: Annotated[ChosenPassword, Field(repr=False, description=_RULES, examples=[_EXAMPLE_PASSWORD])]


class Login(_Body):
    """``POST /auth/login``. A short password is only a wrong one."""

    email: Email
    password: Annotated[PresentedPassword, Field(repr=False, examples=[_EXAMPLE_PASSWORD])]


class RefreshRequest(_Body):
    """``POST /auth/refresh``."""

    refresh_token: RefreshToken


class LogoutRequest(_Body):
    """``POST /auth/logout``; ``everywhere`` ends all sessions of the user."""

    refresh_token: RefreshToken
    everywhere: bool = False


class PasswordChange(_Body):
    """``POST /auth/password``."""

    current_password: Annotated[
        PresentedPassword, Field(alias="currentPassword", repr=False, examples=[_EXAMPLE_PASSWORD])
    ]
    new_password: Annotated[
        ChosenPassword,
        Field(alias="newPassword", repr=False, description=_RULES, examples=["wrong donkey charger clip"]),
    ]

    @field_validator("new_password")
    @classmethod
    def _another(cls, value: str, info: ValidationInfo) -> str:
        if value == info.data.get("current_password"):
            raise PydanticCustomError("value_error", "Choose another password than the current one.")
        return value
