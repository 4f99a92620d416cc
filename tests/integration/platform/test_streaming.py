"""An answer in pieces reaches the client while the function still makes it, as through API Gateway."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection, IncompleteRead

import pytest

from tests.integration.platform.platforms import Platform

pytestmark = pytest.mark.needs("launcher")

PATIENCE_SECONDS = 60


@contextmanager
def client(platform: Platform) -> Iterator[HTTPConnection]:
    with closing(HTTPConnection("127.0.0.1", platform.api_port, timeout=PATIENCE_SECONDS)) as connection:
        yield connection


@pytest.fixture
def orders() -> Iterator[socket.socket]:
    """Where the function asks what to do next."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_SECONDS)
        yield server


def port(orders: socket.socket) -> int:
    return int(orders.getsockname()[1])


def test_each_piece_is_at_the_client_while_the_function_waits(running: Platform, orders: socket.socket) -> None:
    with client(running) as connection:
        connection.request("GET", f"/stream?port={port(orders)}")
        answer = connection.getresponse()
        function, _ = orders.accept()
        with function:
            assert answer.readline() == "first ¿\n".encode()
            for order in (b"1", b"2"):
                function.sendall(order)
                assert answer.readline() == order + b"\n"
            function.sendall(b"e")
            assert answer.read() == b""

    assert answer.status == 201
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["X-Request-Id"] == "one"
    assert answer.headers.get_all("X-Many") == ["a", "b"]
    assert answer.headers["Content-Length"] is None


def test_a_function_that_fails_in_the_middle_breaks_the_answer_off(running: Platform, orders: socket.socket) -> None:
    with client(running) as connection:
        connection.request("GET", f"/stream?port={port(orders)}")
        answer = connection.getresponse()
        function, _ = orders.accept()
        with function:
            assert answer.readline() == "first ¿\n".encode()
            function.sendall(b"f")
            with pytest.raises(IncompleteRead) as broken:
                answer.read()

    assert broken.value.partial == b""


def test_a_client_that_leaves_does_not_stop_the_function(running: Platform, orders: socket.socket) -> None:
    with client(running) as connection:
        connection.request("GET", f"/stream?port={port(orders)}")
        answer = connection.getresponse()
        function, _ = orders.accept()
        answer.readline()
        answer.close()
    with function:
        function.settimeout(PATIENCE_SECONDS)
        function.sendall(b"12" * 1000)
        function.sendall(b"e")
        assert function.recv(100) == b"at the end"


def test_an_answer_in_one_piece_leaves_whole_through_the_same_integration(running: Platform) -> None:
    answer = running.get("/stream")

    assert (answer.status, answer.body) == (422, b"no port")
    assert answer.headers["Content-Length"] == "7"


def test_an_integration_that_does_not_stream_gets_the_same_answer_whole(
    running: Platform, orders: socket.socket
) -> None:
    with ThreadPoolExecutor(1) as worker:
        asked = worker.submit(running.get, f"/whole?port={port(orders)}")
        function, _ = orders.accept()
        with function:
            function.sendall(b"12e")
            answer = asked.result(PATIENCE_SECONDS)

    assert (answer.status, answer.body.decode()) == (201, "first ¿\n1\n2\n")
    assert answer.headers.get_all("X-Many") == ["a", "b"]
