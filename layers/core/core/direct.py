"""S3 and DynamoDB without botocore's clients: the few calls that a request waits for, and that a start should not load.

A client of botocore's takes most of what a cold start takes, and a millisecond of a processor for each call. These have
the same methods, arguments, answers and errors; whatever they do not have is botocore's, which is loaded then. They
sign with Signature Version 4 (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
"""

import base64
import datetime
import hashlib
import hmac
import json
import math
import os
import random
import re
import select
import socket
import ssl
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from typing import Any
from urllib.parse import quote, unquote_plus, urlencode, urlsplit

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from core import answers, waiting
from core.answers import Answer
from core.waiting import DeadlinePassed, Patience

_UNRESERVED = "-._~"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_ONE_SEND_BYTES = 64 * 1024
_LONGEST_BACKOFF_SECONDS = 20.0
_OK = 200
_MULTIPLE_CHOICES = 300
# What the next try may not meet: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
_TRANSIENT = frozenset({500, 502, 503, 504})
_THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded", "LimitExceededException", "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled",
        "RequestThrottledException", "RequestTimeout", "RequestTimeoutException", "SlowDown", "ThrottledException",
        "Throttling", "ThrottlingException", "TooManyRequestsException", "TransactionInProgressException",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs requests to one service in one region; ``clock`` gives the time in UTC."""

    service: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    clock: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC)

    def headers(
        self, method: str, host: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> dict[str, str]:
        """All headers of a request, ``Authorization`` among them; the given ones have names in small letters."""
        now = f"{self.clock():%Y%m%dT%H%M%SZ}"
        digest = hashlib.sha256(body).hexdigest()
        signed = {**headers, "host": host, "x-amz-date": now}
        if self.service == "s3":
            signed["x-amz-content-sha256"] = digest
        if self.token:
            signed["x-amz-security-token"] = self.token
        names = sorted(signed)
        lines = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in names)
        list_ = ";".join(names)
        signature = self._signature(now, f"{method}\n{path}\n{query}\n{lines}\n{list_}\n{digest}")
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{self._scope(now)}, "
            f"SignedHeaders={list_}, Signature={signature}"
        )
        return signed

    def query(self, method: str, host: str, path: str, seconds: int) -> str:
        """The query of a URL that may be used for so many seconds without further credentials."""
        now = f"{self.clock():%Y%m%dT%H%M%SZ}"
        values = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self.access_key}/{self._scope(now)}",
            "X-Amz-Date": now,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": "host",
        }
        if self.token:
            values["X-Amz-Security-Token"] = self.token
        query = encoded(values)
        signature = self._signature(now, f"{method}\n{path}\n{query}\nhost:{host}\n\nhost\n{_UNSIGNED}")
        return f"{query}&X-Amz-Signature={signature}"

    def _scope(self, now: str) -> str:
        return f"{now[:8]}/{self.region}/{self.service}/aws4_request"

    def _signature(self, now: str, request: str) -> str:
        text = f"AWS4-HMAC-SHA256\n{now}\n{self._scope(now)}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = _signing_key(self.secret_key, now[:8], self.region, self.service)
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


@lru_cache(maxsize=16)
def _signing_key(secret: str, *scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (*scope, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def encoded(values: Mapping[str, str]) -> str:
    """A query as it is signed and sent, ordered by its names."""
    return urlencode(sorted(values.items()), quote_via=quote, safe=_UNRESERVED)


class _Stale(Exception):
    """A connection that was kept is not there any more; nothing was answered on it."""


class Connections:
    """Connections to one host, kept while they last. Each is used by one thread at a time."""

    def __init__(self, url: str, *, connect_timeout: float, read_timeout: float) -> None:
        parts = urlsplit(url)
        self.url = url
        self.host = parts.netloc
        self._name = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._context = _context() if parts.scheme == "https" else None
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._idle: list[socket.socket] = []

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One request and its answer. Raises errors of ``botocore.exceptions``."""
        while (kept := self._kept()) is not None:
            try:
                self._send(kept, method, target, headers, body, was_kept=True)
                return self._answer(kept, method, was_kept=True)
            except _Stale:
                continue
        connection = self._new()
        self._send(connection, method, target, headers, body)
        return self._answer(connection, method)

    def begin(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Callable[[Patience | None], Answer]:
        """Send one request; what is returned waits for its answer, as ``ask`` does or as long as there is patience.

        Where no connection is kept a thread does both: nothing else can leave what looks up a name.
        """
        kept = self._kept()
        if kept is None:
            asked = waiting.begun(lambda: self.ask(method, target, headers, body))
            return lambda patience: asked(patience or Patience(math.inf))
        try:
            self._send(kept, method, target, headers, body, was_kept=True)
        except _Stale:
            return self.begin(method, target, headers, body)
        except (ConnectionClosedError, ReadTimeoutError) as error:
            return _raising(error)

        def answer(patience: Patience | None) -> Answer:
            try:
                return self._answer(kept, method, patience, was_kept=True)
            except _Stale:
                return self.begin(method, target, headers, body)(patience)

        return answer

    def close(self) -> None:
        """Close the connections that are kept."""
        while (connection := self._kept()) is not None:
            connection.close()

    def _send(
        self,
        connection: socket.socket,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        was_kept: bool = False,
    ) -> None:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        start = f"{method} {target} HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n".encode()
        with self._failing(connection, was_kept=was_kept):
            if len(body) <= _ONE_SEND_BYTES:
                connection.sendall(start + body)
            else:
                connection.sendall(start)
                connection.sendall(body)

    def _answer(
        self, connection: socket.socket, method: str, patience: Patience | None = None, *, was_kept: bool = False
    ) -> Answer:
        receive = connection.recv if patience is None else _patiently(connection, patience)
        with self._failing(connection, was_kept=was_kept):
            answer, can_be_kept = answers.read(receive, method)
        if can_be_kept:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    @contextmanager
    def _failing(self, connection: socket.socket, *, was_kept: bool) -> Iterator[None]:
        """Close the connection when something fails, and say what as botocore does."""
        try:
            yield
        except BaseException as error:
            connection.close()
            if isinstance(error, DeadlinePassed):
                raise
            if isinstance(error, TimeoutError):
                raise ReadTimeoutError(endpoint_url=self.url, error=error) from error
            if was_kept and isinstance(error, ConnectionError):
                raise _Stale from error
            if isinstance(error, OSError | answers.Malformed):
                raise ConnectionClosedError(endpoint_url=self.url, error=error) from error
            raise

    def _kept(self) -> socket.socket | None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            readable = select.poll()
            readable.register(connection, select.POLLIN)
            if not readable.poll(0):
                return connection
            # Nobody has anything to say before it is asked, except that it leaves.
            connection.close()

    def _new(self) -> socket.socket:
        try:
            connection = socket.create_connection((self._name, self._port), self._connect_timeout)
            try:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._context:
                    connection = self._context.wrap_socket(connection, server_hostname=self._name)
                connection.settimeout(self._read_timeout)
            except BaseException:
                connection.close()
                raise
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=self.url, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=self.url, error=error) from error
        return connection


def _raising(error: Exception) -> Callable[[Patience | None], Answer]:
    def answer(_patience: Patience | None) -> Answer:
        raise error

    return answer


def _patiently(connection: socket.socket, patience: Patience) -> Callable[[int], bytes]:
    """The connection's ``recv``, which waits no longer than there is patience.

    Raises ``DeadlinePassed``, and ``TimeoutError`` where another try is left when the connection was silent for as
    long as it may be.
    """
    readable = select.poll()
    readable.register(connection, select.POLLIN)

    def receive(size: int) -> bytes:
        if not (isinstance(connection, ssl.SSLSocket) and connection.pending()):
            given = min(patience.left, connection.gettimeout() or math.inf)
            silence = Patience(given)
            try:
                silence.wait(lambda seconds: bool(readable.poll(seconds * 1000)))
            except DeadlinePassed:
                if given < patience.left:
                    raise TimeoutError from None
                raise
            finally:
                patience.left -= given - silence.left
        return connection.recv(size)

    return receive


@lru_cache(maxsize=1)
def _context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))


@dataclass(frozen=True, slots=True)
class _Call:
    """A call of an operation; ``failure`` tells what is wrong with an answer."""

    operation: str
    method: str
    url: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    failure: Callable[[Answer], dict[str, Any] | None]


class Client:
    """Asks one service; ``whole`` makes botocore's client, which has all that this one does not have."""

    def __init__(
        self,
        signer: Signer,
        connect: Callable[[str], Connections],
        attempts: int,
        whole: Callable[[], Any],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._signer = signer
        self._connect = connect
        self._connections: dict[str, Connections] = {}
        self._attempts = attempts
        self._whole = lru_cache(maxsize=1)(whole)
        self._sleep = sleep

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole(), name)

    def close(self) -> None:
        """Close the connections that are kept."""
        for connections in self._connections.values():
            connections.close()

    def _begin(self, call: _Call) -> Callable[[Patience | None], Answer]:
        """Begin a call; what is returned waits for the answer, or raises what the last try did."""
        connections, request = self._signed(call)
        begun = connections.begin(*request)
        return lambda patience: self._answer(call, begun, patience)

    def _ask(self, call: _Call) -> Answer:
        """The answer, or what the last try raised."""
        return self._answer(call, lambda _patience: self._asked(call), None)

    def _asked(self, call: _Call) -> Answer:
        connections, request = self._signed(call)
        return connections.ask(*request)

    def _signed(self, call: _Call) -> tuple[Connections, tuple[str, str, Mapping[str, str], bytes]]:
        connections = self._connections.get(call.url) or self._connections.setdefault(call.url, self._connect(call.url))
        headers = self._signer.headers(call.method, connections.host, call.path, call.query, call.headers, call.body)
        target = f"{call.path}?{call.query}" if call.query else call.path
        return connections, (call.method, target, headers, call.body)

    def _answer(self, call: _Call, first: Callable[[Patience | None], Answer], patience: Patience | None) -> Answer:
        """What came of the first try or, where that was not good, of those after it."""
        ask = first
        for left in reversed(range(self._attempts)):
            try:
                answer = ask(patience)
            except (ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError, ConnectionClosedError):
                if not left:
                    raise
            else:
                wrong = call.failure(answer)
                if wrong is None:
                    return answer
                if not left or (answer.status not in _TRANSIENT and wrong["Error"]["Code"] not in _THROTTLED):
                    metadata = {"HTTPStatusCode": answer.status, "HTTPHeaders": dict(answer.headers)}
                    raise ClientError({**wrong, "ResponseMetadata": metadata}, call.operation)  # type: ignore[typeddict-item]
            tried = self._attempts - 1 - left
            seconds = min(random.random() * 2**tried, _LONGEST_BACKOFF_SECONDS)  # noqa: S311
            if patience is not None:
                seconds = min(seconds, patience.left)
                patience.left -= seconds
            self._sleep(seconds)
            ask = self._again(call)
        raise AssertionError("a client tries at least once")

    def _again(self, call: _Call) -> Callable[[Patience | None], Answer]:
        return lambda patience: (
            self._asked(call) if patience is None else waiting.within(patience, lambda: self._asked(call))
        )


class DynamoDB(Client):
    """DynamoDB's calls for items."""

    def __init__(self, endpoint: str, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._endpoint = endpoint

    def update_item(self, **request: Any) -> dict[str, Any]:
        """UpdateItem."""
        return self._item("UpdateItem", request)

    def get_item(self, **request: Any) -> dict[str, Any]:
        """GetItem."""
        return self._item("GetItem", request)

    def put_item(self, **request: Any) -> dict[str, Any]:
        """PutItem."""
        return self._item("PutItem", request)

    def delete_item(self, **request: Any) -> dict[str, Any]:
        """DeleteItem."""
        return self._item("DeleteItem", request)

    def query(self, **request: Any) -> dict[str, Any]:
        """Query."""
        return self._item("Query", request)

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        """BatchGetItem."""
        return self._item("BatchGetItem", request)

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        """TransactWriteItems, which is the same one when it is tried again."""
        return self._item("TransactWriteItems", {"ClientRequestToken": str(uuid.uuid4()), **request})

    def begin(self, call: str, **request: Any) -> Callable[[Patience | None], dict[str, Any]]:
        """Begin one of these calls on an item, named like its method; what is returned waits for the answer."""
        if call == "transact_write_items":
            raise ValueError(call)
        answer = self._begin(self._call("".join(word.capitalize() for word in call.split("_")), request))
        return lambda patience: _loads(answer(patience).body)

    def _item(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = _loads(self._ask(self._call(operation, request)).body)
        return found

    def _call(self, operation: str, request: Mapping[str, Any]) -> _Call:
        headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"DynamoDB_20120810.{operation}"}
        body = json.dumps(request, separators=(",", ":"), default=_in_base64).encode()
        return _Call(operation, "POST", self._endpoint, "/", "", headers, body, _failure_of_dynamodb)


def _in_base64(value: Any) -> Any:
    """Bytes as DynamoDB takes them, and sets of them."""
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} is no value of DynamoDB's")


def _loads(text: bytes) -> Any:
    """What DynamoDB says, its bytes as such; most of it has none."""
    return json.loads(text, object_hook=_with_bytes if b'"B' in text else None)


def _with_bytes(told: dict[str, Any]) -> dict[str, Any]:
    # A value has one name only, which is its type; an attribute of that name has a value, no text.
    match told:
        case {"B": str(text)} if len(told) == 1:
            return {"B": base64.b64decode(text)}
        case {"BS": [*texts]} if len(told) == 1 and all(isinstance(each, str) for each in texts):
            return {"BS": [base64.b64decode(each) for each in texts]}
    return told


def _failure_of_dynamodb(answer: Answer) -> dict[str, Any] | None:
    checksum = answer.headers.get("x-amz-crc32")
    if checksum is not None and int(checksum) != zlib.crc32(answer.body):
        return {"Error": {"Code": "ThrottlingException", "Message": "The answer was damaged on its way."}}
    if answer.status == _OK:
        return None
    try:
        told: dict[str, Any] = _loads(answer.body)
    except ValueError:
        told = {}
    code = str(told.pop("__type", answer.status)).rpartition("#")[2]
    message = told.pop("message", None) or told.pop("Message", "")
    return {**told, "Error": {"Code": code, "Message": message}}


class S3(Client):
    """S3's calls for one object. ``endpoint`` is where all buckets are, None where each has a host of its own."""

    def __init__(self, endpoint: str | None, suffix: str, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._endpoint = endpoint
        self._suffix = suffix

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        """GetObject; the body is read already."""
        answer = self._object("GetObject", "GET", Bucket, Key)
        metadata = {
            name.removeprefix("x-amz-meta-"): value
            for name, value in answer.headers.items()
            if name.startswith("x-amz-meta-")
        }
        return {"Body": BytesIO(answer.body), "ETag": answer.headers["etag"], "Metadata": metadata}

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        """HeadObject, which tells that there is one."""
        return {"ETag": self._object("HeadObject", "HEAD", Bucket, Key).headers["etag"]}

    def put_object(self, **request: Any) -> dict[str, Any]:
        """PutObject."""
        return {"ETag": self._ask(self._put(**request)).headers["etag"]}

    def begin(self, call: str, **request: Any) -> Callable[[Patience | None], dict[str, Any]]:
        """Begin ``put_object``, which is the call that can be begun; what is returned waits for the answer."""
        if call != "put_object":
            raise ValueError(call)
        answer = self._begin(self._put(**request))
        return lambda patience: {"ETag": answer(patience).headers["etag"]}

    def _put(
        self,
        *,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        Body: bytes = b"",  # noqa: N803
        ContentType: str = "binary/octet-stream",  # noqa: N803
        Metadata: Mapping[str, str] | None = None,  # noqa: N803
        IfMatch: str | None = None,  # noqa: N803
        IfNoneMatch: str | None = None,  # noqa: N803
    ) -> _Call:
        headers = {"content-type": ContentType}
        headers |= {f"x-amz-meta-{name.lower()}": value for name, value in (Metadata or {}).items()}
        conditions = {"if-match": IfMatch, "if-none-match": IfNoneMatch}
        headers |= {name: value for name, value in conditions.items() if value is not None}
        return self._call("PutObject", "PUT", Bucket, Key, headers, Body)

    def generate_presigned_url(self, operation: str, *, Params: Mapping[str, str], ExpiresIn: int) -> str:  # noqa: N803
        """A URL that reads an object."""
        if operation != "get_object" or Params.keys() != {"Bucket", "Key"}:
            url: str = self._whole().generate_presigned_url(operation, Params=Params, ExpiresIn=ExpiresIn)
            return url
        address, path = self._address(Params["Bucket"], Params["Key"])
        return f"{address}{path}?{self._signer.query('GET', urlsplit(address).netloc, path, ExpiresIn)}"

    def list_objects_v2(self, *, Bucket: str, **asked: str) -> dict[str, Any]:  # noqa: N803
        """ListObjectsV2, of which the keys, the common prefixes and what comes next are read."""
        names = {"Prefix": "prefix", "Delimiter": "delimiter", "ContinuationToken": "continuation-token"}
        query = {"list-type": "2", "encoding-type": "url"} | {names[name]: value for name, value in asked.items()}
        text = self._object("ListObjectsV2", "GET", Bucket, "", query=encoded(query)).body.decode()
        return {
            "IsTruncated": _texts("IsTruncated", text) == ["true"],
            "Contents": [{"Key": unquote_plus(key)} for key in _texts("Key", text)],
            "CommonPrefixes": [
                {"Prefix": unquote_plus(prefix)}
                for part in _texts("CommonPrefixes", text)
                for prefix in _texts("Prefix", part)
            ],
            "NextContinuationToken": "".join(_texts("NextContinuationToken", text)),
        }

    def get_paginator(self, operation: str) -> Any:
        """All pages of ListObjectsV2."""
        return _Pages(self) if operation == "list_objects_v2" else self._whole().get_paginator(operation)

    def _object(self, operation: str, method: str, bucket: str, key: str, *, query: str = "") -> Answer:
        return self._ask(self._call(operation, method, bucket, key, query=query))

    def _call(
        self,
        operation: str,
        method: str,
        bucket: str,
        key: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        query: str = "",
    ) -> _Call:
        address, path = self._address(bucket, key)
        return _Call(operation, method, address, path, query, headers or {}, body, _failure_of_s3)

    def _address(self, bucket: str, key: str) -> tuple[str, str]:
        name = quote(key, safe=f"/{_UNRESERVED}")
        if self._endpoint is not None:
            return self._endpoint, f"/{bucket}/{name}"
        if "." in bucket:  # no certificate is for a host of that name
            return f"https://{self._suffix}", f"/{bucket}/{name}"
        return f"https://{bucket}.{self._suffix}", f"/{name}"


@dataclass(frozen=True, slots=True)
class _Pages:
    client: S3

    def paginate(self, **asked: str) -> Iterator[dict[str, Any]]:
        page = self.client.list_objects_v2(**asked)
        yield page
        while page["IsTruncated"]:
            page = self.client.list_objects_v2(**asked, ContinuationToken=page["NextContinuationToken"])
            yield page


def _texts(name: str, document: str) -> list[str]:
    """What stands in the elements of a name; S3 writes them without attributes, and texts in them percent-encoded."""
    return re.findall(f"<{name}>(.*?)</{name}>", document, re.DOTALL)


def _failure_of_s3(answer: Answer) -> dict[str, Any] | None:
    if _OK <= answer.status < _MULTIPLE_CHOICES:
        return None
    text = answer.body.decode(errors="replace")
    code, message = ("".join(_texts(name, text)[:1]) for name in ("Code", "Message"))
    return {"Error": {"Code": code or str(answer.status), "Message": message}}
