"""What is made of a model's answer, and when a text is its own summary."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.summary_form import BOUNDS, formed, unchanged, whole_sentences
from generation.texts import Length, Style, SummaryRequest

TEXT = " ".join(f"The harbour wall number {number} was rebuilt by the town after the storm." for number in range(40))
SAID = [f"Wall {number} is new." for number in range(20)]


def paragraph(answer: str, length: Length = "medium", text: str = TEXT, *, cut: bool = False) -> str:
    return formed(answer, SummaryRequest(text, length), language="en", cut=cut)


def listed(answer: str, length: Length = "medium", text: str = TEXT, *, cut: bool = False) -> list[str]:
    made = formed(answer, SummaryRequest(text, length, "bullets"), language="en", cut=cut)
    lines = made.split("\n")
    assert all(line.startswith("- ") for line in lines)
    return [line.removeprefix("- ") for line in lines]


@pytest.mark.parametrize(("style", "length"), list(BOUNDS))
def test_no_summary_is_longer_than_the_contract_says(style: Style, length: Length) -> None:
    _, most = BOUNDS[style, length]
    if style == "paragraph":
        assert paragraph(" ".join(SAID), length) == " ".join(SAID[:most])
    else:
        assert listed("\n".join(f"- {each}" for each in SAID), length) == SAID[:most]


@pytest.mark.parametrize(
    "marks",
    [
        "- {}", "* {}", "+ {}", "• {}", "•{}", "– {}", "— {}", "{n}. {}", "{n}) {}", "({n}) {}", "  - {}", "\t* {}",
        "・{}", "▪ {}", "‣ {}", "{}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("between", ["\n", "\n\n", "\n \n"])
def test_bullets_are_bullets_whatever_a_model_marks_them_with(marks: str, between: str) -> None:
    answer = between.join(marks.format(each, n=number) for number, each in enumerate(SAID[:5], start=1))
    assert listed(answer) == SAID[:5]


def test_what_stands_before_and_behind_a_list_is_no_bullet() -> None:
    answer = f"The text speaks of walls.\n\n**First**\n- {SAID[0]}\n- {SAID[1]}\n## Second\n* {SAID[2]}\n\nThat is all."
    assert listed(answer) == SAID[:3]


def test_a_bullet_over_several_lines_stays_one() -> None:
    assert listed(f"- Wall 0\n  is new.\n- {SAID[1]}") == SAID[:2]


def test_numbers_and_stars_in_a_sentence_are_no_marks() -> None:
    said = "- 2026. was a year\n- **Walls** are new\n- 3.5 metres high"
    assert listed(said) == ["2026. was a year", "**Walls** are new", "3.5 metres high"]


def test_prose_becomes_bullets_by_its_sentences() -> None:
    assert listed(" ".join(SAID[:6])) == SAID[:6]


def test_a_list_becomes_a_paragraph() -> None:
    assert paragraph(f"# Walls\n- {SAID[0]}\n- {SAID[1]}\n\n1. {SAID[2]}") == " ".join(SAID[:3])
    assert paragraph(f"**Wall 0** is new.\n\n{SAID[1]}") == " ".join(SAID[:2])


@pytest.mark.parametrize(
    "introduction",
    [
        "Here is a summary:",
        "Here's a brief summary of the text:\n\n",
        "Sure! Here is a 3-sentence summary of the text you gave me:\n",
        "Certainly, here are the key points:\n",
        "Summary: ",
        "**Summary:** ",
        "## Summary\n\n",
        "**Summary**\n",
        "Voici un résumé du texte :\n",
        "Hier ist eine Zusammenfassung:\n",
        "Aquí tienes un resumen:\n",
        "以下是摘要：",
        "<think>The user wants a summary: easy.</think>\n",
        "<think>\nWhat is it?\n</think>\nHere is the summary:\n",
    ],
)
def test_chatter_before_a_summary_is_left_out(introduction: str) -> None:
    assert paragraph(introduction + " ".join(SAID[:3])) == " ".join(SAID[:3])
    assert listed(introduction + "\n" + "\n".join(f"- {each}" for each in SAID[:3])) == SAID[:3]


@pytest.mark.parametrize(
    "farewell", ["Let me know if you need anything else!", "I hope this helps.", "Would you like a longer one?"]
)
def test_chatter_behind_a_summary_is_left_out(farewell: str) -> None:
    assert paragraph(f"{SAID[0]}\n\n{farewell}") == SAID[0]
    assert listed(f"{SAID[0]}\n{SAID[1]}\n{farewell}") == SAID[:2]


def test_a_fence_is_taken_off() -> None:
    assert paragraph(f"```text\n{SAID[0]}\n```") == SAID[0]


@pytest.mark.parametrize(
    "said",
    [
        "Here the author summarises three laws: of motion, of heat, of light.",
        "The summary of the year is short: walls were built.",
        "Sure of the walls, the town sleeps.",
        "Okay is a word that the harbour uses.",
        "Summary executions ended in 1953.",
        "If you want peace, prepare for war.",
    ],
)
def test_a_summary_that_sounds_a_little_like_chatter_stays(said: str) -> None:
    assert paragraph(said) == said
    assert paragraph(f"{SAID[0]}\n{said}") == f"{SAID[0]} {said}"


def test_an_answer_that_is_chatter_alone_is_not_emptied() -> None:
    assert paragraph("Summary:") == "Summary:"
    assert paragraph("") == ""
    assert formed(" \n", SummaryRequest(TEXT, "short", "bullets"), language="en") == ""


def test_the_end_that_a_limit_cut_off_is_left_out() -> None:
    assert paragraph(f"{SAID[0]} {SAID[1]} Wall 2 is", cut=True) == " ".join(SAID[:2])
    assert listed(f"- {SAID[0]}\n- {SAID[1]}\n- Wall 2 is", cut=True) == SAID[:2]
    assert paragraph("Wall 2 is", cut=True) == "Wall 2 is"


def test_a_summary_says_no_more_than_the_text() -> None:
    text = "Walls fell. The town rebuilt them. Boats came back. All is well."
    assert paragraph(" ".join(f"{each} It took a very long time." for each in SAID), text=text) == (
        "Wall 0 is new. It took a very long time. Wall 1 is new."
    )
    assert (
        paragraph("The walls of the harbour, which fell in the storm, were rebuilt by the town. " * 3, text=text)
        == text
    )
    assert len(listed("\n".join(f"- {word}" for word in "abcdefgh"), text=text)) == 4


def test_a_translation_may_be_longer_than_the_text() -> None:
    text = "The walls fell. The town rebuilt them. The boats came back."
    said = "Die Mauern des Hafens stürzten ein, und die Stadt baute sie mit großer Mühe wieder auf."
    assert formed(said, SummaryRequest(text, language="de"), language="de") == said


def test_languages_without_spaces_are_joined_without() -> None:
    said = "港は再建された。嵐は来ない。"
    text = "古い町の港は、嵐が防波堤を壊したあとに再建された。" * 20
    assert formed(said, SummaryRequest(text, language="ja-JP"), language="ja-JP") == said


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.sampled_from([*SAID, "- ", "* ", "1. ", "\n", "\n\n", "# ", "**", "Summary:", "```", "•", ":"])),
    st.sampled_from(get_args(Style)),
    st.sampled_from(get_args(Length)),
    st.booleans(),
)
def test_whatever_a_model_says_has_the_form(pieces: list[str], style: Style, length: Length, cut: bool) -> None:
    made = formed("".join(pieces), SummaryRequest(TEXT, length, style), language="en", cut=cut)
    _, most = BOUNDS[style, length]
    if style == "bullets":
        assert not made or all(line.startswith("- ") for line in made.split("\n"))
        assert made.count("\n") < most
    else:
        assert "\n" not in made
        assert len(whole_sentences(made, "en")) <= most + made.count(":") + made.count("`") + made.count("*")


# ---------------------------------------------------------------- unchanged


def test_a_text_that_is_no_longer_than_its_summary_is_its_own() -> None:
    text = "One thing happened.\nThen another thing did."
    assert unchanged(SummaryRequest(text, "short")) is None
    assert unchanged(SummaryRequest(text, "medium")) == text
    assert unchanged(SummaryRequest(text, "short", "bullets")) == "- One thing happened.\n- Then another thing did."
    assert unchanged(SummaryRequest("* One\n* Two", "short", "bullets")) == "- One\n- Two"
    assert unchanged(SummaryRequest("a", "short")) == "a"


def test_a_text_of_one_long_sentence_is_not_its_own_summary() -> None:
    assert unchanged(SummaryRequest("and so on " * 39, "short")) is not None
    assert unchanged(SummaryRequest("and so on " * 41, "short")) is None


def test_a_text_that_is_to_be_translated_is_not_its_own_summary() -> None:
    text = "The harbour was rebuilt after the storm."
    assert unchanged(SummaryRequest(text, language="en")) == text
    assert unchanged(SummaryRequest(text, language="en-GB")) == text
    assert unchanged(SummaryRequest(text, language="fr")) is None
    assert unchanged(SummaryRequest("qwrt zxcv.", language="fr")) is None
