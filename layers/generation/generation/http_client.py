"""HTTP calls that are over by their deadline, whatever the server does.

A timeout of ``requests`` starts anew with every byte that arrives, so a server that sends one byte a second holds a
caller for ever. Here an alarm cuts the call's connection at the deadline, be it in the TLS handshake, the headers or
the body.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from core import alarms
from generation.providers import Deadline, ProviderError, ProviderTimeout

CONNECT_SECONDS = 5.0
_CHUNK_BYTES = 64 * 1024


class Answer(NamedTuple):
    """A response; ``content`` is empty unless the status is 200."""

    status: int
    content: bytes


class HttpClient:
    """Sends requests over connections that it keeps for the next ones. Safe to share between threads.

    Certificates are verified. Redirects are not followed and cookies not sent back: no credential and no trace of one
    caller goes anywhere else. The environment's proxies and CA bundle are used.
    """

    def __init__(self, *, connections: int = 8) -> None:
        self._session = requests.Session()
        self._environments: dict[tuple[str, str], Mapping[str, Any]] = {}
        adapter = _WatchedAdapter(pool_maxsize=connections)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, adapter)

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        deadline: Deadline,
        most_bytes: int,
        body: str | None = None,
    ) -> Answer:
        """Send the request and read at most ``most_bytes`` of the answer.

        Raises ``ProviderTimeout`` at the deadline and ``ProviderError`` for anything that is not an answer of HTTP. A
        request that meets a kept connection which the server has closed meanwhile is sent once more on a new one.
        """
        request = _prepared(method, url, headers, body)
        try:
            return self._exchange(request, deadline, most_bytes)
        except _StaleConnectionError:
            self._session.close()  # its other kept connections are of the same age
            return self._exchange(request, deadline, most_bytes)

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        deadline: Deadline,
        most_bytes: int,
        silent_seconds: float,
        body: str | None = None,
    ) -> "StreamedAnswer":
        """Send the request; returns when the answer's headers have arrived. Whoever gets the answer closes it.

        ``silent_seconds`` without ``StreamedAnswer.alive`` end it as the deadline does. Raises as ``send`` does, and
        so does reading.
        """
        request = _prepared(method, url, headers, body)
        try:
            return self._begin(request, deadline, most_bytes, silent_seconds)
        except _StaleConnectionError:
            self._session.close()
            return self._begin(request, deadline, most_bytes, silent_seconds)

    def close(self) -> None:
        """Close the kept connections."""
        self._session.close()

    def _exchange(self, request: requests.PreparedRequest, deadline: Deadline, most_bytes: int) -> Answer:
        seconds = _remaining(deadline)
        with _watch(seconds) as watch:
            try:
                with self._send(request, seconds) as response:
                    answer = Answer(response.status_code, _read(response, most_bytes))
            except (requests.RequestException, HTTPError) as error:
                # The cause stays behind: its message has the URL, and with it the prompt.
                raise watch.translate(error) from None
            if watch.expired:  # what looks like the end of the body may be our own cut
                raise ProviderTimeout
            return answer

    def _begin(
        self, request: requests.PreparedRequest, deadline: Deadline, most_bytes: int, silent_seconds: float
    ) -> "StreamedAnswer":
        seconds = _remaining(deadline)
        watch = _Watch(min(seconds, silent_seconds))
        _current.watch = watch
        try:
            response = self._send(request, seconds)
        except BaseException as error:
            watch.release()
            if isinstance(error, requests.RequestException | HTTPError):
                raise watch.translate(error) from None
            raise
        return StreamedAnswer(response, watch, deadline, most_bytes, silent_seconds)

    def _send(self, request: requests.PreparedRequest, seconds: float) -> requests.Response:
        environment = self._environment(request.url or "")
        return self._session.send(
            request, allow_redirects=False, timeout=(min(CONNECT_SECONDS, seconds), seconds), **environment
        )

    def _environment(self, url: str) -> Mapping[str, Any]:
        """The proxies and certificates of the environment for a host: to look for them takes longer than to send."""
        scheme, host = urlsplit(url)[:2]
        if (scheme, host) not in self._environments:
            found = self._session.merge_environment_settings(url, {}, True, None, None)
            self._environments[scheme, host] = found
        return self._environments[scheme, host]


class StreamedAnswer:
    """A response whose body is read while it arrives, whatever its status is."""

    def __init__(
        self,
        response: requests.Response,
        watch: "_Watch",
        deadline: Deadline,
        most_bytes: int,
        silent_seconds: float,
    ) -> None:
        self.status = response.status_code
        self._response = response
        self._watch = watch
        self._deadline = deadline
        self._most_bytes = most_bytes
        self._silent_seconds = silent_seconds

    def __iter__(self) -> Iterator[bytes]:
        """The body as it arrives. Raises ``ProviderTimeout`` and ``ProviderError``."""
        count = 0
        try:
            for chunk in self._chunks():
                count += len(chunk)
                if count > self._most_bytes:
                    raise ProviderError("answer too large")
                yield chunk
        except (requests.RequestException, HTTPError, OSError) as error:
            raise self._watch.translate(error) from None
        if self._watch.expired:
            raise ProviderTimeout

    def _chunks(self) -> Iterator[bytes]:
        """What has arrived, not what fills a buffer: ``iter_content`` would wait for the one or the other."""
        raw = self._response.raw
        if raw.chunked:
            yield from raw.stream(_CHUNK_BYTES, decode_content=True)
        else:
            yield from iter(lambda: raw.read1(_CHUNK_BYTES, decode_content=True), b"")

    def alive(self, silent_seconds: float | None = None) -> None:
        """Say that the other side works: its silence is counted from now."""
        self._watch.postpone(min(silent_seconds or self._silent_seconds, self._deadline.remaining()))

    def hold(self) -> None:
        """Do not count silence until ``alive``: nobody listens meanwhile."""
        self._watch.postpone(self._deadline.remaining())

    def close(self) -> None:
        """Give up what has not arrived; a connection whose answer has been read to its end is kept."""
        self._watch.release()
        self._response.close()


def _prepared(method: str, url: str, headers: Mapping[str, str], body: str | None) -> requests.PreparedRequest:
    """Prepared without the session, which would add its cookies and the logins of a netrc file."""
    if body is None:  # what is asked for is in the URL, which is not to be kept
        return requests.Request(method, url, headers=dict(headers)).prepare()
    request = _addressed(method, url).copy()
    request.prepare_headers({**request.headers, **headers})
    request.prepare_body(body.encode(), None)
    return request


@lru_cache(maxsize=16)
def _addressed(method: str, url: str) -> requests.PreparedRequest:
    """A request as far as it is always the same, which takes longest."""
    return requests.Request(method, url).prepare()


def _remaining(deadline: Deadline) -> float:
    """The seconds that are left. Raises ``ProviderTimeout`` when there are none."""
    seconds = deadline.remaining()
    if not seconds:
        raise ProviderTimeout
    return seconds


def _read(response: requests.Response, most_bytes: int) -> bytes:
    if response.status_code != requests.codes.ok:
        return b""
    declared = response.headers.get("Content-Length", "")
    if declared.isdecimal() and int(declared) > most_bytes:
        raise ProviderError("answer too large")
    content = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        content += chunk
        if len(content) > most_bytes:
            raise ProviderError("answer too large")
    return bytes(content)


class _StaleConnectionError(Exception):
    """A kept connection turned out to be closed before a byte of the answer."""


class _Watch:
    """Cuts the connection of one call when its time is over, which is so many seconds from now."""

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self._is_new_connection = False
        self._answered = False
        self._released = False
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []
        self._end = time.monotonic() + seconds
        self._alarm = alarms.at(self._end, self._ring)

    def postpone(self, seconds: float) -> None:
        """The time is over so many seconds from now. Costs next to nothing: the alarm finds out when it rings."""
        self._end = time.monotonic() + seconds

    def _ring(self) -> None:
        with self._lock:
            if self._released:
                return
            if self._end > time.monotonic():
                self._alarm = alarms.at(self._end, self._ring)
                return
        self.expire()

    def connected(self, connection: socket.socket) -> None:
        """The call has opened this connection."""
        self._is_new_connection = True
        self._hold(connection)

    def sending(self, connection: socket.socket | None) -> None:
        """The call sends its request on this connection, unless it has yet to open one."""
        if connection is not None and not self._is_new_connection:
            self._hold(connection)

    def answered(self) -> None:
        """The headers of the answer have arrived."""
        self._answered = True

    def _hold(self, connection: socket.socket) -> None:
        # A second handle: the first moves into the TLS socket, and closes early when the server announces the end.
        handle = socket.socket(fileno=os.dup(connection.fileno()))
        with self._lock:
            self._handles.append(handle)
            if self.expired:
                _shut(handle)

    def expire(self) -> None:
        """Cut the connection; whoever reads from it meets its end."""
        with self._lock:
            self.expired = True
            for handle in self._handles:
                _shut(handle)

    def release(self) -> None:
        """Let go of the connection; it stays open for the next call."""
        with self._lock:
            self._released = True
            self._alarm.cancel()
            for handle in self._handles:
                handle.close()
            self._handles.clear()

    def translate(self, error: Exception) -> Exception:
        """What a failure of the call means."""
        cause = error.args[0] if error.args else None
        if (
            self.expired
            or isinstance(error, requests.Timeout | ReadTimeoutError)
            or isinstance(cause, ReadTimeoutError)
        ):
            return ProviderTimeout()
        if isinstance(error, requests.exceptions.SSLError):
            return ProviderError("TLS failed")
        if self._answered:
            return ProviderError("answer broken off")
        if isinstance(cause, ProtocolError) and not self._is_new_connection:
            return _StaleConnectionError()
        return ProviderError("connection failed")


def _shut(handle: socket.socket) -> None:
    with suppress(OSError):  # the other side was faster
        handle.shutdown(socket.SHUT_RDWR)


_current = threading.local()


@contextmanager
def _watch(seconds: float) -> Iterator[_Watch]:
    """Watch the connection that this thread uses inside the block."""
    watch = _Watch(seconds)
    _current.watch = watch
    try:
        yield watch
    finally:
        watch.release()


class _WatchedConnection(HTTPConnection):
    """A connection that shows its sockets to the watch of the call that uses it."""

    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        _current.watch.connected(connection)
        return connection

    def request(self, *args: Any, **options: Any) -> None:
        _current.watch.sending(self.sock)
        super().request(*args, **options)

    def getresponse(self) -> Any:
        response = super().getresponse()
        _current.watch.answered()
        return response


class _WatchedTlsConnection(_WatchedConnection, HTTPSConnection):
    pass


class _WatchedPool(HTTPConnectionPool):
    ConnectionCls = _WatchedConnection


class _WatchedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTlsConnection


class _WatchedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        _watch_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(proxy, **options)
        _watch_pools(manager)
        return manager


def _watch_pools(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _WatchedPool, "https": _WatchedTlsPool}
