"""POST /summarize/generate: say in a few sentences or bullets what a text says."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from core.description import Described
from generation.endpoints.generate import Order, Wanted, generate
from generation.records import LINE_PROMPT_CHARACTERS
from generation.requests import ModelName, Prompt
from generation.summary_form import unchanged
from generation.summary_providers import Unchanged, preferred
from generation.texts import Length, Style, SummaryRequest
from summarize.service import SERVICE

LONGEST_TEXT = 100_000
# Language, script and region of BCP 47: what a language can be told by, and no room for a sentence.
LanguageTag = Annotated[
    str,
    Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?$"),
    Described("The summary's language (BCP 47); the text's own unless given.", examples=["pt-BR"]),
]


class SummaryGeneration(Wanted):
    """What text to summarise, and how."""

    text: Annotated[Prompt, Field(max_length=LONGEST_TEXT, examples=["The harbour was rebuilt after the storm. …"])]
    length: Annotated[Length, Described("1 to 2, 3 to 5, or 6 to 10 sentences; as bullets 3, 5 to 7, or 8 to 12.")] = (
        "medium"
    )
    style: Style = "paragraph"
    language: LanguageTag | None = None
    model: ModelName | None = None

    def order(self, providers: Sequence[Any]) -> Order:
        """The text with what is wanted of it. Raises ``Unprocessable`` for a model that nobody offers."""
        asked = preferred(providers, self.model)
        request = SummaryRequest(self.text, self.length, self.style, self.language, self.model or "")
        as_it_is = unchanged(request)
        given = self.model_dump(include={"length", "style", "language", "model"}, exclude_none=True)
        return Order(
            request,
            self.text,
            given | {"sourceCharacters": len(self.text)},
            shown_prompt=self.text[:LINE_PROMPT_CHARACTERS],
            providers=asked if as_it_is is None else [Unchanged(as_it_is)],
        )


handler = generate(SERVICE, SummaryGeneration)
