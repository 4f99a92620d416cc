import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation import events, keys
from generation.events import PoisonMessage
from tests import events as told
from tests.unit.generation.samples import IDENTIFIERS, identifier

BUCKET = "llmhist-image-dev"
KEY = keys.record_object(identifier())


def notification(**changes: Any) -> str:
    """A notification of one record whose ``s3`` part is changed."""
    body = json.loads(told.s3_notification(BUCKET, KEY))
    body["Records"][0]["s3"].update(changes)
    return json.dumps(body)


@given(IDENTIFIERS)
def test_a_key_is_read_as_each_platform_encodes_it(record_id: str) -> None:
    key = keys.record_object(record_id)
    for body in (
        told.s3_notification(BUCKET, key),
        told.s3_notification(BUCKET, key, encode=False),
        told.s3_notification(BUCKET, quote_plus(key), encode=False),
    ):
        assert events.record_ids(body, BUCKET) == [record_id]


def test_a_message_may_tell_of_several_records_and_of_one_twice() -> None:
    record_ids = [identifier(rest=1), identifier(rest=2), identifier(rest=1)]
    body = told.s3_notification(BUCKET, *(keys.record_object(record_id) for record_id in record_ids))
    assert events.record_ids(body, BUCKET) == record_ids


def test_the_test_event_of_a_new_notification_tells_of_nothing() -> None:
    assert events.record_ids(told.s3_test_event(BUCKET), BUCKET) == []


@pytest.mark.parametrize(
    "body",
    {
        "nothing": "",
        "no JSON": "<Records/>",
        "null": "null",
        "a number": "7",
        "a text": '"Records"',
        "a list": "[]",
        "an empty object": "{}",
        "another event": '{"Event": "s3:Other"}',
        "Records is null": '{"Records": null}',
        "Records is a text": '{"Records": "x"}',
        "Records is an object": '{"Records": {"s3": 1}}',
        "a record is null": '{"Records": [null]}',
        "a record without s3": '{"Records": [{}]}',
        "deep": "[" * 100_000,
        "another bucket": told.s3_notification("another", KEY),
        "another service": told.s3_notification("llmhist-tts-dev", KEY),
        "an input": told.s3_notification(BUCKET, KEY.replace("record.json", "input.json")),
        "an index file": told.s3_notification(BUCKET, "users/anonymous/image/history/2026/11/22.jsonl"),
        "another day": told.s3_notification(BUCKET, KEY.replace("2026", "2025")),
        "a good and a bad one": told.s3_notification(BUCKET, KEY, "x"),
        "key is null": notification(object={"key": None}),
        "key is a number": notification(object={"key": 7}),
        "no key": notification(object={}),
        "object is a list": notification(object=[]),
        "no bucket name": notification(bucket={}),
        "encoded twice": told.s3_notification(BUCKET, KEY.replace("/", "%252F"), encode=False),
    }.items(),
    ids=lambda item: item[0],
)
def test_anything_else_is_poison(body: tuple[str, str]) -> None:
    with pytest.raises(PoisonMessage):
        events.record_ids(body[1], BUCKET)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.sampled_from([BUCKET, KEY, "s3:TestEvent"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Records", "s3", "bucket", "object", "key", "name", "Event"]) | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(st.text() | JSON_VALUES.map(json.dumps))
def test_a_body_is_record_ids_or_poison_and_nothing_else(body: str) -> None:
    try:
        record_ids = events.record_ids(body, BUCKET)
    except PoisonMessage:
        return
    assert all(keys.record_id_of(keys.record_object(record_id)) == record_id for record_id in record_ids)


def test_messages_come_with_their_ids() -> None:
    assert list(events.messages(told.sqs("a", "b"))) == [("message-0", "a"), ("message-1", "b")]
