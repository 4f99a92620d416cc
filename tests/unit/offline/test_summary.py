"""Summaries without a network: what they keep, what they leave out, and in which languages."""

import json
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.languages import detect
from generation.providers import Deadline, ProviderTimeout
from generation.texts import Length, Style, Summary, SummaryRequest
from offline import summary
from offline.summary import OfflineSummary, summarize

# In each: three sentences about one thing that belong together, and two that do not.
TEXTS = {
    "en": [
        "The harbour of the old town was rebuilt after the storm destroyed its walls.",
        "My aunt prefers green tea without any sugar.",
        "The rebuilt harbour has thicker stone walls, and the town hopes that no storm will break them.",
        "Yesterday a cat slept on the warm roof.",
        "Fishermen say that the walls of the harbour have kept the town safe from every storm since.",
    ],
    "es": [
        "El puerto de la ciudad fue reconstruido después de que la tormenta destruyera sus muros.",
        "Mi tía prefiere el té verde sin azúcar.",
        "El puerto reconstruido tiene muros más fuertes para que otra tormenta no destruya la ciudad.",
        "Ayer un gato dormía sobre el tejado caliente.",
        "Los pescadores dicen que los muros del puerto protegen la ciudad de cada tormenta.",
    ],
    "fr": [
        "Le port de la ville a été reconstruit après que la tempête eut détruit ses murs.",
        "Ma tante préfère le thé vert sans sucre.",
        "Le port reconstruit possède des murs plus solides pour que la tempête ne détruise pas la ville.",
        "Hier, un chat dormait sur le toit chaud.",
        "Les pêcheurs disent que les murs du port protègent la ville de chaque tempête.",
    ],
    "de": [
        "Der Hafen der Stadt wurde neu gebaut, nachdem der Sturm seine Mauern zerstört hatte.",
        "Meine Tante trinkt grünen Tee am liebsten ohne Zucker.",
        "Der neue Hafen hat stärkere Mauern, damit der nächste Sturm die Stadt nicht zerstört.",
        "Gestern schlief eine Katze auf dem warmen Dach.",
        "Die Fischer sagen, dass die Mauern des Hafens die Stadt vor jedem Sturm schützen.",
    ],
    "it": [
        "Il porto della città è stato ricostruito dopo che la tempesta ne aveva distrutto le mura.",
        "Mia zia preferisce il tè verde senza zucchero.",
        "Il porto ricostruito ha mura più forti, perché la prossima tempesta non distrugga la città.",
        "Ieri un gatto dormiva sul tetto caldo.",
        "I pescatori dicono che le mura del porto proteggono la città da ogni tempesta.",
    ],
    "pt": [
        "O porto da cidade foi reconstruído depois que a tempestade destruiu as suas muralhas.",
        "Minha tia prefere chá verde sem açúcar.",
        "O porto reconstruído tem muralhas de pedra mais grossas, e a cidade espera que nenhuma tempestade as quebre.",
        "Ontem um gato dormia em cima do telhado quente.",
        "Os pescadores dizem que as muralhas do porto protegem a cidade de qualquer tempestade.",
    ],
    "ja": [
        "古い町の港は、嵐が防波堤を壊したあとに再建された。",
        "叔母は砂糖を入れない緑茶が好きだ。",
        "再建された港の防波堤は強く、次の嵐が町を壊すことはない。",
        "昨日、猫が暖かい屋根の上で眠っていた。",
        "漁師たちは、港の防波堤が嵐から町を守っていると言う。",
    ],
    "zh": [
        "风暴摧毁了防波堤以后，古城的港口得到了重建。",
        "我的阿姨喜欢喝不加糖的绿茶。",
        "重建的港口有更坚固的防波堤，下一次风暴不会摧毁古城。",
        "昨天一只猫睡在温暖的屋顶上。",
        "渔民们说，港口的防波堤保护古城不受风暴袭击。",
    ],
}


def joined(language: str, sentences: Sequence[str]) -> str:
    return ("" if language in ("ja", "zh") else " ").join(sentences)


def ask(text: str, length: Length = "medium", style: Style = "paragraph", language: str | None = None) -> Summary:
    return OfflineSummary().summarize(SummaryRequest(text, length, style, language), Deadline(60))


def essay(sentences: int, seed: int = 1) -> list[str]:
    """Sentences that have words in common, and are all different."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghiklmnoprstu", k=rng.randint(4, 9))) for _ in range(400)]
    return [" ".join(rng.choices(words, k=rng.randint(6, 20))).capitalize() + "." for _ in range(sentences)]


@pytest.mark.parametrize("language", TEXTS)
def test_what_a_text_is_about_is_kept_and_what_is_beside_it_is_not(language: str) -> None:
    sentences = TEXTS[language]
    text = joined(language, sentences)
    assert detect(text) == language
    assert summarize(text, sentences=3, language=None) == sentences[::2]
    assert summarize(text, sentences=3, language=language) == sentences[::2]


@pytest.mark.parametrize("language", TEXTS)
def test_the_beginning_of_a_text_is_favoured(language: str) -> None:
    first, _, second, *_ = TEXTS[language]
    assert summarize(joined(language, [first, second]), sentences=1, language=language) == [first]
    assert summarize(joined(language, [second, first]), sentences=1, language=language) == [second]


def test_the_beginning_outweighs_a_little_more_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    text = joined("zh", TEXTS["zh"])
    assert summarize(text, sentences=1, language="zh") == TEXTS["zh"][:1]
    monkeypatch.setattr(summary, "_lead", lambda _place: 1.0)
    assert summarize(text, sentences=1, language="zh") == TEXTS["zh"][2:3]


def test_the_region_of_a_language_makes_no_difference() -> None:
    text = joined("pt", TEXTS["pt"])
    assert summarize(text, sentences=3, language="pt-BR") == summarize(text, sentences=3, language="PT")
    assert ask(text, language="pt_BR").language == "pt"


def test_a_language_that_we_do_not_know_is_summarised_by_its_words() -> None:
    text = "".join(f"Harbour {word} walls storm {word}. " for word in "abcdefgh")
    assert len(summarize(text, sentences=3, language="xx")) <= 3
    assert detect("1234 5678") is None
    assert ask("1234 5678").language is None


WORDS = st.sampled_from(
    [
        "harbour",
        "storm",
        "wall",
        "town",
        "the",
        "and",
        "cat",
        "roof",
        "tea",
        "Dr.",
        "e.g.",
        "3.5",
        "これ",
        "港。",
        "!",
        "?",
    ]
)
PIECES = st.one_of(
    WORDS, st.sampled_from(["\n", "\n\n", ". ", "\n- ", "\n1. ", "\u3002", "…", "\u00a0"]), st.characters()
)


@settings(deadline=None, max_examples=200)
@given(st.lists(PIECES, max_size=120), st.integers(1, 6), st.sampled_from([*TEXTS, "xx", None]))
def test_a_summary_is_made_of_whole_sentences_in_the_texts_order(
    pieces: list[str], count: int, language: str | None
) -> None:
    text = " ".join(pieces)
    picked = summarize(text, sentences=count, language=language)
    assert len(picked) <= count
    assert bool(picked) == bool(text.strip(" \n\t") and summarize(text, sentences=10_000, language=language))
    bare, position = "".join(text.split()), 0
    for sentence in picked:
        found = bare.find("".join(sentence.split()), position)
        assert found >= 0
        position = found + len("".join(sentence.split()))
    everything = summarize(text, sentences=10_000, language=language)
    assert set(picked) <= set(everything)


def test_near_duplicates_are_told_once() -> None:
    first, second = TEXTS["en"][0], TEXTS["en"][2]
    again = first.replace("old town", "old, old town")
    picked = summarize(" ".join([first, again, second, again, *TEXTS["en"][3:]]), sentences=3, language="en")
    assert sum("rebuilt after" in sentence for sentence in picked) == 1
    assert picked[0] in (first, again)


def test_fragments_of_lists_headings_and_addresses_are_left_out() -> None:
    story = TEXTS["en"]
    text = "\n".join(
        [
            "# The harbour, the storm and the walls of the town",
            "",
            *story[:2],
            "",
            "- harbour walls storm town",
            "- the storm, the harbour",
            "2. Harbour of the town",
            "https://example.org/harbour/storm/walls/of/the/town.",
            "",
            *story[2:],
        ]
    )
    assert summarize(text, sentences=3, language="en") == story[::2]


def test_a_text_of_fragments_alone_is_summarised_by_them() -> None:
    picked = summarize("\n".join(f"- harbour wall {word}" for word in "abcdef"), sentences=2, language="en")
    assert picked
    assert all(sentence.startswith("harbour wall") for sentence in picked)


def test_a_sentence_over_several_lines_stays_one() -> None:
    story = TEXTS["en"]
    wrapped = " ".join(story).replace(" the ", "\nthe ")
    assert summarize(wrapped, sentences=3, language="en") == story[::2]


@pytest.mark.parametrize(
    ("style", "length", "fewest", "most"),
    [
        ("paragraph", "short", 1, 2),
        ("paragraph", "medium", 3, 5),
        ("paragraph", "long", 6, 10),
        ("bullets", "short", 3, 3),
        ("bullets", "medium", 5, 7),
        ("bullets", "long", 8, 12),
    ],
)
def test_lengths_are_those_of_the_contract(style: Style, length: Length, fewest: int, most: int) -> None:
    for size in (13, 20, 40, 200):
        made = ask(" ".join(essay(size)), length, style)
        count = made.text.count(".")
        assert fewest <= count <= most
        lines = made.text.split("\n")
        assert len(lines) == (count if style == "bullets" else 1)
        assert all(line.startswith("- ") and line.endswith(".") for line in lines) or style == "paragraph"
    assert made.model == "lexrank"
    assert made.usage is None


def test_a_text_that_is_shorter_than_its_summary_comes_back_as_it_is() -> None:
    text = "  One thing happened.\nThen another thing did. "
    assert ask(text, "long").text == text
    assert ask(text, "long", "bullets").text == "- One thing happened.\n- Then another thing did."
    assert ask("\u3042").text == "\u3042"
    assert ask("   ").text == "   "


def test_a_summary_ends_before_it_begins_without_time() -> None:
    with pytest.raises(ProviderTimeout):
        OfflineSummary().summarize(SummaryRequest("One. Two."), Deadline(0))


@pytest.mark.parametrize(
    "text",
    [
        "Aa bb cc. Dd ee ff. " * 5000,
        "これは長い日本語の文章です。山田さんは東京へ行きました。" * 3500,
        "- one two three four.\n" * 4500,
        "a" * 100_000,
        '"' * 100_000,
        "\n" * 99_999 + "a",
        " ".join(essay(1400))[:100_000],
    ],
    ids=["short sentences", "ja", "list", "a word", "quotes", "lines", "essay"],
)
def test_the_longest_text_compares_no_more_sentences_than_the_graph_has(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    cosine = summary._cosine

    def counted(one: summary.Vector, other: summary.Vector) -> float:
        nonlocal calls
        calls += 1
        return cosine(one, other)

    monkeypatch.setattr(summary, "_cosine", counted)
    assert len(summarize(text, sentences=10, language=None)) <= 10
    assert calls <= summary.LARGEST_GRAPH**2 / 2 + len(text) / 4


def test_half_a_surrogate_pair_does_not_end_a_summary() -> None:
    text = json.loads('"' + "Storm \\ud83d harbour town walls. " * 3 + " ".join(TEXTS["en"]) + '"')
    assert summarize(text, sentences=2, language=None)
