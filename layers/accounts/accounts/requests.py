"""The bodies that the accounts plane is sent, checked strictly: nothing is converted, unknown fields are ignored."""

from collections.abc import Callable
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from accounts import emails, passwords
from core.description import Described

_LONGEST_REFRESH_TOKEN = 1024
_EXAMPLE_PASSWORD = "correct horse battery staple"  # noqa: S105

ValueT = TypeVar("ValueT")


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


# Characters of at most so many bytes in UTF-8; U+FFFD stands for one that was broken.
_CHARACTERS_BY_BYTES = {
    1: r"[\u0001-\u007f]",
    2: r"[\u0001-\u07ff]",
    3: r"[\u0001-\ud7ff\ue000-\ufffc\ufffe-\uffff]",
    4: r"[^\u0000\ufffd]",
}
# The same without control characters.
_CHOSEN_BY_BYTES = {
    1: r"[\u0020-\u007e]",
    2: r"[\u0020-\u007e\u00a0-\u07ff]",
    3: r"[\u0020-\u007e\u00a0-\ud7ff\ue000-\ufffc\ufffe-\uffff]",
    4: r"[^\u0000-\u001f\u007f-\u009f\ufffd]",
}


def _password_schema(least: int, by_bytes: dict[int, str]) -> Described:
    """The limit of bytes in UTF-8, as near as a schema comes to it: by the widest character of the text."""
    forms = [
        {"pattern": f"^{characters}{{{least},{passwords.MOST_BYTES // width}}}$"}
        for width, characters in by_bytes.items()
    ]
    return Described(minLength=least, maxLength=passwords.MOST_BYTES, anyOf=forms)


# Letters of Latin scripts, which any dialect of patterns can be told of. Other scripts are accepted, too.
_LETTERS = r"\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"
_INSIDE_LABEL = rf"[0-9A-Za-z{_LETTERS}-]{{0,{emails.LONGEST_LABEL - 2}}}"
_LABEL = rf"[0-9A-Za-z{_LETTERS}]({_INSIDE_LABEL}[0-9A-Za-z{_LETTERS}])?"
_TOP_LABEL = rf"([0-9A-Za-z{_LETTERS}]{_INSIDE_LABEL})?[A-Za-z{_LETTERS}]"
_ATOM = rf"[!#-'*+/-9=?A-Z^-~{_LETTERS}-]+"
_EMAIL_LENGTHS = {"minLength": emails.SHORTEST, "maxLength": emails.LONGEST}

Email = Annotated[
    str,
    _says(emails.validate),
    Field(
        description=(
            "An address as RFC 5321 and 6531 have it, of at most 64 bytes in UTF-8 before the @ and 254 in all; letters"
            " of all scripts are accepted, white space around it is removed. Case makes no other address, nor does the"
            " form of the domain (`exämple.com`, `xn--exmple-cua.com`)."
        ),
        examples=["ada@example.com"],
    ),
    Described(
        **_EMAIL_LENGTHS,
        pattern=rf"^{_ATOM}(\.{_ATOM})*@({_LABEL}\.)+{_TOP_LABEL}$",
        # A second pattern: one cannot say both of the part before the @.
        anyOf=[{"pattern": rf"^[^@]{{1,{emails.LONGEST_LOCAL_PART}}}@"}],
    ),
]
PresentedEmail = Annotated[
    str,
    _says(emails.validate_presented),
    Field(description="The address that was registered, in any case.", examples=["ada@example.com"]),
    Described(
        **_EMAIL_LENGTHS,
        pattern=rf"^[!-?A-~{_LETTERS}]{{1,{emails.LONGEST_LOCAL_PART}}}@{_LABEL}(\.{_LABEL})+$",
    ),
]
_RULES = (
    "8 characters at least, 72 bytes at most in UTF-8, no control characters, and not one of the most common passwords."
    " Unicode's forms of one text are one password (RFC 8265, OpaqueString), and both limits are those of NFC."
)
PresentedPassword = Annotated[str, _says(passwords.validate_presented), _password_schema(1, _CHARACTERS_BY_BYTES)]
ChosenPassword = Annotated[
    str, _says(passwords.validate), _password_schema(passwords.LEAST_CHARACTERS, _CHOSEN_BY_BYTES)
]
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
    """``POST /auth/login``. A short password is only a wrong one, an address that nobody could register now, too."""

    email: PresentedEmail
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
        current = info.data.get("current_password")
        if current is not None and passwords.normal_form(value) == passwords.normal_form(current):
            raise PydanticCustomError("value_error", "Choose another password than the current one.")
        return value
