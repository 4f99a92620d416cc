"""Ask the providers of the configuration one after another until one of them delivers, or the time is over."""

import importlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar, overload

from core.errors import BadGateway, FieldError, GatewayTimeout, Unprocessable
from core.logging import logger
from core.settings import SettingsError
from generation import settings
from generation.providers import (
    Artifact,
    Deadline,
    ImageRequest,
    PromptRefused,
    Provider,
    ProviderError,
    ProviderTimeout,
    SpeechProvider,
    SpeechRequest,
)

RESERVE_SECONDS = 4.0
"""What a provider leaves of the time to each one behind it: enough for an offline engine and the records."""

Kind = Literal["image", "speech"]

# Strings, so that a function loads only the libraries of the providers that it is configured with.
_REGISTRY: Mapping[Kind, Mapping[str, tuple[str, str]]] = {
    "image": {
        "pollinations": ("generation.pollinations", "Pollinations"),
        "offline": ("offline.image", "OfflineImage"),
    },
    "speech": {
        "gtts": ("generation.google_tts", "GoogleTts"),
        "offline": ("offline.speech", "OfflineSpeech"),
    },
}
_PARAMETERS: Mapping[Kind, str] = {"image": "ImageProviders", "speech": "TtsProviders"}

RequestT = TypeVar("RequestT")
Options = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the chain delivered; ``fallback_from`` is the provider that was asked first, when that one failed."""

    artifact: Artifact
    fallback_from: str | None = None
    fallback_reason: str | None = None


@overload
def load(
    names: Iterable[str], kind: Literal["image"], options: Options | None = None
) -> tuple[Provider[ImageRequest], ...]: ...


@overload
def load(
    names: Iterable[str], kind: Literal["speech"], options: Options | None = None
) -> tuple[SpeechProvider, ...]: ...


def load(names: Iterable[str], kind: Kind, options: Options | None = None) -> tuple[Any, ...]:
    """The providers of these names, in this order; ``options`` are the constructor arguments of each, by name.

    Raises ``SettingsError`` for a name that is not known, or whose layer is not there.
    """
    arguments = options or {}
    return tuple(_provider(name, kind)(**arguments.get(name, {})) for name in names)


def _provider(name: str, kind: Kind) -> Any:
    known = _REGISTRY[kind]
    if name not in known:
        raise SettingsError(f"{_PARAMETERS[kind]} names {name!r}; known are {', '.join(sorted(known))}")
    module, factory = known[name]
    package = module.partition(".")[0]
    try:
        return getattr(importlib.import_module(module), factory)
    except ModuleNotFoundError as error:
        if error.name not in (package, module):
            raise
        raise SettingsError(
            f"{_PARAMETERS[kind]} names {name!r}, which is in the layer {package!r}: attach it or take the name out"
        ) from error


@lru_cache(maxsize=1)
def image_providers() -> tuple[Provider[ImageRequest], ...]:
    """The providers of pictures that this execution environment is configured with; they keep their connections."""
    current = settings.current()
    pollinations: dict[str, Any] = {
        "supported_url": current.pollinations_url,
        "keyless_url": current.pollinations_keyless_url,
    }
    if current.pollinations_secret_arn:
        from generation.api_key import ApiKey  # boto3 is not for those without a key

        pollinations["read_key"] = ApiKey(current.pollinations_secret_arn)
    return load(current.providers, "image", {"pollinations": pollinations})


@lru_cache(maxsize=1)
def speech_providers() -> tuple[SpeechProvider, ...]:
    """The providers of speech that this execution environment is configured with; they keep their connections."""
    current = settings.current()
    return load(current.providers, "speech", {"gtts": {"base_url": current.gtts_url}})


def voices(providers: Iterable[SpeechProvider]) -> frozenset[str]:
    """The voices that at least one of the providers speaks."""
    return frozenset().union(*(provider.voices for provider in providers))


def generate(providers: Sequence[Provider[RequestT]], request: RequestT, deadline: Deadline) -> Outcome:
    """Ask one provider after another; a provider of speech that lacks the voice is passed over.

    Raises ``Unprocessable`` when a provider refuses the prompt or none has the voice, ``GatewayTimeout`` when the
    time is over, ``BadGateway`` when every provider failed. It ends by the deadline even when a provider does not.
    """
    able = [provider for provider in providers if _can_serve(provider, request)]
    if not able:
        raise _no_such_voice(providers)
    failures: list[tuple[str, ProviderError]] = []
    for place, provider in enumerate(able, start=1):
        try:
            artifact = _ask(provider, request, _share(deadline, behind=len(able) - place))
        except PromptRefused as refusal:
            raise Unprocessable(
                f"{provider.name} does not serve this request ({refusal}); change the prompt or the model",
                slug="prompt-refused",
            ) from None
        except ProviderError as error:
            logger.warning("provider failed", provider=provider.name, reason=error.reason)
            failures.append((provider.name, error))
        else:
            if not failures:
                return Outcome(artifact)
            first, error_of_first = failures[0]
            return Outcome(artifact, first, error_of_first.reason)
    raise _all_failed(failures, deadline)


def _can_serve(provider: Provider[RequestT], request: RequestT) -> bool:
    if isinstance(request, SpeechRequest) and isinstance(provider, SpeechProvider):
        return request.voice in provider.voices
    return True


def _share(deadline: Deadline, *, behind: int) -> Deadline:
    """The time of one provider: all but the reserve of those behind it, an equal part when there is little."""
    reserve = min(RESERVE_SECONDS, deadline.remaining() / (behind + 1))
    return deadline.sooner(reserve=reserve * behind)


def _ask(provider: Provider[RequestT], request: RequestT, deadline: Deadline) -> Artifact:
    """Run the provider in a thread of its own, which is left behind when it does not come back in time.

    Anything that it raises besides its own errors is a bug or an odd error of a library. The next provider may still
    serve the caller, so it counts as a failure, and its traceback is logged as an error.
    """
    answer: Future[Artifact] = Future()

    def work() -> None:
        try:
            answer.set_result(provider.generate(request, deadline))
        except BaseException as error:  # belongs to the thread that waits
            answer.set_exception(error)

    if not deadline.remaining():
        raise ProviderTimeout("no time left")
    threading.Thread(target=work, name=f"provider-{provider.name}", daemon=True).start()
    try:
        error = answer.exception(timeout=deadline.remaining())
    except TimeoutError:
        raise ProviderTimeout from None
    if error is None:
        return answer.result()
    if isinstance(error, Exception) and not isinstance(error, ProviderError | PromptRefused):
        logger.error("provider raised an unexpected error", provider=provider.name, exc_info=error)
        raise ProviderError(type(error).__name__)
    raise error


def _all_failed(failures: Sequence[tuple[str, ProviderError]], deadline: Deadline) -> BadGateway | GatewayTimeout:
    reasons = ", ".join(f"{name} ({error.reason})" for name, error in failures)
    detail = f"No provider could serve the request: {reasons}. Try again later."
    timeouts = [isinstance(error, ProviderTimeout) for _, error in failures]
    if all(timeouts) or (any(timeouts) and not deadline.remaining()):
        return GatewayTimeout(detail)
    return BadGateway(detail)


def _no_such_voice(providers: Sequence[Provider[Any]]) -> Unprocessable:
    known = voices(provider for provider in providers if isinstance(provider, SpeechProvider))
    message = f"must be one of {', '.join(sorted(known))}"
    return Unprocessable(f"voice {message}", errors=[FieldError("voice", message)])
