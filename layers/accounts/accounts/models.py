"""What the accounts plane answers, in the words of the API."""

from typing import Annotated

# Not typing.TypedDict: pydantic cannot read that one before Python 3.12.
from typing_extensions import TypedDict

from core.description import Described

Id = Annotated[str, Described("UUIDv7.", format="uuid", examples=["019ab7d2-51f3-7c1e-9a51-6f0d2b7c4e10"])]
Time = Annotated[str, Described("RFC 3339, UTC.", format="date-time", examples=["2026-11-22T13:30:00.123Z"])]


class User(TypedDict):
    """A user; ``role`` is ``user`` or ``admin``, ``createdAt`` RFC 3339."""

    id: Id
    email: Annotated[str, Described(examples=["ada@example.com"])]
    role: Annotated[str, Described(enum=["user", "admin"])]
    createdAt: Time


class Tokens(TypedDict):
    """A pair of tokens; ``expiresIn`` is the access token's life in seconds."""

    accessToken: Annotated[str, Described("A JWT: goes into `Authorization: Bearer …`.")]
    refreshToken: Annotated[str, Described("Exchange it once, at `POST /auth/refresh`, for a new pair.")]
    tokenType: Annotated[str, Described(enum=["Bearer"])]
    expiresIn: Annotated[int, Described("Seconds that the access token lives.", minimum=1, examples=[900])]


class TokensWithUser(Tokens):
    """The pair of a new session and whose it is."""

    user: User


class Session(TypedDict):
    """A session that lives; ``userAgent`` and ``ip`` are those of its login, ``current`` is the caller's own."""

    id: Id
    createdAt: Time
    lastUsedAt: Time
    userAgent: Annotated[str | None, Described(examples=["curl/8.7.1"])]
    ip: Annotated[str | None, Described(examples=["198.51.100.7"])]
    current: Annotated[bool, Described("Whether it is the session of this access token.")]


class Sessions(TypedDict):
    """The sessions of a user, the last used first."""

    items: list[Session]
