"""What the accounts plane does: register, log in, refresh, log out, change a password.

bcrypt never runs inside a transaction, and the signing key is read before one: what is committed can be answered.
"""

import os
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from accounts import common_passwords, database, passwords, sessions, users
from accounts.connection import Cursor
from accounts.database import Database
from accounts.errors import REFRESH_REFUSED, TokenReused, WrongPassword
from accounts.models import Tokens, TokensWithUser, User
from accounts.own import OwnAccount, are_ids
from accounts.password_guard import Claim, PasswordGuard
from accounts.passwords import Match
from accounts.refresh_tokens import RefreshToken
from accounts.sessions import Granted, Reused
from accounts.settings import ACCESS_TOKEN_SECONDS, AccountsSettings
from accounts.signing_keys import parse
from accounts.tokens import TokenIssuer
from accounts.users import Account
from core import ids, times
from core.client import ClientInfo
from core.errors import Conflict, FieldError, NotFound, Unauthorized, Unprocessable
from core.logging import logger
from core.secrets import Secret
from core.settings import SettingsError

ROLE_USER = "user"
ROLE_ADMIN = "admin"

_NONCE_BYTES = 32


class Accounts(OwnAccount):
    """The operations of the accounts plane. Each raises ``ServiceUnavailable`` when the database is down.

    ``issuer`` is called by the operations that issue an access token; the others need no signing key.
    ``refuse_common_passwords`` is of those in which somebody chooses a password.
    """

    def __init__(
        self,
        database: Database,
        issuer: Callable[[], TokenIssuer],
        *,
        bcrypt_rounds: int,
        refuse_common_passwords: bool = True,
        clock: Callable[[], datetime] = times.now,
    ) -> None:
        super().__init__(database, clock=clock)
        self._issuer = issuer
        self._rounds = bcrypt_rounds
        self._refuse_common_passwords = refuse_common_passwords
        self._guard = PasswordGuard(database, bcrypt_rounds, clock)

    def register(self, email: str, password: str, client: ClientInfo) -> TokensWithUser:
        """Create a user and a first session.

        Raises ``Conflict`` when the email is taken, in whatever spelling, ``Unprocessable`` for a common password.
        """
        self._refuse_common(password, "password")
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

        Raises ``TooManyRequests`` while failed logins delay those of this email, whether it has an account or not.
        A hash that was made with less work than is asked for now, or not of the password's normal form, is replaced.
        """
        issuer = self._issuer()

        def look(cursor: Cursor) -> Claim:
            return Claim(email, users.by_email(cursor, email))

        def allowed(account: Account, stored: str, match: Match) -> Callable[[Cursor], TokensWithUser | None]:
            outdated = passwords.needs_rehash(stored, match, self._rounds)
            kept = passwords.hash_password(password, self._rounds) if outdated else stored
            now = self._clock()

            def start(cursor: Cursor) -> TokensWithUser | None:
                if not users.replace_hash(cursor, account.id, stored, kept):
                    return None
                granted = sessions.start(cursor, account.id, client, now)
                return {**_tokens(issuer, granted, account, now), "user": account.shown()}

            return start

        refusal = Unauthorized("The email or the password is wrong.")
        return self._guard.check(password, look, allowed, refusal=refusal)

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

    def change_password(self, user_id: str, session_id: str, current: str, new: str) -> None:
        """Replace the user's password and end all sessions but this one.

        Raises ``WrongPassword`` for a wrong current one, which counts as a failed login, ``TooManyRequests`` while
        those delay the account, ``Unprocessable`` for a common new one, ``Unauthorized`` when the session has ended.
        """
        self._refuse_common(new, "newPassword")

        def look(cursor: Cursor) -> Claim:
            found = users.by_id_with_hash(cursor, user_id) if are_ids(user_id, session_id) else None
            if found is None or not sessions.is_live(cursor, user_id, session_id, self._clock()):
                raise Unauthorized("This session has ended; log in again.", token_sent=True)
            return Claim(found[0].email, found)

        def allowed(_account: Account, stored: str, _match: Match) -> Callable[[Cursor], bool | None]:
            new_hash = passwords.hash_password(new, self._rounds)
            now = self._clock()

            def change(cursor: Cursor) -> bool | None:
                if not sessions.is_live(cursor, user_id, session_id, now):
                    return None
                if not users.replace_hash(cursor, user_id, stored, new_hash):
                    return None
                sessions.end_others(cursor, user_id, session_id, now)
                return True

            return change

        self._guard.check(current, look, allowed, refusal=WrongPassword())
        logger.info("password changed", security_event="password_changed", user_id=user_id, session_id=session_id)

    def promote(self, email: str) -> User:
        """Make a user an admin; tokens show it from their next refresh. Raises ``NotFound``."""
        account = self._database.run(lambda cursor: users.set_role(cursor, email, ROLE_ADMIN))
        if account is None:
            raise NotFound("No user has this email.")
        return account.shown()

    def _refuse_common(self, password: str, field: str) -> None:
        if self._refuse_common_passwords and common_passwords.is_common(password):
            error = FieldError(
                field, "This is one of the most common passwords, which are guessed first; choose another."
            )
            raise Unprocessable("The request is not valid: see errors.", errors=[error])


@lru_cache(maxsize=1)
def from_env() -> Accounts:
    """The accounts of this execution environment. Raises ``core.settings.SettingsError``."""
    settings = AccountsSettings.from_env(os.environ)
    return Accounts(
        database.from_env(),
        _issuer(settings),
        bcrypt_rounds=settings.bcrypt_rounds,
        refuse_common_passwords=settings.refuse_common_passwords,
    )


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
