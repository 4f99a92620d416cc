"""A burst of calls waits for a free environment of LocalStack's Lambda while as many as there are processors start.

LocalStack starts one for each call that finds none free; fifty cold starts at once take a small machine longer than
the gateway waits. A call that waits still starts another one as soon as a processor is free for that.
"""

import importlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

POLL_SECONDS = 0.01


def install() -> None:
    """Put this before LocalStack's assignment of environments to calls."""
    service: Any = importlib.import_module("localstack.services.lambda_.invocation.assignment").AssignmentService
    ready = importlib.import_module("localstack.services.lambda_.invocation.execution_environment").RuntimeStatus.READY
    service.get_environment = bounded(service.get_environment, ready, os.cpu_count() or 1)


def bounded(assign: Any, ready: Any, at_once: int) -> Any:
    """LocalStack's method, with no more than so many environments starting at the same time."""
    starting = threading.Semaphore(at_once)
    admission = threading.Lock()

    @contextmanager
    def get_environment(self: Any, version_manager_id: str, *arguments: Any) -> Iterator[Any]:
        with ExitStack() as stack:
            while True:
                with admission:
                    if any(one.status == ready for one in list(self.environments[version_manager_id].values())):
                        environment = stack.enter_context(assign(self, version_manager_id, *arguments))
                        break
                    may_start = starting.acquire(blocking=False)
                if may_start:
                    try:
                        environment = stack.enter_context(assign(self, version_manager_id, *arguments))
                    finally:
                        starting.release()
                    break
                time.sleep(POLL_SECONDS)
            yield environment

    return get_environment
