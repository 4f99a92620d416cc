"""When a function gets a batch of a queue's messages from MiniStack, and how large a one."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from localstack.ministack import batches

ARN = "arn:aws:sqs:us-east-1:000000000000:queue"
ALWAYS, NEVER = 0, 10**12
"""Windows, in seconds, that have ended for a message of the epoch's beginning, and that have not."""


def batch_of(waiting: int, window: int, *, at_work: int = 0, fifo: bool = False, mapped: bool = True) -> int:
    """How many messages a mapping of 20 takes of those that wait."""
    queue = {
        "is_fifo": fifo,
        "attributes": {"QueueArn": ARN, "VisibilityTimeout": "180"},
        "messages": [{"visible_at": 0} for _ in range(waiting)],
    }
    sqs = SimpleNamespace(
        _queues_lock=threading.Lock(),
        _get_q=lambda _url: queue,
        _expire_retained=lambda _queue: None,
        _dlq_sweep=lambda _queue: None,
        _collect_msgs=lambda queue, most, visibility: queue["messages"][:most] if visibility == 180 else [],
        _receive_messages_for_esm=lambda _url, most: queue["messages"][: min(most, 10)],
    )
    mapping = {"UUID": "1", "EventSourceArn": ARN, "MaximumBatchingWindowInSeconds": window}
    functions = SimpleNamespace(
        _iter_all_esms=lambda: [("account", "region", mapping)] if mapped else [],
        _esm_inflight={"1": at_work},
        _sqs_esm_concurrency=lambda *_arguments: 5,
    )
    batches.install(sqs, functions)
    return len(sqs._receive_messages_for_esm("url", 20))


@pytest.mark.parametrize("waiting", [0, 3, 30])
def test_an_idle_function_gets_what_there_is(waiting: int) -> None:
    assert batch_of(waiting, NEVER) == min(waiting, 20)


def test_a_busy_function_gets_the_next_batch_when_it_is_full_or_old() -> None:
    assert batch_of(3, NEVER, at_work=1) == 0
    assert batch_of(20, NEVER, at_work=1) == 20
    assert batch_of(3, ALWAYS, at_work=1) == 3


def test_messages_in_order_are_left_to_ministack() -> None:
    assert batch_of(30, NEVER, fifo=True) == 10
    assert batch_of(30, NEVER, mapped=False) == 10


@pytest.mark.parametrize(("allowed", "at_once"), [(1, 1), (2, 2), (1000, batches.AT_ONCE)])
def test_no_more_work_at_once_than_there_are_processors(allowed: int, at_once: int) -> None:
    sqs: Any = SimpleNamespace(_receive_messages_for_esm=None)
    functions = SimpleNamespace(_sqs_esm_concurrency=lambda *_arguments: allowed)
    batches.install(sqs, functions)
    assert functions._sqs_esm_concurrency({}, {}, {}) == at_once
