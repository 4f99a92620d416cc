"""AWS's own services as providers: their clients, and what their errors mean.

boto3 is imported where a client is made: only who asks AWS pays for it.
"""

import re
from functools import lru_cache
from typing import Any

from generation.providers import PromptRefused, ProviderError, ProviderTimeout

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 30.0
_REFUSALS = frozenset({"ValidationException"})
_TIMEOUTS = frozenset({"ModelTimeoutException"})
# What ValidationException says of a stack's settings, for which another provider may be asked.
_OF_SETTINGS = re.compile(r"model identifier|model id|on-demand throughput|inference profile|isn't supported for", re.I)
_CODE = re.compile(r"[A-Za-z]{1,60}")


@lru_cache
def client(service: str) -> Any:
    """A client with the function's own role. It asks once: the next try is the next provider's."""
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, retries={"total_max_attempts": 1})
    return boto3.client(service, config=config)  # type: ignore[call-overload]


def meaning(error: Exception) -> Exception:
    """What an error of boto3 means for the chain. Its message stays behind: it may have the prompt in it."""
    from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError

    if isinstance(error, ClientError):
        answered = error.response.get("Error", {})
        # In the middle of a stream the codes begin with a small letter.
        code = answered.get("Code", "")[:1].upper() + answered.get("Code", "")[1:]
        if code in _TIMEOUTS:
            return ProviderTimeout()
        if code in _REFUSALS and not _OF_SETTINGS.search(answered.get("Message", "")):
            return PromptRefused(code)
        return ProviderError(code if _CODE.fullmatch(code) else "AWS failed")
    if isinstance(error, ReadTimeoutError | ConnectTimeoutError):
        return ProviderTimeout()
    if isinstance(error, BotoCoreError):
        return ProviderError("AWS cannot be asked")
    return error
