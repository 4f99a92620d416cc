import json
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from core import ids
from core.errors import ServiceUnavailable
from generation import indexing, keys, records, tombstones
from generation.history import History
from generation.indexing import FEW, READERS, in_parallel, index
from generation.library import Library
from generation.storage import Bucket
from generation.tombstones import Tombstone
from image.service import SERVICE as IMAGE
from tests import events
from tests.unit.conftest import Log
from tests.unit.generation.samples import DAY, MOMENT, SIGNER, identifier, image_record, speech_record
from tests.unit.generation.test_library import paint
from tests.unit.stand_ins import ANA, BEN, AtomicBucket, Watch
from tts.service import SERVICE as SPEECH

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def store(library: Library, record_id: str, user_id: str = "anonymous") -> str:
    """Store a record; returns the message that tells of it."""
    record = image_record(record_id, userId=user_id, username=user_id)
    key = keys.record_object(record_id)
    library.bucket.put(key, records.dumps(record), "application/json")
    return events.s3_notification(library.bucket.name, key)


def told(library: Library, record_id: str) -> str:
    """The message that tells of a record, whether it is there or not."""
    return events.s3_notification(library.bucket.name, keys.record_object(record_id))


def failures(library: Library, *bodies: str, seconds: int = 28) -> list[str]:
    answer = index(library, events.sqs(*bodies), seconds * 1000)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def indexed(library: Library, user_id: str = "anonymous") -> list[str]:
    page = History(library.service, library.bucket, user_id).page(SIGNER, limit=100)
    return [line["id"] for line in page.lines]


def test_a_batch_is_grouped_so_that_each_file_is_written_once(library: Library, watch: Watch) -> None:
    batch = [
        (identifier(rest=1), ANA.sub),
        (identifier(rest=2), ANA.sub),
        (identifier(MOMENT + DAY, 3), ANA.sub),
        (identifier(rest=4), BEN.sub),
        (identifier(rest=5), "anonymous"),
    ]
    bodies = [store(library, *one) for one in batch]
    watch.calls.clear()
    assert failures(library, *bodies) == []
    assert sorted(watch.keys("PutObject")) == sorted(
        {
            f"users/{ANA.sub}/image/history/2026/11/22.jsonl",
            f"users/{ANA.sub}/image/history/2026/11/23.jsonl",
            f"users/{BEN.sub}/image/history/2026/11/22.jsonl",
            "users/anonymous/image/history/2026/11/22.jsonl",
        }
    )
    assert indexed(library, ANA.sub) == [batch[2][0], batch[1][0], batch[0][0]]
    assert indexed(library, BEN.sub) == [batch[3][0]]
    assert indexed(library) == [batch[4][0]]


def test_a_message_that_comes_again_adds_nothing(library: Library) -> None:
    body = store(library, identifier())
    for bodies in ([body, body], [body], [body, body, body]):
        assert failures(library, *bodies) == []
    assert indexed(library) == [identifier()]


def test_one_message_may_tell_of_several_records(library: Library) -> None:
    record_ids = [identifier(rest=rest) for rest in range(3)]
    for record_id in record_ids:
        store(library, record_id)
    body = events.s3_notification(library.bucket.name, *map(keys.record_object, record_ids))
    assert failures(library, body) == []
    assert sorted(indexed(library)) == record_ids


def test_the_test_event_is_done_with(library: Library) -> None:
    assert failures(library, events.s3_test_event(library.bucket.name)) == []
    assert list(library.bucket.keys("")) == []


def test_an_empty_batch_is_nothing_to_do(library: Library) -> None:
    assert failures(library) == []


def test_a_poison_message_alone_goes_back_to_the_queue(library: Library, log: Log) -> None:
    good = [store(library, identifier(rest=rest)) for rest in range(2)]
    poison = events.s3_notification(library.bucket.name, "users/x")
    assert failures(library, good[0], "not JSON", poison, good[1]) == ["message-1", "message-2"]
    assert len(indexed(library)) == 2
    assert {line["message_id"] for line in log.of("message not indexed")} == {"message-1", "message-2"}


def test_a_record_that_is_gone_and_was_not_deleted_is_told_again(library: Library) -> None:
    gone = told(library, identifier(rest=9))
    assert failures(library, gone, store(library, identifier(rest=1))) == ["message-0"]
    assert indexed(library) == [identifier(rest=1)]


@pytest.mark.parametrize("content", [b"", b"{}", records.dumps({**speech_record(identifier(rest=9))})])
def test_a_record_that_cannot_be_read_fails_its_message_only(library: Library, content: bytes) -> None:
    bad = store(library, identifier(rest=9))
    library.bucket.put(keys.record_object(identifier(rest=9)), content, "application/json")
    assert failures(library, bad, store(library, identifier(rest=1))) == ["message-0"]
    assert indexed(library) == [identifier(rest=1)]


def test_a_record_under_the_key_of_another_is_not_indexed(library: Library) -> None:
    body = store(library, identifier(rest=9))
    library.bucket.put(
        keys.record_object(identifier(rest=9)), records.dumps(image_record(identifier(rest=1))), "application/json"
    )
    assert failures(library, body) == ["message-0"]
    assert indexed(library) == []


def test_a_record_that_storage_does_not_give_now_is_told_again(library: Library, watch: Watch) -> None:
    bodies = [store(library, identifier(rest=rest)) for rest in range(3)]
    watch.answer("GetObject", 503, "SlowDown", key=identifier(rest=1))
    assert failures(library, *bodies) == ["message-1"]
    assert indexed(library) == [identifier(rest=2), identifier(rest=0)]
    assert failures(library, bodies[1]) == []
    assert len(indexed(library)) == 3


@pytest.mark.parametrize("operation", ["PutObject", "ListObjectsV2"])
@pytest.mark.parametrize(("status", "code"), [(429, "TooManyRequests"), (500, "InternalError"), (503, "SlowDown")])
def test_when_the_time_is_over_the_messages_of_a_group_that_storage_refused_are_told_again(
    library: Library, watch: Watch, operation: str, status: int, code: str
) -> None:
    bodies = [store(library, identifier(rest=rest), (ANA.sub, BEN.sub)[rest % 2]) for rest in range(4)]
    watch.answer(operation, status, code, key="" if operation == "ListObjectsV2" else f"users/{ANA.sub}/")
    assert failures(library, *bodies, seconds=0) == ["message-0", "message-2"]
    assert indexed(library, ANA.sub) == []
    assert len(indexed(library, BEN.sub)) == 2


def test_a_file_that_cannot_be_read_fails_the_messages_of_its_group_only(library: Library) -> None:
    bodies = [store(library, identifier(rest=rest), (ANA.sub, BEN.sub)[rest % 2]) for rest in range(2)]
    library.bucket.put(f"users/{ANA.sub}/image/history/2026/11/22.jsonl", b"damaged", "text/plain")
    assert failures(library, *bodies) == ["message-0"]
    assert len(indexed(library, BEN.sub)) == 1


def test_a_message_of_a_good_and_a_bad_record_is_told_again_and_the_good_one_is_indexed_once(library: Library) -> None:
    store(library, identifier(rest=1))
    body = events.s3_notification(
        library.bucket.name, keys.record_object(identifier(rest=1)), keys.record_object(identifier(rest=9))
    )
    for _delivery in range(2):
        assert failures(library, body) == ["message-0"]
    assert indexed(library) == [identifier(rest=1)]


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (412, "PreconditionFailed"),
        (409, "ConditionalRequestConflict"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "SlowDown"),
    ],
)
def test_while_there_is_time_a_write_is_tried_again(library: Library, watch: Watch, status: int, code: str) -> None:
    body = store(library, identifier())
    watch.answer("PutObject", status, code, key="users/", times=4)
    assert failures(library, body) == []
    assert indexed(library) == [identifier()]


def test_trying_again_ends_before_the_functions_time_does(library: Library, watch: Watch) -> None:
    body = store(library, identifier())
    watch.answer("PutObject", 503, "SlowDown", key="users/", times=100_000)
    assert failures(library, body, seconds=4) == ["message-0"]
    tries = [key for operation, key in watch.calls if operation == "PutObject" and key.startswith("users/")]
    assert len(tries) > 1


# ---------------------------------------------------------------- deleted records


def test_the_line_of_a_deleted_record_goes(library: Library) -> None:
    bodies = [store(library, identifier(rest=rest), ANA.sub) for rest in range(3)]
    assert failures(library, *bodies) == []
    library.delete(identifier(rest=1), ANA)
    assert failures(library, told(library, identifier(rest=1))) == []
    assert indexed(library, ANA.sub) == [identifier(rest=2), identifier(rest=0)]


def test_a_deletion_that_overtakes_the_creation_leaves_no_line(library: Library) -> None:
    body = store(library, identifier(), ANA.sub)
    library.delete(identifier(), ANA)
    for bodies in ([told(library, identifier())], [body], [body, told(library, identifier())]):
        assert failures(library, *bodies) == []
        assert indexed(library, ANA.sub) == []


# A batch whose records are asked for one by one, and one whose tombstones are listed.
SIZES = pytest.mark.parametrize("size", [1, FEW, FEW + 1, 3 * FEW])


def batch(library: Library, size: int) -> list[str]:
    return [store(library, identifier(rest=rest), ANA.sub) for rest in range(size)]


def delete(library: Library, record_id: str) -> None:
    """The deletion and its event."""
    library.delete(record_id, ANA)
    assert failures(library, told(library, record_id)) == []


def ordered(size: int, *, without: int) -> list[str]:
    return [identifier(rest=rest) for rest in reversed(range(size)) if rest != without]


@SIZES
def test_a_record_that_goes_while_its_line_is_written_leaves_no_line(
    library: Library, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    bodies = batch(library, size)
    replace = AtomicBucket.replace

    def deleted_before(self: AtomicBucket, key: str, *arguments: Any, **named: Any) -> None:
        """The deletion and its event come between looking at the record and writing its line."""
        monkeypatch.setattr(AtomicBucket, "replace", replace)
        delete(library, identifier(rest=size - 1))
        replace(self, key, *arguments, **named)

    monkeypatch.setattr(AtomicBucket, "replace", deleted_before)
    assert failures(library, *bodies) == []
    assert indexed(library, ANA.sub) == ordered(size, without=size - 1)


@pytest.mark.parametrize(
    ("moment", "size"),
    [
        *(("lines are written", size) for size in (1, FEW, 3 * FEW)),
        ("tombstones are listed", 3 * FEW),
        *(("records are asked for", size) for size in (1, FEW, 3 * FEW)),
    ],
)
def test_a_record_that_goes_after_its_line_was_written_leaves_no_line(
    library: Library, monkeypatch: pytest.MonkeyPatch, moment: str, size: int
) -> None:
    """Its event, which is later still, removes the line."""
    bodies = batch(library, size)
    gone = identifier(rest=size // 2)
    place, name = {
        "lines are written": (indexing.Day, "append"),
        "tombstones are listed": (tombstones, "perhaps_deleted"),
        "records are asked for": (indexing, "_gone_since"),
    }[moment]
    real = getattr(place, name)

    def deleted_after(*arguments: Any) -> Any:
        monkeypatch.setattr(place, name, real)
        answer = real(*arguments)
        library.delete(gone, ANA)
        return answer

    monkeypatch.setattr(place, name, deleted_after)
    assert failures(library, *bodies) == []
    # Whoever looked after the deletion has seen it.
    assert (gone in indexed(library, ANA.sub)) is (moment != "lines are written")
    assert failures(library, told(library, gone)) == []
    assert indexed(library, ANA.sub) == ordered(size, without=size // 2)


@SIZES
def test_a_deletion_that_was_cut_off_leaves_the_line_until_it_is_repeated(
    library: Library, watch: Watch, size: int
) -> None:
    """A tombstone without a deletion tells nothing: the record can be read, so it is in the history."""
    bodies = batch(library, size)
    record_id = identifier(rest=0)
    watch.answer("DeleteObject", 400, "InvalidRequest")
    with pytest.raises(ServiceUnavailable):
        library.delete(record_id, ANA)
    assert Tombstone.read(library.bucket, record_id)
    assert failures(library, *bodies) == []
    assert len(indexed(library, ANA.sub)) == size
    delete(library, record_id)
    assert indexed(library, ANA.sub) == ordered(size, without=0)


def test_where_there_are_more_tombstones_than_one_list_tells_the_records_are_asked_for(
    library: Library, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    monkeypatch.setattr(tombstones, "_PAGE", 3)
    bodies = batch(library, 20)
    append = indexing.Day.append

    def deleted_after(*arguments: Any) -> list[str]:
        added = append(*arguments)
        for rest in range(0, 20, 2):
            library.delete(identifier(rest=rest), ANA)
        watch.calls.clear()
        return added

    monkeypatch.setattr(indexing.Day, "append", deleted_after)
    assert failures(library, *bodies) == []
    assert indexed(library, ANA.sub) == [identifier(rest=rest) for rest in range(19, 0, -2)]
    # 0, 2 and 4 are in the list; of 1 and 3 it tells that they are there.
    assert len(watch.keys("HeadObject")) == 20 - 2


@pytest.mark.parametrize(("size", "heads", "lists"), [(1, 1, 0), (FEW, FEW, 0), (FEW + 1, 0, 1), (100, 0, 1)])
@pytest.mark.parametrize("users", [1, 5])
def test_what_a_batch_asks_of_storage(
    library: Library, watch: Watch, size: int, heads: int, lists: int, users: int
) -> None:
    owners = ["anonymous", *(identifier(rest=1000 + number) for number in range(1, users))]
    bodies = [store(library, identifier(rest=rest), owners[rest % users]) for rest in range(size)]
    watch.calls.clear()
    assert failures(library, *bodies) == []
    days = min(size, users)
    assert Counter(operation for operation, _ in watch.calls) == Counter(
        {"GetObject": size, "HeadObject": heads, "ListObjectsV2": days + lists, "PutObject": days}
    )
    watch.calls.clear()
    # Once more, with the segments there.
    assert failures(library, *bodies) == []
    assert Counter(operation for operation, _ in watch.calls) == Counter(
        {"GetObject": size + days, "HeadObject": heads, "ListObjectsV2": days + lists}
    )


@pytest.mark.usefixtures("_no_waiting")
def test_a_line_that_was_there_is_looked_after_when_its_record_goes(library: Library) -> None:
    """Whoever wrote the line may have ended before looking, or may not know that its write was done."""
    body = store(library, identifier(), ANA.sub)
    written: list[bool] = []

    class Lossy(AtomicBucket):
        def replace(self, *arguments: Any, **options: Any) -> None:
            super().replace(*arguments, **options)
            if not written:
                written.append(True)
                library.bucket.delete(keys.record_object(identifier()))
                raise ServiceUnavailable("the answer was lost", retry_after=1)

    lossy = Library(IMAGE, Lossy(library.bucket._client, library.bucket.name))
    assert failures(lossy, body) == []
    assert indexed(library, ANA.sub) == []


@SIZES
def test_whether_a_record_is_still_there_must_be_known(library: Library, watch: Watch, size: int) -> None:
    bodies = batch(library, size)
    if size > FEW:
        watch.interrupt("ListObjectsV2", lambda: watch.answer("ListObjectsV2", 400, "InvalidRequest"))
    else:
        watch.answer("HeadObject", 503, "SlowDown")
    assert failures(library, *bodies) == [f"message-{number}" for number in range(size)]
    library.delete(identifier(), ANA)
    assert failures(library, *bodies, told(library, identifier())) == []
    assert indexed(library, ANA.sub) == ordered(size, without=0)


def test_lines_of_deleted_records_go_though_it_is_not_known_of_others_whether_they_are_there(
    library: Library, watch: Watch
) -> None:
    assert failures(library, *batch(library, 2)) == []
    library.delete(identifier(rest=1), ANA)
    watch.answer("HeadObject", 503, "SlowDown")
    assert failures(library, told(library, identifier(rest=0)), told(library, identifier(rest=1))) == ["message-0"]
    assert indexed(library, ANA.sub) == [identifier(rest=0)]


@pytest.mark.parametrize("content", [b"", b"{}", b"7"])
def test_a_tombstone_that_cannot_be_read_fails_its_message_only(library: Library, content: bytes) -> None:
    library.bucket.put(keys.tombstone_object(identifier(rest=9)), content, "application/json")
    assert failures(library, told(library, identifier(rest=9)), store(library, identifier())) == ["message-0"]
    assert indexed(library) == [identifier()]


# ---------------------------------------------------------------- everything together


def test_services_index_beside_each_other(bucket: Bucket) -> None:
    image, speech = Library(IMAGE, bucket), Library(SPEECH, bucket)
    picture = store(image, identifier(rest=1))
    sound_key = keys.record_object(identifier(rest=2))
    bucket.put(sound_key, records.dumps(speech_record(identifier(rest=2))), "application/json")
    sound = events.s3_notification(bucket.name, sound_key)
    assert failures(image, picture, sound) == ["message-1"]
    assert failures(speech, picture, sound) == ["message-0"]
    assert indexed(image) == [identifier(rest=1)]
    assert indexed(speech) == [identifier(rest=2)]


def test_one_line_of_the_log_tells_of_the_batch_and_none_of_the_prompts(library: Library, log: Log) -> None:
    failures(library, store(library, identifier()), "poison")
    assert [(line["messages"], line["records"], line["failed"]) for line in log.of("indexed")] == [(2, 1, 1)]
    assert "a fox" not in log.getvalue()


def test_what_s3_sends_through_sqs_is_indexed(library: Library, s3: "S3Client") -> None:
    sqs = boto3.client("sqs")
    queue = sqs.create_queue(QueueName=f"records-{library.bucket.name}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3.put_bucket_notification_configuration(
        Bucket=library.bucket.name,
        NotificationConfiguration={
            "QueueConfigurations": [
                {
                    "QueueArn": arn,
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {
                        "Key": {
                            "FilterRules": [
                                {"Name": "prefix", "Value": "requests/"},
                                {"Name": "suffix", "Value": "/record.json"},
                            ]
                        }
                    },
                }
            ]
        },
    )
    generations = [paint(library, caller=ANA)["id"] for _ in range(3)]
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    # The test event and one message for each record: inputs, artifacts and index files are not told.
    assert len(messages) == 4
    assert sum("s3:TestEvent" in message["Body"] for message in messages) == 1
    batch = events.sqs(*(message["Body"] for message in messages))
    assert index(library, batch, 28_000) == {"batchItemFailures": []}
    assert indexed(library, ANA.sub) == sorted(generations, reverse=True)
    assert all(ids.is_valid(json.loads(line)["id"]) for line in _only_index_file(library).splitlines())


def _only_index_file(library: Library) -> bytes:
    (key,) = library.bucket.keys(f"users/{ANA.sub}/")
    found = library.bucket.get(key)
    assert found is not None
    return found.content


# ---------------------------------------------------------------- a few at a time


def test_what_is_done_in_parallel_is_done_at_once_and_told_by_item() -> None:
    meeting = threading.Barrier(READERS)

    def work(item: int) -> int:
        meeting.wait(timeout=60)
        return item * 2

    assert in_parallel(work, range(READERS)) == {item: item * 2 for item in range(READERS)}
    assert in_parallel(lambda item: item, range(0)) == {}


def test_threads_are_kept_and_one_item_needs_none() -> None:
    def threads_of(count: int) -> set[int]:
        return set(in_parallel(lambda _item: threading.get_ident(), range(count)).values())

    in_parallel(lambda _item: threading.Event().wait(0), range(100))
    before = set(threading.enumerate())
    assert threads_of(100) <= {thread.ident for thread in before} - {threading.get_ident()}
    assert set(threading.enumerate()) == before
    assert threads_of(1) == {threading.get_ident()}


def test_a_failure_is_told_when_nothing_goes_on_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    wait = indexing.wait
    begun: list[int] = []
    done: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        if item == 0:
            raise ValueError(item)
        assert go.wait(timeout=60)
        done.append(item)

    def go_and_wait(work: Any) -> None:
        go.set()
        wait(work)

    monkeypatch.setattr(indexing, "wait", go_and_wait)
    with pytest.raises(ValueError, match="0"):
        in_parallel(work, range(1000))
    was_awaited = go.is_set()
    go.set()
    assert was_awaited
    assert sorted(begun) == sorted([0, *done])
    # Who failed may have begun another one before the others were called off.
    assert len(begun) <= READERS + 1
