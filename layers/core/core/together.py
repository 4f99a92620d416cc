"""Calls that are under way at once, and are waited for all together."""

from collections.abc import Callable, Iterable


def finish(begun: Iterable[Callable[[], object]]) -> None:
    """Wait for all that was begun. Raises what the first one of those that failed did, when every one has ended."""
    failures: list[BaseException] = []
    for result in begun:
        try:
            result()
        except BaseException as error:
            failures.append(error)
    try:
        for failure in failures:
            raise failure
    finally:
        failures.clear()  # they know of this frame
