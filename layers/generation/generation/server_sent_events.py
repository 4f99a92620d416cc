"""Read server-sent events from bytes as they arrive (WHATWG HTML §9.2), whole lines and whole events at a time."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from generation.providers import ProviderError

MOST_BYTES_OF_LINE = 1024 * 1024
# A line ends with CR LF, LF or CR; a CR at the very end may be half of a CR LF.
_END_OF_LINE = re.compile(rb"\r\n|\n|\r(?!\Z)")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """An event: its type, ``message`` unless the server says another, and its data."""

    kind: str
    data: str


def events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """The events with data. One that the end cuts off in front of its empty line counts, too: some servers end so.

    Raises ``ProviderError`` for a line without an end.
    """
    kind, data = "message", list[str]()
    for line in _lines(chunks):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield Event(kind, "\n".join(data))
            kind, data = "message", []
        elif name == "event":
            kind = value or "message"
        elif name == "data":
            data.append(value)
        # Comments have no name; ids and times of reconnection are for clients that come back.
    if data:
        yield Event(kind, "\n".join(data))


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = bytearray()
    is_first = True
    for chunk in chunks:
        has_end = b"\n" in chunk or b"\r" in chunk or rest.endswith(b"\r")
        rest += chunk
        # Looked through only where there is something new: a server may send byte after byte and no end.
        *lines, last = _END_OF_LINE.split(bytes(rest)) if has_end else (rest,)
        for line in lines:
            yield (line.removeprefix(_BYTE_ORDER_MARK) if is_first else line).decode("utf-8", "replace")
            is_first = False
        if has_end:
            rest = bytearray(last)
        if len(rest) > MOST_BYTES_OF_LINE:
            raise ProviderError("answer too large")
    if rest:
        yield rest.rstrip(b"\r").decode("utf-8", "replace")
