"""A burst of records on the platform of this machine: whether each is counted, and once.

Records of every service are written to S3 as fast as it takes them; what they set off is the platform's own: S3 tells
the topics, those tell the queues, and the function of usage counts. With ``--chaos`` every tenth message is sent once
more by hand, and meanwhile the processes that count are killed, one after another, in the middle of what they do; the
queue then delivers again. At the end the queue must be empty, without dead letters, and the numbers of each user and of
everybody must be those of the records. Ends with status 1 when they are not. The records stay: use a platform whose
state you may throw away.
"""

import argparse
import random
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import TextIOWrapper
from typing import Any, cast

import psutil
from benchmarks.usage_history import whole
from localstack.commands import running_settings
from localstack.instance import Instance
from localstack.settings import STACK_NAME, load
from tests.integration.workers import workers
from tests.services import SERVICES
from tests.unit.generation.usage_history import SOURCES
from tools.operate import target

from core import ids, times
from generation import keys, records
from generation.usage.entries import Counters, Entry, of_record, total
from generation.usage.rows import EVERYBODY
from generation.usage.table import UsageTable

USERS = 5
WRITERS = 16
PATIENCE_SECONDS = 900
TELL_EVERY_SECONDS = 10.0
KILL_EVERY_SECONDS = 8.0
# Those that follow are let live, so that the end comes on a slow machine, too.
MOST_KILLS = 20
# In chaos a batch whose worker was killed comes back after this; deployed are 180.
VISIBILITY_SECONDS = 40
COUNTED = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")


def made(size: int, chance: random.Random) -> list[dict[str, Any]]:
    """Records of now, of users that nobody else is."""
    users = [ids.new() for _ in range(USERS)]
    found = []
    for _ in range(size):
        service, provider, model, usd = chance.choice(SOURCES)
        call_id = ids.new()
        texts = {"inputTokens": chance.randrange(4000), "outputTokens": chance.randrange(900)}
        found.append(
            whole(
                {
                    "id": call_id,
                    "userId": chance.choice(users),
                    "service": service,
                    "provider": provider,
                    "model": model,
                    "latencyMs": int(chance.lognormvariate(6.5, 1.5)),
                    "size": {"inputBytes": 10, "outputBytes": chance.randrange(100_000)},
                    "cost": {"usd": usd},
                    "createdAt": times.rfc3339(ids.created_at(call_id)),
                    "meta": {"params": texts if service in ("chat", "summarize") else {}},
                }
            )
        )
    return found


def entry(record: Any) -> Entry:
    """What a record must add."""
    return of_record(record, makes_pictures=record["service"] == "image")


class Platform:
    """The platform of this machine, and what a burst needs of it."""

    def __init__(self) -> None:
        self.stack = target.find(target.LOCAL, STACK_NAME)
        self.s3, self.sqs = self.stack.client("s3"), self.stack.client("sqs")
        self.usage = UsageTable(self.stack.client("dynamodb"), self.stack.outputs["UsageTableName"])
        self.queue = self.stack.outputs["UsageQueueUrl"]
        self.buckets = {one.name: self.stack.outputs[f"{one.pascal}BucketName"] for one in SERVICES}

    def put(self, record: Any) -> None:
        """Store a record."""
        key = keys.record_object(record["id"])
        body = records.dumps(record)
        self.s3.put_object(Bucket=self.buckets[record["service"]], Key=key, Body=body, ContentType="application/json")

    def tell_again(self, record: Any) -> None:
        """Send the message of a record once more."""
        place = {
            "bucket": {"name": self.buckets[record["service"]]},
            "object": {"key": keys.record_object(record["id"])},
        }
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=records.dumps({"Records": [{"s3": place}]}).decode())  # type: ignore[typeddict-item]

    def waiting(self, url: str) -> int:
        """Messages of a queue, those that somebody works at among them."""
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(COUNTED))["Attributes"]
        return sum(int(found.get(name, 0)) for name in COUNTED)

    def requests(self, whose: str) -> Counters:
        """All that was ever counted of somebody."""
        return total(one.counters for one in self.usage.all_sums(whose, "m#", "m#~"))

    def workers(self) -> list[psutil.Process]:
        """The processes that count."""
        described = Instance(running_settings(load()).home).description()
        return workers(described.pid, "UsageCount") if described else []


def killing(platform: Platform, ended: threading.Event, chance: random.Random) -> int:
    """Kill a process that counts every few seconds; how many were killed."""
    killed = 0
    while killed < MOST_KILLS and not ended.wait(KILL_EVERY_SECONDS):
        if found := platform.workers():
            chance.choice(found).kill()
            killed += 1
    return killed


class Progress:
    """Says every few seconds how far a burst is."""

    def __init__(self, platform: Platform, before: Counters) -> None:
        self.platform, self.before, self.began, self.written, self.ended = platform, before, time.monotonic(), 0, False

    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.began

    def tell(self) -> None:
        """Until ``ended``."""
        while not self.ended:
            time.sleep(TELL_EVERY_SECONDS)
            counted = self.platform.requests(EVERYBODY).requests - self.before.requests
            waiting = self.platform.waiting(self.platform.queue)
            print(f"  {self.seconds():4.0f} s: {self.written} written, {counted} counted, {waiting} in the queue")


def drain(platform: Platform, progress: Progress) -> None:
    """Wait until the queue has been empty for some looks."""
    empty = 0
    while empty < 3 and progress.seconds() < PATIENCE_SECONDS:
        time.sleep(0.5)
        empty = 0 if platform.waiting(platform.queue) else empty + 1


def differences(platform: Platform, wanted: Sequence[Entry], before: Counters) -> list[str]:
    """What was lost or doubled."""
    found = []
    known = platform.usage.known(one.id for one in wanted)
    if len(known) != len(wanted):
        found.append(f"{len(wanted) - len(known)} of the records are not in the ledger")
    for whose in {one.user_id for one in wanted}:
        own = total(one.counters for one in wanted if one.user_id == whose)
        if platform.requests(whose) != own:
            found.append(f"a user has {platform.requests(whose)}, not {own}")
    added = [now - then for now, then in zip(platform.requests(EVERYBODY)[:-1], before[:-1], strict=True)]
    if added != list(total(one.counters for one in wanted)[:-1]):
        found.append(f"everybody has {added} more, not {total(one.counters for one in wanted)}")
    if dead := platform.waiting(platform.stack.outputs["UsageDeadLetterQueueUrl"]):
        found.append(f"{dead} messages are dead letters")
    if left := platform.waiting(platform.queue):
        found.append(f"{left} messages are still in the queue")
    return found


def main() -> int:
    """Let a burst happen; the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.usage_burst", description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--chaos", action="store_true", help="kill those who count, and send messages twice")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cast(TextIOWrapper, sys.stdout).reconfigure(line_buffering=True)
    chance = random.Random(options.seed)
    platform = Platform()
    wanted = made(options.records, chance)
    again = chance.sample(wanted, len(wanted) // 10) if options.chaos else []
    before = platform.requests(EVERYBODY)
    ended = threading.Event()
    if options.chaos:
        platform.sqs.set_queue_attributes(
            QueueUrl=platform.queue, Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)}
        )
    try:
        with ThreadPoolExecutor(WRITERS) as pool:
            deaths = ThreadPoolExecutor(1).submit(killing, platform, ended, chance) if options.chaos else None
            progress = Progress(platform, before)
            threading.Thread(target=progress.tell, daemon=True).start()
            for number, _ in enumerate(pool.map(platform.put, wanted), 1):
                progress.written = number
            for _ in pool.map(platform.tell_again, again):
                pass
            written = progress.seconds()
            drain(platform, progress)
            ended.set()
            killed = deaths.result() if deaths else 0
        if options.chaos:
            # What was killed last is delivered once more.
            drain(platform, progress)
        drained = progress.seconds()
        progress.ended = True
    finally:
        ended.set()
        if options.chaos:
            platform.sqs.set_queue_attributes(QueueUrl=platform.queue, Attributes={"VisibilityTimeout": "180"})
    written_text = f"{len(wanted)} records of {len(SERVICES)} services and {USERS} users written in {written:.0f} s"
    print(f"  {written_text}, {len(again)} told twice, {killed} processes killed")
    print(f"  the queue was empty {drained - written:.0f} s later, {drained:.0f} s after the first was written")
    found = differences(platform, [entry(one) for one in wanted], before)
    print("\n".join(f"  {one}" for one in found or ["nothing lost, nothing counted twice, no dead letters"]))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
