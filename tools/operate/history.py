"""The operator's commands for the history: verify and repair the index, redrive dead-letter queues.

The work is done by the stack's own function and queues; this only asks and prints.
"""

from __future__ import annotations

import datetime
from typing import Any
from uuid import UUID

from localstack import console, services
from localstack.console import CommandFailed

from tools.operate.comparing import ask, show
from tools.operate.target import Target

KINDS = {
    "missing": "records without a line",
    "doubled": "ids with more than one line",
    "orphaned": "lines without a record",
    "differing": "lines that are not what their record says",
    "unreadable": "records that are not valid",
}
_MOST = 10
USAGE = "usage"
"""What the queue of usage is called among the services, whose calls it counts all together."""


def day(text: str) -> str:
    """A date as the commands take it; an empty one is today. Raises ValueError."""
    return str(datetime.date.fromisoformat(text) if text else datetime.datetime.now(datetime.UTC).date())


def user(text: str) -> str:
    """A user's id as the commands take it, or "anonymous"; empty for all users. Raises ValueError."""
    return text if text in ("", "anonymous") else str(UUID(text))


def _named(name: str) -> list[str]:
    return [name] if name else [service.name for service in services.generating()]


def reindex(stack_now: Target, options: Any, *, repair: bool) -> None:
    """Compare the history with the records and, with `repair`, put it right.

    Raises CommandFailed when something is wrong and was not repaired.
    """
    if options.first > options.last:
        raise CommandFailed("FROM", f"{options.first} is after TO={options.last}", "give the earlier day first")
    wrong = sum(_reindex(stack_now, name, options, repair=repair) for name in _named(options.service))
    if wrong and not repair:
        raise CommandFailed(
            "verify-index",
            f"{wrong} of the history's lines are not as they should be",
            f"make reindex SERVICE=… FROM={options.first} TO={options.last} puts them right",
        )


def _reindex(stack_now: Target, service: str, options: Any, *, repair: bool) -> int:
    order: dict[str, Any] = {
        "service": service,
        "from": options.first,
        "to": options.last,
        "repair": repair,
        "graceSeconds": options.grace,
    } | ({"user": options.user} if options.user else {})
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    records = lines = 0
    first: str | None = options.first
    while first:
        with console.step(service, f"comparing {first} to {options.last}") as step:
            answer = ask(stack_now, "ReindexFunctionName", order | {"from": first})
            records += answer["records"]
            lines += answer["lines"]
            step.note = f"{answer['from']} to {answer['to']}: {answer['records']} records, {answer['lines']} lines"
        for kind in KINDS:
            found[kind] += answer[kind]
        first = answer["next"]
    total = show(found, KINDS)
    repaired = total - len(found["unreadable"])
    if not total:
        console.line(service, "nothing is wrong" + (", nothing was changed" if repair else ""))
    elif repair:
        console.line(service, f"{repaired} repaired; run make verify-index to see")
    return total


def redrive(stack_now: Target, name: str) -> None:
    """Move the messages of the dead-letter queues back to where they were processed: the histories', and usage's."""
    sqs = stack_now.client("sqs")
    for area, queue, dead_letters in (
        *(
            (one.name, f"{one.pascal}RecordQueueUrl", f"{one.pascal}DeadLetterQueueUrl")
            for one in services.generating()
        ),
        (USAGE, "UsageQueueUrl", "UsageDeadLetterQueueUrl"),
    ):
        if name not in ("", area):
            continue
        with console.step(area, "moving messages") as step:
            moved = _move(sqs, stack_now.outputs[dead_letters], stack_now.outputs[queue])
            step.note = f"{moved} messages moved back to the queue"


def _move(sqs: Any, source: str, destination: str) -> int:
    """Move what is there, ten at a time. A message is removed from the source when the destination has it.

    Raises CommandFailed when the destination refused some: these stay where they are.
    """
    moved, refused = 0, []
    while messages := sqs.receive_message(QueueUrl=source, MaxNumberOfMessages=_MOST, WaitTimeSeconds=1).get(
        "Messages"
    ):
        entries = [{"Id": str(place), "MessageBody": one["Body"]} for place, one in enumerate(messages)]
        answer = sqs.send_message_batch(QueueUrl=destination, Entries=entries)
        refused += [one.get("Message", one["Code"]) for one in answer.get("Failed", ())]
        sent = [
            {"Id": one["Id"], "ReceiptHandle": messages[int(one["Id"])]["ReceiptHandle"]}
            for one in answer.get("Successful", ())
        ]
        if sent:
            sqs.delete_message_batch(QueueUrl=source, Entries=sent)
        moved += len(sent)
    if refused:
        raise CommandFailed("redrive", f"{len(refused)} were refused: {refused[0]}", f"{moved} moved; run it again")
    return moved
