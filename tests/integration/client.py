"""What the integration tests speak to the platform with: HTTP as a client, and S3 and SQS as an operator."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch
from uuid import uuid4

import boto3
import localstack_client.session
import requests
from botocore.config import Config

PASSWORD = "password123"
# How long a crowded machine may take until what was begun is done; a quiet one is not waited for.
PATIENCE_SECONDS = 120.0

ValueT = TypeVar("ValueT")

# What must not be in a log, collected from everything that the tests send and get.
SECRETS: set[str] = set()
_SECRET_FIELDS = {
    "password",
    "currentPassword",
    "newPassword",
    "prompt",
    "system",
    "text",
    "summary",
    "content",
    "accessToken",
    "refreshToken",
    "url",
    "Idempotency-Key",
}
# Shorter ones are found in anything.
_SHORTEST_SECRET = 8


def _remember_secrets(document: Any) -> None:
    if isinstance(document, dict):
        values = (value for name, value in document.items() if name in _SECRET_FIELDS and isinstance(value, str))
        # Of a signed URL the signature alone tells that it was logged.
        SECRETS.update(
            value.partition("X-Amz-Signature=")[2].partition("&")[0] or value
            for value in values
            if len(value) >= _SHORTEST_SECRET
        )


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def eventually(probe: Callable[[], ValueT], seconds: float = PATIENCE_SECONDS) -> ValueT:
    """What the probe returns once it is true, or at the end of the time."""
    end = time.monotonic() + seconds
    while not (value := probe()) and time.monotonic() < end:
        time.sleep(0.05)
    return value


@dataclass(frozen=True)
class Platform:
    """A platform that runs; ``command`` is what `make` calls."""

    environment: dict[str, str]
    root: Path
    api_port: int
    aws_port: int
    stage: str = "dev"

    @property
    def api_url(self) -> str:
        return f"http://localhost:{self.api_port}"

    def command(self, *arguments: str) -> str:
        """Run a command of the platform; fails with what it printed."""
        return self.run("localstack", *arguments)

    def operate(self, *arguments: str) -> str:
        """Run a command of the operator; fails with what it printed."""
        return self.run("tools.operate", *arguments)

    def run(self, program: str, *arguments: str, **variables: str) -> str:
        """Run a module of this project with the platform's environment; fails with what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", program, *arguments],
            cwd=self.root,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=1200,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def aws(self, service: str) -> Any:
        """A boto3 client of the platform's AWS, with the rights of its owner."""
        with patch.dict(os.environ, {"AWS_ENDPOINT_URL": f"http://localhost:{self.aws_port}"}):
            return localstack_client.session.Session().client(service)

    def bedrock(self) -> Any:
        """A client of its Bedrock, which localstack-client does not know."""
        return boto3.client(
            "bedrock-runtime",
            endpoint_url=f"http://localhost:{self.aws_port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(proxies={}),
        )

    def bucket(self, service: str) -> str:
        return f"llmhist-{service}-{self.stage}"

    def keys(self, service: str, prefix: str) -> list[str]:
        """The keys in a service's bucket under a prefix."""
        pages = self.aws("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket(service), Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def read(self, service: str, key: str) -> bytes:
        """An object's bytes."""
        content: bytes = self.aws("s3").get_object(Bucket=self.bucket(service), Key=key)["Body"].read()
        return content

    def lines(self, service: str, user_id: str) -> list[dict[str, Any]]:
        """The lines of a user's history, as the files have them."""
        keys = self.keys(service, f"users/{user_id}/{service}/history/")
        return [json.loads(line) for key in keys for line in self.read(service, key).splitlines()]

    def logged(self) -> Iterator[str]:
        """All lines that the functions have logged."""
        logs = self.aws("logs")
        for group in logs.get_paginator("describe_log_groups").paginate().search("logGroups[].logGroupName"):
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
                yield from (event["message"] for event in page["events"])

    def resource(self, logical_id: str) -> str:
        """The physical id of a resource of the stack."""
        answer = self.aws("cloudformation").describe_stack_resource(
            StackName="llm-microservices", LogicalResourceId=logical_id
        )
        return str(answer["StackResourceDetail"]["PhysicalResourceId"])

    @contextmanager
    def variables(self, *functions: str, **changes: str) -> Iterator[None]:
        """Let functions run with other variables for a while, as a parameter of the stack would set them."""
        client = self.aws("lambda")
        before = {
            name: client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            for name in map(self.resource, functions)
        }

        def change(changes: dict[str, str]) -> None:
            for name, variables in before.items():
                client.update_function_configuration(FunctionName=name, Environment={"Variables": variables | changes})
                client.get_waiter("function_updated_v2").wait(FunctionName=name)

        try:
            change(changes)
            yield
        finally:
            change({})

    def parameters(self) -> dict[str, str]:
        """The parameters that the stack was deployed with."""
        stack = self.aws("cloudformation").describe_stacks(StackName="llm-microservices")["Stacks"][0]
        return {item["ParameterKey"]: item["ParameterValue"] for item in stack["Parameters"]}


@dataclass
class Api:
    """A client of the API; with ``token`` it sends it."""

    url: str
    token: str | None = None
    session: requests.Session = field(default_factory=requests.Session)

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Send a request, ``body`` as JSON; redirects are answers."""
        headers = dict(options.pop("headers", {}))
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        options.setdefault("timeout", PATIENCE_SECONDS)
        answer = self.session.request(
            method, self.url + path, json=body, headers=headers, allow_redirects=False, **options
        )
        _remember_secrets(body)
        if answer.ok and answer.content:
            _remember_secrets(answer.json())
        _remember_secrets({name: value for name, value in headers.items() if name == "Idempotency-Key"})
        return answer

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> requests.Response:
        return self.call("POST", path, body, **options)


@dataclass
class User(Api):
    """A client that is logged in."""

    id: str = ""
    email: str = ""
    refresh_token: str = ""

    @classmethod
    def register(cls, url: str) -> "User":
        """A new account."""
        email = f"user-{uuid4().hex}@example.com"
        answer = Api(url).post("/auth/register", {"email": email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        tokens = answer.json()
        return cls(
            url,
            tokens["accessToken"],
            id=tokens["user"]["id"],
            email=email,
            refresh_token=tokens["refreshToken"],
        )


def assert_problem(answer: requests.Response, status: int) -> dict[str, Any]:
    """The answer is problem details of this status, complete; returns them."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "requestId"} <= set(problem)
    assert problem["status"] == status
    assert problem["requestId"] == answer.headers["X-Request-Id"]
    return problem
