"""Find the model's process, start it when there is none, and speak HTTP with it over its Unix socket."""

import fcntl
import hashlib
import http.client
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from generation.providers import Deadline, ProviderError, ProviderTimeout
from model import server

MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
IDLE_SECONDS = 300.0
SOCKET = "server.sock"
# sun_path has 108 bytes on Linux and 104 elsewhere, its end among them; a server that starts has two characters more.
_LONGEST_ADDRESS = 101
_POLL_SECONDS = 0.02
# A server that ends of itself while it starts does so the next time, too.
_STARTS = 2
# What a server of all workers may have of the worker that starts it: never its role's credentials.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "LANG")


class ServerGone(Exception):
    """The server ended before it answered; another one may be started."""


def private_folder() -> Path:
    """The folder of this user's server for this model and this program, made with nobody else's access."""
    digest = hashlib.sha256(MODEL_SHA256.encode() + Path(server.__file__).read_bytes()).hexdigest()
    name = Path(f"llm-microservices-{os.getuid()}") / f"model-{digest[:12]}"
    usual = Path(tempfile.gettempdir()) / name
    # A socket's address is short, and a clone may be deep in somebody's folders.
    return usual if len(os.fsencode(usual / SOCKET)) <= _LONGEST_ADDRESS else Path("/tmp") / name  # noqa: S108


class Connection:
    """The way of one worker to the server. Its folder's users' lock is held as long as this object lives."""

    def __init__(self, folder: Path | None = None, idle_seconds: float = IDLE_SECONDS) -> None:
        self._folder = folder or private_folder()
        self._idle_seconds = idle_seconds
        for each in (self._folder.parent, self._folder) if folder is None else (self._folder,):
            _make_private(each)
        self._users = os.open(self._folder / "users", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        fcntl.flock(self._users, fcntl.LOCK_SH)

    def __del__(self) -> None:
        if hasattr(self, "_users"):
            os.close(self._users)

    def touch(self) -> None:
        """Say that the server is in use."""
        os.utime(self._users)

    def post(self, path: str, body: Mapping[str, Any], deadline: Deadline) -> "Answer":
        """Send JSON; returns when the answer begins. Starts the server when there is none.

        Raises ``ProviderTimeout``, ``ProviderError`` when no server can be started, and ``ServerGone``.
        """
        self.touch()
        channel = self._connect(deadline)
        connection = http.client.HTTPConnection("localhost")
        connection.sock = channel
        try:
            _set_timeout(channel, deadline)
            connection.request(
                "POST", path, json.dumps(body), {"Content-Type": "application/json", "Connection": "close"}
            )
            _set_timeout(channel, deadline)
            return Answer(connection.getresponse(), channel, deadline)
        except TimeoutError:
            channel.close()
            raise ProviderTimeout from None
        except (OSError, http.client.HTTPException):
            channel.close()
            raise ServerGone from None
        except BaseException:
            channel.close()
            raise

    def _connect(self, deadline: Deadline) -> socket.socket:
        starts = 0
        while deadline.remaining():
            channel = socket.socket(socket.AF_UNIX)
            try:
                _set_timeout(channel, deadline)
                channel.connect(str(self._folder / SOCKET))
            except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
                channel.close()
            except TimeoutError:
                channel.close()
                break
            else:
                return channel
            if (lock := self._lock_if_free()) is not None:
                try:
                    if starts == _STARTS:
                        raise ProviderError("the model's server does not start")
                    self._start(lock, deadline)
                    starts += 1
                finally:
                    os.close(lock)
            time.sleep(min(_POLL_SECONDS, deadline.remaining()))
        raise ProviderTimeout

    def _lock_if_free(self) -> int | None:
        """The descriptor of the lock when no server holds it."""
        lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock

    def _start(self, lock: int, deadline: Deadline) -> None:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
        command = (sys.executable, "-m", server.__name__, str(self._folder), str(lock), str(self._idle_seconds))
        try:
            subprocess.run(  # noqa: S603 - our own program
                command, env=environment, pass_fds=(lock,), check=True, timeout=deadline.remaining(),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ProviderTimeout from None
        except (OSError, subprocess.CalledProcessError) as error:
            raise ProviderError("the model's server does not start") from error


class Answer:
    """An answer of the server; every read ends by the deadline of its request."""

    def __init__(self, response: http.client.HTTPResponse, channel: socket.socket, deadline: Deadline) -> None:
        self.status = response.status
        self._response = response
        self._channel = channel
        self._deadline = deadline

    def read(self) -> bytes:
        """All of it. Raises ``ProviderTimeout`` or ``ServerGone``, as ``line`` does."""
        with self._response:
            return self._within_deadline(self._response.read)

    def line(self) -> bytes:
        """The next line with its end; empty at the end of the answer."""
        return self._within_deadline(self._response.readline)

    def close(self) -> None:
        """Give it up: the server sees that nobody listens any more."""
        self._response.close()

    def _within_deadline(self, read: Callable[[], bytes]) -> bytes:
        try:
            _set_timeout(self._channel, self._deadline)
            return read()
        except TimeoutError:
            raise ProviderTimeout from None
        except (OSError, http.client.HTTPException):
            raise ServerGone from None


def _set_timeout(channel: socket.socket, deadline: Deadline) -> None:
    """Let the next operation last until the deadline. Raises ``ProviderTimeout`` when that is over."""
    remaining = deadline.remaining()
    if not remaining:
        raise ProviderTimeout
    channel.settimeout(remaining)


def _make_private(folder: Path) -> None:
    """Make the folder, or make sure that it is ours alone: in /tmp others could have laid one there before."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ProviderError("the model's folder is not private")
