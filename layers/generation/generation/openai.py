"""Text by any server of OpenAI's shape: OpenAI, vLLM, Ollama, LiteLLM, LocalAI, llama.cpp, OpenRouter and others."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from core.errors import FieldError
from core.settings import READ_SECRET, Setting
from generation import models, prices
from generation.api_key import ApiKey, bearer
from generation.completions import MOST_BYTES, CompletionStream, Failure, read_failure
from generation.http_client import HttpClient, StreamedAnswer
from generation.providers import Deadline, PromptRefused, ProviderError
from generation.texts import Message, Model, TextRequest

SILENT_SECONDS = 30.0
"""So long a server may write nothing, neither text nor thoughts."""

URL = Setting("OpenaiUrl", "Base of a server of OpenAI's shape; ends in /v1.", "https://api.openai.com/v1")
KEY = Setting("OpenaiSecretArn", "ARN of the secret with that server's key; empty for none.", grants=READ_SECRET)
MODELS = Setting(
    "OpenaiModels",
    "Its models: alias=upstream-model:contextTokens, comma list, the first is the default.",
    "gpt-5-mini=gpt-5-mini:400000",
)
_REFUSALS = frozenset({400, 422})
# Some servers say with 400 what others say with 401 or 404: nothing that another provider could not serve.
_NOT_THE_PROMPT = re.compile(r"api[ _-]?key|model.{0,80}(not (found|exist)|does not exist)", re.IGNORECASE | re.DOTALL)
# What a server may not take, and what is sent in its stead.
_INSTEAD = {"temperature": "", "seed": "", "stream_options": "", "max_tokens": "max_completion_tokens"}


class OpenAi:
    """Asks for chat completions, streamed.

    Servers differ in the parameters that they take. One that complains of a parameter is asked again without it, or
    with its other name, and is not sent it again for that model.
    """

    name = "openai"
    settings: tuple[Setting, ...] = (URL, KEY, MODELS, prices.PRICES)

    def __init__(
        self,
        offered: tuple[Model, ...],
        base_url: str,
        read_key: Callable[[], str | None] | None = None,
        *,
        http: HttpClient | None = None,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        self.models = offered
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._read_key = read_key
        self._http = http or HttpClient()
        self._silent_seconds = silent_seconds
        self._not_taken: dict[str, frozenset[str]] = {}

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """With its settings. Raises ``SettingsError`` for models that are not listed as they must be."""
        arn = KEY.read(environ)
        return cls(models.read(MODELS, environ), URL.read(environ), ApiKey(arn) if arn else None)

    def refuses(self, request: TextRequest) -> FieldError | None:
        """A model that it does not offer."""
        return models.lacks(self.models, request.model)

    def stream(self, request: TextRequest, deadline: Deadline) -> CompletionStream:
        """Begin an answer; returns when the server has accepted the request.

        Raises ``PromptRefused`` for 400 and 422 that are about the prompt, ``ProviderError`` for everything else.
        """
        model = models.chosen(self.models, request.model)
        not_taken = self._not_taken.get(model.upstream, frozenset())
        while True:
            options = self._options(request, model, not_taken)
            answer = self._ask(options, request.messages, deadline)
            if answer.status == 200:
                self._not_taken[model.upstream] = not_taken
                return self._answer(answer, model)
            failure = read_failure(answer)
            complaint = _complaint(failure, options)
            if complaint is None:
                raise self._error(failure)
            not_taken |= {complaint}

    def _ask(self, options: Mapping[str, Any], messages: Iterable[Message], deadline: Deadline) -> StreamedAnswer:
        said = ",".join([message.written for message in messages])
        return self._http.stream(
            "POST",
            self._url,
            headers={
                "User-Agent": "llm-microservices",
                "Content-Type": "application/json",
                "Accept": "text/event-stream, application/json",
                **self._authorization(),
            },
            body=f'{json.dumps(options)[:-1]},"messages":[{said}]}}',
            deadline=deadline,
            most_bytes=MOST_BYTES,
            silent_seconds=self._silent_seconds,
        )

    def _authorization(self) -> dict[str, str]:
        return bearer(self._read_key() if self._read_key else None)

    def _options(self, request: TextRequest, model: Model, not_taken: frozenset[str]) -> dict[str, Any]:
        """What a request has beside its messages."""
        optional = {
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
            "stream_options": {"include_usage": True},
        }
        names = {name: _INSTEAD[name] if name in not_taken else name for name in optional}
        return {
            "model": model.upstream,
            "stream": True,
            **{names[name]: value for name, value in optional.items() if names[name] and value is not None},
        }

    def _answer(self, answer: StreamedAnswer, model: Model) -> CompletionStream:
        return CompletionStream(answer, model.upstream)

    def _error(self, failure: Failure) -> ProviderError | PromptRefused:
        """What an answer means that is no text."""
        # A context that is too small for the messages is this model's.
        is_of_the_model = "context" in failure.code or _NOT_THE_PROMPT.search(failure.message)
        if failure.status in _REFUSALS and not is_of_the_model:
            return PromptRefused(failure.reason)
        return ProviderError(failure.reason)


def _complaint(failure: Failure, options: Mapping[str, Any]) -> str | None:
    """The parameter of the request that the server does not take, if that is what its error is about."""
    if failure.status not in _REFUSALS:
        return None
    if failure.param:
        return failure.param if failure.param in _INSTEAD and failure.param in options else None
    named = (name for name in _INSTEAD if name in options and re.search(rf"\b{name}\b", failure.message))
    return next(named, None)
