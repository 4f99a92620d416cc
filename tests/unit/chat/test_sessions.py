"""Sessions: listing, stars, changes, deletion and retention; and what a page costs, whatever is stored."""

import json
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from chat.service import SERVICE
from core import ids
from core.errors import NotFound, Unprocessable
from generation.chat import removal
from generation.chat.messages import SEGMENTS_A_PAGE, ChatMessage, Messages
from generation.chat.removal import Queue
from generation.chat.sessions import ChatSessions, Session
from generation.providers import Deadline
from generation.texts import Model
from generation.usage.counting import Source
from generation.usage.entries import total
from tests.unit.chat.conftest import Killed, World
from tests.unit.generation.samples import SIGNER
from tests.unit.generation.text_stand_ins import Writer
from tests.unit.stand_ins import ANA, BEN

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

MANY = 10_000
PLENTY = 30.0


def made(world: World, title: str, user: str = ANA.sub) -> Session:
    world.later(1)
    return world.sessions.create(user, title=title, model=None, system=None)


def listed(world: World, limit: int = 20, cursor: str | None = None, starred: bool | None = None) -> ChatSessions:
    return world.sessions.page(ANA.sub, SIGNER, limit=limit, cursor=cursor, starred=starred)


def titles(page: ChatSessions) -> list[str | None]:
    return [item["title"] for item in page["items"]]


def all_titles(world: World, limit: int, starred: bool | None = None) -> list[list[str | None]]:
    pages: list[list[str | None]] = []
    cursor: str | None = None
    while True:
        page = listed(world, limit, cursor, starred)
        pages.append(titles(page))
        cursor = page["nextCursor"]
        if cursor is None:
            return pages


def test_a_new_session_has_nothing_yet(world: World) -> None:
    view = made(world, "Lamps").view()
    assert view == {
        "id": view["id"],
        "title": "Lamps",
        "model": None,
        "system": None,
        "starred": False,
        "createdAt": view["createdAt"],
        "updatedAt": "2026-11-22T13:30:01.000Z",
        "messages": 0,
        "usage": {"inputTokens": 0, "outputTokens": 0, "usd": 0.0},
    }
    assert world.sessions.get(ANA.sub, view["id"]).view() == view


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
def test_pages_have_each_session_once_the_last_used_first(world: World, limit: int) -> None:
    for number in range(6):
        made(world, str(number))
    made(world, "of Ben", BEN.sub)
    pages = all_titles(world, limit)
    assert [title for page in pages for title in page] == ["5", "4", "3", "2", "1", "0"]
    assert len(pages) == -(-6 // limit)


def test_a_session_that_is_used_comes_first(world: World) -> None:
    sessions = [made(world, str(number)) for number in range(3)]
    world.say(Writer(), "hi", sessions[0].key.id)
    assert titles(listed(world)) == ["0", "2", "1"]


def test_a_session_that_is_changed_keeps_its_place(world: World) -> None:
    sessions = [made(world, str(number)) for number in range(3)]
    changed = world.sessions.change(ANA.sub, sessions[0].key.id, {"title": "new", "model": "quill", "system": "Kind."})
    assert (changed.title, changed.model, changed.system) == ("new", "quill", "Kind.")
    assert titles(listed(world)) == ["2", "1", "new"]
    cleared = world.sessions.change(ANA.sub, sessions[0].key.id, {"model": None, "system": None})
    assert (cleared.title, cleared.model, cleared.system) == ("new", None, None)


def test_stars_have_a_list_of_their_own(world: World) -> None:
    sessions = [made(world, str(number)) for number in range(5)]
    for number in (1, 3, 4):
        world.sessions.change(ANA.sub, sessions[number].key.id, {"starred": True})
    world.sessions.change(ANA.sub, sessions[4].key.id, {"starred": False})
    world.say(Writer(), "hi", sessions[1].key.id)

    assert [title for page in all_titles(world, 1, starred=True) for title in page] == ["1", "3"]
    assert [title for page in all_titles(world, 2, starred=False) for title in page] == ["4", "2", "0"]
    assert len(titles(listed(world))) == 5


@pytest.mark.parametrize("cursor", ["", "x", "ünïcode", "AAAA" * 20])
def test_a_cursor_of_nobody_is_refused(world: World, cursor: str) -> None:
    with pytest.raises(Unprocessable):
        listed(world, cursor=cursor)


def test_a_cursor_is_good_for_its_own_list_only(world: World) -> None:
    for number in range(3):
        made(world, str(number))
    cursor = listed(world, 1)["nextCursor"]
    with pytest.raises(Unprocessable):
        listed(world, 1, cursor, starred=True)
    with pytest.raises(Unprocessable):
        world.sessions.page(BEN.sub, SIGNER, limit=1, cursor=cursor, starred=None)


def test_what_is_somebody_elses_is_not_there(world: World) -> None:
    session_id = made(world, "mine").key.id
    for call in (
        lambda: world.sessions.get(BEN.sub, session_id),
        lambda: world.sessions.change(BEN.sub, session_id, {"title": "yours"}),
        lambda: world.sessions.mark(BEN.sub, session_id),
        lambda: world.sessions.get(ANA.sub, "no-id"),
        lambda: world.sessions.change(ANA.sub, ids.new(), {"title": "none"}),
    ):
        with pytest.raises(NotFound):
            call()
    assert world.sessions.get(ANA.sub, session_id).title == "mine"


def fill_sessions(client: "DynamoDBClient", world: World, count: int) -> None:
    """So many more sessions of Ana's, older than any other."""
    template = made(world, "t")
    item: Any = client.get_item(
        TableName=world.table._name, Key={"user_id": {"S": ANA.sub}, "id": {"S": template.key.id}}
    )["Item"]
    for start in range(0, count, 25):
        puts = []
        for number in range(start, start + 25):
            session_id = ids.new()
            used = f"2026-01-01T00:00:00.{number % 1000:03d}Z#{session_id}"
            puts.append({"PutRequest": {"Item": item | {"id": {"S": session_id}, "used": {"S": used}}}})
        client.batch_write_item(RequestItems={world.table._name: puts})


def test_a_page_of_ten_thousand_sessions_costs_one_query(world: World, dynamodb: "DynamoDBClient") -> None:
    fill_sessions(dynamodb, world, MANY)
    cursor: str | None = None
    for _page in range(3):
        world.fate.spare()
        page = listed(world, 100, cursor)
        assert world.fate.calls == ["Query"]
        assert len(page["items"]) == 100
        cursor = page["nextCursor"]
        assert cursor


def message(number: int, size: int = 100) -> ChatMessage:
    text = f"message {number} ".ljust(size, "x")
    return {"id": ids.new(), "role": ("user", "assistant")[number % 2], "content": text, "createdAt": "now"}


def filled(world: World, count: int, size: int = 100) -> Session:
    """A session of so many messages."""
    session = made(world, "long")
    messages = Messages(world.library.bucket, session.key, 0)
    for start in range(0, count, 250):
        messages.append([message(number, size) for number in range(start, min(count, start + 250))])
    turn = ids.new()
    world.sessions.take(ANA.sub, session.key.id, turn, 5)
    world.sessions.release(session, turn, session.totals, [turn], messages.last, messages.etag)
    return world.sessions.get(ANA.sub, session.key.id)


@pytest.mark.parametrize("size", [100, 20_000])
def test_a_page_of_ten_thousand_messages_costs_two_reads_at_most(world: World, size: int) -> None:
    count = MANY if size == 100 else 1_000
    session = filled(world, count, size)
    cursor: str | None = None
    seen: list[str] = []
    for _page in range(5):
        world.fate.spare()
        page = Messages(world.library.bucket, session.key, session.segment).page(SIGNER, limit=100, cursor=cursor)
        assert 1 <= len(world.fate.calls) <= SEGMENTS_A_PAGE
        assert {call.partition(" ")[0] for call in world.fate.calls} == {"GetObject"}
        assert len(json.dumps(page)) < 5_000_000
        seen += [item["content"].split()[1] for item in page["items"]]
        cursor = page["nextCursor"]
        assert cursor
    assert seen == [str(number) for number in range(count - 1, count - 1 - len(seen), -1)]
    if size == 100:
        assert len(seen) == 500


def test_a_turn_in_ten_thousand_messages_reads_what_its_context_holds(world: World) -> None:
    session = filled(world, MANY)
    writer = Writer(models=(Model("quill", 4096, "q"),))
    for again in (False, True):
        world.fate.spare()
        world.say(writer, "and now?", session.key.id)
        calls = Counter(call.partition(" ")[0] for call in world.fate.calls)
        # The record of the turn before is looked for; the second turn's messages are in a segment of their own.
        assert calls == Counter(UpdateItem=2, GetObject=1, PutObject=4) + Counter(
            {"HeadObject": again, "GetObject": again}
        )
        assert 50 < len(writer.asked[-1].messages) < 200


def test_who_shows_messages_looks_for_the_record_of_the_last_turn(world: World) -> None:
    session = filled(world, 3)
    world.say(Writer(), "and now?", session.key.id)
    world.fate.spare()
    world.conversations().settle(world.sessions.get(ANA.sub, session.key.id))
    assert [call.partition(" ")[0] for call in world.fate.calls] == ["GetItem", "HeadObject"]


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_pages_of_messages_have_each_once_newest_first_whatever_arrives(world: World, limit: int) -> None:
    session = made(world, "s")
    writing = Messages(world.library.bucket, session.key, 0, segment_bytes=400)
    for number in range(20):
        writing.append([message(number)])
    assert writing.last > 3
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = Messages(world.library.bucket, session.key, writing.last).page(SIGNER, limit=limit, cursor=cursor)
        assert 0 < len(page["items"]) <= limit
        seen += [item["content"].split()[1] for item in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
        writing.append([message(99)])
    assert seen == [str(number) for number in range(19, -1, -1)]


def test_a_cursor_of_messages_is_good_for_its_session_only(world: World) -> None:
    one, other = filled(world, 3), filled(world, 3)
    cursor = Messages(world.library.bucket, one.key, 0).page(SIGNER, limit=1, cursor=None)["nextCursor"]
    with pytest.raises(Unprocessable):
        Messages(world.library.bucket, other.key, 0).page(SIGNER, limit=1, cursor=cursor)


@pytest.fixture
def sqs(dynamodb: "DynamoDBClient") -> "SQSClient":
    """A client of an SQS in this process."""
    assert dynamodb
    return boto3.client("sqs")


@pytest.fixture
def queue(sqs: "SQSClient") -> tuple[Queue, str]:
    """A queue, and its address."""
    url = sqs.create_queue(QueueName=f"removal-{ids.new()}")["QueueUrl"]
    return Queue(sqs, url), url


def taken(sqs: "SQSClient", url: str) -> list[dict[str, Any]]:
    """The messages in a queue, as a function gets them."""
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for each in messages:
            found.append({"messageId": each["MessageId"], "body": each["Body"]})
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
    return found


def conversation(world: World, turns: int = 3) -> str:
    """A session of so many turns; its id."""
    session_id = made(world, "c").key.id
    for turn in range(turns):
        world.say(Writer(), f"turn {turn}", session_id, segment_bytes=300)
    return session_id


def kept(world: World) -> set[str]:
    """The folders in which there is something besides tombstones."""
    return {key.split("/")[0] for key in world.s3.objects} - {"deleted"}


def test_a_deleted_session_is_gone_with_its_messages_and_answers(world: World) -> None:
    stays = conversation(world)
    objects = set(world.s3.objects)
    session_id = conversation(world)

    assert world.removal.remove(world.sessions.mark(ANA.sub, session_id), Deadline(PLENTY))

    assert {key for key in world.s3.objects if not key.startswith("deleted/")} == objects
    assert [item["id"] for item in listed(world)["items"]] == [stays]
    with pytest.raises(NotFound):
        world.sessions.get(ANA.sub, session_id)


def test_a_session_is_hidden_as_soon_as_its_deletion_begins(world: World) -> None:
    session_id = conversation(world)
    world.sessions.change(ANA.sub, session_id, {"starred": True})

    assert not world.removal.remove(world.sessions.mark(ANA.sub, session_id), Deadline(0))

    assert listed(world)["items"] == listed(world, starred=True)["items"] == []
    for call in (
        lambda: world.sessions.get(ANA.sub, session_id),
        lambda: world.sessions.change(ANA.sub, session_id, {"title": "x"}),
        lambda: world.sessions.take(ANA.sub, session_id, ids.new(), 5),
        lambda: world.say(Writer(), "hi", session_id),
    ):
        with pytest.raises(NotFound):
            call()


@pytest.mark.parametrize("number", range(0, 30, 3))
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_removal_that_ended_anywhere_goes_on(world: World, number: int, moment: str) -> None:
    session_id = conversation(world)
    world.fate.strike(number, moment)
    try:
        world.removal.remove_if(ANA.sub, session_id, Deadline(PLENTY))
    except BaseException:
        world.fate.spare()
    world.fate.spare()

    assert world.removal.remove_if(ANA.sub, session_id, Deadline(PLENTY))
    assert kept(world) == set()
    assert world.removal.remove_if(ANA.sub, session_id, Deadline(PLENTY))


def test_the_answer_of_a_worker_that_ended_goes_with_its_session(world: World) -> None:
    session_id = conversation(world)
    world.fate.strike(5, "before")
    with pytest.raises(Killed):
        world.say(Writer(), "killed after its record", session_id)
    world.fate.spare()

    assert world.removal.remove_if(ANA.sub, session_id, Deadline(PLENTY))
    assert kept(world) == set()


@pytest.mark.parametrize("ended", [None, *range(0, 24, 2)])
def test_a_session_that_is_deleted_before_it_was_counted_stays_counted(world: World, ended: int | None) -> None:
    session_id = conversation(world)
    if ended is not None:
        world.fate.strike(ended, "after")
        with suppress(Killed):
            world.removal.remove_if(ANA.sub, session_id, Deadline(PLENTY))
        world.fate.spare()
    assert world.removal.remove_if(ANA.sub, session_id, Deadline(PLENTY))

    source = Source(SERVICE, world.library.bucket)
    found = [source.entry(key.rpartition("/")[2].removesuffix(".json")) for key in world.s3.objects]
    used = total(entry.counters for entry in found if entry)
    assert (used.succeeded, used.input_tokens, used.output_tokens) == (3, 21, 6)


def test_what_is_not_removed_in_time_is_delivered_again(world: World) -> None:
    session_id = conversation(world)
    event = {"Records": [body(ANA.sub, session_id)]}

    assert removal.work(world.removal, event, 0) == {"batchItemFailures": [{"itemIdentifier": session_id}]}
    assert removal.work(world.removal, event, 60_000) == {"batchItemFailures": []}
    assert removal.work(world.removal, event, 60_000) == {"batchItemFailures": []}
    assert kept(world) == set()


def body(user: str, session_id: str, **more: str) -> dict[str, str]:
    return {"messageId": session_id, "body": json.dumps({"userId": user, "sessionId": session_id, **more})}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"userId": 1}'])
def test_a_message_of_nobody_goes_to_the_dead_letters(world: World, text: str) -> None:
    event = {"Records": [{"messageId": "m", "body": text}]}
    assert removal.work(world.removal, event, 60_000) == {"batchItemFailures": [{"itemIdentifier": "m"}]}


def test_retention_takes_what_was_not_used_and_has_no_star(
    world: World, sqs: "SQSClient", queue: tuple[Queue, str]
) -> None:
    old, starred, used = (conversation(world, 1) for _each in range(3))
    world.sessions.change(ANA.sub, starred, {"starred": True})
    world.now += timedelta(days=29)
    world.say(Writer(), "still here", used)
    world.now += timedelta(days=2)

    assert removal.sweep(world.sessions, queue[0], days=0, now=world.now) == 0
    assert removal.sweep(world.sessions, queue[0], days=30, now=world.now) == 1
    messages = taken(sqs, queue[1])
    assert [json.loads(each["body"])["sessionId"] for each in messages] == [old]
    assert removal.work(world.removal, {"Records": messages}, 60_000) == {"batchItemFailures": []}
    assert {item["id"] for item in listed(world)["items"]} == {starred, used}


@pytest.mark.parametrize("change", ["star", "use"])
def test_a_session_that_is_wanted_after_all_stays(
    world: World, sqs: "SQSClient", queue: tuple[Queue, str], change: str
) -> None:
    session_id = conversation(world, 1)
    world.now += timedelta(days=31)
    assert removal.sweep(world.sessions, queue[0], days=30, now=world.now) == 1
    if change == "star":
        world.sessions.change(ANA.sub, session_id, {"starred": True})
    else:
        world.say(Writer(), "hi", session_id)

    removal.work(world.removal, {"Records": taken(sqs, queue[1])}, 60_000)
    assert world.sessions.get(ANA.sub, session_id)


def test_a_deletion_that_was_left_behind_goes_on_at_night(
    world: World, sqs: "SQSClient", queue: tuple[Queue, str]
) -> None:
    session_id = conversation(world)
    world.sessions.mark(ANA.sub, session_id)
    assert removal.sweep(world.sessions, queue[0], days=0, now=world.now) == 0
    world.now += timedelta(days=1)
    assert removal.sweep(world.sessions, queue[0], days=0, now=world.now) == 1
    removal.work(world.removal, {"Records": taken(sqs, queue[1])}, 60_000)
    assert kept(world) == set()


def test_many_sessions_are_handed_over_in_batches(world: World, sqs: "SQSClient", queue: tuple[Queue, str]) -> None:
    for number in range(23):
        made(world, str(number))
    world.now += timedelta(days=31)
    assert removal.sweep(world.sessions, queue[0], days=30, now=world.now) == 23
    assert len(taken(sqs, queue[1])) == 23
