"""The history on a running platform whose index workers are killed, messages poisoned and files damaged."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest
import requests

from core import ids
from tests import services
from tests.integration.client import Api, Platform, User, assert_problem, eventually
from tests.integration.workers import workers

SMALL = {"prompt": "a cat", "size": "64x64"}
SERVICES = [
    pytest.param(service.name, f"/admin/{service.plural}", dict(service.sample), id=service.name)
    for service in services.SERVICES
]
LOAD_SECONDS = 8.0
MORE_LOAD_SECONDS = 120.0  # when fewer batches were interrupted by then
LEAST_INTERRUPTED = 3
THREADS_OF_A_USER = 4
# A message whose worker was killed, or that failed, comes back after the queue's visibility timeout. That is three
# minutes in the template; here it is shortened. At 5 s a message is received at most four times while workers are
# being killed, so that bad luck alone (five attempts) does not make it a dead letter.
VISIBILITY_UNDER_LOAD = 5
VISIBILITY_OF_POISON = 1


@dataclass
class RecordQueue:
    """The image service's queue of record events: itself, its dead letters, and the trigger that empties it."""

    sqs: Any
    functions: Any
    url: str
    dead_letters: str

    @contextmanager
    def visibility(self, seconds: int) -> Iterator[None]:
        """Messages that were not processed come back after this time, until the end of the block."""
        name = "VisibilityTimeout"
        before = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])["Attributes"][name]
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={name: str(seconds)})
        try:
            yield
        finally:
            self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={name: before})

    def waiting(self, url: str | None = None) -> int:
        """How many messages wait or are being processed."""
        counted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=counted)
        return sum(int(answer["Attributes"][name]) for name in counted)

    def drain(self, seconds: float = 240) -> None:
        """Wait until every message was processed."""

        def is_empty() -> bool:
            if self.waiting():
                return False
            # An event comes a moment after its object.
            time.sleep(0.1)
            return self.waiting() == 0

        assert eventually(is_empty, seconds), f"{self.waiting()} messages are left"

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Nobody processes messages until the end of the block."""
        (mapping,) = (
            one
            for one in self.functions.list_event_source_mappings()["EventSourceMappings"]
            if one["EventSourceArn"].endswith(self.url.rpartition("/")[2])
        )
        self.functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        try:
            yield
        finally:
            self.functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


@pytest.fixture(scope="module")
def description(platform: Platform) -> dict[str, Any]:
    """What the platform says about itself."""
    described: dict[str, Any] = json.loads(platform.command("describe"))
    return described


@pytest.fixture(scope="module")
def queue(platform: Platform, description: dict[str, Any]) -> RecordQueue:
    """The image service's queue."""
    outputs = description["outputs"]
    return RecordQueue(
        platform.aws("sqs"),
        platform.aws("lambda"),
        outputs["ImageRecordQueueUrl"],
        outputs["ImageDeadLetterQueueUrl"],
    )


def test_two_hundred_generations_at_concurrency_32_are_two_hundred_lines(platform: Platform, ana: User) -> None:
    clients = threading.local()

    def generate(number: int) -> str:
        if not hasattr(clients, "api"):
            clients.api = Api(ana.url, ana.token)
        answer = clients.api.post("/image/generate", SMALL | {"prompt": f"cat {number}"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    with ThreadPoolExecutor(32) as pool:
        made = list(pool.map(generate, range(200)))
    eventually(lambda: len(platform.lines("image", ana.id)) >= 200)
    assert Counter(line["id"] for line in platform.lines("image", ana.id)) == Counter(made)
    assert len(made) == 200


def image_index_workers(launcher: int) -> list[psutil.Process]:
    """The processes that run the image index and spoke to S3."""
    found = []
    for worker in workers(launcher, "ImageIndexFunction"):
        with suppress(psutil.Error):
            if worker.net_connections("tcp"):
                found.append(worker)
    return found


def processor_seconds(process: psutil.Process) -> float:
    """How long the process has been working; 0 when it has ended."""
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


class Killer(threading.Thread):
    """Ends a random index worker with SIGKILL every now and then: mostly one that is at work, or it would miss them."""

    def __init__(self, launcher: int) -> None:
        super().__init__()
        self.launcher = launcher
        self.killed = 0
        self.stopping = threading.Event()

    def run(self) -> None:
        chance = random.Random()
        while not self.stopping.wait(chance.uniform(0.05, 0.3)):
            at_work = {worker: processor_seconds(worker) for worker in image_index_workers(self.launcher)}
            self.stopping.wait(chance.uniform(0.02, 0.06))
            victims = [worker for worker, before in at_work.items() if processor_seconds(worker) > before]
            if not victims and chance.random() < 0.1:
                victims = list(at_work)
            if victims:
                with suppress(psutil.NoSuchProcess):
                    chance.choice(victims).kill()
                    self.killed += 1


@dataclass
class Activity:
    """What one thread of a user did."""

    kept: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)


def generate_and_delete(user: User, enough: threading.Event) -> Activity:
    """Make pictures and delete some, at once or later; no call fails."""
    client, chance, done = Api(user.url, user.token), random.Random(), Activity()
    while not enough.is_set():
        answer = client.post("/image/generate", SMALL | {"prompt": f"a cat {chance.random()}"})
        assert answer.status_code == 201, answer.text
        done.kept.append(answer.json()["id"])
        if chance.random() < 0.4:
            unwanted = done.kept.pop(chance.choice([-1, chance.randrange(len(done.kept))]))
            answer = client.call("DELETE", f"/image/{unwanted}")
            assert answer.status_code == 204, answer.text
            done.deleted.append(unwanted)
    return done


def interrupted_batches(platform: Platform) -> int:
    """How many batches of the index function ended with their worker, as the platform's log says."""
    with open(f"{platform.environment['LOCAL_DIR']}/logs/platform.log") as log:
        return sum("failed processing SQS batch" in line and "Worker process died" in line for line in log)


@pytest.mark.needs("launcher")
def test_the_history_is_exact_although_its_workers_are_killed(
    platform: Platform, description: dict[str, Any], queue: RecordQueue, ana: User, bob: User
) -> None:
    queue.drain()
    interrupted_before = interrupted_batches(platform)
    killer, enough = Killer(description["pid"]), threading.Event()

    def interrupted() -> int:
        return interrupted_batches(platform) - interrupted_before

    with queue.visibility(VISIBILITY_UNDER_LOAD), ThreadPoolExecutor(2 * THREADS_OF_A_USER) as pool:
        killer.start()
        try:
            running = {
                user.id: [pool.submit(generate_and_delete, user, enough) for _ in range(THREADS_OF_A_USER)]
                for user in (ana, bob)
            }
            time.sleep(LOAD_SECONDS)
            assert eventually(lambda: interrupted() >= LEAST_INTERRUPTED, MORE_LOAD_SECONDS)
            enough.set()
            done = {user_id: [thread.result() for thread in threads] for user_id, threads in running.items()}
        finally:
            enough.set()
            killer.stopping.set()
            killer.join()
        queue.drain()
    print(f"{killer.killed} workers killed, {interrupted()} batches interrupted")
    for user_id, activities in done.items():
        kept = [one for activity in activities for one in activity.kept]
        deleted = [one for activity in activities for one in activity.deleted]
        print(f"{len(kept)} kept, {len(deleted)} deleted")
        assert kept
        assert deleted
        assert Counter(line["id"] for line in platform.lines("image", user_id)) == Counter(kept)
    assert queue.waiting(queue.dead_letters) == 0
    first_day = min(day_of(one) for activities in done.values() for activity in activities for one in activity.kept)
    assert "nothing is wrong" in platform.operate(
        "verify-index", "--service", "image", "--grace", "0", "--from", first_day
    )


@pytest.mark.parametrize(("service", "listing", "body"), SERVICES)
def test_a_deleted_generation_is_gone_with_all_that_belongs_to_it(
    platform: Platform, ana: User, bob: User, api: Api, service: str, listing: str, body: dict[str, object]
) -> None:
    kept, unwanted = (ana.post(f"/{service}/generate", body).json()["id"] for _ in range(2))
    assert eventually(lambda: len(platform.lines(service, ana.id)) == 2)
    path = f"/{service}/{unwanted}"
    signed = ana.get(f"{path}/download").json()["url"]
    folder = f"requests/{ids.created_at(unwanted):%Y/%m/%d}/{unwanted}/"
    assert len(platform.keys(service, folder)) == 3

    assert_problem(bob.call("DELETE", path), 404)
    assert api.call("DELETE", path).status_code == 401
    for unknown in (ids.new(), "nonsense"):
        assert_problem(ana.call("DELETE", f"/{service}/{unknown}"), 404)
    assert len(platform.keys(service, folder)) == 3

    answer = ana.call("DELETE", path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert platform.keys(service, folder) == []
    assert requests.get(signed, timeout=120).status_code == 404
    assert_problem(ana.get(path), 404)
    assert_problem(ana.get(f"{path}/download"), 404)
    assert ana.call("DELETE", path).status_code == 204
    assert_problem(bob.call("DELETE", path), 404)
    assert eventually(lambda: [line["id"] for line in platform.lines(service, ana.id)] == [kept])
    assert [item["id"] for item in ana.get(listing).json()["items"]] == [kept]


def test_an_admin_deletes_what_is_anothers_and_what_is_nobodys(
    platform: Platform, ana: User, bob: User, api: Api
) -> None:
    of_ana, of_nobody = (client.post("/image/generate", SMALL).json()["id"] for client in (ana, api))
    assert_problem(bob.call("DELETE", f"/image/{of_nobody}"), 404)
    platform.operate("promote", bob.email)
    admin = Api(bob.url, bob.post("/auth/refresh", {"refreshToken": bob.refresh_token}).json()["accessToken"])
    for unwanted in (of_ana, of_nobody):
        assert admin.call("DELETE", f"/image/{unwanted}").status_code == 204
        assert_problem(api.get(f"/image/{unwanted}"), 404)
    assert eventually(lambda: platform.lines("image", ana.id) == [])


def test_a_poison_message_becomes_a_dead_letter_alone_and_is_redriven(
    platform: Platform, queue: RecordQueue, ana: User
) -> None:
    queue.drain()
    gone = ids.new()
    key = f"requests/{ids.created_at(gone):%Y/%m/%d}/{gone}/record.json"
    s3 = {"bucket": {"name": platform.bucket("image")}, "object": {"key": key}}
    poison = json.dumps({"Records": [{"s3": s3}]})
    with queue.visibility(VISIBILITY_OF_POISON):
        with queue.untouched():
            queue.sqs.send_message(QueueUrl=queue.url, MessageBody=poison)
            made = [ana.post("/image/generate", SMALL).json()["id"] for _ in range(4)]
            assert eventually(lambda: queue.waiting() == 5)
        # Waiting together they are a batch of five.
        assert eventually(lambda: len(platform.lines("image", ana.id)) == 4)
        assert eventually(lambda: queue.waiting(queue.dead_letters) == 1)
        queue.drain()
    assert Counter(line["id"] for line in platform.lines("image", ana.id)) == Counter(made)

    with queue.untouched():
        assert "1 messages moved back" in platform.operate("redrive", "--service", "image")
        assert queue.waiting(queue.dead_letters) == 0
        (message,) = queue.sqs.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10)["Messages"]
        assert message["Body"] == poison
        queue.sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"])
    assert "0 messages moved back" in platform.operate("redrive", "--service", "image")


def day_of(record_id: str) -> str:
    """The day of a record, as the commands take it."""
    return str(ids.created_at(record_id).date())


def made_on_one_day(platform: Platform, user: User, count: int) -> tuple[list[str], str]:
    """The ids of new pictures that are in one file of the history, alone, and their day."""
    while True:
        made = [
            user.post("/image/generate", SMALL | {"prompt": f"cat {number}"}).json()["id"] for number in range(count)
        ]
        days = sorted({day_of(one) for one in made})
        if len(days) == 1:
            assert eventually(lambda: len(platform.lines("image", user.id)) == count)
            return made, days[0]
        for one in made:
            user.call("DELETE", f"/image/{one}")


def test_a_damaged_history_is_reported_repaired_and_then_left_alone(platform: Platform, ana: User) -> None:
    made, day = made_on_one_day(platform, ana, 5)
    folder = f"users/{ana.id}/image/history/{day.replace('-', '/')}"
    (key,) = platform.keys("image", folder)
    lines = {line["id"]: line for line in platform.lines("image", ana.id)}
    missing, doubled, differing, *_ = made
    orphaned = ids.new()
    damaged = [line for line in lines.values() if line["id"] != missing]
    damaged += [lines[doubled], lines[doubled] | {"id": orphaned}]
    damaged = [line | {"prompt": "a dog"} if line["id"] == differing else line for line in damaged]
    s3, bucket = platform.aws("s3"), platform.bucket("image")
    s3.put_object(Bucket=bucket, Key=key, Body=b"".join(json.dumps(line).encode() + b"\n" for line in damaged))

    order = ("--service", "image", "--user", ana.id, "--grace", "0", "--from", day, "--to", day)
    with pytest.raises(AssertionError) as failed:
        platform.operate("verify-index", *order)
    for kind, found in {
        "missing": missing,
        "doubled": doubled,
        "orphaned": orphaned,
        "differing": differing,
    }.items():
        assert f"({kind})\n                  {found}\n" in str(failed.value)

    assert "4 repaired" in platform.operate("reindex", *order)
    assert {line["id"]: line for line in platform.lines("image", ana.id)} == lines
    assert len(platform.lines("image", ana.id)) == 5
    assert "nothing is wrong" in platform.operate("verify-index", *order)

    before = s3.head_object(Bucket=bucket, Key=key)
    assert "nothing was changed" in platform.operate("reindex", *order)
    after = s3.head_object(Bucket=bucket, Key=key)
    assert (after["ETag"], after["LastModified"]) == (before["ETag"], before["LastModified"])
    assert platform.keys("image", folder) == [key]


def test_a_file_that_is_not_readable_is_named_and_built_anew_when_it_is_away(platform: Platform, ana: User) -> None:
    made, day = made_on_one_day(platform, ana, 3)
    (key,) = platform.keys("image", f"users/{ana.id}/image/history/{day.replace('-', '/')}")
    s3, bucket = platform.aws("s3"), platform.bucket("image")
    before = platform.read("image", key)
    s3.put_object(Bucket=bucket, Key=key, Body=before + b"not JSON\n")

    order = ("--service", "image", "--user", ana.id, "--grace", "0", "--from", day, "--to", day)
    with pytest.raises(AssertionError, match=f"{key} does not hold lines of ours"):
        platform.operate("verify-index", *order)
    s3.delete_object(Bucket=bucket, Key=key)
    assert "3 repaired" in platform.operate("reindex", *order)
    assert sorted(line["id"] for line in platform.lines("image", ana.id)) == sorted(made)
