"""The errors of the accounts plane that say more than their status does."""

from core.errors import Forbidden, Unauthorized

# The same words for every cause: a caller who guesses learns nothing from them.
REFRESH_REFUSED = "The refresh token is not valid (any more); log in again."


class TokenReused(Unauthorized):
    """A refresh token that had been rotated was presented again; its session is revoked.

    To the caller it is any refused refresh token. ``session_id`` and ``user_id`` are for the security event.
    """

    def __init__(self, *, session_id: str, user_id: str) -> None:
        super().__init__(REFRESH_REFUSED)
        self.session_id = session_id
        self.user_id = user_id


class WrongPassword(Forbidden):
    """The current password that goes with a new one is wrong."""

    slug = "wrong-password"

    def __init__(self) -> None:
        super().__init__("The current password is wrong.")
