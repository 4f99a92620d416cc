"""The offline engine of summaries as a provider of the chain."""

import pytest
from tests.unit.offline.test_summary import TEXTS, joined

from generation.providers import Deadline, ProviderTimeout
from generation.summary_form import whole_sentences
from generation.texts import SummaryRequest, count_tokens
from offline.summary import OfflineSummary


@pytest.mark.parametrize("language", TEXTS)
def test_a_summary_in_the_texts_own_language_is_served(language: str) -> None:
    text = joined(language, TEXTS[language])
    engine = OfflineSummary.from_env({})
    assert engine.refuses(SummaryRequest(text)) is None
    request = SummaryRequest(text, "short", language=f"{language}-XX")
    assert engine.refuses(request) is None
    made = engine.generate(request, Deadline(60))
    assert made.content.decode() == made.facts["summary"]
    assert set(whole_sentences(made.content.decode(), language)) <= set(TEXTS[language])
    assert (made.content_type, made.provider, made.model) == ("text/plain; charset=utf-8", "offline", "lexrank")
    assert made.facts["language"] == f"{language}-XX"
    assert made.cost_usd == 0.0


def test_bullets_are_markdown() -> None:
    made = OfflineSummary().generate(SummaryRequest(" ".join(TEXTS["en"]), "short", "bullets"), Deadline(60))
    assert made.content_type == "text/markdown; charset=utf-8"
    assert made.content.decode().split("\n") == [f"- {sentence}" for sentence in TEXTS["en"][::2]]


def test_another_language_than_the_texts_is_refused_with_the_choice() -> None:
    refusal = OfflineSummary().refuses(SummaryRequest(" ".join(TEXTS["en"]), language="fr"))
    assert refusal is not None
    assert refusal.field == "language"
    assert "the text's own, en" in refusal.message


def test_a_language_is_refused_where_the_texts_own_is_not_known() -> None:
    assert OfflineSummary().refuses(SummaryRequest("qwrt zxcv bnmp", language="en")) is not None
    assert OfflineSummary().refuses(SummaryRequest("qwrt zxcv bnmp")) is None


def test_tokens_are_counted_and_said_to_be_an_estimate() -> None:
    text = " ".join(TEXTS["en"])
    facts = OfflineSummary().generate(SummaryRequest(text, "short"), Deadline(60)).facts
    assert facts["tokensEstimated"] is True
    assert (facts["inputTokens"], facts["outputTokens"]) == (count_tokens(text), count_tokens(facts["summary"]))
    assert facts["language"] == "en"


def test_without_time_nothing_is_begun() -> None:
    with pytest.raises(ProviderTimeout):
        OfflineSummary().generate(SummaryRequest("One. Two."), Deadline(0))
