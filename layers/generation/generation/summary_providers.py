"""What providers of summaries share: what they deliver, in which order they are asked, and who stands in for them."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from core.errors import FieldError, Unprocessable
from generation.languages import detect
from generation.providers import Artifact, Deadline
from generation.services import CONTENT_TYPES
from generation.texts import Model, Style, Summary, SummaryRequest, Usage, count_tokens

_EXTENSIONS: Mapping[Style, str] = {"paragraph": "txt", "bullets": "md"}


class Offering(Protocol):
    """Whoever offers models."""

    models: tuple[Model, ...]


OfferingT = TypeVar("OfferingT", bound=Offering)


def preferred(providers: Sequence[OfferingT], wanted: str | None) -> list[OfferingT]:
    """Those that offer the wanted model first, then the others, which serve with their defaults.

    Raises ``Unprocessable``, which names the choices, for a model that nobody offers.
    """
    offering = [each for each in providers if any(model.id == wanted for model in each.models)]
    if wanted and not offering:
        choices = dict.fromkeys(model.id for each in providers for model in each.models)
        raise Unprocessable(
            "The request is not valid: see errors.",
            errors=[FieldError("model", f"Must be one of: {', '.join(choices)}.")],
        )
    return offering + [each for each in providers if each not in offering]


def artifact(provider: str, request: SummaryRequest, summary: Summary, *, cost_usd: float | None) -> Artifact:
    """A summary as what the chain delivers."""
    usage = summary.usage or Usage(count_tokens(request.text), count_tokens(summary.text), estimated=True)
    return Artifact(
        summary.text.encode(),
        CONTENT_TYPES[_EXTENSIONS[request.style]],
        provider,
        summary.model,
        facts={
            "summary": summary.text,
            "inputTokens": usage.input_tokens,
            "outputTokens": usage.output_tokens,
            "tokensEstimated": usage.estimated,
            "language": request.language or summary.language,
        },
        cost_usd=cost_usd,
    )


class Unchanged:
    """Stands for the providers where nobody need be asked: the text is no longer than its summary may be."""

    name = "none"
    model = "unchanged"

    def __init__(self, text: str) -> None:
        self._text = text

    def refuses(self, request: SummaryRequest) -> None:
        """Nothing."""

    def generate(self, request: SummaryRequest, deadline: Deadline) -> Artifact:
        """The text; it took no tokens and costs nothing."""
        summary = Summary(self._text, detect(request.text), self.model, Usage(0, 0))
        return artifact(self.name, request, summary, cost_usd=0.0)
