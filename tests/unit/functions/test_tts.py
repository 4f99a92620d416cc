"""What is speech's own: voices. What all services share is in the contract suite."""

from typing import Any

import pytest

from generation.providers import PromptRefused
from tests.unit.functions.answers import Answer
from tests.unit.functions.calls import KEY, Calls
from tests.unit.stand_ins import Speaker, StandIn
from tts.service import SERVICE as SPEECH


def post(body: Any, **options: Any) -> Answer:
    return Calls(SPEECH, StandIn(SPEECH)).post(body, **options)


@pytest.mark.usefixtures("bucket")
def test_speech_is_asked_for_as_the_body_says_and_english_unless_it_says(speaker: Speaker) -> None:
    made = post({"prompt": " hola ", "voice": "es", "model": "gtts-slow"}).json
    assert (made["prompt"], made["meta"]["voice"], made["meta"]["durationSeconds"]) == ("hola", "es", 1.25)
    assert post({"prompt": "hello"}).json["meta"]["voice"] == "en"
    assert [(asked.prompt, asked.voice, asked.model) for asked in speaker.asked] == [
        ("hola", "es", "gtts-slow"),
        ("hello", "en", "gtts"),
    ]


WRONG: dict[str, list[Any]] = {
    "voice": [None, 7, 1.5, True, [], ["en"], {}, "", "xx", "tlh", "EN", "en ", "e\0n", "../en", "\ud800", "x" * 5000],
    "model": [None, 7, [], "", "GTTS", "gtts ", "flux", "\ud800"],
}


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_field_is_named_and_of_voices_those_that_somebody_speaks(speaker: Speaker, field: str) -> None:
    for value in WRONG[field]:
        (error,) = post({"prompt": "a", field: value}).problem(422)["errors"]
        assert error["field"] == field
        assert field != "voice" or "en, es" in error["message"]
    assert speaker.asked == []


@pytest.mark.usefixtures("bucket", "answers_table")
def test_another_voice_is_another_request_and_one_that_nobody_speaks_leaves_the_key_free(speaker: Speaker) -> None:
    assert post({"prompt": "hello", "voice": "tlh"}, key=KEY).wrong_fields() == {"voice"}
    first = post({"prompt": "hello"}, key=KEY)
    assert post({"prompt": " hello ", "voice": "en"}, key=KEY).body == first.body
    for change in ({"voice": "es"}, {"model": "gtts-slow"}):
        problem = post({"prompt": "hello"} | change, key=KEY).problem(422)
        assert problem["type"] == "urn:llm-microservices:problem:idempotency-key-reused"
    assert len(speaker.asked) == 1


@pytest.mark.usefixtures("bucket")
def test_a_prompt_that_cannot_be_spoken_is_the_field_that_is_wrong(speaker: Speaker) -> None:
    speaker.error = PromptRefused("nothing to say")
    (error,) = post({"prompt": "..."}).problem(422)["errors"]
    assert error["field"] == "prompt"
    assert "nothing to say" in error["message"]
