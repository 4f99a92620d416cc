"""A batch of messages about records: each is told as done or as failed, and no bad one takes a good one with it."""

import json
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from generation import keys, records
from generation.endpoints import index as endpoint
from generation.library import Library
from generation.tombstones import Tombstone
from image import index
from image.service import SERVICE as IMAGE
from tests import events
from tests.unit.generation.memory_s3 import NAME, MemoryS3
from tests.unit.generation.samples import IDENTIFIERS, MOMENT, SIGNER, identifier, image_record
from tests.unit.properties.calls import FEW, QUICK
from tests.unit.properties.values import JSON_VALUES, ODD, TEXTS
from tests.unit.stand_ins import ANA

GONE, NEVER_MADE, DELETED = (identifier(MOMENT, rest) for rest in (900, 901, 902))
EVERY_FORM = [
    lambda key: key,
    quote_plus,
    quote,
    lambda key: quote_plus(key, safe="/"),
    lambda key: key.replace("-", "%2D"),
]


@dataclass(frozen=True)
class Message:
    """A message, and what it asks for: records whose lines must be there, or nothing, or a failure."""

    body: str
    record_ids: tuple[str, ...] = ()
    fails: bool = False


def told(*record_ids: str, form: int = 0, bucket: str = NAME) -> str:
    """A notification of records, with the keys as one of the platforms writes them."""
    written = [EVERY_FORM[form](keys.record_object(record_id)) for record_id in record_ids]
    return events.s3_notification(bucket, *written, encode=False)


def changed(place: str, value: object) -> str:
    """A good notification of which one member is another value."""
    document = json.loads(told(identifier(MOMENT, 1)))
    record = document["Records"][0]
    {"Records": document, "s3": record, "bucket": record["s3"], "object": record["s3"],
     "name": record["s3"]["bucket"], "key": record["s3"]["object"]}[place][place] = value  # fmt: skip
    return json.dumps(document)


FORMS = st.integers(0, len(EVERY_FORM) - 1)
RECORDS = st.integers(1, 30).map(lambda rest: identifier(MOMENT + rest % 3, rest))
GOOD = st.builds(
    lambda found, form: Message(told(*found, form=form), tuple(found)), st.lists(RECORDS, min_size=1, max_size=4), FORMS
)
NOTHING = st.sampled_from(
    [events.s3_test_event(NAME), events.s3_test_event("another"), '{"Records": []}', told(DELETED)]
).map(Message)
STRANGE_KEYS = st.one_of(
    TEXTS,
    st.dates().map("users/anonymous/image/history/{:%Y/%m/%d}.jsonl".format),
    RECORDS.flatmap(
        lambda one: st.sampled_from(
            [
                keys.input_object(one),
                keys.record_object(one).upper(),
                keys.record_object(one) + " ",
                keys.record_object(one) + "\n",
                "/" + keys.record_object(one),
                keys.record_object(one).replace("/", "//", 1),
                keys.record_object(one).replace("/", "%252F"),
                keys.record_object(one).replace("2026", "٢٠٢٦"),
                keys.record_object(one).replace("2026", "2025"),
                keys.tombstone_object(one),
            ]
        )
    ),
)
HEAVY = ["[" * 50_000, '{"Records":' * 5000, "9" * 5000, told(NEVER_MADE), told(GONE), "x" * 300_000]
POISON = st.one_of(
    TEXTS,
    JSON_VALUES.map(json.dumps),
    STRANGE_KEYS.map(lambda key: events.s3_notification(NAME, key)),
    STRANGE_KEYS.map(lambda key: events.s3_notification(NAME, keys.record_object(identifier(MOMENT, 1)), key)),
    st.builds(lambda one, bucket: told(one, bucket=bucket), RECORDS, TEXTS | st.just("llmhist-tts-dev")),
    st.builds(
        changed,
        st.sampled_from(["Records", "s3", "bucket", "object", "name", "key"]),
        (st.sampled_from(ODD) | JSON_VALUES).filter(lambda value: value not in ([], {}, "")),
    ),
    st.sampled_from(HEAVY),
).map(lambda body: Message(body, fails=True))


def stored_records() -> MemoryS3:
    """Thirty records, one that cannot be read, and one that was deleted."""
    storage = MemoryS3()
    bucket = storage.bucket()
    for rest in range(1, 31):
        record_id = identifier(MOMENT + rest % 3, rest)
        record = image_record(record_id, userId=ANA.sub, username=ANA.email)
        bucket.put(keys.record_object(record_id), records.dumps(record), "application/json")
    bucket.put(keys.record_object(GONE), b'{"id": 1}', "application/json")
    Tombstone(DELETED, ANA.sub, records.times.now()).write(bucket)
    return storage


def index_batch(storage: MemoryS3, bodies: list[str]) -> tuple[set[str], list[str]]:
    """The messages that the function says have failed, and the ids in the lines that it wrote."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(endpoint, "open_library", lambda _service: Library(IMAGE, storage.bucket(), lambda: SIGNER))
        answer = index.handler(json.loads(json.dumps(events.sqs(*bodies))), events.Context())
    failed = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    assert len(failed) == len(set(failed))
    lines = [
        json.loads(line)["id"]
        for key, version in storage.objects.items()
        if keys.segment_of(key)
        for line in version.content.splitlines()
    ]
    return set(failed), lines


@QUICK
@example(
    [
        *(Message(body, fails=True) for body in HEAVY),
        Message(told(identifier(MOMENT + 1, 1)), (identifier(MOMENT + 1, 1),)),
    ]
)
@given(st.lists(GOOD | NOTHING | POISON, min_size=1, max_size=12))
def test_exactly_the_bad_messages_fail_and_every_good_one_is_indexed_once(messages: list[Message]) -> None:
    storage = stored_records()
    failed, lines = index_batch(storage, [message.body for message in messages])
    assert failed == {f"message-{place}" for place, message in enumerate(messages) if message.fails}
    assert sorted(lines) == sorted({one for message in messages for one in message.record_ids})


@FEW
@given(st.lists(RECORDS, min_size=50, max_size=100), st.sampled_from(range(len(EVERY_FORM))), st.randoms())
def test_a_batch_as_large_as_they_come_loses_nothing(record_ids: list[str], form: int, chance: Random) -> None:
    storage = stored_records()
    bodies = [told(one, form=form) for one in record_ids]
    bodies += [told(*record_ids * 8), "x" * 200_000, told(GONE)]
    order = chance.sample(bodies, len(bodies))
    failed, lines = index_batch(storage, order)
    assert failed == {f"message-{place}" for place, body in enumerate(order) if body in bodies[-2:]}
    assert sorted(lines) == sorted(set(record_ids))


@QUICK
@example(place="prompt", value="\ud800", is_cut=False, record_id=identifier(rest=99))
@given(
    place=st.sampled_from([*image_record(), "params", "outputBytes", "image"]),
    value=st.sampled_from(ODD) | JSON_VALUES,
    is_cut=st.booleans(),
    record_id=IDENTIFIERS,
)
def test_whatever_a_record_holds_its_message_alone_fails(
    place: str, value: object, is_cut: bool, record_id: str
) -> None:
    storage = stored_records()
    record: dict[str, Any] = json.loads(json.dumps(image_record(record_id)))
    inside = {"params": record["meta"], "outputBytes": record["size"], "image": record["artifacts"]}
    inside.get(place, record)[place] = value
    content = json.dumps(record).encode()
    storage.bucket().put(keys.record_object(record_id), content[: -9 if is_cut else None], "application/json")
    good = identifier(MOMENT + 1, 1)
    failed, lines = index_batch(storage, [told(record_id), told(good)])
    assert failed <= {"message-0"}
    assert sorted(lines) == sorted([good] if failed else [good, record_id])
