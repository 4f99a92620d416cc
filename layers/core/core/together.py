"""Work that waits for AWS, done at once, by a few threads that an execution environment makes once."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import lru_cache

THREADS = 4


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, "together")


def at_once(*calls: Callable[[], object]) -> None:
    """Do all of the calls, the last one in this thread. Raises what the first of those that failed did.

    It returns, or raises, when every call has ended, so nothing goes on unheard.
    """
    *others, own = calls
    begun: list[Future[object]] = [_threads().submit(copy_context().run, call) for call in others]
    try:
        own()
    finally:
        wait(begun)
    for each in begun:
        each.result()
