"""Functions that work a queue off get batches as Lambda makes them, where MiniStack 1.5 hands out ten messages at most.

A mapping with a batching window gathers for as long as that says, or until a batch is full. What follows after a call,
such as the index, so is done for many calls together, and does not take the processor from the next one at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any


def install(lambda_service: Any, sqs: Any) -> None:
    """Put everything of this module into MiniStack's `services.lambda_svc` and `services.sqs`."""
    _gather(lambda_service, sqs)


def _gather(lambda_service: Any, sqs: Any) -> None:
    """Pass a mapping over until its batch is full or its window over, and let batches have their full size then."""
    mappings, receive = lambda_service._iter_all_esms, sqs._receive_messages_for_esm
    since: dict[str, float] = {}

    def waiting(account: str, region: str, queue_name: str) -> int:
        """How many messages may be received now."""
        tokens = lambda_service._request_account_id.set(account), lambda_service._request_region.set(region)
        try:
            queue = sqs._queues.get(sqs._queue_url(queue_name)) or {"messages": []}
            now = time.time()
            return sum(message.get("visible_at", 0) <= now for message in list(queue["messages"]))
        finally:
            lambda_service._request_account_id.reset(tokens[0])
            lambda_service._request_region.reset(tokens[1])

    def is_due(account: str, region: str, mapping: dict[str, Any]) -> bool:
        window = int(mapping.get("MaximumBatchingWindowInSeconds") or 0)
        source = str(mapping.get("EventSourceArn"))
        if not window or ":sqs:" not in source:
            return True
        number, name = waiting(account, region, source.rpartition(":")[2]), mapping["UUID"]
        now = time.monotonic()
        if number and name not in since:
            since[name] = now
            over = threading.Timer(window, lambda_service._esm_wake.set)
            over.daemon = True
            over.start()
        if 0 < number < int(mapping.get("BatchSize") or 10) and now < since[name] + window:
            return False
        since.pop(name, None)
        return True

    def due() -> Iterator[tuple[str, str, dict[str, Any]]]:
        return (each for each in mappings() if is_due(*each))

    def received(queue_url: str, size: int) -> list[Any]:
        batch: list[Any] = receive(queue_url, size)
        more = batch
        while more and len(batch) < int(size or 1) and not queue_url.endswith(".fifo"):
            more = receive(queue_url, size - len(batch))
            batch += more
        return batch

    lambda_service._iter_all_esms, sqs._receive_messages_for_esm = due, received
