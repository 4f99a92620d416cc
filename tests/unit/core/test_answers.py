"""Answers of servers are read as http.client reads them, where it is right; what is no answer is refused."""

import http.client
import socket
from collections.abc import Callable, Iterable

import pytest

from core import answers
from core.answers import Answer, Malformed, Unanswered, read

Receive = Callable[[int], bytes]


def of(*lines: str, body: bytes = b"") -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n" + body


def pieces(*texts: bytes) -> Receive:
    """A socket's ``recv`` on which these come, one after the other, and then the end."""
    left = [text for text in texts if text]

    def receive(count: int) -> bytes:
        if not left:
            return b""
        piece = left.pop(0)
        if piece[count:]:
            left.insert(0, piece[count:])
        return piece[:count]

    return receive


# What came, to which method; whether the connection can take another request.
GOOD: dict[str, tuple[str, bytes, bool]] = {
    "a length": ("GET", of("HTTP/1.1 200 OK", "Content-Length: 5", 'ETag: "1"', body=b"hello"), True),
    "no body": ("PUT", of("HTTP/1.1 200 OK", "content-length: 0"), True),
    "no phrase": ("GET", of("HTTP/1.1 404 ", "Content-Length: 2", body=b"no"), True),
    "no phrase and no blank": ("GET", of("HTTP/1.1 404", "Content-Length: 2", body=b"no"), True),
    "a phrase of several words": ("GET", of("HTTP/1.1 503 Slow Down Please", "Content-Length: 0"), True),
    "a status that nobody knows": ("GET", of("HTTP/1.1 799 Odd", "Content-Length: 0"), True),
    "line ends in a body": ("GET", of("HTTP/1.1 200 OK", "Content-Length: 8", body=b"\r\n\r\n\r\n\r\n"), True),
    "blanks about values": ("GET", of("HTTP/1.1 200 OK", "A:  x y", "B:", "Content-Length:0"), True),
    "letters beyond ASCII": ("GET", of("HTTP/1.1 200 OK", "X-Amz-Meta-A: \xe9\xff", "Content-Length: 0"), True),
    "names with all signs": ("GET", of("HTTP/1.1 200 OK", "!#$%&'*+-.^_`|~09aZ: 1", "Content-Length: 0"), True),
    "chunks": (
        "GET",
        of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
        True,
    ),
    "no chunk": ("GET", of("HTTP/1.1 200 OK", "Transfer-Encoding: Chunked", body=b"0\r\n\r\n"), True),
    "chunks with extensions and trailers": (
        "GET",
        of(
            "HTTP/1.1 200 OK",
            "Transfer-Encoding: chunked",
            body=b'0A;name="va;lue"\r\n0123456789\r\n000a ;x\r\n\r\n\r\n\r\n\r\n\r\n\r\n0;last\r\nX-Trailer: 1\r\nY: 2\r\n\r\n',
        ),
        True,
    ),
    "chunks in large letters": (
        "GET",
        of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"1F\r\n" + b"x" * 31 + b"\r\n0\r\n\r\n"),
        True,
    ),
    "the end of the connection": ("GET", of("HTTP/1.1 200 OK", "A: b", body=b"until\r\n\r\nthe end"), False),
    "nothing but the end of the connection": ("GET", of("HTTP/1.1 200 OK"), False),
    "a connection that is closed": (
        "GET",
        of("HTTP/1.1 200 OK", "Connection: Close", "Content-Length: 1", body=b"x"),
        False,
    ),
    "a connection that is closed, among other things": (
        "GET",
        of("HTTP/1.1 200 OK", "Connection: x-other, close", "Content-Length: 1", body=b"x"),
        False,
    ),
    "a connection that stays": (
        "GET",
        of("HTTP/1.1 200 OK", "Connection: keep-alive", "Content-Length: 1", body=b"x"),
        True,
    ),
    "HTTP/1.0": ("GET", of("HTTP/1.0 200 OK", "Content-Length: 1", body=b"x"), False),
    "HTTP/1.0 to the end": ("GET", of("HTTP/1.0 200 OK", body=b"x"), False),
    "HEAD": ("HEAD", of("HTTP/1.1 200 OK", "Content-Length: 500"), True),
    "204": ("DELETE", of("HTTP/1.1 204 No Content", "Server: x"), True),
    "304": ("GET", of("HTTP/1.1 304 Not Modified", "Content-Length: 500"), True),
    "100 before it": (
        "PUT",
        of("HTTP/1.1 100 Continue") + of("HTTP/1.1 200 OK", "Content-Length: 1", body=b"x"),
        True,
    ),
    "100 twice, with headers": (
        "PUT",
        of("HTTP/1.1 100 Continue", "A: b") * 2 + of("HTTP/1.1 200 OK", "Content-Length: 1", body=b"x"),
        True,
    ),
    "a long line": ("GET", of("HTTP/1.1 200 OK", f"A: {'a' * 65_000}", "Content-Length: 0"), True),
    "many headers": ("GET", of("HTTP/1.1 200 OK", *(f"A{n}: {n}" for n in range(98)), "Content-Length: 0"), True),
    "a large body": ("GET", of("HTTP/1.1 200 OK", "Content-Length: 150000", body=b"0123456789" * 15_000), True),
}
TO_THE_END = {"the end of the connection", "nothing but the end of the connection", "HTTP/1.0 to the end"}


def told_by_http_client(method: str, sent: bytes) -> tuple[Answer, bool]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(ours, method=method)
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        try:
            return Answer(response.status, headers, response.read()), not response.will_close
        finally:
            response.close()


@pytest.mark.parametrize("kind", GOOD)
def test_an_answer_is_read_as_http_client_reads_it(kind: str) -> None:
    method, sent, can_be_kept = GOOD[kind]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        told = read(ours.recv, method)
    assert told == told_by_http_client(method, sent)
    assert told[1] is can_be_kept


@pytest.mark.parametrize("kind", GOOD)
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(kind: str) -> None:
    method, sent, _ = GOOD[kind]
    whole = read(pieces(sent), method)
    # Of the long ones, the ends, where something may be cut; all of them byte by byte would take minutes.
    places: Iterable[int] = range(len(sent)) if len(sent) < 4000 else (*range(200), *range(len(sent) - 200, len(sent)))
    for place in places:
        assert read(pieces(sent[:place], sent[place:]), method) == whole
    if len(sent) < 4000:
        assert read(pieces(*(bytes([byte]) for byte in sent)), method) == whole


@pytest.mark.parametrize("kind", [kind for kind in GOOD if kind not in TO_THE_END])
def test_no_more_is_asked_for_than_there_is_and_what_follows_is_not_kept(kind: str) -> None:
    method, sent, _ = GOOD[kind]
    receive = pieces(sent)
    left = len(sent)

    def until_it_is_over(count: int) -> bytes:
        nonlocal left
        assert left, "the answer is over"
        piece = receive(count)
        left -= len(piece)
        return piece

    told, _ = read(until_it_is_over, method)
    assert read(pieces(sent + b"H"), method) == (told, False)


@pytest.mark.parametrize("kind", GOOD)
def test_an_answer_that_breaks_off_is_none(kind: str) -> None:
    method, sent, _ = GOOD[kind]
    if kind in TO_THE_END:  # any body is whole
        sent = sent[: sent.index(b"\r\n\r\n") + 4]
    with pytest.raises(Unanswered):
        read(pieces(), method)
    for place in (*range(1, min(len(sent), 400)), len(sent) - 1):
        with pytest.raises(Malformed):
            read(pieces(sent[:place]), method)


BAD: dict[str, bytes] = {
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "no protocol": b"\r\n\r\n",
    "HTTP/0.9": b"<html>hello</html>\r\n\r\n",
    "HTTP/2": of("HTTP/2.0 200 OK", "Content-Length: 0"),
    "two blanks": of("HTTP/1.1  200 OK", "Content-Length: 0"),
    "a blank before it": of(" HTTP/1.1 200 OK", "Content-Length: 0"),
    "small letters": of("http/1.1 200 OK", "Content-Length: 0"),
    "a status that is none": of("HTTP/1.1 2x0 OK", "Content-Length: 0"),
    "a status of two digits": of("HTTP/1.1 20 OK", "Content-Length: 0"),
    "a status of four digits": of("HTTP/1.1 2000 OK", "Content-Length: 0"),
    "a status below 100": of("HTTP/1.1 099 OK", "Content-Length: 0"),
    "lines that end with LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "a header that ends with LF": b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n",
    "a header with CR": b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\nContent-Length: 0\r\n\r\n",
    "a header with NUL": of("HTTP/1.1 200 OK", "A: b\0", "Content-Length: 0"),
    "a phrase with NUL": of("HTTP/1.1 200 O\0K", "Content-Length: 0"),
    "a header without a colon": of("HTTP/1.1 200 OK", "Content-Length 0"),
    "a header without a name": of("HTTP/1.1 200 OK", ": 0", "Content-Length: 0"),
    "a blank before a colon": of("HTTP/1.1 200 OK", "Content-Length : 0", "Content-Length: 0"),
    "a name with a blank": of("HTTP/1.1 200 OK", "Content Length: 0", "Content-Length: 0"),
    "a first header that goes on": of("HTTP/1.1 200 OK", " A: b", "Content-Length: 0"),
    "a line that is too long": of("HTTP/1.1 200 OK", f"A: {'a' * 65_536}", "Content-Length: 0"),
    "a status line that is too long": of(f"HTTP/1.1 200 {'a' * 65_536}", "Content-Length: 0"),
    "too many headers": of("HTTP/1.1 200 OK", *(f"A{n}: {n}" for n in range(100)), "Content-Length: 0"),
    "a length below nothing": of("HTTP/1.1 200 OK", "Content-Length: -1"),
    "a length with a sign": of("HTTP/1.1 200 OK", "Content-Length: +1", body=b"x"),
    "a length that is a word": of("HTTP/1.1 200 OK", "Content-Length: x"),
    "a length with a line below": of("HTTP/1.1 200 OK", "Content-Length: 1_0", body=b"0123456789"),
    "an empty length": of("HTTP/1.1 200 OK", "Content-Length:"),
    "a length beyond all": of("HTTP/1.1 200 OK", f"Content-Length: {'9' * 5000}"),
    "two lengths": of("HTTP/1.1 200 OK", "Content-Length: 1", "Content-Length: 2", body=b"xx"),
    "another coding": of("HTTP/1.1 200 OK", "Transfer-Encoding: gzip", body=b"x"),
    "two codings": of("HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "chunks in chunks": of(
        "HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
    "a size that is none": of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"x\r\n\r\n0\r\n\r\n"),
    "a size with a sign": of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"+1\r\nx\r\n0\r\n\r\n"),
    "a size with a prefix": of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"0x1\r\nx\r\n0\r\n\r\n"),
    "no size": of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"\r\nx\r\n0\r\n\r\n"),
    "a size beyond all": of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"f" * 9999 + b"\r\nx\r\n0\r\n\r\n"),
    "a chunk that is longer than told": of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"1\r\nxyz0\r\n\r\n"),
    "an extension with LF": of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"1;a\nb\r\nx\r\n0\r\n\r\n"),
    "too many trailers": of(
        "HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n"
    ),
    "another protocol from now on": (
        of("HTTP/1.1 101 Switching Protocols", "Upgrade: x") + of("HTTP/1.1 200 OK", "Content-Length: 0")
    ),
    "one that never comes": of("HTTP/1.1 100 Continue") * 12 + of("HTTP/1.1 200 OK", "Content-Length: 0"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_answer_is_refused(kind: str) -> None:
    for cut in (len(BAD[kind]), 1, 40):
        with pytest.raises(Malformed):
            read(pieces(BAD[kind][:cut], BAD[kind][cut:]), "GET")


def test_a_line_and_the_headers_may_be_as_long_as_those_of_http_client() -> None:
    line = "A: " + "a" * (65_536 - len("A: \r\n"))
    sent = of("HTTP/1.1 200 OK", line, "Content-Length: 0")
    assert read(pieces(sent), "GET") == told_by_http_client("GET", sent)
    longer = of("HTTP/1.1 200 OK", f"{line}a", "Content-Length: 0")
    with pytest.raises(http.client.LineTooLong):
        told_by_http_client("GET", longer)
    with pytest.raises(Malformed):
        read(pieces(longer), "GET")
    assert len(read(pieces(of("HTTP/1.1 204 No", *(f"A{n}: {n}" for n in range(100)))), "GET")[0].headers) == 100


def test_a_line_without_an_end_is_not_read_for_ever() -> None:
    receive = pieces(b"HTTP/1.1 200 OK\r\nA: ", *[b"a" * 1024] * 100)
    with pytest.raises(Malformed):
        read(receive, "GET")
    assert receive(1) == b"a"


def test_the_values_of_one_name_are_listed() -> None:
    sent = of("HTTP/1.1 200 OK", "A: 1", "Content-Length: 1", "a: 2 ", "CONTENT-LENGTH: 1", "A:\t3", body=b"x")
    told, can_be_kept = read(pieces(sent), "GET")
    assert (told.headers["a"], told.body, can_be_kept) == ("1, 2, 3", b"x", True)


def test_a_value_that_goes_on_in_the_next_line_is_one() -> None:
    sent = of("HTTP/1.1 200 OK", "A: 1", "\t 2 ", "  3", "B:", " 4", "Content-Length: 0")
    assert read(pieces(sent), "GET")[0].headers == {"a": "1 2 3", "b": "4", "content-length": "0"}
    with pytest.raises(Malformed):
        read(pieces(of("HTTP/1.1 200 OK", "A: 1", " 2\0", "Content-Length: 0")), "GET")


def test_interim_answers_of_any_kind_are_passed_over() -> None:
    sent = of("HTTP/1.1 103 Early Hints", "Link: </a>") + of("HTTP/1.1 200 OK", "Content-Length: 1", body=b"x")
    assert read(pieces(sent), "GET") == (Answer(200, {"content-length": "1"}, b"x"), True)


@pytest.mark.parametrize(
    "sent",
    [
        of("HTTP/1.1 200 OK", "Content-Length: 3", "Transfer-Encoding: chunked", body=b"1\r\nx\r\n0\r\n\r\n"),
        of("HTTP/1.0 200 OK", "Transfer-Encoding: chunked", body=b"1\r\nx\r\n0\r\n\r\n"),
        of("HTTP/1.0 200 OK", "Connection: keep-alive", "Content-Length: 1", body=b"x"),
    ],
)
def test_where_the_end_is_not_sure_the_connection_is_not_used_again(sent: bytes) -> None:
    told, can_be_kept = read(pieces(sent), "GET")
    assert (told.body, can_be_kept) == (b"x", False)


def test_errors_of_the_socket_travel() -> None:
    def late(_count: int) -> bytes:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        read(late, "GET")


def test_a_body_is_received_in_large_pieces() -> None:
    asked: list[int] = []
    receive = pieces(GOOD["a large body"][1])

    def counted(count: int) -> bytes:
        asked.append(count)
        return receive(count)

    read(counted, "GET")
    assert asked == [answers._PIECE_BYTES] * 3
