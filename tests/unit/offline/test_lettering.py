"""How the prompt is set: lines, sizes, directions, characters that no font has."""

import pytest
from PIL import Image

from offline import bidi
from offline.lettering import fit
from offline.typefaces import Typesetter, clusters


def lines_of(text: str, width: float = 400, height: float = 200) -> list[str]:
    block = fit(text, width=width, height=height, largest=40, smallest=12)
    assert block is not None
    assert block.width <= width + 0.01
    return block.text.split("\n")


def test_short_text_is_set_at_the_largest_size_on_one_line() -> None:
    block = fit("a small cat", width=400, height=200, largest=40, smallest=12)
    assert block is not None
    assert (block.text, block.size) == ("a small cat", 40)


def test_lines_break_between_words_and_are_balanced() -> None:
    lines = lines_of("the quick brown fox jumps over the lazy dog today")
    assert " ".join(lines) == "the quick brown fox jumps over the lazy dog today"
    assert min(map(len, lines)) > max(map(len, lines)) * 0.5


def test_longer_text_is_set_smaller_and_still_fits() -> None:
    text = "the quick brown fox jumps over the lazy dog " * 3
    block = fit(text, width=400, height=200, largest=40, smallest=8)
    assert block is not None
    assert block.size < 40
    assert block.height <= 200


def test_text_that_never_fits_is_cut_with_an_ellipsis() -> None:
    block = fit("word and word " * 300, width=300, height=80, largest=40, smallest=12)
    assert block is not None
    assert block.size == 12
    assert block.height <= 80
    assert block.text.endswith(("word…", "and…"))


def test_a_word_longer_than_the_line_is_broken() -> None:
    lines = lines_of("a" * 120)
    assert len(lines) > 1
    assert "".join(lines) == "a" * 120


def test_whitespace_and_control_characters_are_not_drawn() -> None:
    assert lines_of(" a\n\n\tb\x00\u202ec ") == ["a bc"]


def test_japanese_breaks_anywhere_but_before_a_full_stop() -> None:
    lines = lines_of("夕焼けの海に浮かぶ小さな船。" * 3, width=210)
    assert len(lines) > 2
    assert not any(line.startswith(("。", "、")) for line in lines)


def test_text_that_no_font_has_is_left_out() -> None:
    assert fit("\ue000\U0010ffff", width=100, height=100, largest=20, smallest=8) is None
    assert lines_of("a\ue000b") == ["ab"]


@pytest.mark.parametrize(
    "sample",
    ["é", "Ł", "ж", "α", "ع", "ש", "अ", "ก", "あ", "漢", "한", "😀", "❤️", "🇪🇸", "👩‍🚀", "→", "€"],
)
def test_a_font_has_the_common_scripts_and_emoji(sample: str) -> None:
    (cluster,) = clusters(sample)
    assert Typesetter(sample).face_of(cluster) is not None


def test_marks_and_emoji_sequences_stay_with_their_base() -> None:
    assert clusters("e\u0301a") == ["e\u0301", "a"]
    assert clusters("🇪🇸🇫🇷") == ["🇪🇸", "🇫🇷"]
    assert clusters("👩‍🚀👍🏽") == ["👩‍🚀", "👍🏽"]
    assert len(clusters("z" + "\u0301" * 90)[0]) < 8


def test_right_to_left_text_begins_at_the_right() -> None:
    block = fit("שלום עולם", width=400, height=100, largest=30, smallest=12)
    assert block is not None
    assert block.right_to_left
    sheet = Image.new("RGB", (400, 100))
    block.draw(sheet, 0, 0, (255, 255, 255), right=400)
    box = sheet.getbbox()
    assert box is not None
    assert box[0] > 200
    assert box[2] > 390


def visual(text: str) -> str:
    levels = bidi.levels(list(text), right_to_left=bidi.is_right_to_left(text))
    return "".join(text[index] for index in bidi.visual_order(levels))


@pytest.mark.parametrize(
    ("logical", "drawn"),
    [
        ("abc def", "abc def"),
        ("אבג", "גבא"),
        ("abc אבג def", "abc גבא def"),
        ("אבג abc דהו", "והד abc גבא"),
        ("אבג 123 דהו", "והד 123 גבא"),
        ("abc אבג 12.5", "abc 12.5 גבא"),
        ("abc (אב)", "abc (בא)"),
        ("12 abc", "12 abc"),
    ],
)
def test_scripts_of_both_directions_are_drawn_in_reading_order(logical: str, drawn: str) -> None:
    assert visual(logical) == drawn


def test_arabic_letters_join() -> None:
    def ink(text: str) -> int:
        block = fit(text, width=400, height=100, largest=40, smallest=40)
        assert block is not None
        return round(block.width)

    assert ink("ببب") < ink("ب") * 3 * 0.8
