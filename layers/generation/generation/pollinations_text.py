"""Text by Pollinations: OpenAI's shape on its hosts, with errors of its own."""

import re
from collections.abc import Callable, Generator, Mapping
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

from core.settings import Setting
from generation import models, prices
from generation.api_key import ApiKey
from generation.completions import CompletionStream, Failure
from generation.http_client import HttpClient, StreamedAnswer
from generation.openai import SILENT_SECONDS, OpenAi
from generation.pollinations import HOST, KEY
from generation.providers import PromptRefused, ProviderError
from generation.texts import Model, TextRequest

MODELS = Setting(
    "PollinationsModels",
    "Models of Pollinations for text: alias=upstream-model:contextTokens, comma list, the first is the default.",
    "openai=openai:32000",
)
KEYLESS_HOST = Setting(
    "PollinationsKeylessTextUrl",
    "Where text is asked for without a key; ends in /v1.",
    "https://text.pollinations.ai/v1",
)
# They answer a request with a key by a notice, as if the model had written it.
_LEGACY_HOSTS = frozenset({"text.pollinations.ai", "image.pollinations.ai"})
_NOTICE = "IMPORTANT NOTICE"
_DECORATION = re.compile(r"[^A-Za-z]+")
# So much of an answer that begins as the notice does shows whether it is the notice.
_NOTICE_CHARACTERS = 400


class PollinationsText(OpenAi):
    """Asks the supported host with a key, the keyless one without; a key that is refused is a failure.

    A request that Pollinations itself asks of others fails with 502, and what they said is inside.
    """

    name = "pollinations"
    settings = (KEY, HOST, KEYLESS_HOST, MODELS, prices.PRICES)

    def __init__(
        self,
        offered: tuple[Model, ...],
        supported_url: str,
        keyless_url: str,
        read_key: Callable[[], str | None] | None = None,
        *,
        http: HttpClient | None = None,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        base = supported_url if read_key else keyless_url
        super().__init__(offered, base, read_key, http=http, silent_seconds=silent_seconds)
        self._is_legacy = urlsplit(base).hostname in _LEGACY_HOSTS

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """With its settings; without a secret the keyless host is asked."""
        arn = KEY.read(environ)
        # Beside the supported host's /image.
        supported = urljoin(HOST.read(environ), "v1")
        offered = models.read(MODELS, environ)
        return cls(offered, supported, KEYLESS_HOST.read(environ), ApiKey(arn) if arn else None)

    def _authorization(self) -> dict[str, str]:
        return {} if self._is_legacy else super()._authorization()

    def _options(self, request: TextRequest, model: Model, not_taken: frozenset[str]) -> dict[str, Any]:
        # Keeps the prompt out of the public feed.
        return {**super()._options(request, model, not_taken), "private": True}

    def _answer(self, answer: StreamedAnswer, model: Model) -> CompletionStream:
        return _WithoutNotice(answer, model.upstream)

    def _error(self, failure: Failure) -> ProviderError | PromptRefused:
        details = failure.details.get("details")
        upstream = details.get("upstreamStatus") if isinstance(details, dict) else None
        for status in (upstream, failure.details.get("status")):
            if isinstance(status, int) and 400 <= status <= 599 and failure.status >= 500:
                return super()._error(failure._replace(status=status, code=""))
        return super()._error(failure)


class _WithoutNotice(CompletionStream):
    """An answer that is not the notice that a host is about to go."""

    def checked(self, pieces: Generator[str, None, None]) -> Generator[str, None, None]:
        held = ""
        for piece in pieces:
            held += piece
            if not _may_be_notice(held):
                yield held
                yield from pieces
                return
        if _is_notice(held):
            raise ProviderError("a notice instead of an answer")
        if held:
            yield held


def _may_be_notice(text: str) -> bool:
    """Whether it is the notice as far as it goes, and so must be held back."""
    start = _DECORATION.sub(" ", text).strip()
    if not _NOTICE.startswith(start[: len(_NOTICE)]):
        return False
    return _is_notice(text) or len(start) < _NOTICE_CHARACTERS


def _is_notice(text: str) -> bool:
    return _NOTICE in text and "pollinations" in text.lower()
