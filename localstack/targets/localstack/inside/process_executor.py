"""Functions for LocalStack as processes of this machine, with their layers, where it would start containers.

A function's process is AWS's own runtime client (awslambdaric) in an environment that has boto3 and nothing else. Its
layers, merged in their order into one folder, and its package are on PYTHONPATH; `/opt/…` in the name of a wrapper
means that folder.
"""

import hashlib
import importlib
import os
import queue
import select
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import IO, Any

import lambda_runtime_api
from lambda_runtime_api import Call, RuntimeApi

# Of the shell of whoever started the platform, only what a process needs to work here.
KEPT = (
    "PATH", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy",
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip
WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"
LONGEST_START_SECONDS = 120.0
POLL_SECONDS = 0.02
_merging = threading.Lock()


def install(python: Path, folder: Path) -> None:
    """Let LocalStack run functions with this interpreter; merged layers go into the folder."""
    module: Any = importlib.import_module("localstack.services.lambda_.invocation.runtime_executor")
    executor = type("Executor", (ProcessExecutor,), {"python": python, "folder": folder})
    # Before what imports this function by name is imported itself.
    module.get_runtime_executor = lambda: executor


class ProcessExecutor:
    """One execution environment, as LocalStack's Lambda starts, calls and stops it."""

    python: Path
    folder: Path

    def __init__(self, id: str, function_version: Any) -> None:
        self.id = id
        self.function_version = function_version
        self._worker: Worker | None = None
        self._environment: dict[str, str] = {}
        self._log = Output()
        self._busy = threading.Lock()

    # ---------------------------------------------------------------- what LocalStack calls

    def start(self, env_vars: dict[str, Any]) -> None:
        """Start the function's process; returns once it waits for a call."""
        self._environment = self._variables({name: str(value) for name, value in env_vars.items()})
        self._worker = self._started()

    def invoke(self, payload: dict[str, str]) -> Any:
        """Call the function; its answer, or an error of Lambda's own."""
        with self._busy:
            return self._invoke(payload)

    def _invoke(self, payload: dict[str, str]) -> Any:
        seconds = float(self.function_version.config.timeout)
        call = Call(
            payload["invoke-id"],
            payload["payload"].encode(),
            payload["invoked-function-arn"],
            payload.get("trace-id") or "",
            seconds,
        )
        if self._worker is None or self._worker.has_ended:
            self._worker = self._started()
        started = time.monotonic()
        self._log.add(f"START RequestId: {call.id} Version: {self.function_version.id.qualifier}\n")
        is_error, body = self._worker.answer(call)
        took = (time.monotonic() - started) * 1000
        report = f"REPORT RequestId: {call.id}\tDuration: {took:.2f} ms\tBilled Duration: {int(took) + 1} ms\t"
        self._log.add(f"END RequestId: {call.id}\n{report}\n")
        result = importlib.import_module("localstack.services.lambda_.invocation.lambda_models").InvocationResult
        return result(call.id, body, is_error=is_error, logs=self._log.take())

    def stop(self) -> None:
        """End the process, after the call that it is in: so a function that changes fails none."""
        finished = self._busy.acquire(timeout=float(self.function_version.config.timeout))
        try:
            if self._worker is not None:
                self._worker.end()
        finally:
            if finished:
                self._busy.release()

    def get_address(self) -> str:
        """Where the environment is."""
        return "127.0.0.1"

    def get_endpoint_from_executor(self) -> str:
        """Where the environment finds LocalStack."""
        return "127.0.0.1"

    def get_runtime_endpoint(self) -> str:
        """Where a container would report to; a process has the Runtime API itself."""
        return "http://127.0.0.1"

    def get_logs(self) -> str:
        """What the process has written and nobody has taken yet."""
        return self._log.peek()

    @classmethod
    def prepare_version(cls, function_version: Any) -> None:
        """Unpack the function's package."""
        if function_version.config.code:
            function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version: Any) -> None:
        """LocalStack removes the package itself."""

    @classmethod
    def validate_environment(cls) -> bool:
        """There is nothing to look for."""
        return True

    # ---------------------------------------------------------------- the process

    def _variables(self, given: dict[str, str]) -> dict[str, str]:
        config = self.function_version.config
        package = str(config.code.get_unzipped_code_location())
        opt = merged(config.layers, self.folder / "layers") if config.layers else None
        version = config.runtime.removeprefix("python")
        layers = [f"{opt}/python/lib/python{version}/site-packages", f"{opt}/python"] if opt else []
        if opt and given.get(WRAPPER, "").startswith("/opt/"):
            given[WRAPPER] = str(opt / given[WRAPPER].removeprefix("/opt/"))
        return {
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            "LANG": "en_US.UTF-8",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            **given,
            "LAMBDA_TASK_ROOT": package,
            "LD_LIBRARY_PATH": f"{opt}/lib" if opt else "",
            "PYTHONPATH": os.pathsep.join([package, *layers]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def _started(self) -> "Worker":
        """A process that waits for its first call. Raises LocalStack's error when the function does not load."""
        worker = Worker(self.python, self._environment, self._log)
        failure = worker.failure_to_start()
        if failure is not None:
            worker.end()
            error = importlib.import_module("localstack.services.lambda_.invocation.executor_endpoint")
            raise error.StatusErrorException("the function's process did not start", payload=failure)
        return worker


class Worker:
    """A function's process with a Runtime API of its own: what one that was killed waited for is not the next one's."""

    def __init__(self, python: Path, environment: dict[str, str], log: "Output") -> None:
        self._api = RuntimeApi()
        wrapper = [environment[WRAPPER]] if environment.get(WRAPPER) else []
        self._process = subprocess.Popen(
            [*wrapper, str(python), "-m", "awslambdaric", environment["_HANDLER"]],
            env=environment | {"AWS_LAMBDA_RUNTIME_API": self._api.address},
            cwd=environment["LAMBDA_TASK_ROOT"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if self._process.stdout is not None:
            log.follow(self._process.stdout)

    @property
    def has_ended(self) -> bool:
        """Whether there is no process any more."""
        return self._process.poll() is not None

    def failure_to_start(self) -> bytes | None:
        """Wait until the function has been imported; what it failed with, or nothing."""
        deadline = time.monotonic() + LONGEST_START_SECONDS
        while not self._api.ready.wait(POLL_SECONDS):
            if self.has_ended or time.monotonic() > deadline:
                return lambda_runtime_api.exited("", self._process.poll())
        return self._api.init_error

    def answer(self, call: Call) -> tuple[bool, bytes]:
        """Have the function answer; whether that is an error, and the body."""
        deadline = time.monotonic() + call.seconds
        self._api.begin(call)
        while True:
            try:
                return call.answer.get(timeout=POLL_SECONDS)
            except queue.Empty:
                status = self._process.poll()
            if status is not None and call.answer.empty():
                return True, lambda_runtime_api.exited(call.id, status)
            if time.monotonic() > deadline:
                self.end()
                return True, lambda_runtime_api.timed_out(call.id, call.seconds)

    def end(self) -> None:
        """End the process and its server."""
        # As Lambda does: no function hears of its end, and the runtime client would not heed SIGTERM while it waits.
        self._process.kill()
        self._process.wait()
        self._api.close()


class Output:
    """What the processes of an environment write, until it is taken."""

    def __init__(self) -> None:
        self._text = b""
        self._pipe: int | None = None
        self._lock = threading.Lock()

    def follow(self, pipe: IO[bytes]) -> None:
        """Read what a process writes, for as long as it lives; the one before has ended."""
        with self._lock:
            self._pipe = pipe.fileno()
        threading.Thread(target=self._read, args=(pipe,), daemon=True).start()

    def _read(self, pipe: IO[bytes]) -> None:
        while True:
            select.select([pipe], [], [])
            with self._lock:
                if not self._drain(pipe.fileno()):
                    if self._pipe == pipe.fileno():
                        self._pipe = None
                    pipe.close()
                    return

    def _drain(self, pipe: int) -> bool:
        """Take in what is there, with the lock held; False when there will be no more."""
        while select.select([pipe], [], [], 0)[0]:
            piece = os.read(pipe, 65536)
            if not piece:
                return False
            self._text += piece
        return True

    def _catch_up(self) -> None:
        if self._pipe is not None:
            self._drain(self._pipe)

    def add(self, line: str) -> None:
        """A line of Lambda's own, after all that was written until now."""
        with self._lock:
            self._catch_up()
            self._text += line.encode()

    def peek(self) -> str:
        """What was written."""
        with self._lock:
            self._catch_up()
            return self._text.decode(errors="replace")

    def take(self) -> str:
        """What was written since it was last taken."""
        with self._lock:
            self._catch_up()
            text, self._text = self._text, b""
        return text.decode(errors="replace")


def merged(layers: list[Any], folder: Path) -> Path:
    """The folder that holds the layers, merged in order: a later one wins. Made once for each list of versions."""
    names = "\n".join(f"{layer.layer_version_arn} {layer.code.id}" for layer in layers)
    target = folder / hashlib.sha256(names.encode()).hexdigest()[:16]
    with _merging:
        if not target.exists():
            fresh = target.with_suffix(".new")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            for layer in layers:
                layer.code.prepare_for_execution()
                source = layer.code.get_unzipped_code_location()
                shutil.copytree(source, fresh, copy_function=_link, dirs_exist_ok=True)
            fresh.rename(target)
    return target


def _link(source: str, target: str) -> None:
    if os.path.lexists(target):
        os.unlink(target)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
