"""Secrets from AWS Secrets Manager, read at their first use and kept by the execution environment."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from core import aws
from core.errors import ServiceUnavailable
from core.settings import SettingsError
from core.waiting import DeadlinePassed, Patience, within

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

# After so long a request that needs a secret knows that it cannot have it.
_SECONDS = 3.0
_CONNECT_SECONDS = 1.0
_READ_SECONDS = 2.0
_ATTEMPTS = 2
_RETRY_AFTER_SECONDS = 5

AnswerT = TypeVar("AnswerT")


class SecretText(Protocol):
    """Where the text of a secret comes from."""

    def text(self) -> str:
        """The text, as it was when it was first read. Raises ``ServiceUnavailable``."""
        ...

    def reread(self) -> str:
        """The text as it is now, which ``text`` gives from then on. Raises ``ServiceUnavailable``."""
        ...


class Secret:
    """One secret of Secrets Manager, by ARN. Its text never appears in an error."""

    def __init__(self, arn: str) -> None:
        self._arn = arn
        self._text: str | None = None
        self._client: SecretsManagerClient | None = None

    def connect(self) -> "SecretsManagerClient":
        """The client that reads it, made when it is first needed, or before."""
        if self._client is None:
            self._client = aws.client(
                "secretsmanager",
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
                retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
            )
        return self._client

    def text(self) -> str:
        """The text, as it was when it was first read. Raises ``ServiceUnavailable`` when it cannot be read."""
        return self.reread() if self._text is None else self._text

    def reread(self) -> str:
        """The text as it is now: what a rotation asks for. Raises ``ServiceUnavailable`` when it cannot be read."""
        answer = self._ask(lambda client: client.get_secret_value(SecretId=self._arn))
        text: str | None = answer.get("SecretString")
        if text is None:
            raise SettingsError(f"secret {self._arn} holds no text")
        self._text = text
        return text

    def current_version(self) -> str | None:
        """The id of the version that ``text`` reads, without reading it; None when there is none yet.

        Raises ``ServiceUnavailable`` when Secrets Manager does not tell.
        """
        versions = self._ask(lambda client: client.describe_secret(SecretId=self._arn)).get("VersionIdsToStages", {})
        return next((version for version, stages in versions.items() if "AWSCURRENT" in stages), None)

    def _ask(self, question: "Callable[[SecretsManagerClient], AnswerT]") -> AnswerT:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client = self.connect()
            return within(Patience(_SECONDS), lambda: question(client))
        except (BotoCoreError, ClientError, DeadlinePassed) as error:
            self._client = None
            raise ServiceUnavailable(
                "The platform cannot read its configuration; try again in a moment.",
                retry_after=_RETRY_AFTER_SECONDS,
            ) from error
