"""What the accounts plane is configured with, and the lifetimes that are part of its contract."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from core import settings

ACCESS_TOKEN_SECONDS = 900
REFRESH_TOKEN_LIFETIME = timedelta(days=30)
# A session ends this long after its login, however often it has been refreshed.
SESSION_LIFETIME = timedelta(days=90)
# A refresh token that was just rotated is taken for a client that never got the answer.
REUSE_GRACE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class AccountsSettings:
    """The accounts plane's part of the environment.

    ``signing_secret_arn`` is ``None`` in the functions that issue no access token: they have neither
    the name of the private key nor the permission to read it.
    """

    database_secret_arn: str
    signing_secret_arn: str | None
    bcrypt_rounds: int
    token_issuer: str
    token_audience: str
    refuse_common_passwords: bool

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "AccountsSettings":
        """Read the settings. Raises ``core.settings.SettingsError`` with the name of a variable that is wrong."""
        return cls(
            database_secret_arn=settings.text(environ, "DATABASE_SECRET_ARN"),
            signing_secret_arn=environ.get("SIGNING_SECRET_ARN", "").strip() or None,
            bcrypt_rounds=settings.integer(environ, "BCRYPT_ROUNDS", 12, least=10, most=16),
            token_issuer=settings.text(environ, "TOKEN_ISSUER"),
            token_audience=settings.text(environ, "TOKEN_AUDIENCE"),
            refuse_common_passwords=_refuses_common_passwords(environ),
        )


def _refuses_common_passwords(environ: Mapping[str, str]) -> bool:
    choice = settings.text(environ, "COMMON_PASSWORDS", "refuse")
    if choice not in ("refuse", "allow"):
        raise settings.SettingsError("environment variable COMMON_PASSWORDS is neither refuse nor allow")
    return choice == "refuse"
