"""Ask providers of text one after another until one of them writes; once it has written, nobody else is asked.

A provider is read in a thread of its own, so that deadlines hold whatever it does. Before its first piece it has its
share of the time, and no more than ``SILENCE_SECONDS`` where others are behind it; after that, no pause may be longer.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal, NamedTuple

from core import waiting
from core.errors import FieldError, Unprocessable
from core.logging import logger
from generation import chain
from generation.providers import Deadline, PromptRefused, ProviderError, ProviderTimeout
from generation.texts import FinishReason, Model, TextProvider, TextRequest, TextStream, Usage, count_tokens

SILENCE_SECONDS = 30.0
"""After so long without a piece a stream is taken for broken."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A provider that may be asked, and the model that it would write with."""

    provider: TextProvider
    model: Model


Meanwhile = Callable[[], None]
# What to ask a candidate for, or why it can never serve the request.
Build = Callable[[Candidate], TextRequest | FieldError]


def candidates(providers: Sequence[TextProvider], wanted: str | None) -> list[Candidate]:
    """Those that offer the wanted model first, then the others with their defaults; all with theirs when none is.

    Raises ``Unprocessable``, which names the choices, for a model that nobody offers.
    """
    defaults = [Candidate(provider, provider.models[0]) for provider in providers if provider.models]
    if not wanted:
        return defaults
    offering = [
        Candidate(each.provider, model) for each in defaults for model in each.provider.models if model.id == wanted
    ]
    if not offering:
        choices = dict.fromkeys(model.id for each in defaults for model in each.provider.models)
        raise Unprocessable(
            "The request is not valid: see errors.",
            errors=[FieldError("model", f"Must be one of {', '.join(choices)}.")],
        )
    able = [each.provider for each in offering]
    return offering + [each for each in defaults if each.provider not in able]


class Begun:
    """An answer that has begun: iterate over its pieces; what it was is known after that.

    Raises ``ProviderError`` when the answer breaks off, and ``PromptRefused`` when the provider ends it; what came is
    kept, and ``finish_reason`` is ``error``.
    """

    def __init__(self, reading: "_Reading", request: TextRequest, first: str) -> None:
        self.provider = reading.provider.name
        self.model = reading.model
        self.fallback_from: str | None = None
        self.fallback_reason: str | None = None
        self.finish_reason: FinishReason | Literal["error"] = "error"
        self._reading = reading
        self.request = request
        self._usage: Usage | None = None
        self._is_over = False
        self._pieces: list[str] = []
        self._next = first

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        piece = self._next
        if piece:
            self._next = ""
        elif self._is_over:
            raise StopIteration
        else:
            self._is_over = True  # unless another piece comes
            came = self._reading.next()
            if isinstance(came, _End):
                self._usage, self.finish_reason = came
                raise StopIteration
            self._is_over = False
            piece = came
        self._pieces.append(piece)
        return piece

    def close(self) -> None:
        """End the answer early."""
        self._reading.leave()

    @property
    def text(self) -> str:
        """What was written so far."""
        return "".join(self._pieces)

    @property
    def usage(self) -> Usage:
        """What the call took; estimated when the provider did not tell."""
        if self._usage is not None:
            return self._usage
        asked = sum(count_tokens(message.content) for message in self.request.messages)
        estimate = Usage(asked, count_tokens(self.text), estimated=True)
        if self._is_over:
            self._usage = estimate
        return estimate

    @property
    def cost_usd(self) -> float | None:
        """What the call cost; None where that is not known."""
        # Knows many models, which takes time to load.
        from generation import prices

        usage = self.usage
        return prices.usd(self.provider, self.model, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)


def begin(
    candidates: Sequence[Candidate],
    build: Build,
    deadline: Deadline,
    *,
    silence: float = SILENCE_SECONDS,
    meanwhile: Meanwhile | None = None,
) -> Begun:
    """The answer of the first candidate that begins one.

    ``meanwhile`` is called once, when the first provider has been asked and before it is waited for; what it raises
    ends the call.

    Raises ``Unprocessable`` when a provider refuses the prompt or none can serve it, ``GatewayTimeout`` when the time
    is over, and ``BadGateway`` when every provider failed.
    """

    def beginning(reading: "_Reading", request: TextRequest, behind: int) -> Begun:
        share = chain.share(deadline, behind=behind)
        patient = share.sooner(reserve=max(0.0, share.remaining() - silence)) if behind else share
        return _begun(reading, request, patient)

    return _first(candidates, build, deadline, silence, meanwhile, beginning)


def complete(
    candidates: Sequence[Candidate],
    build: Build,
    deadline: Deadline,
    *,
    silence: float = SILENCE_SECONDS,
    meanwhile: Meanwhile | None = None,
) -> Begun:
    """The whole answer of the first candidate that comes to an end; one that breaks off counts as a failure.

    Calls ``meanwhile`` and raises as ``begin`` does.
    """

    def whole(reading: "_Reading", request: TextRequest, behind: int) -> Begun:
        limit = chain.share(deadline, behind=behind)
        reading.end_by(limit)
        reading.take_whole()
        begun = _begun(reading, request, limit)
        for _piece in begun:
            pass
        return begun

    return _first(candidates, build, deadline, silence, meanwhile, whole)


def _first(
    candidates: Sequence[Candidate],
    build: Build,
    deadline: Deadline,
    silence: float,
    meanwhile: Meanwhile | None,
    attempt: "Callable[[_Reading, TextRequest, int], Begun]",
) -> Begun:
    """What the attempt makes of the first candidate with which it does not fail; it is told how many are behind."""
    asked, refusals = _able(candidates, build)
    if not asked:
        raise chain.nobody_can(refusals)
    failures: list[tuple[str, ProviderError]] = []
    for place, (candidate, request) in enumerate(asked, start=1):
        provider = candidate.provider
        behind = len(asked) - place
        reading = _Reading(provider, request, deadline, silence, meanwhile if place == 1 else None)
        try:
            begun = attempt(reading, request, behind)
        except PromptRefused as refusal:
            raise chain.refused(provider.name, refusal) from None
        except ProviderError as error:
            logger.warning("provider failed", provider=provider.name, reason=error.reason)
            failures.append((provider.name, error))
            reading.leave()
        else:
            if failures:
                begun.fallback_from, begun.fallback_reason = failures[0][0], failures[0][1].reason
            return begun
    raise chain.all_failed(failures, deadline)


def _able(
    candidates: Sequence[Candidate], build: Build
) -> tuple[list[tuple[Candidate, TextRequest]], list[FieldError]]:
    """The candidates that can serve the request, each with its own, and why the others cannot."""
    asked: list[tuple[Candidate, TextRequest]] = []
    refusals: list[FieldError] = []
    for candidate in candidates:
        built = build(candidate)
        refusal = built if isinstance(built, FieldError) else candidate.provider.refuses(built)
        if refusal is not None:
            refusals.append(refusal)
        elif isinstance(built, TextRequest):
            asked.append((candidate, built))
    return asked, refusals


def _begun(reading: "_Reading", request: TextRequest, limit: Deadline) -> Begun:
    """The answer with its first piece. Raises ``ProviderError``, also for an answer without any."""
    first = reading.start(limit)
    if isinstance(first, _End):
        raise ProviderError("empty answer")
    return Begun(reading, request, first)


class _End(NamedTuple):
    """What is known when a stream is over."""

    usage: Usage | None
    finish_reason: FinishReason


class _Reading:
    """A provider's stream, read in a thread that is left behind when it does not come back in time."""

    def __init__(
        self,
        provider: TextProvider,
        request: TextRequest,
        deadline: Deadline,
        silence: float,
        meanwhile: Meanwhile | None,
    ) -> None:
        self.provider = provider
        self._meanwhile = meanwhile
        self.model = request.model
        self._request = request
        self._deadline = deadline
        self._silence = silence
        self._box: queue.SimpleQueue[str | _End | BaseException] = queue.SimpleQueue()
        self._left = threading.Event()
        self._whole: list[str] | None = None
        self._heard: float | None = None

    def start(self, limit: Deadline) -> str | _End:
        """Ask the provider; its first piece, within the limit. Raises what it does, and ``ProviderTimeout``."""
        if not limit.remaining():
            raise ProviderTimeout("no time left")
        waiting.start(self._read)
        if self._meanwhile:
            try:
                self._meanwhile()
            except BaseException:
                self.leave()
                raise
        return self._take(limit.remaining())

    def next(self) -> str | _End:
        """The next piece, or the end; raises like ``start``, also when nothing comes for too long."""
        return self._take(min(self._silence, self._deadline.remaining()))

    def end_by(self, deadline: Deadline) -> None:
        """Read no longer than this."""
        self._deadline = deadline

    def take_whole(self) -> None:
        """Give out the text at its end, as one piece: to be woken for each takes longer than to read it."""
        self._whole = []

    def leave(self) -> None:
        """Take no more; the thread ends the stream when it comes back from it."""
        self._left.set()

    def _take(self, seconds: float) -> str | _End:
        end = time.monotonic() + seconds
        while True:
            # What is kept for a whole answer breaks the silence, too.
            until = end if self._heard is None else min(end, self._heard + self._silence)
            left = max(0.0, until - time.monotonic())
            try:
                came = self._box.get(timeout=min(left, self._silence)) if left else self._box.get_nowait()
                break
            except queue.Empty:
                if not left:
                    self.leave()
                    raise ProviderTimeout from None
        if isinstance(came, BaseException):
            raise chain.expected(self.provider.name, came)
        return came

    def _give(self, piece: str) -> None:
        if self._whole is None:
            self._box.put(piece)
        else:
            self._whole.append(piece)
            self._heard = time.monotonic()

    def _read(self) -> None:
        try:
            stream: TextStream = self.provider.stream(self._request, self._deadline)
            with closing(stream):
                self.model = stream.model
                if not self._left.is_set():
                    for piece in stream:
                        # A lone surrogate is no text: it can be neither sent nor stored.
                        self._give(piece.encode("utf-8", "replace").decode())
                        if self._left.is_set():
                            return
                if self._whole:
                    self._box.put("".join(self._whole))
                self._box.put(_End(stream.usage, stream.finish_reason))
        except BaseException as error:  # belongs to the thread that waits
            self._box.put(error)
