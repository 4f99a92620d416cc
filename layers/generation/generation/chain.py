"""Ask the providers of the configuration one after another until one of them delivers, or the time is over."""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from core import waiting
from core.errors import BadGateway, FieldError, GatewayTimeout, Unprocessable
from core.logging import logger
from core.settings import SettingsError
from generation import settings
from generation.providers import (
    Artifact,
    Configurable,
    Deadline,
    PromptRefused,
    Provider,
    ProviderError,
    ProviderTimeout,
)
from generation.services import Service

RESERVE_SECONDS = 4.0
"""What a provider leaves of the time to each one behind it: enough for an offline engine and the records."""

RequestT = TypeVar("RequestT")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the chain delivered; ``fallback_from`` is the provider that was asked first, when that one failed."""

    artifact: Artifact
    fallback_from: str | None = None
    fallback_reason: str | None = None


@lru_cache
def providers(service: Service) -> tuple[Any, ...]:
    """The service's providers that this execution environment is configured with; they keep their connections."""
    return load(service, settings.current().providers, os.environ)


def load(service: Service, names: Iterable[str], environ: Mapping[str, str]) -> tuple[Any, ...]:
    """The service's providers of these names, in this order, each with its own settings from the environment.

    Raises ``SettingsError`` for a name that is not known, or whose layer is not there.
    """
    return tuple(_provider(service, name).from_env(environ) for name in names)


def _provider(service: Service, name: str) -> type[Configurable]:
    parameter = f"{service.pascal}Providers"
    if name not in service.providers:
        raise SettingsError(f"{parameter} names {name!r}; known are {', '.join(sorted(service.providers))}")
    module = service.providers[name].partition(":")[0]
    package = module.partition(".")[0]
    try:
        found: type[Configurable] = service.provider(name)
    except ModuleNotFoundError as error:
        if error.name not in (package, module):
            raise
        raise SettingsError(
            f"{parameter} names {name!r}, which is in the layer {package!r}: attach it or take the name out"
        ) from error
    return found


def able(providers: Sequence[Provider[RequestT]], request: RequestT) -> list[Provider[RequestT]]:
    """The providers that can serve the request. Raises ``Unprocessable`` with every reason when none can."""
    refusals = [provider.refuses(request) for provider in providers]
    found = [provider for provider, refusal in zip(providers, refusals, strict=True) if refusal is None]
    if not found:
        raise nobody_can(refusal for refusal in refusals if refusal is not None)
    return found


def nobody_can(refusals: Iterable[FieldError]) -> Unprocessable:
    """The error when no provider can serve a request, with every reason once."""
    return Unprocessable(
        "No provider can serve this request: see errors.",
        slug="prompt-refused",
        errors=list(dict.fromkeys(refusals)),
    )


def refused(provider: str, refusal: PromptRefused) -> Unprocessable:
    """The error when a provider refuses what it was asked for."""
    return Unprocessable(
        f"{provider} does not serve this request ({refusal}); change the prompt or the model",
        slug="prompt-refused",
        errors=[refusal.wrong or FieldError("prompt", f"{provider} does not serve it: {refusal}.")],
    )


def generate(providers: Sequence[Provider[RequestT]], request: RequestT, deadline: Deadline) -> Outcome:
    """Ask one provider after another; one that cannot serve the request is passed over.

    Raises ``Unprocessable`` when a provider refuses the prompt or none can serve the request, ``GatewayTimeout`` when
    the time is over, ``BadGateway`` when every provider failed. It ends by the deadline even when a provider does not.
    """
    asked = able(providers, request)
    failures: list[tuple[str, ProviderError]] = []
    for place, provider in enumerate(asked, start=1):
        try:
            artifact = _ask(provider, request, share(deadline, behind=len(asked) - place))
        except PromptRefused as refusal:
            raise refused(provider.name, refusal) from None
        except ProviderError as error:
            logger.warning("provider failed", provider=provider.name, reason=error.reason)
            failures.append((provider.name, error))
        else:
            if not failures:
                return Outcome(artifact)
            first, error_of_first = failures[0]
            return Outcome(artifact, first, error_of_first.reason)
    raise all_failed(failures, deadline)


def share(deadline: Deadline, *, behind: int) -> Deadline:
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
    waiting.start(work)
    try:
        error = answer.exception(timeout=deadline.remaining())
    except TimeoutError:
        raise ProviderTimeout from None
    if error is None:
        return answer.result()
    raise expected(provider.name, error)


def expected(provider: str, error: BaseException) -> BaseException:
    """What a provider raised, as one of the errors that it may raise; anything else is a bug and is logged."""
    # A panic of native code is no Exception, but it does not end the process either.
    if isinstance(error, ProviderError | PromptRefused | KeyboardInterrupt | SystemExit):
        return error
    logger.error("provider raised an unexpected error", provider=provider, exc_info=error)
    return ProviderError(type(error).__name__)


def all_failed(failures: Sequence[tuple[str, ProviderError]], deadline: Deadline) -> BadGateway | GatewayTimeout:
    """The error when every provider that was asked failed, with each one's reason."""
    reasons = ", ".join(f"{name} ({error.reason})" for name, error in failures)
    detail = f"No provider could serve the request: {reasons}. Try again later."
    timeouts = [isinstance(error, ProviderTimeout) for _, error in failures]
    if all(timeouts) or (any(timeouts) and not deadline.remaining()):
        return GatewayTimeout(detail)
    return BadGateway(detail)
