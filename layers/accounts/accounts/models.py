"""What the accounts plane answers, in the words of the API."""

# Not typing.TypedDict: pydantic cannot read that one before Python 3.12.
from typing_extensions import TypedDict


class User(TypedDict):
    """A user; ``role`` is ``user`` or ``admin``, ``createdAt`` RFC 3339."""

    id: str
    email: str
    role: str
    createdAt: str


class Tokens(TypedDict):
    """A pair of tokens; ``expiresIn`` is the access token's life in seconds."""

    accessToken: str
    refreshToken: str
    tokenType: str
    expiresIn: int


class TokensWithUser(Tokens):
    """The pair of a new session and whose it is."""

    user: User
