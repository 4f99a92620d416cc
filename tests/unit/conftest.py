"""What every unit test starts from: no real AWS account in reach, and a log that a test can read."""

import io
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from core.logging import logger


class Log(io.StringIO):
    """What the structured logger wrote."""

    def lines(self) -> list[dict[str, Any]]:
        """The lines, each of which is one JSON object."""
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def of(self, message: str) -> list[dict[str, Any]]:
        """The lines with this message."""
        return [line for line in self.lines() if line["message"] == message]


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def log() -> Iterator[Log]:
    """The log of this test alone."""
    handler = logger.registered_handler
    assert hasattr(handler, "setStream")
    written = Log()
    before = handler.setStream(written)
    yield written
    handler.setStream(before)


@pytest.fixture
def silent_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A resolver that does not answer before the test is over; then the event is set."""
    over = threading.Event()

    def silent(*_arguments: object, **_options: object) -> None:
        over.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    yield over
    over.set()
