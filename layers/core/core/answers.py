"""Answers of HTTP/1.1 servers, read strictly from a socket: https://www.rfc-editor.org/rfc/rfc9112.

``http.client`` reads headers with ``email``, which takes longer than all else that is done with a short answer.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

_BLANKS = " \t"
_PIECE_BYTES = 64 * 1024
_LINE_BYTES = 64 * 1024
_MOST_HEADERS = 100
_MOST_INTERIM_ANSWERS = 10
_SWITCHING_PROTOCOLS = 101
_OK = 200
_NO_CONTENT = 204
_NOT_MODIFIED = 304

# A line ends with CR and LF. Either of them alone is no end and no text, nor is NUL: others may take it for one.
_STATUS = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9][0-9])(?: [^\0\r\n]*)?")
_HEADER = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([^\0\r\n]*)")
_MORE_OF_A_VALUE = re.compile(r"[ \t][^\0\r\n]*")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]+)[ \t]*(?:;[^\0\r\n]*)?")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered; the names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Malformed(Exception):
    """What came is no answer, or not all of one."""


class Unanswered(ConnectionError):
    """The connection ended before the first byte of an answer."""


def read(receive: Callable[[int], bytes], method: str) -> tuple[Answer, bool]:
    """The answer to a request of the method, and whether its connection can take another one.

    ``receive`` is a socket's ``recv``, whose errors travel. Raises ``Malformed``, or ``Unanswered``.
    """
    incoming = _Incoming(receive)
    for _ in range(_MOST_INTERIM_ANSWERS + 1):
        version, status = _status(incoming)
        headers = _headers(incoming)
        if status >= _OK:
            break
        if status == _SWITCHING_PROTOCOLS:
            raise Malformed("a protocol that nobody asked for")
    else:
        raise Malformed("no final answer")
    can_be_kept = version > 0 and "close" not in _listed(headers.get("connection", "").lower())
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if method == "HEAD" or status in (_NO_CONTENT, _NOT_MODIFIED):
        body = b""
    elif coding is not None:
        if coding.lower() != "chunked":
            raise Malformed("a transfer coding that is unknown")
        body = b"".join(_chunks(incoming))
        # Who tells the length as well may mean another end.
        can_be_kept = can_be_kept and length is None
    elif length is not None:
        body = incoming.exactly(_length(length))
    else:
        body = incoming.rest()
        can_be_kept = False
    return Answer(status, headers, body), can_be_kept and incoming.is_used_up


class _Incoming:
    """Bytes as they come, in large pieces."""

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self._here = b""
        self._at = 0
        self._has_begun = False

    @property
    def is_used_up(self) -> bool:
        """Whether nothing is left of what came."""
        return self._at == len(self._here)

    def line(self) -> bytes:
        """Bytes to the end of a line, without it."""
        while (end := self._here.find(b"\r\n", self._at, self._at + _LINE_BYTES)) < 0:
            if len(self._here) - self._at >= _LINE_BYTES:
                raise Malformed("a line is too long")
            self._here = self._here[self._at :] + self._some()
            self._at = 0
        line = self._here[self._at : end]
        self._at = end + 2
        return line

    def exactly(self, count: int) -> bytes:
        """So many bytes."""
        pieces = []
        while (found := len(self._here) - self._at) < count:
            pieces.append(self._here[self._at :])
            count -= found
            self._here = self._some()
            self._at = 0
        pieces.append(self._here[self._at : self._at + count])
        self._at += count
        return b"".join(pieces)

    def rest(self) -> bytes:
        """All bytes until the connection ends."""
        pieces = [self._here[self._at :]]
        self._at = len(self._here)
        while piece := self._receive(_PIECE_BYTES):
            pieces.append(piece)
        return b"".join(pieces)

    def _some(self) -> bytes:
        piece = self._receive(_PIECE_BYTES)
        if not piece:
            raise Malformed("the connection ended within an answer") if self._has_begun else Unanswered("no answer")
        self._has_begun = True
        return piece


def _status(incoming: _Incoming) -> tuple[int, int]:
    """The second number of the version, and the status."""
    found = _STATUS.fullmatch(incoming.line())
    if found is None:
        raise Malformed("no status line")
    return int(found[1]), int(found[2])


def _headers(incoming: _Incoming) -> dict[str, str]:
    headers: dict[str, str] = {}
    name = None
    for _ in range(_MOST_HEADERS + 1):
        line = incoming.line().decode("latin-1")
        if not line:
            return headers
        if found := _HEADER.fullmatch(line):
            name, value = found[1].lower(), found[2].strip(_BLANKS)
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        elif name is not None and _MORE_OF_A_VALUE.fullmatch(line):
            # As servers wrote it long ago (§5.2).
            headers[name] = f"{headers[name]} {line.strip(_BLANKS)}".strip(_BLANKS)
        else:
            raise Malformed("no header")
    raise Malformed("too many headers")


def _listed(text: str) -> set[str]:
    return {each.strip(_BLANKS) for each in text.split(",")}


def _length(text: str) -> int:
    # The same one may be there several times (§6.3).
    told = _listed(text)
    length = told.pop()
    if told or not _LENGTH.fullmatch(length):
        raise Malformed("no length")
    return int(length)


def _chunks(incoming: _Incoming) -> Iterator[bytes]:
    while True:
        found = _CHUNK.fullmatch(incoming.line())
        if found is None:
            raise Malformed("no size of a chunk")
        size = int(found[1], 16)
        if size == 0:
            _headers(incoming)  # trailers, of which none is wanted
            return
        yield incoming.exactly(size)
        if incoming.exactly(2) != b"\r\n":
            raise Malformed("a chunk does not end where it should")
