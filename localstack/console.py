"""What the commands print: steps with their time, and failures that say what, why and what to do."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LABEL_WIDTH = 14
PROGRESS_SECONDS = 2.0
PLAIN_PROGRESS_SECONDS = 10.0


class CommandFailed(Exception):
    """A step that cannot go on: what failed, why, and what the person can do about it."""

    def __init__(self, what: str, why: str, remedy: str, *, log: Path | None = None) -> None:
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why
        self.remedy = remedy
        self.log = log


def line(label: str, text: str) -> None:
    """Print one aligned line."""
    print(f"  {label:<{LABEL_WIDTH}}{text}", flush=True)


def heading(text: str) -> None:
    """Print a title with an empty line before it."""
    print(f"\n{text}", flush=True)


class Step:
    """A running step; `note` is what its final line says besides the time."""

    def __init__(self, label: str, doing: str) -> None:
        self.label = label
        self.doing = doing
        self.note = ""
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the step has been running."""
        return time.monotonic() - self.started


@contextmanager
def step(label: str, doing: str) -> Iterator[Step]:
    """Show that `doing` is going on (from two seconds on), then how long it took.

    A terminal gets one line that is written over; a file gets a line every ten seconds.
    """
    current = Step(label, doing)
    finished = threading.Event()
    terminal = sys.stdout.isatty()

    def report() -> None:
        wait = PROGRESS_SECONDS
        while not finished.wait(wait):
            if terminal:
                print(f"\r  {label:<{LABEL_WIDTH}}{doing} … {current.seconds:.0f} s ", end="", flush=True)
                wait = 1.0
            else:
                line(label, f"{doing} … {current.seconds:.0f} s")
                wait = PLAIN_PROGRESS_SECONDS

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield current
    finally:
        finished.set()
        reporter.join()
        if terminal:
            print("\r\033[K", end="")
    line(label, f"{current.note or doing} ({current.seconds:.1f} s)")


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log file, indented; empty when there is none."""
    if not log.exists():
        return ""
    text = log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(f"    {entry}" for entry in text)


def report_failure(failure: CommandFailed) -> None:
    """Print a failure for a person, on standard error."""
    print(f"\n  {failure.what} failed\n  why        {failure.why}\n  what to do {failure.remedy}", file=sys.stderr)
    if failure.log is not None:
        print(f"  log        {failure.log}", file=sys.stderr)
        excerpt = tail(failure.log)
        if excerpt:
            print(excerpt, file=sys.stderr)


def status_of(command: str, run: Callable[[], None]) -> int:
    """Run a command; its exit status. A failure is told to the person."""
    # The environments are made with nothing but the standard library, and by then there is no boto3.
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        run()
    except CommandFailed as failure:
        report_failure(failure)
        return 1
    except BrokenPipeError:
        # Whoever read our output has read enough; the interpreter would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (BotoCoreError, ClientError, OSError) as error:
        remedy = "look at `make status`; `make down`, `make up` restart all"
        report_failure(CommandFailed(command, str(error), remedy))
        return 1
    except KeyboardInterrupt:
        print()
        return 130
    return 0
