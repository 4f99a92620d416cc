"""The interface of everything that generates.

A provider says beforehand whether it can serve a request at all; one that cannot is passed over. Asked, it takes the
request and a deadline and returns an artifact, or raises:

    ProviderError         it failed; the next provider of the chain is asked
    └── ProviderTimeout   it did not answer before the deadline
    PromptRefused         it will not serve this prompt; nobody else is asked
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self, TypeVar

from core.errors import FieldError
from core.settings import Setting


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a provider made, and who really made it; ``facts`` are what the API's ``meta`` tells of it beside that.

    ``cost_usd`` is what it cost; None where that is not known.
    """

    content: bytes
    content_type: str
    provider: str
    model: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    cost_usd: float | None = 0.0


class Deadline:
    """A moment on the monotonic clock by which work must be over."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - self._clock())

    def sooner(self, *, reserve: float) -> "Deadline":
        """A deadline that ends ``reserve`` seconds before this one."""
        return Deadline(max(0.0, self.remaining() - reserve), self._clock)


class ProviderError(Exception):
    """The provider failed; ``reason`` is short and safe to show (``status 503``, ``not an image``)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ProviderTimeout(ProviderError):
    """The provider did not answer before its deadline."""

    def __init__(self, reason: str = "timeout") -> None:
        super().__init__(reason)


class PromptRefused(Exception):
    """The provider understood the request and refuses it; another provider is not asked.

    ``wrong`` is the field at fault and what it must be, where the provider tells.
    """

    def __init__(self, reason: str, wrong: FieldError | None = None) -> None:
        super().__init__(reason)
        self.wrong = wrong


RequestT = TypeVar("RequestT", contravariant=True)


class Provider(Protocol[RequestT]):
    """Makes one artifact. ``name`` is what configuration and ``meta.provider`` call it."""

    name: str

    def refuses(self, request: RequestT) -> FieldError | None:
        """Why it can never serve this request: the field at fault and the limit. None when it can be asked.

        Answers from what it knows, at once: no network, no secret.
        """
        ...

    def generate(self, request: RequestT, deadline: Deadline) -> Artifact:
        """Make the artifact before the deadline, or raise ``ProviderError`` or ``PromptRefused``."""
        ...


class Configurable(Protocol):
    """What the chain can make of a name in its configuration; ``settings`` are the stack's parameters for it.

    One that needs actions of AWS which no resource limits has them in ``unbounded``, each with the reason: the template
    grants them to the functions whose chain names the provider.
    """

    settings: ClassVar[tuple[Setting, ...]]

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """A provider with its own settings from the environment. Raises ``core.settings.SettingsError``."""
        ...
