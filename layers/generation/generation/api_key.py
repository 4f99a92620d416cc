"""The key of a provider, from Secrets Manager: read again every few minutes, so that it can be rotated."""

import time
from collections.abc import Callable

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.logging import logger
from generation.providers import ProviderError

KEPT_SECONDS = 300.0
_TIMEOUTS = Config(connect_timeout=1.0, read_timeout=1.0, retries={"total_max_attempts": 2, "mode": "standard"})


class ApiKey:
    """Reads the key in the secret of this ARN. The key never appears in an error."""

    def __init__(self, arn: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._arn = arn
        self._clock = clock
        self._read_at = 0.0
        self._key: str | None = None

    def __call__(self) -> str:
        """The key. Raises ``ProviderError`` when it cannot be read, so that the next provider is asked."""
        if self._key is None or self._clock() - self._read_at > KEPT_SECONDS:
            self._key = self._read()
            self._read_at = self._clock()
        return self._key

    def _read(self) -> str:
        try:
            answer = boto3.client("secretsmanager", config=_TIMEOUTS).get_secret_value(SecretId=self._arn)
        except (BotoCoreError, ClientError) as error:
            logger.error("the provider's key cannot be read", exc_info=error)
            raise ProviderError("key not readable") from None
        return answer.get("SecretString", "")
