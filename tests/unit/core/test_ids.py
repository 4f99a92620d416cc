from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import ids


def test_a_new_id_is_a_canonical_uuid_of_version_7_and_the_rfc_variant() -> None:
    parsed = UUID(ids.new())
    assert (parsed.version, parsed.variant) == (7, "specified in RFC 4122")


def test_the_example_of_rfc_9562_has_its_time() -> None:
    assert ids.created_at("017f22e2-79b0-7cc3-98c4-dc0c0c07398f") == datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)


@given(st.integers(0, 253_402_300_799_999))
def test_an_id_holds_its_millisecond_and_sorts_by_it(millisecond: int) -> None:
    identifier = ids.new(milliseconds=millisecond)
    assert ids.is_valid(identifier)
    assert round(ids.created_at(identifier).timestamp() * 1000) == millisecond
    assert identifier[:13] <= ids.new(milliseconds=min(millisecond + 1, 253_402_300_799_999))[:13]


def test_ids_do_not_repeat() -> None:
    assert len({ids.new(milliseconds=1) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
        "017f22e2-79b0-4cc3-98c4-dc0c0c07398f",
        "017f22e2-79b0-7cc3-18c4-dc0c0c07398f",
        "017f22e279b07cc398c4dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f\n",
        "ffffffff-ffff-7fff-bfff-ffffffffffff",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398١",
    ],
)
def test_what_is_not_ours_is_not_valid(text: str) -> None:
    assert not ids.is_valid(text)


@given(st.text(max_size=40))
def test_no_text_breaks_the_check(text: str) -> None:
    ids.is_valid(text)
