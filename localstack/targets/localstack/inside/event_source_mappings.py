"""A queue's trigger that is changed or switched off has ended its last poll before LocalStack answers.

By itself it goes on for one more: what arrives then is taken although the trigger says "Disabled", and is hidden for as
long as the queue's messages were when that poll began.
"""

import importlib
from collections.abc import Callable
from typing import Any

# As long as the batching window, and the function that the poll may call.
LONGEST_POLL_SECONDS = 60.0


def install() -> None:
    """Let LocalStack wait for the poller that it stops."""
    module = "localstack.services.lambda_.event_source_mapping.esm_worker"
    worker: Any = importlib.import_module(module).EsmWorker
    worker.stop = waiting(worker.stop)


def waiting(stop: Callable[[Any], None]) -> Callable[[Any], None]:
    """LocalStack's method, which returns when nobody polls any more."""

    def stop_and_wait(self: Any) -> None:
        stop(self)
        if self._poller_thread is not None:
            self._poller_thread.join(LONGEST_POLL_SECONDS)

    return stop_and_wait
