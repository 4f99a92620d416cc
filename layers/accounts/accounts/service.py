"""What the accounts plane does: register, log in, refresh, log out, say who somebody is.

bcrypt never runs inside a transaction, and the signing key is read before one: what is committed can be answered.
"""

import os
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from accounts import database, passwords, sessions, users
from accounts.connection import Cursor
from accounts.database import Database
from accounts.errors import REFRESH_REFUSED, TokenReused
from accounts.models import Tokens, TokensWithUser, User
from accounts.refresh_tokens import RefreshToken
from accounts.sessions import Granted, Reused
from accounts.settings import ACCESS_TOKEN_SECONDS, AccountsSettings
from accounts.signing_keys import parse
from accounts.tokens import TokenIssuer
from accounts.users import Account
from core import ids, times
from core.client import ClientInfo
from core.errors import Conflict, NotFound, Unauthorized
from core.logging import logger
from core.secrets import Secret
from core.settings import SettingsError

ROLE_USER = "user"
ROLE_ADMIN = "admin"

_NONCE_BYTES = 32


class Accounts:
    """The operations of the accounts plane. Each raises ``ServiceUnavailable`` when the database is down.

    ``issuer`` is called by the operations that issue an access token; the others need no signing key.
    """

    def __init__(
        self,
        database: Database,
        issuer: Callable[[], TokenIssuer],
        *,
        bcrypt_rounds: int,
        clock: Callable[[], datetime] = times.now,
    ) -> None:
        self._database = database
        self._issuer = issuer
        self._rounds = bcrypt_rounds
        self._clock = clock

    def register(self, email: str, password: str, client: ClientInfo) -> TokensWithUser:
        """Create a user and a first session. Raises ``Conflict`` when the email is taken, in whatever case."""
        issuer = self._issuer()
        password_hash = passwords.hash_password(password, self._rounds)
        now = self._clock()
        account = Account(ids.new(), email, ROLE_USER, now)

        def insert(cursor: Cursor) -> Granted | None:
            if not users.insert(cursor, account, password_hash):
                return None
            return sessions.start(cursor, account.id, client, now)

        granted = self._database.run(insert)
        if granted is None:
            raise Conflict("This email is already registered; log in, or use another one.", slug="email-taken")
        return {**_tokens(issuer, granted, account, now), "user": account.shown()}

    def login(self, email: str, password: str, client: ClientInfo) -> TokensWithUser:
        """Begin a session. Raises ``Unauthorized``, the same and after the same work, for both mistakes.

        A hash that was made with less work than is asked for now is replaced.
        """
        issuer = self._issuer()
        budget = self._database.budget()
        found = self._database.run(lambda cursor: users.by_email(cursor, email), budget=budget)
        accepted = passwords.verify(password, None if found is None else found[1], self._rounds)
        if found is None or not accepted:
            raise Unauthorized("The email or the password is wrong.")
        account, old_hash = found
        stronger = (
            passwords.hash_password(password, self._rounds) if passwords.needs_rehash(old_hash, self._rounds) else None
        )
        now = self._clock()

        def start(cursor: Cursor) -> Granted:
            if stronger is not None:
                users.replace_hash(cursor, account.id, old_hash, stronger)
            return sessions.start(cursor, account.id, client, now)

        granted = self._database.run(start, budget=budget)
        return {**_tokens(issuer, granted, account, now), "user": account.shown()}

    def refresh(self, refresh_token: str) -> Tokens:
        """Exchange a refresh token for a new pair; role and email are those of this moment.

        Raises ``Unauthorized`` for a token that is unknown, expired or revoked, and ``TokenReused`` for one that had
        been exchanged before, whose session has then been revoked.
        """
        token = RefreshToken.parse(refresh_token)
        if token is None:
            raise Unauthorized(REFRESH_REFUSED)
        issuer = self._issuer()
        now = self._clock()
        nonce = os.urandom(_NONCE_BYTES)

        def rotate(cursor: Cursor) -> tuple[Granted | Reused | None, Account | None]:
            outcome = sessions.rotate(cursor, token, now, nonce=nonce)
            return outcome, users.by_id(cursor, outcome.user_id) if isinstance(outcome, Granted) else None

        outcome, account = self._database.run(rotate)
        if isinstance(outcome, Reused):
            logger.warning(
                "refresh token reused, session revoked",
                security_event="refresh_token_reused",
                session_id=outcome.session_id,
                user_id=outcome.user_id,
            )
            raise TokenReused(session_id=outcome.session_id, user_id=outcome.user_id)
        if outcome is None or account is None:
            raise Unauthorized(REFRESH_REFUSED)
        return _tokens(issuer, outcome, account, now)

    def logout(self, refresh_token: str, *, everywhere: bool = False) -> None:
        """End the token's session, or all of its user's; a token of no session is nothing left to do.

        Ending all takes a token that would be accepted for a refresh; any other ends its own session only.
        """
        token = RefreshToken.parse(refresh_token)
        if token is not None:
            now = self._clock()
            self._database.run(lambda cursor: sessions.end(cursor, token, now, everywhere=everywhere))

    def me(self, user_id: str) -> User:
        """The user of a valid access token. Raises ``Unauthorized`` when there is no such user (any more)."""
        account = self._database.run(lambda cursor: users.by_id(cursor, user_id)) if ids.is_valid(user_id) else None
        if account is None:
            raise Unauthorized("The account of this token does not exist any more.", token_sent=True)
        return account.shown()

    def promote(self, email: str) -> User:
        """Make a user an admin; tokens show it from their next refresh. Raises ``NotFound``."""
        account = self._database.run(lambda cursor: users.set_role(cursor, email, ROLE_ADMIN))
        if account is None:
            raise NotFound("No user has this email.")
        return account.shown()


@lru_cache(maxsize=1)
def from_env() -> Accounts:
    """The accounts of this execution environment. Raises ``core.settings.SettingsError``."""
    settings = AccountsSettings.from_env(os.environ)
    return Accounts(database.from_env(), _issuer(settings), bcrypt_rounds=settings.bcrypt_rounds)


def _issuer(settings: AccountsSettings) -> Callable[[], TokenIssuer]:
    """Read the signing key at its first use; a failure is not remembered."""

    @lru_cache(maxsize=1)
    def issuer() -> TokenIssuer:
        if settings.signing_secret_arn is None:
            raise SettingsError("environment variable SIGNING_SECRET_ARN is not set")
        key = parse(Secret(settings.signing_secret_arn).text())
        return TokenIssuer(key, settings.token_issuer, settings.token_audience)

    return issuer


def _tokens(issuer: TokenIssuer, granted: Granted, account: Account, now: datetime) -> Tokens:
    access_token = issuer.access_token(
        user_id=account.id, email=account.email, role=account.role, session_id=granted.session_id, now=now
    )
    return {
        "accessToken": access_token,
        "refreshToken": str(granted.token),
        "tokenType": "Bearer",
        "expiresIn": ACCESS_TOKEN_SECONDS,
    }
