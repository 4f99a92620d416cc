"""What the listener of the local platform's API hands on to the emulator, without the emulator."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from localstack import edge

PREFIX = "/_aws/execute-api/a1b2c3/dev"


@pytest.fixture
def endpoint(tmp_path: Path) -> edge.Endpoint:
    """A deployed API."""
    file = tmp_path / "endpoint.json"
    file.write_text(json.dumps({"apiId": "a1b2c3", "stage": "dev"}))
    return edge.Endpoint(file)


def handed_on(application_of: Any, path: str, raw_path: bytes | None) -> str:
    """The path that the emulator is asked for."""
    asked: list[edge.Scope] = []

    async def emulator(scope: edge.Scope, _receive: edge.Receive, _send: edge.Send) -> None:
        asked.append(scope)

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": raw_path, "headers": []}
    asyncio.run(application_of(emulator)(scope, None, None))
    (one,) = asked
    return str(one["path"])


@pytest.mark.parametrize(
    ("path", "raw_path", "expected"),
    [
        ("/image/x", b"/image/x", "/image/x"),
        ("/image/x/", b"/image/x/", "/image/x/"),
        ("/image/x/", b"/image/x%2F", "/image/x%2F"),
        ("/image/x/download", b"/image/x%2fdownload", "/image/x%2Fdownload"),
        ("/image/x\n", b"/image/x%0A", "/image/x\n"),
        ("/image/🦊", "/image/🦊".encode(), "/image/🦊"),
        ("/image/é", b"/image/%C3%A9", "/image/é"),
        ("/image/\ufffd", b"/image/%F0%9F", "/image/\ufffd"),
        ("/.well-known/jwks.json", b"/%2Ewell-known/jwks.json", "/.well-known/jwks.json"),
        ("/image/x y", None, "/image/x y"),
        ("/", b"/", "/"),
    ],
)
def test_a_path_is_decoded_but_for_its_slashes(
    endpoint: edge.Endpoint, path: str, raw_path: bytes | None, expected: str
) -> None:
    assert handed_on(lambda emulator: edge.api_listener(emulator, endpoint, 3000), path, raw_path) == PREFIX + expected
    raw_at_aws = None if raw_path is None else PREFIX.encode() + raw_path
    assert handed_on(lambda emulator: edge.aws_listener(emulator, None), PREFIX + path, raw_at_aws) == PREFIX + expected


def test_a_path_of_another_service_is_handed_on_as_it_is() -> None:
    assert (
        handed_on(lambda emulator: edge.aws_listener(emulator, None), "/bucket/a/b", b"/bucket/a%2Fb") == "/bucket/a/b"
    )
