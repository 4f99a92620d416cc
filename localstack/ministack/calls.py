"""How a call goes through MiniStack 1.5's processes of functions: one thread writes it, and reads answer and log.

MiniStack starts two threads for each call, and has one for the log of each environment that hands it on line by line;
most of a short call is these threads' waiting for each other. And it waits after each call until the log was silent for
a while; here a worker says where the log of a call ends.
"""

from __future__ import annotations

import functools
import os
import queue
import select
import threading
import time
import types
from collections.abc import Callable
from typing import Any

READ_BYTES = 64 * 1024
# A process that a function has started may keep the log open.
LONGEST_LOG_SECONDS = 0.25
IDLE_SECONDS = 60.0
# Its first character is in no line of a log; the id of the call comes after it, nothing when the function is loaded.
END_OF_LOG = "\0end of "
_SAYS = f"        print({END_OF_LOG!r} + {{}}, file=sys.__stderr__, flush=True)\n"
# What ends MiniStack's script for Python: the answer to one call, and the loop over all of them.
_ANSWERED = "        _real_stdout.flush()\n\nrun()\n"
_IS_READY = '        _real_stdout.write(json.dumps({"status": "ready", "cold": True}) + "\\n")\n'


def install(lambda_runtime: Any, concurrency: Any, s3: Any) -> None:
    """Put everything of this module into MiniStack's `core.lambda_runtime`, `core.concurrency` and `services.s3`."""
    _end_logs(lambda_runtime)
    _read_in_one_thread(lambda_runtime)
    _keep_threads(concurrency, s3)


class _Lines:
    """The lines that come out of a pipe."""

    def __init__(self, pipe: Any) -> None:
        self.pipe = pipe
        self.descriptor = pipe.fileno()
        self.has_ended = False
        self.there: list[bytes] = []
        self._begun: list[bytes] = []

    def read(self) -> None:
        """Take what is there; waits where nothing is."""
        content = os.read(self.descriptor, READ_BYTES)
        self.has_ended = not content
        first, *others = content.split(b"\n")
        self._begun.append(first)
        for line in others:
            self.there.append(b"".join(self._begun))
            self._begun = [line]
        if self.has_ended and any(self._begun):
            self.there.append(b"".join(self._begun))

    def take(self) -> list[str]:
        """The lines that are there."""
        lines, self.there = self.there, []
        return [line.decode("utf-8", "replace") for line in lines]


class _Pipes:
    """What a worker writes: answers, and its log beside them, so that neither pipe fills up unread."""

    def __init__(self, answers: _Lines, log: _Lines) -> None:
        self._answers, self._log = answers, log
        self._lines: list[str] = []
        self._ready = select.poll()
        for each in (answers, log):
            if not each.has_ended:
                self._ready.register(each.descriptor, select.POLLIN)
        self.deadline = 0.0
        self.is_late = False

    def readline(self) -> str:
        """The next line; nothing at the end, and when the call takes longer than it may."""
        while not self._lines and not self._answers.has_ended and not self.is_late:
            is_in_time = self._read(self.deadline)
            self._lines = self._answers.take()
            self.is_late = not (is_in_time or self._lines or self._answers.has_ended)
        return f"{self._lines.pop(0)}\n" if self._lines else ""

    def log(self, call: str) -> str:
        """The log to the end of a call, or what there is of it for as long as that may take."""
        kept: list[str] = []
        deadline = time.monotonic() + LONGEST_LOG_SECONDS
        is_whole, is_in_time = False, True
        while True:
            for line in self._log.take():
                before, end, ended = line.partition(END_OF_LOG)
                kept += [before] if before or not end else []
                is_whole |= bool(end) and ended == call
            if is_whole or self._log.has_ended or not is_in_time:
                return "\n".join(kept)
            is_in_time = self._read(deadline)

    def _read(self, deadline: float) -> bool:
        """Wait for something, and take it; False when it, or nothing, came too late."""
        left = deadline - time.monotonic()
        ready = self._ready.poll(max(0.0, left) * 1000)
        descriptors = {descriptor for descriptor, _event in ready}
        for each in (self._answers, self._log):
            if each.descriptor in descriptors:
                each.read()
                if each.has_ended:
                    self._ready.unregister(each.descriptor)
        return left > 0 and bool(ready)


class _Reader:
    """Stands for the thread that reads an answer: it is read by who starts it."""

    def __init__(self, target: Callable[[], None], worker: Any) -> None:
        self._target, self._worker = target, worker

    def start(self) -> None:
        """Read the answer."""
        self._worker.pipes.deadline = time.monotonic() + self._worker.config.get("Timeout", 30)
        self._target()

    def join(self, timeout: float) -> None:
        """Nothing is left to wait for."""

    def is_alive(self) -> bool:
        """Whether there is no answer yet."""
        return bool(self._worker.pipes.is_late)


def _is_python(worker: Any) -> bool:
    return str(worker.config.get("Runtime", "python")).startswith("python")


def _end_logs(lambda_runtime: Any) -> None:
    """A worker says when the log of a call is whole, so that its answer need not wait until the log is silent."""
    detect = lambda_runtime._detect_runtime_binary

    def detected(runtime: str) -> tuple[str, str]:
        binary, script = detect(runtime)
        if not runtime.startswith("python"):
            return binary, script
        for last, told in ((_ANSWERED, "context.aws_request_id"), (_IS_READY, "''")):
            if script.count(last) != 1:
                raise RuntimeError("MiniStack's worker ends a call in another way than this module knows")
            script = script.replace(last, _SAYS.format(told) + last)
        return binary, script

    lambda_runtime._detect_runtime_binary = detected


def _read_in_one_thread(lambda_runtime: Any) -> None:
    """Who waits for a call reads the worker's pipes. While a function is loaded, a thread reads its log."""
    worker_class = lambda_runtime.Worker
    spawn, invoke, read_log = worker_class._spawn, worker_class.invoke, worker_class._read_stderr
    drain, drain_at_once = worker_class._drain_stderr_bounded, worker_class._drain_stderr
    calling = threading.local()
    threads = lambda_runtime.threading

    def thread(target: Callable[[], None], **named: Any) -> Any:
        worker = getattr(calling, "worker", None)
        if worker is not None and target.__name__ == "_read_response":
            return _Reader(target, worker)
        return threads.Thread(target=target, **named)

    def read_while_loading(worker: Any) -> None:
        if not _is_python(worker):
            read_log(worker)
            return
        log = worker.loading_log = _Lines(worker._proc.stderr)
        while not log.has_ended and not any(END_OF_LOG.encode() in line for line in log.there):
            log.read()

    def spawned(worker: Any) -> None:
        spawn(worker)
        if _is_python(worker):
            worker._stderr_thread.join()
            worker.pipes = worker._proc.stdout = _Pipes(_Lines(worker._proc.stdout), worker.loading_log)

    def invoked(worker: Any, event: Any, request_id: str, **named: Any) -> Any:
        worker.request_id = request_id
        calling.worker = worker if _is_python(worker) else None
        return invoke(worker, event, request_id, **named)

    def drained(worker: Any, *arguments: Any, **named: Any) -> str:
        return str(worker.pipes.log(worker.request_id) if _is_python(worker) else drain(worker, *arguments, **named))

    def drained_at_once(worker: Any) -> str:
        return str(worker.pipes.log(worker.request_id) if _is_python(worker) else drain_at_once(worker))

    lambda_runtime.threading = _with_threads(threads, thread)
    worker_class._spawn, worker_class.invoke, worker_class._read_stderr = spawned, invoked, read_while_loading
    worker_class._drain_stderr_bounded, worker_class._drain_stderr = drained, drained_at_once


def _with_threads(threads: Any, thread: Callable[..., Any]) -> types.SimpleNamespace:
    """Stands for the `threading` module, with another way to make a thread."""
    return types.SimpleNamespace(**vars(threads) | {"Thread": thread})


class _Threads:
    """Threads that take on something else when they are done; as many as are wanted at once."""

    def __init__(self, thread: Callable[..., Any]) -> None:
        self._thread = thread
        self._idle: list[queue.SimpleQueue[Callable[[], None]]] = []

    def run(self, target: Callable[[], None]) -> None:
        """Run it in a thread. Raises ``RuntimeError`` when there can be no further one."""
        try:
            work = self._idle.pop()
        except IndexError:
            work = queue.SimpleQueue()
            self._thread(target=self._work, args=[work], daemon=True).start()
        work.put(target)

    def _work(self, work: queue.SimpleQueue[Callable[[], None]]) -> None:
        while True:
            try:
                target = work.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                try:
                    self._idle.remove(work)
                except ValueError:  # it is wanted, this very moment
                    continue
                return
            target()
            self._idle.append(work)


def _keep_threads(concurrency: Any, s3: Any) -> None:
    """A thread for a call, or for an event of S3, is one that is there, where one is idle."""
    threads = concurrency.threading
    kept = _Threads(threads.Thread)

    class Thread:
        """A thread's start, which is all that is done with it."""

        def __init__(self, target: Callable[..., None], args: Any = (), kwargs: Any = None, **_named: Any) -> None:
            self._target = functools.partial(target, *args, **kwargs or {})

        def start(self) -> None:
            """Run it."""
            kept.run(self._target)

    def thread(target: Callable[[], None], **named: Any) -> Any:
        kind = Thread if target.__qualname__.startswith("run_reentrant.") else threads.Thread
        return kind(target=target, **named)

    concurrency.threading = _with_threads(threads, thread)
    s3.threading = _with_threads(s3.threading, Thread)
