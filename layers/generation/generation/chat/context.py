"""What a model is shown of a session: the system prompt and the newest messages that fit, whole ones only."""

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Final

from core.errors import FieldError
from generation.chat.messages import Spoken
from generation.text_chain import Candidate
from generation.texts import CountsTokens, Message, TextRequest, count_tokens

# What the form of a conversation takes beside its words, as models of OpenAI's count it.
TOKENS_A_MESSAGE: Final = 4
TOKENS_AROUND: Final = 3
LONGEST_ANSWER: Final = 1024
"""The tokens that are left free for an answer whose length nobody said; a quarter of a small context."""

_bytes: Final[Callable[[Spoken], int]] = attrgetter("bytes")


class Context:
    """Makes the request for each candidate, since each model has a context of its own.

    ``earlier`` are the messages before the prompt, newest first; no more of them are taken than needed.
    """

    def __init__(
        self,
        prompt: str,
        *,
        system: str | None = None,
        earlier: Iterable[Spoken] = (),
        max_tokens: int | None = None,
        temperature: float | None = None,
    ) -> None:
        self._fixed = [*([Spoken.of("system", system)] if system else []), Spoken.of("user", prompt)]
        self._earlier = iter(earlier)
        self._seen: list[Spoken] = []
        self._max_tokens = max_tokens
        self._temperature = temperature

    def request(self, candidate: Candidate) -> TextRequest | FieldError:
        """What to ask the candidate for; an error when the prompt alone is too long for its model."""
        model = candidate.model
        answer = self.answer_tokens(model.context_tokens)
        room = model.context_tokens - answer - TOKENS_AROUND
        # No text has more tokens than bytes; counting takes time, and the counter's tables more.
        newest, is_all = self._newest(room, _bytes)
        if not is_all:
            provider = candidate.provider
            count = provider.count_tokens if isinstance(provider, CountsTokens) else count_tokens
            newest, _ = self._newest(room, lambda spoken: _tokens(spoken, provider.name, count))
        if newest is None:
            return FieldError("prompt", f"With the system prompt, longer than the {room} tokens that {model.id} takes.")
        *system, prompt = (spoken.message for spoken in self._fixed)
        return TextRequest(
            (*system, *reversed(newest), prompt),
            model.id,
            max_tokens=None if self._max_tokens is None else answer,
            temperature=self._temperature,
        )

    def answer_tokens(self, context_tokens: int) -> int:
        """The tokens of a context that are for the answer: what was asked for, but never more than half."""
        if self._max_tokens is None:
            return min(LONGEST_ANSWER, context_tokens // 4)
        return min(self._max_tokens, context_tokens // 2)

    def _newest(self, room: int, size: Callable[[Spoken], int]) -> tuple[list[Message] | None, bool]:
        """The messages that fit, newest first, and whether all do; None when not even what must be there does."""
        room -= sum(TOKENS_A_MESSAGE + size(spoken) for spoken in self._fixed)
        if room < 0:
            return None, False
        fitting: list[Message] = []
        for spoken in self._messages():
            room -= TOKENS_A_MESSAGE + size(spoken)
            if room < 0:
                return fitting, False
            fitting.append(spoken.message)
        return fitting, True

    def _messages(self) -> Iterator[Spoken]:
        yield from self._seen
        for spoken in self._earlier:
            self._seen.append(spoken)
            yield spoken


def _tokens(spoken: Spoken, provider: str, count: Callable[[str], int]) -> int:
    if provider not in spoken.tokens:
        spoken.tokens[provider] = count(spoken.message.content)
    return spoken.tokens[provider]
