"""The key of a provider, from Secrets Manager: read again every few minutes, so that it can be rotated."""

import time
from collections.abc import Callable

from core import aws
from core.errors import ServiceUnavailable
from core.logging import logger
from core.secrets import Secret
from core.settings import SettingsError
from generation.providers import ProviderError

KEPT_SECONDS = 300.0


def bearer(key: str | None) -> dict[str, str]:
    """The header that carries a key (RFC 6750 §2.1), none for an empty one.

    Raises ``ProviderError``, which does not show the key, for one that no header can carry.
    """
    trimmed = (key or "").strip()
    if not (trimmed.isascii() and trimmed.isprintable()):
        raise ProviderError("key not valid")
    return {"Authorization": f"Bearer {trimmed}"} if trimmed else {}


class ApiKey:
    """Reads the key in the secret of this ARN. The key never appears in an error."""

    def __init__(self, arn: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._secret = Secret(arn)
        aws.at_start(self._secret.connect)
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
            return self._secret.reread()
        except (ServiceUnavailable, SettingsError) as error:
            logger.error("the provider's key cannot be read", exc_info=error)
            raise ProviderError("key not readable") from None
