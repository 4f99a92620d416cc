"""What benchmarks of calls measure: a platform of their own with fake providers, and what stands beside it.

A function that does nothing on the same gateway, the bare request to S3, and the plain container of
``benchmarks.plain`` are the floors that a call's time is compared with.
"""

import http.client
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from localstack import environments, settings
from tests.integration.client import Platform, User, eventually, free_ports
from tests.own_platform import ROOT, fake_providers, running_platform

# It logs a line, as every function of the platform does.
NO_OP = 'def handler(event, context):\n    print("request")\n    return {"statusCode": 200, "body": "{}"}\n'
UNLIMITED = "1000000"
# Without one the fake serves one picture at a time, as the real one does.
KEY = "good-key"

Measured = Callable[[], object]
# Longer than any gateway waits for a function: on a crowded machine, that says that it took too long.
_SECONDS = 600


class Unexpected(RuntimeError):
    """An answer of another status than the one that is expected."""

    def __init__(self, asked: str, status: int, text: bytes) -> None:
        super().__init__(f"{asked}: {status} {text[:300]!r}")
        self.status = status


class Connection:
    """Requests over one connection that is kept."""

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_SECONDS)
        self._prefix = parts.path
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def call(self, method: str, path: str, body: Any = None, expected: int = 200) -> Any:
        """The JSON that is answered. Raises ``Unexpected`` for another status."""
        return json.loads(self.read(method, path, body, expected))

    @contextmanager
    def opened(self, method: str, path: str, body: Any) -> Iterator[http.client.HTTPResponse]:
        """An answer that is still being made."""
        headers = self._headers | {"Content-Type": "application/json"}
        self._connection.request(method, self._prefix + path, json.dumps(body).encode(), headers)
        with self._connection.getresponse() as answer:
            if answer.status >= 400:
                raise Unexpected(f"{method} {path}", answer.status, answer.read(300))
            yield answer

    def read(self, method: str, path: str, body: Any = None, expected: int = 200) -> bytes:
        """The bytes that are answered. Raises like ``call``."""
        content = None if body is None else json.dumps(body).encode()
        headers = self._headers | ({"Content-Type": "application/json"} if content else {})
        for is_last in (False, True):
            try:
                self._connection.request(method, self._prefix + path, content, headers)
                if self._connection.sock is not None:
                    self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                answer = self._connection.getresponse()
                text = answer.read()
                break
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                # The server has closed what was kept for long.
                self._connection.close()
                if is_last:
                    raise
        if answer.status != expected:
            raise Unexpected(f"{method} {path}", answer.status, text)
        return text


@contextmanager
def platform(**variables: str) -> Iterator[Platform]:
    """A platform without limits that matter, whose pictures and chats come from fakes that answer at once."""
    of_callers = ("IMAGE", "IMAGE_ANONYMOUS", "CHAT", "CHAT_ANONYMOUS", "DEFAULT", "REGISTER", "LOGIN")
    limits = dict.fromkeys(
        [*(f"{name}_RATE_LIMIT" for name in of_callers), "THROTTLE_RATE", "THROTTLE_BURST"], UNLIMITED
    )
    chosen = (
        {"IMAGE_PROVIDERS": "pollinations", "POLLINATIONS_KEY": KEY, "CHAT_PROVIDERS": "openai"} | limits | variables
    )
    with (
        tempfile.TemporaryDirectory() as home,
        fake_providers() as fakes,
        running_platform(Path(home), fakes | chosen) as running,
    ):
        running.environment["PROVIDER"] = fakes["POLLINATIONS_URL"]
        yield running


def user(running: Platform) -> tuple[User, Connection]:
    """A user, and a connection that sends the user's token."""
    made = User.register(running.api_url)
    return made, Connection(f"http://127.0.0.1:{running.api_port}", made.token)


def no_op(running: Platform) -> Connection:
    """A function that does nothing, on the platform's gateway."""
    uri = "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Function.Arn}/invocations"
    integration = {"type": "aws_proxy", "httpMethod": "POST", "uri": {"Fn::Sub": uri}}
    definition = {
        "openapi": "3.0.1",
        "info": {"title": "nothing", "version": "1"},
        "paths": {"/nothing": {"get": {"x-amazon-apigateway-integration": integration}}},
    }
    resources = {
        "Role": ("IAM::Role", {"AssumeRolePolicyDocument": {}}),
        "Function": (
            "Lambda::Function",
            {
                "Runtime": settings.python_runtime(),
                "Handler": "index.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Code": {"ZipFile": NO_OP},
            },
        ),
        "Leave": (
            "Lambda::Permission",
            {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Ref": "Function"},
                "Principal": "apigateway.amazonaws.com",
            },
        ),
        "Api": ("ApiGateway::RestApi", {"Body": definition}),
        "Deployment": ("ApiGateway::Deployment", {"RestApiId": {"Ref": "Api"}, "StageName": "dev"}),
    }
    template = {
        "Resources": {name: {"Type": f"AWS::{kind}", "Properties": more} for name, (kind, more) in resources.items()}
    }
    formation = running.aws("cloudformation")
    formation.create_stack(StackName="nothing", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"])
    formation.get_waiter("stack_create_complete").wait(StackName="nothing", WaiterConfig={"Delay": 1})
    found = formation.describe_stack_resource(StackName="nothing", LogicalResourceId="Api")["StackResourceDetail"]
    api = found["PhysicalResourceId"]
    return Connection(f"http://127.0.0.1:{running.aws_port}/_aws/execute-api/{api}/dev")


@contextmanager
def plain(running: Platform) -> Iterator[str]:
    """The plain container on the platform's S3, while it runs: its address."""
    environments.ensure([environments.benchmarks()])
    (port,) = free_ports(1)
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{running.aws_port}",
        "AWS_DEFAULT_REGION": settings.REGION,
        "AWS_ACCESS_KEY_ID": settings.ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": settings.SECRET_KEY,
        "BUCKET": running.bucket("image"),
        "PROVIDER": running.environment["PROVIDER"],
        "PROVIDER_KEY": KEY,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [str(environments.benchmarks().python), "-m", "uvicorn", "benchmarks.plain:app", "--port", str(port)]
    command += ["--log-level", "warning", "--timeout-keep-alive", "75"]
    with subprocess.Popen(command, cwd=ROOT, env=_shell() | variables) as process:
        try:
            if not eventually(lambda: _listens(port)):
                raise RuntimeError("the plain container does not start")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _shell() -> Mapping[str, str]:
    return {"PATH": os.environ["PATH"]}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def interleaved(calls: Mapping[str, Measured], rounds: int, *, warm: int = 5, pause: float = 0.0) -> dict[str, float]:
    """The median of each call in milliseconds; they take turns, so that a noisy machine disturbs them alike.

    A ``pause`` of so many seconds before each keeps what the call before has set off, such as the index, out of it.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(warm + rounds):
        for name, call in calls.items():
            time.sleep(pause)
            start = time.perf_counter()
            call()
            if number >= warm:
                taken[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(each) for name, each in taken.items()}
