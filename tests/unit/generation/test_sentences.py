"""Where a text is cut for an engine that takes only so much at a time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.sentences import pieces, says_something, sentences
from tts.generate import VOICES

LONGEST = 100
ALPHABET = "ab AB1\u00a0\u202f\u0085 .,!?;:。、！？\n\r\t-—😀é\"'()«»Dr.U.S.।؟\u0301\u200d\u3000\ud800"
ODD = st.text(alphabet=st.sampled_from(ALPHABET), max_size=400)
TEXTS = st.one_of(ODD, st.text(max_size=400), st.builds(lambda text, times: text * times, ODD, st.integers(1, 9)))


def without_space(text: str) -> str:
    return "".join(text.split())


def check_that_nothing_is_lost(text: str, found: list[str]) -> None:
    """The pieces are the text, in order, but for white space between them."""
    place = 0
    for piece in found:
        gap = text.index(piece, place)
        assert not text[place:gap].strip()
        place = gap + len(piece)
    assert not text[place:].strip()


@settings(max_examples=300, deadline=None)
@given(text=TEXTS, language=st.sampled_from([*VOICES, "xx"]), longest=st.sampled_from([LONGEST, 240, 20]))
def test_pieces_are_the_text_but_for_white_space_at_the_cuts(text: str, language: str, longest: int) -> None:
    found = pieces(text, language, longest)
    assert all(0 < len(piece) <= longest for piece in found)
    assert all(piece == piece.strip() for piece in found)
    check_that_nothing_is_lost(text, found)


@settings(max_examples=200, deadline=None)
@given(text=TEXTS, language=st.sampled_from(VOICES))
def test_sentences_put_together_are_the_text(text: str, language: str) -> None:
    assert "".join(sentences(text, language)) == text


@settings(max_examples=300, deadline=None)
@given(
    words=st.builds(
        lambda word, length: (word * 120)[:length].strip(), st.sampled_from(["ab", "a word, "]), st.integers(90, 110)
    ),
    marks=st.text(alphabet="!?.,…-", min_size=1, max_size=40),
    gap=st.sampled_from(["", " "]),
)
def test_no_piece_has_marks_alone_where_a_word_or_a_letter_can_be_spared(words: str, marks: str, gap: str) -> None:
    found = pieces(words + gap + marks, "en", LONGEST)
    assert all(says_something(piece) for piece in found)
    assert without_space("".join(found)) == without_space(words) + marks


def test_a_word_goes_with_the_marks_behind_it() -> None:
    assert pieces("word " * 19 + "last " + "?" * 40, "en", LONGEST) == [("word " * 19).strip(), "last " + "?" * 40]
    assert pieces("x" * 100 + "!!!", "en", LONGEST) == ["x" * 99, "x!!!"]


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "Dr. J. Smith paid 3.50 in the U.S. at example.com, e.g. for a book."),
        ("de", "Am 3. Mai kam er z. B. mit Dr. Weiß an."),
        ("es", "El Sr. Pérez y la Dra. Ruiz ven a Ud. mañana."),
        ("fr", "M. Dupont voit Mme. Durand."),
        ("it", "Il Sig. Rossi arriva."),
        ("ja", "今日は天気がいいです。"),
        ("zh-CN", "你好吗？"),
        ("hi", "यह है।"),
    ],
)
def test_a_piece_ends_where_a_sentence_does(language: str, sentence: str) -> None:
    text = f"{sentence} " * 9
    found = pieces(text, language, LONGEST)
    whole = LONGEST // (len(sentence) + 1)
    assert set(found) <= {" ".join([sentence] * times) for times in range(1, whole + 2)}


def test_a_sentence_that_is_too_long_is_cut_at_clauses_then_at_words_then_inside_one() -> None:
    clause = "and this clause of more than forty characters ends here,"
    words = "while this one goes on and on with nothing that would end it before so many of its words were said"
    assert pieces(f"{clause} {words}", "en", LONGEST) == [clause, words]
    assert pieces("twelve more " * 12, "en", LONGEST) == [("twelve more " * 8).strip(), ("twelve more " * 4).strip()]
    assert [len(piece) for piece in pieces("x" * 250, "en", LONGEST)] == [100, 100, 50]


def test_marks_inside_an_address_or_a_number_are_no_ends_of_clauses() -> None:
    address = "https://example.com/a,b;c:d"
    found = pieces(f"{address} " * 9, "en", LONGEST)
    assert all(set(piece.split()) == {address} for piece in found)


def test_a_letter_keeps_what_is_written_upon_it() -> None:
    assert pieces("x" * 99 + "e\u0301" + "y" * 20, "en", LONGEST) == ["x" * 99, "e\u0301" + "y" * 20]


@pytest.mark.parametrize("space", ["\u00a0", "\u202f", "\u3000", "\u0085", "\u2028"])
def test_a_space_of_any_kind_before_a_full_stop_is_no_trouble(space: str) -> None:
    text = f"Vitamin B{space}. It helps."
    assert sentences(text, "en")[-1] == "It helps."
    assert pieces(text, "en", LONGEST) == [text]


def test_the_paragraphs_of_a_long_text_are_kept() -> None:
    text = ("天気がいい" * 20 + "\n\n") * 40
    assert "".join(sentences(text, "ja")) == text
    assert len(sentences(text, "ja")) == 40


def test_line_breaks_are_kept_inside_a_piece_and_are_good_places_for_a_cut() -> None:
    assert pieces("Look-\nahead", "en", LONGEST) == ["Look-\nahead"]
    line = "a line of a poem that has no mark at its end"
    assert pieces("\n".join([line] * 3), "en", LONGEST) == [f"{line}\n{line}", line]


def test_marks_beyond_all_limits_are_kept_in_pieces_of_their_own() -> None:
    assert pieces("." * 250 + "a", "en", LONGEST)[-1].endswith("a")
    assert pieces(" \n ", "en", LONGEST) == []
