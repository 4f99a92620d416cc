"""A function's further environments are copies of one that has been loaded: they start at once and share its memory.

The first environment of a function starts as ever. Once a second one is wanted while it is busy, a template of the
function is started: a process that imports it as an environment does, never answers a call, and makes a copy of itself
for each environment that is wanted from then on. It ends with the function's code and when nothing was asked of it for
a while.
"""

from __future__ import annotations

import array
import io
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

IDLE_SECONDS = 60.0
_LENGTH_BYTES = 8
_LAYERS = "_LAMBDA_LAYERS_DIRS"

# What MiniStack's script for Python does when a function is imported, and what a template does instead.
_IS_READY = '        _real_stdout.write(json.dumps({"status": "ready", "cold": True}) + "\\n")\n'
_WAITS = """        if os.environ.get("FUNCTION_TEMPLATE"):
            _become_copies(int(os.environ.pop("FUNCTION_TEMPLATE")))
"""
_COPIES = '''
def _become_copies(number):
    """Make a copy of this process for each message; returns in the copies only."""
    import array, gc, json, os, signal, socket, sys
    link = socket.socket(fileno=number)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    sys.stdout.flush()
    link.sendall(b"!")
    while True:
        size = array.array("i")
        head, ancillary, _flags, _address = link.recvmsg(8, socket.CMSG_SPACE(4 * size.itemsize))
        if not head:
            os._exit(0)
        for _level, _kind, data in ancillary:
            size.frombytes(data[: len(data) - len(data) % size.itemsize])
        length, body = int.from_bytes(head, "big"), b""
        while len(body) < length:
            body += link.recv(length - len(body))
        process = os.fork()
        if process == 0:
            break
        for descriptor in size:
            os.close(descriptor)
        link.sendall(process.to_bytes(8, "big"))
    link.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for target, descriptor in enumerate(list(size)[:3]):
        os.dup2(descriptor, target)
        os.close(descriptor)
    # The last one is never written to: that it is closed tells the platform of this process's end.
    os.set_inheritable(size[3], False)
    message = json.loads(body)
    os.environ.update(message["env"])
    os.chdir(message["cwd"])
    sys.stdin.readline()
'''


class Copy:
    """A process that a template made, as `subprocess.Popen` shows one."""

    def __init__(self, pid: int, pipes: Sequence[int], life: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        # MiniStack writes lines and reads lines, as to a process of its own.
        self.stdin = io.TextIOWrapper(os.fdopen(pipes[0], "wb"), line_buffering=True, write_through=True)
        self.stdout = os.fdopen(pipes[1], "r")
        self.stderr = os.fdopen(pipes[2], "r")
        self._life = os.fdopen(life, "rb")

    def poll(self) -> int | None:
        """Its end, if it has ended; how it ended nobody knows."""
        if self.returncode is None and self._has_ended(0):
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises ``subprocess.TimeoutExpired``."""
        if self.returncode is None:
            if not self._has_ended(timeout):
                raise subprocess.TimeoutExpired("a copy", timeout or 0)
            self._end()
        return -1

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._signal(signal.SIGKILL)

    def _has_ended(self, seconds: float | None) -> bool:
        # Not `select`, which takes no descriptor above 1,023; a platform in a burst has more.
        ended = select.poll()
        try:
            ended.register(self._life, select.POLLIN)
        except ValueError:  # closed, by another thread that saw its end
            return True
        return bool(ended.poll(None if seconds is None else seconds * 1000))

    def _end(self) -> None:
        self.returncode = -1
        self._life.close()

    def _signal(self, number: signal.Signals) -> None:
        if self.returncode is None and self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Template:
    """The process that environments of one function are copies of."""

    def __init__(self, command: Sequence[str], cwd: str, env: Mapping[str, str], init: str) -> None:
        self.used = time.monotonic()
        self._asking = threading.Lock()
        self._link, theirs = socket.socketpair()
        number = theirs.fileno()
        with theirs:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**env, "FUNCTION_TEMPLATE": str(number)},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[number],
            )
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.write(init.encode() + b"\n")
        self._process.stdin.flush()

    def is_loaded(self) -> bool:
        """Wait until the function is imported; whether that worked."""
        with self._asking:
            return self._link.recv(1) == b"!"

    def copy(self, cwd: str, env: Mapping[str, str]) -> Copy:
        """A copy with an environment of its own. Raises ``OSError`` when there is no template any more."""
        ours: list[int] = []
        theirs: list[int] = []
        for number in range(4):
            reading, writing = os.pipe()
            # Of its standard input it has the end that reads, of everything else the one that writes.
            ours.append(writing if number == 0 else reading)
            theirs.append(reading if number == 0 else writing)
        body = json.dumps({"cwd": cwd, "env": dict(env)}).encode()
        try:
            with self._asking:
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", theirs).tobytes())
                self._link.sendmsg([len(body).to_bytes(_LENGTH_BYTES, "big")], [rights])
                self._link.sendall(body)
                told = self._link.recv(_LENGTH_BYTES, socket.MSG_WAITALL)
            if len(told) < _LENGTH_BYTES:
                raise ConnectionError("the template has ended")
        except OSError:
            for descriptor in ours:
                os.close(descriptor)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        self.used = time.monotonic()
        return Copy(int.from_bytes(told, "big"), ours[:3], ours[3])

    def end(self) -> None:
        """End the template; its copies go on."""
        self._link.close()
        self._process.kill()
        self._process.wait()


class _Function:
    """The environments of one function, as it is at present: the first one, and the template of the others.

    The first one shares no memory with the others: it goes when there are copies.
    """

    def __init__(self, end_when_idle: Callable[[Any], None]) -> None:
        self.guard = threading.Lock()
        self.first: subprocess.Popen[str] | None = None
        self.template: Template | None = None
        self._of_first: Any = None
        self._end_when_idle = end_when_idle

    def environment(self, worker: Any, command: Sequence[str], options: Mapping[str, Any]) -> Any:
        """A process for one environment: a copy where there is one already."""
        with self.guard:
            if self.template is None and (self.first is None or self.first.poll() is not None):
                self.first, self._of_first = subprocess.Popen(command, **options), worker
                return self.first
            try:
                self.template = self.template or self._loaded(worker, command, options)
                copy = self.template.copy(options["cwd"], options["env"])
                first, self._of_first = self._of_first, None
                if first is not None:
                    threading.Thread(target=self._end_when_idle, args=[first], daemon=True).start()
                return copy
            except OSError:
                # It says itself, as an environment of its own, why it cannot be loaded.
                self.end()
                return subprocess.Popen(command, **options)

    def _loaded(self, worker: Any, command: Sequence[str], options: Mapping[str, Any]) -> Template:
        """A template. Raises ``OSError`` when the function cannot be loaded."""
        config, env = worker.config, dict(options["env"])
        # The paths of an environment go with it; what they lead to stays.
        code = os.path.realpath(options["cwd"])
        layers = [os.path.realpath(path) for path in filter(None, env.get(_LAYERS, "").split(os.pathsep))]
        env |= {"LAMBDA_TASK_ROOT": code} | ({_LAYERS: os.pathsep.join(layers)} if layers else {})
        module, _, handler = config["Handler"].rpartition(".")
        init = {
            "code_dir": code,
            "module": module.replace("/", "."),
            "handler": handler,
            "env": {},
            "function_name": config.get("FunctionName", ""),
            "memory": config.get("MemorySize", 128),
            "arn": config.get("FunctionArn", ""),
        }
        template = Template(command, code, env, json.dumps(init))
        if not template.is_loaded():
            template.end()
            raise ConnectionError("the function cannot be loaded")
        return template

    def end(self) -> None:
        """End the template."""
        template, self.template = self.template, None
        if template:
            template.end()


class _Functions:
    """All functions that have environments, by name and version."""

    def __init__(self, end_when_idle: Callable[[Any], None]) -> None:
        self._end_when_idle = end_when_idle
        self._guard = threading.Lock()
        self._functions: dict[tuple[str, str], _Function] = {}

    def of(self, config: Mapping[str, Any]) -> _Function:
        """The function with this configuration."""
        with self._guard:
            key = config["FunctionName"], config.get("Version", "$LATEST")
            return self._functions.setdefault(key, _Function(self._end_when_idle))

    def end(self, name: str | None = None) -> None:
        """Forget a function that changes, or all; their templates end."""
        with self._guard:
            gone = [key for key in self._functions if name in (None, key[0])]
            functions = [self._functions.pop(key) for key in gone]
        for function in functions:
            with function.guard:
                function.end()

    def end_idle(self, now: float) -> None:
        """End the templates of which nothing was asked for a while."""
        with self._guard:
            functions = list(self._functions.values())
        for function in functions:
            with function.guard:
                if function.template and now - function.template.used > IDLE_SECONDS:
                    function.end()


def install(lambda_runtime: Any, lambda_service: Any) -> None:
    """Put this into MiniStack's `core.lambda_runtime` and `services.lambda_svc`."""
    _copy_environments(lambda_runtime, lambda_service)


def _copy_environments(lambda_runtime: Any, lambda_service: Any) -> None:
    """Have environments made by the functions' templates, and end these with their functions."""
    functions = _Functions(lambda_runtime.end_when_idle)
    starting = threading.local()
    detect, spawn = lambda_runtime._detect_runtime_binary, lambda_runtime.Worker._spawn
    invalidate, reset = lambda_runtime.invalidate_worker, lambda_runtime.reset
    reap = lambda_runtime.reap_idle_workers

    def detected(runtime: str) -> tuple[str, str]:
        binary, script = detect(runtime)
        if not runtime.startswith("python"):
            return binary, script
        if script.count(_IS_READY) != 1:
            raise RuntimeError("MiniStack's worker says in another way than this module knows that it is ready")
        return binary, _COPIES + script.replace(_IS_READY, _WAITS + _IS_READY)

    def spawned(worker: Any) -> None:
        starting.worker = worker
        try:
            spawn(worker)
        finally:
            starting.worker = None

    class Processes:
        """Stands for the `subprocess` module inside MiniStack's runtime."""

        PIPE, STDOUT = subprocess.PIPE, subprocess.STDOUT
        TimeoutExpired = subprocess.TimeoutExpired

        @staticmethod
        def Popen(command: Sequence[str], **options: Any) -> Any:  # noqa: N802
            """A new process, or a copy of the function's template."""
            worker = getattr(starting, "worker", None)
            if worker is None or not worker.config.get("Runtime", "").startswith("python"):
                return subprocess.Popen(command, **options)
            options["env"] = {**options["env"], "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}
            return functions.of(worker.config).environment(worker, command, options)

    def invalidated(name: str, *arguments: Any, **named: Any) -> None:
        functions.end(name)
        invalidate(name, *arguments, **named)

    def ended() -> None:
        functions.end()
        reset()

    def reaped(*arguments: Any) -> int:
        functions.end_idle(time.monotonic())
        return int(reap(*arguments))

    lambda_runtime._detect_runtime_binary, lambda_runtime.subprocess = detected, Processes
    lambda_runtime.Worker._spawn = spawned
    lambda_runtime.invalidate_worker = lambda_service.invalidate_worker = invalidated
    lambda_runtime.reset = ended
    lambda_runtime.reap_idle_workers = lambda_service.reap_idle_workers = reaped
