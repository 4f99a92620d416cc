"""How MiniStack runs functions here: an interpreter that sees only boto3, shared unpacked code, bounded bursts.

A function that changes finishes the calls that it has begun.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
import shutil
import tempfile
import threading
import time
import weakref
import zipfile
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

# What a layer's archive is replaced by where it is unpacked; an archive begins with PK.
UNPACKED = b"unpacked "
_DIGEST_CHARACTERS = 64
COLD_STARTS_AT_ONCE = os.cpu_count() or 1
# A function that never gets ready must not stop the others for ever.
LONGEST_WAIT_SECONDS = 20.0
POLL_SECONDS = 0.05
# So long none of a function's environments became free: they wait for somebody else, and not for a processor.
STALLED_SECONDS = 0.05
LONG_SECONDS = 0.5
# An environment's first call takes the processor for longer than the others do: so long it counts as one that starts.
FIRST_CALL_SECONDS = 0.15
NICENESS = 5


def install(lambda_runtime: Any, lambda_service: Any, interpreter: Path, unpacked: Path) -> None:
    """Put everything of this module into MiniStack's `core.lambda_runtime` and `services.lambda_svc`."""
    _use_interpreter(lambda_runtime, interpreter)
    _go_second(lambda_runtime)
    _share_unpacked_code(lambda_runtime, lambda_service, unpacked)
    _bound_cold_starts(lambda_runtime, lambda_service)
    _finish_calls(lambda_runtime, lambda_service)


# MiniStack's script for Python puts the function's package on the path, and then the layers before it.
PACKAGE_FIRST = "    sys.path.insert(0, code_dir)\n"
BEFORE_IMPORT = "    _ms_install_invoke_depth()\n    try:\n"


def _use_interpreter(lambda_runtime: Any, interpreter: Path) -> None:
    """Functions see Python, boto3 and their layers, as on AWS; not what MiniStack itself needs.

    And they see their own package before their layers.
    """
    detect = lambda_runtime._detect_runtime_binary

    def detected(runtime: str) -> tuple[str, str]:
        binary, script = detect(runtime)
        if not runtime.startswith("python"):
            return binary, script
        if script.count(BEFORE_IMPORT) != 1:
            raise RuntimeError("MiniStack starts Python functions in another way than it did")
        return str(interpreter), script.replace(BEFORE_IMPORT, PACKAGE_FIRST + BEFORE_IMPORT)

    lambda_runtime._detect_runtime_binary = detected


def _go_second(lambda_runtime: Any) -> None:
    """The platform's own process goes first where processors are few: all functions wait for it."""
    detect = lambda_runtime._detect_runtime_binary

    def detected(runtime: str) -> tuple[str, str]:
        binary, script = detect(runtime)
        return binary, f"import os\nos.nice({NICENESS})\n{script}" if runtime.startswith("python") else script

    lambda_runtime._detect_runtime_binary = detected


def _share_unpacked_code(lambda_runtime: Any, lambda_service: Any, unpacked: Path) -> None:
    """Unpack each package once, by its content, instead of once for each environment; read-only, as on AWS.

    The archive of a layer is not even written down and looked through: an environment that starts is given the layer's
    digest, which stands for it.
    """
    guard = threading.Lock()
    resolve, spawn = lambda_service._resolve_layer_zip, lambda_runtime.Worker._spawn
    starting = threading.local()
    digests: dict[tuple[int, int], str] = {}
    promised: set[str] = set()

    def unpack(archive: zipfile.ZipFile, digest: str) -> None:
        _remove_unused(unpacked, promised)
        fresh = unpacked / f"{digest}.{os.getpid()}"
        shutil.rmtree(fresh, ignore_errors=True)
        zipfile.ZipFile.extractall(archive, fresh)
        fresh.rename(unpacked / digest)

    def link(digest: str, path: Any) -> None:
        promised.discard(digest)
        Path(path).rmdir()
        Path(path).symlink_to(unpacked / digest, target_is_directory=True)

    class SharedArchive(zipfile.ZipFile):
        """An archive that `extractall` links to one unpacked copy."""

        def __init__(self, file: Any, *arguments: Any, **named: Any) -> None:
            super().__init__(file, *arguments, **named)
            self.source = file

        def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
            """Point `path`, an empty folder, at the unpacked copy."""
            if members is not None or pwd is not None or any(Path(path).iterdir()):
                super().extractall(path, members, pwd)
                return
            with open(self.source, "rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            with guard:
                if not (unpacked / digest).exists():
                    unpack(self, digest)
                link(digest, path)
            Path(self.source).unlink()

    class UnpackedArchive(contextlib.nullcontext[Any]):
        """What a digest stands for."""

        def __init__(self, digest: str) -> None:
            super().__init__(self)
            self.digest = digest

        def namelist(self) -> list[str]:
            """Nothing that is not unpacked."""
            return []

        def extractall(self, path: Any) -> None:
            """Point `path`, an empty folder, at the unpacked copy."""
            with guard:
                link(self.digest, path)

    def opened(file: Any, *arguments: Any, **named: Any) -> Any:
        with open(file, "rb") as content:
            start = content.read(len(UNPACKED) + _DIGEST_CHARACTERS)
        if start.startswith(UNPACKED):
            return UnpackedArchive(start.removeprefix(UNPACKED).decode())
        return SharedArchive(file, *arguments, **named)

    class Archives:
        """Stands for the `zipfile` module inside MiniStack's runtime."""

        ZipFile = staticmethod(opened)
        BadZipFile = zipfile.BadZipFile
        LargeZipFile = zipfile.LargeZipFile
        LargeFileError = zipfile.LargeZipFile

    def resolved(attachment: Any) -> Any:
        content = resolve(attachment)
        if content is None or not getattr(starting, "environment", False):
            return content
        # Python works a content's hash out once, as long as it is there.
        known = len(content), hash(content)
        if known not in digests:
            digests[known] = hashlib.sha256(content).hexdigest()
        digest = digests[known]
        with guard:
            if not (unpacked / digest).exists():
                with zipfile.ZipFile(io.BytesIO(content)) as archive:
                    unpack(archive, digest)
            promised.add(digest)
        return UNPACKED + digest.encode()

    def spawned(worker: Any) -> None:
        starting.environment = True
        try:
            spawn(worker)
        finally:
            starting.environment = False

    unpacked.mkdir(parents=True, exist_ok=True)
    lambda_runtime.zipfile = Archives
    lambda_runtime.Worker._spawn, lambda_service._resolve_layer_zip = spawned, resolved


def _remove_unused(unpacked: Path, promised: Collection[str]) -> None:
    """Remove the copies that no environment links to, or is about to: those of earlier deployments."""
    environments = Path(tempfile.gettempdir()).glob("ministack-lambda-*/*")
    used = {link.resolve() for link in environments if link.is_symlink()}
    for copy in set(unpacked.iterdir()) - used - {unpacked / digest for digest in promised}:
        shutil.rmtree(copy)


def _bound_cold_starts(lambda_runtime: Any, lambda_service: Any) -> None:
    """A burst waits for a free environment while that helps, and while as many as processors are already starting.

    Fifty cold starts at the same time take a small machine longer than the calls themselves. So once a function has as
    many environments as there are processors, its calls wait as long as others end: a further environment starts when
    none has become free for a moment (they wait for a slow provider, say), or when a call has waited for long.
    """
    acquire, release = lambda_runtime.acquire_worker, lambda_runtime.release_worker
    guard = threading.Lock()
    # Of those that wait for the same function, one is woken by an environment that becomes free.
    freed: defaultdict[str, threading.Condition] = defaultdict(functools.partial(threading.Condition, guard))
    released: dict[str, float] = {}
    # When environments that have not answered yet were there.
    started: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()
    spawn = lambda_runtime.Worker._spawn

    def spawned(worker: Any) -> None:
        spawn(worker)
        started[worker] = time.monotonic()

    def is_starting(worker: Any, now: float) -> bool:
        return bool(worker._cold or now - started.get(worker, 0.0) < FIRST_CALL_SECONDS)

    def may_go(key: str, since: float) -> bool:
        with lambda_runtime._lock:
            own = lambda_runtime._workers.get(key, [])
            if any(not worker.in_use for worker in own):
                return True
            everyone = [worker for workers in lambda_runtime._workers.values() for worker in workers]
            now = time.monotonic()
            starting = [worker for worker in everyone if worker.in_use and is_starting(worker, now)]
        if len(starting) >= COLD_STARTS_AT_ONCE:
            return False
        is_moving = now - max(since, released.get(key, 0.0)) < STALLED_SECONDS
        return len(own) < COLD_STARTS_AT_ONCE or not is_moving or now - since > LONG_SECONDS

    def patient(
        name: str, config: dict[str, Any], code: bytes, qualifier: str = "$LATEST", max_concurrency: int | None = None
    ) -> Any:
        key = lambda_runtime._worker_key(name, config, qualifier)
        since = time.monotonic()
        with guard:
            while not may_go(key, since) and time.monotonic() < since + LONGEST_WAIT_SECONDS:
                freed[key].wait(POLL_SECONDS)
            return acquire(name, config, code, qualifier=qualifier, max_concurrency=max_concurrency)

    def told(worker: Any) -> None:
        release(worker)
        if worker is None:
            return
        key = lambda_runtime._worker_key(worker.func_name, worker.config, _version(worker))
        with guard:
            started.pop(worker, None)
            released[key] = time.monotonic()
            freed[key].notify()

    lambda_runtime.Worker._spawn = spawned
    lambda_runtime.acquire_worker = lambda_service.acquire_worker = patient
    lambda_runtime.release_worker = lambda_service.release_worker = told


def _version(worker: Any) -> str:
    return str(worker.config.get("Version", "$LATEST"))


def _finish_calls(lambda_runtime: Any, lambda_service: Any) -> None:
    """A change of a function ends its idle environments at once and a busy one after its call, as on AWS."""
    invalidate, release = lambda_runtime.invalidate_worker, lambda_runtime.release_worker
    retired: set[Any] = set()

    def end(worker: Any) -> None:
        with lambda_runtime._lock:
            if worker not in retired:
                return
            retired.remove(worker)
        lambda_runtime.kill_workers([worker])

    def end_when_idle(worker: Any) -> None:
        """Give this environment no further call, and end it after the one that it is in."""
        with lambda_runtime._lock:
            for workers in lambda_runtime._workers.values():
                workers[:] = [each for each in workers if each is not worker]
            retired.add(worker)
            is_busy = worker.in_use
        if not is_busy:
            end(worker)

    def retire_busy(
        name: str, qualifier: str | None = None, account: str | None = None, region: str | None = None
    ) -> None:
        busy = []
        with lambda_runtime._lock:
            for key, workers in lambda_runtime._workers.items():
                *_scope, function, version = key.split(":")
                if function == name and qualifier in (None, version):
                    busy += [worker for worker in workers if worker.in_use]
                    workers[:] = [worker for worker in workers if not worker.in_use]
            retired.update(busy)
        for worker in busy:
            # One that has failed is not released: its time is over when the function's is.
            timer = threading.Timer(worker.config.get("Timeout", 3) + 1, end, [worker])
            timer.daemon = True
            timer.start()
        invalidate(name, qualifier=qualifier, account=account, region=region)

    def release_or_end(worker: Any) -> None:
        release(worker)
        end(worker)

    lambda_runtime.invalidate_worker = lambda_service.invalidate_worker = retire_busy
    lambda_runtime.release_worker = lambda_service.release_worker = release_or_end
    lambda_runtime.end_when_idle = end_when_idle
