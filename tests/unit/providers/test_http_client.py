"""HTTP calls that end by their deadline, on connections that are kept."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from tests.fakes.certificate import self_signed, server_context
from tests.fakes.pollinations import FakePollinations

from generation.http_client import Answer, HttpClient
from generation.providers import Deadline, ProviderError, ProviderTimeout

QUERY = "?width=64&height=48&seed=1"


def get(http: HttpClient, url: str, *, seconds: float = 60.0, most_bytes: int = 1_000_000) -> Answer:
    return http.send("GET", url, headers={}, deadline=Deadline(seconds), most_bytes=most_bytes)


def picture_url(fake: FakePollinations, prompt: str) -> str:
    return f"{fake.keyless_url}/{prompt}{QUERY}"


def test_a_connection_serves_one_call_after_another(fake_pollinations: FakePollinations, http: HttpClient) -> None:
    answers = [get(http, picture_url(fake_pollinations, "cat")) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert fake_pollinations.connections == 1


@pytest.mark.parametrize("bad_day", ["drip", "drip-close", "drip-headers", "hang"])
def test_the_deadline_ends_a_call_to_a_server_that_stalls(
    fake_pollinations: FakePollinations, http: HttpClient, bad_day: str
) -> None:
    with pytest.raises(ProviderTimeout):
        get(http, picture_url(fake_pollinations, f"[[{bad_day}]]"), seconds=0.15)


def test_the_deadline_ends_a_call_that_stalls_on_a_kept_connection(
    fake_pollinations: FakePollinations, http: HttpClient
) -> None:
    get(http, picture_url(fake_pollinations, "cat"))
    with pytest.raises(ProviderTimeout):
        get(http, picture_url(fake_pollinations, "[[drip]]"), seconds=0.15)
    assert fake_pollinations.connections == 1


def test_a_connection_that_opens_after_the_deadline_is_cut_at_once(
    fake_pollinations: FakePollinations, http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo

    def resolve_late(*args: Any, **options: Any) -> Any:
        time.sleep(0.3)
        return resolve(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_late)
    with pytest.raises(ProviderTimeout):
        get(http, picture_url(fake_pollinations, "cat"), seconds=0.1)


def test_the_deadline_ends_a_body_that_has_no_announced_end(http: HttpClient) -> None:
    """The cut must not pass for the end of the body."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nsome bytes")
                stop.wait()

        server = threading.Thread(target=serve)
        server.start()
        try:
            with pytest.raises(ProviderTimeout):
                get(http, f"http://127.0.0.1:{listener.getsockname()[1]}/", seconds=0.15)
        finally:
            stop.set()
            server.join()


def test_no_call_starts_after_the_deadline(fake_pollinations: FakePollinations, http: HttpClient) -> None:
    with pytest.raises(ProviderTimeout):
        get(http, picture_url(fake_pollinations, "cat"), seconds=0)
    assert fake_pollinations.requests == []


def test_a_kept_connection_that_was_closed_is_replaced_once(
    fake_pollinations: FakePollinations, http: HttpClient
) -> None:
    get(http, picture_url(fake_pollinations, "cat"))
    assert get(http, picture_url(fake_pollinations, "[[reset-reused]]")).status == 200
    assert fake_pollinations.connections == 2


def test_a_reset_of_a_new_connection_is_a_failure_and_not_tried_again(
    fake_pollinations: FakePollinations, http: HttpClient
) -> None:
    with pytest.raises(ProviderError, match="connection failed"):
        get(http, picture_url(fake_pollinations, "[[reset]]"))
    assert len(fake_pollinations.requests) == 1


def test_the_second_try_is_the_last(fake_pollinations: FakePollinations, http: HttpClient) -> None:
    get(http, picture_url(fake_pollinations, "cat"))
    fake_pollinations.script("reset", "reset", "reset")
    with pytest.raises(ProviderError, match="connection failed"):
        get(http, picture_url(fake_pollinations, "dog"))
    assert len(fake_pollinations.requests) == 3


@pytest.mark.parametrize(
    ("bad_day", "reason"),
    [("break", "answer broken off"), ("huge", "answer too large"), ("endless", "answer too large")],
)
def test_a_body_that_is_cut_or_too_large_is_a_failure(
    fake_pollinations: FakePollinations, http: HttpClient, bad_day: str, reason: str
) -> None:
    with pytest.raises(ProviderError, match=reason):
        get(http, picture_url(fake_pollinations, f"[[{bad_day}]]"))


def test_a_body_of_exactly_the_limit_is_read(fake_pollinations: FakePollinations, http: HttpClient) -> None:
    content = get(http, picture_url(fake_pollinations, "cat")).content
    assert get(http, picture_url(fake_pollinations, "cat"), most_bytes=len(content)).content == content
    with pytest.raises(ProviderError, match="answer too large"):
        get(http, picture_url(fake_pollinations, "cat"), most_bytes=len(content) - 1)


def test_redirects_are_not_followed(fake_pollinations: FakePollinations, http: HttpClient) -> None:
    elsewhere = f"{fake_pollinations.url}/elsewhere"
    assert get(http, picture_url(fake_pollinations, f"[[redirect:{elsewhere}]]".replace("/", "%2F"))).status == 302
    assert len(fake_pollinations.requests) == 1


def test_cookies_are_not_sent_back(http: HttpClient) -> None:
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                connection, _address = listener.accept()
                with connection:
                    requests.append(connection.recv(65536))
                    connection.sendall(
                        b"HTTP/1.1 200 OK\r\nSet-Cookie: id=1; Path=/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    )

        server = threading.Thread(target=serve)
        server.start()
        for _ in range(2):
            get(http, f"http://127.0.0.1:{listener.getsockname()[1]}/")
        server.join()
    assert b"cookie" not in requests[1].lower()


def test_a_login_for_the_host_in_netrc_is_not_used(
    fake_pollinations: FakePollinations, http: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    get(http, picture_url(fake_pollinations, "cat"))
    assert "authorization" not in fake_pollinations.requests[0].headers


def test_the_proxy_of_the_environment_is_used(
    fake_pollinations: FakePollinations, http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, fake_pollinations.url)
    assert get(http, "http://pictures.example/prompt/cat").status == 404
    assert fake_pollinations.requests[0].target.startswith("http://pictures.example/")


def test_a_port_that_nobody_listens_on_is_a_failure(http: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ProviderError, match="connection failed"):
        get(http, f"http://127.0.0.1:{port}/")


def test_an_answer_that_is_not_http_is_a_failure(http: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")

        server = threading.Thread(target=serve)
        server.start()
        with pytest.raises(ProviderError, match="connection failed"):
            get(http, f"http://127.0.0.1:{listener.getsockname()[1]}/")
        server.join()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port whose connections the kernel accepts and nobody serves."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_deadline_ends_a_call_that_nobody_serves(http: HttpClient, silent_port: int, scheme: str) -> None:
    with pytest.raises(ProviderTimeout):
        get(http, f"{scheme}://127.0.0.1:{silent_port}/", seconds=0.15)


def test_a_trusted_certificate_of_another_host_is_a_failure_of_tls(
    http: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path, x509.DNSName("elsewhere.example"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with FakePollinations(tls=server_context(certificate)) as fake:
        with pytest.raises(ProviderError, match="TLS failed"):
            get(http, picture_url(fake, "cat"))
        assert fake.requests == []
