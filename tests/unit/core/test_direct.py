"""S3 and DynamoDB without botocore's clients: as botocore asks, answers and fails."""

import datetime
import json
import socket
import ssl
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from core import answers, aws, direct, waiting
from core.direct import Connections, DynamoDB, Signer, encoded
from core.waiting import DeadlinePassed, Patience
from tests.fakes.certificate import self_signed, server_context

ACCESS, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "a/token+with=signs"
NOW = datetime.datetime(2026, 11, 26, 12, 0, 5, tzinfo=datetime.UTC)
Answer = tuple[int, dict[str, str], bytes]
_clients: list[direct.Client] = []


class Service:
    """What answers on loopback: ``answers`` in turn, the last one for good. Remembers what it was asked."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: list[Answer | Callable[[BaseHTTPRequestHandler], None]] = [(200, {}, b"{}")]
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.peers: list[int] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_arguments: Any) -> None:
                pass

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                named = {name.lower(): value for name, value in self.headers.items()}
                service.asked.append((self.command, self.path, named, body))
                service.peers.append(self.client_address[1])
                answer = service.answers.pop(0) if len(service.answers) > 1 else service.answers[0]
                if callable(answer):
                    answer(self)
                    return
                status, headers, content = answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_HEAD = do_PUT = do_POST = answer  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _clients:
        _clients.pop().close()


@pytest.fixture(autouse=True)
def _on_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)


def client(kind: str, url: str | None = None, *, attempts: int = 2, read_timeout: float = 5) -> Any:
    retries = {"total_max_attempts": attempts, "mode": "standard"}
    made = aws.client(kind, endpoint_url=url, connect_timeout=2, read_timeout=read_timeout, retries=retries)
    assert isinstance(made, direct.Client)
    made._sleep = lambda _seconds: None
    _clients.append(made)
    return made


def signer(service: str, token: str | None = TOKEN) -> Signer:
    return Signer(service, "eu-west-1", ACCESS, SECRET, token, clock=lambda: NOW)


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize(
    ("kind", "method", "path", "query", "headers", "body"),
    [
        ("s3", "PUT", "/bucket/a%20b/%C3%A9.json", {}, {"content-type": "text/plain", "if-none-match": "*"}, b"x" * 99),
        ("s3", "PUT", "/k", {}, {"x-amz-meta-after": " two  blanks ", "if-match": '"etag"'}, b""),
        ("s3", "GET", "/bucket/", {"prefix": "a/b c+~", "list-type": "2", "delimiter": "/"}, {}, b""),
        ("dynamodb", "POST", "/", {}, {"content-type": "application/x-amz-json-1.0", "x-amz-target": "D.X"}, b"{}"),
    ],
)
def test_a_request_is_signed_as_botocore_signs_it(
    kind: str, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes, token: str | None
) -> None:
    request = AWSRequest(method, f"http://example.org:4566{path}", headers, body, params=query)
    botocores = {"s3": S3SigV4Auth, "dynamodb": SigV4Auth}[kind](Credentials(ACCESS, SECRET, token), kind, "eu-west-1")
    with mock.patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        botocores.add_auth(request)
    ours = signer(kind, token).headers(method, "example.org:4566", path, encoded(query), headers, body)
    assert ours["authorization"] == request.headers["Authorization"]
    assert ours.get("x-amz-content-sha256") == request.headers.get("X-Amz-Content-SHA256")
    assert ours.get("x-amz-security-token") == token


@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_url_is_signed_as_botocore_signs_it(token: str | None) -> None:
    request = AWSRequest("GET", "http://example.org:4566/bucket/a%20b.png")
    botocores = S3SigV4QueryAuth(Credentials(ACCESS, SECRET, token), "s3", "eu-west-1", expires=900)
    with mock.patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        botocores.add_auth(request)
    ours = signer("s3", token).query("GET", "example.org:4566", "/bucket/a%20b.png", 900)
    assert parse_qs(ours) == parse_qs(urlsplit(request.url).query)


def test_the_key_and_the_token_are_in_no_text_about_a_signer() -> None:
    assert SECRET not in repr(signer("s3"))
    assert TOKEN not in repr(signer("s3"))


def test_an_object_is_written_and_read_with_its_metadata(service: Service) -> None:
    s3 = client("s3", service.url)
    service.answers = [(200, {"ETag": '"1"'}, b"")]
    written = s3.put_object(
        Bucket="b", Key="a b/é", Body=b"{}", ContentType="text/plain", Metadata={"After": "x"}, IfMatch='"0"'
    )
    assert written == {"ETag": '"1"'}
    method, path, headers, body = service.asked[0]
    assert (method, path, body) == ("PUT", "/b/a%20b/%C3%A9", b"{}")
    assert (headers["content-type"], headers["x-amz-meta-after"], headers["if-match"]) == ("text/plain", "x", '"0"')
    assert "if-none-match" not in headers
    service.answers = [(200, {"ETag": '"1"', "X-Amz-Meta-After": "x"}, b"{}")]
    found = s3.get_object(Bucket="b", Key="a b/é")
    assert (found["Body"].read(), found["ETag"], found["Metadata"]) == (b"{}", '"1"', {"after": "x"})


def test_whether_an_object_is_there_is_asked_without_its_bytes(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = client("s3", service.url)
    monkeypatch.setattr(s3, "_whole", lambda: pytest.fail("botocore's client is loaded"))
    # The lengths are those of bodies that are not sent, and nobody waits for them.
    service.answers = [(200, {"ETag": '"1"', "Content-Length": "99"}, b""), (404, {"Content-Length": "99"}, b"")]
    assert s3.head_object(Bucket="b", Key="a b/é") == {"ETag": '"1"'}
    with pytest.raises(ClientError) as caught:
        s3.head_object(Bucket="b", Key="a b/é")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert [(method, path) for method, path, _, _ in service.asked] == [("HEAD", "/b/a%20b/%C3%A9")] * 2


def test_a_large_body_arrives_whole(service: Service) -> None:
    body = bytes(range(256)) * 8192
    service.answers = [(200, {"ETag": '"1"'}, b"")]
    client("s3", service.url).put_object(Bucket="b", Key="k", Body=body)
    assert service.asked[0][3] == body


def test_keys_and_prefixes_are_listed_over_all_pages(service: Service) -> None:
    def page(inner: str) -> Answer:
        return 200, {}, f"<ListBucketResult><Prefix>p%2F</Prefix>{inner}</ListBucketResult>".encode()

    service.answers = [
        page(
            "<IsTruncated>true</IsTruncated><Contents><Key>p/a+b%26%2B</Key><Size>1</Size></Contents>"
            "<NextContinuationToken>1/2+3=</NextContinuationToken>"
        ),
        page("<IsTruncated>false</IsTruncated><CommonPrefixes><Prefix>p/c/</Prefix></CommonPrefixes>"),
    ]
    pages = list(client("s3", service.url).get_paginator("list_objects_v2").paginate(Bucket="b", Prefix="p/ü"))
    assert [page["Contents"] for page in pages] == [[{"Key": "p/a b&+"}], []]
    assert [page["CommonPrefixes"] for page in pages] == [[], [{"Prefix": "p/c/"}]]
    first, second = (parse_qs(urlsplit(path).query) for _, path, _, _ in service.asked)
    assert first == {"list-type": ["2"], "encoding-type": ["url"], "prefix": ["p/ü"]}
    assert second == first | {"continuation-token": ["1/2+3="]}


def test_an_error_of_s3_is_botocores(service: Service) -> None:
    service.answers = [(404, {}, b"<Error><Code>NoSuchKey</Code><Message>No.</Message></Error>")]
    with pytest.raises(ClientError) as caught:
        client("s3", service.url).get_object(Bucket="b", Key="k")
    assert aws.error_code(caught.value) == "NoSuchKey"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert len(service.asked) == 1


def test_an_item_is_asked_for_in_dynamodbs_own_form(service: Service) -> None:
    answered = b'{"Attributes":{"n":{"N":"1"}}}'
    service.answers = [(200, {"x-amz-crc32": str(zlib.crc32(answered))}, answered)]
    asked = {"TableName": "t", "Key": {"id": {"S": "é"}}, "UpdateExpression": "ADD n :one"}
    assert client("dynamodb", service.url).update_item(**asked) == {"Attributes": {"n": {"N": "1"}}}
    method, path, headers, body = service.asked[0]
    assert (method, path, json.loads(body)) == ("POST", "/", asked)
    assert headers["x-amz-target"] == "DynamoDB_20120810.UpdateItem"


def test_bytes_are_base64_on_their_way_and_bytes_again(service: Service) -> None:
    item = {"B": {"B": b"\xff\x00"}, "all": {"BS": [b"a", b"b"]}, "in": {"M": {"B": {"S": "text"}}}, "n": {"N": "1"}}
    written = {"B": {"B": "/wA="}, "all": {"BS": ["YQ==", "Yg=="]}, "in": {"M": {"B": {"S": "text"}}}, "n": {"N": "1"}}
    dynamodb = client("dynamodb", service.url)
    service.answers = [(200, {}, json.dumps({"Item": written}).encode())]
    assert dynamodb.get_item(TableName="t") == {"Item": item}
    dynamodb.put_item(TableName="t", Item=item)
    assert json.loads(service.asked[-1][3])["Item"] == written
    with pytest.raises(TypeError):
        dynamodb.put_item(TableName="t", Item={"n": {"N": 1j}})


def test_a_transaction_that_is_tried_again_is_the_same_one_and_tells_why_it_was_not(service: Service) -> None:
    told = {"__type": "x#TransactionCanceledException", "CancellationReasons": [{"Code": "ConditionalCheckFailed"}]}
    service.answers = [(500, {}, b""), (400, {}, json.dumps(told).encode())]
    with pytest.raises(ClientError) as caught:
        client("dynamodb", service.url).transact_write_items(TransactItems=[])
    assert caught.value.response["CancellationReasons"] == told["CancellationReasons"]  # type: ignore[typeddict-item]
    first, second = (json.loads(body)["ClientRequestToken"] for *_, body in service.asked)
    assert first == second


def test_a_condition_that_does_not_hold_tells_what_is_there(service: Service) -> None:
    told = {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "message": "no"}
    service.answers = [(400, {}, json.dumps(told | {"Item": {"id": {"S": "x"}}}).encode())]
    with pytest.raises(ClientError) as caught:
        client("dynamodb", service.url).update_item(TableName="t")
    assert aws.error_code(caught.value) == "ConditionalCheckFailedException"
    assert caught.value.response["Item"] == {"id": {"S": "x"}}  # type: ignore[typeddict-item]
    assert len(service.asked) == 1


def throttled(code: str) -> Answer:
    return 400, {}, json.dumps({"__type": f"x#{code}"}).encode()


@pytest.mark.parametrize(
    "bad",
    [
        (500, {}, b""),
        (503, {}, b"<html>"),
        throttled("ProvisionedThroughputExceededException"),
        throttled("TransactionInProgressException"),
        (200, {"x-amz-crc32": "1"}, b"{}"),
    ],
)
def test_what_may_be_better_the_next_time_is_tried_again_and_not_for_ever(service: Service, bad: Answer) -> None:
    dynamodb: DynamoDB = client("dynamodb", service.url)
    service.answers = [bad, (200, {}, b"{}")]
    assert dynamodb.get_item(TableName="t") == {}
    assert len(service.asked) == 2
    service.asked.clear()
    service.answers = [bad]
    with pytest.raises(ClientError):
        dynamodb.get_item(TableName="t")
    assert len(service.asked) == 2


def test_requests_share_a_connection_that_is_kept(service: Service) -> None:
    dynamodb = client("dynamodb", service.url)
    for _ in range(3):
        dynamodb.get_item(TableName="t")
    assert len(set(service.peers)) == 1


def test_a_connection_that_was_closed_meanwhile_costs_no_try(service: Service) -> None:
    dynamodb = client("dynamodb", service.url, attempts=1)
    service.answers = [(200, {"Connection": "close"}, b"{}")]
    for _ in range(2):
        dynamodb.get_item(TableName="t")
    assert len(set(service.peers)) == 2

    def hang_up_unannounced(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)

    service.answers = [(200, {}, b"{}")]
    dynamodb.get_item(TableName="t")
    service.answers = [hang_up_unannounced, (200, {}, b"{}")]
    assert dynamodb.get_item(TableName="t") == {}


def test_who_hangs_up_breaks_off_or_says_nothing_is_botocores_error(service: Service) -> None:
    def hang_up(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True

    def break_off(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "9")
        handler.end_headers()
        handler.wfile.write(b"{}")
        handler.close_connection = True

    over = threading.Event()

    def say_nothing(_handler: BaseHTTPRequestHandler) -> None:
        over.wait(20)

    asked = 0
    for misdeed, error in (
        (hang_up, ConnectionClosedError),
        (break_off, ConnectionClosedError),
        (say_nothing, ReadTimeoutError),
    ):
        service.answers = [misdeed]
        with pytest.raises(error):
            client("dynamodb", service.url, read_timeout=0.2).get_item(TableName="t")
        asked += 2
        assert len(service.asked) == asked
    over.set()


GET: dict[str, Any] = {"TableName": "t"}


@pytest.mark.parametrize("is_kept", [False, True])
def test_calls_that_are_begun_are_under_way_at_once(service: Service, is_kept: bool) -> None:
    dynamodb = client("dynamodb", service.url)
    if is_kept:
        dynamodb.get_item(**GET)
    meeting = threading.Barrier(4)

    def meet(handler: BaseHTTPRequestHandler) -> None:
        meeting.wait(timeout=60)
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"{}")

    service.answers = [meet]
    begun = [aws.begin(dynamodb, "get_item", **GET) for _ in range(3)]
    meeting.wait(timeout=60)
    assert [answer(None) for answer in begun] == [{}, {}, {}]
    service.answers = [(200, {}, b"{}")]
    known = set(service.peers)
    for answer in [aws.begin(dynamodb, "get_item", **GET) for _ in range(3)]:
        answer(Patience(60))
    assert set(service.peers) == known


def test_a_kept_connection_needs_no_thread(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    dynamodb = client("dynamodb", service.url)
    dynamodb.get_item(**GET)
    monkeypatch.setattr(waiting, "begun", None)
    assert aws.begin(dynamodb, "get_item", **GET)(Patience(60)) == {}
    s3 = client("s3", service.url)
    service.answers = [(200, {"ETag": '"e"'}, b"")]
    s3.put_object(Bucket="b", Key="k")
    assert aws.begin(s3, "put_object", Bucket="b", Key="k", Body=b"x")(None) == {"ETag": '"e"'}
    assert service.asked[-1][:2] == ("PUT", "/b/k")


@pytest.mark.parametrize("patience", [None, 60.0])
def test_a_call_that_is_begun_is_tried_again_as_another_is(service: Service, patience: float | None) -> None:
    dynamodb: DynamoDB = client("dynamodb", service.url)

    def hang_up_unannounced(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)

    def asked() -> Any:
        service.asked.clear()
        return aws.begin(dynamodb, "get_item", **GET)(Patience(patience) if patience else None)

    dynamodb.get_item(**GET)
    service.answers = [hang_up_unannounced, (503, {}, b""), (200, {}, b"{}")]
    assert asked() == {}
    assert len(service.asked) == 3  # of a connection that was not there any more nothing is counted
    service.answers = [(503, {}, b"")]
    with pytest.raises(ClientError):
        asked()
    assert len(service.asked) == 2
    service.answers = [(400, {}, b'{"__type":"x#ValidationException"}')]
    with pytest.raises(ClientError, match="ValidationException"):
        asked()
    assert len(service.asked) == 1


def test_patience_ends_a_call_whose_connection_is_not_used_again(service: Service) -> None:
    dynamodb = client("dynamodb", service.url)
    dynamodb.get_item(**GET)
    over = threading.Event()

    def say_nothing(_handler: BaseHTTPRequestHandler) -> None:
        over.wait(60)

    service.answers = [say_nothing, (200, {}, b"{}")]
    with pytest.raises(DeadlinePassed):
        aws.begin(dynamodb, "get_item", **GET)(Patience(0.1))
    over.set()
    assert dynamodb.get_item(**GET) == {}
    assert len(set(service.peers)) == 2


def test_a_connection_that_is_silent_for_too_long_leaves_patience_for_another(service: Service) -> None:
    dynamodb = client("dynamodb", service.url, read_timeout=0.2)
    dynamodb.get_item(**GET)
    over = threading.Event()

    def say_nothing(_handler: BaseHTTPRequestHandler) -> None:
        over.wait(60)

    service.answers = [say_nothing, (200, {}, b"{}")]
    patience = Patience(60)
    assert aws.begin(dynamodb, "get_item", **GET)(patience) == {}
    assert len(set(service.peers)) == 2
    assert 50 < patience.left <= 59.8
    over.set()


def test_patience_holds_for_further_tries_and_the_pauses_before_them(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamodb = client("dynamodb", service.url)
    dynamodb.get_item(**GET)
    pauses: list[float] = []
    dynamodb._sleep = pauses.append
    monkeypatch.setattr(direct.random, "random", lambda: 100.0)
    service.answers = [(503, {}, b"")]
    patience = Patience(5)
    with pytest.raises((DeadlinePassed, ClientError)):
        aws.begin(dynamodb, "get_item", **GET)(patience)
    (pause,) = pauses
    assert 4 < pause <= 5
    assert patience.left <= 0


def test_over_tls_an_answer_is_waited_for_with_patience_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    direct._context.cache_clear()
    service = Service(server_context(certificate))
    try:
        dynamodb = client("dynamodb", service.url)
        # Of a record of TLS only a part is taken at once; the rest is no longer on the socket.
        monkeypatch.setattr(answers, "_PIECE_BYTES", 64)
        item = {"Item": {"id": {"S": "x" * 10_000}}}
        service.answers = [(200, {}, json.dumps(item).encode())]
        for _ in range(2):
            assert aws.begin(dynamodb, "get_item", **GET)(Patience(60)) == item
        assert len(set(service.peers)) == 1
    finally:
        service.close()
        direct._context.cache_clear()


def test_only_what_can_be_begun_is(service: Service) -> None:
    with pytest.raises(ValueError, match="get_object"):
        aws.begin(client("s3", service.url), "get_object", Bucket="b", Key="k")


def test_a_client_of_botocores_is_begun_in_a_thread() -> None:
    meeting = threading.Barrier(3)

    class Client:
        def get_item(self, **request: Any) -> Any:
            meeting.wait(timeout=60)
            return request

    begun = [aws.begin(Client(), "get_item", **GET) for _ in range(2)]
    meeting.wait(timeout=60)
    assert [answer(None) for answer in begun] == [GET, GET]


def test_nobody_there_is_botocores_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(EndpointConnectionError):
            client("s3", f"http://127.0.0.1:{taken.getsockname()[1]}").get_object(Bucket="b", Key="k")
    with mock.patch("socket.create_connection", side_effect=TimeoutError), pytest.raises(ConnectTimeoutError):
        client("s3", "http://127.0.0.1:9").get_object(Bucket="b", Key="k")
    assert all(issubclass(each, BotoCoreError) for each in (EndpointConnectionError, ConnectTimeoutError))


def test_on_aws_each_bucket_has_a_host_of_its_own() -> None:
    with mock.patch.object(Connections, "ask", return_value=direct.Answer(200, {"etag": "1"}, b"")) as ask:
        s3 = client("s3")
        s3.put_object(Bucket="bucket", Key="k")
        s3.put_object(Bucket="dotted.bucket", Key="k")
        ask.return_value = direct.Answer(200, {}, b"{}")
        client("dynamodb").get_item(TableName="t")
    (_, first, headers, _), (_, second, more, _), (*_, last, _) = (call.args for call in ask.call_args_list)
    assert last["host"] == "dynamodb.eu-west-1.amazonaws.com"
    assert (headers["host"], first) == ("bucket.s3.eu-west-1.amazonaws.com", "/k")
    assert (more["host"], second) == ("s3.eu-west-1.amazonaws.com", "/dotted.bucket/k")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "a b"}, ExpiresIn=60)
    assert url.startswith("https://bucket.s3.eu-west-1.amazonaws.com/a%20b?X-Amz-Algorithm=AWS4-HMAC-SHA256&")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_LAMBDA_INITIALIZATION_TYPE", None),
        ("AWS_SECRET_ACCESS_KEY", None),
        ("STORE_CLIENTS", "botocore"),
        ("AWS_USE_FIPS_ENDPOINT", "true"),
        ("AWS_REGION", "us-iso-east-1"),
        ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ],
)
def test_what_only_botocore_knows_is_botocores(monkeypatch: pytest.MonkeyPatch, name: str, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    assert not isinstance(aws.client("s3"), direct.Client)


def test_a_proxy_that_is_not_for_the_endpoint_is_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    client("s3", "http://127.0.0.1:4566")


def test_what_it_does_not_have_is_botocores() -> None:
    assert client("dynamodb").meta.service_model.service_name == "dynamodb"
    assert client("s3").get_paginator("list_object_versions")


def test_it_loads_neither_http_client_nor_email() -> None:
    code = "import sys, core.direct; print([name for name in ('http.client', 'email.parser') if name in sys.modules])"
    environment = {"PYTHONPATH": str(Path(__file__).parents[3] / "layers" / "core")}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
