"""A batch of a queue's messages is as large as its event source mapping says: MiniStack 1.5 takes ten at most, at once.

A function that is idle gets what there is without delay, which is sooner than on AWS. One that works on a batch already
gets the next when that is full, or when its oldest message has waited for the mapping's window. As many batches of a
mapping are worked on at once as there are processors, two at least: more of them are smaller, and only wait.
"""

from __future__ import annotations

import os
import time
from typing import Any

AT_ONCE = max(2, os.cpu_count() or 1)


def install(sqs: Any, lambda_service: Any) -> None:
    """Put this into MiniStack's `services.sqs`, from where `services.lambda_svc` takes batches."""
    receive, concurrency = sqs._receive_messages_for_esm, lambda_service._sqs_esm_concurrency

    def received(queue_url: str, most: int) -> list[dict[str, Any]]:
        with sqs._queues_lock:
            queue = sqs._get_q(queue_url)
            mapping = None if queue["is_fifo"] else _mapping(lambda_service, queue["attributes"]["QueueArn"])
            if mapping is not None:
                sqs._expire_retained(queue)
                sqs._dlq_sweep(queue)
                is_busy = lambda_service._esm_inflight.get(mapping["UUID"], 0) > 0
                if is_busy and _may_grow(queue, most, mapping.get("MaximumBatchingWindowInSeconds", 0), time.time()):
                    return []
                batch: list[dict[str, Any]] = sqs._collect_msgs(queue, most, _visibility(queue))
                return batch
        found: list[dict[str, Any]] = receive(queue_url, most)
        return found

    def bounded(*arguments: Any) -> int:
        return min(AT_ONCE, int(concurrency(*arguments)))

    sqs._receive_messages_for_esm, lambda_service._sqs_esm_concurrency = received, bounded


def _mapping(lambda_service: Any, queue: str) -> Any:
    """The mapping of a queue, by its ARN."""
    mappings = (mapping for _, _, mapping in lambda_service._iter_all_esms() if mapping.get("EventSourceArn") == queue)
    return next(mappings, None)


def _may_grow(queue: Any, most: int, window: float, now: float) -> bool:
    """Whether a batch is not full, and none of its messages has waited for as long as they may."""
    visible = [message["visible_at"] for message in queue["messages"] if message["visible_at"] <= now]
    return len(visible) < most and min(visible, default=now) > now - window


def _visibility(queue: Any) -> int:
    return int(queue["attributes"].get("VisibilityTimeout", "30"))
