import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation import keys
from image.service import SERVICE as IMAGE
from tests.unit.generation.samples import IDENTIFIERS, identifier
from tts.service import SERVICE as SPEECH

RECORD_ID = "01a20000-0000-7000-8000-000000000000"


def test_the_keys_of_a_picture_are_those_of_the_contract() -> None:
    record_id = identifier()
    folder = f"requests/2026/11/22/{record_id}"
    assert keys.folder(record_id) == folder
    assert keys.input_object(record_id) == f"{folder}/input.json"
    assert keys.record_object(record_id) == f"{folder}/record.json"
    assert keys.artifact_object(IMAGE, record_id, "png") == f"{folder}/image/original.png"
    assert keys.artifact_object(SPEECH, record_id, "mp3") == f"{folder}/audio/output.mp3"
    segment = keys.history_segment
    assert segment(IMAGE, "anonymous", date(2026, 1, 2), 0) == "users/anonymous/image/history/2026/01/02.jsonl"
    assert segment(SPEECH, "u", date(2026, 11, 22), 0) == "users/u/tts/history/2026/11/22.jsonl"
    assert segment(SPEECH, "u", date(2026, 11, 22), 1) == "users/u/tts/history/2026/11/22.0001.jsonl"
    assert segment(SPEECH, "u", date.min, 9999) == "users/u/tts/history/0001/01/01.9999.jsonl"
    assert keys.tombstone_object(record_id) == f"deleted/2026/11/22/{record_id}.json"


@given(st.dates(), st.integers(0, 9999))
def test_the_key_of_a_segment_gives_its_day_and_number_back(day: date, number: int) -> None:
    assert keys.segment_of(keys.history_segment(IMAGE, identifier(), day, number)) == (day, number)


@pytest.mark.parametrize(
    "name",
    ["", "2026/11/22", "2026/11/22.json", "2026/11/31.jsonl", "2026/13/01.jsonl", "2026/11/22.1.jsonl",
     "2026/11/22.00001.jsonl", "2026/11/22.jsonl.bak", "2026/11/٢٢.jsonl", "2026/11/22.0001.jsonl\n"],
)  # fmt: skip
def test_the_key_of_anything_else_gives_no_segment(name: str) -> None:
    assert keys.segment_of(f"users/u/image/history/{name}") is None


@given(IDENTIFIERS)
def test_a_record_key_gives_its_id_back(record_id: str) -> None:
    assert keys.record_id_of(keys.record_object(record_id)) == record_id


@given(
    st.text(max_size=120)
    | st.from_regex(keys._RECORD, fullmatch=True)
    | st.from_regex(re.compile(r"requests/\d{4}/\d{2}/\d{2}/[0-9a-f-]{36}/[a-z]+\.json\n?"), fullmatch=True)
)
def test_no_other_text_is_a_record_key(text: str) -> None:
    record_id = keys.record_id_of(text)
    assert record_id is None or keys.record_object(record_id) == text


@pytest.mark.parametrize(
    "change",
    [
        ("requests/", "request/"),
        ("requests/", "/requests/"),
        ("2026/11/22", "2026/11/21"),
        ("2026/11/22", "٢٠٢٦/١١/٢٢"),
        ("2026/11/22", "2026/11/22/22"),
        ("record.json", "input.json"),
        ("record.json", "record.json "),
        ("record.json", "record.json\n"),
        ("record.json", "x/record.json"),
        ("-7", "-4"),
    ],
)
def test_a_key_that_is_almost_a_record_key_is_none(change: tuple[str, str]) -> None:
    key = keys.record_object(identifier())
    assert change[0] in key
    assert keys.record_id_of(key.replace(*change, 1)) is None


def test_an_id_in_upper_case_is_not_in_a_record_key() -> None:
    record_id = identifier(rest=0xABCDEF)
    assert keys.record_id_of(keys.record_object(record_id).replace(record_id, record_id.upper())) is None
