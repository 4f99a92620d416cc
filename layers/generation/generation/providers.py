"""The interface of everything that makes a picture or speech.

A provider takes a request and a deadline and returns an artifact, or raises:

    ProviderError         it failed; the next provider of the chain is asked
    └── ProviderTimeout   it did not answer before the deadline
    PromptRefused         it will not serve this prompt; nobody else is asked
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """A picture to make: sizes in pixels, ``seed`` in 0..2³¹-1; ``model`` is a wish."""

    prompt: str
    width: int
    height: int
    seed: int
    model: str = "flux"


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """Speech to make: ``voice`` is a language as gTTS writes it (``en``, ``zh-CN``), ``model`` gtts or gtts-slow."""

    prompt: str
    voice: str = "en"
    model: str = "gtts"


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a provider made, and who really made it. ``duration_seconds`` is set for speech."""

    content: bytes
    content_type: str
    provider: str
    model: str
    duration_seconds: float | None = None
    cost_usd: float = 0.0


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
    """The provider understood the request and refuses it; another provider is not asked."""


RequestT = TypeVar("RequestT", contravariant=True)


class Provider(Protocol[RequestT]):
    """Makes one artifact. ``name`` is what configuration and ``meta.provider`` call it."""

    name: str

    def generate(self, request: RequestT, deadline: Deadline) -> Artifact:
        """Make the artifact before the deadline, or raise ``ProviderError`` or ``PromptRefused``."""
        ...


@runtime_checkable
class SpeechProvider(Provider[SpeechRequest], Protocol):
    """A provider of speech: ``voices`` are the language tags that it speaks."""

    voices: frozenset[str]
