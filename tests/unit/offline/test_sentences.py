"""Where speech pauses."""

from offline import sentences
from offline.sentences import LONGEST


def split(text: str, language: str = "en") -> list[str]:
    return sentences.split(text, language)


def test_sentences_end_at_full_stops_questions_and_line_breaks() -> None:
    assert split("One. Two? Three!\nFour") == ["One.", "Two?", "Three!", "Four"]
    assert split('He said "go." Then left.') == ['He said "go."', "Then left."]


def test_scripts_without_spaces_end_sentences_too() -> None:
    assert split("今日は。明日は？", "ja") == ["今日は。", "明日は？"]
    assert split("यह है। वह है।", "hi") == ["यह है।", "वह है।"]


def test_numbers_addresses_abbreviations_and_initials_are_not_ends() -> None:
    text = "Dr. J. Smith paid 3.50 at example.com today"
    assert split(text) == [text]
    german = "Am 3. Mai kam er z. B. mit Dr. Weiß an"
    assert split(german, "de") == [german]


def test_long_sentences_are_cut_at_words_and_lose_nothing() -> None:
    text = "one two three, four five six " * 40
    pieces = split(text)
    assert max(map(len, pieces)) <= LONGEST
    assert " ".join(pieces) == text.strip()


def test_text_without_spaces_is_cut_too() -> None:
    pieces = split("a" * 4096)
    assert max(map(len, pieces)) <= LONGEST
    assert "".join(pieces).replace(" ", "") == "a" * 4096


def test_control_characters_and_half_pairs_are_dropped() -> None:
    assert split("a\x00\x07\ud800b\r\nc") == ["a b", "c"]


def test_nothing_has_no_sentences() -> None:
    assert split(" \n\t ") == []
